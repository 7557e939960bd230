"""Each token as its provider shows it: who it is, what it says it can do, and that it does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import pytest
from conformance import oracle
from conformance.checks import generated
from support import missing, missing_on, needs

from hwcng import NTSTATUS, CngError, bcrypt
from hwcng.contract.material import RsaPublicKey
from hwcng.contract.provider import Provider
from hwcng.contract.specs import (
    AeadSpec,
    CipherSpec,
    HmacSpec,
    PairSpec,
    RsaOaepSpec,
    RsaPkcs1SignSpec,
    RsaPssSpec,
    SecretSpec,
)
from hwcng.contract.usage import CipherMode, SecretFamily, Support, Usage
from hwcng.standards.hashes import HASHES

DIGEST = bytes(range(32))
MODES = {
    "ECB": CipherSpec(CipherMode.ECB),
    **{mode.value: CipherSpec(mode, bytes(16)) for mode in (CipherMode.CBC, CipherMode.CFB8, CipherMode.CFB128)},
    **{mode.value: AeadSpec(mode, bytes(12), b"aad", 16) for mode in (CipherMode.GCM, CipherMode.CCM)},
}


def test_who_it_is(token: Provider, request: pytest.FixtureRequest) -> None:
    info = token.token
    name = request.node.callspec.params["token"]
    others = {"softhsm": "SoftHSM", "p11-kit": "SoftHSM", "swtpm": "IBM", "opencryptoki": "IBM", "extra": ""}
    made_by = others.get(name, "Mozilla")
    assert made_by in info.manufacturer
    assert all(asdict(info)[said] for said in ("label", "model", "library"))
    assert token.capabilities().token == info
    assert "pin" not in token.uri


def test_every_operation_has_a_verdict_and_every_refusal_a_reason(token: Provider) -> None:
    capabilities = token.capabilities()
    assert capabilities.operations
    for operation, support in capabilities.operations.items():
        if support is not Support.NATIVE:
            assert capabilities.reasons[operation], operation
    assert capabilities.operations["RNG", "random"] is Support.NATIVE


def test_what_is_claimed_for_aes_works(token: Provider) -> None:
    """And what is refused fails with the documented status."""
    operations = token.capabilities().operations
    spec = SecretSpec(SecretFamily.AES, 128, Usage.ENCRYPT | Usage.DECRYPT)
    key = token.import_secret(spec, bytes(range(16)))
    for mode, cipher in MODES.items():
        if operations.get(("AES", mode), Support.REFUSED) is Support.REFUSED:
            with pytest.raises(CngError) as refused:
                key.encrypt(cipher, bytes(32))
            assert refused.value.status is NTSTATUS.STATUS_NOT_SUPPORTED, mode
        else:
            assert key.decrypt(cipher, key.encrypt(cipher, bytes(32))) == bytes(32), mode
    key.destroy()


@pytest.mark.parametrize("hash_name", HASHES)
def test_what_is_claimed_for_hmac_works(token: Provider, hash_name: str) -> None:
    value = bytes(range(HASHES[hash_name].digest_size))
    spec = SecretSpec(SecretFamily.HMAC, 8 * len(value), Usage.SIGN, hash_name=hash_name)
    if token.capabilities().operations.get((f"HMAC-{hash_name}", "MAC"), Support.REFUSED) is Support.REFUSED:
        with pytest.raises(CngError) as refused:
            token.import_secret(spec, value)
        assert refused.value.status is NTSTATUS.STATUS_NOT_SUPPORTED
        missing_on(token, f"HMAC-{hash_name}")
    key = token.import_secret(spec, value)
    assert key.mac(HmacSpec(hash_name), b"data") == oracle.mac(hash_name, value, b"data")
    key.destroy()


@pytest.mark.parametrize("curve", ["nistP256", "nistP384", "nistP521", "secP256k1", "brainpoolP256r1"])
def test_what_is_claimed_for_ecdsa_works(token: Provider, curve: str) -> None:
    if token.capabilities().operations.get(("ECDSA", curve), Support.REFUSED) is Support.REFUSED:
        with pytest.raises(CngError) as refused:
            token.generate_pair(PairSpec("EC", Usage.SIGN, curve=curve))
        assert refused.value.status is NTSTATUS.STATUS_NOT_SUPPORTED
    needs(token, "ECDSA", curve)
    key = generated(token, "ECDSA", oracle.EC_CURVES[curve].key_size, curve)
    signature = bcrypt.BCryptSignHash(key, None, DIGEST)
    public = oracle.ec_public_key(curve, bcrypt.BCryptExportKey(key, None, "ECCPUBLICBLOB"))
    oracle.ecdsa_verify(public, DIGEST, signature)


@pytest.mark.parametrize("hash_name", HASHES)
def test_what_is_claimed_for_rsa_works(token: Provider, hash_name: str) -> None:
    operations = token.capabilities().operations
    key = token.generate_pair(PairSpec("RSA", Usage.SIGN | Usage.DECRYPT, bits=2048))
    assert isinstance(key.public, RsaPublicKey)
    modulus = key.public.modulus
    value = oracle.digest(hash_name, b"data")
    block = oracle.oaep_block(256, hash_name, b"", b"message")
    proofs: dict[str, tuple[Callable[[], bytes], Callable[[bytes], bool]]] = {
        "PKCS1": (
            lambda: key.sign_digest(RsaPkcs1SignSpec(hash_name), value),
            lambda made: oracle.raw_public(made, modulus) == oracle.pkcs1_signature_block(256, hash_name, value),
        ),
        "PSS": (
            lambda: key.sign_digest(RsaPssSpec(hash_name, len(value)), value),
            lambda made: oracle.pss_salt(oracle.raw_public(made, modulus), 2048, hash_name, value) is not None,
        ),
        "OAEP": (
            lambda: key.decrypt(RsaOaepSpec(hash_name), oracle.raw_public(block, modulus)),
            lambda made: made == b"message",
        ),
    }
    for scheme, (made, proved) in proofs.items():
        if operations.get(("RSA", f"{scheme} {hash_name}"), Support.REFUSED) is Support.REFUSED:
            with pytest.raises(CngError) as refused:
                made()
            assert refused.value.status is NTSTATUS.STATUS_NOT_SUPPORTED, scheme
        else:
            assert proved(made()), scheme
    key.destroy()


def test_random_octets_differ(token: Provider) -> None:
    drawn = {token.random(32) for _ in range(8)}
    assert len(drawn) == 8 and {len(octets) for octets in drawn} == {32}


def test_a_database_of_nss_takes_what_it_does_not_list(nss_db_provider: Provider, nss_provider: Provider) -> None:
    """Its slot lists no digest; agreed secrets are digested all the same, so the two slots offer alike."""
    assert nss_db_provider.capabilities().operations == nss_provider.capabilities().operations


def test_both_nss_work_in_one_process(nss_provider: Provider, nss_current_provider: Provider) -> None:
    """Neither takes the other's libraries."""
    of_system, current = (asdict(provider.token)["library"] for provider in (nss_provider, nss_current_provider))
    if of_system == current:
        missing("an NSS of the system's own that is not the current one")
    keys = [generated(provider, "ECDSA_P256", 256) for provider in (nss_provider, nss_current_provider)]
    for key in keys * 2:
        signature = bcrypt.BCryptSignHash(key, None, DIGEST)
        public = oracle.ec_public_key("nistP256", bcrypt.BCryptExportKey(key, None, "ECCPUBLICBLOB"))
        oracle.ecdsa_verify(public, DIGEST, signature)
    with open("/proc/self/maps") as maps:
        loaded = {line.split()[-1] for line in maps if "freebl" in line or "nssutil" in line}
    assert len(loaded) == 4, loaded
