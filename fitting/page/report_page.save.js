// A plot as rows of values, as CSV and as a picture.
const MOST_ROWS = 400, OF_A_LINE = 9;

// [series, what, x, y, low, high, more] of every value. A band belongs to its line.
function rows(plot, thinned) {
  const found = [];
  for (const m of plot.marks) {
    if (m.kind === "band") continue;
    const ends = m.kind === "line" ? bandOf(plot.marks, m) || {} : m;
    const every = thinned && m.kind === "line" ? Math.ceil(m.x.length / OF_A_LINE) : 1;
    m.x.forEach((x, i) => {
      if (i % every) return;
      const more = (m.tips ? m.tips[i] : m.name || "").replaceAll("\n", "; ");
      found.push([data.archs[m.k], plot.key[m.kind], x, m.y[i], one(ends.low, i) ?? "", one(ends.high, i) ?? "", more]);
    });
  }
  return found;
}

const heads = plot => ["series", "mark", plot.x, plot.y, "low", "high", "more"];

function csv(plot) {
  // Text that a spreadsheet would take for a formula is prefixed, as in runs.csv.
  const cell = v => typeof v === "number" ? v : `"${v.replace(/^(?=[=+\-@])/, "'").replaceAll('"', '""')}"`;
  return [heads(plot), ...rows(plot)].map(row => row.map(cell).join(",")).join("\n") + "\n";
}

function valuesTable(plot) {
  const all = rows(plot, true), table = document.createElement("table");
  const line = (parent, cells, tag) => {
    const row = parent.appendChild(document.createElement("tr"));
    for (const cell of cells) {
      const made = row.appendChild(document.createElement(tag));
      made.textContent = typeof cell === "number" ? shown(cell) : cell;
      if (typeof cell === "number") made.className = "n";
    }
  };
  line(table.createTHead(), heads(plot), "th");
  for (const row of all.slice(0, MOST_ROWS)) line(table.tBodies[0] || table.createTBody(), row, "td");
  if (all.length > MOST_ROWS || plot.marks.some(m => m.kind === "line" && m.x.length > OF_A_LINE))
    table.createCaption().textContent = "Of long lines and lists a part; CSV has every value.";
  return table;
}

function save(name, blob) {
  const link = document.createElement("a");
  link.download = name;
  link.href = URL.createObjectURL(blob);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1e4);
}

// Above a drawing its title and legend; returns their height.
function headed(svg, plot, seen, width) {
  const above = node(svg, "g", {}), left = 12;
  let x = left, y = 22;
  node(above, "text", { x, y, class: "title" }, plot.title);
  const entry = (paint, name) => {
    const text = node(above, "text", {}, name), wide = 38 + text.getComputedTextLength() + 20;
    if (x > left && x + wide > width) { x = left; y += 20; }
    text.setAttribute("x", x + 38);
    text.setAttribute("y", y + 4);
    paint(node(above, "g", { transform: `translate(${x} ${y - 7})` }));
    x += wide;
  };
  const rowOf = entries => { x = left; y += 22; for (const [paint, name] of entries) entry(paint, name); };
  rowOf([...new Set(seen.map(m => m.k))].map(k => [g => seriesSample(g, seen, k), data.archs[k]]));
  rowOf(keyOf(plot).map(([kind, text]) => [GLYPHS[kind], text]));
  above.setAttribute("transform", `translate(0 ${-y - 14})`);
  return y + 14;
}

// Drawn anew as for paper, at a fixed size.
async function png(id, plot, state) {
  const paper = document.body.appendChild(document.createElement("div"));
  paper.className = "paper plot";
  const { svg, seen, width, height } = draw(paper, `${id}-paper`, plot, state, 900, 540);
  const head = headed(svg, plot, seen, width), whole = height + head;
  svg.insertBefore(node(svg, "rect", { y: -head, width, height: whole, fill: "var(--card)" }), svg.firstChild);
  for (const [key, v] of Object.entries({ viewBox: `0 ${-head} ${width} ${whole}`, width, height: whole })) svg.setAttribute(key, v);
  for (const each of svg.querySelectorAll("*")) {
    const style = getComputedStyle(each);
    for (const key of ["color", "fill", "stroke", "font-family", "font-size", "font-weight"]) each.style[key] = style[key];
  }
  const picture = new Image(), canvas = document.createElement("canvas");
  picture.src = "data:image/svg+xml," + encodeURIComponent(new XMLSerializer().serializeToString(svg));
  paper.remove();
  await picture.decode();
  [canvas.width, canvas.height] = [2 * width, 2 * whole];
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  canvas.toBlob(blob => save(`${id}.png`, blob));
}
