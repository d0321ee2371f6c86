// Opening what was kept, at the start.

import { h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { openDialog, submit, ui } from "./model.js";
import { button, field } from "./parts.js";

/** @returns {import("./dom.js").VNode} */
export function unlockCard() {
  return h("form.card.unlock", { key: "unlock", "aria-labelledby": "unlock-title", on: { submit: (/** @type {Event} */ e) => void unlock(e) } },
    h("div.card-head", null, icon("lock"), h("h2", { id: "unlock-title" }, t("unlock.title"))),
    h("p", null, t("unlock.text")),
    field("unlock-passphrase", t("store.passphrase"), h("input", { type: "password", autocomplete: "current-password" }), { failure: ui.failures["unlock"] }),
    h("div.row", null,
      button(t("unlock.go"), () => {}, { kind: "primary", submit: true, busy: ui.busy.has("unlock") }),
      button(t("unlock.forgot"), () => openDialog("erase"), { kind: "quiet" })));
}

/** @param {Event} e */
async function unlock(e) {
  e.preventDefault();
  const input = /** @type {HTMLInputElement|null} */ (document.getElementById("unlock-passphrase"));
  if (input === null) return;
  const passphrase = input.value;
  if (await submit("unlock", "store-unlock", { passphrase }) !== null) input.value = "";
}
