"""What all tests share: one small demo site, loaded once per run, the full demo, and a Chromium.

The sites are shared by the workers of a run, so they are read-only: a test that changes one copies it first.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Literal

import pytest

from pipelines.demo import write_demo
from pipelines.load import load_once
from warehouse.site import Site, load_site
from warehouse.store import Store

UNTIL = date(2026, 6, 30)
"""The last day of the tests' data, whatever today is."""
SEED = 20260101


@pytest.fixture(scope="session")
def small_site(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Site:
    """Two townships, about 30,000 records in 24 months to `UNTIL`, loaded and published."""
    return _shared(tmp_path_factory, worker_id, "small-site", lambda folder: _make(folder, "small"))


@pytest.fixture(scope="session")
def full_site(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Site:
    """The whole demo: 15 townships, about 480,000 records. Made only where a test asks for it."""
    return _shared(tmp_path_factory, worker_id, "full-site", lambda folder: _make(folder, "full"))


@pytest.fixture(scope="session")
def houqiao_site(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Site:
    """Houqiao, a town of nine communities: three nets, about 25,000 records."""
    return _shared(
        tmp_path_factory, worker_id, "houqiao-site", lambda folder: _make(folder, "full", "houqiao")
    )


@pytest.fixture(scope="session")
def tianmushan_site(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Site:
    """Tianmushan, a subdistrict of 22 communities, one of them cut into micro-grids: about 37,000 records."""
    return _shared(
        tmp_path_factory, worker_id, "tianmushan-site", lambda folder: _make(folder, "full", "tianmushan")
    )


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The browser of the browser tests: the system's, else Playwright's own."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found is not None:
            return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    assert Path(path).is_file(), "no Chromium: run 'bash tests/browser.sh'"
    return path


def _make(folder: Path, scale: Literal["small", "full"], place: str = "dongan") -> None:
    write_demo(folder, place=place, seed=SEED, until=UNTIL, scale=scale)
    site = load_site(folder)
    with Store.open(site) as store:
        load_once(site, store)


def _shared(factory: pytest.TempPathFactory, worker: str, name: str, make: Callable[[Path], None]) -> Site:
    """A site folder made once per run: by whichever worker comes first, while the others wait."""
    base = factory.getbasetemp()
    root = base if worker == "master" else base.parent
    folder, done = root / name, root / f"{name}.done"
    with _alone(root / f"{name}.lock"):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # a worker that failed half way
            folder.mkdir()
            make(folder)
            done.touch()
    return load_site(folder)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
