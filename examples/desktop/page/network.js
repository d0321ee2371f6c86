// Settings of the network: how to connect, the person's relays, and ways to be found; each with a sentence on what it
// reveals, and the reason where it rests.

import { h } from "./dom.js";
import { of, t } from "./i18n.js";
import { icon } from "./icons.js";
import { announce, inTurn, notice, state, submit, ui, update } from "./model.js";
import { button, choice, failureLine, field, toggle } from "./parts.js";

/** @typedef {import("./protocol.js").NetworkSet} NetworkSet */
/** @typedef {import("./protocol.js").Relay} Relay */

const form = {
  relay: "",
  /** The directory chosen here, while its addresses aren't entered yet. @type {string|null} */
  use: null,
  /** @type {string|null} */
  nodes: null,
  /** @type {string|null} */
  prefix: null,
};

/** @returns {import("./dom.js").VChildren} */
export function networkPart() {
  const { phase } = state();
  const between = phase.name === "start" || phase.name === "ended";
  return [
    h("p", null, t("network.text")),
    between ? null : h("p.hint", null, icon("info"), h("span", null, t("network.next"))),
    modes(),
    failureLine(ui.failures["network-mode"]),
    relays(),
    found(),
    h("p.hint", null, icon("shield"), h("span", null, t("network.default"))),
  ];
}

function modes() {
  const { mode, relays: named } = state().network;
  return h("fieldset", null, h("legend", null, t("network.mode")),
    one("normal", mode, t("network.normal"), t("network.normal-text")),
    one("lan", mode, t("network.lan"), t("network.lan-text")),
    one("hidden", mode, t("network.hidden"), t("network.hidden-text"), named.length > 0 ? "" : t("network.needs-relay")));
}

/** @param {string} value @param {string} now @param {string} label @param {string} text @param {string} [reason] why it can't be chosen */
function one(value, now, label, text, reason = "") {
  const id = `network-${value}`;
  return h("div.option", { key: id },
    h("input", {
      type: "radio", name: "network-mode", id, checked: now === value, disabled: reason !== "" && now !== value, "aria-describedby": `${id}-text`,
      on: { change: () => change(() => ({ mode: value }), "network-mode") },
    }),
    h("div", null, h("label", { for: id }, label), h("p.hint", { id: `${id}-text` }, text, reason === "" ? null : h("strong.reason", null, ` ${reason}`))));
}

function relays() {
  const { network, store } = state();
  return h("section", { "aria-labelledby": "relays-title" },
    h("h4", { id: "relays-title" }, t("network.relays")),
    h("p", null, t("network.relays-text")),
    network.relays.length === 0 ? null : h("ul.relays", { "aria-labelledby": "relays-title" }, network.relays.map(named)),
    network.proxy === "" ? null : h("p.hint", null, icon("info"), h("span", null, t("network.relay-proxy", { name: network.proxy }))),
    failureLine(ui.failures["relay-remove"]),
    network.relays.length >= 4 ? h("p.hint", null, t("network.relays-full")) : h("form", { on: { submit: (/** @type {Event} */ e) => void addRelay(e) } },
      field("relay-text", t("network.relay"), h("input", {
        type: "text", autocomplete: "off", spellcheck: "false", dir: "ltr", value: form.relay, placeholder: "huisclos-relay:…",
        on: {
          input: (/** @type {any} */ e) => {
            form.relay = e.target.value;
          },
        },
      }), { hint: t(store.unlocked ? "network.relay-kept" : "network.relay-memory"), failure: ui.failures["relay-add"] }),
      button(t("network.relay-add"), () => {}, { submit: true, busy: ui.busy.has("relay-add") })));
}

/** @param {Relay} relay */
function named(relay) {
  const where = relay.addresses.join(", ");
  return h("li", { key: `relay-${relay.id}` },
    h("div", null, h("code", { dir: "ltr" }, where), h("p.hint", null, t("network.relay-id"), " ", h("code", { dir: "ltr" }, relay.id))),
    button(t("network.relay-remove"), () => void submit("relay-remove", "relay-remove", { relay: relay.id }, relay.id), { about: where }));
}

/** @param {Event} e */
async function addRelay(e) {
  e.preventDefault();
  const before = state().network.relays.length;
  if (await submit("relay-add", "relay-add", { text: form.relay }) === null) return;
  form.relay = ""; // it isn't shown again
  notice(t(state().network.relays.length > before ? "network.relay-added" : "network.relay-changed"));
  update();
}

function found() {
  const { network } = state();
  const hidden = network.mode === "hidden";
  const rests = hidden ? t("network.rests-hidden") : network.mode === "lan" ? t("network.rests-lan") : "";
  const use = form.use ?? network.dht.use;
  return h("section", { "aria-labelledby": "found-title" },
    h("h4", { id: "found-title" }, t("network.found")),
    h("p", null, t("network.found-text")),
    toggle("network-findOnLAN", t("network.find-lan"), network.findOnLAN, (on) => change(() => ({ findOnLAN: on }), "network-find"), {
      disabled: hidden,
      hint: [t("network.find-lan-text"), hidden ? h("strong.reason", null, ` ${t("network.rests-hidden")}`) : null],
    }),
    failureLine(ui.failures["network-find"]),
    field("network-dht", t("network.dht"), choice(use, [["off", t("dht.off")], ["public", t("dht.public")], ["own", t("dht.own")]], chosen, { disabled: rests !== "" }), {
      hint: [of("dht-text.", use), rests === "" ? null : h("strong.reason", null, ` ${rests}`)],
      failure: use === "own" ? undefined : ui.failures["network-dht"],
    }),
    use === "own" && rests === "" ? own() : null);
}

/** @param {string} use */
function chosen(use) {
  form.use = use;
  delete ui.failures["network-dht"];
  update();
  const { dht } = state().network;
  if (use === "own" && dht.nodes.length === 0) {
    announce(t("dht.own-wanted"));
    return; // till its addresses are there
  }
  void change((now) => ({ dht: { ...now.dht, use } }), "network-dht").then(() => {
    form.use = null;
    update();
  });
}

function own() {
  const { dht } = state().network;
  return h("form", { on: { submit: (/** @type {Event} */ e) => void setOwn(e) } },
    field("dht-nodes", t("dht.nodes"), h("textarea", {
      rows: "3", spellcheck: "false", dir: "ltr", value: form.nodes ?? dht.nodes.join("\n"), placeholder: "/dns4/…/tcp/4001/p2p/…",
      on: {
        input: (/** @type {any} */ e) => {
          form.nodes = e.target.value;
        },
      },
    }), { hint: t("dht.own-wanted"), failure: ui.failures["network-dht"] }),
    field("dht-prefix", t("dht.prefix"), h("input", {
      type: "text", autocomplete: "off", spellcheck: "false", dir: "ltr", maxlength: "64", value: form.prefix ?? dht.prefix,
      on: {
        input: (/** @type {any} */ e) => {
          form.prefix = e.target.value;
        },
      },
    }), { hint: t("dht.prefix-hint") }),
    button(t("save"), () => {}, { submit: true, busy: ui.busy.has("network-dht") }));
}

/** @param {Event} e */
async function setOwn(e) {
  e.preventDefault();
  const { dht } = state().network;
  const nodes = (form.nodes ?? dht.nodes.join("\n")).split(/\s+/).filter(Boolean);
  if (await change(() => ({ dht: { use: "own", nodes, prefix: (form.prefix ?? dht.prefix).trim() } }), "network-dht") === null) return;
  form.use = form.nodes = form.prefix = null;
  notice(t("network.saved"));
  update();
}

const turn = inTurn();

/**
 * change sets a part of it, after what is still being set: each begins from what there is then.
 *
 * @param {(now: NetworkSet) => Partial<NetworkSet>} what
 * @param {string} form where a refusal is shown
 */
function change(what, form) {
  return turn(() => {
    const { mode, findOnLAN, dht } = state().network;
    const now = { mode, findOnLAN, dht };
    return submit(form, "network-set", { ...now, ...what(now) });
  });
}
