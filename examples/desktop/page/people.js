// Who is in the meeting: what each may do, and what can be done about each.

import { h } from "./dom.js";
import { count, isolate, of, short, t } from "./i18n.js";
import { icon } from "./icons.js";
import { ask, closeAnswered, closeDialog, has, memberOf, openDialog, state, submit, ui, update } from "./model.js";
import { avatar, badge, button, choice, dialog, failureLine, field, longText, note, person, toggle } from "./parts.js";
import { standing } from "./door.js";
import { offerNewLink } from "./invite.js";
import { writeTo } from "./chat.js";
import { policyPart, setLock } from "./policy.js";

/** @typedef {import("./protocol.js").Member} Member */

/** @returns {import("./dom.js").VChildren} */
export function peoplePanel() {
  const { members, meeting, policy } = state();
  const order = [...members].sort((a, b) => Number(b.self) - Number(a.self) || (a.hand || Infinity) - (b.hand || Infinity) || Number(b.role === "host") - Number(a.role === "host"));
  return [
    h("p.hint", null, count("people.count", members.length)),
    meeting?.hostsAbsent ? note("warning", h("p", null, t("people.no-host"))) : null,
    h("div.row", null, meeting?.can.invite ? button(t("invite.title"), () => openDialog("invite"), { icon: "mail" }) : null),
    meeting?.can.manage ? toggle("lock", t("lock.label"), policy?.entry === "locked", setLock, { hint: t("lock.hint") }) : null,
    h("ul.people", null, order.map(row)),
    meeting?.can.manage ? policyPart() : null,
  ];
}

/** @param {Member} member */
function row(member) {
  return h("li.member", { key: `member-${member.id}` },
    h("div.who", null, avatar(member.name),
      h("div.grow", null,
        h("strong", null, person(member.self ? t("you-are", { name: member.name }) : member.contactName || member.name)),
        member.contactName && member.contactName !== member.name ? h("p.hint", null, t("people.calls-themselves", { name: member.name })) : null,
        h("div.badges", null,
          h("span.badge", null, t(`role.${known(member.role)}`)),
          member.synthetic ? badge(t("people.synthetic"), "accent") : member.self ? null : standing({ contact: member.verified ? "verified" : member.contact, ...(member.resembles ? { resembles: member.resembles } : {}) }),
          member.away ? badge(t("state.away")) : null,
          member.suspended ? badge(t("state.suspended"), "bad", "warning") : null,
          member.hand > 0 ? badge(t("hand.raised"), "accent", "hand") : null)),
      sends(member)),
    member.self ? null : h("details", null,
      h("summary", null, t("people.actions"), h("span.unseen", null, ` ${isolate(short(member.name, 64))}`)),
      actions(member)));
}

/** @param {string} role @returns {"host"|"participant"|"viewer"} */
function known(role) {
  return role === "host" || role === "viewer" ? role : "participant";
}

/** @param {Member} member */
function sends(member) {
  return h("div.sends", null,
    sign(member.microphone === "on", "microphone", "microphone-off", t(member.microphone === "on" ? "state.speaks" : "state.muted")),
    sign(member.camera === "on", "camera", "camera-off", t(member.camera === "on" ? "state.seen" : "state.unseen")),
    member.screen === "on" ? sign(true, "screen", "screen", t("state.screen")) : null);
}

/** @param {boolean} on @param {string} yes @param {string} no @param {string} text */
function sign(on, yes, no, text) {
  return h("span.sign", { class: on ? "on" : "off", title: text }, icon(on ? yes : no), h("span.unseen", null, text));
}

/** @param {Member} member */
function actions(member) {
  const { meeting } = state();
  const manage = meeting?.can.manage === true;
  const about = isolate(short(member.name, 64));
  const mayAsk = manage && has("ask-mute");
  return h("div.actions", null,
    member.name.length > 40 ? h("div", null, h("p.hint", null, t("people.whole-name")), longText(`name-${member.id}`, member.name, 64)) : null,
    member.resembles ? note("bad", h("p", null, t("door.resembles", { name: member.resembles }))) : null,
    has("private-chat") ? button(t("people.write"), () => writeTo(member.id), { key: "write", icon: "chat", about }) : null,
    has("verify") && !member.verified ? button(t("verify.begin"), () => openDialog("verify", member.id), { key: "verify", icon: "shield", about }) : null,
    mayAsk && member.microphone === "on" ? button(t("people.ask-mute"), () => void ask("mute-ask", { member: member.id, source: "microphone" }), { key: "ask-mute", icon: "microphone-off", about }) : null,
    mayAsk && member.camera === "on" ? button(t("people.ask-camera"), () => void ask("mute-ask", { member: member.id, source: "camera" }), { key: "ask-camera", icon: "camera-off", about }) : null,
    mayAsk && member.screen === "on" ? button(t("people.ask-screen"), () => void ask("mute-ask", { member: member.id, source: "screen" }), { key: "ask-screen", icon: "screen", about }) : null,
    manage && member.hand > 0 ? button(t("people.lower-hand"), () => void ask("hand", { up: false, member: member.id }), { key: "lower-hand", icon: "hand", about }) : null,
    manage && member.below ? rolePart(member) : null,
    manage && member.below ? button(t("remove.begin"), () => openDialog("remove", member.id), { key: "remove", kind: "danger", icon: "leave", about }) : null,
    manage && !member.below ? h("p.hint", null, t("people.above")) : null);
}

/** @param {Member} member */
function rolePart(member) {
  return field(`role-${member.id}`, t("role.label"), choice(known(member.role), [["host", t("role.host")], ["participant", t("role.participant")], ["viewer", t("role.viewer")]],
    (role) => role === "host" ? openDialog("promote", member.id) : ask("role", { member: member.id, role })), { hint: of("role-text.", known(member.role)) });
}

/** @returns {import("./dom.js").VNode} asks before a role is given that is hard to take back */
export function promoteDialog() {
  const member = memberOf(ui.subject);
  if (member === undefined) return dialog("promote", t("role.label"), h("p", null, t("remove.gone")));
  return dialog("promote", t("promote.title", { name: member.name }), [
    h("p", null, t("promote.text")), failureLine(ui.failures["promote"]),
  ], {
    footer: [button(t("cancel"), closeDialog), button(t("promote.go"), async () => {
      const { subject } = ui;
      if (await submit("promote", "role", { member: subject, role: "host" }, subject) !== null) closeAnswered("promote", subject);
    }, { kind: "primary", busy: ui.busy.has(`promote ${ui.subject}`) })],
  });
}

/** Whom the person chose to ban, in this dialog. */
let banned = "";

/** @returns {import("./dom.js").VNode} */
export function removeDialog() {
  const member = memberOf(ui.subject);
  const ban = banned === ui.subject;
  if (member === undefined) return dialog("remove", t("remove.begin"), h("p", null, t("remove.gone")));
  return dialog("remove", t("remove.title", { name: member.name }), [
    h("p", null, t("remove.what")),
    h("ul.points", null,
      h("li", null, icon("check"), h("span", null, t("remove.at-once"))),
      h("li", null, icon("check"), h("span", null, t("remove.links"))),
      h("li", null, icon("check"), h("span", null, t("remove.seen"))),
      h("li", null, icon("info"), h("span", null, t("remove.limit")))),
    h("fieldset", null, h("legend", null, t("remove.choose")),
      option(false, t("remove.only"), t("remove.only-text")),
      option(true, t("remove.ban"), t("remove.ban-text"))),
    failureLine(ui.failures["remove"]),
  ], {
    footer: [
      button(t("cancel"), closeDialog),
      button(t(ban ? "remove.go-ban" : "remove.go"), () => void remove(member), { kind: "danger", busy: ui.busy.has(`remove ${member.id}`) }),
    ],
  });
}

/** @param {boolean} value @param {string} label @param {string} text */
function option(value, label, text) {
  const id = value ? "ban-yes" : "ban-no";
  return h("div.option", null,
    h("input", {
      type: "radio", name: "ban", id, checked: (banned === ui.subject) === value, "aria-describedby": `${id}-text`,
      on: {
        change: () => {
          banned = value ? ui.subject : "";
          update();
        },
      },
    }),
    h("div", null, h("label", { for: id }, label), h("p.hint", { id: `${id}-text` }, text)));
}

/** @param {Member} member */
async function remove(member) {
  if (await submit("remove", "remove", { member: member.id, ban: banned === member.id }, member.id) === null) return;
  closeAnswered("remove", member.id);
  offerNewLink();
}
