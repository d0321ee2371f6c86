// What the page does from its opening to the end of the meeting: inviting, knocking, being lost and found, leaving.

import assert from "node:assert/strict";
import { test } from "node:test";
import { id, start } from "./scenes.mjs";
import { agent, asked, browser, later, options, page, said, until, visit, wrong } from "./visit.mjs";

test("the token leaves the address", options, async () => {
  await visit("start");
  await until(() => page.url() === `${agent.url}/`, "address without token");
});

test("what the network took away while the page loaded is fetched again", options, async () => {
  for (const lost of ["grid.js", "screens.css", "session"]) {
    let taken = 0;
    const page = await browser.context.newPage();
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
  const page = await browser.context.newPage();
  await page.goto(`${agent.url}/#nothing-of-ours`);
  await page.getByRole("heading", { name: /Ouvrez Huis clos|Open Huis clos/ }).waitFor();
  await page.close();
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

test("that one can't quit or go back is said", options, async () => {
  await visit("ended");
  agent.refuse = { done: { code: "timeout" }, quit: { code: "timeout" } };
  await page.getByRole("button", { name: "Back to the start" }).click();
  await page.locator(".ended .failure").waitFor();
  await page.locator(".ended .hint button").click();
  await page.locator("dialog footer button.danger").click();
  await page.locator("dialog .failure").waitFor();
});

test("who waits for a program that is gone is told when the meeting no longer waits", options, async () => {
  await visit("two");
  agent.send({ event: "changed", part: "app", value: { ...start().app, graceSeconds: 2 } });
  agent.send({ event: "chatted", message: { id: "x", from: id("b"), name: "P", time: Date.now(), text: "…", self: false } });
  await page.locator("#control-chat .count").waitFor();
  agent.away = true;
  agent.drop(1011);
  await page.locator(".bar.bad").getByText("for 2 seconds").waitFor();
  await page.locator(".bar.bad").getByText("start Huis clos again").waitFor();
  await said("still does not answer");
  agent.away = false;
  await until(async () => await page.locator(".bar.bad").count() === 0, "connected again");
});
