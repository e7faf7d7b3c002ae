"""A file that one process holds at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from warehouse.mistake import Mistake


@contextmanager
def lock(path: Path, remedy: str) -> Iterator[tuple[TextIO, bool]]:
    """The file at `path`, made where it is not there, and whether its lock is ours and not another process's.

    The lock is the kernel's: it ends with its process, however that ends, and the file left behind binds no one.
    Raises Mistake when the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="ascii")
    except OSError as error:
        raise Mistake(str(path), f"cannot be written: {error.strerror}", remedy) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield file, False
        else:
            yield file, True
