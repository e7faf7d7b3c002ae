"""A site small enough to see, loaded once per process and copied for each test: two places, and visits of which
one row was kept and three wait in quarantine."""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path

from pipelines.contract import OURS, Contract, read_contract
from pipelines.load import load_once
from warehouse.site import Site, load_site
from warehouse.store import Store

PLACES = """区划代码,上级代码,层级,名称,英文名称,更新时间
43,,县,甲县,Jia,2024-01-01
431,43,乡镇,乙镇,Yi,2024-01-01
"""
NEW_PLACE = PLACES + "432,43,乡镇,丙镇,Bing,2024-01-02\n"
VISITS = """走访编号,所属网格,户编号,走访结果,走访时间,更新时间,户主
V1,431,H1,正常,2024-05-01,2024-05-01,张三
V2,432,H2,正常,2024-05-02,2024-05-02,李四
V3,431,H3,很好,2024-05-32,2024-05-03,王五
V4,431,H4,正常,2024-05-04
"""
"""V2 names a place not yet known, V3 has an unknown result and an impossible day, V4 is cut short."""
CONTRACT = """
base = "visits"
[files]
match = ["visits*.csv"]
quarantine = "{quarantine}"
[fields.visit_id]
[fields.place]
[fields.household_key]
[fields.result]
[fields.visited_at]
[fields.updated_at]
"""
SITE = 'home = "43"\n[name]\nzh = "甲县"\nen = "Jia"\n'

_KEPT: list[tempfile.TemporaryDirectory[str]] = []
"""Lives as long as the process."""


def office(folder: Path, extra: str = "") -> Site:
    """A copy of the loaded site; `extra` stands at the head of its site.toml."""
    shutil.copytree(_template(), folder)
    (folder / "site.toml").write_text(f"{extra}\n{SITE}", encoding="utf-8")
    return load_site(folder)


def contract(site: Site, text: str = CONTRACT, quarantine: str = "loaded") -> None:
    (site.sources / "visits.toml").write_text(text.format(quarantine=quarantine), encoding="utf-8")


def known(site: Site) -> dict[str, Contract]:
    """The two contracts in use: reading all of ours takes longer than what the tests do with them."""
    return {"places": _ours("places"), "visits": read_contract(site.sources / "visits.toml")}


@cache
def _ours(name: str) -> Contract:
    return read_contract(OURS / f"{name}.toml")


def drop(site: Site, store: Store, name: str, text: str) -> None:
    """Put a file in the inbox and load what is there."""
    (site.inbox / name).write_text(text, encoding="utf-8")
    load_once(site, store, known=known(site))


def places(site: Site) -> int:
    """How many places the current version knows."""
    from warehouse.version import current

    return int(current(site).rows("select count(*) from places")[0][0])


@cache
def _template() -> Path:
    _KEPT.append(tempfile.TemporaryDirectory())
    folder = Path(_KEPT[-1].name) / "site"
    (folder / "inbox").mkdir(parents=True)
    (folder / "sources").mkdir()
    (folder / "site.toml").write_text(SITE, encoding="utf-8")
    site = load_site(folder)
    contract(site)
    with Store.open(site) as store:
        drop(site, store, "places.csv", PLACES)
        drop(site, store, "visits.csv", VISITS)
    return folder
