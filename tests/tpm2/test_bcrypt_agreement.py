"""BCryptSecretAgreement and BCryptDeriveKey with pairs in a TPM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from conformance import oracle
from conformance.checks import fails, generated, imported, public_of
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from tpm2.test_bcrypt_pairs import HASHES, ec_rows

from hwcng import NTSTATUS, bcrypt
from hwcng.cng.keys import Secret
from hwcng.contract.provider import Provider
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.testing.commands import CommandCounter
from hwcng.testing.swtpm import Swtpm

SEED, LABEL = bytes(range(64)), b"master secret"
PARTIES = [(bcrypt.KDF_ALGORITHMID, b"id"), (bcrypt.KDF_PARTYUINFO, b"u"), (bcrypt.KDF_PARTYVINFO, b"v")]


def check_derivations(secret: Secret, z: bytes) -> None:
    def derived(
        function: str, parameters: Sequence[tuple[int, Any]], flags: int = 0, length: int | None = None
    ) -> bytes:
        return bcrypt.BCryptDeriveKey(secret, function, parameters, length, flags)

    parts = [(bcrypt.KDF_SECRET_PREPEND, b"before"), (bcrypt.KDF_SECRET_APPEND, b"after")]
    for name in ("MD5", *HASHES):
        chosen = (bcrypt.KDF_HASH_ALGORITHM, name)
        assert derived(bcrypt.BCRYPT_KDF_HASH, [chosen, *parts]) == oracle.digest(name, b"before" + z + b"after")
        assert derived(bcrypt.BCRYPT_KDF_HASH, [chosen], 0, 7) == oracle.digest(name, z)[:7]
        for key in (b"key", bytes(200)):
            parameters = [chosen, *parts, (bcrypt.KDF_HMAC_KEY, key)]
            assert derived(bcrypt.BCRYPT_KDF_HMAC, parameters) == oracle.mac(name, key, b"before" + z + b"after")
        flags = bcrypt.KDF_USE_SECRET_AS_HMAC_KEY_FLAG
        around = b"before" + z + b"after"
        assert derived(bcrypt.BCRYPT_KDF_HMAC, [chosen, *parts], flags) == oracle.mac(name, z, around)
    tls = [(bcrypt.KDF_TLS_PRF_LABEL, LABEL), (bcrypt.KDF_TLS_PRF_SEED, SEED)]
    assert derived(bcrypt.BCRYPT_KDF_TLS_PRF, tls) == oracle.tls10_prf(z, LABEL, SEED, 48)
    for name in ("SHA256", "SHA384"):
        parameters = [*tls, (bcrypt.KDF_TLS_PRF_PROTOCOL, 0x0303), (bcrypt.KDF_HASH_ALGORITHM, name)]
        assert derived(bcrypt.BCRYPT_KDF_TLS_PRF, parameters) == oracle.p_hash(name, z, LABEL + SEED, 48)
    for name in ("SHA256", "SHA384", "SHA512"):
        parameters = [*PARTIES, (bcrypt.KDF_HASH_ALGORITHM, name)]
        size = len(oracle.digest(name, b""))
        expected = ConcatKDFHash(oracle.CRYPTOGRAPHY[name], size, b"iduv").derive(z)
        assert derived(bcrypt.BCRYPT_SP80056A_CONCAT_KDF, parameters) == expected
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        derived("HKDF2", [])


@pytest.mark.parametrize(("name", "curve_name", "curve"), ec_rows("ECDH"))
def test_agreement_with_software(tpm_provider: Tpm2Provider, name: str, curve_name: str | None, curve: str) -> None:
    host_curve, generic = oracle.EC_CURVES[curve], curve_name is not None
    ours = ec.derive_private_key(0x1234567, host_curve)
    pairs = [
        generated(tpm_provider, name, 0 if generic else host_curve.key_size, curve_name),
        imported(tpm_provider, name, oracle.ec_blob("ECDH", curve, ours, generic=generic), curve_name),
    ]
    # With this peer the secret of the imported pair begins with a zero.
    peers = (ec.derive_private_key(number, host_curve) for number in range(2, 9000))
    zero_led = next(peer for peer in peers if not peer.exchange(ec.ECDH(), ours.public_key())[0])
    for pair, peer in ((pairs[0], ec.generate_private_key(host_curve)), (pairs[1], zero_led)):
        blob = oracle.ec_blob("ECDH", curve, peer.public_key(), generic=generic)
        handle = bcrypt.BCryptGetProperty(pair, "ProviderHandle")
        public = bcrypt.BCryptImportKeyPair(handle, None, "ECCPUBLICBLOB", blob)
        own = oracle.ec_public_key(curve, bcrypt.BCryptExportKey(pair, None, "ECCPUBLICBLOB"))
        with CommandCounter(tpm_provider) as counter:
            secret = bcrypt.BCryptSecretAgreement(pair, public)
        assert counter.names[-1] == "TPM2_ECDH_ZGen" and counter.total <= 3
        z = peer.exchange(ec.ECDH(), own)
        # The secret outlives its keys.
        bcrypt.BCryptDestroyKey(pair)
        check_derivations(secret, z)
        assert bcrypt.BCryptDeriveKey(secret, bcrypt.BCRYPT_KDF_RAW_SECRET, None, None) == z[::-1]
        bcrypt.BCryptDestroySecret(secret)
        with fails(NTSTATUS.STATUS_INVALID_HANDLE):
            bcrypt.BCryptDeriveKey(secret, bcrypt.BCRYPT_KDF_HASH, None, None)


@pytest.mark.parametrize("name", ["ECDH_P256", "ECDH_P384", "ECDH_P521"])
def test_agreement_with_softhsm(tpm_provider: Tpm2Provider, provider: Provider, name: str) -> None:
    bits = int(name[-3:])
    tpm_pair, hsm_pair = generated(tpm_provider, name, bits), generated(provider, name, bits)
    ours = bcrypt.BCryptSecretAgreement(tpm_pair, public_of(hsm_pair))
    theirs = bcrypt.BCryptSecretAgreement(hsm_pair, tpm_pair)
    for function, parameters in ((bcrypt.BCRYPT_KDF_HASH, None), (bcrypt.BCRYPT_SP80056A_CONCAT_KDF, PARTIES)):
        found = {bcrypt.BCryptDeriveKey(secret, function, parameters, None) for secret in (ours, theirs)}
        assert len(found) == 1


def test_the_raw_secret_is_only_for_who_asked_for_it(tpm: Swtpm, open_tpm: Callable[..., Tpm2Provider]) -> None:
    with open_tpm(tpm.uri, allow_raw_secret=False) as guarded:
        pair = generated(guarded, "ECDH_P256", 256)
        secret = bcrypt.BCryptSecretAgreement(pair, pair)
        with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptDeriveKey(secret, bcrypt.BCRYPT_KDF_RAW_SECRET, None, None)
        assert len(bcrypt.BCryptDeriveKey(secret, bcrypt.BCRYPT_KDF_HASH, None, None)) == 20


def test_keys_that_do_not_agree(tpm_provider: Tpm2Provider) -> None:
    one, other = generated(tpm_provider, "ECDH_P256", 256), generated(tpm_provider, "ECDH_P384", 384)
    with fails(NTSTATUS.STATUS_INVALID_HANDLE):
        bcrypt.BCryptSecretAgreement(one, other)
    with fails(NTSTATUS.STATUS_INVALID_HANDLE):
        bcrypt.BCryptSecretAgreement(public_of(one), one)
    with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
        bcrypt.BCryptSignHash(one, None, bytes(32))
