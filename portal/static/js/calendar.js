// What the month gains with JavaScript: one stop for Tab, and arrow keys from day to day. Without it each day is a link.
"use strict";

(() => {
  const table = document.querySelector("[data-days]");
  if (!table) return;
  // Read anew each time: a day that gets its first visit becomes a link while the page is open.
  const rows = () => [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.querySelector("a")));
  const links = () => rows().flat().filter(Boolean);

  const stopAt = (link) => links().forEach((one) => (one.tabIndex = one === link ? 0 : -1));
  const begin = () => {
    const all = links();
    if (!all.length) return;
    const at = all.find((link) => link === document.activeElement);
    stopAt(at ?? all.find((link) => link.matches("[aria-current]")) ?? all.find((link) => link.matches(".today")) ?? all[0]);
    document.querySelector("[data-keys]").hidden = false;
  };

  // Days without visits are passed over.
  const inColumn = (link, step) => {
    const days = rows();
    let row = days.findIndex((cells) => cells.includes(link));
    const column = days[row].indexOf(link);
    for (row += step; days[row]; row += step) {
      if (days[row][column]) return days[row][column];
    }
    return null;
  };
  const inRow = (link) => rows().find((cells) => cells.includes(link)).filter(Boolean);
  const next = (link, step) => {
    const all = links();
    return all[all.indexOf(link) + step];
  };
  const ways = {
    ArrowLeft: (link) => next(link, -1),
    ArrowRight: (link) => next(link, 1),
    ArrowUp: (link) => inColumn(link, -1),
    ArrowDown: (link) => inColumn(link, 1),
    Home: (link) => inRow(link).at(0),
    End: (link) => inRow(link).at(-1),
  };

  table.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const link = event.target.closest("a");
    if (!link || !ways[event.key]) return;
    event.preventDefault();
    ways[event.key](link)?.focus();
  });
  table.addEventListener("focusin", (event) => {
    const link = event.target.closest("a");
    if (link) stopAt(link);
  });
  document.addEventListener("live:shown", begin);
  begin();
})();
