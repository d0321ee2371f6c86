// The speaker: whose sound comes out where, and browsers that can't choose it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { agent, asked, options, page, peer, until, visit, wrong } from "./visit.mjs";

const sounds = () => page.locator("#sounds audio").evaluateAll((all) => all.map((a) => ({ sink: a.sinkId, playing: !a.paused })));
const settings = async () => {
  await page.locator("#control-more").click();
  await page.locator(".menu button").nth(4).click();
  await page.locator(".sections button").nth(1).click();
};

test("all that is heard comes out of the speaker that was chosen", options, async () => {
  agent.answer = peer.answer;
  await visit("two");
  await until(async () => (await sounds()).some((s) => s.playing && s.sink === ""), "heard, where the system says");
  await settings();
  const field = page.locator("#settings-speaker");
  const id = await field.locator("option").last().getAttribute("value");
  assert.notEqual(id, "", "there is one to choose");
  await field.selectOption(id);
  await until(() => asked("settings-set").some((r) => r.settings.speaker?.id === id), "remembered");
  await until(async () => (await sounds()).length > 0 && (await sounds()).every((s) => s.sink === id && s.playing), "used");
  await field.selectOption("");
  await until(async () => (await sounds()).every((s) => s.sink === "" && s.playing), "the system's again");
  assert.deepEqual(wrong, []);
});

test("a browser that can't choose the speaker says so, and plays", options, async () => {
  agent.answer = peer.answer;
  await visit("two", "en", () => {
    delete HTMLMediaElement.prototype.setSinkId;
    delete HTMLMediaElement.prototype.sinkId;
    delete AudioContext.prototype.setSinkId;
  });
  await until(async () => (await sounds()).some((s) => s.playing), "heard");
  await settings();
  const field = page.locator("#settings-speaker");
  await field.waitFor();
  assert.equal(await field.isDisabled(), true);
  const hint = await field.evaluate((e) => e.getAttribute("aria-describedby")?.split(" ").map((id) => document.getElementById(id)?.textContent).join(" "));
  assert.match(hint ?? "", /This browser follows the system’s setting/);
  await page.getByRole("button", { name: "Play a sound" }).click();
  assert.deepEqual(wrong, []);
});
