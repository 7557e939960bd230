"""What particular modules do differently from PKCS#11; each row says which module and why.

A quirk is recognised by the file name before C_Initialize, and by CK_INFO and CK_TOKEN_INFO after it. Rows were
measured or, where they say that they are not verified, are what the maker documents: docs/tokens has a page of each.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from pkcs11 import KeyType, Mechanism

from hwcng.providers.pkcs11.cryptoki.constants import CKK
from hwcng.standards.hashes import HASHES

__all__ = [
    "Quirks",
    "companions",
    "initialize_reserved",
    "is_p11_kit",
    "logins_race",
    "one_call_at_a_time",
    "quirks_of",
]

NSS_WITHOUT_DATABASE = (
    "configDir='' certPrefix='' keyPrefix='' secmod='' flags=readOnly,noCertDB,noModDB,forceOpen,optimizeSpace"
)

_PSS_HASHES = frozenset({"SHA1", "SHA256", "SHA384", "SHA512"})
_NIST_CURVES = frozenset({"nistP256", "nistP384", "nistP521"})


@dataclass(frozen=True, slots=True)
class Quirks:
    """oaep_hashes, pss_hashes: the hashes that CKM_RSA_PKCS_OAEP and _PSS really take; oaep_label: whether labels
    arrive.

    named_curves: curves that EC keys can have, None where every curve in the mechanism's size range may be tried.
    unusable_mechanisms: what the token lists and then refuses.
    rc2_ecb_wants_iv: whether CKM_RC2_ECB must be given CK_RC2_CBC_PARAMS. rc2_whole_bytes: whether RC2's effective key
    lengths are whole bytes, and others silently rounded up.
    der_peer_point: whether CKM_ECDH1_DERIVE must be given the peer's point inside a DER OCTET STRING.
    bare_edwards_point: whether CKA_EC_POINT of a key on an Edwards curve must not be inside a DER OCTET STRING.
    key_wrap_pad_is_rfc5649: whether CKM_AES_KEY_WRAP_PAD is RFC 5649, which it is only in SoftHSM.
    slots_share_mechanisms: whether a slot takes what only another slot of the module lists.
    wrapped_key_types: types of private keys that survive C_WrapKey and C_UnwrapKey, None where any may be tried.
    types_have_their_length: whether a key of a type of one length, such as DES, cannot be unwrapped with another.
    unwraps_extractable: whether C_UnwrapKey makes extractable keys and refuses to be told so.
    agreed_secrets_end: whether DH agrees on no longer secrets than CKM_GENERIC_SECRET_KEY_GEN makes, in bits.
    pkcs1_is_lax: whether CKM_RSA_PKCS decrypts blocks that are malformed, or an empty message wrongly.
    store_is_local: whether the objects are files of this host's, which only processes of this host write.
    session_objects: whether the token keeps objects of a process. Where it does not, a key without a name would be a
    token object that nobody ends, or an error.
    read_only_sessions: whether sessions can be opened that only read.
    verified: whether what the row says was measured.
    key_ranges: by mechanism, the shortest and the longest key in bits where the token's own numbers are wrong.
    """

    oaep_hashes: frozenset[str] = _PSS_HASHES
    oaep_label: bool = True
    pss_hashes: frozenset[str] = _PSS_HASHES
    named_curves: frozenset[str] | None = None
    key_wrap_pad_is_rfc5649: bool = False
    der_peer_point: bool = False
    bare_edwards_point: bool = False
    unusable_mechanisms: frozenset[int] = frozenset()
    rc2_ecb_wants_iv: bool = False
    rc2_whole_bytes: bool = False
    slots_share_mechanisms: bool = False
    wrapped_key_types: frozenset[int] | None = None
    types_have_their_length: bool = False
    unwraps_extractable: bool = False
    agreed_secrets_end: bool = False
    pkcs1_is_lax: bool = False
    store_is_local: bool = False
    session_objects: bool = True
    read_only_sessions: bool = True
    verified: bool = True
    key_ranges: Mapping[int, tuple[int, int]] = field(default_factory=lambda: MappingProxyType({}))


# CK_INFO's texts, and those of CK_TOKEN_INFO. Other tokens of IBM's, such as a TPM behind tpm2-pkcs11, are others.
_OPENCRYPTOKI = r"opencryptoki|Meta PKCS11 LIBRARY"
_OPENCRYPTOKI_SLOT = r"^IBM(?: Corp\.)? (?:IBM )?(?:Soft|SoftTok|ICA|CCA|EP11|ICSF)$"
_RECENT_OPENCRYPTOKI = Quirks(
    # Where it lists the digest.
    pss_hashes=frozenset(HASHES) - {"MD5"},
    unwraps_extractable=True,
    agreed_secrets_end=True,
)
_OLD_OPENCRYPTOKI = replace(
    _RECENT_OPENCRYPTOKI, pkcs1_is_lax=True, unusable_mechanisms=frozenset({int(Mechanism.DH_PKCS_DERIVE)})
)

_BY_LIBRARY: tuple[tuple[re.Pattern[str], Quirks], ...] = (
    # SoftHSM 2.6.1 answers ARGUMENTS_BAD to OAEP with any hash but SHA-1 and GENERAL_ERROR to a label. It takes
    # bare points for DER whose x begins with 0x37 (nistP224) or 0x7F (brainpoolP512r1), and answers GENERAL_ERROR.
    # It lists single DES, which OpenSSL 3 keeps in a provider that SoftHSM does not load.
    # It says that DSA ends at 1024 bits, and holds longer keys all the same.
    (
        re.compile(r"SoftHSM"),
        Quirks(
            oaep_hashes=frozenset({"SHA1"}),
            oaep_label=False,
            key_wrap_pad_is_rfc5649=True,
            der_peer_point=True,
            store_is_local=True,
            unusable_mechanisms=frozenset({int(Mechanism._DES_ECB), int(Mechanism._DES_CBC)}),
            key_ranges=MappingProxyType({int(Mechanism.DSA_KEY_PAIR_GEN): (512, 3072)}),
        ),
    ),
    # NSS answers DOMAIN_PARAMS_INVALID to Brainpool and secp256k1. It wraps EC and DSA keys, which it then refuses to
    # unwrap (TEMPLATE_INCOMPLETE), and its DEVICE_ERROR to the wrapping of a DH key would pass for a lost connection.
    # A database's slot lists no digest, no RC4 and no CKM_EXTRACT_KEY_FROM_KEY, and takes them all. To CK_RC2_PARAMS it
    # answers MECHANISM_PARAM_INVALID, and an effective length of 63 bits gives the ciphertext of 64.
    (
        re.compile(r"NSS|Mozilla"),
        Quirks(
            named_curves=_NIST_CURVES,
            wrapped_key_types=frozenset({KeyType.RSA, KeyType.ML_DSA, KeyType.ML_KEM, CKK.EC_MONTGOMERY}),
            types_have_their_length=True,
            bare_edwards_point=True,
            slots_share_mechanisms=True,
            rc2_ecb_wants_iv=True,
            rc2_whole_bytes=True,
            store_is_local=True,
        ),
    ),
    # opencryptoki up to 3.26 drops the leading zeros of what Diffie-Hellman agrees on: one key of 256 is another. 3.8
    # decrypts the empty PKCS #1 message to a zero octet, and a malformed block. Behind p11-kit its version is not told.
    (re.compile(rf"(?:{_OPENCRYPTOKI}) 3\.(?:1?\d|2[0-6])$|{_OPENCRYPTOKI_SLOT}", re.IGNORECASE), _OLD_OPENCRYPTOKI),
    (re.compile(_OPENCRYPTOKI, re.IGNORECASE), _RECENT_OPENCRYPTOKI),
)

# By the name of the module's file: what their makers document, and nobody has measured here.
_BY_FILE: tuple[tuple[re.Pattern[str], Quirks], ...] = (
    # The slots of the PIV application are all that a YubiKey has; ykcs11 makes no copies.
    (re.compile(r"libykcs11"), Quirks(session_objects=False, verified=False)),
    # All objects of a YubiHSM 2 are stored ones, but for the secrets that it agrees on.
    (re.compile(r"yubihsm_pkcs11"), Quirks(session_objects=False, verified=False)),
    # CloudHSM makes the IV of AES-GCM itself and writes it over the caller's; its client's version 5 opens no sessions
    # that only read.
    (
        re.compile(r"libcloudhsm_pkcs11"),
        Quirks(read_only_sessions=False, unusable_mechanisms=frozenset({int(Mechanism.AES_GCM)}), verified=False),
    ),
    (re.compile(r"libCryptoki2"), Quirks(verified=False)),
    (re.compile(r"libcknfast"), Quirks(verified=False)),
    # A NetHSM lists keys that its operators made.
    (re.compile(r"libnethsm_pkcs11"), Quirks(session_objects=False, verified=False)),
)
# By CK_TOKEN_INFO: the Nitrokey HSM and other SmartCard-HSMs behind OpenSC, which stores every key that it makes.
_BY_TOKEN: tuple[tuple[re.Pattern[str], Quirks], ...] = (
    (re.compile(r"CardContact"), Quirks(session_objects=False, verified=False)),
)

_NSS_SOFTOKN = re.compile(r"libsoftokn3")

# The library of p11-kit is its proxy module; the client is a file of its own.
_P11_KIT_ITSELF = re.compile(r"p11-kit-proxy|libp11-kit")
P11_KIT_FOLDERS = ("/usr/share/p11-kit/modules", "/usr/lib/p11-kit/modules", "/etc/pkcs11/modules")

# p11-kit's client loses OAEP labels on the way to the server.
_P11_KIT_CLIENT = re.compile(r"p11-kit-client")


def quirks_of(
    path: str,
    manufacturer: str,
    description: str,
    token_manufacturer: str = "",
    token_model: str = "",
    library_version: str = "",
) -> Quirks:
    """path: the module's file. manufacturer, description, library_version: as CK_INFO has them. token_manufacturer,
    token_model: those of CK_TOKEN_INFO, by which a token is known behind p11-kit, whose CK_INFO is its own.
    """
    quirks = _row(f"{manufacturer} {description} {library_version}")
    if quirks is None:
        quirks = _first(_BY_FILE, os.path.basename(path)) or _first(_BY_TOKEN, f"{token_manufacturer} {token_model}")
    if quirks is None:
        # Slots behind p11-kit can be of several libraries.
        quirks = replace(
            _row(f"{token_manufacturer} {token_model}") or Quirks(), slots_share_mechanisms=False, store_is_local=False
        )
    if _P11_KIT_CLIENT.search(path):
        return replace(quirks, oaep_label=False, key_wrap_pad_is_rfc5649=False)
    return quirks


def _row(described: str) -> Quirks | None:
    return _first(_BY_LIBRARY, described)


def _first(rows: Sequence[tuple[re.Pattern[str], Quirks]], described: str) -> Quirks | None:
    return next((row for pattern, row in rows if pattern.search(described)), None)


def logins_race(*described: str) -> bool:
    """Whether one process at a time may look at the token and log in, by what its module or itself is called.

    A login to SoftHSM 2.6.1 writes the token's file while another process reads it, which then misses the token or
    answers GENERAL_ERROR: 30 of 100 of four children at once.
    """
    return any("softhsm" in words.lower() for words in described)


def is_p11_kit(manufacturer: str) -> bool:
    """Whether a module with this CK_INFO shows slots of other modules, of which its own answers say nothing."""
    return manufacturer == "PKCS#11 Kit"


def one_call_at_a_time(path: str, manufacturer: str) -> bool:
    """Whether every call must wait for the one before.

    p11-kit 0.24 and 0.25 abort or hang where the server dies while several threads call. Its proxy has the same client
    within, for modules that are configured as remote.
    """
    if not is_p11_kit(manufacturer):
        return False
    return not _P11_KIT_ITSELF.search(os.path.basename(path)) or any(map(_is_remote, _p11_kit_configurations()))


def _p11_kit_configurations() -> Iterator[str]:
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    for folder in (*P11_KIT_FOLDERS, os.path.join(home, "pkcs11", "modules")):
        yield from glob.iglob(os.path.join(glob.escape(folder), "*.module"))


def _is_remote(configuration: str) -> bool:
    try:
        with open(configuration, encoding="utf-8", errors="replace") as file:
            return any(line.partition(":")[0].strip() == "remote" for line in file)
    except OSError:
        return False


def initialize_reserved(path: str) -> str | None:
    """The pReserved string that C_Initialize needs when the URI gives none: NSS refuses to start without one."""
    return NSS_WITHOUT_DATABASE if _NSS_SOFTOKN.search(path) else None


def companions(path: str) -> Sequence[str]:
    """The libraries beside the module that are loaded before it, because the linker does not look for them there.

    NSS is shipped with its own libnssutil (Firefox, a distribution's newer package laid out in a folder) and no
    RUNPATH: the linker would take the system's, and refuse the module where that one is older.
    """
    if not _NSS_SOFTOKN.search(os.path.basename(path)):
        return ()
    return sorted(glob.glob(os.path.join(glob.escape(os.path.dirname(path)), "libnssutil?.so")))
