// Visits of the page in a real browser against the mock agent: what the tests of its behaviour begin with and wait by.

import assert from "node:assert/strict";
import { after, afterEach, before } from "node:test";
import { answerer, connected, open } from "./browser.mjs";
import { listen } from "./mock-agent.mjs";
import { member } from "./scenes.mjs";

/** What the tests of a file share; page is the one visited last, wrong what it complained of. */
export let browser, agent, peer, page, wrong;
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

/** visit opens the page in a scene; what comes before it does, as scripts, is run in it first. */
export async function visit(scene, language = "en", ...before) {
  agent.requests.length = agent.uploads.length = 0;
  agent.settings = { language, theme: "light" };
  wrong = [];
  page = await browser.context.newPage();
  page.on("pageerror", (e) => wrong.push(String(e)));
  page.on("console", (m) => m.type() === "error" && wrong.push(m.text()));
  for (const script of before) await page.addInitScript(script);
  await page.goto(`${agent.url}/#${scene}`);
  await page.waitForSelector(connected);
  return page;
}

export const asked = (what) => agent.requests.filter((r) => r.do === what);
export async function until(check, why) {
  for (const end = Date.now() + 30000; Date.now() < end;) {
    if (await check()) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  assert.fail(`in 30 s: ${why}`);
}
export const said = (text) => until(async () => (await page.locator("#news, #alerts, .live").allTextContents()).join(" ").includes(text), `announced: ${text}`);
export const options = { timeout: 120000 };

/** twice clicks as a person double-clicks: the second click is where the first was, whatever is there by then. */
export async function twice(locator) {
  const box = await locator.boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await page.mouse.click(x, y);
  await page.waitForTimeout(150);
  await page.mouse.down({ clickCount: 2 });
  await page.mouse.up({ clickCount: 2 });
  await page.waitForTimeout(150);
}

export const later = () => {
  let release = () => {};
  return [new Promise((done) => release = done), () => release()];
};
export const here = (...names) => agent.send({ event: "changed", part: "members", value: [member("a", "Me", { self: true, contact: "self" }), ...names.map((n) => member(n, `Member ${n}`))] });
