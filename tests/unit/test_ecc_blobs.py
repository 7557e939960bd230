"""Blobs of elliptic-curve keys, byte for byte."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from unit.test_blobs import MAGICS, ec_key, ecc_blob, ecc_full_blob, refused

from hwcng.cng.families import ec as ec_family
from hwcng.cng.families.ec import EccFamily
from hwcng.errors import NTSTATUS
from hwcng.standards.curves import CURVES, DOMAINS

FAMILIES: tuple[EccFamily, ...] = ("ECDSA", "ECDH")
NIST = ("nistP256", "nistP384", "nistP521")


class TestEcc:
    @pytest.mark.row("EXP-10")
    def test_sizes_of_a_p256_key(self) -> None:
        key = ec_key("nistP256")
        assert len(ec_family.build_ecc_public(key.public, "ECDSA", False)) == 72
        assert len(ecc_blob(key, "ECDSA", generic=False, private=True)) == 104

    @pytest.mark.parametrize("family", FAMILIES)
    @pytest.mark.parametrize(
        ("curve", "generic"), [*((name, True) for name in DOMAINS), *((name, False) for name in NIST)]
    )
    def test_every_blob_of_a_key_gives_the_key(self, curve: str, generic: bool, family: EccFamily) -> None:
        key = ec_key(curve)
        public = ecc_blob(key, family, generic=generic, private=False)
        private = ecc_blob(key, family, generic=generic, private=True)
        assert ec_family.build_ecc_public(key.public, family, generic) == public
        for blob_type in ("ECCPUBLICBLOB", "PUBLICBLOB"):
            parsed = ec_family.parse_ecc(public, blob_type, curve=CURVES[curve], family=family, generic=generic)
            assert parsed == key.public
        for blob_type in ("ECCPRIVATEBLOB", "PRIVATEBLOB"):
            parsed = ec_family.parse_ecc(private, blob_type, curve=CURVES[curve], family=family, generic=generic)
            assert parsed == key

    @pytest.mark.row("IKP-03", "IKP-04")
    @pytest.mark.parametrize("private", [False, True])
    @pytest.mark.parametrize("blob_type", ["ECC{}BLOB", "{}BLOB"])
    def test_every_other_magic_is_refused(self, blob_type: str, private: bool) -> None:
        name = blob_type.format("PRIVATE" if private else "PUBLIC")
        body = ecc_blob(ec_key("nistP256"), "ECDSA", generic=False, private=private)[4:]
        right = b"ECS2" if private else b"ECS1"
        for both in (*MAGICS.values(), b"RSA1RSA2", bytes(8)):
            for magic in (both[:4], both[4:]):
                if magic != right:
                    with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
                        ec_family.parse_ecc(magic + body, name, curve=CURVES["nistP256"], family="ECDSA", generic=False)

    @pytest.mark.row("IKP-04")
    @pytest.mark.parametrize("generic", [False, True])
    @pytest.mark.parametrize("size", [0, 31, 33, 48, 2**32 - 1])
    def test_a_cbkey_of_another_curve_is_refused(self, size: int, generic: bool) -> None:
        blob = ecc_blob(ec_key("nistP256"), "ECDH", generic=generic, private=False)
        fitting = blob[:4] + struct.pack("<I", size) + bytes(2 * min(size, 66))
        for wrong in (fitting, blob[:4] + struct.pack("<I", size) + blob[8:]):
            with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
                ec_family.parse_ecc(wrong, "ECCPUBLICBLOB", curve=CURVES["nistP256"], family="ECDH", generic=generic)

    @pytest.mark.parametrize("private", [False, True])
    def test_a_wrong_size_is_refused(self, private: bool) -> None:
        name = "ECCPRIVATEBLOB" if private else "ECCPUBLICBLOB"
        blob = ecc_blob(ec_key("nistP384"), "ECDH", generic=False, private=private)
        for wrong in (b"", blob[:3], blob[:7], blob[:8], blob[:-1], blob + b"\x00"):
            with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
                ec_family.parse_ecc(wrong, name, curve=CURVES["nistP384"], family="ECDH", generic=False)

    def test_a_generic_algorithm_without_a_curve_reads_no_plain_blob(self) -> None:
        blob = ecc_blob(ec_key("nistP256"), "ECDH", generic=True, private=False)
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            ec_family.parse_ecc(blob, "ECCPUBLICBLOB", curve=None, family="ECDH", generic=True)

    @pytest.mark.parametrize("blob_type", ["RSAPUBLICBLOB", "KeyDataBlob", "SSLECCPUBLICBLOB", ""])
    def test_another_type_is_not_supported(self, blob_type: str) -> None:
        with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
            ec_family.parse_ecc(b"", blob_type, curve=CURVES["nistP256"], family="ECDH", generic=False)

    def test_a_curve_without_a_magic_has_only_the_generic_blob(self) -> None:
        with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
            ec_family.build_ecc_public(ec_key("secP256k1").public, "ECDSA", False)

    def test_the_scalar_is_not_shown(self) -> None:
        key = ec_key("nistP256")
        assert str(key.scalar) not in repr(key)


class TestEccFull:
    @pytest.mark.parametrize("family", FAMILIES)
    @pytest.mark.parametrize("curve", DOMAINS)
    def test_the_curve_is_known_by_its_parameters(self, curve: str, family: EccFamily) -> None:
        key = ec_key(curve)
        public = ecc_full_blob(key, family, private=False)
        assert ec_family.build_ecc_full_public(key.public, family) == public
        for known in (None, CURVES[curve]):
            assert (
                ec_family.parse_ecc(public, "ECCFULLPUBLICBLOB", curve=known, family=family, generic=True) == key.public
            )
            for seed in (b"", b"any seed"):
                private = ecc_full_blob(key, family, private=True, seed=seed)
                parsed = ec_family.parse_ecc(private, "ECCFULLPRIVATEBLOB", curve=known, family=family, generic=True)
                assert parsed == key

    @pytest.mark.parametrize("name", ["p", "a", "b", "gx", "gy", "n", "h", "type"])
    def test_parameters_of_no_known_curve_are_not_supported(self, name: str) -> None:
        changed: dict[str, Any] = {name: 2}
        blob = ecc_full_blob(ec_key("nistP256"), "ECDSA", private=False, **changed)
        with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
            ec_family.parse_ecc(blob, "ECCFULLPUBLICBLOB", curve=None, family="ECDSA", generic=True)

    def test_another_version_family_curve_or_size_is_refused(self) -> None:
        key = ec_key("nistP256")
        blob = ecc_full_blob(key, "ECDSA", private=False)
        wrong_version = ecc_full_blob(key, "ECDSA", private=False, version=2)
        other_family = ecc_full_blob(key, "ECDH", private=False)
        for wrong in (wrong_version, other_family, b"", blob[:31], blob[:-1], blob + b"\x00"):
            with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
                ec_family.parse_ecc(wrong, "ECCFULLPUBLICBLOB", curve=None, family="ECDSA", generic=True)
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            ec_family.parse_ecc(blob, "ECCFULLPUBLICBLOB", curve=CURVES["nistP384"], family="ECDSA", generic=True)

    @pytest.mark.parametrize("curve", DOMAINS)
    def test_the_domains_are_those_of_cryptography(self, curve: str) -> None:
        domain, host = DOMAINS[curve], CURVES[curve].host()
        first = ec.derive_private_key(1, host).public_key().public_numbers()
        last = ec.derive_private_key(domain.n - 1, host).public_key().public_numbers()
        assert (first.x, first.y) == (domain.gx, domain.gy)
        # (n - 1) * G = -G fixes n; three points fix p, a and b.
        assert (last.x, last.y) == (domain.gx, domain.p - domain.gy)
        assert domain.p.bit_length() == domain.n.bit_length() == CURVES[curve].bits
        for scalar in (1, 2, 3, 4, domain.n // 2):
            point = ec.derive_private_key(scalar, host).public_key().public_numbers()
            assert (point.y**2 - point.x**3 - domain.a * point.x - domain.b) % domain.p == 0

    def test_every_curve_has_a_domain(self) -> None:
        assert set(DOMAINS) == {curve.name for curve in CURVES.values() if not curve.montgomery}
