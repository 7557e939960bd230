"""Files of other TPM software that are no TSS2 PRIVATE KEY files, told by how they begin or what they hold.

tpm2-tools (TPM2B_PUBLIC, saved contexts), tpm2-pkcs11 and the FAPI (key stores), systemd-creds and systemd-cryptenroll.
"""

from __future__ import annotations

from collections.abc import Callable

from hwcng.providers.tpm2.wire.constants import ALG

__all__ = ["described"]

_PARTS = (
    "one half of a key as tpm2_create writes it: tpm2_encodeobject -C PARENT -u KEY.pub -r KEY.priv -o KEY.pem makes "
    "one file of both"
)
_KINDS = frozenset(int(kind).to_bytes(2, "big") for kind in (ALG.RSA, ALG.ECC, ALG.KEYEDHASH, ALG.SYMCIPHER))
_DIGESTS = frozenset(size.to_bytes(2, "big") for size in (20, 32, 48, 64))
_CREDENTIALS = (b"DHzAexF2RZGcSwvqCLwg/", b"k6iUCUh0RJCQyvL8k8q1U")
"""How credentials of systemd-creds begin that are sealed by a TPM alone, and by a TPM and the host."""


def _is_structure(blob: bytes) -> bool:
    """A TPM2B_PUBLIC, or a TPM2B_PRIVATE that begins with its integrity digest."""
    if len(blob) < 4 or int.from_bytes(blob[:2], "big") != len(blob) - 2:
        return False
    return blob[2:4] in _KINDS or blob[2:4] in _DIGESTS


def _begins(*beginnings: bytes) -> Callable[[bytes], bool]:
    return lambda blob: blob.lstrip().startswith(beginnings)


def _json_with(member: bytes) -> Callable[[bytes], bool]:
    return lambda blob: blob.lstrip().startswith(b"{") and member in blob


_FILES: tuple[tuple[Callable[[bytes], bool], str], ...] = (
    (
        _begins(b"SQLite format 3\0"),
        "a database, such as tpm2-pkcs11's: its keys are used through its own module (pkcs11:...?module-path=...)",
    ),
    (_begins(*_CREDENTIALS), "a credential of systemd-creds: sealed data, not a key; systemd-creds decrypt opens it"),
    (_json_with(b'"systemd-tpm2"'), "a LUKS token of systemd-cryptenroll: sealed data, not a key"),
    (
        _json_with(b'"objectType"'),
        "an object of a FAPI key store, which only the FAPI reads: a key that others use too is at a persistent handle",
    ),
    (
        _begins(b"\xba\xdc\xc0\xde"),
        "a saved context of tpm2-tools, which ends with the TPM's next reset",
    ),
    (_is_structure, _PARTS),
)


def described(blob: bytes) -> str | None:
    """What a file is, and what to do with it; None where it is unknown."""
    return next((meaning for belongs, meaning in _FILES if belongs(blob)), None)
