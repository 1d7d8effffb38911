// The live picture, with what the model made of its tiles.

import { open } from "./api.js";
import { byId, onPress, setText, svg } from "./dom.js";
import { Link } from "./link.js";
import { readParts } from "./parse.js";

const SILENCE_MS = 15_000;
const BAR_SHARE = 0.25;

const picture = byId("picture");
const overlay = byId("overlay");
const stage = picture.parentElement;
let latest = null; // what X-Picture said of it

const link = new Link({
  silenceMs: SILENCE_MS,
  open: (signal) => open("GET", "preview", signal),
  read: (response, alive) => readParts(response, show, alive),
  lost: () => stale(true),
});

/** Show the preview, or hold it: nobody is connected then. */
export function setPreview(on) {
  link.wanted = on && !paused();
  if (!on) stale(true);
}

/** Free the preview's connection at once, for something that may not wait. */
export function yieldPreview() {
  link.yield();
}

async function show(headers, bytes) {
  const type = headers["content-type"] ?? "image/jpeg";
  const image = await createImageBitmap(new Blob([bytes], { type }));
  if (picture.width !== image.width || picture.height !== image.height) {
    picture.width = image.width;
    picture.height = image.height;
  }
  picture.getContext("2d").drawImage(image, 0, 0);
  image.close();
  latest = headers["x-picture"] ? JSON.parse(headers["x-picture"]) : null;
  picture.dataset.shown = Number(picture.dataset.shown ?? 0) + 1;
  byId("no-picture").hidden = true;
  stale(false);
  mark();
}

function stale(is) {
  stage.toggleAttribute("data-stale", is);
}

function mark() {
  overlay.replaceChildren();
  setText(byId("sight"), latest ? sight(latest) : "");
  if (!latest) return;
  const { width_px, height_px, um_per_px, tiles } = latest;
  overlay.setAttribute("viewBox", `0 0 ${width_px} ${height_px}`);
  const { width, height } = overlay.getBoundingClientRect();
  // Frame pixels per CSS pixel, so that letters have one size whatever the frame's.
  const zoom = Math.max(width_px / width, height_px / height);
  if (byId("tiles").getAttribute("aria-pressed") === "true") {
    for (const tile of tiles) overlay.append(...outline(tile, zoom));
  }
  overlay.append(...scaleBar(width_px, height_px, um_per_px, zoom));
}

function outline({ box_px: [x, y, width, height], confidence, used }, zoom) {
  const inset = 2 * zoom;
  const box = svg("rect", { class: used ? "tile" : "tile unused", x: x + inset, y: y + inset,
    width: width - 2 * inset, height: height - 2 * inset,
    ...(used && { "stroke-opacity": 0.25 + 0.75 * confidence }) });
  if (!used || width / zoom < 34) return [box];
  const label = svg("text", { x: x + 7 * zoom, y: y + 18 * zoom, "font-size": 12 * zoom },
    `${Math.round(100 * confidence)}%`);
  return [box, label];
}

function scaleBar(width_px, height_px, um_per_px, zoom) {
  const most = BAR_SHARE * width_px * um_per_px;
  const decade = 10 ** Math.floor(Math.log10(most));
  const length_um = decade * (most >= 5 * decade ? 5 : most >= 2 * decade ? 2 : 1);
  const right = width_px - 14 * zoom;
  const left = right - length_um / um_per_px;
  const y = height_px - 14 * zoom;
  const d = `M${left} ${y}H${right}`;
  return [
    svg("path", { class: "bar-um under", d }),
    svg("path", { class: "bar-um", d }),
    svg("text", { x: (left + right) / 2, y: y - 8 * zoom, "font-size": 12 * zoom,
      "text-anchor": "middle" }, `${length_um} µm`),
  ];
}

function sight({ tiles, abstained }) {
  if (abstained) return `Abstains: ${abstained}`;
  const used = tiles.filter((tile) => tile.used).map((tile) => tile.confidence);
  if (!used.length) return "";
  const middle = Math.round(100 * used.sort((a, b) => a - b)[used.length >> 1]);
  return `${used.length} ${used.length === 1 ? "tile" : "tiles"}, median confidence ${middle}%`;
}

const paused = () => byId("pause").getAttribute("aria-pressed") === "true";

function toggle(button) {
  button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
}

onPress(byId("tiles"), () => {
  toggle(byId("tiles"));
  mark();
});
onPress(byId("pause"), () => {
  toggle(byId("pause"));
  link.wanted = !paused();
  stale(paused());
});
new ResizeObserver(mark).observe(overlay);
