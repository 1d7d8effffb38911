// The calibration wizard: prepare, measure field by field, look at the result.

import { call } from "./api.js";
import { command } from "./controls.js";
import { allow, byId, html, onPress, sentence, setText, svg } from "./dom.js";
import { around, axes, onResize, path } from "./figure.js";

const STEPS = ["prepare", "measure", "result"];
const RUNNING = new Set(["queued", "running", "waiting"]);

let job = null; // the calibration that is shown
let free = false;
let step_um = null;
const loops = new Map(); // by the number of the field

/** Show whether a calibration can begin, and whether there has been one. */
export function showReadiness(ready, status) {
  free = ready && status?.job === null;
  allow(byId("calibrate-start"), free);
  byId("fields").disabled = !free;
  for (const id of ["proceed", "cancel"]) allow(byId(id), ready);
  if (status) {
    step_um = status.step_um;
    setText(byId("calibrated"), status.calibrated ? "Calibrated" : "Not calibrated yet");
    if (status.job?.kind === "calibrate") showCalibration(status.job);
  }
}

/** Show how a calibration is getting on. */
export function showCalibration(next) {
  if (job?.id === next.id && !RUNNING.has(job.state)) return;
  if (job?.id !== next.id) {
    loops.clear();
    byId("loops").replaceChildren();
  }
  job = next;
  if (RUNNING.has(job.state)) {
    go("measure");
    const waits = job.state === "waiting";
    if (!waits && document.activeElement === byId("proceed")) byId("cancel").focus();
    byId("proceed").hidden = !waits;
    const { what, done, total } = job.progress ?? { what: "starting", done: 0, total: 1 };
    setText(byId("measuring"), waits
      ? `${done} of ${total} fields measured. ${sentence(what)}`
      : sentence(`field ${done + 1} of ${total}: ${what}`));
    byId("measured").max = Math.max(1, total);
    byId("measured").value = done;
    return;
  }
  go("result");
  setText(byId("verdict"), verdict(job));
  showFound(job.result);
}

/** Show the end of a calibration that came while nobody was connected. */
export async function catchUp() {
  if (job && RUNNING.has(job.state)) showCalibration(await call("GET", `jobs/${job.id}`));
}

function go(to) {
  const from = STEPS.find((step) => !byId(step).hidden);
  if (from === to) return;
  // The focus goes along, where it would vanish with what it was on.
  const along = byId(from).contains(document.activeElement);
  for (const [n, step] of STEPS.entries()) {
    byId(step).hidden = step !== to;
    const mark = byId(`step-${step}`);
    mark.toggleAttribute("data-done", n < STEPS.indexOf(to));
    if (step === to) mark.setAttribute("aria-current", "step");
    else mark.removeAttribute("aria-current");
  }
  if (along) byId(to).querySelector("button:not([hidden]), input").focus();
}

function verdict({ state, error, result }) {
  if (state === "failed") return sentence(`it could not be measured: ${error}`);
  if (state !== "done") return "It was stopped, and nothing has changed.";
  const how = result.method === "model" ? "the model" : "sharpness";
  return `Measured by ${how}, and in use from now on.`;
}

function showFound(found) {
  const table = byId("found");
  table.closest(".scroll").hidden = !found;
  if (!found) return;
  const rows = [
    ["Runs backwards", found.reversed === null ? "as configured" : found.reversed ? "yes" : "no"],
    ["Step, µm", ...measured(found.step_um)],
    ["Backlash, µm", ...measured(found.backlash_um)],
    ["Settle time, s", ...measured(found.settle_s)],
    ["Focus offset, µm", ...measured(found.focus_offset_um)],
  ];
  table.replaceChildren(...rows.map(([name, value, uncertainty = ""]) =>
    html("tr", {},
      html("th", { scope: "row" }, name),
      html("td", { class: "figure" }, value),
      html("td", { class: "figure" }, uncertainty))));
}

function measured(value) {
  if (!value) return ["as configured"];
  return [Number(value.value.toPrecision(4)).toString().replace("-", "−"),
    Number(value.uncertainty.toPrecision(2)).toString()];
}

/** Take in what the model says during a calibration: the plots grow as it is measured. */
export function showReading({ position_um, density, here_um }) {
  if (!job || !RUNNING.has(job.state) || !job.progress) return;
  const number = job.progress.done + 1;
  if (!loops.has(number)) loops.set(number, new Loop(number));
  const best_um = position_um[density.indexOf(Math.max(...density))];
  loops.get(number).add({ at_um: here_um, defocus_um: here_um - best_um });
}

/** Readings of one field on the way up and on the way down: the gap between is the backlash. */
class Loop {
  #readings = [];
  #step_um = step_um;
  #plot;

  constructor(number) {
    const name = `Field ${number}`;
    this.#plot = svg("svg", { class: "plot", role: "img",
      "aria-label": `${name}: readings on the way up and on the way down` });
    byId("loops").append(html("figure", {}, this.#plot, html("figcaption", {}, `${name}: `,
      html("span", { class: "key" }), " up ", html("span", { class: "key second" }), " down")));
    onResize(this.#plot, () => this.#draw());
  }

  add(reading) {
    // Told another step, the stage counts differently.
    if (this.#step_um !== step_um) this.#readings = [];
    this.#step_um = step_um;
    this.#readings.push(reading);
    this.#draw();
  }

  #draw() {
    const readings = this.#readings;
    if (readings.length < 2) return;
    const { toX, toY } = axes(this.#plot,
      { domain: around(readings.map((one) => one.at_um), 2), label: "counted position, µm" },
      { domain: around(readings.map((one) => one.defocus_um), 2), label: "defocus, µm" });
    readings.slice(1).forEach((one, n) => {
      const way = one.at_um > readings[n].at_um ? "" : " second";
      const [[x, y], [cx, cy]] = [readings[n], one].map((r) => [toX(r.at_um), toY(r.defocus_um)]);
      this.#plot.append(
        svg("path", { class: `curve thin${way}`, d: path([[x, y], [cx, cy]]) }),
        svg("circle", { class: `dot${way}`, cx, cy, r: 2.5 }),
      );
    });
  }
}

byId("calibrate").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!free) return;
  const fields = byId("fields").valueAsNumber;
  const good = Number.isInteger(fields) && fields >= 1 && fields <= 20;
  byId("fields").setAttribute("aria-invalid", String(!good));
  if (!good) return;
  const started = await command("POST", "calibrate", { fields });
  if (started && job?.id !== started.id) showCalibration(started);
});
onPress(byId("proceed"), () => command("POST", `jobs/${job.id}/proceed`));
onPress(byId("cancel"), () => command("DELETE", `jobs/${job.id}`));
onPress(byId("again"), () => {
  go("prepare");
  loops.clear();
  byId("loops").replaceChildren();
});
