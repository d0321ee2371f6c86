// The pictures: all alike, or one large with the others beside it. Who speaks has a border, whoever has no picture an
// avatar; a shared screen is shown large by itself.

import { h } from "./dom.js";
import { short, t } from "./i18n.js";
import { icon } from "./icons.js";
import { pageSetting, state, ui, update } from "./model.js";
import { avatar, iconButton, person } from "./parts.js";
import { ownStream, streamOf, watch } from "./media.js";
import { floating } from "./reactions.js";

/** @typedef {import("./protocol.js").Member} Member */

/**
 * @typedef {object} Tile
 * @property {string} key
 * @property {Member} member
 * @property {"camera"|"screen"} source
 * @property {MediaStream|null} stream
 * @property {string} track empty for one's own
 */

/** @type {{speaker: string, pinned: string}} */
const focus = { speaker: "", pinned: "" };

/** @returns {Tile[]} whoever is there, screens first, oneself last */
function tiles() {
  const { members, tracks } = state();
  /** @type {Tile[]} */
  const screens = [];
  /** @type {Tile[]} */
  const cameras = [];
  const hideSelf = pageSetting("hide-self") === "yes" && members.length > 1;
  for (const member of [...members].sort((a, b) => Number(a.self) - Number(b.self))) {
    const screen = tracks.find((x) => x.member === member.id && x.source === "screen");
    if (screen !== undefined) screens.push({ key: `screen-${member.id}`, member, source: "screen", stream: streamOf(screen), track: screen.id });
    else if (member.self && ownStream("screen") !== null) screens.push({ key: `screen-${member.id}`, member, source: "screen", stream: ownStream("screen"), track: "" });
    if (member.self && hideSelf) continue;
    const camera = tracks.find((x) => x.member === member.id && x.source === "camera");
    const stream = member.self ? ownStream("camera") : camera === undefined || camera.muted ? null : streamOf(camera);
    cameras.push({ key: `camera-${member.id}`, member, source: "camera", stream, track: camera?.id ?? "" });
  }
  return [...screens, ...cameras];
}

/** @returns {import("./dom.js").VNode} */
export function grid() {
  const all = tiles();
  const large = largeOne(all);
  if (large === null) {
    return h("div.grid", { key: "grid", id: "grid", "data-count": all.length }, all.map((x) => tile(x, false)));
  }
  const others = all.filter((x) => x !== large);
  return h("div.spotlight", { key: "spotlight", id: "grid" },
    h("div.large", { key: "large" }, tile(large, true)),
    others.length === 0 ? null : h("div.strip", { key: "strip", tabindex: "0", role: "group", "aria-label": t("stage.others") }, others.map((x) => tile(x, false))));
}

/** @param {Tile[]} all @returns {Tile|null} the one to be shown large, if any */
function largeOne(all) {
  const pinned = all.find((x) => x.key === focus.pinned);
  if (pinned !== undefined) return pinned;
  const screen = all.find((x) => x.source === "screen" && !x.member.self);
  if (screen !== undefined) return screen;
  if (ui.view !== "speaker" || all.length < 2) return null;
  return all.find((x) => x.member.id === focus.speaker && !x.member.self) ?? all.find((x) => !x.member.self) ?? null;
}

/** @param {Tile} x @param {boolean} large */
function tile(x, large) {
  const { member, stream, source } = x;
  const screen = source === "screen";
  const name = member.self ? t("you") : member.contactName || member.name;
  const pinned = focus.pinned === x.key;
  return h("article.tile", {
    key: x.key, "data-member": member.id, class: [large ? "is-large" : "", screen ? "is-screen" : "", member.away ? "is-away" : ""].join(" ").trim(),
    "aria-label": t(screen ? "tile.screen" : "tile.person", { name }),
  },
  stream === null
    ? h("div.no-picture", { key: "none" }, screen ? icon("screen") : avatar(member.name))
    : h("video", {
      key: "video", own: true, autoplay: true, playsinline: true, "aria-hidden": "true", "data-track": x.track || null,
      class: member.self && !screen ? "own" : "",
      created: (/** @type {HTMLVideoElement} */ v) => play(v, stream),
      updated: (/** @type {HTMLVideoElement} */ v) => play(v, stream),
    }),
  member.hand > 0 && !screen ? h("span.raised", { key: "hand" }, icon("hand"), h("span.unseen", null, t("hand.raised"))) : null,
  floating(member.id, screen),
  h("div.label", { key: "label" },
    member.microphone !== "on" && !screen ? h("span.muted-sign", null, icon("microphone-off"), h("span.unseen", null, t("state.muted"))) : null,
    member.verified && !screen ? h("span.verified-sign", null, icon("shield"), h("span.unseen", null, t("standing.verified"))) : null,
    h("span.whose", null,
      h("span", null, screen ? t("tile.screen", { name }) : person(short(name, 64))),
      status(member, screen))),
  h("div.tile-tools", { key: "tools" }, iconButton(pinned ? "close" : "stage", `${t(pinned ? "tile.unpin" : "tile.pin")} ${short(name, 64)}`, () => {
    focus.pinned = pinned ? "" : x.key;
    update();
  }, { "aria-pressed": String(pinned) })));
}

/** @param {Member} member @param {boolean} screen */
function status(member, screen) {
  if (screen) return null;
  if (member.self) return state().warnings.some((w) => w.kind === "sending-stopped") ? h("span.status", null, t("state.unsent")) : null;
  const text = member.suspended ? t("state.suspended") : member.away ? t("state.away") : !member.connected ? t("state.connecting") : "";
  return text === "" ? null : h("span.status", null, text);
}

/** @param {HTMLVideoElement} video @param {MediaStream} stream */
function play(video, stream) {
  // The sound comes by elements of its own, so that it goes on when a picture is not shown.
  video.muted = true;
  if (video.srcObject === stream) return;
  video.srcObject = stream;
  void video.play().catch(() => {});
}

/** levels shows who is heard. @param {import("./protocol.js").LevelsEvent} event */
export function levels(event) {
  for (const element of document.querySelectorAll(".tile[data-member]")) {
    const level = event.levels[element.getAttribute("data-member") ?? ""] ?? 0;
    element.classList.toggle("speaking", level > 0.25);
    if (element instanceof HTMLElement) element.style.setProperty("--level", level.toFixed(2));
  }
  // While this person speaks, whoever spoke last stays large: nobody looks at themselves.
  if (event.speaker !== undefined && event.speaker !== focus.speaker && event.speaker !== state().meeting?.self) {
    focus.speaker = event.speaker;
    if (ui.view === "speaker") update();
  }
}

/** fit makes the tiles as large as the stage allows, and tells the agent how large the pictures are. */
export function fit() {
  const element = document.getElementById("grid");
  if (element === null) return;
  observe(element);
  if (element.classList.contains("grid")) {
    const { clientWidth: w, clientHeight: hgt } = element;
    const n = Number(element.dataset["count"] ?? "1");
    const { columns, width } = arrange(n, w, hgt);
    element.style.setProperty("--columns", String(columns));
    element.style.setProperty("--tile", `${width}px`);
  }
  /** @type {Record<string, number>} */
  const heights = {};
  for (const video of element.querySelectorAll("video[data-track]")) {
    const id = video.getAttribute("data-track") ?? "";
    heights[id] = Math.round(video.clientHeight * window.devicePixelRatio);
  }
  // Whoever's picture is not decoded yet must still be asked for: the tile is what counts.
  for (const x of tiles()) {
    if (x.track !== "" && heights[x.track] === undefined) heights[x.track] = 180;
  }
  watch(heights);
}

/**
 * arrange finds the number of columns that makes tiles of 16 to 9 largest.
 *
 * @param {number} n
 * @param {number} w
 * @param {number} hgt
 * @returns {{columns: number, width: number}}
 */
export function arrange(n, w, hgt) {
  const gap = 10;
  let best = { columns: 1, width: 0 };
  for (let columns = 1; columns <= n; columns++) {
    const rows = Math.ceil(n / columns);
    const wide = (w - gap * (columns - 1)) / columns;
    const high = (hgt - gap * (rows - 1)) / rows;
    // One less, since the sizes that are read are rounded, and a tile too wide would wrap.
    const width = Math.floor(Math.min(wide, (high * 16) / 9)) - 1;
    if (width > best.width) best = { columns, width };
  }
  // With many, smaller would be of no use: the grid scrolls then.
  const least = Math.min(150, w);
  if (best.width >= least) return best;
  const columns = Math.max(1, Math.floor((w + gap) / (least + gap)));
  return { columns, width: Math.floor((w - gap * (columns - 1)) / columns) };
}

/** @type {Element|null} */
let observed = null;
const observer = new ResizeObserver(() => update());

/** @param {Element} element */
function observe(element) {
  if (observed === element) return;
  observer.disconnect();
  observer.observe(element);
  observed = element;
}
