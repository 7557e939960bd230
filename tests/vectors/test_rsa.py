"""RSA with the private key in the token: PKCS #1 and OAEP decryption, PKCS #1 signatures."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key
from vectors.wycheproof import File, Group, NotRun, Token, Vector, check_executed, check_group, groups, refused

from hwcng import CngError, bcrypt
from hwcng.cng.keys import KeyPair
from hwcng.contract.provider import Provider

CNG_HASHES = {
    "SHA-1": bcrypt.BCRYPT_SHA1_ALGORITHM,
    "SHA-256": bcrypt.BCRYPT_SHA256_ALGORITHM,
    "SHA-384": bcrypt.BCRYPT_SHA384_ALGORITHM,
    "SHA-512": bcrypt.BCRYPT_SHA512_ALGORITHM,
}


def full_private_blob(pkcs8: str) -> bytes:
    key = load_der_private_key(bytes.fromhex(pkcs8), None)
    assert isinstance(key, RSAPrivateKey)
    private = key.private_numbers()
    public = private.public_numbers
    # The primes of some keys differ in length.
    exponent, modulus, prime1, prime2 = (
        (number.bit_length() + 7) // 8 for number in (public.e, public.n, private.p, private.q)
    )
    fields = (
        (public.e, exponent),
        (public.n, modulus),
        (private.p, prime1),
        (private.q, prime2),
        (private.dmp1, prime1),
        (private.dmq1, prime2),
        (private.iqmp, prime1),
        (private.d, modulus),
    )
    header = struct.pack("<6I", bcrypt.BCRYPT_RSAFULLPRIVATE_MAGIC, key.key_size, exponent, modulus, prime1, prime2)
    return header + b"".join(number.to_bytes(size, "big") for number, size in fields)


@contextmanager
def private_key(provider: Provider, group: Group) -> Iterator[KeyPair]:
    blob = full_private_blob(group["privateKeyPkcs8"])
    with (
        bcrypt.BCryptOpenAlgorithmProvider(bcrypt.BCRYPT_RSA_ALGORITHM, provider) as algorithm,
        bcrypt.BCryptImportKeyPair(algorithm, None, bcrypt.BCRYPT_RSAFULLPRIVATE_BLOB, blob) as pair,
    ):
        yield pair


@contextmanager
def pkcs1_decryption(provider: Provider, group: Group) -> Iterator[Callable[[Vector], None]]:
    """An invalid ciphertext is refused, or gives what is not the message (implicit rejection)."""
    with private_key(provider, group) as pair:

        def run(vector: Vector) -> None:
            try:
                message = bcrypt.BCryptDecrypt(pair, vector["ct"], None, None, bcrypt.BCRYPT_PAD_PKCS1)
            except CngError as error:
                if not vector.invalid or error.status is not bcrypt.STATUS_INVALID_PARAMETER:
                    raise
            else:
                assert (message == vector["msg"]) is not vector.invalid

        yield run


@contextmanager
def oaep_decryption(provider: Provider, group: Group) -> Iterator[Callable[[Vector], None]]:
    assert group["mgf"] == "MGF1" and group["mgfSha"] == group["sha"]
    with private_key(provider, group) as pair:

        def run(vector: Vector) -> None:
            padding = bcrypt.BCRYPT_OAEP_PADDING_INFO(CNG_HASHES[group["sha"]], vector["label"])
            decrypt = bcrypt.BCryptDecrypt, pair, vector["ct"], padding, None, bcrypt.BCRYPT_PAD_OAEP
            if vector.invalid:
                refused(bcrypt.STATUS_INVALID_PARAMETER, *decrypt)
            else:
                assert bcrypt.BCryptDecrypt(*decrypt[1:]) == vector["msg"]

        yield run


@contextmanager
def pkcs1_signature(provider: Provider, group: Group) -> Iterator[Callable[[Vector], None]]:
    sha = group["sha"]
    with private_key(provider, group) as pair:

        def run(vector: Vector) -> None:
            if sha not in CNG_HASHES:
                raise NotRun(f"{sha} is no hash of CNG")
            padding = bcrypt.BCRYPT_PKCS1_PADDING_INFO(CNG_HASHES[sha])
            digest = hashlib.new(sha.replace("-", ""), vector["msg"]).digest()
            assert bcrypt.BCryptSignHash(pair, padding, digest, bcrypt.BCRYPT_PAD_PKCS1) == vector["sig"]
            bcrypt.BCryptVerifySignature(pair, padding, digest, vector["sig"], bcrypt.BCRYPT_PAD_PKCS1)

        yield run


FILES = [
    File("rsa_pkcs1_2048", pkcs1_decryption, executed=67),
    File("rsa_oaep_2048_sha1_mgf1sha1", oaep_decryption, executed=36),
    File("rsa_oaep_2048_sha256_mgf1sha256", oaep_decryption, executed=37),
    File("rsa_pkcs1_2048_sig_gen", pkcs1_signature, executed=35),
]


@pytest.mark.parametrize("group", groups(FILES))
def test_group(request: pytest.FixtureRequest, token: Token, group: tuple[File, int]) -> None:
    check_group(request, token, group)


@pytest.mark.parametrize("token", ["SoftHSM"], indirect=True)
@pytest.mark.parametrize("file", FILES, ids=str)
def test_executed(token: Token, file: File) -> None:
    check_executed(token, file)
