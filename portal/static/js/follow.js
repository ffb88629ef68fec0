// What a customer's page gains with JavaScript while a visit happens: it asks now and then whether anything is new, and
// only then shows itself anew. An answer that nothing is new changes nothing on the page but the line that says so.
"use strict";

(() => {
  const line = () => document.querySelector("[data-follow]");
  if (!line()) return;
  const SLOWER_HIDDEN = 10;
  const PATIENCE = 20000;
  const { url, zone, fresh, lost: lostWords } = line().dataset;
  const every = Number(line().dataset.every);
  let { revision } = line().dataset;
  let checked = Date.now();
  let lost = false;
  let over = false;
  let timer;
  // One question at a time.
  let queue = Promise.resolve();
  const inTurn = (run) => (queue = queue.then(run));

  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
  const clock = (time) => {
    const shape = { hour: "numeric", minute: "2-digit", hourCycle: "h23", timeZone: zone };
    const found = new Intl.DateTimeFormat(document.documentElement.lang, shape).formatToParts(time);
    const value = (type) => found.find((one) => one.type === type).value;
    return `${Number(value("hour"))}:${value("minute")}`;
  };

  // How old the page is; nobody has it read out.
  const say = () => {
    const here = line();
    if (!here) return;
    const again = here.querySelector("[data-again]");
    const words = lost ? fill(lostWords, { time: clock(checked) }) : fill(fresh, { time: clock(checked), every: Math.round(every) });
    const text = here.querySelector("[data-line]");
    if (text.textContent !== words) text.textContent = words;
    here.classList.toggle("live-late", lost);
    again.hidden = !lost;
  };

  // What is new is said once, politely: the step, not every position on the way there.
  let said = document.querySelector("[data-said]")?.dataset.said;
  const announce = (words) => {
    if (!words || words === said) return;
    said = words;
    document.querySelector("#said").textContent = words;
  };

  const parts = (root) => [...root.querySelectorAll("main [data-part]")];
  const refocus = (part, focused) => {
    if (!focused || focused.isConnected) return;
    const words = focused.textContent.trim();
    const same = [...part.querySelectorAll(focused.nodeName)].find((one) => one.textContent.trim() === words);
    (same ?? line())?.focus();
  };
  const showAnew = async () => {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    if (!answer.ok || answer.redirected) throw new Error(`the page answered ${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const focused = document.activeElement;
    for (const part of parts(document)) {
      const after = page.getElementById(part.id);
      if (!after) continue;
      const shown = document.importNode(after, true);
      const mine = part.contains(focused) ? focused : null;
      part.replaceWith(shown);
      refocus(shown, mine);
    }
    document.title = page.title;
    announce(page.querySelector("[data-said]")?.dataset.said);
    over = !line();
  };

  const ask = async () => {
    if (over) return;
    clearTimeout(timer);
    try {
      const answer = await fetch(url, {
        headers: { Accept: "application/json", "If-None-Match": `"${revision}"` },
        cache: "no-store",
        redirect: "manual",
        signal: AbortSignal.timeout(PATIENCE),
      });
      if (answer.status === 410) {
        location.reload();
        return;
      }
      if (answer.status === 200) {
        const news = await answer.json();
        const event = new CustomEvent("follow:news", { detail: news, cancelable: true });
        if (document.dispatchEvent(event)) await showAnew();
        else announce(news.heading);
        revision = news.revision;
      } else if (answer.status !== 304) throw new Error(`the question was answered ${answer.status}`);
      lost = false;
      checked = Date.now();
    } catch {
      lost = true;
    }
    say();
    timer = setTimeout(() => inTurn(ask), every * 1000 * (document.hidden ? SLOWER_HIDDEN : 1));
  };

  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-again]") || over) return;
    event.preventDefault();
    line().focus();
    inTurn(ask);
  });
  document.addEventListener("visibilitychange", () => document.hidden || inTurn(ask));
  addEventListener("pageshow", (event) => event.persisted && inTurn(ask));
  say();
  timer = setTimeout(() => inTurn(ask), every * 1000);
})();
