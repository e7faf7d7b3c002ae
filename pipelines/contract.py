"""Contracts: what a source's files look like and what a record must satisfy to be kept.

One TOML file per source. Ours lie in `pipelines/sources`; a site's own, in its `sources` folder, win by
file name. A site's contract may say `base = "cases"`: the shape of the records (types, roles, labels,
choices, rules) is then ours, and it says only where each field comes from.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import sqlglot
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic import Field as Setting
from sqlglot import exp

from warehouse.dataset import Choice, Dataset, Field, FieldType, Role
from warehouse.mistake import Mistake, nearest
from warehouse.site import Site
from warehouse.text import Text

OURS = Path(__file__).parent / "sources"
NAME = re.compile(r"[a-z][a-z0-9_]*")
FILLING = frozenset(
    {
        "from",
        "map",
        "constant",
        "default",
        "coalesce",
        "empty",
        "required",
        "pattern",
        "min",
        "max",
        "privacy",
    }
)
"""What a contract with a `base` may say about a field; the rest is the base's."""

Privacy = Literal["pseudonym", "mask", "drop"]


def word(text: str) -> str:
    """A class as it is compared: full-width → half-width, trimmed, lower case."""
    return unicodedata.normalize("NFKC", text).strip().lower()


def heading(text: str) -> str:
    """A column heading as it is compared: as `word`, without inner spaces or the star of a required field."""
    return "".join(unicodedata.normalize("NFKC", text).replace("\ufeff", "").split()).strip("*").lower()


class Files(BaseModel):
    """Which files a source sends and how they are written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    match: tuple[str, ...] = Setting(min_length=1)
    format: Literal["csv", "xlsx", "ndjson", "parquet", "auto"] = "auto"
    encoding: Literal["auto", "utf-8", "gb18030", "utf-16"] = "auto"


class FieldRule(BaseModel):
    """Where one field comes from and what its value must satisfy.

    `headings` (spelled `from`): the first present wins; with `coalesce` the first that is not empty.
    `empty`: words that mean "no value". `map`: the source's words → our codes. `constant`: the same in
    every record. `default`: where the source says nothing. `privacy = "drop"`: never loaded.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: FieldType
    role: Role = "detail"
    label: Text
    headings: tuple[str, ...] = Setting(default=(), alias="from")
    coalesce: bool = False
    constant: str | None = None
    default: str | None = None
    empty: tuple[str, ...] = ()
    map: dict[str, str] = {}
    required: bool = False
    pattern: str | None = None
    min: float | None = None
    max: float | None = None
    choices: tuple[Choice, ...] = ()
    refers: Literal["places"] | None = None
    privacy: Privacy | None = None

    @property
    def mapped(self) -> bool:
        return self.privacy != "drop" and (bool(self.headings) or self.constant is not None)

    def codes(self) -> dict[str, str]:
        """Every word that stands for a class → its code. The site's map wins, then codes, labels, synonyms."""
        out: dict[str, str] = {}
        for choice in self.choices:
            out[word(choice.code)] = choice.code
        for choice in self.choices:
            for label in (choice.label.zh, choice.label.en, *choice.synonyms):
                out.setdefault(word(label), choice.code)
        out.update({word(key): value for key, value in self.map.items()})
        return out


class Rule(BaseModel):
    """A condition over the typed fields of one record; `now` is the site's clock. Null passes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    check: str
    label: Text


class _Written(BaseModel):
    """A contract as a person writes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    label: Text
    born: str | None = None
    protected: bool = False
    fresh_hours: float = Setting(default=24, gt=0)
    drop: tuple[str, ...] = ()
    files: Files
    fields: dict[str, FieldRule]
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class Contract:
    """A source: its files, its fields, its rules, and the dataset that its records belong to.

    `dataset.mapped` are the fields this source delivers; several sources may feed one dataset.
    """

    name: str
    path: Path
    label: Text
    dataset: Dataset
    fresh_hours: float
    drop: tuple[str, ...]
    files: Files
    fields: Mapping[str, FieldRule]
    rules: tuple[Rule, ...]


def contracts(site: Site) -> dict[str, Contract]:
    """All contracts of a site by name. Raises Mistake naming file, key and the nearest right one."""
    paths = {path.stem: path for path in sorted(OURS.glob("*.toml"))}
    paths.update({path.stem: path for path in sorted(site.sources.glob("*.toml"))})
    return {name: read_contract(path) for name, path in sorted(paths.items())}


def match(known: Mapping[str, Contract], filename: str) -> Contract | None:
    """The contract a file belongs to: its longest pattern wins, upper and lower case alike."""
    name = unicodedata.normalize("NFC", filename).lower()
    fits = [
        (len(pattern), contract.name)
        for contract in known.values()
        for pattern in contract.files.match
        if fnmatchcase(name, unicodedata.normalize("NFC", pattern).lower())
    ]
    return known[max(fits)[1]] if fits else None


def read_contract(path: Path) -> Contract:
    """Read and check one contract. Raises Mistake."""
    data = _toml(path)
    if "base" in data:
        data = _inherit(data, path)
    written = _validate(data, path)
    _check(written, path)
    dataset = Dataset(
        name=written.dataset,
        label=written.label,
        born=written.born,
        protected=written.protected,
        mapped=tuple(name for name, rule in written.fields.items() if rule.mapped),
        rules={rule.name: rule.label for rule in written.rules},
        fields=tuple(
            Field(name=name, type=rule.type, role=rule.role, label=rule.label, choices=rule.choices)
            for name, rule in written.fields.items()
        ),
    )
    return Contract(
        name=path.stem,
        path=path,
        label=written.label,
        dataset=dataset,
        fresh_hours=written.fresh_hours,
        drop=written.drop,
        files=written.files,
        fields=written.fields,
        rules=written.rules,
    )


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise Mistake(str(path), f"cannot be read: {error.strerror}", "check the file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Mistake(str(path), f"not valid TOML: {error}", "mend the line it names") from error


def _inherit(data: dict[str, Any], path: Path) -> dict[str, Any]:
    """A contract with a `base` → a whole one: the base's shape, this one's files and headings."""
    name = data["base"]
    ours = {p.stem: p for p in OURS.glob("*.toml")}
    if not isinstance(name, str) or name not in ours:
        raise Mistake(f"{path}: key 'base'", f"no such contract {name!r}", nearest(str(name), ours))
    allowed = {"base", "label", "fresh_hours", "drop", "files", "fields", "rules"}
    for key in data:
        if key not in allowed:
            what = "belongs to the base" if key in _Written.model_fields else "unknown key"
            remedy = "remove it" if key in _Written.model_fields else nearest(key, allowed)
            raise Mistake(str(path), f"{what} '{key}'", remedy)
    base = _toml(ours[name])
    own = data.get("fields", {})
    fields: dict[str, Any] = {}
    for field, settings in base["fields"].items():
        fields[field] = {key: value for key, value in settings.items() if key not in ("from", "required")}
    for field, settings in own.items():
        where = f"{path}: field '{field}'"
        if field not in fields:
            raise Mistake(where, f"not a field of '{name}'", nearest(field, fields))
        if not isinstance(settings, dict):
            raise Mistake(where, f"not a table: {settings!r}", f"write [fields.{field}]")
        for key in settings:
            if key not in FILLING:
                raise Mistake(
                    where, f"key '{key}' belongs to the base", f"use only {', '.join(sorted(FILLING))}"
                )
        ours_says = {
            key: value for key, value in base["fields"][field].items() if key in ("from", "required")
        }
        if "constant" in settings:
            ours_says.pop("from", None)
        fields[field] |= ours_says | settings
    for field, settings in base["fields"].items():
        indispensable = settings.get("role") in ("key", "updated") or field == base.get("born")
        if (indispensable or (settings.get("role") == "place")) and field not in own:
            raise Mistake(f"{path}: field '{field}'", "missing", f"add [fields.{field}] with from = [...]")
    return {
        **base,
        **{key: value for key, value in data.items() if key not in ("base", "fields", "rules", "drop")},
        "drop": [*base.get("drop", []), *data.get("drop", [])],
        "fields": fields,
        "rules": [*base.get("rules", []), *data.get("rules", [])],
    }


def _validate(data: dict[str, Any], path: Path) -> _Written:
    try:
        return _Written.model_validate(data)
    except ValidationError as error:
        raise _mistake_of(error, path) from error


def _mistake_of(error: ValidationError, path: Path) -> Mistake:
    """The first fault of a contract as one line: file, place in it, key, remedy."""
    first = error.errors()[0]
    parts = [str(part) for part in first["loc"]]
    where, known = str(path), set(_Written.model_fields)
    if len(parts) > 1 and parts[0] == "fields":
        where = f"{path}: field '{parts[1]}'"
        known = {info.alias or name for name, info in FieldRule.model_fields.items()}
        parts = parts[2:]
        if len(parts) > 1 and parts[0] == "choices":
            known = set(Choice.model_fields)
    elif parts[0] == "files":
        where, known, parts = f"{path}: [files]", set(Files.model_fields), parts[1:]
    elif parts[0] == "rules" and len(parts) > 1:
        where, known, parts = f"{path}: rule {int(parts[1]) + 1}", set(Rule.model_fields), parts[2:]
    key = ".".join(parts) or "(table)"
    if first["type"] == "extra_forbidden":
        return Mistake(where, f"unknown key '{key}'", nearest(parts[-1], known))
    if first["type"] == "missing":
        return Mistake(where, f"missing key '{key}'", f"add '{key} = …'")
    value = first.get("input")
    if first["type"] == "literal_error":
        words = _literals(parts[-1])
        return Mistake(where, f"key '{key}': unknown value {value!r}", nearest(str(value), words))
    shown = "" if isinstance(value, dict) else f", not {value!r}"
    return Mistake(where, f"key '{key}': {first['msg']}{shown}", "mend the value")


def _literals(key: str) -> Sequence[str]:
    return {
        "type": get_args(FieldType),
        "role": get_args(Role),
        "privacy": get_args(Privacy),
        "refers": ("places",),
        "format": get_args(Files.model_fields["format"].annotation),
        "encoding": get_args(Files.model_fields["encoding"].annotation),
    }.get(key, ())


def _check(written: _Written, path: Path) -> None:
    """What no single value can show: roles, names, headings, rules that fit together."""
    for name in (written.dataset, *written.fields, *(rule.name for rule in written.rules)):
        if not NAME.fullmatch(name):
            raise Mistake(str(path), f"name '{name}'", "use lower-case letters, digits and _")
    for role in ("key", "place", "updated"):
        having = [name for name, rule in written.fields.items() if rule.role == role]
        if len(having) > 1:
            raise Mistake(
                str(path), f"role '{role}' of both '{having[0]}' and '{having[1]}'", "leave it to one"
            )
        if not having and role == "key":
            raise Mistake(str(path), "no field has role 'key'", "give it to the business key")
    if written.born is not None and written.born not in written.fields:
        raise Mistake(
            f"{path}: key 'born'", f"no field '{written.born}'", nearest(written.born, written.fields)
        )
    blocked = {heading(text): text for text in written.drop}
    for name, rule in written.fields.items():
        _check_field(f"{path}: field '{name}'", rule, blocked)
    names = [rule.name for rule in written.rules]
    for condition in written.rules:
        where = f"{path}: rule '{condition.name}'"
        if names.count(condition.name) > 1:
            raise Mistake(where, "written twice", "give each rule a name of its own")
        _check_expression(where, condition.check, frozenset({*written.fields, "now"}))


def _check_field(where: str, rule: FieldRule, blocked: Mapping[str, str]) -> None:
    for text in rule.headings:
        if heading(text) in blocked:
            raise Mistake(
                where, f"heading '{text}' is blocked by 'drop'", "remove it: such columns are never loaded"
            )
    if rule.role in ("key",) and not rule.mapped:
        raise Mistake(where, "the key comes from nowhere", "add from = [...]")
    if rule.constant is not None and rule.headings:
        raise Mistake(where, "both 'from' and 'constant'", "keep one of them")
    codes = [choice.code for choice in rule.choices]
    if codes:
        for key, value in [*rule.map.items(), ("constant", rule.constant), ("default", rule.default)]:
            if value is not None and value not in codes and key not in ("constant", "default"):
                raise Mistake(where, f"map '{key}' = '{value}' is no choice", nearest(value, codes))
            if value is not None and key in ("constant", "default") and word(value) not in rule.codes():
                raise Mistake(where, f"{key} '{value}' is no choice", nearest(value, codes))
    if len(set(codes)) < len(codes):
        twice = next(code for code in codes if codes.count(code) > 1)
        raise Mistake(where, f"choice '{twice}' written twice", "remove one")
    meaning: dict[str, str] = {}
    for choice in rule.choices:
        for text in {
            word(text) for text in (choice.code, choice.label.zh, choice.label.en, *choice.synonyms)
        }:
            if meaning.setdefault(text, choice.code) != choice.code:
                raise Mistake(where, f"'{text}' means both '{meaning[text]}' and '{choice.code}'", "keep one")
    if (rule.min is not None or rule.max is not None) and rule.type not in ("int", "float"):
        raise Mistake(where, f"'min' or 'max' on type '{rule.type}'", "only numbers have them")
    if rule.pattern is not None:
        try:
            re.compile(rule.pattern)
        except re.error as error:
            raise Mistake(
                f"{where}: key 'pattern'", f"{rule.pattern!r}: {error}", "mend the expression"
            ) from error


@lru_cache(maxsize=1024)
def _check_expression(where: str, text: str, names: frozenset[str]) -> None:
    """A rule is one boolean expression over the record's own fields: no subquery, no other name."""
    try:
        tree = sqlglot.parse_one(f"select {text}", dialect="duckdb")
    except sqlglot.errors.ParseError as error:
        raise Mistake(f"{where}: key 'check'", f"not SQL: {text!r}", "mend the expression") from error
    if len(list(tree.find_all(exp.Select))) > 1 or len(tree.expressions) != 1 or tree.args.get("from_"):
        raise Mistake(
            f"{where}: key 'check'", f"more than one expression: {text!r}", "one condition per rule"
        )
    for column in tree.find_all(exp.Column):
        if column.name not in names:
            raise Mistake(
                f"{where}: key 'check'", f"unknown field '{column.name}'", nearest(column.name, names)
            )
