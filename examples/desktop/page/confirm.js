// What is asked once more before something is lost for good: over what is open, which stays as it is.

import { h } from "./dom.js";
import { t } from "./i18n.js";
import { ui, update } from "./model.js";
import { button, dialog } from "./parts.js";

/** @param {import("./model.js").Question} question */
export function askFirst(question) {
  ui.question = question;
  update();
}

function close() {
  ui.question = null;
  update();
}

/** @returns {import("./dom.js").VNode|null} the question that is open */
export function questionDialog() {
  const { question } = ui;
  if (question === null) return null;
  return dialog("question", question.title, question.text.map((text) => h("p", null, text)), {
    closed: close, asks: true,
    footer: [
      button(t("cancel"), close, { focus: true }),
      button(question.go, () => {
        close();
        question.act();
      }, { kind: "danger" })],
  });
}
