"""What the browser fetches besides pages: fonts, the geometry of maps (once, by its content), and tables as CSV."""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from dashboard.export import export_table, table_name
from dashboard.pages import page as page_of
from dashboard.view import build, view_of
from warehouse.layout import version_ids
from warehouse.mistake import Mistake
from warehouse.site import load_site
from warehouse.version import current, version
from warehouse.viewer import Viewer

ASSETS = Path(__file__).parent / "assets"
KEPT = 64
"""Geometries held in memory: one per scope and language looked at lately."""

_geometries: OrderedDict[str, bytes] = OrderedDict()
_lock = Lock()


def keep_geometry(key: str, body: bytes) -> None:
    """Hold a geometry (JSON) so that walls can fetch it under its content key."""
    with _lock:
        _geometries[key] = body
        _geometries.move_to_end(key)
        while len(_geometries) > KEPT:
            _geometries.popitem(last=False)


def routes() -> list[BaseRoute]:
    """The routes to serve beside Streamlit's own."""
    return [
        Route("/geometry/{key}.json", _geometry),
        Route("/csv/{page}/{table:int}", _csv),
        Mount("/assets", _Assets(directory=ASSETS)),
    ]


async def _geometry(request: Request) -> Response:
    with _lock:
        body = _geometries.get(str(request.path_params["key"]))
    if body is None:
        return Response("no such geometry", status_code=404)
    return Response(
        body, media_type="application/json", headers={"Cache-Control": "public, max-age=31536000, immutable"}
    )


def _csv(request: Request) -> Response:
    """One table of a page as it was seen: its address, and the data version it was drawn from while that is there."""
    params = dict(request.query_params)
    try:
        site = load_site(Path(os.environ.get("NERVE_SITE", "demo-site")))
        seen = params.get("version", "")
        known = version(site, seen) if seen in version_ids(site) else current(site)
        view = view_of(site, known, Viewer(site.home), params)
        sheet = build(page_of(str(request.path_params["page"])), view)
        number = int(request.path_params["table"])
        name = table_name(sheet, view, number)
        content, _ = export_table(sheet, view, number, site.reports / name)
    except Mistake as mistake:
        return Response(str(mistake), status_code=400, media_type="text/plain; charset=utf-8")
    return Response(
        content,
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


class _Assets(StaticFiles):
    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "public, max-age=604800"
        return response
