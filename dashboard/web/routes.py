"""What the browser fetches besides pages: fonts, what a wall shows by its content's key, the wall's pulse, and tables as CSV."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
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

Pulse = Callable[[], dict[str, object]]
"""Asked by every wall each few seconds, beside Streamlit's own connection: how the system is."""


class Shelf:
    """JSON held in memory for walls to fetch under its content's key; the longest unused goes first."""

    def __init__(self, kept: int, caching: str) -> None:
        self._kept, self._caching = kept, caching
        self._bodies: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()

    def keep(self, key: str, body: bytes) -> None:
        with self._lock:
            self._bodies[key] = body
            self._bodies.move_to_end(key)
            while len(self._bodies) > self._kept:
                self._bodies.popitem(last=False)

    def get(self, key: str) -> bytes | None:
        with self._lock:
            return self._bodies.get(key)

    async def answer(self, request: Request) -> Response:
        body = self.get(str(request.path_params["key"]))
        if body is None:
            return Response("no longer held", status_code=404)
        return Response(body, media_type="application/json", headers={"Cache-Control": self._caching})


GEOMETRIES = Shelf(64, "public, max-age=31536000, immutable")
"""One per scope and language looked at lately."""
SCENES = Shelf(512, "no-store")
"""One per scene, scope and language, new with each change of its figures: not for a browser's disk."""


def routes(pulse: Pulse = dict) -> list[BaseRoute]:
    """The routes to serve beside Streamlit's own."""

    def answer(request: Request) -> Response:
        return JSONResponse(pulse(), headers={"Cache-Control": "no-store"})

    return [
        Route("/geometry/{key}.json", GEOMETRIES.answer),
        Route("/scene/{key}.json", SCENES.answer),
        Route("/pulse.json", answer),
        Route("/csv/{page}/{table:int}", _csv),
        Mount("/assets", _Assets(directory=ASSETS)),
    ]


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
