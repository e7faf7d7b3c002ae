"""What lies where in a site's warehouse folder, and the manifest that makes a published version one thing.

warehouse/loader.duckdb                    the loader's own records, past images and accounts
warehouse/versions/v000123/marts.duckdb    marts, models and places of one version
warehouse/versions/v000123/manifest.json   what the version consists of
warehouse/records/<dataset>/*.parquet      immutable record files, shared by versions
warehouse/CURRENT                          the id of the newest version
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from warehouse.dataset import DUCK_TYPES, Dataset, Field
from warehouse.mistake import Mistake
from warehouse.site import Params, Site
from warehouse.text import Text

SCHEMA = 2
"""Number of this layout. A reader refuses a greater one; raise it when an older reader would misread."""

LEVELS = ("county", "township", "village", "grid", "micro_grid")
"""The levels for which `places` carries the code of the ancestor."""

MARTS = "marts.duckdb"
MANIFEST = "manifest.json"


class Source(BaseModel):
    """The account of one source up to a version: files and rows since it was first loaded.

    `read` = `kept` + `quarantined`; `files` came, `refused` of them were refused whole, `refusals` are the newest
    of those as (file, reason); `duplicates` is how many came again with the same content, besides. `reasons`:
    rows in quarantine per reason (a row with two reasons counts in both); `warned`: rows kept with a warning.
    `last_load`: when its last accepted file was loaded (site's clock).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    label: Text
    dataset: str
    files: int
    read: int
    kept: int
    quarantined: int
    refused: int
    last_load: datetime | None
    fresh_hours: float
    reasons: dict[str, int]
    refusals: tuple[tuple[str, str], ...]
    duplicates: int = 0
    warned: dict[str, int] = {}


class Records(BaseModel):
    """The Parquet files of one dataset in one version, relative to the warehouse folder.

    `base` holds the current rows up to batch `base_batch`; each of `deltas` the rows (and tombstones) of
    later batches. Of a key in several files the row with the greatest `_batch` counts. `absent`: the fields the
    base leaves out, being null in all its rows.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str
    base_batch: int
    base_rows: int
    absent: tuple[str, ...] = ()
    deltas: tuple[str, ...] = ()
    delta_rows: int = 0
    batch: int

    @property
    def files(self) -> tuple[str, ...]:
        return (self.base, *self.deltas)

    def of_base(self, dataset: Dataset) -> str:
        """The dataset's fields as the columns of a SELECT from the base."""
        return spelled(dataset.fields, {f.name for f in dataset.fields} - set(self.absent))


def spelled(fields: Iterable[Field], here: Collection[str]) -> str:
    """Fields as the columns of a SELECT from what has those named `here`: the others are null, of their type."""
    return ", ".join(
        quoted(f.name) if f.name in here else f"null::{DUCK_TYPES[f.type]} as {quoted(f.name)}"
        for f in fields
    )


class Manifest(BaseModel):
    """One published version.

    `warehouse` names the loader database it came from, `batch` the last batch in it, `mark` that batch's own mark
    (a database put back from an older copy has another batch of this number, or none); `tables` maps each
    table of marts.duckdb to a stamp of its content; `files` gives the size in bytes of every file of the
    version, relative to the warehouse folder. `cutoff`: the site's clock when it was made.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_number: int
    id: str
    warehouse: str
    batch: int
    mark: str = ""
    made_at: datetime
    cutoff: datetime
    site_name: Text
    synthetic: bool
    notice: Text | None
    params: Params
    datasets: tuple[Dataset, ...]
    sources: tuple[Source, ...]
    records: dict[str, Records]
    tables: dict[str, str]
    files: dict[str, int]


def loader(site: Site) -> Path:
    return site.warehouse / "loader.duckdb"


def versions(site: Site) -> Path:
    return site.warehouse / "versions"


def marts(site: Site, version: str) -> Path:
    return versions(site) / version / MARTS


def manifest(site: Site, version: str) -> Path:
    return versions(site) / version / MANIFEST


def pointer(site: Site) -> Path:
    return site.warehouse / "CURRENT"


def number(version: str) -> int | None:
    """123 for 'v000123'; None for anything that is no version id."""
    return int(version[1:]) if re.fullmatch(r"v\d{6,}", version) else None


def version_ids(site: Site) -> tuple[str, ...]:
    """The ids of all version folders, oldest first, finished or not."""
    folder = versions(site)
    found = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    return tuple(sorted((name for name in found if number(name) is not None), key=lambda v: number(v) or 0))


def read_pointer(site: Site) -> str | None:
    """The id CURRENT holds; None when nothing is published. Raises Mistake when it holds no version id."""
    path = pointer(site)
    try:
        text = path.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return None
    if number(text) is None:
        raise Mistake(str(path), f"holds no version id: {text[:40]!r}", "run 'nerve load' to publish again")
    return text


def read_manifest(site: Site, version: str) -> Manifest:
    """The manifest of a version. Raises Mistake when it is missing, damaged or of a newer schema."""
    path = manifest(site, version)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise Mistake(str(path), "no such file", "the version was removed: use the current one") from error
    except (ValueError, OSError) as error:
        raise Mistake(str(path), f"damaged: {error}", "run 'nerve load' to publish again") from error
    found = data.get("schema_number") if isinstance(data, dict) else None
    if isinstance(found, int) and found > SCHEMA:
        raise newer_schema(path, found)
    try:
        return Manifest.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "(top level)"
        raise Mistake(
            str(path), f"damaged: key '{key}': {first['msg']}", "run 'nerve load' to publish again"
        ) from error


def fault_of(site: Site, found: Manifest) -> tuple[Path, str] | None:
    """The first file of a version that is missing or not as long as it was written, and what is wrong."""
    for name, size in found.files.items():
        path = site.warehouse / name
        if not path.is_file():
            return path, "no such file"
        if path.stat().st_size != size:
            return path, f"cut short or changed: {path.stat().st_size} bytes, not {size}"
    return None


def newest_whole(site: Site) -> Manifest | None:
    """The newest version, CURRENT or not, whose files are all there at their full length; None where none is."""
    for version in reversed(version_ids(site)):
        try:
            found = read_manifest(site, version)
        except Mistake:
            continue
        if fault_of(site, found) is None:
            return found
    return None


def unfinished(site: Site) -> tuple[str, ...]:
    """The ids of version folders without a manifest: what a killed publish or collect left."""
    return tuple(version for version in version_ids(site) if not manifest(site, version).exists())


def unused_records(site: Site) -> tuple[Path, ...]:
    """Record files that no finished version needs; none when a manifest cannot be read, for what it needs is
    then not known."""
    used: set[str] = set()
    for version in version_ids(site):
        if manifest(site, version).exists():
            try:
                used.update(read_manifest(site, version).files)
            except Mistake:
                return ()
    found = sorted((site.warehouse / "records").glob("*/*"))
    return tuple(path for path in found if str(path.relative_to(site.warehouse)) not in used)


class NewerSchema(Mistake):
    """A file written by a later program."""


def newer_schema(path: Path, found: int) -> NewerSchema:
    return NewerSchema(
        str(path),
        f"schema {found} is newer than this program's {SCHEMA}",
        "install the version of this program that wrote it, or a later one",
    )


def quoted(name: str) -> str:
    """A name as SQL spells an identifier."""
    return '"' + name.replace('"', '""') + '"'


def columns(names: Iterable[str], of: str = "") -> str:
    """Names as a column list, each of table `of` where given."""
    prefix = f"{of}." if of else ""
    return ", ".join(prefix + quoted(name) for name in names)


def put(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all, whatever happens, and stays."""
    beside = fresh(path)
    beside.write_text(text, encoding="utf-8")
    flush(beside)
    beside.replace(path)
    flush(path.parent)


def fresh(path: Path) -> Path:
    """Where a file is written before it takes its place; one left there is of a process that was killed."""
    return path.with_suffix(".new")


def flush(path: Path) -> None:
    """Have a file, or a folder's list of names, reach the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
