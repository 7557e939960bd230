"""Blobs of key pairs."""

from __future__ import annotations

import struct
from typing import Any

from conformance import oracle
from wine.cases.inputs import OBJECTS, RSA_N, RSA_PRIVATE, RSA_PUBLIC, ec_blob, ec_pair, rsa_private, rsa_public
from wine.cases.registry import Run, add


def imported_pair(api: Any, name: str, blob_type: str | None, blob: bytes | None, export: str, flags: int = 0) -> Any:
    algorithm = api.BCryptOpenAlgorithmProvider(name)
    return api.BCryptExportKey(api.BCryptImportKeyPair(algorithm, None, blob_type, blob, flags), None, export)


def rsa_header(blob: bytes, field: int, value: int) -> bytes:
    """The blob with one of its six header fields replaced."""
    return blob[: 4 * field] + struct.pack("<I", value) + blob[4 * field + 4 :]


def rsa_blob_with(exponent: bytes, modulus: bytes) -> bytes:
    sizes = (0x31415352, 8 * len(modulus), len(exponent), len(modulus), 0, 0)
    return struct.pack("<6I", *sizes) + exponent + modulus


_MODULUS = RSA_N.to_bytes(128, "big")
for _name, _blob in {
    "that is good": RSA_PUBLIC,
    "of 2048 bits": oracle.rsa_public_blob(oracle.rsa_numbers(2048)[0]),
    "one byte short": RSA_PUBLIC[:-1],
    "one byte long": RSA_PUBLIC + b"\0",
    "of a header alone": RSA_PUBLIC[:24],
    "of 23 bytes": RSA_PUBLIC[:23],
    "that is empty": b"",
    "that is absent": None,
    "with a wrong magic": rsa_header(RSA_PUBLIC, 0, 0x31415353),
    "with the private magic": rsa_header(RSA_PUBLIC, 0, 0x32415352),
    "with a wrong bit length": rsa_header(RSA_PUBLIC, 1, 2048),
    "with an exponent of 9 bytes": rsa_blob_with(b"\1" + bytes(8), _MODULUS),
    "with a long exponent": rsa_blob_with(bytes(5) + b"\1\0\1", _MODULUS),
    "with an exponent of 1": rsa_blob_with(b"\1", _MODULUS),
    "with an exponent of 0": rsa_blob_with(b"\0", _MODULUS),
    "with an exponent of 3": rsa_blob_with(b"\3", _MODULUS),
    "with an even modulus": rsa_blob_with(b"\1\0\1", _MODULUS[:-1] + b"\2"),
    "with a huge exponent size": rsa_header(RSA_PUBLIC, 2, 0xFFFFFFFF),
    "with a huge modulus size": rsa_header(RSA_PUBLIC, 3, 0x7FFFFFFF),
}.items():
    add(f"RSAPUBLICBLOB {_name}", imported_pair, "RSA", "RSAPUBLICBLOB", _blob, "RSAPUBLICBLOB")
for _name, _blob in {
    "that is good": RSA_PRIVATE,
    "one byte short": RSA_PRIVATE[:-1],
    "one byte long": RSA_PRIVATE + b"\0",
    "with the public magic": rsa_header(RSA_PRIVATE, 0, 0x31415352),
    "of a header alone": RSA_PRIVATE[:24],
}.items():
    add(f"RSAPRIVATEBLOB {_name}", imported_pair, "RSA", "RSAPRIVATEBLOB", _blob, "RSAPUBLICBLOB")
for _type in ("PUBLICBLOB", "ECCPUBLICBLOB", "KeyDataBlob", "NoSuchBlob", "CAPIPUBLICBLOB", None):
    add(f"RSA public key as {_type}", imported_pair, "RSA", _type, RSA_PUBLIC, "RSAPUBLICBLOB")
add("RSA private key as PRIVATEBLOB", imported_pair, "RSA", "PRIVATEBLOB", RSA_PRIVATE, "RSAPUBLICBLOB")
for _name in ("ECDSA_P256", "AES", "SHA256"):
    add(f"RSAPUBLICBLOB on {_name}", imported_pair, _name, "RSAPUBLICBLOB", RSA_PUBLIC, "PUBLICBLOB")
for _flags in (0x1, 0x8):
    add(
        f"RSAPUBLICBLOB with flags {_flags:#x}",
        imported_pair,
        "RSA",
        "RSAPUBLICBLOB",
        RSA_PUBLIC,
        "RSAPUBLICBLOB",
        _flags,
    )

for _family, _magic in (("ECDSA", 0x31534345), ("ECDH", 0x314B4345)):
    _name = f"{_family}_P256"
    _good = ec_blob(_name, 7, private=False)
    _other = ec_blob(f"{'ECDH' if _family == 'ECDSA' else 'ECDSA'}_P256", 7, private=False)
    for _said, _blob in {
        "that is good": _good,
        "one byte short": _good[:-1],
        "one byte long": _good + b"\0",
        "of a header alone": _good[:8],
        "that is empty": b"",
        "that is absent": None,
        "of the other family": _other,
        "of P-384": ec_blob(f"{_family}_P384", 7, private=False),
        "with the private magic": struct.pack("<I", _magic + (1 << 24)) + _good[4:],
        "with a wrong coordinate size": _good[:4] + struct.pack("<I", 48) + _good[8:],
        "off the curve": _good[:-1] + bytes([_good[-1] ^ 1]),
        "of zeros": _good[:8] + bytes(64),
        "over the field": _good[:8] + b"\xff" * 64,
    }.items():
        add(f"ECCPUBLICBLOB of {_family} {_said}", imported_pair, _name, "ECCPUBLICBLOB", _blob, "ECCPUBLICBLOB")
    for _curve in ("P256", "P384"):
        _good = ec_blob(f"{_family}_{_curve}", 0x1234567)
        add(
            f"{_family}_{_curve} private key",
            imported_pair,
            f"{_family}_{_curve}",
            "ECCPRIVATEBLOB",
            _good,
            "ECCPUBLICBLOB",
        )
        add(
            f"{_family}_{_curve} private key, short",
            imported_pair,
            f"{_family}_{_curve}",
            "ECCPRIVATEBLOB",
            _good[:-1],
            "ECCPUBLICBLOB",
        )
    for _type in ("PUBLICBLOB", "RSAPUBLICBLOB", "NoSuchBlob", "KeyDataBlob"):
        _good = ec_blob(_name, 7, private=False)
        add(f"{_family} public key as {_type}", imported_pair, _name, _type, _good, "ECCPUBLICBLOB")


def exported_pair(api: Any, make: Run, blob_type: str | None) -> Any:
    return api.BCryptExportKey(make(api), None, blob_type)


EXPORTS: dict[str, Run] = {
    "an RSA pair": rsa_private,
    "an RSA public key": rsa_public,
    "an ECDSA pair": OBJECTS["ECDSA_P256 key"],
    "an ECDH public key": lambda api: ec_pair(api, "ECDH_P384", private=False),
}
for _object, _make in EXPORTS.items():
    for _type in ("PUBLICBLOB", "RSAPUBLICBLOB", "ECCPUBLICBLOB", "KeyDataBlob", "NoSuchBlob", None):
        add(f"export {_object} as {_type}", exported_pair, _make, _type)
add("export an RSA pair as RSAPRIVATEBLOB", exported_pair, rsa_private, "RSAPRIVATEBLOB")
add("export an RSA public key as RSAPRIVATEBLOB", exported_pair, rsa_public, "RSAPRIVATEBLOB")
add("export an ECDSA pair as ECCPRIVATEBLOB", exported_pair, OBJECTS["ECDSA_P256 key"], "ECCPRIVATEBLOB")
add("export an ECDH public key as ECCPRIVATEBLOB", exported_pair, EXPORTS["an ECDH public key"], "ECCPRIVATEBLOB")
