// Contacts: whom this person knows, what they call them, and when they compared words.

import { h } from "./dom.js";
import { askFirst } from "./confirm.js";
import { date, isolate, short, t } from "./i18n.js";
import { openDialog, state, submit, ui, update } from "./model.js";
import { avatar, badge, button, failureLine, field, note, person } from "./parts.js";

/** @typedef {import("./protocol.js").Contact} Contact */

let editing = "";

/** @returns {import("./dom.js").VChildren} */
export function contactsPart() {
  const { store, contacts, members } = state();
  if (!store.exists) return [h("p", null, t("contacts.text")), note("info", [h("p", null, t("contacts.needs-store")), button(t("store.begin"), () => openDialog("settings", "kept"), { kind: "quiet" })])];
  if (!store.unlocked) return note("info", h("p", null, t("contacts.locked")));
  const strangers = members.filter((m) => !m.self && !m.synthetic && !contacts.some((c) => c.id === m.id));
  return [
    h("p", null, t("contacts.text")),
    failureLine(ui.failures["contact"]),
    contacts.length === 0 ? h("p.empty", null, t("contacts.empty")) : null,
    h("ul.people", null, contacts.map((c) => editing === c.id ? form(c) : row(c))),
    strangers.length === 0 ? null : [h("h4", null, t("contacts.here")), h("ul.pairs", null, strangers.map((m) => h("li", { key: `add-${m.id}` }, h("span.grow", null, person(m.name)),
      button(t("contacts.add"), () => void submit("contact", "contact-set", { contact: m.id, name: m.name, note: "" }, m.id), { about: isolate(short(m.name, 64)) }))))],
  ];
}

/** @param {Contact} c */
function row(c) {
  const about = isolate(short(c.name, 64));
  return h("li.member", { key: `contact-${c.id}` },
    h("div.who", null, avatar(c.name), h("div.grow", null, h("strong", null, person(c.name)),
      h("div.badges", null, c.verified ? badge(c.verifiedAt ? t("contacts.verified-on", { when: date(c.verifiedAt) }) : t("standing.verified"), "good", "shield") : badge(t("standing.known"))),
      c.lastMet ? h("p.hint", null, t("contacts.met", { when: date(c.lastMet) })) : null,
      c.note ? h("p.note-text", null, h("bdi", null, short(c.note, 1024))) : null)),
    h("div.row", null,
      button(t("edit"), () => {
        editing = c.id;
        update();
      }, { about }),
      button(t("contacts.forget"), () => forget(c), { about })));
}

/** @param {Contact} c */
function forget(c) {
  askFirst({
    title: t("contacts.forget-title", { name: c.name }),
    text: [t("contacts.forget-text"), ...state().store.kept.length > 0 ? [t("contacts.forget-kept")] : []],
    go: t("contacts.forget"),
    act: () => void submit("contact", "contact-delete", { contact: c.id }, c.id),
  });
}

/** @param {Contact} c */
function form(c) {
  return h("li.member", { key: `edit-${c.id}` }, h("form", { on: { submit: (/** @type {Event} */ e) => void save(e, c) } },
    field("contact-name", t("contacts.name"), h("input", { type: "text", value: c.name, maxlength: "64" })),
    field("contact-note", t("contacts.note"), h("textarea", { rows: "2", value: c.note ?? "", maxlength: "1024" })),
    h("div.row", null, button(t("save"), () => {}, { kind: "primary", submit: true }), button(t("cancel"), () => {
      editing = "";
      update();
    }))));
}

/** @param {Event} e @param {Contact} c */
async function save(e, c) {
  e.preventDefault();
  const name = /** @type {HTMLInputElement} */ (document.getElementById("contact-name")).value.trim();
  const text = /** @type {HTMLTextAreaElement} */ (document.getElementById("contact-note")).value;
  if (await submit("contact", "contact-set", { contact: c.id, name, note: text }, c.id) === null) return;
  if (editing === c.id) editing = "";
  update();
}
