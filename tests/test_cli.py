"""What a person meets at the command line: answers as JSON, and every mistake in one line with exit code 2."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from pypdf import PdfReader

from dashboard.figures import tiles
from dashboard.view import view_of
from warehouse.site import Site
from warehouse.version import current
from warehouse.viewer import Viewer

EXAMPLES = Path(__file__).parent.parent / "examples"


def nerve(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nerve.cli", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def mistake(*arguments: str | Path) -> str:
    """The one line a wrong call prints."""
    done = nerve(*arguments)
    assert done.returncode == 2, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


def test_a_missing_site_file_is_one_line_with_its_remedy(tmp_path: Path) -> None:
    line = mistake("status", "--site", tmp_path)
    assert "site.toml" in line
    assert "nerve demo" in line


def test_a_misspelt_key_is_named_with_the_nearest_right_one(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(
        'home = "1"\ntimezon = "Asia/Shanghai"\n[name]\nzh = "某县"\nen = "A county"\n', encoding="utf-8"
    )
    line = mistake("status", "--site", tmp_path)
    assert "unknown key 'timezon'" in line
    assert "did you mean 'timezone'?" in line


def test_a_site_file_that_is_no_toml_names_the_place(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text("home = ", encoding="utf-8")
    assert "not valid TOML" in mistake("load", "--site", tmp_path)


def test_nothing_published_yet_says_what_to_run(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(
        'home = "1"\n[name]\nzh = "某县"\nen = "A county"\n', encoding="utf-8"
    )
    assert "nerve load" in mistake("status", "--site", tmp_path)


def test_a_malformed_contract_names_file_and_key_and_the_last_version_stays(
    small_site: Site, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    shutil.copytree(small_site.folder, site)
    (site / "sources").mkdir(exist_ok=True)
    (site / "sources" / "cases.toml").write_text('base = "cases"\nlabell = 1\n', encoding="utf-8")
    line = mistake("load", "--site", site)
    assert "cases.toml" in line
    assert "labell" in line
    assert nerve("status", "--site", site, "--json").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["closing_rat"], "did you mean 'closing_rate'?"),
        (["closing_rate", "--scope", "999999"], "999999"),
        (["closing_rate", "--from", "2026-02-01", "--to", "2026-01-01"], "ends 2026-01-01 before it starts"),
        (["closing_rate", "--from", "2026-13-01"], "is not a date"),
        (["closing_rate", "--by", "moon"], "moon"),
        (["closing_rate", "--compare", "yaer"], "did you mean 'year'?"),
        (["closing_rate", "--compare", "2025-01-01..2025-02-30"], "is not two dates"),
        (["closing_rate", "--compare", "2025-03-01..2025-02-01"], "ends 2025-02-01 before it starts"),
        (["closing_rate", "--compare", "year", "--by", "month"], "cannot compare by month"),
    ],
)
def test_a_wrong_question_is_one_line(small_site: Site, arguments: list[str], named: str) -> None:
    assert named in mistake("value", *arguments, "--site", small_site.folder)


def test_an_unknown_page_names_the_nearest(small_site: Site, tmp_path: Path) -> None:
    line = mistake("report", "overvew", "--site", small_site.folder, "--out", tmp_path / "x.pdf")
    assert "did you mean 'overview'?" in line


def test_a_port_in_use_is_named_with_another(small_site: Site) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        line = mistake("serve", "--site", small_site.folder, "--port", str(port))
    assert f"port {port}" in line
    assert "--port" in line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_stopped_by_a_signal_ends_its_server(small_site: Site, number: signal.Signals) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "nerve.cli",
        "serve",
        "--site",
        str(small_site.folder),
        "--port",
        str(port),
    ]
    serving = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, text=True)
    assert serving.stdout is not None
    assert serving.stdout.readline().strip() == f"http://127.0.0.1:{port}"
    serving.send_signal(number)
    serving.communicate(timeout=20)
    with pytest.raises(ProcessLookupError):
        os.killpg(serving.pid, 0)


def test_status_accounts_for_every_row(small_site: Site) -> None:
    answer = json.loads(nerve("status", "--site", small_site.folder, "--json").stdout)
    assert answer["version"].startswith("v")
    names = {source["source"] for source in answer["sources"]}
    assert {
        "places",
        "cases",
        "petitions",
        "surveys",
        "visits",
        "patrols",
        "responses",
        "meetings",
        "work_items",
    } <= names
    for source in answer["sources"]:
        assert source["read"] == source["kept"] + source["quarantined"], source


def test_value_answers_with_counts_unit_status_and_version(small_site: Site) -> None:
    done = nerve(
        "value", "closing_rate", "--site", small_site.folder, "--from", "2026-01-01", "--to", "2026-03-31",
        "--by", "month", "--json",
    )  # fmt: skip
    rows = json.loads(done.stdout)
    assert [row["period"] for row in rows] == [
        "2026-01-01/2026-01-31", "2026-02-01/2026-02-28", "2026-03-01/2026-03-31",
    ]  # fmt: skip
    for row in rows:
        assert set(row) == {
            "place",
            "period",
            "value",
            "numerator",
            "denominator",
            "status",
            "reason",
            "definition",
            "unit",
            "version",
        }
        assert row["value"] == row["numerator"] / row["denominator"]
        assert row["status"] == "value"


@pytest.mark.parametrize(
    ("measure", "compare"), [("on_time_closing_rate", "both"), ("cases_reported", "2025-01-10..2025-01-19")]
)
def test_a_change_at_the_command_line_is_that_of_the_tile(
    small_site: Site, measure: str, compare: str
) -> None:
    params = {"from": "2026-02-01", "to": "2026-03-31", "compare": compare, "lang": "en"}
    (tile,) = tiles(view_of(small_site, current(small_site), Viewer(small_site.home), params), (measure,))
    done = nerve(
        "value", measure, "--site", small_site.folder, "--from", params["from"], "--to", params["to"],
        "--compare", compare, "--json",
    )  # fmt: skip
    changes = json.loads(done.stdout)[0]["changes"]
    assert len(changes) == len(tile.changes) == (2 if compare == "both" else 1)
    for one, shown in zip(changes, tile.changes, strict=True):
        assert (one["change"], one["said"], one["real"]) == (shown.text, shown.said, shown.real)


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("page", ["overview", "petitions", "meetings", "hotspots", "data"])
def test_every_page_but_the_wall_prints_in_both_languages(
    small_site: Site, tmp_path: Path, page: str, lang: str
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    for name in ("site.toml", "warehouse"):
        (site / name).symlink_to(small_site.folder / name)
    out = tmp_path / f"{page}.pdf"
    done = nerve("report", page, "--site", site, "--lang", lang, "--out", out)
    assert done.returncode == 0, done.stderr
    text = "".join(p.extract_text() for p in PdfReader(out).pages)
    assert ("演示合成数据" if lang == "zh" else "Synthetic demo data") in text.replace("\n", "")


def test_the_wall_is_not_printed(small_site: Site, tmp_path: Path) -> None:
    assert "not printed" in mistake(
        "report", "wall", "--site", small_site.folder, "--out", tmp_path / "w.pdf"
    )


def test_a_file_that_is_no_table_is_refused_in_one_line_and_the_rest_loads(tmp_path: Path) -> None:
    site = boston(tmp_path)
    (site / "inbox" / "boston311_2.csv").write_bytes(b"\x00\x01\x02 no table at all")
    done = nerve("load", "--site", site)
    assert done.returncode == 2
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("nerve: boston311_2.csv: ")
    assert "drop it again" in line
    assert (site / "refused" / "boston311_2.csv").read_bytes() == b"\x00\x01\x02 no table at all"
    answer = json.loads(nerve("status", "--site", site, "--json").stdout)
    assert {s["source"]: s["read"] for s in answer["sources"] if s["read"]} == {"places": 23, "cases": 2000}


def test_a_bad_row_is_set_aside_with_all_its_reasons_and_the_rest_of_the_file_loads(tmp_path: Path) -> None:
    site = boston(tmp_path)
    nerve("load", "--site", site)
    source = (site / "data" / "boston311.csv").read_text(encoding="utf-8").splitlines()[0]
    cells = dict.fromkeys(source.split(","), "")
    good = {**cells, "CASE_ENQUIRY_ID": "900000000001", "OPEN_DT": "2022-05-01 08:00:00",
            "CLOSED_DT": "2022-05-02 09:00:00", "CASE_STATUS": "Closed",
            "neighborhood": "Back Bay", "Source": "Constituent Call", "SUBJECT": "Public Works Department",
            "REASON": "Street Lights"}  # fmt: skip
    bad = {**good, "CASE_ENQUIRY_ID": "900000000002", "OPEN_DT": "2022-13-45", "neighborhood": "Atlantis"}
    lines = [source, *(",".join(row[name] for name in source.split(",")) for row in (good, bad))]
    (site / "inbox" / "boston311_may.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = nerve("load", "--site", site)
    assert done.returncode == 0, done.stderr
    assert "2 read = 1 kept + 1 quarantined" in done.stdout
    cases = next(
        s
        for s in json.loads(nerve("status", "--site", site, "--json").stdout)["sources"]
        if s["source"] == "cases"
    )
    assert cases["reasons"]["type:reported_at"] == 1
    assert cases["reasons"]["refers:place"] == 1


def test_a_warehouse_of_a_newer_schema_is_one_line_and_untouched(tmp_path: Path) -> None:
    site = boston(tmp_path)
    nerve("load", "--site", site)
    manifest = next((site / "warehouse" / "versions").glob("*/manifest.json"))
    newer = {**json.loads(manifest.read_text(encoding="utf-8")), "schema_number": 99}
    manifest.write_text(json.dumps(newer), encoding="utf-8")
    line = mistake("status", "--site", site)
    assert "schema 99 is newer" in line
    assert json.loads(manifest.read_text(encoding="utf-8")) == newer


def boston(tmp_path: Path) -> Path:
    """A fresh copy of the worked example with its files in the inbox."""
    site = tmp_path / "boston"
    shutil.copytree(EXAMPLES / "boston", site)
    (site / "inbox").mkdir()
    for path in (site / "data").glob("*.csv"):
        shutil.copy(path, site / "inbox")
    return site
