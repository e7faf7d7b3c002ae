"""Personal data: what is left of it after loading.

Blocked columns are never read at all (see `read`). A key that must be recognised again becomes a keyed
pseudonym; free text that is kept is masked (`warehouse.masking`). Both happen before the first table is written,
so that neither records nor quarantine ever hold the original.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets

from warehouse.mistake import Mistake
from warehouse.site import Site

PSEUDONYM_HEX = 16
"""64 bits: two of a million households fall together with a chance of about 3 in 100 million."""


def site_key(site: Site) -> bytes:
    """The site's own secret for pseudonyms, made at first use, readable by its owner only.

    Whoever loses it can no longer match new files with records loaded before. Raises Mistake.
    """
    path = site.folder / "secret.key"
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip()) if _is_hex(path.read_bytes()) else b""
        if len(key) < 16:
            raise Mistake(
                str(path), "holds no key of 16 bytes or more in hex", "restore it from a backup"
            ) from None
        return key
    key = secrets.token_bytes(32)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(key.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return key


def _is_hex(content: bytes) -> bool:
    return re.fullmatch(rb"(?:[0-9a-fA-F]{2})+", content.strip()) is not None


def pseudonym(key: bytes, value: str) -> str:
    """HMAC-SHA256 of the trimmed value, shortened; the empty value stays empty."""
    value = value.strip()
    return hmac.digest(key, value.encode("utf-8"), "sha256").hex()[:PSEUDONYM_HEX] if value else ""
