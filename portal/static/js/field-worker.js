// Opens a technician's pages without signal: what was seen last is shown again. What is sent passes by here untouched;
// the page keeps it (field.js). Pages are somebody's own: field.js forgets them when somebody else signs in.
"use strict";

const PAGES = "doorstep-field-pages";
const FILES = "doorstep-field-files";
const PATIENCE = 6000;
const OFFLINE = "/field/offline";

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

const keep = async (name, request, response) => {
  const cache = await caches.open(name);
  await cache.put(request, response);
};

// A file whose address names its version never changes; others are asked for first.
const file = async (request) => {
  const versioned = new URL(request.url).searchParams.has("v") || request.url.includes("/brand/");
  const known = await caches.match(request, { cacheName: FILES });
  if (known && versioned) return known;
  try {
    const response = await fetch(request);
    if (response.ok) await keep(FILES, request, response.clone());
    return response;
  } catch (error) {
    if (known) return known;
    throw error;
  }
};

const page = async (request) => {
  const { pathname } = new URL(request.url);
  const known = async () =>
    (await caches.match(pathname, { cacheName: PAGES })) ?? (await caches.match(OFFLINE, { cacheName: PAGES })) ?? Response.error();
  const asking = fetch(request).then(async (response) => {
    const html = (response.headers.get("Content-Type") ?? "").startsWith("text/html");
    if (response.ok && !response.redirected && html) await keep(PAGES, pathname, response.clone());
    return response;
  });
  asking.catch(() => {});
  const tired = new Promise((resolve) => setTimeout(resolve, PATIENCE));
  try {
    return (await Promise.race([asking, tired])) ?? (await caches.match(pathname, { cacheName: PAGES })) ?? (await asking);
  } catch {
    return known();
  }
};

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  if (request.mode === "navigate" && url.pathname.startsWith("/field/")) event.respondWith(page(request));
  else if (/^\/(static|brand|words)\//.test(url.pathname) || /^\/field\/photos\/\d+\/small$/.test(url.pathname)) event.respondWith(file(request));
});
