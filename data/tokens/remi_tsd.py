"""MidiTok's tokenizers REMI (Huang & Yang 2020) and TSD (time shift, duration), by our protocol.

They serve for comparison with published work. They are not exact: tempos are rounded to one of 64
values, keys are dropped, durations are at most twelve quarters, and pitch 127 is out of range.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from data.abc.tokenizer import AbcTokenizer
from data.music.files import to_symusic
from data.music.quantise import quantise
from data.music.score import DEFAULT_TICKS_PER_QUARTER, Score


class MidiTokTokenizer:
    """`name` is remi or tsd. The vocabulary follows from the ticks per quarter, not from data."""

    def __init__(self, name: str, ticks_per_quarter: int = DEFAULT_TICKS_PER_QUARTER) -> None:
        # Imported here, because it takes two seconds that the abc tokenizer does not need.
        import miditok

        config = miditok.TokenizerConfig(
            pitch_range=(0, 127),
            beat_res={(0, 12): ticks_per_quarter},
            special_tokens=["BOS", "EOS"],
            # ABC does not contain velocities either.
            use_velocities=False,
            use_tempos=True,
            num_tempos=64,
            tempo_range=(20, 300),
            use_time_signatures=True,
            time_signature_range={1: [*range(1, 9)], 2: [*range(1, 9)], 4: [*range(1, 17)]}
            | {8: [*range(1, 17)], 16: [*range(1, 17)]},
            use_programs=True,
        )
        self.name = name
        self.ticks_per_quarter = ticks_per_quarter
        self.text = AbcTokenizer(ticks_per_quarter)
        self.tokenizer = {"remi": miditok.REMI, "tsd": miditok.TSD}[name](config)
        self.vocab_size = len(self.tokenizer)
        self.bos_id, self.eos_id = self.tokenizer["BOS_None"], self.tokenizer["EOS_None"]

    def encode(self, score: Score) -> np.ndarray:
        ids = self.tokenizer.encode(to_symusic(score)).ids
        return np.array([self.bos_id, *ids, self.eos_id], dtype=np.uint16)

    def encode_all(self, scores: Sequence[Score]) -> list[np.ndarray]:
        return [self.encode(score) for score in scores]

    def decode(self, ids: np.ndarray) -> Score:
        music = [index for index in ids.tolist() if index not in (self.bos_id, self.eos_id)]
        return quantise(self.tokenizer.decode(music), self.ticks_per_quarter)

    def to_text(self, ids: np.ndarray) -> str:
        return self.text.to_text(self.text.encode(self.decode(ids)))

    def to_json(self) -> str:
        fields = {
            "name": self.name,
            "ticks_per_quarter": self.ticks_per_quarter,
            "tokens": sorted(self.tokenizer.vocab, key=self.tokenizer.vocab.get),
        }
        return json.dumps(fields, indent=1)
