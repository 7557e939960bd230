"""The same arguments to a key of `cryptography` and to that key in a token: the same answer, or the same refusal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils, x25519
from support import needs, needs_bits

from hwcng import Usage, pyca

if TYPE_CHECKING:
    from hwcng.contract.provider import Provider

MESSAGE = b"a message"
SHA256 = hashes.SHA256()
OAEP = padding.OAEP(padding.MGF1(SHA256), SHA256, None)
PEER = ec.generate_private_key(ec.SECP256R1()).public_key()
OTHER_PEER = ec.generate_private_key(ec.SECP384R1()).public_key()
X25519_PEER = x25519.X25519PrivateKey.generate().public_key()

EC: dict[str, Callable[[Any], Any]] = {
    "a hash in place of ECDSA": lambda key: key.sign(MESSAGE, SHA256),
    "a text": lambda key: key.sign("text", ec.ECDSA(SHA256)),
    "None": lambda key: key.sign(None, ec.ECDSA(SHA256)),
    "no scheme": lambda key: key.sign(MESSAGE, None),
    "no argument": lambda key: key.sign(MESSAGE),
    "a digest of another length": lambda key: key.sign(MESSAGE, ec.ECDSA(utils.Prehashed(SHA256))),
    "a peer of another kind": lambda key: key.exchange(ec.ECDH(), X25519_PEER),
    "a peer on another curve": lambda key: key.exchange(ec.ECDH(), OTHER_PEER),
    "no peer": lambda key: key.exchange(ec.ECDH(), None),
    "ECDSA in place of ECDH": lambda key: key.exchange(ec.ECDSA(SHA256), PEER),
}
RSA: dict[str, Callable[[Any], Any]] = {
    "a name in place of a padding": lambda key: key.sign(MESSAGE, "PKCS1v15", SHA256),
    "a name in place of a hash": lambda key: key.sign(MESSAGE, padding.PKCS1v15(), "sha256"),
    "a padding of encryption": lambda key: key.sign(MESSAGE, OAEP, SHA256),
    "a salt of any length": lambda key: key.sign(MESSAGE, padding.PSS(padding.MGF1(SHA256), padding.PSS.AUTO), SHA256),
    "a salt that is too long": lambda key: key.sign(MESSAGE, padding.PSS(padding.MGF1(SHA256), 250), SHA256),
    "a hash without a number": lambda key: key.sign(MESSAGE, padding.PKCS1v15(), hashes.BLAKE2s(32)),
    "no digest info with PSS": lambda key: key.sign(
        MESSAGE, padding.PSS(padding.MGF1(SHA256), 32), utils.NoDigestInfo()
    ),
    "a digest of another length": lambda key: key.sign(MESSAGE, padding.PKCS1v15(), utils.Prehashed(SHA256)),
    "a short ciphertext": lambda key: key.decrypt(b"x", padding.PKCS1v15()),
    "a text to decrypt": lambda key: key.decrypt("x" * 256, padding.PKCS1v15()),
    "a padding of signatures": lambda key: key.decrypt(bytes(256), padding.PSS(padding.MGF1(SHA256), 32)),
    "a name in place of a padding of decryption": lambda key: key.decrypt(bytes(256), "OAEP"),
    "what does not decrypt": lambda key: key.decrypt(bytes(255) + b"\1", OAEP),
    "a number above the modulus": lambda key: key.decrypt(b"\xff" * 256, OAEP),
}


@pytest.fixture(scope="module")
def both_ec(token: Provider) -> Iterator[tuple[Any, Any]]:
    needs(token, "ECDSA", "nistP256")
    software = ec.generate_private_key(ec.SECP256R1())
    with pyca.import_private_key(token, software, usage=Usage.SIGN) as imported:
        yield software, imported.as_cryptography()


@pytest.fixture(scope="module")
def both_rsa(token: Provider) -> Iterator[tuple[Any, Any]]:
    needs_bits(token, "RSA", 2048)
    software = rsa.generate_private_key(65537, 2048)
    with pyca.import_private_key(token, software) as imported:
        yield software, imported.as_cryptography()


def refusal(call: Callable[[Any], Any], key: Any) -> type[BaseException]:
    with pytest.raises(Exception) as caught:
        call(key)
    return caught.type


@pytest.mark.parametrize("what", EC)
def test_what_keys_on_curves_refuse(what: str, both_ec: tuple[Any, Any]) -> None:
    theirs, ours = (refusal(EC[what], key) for key in both_ec)
    assert ours is theirs


@pytest.mark.parametrize("what", RSA)
def test_what_rsa_keys_refuse(what: str, both_rsa: tuple[Any, Any]) -> None:
    theirs, ours = (refusal(RSA[what], key) for key in both_rsa)
    assert ours is theirs


HASHES = [
    hashes.SHA224(),
    hashes.SHA512_256(),
    hashes.SHA3_384(),
    hashes.BLAKE2b(64),
    hashes.SHAKE128(16),
    hashes.SM3(),
]


@pytest.mark.parametrize("algorithm", HASHES, ids=lambda algorithm: algorithm.name)
def test_ecdsa_takes_every_hash(algorithm: hashes.HashAlgorithm, both_ec: tuple[Any, Any]) -> None:
    public = both_ec[0].public_key()
    for key in both_ec:
        public.verify(key.sign(MESSAGE, ec.ECDSA(algorithm)), MESSAGE, ec.ECDSA(algorithm))


def test_rsa_answers_are_the_same(both_rsa: tuple[Any, Any]) -> None:
    """PKCS #1 v1.5 is deterministic."""
    for algorithm in (SHA256, hashes.SHA384(), hashes.SHA512()):
        theirs, ours = (key.sign(MESSAGE, padding.PKCS1v15(), algorithm) for key in both_rsa)
        assert ours == theirs


def test_der_of_every_length(both_ec: tuple[Any, Any]) -> None:
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    from hwcng.pyca.digests import der_signature

    for size in (20, 28, 32, 48, 64, 66):
        for r in (1, 0x7F, 0x80, 0xFF, (1 << 8 * size - 1) - 1, 1 << 8 * size - 1, (1 << 8 * size) - 1):
            for s in (1, 0x80, (1 << 8 * size) - 1):
                raw = r.to_bytes(size, "big") + s.to_bytes(size, "big")
                assert der_signature(raw) == encode_dss_signature(r, s)
    theirs, ours = both_ec
    for _ in range(64):
        r, s = utils.decode_dss_signature(ours.sign(MESSAGE, ec.ECDSA(SHA256)))
        theirs.public_key().verify(encode_dss_signature(r, s), MESSAGE, ec.ECDSA(SHA256))
