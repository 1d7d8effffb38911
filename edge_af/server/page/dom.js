// Small helpers for the document.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

/** Set a text, and leave it alone where it is the same: live regions would say it again. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Set the text of a badge and its tone: quiet, good, busy, warn or bad. */
export function setBadge(element, text, tone) {
  setText(element, text);
  element.dataset.tone = tone;
}

export function html(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Allow a button or not. It can always have the focus: it would be lost in each command. */
export function allow(button, allowed) {
  button.setAttribute("aria-disabled", String(!allowed));
}

/** Call `action` when a button is pressed that is allowed. */
export function onPress(button, action) {
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-disabled") !== "true") action();
  });
}

/** A text as a sentence: with a capital, and a full stop. */
export function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

/** A number of um for reading, with a true minus sign. */
export function um(value, digits = 2) {
  const text = value.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
}

export const calm = matchMedia("(prefers-reduced-motion: reduce)");
