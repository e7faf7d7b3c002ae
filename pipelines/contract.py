"""Contracts: what a source's files look like and what a record must satisfy to be kept.

One TOML file per source. Ours lie in `pipelines/sources`; a site's own, in its `sources` folder, win by
file name. A site's contract may say `base = "cases"`: the shape of the records (types, roles, labels,
choices, rules) is then ours, and it says only where each field comes from; of our rules it may change the
severity. A contract is wholly checked before it is used: what is wrong with it never shows in a load.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import duckdb
import sqlglot
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator
from pydantic import Field as Setting
from sqlglot import exp

from pipelines import values
from warehouse.dataset import DUCK_TYPES, Choice, Dataset, Field, FieldType, Role
from warehouse.mistake import Mistake, nearest
from warehouse.site import Site
from warehouse.text import Text

OURS = Path(__file__).parent / "sources"
NAME = re.compile(r"[a-z][a-z0-9_]*")
CLOCK = "now"
"""The name under which a rule knows the site's clock; no field may have it."""
EVERY = re.compile(
    r"(?P<count>[1-9][0-9]{0,4}) (?P<unit>second|minute|hour|day)s?"
    r"|(?P<one>minute|hour|day)|day at (?P<hour>[01][0-9]|2[0-3]):(?P<minute>[0-5][0-9])"
)
"""How often a database is asked: `10 minutes`, `hour`, `day at 02:30` (the site's time)."""
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
        "severity",
        "unique",
    }
)
"""What a contract with a `base` may say about a field; the rest is the base's."""

Privacy = Literal["pseudonym", "mask", "drop", "keep"]
Severity = Literal["reject", "warn"]


def word(text: str) -> str:
    """A class as it is compared: full-width → half-width, trimmed, lower case."""
    return unicodedata.normalize("NFKC", text).strip().lower()


def heading(text: str) -> str:
    """A column heading as it is compared: as `word`, without inner spaces or the star of a required field."""
    return "".join(unicodedata.normalize("NFKC", text).replace("\ufeff", "").split()).strip("*").lower()


class Files(BaseModel):
    """Which files a source sends and how they are written.

    `format`, `encoding`, `delimiter`: found out from the content unless stated. `quarantine`: what is kept
    of a record that is not loaded: its loaded columns (`loaded`), or all of it as the source wrote it,
    sealed with the site's key (`sealed`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    match: tuple[str, ...] = Setting(min_length=1)
    format: Literal["csv", "xlsx", "xls", "json", "ndjson", "parquet", "auto"] = "auto"
    encoding: Literal["auto", "utf-8", "gb18030", "gbk", "big5", "utf-16", "utf-16-le", "utf-16-be"] = "auto"
    delimiter: str | None = None
    quarantine: Literal["loaded", "sealed"] = "loaded"

    @field_validator("delimiter")
    @classmethod
    def _one_sign(cls, value: str | None) -> str | None:
        if value is not None and (len(value) != 1 or value.isalnum() or value in '"\r\n \\'):
            raise ValueError("one sign such as ',' ';' '|' or '\\t'")
        return value


class Database(BaseModel):
    """A table or view that is asked for what changed in it.

    `url` as SQLAlchemy writes it; `${NAME}` stands for an environment variable, so that no password lies in
    a contract. `table` may have a schema before it. `watermark`: the column that grows with every change.
    `every`: see EVERY. `columns`: the columns to read (default: those the contract's headings name).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    table: str = Setting(min_length=1)
    watermark: str = Setting(min_length=1)
    every: str = "10 minutes"
    columns: tuple[str, ...] = ()

    @field_validator("every")
    @classmethod
    def _known_rhythm(cls, value: str) -> str:
        if EVERY.fullmatch(value) is None:
            raise ValueError("a rhythm such as '10 minutes', 'hour' or 'day at 02:30'")
        return value


class Deleted(BaseModel):
    """Which records say that the source removed its own: `when`, a condition over the typed fields, or
    `field` with the `values` (words as in the file, or codes) that say so.

    Such a record is judged only by its key and its update time: whoever removes a record need not fill it in.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    when: str | None = None
    field: str | None = None
    values: tuple[str, ...] = ()


class FieldRule(BaseModel):
    """Where one field comes from and what its value must satisfy.

    `headings` (spelled `from`): the first present wins; with `coalesce` the first that is not empty.
    `empty`: words that mean "no value". `map`: the source's words → our codes. `constant`: the same in
    every record. `default`: where the source says nothing. `privacy`: `drop` is never
    loaded, `pseudonym` replaced, `mask` freed of numbers and names (so is text that states nothing), `keep` as is.

    `severity = "warn"` keeps a record that fails `pattern`, `min`, `max`, `choices`, `refers` or `unique`,
    and counts it; an unknown word is then no value. What is `required`, or of a wrong type, always rejects.
    `unique`: within a file no two business keys hold the same value; of those that do, the first row stays.
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
    unique: bool = False
    severity: Severity = "reject"
    privacy: Privacy | None = None

    @model_validator(mode="before")
    @classmethod
    def _masked(cls, data: Any) -> Any:
        """Text that people write is masked unless its contract says otherwise."""
        free = isinstance(data, dict) and data.get("type") == "text" and not data.get("choices")
        return {"privacy": "mask", **data} if free else data

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
    """A condition over the typed fields of one record; `now` is the site's clock. Null passes.

    `severity = "warn"`: a record that fails is kept and counted. A condition that cannot be worked out for
    a record (a cast that fails) is not satisfied.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    check: str
    label: Text
    severity: Severity = "reject"


class _Written(BaseModel):
    """A contract as a person writes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    label: Text
    born: str | None = None
    protected: bool = False
    fresh_hours: float = Setting(default=24, gt=0)
    drop: tuple[str, ...] = ()
    files: Files | None = None
    database: Database | None = None
    deleted: Deleted | None = None
    fields: dict[str, FieldRule]
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class Contract:
    """A source: its files or its table, its fields, its rules, and the dataset that its records belong to.

    `dataset.mapped` are the fields this source delivers; several sources may feed one dataset. `fresh_hours`:
    after so long without a load the source counts as silent. A source with a `database` and no files has
    `files` that match nothing.
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
    database: Database | None = None
    deleted: Deleted | None = None

    @cached_property
    def wanted(self) -> Mapping[str, tuple[str, ...]]:
        """Field → the headings it may come from, as `heading` compares them, each once."""
        return {
            name: tuple(dict.fromkeys(heading(text) for text in rule.headings))
            for name, rule in self.fields.items()
        }

    @cached_property
    def blocked(self) -> frozenset[str]:
        """Headings that are never loaded, as `heading` compares them."""
        dropped = (self.wanted[name] for name, rule in self.fields.items() if rule.privacy == "drop")
        return frozenset(map(heading, self.drop)).union(*dropped)


@dataclass(frozen=True)
class _Source:
    """The text of a contract, to say in which line a mistake stands."""

    path: Path
    text: str

    def at(self, *keys: str) -> str:
        """`path:line` of the deepest of `keys` (tables, keys, numbers in a list) that the text spells out;
        the path alone where it spells none, as what a base says."""
        line = _line(self.text, keys)
        return f"{self.path}:{line}" if line else str(self.path)


_TABLE = re.compile(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?")
_KEY = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*=""")
_PART = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([^."']+?))\s*(?:\.|$)""")


def _line(text: str, keys: Sequence[str]) -> int:
    """The line, from 1, that spells the longest beginning of `keys`; 0 where none does."""
    best, depth = 0, 0
    table: tuple[str, ...] = ()
    seen: dict[str, int] = {}
    element = -1
    for number, line in enumerate(text.splitlines(), start=1):
        if found := _TABLE.fullmatch(line):
            table = tuple(next(filter(None, part.groups()), "") for part in _PART.finditer(found[1]))
            if line.lstrip().startswith("[["):
                seen[found[1]] = seen.get(found[1], -1) + 1
                table = (*table, str(seen[found[1]]))
            spelled, element = table, -1
        elif found := _KEY.match(line):
            spelled, element = (*table, found[1] or found[2] or found[3] or ""), 0
        elif element >= 0 and line.lstrip().startswith("{") and tuple(keys[: len(spelled)]) == spelled:
            # The elements of a list that has a line for each.
            if len(keys) > len(spelled) and keys[len(spelled)] == str(element):
                best, depth = number, len(spelled) + 1
            element += 1
            continue
        else:
            continue
        if len(spelled) > depth and tuple(keys[: len(spelled)]) == spelled:
            best, depth = number, len(spelled)
    return best


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
    source, data = _toml(path)
    if "base" in data:
        data = _inherit(data, source)
    written = _validate(data, source)
    _check(written, source)
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
        files=written.files or Files.model_construct(match=()),
        fields=written.fields,
        rules=written.rules,
        database=written.database,
        deleted=written.deleted,
    )


def _toml(path: Path) -> tuple[_Source, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        return _Source(path, text), tomllib.loads(text)
    except OSError as error:
        raise Mistake(str(path), f"cannot be read: {error.strerror}", "check the file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Mistake(str(path), f"not valid TOML: {error}", "mend the line it names") from error


def _inherit(data: dict[str, Any], source: _Source) -> dict[str, Any]:
    """A contract with a `base` → a whole one: the base's shape, this one's files and headings."""
    name = data["base"]
    ours = {p.stem: p for p in OURS.glob("*.toml")}
    if not isinstance(name, str) or name not in ours:
        raise Mistake(
            f"{source.at('base')}: key 'base'", f"no such contract {name!r}", nearest(str(name), ours)
        )
    allowed = {
        "base", "label", "fresh_hours", "drop", "files", "database", "deleted", "fields", "rules",
    }  # fmt: skip
    for key in data:
        if key not in allowed:
            what = "belongs to the base" if key in _Written.model_fields else "unknown key"
            remedy = "remove it" if key in _Written.model_fields else nearest(key, allowed)
            raise Mistake(source.at(key), f"{what} '{key}'", remedy)
    base = _toml(ours[name])[1]
    own = data.get("fields", {})
    fields: dict[str, Any] = {}
    for field, settings in base["fields"].items():
        fields[field] = {key: value for key, value in settings.items() if key not in ("from", "required")}
    for field, settings in own.items():
        where = f"{source.at('fields', field)}: field '{field}'"
        if field not in fields:
            raise Mistake(where, f"not a field of '{name}'", nearest(field, fields))
        if not isinstance(settings, dict):
            raise Mistake(where, f"not a table: {settings!r}", f"write [fields.{field}]")
        for key in settings:
            if key not in FILLING:
                where = f"{source.at('fields', field, key)}: field '{field}'"
                if key not in FieldRule.model_fields:
                    raise Mistake(where, f"unknown key '{key}'", nearest(key, FILLING))
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
            raise Mistake(
                f"{source.path}: field '{field}'", "missing", f"add [fields.{field}] with from = [...]"
            )
    # Where the records come from is never inherited.
    shape = {key: value for key, value in base.items() if key not in ("files", "database", "deleted")}
    return {
        **shape,
        **{key: value for key, value in data.items() if key not in ("base", "fields", "rules", "drop")},
        "drop": [*base.get("drop", []), *data.get("drop", [])],
        "fields": fields,
        "rules": _inherit_rules(base.get("rules", []), data.get("rules", []), name, source),
    }


def _inherit_rules(ours: list[dict[str, Any]], own: Any, base: str, source: _Source) -> list[dict[str, Any]]:
    """Our rules, then the contract's own. One named as ours changes its severity and nothing else."""
    out = {rule["name"]: rule for rule in ours}
    more: list[Any] = []
    for number, rule in enumerate(own if isinstance(own, list) else [own]):
        known = out.get(rule.get("name")) if isinstance(rule, dict) else None
        if known is None:
            more.append(rule)
            continue
        for key in rule.keys() - {"name", "severity"}:
            raise Mistake(
                f"{source.at('rules', str(number), key)}: rule '{known['name']}'",
                f"key '{key}' belongs to the base '{base}'",
                "only its severity may be said anew; give another rule another name",
            )
        out[known["name"]] = known | rule
    return [*out.values(), *more]


def _validate(data: dict[str, Any], source: _Source) -> _Written:
    try:
        return _Written.model_validate(data)
    except ValidationError as error:
        raise _mistake_of(error, source) from error


def _mistake_of(error: ValidationError, source: _Source) -> Mistake:
    """A fault of a contract as one line: file, line, place in it, key, remedy.

    A key that is not known comes before one that is missing: it is often the same, misspelt.
    """
    errors = error.errors()
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    parts = [str(part) for part in first["loc"]]
    line, inside, known = source.at(*parts), "", set(_Written.model_fields)
    if len(parts) > 1 and parts[0] == "fields":
        inside = f": field '{parts[1]}'"
        known = {info.alias or name for name, info in FieldRule.model_fields.items()}
        parts = parts[2:]
        if len(parts) > 1 and parts[0] == "choices":
            known = set(Choice.model_fields)
    elif parts[0] in _TABLES and len(parts) > 1:
        inside, known, parts = f": [{parts[0]}]", set(_TABLES[parts[0]].model_fields), parts[1:]
    elif parts[0] == "rules" and len(parts) > 1:
        inside, known, parts = f": rule {int(parts[1]) + 1}", set(Rule.model_fields), parts[2:]
    if parts[:-1] and parts[-2] == "label":
        known = set(Text.model_fields)
    where = line + inside
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
    return Mistake(
        where, f"key '{key}': {first['msg'].removeprefix('Value error, ')}{shown}", "mend the value"
    )


_TABLES: dict[str, type[BaseModel]] = {"files": Files, "database": Database, "deleted": Deleted}


def _literals(key: str) -> Sequence[str]:
    return {
        "type": get_args(FieldType),
        "role": get_args(Role),
        "privacy": get_args(Privacy),
        "severity": get_args(Severity),
        "refers": ("places",),
        "format": get_args(Files.model_fields["format"].annotation),
        "encoding": get_args(Files.model_fields["encoding"].annotation),
        "quarantine": get_args(Files.model_fields["quarantine"].annotation),
    }.get(key, ())


def _check(written: _Written, source: _Source) -> None:
    """What no single value can show: roles, names, headings, expressions that fit together."""
    for name in (written.dataset, *written.fields, *(rule.name for rule in written.rules)):
        if not NAME.fullmatch(name):
            raise Mistake(str(source.path), f"name '{name}'", "use lower-case letters, digits and _")
    if CLOCK in written.fields:
        raise Mistake(source.at("fields", CLOCK), f"field '{CLOCK}' is the clock's name", "give it another")
    for role in ("key", "place", "updated"):
        having = [name for name, rule in written.fields.items() if rule.role == role]
        if len(having) > 1:
            raise Mistake(
                source.at("fields", having[1], "role"),
                f"role '{role}' of both '{having[0]}' and '{having[1]}'",
                "leave it to one",
            )
        if not having and role == "key":
            raise Mistake(str(source.path), "no field has role 'key'", "give it to the business key")
    if written.born is not None:
        where = f"{source.at('born')}: key 'born'"
        if written.born not in written.fields:
            raise Mistake(where, f"no field '{written.born}'", nearest(written.born, written.fields))
        if written.fields[written.born].type not in ("date", "time"):
            raise Mistake(where, f"field '{written.born}' is no time", "name a field of type date or time")
    if written.files is None and written.database is None:
        raise Mistake(str(source.path), "neither [files] nor [database]", "say where the records come from")
    if written.database is not None:
        _check_database(written.database, source)
    blocked = {heading(text): text for text in written.drop}
    for name, rule in written.fields.items():
        _check_field(name, rule, blocked, source)
    with _typed(written.fields) as typed:
        for name, rule in written.fields.items():
            _check_values(name, rule, typed, source)
        names = [rule.name for rule in written.rules]
        for number, condition in enumerate(written.rules):
            if names.count(condition.name) > 1:
                raise Mistake(
                    f"{source.at('rules', str(number), 'name')}: rule '{condition.name}'",
                    "written twice",
                    "give each rule a name of its own",
                )
            where = f"{source.at('rules', str(number), 'check')}: rule '{condition.name}': key 'check'"
            _check_expression(where, condition.check, written.fields, typed)
        if written.deleted is not None:
            _check_deleted(written.deleted, written.fields, typed, source)


def _check_database(database: Database, source: _Source) -> None:
    where = f"{source.at('database', 'url')}: [database]: key 'url'"
    if "://" not in database.url and not database.url.startswith("${"):
        raise Mistake(where, "no database address", "write it as 'postgresql://user:${PASSWORD}@host/name'")
    secret = re.search(r"://[^/@]*:([^@]*)@", database.url)
    if secret is not None and not re.fullmatch(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}", secret[1]):
        # The fault is not quoted: it would carry the password into logs.
        raise Mistake(where, "holds a password", "write ${NAME} there and set NAME in the environment")


def _check_field(name: str, rule: FieldRule, blocked: Mapping[str, str], source: _Source) -> None:
    def at(*keys: str) -> str:
        return f"{source.at('fields', name, *keys)}: field '{name}'"

    for text in rule.headings:
        if heading(text) in blocked:
            raise Mistake(
                at("from"),
                f"heading '{text}' is blocked by 'drop'",
                "remove it: such columns are never loaded",
            )
    if rule.role in ("key",) and not rule.mapped:
        raise Mistake(at(), "the key comes from nowhere", "add from = [...]")
    if rule.constant is not None and rule.headings:
        raise Mistake(at("constant"), "both 'from' and 'constant'", "keep one of them")
    codes = [choice.code for choice in rule.choices]
    if codes:
        for key, value in [*rule.map.items(), ("constant", rule.constant), ("default", rule.default)]:
            if value is not None and value not in codes and key not in ("constant", "default"):
                raise Mistake(at("map", key), f"map '{key}' = '{value}' is no choice", nearest(value, codes))
            if value is not None and key in ("constant", "default") and word(value) not in rule.codes():
                raise Mistake(at(key), f"{key} '{value}' is no choice", nearest(value, codes))
    if len(set(codes)) < len(codes):
        twice = next(code for code in codes if codes.count(code) > 1)
        raise Mistake(at("choices"), f"choice '{twice}' written twice", "remove one")
    meaning: dict[str, str] = {}
    for number, choice in enumerate(rule.choices):
        for text in {
            word(text) for text in (choice.code, choice.label.zh, choice.label.en, *choice.synonyms)
        }:
            if meaning.setdefault(text, choice.code) != choice.code:
                raise Mistake(
                    at("choices", str(number)),
                    f"'{text}' means both '{meaning[text]}' and '{choice.code}'",
                    "keep one",
                )
    if (rule.min is not None or rule.max is not None) and rule.type not in ("int", "float"):
        raise Mistake(at("min"), f"'min' or 'max' on type '{rule.type}'", "only numbers have them")
    if rule.min is not None and rule.max is not None and rule.min > rule.max:
        raise Mistake(at("max"), f"max {rule.max:g} is less than min {rule.min:g}", "exchange them")
    if rule.unique and rule.role == "key":
        raise Mistake(at("unique"), "'unique' on the key", "remove it: of one key the newest row wins")
    if rule.unique and rule.constant is not None:
        raise Mistake(at("unique"), "'unique' on a constant", "remove one of them")
    judged = rule.pattern is not None or rule.min is not None or rule.max is not None
    if rule.severity == "warn" and not (judged or rule.choices or rule.refers or rule.unique):
        raise Mistake(
            at("severity"),
            "nothing to warn of",
            "it softens pattern, min, max, choices, refers and unique; 'required' and the type always reject",
        )


def _check_values(name: str, rule: FieldRule, typed: duckdb.DuckDBPyConnection, source: _Source) -> None:
    """Values that the contract itself gives have the field's type; the pattern is one."""
    where = f"{source.at('fields', name, 'pattern')}: field '{name}'"
    if rule.pattern is not None:
        try:
            typed.execute("select regexp_full_match('', $pattern)", {"pattern": rule.pattern}).fetchall()
        except duckdb.Error as error:
            raise Mistake(
                f"{where}: key 'pattern'", f"{rule.pattern!r}: {_plain(error)}", "mend the expression"
            ) from error
    if rule.type in ("code", "text"):
        return
    given = [("choices", choice.code) for choice in rule.choices]
    if not rule.choices:
        given += [("map", value) for value in rule.map.values()]
        given += [
            (key, value) for key in ("constant", "default") if (value := getattr(rule, key)) is not None
        ]
    if given:
        values.define(typed)
    for key, value in given:
        clean = values.cleaned(rule.type, "$value")
        sql = f"select {values.parsed(rule.type, 'x')} from (select {clean} as x)"  # noqa: S608
        row = typed.execute(sql, {"value": value}).fetchone()
        if row is None or row[0] is None:
            raise Mistake(
                f"{source.at('fields', name, key)}: field '{name}'",
                f"{key} '{value}' is no {rule.type}",
                f"write a value of type {rule.type}",
            )


def _check_deleted(
    deleted: Deleted, fields: Mapping[str, FieldRule], typed: duckdb.DuckDBPyConnection, source: _Source
) -> None:
    where = f"{source.at('deleted')}: [deleted]"
    if (deleted.when is None) == (deleted.field is None):
        raise Mistake(where, "needs 'when' or 'field'", "write one of them")
    if deleted.when is not None:
        if deleted.values:
            raise Mistake(where, "'values' without 'field'", "add 'field', or remove them")
        line = f"{source.at('deleted', 'when')}: [deleted]: key 'when'"
        _check_expression(line, deleted.when, fields, typed)
        return
    rule = fields.get(str(deleted.field))
    if rule is None:
        raise Mistake(
            f"{source.at('deleted', 'field')}: [deleted]: key 'field'",
            f"no field '{deleted.field}'",
            nearest(str(deleted.field), fields),
        )
    if not rule.mapped:
        raise Mistake(where, f"field '{deleted.field}' comes from nowhere", "give it from = [...]")
    if not deleted.values:
        raise Mistake(where, "missing key 'values'", "add the words that mean removed")
    known = rule.codes()
    for value in deleted.values if rule.choices else ():
        if word(value) not in known:
            raise Mistake(
                f"{source.at('deleted', 'values')}: [deleted]: key 'values'",
                f"'{value}' is no choice of '{deleted.field}'",
                nearest(word(value), known),
            )


_TYPED = "typed_record"


@lru_cache(maxsize=1)
def _judge() -> duckdb.DuckDBPyConnection:
    """A database in memory on which expressions are tried; it reaches no file."""
    return duckdb.connect(config={"enable_external_access": "false"})


@contextmanager
def _typed(fields: Mapping[str, FieldRule]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with an empty table of the contract's fields, as a rule sees them."""
    columns = ", ".join(f'"{name}" {DUCK_TYPES[rule.type]}' for name, rule in fields.items())
    with _judge().cursor() as connection:
        connection.execute(f"create or replace temp table {_TYPED} ({columns}, {CLOCK} timestamp)")
        yield connection


@lru_cache(maxsize=1)
def _changing() -> frozenset[str]:
    """Functions that do not give the same for the same record: the clock, chance, settings, sequences."""
    rows = (
        _judge()
        .cursor()
        .execute(
            "select function_name from duckdb_functions() where function_type = 'scalar'"
            " group by function_name having bool_or(stability <> 'CONSISTENT')"
        )
    )
    return frozenset(str(row[0]) for row in rows.fetchall()) | {
        "current_time", "current_timestamp", "localtime", "localtimestamp", "getenv",
    }  # fmt: skip


def _check_expression(
    where: str, text: str, fields: Mapping[str, FieldRule], typed: duckdb.DuckDBPyConnection
) -> None:
    """A rule is one boolean expression over the record's own fields: no subquery, no other name, nothing
    that changes from one call to the next."""
    names = frozenset({*fields, CLOCK})
    try:
        tree = sqlglot.parse_one(f"select {text}", dialect="duckdb")
        tokens = sqlglot.tokenize(text, dialect="duckdb")
    except sqlglot.errors.SqlglotError as error:
        raise Mistake(where, f"not SQL: {text!r}", "mend the expression") from error
    if (
        not isinstance(tree, exp.Select)
        or len(list(tree.find_all(exp.Select))) > 1
        or len(tree.expressions) != 1
        or isinstance(tree.expressions[0], exp.Alias | exp.Star)
        or {key for key, value in tree.args.items() if value} - {"expressions", "kind"}
    ):
        raise Mistake(where, f"more than one expression: {text!r}", "one condition per rule")
    for column in tree.find_all(exp.Column):
        if column.name not in names:
            raise Mistake(where, f"unknown field '{column.name}'", nearest(column.name, names))
    for token in tokens:
        if token.text.lower() in _changing() and token.text.lower() not in names:
            raise Mistake(
                where, f"'{token.text}' is not the same in every run", f"use {CLOCK} for the site's clock"
            )
    try:
        row = typed.execute(f"describe select ({text}\n) from {_TYPED} where ({text}\n)").fetchone()  # noqa: S608
    except duckdb.Error as error:
        hint = re.search(r'Did you mean "([^"]+)"', str(error))
        raise Mistake(
            where,
            f"{text!r}: {_plain(error)}",
            f"did you mean '{hint[1]}'?" if hint else "mend the expression",
        ) from error
    if row is None or row[1] != "BOOLEAN":
        kind = "nothing" if row is None else str(row[1]).lower()
        raise Mistake(where, f"{text!r} gives {kind}, no yes or no", "compare it with something")


def _plain(error: duckdb.Error) -> str:
    """DuckDB's own words, without the kind of error and the picture of the statement."""
    first = str(error).splitlines()[0]
    return first.partition(" Error: ")[2] or first
