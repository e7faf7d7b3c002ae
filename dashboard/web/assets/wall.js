// The wall: scenes that turn, kept in the DOM; a pulse of its own beside Streamlit's connection, so that it can say
// what is wrong when nothing comes any more.
const { attr, cls, el, fill, panel, path, roll, show, svg, text, whole } =
  await import(`./panels.js${new URL(import.meta.url).search}`);

const PULSE_EVERY = 3_000, PULSE_LATE = 8_000, BEAT_LATE = 12_000, RELOAD_AFTER = 20_000;
const PAGE_EVERY = 12_000, PAUSE = 120_000, RELOAD_HOUR = 4, WIDE = 2.4;

const short = (moment) => moment.slice(5, 16).replace("T", " ");

class Scene {
  constructor(wall, name) {
    this.wall = wall;
    this.name = name;
    this.tiles = el("div", "tiles");
    this.grid = el("div", "grid");
    this.box = el("section", "scene", this.tiles, this.grid);
    this.panels = [];
  }

  /** Fetch the figures when they have changed; what is shown stays until the new ones are there. */
  async fetch(key) {
    if (!key || this.fetching === key) return;
    if (this.key === key) {
      for (const one of this.panels) if (one.complete === false) one.fetchShapes(one.block.key);
      return;
    }
    this.fetching = key;
    try {
      const reply = await fetch(`${this.wall.base}/scene/${key}.json`, { cache: "no-store" });
      if (!reply.ok) throw new Error(String(reply.status));
      this.set(await reply.json());
      this.key = key;
    } catch { /* the next beat asks again */ }
    this.fetching = null;
  }

  set(data) {
    this.data = data;
    fill(this.tiles, data.tiles, makeTile, setTile);
    show(this.tiles, data.tiles.length);
    cls(this.box, `scene${this.box.classList.contains("on") ? " on" : ""}${data.tiles.length ? "" : " bare"}`);
    this.arrange();
    const blocks = data.instead.length ? data.instead.slice(0, 1).map((block) => ({ ...block, area: "all", rests: [] })) : data.panels;
    blocks.forEach((block, index) => {
      const had = this.panels[index];
      if (!had || had.kind !== block.kind) {
        this.panels[index] = panel(block.kind, block.area, this.wall);
        if (had) had.box.replaceWith(this.panels[index].box);
        else this.grid.append(this.panels[index].box);
      }
    });
    for (const extra of this.panels.splice(blocks.length)) extra.box.remove();
    blocks.forEach((block, index) => this.panels[index].update(block));
    this.wall.tick();
  }

  arrange() {
    if (!this.data || this.data.instead.length) { this.grid.style.gridTemplate = '"all" minmax(0,1fr) / minmax(0,1fr)'; return; }
    const plan = this.data.plans[innerWidth / innerHeight >= WIDE ? 1 : 0];
    this.grid.style.gridTemplateAreas = plan.rows.map((row) => `"${row}"`).join(" ");
    this.grid.style.gridTemplateColumns = plan.columns.map((share) => `minmax(0,${share}fr)`).join(" ");
    this.grid.style.gridTemplateRows = plan.heights.map((share) => `minmax(0,${share}fr)`).join(" ");
  }

  fit() {
    this.arrange();
    for (const one of this.panels) one.fit();
  }

  /** `late`: for a list of record sets, since when the oldest of them is older than allowed, or "". */
  judge(late, alerts) {
    if (!this.data) return;
    const line = (rests) => late(rests) && this.wall.words.data_of.replace("{time}", late(rests));
    this.data.tiles.forEach((tile, index) => setLate(this.tiles.children[index], tile, line(tile.rests)));
    this.data.panels.forEach((block, index) => {
      if (!this.panels[index]) return;
      this.panels[index].stale(line(block.rests));
      if (block.area === "alerts" && this.panels[index].lead) this.panels[index].lead(alerts);
    });
  }
}

function makeTile() {
  const spark = svg("svg", { class: "spark", viewBox: "0 0 100 30", preserveAspectRatio: "none" });
  spark.append(svg("path", { class: "area" }), svg("path", { class: "line" }));
  return el("article", "tile", el("h3"), el("div", "figure", el("b"), el("span", "unit"), spark),
    el("p", "state", el("i", "lamp"), el("span", "word"), el("span", "target")),
    el("p", "change", el("b"), el("span")));
}

function setTile(node, tile) {
  const [label, figure, state] = node.children;
  const spark = figure.children[2];
  text(label, tile.label);
  roll(figure.children[0], tile.value);
  // The label says what a long unit would say again.
  text(figure.children[1], (tile.value + tile.unit).length <= 9 ? tile.unit : "");
  const known = tile.spark.filter((v) => v !== null);
  show(spark, known.length > 1);
  if (known.length > 1) {
    const low = Math.min(...known), spread = Math.max(...known) - low || 1, step = 100 / (tile.spark.length - 1);
    const d = path(tile.spark, step, 0, (v) => 27 - (v - low) / spread * 24);
    attr(spark.children[1], "d", d);
    attr(spark.children[0], "d", known.length === tile.spark.length ? `${d}L100,30L0,30Z` : "");
  }
  cls(state.children[0], `lamp ${tile.lamp}`);
  text(state.children[1], tile.status);
  text(state.children[2], tile.target);
  show(state.children[0], tile.status);
  setLate(node, tile, node.late || "");
}

/** The tile's last line: its comparison, or that its data is older than allowed. */
function setLate(node, tile, line) {
  node.late = line;
  const change = node.children[3];
  const [by, than, lamp] = tile.change || ["", "", ""];
  cls(node, `tile ${tile.lamp}${line ? " old" : ""}`);
  cls(change.children[0], line ? "late" : lamp);
  text(change.children[0], line || by);
  text(change.children[1], line ? "" : than);
}

class Wall {
  constructor(data) {
    // Beside Streamlit's own tree: when that is taken down to be made anew, the wall goes on showing what it has.
    this.host = document.body.appendChild(el("div"));
    const root = this.host.attachShadow({ mode: "open" });
    this.path = location.pathname;
    this.base = data.base;
    this.words = {};
    this.scenes = [];
    this.at = 0;
    this.pulse = { loader: true, since: "" };
    this.heard = this.pulsed = this.back = this.moved = performance.now();
    // Not all walls at once.
    this.minute = Math.floor(Math.random() * 30);
    this.notice = el("p", "notice");
    this.title = el("a");
    this.subtitle = el("p", "subtitle");
    this.date = el("span", "date");
    this.time = el("time", "time");
    this.tabs = el("nav", "tabs");
    this.held = el("span", "held", el("i", "bars2"), el("span"));
    this.asof = el("span", "asof");
    this.lost = el("p", "lost", el("i", "lamp off"), el("span"));
    this.lost.setAttribute("role", "alert");
    this.picture = el("div", "scenes");
    this.sourcesTitle = el("b");
    this.sources = el("div", "sources");
    this.waiting = el("div", "waiting");
    this.stage = el("main", "stage",
      el("header", "top", this.notice, el("div", "name", el("h1", "", this.title), this.subtitle), el("div", "clock", this.date, this.time)),
      el("div", "strip", this.tabs, this.lost, el("span", "gap"), this.held, this.asof),
      this.picture,
      el("footer", "foot", this.sourcesTitle, this.sources), this.waiting);
    this.frame = el("div", "frame", this.stage);
    // Nothing is seen before it can be seen as meant.
    const sheet = Object.assign(document.createElement("link"), { rel: "stylesheet" });
    sheet.href = `${data.base}/assets/wall.css?v=${data.code}`;
    this.frame.style.visibility = "hidden";
    sheet.onload = () => { this.frame.style.visibility = ""; this.fit(); };
    root.append(sheet, this.frame);
    show(this.held, false);
    show(this.lost, false);
    this.fit = this.fit.bind(this);
    this.fit();
    document.fonts?.ready.then(this.fit);
    const feel = () => this.feel();
    const keys = (event) => this.key(event), touch = (event) => this.touch(event);
    addEventListener("resize", this.fit);
    addEventListener("keydown", keys, true);
    addEventListener("online", feel);
    addEventListener("offline", feel);
    this.frame.addEventListener("pointerdown", touch);
    this.frame.addEventListener("pointermove", () => { this.moved = performance.now(); });
    const timers = [
      setInterval(() => location.pathname === this.path ? this.tick() : this.leave(), 500),
      setInterval(() => this.scene?.panels.forEach((one) => one.turn()), PAGE_EVERY),
      setInterval(feel, PULSE_EVERY),
    ];
    this.leave = () => {
      this.gone = true;
      this.host.remove();
      timers.forEach(clearInterval);
      removeEventListener("resize", this.fit);
      removeEventListener("keydown", keys, true);
      removeEventListener("online", feel);
      removeEventListener("offline", feel);
    };
    this.feel();
  }

  get scene() { return this.scenes[this.at]; }

  /** The stage is 1080 pixels high, as wide as the screen's proportions ask; zoom keeps text and hairlines sharp. */
  fit() {
    const wide = Math.max(1920, 1080 * innerWidth / innerHeight), zoom = innerWidth / wide;
    this.stage.style.width = `${wide}px`;
    this.stage.style.height = `${innerHeight / zoom}px`;
    this.stage.style.zoom = zoom;
    for (const scene of this.scenes) scene.fit();
    whole(this.sources, true);
  }

  update(data) {
    this.base = data.base;
    if (data.words) this.words = data.words;
    this.heard = performance.now();
    // The heartbeat, for whoever watches the wall from outside.
    this.stage.dataset.beats = Number(this.stage.dataset.beats || 0) + 1;
    this.trouble = data.trouble;
    show(this.waiting, !this.data && (data.empty || data.trouble));
    if (data.empty || data.trouble) { text(this.waiting, data.trouble || "尚无已发布的数据 · No data published yet"); return this.tick(); }
    if (!document.getElementById("n-fonts")) {
      const link = Object.assign(document.createElement("link"), { id: "n-fonts", rel: "stylesheet" });
      link.href = `${data.base}/assets/fonts.css`;
      link.onload = () => document.fonts.ready.then(this.fit);
      document.head.append(link);
    }
    this.data = data;
    document.documentElement.lang = data.lang === "zh" ? "zh-CN" : "en";
    this.stage.lang = document.documentElement.lang;
    this.offset = Date.parse(data.now + "Z") - performance.now();
    text(this.notice, data.notice);
    show(this.notice, data.notice);
    text(this.title, data.title);
    attr(this.title, "href", data.home);
    text(this.subtitle, data.subtitle);
    text(this.sourcesTitle, data.words.freshness);
    this.setScenes(data.scenes);
    this.tick();
  }

  setScenes(scenes) {
    const had = new Map(this.scenes.map((scene) => [scene.name, scene]));
    const now = this.scene?.name;
    this.scenes = scenes.map(({ name }) => had.get(name) || new Scene(this, name));
    for (const scene of this.scenes) {
      had.delete(scene.name);
      if (scene.box.parentNode !== this.picture) this.picture.append(scene.box);
    }
    had.forEach((scene) => scene.box.remove());
    const kept = this.scenes.findIndex((scene) => scene.name === now);
    attr(this.tabs, "aria-label", this.words.scenes);
    fill(this.tabs, scenes, () => el("button", "tab", el("span"), el("i")), (node, scene) => text(node.firstElementChild, scene.label));
    this.stage.style.setProperty("--every", `${this.data.every}s`);
    scenes.forEach(({ key }, index) => this.scenes[index].fetch(key));
    if (kept < 0 || this.until === undefined) this.go(Math.max(kept, 0));
    else this.at = kept;
  }

  /** Show a scene; the others stay where they are, unseen. */
  go(index) {
    this.at = (index + this.scenes.length) % this.scenes.length;
    this.until = performance.now() + this.data.every * 1000;
    this.scenes.forEach((scene, number) => {
      scene.box.classList.toggle("on", number === this.at);
      scene.box.toggleAttribute("inert", number !== this.at);
    });
    [...this.tabs.children].forEach((tab, number) => {
      cls(tab, number === this.at ? "tab on" : "tab");
      attr(tab, "aria-current", number === this.at);
      // The hand that shows how long a scene stays starts anew.
      if (number === this.at) tab.lastElementChild.getAnimations().forEach((animation) => { animation.currentTime = 0; });
    });
    this.stage.dataset.scene = this.scene.name;
    this.scene.fit();
    this.tick();
  }

  hold() { this.heldUntil = performance.now() + PAUSE; this.tick(); }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // Streamlit has keys of its own, which mean nothing here.
    event.stopPropagation();
    if (!this.data || this.scenes.length < 2) return;
    if (event.key === "Escape") { this.heldUntil = 0; this.until = performance.now() + this.data.every * 1000; return this.tick(); }
    const step = { ArrowRight: 1, ArrowDown: 1, PageDown: 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1 }[event.key];
    if (step) this.go(this.at + step);
    if (/^[1-9]$/.test(event.key) && Number(event.key) <= this.scenes.length) this.go(Number(event.key) - 1);
    this.hold();
  }

  touch(event) {
    if (!this.data || this.scenes.length < 2) return;
    const tab = event.target.closest?.(".tab");
    if (tab) this.go([...this.tabs.children].indexOf(tab));
    this.hold();
  }

  /** Ask the server how it is, past Streamlit. */
  async feel() {
    if (this.feeling) return;
    this.feeling = true;
    try {
      const reply = await fetch(`${this.base}/pulse.json`, { cache: "no-store", signal: AbortSignal.timeout(5_000) });
      if (!reply.ok) throw new Error(String(reply.status));
      this.pulse = await reply.json();
      this.pulsed = performance.now();
      if (this.unreachable) this.back = this.pulsed;
      this.unreachable = false;
    } catch { this.unreachable = true; }
    this.feeling = false;
    this.tick();
  }

  /** What is wrong, as a key of the words; "" when all is well. */
  state() {
    const now = performance.now();
    if (this.unreachable && !navigator.onLine) return "lost_network";
    if (now - Math.max(this.pulsed, this.heard) > PULSE_LATE) return "lost_server";
    if (now - this.heard > BEAT_LATE) return "lost_page";
    if (this.trouble) return "lost_figures";
    return this.pulse.loader === false ? "lost_loader" : "";
  }

  siteNow() {
    return this.data.stopped ? Date.parse(this.data.now + "Z") : this.offset + performance.now();
  }

  tick() {
    const real = performance.now();
    // The server answers, but Streamlit has not found back to it by itself.
    if (!this.unreachable && real - Math.max(this.heard, this.back) > RELOAD_AFTER && real - this.pulsed < PULSE_LATE) this.reload();
    if (!this.data) return;
    const now = new Date(this.siteNow()), state = this.state();
    const locale = this.data.lang === "zh" ? "zh-CN" : "en-GB";
    text(this.time, now.toISOString().slice(11, 19));
    const day = (options) => now.toLocaleDateString(locale, { ...options, timeZone: "UTC" });
    text(this.date, this.data.lang === "zh"
      ? `${day({ year: "numeric", month: "long", day: "numeric" })} ${day({ weekday: "long" })}`
      : day({ weekday: "short", year: "numeric", month: "short", day: "numeric" }));
    this.watch(now.getTime());
    const shown = this.data.scenes[this.at] || {};
    this.stage.dataset.state = state || "well";
    show(this.lost, state);
    text(this.lost.lastElementChild, state && this.words[state].replace("{time}", short(shown.cutoff || "")).replace("{since}", this.pulse.since || "?"));
    show(this.asof, !state);
    text(this.asof, [this.scene?.data?.place, this.scene?.data?.period, `${this.words.cutoff} ${(shown.cutoff || "").slice(5)}`, shown.version].filter(Boolean).join(" · "));
    this.turn(real);
    // A long-running page is made new once a night, when nobody looks and all is well.
    if (!state && now.getUTCHours() === RELOAD_HOUR && now.getUTCMinutes() >= this.minute && real > 2 * 3600_000) this.reload();
    this.frame.classList.toggle("idle", real - this.moved > 4_000);
  }

  turn(real) {
    const held = Math.max(0, (this.heldUntil || 0) - real);
    this.tabs.classList.toggle("held", held > 0);
    show(this.held, held > 0 && this.scenes.length > 1);
    if (held > 0) {
      const left = Math.ceil(held / 1000);
      text(this.held.lastElementChild, this.words.paused.replace("{time}", `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`));
      this.until = real + this.data.every * 1000;
    } else if (this.scenes.length > 1 && real >= this.until) {
      // A scene whose figures are still to come is passed over.
      const next = [...this.scenes.keys()].map((step) => (this.at + 1 + step) % this.scenes.length).find((index) => this.scenes[index].data);
      this.go(next ?? this.at);
    }
  }

  /** Ages by the site's clock: which record sets are older than allowed, at the foot and on every panel they feed. */
  watch(now) {
    const words = this.words, late = new Map();
    const seen = this.data.sources.map(([dataset, label, last, allowed, shown]) => {
      const seconds = last ? Math.max(0, (now - Date.parse(last + "Z")) / 1000) : NaN;
      const old = seconds > allowed * 3600;
      if (old) late.set(dataset, last);
      const age = Number.isNaN(seconds) ? words.never
        : seconds < 90 ? `${Math.floor(seconds)} ${words.seconds}` : seconds < 5400 ? `${Math.floor(seconds / 60)} ${words.minutes}`
        : seconds < 172_800 ? `${Math.floor(seconds / 3600)} ${words.hours}` : `${Math.floor(seconds / 86_400)} ${words.days}`;
      return { label, age, old, shown };
    });
    const listed = [...seen.filter((one) => one.old), ...seen.filter((one) => !one.old && one.shown)];
    const before = this.sources.dataset.listed;
    fill(this.sources, listed,
      () => el("div", "source", el("span", "label"), el("span", "age", el("i"), el("b"), el("em"))),
      (node, { label, age, old }) => {
        cls(node, `source ${old ? "old" : ""}${node.classList.contains("over") ? " over" : ""}`);
        text(node.children[0], label);
        cls(node.children[1].children[0], `lamp ${old ? "off" : "good"}`);
        text(node.children[1].children[1], age);
        text(node.children[1].children[2], old ? words.stale : "");
      });
    this.sources.dataset.listed = listed.map((one) => one.label + one.old).join();
    if (before !== this.sources.dataset.listed) whole(this.sources, true);
    const since = (rests) => {
      const found = rests.map((name) => late.get(name)).filter(Boolean).sort();
      return found.length ? short(found[0]) : "";
    };
    const alerts = seen.filter((one) => one.old).map(({ label }) => ["", label, words.silent, words.source, "off"]);
    for (const scene of this.scenes) scene.judge(since, alerts);
  }

  /** Start over, once it is sure that the server gives a page to start with. */
  async reload() {
    if (this.reloading || performance.now() - (this.tried || 0) < 10_000) return;
    this.reloading = true;
    this.tried = performance.now();
    try {
      const reply = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(5_000) });
      if (reply.ok) location.reload();
    } catch { /* tried again later */ }
    this.reloading = false;
  }
}

let wall = null;
export default function ({ data }) {
  if (!wall || wall.gone) wall = new Wall(data);
  wall.update(data);
}
