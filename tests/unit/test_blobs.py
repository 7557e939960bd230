"""hwcng.cng.blobs and hwcng.cng.families: every key blob, byte for byte, and whatever is not one."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import gcd
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from hwcng.cng.blobs import symmetric
from hwcng.cng.blobs.symmetric import KeyDataBlob
from hwcng.cng.families import BLOB_TYPES
from hwcng.cng.families import ec as ec_family
from hwcng.cng.families import rsa as rsa_family
from hwcng.contract.material import EcPrivateKey, EcPublicKey, RsaPrivateKey, RsaPublicKey
from hwcng.errors import HRESULT, NTSTATUS, CngError
from hwcng.headers import bcrypt_h
from hwcng.standards.curves import CURVES, DOMAINS

RSA_SIZES = (1024, 1032, 2048, 3072)


@contextmanager
def refused(status: NTSTATUS | HRESULT) -> Iterator[None]:
    with pytest.raises(CngError) as caught:
        yield
    assert caught.value.status is status


@contextmanager
def read_or_refused(*statuses: NTSTATUS | HRESULT) -> Iterator[None]:
    try:
        yield
    except CngError as error:
        if error.status not in statuses:
            raise


def octets(number: int, size: int | None = None) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8 if size is None else size, "big")


@dataclass
class RsaFields:
    """An RSA blob, field by field, to be spoilt one at a time."""

    magic: int
    bits: int
    exponent: bytes
    modulus: bytes
    prime1: bytes = b""
    prime2: bytes = b""
    rest: bytes = b""

    def build(self) -> bytes:
        body = (self.exponent, self.modulus, self.prime1, self.prime2)
        return struct.pack("<6I", self.magic, self.bits, *map(len, body)) + b"".join(body) + self.rest


def rsa_fields(bits: int, exponent: int = 65537) -> tuple[rsa.RSAPrivateNumbers, RsaFields, RsaFields, RsaFields]:
    """A new key, and its RSAPUBLICBLOB, RSAPRIVATEBLOB and RSAFULLPRIVATEBLOB."""
    key = rsa.generate_private_key(exponent, bits).private_numbers()
    n, half = key.public_numbers.n, (bits + 15) // 16
    public = RsaFields(0x31415352, bits, octets(exponent), octets(n))
    private = replace(public, magic=0x32415352, prime1=octets(key.p, half), prime2=octets(key.q, half))
    rest = [octets(number, half) for number in (key.dmp1, key.dmq1, key.iqmp)]
    full = replace(private, magic=0x33415352, rest=b"".join(rest) + octets(key.d, len(public.modulus)))
    return key, public, private, full


KEY, PUBLIC, PRIVATE, FULL = rsa_fields(1024)


def capi_private(
    key: rsa.RSAPrivateNumbers, bits: int, algorithm: int = 0xA400, bits_field: int | None = None
) -> bytes:
    full, half = bits // 8, bits // 16
    header = struct.pack("<BBHI3I", 7, 2, 0, algorithm, 0x32415352, bits_field or bits, key.public_numbers.e)
    numbers = [(key.public_numbers.n, full), *((n, half) for n in (key.p, key.q, key.dmp1, key.dmq1, key.iqmp))]
    return header + b"".join(number.to_bytes(size, "little") for number, size in (*numbers, (key.d, full)))


def assert_same_key(parsed: object, key: rsa.RSAPrivateNumbers) -> None:
    assert isinstance(parsed, RsaPrivateKey)
    assert (parsed.modulus, parsed.public_exponent) == (key.public_numbers.n, key.public_numbers.e)
    assert (parsed.prime1, parsed.prime2) == (key.p, key.q)
    assert (parsed.exponent1, parsed.exponent2, parsed.coefficient) == (key.dmp1, key.dmq1, key.iqmp)
    order = (key.p - 1) * (key.q - 1) // gcd(key.p - 1, key.q - 1)
    assert parsed.private_exponent * parsed.public_exponent % order == 1
    assert parsed.private_exponent < order


class TestKeyData:
    KEY = bytes(range(16))
    BLOB = struct.pack("<3I", 0x4D42444B, 1, 16) + KEY

    @pytest.mark.row("IMP-07", "EXP-10")
    def test_a_header_of_twelve_bytes_then_the_key(self) -> None:
        assert len(self.BLOB) == 28
        assert self.BLOB[:4] == b"KDBM"
        assert symmetric.parse_key_data(self.BLOB) == KeyDataBlob(self.KEY)

    @pytest.mark.row("IMP-08")
    def test_trailing_bytes_are_accepted(self) -> None:
        assert symmetric.parse_key_data(self.BLOB + b"more").key == self.KEY

    @pytest.mark.row("IMP-08")
    @pytest.mark.parametrize("size", range(12))
    def test_less_than_a_header_is_too_small(self, size: int) -> None:
        with refused(NTSTATUS.STATUS_BUFFER_TOO_SMALL):
            symmetric.parse_key_data(self.BLOB[:size])

    @pytest.mark.row("IMP-08")
    @pytest.mark.parametrize(
        "header",
        [
            (0x4D42444C, 1, 16),
            (0x4D42444B, 0, 16),
            (0x4D42444B, 2, 16),
            (0x4D42444B, 1, 17),
            (0x4D42444B, 1, 2**32 - 1),
        ],
    )
    def test_a_wrong_header_is_refused(self, header: tuple[int, int, int]) -> None:
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            symmetric.parse_key_data(struct.pack("<3I", *header) + self.KEY)

    def test_an_empty_key_is_for_the_algorithm_to_refuse(self) -> None:
        assert symmetric.parse_key_data(struct.pack("<3I", 0x4D42444B, 1, 0)).key == b""

    def test_the_key_is_not_shown(self) -> None:
        assert repr(symmetric.parse_key_data(self.BLOB)) == "KeyDataBlob()"


class TestRsa:
    @pytest.mark.row("EXP-10")
    def test_sizes_of_a_1024_bit_key(self) -> None:
        built = rsa_family.build_rsa_public(RsaPublicKey(KEY.public_numbers.n, 65537))
        assert built == PUBLIC.build()
        assert [len(fields.build()) for fields in (PUBLIC, PRIVATE, FULL)] == [155, 283, 603]

    @pytest.mark.row("IKP-08")
    @pytest.mark.parametrize("bits", RSA_SIZES)
    @pytest.mark.parametrize("exponent", [3, 65537])
    def test_every_blob_of_a_key_gives_the_key(self, bits: int, exponent: int) -> None:
        key, public, private, full = rsa_fields(bits, exponent)
        expected = RsaPublicKey(key.public_numbers.n, exponent)
        assert rsa_family.parse_rsa(public.build(), bcrypt_h.BCRYPT_RSAPUBLIC_BLOB) == expected
        assert rsa_family.build_rsa_public(expected) == public.build()
        assert_same_key(rsa_family.parse_rsa(private.build(), bcrypt_h.BCRYPT_RSAPRIVATE_BLOB), key)
        assert_same_key(rsa_family.parse_rsa(full.build(), bcrypt_h.BCRYPT_RSAFULLPRIVATE_BLOB), key)

    @pytest.mark.row("IKP-03")
    @pytest.mark.parametrize("fields", [PRIVATE, FULL])
    def test_the_magic_of_a_generic_blob_decides(self, fields: RsaFields) -> None:
        assert_same_key(rsa_family.parse_rsa(fields.build(), bcrypt_h.BCRYPT_PRIVATE_KEY_BLOB), KEY)
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            rsa_family.parse_rsa(fields.build(), bcrypt_h.BCRYPT_PUBLIC_KEY_BLOB)

    @pytest.mark.row("IKP-03")
    def test_a_generic_public_blob(self) -> None:
        assert rsa_family.parse_rsa(PUBLIC.build(), "PUBLICBLOB") == RsaPublicKey(KEY.public_numbers.n, 65537)
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            rsa_family.parse_rsa(PUBLIC.build(), "PRIVATEBLOB")

    @pytest.mark.row("IKP-06")
    @pytest.mark.parametrize(
        ("fields", "blob_type"), [(PUBLIC, "RSAPUBLICBLOB"), (PRIVATE, "RSAPRIVATEBLOB"), (FULL, "RSAFULLPRIVATEBLOB")]
    )
    def test_a_wrong_size_is_bad_data(self, fields: RsaFields, blob_type: str) -> None:
        blob = fields.build()
        for wrong in (b"", blob[:3], blob[:23], blob[:24], blob[:-1], blob + b"\x00"):
            with refused(HRESULT.NTE_BAD_DATA):
                rsa_family.parse_rsa(wrong, blob_type)

    @pytest.mark.row("IKP-06")
    def test_an_exponent_over_eight_bytes_is_bad_data(self) -> None:
        assert rsa_family.parse_rsa(replace(PUBLIC, exponent=bytes(5) + octets(65537)).build(), "RSAPUBLICBLOB") == (
            RsaPublicKey(KEY.public_numbers.n, 65537)
        )
        with refused(HRESULT.NTE_BAD_DATA):
            rsa_family.parse_rsa(replace(PUBLIC, exponent=bytes(6) + octets(65537)).build(), "RSAPUBLICBLOB")

    @pytest.mark.row("IKP-06")
    @pytest.mark.parametrize("exponent", [b"", b"\x00", b"\x01", b"\x02", b"\x01\x00\x00"])
    @pytest.mark.parametrize("fields", [PUBLIC, PRIVATE])
    def test_exponent_one_or_even_is_refused(self, fields: RsaFields, exponent: bytes) -> None:
        blob_type = "RSAPUBLICBLOB" if fields is PUBLIC else "RSAPRIVATEBLOB"
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            rsa_family.parse_rsa(replace(fields, exponent=exponent).build(), blob_type)

    @pytest.mark.row("IKP-07")
    @pytest.mark.parametrize("bits", [0, 1023, 2048, 2**32 - 1])
    def test_a_wrong_bit_length_does_not_matter(self, bits: int) -> None:
        parsed = rsa_family.parse_rsa(replace(PUBLIC, bits=bits).build(), "RSAPUBLICBLOB")
        assert parsed == RsaPublicKey(KEY.public_numbers.n, 65537)
        assert_same_key(rsa_family.parse_rsa(replace(PRIVATE, bits=bits).build(), "RSAPRIVATEBLOB"), KEY)

    @pytest.mark.parametrize("magic", [0, 0x41415352, 0x31534345])
    def test_a_wrong_magic_is_refused(self, magic: int) -> None:
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            rsa_family.parse_rsa(replace(PUBLIC, magic=magic).build(), "RSAPUBLICBLOB")

    def test_primes_in_a_public_blob_are_bad_data(self) -> None:
        with refused(HRESULT.NTE_BAD_DATA):
            rsa_family.parse_rsa(replace(PRIVATE, magic=PUBLIC.magic).build(), "RSAPUBLICBLOB")

    def test_a_modulus_that_is_not_the_product_is_refused(self) -> None:
        wrong = octets(KEY.public_numbers.n + 2)
        for fields, blob_type in ((PRIVATE, "RSAPRIVATEBLOB"), (FULL, "RSAFULLPRIVATEBLOB")):
            with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
                rsa_family.parse_rsa(replace(fields, modulus=wrong).build(), blob_type)

    @pytest.mark.parametrize(
        ("p", "q", "e"), [(1, 15, 3), (15, 1, 3), (0, 5, 3), (2, 7, 5), (7, 2, 5), (11, 11, 3), (9, 15, 5), (7, 13, 3)]
    )
    def test_primes_that_make_no_key_are_refused(self, p: int, q: int, e: int) -> None:
        fields = RsaFields(PRIVATE.magic, 8, bytes([e]), octets(p * q, 1), octets(p, 1), octets(q, 1))
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            rsa_family.parse_rsa(fields.build(), "RSAPRIVATEBLOB")

    @pytest.mark.row("IKP-08")
    def test_the_other_numbers_of_a_full_blob_are_not_trusted(self) -> None:
        forged = replace(FULL, rest=bytes(len(FULL.rest)))
        assert_same_key(rsa_family.parse_rsa(forged.build(), "RSAFULLPRIVATEBLOB"), KEY)

    def test_a_modulus_beyond_16384_bits_is_refused(self) -> None:
        longest = replace(PUBLIC, modulus=b"\x01" * 2048)
        assert isinstance(rsa_family.parse_rsa(longest.build(), "RSAPUBLICBLOB"), RsaPublicKey)
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            rsa_family.parse_rsa(replace(PUBLIC, modulus=b"\x01" * 2049).build(), "RSAPUBLICBLOB")

    @pytest.mark.parametrize("blob_type", ["CAPIPUBLICBLOB", "ECCPUBLICBLOB", "KeyDataBlob", "DSAPUBLICBLOB", ""])
    def test_another_type_is_not_supported(self, blob_type: str) -> None:
        with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
            rsa_family.parse_rsa(PUBLIC.build(), blob_type)

    def test_private_numbers_are_not_shown(self) -> None:
        parsed = rsa_family.parse_rsa(PRIVATE.build(), "RSAPRIVATEBLOB")
        assert isinstance(parsed, RsaPrivateKey)
        for name in ("private_exponent", "prime1", "prime2", "exponent1", "exponent2", "coefficient"):
            assert str(getattr(parsed, name)) not in repr(parsed)


class TestLegacyRsa:
    BLOB_TYPE = "CAPIPRIVATEBLOB"

    @pytest.mark.row("IKP-09")
    @pytest.mark.parametrize("algorithm", [0xA400, 0x2400])
    def test_a_private_blob_is_little_endian(self, algorithm: int) -> None:
        assert_same_key(rsa_family.parse_rsa(capi_private(KEY, 1024, algorithm), self.BLOB_TYPE), KEY)

    @pytest.mark.row("IKP-09")
    def test_a_wrong_size_is_bad_data(self) -> None:
        blob = capi_private(KEY, 1024)
        for wrong in (b"", blob[:19], blob[:20], blob[:-1], blob + b"\x00", capi_private(KEY, 1024, bits_field=1023)):
            with refused(HRESULT.NTE_BAD_DATA):
                rsa_family.parse_rsa(wrong, self.BLOB_TYPE)

    @pytest.mark.parametrize(("offset", "value"), [(0, 6), (1, 3), (8, 0x33), (16, 2)])
    def test_a_wrong_header_is_refused(self, offset: int, value: int) -> None:
        blob = bytearray(capi_private(KEY, 1024))
        blob[offset] = value
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            rsa_family.parse_rsa(bytes(blob), self.BLOB_TYPE)

    def test_a_modulus_beyond_16384_bits_is_refused(self) -> None:
        header = struct.pack("<BBHI3I", 7, 2, 0, 0xA400, 0x32415352, 16400, 3)
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            rsa_family.parse_rsa(header + bytes(16400 // 16 * 9), self.BLOB_TYPE)


def ec_key(curve: str) -> EcPrivateKey:
    numbers = ec.generate_private_key(CURVES[curve].host()).private_numbers()
    return EcPrivateKey(EcPublicKey(curve, numbers.public_numbers.x, numbers.public_numbers.y), numbers.private_value)


MAGICS = {
    ("nistP256", "ECDH"): b"ECK1ECK2",
    ("nistP256", "ECDSA"): b"ECS1ECS2",
    ("nistP384", "ECDH"): b"ECK3ECK4",
    ("nistP384", "ECDSA"): b"ECS3ECS4",
    ("nistP521", "ECDH"): b"ECK5ECK6",
    ("nistP521", "ECDSA"): b"ECS5ECS6",
    ("", "ECDH"): b"ECKPECKV",
    ("", "ECDSA"): b"ECDPECDV",
}


def ecc_blob(key: EcPrivateKey, family: str, *, generic: bool, private: bool) -> bytes:
    size = CURVES[key.public.curve].coordinate_size
    both = MAGICS["" if generic else key.public.curve, family]
    numbers = (key.public.x, key.public.y, key.scalar)[: 3 if private else 2]
    return (both[4:] if private else both[:4]) + struct.pack("<I", size) + b"".join(octets(n, size) for n in numbers)


def ecc_full_blob(key: EcPrivateKey, family: str, *, private: bool, seed: bytes = b"", **changed: int) -> bytes:
    domain, size = DOMAINS[key.public.curve], CURVES[key.public.curve].coordinate_size
    values: dict[str, Any] = {
        "version": 1,
        "type": 1,
        "p": domain.p,
        "a": domain.a,
        "b": domain.b,
        "gx": domain.gx,
        "gy": domain.gy,
        "n": domain.n,
        "h": 1,
        **changed,
    }
    both = MAGICS["", family]
    header = struct.pack("<7I", values["version"], values["type"], 0, size, size, 1, len(seed))
    parameters = b"".join(octets(values[name], size) for name in ("p", "a", "b", "gx", "gy", "n"))
    own = (key.public.x, key.public.y, key.scalar)[: 3 if private else 2]
    point = b"".join(octets(number, size) for number in own)
    return (both[4:] if private else both[:4]) + header + parameters + octets(values["h"], 1) + seed + point


class TestTable:
    def test_every_row_names_itself(self) -> None:
        assert all(row.name == name for name, row in BLOB_TYPES.items())

    def test_private_rows_are_those_that_hold_a_secret(self) -> None:
        assert {name for name, row in BLOB_TYPES.items() if not row.private} == {
            "PUBLICBLOB",
            "RSAPUBLICBLOB",
            "CAPIPUBLICBLOB",
            "ECCPUBLICBLOB",
            "ECCFULLPUBLICBLOB",
            "DHPUBLICBLOB",
            "CAPIDHPUBLICBLOB",
            "DSAPUBLICBLOB",
            "CAPIDSAPUBLICBLOB",
            "V2CAPIDSAPUBLICBLOB",
            "PQDSAPUBLICBLOB",
            "MLKEMPUBLICBLOB",
            "ED25519PUBLICBLOB",
        }


@st.composite
def spoilt(draw: st.DrawFn, valid: tuple[bytes, ...]) -> bytes:
    """Anything, or a valid blob with a header field, a byte or its length changed."""
    blob = bytearray(draw(st.sampled_from((b"", *valid))) or draw(st.binary(max_size=400)))
    for _ in range(draw(st.integers(0, 3))):
        if draw(st.booleans()) and len(blob) >= 32:
            field = 4 * draw(st.integers(0, 7))
            blob[field : field + 4] = struct.pack("<I", draw(st.integers(0, 80) | st.integers(0, 2**32 - 1)))
        elif blob:
            blob[draw(st.integers(0, len(blob) - 1))] = draw(st.integers(0, 255))
    return bytes(blob[: draw(st.integers(0, len(blob)))] if draw(st.booleans()) else blob + draw(st.binary(max_size=3)))


RSA_BLOBS = (PUBLIC.build(), PRIVATE.build(), FULL.build(), capi_private(KEY, 1024))
P256 = ec_key("nistP256")
ECC_BLOBS = tuple(
    maker
    for private in (False, True)
    for maker in (
        ecc_blob(P256, "ECDH", generic=False, private=private),
        ecc_blob(P256, "ECDH", generic=True, private=private),
        ecc_full_blob(P256, "ECDH", private=private),
    )
)


class TestWhateverComes:
    """A blob is read or refused with a documented status; nothing else ever happens."""

    @settings(deadline=None, max_examples=300)
    @given(blob=spoilt((TestKeyData.BLOB,)))
    def test_key_data(self, blob: bytes) -> None:
        with read_or_refused(NTSTATUS.STATUS_BUFFER_TOO_SMALL, NTSTATUS.STATUS_INVALID_PARAMETER):
            assert symmetric.parse_key_data(blob).key in blob

    @settings(deadline=None, max_examples=1000)
    @given(blob=spoilt(RSA_BLOBS), blob_type=st.sampled_from(sorted(rsa_family._RSA_READERS)))
    def test_rsa(self, blob: bytes, blob_type: str) -> None:
        with read_or_refused(HRESULT.NTE_BAD_DATA, NTSTATUS.STATUS_INVALID_PARAMETER):
            assert isinstance(rsa_family.parse_rsa(blob, blob_type), RsaPublicKey | RsaPrivateKey)

    @settings(deadline=None, max_examples=1000)
    @given(
        blob=spoilt(ECC_BLOBS),
        blob_type=st.sampled_from(sorted(ec_family._ECC_READERS)),
        generic=st.booleans(),
        curve=st.sampled_from([None, "nistP256", "nistP521"]),
    )
    def test_ecc(self, blob: bytes, blob_type: str, generic: bool, curve: str | None) -> None:
        known = None if curve is None else CURVES[curve]
        with read_or_refused(NTSTATUS.STATUS_INVALID_PARAMETER, NTSTATUS.STATUS_NOT_SUPPORTED):
            parsed = ec_family.parse_ecc(blob, blob_type, curve=known, family="ECDH", generic=generic)
            assert isinstance(parsed, EcPublicKey | EcPrivateKey)

    @given(n=st.integers(3, 2**2048), e=st.integers(3, 2**64 - 1))
    def test_a_built_rsa_blob_is_read_back(self, n: int, e: int) -> None:
        key = RsaPublicKey(n, e | 1)
        assert rsa_family.parse_rsa(rsa_family.build_rsa_public(key), "RSAPUBLICBLOB") == key
