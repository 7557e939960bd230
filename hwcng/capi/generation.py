"""CryptGenKey, CryptGetUserKey and CryptDeriveKey: flags, lengths, and where the new key goes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from hwcng.capi.algids import SPEC_OF_ALGID, AlgId, Kind
from hwcng.capi.containers import Make, SharedPair
from hwcng.capi.contexts import Asked, Context
from hwcng.capi.csps import CSPS
from hwcng.capi.errors import Code, failing_as, failure
from hwcng.capi.handle_base import CapiKey
from hwcng.capi.hashes import CapiHash
from hwcng.capi.pairs import PairKey
from hwcng.capi.pregen import PregenKey
from hwcng.capi.session_keys import SessionKey, imported, secret_spec
from hwcng.cng.algorithm_handle import AlgorithmHandle
from hwcng.cng.derive import crypt_derive_key
from hwcng.cng.key_pair import KeyPair
from hwcng.cng.symmetric_key import SymmetricKey
from hwcng.contract.specs import PairSpec, SecretSpec
from hwcng.contract.usage import Usage
from hwcng.errors import HRESULT, NTSTATUS, Win32Error, told
from hwcng.headers import wincrypt_h

__all__ = ["derive", "generate", "made_pair", "user_key"]

_FLAGS = (
    wincrypt_h.CRYPT_EXPORTABLE
    | wincrypt_h.CRYPT_USER_PROTECTED
    | wincrypt_h.CRYPT_CREATE_SALT
    | wincrypt_h.CRYPT_NO_SALT
    | wincrypt_h.CRYPT_PREGEN
    | wincrypt_h.CRYPT_ONLINE
    | wincrypt_h.CRYPT_SF
    | wincrypt_h.CRYPT_CREATE_IV
    | wincrypt_h.CRYPT_KEK
    | wincrypt_h.CRYPT_DATA_KEY
    | wincrypt_h.CRYPT_VOLATILE
    | wincrypt_h.CRYPT_SGCKEY
    | wincrypt_h.CRYPT_ARCHIVABLE
    | wincrypt_h.CRYPT_FORCE_KEY_PROTECTION_HIGH
)
_DERIVATION_FLAGS = (
    wincrypt_h.CRYPT_EXPORTABLE
    | wincrypt_h.CRYPT_CREATE_SALT
    | wincrypt_h.CRYPT_NO_SALT
    | wincrypt_h.CRYPT_UPDATE_KEY
    | wincrypt_h.CRYPT_SERVER
    | wincrypt_h.CRYPT_SGCKEY
)
_LENGTH_SHIFT = 16
_LOW_BITS = 0xFFFF
MAC_KEY_BITS = 512
"""Of a CALG_HMAC key where none are asked for: no hash has a shorter block."""
MOST_ASKED = 64
"""Kept, of a context and of all."""

_OF_PARAMETERS = ("DSA", "DH")

_LENGTH_REFUSED: Mapping[int, Code] = {NTSTATUS.STATUS_NOT_SUPPORTED: Win32Error.ERROR_INVALID_PARAMETER}
_ALGORITHM_REFUSED: Mapping[int, Code] = {NTSTATUS.STATUS_NOT_SUPPORTED: HRESULT.NTE_BAD_ALGID}


def _check_flags(flags: int, known: int) -> None:
    if flags & _LOW_BITS & ~known:
        raise failure(HRESULT.NTE_BAD_FLAGS, f"dwFlags {told(flags)} has undefined bits")


def _check_silence(flags: int, silent: bool, verifying: bool) -> None:
    if flags & wincrypt_h.CRYPT_USER_PROTECTED and silent:
        raise failure(HRESULT.NTE_SILENT_CONTEXT, "CRYPT_USER_PROTECTED asks the user, whom the context keeps out")
    if flags & wincrypt_h.CRYPT_FORCE_KEY_PROTECTION_HIGH and (silent or verifying):
        raise failure(
            HRESULT.NTE_SILENT_CONTEXT, "CRYPT_FORCE_KEY_PROTECTION_HIGH asks the user, whom the context keeps out"
        )


def generate(context: Context, algid: int, flags: int) -> CapiKey:
    """CryptGenKey."""
    asked = context.asked.get((algid, flags))
    if asked is None:
        asked = _asked(context, algid, flags)
        if len(context.asked) < MOST_ASKED:
            context.asked[algid, flags] = asked
    row, bits, handle, spec = asked
    if isinstance(spec, SecretSpec):
        # DES keys of one, two and three parts are algorithms, and no lengths of one.
        with failing_as(_ALGORITHM_REFUSED if row.parity else _LENGTH_REFUSED):
            key = SymmetricKey.generated(handle, spec)
        return SessionKey(context, row, key, 0 if row.kind is Kind.MAC else flags)
    if row.algorithm in _OF_PARAMETERS and flags & wincrypt_h.CRYPT_PREGEN:
        return PregenKey(context, row, bits, exportable=bool(flags & wincrypt_h.CRYPT_EXPORTABLE), put=_put)
    with failing_as(_LENGTH_REFUSED):
        return made_pair(context, row, handle, _generating(asked, flags), flags)


@lru_cache(maxsize=MOST_ASKED)
def _found(csp: str, algid: int, flags: int, silent: bool, verifying: bool) -> tuple[AlgId, int]:
    """What CryptGenKey of a provider is asked for, whatever the token: a row, and a length in bits with its parity.
    silent, verifying: of the context.
    """
    known = CSPS[csp]
    row = known.algid(known.of_spec(algid))
    _check_flags(flags, _FLAGS)
    if row.kind is Kind.HASH or row.algorithm == "MAC":
        raise failure(HRESULT.NTE_BAD_ALGID, f"{row.name} has no keys")
    _check_silence(flags, silent, verifying)
    requested = flags >> _LENGTH_SHIFT
    return row, _mac_key_bits(requested) if row.kind is Kind.MAC else known.key_bits(row, requested)


def _asked(context: Context, algid: int, flags: int) -> Asked:
    """What the token is asked for, where it has the algorithm."""
    row, bits = _found(context.csp.name, algid, flags, context.silent, context.verifying)
    context.require_offered(row)
    if row.kind in (Kind.CIPHER, Kind.MAC):
        secret = secret_spec(context, row, bits, flags)
        return Asked(row, bits, context.algorithm_of(secret), secret)
    usage, exportable = RSA_USAGES.get(row.value), bool(flags & wincrypt_h.CRYPT_EXPORTABLE)
    # Not by KeyPair: CNG has no RSA pairs of 384 to 504 bits, nor steps of 8.
    pair = PairSpec("RSA", usage, bits, exportable=exportable) if usage is not None else None
    return Asked(row, bits, context.algorithm(row.algorithm), pair)


def _mac_key_bits(requested: int) -> int:
    """Beyond the CryptoAPI: the length of a key that only HMAC uses, which a cipher's key is not in most tokens."""
    bits = requested or MAC_KEY_BITS
    if bits % 8 or not 8 <= bits <= MAC_KEY_BITS:
        raise failure(
            Win32Error.ERROR_INVALID_PARAMETER, f"HMAC keys have 8 to {MAC_KEY_BITS} bits in steps of 8, not {bits}"
        )
    return bits


RSA_USAGES = {
    wincrypt_h.CALG_RSA_KEYX: Usage.SIGN | Usage.DECRYPT | Usage.UNWRAP,
    wincrypt_h.CALG_RSA_SIGN: Usage.SIGN,
}
"""An exchange pair signs too (CryptSignHash takes either key specification)."""


def _generating(asked: Asked, flags: int) -> Make:
    spec = asked.spec
    if isinstance(spec, PairSpec):
        return lambda maker: maker.generate_pair(spec)
    pair = KeyPair(asked.handle, asked.bits)
    pair.export_policy = int(bool(flags & wincrypt_h.CRYPT_EXPORTABLE))
    return pair.generate


def _put(context: Context, row: AlgId, handle: AlgorithmHandle, make: Make) -> SharedPair:
    """What `make` brings about, in the container where pairs of its ALG_ID are in one. handle: of the row."""
    spec = SPEC_OF_ALGID.get(row.value)
    if spec is None:
        return SharedPair.of(handle, make(context.provider))
    return context.container.put(spec, handle, make)


def made_pair(context: Context, row: AlgId, handle: AlgorithmHandle, make: Make, flags: int = 0) -> PairKey:
    """The handle to a pair that `make` brings about, which is the container's from its first moment on."""
    shared = _put(context, row, handle, make)
    archivable = bool(flags & wincrypt_h.CRYPT_ARCHIVABLE)
    try:
        return PairKey(context, row, shared, exportable=shared.pair.private.spec.exportable, archivable=archivable)
    except BaseException:
        shared.release()
        raise


def user_key(context: Context, spec: int) -> PairKey:
    """CryptGetUserKey: the container's pair of a key specification."""
    if spec not in (wincrypt_h.AT_KEYEXCHANGE, wincrypt_h.AT_SIGNATURE):
        raise failure(HRESULT.NTE_NO_KEY, f"{told(spec)} is no key specification")
    value = context.csp.exchange if spec == wincrypt_h.AT_KEYEXCHANGE else context.csp.signature
    if value is None:
        raise failure(HRESULT.NTE_NO_KEY, f"{context.csp.name} has no pair of key specification {spec}")
    row = context.csp.algid(value)
    shared = context.container.load(spec, context.algorithm(row.algorithm))
    return PairKey(context, row, shared, exportable=shared.pair.private.spec.exportable)


def derive(context: Context, algid: int, base: CapiHash, flags: int) -> SessionKey:
    """CryptDeriveKey: from the value of a hash, which takes no more data afterwards. The key ends in the token."""
    row = context.csp.algid(algid)
    if row.kind is not Kind.CIPHER:
        raise failure(HRESULT.NTE_BAD_ALGID, f"{row.name} keys are not derived from hashes")
    _check_flags(flags, _DERIVATION_FLAGS)
    bits = context.csp.key_bits(row, flags >> _LENGTH_SHIFT)
    context.require_offered(row)
    function = base.row.hash_function
    if function is None:
        raise failure(HRESULT.NTE_BAD_HASH, f"no key is derived from {base.row.name}")
    digest = base.value()
    for_block_cipher = row.algorithm in crypt_derive_key.BLOCK_CIPHERS
    with failing_as({NTSTATUS.STATUS_INVALID_PARAMETER: HRESULT.NTE_BAD_HASH}):
        value = crypt_derive_key.expand(function, digest, bits // 8, for_block_cipher=for_block_cipher)
    key = imported(context, secret_spec(context, row, bits, flags), value)
    return SessionKey(context, row, key, flags, leftover=digest[bits // 8 :])
