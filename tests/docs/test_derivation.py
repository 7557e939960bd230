"""The function of docs/derivation.md makes a key that stays in the token, the same from the same parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from docs.markdown import blocks

import hwcng
from hwcng.bcrypt import (
    BCryptDecrypt,
    BCryptEncrypt,
    BCryptFinalizeKeyPair,
    BCryptGenerateKeyPair,
    BCryptOpenAlgorithmProvider,
    BCryptSecretAgreement,
)

if TYPE_CHECKING:
    from hwcng.testing.nss import NssDatabase

PAGE = "docs/derivation.md"


def test_the_function_derives_into_the_token(nss_database: NssDatabase, nss_pin: str) -> None:
    (program,) = (block.source for block in blocks(PAGE) if block.language == "python")
    names: dict[str, Any] = {}
    exec(compile(program, PAGE, "exec", dont_inherit=True), names)
    with hwcng.open_provider(nss_database.uri, pin=nss_pin) as provider:
        hwcng.set_default_provider(provider)
        try:
            pair = BCryptGenerateKeyPair(BCryptOpenAlgorithmProvider("ECDH_P256"), 256)
            BCryptFinalizeKeyPair(pair)
            secret = BCryptSecretAgreement(pair, pair)
            first, same, other = (names["session_key"](secret, b"salt", info) for info in (b"one", b"one", b"two"))
            iv, block = bytes(16), bytes(range(16))
            ciphertext = BCryptEncrypt(first, block, None, iv)
            assert BCryptDecrypt(same, ciphertext, None, iv) == block
            assert BCryptEncrypt(other, block, None, iv) != ciphertext
        finally:
            hwcng.set_default_provider(None)
