// The parts that all screens are made of: buttons, fields, names, notices, dialogs.

import { h } from "./dom.js";
import { isolate, of, short, t } from "./i18n.js";
import { icon } from "./icons.js";
import { closeDialog, closeNotice, memberOf, sentence, state, ui, update } from "./model.js";

/** @typedef {import("./dom.js").VNode} VNode */
/** @typedef {import("./dom.js").VChildren} VChildren */
/** @typedef {import("./protocol.js").Failure} Failure */

/**
 * button is one with a text, and an icon if wanted.
 *
 * @param {string} label
 * @param {() => void} go
 * @param {{icon?: string, kind?: "primary"|"danger"|"quiet"|"plain", busy?: boolean, disabled?: boolean, submit?: boolean, about?: string, key?: string, pressed?: boolean, focus?: boolean}} [more] focus: it has it when its dialog opens
 * @returns {VNode}
 */
export function button(label, go, more = {}) {
  const busy = more.busy === true;
  return h("button", {
    class: more.kind ?? "plain",
    type: more.submit === true ? "submit" : "button",
    key: more.key,
    disabled: more.disabled === true,
    "aria-disabled": busy ? "true" : null,
    autofocus: more.focus === true,
    "aria-pressed": more.pressed === undefined ? null : String(more.pressed),
    // What it is about, where several buttons say the same: "Remove" of whom.
    "aria-label": more.about === undefined ? null : `${label} ${more.about}`,
    on: more.submit === true ? {} : { click: () => busy || go() },
  }, more.icon === undefined ? null : icon(more.icon), h("span", null, label));
}

/**
 * iconButton is one with an icon alone; its label is read, and shown when pointed at.
 *
 * @param {string} name
 * @param {string} label
 * @param {() => void} go
 * @param {Object<string, any>} [attributes]
 * @returns {VNode}
 */
export function iconButton(name, label, go, attributes = {}) {
  return h("button.icon-button", { type: "button", "aria-label": label, title: label, on: { click: go }, ...attributes }, icon(name));
}

/**
 * field is a labelled control. The control gets the ids that tie label, hint and error to it.
 *
 * @param {string} id
 * @param {string} label
 * @param {VNode} control
 * @param {{hint?: VChildren, failure?: Failure|undefined}} [more]
 * @returns {VNode}
 */
export function field(id, label, control, more = {}) {
  const notes = [];
  if (more.hint) notes.push(`${id}-hint`);
  if (more.failure !== undefined) notes.push(`${id}-error`);
  Object.assign(control.attributes, {
    id,
    "aria-describedby": notes.length > 0 ? notes.join(" ") : null,
    "aria-invalid": more.failure === undefined ? null : "true",
  });
  return h("div.field", null,
    h("label", { for: id }, label),
    control,
    more.hint ? h("p.hint", { id: `${id}-hint` }, more.hint) : null,
    more.failure === undefined ? null : failureLine(more.failure, `${id}-error`));
}

/** @param {Failure|undefined} failure @param {string} [id] @returns {VNode|null} */
export function failureLine(failure, id) {
  if (failure === undefined) return null;
  return h("div.failure", { id: id ?? null }, icon("warning"), h("div", null, h("p", null, sentence(failure)), technical(failure.detail)));
}

/** @param {string|undefined} detail @returns {VNode|null} */
function technical(detail) {
  if (!detail) return null;
  return h("details.technical", null, h("summary", null, t("technical")), h("p", { dir: "ltr", lang: "en" }, short(detail, 2000)));
}

/**
 * choice is a list to choose one from.
 *
 * @param {string} value
 * @param {[string, string][]} options value and text
 * @param {(value: string) => void|Promise<any>} chosen
 * @param {Object<string, any>} [attributes]
 * @returns {VNode}
 */
export function choice(value, options, chosen, attributes = {}) {
  return h("select", { ...attributes, value, on: { change: (/** @type {any} */ e) => chosen(e.target.value) } },
    options.map(([v, text]) => h("option", { value: v, key: `o${v}` }, short(text, 80))));
}

/**
 * Addressed is what is meant for one person, or for several that `to` has a word for.
 *
 * @typedef {{to: string, name: string}} Addressed
 */

/** @param {Addressed} form @param {string} to a member's id, or a word for several */
export function address(form, to) {
  const member = memberOf(to);
  form.to = to;
  form.name = member === undefined ? "" : member.contactName || member.name;
}

/**
 * recipients are who it can be for. Whoever it is for and has left stays among them, so that it goes to nobody else.
 *
 * @param {Addressed} form
 * @param {[string, string][]} several
 * @returns {{options: [string, string][], gone: Failure|undefined}} gone says that they have left
 */
export function recipients(form, several) {
  const others = state().members.filter((m) => !m.self);
  const left = form.name !== "" && !others.some((m) => m.id === form.to);
  const named = others.map((m) => ({ to: m.id, name: m.contactName || m.name }));
  /** @type {[string, string][]} */
  const options = [...named, ...left ? [form] : []].map(({ to, name }) => [to, isolate(short(name, 64))]);
  return { options: [...several, ...options], gone: left ? { code: "no-such-member" } : undefined };
}

/**
 * toggle switches something on or off. It shows what was set while the promise of set, if any, is open.
 *
 * @param {string} id
 * @param {string} label
 * @param {boolean} on
 * @param {(on: boolean) => void|Promise<any>} set
 * @param {{hint?: VChildren, disabled?: boolean}} [more]
 * @returns {VNode}
 */
export function toggle(id, label, on, set, more = {}) {
  return h("div.toggle", { key: `toggle-${id}` },
    h("input", {
      id, type: "checkbox", role: "switch", checked: on, disabled: more.disabled === true,
      "aria-describedby": more.hint ? `${id}-hint` : null,
      on: { change: (/** @type {any} */ e) => set(e.target.checked) },
    }),
    h("label", { for: id }, label),
    more.hint ? h("p.hint", { id: `${id}-hint` }, more.hint) : null);
}

/**
 * person shows a name that somebody gave themselves: isolated, and cut where it is unreasonable.
 *
 * @param {string} name
 * @returns {VNode}
 */
export function person(name) {
  return h("bdi.name", null, short(name, 64));
}

/**
 * longText shows what somebody wrote, cut with a way to see all of it.
 *
 * @param {string} id
 * @param {string} text
 * @param {number} most characters
 * @returns {VNode}
 */
export function longText(id, text, most) {
  const whole = ui.whole.has(id) || text.length <= most;
  return h("div.written", null,
    // Only so much at once: a line of 100,000 characters would take the browser seconds to lay out.
    h("bdi", null, whole ? short(text, 20000) : short(text, most)),
    text.length <= most ? null : button(whole ? t("less") : t("more-text"), () => {
      if (whole) ui.whole.delete(id);
      else ui.whole.add(id);
      update();
    }, { kind: "quiet" }));
}

/**
 * badge is a word about something.
 *
 * @param {string} text
 * @param {"good"|"bad"|"plain"|"accent"} [kind]
 * @param {string} [iconName]
 * @returns {VNode}
 */
export function badge(text, kind = "plain", iconName) {
  return h("span.badge", { class: kind }, iconName === undefined ? null : icon(iconName), text);
}

/**
 * note is a box with something to know.
 *
 * @param {"info"|"warning"|"bad"|"good"} kind
 * @param {VChildren} children
 * @returns {VNode}
 */
export function note(kind, children) {
  const name = kind === "good" ? "shield" : kind === "info" ? "info" : "warning";
  return h("div.note", { class: kind }, icon(name), h("div", null, children));
}

/** @param {string} [reason] a feature's reason @returns {string} */
export function reasonText(reason) {
  return of("reason.", reason ?? "other");
}

/** @param {string} feature @returns {VNode|null} why it can't be used, or nothing */
export function whyNot(feature) {
  const f = state().features[feature];
  if (f?.available === true) return null;
  return h("p.hint.reason", null, icon("info"), h("span", null, reasonText(f?.reason)));
}

/** @returns {VNode} */
export function spinner() {
  return h("span.spinner", { "aria-hidden": "true" });
}

/** @param {string} name @returns {VNode} initials on a colour of their own */
export function avatar(name) {
  const letters = [...name.normalize("NFC").replace(/[^\p{L}\p{N}\s-]/gu, "")].join("").split(/[\s-]+/).filter(Boolean);
  const initials = letters.slice(0, 2).map((word) => [...word][0] ?? "").join("").toUpperCase();
  let tone = 0;
  for (const letter of short(name, 64)) tone = (tone * 31 + (letter.codePointAt(0) ?? 0)) % 6;
  return h("span.avatar", { class: `tone-${tone}`, "aria-hidden": "true" }, h("bdi", null, initials || "·"));
}

/**
 * dialog is a modal one. Escape, the button and a click beside it close it; the focus then goes back.
 *
 * @param {string} name
 * @param {string} title
 * @param {VChildren} body
 * @param {{footer?: VChildren, wide?: boolean, closed?: () => void, stays?: boolean, asks?: boolean}} [more] asks: its text is read when it opens
 * @returns {VNode}
 */
export function dialog(name, title, body, more = {}) {
  const close = more.closed ?? closeDialog;
  return h("dialog", {
    key: `dialog-${name}`,
    class: more.wide === true ? `wide dialog-${name}` : `dialog-${name}`,
    "aria-labelledby": `dialog-${name}-title`,
    "aria-describedby": more.asks === true ? `dialog-${name}-text` : null,
    created: (/** @type {HTMLDialogElement} */ d) => d.showModal(),
    removed: (/** @type {HTMLDialogElement} */ d) => d.close(),
    on: {
      cancel: (/** @type {Event} */ e) => {
        e.preventDefault();
        if (more.stays !== true) close();
      },
      click: (/** @type {MouseEvent} */ e) => {
        if (more.stays !== true && e.target === e.currentTarget) close();
      },
      // Pressed once more, Escape closes it unasked.
      close: (/** @type {Event} */ e) => {
        const d = /** @type {HTMLDialogElement} */ (e.currentTarget);
        if (!d.isConnected) return;
        if (more.stays === true) d.showModal();
        else close();
      },
    },
  },
  h("div.dialog", null,
    h("header", null,
      h("h2", { id: `dialog-${name}-title`, tabindex: "-1" }, title),
      more.stays === true ? null : iconButton("close", t("close"), close)),
    h("div.body", { id: `dialog-${name}-text`, tabindex: "0", role: "group", "aria-labelledby": `dialog-${name}-title` }, body),
    more.footer ? h("footer", null, more.footer) : null,
    notices(),
    // What lies under a modal dialog isn't read aloud, so it has live regions of its own.
    h("div.live", { role: "status", own: true }), h("div.live.urgent", { role: "alert", own: true })));
}

/** @returns {VNode} */
export function notices() {
  return h("section.notices", { key: "notices", "aria-label": t("notices") }, ui.notices.map((n) => {
    const { action } = n;
    return h("div.notice", { key: `notice-${n.id}`, class: n.bad ? "bad" : "" },
      icon(n.bad ? "warning" : "info"),
      h("div", null, h("p", null, n.text), technical(n.detail),
        action === undefined ? null : button(action.label, () => {
          closeNotice(n.id);
          action.go();
        }, { kind: "quiet" })),
      iconButton("close", t("close"), () => closeNotice(n.id)));
  }));
}

/**
 * copy puts a text on the clipboard and says so.
 *
 * @param {string} text
 * @param {() => void} done
 */
export async function copy(text, done) {
  try {
    await navigator.clipboard.writeText(text);
    done();
  } catch {
    const box = document.createElement("textarea");
    box.value = text;
    document.body.append(box);
    box.select();
    document.execCommand("copy");
    box.remove();
    done();
  }
}
