"use strict";
// Draws `data` (made by report_page.py) as SVG. Every plot is a list of marks on two axes.
const tip = document.getElementById("tip");
const colour = k => `var(--s${k % 6})`;
const compact = v => v >= 1e9 ? +(v / 1e9).toPrecision(3) + "B" : v >= 1e6 ? +(v / 1e6).toPrecision(3) + "M"
  : v >= 1e3 ? +(v / 1e3).toPrecision(3) + "k" : String(+v.toPrecision(3));
const big = v => v >= 1e12 ? v.toExponential(1).replace("e+", "e") : compact(v);

function node(parent, name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  if (text !== undefined) made.textContent = text;
  parent.appendChild(made);
  return made;
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

// marks: {kind: "points"|"line"|"band"|"bar", k: colour index, x, y, low, high, tips}
function plot(id, marks, options) {
  const box = document.getElementById(id);
  if (!marks.some(m => m.x.length)) { box.closest("section").hidden = true; return; }
  box.replaceChildren();
  const legend = box.appendChild(document.createElement("div"));
  legend.className = "legend";
  data.archs.forEach((arch, k) => {
    const item = legend.appendChild(document.createElement("span"));
    item.appendChild(document.createElement("i")).style.background = colour(k);
    item.append(arch);
  });
  const width = Math.max(box.clientWidth, 280), height = Math.round(Math.min(440, Math.max(260, width * .6)));
  const left = 58, right = 14, top = 14, bottom = 46;
  const xs = marks.flatMap(m => m.x), ys = marks.flatMap(m => m.y).filter(v => v !== null);
  const fx = Math.log, fy = options.log_y ? Math.log : v => v;
  const range = (values, f, pad) => {
    // No spread syntax: an engine takes some 100,000 arguments, and a table may have more runs.
    const low = values.reduce((least, v) => Math.min(least, f(v)), Infinity);
    const high = values.reduce((most, v) => Math.max(most, f(v)), -Infinity), more = (high - low || 1) * pad;
    return [low - more, high + more];
  };
  const [x0, x1] = range(xs, fx, .04);
  let [y0, y1] = range(ys, fy, .08);
  if (options.percent) { y1 = Math.max(Math.abs(y0), Math.abs(y1)); y0 = -y1; }
  const px = v => left + (fx(v) - x0) / (x1 - x0) * (width - left - right);
  const py = v => height - bottom - (fy(v) - y0) / (y1 - y0) * (height - top - bottom);
  const svg = node(box, "svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": options.title });
  const clip = node(node(svg, "defs", {}), "clipPath", { id: "clip-" + id });
  node(clip, "rect", { x: left, y: top, width: width - left - right, height: height - top - bottom });
  const back = f => f === Math.log ? Math.exp : v => v;
  for (const v of ticks(Math.exp(x0), Math.exp(x1), true, 5)) {
    node(svg, "line", { class: "grid", x1: px(v), x2: px(v), y1: top, y2: height - bottom });
    node(svg, "text", { x: px(v), y: height - bottom + 17, "text-anchor": "middle" }, big(v));
  }
  for (const v of ticks(back(fy)(y0), back(fy)(y1), options.log_y, 5)) {
    node(svg, "line", { class: "grid", x1: left, x2: width - right, y1: py(v), y2: py(v) });
    node(svg, "text", { x: left - 7, y: py(v) + 4, "text-anchor": "end" }, options.percent ? +(100 * v).toPrecision(3) + " %" : String(+v.toPrecision(4)));
  }
  node(svg, "text", { x: (left + width - right) / 2, y: height - 9, "text-anchor": "middle" }, options.x);
  node(svg, "text", { x: 0, y: 0, "text-anchor": "middle", transform: `translate(14 ${(top + height - bottom) / 2}) rotate(-90)` }, options.y);
  const inside = node(svg, "g", { "clip-path": `url(#clip-${id})` });
  const far = v => Math.max(-1e4, Math.min(1e4, v));
  const path = (x, y) => x.map((v, i) => `${i ? "L" : "M"}${px(v).toFixed(1)} ${far(y[i] > 0 || !options.log_y ? py(y[i]) : 1e4).toFixed(1)}`).join("");
  const targets = [];
  for (const m of marks) {
    const paint = colour(m.k);
    if (m.kind === "band") {
      const high = m.high.map(v => v === null ? 1e9 : v);
      const upper = path(m.x, high), lower = path([...m.x].reverse(), [...m.low].reverse());
      node(inside, "path", { d: upper + lower.replace("M", "L") + "Z", fill: paint, opacity: .16 });
    } else if (m.kind === "line") {
      node(inside, "path", { d: path(m.x, m.y), fill: "none", stroke: paint, "stroke-width": m.thin ? 1 : 2, opacity: m.thin ? .55 : 1 });
    } else if (m.kind === "bar") {
      node(inside, "path", { d: `M${px(m.x[0]) + 7} ${far(py(m.low))}V${far(py(m.high === null ? 1e9 : m.high))}`, stroke: paint, "stroke-width": 2, "stroke-dasharray": "4 3" });
      node(inside, "path", { d: `M${px(m.x[0]) + 2} ${py(m.y[0])}h10`, stroke: paint, "stroke-width": 2 });
    } else if (m.kind === "best") {
      node(inside, "path", { d: `M${px(m.x[0])} ${py(m.y[0]) + 1}l-6 11h12z`, fill: paint });
    } else {
      m.x.forEach((v, i) => node(inside, "circle", { cx: px(v), cy: py(m.y[i]), r: 4, fill: paint, "fill-opacity": .75, stroke: "var(--card)" }));
    }
    if (m.tips) m.x.forEach((v, i) => targets.push([px(v), py(m.y[i]), m.tips[i]]));
  }
  if (options.percent) node(inside, "line", { x1: left, x2: width - right, y1: py(0), y2: py(0), stroke: "var(--soft)" });
  svg.addEventListener("pointermove", event => {
    const at = svg.getBoundingClientRect(), scale = width / at.width;
    const x = (event.clientX - at.left) * scale, y = (event.clientY - at.top) * scale;
    let best = null, nearest = 28;
    for (const t of targets) { const d = Math.hypot(t[0] - x, t[1] - y); if (d < nearest) { nearest = d; best = t; } }
    tip.style.display = best ? "block" : "none";
    if (!best) return;
    tip.textContent = best[2];
    tip.style.left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8) + "px";
    tip.style.top = event.clientY + 14 + "px";
  });
  svg.addEventListener("pointerleave", () => { tip.style.display = "none"; });
}

function draw() {
  for (const [id, each] of Object.entries(data.plots)) plot(id, each.marks, each);
}
draw();
let pending = 0;
addEventListener("resize", () => { clearTimeout(pending); pending = setTimeout(draw, 120); });
