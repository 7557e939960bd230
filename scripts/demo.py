"""A day's work with keys in a token: encrypt, duplicate, import by AES wrap, sign, agree, share a named key with
another process, speak CryptoAPI, and fail to steal a key.

Every step goes through the documented calls of bcrypt.h, ncrypt.h or wincrypt.h. Signatures are checked by the openssl
command, ciphertext of a known key by the `cryptography` package.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pkcs11 import Mechanism
from rich.console import Console
from rich.table import Table

import hwcng
from hwcng import bcrypt, ncrypt, wincrypt
from hwcng.contract.provider import Provider
from hwcng.testing.calls import CallCounter
from hwcng.testing.commands import CommandCounter
from hwcng.testing.instrumenting import RecordsNames
from hwcng.testing.softhsm import TokenRequest, provision, token_uri
from hwcng.testing.swtpm import Swtpm

PIPED_WIDTH = 128
MARKS = {True: "[green]✓[/]", None: "[yellow]-[/]", False: "[red]✗[/]"}
TOKEN_LABEL = "hwcng-demo"  # noqa: S105 - a token's name
PIN_VARIABLE = "HWCNG_DEMO_PIN"
LACKING = (
    hwcng.NTSTATUS.STATUS_NOT_FOUND,
    hwcng.NTSTATUS.STATUS_NOT_SUPPORTED,
    hwcng.HRESULT.NTE_NOT_SUPPORTED,
)
SIGNS_BY_URI = """
import sys, hwcng
from hwcng.ncrypt import NCryptSignHash
print(NCryptSignHash(hwcng.open_key(sys.argv[1]), None, bytes.fromhex(sys.argv[2])).hex())
"""


@dataclass(frozen=True)
class Target:
    """A token to demonstrate on.

    has_all: whether it serves every step. counter: counts what reaches the token. served_by: the mechanisms or commands
    that a counter saw.
    """

    name: str
    has_all: bool
    provider: Provider
    counter: Callable[[], RecordsNames]
    served_by: Callable[[Any], list[str]]


@dataclass(frozen=True)
class Row:
    """good: None where the token does not have what was asked, and said so with a documented status."""

    what: str
    served_by: str
    calls: str
    result: str
    good: bool | None


@contextmanager
def softhsm(directory: Path) -> Iterator[Target]:
    """A token of SoftHSM 2, made here, with a PIN that nobody knows."""
    pin = secrets.token_hex(8)
    made = provision(directory, [TokenRequest(TOKEN_LABEL, pin)], secrets.token_hex(8))
    # Where other processes of this demo find the PIN: no URI holds it.
    os.environ.update(made.environ(), **{PIN_VARIABLE: pin})
    with hwcng.open_provider(token_uri(TOKEN_LABEL, made.module, f"env:{PIN_VARIABLE}")) as provider:
        yield Target("SoftHSM 2", True, provider, partial(CallCounter, provider), mechanism_names)


def mechanism_names(counter: CallCounter) -> list[str]:
    return [f"CKM_{Mechanism(mechanism).name}" for mechanism in dict.fromkeys(counter.mechanisms)]


@contextmanager
def tpm() -> Iterator[Target]:
    """A software TPM, started here."""
    with Swtpm() as running, hwcng.open_provider(running.uri) as provider:
        yield Target("swtpm", False, provider, partial(CommandCounter, provider), lambda counter: counter.names)


class UnequalError(Exception):
    """A result was not what it had to be."""


def require(condition: bool, message: str) -> None:
    if not condition:
        raise UnequalError(message)


def openssl_verifies(public_pem: bytes, digest: bytes, signature: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder, name) for name in ("public", "digest", "signature")}
        for path, content in zip(paths.values(), (public_pem, digest, signature), strict=True):
            path.write_bytes(content)
        verify = [
            "openssl",
            "pkeyutl",
            "-verify",
            "-pubin",
            "-inkey",
            str(paths["public"]),
            "-in",
            str(paths["digest"]),
        ]
        verify += ["-sigfile", str(paths["signature"]), "-pkeyopt", "digest:sha256"]
        done = subprocess.run(verify, capture_output=True, text=True, check=False)
    require(done.returncode == 0, f"openssl: {done.stdout.strip() or done.stderr.strip()}")


def rsa_public_pem(blob: bytes) -> bytes:
    exponent_size, modulus_size = (int.from_bytes(blob[at : at + 4], "little") for at in (8, 12))
    exponent, modulus = blob[24 : 24 + exponent_size], blob[24 + exponent_size : 24 + exponent_size + modulus_size]
    numbers = rsa.RSAPublicNumbers(int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big"))
    return numbers.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def capi_public_pem(blob: bytes) -> bytes:
    """blob: PUBLICKEYBLOB; its exponent and its modulus are little-endian."""
    numbers = rsa.RSAPublicNumbers(int.from_bytes(blob[16:20], "little"), int.from_bytes(blob[20:], "little"))
    return numbers.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def der_signature(signature: bytes) -> bytes:
    """signature: r || s of P-256."""
    return encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))


def p256_public_pem(blob: bytes) -> bytes:
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + blob[8:72])
    return point.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class Day:
    """The steps, in order, on one token."""

    def __init__(self, target: Target, content: bytes) -> None:
        self.target = target
        self.content = content
        self.digest = hashlib.sha256(content).digest()

    def open(self, algorithm: str) -> bcrypt.AlgorithmHandle:
        return bcrypt.BCryptOpenAlgorithmProvider(algorithm, self.target.provider)

    def generate_pair(self, algorithm: str, bits: int) -> bcrypt.KeyPair:
        pair = bcrypt.BCryptGenerateKeyPair(self.open(algorithm), bits)
        bcrypt.BCryptFinalizeKeyPair(pair)
        return pair

    def encrypt_with_token_born_key(self) -> str:
        algorithm = self.open(bcrypt.BCRYPT_AES_ALGORITHM)
        try:
            bcrypt.BCryptSetProperty(algorithm, bcrypt.BCRYPT_CHAINING_MODE, bcrypt.BCRYPT_CHAIN_MODE_GCM)
        except hwcng.CngError as error:
            if error.status is not hwcng.NTSTATUS.STATUS_NOT_SUPPORTED:
                raise
            self.cipher: tuple[object, bytes | None, int] = (None, os.urandom(16), bcrypt.BCRYPT_BLOCK_PADDING)
            done = f"GCM: {error.status.name}; CBC: {{:,}} bytes"
        else:
            self.cipher = (bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(os.urandom(12)), None, 0)
            done = "{:,} bytes and a tag of 16"
        self.key = algorithm.generate_key(256)
        self.ciphertext = bcrypt.BCryptEncrypt(self.key, self.content, *self.cipher)
        require(self.ciphertext != self.content, "the ciphertext is the plaintext")
        return done.format(len(self.ciphertext))

    def decrypt_through_duplicate(self) -> str:
        duplicate = bcrypt.BCryptDuplicateKey(self.key)
        bcrypt.BCryptDestroyKey(self.key)
        plaintext = bcrypt.BCryptDecrypt(duplicate, self.ciphertext, *self.cipher)
        bcrypt.BCryptDestroyKey(duplicate)
        require(plaintext == self.content, "the plaintext is another")
        return "the file again, the original being destroyed"

    def import_wrapped_key(self) -> str:
        wrapping_value, value, iv = os.urandom(32), os.urandom(32), os.urandom(16)
        algorithm = self.open(bcrypt.BCRYPT_AES_ALGORITHM)
        wrapping_key = bcrypt.BCryptGenerateSymmetricKey(algorithm, None, wrapping_value)
        blob = aes_key_wrap(wrapping_value, value)
        key = bcrypt.BCryptImportKey(algorithm, wrapping_key, bcrypt.BCRYPT_AES_WRAP_KEY_BLOB, None, blob)
        ciphertext = bcrypt.BCryptEncrypt(key, self.content, None, iv, bcrypt.BCRYPT_BLOCK_PADDING)
        decryptor = Cipher(algorithms.AES(value), modes.CBC(iv)).decryptor()
        unpadder = PKCS7(128).unpadder()
        padded = decryptor.update(ciphertext) + decryptor.finalize()
        require(
            unpadder.update(padded) + unpadder.finalize() == self.content, "cryptography decrypts to something else"
        )
        bcrypt.BCryptDestroyKey(key)
        bcrypt.BCryptDestroyKey(wrapping_key)
        return "CBC ciphertext decrypted by cryptography"

    def generate_rsa(self) -> str:
        self.rsa = self.generate_pair(bcrypt.BCRYPT_RSA_ALGORITHM, 3072)
        return f"{bcrypt.BCryptGetProperty(self.rsa, bcrypt.BCRYPT_KEY_LENGTH)} bits, finalized"

    def sign_with_rsa(self) -> str:
        padding = bcrypt.BCRYPT_PKCS1_PADDING_INFO(bcrypt.BCRYPT_SHA256_ALGORITHM)
        signature = bcrypt.BCryptSignHash(self.rsa, padding, self.digest, bcrypt.BCRYPT_PAD_PKCS1)
        public = bcrypt.BCryptExportKey(self.rsa, None, bcrypt.BCRYPT_RSAPUBLIC_BLOB)
        openssl_verifies(rsa_public_pem(public), self.digest, signature)
        return "verified by the openssl command"

    def generate_ecdsa(self) -> str:
        self.ecdsa = self.generate_pair(bcrypt.BCRYPT_ECDSA_P256_ALGORITHM, 256)
        return f"{bcrypt.BCryptGetProperty(self.ecdsa, bcrypt.BCRYPT_KEY_LENGTH)} bits, finalized"

    def sign_with_ecdsa(self) -> str:
        signature = bcrypt.BCryptSignHash(self.ecdsa, None, self.digest)
        public = bcrypt.BCryptExportKey(self.ecdsa, None, bcrypt.BCRYPT_ECCPUBLIC_BLOB)
        openssl_verifies(p256_public_pem(public), self.digest, der_signature(signature))
        return "verified by the openssl command"

    def agree(self) -> str:
        ours, theirs = (self.generate_pair(bcrypt.BCRYPT_ECDH_P256_ALGORITHM, 256) for _ in range(2))
        parameters = [(bcrypt.KDF_HASH_ALGORITHM, bcrypt.BCRYPT_SHA256_ALGORITHM)]
        derived = []
        for private, public in ((ours, theirs), (theirs, ours)):
            with bcrypt.BCryptSecretAgreement(private, public) as secret:
                derived.append(bcrypt.BCryptDeriveKey(secret, bcrypt.BCRYPT_KDF_HASH, parameters, 32))
        bcrypt.BCryptDestroyKey(ours)
        bcrypt.BCryptDestroyKey(theirs)
        require(hmac.compare_digest(*derived), "the two sides derived different keys")
        return "both sides derive the same 32 bytes"

    def sign_in_another_process(self) -> str:
        storage = ncrypt.NCryptOpenStorageProvider(self.target.provider)
        key = ncrypt.NCryptCreatePersistedKey(storage, ncrypt.NCRYPT_ECDSA_P256_ALGORITHM, "release signing")
        ncrypt.NCryptFinalizeKey(key)
        child = [sys.executable, "-c", SIGNS_BY_URI, key.uri, self.digest.hex()]
        done = subprocess.run(child, capture_output=True, text=True, check=False)
        require(done.returncode == 0, f"the other process: {done.stderr.strip()[-200:]}")
        public = ncrypt.NCryptExportKey(key, None, bcrypt.BCRYPT_ECCPUBLIC_BLOB)
        openssl_verifies(p256_public_pem(public), self.digest, der_signature(bytes.fromhex(done.stdout)))
        ncrypt.NCryptDeleteKey(key)
        return "signed there, verified by the openssl command, deleted"

    def sign_with_container(self) -> str:
        csp, flags = wincrypt.PROV_RSA_AES, wincrypt.CRYPT_NEWKEYSET
        self.context = wincrypt.CryptAcquireContext("demo", self.target.provider, csp, flags)
        pair = wincrypt.CryptGenKey(self.context, wincrypt.AT_SIGNATURE, 2048 << 16)
        hashed = wincrypt.CryptCreateHash(self.context, wincrypt.CALG_SHA_256, None, 0)
        wincrypt.CryptHashData(hashed, self.content)
        little_endian = wincrypt.CryptSignHash(hashed, wincrypt.AT_SIGNATURE, None, 0)
        public = capi_public_pem(wincrypt.CryptExportKey(pair, None, wincrypt.PUBLICKEYBLOB))
        openssl_verifies(public, self.digest, little_endian[::-1])
        return "verified by the openssl command"

    def wrap_session_key(self) -> str:
        exchange = wincrypt.CryptGenKey(self.context, wincrypt.AT_KEYEXCHANGE, 2048 << 16)
        session = wincrypt.CryptGenKey(self.context, wincrypt.CALG_AES_256, wincrypt.CRYPT_EXPORTABLE)
        ciphertext = wincrypt.CryptEncrypt(session, None, True, 0, self.content)
        blob = wincrypt.CryptExportKey(session, exchange, wincrypt.SIMPLEBLOB)
        wincrypt.CryptDestroyKey(session)
        again = wincrypt.CryptImportKey(self.context, blob)
        require(wincrypt.CryptDecrypt(again, None, True, 0, ciphertext) == self.content, "the plaintext is another")
        return f"back from a SIMPLEBLOB of {len(blob)} bytes"

    def refuse_private_export(self) -> str:
        refusals = []
        for key, blob_type in (
            (self.rsa, bcrypt.BCRYPT_RSAFULLPRIVATE_BLOB),
            (self.ecdsa, bcrypt.BCRYPT_ECCPRIVATE_BLOB),
        ):
            try:
                bcrypt.BCryptExportKey(key, None, blob_type)
            except hwcng.CngError as error:
                refusals.append(error.status)
        require(refusals == [hwcng.NTSTATUS.STATUS_NOT_SUPPORTED] * 2, "a private key was exported")
        return f"refused: {refusals[0].name}"

    STEPS: tuple[tuple[str, Callable[[Day], str]], ...] = (
        ("AES-256-GCM with a key born in the token", encrypt_with_token_born_key),
        ("decryption through a duplicate", decrypt_through_duplicate),
        ("key imported by AES wrap under a token key", import_wrapped_key),
        ("RSA-3072 pair", generate_rsa),
        ("RSA signature of the file's SHA-256", sign_with_rsa),
        ("ECDSA P-256 pair", generate_ecdsa),
        ("ECDSA signature of the file's SHA-256", sign_with_ecdsa),
        ("ECDH P-256 between two token keys", agree),
        ("named ECDSA key, by its URI, in another process", sign_in_another_process),
        ("CryptGenKey: RSA signature of a container", sign_with_container),
        ("CryptGenKey: AES-256 key under an exchange key", wrap_session_key),
        ("export of the private keys", refuse_private_export),
    )

    def rows(self) -> Iterator[Row]:
        for what, step in self.STEPS:
            with self.target.counter() as counted:
                try:
                    result = step(self)
                    good: bool | None = True
                except hwcng.CngError as error:
                    # What this kind of token does not have is a documented answer; anything else is a failure.
                    good = None if error.status in LACKING and not self.target.has_all else False
                    result = f"{error.status.name}: {error.message}"
                except UnequalError as error:
                    result, good = str(error), False
            served_by = dict.fromkeys(self.target.served_by(counted))
            yield Row(what, "\n".join(served_by) or "the host", str(counted.total), result, good)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    readme = Path(__file__).parents[1] / "README.md"
    parser.add_argument("file", nargs="?", type=Path, default=readme, help="what is encrypted and signed")
    path: Path = parser.parse_args().file
    try:
        content = path.read_bytes()
    except OSError as error:
        parser.error(f"cannot read {path}: {error.strerror}")
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    good = True
    with tempfile.TemporaryDirectory(prefix="hwcng-demo-") as folder, ExitStack() as stack:
        days = [Day(stack.enter_context(target), content) for target in (softhsm(Path(folder, "softhsm")), tpm())]
        table = Table(title=f"{path.name}: {len(content):,} bytes", title_justify="left")
        table.add_column("what was done", min_width=24)
        table.add_column("token", no_wrap=True)
        table.add_column("served by", no_wrap=True)
        table.add_column("calls", justify="right")
        table.add_column("result", overflow="fold")
        for rows in zip(*(day.rows() for day in days), strict=True):
            for day, row in zip(days, rows, strict=True):
                good &= row.good is not False
                mark = MARKS[row.good]
                what = row.what if day is days[0] else ""
                table.add_row(what, day.target.name, row.served_by, row.calls, f"{mark} {row.result}")
            table.add_section()
        console.print(table)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
