"use strict";
// The cards of `pieces` (made by trainers/samples/cards.py): hear, look and take away. One piece sounds
// at a time; each keeps the second at which it was paused.
let audio = null, playing = null, current = null, turns = 0;
// Where a piece is begun in the midst of chords, their notes set in together, louder than in the piece.
const HEADROOM = .75;
const dock = document.getElementById("dock"), volume = document.getElementById("volume");

function context() {
  if (!audio) {
    audio = new AudioContext();
    audio.volume = audio.createGain();
    audio.meter = audio.createAnalyser();
    audio.volume.connect(audio.meter).connect(audio.destination);
    audio.volume.gain.value = HEADROOM * volume.value / 100;
  }
  return audio;
}

const pieceOf = card => pieces[card.dataset.id], clock = t => `${Math.floor(t / 60)}:${String(Math.floor(t % 60)).padStart(2, "0")}`;
const bounded = (value, low, high) => Math.min(Math.max(value, low), high);

// The share of the picture at a second, and back; bars are as wide as they have beats, whatever the tempo.
function between(pairs, value, from, to) {
  const next = pairs.findIndex((pair, i) => i && pair[from] >= value), i = next < 0 ? pairs.length - 1 : next;
  const [a, b] = [pairs[i - 1], pairs[i]], share = (value - a[from]) / (b[from] - a[from] || 1);
  return bounded(a[to] + share * (b[to] - a[to]), pairs[0][to], pairs.at(-1)[to]);
}
const placeAt = (piece, second) => between(piece.bars, second, 0, 1), secondAt = (piece, place) => between(piece.bars, place, 1, 0);
const barAt = (piece, second) => Math.max(piece.bars.filter(bar => bar[0] <= second + .001).length, 1);

const now = () => bounded(playing.from + audio.currentTime - playing.at, 0, seconds(playing.piece));

// What a card and the dock show of a position.
function show(card, second) {
  const piece = pieceOf(card), slider = card.querySelector(".roll"), end = seconds(piece), bars = piece.bars.length - 1;
  card.position = second;
  card.classList.toggle("begun", second > 0 || playing?.card === card);
  slider.querySelector("i").style.left = 100 * placeAt(piece, second) + "%";
  const text = `${clock(second)} of ${clock(end)}, bar ${Math.min(barAt(piece, second), bars)} of ${bars}`;
  if (slider.getAttribute("aria-valuetext") !== text) {
    slider.setAttribute("aria-valuenow", Math.floor(second));
    slider.setAttribute("aria-valuetext", text);
  }
  if (card === current) dock.querySelector(".time").textContent = `${clock(second)} / ${clock(end)}`;
}

// The buttons of a card and of the dock: what they do next.
function label(card) {
  const on = playing?.card === card;
  card.classList.toggle("playing", on);
  for (const [button, of] of [[card.querySelector(".play"), card], [dock.querySelector(".play"), current]]) {
    if (of !== card) continue;
    button.closest("article, #dock").classList.toggle("playing", on);
    button.setAttribute("aria-label", `${on ? "Pause" : "Play"}: ${card.querySelector(".title").textContent}`);
  }
}

function pause() {
  turns++;
  if (!playing) return;
  const { master, card } = playing, second = now();
  master.gain.setTargetAtTime(0, audio.currentTime, .02);
  setTimeout(() => master.disconnect(), 150);
  playing = null;
  show(card, second >= seconds(pieceOf(card)) ? 0 : second);
  label(card);
}

function stop() {
  pause();
  if (current) show(current, 0);
}

async function play(card, from) {
  pause();
  const turn = turns, piece = pieceOf(card), sound = context();
  await sound.resume();
  // Something else was pressed meanwhile.
  if (turn !== turns) return;
  const master = sound.createGain(), at = sound.currentTime + .06;
  master.connect(sound.volume);
  perform(sound, master, piece, from, at);
  playing = { card, master, piece, from, at };
  current = card;
  dock.hidden = false;
  dock.querySelector(".title").textContent = card.querySelector(".title").textContent;
  dock.style.setProperty("--tone", card.style.getPropertyValue("--tone"));
  label(card);
  requestAnimationFrame(follow);
}

function follow() {
  if (!playing) return;
  const { card, piece, from, at } = playing;
  if (from + audio.currentTime - at > seconds(piece) + RELEASE) return stop();
  show(card, now());
  requestAnimationFrame(follow);
}

const toggle = card => playing?.card === card ? pause() : play(card, card.position || 0);

function seek(card, second) {
  const to = bounded(second, 0, seconds(pieceOf(card)) - .05);
  if (playing?.card === card) play(card, to);
  show(card, to);
}

// On a focused picture: arrows go from bar to bar, as a slider's do.
const BARS = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 4, PageDown: -4, Home: -Infinity, End: Infinity };
addEventListener("keydown", event => {
  if (event.key === "Escape") return stop();
  const roll = event.target.closest?.(".roll");
  if (!roll || event.ctrlKey || event.altKey || event.metaKey) return;
  const card = roll.closest("article"), piece = pieceOf(card);
  if (event.key === " " || event.key === "Enter") toggle(card);
  else if (event.key in BARS) {
    const second = playing?.card === card ? now() : card.position || 0;
    const bar = bounded(barAt(piece, second) - 1 + BARS[event.key], 0, piece.bars.length - 2);
    seek(card, piece.bars[bar][0]);
  } else return;
  event.preventDefault();
});

function save(name, kind, bytes) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type: kind }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
const unpacked = text => new Response(new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("gzip")));

const FILES = {
  abc: ["abc", "text/vnd.abc", piece => piece.abc],
  xml: ["musicxml", "application/vnd.recordare.musicxml+xml", piece => unpacked(piece.xml).arrayBuffer()],
  mid: ["mid", "audio/midi", piece => bytes(piece.mid)],
  wav: ["wav", "audio/wav", wav],
};

async function score(card, button) {
  const open = card.querySelector(".score");
  button.setAttribute("aria-expanded", !open);
  if (open) return open.remove();
  const box = card.appendChild(document.createElement("div")), image = new Image();
  box.className = "score";
  box.tabIndex = 0;
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", image.alt = "Score of " + card.querySelector(".title").textContent);
  const svg = await unpacked(pieceOf(card).score).blob();
  image.src = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  box.append(image);
}

addEventListener("click", async event => {
  if (event.target.closest("#dock .play")) return toggle(current);
  const card = event.target.closest("article");
  if (!card) return;
  const piece = pieceOf(card), kind = event.target.dataset.save;
  if (event.target.closest(".play")) toggle(card);
  else if (event.target.closest(".roll")) {
    const box = card.querySelector(".roll").getBoundingClientRect();
    play(card, Math.min(secondAt(piece, (event.clientX - box.left) / box.width), seconds(piece) - .05));
  } else if (kind === "score") score(card, event.target);
  else if (kind) save(`${piece.name}.${FILES[kind][0]}`, FILES[kind][1], await FILES[kind][2](piece));
});

volume.addEventListener("input", () => { if (audio) audio.volume.gain.setTargetAtTime(HEADROOM * volume.value / 100, audio.currentTime, .02); });

// The first two pieces are seen as scores, where there is room for both.
if (innerWidth > 700) for (const card of document.querySelectorAll(".first article")) {
  const button = card.querySelector("[data-save=score]");
  if (button) score(card, button);
}
