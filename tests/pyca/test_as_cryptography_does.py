"""The same arguments to a key of `cryptography` and to that key in a token: the same answer, or the same refusal, in
one line and with a CngError as its cause.
"""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from conformance.finite_fields import DH_GENERATOR, DH_PRIMES, DSA_DOMAINS
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, mldsa, mlkem, padding, rsa, utils, x25519
from cryptography.hazmat.primitives.ciphers import aead
from pyca.arguments import BUFFERS, HASHES, MESSAGE, PADDINGS, PEERS, SCHEMES, SCHEMES_OF_ECDH, SHA256
from pyca.pairs import needs_host
from pyca.secret_keys import aes_key, hmac_key
from support import missing_on, needs, needs_bits

from hwcng import CngError, Usage, pyca
from hwcng.hostcrypto.host_keys import host_class

if TYPE_CHECKING:
    from hwcng.contract.provider import Provider

Table = Mapping[str, Any]
Outcome = tuple[object, Any]
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
    """software: makes a key of `cryptography`. in_token: the same key in a token."""

    software: Callable[[], Any]
    in_token: Callable[[Provider, Any], Any]
    methods: tuple[Method, ...]


class Anew:
    """What is used once, made for each use."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def __getattr__(self, name: str) -> Any:
        return getattr(self._make(), name)


def imported(token: Provider, software: Any, usage: Usage | None = None) -> Any:
    return pyca.import_private_key(token, software, usage=usage).as_cryptography()


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


# None of it is within its time.
TOKENS = {**BUFFERS, "a text of a token": fernet_token(Fernet(base64.urlsafe_b64encode(SECRET))).decode()}
TIMES = {"None": None, "a text": "60", "below zero": -1, "long ago": 0, "of 65 bits": 1 << 64}
KINDS = {
    "RSA": Kind(
        partial(rsa.generate_private_key, 65537, 2048),
        imported,
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
        partial(imported, usage=Usage.SIGN),
        (
            Method(
                "sign",
                lambda key: {"data": MESSAGE, "signature_algorithm": ec.ECDSA(SHA256)},
                {"data": BUFFERS, "signature_algorithm": SCHEMES},
                verified,
            ),
        ),
    ),
    "EC that agrees": Kind(
        partial(ec.generate_private_key, ec.SECP256R1()),
        partial(imported, usage=Usage.DERIVE),
        (
            Method(
                "exchange",
                lambda key: {"algorithm": ec.ECDH(), "peer_public_key": PEERS["on P-256"]},
                {"algorithm": SCHEMES_OF_ECDH, "peer_public_key": PEERS},
            ),
        ),
    ),
    "X25519": Kind(
        x25519.X25519PrivateKey.generate,
        imported,
        (Method("exchange", lambda key: {"peer_public_key": PEERS["on curve25519"]}, {"peer_public_key": PEERS}),),
    ),
    "DH": Kind(
        lambda: dh_parameters().parameters().generate_private_key(),
        imported,
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
        imported,
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
        imported,
        (Method("sign", lambda key: {"data": MESSAGE}, {"data": BUFFERS}),),
    ),
    "ML-DSA": Kind(
        lambda: mldsa.MLDSA65PrivateKey.generate(),
        imported,
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
        imported,
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


def calls(good: Table, bad: Mapping[str, Table]) -> Iterator[tuple[str, tuple[Any, ...], Table]]:
    """A title, positional and named arguments: right ones, wrong ways to give them, each bad one alone, and each with
    each bad one of another argument.
    """
    names = list(good)
    yield "by position", tuple(good.values()), {}
    yield "by name", (), good
    yield "none", (), {}
    yield "one too many", (*good.values(), 1), {}
    yield "an unknown name", tuple(good.values()), {"nothing": 1}
    yield "one twice", tuple(good.values()), {names[0]: good[names[0]]}
    yield "without the last", tuple(good.values())[:-1], {}
    for count in (1, 2):
        for chosen in itertools.combinations(bad, count):
            for titles in itertools.product(*(bad[name] for name in chosen)):
                wrong = {name: bad[name][title] for name, title in zip(chosen, titles, strict=True)}
                yield (
                    ", ".join(f"{name} {title}" for name, title in zip(chosen, titles, strict=True)),
                    (),
                    {**good, **wrong},
                )


def outcome(call: Callable[..., Any], positional: tuple[Any, ...], named: Table) -> Outcome:
    try:
        answer = call(*positional, **named)
    except Exception as error:
        return type(error), error
    return "answers", answer


def differences(theirs: Any, ours: Any, method: Method, otherwise: Mapping[str, object]) -> Iterator[str]:
    """otherwise: what a token answers in another way, by what a title has."""
    good = method.good(theirs)
    for title, positional, named in calls(good, method.bad):
        (expected, answer), (got, own) = (
            outcome(getattr(key, method.name), positional, named) for key in (theirs, ours)
        )
        if got != expected:
            if not any(got is kind and re.search(pattern, title) for pattern, kind in otherwise.items()):
                yield f"{title}: {expected} {answer}, here {got} {own}"
        elif expected == "answers":
            try:
                if method.verify is not None:
                    method.verify(theirs, own, *positional, **named)
                elif answer != own:
                    yield f"{title}: {answer!r}, here {own!r}"
            except InvalidSignature:
                yield f"{title}: {own!r}"
        if isinstance(own, Exception) and not by_python(own):
            cause = own.__cause__
            if not isinstance(cause, CngError) or cause.message not in str(own) or "\n" in str(own):
                yield f"{title}: {own!r} of {cause!r}"


def by_python(error: Exception) -> bool:
    """Whether Python itself refused the arguments, or it is a refusal that has nothing to say."""
    by_call = (
        isinstance(error, TypeError) and re.search("argument|operand|not supported between", str(error)) is not None
    )
    return by_call or isinstance(error, (AttributeError, OverflowError, InvalidToken))


# CNG has no name of these hashes.
NO_NAME = r"algorithm (a digest of )?(sha224|sha512-256|shake128|blake2s|sm3|nobody)"
OTHERWISE: dict[tuple[str, str], dict[str, object]] = {
    ("RSA", "sign"): {
        NO_NAME: UnsupportedAlgorithm,
        "of two hashes|PSS.*, algorithm": UnsupportedAlgorithm,
        "a salt of no size": ValueError,
        "data nothing in it, algorithm no digest info": ValueError,
    },
    # `cryptography` answers at random in place of a wrong padding, which most tokens tell.
    ("RSA", "decrypt"): {"of two hashes": UnsupportedAlgorithm, "PKCS #1 v1.5": ValueError},
    ("EC that signs", "sign"): {"no random numbers": UnsupportedAlgorithm},
    ("ML-DSA", "sign_mu"): {"": UnsupportedAlgorithm},
}


@pytest.mark.parametrize("kind", KINDS)
def test_arguments_of_every_kind(kind: str, raw_secret_token: Provider) -> None:
    """raw_secret_token: agreed secrets are answers."""
    needs_host(kind)
    theirs = KINDS[kind].software()
    try:
        ours = KINDS[kind].in_token(raw_secret_token, theirs)
    except UnsupportedAlgorithm:
        missing_on(raw_secret_token, kind)
    for method in KINDS[kind].methods:
        found = list(differences(theirs, ours, method, OTHERWISE.get((kind, method.name), {})))
        assert not found, "\n".join([method.name, *found])


@pytest.fixture(scope="module")
def both_ec(token: Provider) -> Iterator[tuple[Any, Any]]:
    needs(token, "ECDSA", "nistP256")
    software = ec.generate_private_key(ec.SECP256R1())
    with pyca.import_private_key(token, software, usage=Usage.SIGN) as imported:
        yield software, imported.as_cryptography()


@pytest.fixture(scope="module")
def both_rsa(token: Provider) -> Iterator[tuple[Any, Any]]:
    needs_bits(token, "RSA", 2048)
    software = rsa.generate_private_key(65537, 2048)
    with pyca.import_private_key(token, software) as imported:
        yield software, imported.as_cryptography()


ANY_HASH = [
    hashes.SHA224(),
    hashes.SHA512_256(),
    hashes.SHA3_384(),
    hashes.BLAKE2b(64),
    hashes.SHAKE128(16),
    hashes.SM3(),
]


@pytest.mark.parametrize("algorithm", ANY_HASH, ids=lambda algorithm: algorithm.name)
def test_ecdsa_takes_every_hash(algorithm: hashes.HashAlgorithm, both_ec: tuple[Any, Any]) -> None:
    public = both_ec[0].public_key()
    for key in both_ec:
        public.verify(key.sign(MESSAGE, ec.ECDSA(algorithm)), MESSAGE, ec.ECDSA(algorithm))


def test_rsa_answers_are_the_same(both_rsa: tuple[Any, Any]) -> None:
    """PKCS #1 v1.5 is deterministic."""
    for algorithm in (SHA256, hashes.SHA384(), hashes.SHA512()):
        theirs, ours = (key.sign(MESSAGE, padding.PKCS1v15(), algorithm) for key in both_rsa)
        assert ours == theirs


def test_der_of_every_length(both_ec: tuple[Any, Any]) -> None:
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    from hwcng.pyca.digests import der_signature

    for size in (20, 28, 32, 48, 64, 66):
        for r in (1, 0x7F, 0x80, 0xFF, (1 << 8 * size - 1) - 1, 1 << 8 * size - 1, (1 << 8 * size) - 1):
            for s in (1, 0x80, (1 << 8 * size) - 1):
                raw = r.to_bytes(size, "big") + s.to_bytes(size, "big")
                assert der_signature(raw) == encode_dss_signature(r, s)
    theirs, ours = both_ec
    for _ in range(64):
        r, s = utils.decode_dss_signature(ours.sign(MESSAGE, ec.ECDSA(SHA256)))
        theirs.public_key().verify(encode_dss_signature(r, s), MESSAGE, ec.ECDSA(SHA256))
