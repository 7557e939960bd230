"""Attestation through the handles of bcrypt.py, and its refusal by a token that makes no statements."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import hwcng
from hwcng import bcrypt
from hwcng.attestation import verify_attestation

if TYPE_CHECKING:
    from hwcng.contract.provider import Provider
    from hwcng.providers.tpm2.provider import Tpm2Provider


def generated_pair(provider: Provider) -> bcrypt.KeyPair:
    pair = bcrypt.BCryptGenerateKeyPair(bcrypt.BCryptOpenAlgorithmProvider("ECDSA_P256", provider), 256)
    bcrypt.BCryptFinalizeKeyPair(pair)
    return pair


def test_pair_made_by_the_tpm(tpm_provider: Tpm2Provider) -> None:
    nonce = os.urandom(20)
    with generated_pair(tpm_provider) as pair:
        attested = verify_attestation(pair.attest(nonce), nonce)
        assert attested.public == pair.public
        with pytest.raises(hwcng.CngError):
            verify_attestation(pair.attest(nonce), os.urandom(20))


def test_symmetric_keys_born_inside_and_imported(tpm_provider: Tpm2Provider) -> None:
    nonce = os.urandom(20)
    aes = bcrypt.BCryptOpenAlgorithmProvider("AES", tpm_provider)
    with aes.generate_key(256) as born:
        verify_attestation(born.attest(nonce), nonce)
    with bcrypt.BCryptGenerateSymmetricKey(aes, None, os.urandom(32)) as imported:
        record = imported.attest(nonce)
        with pytest.raises(hwcng.CngError) as refusal:
            verify_attestation(record, nonce)
        assert refusal.value.status is hwcng.NTSTATUS.STATUS_INVALID_SIGNATURE
        verify_attestation(record, nonce, require_made_by_tpm=False)


def test_other_tokens_make_none(provider: Provider) -> None:
    with generated_pair(provider) as pair, pytest.raises(hwcng.CngError) as refusal:
        pair.attest(b"nonce")
    assert refusal.value.status is hwcng.NTSTATUS.STATUS_NOT_SUPPORTED
