"""Laying out a map block in a box of pixels: one scale, north up, labels that do not touch."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.blocks import Map, Shape

Ring = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Label:
    """A text centred on (x, y), pixels from the top left."""

    text: str
    x: float
    y: float


@dataclass(frozen=True)
class Mark:
    """A numbered hotspot: its number, centre and the radius that goes round its cell."""

    number: str
    x: float
    y: float
    r: float


@dataclass(frozen=True)
class Layout:
    """A map in pixels. `cells` and `borders` are SVG path data in the order of the block's shapes and outlines."""

    width: float
    height: float
    cells: tuple[str, ...]
    borders: tuple[str, ...]
    labels: tuple[Label, ...]
    marks: tuple[Mark, ...]


def layout(block: Map, width: float, height: float, font: float) -> Layout:
    """Fit the block into width × height pixels; the box shrinks to the map's own proportions.

    A label stays near its place's centre and is left out where it would cover another (font in pixels).
    """
    points = [point for shape in (*block.shapes, *block.outlines) for ring in shape.rings for point in ring]
    if not points:
        return Layout(width, height, (), (), (), ())
    west, east = min(x for x, _ in points), max(x for x, _ in points)
    south, north = min(y for _, y in points), max(y for _, y in points)
    pad = font
    scale = min(
        (width - 2 * pad) / max(east - west, 1e-9),
        (height - 2 * pad) / max(north - south, 1e-9),
    )
    wide, tall = (east - west) * scale + 2 * pad, (north - south) * scale + 2 * pad

    def place(ring: Ring) -> list[tuple[float, float]]:
        return [(pad + (x - west) * scale, pad + (north - y) * scale) for x, y in ring]

    def path(shape: Shape) -> str:
        return "".join(
            "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in place(ring)) + "Z" for ring in shape.rings if ring
        )

    marks = []
    for shape in block.shapes:
        if shape.ring and shape.rings:
            x, y = _centre(place(shape.rings[0]))
            spread = max(max(abs(px - x), abs(py - y)) for px, py in place(shape.rings[0]))
            marks.append(Mark(shape.ring, x, y, min(max(spread * 1.15, font * 0.7), font * 1.6)))
    taken = [(m.x - m.r, m.y - m.r - font, m.x + m.r, m.y + m.r) for m in marks]
    labels = []
    # Large places first: their labels have the better claim to room.
    for shape in sorted(block.outlines, key=lambda s: -max((_area(r) for r in s.rings), default=0.0)):
        if not shape.label or not shape.rings:
            continue
        x, y = _centre(place(max(shape.rings, key=_area)))
        half = text_width(shape.label, font) / 2
        x = min(max(x, half + 2), wide - half - 2)
        for shift in (0.0, 1.2, -1.2, 2.4, -2.4):
            box = (x - half, y + (shift - 0.6) * font, x + half, y + (shift + 0.6) * font)
            if not any(_touch(box, other) for other in taken):
                labels.append(Label(shape.label, x, y + shift * font))
                taken.append(box)
                break
    return Layout(
        wide,
        tall,
        tuple(path(shape) for shape in block.shapes),
        tuple(path(shape) for shape in block.outlines),
        tuple(labels),
        tuple(marks),
    )


def text_width(text: str, font: float) -> float:
    """About how wide a text runs, in pixels: a Chinese character is one em, a Latin one 0.56."""
    return sum(font if ord(char) > 0x2E7F else font * 0.56 for char in text)


def _touch(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _area(ring: Ring) -> float:
    return abs(_doubled(list(ring))) / 2


def _doubled(ring: list[tuple[float, float]]) -> float:
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(ring, ring[1:] + ring[:1], strict=True))


def _centre(ring: list[tuple[float, float]]) -> tuple[float, float]:
    """The centroid of a ring (https://en.wikipedia.org/wiki/Centroid#Of_a_polygon)."""
    # Taken about the first point: far from the origin the sums would cancel.
    ox, oy = ring[0]
    near = [(x - ox, y - oy) for x, y in ring]
    doubled = _doubled(near)
    if abs(doubled) < 1e-9:
        return sum(x for x, _ in ring) / len(ring), sum(y for _, y in ring) / len(ring)
    cx = cy = 0.0
    for (x0, y0), (x1, y1) in zip(near, near[1:] + near[:1], strict=True):
        cross = x0 * y1 - x1 * y0
        cx += (x0 + x1) * cross
        cy += (y0 + y1) * cross
    return ox + cx / (3 * doubled), oy + cy / (3 * doubled)
