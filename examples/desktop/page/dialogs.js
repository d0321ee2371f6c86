// Which dialog is open. There is one at a time, and over it what is asked before something is lost; being asked to be
// recorded comes before all others.

import { questionDialog } from "./confirm.js";
import { exposureDialog } from "./exposure.js";
import { attendanceDialog, quitDialog, unsavedFilesDialog } from "./ended.js";
import { helpDialog } from "./help.js";
import { inviteDialog } from "./invite.js";
import { leaveDialog, moreDialog } from "./controls.js";
import { lookDialog } from "./look.js";
import { state, ui } from "./model.js";
import { promoteDialog, removeDialog } from "./people.js";
import { consentDialog, recordingDialog, unsavedDialog } from "./recording.js";
import { settingsDialog } from "./settings.js";
import { eraseDialog, historyDialog } from "./store.js";
import { differDialog, verifyDialog } from "./words.js";

/** @type {Record<string, () => import("./dom.js").VNode>} */
const all = {
  attendance: attendanceDialog,
  differ: differDialog,
  erase: eraseDialog,
  exposure: exposureDialog,
  help: helpDialog,
  history: historyDialog,
  invite: inviteDialog,
  leave: leaveDialog,
  look: lookDialog,
  more: moreDialog,
  promote: promoteDialog,
  quit: quitDialog,
  recording: recordingDialog,
  remove: removeDialog,
  settings: settingsDialog,
  unsaved: unsavedDialog,
  "unsaved-files": unsavedFilesDialog,
  verify: verifyDialog,
};

/** What was open when the question came: it stays under it, with what is written in it. */
let under = "";

/** @returns {boolean} whether the person is asked to agree to a recording */
export function consentWanted() {
  const { recording, phase } = state();
  return phase.name === "meeting" && recording.mine === "asked" && recording.state === "asking";
}

/** @returns {(import("./dom.js").VNode|null)[]} */
export function dialogs() {
  const wanted = consentWanted();
  if (!wanted) under = ui.dialog;
  return [ui.dialog === under ? all[ui.dialog]?.() ?? null : null, questionDialog(), wanted ? consentDialog() : null];
}
