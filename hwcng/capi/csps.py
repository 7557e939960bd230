"""What each of Microsoft's providers has: its type, its algorithms and their key lengths ("Microsoft Cryptographic
Service Providers" of the Windows documentation, and the table of CryptGenKey).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from hwcng.capi.algids import ALGIDS, AlgId
from hwcng.capi.errors import failure
from hwcng.errors import HRESULT, Win32Error
from hwcng.headers import wincrypt_h

__all__ = ["CSPS", "DEFAULT_CSPS", "LONGEST_ENCRYPTING", "Csp", "Limits"]

_WEAK_EFFECTIVE = 40
"""Bits: a Base provider's default and its most (CryptSetKeyParam)."""
LONGEST_ENCRYPTING = 128
"""Bits: an RC2 key that is longer decrypts and authenticates, and does not encrypt."""
_LONG_RC2 = tuple(range(LONGEST_ENCRYPTING + 8, 512 + 1, 8))
PAIR_INCREMENTS = {"RSA": 8, "RSA_SIGN": 8, "DSA": 64, "DH": 64}
SECRET_INCREMENT = 8


class Limits(NamedTuple):
    """Key lengths in bits, without parity."""

    minimum: int
    default: int
    maximum: int


@dataclass(frozen=True, slots=True)
class Csp:
    """name: Microsoft's. kind: PROV_. family: whose containers it shares. exchange, signature: what its pairs are.

    salt: bytes that CRYPT_CREATE_SALT and KP_SALT give an RC2 or RC4 key. effective_bits: RC2's longest effective key
    length. refused_modes: CRYPT_MODE_ that are not even set.
    """

    name: str
    kind: int
    family: str
    algorithms: Mapping[int, Limits]
    exchange: int | None
    signature: int | None
    salt: int = 0
    effective_bits: int = 1024
    refused_modes: frozenset[int] = frozenset()

    def algid(self, value: int) -> AlgId:
        """The row of an ALG_ID. Raises NTE_BAD_ALGID for one that the provider does not have."""
        if value not in self.algorithms:
            raise failure(HRESULT.NTE_BAD_ALGID, f"{self.name} has no ALG_ID {value:#06x}")
        return ALGIDS[value]

    def of_spec(self, value: int) -> int:
        """The ALG_ID that AT_KEYEXCHANGE or AT_SIGNATURE means here; any other value is itself."""
        concrete = {wincrypt_h.AT_KEYEXCHANGE: self.exchange, wincrypt_h.AT_SIGNATURE: self.signature}.get(value, value)
        if concrete is None:
            raise failure(HRESULT.NTE_BAD_ALGID, f"{self.name} has no pair of key specification {value}")
        return concrete

    def default_effective_bits(self, bits: int) -> int:
        """Of an RC2 key, where it is not the key's own length: a Base provider has 40 bits. bits: 0 for any."""
        return self.effective_bits if self.effective_bits == _WEAK_EFFECTIVE and bits != _WEAK_EFFECTIVE else 0

    def increment(self, row: AlgId) -> int:
        """The step from one length to the next, in bits."""
        return PAIR_INCREMENTS.get(row.algorithm, SECRET_INCREMENT)

    def key_bits(self, row: AlgId, requested: int) -> int:
        """The length of a key to make, in bits with its parity. requested: the upper half of dwFlags, 0 for the
        default.

        Raises ERROR_INVALID_PARAMETER for a length that the provider does not have.
        """
        if row.fixed and requested in (0, row.fixed, row.stored):
            return row.stored
        limits = self.algorithms[row.value]
        if not requested:
            return limits.default
        step = self.increment(row)
        if row.fixed or not limits.minimum <= requested <= limits.maximum or (requested - limits.minimum) % step:
            lengths = (
                f"{row.fixed} bits" if row.fixed else f"{limits.minimum} to {limits.maximum} bits in steps of {step}"
            )
            raise failure(
                Win32Error.ERROR_INVALID_PARAMETER, f"{row.name} of {self.name} has {lengths}, not {requested}"
            )
        return requested

    def cipher_lengths(self, row: AlgId) -> tuple[int, ...]:
        """The lengths that keys of a cipher can have, in bits with their parity."""
        limits = self.algorithms[row.value]
        if row.fixed:
            return (row.stored,)
        return tuple(range(limits.minimum, limits.maximum + 1, self.increment(row)))

    def wrapped_lengths(self, row: AlgId) -> tuple[int, ...]:
        """Those of a key in a SIMPLEBLOB, which is RC2's of up to 512 bits too."""
        return self.cipher_lengths(row) + (_LONG_RC2 if row.value == wincrypt_h.CALG_RC2 else ())


_ANY = Limits(0, 0, 0)


def _fixed(*values: int) -> dict[int, Limits]:
    return {value: Limits(*(ALGIDS[value].fixed,) * 3) for value in values}


def _hashes(*values: int) -> dict[int, Limits]:
    found = {}
    for value in values:
        function = ALGIDS[value].hash_function
        bits = 8 * function.digest_size if function else 0
        found[value] = Limits(bits, bits, bits)
    return found


_RC_BASE = {wincrypt_h.CALG_RC2: Limits(40, 40, 56), wincrypt_h.CALG_RC4: Limits(40, 40, 56)}
_RC_STRONG = {wincrypt_h.CALG_RC2: Limits(40, 128, 128), wincrypt_h.CALG_RC4: Limits(40, 128, 128)}
_DES = _fixed(wincrypt_h.CALG_DES)
_TRIPLE_DES = _fixed(wincrypt_h.CALG_3DES_112, wincrypt_h.CALG_3DES)
_AES = _fixed(wincrypt_h.CALG_AES_128, wincrypt_h.CALG_AES_192, wincrypt_h.CALG_AES_256)
_OLD_HASHES = _hashes(wincrypt_h.CALG_SHA1, wincrypt_h.CALG_MD5)
_OLDEST_HASHES = _hashes(wincrypt_h.CALG_MD2, wincrypt_h.CALG_MD4)
_SHA2 = _hashes(wincrypt_h.CALG_SHA_256, wincrypt_h.CALG_SHA_384, wincrypt_h.CALG_SHA_512)
_MACS = {wincrypt_h.CALG_SSL3_SHAMD5: Limits(288, 288, 288), wincrypt_h.CALG_MAC: _ANY, wincrypt_h.CALG_HMAC: _ANY}
_RSA_STRONG = {wincrypt_h.CALG_RSA_SIGN: Limits(384, 1024, 16384), wincrypt_h.CALG_RSA_KEYX: Limits(384, 1024, 16384)}
_RSA_BASE = {wincrypt_h.CALG_RSA_SIGN: Limits(384, 512, 16384), wincrypt_h.CALG_RSA_KEYX: Limits(384, 512, 1024)}
_DSS = {wincrypt_h.CALG_DSS_SIGN: Limits(512, 1024, 1024)}
_DH_BASE = {wincrypt_h.CALG_DH_SF: Limits(512, 512, 1024), wincrypt_h.CALG_DH_EPHEM: Limits(512, 512, 1024)}
_DH_STRONG = {wincrypt_h.CALG_DH_SF: Limits(512, 1024, 4096), wincrypt_h.CALG_DH_EPHEM: Limits(512, 1024, 4096)}

_BASE = _RC_BASE | _DES | _OLDEST_HASHES | _OLD_HASHES | _MACS | _RSA_BASE
_STRONG = _RC_STRONG | _DES | _TRIPLE_DES | _OLDEST_HASHES | _OLD_HASHES | _MACS | _RSA_STRONG
_RSA_PAIRS = (wincrypt_h.CALG_RSA_KEYX, wincrypt_h.CALG_RSA_SIGN)
_DSS_PAIRS = (wincrypt_h.CALG_DH_SF, wincrypt_h.CALG_DSS_SIGN)
_SALT = 11
"""88 bits ("Salt Value Functionality"): a 40-bit key and its salt make 128."""
_NOT_IN_DSS = frozenset({wincrypt_h.CRYPT_MODE_OFB, wincrypt_h.CRYPT_MODE_CTS})
_DSS_DH_STRONG = _RC_STRONG | _DES | _TRIPLE_DES | _OLD_HASHES | _DSS | _DH_STRONG

CSPS: Mapping[str, Csp] = MappingProxyType(
    {
        row.name: row
        for row in (
            Csp(wincrypt_h.MS_DEF_PROV, wincrypt_h.PROV_RSA_FULL, "rsa", _BASE, *_RSA_PAIRS, _SALT, _WEAK_EFFECTIVE),
            Csp(wincrypt_h.MS_STRONG_PROV, wincrypt_h.PROV_RSA_FULL, "rsa", _STRONG, *_RSA_PAIRS, _SALT),
            Csp(wincrypt_h.MS_ENHANCED_PROV, wincrypt_h.PROV_RSA_FULL, "rsa", _STRONG, *_RSA_PAIRS),
            Csp(wincrypt_h.MS_SCARD_PROV, wincrypt_h.PROV_RSA_FULL, "rsa", _STRONG | _AES | _SHA2, *_RSA_PAIRS),
            Csp(
                wincrypt_h.MS_DEF_RSA_SIG_PROV,
                wincrypt_h.PROV_RSA_SIG,
                "rsa",
                _OLDEST_HASHES | _OLD_HASHES | {wincrypt_h.CALG_RSA_SIGN: _RSA_STRONG[wincrypt_h.CALG_RSA_SIGN]},
                None,
                wincrypt_h.CALG_RSA_SIGN,
            ),
            Csp(wincrypt_h.MS_DEF_RSA_SCHANNEL_PROV, wincrypt_h.PROV_RSA_SCHANNEL, "rsa", _STRONG, *_RSA_PAIRS),
            Csp(wincrypt_h.MS_ENH_RSA_AES_PROV, wincrypt_h.PROV_RSA_AES, "rsa", _STRONG | _AES | _SHA2, *_RSA_PAIRS),
            Csp(
                wincrypt_h.MS_DEF_DSS_PROV,
                wincrypt_h.PROV_DSS,
                "dss",
                _OLD_HASHES | _DSS,
                None,
                wincrypt_h.CALG_DSS_SIGN,
            ),
            Csp(
                wincrypt_h.MS_DEF_DSS_DH_PROV,
                wincrypt_h.PROV_DSS_DH,
                "dss",
                _RC_BASE | _DES | _fixed(wincrypt_h.CALG_3DES) | _OLD_HASHES | _DSS | _DH_BASE,
                *_DSS_PAIRS,
                _SALT,
                _WEAK_EFFECTIVE,
                _NOT_IN_DSS,
            ),
            Csp(
                wincrypt_h.MS_ENH_DSS_DH_PROV,
                wincrypt_h.PROV_DSS_DH,
                "dss",
                _DSS_DH_STRONG,
                *_DSS_PAIRS,
                refused_modes=_NOT_IN_DSS,
            ),
            Csp(
                wincrypt_h.MS_DEF_DH_SCHANNEL_PROV,
                wincrypt_h.PROV_DH_SCHANNEL,
                "dss",
                _DSS_DH_STRONG,
                *_DSS_PAIRS,
                refused_modes=_NOT_IN_DSS,
            ),
        )
    }
)

DEFAULT_CSPS: Mapping[int, str] = MappingProxyType(
    {
        wincrypt_h.PROV_RSA_FULL: wincrypt_h.MS_STRONG_PROV,
        wincrypt_h.PROV_RSA_SIG: wincrypt_h.MS_DEF_RSA_SIG_PROV,
        wincrypt_h.PROV_DSS: wincrypt_h.MS_DEF_DSS_PROV,
        wincrypt_h.PROV_RSA_SCHANNEL: wincrypt_h.MS_DEF_RSA_SCHANNEL_PROV,
        wincrypt_h.PROV_DSS_DH: wincrypt_h.MS_ENH_DSS_DH_PROV,
        wincrypt_h.PROV_DH_SCHANNEL: wincrypt_h.MS_DEF_DH_SCHANNEL_PROV,
        wincrypt_h.PROV_RSA_AES: wincrypt_h.MS_ENH_RSA_AES_PROV,
    }
)
"""The provider that a type means where none is named."""
