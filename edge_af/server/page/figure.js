// Axes for plots drawn as SVG. Everything is laid out in CSS pixels of the element.

import { svg, um } from "./dom.js";

const MARGIN = { right: 8, bottom: 34, left: 8 };
const LETTER = 7;

/** Call `draw` now and whenever the element gets another size. */
export function onResize(element, draw) {
  new ResizeObserver(draw).observe(element);
}

/** Return about `count` round numbers between two others. */
export function ticks([low, high], count) {
  const rough = (high - low) / Math.max(1, count);
  const decade = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * decade).find((n) => n >= rough * 0.999);
  const found = [];
  for (let n = Math.ceil(low / step); n * step <= high + step * 1e-6; n += 1) found.push(n * step);
  return { at: found, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

/** Return a domain a little wider than the values, and never empty. */
export function around(values, least) {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const margin = Math.max((high - low) * 0.06, (least - (high - low)) / 2);
  return [low - margin, high + margin];
}

/**
 * Clear a plot and draw its axes; return where values lie.
 *
 * `x` and `y` are {domain: [low, high], label}; a `y` without a label has no scale, and `x`
 * may bring its `ticks` as {at, write}.
 */
export function axes(plot, x, y) {
  const { width, height } = plot.getBoundingClientRect();
  const left = y.label ? 44 : MARGIN.left;
  const top = y.label ? 26 : 18;
  const right = Math.max(left + 1, width - MARGIN.right);
  const bottom = Math.max(top + 1, height - MARGIN.bottom);
  const toX = scale(x.domain, [left, right]);
  const toY = scale(y.domain, [bottom, top]);
  const parts = [svg("path", { class: "axis", d: `M${left} ${bottom}H${right}` })];

  const across = x.ticks ?? ticks(x.domain, (right - left) / 55);
  for (const at of across.at) {
    const text = across.write?.(at) ?? um(at, across.digits);
    const half = (LETTER * text.length) / 2;
    const place = Math.min(Math.max(toX(at), half), width - half);
    parts.push(svg("path", { class: "axis", d: `M${toX(at)} ${bottom}v5` }));
    parts.push(svg("text", { x: place, y: bottom + 17, "text-anchor": "middle" }, text));
  }
  if (x.label) {
    parts.push(svg("text", { x: right, y: bottom + 31, "text-anchor": "end" }, x.label));
  }
  if (y.label) {
    const up = ticks(y.domain, (bottom - top) / 40);
    for (const at of up.at) {
      parts.push(svg("path", { class: "axis", d: `M${left} ${toY(at)}H${right}` }));
      const place = { x: left - 6, y: toY(at) + 4, "text-anchor": "end" };
      parts.push(svg("text", place, um(at, up.digits)));
    }
    parts.push(svg("text", { x: 0, y: 10 }, y.label));
  }
  plot.replaceChildren(...parts);
  return { toX, toY, left, right, top, bottom };
}

/** Return the path through points [x, y], in pixels. */
export function path(points) {
  return points.map(([x, y], n) => `${n ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
}

function scale([low, high], [from, to]) {
  return (value) => from + ((value - low) / (high - low)) * (to - from);
}
