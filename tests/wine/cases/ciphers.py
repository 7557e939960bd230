"""Symmetric keys and their blobs; ECB, CBC and CFB of AES, CBC of Triple DES."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from conformance import oracle
from wine.cases.inputs import B16, B17, B32, DATA, IV, KEY, KEY_SIZES, PADDED, cipher, key_data
from wine.cases.registry import add, status_of


def key_of_length(api: Any, length: int) -> Any:
    key = cipher(api, "ECB", DATA[:length])
    return api.BCryptEncrypt(key, DATA[:16])


def imported_key(api: Any, blob_type: str | None, blob: bytes | None, algorithm: str = "AES") -> Any:
    handle = api.BCryptOpenAlgorithmProvider(algorithm)
    key = api.BCryptImportKey(handle, None, blob_type, None, blob)
    return api.BCryptEncrypt(key, DATA[:16], None, bytearray(IV))


for _length in (0, 1, 8, 15, 16, 17, 23, 24, 25, 31, 32, 33, 40, 64):
    add(f"AES key of {_length} bytes", key_of_length, _length)
    add(f"KeyDataBlob of {_length} bytes", imported_key, "KeyDataBlob", key_data(DATA[:_length]))
for _name, _blob in {
    "with a wrong magic": key_data(KEY, magic=b"KDBX"),
    "of version 2": key_data(KEY, version=2),
    "shorter than it says": key_data(KEY, length=32),
    "longer than it says": key_data(KEY + b"more", length=16),
    "of 11 bytes": key_data(KEY)[:11],
    "of a header alone": key_data(b""),
    "that is empty": b"",
    "that is absent": None,
}.items():
    add(f"KeyDataBlob {_name}", imported_key, "KeyDataBlob", _blob)
add("key blob of no type", imported_key, None, key_data(KEY))
for _type in ("OpaqueKeyBlob", "NoSuchBlob", "RSAPUBLICBLOB"):
    add(f"{_type} of an AES key", imported_key, _type, key_data(KEY))
add("KeyDataBlob on RSA", imported_key, "KeyDataBlob", key_data(KEY), "RSA")
add("KeyDataBlob on SHA256", imported_key, "KeyDataBlob", key_data(KEY), "SHA256")


def secret_on(api: Any, name: str, key: bytes | None, flags: int = 0) -> None:
    api.BCryptGenerateSymmetricKey(api.BCryptOpenAlgorithmProvider(name), None, key, flags)


def object_of(api: Any, length: int, duplicating: bool) -> None:
    algorithm = api.BCryptOpenAlgorithmProvider("AES")
    if duplicating:
        api.BCryptDuplicateKey(api.BCryptGenerateSymmetricKey(algorithm, None, KEY), bytearray(length))
    else:
        api.BCryptGenerateSymmetricKey(algorithm, bytearray(length), KEY)


for _name in ("RSA", "SHA256", "RNG", "ECDSA_P256"):
    add(f"symmetric key on {_name}", secret_on, _name, KEY)
add("symmetric key without a secret", secret_on, "AES", None)
add("symmetric key with flags", secret_on, "AES", KEY, 1)
for _length in (1, 653, 654, 1000):
    add(f"key object of {_length} bytes", object_of, _length, False)
    add(f"duplicate in a key object of {_length} bytes", object_of, _length, True)


def exported(api: Any, blob_type: str | None) -> bytes:
    result: bytes = api.BCryptExportKey(cipher(api), None, blob_type)
    return result


for _type in ("KeyDataBlob", "NoSuchBlob", "RSAPUBLICBLOB", None):
    add(f"export an AES key as {_type}", exported, _type)

CryptArguments = Sequence[Any]


def crypt(api: Any, mode: str, encrypting: bool, data: bytes | None, iv: bytes | None, flags: int, key: bytes) -> Any:
    function = api.BCryptEncrypt if encrypting else api.BCryptDecrypt
    return function(cipher(api, mode, key), data, None, None if iv is None else bytearray(iv), flags)


def iv_after(api: Any, mode: str, encrypting: bool, data: bytes, flags: int) -> bytes:
    function, iv = api.BCryptEncrypt if encrypting else api.BCryptDecrypt, bytearray(IV)
    function(cipher(api, mode), data, None, iv, flags)
    return bytes(iv)


for _mode, _iv in (("CBC", IV), ("ECB", None), ("CFB", IV)):
    for _size in (0, 1, 15, 16, 17, 31, 32, 33, 48, 1024):
        for _flags, _said in ((0, ""), (PADDED, " padded")):
            add(f"{_mode} encrypts {_size} bytes{_said}", crypt, _mode, True, DATA[:_size], _iv, _flags, KEY)
        add(f"{_mode} decrypts {_size} bytes", crypt, _mode, False, DATA[:_size], _iv, 0, KEY)
    for _size in KEY_SIZES[1:]:
        add(f"{_mode} encrypts under {_size} bytes", crypt, _mode, True, DATA[:48], _iv, 0, DATA[:_size])
        add(f"{_mode} decrypts under {_size} bytes", crypt, _mode, False, DATA[:48], _iv, 0, DATA[:_size])
    for _size in (0, 1, 15, 16, 17, 31, 32):
        _oracle_mode = {"CFB": "CFB8"}.get(_mode, _mode)
        _padded = oracle.aes(_oracle_mode, KEY, IV, oracle.pkcs7(DATA[:_size]))
        add(f"{_mode} decrypts {_size} bytes out of a padding", crypt, _mode, False, _padded, _iv, PADDED, KEY)
    for _size in (0, 1, 15, 17):
        add(f"{_mode} decrypts {_size} bytes as padded", crypt, _mode, False, DATA[:_size], _iv, PADDED, KEY)
    for _name, _tail in {
        "0": bytes(16),
        "17": bytes([17] * 16),
        "3 with a wrong byte": bytes(13) + b"\3\2\3",
        "255": bytes([255] * 16),
    }.items():
        _block = oracle.aes({"CFB": "CFB8"}.get(_mode, _mode), KEY, IV, _tail)
        add(f"{_mode} decrypts a padding of {_name}", crypt, _mode, False, _block, _iv, PADDED, KEY)
    for _size in (0, 8, 15, 17, 32):
        add(f"{_mode} with an IV of {_size} bytes", crypt, _mode, True, DATA[:16], DATA[:_size], 0, KEY)
    for _flags in (0x2, 0x10, 0x80000000):
        add(f"{_mode} with flags {_flags:#x}", crypt, _mode, True, DATA[:16], _iv, _flags, KEY)
    add(f"{_mode} encrypts no buffer", crypt, _mode, True, None, _iv, 0, KEY)
    add(f"{_mode} encrypts no buffer padded", crypt, _mode, True, None, _iv, PADDED, KEY)


for _mode in ("CBC", "CFB"):
    for _size in (0, 16, 48):
        add(f"{_mode} leaves an IV after {_size} bytes", iv_after, _mode, True, DATA[:_size], 0)
        add(f"{_mode} leaves an IV after decrypting {_size} bytes", iv_after, _mode, False, DATA[:_size], 0)
    add(f"{_mode} leaves an IV after 17 bytes padded", iv_after, _mode, True, DATA[:17], PADDED)


def chain(api: Any, mode: str, *steps: tuple[str, Any]) -> list[Any]:
    """Calls on one key, in turn."""
    key, results = cipher(api, mode), []
    for step, argument in steps:
        if step == "set IV":
            api.BCryptSetProperty(key, "IV", argument)
        elif step == "set mode":
            api.BCryptSetProperty(key, "ChainingMode", f"ChainingMode{argument}")
        elif step == "set feedback":
            api.BCryptSetProperty(key, "MessageBlockLength", argument)
        elif step == "fail":
            results.append(status_of(api.BCryptEncrypt, key, argument))
        elif step == "duplicate":
            key = api.BCryptDuplicateKey(key)
        else:
            function = api.BCryptEncrypt if step.startswith("encrypt") else api.BCryptDecrypt
            iv = bytearray(IV) if step.endswith("IV") else None
            flags = PADDED if "padded" in step else 0
            results.append(function(key, argument, None, iv, flags))
    return results


for _name, _mode, _steps in (
    ("two calls", "CBC", [("encrypt", B16), ("encrypt", B32)]),
    ("two calls", "CFB", [("encrypt", B17), ("encrypt", B16)]),
    ("two calls decrypting", "CBC", [("decrypt", B16), ("decrypt", B32)]),
    ("two calls decrypting", "CFB", [("decrypt", B17), ("decrypt", B16)]),
    ("short calls", "CFB", [("encrypt", b"a"), ("encrypt", b"bc"), ("encrypt", B16)]),
    ("a given IV, then none", "CBC", [("encrypt with IV", B16), ("encrypt", B16)]),
    ("a given IV, then none", "CFB", [("encrypt with IV", B16), ("encrypt", B16)]),
    ("a given IV, then none, decrypting", "CBC", [("decrypt with IV", B16), ("decrypt", B16)]),
    ("both directions", "CBC", [("encrypt", B16), ("decrypt", B16), ("encrypt", B16)]),
    ("the IV property", "CBC", [("set IV", IV), ("encrypt", B16), ("encrypt", B16)]),
    ("the IV property again", "CBC", [("encrypt", B16), ("set IV", IV), ("encrypt", B16)]),
    ("padded calls", "CBC", [("encrypt padded", B17), ("encrypt padded", B16)]),
    ("after a failure", "CBC", [("encrypt", B16), ("fail", B17), ("encrypt", B16)]),
    ("an empty call", "CBC", [("encrypt", B16), ("encrypt", b""), ("encrypt", B16)]),
    ("ECB keeps no state", "ECB", [("encrypt", B16), ("encrypt", B16)]),
    ("a duplicate of a fresh key", "CBC", [("duplicate", None), ("encrypt", B16)]),
    ("a duplicate of a duplicate", "CBC", [("duplicate", None), ("duplicate", None), ("encrypt with IV", B16)]),
    ("a duplicate of a used key", "CBC", [("encrypt", B16), ("duplicate", None), ("encrypt", B16)]),
    (
        "a duplicate of a used key, given an IV",
        "CBC",
        [("encrypt", B16), ("duplicate", None), ("encrypt with IV", B16)],
    ),
    ("mode set on the key", "CBC", [("set mode", "ECB"), ("encrypt", B16)]),
    ("mode set on a used key", "CBC", [("encrypt", B16), ("set mode", "CFB"), ("encrypt", B16)]),
    ("mode of a duplicate", "CBC", [("set mode", "ECB"), ("duplicate", None), ("encrypt", B32)]),
    ("feedback of 16 bytes", "CFB", [("set feedback", 16), ("encrypt with IV", B32), ("decrypt with IV", B32)]),
    ("feedback of 16 bytes, a partial block", "CFB", [("set feedback", 16), ("encrypt with IV", B17)]),
    ("feedback of 16 bytes, two calls", "CFB", [("set feedback", 16), ("encrypt with IV", B32), ("encrypt", B32)]),
    ("feedback of a duplicate", "CFB", [("set feedback", 16), ("duplicate", None), ("encrypt with IV", B32)]),
):
    add(f"{_mode} {_name}", chain, _mode, *_steps)

DES_KEY = bytes.fromhex("0123456789abcdef23456789abcdef01456789abcdef0123")


def triple_des(api: Any, mode: str, encrypting: bool, data: bytes, flags: int = 0, key: bytes = DES_KEY) -> Any:
    function = api.BCryptEncrypt if encrypting else api.BCryptDecrypt
    iv = None if mode == "ECB" else bytearray(IV[:8])
    return function(cipher(api, mode, key, name="3DES"), data, None, iv, flags)


def triple_des_sizes(api: Any) -> Any:
    algorithm = api.BCryptOpenAlgorithmProvider("3DES")
    return [api.BCryptGetProperty(algorithm, name) for name in ("BlockLength", "KeyLengths")]


for _mode in ("CBC",):
    for _encrypting in (True, False):
        _verb = "encrypts" if _encrypting else "decrypts"
        for _size in (0, 7, 8, 24):
            add(f"3DES {_mode} {_verb} {_size} bytes", triple_des, _mode, _encrypting, DATA[:_size], needs="3DES")
    for _size in (0, 7, 8, 9):
        add(f"3DES {_mode} encrypts {_size} bytes padded", triple_des, _mode, True, DATA[:_size], PADDED, needs="3DES")
for _length in (0, 8, 16, 23, 25, 32):
    _key = (DES_KEY * 2)[:_length]
    add(f"3DES key of {_length} bytes", triple_des, "CBC", True, DATA[:8], 0, _key, needs="3DES")
add("3DES in ChainingModeGCM", triple_des, "GCM", True, DATA[:8], needs="3DES")
add("3DES sizes", triple_des_sizes, needs="3DES")
