// Requests that upload: they wait for a console that does not answer, and know what they may replace.

const RETRY_MS = 2000;
const TRIES_OF_AWS = 4;

/** The sentence of what cannot be sent; trying again by itself would not help. */
export class Refused extends Error {}
class Unreachable extends Error {}

const csrf = () => document.querySelector('meta[name="csrf"]');
const wait = (ms) => new Promise((done) => setTimeout(done, ms));

/** One request; answers `{ status, answer }`. XMLHttpRequest, because fetch has no progress. */
function once(method, path, body, progress) {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open(method, path);
    request.setRequestHeader("X-CSRF-Token", csrf().content);
    request.upload.onprogress = (event) => progress?.(event.loaded);
    request.onerror = request.onabort = () => fail(new Unreachable());
    request.onload = () => {
      let answer = {};
      try {
        answer = JSON.parse(request.responseText);
      } catch { /* a page, or nothing */ }
      done({ status: request.status, answer });
    };
    request.send(body);
  });
}

/** A console that was started again has another token: whoever has opened it here may read it. */
async function renew() {
  const reply = await fetch("/drop").catch(() => null);
  if (!reply?.ok) return false;
  const other = new DOMParser().parseFromString(await reply.text(), "text/html");
  if (other.querySelector('meta[name="read-only"]')?.content === "yes") {
    throw new Refused("The console is read-only now: start it without --read-only.");
  }
  csrf().content = other.querySelector('meta[name="csrf"]').content;
  return true;
}

const SENTENCES = {
  gone: "The console does not answer. Is `./sortbox console` still running? The upload goes on by itself.",
  restarted: "The console was started again: open the address that it has printed, in this browser. The upload goes on by itself.",
};

/**
 * Send until the console answers. `pause(sentence)` says what it waits for, and "" that it goes on.
 * Throws Refused.
 */
export async function request(method, path, { json, body, progress, pause }) {
  const content = json === undefined ? body : JSON.stringify(json);
  let isRenewed = false;
  for (let tries = 1; ; tries += 1) {
    let status, answer;
    try {
      ({ status, answer } = await once(method, path, content, progress));
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      status = 0;
    }
    if (status === 200 || status === 409) {
      pause("");
      return answer;
    }
    if (status === 0) {
      pause(SENTENCES.gone);
    } else if (status === 403) {
      if (!isRenewed && await renew()) {
        isRenewed = true;
        continue;
      }
      pause(SENTENCES.restarted);
    } else if (status < 500 || tries >= TRIES_OF_AWS) {
      pause("");
      throw new Refused(answer.error || `The console answered ${status}.`);
    }
    await wait(RETRY_MS);
  }
}

const hex = (bytes) => [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

async function sha256(blob) {
  try {
    return await crypto.subtle.digest("SHA-256", await blob.arrayBuffer());
  } catch {
    throw new Refused("The file cannot be read: it was changed, moved or removed.");
  }
}

/** The content of a file in short, as console/uploads/content.py has it, and the hash of each part. */
export async function fingerprint(file, partBytes) {
  const digests = [];
  for (let at = 0; at === 0 || at < file.size; at += partBytes) {
    digests.push(await sha256(file.slice(at, at + partBytes)));
  }
  if (digests.length === 1) return { fingerprint: hex(digests[0]), digests: digests.map(hex) };
  const whole = hex(await crypto.subtle.digest("SHA-256", await new Blob(digests).arrayBuffer()));
  return { fingerprint: `${whole}-${digests.length}`, digests: digests.map(hex) };
}

/** At most `most` at a time. */
export class Slots {
  constructor(most) {
    this.free = most;
    this.waiting = [];
  }

  async use(work) {
    if (this.free > 0) this.free -= 1;
    else await new Promise((done) => this.waiting.push(done));
    try {
      return await work();
    } finally {
      const next = this.waiting.shift();
      if (next) next();
      else this.free += 1;
    }
  }
}

/**
 * Write a file to its path: answers "written", or "changed" where the key is not as `etag` says.
 * `progress(bytes)`: how much of the file is there.
 */
export async function write({ file, path, etag, print, partBytes, slots, progress, pause }) {
  const query = (more) => new URLSearchParams({ path, ...(etag ? { etag } : {}), ...more });
  if (file.size <= partBytes) {
    const target = `/api/drop/file?${query({ sha256: print.digests[0] })}`;
    const answer = await slots.use(() => request("PUT", target, { body: file, progress, pause }));
    return answer.state;
  }
  const whole = { path, size: file.size, fingerprint: print.fingerprint };
  for (let tries = 0; tries < 5; tries += 1) {
    const { missing } = await request("POST", "/api/drop/begin", { json: whole, pause });
    const loaded = new Map();
    const report = () => progress([...loaded.values()].reduce((sum, bytes) => sum + bytes, 0));
    const lacks = new Set(missing);
    print.digests.forEach((_, index) => {
      if (!lacks.has(index + 1)) loaded.set(index + 1, partSize(file, partBytes, index));
    });
    report();
    const parts = missing.map((number) => slots.use(async () => {
      const at = (number - 1) * partBytes;
      const target = `/api/drop/part?${new URLSearchParams({ ...whole, number, sha256: print.digests[number - 1] })}`;
      const onPart = (bytes) => { loaded.set(number, bytes); report(); };
      return request("PUT", target, { body: file.slice(at, at + partBytes), progress: onPart, pause });
    }));
    const ends = await Promise.allSettled(parts);
    const failed = ends.find((end) => end.status === "rejected");
    if (failed) throw failed.reason;
    const { state } = await request("POST", "/api/drop/finish", { json: { ...whole, etag }, pause });
    if (state !== "gone") return state;
  }
  throw new Refused("S3 ended the upload of this file several times: try again later.");
}

const partSize = (file, partBytes, index) => Math.min(partBytes, file.size - index * partBytes);
