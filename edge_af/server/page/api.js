// Requests to the service. The page and its API have one origin; nothing goes anywhere else.

import { askToken } from "./door.js";

const BASE = new URL("api/v1/", document.baseURI);
const ANSWER_MS = 15_000;
const STOP_MS = 1_500;
const STOP_TRIES = 6;
const STOP_PAUSE_MS = 250;
const TOKEN = "edge-af token";

let token = sessionStorage.getItem(TOKEN) ?? localStorage.getItem(TOKEN);

/** The service refused, or could not be reached (`status` 0); the message is for the reader. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Return the JSON that a request is answered with. Raises ApiError. */
export async function call(method, path, body) {
  const response = await open(method, path, AbortSignal.timeout(ANSWER_MS), body);
  try {
    return await response.json();
  } catch {
    throw new ApiError(0, "the answer was cut off");
  }
}

/** Return an answer that may never end; asks for the token where it is needed. Raises ApiError. */
export async function open(method, path, signal, body) {
  for (;;) {
    const tried = token;
    const response = await send(method, path, { signal, body });
    if (response.ok) return response;
    if (response.status !== 401) throw new ApiError(response.status, await reason(response));
    if (tried === token) await askToken(fits);
  }
}

/**
 * Stop the motor. Waits for nothing, and is sent again until it is confirmed.
 *
 * Raises ApiError where it never was.
 */
export async function stop() {
  let failure;
  for (let left = STOP_TRIES; left > 0; left -= 1) {
    try {
      const signal = AbortSignal.timeout(STOP_MS);
      // Out before anything else that waits, and still if the page is closed now.
      const response = await send("POST", "stop", { signal, priority: "high", keepalive: true });
      if (response.ok) return;
      failure = new ApiError(response.status, await reason(response));
      if (response.status === 401) askToken(fits);
      if (response.status < 500) break;
    } catch (error) {
      failure = error;
    }
    await new Promise((wake) => setTimeout(wake, STOP_PAUSE_MS));
  }
  throw failure;
}

async function send(method, path, { body, ...options }) {
  const headers = {};
  if (token) headers["Authorization"] = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const sent = { method, headers, body: JSON.stringify(body), cache: "no-store", ...options };
  try {
    return await fetch(new URL(path, BASE), sent);
  } catch (error) {
    if (options.signal?.aborted && error.name !== "TimeoutError") throw error;
    throw new ApiError(0, "the microscope does not answer");
  }
}

/** Try a token, and use it from now on if it is the right one. */
async function fits(entered, keep) {
  const before = token;
  token = entered;
  const response = await send("GET", "status", { signal: AbortSignal.timeout(ANSWER_MS) });
  if (response.status === 401) {
    token = before;
    return false;
  }
  (keep ? localStorage : sessionStorage).setItem(TOKEN, token);
  return true;
}

async function reason(response) {
  try {
    const { error, cure, detail } = await response.json();
    if (error) return cure ? `${error}: ${cure}` : error;
    return typeof detail === "string" ? detail : detail[0].msg;
  } catch {
    return `the microscope answered ${response.status}`;
  }
}
