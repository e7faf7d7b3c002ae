"""Sealing: only the site's key opens a row, nothing of it shows, and an altered one does not open."""

from __future__ import annotations

import base64
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.privacy import pseudonym
from pipelines.sealing import is_sealed, seal, unseal
from warehouse.mistake import Mistake

KEY = bytes(range(32))


@given(st.text(alphabet=st.characters(), max_size=200), st.binary(min_size=16, max_size=64))
def test_what_was_sealed_is_what_is_unsealed(text: str, key: bytes) -> None:
    assert unseal(key, seal(key, text)) == text


def test_a_sealed_text_says_its_form_and_shows_nothing_of_what_it_holds() -> None:
    sealed = seal(KEY, "张三 13812345678")
    assert sealed.startswith("s1:")
    assert is_sealed(sealed)
    assert not is_sealed("张三 13812345678")
    held = base64.b64decode(sealed[3:])
    assert "张三".encode() not in held
    assert b"138" not in sealed.encode() + held


def test_the_same_text_twice_is_never_the_same_seal() -> None:
    assert len({seal(KEY, "张三") for _ in range(100)}) == 100


def test_another_key_does_not_open_it_and_the_message_names_the_key_file() -> None:
    with pytest.raises(Mistake, match=r"secret\.key"):
        unseal(KEY[::-1], seal(KEY, "张三"))


@given(st.integers(min_value=3, max_value=10_000), st.integers(min_value=1, max_value=61))
def test_one_altered_character_anywhere_does_not_open(at: int, by: int) -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    sealed = seal(KEY, "a record of three bytes")
    at = 3 + at % (len(sealed) - 3)
    if sealed[at] == "=":
        altered = sealed[:at] + "A" + sealed[at + 1 :]
    else:
        altered = sealed[:at] + letters[(letters.index(sealed[at]) + by) % 64] + sealed[at + 1 :]
    try:
        opened = unseal(KEY, altered)
    except Mistake:
        return
    # The last character before the filling holds bits that base64 does not use.
    assert base64.b64decode(altered[3:]) == base64.b64decode(sealed[3:])
    assert opened == "a record of three bytes"


@pytest.mark.parametrize("text", ["", "V1,431", "s1:", "s1:not base64!", "s1:AAAA", "s2:AAAA"])
def test_what_is_no_seal_is_said_to_be_none(text: str) -> None:
    with pytest.raises(Mistake):
        unseal(KEY, text)


def test_a_seal_does_not_use_the_key_of_the_pseudonyms() -> None:
    """Sealed with the pseudonyms' key itself it would open with it: the cipher's key is derived."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    content = base64.b64decode(seal(KEY, "张三")[3:])
    with pytest.raises(InvalidTag):
        AESGCM(KEY).decrypt(content[:12], content[12:], b"s1:")
    assert pseudonym(KEY, "张三") not in content.hex()


def test_a_seal_opens_in_another_process() -> None:
    sealed = seal(KEY, "张三,431")
    code = "import sys; from pipelines.sealing import unseal; print(unseal(bytes(range(32)), sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, sealed],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONUTF8": "1"},
    )
    assert done.stdout == "张三,431\n"
