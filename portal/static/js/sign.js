// Signing a contract: room to draw the signature, sent along with the form as a picture.
"use strict";

(() => {
  const form = document.querySelector("[data-sign]");
  const room = form?.querySelector("[data-sign-pad]");
  if (!room || !window.SignaturePad) return;
  const canvas = room.querySelector("canvas");
  const typedOnly = form.elements.typed_only;
  room.hidden = false;
  form.elements.pad.value = "1";
  const pad = new SignaturePad(canvas, { penColor: "rgb(25, 32, 45)", minWidth: 0.8, maxWidth: 2.4 });

  // A canvas has its own count of pixels; what was drawn stays when the window changes.
  const fit = () => {
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const strokes = pad.toData();
    const picture = pad.isEmpty() ? form.elements.drawing.value : pad.toDataURL();
    canvas.width = canvas.offsetWidth * ratio;
    canvas.height = canvas.offsetHeight * ratio;
    canvas.getContext("2d").scale(ratio, ratio);
    pad.clear();
    if (strokes.length) pad.fromData(strokes);
    else if (picture) pad.fromDataURL(picture, { ratio });
  };
  const choose = () => {
    canvas.classList.toggle("is-off", typedOnly.checked);
    if (typedOnly.checked) pad.off(); else pad.on();
  };
  window.addEventListener("resize", fit);
  typedOnly.addEventListener("change", choose);
  room.querySelector("[data-sign-clear]").addEventListener("click", () => {
    form.elements.drawing.value = "";
    pad.clear();
  });
  form.addEventListener("submit", () => {
    form.elements.drawing.value = pad.isEmpty() || typedOnly.checked ? "" : pad.toDataURL("image/png");
  });
  fit();
  choose();
})();
