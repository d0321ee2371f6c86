// Who knocks, and letting them in or not.

import { h } from "./dom.js";
import { count, isolate, t, time } from "./i18n.js";
import { announce, state, submit, ui } from "./model.js";
import { avatar, badge, button, failureLine, note, person } from "./parts.js";

/** @typedef {import("./protocol.js").Knock} Knock */

/** @type {Set<string>} */
let announced = new Set();

/** follow says aloud who knocks. */
export function follow() {
  const { knocks } = state();
  const come = knocks.filter((k) => !announced.has(k.id));
  if (come.length > 3) announce(t("news.knocks", { n: come.length }), true);
  else for (const knock of come) announce(t("news.knock", { name: knock.name }), true);
  if (knocks.length === 0) delete ui.failures["door"];
  announced = new Set(knocks.map((k) => k.id));
}

/** @returns {import("./dom.js").VNode|null} who is at the door */
export function door() {
  const { knocks, meeting } = state();
  if (knocks.length === 0 || meeting === null) return null;
  return h("section.door", { key: "door", "aria-labelledby": "door-title" },
    h("h2", { id: "door-title" }, t("door.title"), " ", badge(String(knocks.length), "accent")),
    failureLine(ui.failures["door"]),
    h("ul", null, knocks.slice(0, 20).map((knock) => caller(knock, meeting.can.admit))),
    knocks.length > 20 ? h("p", null, count("door.more", knocks.length - 20)) : null);
}

/** @param {Knock} knock @param {boolean} mayAdmit */
function caller(knock, mayAdmit) {
  const doubtful = Boolean(knock.resembles);
  const about = isolate(knock.name.slice(0, 64));
  return h("li.caller", { key: `knock-${knock.id}` },
    h("div.who", null, avatar(knock.name),
      h("div", null, h("strong", null, person(knock.name)),
        h("p.hint", null, t("door.since", { when: time(knock.at) }))),
      standing(knock)),
    doubtful
      ? note("bad", h("p", null, t("door.resembles", { name: knock.resembles ?? "" })))
      : knock.contact === "verified"
        ? h("p.hint", null, t("door.verified", { name: knock.contactName || knock.name }))
        : h("p.hint", null, t(knock.contact === "known" ? "door.known" : "door.stranger")),
    mayAdmit
      ? h("div.row", null,
        button(t("door.admit"), () => void submit("door", "admit", { member: knock.id }, `admit ${knock.id}`), { kind: doubtful ? "plain" : "primary", icon: "check", about, busy: ui.busy.has(`door admit ${knock.id}`) }),
        button(t("door.deny"), () => void submit("door", "deny", { member: knock.id }, `deny ${knock.id}`), { icon: "close", about, busy: ui.busy.has(`door deny ${knock.id}`) }))
      : h("p.hint", null, t("door.only-hosts")));
}

/**
 * standing says how well somebody is known.
 *
 * @param {{contact: string, resembles?: string}} who
 */
export function standing(who) {
  if (who.resembles) return badge(t("standing.resembles"), "bad", "warning");
  if (who.contact === "verified") return badge(t("standing.verified"), "good", "shield");
  if (who.contact === "known") return badge(t("standing.known"), "plain", "contacts");
  return badge(t("standing.stranger"), "plain", "person");
}
