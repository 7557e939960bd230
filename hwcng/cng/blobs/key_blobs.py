"""The layouts of wincrypt.h's key blobs: BLOBHEADER, then what its type has. All numbers are little-endian.

SIMPLEBLOB, PUBLICKEYBLOB of RSA, DSS and Diffie-Hellman in versions 2 and 3, PLAINTEXTKEYBLOB. Private blobs are read
by the families of `hwcng.cng`, and never written.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from hwcng.cng.blobs.fields import Fields
from hwcng.cng.blobs.wincrypt import NO_COUNTER, seed_of
from hwcng.cng.families.dh import parse_capi_dh_private
from hwcng.cng.families.dsa import parse_capi_dsa_private
from hwcng.cng.families.rsa import build_capi_rsa_public, parse_rsa
from hwcng.contract.material import (
    DhDomain,
    DhPrivateKey,
    DhPublicKey,
    DsaDomain,
    DsaPublicKey,
    PrivateKeyMaterial,
    PublicKeyMaterial,
    RsaPrivateKey,
    RsaPublicKey,
)
from hwcng.errors import HRESULT, CngError
from hwcng.headers import wincrypt_h
from hwcng.headers.bcrypt_h import BCRYPT_RSAPUBLIC_MAGIC, LEGACY_RSAPRIVATE_BLOB
from hwcng.headers.records import BLOBHEADER, PUBKEY, PUBKEYVER3, RSAPUBKEY
from hwcng.hostcrypto.finite_field import check_dh, check_dsa
from hwcng.hostcrypto.rsa import check_public

__all__ = [
    "HEADER_SIZE",
    "Blob",
    "announced_bits",
    "build",
    "build_public",
    "parse",
    "parse_plaintext",
    "parse_private",
    "parse_public",
    "parse_public_parameters",
    "parse_simple",
]

_HEADER = BLOBHEADER.layout()
_RSA = RSAPUBKEY.layout()
_V2 = PUBKEY.layout()
_V3 = PUBKEYVER3.layout()
_DWORD = struct.Struct("<I")
HEADER_SIZE = _HEADER.size

DSS1_MAGIC, DSS3_MAGIC = 0x31535344, 0x33535344
DH1_MAGIC, DH3_MAGIC = 0x31484400, 0x33484400
SUBPRIME_SIZE = SEED_SIZE = 20
VERSIONS = (2, 3)
LONGEST_RSA_BITS = 16384


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob behind its header. body: may hold a key, so no repr shows it."""

    kind: int
    version: int
    algid: int
    body: bytes = field(repr=False)


def parse(blob: bytes) -> Blob:
    """Raises NTE_BAD_DATA for one without a header, NTE_BAD_VER for an unknown version."""
    if len(blob) < _HEADER.size:
        raise CngError(HRESULT.NTE_BAD_DATA, f"a key blob has {_HEADER.size} bytes or more, {len(blob)} given")
    kind, version, _, algid = _HEADER.unpack_from(blob)
    if version not in VERSIONS:
        raise CngError(HRESULT.NTE_BAD_VER, f"a key blob is of version 2 or 3, not {version}")
    return Blob(kind, version, algid, blob[_HEADER.size :])


def build(kind: int, algid: int, body: bytes, version: int = wincrypt_h.CUR_BLOB_VERSION) -> bytes:
    return _HEADER.pack(kind, version, 0, algid) + body


def _little(value: int, size: int) -> bytes:
    return value.to_bytes(size, "little")


def _bad(message: str) -> Exception:
    return CngError(HRESULT.NTE_BAD_DATA, message)


def parse_plaintext(body: bytes) -> bytes:
    """The key of a PLAINTEXTKEYBLOB."""
    if len(body) < _DWORD.size or _DWORD.unpack_from(body)[0] != len(body) - _DWORD.size:
        raise _bad("PLAINTEXTKEYBLOB: its length is not that of the key that follows")
    return body[_DWORD.size :]


def parse_simple(body: bytes, size: int) -> bytes:
    """The wrapped key of a SIMPLEBLOB, big-endian. size: bytes of the exchange key's modulus, behind which nothing is
    read.
    """
    if len(body) < _DWORD.size + size:
        raise _bad(f"SIMPLEBLOB: {_DWORD.size + size} bytes expected behind the header, {len(body)} given")
    (algid,) = _DWORD.unpack_from(body)
    if algid != wincrypt_h.CALG_RSA_KEYX:
        raise CngError(HRESULT.NTE_BAD_ALGID, f"SIMPLEBLOB: wrapped by ALG_ID {algid:#06x}, not by CALG_RSA_KEYX")
    return body[_DWORD.size : _DWORD.size + size][::-1]


def build_public(key: PublicKeyMaterial, algid: int, bits: int, flags: int = 0) -> bytes:
    """PUBLICKEYBLOB. bits: that an RSA key announces. flags: CRYPT_BLOB_VER3 for the version that has the parameters of
    Diffie-Hellman.

    Raises STATUS_NOT_SUPPORTED for an exponent that it has no room for, NTE_BAD_KEY for a subprime of over 160 bits in
    version 2, NTE_BAD_TYPE for a key that has no such blob.
    """
    version3 = bool(flags & wincrypt_h.CRYPT_BLOB_VER3)
    if isinstance(key, RsaPublicKey):
        return build_capi_rsa_public(key, algid, bits)
    if isinstance(key, DsaPublicKey):
        body = _dss3(key) if version3 else _dss1(key)
    elif isinstance(key, DhPublicKey):
        body = _dh3(key) if version3 else _dh1(key)
    else:
        raise CngError(HRESULT.NTE_BAD_TYPE, "the key has no PUBLICKEYBLOB")
    return build(wincrypt_h.PUBLICKEYBLOB, algid, body, 3 if version3 else wincrypt_h.CUR_BLOB_VERSION)


def _seed(domain: DsaDomain) -> tuple[int, bytes]:
    if domain.seed is None or domain.counter is None or len(domain.seed) != SEED_SIZE:
        return NO_COUNTER, b"\xff" * SEED_SIZE
    return domain.counter, domain.seed[::-1]


def _dss1(key: DsaPublicKey) -> bytes:
    domain = key.domain
    bits = domain.prime.bit_length()
    size = bits // 8
    if domain.subprime.bit_length() > 8 * SUBPRIME_SIZE:
        raise CngError(HRESULT.NTE_BAD_KEY, "a DSS key with a subprime of over 160 bits has a version 3 blob only")
    counter, seed = _seed(domain)
    return (
        _V2.pack(DSS1_MAGIC, bits)
        + _little(domain.prime, size)
        + _little(domain.subprime, SUBPRIME_SIZE)
        + _little(domain.generator, size)
        + _little(key.value, size)
        + _DWORD.pack(counter)
        + seed
    )


def _dss3(key: DsaPublicKey) -> bytes:
    domain = key.domain
    bits, subprime_bits = domain.prime.bit_length(), domain.subprime.bit_length()
    size = bits // 8
    return (
        _V3.pack(DSS3_MAGIC, bits, subprime_bits, 0, *_seed(domain))
        + _little(domain.prime, size)
        + _little(domain.subprime, subprime_bits // 8)
        + _little(domain.generator, size)
        + _little(key.value, size)
    )


def _dh1(key: DhPublicKey) -> bytes:
    bits = key.domain.prime.bit_length()
    return _V2.pack(DH1_MAGIC, bits) + _little(key.value, bits // 8)


def _dh3(key: DhPublicKey) -> bytes:
    bits = key.domain.prime.bit_length()
    size = bits // 8
    numbers = _little(key.domain.prime, size) + _little(key.domain.generator, size) + _little(key.value, size)
    return _V3.pack(DH3_MAGIC, bits, 0, 0, NO_COUNTER, b"\xff" * SEED_SIZE) + numbers


def announced_bits(blob: Blob) -> int:
    """The length that the RSAPUBKEY of a PUBLICKEYBLOB says: up to 7 bits over the modulus' own."""
    if len(blob.body) < _RSA.size:
        raise _bad("PUBLICKEYBLOB: its RSAPUBKEY is cut short")
    bits: int = _RSA.unpack_from(blob.body)[1]
    return bits


def _parse_rsa(blob: Blob, _: DhDomain | None) -> RsaPublicKey:
    bits = announced_bits(blob)
    magic, _bits, exponent = _RSA.unpack_from(blob.body)
    size = (bits + 7) // 8
    if magic != BCRYPT_RSAPUBLIC_MAGIC or bits > LONGEST_RSA_BITS or len(blob.body) != _RSA.size + size:
        raise _bad(f"PUBLICKEYBLOB: magic {magic:#010x} of {bits} bits does not fit its {len(blob.body)} bytes")
    key = RsaPublicKey(int.from_bytes(blob.body[_RSA.size :], "little"), exponent)
    if not size or (key.modulus.bit_length() + 7) // 8 != size or key.modulus.bit_length() > bits:
        raise _bad(f"PUBLICKEYBLOB: the modulus has {key.modulus.bit_length()} bits, {bits} are announced")
    check_public(key)
    return key


def _v3_fields(blob: Blob, magic: int) -> tuple[int, int, int, tuple[bytes, int] | None, Fields]:
    """The sizes of p, q and j, the seed, and what follows."""
    if len(blob.body) < _V3.size:
        raise _bad("PUBLICKEYBLOB: its header of version 3 is cut short")
    found, *bits, counter, seed = _V3.unpack_from(blob.body)
    if found != magic or any(length % 8 for length in bits):
        raise _bad(f"PUBLICKEYBLOB: magic {found:#010x} or its lengths are wrong")
    p, q, j = (length // 8 for length in bits)
    return p, q, j, seed_of(counter, seed), Fields(blob.body, _V3.size, "little")


def _v2_fields(blob: Blob, magic: int) -> tuple[int, Fields]:
    if len(blob.body) < _V2.size:
        raise _bad("PUBLICKEYBLOB: its header is cut short")
    found, bits = _V2.unpack_from(blob.body)
    if found != magic or bits % 8:
        raise _bad(f"PUBLICKEYBLOB: magic {found:#010x} or its length is wrong")
    return bits // 8, Fields(blob.body, _V2.size, "little")


def _parse_dss(blob: Blob, _: DhDomain | None) -> DsaPublicKey:
    if blob.version == 3:
        size, subprime_size, cofactor_size, seeded, fields = _v3_fields(blob, DSS3_MAGIC)
        p, q, g = fields.modulus(size), fields.number(subprime_size), fields.number(size)
        fields.number(cofactor_size)
        y = fields.number(size)
    else:
        size, fields = _v2_fields(blob, DSS1_MAGIC)
        p, q, g, y = (fields.modulus(size), fields.number(SUBPRIME_SIZE), fields.number(size), fields.number(size))
        seeded = seed_of(_DWORD.unpack(fields.octets(_DWORD.size))[0], fields.octets(SEED_SIZE))
    fields.end()
    seed, counter = seeded or (None, None)
    key = DsaPublicKey(DsaDomain(p, q, g, seed, counter, "SHA1"), y)
    check_dsa(key)
    return key


def _parse_dh(blob: Blob, domain: DhDomain | None) -> DhPublicKey:
    if blob.version == 3:
        size, subprime_size, cofactor_size, _, fields = _v3_fields(blob, DH3_MAGIC)
        p = fields.modulus(size)
        fields.number(subprime_size)
        g = fields.number(size)
        fields.number(cofactor_size)
        domain = DhDomain(p, g)
    else:
        size, fields = _v2_fields(blob, DH1_MAGIC)
        if domain is None:
            raise CngError(
                HRESULT.NTE_BAD_PUBLIC_KEY, "a Diffie-Hellman PUBLICKEYBLOB of version 2 is only for hPubKey's group"
            )
    key = DhPublicKey(domain, fields.number(size))
    fields.end()
    check_dh(key)
    return key


_PUBLIC_READERS: Mapping[int, Callable[[Blob, DhDomain | None], PublicKeyMaterial]] = MappingProxyType(
    {
        wincrypt_h.CALG_RSA_KEYX: _parse_rsa,
        wincrypt_h.CALG_RSA_SIGN: _parse_rsa,
        wincrypt_h.CALG_DSS_SIGN: _parse_dss,
        wincrypt_h.CALG_DH_SF: _parse_dh,
        wincrypt_h.CALG_DH_EPHEM: _parse_dh,
    }
)


def parse_public(blob: Blob, domain: DhDomain | None = None) -> PublicKeyMaterial:
    """The checked key of a PUBLICKEYBLOB. domain: of the Diffie-Hellman pair that it is imported for.

    Raises NTE_BAD_DATA or STATUS_INVALID_PARAMETER for whatever is wrong with it, NTE_BAD_PUBLIC_KEY where the domain
    is missing.
    """
    return _PUBLIC_READERS[blob.algid](blob, domain)


def _with_exponent(whole: bytes) -> bytes:
    """The PRIVATEKEYBLOB of RSA in full length: d may be cut or missing, because p, q and e tell it."""
    if len(whole) < _HEADER.size + _RSA.size:
        return whole
    bits = _RSA.unpack_from(whole, _HEADER.size)[1]
    before = _HEADER.size + _RSA.size + bits // 8 + 5 * (bits // 16)
    return whole.ljust(before + bits // 8, b"\0") if before <= len(whole) and bits <= LONGEST_RSA_BITS else whole


def parse_private(blob: Blob, whole: bytes) -> PrivateKeyMaterial:
    """The checked numbers of a PRIVATEKEYBLOB. Raises NTE_BAD_DATA or STATUS_INVALID_PARAMETER."""
    if blob.algid in (wincrypt_h.CALG_RSA_KEYX, wincrypt_h.CALG_RSA_SIGN):
        rsa = parse_rsa(_with_exponent(whole), LEGACY_RSAPRIVATE_BLOB)
        if not isinstance(rsa, RsaPrivateKey):
            raise _bad("PRIVATEKEYBLOB: it has no private half")
        check_public(rsa.public)
        return rsa
    if blob.algid == wincrypt_h.CALG_DSS_SIGN:
        dss = parse_capi_dsa_private(whole)
        check_dsa(dss)
        return dss
    dh: DhPrivateKey = parse_capi_dh_private(whole)
    check_dh(dh)
    return dh


def parse_public_parameters(value: bytes, algorithm: str) -> tuple[dict[int, int], tuple[bytes, int] | None]:
    """KP_PUB_PARAMS: a version 3 PUBLICKEYBLOB of "DSA" or "DH" without y. The numbers by their KP_, and the seed."""
    blob = parse(value)
    size, subprime_size, cofactor_size, seeded, fields = _v3_fields(
        blob, DSS3_MAGIC if algorithm == "DSA" else DH3_MAGIC
    )
    numbers = {
        wincrypt_h.KP_P: fields.modulus(size),
        wincrypt_h.KP_Q: fields.number(subprime_size),
        wincrypt_h.KP_G: fields.number(size),
    }
    fields.number(cofactor_size)
    fields.end()
    return numbers, seeded
