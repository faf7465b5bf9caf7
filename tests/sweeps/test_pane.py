"""The view at the foot of a terminal: drawn in place, whatever is said and however wide it is."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from rich.console import Group
from rich.text import Text

from sweeps.console import busy, complain, say
from sweeps.pane import Pane
from tests.terminal import Terminal, terminal
from tests.waiting import wait_until


@pytest.fixture(params=[80, 120])
def shown(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Terminal, Pane]]:
    with terminal(request.param) as found, found.file() as file:
        monkeypatch.setattr(sys, "__stdout__", file)
        monkeypatch.setattr(sys, "__stderr__", file)
        say("before")
        with Pane(file) as pane:
            yield found, pane


def view(*lines: str) -> Group:
    return Group(*map(Text, lines))


def test_it_is_drawn_in_place(shown: tuple[Terminal, Pane]) -> None:
    screen, pane = shown
    pane.draw(view("one", "two", "three"))
    pane.draw(view("1", "2"))
    wait_until(lambda: screen.lines() == ["before", "1", "2"])


def test_what_is_said_meanwhile_stands_above(shown: tuple[Terminal, Pane]) -> None:
    screen, pane = shown
    pane.draw(view("one", "two"))
    say("said")
    complain("complained")
    pane.draw(view("1", "2"))
    wait_until(lambda: screen.lines() == ["before", "said", "complained", "1", "2"])


def test_long_lines_are_cut_and_not_broken(shown: tuple[Terminal, Pane]) -> None:
    screen, pane = shown
    for mark in "ab":
        pane.draw(view(mark * 500, "second"))
    wait_until(lambda: screen.lines()[-1] == "second" and screen.lines()[1][0] == "b")
    before, long, second = screen.lines()
    assert (before, second) == ("before", "second")
    assert long == "b" * (screen.screen.columns - 2) + "…"


def test_rows_without_room_are_left_out(shown: tuple[Terminal, Pane]) -> None:
    screen, pane = shown
    for _ in range(2):
        pane.draw(view(*[f"row {number}" for number in range(40)]))
    wait_until(lambda: screen.lines()[-1] == "row 22")
    assert screen.everything() == ["before", *[f"row {number}" for number in range(23)]]


@pytest.mark.parametrize("width", [60, 200])
def test_another_width_leaves_no_stale_lines(shown: tuple[Terminal, Pane], width: int) -> None:
    screen, pane = shown
    pane.draw(view("old " * 19, "old"))
    wait_until(lambda: screen.lines()[-1] == "old")
    screen.resize(width)
    pane.draw(view("new", "lines"))
    wait_until(lambda: screen.lines() == ["new", "lines"])


def test_what_takes_long_is_told_with_its_seconds_and_then_taken_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    with terminal(80) as screen, screen.file() as file:
        monkeypatch.setattr(sys, "__stdout__", file)
        with busy("Ray starts"):
            wait_until(lambda: screen.lines() == ["Ray starts..."])
            wait_until(lambda: screen.lines() == ["Ray starts... 1 s"])
            say("said")
            wait_until(lambda: screen.lines() == ["said", "Ray starts... 2 s"])
        say("over")
        wait_until(lambda: screen.lines() == ["said", "over"])


def test_where_nothing_can_be_drawn_again_it_is_a_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with busy("Ray starts"):
        pass
    assert capfd.readouterr().out == "Ray starts...\n"
    with terminal(80) as screen, screen.file() as file:
        monkeypatch.setenv("TERM", "dumb")
        monkeypatch.setattr(sys, "__stdout__", file)
        with busy("Ray starts"):
            pass
        wait_until(lambda: screen.lines() == ["Ray starts..."])


def test_nothing_of_it_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(80) as screen, screen.file() as file:
        monkeypatch.setattr(sys, "__stdout__", file)
        with Pane(file) as pane:
            pane.draw(view("one", "two"))
        say("after")
        wait_until(lambda: screen.lines() == ["after"])
