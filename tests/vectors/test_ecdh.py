"""ECDH with the private key in the token, and every kind of public key that must not reach it.

The public keys of the vectors are DER (SubjectPublicKeyInfo), which CNG does not read: what has a place in an
ECCPUBLICBLOB or, with explicit curve parameters, in an ECCFULLPUBLICBLOB is put there, on its curve or not.
"""

from __future__ import annotations

import functools
import hashlib
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from asn1crypto.keys import ECDomainParameters, PublicKeyInfo
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from vectors.wycheproof import File, Group, NotRun, Token, Vector, check_executed, check_group, groups, refused

from hwcng import bcrypt
from hwcng.contract.provider import Provider
from hwcng.standards.curves import CURVES, DOMAINS, Curve
from hwcng.testing.calls import CallCounter


@dataclass(frozen=True)
class Suite:
    curve: str
    algorithm: str
    public_magic: int
    private_magic: int


SUITES = {
    "secp256r1": Suite(
        "nistP256",
        bcrypt.BCRYPT_ECDH_P256_ALGORITHM,
        bcrypt.BCRYPT_ECDH_PUBLIC_P256_MAGIC,
        bcrypt.BCRYPT_ECDH_PRIVATE_P256_MAGIC,
    ),
    "secp384r1": Suite(
        "nistP384",
        bcrypt.BCRYPT_ECDH_P384_ALGORITHM,
        bcrypt.BCRYPT_ECDH_PUBLIC_P384_MAGIC,
        bcrypt.BCRYPT_ECDH_PRIVATE_P384_MAGIC,
    ),
}


@functools.cache
def spki_headers() -> Mapping[str, bytes]:
    """By curve: the DER of an uncompressed public key, up to its coordinates."""
    headers = {}
    for curve in map(CURVES.__getitem__, DOMAINS):
        generator = ec.derive_private_key(1, curve.host()).public_key()
        der = generator.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        headers[curve.name] = der[: -2 * curve.coordinate_size]
    return headers


def named_point(der: bytes) -> tuple[str, bytes] | None:
    """The curve and the coordinates of a public key in proper DER, whether or not the point is on the curve."""
    for name, header in spki_headers().items():
        if der.startswith(header) and len(der) == len(header) + 2 * CURVES[name].coordinate_size:
            return name, der[len(header) :]
    return None


def ecc_blob(magic: int, size: int, *parts: bytes) -> bytes:
    return struct.pack("<2I", magic, size) + b"".join(parts)


def private_parts(curve: Curve, scalar: bytes) -> tuple[bytes, bytes, bytes]:
    """X, Y and d of an ECCPRIVATEBLOB, each as long as a coordinate."""
    number, size = int.from_bytes(scalar, "big"), curve.coordinate_size
    point = ec.derive_private_key(number, curve.host()).public_key().public_numbers()
    return point.x.to_bytes(size, "big"), point.y.to_bytes(size, "big"), number.to_bytes(size, "big")


def full_public_blob(der: bytes) -> bytes:
    """ECCFULLPUBLICBLOB of a public key with explicit parameters. Raises NotRun for numbers that it cannot hold."""
    info = PublicKeyInfo.load(der)
    domain: ECDomainParameters = info["algorithm"]["parameters"]
    parameters = domain.chosen.native
    prime = parameters["field_id"]["parameters"]
    order, cofactor = parameters["order"], parameters["cofactor"] or 0
    if order < 0 or cofactor < 0:
        raise NotRun("negative numbers in explicit curve parameters")
    size = (prime.bit_length() + 7) // 8
    order_size, cofactor_size = ((number.bit_length() + 7) // 8 for number in (order, cofactor))
    header = struct.pack("<8I", bcrypt.BCRYPT_ECDH_PUBLIC_GENERIC_MAGIC, 1, 1, 0, size, order_size, cofactor_size, 0)
    curve = parameters["curve"]
    return b"".join(
        (
            header,
            prime.to_bytes(size, "big"),
            curve["a"].rjust(size, b"\0"),
            curve["b"].rjust(size, b"\0"),
            parameters["base"][1:],
            order.to_bytes(order_size, "big"),
            cofactor.to_bytes(cofactor_size, "big"),
            info["public_key"].native[1:],
        )
    )


@contextmanager
def ecdh(provider: Provider, group: Group) -> Iterator[Callable[[Vector], None]]:
    suite = SUITES[group["curve"]]
    ours = CURVES[suite.curve]

    def run(vector: Vector) -> None:
        named = named_point(vector["public"])
        if named is not None and named[0] == ours.name:
            same_curve(vector, named[1])
        elif named is not None:
            other_curve(vector, *named)
        elif "UnnamedCurve" in vector.flags:
            explicit_curve(vector)
        elif "CompressedPoint" in vector.flags:
            raise NotRun("compressed points: the blobs have both coordinates")
        elif "WrongCurve" in vector.flags:
            raise NotRun("peers on curves that hwcng does not know")
        else:
            raise NotRun("malformed DER: CNG reads no DER")

    def same_curve(vector: Vector, point: bytes) -> None:
        public_blob = ecc_blob(suite.public_magic, ours.coordinate_size, point)
        import_peer = bcrypt.BCryptImportKeyPair, algorithm, None, bcrypt.BCRYPT_ECCPUBLIC_BLOB, public_blob
        if not vector.valid:
            # The acceptable ones among them are off the curve, too: a bit of theirs is flipped.
            with CallCounter(provider) as calls:
                refused(bcrypt.STATUS_INVALID_PARAMETER, *import_peer)
            assert calls.total == 0
            return
        blob = ecc_blob(suite.private_magic, ours.coordinate_size, *private_parts(ours, vector["private"]))
        sha256 = [(bcrypt.KDF_HASH_ALGORITHM, bcrypt.BCRYPT_SHA256_ALGORITHM)]
        with (
            bcrypt.BCryptImportKeyPair(*import_peer[1:]) as peer,
            bcrypt.BCryptImportKeyPair(algorithm, None, bcrypt.BCRYPT_ECCPRIVATE_BLOB, blob) as pair,
            bcrypt.BCryptSecretAgreement(pair, peer) as secret,
        ):
            derived = bcrypt.BCryptDeriveKey(secret, bcrypt.BCRYPT_KDF_HASH, sha256, None)
        assert derived == hashlib.sha256(vector["shared"]).digest()

    def other_curve(vector: Vector, curve: str, point: bytes) -> None:
        """With the generic algorithm, where keys of two curves can meet."""
        blob = ecc_blob(
            bcrypt.BCRYPT_ECDH_PRIVATE_GENERIC_MAGIC, ours.coordinate_size, *private_parts(ours, vector["private"])
        )
        public_blob = ecc_blob(bcrypt.BCRYPT_ECDH_PUBLIC_GENERIC_MAGIC, len(point) // 2, point)

        def agree() -> None:
            bcrypt.BCryptSetProperty(generic, bcrypt.BCRYPT_ECC_CURVE_NAME, curve)
            with bcrypt.BCryptImportKeyPair(generic, None, bcrypt.BCRYPT_ECCPUBLIC_BLOB, public_blob) as peer:
                bcrypt.BCryptSetProperty(generic, bcrypt.BCRYPT_ECC_CURVE_NAME, ours.name)
                with bcrypt.BCryptImportKeyPair(generic, None, bcrypt.BCRYPT_ECCPRIVATE_BLOB, blob) as pair:
                    bcrypt.BCryptSecretAgreement(pair, peer)

        with CallCounter(provider) as calls:
            refused(bcrypt.STATUS_INVALID_PARAMETER, agree)
        assert "C_DeriveKey" not in calls.names

    def explicit_curve(vector: Vector) -> None:
        """All of them change the curve's parameters; some still agree on the right secret, which CNG need not."""
        blob = full_public_blob(vector["public"])
        with CallCounter(provider) as calls:
            refused(
                bcrypt.STATUS_NOT_SUPPORTED,
                bcrypt.BCryptImportKeyPair,
                generic,
                None,
                bcrypt.BCRYPT_ECCFULLPUBLIC_BLOB,
                blob,
            )
        assert calls.total == 0

    with (
        bcrypt.BCryptOpenAlgorithmProvider(suite.algorithm, provider) as algorithm,
        bcrypt.BCryptOpenAlgorithmProvider(bcrypt.BCRYPT_ECDH_ALGORITHM, provider) as generic,
    ):
        yield run


FILES = [
    File("ecdh_secp256r1", ecdh, executed=371),
    File("ecdh_secp384r1", ecdh, executed=812),
]


@pytest.mark.parametrize("group", groups(FILES))
def test_group(request: pytest.FixtureRequest, token: Token, group: tuple[File, int]) -> None:
    check_group(request, token, group)


@pytest.mark.parametrize("token", ["SoftHSM"], indirect=True)
@pytest.mark.parametrize("file", FILES, ids=str)
def test_executed(token: Token, file: File) -> None:
    check_executed(token, file)
