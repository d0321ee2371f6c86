// The settings: oneself, the devices, contacts, what is kept, the network.

import { h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { openDialog, set, state, submit, submitSettings, ui } from "./model.js";
import { button, choice, dialog, failureLine, field, reasonText, toggle } from "./parts.js";
import { contactsPart } from "./contacts.js";
import { deviceFields } from "./devices.js";
import { switchDevice } from "./media.js";
import { networkPart } from "./network.js";
import { storePart } from "./store.js";

/** @typedef {"you"|"devices"|"contacts"|"kept"|"network"} Section */

/** @type {[Section, string, () => import("./dom.js").VChildren][]} */
const sections = [
  ["you", "person", youPart],
  ["devices", "camera", () => deviceFields("settings", (kind) => void switchDevice(kind))],
  ["contacts", "contacts", contactsPart],
  ["kept", "save", storePart],
  ["network", "network", networkPart],
];

/** @returns {import("./dom.js").VNode} */
export function settingsDialog() {
  const [name, , part] = sections.find(([s]) => s === ui.subject) ?? /** @type {any} */ (sections[0]);
  return dialog("settings", t("nav.settings"), h("div.settings", null,
    h("nav.sections", { "aria-label": t("settings.sections") }, h("ul", null, sections.map(([s, picture]) => h("li", null, h("button", {
      type: "button", "aria-current": s === name ? "page" : null, on: { click: () => openDialog("settings", s) },
    }, icon(picture), h("span", null, t(`settings.${s}`))))))),
    h("section.section", { key: `section-${name}`, "aria-labelledby": "section-title" }, h("h3", { id: "section-title" }, t(`settings.${/** @type {Section} */ (name)}`)), part())), { wide: true });
}

function youPart() {
  const { settings, phase } = state();
  const outside = phase.name === "start" || phase.name === "ended";
  return [
    field("settings-name", t("start.name"), h("input", {
      type: "text", autocomplete: "name", maxlength: "64", value: settings.name, disabled: !outside,
      on: {
        change: (/** @type {any} */ e) => {
          const name = e.target.value.trim();
          void submitSettings("settings-name", { name });
        },
      },
    }), { hint: t(outside ? "settings.name-hint" : "settings.name-fixed"), failure: ui.failures["settings-name"] }),
    field("settings-language", t("settings.language"), choice(settings.language || state().app.systemLanguage, [["fr", "Français"], ["en", "English"]], (language) => set({ language }))),
    field("settings-theme", t("settings.theme"), choice(settings.theme || "system", [["system", t("theme.system")], ["light", t("theme.light")], ["dark", t("theme.dark")]], (theme) => set({ theme }))),
    ...linksPart(),
    state().store.unlocked ? null : h("p.hint", null, icon("info"), h("span", null, t("settings.forgotten"))),
    phase.name === "meeting" ? null : h("div.row", null, button(t("quit.long"), () => openDialog("quit"), { icon: "leave" })),
  ];
}

/** @returns {import("./dom.js").VChild[]} whether a click on a huisclos: link opens this program */
function linksPart() {
  const { app, features } = state();
  const feature = features["link-handler"];
  return [
    toggle("settings-links", t("settings.links"), app.linkHandler === true, (on) => submit("links", "link-handler", { on }), {
      disabled: feature?.available !== true,
      hint: [t("settings.links-text"), feature?.available === true ? null : h("strong.reason", null, ` ${reasonText(feature?.reason)}`)],
    }),
    failureLine(ui.failures["links"]),
  ];
}
