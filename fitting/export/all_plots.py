"""All plots of the report, by name: the page and the figures take them from here."""

from fitting.analysis import Analysis
from fitting.export.origin_plots import origin_plots
from fitting.export.plots import Plot, law_plots
from fitting.export.scrutiny_plots import scrutiny_plots
from fitting.export.surface_plots import surface_plots


def all_plots(analysis: Analysis) -> dict[str, Plot]:
    """The plots of laws, some of which may have no marks; of classes of tokens, scrutiny and
    surfaces, if any."""
    surfaces = {arch: law.surface for arch, law in analysis.laws.items() if law.surface}
    numbers = {arch: k for k, arch in enumerate(analysis.laws)}
    return (
        law_plots(analysis)
        | origin_plots(analysis)
        | scrutiny_plots(analysis.laws, analysis.axis)
        | surface_plots(surfaces, numbers, analysis.loss.label)
    )
