"""What a project downstream does with the fixtures. Run by tests/unit/test_plugin.py, in a process of its own."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest

from hwcng import bcrypt, ncrypt

DIGEST = hashlib.sha256(b"a message").digest()


def keep_and_sign(provider, name):
    """Makes a named key, signs with it and lists the names that are there."""
    storage = ncrypt.NCryptOpenStorageProvider(provider)
    with ncrypt.NCryptCreatePersistedKey(storage, "ECDSA_P256", name) as key:
        ncrypt.NCryptFinalizeKey(key)
        assert len(ncrypt.NCryptSignHash(key, None, DIGEST)) == 64
    return {record.name for record in provider.list_keys()}


@pytest.mark.hwcng(requires=["ECDSA_P256"])
@pytest.mark.parametrize("turn", range(2))
def test_each_test_has_a_token_without_keys(hwcng_provider, turn):
    assert keep_and_sign(hwcng_provider, "mine") == {"mine"}


@pytest.mark.parametrize("turn", range(3))
def test_a_softhsm_token_is_fresh(softhsm_token, turn):
    with softhsm_token.open() as provider:
        assert keep_and_sign(provider, "mine") == {"mine"}
        assert provider.token.label == softhsm_token.label
    assert softhsm_token.pin not in repr(softhsm_token)


def test_a_swtpm_is_fresh(swtpm):
    with swtpm.open() as provider:
        assert keep_and_sign(provider, "mine") == {"mine"}


def test_an_nss_token_is_emptied(nss_token):
    with nss_token.open() as provider:
        assert keep_and_sign(provider, "mine") == {"mine"}


def test_a_factory_makes_several(softhsm_token_factory):
    first, second = softhsm_token_factory("one"), softhsm_token_factory("two", "the-pin-of-two")
    with first.open() as one, second.open() as two:
        assert (one.token.label, two.token.label) == ("one", "two")
        assert one.token.serial != two.token.serial
    assert second.pin == "the-pin-of-two"


def test_two_tpms_are_two(swtpm_factory, session_swtpm):
    assert swtpm_factory().tcti != session_swtpm.tcti


@pytest.fixture(scope="module")
def signing_key(session_softhsm_token):
    """A key of the module, on the token of the session."""
    with session_softhsm_token.open() as provider:
        pair = bcrypt.BCryptGenerateKeyPair(bcrypt.BCryptOpenAlgorithmProvider("ECDSA_P256", provider), 256)
        bcrypt.BCryptFinalizeKeyPair(pair)
        yield pair


@pytest.mark.parametrize("turn", range(3))
def test_a_wider_fixture_stands_on_the_session_s_token(signing_key, turn):
    bcrypt.BCryptVerifySignature(signing_key, None, DIGEST, bcrypt.BCryptSignHash(signing_key, None, DIGEST))


def test_a_session_s_provider(session_hwcng_provider):
    assert len(session_hwcng_provider.random(16)) == 16


@pytest.mark.hwcng(requires=["AES", "3DES CBC"])
def test_a_tpm_has_no_3des(swtpm):
    pytest.fail("this TPM is said to have 3DES")


def test_another_process_sees_the_token(softhsm_token):
    program = "import hwcng, os; print(hwcng.open_provider(os.environ['HWCNG_PROVIDER']).token.label)"
    run = [sys.executable, "-c", program]
    seen = subprocess.run(
        run, env={**os.environ, **softhsm_token.environ()}, capture_output=True, text=True, check=True
    )
    assert seen.stdout.strip() == softhsm_token.label
