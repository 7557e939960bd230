"""Identity keys (PCP_KEY_USAGE_POLICY: NCRYPT_PCP_IDENTITY_KEY), as authorities of claims.

TPM 2.0 Library, Part 1, section 31 (attestation). tpm2-tools check the claims.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conformance.helpers import refused
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from support import MISSING
from tpm2.test_bound_keys import DEBUG_PCR, DIGEST, OTHER, PIN, made, opened_with
from tpm2.test_endorsement import holds
from tpm2.test_provisioning import lockout_counter

import hwcng
from hwcng import HRESULT, NTSTATUS, CngError, Usage, bcrypt, ncrypt
from hwcng.attestation import Attestation, Quote, verify_attestation, verify_quote
from hwcng.ksp.handles import NCryptKey, StorageProvider
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.testing.commands import CommandCounter
from hwcng.testing.swtpm import Swtpm

IDENTITY, KEY_CLAIM, PLATFORM = 8, ncrypt.NCRYPT_CLAIM_AUTHORITY_AND_SUBJECT, ncrypt.NCRYPT_CLAIM_PLATFORM
NONCE = b"a nonce of the verifier"
OF_KEY: Any = [(ncrypt.NCRYPTBUFFER_CLAIM_KEYATTESTATION_NONCE, NONCE)]
OF_PLATFORM: Any = [
    (ncrypt.NCRYPTBUFFER_TPM_PLATFORM_CLAIM_PCR_MASK, 1 << 7),
    (ncrypt.NCRYPTBUFFER_TPM_PLATFORM_CLAIM_NONCE, NONCE),
]
with_tools = pytest.mark.skipif(shutil.which("tpm2_checkquote") is None, reason=MISSING + "command:tpm2_checkquote")


def identity(storage: StorageProvider, name: str | None, algorithm: str = "ECDSA_P256", **properties: Any) -> NCryptKey:
    return made(storage, name, algorithm, PCP_KEY_USAGE_POLICY=IDENTITY, **properties)


def public_half(storage: StorageProvider, key: NCryptKey) -> NCryptKey:
    """As a host without the TPM has it."""
    kind = "RSAPUBLICBLOB" if key.algorithm.name == "RSA" else "ECCPUBLICBLOB"
    return ncrypt.NCryptImportKey(storage, None, kind, None, ncrypt.NCryptExportKey(key, None, kind))


@pytest.mark.parametrize(("algorithm", "length"), [("ECDSA_P256", 256), ("ECDSA_P384", 384), ("RSA", 2048)])
@pytest.mark.parametrize("opened", [False, True])
def test_it_attests_others(storage: StorageProvider, algorithm: str, length: int, opened: bool) -> None:
    key = identity(storage, "identity", algorithm, Length=length)
    if opened:
        key = ncrypt.NCryptOpenKey(storage, "identity")
    assert key.algorithm.name == algorithm
    assert ncrypt.NCryptGetProperty(key, "PCP_KEY_USAGE_POLICY") == IDENTITY
    assert ncrypt.NCryptGetProperty(key, "Key Usage") == ncrypt.NCRYPT_ALLOW_SIGNING_FLAG
    name = ncrypt.NCryptGetProperty(key, "PCP_TPM2BNAME")
    subject = made(storage, "subject")
    for one in (subject, ncrypt.NCryptOpenKey(storage, "subject"), subject.key):
        claim = ncrypt.NCryptCreateClaim(one, key, KEY_CLAIM, OF_KEY)
        assert isinstance(claim, Attestation)
        # On any host.
        attested = verify_attestation(claim, NONCE, signer_name=name)
        assert attested.signer_name == name and attested.creation_certified
        for authority in (None, key, public_half(storage, key)):
            assert ncrypt.NCryptVerifyClaim(subject, authority, KEY_CLAIM, OF_KEY, claim) == attested
    with refused(HRESULT.NTE_BAD_SIGNATURE):
        ncrypt.NCryptVerifyClaim(subject, subject, KEY_CLAIM, OF_KEY, claim)
    with refused(HRESULT.NTE_BAD_SIGNATURE):
        by_another = ncrypt.NCryptCreateClaim(subject, None, KEY_CLAIM, OF_KEY)
        ncrypt.NCryptVerifyClaim(subject, key, KEY_CLAIM, OF_KEY, by_another)
    # And itself.
    itself = ncrypt.NCryptCreateClaim(key, key, KEY_CLAIM, OF_KEY)
    assert ncrypt.NCryptVerifyClaim(key, key, KEY_CLAIM, OF_KEY, itself).signer_name == name


@pytest.mark.parametrize("algorithm", ["ECDSA_P256", "RSA"])
def test_it_quotes(storage: StorageProvider, algorithm: str) -> None:
    """As the authority, and as the subject, which Windows has it be."""
    key = identity(storage, "identity", algorithm, Length=2048 if algorithm == "RSA" else 256)
    name = ncrypt.NCryptGetProperty(key, "PCP_TPM2BNAME")
    for subject, authority in ((storage, key), (key, None), (key, key), (made(storage, None), key)):
        claim = ncrypt.NCryptCreateClaim(subject, authority, PLATFORM, OF_PLATFORM)
        assert isinstance(claim, Quote)
        assert verify_quote(claim, NONCE, signer_name=name).signer_name == name
        ncrypt.NCryptVerifyClaim(None, public_half(storage, key), PLATFORM, OF_PLATFORM, claim)
    other = ncrypt.NCryptCreateClaim(storage, None, PLATFORM, OF_PLATFORM)
    with refused(HRESULT.NTE_BAD_SIGNATURE):
        ncrypt.NCryptVerifyClaim(None, key, PLATFORM, OF_PLATFORM, other)


def test_it_signs_nothing_else(storage: StorageProvider) -> None:
    key = identity(storage, "identity")
    with CommandCounter(storage.provider) as counter:  # type: ignore[arg-type]
        with pytest.raises(CngError) as caught:
            ncrypt.NCryptSignHash(key, None, DIGEST)
        assert caught.value.status is HRESULT.NTE_PERM
        with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptSignHash(key.key, None, DIGEST, 0)  # type: ignore[arg-type]
        assert counter.total == 0
    (record,) = storage.provider.list_keys()
    assert record.usage is Usage.ATTEST
    assert ncrypt.NCryptGetProperty(hwcng.open_key(record.uri), "PCP_KEY_USAGE_POLICY") == IDENTITY


def test_a_pin_of_an_identity_key(fresh_tpm: Swtpm, storage: StorageProvider) -> None:
    """Hidden on the bus, and a wrong one is tried once a call."""
    provider: Any = storage.provider
    subject = made(storage, None)
    with CommandCounter(provider, record=True) as counter:
        key = identity(storage, "identity", PCP_USAGEAUTH=PIN)
        for claim in (
            ncrypt.NCryptCreateClaim(subject, key, KEY_CLAIM, OF_KEY),
            ncrypt.NCryptCreateClaim(subject, opened_with(storage, "identity", PIN), KEY_CLAIM, OF_KEY),
        ):
            ncrypt.NCryptVerifyClaim(subject, key, KEY_CLAIM, OF_KEY, claim)
        quote = ncrypt.NCryptCreateClaim(storage, key, PLATFORM, OF_PLATFORM)
        ncrypt.NCryptVerifyClaim(None, key, PLATFORM, OF_PLATFORM, quote)
    assert PIN.encode() not in b"".join(counter.octets)
    for kind, about, parameters in ((KEY_CLAIM, subject, OF_KEY), (PLATFORM, storage, OF_PLATFORM)):
        before, wrong = lockout_counter(fresh_tpm), opened_with(storage, "identity", OTHER)
        with pytest.raises(CngError) as caught:
            ncrypt.NCryptCreateClaim(about, wrong, kind, parameters)  # type: ignore[arg-type]
        assert caught.value.status is HRESULT.NTE_INCORRECT_PASSWORD and OTHER not in str(caught.value)
        assert lockout_counter(fresh_tpm) == before + 1


@pytest.mark.parametrize("properties", [{"PCP_USAGEAUTH": PIN}, {"PCP_PLATFORM_BINDING_PCRMASK": 1 << DEBUG_PCR}, {}])
@pytest.mark.parametrize("by_identity", [False, True])
def test_a_key_with_a_pin_or_bound_to_pcrs_is_attested(
    fresh_tpm: Swtpm, storage: StorageProvider, by_identity: bool, properties: dict[str, Any]
) -> None:
    """The PIN is hidden on the bus, and tried once."""
    properties = properties or {"PCP_USAGEAUTH": PIN, "PCP_PLATFORM_BINDING_PCRMASK": 1 << DEBUG_PCR}
    subject = made(storage, "subject", **properties)
    authority = identity(storage, None) if by_identity else None
    with CommandCounter(storage.provider, record=True) as counter:  # type: ignore[arg-type]
        for one in (subject, opened_with(storage, "subject", properties.get("PCP_USAGEAUTH", ""))):
            claim = ncrypt.NCryptCreateClaim(one, authority, KEY_CLAIM, OF_KEY)
            attested = ncrypt.NCryptVerifyClaim(subject, authority, KEY_CLAIM, OF_KEY, claim)
            assert attested.creation_certified  # type: ignore[union-attr]
    assert PIN.encode() not in b"".join(counter.octets)
    if "PCP_USAGEAUTH" not in properties:
        return
    with pytest.raises(CngError) as caught:
        ncrypt.NCryptCreateClaim(opened_with(storage, "subject", OTHER), authority, KEY_CLAIM, OF_KEY)
    assert caught.value.status is HRESULT.NTE_INCORRECT_PASSWORD and "the key named 'subject'" in caught.value.message
    assert lockout_counter(fresh_tpm) == 1


@pytest.mark.parametrize("bound", [{}, {"PCP_PLATFORM_BINDING_PCRMASK": 1 << DEBUG_PCR}], ids=["PIN", "PIN and PCRs"])
def test_a_key_with_a_pin_is_attested_by_one_with_another(
    fresh_tpm: Swtpm, storage: StorageProvider, bound: dict[str, Any]
) -> None:
    """Neither PIN is on the bus, each is tried once a call, and no session is left in the TPM."""
    provider: Any = storage.provider
    subject = made(storage, "subject", PCP_USAGEAUTH=PIN, **bound)
    authority = identity(storage, "identity", PCP_USAGEAUTH=OTHER, **bound)
    with CommandCounter(provider, record=True) as counter:
        claims = [
            ncrypt.NCryptCreateClaim(about, by, KEY_CLAIM, OF_KEY)
            for about, by in (
                (subject, authority),
                (opened_with(storage, "subject", PIN), opened_with(storage, "identity", OTHER)),
                (authority, authority),
            )
        ]
    for about, claim in zip((subject, subject, authority), claims, strict=True):
        attested: Any = ncrypt.NCryptVerifyClaim(about, authority, KEY_CLAIM, OF_KEY, claim)
        assert attested.creation_certified
    octets = b"".join(counter.octets)
    assert PIN.encode() not in octets and OTHER.encode() not in octets
    for about, by, named in (
        (opened_with(storage, "subject", "wrong"), authority, "subject"),
        (subject, opened_with(storage, "identity", "wrong"), "identity"),
    ):
        before = lockout_counter(fresh_tpm)
        with pytest.raises(CngError) as caught:
            ncrypt.NCryptCreateClaim(about, by, KEY_CLAIM, OF_KEY)
        assert caught.value.status is HRESULT.NTE_INCORRECT_PASSWORD and f"named '{named}'" in caught.value.message
        assert lockout_counter(fresh_tpm) == before + 1
    ncrypt.NCryptVerifyClaim(
        subject, authority, KEY_CLAIM, OF_KEY, ncrypt.NCryptCreateClaim(subject, authority, KEY_CLAIM, OF_KEY)
    )
    assert holds(provider) == (0, 0)


@with_tools
@pytest.mark.parametrize("pin", ["", PIN])
def test_an_identity_key_that_is_bound_to_pcrs(
    fresh_tpm: Swtpm, storage: StorageProvider, tools: Callable[..., bytes], pin: str
) -> None:
    """It states as long as they are what they were."""
    pins = {"PCP_USAGEAUTH": pin} if pin else {}
    subject = made(storage, None)
    key = identity(storage, "bound", PCP_PLATFORM_BINDING_PCRMASK=1 << DEBUG_PCR, **pins)
    claims = ((KEY_CLAIM, subject, OF_KEY), (PLATFORM, storage, OF_PLATFORM))
    with CommandCounter(storage.provider, record=True) as counter:  # type: ignore[arg-type]
        for by in (key, opened_with(storage, "bound", pin)):
            for kind, about, parameters in claims:
                claim = ncrypt.NCryptCreateClaim(about, by, kind, parameters)  # type: ignore[arg-type]
                ncrypt.NCryptVerifyClaim(None, public_half(storage, key), kind, parameters, claim)
    assert not pin or pin.encode() not in b"".join(counter.octets)
    tools(f"tpm2_pcrextend {DEBUG_PCR}:sha256={'22' * 32}")
    for kind, about, parameters in claims:
        with pytest.raises(CngError, match="bound to other values of the PCRs") as caught:
            ncrypt.NCryptCreateClaim(about, key, kind, parameters)  # type: ignore[arg-type]
        assert caught.value.status is HRESULT.NTE_PERM
    assert lockout_counter(fresh_tpm) == 0
    assert holds(storage.provider) == (0, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["RSA", "EC"])
@pytest.mark.parametrize("bound", [{}, {"PCP_PLATFORM_BINDING_PCRMASK": 1 << DEBUG_PCR}], ids=["PIN", "PIN and PCRs"])
def test_a_credential_for_a_key_with_a_pin(
    fresh_tpm: Swtpm, storage: StorageProvider, kind: str, bound: dict[str, Any]
) -> None:
    """Neither the PIN nor the secret is on the bus."""
    key, secret = identity(storage, "identity", PCP_USAGEAUTH=PIN, **bound), os.urandom(32)
    name = ncrypt.NCryptGetProperty(key, "PCP_TPM2BNAME")
    endorsement = storage.provider.endorsement(kind)
    credential = hwcng.attestation.make_credential(endorsement, name, secret)
    activate = storage.provider.activate_credential
    with CommandCounter(storage.provider, record=True) as counter:  # type: ignore[arg-type]
        for one in (key, opened_with(storage, "identity", PIN)):
            token_key: Any = one.key.in_token()
            assert activate(credential, key=token_key, endorsement=endorsement) == secret
    octets = b"".join(counter.octets)
    assert PIN.encode() not in octets and secret not in octets
    wrong: Any = opened_with(storage, "identity", OTHER).key.in_token()
    with pytest.raises(CngError) as caught:
        activate(credential, key=wrong, endorsement=endorsement)
    assert caught.value.status is NTSTATUS.STATUS_WRONG_PASSWORD and "'identity'" in caught.value.message
    assert lockout_counter(fresh_tpm) == 1
    blob = b"".join(len(part).to_bytes(2, "big") + part for part in (credential.id_object, credential.encrypted_secret))
    ncrypt.NCryptSetProperty(key, ncrypt.NCRYPT_PCP_TPM12_IDACTIVATION_PROPERTY, blob)
    assert ncrypt.NCryptGetProperty(key, ncrypt.NCRYPT_PCP_TPM12_IDACTIVATION_PROPERTY) == secret
    assert holds(storage.provider) == (0, 0)  # type: ignore[arg-type]


def test_authorities_that_are_none(
    storage: StorageProvider, provider: hwcng.Provider, tpm_provider: Tpm2Provider
) -> None:
    subject, ordinary = made(storage, None), made(storage, None)
    elsewhere = identity(ncrypt.NCryptOpenStorageProvider(tpm_provider), None)
    public = public_half(storage, identity(storage, None))
    other_token = ncrypt.NCryptCreatePersistedKey(ncrypt.NCryptOpenStorageProvider(provider), "ECDSA_P256", None)
    ncrypt.NCryptFinalizeKey(other_token)
    for kind, about, parameters in ((KEY_CLAIM, subject, OF_KEY), (PLATFORM, storage, OF_PLATFORM)):
        for authority, status in (
            (ordinary, HRESULT.NTE_NOT_SUPPORTED),
            (elsewhere, HRESULT.NTE_INVALID_PARAMETER),
            (other_token, HRESULT.NTE_INVALID_PARAMETER),
            (public, HRESULT.NTE_INVALID_PARAMETER),
        ):
            with refused(status):
                ncrypt.NCryptCreateClaim(about, authority, kind, parameters)  # type: ignore[arg-type]
        with refused(HRESULT.NTE_INVALID_HANDLE):
            ncrypt.NCryptCreateClaim(about, storage, kind, parameters)  # type: ignore[arg-type]


@with_tools
@pytest.mark.parametrize("algorithm", ["ECDSA_P256", "RSA"])
def test_tpm2_checkquote_takes_its_quotes(
    storage: StorageProvider, tools: Callable[..., bytes], tmp_path: Path, algorithm: str
) -> None:
    key = identity(storage, None, algorithm, Length=2048 if algorithm == "RSA" else 256)
    claim = ncrypt.NCryptCreateClaim(storage, key, PLATFORM, OF_PLATFORM)
    assert isinstance(claim, Quote)
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for name, octets in (("ak.pem", pem), ("quote", claim.statement), ("signature", claim.signature)):
        (tmp_path / name).write_bytes(octets)
    (tmp_path / "pcrs").write_bytes(claim.pcrs[7])
    tools(f"tpm2_checkquote -u ak.pem -m quote -s signature -g sha256 -f pcrs -F values -l sha256:7 -q {NONCE.hex()}")


@with_tools
@pytest.mark.parametrize(
    "template", ["-G ecc -g sha256 -s ecdsa", "-G rsa -g sha256 -s rsassa", "-G rsa -g sha384 -s rsapss"]
)
def test_a_key_of_tpm2_createak_is_an_authority(
    fresh_tpm: Swtpm, open_tpm: Callable[..., Tpm2Provider], tools: Callable[..., bytes], template: str
) -> None:
    """At a persistent handle, below the endorsement key."""
    tools("tpm2_createek -c 0x81010001 -G ecc -u ek.pub")
    tools(f"tpm2_createak -C 0x81010001 -c ak.ctx {template} -u ak.pub -n ak.name")
    tools("tpm2_evictcontrol -c ak.ctx 0x81010005")
    tools("tpm2_flushcontext -t")
    with open_tpm(fresh_tpm.uri) as provider:
        storage = ncrypt.NCryptOpenStorageProvider(provider)
        key = ncrypt.NCryptOpenKey(storage, "handle:0x81010005")
        subject = made(storage, None)
        claim = ncrypt.NCryptCreateClaim(subject, key, KEY_CLAIM, OF_KEY)
        ncrypt.NCryptVerifyClaim(subject, key, KEY_CLAIM, OF_KEY, claim)
        quote = ncrypt.NCryptCreateClaim(key, None, PLATFORM, OF_PLATFORM)
        ncrypt.NCryptVerifyClaim(None, key, PLATFORM, OF_PLATFORM, quote)


def test_a_credential_for_an_identity_key(storage: StorageProvider) -> None:
    """So a verifier comes to know that it is in the TPM of an endorsement key."""
    key = identity(storage, "identity")
    secret = os.urandom(32)
    name = ncrypt.NCryptGetProperty(key, "PCP_TPM2BNAME")
    credential = hwcng.attestation.make_credential(storage.provider.endorsement("EC"), name, secret)
    token_key: Any = key.key.in_token()
    endorsement = storage.provider.endorsement("EC")
    assert storage.provider.activate_credential(credential, key=token_key, endorsement=endorsement) == secret


# As programs for Windows come to know an identity key: PCPTool, go-attestation.


def read_binding(blob: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """TPMT_PUBLIC, TPMS_CREATION_DATA, TPMS_ATTEST and TPMT_SIGNATURE."""
    parts = []
    for _ in range(3):
        size = int.from_bytes(blob[:2], "big")
        parts.append(blob[2 : 2 + size])
        blob = blob[2 + size :]
    return parts[0], parts[1], parts[2], blob


@pytest.mark.parametrize("pin", ["", PIN])
@pytest.mark.parametrize("nonce", [b"", hashlib.sha1(b"nonce").digest(), bytes(32)])
def test_the_binding_of_an_identity_key(storage: StorageProvider, nonce: bytes, pin: str) -> None:
    key = ncrypt.NCryptCreatePersistedKey(storage, "RSA", "identity")
    ncrypt.NCryptSetProperty(key, "Length", 2048)
    ncrypt.NCryptSetProperty(key, "PCP_KEY_USAGE_POLICY", IDENTITY)
    if pin:
        ncrypt.NCryptSetProperty(key, "PCP_USAGEAUTH", pin)
    if nonce:
        ncrypt.NCryptSetProperty(key, "PCP_TPM12_IDBINDING", nonce)
        assert ncrypt.NCryptGetProperty(key, "PCP_TPM12_IDBINDING") == nonce
    else:
        with refused(HRESULT.NTE_NOT_FOUND):
            ncrypt.NCryptGetProperty(key, "PCP_TPM12_IDBINDING")
    ncrypt.NCryptFinalizeKey(key)
    public, creation, attest, signature = read_binding(ncrypt.NCryptGetProperty(key, "PCP_TPM12_IDBINDING"))
    assert hwcng.attestation.public_key(public) == key.key.public  # type: ignore[union-attr]
    # TPM_GENERATED_VALUE and TPM_ST_ATTEST_CREATION; TPMS_CREATION_INFO at the end: the name, the hash.
    assert attest[:6] == bytes.fromhex("ff544347801a")
    signer = int.from_bytes(attest[6:8], "big")
    assert attest[8 + signer :].startswith(len(nonce).to_bytes(2, "big") + nonce)
    name = ncrypt.NCryptGetProperty(key, "PCP_TPM2BNAME")
    assert attest.endswith(b"\0\x22" + name + b"\0\x20" + hashlib.sha256(creation).digest())
    # RSASSA with SHA-256.
    assert signature[:6] == bytes.fromhex("0014000b0100")
    verifying: Any = key.public_key()
    verifying.verify(signature[6:], attest, padding.PKCS1v15(), hashes.SHA256())
    # Later, and in another process, without the nonce.
    again = opened_with(storage, "identity", pin)
    assert read_binding(ncrypt.NCryptGetProperty(again, "PCP_TPM12_IDBINDING"))[:2] == (public, creation)


def test_bindings_that_there_are_not(storage: StorageProvider) -> None:
    key = made(storage, None)
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        ncrypt.NCryptGetProperty(key, "PCP_TPM12_IDBINDING")
    with refused(HRESULT.NTE_INVALID_HANDLE):
        ncrypt.NCryptSetProperty(key, "PCP_TPM12_IDBINDING", b"late")
    with refused(HRESULT.NTE_NOT_FOUND):
        ncrypt.NCryptGetProperty(key, "PCP_TPM12_IDACTIVATION")
    draft = ncrypt.NCryptCreatePersistedKey(storage, "ECDSA_P256", None)
    for value in (bytes(33), "text", 7):
        with refused(HRESULT.NTE_INVALID_PARAMETER):
            ncrypt.NCryptSetProperty(draft, "PCP_TPM12_IDBINDING", value)


@pytest.mark.parametrize("kind", ["RSA", "EC"])
def test_an_identity_key_is_activated(storage: StorageProvider, kind: str) -> None:
    key, secret = identity(storage, "identity"), os.urandom(32)
    name = ncrypt.NCryptGetProperty(key, "PCP_TPM2BNAME")
    made_for = hwcng.attestation.make_credential(storage.provider.endorsement(kind), name, secret)
    blob = b"".join(len(part).to_bytes(2, "big") + part for part in (made_for.id_object, made_for.encrypted_secret))
    ncrypt.NCryptSetProperty(key, ncrypt.NCRYPT_PCP_TPM12_IDACTIVATION_PROPERTY, blob)
    assert ncrypt.NCryptGetProperty(key, ncrypt.NCRYPT_PCP_TPM12_IDACTIVATION_PROPERTY) == secret
    assert secret.hex() not in repr(key)
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        ncrypt.NCryptSetProperty(made(storage, None), "PCP_TPM12_IDACTIVATION", blob)
    for wrong in (b"", blob[:-1], blob + b"x", blob[:40], "text"):
        with refused(HRESULT.NTE_INVALID_PARAMETER):
            ncrypt.NCryptSetProperty(key, "PCP_TPM12_IDACTIVATION", wrong)
    # A refusal leaves what was brought out before.
    assert ncrypt.NCryptGetProperty(key, "PCP_TPM12_IDACTIVATION") == secret
