// The people of a meeting: the door, removing, rights, words and consent.

import assert from "node:assert/strict";
import { test } from "node:test";
import { id, member, scenes, words } from "./scenes.mjs";
import { agent, asked, here, later, options, page, peer, said, until, visit } from "./visit.mjs";

test("who knocks, comes, goes and is put out is announced; the door is opened", options, async () => {
  await visit("two");
  agent.send({ event: "changed", part: "knocks", value: [{ id: id("7"), name: "Sofia", contact: "stranger", at: Date.now() }] });
  await said("\u2068Sofia\u2069 is knocking at the door");
  await page.locator(".caller").waitFor();
  await page.keyboard.press("Alt+k");
  await page.keyboard.press("Enter");
  await until(() => asked("admit").length === 1, "admitted");
  agent.send({ event: "joined", member: member("7", "Sofia") });
  await said("Sofia\u2069 has come in");
  agent.send({ event: "left", member: member("7", "Sofia"), reason: "removed", by: "Camille" });
  await said("Camille\u2069 has removed \u2068Sofia");
  agent.send({ event: "changed", part: "warnings", value: [{ kind: "ghost", member: id("b"), name: "Hélène", since: Date.now() }] });
  await said("somebody you cannot see");
});

test("removing says what it does and offers a new link", options, async () => {
  await visit("two");
  await page.keyboard.press("Alt+p");
  await page.locator(".panel .member:nth-child(2) summary").click();
  await page.locator(".panel .member button.danger").click();
  await page.locator("dialog").getByText("Within a second").waitFor();
  await page.locator("#ban-yes").check();
  await page.locator("dialog button.danger").click();
  await until(() => asked("remove").length === 1, "remove");
  assert.equal(asked("remove")[0].ban, true);
  await page.locator(".notice button.quiet").click();
  await until(() => asked("invite").length === 1, "a new link");
});

test("consent to a recording is asked, and can't be passed over", options, async () => {
  await visit("consent");
  await page.waitForSelector("dialog[open]");
  await page.keyboard.press("Escape");
  await page.waitForTimeout(200);
  assert.equal(await page.locator("dialog[open]").count(), 1);
  await page.getByRole("button", { name: "I do not agree" }).click();
  await until(() => asked("recording-consent").length === 1, "answer");
  assert.deepEqual([asked("recording-consent")[0].recording, asked("recording-consent")[0].consent], ["r7", false]);
});

test("of two rights given at once neither takes the other back", options, async () => {
  await visit("five");
  await page.locator("#control-people").click();
  await page.locator("details.policy summary").click();
  let release = () => {};
  agent.holds["policy-set"] = new Promise((done) => release = done);
  const boxes = page.locator("details.policy input[type=checkbox]");
  const before = await boxes.evaluateAll((all) => all.map((box) => box.checked));
  await boxes.nth(0).setChecked(!before[0]);
  await boxes.nth(1).setChecked(!before[1]);
  release();
  await until(() => asked("policy-set").length === 2, "both asked");
  const { members } = asked("policy-set")[1].policy;
  assert.equal(members.includes("audio"), !before[0]);
  assert.equal(members.includes("video"), !before[1]);
});

test("the question whether one agrees to be recorded outlives Escape pressed twice", options, async () => {
  await visit("consent");
  await page.waitForSelector("dialog[open]");
  for (let i = 0; i < 4; i++) await page.keyboard.press("Escape");
  await page.waitForTimeout(300);
  assert.equal(await page.locator("dialog.dialog-consent:modal").count(), 1);
  await page.getByRole("button", { name: "I do not agree" }).click();
  await until(() => asked("recording-consent").length === 1, "answered");
});

test("being asked about a recording leaves what was written in another dialog", options, async () => {
  await visit("kept");
  await page.locator("#control-more").click();
  await page.locator(".menu button").nth(4).click();
  await page.locator(".sections button").nth(2).click();
  await page.getByRole("button", { name: /^Edit/ }).first().click();
  await page.locator("#contact-note").fill("half a note");
  const recording = (more) => agent.send({ event: "changed", part: "recording", value: { state: "asking", id: "r7", by: id("b"), own: false, mine: "asked", consents: {}, ...more } });
  recording({});
  await page.locator("dialog.dialog-consent[open]").waitFor();
  agent.send({ event: "joined", member: member("7", "Sofia") });
  await until(async () => (await page.locator(".dialog-consent .live").allTextContents()).join(" ").includes("Sofia"), "said in what lies on top");
  await page.getByRole("button", { name: "I agree" }).click();
  recording({ mine: "consented" });
  await until(async () => await page.locator("dialog").count() === 1, "answered");
  assert.equal(await page.locator("#contact-note").inputValue(), "half a note");
  assert.equal(await page.evaluate(() => document.activeElement?.id), "contact-note");
});

test("a dialog about somebody begins anew, and an answer that comes late closes no other", options, async () => {
  await visit("two");
  here("b", "c");
  await page.keyboard.press("Alt+p");
  const remove = async (n) => {
    const row = page.locator(".panel .member").nth(n);
    await row.locator("details").evaluate((d) => d.open = true);
    await row.locator("button.danger").click();
    await page.locator("dialog[open]").waitFor();
  };
  agent.refuse.remove = { code: "not-permitted" };
  await remove(1);
  await page.locator("#ban-yes").check();
  await page.locator("dialog button.danger").click();
  await page.locator("dialog .failure").waitFor();
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "detached" });
  await remove(2);
  assert.equal(await page.locator("dialog .failure").count(), 0, "that was about another");
  assert.ok(await page.locator("#ban-no").isChecked(), "the ban was meant for another");
  agent.refuse = {};
  const [held, release] = later();
  agent.holds.remove = held;
  await page.locator("dialog button.danger").click();
  await until(() => asked("remove").length === 2, "on its way");
  await page.keyboard.press("Escape");
  await page.locator("#control-more").click();
  await page.locator("dialog.dialog-more[open]").waitFor();
  release();
  await page.waitForTimeout(300);
  assert.equal(await page.locator("dialog.dialog-more[open]").count(), 1);
});

test("many who knock are announced together", options, async () => {
  await visit("two");
  agent.send({ event: "changed", part: "knocks", value: Array.from({ length: 50 }, (_, i) => ({ id: String(i).padStart(64, "0"), name: `Caller ${i}`, contact: "stranger", at: Date.now() })) });
  await page.locator(".caller").first().waitFor();
  await page.waitForTimeout(100);
  assert.ok(await page.locator("#alerts p").count() <= 3);
  await said("50");
});

test("who is compared with and leaves is said to be gone", options, async () => {
  await visit("two");
  here("b");
  await page.keyboard.press("Alt+t");
  await page.locator(".pairs button").first().click();
  await page.locator("dialog.dialog-verify[open]").waitFor();
  here();
  await page.locator("dialog").getByText("no longer in the meeting").waitFor();
});

const other = (n) => ({ fr: words.fr.map((w) => `${w}${n}`), en: words.en.map((w) => `${w}${n}`), digits: `${n} ${words.digits}` });

test("the padlock follows the grave warnings; what can be done about one is done from there", options, async () => {
  await visit("two");
  const padlock = page.locator(".padlock");
  const warn = (...kinds) => agent.send({ event: "changed", part: "warnings", value: kinds.map((kind) => ({ kind, member: id("b"), name: "Hélène", since: Date.now() })) });
  const shows = (bad, kind) => until(async () => (await padlock.getAttribute("class")).includes("bad") === bad && await page.locator(".warning.grave").count() === (bad ? 1 : 0)
    && await page.locator(".warning").count() === (kind === "" ? 0 : 1), `${kind}: padlock in doubt: ${bad}`);
  for (const kind of ["ghost", "equivocation", "isolation", "sending-stopped", "unconsented-recording"]) {
    warn(kind);
    await shows(true, kind);
    warn();
    await shows(false, "");
  }
  for (const kind of ["unresolved", "lagged"]) {
    warn(kind);
    await shows(false, kind);
  }
  warn("sending-stopped");
  await page.locator(".warning").getByRole("button", { name: "Carry on anyway" }).click();
  await until(() => asked("keep-sending").length === 1, "asked for");
  assert.equal(asked("keep-sending")[0].keep, true);
  agent.send({ event: "changed", part: "warnings", value: [{ kind: "isolation", since: Date.now(), kept: true }] });
  await page.getByText("You chose to carry on: what you say and show is sent.").waitFor();
  await page.locator(".warning").getByRole("button", { name: "Don’t carry on" }).click();
  await until(() => asked("keep-sending").length === 2, "thought better of");
  assert.equal(asked("keep-sending")[1].keep, false);
  warn("unconsented-recording");
  await page.locator(".warning button.danger").click();
  await page.locator("dialog.dialog-remove[open]").waitFor();
  await page.locator("#ban-yes").check();
  await page.locator("dialog").getByRole("button", { name: "Remove for good" }).click();
  await until(() => asked("remove").length === 1, "asked for");
  assert.deepEqual([asked("remove")[0].member, asked("remove")[0].ban], [id("b"), true]);
});

test("nobody becomes a host by a slip: it is asked first", options, async () => {
  await visit("two");
  await page.keyboard.press("Alt+p");
  await page.locator(".panel .member:nth-child(2) summary").click();
  const role = page.locator(`#role-${id("b")}`);
  await role.selectOption("host");
  const dialog = page.locator("dialog.dialog-promote[open]");
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await dialog.waitFor({ state: "detached" });
  assert.equal(asked("role").length, 0);
  await until(async () => await role.inputValue() === "participant", "as it is");
  await role.selectOption("host");
  await dialog.locator("footer button.primary").click();
  await until(() => asked("role").length === 1, "asked for");
  assert.deepEqual([asked("role")[0].member, asked("role")[0].role], [id("b"), "host"]);
  await until(async () => await role.inputValue() === "host", "is a host");
});

test("what one may no longer send is off, and doesn't go on by itself", options, async () => {
  agent.answer = peer.answer;
  await visit("two");
  const pressed = (name, is) => until(async () => await page.locator(`#control-${name}`).getAttribute("aria-pressed") === is, `${name} pressed: ${is}`);
  await until(() => asked("media-send").some((r) => r.own.camera === "on"), "both sent");
  const { meeting } = scenes.two();
  const may = (...send) => agent.send({ event: "changed", part: "meeting", value: { ...meeting, can: { ...meeting.can, send } } });
  may("audio", "chat");
  await said("your camera is off");
  await pressed("camera", "false");
  await pressed("microphone", "true");
  await until(() => asked("media-send").at(-1).own.camera === "off", "the agent knows");
  may("chat");
  await said("your microphone is off");
  await pressed("microphone", "false");
  await until(() => asked("media-send").at(-1).own.microphone === "muted", "the agent knows");
  may("audio", "video", "screen", "chat");
  await until(async () => await page.locator("#control-camera").getAttribute("aria-disabled") === null, "they may again");
  await page.waitForTimeout(500);
  assert.equal(asked("media-send").at(-1).own.microphone, "muted");
  await pressed("microphone", "false");
  await pressed("camera", "false");
  await page.locator("#control-microphone").click();
  await pressed("microphone", "true");
});

test("words that change under the reader can't be called the same unread", options, async () => {
  await visit("five");
  await page.locator(".padlock").click();
  const same = page.getByRole("button", { name: "They are the same" });
  await same.waitFor();
  agent.send({ event: "changed", part: "words", value: null });
  agent.send({ event: "changed", part: "words", value: other(1) });
  await said("The words have changed");
  const look = page.getByRole("button", { name: "See the new words" });
  await look.waitFor();
  assert.equal(await same.count(), 0);
  assert.equal(await page.locator("#panel .words").count(), 0);
  await look.click();
  await page.locator("#panel .words").getByText("clearing1").waitFor();
  await same.click();
  await until(() => asked("verified").length === 1, "said");
  assert.equal(asked("verified")[0].digits, other(1).digits);
  await said("no longer the words"); // the agent's own are still the first
  // Opened anew they are simply what is shown; the same once more isn't a change.
  await page.locator("#panel header button").click();
  await page.locator("#panel").waitFor({ state: "detached" });
  agent.send({ event: "changed", part: "words", value: words });
  agent.send({ event: "joined", member: member("7", "Sofia") });
  await said("Sofia\u2069 has come in"); // the words have come before that
  await page.locator(".padlock").click();
  await page.locator("#panel .words").getByText("clearing", { exact: true }).waitFor();
  agent.send({ event: "changed", part: "words", value: null });
  agent.send({ event: "changed", part: "words", value: words });
  await same.click();
  await said("marked as verified");
});

test("a comparison that is begun anew under the reader is said to be another", options, async () => {
  await visit("comparing");
  await page.locator(".notice button.quiet").click();
  const same = page.locator("dialog").getByRole("button", { name: "They are the same" });
  await same.waitFor();
  agent.send({ event: "changed", part: "verifications", value: [{ member: id("c"), asked: true, words: other(2) }] });
  await said("has begun the comparison again");
  await page.locator("dialog").getByRole("button", { name: "See the new words" }).click();
  await page.locator("dialog .words").getByText("notary2").waitFor();
  await same.click();
  await until(() => asked("verified").length === 1, "said");
  assert.deepEqual([asked("verified")[0].member, asked("verified")[0].digits], [id("c"), other(2).digits]);
});

test("who is let in while the agent takes its time is let in once, and others are answered meanwhile", options, async () => {
  await visit("door");
  const [held, release] = later();
  agent.holds.admit = held;
  const button = (n, name) => page.locator(".door .caller").nth(n).getByRole("button", { name });
  await button(0, "Let in").click();
  await button(0, "Let in").click({ force: true });
  await button(1, "Let in").click();
  await until(() => asked("admit").length === 2, "both");
  release();
  await until(async () => await page.locator(".caller").count() === 1, "both in");
  assert.deepEqual(asked("admit").map((r) => r.member), [id("f"), id("9")]);
  assert.equal(await page.locator(".door .failure").count(), 0);
});

test("a recording that isn't saved isn't deleted without being asked", options, async () => {
  await visit("ended-recorded");
  await page.getByRole("button", { name: "Back to the start" }).click();
  await page.locator("dialog.dialog-unsaved[open]").waitFor();
  await page.getByRole("button", { name: "Cancel" }).click();
  await until(async () => await page.locator("dialog[open]").count() === 0, "closed");
  assert.equal(asked("recording-discard").length, 0);
  await page.getByRole("button", { name: "Back to the start" }).click();
  await page.locator("dialog.dialog-unsaved[open]").getByRole("button", { name: "Save the file" }).click();
  await until(() => asked("recording-save").length === 1, "saved");
  await page.locator("dialog").getByText("among your downloads").waitFor();
  await page.getByRole("button", { name: "Go on" }).click();
  await until(() => asked("done").length === 3, "gone on");
  await page.close();

  await visit("ended-recorded");
  await page.getByRole("button", { name: "Back to the start" }).click();
  await page.getByRole("button", { name: "Discard and go on" }).click();
  await until(() => asked("recording-discard").length === 1 && asked("done").length === 2, "discarded, and gone on");
});
