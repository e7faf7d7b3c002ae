"""Sealed text: encrypted with the site's key, so that only who holds the key reads what a source wrote.

AES-256-GCM. The key is derived from the site's secret by HKDF under a label of its own: the seals and the
pseudonyms, which are keyed by the same secret, never share a key. A sealed text says its form first (`s1:`),
so that a later form can stand beside it.
"""

from __future__ import annotations

import base64
import binascii
import os
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from warehouse.mistake import Mistake

_FORM = "s1:"
_LABEL = b"nerve-center: sealed quarantine rows, form 1"
_NONCE = 12


def seal(key: bytes, text: str) -> str:
    """`s1:` and the base64 of a random nonce and the encrypted text: no two seals of a text are equal.

    Random nonces of 96 bits are good for 2^32 seals of one key.
    """
    nonce = os.urandom(_NONCE)
    closed = _cipher(key).encrypt(nonce, text.encode("utf-8", "surrogatepass"), _FORM.encode())
    return _FORM + base64.b64encode(nonce + closed).decode("ascii")


def unseal(key: bytes, sealed: str) -> str:
    """The text that was sealed. Raises Mistake when it is no seal, was altered, or another key closed it."""
    if not is_sealed(sealed):
        raise Mistake("sealed row", "not a sealed text", "nothing to unseal: it is stored open")
    try:
        content = base64.b64decode(sealed.removeprefix(_FORM), validate=True)
        opened = _cipher(key).decrypt(content[:_NONCE], content[_NONCE:], _FORM.encode())
    except (InvalidTag, binascii.Error, ValueError) as error:
        raise Mistake(
            "sealed row", "cannot be opened with this site's secret.key", "restore the key that sealed it"
        ) from error
    return opened.decode("utf-8", "surrogatepass")


def is_sealed(text: str) -> bool:
    """Whether a text has the form of a seal."""
    return text.startswith(_FORM)


@lru_cache(maxsize=4)
def _cipher(key: bytes) -> AESGCM:
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=_LABEL).derive(key))
