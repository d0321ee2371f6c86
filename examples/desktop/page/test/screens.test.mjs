// Every screen in a real browser: axe-core finds nothing, nothing runs over the edge, the strict policy was never
// broken, and no error was thrown. SHOTS=folder keeps the pictures; LOOKS=all takes each in all eight ways, LOOKS=fr-dark-3840
// in one.

import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { answerer, connected, open } from "./browser.mjs";
import { listen } from "./mock-agent.mjs";
import { tour } from "./tour.mjs";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const shots = process.env.SHOTS ?? "";
const only = process.env.ONLY ?? "";
const every = ["fr", "en"].flatMap((language) => ["light", "dark"].flatMap((theme) => [1280, 360].map((width) => `${language}-${theme}-${width}`)));
const wanted = process.env.LOOKS === "all" ? every : (process.env.LOOKS ?? "fr-light-1280,en-dark-360").split(",");
const looks = wanted.map((x) => x.split("-")).map(([language, theme, width]) => ({ language, theme, width: Number(width) }));

let browser, agent, peer;
before(async () => {
  browser = await open();
  peer = await answerer(browser.context);
  agent = await listen(0);
  if (shots !== "") await mkdir(shots, { recursive: true });
});
after(async () => {
  await agent.close();
  await browser.close();
});

for (const look of looks) {
  for (const stop of tour) {
    const name = `${stop.name}-${look.language}-${look.theme}-${look.width}`;
    if (only !== "" && !new RegExp(only).test(name)) continue;
    test(name, { timeout: 120000 }, async () => {
      agent.settings = { language: look.language, theme: look.theme };
      agent.answer = stop.media ? peer.answer : null;
      const page = await browser.context.newPage();
      const wrong = [];
      page.on("pageerror", (e) => wrong.push(String(e)));
      page.on("console", (m) => m.type() === "error" && wrong.push(m.text()));
      await page.setViewportSize({ width: look.width, height: look.width < 500 ? 760 : look.width > 2000 ? 2160 : 800 });
      await page.emulateMedia({ reducedMotion: "reduce" });
      await page.goto(`${agent.url}/#${stop.scene}`);
      await page.waitForSelector(connected);
      await page.waitForTimeout(stop.media ? 1200 : 150);
      await stop.go?.(page);
      await page.waitForTimeout(100);
      if (shots !== "") await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
      // Through the debugger: the page's own policy lets no script in.
      const session = await browser.context.newCDPSession(page);
      await session.send("Runtime.evaluate", { expression: axe });
      const found = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }).then((r) => r.violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.html.slice(0, 200)} ${n.failureSummary?.slice(0, 300)}`).join(" | ")}`)));
      const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      await page.close();
      assert.deepEqual(found, []);
      assert.ok(over <= 0, `${over} pixels wider than the window`);
      assert.deepEqual(wrong, []);
    });
  }
}
