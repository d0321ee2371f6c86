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
  for (const n of [0, 1]) {
    await page.locator(".people .member .row button:last-child").nth(n).click();
    await page.locator(".dialog-question button.danger").click();
    await page.locator(".dialog-question").waitFor({ state: "detached" });
  }
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

const kept = async () => {
  await visit("kept");
  await page.locator("#control-more").click();
  await page.locator(".menu button").nth(4).click();
  await page.locator(".sections button").nth(3).click();
};

test("a kept meeting has its attendance record: shown, saved and printed, with the warning; another has none, and says so", options, async () => {
  await kept();
  await page.getByRole("button", { name: "Read" }).first().click();
  await page.locator("dialog.dialog-history[open] .log").waitFor();
  assert.equal(await page.locator(".dialog-history .badge").count(), 2, "what was said in private is marked");
  await page.getByRole("button", { name: "Attendance record" }).click();
  const dialog = page.locator("dialog.dialog-attendance[open]");
  await dialog.locator("table tbody tr").first().waitFor();
  assert.equal(await dialog.locator("table tbody tr").count(), 2);
  await dialog.getByText("These signatures prove").waitFor();
  await dialog.getByRole("button", { name: "Table (CSV)" }).click();
  await dialog.getByRole("button", { name: "Signed proof (JSON)" }).click();
  await until(() => asked("attendance").length === 3, "shown, and twice saved");
  assert.deepEqual(asked("attendance").map((r) => [r.format, r.meeting]), [["show", "k1"], ["csv", "k1"], ["json", "k1"]]);
  assert.ok(await dialog.getByRole("button", { name: "Print" }).isVisible());
  await page.keyboard.press("Escape");
  await page.locator("dialog.dialog-history[open] .log").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Read" }).nth(1).click();
  await page.locator("dialog.dialog-history[open]").getByText("could not be kept").waitFor();
  await page.locator("dialog.dialog-history[open]").getByText("214 older messages were not kept").waitFor();
  assert.equal(await page.getByRole("button", { name: "Attendance record" }).count(), 0);
  // That of the meeting that is on is another.
  await page.keyboard.press("Escape");
  await page.locator(".sections").waitFor();
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "detached" });
  await page.locator("#control-more").click();
  await page.locator(".menu button").nth(3).click();
  await until(async () => await dialog.locator("table tbody tr").count() === 4, "its own");
  assert.equal(asked("attendance").at(-1).meeting, "");
  assert.deepEqual(wrong, []);
});

test("the record that was read before is never shown as another meeting's", options, async () => {
  await kept();
  const close = () => page.locator("dialog[open] header button").click();
  await page.getByRole("button", { name: "Read" }).first().click();
  await page.getByRole("button", { name: "Attendance record" }).click();
  await page.locator("dialog.dialog-attendance table").waitFor();
  await close();
  await page.locator("dialog.dialog-history .log").waitFor();
  await close();
  await page.locator(".sections").waitFor();
  const [held, release] = later();
  agent.holds["history-show"] = agent.holds["attendance"] = held;
  await page.evaluate(() => {
    window.tables = 0;
    new MutationObserver(() => window.tables += document.querySelectorAll(".dialog-attendance table, .dialog-history .log").length).observe(document.body, { childList: true, subtree: true });
  });
  await page.getByRole("button", { name: "Read" }).nth(1).click();
  await until(() => asked("history-show").at(-1).meeting === "k2", "asked");
  await close();
  await page.locator(".sections").waitFor();
  await close();
  await page.locator("dialog").waitFor({ state: "detached" });
  await page.locator("#control-more").click();
  await page.locator(".menu button").nth(3).click();
  await until(() => asked("attendance").length === 2, "asked");
  assert.equal(await page.evaluate(() => window.tables), 0);
  release();
  await page.locator("dialog.dialog-attendance table").waitFor();
});

test("what would be lost for good is asked about first: a contact, a kept meeting, and what a backup replaces", options, async () => {
  await kept();
  const question = page.locator("dialog.dialog-question[open]");
  const focused = () => page.evaluate(() => document.activeElement.textContent);
  /** asks begins, has the question cancelled in each way, and answers it. */
  const asks = async (begin, says, go, what) => {
    for (const cancel of [() => page.keyboard.press("Escape"), () => page.keyboard.press("Enter"), () => question.locator("header button").click()]) {
      await begin();
      await question.getByText(says).waitFor();
      await until(async () => await focused() === "Cancel", "the safe button has the focus");
      assert.match(await page.evaluate(() => document.getElementById(document.querySelector(".dialog-question").getAttribute("aria-describedby")).textContent), /This is final/);
      await cancel();
      await question.waitFor({ state: "detached" });
      assert.ok(await page.locator("dialog.dialog-settings[open]").isVisible(), "what was under it is there");
      assert.equal(asked(what).length, 0);
    }
    await begin();
    await question.getByRole("button", { name: go }).click();
    await question.waitFor({ state: "detached" });
    await until(() => asked(what).length === 1, "done");
  };
  await asks(() => page.locator(".people .member .row button:last-child").first().click(), "are deleted from this computer", "Delete", "history-delete");
  assert.equal(asked("history-delete")[0].meeting, "k1");
  await until(async () => await page.locator(".people .member").count() === 1, "deleted");

  await page.getByText("Restore a backup copy").click();
  await page.locator("#restore-file").setInputFiles({ name: "x.age", mimeType: "", buffer: Buffer.from("backup") });
  await page.locator("#restore-passphrase").fill("correct horse battery");
  await asks(() => page.getByRole("button", { name: "Restore", exact: true }).click(), "are replaced by those of the copy", "Replace", "restore");
  await until(() => agent.uploads.length === 1, "restored");
  assert.deepEqual([asked("restore")[0].passphrase, agent.uploads[0].bytes], ["correct horse battery", 6]);
  await until(async () => await page.locator("#restore-passphrase").inputValue() === "", "emptied");

  await page.locator(".sections button").nth(2).click();
  await page.getByText("The people you recognise").waitFor();
  await asks(() => page.locator(".people .member .row button:last-child").first().click(), "your note and the verification", "Forget", "contact-delete");
  await until(async () => await page.locator(".people .member").count() === 1, "forgotten");
  assert.deepEqual(wrong, []);
});

test("where nothing is kept, a backup is restored without a question", options, async () => {
  await visit("start");
  await page.locator(".top nav button").nth(1).click();
  await page.locator(".sections button").nth(3).click();
  await page.getByText("Restore a backup copy").click();
  await page.locator("#restore-file").setInputFiles({ name: "x.age", mimeType: "", buffer: Buffer.from("backup") });
  await page.getByRole("button", { name: "Restore", exact: true }).click();
  await until(() => agent.uploads.length === 1, "restored");
  assert.equal(await page.locator("dialog.dialog-question").count(), 0);
});

test("a question goes with the meeting it was asked in", options, async () => {
  await kept();
  await page.locator(".people .member .row button:last-child").first().click();
  await page.locator("dialog.dialog-question[open]").waitFor();
  agent.send({ event: "changed", part: "phase", value: { name: "ended", since: 0, error: { code: "ended" }, ended: { began: 0, ended: 60000, people: 2, messages: 0, files: 0, attendance: true, kept: false, contacts: 0 } } });
  await page.locator(".ended").getByText(/Someone\W* ended the meeting for everybody/).waitFor();
  await page.locator("dialog").waitFor({ state: "detached" });
});

test("who sees what says of recordings who has one and who agreed, and that there was none", options, async () => {
  await visit("five");
  await page.locator("#control-more").click();
  await page.locator(".menu button").nth(2).click();
  const row = (name) => page.locator(".exposure-table tbody tr", { has: page.locator("th", { hasText: name }) });
  await row("Recording of the meeting").waitFor();
  const said = (await row("Recording of the meeting").innerText()).replaceAll(/\s+/g, " ");
  assert.match(said, /The participants \(Hélène Marchand\) file of the recording You agreed The participants \(Jean-Baptiste Lefèvre\) agreed/);
  assert.match(await row("What the others send").innerText(), /in clear, if it was for them too/);
  assert.ok(await row("Your messages to all").isVisible());
});
