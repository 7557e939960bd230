"""The host's RSA and ECDSA against `cryptography` and openssl, also for sizes and exponents that those do not make."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from hwcng.contract.material import EcPrivateKey, EcPublicKey, RsaPrivateKey, RsaPublicKey
from hwcng.contract.specs import (
    EcdsaSpec,
    RsaOaepSpec,
    RsaPkcs1DecryptSpec,
    RsaPkcs1SignSpec,
    RsaPssSpec,
    RsaRawSpec,
    SignSpec,
)
from hwcng.errors import NTSTATUS, CngError
from hwcng.hostcrypto import ecc, rsa_encodings
from hwcng.hostcrypto import rsa as rsa_
from hwcng.standards.curves import CURVES, DOMAINS
from hwcng.standards.hashes import HASHES

HOST_HASHES: dict[str, hashes.HashAlgorithm] = {name: getattr(hashes, name.replace("-", "_"))() for name in HASHES}


def of(public: RsaPublicKey | EcPublicKey) -> Any:
    """The module that serves a kind of key."""
    return rsa_ if isinstance(public, RsaPublicKey) else ecc


@contextmanager
def refused(status: NTSTATUS) -> Iterator[None]:
    with pytest.raises(CngError) as caught:
        yield
    assert caught.value.status is status


def bad_signature(public: RsaPublicKey | EcPublicKey, spec: SignSpec, digest: bytes, signature: bytes) -> None:
    with refused(NTSTATUS.STATUS_INVALID_SIGNATURE):
        of(public).verify(public, spec, digest, signature)


class MultiPrimeKey:
    """An RSA key of any size and exponent, made of primes of 64 to 256 bits: weak, quick, and arithmetically a key."""

    def __init__(self, bits: int, exponent: int) -> None:
        source = random.Random(bits * exponent)
        width = max(64, bits // 64)
        self.primes: list[int] = []
        while sum(prime.bit_length() for prime in self.primes) < bits:
            left = bits - sum(prime.bit_length() for prime in self.primes)
            self.primes.append(self._prime(source, left if left < 2 * width else width, exponent))
        self.public = RsaPublicKey(prod(self.primes), exponent)
        self.bits = self.public.modulus.bit_length()
        self.size = (self.bits + 7) // 8

    def _prime(self, source: random.Random, width: int, exponent: int) -> int:
        while True:
            # Both top bits set keeps the product near its full size.
            candidate = source.getrandbits(width) | 3 << width - 2 | 1
            if candidate in self.primes or any(candidate % small == 0 for small in (3, 5, 7, 11, 13)):
                continue
            if all(pow(base, candidate - 1, candidate) == 1 for base in (2, 3, 5)):
                try:
                    pow(exponent, -1, candidate - 1)
                except ValueError:
                    continue
                return candidate

    def raw(self, data: bytes) -> bytes:
        """The private operation by the Chinese remainder theorem, over all primes."""
        value, result, modulus = int.from_bytes(data, "big"), 0, 1
        for prime in self.primes:
            root = pow(value % prime, pow(self.public.public_exponent, -1, prime - 1), prime)
            result += modulus * ((root - result) * pow(modulus, -1, prime) % prime)
            modulus *= prime
        return result.to_bytes(self.size, "big")

    def oracle(self) -> rsa.RSAPublicKey:
        return rsa.RSAPublicNumbers(self.public.public_exponent, self.public.modulus).public_key()


@cache
def toy_key(bits: int, exponent: int) -> MultiPrimeKey:
    return MultiPrimeKey(bits, exponent)


@cache
def host_key(bits: int) -> tuple[rsa.RSAPrivateKey, RsaPublicKey]:
    key = rsa.generate_private_key(65537, bits)
    return key, RsaPublicKey(key.public_key().public_numbers().n, 65537)


TOY_SIZES = [(512, 3), (512, 65537), (768, 17), (1024, 3), (2048, 2**63 + 29), (4096, 3), (16384, 65537), (16384, 3)]


class TestRsaVerification:
    @pytest.mark.parametrize("bits", [1024, 1025, 1031, 2048, 3072])
    @pytest.mark.parametrize("name", HASHES)
    def test_signatures_of_cryptography(self, name: str, bits: int) -> None:
        key, public = host_key(bits)
        digest, prehashed = HASHES[name].digest(b"message"), utils.Prehashed(HOST_HASHES[name])
        signature = key.sign(digest, padding.PKCS1v15(), prehashed)
        of(public).verify(public, RsaPkcs1SignSpec(name), digest, signature)
        salt = min(len(digest), (bits + 6) // 8 - len(digest) - 2)
        signature = key.sign(digest, padding.PSS(padding.MGF1(HOST_HASHES[name]), salt), prehashed)
        of(public).verify(public, RsaPssSpec(name, salt), digest, signature)

    @pytest.mark.parametrize(("bits", "exponent"), TOY_SIZES)
    def test_every_size_and_exponent(self, bits: int, exponent: int) -> None:
        key, digest = toy_key(bits, exponent), HASHES["SHA1"].digest(b"message")
        signature = rsa_encodings.rsa_sign(key.raw, RsaPkcs1SignSpec("SHA1"), digest, key.bits)
        key.oracle().verify(signature, digest, padding.PKCS1v15(), utils.Prehashed(HOST_HASHES["SHA1"]))
        of(key.public).verify(key.public, RsaPkcs1SignSpec("SHA1"), digest, signature)
        signature = rsa_encodings.rsa_sign(key.raw, RsaPssSpec("SHA1", 20), digest, key.bits)
        scheme = padding.PSS(padding.MGF1(HOST_HASHES["SHA1"]), 20)
        key.oracle().verify(signature, digest, scheme, utils.Prehashed(HOST_HASHES["SHA1"]))
        of(key.public).verify(key.public, RsaPssSpec("SHA1", 20), digest, signature)

    @pytest.mark.row("SIG-09")
    def test_the_digest_info_is_wanted_or_not(self) -> None:
        key = toy_key(512, 3)
        digest = HASHES["SHA256"].digest(b"message")
        plain, named = RsaPkcs1SignSpec(None), RsaPkcs1SignSpec("SHA256")
        without = rsa_encodings.rsa_sign(key.raw, plain, digest, key.bits)
        within = rsa_encodings.rsa_sign(key.raw, named, digest, key.bits)
        of(key.public).verify(key.public, plain, digest, without)
        of(key.public).verify(key.public, named, digest, within)
        bad_signature(key.public, plain, digest, within)
        bad_signature(key.public, named, digest, without)
        for signature in (without, within):
            of(key.public).verify(key.public, named, digest, signature, optional_oid=True)
        of(key.public).verify(key.public, plain, digest, without, optional_oid=True)
        with refused(NTSTATUS.STATUS_INVALID_SIGNATURE):
            of(key.public).verify(key.public, plain, digest, within, optional_oid=True)
        with refused(NTSTATUS.STATUS_INVALID_SIGNATURE):
            of(key.public).verify(key.public, RsaPkcs1SignSpec("SHA3-256"), digest, within, optional_oid=True)

    def test_an_optional_oid_may_be_absent_because_it_does_not_fit(self) -> None:
        key, digest = toy_key(512, 3), bytes(48)
        signature = rsa_encodings.rsa_sign(key.raw, RsaPkcs1SignSpec(None), digest, key.bits)
        of(key.public).verify(key.public, RsaPkcs1SignSpec("SHA384"), digest, signature, optional_oid=True)
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            of(key.public).verify(key.public, RsaPkcs1SignSpec("SHA384"), digest, signature)

    @pytest.mark.row("SIG-11")
    @pytest.mark.parametrize("salt", [0, 20, 31, 33, 64, 10**6, -1])
    def test_a_salt_of_another_length_is_not_detected(self, salt: int) -> None:
        key, public = host_key(2048)
        digest = HASHES["SHA256"].digest(b"message")
        scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
        signature = key.sign(digest, scheme, utils.Prehashed(hashes.SHA256()))
        of(public).verify(public, RsaPssSpec("SHA256", 32), digest, signature)
        bad_signature(public, RsaPssSpec("SHA256", salt), digest, signature)

    @pytest.mark.parametrize("spec", [RsaPkcs1SignSpec("SHA256"), RsaPssSpec("SHA256", 20)])
    def test_a_signature_that_is_not_one(self, spec: RsaPkcs1SignSpec | RsaPssSpec) -> None:
        key = toy_key(1024, 3)
        digest = HASHES["SHA256"].digest(b"message")
        signature = rsa_encodings.rsa_sign(key.raw, spec, digest, key.bits)
        of(key.public).verify(key.public, spec, digest, signature)
        above = (int.from_bytes(signature, "big") + key.public.modulus).to_bytes(key.size + 1, "big")
        for wrong in (
            b"",
            signature[:-1],
            signature + b"\x00",
            b"\x00" + signature,
            above,
            bytes(key.size),
            b"\xff" * key.size,
            signature[:-1] + bytes([signature[-1] ^ 1]),
        ):
            bad_signature(key.public, spec, digest, wrong)
        bad_signature(key.public, spec, bytes(32), signature)

    def test_a_pss_encoding_behind_a_leading_one_is_not_one(self) -> None:
        # With 8k + 1 modulus bits the encoding is a byte shorter than the modulus, and that byte must be 0.
        keys = (toy_key(bits, 3) for bits in range(1024, 1200))
        key = next(key for key in keys if key.bits % 8 == 1 and key.public.modulus >> key.bits - 2 == 3)
        digest, spec = HASHES["SHA256"].digest(b"message"), RsaPssSpec("SHA256", 20)
        encoded = b"\xff"
        while encoded[0] >= 0x80:
            encoded = rsa_encodings.emsa_pss_encode(digest, "SHA256", 20, key.bits - 1)
        assert len(encoded) == key.size - 1
        of(key.public).verify(key.public, spec, digest, key.raw(b"\x00" + encoded))
        bad_signature(key.public, spec, digest, key.raw(b"\x01" + encoded))

    def test_a_cube_root_forgery_fails(self) -> None:
        # Bleichenbacher 2006: garbage behind the digest, which a parser would overlook with e = 3.
        key, digest = toy_key(4096, 3), HASHES["SHA256"].digest(b"message")
        start = b"\x00\x01" + b"\xff" * 8 + b"\x00" + HASHES["SHA256"].digest_info_prefix + digest
        low = int.from_bytes(start.ljust(key.size, b"\x00"), "big")
        root = 1 << (low.bit_length() + 2) // 3
        while (step := (2 * root + low // root**2) // 3) < root:
            root = step
        forged = root + 1
        assert (forged**3).to_bytes(key.size, "big").startswith(start)
        bad_signature(key.public, RsaPkcs1SignSpec("SHA256"), digest, forged.to_bytes(key.size, "big"))

    @pytest.mark.row("SIG-07", "SIG-14")
    def test_a_digest_of_wrong_size_or_without_room(self) -> None:
        key = toy_key(512, 3)
        for spec, length in (
            (RsaPkcs1SignSpec("SHA256"), 31),
            (RsaPkcs1SignSpec("SHA256"), 0),
            (RsaPkcs1SignSpec("SHA512"), 64),
            (RsaPkcs1SignSpec(None), 54),
            (RsaPssSpec("SHA256", 20), 33),
        ):
            with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
                of(key.public).verify(key.public, spec, bytes(length), bytes(key.size))
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            of(key.public).verify(key.public, RsaPkcs1SignSpec("SHA256"), bytes(31), bytes(key.size), optional_oid=True)

    @pytest.mark.row("SIG-08")
    @pytest.mark.parametrize("spec", [RsaPkcs1SignSpec("AES"), RsaPssSpec("AES", 20)])
    def test_what_is_not_a_hash_is_not_supported(self, spec: SignSpec) -> None:
        with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
            of(toy_key(512, 3).public).verify(toy_key(512, 3).public, spec, bytes(32), bytes(64))

    def test_a_spec_of_another_kind_of_key_is_not_supported(self) -> None:
        point = EcPublicKey("nistP256", DOMAINS["nistP256"].gx, DOMAINS["nistP256"].gy)
        with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
            of(toy_key(512, 3).public).verify(toy_key(512, 3).public, EcdsaSpec(), bytes(32), bytes(64))
        for spec in (RsaPkcs1SignSpec("SHA256"), RsaPssSpec("SHA256", 20)):
            with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
                of(point).verify(point, spec, bytes(32), bytes(64))

    @settings(deadline=None)
    @given(
        modulus=st.integers(0, 2**520),
        exponent=st.integers(1, 2**64 - 1),
        signature=st.binary(max_size=66),
        spec=st.sampled_from([RsaPkcs1SignSpec("SHA1"), RsaPkcs1SignSpec(None), RsaPssSpec("SHA1", 20)]),
    )
    def test_whatever_comes_is_refused(
        self, modulus: int, exponent: int, signature: bytes, spec: RsaPkcs1SignSpec | RsaPssSpec
    ) -> None:
        with pytest.raises(CngError) as caught:
            of(RsaPublicKey(modulus, exponent)).verify(RsaPublicKey(modulus, exponent), spec, bytes(20), signature)
        assert caught.value.status in (NTSTATUS.STATUS_INVALID_SIGNATURE, NTSTATUS.STATUS_INVALID_PARAMETER)


def ec_pair(curve: str) -> tuple[ec.EllipticCurvePrivateKey, EcPublicKey]:
    key = ec.generate_private_key(CURVES[curve].host())
    numbers = key.public_key().public_numbers()
    return key, EcPublicKey(curve, numbers.x, numbers.y)


def p1363(signature: bytes, size: int) -> bytes:
    return b"".join(half.to_bytes(size, "big") for half in utils.decode_dss_signature(signature))


def textbook_ecdsa(curve: str, scalar: int, digest: bytes, nonce: int) -> bytes:
    """FIPS 186-5, 6.4.1, on integers: the leftmost bits of the digest, whatever its length."""
    order, size = DOMAINS[curve].n, CURVES[curve].coordinate_size
    excess = 8 * len(digest) - order.bit_length()
    e = int.from_bytes(digest, "big") >> max(excess, 0)
    r = ec.derive_private_key(nonce, CURVES[curve].host()).public_key().public_numbers().x % order
    s = pow(nonce, -1, order) * (e + r * scalar) % order
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


class TestEcdsaVerification:
    @pytest.mark.parametrize("curve", DOMAINS)
    @pytest.mark.parametrize("name", HASHES)
    def test_signatures_of_cryptography(self, curve: str, name: str) -> None:
        key, public = ec_pair(curve)
        digest = HASHES[name].digest(b"message")
        signature = key.sign(digest, ec.ECDSA(utils.Prehashed(HOST_HASHES[name])))
        of(public).verify(public, EcdsaSpec(), digest, p1363(signature, CURVES[curve].coordinate_size))

    @pytest.mark.row("SIG-06")
    @pytest.mark.parametrize("curve", DOMAINS)
    @pytest.mark.parametrize("length", [1, 20, 27, 28, 29, 31, 32, 33, 48, 64, 65, 66, 67, 100, 1000])
    def test_a_digest_of_any_length(self, curve: str, length: int) -> None:
        order = DOMAINS[curve].n
        key, public = ec_pair(curve)
        digest = b"\xff" + os.urandom(length - 1)
        signature = textbook_ecdsa(curve, key.private_numbers().private_value, digest, random.randrange(1, order))
        of(public).verify(public, EcdsaSpec(), digest, signature)
        bits = order.bit_length()
        if 8 * length - bits >= 8:
            of(public).verify(public, EcdsaSpec(), digest[:-1] + bytes([digest[-1] ^ 1]), signature)
        bad_signature(public, EcdsaSpec(), bytes([digest[0] ^ 0x80]) + digest[1:], signature)

    @pytest.mark.row("SIG-10")
    @pytest.mark.parametrize("curve", ["nistP256", "nistP521"])
    def test_a_signature_of_wrong_length_or_value(self, curve: str) -> None:
        key, public = ec_pair(curve)
        size, order = CURVES[curve].coordinate_size, DOMAINS[curve].n
        digest = os.urandom(32)
        der = key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        good = p1363(der, size)
        of(public).verify(public, EcdsaSpec(), digest, good)
        for wrong in (b"", good[:-1], good + b"\x00", b"\x00" + good, good[:size], der):
            with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
                of(public).verify(public, EcdsaSpec(), digest, wrong)
        r, s = good[:size], good[size:]
        zero, n = bytes(size), order.to_bytes(size, "big")
        for bad in (zero + s, r + zero, zero + zero, n + s, r + n, b"\xff" * 2 * size, s + r):
            bad_signature(public, EcdsaSpec(), digest, bad)
        bad_signature(public, EcdsaSpec(), digest[:31], good)
        bad_signature(ec_pair(curve)[1], EcdsaSpec(), digest, good)

    def test_an_empty_digest_is_refused(self) -> None:
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            of(ec_pair("nistP256")[1]).verify(ec_pair("nistP256")[1], EcdsaSpec(), b"", bytes(64))

    def test_a_point_off_the_curve_is_refused(self) -> None:
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            of(EcPublicKey("nistP256", 1, 1)).verify(EcPublicKey("nistP256", 1, 1), EcdsaSpec(), bytes(32), bytes(64))

    @settings(deadline=None)
    @given(digest=st.binary(min_size=1, max_size=80), signature=st.binary(min_size=64, max_size=64))
    def test_whatever_comes_is_refused(self, digest: bytes, signature: bytes) -> None:
        domain = DOMAINS["nistP256"]
        bad_signature(EcPublicKey("nistP256", domain.gx, domain.gy), EcdsaSpec(), digest, signature)


class TestRsaEncryption:
    @pytest.mark.parametrize("bits", [1024, 1031, 2048])
    @pytest.mark.parametrize("name", ["SHA1", "SHA256", "SHA384", "SHA512"])
    def test_oaep_is_decrypted_by_cryptography(self, name: str, bits: int) -> None:
        key, public = host_key(bits)
        room = (bits + 7) // 8 - 2 * HASHES[name].digest_size - 2
        for label in (b"", b"label"):
            for length in (0, room) if room >= 0 else ():
                plaintext = os.urandom(length)
                ciphertext = rsa_.encrypt(public, RsaOaepSpec(name, label), plaintext)
                assert len(ciphertext) == (bits + 7) // 8
                scheme = padding.OAEP(padding.MGF1(HOST_HASHES[name]), HOST_HASHES[name], label)
                assert key.decrypt(ciphertext, scheme) == plaintext
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            rsa_.encrypt(public, RsaOaepSpec(name), bytes(max(room + 1, 0)))

    @pytest.mark.requires("command:openssl")
    @pytest.mark.parametrize("name", HASHES)
    def test_oaep_is_decrypted_by_openssl(self, name: str, tmp_path: Path) -> None:
        # cryptography has no OAEP with MD5 or SHA-3.
        key, public = host_key(2048)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (tmp_path / "key.pem").write_bytes(pem)
        ciphertext = rsa_.encrypt(public, RsaOaepSpec(name, b"label"), b"plaintext")
        options = ("rsa_padding_mode:oaep", f"rsa_oaep_md:{name}", f"rsa_mgf1_md:{name}", "rsa_oaep_label:6c6162656c")
        command = ["openssl", "pkeyutl", "-decrypt", "-inkey", str(tmp_path / "key.pem")]
        command += [word for option in options for word in ("-pkeyopt", option)]
        assert subprocess.run(command, input=ciphertext, capture_output=True, check=True).stdout == b"plaintext"

    @pytest.mark.row("RSA-03", "RSA-06")
    @pytest.mark.parametrize("bits", [1024, 1031, 2048])
    def test_pkcs1_is_decrypted_by_cryptography(self, bits: int) -> None:
        key, public = host_key(bits)
        size = (bits + 7) // 8
        for length in (0, 1, size - 11):
            plaintext = os.urandom(length)
            ciphertext = rsa_.encrypt(public, RsaPkcs1DecryptSpec(), plaintext)
            assert len(ciphertext) == size
            assert ciphertext != rsa_.encrypt(public, RsaPkcs1DecryptSpec(), plaintext)
            assert key.decrypt(ciphertext, padding.PKCS1v15()) == plaintext
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            rsa_.encrypt(public, RsaPkcs1DecryptSpec(), bytes(size - 10))

    @pytest.mark.row("RSA-02", "RSA-04")
    @pytest.mark.parametrize(("bits", "exponent"), TOY_SIZES)
    def test_every_size_and_exponent(self, bits: int, exponent: int) -> None:
        key = toy_key(bits, exponent)
        for spec in (RsaPkcs1DecryptSpec(), RsaOaepSpec("SHA1", b"label")):
            ciphertext = rsa_.encrypt(key.public, spec, b"plaintext")
            assert len(ciphertext) == key.size
            assert rsa_encodings.rsa_decrypt(key.raw, spec, ciphertext, key.bits) == b"plaintext"
        raw = (key.public.modulus - 2).to_bytes(key.size, "big")
        ciphertext = rsa_.encrypt(key.public, RsaRawSpec(), raw)
        assert ciphertext == rsa_.encrypt(key.public, RsaRawSpec(), raw)
        assert rsa_encodings.rsa_decrypt(key.raw, RsaRawSpec(), ciphertext, key.bits) == raw

    @pytest.mark.row("RSA-02")
    def test_raw_input_must_be_modulus_length_and_below_it(self) -> None:
        key = toy_key(512, 3)
        modulus = key.public.modulus.to_bytes(key.size, "big")
        for wrong in (b"", bytes(63), bytes(65), bytes(128), modulus, b"\xff" * 64):
            with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
                rsa_.encrypt(key.public, RsaRawSpec(), wrong)
        assert rsa_.encrypt(key.public, RsaRawSpec(), bytes(64)) == bytes(64)

    def test_what_is_not_a_hash_is_not_supported(self) -> None:
        with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
            rsa_.encrypt(toy_key(512, 3).public, RsaOaepSpec("AES"), b"")

    def test_a_modulus_of_zero_is_refused(self) -> None:
        for spec in (RsaPkcs1DecryptSpec(), RsaOaepSpec("SHA1"), RsaRawSpec()):
            with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
                rsa_.encrypt(RsaPublicKey(0, 3), spec, b"")


class TestChecks:
    @pytest.mark.row("IKP-11")
    @pytest.mark.parametrize("curve", DOMAINS)
    def test_points(self, curve: str) -> None:
        _, public = ec_pair(curve)
        p = DOMAINS[curve].p
        of(public).check_public(public)
        of(EcPublicKey(curve, public.x, p - public.y)).check_public(EcPublicKey(curve, public.x, p - public.y))
        for x, y in (
            (0, 0),
            (public.x, public.y ^ 1),
            (public.y, public.x),
            (public.x + p, public.y),
            (public.x, public.y + p),
            (public.x, -public.y),
            (public.x - p, public.y),
        ):
            with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
                of(EcPublicKey(curve, x, y)).check_public(EcPublicKey(curve, x, y))

    def test_an_unknown_curve_is_not_supported(self) -> None:
        with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
            of(EcPublicKey("secP224k1", 1, 1)).check_public(EcPublicKey("secP224k1", 1, 1))

    @pytest.mark.parametrize(
        ("modulus", "exponent"),
        [(0, 3), (2**512, 3), (2**512 + 1, 2), (2**512 + 1, 1), (2**512 + 1, 0), (3, 3), (1, 3)],
    )
    def test_rsa_numbers_that_make_no_key(self, modulus: int, exponent: int) -> None:
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            of(RsaPublicKey(modulus, exponent)).check_public(RsaPublicKey(modulus, exponent))

    @pytest.mark.parametrize(("bits", "exponent"), TOY_SIZES)
    def test_rsa_numbers_that_do(self, bits: int, exponent: int) -> None:
        of(toy_key(bits, exponent).public).check_public(toy_key(bits, exponent).public)

    @pytest.mark.parametrize("curve", DOMAINS)
    def test_a_scalar_must_make_its_point(self, curve: str) -> None:
        key, public = ec_pair(curve)
        scalar, order = key.private_numbers().private_value, DOMAINS[curve].n
        ecc.check_private(EcPrivateKey(public, scalar))
        for wrong in (0, order, scalar + order, order - scalar, scalar ^ 1, -scalar):
            with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
                ecc.check_private(EcPrivateKey(public, wrong))
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            ecc.check_private(EcPrivateKey(EcPublicKey(curve, 1, 0), 1))

    def test_a_private_rsa_key_is_checked_by_its_public_half(self) -> None:
        numbers = host_key(1024)[0].private_numbers()
        rest = (numbers.d, numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp)
        rsa_.check_public(RsaPrivateKey(numbers.public_numbers.n, 65537, *rest).public)
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            rsa_.check_public(RsaPrivateKey(numbers.public_numbers.n, 65536, *rest).public)


def test_cryptography_is_imported_only_when_a_curve_is_used() -> None:
    code = (
        "import sys, hwcng.hostcrypto.rsa, hwcng.hostcrypto.ecc, hwcng.cng.padding, hwcng.cng.families; "
        "sys.exit('cryptography' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("curve", DOMAINS)
def test_a_private_key_without_its_point_gets_it(curve: str) -> None:
    """Q = dG on every curve; the scalar's bounds are those of a key that has its point."""
    domain = DOMAINS[curve]
    base = EcPublicKey(curve, domain.gx, domain.gy)
    assert ecc.completed(EcPrivateKey(EcPublicKey(curve, 0, 0), 1)).public == base
    last = ecc.completed(EcPrivateKey(EcPublicKey(curve, 0, 0), domain.n - 1))
    assert last.public == EcPublicKey(curve, domain.gx, domain.p - domain.gy)
    assert ecc.completed(last) == last
    for scalar in (0, domain.n, domain.n + 1):
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            ecc.completed(EcPrivateKey(EcPublicKey(curve, 0, 0), scalar))
    for point in ((domain.gx, 0), (0, domain.gy), (domain.gx, domain.gy)):
        with refused(NTSTATUS.STATUS_INVALID_PARAMETER):
            ecc.completed(EcPrivateKey(EcPublicKey(curve, *point), 2))
