"""An argument that would have no effect is refused, in a line that says what it is for."""

from __future__ import annotations

import pytest

from sweeps import arguments


def parsed(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.setattr("sys.argv", ["run_grid.py", *line.split()])
    arguments.parse("")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("--status --dry-run", "--dry-run: not allowed with argument --status"),
        ("--fresh --prune", "--prune: not allowed with argument --fresh"),
        ("--cluster 8x1", "--cluster goes with --dry-run"),
        ("--status --gpu-price 3", "--gpu-price is for training and --dry-run"),
        ("--gpu h100", "--gpu goes with --dry-run"),
        ("--gpu-tflops 3", "--gpu-tflops goes with --dry-run"),
        ("--dry-run --gpu h100 --gpu-tflops 3", "--gpu-tflops is for cards that --gpu does not"),
        ("--status --retry-failed", "--retry-failed is for training"),
        ("--dry-run -v", "--verbose is for training and --check"),
        ("--check --only arch=lstm", "--only has no effect on --check"),
    ],
)
def test_it_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str, told: str
) -> None:
    with pytest.raises(SystemExit) as end:
        parsed(monkeypatch, line)
    assert end.value.code == 2
    assert told in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    "line",
    [
        "--retry-failed --only arch=lstm -v",
        "--fresh --only arch=lstm",
        "--check -v",
        "--status --only arch=lstm",
        "--dry-run --cluster 8x1 --gpu-price 3 --gpu-tflops 20",
        "--dry-run --gpu h100",
        "--gpu-price 3",
    ],
)
def test_what_has_an_effect_is_taken(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    parsed(monkeypatch, line)
