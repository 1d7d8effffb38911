// Where focus was found, over time.

import { call } from "./api.js";
import { byId, html, setText, svg, um } from "./dom.js";
import { around, axes, onResize, path } from "./figure.js";

const MOST = 200;
const IN_TABLE = 20;
const LEAST_UM = 2;
const LEAST_MS = 60_000;
const MINUTE_MS = 60_000;
const DAY_MS = 1440 * MINUTE_MS;
const STEPS_MS = [
  1 / 6, 1 / 2, 1, 2, 5, 10, 30, 60, 120, 180, 360, 720, 1440, 2880, 7200, 14400, 43200,
].map((minutes) => minutes * MINUTE_MS);

const plot = byId("history");
let entries = []; // the oldest first

/** Fetch the history again and show it. */
export async function refreshHistory() {
  const answer = await call("GET", `history?limit=${MOST}`);
  entries = answer.map((entry) => ({ ...entry, at: Date.parse(entry.at) }))
    .sort((a, b) => a.at - b.at);
  draw();
  fillTable();
}

function draw() {
  const tried = entries.filter(({ kind, end_um }) => kind === "focus" && end_um !== null);
  const found = tried.filter(({ outcome }) => outcome === "focused");
  setText(byId("past"), summary(found.length, tried.length));
  plot.toggleAttribute("hidden", !tried.length);
  if (!tried.length) return;
  const [first, last] = around(tried.map(({ at }) => at), LEAST_MS);
  const { toX, toY } = axes(plot,
    { domain: [first, last], ticks: hours(first, last) },
    { domain: around(tried.map(({ end_um }) => end_um), LEAST_UM), label: "focus, µm" });
  const place = ({ at, end_um }) => [toX(at), toY(end_um)];
  plot.append(svg("path", { class: "curve thin", d: path(found.map(place)) }));
  for (const entry of tried) {
    const [cx, cy] = place(entry);
    const [look, r] = entry.outcome === "focused" ? ["dot", 3] : ["dot hollow", 4];
    plot.append(svg("circle", { class: look, cx, cy, r }));
  }
}

function summary(found, all) {
  if (!all) return "No focus yet";
  return `${found} of ${all} in focus${found < all ? "; the others are rings" : ""}`;
}

/** Return times to write on the axis, at whole minutes, hours or days of the reader's clock. */
function hours(first, last) {
  const wanted_ms = (last - first) / Math.max(3, plot.clientWidth / 120);
  const step = STEPS_MS.find((ms) => ms >= wanted_ms) ?? STEPS_MS.at(-1);
  const zone_ms = new Date(first).getTimezoneOffset() * MINUTE_MS;
  const at = [];
  for (let n = Math.ceil((first - zone_ms) / step); n * step + zone_ms <= last; n += 1) {
    at.push(n * step + zone_ms);
  }
  const written = new Intl.DateTimeFormat([], step >= DAY_MS
    ? { day: "numeric", month: "short" }
    : { hour: "2-digit", minute: "2-digit", ...(step < MINUTE_MS && { second: "2-digit" }) });
  return { at, write: (ms) => written.format(ms) };
}

function fillTable() {
  const written = new Intl.DateTimeFormat([], { dateStyle: "short", timeStyle: "medium" });
  const rows = entries.slice(-IN_TABLE).reverse().map((entry) => html("tr", {},
    html("td", { class: "when" }, written.format(entry.at)),
    html("td", {}, entry.kind),
    html("td", {}, entry.outcome),
    html("td", { class: "figure" }, entry.end_um === null ? "" : um(entry.end_um)),
    html("td", {}, entry.note)));
  byId("entries").replaceChildren(...rows);
}

onResize(plot, draw);
