// The dates of the list with JavaScript: one field that says them in words, and a calendar. The two date fields that
// serve without it stay behind and carry the values.
"use strict";

(() => {
  const box = document.querySelector("[data-range]");
  if (!box) return;
  const part = (name) => box.querySelector(`[data-${name}]`);
  const [first, last] = part("plain").querySelectorAll("input");
  const [field, opener, popover, days] = ["words", "open", "calendar", "days"].map(part);
  const { today } = box.dataset;
  const { any, askFirst, askLast, calendar: labels } = scriptWords.range;
  const language = document.documentElement.lang;
  let calendar = null;

  // A day is its ISO date, as in the fields; instants are used at midnight UTC, where no clock ever changes.
  const dateOf = (day) => new Date(`${day}T00:00:00Z`);
  const dayOf = (date) => date.toISOString().slice(0, 10);

  // As the server writes days: with the year when it is not this one, in English without the commas.
  const yearOf = (day) => day.slice(0, 4);
  const inWords = (day, withYear = yearOf(day) !== yearOf(today)) => {
    const shape = { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" };
    if (withYear) shape.year = "numeric";
    const format = new Intl.DateTimeFormat(language, shape);
    if (!language.startsWith("en")) return format.format(dateOf(day));
    const found = Object.fromEntries(format.formatToParts(dateOf(day)).map(({ type, value }) => [type, value]));
    return [found.weekday, found.day, found.month, found.year].filter(Boolean).join(" ");
  };

  // What the address left in the fields, put right as the server does: no impossible years, one date is a day, ends in order.
  const chosen = () =>
    [first, last].map((input) => input.value).filter((day) => day >= first.min && day <= first.max && day.length === 10).sort();
  const say = (text) => {
    part("said").textContent = text;
  };
  const choose = (start = "", end = "") => {
    [first.value, last.value] = [start, end];
    if (!start) field.value = any;
    else if (!end || start === end) field.value = inWords(start);
    else {
      const oneYear = yearOf(start) === yearOf(end);
      field.value = `${oneYear ? inWords(start, false) : inWords(start)} – ${inWords(end)}`;
    }
  };
  const ask = (text) => {
    popover.querySelector("p").textContent = text;
  };
  const onClickDate = ({ context }) => {
    const [start, end] = context.selectedDates;
    choose(...context.selectedDates);
    if (end) {
      close();
      say(field.value);
    } else {
      const words = askLast.replace("{day}", inWords(start));
      ask(words);
      say(words);
    }
  };

  const show = (day) => ({ selectedYear: Number(yearOf(day)), selectedMonth: Number(day.slice(5, 7)) - 1 });
  const focusOn = (day) => {
    const button = () => days.querySelector(`[data-vc-date="${day}"] button`);
    if (!button()) calendar.set(show(day), { year: true, month: true, dates: false });
    button()?.focus();
  };

  const open = () => {
    const ends = chosen();
    const start = ends[0] ?? today;
    const place = document.createElement("div");
    days.replaceChildren(place);
    popover.hidden = false;
    opener.setAttribute("aria-expanded", "true");
    ask(askFirst);
    calendar = new VanillaCalendarPro.Calendar(place, {
      ...show(start),
      selectedDates: ends.length === 1 ? [start, start] : ends,
      selectionDatesMode: "multiple-ranged",
      enableEdgeDatesOnly: true,
      // The same day twice is that day, not none.
      enableDateToggle: false,
      displayDatesOutside: false,
      firstWeekday: 1,
      selectedWeekends: [],
      locale: language,
      dateToday: today,
      dateMin: first.min,
      dateMax: first.max,
      labels,
      // A name that differs from the word on the button cannot be said to it.
      onCreateMonthEls: (_, cell) => cell.querySelector("button").removeAttribute("aria-label"),
      onClickDate,
    });
    calendar.init();
    focusOn(start);
  };

  const close = () => {
    if (!calendar) return;
    const shut = calendar;
    const back = popover.contains(document.activeElement);
    calendar = null;
    popover.hidden = true;
    opener.setAttribute("aria-expanded", "false");
    if (back) opener.focus();
    // The calendar still finishes the click that closed it.
    setTimeout(() => shut.destroy());
  };

  const byMonths = (day, step) => {
    const date = dateOf(day);
    const end = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + step + 1, 0));
    end.setUTCDate(Math.min(date.getUTCDate(), end.getUTCDate()));
    return dayOf(end);
  };
  const byDays = (day, step) => dayOf(new Date(dateOf(day).getTime() + step * 86400000));
  const weekday = (day) => (dateOf(day).getUTCDay() + 6) % 7;
  const ways = {
    ArrowLeft: (day) => byDays(day, -1),
    ArrowRight: (day) => byDays(day, 1),
    ArrowUp: (day) => byDays(day, -7),
    ArrowDown: (day) => byDays(day, 7),
    Home: (day) => byDays(day, -weekday(day)),
    End: (day) => byDays(day, 6 - weekday(day)),
    PageUp: (day) => byMonths(day, -1),
    PageDown: (day) => byMonths(day, 1),
  };

  // Before the calendar's own keys, which stop at the end of a month and forget the first day at Esc.
  popover.addEventListener(
    "keydown",
    (event) => {
      const { key } = event;
      const day = event.target.closest("[data-vc-date]")?.dataset.vcDate;
      if (key === "Escape") close();
      else if (day && ways[key] && !event.altKey && !event.ctrlKey && !event.metaKey) focusOn(ways[key](day));
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
    true,
  );
  popover.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !box.contains(event.relatedTarget)) close();
  });
  document.addEventListener("pointerdown", (event) => {
    if (!box.contains(event.target)) close();
  });
  opener.addEventListener("click", () => (calendar ? close() : open()));
  field.addEventListener("click", () => calendar ?? open());
  field.addEventListener("keydown", (event) => {
    if (!["ArrowDown", "Enter", " "].includes(event.key)) return;
    event.preventDefault();
    open();
  });
  part("close").addEventListener("click", close);
  part("clear").addEventListener("click", () => {
    choose();
    first.form.requestSubmit();
  });
  // A page that Back shows as it was left says again what its address says.
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    [first, last].forEach((input) => (input.value = input.defaultValue));
    choose(...chosen());
  });

  choose(...chosen());
  part("plain").hidden = true;
  part("picker").hidden = false;
})();
