// What the page knows and does: the connection with the agent, the page's own state, asking for things and saying what
// went wrong. The views read from here and call update() when they have changed something.

import { of, t } from "./i18n.js";
import { Refusal } from "./protocol.js";

/** @typedef {import("./protocol.js").Connection} Connection */
/** @typedef {import("./protocol.js").State} State */
/** @typedef {import("./protocol.js").Requests} Requests */
/** @typedef {import("./protocol.js").Failure} Failure */
/** @typedef {import("./protocol.js").Member} Member */

/**
 * Notice is a short message that stays until closed, or for some seconds.
 *
 * @typedef {object} Notice
 * @property {number} id
 * @property {string} text
 * @property {string} [detail]
 * @property {boolean} bad
 * @property {{label: string, go: () => void}} [action]
 */

/**
 * Question is what is asked before something is lost for good: see confirm.js.
 *
 * @typedef {object} Question
 * @property {string} title
 * @property {string[]} text what is lost, in plain words
 * @property {string} go what the button says that does it
 * @property {() => void} act
 */

/** The page's own state. */
export const ui = {
  /** @type {"connecting"|"open"|"lost"|"superseded"|"ended"|"unknown"} */
  connection: /** @type {any} */ ("connecting"),
  /** When the connection was lost. */
  lostAt: 0,
  /** @type {string} the dialog that is open: settings, help, invite, …; empty for none */
  dialog: "",
  /** @type {string} what the dialog is about: a member's id, a section */
  subject: "",
  /** @type {Question|null} what is asked, over the dialog that is open */
  question: /** @type {Question|null} */ (null),
  /** @type {""|"chat"|"people"|"files"|"words"|"look"} the panel beside the meeting */
  panel: /** @type {any} */ (""),
  /** @type {"grid"|"speaker"} */
  view: /** @type {any} */ ("grid"),
  /** @type {Notice[]} */
  notices: [],
  /** @type {Set<string>} what is under way, by request */
  busy: new Set(),
  /** @type {Object<string, Failure>} why a form's last attempt failed, by form */
  failures: {},
  /** @type {Set<string>} long texts that are shown whole */
  whole: new Set(),
};

/** @type {Connection|null} */
let connection = null;
/** @type {() => void} */
let draw = () => {};
let drawing = false;
/** @type {(() => void)[]} */
let afterwards = [];

/** @param {Connection} c @param {() => void} d draws the page */
export function begin(c, d) {
  connection = c;
  draw = d;
}

/** @returns {Connection} */
export function conn() {
  if (connection === null) throw new Error("not begun");
  return connection;
}

/** @returns {State} what the agent said last; views are drawn only when there is one */
export function state() {
  const s = connection?.state ?? null;
  if (s === null) throw new Error("no state yet");
  return s;
}

/** update draws the page anew, soon and once. */
export function update() {
  if (drawing) return;
  drawing = true;
  // A timer, not an animation frame: a hidden tab must follow as well, for announcements.
  setTimeout(() => {
    drawing = false;
    const then = afterwards;
    afterwards = [];
    draw();
    for (const go of then) go();
  }, 0);
}

/**
 * onceDrawn does something, moving the focus say, with the drawing that shows what was just changed: what is seen can be
 * used at once, and nothing is taken from under a person who was quick.
 *
 * @param {() => void} go
 */
export function onceDrawn(go) {
  afterwards.push(go);
  update();
}

/** focusOnceDrawn moves the focus. @param {string} id where to */
export function focusOnceDrawn(id) {
  onceDrawn(() => document.getElementById(id)?.focus());
}

/** @param {unknown} error @returns {Failure} */
export function failureOf(error) {
  if (error instanceof Refusal) return error.failure;
  return { code: "internal", detail: String(error) };
}

/** @param {Failure} failure @returns {string} a sentence that says what to do */
export function sentence(failure) {
  return of("error.", failure.code, {
    by: failure.by ?? t("someone"),
    seconds: failure.seconds ?? 10,
    limit: failure.limit ?? 0,
  });
}

/**
 * ask asks the agent; what goes wrong is told in a notice. It returns null then.
 *
 * @template {keyof Requests} K
 * @param {K} what
 * @param {Requests[K][0]} fields
 * @returns {Promise<Requests[K][1]|null>}
 */
export async function ask(what, fields) {
  try {
    return await conn().request(what, fields);
  } catch (error) {
    fail(failureOf(error));
    return null;
  }
}

/**
 * submit asks the agent for a form: the answer is shown at the form, which is busy meanwhile.
 *
 * @template {keyof Requests} K
 * @param {string} form
 * @param {K} what
 * @param {Requests[K][0]} fields
 * @param {string} [row] which of several, where each is asked for by itself
 * @returns {Promise<Requests[K][1]|null>}
 */
export function submit(form, what, fields, row) {
  return attempt(form, row === undefined ? form : `${form} ${row}`, () => conn().request(what, fields));
}

/** submitSettings is submit for a change of the settings. @param {string} form @param {Partial<import("./protocol.js").Settings>} change */
export function submitSettings(form, change) {
  return attempt(form, `${form} ${JSON.stringify(change)}`, () => changeSettings(change));
}

/**
 * @template T
 * @param {string} form
 * @param {string} busy
 * @param {() => Promise<T>} request
 * @returns {Promise<T|null>}
 */
async function attempt(form, busy, request) {
  if (ui.busy.has(busy)) return null;
  ui.busy.add(busy);
  delete ui.failures[form];
  update();
  try {
    return await request();
  } catch (error) {
    const failure = failureOf(error);
    ui.failures[form] = failure;
    announce(sentence(failure), true);
    return null;
  } finally {
    ui.busy.delete(busy);
    update();
  }
}

/** @param {Failure} failure */
export function fail(failure) {
  if (failure.code === "canceled" && ui.connection === "open") return; // by this person
  if (failure.code === "not-in-meeting") return; // it ended meanwhile, which is shown
  notice(sentence(failure), { bad: true, ...(failure.detail === undefined ? {} : { detail: failure.detail }) });
}

let nextNotice = 1;

/**
 * notice shows a short message. Good news goes by itself, bad news stays until closed.
 *
 * @param {string} text
 * @param {{bad?: boolean, detail?: string, action?: {label: string, go: () => void}}} [more]
 * @returns {number} for closeNotice
 */
export function notice(text, more = {}) {
  const same = ui.notices.find((n) => n.text === text);
  if (same !== undefined) return same.id;
  const id = nextNotice++;
  const bad = more.bad === true;
  ui.notices = [...ui.notices.slice(-3), { ...more, id, text, bad }];
  announce(text, bad);
  if (!bad && more.action === undefined) setTimeout(() => closeNotice(id), 8000);
  update();
  return id;
}

/** @param {number} id */
export function closeNotice(id) {
  ui.notices = ui.notices.filter((n) => n.id !== id);
  update();
}

/**
 * announce says something to those who don't see the page. Each goes into its own line, so that none swallows another.
 *
 * @param {string} text
 * @param {boolean} [urgent]
 */
export function announce(text, urgent = false) {
  const inDialog = [...document.querySelectorAll("dialog[open]")].at(-1)?.querySelector(`.live${urgent ? ".urgent" : ":not(.urgent)"}`);
  const region = inDialog ?? document.getElementById(urgent ? "alerts" : "news");
  if (region === null) return;
  const line = document.createElement("p");
  line.textContent = text;
  region.append(line);
  setTimeout(() => line.remove(), 10000);
}

/** @param {string} name @param {string} [subject] */
export function openDialog(name, subject = "") {
  ui.dialog = name;
  ui.subject = subject;
  ui.question = null;
  delete ui.failures[name]; // that was about somebody else, or long ago
  update();
}

export function closeDialog() {
  openDialog("");
}

/** closeAnswered closes the dialog that asked for what has been done, unless the person opened another meanwhile. @param {string} name @param {string} [subject] */
export function closeAnswered(name, subject = ui.subject) {
  if (ui.dialog === name && ui.subject === subject) closeDialog();
}

/** @param {string} name @returns {boolean} */
export function has(name) {
  return state().features[name]?.available === true;
}

/** @param {string} id @returns {Member|undefined} */
export function memberOf(id) {
  return state().members.find((m) => m.id === id);
}

/** @param {string} id @returns {string} */
export function nameOf(id) {
  const member = memberOf(id);
  if (member === undefined) return t("someone");
  return member.self ? t("you") : member.contactName || member.name;
}

/**
 * inTurn returns a function that does what it is given after what it was given before, whatever came of that.
 *
 * @returns {<T>(step: () => Promise<T>) => Promise<T>}
 */
export function inTurn() {
  /** @type {Promise<any>} */
  let before = Promise.resolve();
  return (step) => {
    const done = before.then(step);
    before = done.catch(() => {});
    return done;
  };
}

/** Settings are changed one after another, each from what the one before made of them. */
const settingsTurn = inTurn();

/** changeSettings throws a Refusal. @param {Partial<import("./protocol.js").Settings>} change */
export function changeSettings(change) {
  return settingsTurn(() => conn().request("settings-set", { settings: { ...state().settings, ...change } }));
}

/** @param {Partial<import("./protocol.js").Settings>} change */
export async function set(change) {
  const had = state().settings;
  const shown = { ...had, ...change };
  state().settings = shown;
  update();
  try {
    await changeSettings(change);
  } catch (error) {
    if (state().settings === shown) state().settings = had;
    fail(failureOf(error));
    update();
  }
}

/** @param {string} key @returns {string} a setting of the page's own */
export function pageSetting(key) {
  return state().settings.page?.[key] ?? "";
}

/** @param {string} key @param {string} value */
export function setPage(key, value) {
  return set({ page: { ...state().settings.page, [key]: value } });
}

/**
 * download saves what the agent has ready.
 *
 * @param {Promise<any>} asked for a Download
 */
export async function download(asked) {
  const ready = await asked;
  if (ready === null || ready.url === undefined) return;
  const link = document.createElement("a");
  link.href = ready.url;
  link.download = ready.name;
  link.click();
}
