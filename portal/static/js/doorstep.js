// What pages gain with JavaScript: forms in dialogs, more lines without a reload, focus where it helps.
// Everything here works without it too, only with more page loads.
"use strict";

(() => {
  // What is swapped in is there at once, form and all, for whoever types on.
  if (window.htmx) {
    Object.assign(htmx.config, { allowEval: false, historyCacheSize: 0, attributesToSettle: [], defaultSettleDelay: 0 });
  }

  const focusSummary = (root) => root.querySelector(".error-summary, [data-focus]")?.focus();

  // Dialogs: a link with hx-target="#dialog" fills the one <dialog> of the page; what fills it opens it.
  document.addEventListener("htmx:afterSwap", (event) => {
    const dialog = event.detail.target.closest("dialog");
    if (!dialog) return;
    if (!dialog.open) dialog.showModal();
    focusSummary(dialog);
  });
  // What a dialog sent and was refused comes back with status 4xx or 5xx and says why; show it instead of dropping it.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.xhr.status >= 400 && event.detail.target.closest("dialog")) {
      event.detail.shouldSwap = true;
      event.detail.isError = false;
    }
  });
  document.addEventListener("click", (event) => {
    const closer = event.target.closest("[data-close-dialog]");
    const dialog = closer?.closest("dialog");
    if (!dialog) return;
    event.preventDefault();
    dialog.close();
  });
  document.addEventListener("close", (event) => {
    if (event.target.matches?.("dialog")) event.target.replaceChildren();
  }, true);

  // A small menu closes when the person goes on elsewhere, or says so.
  document.addEventListener("click", (event) => {
    document.querySelectorAll("details[data-menu][open]").forEach((menu) => {
      if (!menu.contains(event.target) || event.target.closest("a")) menu.open = false;
    });
  });
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && event.target.closest("details[data-menu][open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });

  // A button that copies what a field holds, and says so.
  document.querySelectorAll("[data-copy]").forEach((button) => {
    const field = document.getElementById(button.dataset.copy);
    button.hidden = false;
    button.addEventListener("click", async () => {
      field.select();
      try {
        await navigator.clipboard.writeText(field.value);
      } catch {
        document.execCommand("copy");
      }
      button.textContent = button.dataset.copied;
      document.querySelector("[data-copy-said]").textContent = button.dataset.copied;
    });
  });

  focusSummary(document);
})();
