// Picture and sound between the page and its agent: the one RTCPeerConnection, always offered from here. What this
// person sends has a sendonly transceiver for each source that was used; all that is received comes on a pool of
// recvonly ones, and the state's tracks say by mid what is on which.

import { t } from "./i18n.js";
import { announce, ask, conn, fail, failureOf, notice, state, ui, update } from "./model.js";
import { cameraWanted, chosen, entering, letGo, listDevices, microphoneWanted, problemOf, stopTrial } from "./devices.js";

/** @typedef {"microphone"|"camera"|"screen"|"screenAudio"} Source */

/** @type {Source[]} */
const sources = ["microphone", "camera", "screen", "screenAudio"];
/** @type {Record<Source, "audio"|"video">} */
const kinds = { microphone: "audio", camera: "video", screen: "video", screenAudio: "audio" };

/** @typedef {{track: MediaStreamTrack|null, transceiver: RTCRtpTransceiver|null, encoder: import("./protocol.js").EncoderEvent|null}} Sending */

/** @type {Record<Source, Sending>} */
const sending = {
  microphone: { track: null, transceiver: null, encoder: null },
  camera: { track: null, transceiver: null, encoder: null },
  screen: { track: null, transceiver: null, encoder: null },
  screenAudio: { track: null, transceiver: null, encoder: null },
};

/**
 * How often each source was asked of the browser, or let go: what comes later than that is let go at once. The browser may
 * ask the person first, who may have left, entered another meeting, or turned it off by the time they answer.
 *
 * @type {Record<Source, number>}
 */
const turns = { microphone: 0, camera: 0, screen: 0, screenAudio: 0 };

/** What the views show of it. */
export const media = {
  /** @type {Record<Source, boolean>} what is being sent now, as the person wants it */
  on: { microphone: false, camera: false, screen: false, screenAudio: false },
  /** The browser wants a click before it plays sound. */
  blocked: false,
  /** Nothing can be sent or received: the connection with the agent failed. */
  failed: false,
};

/** @type {RTCPeerConnection|null} */
let pc = null;
const pool = { audio: 4, video: 4 };
/** Negotiations run one after another. @type {Promise<void>} */
let queue = Promise.resolve();
let inMeeting = false;
/** Which meeting it is that one is in: how often one entered. */
let entered = 0;
let attempts = 0;

/**
 * enter begins: a new connection, and what the person wants to enter with. After a reload it is what was on before.
 *
 * @param {boolean} again the meeting was under way already
 */
export async function enter(again) {
  if (inMeeting) return;
  inMeeting = true;
  const mine = ++entered;
  attempts = 0;
  watched = ""; // another page may have told the agent something else meanwhile
  stopTrial();
  const own = state().media.own;
  const want = again
    ? { microphone: own["microphone"] === "on", camera: own["camera"] === "on" }
    : { ...entering };
  if (again && own["screen"] === "on") await ask("media-send", { own: { screen: "off", screenAudio: "off" } });
  await negotiate(true);
  for (const source of /** @type {("microphone"|"camera")[]} */ (["microphone", "camera"])) {
    if (!inMeeting || mine !== entered) return;
    if (want[source] && maySend(source)) await setSource(source, true);
  }
}

/** leave lets go of everything: no lamp of a camera stays lit. */
export function leave() {
  inMeeting = false;
  for (const source of sources) {
    stopTrack(source);
    ui.busy.delete(source);
    sending[source].transceiver = null;
    sending[source].encoder = null;
  }
  pc?.close();
  pc = null;
  queue = Promise.resolve(); // what waits for a connection that was closed may wait for ever
  media.failed = false;
  for (const sound of sounds.values()) sound.remove();
  sounds.clear();
  streams.clear();
}

/** resume follows after the connection with the agent was lost: what it knows may be older than what we do. */
export async function resume() {
  if (!inMeeting) return enter(true); // it took so long that everything was let go
  watched = "";
  await negotiate(pc === null || state().media.connection !== "connected"); // what was offered last may be lost
  /** @type {Record<string, string>} */
  const own = {};
  for (const source of sources) if (sending[source].transceiver !== null) own[source] = word(source);
  if (Object.keys(own).length > 0) await ask("media-send", { own });
}

/** @param {Source} source @returns {string} */
function word(source) {
  if (media.on[source]) return "on";
  return source === "microphone" && sending.microphone.transceiver !== null ? "muted" : "off";
}

/** @param {Source} source @returns {boolean} */
export function maySend(source) {
  const right = source === "microphone" ? "audio" : source === "camera" ? "video" : "screen";
  return state().meeting?.can.send.includes(right) === true;
}

/**
 * negotiate offers what there is, once what is under way is done.
 *
 * @param {boolean} restart with a new connection
 * @returns {Promise<void>}
 */
function negotiate(restart) {
  queue = queue.then(() => offer(restart)).catch(async (error) => {
    const failure = failureOf(error);
    if (!inMeeting || failure.code === "canceled") return;
    attempts++;
    if (attempts <= 4) {
      await new Promise((done) => setTimeout(done, 300 * attempts));
      void negotiate(true);
      return;
    }
    media.failed = true;
    fail(failure);
    update();
  });
  return queue;
}

/** @param {boolean} restart */
async function offer(restart) {
  if (!inMeeting) return;
  if (restart || pc === null) build();
  const c = /** @type {RTCPeerConnection} */ (/** @type {unknown} */ (pc));
  await c.setLocalDescription();
  await gathered(c, 2000);
  if (c !== pc) return;
  /** @type {Record<string, string>} */
  const named = {};
  for (const source of sources) {
    const mid = sending[source].transceiver?.mid;
    if (mid) named[mid] = source;
  }
  const { sdp } = await conn().request("media-offer", { sdp: c.localDescription?.sdp ?? "", sources: named, restart });
  if (c !== pc) return;
  await c.setRemoteDescription({ type: "answer", sdp });
  attempts = 0;
  media.failed = false;
  for (const source of sources) await applyEncoder(source);
  update();
}

/** build makes a new connection with what was used before. */
function build() {
  pc?.close();
  const c = new RTCPeerConnection({ iceServers: [], bundlePolicy: "max-bundle" });
  pc = c;
  for (const source of sources) {
    const s = sending[source];
    if (s.transceiver === null) continue;
    s.transceiver = c.addTransceiver(kinds[source], { direction: "sendonly", sendEncodings: layers(source) });
    if (media.on[source]) void s.transceiver.sender.replaceTrack(s.track);
  }
  for (let i = 0; i < pool.audio; i++) c.addTransceiver("audio", { direction: "recvonly" });
  for (let i = 0; i < pool.video; i++) c.addTransceiver("video", { direction: "recvonly" });
  c.onconnectionstatechange = () => {
    if (c !== pc) return;
    if (c.connectionState === "failed") void negotiate(true);
    update();
  };
  streams.clear();
}

/**
 * layers says how a source is encoded: a camera in sizes, of which each member is sent the one their link carries. The
 * agent knows them by these names, the smallest first. What the browser doesn't know of it, it leaves out.
 *
 * @param {Source} source
 * @returns {RTCRtpEncodingParameters[]}
 */
function layers(source) {
  const height = sending[source].track?.getSettings().height ?? 0;
  if (source !== "camera" || height < 360) return [];
  const full = { rid: "f", scaleResolutionDownBy: 1, maxBitrate: 1_700_000 };
  const half = { rid: "h", scaleResolutionDownBy: 2, maxBitrate: 500_000 };
  if (height < 720) return [half, full];
  return [{ rid: "q", scaleResolutionDownBy: 4, maxBitrate: 150_000 }, half, full];
}

/** @param {RTCPeerConnection} c @param {number} most milliseconds */
function gathered(c, most) {
  if (c.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((done) => {
    const timer = setTimeout(done, most);
    c.addEventListener("icegatheringstatechange", () => {
      if (c.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      done(undefined);
    });
  });
}

/** @param {number} audio @param {number} video the agent wants so many more to receive on */
export function grow(audio, video) {
  const most = 128;
  pool.audio = Math.min(most, pool.audio + audio);
  pool.video = Math.min(most, pool.video + video);
  for (let i = 0; i < audio && pc !== null; i++) pc.addTransceiver("audio", { direction: "recvonly" });
  for (let i = 0; i < video && pc !== null; i++) pc.addTransceiver("video", { direction: "recvonly" });
  void negotiate(false);
}

/**
 * setSource sends a source, or stops sending it. Stopping happens here first, whatever the agent says: what is muted
 * leaves this page no more.
 *
 * @param {Source} source
 * @param {boolean} on
 */
export async function setSource(source, on) {
  if (on === media.on[source] || on && ui.busy.has(source)) return;
  if (!on) {
    media.on[source] = false;
    const { transceiver, track } = sending[source];
    // The microphone stays open, but silent, so that speaking again doesn't wait for it; a camera's lamp goes out.
    if (source === "microphone" && track !== null) track.enabled = false;
    else stopTrack(source);
    await transceiver?.sender.replaceTrack(null);
    update();
    await ask("media-send", { own: { [source]: word(source) } });
    if (source === "screen" && media.on.screenAudio) await setSource("screenAudio", false);
    return;
  }
  ui.busy.add(source);
  update();
  try {
    await open(source);
  } finally {
    ui.busy.delete(source);
    update();
  }
}

/** followRights turns off what this person may no longer send. That they may again turns nothing on: they do. */
export function followRights() {
  for (const source of /** @type {("microphone"|"camera"|"screen")[]} */ (["microphone", "camera", "screen"])) {
    if (!media.on[source] || maySend(source)) continue;
    notice(t(`right-lost.${source}`), { bad: true });
    void setSource(source, false);
  }
}

/** @param {Source} source */
async function open(source) {
  if (!inMeeting) return;
  const s = sending[source];
  try {
    if ((s.track === null || s.track.readyState === "ended") && !await capture(source)) return;
  } catch (error) {
    // Whoever closes the browser's choice of screens knows that they did.
    if (source !== "screen") notice(t(`device.${problemOf(error)}`), { bad: true });
    // It was on in the tab that had the meeting before: the others learn that it is off.
    if (state().media.own[source] === "on" && !closing) await ask("media-send", { own: { [source]: word(source) } });
    return;
  }
  if (s.track === null || !maySend(source)) { // the right may be gone since
    if (source === "screen") stopTrack("screenAudio");
    return stopTrack(source);
  }
  await send(source);
  if (source !== "screen" || sending.screenAudio.track === null) return;
  if (media.on.screen) await send("screenAudio");
  else stopTrack("screenAudio");
}

/** @param {Source} source captured already */
async function send(source) {
  const s = sending[source];
  if (s.track === null) return;
  s.track.enabled = true;
  media.on[source] = true;
  if (s.transceiver === null && pc !== null) {
    s.transceiver = pc.addTransceiver(s.track, { direction: "sendonly", sendEncodings: layers(source) });
    await negotiate(false);
  } else await s.transceiver?.sender.replaceTrack(s.track);
  await applyEncoder(source);
  if (!media.on[source]) return; // turned off meanwhile
  try {
    await conn().request("media-send", { own: { [source]: "on" } });
  } catch (error) {
    media.on[source] = false;
    stopTrack(source);
    await s.transceiver?.sender.replaceTrack(null);
    fail(failureOf(error));
  }
}

/** @param {Source} source @returns {Promise<boolean>} whether it is still wanted; else it was let go, whatever came of it */
async function capture(source) {
  const mine = ++turns[source];
  /** @type {MediaStream} */
  let stream;
  try {
    stream = source === "screen"
      ? await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: 15, max: 30 } }, audio: true })
      : await navigator.mediaDevices.getUserMedia(source === "microphone" ? { audio: microphoneWanted() } : { video: cameraWanted() });
  } catch (error) {
    if (mine !== turns[source]) return false;
    throw error;
  }
  if (mine !== turns[source]) {
    letGo(stream);
    return false;
  }
  if (kinds[source] === "video") keep(source, stream.getVideoTracks()[0]);
  else keep(source, stream.getAudioTracks()[0]);
  if (source === "screen") keep("screenAudio", stream.getAudioTracks()[0]);
  else void listDevices();
  return true;
}

/** @param {Source} source @param {MediaStreamTrack|undefined} track */
function keep(source, track) {
  const s = sending[source];
  if (s.track !== track) s.track?.stop();
  s.track = track ?? null;
  streams.delete(source);
  if (track === undefined) return;
  if (source === "screen") track.contentHint = "detail";
  track.onended = () => source === "screen" || source === "screenAudio" ? ended() : setTimeout(ended, farewell);
  const ended = () => {
    if (s.track !== track || closing) return;
    if (source !== "screen" && source !== "screenAudio") notice(t("device.gone"), { bad: true });
    void setSource(source, false);
  };
}

/**
 * A tab that is closed or reloaded loses its camera and microphone a moment before it is gone itself. That is no word of the
 * person's: said to the agent as muted, it would hold in the tab that takes the meeting up again.
 */
const farewell = 500; // milliseconds
let closing = false;
window.addEventListener("pagehide", () => closing = true);
window.addEventListener("pageshow", () => closing = false);

/** @param {Source} source */
function stopTrack(source) {
  const s = sending[source];
  turns[source]++;
  s.track?.stop();
  s.track = null;
  media.on[source] = false;
  streams.delete(source);
}

/** @param {"microphone"|"camera"|"speaker"} kind the person chose another one */
export async function switchDevice(kind) {
  if (!inMeeting) return;
  if (kind === "speaker") {
    for (const sound of sounds.values()) void playOn(sound);
    return;
  }
  const s = sending[kind];
  if (s.track === null) return;
  try {
    // Some systems give a camera away only once.
    if (kind === "camera") s.track.stop();
    if (!await capture(kind)) return;
  } catch (error) {
    notice(t(`device.${problemOf(error)}`), { bad: true });
    await setSource(kind, false);
    return;
  }
  const now = /** @type {MediaStreamTrack|null} */ (sending[kind].track);
  if (media.on[kind]) await s.transceiver?.sender.replaceTrack(now);
  else if (now !== null) now.enabled = false;
  announce(t("device.changed"));
  update();
}

/** @param {import("./protocol.js").EncoderEvent} event */
export function setEncoder(event) {
  if (!(event.source in sending)) return;
  const source = /** @type {Source} */ (event.source);
  sending[source].encoder = event;
  void applyEncoder(source);
}

/** @param {Source} source */
async function applyEncoder(source) {
  const { transceiver, encoder, track } = sending[source];
  if (transceiver === null || encoder === null) return;
  const parameters = transceiver.sender.getParameters();
  const [encoding, ...more] = parameters.encodings;
  if (encoding === undefined || more.length > 0) return; // sizes have their own limits, and their sum the browser keeps to
  encoding.maxBitrate = encoder.maxBitrate;
  if (encoder.maxFrameRate) encoding.maxFramerate = encoder.maxFrameRate;
  const height = track?.getSettings().height ?? 0;
  if (kinds[source] === "video") {
    encoding.scaleResolutionDownBy = encoder.maxHeight && height > encoder.maxHeight ? height / encoder.maxHeight : 1;
  }
  await transceiver.sender.setParameters(parameters).catch(() => {});
}

/** @type {Map<string, MediaStream>} by track id, or by own source */
const streams = new Map();

/** @param {import("./protocol.js").Track} track @returns {MediaStream|null} what comes on it */
export function streamOf(track) {
  if (track.mid === "" || pc === null) return null;
  const received = pc.getTransceivers().find((x) => x.mid === track.mid && x.direction === "recvonly")?.receiver.track;
  return received === undefined ? null : streamFor(track.id, received);
}

/** @param {Source} source @returns {MediaStream|null} what this person sends */
export function ownStream(source) {
  const { track } = sending[source];
  return track === null || !media.on[source] ? null : streamFor(source, track);
}

/** @param {string} key @param {MediaStreamTrack} track */
function streamFor(key, track) {
  const old = streams.get(key);
  if (old !== undefined && old.getTracks()[0] === track) return old;
  const stream = new MediaStream([track]);
  streams.set(key, stream);
  return stream;
}

/** @type {Map<string, HTMLAudioElement>} by track id */
const sounds = new Map();

/** followTracks plays the sound of whoever sends some. */
export function followTracks() {
  const all = inMeeting ? state().tracks.filter((x) => x.kind === "audio") : [];
  for (const [id, sound] of sounds) {
    if (all.some((x) => x.id === id)) continue;
    sound.srcObject = null;
    sound.remove();
    sounds.delete(id);
  }
  for (const track of all) {
    const stream = streamOf(track);
    if (stream === null) continue;
    let sound = sounds.get(track.id);
    if (sound === undefined) {
      sound = document.createElement("audio");
      sounds.set(track.id, sound);
      document.getElementById("sounds")?.append(sound);
    }
    if (sound.srcObject === stream) continue;
    sound.srcObject = stream;
    void playOn(sound);
  }
}

/** @param {HTMLAudioElement} sound */
async function playOn(sound) {
  if ("setSinkId" in sound) await sound.setSinkId(chosen("speaker")).catch(() => {});
  try {
    await sound.play();
  } catch (error) {
    if (!(error instanceof DOMException) || error.name !== "NotAllowedError") return;
    media.blocked = true;
    update();
  }
}

/** unblock plays what the browser held back, after a click. */
export function unblock() {
  media.blocked = false;
  for (const sound of sounds.values()) void playOn(sound);
  update();
}

/** retry begins the connection with the agent anew. */
export function retry() {
  attempts = 0;
  media.failed = false;
  void negotiate(true);
}

let watched = "";

/**
 * watch tells the agent which pictures are on screen and how large, so that nobody sends what nobody sees.
 *
 * @param {Record<string, number>} heights track id to device pixels
 */
export function watch(heights) {
  /** @type {Record<string, number>} */
  const tracks = {};
  for (const track of state().tracks) {
    if (track.kind === "video") tracks[track.id] = document.hidden ? 0 : heights[track.id] ?? 0;
  }
  const text = JSON.stringify(tracks);
  if (text === watched) return;
  watched = text;
  void conn().request("media-watch", { tracks }).catch(() => {
    watched = "";
  });
}
