"""What one token makes, another understands: every pair of tokens that share the algorithm, in both directions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import combinations
from typing import Any

import pytest
from conformance.finite_fields import DSA_DOMAINS, dsa_parameters
from conformance.matrix import DATA, DIGESTS, IV, SECRET, imported, opened, pair
from conformance.tokens import LESS, PROVIDERS
from support import missing

from hwcng import bcrypt
from hwcng.cng.keys import AlgorithmHandle, KeyPair
from hwcng.contract.provider import Provider
from hwcng.contract.usage import Support
from hwcng.standards.curves import CURVES

PUBLIC, POLICY = bcrypt.BCRYPT_PUBLIC_KEY_BLOB, bcrypt.NCRYPT_EXPORT_POLICY_PROPERTY
PKCS1 = bcrypt.BCRYPT_PKCS1_PADDING_INFO("SHA256")


def public_in(key: KeyPair, handle: AlgorithmHandle) -> KeyPair:
    """The public half of a key of one token, imported for another."""
    return bcrypt.BCryptImportKeyPair(handle, None, PUBLIC, bcrypt.BCryptExportKey(key, None, PUBLIC))


def properties(name: str, curve: str | None) -> dict[str, Any]:
    return {bcrypt.BCRYPT_ECC_CURVE_NAME: curve} if curve else {}


def signs(name: str, bits: int, curve: str | None, info: Any, flags: int, one: Provider, other: Provider) -> None:
    with pair(one, name, bits, properties(name, curve)) as key:
        signature = bcrypt.BCryptSignHash(key, info, DIGESTS["SHA256"], flags)
        verifying = public_in(key, opened(other, name, **properties(name, curve)))
        bcrypt.BCryptVerifySignature(verifying, info, DIGESTS["SHA256"], signature, flags)


def decrypts(one: Provider, other: Provider) -> None:
    info = bcrypt.BCRYPT_OAEP_PADDING_INFO("SHA256")
    with pair(one, "RSA", 2048) as key:
        ciphertext = bcrypt.BCryptEncrypt(
            public_in(key, opened(other, "RSA")), DATA, info, None, bcrypt.BCRYPT_PAD_OAEP
        )
        assert bcrypt.BCryptDecrypt(key, ciphertext, info, None, bcrypt.BCRYPT_PAD_OAEP) == DATA


def agrees(name: str, bits: int, curve: str | None, one: Provider, other: Provider) -> None:
    handles = [opened(token, name, **properties(name, curve)) for token in (one, other)]
    keys = [pair(token, name, bits, properties(name, curve)) for token in (one, other)]
    secrets = (
        bcrypt.BCryptSecretAgreement(keys[0], public_in(keys[1], handles[0])),
        bcrypt.BCryptSecretAgreement(keys[1], public_in(keys[0], handles[1])),
    )
    parameters = [(bcrypt.KDF_HASH_ALGORITHM, "SHA256")]
    assert len({bcrypt.BCryptDeriveKey(secret, bcrypt.BCRYPT_KDF_HASH, parameters, 32) for secret in secrets}) == 1


def wraps(one: Provider, other: Provider) -> None:
    """A key that the first token made goes wrapped to the second; no plaintext of it was ever anywhere."""
    exporting = {POLICY: bcrypt.NCRYPT_ALLOW_EXPORT_FLAG, bcrypt.BCRYPT_CHAINING_MODE: bcrypt.BCRYPT_CHAIN_MODE_ECB}
    theirs, ours = imported(other, "AES", SECRET[:32]), imported(one, "AES", SECRET[:32])
    with opened(one, "AES", **exporting).generate_key(256) as key, theirs, ours:
        blob = bcrypt.BCryptExportKey(key, ours, bcrypt.BCRYPT_AES_WRAP_KEY_BLOB)
        handle = opened(other, "AES", ChainingMode=bcrypt.BCRYPT_CHAIN_MODE_ECB)
        with bcrypt.BCryptImportKey(handle, theirs, bcrypt.BCRYPT_AES_WRAP_KEY_BLOB, None, blob) as again:
            assert bcrypt.BCryptDecrypt(again, bcrypt.BCryptEncrypt(key, DATA)) == DATA


def encrypts(mode: str, one: Provider, other: Provider) -> None:
    secret, iv = SECRET[:32], None if mode == "ECB" else IV
    keys = [imported(token, "AES", secret, ChainingMode=f"ChainingMode{mode}") for token in (one, other)]
    assert bcrypt.BCryptDecrypt(keys[1], bcrypt.BCryptEncrypt(keys[0], DATA, None, iv), None, iv) == DATA


def authenticates(name: str, flags: int, size: int, one: Provider, other: Provider) -> None:
    macs = {bcrypt.BCryptHash(opened(token, name, flags), SECRET[:size], DATA) for token in (one, other)}
    assert len(macs) == 1


def encapsulates(parameter_set: str, one: Provider, other: Provider) -> None:
    with pair(one, "ML-KEM", 0, ParameterSetName=parameter_set) as key:
        secret, ciphertext = bcrypt.BCryptEncapsulate(public_in(key, opened(other, "ML-KEM")))
        assert bcrypt.BCryptDecapsulate(key, ciphertext) == secret


def signs_messages(parameter_set: str, one: Provider, other: Provider) -> None:
    with pair(one, "ML-DSA", 0, ParameterSetName=parameter_set) as key:
        signature = bcrypt.BCryptSignHash(key, None, DATA)
        bcrypt.BCryptVerifySignature(public_in(key, opened(other, "ML-DSA")), None, DATA, signature)


def signs_dsa(one: Provider, other: Provider) -> None:
    with pair(one, "DSA", 1024, DSAParameters=dsa_parameters(DSA_DOMAINS[1024])) as key:
        signature = bcrypt.BCryptSignHash(key, None, DIGESTS["SHA1"])
        bcrypt.BCryptVerifySignature(public_in(key, opened(other, "DSA")), None, DIGESTS["SHA1"], signature)


HMAC = bcrypt.BCRYPT_ALG_HANDLE_HMAC_FLAG
# What both tokens must offer, and the exchange.
EXCHANGES: dict[str, tuple[tuple[str, str | None], Callable[[Provider, Provider], None]]] = {
    "RSA PKCS1": (("RSA", "PKCS1"), partial(signs, "RSA", 2048, None, PKCS1, bcrypt.BCRYPT_PAD_PKCS1)),
    "RSA OAEP": (("RSA", "OAEP"), decrypts),
    "AES wrap": (("AES", "WRAP"), wraps),
    "AES-CMAC": (("AES-CMAC", None), partial(authenticates, "AES-CMAC", 0, 16)),
    **{f"AES {mode}": (("AES", mode), partial(encrypts, mode)) for mode in ("ECB", "CBC")},
    "AES CFB": (("AES", "CFB8"), partial(encrypts, "CFB")),
    **{
        f"HMAC-{name}": ((f"HMAC-{name}", None), partial(authenticates, name, HMAC, 64))
        for name in ("SHA1", "SHA256", "SHA384", "SHA512", "SHA3-256")
    },
    **{
        f"ECDSA {curve}": (("ECDSA", curve), partial(signs, "ECDSA", 0, curve, None, 0))
        for curve in CURVES
        if curve != "curve25519"
    },
    **{f"ECDH {curve}": (("ECDH", curve), partial(agrees, "ECDH", 0, curve)) for curve in CURVES},
    "DH": (("DH", None), partial(agrees, "DH", 2048, None)),
    "DSA": (("DSA", None), signs_dsa),
    "ML-DSA 65": (("ML-DSA", "65"), partial(signs_messages, "65")),
    "ML-KEM 768": (("ML-KEM", "768"), partial(encapsulates, "768")),
}


@pytest.mark.parametrize(("first", "second"), tuple(combinations(PROVIDERS, 2)))
def test_exchange(request: pytest.FixtureRequest, first: str, second: str) -> None:
    tokens = [request.getfixturevalue(PROVIDERS[name]) for name in (first, second)]
    done = set()
    for name, ((algorithm, operation), exchange) in EXCHANGES.items():
        if all(token.offers(algorithm, operation) is not Support.REFUSED for token in tokens):
            exchange(tokens[0], tokens[1])
            exchange(tokens[1], tokens[0])
            done.add(name)
    if not done:
        missing(f"{first} and {second}: an algorithm that both have")
    # What every token has that the tests set up.
    assert LESS & {first, second} or {"RSA PKCS1", "ECDSA nistP256", "AES ECB", "HMAC-SHA256"} <= done
