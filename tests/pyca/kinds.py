"""Every kind of key: how `cryptography` has it, how a token gets it, and what its methods take, good and bad."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from conformance.finite_fields import DH_GENERATOR, DH_PRIMES, DSA_DOMAINS
from cryptography.exceptions import InvalidSignature
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hmac
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, mldsa, mlkem, padding, rsa, utils, x25519
from cryptography.hazmat.primitives.ciphers import aead
from pyca.arguments import BUFFERS, HASHES, MESSAGE, PADDINGS, PEERS, SCHEMES, SCHEMES_OF_ECDH, SHA256
from pyca.secret_keys import aes_key, hmac_key

from hwcng import Usage, pyca
from hwcng.hostcrypto.host_keys import host_class

if TYPE_CHECKING:
    from hwcng.contract.provider import Provider

__all__ = ["KINDS", "Kind", "Method", "Table"]

Table = Mapping[str, Any]
NOW = 1_700_000_000
SECRET = bytes(range(32))
NONCE = bytes(12)
OAEP = PADDINGS["OAEP"]


@dataclass(frozen=True)
class Method:
    """A method of a key. good: its arguments by name, in their order, made of the key. bad: what else each may be.

    verify: raises where an answer is none to these arguments; None: two answers are the same.
    """

    name: str
    good: Callable[[Any], Table]
    bad: Mapping[str, Table]
    verify: Callable[..., None] | None = None


@dataclass(frozen=True)
class Kind:
    """software: makes a key of `cryptography`. import_as: makes the same key in a token, None: import_private_key.
    usage: of a pair.
    """

    software: Callable[[], Any]
    import_as: Callable[[Provider, Any], Any] | None
    methods: tuple[Method, ...]
    usage: Usage | None = None

    @property
    def is_pair(self) -> bool:
        return self.import_as is None

    def in_token(self, token: Provider, software: Any) -> Any:
        """Raises UnsupportedAlgorithm where the token has no such keys."""
        if self.import_as is not None:
            return self.import_as(token, software)
        return pyca.import_private_key(token, software, usage=self.usage).as_cryptography()


class Anew:
    """What is used once, made for each use."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def __getattr__(self, name: str) -> Any:
        return getattr(self._make(), name)


def dsa_private_key() -> Any:
    domain = DSA_DOMAINS[1024]
    return dsa.DSAParameterNumbers(domain.p, domain.q, domain.g).parameters().generate_private_key()


def dh_parameters() -> Any:
    numbers: Any = host_class("dh", "DHParameterNumbers")
    return numbers(DH_PRIMES[1024], DH_GENERATOR)


def dh_public_key(value: int) -> Any:
    numbers: Any = host_class("dh", "DHPublicNumbers")
    return numbers(value, dh_parameters()).public_key()


def verified(key: Any, *signed: Any, **named: Any) -> None:
    key.public_key().verify(*signed, **named)


def rsa_verified(key: Any, signature: bytes, data: Any, padding: Any, algorithm: Any) -> None:
    if not isinstance(algorithm, utils.NoDigestInfo):
        verified(key, signature, data, padding, algorithm)
    elif key.public_key().recover_data_from_signature(signature, padding, None) != bytes(data):
        raise InvalidSignature


def fernet_in_token(token: Provider, software: Any) -> Any:
    return pyca.Fernet(hmac_key(token, SECRET[:16]), aes_key(token, SECRET[16:], "CBC"))


def fernet_token(key: Any) -> bytes:
    made: bytes = key.encrypt_at_time(MESSAGE, NOW)
    return made


def decrypted(key: Any, token: bytes, data: Any, current_time: int = NOW) -> None:
    assert key.decrypt_at_time(token, 60, current_time) == bytes(data)


def written(key: Any, answer: int, nonce: Any, data: Any, associated_data: None, buf: Any) -> None:
    """What is in the buffer, tests/pyca/test_symmetric.py tells."""
    assert answer == memoryview(buf).nbytes


ROOMS = {
    "None": None,
    "a text": "text",
    "not writable": bytes(48),
    "empty": bytearray(),
    **({"with gaps": memoryview(bytearray(96))[::2]} if "with gaps" in BUFFERS else {}),
    "of 32": bytearray(32),
    "a memoryview of 48": memoryview(bytearray(48)),
    "of two dimensions": memoryview(bytearray(48)).cast("B", (6, 8)),
    "of 49": bytearray(49),
}
# None of it is within its time.
TOKENS = {**BUFFERS, "a text of a token": fernet_token(Fernet(base64.urlsafe_b64encode(SECRET))).decode()}
TIMES = {"None": None, "a text": "60", "below zero": -1, "long ago": 0, "of 65 bits": 1 << 64}
KINDS = {
    "RSA": Kind(
        partial(rsa.generate_private_key, 65537, 2048),
        None,
        (
            Method(
                "sign",
                lambda key: {"data": MESSAGE, "padding": padding.PKCS1v15(), "algorithm": SHA256},
                {"data": BUFFERS, "padding": PADDINGS, "algorithm": HASHES},
                rsa_verified,
            ),
            Method(
                "decrypt",
                lambda key: {"ciphertext": key.public_key().encrypt(MESSAGE, OAEP), "padding": OAEP},
                {"ciphertext": BUFFERS, "padding": PADDINGS},
            ),
        ),
    ),
    "EC that signs": Kind(
        partial(ec.generate_private_key, ec.SECP256R1()),
        None,
        (
            Method(
                "sign",
                lambda key: {"data": MESSAGE, "signature_algorithm": ec.ECDSA(SHA256)},
                {"data": BUFFERS, "signature_algorithm": SCHEMES},
                verified,
            ),
        ),
        Usage.SIGN,
    ),
    "EC that agrees": Kind(
        partial(ec.generate_private_key, ec.SECP256R1()),
        None,
        (
            Method(
                "exchange",
                lambda key: {"algorithm": ec.ECDH(), "peer_public_key": PEERS["on P-256"]},
                {"algorithm": SCHEMES_OF_ECDH, "peer_public_key": PEERS},
            ),
        ),
        Usage.DERIVE,
    ),
    "X25519": Kind(
        x25519.X25519PrivateKey.generate,
        None,
        (Method("exchange", lambda key: {"peer_public_key": PEERS["on curve25519"]}, {"peer_public_key": PEERS}),),
    ),
    "DH": Kind(
        lambda: dh_parameters().parameters().generate_private_key(),
        None,
        (
            Method(
                "exchange",
                lambda key: {"peer_public_key": dh_public_key(3)},
                {
                    "peer_public_key": {
                        **PEERS,
                        "one": dh_public_key(1),
                        "minus one": dh_public_key(DH_PRIMES[1024] - 1),
                    }
                },
            ),
        ),
    ),
    "DSA": Kind(
        dsa_private_key,
        None,
        (
            Method(
                "sign",
                lambda key: {"data": MESSAGE, "algorithm": SHA256},
                {"data": BUFFERS, "algorithm": HASHES},
                verified,
            ),
        ),
    ),
    "Ed25519": Kind(
        ed25519.Ed25519PrivateKey.generate,
        None,
        (Method("sign", lambda key: {"data": MESSAGE}, {"data": BUFFERS}),),
    ),
    "ML-DSA": Kind(
        lambda: mldsa.MLDSA65PrivateKey.generate(),
        None,
        (
            Method(
                "sign",
                lambda key: {"data": MESSAGE, "context": b"a context"},
                {"data": BUFFERS, "context": BUFFERS},
                verified,
            ),
            Method("sign_mu", lambda key: {"mu": bytes(64)}, {"mu": BUFFERS}, lambda *answered, **named: None),
        ),
    ),
    "ML-KEM": Kind(
        lambda: mlkem.MLKEM768PrivateKey.generate(),
        None,
        (
            Method(
                "decapsulate",
                lambda key: {"ciphertext": key.public_key().encapsulate()[1]},
                {"ciphertext": {**BUFFERS, "of no message": bytes(1088), "a bytearray of 1088": bytearray(1088)}},
            ),
        ),
    ),
    "AESGCM": Kind(
        lambda: aead.AESGCM(SECRET),
        lambda token, software: pyca.AESGCM(aes_key(token, SECRET, "GCM")),
        (
            Method(
                "encrypt",
                lambda key: {"nonce": NONCE, "data": MESSAGE, "associated_data": b"a header"},
                {"nonce": BUFFERS, "data": BUFFERS, "associated_data": BUFFERS},
            ),
            Method(
                "decrypt",
                lambda key: {"nonce": NONCE, "data": key.encrypt(NONCE, MESSAGE, b"a"), "associated_data": b"a"},
                {"nonce": BUFFERS, "data": BUFFERS, "associated_data": BUFFERS},
            ),
            Method(
                "encrypt_into",
                lambda key: {"nonce": NONCE, "data": MESSAGE, "associated_data": None, "buf": bytearray(48)},
                {"nonce": BUFFERS, "data": BUFFERS, "buf": ROOMS},
                written,
            ),
            Method(
                "decrypt_into",
                lambda key: {
                    "nonce": NONCE,
                    "data": key.encrypt(NONCE, MESSAGE, None),
                    "associated_data": None,
                    "buf": bytearray(32),
                },
                {"nonce": BUFFERS, "data": BUFFERS, "buf": ROOMS},
                written,
            ),
        ),
    ),
    "HMAC": Kind(
        lambda: Anew(lambda: hmac.HMAC(SECRET, SHA256)),
        lambda token, software: Anew(partial(pyca.HMAC, hmac_key(token, SECRET), SHA256)),
        (
            Method("update", lambda key: {"data": MESSAGE}, {"data": BUFFERS}),
            Method("verify", lambda key: {"signature": key.finalize()}, {"signature": BUFFERS}),
        ),
    ),
    "Fernet": Kind(
        lambda: Fernet(base64.urlsafe_b64encode(SECRET)),
        fernet_in_token,
        (
            Method("encrypt", lambda key: {"data": MESSAGE}, {"data": BUFFERS}, lambda *answered, **named: None),
            Method(
                "encrypt_at_time",
                lambda key: {"data": MESSAGE, "current_time": NOW},
                {"data": BUFFERS, "current_time": TIMES},
                decrypted,
            ),
            Method(
                "decrypt",
                lambda key: {"token": fernet_token(key), "ttl": None},
                {"token": TOKENS, "ttl": TIMES},
            ),
            Method(
                "decrypt_at_time",
                lambda key: {"token": fernet_token(key), "ttl": 60, "current_time": NOW},
                {"token": TOKENS, "ttl": TIMES, "current_time": TIMES},
            ),
            Method("extract_timestamp", lambda key: {"token": fernet_token(key)}, {"token": TOKENS}),
        ),
    ),
}
