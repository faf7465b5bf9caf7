"""Our tokenizers as those of `tokenizers`, which `transformers` loads: from a text to our ids.

A text is what `written` makes of a piece: its ABC, or the names of MIDI tokens with spaces between.
It begins with the text of `bos_id` and ends with that of `eos_id`.
"""

from __future__ import annotations

import json

import numpy as np
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers
from tokenizers import Tokenizer as Fast

from data.abc.dialect import TOKEN
from data.abc.tokenizer import AbcTokenizer
from data.tokens.bpe import BpeTokenizer, letter
from data.tokens.protocol import Tokenizer
from data.tokens.remi_tsd import MidiTokTokenizer

UNKNOWN = "no token of ours"
"""Not in a vocabulary, so that a text which is none of ours is an error and not a guess."""


def written(tokenizer: Tokenizer, ids: np.ndarray) -> str:
    """The text of a piece, (n,) ids, that `fast` reads."""
    base = base_of(tokenizer)
    if isinstance(tokenizer, BpeTokenizer):
        ids = tokenizer.expand(ids)
    names, gap = _names(base)
    return gap.join(names[index] for index in ids.tolist())


def fast(tokenizer: Tokenizer) -> Fast:
    """The same tokenizer as `tokenizers` has it: equal ids, and the text back. Raises ValueError
    for one whose merges are not learnt."""
    base = base_of(tokenizer)
    names, gap = _names(base)
    if isinstance(tokenizer, BpeTokenizer):
        made = _merging(tokenizer, names, gap)
    else:
        ids = {name: index for index, name in enumerate(names)}
        made = Fast(models.WordLevel(ids, unk_token=UNKNOWN))
        if not gap:
            made.pre_tokenizer = pre_tokenizers.Split(Regex(TOKEN.pattern), "isolated")
            made.decoder = decoders.Fuse()
        else:
            made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.add_special_tokens(
        [
            AddedToken(names[index], special=True, normalized=False)
            for index in (base.bos_id, base.eos_id)
        ]
    )
    return made


def base_of(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer before merges."""
    return tokenizer.base if isinstance(tokenizer, BpeTokenizer) else tokenizer


def ends(tokenizer: Tokenizer) -> tuple[str, str]:
    """The texts of `bos_id` and `eos_id`."""
    names, _ = _names(base_of(tokenizer))
    return names[tokenizer.bos_id], names[tokenizer.eos_id]


def _names(base: Tokenizer) -> tuple[list[str], str]:
    """The text of each id, and what stands between two of them."""
    if isinstance(base, AbcTokenizer):
        return base.tokens, ""
    assert isinstance(base, MidiTokTokenizer)
    vocabulary = base.tokenizer.vocab
    return sorted(vocabulary, key=vocabulary.__getitem__), " "


def _merging(tokenizer: BpeTokenizer, names: list[str], gap: str) -> Fast:
    """Each token's text becomes the letter by which it is merged; no longer one is in a shorter."""
    model = json.loads(tokenizer.merger().to_str())["model"]
    ends = tokenizer.bos_id, tokenizer.eos_id
    vocabulary = model["vocab"]
    for index in ends:
        del vocabulary[letter(index)]
        vocabulary[names[index]] = index
    merges = [tuple(pair) for pair in model["merges"]]
    made = Fast(models.BPE(vocab=vocabulary, merges=merges, unk_token=UNKNOWN))
    inner = [index for index in range(len(names)) if index not in ends]
    longest_first = sorted(inner, key=lambda index: -len(names[index]))
    made.normalizer = normalizers.Sequence(
        [
            *(normalizers.Replace(names[index], letter(index)) for index in longest_first),
            *([normalizers.Replace(gap, "")] if gap else []),
        ]
    )
    first = names[tokenizer.bos_id]
    made.decoder = decoders.Sequence(
        [
            decoders.Replace(first, first + gap),
            *(decoders.Replace(letter(index), names[index] + gap) for index in inner),
            decoders.Fuse(),
        ]
    )
    return made
