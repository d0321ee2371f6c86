// Camera and microphone are on only while the page says so: whatever the browser gives late is let go.

import assert from "node:assert/strict";
import { test } from "node:test";
import { start } from "./scenes.mjs";
import { agent, asked, options, page, peer, until, visit } from "./visit.mjs";

/** Has each question of the browser's wait until the test answers it, and keeps every track that was ever given. */
function questions() {
  window.questions = [];
  window.given = [];
  window.asking = false;
  const { mediaDevices } = navigator;
  const get = mediaDevices.getUserMedia.bind(mediaDevices);
  mediaDevices.getUserMedia = async (wanted) => {
    if (window.asking) await new Promise((done) => window.questions.push(done));
    const stream = await get(wanted);
    window.given.push(...stream.getTracks());
    return stream;
  };
}

const asking = (on) => page.evaluate((on) => void (window.asking = on), on);
const pending = (n) => until(() => page.evaluate((n) => window.questions.length === n, n), `${n} questions`);
const allow = (i) => page.evaluate((i) => window.questions[i](), i);
/** lit are the kinds of what is on. */
const lit = () => page.evaluate(() => window.given.filter((x) => x.readyState === "live").map((x) => x.kind).sort());
const given = (n) => until(() => page.evaluate((n) => window.given.length >= n, n), `${n} tracks given`);
const pressed = (name) => page.locator(`#control-${name}`).getAttribute("aria-pressed");
const phase = (name, more = {}) => agent.send({ event: "changed", part: "phase", value: { name, since: Date.now(), ...more } });
const dark = async () => {
  await until(async () => (await lit()).length === 0, "nothing is on");
  await page.waitForTimeout(300);
  assert.deepEqual(await lit(), [], "nothing stays on");
};

test("when the program is gone for longer than the meeting waits, nothing stays on", options, async () => {
  agent.answer = peer.answer;
  await visit("two", "en", questions);
  await until(async () => (await lit()).join() === "audio,video", "both are on");
  agent.send({ event: "changed", part: "app", value: { ...start().app, graceSeconds: 1 } });
  await page.waitForTimeout(500);
  agent.away = true;
  agent.drop(1011);
  await dark();
  await until(async () => await pressed("camera") === "false" && await pressed("microphone") === "false", "shown as off");
  // It was there all the same: the meeting is taken up again, as after a reload.
  agent.away = false;
  await until(async () => (await lit()).join() === "audio,video" && await pressed("camera") === "true", "taken up again");
});

test("a camera that is changed while one leaves is let go", options, async () => {
  agent.answer = peer.answer;
  await visit("two", "en", questions);
  await until(() => asked("media-send").some((r) => r.own.camera === "on"), "camera on");
  await asking(true);
  await page.evaluate(async () => void (await import("/media.js")).switchDevice("camera"));
  await pending(1);
  phase("ended", { ended: { began: 0, ended: 0, people: 2, messages: 0, files: 0, attendance: true, kept: false, contacts: 0 } });
  await until(() => page.locator("main.in-meeting").count().then((n) => n === 0), "left");
  await allow(0);
  await given(3);
  await dark();
});

test("a camera that is changed while it is turned off stays off", options, async () => {
  agent.answer = peer.answer;
  await visit("two", "en", questions);
  await until(() => asked("media-send").some((r) => r.own.camera === "on"), "camera on");
  await asking(true);
  await page.evaluate(async () => void (await import("/media.js")).switchDevice("camera"));
  await pending(1);
  await page.locator("#control-camera").click();
  await until(() => asked("media-send").at(-1).own.camera === "off", "off");
  await allow(0);
  await given(3);
  await until(async () => (await lit()).join() === "audio", "only the microphone is on");
  await until(async () => await pressed("camera") === "false", "shown as off");
});

test("of two trials begun at once the first is let go", options, async () => {
  await visit("start", "en", questions);
  await asking(true);
  const go = page.getByRole("button", { name: "Try camera and microphone" });
  await go.click();
  await pending(1);
  await page.waitForTimeout(600); // not a double click
  await go.click();
  await pending(2);
  await allow(0);
  await given(2);
  await dark();
  await allow(1);
  await given(4);
  await until(async () => (await lit()).join() === "audio,video", "the second is shown");
  await page.getByRole("button", { name: "Stop trying" }).click();
  await dark();
});

test("a trial that is allowed after one has entered is let go", options, async () => {
  await visit("start", "en", questions);
  await page.locator("#name").fill("Camille");
  await asking(true);
  await page.getByRole("button", { name: "Try camera and microphone" }).click();
  await pending(1);
  await page.locator("label.check input").nth(0).uncheck();
  await page.locator("label.check input").nth(1).uncheck();
  await page.locator(".action button.primary").first().click();
  await page.locator("main.in-meeting").waitFor();
  await allow(0);
  await given(2);
  await dark();
});

test("a microphone allowed after the next meeting began isn't on there", options, async () => {
  agent.answer = peer.answer;
  await visit("two", "en", questions);
  await until(() => asked("media-send").some((r) => r.own.camera === "on"), "camera on");
  await page.locator("#control-camera").click();
  await until(async () => asked("media-send").at(-1).own.camera === "off" && await pressed("camera") === "false", "off");
  await page.waitForTimeout(600); // not a double click
  await asking(true);
  await page.locator("#control-camera").click();
  await pending(1);
  phase("ended", { ended: { began: 0, ended: 0, people: 2, messages: 0, files: 0, attendance: true, kept: false, contacts: 0 } });
  await until(() => page.locator("main.in-meeting").count().then((n) => n === 0), "left");
  const before = asked("media-send").length;
  await page.evaluate(async () => {
    const { entering } = await import("/devices.js");
    entering.camera = entering.microphone = false;
  });
  phase("meeting");
  await page.locator("main.in-meeting").waitFor();
  await allow(0);
  await given(3);
  await dark();
  await until(async () => await pressed("camera") === "false", "shown as off");
  assert.deepEqual(asked("media-send").slice(before).filter((r) => r.own.camera === "on"), []);
});
