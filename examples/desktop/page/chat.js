// Messages, to all or to one.

import { h, memo } from "./dom.js";
import { count, currentLanguage, short, t, time } from "./i18n.js";
import { icon } from "./icons.js";
import { announce, focusOnceDrawn, has, nameOf, sentence, state, submit, ui, update } from "./model.js";
import { address, choice, failureLine, longText, note, person, recipients } from "./parts.js";
import { togglePanel } from "./meeting.js";

/** @typedef {import("./protocol.js").Message} Message */
/** @typedef {import("./parts.js").Addressed & {text: string}} Written */

const form = { to: "", name: "", text: "" };
/** What was sent off and isn't answered yet, in its order. @type {Written[]} */
let outbox = [];
let seen = "";

/** @returns {number} how many messages weren't seen */
export function unread() {
  const { chat } = state();
  if (ui.panel === "chat") seen = chat.at(-1)?.id ?? "";
  // Not by their number: the oldest of very many are dropped.
  return chat.slice(chat.findIndex((m) => m.id === seen) + 1).filter((m) => !m.self).length;
}

/** forgetSeen begins anew, for another meeting. */
export function forgetSeen() {
  seen = "";
  address(form, "");
  form.text = "";
  outbox = [];
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
  address(form, member);
  if (ui.panel !== "chat") togglePanel("chat");
  focusOnceDrawn("chat-text");
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

/** over is how many characters must go from the end for so many bytes. @param {string} text @param {number} bytes */
function over(text, bytes) {
  const all = [...text];
  let n = 0;
  for (let gone = 0; gone < bytes; n++) gone += new TextEncoder().encode(all.at(-1 - n)).length;
  return n;
}

function writing() {
  const { app } = state();
  const { options, gone } = recipients(form, [["", t("chat.everybody")]]);
  const bytes = new TextEncoder().encode(form.text).length;
  const left = app.maxChat - bytes;
  return h("form.write", { class: form.to === "" ? "" : "private", on: { submit: (/** @type {Event} */ e) => void send(e) } },
    has("private-chat") && options.length > 1 ? h("div.to", null, h("label", { for: "chat-to" }, t("chat.for")), choice(form.to, options, (v) => {
      address(form, v);
      update();
    }, { id: "chat-to" })) : null,
    form.to === "" || gone ? null : h("p.hint", null, icon("lock"), h("span", null, t("chat.only", { name: nameOf(form.to) }))),
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
      h("button.icon-button.primary", { type: "submit", "aria-label": t("chat.send"), title: t("chat.send"), "aria-disabled": gone ? "true" : null }, icon("send"))),
    h("p.hint", { id: "chat-keys" }, left < 0 ? count("chat.too-long", over(form.text, -left)) : left < 500 ? count("chat.left", left) : t("chat.keys")),
    failureLine(gone ?? ui.failures["chat"]));
}

/** @param {Event} e */
function send(e) {
  e.preventDefault();
  const text = form.text.trim();
  if (text === "") return;
  const { gone } = recipients(form, []);
  if (gone !== undefined) {
    announce(sentence(gone), true);
    return;
  }
  atEnd = true;
  outbox.push({ ...form, text });
  write("");
  if (outbox.length === 1) void deliver();
}

/** write puts a text into the field. @param {string} text */
function write(text) {
  form.text = text;
  const box = document.getElementById("chat-text");
  if (box instanceof HTMLTextAreaElement) box.value = text;
  update();
}

/** deliver sends what waits, one after another. */
async function deliver() {
  for (let first = outbox[0]; first !== undefined; first = outbox[0]) {
    const mine = outbox;
    const answer = await submit("chat", "say", { text: first.text, to: first.to });
    if (mine !== outbox) return; // of another meeting
    if (answer === null) {
      giveBack(outbox.splice(0));
      return;
    }
    outbox.shift();
  }
}

/** giveBack returns what was refused to the field, unless something for others is written there by now. @param {Written[]} refused */
function giveBack(refused) {
  for (const m of refused.reverse()) {
    if (m.to === form.to || form.text === "") {
      Object.assign(form, m, { text: [m.text, form.text].filter(Boolean).join("\n") });
      write(form.text);
    } else state().chat.push({ to: m.to, text: m.text, id: `refused-${Math.random()}`, from: state().meeting?.self ?? "", name: "", time: Date.now(), self: true, state: "failed" });
  }
  update();
}
