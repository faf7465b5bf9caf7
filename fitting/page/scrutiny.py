"""The sections of report.html on each law under other choices."""

from fitting.arch_law import ArchLaw
from fitting.page.markup import bracketed, plot_box, said, section, table
from fitting.scrutiny.findings import Scrutiny
from fitting.scrutiny.rivals import PHRASES, Judged

Found = list[tuple[str, Scrutiny]]


def sections(laws: dict[str, ArchLaw]) -> str:
    """Sensitivity, other forms and collapse, as HTML; "" where no law was scrutinised."""
    found = [(arch, law.scrutiny) for arch, law in laws.items() if law.scrutiny]
    return (_sensitivity(found) + _forms(found) + _collapse(found)) if found else ""


def _sensitivity(found: Found) -> str:
    sentences = said((arch, scrutiny.drift) for arch, scrutiny in found)
    sizes = [
        [
            arch,
            f"{one.left_out} {one.end}",
            f"{one.alpha:.3g} {bracketed(one.interval)}",
        ]
        for arch, scrutiny in found
        for one in scrutiny.ends
    ]
    counts = [
        [
            arch,
            one.counted,
            f"{one.alpha:.3g} {bracketed(one.interval)}",
            f"{one.c:.3g}",
            f"{100 * one.noise:.2g} %",
        ]
        for arch, scrutiny in found
        for one in scrutiny.counted
    ]
    return section(
        "Does the exponent depend on the sizes chosen?",
        sentences,
        plot_box("sensitivity") if sizes else "",
        table("Exponent by sizes left out", ["", "left out", "α"], sizes),
        "<h3>By what counts as N</h3>" if counts else "",
        table("Exponent by what counts as N", ["", "N", "α", "c", "noise of a run"], counts),
        lead="The law refitted without its smallest, then without its largest sizes. The band is "
        "that of all sizes; with fewer sizes the bars are longer.",
    )


def _forms(found: Found) -> str:
    rows = [_form_row(arch, one) for arch, scrutiny in found for one in scrutiny.forms.judged]
    head = ["", "form", "parameters", "largest", "two largest", "ten times", ""]
    sentences = said(
        (arch, f"{scrutiny.forms.sentence()} {scrutiny.forms.tenfold_sentence()}")
        for arch, scrutiny in found
    )
    return section(
        "Would another curve fit better?",
        sentences,
        table("Other forms of the law", head, rows),
        lead="Each form is fitted without the largest size, then without the two largest, and "
        "predicts them. Brackets show the error that noise explains.",
    )


def _form_row(arch: str, form: Judged) -> list[str]:
    errors = [
        ", ".join(f"{100 * e:+.2g} % [{100 * r:.2g}]" for e, r in zip(trial.error, trial.reach))
        for trial in form.trials
    ]
    errors += ["–"] * (2 - len(errors))
    tried = "too few sizes" if not form.trials else "within noise" if form.survives else "misses"
    far = f"{form.tenfold:.4g}" if form.trials else "–"
    return [arch, PHRASES[form.name], str(form.n_parameters), *errors, far, tried]


def _collapse(found: Found) -> str:
    curves = [(arch, s.collapse) for arch, s in found if s.collapse and s.collapse.curves]
    if not curves:
        return ""
    return section(
        "Do the training curves collapse?",
        said((arch, one.sentence()) for arch, one in curves),
        plot_box("collapse"),
        lead="Loss above c relative to its final value, against the fraction of training "
        "completed; one line per size. Where tokens are proportional to size, one curve is "
        "expected (Qiu et al. 2025).",
    )
