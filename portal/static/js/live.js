// What office pages gain with JavaScript: they follow what customers, technicians and colleagues do. A small question
// every few seconds; where something is new the page fetches itself, and what differs is swapped in place.
// Stands before the scripts that improve a page, so that it knows what the server wrote.
"use strict";

(() => {
  const line = document.querySelector("#live");
  if (!line) return;
  const part = (name) => line.querySelector(`[data-${name}]`);
  const [age, showButton, againButton, signIn] = ["age", "show", "again", "sign-in"].map(part);
  const { url, every, zone } = line.dataset;
  const words = scriptWords.live;
  const said = document.querySelector("#live-said");
  const SLOWER_HIDDEN = 12;
  const PATIENCE = 20000;
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

  signIn.search = new URLSearchParams({ next: location.pathname + location.search });
  let { revision } = line.dataset;
  let checked = Date.now();
  let lost = false;
  let over = false;
  let timer;
  // One thing at a time: asking, or showing what was asked for.
  let queue = Promise.resolve();
  const inTurn = (run) => (queue = queue.then(run));
  // What was done since this page last showed it, and whether it is to fetch itself.
  let waiting = [];
  let stale = false;

  // ---- What the server wrote, and what it writes now ----

  // A page says what happened in one place only.
  const muted = (region) => {
    region.querySelectorAll("[role=status]").forEach((one) => one.removeAttribute("role"));
    return region;
  };
  const written = new Map([...document.querySelectorAll("[data-live]")].map((one) => [one.id, muted(one.cloneNode(true))]));
  const follows = Boolean(document.querySelector("main [data-live]"));
  const copy = (node) => document.importNode(node, true);
  const keyed = (nodes) => {
    const found = new Map();
    const count = {};
    for (const node of nodes) {
      count[node.nodeName] = (count[node.nodeName] ?? 0) + 1;
      const label = node.getAttribute?.("aria-labelledby");
      found.set(node.id || (label ? `of ${label}` : `${node.nodeName} ${count[node.nodeName]}`), node);
    }
    return found;
  };
  const tokens = (element) => [...element.classList];

  // Change in `live` what differs between `before` and `after`, and nothing that a script or a person did to it since.
  const patch = (live, before, after, news) => {
    if (before.isEqualNode(after)) return live;
    if (live.nodeName !== after.nodeName) {
      const fresh = copy(after);
      live.replaceWith(fresh);
      return fresh;
    }
    if (live.nodeType !== Node.ELEMENT_NODE) {
      live.nodeValue = after.nodeValue;
      return live;
    }
    for (const name of new Set([...before.getAttributeNames(), ...after.getAttributeNames()])) {
      const value = after.getAttribute(name);
      if (before.getAttribute(name) === value) continue;
      if (name === "class") {
        live.classList.remove(...tokens(before));
        live.classList.add(...tokens(after));
      } else if (value === null) live.removeAttribute(name);
      else live.setAttribute(name, value);
    }
    if (after.matches("tbody") && after.querySelector(":scope > [data-job]")) patchRows(live, before, after, news);
    else patchChildren(live, before, after, news);
    return live;
  };

  const isText = (node) => node.nodeType === Node.TEXT_NODE;
  const bareText = (element) => [...element.childNodes].filter(isText).map((node) => node.nodeValue.trim()).join("");
  const patchChildren = (live, before, after, news) => {
    // Where a script has put something of its own, only elements can be told apart from it.
    const touched = live.childNodes.length !== before.childNodes.length;
    if (touched && bareText(before) !== bareText(after)) {
      live.replaceChildren(...[...after.childNodes].map(copy));
      return;
    }
    const [kind, next] = touched ? ["children", "nextElementSibling"] : ["childNodes", "nextSibling"];
    const [lives, old, wanted] = [live, before, after].map((element) => keyed(element[kind]));
    old.forEach((_, key) => wanted.has(key) || lives.get(key)?.remove());
    const kept = new Set([...old.keys()].filter((key) => wanted.has(key)).map((key) => lives.get(key)));
    const skip = (node) => {
      while (node && !kept.has(node)) node = node[next];
      return node ?? null;
    };
    let place = skip(live[kind][0]);
    wanted.forEach((node, key) => {
      const was = old.has(key) ? lives.get(key) : undefined;
      const is = was ? patch(was, old.get(key), node, news) : copy(node);
      if (was && was === place) place = skip(is[next]);
      else live.insertBefore(is, place);
    });
  };

  // Rows stay where they are until the next load, so that nothing moves away from under the pointer: one that belongs
  // elsewhere now says so, and a new one waits while somebody is at the list.
  const patchRows = (live, before, after, news) => {
    const find = (rows, job) => [...rows].find((row) => row.dataset.job === job);
    const atIt = !news.forced && (live.matches(":hover") || live.contains(document.activeElement));
    const shown = new Set();
    let last = null;
    for (const row of [...after.rows]) {
      shown.add(row.dataset.job);
      let here = find(live.rows, row.dataset.job);
      const was = find(before.rows, row.dataset.job);
      if (here) {
        if (was) patch(here, was, row, news);
        else {
          const fresh = copy(row);
          here.replaceWith(fresh);
          here = fresh;
        }
      } else if (news.causes.has(row.dataset.job)) {
        if (atIt) {
          news.later.add(row.dataset.job);
          row.remove();
          continue;
        }
        here = copy(row);
        if (last) last.after(here);
        else live.prepend(here);
      }
      last = here ?? last;
    }
    for (const row of live.rows) {
      if (shown.has(row.dataset.job) || !news.causes.has(row.dataset.job)) continue;
      row.classList.add("is-gone");
      news.causes.set(row.dataset.job, `${news.causes.get(row.dataset.job)}. ${words.gone}`);
    }
  };

  // The cause stands where a row says more about itself, until the next load.
  const mark = (element, cause) => {
    element.classList.add("is-new");
    if (!cause) return;
    const place = element.querySelector("th") ?? element;
    let slot = place.querySelector("[data-cause]");
    if (!slot) {
      slot = Object.assign(document.createElement("span"), { className: "two cause" });
      slot.dataset.cause = "";
      place.append(slot);
    }
    slot.textContent = cause;
  };

  const show = async (forced) => {
    const answer = await fetch(location.href, {
      headers: { Accept: "text/html", "Doorstep-Live": "1" },
      cache: "no-store",
      signal: AbortSignal.timeout(PATIENCE),
    });
    if (!answer.ok || answer.redirected) throw new Error(`the page answered ${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    // Somebody may have begun to type meanwhile.
    if (!forced && held()) return;
    const told = waiting;
    const news = { forced, causes: new Map(told.map((change) => [String(change.job), change.cause])), later: new Set() };
    const focused = document.activeElement ?? document.body;
    for (const live of document.querySelectorAll("[data-live]")) {
      const after = page.getElementById(live.id);
      const before = written.get(live.id);
      if (!after || !before) continue;
      patch(live, before, muted(after), news);
      written.set(live.id, after);
      htmx.process(live);
    }
    if (!focused.isConnected && focused.getAttribute("href")) {
      document.querySelector(`[data-live] [href="${CSS.escape(focused.getAttribute("href"))}"]`)?.focus();
    }
    const shown = told.filter((change) => !news.later.has(String(change.job)));
    const acts = new Set(shown.map((change) => String(change.id)));
    for (const element of document.querySelectorAll("main [data-job], main [data-act]")) {
      const { job, act } = element.dataset;
      if (job && news.causes.has(job) && !news.later.has(job)) mark(element, news.causes.get(job));
      else if (acts.has(act)) mark(element);
    }
    waiting = told.filter((change) => news.later.has(String(change.job)));
    stale = false;
    document.dispatchEvent(new CustomEvent("live:shown"));
    announce(shown);
  };

  // Once, politely; nobody wants to hear a hundred sentences.
  const announce = (changes) => {
    if (!changes.length || !follows) return;
    const jobs = new Set(changes.map((change) => change.job)).size;
    said.textContent =
      changes.length <= 3
        ? changes.map((change) => change.said).join(" ")
        : fill(jobs === 1 ? words.one : words.more, { count: jobs });
  };

  // Nothing moves while somebody types, has ticked rows, has a dialog open or is about to get one.
  const FIELDS = "input:not([type=checkbox], [type=radio], [type=button], [type=submit], [readonly]), textarea, select, [contenteditable]";
  const BUSY = "dialog[open], [role=dialog]:not([hidden]), .htmx-request, main [data-live] input[type=checkbox]:checked";
  const held = () => document.activeElement?.matches(FIELDS) || Boolean(document.querySelector(BUSY));
  const atTheList = () => {
    const list = document.querySelector("main [data-live] tbody");
    return Boolean(list) && (list.matches(":hover") || list.contains(document.activeElement));
  };

  // ---- Asking ----

  const clock = (time) => {
    const shape = { hour: "numeric", minute: "2-digit", hourCycle: "h23", timeZone: zone };
    const found = new Intl.DateTimeFormat(document.documentElement.lang, shape).formatToParts(time);
    const value = (type) => found.find((one) => one.type === type).value;
    return `${Number(value("hour"))}:${value("minute")}`;
  };
  const say = () => {
    const seconds = Math.round((Date.now() - checked) / 1000);
    if (over) age.textContent = words.signedOut;
    else if (lost) age.textContent = fill(words.lost, { time: clock(checked) });
    else if (seconds < 60) age.textContent = fill(words.seconds, { count: seconds });
    else age.textContent = fill(words.minutes, { count: Math.floor(seconds / 60) });
    line.classList.toggle("live-late", lost || over);
    signIn.hidden = !over;
    againButton.hidden = !lost || over;
    const text = fill(waiting.length === 1 ? words.showOne : words.showMore, { count: waiting.length });
    if (showButton.textContent !== text) showButton.textContent = text;
    showButton.hidden = over || !waiting.length;
  };

  const ask = async () => {
    if (over) return;
    clearTimeout(timer);
    try {
      const answer = await fetch(url, {
        headers: { Accept: "application/json", "If-None-Match": `"${revision}"` },
        cache: "no-store",
        signal: AbortSignal.timeout(PATIENCE),
      });
      over = answer.status === 401 || answer.status === 403;
      if (answer.status === 200) {
        const news = await answer.json();
        revision = news.revision;
        waiting.push(...news.changes);
        stale = true;
      } else if (answer.status !== 304 && !over) throw new Error(`the question was answered ${answer.status}`);
      if (!over && (stale || (waiting.length && !atTheList())) && !held()) await show(false);
      lost = false;
      if (!over) checked = Date.now();
    } catch {
      lost = true;
    }
    say();
    timer = setTimeout(() => inTurn(ask), every * 1000 * (document.hidden ? SLOWER_HIDDEN : 1));
  };

  const press = async (event) => {
    const button = event.currentTarget;
    const mine = button === document.activeElement;
    await inTurn(button === againButton ? ask : () => show(true).catch(() => (lost = true)));
    say();
    if (mine && button.hidden) line.focus();
  };
  showButton.addEventListener("click", press);
  againButton.addEventListener("click", press);
  document.addEventListener("visibilitychange", () => document.hidden || inTurn(ask));
  addEventListener("pageshow", (event) => event.persisted && inTurn(ask));

  if (follows) {
    const head = document.querySelector("main .head");
    if (head) head.firstElementChild.after(line);
    line.hidden = false;
    setInterval(say, 1000);
  }
  say();
  timer = setTimeout(() => inTurn(ask), every * 1000);
})();
