// The row of controls below the meeting, what lies behind "more", and leaving.

import { h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { ask, closeDialog, has, memberOf, nameOf, notice, openDialog, pageSetting, setPage, state, submit, ui } from "./model.js";
import { button, dialog, failureLine, note, reasonText } from "./parts.js";
import { unread } from "./chat.js";
import { filesWaiting } from "./files.js";
import { maySend, media, setSource } from "./media.js";
import { togglePanel } from "./meeting.js";
import { reactionButtons } from "./reactions.js";
import { languageButton } from "./header.js";

/** @returns {import("./dom.js").VNode} */
export function controls() {
  const { knocks, members, phase } = state();
  return h("nav.controls", { "aria-label": t("controls.label") },
    h("div.group", null,
      source("microphone", "microphone", "microphone-off"),
      source("camera", "camera", "camera-off"),
      source("screen", "screen", "screen")),
    h("div.group", null,
      hand(),
      control("chat", "chat", t("chat.title"), { open: ui.panel === "chat", count: unread(), go: () => togglePanel("chat") }),
      control("people", "people", t("people.title"), { open: ui.panel === "people", count: knocks.length, number: members.length, go: () => togglePanel("people") }),
      control("files", "file", t("files.title"), { open: ui.panel === "files", count: filesWaiting(), go: () => togglePanel("files") }),
      control("more", "more", t("more"), { opens: true, go: () => openDialog("more") })),
    h("div.group", null,
      h("button.control.danger", { type: "button", id: "control-leave", "aria-haspopup": "dialog", on: { click: () => openDialog("leave") } },
        icon("leave"), h("span", null, t(phase.alone ? "leave.alone" : "leave.short")))));
}

/**
 * @param {string} name
 * @param {string} picture
 * @param {string} label
 * @param {{open?: boolean, opens?: boolean, count?: number, number?: number, go: () => void}} more
 */
function control(name, picture, label, more) {
  const counted = more.count ?? 0;
  return h("button.control", {
    type: "button", id: `control-${name}`, key: name,
    "aria-expanded": more.open === undefined ? null : String(more.open), "aria-haspopup": more.opens ? "dialog" : null,
    on: { click: more.go },
  },
  icon(picture), h("span", null, label, more.number === undefined ? null : h("span.number", null, ` ${more.number}`)),
  counted > 0 ? h("span.count", null, counted > 99 ? "99+" : String(counted), h("span.unseen", null, ` ${t("controls.new")}`)) : null);
}

/** @param {"microphone"|"camera"|"screen"} name @param {string} on @param {string} off */
function source(name, on, off) {
  const may = maySend(name);
  const sends = media.on[name];
  const noScreens = name === "screen" && !("getDisplayMedia" in (navigator.mediaDevices ?? {}));
  return h("button.control.source", {
    type: "button", id: `control-${name}`, key: name, class: sends ? "on" : "off", "aria-pressed": String(sends),
    "aria-disabled": !may || noScreens || !sends && ui.busy.has(name) ? "true" : null,
    on: { click: () => toggleSource(name) },
  }, icon(sends ? on : off), h("span", null, t(`control.${name}`)));
}

/** @param {"microphone"|"camera"|"screen"} name */
export function toggleSource(name) {
  if (!maySend(name) && !media.on[name]) notice(t("control.not-permitted"));
  else if (name === "screen" && !("getDisplayMedia" in (navigator.mediaDevices ?? {}))) notice(t("control.no-screens"));
  else void setSource(name, !media.on[name]);
}

function hand() {
  if (!has("hand")) return null;
  const up = (memberOf(state().meeting?.self ?? "")?.hand ?? 0) > 0;
  return h("button.control", { type: "button", id: "control-hand", key: "hand", class: up ? "raised-hand" : "", "aria-pressed": String(up), on: { click: toggleHand } },
    icon("hand"), h("span", null, t("hand.raise")));
}

/** toggleHand raises or lowers one's hand. */
export function toggleHand() {
  const up = (memberOf(state().meeting?.self ?? "")?.hand ?? 0) > 0;
  void ask("hand", { up: !up, member: "" });
}

/** @param {import("./protocol.js").MuteWantedEvent} event */
export function noticeMuteWanted(event) {
  const name = event.source === "camera" || event.source === "screen" ? event.source : "microphone";
  if (!media.on[name]) return;
  notice(t(`mute-wanted.${name}`, { name: nameOf(event.by) }), { action: { label: t(`mute-wanted.do-${name}`), go: () => void setSource(name, false) } });
}

/** @returns {import("./dom.js").VNode} */
export function moreDialog() {
  const { recording } = state();
  const running = recording.state === "running" || recording.state === "asking";
  const hidden = pageSetting("hide-self") === "yes";
  return dialog("more", t("more.title"), [
    has("reactions") ? reactionButtons(closeDialog) : null,
    h("ul.menu", null,
      entry("record", t(running ? "record.menu-running" : "record.menu"), "recording", "recording"),
      entry("graph", t("look.title"), "look"),
      entry("eye", t("nav.exposure"), "exposure", "exposure"),
      entry("clock", t("attendance.title"), "attendance", "attendance"),
      entry("gear", t("nav.settings"), "settings"),
      entry("help", t("nav.help"), "help")),
    h("div.row", null,
      button(t(hidden ? "self.show" : "self.hide"), () => {
        closeDialog();
        void setPage("hide-self", hidden ? "no" : "yes");
      }, { icon: "person" }),
      languageButton()),
  ]);
}

/** @param {string} picture @param {string} label @param {string} name @param {string} [feature] */
function entry(picture, label, name, feature) {
  const can = feature === undefined || has(feature);
  return h("li", null, h("button", {
    type: "button", "aria-haspopup": "dialog", "aria-disabled": can ? null : "true",
    on: { click: () => can && openDialog(name) },
  }, icon(picture), h("span", null, label, can ? null : h("small", null, reasonText(state().features[feature ?? ""]?.reason)))));
}

/** @returns {import("./dom.js").VNode} */
export function leaveDialog() {
  const { meeting, members, phase, recording } = state();
  const otherHost = members.some((m) => m.role === "host" && !m.self);
  const last = meeting?.can.manage === true && !otherHost && members.length > 1 && !phase.alone;
  return dialog("leave", t("leave.title"), [
    h("p", null, t(phase.alone ? "leave.text-alone" : "leave.text")),
    last ? note("warning", h("p", null, t("leave.last-host"))) : null,
    recording.own && recording.since ? note("info", h("p", null, t("leave.recording"))) : null,
    failureLine(ui.failures["leave"]),
  ], {
    footer: [
      button(t("stay"), closeDialog, { key: "stay" }),
      meeting?.can.end && members.length > 1 && !phase.alone ? button(t("leave.end"), () => void submit("leave", "end", {}), { key: "end", kind: "danger" }) : null,
      button(t("leave.go"), () => void submit("leave", "leave", {}), { key: "leave", kind: last ? "plain" : "danger", icon: "leave", busy: ui.busy.has("leave") }),
    ],
  });
}
