"""What stands in a line of ABC music, as patterns."""

from __future__ import annotations

import re


def _length(name: str) -> str:
    return rf"(?P<{name}>\d*(?:/\d+|/*))"


MUSIC = re.compile(
    r"\[(?P<field>[A-Za-z]):(?P<value>[^\]]*)\]"
    r"|(?P<aside>\"[^\"]*\"|!(?:[^!\n|]*)!|\{[^}]*\}|\+[^+\n|]*\+)"
    r"|\((?P<p>\d)(?::(?P<q>\d*))?(?::(?P<r>\d*))?"
    r"|(?P<bar>\.?[:|]*\|[|\]:]*|\[\||::|:(?=\s*$))(?P<ending>\s*\[?\d[\d,.-]*)?"
    r"|(?P<section>(?:\[|(?<!.))\d[\d,.-]*|\[(?=[\"']))"
    r"|\[(?P<chord>[^\]|]*)\]" + _length("chord_length") + r"(?P<chord_tie>-?)"
    r"|(?P<mark>[\^_=]*)(?P<micro>\d*/\d*)?(?P<name>[A-Ga-g][,']*)"
    + _length("length")
    + r"(?P<tie>-?)"
    r"|(?P<rest>[zxZX])" + _length("rest_length") + r"|(?P<broken>>+|<+)"
    r"|(?P<overlay>&)"
    r"|(?P<passed>[!\s()\\`*$.~H-Yh-wy\]-]|y\d*)"
)
IN_CHORD = re.compile(
    r"(?P<mark>[\^_=]*)(?P<name>[A-Ga-g][,']*)"
    + _length("length")
    + r"(?P<tie>-?)|\"[^\"]*\"|![^!]*!|[\s().~H-Yh-w-]"
)
