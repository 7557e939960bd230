"""Certificates that a token keeps beside its keys: NCRYPT_CERTIFICATE_PROPERTY, `hwcng.open_certificate`, chains."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pyca.certificates import certificate
from support import missing_on, needs

import hwcng
from hwcng import HRESULT, NTSTATUS, CngError, ncrypt
from hwcng.errors import CngError as Failure
from hwcng.ncrypt import NCRYPT_CERTIFICATE_PROPERTY, NCryptGetProperty, NCryptSetProperty

if TYPE_CHECKING:
    from pathlib import Path

    from hwcng.contract.provider import Provider
    from hwcng.testing.softhsm import SoftHsm

NAME = "a certified key"


def der(made: x509.Certificate) -> bytes:
    return made.public_bytes(serialization.Encoding.DER)


class Chain(NamedTuple):
    """Of a key in a token: its own, then an authority's, then the root's."""

    own: x509.Certificate
    authority: x509.Certificate
    root: x509.Certificate


class Host(NamedTuple):
    key: ec.EllipticCurvePrivateKey
    root: x509.Certificate
    authority_key: ec.EllipticCurvePrivateKey
    authority: x509.Certificate


@pytest.fixture(scope="module")
def host() -> Host:
    """Authorities whose keys are the host's; their names are those of this run, as NSS knows one per name."""
    key, below = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    own = os.urandom(4).hex()
    root = certificate(key, f"root {own}")
    return Host(key, root, below, certificate(key, f"authority {own}", below.public_key(), root))


def chain_for(host: Host, public: Any, common: str = "an end") -> Chain:
    own = certificate(host.authority_key, f"{common} {os.urandom(4).hex()}", public, host.authority)
    return Chain(own, host.authority, host.root)


def make_named(token: Provider, name: str = NAME) -> ncrypt.NCryptKey:
    storage = ncrypt.NCryptOpenStorageProvider(token)
    key = ncrypt.NCryptCreatePersistedKey(
        storage, ncrypt.NCRYPT_ECDSA_P256_ALGORITHM, name, 0, ncrypt.NCRYPT_OVERWRITE_KEY_FLAG
    )
    ncrypt.NCryptFinalizeKey(key)
    return key


@pytest.fixture
def named(token: Provider) -> Iterator[ncrypt.NCryptKey]:
    """A named pair on each token that keeps keys; it goes at the end, if it is still there."""
    needs(token, "ECDSA", "nistP256")
    try:
        key = make_named(token)
    except CngError as error:
        missing_on(token, f"named keys ({error.status})")
    yield key
    for record in list(token.list_keys()):
        if record.name.startswith(NAME):
            token.delete_key(record.address or record.name)


@pytest.fixture
def pair(named: ncrypt.NCryptKey) -> hwcng.KeyPair:
    assert isinstance(named.key, hwcng.KeyPair)
    return named.key


def certified(token: Provider) -> list[bool]:
    return [record.certificate for record in token.list_keys() if record.name == NAME]


def refused(status: object, **kwargs: Any) -> Any:
    return pytest.raises(Failure, check=lambda error: error.status == status, **kwargs)


def test_the_property_reads_and_writes_one(named: ncrypt.NCryptKey, token: Provider, host: Host) -> None:
    with refused(HRESULT.NTE_NOT_FOUND):
        NCryptGetProperty(named, NCRYPT_CERTIFICATE_PROPERTY)
    assert certified(token) == [False]
    first, second = (der(chain_for(host, named.public_key()).own) for _ in range(2))
    for stored in (first, first, second, bytearray(first)):
        NCryptSetProperty(named, NCRYPT_CERTIFICATE_PROPERTY, stored)
        assert NCryptGetProperty(named, NCRYPT_CERTIFICATE_PROPERTY) == bytes(stored)
        assert certified(token) == [True]
    again = ncrypt.NCryptOpenKey(ncrypt.NCryptOpenStorageProvider(token), NAME)
    assert NCryptGetProperty(again, NCRYPT_CERTIFICATE_PROPERTY) == first
    NCryptSetProperty(again, NCRYPT_CERTIFICATE_PROPERTY, b"")
    with refused(HRESULT.NTE_NOT_FOUND):
        NCryptGetProperty(named, NCRYPT_CERTIFICATE_PROPERTY)
    assert certified(token) == [False]


def test_a_chain(pair: hwcng.KeyPair, token: Provider, host: Host) -> None:
    assert pair.certificates == ()
    chain = chain_for(host, pair.public_key())
    pair.store_certificates(chain)
    assert pair.certificates == chain
    pair.store_certificates([der(chain.own), chain.authority])
    assert pair.certificates[:2] == chain[:2]
    other = chain_for(host, pair.public_key(), "a later end")
    pair.store_certificates(iter(other))
    assert pair.certificates == other
    pair.store_certificates([])
    assert pair.certificates == ()


def test_a_renewed_one_stands_under_the_issuers_that_there_are(named: ncrypt.NCryptKey, host: Host) -> None:
    assert isinstance(named.key, hwcng.KeyPair)
    named.key.store_certificates(chain_for(host, named.public_key()))
    renewed = chain_for(host, named.public_key(), "renewed")
    NCryptSetProperty(named, NCRYPT_CERTIFICATE_PROPERTY, der(renewed.own))
    assert named.key.certificates == renewed
    signed_by_itself = certificate(named.as_cryptography(), "an end alone")
    NCryptSetProperty(named, NCRYPT_CERTIFICATE_PROPERTY, der(signed_by_itself))
    assert named.key.certificates == (signed_by_itself,)


def test_what_is_no_chain_of_the_key_is_not_stored(pair: hwcng.KeyPair, host: Host) -> None:
    chain = chain_for(host, pair.public_key())
    pair.store_certificates(chain)
    foreign = chain_for(host, ec.generate_private_key(ec.SECP256R1()).public_key())
    for wrong in (
        foreign,
        [chain.authority],
        [chain.own, chain.root],
        [chain.own, foreign.own],
        [b"no DER"],
        [b""],
        [1],
    ):
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            pair.store_certificates(wrong)  # type: ignore[arg-type]
    with refused(NTSTATUS.STATUS_INVALID_PARAMETER, match=r"x509\.load_pem_x509_certificates"):
        pair.store_certificates([chain.own.public_bytes(serialization.Encoding.PEM)])
    with refused(NTSTATUS.STATUS_INVALID_PARAMETER, match="list"):
        pair.store_certificates(der(chain.own))  # type: ignore[arg-type]
    assert pair.certificates == chain


def test_it_goes_with_its_key(named: ncrypt.NCryptKey, token: Provider, host: Host) -> None:
    assert isinstance(named.key, hwcng.KeyPair)
    named.key.store_certificates(chain_for(host, named.public_key()))
    replacing = make_named(token)
    assert isinstance(replacing.key, hwcng.KeyPair) and replacing.key.certificates == ()
    replacing.key.store_certificates(chain_for(host, replacing.public_key()))
    ncrypt.NCryptDeleteKey(replacing)
    with refused(HRESULT.NTE_BAD_KEYSET):
        token.certificates(NAME)
    again = make_named(token)
    assert isinstance(again.key, hwcng.KeyPair) and again.key.certificates == ()


def test_keys_under_one_authority_keep_their_chains(named: ncrypt.NCryptKey, token: Provider, host: Host) -> None:
    other = make_named(token, f"{NAME} 2")
    chains = [chain_for(host, key.public_key()) for key in (named, other)]
    for key, chain in zip((named, other), chains, strict=True):
        assert isinstance(key.key, hwcng.KeyPair)
        key.key.store_certificates(chain)
    ncrypt.NCryptDeleteKey(named)
    assert isinstance(other.key, hwcng.KeyPair) and other.key.certificates == chains[1]


def test_by_its_uri(pair: hwcng.KeyPair, token: Provider, host: Host) -> None:
    chain = chain_for(host, pair.public_key())
    hwcng.set_default_provider(token)
    try:
        with refused(HRESULT.NTE_NOT_FOUND, match="no certificate"):
            hwcng.open_certificate(pair.uri)
        pair.store_certificates(chain)
        assert hwcng.open_certificate(pair.uri) == chain.own
        if pair.uri.startswith("pkcs11:"):
            assert hwcng.open_certificate(pair.uri.replace("type=private", "type=cert")) == chain.own
        elsewhere = pair.uri.replace("a%20certified%20key", "nowhere").replace("id=", "id=%00")
        with refused(HRESULT.NTE_BAD_KEYSET):
            hwcng.open_certificate(elsewhere)
    finally:
        hwcng.set_default_provider(None)


def test_one_without_a_key(pair: hwcng.KeyPair, token: Provider, host: Host) -> None:
    """An authority's, which a chain brought: it is found by its own label, and so is what stands above it."""
    if not token.uri.startswith("pkcs11:"):
        missing_on(token, "certificates without keys")
    pair.store_certificates(chain_for(host, pair.public_key()))
    label = host.authority.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
    assert token.certificates(str(label)) == [der(host.authority), der(host.root)]


def test_keys_that_keep_none(provider: Provider) -> None:
    from hwcng import bcrypt

    handle = bcrypt.BCryptOpenAlgorithmProvider("ECDSA_P256", provider)
    session = bcrypt.BCryptGenerateKeyPair(handle, 256)
    bcrypt.BCryptFinalizeKeyPair(session)
    for what in (lambda: session.certificates, lambda: session.store_certificates([])):
        with refused(NTSTATUS.STATUS_NOT_SUPPORTED, match="persist"):
            what()
    storage = ncrypt.NCryptOpenStorageProvider(provider)
    unfinished = ncrypt.NCryptCreatePersistedKey(storage, ncrypt.NCRYPT_ECDSA_P256_ALGORITHM, None)
    with refused(HRESULT.NTE_BAD_KEY_STATE):
        NCryptSetProperty(unfinished, NCRYPT_CERTIFICATE_PROPERTY, b"")
    ncrypt.NCryptFinalizeKey(unfinished)
    with refused(HRESULT.NTE_NOT_FOUND):
        NCryptGetProperty(unfinished, NCRYPT_CERTIFICATE_PROPERTY)


@pytest.mark.parametrize("function", ["C_CreateObject", "C_DestroyObject", "C_FindObjectsInit", "C_GetAttributeValue"])
def test_a_call_that_fails_loses_no_certificate(function: str, fresh_provider: Provider, host: Host) -> None:
    """There is the old one or the new one, and what is left over goes with the next."""
    from hwcng.testing.faults import FaultInjector

    key = make_named(fresh_provider)
    assert isinstance(key.key, hwcng.KeyPair)
    pair = key.key
    try:
        for nth in range(1, 30):
            before, after = (chain_for(host, pair.public_key()) for _ in range(2))
            pair.store_certificates(before)
            with FaultInjector(fresh_provider) as faults:  # type: ignore[arg-type]
                faults.fail(function, 0x30, nth=nth)
                try:
                    pair.store_certificates(after)
                except CngError:
                    assert faults.injected
                if not faults.injected:
                    break
            assert pair.certificates in (before, after)
        else:
            raise AssertionError("every call failed")
        assert nth > 1 and pair.certificates == after
        ncrypt.NCryptSetProperty(key, NCRYPT_CERTIFICATE_PROPERTY, b"")
        assert pair.certificates == ()
    finally:
        ncrypt.NCryptDeleteKey(key)


def test_certificates_of_another_key_with_the_same_id_stay(provider: Provider, host: Host) -> None:
    """Other software gives its keys short ids."""
    from pkcs11 import Attribute
    from store import foreign

    from hwcng.providers.pkcs11 import objects

    foreign.create(provider, foreign.private_key(NAME, b"\x01", 71))  # type: ignore[arg-type]
    foreign.create(provider, foreign.public_key(NAME, b"\x01", 71))  # type: ignore[arg-type]
    foreign.create(provider, foreign.certificate("another", b"\x01", foreign.ec_public(72)))  # type: ignore[arg-type]
    sought = {Attribute.TOKEN: True, Attribute.LABEL: "another"}
    connection = provider._connection  # type: ignore[attr-defined]
    hwcng.set_default_provider(provider)
    try:
        pair = hwcng.open_key(provider.key_uri(NAME))
        assert isinstance(pair, hwcng.KeyPair) and pair.certificates == ()
        for chain in (chain_for(host, pair.public_key()), chain_for(host, pair.public_key()), ()):
            pair.store_certificates(chain)
            assert pair.certificates == tuple(chain)
            assert len(objects.find(connection, sought)) == 1
    finally:
        hwcng.set_default_provider(None)
        provider.delete_key(NAME)
        for handle in objects.find(connection, sought):
            with connection.owning() as session:
                assert connection.cryptoki.C_DestroyObject(session.handle, handle) == 0


@pytest.mark.parametrize(
    "tampered", [b"", b"no PEM", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_tpms_file_that_holds_something_else(tampered: bytes, swtpm_provider: Provider, host: Host) -> None:
    key = make_named(swtpm_provider)
    try:
        assert isinstance(key.key, hwcng.KeyPair)
        key.key.store_certificates(chain_for(host, key.public_key()))
        path = swtpm_provider._keys.files.path_beside(NAME)  # type: ignore[attr-defined]
        assert path.stat().st_mode & 0o077 == 0
        path.write_bytes(tampered)
        with refused(HRESULT.NTE_KEYSET_ENTRY_BAD, match="something else"):
            NCryptGetProperty(key, NCRYPT_CERTIFICATE_PROPERTY)
        assert path.read_bytes() == tampered
        mended = chain_for(host, key.public_key()).own
        NCryptSetProperty(key, NCRYPT_CERTIFICATE_PROPERTY, der(mended))
        assert NCryptGetProperty(key, NCRYPT_CERTIFICATE_PROPERTY) == der(mended)
        # That of a key that had the name before: a crash may leave it.
        stale = chain_for(host, ec.generate_private_key(ec.SECP256R1()).public_key()).own
        path.write_bytes(stale.public_bytes(serialization.Encoding.PEM))
        with refused(HRESULT.NTE_NOT_FOUND):
            NCryptGetProperty(key, NCRYPT_CERTIFICATE_PROPERTY)
    finally:
        ncrypt.NCryptDeleteKey(key)
    assert not path.exists()


@pytest.mark.requires("command:pkcs11-tool")
def test_pkcs11_tool_reads_and_writes_them(
    softhsm: SoftHsm, provider: Provider, token_pin: str, host: Host, tmp_path: Path
) -> None:
    from hwcng.providers.backends import parse_uri
    from hwcng.providers.pkcs11.uri import Pkcs11Uri

    key = make_named(provider)
    environ = {**os.environ, **softhsm.environ(), "TOOL_PIN": token_pin}
    tool = ["pkcs11-tool", "--module", str(softhsm.module), "--token-label", provider.token.label, "--login"]
    tool += ["--pin", "env:TOOL_PIN", "--type", "cert"]
    try:
        assert isinstance(key.key, hwcng.KeyPair)
        first, second = (chain_for(host, key.public_key()).own for _ in range(2))
        key.key.store_certificates([first])
        read = [*tool, "--read-object", "--label", NAME, "--output-file", str(tmp_path / "read.der")]
        subprocess.run(read, env=environ, check=True, capture_output=True, timeout=60)
        assert (tmp_path / "read.der").read_bytes() == der(first)
        key.key.store_certificates([])
        hwcng.set_default_provider(provider)
        uri = parse_uri(key.uri)
        assert isinstance(uri, Pkcs11Uri)
        place = provider._store.place_of(NAME)  # type: ignore[attr-defined]
        (tmp_path / "written.der").write_bytes(der(second))
        write = [*tool, "--write-object", str(tmp_path / "written.der"), "--label", "of a tool"]
        subprocess.run(
            [*write, "--id", place.identifier.hex()], env=environ, check=True, capture_output=True, timeout=60
        )
        assert hwcng.open_certificate(key.uri) == second
        assert NCryptGetProperty(key, NCRYPT_CERTIFICATE_PROPERTY) == der(second)
    finally:
        hwcng.set_default_provider(None)
        provider.delete_key(NAME)
        key.key.destroy()
