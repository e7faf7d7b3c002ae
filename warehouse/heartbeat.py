"""The loader's sign of life: a file it writes every few seconds, for whoever wants to know whether it lives."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from warehouse.site import Site

LATE_SECONDS = 10
"""A loader not heard for so long has stopped: five of its beats."""


def heartbeat_file(site: Site) -> Path:
    return site.log / "heartbeat.json"


def last_beat(site: Site) -> datetime | None:
    """When the loader last gave a sign (UTC); None where none can be read."""
    try:
        at = datetime.fromisoformat(json.loads(heartbeat_file(site).read_text(encoding="utf-8"))["at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
