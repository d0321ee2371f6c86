// Messages, to all or to one.

import { h, memo } from "./dom.js";
import { currentLanguage, isolate, short, t, time } from "./i18n.js";
import { icon } from "./icons.js";
import { announce, has, memberOf, nameOf, state, submit, ui, update } from "./model.js";
import { choice, failureLine, longText, note, person } from "./parts.js";
import { togglePanel } from "./meeting.js";

/** @typedef {import("./protocol.js").Message} Message */

const form = { to: "", text: "" };
let seen = 0;

/** @returns {number} how many messages weren't seen */
export function unread() {
  const { chat } = state();
  if (ui.panel === "chat") seen = chat.length;
  return Math.max(0, chat.length - Math.min(seen, chat.length));
}

/** forgetSeen begins anew, for another meeting. */
export function forgetSeen() {
  seen = 0;
  form.to = "";
  form.text = "";
}

/** @param {Message} message a new one */
export function gotMessage(message) {
  if (!message.self) {
    announce(t(message.to ? "news.private" : "news.message", { name: message.name, text: short(message.text, 200) }));
  }
  update();
}

/** writeTo opens the panel for a private message. @param {string} member */
export function writeTo(member) {
  form.to = member;
  if (ui.panel !== "chat") togglePanel("chat");
  update();
  setTimeout(() => document.getElementById("chat-text")?.focus(), 60);
}

/** @returns {import("./dom.js").VChildren} */
export function chatPanel() {
  const { chat, meeting } = state();
  const may = meeting?.can.send.includes("chat") === true;
  return [
    h("div.log", { role: "log", "aria-label": t("chat.log"), "aria-live": "off", tabindex: "0", updated: follow, created: toEnd },
      chat.length === 0
        ? h("p.empty", { key: "empty" }, t("chat.empty"))
        : chat.map((m) => memo(`message-${m.id}`, [m, currentLanguage(), ui.whole.has(m.id), m.to ? nameOf(m.to) : ""], () => line(m)))),
    may ? writing() : note("info", h("p", null, t("chat.not-permitted"))),
  ];
}

/** @param {Message} m */
function line(m) {
  const about = m.to ? t(m.self ? "chat.to" : "chat.private", { name: m.self ? nameOf(m.to) : "" }) : "";
  return h("article.message", { key: `message-${m.id}`, class: [m.self ? "own" : "", m.to ? "private" : ""].join(" ").trim() },
    h("header", null, h("strong", null, m.self ? t("you") : person(m.name)), h("time", { datetime: new Date(m.time).toISOString() }, time(m.time)),
      about === "" ? null : h("span.badge.accent", null, icon("lock"), about)),
    longText(m.id, m.text, 1200),
    m.state === "failed" ? h("p.failure", null, icon("warning"), t("chat.failed")) : null);
}

let atEnd = true;

/** @param {HTMLElement} log stays at the end, if it was there */
function follow(log) {
  if (atEnd) log.scrollTop = log.scrollHeight;
}

/** @param {HTMLElement} log */
function toEnd(log) {
  log.scrollTop = log.scrollHeight;
  atEnd = true;
  log.addEventListener("scroll", () => {
    atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  });
}

function writing() {
  const { members, app } = state();
  if (form.to !== "" && memberOf(form.to) === undefined) form.to = "";
  /** @type {[string, string][]} */
  const options = [["", t("chat.everybody")], ...members.filter((m) => !m.self).map((m) => /** @type {[string, string]} */ ([m.id, isolate(short(m.contactName || m.name, 64))]))];
  const bytes = new TextEncoder().encode(form.text).length;
  const left = app.maxChat - bytes;
  return h("form.write", { class: form.to === "" ? "" : "private", on: { submit: (/** @type {Event} */ e) => void send(e) } },
    has("private-chat") && options.length > 1 ? h("div.to", null, h("label", { for: "chat-to" }, t("chat.for")), choice(form.to, options, (v) => {
      form.to = v;
      update();
    }, { id: "chat-to" })) : null,
    form.to === "" ? null : h("p.hint", null, icon("lock"), h("span", null, t("chat.only", { name: nameOf(form.to) }))),
    h("label.unseen", { for: "chat-text" }, t("chat.write")),
    h("div.line", null,
      h("textarea", {
        id: "chat-text", rows: "2", value: form.text, placeholder: t("chat.write"), dir: "auto", "aria-describedby": "chat-keys",
        on: {
          input: (/** @type {any} */ e) => {
            form.text = e.target.value;
            update();
          },
          keydown: (/** @type {KeyboardEvent} */ e) => {
            if (e.key === "Enter" && !e.shiftKey && !e.isComposing) void send(e);
          },
        },
      }),
      h("button.icon-button.primary", { type: "submit", "aria-label": t("chat.send"), title: t("chat.send"), "aria-disabled": ui.busy.has("chat") ? "true" : null }, icon("send"))),
    h("p.hint", { id: "chat-keys" }, left < 500 ? t(left < 0 ? "chat.too-long" : "chat.left", { n: Math.abs(left) }) : t("chat.keys")),
    failureLine(ui.failures["chat"]));
}

/** @param {Event} e */
async function send(e) {
  e.preventDefault();
  const text = form.text.trim();
  if (text === "") return;
  atEnd = true;
  if (await submit("chat", "say", { text, to: form.to }) === null) return;
  form.text = "";
  const box = document.getElementById("chat-text");
  if (box instanceof HTMLTextAreaElement) box.value = "";
  update();
}
