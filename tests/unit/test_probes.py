"""What a token is said to do is proved by known answers: one that is wrong both ways, or once in 256 times, shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from pkcs11 import Attribute, Mechanism
from support import missing

import hwcng
from hwcng.contract.material import EcPublicKey
from hwcng.contract.provider import Provider
from hwcng.contract.usage import Support
from hwcng.providers.pkcs11 import probing
from hwcng.providers.pkcs11.cryptoki.calls import ffi
from hwcng.providers.pkcs11.cryptoki.constants import CKM
from hwcng.providers.pkcs11.cryptoki.return_values import CKR
from hwcng.providers.pkcs11.probes import arithmetic
from hwcng.standards.curves import CURVES

if TYPE_CHECKING:
    from hwcng.testing.nss import NssDatabase

WRONG = "the token's result was wrong"
CFunction = Callable[..., int]


@contextmanager
def wrong(provider: Provider, name: str, replacement: Callable[[CFunction], CFunction]) -> Iterator[None]:
    """The token with another `name`, and nothing remembered of it."""
    remembered = dict(probing._probed)
    probing._probed.clear()
    undo = provider.cryptoki.instrument(  # type: ignore[attr-defined]
        lambda called, function: replacement(function) if called == name else function
    )
    try:
        yield
    finally:
        undo()
        probing._probed.clear()
        probing._probed.update(remembered)


def refused_as_wrong(provider: Provider) -> set[tuple[str, str]]:
    capabilities = provider.capabilities()
    found = {key for key, reason in capabilities.reasons.items() if reason == WRONG}
    assert all(capabilities.operations[key] is Support.REFUSED for key in found)
    return found


def attribute(attributes: Any, count: int, kind: Attribute) -> Any:
    return next((attributes[index] for index in range(count) if attributes[index].type == int(kind)), None)


def test_a_sound_token_is_not_called_wrong(provider: Provider) -> None:
    assert refused_as_wrong(provider) == set()


def test_a_token_that_holds_another_key_than_it_was_given(provider: Provider) -> None:
    """There and back, all of it works."""

    def altering(create: CFunction) -> CFunction:
        def altered(session: int, attributes: Any, count: int, handle: Any) -> int:
            value = attribute(attributes, count, Attribute.VALUE)
            secret_key = attribute(attributes, count, Attribute.ENCRYPT) is not None
            if value is not None and secret_key and value.ulValueLen:
                ffi.buffer(value.pValue, value.ulValueLen)[1] = b"\xf0"
            return create(session, attributes, count, handle)

        return altered

    with wrong(provider, "C_CreateObject", altering):
        found = refused_as_wrong(provider)
    assert {("AES", mode) for mode in ("ECB", "CBC", "CFB8", "CFB128", "GCM", "CCM", "WRAP")} <= found
    assert {("AES-CMAC", "MAC"), ("AES-GMAC", "MAC"), ("HMAC-SHA256", "MAC"), ("3DES", "CBC")} <= found
    assert ("XTS-AES", "XTS") in found and ("SP800_108_CTR_HMAC", "derive") in found


def test_a_token_that_signs_something_else(provider: Provider) -> None:
    """Signatures of the right length."""

    def altering(sign: CFunction) -> CFunction:
        def altered(session: int, data: bytes, size: int, *rest: Any) -> int:
            return sign(session, data[:-1] + bytes([data[-1] ^ 1]), size, *rest)

        return altered

    with wrong(provider, "C_Sign", altering):
        found = refused_as_wrong(provider)
    assert {("ECDSA", "nistP256"), ("ECDSA", "nistP521"), ("DSA", "sign 2048")} <= found
    assert {("RSA", "PKCS1 SHA256"), ("RSA", "PSS SHA256"), ("HMAC-SHA1", "MAC"), ("AES-CMAC", "MAC")} <= found


def test_a_token_that_drops_the_leading_zeros_of_an_agreed_secret(provider: Provider) -> None:
    """One agreement of 256 gives another key, and both sides of the token's own give the same."""

    def dropping(derive: CFunction) -> CFunction:
        def dropped(session: int, mechanism: Any, key: int, attributes: Any, count: int, handle: Any) -> int:
            if mechanism.mechanism not in (int(Mechanism.DH_PKCS_DERIVE), int(Mechanism.ECDH1_DERIVE)):
                return derive(session, mechanism, key, attributes, count, handle)
            length = attribute(attributes, count, Attribute.VALUE_LEN)
            octets = ffi.cast("CK_ULONG *", length.pValue)
            if first_octet(session, mechanism, key, attributes, count) == 0:
                # A shorter secret loses its first octets.
                octets[0] -= 1
            return derive(session, mechanism, key, attributes, count, handle)

        def first_octet(session: int, mechanism: Any, key: int, attributes: Any, count: int) -> int:
            flags = [attribute(attributes, count, kind) for kind in (Attribute.SENSITIVE, Attribute.EXTRACTABLE)]
            before = [bytes(ffi.buffer(flag.pValue, 1)) for flag in flags]
            for flag, octet in zip(flags, (b"\0", b"\1"), strict=True):
                ffi.buffer(flag.pValue, 1)[:] = octet
            readable, raw = ffi.new("CK_ULONG *"), ffi.new("unsigned char[]", 512)
            assert derive(session, mechanism, key, attributes, count, readable) == 0
            wanted = ffi.new("CK_ATTRIBUTE *")
            wanted.type, wanted.pValue, wanted.ulValueLen = int(Attribute.VALUE), raw, 512
            cryptoki = provider.cryptoki  # type: ignore[attr-defined]
            assert cryptoki.C_GetAttributeValue(session, readable[0], wanted, 1) == 0
            assert cryptoki.C_DestroyObject(session, readable[0]) == 0
            for flag, octet in zip(flags, before, strict=True):
                ffi.buffer(flag.pValue, 1)[:] = octet
            return raw[0]

        return dropped

    with wrong(provider, "C_DeriveKey", dropping):
        found = refused_as_wrong(provider)
    assert found == {("DH", "agree"), ("ECDH", "nistP256")} | (found & {("ECDH", curve) for curve in CURVES})


@pytest.mark.parametrize("curve", [name for name, curve in CURVES.items() if not curve.montgomery])
def test_the_hosts_arithmetic_on_curves(curve: str) -> None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    host, size, digest = CURVES[curve].host(), CURVES[curve].coordinate_size, bytes(range(32))
    try:
        key = ec.generate_private_key(host)
    except UnsupportedAlgorithm:
        missing(f"{curve} on the host")
    numbers = key.public_key().public_numbers()
    public = EcPublicKey(curve, numbers.x, numbers.y)
    agreements = arithmetic.ec_agreements(public)
    for _ in range(3):
        ours, agreed = next(agreements)
        peer = ec.EllipticCurvePublicNumbers(ours.x, ours.y, host).public_key()
        assert key.exchange(ec.ECDH(), peer) == agreed.to_bytes(size, "big")
    r, s = utils.decode_dss_signature(key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()))))
    signature = r.to_bytes(size, "big") + s.to_bytes(size, "big")
    assert arithmetic.ecdsa_is_good(public, digest, signature)
    assert not arithmetic.ecdsa_is_good(public, digest[::-1], signature)
    assert not arithmetic.ecdsa_is_good(public, digest, signature[:-1] + bytes([signature[-1] ^ 1]))
    assert not arithmetic.ecdsa_is_good(public, digest, bytes(2 * size))


def test_the_hosts_arithmetic_on_curve25519() -> None:
    from cryptography.hazmat.primitives.asymmetric import x25519

    for _ in range(3):
        key = x25519.X25519PrivateKey.generate()
        ours, agreed = arithmetic.x25519_agreement(int.from_bytes(key.public_key().public_bytes_raw(), "little"))
        peer = x25519.X25519PublicKey.from_public_bytes(ours.to_bytes(32, "little"))
        assert key.exchange(peer) == agreed.to_bytes(32, "little")


@pytest.mark.parametrize(
    ("mechanism", "name", "alters"),
    [
        # CK_SP800_108_KDF_PARAMS: the last data parameter is the fixed input, which ends with the length.
        (CKM.SP800_108_COUNTER_KDF, "SP800_108_CTR_HMAC", "CK_SP800_108_KDF_PARAMS *"),
        (CKM.HKDF_DERIVE, "HKDF", "CK_HKDF_PARAMS *"),
    ],
    ids=["SP800_108_CTR_HMAC", "HKDF"],
)
def test_a_token_that_derives_another_key(nss_database: NssDatabase, mechanism: int, name: str, alters: str) -> None:
    """As one that counts an SP 800-108 key in bytes: it encrypts and decrypts all the same."""

    def altering(derive: CFunction) -> CFunction:
        def altered(session: int, call: Any, *rest: Any) -> int:
            if call.mechanism != int(mechanism):
                return derive(session, call, *rest)
            parameters = ffi.cast(alters, call.pParameter)
            if name == "HKDF":
                octets, size = parameters.pInfo, parameters.ulInfoLen
            else:
                last = parameters.pDataParams[parameters.ulNumberOfDataParams - 1]
                octets, size = last.pValue, last.ulValueLen
            if not size:
                return derive(session, call, *rest)
            content = bytes(ffi.buffer(octets, size))
            ffi.buffer(octets, size)[:] = content[:-1] + bytes([content[-1] ^ 1])
            try:
                return derive(session, call, *rest)
            finally:
                ffi.buffer(octets, size)[:] = content

        return altered

    with hwcng.open_provider(nss_database.services_uri) as token, wrong(token, "C_DeriveKey", altering):
        found = refused_as_wrong(token)
    assert (name, "KEY") in found and found <= {(name, "KEY"), (name, "expand")}


@pytest.mark.parametrize("lost", ["once", "for this alone", "for ever"])
def test_what_a_lost_connection_answered_is_remembered_of_none(fresh_provider: Provider, lost: str) -> None:
    """A token may answer a loss to one thing that it does not do; that one is refused, and no other."""
    failed: list[str] = []

    def losing(sign: CFunction) -> CFunction:
        def answered(*given: Any) -> int:
            failed.append(lost)
            return CKR.DEVICE_ERROR if lost != "once" or len(failed) == 1 else sign(*given)

        return answered

    def gone(called: CFunction) -> CFunction:
        return lambda *given: CKR.DEVICE_REMOVED if failed else called(*given)

    with wrong(fresh_provider, "C_Sign", losing):
        if lost == "for ever":
            undo = fresh_provider.cryptoki.instrument(lambda name, function: gone(function))  # type: ignore[attr-defined]
            with pytest.raises(hwcng.CngError):
                fresh_provider.capabilities()
            undo()
            assert not probing._probed
        else:
            operations = fresh_provider.capabilities().operations
            refused = operations["ECDSA", "nistP256"] is Support.REFUSED
            assert refused is (lost != "once")
            assert operations["AES", "CBC"] is Support.NATIVE
    assert failed
