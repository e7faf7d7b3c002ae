"""The minutes: the two forms in which officials write down what a meeting decides and what became of it.

What is typed stays in the form until it is on the disk; what was wrong with it is said beneath.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard.decisions import categories, in_scope, not_loaded, owners
from dashboard.journal import ACTS, Act, Decision, NotWritten, change, decide
from dashboard.names import place_names
from dashboard.view import View
from dashboard.web.markup import tag
from dashboard.web.pane import Going, pane
from dashboard.web.words import WORDS
from warehouse.catalogue import Level
from warehouse.layout import read_pointer
from warehouse.scope import tree_of
from warehouse.text import Text

LEVELS: tuple[Level, ...] = ("county", "township", "village")
"""Places that hold meetings."""
LOOK_SECONDS = 1.0
"""While a line waits for the loader, a new version is looked for so often."""


def minutes(view: View, going: Going) -> None:
    """The forms, for officials; and the page anew as soon as what was written has been loaded."""
    if not view.viewer.official:
        return
    held = in_scope(view)
    with st.container(key="minutes"):
        left, right = st.columns([3, 2], gap="medium")
        with left:
            _decide(view)
        with right:
            _change(view, held)
        said = st.session_state.get("minutes_said")
        if said is not None and said[0] == view.scope.code:
            pane(
                tag("p", said[2][view.lang], class_=f"n-said n-{said[1]}", role="status"),
                "said",
                going,
                view.lang,
            )
    if not_loaded(view, held):
        _look(view)


def _decide(view: View) -> None:
    words = {name: WORDS[name][view.lang] for name in WORDS}
    key = f"decide|{view.scope.code}|{st.session_state.get('minutes_turn', 0)}"
    places = _places(view)
    kinds = categories(view)
    today = view.asked.date()
    with st.form(key, enter_to_submit=False):
        st.markdown(f"**{words['decide']}**")
        st.text_area(words["matter"], key=f"{key}|title", height=80, placeholder=words["matter_hint"])
        one, two = st.columns(2)
        with one:
            st.selectbox(
                words["item_place"],
                list(places),
                index=list(places).index(view.scope.code) if view.scope.code in places else None,
                key=f"{key}|place",
                format_func=lambda code: places[code],
            )
            st.date_input(words["held"], today, key=f"{key}|held", format="YYYY-MM-DD")
        with two:
            st.selectbox(
                words["owner"],
                owners(view),
                index=None,
                key=f"{key}|owner",
                accept_new_options=True,
                placeholder=words["owner_hint"],
            )
            st.date_input(words["due"], None, key=f"{key}|due", format="YYYY-MM-DD")
        st.selectbox(
            words["item_kind"],
            list(kinds),
            index=None,
            key=f"{key}|kind",
            format_func=lambda code: kinds[code],
            placeholder=words["optional"],
        )
        state = st.session_state

        def write() -> tuple[Decision, Text]:
            made = decide(
                view,
                state[f"{key}|place"],
                state[f"{key}|title"] or "",
                state[f"{key}|owner"] or "",
                state[f"{key}|held"],
                state[f"{key}|due"],
                state[f"{key}|kind"] or "",
            )
            return made, WORDS["written"]

        st.form_submit_button(words["write_down"], type="primary", on_click=_submit(view, write))


def _change(view: View, held: list[Decision]) -> None:
    words = {name: WORDS[name][view.lang] for name in WORDS}
    key = f"change|{view.scope.code}|{st.session_state.get('minutes_turn', 0)}"
    known = {one.item_id: one for one in reversed(held)}
    names = place_names(view)

    def named(item_id: str) -> str:
        one = known[item_id]
        return f"{one.title} · {names.get(one.place, one.place)} · {one.owner} · {one.due_at[:10]}"

    with st.form(key, enter_to_submit=False):
        st.markdown(f"**{words['follow_up']}**")
        st.selectbox(
            words["item"],
            list(known),
            index=None,
            key=f"{key}|item",
            format_func=named,
            placeholder=words["item_hint"],
            disabled=not known,
        )
        st.radio(
            words["act"],
            list(ACTS),
            key=f"{key}|act",
            format_func=lambda act: ACTS[act][view.lang],
            horizontal=True,
        )
        st.date_input(words["new_due"], None, key=f"{key}|due", format="YYYY-MM-DD")
        st.text_input(words["new_owner"], key=f"{key}|owner", placeholder=words["optional"])
        state = st.session_state

        def write() -> tuple[Decision, Text]:
            act: Act = state[f"{key}|act"]
            item = state[f"{key}|item"]
            if item is None:
                raise NotWritten("请先选择事项。", "Choose an item first.")
            made = change(view, item, act, owner=state[f"{key}|owner"] or "", due=state[f"{key}|due"])
            return made, WORDS["changed"]

        st.form_submit_button(
            words["write_down"], on_click=_submit(view, write), disabled=not known, key=f"{key}|send"
        )


def _submit(view: View, write: Callable[[], tuple[Decision, Text]]) -> Callable[[], None]:
    """Runs before the page is built anew, so that the page shows what was written. Only then is the form empty again."""

    def submitted() -> None:
        try:
            made, words = write()
        except NotWritten as fault:
            said = ("off", fault.reason)
        else:
            st.session_state["minutes_turn"] = st.session_state.get("minutes_turn", 0) + 1
            said = ("good", Text(zh=words.zh.format(id=made.item_id), en=words.en.format(id=made.item_id)))
        st.session_state["minutes_said"] = (view.scope.code, *said)

    return submitted


def _look(view: View) -> None:
    @st.fragment(run_every=LOOK_SECONDS)
    def look() -> None:
        if read_pointer(view.site) != view.version.id:
            st.rerun()

    look()


def _places(view: View) -> dict[str, str]:
    """The scope and the places below it that hold meetings, by code, each under its parent's name."""
    tree = tree_of(view.version)
    out = {} if view.scope.group else {view.scope.code: view.scope.name[view.lang]}
    for level in LEVELS:
        for place in tree.at_level(view.scope, level):
            parent = tree.places.get(place.parent or "")
            above = f"{parent.name[view.lang]} / " if parent is not None and level == "village" else ""
            out.setdefault(place.code, f"{above}{place.name[view.lang]}")
    return out
