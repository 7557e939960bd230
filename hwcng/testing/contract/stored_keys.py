"""Keys under names: stored, listed, found again by name and by URI in any process, replaced, deleted; certificates."""

from __future__ import annotations

import datetime
import itertools
import pickle
import uuid
from collections.abc import Callable, Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

import hwcng
from hwcng.bcrypt import BCryptSignHash, BCryptVerifySignature
from hwcng.contract.key_names import LONGEST_NAME
from hwcng.contract.keys import PrivateKey, SecretKey
from hwcng.contract.material import EcPublicKey
from hwcng.contract.provider import Provider
from hwcng.contract.specs import CipherSpec, EcdsaSpec, PairSpec, SecretSpec
from hwcng.contract.usage import CipherMode, SecretFamily, Usage
from hwcng.errors import HRESULT, NTSTATUS
from hwcng.hostcrypto import ecc
from hwcng.providers.backends import backend_of, parse_uri
from hwcng.testing.contract.token import OnToken, TokenUnderTest, needs, refused, served

__all__ = ["StoredKeys"]

_PAIR = PairSpec("EC", Usage.SIGN, curve="nistP256")
_AES = SecretSpec(SecretFamily.AES, 256, Usage.ENCRYPT | Usage.DECRYPT)
_VALUE = bytes(range(32))
_DIGEST = bytes(range(32, 64))
_ECB = CipherSpec(CipherMode.ECB)
_SIGNED_ELSEWHERE = """
import sys, hwcng
from hwcng.bcrypt import BCryptSignHash
pin = sys.stdin.read() or None
with hwcng.open_provider(sys.argv[1], pin=pin) as provider:
    hwcng.set_default_provider(provider)
    with hwcng.open_key(sys.argv[2]) as key:
        print(BCryptSignHash(key, None, bytes.fromhex(sys.argv[3])).hex())
"""


def _signs(key: object, public: object) -> bool:
    assert isinstance(key, PrivateKey) and isinstance(public, EcPublicKey)
    ecc.verify(public, EcdsaSpec(), _DIGEST, key.sign_digest(EcdsaSpec(), _DIGEST))
    return key.public == public


class StoredKeys(OnToken):
    @pytest.fixture
    def new_name(self, provider: Provider) -> Iterator[Callable[[], str]]:
        """Names that no key has; the keys that have them by then are deleted."""
        served(lambda: list(provider.list_keys()), "keys under names")
        prefix, numbers, given = f"contract {uuid.uuid4().hex[:8]} ", itertools.count(1), list[str]()

        def name() -> str:
            given.append(f"{prefix}{next(numbers)}")
            return given[-1]

        yield name
        stored = {record.name for record in provider.list_keys()}
        for one in stored & {*given}:
            provider.delete_key(one)

    @pytest.fixture
    def pair(self, provider: Provider) -> PrivateKey:
        needs(provider, "ECDSA", "nistP256")
        return provider.generate_pair(_PAIR)

    def test_a_pair(self, provider: Provider, new_name: Callable[[], str], pair: PrivateKey) -> None:
        name, public = new_name(), pair.public
        stored = provider.persist_key(pair, name)
        assert stored.name == name
        assert _signs(stored, public)
        # What was stored lives on as it was.
        assert pair.name is None and _signs(pair, public)
        assert _signs(provider.open_key(name), public)
        pair.destroy()
        stored.destroy()
        assert _signs(provider.open_key(name), public)
        provider.delete_key(name)
        for verb in (provider.open_key, provider.delete_key):
            with refused(HRESULT.NTE_BAD_KEYSET):
                verb(name)

    def test_a_secret_key(self, provider: Provider, new_name: Callable[[], str]) -> None:
        needs(provider, "AES", "ECB")
        name = new_name()
        key = provider.import_secret(_AES, _VALUE)
        expected = key.encrypt(_ECB, bytes(32))
        provider.persist_key(key, name)
        key.destroy()
        again = provider.open_key(name)
        assert isinstance(again, SecretKey)
        assert (again.name, again.spec) == (name, _AES)
        assert again.encrypt(_ECB, bytes(32)) == expected

    def test_keys_that_are_stored_from_their_first_moment(
        self, provider: Provider, new_name: Callable[[], str]
    ) -> None:
        needs(provider, "ECDSA", "nistP256")
        name = new_name()
        made = provider.named(name).generate_pair(_PAIR)
        assert made.name == name
        assert _signs(provider.open_key(name), made.public)
        with refused(HRESULT.NTE_EXISTS):
            provider.named(name).generate_pair(_PAIR)
        assert _signs(provider.open_key(name), made.public)
        other = provider.named(name, replace=True).generate_pair(_PAIR)
        assert other.public != made.public
        assert _signs(provider.open_key(name), other.public)

    def test_a_name_that_is_taken(self, provider: Provider, new_name: Callable[[], str], pair: PrivateKey) -> None:
        name = new_name()
        provider.persist_key(pair, name)
        other = provider.generate_pair(_PAIR)
        with refused(HRESULT.NTE_EXISTS):
            provider.persist_key(other, name)
        assert _signs(provider.open_key(name), pair.public)
        provider.persist_key(other, name, replace=True)
        assert _signs(provider.open_key(name), other.public)
        assert [record.name for record in provider.list_keys()].count(name) == 1

    @pytest.mark.parametrize("name", ["", "a\0b", "x" * (LONGEST_NAME + 1), "\ud800"])
    def test_names_that_no_key_has(
        self, provider: Provider, new_name: Callable[[], str], pair: PrivateKey, name: str
    ) -> None:
        before = len(list(provider.list_keys()))
        with refused(HRESULT.NTE_INVALID_PARAMETER):
            provider.persist_key(pair, name)
        with refused():
            provider.open_key(name)
        assert len(list(provider.list_keys())) == before

    @pytest.mark.parametrize("tail", ["../up", "a/b", "\u00e4\u4e2d\U0001f511", " ", "%41;x=1?y&z", "x" * 400])
    def test_any_other_name(self, provider: Provider, new_name: Callable[[], str], pair: PrivateKey, tail: str) -> None:
        name = new_name() + tail
        provider.persist_key(pair, name)
        try:
            assert name in [record.name for record in provider.list_keys()]
            assert _signs(provider.open_key(name), pair.public)
            uri = parse_uri(provider.key_uri(name))
            assert backend_of(uri).shown_name(uri) == name
            assert _signs(provider.open_key(backend_of(uri).split(uri)[1]), pair.public)
        finally:
            provider.delete_key(name)

    def test_the_listing(self, provider: Provider, new_name: Callable[[], str], pair: PrivateKey) -> None:
        name = new_name()
        assert name not in [record.name for record in provider.list_keys()]
        provider.persist_key(pair, name)
        (record,) = [record for record in provider.list_keys() if record.name == name]
        assert (record.spec, record.kind, record.usage) == (_PAIR, "EC", Usage.SIGN)
        assert record.uri == provider.key_uri(name)
        assert not record.certificate

    def test_a_uri_of_a_key(self, provider: Provider, new_name: Callable[[], str], pair: PrivateKey) -> None:
        name = new_name()
        provider.persist_key(pair, name)
        uri = parse_uri(provider.key_uri(name))
        backend = backend_of(uri)
        of_token, found = backend.split(uri)
        assert backend.shown_name(uri) == name
        assert _signs(provider.open_key(found), pair.public)
        assert backend.names_a_key(uri) and not backend.names_a_key(of_token)
        assert backend.same_token(of_token, parse_uri(provider.uri))
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            backend.split(of_token)

    def test_another_process(self, token: TokenUnderTest) -> None:
        """The only one at work then: few programs share a TPM that has no resource manager."""
        name = f"contract {uuid.uuid4().hex}"
        with token.open() as provider:
            needs(provider, "ECDSA", "nistP256")
            made = provider.generate_pair(_PAIR)
            stored = served(lambda: provider.persist_key(made, name), "keys under names")
            assert isinstance(stored, PrivateKey)
            public = stored.public
            uri = provider.key_uri(name)
        try:
            signature = bytes.fromhex(token.run(_SIGNED_ELSEWHERE, token.uri, uri, _DIGEST.hex()))
        finally:
            with token.open() as provider:
                provider.delete_key(name)
        assert isinstance(public, EcPublicKey)
        ecc.verify(public, EcdsaSpec(), _DIGEST, signature)

    def test_open_key_and_pickles(
        self, provider: Provider, new_name: Callable[[], str], pair: PrivateKey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        name = new_name()
        provider.persist_key(pair, name)
        monkeypatch.setattr("hwcng.providers.registry._default", provider)
        key = hwcng.open_key(provider.key_uri(name))
        assert isinstance(key, hwcng.KeyPair)
        assert (key.name, key.uri, key.public) == (name, provider.key_uri(name), pair.public)
        again = pickle.loads(pickle.dumps(key))
        assert again.name == name
        BCryptVerifySignature(key, None, _DIGEST, BCryptSignHash(again, None, _DIGEST))
        provider.delete_key(name)
        with refused(HRESULT.NTE_BAD_KEYSET):
            hwcng.open_key(key.uri)

    def test_certificates(self, provider: Provider, new_name: Callable[[], str], pair: PrivateKey) -> None:
        name = new_name()
        provider.persist_key(pair, name)
        assert isinstance(pair.public, EcPublicKey)
        chain = _chain(pair.public)
        served(lambda: provider.store_certificates(name, chain), "certificates")
        assert provider.certificates(name) == chain
        (record,) = [record for record in provider.list_keys() if record.name == name]
        assert record.certificate
        provider.store_certificates(name, [])
        assert provider.certificates(name) == []
        with refused(HRESULT.NTE_BAD_KEYSET):
            provider.store_certificates(new_name(), chain)


def _chain(public: EcPublicKey) -> list[bytes]:
    """A certificate for a key on nistP256, and its issuer's."""
    issuer_key = ec.generate_private_key(ec.SECP256R1())
    host_key = ec.EllipticCurvePublicNumbers(public.x, public.y, ec.SECP256R1()).public_key()
    issuer, subject = (
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"{text} {public.x:x}"[:60])]) for text in ("CA", "key")
    )
    began, ended = datetime.datetime(2020, 1, 1), datetime.datetime(2040, 1, 1)
    certificates = [
        x509.CertificateBuilder(issuer, name, key, x509.random_serial_number(), began, ended)
        .add_extension(x509.BasicConstraints(ca=name == issuer, path_length=None), critical=True)
        .sign(issuer_key, hashes.SHA256())
        for name, key in ((subject, host_key), (issuer, issuer_key.public_key()))
    ]
    return [certificate.public_bytes(Encoding.DER) for certificate in certificates]
