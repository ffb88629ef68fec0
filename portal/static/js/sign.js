// Signing: room to draw the signature, sent along with the form as a picture.
"use strict";

(() => {
  // Makes room in each form below `root`; there may be more later (field.js).
  const makeRoom = (root) => root.querySelectorAll("[data-sign-pad]").forEach(open);
  const open = (room) => {
    if (!window.SignaturePad) return;
    const canvas = room.querySelector("canvas");
    // Beside the room, which may stand outside of its form.
    const drawing = room.previousElementSibling;
    const { form } = drawing;
    const { pad: padded, typed_only: typedOnly } = form.elements;
    room.hidden = false;
    if (padded) padded.value = "1";
    const pad = new SignaturePad(canvas, { penColor: "rgb(25, 32, 45)", minWidth: 0.8, maxWidth: 2.4 });

    // A canvas has its own count of pixels; what was drawn stays when its room changes.
    const fit = () => {
      if (!canvas.offsetWidth) return;
      const ratio = Math.min(window.devicePixelRatio || 1, 2);
      const strokes = pad.toData();
      const picture = pad.isEmpty() ? drawing.value : pad.toDataURL();
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
    new ResizeObserver(fit).observe(canvas);
    room.querySelector("[data-sign-clear]").addEventListener("click", () => {
      drawing.value = "";
      pad.clear();
    });
    form.addEventListener("submit", () => {
      drawing.value = pad.isEmpty() || typedOnly?.checked ? "" : pad.toDataURL("image/png");
    });
    if (!typedOnly) return;
    typedOnly.addEventListener("change", choose);
    choose();
  };
  window.makeRoomToSign = makeRoom;
  makeRoom(document);
})();
