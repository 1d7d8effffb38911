// Asks for the token, once for all who need it.

import { byId, setText } from "./dom.js";

const door = byId("door");
let asking = null;

/** Return once `fits(token, keep)` has said so of what the reader entered. */
export function askToken(fits) {
  asking ??= ask(fits).finally(() => (asking = null));
  return asking;
}

async function ask(fits) {
  setText(byId("door-why"), "The log of the service says which file holds it.");
  door.showModal();
  for (;;) {
    await submitted();
    const token = byId("token");
    try {
      if (await fits(token.value.trim(), byId("remember").checked)) break;
      setText(byId("door-why"), "This is not its token.");
      token.select();
    } catch (error) {
      setText(byId("door-why"), `Not checked: ${error.message}.`);
    }
  }
  byId("token").value = "";
  door.close();
}

function submitted() {
  return new Promise((done) => {
    byId("door-form").addEventListener("submit", (event) => {
      event.preventDefault();
      done();
    }, { once: true });
  });
}

// Nothing works without it: Esc stops the motor, and does not close the door.
door.addEventListener("cancel", (event) => event.preventDefault());
