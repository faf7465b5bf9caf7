"""Which notes on a staff show an accidental, and how those of a chord keep apart."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from data.abc.dialect import key_alteration, spellings
from data.notation.lengths import Symbol
from data.notation.spelling import Name, Names


class Accidentals:
    """Which notes of one voice show an accidental, bar by bar.

    One that is the same as before is left out only where it holds whether accidentals reach other
    octaves or not, and whether one before a tied note reaches later notes or not: readers differ.
    """

    def __init__(self, names: Names) -> None:
        """names: how the notes of its score are spelled."""
        self._spelled, self._key = names, (0, False)
        self._names: tuple[Name, ...] = ()
        """Of the latest notes: what is tied is spelled as before, whatever the key is now."""
        self._shown: dict[int, dict[int, int]] = {}
        """By letter and octave."""
        self._held: set[tuple[int, int]] = set()
        """Letters and octaves of accidentals before notes tied to the bar before."""

    def begin(self, key: tuple[int, bool] | None) -> None:
        """Begin a bar."""
        self._key = key or (0, False)
        self._shown, self._held = {}, set()

    def of(self, symbol: Symbol) -> list[tuple[int, int, int, bool]]:
        """(letter, alteration, octave, whether the alteration is shown) of each note."""
        if not symbol.held:
            wanted = (self._spelled.of(symbol.start, p, self._key) for p in symbol.pitches)
            self._names = chord_spelling(symbol.pitches, tuple(wanted))
        return [self._next(*name, symbol.held) for name in self._names]

    def _next(
        self, letter: int, alteration: int, octave: int, held: bool
    ) -> tuple[int, int, int, bool]:
        shown = self._shown.setdefault(letter, {})
        if shown:
            clear = set(shown.values()) == {alteration} and octave in shown
            clear = clear and (held or (letter, octave) not in self._held)
        else:
            clear = alteration == key_alteration(letter, self._key[0])
        if not clear:
            shown[octave] = alteration
            (self._held.add if held else self._held.discard)((letter, octave))
        return letter, alteration, octave, not clear


@cache
def chord_spelling(pitches: tuple[int, ...], wanted: tuple[Name, ...]) -> tuple[Name, ...]:
    """The notes of a chord, each on a line or space of its own.

    Two on the same one, such as C and C sharp, cannot be drawn, and their ties are mixed up. Of
    five semitones in a row, some are on the same one nevertheless.
    """
    if len({(letter, octave) for letter, _, octave in wanted}) == len(wanted):
        return wanted
    return tuple(next(_apart(pitches, wanted, -1), wanted))


def _apart(
    pitches: tuple[int, ...], wanted: tuple[Name, ...], above: int
) -> Iterator[tuple[Name, ...]]:
    """Spellings in which every note stands higher on the staff than the one before."""
    if not pitches:
        yield ()
        return
    for name in [wanted[0], *spellings(pitches[0])]:
        step = 7 * name[2] + name[0]
        if step > above:
            for others in _apart(pitches[1:], wanted[1:], step):
                yield (name, *others)
