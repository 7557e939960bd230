"""`hwcng encrypt` and `hwcng decrypt`: files under a key of a token, in the format of `hwcng.cli.envelope`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from hwcng import pyca
from hwcng.cli.envelope import Wrapping, open_chunks, read_header, seal_chunks
from hwcng.cli.failures import as_cng_raises
from hwcng.cli.outcome import Exit, json_option, new_file, output_option, print_json
from hwcng.cli.targets import of_key, pin_options, split_operands
from hwcng.cng.key_pair import KeyPair
from hwcng.cng.symmetric_key import SymmetricKey
from hwcng.contract.specs import CipherSpec
from hwcng.contract.usage import CipherMode, SecretFamily, Support
from hwcng.errors import NTSTATUS, CngError, not_supported, told

if TYPE_CHECKING:
    from hwcng.contract.pins import Pin

__all__ = ["decrypt", "encrypt"]

_NONCE, _BLOCK = 12, 16
_OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)

_output = output_option("Appears when it is whole.", required=True)


def _wrap(key: KeyPair | SymmetricKey, data_key: bytes) -> tuple[Wrapping, bytes]:
    """The data key under a key of the token."""
    if isinstance(key, KeyPair):
        public = key.public_key()
        if not isinstance(public, rsa.RSAPublicKey):
            raise _no_encryption(key)
        return Wrapping.RSA_OAEP, public.encrypt(data_key, _OAEP)
    if key.token_key.spec.family is not SecretFamily.AES:
        raise _no_encryption(key)
    if key.algorithm_handle.provider.offers("AES", "GCM") is Support.REFUSED:
        iv = os.urandom(_BLOCK)
        return Wrapping.AES_CBC, iv + key.token_key.encrypt(CipherSpec(CipherMode.CBC, iv), data_key)
    nonce = os.urandom(_NONCE)
    with as_cng_raises():
        return Wrapping.AES_GCM, nonce + pyca.AESGCM(key).encrypt(nonce, data_key, None)


def _unwrap(key: KeyPair | SymmetricKey, wrapping: Wrapping, wrapped: bytes) -> bytes:
    try:
        with as_cng_raises():
            if wrapping is Wrapping.RSA_OAEP and isinstance(key, KeyPair):
                private: Any = key.as_cryptography()
                unwrapped: bytes = private.decrypt(wrapped, _OAEP)
                return unwrapped
            if wrapping is Wrapping.AES_GCM and isinstance(key, SymmetricKey):
                return pyca.AESGCM(key).decrypt(wrapped[:_NONCE], wrapped[_NONCE:], None)
            if wrapping is Wrapping.AES_CBC and isinstance(key, SymmetricKey):
                return key.token_key.decrypt(CipherSpec(CipherMode.CBC, wrapped[:_BLOCK]), wrapped[_BLOCK:])
    except (InvalidTag, ValueError):
        pass
    except CngError as error:
        if error.status not in (NTSTATUS.STATUS_AUTH_TAG_MISMATCH, NTSTATUS.STATUS_UNSUCCESSFUL):
            raise
    raise CngError(
        NTSTATUS.STATUS_AUTH_TAG_MISMATCH,
        f"the file was not encrypted for the key {told(key.name)}, or was altered: it asks for {wrapping.name}",
    )


def _no_encryption(key: KeyPair | SymmetricKey) -> CngError:
    return not_supported(f"the key {told(key.name)} is {key.algorithm_handle.name}: files are encrypted by AES and RSA")


@contextmanager
def _files(path: str, output: Path | None) -> Iterator[tuple[IO[bytes], IO[bytes], Callable[[int], None]]]:
    """What is read, what is written, and whom to tell how far it is: a bar on a terminal's standard error,
    where the length is known."""
    shown: Any
    with click.open_file(path, "rb") as source, new_file(output, secret=True) as into:
        length = os.path.getsize(path) if path != "-" and os.path.isfile(path) else None
        hidden = length is None or not sys.stderr.isatty()
        with click.progressbar(length=length or 0, file=sys.stderr, hidden=hidden) as shown:
            yield source, into, shown.update


@click.command()
@click.argument("uri")
@click.argument("operands", metavar="[NAME] FILE", nargs=-1)
@_output
@json_option
@pin_options
def encrypt(uri: str, operands: tuple[str, ...], output: Path | None, as_json: bool, pin: Pin | None) -> None:
    """Encrypt a file of any size under an AES or RSA key of a token. FILE may be -, for standard input."""
    _require_one_meaning(output, as_json)
    name, path = split_operands(uri, operands, "FILE")
    key = of_key(uri, name, pin).key()
    with _files(path, output) as (source, into, tell):
        seal_chunks(source, into, lambda data_key: _wrap(key, data_key), tell)
    _report(key, output, as_json)


def _require_one_meaning(output: Path | None, as_json: bool) -> None:
    if output is None and as_json:
        raise click.UsageError("--output - and --json would both write to standard output")


def _report(key: KeyPair | SymmetricKey, output: Path | None, as_json: bool) -> None:
    if as_json:
        print_json({"key": key.name, "output": str(output)})


@click.command()
@click.argument("uri")
@click.argument("operands", metavar="[NAME] FILE", nargs=-1)
@_output
@json_option
@pin_options
def decrypt(uri: str, operands: tuple[str, ...], output: Path | None, as_json: bool, pin: Pin | None) -> int:
    """Decrypt what `hwcng encrypt` wrote. Exit status 4: it was altered, or another key encrypted it."""
    _require_one_meaning(output, as_json)
    name, path = split_operands(uri, operands, "FILE")
    key = of_key(uri, name, pin).key()
    try:
        with _files(path, output) as (source, into, tell):
            header = read_header(source)
            open_chunks(header, _unwrap(key, header.wrapping, header.wrapped), source, into, tell)
    except CngError as error:
        if error.status is not NTSTATUS.STATUS_AUTH_TAG_MISMATCH:
            raise
        click.echo(f"hwcng: {error}", err=True)
        return Exit.NOT_VALID
    _report(key, output, as_json)
    return Exit.OK
