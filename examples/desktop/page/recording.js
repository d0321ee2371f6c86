// Recording: asked of everybody, running only when all have agreed, with a sign that nobody can miss.

import { h } from "./dom.js";
import { clock, count, of, size, t } from "./i18n.js";
import { icon } from "./icons.js";
import { announce, ask, closeAnswered, closeDialog, download, memberOf, nameOf, openDialog, state, submit, ui } from "./model.js";
import { button, dialog, failureLine, note, person, spinner, whyNot } from "./parts.js";

let before = "none";

/** followRecording says aloud when a recording begins and ends. */
export function followRecording() {
  const { recording } = state();
  const now = recording.state;
  if (now === before) return;
  if (now === "running") announce(t(recording.own ? "record.runs-own" : "record.runs", { name: nameOf(recording.by ?? "") }), true);
  else if (before === "running") announce(now === "asking" ? interruption() : t("record.over"), true);
  before = now;
}

/** @returns {string} why nothing is recorded at present, empty if only answers are missing */
function interruption() {
  const { recording } = state();
  return recording.reason ? ending(recording) : "";
}

/** @param {import("./protocol.js").Recording} recording @returns {string} why it ended, or waits */
function ending(recording) {
  const reason = recording.reason ?? "ended";
  if (memberOf(recording.member ?? "")?.self === true) return of("record-own.", reason);
  return of("record-ended.", reason, { name: nameOf(recording.member ?? "") });
}

/** answer answers the question about this recording, not about one that may follow it. @param {boolean} consent @param {string} [form] */
function answer(consent, form = "consent") {
  void submit(form, "recording-consent", { recording: state().recording.id ?? "", consent });
}

/** @returns {import("./dom.js").VNode|null} */
export function recordingBar() {
  const { recording } = state();
  if (recording.state === "running") {
    return h("div.bar.recording", { key: "recording" },
      h("span.dot", { "aria-hidden": "true" }),
      h("p", null, h("strong", null, t(recording.own ? "record.runs-own" : "record.runs", { name: nameOf(recording.by ?? "") })), " ",
        h("span.time", { "aria-hidden": "true", own: true, created: tick })),
      recording.own
        ? button(t("record.stop"), () => void ask("recording-stop", {}), { kind: "danger" })
        : button(t("record.withdraw"), () => void ask("recording-consent", { recording: recording.id ?? "", consent: false })));
  }
  if (recording.state === "asking" && recording.own) {
    const waiting = Object.values(recording.consents ?? {}).filter((c) => c === "asked").length;
    // Somebody refused; or it had begun, and waits for somebody who withdrew or came in since.
    const interrupted = interruption();
    return h("div.bar", { key: "recording" }, interrupted === "" ? spinner() : icon("record"), h("p", null, interrupted || count("record.waiting", waiting)), button(t("record.details"), () => openDialog("recording"), { kind: "quiet" }));
  }
  if (recording.save) {
    return h("div.bar", { key: "recording" }, icon("record"), h("p", null, ending(recording)), button(t("record.details"), () => openDialog("recording"), { kind: "quiet" }));
  }
  return null;
}

/** @param {HTMLElement} element */
function tick(element) {
  const show = () => {
    element.textContent = clock(Date.now() - (state().recording.since ?? Date.now()));
    if (element.isConnected) setTimeout(show, 1000);
  };
  show();
}

/** @returns {import("./dom.js").VNode} asks whether one agrees to be recorded; it can't be closed without an answer */
export function consentDialog() {
  const name = nameOf(state().recording.by ?? "");
  return dialog("consent", t("consent.title", { name }), [
    h("p", null, t("consent.text", { name })),
    h("ul.points", null,
      h("li", null, icon("check"), h("span", null, t("consent.all"))),
      h("li", null, icon("check"), h("span", null, t("consent.withdraw"))),
      h("li", null, icon("eye"), h("span", null, t("consent.seen"))),
      h("li", null, icon("info"), h("span", null, t("consent.kept", { name })))),
    failureLine(ui.failures["consent"]),
  ], {
    stays: true,
    footer: [
      button(t("consent.no"), () => answer(false)),
      button(t("consent.yes"), () => answer(true)),
    ],
  });
}

/** @returns {import("./dom.js").VNode} */
export function recordingDialog() {
  const { recording } = state();
  switch (recording.state) {
    case "asking":
    case "running": {
      const against = recording.mine === "refused" || recording.mine === "withdrawn"; // one may think again
      return dialog("recording", t("record.title"), [
        h("p", null, interruption() || t(recording.state === "asking" ? "record.asking" : "record.running")),
        consents(),
        failureLine(ui.failures["recording"]),
      ], {
        footer: recording.own
          ? button(t(recording.state === "asking" && !recording.reason ? "record.give-up" : "record.stop"), () => void submit("recording", "recording-stop", {}), { kind: "danger" })
          : button(t(against ? "consent.yes" : "record.withdraw"), () => answer(against, "recording")),
      });
    }
    default:
      return dialog("recording", t("record.title"), [
        recording.save ? saved() : null,
        recording.state === "stopped" && !recording.save ? note("info", h("p", null, ending(recording))) : null,
        h("p", null, t("record.what")),
        h("ul.points", null,
          h("li", null, icon("check"), h("span", null, t("record.rule-all"))),
          h("li", null, icon("check"), h("span", null, t("record.rule-sign"))),
          h("li", null, icon("check"), h("span", null, t("record.rule-here")))),
        whyNot("recording"),
        failureLine(ui.failures["recording"]),
      ], {
        footer: [button(t("close"), closeDialog), button(t("record.ask"), async () => {
          if (await submit("recording", "recording-ask", {}) !== null) closeAnswered("recording");
        }, { kind: "primary", icon: "record", busy: ui.busy.has("recording"), disabled: state().features["recording"]?.available !== true })],
      });
  }
}

function consents() {
  const all = Object.entries(state().recording.consents ?? {});
  return h("ul.pairs", null, all.map(([id, answer]) => h("li", { key: id }, h("span.grow", null, person(nameOf(id))), h("span.hint", null, of("consent-state.", answer)))));
}

/** @returns {import("./dom.js").VNode|null} what to do with a recording that is over */
export function saved() {
  const { recording } = state();
  if (!recording.save) return null;
  return h("section.note.info", { "aria-label": t("record.ready") }, icon("record"), h("div", null,
    h("p", null, h("strong", null, t("record.ready")), recording.bytes ? ` (${size(recording.bytes)})` : ""),
    h("p", null, t(recording.saved ? "unsaved.saved" : "record.ready-text")),
    h("div.row", null,
      button(t("record.save"), save, { kind: recording.saved ? "plain" : "primary", icon: "save" }),
      button(t("record.discard"), () => void ask("recording-discard", {})))));
}

function save() {
  void download(ask("recording-save", {}));
}

/** What waits for the person's word about a recording that isn't saved. @type {(() => void)|null} */
let waiting = null;

/**
 * submitSafely is submit for what would delete a recording, or files that came, and that aren't saved: the agent refuses it
 * then, and the person is asked.
 *
 * @template {keyof import("./protocol.js").Requests} K
 * @param {string} form
 * @param {K} what
 * @param {import("./protocol.js").Requests[K][0]} fields
 * @returns {Promise<import("./protocol.js").Requests[K][1]|null>}
 */
export async function submitSafely(form, what, fields) {
  const got = await submit(form, what, fields);
  if (got === null && ui.failures[form]?.code === "unsaved-recording") {
    delete ui.failures[form];
    waiting = () => void submitSafely(form, what, fields);
    openDialog("unsaved");
  } else if (got === null && ui.failures[form]?.code === "unsaved-files") {
    delete ui.failures[form];
    openDialog("unsaved-files", what);
  }
  return got;
}

function goOn() {
  const go = waiting;
  waiting = null;
  closeAnswered("unsaved");
  go?.();
}

/** @returns {import("./dom.js").VNode} asks what becomes of a recording before something that deletes it */
export function unsavedDialog() {
  const { recording } = state();
  const ready = recording.save !== undefined && recording.save !== "";
  return dialog("unsaved", t("unsaved.title"), [
    h("p", null, t(!ready ? "unsaved.runs" : recording.saved ? "unsaved.saved" : "unsaved.text"), ready && recording.bytes ? ` (${size(recording.bytes)})` : ""),
    failureLine(ui.failures["unsaved"]),
  ], {
    footer: [
      button(t("cancel"), closeDialog, { key: "cancel" }),
      !ready || recording.saved ? null : button(t("unsaved.discard"), async () => {
        if (await submit("unsaved", "recording-discard", {}) !== null) goOn();
      }, { key: "discard", kind: "danger" }),
      ready ? button(t("record.save"), save, { key: "save", kind: recording.saved ? "plain" : "primary", icon: "save" }) : null,
      recording.saved ? button(t("unsaved.go"), goOn, { key: "go", kind: "primary" }) : null,
    ],
  });
}
