"""CryptExportKey and CryptImportKey. No key leaves its token but wrapped inside it.

Private pairs and PLAINTEXTKEYBLOBs are never exported: NTE_BAD_KEY_STATE, which means that the key may not be exported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from hwcng.capi.agreed_keys import AgreedKey
from hwcng.capi.algids import AlgId, Kind
from hwcng.capi.containers import SharedPair
from hwcng.capi.contexts import Context
from hwcng.capi.errors import MALFORMED, failing_as, failure
from hwcng.capi.generation import RSA_USAGES, made_pair, user_key
from hwcng.capi.handle_base import CapiKey, bad_key, bad_state
from hwcng.capi.pairs import OAEP_OVERHEAD, PKCS1_OVERHEAD, PairKey
from hwcng.capi.session_keys import SessionKey, imported, secret_spec
from hwcng.cng import cipher_keys, key_transport, public_key_info
from hwcng.cng.blobs import key_blobs
from hwcng.cng.blobs.key_blobs import Blob
from hwcng.cng.key_pair import KeyPair
from hwcng.cng.symmetric_key import SymmetricKey
from hwcng.contract.keys import PrivateKey
from hwcng.contract.material import (
    DhPublicKey,
    DsaPublicKey,
    PrivateKeyMaterial,
    PublicKeyMaterial,
    RsaPrivateKey,
    RsaPublicKey,
)
from hwcng.contract.specs import PairSpec
from hwcng.contract.usage import SecretFamily, Support
from hwcng.errors import HRESULT, NTSTATUS, CngError, Win32Error, told
from hwcng.headers import wincrypt_h
from hwcng.headers.bcrypt_h import BCRYPT_OPAQUE_KEY_BLOB

__all__ = ["export", "import_blob"]

_EXPORT_FLAGS = (
    wincrypt_h.CRYPT_OAEP
    | wincrypt_h.CRYPT_BLOB_VER3
    | wincrypt_h.CRYPT_DESTROYKEY
    | wincrypt_h.CRYPT_SSL2_FALLBACK
    | wincrypt_h.CRYPT_Y_ONLY
)
_EXPORT_SERVED = wincrypt_h.CRYPT_OAEP | wincrypt_h.CRYPT_BLOB_VER3
_IMPORT_FLAGS = (
    wincrypt_h.CRYPT_EXPORTABLE
    | wincrypt_h.CRYPT_USER_PROTECTED
    | wincrypt_h.CRYPT_NO_SALT
    | wincrypt_h.CRYPT_OAEP
    | wincrypt_h.CRYPT_IPSEC_HMAC_KEY
)


def _exchange(key: CapiKey | None) -> tuple[PairKey, RsaPublicKey]:
    if key is None:
        raise failure(HRESULT.NTE_BAD_PUBLIC_KEY, "a SIMPLEBLOB needs an exchange key as hExpKey")
    if (
        not isinstance(key, PairKey)
        or key.row.value != wincrypt_h.CALG_RSA_KEYX
        or not isinstance(key.public, RsaPublicKey)
    ):
        raise bad_key("session keys are wrapped under a CALG_RSA_KEYX key")
    return key, key.public


def export(key: CapiKey, export_key: CapiKey | None, kind: int, flags: int) -> bytes:
    """CryptExportKey."""
    if flags & ~_EXPORT_SERVED:
        known = "is not supported" if not flags & ~_EXPORT_FLAGS else "has undefined bits"
        raise failure(HRESULT.NTE_BAD_FLAGS, f"dwFlags {flags:#x} {known}")
    if kind == wincrypt_h.PUBLICKEYBLOB:
        if not isinstance(key, PairKey):
            raise bad_key("a session key has no PUBLICKEYBLOB")
        with failing_as({NTSTATUS.STATUS_NOT_SUPPORTED: HRESULT.NTE_BAD_KEY}):
            return key_blobs.build_public(key.public, key.row.value, key.bits, flags)
    if kind == wincrypt_h.PRIVATEKEYBLOB:
        raise _private_refused(key)
    if kind == wincrypt_h.OPAQUEKEYBLOB:
        return _opaque(key)
    if kind not in (wincrypt_h.SIMPLEBLOB, wincrypt_h.PLAINTEXTKEYBLOB):
        raise failure(HRESULT.NTE_BAD_TYPE, f"blob type {told(kind)} is not supported")
    if not isinstance(key, SessionKey):
        raise bad_key("a key pair has no such blob")
    key.require_exportable()
    if kind == wincrypt_h.PLAINTEXTKEYBLOB:
        raise bad_state("the key stays in its token: PLAINTEXTKEYBLOB would be its plaintext")
    exchange, public = _exchange(export_key)
    if key.for_mac:
        raise failure(HRESULT.NTE_BAD_TYPE, "a SIMPLEBLOB does not say that its key is HMAC's")
    if key.bits > _room(public, flags):
        raise failure(
            HRESULT.NTE_BAD_LEN, f"a key of {key.bits} bits does not fit under one of {public.modulus.bit_length()}"
        )
    wrapped = key_transport.wrapped(key.key, exchange.pair, *exchange.padding(flags))
    return key_blobs.build(
        wincrypt_h.SIMPLEBLOB, key.row.value, wincrypt_h.CALG_RSA_KEYX.to_bytes(4, "little") + wrapped[::-1]
    )


def _room(public: RsaPublicKey, flags: int) -> int:
    """Bits of the longest key that is wrapped under an exchange key."""
    overhead = OAEP_OVERHEAD if flags & wincrypt_h.CRYPT_OAEP else PKCS1_OVERHEAD
    return 8 * ((public.modulus.bit_length() + 7) // 8 - overhead)


def _private_refused(key: CapiKey) -> CngError:
    if not isinstance(key, PairKey):
        return bad_key("a session key has no PRIVATEKEYBLOB")
    if not key.pair.has_private:
        return failure(HRESULT.NTE_NO_KEY, "the key has no private half")
    if not key.permissions & (wincrypt_h.CRYPT_EXPORT | wincrypt_h.CRYPT_ARCHIVE):
        return bad_state("the pair was not made with CRYPT_EXPORTABLE")
    return bad_state("the private key stays in its token: PRIVATEKEYBLOB would be its plaintext")


def _opaque(key: CapiKey) -> bytes:
    """The token's own protected form, behind the header: it loads in that token alone."""
    if isinstance(key, SessionKey):
        key.require_exportable()
        return key_blobs.build(wincrypt_h.OPAQUEKEYBLOB, key.row.value, key.key.export(BCRYPT_OPAQUE_KEY_BLOB))
    if not isinstance(key, PairKey) or not key.pair.has_private:
        raise bad_key("the key has no OPAQUEKEYBLOB")
    if not key.permissions & wincrypt_h.CRYPT_EXPORT:
        raise bad_state("the pair was not made with CRYPT_EXPORTABLE")
    return key_blobs.build(wincrypt_h.OPAQUEKEYBLOB, key.row.value, key.pair.export(BCRYPT_OPAQUE_KEY_BLOB))


def import_blob(context: Context, data: bytes, key: CapiKey | None, flags: int) -> CapiKey:
    """CryptImportKey."""
    if flags & ~_IMPORT_FLAGS:
        raise failure(HRESULT.NTE_BAD_FLAGS, f"dwFlags {flags:#x} has undefined bits")
    if flags & wincrypt_h.CRYPT_USER_PROTECTED and context.silent:
        raise failure(HRESULT.NTE_SILENT_CONTEXT, "CRYPT_USER_PROTECTED asks the user, whom the context keeps out")
    blob = key_blobs.parse(data)
    importer = _IMPORTERS.get(blob.kind)
    if importer is None:
        raise failure(HRESULT.NTE_BAD_TYPE, f"blob type {blob.kind} is not supported")
    row = context.csp.algid(blob.algid)
    return importer(context, row, blob, data, key, flags)


def _import_public(context: Context, row: AlgId, blob: Blob, data: bytes, key: CapiKey | None, flags: int) -> CapiKey:
    if row.kind not in (Kind.SIGNATURE, Kind.EXCHANGE):
        raise failure(HRESULT.NTE_BAD_ALGID, f"{row.name} keys have no PUBLICKEYBLOB")
    ours = key.public if isinstance(key, PairKey) and row.algorithm == "DH" else None
    with failing_as(MALFORMED):
        public = key_blobs.parse_public(blob, ours.domain if isinstance(ours, DhPublicKey) else None)
    shared = SharedPair(context.algorithm(row.algorithm), public, None)
    if isinstance(key, PairKey) and isinstance(ours, DhPublicKey):
        with failing_as(MALFORMED):
            return AgreedKey(context, key.pair.agree(shared.pair))
    announced = key_blobs.announced_bits(blob) if isinstance(public, RsaPublicKey) else 0
    return PairKey(context, row, shared, exportable=False, announced=announced)


_ALGIDS_OF_INFOS: tuple[tuple[type[PublicKeyMaterial], int], ...] = (
    (RsaPublicKey, wincrypt_h.CALG_RSA_KEYX),
    (RsaPublicKey, wincrypt_h.CALG_RSA_SIGN),
    (DsaPublicKey, wincrypt_h.CALG_DSS_SIGN),
)


def import_public_key(context: Context, info: bytes) -> PairKey:
    """CryptImportPublicKeyInfo."""
    with failing_as(
        {
            NTSTATUS.STATUS_INVALID_PARAMETER: HRESULT.NTE_BAD_DATA,
            NTSTATUS.STATUS_NOT_SUPPORTED: HRESULT.NTE_BAD_ALGID,
        }
    ):
        public = public_key_info.parse(info)
    for kind, value in _ALGIDS_OF_INFOS:
        if isinstance(public, kind) and value in context.csp.algorithms:
            row = context.csp.algid(value)
            return PairKey(context, row, SharedPair(context.algorithm(row.algorithm), public, None), exportable=False)
    raise failure(HRESULT.NTE_BAD_ALGID, f"{context.csp.name} has no keys of this kind")


def _import_private(context: Context, row: AlgId, blob: Blob, data: bytes, key: CapiKey | None, flags: int) -> CapiKey:
    if row.kind not in (Kind.SIGNATURE, Kind.EXCHANGE):
        raise failure(HRESULT.NTE_BAD_ALGID, f"{row.name} keys have no PRIVATEKEYBLOB")
    if key is not None:
        raise failure(
            HRESULT.NTE_NOT_SUPPORTED, "an encrypted PRIVATEKEYBLOB would be decrypted into the host's memory"
        )
    with failing_as(MALFORMED):
        material = key_blobs.parse_private(blob, data)
    spec = _pair_spec(context, row, material, exportable=bool(flags & wincrypt_h.CRYPT_EXPORTABLE))
    context.require_offered(row)
    with failing_as({NTSTATUS.STATUS_NOT_SUPPORTED: Win32Error.ERROR_INVALID_PARAMETER}):
        handle = context.algorithm(row.algorithm)
        return made_pair(context, row, handle, lambda maker: maker.import_pair(spec, material))


def _pair_spec(context: Context, row: AlgId, material: PrivateKeyMaterial, *, exportable: bool) -> PairSpec:
    if isinstance(material, RsaPrivateKey):
        return PairSpec("RSA", RSA_USAGES[row.value], material.modulus.bit_length(), exportable=exportable)
    pair = KeyPair(context.algorithm(row.algorithm))
    pair.export_policy = int(exportable)
    return pair.spec_of(material.public)


def _import_plaintext(
    context: Context, row: AlgId, blob: Blob, data: bytes, key: CapiKey | None, flags: int
) -> CapiKey:
    value = key_blobs.parse_plaintext(blob.body)
    bits = 8 * len(value)
    if row.kind is Kind.MAC or flags & wincrypt_h.CRYPT_IPSEC_HMAC_KEY:
        if row.value not in (wincrypt_h.CALG_RC2, wincrypt_h.CALG_HMAC):
            raise failure(HRESULT.NTE_BAD_ALGID, "the key of an HMAC is imported as CALG_RC2 with CRYPT_IPSEC_HMAC_KEY")
        if not bits:
            raise failure(HRESULT.NTE_BAD_LEN, "an HMAC key of no bytes is not taken")
        spec = secret_spec(context, row, bits, flags, mac=True)
        return SessionKey(context, row, imported(context, spec, value))
    _require_cipher_bits(context, row, bits)
    context.require_offered(row)
    return SessionKey(context, row, imported(context, secret_spec(context, row, bits, flags), value), flags)


def _require_cipher_bits(context: Context, row: AlgId, bits: int) -> None:
    """Raises NTE_BAD_DATA for a key, with its parity, that the provider does not have."""
    if row.kind is not Kind.CIPHER:
        raise failure(HRESULT.NTE_BAD_ALGID, f"{row.name} keys are no session keys")
    with failing_as({Win32Error.ERROR_INVALID_PARAMETER: HRESULT.NTE_BAD_DATA}):
        if not bits or context.csp.key_bits(row, bits) != bits:
            raise failure(HRESULT.NTE_BAD_DATA, f"{row.name} has no keys of {bits} bits")


def _import_simple(context: Context, row: AlgId, blob: Blob, data: bytes, key: CapiKey | None, flags: int) -> CapiKey:
    if row.kind is not Kind.CIPHER:
        raise failure(HRESULT.NTE_BAD_ALGID, f"{row.name} keys are no session keys")
    given = user_key(context, wincrypt_h.AT_KEYEXCHANGE) if key is None else key
    try:
        exchange, public = _exchange(given)
        if not exchange.pair.has_private:
            raise failure(HRESULT.NTE_NO_KEY, "the exchange key has no private half")
        context.require_offered(row)
        _require_salting(context, row, flags)
        wrapped = key_blobs.parse_simple(blob.body, (public.modulus.bit_length() + 7) // 8)
        lengths = [bits for bits in context.csp.wrapped_lengths(row) if bits <= _room(public, flags)]
        unwrapped = _unwrapped(context, row, exchange, wrapped, flags, lengths)
    finally:
        if key is None:
            given.destroy()
    if unwrapped is None:
        # Raised here, where no other error is at hand: neither message nor cause says what was wrong.
        raise failure(HRESULT.NTE_BAD_DATA, "decryption error")
    return SessionKey(context, row, unwrapped, flags)


def _require_salting(context: Context, row: AlgId, flags: int) -> None:
    """Raises NTE_NOT_SUPPORTED before anything is decrypted where a salt could not be joined to the key afterwards."""
    if (
        row.salted
        and not flags & wincrypt_h.CRYPT_NO_SALT
        and context.provider.offers("KDF", "JOIN") is Support.REFUSED
    ):
        raise failure(
            HRESULT.NTE_NOT_SUPPORTED,
            f"the token joins no salt to a {row.name} key: import it with CRYPT_NO_SALT",
        )


def _unwrapped(
    context: Context, row: AlgId, exchange: PairKey, wrapped: bytes, flags: int, lengths: Sequence[int]
) -> SymmetricKey | None:
    """The key, or None for whatever is wrong with it. lengths: that it may have, in bits."""
    if not lengths:
        return None
    spec = secret_spec(context, row, row.stored, flags)
    try:
        return key_transport.unwrapped(
            context.algorithm_of(spec), spec, exchange.pair, wrapped, *exchange.padding(flags), lengths
        )
    except CngError as error:
        if error.status is not NTSTATUS.STATUS_INVALID_PARAMETER:
            raise
    return None


def _import_opaque(context: Context, row: AlgId, blob: Blob, data: bytes, key: CapiKey | None, flags: int) -> CapiKey:
    with failing_as({NTSTATUS.STATUS_INVALID_PARAMETER: HRESULT.NTE_BAD_DATA}):
        if row.kind in (Kind.SIGNATURE, Kind.EXCHANGE):
            return _opaque_pair(context, row, blob.body)
        families = () if row.family is None else (row.family, SecretFamily.HMAC)
        loaded = cipher_keys.reloaded(context.provider, blob.body, row.name, lambda spec: spec.family in families)
    return SessionKey(context, row, SymmetricKey.of_token(context.algorithm_of(loaded.spec), loaded), flags)


def _opaque_pair(context: Context, row: AlgId, body: bytes) -> PairKey:
    """It takes no other pair's place before it is known what it is."""
    spec, _ = context.provider.opaque_contents(body)
    handle = context.algorithm(row.algorithm)
    if not isinstance(spec, PairSpec) or spec.kind != handle.algorithm.family:
        raise failure(HRESULT.NTE_BAD_DATA, f"the OPAQUEKEYBLOB holds no {row.name} key")
    return made_pair(context, row, handle, lambda maker: cast("PrivateKey", maker.reload_opaque(body)))


_IMPORTERS = {
    wincrypt_h.SIMPLEBLOB: _import_simple,
    wincrypt_h.PUBLICKEYBLOB: _import_public,
    wincrypt_h.PRIVATEKEYBLOB: _import_private,
    wincrypt_h.PLAINTEXTKEYBLOB: _import_plaintext,
    wincrypt_h.OPAQUEKEYBLOB: _import_opaque,
}
