// What is at a place of a drawn plot: a point, or else a line with its band.
const shown = v => v === null ? "∞" : v >= 1e4 ? Math.round(v).toLocaleString("en") : String(+v.toPrecision(5));
const bandOf = (marks, line) => marks.find(m => m.kind === "band" && m.k === line.k && m.x.length === line.x.length && m.x[0] === line.x[0]);

// x and y of mark `m` at its point i, in pixels; a bar stands beside its x.
const spot = (drawn, m, i) => [drawn.x(m.x[i]) + (m.kind === "bar" ? 9 : 0), drawn.y(m.y[i])];
const within = ({ x, y }, px, py) => px >= x.from - 1 && px <= x.to + 1 && py <= y.from + 1 && py >= y.to - 1;

// {x, y, text} of a line at an x in pixels, with `low` and `high` of its band in pixels; or null.
function along(plot, drawn, line, px) {
  const at = drawn.x.back(px), i = line.x.findIndex(v => v >= at);
  if (i < 0 || (i === 0 && line.x[0] > at * (1 + 1e-9))) return null;
  const before = Math.max(i - 1, 0), [a, b] = [drawn.x(line.x[before]), drawn.x(line.x[i])];
  const part = b > a ? (px - a) / (b - a) : 1;
  // Between two values as the line is drawn: straight on the axes.
  const value = list => {
    if (list[before] === null || list[i] === null) return null;
    return drawn.y.back(drawn.y(list[before]) + part * (drawn.y(list[i]) - drawn.y(list[before])));
  };
  const band = bandOf(drawn.seen, line), y = value(line.y), ends = band && [value(band.low), value(band.high)];
  let text = `${line.name || data.archs[line.k]}\n${plot.x} ${shown(at)}\n${plot.y} ${shown(y)}`;
  if (band) text += `\n${plot.key.band} ${ends.map(shown).join(" to ")}`;
  const [low, high] = (ends || [y, y]).map(v => v === null ? -1e4 : drawn.y(v));
  return { x: px, y: drawn.y(y), text, low, high };
}

// The nearest point within `reach` pixels, or else the nearest line, or the band there; or null.
function nearest(plot, drawn, px, py, reach) {
  let best = null, least = reach;
  for (const m of drawn.seen) {
    if (!m.tips) continue;
    for (let i = 0; i < m.x.length; i++) {
      const [x, y] = spot(drawn, m, i), d = Math.hypot(x - px, y - py);
      if (d < least) { least = d; best = { x, y, text: m.tips[i] }; }
    }
  }
  if (best || !within(drawn, px, py)) return best;
  least = 2 * reach;
  for (const m of drawn.seen) {
    const found = m.kind === "line" && along(plot, drawn, m, px);
    if (!found) continue;
    const inside = py <= found.low && py >= found.high, d = inside ? Math.min(Math.abs(found.y - py), reach) : Math.abs(found.y - py);
    if (d < least) { least = d; best = found; }
  }
  return best;
}

// Where arrow keys stop: for each mark the places on view, by x; runs come before lines.
function stops(plot, drawn) {
  const points = drawn.seen.filter(m => m.kind === "points"), others = drawn.seen.filter(m => !["points", "band"].includes(m.kind));
  const all = [...points, ...others].map(m => {
    const every = m.tips ? 1 : Math.max(1, Math.round(m.x.length / 20));
    return m.x.map((_, i) => i).filter(i => i % every === 0).map(i => {
      const [x, y] = spot(drawn, m, i);
      return m.tips ? { x, y, text: m.tips[i] } : along(plot, drawn, m, x);
    }).filter(stop => stop && within(drawn, stop.x, stop.y)).sort((a, b) => a.x - b.x);
  });
  return all.filter(list => list.length);
}
