// The editor of messages with JavaScript: a placeholder is put in where one is writing, by a press. Without it they are
// there to be copied.
"use strict";

(() => {
  const list = document.querySelector("[data-placeholders]");
  if (!list) return;
  const fields = [...document.querySelectorAll("[data-words]")];
  let into = document.getElementById(list.dataset.into);
  fields.forEach((field) => field.addEventListener("focus", () => { into = field; }));

  list.querySelectorAll("[data-put]").forEach((code) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn btn-sm";
    button.dataset.put = code.dataset.put;
    button.textContent = code.textContent;
    code.replaceWith(button);
  });
  list.addEventListener("click", (event) => {
    const { put } = event.target.closest("[data-put]")?.dataset ?? {};
    if (!put) return;
    into.setRangeText(put, into.selectionStart, into.selectionEnd, "end");
    into.focus();
    into.dispatchEvent(new Event("input", { bubbles: true }));
  });
  // Another visit, request or invitation is shown at once.
  document.getElementById("about")?.addEventListener("change", (event) => {
    event.target.form.requestSubmit(document.querySelector("button[form=words][name=preview]"));
  });
})();
