"""Does a stated law fit the losses that it claims to describe?

    python -m fitting.check --csv runs.csv --law "8.42 N^-.152 + 1.45"
    python -m fitting.check --csv runs.csv --law transformer="8.42 N^-.152 + 1.45" --law lstm="..."

Exit code 0: every law fits its losses within the tolerance, or lies within the noise of their own
fit; 1: one does not; 2: there was nothing to check.
"""

import argparse
import re
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fitting.analysis import analyse
from fitting.arch_law import ArchLaw
from fitting.law.stated import EXAMPLE, StatedError, StatedLaw, parse
from fitting.runs.axis import N_PARAMS
from fitting.runs.csv_file import listed
from fitting.runs.escape import printable
from fitting.runs.groups import SAME_BUDGET, groups
from fitting.runs.read import RecordError, read_csv

LEVEL = 0.95
NAMED = re.compile(r"(?P<name>.+?)=(?P<law>(?:\s*L\s*(?:\([NDC]\))?\s*=)?[^=]*)", re.DOTALL)
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Check:
    """A stated law compared with the runs of one architecture and with the law fitted to them."""

    stated: StatedLaw
    found: ArchLaw
    tolerance: float
    """Largest acceptable miss, as a fraction of the loss."""

    @cached_property
    def n(self) -> Array:
        """(runs,) sizes, tokens or FLOPs: the variable of the law."""
        return self.found.selection.runs[self.stated.axis.column].to_numpy(dtype=float)

    @cached_property
    def loss(self) -> Array:
        """(runs,) losses, nats per token."""
        return self.found.selection.runs["val_loss"].to_numpy(dtype=float)

    @cached_property
    def says(self) -> Array:
        """(runs,) losses according to the law."""
        return self.stated.predict(self.n)

    @cached_property
    def misses(self) -> Array:
        """(runs,) the law over the loss, minus one."""
        return self.says / self.loss - 1

    @property
    def r2(self) -> float:
        """1 - SS_res / SS_tot of the losses about the law; below 0 where their mean fits better."""
        total = ((self.loss - self.loss.mean()) ** 2).sum()
        return float(1 - ((self.loss - self.says) ** 2).sum() / total) if total else float("nan")

    @property
    def correlation2(self) -> float:
        """Squared correlation of losses and law, which a wrong scale or floor does not lower."""
        if len(self.n) < 2 or not (np.ptp(self.loss) and np.ptp(self.says)):
            return float("nan")
        return float(np.corrcoef(self.loss, self.says)[0, 1] ** 2)

    @property
    def rounding(self) -> float:
        """How far rounding of the printed numbers may move the law, as a fraction of it."""
        low, high = self.stated.rounded(self.n)
        return float(np.max(np.maximum(high - self.says, self.says - low) / np.abs(self.says)))

    @property
    def explained_by_rounding(self) -> bool:
        """Whether a law that rounds to the stated one fits all losses within the tolerance."""
        return any(
            bool(np.all(np.abs(says / self.loss - 1) <= self.tolerance))
            for says in self.stated.meant(self.n, 5)
        )

    @property
    def p(self) -> float:
        """The p-value of the stated law against the fit, three parameters; NaN without a fit.

        Bates and Watts (1988), section 2.2: above 5 % it lies in the 95 % region of (a, alpha, c).
        Runs are weighted, and their noise estimated, as in the fit.
        """
        fit = self.found.fit
        if fit is None or fit.dof < 1 or np.any(self.says <= 0) or not fit.rss:
            return float("nan")
        rss = float(fit.weight @ np.log(self.loss / self.says) ** 2)
        return fit.spread.tail(rss - fit.rss, fit.n_parameters)

    @property
    def within_noise(self) -> bool:
        """Whether the losses show a law, and the stated one lies within its 95 % region."""
        return self.found.verdict.word != "not supported" and self.p > 1 - LEVEL

    @property
    def within_tolerance(self) -> bool:
        """Whether every loss is met within the tolerance."""
        return bool(np.all(np.abs(self.misses) <= self.tolerance))

    @property
    def meets(self) -> bool:
        """The answer."""
        return self.within_tolerance or self.within_noise

    def lines(self) -> list[str]:
        """All of it, to be read."""
        axis, arch = self.stated.axis, self.found.arch
        left = len(self.found.selection.left_out)
        more = f" ({left} more were left out)" if left else ""
        worst = int(np.argmax(np.abs(self.misses)))
        above = self.misses > 0
        explains = "explains" if self.explained_by_rounding else "does not explain"
        sides = "on both sides" if above.any() and not above.all() else "all on one side"
        return [
            f"{arch}: {printable(self.stated.text)}, as stated, against {len(self.n)} runs{more}",
            f"  {axis.column:>16} {'val_loss':>10} {'stated':>10} {'nats':>9} {'miss':>9}",
            *(
                f"  {_amount(n):>16} {loss:>10.4f} {says:>10.4f} {says - loss:>+9.4f} "
                f"{100 * miss:>+7.1f} %"
                for n, loss, says, miss in zip(self.n, self.loss, self.says, self.misses)
            ),
            f"  largest miss {100 * self.misses[worst]:+.1f} % "
            f"({self.says[worst] - self.loss[worst]:+.4f} nats) at {axis.amount(self.n[worst])}; "
            f"the misses lie {sides}",
            f"  R2 = {self.r2:.3f} (1 - SS_res / SS_tot); the squared correlation, often reported "
            f"in its place, is {self.correlation2:.3f}",
            f"  rounding of the printed numbers moves the law by up to {100 * self.rounding:.2g} %"
            + ("" if self.within_tolerance else f", and {explains} the misses"),
            f"  the losses ask for {self.found.lines(axis.symbol)[-1]}",
            *self._noise(),
            *_budget(self.found.selection.runs, axis.column),
            f"  {'meets' if self.meets else 'DOES NOT MEET'} its losses: {self._why()}",
        ]

    def _noise(self) -> list[str]:
        if np.isnan(self.p) or self.found.verdict.word == "not supported":
            return []
        inside = "inside" if self.p > 1 - LEVEL else "outside"
        return [f"  the stated law is {inside} the 95 % region of that fit (p = {self.p:.2g})"]

    def _why(self) -> str:
        tolerance = f"the tolerance of {100 * self.tolerance:g} %"
        if self.within_tolerance:
            return f"within {tolerance}"
        if self.within_noise:
            return f"beyond {tolerance}, within the noise of the fit"
        if self.explained_by_rounding:
            return f"beyond {tolerance}; it may be met with more digits than were printed"
        if self.p > 1 - LEVEL:
            return f"beyond {tolerance}, and the losses show no law to be near to"
        return f"beyond {tolerance}" + ("" if np.isnan(self.p) else " and the noise of the fit")


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = _parser()
    args = parser.parse_args(argv)
    if not args.tolerance >= 0:
        parser.error(f"--tolerance {args.tolerance}: expected a percentage, 0 or more")
    try:
        # A law may overflow far outside the range it was meant for; the miss is then infinite.
        with np.errstate(all="ignore"):
            records = read_csv(args.csv)
            checks = _checks(records, args.law, args.tolerance / 100)
            print("\n".join(records.attrs.get("notes", ())), end="")
            print("\n".join(line for check in checks for line in check.lines()))
    except (RecordError, StatedError, OSError) as error:
        print(f"fitting.check: {error}", file=sys.stderr)
        return 2
    return 0 if all(check.meets for check in checks) else 1


def _checks(records: pd.DataFrame, texts: list[str], tolerance: float) -> list[Check]:
    """One check for each architecture for which a law is stated."""
    named = [_named(text) for text in texts]
    twice = [name for name, count in Counter(name for name, _ in named).items() if count > 1]
    if twice:
        raise StatedError(f"--law: found several laws for {printable(twice[0]) or 'all'}; give one")
    checks: dict[str, Check] = {}
    # The law for all comes first, and is replaced where a specific one is stated.
    for name, law in sorted(named, key=lambda pair: pair[0] != ""):
        laws = analyse(records, law.axis.column).laws
        known = {arch: found for arch, found in laws.items() if len(found.selection.runs)}
        if name and name not in known:
            there = listed(list(known))
            raise StatedError(f"--law: no finished run of {printable(name)}; found {there}")
        for arch in [name] if name else known:
            checks[arch] = Check(law, known[arch], tolerance)
    return list(checks.values())


def _named(text: str) -> tuple[str, StatedLaw]:
    """Architecture ("" for all) and law."""
    try:
        return "", parse(text)
    except StatedError:
        found = NAMED.fullmatch(text)
        if found is None:
            raise
        return found["name"].strip(), parse(found["law"])


def _amount(n: float) -> str:
    return f"{n:,.0f}" if n < 1e13 else f"{n:.4g}"


def _budget(runs: pd.DataFrame, column: str) -> list[str]:
    """What c contains where only the size differs."""
    tokens = runs["tokens"].dropna().to_numpy()
    if column != N_PARAMS.column or len(set(groups(tokens, SAME_BUDGET))) > 1:
        return []
    seen = f"every size saw {tokens[0]:,.0f}" if len(tokens) else "if every size saw equally many"
    return [
        f"  {seen} tokens: c then holds a term of D, B D^-beta of L(N, D) (Hoffmann et al. 2022)"
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fitting.check",
        description="Check a stated law against the losses that it claims to describe: the miss at "
        "each point, R2, rounding, and the law that fits the losses best.",
        epilog="Exit code 0: every law fits its losses, within the tolerance or within the noise "
        "of their own fit; 1: one does not; 2: there was nothing to check.",
    )
    parser.add_argument(
        "--csv",
        metavar="FILE",
        required=True,
        help="a table of runs with columns arch, val_loss and n_params (tokens for laws in D, "
        "flops for laws in C)",
    )
    parser.add_argument(
        "--law",
        metavar="[ARCH=]LAW",
        action="append",
        required=True,
        help=f'such as "{EXAMPLE}" or "(N/8.8e13)^-0.076", in N, D or C; for all architectures, or '
        "for the one named before the =; may be repeated",
    )
    parser.add_argument(
        "--tolerance",
        metavar="PERCENT",
        type=float,
        default=1.0,
        help="largest acceptable miss, in percent of the loss (default: %(default)s)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
