// A real Chromium with fake devices, the page in it, and a peer that answers its media-offers.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { late } from "./mock-agent.mjs";

/** What a page shows that has its state from the agent: before, it has nothing to press and no keys. */
export const connected = "main:not(.card-screen)";

/** open starts the browser with an empty profile; close ends it. */
export async function open() {
  const profile = await mkdtemp(join(tmpdir(), "page-test-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, chromiumSandbox: false,
    args: ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", "--allow-loopback-in-peer-connection", "--disable-features=WebRtcHideLocalIpsWithMdns", "--auto-select-desktop-capture-source=Entire screen"],
    viewport: { width: 1280, height: 800 },
  });
  if (late > 0) await context.addInitScript((late) => {
    const { setTimeout } = window;
    window.setTimeout = (go, after = 0, ...more) => setTimeout(go, after + late * Math.random(), ...more);
  }, late);
  return {
    context,
    close: async () => {
      await context.close();
      await rm(profile, { recursive: true, force: true });
    },
  };
}

/**
 * answerer makes a page that answers offers as an agent would: on what the page receives it sends pictures and tones,
 * on what the page sends it counts what arrives.
 */
export async function answerer(context) {
  const page = await context.newPage();
  await page.goto("about:blank");
  await page.evaluate(() => {
    window.tiles = [];
    const sound = new AudioContext().createMediaStreamDestination().stream.getAudioTracks()[0];
    const picture = (n) => {
      const canvas = document.createElement("canvas");
      canvas.width = 640;
      canvas.height = 360;
      const c = canvas.getContext("2d");
      const hue = [205, 28, 150, 265, 340][n % 5];
      setInterval(() => {
        const light = c.createLinearGradient(0, 0, 640, 360);
        light.addColorStop(0, `hsl(${hue} 24% 72%)`);
        light.addColorStop(1, `hsl(${hue} 26% 42%)`);
        c.fillStyle = light;
        c.fillRect(0, 0, 640, 360);
        c.fillStyle = `hsl(${hue} 22% 26%)`;
        c.beginPath();
        c.arc(320, 165 + 3 * Math.sin(Date.now() / 400), 75, 0, 7);
        c.fill();
        c.beginPath();
        c.ellipse(320, 400, 180, 150, 0, 0, 7);
        c.fill();
      }, 40);
      return canvas.captureStream(25).getVideoTracks()[0];
    };
    window.answer = async (sdp, sources, restart) => {
      if (restart || !window.pc) {
        window.pc?.close();
        window.pc = new RTCPeerConnection();
      }
      await window.pc.setRemoteDescription({ type: "offer", sdp });
      let n = 0;
      for (const t of window.pc.getTransceivers()) {
        if (sources[t.mid] !== undefined) {
          t.direction = "recvonly";
          continue;
        }
        t.direction = "sendonly";
        if (t.sender.track === null) await t.sender.replaceTrack(t.receiver.track.kind === "audio" ? sound : picture(n++));
      }
      await window.pc.setLocalDescription();
      if (window.pc.iceGatheringState !== "complete") {
        await new Promise((done) => window.pc.addEventListener("icegatheringstatechange", () => window.pc.iceGatheringState === "complete" && done()));
      }
      return window.pc.localDescription.sdp;
    };
    window.arriving = async () => {
      const got = {};
      for (const t of window.pc.getTransceivers()) {
        for (const s of (await t.receiver.getStats()).values()) if (s.type === "inbound-rtp") got[t.mid] = { kind: s.kind, packets: s.packetsReceived, frames: s.framesDecoded ?? 0 };
      }
      return got;
    };
  });
  return {
    page,
    answer: (r) => page.evaluate(([sdp, sources, restart]) => window.answer(sdp, sources, restart), [r.sdp, r.sources, r.restart]),
    arriving: () => page.evaluate(() => window.arriving()),
  };
}
