// Help: the first steps, and the keyboard.

import { h } from "./dom.js";
import { t } from "./i18n.js";
import { pageSetting, setPage, state } from "./model.js";
import { dialog, toggle } from "./parts.js";
import { shortcuts } from "./keys.js";

/** @returns {import("./dom.js").VNode} */
export function helpDialog() {
  return dialog("help", t("help.title"), [
    h("h3", null, t("help.first")),
    h("ol.numbered", null, h("li", null, t("help.step1")), h("li", null, t("help.step2")), h("li", null, t("help.step3")), h("li", null, t("help.step4"))),
    h("h3", null, t("help.heard")),
    h("p", null, t("help.heard-text")),
    h("h3", null, t("help.tab")),
    h("p", null, t("help.tab-text", { n: state().app.graceSeconds })),
    h("h3", null, t("help.keys")),
    h("p", null, t("help.keys-text")),
    h("table.keys", null, h("caption.unseen", null, t("help.keys")),
      h("thead", null, h("tr", null, h("th", { scope: "col" }, t("help.key")), h("th", { scope: "col" }, t("help.does")))),
      h("tbody", null,
        shortcuts.map((s) => h("tr", null, h("td", null, h("kbd", null, "Alt"), " + ", h("kbd", null, s.letter)), h("td", null, t(s.text)))),
        h("tr", null, h("td", null, h("kbd", null, "F1")), h("td", null, t("key.help"))),
        h("tr", null, h("td", null, h("kbd", null, t("key.escape-name"))), h("td", null, t("key.escape"))))),
    toggle("shortcuts", t("help.keys-on"), pageSetting("shortcuts") !== "off", (on) => setPage("shortcuts", on ? "on" : "off")),
    h("p.hint", null, t("help.version", { version: state().app.version })),
  ], { wide: true });
}
