"""What a type checker sees: keys by their URI go into the functions of bcrypt.h and ncrypt.h, and to `cryptography`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support import needs_module

import hwcng
from hwcng import NTSTATUS, CngError, bcrypt, ncrypt
from hwcng.contract.provider import Provider

ROOT = Path(__file__).resolve().parents[2]

SAMPLE = """
import hwcng
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from hwcng.bcrypt import BCryptDecrypt, BCryptSecretAgreement, BCryptSignHash, BCryptVerifySignature
from hwcng.ncrypt import NCryptOpenStorageProvider, NCryptOpenKey, NCryptSignHash

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
what: hwcng.Usage = hwcng.Usage.SIGN | hwcng.Usage.DECRYPT
spec = hwcng.PairSpec("EC", what, curve="nistP256")
with hwcng.open_provider("pkcs11:token=a") as provider:
    held: hwcng.Provider = provider
    imported: hwcng.KeyPair = hwcng.pyca.import_private_key(held, private, "c")
"""

WRONG = {
    "BCryptSignHash(hwcng.bcrypt, None, b'')": "Argument 1",
    "hwcng.open_key(1)": "Argument 1",
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


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    needs_module("mypy")
    head = "import hwcng\nfrom hwcng.bcrypt import BCryptSignHash\n"
    done = checked(tmp_path, head + "\n".join(WRONG))
    for number, expected in enumerate(WRONG.values(), start=head.count("\n") + 1):
        lines = [line for line in done.stdout.splitlines() if f"sample.py:{number}: error" in line]
        assert any(expected in line for line in lines), (number, done.stdout)


def test_a_key_of_ncrypt_says_where_that_of_bcrypt_is(provider: Provider) -> None:
    storage = ncrypt.NCryptOpenStorageProvider(provider)
    key = ncrypt.NCryptCreatePersistedKey(storage, ncrypt.NCRYPT_ECDSA_P256_ALGORITHM, None)
    ncrypt.NCryptFinalizeKey(key)
    with pytest.raises(CngError, match=r"take its \.key") as caught:
        bcrypt.BCryptSignHash(key, None, bytes(32))  # type: ignore[arg-type]
    assert caught.value.status is NTSTATUS.STATUS_INVALID_HANDLE
    assert isinstance(key.key, hwcng.KeyPair)
    assert len(bcrypt.BCryptSignHash(key.key, None, bytes(32))) == 64
