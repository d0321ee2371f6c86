// What the driver needs inside the page: finding what can be pressed, and looking at what is shown and heard.
globalThis.drive ??= (() => {
  const load = (name) => import(`${location.origin}/${name}.js`);
  /** drawn waits until the page shows what it knows. */
  const drawn = async () => new Promise((await load("model")).onceDrawn);
  const state = async () => {
    await drawn();
    return (await load("model")).state();
  };
  const label = (e) => (e.getAttribute("aria-label") ?? e.textContent ?? "").replace(/\s+/g, " ").trim();
  const pause = (ms) => new Promise((done) => setTimeout(done, ms));

  /** find returns the element that is meant: by CSS, or by the text that a key of the page's texts has. */
  async function find({ css, key, about }) {
    await drawn();
    const root = document.querySelector("dialog[open]") ?? document;
    if (css) return root.querySelector(css);
    const text = (await load("i18n")).t(key).trim();
    const all = [...root.querySelectorAll("button, a, summary, label, [role=switch]")];
    const fits = (e, exact) => {
      const said = label(e);
      const shown = (e.textContent ?? "").replace(/\s+/g, " ").trim();
      if (exact ? said !== text && shown !== text : !said.startsWith(`${text} `)) return false;
      return !about || said.includes(about) || (e.closest("li, article, section")?.textContent ?? "").includes(about);
    };
    return all.find((e) => fits(e, true)) ?? all.find((e) => fits(e, false));
  }

  /** Whether the click on what point found came there. */
  let reached = false;
  const pressed = () => reached;

  /** point returns where to press, or why it can't be pressed now. */
  async function point(what) {
    const e = await find(what);
    if (!e) return { why: "not there" };
    if (e.disabled || e.getAttribute("aria-disabled") === "true") return { why: "disabled" };
    e.scrollIntoView({ block: "center", inline: "nearest", behavior: "instant" });
    const first = e.getBoundingClientRect();
    await pause(40);
    const r = e.getBoundingClientRect();
    if (r.x !== first.x || r.y !== first.y) return { why: "moving" };
    const x = r.x + r.width / 2, y = r.y + r.height / 2;
    const top = document.elementFromPoint(x, y);
    if (top === null || !(e === top || e.contains(top))) return { why: `covered by ${top?.outerHTML.slice(0, 120)}` };
    reached = false;
    e.addEventListener("click", () => reached = true, { capture: true, once: true });
    return { x, y };
  }

  /** ground returns the colour that most points have. */
  function ground(data) {
    const counts = new Map();
    let most = 0, first = 0;
    for (let i = 0; i < data.length; i += 4) {
      const colour = data[i] << 16 | data[i + 1] << 8 | data[i + 2];
      const n = (counts.get(colour) ?? 0) + 1;
      counts.set(colour, n);
      if (n > most) [most, first] = [n, i];
    }
    return [...data.slice(first, first + 3)];
  }

  /** pictures returns what each video on the page shows. */
  function pictures() {
    return [...document.querySelectorAll("video")].map((v) => {
      const tile = v.closest(".tile");
      const size = { width: v.videoWidth, height: v.videoHeight };
      const picture = {
        member: tile?.getAttribute("data-member") ?? "", screen: tile?.classList.contains("is-screen") ?? false,
        large: tile?.classList.contains("is-large") ?? false, own: v.classList.contains("own"), ...size,
        frames: v.getVideoPlaybackQuality().totalVideoFrames, time: v.currentTime, left: [0, 0, 0], right: [0, 0, 0], bar: -1, ground: [0, 0, 0],
      };
      if (size.width === 0) return picture;
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [160, 90];
      const c = canvas.getContext("2d", { willReadFrequently: true });
      c.drawImage(v, 0, 0, 160, 90);
      picture.left = [...c.getImageData(40, 30, 1, 1).data].slice(0, 3);
      picture.right = [...c.getImageData(120, 30, 1, 1).data].slice(0, 3);
      picture.ground = ground(c.getImageData(0, 0, 160, 75).data);
      const line = c.getImageData(0, 83, 160, 1).data;
      let lightest = 100;
      for (let x = 0; x < 160; x++) if (line[4 * x + 1] > lightest) [lightest, picture.bar] = [line[4 * x + 1], x];
      return picture;
    });
  }

  /** Analysers by stream. */
  const ears = new WeakMap();
  let sound = null;

  /** tones returns, by member, the loudest frequency of what they send of a source, in Hz, and how loud it is, in dB. */
  async function tones(source) {
    const [{ streamOf }, s] = [await load("media"), await state()];
    sound ??= new AudioContext();
    const heard = {};
    for (const track of s.tracks) {
      if (track.kind !== "audio" || track.source !== source) continue;
      const stream = streamOf(track);
      if (stream === null) continue;
      let ear = ears.get(stream);
      if (ear === undefined) {
        ear = sound.createAnalyser();
        ear.fftSize = 8192;
        ear.smoothingTimeConstant = 0;
        sound.createMediaStreamSource(stream).connect(ear);
        ears.set(stream, ear);
      }
      const bins = new Float32Array(ear.frequencyBinCount);
      ear.getFloatFrequencyData(bins);
      const width = sound.sampleRate / ear.fftSize;
      let at = Math.round(200 / width);
      for (let i = at; i * width < 3500; i++) if (bins[i] > bins[at]) at = i;
      heard[track.member] = { hertz: at * width, level: Number.isFinite(bins[at]) ? bins[at] : -200 };
    }
    return heard;
  }

  return { load, drawn, state, find, label, point, pressed, pictures, tones };
})();
