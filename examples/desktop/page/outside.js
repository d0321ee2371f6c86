// What is shown while there is no agent to talk to: connecting, lost, taken over by another tab, ended.

import { h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { state, ui } from "./model.js";
import { button, spinner } from "./parts.js";
import { logo } from "./header.js";

/** @param {() => void} connect @returns {import("./dom.js").VNode} */
export function outsideScreen(connect) {
  /** @type {Record<string, [string, import("./i18n.js").Key, import("./i18n.js").Key]>} */
  const texts = {
    superseded: ["computer", "superseded.title", "superseded.text"],
    ended: ["door", "bye.title", "bye.text"],
    unknown: ["lock", "unknown.title", "unknown.text"],
  };
  const text = texts[ui.connection];
  return h("main.card-screen", { key: "outside", id: "main" },
    h("div.card.message", null,
      logo(),
      text === undefined
        ? h("div.center", { role: "status" }, spinner(), h("h1", null, t("connecting.title")), h("p", null, t("connecting.text")))
        : h("div.center", null, icon(text[0]), h("h1", null, t(text[1])), h("p", null, t(text[2])),
          ui.connection === "superseded" ? button(t("superseded.here"), connect, { kind: "primary" }) : null)));
}

/** @returns {import("./dom.js").VNode} a bar over the screen while the connection is being made again */
export function lostBanner() {
  const { phase, app } = state();
  const text = phase.name !== "meeting" ? "lost.text" : Date.now() < ui.lostAt + app.graceSeconds * 1000 ? "lost.meeting" : "lost.over";
  return h("div.bar.bad", { key: "lost" }, spinner(),
    h("p", null, h("strong", null, t("lost.title")), " ", t(text, { n: app.graceSeconds })));
}
