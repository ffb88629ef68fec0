// What the forms of installations gain with JavaScript: customers and technicians found while typing, lines of items
// added on the spot, words that follow what is chosen. Without it the same forms work with more page loads.
"use strict";

(() => {
  const PAUSE = 150;
  const fill = (words, values) => words.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
  const safe = (text) => new Option(text).innerHTML;
  const mark = (text, query) => {
    const words = query.trim().split(/\s+/).filter(Boolean).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    if (!words.length) return safe(text);
    const parts = text.split(new RegExp(`(${words.join("|")})`, "gi"));
    return parts.map((part, index) => (index % 2 ? `<mark>${safe(part)}</mark>` : safe(part))).join("");
  };
  const element = (tag, className, text = "") => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    made.textContent = text;
    return made;
  };

  // Asks for what was typed once the person pauses, and forgets answers that came too late.
  const asker = (address) => {
    let timer;
    let controller;
    return (query, populate) => {
      clearTimeout(timer);
      timer = setTimeout(async () => {
        controller?.abort();
        controller = new AbortController();
        try {
          const answer = await fetch(address(query), { headers: { Accept: "application/json" }, signal: controller.signal });
          if (answer.ok) populate(await answer.json());
        } catch (error) {
          if (error.name !== "AbortError") populate([]);
        }
      }, PAUSE);
    };
  };

  const KINDS = {
    customer: {
      id: "customer_text",
      fewest: 2,
      detail: (choice) => [choice.email, choice.address].filter(Boolean).join(" · "),
      row: (choice, query) =>
        `<strong>${mark(choice.name, query)}</strong><span>${mark(choice.email, query)}</span>` +
        `<span class="addr">${mark(choice.address, query)}</span>`,
    },
    technician: {
      id: "technician",
      fewest: 0,
      detail: (choice) => choice.note,
      row: (choice, query) => `<strong>${mark(choice.name, query)}</strong><span>${safe(choice.note)}</span>`,
    },
  };

  // When the visit is to be and of which type: fixed by the page, or as the form says at the moment.
  const moment = (box) => {
    const { date, time, duration, service_type: kind } = box.closest("form").elements;
    const type = box.dataset.type || kind?.value || "";
    if (box.dataset.start) return { start: box.dataset.start, minutes: box.dataset.minutes, type };
    const minutes = duration?.value || kind?.selectedOptions[0]?.dataset.minutes || "";
    return date?.value && time?.value ? { start: `${date.value}T${time.value}`, minutes, type } : {};
  };

  const typeahead = (box) => {
    const name = box.dataset.typeahead;
    const kind = KINDS[name];
    const form = box.closest("form");
    const label = box.querySelector("label, .lab");
    const wrong = box.querySelector(".invalid-feedback");
    const hint = box.querySelector(".form-text:not([data-found], [data-after])");
    // What stands below the field while nobody is chosen.
    const after = box.querySelector("[data-after]");
    let parts = [];
    let query = "";
    let waiting = false;

    const address = (text) => {
      const args = new URLSearchParams({ q: text });
      if (name === "technician") Object.entries(moment(box)).forEach(([key, value]) => args.set(key, value));
      return `${box.dataset.url}?${args}`;
    };
    const show = (...nodes) => {
      parts.forEach((part) => part.remove());
      parts = nodes;
      const end = after ?? wrong;
      nodes.forEach((node) => (end ? end.before(node) : box.append(node)));
    };
    const sayWhoComes = (choice) => {
      const button = form.querySelector("[data-act]");
      if (!button || !box.dataset.bareWords) return;
      button.textContent = choice ? fill(box.dataset.words, choice) : box.dataset.bareWords;
    };

    const search = (text, focus) => {
      const place = element("div", "finder");
      const heading = element("label", "lab");
      heading.htmlFor = kind.id;
      heading.append(...[...label.childNodes].map((node) => node.cloneNode(true)));
      label.remove();
      if (hint) hint.hidden = false;
      if (after) after.hidden = false;
      show(heading, place);
      if (hint) heading.after(hint);
      accessibleAutocomplete({
        element: place,
        id: kind.id,
        name: name === "customer" ? "customer_text" : "",
        defaultValue: focus ? "" : text,
        minLength: kind.fewest,
        showAllValues: kind.fewest === 0,
        dropdownArrow: () => "",
        displayMenu: "inline",
        confirmOnBlur: false,
        inputClasses: wrong ? "form-control is-invalid" : "form-control",
        menuClasses: "typeahead",
        source: (typed, populate) => {
          query = typed;
          waiting = true;
          ask(typed, (choices) => {
            waiting = false;
            populate(choices);
          });
        },
        templates: {
          inputValue: (choice) => (typeof choice === "string" ? choice : (choice?.name ?? "")),
          suggestion: (choice) => (typeof choice === "string" ? safe(choice) : kind.row(choice, query)),
        },
        onConfirm: (choice) => choice && choose(choice, true),
        tNoResults: () => (waiting ? box.dataset.looking : box.dataset.none),
        tStatusQueryTooShort: () => hint?.textContent ?? "",
        tStatusNoResults: () => (waiting ? "" : box.dataset.none),
        tStatusResults: (count) => fill(box.dataset.results, { count }),
        tStatusSelectedOption: (text, count, index) => `${text} (${index + 1}/${count})`,
        tAssistiveHint: () => hint?.textContent ?? "",
      });
      const input = place.querySelector("input");
      // What is typed without choosing is looked up by the server when the form is sent.
      if (name === "customer") input.maxLength = 200;
      if (focus) {
        input.focus();
        // Somebody who began to type before this script came is in the middle of it, and wants to see who is found.
        if (text) {
          input.value = text;
          input.dispatchEvent(new Event("input", { bubbles: true }));
        }
      }
      sayWhoComes(null);
    };

    const choose = (choice, focus) => {
      box.querySelectorAll("[data-found]").forEach((found) => found.remove());
      const heading = element("span", "lab");
      heading.append(...[...label.childNodes].map((node) => node.cloneNode(true)));
      label.remove();
      if (hint) hint.hidden = true;
      if (after) after.hidden = true;
      const line = element("div", "chosen");
      line.setAttribute("role", "group");
      line.setAttribute("aria-label", box.dataset.label);
      const who = element("div");
      who.append(element("strong", "", choice.name), element("br"), element("span", "", kind.detail(choice)));
      const button = element("button", "btn btn-sm", box.dataset.change);
      button.type = "button";
      button.append(element("span", "visually-hidden", ` ${box.dataset.label}`));
      button.addEventListener("click", () => search("", true));
      line.append(who, button);
      const value = Object.assign(document.createElement("input"), { type: "hidden", name, value: choice.value });
      show(heading, line, value);
      if (focus) button.focus();
      sayWhoComes(choice);
    };

    const ask = asker(address);
    const refresh = () => {
      const value = box.querySelector(`input[type="hidden"][name="${name}"]`)?.value;
      const shown = box.querySelector(".chosen strong")?.textContent;
      if (!value || !shown) return;
      ask(shown, (choices) => {
        const same = choices.find((choice) => String(choice.value) === value);
        const detail = box.querySelector(".chosen div > span");
        if (same && detail) detail.textContent = kind.detail(same);
      });
    };

    // What the server rendered without JavaScript in mind becomes one of the two states above.
    const ready = box.querySelector(":scope > .chosen");
    const select = box.querySelector("select");
    const field = box.querySelector("[data-field]");
    if (ready) {
      const value = box.querySelector(`input[type="hidden"][name="${name}"]`);
      parts = [ready, value];
      ready.querySelector("[data-change]").addEventListener("click", (event) => {
        event.preventDefault();
        search("", true);
      });
    } else if (select) {
      const present = select.selectedOptions[0];
      select.remove();
      if (present?.value) {
        choose({ value: present.value, name: present.text, note: "" }, false);
        refresh();
      } else {
        search("", false);
      }
    } else {
      const input = field.querySelector("input");
      const focused = input === document.activeElement;
      field.remove();
      search(input.value, focused);
    }
    // Leaving the field closes its list, and what was under the pointer moves away before the button is released.
    form.addEventListener("mousedown", (event) => {
      const open = box.querySelector(".autocomplete__menu--visible");
      if (open && !box.contains(event.target) && event.target.closest("button, a, label, input[type=checkbox]")) {
        event.preventDefault();
      }
    });
    if (name === "technician" && !box.dataset.start) {
      form.addEventListener("change", (event) => {
        if (["date", "time", "duration", "service_type"].includes(event.target.name)) refresh();
      });
    }
  };

  const items = (box) => {
    const rows = () => [...box.querySelectorAll("[data-item]")];
    const number = () =>
      rows().forEach((row, index) => {
        row.querySelectorAll("[aria-label]").forEach((one) => {
          one.setAttribute("aria-label", one.getAttribute("aria-label").replace(/\d+/, index + 1));
        });
        const button = row.querySelector("[data-remove]");
        button.value = index;
        const words = button.querySelector(".visually-hidden");
        words.textContent = words.textContent.replace(/\d+/, index + 1);
      });
    const blank = (row) => {
      row.querySelectorAll(".invalid-feedback").forEach((error) => error.remove());
      row.querySelectorAll("input").forEach((input) => {
        input.classList.remove("is-invalid");
        input.removeAttribute("aria-invalid");
        input.removeAttribute("aria-describedby");
        input.value = input.name.endsWith("quantity") ? "1" : "";
      });
    };
    box.addEventListener("click", (event) => {
      const add = event.target.closest("[data-add]");
      const remove = event.target.closest("[data-remove]");
      if (!add && !remove) return;
      event.preventDefault();
      if (add) {
        const last = rows().at(-1);
        const row = last.cloneNode(true);
        const next = Math.max(...rows().map((one) => Number(one.querySelector("input").name.match(/\d+/)[0]))) + 1;
        blank(row);
        row.querySelectorAll("input").forEach((input) => {
          input.name = input.name.replace(/\d+/, next);
          input.id = input.name;
        });
        last.after(row);
        number();
        row.querySelector("input").focus();
        return;
      }
      const row = remove.closest("[data-item]");
      const neighbour = row.previousElementSibling?.matches("[data-item]") ? row.previousElementSibling : rows()[1];
      if (neighbour) {
        row.remove();
        number();
        neighbour.querySelector("input").focus();
      } else {
        blank(row);
        row.querySelector("input").focus();
      }
    });
  };

  // The usual duration and the arrival window follow the service type and the start.
  const usual = (form) => {
    const { service_type: type, duration, time } = form.elements;
    if (!type || !duration?.dataset.usual) return;
    const hint = form.querySelector("#time-hint");
    const say = () => {
      const kind = type.selectedOptions[0]?.dataset;
      if (!kind) return;
      duration.options[0].text = fill(duration.dataset.usual, kind);
      const [hours, minutes] = time.value.split(":").map(Number);
      if (!hint || Number.isNaN(minutes ?? NaN)) return;
      const end = (hours * 60 + minutes + Number(kind.window)) % (24 * 60);
      const until = `${Math.floor(end / 60)}:${String(end % 60).padStart(2, "0")}`;
      hint.textContent = fill(time.dataset.window, { from: `${hours}:${String(minutes).padStart(2, "0")}`, to: until });
    };
    form.addEventListener("change", say);
    say();
  };

  // Times of one day are no times of another.
  const slots = (form) => {
    const { date } = form.elements;
    const box = form.querySelector("[data-slots]");
    if (!date || !box) return;
    date.addEventListener("change", () => {
      box.hidden = date.value !== box.dataset.slots;
      const other = box.querySelector('input[value=""]');
      if (box.hidden && other) other.checked = true;
    });
  };

  const improve = (root) => {
    const once = (selector, run) =>
      root.querySelectorAll(selector).forEach((found) => {
        if (found.dataset.improved) return;
        found.dataset.improved = "yes";
        run(found);
      });
    once("[data-typeahead]", typeahead);
    once("[data-items]", items);
    once("form[method=post]", (form) => {
      usual(form);
      slots(form);
    });
  };
  // The acts of a row open in the dialog, unless the page or somebody wants them in a window of their own.
  document.addEventListener("click", (event) => {
    const link = event.target.closest(".list-jobs .do .btn:not([target])");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    window.htmx.ajax("GET", link.href, "#dialog");
  });
  document.addEventListener("htmx:load", (event) => improve(event.detail.elt.parentElement ?? document));
})();
