"""Is every file of a corpus a prompt, and does the grammar take all that the writer makes of it?

    python -m benchmarks.samples_prompts nottingham.tar.gz pop909.tar.gz folk

Each file is read, and its first bars are cut as `trainers.generate --prompt` cuts them. The whole
text of one in `--every` goes through the grammar, which takes the longest.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from data.music.files import from_midi
from data.music.score import ScoreError
from data.sources.named import open_source
from data.store.location import Location
from data.tokens.grammars import refused_at
from data.tokens.make import make_tokenizer
from trainers.samples.prompt import PromptError, read_prompt


def contents(source: str) -> Iterator[bytes]:
    """The MIDI files of a source."""
    with tempfile.TemporaryDirectory() as folder:
        for shard in open_source(source, Location.of(folder), None)[0]:
            yield from (content for _, content in shard.read() if isinstance(content, bytes))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--tokenizer", default="abc", help="[abc]")
    parser.add_argument("--bars", type=int, default=4, help="of a prompt [4]")
    parser.add_argument("--every", type=int, default=20, help="for whole texts [20]")
    args = parser.parse_args()
    tokenizer = make_tokenizer(args.tokenizer, 24)
    print("| source | files that are music | prompts | whole texts | taken | what is refused |")
    print("| --- | --- | --- | --- | --- | --- |")
    for source in args.sources:
        counted, refused = Counter[str](), Counter[str]()
        with tempfile.TemporaryDirectory() as folder:
            tune = Path(folder) / "tune.mid"
            for content in contents(source):
                try:
                    score = from_midi(content, 24)
                except ScoreError:
                    continue
                if not len(score):
                    continue
                if counted["music"] % args.every == 0:
                    tokens = tokenizer.encode(score)
                    at = refused_at(tokenizer, tokens)
                    counted["whole"] += 1
                    counted["taken"] += at is None
                    if at is not None:
                        refused[f"whole, at {tokenizer.to_text(tokens[at - 3 : at + 1])!r}"] += 1
                counted["music"] += 1
                tune.write_bytes(content)
                try:
                    read_prompt(tune, tokenizer, args.bars)
                    counted["prompts"] += 1
                except PromptError as error:
                    refused[str(error).removeprefix(f"{tune}: ")[:90]] += 1
        told = "; ".join(f"{count}: {why}" for why, count in refused.most_common(6)) or "none"
        counts = " | ".join(f"{counted[each]:,}" for each in ("music", "prompts", "whole", "taken"))
        print(f"| {Path(source).name} | {counts} | {told} |", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
