// What the month gains with JavaScript: one stop for Tab, and arrow keys from day to day. Without it each day is a link.
"use strict";

(() => {
  const table = document.querySelector("[data-days]");
  const rows = [...(table?.tBodies[0].rows ?? [])].map((row) => [...row.cells].map((cell) => cell.querySelector("a")));
  const links = rows.flat().filter(Boolean);
  if (!links.length) return;

  const stopAt = (link) => links.forEach((one) => (one.tabIndex = one === link ? 0 : -1));
  stopAt(links.find((link) => link.matches("[aria-current]")) ?? links.find((link) => link.matches(".today")) ?? links[0]);
  document.querySelector("[data-keys]").hidden = false;

  // Days without visits are passed over.
  const inColumn = (link, step) => {
    let row = rows.findIndex((cells) => cells.includes(link));
    const column = rows[row].indexOf(link);
    for (row += step; rows[row]; row += step) {
      if (rows[row][column]) return rows[row][column];
    }
    return null;
  };
  const inRow = (link) => rows.find((cells) => cells.includes(link)).filter(Boolean);
  const ways = {
    ArrowLeft: (link) => links[links.indexOf(link) - 1],
    ArrowRight: (link) => links[links.indexOf(link) + 1],
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
    if (links.includes(event.target)) stopAt(event.target);
  });
})();
