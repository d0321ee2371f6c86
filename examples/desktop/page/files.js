// Files, to all or to one: offered, accepted or refused, checked at the end.

import { h } from "./dom.js";
import { isolate, of, percent, rate, short, size, t, time } from "./i18n.js";
import { icon } from "./icons.js";
import { announce, ask, conn, download, inTurn, nameOf, notice, sentence, state, submit, ui, update } from "./model.js";
import { address, badge, button, choice, failureLine, field, longText, note, recipients, whyNot } from "./parts.js";

/** @typedef {import("./protocol.js").SharedFile} SharedFile */

/** newcomers stands for everybody and whoever comes later, among those to offer a file to. */
const newcomers = "later";
const form = { to: "", name: "" };
/** Rates of the last progress, by file. @type {Map<string, number>} */
const rates = new Map();
/** @type {Map<string, AbortController>} uploads to the agent that are under way */
const uploads = new Map();
/** @type {Map<string, string>} the state each file had, to say when it changes */
let states = new Map();

/** @returns {number} how many files wait for an answer */
export function filesWaiting() {
  return state().files.filter((f) => !f.self && f.state === "offered").length;
}

/** @returns {SharedFile[]} those that came whole */
export const filesReceived = () => state().files.filter((f) => !f.self && f.state === "complete");

/** @returns {SharedFile[]} those of them that would be lost */
export const filesUnsaved = () => filesReceived().filter((f) => f.saved !== true);

/** @returns {import("./dom.js").VNode|null} the files that came, to be saved */
export function receivedFiles() {
  const all = filesReceived();
  if (all.length === 0) return null;
  return h("section.received", { "aria-labelledby": "received-title" },
    h("h2", { id: "received-title" }, t("files.received")),
    h("ul.files", null, all.map(row)));
}

/** @param {import("./protocol.js").FileProgressEvent} event */
export function progress(event) {
  const file = state().files.find((f) => f.id === event.file);
  if (file === undefined) return;
  if (event.to) {
    const copy = file.copies?.find((c) => c.member === event.to);
    if (copy !== undefined) copy.done = event.done;
  } else file.done = event.done;
  rates.set(event.file + (event.to ?? ""), event.rate ?? 0);
  if (ui.panel === "files") update();
}

/** followFiles says aloud what was offered, and what has arrived. */
export function followFiles() {
  /** @type {Map<string, string>} */
  const now = new Map();
  for (const f of state().files) {
    now.set(f.id, f.state);
    const before = states.get(f.id);
    const values = { name: nameOf(f.from), file: short(f.name, 80) };
    for (const c of f.copies ?? []) {
      const copy = `${f.id} ${c.member}`;
      now.set(copy, c.state);
      if (f.self && c.state === "refused" && (states.get(copy) ?? c.state) !== c.state) announce(t("news.file-refused", { ...values, name: nameOf(c.member) }));
    }
    if (f.self && before === "reading" && f.state === "failed" && f.error !== undefined && state().phase.name === "meeting") notOffered(f.name, f.error);
    if (before === f.state || f.self) continue;
    if (f.state === "offered") announce(t("news.file", values));
    else if (before !== undefined && f.state === "complete") announce(t("news.file-complete", values));
    else if (before !== undefined && f.state === "failed") announce(t("news.file-failed", values), true);
  }
  states = now;
}

/** notOffered says so in a notice, which the next file's answer doesn't take away. @param {string} name @param {import("./protocol.js").Failure} why */
function notOffered(name, why) {
  notice(`${t("files.not-offered", { file: short(name, 80) })} ${sentence(why)}`, { bad: true });
}

/** @returns {import("./dom.js").VChildren} */
export function filesPanel() {
  const { files, meeting, features } = state();
  const may = meeting?.can.send.includes("files") === true && features["files"]?.available === true;
  return [
    may ? offering() : features["files"]?.available ? note("info", h("p", null, t("files.not-permitted"))) : whyNot("files"),
    files.length === 0 ? h("p.empty", null, t("files.empty")) : null,
    h("ul.files", null, [...files].reverse().map(row)),
  ];
}

function offering() {
  const { app } = state();
  const { options, gone } = recipients(form, [["", t("files.everybody")], [newcomers, t("files.newcomers")]]);
  return h("div.offer", {
    on: {
      dragover: (/** @type {DragEvent} */ e) => e.preventDefault(),
      drop: (/** @type {DragEvent} */ e) => {
        e.preventDefault();
        offerAll(e.dataTransfer?.files ?? null);
      },
    },
  },
  field("file-to", t("chat.for"), choice(form.to, options, (v) => {
    address(form, v);
    update();
  })),
  h("input.file-input", {
    type: "file", id: "file-pick", multiple: true, "aria-describedby": "file-hint",
    on: {
      change: (/** @type {any} */ e) => {
        offerAll(e.target.files);
        e.target.value = "";
      },
    },
  }),
  h("label.button", { for: "file-pick" }, icon("file"), h("span", null, t("files.choose"))),
  h("p.hint", { id: "file-hint" }, t("files.hint", { size: size(app.maxFile) })),
  failureLine(gone ?? ui.failures["file"]));
}

/** Files are offered one after another. */
const turn = inTurn();

/** @param {FileList|null} list */
function offerAll(list) {
  const { to } = form; // those chosen now, whatever is chosen later
  const { gone } = recipients(form, []);
  if (gone !== undefined) {
    announce(sentence(gone), true);
    return;
  }
  const all = [...(list ?? [])];
  void turn(async () => {
    for (const file of all) {
      if (await offer(file, to) === "too-many") return;
    }
  });
}

/** @param {File} file @param {string} to @returns {Promise<string>} why it was refused */
async function offer(file, to) {
  const ready = await submit("file", "file-offer", { name: file.name, size: file.size, type: file.type, to: to === newcomers ? "" : to, newcomers: to === newcomers });
  if (ready === null) {
    const failure = ui.failures["file"];
    if (failure !== undefined) notOffered(file.name, failure);
    return failure?.code ?? "";
  }
  const stop = new AbortController();
  uploads.set(ready.file, stop);
  // The agent reads it while the person goes on. What became of it, it says itself; that it can't be begun it doesn't know.
  conn().upload(ready.url, file, stop.signal)
    .catch(() => stop.signal.aborted ? undefined : conn().upload(ready.url, new Blob()))
    .catch(() => {})
    .finally(() => uploads.delete(ready.file));
  return "";
}

/** @param {SharedFile} f */
function row(f) {
  const refused = (f.copies ?? []).filter((c) => c.state === "refused").map((c) => nameOf(c.member));
  const running = f.state === "receiving" || f.state === "paused" || f.state === "waiting" || f.state === "reading";
  return h("li.file", { key: `file-${f.id}` },
    icon("file"),
    h("div.grow", null,
      longText(`file-${f.id}`, f.name, 80),
      h("p.hint", null, size(f.size), " · ", f.self ? t("files.from-you", { when: time(f.time) }) : t("files.from", { name: nameOf(f.from), when: time(f.time) })),
      f.newcomers ? badge(t("files.for-newcomers"), "plain", "door") : null,
      f.to ? badge(t("files.private", { name: f.self ? nameOf(f.to) : t("you") }), "accent", "lock") : null,
      running ? bar(f.id, f.state, f.done, f.size, `file-${f.id}`, f.name) : null,
      h("p.state", { class: f.state }, f.state === "complete" ? icon("check") : null, 
        f.self && f.state === "offered" && refused.length > 0 ? t("files.refused-by", { names: refused.join(", ") }) : of("file.", f.self && f.state === "offered" ? "own-offered" : f.state)),
      failureLine(f.error),
      f.saved === true ? h("p.hint", null, t("files.saved")) : null,
      f.self && f.copies !== undefined && f.copies.length > 0 ? copies(f) : null,
      f.sha256 ? h("details.technical", null, h("summary", null, t("files.fingerprint")), h("p", null, t("files.fingerprint-text")), h("code", { dir: "ltr" }, f.sha256)) : null,
      h("div.row", null, actions(f))));
}

/** @param {string} id @param {string} what the state @param {number} done @param {number} of_ @param {string} key @param {string} name */
function bar(id, what, done, of_, key, name) {
  const part = of_ > 0 ? Math.min(1, done / of_) : 0;
  const speed = what === "paused" || what === "waiting" ? 0 : rates.get(id) ?? 0;
  return h("div.progress", { key: `bar-${key}` },
    h("progress", { max: "100", value: String(Math.round(part * 100)), "aria-label": t("files.progress", { file: short(name, 80) }) }),
    h("span.hint", null, percent(part), speed > 0 ? ` · ${rate(speed * 8)}` : ""));
}

/** @param {SharedFile} f */
function copies(f) {
  return h("ul.copies", null, (f.copies ?? []).map((c) => h("li", { key: c.member }, h("span.grow", null, nameOf(c.member)), h("span.hint", null, of("copy.", c.state)),
    c.state === "receiving" || c.state === "paused" || c.state === "waiting" ? bar(f.id + c.member, c.state, c.done, f.size, c.member, f.name) : null)));
}

/** @param {SharedFile} f */
function actions(f) {
  const about = isolate(short(f.name, 80));
  const file = f.id;
  if (f.self) {
    return ["withdrawn", "failed", "refused"].includes(f.state) ? null : button(t("files.withdraw"), () => {
      uploads.get(file)?.abort();
      void ask("file-withdraw", { file });
    }, { about });
  }
  switch (f.state) {
    case "offered":
      return [
        button(t("files.accept"), () => void ask("file-accept", { file }), { kind: "primary", icon: "save", about }),
        button(t("files.refuse"), () => void ask("file-refuse", { file }), { about })];
    case "receiving":
    case "waiting":
      return [
        button(t("files.pause"), () => void ask("file-pause", { file }), { icon: "pause", about }),
        button(t("files.stop"), () => void ask("file-withdraw", { file }), { icon: "close", about })];
    case "paused":
      return [
        button(t("files.resume"), () => void ask("file-resume", { file }), { icon: "play", about }),
        button(t("files.stop"), () => void ask("file-withdraw", { file }), { icon: "close", about })];
    case "complete":
      return button(t("files.save"), () => void download(ask("file-save", { file })), { kind: "primary", icon: "save", about });
    case "failed":
      return button(t("again"), () => void ask("file-accept", { file }), { about });
    default:
      return null;
  }
}
