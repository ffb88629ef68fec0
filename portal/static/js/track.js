// The map of somebody on the way. All it shows stands beside it in words, so that nobody needs it.
"use strict";

(() => {
  const box = document.querySelector("#map");
  const part = (name) => document.querySelector(`[data-${name}]`);
  const home = box.dataset.home ? JSON.parse(box.dataset.home) : null;
  const STREET = 15;
  let map;
  let pin;
  let way;

  const sign = (name, size, anchor) => L.divIcon({ className: name, iconSize: size, iconAnchor: anchor });
  const around = (place) => (home ? map.fitBounds([home, place], { padding: [40, 40], maxZoom: STREET }) : map.setView(place, STREET));

  const draw = (place) => {
    box.hidden = false;
    map = L.map(box, { attributionControl: false, zoomControl: false, fadeAnimation: false });
    L.control.zoom({ zoomInTitle: box.dataset.in, zoomOutTitle: box.dataset.out }).addTo(map);
    // Map servers want to know which site asks, and no more than that.
    if (box.dataset.tiles) L.tileLayer(box.dataset.tiles, { maxZoom: 19, referrerPolicy: "origin" }).addTo(map);
    around(place);
    const fixed = { interactive: false, keyboard: false };
    if (home) {
      way = L.polyline([place, home], { ...fixed, className: "way" }).addTo(map);
      L.marker(home, { ...fixed, icon: sign("pin pin-home", [24, 24], [12, 24]), alt: box.dataset.where }).addTo(map);
    }
    pin = L.marker(place, { ...fixed, icon: sign("pin pin-van", [28, 28], [14, 14]), alt: box.dataset.who }).addTo(map);
  };

  const show = (place) => {
    if (!place) return;
    if (!map) {
      draw(place);
      return;
    }
    pin.setLatLng(place);
    way?.setLatLngs([place, home]);
    if (!map.getBounds().pad(-0.05).contains(place)) around(place);
  };

  document.addEventListener("follow:news", (event) => {
    event.preventDefault();
    const news = event.detail;
    part("heading").textContent = news.heading;
    part("eta").hidden = !news.expected;
    part("expected").textContent = news.expected ?? "";
    part("age").textContent = news.age ?? "";
    part("sentence").textContent = news.sentence;
    document.title = document.title.replace(/^.*(?= – )/, news.heading);
    show(news.pin);
  });

  show(JSON.parse(box.dataset.pin));
})();
