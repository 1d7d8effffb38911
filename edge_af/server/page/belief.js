// The belief over the focus position, as a curve that moves.

import { byId, calm, setText, svg, um } from "./dom.js";
import { axes, onResize, path } from "./figure.js";

const MOVES_MS = 220;
const POINTS = 240;
const SEEN_SHARE = 0.999;
const NARROWEST_UM = 10;
const MARGIN = 0.15;

const plot = byId("belief");
let belief = null; // {position_um, density}
let here_um = null;
let limits = [null, null];
// A curve is {domain, here_um, position_um, height}, its highest point 1.
let from = null;
let shown = null;
let goal = null;
let began_ms = 0;

/** Show a belief {position_um, density, here_um}. */
export function showBelief(next) {
  belief = next;
  here_um = next.here_um;
  const [low, middle, high] = quantiles([0.05, 0.5, 0.95]);
  const apart = um((high - low) / 2, high - low < 10 ? 2 : 1);
  setText(byId("believed"), `${um(middle, 1)} µm, nine times in ten within ±${apart} µm`);
  move();
}

/** Show where the stage stands, and its limits. */
export function showPlace(place_um, low_um, high_um) {
  const same = place_um === here_um && low_um === limits[0] && high_um === limits[1];
  if (place_um === null || same) return;
  [here_um, limits] = [place_um, [low_um, high_um]];
  if (!belief) setText(byId("believed"), "Nothing is known before the first focus");
  move();
}

function move() {
  const waiting = goal !== null && goal !== shown;
  from = shown;
  goal = {
    domain: seen_um(),
    here_um,
    position_um: belief?.position_um ?? [here_um, here_um + 1],
    height: belief ? scaled(belief.density) : [0, 0],
  };
  from ??= goal;
  began_ms = performance.now();
  if (!waiting) requestAnimationFrame(step);
}

function step(now_ms) {
  const t = calm.matches ? 1 : Math.min(1, Math.max(0, (now_ms - began_ms) / MOVES_MS));
  shown = t < 1 ? between(from, goal, t * (2 - t)) : goal;
  draw();
  if (t < 1) requestAnimationFrame(step);
}

/** Return the curve that is part of the way from one to another. */
function between(a, b, share) {
  const mix = (one, other) => one + (other - one) * share;
  const domain = [0, 1].map((end) => mix(a.domain[end], b.domain[end]));
  const position_um = samples(domain);
  const height = position_um.map((x_um) => mix(heightAt(a, x_um), heightAt(b, x_um)));
  return { domain, here_um: mix(a.here_um, b.here_um), position_um, height };
}

function draw() {
  if (!shown) return;
  const { domain } = shown;
  const { toX, toY, left, right, top, bottom } = axes(
    plot, { domain, label: "stage position, µm" }, { domain: [0, 1.05] },
  );
  const beyond = (x, end) => {
    if (end > x) plot.append(svg("rect", { class: "beyond", x, y: top, width: end - x,
      height: bottom - top }));
  };
  if (limits[0] !== null) beyond(left, Math.min(right, toX(limits[0])));
  if (limits[1] !== null) beyond(Math.max(left, toX(limits[1])), right);
  if (belief) {
    const line = path(samples(domain).map((x_um) => [toX(x_um), toY(heightAt(shown, x_um))]));
    plot.append(
      svg("path", { class: "area", d: `${line}L${right} ${bottom}L${left} ${bottom}Z` }),
      svg("path", { class: "curve", d: line }),
    );
  }
  const x = toX(shown.here_um);
  const leftwards = x > (left + right) / 2;
  plot.append(
    svg("path", { class: "here", d: `M${x} ${top - 14}V${bottom}` }),
    svg("text", { class: "mark", x: leftwards ? x - 6 : x + 6, y: top - 4,
      "text-anchor": leftwards ? "end" : "start" }, `stage at ${um(shown.here_um)}`),
  );
}

function samples([low, high]) {
  return Array.from({ length: POINTS + 1 }, (_, n) => low + ((high - low) * n) / POINTS);
}

function scaled(values) {
  const top = Math.max(...values);
  return values.map((value) => value / top);
}

function heightAt({ position_um, height }, x_um) {
  const last = position_um.length - 1;
  if (x_um < position_um[0] || x_um > position_um[last]) return 0;
  let [low, high] = [0, last];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (position_um[middle] <= x_um) low = middle;
    else high = middle;
  }
  const share = (x_um - position_um[low]) / (position_um[high] - position_um[low]);
  return height[low] + (height[high] - height[low]) * share;
}

function quantiles(shares) {
  let sum = 0;
  const below = belief.density.map((value) => (sum += value));
  return shares.map((share) => belief.position_um[below.findIndex((mass) => mass >= share * sum)]);
}

/** Return the stretch that holds nearly all of the belief, and the stage. */
function seen_um() {
  const tail = (1 - SEEN_SHARE) / 2;
  const ends = belief ? [...quantiles([tail, 1 - tail]), here_um] : [here_um];
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  const margin = Math.max(MARGIN * (high - low), (NARROWEST_UM - (high - low)) / 2);
  return [low - margin, high + margin];
}

onResize(plot, draw);
