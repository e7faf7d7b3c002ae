// The wall's panels, one class per kind of block. Nodes are made once and patched: nothing blinks, figures roll.
// Texts are set as text, never as markup.
const NS = "http://www.w3.org/2000/svg";
const ROW = 29;
const GAPS = { e: "empty", u: "unobserved", i: "inapplicable", s: "suppressed" };

export const el = (name, cls, ...children) => {
  const node = document.createElement(name);
  if (cls) node.className = cls;
  node.append(...children);
  return node;
};
export const svg = (name, attributes = {}) => {
  const node = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
};
export const text = (node, value) => { if (node.textContent !== (value ?? "")) node.textContent = value ?? ""; };
export const attr = (node, key, value) => { if (node.getAttribute(key) !== String(value)) node.setAttribute(key, value); };
export const cls = (node, value) => { if (node.getAttribute("class") !== value) node.setAttribute("class", value); };
export const show = (node, on) => { const to = on ? "" : "none"; if (node.style.display !== to) node.style.display = to; };

/** Make `box` hold exactly as many children as there are items, keeping those it has, then fill each. */
export function fill(box, items, make, set) {
  while (box.children.length > items.length) box.lastElementChild.remove();
  while (box.children.length < items.length) box.append(make());
  items.forEach((item, index) => set(box.children[index], item, index));
}

/** Rows that would be cut through by the end of their box are left out. */
export function whole(box, across = false) {
  for (const row of box.children) row.classList.remove("over");
  const end = across ? box.clientWidth : box.clientHeight;
  for (const row of box.children)
    row.classList.toggle("over", (across ? row.offsetLeft + row.offsetWidth : row.offsetTop + row.offsetHeight) > end + 1);
}

const NUMBER = /^-?[\d,]+(\.\d+)?$/;
export function roll(node, value) {
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

export function path(points, step, offset = 0, flip = (y) => y) {
  let out = "", open = false;
  points.forEach((y, index) => {
    if (y === null || y === undefined) { open = false; return; }
    out += `${open ? "L" : "M"}${(offset + index * step).toFixed(2)},${flip(y).toFixed(2)}${open ? "" : "h0.01"}`;
    open = true;
  });
  return out;
}

/** Where each mark's number stands, by number: above its ring or, where another number, ring or name is, beside or below it. */
function besides(marks, labels) {
  const clear = (a, b) => a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1];
  const wide = (said) => [...said].reduce((sum, one) => sum + (one > "\u2e7f" ? 20 : 11.2), 0);
  const taken = labels.map(([said, x, y]) => [x - wide(said) / 2, y - 12, x + wide(said) / 2, y + 12]);
  const rings = marks.map(([number, x, y, r]) => [number, [x - r, y - r, x + r, y + r]]);
  const places = new Map();
  for (const [number, x, y, r] of marks) {
    const half = number.length * 5.5;
    const tried = [[x, y - r - 4], [x + r + half + 3, y + 7], [x - r - half - 3, y + 7], [x, y + r + 19]];
    const box = ([across, down]) => [across - half, down - 17, across + half, down + 2];
    const free = (place) => taken.every((one) => clear(one, box(place))) && rings.every(([other, ring]) => other === number || clear(ring, box(place)));
    const place = tried.find(free) || tried.find((one) => taken.every((other) => clear(other, box(one)))) || tried[0];
    taken.push(box(place));
    places.set(number, place);
  }
  return places;
}

/** A titled box. `stale` says, in place of what stands beside the title, that its data is older than allowed. */
class Panel {
  constructor(kind, area, wall) {
    this.kind = kind;
    this.wall = wall;
    this.title = el("h2");
    this.aside = el("span", "aside");
    this.late = el("span", "late");
    this.body = el("div", "body");
    this.box = el("section", `panel ${kind} ${area}`, el("header", "", this.title, this.aside, this.late), this.body);
    this.box.style.gridArea = area;
    this.stale("");
  }

  update(block) {
    this.block = block;
    text(this.title, block.title);
    text(this.aside, block.aside);
    this.draw(block);
  }

  stale(line) {
    show(this.late, line);
    show(this.aside, !line);
    text(this.late, line);
    this.box.classList.toggle("old", !!line);
  }

  draw() {}
  fit() { if (this.block) this.draw(this.block); }
  turn() {}
}

class Words extends Panel {
  draw(block) {
    this.line ??= this.body.appendChild(el("p", "words"));
    text(this.line, block.text);
  }
}

class Bars extends Panel {
  constructor(...given) {
    super(...given);
    this.page = 0;
    this.rule = el("div", "rule", el("em"));
    this.track = el("div", "overlay", this.rule);
    this.rows = el("div", "bars");
    this.body.append(this.rows, this.track);
  }

  draw(block) {
    const room = Math.max(1, Math.floor((this.body.clientHeight - (block.target ? 20 : 0)) / ROW));
    const pages = Math.max(1, Math.ceil(block.bars.length / room));
    // The last page is filled up from before: no half-empty panel.
    const first = Math.max(0, Math.min((this.page % pages) * room, block.bars.length - room));
    const shown = block.bars.slice(first, first + room);
    text(this.aside, pages > 1 ? `${first + 1}–${first + shown.length} / ${block.bars.length}` : block.aside);
    cls(this.rows, `bars${block.bars.some(([, rank]) => rank) ? " ranked" : ""}${block.target ? " aimed" : ""}`);
    fill(this.rows, shown,
      () => el("div", "bar", el("span", "rank"), el("span", "label"), el("span", "track", el("i", "fill"), el("i", "whisker")), el("span", "value")),
      (node, [name, place, figure, lamp, at, low, high]) => {
        const [rank, label, track, value] = node.children;
        text(rank, place || "–");
        text(label, name);
        cls(track.children[0], `fill ${lamp}`);
        track.children[0].style.width = `${at ?? 0}%`;
        show(track.children[1], low !== null && high !== null);
        if (low !== null && high !== null) {
          track.children[1].style.left = `${low}%`;
          track.children[1].style.right = `${100 - high}%`;
        }
        cls(value, at === null ? "value none" : "value");
        text(value, figure);
      });
    const lane = this.rows.firstElementChild?.children[2];
    show(this.track, block.target && lane);
    if (block.target && lane) {
      this.track.style.left = `${lane.offsetLeft}px`;
      this.track.style.width = `${lane.offsetWidth}px`;
      this.rule.style.left = `${block.target[0]}%`;
      text(this.rule.firstElementChild, block.target[1]);
    }
  }

  turn() {
    this.page += 1;
    this.fit();
  }
}

class Lines extends Panel {
  constructor(...given) {
    super(...given);
    this.legend = el("p", "legend");
    this.ticks = el("div", "ticks");
    this.xs = el("div", "xs");
    this.lines = svg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none" });
    this.dot = el("i", "dot");
    this.goal = el("div", "goal");
    this.plot = el("div", "plot", this.ticks, this.goal, this.lines, this.dot);
    this.body.append(this.legend, this.plot, this.xs);
  }

  draw(block) {
    const slot = 100 / Math.max(block.labels.length, 1);
    const named = block.series.length > 1 ? block.series.map(([name, mark], index) => [name, `${mark} s${index}`]) : [];
    if (block.target) named.push([block.target[1], "aim"]);
    show(this.legend, named.length);
    fill(this.legend, named, () => el("span", "", el("i"), el("span")), (node, [name, mark]) => {
      cls(node.children[0], `key ${mark}`);
      text(node.children[1], name);
    });
    const wide = Math.max(0, ...block.ticks.map(([, label]) => label.length));
    this.body.style.setProperty("--axis", `${wide * 10.5 + 14}px`);
    fill(this.ticks, block.ticks, () => el("div", "tick", el("span")), (node, [at, label]) => {
      node.style.bottom = `${at}%`;
      text(node.firstElementChild, label);
    });
    show(this.goal, block.target);
    if (block.target) this.goal.style.bottom = `${block.target[0]}%`;
    const each = Math.max(...block.labels.map((label) => label.length), 1) * 10.5 + 26;
    const every = Math.max(1, Math.ceil(block.labels.length / Math.max(1, Math.floor((this.plot.clientWidth || 400) / each))));
    const told = block.labels.map((label, index) => [label, index]).filter(([, index]) => index % every === 0);
    fill(this.xs, told, () => el("span"), (node, [label, index]) => {
      node.style.left = `${(index + 0.5) * slot}%`;
      text(node, label);
    });
    const drawn = [];
    show(this.dot, false);
    block.series.forEach(([, mark, points], index) => {
      const d = path(points, slot, slot / 2, (y) => 100 - y);
      const at = points.map((y, i) => [y, i]).filter(([y]) => y !== null);
      if (index === 0 && at.length) {
        drawn.push([`${d}L${((at.at(-1)[1] + 0.5) * slot).toFixed(2)},100L${((at[0][1] + 0.5) * slot).toFixed(2)},100Z`, "area"]);
        show(this.dot, true);
        this.dot.style.left = `${(at.at(-1)[1] + 0.5) * slot}%`;
        this.dot.style.top = `${100 - at.at(-1)[0]}%`;
      }
      drawn.push([d, `line ${mark} s${index}`]);
    });
    fill(this.lines, drawn, () => svg("path"), (node, [d, name]) => { attr(node, "d", d); cls(node, name); });
  }
}

class Ground extends Panel {
  constructor(...given) {
    super(...given);
    this.picture = svg("svg", { class: "picture" });
    this.cells = svg("g"); this.borders = svg("g"); this.labels = svg("g"); this.marks = svg("g");
    this.picture.append(this.cells, this.borders, this.labels, this.marks);
    this.classes = el("p", "classes");
    this.names = el("p", "names");
    this.body.append(this.picture, this.names, this.classes);
  }

  draw(map) {
    attr(this.picture, "viewBox", `0 0 ${map.width} ${map.height}`);
    const legend = [["", map.legend], ...map.classes];
    for (const [gap, word] of map.gaps) legend.push([gap, word || this.wall.words.no_data]);
    fill(this.classes, legend, () => el("span", "", el("i"), el("span")), (node, [level, label]) => {
      cls(node.children[0], level === "" ? "" : `swatch c${level}`);
      text(node.children[1], label);
    });
    fill(this.names, map.names, () => el("span", "", el("i"), el("span")), (node, [number, name]) => {
      text(node.children[0], number);
      text(node.children[1], name);
    });
    fill(this.labels, map.labels, () => svg("text", { class: "label" }), (node, [label, x, y]) => {
      text(node, label); attr(node, "x", x); attr(node, "y", y + 6);
    });
    const places = besides(map.marks, map.labels);
    fill(this.marks, map.marks, () => {
      const mark = svg("g", { class: "mark" });
      mark.append(svg("circle", { class: "halo" }), svg("circle", { class: "ring" }), svg("text"));
      return mark;
    }, (node, [number, x, y, r]) => {
      for (const circle of [node.children[0], node.children[1]]) { attr(circle, "cx", x); attr(circle, "cy", y); attr(circle, "r", r); }
      const [across, down] = places.get(number);
      text(node.children[2], number); attr(node.children[2], "x", across); attr(node.children[2], "y", down);
    });
    if (this.geometry === map.key) return this.paint();
    this.fetchShapes(map.key);
  }

  async fetchShapes(key) {
    if (this.fetching === key) return;
    this.fetching = key;
    try {
      const reply = await fetch(`${this.wall.base}/geometry/${key}.json`);
      if (!reply.ok) throw new Error(String(reply.status));
      const shapes = await reply.json();
      fill(this.cells, shapes.cells, () => svg("path"), (node, d) => attr(node, "d", d));
      fill(this.borders, shapes.borders, () => svg("path", { class: "border" }), (node, d) => attr(node, "d", d));
      this.geometry = key;
      this.paint();
    } catch { /* asked again at the next beat */ }
    this.fetching = null;
  }

  paint() {
    if (this.geometry !== this.block.key) return;
    for (let i = 0; i < this.cells.children.length; i++)
      cls(this.cells.children[i], `cell c${GAPS[this.block.levels[i]] ?? this.block.levels[i]}`);
  }

  get complete() { return !this.block || this.geometry === this.block.key; }
}

class List extends Panel {
  constructor(...given) {
    super(...given);
    this.list = el("ul");
    this.empty = el("p", "empty");
    this.body.append(this.list, this.empty);
  }

  /** Rows move by identity: a new matter slides in on top, the others keep their nodes. */
  draw(feed) {
    const items = [...(this.before || []), ...feed.items];
    text(this.aside, this.before?.length ? this.wall.words.alerts_open.replace("{count}", items.length) : feed.aside);
    text(this.empty, items.length ? "" : feed.empty || this.wall.words.nothing);
    const had = new Map([...this.list.children].map((node) => [node.dataset.key, node]));
    const first = had.size === 0;
    const seen = new Map();
    items.forEach(([time, place, what, state, lamp], index) => {
      const same = `${time}|${place}|${what}`;
      const times = seen.get(same) || 0;
      seen.set(same, times + 1);
      const key = `${same}|${times}`;
      let node = had.get(key);
      had.delete(key);
      if (!node) {
        node = el("li", first ? "" : "enter", el("time"), el("b"), el("span", "tag"), el("span", "what"));
        node.dataset.key = key;
      }
      if (this.list.children[index] !== node) this.list.insertBefore(node, this.list.children[index] || null);
      node.dataset.lamp = lamp;
      text(node.children[0], time); show(node.children[0], time);
      text(node.children[1], place); show(node.children[1], place);
      text(node.children[2], state); show(node.children[2], state);
      cls(node.children[2], `tag ${lamp}`);
      text(node.children[3], what);
    });
    had.forEach((node) => node.remove());
    whole(this.list);
  }

  /** Alerts the wall finds by its own clock come first. */
  lead(items) {
    if (JSON.stringify(items) === JSON.stringify(this.before || [])) return;
    this.before = items;
    this.fit();
  }
}

class Rows extends Panel {
  constructor(...given) {
    super(...given);
    this.head = el("div", "row head");
    this.rows = el("div", "rows");
    this.empty = el("p", "empty");
    this.body.append(this.head, this.rows, this.empty);
  }

  draw(table) {
    show(this.head, table.rows.length);
    text(this.empty, table.rows.length ? "" : table.empty);
    const widest = table.columns.map(([label], index) => [label, ...table.rows.map(([cells]) => cells[index])]);
    fill(this.head, [["", ""], ...table.columns], () => el("span"), (node, [label, align]) => { text(node, label); cls(node, align); });
    // A narrow column is as wide as its widest text, the others share what is left.
    const room = widest.map((texts) => Math.max(...texts.map((each) => [...each].reduce((sum, one) => sum + (one > "\u2e7f" ? 18 : 10.4), 4))));
    this.body.style.setProperty("--columns", `20px ${table.columns.map(([, align, width], index) => align === "right" || width < 1.5 ? `${room[index]}px` : "minmax(0,1fr)").join(" ")}`);
    fill(this.rows, table.rows, () => el("div", "row", el("i", "lamp")), (node, [cells, lamp]) => {
      cls(node.firstElementChild, `lamp ${lamp}`);
      while (node.children.length > cells.length + 1) node.lastElementChild.remove();
      while (node.children.length < cells.length + 1) node.append(el("span"));
      cells.forEach((cell, index) => { text(node.children[index + 1], cell); cls(node.children[index + 1], table.columns[index][1]); });
    });
    whole(this.rows);
  }
}

const KINDS = { ranking: Bars, trend: Lines, map: Ground, feed: List, table: Rows, note: Words, tiles: Words };
export const panel = (kind, area, wall) => new (KINDS[kind] || Words)(kind, area, wall);
