// Many installations at once with JavaScript: the bar comes with the first tick, a long selection is sent a few rows at
// a time and says how far it is. Without it the bar is simply there, and one request does them all.
"use strict";

(() => {
  const list = document.querySelector("form[data-bulk]");
  const dialog = document.getElementById("dialog");
  const fill = (words, values) => words.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

  // The ticks. Rows may be swapped while the page is open, so they are looked up each time.
  const ticks = () => [...list.querySelectorAll("input[name=pick]")];
  const show = () => {
    const bar = list.querySelector("[data-bar]");
    const page = list.querySelector("[data-page]");
    const every = list.querySelector("[name=all]");
    const count = ticks().filter((tick) => tick.checked).length;
    bar.hidden = !count && !every?.checked;
    const words = every?.checked ? scriptWords.bulk.everything : fill(scriptWords.bulk.count, { count });
    const said = bar.querySelector("strong");
    if (said.textContent !== words) said.textContent = words;
    page.checked = count > 0 && count === ticks().length;
    page.indeterminate = count > 0 && !page.checked;
  };
  const tickAll = (yes) => ticks().forEach((tick) => (tick.checked = yes));
  const start = () => {
    const page = list.querySelector("[data-page]");
    page.hidden = false;
    if (list.querySelector("[name=all]")?.checked) tickAll(true);
    show();
    list.addEventListener("change", ({ target }) => {
      const every = list.querySelector("[name=all]");
      if (target === page || target === every) tickAll(target.checked);
      // Who takes one away does not mean everything any more.
      if (every && target !== every && !target.checked) every.checked = false;
      show();
    });
    // What is asked first is asked in the dialog.
    list.addEventListener("click", (event) => {
      const button = event.target.closest("[data-ask]");
      if (!button) return;
      event.preventDefault();
      window.htmx.ajax("POST", button.hasAttribute("formaction") ? button.formAction : list.action, { source: list, target: "#dialog" });
    });
    list.addEventListener("click", (event) => {
      if (!event.target.closest("[data-none]")) return;
      event.preventDefault();
      tickAll(false);
      const every = list.querySelector("[name=all]");
      if (every) every.checked = false;
      show();
      // The bar that was focused is gone. On a phone there is no heading to tick.
      (page.checkVisibility() ? page : ticks()[0]).focus();
    });
  };
  if (list) start();

  // The rows of `from` are added to what is shown already.
  const merge = (into, from) => {
    if (!into.firstElementChild) {
      into.append(document.importNode(from, true));
      window.htmx.process(into);
      return;
    }
    from.querySelectorAll("[data-kind]").forEach((part) => {
      const section = into.querySelector(`[data-kind="${part.dataset.kind}"]`);
      const rows = [...part.querySelectorAll("[data-row]")];
      section.querySelector("ul").append(...rows.map((row) => document.importNode(row, true)));
      if (rows.length) section.hidden = false;
    });
    const number = (section) => section.querySelectorAll("[data-row]").length;
    into.querySelectorAll("[data-kind]").forEach((section) => {
      section.querySelector("[data-number]").textContent = number(section);
    });
    const sum = into.querySelector("[data-sum]");
    const all = into.querySelectorAll("[data-row]").length;
    const done = number(into.querySelector("[data-kind=done]"));
    sum.textContent = fill(sum.dataset.sum, { done, all });
    const notice = sum.closest(".notice").classList;
    notice.toggle("notice-ok", done === all);
    notice.toggle("notice-warn", done < all);
  };

  const send = async (form, keys) => {
    const body = new URLSearchParams(new FormData(form));
    body.delete("pick");
    keys.forEach((key) => body.append("pick", key));
    const answer = await fetch(form.action, { method: "POST", body, headers: { "HX-Request": "true" } });
    const outcome = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-outcome]");
    if (!answer.ok || !outcome) throw new Error(`answer ${answer.status}`);
    return outcome;
  };

  const run = (box) => {
    const part = (name) => box.querySelector(`[data-${name}]`);
    const form = box.querySelector("form");
    const rows = [...form.querySelectorAll("[name=pick]")].map(({ value, dataset }) => ({ key: value, name: dataset.name }));
    const leave = dialog.querySelector("[data-leave]");
    const all = rows.length;
    let done = 0;
    let stopped = false;

    const halt = (words) => {
      part("why").textContent = fill(words, { done, all });
      part("halted").hidden = false;
    };
    const end = () => {
      part("running").hidden = true;
      leave.hidden = false;
      // What was not done stays ticked in the list, as far as an address holds it.
      const left = [...box.querySelectorAll("[data-kind]:not([data-kind=done]) [data-row]")].map(({ dataset }) => dataset.row);
      left.push(...rows.slice(done).map(({ key }) => key));
      const address = new URL(leave.href);
      address.searchParams.delete("picked");
      if (left.length && left.length <= Number(box.dataset.kept)) address.searchParams.set("picked", left.join("."));
      leave.href = address;
      dialog.querySelector("h2").focus();
    };
    const go = async () => {
      stopped = false;
      part("halted").hidden = true;
      part("running").hidden = false;
      leave.hidden = true;
      while (done < all && !stopped) {
        part("now").textContent = fill(box.dataset.words, { done, all, name: rows[done].name });
        box.querySelector("progress").value = done;
        const some = rows.slice(done, done + Number(box.dataset.atOnce));
        try {
          merge(part("results"), await send(form, some.map(({ key }) => key)));
        } catch {
          halt(box.dataset.lost);
          break;
        }
        done += some.length;
      }
      if (stopped && done < all) halt(box.dataset.stopped);
      end();
    };
    part("stop").addEventListener("click", () => (stopped = true));
    part("go-on").addEventListener("click", go);
    go();
  };

  document.addEventListener("htmx:afterSwap", () => {
    const box = dialog.querySelector("[data-run]:not([data-begun])");
    if (!box) return;
    box.dataset.begun = "yes";
    run(box);
  });
  // Escape stops what runs; afterwards it leads back to the list, as the button does, since rows have changed.
  dialog.addEventListener("cancel", (event) => {
    const leave = dialog.querySelector("[data-leave]");
    if (!leave) return;
    event.preventDefault();
    if (leave.hidden) dialog.querySelector("[data-stop]").click();
    else leave.click();
  });
})();
