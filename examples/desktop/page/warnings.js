// Warnings that hold, in words that say what happened and what to do.

import { h } from "./dom.js";
import { of, t, time } from "./i18n.js";
import { icon } from "./icons.js";
import { announce, ask, openDialog, state, ui } from "./model.js";
import { button } from "./parts.js";
import { togglePanel } from "./meeting.js";
import { followVerifications } from "./words.js";

/** @typedef {import("./protocol.js").Warning} Warning */

/** @type {Set<string>} */
let known = new Set();

/** The grave ones: the padlock says so as well. @param {Warning} w */
export const grave = (w) => ["ghost", "equivocation", "isolation", "sending-stopped", "unconsented-recording"].includes(w.kind);

/** @param {Warning} w */
const keyOf = (w) => `${w.kind} ${w.member ?? ""}`;

/** followWarnings says aloud what is new, and what is over. */
export function followWarnings() {
  const now = state().phase.name === "meeting" ? state().warnings : [];
  for (const w of now) if (!known.has(keyOf(w))) announce(of("warning.", w.kind, { name: w.name || t("someone") }), true);
  if (known.size > 0 && now.length === 0) announce(t("warnings.over"));
  known = new Set(now.map(keyOf));
  followVerifications();
}

/** @returns {import("./dom.js").VChildren} */
export function warnings() {
  return state().warnings.slice(0, 10).map((w) => {
    const values = { name: w.name || t("someone") };
    return h("div.warning", { key: `warning-${keyOf(w)}`, class: grave(w) ? "grave" : "" },
      icon("warning"),
      h("div.grow", null,
        h("p", null, h("span.unseen", null, t("warning.label"), ": "), h("strong", null, of("warning.", w.kind, values)), " ", h("span.hint", null, t("warning.since", { when: time(w.since) })), w.kept ? [" ", t("warning.kept")] : null),
        h("details", null, h("summary", null, t("warning.what")), h("p", null, of("warning-text.", w.kind, values)))),
      h("div.row", null, action(w)));
  });
}

/** @param {Warning} w */
function action(w) {
  switch (w.kind) {
    case "isolation":
    case "sending-stopped":
      return button(t(w.kept ? "warning.keep-not" : "warning.keep"), () => void ask("keep-sending", { keep: !w.kept }));
    case "ghost":
    case "equivocation":
      return [button(t("warning.words"), () => ui.panel !== "words" && togglePanel("words"), { icon: "shield" }), removal(w)];
    case "unconsented-recording":
      return removal(w);
    default:
      return null;
  }
}

/** @param {Warning} w */
function removal(w) {
  return w.member && state().members.find((m) => m.id === w.member)?.below
    ? button(t("remove.begin"), () => openDialog("remove", w.member ?? ""), { kind: "danger" })
    : null;
}
