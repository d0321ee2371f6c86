// Afterwards: how it ended, how long it took, what was kept, and the attendance record.

import { h } from "./dom.js";
import { count, date, dateTime, duration, isolate, number, of, t, time } from "./i18n.js";
import { icon } from "./icons.js";
import { filesUnsaved, receivedFiles } from "./files.js";
import { ask, closeAnswered, closeDialog, download, has, openDialog, sentence, state, submit, ui, update } from "./model.js";
import { badge, button, dialog, failureLine, note, person, spinner, whyNot } from "./parts.js";
import { saved, submitSafely } from "./recording.js";

/** @typedef {import("./protocol.js").AttendanceShown} AttendanceShown */

/** @returns {import("./dom.js").VNode} */
export function endedScreen() {
  const { phase } = state();
  const { error, ended } = phase;
  const code = error?.code ?? "left";
  const grave = ["removed", "banned", "admission-void", "resumed-elsewhere"].includes(code);
  return h("div.card-screen.ended", { key: "ended" },
    h("div.card", null,
      h("div.center", null, icon("door"), h("h1", null, of("ended.", code)),
        error === undefined || code === "left" ? h("p", null, t("ended.left-text")) : h("p", { class: grave ? "grave" : "" }, sentence(error))),
      ended === undefined ? null : h("dl.summary", null,
        pair(t("ended.duration"), duration(ended.ended - ended.began)),
        pair(t("ended.people"), number(ended.people)),
        pair(t("ended.messages"), number(ended.messages)),
        pair(t("ended.files"), number(ended.files))),
      saved(),
      receivedFiles(),
      ended === undefined ? null : ended.kept
        ? note("info", [h("p", null, h("strong", null, t("kept.history"))), h("p", null, t("kept.history-text")), button(t("kept.show"), () => openDialog("settings", "kept"), { kind: "quiet" })])
        : left(ended.contacts),
      failureLine(ui.failures["done"]),
      h("div.row.center", null,
        button(t("ended.done"), () => void finish("done"), { key: "done", kind: "primary", busy: ui.busy.has("done") }),
        ended?.attendance ? button(t("attendance.title"), () => openDialog("attendance"), { key: "attendance", icon: "clock" }) : null,
        button(t("nav.exposure"), () => openDialog("exposure"), { key: "exposure", icon: "eye" })),
      h("p.hint.center", null, t("ended.quit"), " ", button(t("quit"), () => openDialog("quit"), { kind: "quiet" }))));
}

/** left says what of the meeting is on this computer, without a history. @param {number} contacts */
function left(contacts) {
  const { files, meeting, recording } = state();
  const saved = files.filter((f) => f.saved).length + (recording.saved ? 1 : 0) + (exported.meeting === meeting?.id ? exported.n : 0);
  if (contacts + saved === 0) return note("good", [h("p", null, h("strong", null, t("kept.nothing"))), h("p", null, t("kept.nothing-text"))]);
  return note("info", [
    h("p", null, h("strong", null, t("kept.left"))),
    h("ul", null, contacts > 0 ? h("li", null, count("kept.contacts", contacts)) : null, saved > 0 ? h("li", null, count("kept.saved", saved)) : null),
    h("p", null, t("kept.left-text")),
  ]);
}

/** Attendance records that this page gave to the browser, and of which meeting. */
const exported = { meeting: "", n: 0 };

/** @param {"csv"|"json"} format @param {string} kept which meeting of the history, empty for the present or last one */
function exportRecord(format, kept) {
  void download(ask("attendance", { format, meeting: kept }));
  if (kept !== "") return;
  const id = state().meeting?.id ?? "";
  if (exported.meeting !== id) exported.n = 0;
  exported.meeting = id;
  exported.n++;
  update();
}

/** finish forgets the meeting, or ends the program. @param {"done"|"quit"} what */
function finish(what) {
  return submitSafely(what, what, {});
}

/** @returns {import("./dom.js").VNode} asks what becomes of the files that came, before they are deleted */
export function unsavedFilesDialog() {
  const what = ui.subject === "quit" ? "quit" : "done";
  const lost = filesUnsaved().length > 0;
  return dialog("unsaved-files", t("unsaved-files.title"), [
    h("p", null, t(lost ? "unsaved-files.text" : "unsaved.saved")), receivedFiles(), failureLine(ui.failures[what]),
  ], {
    footer: [
      button(t("cancel"), closeDialog),
      button(t(lost ? "unsaved.discard" : "unsaved.go"), async () => {
        if (lost && await submit(what, "files-discard", {}) === null) return;
        if (await finish(what) !== null) closeAnswered("unsaved-files", what);
      }, { kind: lost ? "danger" : "primary", busy: ui.busy.has(what) }),
    ],
  });
}

/** @param {string} name @param {string} value */
function pair(name, value) {
  return h("div", null, h("dt", null, name), h("dd", null, value));
}

/** @returns {import("./dom.js").VNode} */
export function quitDialog() {
  return dialog("quit", t("quit.title"), [h("p", null, t("quit.text")), failureLine(ui.failures["quit"])], {
    footer: [button(t("cancel"), closeDialog), button(t("quit"), () => void finish("quit"), { kind: "danger", busy: ui.busy.has("quit") })],
  });
}

/** What was read last, and which meeting of the history it is of. @type {AttendanceShown|null} */
let record = null;
let recordOf = "";

/** loadAttendance reads the record for the dialog. */
export async function loadAttendance() {
  const { subject } = ui;
  record = null;
  recordOf = subject;
  const answer = await submit("attendance", "attendance", { format: "show", meeting: subject }, subject);
  if (answer !== null && "rows" in answer && recordOf === subject) record = answer;
  update();
}

/** @returns {import("./dom.js").VNode} */
export function attendanceDialog() {
  const kept = ui.subject;
  const busy = ui.busy.has(`attendance ${kept}`);
  return dialog("attendance", t("attendance.title"), h("div", { created: () => void loadAttendance() },
    h("p", null, t("attendance.text")),
    note("warning", h("p", null, t("attendance.warning"))),
    whyNot("attendance"),
    failureLine(ui.failures["attendance"]),
    record === null || recordOf !== kept ? (busy ? h("p", { role: "status" }, spinner(), " ", t("loading")) : null) : table(record)), {
    wide: true, closed: kept === "" ? closeDialog : () => openDialog("history", kept),
    footer: has("attendance") ? [
      button(t("print"), () => window.print(), { icon: "print" }),
      button(t("attendance.csv"), () => exportRecord("csv", kept), { icon: "save" }),
      button(t("attendance.json"), () => exportRecord("json", kept), { kind: "primary", icon: "save" }),
    ] : null,
  });
}

/** moment is a time, with its day if it isn't that of the beginning. @param {number} at @param {number} began */
function moment(at, began) {
  return date(at) === date(began) ? time(at) : dateTime(at);
}

/** @param {AttendanceShown} shown */
function table(shown) {
  return h("div", null,
    h("p.hint", null, t("attendance.began", { when: dateTime(shown.began) }), " ", shown.ended > 0 ? t("attendance.ended", { when: dateTime(shown.ended) }) : t("attendance.goes-on"), " ", count("people.count", new Set(shown.rows.map((r) => r.id)).size)),
    h("div.table-wrap", { tabindex: "0", role: "group", "aria-label": t("attendance.title") }, h("table", null,
      h("caption.unseen", null, t("attendance.title")),
      h("thead", null, h("tr", null,
        h("th", { scope: "col" }, t("attendance.name")), h("th", { scope: "col" }, t("role.label")),
        h("th", { scope: "col" }, t("attendance.in")), h("th", { scope: "col" }, t("attendance.out")), h("th", { scope: "col" }, t("attendance.how")))),
      h("tbody", null, shown.rows.map((r) => h("tr", null,
        h("th", { scope: "row" }, person(r.name), " ", h("code.fingerprint", { dir: "ltr", title: r.id }, isolate(r.id.slice(0, 8))), " ", r.signed ? null : badge(t("attendance.attested", { by: r.admittedBy || t("someone") }))),
        h("td", null, of("role.", r.role)), h("td", null, moment(r.joined, shown.began)), h("td", null, r.left > 0 ? moment(r.left, shown.began) : "–"),
        h("td", null, of("how.", r.how, { by: r.by || t("someone") }))))))),
    shown.rows.every((r) => r.signed) ? null : h("p.hint", null, t("attendance.attested-text")),
    h("p.hint.print-only", null, t("attendance.id"), " ", h("code", { dir: "ltr" }, shown.meeting)));
}
