"""Key bytes: in the token, in no object of ours, in no message; and what the objects in the token allow."""

from __future__ import annotations

import logging
import struct
import traceback
from collections.abc import Iterator

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from isolation.child import run
from pkcs11 import Attribute, KeyType, ObjectClass

import hwcng
from hwcng import NTSTATUS, CngError, bcrypt, pyca
from hwcng.contract.provider import Provider
from hwcng.providers.pkcs11 import objects
from hwcng.testing.calls import CallCounter
from hwcng.testing.faults import FaultInjector

SCAN = """
import gc, hashlib, struct
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from hwcng import pyca
from hwcng.providers.pkcs11.cryptoki.calls import ffi

def material(name, size):
    return hashlib.shake_256(name.encode()).digest(size)

def scan(needles):
    '''The objects that hold one of the needles (bytes or int): every object that the collector can reach.'''
    gc.collect()
    texts = [form for needle in needles if isinstance(needle, bytes) for form in (needle, needle.hex().encode())]
    numbers = {needle for needle in needles if isinstance(needle, int)}
    texts += [number.to_bytes((number.bit_length() + 7) // 8, "big") for number in numbers]
    texts += [str(number).encode() for number in numbers]
    own = {id(form) for form in texts} | {id(needle) for needle in needles} | {id(texts), id(numbers), id(needles)}
    found, seen, waiting = [], set(), list(gc.get_objects())
    own |= {id(waiting), id(found), id(seen)}
    while waiting:
        item = waiting.pop()
        if id(item) in seen or id(item) in own:
            continue
        seen.add(id(item))
        kind = type(item)
        if kind in (bytes, bytearray):
            octets = bytes(item)
        elif kind is str:
            octets = item.encode("utf-8", "surrogatepass")
            octets += item.encode("latin-1", "ignore")
        elif kind is memoryview:
            octets = bytes(item.cast("B")) if item.contiguous else b""
        elif kind is int:
            if item in numbers:
                found.append(item)
            continue
        elif isinstance(item, ffi.CData):
            described = ffi.typeof(item)
            octets = bytes(ffi.buffer(item)) if described.kind == "array" else b""
        else:
            waiting.extend(gc.get_referents(item))
            continue
        if any(form in octets for form in texts):
            found.append(item)
    return found

# The scan finds what is there.
for planted in (lambda secret: [secret], lambda secret: {"key": (secret + b"x",)}, lambda secret: secret.hex(),
                lambda secret: bytearray(secret), lambda secret: ffi.new("unsigned char[]", secret),
                lambda secret: int.from_bytes(secret, "big")):
    class Holder:
        pass
    holder = Holder()
    holder.value = planted(material("planted", 32))
    assert scan([material("planted", 32), int.from_bytes(material("planted", 32), "big")]), planted
    del holder

provider = open_token()
hmac_alg = BCryptOpenAlgorithmProvider("SHA256", provider, BCRYPT_ALG_HANDLE_HMAC_FLAG)
cmac_alg = BCryptOpenAlgorithmProvider("AES-CMAC", provider)
gcm_alg = aes(provider)
BCryptSetProperty(gcm_alg, BCRYPT_CHAINING_MODE, BCRYPT_CHAIN_MODE_GCM)

def symmetric():
    secret = material("aes", 32)
    key = BCryptGenerateSymmetricKey(aes(provider), bytearray(2000), secret)
    blob = struct.pack("<3I", 0x4D42444B, 1, 32) + material("blob", 32)
    imported = BCryptImportKey(gcm_alg, None, BCRYPT_KEY_DATA_BLOB, None, blob)
    long = BCryptGenerateSymmetricKey(aes(provider), None, material("long", 48))
    copies = [BCryptDuplicateKey(key), BCryptDuplicateKey(imported)]
    for _ in range(3):
        block(key), block(long), block(copies[0])
        info = BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(bytes(12), b"header")
        BCryptEncrypt(imported, bytes(100), info)
    hashes = [BCryptCreateHash(hmac_alg, None, material("hmac", size)) for size in (5, 40, 100)]
    hashes.append(BCryptCreateHash(cmac_alg, None, material("cmac", 16)))
    for made in hashes:
        BCryptHashData(made, b"data")
        copies.append(BCryptDuplicateHash(made))
        BCryptFinishHash(made)
    return key, imported, long, copies, hashes, info

def octets(number, size=0):
    return number.to_bytes(size or (number.bit_length() + 7) // 8, "big")

def pairs():
    software = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
    private = software[0].private_numbers()
    public = private.public_numbers
    parts = [octets(value) for value in (public.e, public.n, private.p, private.q, private.dmp1, private.dmq1)]
    parts += [octets(private.iqmp, 128), octets(private.d, 256)]
    parts[4], parts[5] = octets(private.dmp1, 128), octets(private.dmq1, 128)
    header = struct.pack("<6I", 0x33415352, 2048, 3, 256, 128, 128)
    pair = BCryptImportKeyPair(
        BCryptOpenAlgorithmProvider("RSA", provider), None, BCRYPT_RSAFULLPRIVATE_BLOB, header + b"".join(parts))
    short = struct.pack("<6I", 0x32415352, 2048, 3, 256, 128, 128)
    other = BCryptImportKeyPair(
        BCryptOpenAlgorithmProvider("RSA", provider), None, BCRYPT_RSAPRIVATE_BLOB, short + b"".join(parts[:4]))
    elliptic = software[1].private_numbers()
    point = octets(elliptic.public_numbers.x, 32) + octets(elliptic.public_numbers.y, 32)
    blob = struct.pack("<2I", 0x32534345, 32) + point + octets(elliptic.private_value, 32)
    ecdsa = BCryptImportKeyPair(
        BCryptOpenAlgorithmProvider("ECDSA_P256", provider), None, BCRYPT_ECCPRIVATE_BLOB, blob)
    for _ in range(2):
        for each in (pair, other):
            BCryptSignHash(each, BCRYPT_PSS_PADDING_INFO("SHA256", 32), bytes(32), BCRYPT_PAD_PSS)
            sealed = BCryptEncrypt(each, material("plaintext", 32), None, None, BCRYPT_PAD_PKCS1)
            assert BCryptDecrypt(each, sealed, None, None, BCRYPT_PAD_PKCS1) == material("plaintext", 32)
            label = BCRYPT_OAEP_PADDING_INFO("SHA256", b"label")
            sealed = BCryptEncrypt(each, material("plaintext", 32), label, None, BCRYPT_PAD_OAEP)
            assert BCryptDecrypt(each, sealed, label, None, BCRYPT_PAD_OAEP) == material("plaintext", 32)
        BCryptSignHash(ecdsa, None, bytes(32))
    handed_over = [pyca.import_private_key(provider, key) for key in software]
    views = [made.as_cryptography() for made in handed_over]
    views[1].sign(b"message", ec.ECDSA(hashes.SHA256()))
    sealed = views[0].public_key().encrypt(material("plaintext", 32), padding.PKCS1v15())
    assert views[0].decrypt(sealed, padding.PKCS1v15()) == material("plaintext", 32)
    for refused in (views[0].private_numbers, views[1].private_numbers):
        try:
            refused()
        except UnsupportedAlgorithm:
            pass
    # As text, reversed: neither the numbers nor their octets.
    hidden = [str(value)[::-1] for value in (
        private.p, private.q, private.d, private.dmp1, private.dmq1, private.iqmp, elliptic.private_value)]
    return (pair, other, ecdsa, *handed_over, *views), hidden

def decrypted(key):
    sealed = BCryptEncrypt(key, material("plaintext", 32) * 3, None, bytes(16))
    assert BCryptDecrypt(key, sealed, None, bytes(16)) == material("plaintext", 32) * 3

alive = symmetric()
decrypted(alive[0])
for name, size in (("aes", 32), ("blob", 32), ("hmac", 5), ("cmac", 16), ("plaintext", 32)):
    found = scan([material(name, size)])
    assert not found, (name, [type(item) for item in found])
assert not scan([material("long", 48)[:32]])
held, hidden = pairs()
found = scan([int(text[::-1]) for text in hidden])
assert not found, [type(item) for item in found]
assert not scan([material("plaintext", 32)])
random_octets = [octets.hex() for octets in [provider.random(64)]][0]
assert scan([bytes.fromhex(random_octets)]) and not [
    item for item in scan([bytes.fromhex(random_octets)]) if isinstance(item, ffi.CData)]

# In no repr either.
shown = "".join(map(repr, (*alive, *held, provider, *vars(provider).values(), provider.capabilities())))
for name, size in (("aes", 32), ("blob", 32), ("hmac", 5), ("cmac", 16)):
    assert material(name, size).hex() not in shown and repr(material(name, size))[2:-1] not in shown
assert not any(text[::-1] in shown or hex(int(text[::-1]))[2:] in shown for text in hidden)
"""


def test_no_reachable_object_holds_a_key(token_uri: str) -> None:
    run(SCAN, token_uri)


def rsa_blob() -> tuple[bytes, list[int]]:
    private = rsa.generate_private_key(65537, 2048).private_numbers()
    public = private.public_numbers
    numbers = [private.p, private.q, private.dmp1, private.dmq1, private.iqmp]
    body = public.e.to_bytes(3, "big") + public.n.to_bytes(256, "big")
    body += b"".join(number.to_bytes(128, "big") for number in numbers) + private.d.to_bytes(256, "big")
    return struct.pack("<6I", 0x33415352, 2048, 3, 256, 128, 128) + body, [*numbers, private.d]


@pytest.mark.parametrize("rv", [0x05, 0x13, 0x30])
def test_no_message_shows_a_key(rv: int, fresh_provider: Provider, caplog: pytest.LogCaptureFixture) -> None:
    """Imports that the token refuses: message, repr, cause and printed traceback."""
    caplog.set_level(logging.DEBUG)
    secret, scalar = bytes(range(100, 132)), ec.generate_private_key(ec.SECP256R1()).private_numbers()
    blob, numbers = rsa_blob()
    point = scalar.public_numbers.x.to_bytes(32, "big") + scalar.public_numbers.y.to_bytes(32, "big")
    ecc = struct.pack("<2I", 0x32534345, 32) + point + scalar.private_value.to_bytes(32, "big")
    aes = bcrypt.BCryptOpenAlgorithmProvider("AES", fresh_provider)
    hmac = bcrypt.BCryptOpenAlgorithmProvider("SHA256", fresh_provider, bcrypt.BCRYPT_ALG_HANDLE_HMAC_FLAG)
    rsa_algorithm = bcrypt.BCryptOpenAlgorithmProvider("RSA", fresh_provider)
    ecdsa = bcrypt.BCryptOpenAlgorithmProvider("ECDSA_P256", fresh_provider)
    key_data = struct.pack("<3I", 0x4D42444B, 1, 32) + secret
    handed_over = scalar.private_key()
    imports = [
        lambda: pyca.import_private_key(fresh_provider, handed_over),
        lambda: bcrypt.BCryptGenerateSymmetricKey(aes, None, secret),
        lambda: bcrypt.BCryptImportKey(aes, None, bcrypt.BCRYPT_KEY_DATA_BLOB, None, key_data),
        lambda: bcrypt.BCryptImportKey(aes, None, bcrypt.BCRYPT_KEY_DATA_BLOB, None, key_data[:-1]),
        lambda: bcrypt.BCryptGenerateSymmetricKey(aes, None, secret[:15]),
        lambda: bcrypt.BCryptCreateHash(hmac, None, secret),
        lambda: bcrypt.BCryptImportKeyPair(rsa_algorithm, None, bcrypt.BCRYPT_RSAFULLPRIVATE_BLOB, blob),
        lambda: bcrypt.BCryptImportKeyPair(rsa_algorithm, None, bcrypt.BCRYPT_RSAFULLPRIVATE_BLOB, blob[:-1]),
        lambda: bcrypt.BCryptImportKeyPair(ecdsa, None, bcrypt.BCRYPT_ECCPRIVATE_BLOB, ecc),
        lambda: bcrypt.BCryptImportKeyPair(ecdsa, None, bcrypt.BCRYPT_ECCPRIVATE_BLOB, ecc[:-1] + b"\0"),
    ]
    told = []
    with FaultInjector(fresh_provider) as faults:
        faults.fail("C_CreateObject", rv)
        for attempt in imports:
            with pytest.raises((CngError, ValueError, UnsupportedAlgorithm)) as caught:
                attempt()
            error = caught.value
            told += [str(error), repr(error), repr(error.__cause__), *traceback.format_exception(error)]
    text = "\n".join(told) + caplog.text
    for value in [int.from_bytes(secret, "big"), scalar.private_value, *numbers]:
        octets = value.to_bytes((value.bit_length() + 7) // 8, "big")
        for form in (str(value), f"{value:x}", octets.hex(), repr(octets)[2:-1]):
            assert form not in text


# --- what the token lets a key do

USAGES = (
    Attribute.ENCRYPT,
    Attribute.DECRYPT,
    Attribute.SIGN,
    Attribute.VERIFY,
    Attribute.WRAP,
    Attribute.UNWRAP,
    Attribute.DERIVE,
)
AES_USAGES = {Attribute.ENCRYPT, Attribute.DECRYPT, Attribute.WRAP, Attribute.UNWRAP}
PROTECTION = (Attribute.SENSITIVE, Attribute.EXTRACTABLE, Attribute.PRIVATE, Attribute.TOKEN)
TRUE, FALSE = b"\1", b"\0"


def attributes(provider: Provider, handle: int, kinds: tuple[Attribute, ...]) -> dict[Attribute, bytes | None]:
    return objects.read_attributes(provider._connection, handle, list(kinds), 8)


@pytest.fixture(params=["SoftHSM", "NSS"])
def token(request: pytest.FixtureRequest, fresh_provider: Provider) -> Iterator[Provider]:
    if request.param == "SoftHSM":
        yield fresh_provider
        return
    with hwcng.open_provider(request.getfixturevalue("nss_database").services_uri) as opened:
        yield opened


class Keys:
    """A key of every kind, its handle in the token and what it may do."""

    def __init__(self, provider: Provider, exportable: bool) -> None:
        self.provider, self.exportable = provider, exportable
        aes, hmac = self.algorithm("AES"), self.algorithm("SHA256", bcrypt.BCRYPT_ALG_HANDLE_HMAC_FLAG)
        generated = aes.generate_key(256)
        imported = bcrypt.BCryptGenerateSymmetricKey(aes, None, bytes(range(32)))
        exporting = bcrypt.BCryptOpenAlgorithmProvider("AES", provider)
        bcrypt.BCryptSetProperty(exporting, bcrypt.NCRYPT_EXPORT_POLICY_PROPERTY, bcrypt.NCRYPT_ALLOW_EXPORT_FLAG)
        kek = exporting.generate_key(256)
        wrapped = bcrypt.BCryptExportKey(exporting.generate_key(128), kek, bcrypt.BCRYPT_AES_WRAP_KEY_BLOB)
        unwrapped = bcrypt.BCryptImportKey(aes, kek, bcrypt.BCRYPT_AES_WRAP_KEY_BLOB, None, wrapped)
        encrypting = aes.generate_key(256, usage=hwcng.contract.usage.Usage.ENCRYPT)
        ecdh, peer = self.pair("ECDH_P256", 256), self.pair("ECDH_P256", 256)
        self.symmetric = {
            "generated": (generated, AES_USAGES),
            "imported": (imported, AES_USAGES),
            "unwrapped": (unwrapped, AES_USAGES),
            "duplicate": (bcrypt.BCryptDuplicateKey(imported), AES_USAGES),
            "for one use": (encrypting, {Attribute.ENCRYPT}),
        }
        self.macs = {
            "HMAC generated": (hmac.generate_key(256), {Attribute.SIGN}),
            "CMAC generated": (self.algorithm("AES-CMAC").generate_key(128), {Attribute.SIGN}),
            "GMAC generated": (self.algorithm("AES-GMAC").generate_key(128), {Attribute.ENCRYPT}),
        }
        self.hashes = {
            "HMAC imported": (bcrypt.BCryptCreateHash(hmac, None, bytes(range(32))), {Attribute.SIGN}),
            "CMAC imported": (
                bcrypt.BCryptCreateHash(self.algorithm("AES-CMAC"), None, bytes(range(16))),
                {Attribute.SIGN},
            ),
        }
        self.pairs = {
            "RSA": (self.pair("RSA", 1024), {Attribute.SIGN, Attribute.DECRYPT}),
            "RSA_SIGN": (self.pair("RSA_SIGN", 1024), {Attribute.SIGN}),
            "ECDSA": (self.pair("ECDSA_P256", 256), {Attribute.SIGN}),
            "ECDH": (ecdh, {Attribute.DERIVE}),
        }
        self.secret = bcrypt.BCryptSecretAgreement(ecdh, peer)

    def algorithm(self, name: str, flags: int = 0) -> bcrypt.AlgorithmHandle:
        algorithm = bcrypt.BCryptOpenAlgorithmProvider(name, self.provider, flags)
        if self.exportable and not (flags or "MAC" in name):
            bcrypt.BCryptSetProperty(algorithm, bcrypt.NCRYPT_EXPORT_POLICY_PROPERTY, bcrypt.NCRYPT_ALLOW_EXPORT_FLAG)
        return algorithm

    def pair(self, name: str, bits: int) -> bcrypt.KeyPair:
        pair = bcrypt.BCryptGenerateKeyPair(self.algorithm(name), bits)
        bcrypt.BCryptFinalizeKeyPair(pair)
        return pair

    def rows(self) -> Iterator[tuple[str, int, set[Attribute], bool]]:
        """Name, handle, what it may do, whether the export policy is for it."""
        for name, (key, usages) in self.symmetric.items():
            yield name, key.token_key.held.handle, usages, True
        for name, (key, usages) in self.macs.items():
            yield name, key.token_key.held.handle, usages, False
        for name, (made, usages) in self.hashes.items():
            yield name, made._key.held.handle, usages, False
        for name, (pair, usages) in self.pairs.items():
            yield name, pair._private.held.handle, usages, True
        yield "agreed secret", self.secret.agreed.held.handle, {Attribute.SIGN, Attribute.DERIVE}, False


@pytest.mark.parametrize("exportable", [False, True])
def test_objects_in_the_token(exportable: bool, token: Provider) -> None:
    for name, handle, usages, policy in Keys(token, exportable).rows():
        found = attributes(token, handle, PROTECTION)
        assert found == {
            Attribute.SENSITIVE: TRUE,
            Attribute.EXTRACTABLE: TRUE if exportable and policy else FALSE,
            Attribute.PRIVATE: TRUE,
            Attribute.TOKEN: FALSE,
        }, name
        # A token that does not know an attribute for a kind of key gives None.
        allowed = {kind: value for kind, value in attributes(token, handle, USAGES).items() if value is not None}
        assert {kind for kind, value in allowed.items() if value == TRUE} == usages & set(allowed), name
        assert usages <= set(allowed) | {Attribute.DERIVE}, name
        value = objects.read_attributes(token._connection, handle, [Attribute.VALUE], 512)[Attribute.VALUE]
        assert value is None, name


def test_public_halves_in_the_token(fresh_provider: Provider) -> None:
    keys = Keys(fresh_provider, exportable=False)
    for name, (pair, usages) in keys.pairs.items():
        handle = pair._private._public_object.handle
        found = attributes(fresh_provider, handle, (Attribute.TOKEN, Attribute.PRIVATE, *USAGES))
        allowed = {kind for kind, value in found.items() if value == TRUE}
        expected = {Attribute.VERIFY: Attribute.SIGN, Attribute.ENCRYPT: Attribute.DECRYPT}
        assert allowed == {public for public, private in expected.items() if private in usages}, name


def test_keys_of_opaque_blobs_are_token_objects_that_stay(fresh_provider: Provider) -> None:
    keys = Keys(fresh_provider, exportable=True)
    bcrypt.BCryptExportKey(keys.symmetric["generated"][0], None, bcrypt.BCRYPT_OPAQUE_KEY_BLOB)
    found = objects.find(fresh_provider._connection, {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.TOKEN: True})
    kinds = set()
    for handle in found:
        held = attributes(fresh_provider, handle, (*PROTECTION, Attribute.MODIFIABLE, Attribute.KEY_TYPE, *USAGES))
        assert [held[kind] for kind in PROTECTION] == [TRUE, FALSE, TRUE, TRUE]
        assert held[Attribute.MODIFIABLE] == FALSE
        key_type = KeyType(int.from_bytes(held[Attribute.KEY_TYPE] or b"", "little"))
        kinds.add((key_type, frozenset(kind for kind in USAGES if held[kind] == TRUE)))
    assert kinds == {
        (KeyType.AES, frozenset({Attribute.WRAP, Attribute.UNWRAP})),
        (KeyType.GENERIC_SECRET, frozenset({Attribute.SIGN})),
    }


def test_an_agreed_secret_is_readable_by_opt_in_alone(token_uri: str, token_pin: str) -> None:
    with hwcng.open_provider(token_uri, pin=token_pin, allow_raw_secret=True) as opened:
        handle = Keys(opened, exportable=False).secret.agreed.held.handle
        found = attributes(opened, handle, PROTECTION)
    assert [found[kind] for kind in PROTECTION] == [FALSE, TRUE, TRUE, FALSE]


# --- export, which some tokens would not refuse


def test_default_keys_are_never_wrapped(token: Provider) -> None:
    """NSS wraps keys that are not extractable; the library refuses before any call."""
    keys = Keys(token, exportable=False)
    kek = bcrypt.BCryptOpenAlgorithmProvider("AES", token).generate_key(256)
    with CallCounter(token) as counter:
        for name, (key, _usages) in {**keys.symmetric, **keys.macs}.items():
            for blob_type, export_key in (
                (bcrypt.BCRYPT_AES_WRAP_KEY_BLOB, kek),
                (bcrypt.BCRYPT_AES_WRAP_KEY_BLOB, key if name in keys.symmetric else kek),
                (bcrypt.BCRYPT_OPAQUE_KEY_BLOB, None),
                (bcrypt.BCRYPT_KEY_DATA_BLOB, None),
            ):
                with pytest.raises(CngError) as caught:
                    bcrypt.BCryptExportKey(key, export_key, blob_type)
                assert caught.value.status == NTSTATUS.STATUS_NOT_SUPPORTED, (name, blob_type)
        for name, (pair, _usages) in keys.pairs.items():
            private = (
                (bcrypt.BCRYPT_RSAPRIVATE_BLOB, bcrypt.BCRYPT_RSAFULLPRIVATE_BLOB)
                if "RSA" in name
                else (bcrypt.BCRYPT_ECCPRIVATE_BLOB,)
            )
            for blob_type in (bcrypt.BCRYPT_OPAQUE_KEY_BLOB, bcrypt.BCRYPT_PRIVATE_KEY_BLOB, *private):
                with pytest.raises(CngError) as caught:
                    bcrypt.BCryptExportKey(pair, None, blob_type)
                assert caught.value.status == NTSTATUS.STATUS_NOT_SUPPORTED, (name, blob_type)
        # Beneath the documented calls too.
        with pytest.raises(CngError, match="export policy"):
            kek.token_key.wrap_key(keys.symmetric["generated"][0].token_key)
        with pytest.raises(CngError, match="export policy"):
            keys.pairs["ECDSA"][0]._private.opaque()
    assert counter.names == []


def test_the_policy_cannot_be_widened_afterwards(token: Provider) -> None:
    keys = Keys(token, exportable=False)
    with CallCounter(token) as counter:
        for key in (keys.symmetric["generated"][0], keys.symmetric["duplicate"][0], keys.pairs["RSA"][0]):
            with pytest.raises(CngError):
                bcrypt.BCryptSetProperty(key, bcrypt.NCRYPT_EXPORT_POLICY_PROPERTY, bcrypt.NCRYPT_ALLOW_EXPORT_FLAG)
            assert bcrypt.BCryptGetProperty(key, bcrypt.NCRYPT_EXPORT_POLICY_PROPERTY) == 0
        algorithm = bcrypt.BCryptOpenAlgorithmProvider("AES", token)
        for flag in (0x2, 0x3, 0x4, 0x8):
            with pytest.raises(CngError) as caught:
                bcrypt.BCryptSetProperty(algorithm, bcrypt.NCRYPT_EXPORT_POLICY_PROPERTY, flag)
            assert caught.value.status == NTSTATUS.STATUS_NOT_SUPPORTED
    assert counter.names == []


def test_only_an_exportable_key_reaches_wrap_key(token: Provider) -> None:
    keys = Keys(token, exportable=True)
    kek = keys.symmetric["imported"][0]
    with CallCounter(token) as counter:
        blob = bcrypt.BCryptExportKey(keys.symmetric["generated"][0], kek, bcrypt.BCRYPT_AES_WRAP_KEY_BLOB)
    assert counter.asked == ["C_WrapKey"] and len(blob) == 40
