"""`hwcng test`: whether a token and a key of it do their work, and how long that takes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa

from hwcng import pyca
from hwcng.cli.failures import as_cng_raises
from hwcng.cli.outcome import Exit, json_option, print_json, print_table
from hwcng.cli.targets import Target, names_a_key, of_key, of_provider, pin_options
from hwcng.cli.wording import in_options
from hwcng.cng import naming
from hwcng.cng.key_pair import KeyPair
from hwcng.cng.symmetric_key import SymmetricKey
from hwcng.contract.specs import CipherSpec, CmacSpec, HmacSpec, PairSpec, SecretSpec
from hwcng.contract.usage import CipherMode, SecretFamily, Support, Usage
from hwcng.errors import CngError, not_supported

if TYPE_CHECKING:
    from hwcng.contract.pins import Pin
    from hwcng.contract.provider import Provider

__all__ = ["test"]

_MESSAGE = b"hwcng test"
_BLOCK, _NONCE = 16, 12
_RANDOM_BYTES = 32
_MODES = (CipherMode.GCM, CipherMode.CBC, CipherMode.CFB8, CipherMode.ECB)
_SHA256 = hashes.SHA256()
_MADE: tuple[tuple[str, str | None, PairSpec | SecretSpec], ...] = (
    ("ECDSA", "nistP256", PairSpec("EC", Usage.SIGN, curve="nistP256")),
    ("RSA", None, PairSpec("RSA", Usage.SIGN | Usage.DECRYPT, bits=2048)),
    ("AES", None, SecretSpec(SecretFamily.AES, 256, Usage.ENCRYPT | Usage.DECRYPT)),
    ("HMAC", "SHA256", SecretSpec(SecretFamily.HMAC, 256, Usage.SIGN, hash_name="SHA256")),
)
"""What --generate tries: algorithm and operation as capabilities name them, and the key."""


@dataclass(frozen=True)
class Check:
    """One thing tried. seconds: of one time, on average. outcome: "ok", "wrong" where the answer is not right, "failed"
    where there is none."""

    what: str
    outcome: str
    seconds: float = 0.0
    reason: str = ""


class _WrongAnswerError(Exception):
    """The token answered, and not what it should."""


def _require(right: bool, what: str) -> None:
    if not right:
        raise _WrongAnswerError(what)


def _tried(what: str, work: Callable[[], None], times: int) -> Check:
    began = time.perf_counter()
    try:
        for _ in range(times):
            work()
    except (InvalidSignature, _WrongAnswerError) as error:
        return Check(what, "wrong", reason=str(error) or "the signature is not the key's")
    except CngError as error:
        return Check(what, "failed", reason=in_options(str(error)))
    return Check(what, "ok", (time.perf_counter() - began) / times)


@contextmanager
def _using(key: KeyPair | SymmetricKey) -> Iterator[KeyPair | SymmetricKey]:
    with key:
        yield key


def _works_of(key: KeyPair | SymmetricKey) -> list[tuple[str, Callable[[], None]]]:
    """What a key's usage lets it do, with the check of its answer on the host, or by the way back."""
    usage = key.in_token().spec.usage
    works: list[tuple[str, Callable[[], None]]] = []
    if isinstance(key, KeyPair):
        if Usage.SIGN in usage:
            works.append(("sign and verify", lambda: _sign(key)))
        if Usage.DECRYPT in usage:
            works.append(("encrypt and decrypt", lambda: _decrypt(key)))
        if Usage.DERIVE in usage and Usage.SIGN not in usage:
            works.append(("agree", lambda: _agree(key)))
        if Usage.DECAPSULATE in usage:
            works.append(("encapsulate and decapsulate", lambda: _decapsulate(key)))
    elif Usage.ENCRYPT in usage and Usage.DECRYPT in usage and _cipher_mode(key) is not None:
        works.append(("encrypt and decrypt", lambda: _round_trip(key)))
    elif Usage.SIGN in usage:
        works.append(("authenticate", lambda: _authenticate(key)))
    return works


def _sign(key: KeyPair) -> None:
    private: Any
    with as_cng_raises():
        private = key.as_cryptography()
        public = private.public_key()
        arguments: tuple[Any, ...] = ()
        if isinstance(public, rsa.RSAPublicKey):
            arguments = (padding.PKCS1v15(), _SHA256)
        elif isinstance(public, ec.EllipticCurvePublicKey):
            arguments = (ec.ECDSA(_SHA256),)
        elif isinstance(public, dsa.DSAPublicKey):
            arguments = (_SHA256,)
        signature = private.sign(_MESSAGE, *arguments)
    public.verify(signature, _MESSAGE, *arguments)


def _decrypt(key: KeyPair) -> None:
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303 - OAEP needs no more of it
    private: Any
    with as_cng_raises():
        private = key.as_cryptography()
        plaintext = private.decrypt(private.public_key().encrypt(_MESSAGE, oaep), oaep)
    _require(plaintext == _MESSAGE, "what was decrypted is not what was encrypted")


def _agree(key: KeyPair) -> None:
    """Agrees with a copy of the key's own public half, of which no secret is read out."""
    key.agree_with(key.public).destroy()


def _decapsulate(key: KeyPair) -> None:
    secret, ciphertext = key.encapsulate()
    _require(key.decapsulate(ciphertext) == secret, "the two secrets differ")


def _cipher_mode(key: SymmetricKey) -> CipherMode | None:
    """The first mode that the token does with such keys."""
    provider, family = key.algorithm_handle.provider, key.token_key.spec.family.value
    return next((mode for mode in _MODES if provider.offers(family, mode.value) is not Support.REFUSED), None)


def _round_trip(key: SymmetricKey) -> None:
    token_key, mode = key.token_key, _cipher_mode(key)
    if mode is CipherMode.GCM:
        nonce = os.urandom(_NONCE)
        with as_cng_raises():
            cipher = pyca.AESGCM(key)
            plaintext = cipher.decrypt(nonce, cipher.encrypt(nonce, _MESSAGE, None), None)
        _require(plaintext == _MESSAGE, "what was decrypted is not what was encrypted")
        return
    assert mode is not None  # noqa: S101 - it is tried where there is one
    iv = b"" if mode is CipherMode.ECB else os.urandom(key.algorithm_handle.algorithm.block_length or 1)
    spec, block = CipherSpec(mode, iv), bytes(_BLOCK)
    plaintext = token_key.decrypt(spec, token_key.encrypt(spec, block))
    _require(plaintext == block, "what was decrypted is not what was encrypted")


def _authenticate(key: SymmetricKey) -> None:
    token_key = key.token_key
    spec = token_key.spec
    mac_of = HmacSpec(spec.hash_name or "SHA256") if spec.family is SecretFamily.HMAC else CmacSpec()
    first, second = (token_key.mac(mac_of, _MESSAGE) for _ in range(2))
    _require(first == second, "two codes of one message differ")


def _of_key(key: KeyPair | SymmetricKey, times: int) -> list[Check]:
    works = _works_of(key)
    if not works:
        raise not_supported(f"the token lets this {key.algorithm_handle.name} key do nothing that can be tried")
    return [_tried(f"{key.algorithm_handle.name}: {what}", work, times) for what, work in works]


def _of_token(provider: Provider, timeout: float, times: int) -> list[Check]:
    health = provider.health(timeout)
    outcome = "ok" if health else "failed"
    checks = [Check("health", outcome, health.seconds, health.reason or "; ".join(health.warnings))]
    return [*checks, _tried(f"random: {_RANDOM_BYTES} bytes", lambda: _random(provider), times)] if health else checks


def _random(provider: Provider) -> None:
    _require(provider.random(_RANDOM_BYTES) != provider.random(_RANDOM_BYTES), "twice the same random bytes")


def _made(provider: Provider, times: int) -> list[Check]:
    """Keys that end with the command, of what the token has."""
    checks = []
    for algorithm, operation, spec in _MADE:
        if provider.offers(algorithm, operation) is Support.REFUSED:
            continue
        try:
            key = provider.generate_pair(spec) if isinstance(spec, PairSpec) else provider.generate_secret(spec)
        except CngError as error:
            checks.append(Check(f"{algorithm}: generate", "failed", reason=in_options(str(error))))
            continue
        with _using(naming.handle_of(provider, key, None)) as handle:
            # A key that nothing can be tried with is no fault of the token's.
            checks += _of_key(handle, times) if _works_of(handle) else []
    return checks


@click.command()
@click.argument("uri")
@click.argument("name", required=False)
@click.option("--generate", is_flag=True, help="Make keys that end with the command, and try those.")
@click.option("--count", type=click.IntRange(1), default=1, show_default=True, help="How often each thing is done.")
@click.option(
    "--timeout", type=click.FloatRange(0.001), default=5.0, show_default=True, help="Seconds for the token's answer."
)
@json_option
@pin_options
def test(uri: str, name: str | None, generate: bool, count: int, timeout: float, as_json: bool, pin: Pin | None) -> int:
    """Try a token, and with NAME a key of it. Nothing is made unless --generate asks for it.

    Exit status 0: all is well; 1: something failed; 4: an answer was wrong.
    """
    of_one = name is not None or names_a_key(uri)
    target: Target = of_key(uri, name, pin) if of_one else of_provider(uri, pin)
    checks: list[Check] = []
    if of_one:
        key = target.key()
        provider = key.algorithm_handle.provider
        checks = _of_token(provider, timeout, count) + _of_key(key, count)
    else:
        provider = target.provider()
        checks = _of_token(provider, timeout, count)
    if generate:
        checks += _made(provider, count)
    _tell(provider, checks, as_json)
    outcomes = {check.outcome for check in checks}
    return Exit.NOT_VALID if "wrong" in outcomes else Exit.REFUSED if "failed" in outcomes else Exit.OK


def _tell(provider: Provider, checks: list[Check], as_json: bool) -> None:
    if as_json:
        ok = all(check.outcome == "ok" for check in checks)
        print_json({"token": provider.token.label, "ok": ok, "checks": [asdict(check) for check in checks]})
        return
    rows = [
        (check.what, check.outcome, f"{1000 * check.seconds:.2f} ms" if check.seconds else "", check.reason)
        for check in checks
    ]
    print_table(("what", "outcome", "time", "reason"), rows, provider.token.label)
