// Each plot with its legend, its buttons, and what pointer and keys do to it.
const NEAR = 24, NEAR_A_FINGER = 44, DRAGGED = 8;

function element(parent, tag, properties, ...content) {
  const made = parent.appendChild(document.createElement(tag));
  for (const key in properties) key in made ? made[key] = properties[key] : made.setAttribute(key, properties[key]);
  made.append(...content);
  return made;
}

function plot(id, options) {
  const box = document.getElementById(id), series = [...new Set(options.marks.map(m => m.k))].sort((a, b) => a - b);
  const state = { hidden: new Set(), logX: true, logY: options.log_y, view: null };
  let drawn = null, at = null, drag = null;
  box.replaceChildren();

  const legend = element(box, "div", { className: "legend", role: "group", "aria-label": `Series of ${options.title}` });
  for (const k of series) {
    const button = element(legend, "button", { type: "button", "aria-pressed": "true", title: "show or hide" });
    sample(button, svg => seriesSample(svg, options.marks, k));
    button.append(data.archs[k]);
    button.setAttribute("aria-label", `${data.archs[k]}, in ${options.title}`);
    button.onclick = () => {
      state.hidden.has(k) ? state.hidden.delete(k) : state.hidden.add(k);
      button.setAttribute("aria-pressed", !state.hidden.has(k));
      redraw();
    };
  }

  const figure = element(box, "div", { className: "figure", tabIndex: 0, role: "application",
    "aria-label": `${options.title}: arrow keys step through values, plus and minus zoom, Escape resets` });
  const tip = element(figure, "output", { className: "tip" });

  const foot = element(box, "div", { className: "foot" });
  const key = element(foot, "ul", { className: "key" });
  for (const [kind, text] of keyOf(options)) {
    const item = element(key, "li", {});
    sample(item, GLYPHS[kind]);
    item.append(text);
  }
  const tools = element(foot, "div", { className: "tools", role: "group", "aria-label": `Tools of ${options.title}` });
  const tool = (text, what, act) => element(tools, "button",
    { type: "button", "aria-label": `${what}: ${options.title}`, title: what, onclick: act }, text);
  const axis = (text, name) => {
    const button = tool(text, `${text} axis`, () => {
      state[name] = !state[name];
      state.view = null;
      button.setAttribute("aria-pressed", state[name]);
      redraw();
    });
    button.setAttribute("aria-pressed", state[name]);
  };
  axis("log x", "logX");
  if (!options.marks.some(m => m.y.some(v => v <= 0))) axis("log y", "logY");
  tool("+", "zoom in", () => zoom(.5));
  tool("−", "zoom out", () => zoom(2));
  tool("reset", "reset zoom", reset);
  tool("PNG", "save as PNG", () => png(id, options, state));
  tool("CSV", "save as CSV", () => save(`${id}.csv`, new Blob([csv(options)], { type: "text/csv" })));

  const values = element(box, "details", { className: "values" });
  const summary = element(values, "summary", {}, "Values");
  element(summary, "span", { className: "unseen" }, ` of ${options.title}`);
  values.addEventListener("toggle", () => {
    if (values.childElementCount > 1) return;
    const scroll = { className: "scroll", role: "region", tabIndex: 0, "aria-label": `Values: ${options.title}` };
    element(values, "div", scroll).append(valuesTable(options));
  });

  function redraw() {
    const width = Math.max(box.clientWidth, 280), height = Math.round(Math.min(460, Math.max(280, width * .6)));
    drawn?.svg.remove();
    drawn = draw(figure, `clip-${id}`, options, state, width, height);
    show(null);
  }

  function show(stop) {
    at = stop;
    drawn.svg.querySelector(".here")?.remove();
    tip.textContent = stop ? stop.text : "";
    tip.hidden = !stop;
    if (!stop) return;
    node(drawn.svg, "circle", { class: "here", cx: stop.x, cy: stop.y, r: 8 });
    const by = drawn.svg.clientWidth / drawn.width, x = stop.x * by, y = stop.y * by;
    tip.style.left = Math.max(0, Math.min(x + 14, figure.clientWidth - tip.offsetWidth - 4)) + "px";
    tip.style.top = (y + 14 + tip.offsetHeight < figure.clientHeight ? y + 14 : y - tip.offsetHeight - 14) + "px";
  }

  function reset() {
    state.view = null;
    redraw();
  }

  // By a factor about what is pointed at, or the middle.
  function zoom(factor) {
    const middle = { x: (drawn.x.from + drawn.x.to) / 2, y: (drawn.y.from + drawn.y.to) / 2 }, centre = at || middle;
    const part = (s, p) => [p - (p - s.from) * factor, p + (s.to - p) * factor].map(s.back);
    const view = [part(drawn.x, centre.x), part(drawn.y, centre.y)], whole = extent(options, options.marks, state);
    if (factor > 1 && view.every(([low, high], i) => low <= whole[i][0] && high >= whole[i][1])) return reset();
    state.view = view;
    redraw();
  }

  const place = event => {
    const on = drawn.svg.getBoundingClientRect(), by = drawn.width / on.width;
    return [(event.clientX - on.left) * by, (event.clientY - on.top) * by];
  };

  // A mouse drags a range; a finger scrolls the page, and taps.
  figure.addEventListener("pointerdown", event => {
    if (event.pointerType === "mouse" && event.button === 0) drag = place(event);
  });
  figure.addEventListener("pointermove", event => {
    if (event.pointerType !== "mouse") return;
    const [x, y] = place(event);
    if (!drag) return show(nearest(options, drawn, x, y, NEAR));
    figure.setPointerCapture(event.pointerId);
    show(null);
    drawn.svg.querySelector(".range")?.remove();
    const [left, top] = [Math.min(x, drag[0]), Math.min(y, drag[1])];
    node(drawn.svg, "rect", { class: "range", x: left, y: top, width: Math.abs(x - drag[0]), height: Math.abs(y - drag[1]) });
  });
  figure.addEventListener("pointerup", event => {
    if (!drag) return;
    const [x, y] = place(event), [x0, y0] = drag;
    drag = null;
    drawn.svg.querySelector(".range")?.remove();
    const sides = (s, a, b) => [Math.min(a, b), Math.max(a, b)].map(p => Math.max(Math.min(s.from, s.to), Math.min(Math.max(s.from, s.to), p)));
    if (Math.abs(x - x0) < DRAGGED) return;
    // A flat drag is a range of x alone.
    const across = sides(drawn.x, x0, x).map(drawn.x.back), up = sides(drawn.y, y0, y).map(drawn.y.back).reverse();
    state.view = [across, Math.abs(y - y0) < DRAGGED ? [drawn.y.low, drawn.y.high] : up];
    redraw();
  });
  figure.addEventListener("pointerleave", event => { if (event.pointerType === "mouse" && !drag) show(null); });
  figure.addEventListener("click", event => show(nearest(options, drawn, ...place(event), NEAR_A_FINGER)));
  addEventListener("pointerdown", event => { if (!figure.contains(event.target) && !tools.contains(event.target)) show(null); });

  figure.addEventListener("keydown", event => {
    const [across, along] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] || [0, 0];
    if (event.key === "+" || event.key === "=") zoom(.5);
    else if (event.key === "-") zoom(2);
    else if (!across && !along) return;
    else step(across, along);
    event.preventDefault();
  });
  box.addEventListener("keydown", event => { if (event.key === "Escape") reset(); });

  // To the next value of a mark, or the nearest one of the next mark.
  function step(across, along) {
    const lists = stops(options, drawn);
    if (!lists.length) return;
    if (!at || !at.of) return show({ ...lists[0][0], of: [0, 0] });
    let [i, j] = at.of;
    i = (i + along + lists.length) % lists.length;
    if (along) j = lists[i].reduce((best, stop, n) => Math.abs(stop.x - at.x) < Math.abs(lists[i][best].x - at.x) ? n : best, 0);
    else j = Math.max(0, Math.min(lists[i].length - 1, j + across));
    show({ ...lists[i][j], of: [i, j] });
  }

  redraw();
  return redraw;
}

const redraws = Object.entries(data.plots).map(([id, each]) => plot(id, each));
let pending = 0;
addEventListener("resize", () => { clearTimeout(pending); pending = setTimeout(() => redraws.forEach(redraw => redraw()), 120); });

// Printed, what is folded is open, but for the values beside plots, which CSV has.
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not(.values):not([open])")];
  for (const each of opened) each.open = true;
});
addEventListener("afterprint", () => { for (const each of opened) each.open = false; });
