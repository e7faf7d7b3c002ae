"""What the browser fetches besides pages: fonts, and the geometry of maps (once, by its content)."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

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


class _Assets(StaticFiles):
    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "public, max-age=604800"
        return response
