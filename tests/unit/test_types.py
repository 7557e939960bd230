"""What a type checker sees: keys by their URI go into the functions of bcrypt.h and ncrypt.h, and to `cryptography`."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import needs_module, programs_of

import hwcng
from hwcng import NTSTATUS, CngError, aio, bcrypt, many, ncrypt
from hwcng.contract.provider import Provider

ROOT = Path(__file__).resolve().parents[2]

SAMPLE = """
import hwcng
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from hwcng.bcrypt import BCryptDecrypt, BCryptSecretAgreement, BCryptSignHash, BCryptVerifySignature
from hwcng.bcrypt import BCRYPT_AES_ALGORITHM, BCRYPT_RSAKEY_BLOB, STATUS_SUCCESS
from hwcng.interop.acme import account_key
from hwcng.interop.asyncssh import TokenKeyPair
from hwcng.interop.joserfc import jwk
from hwcng.interop.paramiko import pkey
from hwcng.interop.pyhanko import TokenSigner
from hwcng.ncrypt import NCRYPT_LENGTH_PROPERTY, NCryptOpenStorageProvider, NCryptOpenKey, NCryptSignHash
from hwcng.wincrypt import BCRYPT_BLOCK_PADDING, CALG_AES_256, NTE_BAD_KEY

names: list[str] = [BCRYPT_AES_ALGORITHM, NCRYPT_LENGTH_PROPERTY]
numbers: list[int] = [STATUS_SUCCESS, BCRYPT_BLOCK_PADDING, CALG_AES_256, NTE_BAD_KEY]
key = hwcng.open_key("pkcs11:token=a;object=b")
digest: bytes = bytes(32)
signature: bytes = BCryptSignHash(key, None, digest)
BCryptVerifySignature(key, None, digest, signature)
plaintext: bytes = BCryptDecrypt(key, signature)
secret: hwcng.Secret = BCryptSecretAgreement(key, key)
named: hwcng.NCryptKey = NCryptOpenKey(NCryptOpenStorageProvider(), "b")
also: bytes = NCryptSignHash(named, None, digest) + NCryptSignHash(key, None, digest)
again: hwcng.KeyPair | hwcng.SymmetricKey = named.key
private = key.as_cryptography()
if isinstance(private, ec.EllipticCurvePrivateKey):
    der: bytes = private.sign(digest, ec.ECDSA(SHA256()))
other = hwcng.pyca.private_key("pkcs11:token=a;object=b", pin="1234")
certificates: list[x509.Certificate] = []
signer = TokenSigner(private, certificates)
pairs = [TokenKeyPair(private), TokenKeyPair(named), TokenKeyPair("pkcs11:token=a;object=b", "comment")]
others = [account_key(key), jwk(named, {"kid": "c"}), pkey(other)]
what: hwcng.Usage = hwcng.Usage.SIGN | hwcng.Usage.DECRYPT
spec = hwcng.PairSpec("EC", what, curve="nistP256")
with hwcng.open_provider("pkcs11:token=a") as provider:
    held: hwcng.Provider = provider
    imported: hwcng.KeyPair = hwcng.pyca.import_private_key(held, private, "c")
"""

WRONG = {
    "BCryptSignHash(hwcng.bcrypt, None, b'')": "Argument 1",
    "hwcng.open_key(1)": "Argument 1",
    "hwcng.pyca.private_key(b'')": "Argument 1",
    "hwcng.open_kye('')": "has no attribute",
    "hwcng.pyca.privat_key('')": "has no attribute",
    "signature = BCryptSignHash(hwcng.open_key(''), None, 'text')": "Argument 3",
}


def checked(tmp_path: Path, sample: str) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "sample.py"
    file.write_text(sample)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(ROOT / ".mypy_cache"), str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=300)


def test_keys_flow_into_the_functions(tmp_path: Path) -> None:
    needs_module("mypy")
    done = checked(tmp_path, SAMPLE)
    assert done.returncode == 0, done.stdout


def test_the_program_of_the_readme_has_types(tmp_path: Path) -> None:
    """By `from hwcng.bcrypt import *`, as the header is included."""
    needs_module("mypy")
    (program,) = [program for program in programs_of("README.md") if "import *" in program]
    done = checked(tmp_path, program)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("face", ["bcrypt", "ncrypt", "wincrypt"])
def test_every_name_of_a_face_is_found(tmp_path: Path, face: str) -> None:
    needs_module("mypy")
    names = importlib.import_module(f"hwcng.{face}").__all__
    done = checked(tmp_path, f"from hwcng.{face} import *\n" + "\n".join(f"{name}" for name in names) + "\n")
    assert done.returncode == 0, done.stdout


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    needs_module("mypy")
    head = "import hwcng\nfrom hwcng.bcrypt import BCryptSignHash\n"
    done = checked(tmp_path, head + "\n".join(WRONG))
    for number, expected in enumerate(WRONG.values(), start=head.count("\n") + 1):
        lines = [line for line in done.stdout.splitlines() if f"sample.py:{number}: error" in line]
        assert any(expected in line for line in lines), (number, done.stdout)


@pytest.fixture
def stored(provider: Provider) -> ncrypt.NCryptKey:
    storage = ncrypt.NCryptOpenStorageProvider(provider)
    key = ncrypt.NCryptCreatePersistedKey(storage, ncrypt.NCRYPT_ECDSA_P256_ALGORITHM, None)
    ncrypt.NCryptFinalizeKey(key)
    return key


CALLS: dict[str, Callable[[Any], object]] = {
    "BCryptSignHash": lambda key: bcrypt.BCryptSignHash(key, None, bytes(32)),
    "BCryptEncrypt": lambda key: bcrypt.BCryptEncrypt(key, b""),
    "BCryptExportKey": lambda key: bcrypt.BCryptExportKey(key, None, bcrypt.BCRYPT_ECCPUBLIC_BLOB),
    "BCryptSecretAgreement": lambda key: bcrypt.BCryptSecretAgreement(key, key),
    "BCryptDestroyKey": lambda key: bcrypt.BCryptDestroyKey(key),
    "many.sign_many": lambda key: list(many.sign_many(key, None, [bytes(32)])),
    "aio.sign": lambda key: asyncio.run(aio.sign(key, None, bytes(32))),
    "aio.call": lambda key: asyncio.run(aio.call(key, bytes)),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_key_of_another_face_says_where_that_of_bcrypt_is(call: str, stored: ncrypt.NCryptKey) -> None:
    for key, instead in ((stored, r"take its \.key$"), (stored.as_cryptography(), r"take its \.cng_key$")):
        with pytest.raises(CngError, match=instead) as caught:
            CALLS[call](key)
        assert caught.value.status is NTSTATUS.STATUS_INVALID_HANDLE
    private: Any = stored.as_cryptography()
    assert private.cng_key is stored.key and isinstance(stored.key, hwcng.KeyPair)
    assert len(bcrypt.BCryptSignHash(private.cng_key, None, bytes(32))) == 64
