// Where the focus goes when what had it goes away.

/** What stands for what was in it. */
const places = "li, section, aside, dialog, main";

/**
 * keepFocus draws; if what has the focus goes with that, the focus moves to the nearest place around it that is still there: its
 * row, else the heading over it. Never to the button that comes into its place, which a second Enter would press.
 *
 * @param {() => void} draw
 */
export function keepFocus(draw) {
  const had = document.activeElement;
  /** @type {Element[]} */
  const around = [];
  for (let at = had?.parentElement ?? null; at !== null; at = at.parentElement) {
    if (at.matches(places)) around.push(at);
  }
  draw();
  if (had === null || had === document.body || had.isConnected || document.activeElement !== document.body) return;
  const dialog = [...document.querySelectorAll("dialog[open]")].at(-1); // what is not in it can't have the focus
  const place = around.find((e) => e.isConnected && e.childElementCount > 0 && (dialog === undefined || dialog.contains(e))) ?? dialog ?? document.getElementById("main");
  if (place !== null) focus(standing(place));
}

/** @param {Element} place @returns {Element} its heading, if it has one to see */
function standing(place) {
  const heading = document.getElementById(place.getAttribute("aria-labelledby") ?? "");
  return heading === null || heading.matches(".unseen") ? place : heading;
}

/** @param {Element} element */
function focus(element) {
  if (!(element instanceof HTMLElement)) return;
  if (!element.hasAttribute("tabindex")) element.tabIndex = -1;
  element.focus();
}
