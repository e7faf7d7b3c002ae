"""A mistake a person can mend: said in one line that names the place, the fault and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class Mistake(Exception):
    """Something wrong outside our code: a file, a key, an argument.

    `where` names the file (and key), `what` the fault with its bad value, `remedy` what to do.
    The command line prints it as one line and ends with code 2; a page shows it as a note.
    """

    def __init__(self, where: str, what: str, remedy: str) -> None:
        self.where = where
        self.what = what
        self.remedy = remedy
        super().__init__(f"{where}: {what} ({remedy})")


def nearest(word: str, known: Iterable[str]) -> str:
    """The remedy for an unknown name: the nearest right one, or the list of all."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return "known: " + ", ".join(names) if names else "nothing is known yet"
