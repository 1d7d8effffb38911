// A stream that is opened again whenever it is lost.

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 5_000;

/**
 * Keeps one endless answer open, while the page can be seen.
 *
 * `open(signal)` returns a response; `read(response, alive)` reads it to its end, and calls `alive`
 * for whatever arrives. `lost(error)` is told of each loss. Silence is a loss.
 */
export class Link {
  #abort = null;
  #wanted = false;
  #wake = () => {};

  constructor({ open, read, lost, silenceMs }) {
    Object.assign(this, { open, read, lost, silenceMs });
    document.addEventListener("visibilitychange", () => this.#turn());
  }

  /** Open it, or close it until further notice. */
  set wanted(wanted) {
    this.#wanted = wanted;
    this.#turn();
  }

  /** Let go of the connection now, and open it again a moment later. */
  yield() {
    this.#abort?.abort("yield");
  }

  #turn() {
    // Out of sight it holds none of the few connections that a browser has for one server.
    const open = this.#wanted && !document.hidden;
    if (!open) this.#abort?.abort("closed");
    else if (!this.#abort) this.#run();
    else this.#wake();
  }

  async #run() {
    let pauseMs = FIRST_PAUSE_MS;
    while (this.#wanted && !document.hidden) {
      const abort = (this.#abort = new AbortController());
      let timer;
      const alive = () => {
        pauseMs = FIRST_PAUSE_MS;
        clearTimeout(timer);
        timer = setTimeout(() => abort.abort("silent"), this.silenceMs);
      };
      try {
        timer = setTimeout(() => abort.abort("silent"), this.silenceMs);
        await this.read(await this.open(abort.signal), alive);
        throw new Error("the microscope ended the connection");
      } catch (error) {
        const meant = ["closed", "yield"].includes(abort.signal.reason);
        if (!meant) this.lost(error);
      } finally {
        clearTimeout(timer);
        abort.abort("closed");
      }
      await new Promise((wake) => {
        this.#wake = wake;
        setTimeout(wake, pauseMs);
      });
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
    }
    this.#abort = null;
  }
}
