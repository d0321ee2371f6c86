// The words that are read aloud: by all together, or by two alone. Whoever compared is marked as verified.

import { h } from "./dom.js";
import { currentLanguage, t } from "./i18n.js";
import { icon } from "./icons.js";
import { announce, ask, closeAnswered, closeDialog, focusOnceDrawn, has, memberOf, nameOf, notice, openDialog, state, submit, ui, update } from "./model.js";
import { avatar, badge, button, dialog, failureLine, note, person, spinner, whyNot } from "./parts.js";

/** @typedef {import("./protocol.js").Words} Words */

let other = false;

/** @param {Words} words @param {string} label */
function list(words, label) {
  const first = currentLanguage();
  const language = other ? (first === "fr" ? "en" : "fr") : first;
  return h("div.words", null,
    h("ol", { "aria-label": label, lang: language }, words[language].map((w) => h("li", { translate: "no" }, w))),
    h("p.digits", null, h("span.hint", null, t("words.digits")), " ", h("code", { translate: "no" }, words.digits)),
    button(t(other ? "words.own-language" : "words.other-language"), () => {
      other = !other;
      update();
    }, { kind: "quiet", icon: "globe" }));
}

/**
 * What the person is comparing: the digits of the words they were shown, by member, all together under "". Others take
 * their place only when the person says so: nobody is to call the same what they haven't read.
 *
 * @type {Map<string, string>}
 */
const reading = new Map();

/** @param {string} whose @param {Words} words @returns {boolean} whether these are others than the person is comparing */
function changed(whose, words) {
  if (!reading.has(whose)) reading.set(whose, words.digits);
  return reading.get(whose) !== words.digits;
}

/** forgetRead forgets what isn't on the screen any more. */
export function forgetRead() {
  for (const whose of reading.keys()) {
    if (whose === "" ? ui.panel !== "words" : ui.dialog !== "verify" || ui.subject !== whose) reading.delete(whose);
  }
}

/** @param {string} whose @returns {import("./dom.js").VNode} what stands where the words have become others */
function others(whose) {
  return note("warning", [h("p", null, t(whose === "" ? "words.changed" : "verify.changed")), button(t("words.look-new"), () => {
    reading.delete(whose);
    delete ui.failures["words"];
    focusOnceDrawn(whose === "" ? "panel-title" : "words-read");
  })]);
}

/** @returns {import("./dom.js").VChildren} */
export function wordsPanel() {
  const { words, members } = state();
  const rest = members.filter((m) => !m.self);
  return [
    h("p", null, t("words.what")),
    h("h3", null, t("words.all")),
    rest.length === 0 ? h("p.hint", null, t("words.alone")) : words === null ? waiting() : changed("", words) ? others("") : [
      h("p", null, t("words.how")),
      list(words, t("words.all")),
      failureLine(ui.failures["words"]),
      h("div.row", null,
        button(t("words.same"), () => void same("", words), { kind: "primary", icon: "check", busy: ui.busy.has("words") }),
        button(t("words.differ"), () => openDialog("differ"), { icon: "warning" })),
    ],
    has("words") ? null : whyNot("words"),
    rest.length === 0 ? null : h("section", { "aria-labelledby": "pair-title" },
      h("h3", { id: "pair-title" }, t("verify.title")),
      h("p", null, t("verify.what")),
      whyNot("verify"),
      h("ul.pairs", null, rest.map((m) => h("li", { key: `pair-${m.id}` }, avatar(m.name), h("span.grow", null, person(m.contactName || m.name)),
        m.verified ? badge(t("standing.verified"), "good", "shield") : button(t("verify.short"), () => openDialog("verify", m.id), { about: m.name.slice(0, 64), disabled: !has("verify") }))))),
    h("details", null, h("summary", null, t("padlock.means")), h("p", null, t("padlock.text")), h("p", null, t("padlock.limit"))),
  ];
}

function waiting() {
  return h("div", null, h("p", { role: "status" }, spinner(), " ", t("words.waiting")),
    button(t("words.compute"), () => void submit("words", "words", {}), { busy: ui.busy.has("words") }), failureLine(ui.failures["words"]));
}

/** @param {string} member empty: everybody @param {Words} words that were compared */
async function same(member, words) {
  if (await submit("words", "verified", { member, match: true, digits: words.digits }) === null) return;
  if (member !== "") closeAnswered("verify", member);
  notice(t(member === "" ? "words.all-verified" : "verify.done", { name: member === "" ? "" : nameOf(member) }));
}

/** @returns {import("./dom.js").VNode} comparing with one person */
export function verifyDialog() {
  const member = memberOf(ui.subject);
  const name = member === undefined ? t("someone") : member.contactName || member.name;
  const under = state().verifications.find((v) => v.member === ui.subject);
  const failure = ui.failures["verify"] ?? ui.failures["words"];
  if (under === undefined) reading.delete(ui.subject); // it is over; the next one is another
  const stop = () => {
    if (under !== undefined) void ask("verified", { member: ui.subject, match: false, digits: under.words.digits });
    closeDialog();
  };
  if (member === undefined) return dialog("verify", t("verify.with", { name }), h("p", null, t("remove.gone")));
  if (member.verified && under === undefined) return dialog("verify", t("verify.with", { name }), note("good", h("p", null, t("verify.done", { name }))));
  if (under !== undefined && changed(under.member, under.words)) return dialog("verify", t("verify.with", { name }), others(under.member), { closed: stop });
  return dialog("verify", t("verify.with", { name }), under === undefined
    ? [h("p", null, t("verify.text")), h("ol.numbered", null, h("li", null, t("verify.step1")), h("li", null, t("verify.step2")), h("li", null, t("verify.step3"))), failureLine(failure)]
    : [under.asked ? note("info", h("p", null, t("verify.asked", { name }))) : null, h("p", { id: "words-read", tabindex: "-1" }, t("verify.read")), list(under.words, t("verify.with", { name })), failureLine(failure)], {
    closed: stop,
    footer: under === undefined
      ? [button(t("cancel"), closeDialog), button(t("verify.go"), () => void submit("verify", "verify", { member: ui.subject }), { kind: "primary", busy: ui.busy.has("verify") })]
      : [button(t("words.differ"), () => {
        void ask("verified", { member: ui.subject, match: false, digits: under.words.digits });
        openDialog("differ", ui.subject);
      }, { icon: "warning" }), button(t("words.same"), () => void same(ui.subject, under.words), { kind: "primary", icon: "check" })],
  });
}

/** @type {Set<string>} */
let asked = new Set();
/** @type {Map<string, string>} what was shown last, by member: digits */
let shown = new Map();

/** followVerifications shows a comparison that somebody else began, and says when words under the person's eyes change. */
export function followVerifications() {
  const now = state().verifications.filter((v) => v.asked);
  const { words, verifications } = state();
  /** @type {Map<string, string>} */
  const digits = new Map(verifications.map((v) => [v.member, v.words.digits]));
  if (words !== null) digits.set("", words.digits);
  for (const [whose, d] of digits) {
    const read = reading.get(whose);
    if (read !== undefined && read !== d && shown.get(whose) !== d) announce(t(whose === "" ? "words.changed" : "verify.changed"), true);
  }
  shown = digits;
  for (const v of now) {
    if (asked.has(v.member)) continue;
    announce(t("verify.asked", { name: nameOf(v.member) }), true);
    notice(t("verify.asked", { name: nameOf(v.member) }), { action: { label: t("verify.look"), go: () => openDialog("verify", v.member) } });
  }
  asked = new Set(now.map((v) => v.member));
}

/** @returns {import("./dom.js").VNode} what to do when words differ */
export function differDialog() {
  return dialog("differ", t("differ.title"), [
    note("bad", h("p", null, t("differ.text"))),
    h("ol.numbered", null, h("li", null, t("differ.step1")), h("li", null, t("differ.step2")), h("li", null, t("differ.step3"))),
    h("p.hint", null, icon("info"), h("span", null, t("differ.often"))),
  ], { footer: [button(t("close"), closeDialog), button(t("leave.go"), () => openDialog("leave"), { kind: "danger", icon: "leave" })] });
}
