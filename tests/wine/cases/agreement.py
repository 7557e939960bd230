"""Agreement and derivation."""

from __future__ import annotations

from functools import partial
from typing import Any

from wine.cases.inputs import HASHES, OBJECTS, cipher, ec_pair, rsa_private
from wine.cases.registry import Run, add

from hwcng import bcrypt

HASH_NAME, PREPEND, APPEND, HMAC_KEY_BUFFER = (
    bcrypt.KDF_HASH_ALGORITHM,
    bcrypt.KDF_SECRET_PREPEND,
    bcrypt.KDF_SECRET_APPEND,
    bcrypt.KDF_HMAC_KEY,
)


def agreed(api: Any, name: str) -> Any:
    return api.BCryptSecretAgreement(ec_pair(api, name), ec_pair(api, name, 7, private=False))


def derived(
    api: Any, name: str, function: str | None, parameters: Any = None, length: int | None = None, flags: int = 0
) -> Any:
    return api.BCryptDeriveKey(agreed(api, name), function, parameters, length, flags)


for _curve in ("ECDH_P256", "ECDH_P384"):
    for _hash in HASHES[1:]:
        add(f"{_curve} HASH {_hash}", derived, _curve, "HASH", [(HASH_NAME, _hash)])
    add(f"{_curve} TRUNCATE", derived, _curve, "TRUNCATE")
_BOTH = [(HASH_NAME, "SHA256"), (PREPEND, b"before"), (PREPEND, b" all"), (APPEND, b"after"), (APPEND, b" all")]
_TLS = [(bcrypt.KDF_TLS_PRF_LABEL, b"master secret"), (bcrypt.KDF_TLS_PRF_SEED, bytes(64))]
_CONCAT = [(bcrypt.KDF_ALGORITHMID, b"id"), (bcrypt.KDF_PARTYUINFO, b"u"), (bcrypt.KDF_PARTYVINFO, b"v")]
for _said, _call in {
    "HASH without a hash's name": ("HASH",),
    "HASH without parameters": ("HASH", []),
    "HASH around the secret": ("HASH", _BOTH),
    "HASH of one side": ("HASH", [(HASH_NAME, "SHA1"), (APPEND, b"after")]),
    "HASH cut to 5 bytes": ("HASH", [(HASH_NAME, "SHA256")], 5),
    "HASH with room for 100 bytes": ("HASH", [(HASH_NAME, "SHA256")], 100),
    "HASH under an unknown hash": ("HASH", [(HASH_NAME, "NoSuchHash")]),
    "HASH under RNG": ("HASH", [(HASH_NAME, "RNG")]),
    "HASH with flags": ("HASH", None, None, 0x80),
    "HMAC": ("HMAC", [(HASH_NAME, "SHA256"), (HMAC_KEY_BUFFER, b"a key of the HMAC")]),
    "HMAC around the secret": ("HMAC", [*_BOTH, (HMAC_KEY_BUFFER, b"a key of the HMAC")]),
    "HMAC without a key": ("HMAC", [(HASH_NAME, "SHA256")]),
    "HMAC under the secret": ("HMAC", _BOTH, None, int(bcrypt.KDF_USE_SECRET_AS_HMAC_KEY_FLAG)),
    "TLS_PRF of TLS 1.2": (
        "TLS_PRF",
        [*_TLS, (bcrypt.KDF_TLS_PRF_PROTOCOL, 0x0303), (HASH_NAME, "SHA256")],
    ),
    "TLS_PRF without a seed": ("TLS_PRF", _TLS[:1]),
    "SP800_56A_CONCAT": ("SP800_56A_CONCAT", [(HASH_NAME, "SHA256"), *_CONCAT]),
    "SP800_56A_CONCAT without parameters": ("SP800_56A_CONCAT",),
    "TRUNCATE cut to 5 bytes": ("TRUNCATE", None, 5),
    "an unknown function": ("NoSuchKdf",),
    "no function": (None,),
}.items():
    add(f"ECDH_P256 {_said}", derived, "ECDH_P256", *_call)


def agrees(api: Any, one: Run, other: Run, flags: int = 0) -> str:
    api.BCryptSecretAgreement(one(api), other(api), flags)
    return "done"


ECDH, ECDH_PUBLIC = partial(ec_pair, name="ECDH_P256"), partial(ec_pair, name="ECDH_P256", private=False)
for _said, _one, _other, _flags in (
    ("of two curves", ECDH, OBJECTS["ECDH_P384 key"], 0),
    ("with a pair of another family", ECDH, OBJECTS["ECDSA_P256 key"], 0),
    ("of ECDSA pairs", OBJECTS["ECDSA_P256 key"], OBJECTS["ECDSA_P256 key"], 0),
    ("of RSA pairs", rsa_private, rsa_private, 0),
    ("of AES keys", cipher, cipher, 0),
    ("without a private half", ECDH_PUBLIC, ECDH_PUBLIC, 0),
    ("with flags", ECDH, ECDH_PUBLIC, 1),
    ("of a pair with itself", ECDH, ECDH, 0),
):
    add(f"agreement {_said}", agrees, _one, _other, _flags)


def secret_without_its_keys(api: Any) -> Any:
    one, other = ECDH(api), ECDH_PUBLIC(api)
    secret = api.BCryptSecretAgreement(one, other)
    api.BCryptDestroyKey(one)
    api.BCryptDestroyKey(other)
    return api.BCryptDeriveKey(secret, "HASH", None, None)


add("a secret outlives its keys", secret_without_its_keys)
