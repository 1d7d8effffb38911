// The page of one microscope: follows its events, and shows what they say.

import { open } from "./api.js";
import { showBelief } from "./belief.js";
import { catchUp, showCalibration, showReading, showReadiness } from "./calibration.js";
import { setConnected, showJob, showMoved, showStatus } from "./controls.js";
import { byId, sentence, setBadge, setText, um } from "./dom.js";
import { refreshHistory } from "./history.js";
import { Link } from "./link.js";
import { readEvents } from "./parse.js";
import { setPreview } from "./preview.js";

const SILENCE_MS = 25_000;
const OVER = new Set(["done", "failed", "cancelled", "stopped"]);

let status = null;
let connected = false;
let version = null;

const events = new Link({
  silenceMs: SILENCE_MS,
  open: async (signal) => {
    const response = await open("GET", "events", signal);
    for (const missed of [refreshHistory, catchUp]) missed().catch(() => {});
    return response;
  },
  read: (response, alive) => readEvents(response, take, alive),
  lost: (error) => {
    setText(byId("lost"), `${sentence(`no connection: ${error.message}`)} Only Stop is sent; ` +
      "the page connects again by itself.");
    setLink(false);
  },
});

function take(kind, data) {
  if (!connected) setLink(true);
  if (kind === "status") takeStatus(data);
  else if (kind === "job") takeJob(data);
  else if (kind === "belief") takeBelief(data);
  else if (kind === "position") showMoved(data);
}

function takeBelief(belief) {
  showBelief(belief);
  showReading(belief);
}

function takeStatus(next) {
  // After an upgrade the page is an old one.
  if (version !== null && version !== next.version) location.reload();
  version = next.version;
  status = next;
  showStatus(status);
  showReadiness(connected, status);
  setText(byId("model"), status.model ?? "no model: focuses by sharpness");
  setBadge(byId("vitals"), vitals(status), status.throttled.length ? "warn" : "quiet");
  const { fault } = status;
  setText(byId("fault"), fault ? `${sentence(fault.cause)} ${sentence(fault.cure)}` : "");
  document.title = `${byId("state").textContent} · edge-af`;
}

function takeJob(job) {
  if (status) status = { ...status, job: OVER.has(job.state) ? null : job };
  showJob(job);
  if (job.kind === "calibrate") showCalibration(job);
  showReadiness(connected, status);
  if (OVER.has(job.state)) refreshHistory().catch(() => {});
}

function setLink(is) {
  connected = is;
  setBadge(byId("link"), is ? "Connected" : "Disconnected", is ? "good" : "bad");
  if (is) setText(byId("lost"), "");
  setConnected(is);
  showReadiness(is, status);
  setPreview(is);
}

function vitals({ temperature_c, throttled, frames_per_s }) {
  const parts = [];
  if (temperature_c !== null) parts.push(`Processor ${um(temperature_c, 0)} °C`);
  if (throttled.length) parts.push(`throttled: ${throttled.join(", ")}`);
  if (frames_per_s > 0) parts.push(`${um(frames_per_s, 1)} frames/s`);
  return parts.join(" · ");
}

setLink(false);
setBadge(byId("link"), "Connecting", "quiet");
events.wanted = true;
