"use strict";
// Draws one plot of `data` (made by report_page.py) as SVG: marks on two axes.
const DASHES = ["", "7 4", "2 3", "9 3 2 3"];
const SHAPES = [
  null, // a circle
  [[-.9, -.9], [.9, -.9], [.9, .9], [-.9, .9]],
  [[0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]],
  [[0, -1.2], [1.2, .9], [-1.2, .9]],
  [[0, 1.2], [1.2, -.9], [-1.2, -.9]],
  [[-.4, -1.2], [.4, -1.2], [.4, -.4], [1.2, -.4], [1.2, .4], [.4, .4], [.4, 1.2], [-.4, 1.2], [-.4, .4], [-1.2, .4], [-1.2, -.4], [-.4, -.4]],
];
const colour = k => `var(--s${k % 6})`;
const dash = k => DASHES[k % DASHES.length];
const one = (value, i) => Array.isArray(value) ? value[i] : value;

function node(parent, name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  if (text !== undefined) made.textContent = text;
  parent.appendChild(made);
  return made;
}

// The outline of an architecture's marker. Those that share a colour differ in shape.
function marker(k, x, y, r) {
  const shape = SHAPES[(k + Math.floor(k / 6)) % SHAPES.length];
  if (!shape) return `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`;
  return `M${shape.map(([a, b]) => `${(x + a * r).toFixed(1)} ${(y + b * r).toFixed(1)}`).join("L")}Z`;
}

function compact(v, digits) {
  if (v >= 1e12) return v.toExponential(1).replace("e+", "e");
  const [by, unit] = v >= 1e9 ? [1e9, "B"] : v >= 1e6 ? [1e6, "M"] : v >= 1e3 ? [1e3, "k"] : [1, ""];
  return +(v / by).toPrecision(digits) + unit;
}

function ticks(low, high, log, count) {
  if (log) {
    for (const few of [[1], [1, 3], [1, 2, 5], [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9]]) {
      const found = [];
      for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); e++)
        for (const m of few) { const v = +(m * 10 ** e).toPrecision(6); if (v >= low && v <= high) found.push(v); }
      if (found.length > 2) return found;
    }
  }
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(m => m * power).find(s => s >= raw), found = [];
  for (let v = Math.ceil(low / step) * step; v <= high + step * 1e-9; v += step) found.push(+v.toPrecision(10));
  return found;
}

// From a value to its place between two pixels, and back.
function scale([low, high], log, from, to) {
  const f = log ? Math.log : v => v, a = f(low), b = f(high);
  const at = v => from + (f(v) - a) / (b - a) * (to - from);
  at.back = p => { const v = a + (p - from) / (to - from) * (b - a); return log ? Math.exp(v) : v; };
  return Object.assign(at, { low, high, from, to });
}

function range(values, log, pad) {
  // No spread syntax: an engine takes some 100,000 arguments, and a table may have more runs.
  const f = log ? Math.log : v => v, back = log ? Math.exp : v => v;
  const low = values.reduce((least, v) => Math.min(least, f(v)), Infinity);
  const high = values.reduce((most, v) => Math.max(most, f(v)), -Infinity);
  const more = (high - low || Math.abs(high) || 1) * pad;
  return [back(low - more), back(high + more)];
}

// What the axes show: [[x, x], [y, y]]. Bands and bars may lie beyond.
function extent(plot, marks, state) {
  const ends = marks.filter(m => m.kind === "points" && m.low).flatMap(m => [...m.low, ...m.high]);
  const ys = marks.flatMap(m => m.y).concat(ends).filter(v => v !== null && (!state.logY || v > 0));
  let y = range(ys, state.logY, .08);
  if (plot.percent) { const most = Math.max(Math.abs(y[0]), Math.abs(y[1])); y = [-most, most]; }
  return [range(marks.flatMap(m => m.x), state.logX, .04), y];
}

// state: {logX, logY, hidden: numbers of architectures, view: what the axes show or null for all}.
// Returns the SVG, its scales and what is seen on it.
function draw(parent, id, plot, state, width, height) {
  const seen = plot.marks.filter(m => !state.hidden.has(m.k)), marks = seen.length ? seen : plot.marks;
  const left = 54, right = 14, top = 30, bottom = 44, [ofX, ofY] = state.view || extent(plot, marks, state);
  const x = scale(ofX, state.logX, left, width - right), y = scale(ofY, state.logY, height - bottom, top);
  const svg = node(parent, "svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": plot.title });
  const clip = node(node(svg, "defs", {}), "clipPath", { id });
  node(clip, "rect", { x: left, y: top, width: width - left - right, height: height - top - bottom });
  // As many digits as tell one tick from the next.
  const digits = ([low, high]) => Math.ceil(Math.log10(Math.max(Math.abs(low), high) / (high - low))) + 2;
  for (const v of ticks(...ofX, state.logX, width / 110)) {
    node(svg, "line", { class: "grid", x1: x(v), x2: x(v), y1: top, y2: height - bottom });
    node(svg, "text", { x: x(v), y: height - bottom + 17, "text-anchor": "middle" }, compact(v, Math.max(3, digits(ofX))));
  }
  for (const v of ticks(...ofY, state.logY, 5)) {
    const said = plot.percent ? +(100 * v).toPrecision(3) + " %" : String(+v.toPrecision(Math.max(4, digits(ofY))));
    node(svg, "line", { class: "grid", x1: left, x2: width - right, y1: y(v), y2: y(v) });
    node(svg, "text", { x: left - 7, y: y(v) + 4, "text-anchor": "end" }, said);
  }
  const named = (axis, log) => axis + (log ? ", log scale" : "");
  node(svg, "text", { x: (left + width - right) / 2, y: height - 8, "text-anchor": "middle" }, named(plot.x, state.logX));
  node(svg, "text", { x: 12, y: 18 }, named(plot.y, state.logY));
  const inside = node(svg, "g", { "clip-path": `url(#${id})` });
  if (plot.percent) node(inside, "line", { x1: left, x2: width - right, y1: y(0), y2: y(0), stroke: "var(--soft)" });
  for (const m of seen) mark(node(inside, "g", { class: `mark ${m.kind}`, "data-k": m.k }), m, x, y);
  return { svg, x, y, seen, width, height };
}

// y of an end that may be open, or not above 0 on a logarithmic axis, as far out as it need be.
const far = (y, v, open) => {
  const p = v === null ? open : y(v);
  return Number.isNaN(p) ? 1e4 : Math.max(-1e4, Math.min(1e4, p));
};

function path(xs, ys, x, y) {
  return xs.map((v, i) => `${i ? "L" : "M"}${x(v).toFixed(1)} ${far(y, ys[i], -1e4).toFixed(1)}`).join("");
}

function mark(parent, m, x, y) {
  const paint = colour(m.k), stroke = { stroke: paint, fill: "none" };
  if (m.kind === "band") {
    const upper = path(m.x, m.high, x, y), lower = path([...m.x].reverse(), [...m.low].reverse(), x, y);
    node(parent, "path", { d: upper + lower.replace("M", "L") + "Z", fill: paint, "fill-opacity": .14 });
    for (const edge of [m.low, m.high]) node(parent, "path", { ...stroke, d: path(m.x, edge, x, y), "stroke-dasharray": "1 3" });
  } else if (m.kind === "line") {
    node(parent, "path", { ...stroke, d: path(m.x, m.y, x, y), "stroke-width": m.thin ? 1 : 2, "stroke-dasharray": dash(m.k) });
  } else if (m.kind === "bar") {
    const at = x(m.x[0]) + 9;
    node(parent, "path", { ...stroke, d: `M${at} ${far(y, m.low, 1e4)}V${far(y, m.high, -1e4)}`, "stroke-width": 2, "stroke-dasharray": "4 3" });
    node(parent, "path", { ...stroke, d: `M${at - 5} ${y(m.y[0])}h10`, "stroke-width": 2 });
  } else if (m.kind === "best") {
    node(parent, "path", { d: `M${x(m.x[0])} ${y(m.y[0]) + 1}l-6 11h12z`, fill: paint });
  } else {
    m.x.forEach((v, i) => {
      if (m.low) node(parent, "path", { ...stroke, class: "error", d: `M${x(v)} ${far(y, m.low[i], 1e4)}V${far(y, m.high[i], -1e4)}` });
      node(parent, "path", { class: "point", d: marker(m.k, x(v), y(m.y[i]), 4), fill: paint, stroke: "var(--card)" });
    });
  }
}
