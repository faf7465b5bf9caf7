// Samples of marks for a legend, 30 by 14 pixels: of a kind, and of an architecture.
function sample(parent, paint) {
  paint(node(parent, "svg", { class: "sample", viewBox: "0 0 30 14", "aria-hidden": "true" }));
}

const GLYPHS = {
  points: svg => node(svg, "path", { d: marker(0, 15, 7, 4), fill: "currentColor" }),
  error: svg => node(svg, "path", { d: "M15 0V14", stroke: "currentColor" }),
  line: svg => node(svg, "path", { d: "M1 7h28", stroke: "currentColor", "stroke-width": 2 }),
  band: svg => {
    node(svg, "rect", { x: 1, y: 2, width: 28, height: 10, fill: "currentColor", "fill-opacity": .14 });
    node(svg, "path", { d: "M1 2h28M1 12h28", stroke: "currentColor", "stroke-dasharray": "1 3" });
  },
  bar: svg => {
    node(svg, "path", { d: "M15 0V14", stroke: "currentColor", "stroke-width": 2, "stroke-dasharray": "4 1" });
    node(svg, "path", { d: "M10 7h10", stroke: "currentColor", "stroke-width": 2 });
  },
  best: svg => node(svg, "path", { d: "M15 2l-6 11h12z", fill: "currentColor" }),
};

function seriesSample(svg, marks, k) {
  const kinds = new Set(marks.filter(m => m.k === k).map(m => m.kind));
  if (kinds.has("line")) node(svg, "path", { d: "M1 7h28", stroke: colour(k), "stroke-width": 2, "stroke-dasharray": dash(k) });
  if (kinds.has("points")) node(svg, "path", { d: marker(k, 15, 7, 4.5), fill: colour(k) });
}

// [kind, what it is] of every kind of mark that a plot has.
function keyOf(plot) {
  const there = new Set(plot.marks.map(m => m.kind));
  if (plot.marks.some(m => m.kind === "points" && m.low)) there.add("error");
  return Object.entries(plot.key).filter(([kind]) => there.has(kind));
}
