// Position, state and commands.

import { call, stop } from "./api.js";
import { allow, byId, html, onPress, sentence, setBadge, setText, svg, um } from "./dom.js";
import { showPlace } from "./belief.js";
import { yieldPreview } from "./preview.js";

const FINEST_JOG_UM = 0.1;
const JOGS_UM = [1, 10, 100, 1000];
const JOG_COLUMNS = 3;
const OVER = new Set(["done", "failed", "cancelled", "stopped"]);

const STATES = {
  off: ["Off", "quiet"],
  starting: ["Starting", "busy"],
  idle: ["Idle", "good"],
  focusing: ["Focusing", "busy"],
  moving: ["Moving", "busy"],
  tracking: ["Tracking", "good"],
  collecting: ["Taking a stack", "busy"],
  calibrating: ["Calibrating", "busy"],
  stopped: ["Stopped", "warn"],
  fault: ["Fault", "bad"],
};

const ENDS = {
  move: ({ end_um }) => `Moved to ${um(end_um)} µm.`,
  home: ({ end_um }) => `Homed, at ${um(end_um)} µm.`,
  calibrate: () => "Calibrated.",
  collect: ({ file, reason }) =>
    file ? `Stack written to ${file}.` : sentence(`no stack: ${reason}`),
  focus: ({ outcome, end_um, reason, frames, time_s }) =>
    outcome === "focused"
      ? `In focus at ${um(end_um)} µm: ${frames} frames, ${time_s.toFixed(1)} s.`
      : sentence(`not focused: ${reason}`),
};

let status = null;
let connected = false;
let said = null; // the job whose end was told

/** Show a status; controls are for whom is connected. */
export function showStatus(next) {
  if (!status && next.last) say(ENDS.focus(next.last));
  status = next;
  const [text, tone] = STATES[status.state] ?? [status.state, "quiet"];
  setBadge(byId("state"), text, tone);
  showPosition();
  showProgress(status.job);
  refresh();
}

/** Show a newer position than that of the status. */
export function showMoved({ position_um, trusted }) {
  if (!status) return;
  status = { ...status, position_um, trusted };
  showPosition();
  refresh();
}

/** Show how a job is getting on. */
export function showJob(job) {
  if (!status) return;
  status = { ...status, job: OVER.has(job.state) ? null : job };
  showProgress(job);
  refresh();
  if (!OVER.has(job.state) || said === job.id) return;
  said = job.id;
  if (job.state === "done") say(ENDS[job.kind](job.result));
  else if (job.state === "failed") say(sentence(`failed: ${job.error}`), "bad");
  else say(job.state === "stopped" ? "Stopped." : "Cancelled.");
}

/** Allow commands, or only Stop where there is no connection. */
export function setConnected(is) {
  connected = is;
  refresh();
}

/** Send a command and return its answer; a refusal is told, and gives undefined. */
export async function command(method, path, body) {
  say("");
  try {
    return await call(method, path, body);
  } catch (error) {
    say(sentence(error.message), "bad");
    return undefined;
  }
}

/** Stop the motor at once, whatever else is under way. */
export async function stopNow() {
  const sent = stop();
  yieldPreview();
  byId("stop").dataset.sent = "";
  try {
    await sent;
    say("Stopped.");
  } catch (error) {
    say(`Stop was not confirmed: ${error.message}. Cut the motor's power if it still runs.`, "bad");
  }
  delete byId("stop").dataset.sent;
}

function say(text, tone = "quiet") {
  byId("message").dataset.tone = tone;
  setText(byId("message"), text);
}

function showPosition() {
  const { position_um, trusted, untrusted_reason, reachable_low_um, reachable_high_um } = status;
  setText(byId("position"), position_um === null ? "–" : um(position_um));
  if (position_um === null) setBadge(byId("trust"), "", "quiet");
  else if (trusted) setBadge(byId("trust"), "Trusted", "good");
  else setBadge(byId("trust"), `Untrusted: ${untrusted_reason ?? "not confirmed"}`, "warn");

  byId("doubt").hidden = position_um === null || trusted;

  const known = reachable_low_um !== null && reachable_high_um !== null;
  const ends = known ? [reachable_low_um, reachable_high_um] : [];
  byId("reach").replaceChildren(...ends.map((end) => html("span", {}, `${um(end, 0)} µm`)));
  showPlace(position_um, reachable_low_um, reachable_high_um);
  if (!known || position_um === null) return byId("travel").replaceChildren();
  const share = (position_um - reachable_low_um) / (reachable_high_um - reachable_low_um || 1);
  const x = 98 * Math.min(1, Math.max(0, share));
  if (!byId("travel").children.length) {
    byId("travel").append(
      svg("rect", { class: "rail", y: 3, width: 100, height: 2 }),
      svg("rect", { class: "here", width: 2, height: 8 }),
    );
  }
  byId("travel").lastElementChild.setAttribute("x", x);
}

function showProgress(job) {
  const bar = byId("progress");
  const progress = job && !OVER.has(job.state) ? job.progress : null;
  bar.hidden = !progress;
  if (!progress) return;
  bar.max = Math.max(1, progress.total);
  bar.value = progress.done;
  say(sentence(progress.what));
}

function refresh() {
  const ready = connected && status !== null;
  const busy = ready && (status.job !== null || ["off", "starting"].includes(status.state));
  const free = ready && !busy;
  allow(byId("focus"), free);
  allow(byId("track"), ready && status.state !== "starting");
  byId("track").setAttribute("aria-checked", String(ready && status.tracking));
  const placed = free && status.position_um !== null;
  for (const id of ["go-there", "confirm", "home"]) allow(byId(id), placed);
  byId("target").disabled = !placed;
  if (status) offerJogs(placed);
}

/** Offer distances that the stage can make out; those that stay within its limits are allowed. */
function offerJogs(placed) {
  const { position_um, step_um, reachable_low_um, reachable_high_um } = status;
  const finest_um = Math.max(FINEST_JOG_UM, step_um ?? 0);
  const distances = [finest_um, ...JOGS_UM.filter((d) => d > 2 * finest_um)].slice(0, JOG_COLUMNS);
  const wanted = distances.join();
  if (byId("jog").dataset.distances !== wanted) {
    byId("jog").dataset.distances = wanted;
    byId("jog").replaceChildren(...[1, -1].flatMap((way) => distances.map((d) => jog(way * d))));
  }
  for (const button of byId("jog").children) {
    const to_um = position_um + Number(button.dataset.um);
    allow(button, placed && to_um >= reachable_low_um && to_um <= reachable_high_um);
  }
}

function jog(by_um) {
  const [sign, word] = by_um > 0 ? ["+", "plus"] : ["−", "minus"];
  const distance = Number(Math.abs(by_um).toPrecision(2));
  const button = html("button", { type: "button", "data-um": by_um,
    "aria-label": `Move by ${word} ${distance} micrometres` }, `${sign}${distance}`);
  onPress(button, () => command("POST", "move?wait=false", { by_um }));
  return button;
}

byId("go").addEventListener("submit", (event) => {
  event.preventDefault();
  if (byId("go-there").getAttribute("aria-disabled") === "true") return;
  const target = byId("target");
  const to_um = target.valueAsNumber;
  const { reachable_low_um: low, reachable_high_um: high } = status;
  const good = to_um >= low && to_um <= high;
  target.setAttribute("aria-invalid", String(!good));
  if (good) command("POST", "move?wait=false", { to_um });
  else say(`Within reach is from ${um(low)} to ${um(high)} µm.`, "bad");
});

onPress(byId("focus"), () => command("POST", "focus?wait=false"));
onPress(byId("confirm"), () => command("POST", "confirm"));
onPress(byId("home"), () => command("POST", "home?wait=false"));
onPress(byId("track"), () => command("POST", "track", { on: !status.tracking }));

// On the way down, not on the way up; and once for each press.
byId("stop").addEventListener("pointerdown", (event) => {
  if (event.button === 0) stopNow();
});
byId("stop").addEventListener("click", (event) => {
  if (event.detail === 0) stopNow(); // from a keyboard or a screen reader
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.repeat) stopNow();
}, { capture: true });
