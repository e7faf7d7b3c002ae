"""Villages' monthly meetings and the items they agree, calibrated to what Dong'an County published."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.demo.cases import Character
from pipelines.demo.days import UNKNOWN, Ints, Times, Window, hours, later, minute, serials, stream
from pipelines.demo.ground import Ground
from pipelines.demo.table import Column, Columns, Life, known, latest, take, texts

PUBLISHED = (2046, 4316, 3930)
"""Meetings held, items agreed, items done, 1 January to 26 December (Dong'an County, 2023)."""

TITLES: dict[str, tuple[str, ...]] = {
    "environment": ("清理村道两侧垃圾", "整治房前屋后环境", "清理沟渠水塘", "增设垃圾收集点"),
    "roads_water": ("修复破损村道", "清淤灌溉渠道", "加固山塘堤坝", "安装太阳能路灯"),
    "farm_business": ("组织春耕备耕", "推广优质稻种植", "联系农产品销路", "维护产业路"),
    "assets": ("公示村集体收支", "清查集体资产", "盘活闲置校舍", "续签集体山林承包合同"),
    "benefits": ("宣传医保缴费政策", "核对惠农补贴名单公示", "办理高龄补贴认证", "走访慰问困难家庭"),
    "safety": ("排查消防隐患", "开展防溺水宣传", "增设道路警示标志", "开展反诈宣传"),
    "culture": ("修订村规民约", "举办广场文化活动", "倡导婚事新办", "开放农家书屋"),
    "other": ("研究其他村务事项", "安排值班轮班"),
}
CATEGORIES = list(TITLES)
SHARE = [0.24, 0.19, 0.14, 0.08, 0.14, 0.13, 0.06, 0.02]
COUNTY_OWNER = {
    "environment": "生态环境分局",
    "roads_water": "水利局",
    "farm_business": "农业农村局",
    "assets": "农业农村局",
    "benefits": "民政局",
    "safety": "应急管理局",
    "culture": "文化旅游广电体育局",
    "other": "农业农村局",
}


@dataclass(frozen=True)
class Calibration:
    """What the records of the published window (moved to the last complete year) come out as."""

    meetings: int
    items: int
    done: int


def calibration(ground: Ground) -> Calibration:
    """The published totals, in proportion to this ground (the full Dong'an: exactly as published)."""
    meetings, items, done = (round(total * ground.share) for total in PUBLISHED)
    return Calibration(meetings, items, done)


def make_meetings(ground: Ground, nature: Character, window: Window, seed: int) -> Life:
    """At most one meeting a village and month, none after 26 December; the calibrated year has its exact number."""
    rng = stream(seed, "meetings")
    villages = len(ground.villages)
    habit = rng.normal(0.0, 1.1, villages) + 0.35 * nature.quality[ground.township_of]
    year = window.months.astype("datetime64[Y]").astype(np.int64) + 1970
    month = window.months.astype(np.int64) % 12 + 1
    season = np.where(month == 2, -0.8, 0.0) + np.where(np.isin(month, (5, 7, 10)), -0.25, 0.1)
    score = habit[:, None] + season[None, :] + rng.logistic(0.0, 1.0, (villages, len(month)))
    counted = year == window.published[0].year
    held = score > np.where(year > window.published[0].year, -0.1, 0.12)[None, :]
    order = np.argsort(-score[:, counted].ravel(), kind="stable")
    exact = np.zeros(len(order), dtype=bool)
    exact[order[: calibration(ground).meetings]] = True
    held[:, counted] = exact.reshape(villages, -1)
    village, at_month = np.nonzero(held)
    n = len(village)
    day = 2 + np.floor(25 * rng.beta(1.6, 1.5, n)).astype(np.int64)
    when = window.months[at_month].astype("datetime64[D]") + (day - 1)
    hour = rng.choice([9.0, 9.5, 10.0, 15.0, 15.5, 19.0, 19.5], n)
    held_at = when.astype("datetime64[s]") + hours(hour)
    codes = texts([v.code for v in ground.villages])[village]
    stamp = np.datetime_as_string(window.months).astype(object)[at_month].tolist()
    columns: Columns = {
        "meeting_id": texts([f"HY{c}{m[:4]}{m[5:7]}" for c, m in zip(codes.tolist(), stamp, strict=True)]),
        "place": codes,
        "_village": village,
        "held_at": held_at,
        "attendance": rng.integers(14, 56, n),
        "_typing": rng.integers(3600, 5 * 86_400, n),
    }
    columns = take(columns, np.argsort(held_at, kind="stable"))
    return Life("meetings", "meeting_id", "held_at", columns, meeting_state)


def meeting_state(life: Columns, at: Times) -> Columns:
    """Meetings at `at`: the attendance is counted from the minutes, days later; before that it is a round number."""
    typed = life["held_at"] + life["_typing"].astype("timedelta64[s]")
    done = typed <= at
    return {
        **{name: values for name, values in life.items() if not name.startswith("_")},
        "attendance": np.where(done, life["attendance"], life["attendance"] // 10 * 10),
        "updated_at": minute(np.where(done, typed, np.minimum(life["held_at"], at))),
    }


def make_items(meetings: Columns, ground: Ground, nature: Character, window: Window, seed: int) -> Life:
    """Items agreed at the meetings held so far; in the calibrated window exactly as many, and exactly as many done.

    `meetings`: the meetings as they are known now.
    """
    rng = stream(seed, "work_items")
    total = calibration(ground)
    held = meetings["held_at"]
    first, last = window.published
    counted = (held >= np.datetime64(first, "s")) & (held < np.datetime64(last, "s") + np.timedelta64(1, "D"))
    agreed = 1 + rng.poisson(total.items / total.meetings - 1, len(held))
    inside = np.flatnonzero(counted)
    agreed[inside] = 1 + np.bincount(
        rng.integers(0, len(inside), total.items - len(inside)), minlength=len(inside)
    )
    meeting = np.repeat(np.arange(len(held)), agreed)
    n = len(meeting)
    village_index = {v.code: i for i, v in enumerate(ground.villages)}
    village = np.array([village_index[code] for code in meetings["place"].tolist()])[meeting]
    town = ground.township_of[village]
    held_at = held[meeting]
    topic = rng.choice(len(CATEGORIES), n, p=np.array(SHARE) / np.sum(SHARE))
    pick = rng.random(n)
    committee = texts([committee_of(v.zh) for v in ground.villages])[village]
    government = texts(ground.governments)[town]
    level = rng.random(n)
    owner = np.where(
        level < 0.62, committee, np.where(level < 0.9, government, _county_owner(topic, ground.plan.office))
    )
    limit = rng.choice([15.0, 20.0, 30.0, 45.0, 60.0], n, p=[0.2, 0.15, 0.4, 0.15, 0.1]) * 24
    quality = nature.quality[town]
    in_time = rng.random(n) < np.clip(0.9 + 0.025 * quality, 0.7, 0.98)
    lag = limit * np.where(in_time, rng.beta(2.4, 1.8, n) * 0.98, 1.03 + rng.exponential(0.5, n))
    done_at = minute(later(held_at, lag))
    open_score = rng.random(n) * np.where(level >= 0.9, 0.75, 1.0) * np.exp(0.12 * quality)
    done = open_score > np.quantile(open_score, 0.085)
    now = window.cutoff
    own = np.flatnonzero(counted[meeting])
    # The latest agreed and the hardest stay open, so that exactly the published number is done by now.
    rank = open_score[own] + np.where(done_at[own] > now, -1.0, 0.0)
    done[own] = False
    done[own[np.argsort(-rank, kind="stable")[: total.done]]] = True
    # Of the calibrated window's done ones, none may lie in the future.
    ahead = own[done[own] & (done_at[own] > now)]
    reach = (now - held_at[ahead]).astype(np.int64) / 3600
    done_at[ahead] = minute(held_at[ahead] + hours(reach * rng.uniform(0.2, 0.95, len(ahead))))
    done_at = np.where(done, np.maximum(done_at, held_at), UNKNOWN)
    columns: Columns = {
        "item_id": serials(held_at, "YD", 4),
        "place": meetings["place"][meeting],
        "meeting_id": meetings["meeting_id"][meeting],
        "title": texts(
            [
                TITLES[CATEGORIES[t]][int(p * len(TITLES[CATEGORIES[t]]))]
                for t, p in zip(topic.tolist(), pick.tolist(), strict=True)
            ]
        ),
        "category": texts(CATEGORIES)[topic],
        "owner": owner,
        "held_at": held_at,
        "due_at": minute(later(held_at, limit)),
        "done_at": done_at,
        "_long": rng.random(n) < 0.08,
        "_typing": rng.integers(600, 3 * 86_400, n),
    }
    columns = take(columns, np.argsort(held_at, kind="stable"))
    return Life("work_items", "item_id", "held_at", columns, item_state)


def committee_of(village: str) -> str:
    """柳溪村 → 柳溪村村民委员会; 龙溪社区 → 龙溪社区居民委员会; 江北居委会 → 江北居民委员会."""
    if village.endswith("居委会"):
        return village.removesuffix("居委会") + "居民委员会"
    return village + ("村民委员会" if village.endswith("村") else "居民委员会")


def _county_owner(topic: Ints, office: str) -> Column:
    return texts([office + COUNTY_OWNER[c] for c in CATEGORIES])[topic]


def item_state(life: Columns, at: Times) -> Columns:
    """Agreed items at `at`."""
    done_at = known(life["done_at"], at)
    done = ~np.isnat(done_at)
    age = (at - life["held_at"]).astype(np.int64)
    status = np.where(age > 3 * 86_400, "handling", "open").astype(object)
    status[life["due_at"] < at] = "overdue"
    status[life["_long"] & (age > 120 * 86_400)] = "long_term"
    status[done] = "done"
    typed = latest([life["held_at"], done_at]) + life["_typing"].astype("timedelta64[s]")
    return {
        **{name: values for name, values in life.items() if not name.startswith("_")},
        "done_at": done_at,
        "status": status,
        "updated_at": minute(np.minimum(typed, at)),
    }
