// What the page does, in a real browser against the mock agent: the ways through it, picture and sound with a real
// peer, the keyboard, what is announced, and what happens when the agent goes away.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { answerer, connected, open } from "./browser.mjs";
import { listen } from "./mock-agent.mjs";
import { id, member, start } from "./scenes.mjs";

let browser, agent, peer, page, wrong;
before(async () => {
  browser = await open();
  await browser.context.grantPermissions(["clipboard-read", "clipboard-write"]);
  peer = await answerer(browser.context);
  agent = await listen(0);
});
after(async () => {
  await agent.close();
  await browser.close();
});
afterEach(async () => {
  await page?.close();
  agent.refuse = {};
  agent.holds = {};
  agent.away = false;
  agent.answer = null;
});

async function visit(scene, language = "en") {
  agent.requests.length = 0;
  agent.settings = { language, theme: "light" };
  wrong = [];
  page = await browser.context.newPage();
  page.on("pageerror", (e) => wrong.push(String(e)));
  page.on("console", (m) => m.type() === "error" && wrong.push(m.text()));
  await page.goto(`${agent.url}/#${scene}`);
  await page.waitForSelector(connected);
  return page;
}

const asked = (what) => agent.requests.filter((r) => r.do === what);
async function until(check, why) {
  for (const end = Date.now() + 30000; Date.now() < end;) {
    if (await check()) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  assert.fail(`in 30 s: ${why}`);
}
const said = (text) => until(async () => (await page.locator("#news, #alerts, .live").allTextContents()).join(" ").includes(text), `announced: ${text}`);
const options = { timeout: 120000 };

test("the token leaves the address", options, async () => {
  await visit("start");
  await until(() => page.url() === `${agent.url}/`, "address without token");
});

test("what the network took away while the page loaded is fetched again", options, async () => {
  for (const lost of ["grid.js", "screens.css", "session"]) {
    let taken = 0;
    page = await browser.context.newPage();
    await page.route(`**/${lost}`, (route) => taken++ === 0 ? route.abort("internetdisconnected") : route.continue());
    await page.goto(`${agent.url}/#two`);
    await page.locator("main.in-meeting").waitFor();
    assert.equal(taken, 2, lost);
    assert.equal(page.url(), `${agent.url}/`);
    await page.close();
  }
});

test("a meeting is opened, its invitation copied", options, async () => {
  await visit("start", "fr");
  await page.locator("#name").fill("Maître Camille Laurent");
  await page.locator(".action button.primary").first().click();
  await page.waitForSelector("dialog[open] .invitation");
  assert.equal(asked("create").length, 1);
  assert.equal(asked("settings-set")[0].settings.name, "Maître Camille Laurent");
  await page.locator("dialog button.primary").first().click();
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /huisclos:/);
  await page.keyboard.press("Escape");
  await until(async () => await page.locator("dialog").count() === 0, "dialog closed");
  assert.deepEqual(wrong, []);
});

test("no meeting without a name, and the field says why", options, async () => {
  await visit("start");
  await page.locator(".action button.primary").first().click();
  await page.waitForSelector("#name[aria-invalid=true]");
  assert.equal(await page.evaluate(() => document.activeElement?.id), "name");
  assert.equal(asked("create").length, 0);
});

test("a pasted invitation is knocked with; waiting can be given up", options, async () => {
  await visit("start");
  const knock = page.getByRole("button", { name: "Knock at the door" });
  const before = await knock.boundingBox();
  await page.locator("#name").fill("Hélène");
  await page.locator("#join-link").fill("Bonjour,\n2. Collez : huisclos:AbC-123#xyz\n3. Frappez.");
  await page.getByText("This link is complete").waitFor();
  assert.deepEqual(await knock.boundingBox(), before, "what is said about the link moves nothing");
  await knock.click();
  await until(() => asked("join").length === 1, "join");
  assert.equal(asked("join")[0].link, "huisclos:AbC-123#xyz");
  await said("You are at the door");
  await page.getByRole("button", { name: "Stop waiting" }).click();
  await until(() => asked("cancel").length === 1, "cancel");
});

test("a refusal is said in a sentence, in the person's language", options, async () => {
  agent.refuse = { create: { code: "network", detail: "listen udp: address in use" } };
  await visit("start", "fr");
  await page.locator("#name").fill("Hélène");
  await page.locator(".action button.primary").first().click();
  await page.getByText("Vérifiez qu’il est relié").first().waitFor();
  await page.getByRole("button", { name: "English" }).click();
  await page.getByText("Check that it is connected").first().waitFor();
});

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
  // Its sound follows, where the browser gives it.
  await page.waitForTimeout(700);
  const last = asked("media-offer").at(-1);
  assert.deepEqual(Object.values(last.sources).filter((s) => s !== "screenAudio").sort(), ["camera", "microphone", "screen"]);
  const lines = (sdp) => sdp.split("\r\nm=").length - 1;
  agent.send({ event: "media-grow", audio: 2, video: 3 });
  await until(() => asked("media-offer").length > 0 && lines(asked("media-offer").at(-1).sdp) === lines(last.sdp) + 5, "five more lines");
  agent.send({ event: "encoder", source: "camera", maxBitrate: 200000, maxHeight: 180, maxFrameRate: 10 });
  const low = async () => (await peer.page.evaluate(async () => {
    const sizes = [];
    for (const t of window.pc.getTransceivers()) for (const s of (await t.receiver.getStats()).values()) if (s.type === "inbound-rtp" && s.frameHeight) sizes.push(s.frameHeight);
    return sizes;
  })).some((height) => height <= 180);
  await until(low, "a smaller picture is sent");
});

test("who knocks, comes, goes and is put out is announced; the door is opened", options, async () => {
  await visit("two");
  agent.send({ event: "changed", part: "knocks", value: [{ id: id("7"), name: "Sofia", contact: "stranger", at: Date.now() }] });
  await said("\u2068Sofia\u2069 is knocking at the door");
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

test("a private message goes to one, with the keyboard alone", options, async () => {
  await visit("two");
  await page.keyboard.press("Alt+c");
  await page.locator("#chat-to").selectOption({ index: 1 });
  await page.locator("#chat-text").fill("In confidence");
  await page.keyboard.press("Enter");
  await until(() => asked("say").length === 1, "said");
  assert.deepEqual([asked("say")[0].to, asked("say")[0].text], [id("b"), "In confidence"]);
  await until(async () => await page.locator("#chat-text").inputValue() === "", "emptied");
  await page.keyboard.press("Alt+c");
  await until(() => page.evaluate(() => document.activeElement?.id === "control-chat"), "the focus is on its button again");
});

test("what is typed and focused stays while the state changes", options, async () => {
  await visit("two");
  await page.keyboard.press("Alt+c");
  await page.locator("#chat-text").fill("half a sen");
  for (let i = 0; i < 5; i++) {
    agent.send({ event: "changed", part: "members", value: [member("a", "Me", { self: true, contact: "self" }), ...Array.from({ length: i }, (_, k) => member(String(k + 1), `P${k}`))] });
    agent.send({ event: "chatted", message: { id: `x${i}`, from: id("1"), name: "P", time: Date.now(), text: "…", self: false } });
    await page.waitForTimeout(40);
  }
  assert.equal(await page.evaluate(() => document.activeElement?.id), "chat-text");
  assert.equal(await page.locator("#chat-text").inputValue(), "half a sen");
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

test("who refuses a file is told to the one who offers it", options, async () => {
  await visit("two");
  await page.locator("#control-files").click();
  const offered = (state) => ({ id: "own", from: id("a"), name: "Notes.pdf", size: 1000, type: "", self: true, time: Date.now(), done: 0, state: "offered", copies: [{ member: id("b"), state, done: 0 }] });
  agent.send({ event: "changed", part: "files", value: [offered("offered")] });
  await page.locator("#panel .file").getByText("Offered").waitFor();
  agent.send({ event: "changed", part: "files", value: [offered("refused")] });
  await page.locator("#panel .file").getByText("Refused by").waitFor();
  await said("does not want the file");
});

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
  assert.equal(await mode(), "network-hidden");
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

test("a guest who can reach nobody hands a code back; the host pastes it", options, async () => {
  await visit("replying");
  await page.getByRole("button", { name: "Copy the code" }).click();
  await until(async () => (await page.evaluate(() => navigator.clipboard.readText())).startsWith("huisclos-reply:"), "copied");
  await page.getByRole("button", { name: "Stop waiting" }).click();
  await until(() => asked("cancel").length === 1, "given up");
  await page.close();

  await visit("two");
  await page.locator(".meeting-bar button[aria-haspopup]").click();
  await page.getByText("A guest sent me a code").click();
  agent.refuse.reply = { code: "reply-foreign" };
  await page.locator("#reply-code").fill("Bonjour,\nle code : huisclos-reply:1-AAAA");
  await page.getByRole("button", { name: "Call their computer" }).click();
  await page.locator(".failure").getByText("does not answer a link of this meeting").waitFor();
  agent.refuse = {};
  await page.getByRole("button", { name: "Call their computer" }).click();
  await said("The guest’s computer answered");
  await until(async () => await page.locator("dialog[open]").count() === 0, "who knocks lies under no dialog");
  assert.equal(asked("reply").at(-1).code, "huisclos-reply:1-AAAA");
});

test("whoever reached nobody is offered their router and the network settings", options, async () => {
  await visit("start");
  await page.locator("#name").fill("Ada");
  await page.locator("#join-link").fill("huisclos:1-AAAA");
  await page.getByRole("button", { name: "Knock at the door" }).click();
  await page.getByRole("heading", { name: "You are at the door" }).waitFor();
  assert.equal(asked("join").length, 1);
  agent.send({ event: "changed", part: "phase", value: { name: "start", since: Date.now(), error: { code: "neither-reachable" } } });
  await page.getByRole("button", { name: "Ask my router and try again" }).click();
  await until(() => asked("join").length === 2, "again");
  assert.deepEqual([asked("join")[1].link, asked("join")[1].askRouter, asked("join")[0].askRouter], ["huisclos:1-AAAA", true, false]);
});

test("a link without addresses is offered where the meeting can be found without", options, async () => {
  await visit("invite-found");
  await page.locator(".meeting-bar button[aria-haspopup]").click();
  await page.getByText("This link names no address").waitFor();
  await page.getByText("Make another link").click();
  await page.locator("#invite-bare").check();
  await page.getByRole("button", { name: "Make a new link" }).click();
  await until(() => asked("invite").at(-1)?.noAddresses === true, "made");
});

test("a lost connection is made again; another page takes over; the end is said", options, async () => {
  await visit("two");
  agent.away = true;
  agent.drop(1011);
  await page.locator(".bar.bad").waitFor();
  agent.away = false;
  await until(async () => await page.locator(".bar.bad").count() === 0, "connected again");
  agent.drop(4001);
  await page.getByText("open in another tab").waitFor();
  await page.waitForTimeout(1200);
  assert.equal(agent.sockets.size, 0, "it must not come back by itself");
  await page.getByRole("button", { name: "Use it here" }).click();
  await page.waitForSelector(".meeting");
  agent.drop(4002);
  await page.getByText("Huis clos is closed").waitFor();
});

test("an unknown token opens nothing", options, async () => {
  page = await browser.context.newPage();
  await page.goto(`${agent.url}/#nothing-of-ours`);
  await page.getByRole("heading", { name: /Ouvrez Huis clos|Open Huis clos/ }).waitFor();
});

test("hostile names and texts are text", options, async () => {
  await visit("hostile");
  await page.keyboard.press("Alt+c");
  await page.locator(".log").waitFor();
  assert.equal(await page.locator("main img").count(), 0);
  assert.ok((await page.locator("main").innerText()).length < 30000, "cut");
  assert.ok(!/[\u202A-\u202E]/.test(await page.locator("#page").evaluate((p) => p.textContent ?? "")), "no change of direction");
  const wide = await page.evaluate(() => [...document.querySelectorAll(".panel *, .meeting-bar *, .bars *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 200)));
  assert.deepEqual(wide, []);
  assert.deepEqual(wrong, []);
});

test("every control can be reached with Tab, in order, and shows that it is", options, async () => {
  await visit("five");
  const seen = new Set();
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const e = document.activeElement;
      return e === null || e === document.body ? "" : `${e.id || e.className || e.tagName} ${getComputedStyle(e).outlineStyle}`;
    });
    if (at === "") break;
    seen.add(at);
  }
  for (const control of ["microphone", "camera", "screen", "hand", "chat", "people", "files", "more", "leave"]) {
    assert.ok([...seen].some((x) => x.startsWith(`control-${control} `) && !x.endsWith("none")), `${control}: ${[...seen].join(", ")}`);
  }
});

test("what is printed is the notice alone, dark on white in every theme", options, async () => {
  await visit("two");
  agent.send({ event: "changed", part: "settings", value: { name: "C", language: "fr", theme: "dark", microphone: { id: "", label: "" }, camera: { id: "", label: "" }, speaker: { id: "", label: "" }, page: {} } });
  await page.locator("#control-more").click();
  await page.locator(".menu button").nth(2).click();
  await page.locator(".exposure-table").waitFor();
  await page.emulateMedia({ media: "print" });
  const [ink, paper] = await page.locator("dialog").evaluate((d) => [getComputedStyle(d).color, getComputedStyle(d).backgroundColor]);
  assert.deepEqual([ink, paper], ["rgb(28, 33, 38)", "rgb(255, 255, 255)"]);
  assert.equal(await page.locator(".controls").isVisible(), false);
});

/** twice clicks as a person double-clicks: the second click is where the first was, whatever is there by then. */
async function twice(locator) {
  const box = await locator.boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await page.mouse.click(x, y);
  await page.waitForTimeout(150);
  await page.mouse.down({ clickCount: 2 });
  await page.mouse.up({ clickCount: 2 });
  await page.waitForTimeout(150);
}

const later = () => {
  let release = () => {};
  return [new Promise((done) => release = done), () => release()];
};
const here = (...names) => agent.send({ event: "changed", part: "members", value: [member("a", "Me", { self: true, contact: "self" }), ...names.map((n) => member(n, `Member ${n}`))] });

test("what was meant for one who left goes to nobody else", options, async () => {
  await visit("two");
  here("b", "c");
  await page.keyboard.press("Alt+c");
  await page.locator("#chat-to").selectOption(id("b"));
  await page.locator("#chat-text").fill("In confidence");
  here("c");
  await page.locator("form.write").getByText("no longer in the meeting").waitFor();
  await page.keyboard.press("Enter");
  await page.waitForTimeout(300);
  assert.deepEqual(asked("say").map((r) => r.to), []);
  assert.equal(await page.locator("#chat-text").inputValue(), "In confidence");
  here("b", "c"); // and has come back
  await until(async () => await page.locator("#chat-to").inputValue() === id("b"), "still for them");
  await page.locator("#chat-text").press("Enter");
  await until(() => asked("say").length === 1, "said");
  assert.equal(asked("say")[0].to, id("b"));

  await page.locator("#control-files").click();
  await page.locator("#file-to").selectOption(id("b"));
  here("c");
  await page.locator(".offer").getByText("no longer in the meeting").waitFor();
  await page.locator("#file-pick").setInputFiles({ name: "a.txt", mimeType: "text/plain", buffer: Buffer.from("a") });
  await page.waitForTimeout(300);
  assert.deepEqual(asked("file-offer").map((r) => r.to), []);
  await page.locator("#file-to").selectOption("");
  await page.locator("#file-pick").setInputFiles({ name: "a.txt", mimeType: "text/plain", buffer: Buffer.from("a") });
  await until(() => asked("file-offer").length === 1, "offered to all, since that was chosen");
});

test("files go to whom was chosen when they were picked, one and all", options, async () => {
  await visit("two");
  await page.locator("#control-files").click();
  await page.locator("#file-to").selectOption({ index: 2 });
  const [held, release] = later();
  agent.holds["file-offer"] = held;
  const named = (...names) => names.map((name) => ({ name, mimeType: "text/plain", buffer: Buffer.from(name) }));
  await page.locator("#file-pick").setInputFiles(named("1", "2"));
  await until(() => asked("file-offer").length === 1, "the first");
  await page.locator("#file-to").selectOption("");
  await page.locator("#file-pick").setInputFiles(named("3"));
  release();
  await until(() => asked("file-offer").length === 3, "all");
  assert.deepEqual(asked("file-offer").map((r) => [r.name, r.to]).sort(), [["1", id("b")], ["2", id("b")], ["3", ""]]);
});

test("the second click of a double click does nothing to what came under it", options, async () => {
  await visit("door");
  await twice(page.locator(".door .caller").first().getByRole("button", { name: "Let in" }));
  await until(() => asked("admit").length > 0, "the first");
  await page.waitForTimeout(600);
  assert.deepEqual(asked("admit").map((r) => r.member), [id("f")]);
  await page.locator(".door .caller").first().getByRole("button", { name: "Let in" }).click();
  await until(() => asked("admit").length === 2, "the second, when it is meant");
  await page.waitForTimeout(600);
  await twice(page.locator("#control-chat"));
  await page.locator("#panel").waitFor();
  await page.waitForTimeout(600);
  assert.equal(await page.locator("#panel").count(), 1, "open, not closed again");
  await twice(page.locator("#control-hand"));
  await until(() => asked("hand").length === 2, "a switch may be switched fast");
  for (const name of ["more", "leave"]) {
    await page.waitForTimeout(600);
    await twice(page.locator(`#control-${name}`));
    await page.locator("dialog[open]").waitFor();
    await page.waitForTimeout(300);
    assert.equal(await page.locator("dialog[open]").count(), 1, name);
    await page.keyboard.press("Escape");
    await page.locator("dialog").waitFor({ state: "detached" });
  }
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

test("what is written while a message is on its way stays, and what is sent meanwhile follows", options, async () => {
  await visit("two");
  await page.keyboard.press("Alt+c");
  let [held, release] = later();
  agent.holds.say = held;
  await page.locator("#chat-text").pressSequentially("One");
  await page.keyboard.press("Enter");
  await until(() => asked("say").length === 1, "on its way");
  await page.keyboard.type("Two");
  await page.keyboard.press("Enter");
  await page.keyboard.type("Thr");
  release();
  await until(() => asked("say").length === 2, "the second");
  await page.keyboard.type("ee");
  await page.waitForTimeout(200);
  assert.deepEqual(asked("say").map((r) => r.text), ["One", "Two"]);
  assert.equal(await page.locator("#chat-text").inputValue(), "Three");

  // A refusal gives back what was refused, before what was written since.
  [held, release] = later();
  agent.holds.say = held;
  agent.refuse.say = { code: "rate-limited", seconds: 3 };
  await page.keyboard.press("Enter");
  await page.keyboard.type("Four");
  release();
  await page.locator("form.write .failure").waitFor();
  assert.equal(await page.locator("#chat-text").inputValue(), "Three\nFour");
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

test("with everything at once, and the page enlarged, all can still be pressed", options, async () => {
  await visit("warnings");
  agent.send({ event: "changed", part: "recording", value: { state: "running", id: "x", by: id("b"), own: false, since: Date.now(), mine: "consented", consents: {} } });
  await page.locator(".bar.recording").waitFor();
  await page.keyboard.press("Alt+c");
  await page.locator("#chat-text").waitFor();
  for (const [width, height] of [[360, 640], [640, 400], [320, 256]]) {
    await page.setViewportSize({ width, height });
    for (const what of [".control", ".bar.recording button", "#chat-text", ".write button"]) {
      for (const one of await page.locator(what).all()) {
        await until(async () => {
          await one.scrollIntoViewIfNeeded();
          return one.evaluate((e) => {
            const r = e.getBoundingClientRect();
            const [x, y] = [r.x + r.width / 2, r.y + r.height / 2];
            return y < innerHeight && e.contains(document.elementFromPoint(x, y));
          });
        }, `${what} at ${width}×${height}`);
      }
    }
  }
});

test("what is being turned on can be turned off before the agent has answered", options, async () => {
  agent.answer = peer.answer;
  const [held, release] = later();
  agent.holds["media-send"] = held;
  await visit("two");
  await until(() => asked("media-send").some((r) => r.own.microphone === "on"), "asked for");
  const pressed = () => page.locator("#control-microphone").getAttribute("aria-pressed");
  assert.equal(await pressed(), "true");
  await page.locator("#control-microphone").click();
  await until(async () => await pressed() === "false", "shown as off");
  release();
  await until(() => asked("media-send").filter((r) => "microphone" in r.own).at(-1).own.microphone === "muted", "told last");
  assert.equal(await pressed(), "false");
});

test("the look at the connections goes on when the connection with the agent was lost", options, async () => {
  await visit("five");
  await page.locator("#control-more").click();
  await page.locator(".menu button").nth(1).click();
  await until(() => asked("stats").length === 1, "asked for");
  agent.drop(1011);
  await until(() => asked("stats").length === 2 && asked("stats")[1].on, "asked for again");
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

test("many who knock are announced together", options, async () => {
  await visit("two");
  agent.send({ event: "changed", part: "knocks", value: Array.from({ length: 50 }, (_, i) => ({ id: String(i).padStart(64, "0"), name: `Caller ${i}`, contact: "stranger", at: Date.now() })) });
  await page.locator(".caller").first().waitFor();
  await page.waitForTimeout(100);
  assert.ok(await page.locator("#alerts p").count() <= 3);
  await said("50");
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

test("who is compared with and leaves is said to be gone", options, async () => {
  await visit("two");
  here("b");
  await page.keyboard.press("Alt+t");
  await page.locator(".pairs button").first().click();
  await page.locator("dialog.dialog-verify[open]").waitFor();
  here();
  await page.locator("dialog").getByText("no longer in the meeting").waitFor();
});

test("what is pressed while the connection is lost is said not to have been done", options, async () => {
  await visit("door");
  agent.away = true;
  agent.drop(1011);
  await page.locator(".bar.bad").waitFor();
  await page.locator(".door button").first().click();
  await page.locator(".door .failure").getByText("interrupted").waitFor();
  await page.locator("#control-hand").click();
  await page.locator(".notice").getByText("interrupted").waitFor();
  agent.away = false;
  await until(async () => await page.locator(".bar.bad").count() === 0, "connected again");
  assert.equal(asked("admit").length, 0);
});

test("a link isn't called complete for the answer about another", options, async () => {
  await visit("start");
  const [held, release] = later();
  agent.holds["link-check"] = held;
  await page.locator("#join-link").fill("huisclos:AAAA");
  await until(() => asked("link-check").length === 1, "asked about the first");
  await page.locator("#join-link").fill("huisclos:BBBB");
  [agent.holds["link-check"]] = later();
  release();
  await page.waitForTimeout(200);
  assert.equal(await page.getByText("This link is complete").count(), 0);
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

test("that one can't quit or go back is said", options, async () => {
  await visit("ended");
  agent.refuse = { done: { code: "timeout" }, quit: { code: "timeout" } };
  await page.getByRole("button", { name: "Back to the start" }).click();
  await page.locator(".ended .failure").waitFor();
  await page.locator(".ended .hint button").click();
  await page.locator("dialog footer button.danger").click();
  await page.locator("dialog .failure").waitFor();
});
