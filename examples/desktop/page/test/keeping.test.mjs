// Settings: the network, what is kept, contacts and history.

import assert from "node:assert/strict";
import { test } from "node:test";
import { start } from "./scenes.mjs";
import { agent, asked, later, options, page, until, visit, wrong } from "./visit.mjs";

test("the network is chosen; a relay's text is shown no more once it is taken; an own directory waits for its addresses", options, async () => {
  await visit("start");
  await page.locator(".top nav button").nth(1).click();
  await page.locator(".sections button").nth(4).click();
  assert.ok(await page.locator("#network-hidden").isDisabled(), "hiding needs a relay");
  agent.refuse["relay-add"] = { code: "bad-relay" };
  await page.locator("#relay-text").fill("huisclos-relay:secret");
  await page.keyboard.press("Enter");
  await page.locator(".failure").getByText("not a complete relay text").waitFor();
  assert.equal(await page.locator("#relay-text").inputValue(), "huisclos-relay:secret");
  agent.refuse = {};
  await page.keyboard.press("Enter");
  await until(async () => await page.locator("#relay-text").inputValue() === "", "emptied");
  assert.ok(!(await page.locator("#page").innerHTML()).includes("secret\""), "shown no more");
  await page.locator("#network-hidden").check();
  await until(() => asked("network-set").at(-1)?.mode === "hidden", "hidden");
  await until(async () => await page.locator("#network-findOnLAN").isDisabled() && await page.locator("#network-dht").isDisabled(), "what would show it rests");
  await page.locator("#network-normal").check();
  await until(async () => await page.locator("#network-dht").isEnabled(), "normal");
  const before = asked("network-set").length;
  await page.locator("#network-dht").selectOption("own");
  await page.locator("#dht-nodes").fill("/ip4/192.0.2.1/tcp/4001/p2p/x /ip4/192.0.2.2/tcp/4001/p2p/y");
  assert.equal(asked("network-set").length, before, "nothing is set yet");
  await page.locator("#dht-prefix").press("Enter");
  await until(() => asked("network-set").at(-1).dht.use === "own", "own");
  assert.deepEqual(asked("network-set").at(-1).dht, { use: "own", nodes: ["/ip4/192.0.2.1/tcp/4001/p2p/x", "/ip4/192.0.2.2/tcp/4001/p2p/y"], prefix: "/huisclos" });
  await page.locator("#network-dht").selectOption("public");
  await until(() => asked("network-set").at(-1).dht.use === "public", "public");
  assert.deepEqual(wrong, []);
});

test("a relay's text that is taken before the page draws anything is shown no more either", options, async () => {
  await visit("start", "en", "{ const { setTimeout } = window; window.setTimeout = (go, after = 0) => setTimeout(go, after + 500); }");
  await page.locator(".top nav button").nth(1).click();
  await page.locator(".sections button").nth(4).click();
  await page.locator("#relay-text").fill("huisclos-relay:secret");
  await page.keyboard.press("Enter");
  await until(() => asked("relay-add").length === 1, "asked");
  await until(async () => await page.locator("#relay-text").inputValue() === "", "emptied");
});

test("what is chosen is shown while the agent takes its time, and goes back if it refuses", options, async () => {
  await visit("relays");
  await page.locator(".top nav button").nth(1).click();
  await page.locator(".sections button").nth(4).click();
  // A change of the theme has the page drawn anew.
  const drawn = async () => {
    for (const theme of ["dark", "light"]) {
      agent.send({ event: "changed", part: "settings", value: { ...start().settings, ...agent.settings, theme } });
      await page.locator(`html[data-theme=${theme}]`).waitFor({ state: "attached" });
    }
  };
  const mode = () => page.evaluate(() => document.querySelector("[name=network-mode]:checked")?.id);
  let release = () => {};
  agent.holds["network-set"] = new Promise((done) => release = done);
  await until(async () => await mode() === "network-hidden", "shown");
  await page.locator("#network-normal").check();
  await drawn();
  assert.equal(await mode(), "network-normal");
  release();
  await until(async () => await page.locator("#network-findOnLAN").isEnabled(), "set");
  assert.equal(await mode(), "network-normal");

  // A second choice while the first is under way comes after it.
  agent.holds["network-set"] = new Promise((done) => release = done);
  await page.locator("#network-lan").check();
  await page.locator("#network-hidden").check();
  await drawn();
  assert.equal(await mode(), "network-hidden");
  release();
  await until(() => asked("network-set").length === 3, "both set");
  assert.deepEqual(asked("network-set").map((r) => r.mode), ["normal", "lan", "hidden"]);

  agent.holds["network-set"] = new Promise((done) => release = done);
  agent.refuse["network-set"] = { code: "internal" };
  await page.locator("#network-normal").check();
  await drawn();
  assert.equal(await mode(), "network-normal");
  release();
  await page.locator(".failure").waitFor();
  await until(async () => await mode() === "network-hidden", "as before");
  assert.deepEqual(wrong, []);
});

test("a setting, a contact and a meeting of the history: each change while another is under way is made", options, async () => {
  await visit("kept");
  await page.locator("#control-more").click();
  await page.locator(".menu button").nth(4).click();
  const [held, release] = later();
  agent.holds["settings-set"] = agent.holds["contact-delete"] = held;
  await page.locator("#settings-theme").selectOption("dark");
  await page.locator("#settings-language").selectOption("fr");
  await page.locator(".sections button").nth(2).click();
  for (const n of [0, 1]) await page.locator(".people .member .row button:last-child").nth(n).click();
  await until(() => asked("contact-delete").length === 2, "both");
  release();
  await until(() => asked("settings-set").length === 2, "both");
  const { theme, language } = asked("settings-set")[1].settings;
  assert.deepEqual([theme, language], ["dark", "fr"]);
  assert.notEqual(asked("contact-delete")[0].contact, asked("contact-delete")[1].contact);
});

test("that the history can't be deleted is said where it was asked for", options, async () => {
  await visit("kept");
  await page.locator("#control-more").click();
  await page.locator(".menu button").nth(4).click();
  await page.locator(".sections button").nth(3).click();
  await page.locator("#history").click();
  agent.refuse["store-history"] = { code: "store-write" };
  await page.locator("dialog.dialog-erase[open] button.danger").click();
  await page.locator("dialog.dialog-erase .failure").waitFor();
});

test("passphrases are shown no more once they are taken", options, async () => {
  await visit("kept");
  await page.locator("#control-more").click();
  await page.locator(".menu button").nth(4).click();
  await page.locator(".sections button").nth(3).click();
  await page.getByText("Change the passphrase").first().click();
  const fields = ["#passphrase-old", "#passphrase-new", "#passphrase-new-again"];
  for (const field of fields) await page.locator(field).fill("correct horse battery");
  agent.refuse["store-passphrase"] = { code: "wrong-passphrase" };
  await page.keyboard.press("Enter");
  await page.locator("#passphrase-new-error").waitFor();
  assert.equal(await page.locator(fields[0]).inputValue(), "correct horse battery");
  agent.refuse = {};
  await page.keyboard.press("Enter");
  for (const field of fields) await until(async () => await page.locator(field).inputValue() === "", field);
});
