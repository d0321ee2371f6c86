// A tour of every screen: how to get there from a scene. The tests look at each with axe-core and take its picture.

const press = (name) => async (page) => {
  await page.locator(name).first().click();
  await page.waitForTimeout(150);
};
const settings = (section) => async (page) => {
  await page.locator(".top nav button").nth(1).click();
  await page.locator(".sections button").nth(section).click();
  await page.waitForTimeout(100);
};
const more = (at) => async (page) => {
  await page.locator("#control-more").click();
  await page.locator(".menu button").nth(at).click();
  await page.waitForTimeout(250);
};
const panel = (name) => press(`#control-${name}`);
const all = (...steps) => async (page) => {
  for (const step of steps) await step(page);
};

const down = (page) => page.locator(".dialog > .body").evaluate((b) => b.scrollTo(0, b.scrollHeight));

/** @type {{name: string, scene: string, go?: (page: any) => Promise<void>, media?: boolean}[]} */
export const tour = [
  { name: "start", scene: "start" },
  { name: "start-preview", scene: "start", go: all(press(".preview .row button"), (p) => p.waitForTimeout(900)) },
  { name: "start-failed", scene: "start-failed" },
  { name: "start-name-missing", scene: "start", go: press(".action button.primary") },
  { name: "start-locked", scene: "locked" },
  { name: "creating", scene: "creating" },
  { name: "joining", scene: "joining" },
  { name: "start-neither", scene: "start-neither" },
  { name: "replying", scene: "replying" },
  { name: "replying-again", scene: "replying-again" },
  { name: "waiting", scene: "waiting" },
  { name: "invite-relay", scene: "invite-relay", go: all(press(".meeting-bar button[aria-haspopup]"), press(".reveals summary"), down) },
  { name: "invite-others", scene: "invite-others", go: all(press(".meeting-bar button[aria-haspopup]"), press(".reveals summary"), down) },
  { name: "invite-found", scene: "invite-found", go: all(press(".meeting-bar button[aria-haspopup]"), press(".dialog details:nth-of-type(2) summary"), down) },
  { name: "invite-reply", scene: "two", go: all(press(".meeting-bar button[aria-haspopup]"), press(".dialog details:last-of-type summary"), down) },
  { name: "lonely", scene: "lonely", media: true },
  { name: "invite-everywhere", scene: "two", go: press(".meeting-bar button[aria-haspopup]") },
  { name: "invite-network", scene: "invite-network", go: press(".meeting-bar button[aria-haspopup]") },
  { name: "invite-dead", scene: "invite-dead", go: press(".meeting-bar button[aria-haspopup]") },
  { name: "meeting-two", scene: "two", media: true },
  { name: "meeting-five", scene: "five", media: true },
  { name: "meeting-speaker", scene: "five", media: true, go: press(".meeting-bar .icon-button") },
  { name: "meeting-sharing", scene: "sharing", media: true },
  { name: "meeting-crowd", scene: "crowd", media: true },
  { name: "meeting-viewer", scene: "viewer", media: true, go: panel("chat") },
  { name: "door", scene: "door", media: true },
  { name: "chat", scene: "five", media: true, go: panel("chat") },
  { name: "people", scene: "five", media: true, go: all(panel("people"), press(".panel .member:nth-child(3) summary")) },
  { name: "policy", scene: "two", go: all(panel("people"), press(".policy summary")) },
  { name: "remove", scene: "five", go: all(panel("people"), press(".panel .member:nth-child(2) summary"), press(".panel .member:nth-child(2) button.danger")) },
  { name: "files", scene: "five", media: true, go: panel("files") },
  { name: "words", scene: "five", media: true, go: press(".padlock") },
  { name: "words-waiting", scene: "no-words", go: press(".padlock") },
  { name: "verify", scene: "comparing", go: press(".notice button.quiet") },
  { name: "differ", scene: "five", go: all(press(".padlock"), press(".panel .row button:nth-child(2)")) },
  { name: "more", scene: "five", go: panel("more") },
  { name: "leave", scene: "two", go: panel("leave") },
  { name: "warnings", scene: "warnings", media: true, go: press(".warning summary") },
  { name: "recording-ask", scene: "two", go: more(0) },
  { name: "recording-consent", scene: "consent" },
  { name: "recording-runs", scene: "recording", media: true },
  { name: "recording-ready", scene: "recorded", go: more(0) },
  { name: "recording-refused", scene: "refusing", go: panel("files") },
  { name: "recording-unconsented", scene: "unconsented", go: press(".warning summary") },
  { name: "recording-unsaved", scene: "ended-recorded", go: press(".ended .row button.primary:last-child, .ended > .card > .row button.primary") },
  { name: "look", scene: "five", go: more(1) },
  { name: "exposure", scene: "five", go: more(2) },
  { name: "exposure-recorded", scene: "five", go: all(more(2), (p) => p.locator(".exposure-table tbody tr:last-child").scrollIntoViewIfNeeded()) },
  { name: "exposure-questions", scene: "kept", go: all(more(2), down) },
  { name: "attendance", scene: "five", go: more(3) },
  { name: "settings-you", scene: "start", go: settings(0) },
  { name: "settings-devices", scene: "start", go: settings(1) },
  { name: "settings-contacts-none", scene: "start", go: settings(2) },
  { name: "settings-contacts", scene: "kept", go: all(more(4), press(".sections li:nth-child(3) button")) },
  { name: "settings-kept-none", scene: "start", go: settings(3) },
  { name: "settings-kept", scene: "kept", go: all(more(4), press(".sections li:nth-child(4) button")) },
  { name: "settings-network", scene: "start", go: settings(4) },
  { name: "settings-network-relays", scene: "relays", go: settings(4) },
  { name: "settings-network-hidden", scene: "relays", go: all(settings(4), down) },
  { name: "settings-network-directory", scene: "directory", go: all(more(4), press(".sections li:nth-child(5) button"), down) },
  { name: "history", scene: "kept", go: all(more(4), press(".sections li:nth-child(4) button"), press(".section .member button")) },
  { name: "history-cut", scene: "kept", go: all(more(4), press(".sections li:nth-child(4) button"), press(".section .member:nth-child(2) button")) },
  { name: "history-attendance", scene: "kept", go: all(more(4), press(".sections li:nth-child(4) button"), press(".section .member button"), press(".dialog-history footer button")) },
  { name: "history-delete", scene: "kept", go: all(more(4), press(".sections li:nth-child(4) button"), press(".section .member .row button:last-child")) },
  { name: "forget", scene: "kept", go: all(more(4), press(".sections li:nth-child(3) button"), press(".people .member .row button:last-child")) },
  { name: "restore", scene: "kept", go: all(more(4), press(".sections li:nth-child(4) button"), press("details summary"), (p) => p.locator("#restore-file").setInputFiles({ name: "x.age", mimeType: "", buffer: Buffer.from("x") }), press("details[open] form button")) },
  { name: "erase", scene: "locked", go: press(".unlock button.quiet") },
  { name: "help", scene: "start", go: press(".top nav button:nth-child(3)") },
  { name: "ended", scene: "ended" },
  { name: "ended-files", scene: "ended-files" },
  { name: "unsaved-files", scene: "ended-files", go: press(".ended .row.center button.primary") },
  { name: "ended-kept", scene: "ended-kept" },
  { name: "ended-removed", scene: "removed" },
  { name: "quit", scene: "ended", go: press(".hint button.quiet") },
  { name: "hostile", scene: "hostile", media: true },
  { name: "hostile-chat", scene: "hostile", go: panel("chat") },
  { name: "hostile-people", scene: "hostile", go: all(panel("people"), press(".panel .member:nth-child(4) summary")) },
  { name: "hostile-files", scene: "hostile", go: panel("files") },
];
