// A technician's phone says where it is while they are on the way to a visit, and only then: the page holds this part
// only in that state. It can be stopped, and stays stopped.
"use strict";

(() => {
  const box = document.querySelector("#sharing");
  if (!box) return;
  const APART = 5000;
  const { url, token, key, shared, stopped, denied } = box.dataset;
  const words = box.querySelector("[data-words]");
  const button = box.querySelector("button");
  const STOPPED = `sharing stopped ${key}`;
  let watch = null;
  let latest = 0;

  const show = (text, on) => {
    words.textContent = text;
    button.textContent = on ? button.dataset.stop : button.dataset.start;
    box.classList.toggle("is-sharing", on);
  };
  const stop = (text) => {
    if (watch !== null) navigator.geolocation.clearWatch(watch);
    watch = null;
    show(text, false);
  };
  const send = async ({ coords }) => {
    if (watch === null || Date.now() - latest < APART) return;
    latest = Date.now();
    const { latitude, longitude, accuracy } = coords;
    try {
      const answer = await fetch(url, { method: "POST", redirect: "manual", body: new URLSearchParams({ csrf_token: token, latitude, longitude, accuracy }) });
      // The visit has gone on meanwhile, by another hand; the page is to say how it stands now.
      if ([404, 409].includes(answer.status) || answer.type === "opaqueredirect") {
        stop("");
        box.hidden = true;
      }
    } catch {
      // Without signal; the next position is worth more than this one.
    }
  };
  const start = () => {
    show(shared, true);
    watch = navigator.geolocation.watchPosition(send, (error) => error.code === error.PERMISSION_DENIED && stop(denied), {
      enableHighAccuracy: true,
      maximumAge: APART,
    });
  };

  button.addEventListener("click", () => {
    if (watch === null) {
      sessionStorage.removeItem(STOPPED);
      start();
    } else {
      sessionStorage.setItem(STOPPED, "yes");
      stop(stopped);
    }
  });
  box.hidden = !navigator.geolocation;
  if (box.hidden) return;
  if (sessionStorage.getItem(STOPPED)) stop(stopped);
  else start();
})();
