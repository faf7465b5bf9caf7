"use strict";
// What abcjs makes of ABC: a line of JSON with a text in, one of warnings and notes out.
const abcjs = require("abcjs"), lines = require("readline").createInterface({ input: process.stdin });

function heard(text) {
  try {
    const tune = abcjs.parseOnly(text)[0];
    const warnings = (tune.warnings || []).map(line => line.replace(/<[^>]*>/g, ""));
    const notes = tune.setUpAudio({}).tracks.flatMap(track => {
      const drums = track.some(event => event.instrument === 128);
      return track.filter(event => event.cmd === "note")
        .map(({ pitch, instrument, start, duration }) => [pitch, drums, drums ? 0 : instrument, start, start + duration]);
    });
    return { warnings, notes };
  } catch (error) {
    return { warnings: [`throws ${error.message}`], notes: [] };
  }
}

lines.on("line", line => process.stdout.write(JSON.stringify(heard(JSON.parse(line))) + "\n"));
