"""The error that a user of data can cause."""


class DataError(ValueError):
    """A source or a data folder that cannot be used; the message is one line."""
