// What participants and viewers may do in this meeting, and who lets people in.

import { h } from "./dom.js";
import { t } from "./i18n.js";
import { ask, inTurn, state } from "./model.js";
import { choice, field } from "./parts.js";

/** @typedef {import("./protocol.js").Policy} Policy */

/** @type {("audio"|"video"|"screen"|"chat"|"files")[]} */
const rights = ["audio", "video", "screen", "chat", "files"];

/** @returns {import("./dom.js").VNode|null} */
export function policyPart() {
  const { policy } = state();
  if (policy === null) return null;
  return h("details.policy", null, h("summary", null, t("policy.title")),
    policy.entry === "locked" ? null : field("policy-entry", t("create.entry"), choice(policy.entry, [["ask", t("entry.ask")], ["open", t("entry.open")]], (entry) => set((now) => ({ ...now, entry }))), { hint: policy.entry === "open" ? t("entry.open-hint") : null }),
    field("policy-admitters", t("policy.admitters"), choice(policy.admitters, [["hosts", t("policy.hosts")], ["members", t("policy.members")]], (admitters) => set((now) => ({ ...now, admitters })))),
    group("members", t("policy.participants"), policy),
    group("viewers", t("policy.viewers"), policy));
}

/** What is asked for and not answered yet: the next change goes on from there, and takes none of it back. @type {Policy|null} */
let asked = null;
/** They are asked for one after another. */
const turn = inTurn();

/** @param {(now: Policy) => Policy} change @param {(policy: Policy) => Promise<any>} [request] */
async function set(change, request = (policy) => ask("policy-set", { policy })) {
  const mine = asked = change(asked ?? /** @type {Policy} */ (state().policy));
  await turn(() => request(mine));
  if (asked === mine) asked = null;
}

/** setLock has nobody come in any more, or again. @param {boolean} locked */
export function setLock(locked) {
  return set((now) => ({ ...now, entry: locked ? "locked" : "ask" }), () => ask("lock", { locked }));
}

/** @param {"members"|"viewers"} who @param {string} title @param {Policy} policy */
function group(who, title, policy) {
  return h("fieldset", null, h("legend", null, title), rights.map((right) => h("label.check", null,
    h("input", {
      type: "checkbox", checked: policy[who].includes(right),
      on: { change: (/** @type {any} */ e) => set((now) => ({ ...now, [who]: [...now[who].filter((x) => x !== right), ...(e.target.checked ? [right] : [])] })) },
    }), t(`right.${right}`))));
}
