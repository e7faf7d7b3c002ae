// The wall. Nodes are made once and patched: nothing blinks, figures roll. Texts are set as text, never as markup.
const NS = "http://www.w3.org/2000/svg";
const GAPS = { e: "empty", u: "unobserved", i: "inapplicable", s: "suppressed" };
const LOST_AFTER = 15_000, PAGE_EVERY = 12_000, ROWS = 10, RELOAD_HOUR = 4;

const el = (name, cls, ...children) => {
  const node = document.createElement(name);
  if (cls) node.className = cls;
  node.append(...children);
  return node;
};
const svg = (name, attributes = {}) => {
  const node = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
};
const text = (node, value) => { if (node.textContent !== (value ?? "")) node.textContent = value ?? ""; };
const attr = (node, key, value) => { if (node.getAttribute(key) !== String(value)) node.setAttribute(key, value); };
const cls = (node, value) => { if (node.getAttribute("class") !== value) node.setAttribute("class", value); };
const show = (node, on) => { node.style.display = on ? "" : "none"; };

/** Make `box` hold exactly as many children as there are items, keeping those it has, then fill each. */
function fill(box, items, make, set) {
  while (box.children.length > items.length) box.lastElementChild.remove();
  while (box.children.length < items.length) box.append(make());
  items.forEach((item, index) => set(box.children[index], item, index));
}

const NUMBER = /^-?[\d,]+(\.\d+)?$/;
function roll(node, value) {
  const before = node.shown;
  if (before === value) return;
  node.shown = value;
  cancelAnimationFrame(node.frame);
  if (before === undefined || !NUMBER.test(before) || !NUMBER.test(value)) return text(node, value);
  const from = Number(before.replaceAll(",", "")), to = Number(value.replaceAll(",", ""));
  const digits = (value.split(".")[1] || "").length;
  const start = performance.now();
  const step = (now) => {
    const done = Math.min((now - start) / 900, 1), eased = 1 - (1 - done) ** 3;
    const at = from + (to - from) * eased;
    text(node, done === 1 ? value : at.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
    if (done < 1) node.frame = requestAnimationFrame(step);
  };
  node.frame = requestAnimationFrame(step);
}

function path(points, step, offset = 0, flip = (y) => y) {
  let out = "", open = false;
  points.forEach((y, index) => {
    if (y === null || y === undefined) { open = false; return; }
    out += `${open ? "L" : "M"}${(offset + index * step).toFixed(2)},${flip(y).toFixed(2)}${open ? "" : "h0.01"}`;
    open = true;
  });
  return out;
}

function panel(name) {
  const title = el("h2"), aside = el("span", "aside"), body = el("div", "body");
  const box = el("section", `panel ${name}`, el("header", "", title, aside), body);
  return { box, title, aside, body };
}

class Wall {
  constructor(root, data) {
    this.root = root;
    this.page = 0;
    this.notice = el("p", "notice");
    this.title = el("a");
    this.subtitle = el("p", "subtitle");
    this.date = el("span", "date");
    this.asof = el("span", "asof");
    this.time = el("time", "time");
    this.header = el("header", "top", this.notice,
      el("div", "name", el("h1", "", this.title), this.subtitle),
      el("div", "clock", el("div", "", this.date, this.asof), this.time));
    this.tiles = el("div", "tiles");
    this.ranking = panel("ranking");
    this.bars = el("div", "bars");
    this.rule = el("div", "rule", el("em"));
    this.ranking.body.append(this.bars, el("div", "overlay", this.rule));
    this.trend = panel("trend");
    this.legend = el("p", "legend");
    this.ticks = el("div", "ticks");
    this.xs = el("div", "xs");
    this.lines = svg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none" });
    this.dot = el("i", "dot");
    this.trend.body.append(this.legend, el("div", "plot", this.ticks, this.lines, this.dot), this.xs);
    this.map = panel("map");
    this.picture = svg("svg", { class: "picture" });
    this.cells = svg("g"); this.borders = svg("g"); this.labels = svg("g"); this.marks = svg("g");
    this.picture.append(this.cells, this.borders, this.labels, this.marks);
    this.classes = el("p", "classes");
    this.map.body.append(this.picture, el("div", "under", this.classes));
    this.alerts = panel("alerts");
    this.latest = panel("latest");
    this.sourcesTitle = el("b");
    this.sources = el("div", "sources");
    this.lost = el("div", "lost");
    this.lost.setAttribute("role", "alert");
    this.waiting = el("div", "waiting");
    this.stage = el("main", "stage", this.header, this.tiles,
      el("div", "middle",
        el("div", "column left", this.ranking.box, this.trend.box), this.map.box,
        el("div", "column right", this.alerts.box, this.latest.box)),
      el("footer", "foot", this.sourcesTitle, this.sources), this.lost, this.waiting);
    this.frame = el("div", "frame", this.stage);
    // Nothing is seen before it can be seen as meant.
    const sheet = Object.assign(document.createElement("link"), { rel: "stylesheet" });
    sheet.href = `${data.base}/assets/wall.css?v=${data.code}`;
    this.frame.style.visibility = "hidden";
    sheet.onload = () => { this.frame.style.visibility = ""; };
    root.append(sheet, this.frame);
    this.fit = () => {
      // Reference is 1920 × 1080; zoom keeps text and hairlines sharp at any size.
      this.stage.style.zoom = Math.min(innerWidth / 1920, innerHeight / 1080);
    };
    this.fit();
    addEventListener("resize", this.fit);
    const timers = [
      setInterval(() => (root.host ?? root).isConnected ? this.tick() : this.stop(timers), 500),
      setInterval(() => this.turn(), PAGE_EVERY),
    ];
  }

  stop(timers) {
    removeEventListener("resize", this.fit);
    timers.forEach(clearInterval);
  }

  update(data) {
    this.base = data.base;
    if (data.trouble) {
      show(this.waiting, !this.data);
      text(this.waiting, data.trouble);
      return;
    }
    this.heard = performance.now();
    this.failing = 0;
    // The heartbeat, for whoever watches the wall from outside.
    this.stage.dataset.beats = Number(this.stage.dataset.beats || 0) + 1;
    if (!document.getElementById("n-fonts")) {
      const link = Object.assign(document.createElement("link"), { id: "n-fonts", rel: "stylesheet" });
      link.href = `${data.base}/assets/fonts.css`;
      document.head.append(link);
    }
    show(this.waiting, !!data.empty);
    if (data.empty) { text(this.waiting, "尚无已发布的数据 · No data published yet"); return; }
    this.data = data;
    document.documentElement.lang = data.lang === "zh" ? "zh-CN" : "en";
    this.stage.lang = document.documentElement.lang;
    this.offset = Date.parse(data.now + "Z") - performance.now();
    text(this.notice, data.notice);
    show(this.notice, data.notice);
    text(this.title, data.title);
    attr(this.title, "href", data.home);
    text(this.subtitle, data.subtitle);
    text(this.asof, `${data.words.cutoff} ${data.cutoff} · ${data.version}`);
    fill(this.tiles, data.tiles, () => this.makeTile(), (node, tile) => this.setTile(node, tile));
    this.setRanking();
    this.setTrend(data.trend);
    this.setMap(data.map);
    this.setFeed(this.alerts, data.alerts, "alert");
    this.setFeed(this.latest, data.latest, "item");
    text(this.sourcesTitle, data.sources?.title);
    this.tick();
  }

  makeTile() {
    const spark = svg("svg", { class: "spark", viewBox: "0 0 100 30", preserveAspectRatio: "none" });
    spark.append(svg("path", { class: "area" }), svg("path", { class: "line" }));
    return el("article", "tile", el("h3"), el("div", "figure", el("b"), el("span", "unit"), el("div", "aid", spark, el("span"))),
      el("p", "state", el("i", "lamp"), el("span", "word"), el("span", "target")),
      el("p", "change", el("b"), el("span")));
  }

  setTile(node, tile) {
    const [label, figure, state, change] = node.children;
    cls(node, `tile ${tile.lamp}`);
    const [spark, note] = figure.children[2].children;
    text(label, tile.label);
    // A long unit would run into the curve: it goes below it, with the tile's period.
    const short = tile.unit.length <= 2;
    text(note, [short ? "" : tile.unit, tile.note].filter(Boolean).join(" · "));
    roll(figure.children[0], tile.value);
    text(figure.children[1], short ? tile.unit : "");
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
    const [by, than, lamp] = tile.change || ["", "", ""];
    text(change.children[0], by);
    cls(change.children[0], lamp);
    text(change.children[1], than);
  }

  setRanking() {
    const ranking = this.data?.ranking;
    show(this.ranking.box, ranking);
    if (!ranking) return;
    const pages = Math.max(1, Math.ceil(ranking.bars.length / ROWS));
    // The last page is filled up from before: no half-empty panel.
    const first = Math.max(0, Math.min((this.page % pages) * ROWS, ranking.bars.length - ROWS));
    const shown = ranking.bars.slice(first, first + ROWS);
    text(this.ranking.title, ranking.title);
    text(this.ranking.aside, pages > 1 ? `${first + 1}–${first + shown.length} / ${ranking.bars.length}` : ranking.unit);
    fill(this.bars, shown,
      () => el("div", "bar", el("span", "rank"), el("span", "label"), el("span", "track", el("i", "fill"), el("i", "whisker")), el("span", "value")),
      (node, bar) => {
        const [rank, label, track, value] = node.children;
        text(rank, bar.rank || "–");
        text(label, bar.label);
        cls(track.children[0], `fill ${bar.lamp}`);
        track.children[0].style.width = `${bar.at ?? 0}%`;
        show(track.children[1], bar.low !== null && bar.high !== null);
        if (bar.low !== null && bar.high !== null) {
          track.children[1].style.left = `${bar.low}%`;
          track.children[1].style.right = `${100 - bar.high}%`;
        }
        cls(value, bar.at === null ? "value none" : "value");
        text(value, bar.text);
      });
    show(this.rule, ranking.target);
    if (ranking.target) {
      this.rule.style.left = `${ranking.target[0]}%`;
      text(this.rule.firstElementChild, ranking.target[1]);
    }
  }

  turn() {
    if (!this.data?.ranking || this.data.ranking.bars.length <= ROWS) return;
    this.page += 1;
    this.setRanking();
  }

  setTrend(trend) {
    show(this.trend.box, trend);
    if (!trend) return;
    text(this.trend.title, trend.title);
    text(this.trend.aside, trend.aside);
    const slot = 100 / Math.max(trend.labels.length, 1);
    fill(this.legend, trend.series, () => el("span", "", el("i"), el("span")), (node, series, index) => {
      cls(node.children[0], `key ${series.mark} s${index}`);
      text(node.children[1], series.name);
    });
    fill(this.ticks, trend.ticks, () => el("div", "tick", el("span")), (node, [at, label]) => {
      node.style.bottom = `${at}%`;
      text(node.firstElementChild, label);
    });
    const every = Math.max(1, Math.ceil(trend.labels.length / 6));
    const named = trend.labels.map((label, index) => [label, index]).filter(([, index]) => index % every === 0);
    fill(this.xs, named, () => el("span"), (node, [label, index]) => {
      node.style.left = `${(index + 0.5) * slot}%`;
      text(node, label);
    });
    const drawn = [];
    trend.series.forEach((series, index) => {
      const d = path(series.points, slot, slot / 2, (y) => 100 - y);
      if (index === 0) {
        const at = series.points.map((y, i) => [y, i]).filter(([y]) => y !== null);
        if (at.length) drawn.push([`${d}L${((at.at(-1)[1] + 0.5) * slot).toFixed(2)},100L${((at[0][1] + 0.5) * slot).toFixed(2)},100Z`, "area"]);
        show(this.dot, at.length);
        if (at.length) {
          this.dot.style.left = `${(at.at(-1)[1] + 0.5) * slot}%`;
          this.dot.style.top = `${100 - at.at(-1)[0]}%`;
        }
      }
      drawn.push([d, `line ${series.mark} s${index}`]);
    });
    fill(this.lines, drawn, () => svg("path"), (node, [d, name]) => { attr(node, "d", d); cls(node, name); });
  }

  async setMap(map) {
    show(this.map.box, map);
    if (!map) return;
    text(this.map.title, map.title);
    text(this.map.aside, map.note);
    attr(this.picture, "viewBox", `0 0 ${map.width} ${map.height}`);
    const legend = [["", map.legend], ...map.classes];
    for (const [gap, word] of map.gaps) legend.push([gap, word || this.data.words.no_data]);
    fill(this.classes, legend, () => el("span", "", el("i"), el("span")), (node, [level, label]) => {
      cls(node.children[0], level === "" ? "" : `swatch c${level}`);
      text(node.children[1], label);
    });
    fill(this.labels, map.labels, () => svg("text", { class: "label" }), (node, [label, x, y]) => {
      text(node, label); attr(node, "x", x); attr(node, "y", y + 5);
    });
    fill(this.marks, map.marks, () => {
      const mark = svg("g", { class: "mark" });
      mark.append(svg("circle", { class: "halo" }), svg("circle", { class: "ring" }), svg("text"));
      return mark;
    }, (node, [number, x, y, r]) => {
      for (const circle of [node.children[0], node.children[1]]) { attr(circle, "cx", x); attr(circle, "cy", y); attr(circle, "r", r); }
      text(node.children[2], number); attr(node.children[2], "x", x); attr(node.children[2], "y", y - r - 4);
    });
    if (this.geometry !== map.key && this.fetching !== map.key) {
      this.fetching = map.key;
      try {
        const reply = await fetch(`${this.base}/geometry/${map.key}.json`);
        if (!reply.ok) throw new Error(String(reply.status));
        const shapes = await reply.json();
        fill(this.cells, shapes.cells, () => svg("path"), (node, d) => attr(node, "d", d));
        fill(this.borders, shapes.borders, () => svg("path", { class: "border" }), (node, d) => attr(node, "d", d));
        this.geometry = map.key;
      } catch { /* the next beat asks again */ }
      this.fetching = null;
      map = this.data.map;
    }
    if (map && this.geometry === map.key)
      for (let i = 0; i < this.cells.children.length; i++)
        cls(this.cells.children[i], `cell c${GAPS[map.levels[i]] ?? map.levels[i]}`);
  }

  /** Rows move by identity: a new matter slides in on top, the others keep their nodes. */
  setFeed(panel, feed, name) {
    show(panel.box, feed);
    if (!feed) return;
    text(panel.title, feed.title);
    text(panel.aside, feed.note);
    let list = panel.body.querySelector("ul"), empty = panel.body.querySelector(".empty");
    if (!list) {
      list = el("ul"); empty = el("p", "empty");
      panel.body.append(list, empty);
    }
    text(empty, feed.items.length ? "" : feed.empty || this.data.words.nothing);
    const had = new Map([...list.children].map((node) => [node.dataset.key, node]));
    const first = had.size === 0;
    const seen = new Map();
    feed.items.forEach(([time, place, what, state, lamp], index) => {
      const same = `${time}|${place}|${what}`;
      const times = seen.get(same) || 0;
      seen.set(same, times + 1);
      const key = `${same}|${times}`;
      let node = had.get(key);
      had.delete(key);
      if (!node) {
        node = el("li", first ? "" : "enter", el("time"), el("b"), el("span", "what"), el("span", "tag"));
        node.dataset.key = key;
      }
      if (list.children[index] !== node) list.insertBefore(node, list.children[index] || null);
      node.dataset.lamp = lamp;
      text(node.children[0], time); show(node.children[0], time);
      text(node.children[1], place); show(node.children[1], place);
      text(node.children[2], what);
      text(node.children[3], state); show(node.children[3], state);
      cls(node.children[3], `tag ${lamp}`);
    });
    had.forEach((node) => node.remove());
  }

  siteNow() {
    return this.data.stopped ? Date.parse(this.data.now + "Z") : this.offset + performance.now();
  }

  tick() {
    const gone = performance.now() - this.heard > LOST_AFTER;
    if (!this.data) return;
    const now = new Date(this.siteNow());
    const locale = this.data.lang === "zh" ? "zh-CN" : "en-GB";
    text(this.time, now.toISOString().slice(11, 19));
    const day = (options) => now.toLocaleDateString(locale, { ...options, timeZone: "UTC" });
    text(this.date, this.data.lang === "zh"
      ? `${day({ year: "numeric", month: "long", day: "numeric" })} ${day({ weekday: "long" })}`
      : day({ weekday: "short", year: "numeric", month: "short", day: "numeric" }));
    this.setSources(now.getTime());
    cls(this.lost, gone ? "lost on" : "lost");
    text(this.lost, gone ? this.data.words.lost.replace("{time}", this.data.now.slice(11, 16)) : "");
    if (gone && performance.now() - this.heard > 45_000) this.recover();
    // A long-running page is made new once a night, when nobody looks.
    if (!gone && now.getUTCHours() === RELOAD_HOUR && performance.now() > 2 * 3600_000) location.reload();
  }

  setSources(now) {
    const words = this.data.words;
    fill(this.sources, this.data.sources?.items || [],
      () => el("div", "source", el("i", "lamp"), el("span", "label"), el("em"), el("b")),
      (node, [label, last, allowed, lamp]) => {
        const seconds = last ? Math.max(0, (now - Date.parse(last + "Z")) / 1000) : NaN;
        const state = Number.isNaN(seconds) ? (last ? lamp : "none") : seconds > Number(allowed) * 3600 ? "off" : "good";
        const age = Number.isNaN(seconds) ? last || words.never
          : seconds < 90 ? `${Math.floor(seconds)} ${words.seconds}` : seconds < 5400 ? `${Math.floor(seconds / 60)} ${words.minutes}`
          : seconds < 172_800 ? `${Math.floor(seconds / 3600)} ${words.hours}` : `${Math.floor(seconds / 86_400)} ${words.days}`;
        cls(node, `source ${state}`);
        cls(node.children[0], `lamp ${state}`);
        text(node.children[1], label);
        text(node.children[2], state === "off" ? words.stale : "");
        text(node.children[3], age);
      });
  }

  /** The server answers again but this page hears nothing: start over. */
  async recover() {
    if (this.asking || performance.now() - (this.asked || 0) < 10_000) return;
    this.asking = true;
    this.asked = performance.now();
    try {
      const reply = await fetch(`${this.base}/_stcore/health`, { cache: "no-store" });
      if (reply.ok && ++this.failing > 1) location.reload();
    } catch { this.failing = 0; }
    this.asking = false;
  }
}

const walls = new WeakMap();
export default function (component) {
  const { data, parentElement } = component;
  let wall = walls.get(parentElement);
  if (!wall) {
    wall = new Wall(parentElement, data);
    walls.set(parentElement, wall);
  }
  wall.update(data);
}
