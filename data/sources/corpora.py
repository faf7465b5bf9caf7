"""Corpora that are known by name: where their makers publish them, and what is told with them.

The sums for Lakh full and matched come from MusPy's table (muspy/datasets/lmd.py; the site itself
publishes none), and the sum for MAESTRO is the one that many public repositories quote. Those of
PDMX are Zenodo's (record 15571083). We know of none for Lakh clean and for Aria; the manifest
records what was found. Sizes are those that the makers' pages or public repositories state.
"""

from __future__ import annotations

from dataclasses import dataclass

from data.sources.download import Download
from data.sources.facts import Layout
from data.sources.licences import Licence


@dataclass(frozen=True)
class Corpus:
    archive: Download | None
    """None if it is given after a login only."""
    licence: Licence
    title: str
    works: str = ""
    """A regular expression that finds in a path the work of which the file is a version."""
    layout: Layout | None = None
    """Of the table that says more of its files: one in the archive,"""
    table: Download | None = None
    """or beside it."""
    login: str = ""
    """Where it is given after a login, and what to take there."""


_LAKH = "http://hog.ee.columbia.edu/craffel/lmd"
_LAKH_LICENCE = Licence("cc-by-4.0", "The collection is CC BY 4.0; the songs are their owners'.")

# Each file is a stretch of a recording: data/aa/000123_0.mid, of which metadata.json, the first of
# the archive, says under "123" what was read out of titles and descriptions.
_ARIA = "https://huggingface.co/datasets/loubb/aria-midi/resolve/main/aria-midi-v1"
_ARIA_LICENCE = Licence(
    "cc-by-nc-sa-4.0",
    "CC BY-NC-SA 4.0, and who takes it agrees to the disclaimer of github.com/loubbrad/aria-midi.",
)
_ARIA_TABLE = Layout(
    member="/metadata.json",
    columns={"work": ("opus", "piece_number")},
    key=r"(?:^|/)0*(\d+)_\d+\.mid$",
)

_PDMX = "https://zenodo.org/records/15571083/files"
_PDMX_FILES = Download(
    f"{_PDMX}/mxl.tar.gz?download=1", None, md5="49ffd75ecf5489c0be6d41182eb11ff7", size="1.9 GB"
)
_PDMX_TABLE = Download(
    f"{_PDMX}/PDMX.csv?download=1", None, md5="30392ccf38bb63ce70e7afae70f9c88c", size="225 MB"
)
# Titles are what people typed, and many a one is "Ave Maria" or has no composer: no works.
_PDMX_COLUMNS = {
    "path": "mxl",
    "licence": "license",
    "genre": "genres",
    "composer": "composer_name",
    "work": "",
}
_PDMX_LICENCE = Licence(
    "cc-by-4.0",
    "The collection is CC BY 4.0; who shared a score put it into the public domain or under CC0.",
)


def _aria(subset: str, size: str, title: str) -> Corpus:
    archive = Download(f"{_ARIA}{subset}-ext.tar.gz", None, size=size)
    return Corpus(archive, _ARIA_LICENCE, f"Aria-MIDI v1, {title}", layout=_ARIA_TABLE)


CORPORA = {
    "lakh-full": Corpus(
        Download(
            f"{_LAKH}/lmd_full.tar.gz",
            "6fcfe2ac49ca08f3f214cec86ab138d4fc4dabcd7f27f491a838dae6db45a12b",
            size="1.8 GB",
        ),
        _LAKH_LICENCE,
        "Lakh MIDI",
    ),
    "lakh-matched": Corpus(
        Download(
            f"{_LAKH}/lmd_matched.tar.gz",
            "621ff830aed771f469e5bfa13dc12a33c6ed69090adeda63d0b5c47783af0191",
            size="1.4 GB",
        ),
        _LAKH_LICENCE,
        "Lakh MIDI, matched to the Million Song Dataset",
        # The track of the Million Song Dataset: lmd_matched/A/A/A/TRAAAGR128F425B14B/1d9d....mid.
        works="TR[A-Z0-9]{16}",
    ),
    "lakh-clean": Corpus(
        Download(f"{_LAKH}/clean_midi.tar.gz", None, size="234 MB"),
        _LAKH_LICENCE,
        "Lakh MIDI, named by artist and title",
    ),
    "maestro": Corpus(
        Download(
            "https://storage.googleapis.com/magentadata/datasets/maestro/v3.0.0/maestro-v3.0.0-midi.zip",
            "70470ee253295c8d2c71e6d9d4a815189e35c89624b76d22fce5a019d5dde12c",
        ),
        Licence("cc-by-nc-sa-4.0", "CC BY-NC-SA 4.0."),
        "MAESTRO v3, piano performances",
        layout=Layout(
            member="maestro-v3.0.0.csv",
            columns={
                "path": "midi_filename",
                "composer": "canonical_composer",
                "work": "canonical_title",
            },
        ),
    ),
    # Its makers recommend `pruned` for models that compose.
    "aria": _aria("-pruned", "5.4 GB", "piano transcriptions, pruned"),
    "aria-full": _aria("", "8.5 GB", "piano transcriptions, all"),
    "aria-deduped": _aria("-deduped", "2.0 GB", "piano transcriptions, a few of each work"),
    "aria-unique": _aria("-unique", "254 MB", "piano transcriptions, one of each work"),
    # Its makers recommend this subset: in the others' files another licence is stated.
    "pdmx": Corpus(
        _PDMX_FILES,
        _PDMX_LICENCE,
        "PDMX, scores of MuseScore without conflicts of licence",
        layout=Layout(_PDMX_COLUMNS, missing="NA", subset="subset:no_license_conflict"),
        table=_PDMX_TABLE,
    ),
    "pdmx-all": Corpus(
        _PDMX_FILES,
        Licence("other", f"{_PDMX_LICENCE.said} 12 % of the files themselves say otherwise."),
        "PDMX, scores of MuseScore",
        layout=Layout(_PDMX_COLUMNS, missing="NA"),
        table=_PDMX_TABLE,
    ),
    "gigamidi": Corpus(
        None,
        Licence("cc-by-nc-4.0", "CC BY-NC 4.0, for non-commercial research and education."),
        "GigaMIDI",
        layout=Layout(
            {"path": "md5", "genre": "music_styles_curated"}, key=r"([0-9a-f]{32})\.mid$"
        ),
        login="https://huggingface.co/datasets/Metacreation/GigaMIDI: take its folder v2.0.0",
    ),
}
