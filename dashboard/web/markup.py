"""HTML and SVG as data: the one place that writes tags, so that every text is escaped exactly once."""

from __future__ import annotations

from html import escape

VOID = frozenset({"br", "line", "path", "circle", "rect", "polygon", "use", "img"})


class Markup(str):
    """Finished markup. Only `tag`, `join` and constants of our own make it; a plain string is data."""

    __slots__ = ()


Child = str | Markup | None
Attribute = str | float | bool | None


def safe(child: Child) -> str:
    """Markup as it stands, any other text escaped, None as nothing."""
    if child is None:
        return ""
    return str(child) if isinstance(child, Markup) else escape(child, quote=True)


def tag(name: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """One element. `class_` is class, `data_go` is data-go; False and None leave an attribute out."""
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{escape(_shown(value))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in VOID and not children:
        return Markup(f"<{name}{written}/>")
    return Markup(f"<{name}{written}>{''.join(safe(child) for child in children)}</{name}>")


def join(*children: Child) -> Markup:
    """Several pieces one after another, plain strings escaped."""
    return Markup("".join(safe(child) for child in children))


def _shown(value: str | float) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(value)
