"""What a TPM states about a key, checked on the host, and what happens to each statement that is bent."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from tpm2.helpers import ec_material

from hwcng.attestation import verify_attestation
from hwcng.contract.attestation import Attestation, AttestedKey
from hwcng.contract.specs import EcdsaSpec, PairSpec, SecretSpec
from hwcng.contract.usage import SecretFamily, Usage
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.tpm2.keys.private import Tpm2PrivateKey
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.testing.commands import CommandCounter
from hwcng.testing.swtpm import Swtpm

NONCE = b"nonce of the verifier"
SIGNING = PairSpec("EC", Usage.SIGN, curve="nistP256")


@pytest.fixture(scope="module")
def key(tpm_provider: Tpm2Provider) -> Tpm2PrivateKey:
    return tpm_provider.generate_pair(SIGNING)


@pytest.fixture(scope="module")
def record(key: Tpm2PrivateKey) -> Attestation:
    return key.attest(NONCE)


def test_a_key_of_the_tpm(tpm_provider: Tpm2Provider, key: Tpm2PrivateKey, record: Attestation) -> None:
    attested = verify_attestation(record, NONCE)
    assert attested.public == key.public
    assert attested.fixed_tpm and attested.made_by_tpm and attested.creation_certified
    assert tpm_provider.connection.parent is not None
    assert attested.parent_name == tpm_provider.connection.parent.name
    assert verify_attestation(record, NONCE, signer_name=attested.signer_name) == attested


def test_the_attestation_key_stays_the_same(
    tpm: Swtpm, open_tpm: Callable[..., Tpm2Provider], tpm_provider: Tpm2Provider, record: Attestation
) -> None:
    other = tpm_provider.generate_pair(PairSpec("RSA", Usage.SIGN, bits=1024)).attest(b"")
    assert other.signer_public == record.signer_public
    verify_attestation(other, b"")


def test_a_secret_key_is_attested_too(tpm_provider: Tpm2Provider) -> None:
    spec = SecretSpec(SecretFamily.AES, 256, Usage.ENCRYPT)
    attested = verify_attestation(tpm_provider.generate_secret(spec).attest(NONCE), NONCE)
    assert attested.public is None and attested.made_by_tpm
    brought = tpm_provider.import_secret(spec, bytes(32)).attest(NONCE)
    with pytest.raises(CngError) as error:
        verify_attestation(brought, NONCE)
    assert "somebody brought it" in error.value.message
    attested = verify_attestation(brought, NONCE, require_made_by_tpm=False)
    assert attested.fixed_tpm and not attested.made_by_tpm


def test_an_imported_pair_is_not_fixed_to_the_tpm(tpm_provider: Tpm2Provider) -> None:
    record = tpm_provider.import_pair(SIGNING, ec_material("nistP256")[1]).attest(NONCE)
    with pytest.raises(CngError) as error:
        verify_attestation(record, NONCE)
    assert "not fixed" in error.value.message
    attested = verify_attestation(record, NONCE, require_fixed_tpm=False, require_made_by_tpm=False)
    assert not attested.fixed_tpm and not attested.made_by_tpm and not attested.creation_certified


def test_a_reloaded_key_is_certified_without_its_creation(tpm_provider: Tpm2Provider, key: Tpm2PrivateKey) -> None:
    attested = verify_attestation(tpm_provider.reload_opaque(key.opaque()).attest(NONCE), NONCE)  # type: ignore[union-attr]
    assert attested.made_by_tpm and not attested.creation_certified and attested.parent_name == b""


def test_nothing_that_was_bent_is_believed(record: Attestation) -> None:
    signer = verify_attestation(record, NONCE).signer_name
    for field in dataclasses.fields(record):
        octets = getattr(record, field.name)
        for position in range(len(octets)):
            bent = octets[:position] + bytes([octets[position] ^ 0x01]) + octets[position + 1 :]
            with pytest.raises(CngError) as error:
                verify_attestation(dataclasses.replace(record, **{field.name: bent}), NONCE, signer_name=signer)
            assert error.value.status is NTSTATUS.STATUS_INVALID_SIGNATURE
        for shorter in (octets[:-1], octets[: len(octets) // 2], octets + b"\0"):
            with pytest.raises(CngError):
                verify_attestation(dataclasses.replace(record, **{field.name: shorter}), NONCE, signer_name=signer)


def test_wrong_nonces_and_signers(record: Attestation, tpm_provider: Tpm2Provider) -> None:
    for nonce in (b"", NONCE[:-1], b"another nonce, longer"):
        with pytest.raises(CngError):
            verify_attestation(record, nonce)
    with pytest.raises(CngError):
        verify_attestation(record, NONCE, signer_name=b"\x00\x0b" + bytes(32))
    with pytest.raises(CngError) as error:
        tpm_provider.generate_pair(SIGNING).attest(bytes(33))
    assert error.value.status is NTSTATUS.STATUS_INVALID_PARAMETER


def test_a_statement_about_another_key_is_not_believed(tpm_provider: Tpm2Provider, record: Attestation) -> None:
    other = tpm_provider.generate_pair(SIGNING).attest(NONCE)
    with pytest.raises(CngError):
        verify_attestation(dataclasses.replace(record, key_public=other.key_public), NONCE)
    mixed = dataclasses.replace(
        record,
        creation_data=other.creation_data,
        creation_statement=other.creation_statement,
        creation_signature=other.creation_signature,
    )
    with pytest.raises(CngError) as error:
        verify_attestation(mixed, NONCE)
    assert "another key" in error.value.message


def test_an_ordinary_key_cannot_sign_statements(tpm_provider: Tpm2Provider, record: Attestation) -> None:
    """A forger who has any key of the TPM to sign with, or a key of his own, is found by the signer's attributes."""
    from hwcng.contract.specs import EcdsaSpec
    from hwcng.providers.tpm2.wire.constants import ALG
    from hwcng.providers.tpm2.wire.marshal import sized, u16

    forger = tpm_provider.generate_pair(SIGNING)
    import hashlib

    signature = forger.sign_digest(EcdsaSpec(), hashlib.sha256(record.statement).digest())
    forged = dataclasses.replace(
        record,
        signer_public=forger._held.public,
        signature=u16(ALG.ECDSA) + u16(ALG.SHA256) + sized(signature[:32]) + sized(signature[32:]),
    )
    with pytest.raises(CngError) as error:
        verify_attestation(forged, NONCE)
    assert "no restricted signing key" in error.value.message


def test_a_verifier_needs_no_tpm_software() -> None:
    script = (
        "import sys; sys.modules['tpm2_pytss'] = None\n"
        "from hwcng.attestation import verify_attestation\n"
        "assert verify_attestation"
    )
    search_path = os.pathsep.join(sys.path)
    subprocess.run([sys.executable, "-c", script], check=True, env={**os.environ, "PYTHONPATH": search_path})


def test_attesting_costs_few_commands(tpm_provider: Tpm2Provider, key: Tpm2PrivateKey) -> None:
    key.attest(NONCE)
    with CommandCounter(tpm_provider) as counter:
        key.attest(NONCE)
    assert sorted(counter.names) == ["TPM2_Certify", "TPM2_CertifyCreation"]


def test_numbers_that_the_tpm_hides_have_names_that_say_so(
    fresh_tpm: Swtpm, open_tpm: Callable[..., Tpm2Provider]
) -> None:
    """What is added is the same for one attestation key: the difference of two statements is the TPM's own."""

    def attested() -> AttestedKey:
        with open_tpm(fresh_tpm.uri) as provider:
            return verify_attestation(provider.generate_pair(SIGNING).attest(NONCE), NONCE)

    first, second = attested(), attested()
    assert not {"reset_count", "restart_count", "firmware_version", "clock"} & {
        field.name for field in dataclasses.fields(AttestedKey)
    }
    assert second.obfuscated_reset_count == first.obfuscated_reset_count
    fresh_tpm.restart()
    after = attested()
    assert (after.obfuscated_reset_count - first.obfuscated_reset_count) % (1 << 32) == 1
    assert after.obfuscated_firmware_version == first.obfuscated_firmware_version


def test_text_in_the_place_of_octets(key: Tpm2PrivateKey, record: Attestation) -> None:
    for call in (
        lambda: key.attest("text"),  # type: ignore[arg-type]
        lambda: key.attest(5),  # type: ignore[arg-type]
        lambda: key.sign_digest(EcdsaSpec(), "text"),  # type: ignore[arg-type]
        lambda: verify_attestation(record, "text"),  # type: ignore[arg-type]
        lambda: verify_attestation(record, NONCE, signer_name="text"),  # type: ignore[arg-type]
        lambda: verify_attestation("text", NONCE),  # type: ignore[arg-type]
    ):
        with pytest.raises(CngError) as error:
            call()
        assert error.value.status is NTSTATUS.STATUS_INVALID_PARAMETER
    assert verify_attestation(key.attest(bytearray(NONCE)), memoryview(NONCE)).name  # type: ignore[arg-type]


def test_the_faces_are_there_after_an_import_of_the_package() -> None:
    code = (
        "import hwcng; [getattr(hwcng, face) for face in ('attestation', 'bcrypt', 'ncrypt', 'wincrypt')]; print('ok')"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "ok\n"
