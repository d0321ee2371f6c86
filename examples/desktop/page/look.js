// Who is connected to whom, and how well: a live picture with a table that says the same, and graphs for each person.

import { h } from "./dom.js";
import { number, of, percent, rate, short, t } from "./i18n.js";
import { ask, memberOf, nameOf, state, ui, update } from "./model.js";
import { dialog, person, spinner } from "./parts.js";

/** @typedef {import("./protocol.js").Stats} Stats */
/** @typedef {import("./protocol.js").LinkStats} LinkStats */

/** @typedef {{from: string, to: string, path: string, through: string}} Edge */
/** @typedef {{x: number, y: number}} Point */

/** How many seconds the graphs go back. */
const span = 60;

/** @type {Stats[]} the newest last */
let past = [];

/** @param {Stats} stats */
export function keepStats(stats) {
  past = [...past.slice(1 - span), stats];
  if (ui.dialog === "look") update();
}

/** resumeStats asks anew after the connection was lost: the agent sends them to who asked. */
export function resumeStats() {
  if (ui.dialog === "look") void ask("stats", { on: true });
}

/** @returns {import("./dom.js").VNode} */
export function lookDialog() {
  const now = past.at(-1);
  return dialog("look", t("look.title"), h("div", {
    created: () => {
      past = [];
      void ask("stats", { on: true });
    },
    removed: () => void ask("stats", { on: false }),
  },
  h("p", null, t("look.text")),
  now === undefined ? h("p", { role: "status" }, spinner(), " ", t("loading")) : [
    h("div.look", null, picture(now), legend()),
    h("h3", null, t("look.links")),
    table(now),
    h("h3", null, t("look.quality")),
    h("ul.graphs", null, now.links.map(graphs)),
    now.sent.length === 0 ? null : [h("h3", null, t("look.sent")), sent(now)],
  ]), { wide: true });
}

/** @param {Stats} stats */
function picture(stats) {
  const { members } = state();
  const wide = 520;
  const high = 350;
  const others = members.filter((m) => !m.self);
  const self = members.find((m) => m.self);
  /** @type {Map<string, {x: number, y: number, turn: number}>} */
  const at = new Map();
  const all = self === undefined ? others : [self, ...others];
  all.forEach((m, i) => {
    const turn = (2 * Math.PI * i) / Math.max(1, all.length) + Math.PI / 2;
    at.set(m.id, { x: wide / 2 + 190 * Math.cos(turn), y: high / 2 + 120 * Math.sin(turn), turn });
  });
  /** @type {Map<string, Edge>} */
  const edges = new Map();
  const edge = (/** @type {string} */ a, /** @type {string} */ b, /** @type {string} */ path, through = "") => {
    const key = [a, b].sort().join(" ");
    if (!edges.has(key)) edges.set(key, { from: a, to: b, path, through });
  };
  for (const link of stats.links) {
    if (self !== undefined) edge(self.id, link.member, link.path, link.through);
    for (const other of link.others ?? []) edge(link.member, other, other === self?.id ? link.path : "other");
  }
  return h("svg.mesh", { viewBox: `0 0 ${wide} ${high}`, role: "img", "aria-label": t("look.picture") },
    [...edges.values()].map((e) => {
      const a = at.get(e.from);
      const b = at.get(e.to);
      if (a === undefined || b === undefined || e.path === "none") return null;
      return line(e, a, b, at.get(e.through));
    }),
    all.map((m) => {
      const p = at.get(m.id);
      if (p === undefined) return null;
      return h("g", { class: m.self ? "node self" : m.connected ? "node" : "node away" },
        h("circle", { cx: p.x, cy: p.y, r: m.self ? 15 : 12 }),
        h("text", { x: p.x, y: p.y + (Math.sin(p.turn) > -0.2 ? 34 : -22), "text-anchor": "middle" }, m.self ? t("you") : short(m.contactName || m.name, 18)));
    }));
}

/**
 * line draws a connection: bent towards the member it goes through, or with the relay in its middle.
 *
 * @param {Edge} e @param {Point} a @param {Point} b @param {Point|undefined} by
 */
function line(e, a, b, by) {
  const middle = { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
  if (e.path === "member" && by !== undefined) {
    const bend = { x: by.x + (middle.x - by.x) * 0.25, y: by.y + (middle.y - by.y) * 0.25 };
    return h("path", { class: "link member", d: `M${a.x} ${a.y}Q${bend.x} ${bend.y} ${b.x} ${b.y}` });
  }
  return h("g", null, h("line", { class: `link ${e.path}`, x1: a.x, y1: a.y, x2: b.x, y2: b.y }),
    e.path === "relay" ? h("rect", { class: "relay-box", x: middle.x - 7, y: middle.y - 7, width: 14, height: 14, rx: 3 }) : null);
}

function legend() {
  return h("ul.legend", { "aria-label": t("look.legend") }, ["direct", "tcp", "member", "relay", "other"].map((path) => h("li", null,
    h("svg", { viewBox: "0 0 40 10", "aria-hidden": "true" }, h("line", { class: `link ${path}`, x1: 2, y1: 5, x2: 38, y2: 5 })), h("span", null, of("path.", path)))));
}

/** @param {LinkStats} link @returns {string} the way, in words */
function way(link) {
  const by = link.through ?? "";
  const known = memberOf(by) !== undefined;
  if (link.path === "member" && known) return t("look.through", { name: nameOf(by) });
  if (link.path !== "relay" || by === "") return of("path.", link.path);
  return known ? t(memberOf(by)?.self ? "path.relay" : "look.relay-of", { name: nameOf(by) }) : t("look.relay-at", { name: short(by, 64) });
}

/** @param {Stats} stats */
function table(stats) {
  return h("div.table-wrap", { tabindex: "0", role: "group", "aria-label": t("look.links") }, h("table", null,
    h("caption.unseen", null, t("look.links")),
    h("thead", null, h("tr", null, ["look.person", "look.path", "look.rtt", "look.loss", "look.in", "look.out", "look.others"].map((k) => h("th", { scope: "col" }, t(/** @type {any} */ (k)))))),
    h("tbody", null, stats.links.map((l) => h("tr", { key: l.member },
      h("th", { scope: "row" }, person(nameOf(l.member))),
      h("td", null, way(l)),
      h("td", null, l.rtt > 0 ? `${number(l.rtt)}\u00A0ms` : "–"),
      h("td", null, percent(l.loss, 1)),
      h("td", null, rate(l.bitrateIn)), h("td", null, rate(l.bitrateOut)),
      h("td", null, l.others === null ? t("look.unknown") : l.others.filter((o) => memberOf(o) !== undefined).map((o, i) => [i > 0 ? ", " : "", person(nameOf(o))]).flat()))))));
}

/** @param {LinkStats} link */
function graphs(link) {
  const series = past.map((s) => s.links.find((l) => l.member === link.member));
  const received = series.map((l) => l?.bitrateIn ?? 0);
  const delays = series.map((l) => l?.rtt ?? 0);
  const lost = series.map((l) => l?.loss ?? 0);
  return h("li", { key: link.member }, h("h4", null, person(nameOf(link.member)), " ", verdict(link), " ", size(link)),
    h("div.three", null,
      graph(t("look.in"), received, rate(link.bitrateIn)),
      graph(t("look.rtt"), delays, link.rtt > 0 ? `${number(link.rtt)}\u00A0ms` : "–"),
      graph(t("look.loss"), lost, percent(link.loss, 1), 0.05)));
}

/** @param {LinkStats} link in which size this person's camera comes, if they send several */
function size(link) {
  const ids = state().tracks.filter((x) => x.member === link.member).map((x) => x.id);
  const layered = past.at(-1)?.tracks.find((x) => ids.includes(x.track) && x.layer > 0);
  return layered === undefined ? null : h("span.hint", null, t("look.size", { n: number(layered.layer), of: number(layered.layers) }));
}

/** @param {LinkStats} link */
function verdict(link) {
  const word = link.path === "none" ? "none" : link.loss > 0.05 || link.rtt > 400 ? "poor" : link.loss > 0.01 || link.rtt > 200 ? "fair" : "good";
  return h("span.badge", { class: word === "good" ? "good" : word === "fair" ? "" : "bad" }, t(`quality.${word}`));
}

/** @param {string} title @param {number[]} values @param {string} now @param {number} [least] the scale's smallest top */
function graph(title, values, now, least = 1) {
  const top = Math.max(least, ...values);
  const points = values.map((v, i) => `${((i + span - values.length) / (span - 1)) * 118 + 1},${33 - (v / top) * 30}`).join(" ");
  return h("figure.graph", null,
    h("svg", { viewBox: "0 0 120 36", "aria-hidden": "true", preserveAspectRatio: "none" }, h("line", { class: "ground", x1: 1, y1: 34, x2: 119, y2: 34 }), h("polyline", { points })),
    h("figcaption", null, h("span.hint", null, title), " ", h("strong", null, now)));
}

/** @param {Stats} stats */
function sent(stats) {
  return h("div.table-wrap", { tabindex: "0", role: "group", "aria-label": t("look.sent") }, h("table", null,
    h("caption.unseen", null, t("look.sent")),
    h("thead", null, h("tr", null, h("th", { scope: "col" }, t("look.source")), h("th", { scope: "col" }, t("look.rate")), h("th", { scope: "col" }, t("look.frames")), h("th", { scope: "col" }, t("look.limit")), h("th", { scope: "col" }, t("look.layers")))),
    h("tbody", null, stats.sent.map((s) => h("tr", null, h("th", { scope: "row" }, of("source.", s.source)), h("td", null, rate(s.bitrate)), h("td", null, s.frames > 0 ? number(s.frames) : "–"), h("td", null, s.limit > 0 ? rate(s.limit) : "–"), h("td", null, s.layers.length > 0 ? s.layers.map((n) => number(n)).join(" · ") : "–"))))));
}
