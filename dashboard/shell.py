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
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from dashboard.blocks import Address, Sheet, Tiles
from dashboard.comparison import BETWEEN, COMPARES, OWN, own_period
from dashboard.export import FORMS, export, file_name
from dashboard.grids import grids
from dashboard.pages import PAGES
from dashboard.pages.wall import PAGE as WALL
from dashboard.pages.wall import SCENES
from dashboard.scene import turn
from dashboard.stage import staged
from dashboard.view import CHOICES, Page, View, address, asked_of, build, periods, view_of
from dashboard.web.draw import Pen, page
from dashboard.web.markup import Markup, join
from dashboard.web.minutes import minutes
from dashboard.web.pane import href, pane, style
from dashboard.web.screen import Link, bar, calm, heading, mistaken
from dashboard.web.wall import Clock, Frame, Origin, WallData, trouble, wall, wall_data, wall_style
from dashboard.web.words import WORDS
from warehouse.catalogue import catalogue
from warehouse.heartbeat import LATE_SECONDS, last_beat
from warehouse.layout import read_pointer
from warehouse.mistake import Mistake
from warehouse.scope import trail, tree_of
from warehouse.site import Site, load_site
from warehouse.text import LANGS, Lang
from warehouse.version import as_of, current
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
        site = _site()
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


def pulse() -> dict[str, object]:
    """How the system is, for walls to ask beside Streamlit's own connection: does the loader live, and if not, since
    when (by the site's clock, "" where it never ran)? Where the clock is stopped nobody loads, and none is missed."""
    try:
        site = _site()
    except Mistake:
        return {"loader": True}
    at = last_beat(site)
    silent = at is None or (datetime.now(UTC) - at).total_seconds() > LATE_SECONDS
    since = at.astimezone(ZoneInfo(site.timezone)).strftime("%m-%d %H:%M") if at else ""
    return {"loader": site.as_of is not None or not silent, "since": since}


def _site() -> Site:
    return load_site(Path(os.environ.get("NERVE_SITE", "demo-site")))


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
            _wall(site)
        else:
            _explore(one, site)

    return show


def _view(one: Page, site: Site) -> View:
    params = asked_of(one, st.query_params.to_dict())
    version = as_of(site, params["as_of"]) if params.get("as_of") else current(site)
    return view_of(site, version, Viewer(site.home), params)


def _instead(view: View) -> tuple[str, ...]:
    """That an older version is shown, the newest being damaged: of the screen alone, a print is of a version."""
    if view.version.instead_of is None:
        return ()
    return (WORDS["instead"][view.lang].format(version=view.version.id),)


def _explore(one: Page, site: Site) -> None:
    st.html(style())
    lang = _lang()
    try:
        view = _view(one, site)
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
    pages = [
        Link(other.label[lang], _to(other, view), other.name == one.name) for other in PAGES if other.menu
    ]
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
        heading(replace(sheet, notices=(*sheet.notices, *_instead(view))), parents, lang),
    )
    pane(head, "head", going, lang)
    _controls(one, view, sheet)

    def leads(changes: Address) -> str:
        given = dict(changes)
        return link(given.pop("page", one.name), **given)

    files = {
        grid.block: href(f"csv/{one.name}/{number}", address(view, version=view.version.id))
        for number, grid in enumerate(grids(sheet.blocks, lang), start=1)
    }
    pane(page(sheet.blocks, Pen(lang, leads, files)), "body", going, lang)
    if one.minutes:
        minutes(view, going)


def _to(other: Page, view: View) -> str:
    """The address of another page for the same view; an opened record and what was chosen on this page stay behind."""
    params = address(view)
    left = ("dataset", "record", *CHOICES)
    return href(other.name, {key: text for key, text in params.items() if key not in left})


def _wait(site: Site, lang: Lang) -> None:
    """Nothing published yet: look again every moment, and start when there is."""

    @st.fragment(run_every=WAIT_SECONDS)
    def look() -> None:
        if read_pointer(site) is not None:
            st.rerun()
        pane(calm("not_yet", "not_yet_more"), "alone", _go(""), lang)

    look()


# ---- the row of controls


def _controls(one: Page, view: View, sheet: Sheet) -> None:
    """Place below, period, comparison, exports. Keys carry the address, so a widget never outlives its value."""
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
                width=200,
                on_change=_set_from(f"place|{mark}", view, lambda code: {"scope": code}),
            )
        own = own_period(view.compare)
        # Days of one's own begin with those just before.
        before = view.compare if own else BETWEEN.join(str(view.period.previous()).split("/"))
        named = {name: (label[lang], period) for name, (label, period) in periods(view.cutoff).items()}
        now = next((name for name, (_, period) in named.items() if period == view.period), None)
        st.selectbox(
            WORDS["period"][lang],
            list(named),
            index=None if now is None else list(named).index(now),
            key=f"period|{mark}",
            format_func=lambda name: named[name][0],
            placeholder=WORDS["own_dates"][lang],
            width=140,
            on_change=_set_from(
                f"period|{mark}", view, lambda name: _days(named[name][1].start, named[name][1].end)
            ),
        )
        st.date_input(
            WORDS["own_dates"][lang],
            (view.period.start, view.period.end),
            key=f"dates|{mark}",
            format="YYYY-MM-DD",
            width=222,
            on_change=_set_from(f"dates|{mark}", view, lambda days: _days(*days) if len(days) == 2 else {}),
        )
        st.selectbox(
            WORDS["compare"][lang],
            [*COMPARES, before],
            index=[*COMPARES, before].index(view.compare),
            key=f"compare|{mark}",
            format_func=lambda name: COMPARES.get(name, OWN)[lang],
            width=190,
            on_change=_set_from(f"compare|{mark}", view, lambda name: {"compare": name}),
        )
        if own is not None:
            st.date_input(
                WORDS["compared_days"][lang],
                (own.start, own.end),
                key=f"compared|{mark}",
                format="YYYY-MM-DD",
                width=222,
                on_change=_set_from(
                    f"compared|{mark}",
                    view,
                    lambda days: {"compare": f"{days[0]}{BETWEEN}{days[1]}"} if len(days) == 2 else {},
                ),
            )
        for pick in sheet.choices:
            options = [dict(option.address) for option in pick.options]
            st.selectbox(
                pick.label,
                range(len(options)),
                index=next((i for i, option in enumerate(pick.options) if option.current), 0),
                key=f"{pick.label}|{mark}",
                format_func=[option.label for option in pick.options].__getitem__,
                width=150,
                on_change=_set_from(f"{pick.label}|{mark}", view, options.__getitem__),
            )
        if "q" in one.asks:
            st.text_input(
                WORDS["search"][lang],
                view.chosen("q"),
                key=f"q|{mark}",
                placeholder=WORDS["search_hint"][lang],
                width=190,
                on_change=_set_from(f"q|{mark}", view, lambda words: {"q": words, "measure": ""}),
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
    # A month chosen on the page was one of the period left.
    return {"from": first.isoformat(), "to": last.isoformat(), "month": ""}


def _file(sheet: Sheet, view: View, name: str) -> bytes:
    """What left the house is kept and registered."""
    content, _ = export(sheet, view, view.site.reports / name)
    return content


# ---- the wall


def _wall(site: Site) -> None:
    st.html(wall_style())

    @st.fragment(run_every=BEAT_SECONDS)
    def beat() -> None:
        wall(_beat(site))

    beat()


SHOWN = ("cases", "petitions", "surveys", "work_items", "meetings", "visits", "responses", "patrols")
"""Record sets at the wall's foot while all are fresh; any that is late comes before them."""


def _beat(site: Site) -> WallData | None:
    """The wall's next beat; None while nothing is published. A failure never takes the wall down: it keeps
    what it shows and says that nothing newer comes."""
    if read_pointer(site) is None:
        return None
    lang = _lang()
    try:
        view = _view(WALL, site)
        asked = turn(SCENES, st.query_params.to_dict())
        sheets = list(zip(asked.scenes, staged(asked.scenes, view), strict=True))
        # A scene that has no source at this site is left out, unless it is all there is.
        full = [
            (scene, sheet) for scene, sheet in sheets if sheet is None or isinstance(sheet.blocks[0], Tiles)
        ]
        frame = Frame(
            f"{site.name[view.lang]}{'' if view.lang == 'zh' else ' · '}{WORDS['center'][view.lang]}",
            href(FIRST, address(view)),
            view.lang,
            asked.every,
            _origins(view),
            (*next((sheet.notices for _, sheet in sheets if sheet), ()), *_instead(view)),
        )
        return wall_data(
            frame, full or sheets, _rests, Clock(site.now(), site.as_of is not None), time.time()
        )
    except Mistake as mistake:
        return trouble(str(mistake), lang)
    except Exception as fault:
        LOG.exception("the wall's beat failed")
        return trouble(type(fault).__name__, lang)


def _origins(view: View) -> tuple[Origin, ...]:
    """The site's record sets, those that the wall's figures rest on most first."""
    sources = [source for source in view.version.sources if source.dataset != "places" and source.last_load]
    order = {name: position for position, name in enumerate(SHOWN)}
    sources.sort(key=lambda source: order.get(source.dataset, len(order)))
    return tuple(
        Origin(
            source.dataset,
            source.label[view.lang],
            source.last_load,
            source.fresh_hours,
            source.dataset in order,
        )
        for source in sources
    )


def _rests(measure: str) -> tuple[str, ...]:
    return tuple(
        name
        for name in catalogue().reads(catalogue().get(measure).table)
        if name not in ("places", "key_sites")
    )
