// Where dropped files come from: handles (Chromium), entries, or the lists of file inputs; and the
// drops that are not finished, which the browser remembers.

/**
 * What a drop event or a file input brings. `files()` yields `{ path, file }`, or `{ path, error }`.
 * `handles` are what browsers can keep, so that a drop goes on after a reload.
 */
export class Source {
  constructor({ handles = [], entries = [], files = [] }) {
    Object.assign(this, { handles, entries, list: files });
  }

  get names() {
    const paths = this.list.map((file) => (file.webkitRelativePath || file.name).split("/")[0]);
    return [...new Set([...this.handles, ...this.entries].map((one) => one.name).concat(paths))];
  }

  async *files() {
    for (const entry of this.entries) yield* ofEntry(entry, entry.name);
    for (const file of this.list) yield { path: file.webkitRelativePath || file.name, file };
    if (this.entries.length + this.list.length > 0) return;
    for (const handle of this.handles) yield* ofHandle(handle, handle.name);
  }

  /**
   * The handles, if they lead to `count` files besides those in the set `ignored` of paths; else
   * none. Chromium leaves out files whose names some system does not have (`<b>.jpg`), in silence.
   */
  async wholeHandles(count, ignored) {
    let reached = 0;
    for (const handle of this.handles) {
      for await (const { path, error } of ofHandle(handle, handle.name)) {
        if (!error && !ignored.has(path)) reached += 1;
      }
    }
    return reached === count ? this.handles : [];
  }
}

/** What was dropped. To be called within the event: its items are gone after the first `await`. */
export function dropped(transfer) {
  const items = [...transfer.items].filter((item) => item.kind === "file").map((item) => ({
    handle: item.getAsFileSystemHandle?.().catch(() => null) ?? Promise.resolve(null),
    entry: item.webkitGetAsEntry?.() ?? null,
    file: item.getAsFile(),
  }));
  return (async () => {
    const handles = await Promise.all(items.map((item) => item.handle));
    return new Source({
      handles: handles.every(Boolean) ? handles : [],
      entries: items.map((item) => item.entry).filter(Boolean),
      files: items.filter((item) => !item.entry).map((item) => item.file).filter(Boolean),
    });
  })();
}

async function* ofHandle(handle, path) {
  try {
    if (handle.kind === "file") {
      yield { path, file: await handle.getFile() };
      return;
    }
    for await (const child of handle.values()) yield* ofHandle(child, `${path}/${child.name}`);
  } catch (error) {
    yield { path, error };
  }
}

async function* ofEntry(entry, path) {
  try {
    if (entry.isFile) {
      yield { path, file: await new Promise((done, fail) => entry.file(done, fail)) };
      return;
    }
    const reader = entry.createReader();
    for (;;) { // a hundred at a time
      const some = await new Promise((done, fail) => reader.readEntries(done, fail));
      if (some.length === 0) return;
      for (const child of some) yield* ofEntry(child, `${path}/${child.name}`);
    }
  } catch (error) {
    yield { path, error };
  }
}

const MOST_REMEMBERED = 20;

function store(mode, act) {
  return new Promise((done, fail) => {
    const opening = indexedDB.open("sortbox-drops", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("drops", { keyPath: "id" });
    opening.onerror = () => fail(opening.error);
    opening.onsuccess = () => {
      const database = opening.result;
      const transaction = database.transaction("drops", mode);
      const request = act(transaction.objectStore("drops"));
      transaction.oncomplete = () => { database.close(); done(request.result); };
      transaction.onerror = transaction.onabort = () => { database.close(); fail(transaction.error); };
    };
  });
}

/** Drops that are not finished, the latest first. Without a database there are none. */
export const remembered = () => store("readonly", (drops) => drops.getAll())
  .then((all) => all.sort((a, b) => b.at - a.at).slice(0, MOST_REMEMBERED), () => []);

/** Remember `{ id, names, handles, into, at, done, total }`; its handles only where they can be. */
export async function remember(drop) {
  try {
    await store("readwrite", (drops) => drops.put(drop));
  } catch {
    await store("readwrite", (drops) => drops.put({ ...drop, handles: [] })).catch(() => {});
  }
}

export const forget = (id) => store("readwrite", (drops) => drops.delete(id)).catch(() => {});
