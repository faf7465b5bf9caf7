"""The error that reading, planning and running a grid share."""

from __future__ import annotations


class GridError(ValueError):
    """A grid that cannot be run; the message is one line that says where the mistake is."""
