// Picture and sound, with a real peer: what goes out, what comes in, and the figures about it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { agent, asked, later, options, page, peer, until, visit, wrong } from "./visit.mjs";

test("picture and sound go out, stop when muted, and come in", options, async () => {
  agent.answer = peer.answer;
  await visit("two");
  await until(() => asked("media-send").some((r) => r.own.camera === "on"), "camera sent");
  const count = async (kind) => Object.values(await peer.arriving()).filter((x) => x.kind === kind).reduce((n, x) => n + x.packets, 0);
  await until(async () => await count("audio") > 20 && await count("video") > 20, "packets arrive");
  await until(() => page.locator("video[data-track]").evaluate((v) => v.videoWidth > 0 && v.currentTime > 0), "their picture plays");
  await until(() => asked("media-watch").some((r) => Object.values(r.tracks).some((x) => x > 100)), "how large it is shown");
  await page.keyboard.press("Alt+s");
  await until(() => asked("media-send").some((r) => r.own.microphone === "muted"), "muted");
  let before = 0;
  await until(async () => {
    before = await count("audio");
    await page.waitForTimeout(800);
    return await count("audio") - before <= 2;
  }, "no sound while muted");
  await page.keyboard.press("Alt+s");
  await until(async () => await count("audio") > before + 10, "sound again");
  const offers = asked("media-offer").length;
  await page.locator("#control-camera").click();
  await until(() => asked("media-send").some((r) => r.own.camera === "off"), "camera off");
  assert.equal(asked("media-offer").length, offers, "no new offer for turning something off");
  assert.deepEqual(wrong, []);
});

test("the screen is shared on a line of its own; growing asks for more to receive on", options, async () => {
  agent.answer = peer.answer;
  await visit("two");
  await until(() => asked("media-send").some((r) => r.own.camera === "on"), "camera sent");
  await page.locator("#control-screen").click();
  await until(() => asked("media-send").some((r) => r.own.screen === "on"), "screen sent");
  // Its sound may follow, where the browser gives it.
  const sent = (offer) => Object.values(offer.sources).filter((s) => s !== "screenAudio").sort().join();
  await until(() => sent(asked("media-offer").at(-1)) === "camera,microphone,screen", "each on its line");
  const received = (offer) => offer.sdp.split("\r\nm=").length - 1 - Object.keys(offer.sources).length;
  const before = received(asked("media-offer").at(-1));
  agent.send({ event: "media-grow", audio: 2, video: 3 });
  await until(() => received(asked("media-offer").at(-1)) === before + 5, "five more lines");
  agent.send({ event: "encoder", source: "camera", maxBitrate: 200000, maxHeight: 180, maxFrameRate: 10 });
  const low = async () => (await peer.page.evaluate(async () => {
    const sizes = [];
    for (const t of window.pc.getTransceivers()) for (const s of (await t.receiver.getStats()).values()) if (s.type === "inbound-rtp" && s.frameHeight) sizes.push(s.frameHeight);
    return sizes;
  })).some((height) => height <= 180);
  await until(low, "a smaller picture is sent");
});

test("what is being turned on can be turned off before the agent has answered", options, async () => {
  agent.answer = peer.answer;
  const [held, release] = later();
  agent.holds["media-send"] = held;
  await visit("two");
  await until(() => asked("media-send").some((r) => r.own.microphone === "on"), "asked for");
  const pressed = () => page.locator("#control-microphone").getAttribute("aria-pressed");
  await until(async () => await pressed() === "true", "shown as on");
  await page.locator("#control-microphone").click();
  await until(async () => await pressed() === "false", "shown as off");
  release();
  await until(() => asked("media-send").filter((r) => "microphone" in r.own).at(-1).own.microphone === "muted", "told last");
  assert.equal(await pressed(), "false");
});

test("a shortcut that is held down acts once", options, async () => {
  agent.answer = peer.answer;
  await visit("two");
  await until(() => asked("media-send").some((r) => r.own.camera === "on"), "entered");
  await page.keyboard.down("Alt");
  for (let i = 0; i < 6; i++) {
    await page.keyboard.down("s");
    await page.waitForTimeout(60);
  }
  await page.keyboard.up("s");
  await page.keyboard.up("Alt");
  await until(() => asked("media-send").at(-1).own.microphone === "muted", "muted");
  await page.waitForTimeout(300);
  assert.deepEqual(asked("media-send").filter((r) => "microphone" in r.own).map((r) => r.own.microphone), ["on", "muted"]);
});

test("which pictures are looked at is said again when the connection with the agent was lost", options, async () => {
  agent.answer = peer.answer;
  await visit("two");
  await until(() => asked("media-send").some((r) => r.own.camera === "on"), "entered");
  const told = () => asked("media-watch").filter((r) => Object.values(r.tracks).some((x) => x > 100));
  await until(() => told().length > 0, "how large it is shown");
  const before = told().length;
  agent.drop(1011); // another page may take over now, and say that it shows none
  await until(() => told().length > before, "said again");
});

test("what was being turned on when the connection with the agent was lost is offered again", options, async () => {
  agent.answer = peer.answer;
  await visit("two");
  await until(() => asked("media-send").some((r) => r.own.camera === "on"), "entered");
  [agent.holds["media-offer"]] = later();
  await page.locator("#control-screen").click();
  const offered = () => asked("media-offer").filter((r) => Object.values(r.sources).includes("screen")).length;
  await until(() => offered() === 1, "offered");
  agent.drop(1011);
  await until(() => offered() === 2, "offered again");
});

test("the look at the connections goes on when the connection with the agent was lost", options, async () => {
  await visit("five");
  await page.locator("#control-more").click();
  await page.locator(".menu button").nth(1).click();
  await until(() => asked("stats").length === 1, "asked for");
  agent.drop(1011);
  await until(() => asked("stats").length === 2 && asked("stats")[1].on, "asked for again");
});

test("a tab that takes the meeting over again says anew what it shows: the other may have shown nothing", options, async () => {
  agent.answer = peer.answer;
  await visit("two", "en", () => {
    const { setTimeout } = window;
    window.slow = 0;
    window.setTimeout = (go, after = 0, ...more) => setTimeout(go, after + window.slow, ...more);
  });
  const shows = () => asked("media-watch").filter((r) => Object.values(r.tracks).some((x) => x > 0)).length;
  await until(() => shows() > 0, "told");
  agent.drop(4001);
  const here = page.locator("main.card-screen button");
  await here.waitFor();
  agent.requests.length = 0;
  await page.evaluate(() => window.slow = 1500); // it is drawn first when all is there as it was
  await here.click();
  await until(() => shows() > 0, "told again");
});

/** collects keeps what the page was given of camera and microphone. */
const collects = `{
  window.given = [];
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const stream = await ask(wanted);
    given.push(...stream.getTracks());
    return stream;
  };
}`;
const sends = () => asked("media-send").filter((r) => Object.values(r.own).some((word) => word !== "on"));
/** both has camera and microphone end, as when their devices are gone. */
const both = () => page.evaluate(() => {
  for (const track of window.given) {
    track.stop();
    track.dispatchEvent(new Event("ended"));
  }
});

test("a tab that is closed, and loses its devices on the way, mutes nothing for the one that takes up the meeting", options, async () => {
  const on = async () => {
    agent.answer = peer.answer;
    await visit("two", "en", collects);
    await until(() => asked("media-send").some((r) => r.own.camera === "on"), "on");
    await page.waitForTimeout(300); // till it is drawn
  };
  await on();
  await both();
  await page.waitForTimeout(150);
  await page.close();
  await new Promise((done) => setTimeout(done, 300)); // what it said last has come
  assert.deepEqual(sends(), []);

  await on();
  await page.evaluate(() => window.dispatchEvent(new Event("pagehide")));
  await both();
  await page.waitForTimeout(1300);
  assert.deepEqual(sends(), [], "it is being closed");
  await page.close();

  await on(); // control: devices that are gone while the page stays
  await both();
  await until(() => sends().length === 2, "said so");
  assert.deepEqual(Object.assign({}, ...sends().map((r) => r.own)), { microphone: "muted", camera: "off" });
  await page.getByText("A device was unplugged").first().waitFor();
});

test("what was asked while the meeting ended isn't answered with an advice to enter one", options, async () => {
  agent.answer = peer.answer;
  await visit("two");
  await until(() => asked("media-send").some((r) => r.own.camera === "on"), "entered");
  agent.refuse["media-send"] = { code: "not-in-meeting" };
  const before = asked("media-send").length;
  await page.locator("#control-camera").click();
  await until(() => asked("media-send").length > before, "asked");
  await page.waitForTimeout(300);
  assert.equal(await page.locator(".notice").count(), 0);
  agent.refuse["media-send"] = { code: "internal" }; // any other refusal is said
  await page.locator("#control-microphone").click();
  await page.locator(".notice.bad").waitFor();
});

test("what a tab that takes the meeting up again can't open isn't on at the agent either", options, async () => {
  agent.answer = peer.answer;
  await visit("two", "en", () => {
    const { mediaDevices } = navigator;
    const get = mediaDevices.getUserMedia.bind(mediaDevices);
    mediaDevices.getUserMedia = (wanted) => wanted.video ? Promise.reject(new DOMException("", "NotReadableError")) : get(wanted);
  });
  await until(() => asked("media-send").some((r) => r.own.camera === "off"), "the camera is off");
  await until(() => asked("media-send").some((r) => r.own.microphone === "on"), "the microphone is on");
  assert.equal(await page.locator("#control-camera").getAttribute("aria-pressed"), "false", "shown as off");
  assert.ok(!asked("media-send").some((r) => r.own.microphone === "muted"), "the microphone was never muted");
});
