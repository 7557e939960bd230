"""Private keys of software go into the token."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from conformance.finite_fields import DSA_DOMAINS
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, mldsa, mlkem, padding, rsa, x25519
from pyca.pairs import needs_host
from support import needs

from hwcng import pyca
from hwcng.cng.keys import KeyPair
from hwcng.contract.provider import Provider

if TYPE_CHECKING:
    pass


MESSAGE = b"what is signed"


def dsa_domain() -> dsa.DSAParameters:
    domain = DSA_DOMAINS[1024]
    return dsa.DSAParameterNumbers(domain.p, domain.q, domain.g).parameters()


SOFTWARE: dict[str, Callable[[], Any]] = {
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
    "EC": lambda: ec.generate_private_key(ec.SECP384R1()),
    "X25519": x25519.X25519PrivateKey.generate,
    "DSA": lambda: dsa_domain().generate_private_key(),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "ML-DSA": mldsa.MLDSA65PrivateKey.generate,
    "ML-KEM": mlkem.MLKEM768PrivateKey.generate,
}
OFFERED = {
    "EC": ("ECDSA", "nistP384"),
    "X25519": ("ECDH", "curve25519"),
    "Ed25519": ("ED25519",),
    "ML-DSA": ("ML-DSA", "65"),
}


@pytest.mark.parametrize("imported_kind", SOFTWARE)
def test_a_private_key_goes_into_the_token(imported_kind: str, token: Provider) -> None:
    needs(token, *OFFERED.get(imported_kind, (imported_kind,)))
    needs_host(imported_kind)
    software = SOFTWARE[imported_kind]()
    with pyca.import_private_key(token, software) as imported:
        assert isinstance(imported, KeyPair) and imported.name is None
        key: Any = imported.as_cryptography()
        assert key.public_key() == software.public_key()
        if imported_kind == "EC":
            software.public_key().verify(
                key.sign(MESSAGE, ec.ECDSA(hashes.SHA256())), MESSAGE, ec.ECDSA(hashes.SHA256())
            )
        if imported_kind == "RSA":
            signature = key.sign(MESSAGE, padding.PKCS1v15(), hashes.SHA256())
            software.public_key().verify(signature, MESSAGE, padding.PKCS1v15(), hashes.SHA256())
        if imported_kind == "Ed25519":
            assert key.sign(MESSAGE) == software.sign(MESSAGE)
        if imported_kind == "ML-KEM":
            secret, ciphertext = software.public_key().encapsulate()
            assert key.decapsulate(ciphertext) == secret


def test_a_private_key_goes_into_the_token_under_a_name(provider: Provider) -> None:
    software = ec.generate_private_key(ec.SECP256R1())
    with pyca.import_private_key(provider, software, "imported") as imported:
        try:
            key: Any = pyca.private_key(imported.uri)
            assert key.public_key() == software.public_key()
            with pytest.raises(ValueError, match="has a key named 'imported'"):
                pyca.import_private_key(provider, software, "imported")
        finally:
            provider.delete_key("imported")
