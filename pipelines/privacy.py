"""Personal data: what is left of it after loading.

Blocked columns are never read at all (see `read`). A key that must be recognised again becomes a keyed
pseudonym; free text that is kept loses ID numbers, phones, bank cards and names. Both happen before the
first table is written, so that neither records nor quarantine ever hold the original.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from collections.abc import Callable, Iterable

from warehouse.mistake import Mistake
from warehouse.site import Site

PSEUDONYM_HEX = 16
"""64 bits: two of a million households fall together with a chance of about 3 in 100 million."""

_HALF_WIDTH = str.maketrans({chr(0xFF10 + digit): str(digit) for digit in range(10)})
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_NUMBER = re.compile(r"(?<![0-9A-Za-z])[1-9][0-9]{16}[0-9Xx](?![0-9A-Za-z])")
_PHONE = re.compile(
    r"(?<![0-9])(?:(?:\+?86[- ]?)?1[3-9][0-9][- ]?[0-9]{4}[- ]?[0-9]{4}|0[1-9][0-9]{1,2}[- ]?[0-9]{7,8})(?![0-9])"
)
_BANK_CARD = re.compile(r"(?<![0-9])[0-9](?:[ -]?[0-9]){14,18}(?![0-9])")
_NAME = re.compile(
    r"(我叫|姓名(?:[:\uff1a]|是|为)?\s*|(?:填表人|制表人|审核人|联系人|户主)[:\uff1a]\s*)"
    r"(?:[㐀-鿿·]{2,4}?(?=$|[^㐀-鿿·]|住|是|的|家|电话|身份|今年|现)|[㐀-鿿·]{2,3})"
)


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


def mask(text: str) -> str:
    """Free text without ID numbers (valid checksum), phones, bank cards (Luhn) and introduced names."""
    text = text.translate(_HALF_WIDTH)
    text = _ID_NUMBER.sub(lambda found: "[证件号码]" if valid_id_number(found[0]) else found[0], text)
    text = _PHONE.sub("[电话]", text)
    text = _BANK_CARD.sub(lambda found: "[银行卡]" if _luhn(found[0]) else found[0], text)
    return _NAME.sub(lambda found: found[1] + "[姓名]", text)


def valid_id_number(number: str) -> bool:
    """Checksum of an 18-character resident ID number (GB 11643, ISO 7064 MOD 11-2)."""
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, number[:17], strict=True))
    return "10X98765432"[total % 11] == number[17].upper()


def _luhn(number: str) -> bool:
    digits = [int(digit) for digit in number if digit.isdigit()]
    if len(digits) < 16:
        return False
    doubled = [
        sum(divmod(2 * digit, 10)) if place % 2 else digit for place, digit in enumerate(reversed(digits))
    ]
    return sum(doubled) % 10 == 0


def over_distinct(change: Callable[[str], str], values: Iterable[str | None]) -> list[str | None]:
    """`change` applied once to each distinct value; null stays null."""
    seen: dict[str, str] = {}
    out: list[str | None] = []
    for value in values:
        if value is None:
            out.append(None)
            continue
        if value not in seen:
            seen[value] = change(value)
        out.append(seen[value])
    return out
