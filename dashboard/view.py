"""A view: which place, which period, compared with what, in which language. Its address is its identity."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from threading import Lock

from dashboard.blocks import Block, Pick, Sheet
from dashboard.comparison import checked, compared_text
from warehouse.mistake import Mistake
from warehouse.period import Period
from warehouse.scope import Scope, clip
from warehouse.site import Site
from warehouse.text import LANGS, Lang, Text
from warehouse.version import Version
from warehouse.viewer import Viewer

CHOICES = ("layer", "month", "q", "measure", "category", "then", "now")
"""Parameters of an address that only some pages ask for, and check. `then` and `now` name two registered exports."""
_OF_PLACE = ("then", "now")
"""Those that another place knows nothing of."""


@dataclass(frozen=True)
class View:
    """All that a page may depend on. `record` opens one record of `dataset` (officials only); `asked` is the site's
    clock when the view was asked for, by which ages are told; `as_of` what of the past it was asked for, as written
    in the address: `version` is the one known then. `choices`: what else its page lets one choose (`Page.asks`)."""

    site: Site
    version: Version
    viewer: Viewer
    scope: Scope
    period: Period
    compare: str
    lang: Lang
    cutoff: datetime
    asked: datetime
    dataset: str = ""
    record: str = ""
    as_of: str = ""
    choices: tuple[tuple[str, str], ...] = ()

    def chosen(self, name: str) -> str:
        """What was chosen under a name of `CHOICES`, or ""."""
        return dict(self.choices).get(name, "")

    def text(self, zh: str, en: str) -> str:
        return zh if self.lang == "zh" else en


@dataclass(frozen=True)
class Page:
    """A page is data: `build` turns a view into blocks and touches nothing else.

    `live`: the page tells ages by the clock or reads the journal, so it is built anew each time instead of once per
    version. `asks`: the CHOICES it understands; others are not in its address. `offers`: what of them the row of controls
    shows, what is chosen of it stands in the page's title. `minutes`: on it officials write down what a meeting decides.
    `menu`: it stands in the menu.
    """

    name: str
    label: Text
    icon: str
    build: Callable[[View], tuple[Block, ...]]
    wall: bool = False
    live: bool = False
    asks: tuple[str, ...] = ()
    offers: Callable[[View], tuple[Pick, ...]] | None = None
    minutes: bool = False
    menu: bool = True


def periods(cutoff: datetime) -> dict[str, tuple[Text, Period]]:
    """The named periods as of a cut-off, the default first."""
    today = cutoff.date()
    month = today.replace(day=1)
    last_month_end = month - timedelta(days=1)
    year = today.replace(month=1, day=1)
    return {
        "this_year": (Text(zh="本年累计", en="Year to date"), Period(year, today)),
        "this_month": (Text(zh="本月", en="This month"), Period(month, today)),
        "last_month": (
            Text(zh="上月", en="Last month"),
            Period(last_month_end.replace(day=1), last_month_end),
        ),
        "last_7_days": (Text(zh="近7天", en="Last 7 days"), Period(today - timedelta(days=6), today)),
        "last_30_days": (Text(zh="近30天", en="Last 30 days"), Period(today - timedelta(days=29), today)),
        "last_year": (
            Text(zh="上年", en="Last year"),
            Period(date(today.year - 1, 1, 1), date(today.year - 1, 12, 31)),
        ),
    }


def view_of(
    site: Site,
    version: Version,
    viewer: Viewer,
    params: Mapping[str, str],
    *,
    asked: datetime | None = None,
) -> View:
    """The view an address asks for, now or as it was `asked` for before; what it leaves out is filled in.

    Raises Mistake on a wrong value."""
    first = next(iter(periods(version.cutoff).values()))[1]
    lang = params.get("lang") or site.languages[0]
    if lang not in LANGS:
        raise Mistake("lang", f"unknown language '{lang}'", "use zh or en")
    return View(
        site=site,
        version=version,
        viewer=viewer,
        scope=clip(version, viewer, params.get("scope") or site.home),
        period=Period(
            _day("from", params.get("from"), first.start),
            _day("to", params.get("to"), first.end),
        ),
        compare=checked(params.get("compare") or "both"),
        lang=lang,
        cutoff=version.cutoff,
        asked=asked or site.now(),
        dataset=params.get("dataset", ""),
        record=params.get("record", ""),
        as_of=params.get("as_of", ""),
        choices=tuple((name, params[name]) for name in CHOICES if params.get(name)),
    )


def address(view: View, **changes: str) -> dict[str, str]:
    """The query parameters that reproduce a view, defaults written out too."""
    out = {
        "scope": view.scope.code,
        "from": view.period.start.isoformat(),
        "to": view.period.end.isoformat(),
        "compare": view.compare,
        "lang": view.lang,
        **{key: text for key, text in view.choices if key not in _OF_PLACE or "scope" not in changes},
    }
    if view.as_of:
        out["as_of"] = view.as_of
    if view.record and "scope" not in changes:
        out |= {"dataset": view.dataset, "record": view.record}
    out |= changes
    return {key: value for key, value in out.items() if value}


def asked_of(page: Page, params: Mapping[str, str]) -> dict[str, str]:
    """The parameters of an address that a page understands."""
    return {key: text for key, text in params.items() if key not in CHOICES or key in page.asks}


def build(page: Page, view: View) -> Sheet:
    """The page built for a view, once per data version and view."""
    if page.live:
        return _sheet(page, view)
    key = (
        str(view.site.folder), view.version.id, view.viewer, view.scope.code, view.period, view.compare,
        view.lang, view.cutoff, view.dataset, view.record, view.as_of, view.choices, page.name,
    )  # fmt: skip
    with _lock:
        if key in _built:
            _built.move_to_end(key)
            return _built[key]
    sheet = _sheet(page, view)
    with _lock:
        _built[key] = sheet
        while len(_built) > 256:
            _built.popitem(last=False)
    return sheet


_built: OrderedDict[tuple[object, ...], Sheet] = OrderedDict()
_lock = Lock()


def _sheet(page: Page, view: View) -> Sheet:
    notice = view.site.notice
    if notice is None and view.site.synthetic:
        notice = Text(zh="数据为演示合成数据，非真实记录。", en="Synthetic demo data; not real records.")
    picks = page.offers(view) if page.offers else ()
    chosen = [option.label for pick in picks for option in pick.options[1:] if option.current]
    return Sheet(
        page=page.name,
        title=" · ".join((page.label[view.lang], *chosen)),
        place=view.scope.name[view.lang],
        period=f"{view.period.start} – {view.period.end}",
        compare=compared_text(view.compare, view.period, view.cutoff)[view.lang],
        cutoff=view.cutoff.strftime("%Y-%m-%d %H:%M:%S"),
        version=view.version.id,
        lang=view.lang,
        notices=(*((notice[view.lang],) if notice else ()), *_past(view)),
        blocks=page.build(view),
        choices=picks,
    )


def _past(view: View) -> tuple[str, ...]:
    if not view.as_of:
        return ()
    made = f"{view.version.made_at:%Y-%m-%d %H:%M}"
    return (
        view.text(
            f"历史视图：按 {made} 当时所知（{view.version.id}），非最新数据。",
            f"As known on {made} ({view.version.id}), not the latest data.",
        ),
    )


def _day(name: str, value: str | None, default: date) -> date:
    if not value:
        return default
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise Mistake(name, f"'{value}' is not a date", "write it as 2026-01-31") from error
