// A small way to say what a part of the page looks like now, and have the document follow: h() describes an element,
// render() changes what differs and keeps the rest, so that focus, scrolling and playing video stay. Everything is
// built with createElement and textContent: no text ever becomes markup.

/**
 * @typedef {object} VNode describes an element.
 * @property {string} tag
 * @property {string} name the tag with the classes it always has: what makes two descriptions those of one element
 * @property {Attributes} attributes
 * @property {VChild[]} children
 *
 * @typedef {VNode|Memo|string|number|null|undefined|false} VChild
 * @typedef {VChild|(VChild|(VChild|VChild[])[])[]} VChildren
 *
 * @typedef {object} Memo is a VNode made only when what it depends on changes.
 * @property {any[]} on
 * @property {string} key
 * @property {() => VNode} make
 */

/**
 * Attributes: those of the element, as text, or true for present, false or null for absent; and
 *
 * @typedef {{
 *   key?: string|undefined,
 *   on?: Object<string, (event: any) => any>,
 *   style?: Object<string, string>,
 *   value?: string,
 *   checked?: boolean,
 *   created?: (element: any) => void,
 *   updated?: (element: any) => void,
 *   removed?: (element: any) => void,
 *   own?: boolean,
 *   [attribute: string]: any
 * }} Attributes
 */

const notAttributes = new Set(["key", "on", "style", "value", "checked", "created", "updated", "removed", "own"]);
const svgTags = new Set(["svg", "path", "circle", "line", "rect", "polyline", "g", "text"]);

/** @type {WeakMap<Node, {node: VNode|null, memo: Memo|null, text: string, key: string|undefined}>} */
const made = new WeakMap();

/**
 * The boxes and lists a person has set and that wait for an answer, with how many: till then they show what the person
 * chose, and afterwards again what they are described as. Radio buttons wait as the group that their name makes.
 *
 * @type {Map<Element|string, number>}
 */
const waiting = new Map();

/** @param {Element} element @returns {Element|string} */
function groupOf(element) {
  return element instanceof HTMLInputElement && element.type === "radio" ? element.name : element;
}

/** @param {Element} element @param {Promise<any>} answer */
function wait(element, answer) {
  const group = groupOf(element);
  waiting.set(group, (waiting.get(group) ?? 0) + 1);
  // What the answer changed is drawn first, so that the choice of before isn't shown in between.
  const answered = () => void setTimeout(() => {
    const left = (waiting.get(group) ?? 1) - 1;
    if (left > 0) {
      waiting.set(group, left);
      return;
    }
    waiting.delete(group);
    for (const one of typeof group === "string" ? document.getElementsByName(group) : [element]) {
      setChoice(one, made.get(one)?.node?.attributes ?? {});
    }
  }, 0);
  answer.then(answered, answered);
}

/** @param {any} element @param {Attributes} now */
function setChoice(element, now) {
  if (waiting.has(groupOf(element))) return;
  if (now.checked !== undefined && element.checked !== now.checked) element.checked = now.checked;
  if (element instanceof HTMLSelectElement && now.value !== undefined && element.value !== now.value) element.value = now.value;
}

/**
 * h describes an element.
 *
 * @param {string} tag with classes: "button.primary"
 * @param {Attributes|null} [attributes]
 * @param {...VChildren} children
 * @returns {VNode}
 */
export function h(tag, attributes, ...children) {
  const [name, ...classes] = tag.split(".");
  const all = attributes ?? {};
  if (classes.length > 0) all["class"] = [...classes, all["class"]].filter(Boolean).join(" ");
  return { tag: name ?? "div", name: tag, attributes: all, children: /** @type {VChild[]} */ (children.flat(4)) };
}

/**
 * memo describes an element that need not be described again while `on` is the same.
 *
 * @param {string} key
 * @param {any[]} on
 * @param {() => VNode} make
 * @returns {Memo}
 */
export function memo(key, on, make) {
  return { key, on, make };
}

/**
 * render makes the element's children what they are described as.
 *
 * @param {Element} parent
 * @param {VChildren} children
 */
export function render(parent, children) {
  patchChildren(parent, /** @type {VChild[]} */ ([children].flat(4)));
}

/** What has an id is that one, whatever comes before it. @param {VChild} child @returns {string|undefined} */
function keyOf(child) {
  if (child === null || typeof child !== "object") return undefined;
  return "make" in child ? child.key : child.attributes.key ?? child.attributes["id"];
}

/** @param {VNode|Memo|string} want @param {Node} node */
function fits(want, node) {
  const old = made.get(node);
  if (old === undefined) return false;
  if (typeof want === "string") return node.nodeType === Node.TEXT_NODE;
  if (node.nodeType === Node.TEXT_NODE || old.key !== keyOf(want)) return false;
  return "make" in want ? old.memo !== null : old.memo === null && old.node?.name === want.name;
}

/**
 * @param {Element} parent
 * @param {VChild[]} children
 */
function patchChildren(parent, children) {
  const wanted = new Set(children.map(keyOf));
  /** @type {Map<string, Node>} */
  const keyed = new Map();
  for (const node of parent.childNodes) {
    const key = made.get(node)?.key;
    if (key !== undefined) keyed.set(key, node);
  }
  /** @param {Node} node */
  const goes = (node) => {
    const key = made.get(node)?.key;
    return key !== undefined && !wanted.has(key);
  };
  let at = parent.firstChild;
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    const want = typeof child === "number" ? String(child) : child;
    const key = typeof want === "string" ? undefined : keyOf(want);
    while (at !== null && goes(at)) at = drop(at);
    let node = key === undefined ? at : keyed.get(key) ?? null;
    if (key === undefined) while (node !== null && !fits(want, node)) node = node.nextSibling;
    if (node === null || !fits(want, node)) {
      parent.insertBefore(build(want), at);
      continue;
    }
    // What stands before it and has no key is gone: dropping that leaves this one, and its focus, in place.
    while (at !== null && at !== node && made.get(at)?.key === undefined && key === undefined) at = drop(at);
    if (at === node) at = node.nextSibling;
    else parent.insertBefore(node, at);
    patch(node, want);
  }
  while (at !== null) at = drop(at);
}

/** @param {Node} node @returns {ChildNode|null} the next one */
function drop(node) {
  const next = node.nextSibling;
  farewell(node);
  node.parentNode?.removeChild(node);
  return next;
}

/** @param {Node} node */
function farewell(node) {
  if (!(node instanceof Element)) return;
  for (const child of [...node.childNodes]) farewell(child);
  made.get(node)?.node?.attributes.removed?.(node);
}

/** @param {VNode|Memo|string} want @returns {Node} */
function build(want) {
  if (typeof want === "string") {
    const node = document.createTextNode(want);
    made.set(node, { node: null, memo: null, text: want, key: undefined });
    return node;
  }
  const described = "make" in want ? want.make() : want;
  const { tag, attributes, children } = described;
  const element = svgTags.has(tag)
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  made.set(element, { node: described, memo: "make" in want ? want : null, text: "", key: keyOf(want) });
  setAttributes(element, {}, attributes);
  for (const name of Object.keys(attributes.on ?? {})) listen(element, name);
  if (attributes.own !== true) patchChildren(element, children);
  setChoice(element, attributes);
  if (attributes.created !== undefined) queueMicrotask(() => attributes.created?.(element));
  return element;
}

/** @param {Element} element @param {string} name */
function listen(element, name) {
  element.addEventListener(name, (event) => {
    const answer = made.get(element)?.node?.attributes.on?.[name]?.(event);
    if (answer instanceof Promise && name === "change") wait(element, answer);
  });
}

/** @param {Node} node @param {VNode|Memo|string} want */
function patch(node, want) {
  const old = made.get(node);
  if (old === undefined) return;
  if (typeof want === "string") {
    if (old.text !== want) {
      node.nodeValue = want;
      old.text = want;
    }
    return;
  }
  if ("make" in want && old.memo !== null && sameList(want.on, old.memo.on)) return;
  const described = "make" in want ? want.make() : want;
  const element = /** @type {Element} */ (node);
  const before = old.node?.attributes ?? {};
  for (const name of Object.keys(described.attributes.on ?? {})) {
    if (before.on?.[name] === undefined) listen(element, name);
  }
  old.node = described;
  old.memo = "make" in want ? want : null;
  setAttributes(element, before, described.attributes);
  if (described.attributes.own !== true) patchChildren(element, described.children);
  setChoice(element, described.attributes);
  described.attributes.updated?.(element);
}

/** @param {any[]} a @param {any[]} b */
function sameList(a, b) {
  return a.length === b.length && a.every((x, i) => x === b[i]);
}

/**
 * @param {any} element
 * @param {Attributes} before
 * @param {Attributes} now
 */
function setAttributes(element, before, now) {
  for (const name of Object.keys(before)) {
    if (!(name in now) && !notAttributes.has(name)) element.removeAttribute(name);
  }
  for (const [name, value] of Object.entries(now)) {
    if (notAttributes.has(name) || before[name] === value) continue;
    if (value === false || value === null || value === undefined) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const name of Object.keys(before.style ?? {})) {
    if (now.style?.[name] === undefined) element.style.removeProperty(name);
  }
  for (const [name, value] of Object.entries(now.style ?? {})) {
    if (before.style?.[name] !== value) element.style.setProperty(name, value);
  }
  if (element instanceof HTMLOptionElement) element.setAttribute("value", now.value ?? "");
  else if (element instanceof HTMLSelectElement) return; // its options are made after it
  else if (now.value !== undefined && (now.on?.input !== undefined || now.value !== before.value) && element.value !== now.value) {
    // What the person is typing stays: a field is set when what it is to hold changes, and one whose typing is followed
    // always holds what it is described as, so that what was typed and taken back between two drawings isn't left in it.
    element.value = now.value;
  }
}
