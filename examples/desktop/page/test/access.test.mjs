// Keyboard, names that attack, print, double clicks, small and enlarged pages.

import assert from "node:assert/strict";
import { test } from "node:test";
import { id } from "./scenes.mjs";
import { agent, asked, here, options, page, twice, until, visit, wrong } from "./visit.mjs";

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

/** Where the focus is: an element's id, or what it says. */
const focused = () => page.evaluate(() => document.activeElement === document.body ? "nowhere" : document.activeElement?.id || document.activeElement?.textContent?.trim());

test("the focus stays near what was pressed when that goes away, on nothing that a second Enter would press", options, async () => {
  await visit("door");
  const enter = async (button) => {
    await button.focus();
    await page.keyboard.press("Enter");
  };
  await enter(page.locator(".door .caller").first().getByRole("button", { name: "Let in" }));
  await until(async () => await page.locator(".door .caller").count() === 2, "in");
  await until(async () => await focused() === "door-title", "on the heading of the door");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  assert.match(await focused(), /Let in/, "Tab goes on from there");
  await enter(page.locator(".door .caller").first().getByRole("button", { name: "Refuse" }));
  await until(async () => await focused() === "door-title", "refused");
  await enter(page.locator(".door .caller").first().getByRole("button", { name: "Let in" }));
  await until(async () => await page.locator(".door").count() === 0, "nobody is left");
  await until(() => page.evaluate(() => document.activeElement?.matches("section.stage")), "on what is there");
  assert.equal(asked("admit").length, 2);

  // Somebody who gives up knocking takes nobody's focus away.
  await page.locator("#control-hand").focus();
  agent.send({ event: "changed", part: "knocks", value: [{ id: id("7"), name: "Sofia", contact: "stranger", at: Date.now() }] });
  await page.locator(".caller").waitFor();
  agent.send({ event: "changed", part: "knocks", value: [] });
  await page.locator(".caller").waitFor({ state: "detached" });
  assert.equal(await focused(), "control-hand");
});

test("what is closed or deleted by keyboard leaves the focus beside it", options, async () => {
  await visit("kept");
  await page.locator("#control-more").click();
  await page.locator(".menu button").nth(4).click();
  await page.locator(".sections button").nth(2).click();
  const gone = page.locator(".people .member").nth(0).getByRole("button").last();
  await gone.focus();
  await page.keyboard.press("Enter");
  await until(() => page.evaluate(() => document.activeElement?.textContent === "Cancel"), "the question's safe button");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await until(() => asked("contact-delete").length === 1, "deleted");
  agent.send({ event: "changed", part: "contacts", value: [] });
  await until(async () => await page.locator(".people .member").count() === 0, "gone");
  await until(() => page.evaluate(() => document.activeElement !== document.body && document.activeElement?.closest("dialog") !== null), "in the dialog");
});

test("what goes in the same drawing as the question about it leaves the focus in the dialog under it", options, async () => {
  await visit("kept");
  await page.locator("#control-more").click();
  await page.locator(".menu button").nth(4).click();
  await page.locator(".sections button").nth(2).click();
  await page.locator(".people .member").nth(0).getByRole("button").last().focus();
  await page.keyboard.press("Enter");
  await until(() => page.evaluate(() => document.activeElement?.textContent === "Cancel"), "the question's safe button");
  await page.evaluate(async () => {
    const { state, ui, update } = await import("/model.js");
    ui.question = null;
    state().contacts.length = 0;
    update();
  });
  await until(async () => await page.locator(".people .member, dialog.dialog-question").count() === 0, "gone");
  await until(() => page.evaluate(() => document.activeElement?.closest("dialog.dialog-settings") !== null), "in the dialog");
});

test("a button that appears beside the one that has the focus doesn't take it", options, async () => {
  await visit("two");
  here();
  await page.locator("#control-leave").click();
  const end = page.locator("dialog[open] footer button", { hasText: "End for everybody" });
  await until(async () => await page.locator("dialog[open] footer button").count() === 2, "alone there is nobody to end it for");
  await page.locator("dialog[open] footer button").last().focus();
  const focused = () => page.evaluate(() => document.activeElement?.textContent);
  const leave = await focused();
  here("b");
  await until(async () => await end.count() === 1, "it can be ended for both");
  assert.equal(await focused(), leave);
  await page.keyboard.press("Enter");
  await until(() => asked("leave").length === 1, "left");
  assert.equal(asked("end").length, 0);
});

test("in a crowd that doesn't fit, everybody can be scrolled to", options, async () => {
  await visit("crowd");
  for (const [width, height] of [[360, 640], [1280, 800], [900, 400]]) {
    await page.setViewportSize({ width, height });
    for (const end of ["first", "last"]) {
      await until(() => page.evaluate((end) => {
        const grid = document.getElementById("grid");
        grid.scrollTop = end === "first" ? 0 : grid.scrollHeight;
        const [tile, frame] = [[...grid.querySelectorAll(".tile")].at(end === "first" ? 0 : -1), grid].map((e) => e.getBoundingClientRect());
        return tile.top >= frame.top - 1 && tile.bottom <= frame.bottom + 1;
      }, end), `the ${end} at ${width}×${height}`);
    }
  }
});
