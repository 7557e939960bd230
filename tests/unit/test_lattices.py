"""hwcng.hostcrypto.lattice_expand and hwcng.hostcrypto.mlkem_mldsa against `cryptography`, and without it."""

from __future__ import annotations

import hashlib
import os
import sys
from typing import Any

import pytest
from conformance.helpers import refused
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.backends.openssl.backend import backend
from cryptography.hazmat.primitives.asymmetric import mldsa, mlkem
from pkcs11 import Attribute

from hwcng.contract.material import MlDsaPrivateKey, MlDsaPublicKey, MlKemPublicKey
from hwcng.contract.specs import MlDsaSpec, PairSpec
from hwcng.contract.usage import Usage
from hwcng.errors import NTSTATUS
from hwcng.hostcrypto import mlkem_mldsa
from hwcng.hostcrypto.lattice_expand import (
    ml_dsa_expanded,
    ml_dsa_public,
    ml_kem_coefficients,
    ml_kem_expanded,
    ml_kem_public,
)
from hwcng.providers.pkcs11.cryptoki.calls import ffi
from hwcng.providers.pkcs11.families import kind_of
from hwcng.providers.pkcs11.families.mldsa import ml_dsa
from hwcng.standards.parameter_sets import ML_DSA_SETS, ML_KEM_SETS

KEM_KEYS: dict[str, Any] = {"768": mlkem.MLKEM768PrivateKey, "1024": mlkem.MLKEM1024PrivateKey}
DSA_KEYS: dict[str, Any] = {
    "44": mldsa.MLDSA44PrivateKey,
    "65": mldsa.MLDSA65PrivateKey,
    "87": mldsa.MLDSA87PrivateKey,
}


@pytest.mark.parametrize("name", KEM_KEYS)
def test_encapsulation_keys_of_seeds_are_cryptographys(name: str) -> None:
    for seed in (bytes(64), b"\xff" * 64, *(os.urandom(64) for _ in range(8))):
        expected = KEM_KEYS[name].from_seed_bytes(seed).public_key().public_bytes_raw()
        assert ml_kem_public(ML_KEM_SETS[name], seed) == expected


@pytest.mark.parametrize("name", DSA_KEYS)
def test_the_expanded_key_of_a_seed_makes_cryptographys_public_key(name: str) -> None:
    row = ML_DSA_SETS[name]
    for seed in (bytes(32), b"\xff" * 32, *(os.urandom(32) for _ in range(3))):
        expanded = ml_dsa_expanded(row, seed)
        assert len(expanded) == row.private
        public = ml_dsa_public(row, expanded)
        assert public is not None
        if backend.mldsa_supported():
            assert public == DSA_KEYS[name].from_seed_bytes(seed).public_key().public_bytes_raw()


@pytest.mark.parametrize("name", ML_KEM_SETS)
def test_the_expanded_key_of_a_seed_of_ml_kem(name: str) -> None:
    row, seed = ML_KEM_SETS[name], os.urandom(64)
    expanded = ml_kem_expanded(row, seed)
    public = ml_kem_public(row, seed)
    assert len(expanded) == row.private and expanded[384 * row.rank : -64] == public
    assert expanded[-64:] == hashlib.sha3_256(public).digest() + seed[32:]
    assert all(value < 3329 for value in ml_kem_coefficients(expanded[: 384 * row.rank]))
    # It is the same private key to the check that every import goes through.
    assert (
        mlkem_mldsa.ml_kem_private(name, expanded, None).public == mlkem_mldsa.ml_kem_private(name, None, seed).public
    )


def test_a_seed_goes_into_a_token_with_the_expanded_key() -> None:
    for make, name, size in ((mlkem_mldsa.ml_kem_private, "768", 64), (mlkem_mldsa.ml_dsa_private, "65", 32)):
        if make is mlkem_mldsa.ml_dsa_private and not backend.mldsa_supported():
            continue
        material = make(name, None, os.urandom(size))
        values = kind_of(PairSpec(kind_name(material), Usage.SIGN, parameter_set=name)).private_values(material)
        assert {Attribute.PARAMETER_SET, Attribute.SEED, Attribute.VALUE} == set(values)


def kind_name(material: object) -> str:
    return "ML-DSA" if isinstance(material, MlDsaPrivateKey) else "ML-KEM"


def test_an_encapsulation_key_of_512_has_its_size_and_range() -> None:
    for seed in (bytes(64), os.urandom(64)):
        key = ml_kem_public(ML_KEM_SETS["512"], seed)
        assert len(key) == 800 and max(ml_kem_coefficients(key[:-32])) < 3329
        # z, the second half of the seed, is for rejection alone.
        assert ml_kem_public(ML_KEM_SETS["512"], seed[:32] + os.urandom(32)) == key


@pytest.mark.parametrize("name", DSA_KEYS)
def test_random_octets_are_no_expanded_key(name: str) -> None:
    row = ML_DSA_SETS[name]
    for octets in (bytes(row.private), b"\xff" * row.private, os.urandom(row.private)):
        assert ml_dsa_public(row, octets) is None


def _tables(kind: str) -> Any:
    return ML_DSA_SETS if kind == "ML-DSA" else ML_KEM_SETS


@pytest.mark.parametrize("kind", ["ML-DSA", "ML-KEM"])
def test_the_sizes_follow_from_the_shapes(kind: str) -> None:
    """FIPS 204, section 4, and FIPS 203, section 8."""
    for row in _tables(kind).values():
        if kind == "ML-KEM":
            assert row.public == 384 * row.rank + 32 and row.private == 768 * row.rank + 96
        else:
            width = (2 * row.eta).bit_length()
            assert row.public == 32 + 320 * row.rows
            assert row.private == 128 + 32 * (width * (row.rows + row.columns) + 13 * row.rows)


class TestWithoutIt:
    """`cryptography` that lacks a class, or whose OpenSSL lacks the algorithms."""

    def test_a_class_that_it_lacks_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.mldsa", None)
        monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.mlkem", None)
        public = MlDsaPublicKey("65", bytes(1952))
        with refused(NTSTATUS.STATUS_NOT_SUPPORTED) as error:
            mlkem_mldsa.verify_ml_dsa(public, MlDsaSpec(), b"", bytes(3309))
        assert "`cryptography` has no MLDSA65PublicKey" in str(error.value)
        with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
            mlkem_mldsa.ml_dsa_private("65", None, bytes(32))
        with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
            mlkem_mldsa.encapsulate(MlKemPublicKey("768", bytes(1184)))
        assert not mlkem_mldsa.encapsulates("768")

    def test_seeds_of_kem_keys_do_without(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seed = os.urandom(64)
        expected = mlkem_mldsa.ml_kem_private("768", None, seed).public
        monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.mlkem", None)
        assert mlkem_mldsa.ml_kem_private("768", None, seed).public == expected

    def test_an_openssl_without_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(backend), "mlkem_supported", lambda _: False)
        monkeypatch.setattr(type(backend), "mldsa_supported", lambda _: False)
        with pytest.raises(UnsupportedAlgorithm):
            mldsa.MLDSA65PublicKey.from_public_bytes(bytes(1952))
        assert not mlkem_mldsa.encapsulates("1024")
        with refused(NTSTATUS.STATUS_NOT_SUPPORTED):
            mlkem_mldsa.verify_ml_dsa(MlDsaPublicKey("65", bytes(1952)), MlDsaSpec(), b"", bytes(3309))

    def test_one_that_verifies_no_mu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class OlderKey:
            @staticmethod
            def from_public_bytes(_octets: bytes) -> OlderKey:
                return OlderKey()

        monkeypatch.setattr(mldsa, "MLDSA65PublicKey", OlderKey)
        with refused(NTSTATUS.STATUS_NOT_SUPPORTED) as error:
            mlkem_mldsa.verify_ml_dsa(
                MlDsaPublicKey("65", bytes(1952)), MlDsaSpec(external_mu=True), bytes(64), bytes(3309)
            )
        assert "verify_mu" in str(error.value)


@pytest.mark.parametrize("name", ["512", "768", "1024"])
def test_no_secret_in_a_repr(name: str) -> None:
    seed = os.urandom(64)
    material = mlkem_mldsa.ml_kem_private(name, None, seed)
    assert seed.hex() not in repr(material) and repr(seed)[2:20] not in repr(material)


@pytest.mark.parametrize(("deterministic", "variant"), [(False, 0), (True, 2)])
def test_the_parameter_of_hash_ml_dsa(deterministic: bool, variant: int) -> None:
    """CK_HASH_SIGN_ADDITIONAL_CONTEXT (PKCS#11 3.2): no token that is tested has the mechanism."""
    call = ml_dsa(MlDsaSpec(b"context", deterministic, prehash="SHA512"))
    parameter = call.parameter
    assert (call.structure.mechanism, call.structure.ulParameterLen) == (0x1F, 32)
    assert (parameter.hedgeVariant, parameter.ulContextLen, parameter.hash) == (variant, 7, 0x270)
    assert ffi.buffer(parameter.pContext, 7)[:] == b"context"
    pure = ml_dsa(MlDsaSpec(deterministic=deterministic))
    mechanism = pure.structure
    assert (mechanism.mechanism, mechanism.ulParameterLen, pure.parameter.hedgeVariant) == (0x1D, 24, variant)
    assert (pure.parameter.pContext, pure.parameter.ulContextLen) == (ffi.NULL, 0)
