// Settings of the network: each with a sentence on what it reveals, and the reason where it can't be had yet.

import { h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { state, submit, ui, update } from "./model.js";
import { button, failureLine, field, reasonText, toggle } from "./parts.js";

/** @typedef {import("./protocol.js").NetworkSet} NetworkSet */

/** @returns {import("./dom.js").VChildren} */
export function networkPart() {
  const { network, phase } = state();
  return [
    h("p", null, t("network.text")),
    phase.name === "meeting" ? h("p.hint", null, icon("info"), h("span", null, t("network.next"))) : null,
    one("lanOnly", t("network.lan"), t("network.lan-text")),
    one("relayOnly", t("network.relay-only"), t("network.relay-only-text")),
    h("form", { on: { submit: (/** @type {Event} */ e) => void setRelays(e) } },
      field("own-relays", t("network.relays"), h("textarea", { rows: "3", spellcheck: "false", dir: "ltr", value: network.ownRelays.addresses.join("\n"), disabled: !network.ownRelays.available }),
        { hint: [t("network.relays-text"), network.ownRelays.available ? null : h("strong.reason", null, ` ${reasonText(network.ownRelays.reason)}`)] }),
      network.ownRelays.available ? button(t("save"), () => {}, { submit: true, busy: ui.busy.has("network") }) : null),
    one("dht", t("network.dht"), t("network.dht-text")),
    failureLine(ui.failures["network"]),
    h("p.hint", null, icon("shield"), h("span", null, t("network.default"))),
  ];
}

/** @param {"lanOnly"|"relayOnly"|"dht"} key @param {string} label @param {string} text */
function one(key, label, text) {
  const option = state().network[key];
  return toggle(`network-${key}`, label, option.on, (on) => void change({ [key]: on }), {
    disabled: !option.available,
    hint: [text, option.available ? null : h("strong.reason", null, ` ${reasonText(option.reason)}`)],
  });
}

/** @param {Partial<NetworkSet>} what */
async function change(what) {
  const { network: n } = state();
  const fields = { lanOnly: n.lanOnly.on, relayOnly: n.relayOnly.on, dht: n.dht.on, ownRelays: n.ownRelays.addresses, ...what };
  await submit("network", "network-set", fields);
  update();
}

/** @param {Event} e */
async function setRelays(e) {
  e.preventDefault();
  const box = document.getElementById("own-relays");
  if (!(box instanceof HTMLTextAreaElement)) return;
  await change({ ownRelays: box.value.split(/\s+/).filter(Boolean) });
}
