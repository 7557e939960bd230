"""Keys that come from outside: imported numbers, opaque blobs, files of another TPM, damaged files."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from tpm2.helpers import ec_material, rsa_material

from hwcng.contract.keys import SecretKey
from hwcng.contract.material import EcPrivateKey, EcPublicKey
from hwcng.contract.specs import (
    CipherSpec,
    CmacSpec,
    EcdsaSpec,
    HmacSpec,
    PairSpec,
    RsaOaepSpec,
    RsaPkcs1SignSpec,
    RsaPssSpec,
    SecretSpec,
)
from hwcng.contract.usage import CipherMode, SecretFamily, Usage
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.tpm2.keys.private import Tpm2PrivateKey
from hwcng.providers.tpm2.keys.secret import Tpm2SecretKey
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.providers.tpm2.wire import key_file_asn1
from hwcng.standards.curves import CURVES
from hwcng.testing.swtpm import Swtpm

BOTH = Usage.ENCRYPT | Usage.DECRYPT
ECB = CipherSpec(CipherMode.ECB)


def invalid(call: Callable[[], object]) -> CngError:
    with pytest.raises(CngError) as error:
        call()
    assert error.value.status is NTSTATUS.STATUS_INVALID_PARAMETER
    return error.value


# Import of pairs


@pytest.mark.parametrize("bits", [1024, 2048, 3072])
def test_an_imported_rsa_key_works(tpm_provider: Tpm2Provider, bits: int) -> None:
    host, material = rsa_material(bits)
    key = tpm_provider.import_pair(PairSpec("RSA", Usage.SIGN | Usage.DECRYPT, bits=bits), material)
    signature = key.sign_digest(RsaPssSpec("SHA256", 32), bytes(32))
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    host.public_key().verify(signature, bytes(32), scheme, utils.Prehashed(hashes.SHA256()))
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    assert key.decrypt(RsaOaepSpec("SHA256"), host.public_key().encrypt(b"hello", oaep)) == b"hello"


@pytest.mark.parametrize("curve", ["nistP256", "nistP384", "nistP521"])
def test_an_imported_elliptic_key_works(tpm_provider: Tpm2Provider, curve: str) -> None:
    host, material = ec_material(curve)
    key = tpm_provider.import_pair(PairSpec("EC", Usage.SIGN, curve=curve), material)
    signature, width = key.sign_digest(EcdsaSpec(), bytes(32)), CURVES[curve].coordinate_size
    r, s = (int.from_bytes(half, "big") for half in (signature[:width], signature[width:]))
    host.public_key().verify(utils.encode_dss_signature(r, s), bytes(32), ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    agreeing = tpm_provider.import_pair(PairSpec("EC", Usage.DERIVE, curve=curve), material)
    peer = ec.generate_private_key(CURVES[curve].host())
    numbers = peer.public_key().public_numbers()
    assert agreeing.agree(EcPublicKey(curve, numbers.x, numbers.y)).raw() == host.exchange(ec.ECDH(), peer.public_key())


def test_small_scalars_keep_their_zeros(tpm_provider: Tpm2Provider) -> None:
    host = ec.derive_private_key(0xABCDEF, ec.SECP256R1())
    numbers = host.public_key().public_numbers()
    material = EcPrivateKey(EcPublicKey("nistP256", numbers.x, numbers.y), 0xABCDEF)
    key = tpm_provider.import_pair(PairSpec("EC", Usage.DERIVE, curve="nistP256"), material)
    assert key.agree(material.public).raw() == host.exchange(ec.ECDH(), host.public_key())


def test_numbers_that_do_not_fit_are_refused(tpm_provider: Tpm2Provider) -> None:
    _, material = rsa_material(2048)
    invalid(lambda: tpm_provider.import_pair(PairSpec("RSA", Usage.SIGN, bits=3072), material))
    _, three = rsa_material(2048, 3)
    with pytest.raises(CngError) as error:
        tpm_provider.import_pair(PairSpec("RSA", Usage.SIGN, bits=2048), three)
    assert error.value.status is NTSTATUS.STATUS_NOT_SUPPORTED
    _, first = ec_material("nistP256")
    _, second = ec_material("nistP256")
    mixed = EcPrivateKey(first.public, second.scalar)
    wrong = tpm_provider
    failure = invalid(
        lambda: wrong.import_pair(PairSpec("EC", Usage.SIGN, curve="nistP256"), mixed).sign_digest(
            EcdsaSpec(), bytes(32)
        )
    )
    assert failure.token_code is not None and failure.token_code.name == "TPM_RC_BINDING"
    invalid(lambda: tpm_provider.import_pair(PairSpec("EC", Usage.SIGN, curve="nistP384"), first))


# Opaque blobs


def all_kinds(provider: Tpm2Provider) -> list[tuple[Tpm2SecretKey | Tpm2PrivateKey, Callable[[object], object]]]:
    """A key of each kind and what to do with it, where the result is the same each time."""
    _, elliptic = ec_material("nistP256")
    sign = Usage.SIGN | Usage.DECRYPT
    return [  # type: ignore[return-value]
        (provider.generate_secret(SecretSpec(SecretFamily.AES, 256, BOTH)), lambda k: k.encrypt(ECB, bytes(16))),
        (
            provider.import_secret(SecretSpec(SecretFamily.AES, 128, Usage.ENCRYPT), os.urandom(16)),
            lambda k: k.encrypt(ECB, bytes(16)),
        ),
        (
            provider.import_secret(SecretSpec(SecretFamily.HMAC, 800, Usage.SIGN, hash_name="SHA1"), os.urandom(100)),
            lambda k: k.mac(HmacSpec("SHA1"), b"data"),
        ),
        (
            provider.import_secret(SecretSpec(SecretFamily.HMAC, 24, Usage.SIGN), b"key"),
            lambda k: k.mac(HmacSpec("SHA512"), b"data"),
        ),
        (provider.generate_secret(SecretSpec(SecretFamily.CMAC, 128, Usage.SIGN)), lambda k: k.mac(CmacSpec(), b"x")),
        (
            provider.generate_pair(PairSpec("RSA", sign, bits=1024)),
            lambda k: k.sign_digest(RsaPkcs1SignSpec("SHA256"), bytes(32)),
        ),
        (
            provider.import_pair(PairSpec("EC", Usage.DERIVE, curve="nistP256"), elliptic),
            lambda k: k.agree(k.public).raw(),
        ),
    ]


def test_opaque_blobs_come_back(tpm_provider: Tpm2Provider) -> None:
    for key, use in all_kinds(tpm_provider):
        before = use(key)
        again = tpm_provider.reload_opaque(key.opaque())
        assert again.spec == key.spec and type(again) is type(key)
        assert getattr(again, "public", None) == getattr(key, "public", None)
        key.destroy()
        assert use(again) == before
        der = key_file_asn1.der_of(key_file_asn1.parse(again.opaque()))  # type: ignore[union-attr]
        assert use(tpm_provider.reload_opaque(der)) == before


def test_opaque_blobs_survive_a_reset_and_another_connection(
    fresh_tpm: Swtpm, open_tpm: Callable[..., Tpm2Provider]
) -> None:
    with open_tpm(fresh_tpm.uri) as provider:
        kept = [(key.opaque(), use(key), use) for key, use in all_kinds(provider)]
    fresh_tpm.restart()
    with open_tpm(fresh_tpm.uri) as provider:
        for blob, before, use in kept:
            assert use(provider.reload_opaque(blob)) == before


@pytest.mark.parametrize("armoured", [True, False])
def test_every_flipped_bit_is_noticed(tpm_provider: Tpm2Provider, armoured: bool) -> None:
    keys = [
        tpm_provider.generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256")),
        tpm_provider.import_secret(SecretSpec(SecretFamily.HMAC, 160, Usage.SIGN, hash_name="SHA256"), bytes(20)),
    ]
    for key in keys:
        blob = key.opaque() if armoured else key_file_asn1.der_of(key_file_asn1.parse(key.opaque()))
        step = 3 if armoured else 1
        for bit in range(0, 8 * len(blob), step):
            damaged = bytearray(blob)
            damaged[bit // 8] ^= 1 << bit % 8
            invalid(lambda: tpm_provider.reload_opaque(bytes(damaged)))  # noqa: B023


def test_cut_and_foreign_blobs_are_refused(tpm_provider: Tpm2Provider) -> None:
    blob = tpm_provider.generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256")).opaque()
    der = key_file_asn1.der_of(key_file_asn1.parse(blob))
    for whole in (der, blob):
        # The last end of line is no part of the key.
        for length in range(len(whole.rstrip(b"\n"))):
            invalid(lambda: tpm_provider.reload_opaque(whole[:length]))  # noqa: B023
    for foreign in (b"", b"x", bytes(100), der + b"\0", blob[1:], b"-----BEGIN PRIVATE KEY-----\n", b"\x30\x84"):
        invalid(lambda: tpm_provider.reload_opaque(foreign))  # noqa: B023


def test_a_blob_of_another_tpm_is_refused(
    tpm_provider: Tpm2Provider, fresh_tpm: Swtpm, open_tpm: Callable[..., Tpm2Provider]
) -> None:
    with open_tpm(fresh_tpm.uri) as other:
        for key, _ in all_kinds(other):
            failure = invalid(lambda: tpm_provider.reload_opaque(key.opaque()))  # noqa: B023
            assert failure.token_code is not None and failure.token_code.name == "TPM_RC_INTEGRITY"
            assert "not of this TPM" in failure.message


def test_objects_that_are_no_keys_are_refused(tpm_provider: Tpm2Provider) -> None:
    key = key_file_asn1.parse(tpm_provider.generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256")).opaque())
    for attributes in (0x30472, 0x472):
        public = key.public[:4] + attributes.to_bytes(4, "big") + key.public[8:]
        blob = key_file_asn1.build(key_file_asn1.TssKey(key.parent, public, key.private))
        invalid(lambda blob=blob: tpm_provider.reload_opaque(blob))
    failure = invalid(
        lambda: tpm_provider.reload_opaque(
            key_file_asn1.build(key_file_asn1.TssKey(0x4000000B, key.public, key.private))
        )
    )
    assert "below a persistent handle" in failure.message
    with pytest.raises(CngError) as error:
        tpm_provider.reload_opaque(key_file_asn1.build(key_file_asn1.TssKey(key.parent, key.public, key.private, None)))
    assert error.value.status is NTSTATUS.STATUS_WRONG_PASSWORD


def test_an_opaque_blob_costs_no_command_and_a_destroyed_key_has_none(tpm_provider: Tpm2Provider) -> None:
    key: SecretKey = tpm_provider.generate_secret(SecretSpec(SecretFamily.AES, 128, BOTH))
    key.destroy()
    with pytest.raises(CngError) as error:
        key.opaque()
    assert error.value.status is NTSTATUS.STATUS_INVALID_HANDLE
