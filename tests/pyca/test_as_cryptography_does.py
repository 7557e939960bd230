"""The same arguments to a key of `cryptography` and to that key in a token: the same answer, or the same refusal, in
one line and with a CngError as its cause.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.fernet import InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from pyca.arguments import MESSAGE, SHA256
from pyca.kinds import KINDS, Method, Table
from pyca.pairs import needs_host
from support import missing_on, needs, needs_bits

from hwcng import CngError, Usage, pyca

if TYPE_CHECKING:
    from hwcng.contract.provider import Provider

Outcome = tuple[object, Any]


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


AT_RANDOM = ValueError, "answers"
"""A refusal, or an answer that is no other's."""


def differences(theirs: Any, ours: Any, method: Method, otherwise: Mapping[str, object]) -> Iterator[str]:
    """otherwise: what a token answers in another way, by what a title has."""
    good = method.good(theirs)
    for title, positional, named in calls(good, method.bad):
        (expected, answer), (got, own) = (
            outcome(getattr(key, method.name), positional, named) for key in (theirs, ours)
        )
        instead = [kind for pattern, kind in otherwise.items() if re.search(pattern, title)]
        if got != expected:
            if not any(got in (kind if isinstance(kind, tuple) else (kind,)) for kind in instead):
                yield f"{title}: {expected} {answer}, here {got} {own}"
        elif expected == "answers":
            try:
                if method.verify is not None:
                    method.verify(theirs, own, *positional, **named)
                elif answer != own and AT_RANDOM not in instead:
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
    # `cryptography` answers at random in place of a wrong padding, which most tokens tell; others do as it does.
    ("RSA", "decrypt"): {"of two hashes": UnsupportedAlgorithm, "PKCS #1 v1.5": AT_RANDOM},
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
