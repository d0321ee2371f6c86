// The bar at the top outside a meeting: the name, the language, and what is always within reach.

import { h } from "./dom.js";
import { currentLanguage, t } from "./i18n.js";
import { icon } from "./icons.js";
import { openDialog, set, state } from "./model.js";

/** @returns {import("./dom.js").VNode|null} */
export function header() {
  if (state().phase.name === "meeting") return null;
  return h("header.top", { key: "top" },
    h("p.brand", null, logo(), h("span", null, "Huis clos")),
    h("nav", { "aria-label": t("nav.label") },
      entry("eye", t("nav.exposure"), "exposure"),
      entry("gear", t("nav.settings"), "settings"),
      entry("help", t("nav.help"), "help"),
      languageButton()));
}

/** @param {string} name @param {string} label @param {string} dialog */
function entry(name, label, dialog) {
  return h("button.quiet", { type: "button", "aria-haspopup": "dialog", "aria-label": label, on: { click: () => openDialog(dialog) } }, icon(name), h("span.wide-only", null, label));
}

/** @returns {import("./dom.js").VNode} switches to the other language */
export function languageButton() {
  const other = currentLanguage() === "fr" ? "en" : "fr";
  // Said in the language it leads to: whoever needs it may not read this one.
  return h("button.quiet.language", { type: "button", lang: other, on: { click: () => void set({ language: other }) } },
    icon("globe"), h("span.wide-seen", null, other === "fr" ? "Français" : "English"), h("span.narrow-only", { "aria-hidden": "true" }, other.toUpperCase()));
}

/** @returns {import("./dom.js").VNode} */
export function logo() {
  return h("svg.logo", { viewBox: "0 0 32 32", "aria-hidden": "true", focusable: "false" },
    h("path", { d: "M8 26V9l8-3v20M16 6l8 3v17M6 26h20" }),
    h("circle", { cx: "13", cy: "16.5", r: "1.300" }), h("circle", { cx: "19", cy: "16.5", r: "1.300" }));
}
