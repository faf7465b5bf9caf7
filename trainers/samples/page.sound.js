"use strict";
// The instrument of trainers/samples/audio.py: a note is the sum of its partials, which decays, times
// an edge that rises in ATTACK and falls in RELEASE; a drum is a noise that decays. `notes` of a piece
// are [start, length, pitch, drum] in seconds.
const PARTIALS = [1, .45, .22, .12, .06], ATTACK = .006, RELEASE = .12, DECAY = 2.6, RATE = 22050, PEAK = .9, HIT = .25;

const decay = (pitch, drum) => drum ? .09 - .06 * Math.min(Math.max((pitch - 35) / 25, 0), 1) : DECAY * 2 ** ((60 - pitch) / 24);

// As many partials as a WAV at RATE has of this frequency.
function tone(sound, frequency) {
  const tones = sound.tones ??= new Map(), heard = PARTIALS.filter((_, i) => (i + 1) * frequency < RATE / 2.2);
  if (!tones.has(heard.length)) tones.set(heard.length,
    sound.createPeriodicWave(new Float32Array(heard.length + 2), new Float32Array([0, ...heard, 0]), { disableNormalization: true }));
  return tones.get(heard.length);
}

function noise(sound) {
  if (!sound.noise) {
    sound.noise = sound.createBuffer(1, RATE * HIT, RATE);
    // As loud as noise of the normal distribution, but bounded.
    sound.noise.getChannelData(0).forEach((_, i, grains) => grains[i] = Math.sqrt(3) * (2 * Math.random() - 1));
  }
  return sound.noise;
}

// Schedules the notes from second `from` on, so that they begin at `at` on the clock of `sound`.
function schedule(sound, into, notes, from, at) {
  for (const [start, length, pitch, drum] of notes) {
    if (start + (drum ? 0 : length) <= from && start < from) continue;
    const on = at + Math.max(start - from, 0), off = at + start + length - from, fall = decay(pitch, drum);
    // A note in whose midst it begins is as soft as it would be by then.
    const level = Math.exp(-Math.max(from - start, 0) / fall), falling = sound.createGain(), edge = sound.createGain();
    const source = drum ? new AudioBufferSourceNode(sound, { buffer: noise(sound) })
      : new OscillatorNode(sound, { frequency: 440 * 2 ** ((pitch - 69) / 12), periodicWave: tone(sound, 440 * 2 ** ((pitch - 69) / 12)) });
    falling.gain.setValueAtTime(drum ? .5 : level, on);
    falling.gain.setTargetAtTime(0, on, fall);
    if (!drum) {
      edge.gain.setValueAtTime(0, on);
      edge.gain.linearRampToValueAtTime(1, on + ATTACK);
      edge.gain.setValueAtTime(1, Math.max(off, on + ATTACK));
      edge.gain.linearRampToValueAtTime(0, Math.max(off, on + ATTACK) + RELEASE);
    }
    source.connect(falling).connect(edge).connect(into);
    source.start(on);
    source.stop(drum ? on + HIT : Math.max(off, on + ATTACK) + RELEASE);
  }
}

// All of a piece; a prompt is softer than what follows it. `loud` keeps the sum of all notes below 1.
function perform(sound, into, piece, from, at) {
  const given = sound.createGain(), rest = sound.createGain();
  rest.gain.value = piece.loud;
  given.gain.value = .45 * piece.loud;
  for (const [gain, chosen] of [[given, n => n[0] < piece.seam], [rest, n => n[0] >= piece.seam]]) {
    gain.connect(into);
    schedule(sound, gain, piece.notes.filter(chosen), from, at);
  }
}

const seconds = piece => Math.max(...piece.notes.map(n => n[0] + n[1]));

// (samples,) at RATE, the loudest at PEAK.
async function rendered(piece) {
  const sound = new OfflineAudioContext(1, Math.floor((seconds(piece) + 1) * RATE), RATE);
  perform(sound, sound.destination, piece, 0, 0);
  const wave = (await sound.startRendering()).getChannelData(0);
  const peak = wave.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-6);
  return wave.map(value => value * PEAK / peak);
}

async function wav(piece) {
  const wave = await rendered(piece), view = new DataView(new ArrayBuffer(44 + 2 * wave.length));
  const word = (at, text) => [...text].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  word(0, "RIFF"); view.setUint32(4, 36 + 2 * wave.length, true); word(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, RATE, true); view.setUint32(28, 2 * RATE, true); view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  word(36, "data"); view.setUint32(40, 2 * wave.length, true);
  wave.forEach((value, i) => view.setInt16(44 + 2 * i, 32767 * value, true));
  return view.buffer;
}
