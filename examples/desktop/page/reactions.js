// Reactions: sent with a button, shown for some seconds on the picture of whoever sent them.

import { h } from "./dom.js";
import { t } from "./i18n.js";
import { announce, ask, nameOf, state, update } from "./model.js";

/** @type {{member: string, reaction: string, id: number}[]} */
let shown = [];
let next = 1;

/** @param {string} member @param {string} reaction */
export function react(member, reaction) {
  // Only what there is is shown: whatever else comes is no reaction.
  if (!state().app.reactions.includes(reaction)) return;
  const id = next++;
  shown = [...shown.slice(-30), { member, reaction, id }];
  announce(t("news.reaction", { name: nameOf(member), reaction }));
  setTimeout(() => {
    shown = shown.filter((r) => r.id !== id);
    update();
  }, 5000);
  update();
}

/** @param {string} member @param {boolean} screen */
export function floating(member, screen) {
  const own = shown.filter((r) => r.member === member);
  if (screen || own.length === 0) return null;
  return h("div.reactions", { key: "reactions", "aria-hidden": "true" }, own.slice(-3).map((r) => h("span", { key: `r${r.id}` }, r.reaction)));
}

/** @param {() => void} done @returns {import("./dom.js").VNode} the buttons to send one */
export function reactionButtons(done) {
  return h("div.reaction-buttons", { role: "group", "aria-label": t("reactions") },
    state().app.reactions.map((r) => h("button", {
      type: "button", key: r,
      on: {
        click: () => {
          done();
          void ask("react", { reaction: r });
        },
      },
    }, r)));
}
