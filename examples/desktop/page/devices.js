// Cameras, microphones and speakers: which there are, which one the person chose, and trying them before a meeting.

import { h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { set, state, ui, update } from "./model.js";
import { button, choice, field, note } from "./parts.js";

/** @typedef {"microphone"|"camera"|"speaker"} DeviceKind */

/** @type {Record<DeviceKind, MediaDeviceKind>} */
const browserKinds = { microphone: "audioinput", camera: "videoinput", speaker: "audiooutput" };

/** @type {MediaDeviceInfo[]} */
let known = [];

/** What is tried before a meeting. */
export const trial = {
  /** @type {MediaStream|null} */
  stream: null,
  /** @type {""|"refused"|"none"|"taken"} why there is nothing to see or hear */
  problem: /** @type {any} */ (""),
  level: 0,
};

/** What the person wants to enter with. */
export const entering = { microphone: true, camera: true };

/** begin follows the devices that come and go. @param {() => void} changed */
export function watchDevices(changed) {
  navigator.mediaDevices?.addEventListener("devicechange", async () => {
    await listDevices();
    changed();
  });
  return listDevices();
}

/** listDevices reads which devices there are; their names are there once the person has allowed one. */
export async function listDevices() {
  try {
    known = await navigator.mediaDevices.enumerateDevices();
  } catch {
    known = [];
  }
  update();
}

/** @param {DeviceKind} kind @returns {MediaDeviceInfo[]} those that can be told apart */
export function devices(kind) {
  return known.filter((d) => d.kind === browserKinds[kind] && d.deviceId !== "" && d.deviceId !== "default" && d.deviceId !== "communications");
}

/**
 * chosen is the id of the device that was chosen, found again by its name if its id has changed; empty for the
 * browser's own choice.
 *
 * @param {DeviceKind} kind
 * @returns {string}
 */
export function chosen(kind) {
  const { id, label } = state().settings[kind];
  const all = devices(kind);
  if (id !== "" && all.some((d) => d.deviceId === id)) return id;
  return (label !== "" && all.find((d) => d.label === label)?.deviceId) || "";
}

/** @param {DeviceKind} kind @param {string} id */
export function choose(kind, id) {
  const label = devices(kind).find((d) => d.deviceId === id)?.label ?? "";
  return set({ [kind]: { id, label: label.slice(0, 200) } });
}

/** @returns {MediaTrackConstraints} */
export function microphoneWanted() {
  const id = chosen("microphone");
  const wanted = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
  return id === "" ? wanted : { ...wanted, deviceId: { exact: id } };
}

/** @returns {MediaTrackConstraints} */
export function cameraWanted() {
  const id = chosen("camera");
  const wanted = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } };
  return id === "" ? wanted : { ...wanted, deviceId: { exact: id } };
}

/** @param {unknown} error @returns {"refused"|"none"|"taken"} */
export function problemOf(error) {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") return "refused";
  if (name === "NotFoundError" || name === "OverconstrainedError") return "none";
  return "taken";
}

/** How often something was tried, or was enough: what the browser gives for an earlier time is let go at once. */
let trials = 0;

/** tryDevices opens camera and microphone for the person alone to see; nothing is sent anywhere. */
export async function tryDevices() {
  stopTrial();
  const mine = trials;
  try {
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: entering.microphone ? microphoneWanted() : false,
      video: entering.camera ? cameraWanted() : false,
    });
    if (mine !== trials) return letGo(stream);
    trial.stream = stream;
    trial.problem = "";
    measure(stream);
  } catch (error) {
    if (mine !== trials) return;
    trial.problem = problemOf(error);
  }
  await listDevices();
}

/** letGo has the lamp go out. @param {MediaStream} stream */
export function letGo(stream) {
  for (const track of stream.getTracks()) track.stop();
}

/** stopTrial lets go of camera and microphone. */
export function stopTrial() {
  trials++;
  if (trial.stream !== null) letGo(trial.stream);
  trial.stream = null;
  void meter?.context.close();
  meter = null;
  update();
}

/** @type {{context: AudioContext, timer: number}|null} */
let meter = null;

/** @param {MediaStream} stream shows how loud it is, ten times a second */
function measure(stream) {
  if (stream.getAudioTracks().length === 0) return;
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 1024;
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = window.setInterval(() => {
    if (trial.stream !== stream) return clearInterval(timer);
    analyser.getFloatTimeDomainData(samples);
    let sum = 0;
    for (const x of samples) sum += x * x;
    // From -60 dB, silence, to 0 dB.
    const db = 10 * Math.log10(sum / samples.length + 1e-9);
    trial.level = Math.max(0, Math.min(1, 1 + db / 60));
    const bar = document.getElementById("level");
    if (bar instanceof HTMLElement) bar.style.setProperty("--level", trial.level.toFixed(2));
  }, 100);
  meter = { context, timer };
}

/**
 * playTone plays a short tone on the chosen speaker.
 */
export async function playTone() {
  const context = new AudioContext();
  const speaker = chosen("speaker");
  if (speaker !== "" && "setSinkId" in context) {
    await /** @type {any} */ (context).setSinkId(speaker).catch(() => {});
  }
  const volume = context.createGain();
  volume.connect(context.destination);
  volume.gain.setValueAtTime(0, context.currentTime);
  [523, 659, 784].forEach((frequency, i) => {
    const tone = context.createOscillator();
    tone.frequency.value = frequency;
    tone.connect(volume);
    const at = context.currentTime + i * 0.25;
    volume.gain.linearRampToValueAtTime(0.15, at + 0.03);
    volume.gain.linearRampToValueAtTime(0.02, at + 0.22);
    tone.start(at);
    tone.stop(at + 0.24);
  });
  setTimeout(() => context.close(), 1500);
}

/** @returns {import("./dom.js").VNode} what the camera sees, with the switches for entering */
export function preview() {
  const { stream } = trial;
  const video = stream !== null && stream.getVideoTracks().length > 0;
  return h("section.preview", { "aria-labelledby": "preview-title" },
    h("h2", { id: "preview-title" }, t("preview.title")),
    h("div.mirror", null,
      video
        ? h("video.own", {
          key: "preview", own: true, autoplay: true, playsinline: true, "aria-label": t("preview.video"),
          created: (/** @type {HTMLVideoElement} */ v) => show(v, stream),
          updated: (/** @type {HTMLVideoElement} */ v) => show(v, stream),
        })
        : h("div.nothing", null, icon(entering.camera ? "camera" : "camera-off"),
          h("p", null, stream === null ? t("preview.off") : t("preview.no-camera"))),
      stream === null ? null : h("div.level-row", null,
        icon(entering.microphone ? "microphone" : "microphone-off"),
        h("div.level", { id: "level", role: "img", "aria-label": t("preview.level"), style: { "--level": "0" } }, h("span")))),
    trial.problem === "" ? null : note("warning", h("p", null, t(`device.${trial.problem}`))),
    h("div.row", null,
      stream === null
        ? button(t("preview.try"), () => void tryDevices(), { icon: "camera" })
        : button(t("preview.stop"), stopTrial, { icon: "close" })),
    h("fieldset.enter-with", null,
      h("legend", null, t("enter.with")),
      h("label.check", null, h("input", { type: "checkbox", checked: entering.microphone, on: { change: (/** @type {any} */ e) => enterWith("microphone", e.target.checked) } }), t("enter.microphone")),
      h("label.check", null, h("input", { type: "checkbox", checked: entering.camera, on: { change: (/** @type {any} */ e) => enterWith("camera", e.target.checked) } }), t("enter.camera"))),
    h("details.device-choice", null, h("summary", null, t("device.choose")), deviceFields("start", () => trial.stream !== null && void tryDevices())));
}

/** @param {"microphone"|"camera"} source @param {boolean} on */
function enterWith(source, on) {
  entering[source] = on;
  if (trial.stream !== null && (entering.microphone || entering.camera)) void tryDevices();
  else if (trial.stream !== null) stopTrial();
  update();
}

/** @param {HTMLVideoElement} video @param {MediaStream|null} stream */
export function show(video, stream) {
  video.muted = true;
  if (video.srcObject !== stream) {
    video.srcObject = stream;
    void video.play().catch(() => {});
  }
}

/**
 * deviceFields lets the person choose the three devices.
 *
 * @param {string} place where they stand, for their ids
 * @param {(kind: DeviceKind) => void} changed
 * @returns {import("./dom.js").VNode}
 */
export function deviceFields(place, changed) {
  /** @type {DeviceKind[]} */
  const kinds = ["microphone", "camera", "speaker"];
  return h("div.devices", null,
    kinds.map((kind) => {
      const all = devices(kind);
      // A browser that can't choose the speaker plays where the system says.
      const fixed = kind === "speaker" && !("setSinkId" in HTMLMediaElement.prototype);
      /** @type {[string, string][]} */
      const options = [["", t("device.default")], ...all.map((d, i) => /** @type {[string, string]} */ ([d.deviceId, d.label || `${t(`device.${kind}`)} ${i + 1}`]))];
      return field(`${place}-${kind}`, t(`device.${kind}`),
        choice(chosen(kind), options, (id) => choose(kind, id).then(() => changed(kind)), { disabled: fixed }),
        { hint: fixed ? t("device.speaker-fixed") : all.length === 0 && known.length > 0 && kind !== "speaker" ? t("device.unnamed") : null });
    }),
    h("div.row", null, button(t("device.tone"), () => void playTone(), { icon: "speaker" })));
}

/** @returns {boolean} whether the dialog of the settings shows the devices */
export function devicesShown() {
  return ui.dialog === "settings" && ui.subject === "devices";
}
