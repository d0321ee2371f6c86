// An agent to develop the page with: it serves the page under the same strict headers and speaks the protocol, with a
// scene for the state. The token in the address names the scene: http://127.0.0.1:4000/#five
//
//	node test/mock-agent.mjs [port]

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { attendance, chat, exposure, invite, scenes, start, stats } from "./scenes.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const types = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml" };

/**
 * LATE=milliseconds has each of the page's timers, what it draws among them, and each word of the mock agent come late by up
 * to that: it finds what a test or the page takes for granted about the order of things.
 */
export const late = Number(process.env.LATE ?? 0);

/** listen serves until close() is called. @param {number} port 0 for any */
export function listen(port, { answer = null } = {}) {
  const agent = { url: "", requests: [], uploads: [], refuse: {}, holds: {}, away: false, sockets: new Set(), settings: {}, answer, close: () => {}, send: (_) => {} };
  const server = createServer((request, response) => void serve(request, response, agent));
  server.on("upgrade", (request, socket) => upgrade(request, socket, agent));
  agent.send = (message) => {
    for (const s of agent.sockets) s.send(message);
  };
  agent.drop = (code) => {
    for (const s of agent.sockets) s.end(code);
  };
  agent.close = () => new Promise((done) => {
    for (const s of agent.sockets) s.socket.destroy();
    server.closeAllConnections();
    server.close(done);
  });
  return new Promise((done) => server.listen(port, "127.0.0.1", () => {
    agent.url = `http://127.0.0.1:${server.address().port}`;
    done(agent);
  }));
}

function headers(request) {
  return {
    "Content-Security-Policy": ["default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' blob:", "media-src 'self' blob:", "font-src 'self'", "worker-src 'self'", `connect-src 'self' ws://${request.headers.host}`, "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'"].join("; "),
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp", "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self), speaker-selection=(self), fullscreen=(self), autoplay=(self), clipboard-write=(self), geolocation=()",
  };
}

async function serve(request, response, agent) {
  const path = new URL(request.url, "http://x").pathname;
  const all = headers(request);
  if (request.method === "POST" && path === "/session") {
    let body = "";
    for await (const part of request) body += part;
    const { token } = JSON.parse(body);
    const known = token in scenes;
    response.writeHead(known ? 200 : 401, { ...all, "Content-Type": "application/json" });
    response.end(JSON.stringify(known ? { session: token } : {}));
    return;
  }
  if (request.method === "PUT") {
    let bytes = 0;
    for await (const part of request) bytes += part.length;
    agent.uploads.push({ path, bytes });
    response.writeHead(200, all);
    response.end();
    return;
  }
  const name = normalize(path === "/" ? "/index.html" : path);
  const type = types[extname(name)];
  try {
    if (type === undefined || name.includes("..") || name.startsWith("/test") || name.startsWith("/node_modules")) throw new Error("not the page's");
    const data = await readFile(join(root, name));
    response.writeHead(200, { ...all, "Content-Type": type });
    response.end(data);
  } catch {
    response.writeHead(404, all);
    response.end();
  }
}

function upgrade(request, socket, agent) {
  if (agent.away) return void socket.destroy();
  const accept = createHash("sha1").update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: huisclos.1\r\n\r\n`);
  const session = /session\.([^,\s]+)/.exec(request.headers["sec-websocket-protocol"] ?? "")?.[1] ?? "start";
  const client = new Client(socket, session, agent);
  agent.sockets.add(client);
  socket.on("close", () => {
    agent.sockets.delete(client);
    clearInterval(client.timer);
  });
  socket.on("error", () => {});
  client.send({ event: "state", state: client.state });
}

/** Client is one page's socket. */
class Client {
  constructor(socket, scene, agent) {
    this.socket = socket;
    this.agent = agent;
    this.state = (scenes[scene] ?? start)();
    Object.assign(this.state.settings, agent.settings);
    this.turn = 0;
    this.sent = Promise.resolve();
    let rest = Buffer.alloc(0);
    socket.on("data", (data) => {
      rest = Buffer.concat([rest, data]);
      for (let frame = read(rest); frame !== null; frame = read(rest)) {
        rest = rest.subarray(frame.size);
        if (frame.opcode === 8) return this.end(1000);
        if (frame.opcode === 1) void this.receive(JSON.parse(frame.data.toString()));
      }
    });
  }

  send(message) {
    const data = Buffer.from(JSON.stringify(message));
    if (late === 0) return void this.write(1, data);
    this.sent = this.sent.then(() => new Promise((done) => setTimeout(done, late * Math.random()))).then(() => this.write(1, data));
  }

  end(code) {
    const data = Buffer.alloc(2);
    data.writeUInt16BE(code);
    this.write(8, data);
    this.socket.end();
  }

  write(opcode, data) {
    const head = data.length < 126 ? Buffer.from([0x80 | opcode, data.length]) : data.length < 65536 ? Buffer.from([0x80 | opcode, 126, 0, 0]) : Buffer.alloc(10);
    if (data.length >= 65536) {
      head[0] = 0x80 | opcode;
      head[1] = 127;
      head.writeBigUInt64BE(BigInt(data.length), 2);
    } else if (data.length >= 126) head.writeUInt16BE(data.length, 2);
    this.socket.write(Buffer.concat([head, data]));
  }

  change(part, value) {
    this.state[part] = value;
    this.send({ event: "changed", part, value });
  }

  async receive(request) {
    this.agent.requests.push(request);
    await this.agent.holds[request.do];
    const unsaved = this.state.recording?.save && !this.state.recording.saved && ["create", "join", "alone", "done", "quit"].includes(request.do);
    const lost = this.state.files.some((f) => !f.self && f.state === "complete" && f.saved !== true) && ["done", "quit"].includes(request.do);
    const refusal = unsaved ? { code: "unsaved-recording" } : lost ? { code: "unsaved-files" } : this.agent.refuse[request.do];
    if (refusal !== undefined) return this.send({ re: request.id, error: refusal });
    let reply = {};
    try {
      reply = await this.act(request) ?? {};
    } catch (error) {
      return this.send({ re: request.id, error: error.refusal ?? { code: "internal", detail: String(error) } });
    }
    this.send({ re: request.id, ...reply });
  }

  phase(name, more = {}) {
    this.change("phase", { name, since: Date.now(), ...more });
  }

  async act(r) {
    const { state } = this;
    switch (r.do) {
      case "settings-set": return this.change("settings", r.settings);
      case "link-check":
        if (!r.link.startsWith("huisclos:")) throw new Error("bad link");
        return { meeting: "3f".repeat(32), expires: 0 };
      case "network-set": return this.change("network", { ...state.network, mode: r.mode, findOnLAN: r.findOnLAN, dht: r.dht });
      case "relay-add": return this.change("network", { ...state.network, relays: [...state.network.relays, { id: "1c09 7f33", addresses: ["relais.example:443"] }] });
      case "relay-remove": return this.change("network", { ...state.network, relays: state.network.relays.filter((x) => x.id !== r.relay) });
      case "create":
        this.phase("creating");
        setTimeout(() => this.become("lonely"), 300);
        return {};
      case "join":
        this.phase("joining");
        setTimeout(() => this.phase("waiting"), 300);
        return {};
      case "alone": return void this.become("two");
      case "recording-save":
        this.change("recording", { ...state.recording, saved: true });
        return { url: "/download/x", name: "meeting.webm" };
      case "file-save":
        this.change("files", state.files.map((f) => f.id === r.file ? { ...f, saved: true } : f));
        return { url: "/download/x", name: "x" };
      case "files-discard": return this.change("files", state.files.map((f) => f.state === "complete" && f.saved !== true ? { ...f, state: "withdrawn" } : f));
      case "recording-discard": return this.change("recording", { state: "none", own: false });
      case "cancel": case "done": return this.phase("start");
      case "leave": return this.phase("ended", { error: { code: "left" }, ended: { began: Date.now() - 60000, ended: Date.now(), people: 2, messages: 0, files: 0, attendance: true, kept: false, contacts: 0 } });
      case "invite": return this.change("invite", invite("everywhere", { expires: r.expires }));
      case "admit": case "deny": return this.change("knocks", state.knocks.filter((k) => k.id !== r.member));
      case "lock": return this.change("policy", { ...state.policy, entry: r.locked ? "locked" : "ask" });
      case "policy-set": return this.change("policy", r.policy);
      case "role": return this.change("members", state.members.map((m) => m.id === r.member ? { ...m, role: r.role } : m));
      case "remove": {
        const gone = state.members.find((m) => m.id === r.member);
        this.change("members", state.members.filter((m) => m !== gone));
        this.send({ event: "left", member: gone, reason: "removed", by: state.settings.name });
        return this.change("invite", { ...state.invite, dead: true });
      }
      case "media-offer": {
        if (this.agent.answer === null) return new Promise(() => {});
        const sdp = await this.agent.answer(r);
        setTimeout(() => this.tracks(r), 50);
        return { sdp };
      }
      case "media-send": {
        const own = { ...state.media.own, ...r.own };
        return this.change("media", { ...state.media, own });
      }
      case "say": {
        const message = { id: `own${this.agent.requests.length}`, from: state.meeting.self, name: state.settings.name, to: r.to, time: Date.now(), text: r.text, self: true, state: "sent" };
        state.chat.push(message);
        this.send({ event: "chatted", message });
        return { message: message.id };
      }
      case "hand": return this.change("members", state.members.map((m) => m.self ? { ...m, hand: r.up ? Date.now() : 0 } : m));
      case "react": return this.send({ event: "reaction", member: state.meeting.self, reaction: r.reaction });
      case "verify": return void this.change("verifications", [{ member: r.member, asked: false, words: state.words }]) ?? { words: state.words };
      case "verified":
        if (r.match && r.digits !== (r.member === "" ? state.words : state.verifications.find((v) => v.member === r.member)?.words)?.digits) throw { refusal: { code: "words-changed" } };
        this.change("verifications", []);
        return this.change("members", state.members.map((m) => r.match && (r.member === "" || m.id === r.member) ? { ...m, verified: true } : m));
      case "words": return { words: state.words };
      case "exposure": return { exposure };
      case "attendance": return r.format === "show" ? (r.meeting ? { ...attendance, ended: attendance.began + 3720e3, rows: attendance.rows.slice(0, 2) } : attendance) : { url: "/download/x", name: `attendance.${r.format}` };
      case "history-show": return { kept: state.store.kept.find((k) => k.id === r.meeting), chat };
      case "history-delete": return this.change("store", { ...state.store, kept: state.store.kept.filter((k) => k.id !== r.meeting) });
      case "contact-delete": return this.change("contacts", state.contacts.filter((c) => c.id !== r.contact));
      case "restore": return { url: "/upload/backup" };
      case "file-offer": return { file: "own", url: "/upload/own" };
      case "recording-ask": return this.change("recording", { state: "asking", own: true, by: state.meeting.self, consents: Object.fromEntries(state.members.map((m) => [m.id, m.self ? "consented" : "asked"])) });
      case "recording-consent": return this.change("recording", { state: "stopped", own: false, reason: r.consent ? "ended" : "refused", member: state.meeting.self });
      case "stats":
        clearInterval(this.timer);
        if (!r.on) return {};
        for (let i = 0; i < 40; i++) this.send({ event: "stats", stats: stats(this.turn++) });
        this.timer = setInterval(() => this.send({ event: "stats", stats: stats(this.turn++) }), 1000);
        return {};
      default: return {};
    }
  }

  /** tracks puts what the others send on the transceivers that the page offered to receive on. */
  tracks(offer) {
    const pool = { audio: [], video: [] };
    for (const part of offer.sdp.split("\r\nm=").slice(1)) {
      const mid = /a=mid:(\S+)/.exec(part)?.[1];
      if (mid !== undefined && offer.sources[mid] === undefined) pool[part.startsWith("audio") ? "audio" : "video"].push(mid);
    }
    const tracks = [];
    for (const m of this.state.members) {
      if (m.self) continue;
      for (const source of ["microphone", "camera", "screen"]) {
        const kind = source === "microphone" ? "audio" : "video";
        if (m[source] === "on") tracks.push({ id: `${source}-${m.id.slice(0, 8)}`, member: m.id, kind, source, codec: "", muted: false, mid: pool[kind].shift() ?? "" });
      }
    }
    this.change("tracks", tracks);
  }

  become(scene) {
    const settings = { ...this.state.settings };
    this.state = scenes[scene]();
    this.state.settings = settings;
    for (const part of Object.keys(this.state)) if (part !== "phase" && part !== "invite") this.send({ event: "changed", part, value: this.state[part] });
    this.phase("meeting");
    setTimeout(() => this.change("invite", this.state.invite), 50);
  }
}

/** read takes one masked frame, or nothing while it isn't whole. */
function read(data) {
  if (data.length < 6) return null;
  let length = data[1] & 127;
  let at = 2;
  if (length === 126) {
    length = data.readUInt16BE(2);
    at = 4;
  } else if (length === 127) {
    if (data.length < 10) return null;
    length = Number(data.readBigUInt64BE(2));
    at = 10;
  }
  if (data.length < at + 4 + length) return null;
  const mask = data.subarray(at, at + 4);
  const body = Buffer.from(data.subarray(at + 4, at + 4 + length));
  for (let i = 0; i < body.length; i++) body[i] ^= mask[i % 4];
  return { opcode: data[0] & 15, data: body, size: at + 4 + length };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const agent = await listen(Number(process.argv[2] ?? 4000));
  for (const scene of Object.keys(scenes)) console.log(`${agent.url}/#${scene}`);
}
