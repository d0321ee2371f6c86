// Messages and files.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { id, member } from "./scenes.mjs";
import { agent, asked, here, later, options, page, said, until, visit } from "./visit.mjs";

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

test("what appears above the field that is written in, or goes, leaves the focus there", options, async () => {
  await visit("two");
  await page.keyboard.press("Alt+c");
  await page.locator("#chat-text").fill("In confi");
  const hints = page.locator(".write .hint");
  for (const [index, n] of [[1, 2], [0, 1]]) {
    await page.evaluate((index) => { // as with the mouse, and before it is drawn back in the field
      const to = document.getElementById("chat-to");
      to.selectedIndex = index;
      to.dispatchEvent(new Event("change"));
    }, index);
    await until(async () => await hints.count() === n, `${n} hints`);
    assert.equal(await page.evaluate(() => document.activeElement?.id), "chat-text");
  }
  assert.equal(await page.locator("#chat-text").inputValue(), "In confi");
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
  await page.locator("form.write").getByText("no longer in the meeting").waitFor({ state: "detached" });
  assert.equal(await page.locator("#chat-to").inputValue(), id("b"), "still for them");
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

test("a file that can't be read is told to the agent; that its offer failed is said", options, async () => {
  await visit("two");
  await page.locator("#control-files").click();
  const folder = await mkdtemp(join(tmpdir(), "page-test-"));
  const path = join(folder, "Notes.pdf");
  await writeFile(path, "a".repeat(1000));
  const [held, release] = later();
  agent.holds["file-offer"] = held;
  await page.locator("#file-pick").setInputFiles(path);
  await until(() => asked("file-offer").length === 1, "offered");
  await rm(folder, { recursive: true }); // its drive was taken out
  release();
  await until(() => agent.uploads.length === 1, "told");
  assert.deepEqual(agent.uploads, [{ path: "/upload/own", bytes: 0 }]);
  const own = (more) => agent.send({ event: "changed", part: "files", value: [{ id: "own", from: id("a"), name: "Notes.pdf", size: 1000, type: "", self: true, time: Date.now(), done: 0, state: "reading", copies: [], ...more }] });
  own({});
  await page.locator("#panel .file").getByText("Reading the file").waitFor();
  own({ state: "failed", error: { code: "upload-lost" } });
  await page.locator("#panel .file .failure").getByText("could not be read").waitFor();
  await page.locator(".notice.bad").getByText(/was not offered\. The file could not be read.* Choose it again\./).waitFor();
  await said("could not be read");
});

test("own messages aren't unread; the others' are, however many there were before", options, async () => {
  await visit("two");
  const say = (n, self) => ({ id: `m${n}`, from: id(self ? "a" : "b"), name: "P", time: Date.now(), text: "…", self });
  const chat = Array.from({ length: 500 }, (_, n) => say(n, false));
  agent.send({ event: "changed", part: "chat", value: chat });
  const count = async () => (await page.locator("#control-chat .count").allTextContents()).join();
  await until(async () => (await count()).startsWith("99+"), "many are unread");
  await page.keyboard.press("Alt+c");
  await page.locator("#chat-text").waitFor();
  await page.keyboard.press("Alt+c");
  await page.locator("#chat-text").waitFor({ state: "detached" });
  assert.equal(await count(), "", "all are read");
  agent.send({ event: "changed", part: "chat", value: [...chat.slice(2), say(500, false), say(501, true)] }); // the oldest are dropped
  await until(async () => (await count()).startsWith("1 "), "one is unread");
});

test("files that came are saved after the meeting, and aren't deleted without a question", options, async () => {
  await visit("ended-files");
  await page.getByText("1 file among your downloads").waitFor();
  await page.getByRole("button", { name: "Back to the start" }).click();
  await page.locator("dialog.dialog-unsaved-files[open]").waitFor();
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.locator("dialog").waitFor({ state: "detached" });
  assert.equal(asked("files-discard").length, 0);
  await page.locator(".received .file").first().getByRole("button", { name: "Save on the computer" }).click();
  await until(() => asked("file-save").length === 1, "saved");
  await until(async () => await page.locator(".received").getByText("Handed to your browser").count() === 2, "and said so");
  await page.getByRole("button", { name: "Back to the start" }).click();
  await page.locator(".start").waitFor();
  await page.close();

  await visit("ended-files");
  await page.getByRole("button", { name: "Back to the start" }).click();
  await page.getByRole("button", { name: "Discard and go on" }).click();
  await page.locator(".start").waitFor();
  assert.deepEqual(agent.requests.map((r) => r.do).filter((d) => d !== "settings-set"), ["done", "files-discard", "done"], "deleted, since it was said");
});
