// Scenes: states of the agent as it would send them, for every screen. The mock agent serves them, the tests look at
// each.

const now = Date.parse("2026-11-20T14:32:00Z");
const id = (n) => String(n).repeat(64).slice(0, 64);
export const self = id("a");

const available = { available: true };

const features = {
  "private-chat": available, reactions: available, hand: available, "ask-mute": available, files: available,
  recording: available, attendance: available, verify: available, words: available, contacts: available,
  history: available, backup: available, reach: available, exposure: available, "link-handler": available,
  simulcast: available, alone: available,
};

const network = { mode: "normal", findOnLAN: false, dht: { use: "off", nodes: [], prefix: "/huisclos" }, relays: [], proxy: "" };
const relay = (n, at) => ({ id: `3f8a 91c${n} 0b27 d4e6 58aa 1c09 7f33 e2b${n}`, addresses: [at] });

/** start is the state when the program has just been opened. */
export function start(more = {}) {
  return {
    app: {
      version: "0.1.0", languages: ["fr", "en"], systemLanguage: "fr", system: "linux", graceSeconds: 30,
      maxFile: 2 * 1024 ** 3, maxChat: 4096, maxName: 64, reactions: ["👍", "👏", "❤️", "😂", "❓"],
    },
    features,
    settings: {
      name: "", language: "", theme: "system", microphone: { id: "", label: "" }, camera: { id: "", label: "" },
      speaker: { id: "", label: "" }, page: {},
    },
    store: { failed: false, exists: false, unlocked: false, path: "/home/camille/.config/huisclos/store.age", bytes: 0, history: false, retentionDays: 0, kept: [] },
    contacts: [],
    network,
    phase: { name: "start", since: Date.now() },
    meeting: null, invite: null, members: [], knocks: [], policy: null, tracks: [],
    media: { connection: "none", own: {} }, chat: [], files: [], recording: { state: "none", own: false },
    words: null, verifications: [], warnings: [], link: "", ...more,
  };
}

const named = (name, language) => ({ ...start().settings, name, language: language ?? "" });

export function member(key, name, more = {}) {
  return {
    id: id(key), name, contact: "stranger", role: "participant", creator: false, self: false, away: false,
    connected: true, suspended: false, verified: false, joined: now, microphone: "on", camera: "off", screen: "off",
    hand: 0, below: true, ...more,
  };
}

const me = (more = {}) => member("a", "Maître Camille Laurent", { contact: "self", role: "host", creator: true, self: true, below: false, ...more });

const others = [
  member("b", "Hélène Marchand", { contact: "verified", contactName: "Hélène Marchand", verified: true, camera: "on" }),
  member("c", "Jean-Baptiste Lefèvre", { contact: "known", hand: now, microphone: "muted", role: "host" }),
  member("d", "Sofia Almeida", { camera: "on" }),
  member("e", "Dr. Ingrid Schneider", { role: "viewer", microphone: "off", away: true }),
];

const link = "huisclos:AfQx8-7GkU2w9bTzY3mJpVd1nRsL0eXo4hCqKiNvBtA6yWgEuM5ZjPcSfDrHlOa#r7pQ2vXnE4kTzLw9sYbJmGdUo1iHcAeF";

const reply = "huisclos-reply:1-q83vEjRWeJq83vEjRWeJA7Xo2bQeTn4kZyLw9sYbJmGdUo1iHcAeFr7pQ2vXnE4kTzLw9sYbJmGdUo1iHcAeFAfQx87GkU2w9bTzY3mJpVd1nRsL0eXo4hCqKiNvBtA6yWgEuM5ZjPcSfDrHlOaq83vEjRWeJA";

function text(language) {
  return language === "fr"
    ? {
      subject: "Invitation à une réunion confidentielle",
      body: `Bonjour,\n\nMaître Camille Laurent vous invite à une réunion chiffrée de bout en bout. Il vous faut un ordinateur (Windows, Mac ou Linux) ; un téléphone ne suffit pas.\n\n1. Installez et ouvrez Huis clos.\n2. Collez ce lien dans « Rejoindre une réunion » :\n\n${link}\n\n3. Frappez à la porte : on vous ouvrira.\n\nCe lien est personnel, ne le transférez pas.`,
    }
    : {
      subject: "Invitation to a confidential meeting",
      body: `Hello,\n\nMaître Camille Laurent invites you to an end-to-end encrypted meeting. You need a computer (Windows, Mac or Linux); a phone is not enough.\n\n1. Install and open Huis clos.\n2. Paste this link under “Join a meeting”:\n\n${link}\n\n3. Knock at the door: you will be let in.\n\nThis link is yours alone, please don't forward it.`,
    };
}

export function invite(scope, more = {}) {
  return {
    link, created: now, expires: 0, dead: false,
    reach: {
      scope, router: scope === "everywhere" ? "mapped" : "not-asked",
      addresses: [
        { address: "192.168.1.24", scope: "network", via: "interface" },
        ...(scope === "everywhere" ? [{ address: "203.0.113.57", scope: "everywhere", via: "router" }] : []),
      ],
    },
    text: { fr: text("fr"), en: text("en") }, ...more,
  };
}

const policy = { entry: "ask", admitters: "hosts", members: ["audio", "video", "screen", "chat", "files"], viewers: ["chat"] };

export const words = {
  fr: ["clairière", "ancrage", "tilleul", "horizon", "cascade", "notaire"],
  en: ["clearing", "anchor", "linden", "horizon", "cascade", "notary"], digits: "40 718 29 553 61 902",
};

const track = (n, m, source, mid) => ({
  id: `t${n}`, member: id(m), kind: source === "camera" || source === "screen" ? "video" : "audio", source,
  codec: "", muted: false, mid: String(mid),
});

/** meeting is the state in a meeting of n, this member being a host. */
export function meeting(n, more = {}) {
  return start({
    settings: named("Maître Camille Laurent"),
    phase: { name: "meeting", since: now },
    meeting: {
      id: "3f".repeat(32), self, began: Date.now() - 754000, rosterHash: "9c".repeat(32), hostsAbsent: false,
      can: { admit: true, invite: true, manage: true, end: true, send: ["audio", "video", "screen", "chat", "files"] },
      mode: "normal", found: [],
    },
    invite: invite("everywhere"), members: [me(), ...others.slice(0, n - 1)], policy, words,
    media: { connection: "connected", own: { microphone: "on", camera: "on" } }, ...more,
  });
}

const message = (n, from, name, text_, more = {}) => ({ id: `m${n}`, from: id(from), name, time: now + n * 60000, text: text_, self: from === "a", ...more });

export const chat = [
  message(1, "b", "Hélène Marchand", "Bonjour Maître, m’entendez-vous bien ?"),
  message(2, "a", "Maître Camille Laurent", "Très bien. Je vous envoie le projet de conclusions."),
  message(3, "c", "Jean-Baptiste Lefèvre", "Une remarque sur l’article 1240 du code civil : la jurisprudence récente est plus nuancée.\nJe vous l’explique dans un instant."),
  message(4, "b", "Hélène Marchand", "Puis-je vous parler seule après ?", { to: id("b") }),
  message(5, "a", "Maître Camille Laurent", "Bien sûr.", { to: id("b"), state: "sent" }),
];

const file = (n, more) => ({
  id: `f${n}`, from: id("b"), name: "Contrat de cession.pdf", size: 2_480_000, type: "application/pdf", self: false, time: now, done: 0, state: "offered", ...more,
});

const files = [
  file(1, { state: "complete", done: 2_480_000, sha256: "5e".repeat(32) }),
  file(2, { name: "Pièces 1 à 42.zip", size: 184_000_000, state: "receiving", done: 71_000_000 }),
  file(3, { name: "Procès-verbal d’audience.docx", size: 88_000, state: "offered", to: self }),
  file(4, { from: self, self: true, name: "Projet de conclusions.pdf", size: 940_000, copies: [{ member: id("b"), state: "complete", done: 940_000 }, { member: id("c"), state: "receiving", done: 300_000 }] }),
  file(5, { name: "Scan.tif", size: 9_400_000, state: "failed", error: { code: "file-damaged" } }),
];

const rtl = "\u202Egnp.exe";
const long = "A".repeat(100_000);
const hostile = [
  "<img src=x onerror=alert(1)>", `Maître ${rtl}`, long, "\u0301".repeat(300) + "Zalgo" + "\u0336\u0489".repeat(400), "اسم طويل جدا 123 abc",
];

export const exposure = {
  at: now,
  rows: [
    { datum: "media", purpose: "deliver", seen: [{ party: "members", how: "clear", why: "told", names: ["Hélène Marchand", "Jean-Baptiste Lefèvre"] }, { party: "relay", how: "encrypted", why: "sealed" }, { party: "proxy", how: "encrypted", why: "sealed", names: ["mandataire.cabinet-laurent.fr:3128"] }, { party: "access-provider", how: "sizes-and-times", why: "sizes" }, { party: "nobody-else", how: "clear" }], where: ["members-machines", "in-transit"], kept: "members" },
    { datum: "chat", purpose: "deliver", seen: [{ party: "members", how: "clear" }, { party: "nobody-else", how: "clear" }], where: ["this-machine", "members-machines", "in-transit"], kept: "memory" },
    { datum: "ip", purpose: "connect", seen: [{ party: "members", how: "clear", names: ["Hélène Marchand"] }, { party: "access-provider", how: "clear" }, { party: "carrier", how: "clear" }], where: ["members-machines", "in-transit"], kept: "members" },
    { datum: "names", purpose: "show", seen: [{ party: "members", how: "clear" }], where: ["members-machines"], kept: "members" },
    { datum: "times", purpose: "none", seen: [{ party: "members", how: "clear" }, { party: "access-provider", how: "sizes-and-times" }], where: ["this-machine", "members-machines"], kept: "memory" },
    { datum: "identity", purpose: "authenticate", seen: [{ party: "members", how: "clear" }], where: ["this-machine", "members-machines"], kept: "members" },
    { datum: "speaking", purpose: "show", seen: [{ party: "members", how: "clear" }], where: ["members-machines"], kept: "not-kept" },
    { datum: "link", purpose: "connect", seen: [{ party: "carrier", how: "clear" }], where: ["this-machine"], kept: "memory" },
    { datum: "contacts", purpose: "authenticate", seen: [{ party: "self", how: "clear" }, { party: "same-user", how: "encrypted" }], where: ["this-machine"], kept: "store", days: 30 },
    { datum: "recording", purpose: "record", seen: [{ party: "members", how: "recorded", names: ["Hélène Marchand"] }, { party: "self", how: "consented" }, { party: "members", how: "consented", names: ["Jean-Baptiste Lefèvre"] }], where: ["members-machines"], kept: "members" },
    { datum: "received", purpose: "deliver", seen: [{ party: "self", how: "clear" }, { party: "members", how: "addressed" }, { party: "browser", how: "clear" }, { party: "transport", how: "encrypted" }], where: ["this-machine", "members-machines", "in-transit"], kept: "messages-store", days: 30 },
  ],
};

export const attendance = {
  meeting: "3f".repeat(32), began: now, ended: 0,
  rows: [
    { id: self, name: "Maître Camille Laurent", role: "host", joined: now, left: 0, how: "in", by: "", signed: true, admittedBy: "" },
    { id: id("b"), name: "Hélène Marchand", role: "participant", joined: now + 60000, left: 0, how: "in", by: "", signed: true, admittedBy: "" },
    { id: id("d"), name: "Sofia Almeida", role: "participant", joined: now + 90000, left: now + 400000, how: "removed", by: "Maître Camille Laurent", signed: true, admittedBy: "Maître Camille Laurent" },
    { id: id("e"), name: "Dr. Ingrid Schneider", role: "viewer", joined: now + 95000, left: now + 500000, how: "left", by: "", signed: false, admittedBy: "Maître Camille Laurent" },
  ],
};

export function stats(turn) {
  const wave = (a, b) => a + b * Math.sin(turn / 3);
  return {
    at: now + turn * 1000,
    links: [
      { member: id("b"), path: "direct", rtt: wave(24, 6), bitrateIn: wave(1.4e6, 2e5), bitrateOut: wave(1.2e6, 1e5), loss: 0.002, target: 2e6, others: [self, id("c"), id("d")] },
      { member: id("c"), path: "member", through: id("b"), rtt: wave(61, 10), bitrateIn: wave(6.2e5, 1e5), bitrateOut: 8e5, loss: 0.018, target: 9e5, others: [id("b")] },
      { member: id("d"), path: "relay", through: "relais.cabinet-laurent.fr:443", rtt: wave(118, 30), bitrateIn: wave(4e5, 2e5), bitrateOut: 3.2e5, loss: 0.071, target: 4e5, others: [id("b")] },
      { member: id("e"), path: "none", rtt: 0, bitrateIn: 0, bitrateOut: 0, loss: 0, target: 0, others: null },
    ],
    tracks: [], sent: [{ source: "microphone", bitrate: 4e4, frames: 0, limit: 4.8e4, layers: [] }, { source: "camera", bitrate: 1.2e6, frames: 29, limit: 1.5e6, layers: [0, 1, 1] }],
  };
}

const open = { exists: true, unlocked: true, path: "/home/camille/.config/huisclos/store.age", bytes: 48_200, history: true, retentionDays: 30, kept: [
  { id: "k1", began: now - 86400e3, ended: now - 86400e3 + 3720e3, names: ["Hélène Marchand", "Maître Camille Laurent"], messages: 12, lost: 0, attendance: true, deleteAt: now + 29 * 86400e3 },
  { id: "k2", began: now - 9 * 86400e3, ended: now - 9 * 86400e3 + 9000e3, names: ["Maître Camille Laurent", "Sofia Almeida"], messages: 4873, lost: 214, attendance: false, deleteAt: now + 21 * 86400e3 }] };
const contacts = [
  { id: id("b"), name: "Hélène Marchand", verified: true, verifiedAt: now - 40 * 86400e3, lastMet: now - 86400e3, note: "Dossier Marchand c. Soc. Delorme" },
  { id: id("c"), name: "Jean-Baptiste Lefèvre", verified: false, lastMet: now - 3 * 86400e3 }];

const ended = (error, more = {}) => start({
  settings: named("Maître Camille Laurent"),
  phase: { name: "ended", since: now, error, ended: { began: now - 3_120_000, ended: now, people: 4, messages: 5, files: 2, attendance: true, kept: false, contacts: 0, ...more } },
});

const knocks = [
  { id: id("f"), name: "Sofia Almeida", contact: "stranger", at: now },
  { id: id("9"), name: "Hélène Marchand", contact: "verified", contactName: "Hélène Marchand", at: now },
  { id: id("8"), name: "HéIène Marchand", contact: "stranger", resembles: "Hélène Marchand", at: now }];

/** @type {Record<string, () => any>} by name */
export const scenes = {
  start: () => start(),
  "start-failed": () => start({ settings: named("Hélène Marchand"), phase: { name: "start", since: now, error: { code: "unreachable", detail: "dial 203.0.113.57:41820: i/o timeout" } } }),
  "start-neither": () => start({ settings: named("Hélène Marchand"), phase: { name: "start", since: now, error: { code: "neither-reachable" } } }),
  replying: () => start({ settings: named("Hélène Marchand"), phase: { name: "replying", since: Date.now() - 42000, reply } }),
  "replying-again": () => start({ settings: named("Hélène Marchand"), phase: { name: "replying", since: Date.now() - 9000, reply, error: { code: "reply-lost" } } }),
  relays: () => start({ network: { ...network, mode: "hidden", findOnLAN: true, proxy: "mandataire.cabinet-laurent.fr:3128", relays: [relay(1, "relais.cabinet-laurent.fr:443"), relay(2, "203.0.113.80:4001")] } }),
  directory: () => meeting(2, { store: open, network: { mode: "normal", findOnLAN: true, dht: { use: "own", nodes: ["/dns4/annuaire.cabinet-laurent.fr/tcp/4001/p2p/12D3KooWKRyzVWW6ChFjQjK4miCty85Niy49tpPV95XdKu1BcvMA"], prefix: "/cabinet-laurent" }, proxy: "", relays: [relay(1, "relais.cabinet-laurent.fr:443")] } }),
  "invite-relay": () => meeting(1, { invite: invite("everywhere", { reach: { scope: "everywhere", router: "not-asked", addresses: [{ address: "relais.cabinet-laurent.fr", scope: "everywhere", via: "relay" }] } }) }),
  "invite-others": () => meeting(3, { invite: invite("everywhere", { reach: { scope: "everywhere", router: "none", addresses: [
    { address: "192.168.1.24", scope: "network", via: "interface" }, { address: "203.0.113.9", scope: "everywhere", via: "interface", whose: "Jean-Baptiste Lefèvre" }] } }) }),
  "invite-found": () => {
    const s = meeting(1, { invite: invite("unknown", { reach: { scope: "found", router: "not-asked", addresses: [] } }) });
    s.meeting.found = ["local-network"];
    return s;
  },
  locked: () => start({ settings: named("Maître Camille Laurent"), store: { ...open, unlocked: false, kept: [] } }),
  creating: () => start({ settings: named("Maître Camille Laurent"), phase: { name: "creating", since: Date.now() } }),
  joining: () => start({ settings: named("Hélène Marchand"), phase: { name: "joining", since: Date.now() } }),
  waiting: () => start({ settings: named("Hélène Marchand"), phase: { name: "waiting", since: Date.now() - 42000 } }),
  lonely: () => meeting(1),
  "invite-network": () => meeting(1, { invite: invite("network") }),
  "invite-dead": () => meeting(3, { invite: invite("everywhere", { dead: true }) }),
  two: () => meeting(2),
  five: () => meeting(5, { chat, files }),
  sharing: () => meeting(4, { members: [me(), ...others.slice(0, 3).map((m, i) => i === 1 ? { ...m, screen: "on", microphone: "on", hand: 0 } : m)] }),
  crowd: () => meeting(5, { members: [me(), ...others, ...Array.from({ length: 20 }, (_, i) => member(String(i + 10), `Participant ${i + 1}`))] }),
  door: () => meeting(3, { knocks }),
  viewer: () => {
    const s = meeting(4, { members: [me({ role: "viewer", creator: false }), ...others.slice(0, 3).map((m) => ({ ...m, below: false }))] });
    s.meeting.can = { admit: false, invite: false, manage: false, end: false, send: [] };
    s.invite = null;
    return s;
  },
  warnings: () => meeting(4, { warnings: [
    { kind: "ghost", member: id("d"), name: "Sofia Almeida", since: now }, { kind: "isolation", since: now }, { kind: "lagged", since: now }] }),
  recording: () => meeting(3, { recording: { state: "running", by: id("b"), own: false, since: Date.now() - 65000, mine: "consented", consents: { [self]: "consented", [id("b")]: "consented" } } }),
  consent: () => meeting(3, { recording: { state: "asking", id: "r7", by: id("b"), own: false, mine: "asked", consents: { [self]: "asked", [id("b")]: "consented" } } }),
  recorded: () => meeting(3, { recording: { state: "stopped", by: self, own: true, reason: "withdrawn", member: id("b"), save: "r1", bytes: 48_000_000 } }),
  refusing: () => meeting(3, { recording: { state: "asking", id: "r8", by: self, own: true, reason: "refused", member: id("c"), consents: { [id("b")]: "consented", [id("c")]: "refused" } }, files: [file(6, { from: self, self: true, newcomers: true, copies: [{ member: id("b"), state: "refused", done: 0 }, { member: id("c"), state: "offered", done: 0 }] })] }),
  unconsented: () => meeting(3, { warnings: [{ kind: "unconsented-recording", member: id("b"), name: "Hélène Marchand", since: now }] }),
  "ended-recorded": () => ({ ...ended({ code: "left" }), recording: { state: "stopped", own: true, reason: "ended", save: "recording", bytes: 48_000_000 } }),
  comparing: () => meeting(3, { verifications: [{ member: id("c"), asked: true, words }] }),
  "no-words": () => meeting(3, { words: null }),
  hostile: () => meeting(5, {
    members: [me(), ...hostile.map((name, i) => member(String(i + 1), name, i === 2 ? { contact: "known", contactName: long } : i === 4 ? { resembles: long } : {}))],
    chat: hostile.map((text_, i) => message(i, String(i + 1), text_, text_)),
    files: hostile.map((name, i) => file(i, { name, from: id(String(i + 1)) })),
    knocks: hostile.slice(0, 3).map((name, i) => ({ id: id(String(i + 6)), name, contact: "stranger", at: now, ...(i === 1 ? { resembles: long } : {}) })),
    warnings: [{ kind: "ghost", member: id("3"), name: long, since: now }],
  }),
  removed: () => ended({ code: "removed", by: "Maître Camille Laurent" }),
  ended: () => ended({ code: "left" }),
  "ended-files": () => ({ ...ended({ code: "ended" }), files: [file(0, { state: "complete", done: 1 }), file(1, { state: "complete", done: 1, saved: true }), file(2, { state: "refused" })] }),
  "ended-kept": () => ended({ code: "ended", by: "Hélène Marchand" }, { kept: true }),
  kept: () => meeting(3, { store: open, contacts }),
};

export { track, id };
