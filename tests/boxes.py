"""Where the text of a PDF stands and how large it is: for tests that nothing is too small, overlaps or is cut off."""

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass

import pypdfium2 as pdfium
from pypdfium2 import raw


@dataclass(frozen=True)
class Run:
    """One run of glyphs: its ink from `left`, `bottom` to `right`, `top` in points, and its size in points."""

    page: int
    text: str
    size: float
    left: float
    bottom: float
    right: float
    top: float

    def overlaps(self, other: Run, slack: float = 0.6) -> bool:
        return (
            min(self.right, other.right) - max(self.left, other.left) > slack
            and min(self.top, other.top) - max(self.bottom, other.bottom) > slack
        )


def runs(pdf: bytes) -> tuple[list[Run], list[tuple[float, float]]]:
    """All level runs of text of a PDF, and the sizes of its pages. What stands aslant is a watermark and left out."""
    found: list[Run] = []
    sizes: list[tuple[float, float]] = []
    document = pdfium.PdfDocument(pdf)
    for number, page in enumerate(document, start=1):
        sizes.append(page.get_size())
        text = page.get_textpage()
        for thing in page.get_objects(filter=[raw.FPDF_PAGEOBJ_TEXT], max_depth=8):
            a, b, c, *_ = thing.get_matrix().get()
            if abs(b) > 1e-6 or abs(c) > 1e-6:
                continue
            size = ctypes.c_float()
            raw.FPDFTextObj_GetFontSize(thing.raw, ctypes.byref(size))
            length = raw.FPDFTextObj_GetText(thing.raw, text.raw, None, 0)
            buffer = ctypes.create_string_buffer(max(2, length))
            raw.FPDFTextObj_GetText(
                thing.raw, text.raw, ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)), length
            )
            said = buffer.raw[: max(0, length - 2)].decode("utf-16-le", errors="replace")
            left, bottom, right, top = thing.get_bounds()
            if said.strip() and right > left and top > bottom:
                found.append(Run(number, said, size.value * math.hypot(a, b), left, bottom, right, top))
    return found, sizes


def faults(pdf: bytes, least: float) -> list[str]:
    """What is wrong with the text of a PDF: smaller than `least` points, beyond the page, or over other text."""
    found, sizes = runs(pdf)
    out: list[str] = []
    for run in found:
        width, height = sizes[run.page - 1]
        if run.size < least - 0.01:
            out.append(f"page {run.page}: {run.text!r} has {run.size:.1f} pt")
        if run.left < 0 or run.bottom < 0 or run.right > width or run.top > height:
            out.append(f"page {run.page}: {run.text!r} reaches beyond the page")
    by_page: dict[int, list[Run]] = {}
    for run in found:
        by_page.setdefault(run.page, []).append(run)
    for number, of_page in by_page.items():
        of_page.sort(key=lambda run: run.left)
        for i, run in enumerate(of_page):
            for other in of_page[i + 1 :]:
                if other.left >= run.right:
                    break
                if run.overlaps(other):
                    out.append(f"page {number}: {run.text!r} overlaps {other.text!r}")
    return out
