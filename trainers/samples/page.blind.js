"use strict";
// Listening blind: hands of pieces without names, as many real ones as composed ones. The answers are
// kept in this browser, counted with exact intervals, and saved as CSV.
const quiz = document.getElementById("quiz"), open_ = document.getElementById("open"), blind = document.getElementById("blind");
const part = name => quiz.querySelector(`[data-part=${name}]`), HALF = 6, KEY = `crescendo-blind-${study.id}`;

function kept() {
  // A browser may forbid it, or hold what another page left.
  try { return JSON.parse(localStorage.getItem(KEY)).filter(one => pieces.some(piece => piece.name === one.piece)); } catch { return []; }
}
function keep() {
  try { localStorage.setItem(KEY, JSON.stringify(answers)); } catch { /* They live as long as the page. */ }
}
let answers = kept(), hand = [];

const percent = share => `${Math.round(100 * share)} %`;
const times = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

// P(X <= k) of n throws, and Clopper and Pearson's 95 % interval of a share.
function atMost(k, n, p) {
  let sum = 0, choose = 0;
  for (let i = 0; i <= k; i++) {
    sum += Math.exp(choose + i * Math.log(p) + (n - i) * Math.log1p(-p));
    choose += Math.log((n - i) / (i + 1));
  }
  return sum;
}
function interval(k, n) {
  const root = above => {
    let low = 0, high = 1;
    for (let i = 0; i < 50; i++) above((low + high) / 2) ? low = (low + high) / 2 : high = (low + high) / 2;
    return low;
  };
  return [k ? root(p => 1 - atMost(k - 1, n, p) < .025) : 0, k < n ? root(p => atMost(k, n, p) > .025) : 1];
}
const spread = (k, n) => interval(k, n).map(share => Math.round(100 * share)).join(" to ") + " %";

const shuffled = list => list.map(value => [Math.random(), value]).sort((a, b) => a[0] - b[0]).map(pair => pair[1]);
const articleOf = id => document.querySelector(`#open article[data-id="${id}"]`) ?? document.getElementById("spare").content.querySelector(`[data-id="${id}"]`);

// Pieces not yet answered: of each size about as often as of the others.
function drawn(real) {
  const heard = new Set(answers.map(one => one.piece)), asked = {};
  for (const one of answers) asked[one.size] = (asked[one.size] ?? 0) + 1;
  const left = shuffled([...pieces.keys()].filter(id => pieces[id].real === real && !heard.has(pieces[id].name))), found = [];
  while (left.length && found.length < HALF) {
    const count = id => asked[pieces[id].size] ?? 0, least = left.reduce((best, id) => count(id) < count(best) ? id : best);
    left.splice(left.indexOf(least), 1);
    asked[pieces[least].size] = count(least) + 1;
    found.push(least);
  }
  return found;
}

// A card by another name, in words and for screen readers.
function rename(card, from, to) {
  card.querySelector(".title").textContent = to;
  for (const element of [card, ...card.querySelectorAll("[aria-label]")]) {
    const before = element.getAttribute("aria-label");
    if (before) element.setAttribute("aria-label", before.replace(from, to));
  }
}

function dealt(id, number) {
  const card = articleOf(id).cloneNode(true), piece = pieces[id];
  card.className = "";
  card.querySelector(".score")?.remove();
  rename(card, piece.title, `Piece ${number}`);
  const pictures = card.querySelectorAll(".roll path:not(.grid)");
  card.style.setProperty("--tone", "var(--s5)");
  for (const line of pictures) line.style.stroke = "var(--s5)";
  const facts = card.querySelector(".facts"), more = card.querySelector(".more");
  facts.hidden = more.hidden = true;
  const ask = card.appendChild(document.createElement("div"));
  ask.className = "guess";
  for (const who of ["person", "model"]) {
    const button = ask.appendChild(document.createElement("button"));
    button.textContent = `A ${who}`;
    button.setAttribute("aria-pressed", false);
    button.setAttribute("aria-label", `A ${who} made piece ${number}`);
    button.addEventListener("click", () => answer(card, number, who, button));
  }
  ask.appendChild(document.createElement("span")).setAttribute("role", "status");
  return card;
}

function deal() {
  stop();
  const real = drawn(true), made = drawn(false), each = Math.min(real.length, made.length);
  hand = shuffled([...real.slice(0, each), ...made.slice(0, each)]);
  part("hand").replaceChildren(...hand.map((id, at) => dealt(id, at + 1)));
  part("over").hidden = true;
  tell();
}

function answer(card, number, guess, button) {
  if (card.dataset.answered) return;
  card.dataset.answered = guess;
  const piece = pieceOf(card), right = (guess === "person") === piece.real;
  answers.push({ answered: new Date().toISOString(), piece: piece.name, by: piece.label, size: piece.size, n_params: piece.n_params,
    real: piece.real, guess, right, picture: !quiz.classList.contains("unseen") });
  keep();
  button.setAttribute("aria-pressed", true);
  for (const each of card.querySelectorAll(".guess button")) each.setAttribute("aria-disabled", true);
  card.querySelector(".guess span").textContent = `${right ? "Right" : "No"}: ${piece.label}`;
  card.querySelector(".facts").hidden = card.querySelector(".more").hidden = false;
  rename(card, `Piece ${number}`, `Piece ${number}: ${piece.title}`);
  tell();
}

// The score of this hand, and what all answers say.
function tell() {
  const names = new Set(hand.map(id => pieces[id].name)), mine = answers.filter(one => names.has(one.piece)), hits = mine.filter(one => one.right).length;
  part("tally").textContent = hand.length ? `${mine.length} of ${hand.length} answered, ${hits} right.` : "Every piece that can be dealt has been heard.";
  if (hand.length && mine.length === hand.length) {
    part("over").hidden = false;
    part("score").textContent = `${hits} of ${mine.length} right; by chance ${mine.length / 2}. ${judged(hits, mine.length)}`;
  }
  part("all").hidden = !answers.length;
  if (!answers.length) return;
  const right = answers.filter(one => one.right).length, real = answers.filter(one => one.real), believed = real.filter(one => one.guess === "person").length;
  part("meaning").textContent = `${right} of ${times(answers.length, "answer")} right. ${judged(right, answers.length)}`;
  const sizes = bySize();
  const rows = [...sizes, { name: "real pieces", k: believed, n: real.length }].map(one =>
    `<tr><th scope="row">${one.name}</th><td>${one.n}</td><td>${one.k}</td><td>${one.n ? `${percent(one.k / one.n)} (${spread(one.k, one.n)})` : "–"}</td></tr>`);
  part("sizes").innerHTML = rows.join("");
  part("fooled").innerHTML = sizes.length ? fooled(sizes, real.length ? believed / real.length : NaN) : "";
}

function judged(hits, n) {
  const [low, high] = interval(hits, n), told = `${percent(hits / n)}, 95 % interval ${spread(hits, n)}. `;
  return told + (low > .5 ? "That is better than chance: you tell models from people." : high < .5 ? "That is worse than chance: you take models for people."
    : "The interval holds 50 %: it may be chance.");
}

function bySize() {
  const sizes = new Map();
  for (const one of answers.filter(one => !one.real)) {
    const size = sizes.get(one.size) ?? { name: one.size, n_params: one.n_params, k: 0, n: 0 };
    size.n++;
    size.k += one.guess === "person";
    sizes.set(one.size, size);
  }
  return [...sizes.values()].sort((a, b) => a.n_params - b.n_params);
}

// The share of composed pieces that were taken for a person's, by size; the line is that of real ones.
function fooled(sizes, real) {
  const logs = sizes.map(one => Math.log10(one.n_params)), low = Math.min(...logs) - .2, high = Math.max(...logs) + .2;
  const x = log => 46 + (log - low) / (high - low) * 362, y = share => 196 - 184 * share;
  const line = (share, kind) => `<path d="M46 ${y(share).toFixed(1)}H408" class="${kind}"/>`;
  const grid = [0, .25, .5, .75, 1].map(share => line(share, "grid") + `<text x="40" y="${y(share) + 4}" text-anchor="end">${percent(share)}</text>`);
  const points = sizes.map((one, i) => {
    const [a, b] = interval(one.k, one.n), at = x(logs[i]).toFixed(1);
    return `<path d="M${at} ${y(a).toFixed(1)}V${y(b).toFixed(1)}"/><circle cx="${at}" cy="${y(one.k / one.n).toFixed(1)}" r="4"/><text x="${at}" y="214" text-anchor="middle">${one.name}</text>`;
  });
  return `<svg viewBox="0 0 420 230" role="img" aria-label="Share of composed pieces taken for a person's, against parameters; the table has the values">${grid.join("")}${
    real >= 0 ? line(real, "real") : ""}<g style="stroke:var(--s0);fill:var(--s0)">${points.join("")}</g><text x="227" y="228" text-anchor="middle">parameters</text></svg>`;
}

function csv() {
  const columns = ["answered", "piece", "by", "size", "n_params", "real", "guess", "right", "picture"];
  const cell = value => `"${String(value ?? "").replaceAll('"', '""')}"`;
  return [columns.join(","), ...answers.map(one => columns.map(name => cell(one[name])).join(","))].join("\r\n") + "\r\n";
}

part("unseen").addEventListener("change", event => quiz.classList.toggle("unseen", event.target.checked));
part("deal").addEventListener("click", () => {
  deal();
  // The button goes with the old hand: on to the new one.
  part("hand").querySelector(".play")?.focus();
});
part("export").addEventListener("click", () => save("listening.csv", "text/csv", csv()));
part("forget").addEventListener("click", () => {
  if (!confirm("Remove all answers that this browser has kept for this page?")) return;
  answers = [];
  keep();
  deal();
});

blind.addEventListener("click", () => {
  stop();
  const on = blind.getAttribute("aria-pressed") !== "true";
  blind.setAttribute("aria-pressed", on);
  blind.textContent = on ? "Show everything" : "Listen blind";
  quiz.hidden = !on; open_.hidden = on; dock.hidden = true;
  if (on) deal();
});
