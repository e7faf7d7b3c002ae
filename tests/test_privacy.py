"""Privacy at the door: 10,000 planted identifiers, and not one of them behind it.

Every contract's files are made in every form with persons' names after the usual cues, phones, ID and card
numbers in every text field, in columns that are not loaded, in cells that make a row fail, and in records that
are broken; then everything that loading leaves behind is searched: every table, every byte, every log, export
and answer. Names free in text are not promised; what the inbox, the archive and `refused/` hold is the files
themselves.
"""

from __future__ import annotations

import csv
import functools
import io
import json
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter
from typer.testing import CliRunner

from nerve.cli import app
from pipelines.contract import OURS, Contract, FieldRule, contracts
from pipelines.privacy import site_key
from pipelines.run import load
from pipelines.sealing import is_sealed, unseal
from warehouse.site import Site, load_site
from warehouse.store import Store

FORMS = ("csv", "xlsx", "ndjson", "parquet")
PLANTED = 10_000
CUES = (
    "来电人:",
    "反映人:",
    "申请人:",
    "投诉人:",
    "我叫",
    "姓名:",
    "姓名 ",
    "姓 名：",
    "姓　名:",
    "联系人:",
    "户主:",
    "审核人:",
    "填表人:",
    "姓名为",
    "制表人:",
)
NAME_COLUMNS = ("姓名", "户主", "联系人")
SURNAMES = "翀彧犇燊昶曌喆赟頔珺"
GIVEN = "曈玥煊琮霁甯翊沄晞旻筠岚"

PLACES = "区划代码,上级代码,层级,名称,英文名称,更新时间\n43,,县,甲县,Jia,2024-01-01\n431,43,乡镇,乙镇,Yi,2024-01-01\n"


# -- what is planted --------------------------------------------------------------------------------------


@dataclass
class Planted:
    """Identifiers as they were planted (`digits` without blanks and hyphens, half-width)."""

    random: random.Random
    digits: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    count: int = 0

    def phone(self) -> str:
        digits = f"1{self.random.randint(30, 99)}{self.random.randint(0, 99_999_999):08d}"
        shapes = (
            "{0}{1}{2}",
            "{0} {1} {2}",
            "{0}-{1}-{2}",
            "+86 {0}{1}{2}",
            "86-{0}-{1}-{2}",
            "+86{0}{1}{2}",
        )
        return self._written(digits, self.random.choice(shapes).format(digits[:3], digits[3:7], digits[7:]))

    def landline(self) -> str:
        area = self.random.choice(("0746", "010", "0731", "021"))
        number = str(self.random.randint(2_000_000, 89_999_999))
        shape = self.random.choice(("{0}-{1}", "{0}{1}", "{0} {1}"))
        return self._written(area + number, shape.format(area, number))

    def id_number(self) -> str:
        body = f"431122{self.random.randint(1940, 2015)}{self.random.randint(1, 12):02d}"
        body += f"{self.random.randint(1, 28):02d}{self.random.randint(0, 999):03d}"
        weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
        body += "10X98765432"[sum(w * int(d) for w, d in zip(weights, body, strict=True)) % 11]
        shape = self.random.choice(("{0}", "{0}", "{1} {2} {3}"))
        return self._written(body, shape.format(body, body[:6], body[6:14], body[14:]))

    def card(self) -> str:
        body = "62" + "".join(str(self.random.randint(0, 9)) for _ in range(self.random.choice((13, 16))))
        doubled = [
            sum(divmod(2 * int(d), 10)) if at % 2 == 0 else int(d) for at, d in enumerate(reversed(body))
        ]
        body += str(-sum(doubled) % 10)
        spaced = " ".join(body[at : at + 4] for at in range(0, len(body), 4))
        return self._written(body, self.random.choice((body, spaced)))

    def name(self) -> str:
        name = self.random.choice(SURNAMES) + "".join(
            self.random.choice(GIVEN) for _ in range(self.random.choice((1, 2)))
        )
        if self.random.random() < 0.1:
            # Names of some peoples have two parts.
            name += self.random.choice("·•") + "".join(self.random.choice(GIVEN) for _ in range(3))
        self.names.add(name)
        self.count += 1
        return name

    def number(self) -> str:
        return self.random.choice((self.phone, self.phone, self.landline, self.id_number, self.card))()

    def text(self) -> str:
        """Free text with a name after a cue and a number."""
        cue = self.random.choice(CUES)
        return f"{cue}{self.name()},电话{self.number()},卡号:{self.card()}。"

    def _written(self, digits: str, text: str) -> str:
        self.digits.add(digits.upper())
        self.count += 1
        if self.random.random() < 0.2:
            text = "".join(chr(ord(sign) + 0xFEE0) if "0" <= sign <= "9" else sign for sign in text)
        return text


# -- files of every contract and form ---------------------------------------------------------------------


def good_cell(rule: FieldRule, key: str, minute: int) -> str:
    """A value that the field's own rules accept; times in the order of the fields."""
    if rule.role == "key":
        return key
    if rule.refers:
        return "431"
    if rule.choices:
        return rule.choices[0].code
    if rule.type == "code":
        return "K-0001" if rule.required else ""
    kinds = {
        "int": "1",
        "float": "1",
        "bool": "是",
        "date": "2026-01-05",
        "time": f"2026-01-05 08:{minute:02d}",
    }
    return kinds[rule.type]


def can_fail(rule: FieldRule) -> bool:
    """Whether words that stand where they do not belong fail the field's rules. A code without a pattern is what
    its contract says it is."""
    judged = rule.choices or rule.refers or rule.pattern is not None
    return rule.privacy is None and (bool(judged) or rule.type not in ("code", "text"))


def free_text(rule: FieldRule) -> bool:
    """Text that people write; a field with a pattern, or the figure of a place, is none."""
    return rule.type == "text" and rule.pattern is None and rule.headings[:1] != ("示意图形",)


def records_of(contract: Contract, form: str, planted: Planted, rows: int) -> list[dict[str, str]]:
    """Records by heading: good ones, and for each field one that fails by it, all of them with identifiers."""
    fields = {name: rule for name, rule in contract.fields.items() if rule.mapped and rule.headings}
    hidden = [text for text in (*NAME_COLUMNS, "联系电话", "身份证号", "内容") if text in contract.drop]
    failing = [None] * rows + [name for name, rule in fields.items() if can_fail(rule)]
    out = []
    for number, wrong in enumerate(failing):
        record = {}
        for minute, (name, rule) in enumerate(fields.items()):
            if free_text(rule):
                cell = planted.text()
            elif rule.privacy == "pseudonym":
                cell = planted.id_number()
            elif rule.type == "text":
                cell = ""
            elif name == wrong:
                cell = planted.text()
            else:
                cell = good_cell(rule, f"{contract.name[:4]}-{form}-{number:04d}", minute)
            record[rule.headings[0]] = cell
        for text in hidden:
            record[text] = planted.name() if text in NAME_COLUMNS else planted.number()
        record["别处的列"] = planted.text()
        out.append(record)
    return out


def write(path: Path, form: str, records: list[dict[str, str]], planted: Planted) -> None:
    headings = list(records[0])
    if form == "csv":
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(headings)
        writer.writerows(record.values() for record in records)
        short = [planted.text() for _ in headings][:-1]
        writer.writerow(short)
        writer.writerow([*short, planted.text(), planted.text(), planted.text()])
        path.write_text(out.getvalue(), encoding="utf-8")
    elif form == "ndjson":
        lines = [json.dumps(record, ensure_ascii=False) for record in records]
        broken = json.dumps(records[0], ensure_ascii=False)[:-5]
        path.write_text("\n".join([*lines, broken, json.dumps(planted.text())]) + "\n", encoding="utf-8")
    elif form == "parquet":
        pq.write_table(pa.Table.from_pylist(records), path)
    else:
        with xlsxwriter.Workbook(str(path), {"strings_to_formulas": False}) as book:
            sheet = book.add_worksheet()
            sheet.merge_range(0, 0, 0, len(headings) - 1, planted.text())
            for at, line in enumerate([headings, *(list(record.values()) for record in records)], start=1):
                for column, cell in enumerate(line):
                    sheet.write_string(at, column, cell)


def forms_of(contract: Contract) -> tuple[str, ...]:
    """Every form for a contract with free text; one of them for the others."""
    if any(free_text(rule) for rule in contract.fields.values()):
        return FORMS
    return (FORMS[len(contract.name) % len(FORMS)],)


def refused_files(contract: Contract, planted: Planted) -> dict[str, bytes]:
    """Files that no loader can trust; what it says of them must not quote them."""
    records = records_of(contract, "no", planted, 3)
    headings = ",".join(records[0])
    body = "\n".join(",".join(record.values()) for record in records)
    return {
        "headless": (body + "\n").encode(),
        "unclosed": f'{headings}\n"{body}\n'.encode(),
        "undecodable": f"{headings}\n{body}\n".encode("utf-16")[:-1],
        "cut": b"PK\x03\x04" + planted.text().encode(),
        "wrong": f"姓名,电话\n{planted.name()},{planted.number()}\n".encode(),
        "odd": f"{planted.text()}\n".encode() * 3,
    }


@dataclass(frozen=True)
class Loaded:
    site: Site
    planted: Planted
    sealed: bool
    sources: frozenset[str]


def make_site(folder: Path, sealed: bool, rows: int, only: frozenset[str]) -> Loaded:
    """A site with our own contracts, taking every form; all files are planted and loaded by the real loader."""
    (folder / "sources").mkdir(parents=True)
    (folder / "inbox").mkdir()
    (folder / "site.toml").write_text('home = "43"\n[name]\nzh = "甲县"\nen = "Jia"\n', encoding="utf-8")
    for path in OURS.glob("*.toml"):
        text = path.read_text(encoding="utf-8")
        quarantine = 'quarantine = "sealed"\n' if sealed else ""
        files = f'[files]\nmatch = ["{path.stem}.*"]\n{quarantine}'
        text, count = re.subn(r"\[files\]\n(?:.+\n)+", files, text)
        assert count == 1
        (folder / "sources" / path.name).write_text(text, encoding="utf-8")
    site = load_site(folder)
    planted = Planted(random.Random(20261122))
    (site.inbox / "places.start.csv").write_text(PLACES, encoding="utf-8")
    known = contracts(site)
    for name in sorted(only or known):
        for form in forms_of(known[name]):
            records = records_of(known[name], form, planted, rows)
            write(site.inbox / f"{name}.{form}.{form}", form, records, planted)
    for kind, content in refused_files(known["cases"], planted).items():
        (site.inbox / f"cases.{kind}.csv").write_bytes(content)
    load(site)
    return Loaded(site, planted, sealed, only or frozenset(known))


@pytest.fixture(scope="module", params=[False, True], ids=["loaded columns", "sealed rows"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    sealed: bool = request.param
    some = frozenset({"cases", "visits", "work_items"}) if sealed else frozenset[str]()
    return make_site(tmp_path_factory.mktemp("privacy") / "site", sealed, 4 if sealed else 16, some)


# -- the search -------------------------------------------------------------------------------------------

_WIDE = {0xFEE0 + ord(sign): sign for sign in "0123456789Xx"}
_GAPS = re.compile(r"(?<=[0-9])[ \t()()-]{1,2}(?=[0-9Xx])")
_RUNS = re.compile(r"[0-9]{9,}[Xx]?")
_HAN = re.compile(f"[{SURNAMES}{GIVEN}]{{2,}}")


def found_in(text: str, planted: Planted) -> set[str]:
    """The planted identifiers that stand in a text, however their digits are written and spaced."""
    out = {
        name
        for run in _HAN.findall(text)
        for size in (2, 3)
        for at in range(len(run) - size + 1)
        if (name := run[at : at + size]) in planted.names
    }
    for run in _RUNS.findall(_GAPS.sub("", text.translate(_WIDE))):
        run = run.upper()
        for size in (10, 11, 12, 16, 18, 19):
            out |= {run[at : at + size] for at in range(len(run) - size + 1)} & planted.digits
    return out


def shown(leaks: Mapping[str, set[str]]) -> list[str]:
    return [
        f"{where}: {len(what)}, such as {sorted(what)[:3]}" for where, what in sorted(leaks.items()) if what
    ]


def tables(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, str]]:
    """(table.column, all its values as text)."""
    for table, column in connection.execute(
        "select table_name, column_name from duckdb_columns() where not internal and database_name = current_database()"
    ).fetchall():
        query = f'select distinct "{column}"::varchar from "{table}" where "{column}" is not null'
        yield f"{table}.{column}", "\n".join(row[0] for row in connection.execute(query).fetchall())


def kept_files(site: Site) -> Iterable[Path]:
    """All files but the offices' own."""
    for path in sorted(site.folder.rglob("*")):
        top = path.relative_to(site.folder).parts[0]
        own = top in ("archive", "inbox") or (top == "refused" and not path.name.endswith(".reason.txt"))
        if path.is_file() and not own:
            yield path


def without_seals(text: str) -> str:
    """Base64 is no text: what it spells by chance is no leak."""
    return re.sub(r"s1:[A-Za-z0-9+/=]+", "", text)


def test_the_search_finds_every_identifier_that_was_planted() -> None:
    """An oracle that found nothing would pass every test below."""
    planted = Planted(random.Random(1))
    for _ in range(500):
        text = f"〔{planted.text()}〕{planted.number()}"
        assert len(found_in(text, planted)) >= 3
    assert found_in("2026-01-05 08:00:00,43112220260105,甲县乙镇", planted) == set()


def test_all_the_promised_identifiers_were_planted_and_every_contract_and_form_kept_and_quarantined_rows(
    loaded: Loaded,
) -> None:
    assert loaded.planted.count >= (PLANTED if not loaded.sealed else PLANTED // 5)
    with Store.open(loaded.site) as store:
        accounts = {
            (source, form): (kept, quarantined)
            for source, form, kept, quarantined in store.connection.execute(
                "select source, split_part(file, '.', 2), sum(kept), sum(quarantined) from batches"
                " where refused is null group by all"
            ).fetchall()
        }
        reasons = {
            row[0]
            for row in store.connection.execute(
                "select distinct split_part(unnest(reasons), ':', 1) from quarantine"
            ).fetchall()
        }
        refused = store.connection.execute(
            "select count(*) from batches where refused is not null"
        ).fetchone()
    known = contracts(loaded.site)
    for name in loaded.sources:
        for form in forms_of(known[name]):
            kept, quarantined = accounts[name, form]
            assert kept > 0, (name, form)
            assert quarantined > 0, (name, form)
    assert {"type", "choice", "refers", "columns", "json"} <= reasons
    assert refused is not None and refused[0] >= 6


def test_no_identifier_is_in_any_table(loaded: Loaded) -> None:
    leaks: dict[str, set[str]] = {}
    site = loaded.site
    databases = [site.warehouse / "loader.duckdb", *site.warehouse.glob("versions/*/marts.duckdb")]
    for path in databases:
        with duckdb.connect(str(path), read_only=True) as connection:
            for column, text in tables(connection):
                leaks[f"{path.name} {column}"] = found_in(without_seals(text), loaded.planted)
    for path in site.warehouse.glob("records/*/*.parquet"):
        table = pq.read_table(path)
        for column in table.column_names:
            text = "\n".join(str(value) for value in table[column].unique().to_pylist())
            leaks[f"{path.parent.name} {column}"] = found_in(text, loaded.planted)
    assert shown(leaks) == []


def test_no_identifier_is_in_any_byte_outside_the_offices_own_files(loaded: Loaded) -> None:
    leaks = {
        str(path.relative_to(loaded.site.folder)): found_in(
            without_seals(path.read_bytes().decode("utf-8", errors="replace")), loaded.planted
        )
        for path in kept_files(loaded.site)
    }
    assert len(leaks) > 15
    assert shown(leaks) == []


def test_no_identifier_is_in_any_answer_of_the_command_line_or_in_any_export(
    loaded: Loaded, tmp_path: Path
) -> None:
    site = str(loaded.site.folder)
    runner = CliRunner()
    leaks: dict[str, set[str]] = {}
    for command in (
        "status --json",
        "quarantine list --json --limit 100000",
        "quarantine list --lang en",
        "quarantine list",
        "batches --json --last 100000",
        "doctor --json",
        "value cases_reported --json",
    ):
        done = runner.invoke(app, [*command.split(), "--site", site])
        assert done.output, command
        leaks[command] = found_in(done.output, loaded.planted)
    for name in ("out.csv", "out.xlsx"):
        done = runner.invoke(app, ["quarantine", "export", "--out", str(tmp_path / name), "--site", site])
        assert done.exit_code == 0, done.output
    exports = sorted(tmp_path.iterdir())
    assert len(exports) == 2 * len(loaded.sources)
    for path in exports:
        leaks[path.name] = found_in(text_of(path), loaded.planted)
    assert shown(leaks) == []


def test_a_sealed_row_is_ciphertext_that_the_sites_key_opens(loaded: Loaded) -> None:
    if not loaded.sealed:
        pytest.skip("rows of this site are not sealed")
    key = site_key(loaded.site)
    with Store.open(loaded.site) as store:
        held = store.connection.execute(
            "select raw, source, file from quarantine where raw is not null"
        ).fetchall()
    assert len(held) > 100
    assert all(is_sealed(raw) for raw, _, _ in held)
    opened = "\n".join(unseal(key, raw) for raw, _, _ in held)
    # They hold what the source wrote, its columns that are not loaded too.
    assert len(found_in(opened, loaded.planted)) > 500
    with pytest.raises(Exception, match=r"secret\.key"):
        unseal(bytes(32), held[0][0])


def text_of(path: Path) -> str:
    """A workbook's cells as text; another file as it is."""
    if path.suffix != ".xlsx":
        return path.read_text(encoding="utf-8-sig")
    from python_calamine import CalamineWorkbook

    with CalamineWorkbook.from_path(str(path)) as book:
        sheets = [book.get_sheet_by_name(name).to_python() for name in book.sheet_names]
    return "\n".join(
        functools.reduce(lambda text, cell: f"{text}\t{cell}", row, "") for sheet in sheets for row in sheet
    )
