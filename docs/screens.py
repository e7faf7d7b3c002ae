"""Takes the screenshots of README and docs from a running demo made for the purpose: `make screens`.

Everything in them is real: the demo's files are made, loaded, fed and served, and a browser looks at them.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import pypdfium2
from playwright.sync_api import Page, sync_playwright

OUT = Path(__file__).parent / "screens"
PORT = 8699
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
]
PAGES = (
    "overview",
    "agenda",
    "cases",
    "petitions",
    "duties",
    "meetings",
    "needs",
    "teams",
    "hotspots",
    "data",
    "measures",
)


SCENES = ("hotspots", "petitions")
"""Scenes of the wall to look at besides its overview."""


def main() -> None:
    """Make the demo, look at every page in both languages at two sizes, print the Overview, end the demo."""
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        demo = subprocess.Popen(
            [sys.executable, "-m", "nerve.cli", "demo", "--site", str(site), "--port", str(PORT)]
        )
        try:
            _until_served(demo)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
                page = browser.new_page(viewport={"width": 1920, "height": 1080})
                for lang in ("zh", "en"):
                    _shoot(page, f"wall?lang={lang}", f"wall_{lang}", "text.w-label, .w-feed, svg", 5)
                    for name in SCENES:
                        _shoot(page, f"wall?lang={lang}&scenes={name}", f"wall_{name}_{lang}", ".tile", 5)
                    for name in PAGES:
                        _shoot(page, f"{name}?lang={lang}", f"{name}_{lang}", ".n-card", 2)
                page.set_viewport_size({"width": 1366, "height": 768})
                _shoot(page, "wall?lang=zh", "wall_zh_1366", "svg", 5)
                _shoot(page, "overview?lang=en", "overview_en_1366", ".n-card", 2)
                browser.close()
            for lang in ("zh", "en"):
                _print(site, lang)
        finally:
            demo.send_signal(signal.SIGINT)
            demo.wait(timeout=30)


def _until_served(demo: subprocess.Popen[bytes]) -> None:
    while demo.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise SystemExit("the demo ended before it served")


def _shoot(page: Page, path: str, name: str, shown: str, settle: float) -> None:
    page.goto(f"http://127.0.0.1:{PORT}/{path}")
    page.locator(shown).first.wait_for(state="attached")
    page.wait_for_timeout(settle * 1000)
    page.screenshot(path=OUT / f"{name}.png")


def _print(site: Path, lang: str) -> None:
    pdf = site / f"overview_{lang}.pdf"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "nerve.cli",
            "report",
            "overview",
            "--site",
            str(site),
            "--lang",
            lang,
            "--out",
            str(pdf),
        ],
        check=True,
    )
    document = pypdfium2.PdfDocument(pdf)
    document[0].render(scale=1.6).to_pil().save(OUT / f"brief_{lang}.png")


if __name__ == "__main__":
    main()
