"""What is one user's alone on a machine that others use too.

In the temporary folder anybody may make a file of any name. What is kept there between runs lies in
one folder of the user's own, in which nobody else can plant, read or change anything.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import tempfile
from pathlib import Path

from data.errors import DataError
from data.store.location import named


def private_folder(name: str, within: str | None = None) -> Path:
    """The folder `name` in this user's own, made if it is missing.

    within: where the user's own folder lies; without it, in the temporary folder.
    Raises DataError if something of another user's, a link, or a folder that is open to others
    stands in its place.
    """
    own = Path(within or tempfile.gettempdir()) / f"crescendo-{os.geteuid()}"
    with contextlib.suppress(FileExistsError):
        own.mkdir(mode=0o700)
    found = own.lstat()
    if (
        not stat.S_ISDIR(found.st_mode)
        or found.st_uid != os.geteuid()
        or stat.S_IMODE(found.st_mode) & 0o077
    ):
        raise DataError(
            f"{own}: found {stat.filemode(found.st_mode)} of user {found.st_uid}, expected "
            f"drwx------ of user {os.geteuid()}; remove it, or set TMPDIR to a folder of your own"
        )
    folder = own / name
    folder.mkdir(exist_ok=True)
    return folder


def secret(path: Path) -> str:
    """The random word in this file, which is made if it is missing, and readable by its owner only.

    Raises DataError if the file is another user's.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        # Of two processes that come here at once, both return the word of one.
        descriptor, aside = tempfile.mkstemp(dir=path.parent)
        try:
            with open(descriptor, "w") as file:
                file.write(secrets.token_hex(32))
            named(Path(aside), path)
        finally:
            Path(aside).unlink(missing_ok=True)
    with path.open() as file:
        found = os.fstat(file.fileno())
        if found.st_uid != os.geteuid():
            raise DataError(
                f"{path} belongs to user {found.st_uid}, expected {os.geteuid()}; remove it"
            )
        os.fchmod(file.fileno(), 0o600)
        return file.read().strip()
