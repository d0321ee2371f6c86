// The meeting's screen: a bar at the top, the pictures, a panel beside them, the controls below.

import { h } from "./dom.js";
import { clock, count, t } from "./i18n.js";
import { icon } from "./icons.js";
import { focusOnceDrawn, openDialog, setPage, state, ui, update } from "./model.js";
import { button, iconButton, note } from "./parts.js";
import { chatPanel } from "./chat.js";
import { controls } from "./controls.js";
import { door } from "./door.js";
import { filesPanel } from "./files.js";
import { fit, grid } from "./grid.js";
import { media, retry, unblock } from "./media.js";
import { peoplePanel } from "./people.js";
import { recordingBar } from "./recording.js";
import { grave, warnings } from "./warnings.js";
import { forgetRead, wordsPanel } from "./words.js";

/** @returns {import("./dom.js").VNode} */
export function meetingScreen() {
  forgetRead();
  return h("div.meeting", { key: "meeting", class: ui.panel === "" ? "" : "with-panel" },
    bar(),
    h("div.bars", null, recordingBar(), warnings(), lonely(), soundBlocked(), mediaFailed()),
    h("div.stage-row", null,
      h("section.stage", { "aria-labelledby": "stage-title" },
        h("h2.unseen", { id: "stage-title" }, t("stage.title")),
        grid(), door()),
      panel()),
    controls());
}

function bar() {
  const { members, meeting, policy, warnings: w, phase } = state();
  const doubtful = w.some(grave);
  return h("div.meeting-bar", null,
    h("h1.unseen", null, t(phase.alone ? "meeting.alone-title" : "meeting.title")),
    h("button.quiet.padlock", {
      type: "button", class: doubtful ? "bad" : "", "aria-expanded": String(ui.panel === "words"), "aria-controls": "panel",
      on: { click: () => togglePanel("words") },
    }, icon(doubtful ? "warning" : "lock"), h("span", null, t(doubtful ? "padlock.doubt" : "padlock.sealed"))),
    h("span.time", { role: "timer", "aria-label": t("meeting.time") }, h("span", { own: true, created: (/** @type {HTMLElement} */ e) => tick(e, meeting?.began ?? Date.now()) })),
    policy?.entry === "locked" ? h("span.badge", null, icon("lock"), t("meeting.locked")) : null,
    phase.alone ? h("span.badge.accent", null, t("meeting.alone")) : null,
    h("span.space"),
    iconButton(ui.view === "grid" ? "stage" : "grid", t(ui.view === "grid" ? "view.speaker" : "view.grid"), switchView),
    h("button.quiet", { type: "button", "aria-haspopup": "dialog", "aria-label": t("invite.title"), on: { click: () => openDialog("invite") } }, icon("mail"), h("span.wide-only", null, t("invite.short"))),
    h("span.unseen", null, count("people.count", members.length)));
}

/** switchView goes from the grid to the speaker's view and back. */
export function switchView() {
  ui.view = ui.view === "grid" ? "speaker" : "grid";
  void setPage("view", ui.view);
  update();
}

/** @param {HTMLElement} element @param {number} began */
function tick(element, began) {
  const show = () => {
    element.textContent = clock(Date.now() - began);
    if (element.isConnected) setTimeout(show, 1000);
  };
  show();
}

/** @param {typeof ui.panel} name */
export function togglePanel(name) {
  const opens = ui.panel !== name;
  ui.panel = opens ? name : "";
  // The panel takes the focus when it opens, its button when it closes.
  focusOnceDrawn(opens ? "panel-title" : `control-${name}`);
}

function panel() {
  /** @type {Record<string, [import("./i18n.js").Key, () => import("./dom.js").VChildren]>} */
  const panels = {
    chat: ["chat.title", chatPanel],
    people: ["people.title", peoplePanel],
    files: ["files.title", filesPanel],
    words: ["words.title", wordsPanel],
  };
  const shown = panels[ui.panel];
  if (shown === undefined) return null;
  return h("aside.panel", { key: `panel-${ui.panel}`, id: "panel", "aria-labelledby": "panel-title" },
    h("header", null, h("h2", { id: "panel-title", tabindex: "-1" }, t(shown[0])), iconButton("close", t("panel.close"), () => togglePanel(ui.panel))),
    h("div.panel-body", { class: `in-${ui.panel}` }, shown[1]()));
}

/** @returns {import("./dom.js").VNode|null} nobody else is here yet */
function lonely() {
  const { members, invite, meeting } = state();
  if (members.length > 1 || meeting?.can.invite !== true) return null;
  return note("info", [h("p", null, t(invite === null || invite.dead ? "lonely.no-link" : "lonely")), button(t("invite.title"), () => openDialog("invite"), { kind: "quiet" })]);
}

function soundBlocked() {
  if (!media.blocked) return null;
  return note("warning", [h("p", null, t("sound.blocked")), button(t("sound.play"), unblock, { kind: "primary", icon: "speaker" })]);
}

function mediaFailed() {
  if (!media.failed && state().media.connection !== "failed") return null;
  return note("bad", [h("p", null, t("media.failed")), button(t("again"), retry, { kind: "primary" })]);
}

/** afterMeeting does what needs the drawn page: the sizes of the pictures. */
export function afterMeeting() {
  fit();
}
