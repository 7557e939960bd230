"""No secret on the bus: every octet of the line is recorded and searched, with sessions and, as a control, without."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from tpm2.helpers import key_with_pin, set_owner_auth

from hwcng.contract.material import EcPrivateKey, EcPublicKey, RsaPrivateKey, RsaPublicKey
from hwcng.contract.specs import CipherSpec, HmacSpec, PairSpec, RsaOaepSpec, RsaPkcs1DecryptSpec, SecretSpec
from hwcng.contract.usage import CipherMode, SecretFamily, Usage
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.testing.commands import CommandCounter
from hwcng.testing.swtpm import Swtpm

BOTH = Usage.ENCRYPT | Usage.DECRYPT


def run(provider: Tpm2Provider) -> tuple[dict[str, bytes], bytes]:
    """Uses every kind of secret once. Returns the secrets, and every octet of the line."""
    names = ("AES key", "HMAC key", "AES plaintext", "OAEP message", "PKCS1 message")
    secrets = {name: os.urandom(32) for name in names}
    secrets["HMAC data"] = os.urandom(3000)
    iv = CipherSpec(CipherMode.CBC, bytes(16))
    with CommandCounter(provider, record=True) as counter:
        aes = provider.import_secret(SecretSpec(SecretFamily.AES, 256, BOTH), secrets["AES key"])
        mac = provider.import_secret(
            SecretSpec(SecretFamily.HMAC, 256, Usage.SIGN, hash_name="SHA256"), secrets["HMAC key"]
        )
        ciphertext = aes.encrypt(iv, secrets["AES plaintext"])
        assert aes.decrypt(iv, ciphertext) == secrets["AES plaintext"]
        secrets["short MAC"] = mac.mac(HmacSpec("SHA256"), b"data")
        secrets["long MAC"] = mac.mac(HmacSpec("SHA256"), secrets["HMAC data"])
        secrets["random"] = provider.random(48)
        pair = provider.generate_pair(PairSpec("RSA", Usage.DECRYPT, bits=2048))
        assert isinstance(pair.public, RsaPublicKey)
        public = rsa.RSAPublicNumbers(65537, pair.public.modulus).public_key()
        oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
        assert (
            pair.decrypt(RsaOaepSpec("SHA256"), public.encrypt(secrets["OAEP message"], oaep))
            == secrets["OAEP message"]
        )
        encrypted = public.encrypt(secrets["PKCS1 message"], padding.PKCS1v15())
        assert pair.decrypt(RsaPkcs1DecryptSpec(), encrypted) == secrets["PKCS1 message"]
        agreeing = provider.generate_pair(PairSpec("EC", Usage.DERIVE, curve="nistP256"))
        peer = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
        secrets["Z"] = agreeing.agree(EcPublicKey("nistP256", peer.x, peer.y)).raw()
        secrets.update(import_pairs(provider))
    return secrets, b"".join(counter.octets)


def import_pairs(provider: Tpm2Provider) -> dict[str, bytes]:
    n = rsa.generate_private_key(65537, 2048).private_numbers()
    material = RsaPrivateKey(n.public_numbers.n, 65537, n.d, n.p, n.q, n.dmp1, n.dmq1, n.iqmp)
    provider.import_pair(PairSpec("RSA", Usage.SIGN, bits=2048), material)
    e = ec.generate_private_key(ec.SECP256R1()).private_numbers()
    public = EcPublicKey("nistP256", e.public_numbers.x, e.public_numbers.y)
    provider.import_pair(PairSpec("EC", Usage.SIGN, curve="nistP256"), EcPrivateKey(public, e.private_value))
    return {
        "RSA prime": n.p.to_bytes(128, "big"),
        "RSA other prime": n.q.to_bytes(128, "big"),
        "RSA exponent": n.d.to_bytes(256, "big"),
        "EC scalar": e.private_value.to_bytes(32, "big"),
    }


def found(secrets: dict[str, bytes], line: bytes) -> set[str]:
    # A piece of 16 octets is enough to be a leak, wherever a command boundary falls.
    return {name for name, value in secrets.items() if value[:16] in line or value[-16:] in line}


ALWAYS_WRAPPED = {"RSA prime", "RSA other prime", "RSA exponent", "EC scalar"}


def test_no_secret_is_on_the_line(tpm_provider: Tpm2Provider) -> None:
    secrets, line = run(tpm_provider)
    assert found(secrets, line) == set()


def test_the_search_finds_every_secret_when_sessions_are_off(tpm_provider: Tpm2Provider) -> None:
    tpm_provider.connection.encrypted = False
    try:
        secrets, line = run(tpm_provider)
    finally:
        tpm_provider.connection.encrypted = True
    # Imported pairs are wrapped on the host for the storage root key, with or without a session.
    assert found(secrets, line) == set(secrets) - ALWAYS_WRAPPED


def test_the_owners_authorization_value_is_not_on_the_line(
    fresh_tpm: Swtpm, open_tpm: Callable[..., Tpm2Provider], monkeypatch: pytest.MonkeyPatch
) -> None:
    from hwcng.providers.tpm2 import provider as provider_module
    from hwcng.providers.tpm2.line.connection import Connection

    owner_auth = "correct horse battery"
    set_owner_auth(fresh_tpm, owner_auth)
    line: list[bytes] = []
    share = provider_module.share

    def recorded(tcti: str | None, timeout: float) -> Connection:
        connection = share(tcti, timeout)

        def instrument(exchange: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
            def recording(command: bytes) -> bytes:
                response = exchange(command)
                line.extend((command, response))
                return response

            return recording

        connection.instrument(instrument)
        return connection

    monkeypatch.setattr(provider_module, "share", recorded)
    with open_tpm(fresh_tpm.uri, pin=owner_auth) as provider:
        provider.random(1)
    assert any(command[6:10] == b"\0\0\x01\x31" for command in line), "TPM2_CreatePrimary was not recorded"
    assert owner_auth.encode() not in b"".join(line)


def test_a_keys_pin_is_not_on_the_line(fresh_tpm: Swtpm, open_tpm: Callable[..., Tpm2Provider]) -> None:
    from hwcng.contract.specs import EcdsaSpec

    with open_tpm(fresh_tpm.uri) as provider:
        blob = key_with_pin(fresh_tpm, b"secret-pin-1234")
        with CommandCounter(provider, record=True) as counter:
            key = provider.reload_opaque(blob, pin="secret-pin-1234")
            assert len(key.sign_digest(EcdsaSpec(), bytes(32))) == 64  # type: ignore[union-attr]
            assert key.attest(b"").signature  # type: ignore[union-attr]
        assert b"secret-pin-1234" not in b"".join(counter.octets)
        provider.connection.encrypted = False
        with CommandCounter(provider, record=True) as counter:
            assert len(key.sign_digest(EcdsaSpec(), bytes(32))) == 64  # type: ignore[union-attr]
        assert b"secret-pin-1234" in b"".join(counter.octets)
