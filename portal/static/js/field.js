// What a technician's pages gain with JavaScript: what is done without signal is kept on the phone and sent later, in
// order, once each, with the time at which it happened. What has become impossible meanwhile is shown with the reason.
"use strict";

(() => {
  const bar = document.querySelector("#sync");
  if (!bar || !window.indexedDB || !navigator.locks) return;
  // `page` is the address that opens this page again; what answers a form has none.
  const { who, token: tokenUrl, worker, offline: offlineUrl, start, page } = bar.dataset;
  const words = scriptWords.field;
  const part = (name) => bar.querySelector(`[data-${name}]`);
  const [said, signIn, again, all, list] = ["said", "sign-in", "again", "all", "list"].map(part);
  const PAGES = "doorstep-field-pages";
  const FILES = "doorstep-field-files";
  const OWNER = "doorstep field pages of";
  const EVERY = 30000;
  const PATIENCE = 20000;
  // A photo takes its time where signal is poor.
  const PATIENCE_SENDING = 300000;
  const MOST_PAGES = 20;
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
  const element = (name, text = "", attributes = {}) => {
    const made = Object.assign(document.createElement(name), attributes);
    made.textContent = text;
    return made;
  };

  // ---- What is kept on the phone ----

  const opened = idb.openDB("doorstep-field", 1, {
    upgrade: (store) => store.createObjectStore("kept", { keyPath: "id", autoIncrement: true }),
  });
  const everything = async () => (await (await opened).getAll("kept")).filter((one) => one.who === who);
  const get = async (id) => (await opened).get("kept", id);
  const put = async (one) => (await opened).put("kept", one);
  const drop = async (id) => (await opened).delete("kept", id);
  const key = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

  const forget = async () => {
    if (!window.caches) return;
    await caches.delete(PAGES);
    await caches.delete(FILES);
  };

  // ---- Sending ----

  // How the last try went: "" for well, else a word of ours.
  let trouble = "";
  // Visits that are somebody else's by now: their pages open no more.
  const gone = new Set();

  const ask = async (url, options = {}) => {
    const answer = await fetch(url, { redirect: "manual", cache: "no-store", signal: AbortSignal.timeout(options.body ? PATIENCE_SENDING : PATIENCE), ...options, headers: { Accept: "application/json" } });
    if (answer.type === "opaqueredirect" || answer.status === 401) throw Object.assign(new Error("signed out"), { trouble: "signedOut" });
    return answer;
  };
  // A token of this session, whatever the one in the page is of, and how far the phone's clock is off.
  const greeted = async () => {
    const answer = await ask(tokenUrl);
    if (!answer.ok) throw Object.assign(new Error("busy"), { trouble: "busy" });
    const { token, who: present, now } = await answer.json();
    // Somebody else has signed in: what is kept here is not theirs to send.
    if (present !== who) throw Object.assign(new Error("somebody else"), { trouble: "signedOut" });
    return { token, ahead: Date.now() - Date.parse(now) };
  };
  const post = async (one, { token, ahead }) => {
    const body = new FormData();
    for (const [name, value] of one.fields) body.append(name, value);
    body.set("csrf_token", token);
    body.set("client_key", one.key);
    body.set("happened_at", new Date(one.at - ahead).toISOString());
    return ask(one.url, { method: "POST", body });
  };
  const reason = async (answer) => {
    if (answer.status === 404) return words.lost;
    try {
      return (await answer.json()).message || words.unreadable;
    } catch {
      return words.unreadable;
    }
  };

  // One page at a time sends, and each thing only once the one before it has arrived.
  const send = () =>
    navigator.locks.request("doorstep-field-send", async () => {
      const waiting = (await everything()).filter((one) => !one.refused);
      if (!waiting.length) {
        trouble = "";
        return;
      }
      try {
        let greeting = await greeted();
        for (const one of waiting) {
          let answer = await post(one, greeting);
          if (answer.status === 400) {
            greeting = await greeted();
            answer = await post(one, greeting);
          }
          if (answer.status === 429 || answer.status === 403 || answer.status >= 500) throw Object.assign(new Error("busy"), { trouble: "busy" });
          if (answer.status === 404) gone.add(one.visit);
          if (answer.ok) await drop(one.id);
          else await put({ ...one, refused: await reason(answer) });
        }
        trouble = "";
      } catch (error) {
        trouble = error.trouble ?? "noSignal";
      }
    });

  // ---- Saying so ----

  const clock = new Intl.DateTimeFormat(document.documentElement.lang, {
    hour: "numeric", minute: "2-digit", hourCycle: "h23", timeZone: bar.dataset.zone,
  });
  const titled = (one) => fill(words.of, { what: one.what, time: clock.format(one.at) });
  const counted = (count, singular, plural) => (count === 1 ? singular : fill(plural, { count }));

  const line = (one) => {
    const item = element("li");
    item.append(element("strong", titled(one)), element("br"), element("span", one.of));
    if (!one.refused) return item;
    const acts = element("p", "", { className: "sync-acts" });
    const remove = element("button", words.remove, { type: "button", className: "as-link" });
    remove.addEventListener("click", async () => {
      await drop(one.id);
      show();
    });
    acts.append(element("a", words.open, { href: one.then }), remove);
    item.append(element("p", `${one.refused.replace(/[^.!?]$/, "$&.")} ${words.whatToDo}`), acts);
    return item;
  };
  const show = async () => {
    const kept = await everything();
    const waiting = kept.filter((one) => !one.refused);
    const refused = kept.length - waiting.length;
    const told = [];
    if (waiting.length) {
      const count = counted(waiting.length, words.one, words.more);
      told.push(fill(words[trouble || "sending"], { waiting: count }));
    }
    if (refused) told.push(counted(refused, words.oneRefused, words.moreRefused));
    const text = told.join(". ");
    if (said.textContent !== text) said.textContent = text;
    bar.hidden = !kept.length;
    signIn.hidden = trouble !== "signedOut" || !waiting.length;
    again.hidden = !waiting.length || trouble === "signedOut";
    list.replaceChildren(...kept.map(line));
    // What is to be decided on is in view; what merely waits is a press away.
    if (refused) all.open = true;
    advance(waiting);
  };

  // ---- The page of a visit, as it will be once everything has arrived ----

  const offline = document.querySelector("#offline");
  const dock = document.querySelector("#dock");
  const flow = offline && JSON.parse(offline.dataset.flow);
  const visit = document.querySelector("form[data-visit]")?.dataset.visit;
  const tag = () => element("span", words.waiting, { className: "tag tag-wait" });
  let drawn = "";

  const advance = (waiting) => {
    const mine = waiting.filter((one) => one.visit === visit);
    const now = mine.map((one) => one.key).join(" ");
    if (now === drawn) return;
    drawn = now;
    document.querySelectorAll("[data-kept]").forEach((one) => one.remove());
    mine.filter((one) => one.name === "note").forEach(addNote);
    mine.filter((one) => one.name === "photo").forEach(addPhoto);
    if (offline && dock) takeSteps(mine.filter((one) => one.name in flow.steps));
  };
  const addNote = (one) => {
    const item = element("li", new Map(one.fields).get("note"));
    item.dataset.kept = "";
    item.append(element("br"), element("span", clock.format(one.at), { className: "muted small" }), " ", tag());
    document.querySelector("#note-list")?.append(item);
  };
  const addPhoto = (one) => {
    const figure = element("figure", "", { className: "photo" });
    figure.dataset.kept = "";
    const caption = element("figcaption", `${new Map(one.fields).get("caption") || one.what}, ${clock.format(one.at)} `);
    caption.append(tag());
    const { photo } = Object.fromEntries(one.fields);
    const reader = new FileReader();
    reader.addEventListener("load", () => {
      const image = element("img", "", { alt: "", src: reader.result });
      image.addEventListener("error", () => image.remove());
      figure.prepend(image);
    });
    if (photo instanceof Blob && photo.size) reader.readAsDataURL(photo);
    figure.append(caption);
    document.querySelector("#photo-list")?.append(figure);
  };
  // Where the visit stands once `steps` have been taken, and what its dock then offers.
  const after = (steps) => {
    let { status } = offline.dataset;
    let move = Number(offline.dataset.move);
    let begun = "begun" in offline.dataset;
    for (const { name } of steps) {
      status = flow.steps[name].to;
      if (flow.steps[name].renumbers) move += 1;
      begun ||= flow.steps[name].begins;
    }
    return { ...flow.states[status], move, begun };
  };
  const offered = (name, { move, begun }) => {
    const copy = offline.querySelector(`template[data-step="${name}"]`).content.cloneNode(true);
    copy.querySelector("[name=move_number]").value = move;
    // When it continues may be left out once work has begun, and then as a whole.
    const asked = [...copy.querySelectorAll("[data-asked] input")];
    const demand = () => asked.forEach((input) => (input.required = !begun || asked.some(({ value }) => value)));
    asked.forEach((input) => input.addEventListener("input", demand));
    demand();
    return copy;
  };
  const takeSteps = (steps) => {
    if (!steps.length) return;
    const state = after(steps);
    const { label, css } = state;
    const badge = element("span", `${label}, ${clock.format(steps.at(-1).at)}`, { className: `status ${css}` });
    const badges = element("span", "", { className: "badges" });
    badges.append(badge, " ", tag());
    document.querySelector("#state").replaceChildren(badges);
    dock.replaceChildren(...[state.next, ...state.ways].filter(Boolean).map((name) => offered(name, state)));
    window.makeRoomToSign?.(dock);
    // What was written for the step that is done belongs to no form any more.
    document.querySelector("#service")?.remove();
  };

  // A step that asks something has a page of its own, which does not open without signal: then the dock asks.
  dock?.addEventListener("click", (event) => {
    const asking = event.target.closest("a[data-ask]");
    if (!asking || !offline || (navigator.onLine && trouble !== "noSignal")) return;
    event.preventDefault();
    const way = offered(asking.dataset.ask, after([])).firstElementChild;
    way.open = true;
    asking.closest(".actions").after(way);
    asking.remove();
    way.querySelector("input:not([type=hidden]), textarea").focus();
  });

  // ---- What is typed and not sent yet ----

  // The page shows itself anew when something arrived; what somebody is writing meanwhile is on it again afterwards.
  const TYPED = "doorstep field typed";
  const typed = (sent) =>
    [...document.querySelectorAll("textarea, input[type=text]")]
      .filter((one) => one.id && one.form?.dataset.queue && one.form !== sent && one.value !== one.defaultValue)
      .map((one) => [one.id, one.value]);
  const keepTyped = (sent) => sessionStorage.setItem(TYPED, JSON.stringify({ who, page, fields: typed(sent) }));
  const showAnew = (sent) => {
    keepTyped(sent);
    location.reload();
  };
  const restore = () => {
    const before = JSON.parse(sessionStorage.getItem(TYPED) ?? "{}");
    sessionStorage.removeItem(TYPED);
    if (!page || before.page !== page || before.who !== who) return;
    for (const [id, value] of before.fields) {
      const field = document.getElementById(id);
      if (field?.form?.dataset.queue) field.value = value;
    }
  };
  restore();
  // A file cannot be put back where it was chosen.
  const hasFile = () => [...document.querySelectorAll("form[data-queue] input[type=file]")].some((one) => one.files.length);

  // ---- What is sent ----

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.dataset.queue || form.dataset.plain || event.submitter?.hasAttribute("data-later")) {
      keepTyped(form);
      return;
    }
    event.preventDefault();
    if (form.dataset.busy) return;
    form.dataset.busy = "yes";
    const { queue: name, what, of, then } = form.dataset;
    const fields = [...new FormData(form)].filter(([field]) => !["csrf_token", "client_key"].includes(field));
    const one = { key: key(), who, url: form.action, name, visit: form.dataset.visit, what, of, then, fields, at: Date.now() };
    try {
      one.id = await put(one);
    } catch {
      // No room on the phone: as without JavaScript, and the person sees what becomes of it.
      form.dataset.plain = "yes";
      form.submit();
      return;
    }
    await send();
    const left = await get(one.id);
    if (!left) {
      show();
      if (location.pathname === then) showAnew(form);
      else location.assign(then);
      return;
    }
    if (gone.has(visit)) {
      location.assign(start);
      return;
    }
    if (left.refused || (trouble && !form.checkValidity())) {
      // The page that the server makes of it says best what is wrong; without signal the browser does.
      await drop(one.id);
      delete form.dataset.busy;
      if (left.refused) form.submit();
      else form.reportValidity();
      return;
    }
    form.reset();
    delete form.dataset.busy;
    await show();
    if (location.pathname !== then) location.assign(then);
    else if (document.activeElement === document.body) dock?.querySelector("button")?.focus();
  });
  document.querySelector('form[action$="/logout"]')?.addEventListener("submit", async (event) => {
    event.preventDefault();
    await forget();
    event.target.submit();
  });

  let leaving = false;
  addEventListener("beforeunload", () => (leaving = true));
  const sendAndShow = async () => {
    const before = (await everything()).filter((one) => !one.refused).length;
    if (before) await send();
    await show();
    const left = (await everything()).filter((one) => !one.refused).length;
    // What was refused, and why, stands on the page of the day too.
    if (gone.has(visit) && !leaving) location.assign(start);
    // The page was made before what has arrived since; who is going elsewhere anyway is not held.
    else if (page && before && !left && !leaving && !hasFile() && !document.querySelector("form[data-busy]")) showAnew();
  };
  again.addEventListener("click", sendAndShow);
  addEventListener("online", sendAndShow);
  addEventListener("offline", async () => {
    trouble = "noSignal";
    await show();
  });
  document.addEventListener("visibilitychange", () => document.hidden || sendAndShow());
  setInterval(() => document.hidden || sendAndShow(), EVERY);

  // ---- Pages that open without signal ----

  const prepare = async () => {
    if (!navigator.serviceWorker || !window.caches) return;
    if (localStorage.getItem(OWNER) !== who) {
      await forget();
      localStorage.setItem(OWNER, who);
    }
    await navigator.serviceWorker.register(worker, { scope: "/field/" });
    const cache = await caches.open(PAGES);
    const rest = [...document.querySelectorAll(".rows a.row-link")].map((link) => link.pathname).slice(0, MOST_PAGES);
    for (const path of new Set([page, offlineUrl, ...rest].filter(Boolean))) {
      const answer = await fetch(path, { redirect: "manual" });
      if (answer.ok) await cache.put(path, answer);
    }
    const files = await caches.open(FILES);
    const shell = [...document.querySelectorAll('script[src], link[rel="stylesheet"]')].map((one) => one.src || one.href);
    await Promise.all(shell.map(async (url) => (await files.match(url)) ?? files.add(url)));
    document.documentElement.dataset.offlineReady = "yes";
  };

  sendAndShow();
  prepare().catch(() => {
    // Without signal what was prepared before does.
  });
})();
