"use strict";
// Plays `pieces` (made by trainers/samples/page.py) on the instrument of trainers/samples/audio.py.
const PARTIALS = [1, .45, .22, .12, .06], ATTACK = .006, RELEASE = .12, DECAY = 2.6, RATE = 22050;
let audio = null, playing = null;

function context() {
  if (!audio) {
    audio = new AudioContext();
    audio.meter = audio.createAnalyser();
    audio.meter.connect(audio.destination);
  }
  return audio;
}

// Schedules the notes from second `from` on, so that they begin at `at` on the clock of `sound`.
function schedule(sound, into, notes, from, at) {
  const tone = sound.createPeriodicWave(new Float32Array(6), new Float32Array([0, ...PARTIALS]), { disableNormalization: true });
  const noise = sound.createBuffer(1, RATE / 4, RATE), grains = noise.getChannelData(0);
  for (let i = 0; i < grains.length; i++) grains[i] = 2 * Math.random() - 1;
  for (const [start, length, pitch, drum] of notes) {
    if (start + length <= from) continue;
    const on = at + Math.max(start - from, 0), off = at + start + length - from, gain = sound.createGain();
    let source;
    if (drum) {
      source = new AudioBufferSourceNode(sound, { buffer: noise });
      gain.gain.setValueAtTime(.5, on);
      gain.gain.setTargetAtTime(0, on, .09 - .06 * Math.min(Math.max((pitch - 35) / 25, 0), 1));
    } else {
      source = new OscillatorNode(sound, { frequency: 440 * 2 ** ((pitch - 69) / 12), periodicWave: tone });
      gain.gain.setValueAtTime(0, on);
      gain.gain.linearRampToValueAtTime(1, on + ATTACK);
      gain.gain.setTargetAtTime(0, on + ATTACK, DECAY * 2 ** ((60 - pitch) / 24));
      gain.gain.setTargetAtTime(0, off, RELEASE / 3);
    }
    source.connect(gain).connect(into);
    source.start(on);
    source.stop(Math.max(off, on) + RELEASE);
  }
}

// All of a piece; a prompt is softer than what follows it.
function perform(sound, into, piece, from, at) {
  const given = sound.createGain();
  given.gain.value = .45;
  given.connect(into);
  schedule(sound, given, piece.notes.filter(n => n[0] < piece.seam), from, at);
  schedule(sound, into, piece.notes.filter(n => n[0] >= piece.seam), from, at);
}

const seconds = piece => Math.max(...piece.notes.map(n => n[0] + n[1]));
const loudness = piece => piece.loud;

function stop() {
  if (!playing) return;
  const { master, card } = playing;
  master.gain.setTargetAtTime(0, audio.currentTime, .02);
  setTimeout(() => master.disconnect(), 150);
  card.classList.remove("playing");
  card.querySelector(".play").setAttribute("aria-label", "Play");
  playing = null;
}

async function play(card, from) {
  stop();
  const piece = pieces[card.dataset.id], sound = context();
  await sound.resume();
  const master = sound.createGain(), at = sound.currentTime + .06;
  master.gain.value = loudness(piece);
  master.connect(sound.meter);
  perform(sound, master, piece, from, at);
  playing = { card, master, piece, from, at };
  card.classList.add("playing");
  card.querySelector(".play").setAttribute("aria-label", "Stop");
  requestAnimationFrame(follow);
}

function follow() {
  if (!playing) return;
  const { card, piece, from, at } = playing, now = from + Math.max(0, audio.currentTime - at);
  if (now > seconds(piece) + RELEASE) return stop();
  card.querySelector(".roll i").style.left = 100 * Math.min(1, now / piece.span) + "%";
  requestAnimationFrame(follow);
}

function save(name, kind, bytes) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type: kind }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));

async function wav(piece) {
  const sound = new OfflineAudioContext(1, Math.ceil((seconds(piece) + .5) * RATE), RATE), master = sound.createGain();
  master.gain.value = loudness(piece);
  master.connect(sound.destination);
  perform(sound, master, piece, 0, 0);
  const wave = (await sound.startRendering()).getChannelData(0), view = new DataView(new ArrayBuffer(44 + 2 * wave.length));
  const word = (at, text) => [...text].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  word(0, "RIFF"); view.setUint32(4, 36 + 2 * wave.length, true); word(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, RATE, true); view.setUint32(28, 2 * RATE, true); view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  word(36, "data"); view.setUint32(40, 2 * wave.length, true);
  wave.forEach((v, i) => view.setInt16(44 + 2 * i, 32767 * Math.max(-1, Math.min(1, v)), true));
  return view.buffer;
}

const unpacked = text => new Response(new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("gzip")));

async function score(card) {
  const shown = card.querySelector(".score");
  if (shown) return shown.remove();
  const box = card.appendChild(document.createElement("div"));
  box.className = "score";
  const svg = await unpacked(pieces[card.dataset.id].score).blob();
  const image = box.appendChild(new Image());
  image.alt = "Score";
  image.src = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
}

addEventListener("click", async event => {
  const card = event.target.closest("article");
  if (!card) return;
  const piece = pieces[card.dataset.id], kind = event.target.dataset.save;
  if (event.target.closest(".play")) card.classList.contains("playing") ? stop() : play(card, 0);
  else if (event.target.closest(".roll")) {
    const box = card.querySelector(".roll").getBoundingClientRect();
    play(card, Math.min((event.clientX - box.left) / box.width * piece.span, seconds(piece) - .05));
  } else if (kind === "score") score(card);
  else if (kind === "abc") save(piece.name + ".abc", "text/vnd.abc", piece.abc);
  else if (kind === "xml") save(piece.name + ".musicxml", "application/vnd.recordare.musicxml+xml", await unpacked(piece.xml).arrayBuffer());
  else if (kind === "mid") save(piece.name + ".mid", "audio/midi", bytes(piece.mid));
  else if (kind === "wav") save(piece.name + ".wav", "audio/wav", await wav(piece));
  else if (event.target.dataset.guess) answer(card, event.target.dataset.guess);
});

// Blind: a shuffled hand of pieces, half of them real where there are enough, without labels.
const quiz = document.getElementById("quiz"), open = document.getElementById("open"), blind = document.getElementById("blind");
let right = 0, asked = 0;

const shuffled = list => list.map(v => [Math.random(), v]).sort((a, b) => a[0] - b[0]).map(p => p[1]);

function deal() {
  const ids = [...pieces.keys()], real = shuffled(ids.filter(i => pieces[i].real)), made = shuffled(ids.filter(i => !pieces[i].real));
  const hand = shuffled([...real.slice(0, 6), ...made.slice(0, 6)]);
  quiz.querySelector(".cards").replaceChildren(...hand.map(id => {
    const card = document.querySelector(`#open article[data-id="${id}"]`).cloneNode(true);
    card.classList.remove("playing");
    card.style.setProperty("--tone", "var(--s5)");
    card.querySelector(".score")?.remove();
    card.querySelector(".more").hidden = true;
    for (const line of card.querySelectorAll(".roll path:not(.grid)")) line.style.stroke = "var(--s5)";
    const ask = card.appendChild(document.createElement("div"));
    ask.className = "guess";
    for (const who of ["person", "model"]) {
      const button = ask.appendChild(document.createElement("button"));
      button.textContent = "A " + who;
      button.dataset.guess = who;
    }
    return card;
  }));
  right = asked = 0;
  document.getElementById("tally").textContent = "";
}

function answer(card, guess) {
  const piece = pieces[card.dataset.id], hit = (guess === "person") === piece.real;
  right += hit; asked++;
  card.querySelector(".guess").textContent = (hit ? "Right: " : "No: ") + piece.label;
  card.querySelector(".more").hidden = false;
  document.getElementById("tally").textContent = `${right} of ${asked} right.`;
}

blind.addEventListener("click", () => {
  stop();
  const on = blind.getAttribute("aria-pressed") !== "true";
  blind.setAttribute("aria-pressed", on);
  blind.textContent = on ? "Show everything" : "Listen blind";
  quiz.hidden = !on; open.hidden = on;
  if (on) deal();
});
