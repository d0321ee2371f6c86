// Between the first screen and the meeting: opening one, looking for one, waiting at its door.

import { h } from "./dom.js";
import { clock, t } from "./i18n.js";
import { icon } from "./icons.js";
import { ask, notice, sentence, state } from "./model.js";
import { button, copy, field, note, person, spinner } from "./parts.js";
import { preview } from "./devices.js";

/** @returns {import("./dom.js").VNode} */
export function waitingScreen() {
  const { phase, settings } = state();
  if (phase.name === "creating") {
    return h("div.card-screen", { key: "creating" }, h("div.card.message", null,
      h("div.center", { role: "status" }, spinner(), h("h1", null, t("creating.title")), h("p", null, t("creating.text"))),
      h("div.row.center", null, button(t("cancel"), () => void ask("cancel", {})))));
  }
  if (phase.name === "replying") return replying(phase.reply ?? "", phase.error);
  const waiting = phase.name === "waiting";
  return h("div.waiting", { key: "waiting" },
    h("div.card.message", null,
      h("h1", null, t(waiting ? "waiting.waiting" : "waiting.joining")),
      h("ol.steps", null,
        step(t("step.find"), t("step.find-text"), waiting ? "done" : "now"),
        step(t("step.door"), t("step.door-text"), waiting ? "now" : "later"),
        step(t("step.in"), t("step.in-text"), "later")),
      h("p.said", null, t("waiting.sees"), " ", h("strong", null, person(settings.name)), t("waiting.sees-only")),
      waiting ? h("p.hint", null, icon("clock"), h("span", null, t("waiting.since"), " ", h("span", { "aria-hidden": "true", own: true, created: tick }))) : null,
      h("div.row", null, button(t(waiting ? "waiting.cancel" : "cancel"), () => void ask("cancel", {})))),
    preview());
}

/**
 * @param {string} code what to hand back to who sent the link
 * @param {import("./protocol.js").Failure} [again] why it is needed once more
 */
function replying(code, again) {
  return h("div.waiting", { key: "replying" },
    h("div.card.message", null,
      h("h1", null, t(again === undefined ? "replying.title" : "replying.again")),
      again === undefined ? h("p", null, t("replying.text")) : note("warning", h("p", null, sentence(again))),
      field("reply-code", t("replying.code"), h("textarea.code", { readonly: true, rows: "4", spellcheck: "false", dir: "ltr", value: code }), { hint: t("replying.reveals") }),
      h("p", { role: "status" }, spinner(), " ", t("replying.since"), " ", h("span", { "aria-hidden": "true", own: true, created: tick })),
      h("div.row", null,
        button(t("replying.copy"), () => void copy(code, () => notice(t("replying.copied"))), { kind: "primary", icon: "copy" }),
        button(t("waiting.cancel"), () => void ask("cancel", {})))),
    preview());
}

/** @param {HTMLElement} element counts the time since one waits */
function tick(element) {
  const show = () => {
    element.textContent = clock(Date.now() - state().phase.since);
    if (element.isConnected) setTimeout(show, 1000);
  };
  show();
}

/** @param {string} title @param {string} text @param {"done"|"now"|"later"} how */
function step(title, text, how) {
  return h("li", { class: how, "aria-current": how === "now" ? "step" : null },
    h("span.mark", null, how === "done" ? icon("check") : how === "now" ? spinner() : null),
    h("div", null, h("strong", null, title, how === "done" ? h("span.unseen", null, ` (${t("step.done")})`) : null), how === "now" ? h("p", null, text) : null));
}
