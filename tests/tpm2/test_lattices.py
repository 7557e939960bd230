"""A TPM has no ML-DSA, no ML-KEM and no curve25519; public keys, which are the host's, work beside it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conformance.checks import fails
from conformance.lattice_keys import blob
from cryptography.hazmat.primitives.asymmetric import mldsa, mlkem

import hwcng
from hwcng import NTSTATUS, bcrypt
from hwcng.contract.usage import Support
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.testing.commands import CommandCounter


@pytest.fixture
def default(tpm_provider: Tpm2Provider) -> Iterator[Tpm2Provider]:
    hwcng.set_default_provider(tpm_provider)
    yield tpm_provider
    hwcng.set_default_provider(None)


@pytest.mark.parametrize("name", ["ML-DSA", "ML-KEM"])
def test_it_is_not_there(tpm_provider: Tpm2Provider, name: str) -> None:
    with fails(NTSTATUS.STATUS_NOT_FOUND):
        bcrypt.BCryptOpenAlgorithmProvider(name, tpm_provider)
    assert tpm_provider.offers(name) is tpm_provider.offers(name, "768") is Support.REFUSED
    assert tpm_provider.offers("ECDH", "curve25519") is Support.REFUSED


def test_pseudo_handles_make_no_pairs(default: Tpm2Provider) -> None:
    for handle, name in ((bcrypt.BCRYPT_MLDSA_ALG_HANDLE, "65"), (bcrypt.BCRYPT_MLKEM_ALG_HANDLE, "768")):
        with bcrypt.BCryptGenerateKeyPair(handle, 0) as pair, CommandCounter(default) as counter:
            bcrypt.BCryptSetProperty(pair, bcrypt.BCRYPT_PARAMETER_SET_NAME, name)
            with fails(NTSTATUS.STATUS_NOT_SUPPORTED):
                bcrypt.BCryptFinalizeKeyPair(pair)
            assert counter.total == 0
    for handle, data in (
        (bcrypt.BCRYPT_MLDSA_ALG_HANDLE, blob(b"DSSS", "65", bytes(32))),
        (bcrypt.BCRYPT_MLKEM_ALG_HANDLE, blob(b"MLKS", "512", bytes(64))),
    ):
        with CommandCounter(default) as counter, fails(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptImportKeyPair(handle, None, bcrypt.BCRYPT_PRIVATE_KEY_BLOB, data)
        assert counter.total == 0


def test_public_keys_work(default: Tpm2Provider) -> None:
    signer = mldsa.MLDSA87PrivateKey.generate()
    data = blob(b"DSPK", "87", signer.public_key().public_bytes_raw())
    with bcrypt.BCryptImportKeyPair(bcrypt.BCRYPT_MLDSA_ALG_HANDLE, None, bcrypt.BCRYPT_PQDSA_PUBLIC_BLOB, data) as key:
        bcrypt.BCryptVerifySignature(key, None, b"message", signer.sign(b"message"))
    owner = mlkem.MLKEM1024PrivateKey.generate()
    data = blob(b"MLKP", "1024", owner.public_key().public_bytes_raw())
    with bcrypt.BCryptImportKeyPair(bcrypt.BCRYPT_MLKEM_ALG_HANDLE, None, bcrypt.BCRYPT_MLKEM_PUBLIC_BLOB, data) as key:
        secret, ciphertext = bcrypt.BCryptEncapsulate(key)
    assert owner.decapsulate(ciphertext) == secret
    # `cryptography` has no ML-KEM-512, and a TPM neither.
    data = blob(b"MLKP", "512", bytes(800))
    with (
        bcrypt.BCryptImportKeyPair(bcrypt.BCRYPT_MLKEM_ALG_HANDLE, None, bcrypt.BCRYPT_MLKEM_PUBLIC_BLOB, data) as key,
        fails(NTSTATUS.STATUS_NOT_SUPPORTED),
    ):
        bcrypt.BCryptEncapsulate(key)
