"""The shell: which page, which place, which period, which language. All of it stands in the address.

Links are plain addresses; the pane turns a click on one into a new run of the same session (see `_go`). Widgets
take their value from the address and write it back there, so a reload, the back button or a sent link shows
the same page.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.blocks import Address, Sheet
from dashboard.export import FORMS, export, file_name
from dashboard.pages import PAGES
from dashboard.view import COMPARES, Page, View, address, build, periods, view_of
from dashboard.web.draw import Pen, page
from dashboard.web.markup import Markup, join
from dashboard.web.pane import href, pane, style
from dashboard.web.screen import Link, bar, calm, heading, mistaken
from dashboard.web.wall import Clock, WallData, trouble, wall, wall_data, wall_style
from dashboard.web.words import WORDS
from warehouse.layout import read_pointer
from warehouse.mistake import Mistake
from warehouse.scope import trail, tree_of
from warehouse.site import Site, load_site
from warehouse.text import LANGS, Lang
from warehouse.version import current
from warehouse.viewer import Viewer

LOG = logging.getLogger(__name__)
BEAT_SECONDS = 1.0
WAIT_SECONDS = 2
ICONS = {"pdf": ":material/picture_as_pdf:", "xlsx": ":material/table_view:"}
FIRST = next(page.name for page in PAGES if not page.wall)


def run() -> None:
    """One run of the script: choose the page of the address and show it."""
    lang = _lang()
    st.set_page_config(layout="wide", initial_sidebar_state="collapsed")
    try:
        site = load_site(Path(os.environ.get("NERVE_SITE", "demo-site")))
    except Mistake as mistake:
        _alone(mistaken(mistake), lang)
        return
    shown = {
        one.name: st.Page(
            _shower(one, site), title=f"{one.label[lang]} · {site.name[lang]}", url_path=one.name
        )
        for one in PAGES
    }

    def home() -> None:
        st.switch_page(shown[FIRST], query_params=st.query_params.to_dict())

    chosen = st.navigation(
        [st.Page(home, title=site.name[lang], url_path="home", default=True), *shown.values()],
        position="hidden",
    )
    asked = st.session_state.pop("go", None)
    if asked is not None:
        st.switch_page(shown[asked[0]], query_params=asked[1])
    chosen.run()


def show_fault(fault: Exception) -> bool:
    """Say calmly that a page failed; the log has the details. True: nothing else is shown of it."""
    lang = _lang()
    _alone(calm("fault", "fault_more", type(fault).__name__, href(FIRST, {"lang": lang})), lang)
    return True


def _lang() -> Lang:
    asked = st.query_params.get("lang")
    return asked if asked in LANGS else "zh"


def _alone(note: Markup, lang: Lang) -> None:
    st.html(style())
    pane(note, "alone", _go(""), lang)


def _go(here: str) -> Callable[[str, dict[str, str]], None]:
    """What a clicked link does: on this page the address changes, another page is switched to."""

    def going(name: str, params: dict[str, str]) -> None:
        if name == here:
            st.query_params.from_dict(params)
        elif any(one.name == name for one in PAGES):
            st.session_state["go"] = (name, params)

    return going


def _shower(one: Page, site: Site) -> Callable[[], None]:
    def show() -> None:
        if one.wall:
            _wall(one, site)
        else:
            _explore(one, site)

    return show


def _view(site: Site) -> View:
    return view_of(site, current(site), Viewer(site.home), st.query_params.to_dict())


def _explore(one: Page, site: Site) -> None:
    st.html(style())
    lang = _lang()
    try:
        view = _view(site)
        sheet = build(one, view)
    except Mistake as mistake:
        if read_pointer(site) is None:
            _wait(site, lang)
        else:
            pane(mistaken(mistake, href(one.name, {"lang": lang})), "alone", _go(one.name), lang)
        return
    wanted = address(view)
    if st.query_params.to_dict() != wanted:
        st.query_params.from_dict(wanted)

    def link(name: str, **changes: str) -> str:
        return href(name, address(view, **changes))

    going = _go(one.name)
    pages = [Link(other.label[lang], _to(other, view), other.name == one.name) for other in PAGES]
    other_lang: Lang = "en" if lang == "zh" else "zh"
    language = (
        Link(WORDS["language"][lang], link(one.name, lang=other_lang)) if len(site.languages) > 1 else None
    )
    parents = [
        Link(name[lang], link(one.name, scope=code))
        for code, name in trail(view.version, view.viewer, view.scope)
    ]
    head = join(
        bar(f"{site.name[lang]} · {WORDS['center'][lang]}", pages, language, lang),
        heading(sheet, parents, lang),
    )
    pane(head, "head", going, lang)
    _controls(view, sheet)

    def leads(changes: Address) -> str:
        given = dict(changes)
        return link(given.pop("page", one.name), **given)

    pane(page(sheet.blocks, Pen(lang, leads)), "body", going, lang)


def _to(other: Page, view: View) -> str:
    """The address of another page for the same view; an opened record stays behind."""
    params = address(view)
    return href(other.name, {key: text for key, text in params.items() if key not in ("dataset", "record")})


def _wait(site: Site, lang: Lang) -> None:
    """Nothing published yet: look again every moment, and start when there is."""

    @st.fragment(run_every=WAIT_SECONDS)
    def look() -> None:
        if read_pointer(site) is not None:
            st.rerun()
        pane(calm("not_yet", "not_yet_more"), "alone", _go(""), lang)

    look()


# ---- the row of controls


def _controls(view: View, sheet: Sheet) -> None:
    """Place below, period, comparison, PDF. Keys carry the address, so a widget never outlives its value."""
    lang = view.lang
    mark = "|".join(address(view).values())
    with st.container(key="scope", horizontal=True, vertical_alignment="bottom", gap="small"):
        tree = tree_of(view.version)
        inside = tree.children(view.scope.code) if view.scope.child_level is not None else ()
        children = {place.code: place.name[lang] for place in inside}
        children |= {group.code: group.name[lang] for group in tree.groups_of(view.scope.code)}
        if children:
            st.selectbox(
                WORDS["place"][lang],
                list(children),
                index=None,
                key=f"place|{mark}",
                format_func=lambda code: children[code],
                placeholder=WORDS["place_hint"][lang],
                width=220,
                on_change=_set_from(f"place|{mark}", view, lambda code: {"scope": code}),
            )
        named = {name: (label[lang], period) for name, (label, period) in periods(view.cutoff).items()}
        now = next((name for name, (_, period) in named.items() if period == view.period), None)
        st.selectbox(
            WORDS["period"][lang],
            list(named),
            index=None if now is None else list(named).index(now),
            key=f"period|{mark}",
            format_func=lambda name: named[name][0],
            placeholder=WORDS["own_dates"][lang],
            width=150,
            on_change=_set_from(
                f"period|{mark}", view, lambda name: _days(named[name][1].start, named[name][1].end)
            ),
        )
        st.date_input(
            WORDS["own_dates"][lang],
            (view.period.start, view.period.end),
            key=f"dates|{mark}",
            format="YYYY-MM-DD",
            width=230,
            on_change=_set_from(f"dates|{mark}", view, lambda days: _days(*days) if len(days) == 2 else {}),
        )
        st.selectbox(
            WORDS["compare"][lang],
            list(COMPARES),
            index=list(COMPARES).index(view.compare),
            key=f"compare|{mark}",
            format_func=lambda name: COMPARES[name][lang],
            width=220,
            on_change=_set_from(f"compare|{mark}", view, lambda name: {"compare": name}),
        )
        st.space("stretch")
        for form, media in FORMS.items():
            name = file_name(sheet, view, form)
            st.download_button(
                WORDS[form][lang],
                data=partial(_file, sheet, view, name),
                file_name=name,
                mime=media,
                icon=ICONS[form],
                on_click="ignore",
                key=f"{form}|{mark}|{sheet.version}",
            )


def _set_from(key: str, view: View, changes: Callable[[Any], Mapping[str, str]]) -> Callable[[], None]:
    """What a widget does when touched: its value's changes go into the address."""

    def changed() -> None:
        value = st.session_state.get(key)
        if value is not None and (made := dict(changes(value))):
            st.query_params.from_dict(address(view, **made))

    return changed


def _days(first: date, last: date) -> dict[str, str]:
    return {"from": first.isoformat(), "to": last.isoformat()}


def _file(sheet: Sheet, view: View, name: str) -> bytes:
    """What left the house is kept and registered."""
    content, _ = export(sheet, view, view.site.reports / name)
    return content


# ---- the wall


def _wall(one: Page, site: Site) -> None:
    st.html(wall_style())

    @st.fragment(run_every=BEAT_SECONDS)
    def beat() -> None:
        wall(_beat(one, site))

    beat()


def _beat(one: Page, site: Site) -> WallData | None:
    """The wall's next beat; None while nothing is published. A failure never takes the wall down: it keeps
    what it shows and says so itself when no new figures come."""
    if read_pointer(site) is None:
        return None
    try:
        view = _view(site)
        return wall_data(
            build(one, view),
            f"{site.name[view.lang]}{'' if view.lang == 'zh' else ' · '}{WORDS['center'][view.lang]}",
            view.lang,
            Clock(site.now(), site.as_of is not None),
            time.time(),
            href(FIRST, address(view)),
        )
    except Mistake as mistake:
        return trouble(str(mistake))
    except Exception as fault:
        LOG.exception("the wall's beat failed")
        return trouble(type(fault).__name__)
