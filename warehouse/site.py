"""One deployment = one folder. `site.toml` says what is particular to it."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from warehouse.mistake import Mistake, nearest
from warehouse.text import Lang, Text


class Target(BaseModel):
    """A site's own target for one measure, in the measure's unit (a rate as a share: 0.9 = 90 %)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: float | None = None
    floor: float | None = None


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


class Site(BaseModel):
    """What `site.toml` holds, with the folder it was read from."""

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
    port: int = Field(default=8600, ge=1, le=65535)
    params: Params = Params()
    targets: dict[str, Target] = {}

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"unknown time zone '{value}' (use a name such as Asia/Shanghai)")
        return value

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
        raise mistake_of(error, path, set(Site.model_fields) - {"folder"}) from error


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
