"""The variable a law is fitted against: parameters, training tokens or training compute."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """A column of the records, and how it is written."""

    column: str
    symbol: str
    """The letter in L(N) = a N^-alpha + c."""
    unit: str
    """The unit in a sentence, as in "at 300,000 parameters"."""
    label: str
    """The label of a plot's axis."""

    def amount(self, value: float) -> str:
        """The value with its unit, to three digits: "297,000 parameters", "4.45e+12 FLOPs"."""
        number = f"{value:.2e}" if value >= 1e10 else f"{float(f'{value:.3g}'):,.0f}"
        return f"{number} {self.unit}"


AXES = {
    axis.column: axis
    for axis in (
        Axis("n_params", "N", "parameters", "parameters (non-embedding + head)"),
        Axis("tokens", "D", "tokens", "training tokens"),
        Axis("flops", "C", "FLOPs", "training compute, FLOPs"),
    )
}
N_PARAMS = AXES["n_params"]
