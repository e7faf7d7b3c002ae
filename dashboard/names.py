"""Names of places in a view's language."""

from __future__ import annotations

from dashboard.view import View
from warehouse.scope import tree_of


def place_names(view: View) -> dict[str, str]:
    """The name of every place of the site, by code."""
    return {code: place.name[view.lang] for code, place in tree_of(view.version).places.items()}
