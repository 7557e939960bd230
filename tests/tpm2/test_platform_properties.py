"""What the Platform Crypto Provider tells of a TPM and of its keys (ncrypt.h: NCRYPT_PCP_); tpm2-tools say the same."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance.helpers import key_data_blob, refused
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from support import MISSING
from tpm2.helpers import below_root, ec_material
from tpm2.manufacturing import manufacture
from tpm2.test_bound_keys import DEBUG_PCR, DIGEST, OTHER, PIN, SIGNING, made, opened_with, signs
from tpm2.test_provisioning import lockout_counter

import hwcng
from hwcng import HRESULT, NTSTATUS, CngError, PairSpec, Usage, bcrypt, ncrypt
from hwcng.attestation import public_key
from hwcng.cng.naming import handle_of
from hwcng.contract.protection import Protection
from hwcng.ksp import platform, platform_provider
from hwcng.ksp.handles import NCryptKey, StorageProvider
from hwcng.providers.tpm2.keys.describing import described
from hwcng.providers.tpm2.line.slots import TpmObject
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.providers.tpm2.wire import key_file_asn1, policies
from hwcng.providers.tpm2.wire.constants import CC
from hwcng.providers.tpm2.wire.policies import Step
from hwcng.testing.commands import CommandCounter
from hwcng.testing.swtpm import Swtpm

Tools = Callable[[str], bytes]
ROOT = 0x81000001
with_tools = pytest.mark.skipif(shutil.which("tpm2_getcap") is None, reason=MISSING + "command:tpm2_getcap")


def read(handle: Any, name: str) -> Any:
    return ncrypt.NCryptGetProperty(handle, getattr(ncrypt, f"NCRYPT_PCP_{name}_PROPERTY"))


def public_of(storage: StorageProvider, blob: bytes, kind: str) -> Any:
    """What hwcng itself, or a program on Windows, reads from a blob."""
    algorithm = bcrypt.BCryptOpenAlgorithmProvider(kind, storage.provider)
    name = "RSAPUBLICBLOB" if kind == "RSA" else "ECCPUBLICBLOB"
    return bcrypt.BCryptImportKeyPair(algorithm, None, name, blob).public_key()


# Of the provider.


@with_tools
def test_the_platform(storage: StorageProvider, tools: Tools) -> None:
    told = tools("tpm2_getcap properties-fixed").decode()

    def raw(name: str) -> int:
        found = re.search(rf"TPM2_PT_{name}:\s+raw: (?:0x)?([0-9A-F]+)", told)
        assert found, name
        return int(found[1], 16)

    revision, firmware = raw("REVISION"), (raw("FIRMWARE_VERSION_1"), raw("FIRMWARE_VERSION_2"))
    maker = raw("MANUFACTURER").to_bytes(4, "big").decode().replace("\0", " ")
    assert read(storage, "TPM_MANUFACTURER_ID") == maker and len(maker) == 4
    expected = f"TPM-Version:2.0 -Level:{raw('LEVEL')}-Revision:{revision // 100}.{revision % 100:02}"
    expected += f"-VendorID:'{maker}'-Firmware:{firmware[0]}.{firmware[1]}"
    assert read(storage, "PLATFORM_TYPE") == expected
    assert read(storage, "TPM_VERSION") == 0x20000
    version: ncrypt.NCRYPT_PCP_TPM_FW_VERSION_INFO = read(storage, "TPM_FW_VERSION")
    assert (version.major1 << 16 | version.major2, version.minor1 << 16 | version.minor2) == firmware
    assert re.fullmatch(r"v\d\d\.\d\d", read(storage, "PROVIDER_VERSION"))
    assert read(storage, "PSS_SALT_SIZE") == ncrypt.NCRYPT_TPM_PSS_SALT_SIZE_HASHSIZE


def test_what_is_known_since_the_tpm_was_opened_costs_no_command(storage: StorageProvider) -> None:
    with CommandCounter(storage.provider) as counter:  # type: ignore[arg-type]
        for name in ("PLATFORM_TYPE", "PROVIDER_VERSION", "TPM_VERSION", "TPM_FW_VERSION", "SRKPUB", "PSS_SALT_SIZE"):
            assert read(storage, name) is not None
        assert counter.total == 0


@with_tools
def test_the_storage_root_key(storage: StorageProvider, tools: Tools, tmp_path: Path) -> None:
    tools(f"tpm2_readpublic -c {ROOT:#x} -f pem -o root.pem")
    expected = load_pem_public_key((tmp_path / "root.pem").read_bytes())
    assert isinstance(expected, ec.EllipticCurvePublicKey)
    public = public_of(storage, read(storage, "SRKPUB"), "ECDH_P256")
    assert public.public_numbers() == expected.public_numbers()


@with_tools
@pytest.mark.parametrize(("kind", "names"), [("rsa", ("EKPUB", "RSA_EKPUB")), ("ecc", ("ECC_EKPUB",))])
def test_the_endorsement_key(fresh_tpm: Swtpm, tools: Tools, tmp_path: Path, kind: str, names: tuple[str, ...]) -> None:
    tools(f"tpm2_createek -c ek.ctx -G {kind} -u ek.pub")
    tools("tpm2_readpublic -c ek.ctx -f pem -o ek.pem")
    tools("tpm2_flushcontext -t")
    expected: Any = load_pem_public_key((tmp_path / "ek.pem").read_bytes())
    with hwcng.open_provider(fresh_tpm.uri) as provider:
        storage = ncrypt.NCryptOpenStorageProvider(provider)
        for name in names:
            blob = read(storage, name)
            assert len(blob) == (283 if kind == "rsa" else 72)
            public = public_of(storage, blob, "RSA" if kind == "rsa" else "ECDH_P256")
            assert public.public_numbers() == expected.public_numbers()


def test_a_tpm_without_endorsement_certificates(storage: StorageProvider) -> None:
    names = [f"{kind}{where}CERT" for kind in ("", "RSA_", "ECC_") for where in ("EK", "EKNV")]
    for name in (*names, "INTERMEDIATE_CA_EKCERT"):
        with refused(HRESULT.NTE_NOT_FOUND):
            read(storage, name)


@pytest.fixture(scope="module")
def endorsed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageProvider]:
    directory = tmp_path_factory.mktemp("endorsed")
    manufacture(directory)
    with Swtpm(directory) as running, hwcng.open_provider(running.uri) as provider:
        yield ncrypt.NCryptOpenStorageProvider(provider)


def test_endorsement_certificates(endorsed: StorageProvider) -> None:
    """Stores of certificates are tuples."""
    for prefix, kind in (("RSA_", rsa.RSAPublicKey), ("ECC_", ec.EllipticCurvePublicKey), ("", rsa.RSAPublicKey)):
        (der,) = read(endorsed, f"{prefix}EKCERT")
        certificate: Any = x509.load_der_x509_certificate(der)
        assert isinstance(certificate.public_key(), kind)
        assert read(endorsed, f"{prefix}EKNVCERT") == (der,)
        algorithm = "RSA" if kind is rsa.RSAPublicKey else "ECDH_P384"
        public = public_of(endorsed, read(endorsed, f"{prefix}EKPUB"), algorithm)
        assert public.public_numbers() == certificate.public_key().public_numbers()


@with_tools
def test_the_table_of_pcrs(fresh_tpm: Swtpm, storage: StorageProvider, tools: Tools, tmp_path: Path) -> None:
    tools(f"tpm2_pcrextend {DEBUG_PCR}:sha256={'11' * 32}")
    tools("tpm2_pcrread sha256:all -o table")
    assert read(storage, "PCRTABLE") == (tmp_path / "table").read_bytes()
    assert len(read(storage, "PCRTABLE")) == 24 * 32 and read(storage, "PCRTABLE_ALGORITHM") == 0xB
    # Another bank where the TPM has not that of SHA-256.
    tools("tpm2_pcrallocate sha1:all+sha256:none+sha384:none+sha512:none")
    tools("tpm2_shutdown -c")
    fresh_tpm.kill()
    fresh_tpm.start()
    tools("tpm2_pcrread sha1:all -o table")
    assert read(storage, "PCRTABLE") == (tmp_path / "table").read_bytes()
    assert len(read(storage, "PCRTABLE")) == 24 * 20 and read(storage, "PCRTABLE_ALGORITHM") == 0x4


@pytest.mark.row("3.2 PCP_PLATFORM_TYPE", "3.2 PCP_PROVIDER_VERSION")
def test_the_generator_of_random_numbers_tells_the_same(storage: StorageProvider, provider: hwcng.Provider) -> None:
    names = {
        bcrypt.BCRYPT_PCP_PLATFORM_TYPE_PROPERTY: "PLATFORM_TYPE",
        bcrypt.BCRYPT_PCP_PROVIDER_VERSION_PROPERTY: "PROVIDER_VERSION",
    }
    generator = bcrypt.BCryptOpenAlgorithmProvider("RNG", storage.provider)
    for name, same in names.items():
        assert bcrypt.BCryptGetProperty(generator, name) == read(storage, same)
        for other in (
            bcrypt.BCryptOpenAlgorithmProvider("AES", storage.provider),
            bcrypt.BCryptOpenAlgorithmProvider("RNG", provider),
        ):
            with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
                bcrypt.BCryptGetProperty(other, name)
        with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
            bcrypt.BCryptSetProperty(generator, name, "another")


# Of keys.


def test_a_key_that_is_bound_to_nothing(storage: StorageProvider) -> None:
    key = made(storage, "free")
    assert read(key, "PLATFORM_BINDING_PCRMASK") == 0
    assert read(key, "PASSWORD_REQUIRED") == 0 and read(key, "NO_DA_PROTECTION") == 1
    assert read(key, "EXPORT_ALLOWED") == 0 and read(key, "STORAGEPARENT") == ROOT
    assert read(key, "KEY_USAGE_POLICY") == ncrypt.NCRYPT_PCP_SIGNATURE_KEY
    lacks = ("PCRALGID", "PCRDIGEST", "PCRDIGESTLIST")
    for name in (*(f"PLATFORM_BINDING_{end}" for end in lacks), "RAW_POLICYDIGEST"):
        with refused(HRESULT.NTE_NOT_FOUND):
            read(key, name)
    for name in ("RSA_SCHEME", "RSA_SCHEME_HASH_ALG", "PSS_SALT_SIZE"):
        with refused(HRESULT.NTE_NOT_SUPPORTED):
            read(key, name)


@pytest.mark.parametrize("when", ["made", "opened"])
def test_what_a_key_is_bound_to(storage: StorageProvider, tools: Tools, when: str) -> None:
    mask, bank = 1 << DEBUG_PCR | 1 << 3, "SHA384"
    key = ncrypt.NCryptCreatePersistedKey(storage, "ECDSA_P256", "bound")
    # Before it is finalized: what was set.
    assert read(key, "PLATFORM_BINDING_PCRMASK") == 0 and read(key, "PLATFORM_BINDING_PCRALGID") == 0xB
    with refused(HRESULT.NTE_NOT_FOUND):
        read(key, "PLATFORM_BINDING_PCRDIGESTLIST")
    ncrypt.NCryptSetProperty(key, "PCP_PLATFORM_BINDING_PCRMASK", mask.to_bytes(3, "little"))
    ncrypt.NCryptSetProperty(key, "PCP_PLATFORM_BINDING_PCRALGID", bank)
    ncrypt.NCryptSetProperty(key, "PCP_PLATFORM_BINDING_PCRDIGESTLIST", bytes(48) * 2)
    ncrypt.NCryptSetProperty(key, "PCP_USAGEAUTH", PIN)

    def told(key: NCryptKey) -> None:
        assert read(key, "PLATFORM_BINDING_PCRMASK") == mask and read(key, "PLATFORM_BINDING_PCRALGID") == 0xC
        assert read(key, "PLATFORM_BINDING_PCRDIGESTLIST") == bytes(48) * 2
        assert read(key, "PASSWORD_REQUIRED") == 1

    told(key)
    assert read(key, "NO_DA_PROTECTION") == 0
    for name in ("PLATFORM_BINDING_PCRDIGEST", "RAW_POLICYDIGEST", "TPM2BNAME"):
        with refused(HRESULT.NTE_BAD_KEY_STATE):
            read(key, name)
    ncrypt.NCryptFinalizeKey(key)
    if when == "opened":
        key = opened_with(storage, "bound", PIN)
    told(key)
    assert read(key, "NO_DA_PROTECTION") == 0
    digest = hashlib.sha256(bytes(48) * 2).digest()
    assert read(key, "PLATFORM_BINDING_PCRDIGEST") == digest
    steps = (policies.pcr_step(bank, {DEBUG_PCR: bytes(48), 3: bytes(48)}), policies.AUTH_VALUE)
    assert read(key, "RAW_POLICYDIGEST") == policies.digest_of(steps, "SHA256")


@pytest.mark.parametrize("uncounted", [0, 1])
def test_whether_wrong_pins_count(fresh_tpm: Swtpm, storage: StorageProvider, uncounted: int) -> None:
    key = ncrypt.NCryptCreatePersistedKey(storage, "ECDSA_P256", "guarded")
    assert read(key, "NO_DA_PROTECTION") == 1
    ncrypt.NCryptSetProperty(key, "PCP_USAGEAUTH", PIN)
    ncrypt.NCryptSetProperty(key, ncrypt.NCRYPT_PCP_NO_DA_PROTECTION_PROPERTY, uncounted)
    assert read(key, "NO_DA_PROTECTION") == uncounted
    ncrypt.NCryptFinalizeKey(key)
    for _ in range(2):
        with refused(HRESULT.NTE_INCORRECT_PASSWORD):
            ncrypt.NCryptSignHash(opened_with(storage, "guarded", OTHER), None, DIGEST)
    assert lockout_counter(fresh_tpm) == (0 if uncounted else 2)
    right = opened_with(storage, "guarded", PIN)
    assert signs(right) and read(right, "NO_DA_PROTECTION") == uncounted
    with refused(HRESULT.NTE_INVALID_HANDLE):
        ncrypt.NCryptSetProperty(right, "PCP_NO_DA_PROTECTION", 1)
    for wrong in (2, "1"):
        with refused(HRESULT.NTE_INVALID_PARAMETER):
            ncrypt.NCryptSetProperty(
                ncrypt.NCryptCreatePersistedKey(storage, "ECDSA_P256", None), "PCP_NO_DA_PROTECTION", wrong
            )


@with_tools
def test_pcrs_that_are_others_by_now(storage: StorageProvider, tools: Tools, tmp_path: Path) -> None:
    """The list is not in the key; its digest and the policy are what tpm2-tools work out."""
    key = made(storage, None, PCP_PLATFORM_BINDING_PCRMASK=1 << DEBUG_PCR)
    tools("tpm2_startauthsession -S trial.ctx")
    tools(f"tpm2_policypcr -S trial.ctx -l sha256:{DEBUG_PCR} -L policy")
    tools("tpm2_flushcontext trial.ctx")
    assert read(key, "RAW_POLICYDIGEST") == (tmp_path / "policy").read_bytes()
    assert read(key, "PLATFORM_BINDING_PCRDIGESTLIST") == bytes(32)
    tools(f"tpm2_pcrextend {DEBUG_PCR}:sha256={'22' * 32}")
    with pytest.raises(CngError) as caught:
        read(key, "PLATFORM_BINDING_PCRDIGESTLIST")
    assert caught.value.status is HRESULT.NTE_NOT_FOUND and "PCRDIGEST only" in caught.value.message
    assert read(key, "PLATFORM_BINDING_PCRDIGEST") == hashlib.sha256(bytes(32)).digest()


def test_pcrs_of_several_banks(storage: StorageProvider) -> None:
    """What other software binds keys to has no mask and no algorithm."""
    both = Step(CC.PolicyPCR, bytes.fromhex("00000002000b03000001000c03000001") + bytes(32))
    single = policies.pcr_step("SHA256", {DEBUG_PCR: bytes(32)})
    bound = storage.provider.protecting(Protection(PIN.encode()))
    file = key_file_asn1.parse(bound.generate_pair(SIGNING).opaque())
    for steps in ((both,), (single, single)):
        digest = policies.digest_of(steps, "SHA256")
        public = bytearray(file.public)
        public[4:8] = (int.from_bytes(public[4:8], "big") & ~0x40).to_bytes(4, "big")
        area = bytes(public[:8]) + len(digest).to_bytes(2, "big") + digest + bytes(public[10:])
        told = described(TpmObject(area, b"", b"name", policy=steps), ROOT, None)
        assert told.pcrs is not None and told.pcrs.bank == "" and told.policy == digest


@with_tools
def test_the_name_of_a_key(storage: StorageProvider, tools: Tools, tmp_path: Path) -> None:
    key = made(storage, None)
    file = key_file_asn1.parse(ncrypt.NCryptExportKey(key, None, "OpaqueKeyBlob"))
    for end, octets in (("pub", file.public), ("priv", file.private)):
        (tmp_path / f"key.{end}").write_bytes(len(octets).to_bytes(2, "big") + octets)
    tools(f"tpm2_load -C {ROOT:#x} -u key.pub -r key.priv -c key.ctx -n key.name")
    tools("tpm2_flushcontext -t")
    assert read(key, "TPM2BNAME") == (tmp_path / "key.name").read_bytes()
    assert public_key(file.public) == key.key.public  # type: ignore[union-attr]


def test_how_a_key_was_made(storage: StorageProvider) -> None:
    key = made(storage, "born")
    record = key.attest(b"nonce")
    for one in (key, ncrypt.NCryptOpenKey(storage, "born")):
        assert read(one, "KEY_CREATIONHASH") == hashlib.sha256(record.creation_data).digest()
        assert read(one, "KEY_CREATIONTICKET")[:2] == bytes.fromhex("8021")
    imported = storage.provider.import_pair(SIGNING, ec_material("nistP256")[1])
    storage.provider.persist_key(imported, "brought")
    for name in ("KEY_CREATIONHASH", "KEY_CREATIONTICKET"):
        with refused(HRESULT.NTE_NOT_FOUND):
            read(ncrypt.NCryptOpenKey(storage, "brought"), name)


@pytest.mark.parametrize(
    ("template", "attributes", "scheme", "policy"),
    [
        ("rsa2048", "sign|decrypt", (0x10, 0x10), ncrypt.NCRYPT_PCP_GENERIC_KEY),
        ("rsa2048:rsassa-sha384", "sign", (0x14, 0xC), ncrypt.NCRYPT_PCP_SIGNATURE_KEY),
        ("rsa2048:rsapss-sha256:null", "sign", (0x16, 0xB), ncrypt.NCRYPT_PCP_SIGNATURE_KEY),
        ("rsa2048:rsaes", "decrypt", (0x15, 0x10), ncrypt.NCRYPT_PCP_ENCRYPTION_KEY),
        ("rsa2048:oaep-sha256", "decrypt", (0x17, 0xB), ncrypt.NCRYPT_PCP_ENCRYPTION_KEY),
    ],
)
def test_the_scheme_of_an_rsa_key(
    tpm: Swtpm, tpm_provider: Tpm2Provider, template: str, attributes: str, scheme: tuple[int, int], policy: int
) -> None:
    """Of keys that other software makes."""
    tpm_provider.connection.release_slots()
    public, private = below_root(tpm, template, attributes)
    storage = ncrypt.NCryptOpenStorageProvider(tpm_provider)
    blob = key_file_asn1.build(key_file_asn1.TssKey(ROOT, public, private))
    key = ncrypt.NCryptImportKey(storage, None, "OpaqueKeyBlob", None, blob)
    assert (read(key, "RSA_SCHEME"), read(key, "RSA_SCHEME_HASH_ALG")) == scheme
    assert read(key, "KEY_USAGE_POLICY") == policy
    assert read(key, "PSS_SALT_SIZE") == ncrypt.NCRYPT_TPM_PSS_SALT_SIZE_HASHSIZE


def test_a_key_at_a_persistent_handle(storage: StorageProvider) -> None:
    made(storage, "kept")
    provider: Any = storage.provider
    handle = provider.make_persistent("kept")
    key = ncrypt.NCryptOpenKey(storage, f"handle:{handle:#x}")
    assert read(key, "TPM2BNAME") == read(ncrypt.NCryptOpenKey(storage, "kept"), "TPM2BNAME")
    with refused(HRESULT.NTE_NOT_FOUND):
        read(key, "STORAGEPARENT")


def test_secret_and_public_keys(storage: StorageProvider) -> None:
    aes = ncrypt.NCryptImportKey(storage, None, "KeyDataBlob", None, key_data_blob(bytes(16)))
    assert len(read(aes, "TPM2BNAME")) == 34 and read(aes, "PASSWORD_REQUIRED") == 0
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        read(aes, "RSA_SCHEME")
    pair = made(storage, None)
    blob = ncrypt.NCryptExportKey(pair, None, "ECCPUBLICBLOB")
    public = ncrypt.NCryptImportKey(storage, None, "ECCPUBLICBLOB", None, blob)
    with refused(HRESULT.NTE_INVALID_PARAMETER):
        read(public, "TPM2BNAME")


def test_a_token_that_is_no_platforms(provider: hwcng.Provider) -> None:
    storage = ncrypt.NCryptOpenStorageProvider(provider)
    pair = storage.provider.generate_pair(PairSpec("RSA", Usage.SIGN, bits=2048))
    key = NCryptKey(storage, key=handle_of(provider, pair, None))
    for handle, names in ((storage, platform_provider.GETTERS), (key, platform.GETTERS)):
        for name in names:
            with refused(HRESULT.NTE_NOT_SUPPORTED):
                ncrypt.NCryptGetProperty(handle, name)


def test_what_is_only_read(storage: StorageProvider) -> None:
    key = made(storage, None)
    for handle, names in (
        (storage, set(platform_provider.GETTERS)),
        (key, set(platform.GETTERS) - set(platform.SETTERS)),
    ):
        for name in names:
            with refused(HRESULT.NTE_NOT_SUPPORTED):
                ncrypt.NCryptSetProperty(handle, name, 1)
