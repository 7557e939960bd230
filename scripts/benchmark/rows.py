"""What is measured: the rows, on which tokens, among how many named keys, by how many threads."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FLOORS", "HOST", "NSS", "NSS_CURRENT", "P11KIT", "ROWS", "SIGNER", "SOFTHSM", "SWTPM", "TOKENS", "Row"]

SOFTHSM, NSS, NSS_CURRENT, P11KIT, SWTPM, HOST = "softhsm", "nss", "nss-current", "p11-kit", "swtpm", "host"
TOKENS = (SOFTHSM, NSS, NSS_CURRENT, P11KIT, SWTPM, HOST)
FLOORS = {SWTPM: "tcti", HOST: "interpreter"}
"""Who does the least that can be done on a token; elsewhere it is "c"."""

SIGNER = "signer"
"""The name of a P-256 pair that tokens with named keys have."""

_PKCS11 = (SOFTHSM, NSS, P11KIT)
_EVERY = (*_PKCS11, SWTPM)
_MANY = (1, 2, 4, 8, 32)


@dataclass(frozen=True, slots=True)
class Row:
    """keys: how many named keys the token has. fresh: whether each round has a process of its own, which does it once.

    memory: the length of the message whose peak of memory is looked at, 0 for no look. most: operations in one round.
    rounds: at most so many, of a row that takes seconds.
    """

    name: str
    title: str
    tokens: tuple[str, ...]
    threads: tuple[int, ...] = (1,)
    keys: int = 0
    fresh: bool = False
    memory: int = 0
    most: int = 100_000
    rounds: int = 1_000


def _named(name: str, title: str, counts: tuple[int, ...], most: int = 100, rounds: int = 1_000) -> tuple[Row, ...]:
    return tuple(
        Row(f"{name}-{count}", f"{title} {count:,} keys", (SOFTHSM,), keys=count, most=most, rounds=rounds)
        for count in counts
    )


ROWS = (
    Row("ecdsa-p256-sign", "ECDSA P-256 sign", _EVERY, threads=_MANY),
    Row("rsa-2048-sign", "RSA-2048 sign", _EVERY, threads=_MANY),
    Row("rsa-3072-sign", "RSA-3072 sign", _PKCS11),
    Row("rsa-3072-decrypt", "RSA-3072 OAEP decrypt", _PKCS11),
    Row("hmac-sha256-64B", "HMAC-SHA256 64 B", _EVERY),
    Row("aes-cbc-64B", "AES-CBC 64 B", _PKCS11, threads=_MANY),
    Row("aes-cbc-1KiB", "AES-CBC 1 KiB", (SWTPM,)),
    Row("aes-cbc-4KiB", "AES-CBC 4 KiB", _PKCS11),
    Row("aes-cbc-1MiB", "AES-CBC 1 MiB", _PKCS11),
    Row("aes-cbc-64MiB", "AES-CBC 64 MiB", (SOFTHSM, NSS), memory=64 << 20, most=1, rounds=5),
    Row("aes-gcm-64B", "AES-GCM 64 B", _PKCS11),
    Row("aes-gcm-4KiB", "AES-GCM 4 KiB", _PKCS11),
    Row("aes-gcm-1MiB", "AES-GCM 1 MiB", _PKCS11),
    Row("random-32B", "random 32 B", _EVERY),
    Row("aes-generate", "AES key generate + destroy", _PKCS11),
    Row("ec-generate", "EC pair generate + destroy", _PKCS11),
    Row("ecdh-hash", "ECDH + HASH", _PKCS11),
    Row("ml-dsa-65-sign", "ML-DSA-65 sign", (NSS_CURRENT,)),
    Row("ml-kem-768-decapsulate", "ML-KEM-768 decapsulate", (NSS_CURRENT,)),
    Row("aes-wrap-import", "AES key unwrap", (SOFTHSM, NSS)),
    Row("import-32B", "import 32 B", _PKCS11),
    Row("duplicate", "duplicate", _PKCS11),
    *_named("open-among", "open by name among", (10, 1_000, 10_000)),
    *_named("store-among", "store one among", (10, 1_000), most=20, rounds=7),
    *_named("list", "list", (2_000,), most=1, rounds=3),
    Row("first-after-fork", "first use after fork", (SOFTHSM,), keys=10, most=10),
    Row("open-again", "open a provider beside an open one, close", (SOFTHSM,), keys=10, most=50),
    Row("login", "C_Login alone", (SOFTHSM,), keys=10, fresh=True),
    Row("open-and-sign", "open provider and key, sign", (SOFTHSM,), keys=10, fresh=True),
    Row("import-hwcng", "import hwcng", (HOST,), most=1),
    Row("fresh-softhsm-token", "a fresh SoftHSM token for a test", (HOST,), most=1, rounds=30),
    Row("fresh-swtpm", "a fresh swtpm for a test", (HOST,), most=1, rounds=30),
)
