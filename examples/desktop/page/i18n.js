// The page's words. All text comes from the tables text.fr.js and text.en.js by key; what others wrote (names, messages)
// is put in isolated, so that its direction can't change what stands around it.

import { en } from "./text.en.js";
import { fr } from "./text.fr.js";

/** @typedef {keyof typeof fr} Key */
/** @typedef {"fr"|"en"} Language */

/** @type {Record<Language, Record<string, string>>} */
const tables = { fr, en };

/** @type {Language} */
let language = "fr";

/** @returns {Language} */
export function currentLanguage() {
  return language;
}

/** @param {string} wanted fr or en; anything else is English */
export function setLanguage(wanted) {
  language = wanted === "fr" ? "fr" : "en";
  document.documentElement.lang = language;
}

const turns = /[\u202A-\u202E\u2066-\u2069]/;
const piles = /\p{M}{5}/u;
const piled = /(\p{M}{4})\p{M}+/gu;
const turning = /[\u202A-\u202E\u2066-\u2069]/g;

/** @param {string} text @returns {string} isolated from the direction of what is around */
export function isolate(text) {
  return `\u2068${text}\u2069`;
}

/**
 * t is the text for a key, with {names} replaced. Texts are isolated, numbers written as the language does.
 *
 * @param {Key} key
 * @param {Object<string, string|number>} [values]
 * @returns {string}
 */
export function t(key, values) {
  return fill(tables[language][key] ?? key, values ?? {});
}

/**
 * of is the text for one of a family: of("error.", "busy"). A word the page doesn't know gives the family's "other".
 *
 * @param {string} family ends with a dot
 * @param {string} word
 * @param {Object<string, string|number>} [values]
 * @returns {string}
 */
export function of(family, word, values) {
  const table = tables[language];
  return fill(table[family + word] ?? table[family + "other"] ?? word, values ?? {});
}

/**
 * count is the text for a number of things: the key with ".one" or ".many".
 *
 * @param {string} family
 * @param {number} n
 * @param {Object<string, string|number>} [values]
 * @returns {string}
 */
export function count(family, n, values) {
  const one = new Intl.PluralRules(language).select(n) === "one";
  return fill(tables[language][`${family}.${one ? "one" : "many"}`] ?? family, { n, ...values });
}

/** @param {string} text @param {Object<string, string|number>} values */
function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (all, name, at) => {
    let value = values[name];
    // "Someone" begins a sentence like any word; a name is left as it is written.
    if (value === tables[language]["someone"] && /(^|[.!?…] )$/.test(text.slice(0, at))) value = value.charAt(0).toUpperCase() + value.slice(1);
    if (value === undefined) return all;
    return typeof value === "number" ? number(value) : isolate(short(value, 80));
  });
}

/**
 * short cuts a text that somebody made too long to be shown, and takes out what would turn the direction of its parts:
 * "exe.png" must not stand where "gnp.exe" was written.
 *
 * @param {string} text
 * @param {number} most characters
 * @returns {string}
 */
export function short(text, most) {
  if (turns.test(text)) text = text.replace(turning, "");
  // Signs piled upon one letter would be drawn over what stands above and below.
  if (piles.test(text)) text = text.replace(piled, "$1");
  if (text.length <= most) return text;
  // Half a surrogate pair would be shown as a box.
  const end = /[\uD800-\uDBFF]/.test(text.charAt(most - 1)) ? most - 1 : most;
  return `${text.slice(0, end)}…`;
}

/** @param {number} n @param {number} [digits] */
export function number(n, digits = 0) {
  return new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(n);
}

/** @param {number} n 0 to 1 @param {number} [digits] */
export function percent(n, digits = 0) {
  return new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: digits }).format(n);
}

/** @param {number} at */
export function time(at) {
  return new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" }).format(at);
}

/** @param {number} at */
export function date(at) {
  return new Intl.DateTimeFormat(language, { dateStyle: "long" }).format(at);
}

/** @param {number} at */
export function dateTime(at) {
  return new Intl.DateTimeFormat(language, { dateStyle: "long", timeStyle: "short" }).format(at);
}

/** @param {number} bytes */
export function size(bytes) {
  const units = language === "fr" ? ["octets", "Ko", "Mo", "Go"] : ["bytes", "kB", "MB", "GB"];
  let at = 0;
  while (bytes >= 1000 && at < units.length - 1) {
    bytes /= 1000;
    at++;
  }
  return `${number(bytes, bytes < 10 && at > 0 ? 1 : 0)}\u00A0${units[at]}`;
}

/** @param {number} bits a second */
export function rate(bits) {
  if (bits < 1e6) return `${number(bits / 1e3)}\u00A0kbit/s`;
  return `${number(bits / 1e6, 1)}\u00A0Mbit/s`;
}

/** @param {number} milliseconds @returns {string} as a clock: 4:05, 1:04:05 */
export function clock(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return seconds < 3600 ? rest.replace(/^0/, "") : `${Math.floor(seconds / 3600)}:${rest}`;
}

/** @param {number} milliseconds @returns {string} in words: 1 h 4 min */
export function duration(milliseconds) {
  const minutes = Math.round(milliseconds / 60000);
  if (minutes < 1) return t("duration.short");
  if (minutes < 60) return t("duration.minutes", { n: minutes });
  return t("duration.hours", { h: Math.floor(minutes / 60), m: minutes % 60 });
}
