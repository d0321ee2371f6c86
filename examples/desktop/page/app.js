// The page begins here: it opens the session, follows the agent's state and draws the screen that goes with it.

import { h, render } from "./dom.js";
import { setLanguage, t } from "./i18n.js";
import { keepFocus } from "./focus.js";
import { Connection, openSession } from "./protocol.js";
import { announce, begin, closeDialog, onceDrawn, openDialog, pageSetting, sentence, state, ui, update } from "./model.js";
import { watchDevices, stopTrial } from "./devices.js";
import * as media from "./media.js";
import { consentWanted, dialogs } from "./dialogs.js";
import { endedScreen } from "./ended.js";
import { header } from "./header.js";
import { follow as followKnocks } from "./door.js";
import { noticeMuteWanted } from "./controls.js";
import { meetingScreen, afterMeeting } from "./meeting.js";
import { levels } from "./grid.js";
import { forgetSeen, gotMessage } from "./chat.js";
import { progress, followFiles } from "./files.js";
import { react } from "./reactions.js";
import { keepStats, resumeStats } from "./look.js";
import { notices } from "./parts.js";
import { lostBanner, outsideScreen } from "./outside.js";
import { keys } from "./keys.js";
import { prefill, startScreen } from "./start.js";
import { waitingScreen } from "./waiting.js";
import { followWarnings } from "./warnings.js";
import { followRecording } from "./recording.js";

/** @type {Connection|null} */
let connection = null;
let lastPhase = "";
let shownLink = "";
let inviting = false;

const page = /** @type {Element} */ (document.getElementById("page"));

/** draw shows what there is. */
const draw = () => keepFocus(drawPage);

function drawPage() {
  if (connection === null || connection.state === null || ["superseded", "ended", "unknown"].includes(ui.connection)) {
    render(page, outsideScreen(() => connection?.connect()));
    document.title = "Huis clos";
    return;
  }
  appearance();
  const phase = state().phase.name;
  const inMeeting = phase === "meeting";
  render(page, [
    h("a.skip", { key: "skip", href: "#main", on: { click: skip } }, t("skip")),
    header(),
    ui.connection === "open" ? null : lostBanner(),
    h("main", { key: "main", id: "main", tabindex: "-1", class: inMeeting ? "in-meeting" : "outside" }, screen(phase)),
    ui.dialog === "" && !consentWanted() ? notices() : null,
    dialogs(),
  ]);
  title(phase);
  if (inMeeting) afterMeeting();
}

/** @param {Event} event */
function skip(event) {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

/** @param {string} phase */
function screen(phase) {
  switch (phase) {
    case "creating":
    case "joining":
    case "replying":
    case "waiting":
      return waitingScreen();
    case "meeting":
      return meetingScreen();
    case "ended":
      return endedScreen();
    default:
      return startScreen();
  }
}

function appearance() {
  const { settings, app } = state();
  setLanguage(settings.language || app.systemLanguage);
  const root = document.documentElement;
  if (settings.theme === "light" || settings.theme === "dark") root.setAttribute("data-theme", settings.theme);
  else root.removeAttribute("data-theme");
}

/** @param {string} phase */
function title(phase) {
  const knocks = state().knocks.length;
  const what = phase === "meeting" ? (knocks > 0 ? t("title.knock", { n: knocks }) : t("title.meeting")) : t(phase === "ended" ? "title.ended" : phase === "start" ? "title.start" : "title.waiting");
  document.title = `${what} · Huis clos`;
}

/** @param {boolean} whole the whole state is new */
function follow(whole) {
  const phase = state().phase.name;
  if (phase !== lastPhase) moved(phase);
  else if (whole && phase === "meeting") void media.resume();
  if (phase === "meeting") {
    media.followTracks();
    media.followRights();
  }
  // Whoever opened a meeting sends its link next; it follows a moment after the meeting.
  if (inviting && state().invite !== null) {
    inviting = false;
    openDialog("invite");
  }
  followKnocks();
  followWarnings();
  followRecording();
  followFiles();
  const { link } = state();
  if (link !== "" && link !== shownLink) {
    shownLink = link;
    prefill(link);
  }
  update();
}

/** toTop goes to the beginning of a new screen, unless the person was faster. @param {Element|null} had what had the focus */
function toTop(had) {
  const has = document.activeElement;
  const main = document.getElementById("main");
  if (has !== had && has !== document.body && has !== main) return;
  main?.focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

/** @param {string} phase the one that is new */
function moved(phase) {
  const { error } = state().phase;
  const before = lastPhase;
  lastPhase = phase;
  const first = before === "";
  // What was said about the screen before no longer holds.
  ui.notices = [];
  ui.failures = {};
  if (phase === "meeting") {
    forgetSeen();
    ui.panel = "";
    ui.view = pageSetting("view") === "speaker" ? "speaker" : "grid";
    void media.enter(first);
    announce(t("news.entered"));
    inviting = before === "creating" && state().phase.alone !== true;
  } else if (before === "meeting") {
    media.leave();
    inviting = false;
    closeDialog();
    ui.panel = "";
  }
  if (phase === "waiting") announce(t("waiting.waiting"));
  if (phase === "replying") announce(error === undefined ? t("replying.title") : sentence(error), true);
  if (phase === "ended" || phase === "start") stopTrial();
  // What had the focus is gone with the screen; the new one begins at its heading.
  const had = document.activeElement;
  if (!first && ui.dialog === "") onceDrawn(() => toTop(had));
}

/** @param {Connection} c */
function listen(c) {
  c.on("connection", (how) => {
    const was = ui.connection;
    ui.connection = how === "connecting" && was === "lost" ? "lost" : how;
    if (how === "superseded" || how === "ended" || how === "unknown") {
      media.leave();
      lastPhase = "";
    }
    if (how === "lost" && was === "open") lost();
    update();
  });
  c.on("state", () => {
    follow(true);
    resumeStats();
  });
  c.on("changed", () => follow(false));
  c.on("joined", (e) => {
    if (!e.member.self) announce(t("news.joined", { name: e.member.name }));
  });
  c.on("left", (e) => announce(leftText(e)));
  c.on("chatted", (e) => gotMessage(e.message));
  c.on("reaction", (e) => react(e.member, e.reaction));
  c.on("mute-wanted", noticeMuteWanted);
  c.on("levels", levels);
  c.on("stats", (e) => keepStats(e.stats));
  c.on("file-progress", progress);
  c.on("encoder", media.setEncoder);
  c.on("media-grow", (e) => media.grow(e.audio, e.video));
  c.on("link", (e) => {
    shownLink = e.link;
    prefill(e.link);
  });
}

/**
 * lost says so, and once more when the meeting doesn't wait any longer: nobody can be seen or heard then, nor is anything
 * of this person's to stay open for it.
 */
function lost() {
  announce(t("lost.title"), true);
  const at = Date.now();
  ui.lostAt = at;
  setTimeout(() => {
    if (ui.connection !== "lost" || ui.lostAt !== at || state().phase.name !== "meeting") return;
    announce(t("lost.over"), true);
    media.leave();
    update();
  }, state().app.graceSeconds * 1000);
}

/** @param {import("./protocol.js").LeftEvent} e */
function leftText(e) {
  const name = e.member.name;
  if (e.reason === "removed" || e.reason === "banned") return t("news.removed", { name, by: e.by ?? t("someone") });
  return t(e.reason === "admission-void" ? "news.void" : "news.left", { name });
}

/** What the last click was on. @type {Element|null} */
let clicked = null;

/**
 * stray takes away the second click of a double click: nothing is meant twice, and something else may be under it by then,
 * who knocked next, say. What is switched on may be switched off as fast.
 *
 * @param {MouseEvent} event
 */
function stray(event) {
  const on = event.target instanceof Element ? event.target.closest("button, a, dialog") : null;
  if (event.detail < 2) clicked = on;
  else if (on !== clicked || on?.matches("a, button:not([aria-pressed])")) {
    event.preventDefault();
    event.stopPropagation();
  }
}

async function start() {
  setLanguage(navigator.language.slice(0, 2));
  document.addEventListener("keydown", keys);
  document.addEventListener("click", stray, true);
  document.addEventListener("visibilitychange", () => update());
  window.addEventListener("resize", () => update());
  begin(/** @type {any} */ ({ state: null }), draw);
  update();
  const session = await openSession().catch(() => null);
  if (session === null) {
    ui.connection = "unknown";
    update();
    return;
  }
  connection = new Connection(session);
  begin(connection, draw);
  listen(connection);
  connection.connect();
  void watchDevices(() => ui.connection === "open" && update());
}

void start();

