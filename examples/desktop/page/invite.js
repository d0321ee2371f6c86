// The invitation: from where its link works, what it reveals, the ready text, and a new link when the old one is dead.

import { h } from "./dom.js";
import { currentLanguage, dateTime, of, t } from "./i18n.js";
import { icon } from "./icons.js";
import { ask, closeAnswered, closeNotice, has, notice, onceDrawn, openDialog, state, submit, ui, update } from "./model.js";
import { button, choice, copy, dialog, failureLine, field, note, person, spinner, toggle } from "./parts.js";

/** @typedef {import("./protocol.js").Invitation} Invitation */
/** @typedef {import("./protocol.js").Reach} Reach */

const form = { language: "", lasts: "0", bare: false, code: "" };

/** @returns {import("./dom.js").VNode} */
export function inviteDialog() {
  const { invite, meeting } = state();
  // The dialog says it itself; the notice would lie over its buttons.
  if (offered !== 0) closeNotice(offered);
  offered = 0;
  const may = meeting?.can.invite === true;
  return dialog("invite", t("invite.title"), [invite === null
    ? [may ? h("p", null, t("invite.none")) : note("info", h("p", null, t("invite.not-allowed"))), renew(may)]
    : invite.dead ? [deadLink(), renew(may)] : [reachBox(invite.reach), ready(invite), reveals(invite.reach), renewal(invite, may)],
  may ? answer() : null]);
}

function deadLink() {
  return note("warning", [h("p", null, h("strong", null, t("invite.dead"))), h("p", null, t("invite.dead-text"))]);
}

/** @param {Invitation} invite */
function ready(invite) {
  const language = form.language || currentLanguage();
  const text = invite.text[language] ?? { subject: "", body: invite.link };
  const mail = `mailto:?subject=${encodeURIComponent(text.subject)}&body=${encodeURIComponent(text.body)}`;
  return h("section", { "aria-labelledby": "invite-text-title" },
    h("div.spread", null, h("h3", { id: "invite-text-title" }, t("invite.text")),
      h("div.segments", { role: "group", "aria-label": t("invite.language") },
        segment("fr", "Français", language), segment("en", "English", language))),
    h("p.hint", null, t("invite.hint")),
    h("textarea.invitation", { readonly: true, rows: "9", lang: language, "aria-label": t("invite.text"), value: text.body }),
    h("div.row", null,
      button(t("invite.copy"), () => void copy(text.body, () => notice(t("invite.copied"))), { kind: "primary", icon: "copy" }),
      button(t("invite.copy-link"), () => void copy(invite.link, () => notice(t("invite.link-copied"))), { icon: "link" }),
      h("a.button", { href: mail }, icon("mail"), h("span", null, t("invite.mail")))),
    invite.expires > 0 ? h("p.hint", null, t("invite.until", { when: dateTime(invite.expires) })) : null);
}

/** @param {string} code @param {string} label @param {string} now */
function segment(code, label, now) {
  return h("button", {
    type: "button", lang: code, "aria-pressed": String(code === now),
    on: {
      click: () => {
        form.language = code;
        update();
      },
    },
  }, label);
}

/** throughRelays says whether a link leads there alone. @param {Reach} reach */
function throughRelays(reach) {
  return reach.addresses.length > 0 && reach.addresses.every((a) => a.via === "relay");
}

/** @param {Reach} reach @returns {[string, string]} the words for from where it can be reached, and for why */
function reachWords(reach) {
  if (throughRelays(reach)) return ["relay", "relay"];
  if (reach.scope !== "everywhere") return [reach.scope, reach.scope];
  const widest = reach.addresses.filter((a) => a.scope === "everywhere");
  const own = widest.filter((a) => !a.whose);
  if (widest.length > 0 && own.length === 0) return ["everywhere", "others"];
  return ["everywhere", own.length > 0 && own.every((a) => a.via === "router") ? "router" : "everywhere"];
}

/** @param {Reach} reach */
function reachBox(reach) {
  const [scope, why] = reachWords(reach);
  const good = ["everywhere", "relay", "found"].includes(scope);
  const picture = { everywhere: "globe", relay: "network", network: "home", machine: "computer", found: "shield" }[scope] ?? "help";
  return h("section.reach", { class: good ? "good" : "limited", "aria-labelledby": "reach-title" },
    icon(picture),
    h("div", null,
      h("h3", { id: "reach-title" }, of("reach.", scope)),
      h("p", null, of("reach-text.", why)),
      reach.scope === "network" && state().meeting?.mode === "normal" && has("reach") ? routerPart(reach) : null));
}

/** @param {Reach} reach */
function routerPart(reach) {
  const may = state().meeting?.can.invite === true;
  return h("div", null,
    reach.router === "not-asked" ? h("p", null, t("router.offer")) : h("p", null, of("router.", reach.router)),
    failureLine(ui.failures["router"]),
    reach.router === "mapped" || !may ? null : ui.busy.has("router")
      ? h("p", { role: "status" }, spinner(), t("router.asking"))
      : button(t(reach.router === "not-asked" ? "router.ask" : "router.again"), () => void submit("router", "reach-ask-router", {})));
}

/** @param {Reach} reach */
function reveals(reach) {
  return h("details.reveals", null,
    h("summary", null, t("reveal.title")),
    h("p", null, t(reach.addresses.length === 0 ? "reveal.none" : throughRelays(reach) ? "reveal.relay" : "reveal.text")),
    reach.addresses.length === 0 ? null : h("div.table-wrap", { tabindex: "0", role: "group", "aria-label": t("reveal.title") }, h("table", null,
      h("caption.unseen", null, t("reveal.title")),
      h("thead", null, h("tr", null, h("th", { scope: "col" }, t("reveal.address")), h("th", { scope: "col" }, t("reveal.where")), h("th", { scope: "col" }, t("reveal.via")), h("th", { scope: "col" }, t("reveal.whose")))),
      h("tbody", null, reach.addresses.map((a) => h("tr", null,
        h("td", null, h("code", { dir: "ltr" }, a.address)), h("td", null, of("scope.", a.scope)), h("td", null, of("via.", a.via)), h("td", null, a.whose ? person(a.whose) : t("you"))))))),
    h("p", null, t("reveal.secret")));
}

/** @param {Invitation} invite @param {boolean} may */
function renewal(invite, may) {
  if (!may) return null;
  return h("details", { key: `renew-${invite.created}` }, h("summary", null, t("invite.new")), h("p", null, t("invite.new-text")), renew(may));
}

/** @param {boolean} may */
function renew(may) {
  if (!may) return null;
  return h("form", { on: { submit: (/** @type {Event} */ e) => void make(e) } },
    field("invite-lasts", t("invite.lasts"), choice(form.lasts, [["0", t("lasts.end")], ["1", t("lasts.hour")], ["24", t("lasts.day")], ["168", t("lasts.week")]], (v) => {
      form.lasts = v;
      update();
    })),
    bare(),
    failureLine(ui.failures["invite"]),
    button(t("invite.make"), () => {}, { kind: "primary", submit: true, busy: ui.busy.has("invite") }));
}

/** @returns {import("./dom.js").VNode|null} whether the link names no address, where the meeting can be found without */
function bare() {
  const way = state().meeting?.found[0];
  if (way === undefined) return null;
  const text = { "local-network": t("invite.bare-lan"), "dht-public": t("invite.bare-public") }[way] ?? t("invite.bare-own");
  return toggle("invite-bare", t("invite.bare"), form.bare, (on) => {
    form.bare = on;
    update();
  }, { hint: text });
}

/** answer takes the code that a guest sent back, who can't reach anybody here. */
function answer() {
  return h("details", { key: "reply" }, h("summary", null, t("reply.title")),
    h("p", null, t("reply.text")),
    h("form", { on: { submit: (/** @type {Event} */ e) => void follow(e) } },
      field("reply-code", t("reply.code"), h("textarea.code", {
        rows: "3", spellcheck: "false", autocomplete: "off", dir: "ltr", value: form.code, placeholder: "huisclos-reply:…",
        on: {
          input: (/** @type {any} */ e) => {
            form.code = e.target.value;
          },
        },
      }), { failure: ui.failures["reply"] }),
      button(t("reply.go"), () => {}, { submit: true, busy: ui.busy.has("reply") })));
}

/** @param {Event} e */
async function follow(e) {
  e.preventDefault();
  // What the guest wrote before it may have been pasted with it.
  if (await submit("reply", "reply", { code: form.code.slice(Math.max(0, form.code.indexOf("huisclos-reply:"))) }) === null) return;
  form.code = "";
  closeAnswered("invite"); // whoever knocks is shown under it
  onceDrawn(() => notice(t("reply.done"))); // once it is gone, for it would be announced in it
}

/** @param {Event} e */
async function make(e) {
  e.preventDefault();
  const hours = Number(form.lasts);
  const made = await submit("invite", "invite", { expires: hours === 0 ? 0 : Date.now() + hours * 3600e3, noAddresses: form.bare && state().meeting?.found.length !== 0 });
  // The new link stands above.
  if (made !== null) document.querySelector("dialog.dialog-invite[open] .body")?.scrollTo(0, 0);
}

let offered = 0;

/** offerNewLink tells that the links are dead since somebody was removed. */
export function offerNewLink() {
  if (state().meeting?.can.invite !== true) return;
  offered = notice(t("invite.dead-text"), {
    action: {
      label: t("invite.make"),
      go: () => {
        openDialog("invite");
        void ask("invite", { expires: 0, noAddresses: false });
      },
    },
  });
}
