"""The error that reading, planning and running a grid have in common."""


class GridError(ValueError):
    """A grid that cannot be run; the message is one line that names the place."""
