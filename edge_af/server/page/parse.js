// Reads the two kinds of endless answers: server-sent events, and pictures one after the other.

/** Call `event(kind, data)` for each server-sent event, `alive` for anything that arrives. */
export async function readEvents(response, event, alive) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    alive();
    const blocks = (rest + value).split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const block of blocks) {
      let kind = "message";
      const data = [];
      for (const line of block.split(/\r?\n/)) {
        if (line.startsWith("event:")) kind = line.slice(6).trim();
        if (line.startsWith("data:")) data.push(line.slice(5).trim());
      }
      if (!data.length) continue;
      try {
        event(kind, JSON.parse(data.join("\n")));
      } catch (error) {
        reportError(error); // a fault of the page is no loss of the connection
      }
    }
  }
}

/**
 * Wait for `part(headers, bytes)` with each part of a multipart/x-mixed-replace answer.
 *
 * Every part must tell its Content-Length. Names of headers are lower case.
 */
export async function readParts(response, part, alive) {
  const reader = response.body.getReader();
  let held = new Uint8Array(0);

  const more = async () => {
    const { done, value } = await reader.read();
    if (done) return false;
    alive();
    const joined = new Uint8Array(held.length + value.length);
    joined.set(held);
    joined.set(value, held.length);
    held = joined;
    return true;
  };

  for (;;) {
    let end;
    while ((end = endOfHead(held)) < 0) if (!(await more())) return;
    const headers = parseHead(new TextDecoder().decode(held.subarray(0, end)));
    const length = Number(headers["content-length"]);
    if (!(length > 0)) throw new Error("a picture came without its length");
    while (held.length < end + length) if (!(await more())) return;
    const bytes = held.slice(end, end + length);
    held = held.slice(end + length);
    await part(headers, bytes);
  }
}

/** Return where the body begins, after an empty line; -1 if it is not there yet. */
function endOfHead(bytes) {
  for (let at = 3; at < bytes.length; at += 1) {
    if (bytes[at - 3] === 13 && bytes[at - 2] === 10 && bytes[at - 1] === 13 && bytes[at] === 10) {
      return at + 1;
    }
  }
  return -1;
}

function parseHead(text) {
  const headers = {};
  for (const line of text.split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  return headers;
}
