// "Who sees what": for each kind of datum, who could observe it in this meeting, as a data-protection notice says it;
// and the answers to the six questions of the CCBE's guidelines of 27 November 2020.

import { h } from "./dom.js";
import { dateTime, of, short, t } from "./i18n.js";
import { conn, failureOf, state, ui, update } from "./model.js";
import { button, dialog, failureLine, note, spinner } from "./parts.js";

/** @typedef {import("./protocol.js").Exposure} Exposure */
/** @typedef {import("./protocol.js").ExposureRow} ExposureRow */

/** @type {Exposure|null} */
let shown = null;

async function load() {
  shown = null;
  delete ui.failures["exposure"];
  try {
    ({ exposure: shown } = await conn().request("exposure", {}));
  } catch (error) {
    ui.failures["exposure"] = failureOf(error);
  }
  update();
}

/** @returns {import("./dom.js").VNode} */
export function exposureDialog() {
  return dialog("exposure", t("nav.exposure"), h("div.notice-page", { created: () => void load() },
    h("p.lead", null, t(state().meeting === null ? "exposure.before" : "exposure.now")),
    note("good", h("p", null, t("exposure.short"))),
    failureLine(ui.failures["exposure"]),
    shown === null
      ? ui.failures["exposure"] === undefined ? h("p", { role: "status" }, spinner(), " ", t("loading")) : null
      : [h("p.hint", null, t("exposure.at", { when: dateTime(shown.at) })), table(shown)],
    h("h3", null, t("exposure.limits")),
    h("ul", null, h("li", null, t("limit.members")), h("li", null, t("limit.addresses")), h("li", null, t("limit.keys")), h("li", null, t("limit.roster")), h("li", null, t("limit.browser"))),
    h("h3", null, t("ccbe.title")),
    h("p", null, t("ccbe.text")),
    h("ol.questions", null,
      question(t("ccbe.terms"), t("ccbe.terms-answer")),
      question(t("ccbe.controller"), t("ccbe.controller-answer")),
      question(t("ccbe.place"), t(state().store.exists ? "ccbe.place-answer-store" : "ccbe.place-answer")),
      question(t("ccbe.shared"), t("ccbe.shared-answer")),
      question(t("ccbe.surveillance"), t("ccbe.surveillance-answer")),
      question(t("ccbe.security"), t("ccbe.security-answer")))), {
    wide: true,
    footer: button(t("print"), () => window.print(), { icon: "print" }),
  });
}

/** @param {string} asked @param {string} answer */
function question(asked, answer) {
  return h("li", null, h("h4", null, asked), h("p", null, answer));
}

/** @param {Exposure} exposure */
function table(exposure) {
  const columns = [t("exposure.datum"), t("exposure.purpose"), t("exposure.who"), t("exposure.where"), t("exposure.kept")];
  // The roles are said, since the narrow layout takes the table's own away.
  return h("table.exposure-table", { role: "table" },
    h("caption.unseen", null, t("nav.exposure")),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns.map((c) => h("th", { scope: "col", role: "columnheader" }, c)))),
    h("tbody", { role: "rowgroup" }, exposure.rows.map((r) => h("tr", { role: "row", key: r.datum },
      h("th", { scope: "row", role: "rowheader" }, of("datum.", r.datum)),
      h("td", { role: "cell", "data-label": columns[1] }, of("purpose.", r.purpose)),
      h("td", { role: "cell", "data-label": columns[2] }, who(r)),
      h("td", { role: "cell", "data-label": columns[3] }, h("ul", null, r.where.map((w) => h("li", null, of("where.", w))))),
      h("td", { role: "cell", "data-label": columns[4] }, of("kept-how.", r.kept), r.days ? ` (${t("days", { n: r.days })})` : "")))));
}

/** @param {ExposureRow} row */
function who(row) {
  return h("ul", null, row.seen.map((s) => h("li", null,
    h("strong", null, of("party.", s.party)),
    s.names && s.names.length > 0 ? [" (", s.names.slice(0, 40).map((n, i) => [i > 0 ? ", " : "", h("bdi", null, short(n, 64))]).flat(), ")"].flat() : null,
    s.party === "nobody-else" ? null : [s.party === "nobody" ? null : [" ", h("span.how", { class: s.how }, of("seen.", s.how))], s.why ? h("span.why", null, t("why.because", { why: of("why.", s.why) })) : null])));
}
