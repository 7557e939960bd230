"""What is kept: keys of every kind that outlives a process, made once and opened by every later version.

`python tests/kept/kept.py make TOKEN FOLDER` makes them with the hwcng that is imported, `... load TOKEN FOLDER` opens
a copy of them. TOKEN: softhsm, nss-db or swtpm. A copy's path is as long as that of the folder where they were made,
because the URIs in pickles hold it.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hwcng
from hwcng import bcrypt, ncrypt
from hwcng.contract.provider import Provider

PIN = "kept-1234"
PINS = {"softhsm": PIN, "nss-db": PIN}
MESSAGE = bytes(range(48))
IV = bytes(range(16))
DIGEST = bytes(range(32))
SIGNERS = {"RSA": 2048, "ECDSA_P256": 256}
PADDING = {"RSA": (bcrypt.BCRYPT_PKCS1_PADDING_INFO("SHA256"), bcrypt.BCRYPT_PAD_PKCS1), "ECDSA_P256": (None, 0)}
PUBLIC_BLOB = {"RSA": bcrypt.BCRYPT_RSAPUBLIC_BLOB, "ECDSA_P256": bcrypt.BCRYPT_ECCPUBLIC_BLOB}


@contextlib.contextmanager
def softhsm(folder: Path) -> Iterator[str]:
    from hwcng.testing.softhsm import TokenRequest, provision

    token = provision(folder, [TokenRequest("hwcng-kept", PIN)], "kept-5678")
    os.environ.update(token.environ())
    yield token.uri("hwcng-kept")


@contextlib.contextmanager
def nss(folder: Path) -> Iterator[str]:
    from hwcng.providers.pkcs11.uri import Pkcs11Uri
    from hwcng.testing import nss

    nss.provision(folder, PIN, label="hwcng-kept")
    os.chdir(folder)
    reserved = "configDir='sql:.' certPrefix='' keyPrefix='' secmod='secmod.db' flags=noModDB "
    reserved += "dbTokenDescription='hwcng-kept'"
    module = str(nss.find_module())
    yield Pkcs11Uri(token="hwcng-kept", module_path=module, vendor_query={"x-initialize-reserved": reserved}).to_uri()


@contextlib.contextmanager
def swtpm(folder: Path) -> Iterator[str]:
    from hwcng.testing.swtpm import Swtpm

    with Swtpm(folder):
        os.chdir(folder)
        yield "tpm2:swtpm:path=tpm.sock?store=store"


TOKENS: dict[str, Callable[[Path], contextlib.AbstractContextManager[str]]] = {
    "softhsm": softhsm,
    "nss-db": nss,
    "swtpm": swtpm,
}


def _aes(provider: Provider, policy: int = 0) -> Any:
    algorithm = bcrypt.BCryptOpenAlgorithmProvider("AES", provider)
    if policy:
        bcrypt.BCryptSetProperty(algorithm, bcrypt.NCRYPT_EXPORT_POLICY_PROPERTY, policy)
    return algorithm


def _pair(provider: Provider, name: str, policy: int = 0) -> Any:
    algorithm = bcrypt.BCryptOpenAlgorithmProvider(name, provider)
    pair = bcrypt.BCryptGenerateKeyPair(algorithm, SIGNERS[name])
    if policy:
        bcrypt.BCryptSetProperty(pair, bcrypt.NCRYPT_EXPORT_POLICY_PROPERTY, policy)
    bcrypt.BCryptFinalizeKeyPair(pair)
    return pair


def make(provider: Provider) -> dict[str, Any]:
    """Named keys, their pickles, opaque blobs, and what was made with each key."""
    policy = bcrypt.NCRYPT_ALLOW_EXPORT_FLAG
    kept: dict[str, Any] = {"pickles": {}, "opaque": {}, "public": {}, "uris": {}}
    named = _aes(provider).generate_key(256).persist("kept-AES")
    session = _aes(provider, policy).generate_key(256)
    kept["ciphertext"] = {
        "named": bcrypt.BCryptEncrypt(named, MESSAGE, None, bytearray(IV)).hex(),
        "opaque": bcrypt.BCryptEncrypt(session, MESSAGE, None, bytearray(IV)).hex(),
    }
    kept["opaque"]["AES"] = bcrypt.BCryptExportKey(session, None, bcrypt.BCRYPT_OPAQUE_KEY_BLOB).hex()
    kept["pickles"]["AES"] = pickle.dumps(named, 2).hex()
    kept["uris"]["AES"] = named.uri
    storage = ncrypt.NCryptOpenStorageProvider(provider)
    for name, bits in SIGNERS.items():
        key = ncrypt.NCryptCreatePersistedKey(storage, name, f"kept-{name}")
        if name == "RSA":
            ncrypt.NCryptSetProperty(key, ncrypt.NCRYPT_LENGTH_PROPERTY, bits)
        ncrypt.NCryptFinalizeKey(key)
        kept["pickles"][name] = pickle.dumps(key.key, 2).hex()
        kept["pickles"][f"NCrypt {name}"] = pickle.dumps(key, 2).hex()
        kept["uris"][name] = key.uri
        kept["public"][name] = ncrypt.NCryptExportKey(key, None, PUBLIC_BLOB[name]).hex()
        with contextlib.suppress(hwcng.CngError):
            pair = _pair(provider, name, policy)
            kept["opaque"][name] = bcrypt.BCryptExportKey(pair, None, bcrypt.BCRYPT_OPAQUE_KEY_BLOB).hex()
            kept["public"][f"opaque {name}"] = bcrypt.BCryptExportKey(pair, None, PUBLIC_BLOB[name]).hex()
    return kept


def _signs(provider: Provider, name: str, key: Any, public: str) -> None:
    algorithm = bcrypt.BCryptOpenAlgorithmProvider(name, provider)
    verifier = bcrypt.BCryptImportKeyPair(algorithm, None, PUBLIC_BLOB[name], bytes.fromhex(public))
    info, flags = PADDING[name]
    signature = (
        bcrypt.BCryptSignHash(key, info, DIGEST, flags)
        if not isinstance(key, hwcng.ksp.handles.NCryptKey)
        else ncrypt.NCryptSignHash(key, info, DIGEST, flags)
    )
    bcrypt.BCryptVerifySignature(verifier, info, DIGEST, signature, flags)


def load(provider: Provider, kept: dict[str, Any]) -> list[str]:
    """Opens and uses every one of them. Returns what was opened."""
    import hwcng.ksp.handles

    done = []
    hwcng.set_default_provider(provider)
    for how, key in (
        ("pickles", pickle.loads(bytes.fromhex(kept["pickles"]["AES"]))),
        ("uris", hwcng.open_key(kept["uris"]["AES"])),
        (
            "opaque",
            bcrypt.BCryptImportKey(
                _aes(provider), None, bcrypt.BCRYPT_OPAQUE_KEY_BLOB, None, bytes.fromhex(kept["opaque"]["AES"])
            ),
        ),
    ):
        ciphertext = bytes.fromhex(kept["ciphertext"]["opaque" if how == "opaque" else "named"])
        assert bcrypt.BCryptDecrypt(key, ciphertext, None, bytearray(IV)) == MESSAGE, how
        done.append(f"AES {how}")
    storage = ncrypt.NCryptOpenStorageProvider(provider)
    for name in SIGNERS:
        for which in (name, f"NCrypt {name}"):
            _signs(provider, name, pickle.loads(bytes.fromhex(kept["pickles"][which])), kept["public"][name])
            done.append(f"{which} pickles")
        _signs(provider, name, hwcng.open_key(kept["uris"][name]), kept["public"][name])
        done.append(f"{name} uris")
        _signs(provider, name, ncrypt.NCryptOpenKey(storage, f"kept-{name}"), kept["public"][name])
        done.append(f"{name} NCryptOpenKey")
        if name in kept["opaque"]:
            algorithm = bcrypt.BCryptOpenAlgorithmProvider(name, provider)
            blob = bytes.fromhex(kept["opaque"][name])
            pair = bcrypt.BCryptImportKeyPair(algorithm, None, bcrypt.BCRYPT_OPAQUE_KEY_BLOB, blob)
            _signs(provider, name, pair, kept["public"][f"opaque {name}"])
            done.append(f"{name} opaque")
    return done


def _moved(text: str, here: str) -> str:
    """A record made elsewhere, as if it had been made here; it holds texts as they are and octets in hexadecimal."""
    made = json.loads(text)["home"]
    assert len(made) == len(here), f"a copy's path has {len(made)} characters"
    return text.replace(made, here).replace(made.encode().hex(), here.encode().hex())


def main(verb: str, token: str, folder: str) -> None:
    record = Path(folder).resolve() / "kept.json"
    home = str(record.parent)
    with TOKENS[token](record.parent / "token") as uri, hwcng.open_provider(uri, pin=PINS.get(token)) as provider:
        if verb == "make":
            record.write_text(json.dumps({"home": home, **make(provider)}, indent=1) + "\n")
        else:
            print("\n".join(load(provider, json.loads(_moved(record.read_text(), home)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
