"""A figure's passport: what was counted, by which date, as of when, from what, and how to get it again."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from warehouse.catalogue import PARAM, Measure, catalogue, with_lets, worded
from warehouse.period import Period
from warehouse.result import NotApplicable, Result, Suppressed, Value
from warehouse.scope import Scope
from warehouse.text import Text

if TYPE_CHECKING:
    from warehouse.version import Version

PARAMS: dict[str, Text] = {
    "due_rule": Text(zh="结案归属规则", en="attribution of closings"),
    "repeat_window_days": Text(zh="重复信访观察期（日）", en="days watched for a repeat"),
    "repeat_case_days": Text(zh="重复事件回看期（日）", en="days looked back for a repeat case"),
    "satisfied_from": Text(zh="满意起点（5分制）", en="satisfied from (of 5)"),
    "basically_satisfied_weight": Text(zh="“基本满意”折算系数", en="weight of “basically satisfied”"),
    "response_weight": Text(zh="响应率权重", en="weight of the response rate"),
    "resolution_weight": Text(zh="解决率权重", en="weight of the resolution rate"),
    "satisfaction_weight": Text(zh="满意率权重", en="weight of satisfaction"),
    "due_soon_days": Text(zh="临期天数", en="days counted as due soon"),
    "sign_within_hours": Text(zh="签收时限（小时）", en="hours allowed for signing"),
    "whistle_within_minutes": Text(zh="报到时限（分钟）", en="minutes allowed for reporting to a whistle"),
    "arrive_within_minutes": Text(zh="到场时限（分钟）", en="minutes allowed for arriving"),
    "fresh_file_days": Text(zh="档案更新期（日）", en="days a household file stays fresh"),
}


def passport(
    version: Version,
    measure: str,
    scope: Scope,
    period: Period,
    cutoff: datetime | None = None,
    result: Result | None = None,
    by: str | None = None,
    only: tuple[str, str] | None = None,
) -> tuple[tuple[Text, Text], ...]:
    """The lines (label, text) of a figure's passport: measure and definition first, the command that gives it again
    last. With its `result`, also what was counted over what, or why it is not shown. `by`: the dimension, of the
    figure of a class; `only`: the class that all of it is narrowed to. Raises Mistake for an unknown measure."""
    m = catalogue().get(measure)
    moment = cutoff or version.cutoff
    lines: list[tuple[Text, Text]] = [
        (_t("指标", "Measure"), _t(f"{m.label.zh}({m.name})", f"{m.label.en} ({m.name})")),
        (_t("口径", "Definition"), worded(m.definition, version.params)),
        (_t("归集日期", "Dated"), worded(m.dates, version.params)),
    ]
    if m.matures != m.at and m.lag_days:
        days = m.lag(version.params)
        lines.append(
            (
                _t("成熟期", "Counted once mature"),
                _t(f"至多{days}日后计入", f"at most {days} day{'' if days == 1 else 's'} later"),
            )
        )
    for name in _params(m):
        value = getattr(version.params, name)
        label = PARAMS.get(name, _t(name, name))
        lines.append(
            (_t(f"参数：{label.zh}", f"Setting: {label.en}"), _t(f"{name}={value}", f"{name} = {value}"))
        )
    lines += _counts(m, result)
    lines += [
        (_t("范围", "Place"), _t(f"{scope.name.zh}({scope.code})", f"{scope.name.en} ({scope.code})")),
        (_t("统计期", "Period"), _t(f"{period.start} 至 {period.end}", f"{period.start} to {period.end}")),
        (_t("统计时点", "Cut-off"), _t(f"{moment:%Y-%m-%d %H:%M:%S}", f"{moment:%Y-%m-%d %H:%M:%S}")),
        (_t("数据时效", "Last load"), _loads(version, m)),
    ]
    if m.protected and version.params.suppress_below > 1:
        lines.append((_t("小数保护", "Small numbers"), _protection(version.params.suppress_below, result)))
    lines += [
        (_t("依据", "Source of the definition"), m.source),
        (_t("口径版本", "Definition version"), _t(str(m.version), str(m.version))),
        (_t("数据版本", "Data version"), _t(version.id, version.id)),
        (_t("复算命令", "To get it again"), _command(version, measure, scope, period, cutoff, by, only)),
    ]
    return tuple(lines)


def _counts(measure: Measure, result: Result | None) -> list[tuple[Text, Text]]:
    """What a figure counts, over what; of a median the records it rests on."""
    if not isinstance(result, Value) or result.n is None:
        return []
    n = _number(result.n)
    if measure.kind == "quantile":
        return [(_t("样本数", "Rests on"), _t(f"{n}条", f"{n} records"))]
    if result.d is None:
        return [(_t("计数", "Counted"), _t(n, n))]
    d = _number(result.d)
    return [(_t("分子", "Numerator"), _t(n, n)), (_t("分母", "Denominator"), _t(d, d))]


def _protection(below: int, result: Result | None) -> Text:
    """Whether the figure is hidden, and why."""
    match result:
        case Suppressed(second=True):
            return _t(
                f"不予显示：据此可推算出少于{below}的数",
                f"withheld: from it a number fewer than {below} could be worked out",
            )
        case Suppressed():
            return _t(f"不予显示：少于{below}", f"not shown: fewer than {below}")
        case NotApplicable(otherwise=True):
            return _t(
                "不予显示：涉及群众的数据仅按整月提供", "not shown: figures about people come by whole months"
            )
        case None:
            return _t(f"少于{below}的不予显示", f"fewer than {below} are not shown")
    return _t(f"可以显示（少于{below}的不予显示）", f"may be shown (fewer than {below} are not)")


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4f}".rstrip("0")


def _command(
    version: Version,
    name: str,
    scope: Scope,
    period: Period,
    cutoff: datetime | None,
    by: str | None,
    only: tuple[str, str] | None,
) -> Text:
    line = f"nerve value {name} --scope {scope.code} --from {period.start} --to {period.end} --as-of {version.id}"
    if cutoff is not None and cutoff < version.cutoff:
        line += f" --cutoff {cutoff.isoformat(timespec='microseconds')}"
    if by is not None:
        line += f" --by {by}"
    if only is not None:
        line += f" --only {'='.join(only)}"
    return _t(line, line)


def _params(measure: Measure) -> tuple[str, ...]:
    """The site's parameters a measure rests on, through its names too."""
    known = catalogue()
    expressions = [measure.at, measure.matures, measure.numerator, measure.denominator, measure.value]
    lets = with_lets(known.lets.get(measure.table, {}), expressions)
    view = known.view.get(measure.table)
    found = PARAM.findall(" ".join((*expressions, *lets.values(), view.sql if view else "")))
    return tuple(dict.fromkeys(name for name in found if name != "cutoff"))


def _loads(version: Version, measure: Measure) -> Text:
    reads = catalogue().reads(measure.table)
    parts = [s for s in version.sources if s.dataset in reads]
    if not parts:
        return _t("无", "none")
    return Text(
        zh=";".join(f"{s.label.zh} {_time(s.last_load)}" for s in parts),
        en="; ".join(f"{s.label.en} {_time(s.last_load)}" for s in parts),
    )


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else "–"


def _t(zh: str, en: str) -> Text:
    return Text(zh=zh, en=en)
