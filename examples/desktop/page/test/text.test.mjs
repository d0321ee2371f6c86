// The tables of text: both languages have the same keys, no key is unused or missing, every error has its sentence, and
// the French is set as French is.

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { test } from "node:test";
import { en } from "../text.en.js";
import { fr } from "../text.fr.js";
import { of, setLanguage } from "../i18n.js";

const root = new URL("..", import.meta.url);
const sources = {};
for (const name of await readdir(root)) {
  if (name.endsWith(".js") && !name.startsWith("text.")) sources[name] = await readFile(new URL(name, root), "utf8");
}
const code = Object.values(sources).join("\n");

test("both languages have the same keys", () => {
  assert.deepEqual(Object.keys(en).sort(), Object.keys(fr).sort());
});

test("both languages have the same placeholders", () => {
  const places = (text) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort().join();
  for (const key of Object.keys(fr)) assert.equal(places(en[key]), places(fr[key]), key);
});

test("no key is unused", () => {
  const families = [...code.matchAll(/\bof\("([a-z-]+\.)"/g), ...code.matchAll(/\bt\(`([a-z-]+\.(?:do-)?)\$\{/g)].map((m) => m[1]);
  const counted = [...code.matchAll(/\bcount\("([a-z.-]+)"/g)].map((m) => m[1]);
  const used = (key) => code.includes(`"${key}"`) || families.some((f) => key.startsWith(f)) || counted.some((c) => key === `${c}.one` || key === `${c}.many`);
  assert.deepEqual(Object.keys(fr).filter((key) => !used(key)), []);
});

test("no family lacks its word for what is unknown", () => {
  for (const [, family] of code.matchAll(/\bof\("([a-z-]+\.)"/g)) {
    assert.ok(`${family}other` in fr || family === "quality.", family);
  }
});

test("every error code has a sentence", () => {
  const list = /@typedef \{\(([^}]*)\)\} Code/.exec(sources["protocol.js"])[1];
  const codes = [...list.matchAll(/"([a-z-]+)"/g)].map((m) => m[1]);
  assert.ok(codes.length > 40);
  for (const c of codes) assert.match(fr[`error.${c}`] ?? "", /\w.*[.!]$/, c);
  const known = new Set([...codes, "other"]);
  assert.deepEqual(Object.keys(fr).filter((k) => k.startsWith("error.") && !known.has(k.slice(6))), []);
});

test("every word of the protocol that is shown has a text", () => {
  const words = {
    "datum.": "ip device browser times names identity membership speaking chat private-chat media files recording attendance words contacts link volume counterpart received",
    "purpose.": "connect show deliver authenticate record prove none", "where.": "this-machine members-machines in-transit on-packets nowhere",
    "party.": "self members bridge host carrier access-provider local-network relay proxy beyond dht router browser same-user transport nobody-else nobody",
    "seen.": "clear encrypted address-only sizes-and-times part possible addressed agreed recording recorded discarded consented", "kept-how.": "not-kept memory store messages-store members downloads",
    "warning.": "ghost equivocation isolation unresolved sending-stopped unconsented-recording lagged", "warning-text.": "ghost equivocation isolation unresolved sending-stopped unconsented-recording lagged",
    "reach.": "machine network everywhere unknown found", "reach-text.": "machine network everywhere unknown found",
    "router.": "mapped refused none", "path.": "direct tcp member relay none", "reason.": "needs-store needs-host system", "dht-text.": "off public own",
    "file.": "reading offered refused receiving paused waiting complete withdrawn failed", "role.": "host participant viewer",
    "consent-state.": "asked consented refused withdrawn", "record-ended.": "refused withdrawn newcomer ended", "record-own.": "refused withdrawn newcomer ended",
  };
  for (const [family, list] of Object.entries(words)) for (const word of list.split(" ")) assert.ok(family + word in fr, family + word);
});

test("a sentence begins with a capital, whoever it begins with", () => {
  globalThis.document = { documentElement: {} };
  for (const [language, table] of Object.entries({ fr, en })) {
    setLanguage(language);
    const begins = Object.keys(table).filter((key) => /(^|[.!?…] )\{[a-z]+\}/.test(table[key]));
    assert.ok(begins.includes("error.ended") && begins.includes("record.runs"));
    for (const key of begins) {
      // As the page does where nobody's name is known; an isolated text begins with an invisible sign.
      const text = of("", key, Object.fromEntries([...table[key].matchAll(/\{([a-z]+)\}/g)].map((m) => [m[1], table["someone"]])));
      for (const sentence of text.replaceAll(/[\u2068\u2069]/g, "").split(/(?<=[.!?…]) /)) assert.match(sentence, /^[^\p{Ll}]/u, `${key}: ${text}`);
    }
    assert.match(of("", "warning.ghost", { name: "d’Artagnan" }), /^\u2068d’Artagnan/, "a name is left as it is");
    assert.ok(of("", "news.removed", { by: "X", name: table["someone"] }).includes(table["someone"]), "nor does it within a sentence");
  }
});

test("the French is set as French is", () => {
  for (const [key, text] of Object.entries(fr)) {
    assert.doesNotMatch(text, /'/, `${key}: straight apostrophe`);
    assert.doesNotMatch(text, / [:;!?»]|« /, `${key}: a space that may break`);
    assert.doesNotMatch(text.replace(/huisclos(-relay|-reply)?:/g, ""), /[a-zà-ÿ)»}][:;!?]/i, `${key}: no space before the sign`);
  }
});

test("the page's code has no text of its own, and no jargon", () => {
  for (const [name, source] of Object.entries(sources)) {
    if (name === "protocol.js") continue;
    // In h(…, "Some text"): a child that is a sentence.
    assert.doesNotMatch(source.replaceAll('"Huis clos"', ""), /,\s"[A-ZÀ-Ý][a-zà-ÿ]+ [a-zà-ÿ]+[^"]*"\s*[,)]/, name);
    assert.doesNotMatch(source, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/, name);
  }
  const screens = Object.entries(en).filter(([key]) => !key.startsWith("files.fingerprint") && !key.startsWith("attendance.json"));
  for (const [key, text] of screens) assert.doesNotMatch(text, /\b([Pp]eer|[Mm]esh|[Hh]ash|[Cc]odec|[Hh]andshake|ICE|NAT|DHT|UDP|[Tt]oken)/, key);
});
