"""What the demo makes of each of the five places: how large, how busy, and what it published.

Records follow these plans, never the other way round: the ordinary load and the catalogue compute the published
figures from them (`published.toml` says which). What a source does not state and a plan needs is assumed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from warehouse.text import Text


@dataclass(frozen=True)
class Squad:
    """Posts or teams of one kind: `rows` of them with `people` in all, spread over the villages of `at` (a code; ''
    for the whole place); more rows than villages go round again."""

    kind: str
    rows: int
    people: int
    form: Literal["post", "team"] = "team"
    at: str = ""


@dataclass(frozen=True)
class Areas:
    """Place groups: the villages or grids of `at` cut into `count` neighbouring parts, numbered in `name`."""

    kind: Literal["area", "police_area", "party_grid", "police_grid"]
    count: int
    of: Literal["village", "grid"]
    name: Text
    at: str = ""


@dataclass(frozen=True)
class Plan:
    """One place of the demo.

    `office`: what the names of its departments begin with. `tag`: stands in its records' numbers, so that five
    places fit into one warehouse. `grids` in all, `exactly` so many in some townships or villages; `dedicated`: grids
    of a kind (None: one in 28). `households` per grid: urban, rural, spread, least, most. `pace`: how much happens,
    Dong'an = 1; `petitions`: how many a household, likewise. `quality`: how well its townships keep their dates
    (None: drawn for each). `squads` and `areas`: what stands beside a worker in every grid. `tiers`: where disputes
    are mediated (None: at all). `months` of petitions.

    Published: `satisfied`: of the petition department in the last complete year and the year before; `one_time`:
    resolved at once, of all first petitions; `resolved`: villages in which every first petition is; `quiet`: a
    village with the fewest hotline demands of `urban`; `split`: village → micro-grids, from the middle of the window
    on; `tenfold`: micro-grids of ten households everywhere; `entries`, `problems`: platform entries and assessment
    findings of the last complete year; `replaced`: posts replaced in the last two complete years.
    """

    name: str
    code: str
    data: str
    label: Text
    office: str
    tag: str
    grids: int
    sites: tuple[tuple[str, str], ...]
    exactly: Mapping[str, int] = field(default_factory=dict)
    dedicated: Mapping[str, int] | None = None
    households: tuple[int, int, int, int, int] = (150, 123, 27, 60, 220)
    pace: float = 1.0
    petitions: float = 1.0
    quality: float | None = None
    boxes: str = ""
    schematic: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    rename: Mapping[str, Text] = field(default_factory=dict)
    squads: tuple[Squad, ...] = ()
    areas: tuple[Areas, ...] = ()
    tiers: tuple[str, ...] | None = None
    months: int = 24
    satisfied: tuple[float, float] | None = None
    one_time: float | None = None
    resolved: tuple[str, ...] = ()
    quiet: str = ""
    urban: tuple[str, ...] = ()
    split: Mapping[str, int] = field(default_factory=dict)
    tenfold: bool = False
    entries: int | None = None
    problems: int | None = None
    replaced: int | None = None


DONGAN = Plan(
    name="dongan",
    code="431122",
    data="dongan_431122.csv",
    label=Text(zh="东安县", en="Dong'an County"),
    office="县",
    tag="",
    grids=1326,
    sites=(("白牙市汽车站", "transport"), ("县人民医院", "hospital"), ("人民广场", "square")),
    boxes="township_bbox_431122.csv",
    # Townships without a published box (longitude, latitude): put into gaps the boxes leave. Not surveyed.
    schematic={
        "431122103": (111.535, 26.345),  # 横塘镇: east, between 井头圩 and 石期市
        "431122110": (111.250, 26.660),  # 花桥镇: north-west, west of 新圩江
        "431122111": (111.480, 26.760),  # 大盛镇: north-east, above 芦洪市
        "431122112": (111.245, 26.555),  # 南桥镇: west of 鹿马桥
    },
)
"""Its teams, and what its villages did for residents, stand with their records: `posts`, `residents`, `meetings`."""

MUZHOU = "440705109"
XINHUI = Plan(
    name="xinhui",
    code="440705",
    data="xinhui_440705.csv",
    label=Text(zh="新会区", en="Xinhui District"),
    office="区",
    tag="X",
    grids=640,
    exactly={MUZHOU: 35},
    households=(105, 85, 18, 45, 160),
    pace=0.35,
    sites=(("会城汽车总站", "transport"), ("区人民医院", "hospital"), ("冈州广场", "square")),
    boxes="township_bbox_440705.csv",
    schematic={
        "440705102": (112.830, 22.480),  # 司前镇: west of 大泽
        "440705103": (112.870, 22.400),  # 罗坑镇: west of 双水
        "440705106": (113.120, 22.320),  # 沙堆镇: south-east, below 睦洲
        "440705107": (113.075, 22.260),  # 古井镇: south, east of 崖门
        "440705108": (113.085, 22.425),  # 三江镇: between 会城 and 睦洲
    },
    squads=(
        Squad("grid_part_time", 472, 472, "post"),
        Squad("volunteer_patrol", 54, 836, at=MUZHOU),
        Squad("mediation_room", 15, 45, at=MUZHOU),
        Squad("mediator", 237, 711),
    ),
    areas=(
        Areas("police_area", 3, "village", Text(zh="睦洲第{}警务区", en="Muzhou Police Area {}"), MUZHOU),
    ),
    tiers=("neighbour", "village", "township"),
    months=36,
    satisfied=(0.9291, 0.915),
    one_time=0.91,
)

HOUQIAO = Plan(
    name="houqiao",
    code="530581104",
    data="houqiao_530581104.csv",
    label=Text(zh="猴桥镇", en="Houqiao Town"),
    office="市",
    tag="H",
    grids=100,
    dedicated={},
    households=(78, 74, 12, 50, 110),
    petitions=3.0,
    quality=0.5,
    sites=(("猴桥口岸", "transport"), ("猴桥集镇广场", "square")),
    squads=(
        Squad("party_member", 100, 969),
        Squad("party_branch", 64, 969),
        Squad("party_group", 92, 969),
        Squad("mediator", 9, 36),
    ),
    areas=(
        Areas("party_grid", 100, "grid", Text(zh="第{}党格", en="Party Grid {}")),
        Areas("police_grid", 9, "village", Text(zh="第{}警格", en="Police Grid {}")),
    ),
    tenfold=True,
)

CHUCUN = Plan(
    name="chucun",
    code="371071108",
    data="chucun_371071108.csv",
    label=Text(zh="初村镇", en="Chucun Town"),
    office="高区",
    tag="C",
    grids=70,
    dedicated={"enterprise": 7, "school": 3},
    households=(125, 95, 18, 50, 170),
    pace=0.8,
    petitions=3.0,
    quality=0.4,
    sites=(("初村镇卫生院", "hospital"), ("初村文化广场", "square")),
    # 夼 is kuang; the machine read 长 as zhang. The college town's community stands there with all its places.
    rename={
        "371071108201": Text(zh="长夼店村", en="Changkuangdian Village"),
        "371071108202": Text(zh="长夼村", en="Changkuang Village"),
        "371071108400": Text(zh="大学城社区", en="Daxuecheng Community"),
    },
    squads=(
        Squad("volunteer", 63, 1_260),
        Squad("station", 6, 6),
        Squad("station_worker", 6, 6, "post"),
        Squad("station_volunteer", 6, 35),
        Squad("mediator", 40, 120),
    ),
    areas=(Areas("area", 12, "village", Text(zh="第{}片区", en="Area {}")),),
    entries=49_614,
    problems=84,
)

ZHENXING = "321204003004"
TIANMUSHAN = Plan(
    name="tianmushan",
    code="321204003",
    data="tianmushan_321204003.csv",
    label=Text(zh="天目山街道", en="Tianmushan Subdistrict"),
    office="区",
    tag="T",
    grids=104,
    exactly={ZHENXING: 6},
    dedicated={},
    households=(115, 105, 16, 60, 160),
    petitions=2.0,
    quality=0.6,
    sites=(("姜堰汽车客运站", "transport"), ("天目山广场", "square")),
    rename={
        ZHENXING: Text(zh="振兴社区", en="Zhenxing Community"),
        "321204003006": Text(zh="锦都社区", en="Jindu Community"),
    },
    squads=(Squad("mediator", 22, 66),),
    resolved=(ZHENXING,),
    quiet=ZHENXING,
    # The source does not say which nine of the 22 are urban: the first nine of the statistical list are assumed.
    urban=tuple(f"321204003{n:03d}" for n in range(1, 10)),
    split={ZHENXING: 52},
    months=48,
    replaced=7,
)

PLANS = {plan.name: plan for plan in (DONGAN, XINHUI, HOUQIAO, CHUCUN, TIANMUSHAN)}
ALL = "all"
FIVE = "five-places"
FIVE_NAME = Text(zh="五地", en="Five Places")
"""The place group that all five are members of, and the home of a site that holds them."""
