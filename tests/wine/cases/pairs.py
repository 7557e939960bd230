"""Making key pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wine.cases.inputs import OBJECTS, PKCS1, cipher, ec_pair
from wine.cases.registry import Run, add, status_of


def empty_pair(api: Any, name: str, bits: int, flags: int = 0) -> str:
    api.BCryptDestroyKey(api.BCryptGenerateKeyPair(api.BCryptOpenAlgorithmProvider(name), bits, flags))
    return "done"


for _name, _lengths in {
    "RSA": (0, 384, 511, 512, 520, 1024, 2048, 4096, 16384, 16448),
    "RSA_SIGN": (0, 1024, 1025),
    "ECDSA_P256": (0, 255, 256, 384),
    "ECDSA_P384": (256, 384),
    "ECDH_P256": (0, 256, 384),
    "ECDH_P384": (384, 521),
}.items():
    for _bits in _lengths:
        add(f"pair of {_name} with {_bits} bits", empty_pair, _name, _bits)
for _name in ("AES", "SHA256", "RNG"):
    add(f"pair of {_name}", empty_pair, _name, 256)
for _flags in (0x1, 0x8):
    add(f"pair with flags {_flags:#x}", empty_pair, "ECDSA_P256", 256, _flags)
for _bits in (256, 512, 1024):
    add(f"pair of DSA with {_bits} bits", empty_pair, "DSA", _bits, needs="DSA")


def on_empty_pair(api: Any, name: str, bits: int, use: Callable[[Any, Any], Any]) -> Any:
    return use(api, api.BCryptGenerateKeyPair(api.BCryptOpenAlgorithmProvider(name), bits))


def finalized(api: Any, name: str, bits: int, flags: Sequence[int]) -> str:
    pair = api.BCryptGenerateKeyPair(api.BCryptOpenAlgorithmProvider(name), bits)
    return ", ".join(status_of(api.BCryptFinalizeKeyPair, pair, each) for each in flags)


EMPTY_USES: dict[str, Callable[[Any, Any], Any]] = {
    "sign": lambda api, pair: api.BCryptSignHash(pair, None, bytes(32)),
    "export": lambda api, pair: api.BCryptExportKey(pair, None, "PUBLICBLOB"),
    "verify": lambda api, pair: api.BCryptVerifySignature(pair, None, bytes(32), bytes(64)),
    "encrypt": lambda api, pair: api.BCryptEncrypt(pair, b"data", None, None, PKCS1),
    "agree": lambda api, pair: api.BCryptSecretAgreement(pair, pair) and "done",
}
for _name, _bits, _use in (
    ("ECDSA_P256", 256, "sign"),
    ("ECDSA_P256", 256, "export"),
    ("ECDSA_P256", 256, "verify"),
    ("ECDH_P256", 256, "agree"),
    ("RSA", 1024, "export"),
    ("RSA", 1024, "encrypt"),
):
    add(f"{_use} with an empty pair of {_name}", on_empty_pair, _name, _bits, EMPTY_USES[_use])
add("finalize twice", finalized, "ECDSA_P256", 256, (0, 0))
add("finalize with flags", finalized, "ECDSA_P256", 256, (1,))


def finalize_imported(api: Any) -> str:
    return status_of(api.BCryptFinalizeKeyPair, ec_pair(api, "ECDSA_P256"))


def duplicate_pair(api: Any, make: Run) -> str:
    api.BCryptDuplicateKey(make(api))
    return "done"


add("finalize an imported pair", finalize_imported)
add("finalize an AES key", lambda api: status_of(api.BCryptFinalizeKeyPair, cipher(api)))
add("duplicate an ECDSA pair", duplicate_pair, OBJECTS["ECDSA_P256 key"])
