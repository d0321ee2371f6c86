// What is kept on this computer: nothing at first; a protected file if the person wants one; its history, copies and end.

import { askFirst } from "./confirm.js";
import { h, memo } from "./dom.js";
import { count, currentLanguage, date, dateTime, duration, size, t, time } from "./i18n.js";
import { icon } from "./icons.js";
import { ask, closeDialog, conn, download, failureOf, notice, openDialog, state, submit, ui, update } from "./model.js";
import { button, choice, dialog, failureLine, field, longText, note, person, spinner, toggle } from "./parts.js";

/** @typedef {import("./protocol.js").HistoryShown} HistoryShown */

/** @param {string} id */
const valueOf = (id) => /** @type {HTMLInputElement|null} */ (document.getElementById(id))?.value ?? "";

/** @returns {import("./dom.js").VChildren} */
export function storePart() {
  const { store } = state();
  if (!store.exists) return [createPart(), restorePart()];
  if (!store.unlocked) return [note("info", h("p", null, t("store.is-locked"))), restorePart(), erasePart()];
  return [
    store.failed ? note("bad", h("p", null, t("store.failed"))) : null,
    note("good", [h("p", null, t("store.is-open")), h("p.hint", null, h("code", { dir: "ltr" }, store.path), " · ", size(store.bytes))]),
    historyPart(), copiesPart(), passphrasePart(), erasePart(),
  ];
}

function createPart() {
  const { store } = state();
  return h("form", { on: { submit: (/** @type {Event} */ e) => void create(e) } },
    note("good", h("p", null, t("store.none"))),
    h("h4", null, t("store.begin")),
    h("p", null, t("store.begin-text")),
    h("p.hint", null, t("store.where"), " ", h("code", { dir: "ltr" }, store.path)),
    newPassphrase("store-new", ui.failures["store"]),
    button(t("store.create"), () => {}, { kind: "primary", submit: true, busy: ui.busy.has("store") }));
}

/** @param {string} id @param {import("./protocol.js").Failure|undefined} failure */
function newPassphrase(id, failure) {
  return h("div", null,
    field(id, t("store.passphrase"), h("input", { type: "password", autocomplete: "new-password", minlength: "12" }), { hint: t("store.passphrase-hint"), failure }),
    field(`${id}-again`, t("store.again"), h("input", { type: "password", autocomplete: "new-password" })));
}

/** @param {string} id @returns {boolean} whether it was written twice alike */
function alike(id) {
  if (valueOf(id) === valueOf(`${id}-again`)) return true;
  notice(t("store.differ"), { bad: true });
  return false;
}

/** @param {Event} e */
async function create(e) {
  e.preventDefault();
  if (!alike("store-new")) return;
  if (await submit("store", "store-create", { passphrase: valueOf("store-new") }) !== null) notice(t("store.created"));
}

function historyPart() {
  const { store } = state();
  return h("section", { "aria-labelledby": "history-title" },
    h("h4", { id: "history-title" }, t("history.title")),
    toggle("history", t("history.on"), store.history, (on) => on ? setHistory(true, store.retentionDays || 30) : openDialog("erase", "history"), { hint: t("history.text") }),
    store.history ? field("retention", t("history.retention"), choice(String(store.retentionDays), [["7", t("days", { n: 7 })], ["30", t("days", { n: 30 })], ["90", t("days", { n: 90 })], ["365", t("days", { n: 365 })], ["0", t("history.never")]], (v) => setHistory(true, Number(v))), { hint: t("history.retention-hint") }) : null,
    failureLine(ui.failures["history"]),
    store.kept.length === 0 ? null : h("ul.people", null, store.kept.map((k) => h("li.member", { key: `kept-${k.id}` },
      h("div.grow", null, h("strong", null, dateTime(k.began)), h("p.hint", null, duration(k.ended - k.began), " · ", count("messages", k.messages), k.deleteAt > 0 ? ` · ${t("history.deleted-on", { when: date(k.deleteAt) })}` : ""),
        k.lost > 0 ? h("p.hint", null, count("history.lost", k.lost)) : null,
        h("p", null, k.names.slice(0, 20).map((n, i) => [i > 0 ? ", " : "", person(n)]).flat())),
      h("div.row", null,
        button(t("history.show"), () => openDialog("history", k.id), { about: dateTime(k.began) }),
        button(t("delete"), () => remove(k), { about: dateTime(k.began) }))))));
}

/** @param {import("./protocol.js").KeptMeeting} k */
function remove(k) {
  askFirst({
    title: t("history.delete-title"), text: [t("history.delete-text", { when: dateTime(k.began) }), t("history.delete-copies")], go: t("delete"),
    act: () => void submit("history", "history-delete", { meeting: k.id }, k.id),
  });
}

/** @param {boolean} on @param {number} days */
async function setHistory(on, days) {
  return submit("history", "store-history", { on, retentionDays: days });
}

function copiesPart() {
  return h("section", { "aria-labelledby": "copies-title" },
    h("h4", { id: "copies-title" }, t("copies.title")),
    h("p", null, t("copies.text")),
    h("div.row", null,
      button(t("copies.backup"), () => void download(ask("backup", {})), { icon: "save" }),
      button(t("copies.export"), () => void download(ask("store-export", {})), { icon: "file" })),
    h("p.hint", null, t("copies.export-text")),
    restorePart());
}

function restorePart() {
  return h("details", { key: "restore" }, h("summary", null, t("restore.title")),
    h("form", { on: { submit: (/** @type {Event} */ e) => void restore(e) } },
      h("p", null, t("restore.text")),
      field("restore-file", t("restore.file"), h("input", { type: "file" })),
      field("restore-passphrase", t("restore.passphrase"), h("input", { type: "password", autocomplete: "current-password" })),
      failureLine(ui.failures["restore"]),
      button(t("restore.go"), () => {}, { submit: true, busy: ui.busy.has("restore") })));
}

/** @param {Event} e */
function restore(e) {
  e.preventDefault();
  const file = /** @type {HTMLInputElement} */ (document.getElementById("restore-file")).files?.[0];
  if (file === undefined) {
    notice(t("restore.no-file"), { bad: true });
    return;
  }
  const form = /** @type {HTMLFormElement} */ (e.target);
  const go = () => void replace(form, file, valueOf("restore-passphrase"));
  const { store } = state();
  if (!store.exists) go();
  else askFirst({ title: t("restore.sure"), text: [t("restore.sure-text"), t(store.unlocked ? "restore.sure-copy" : "restore.sure-locked")], go: t("restore.replace"), act: go });
}

/** @param {HTMLFormElement} form @param {File} file @param {string} passphrase */
async function replace(form, file, passphrase) {
  const ready = await submit("restore", "restore", { passphrase });
  if (ready === null) return;
  try {
    await conn().upload(ready.url, file);
    form.reset();
    notice(t("restore.done"));
  } catch (error) {
    ui.failures["restore"] = failureOf(error);
    update();
  }
}

function passphrasePart() {
  return h("details", { key: "passphrase" }, h("summary", null, t("passphrase.title")),
    h("form", { on: { submit: (/** @type {Event} */ e) => void changePassphrase(e) } },
      field("passphrase-old", t("passphrase.old"), h("input", { type: "password", autocomplete: "current-password" })),
      newPassphrase("passphrase-new", ui.failures["passphrase"]),
      button(t("passphrase.go"), () => {}, { submit: true, busy: ui.busy.has("passphrase") })));
}

/** @param {Event} e */
async function changePassphrase(e) {
  e.preventDefault();
  if (!alike("passphrase-new")) return;
  const fields = { old: valueOf("passphrase-old"), new: valueOf("passphrase-new") };
  if (await submit("passphrase", "store-passphrase", fields) === null) return;
  /** @type {HTMLFormElement} */ (e.target).reset();
  notice(t("passphrase.done"));
}

function erasePart() {
  return h("section.erase", { "aria-labelledby": "erase-title" },
    h("h4", { id: "erase-title" }, t("erase.title")), h("p", null, t("erase.text")),
    button(t("erase.begin"), () => openDialog("erase"), { kind: "danger" }));
}

/** @returns {import("./dom.js").VNode} asks before everything, or the history, is deleted */
export function eraseDialog() {
  const history = ui.subject === "history";
  const back = () => state().phase.name === "start" && !state().store.unlocked ? closeDialog() : openDialog("settings", "kept");
  return dialog("erase", t(history ? "erase.history-title" : "erase.sure"), [
    h("p", null, t(history ? "erase.history-text" : "erase.sure-text")), failureLine(ui.failures[history ? "history" : "erase"]),
  ], {
    closed: back, asks: true,
    footer: [button(t("cancel"), back, { focus: true }), button(t(history ? "erase.history-go" : "erase.go"), async () => {
      const done = history ? await setHistory(false, 0) : await submit("erase", "store-erase", {});
      if (done === null) return;
      notice(t("erase.done"));
      if (ui.dialog === "erase") back();
    }, { kind: "danger", busy: ui.busy.has(history ? "history" : "erase") })],
  });
}

/** @type {HistoryShown|null} */
let shown = null;

async function load() {
  const { subject } = ui;
  if (shown?.kept.id !== subject) shown = null; // back from its attendance record, it is as it was
  const answer = await submit("history-show", "history-show", { meeting: subject }, subject);
  if (answer !== null && subject === ui.subject) shown = answer;
  update();
}

/** @returns {import("./dom.js").VNode} one meeting of the history */
export function historyDialog() {
  const kept = shown !== null && shown.kept.id === ui.subject ? shown : null; // not one that was read before
  return dialog("history", t("history.one"), h("div", { created: () => void load() },
    failureLine(ui.failures["history-show"]),
    kept === null ? ui.failures["history-show"] !== undefined ? null : h("p", { role: "status" }, spinner(), " ", t("loading")) : [
      h("p", null, icon("clock"), " ", dateTime(kept.kept.began), " · ", duration(kept.kept.ended - kept.kept.began)),
      kept.kept.attendance ? null : h("p.hint", null, t("history.no-attendance")),
      kept.kept.lost > 0 ? note("info", h("p", null, count("history.lost", kept.kept.lost))) : null,
      kept.chat.length === 0 ? h("p.empty", null, t("history.no-chat")) : h("div.log", null, kept.chat.map((m) => memo(m.id, [m, currentLanguage(), ui.whole.has(m.id)], () => line(m, kept.chat)))),
    ]), {
    wide: true, closed: () => openDialog("settings", "kept"), footer: [
      kept?.kept.attendance === true ? button(t("attendance.title"), () => openDialog("attendance", kept.kept.id), { key: "attendance", icon: "clock" }) : null,
      button(t("print"), () => window.print(), { key: "print", icon: "print" })],
  });
}

/** @param {import("./protocol.js").Message} m @param {import("./protocol.js").Message[]} chat */
function line(m, chat) {
  const to = m.to ? chat.find((o) => o.from === m.to)?.name ?? state().contacts.find((c) => c.id === m.to)?.name ?? t("someone") : "";
  return h("article.message", { key: m.id, class: m.to ? "private" : "" },
    h("header", null, h("strong", null, person(m.name)), h("time", null, time(m.time)),
      m.to ? h("span.badge.accent", null, icon("lock"), t(m.self ? "chat.to" : "chat.private", { name: to })) : null),
    longText(m.id, m.text, 1200));
}
