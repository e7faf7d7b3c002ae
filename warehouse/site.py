"""One deployment = one folder. `site.toml` says what is particular to it."""

from __future__ import annotations

import os
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from warehouse.mistake import Mistake, nearest
from warehouse.text import Lang, Text

_OWN_FOLDERS = frozenset({"inbox", "sources", "warehouse", "reports", "journal", "archive", "log", "refused"})


class Goal(BaseModel):
    """Target and floor of a measure, in its unit (a rate as a share: 0.9 = 90 %)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: float | None = None
    floor: float | None = None


class Special(Goal):
    """A goal that holds for places of one level, or in one year, or both."""

    level: Literal["province", "city", "county", "township", "village", "grid"] | None = None
    year: int | None = Field(default=None, ge=1900, le=2199)

    @model_validator(mode="after")
    def _special(self) -> Self:
        if self.level is None and self.year is None:
            raise ValueError("says neither level nor year: what holds everywhere stands in the table itself")
        return self


class Target(Goal):
    """A site's own goal for one measure. `by`: other goals for a level, a year, or both; the closest fit holds.

    `since`: the day it was set; what the measure rests on is then watched for a fall in reports (`Signs`).
    """

    since: date | None = None
    by: tuple[Special, ...] = ()

    def of(self, level: str, year: int) -> Goal:
        """The goal of a place of `level` in `year`: one for both goes before one for the level, that before one
        for the year; of equals the last."""
        fitting = [one for one in self.by if one.level in (None, level) and one.year in (None, year)]
        return max(
            reversed(fitting),
            key=lambda one: (one.level is not None) * 2 + (one.year is not None),
            default=self,
        )


class Params(BaseModel):
    """Windows, weights and thresholds that a definition leaves to the site. Each is printed in the passport."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    due_rule: Literal["earlier", "due"] = "earlier"
    repeat_window_days: int = Field(default=90, ge=1, le=730)
    repeat_case_days: int = Field(default=90, ge=1, le=730)
    satisfied_from: int = Field(default=3, ge=1, le=5)
    basically_satisfied_weight: float = Field(default=0.9, ge=0, le=1)
    response_weight: float = Field(default=0.1, ge=0, le=1)
    resolution_weight: float = Field(default=0.5, ge=0, le=1)
    satisfaction_weight: float = Field(default=0.4, ge=0, le=1)
    due_soon_days: int = Field(default=3, ge=1, le=30)
    sign_within_hours: int = Field(default=24, ge=1, le=72)
    whistle_within_minutes: int = Field(default=30, ge=1, le=1440)
    arrive_within_minutes: int = Field(default=15, ge=1, le=120)
    fresh_file_days: int = Field(default=90, ge=1, le=730)
    suppress_below: int = Field(default=5, ge=0, le=100)
    rank_from: int = Field(default=20, ge=0)

    @field_validator(
        "basically_satisfied_weight", "response_weight", "resolution_weight", "satisfaction_weight"
    )
    @classmethod
    def _two_decimals(cls, value: float) -> float:
        if round(value, 2) != value:
            raise ValueError("a weight has at most two decimals")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Params:
        total = self.response_weight + self.resolution_weight + self.satisfaction_weight
        if round(total, 2) != 1:
            raise ValueError(
                f"response_weight, resolution_weight and satisfaction_weight add up to {total:g}, not 1"
            )
        return self


class Signs(BaseModel):
    """When the data page asks whether figures say what they seem to (`warehouse.signs`). Shares are from 0 to 1.

    `days`: how far back it looks; `least`: fewer records in a township raise no question. `bunched`: closed in the
    last hours before the due time; `repeated`: come again within days of closing; `rated`: ratings given of those
    asked for; `silent`: days without a record, and how many times the longest pause before; `dropped`: the fall of reports in
    as many days after a target was set as before.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: int = Field(default=90, ge=14, le=730)
    least: int = Field(default=20, ge=5)
    bunched_hours: float = Field(default=2, gt=0, le=72)
    bunched_share: float = Field(default=0.2, gt=0, lt=1)
    repeated_days: int = Field(default=7, ge=1, le=90)
    repeated_share: float = Field(default=0.1, gt=0, lt=1)
    rated_share: float = Field(default=0.2, gt=0, lt=1)
    silent_days: int = Field(default=7, ge=2, le=365)
    silent_times: float = Field(default=3, ge=1)
    dropped_days: int = Field(default=30, ge=7, le=365)
    dropped_share: float = Field(default=0.3, gt=0, lt=1)


class Retention(BaseModel):
    """For how long things stay. Days count from when they were loaded or written; None: for ever, which TOML
    cannot say and site.toml spells "forever".

    `archive_days`: loaded files in the archive. `refused_days`: files refused whole. `quarantine_days`: the raw
    text of quarantined rows (their accounts stay). `versions`: so many of the newest published versions stay; those
    that a report refers to, and the last one of each of the `days` past, stay besides. `log_days`: log files.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    archive_days: int | None = Field(default=None, ge=1)
    refused_days: int | None = Field(default=90, ge=1)
    quarantine_days: int | None = Field(default=90, ge=1)
    versions: int = Field(default=20, ge=1)
    days: int = Field(default=31, ge=0, le=3660)
    log_days: int | None = Field(default=90, ge=1)

    @field_validator("archive_days", "refused_days", "quarantine_days", "log_days", mode="before")
    @classmethod
    def _for_ever(cls, value: object) -> object:
        return None if value == "forever" else value


class Site(BaseModel):
    """What `site.toml` holds, with the folder it was read from.

    `memory_limit`: how much memory the loader's DuckDB may take, as DuckDB writes it; None: its own default.
    `temp`: where it puts what does not fit; relative to the folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path
    name: Text
    home: str
    timezone: str = "Asia/Shanghai"
    languages: tuple[Lang, ...] = ("zh", "en")
    synthetic: bool = False
    notice: Text | None = None
    as_of: datetime | None = None
    archive: Literal["keep", "delete"] = "keep"
    retention: Retention = Retention()
    memory_limit: str | None = Field(
        default=None, pattern=r"^[0-9]+(\.[0-9]+)? ?(KB|MB|GB|TB|KiB|MiB|GiB|TiB)$"
    )
    temp: Path = Field(default_factory=lambda data: data["folder"] / "temp")
    port: int = Field(default=8600, ge=1, le=65535)
    params: Params = Params()
    signs: Signs = Signs()
    targets: dict[str, Target] = {}

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"unknown time zone '{value}' (use a name such as Asia/Shanghai)")
        return value

    @field_validator("temp")
    @classmethod
    def _below_folder(cls, value: Path, info: ValidationInfo) -> Path:
        folder: Path = info.data["folder"]
        path = Path(os.path.normpath(folder / value.expanduser()))
        # Leftovers are cleared there.
        if folder.is_relative_to(path) or (path.parent == folder and path.name in _OWN_FOLDERS):
            raise ValueError("must be a folder of its own")
        return path

    @property
    def inbox(self) -> Path:
        return self.folder / "inbox"

    @property
    def sources(self) -> Path:
        return self.folder / "sources"

    @property
    def warehouse(self) -> Path:
        return self.folder / "warehouse"

    @property
    def reports(self) -> Path:
        return self.folder / "reports"

    @property
    def journal(self) -> Path:
        return self.folder / "journal"

    @property
    def archived(self) -> Path:
        return self.folder / "archive"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def now(self) -> datetime:
        """The site's clock in its local time, without zone; `as_of` stops it."""
        if self.as_of is not None:
            return self.as_of
        return datetime.now(UTC).astimezone(ZoneInfo(self.timezone)).replace(tzinfo=None)


_TABLES: dict[str, type[BaseModel]] = {
    "params": Params,
    "signs": Signs,
    "retention": Retention,
    "targets": Target,
}


def load_site(folder: Path) -> Site:
    """Read `folder/site.toml`. Raises Mistake, naming file and key, when it is missing or wrong."""
    path = folder / "site.toml"
    if not path.is_file():
        raise Mistake(str(path), "no such file", "run 'nerve demo' or write one; see docs/site.md")
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Mistake(str(path), f"not valid TOML: {error}", "mend the line it names") from error
    if "folder" in data:
        raise Mistake(str(path), "unknown key 'folder'", "remove it: the folder is given by --site")
    try:
        return Site(folder=folder.resolve(), **data)
    except ValidationError as error:
        place = error.errors()[0]["loc"]
        table = _TABLES.get(str(place[0]), Site) if len(place) > 1 else Site
        raise mistake_of(error, path, set(table.model_fields) - {"folder"}) from error


def mistake_of(error: ValidationError, path: Path, known: set[str]) -> Mistake:
    """The first fault of a pydantic error as one line naming file, key and remedy."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"]) or "(top level)"
    if first["type"] == "extra_forbidden":
        return Mistake(str(path), f"unknown key '{key}'", nearest(key.rsplit(".", 1)[-1], known))
    if first["type"] == "missing":
        return Mistake(str(path), f"missing key '{key}'", f"add '{key} = …'")
    value = first.get("input")
    shown = "" if isinstance(value, dict) else f", not {value!r}"
    return Mistake(str(path), f"key '{key}': {first['msg']}{shown}", "mend the value")
