"""How a figure reads: number, unit, lamp, change, interval, scale. The same words on screen and in print."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Literal

from dashboard.blocks import Axis, Bar, Change, Lamp, Note, Ranking, Series, Tile, Trend
from dashboard.comparison import Comparison, comparisons
from dashboard.names import place_names
from dashboard.view import View
from warehouse.catalogue import Level, Measure, catalogue, worded
from warehouse.passport import passport
from warehouse.period import Period
from warehouse.query import query
from warehouse.result import Cell, NoData, NotApplicable, Result, Suppressed, Value
from warehouse.site import Goal
from warehouse.statistics import LEVEL, Direction, rank_ranges, real_change, real_change_of_count, wilson
from warehouse.text import Lang, Text

NO_DATA = Text(zh="无数据", en="no data")
STATUS: dict[Lamp, Text] = {
    "good": Text(zh="达标", en="On target"),
    "near": Text(zh="接近", en="Near"),
    "off": Text(zh="未达标", en="Off target"),
    "neutral": Text(zh="", en=""),
    "none": Text(zh="无数据", en="No data"),
}


def goal(view: View, measure: Measure, level: Level | None = None) -> Goal:
    """What a measure should reach in the view's year: for places of `level`, by default that of the view's own place."""
    own = view.site.targets.get(measure.name)
    if own is not None:
        return own.of(level or view.scope.level, view.period.end.year)
    return Goal(target=measure.target, floor=measure.floor)


def number(measure: Measure, result: Result, lang: Lang) -> str:
    """The figure without its unit: "91.1", "3,930", "–" for no data, "<5" for few, "*" for withheld."""
    match result:
        case Value(value=value):
            return _number(measure, value)
        case Suppressed(below=below, second=second):
            return "*" if second else f"<{below}"
        case NoData():
            return "–"
        case NotApplicable():
            return "—" if lang == "zh" else "n/a"


def _number(measure: Measure, value: float) -> str:
    if measure.unit == "share":
        # 99.96 % must not read as 100 %: a whole is said only of a whole.
        shown = f"{value * 100:.1f}"
        if shown == "100.0" and value < 1:
            return "99.9"
        return "100" if value == 1 else shown
    if measure.unit == "count":
        return f"{round(value):,}"
    return f"{value:,.1f}"


def unit(measure: Measure, lang: Lang) -> str:
    return "%" if measure.unit == "share" else measure.unit_label[lang]


def counts(result: Result) -> str:
    """Numerator and denominator as printed: "3,930 / 4,316"; empty where there is no denominator."""
    if isinstance(result, Value) and result.n is not None and result.d is not None:
        return f"{_whole(result.n)} / {_whole(result.d)}"
    return ""


def _whole(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def lamp(view: View, measure: Measure, result: Result, level: Level | None = None) -> Lamp:
    """Green at target, amber to the floor, red beyond; neutral without a target or below `rank_from` records.

    Without a floor anything short of the target is off.
    """
    if not isinstance(result, Value):
        return "none"
    aim = goal(view, measure, level)
    if aim.target is None or measure.direction == "none":
        return "neutral"
    if result.d is not None and result.d < view.site.params.rank_from:
        return "neutral"
    sign = 1 if measure.direction == "up" else -1
    if sign * result.value >= sign * aim.target:
        return "good"
    if aim.floor is not None and sign * result.value >= sign * aim.floor:
        return "near"
    return "off"


def status(view: View, measure: Measure, result: Result) -> str:
    """The lamp in words, so that colour never speaks alone."""
    match result:
        case Suppressed(second=True):
            return view.text("防推算不予显示", "withheld")
        case Suppressed(below=below):
            return view.text(f"少于{below}不予显示", "too few to show")
        case NotApplicable(otherwise=True):
            return view.text("仅按整月提供", "by whole months only")
        case NotApplicable():
            return view.text("不适用", "not applicable")
        case NoData():
            return NO_DATA[view.lang]
    shown = lamp(view, measure, result)
    if shown == "neutral" and goal(view, measure).target is not None and measure.direction != "none":
        return view.text("样本不足", "too few to judge")
    return STATUS[shown][view.lang]


def target_text(view: View, measure: Measure, level: Level | None = None) -> str:
    aim = goal(view, measure, level)
    if aim.target is None or measure.direction == "none":
        return ""
    sign = "≥" if measure.direction == "up" else "≤"
    return view.text("目标 ", "target ") + f"{sign} {_target_number(measure, aim.target)}"


def _target_number(measure: Measure, value: float) -> str:
    if measure.unit == "share":
        return f"{value * 100:g} %"
    return f"{value:g}"


ALIKE = 1.1
"""How many times as long one period may be as the other and its counts still be compared as they are."""


def change(
    view: View,
    measure: Measure,
    now: Result,
    before: Result,
    against: Comparison,
    days: tuple[float, float] = (1.0, 1.0),
) -> Change | None:
    """The difference to another period: points for rates, percent for counts (a day, where the periods' lengths differ),
    hours or minutes as they are.

    It is shown, and called better or worse, only where the test of `warehouse.statistics` says that chance alone
    would not make it, else it is "no real change"; a median or a weighted rate has no such test, so its difference is shown and not judged.
    `days`: the lengths of the two periods, for counts of what happened in them.
    """
    if not isinstance(now, Value) or not isinstance(before, Value):
        return None
    if measure.unit == "share":
        difference = round((now.value - before.value) * 100, 1)
        text, size = f"{difference:+.1f} ", f"{abs(difference):.1f} "
        text, size = text + view.text("个百分点", "pts"), size + view.text("个百分点", "points")
    elif (
        measure.unit == "count" and measure.cls != "as_of" and max(days) > ALIKE * min(days) and before.value
    ):
        # Of unlike lengths only what happened in a day can be compared.
        difference = now.value / days[0] * days[1] - before.value
        text = f"{difference / before.value * 100:+.1f}%"
        size = view.text(f"（日均）{text.lstrip('+-')}", f"{text.lstrip('+-')} a day")
        text = view.text(f"日均{text}", f"{text} a day")
    elif measure.unit == "count":
        difference = now.value - before.value
        text = f"{difference / before.value * 100:+.1f}%" if before.value else f"{difference:+,.0f}"
        size = text.lstrip("+-")
    else:
        difference = round(now.value - before.value, 1)
        text = f"{difference:+.1f} {unit(measure, view.lang)}"
        size = text.lstrip("+-")
    text = text.replace("-", "−")
    phrase, than = against.said[view.lang], against.than[view.lang]

    def told(text: str, said: str, shade: Lamp = "neutral", real: Direction | None = "none") -> Change:
        sentence = view.text(f"{phrase}{said}".replace(" ", ""), f"{said} {phrase}")
        return Change(against.label[view.lang], text, shade, sentence, than, real or "")

    real = _real(measure, now, before, days)
    if difference == 0:
        same = view.text("持平", "no change")
        return told(same, same, real=real and "none")
    if real == "none":
        nothing = view.text("无实质变化", "no real change")
        return told(nothing, nothing)
    if real is None:
        return told(text, text, real=None)
    shade: Lamp = "neutral"
    if measure.direction != "none":
        shade = "good" if real == measure.direction else "off"
    course = view.text("上升", "up") if real == "up" else view.text("下降", "down")
    return told(text, f"{course} {size}", shade, real)


def _real(measure: Measure, now: Value, before: Value, days: tuple[float, float]) -> Direction | None:
    """Which way a figure really changed; None where there is no test for it."""
    if measure.kind == "rate" and not measure.sums:
        if None in (now.n, now.d, before.n, before.d) or not now.d or not before.d:
            return None
        return real_change(now.n or 0, now.d, before.n or 0, before.d).direction
    if measure.unit == "count" and float(now.value).is_integer() and float(before.value).is_integer():
        # A stock at a moment has no length; what happened in a period grows with it.
        exposures = (1.0, 1.0) if measure.cls == "as_of" else days
        return real_change_of_count(int(now.value), int(before.value), *exposures).direction
    return None


def compared(view: View) -> tuple[Comparison, ...]:
    """The periods a view is compared with, each with its words."""
    return comparisons(view.compare, view.period, view.cutoff)


def classed(view: View) -> tuple[str, str] | None:
    """The class a page is narrowed to, as `query` takes it."""
    code = view.chosen("category")
    return ("category", code) if code else None


def trend_months(view: View, months: int = 12) -> Period:
    """The `months` calendar months that end with the view's period (or with the cut-off, if that is sooner)."""
    end = min(view.period.end, view.cutoff.date())
    index = end.year * 12 + end.month - months
    year, month = divmod(index, 12)
    return Period(end.replace(year=year, month=month + 1, day=1), end)


def tiles(view: View, names: Sequence[str]) -> tuple[Tile, ...]:
    """Headline tiles: value, lamp, target, counts, changes, twelve-month sparkline, passport.

    None at all where not one of the measures can be asked here (the site has no such source).
    """
    only = classed(view)
    if only:
        # Beside the others, what is not counted by class would say nothing of it.
        measures = [catalogue().get(name) for name in names]
        names = [m.name for m in measures if only[0] in m.dimensions and not m.protected]
    others = compared(view)
    spans = [view.period, *(other.period for other in others)]
    months = trend_months(view)
    parts = months.months()
    # One question for both is one statement.
    windows = list(dict.fromkeys([*spans, *parts]))
    found = index(query(view.version, view.viewer, names, view.scope.code, windows, only=only))
    if all(_never(found[name, view.period]) for name in names):
        return ()
    sparks = {name: [found[name, part] for part in parts] for name in names}
    out: list[Tile] = []
    for name in names:
        measure = catalogue().get(name)
        now = found[name, view.period]
        changes = (
            change(view, measure, now, found[name, p], other, (days_of(view, view.period), days_of(view, p)))
            for other in others
            for p in (other.period,)
        )
        label = measure.label[view.lang]
        out.append(
            Tile(
                measure=name,
                label=label,
                value=number(measure, now, view.lang),
                unit=unit(measure, view.lang) if isinstance(now, Value) else "",
                lamp=lamp(view, measure, now),
                status=status(view, measure, now),
                target=target_text(view, measure),
                counts=counts(now),
                note=worded(measure.note, view.version.params)[view.lang] if measure.note else "",
                changes=tuple(c for c in changes if c is not None),
                spark=tuple(r.value if isinstance(r, Value) else None for r in sparks[name]),
                passport=tuple(
                    (k[view.lang], v[view.lang])
                    for k, v in passport(
                        view.version, name, view.scope, view.period, view.cutoff, now, only=only
                    )
                ),
            )
        )
    return tuple(out)


def _never(result: Result) -> bool:
    """True where a measure cannot be asked of the place at all, whatever the period."""
    return isinstance(result, NotApplicable) and not result.otherwise


def no_source(view: View) -> Note:
    """What a page says where the site has no source for any of its measures."""
    return Note(
        view.text("无数据来源", "No source"),
        view.text("本部署没有此页所需的数据来源。", "This site has no source for what this page shows."),
    )


def days_of(view: View, period: Period) -> float:
    """The days of a period that have begun by the cut-off; at least one."""
    return max(1.0, (min(period.end, view.cutoff.date()) - period.start).days + 1.0)


def index(cells: Iterable[Cell]) -> dict[tuple[str, Period], Result]:
    return {(cell.measure, cell.period): cell.result for cell in cells}


def axis(values: Iterable[float | None], *, zero: bool, percent: bool, unit: str = "") -> Axis:
    """A calm axis: four or five round ticks around the values; a share is plotted in per cent."""
    seen = [v for v in values if v is not None and math.isfinite(v)]
    low, high = (min(seen), max(seen)) if seen else (0.0, 1.0)
    if zero:
        low = min(0.0, low)
    if high == low:
        low, high = (low, low + 1) if zero else (low - 1, high + 1)
    step = _round_step((high - low) / 4)
    start = math.floor(low / step) * step
    if not zero:
        start = min(start, math.floor((low - step * 0.25) / step) * step)
    start = max(start, 0.0) if low >= 0 else start
    stop = math.ceil(high / step - 1e-9) * step
    if percent:
        stop = min(stop, 100.0) if high <= 100 else stop
    ticks: list[tuple[float, str]] = []
    position = start
    while position <= stop + step * 1e-6:
        ticks.append((position, f"{position:,.10g}" if step < 1 else f"{position:,.0f}"))
        position = round(position + step, 10)
    return Axis(start, max(stop, ticks[-1][0]), tuple(ticks), unit)


def _round_step(raw: float) -> float:
    power = 10.0 ** math.floor(math.log10(raw))
    for factor in (1, 2, 2.5, 5, 10):
        if raw <= factor * power * (1 + 1e-9):
            return float(factor * power)
    return 10 * power


def plotted(measure: Measure, result: Result) -> float | None:
    """The figure on its axis: shares in per cent, the rest as is."""
    if not isinstance(result, Value):
        return None
    return result.value * 100 if measure.unit == "share" else result.value


def trend(view: View, names: Sequence[str], title: str, *, year_before: bool = False) -> Trend:
    """Months along the bottom; one line per measure, or this year against the year before for one measure."""
    months = trend_months(view)
    first = catalogue().get(names[0])
    series: list[Series] = []
    spans = [months, months.year_before()] if year_before else [months]
    cells = query(view.version, view.viewer, names, view.scope.code, spans, by="month", only=classed(view))
    labels: list[str] = []
    for name in names:
        measure = catalogue().get(name)
        for position, span in enumerate(spans):
            row = [c for c in cells if c.measure == name and span.start <= c.period.start <= span.end]
            row.sort(key=lambda c: c.period)
            if not labels:
                labels = [f"{c.period.start:%Y-%m}" for c in row]
            label = measure.label[view.lang]
            if year_before:
                label = view.text("上年同月", "a year earlier") if position else label
            row = row[-len(labels) :]
            series.append(
                Series(
                    name=label,
                    values=tuple(plotted(measure, c.result) for c in row),
                    texts=tuple(number(measure, c.result, view.lang) for c in row),
                    mark="dashed" if position else "line",
                )
            )
    share = first.unit == "share"
    aim = goal(view, first)
    target = None
    if share and aim.target is not None and first.direction != "none":
        target = (aim.target * 100, target_text(view, first))
    values = [v for s in series for v in s.values]
    if target:
        values.append(target[0])
    return Trend(
        title=title,
        labels=tuple(labels),
        series=tuple(series),
        axis=axis(values, zero=not share, percent=share, unit=unit(first, view.lang)),
        target=target,
        sentence=_trend_sentence(view, first, series[0], labels, months.end),
        measures=tuple(names),
    )


def _trend_sentence(view: View, measure: Measure, line: Series, labels: Sequence[str], end: date) -> str:
    known = [
        (label, v, t) for label, v, t in zip(labels, line.values, line.texts, strict=True) if v is not None
    ]
    # A month that is not over has fewer of everything: it is neither highest nor lowest.
    if known and known[-1][0] == f"{end:%Y-%m}" and (end + timedelta(days=1)).day != 1:
        known.pop()
    if len(known) < 2:
        return ""
    top = max(known, key=lambda k: k[1])
    bottom = min(known, key=lambda k: k[1])
    u = unit(measure, view.lang)
    u = u if u == "%" else f" {u}"
    if top[2] == bottom[2]:
        return view.text(f"{line.name}各月均为{top[2]}{u}。", f"{line.name} {top[2]}{u} in every month.")
    return view.text(
        f"{line.name}最高为{top[0]}（{top[2]}{u}），最低为{bottom[0]}（{bottom[2]}{u}）。",
        f"{line.name} highest in {top[0]} ({top[2]}{u}), lowest in {bottom[0]} ({bottom[2]}{u}).",
    )


def ranking(view: View, name: str, title: str, *, limit: int = 20) -> Ranking | None:
    """The places one level down by one measure, with Wilson intervals for whole n/d.

    A rank is given only to a place that is told apart from the one that holds the rank above: those that are not
    share it ("="); below `rank_from` records there is none. Bands
    (`warehouse.statistics.bands`) would be stricter, but one small place joins two of them: of fifteen townships
    a month is one band, and a table of one rank says nothing. What is claimed in words is held to `rank_ranges`.
    None where the scope has no places below it.
    """
    if view.scope.child_level is None:
        return None
    measure = catalogue().get(name)
    cells = query(
        view.version, view.viewer, [name], view.scope.code, [view.period], by="child", only=classed(view)
    )
    down = -1 if measure.direction != "down" else 1
    valued = [c for c in cells if isinstance(c.result, Value)]
    valued.sort(key=lambda c: (down * c.result.value, c.place))  # type: ignore[union-attr]
    rest = sorted((c for c in cells if not isinstance(c.result, Value)), key=lambda c: c.place)
    names = place_names(view)
    bars: list[Bar] = []
    ranked = sum(
        1
        for c in valued
        if isinstance(c.result, Value) and c.result.d and c.result.d >= view.site.params.rank_from
    )
    # All pairs are compared at once (Bonferroni), as `rank_ranges` does, so that ranks and sentence agree.
    level = 1 - (1 - LEVEL) / max(1, ranked * (ranked - 1) / 2)
    rank, leader, position = 0, (0.0, 1.0), 0
    for cell in (valued + rest)[:limit]:
        result = cell.result
        low = high = None
        shown = ""
        if isinstance(result, Value) and result.n is not None and result.d and 0 <= result.n <= result.d:
            interval = wilson(result.n, result.d)
            low, high = interval[0] * 100, interval[1] * 100
            if measure.direction != "none" and result.d >= view.site.params.rank_from:
                position += 1
                shown = "="
                if rank == 0 or real_change(result.n, result.d, *leader, level=level).direction != "none":
                    rank, leader = position, (result.n, result.d)
                    shown = str(rank)
        bars.append(
            Bar(
                label=names.get(cell.place, cell.place),
                value=plotted(measure, result),
                text=number(measure, result, view.lang),
                rank=shown,
                counts=counts(result),
                lamp=lamp(view, measure, result, view.scope.child_level),
                low=low,
                high=high,
                address=(("scope", cell.place),),
            )
        )
    share = measure.unit == "share"
    aim = goal(view, measure, view.scope.child_level)
    target = None
    if share and aim.target is not None and measure.direction != "none":
        target = (aim.target * 100, target_text(view, measure, view.scope.child_level))
    lows = [b.low if b.low is not None else b.value for b in bars]
    highs = [b.high if b.high is not None else b.value for b in bars]
    hidden = len(cells) - len(bars)
    note = view.text(
        f"“=”与上面的名次分不出先后（95% 区间）；不足 {view.site.params.rank_from} 件不排名。",
        f"“=”: cannot be told apart from the rank above (95 % interval); below {view.site.params.rank_from} no rank.",
    )
    if measure.direction == "none":
        note = view.text("仅作背景，不排名。", "Context only, not ranked.")
    if hidden > 0:
        note += view.text(f" 另有 {hidden} 处未列出。", f" {hidden} more are not listed.")
    return Ranking(
        title=title,
        bars=tuple(bars),
        axis=axis(
            [*lows, *highs, target[0] if target else None],
            zero=not share,
            percent=share,
            unit=unit(measure, view.lang),
        ),
        target=target,
        sentence=_ranking_sentence(view, measure, valued, names),
        measures=(name,),
        note=note,
    )


def _ranking_sentence(view: View, measure: Measure, valued: Sequence[Cell], names: dict[str, str]) -> str:
    """The highest and the lowest figure, and which places stand apart for more than chance.

    A place is said to lead or to lag only where all ranks it may truly have lie in the one half (`rank_ranges`).
    """
    judged = [
        c
        for c in valued
        if isinstance(c.result, Value) and (c.result.d is None or c.result.d >= view.site.params.rank_from)
    ]
    if len(judged) < 2:
        return ""
    u = unit(measure, view.lang)
    u = u if u == "%" else f" {u}"

    def named(cell: Cell) -> str:
        figure = f"{number(measure, cell.result, view.lang)}{u}"
        place = names.get(cell.place, cell.place)
        return view.text(f"{place}（{figure}）", f"{place} ({figure})")

    first, last = (judged[0], judged[-1]) if measure.direction != "down" else (judged[-1], judged[0])
    ends = view.text(
        f"最高为{named(first)}，最低为{named(last)}", f"Highest {named(first)}, lowest {named(last)}"
    )
    rates = [
        (c.result.n, c.result.d)
        for c in judged
        if isinstance(c.result, Value)
        and c.result.n is not None
        and c.result.d
        and 0 <= c.result.n <= c.result.d
    ]
    if measure.direction == "none" or len(rates) < len(judged):
        return ends + view.text("。", ".")
    best: Literal["high", "low"] = "high" if measure.direction == "up" else "low"
    ranges = [r for r in rank_ranges(rates, best=best, rank_from=0) if r is not None]
    half = len(judged) / 2
    behind = [names.get(c.place, c.place) for c, r in zip(judged, ranges, strict=True) if r[0] > half + 0.5]
    if all(r == (1, len(judged)) for r in ranges):
        return ends + view.text("；各地差异尚不明显。", "; the places cannot be told apart.")
    if not behind:
        return ends + view.text("。", ".")
    listed = view.text("、", ", ").join(behind[:5])
    more = len(behind) - 5
    if view.lang == "zh":
        return f"{ends}；明显靠后：{listed}{f'等{len(behind)}处' if more > 0 else ''}。"
    return f"{ends}; clearly in the lower half: {listed}{f' and {more} more' if more > 0 else ''}."


def breakdown(view: View, name: str, by: str, title: str, labels: dict[str, Text]) -> Ranking:
    """One measure by a class such as category or channel, largest first."""
    measure = catalogue().get(name)
    cells = [
        c
        for c in query(
            view.version, view.viewer, [name], view.scope.code, [view.period], by=by, only=classed(view)
        )
        if c.key is not None
    ]
    cells.sort(key=lambda c: -(c.result.value if isinstance(c.result, Value) else -1))
    bars = tuple(
        Bar(
            label=labels[c.key][view.lang] if c.key in labels else str(c.key),
            value=plotted(measure, c.result),
            text=number(measure, c.result, view.lang),
            counts=counts(c.result),
            lamp=lamp(view, measure, c.result),
        )
        for c in cells[:12]
    )
    share = measure.unit == "share"
    return Ranking(
        title=title,
        bars=bars,
        axis=axis([b.value for b in bars], zero=True, percent=share, unit=unit(measure, view.lang)),
        sentence=_breakdown_sentence(view, measure, cells, [bar.label for bar in bars]),
        measures=(name,),
    )


def _breakdown_sentence(view: View, measure: Measure, cells: Sequence[Cell], labels: Sequence[str]) -> str:
    """Which classes hold most of a count; nothing where one of them is hidden, for its share would show it."""
    if measure.unit != "count" or len(cells) < 3:
        return ""
    if not all(isinstance(c.result, Value | NoData) for c in cells):
        return ""
    values = [c.result.value if isinstance(c.result, Value) else 0.0 for c in cells]
    total = sum(values)
    if total <= 0 or values[1] <= 0:
        return ""
    leading = sum(values[:2]) / total * 100
    return view.text(
        f"{labels[0]}、{labels[1]}居前，合计占{leading:.0f}%。",
        f"{labels[0]} and {labels[1]} come first, together {leading:.0f} % of all.",
    )


def choice_labels(view: View, dataset: str, field: str) -> dict[str, Text]:
    """The labels of an enumerated field, by code; empty when the site has no such source."""
    found = view.version.datasets.get(dataset)
    if found is None:
        return {}
    return {c.code: c.label for c in found.field(field).choices}


def definitions(view: View, names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    out: list[tuple[str, str]] = []
    for name in names:
        measure = catalogue().get(name)
        aim = target_text(view, measure)
        text = worded(measure.definition, view.version.params)[view.lang]
        out.append((measure.label[view.lang], f"{text}{view.text(' ', ' ')}[{aim}]" if aim else text))
    return tuple(out)
