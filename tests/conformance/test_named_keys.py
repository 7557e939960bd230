"""Keys of every kind under a name: stored by one provider, opened by another, used, and ended."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from conformance.finite_fields import DSA_DOMAINS, dsa_parameters
from conformance.matrix import DATA, DIGESTS, imported, pair
from support import missing_on, needs

from hwcng import HRESULT, CngError, bcrypt
from hwcng.cng import naming
from hwcng.cng.keys import KeyPair, SymmetricKey
from hwcng.contract.provider import Provider

SHA256 = [(bcrypt.KDF_HASH_ALGORITHM, "SHA256")]
PUBLIC = bcrypt.BCRYPT_PUBLIC_KEY_BLOB


def signs(data: bytes, key: KeyPair, other: KeyPair) -> bool:
    bcrypt.BCryptVerifySignature(key, None, data, bcrypt.BCryptSignHash(other, None, data))
    return True


def agrees(key: KeyPair, other: KeyPair) -> bool:
    handle = key.algorithm_handle
    peer = bcrypt.BCryptImportKeyPair(handle, None, PUBLIC, bcrypt.BCryptExportKey(key, None, PUBLIC))
    secrets = [bcrypt.BCryptSecretAgreement(one, peer) for one in (key, other)]
    return len({bcrypt.BCryptDeriveKey(secret, "HASH", SHA256, 32) for secret in secrets}) == 1


def decapsulates(key: KeyPair, other: KeyPair) -> bool:
    secret, ciphertext = bcrypt.BCryptEncapsulate(key)
    return bcrypt.BCryptDecapsulate(other, ciphertext) == secret


def encrypts(info: Callable[[], Any], iv: bytes | None, key: SymmetricKey, other: SymmetricKey) -> bool:
    return bcrypt.BCryptEncrypt(key, DATA, info(), iv) == bcrypt.BCryptEncrypt(other, DATA, info(), iv)


def chacha() -> Any:
    return bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(12))


# What the token must offer, how a key is made, and what shows that two keys are one.
KINDS: dict[str, tuple[tuple[str, str | None], Callable[[Provider], Any], Callable[[Any, Any], bool]]] = {
    "DH": (("DH", None), lambda token: pair(token, "DH", 1024), agrees),
    "DSA": (
        ("DSA", None),
        lambda token: pair(token, "DSA", 1024, DSAParameters=dsa_parameters(DSA_DOMAINS[1024])),
        partial(signs, DIGESTS["SHA1"]),
    ),
    "ML-DSA": (("ML-DSA", "65"), lambda token: pair(token, "ML-DSA", 0, ParameterSetName="65"), partial(signs, DATA)),
    "ML-KEM": (("ML-KEM", "768"), lambda token: pair(token, "ML-KEM", 0, ParameterSetName="768"), decapsulates),
    "X25519": (
        ("ECDH", "curve25519"),
        lambda token: pair(token, "ECDH", 0, {"ECCCurveName": "curve25519"}),
        agrees,
    ),
    "ECDH": (("ECDH", "nistP384"), lambda token: pair(token, "ECDH_P384", 384), agrees),
    "3DES": (
        ("3DES", "CBC"),
        lambda token: imported(token, "3DES", bytes(range(24))),
        partial(encrypts, lambda: None, bytes(8)),
    ),
    "RC4": (
        ("RC4", "STREAM"),
        lambda token: imported(token, "RC4", bytes(range(16))),
        partial(encrypts, lambda: None, None),
    ),
    "CHACHA20_POLY1305": (
        ("CHACHA20_POLY1305", None),
        lambda token: imported(token, "CHACHA20_POLY1305", bytes(range(32))),
        partial(encrypts, chacha, None),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_under_a_name(token: Provider, kind: str) -> None:
    offered, make, same = KINDS[kind]
    needs(token, *offered)
    name = f"every kind/{kind}"
    key = make(token)
    with suppress(CngError):
        token.delete_key(name)
    try:
        key.persist(name)
    except CngError as error:
        if error.status.name in ("STATUS_NOT_SUPPORTED", "NTE_NOT_SUPPORTED", "NTE_PERM"):
            missing_on(token, f"named {kind} keys")
        raise
    try:
        stored = naming.open_named(token, name)
        assert (stored.name, stored.algorithm.name) == (name, key.algorithm.name)
        assert same(key, stored)
        (record,) = (record for record in token.list_keys() if record.name == name)
        assert record.spec.usage == stored.in_token().spec.usage
        stored.destroy()
    finally:
        token.delete_key(name)
    with pytest.raises(CngError) as gone:
        token.open_key(name)
    assert gone.value.status is HRESULT.NTE_BAD_KEYSET
    assert key.alive
