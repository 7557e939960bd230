"""What a caller sees who asks for too much: what `cryptography` raises, in one line, with a CngError as its cause."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, padding, rsa, utils, x25519
from pyca.kinds import KINDS, Kind
from pyca.pairs import make_pair, needs_host
from support import missing_on, needs, needs_bits, needs_module

import hwcng
from hwcng import HRESULT, NTSTATUS, CngError, Usage, ncrypt, pyca
from hwcng.testing.calls import CallCounter
from hwcng.testing.faults import FaultInjector

if TYPE_CHECKING:
    from hwcng.contract.provider import Provider
    from hwcng.testing.softhsm import SoftHsm

MESSAGE = b"a message"
SHA256, SHA384 = hashes.SHA256(), hashes.SHA384()
PKCS1 = padding.PKCS1v15()
OAEP = padding.OAEP(padding.MGF1(SHA256), SHA256, None)
PSS = padding.PSS(padding.MGF1(SHA256), 32)
PEER = ec.generate_private_key(ec.SECP256R1()).public_key()
DEVICE_REMOVED = 0x32
ASKS_NO_TOKEN = {("HMAC", "update"), ("ML-DSA", "sign_mu")}

Call = Callable[[Any], object]
Refused = tuple[Call, type[Exception], str]

RSA: dict[str, Refused] = {
    "a hash that no token has": (
        lambda key: key.sign(MESSAGE, PKCS1, hashes.BLAKE2s(32)),
        UnsupportedAlgorithm,
        "use one of",
    ),
    "a digest of another length": (
        lambda key: key.sign(b"short", PKCS1, utils.Prehashed(SHA256)),
        ValueError,
        "32 bytes for sha256, not 5",
    ),
    "a padding of encryption": (lambda key: key.sign(MESSAGE, OAEP, SHA256), UnsupportedAlgorithm, "use PSS or"),
    "two hashes": (
        lambda key: key.sign(MESSAGE, padding.PSS(padding.MGF1(SHA384), 32), SHA256),
        UnsupportedAlgorithm,
        "MGF1 with sha256, not sha384",
    ),
    "a salt of any length": (
        lambda key: key.sign(MESSAGE, padding.PSS(padding.MGF1(SHA256), padding.PSS.AUTO), SHA256),
        ValueError,
        "when verifying",
    ),
    "a salt that is too long": (
        lambda key: key.sign(MESSAGE, padding.PSS(padding.MGF1(SHA256), 250), SHA256),
        ValueError,
        "block of",
    ),
    "no digest info with PSS": (
        lambda key: key.sign(MESSAGE, PSS, utils.NoDigestInfo()),
        TypeError,
        "goes with PKCS1v15",
    ),
    "a name of a hash": (lambda key: key.sign(MESSAGE, PKCS1, "sha256"), TypeError, "instance of hashes"),
    "a name of a padding": (lambda key: key.sign(MESSAGE, "PSS", SHA256), TypeError, "instance of Asymmetric"),
    "a ciphertext of another length": (lambda key: key.decrypt(b"short", PKCS1), ValueError, "256 bytes"),
    "a padding of signatures": (lambda key: key.decrypt(bytes(256), PSS), UnsupportedAlgorithm, "use OAEP or"),
    "what does not decrypt": (lambda key: key.decrypt(bytes(255) + b"\1", OAEP), ValueError, "decryption error"),
    "its private numbers": (lambda key: key.private_numbers(), UnsupportedAlgorithm, "use the key itself"),
}
EC: dict[str, Refused] = {
    "a digest of another length": (
        lambda key: key.sign(b"short", ec.ECDSA(utils.Prehashed(SHA384))),
        ValueError,
        "48 bytes for sha384, not 5",
    ),
    "a hash in place of a scheme": (lambda key: key.sign(MESSAGE, SHA256), UnsupportedAlgorithm, r"use ec\.ECDSA"),
    "no random numbers": (
        lambda key: key.sign(MESSAGE, ec.ECDSA(SHA256, deterministic_signing=True)),
        UnsupportedAlgorithm,
        "without deterministic_signing",
    ),
    "agreement with a key that signs": (
        lambda key: key.exchange(ec.ECDH(), PEER),
        UnsupportedAlgorithm,
        "Usage has DERIVE",
    ),
    "a signature for an agreement": (
        lambda key: key.exchange(ec.ECDSA(SHA256), PEER),
        UnsupportedAlgorithm,
        r"use ec\.ECDH",
    ),
    "a peer of another kind": (
        lambda key: key.exchange(ec.ECDH(), x25519.X25519PrivateKey.generate().public_key()),
        TypeError,
        "must be an EllipticCurvePublicKey",
    ),
    "a peer on another curve": (
        lambda key: key.exchange(ec.ECDH(), ec.generate_private_key(ec.SECP384R1()).public_key()),
        ValueError,
        "same curve",
    ),
}


def refusal(call: Callable[[], object], kind: type[Exception], says: str) -> CngError:
    """The cause. Raised is the very class and no other, and what it says is one line."""
    with pytest.raises(kind, match=says) as caught:
        call()
    assert caught.type is kind and "\n" not in str(caught.value)
    cause = caught.value.__cause__
    assert isinstance(cause, CngError) and cause.message in str(caught.value)
    return cause


@pytest.fixture(scope="module")
def rsa_key(token: Provider) -> Iterator[Any]:
    needs_bits(token, "RSA", 2048)
    with make_pair(token, "RSA", 2048) as made:
        yield made.as_cryptography()


@pytest.fixture(scope="module")
def ec_key(token: Provider) -> Iterator[Any]:
    needs(token, "ECDSA", "nistP256")
    with make_pair(token, "ECDSA", ECCCurveName="nistP256") as made:
        yield made.as_cryptography()


@pytest.fixture
def tool(softhsm: SoftHsm, provider: Provider, token_pin: str) -> Callable[..., None]:
    """pkcs11-tool on SoftHSM."""
    command = ["pkcs11-tool", "--module", str(softhsm.module), "--token-label", provider.token.label, "--login"]
    environ = {**os.environ, **softhsm.environ(), "TOOL_PIN": token_pin}

    def run(*words: str) -> None:
        said = [*command, "--pin", "env:TOOL_PIN", *words]
        subprocess.run(said, env=environ, check=True, capture_output=True, timeout=60)

    return run


@pytest.mark.parametrize("what", RSA)
def test_of_an_rsa_key(what: str, rsa_key: Any) -> None:
    call, kind, says = RSA[what]
    refusal(lambda: call(rsa_key), kind, says)


@pytest.mark.parametrize("what", EC)
def test_of_a_key_on_a_curve(what: str, ec_key: Any) -> None:
    call, kind, says = EC[what]
    refusal(lambda: call(ec_key), kind, says)


def test_of_a_key_that_signs_only(token: Provider) -> None:
    needs(token, "RSA", "PKCS1")
    with pyca.import_private_key(token, rsa.generate_private_key(65537, 2048), usage=Usage.SIGN) as pair:
        key: Any = pair.as_cryptography()
        for scheme in (PKCS1, OAEP):
            decrypt = partial(key.decrypt, bytes(256), scheme)
            cause = refusal(decrypt, UnsupportedAlgorithm, "use one whose Usage has DECRYPT")
            assert cause.status is NTSTATUS.STATUS_NOT_SUPPORTED and cause.token_code is None


def test_of_a_key_that_decrypts_only(token: Provider) -> None:
    needs(token, "RSA", "PKCS1")
    with pyca.import_private_key(token, rsa.generate_private_key(65537, 2048), usage=Usage.DECRYPT) as pair:
        key: Any = pair.as_cryptography()
        for scheme in (PKCS1, PSS):
            refusal(partial(key.sign, MESSAGE, scheme, SHA256), UnsupportedAlgorithm, "use one whose Usage has SIGN")


def test_of_a_key_that_agrees_only(token: Provider) -> None:
    needs(token, "ECDH", "nistP256")
    with make_pair(token, "ECDH", ECCCurveName="nistP256") as pair:
        key: Any = pair.as_cryptography()
        refusal(lambda: key.sign(MESSAGE, ec.ECDSA(SHA256)), UnsupportedAlgorithm, "use one whose Usage has SIGN")


@pytest.mark.parametrize("algorithm", [hashes.SHA512_256(), hashes.SM3()], ids=lambda one: one.name)
def test_of_a_hash_that_cng_lacks(algorithm: hashes.HashAlgorithm, rsa_key: Any) -> None:
    for scheme in (PKCS1, padding.PSS(padding.MGF1(algorithm), 32)):
        refusal(partial(rsa_key.sign, MESSAGE, scheme, algorithm), UnsupportedAlgorithm, f"{algorithm.name} is no hash")


@pytest.mark.requires("command:pkcs11-tool")
def test_of_a_hash_that_the_token_lacks(provider: Provider, tool: Callable[..., None]) -> None:
    """A generic secret is a key for HMAC of any hash that its token has, and SoftHSM has none of SHA-3."""
    tool("--keygen", "--key-type", "GENERIC:32", "--label", "a secret", "--usage-sign")
    storage = ncrypt.NCryptOpenStorageProvider(provider)
    with ncrypt.NCryptOpenKey(storage, "a secret") as key:
        for algorithm in (hashes.SHA256(), hashes.SHA3_256()):
            running = pyca.HMAC(key, algorithm)
            running.update(MESSAGE)
            if algorithm.name == "sha256":
                assert len(running.finalize()) == 32
                continue
            cause = refusal(running.finalize, UnsupportedAlgorithm, "SHA3-256")
            assert cause.status is NTSTATUS.STATUS_NOT_SUPPORTED
    provider.delete_key("a secret")


def test_of_a_curve_that_an_installed_cryptography_lacks(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    needs(provider, "ECDSA", "brainpoolP256r1")
    with make_pair(provider, "ECDSA", ECCCurveName="brainpoolP256r1") as pair:
        monkeypatch.delattr(ec, "BrainpoolP256R1")
        for call in (pair.as_cryptography, lambda: pyca.private_key(pair)):
            cause = refusal(call, UnsupportedAlgorithm, "brainpoolP256r1")
            assert cause.status is NTSTATUS.STATUS_NOT_SUPPORTED


@pytest.mark.requires("command:pkcs11-tool")
def test_of_a_curve_that_nobody_here_has(provider: Provider, tool: Callable[..., None]) -> None:
    """To open a key raises CngError itself."""
    tool("--keypairgen", "--key-type", "EC:brainpoolP224r1", "--label", "odd curve")
    hwcng.set_default_provider(provider)
    try:
        with pytest.raises(CngError, match=r"another curve than .*nistP256") as caught:
            pyca.private_key(provider.key_uri("odd curve"))
    finally:
        hwcng.set_default_provider(None)
        provider.delete_key("odd curve")
    assert caught.value.status is HRESULT.NTE_NOT_SUPPORTED


def test_of_a_key_that_is_gone(fresh_provider: Provider) -> None:
    pair = make_pair(fresh_provider, "ECDSA", ECCCurveName="nistP256")
    key: Any = pair.as_cryptography()
    pair.destroy()
    cause = refusal(lambda: key.sign(MESSAGE, ec.ECDSA(SHA256)), ValueError, "destroyed")
    assert cause.status is NTSTATUS.STATUS_INVALID_HANDLE
    other: Any = make_pair(fresh_provider, "ECDSA", ECCCurveName="nistP256").as_cryptography()
    fresh_provider.close()
    refusal(lambda: other.sign(MESSAGE, ec.ECDSA(SHA256)), ValueError, "closed")


def in_token(kind: Kind, theirs: Any, token: Provider) -> Any:
    try:
        return kind.in_token(token, theirs)
    except UnsupportedAlgorithm:
        missing_on(token, type(theirs).__name__)


@pytest.mark.parametrize("title", KINDS)
def test_of_a_token_that_is_pulled_out_in_the_middle(title: str, own_token: Provider) -> None:
    """Whichever call of the module meets it."""
    needs_host(title)
    kind = KINDS[title]
    theirs = kind.software()
    tried = 0
    for method in kind.methods:
        arguments = method.good(theirs)
        ours = in_token(kind, theirs, own_token)
        with suppress(UnsupportedAlgorithm):
            getattr(ours, method.name)(**arguments)
        with CallCounter(own_token) as calls, suppress(UnsupportedAlgorithm):  # type: ignore[arg-type]
            getattr(ours, method.name)(**arguments)
        # An answer is there before what it was made of is destroyed.
        for function in {name.partition(" ")[0] for name in calls.names} - {"C_DestroyObject"}:
            # What was made before the loss is gone with it.
            ours = in_token(kind, theirs, own_token)
            with FaultInjector(own_token) as faults:  # type: ignore[arg-type]
                faults.fail(function, DEVICE_REMOVED)
                cause = refusal(partial(getattr(ours, method.name), **arguments), ValueError, "CKR_DEVICE_REMOVED")
            assert cause.token_code == DEVICE_REMOVED
            tried += 1
    assert tried


@pytest.mark.parametrize("name", [None, "destroyed"])
@pytest.mark.parametrize("title", [title for title, kind in KINDS.items() if kind.is_pair])
def test_of_a_pair_that_is_destroyed(title: str, name: str | None, own_token: Provider) -> None:
    """A key with a name lives on in its token, but not for who destroyed his."""
    needs_host(title)
    kind = KINDS[title]
    theirs = kind.software()
    for used_before in (False, True):
        try:
            pair = pyca.import_private_key(own_token, theirs, name, usage=kind.usage)
        except UnsupportedAlgorithm:
            missing_on(own_token, title)
        ours: Any = pair.as_cryptography()
        for method in kind.methods:
            arguments = method.good(theirs)
            if used_before:
                with suppress(UnsupportedAlgorithm):
                    getattr(ours, method.name)(**arguments)
        pair.destroy()
        for method in kind.methods:
            cause = refusal(partial(getattr(ours, method.name), **method.good(theirs)), ValueError, "is destroyed")
            assert cause.status is NTSTATUS.STATUS_INVALID_HANDLE
        if name is not None:
            own_token.delete_key(name)


@pytest.mark.parametrize("title", KINDS)
def test_of_a_token_that_is_closed(title: str, own_token: Provider) -> None:
    needs_host(title)
    kind = KINDS[title]
    theirs = kind.software()
    ours = in_token(kind, theirs, own_token)
    own_token.close()
    for method in kind.methods:
        if (title, method.name) not in ASKS_NO_TOKEN:
            cause = refusal(partial(getattr(ours, method.name), **method.good(theirs)), ValueError, "closed")
            assert cause.status is NTSTATUS.STATUS_INVALID_HANDLE


@pytest.mark.requires("command:swtpm")
@pytest.mark.parametrize("title", KINDS)
def test_of_a_tpm_that_goes_in_the_middle(title: str) -> None:
    needs_module("tpm2_pytss")
    from hwcng.testing.swtpm import Swtpm

    needs_host(title)
    kind = KINDS[title]
    theirs = kind.software()
    with Swtpm() as running, hwcng.open_provider(running.uri, allow_raw_secret=True) as token:
        ours = [(method, in_token(kind, theirs, token)) for method in kind.methods]
        for method, key in ours:
            getattr(key, method.name)(**method.good(theirs))
        running.kill()
        for method, key in ours:
            if (title, method.name) not in ASKS_NO_TOKEN:
                refusal(
                    partial(getattr(key, method.name), **method.good(theirs)), ValueError, "swtpm at .*is it running"
                )


def test_of_what_is_no_key() -> None:
    refusal(lambda: pyca.private_key(b"key"), TypeError, "a URI or a key of hwcng expected")  # type: ignore[arg-type]


SOFTWARE = ec.generate_private_key(ec.SECP256R1())
IMPORTS: dict[str, tuple[Callable[[Provider], object], type[Exception], str]] = {
    "a URI": (lambda token: pyca.import_private_key(token.uri, SOFTWARE), TypeError, "not str"),  # type: ignore[arg-type]
    "a storage provider": (
        lambda token: pyca.import_private_key(ncrypt.NCryptOpenStorageProvider(token), SOFTWARE),  # type: ignore[arg-type]
        TypeError,
        r"a provider of hwcng\.open_provider",
    ),
    "PEM": (lambda token: pyca.import_private_key(token, b"PEM"), TypeError, "load_pem_private_key"),  # type: ignore[arg-type]
    "a public key": (lambda token: pyca.import_private_key(token, PEER), TypeError, "not ECPublicKey"),  # type: ignore[arg-type]
    "another kind": (
        lambda token: pyca.import_private_key(token, ed448.Ed448PrivateKey.generate()),
        UnsupportedAlgorithm,
        "Ed448PrivateKey",
    ),
    "a text for a usage": (
        lambda token: pyca.import_private_key(token, SOFTWARE, usage="SIGN"),  # type: ignore[arg-type]
        TypeError,
        r"hwcng\.Usage",
    ),
    "no usage": (
        lambda token: pyca.import_private_key(token, SOFTWARE, usage=Usage.NONE),
        UnsupportedAlgorithm,
        r"SIGN \| DERIVE",
    ),
    "another kind's usage": (
        lambda token: pyca.import_private_key(token, SOFTWARE, usage=Usage.SIGN | Usage.DECRYPT),
        UnsupportedAlgorithm,
        r"SIGN \| DERIVE",
    ),
    "a name that is none": (lambda token: pyca.import_private_key(token, SOFTWARE, ""), ValueError, "a key's name"),
}


@pytest.mark.parametrize("what", IMPORTS)
def test_of_an_import(what: str, provider: Provider, calls: Callable[..., CallCounter]) -> None:
    """Nothing of it reaches the token."""
    call, kind, says = IMPORTS[what]
    with calls() as counted:
        refusal(lambda: call(provider), kind, says)
    assert "C_CreateObject" not in counted.names


def test_of_a_software_key_in_place_of_a_tokens() -> None:
    refusal(lambda: pyca.private_key(SOFTWARE), TypeError, "import_private_key puts one into a token")


def test_of_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """To open a key raises CngError itself."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "tpm2_pytss"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tpm2_pytss", None)
    for name in [name for name in sys.modules if name.startswith("hwcng.providers.tpm2")]:
        monkeypatch.delitem(sys.modules, name)
    importlib.invalidate_caches()
    with pytest.raises(CngError, match=r"pip install 'hwcng\[tpm2\]'"):
        hwcng.pyca.private_key("tpm2:swtpm:path=/nonexistent?object=key")
