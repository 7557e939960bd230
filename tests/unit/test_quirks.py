"""By which texts a module with a quirk is known, and what it is then asked."""

from __future__ import annotations

import pytest
from pkcs11 import Attribute, KeyType, Mechanism

from hwcng import NTSTATUS, CngError
from hwcng.contract.specs import PairSpec, RsaPssSpec, SecretSpec
from hwcng.contract.usage import SecretFamily, Usage
from hwcng.providers.pkcs11 import templates
from hwcng.providers.pkcs11.capabilities import MechanismInfo, MechanismSet
from hwcng.providers.pkcs11.families.rsa import pss_is_native
from hwcng.providers.pkcs11.quirks import Quirks, quirks_of
from hwcng.providers.pkcs11.user_quirks import UserQuirks

P11_KIT = ("p11-kit-client.so", "PKCS#11 Kit", "Proxy Module")
OLD = [
    ("libopencryptoki.so", "IBM", "Meta PKCS11 LIBRARY", "IBM Corp.", "IBM SoftTok", "3.8"),
    ("libopencryptoki.so", "IBM", "openCryptoki", "IBM", "Soft", "3.23"),
    ("another.so", "IBM", "openCryptoki", "IBM", "CCA", "3.26"),
    (*P11_KIT, "IBM Corp.", "IBM SoftTok", "0.24"),
    (*P11_KIT, "IBM", "Soft", "0.25"),
]
RECENT = [("libopencryptoki.so", "IBM", "openCryptoki", "IBM", "Soft", version) for version in ("3.27", "3.30", "4.0")]
OTHERS = [
    ("libtpm2_pkcs11.so.1", "tpm2-software.github.io", "TPM2.0 Cryptoki", "IBM", "SW   TPM", "1.9"),
    (*P11_KIT, "IBM", "SW   TPM", "0.24"),
    ("libibm.so", "IBM", "something else", "IBM", "Software Defined", "1.0"),
]


@pytest.mark.parametrize("texts", [*OLD, *RECENT], ids=str)
def test_opencryptoki_is_known(texts: tuple[str, ...]) -> None:
    quirks = quirks_of(*texts)
    assert quirks.unwraps_extractable and quirks.agreed_secrets_end and "SHA3-256" in quirks.pss_hashes
    old = texts in OLD
    assert quirks.pkcs1_is_lax is old
    assert (int(Mechanism.DH_PKCS_DERIVE) in quirks.unusable_mechanisms) is old


@pytest.mark.parametrize("texts", OTHERS, ids=str)
def test_other_tokens_of_the_same_maker_are_not_opencryptoki(texts: tuple[str, ...]) -> None:
    quirks = quirks_of(*texts)
    assert not (quirks.unwraps_extractable or quirks.agreed_secrets_end or quirks.pkcs1_is_lax)
    assert "SHA3-256" not in quirks.pss_hashes and not quirks.unusable_mechanisms


def test_sha3_in_pss_where_the_token_has_sha3() -> None:
    quirks, spec = quirks_of(*RECENT[0]), RsaPssSpec("SHA3-256", 32)
    listed = {int(Mechanism.RSA_PKCS_PSS), int(Mechanism.RSA_X_509)}
    assert not pss_is_native(MechanismSet({}, listed, quirks, True), spec)
    assert pss_is_native(MechanismSet({}, listed | {int(Mechanism.SHA3_256)}, quirks, True), spec)
    assert pss_is_native(MechanismSet({}, listed, quirks, True), RsaPssSpec("SHA256", 32))


def test_dh_ends_where_its_secrets_do() -> None:
    listed = {int(Mechanism.DH_PKCS_KEY_PAIR_GEN), int(Mechanism.GENERIC_SECRET_KEY_GEN)}
    infos = {
        int(Mechanism.DH_PKCS_KEY_PAIR_GEN): MechanismInfo(512, 8192, 0),
        int(Mechanism.GENERIC_SECRET_KEY_GEN): MechanismInfo(80, 2048, 0),
    }
    for quirks, longest in ((quirks_of(*RECENT[0]), 2048), (Quirks(), 8192)):
        offered = MechanismSet(infos, listed, quirks, True)
        assert offered.key_range(Mechanism.DH_PKCS_KEY_PAIR_GEN) == (512, longest)
        assert offered.key_range(Mechanism.GENERIC_SECRET_KEY_GEN) == (80, 2048)


def test_an_unwrapped_key_is_not_told_that_it_is_extractable_where_that_is_refused() -> None:
    for spec in (
        SecretSpec(SecretFamily.AES, 128, Usage.ENCRYPT, exportable=True),
        PairSpec("RSA", Usage.SIGN, 2048, exportable=True),
    ):
        assert Attribute.EXTRACTABLE not in templates.unwrapped(spec, quirks_of(*OLD[0]))
        assert templates.unwrapped(spec, Quirks())[Attribute.EXTRACTABLE] is True
    inside = SecretSpec(SecretFamily.AES, 128, Usage.ENCRYPT)
    assert templates.unwrapped(inside, quirks_of(*OLD[0]))[Attribute.EXTRACTABLE] is False


@pytest.mark.parametrize(("kind", "name"), [("ML-DSA", "65"), ("ML-KEM", "768")])
def test_the_parameter_set_is_told_of_the_public_half_alone(kind: str, name: str) -> None:
    """PKCS#11 3.2: the private template of a generation and that of C_UnwrapKey do not have it."""
    spec = PairSpec(kind, Usage.SIGN, parameter_set=name)
    public, private = templates.generated_pair(spec)
    assert Attribute.PARAMETER_SET in public
    assert Attribute.PARAMETER_SET not in private
    assert Attribute.PARAMETER_SET not in templates.unwrapped(spec, Quirks())


UNVERIFIED = {
    "/usr/lib/libykcs11.so.2": ("Yubico (www.yubico.com)", "PKCS#11 PIV Library (SP-800-73)"),
    "/usr/lib/pkcs11/yubihsm_pkcs11.so": ("Yubico (www.yubico.com)", "YubiHSM PKCS#11 Library"),
    "/opt/cloudhsm/lib/libcloudhsm_pkcs11.so": ("Amazon Web Services", "CloudHSM"),
    "/usr/safenet/lunaclient/lib/libCryptoki2_64.so": ("SafeNet", "Chrystoki"),
    "/opt/nfast/toolkits/pkcs11/libcknfast.so": ("nCipher Corp. Ltd", "nCipher PKCS#11"),
    "/usr/lib/libnethsm_pkcs11.so": ("Nitrokey", "Nitrokey PKCS#11 library"),
}


@pytest.mark.parametrize("path", UNVERIFIED)
def test_hardware_that_nobody_has_measured_is_known_by_its_file(path: str) -> None:
    assert not quirks_of(path, *UNVERIFIED[path]).verified
    # Its words alone are too little.
    assert quirks_of("/usr/lib/other.so", *UNVERIFIED[path]).verified


def test_a_smartcard_hsm_is_known_behind_opensc() -> None:
    opensc = ("/usr/lib/opensc-pkcs11.so", "OpenSC Project", "OpenSC smartcard framework")
    quirks = quirks_of(*opensc, "www.CardContact.de", "PKCS#15 emulated")
    assert not (quirks.verified or quirks.session_objects)
    assert quirks_of(*opensc, "piv_II", "PKCS#15 emulated") == Quirks()


def test_what_cloudhsm_would_do_to_an_iv_is_not_offered() -> None:
    quirks = quirks_of("/opt/cloudhsm/lib/libcloudhsm_pkcs11.so", "", "")
    assert not MechanismSet({}, {int(Mechanism.AES_GCM)}, quirks, True).has(Mechanism.AES_GCM)
    assert not quirks.read_only_sessions


def test_quirks_of_the_users() -> None:
    known = Quirks(der_peer_point=True, oaep_hashes=frozenset({"SHA1"}))
    assert UserQuirks(None).over(known) == UserQuirks("").over(known) == known
    said = (
        "no-der-peer-point, rc2-whole-bytes,oaep-hashes=SHA256+SHA384,named-curves=,"
        "unusable-mechanisms=CKM_AES_GCM+0x250"
    )
    assert UserQuirks(said).over(known) == Quirks(
        rc2_whole_bytes=True,
        oaep_hashes=frozenset({"SHA256", "SHA384"}),
        named_curves=frozenset(),
        unusable_mechanisms=frozenset({int(Mechanism.AES_GCM), 0x250}),
    )
    assert UserQuirks("none").over(known) == Quirks()
    assert UserQuirks("none,no-session-objects").over(known) == Quirks(session_objects=False)
    assert UserQuirks("wrapped-key-types=CKK_RSA").over(known).wrapped_key_types == {KeyType.RSA}


@pytest.mark.parametrize(
    "said",
    [
        *("nonsense", "no-nonsense", "der-peer-point=1", "oaep-hashes", "oaep-hashes=SHA0", "named-curves=P-256"),
        *("unusable-mechanisms=AES_GCM", "unusable-mechanisms=CKM_NOTHING", "der-peer-point,none", "verified"),
        "key-ranges=1",
    ],
)
def test_what_is_no_quirk(said: str) -> None:
    with pytest.raises(CngError, match="x-quirks") as caught:
        UserQuirks(said)
    assert caught.value.status is NTSTATUS.STATUS_INVALID_PARAMETER
