// Keyboard shortcuts: Alt with a letter, so that none is met by accident while typing; they can be switched off.

import { t } from "./i18n.js";
import { notice, openDialog, pageSetting, state, ui } from "./model.js";
import { toggleHand, toggleSource } from "./controls.js";
import { switchView, togglePanel } from "./meeting.js";

/**
 * The shortcuts: the key's place (the letters are at the same places on French and English keyboards), the letter, what
 * it does.
 *
 * @type {{code: string, letter: string, text: import("./i18n.js").Key, go: () => void}[]}
 */
export const shortcuts = [
  { code: "KeyS", letter: "S", text: "key.microphone", go: () => toggleSource("microphone") },
  { code: "KeyV", letter: "V", text: "key.camera", go: () => toggleSource("camera") },
  { code: "KeyX", letter: "X", text: "key.screen", go: () => toggleSource("screen") },
  { code: "KeyL", letter: "L", text: "key.hand", go: toggleHand },
  { code: "KeyC", letter: "C", text: "key.chat", go: () => togglePanel("chat") },
  { code: "KeyP", letter: "P", text: "key.people", go: () => togglePanel("people") },
  { code: "KeyT", letter: "T", text: "key.words", go: () => togglePanel("words") },
  { code: "KeyG", letter: "G", text: "key.view", go: switchView },
  { code: "KeyK", letter: "K", text: "key.door", go: toDoor },
  { code: "KeyR", letter: "R", text: "key.leave", go: () => openDialog("leave") },
];

/** toDoor moves the focus to whoever knocks. */
function toDoor() {
  const button = document.querySelector(".door button");
  if (button instanceof HTMLElement) button.focus();
  else notice(t("door.nobody"));
}

/** @param {KeyboardEvent} event */
export function keys(event) {
  if (ui.connection !== "open" || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (event.key === "F1") {
    event.preventDefault();
    openDialog("help");
    return;
  }
  if (!event.altKey || ui.dialog !== "" || state().phase.name !== "meeting" || pageSetting("shortcuts") === "off") return;
  const shortcut = shortcuts.find((s) => s.code === event.code);
  if (shortcut === undefined) return;
  event.preventDefault();
  if (!event.repeat) shortcut.go();
}
