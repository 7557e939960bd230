"""What the adapters of hwcng.interop refuse, and what they do beside the table of libraries."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from pyca import certificates
from support import needs_module

import hwcng
from hwcng import NTSTATUS, CngError, KeyPair, bcrypt, pyca
from hwcng.interop.needed import needed

if TYPE_CHECKING:
    from hwcng.contract.provider import Provider

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
ADAPTERS = {
    "acme": ("josepy", "account_key"),
    "asyncssh": ("asyncssh", "TokenKeyPair"),
    "joserfc": ("joserfc", "jwk"),
    "paramiko": ("paramiko", "pkey"),
    "pyhanko": ("pyhanko", "TokenSigner"),
}
"""A module of hwcng.interop: the package that it is for, and what it makes of a key."""


def adapter(module: str) -> Any:
    package, name = ADAPTERS[module]
    needs_module(package)
    return getattr(importlib.import_module(f"hwcng.interop.{module}"), name)


def made(token: Provider, algorithm: str, bits: int = 0, **properties: Any) -> KeyPair:
    pair = bcrypt.BCryptGenerateKeyPair(bcrypt.BCryptOpenAlgorithmProvider(algorithm, token), bits)
    for name, value in properties.items():
        bcrypt.BCryptSetProperty(pair, name, value)
    bcrypt.BCryptFinalizeKeyPair(pair)
    return pair


@pytest.fixture(scope="module")
def pair(provider: Provider) -> Iterator[KeyPair]:
    with made(provider, "ECDSA_P256", 256) as key:
        yield key


class Without(MetaPathFinder):
    """As if a package were not installed."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname == self.package:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


@pytest.mark.parametrize("module", ADAPTERS)
def test_a_missing_library_names_the_line_that_installs_it(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    package, _ = ADAPTERS[module]
    for loaded in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.delitem(sys.modules, f"hwcng.interop.{module}", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Without(package), *sys.meta_path])
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module(f"hwcng.interop.{module}")
    assert f"pip install 'hwcng[{module}]'" in str(caught.value) and caught.value.name == package
    assert isinstance(caught.value.__cause__, CngError)
    assert f"\n{module} = [" in PYPROJECT.read_text().partition("[project.optional-dependencies]")[2]


def test_python_pkcs11_is_installed_by_the_line_of_its_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    for loaded in [name for name in sys.modules if name.partition(".")[0] == "pkcs11"]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.delitem(sys.modules, "hwcng.interop.python_pkcs11", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Without("pkcs11"), *sys.meta_path])
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module("hwcng.interop.python_pkcs11")
    assert "pip install 'hwcng[pkcs11]'" in str(caught.value) and caught.value.name == "pkcs11"
    assert isinstance(caught.value.__cause__, CngError)


def test_what_a_library_itself_misses_is_not_taken_for_it() -> None:
    with pytest.raises(ModuleNotFoundError, match="inner") as caught, needed("outer", "extra"):
        raise ModuleNotFoundError("No module named 'inner'", name="inner")
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("module", ADAPTERS)
def test_a_key_of_a_kind_that_the_library_lacks(module: str, provider: Provider) -> None:
    make = adapter(module)
    with made(provider, "DSA", 1024) as key, pytest.raises(UnsupportedAlgorithm, match="use"):
        make(key)


@pytest.mark.parametrize("module", ["acme", "asyncssh", "joserfc", "paramiko"])
def test_a_curve_that_the_library_lacks(module: str, provider: Provider) -> None:
    make = adapter(module)
    with made(provider, "ECDSA", ECCCurveName="brainpoolP256r1") as key, pytest.raises(UnsupportedAlgorithm):
        make(key)


@pytest.mark.parametrize("module", ADAPTERS)
def test_what_is_no_key(module: str) -> None:
    make = adapter(module)
    with pytest.raises(TypeError, match="a URI or a key of hwcng expected"):
        make(b"key")


@pytest.mark.parametrize("curve", ["nistP256", "curve25519"])
def test_joserfc_agrees_where_secrets_may_leave(curve: str, request: pytest.FixtureRequest) -> None:
    jwk = adapter("joserfc")
    from joserfc import jwe
    from joserfc.jwk import ECKey, OKPKey

    header = {"alg": "ECDH-ES", "enc": "A128GCM"}
    its = {"algorithms": list(header.values())}
    uri, pin = (request.getfixturevalue("token_uri"), request.getfixturevalue("token_pin"))
    if curve == "curve25519":
        # SoftHSM has no X25519.
        uri, pin = request.getfixturevalue("nss_current_database").uri, request.getfixturevalue("nss_pin")
    for may_leave in (True, False):
        with (
            hwcng.open_provider(uri, pin=pin, allow_raw_secret=may_leave) as token,
            made(token, "ECDH", ECCCurveName=curve) as key,
        ):
            public = (ECKey if curve == "nistP256" else OKPKey).import_key(key.public_key())
            secret = jwe.encrypt_compact(header, b"secret", public, **its)
            if may_leave:
                assert jwe.decrypt_compact(secret, jwk(key), **its).plaintext == b"secret"
                continue
            with pytest.raises(UnsupportedAlgorithm, match="allow_raw_secret"):
                jwe.decrypt_compact(secret, jwk(key), **its)


def test_asyncssh_is_not_given_sha_1(provider: Provider) -> None:
    make = adapter("asyncssh")
    with made(provider, "RSA", 2048) as key:
        shown = make(key, "a comment")
        assert shown.get_comment() == "a comment"
        assert shown.sig_algorithms == [b"rsa-sha2-512", b"rsa-sha2-256"]
        shown.set_sig_algorithm(b"ssh-rsa")
        with pytest.raises(UnsupportedAlgorithm, match="ssh-rsa is not signed: use one of"):
            shown.sign(b"session")


@pytest.mark.parametrize("digest", ["md5", "sha1"])
def test_pyhanko_is_not_given_a_broken_hash(pair: KeyPair, digest: str) -> None:
    import asyncio

    signer = adapter("pyhanko")(pair, [certificates.certificate(pair.as_cryptography(), "hwcng")])
    with pytest.raises(UnsupportedAlgorithm, match="use one of sha256"):
        asyncio.run(signer.async_sign_raw(b"data", digest))


def test_pyhanko_takes_the_certificates_beside_the_key(provider: Provider) -> None:
    make = adapter("pyhanko")
    with made(provider, "ECDSA_P256", 256) as fresh:
        stored = fresh.persist("pyhanko")
    try:
        with pytest.raises(CngError, match="pass certificates, or store them") as caught:
            make(stored)
        assert caught.value.status is NTSTATUS.STATUS_INVALID_PARAMETER
        authority = certificates.certificate(stored.as_cryptography(), "authority")
        own = certificates.certificate(stored.as_cryptography(), "hwcng", public=stored.public_key(), issuer=authority)
        stored.store_certificates([own])
        signer = make(stored.uri, embed_roots=False)
        assert signer.signing_cert.subject.native == {"common_name": "hwcng"} and signer.embed_roots is False
        assert len(list(make(stored, [own, authority]).cert_registry)) == 1
    finally:
        provider.delete_key("pyhanko")


def test_pyhanko_refuses_the_certificate_of_another_key(pair: KeyPair, provider: Provider) -> None:
    make = adapter("pyhanko")
    with made(provider, "ECDSA_P256", 256) as other:
        its = certificates.certificate(other.as_cryptography(), "other")
        with pytest.raises(CngError, match="the key's own first") as caught:
            make(pair, [its])
    assert caught.value.status is NTSTATUS.STATUS_INVALID_PARAMETER


def test_a_dry_run_of_pyhanko_does_not_ask_the_token(pair: KeyPair, calls: Any) -> None:
    import asyncio

    signer = adapter("pyhanko")(pair, [certificates.certificate(pair.as_cryptography(), "hwcng")])
    with calls() as counter:
        room = asyncio.run(signer.async_sign_raw(b"data", "sha256", dry_run=True))
    assert counter.total == 0
    assert len(room) >= len(asyncio.run(signer.async_sign_raw(b"data", "sha256")))


def test_what_was_opened_is_taken_again(pair: KeyPair) -> None:
    private = pair.as_cryptography()
    assert pyca.private_key(private) is private
    with pytest.raises(TypeError, match="a key is open already"):
        pyca.private_key(private, pin="1234")
