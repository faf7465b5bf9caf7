"""How notes are spelled on a staff, and which of them show an accidental."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from data.abc.dialect import key_alteration, spelling, spellings
from data.notation.lengths import Symbol


class Accidentals:
    """How one voice spells its notes, and which of them show an accidental, bar by bar.

    One that is the same as before is left out only where it holds whether accidentals reach other
    octaves or not, and whether one before a tied note reaches later notes or not: readers differ.
    """

    def __init__(self) -> None:
        self._key = (0, False)
        self._names: tuple[tuple[int, int, int], ...] = ()
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
            self._names = chord_spelling(symbol.pitches, self._key)
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
def chord_spelling(
    pitches: tuple[int, ...], key: tuple[int, bool]
) -> tuple[tuple[int, int, int], ...]:
    """(letter, alteration, octave) of the notes of a chord, each on a line or space of its own.

    Two on the same one, such as C and C sharp, cannot be drawn, and their ties are mixed up. Of
    five semitones in a row, some are on the same one nevertheless.
    """
    wanted = [spelling(pitch, *key) for pitch in pitches]
    if len({(letter, octave) for letter, _, octave in wanted}) == len(wanted):
        return tuple(wanted)
    found = next(_apart(pitches, wanted, -1), None)
    return tuple(found or wanted)


def _apart(
    pitches: tuple[int, ...], wanted: list[tuple[int, int, int]], above: int
) -> Iterator[list[tuple[int, int, int]]]:
    """Spellings in which every note stands higher on the staff than the one before."""
    if not pitches:
        yield []
        return
    for name in [wanted[0], *spellings(pitches[0])]:
        step = 7 * name[2] + name[0]
        if step > above:
            for others in _apart(pitches[1:], wanted[1:], step):
                yield [name, *others]
