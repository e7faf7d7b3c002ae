"""The briefs a site names in `reports.toml`: which pages in which order, in which forms and languages, under which title.

    watermark = true                # who asked for a copy, and when, across each of its pages

    [briefs.monthly]
    title = { zh = "基层治理月报", en = "Monthly governance brief" }
    pages = ["overview", "petitions", "meetings"]
    forms = ["a4", "slide"]
    languages = ["zh", "en"]
    period = "last_month"
    compare = "both"

    [briefs.monthly.schedule]       # it makes itself: see dashboard/due.py
    day = 3
    hour = 6
    level = "township"

`brief` is there without being named; a site may name it to make it its own.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dashboard.comparison import COMPARES
from dashboard.pages import PAGES
from dashboard.printing import FORMS
from dashboard.view import periods
from warehouse.mistake import Mistake, nearest
from warehouse.site import Site, mistake_of
from warehouse.text import LANGS, Text

FILE = "reports.toml"
DEFAULT = "brief"


class Schedule(BaseModel):
    """When a brief makes itself, by the site's clock: each month, once for every place of `level`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    day: int = Field(ge=1, le=28)
    hour: int = Field(default=6, ge=0, le=23)
    level: Literal["county", "township", "village"] = "township"


class Template(BaseModel):
    """One named brief. `forms` and `languages`: those it is made in, the first where only one is asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: Text
    pages: tuple[str, ...]
    forms: tuple[str, ...] = ("a4", "slide")
    languages: tuple[str, ...] = ()
    period: str = "this_year"
    compare: str = "both"
    schedule: Schedule | None = None


class Templates(BaseModel):
    """What `reports.toml` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    watermark: bool = False
    briefs: dict[str, Template] = {}


BRIEF = Template(
    title=Text(zh="基层治理简报", en="Governance brief"),
    pages=("overview", "cases", "petitions", "duties", "meetings", "hotspots"),
)


def templates(site: Site) -> Templates:
    """The site's briefs. Raises Mistake naming file, key and the nearest right value."""
    path = site.folder / FILE
    if not path.is_file():
        return Templates(briefs={DEFAULT: BRIEF})
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Mistake(str(path), f"not valid TOML: {error}", "mend the line it names") from error
    # A misspelt key is also a missing one: the misspelling is the better thing to name.
    briefs = data.get("briefs")
    for name, brief in briefs.items() if isinstance(briefs, dict) else ():
        for key in brief if isinstance(brief, dict) else ():
            if key not in Template.model_fields:
                fault = f"unknown key 'briefs.{name}.{key}'"
                raise Mistake(str(path), fault, nearest(key, Template.model_fields))
    try:
        found = Templates.model_validate(data)
    except ValidationError as error:
        known = {*Templates.model_fields, *Template.model_fields, *Schedule.model_fields, *Text.model_fields}
        raise mistake_of(error, path, known) from error
    for name, template in found.briefs.items():
        _check(path, name, template, site)
    return Templates(watermark=found.watermark, briefs={DEFAULT: BRIEF, **found.briefs})


def printable_pages() -> list[str]:
    """The names of the pages a brief can hold: all but walls and what stands in no menu."""
    return [page.name for page in PAGES if not page.wall and page.menu]


def _check(path: Path, name: str, template: Template, site: Site) -> None:
    key = f"briefs.{name}"
    if name in {page.name for page in PAGES}:
        raise Mistake(str(path), f"key '{key}': a page has this name", "give the brief another name")
    if not template.pages:
        raise Mistake(str(path), f"key '{key}.pages': no page", "name at least one, such as 'overview'")
    _known(path, f"{key}.pages", template.pages, printable_pages(), "page")
    _known(path, f"{key}.forms", template.forms, FORMS, "form")
    _known(path, f"{key}.languages", template.languages, LANGS, "language")
    _known(path, f"{key}.period", [template.period], periods(site.now()), "period")
    _known(path, f"{key}.compare", [template.compare], COMPARES, "comparison")
    for what, values in (
        ("pages", template.pages),
        ("forms", template.forms),
        ("languages", template.languages),
    ):
        twice = next((value for i, value in enumerate(values) if value in values[:i]), None)
        if twice is not None:
            raise Mistake(str(path), f"key '{key}.{what}': '{twice}' stands twice", "name it once")


def _known(path: Path, key: str, values: Iterable[str], known: Iterable[str], what: str) -> None:
    names = list(known)
    for value in values:
        if value not in names:
            raise Mistake(str(path), f"key '{key}': no such {what} '{value}'", nearest(value, names))
