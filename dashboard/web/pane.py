"""A pane: markup on the page whose links keep the session. All exploring pages are drawn through it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from dashboard.web.markup import Markup
from warehouse.text import Lang

ASSETS = Path(__file__).parent / "assets"

Going = Callable[[str, dict[str, str]], None]
"""Called with a page's name and its address when a link was clicked."""


def base() -> str:
    """The path the product is served under: "" or "/something"."""
    path = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{path}" if path else ""


def href(page: str, params: Mapping[str, str]) -> str:
    """The full address of a page: it works as a link of its own, in a new tab or a message."""
    return f"{base()}/{page}?{urlencode(params)}"


def pane(html: Markup, key: str, going: Going, lang: Lang) -> None:
    """Show markup. `going` runs before the next run of the script when one of its links was clicked."""

    def clicked() -> None:
        state: Any = st.session_state.get(key)
        asked = state.get("go") if state is not None else None
        if isinstance(asked, dict) and isinstance(asked.get("params"), dict):
            going(
                str(asked.get("page", "")), {str(name): str(text) for name, text in asked["params"].items()}
            )

    _component()(
        key=key,
        data={"html": str(html), "base": base(), "lang": lang},
        on_go_change=clicked,
    )


@cache
def _component() -> Any:
    return st.components.v2.component(
        "nerve_pane", js=(ASSETS / "pane.js").read_text(encoding="utf-8"), isolate_styles=False
    )


@cache
def style() -> str:
    """The exploring pages' style sheet, for one `st.html`."""
    return f"<style>{(ASSETS / 'explore.css').read_text(encoding='utf-8')}</style>"
