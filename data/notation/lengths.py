"""How long things are in notation: plain and dotted values, ties between them, and triplets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple

LONGEST = 48
"""The longest value, a dotted whole note, in 32nd notes."""


class Sound(NamedTuple):
    """A note, or notes that begin and end together."""

    onset: int
    end: int
    pitches: tuple[int, ...]
    """Ascending."""


@dataclass(frozen=True)
class Symbol:
    """A note, a chord or a rest, or a part of one."""

    start: int
    """Ticks."""
    end: int
    pitches: tuple[int, ...]
    """Ascending; none for a rest."""
    value: Fraction
    """The written length in whole notes: 1, 3/4, 1/2, 3/8, ..."""
    held: bool
    """Whether it is tied to what stands before."""
    tied: bool
    """Whether what follows is tied to it."""

    @property
    def plain(self) -> Fraction:
        """The value without its dot."""
        return self.value * 2 / 3 if self.value.numerator == 3 else self.value

    @property
    def flags(self) -> int:
        """Of a note: one for an eighth, two for a sixteenth; none for a rest."""
        return max(self.plain.denominator.bit_length() - 3, 0) if self.pitches else 0


@dataclass(frozen=True)
class Group:
    """Symbols that belong together: a triplet, or a single one."""

    symbols: tuple[Symbol, ...]
    triplet: bool
    """Whether they last two thirds of their values."""


class Stretch(NamedTuple):
    """A sound or a rest, or what is between two tempos of one, from `start` to `end`."""

    start: int
    end: int
    sound: Sound | None


class Lengths:
    """How lengths are written on one grid."""

    def __init__(self, ticks_per_quarter: int) -> None:
        self.thirds = ticks_per_quarter % 3 == 0
        self.unit = 3 if self.thirds else 1
        """Ticks of the shortest plain value."""
        self.whole = 4 * ticks_per_quarter
        self.half = 2 * ticks_per_quarter

    def groups(
        self, stretches: list[Stretch], bar: int, end: int, meter: tuple[int, int]
    ) -> list[Group]:
        """The symbols of a bar from tick `bar` to `end`, which stretches fill."""
        numerator, denominator = meter
        compound = denominator > 4 and numerator % 3 == 0
        beat = 3 * self.whole // denominator if compound else 0
        found = list[Group]()
        points = [stretch.start - bar for stretch in stretches] + [end - bar]
        for begin, stop, triplet in self._spans(points, end - bar):
            symbols = [
                symbol
                for stretch in stretches
                if stretch.start - bar < stop and stretch.end - bar > begin
                for symbol in self._symbols(stretch, bar, (begin, stop), triplet, beat)
            ]
            if triplet and len(symbols) == 1:
                # abcjs does not end a bracket over one symbol.
                symbols = list(_halves(symbols[0]))
            found += (
                [Group(tuple(symbols), True)]
                if triplet
                else [Group((symbol,), False) for symbol in symbols]
            )
        return found

    def _spans(self, points: list[int], length: int) -> list[tuple[int, int, bool]]:
        """(begin, end, triplet) of the parts of a bar; no two neighbours are both plain.

        points: ticks from the beginning of the bar at which something begins, and its end.
        """
        found: list[tuple[int, int, bool]] = []
        for begin in range(0, length, self.half):
            for span in self._triplets(points, begin, self.half // 3 if self.thirds else 0):
                begins, ends, triplet = span[0], min(span[1], length), span[2]
                if found and not triplet and not found[-1][2]:
                    found[-1] = (found[-1][0], ends, False)
                elif begins < length:
                    found.append((begins, ends, triplet))
        return found

    def _triplets(self, points: list[int], begin: int, third: int) -> list[tuple[int, int, bool]]:
        """Halve a part of a bar until what begins in it stands on halves, or on thirds, of it.

        third: ticks of a third of the part, a power of two; 0 on a grid without thirds.
        """
        if not third:
            return [(begin, begin + self.half, False)]
        end = begin + 3 * third
        inner = [point for point in points if begin < point < end]
        if all(point % 3 == 0 for point in inner):
            return [(begin, end, False)]
        if third == 1 or all(point % third == 0 for point in inner):
            return [(begin, end, True)]
        halves = (begin, begin + 3 * third // 2)
        return [span for half in halves for span in self._triplets(points, half, third // 2)]

    def _symbols(
        self, stretch: Stretch, bar: int, span: tuple[int, int], triplet: bool, beat: int
    ) -> Iterator[Symbol]:
        """The part of a stretch between two ticks of its bar.

        beat: ticks of a dotted beat, 0 where beats are plain.
        """
        first, last = max(stretch.start - bar, span[0]), min(stretch.end - bar, span[1])
        cuts = [(first, last)]
        if not triplet:
            unit, rest = self.unit, stretch.sound is None
            where = first // unit, last // unit, rest
            values = _in_beats(*where, beat // unit) if beat else _values(*where)
            cuts = [(a * unit, b * unit) for a, b in values]
        onset, stop, pitches = stretch.sound or (0, 0, ())
        for a, b in cuts:
            value = Fraction(b - a, self.whole) * (Fraction(3, 2) if triplet else 1)
            held, tied = bool(pitches) and onset < bar + a, bool(pitches) and stop > bar + b
            yield Symbol(bar + a, bar + b, pitches, value, held, tied)


def _halves(symbol: Symbol) -> Iterator[Symbol]:
    """Two of half its length, tied if they are notes; itself if it lasts a tick."""
    middle = (symbol.start + symbol.end) // 2
    if middle == symbol.start:
        yield symbol
        return
    half, sounds = symbol.value / 2, bool(symbol.pitches)
    yield replace(symbol, end=middle, value=half, tied=sounds)
    yield replace(symbol, start=middle, value=half, held=sounds)


def _in_beats(start: int, end: int, rest: bool, beat: int) -> list[tuple[int, int]]:
    """Cut a length into values by dotted beats, as in 6/8; `_values` cuts the others."""
    first, last = -(-start // beat) * beat, end // beat * beat
    if first > last:
        first = last = end
    before, after = start // beat * beat, last
    return [
        *((before + a, before + b) for a, b in _values(start - before, first - before, rest)),
        *((a * beat, b * beat) for a, b in _values(first // beat, last // beat, rest, dots=False)),
        *((after + a, after + b) for a, b in _values(0, end - after, rest)),
    ]


def _values(start: int, end: int, rest: bool, dots: bool = True) -> list[tuple[int, int]]:
    """Cut a length into plain and dotted values, at the strongest beats.

    In units of the shortest value. A note may begin between the beats of its value, a rest not.
    """
    length = end - start
    if length < 1:
        return []
    power = length & -length
    plain = power if length == power else 2 * power
    written = length == power or (dots and length == 3 * power)
    if written and length <= LONGEST and start % max(plain if rest else plain // 4, 1) == 0:
        return [(start, end)]
    # The number within that is divisible by the highest power of two.
    step = 1 << (end - 1).bit_length()
    while (cut := (start // step + 1) * step) >= end:
        step //= 2
    return [*_values(start, cut, rest, dots), *_values(cut, end, rest, dots)]
