// The first screen: one's name, opening a meeting, going to one, trying it alone.

import { h } from "./dom.js";
import { dateTime, t } from "./i18n.js";
import { icon } from "./icons.js";
import { announce, changeSettings, conn, failureOf, focusOnceDrawn, has, openDialog, sentence, set, state, ui, update } from "./model.js";
import { button, choice, failureLine, field, note, reasonText, spinner } from "./parts.js";
import { preview } from "./devices.js";
import { submitSafely } from "./recording.js";
import { unlockCard } from "./unlock.js";

/** @typedef {import("./protocol.js").Failure} Failure */

const form = {
  name: /** @type {string|null} */ (null),
  entry: "ask",
  link: "",
  /** What the link turned out to be. @type {import("./protocol.js").LinkChecked|null} */
  checked: null,
};

/** prefill puts a link into the form, from the system or the clipboard. @param {string} link */
export function prefill(link) {
  form.link = link;
  void check();
  if (state().phase.name === "start") {
    announce(t("join.got"));
    focusOnceDrawn("join-link");
  }
  update();
}

/** @returns {import("./dom.js").VNode} */
export function startScreen() {
  const { network, phase, settings, store } = state();
  const name = form.name ?? settings.name;
  const hidden = network.mode === "hidden";
  return h("div.start", { key: "start" },
    h("div.start-main", null,
      h("div.intro", null, h("h1", null, t("start.title")), h("p", null, t(hidden ? "start.lead-hidden" : "start.lead"))),
      phase.error === undefined || phase.error.code === "canceled" ? null : h("div", { role: "alert" }, failed(phase.error)),
      store.exists && !store.unlocked ? unlockCard() : null,
      h("section.card.name-card", { "aria-labelledby": "you-title" },
        h("h2", { id: "you-title" }, t("start.you")),
        field("name", t("start.name"), h("input", {
          type: "text", autocomplete: "name", required: true, maxlength: "64", value: name, placeholder: t("start.name-example"),
          on: {
            input: (/** @type {any} */ e) => typed(e.target.value),
            change: () => void keepName(),
          },
        }), { hint: t("start.name-hint"), failure: ui.failures["name"] })),
      h("div.two", null, createCard(), joinCard()),
      aloneCard()),
    h("div.start-side", null, preview(), promises()));
}

/** @param {Failure} failure why the last attempt came to nothing */
function failed(failure) {
  return note("bad", [h("p", null, h("strong", null, t("start.failed")), " ", sentence(failure)), failure.detail
    ? h("details.technical", null, h("summary", null, t("technical")), h("p", { lang: "en", dir: "ltr" }, failure.detail))
    : null, choices(failure)]);
}

/** The failures that other network settings, or the person's own router, may mend. */
const mended = ["neither-reachable", "routers-apart", "unreachable", "no-way-to-find", "not-found", "outside-lan", "no-lan", "needs-relay", "relay-away", "no-common-relay", "door-lost"];

/** @param {Failure} failure @returns {import("./dom.js").VNode|null} what can be done where nobody was reached */
function choices(failure) {
  if (!mended.includes(failure.code)) return null;
  const unreached = failure.code === "neither-reachable" || failure.code === "routers-apart" || failure.code === "unreachable";
  const router = unreached && state().network.mode === "normal" && tried !== "";
  return h("div.choices", null,
    unreached ? [h("p", null, t("unreached.title")), h("ul", null, router ? h("li", null, t("unreached.router")) : null, h("li", null, t("unreached.theirs")), h("li", null, t("unreached.member")), h("li", null, t("unreached.ways"))), h("p.hint", null, t("unreached.directory"))] : null,
    h("div.row", null,
      router ? button(t("unreached.router-go"), () => void submitSafely("join", "join", { link: tried, askRouter: true }), { key: "router" }) : null,
      !unreached && tried !== "" ? button(t("join.again"), () => void submitSafely("join", "join", { link: tried, askRouter: false }), { key: "again" }) : null,
      button(t("unreached.settings"), () => openDialog("settings", "network"), { key: "settings", icon: "network" })));
}

/** The link that was tried last, to try it again. */
let tried = "";

/** @param {string} name */
function typed(name) {
  form.name = name;
  if (ui.failures["name"] !== undefined) {
    delete ui.failures["name"];
    update();
  }
}

/** keepName tells the agent the name. @returns {Promise<boolean>} whether there is a good one */
async function keepName() {
  const name = (form.name ?? state().settings.name).trim();
  if (name === "" || new TextEncoder().encode(name).length > state().app.maxName) {
    ui.failures["name"] = { code: "bad-name" };
    announce(sentence({ code: "bad-name" }), true);
    update();
    document.getElementById("name")?.focus();
    return false;
  }
  if (name === state().settings.name) return true;
  try {
    await changeSettings({ name });
    return true;
  } catch (error) {
    ui.failures["name"] = failureOf(error);
    update();
    return false;
  }
}

function createCard() {
  const busy = ui.busy.has("create");
  return h("form.card.action", { "aria-labelledby": "create-title", novalidate: true, on: { submit: (/** @type {Event} */ e) => void create(e) } },
    h("div.card-head", null, icon("door"), h("h2", { id: "create-title" }, t("create.title"))),
    h("p", null, t("create.text")),
    h("details", null, h("summary", null, t("create.options")),
      field("entry", t("create.entry"), choice(form.entry, [["ask", t("entry.ask")], ["open", t("entry.open")], ["locked", t("entry.locked")]], (v) => {
        form.entry = v;
        update();
      }), { hint: form.entry === "open" ? t("entry.open-hint") : null })),
    failureLine(ui.failures["create"]),
    h("div.push"),
    button(t("create.go"), () => {}, { kind: "primary", submit: true, busy }));
}

/** @param {Event} e */
async function create(e) {
  e.preventDefault();
  if (await keepName()) await submitSafely("create", "create", { entry: form.entry });
}

function joinCard() {
  const failure = ui.failures["join"];
  return h("form.card.action", { "aria-labelledby": "join-title", novalidate: true, on: { submit: (/** @type {Event} */ e) => void join(e) } },
    h("div.card-head", null, icon("link"), h("h2", { id: "join-title" }, t("join.title"))),
    h("p", null, t("join.text")),
    field("join-link", t("join.link"), h("input", {
      type: "text", inputmode: "url", autocomplete: "off", spellcheck: "false", dir: "ltr", value: form.link, placeholder: "huisclos:…",
      on: { input: (/** @type {any} */ e) => linkTyped(e.target.value) },
    }), { failure, hint: failure !== undefined ? null : form.checked === null ? " " : linkSays(form.checked) }),
    h("div.push"),
    button(t("join.go"), () => {}, { kind: "primary", submit: true, busy: ui.busy.has("join") }));
}

/** @param {import("./protocol.js").LinkChecked} checked */
function linkSays(checked) {
  return h("span.good", null, icon("check"), checked.expires > 0 ? t("join.good-until", { when: dateTime(checked.expires) }) : t("join.good"));
}

/** @type {number|undefined} */
let timer;

/** @param {string} link */
function linkTyped(link) {
  form.link = link;
  form.checked = null;
  delete ui.failures["join"];
  clearTimeout(timer);
  timer = window.setTimeout(() => void check(), 300);
  update();
}

/** linkIn finds the link in what was pasted, which may be the whole invitation. @param {string} text */
function linkIn(text) {
  return /huisclos:\S+/.exec(text)?.[0] ?? text.trim();
}

async function check() {
  const link = linkIn(form.link);
  if (link === "") return;
  try {
    const checked = await conn().request("link-check", { link });
    if (linkIn(form.link) === link) form.checked = checked;
  } catch (error) {
    const failure = failureOf(error);
    if (failure.code === "canceled" || linkIn(form.link) !== link) return;
    ui.failures["join"] = failure;
    announce(sentence(failure), true);
  }
  update();
}

/** @param {Event} e */
async function join(e) {
  e.preventDefault();
  const link = linkIn(form.link);
  if (link === "") {
    ui.failures["join"] = { code: "bad-link" };
    update();
    document.getElementById("join-link")?.focus();
    return;
  }
  tried = link;
  if (await keepName() && await submitSafely("join", "join", { link, askRouter: false }) !== null) form.link = "";
}

function aloneCard() {
  const can = has("alone");
  return h("section.alone", { "aria-labelledby": "alone-title" },
    icon("people"),
    h("div", null, h("h2", { id: "alone-title" }, t("alone.title")),
      h("p", null, can ? t("alone.text") : reasonText(state().features["alone"]?.reason)), failureLine(ui.failures["alone"])),
    ui.busy.has("alone") ? spinner() : button(t("alone.go"), () => void alone(), { disabled: !can }));
}

async function alone() {
  if ((form.name ?? state().settings.name).trim() === "") {
    form.name = t("alone.name");
    await set({ name: t("alone.name") });
  }
  if (await keepName()) await submitSafely("alone", "alone", {});
}

function promises() {
  return h("section.promises", { "aria-labelledby": "promises-title" },
    h("h2", { id: "promises-title" }, t("promise.title")),
    h("ul", null,
      h("li", null, icon("lock"), h("span", null, t("promise.sealed"))),
      h("li", null, icon("people"), h("span", null, t(state().network.mode === "hidden" ? "promise.nobody-hidden" : "promise.nobody"))),
      h("li", null, icon("shield"), h("span", null, t("promise.kept")))),
    h("p", null, button(t("promise.more"), () => openDialog("exposure"), { kind: "quiet", icon: "eye" })));
}
