"""A piece as engraved music: verovio draws the MusicXML that is offered beside it.

verovio reads ABC too, but loses single tuplets and changes of key.
"""

from __future__ import annotations

import numpy as np

from data.music.score import Score
from data.music.sections import between
from data.notation import musicxml

MAX_BARS = 64
MAX_TRACKS = 8
OPTIONS = {
    "adjustPageHeight": True,
    "pageWidth": 1600,
    "pageHeight": 60_000,
    "scale": 40,
    "footer": "none",
    "header": "none",
    "svgViewBox": True,
    "svgRemoveXlink": True,
    "breaks": "auto",
    **{f"pageMargin{side}": 20 for side in ("Top", "Bottom", "Left", "Right")},
}


def engrave(score: Score, seam: int = 0) -> str:
    """SVG of the first `MAX_BARS` bars; empty without verovio, without notes in these bars, or with
    over `MAX_TRACKS` tracks.

    seam: the tick up to which the piece was given, where a double bar line stands.
    """
    try:
        import verovio
    except ImportError:
        return ""
    drawn = between(score, 0, int(score.bars[: MAX_BARS + 1][-1]))
    if drawn is None or len(np.unique(drawn.track)) > MAX_TRACKS:
        return ""
    verovio.enableLog(verovio.LOG_OFF)
    kit = verovio.toolkit()
    kit.setOptions(OPTIONS)
    # For the note in a tempo, verovio embeds a font that is ten times as large as the rest.
    text = musicxml.write(drawn, seam=seam, tempos=False)
    return kit.renderToSVG(1) if kit.loadData(text) else ""
