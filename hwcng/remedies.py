"""What each status means in hwcng, and what to do: one row for every NTSTATUS and HRESULT that a call can end with.

docs/errors.md is made from it. What a token answered, and where, stands in each error's own message.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from hwcng.errors import HRESULT, NTSTATUS, Win32Error

__all__ = ["REMEDIES", "Remedy", "Status", "remedy"]

Status: TypeAlias = NTSTATUS | HRESULT | Win32Error

_S = NTSTATUS
_H = HRESULT
_W = Win32Error


class Remedy(NamedTuple):
    """when: what has happened. do: what helps, empty where the message alone can say it."""

    when: str
    do: str


_CORRECT = "correct the call; no token was asked"
_LATER = "try again later"
_CONNECT = "call again once the token is back: the provider connects by itself, and named keys find themselves again"

_OF_THE_CALL: dict[Status, Remedy] = {
    _S.STATUS_INVALID_PARAMETER: Remedy(
        "an argument, a blob, a padding or a URI is not what the function takes; an RSA ciphertext or a "
        "wrapped key does not decrypt",
        "read which argument the message names; for a ciphertext: another key, or it was changed",
    ),
    _S.STATUS_INVALID_HANDLE: Remedy(
        "a handle of the wrong kind, one that is closed or destroyed, or one that this process has from "
        "before its fork",
        "open or make the object in this process; a key with a name opens anew by itself",
    ),
    _S.STATUS_BUFFER_TOO_SMALL: Remedy("a key object or a blob is shorter than it must be", _CORRECT),
    _S.STATUS_INVALID_BUFFER_SIZE: Remedy(
        "data are no whole blocks, or a ciphertext has not the length of the key", "pad, or set BCRYPT_BLOCK_PADDING"
    ),
    _S.STATUS_NOT_SUPPORTED: Remedy(
        "neither the token nor a sound composition of what it has does this, or the key may not: plaintext "
        "export, a usage it was not made for",
        "`hwcng capabilities URI` says what the token does; set usage and Export Policy before the key is made",
    ),
    _S.STATUS_NOT_FOUND: Remedy(
        "no such algorithm on this token, no such token, configured name, module or backend",
        "the message lists what is there; `hwcng capabilities URI`",
    ),
    _S.STATUS_DATA_ERROR: Remedy(
        "block padding is malformed, or a file of a TPM's store is damaged",
        "another key or IV, or the ciphertext was changed; a damaged file is named and left as it is",
    ),
    _S.STATUS_INVALID_SIGNATURE: Remedy(
        "the signature is not of this key over this digest; an attestation does not hold", "do not accept it"
    ),
    _S.STATUS_AUTH_TAG_MISMATCH: Remedy(
        "an authenticated ciphertext, its associated data, nonce or tag was changed, or the key is another",
        "do not use it",
    ),
}

_OF_THE_TOKEN: dict[Status, Remedy] = {
    _S.STATUS_DEVICE_NOT_CONNECTED: Remedy(
        "the token, its server or the connection is gone, or an answer was lost",
        _CONNECT + "; keys without a name are made anew",
    ),
    _S.STATUS_SMARTCARD_NO_CARD: Remedy(
        "no token is in the slot, or the module does not recognise it", "insert it; " + _CONNECT
    ),
    _S.STATUS_INVALID_DEVICE_STATE: Remedy(
        "a key of the process ended with its connection, or the TPM was cleared or replaced",
        "make the key anew, or give it a name; a TPM: close the provider and open it anew",
    ),
    _S.STATUS_DEVICE_NOT_READY: Remedy(
        "the TPM was not started, failed its self-test, waits for an upgrade, or lost its sessions again and again",
        "call again; then what the message says: restart the machine or the TPM",
    ),
    _S.STATUS_DEVICE_BUSY: Remedy(
        "the TPM is busy or spares its memory; a module cannot be initialised anew while calls are in it; "
        "other hosts store the same name",
        _LATER,
    ),
    _S.STATUS_RETRY: Remedy("PCRs changed again and again while they were quoted", _LATER),
    _S.STATUS_IO_TIMEOUT: Remedy(
        "a call did not come back within the provider's timeout",
        "look whether the token hangs; whether the key, PIN or change was taken is not known",
    ),
    _S.STATUS_IO_DEVICE_ERROR: Remedy(
        "the token failed at this operation, and its sessions are sound", "try again; if it stays, the token's own log"
    ),
    _S.STATUS_NO_MEMORY: Remedy(
        "the host's memory, or the TPM's slots for objects or sessions, are taken",
        "end the programs that hold them, flush what they left, or use /dev/tpmrm0 or tpm2-abrmd; `hwcng doctor`",
    ),
    _S.STATUS_INSUFFICIENT_RESOURCES: Remedy(
        "the token has no session or memory left, or the process no thread or file descriptor",
        "fewer workers, threads or open files, or a larger limit of the token or of the user (ulimit)",
    ),
    _S.STATUS_DISK_FULL: Remedy(
        "the TPM's non-volatile memory is full", "remove a persistent object: tpm2_evictcontrol"
    ),
    _S.STATUS_OBJECT_NAME_COLLISION: Remedy("something is at that place of the TPM already", "another handle"),
    _S.STATUS_INTERNAL_ERROR: Remedy(
        "the token answered with an error of its own that says no more: CKR_GENERAL_ERROR, "
        "CKR_FUNCTION_FAILED, a vendor's code",
        "the message says what was found wrong on this machine; else the token's own log. `hwcng doctor`",
    ),
    _S.STATUS_UNSUCCESSFUL: Remedy("a file of a TPM's store could not be read", "the message names it, and why"),
    _S.STATUS_CANCELLED: Remedy(
        "the operation was cancelled: at a reader's PIN pad, or by another program", "call again"
    ),
    _S.STATUS_CRYPTO_SYSTEM_INVALID: Remedy("the token's self-test failed; it does nothing any more", "its maker"),
    _S.STATUS_SMARTCARD_SUBSYSTEM_FAILURE: Remedy(
        "the module could not load a library of its own", "install it; the module's own log"
    ),
}

_OF_PERMISSION: dict[Status, Remedy] = {
    _S.STATUS_SMARTCARD_WRONG_PIN: Remedy(
        "the token refused the PIN, now or before in this process; sent once at most",
        "correct it where it comes from; a PIN that was refused is not sent again",
    ),
    _S.STATUS_SMARTCARD_CARD_NOT_AUTHENTICATED: Remedy(
        "the token asks for a PIN, and there is none; it has none yet, or one more wrong PIN would lock it",
        "`pin=` or a `pin-source` in the URI; before a lock `pin=` alone is sent",
    ),
    _S.STATUS_SMARTCARD_CARD_BLOCKED: Remedy("the PIN is locked", "the token's security officer sets a new one"),
    _S.STATUS_WRONG_PASSWORD: Remedy(
        "an authorization value of the TPM is wrong or missing: of a key, the storage root key or the owner; "
        "tried once",
        "the message names whose; `pin=`, SmartCardPin, `owner-auth-source` or `root-auth-source`",
    ),
    _S.STATUS_ACCOUNT_LOCKED_OUT: Remedy(
        "the TPM is in dictionary-attack lockout", "wait `.wait_seconds`, or `tpm2_dictionarylockout --clear-lockout`"
    ),
    _S.STATUS_ACCESS_DENIED: Remedy(
        "the token, the TPM's policy (PCRs) or the file system does not permit it",
        "the message says which; a key that is bound to PCRs works in the state of the machine in which it was made",
    ),
}

_OF_KEYS: dict[Status, Remedy] = {
    _H.NTE_BAD_KEYSET: Remedy(
        "no key has that name or fits all that the URI says; or the one that was open was deleted or replaced",
        "`hwcng keys list URI`; open it again",
    ),
    _H.NTE_KEYSET_ENTRY_BAD: Remedy(
        "several keys fit, a key's public half is nowhere or not one, or a TPM's file is damaged or of another TPM",
        "the message has a name for each; say `id=` and `type=` in the URI; a TPM that was cleared: delete "
        "the key and make another",
    ),
    _H.NTE_EXISTS: Remedy(
        "the name is taken", "another name, or replace it: `replace=True`, NCRYPT_OVERWRITE_KEY_FLAG"
    ),
    _H.NTE_TOKEN_KEYSET_STORAGE_FULL: Remedy(
        "no room in the token, or on the disk below it; what was there is there still", "make room, call again"
    ),
    _H.NTE_PERM: Remedy(
        "the token or the file system does not let it be read, written or removed", "give the permission, call again"
    ),
    _H.NTE_NOT_SUPPORTED: Remedy(
        "as STATUS_NOT_SUPPORTED; a key of other software of a kind that is not served", "use another key or algorithm"
    ),
    _H.NTE_NOT_FOUND: Remedy(
        "as STATUS_NOT_FOUND; a property that is not set; a key without a certificate", "`hwcng keys show URI NAME`"
    ),
    _H.NTE_INVALID_PARAMETER: Remedy("as STATUS_INVALID_PARAMETER; what cannot be a key's name", _CORRECT),
    _H.NTE_NO_MEMORY: Remedy("as STATUS_NO_MEMORY; the process has too many files open", "as there; `ulimit -n`"),
    _H.NTE_FAIL: Remedy("as STATUS_UNSUCCESSFUL; the operating system refused a file", "the message has its reason"),
    _H.NTE_BAD_KEY_STATE: Remedy(
        "the key is not finalized, or is and cannot change; a private key that shall leave in clear",
        "NCryptFinalizeKey first; set properties before it",
    ),
    _H.NTE_BAD_FLAGS: Remedy("a flag that the function does not have, or two that exclude each other", _CORRECT),
    _H.NTE_BAD_TYPE: Remedy("a parameter or blob type that the object does not have", _CORRECT),
    _H.NTE_BAD_DATA: Remedy(
        "a blob or a ciphertext is malformed or does not decrypt", "another key, or it was changed"
    ),
    _H.NTE_BAD_LEN: Remedy("a length that the key or the function does not take", _CORRECT),
    _H.RPC_X_NULL_REF_POINTER: Remedy("None where NCrypt wants a value", _CORRECT),
}

_OF_CRYPTOAPI: dict[Status, Remedy] = {
    _H.NTE_BAD_UID: Remedy("the context was released", "acquire another"),
    _H.NTE_BAD_HASH: Remedy("the hash does not do for this: a MAC, or a value too short", _CORRECT),
    _H.NTE_BAD_HASH_STATE: Remedy("the hash's value was asked for, so it takes no more data", "begin another"),
    _H.NTE_BAD_KEY: Remedy("the key is not of the kind that the function takes", _CORRECT),
    _H.NTE_BAD_VER: Remedy("a blob of a version that there is not", _CORRECT),
    _H.NTE_BAD_ALGID: Remedy(
        "an algorithm that the provider or the token does not have, or that the key is not for",
        "another provider type; `hwcng capabilities URI`",
    ),
    _H.NTE_BAD_PUBLIC_KEY: Remedy("no exchange key was given, or one of another group", _CORRECT),
    _H.NTE_NO_KEY: Remedy("the container has no such pair", "CryptGenKey makes it"),
    _H.NTE_BAD_PROVIDER: Remedy(
        "there is no provider of that name", "None, one of Microsoft's names, a configured name or a URI"
    ),
    _H.NTE_BAD_PROV_TYPE: Remedy("a provider type that cannot be", _CORRECT),
    _H.NTE_PROV_TYPE_NOT_DEF: Remedy("there is no provider of that type", _CORRECT),
    _H.NTE_PROV_TYPE_NO_MATCH: Remedy("the provider of that name is of another type", _CORRECT),
    _H.NTE_KEYSET_NOT_DEF: Remedy(
        "the provider is not configured, or its token is not there", "the message says which"
    ),
    _H.NTE_BAD_KEYSET_PARAM: Remedy("what cannot be a container's name", _CORRECT),
    _H.NTE_SILENT_CONTEXT: Remedy(
        "the call would have to ask the user, and the context is silent", "leave out CRYPT_SILENT or the flag"
    ),
    _H.NTE_FIXEDPARAMETER: Remedy("a parameter that the token fixes", "leave it as it is"),
    _W.ERROR_NO_MORE_ITEMS: Remedy("an enumeration is at its end", "stop asking"),
}

GROUPS: Mapping[str, Mapping[Status, Remedy]] = MappingProxyType(
    {
        "The call": MappingProxyType(_OF_THE_CALL),
        "PINs and permission": MappingProxyType(_OF_PERMISSION),
        "The token": MappingProxyType(_OF_THE_TOKEN),
        "Named keys": MappingProxyType(_OF_KEYS),
        "The CryptoAPI's own": MappingProxyType(_OF_CRYPTOAPI),
    }
)
"""The rows, as the page has them."""

REMEDIES: Mapping[Status, Remedy] = MappingProxyType(
    {status: row for rows in GROUPS.values() for status, row in rows.items()}
)
"""All rows."""


def remedy(status: Status) -> Remedy | None:
    """The row of a status. None for what is only a translation of another one's row, and for what no call ends with."""
    return REMEDIES.get(status)
