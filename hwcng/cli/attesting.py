"""`hwcng attest`: what a TPM states of a key, as JSON, and what such a statement proves, on any host."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hwcng.attestation import Attestation, AttestedKey, verify_attestation
from hwcng.cli.outcome import Exit, deliver, json_option, output_option, print_json
from hwcng.cli.targets import of_key, pin_options
from hwcng.cli.wording import in_options
from hwcng.cng import naming
from hwcng.cng.handles import attest as attest_by
from hwcng.errors import HRESULT, NTSTATUS, CngError
from hwcng.hostcrypto.host_keys import host_key
from hwcng.providers.pin_sources import read_pin_file

if TYPE_CHECKING:
    from hwcng.cng.key_pair import KeyPair
    from hwcng.cng.symmetric_key import SymmetricKey
    from hwcng.contract.pins import Pin

__all__ = ["attest"]

_NONCE = 32


def _octets(ctx: click.Context, parameter: click.Parameter, value: str | None) -> bytes | None:
    try:
        return None if value is None else bytes.fromhex(value)
    except ValueError:
        raise click.BadParameter("hexadecimal digits expected, two for a byte", ctx, parameter) from None


@click.command()
@click.argument("uri", required=False)
@click.argument("name", required=False)
@click.option(
    "--nonce", callback=_octets, help="Of the verifier, in hexadecimal, 32 bytes at most. Without it one is drawn."
)
@click.option(
    "--authority", metavar="NAME", help="The identity key of the same TPM that signs; else the TPM's attestation key."
)
@click.option(
    "--authority-pin-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file that holds the identity key's own PIN.",
)
@output_option()
@click.option(
    "--verify", "statement", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Verify a file instead."
)
@json_option
@pin_options
def attest(
    uri: str | None,
    name: str | None,
    nonce: bytes | None,
    authority: str | None,
    authority_pin_file: Path | None,
    output: Path | None,
    statement: Path | None,
    as_json: bool,
    pin: Pin | None,
) -> int:
    """Have a TPM state that it holds a key, or verify such a statement, which needs no TPM. Both write JSON.

    Exit status 4 of --verify: the statement proves nothing.
    """
    if statement is not None:
        if uri is not None or authority is not None:
            raise click.UsageError("--verify takes a file and no key")
        if nonce is None:
            raise click.UsageError("--verify needs the --nonce that the statement was asked for with")
        return _verified(statement, nonce)
    if uri is None:
        raise click.UsageError("URI is missing")
    if authority_pin_file is not None and authority is None:
        raise click.UsageError("--authority-pin-file is of the key that --authority names")
    given = secrets.token_bytes(_NONCE) if nonce is None else nonce
    made = _stated(of_key(uri, name, pin).key(), given, authority, authority_pin_file)
    data = {"nonce": given.hex(), **{what: base64.b64encode(octets).decode() for what, octets in asdict(made).items()}}
    deliver(json.dumps(data, indent=1).encode() + b"\n", output, as_json, data)
    return Exit.OK


def _stated(
    key: KeyPair | SymmetricKey, nonce: bytes, authority: str | None, authority_pin_file: Path | None
) -> Attestation:
    if authority is None:
        return key.attest(nonce)
    pin = None if authority_pin_file is None else read_pin_file(str(authority_pin_file), "--authority-pin-file")
    try:
        with naming.open_named(key.algorithm_handle.provider, authority, pin=pin) as signer:
            return attest_by(key.in_token(), nonce, signer.in_token())
    except CngError as error:
        # Either key's PIN may be refused.
        if repr(authority) not in error.message:
            raise
        raise CngError(error.status, in_options(error.message, "--authority-pin-file"), error.token_code) from error


def _verified(statement: Path, nonce: bytes) -> int:
    try:
        data = json.loads(statement.read_bytes())
        read = Attestation(**{field.name: base64.b64decode(data[field.name]) for field in fields(Attestation)})
    except (ValueError, KeyError, TypeError) as error:
        raise CngError(HRESULT.NTE_BAD_DATA, f"{statement}: not written by `hwcng attest`: {error}") from None
    try:
        attested = verify_attestation(read, nonce)
    except CngError as error:
        if error.status not in (NTSTATUS.STATUS_INVALID_SIGNATURE, NTSTATUS.STATUS_INVALID_PARAMETER):
            raise
        click.echo(f"hwcng: {error}", err=True)
        return Exit.NOT_VALID
    print_json(_told(attested))
    return Exit.OK


def _told(attested: AttestedKey) -> dict[str, Any]:
    public = None
    if attested.public is not None:
        key = host_key(attested.public)
        public = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return {
        "name": attested.name.hex(),
        "fixed_tpm": attested.fixed_tpm,
        "made_by_tpm": attested.made_by_tpm,
        "creation_certified": attested.creation_certified,
        "parent_name": attested.parent_name.hex(),
        "signer_name": attested.signer_name.hex(),
        "public_key": public,
    }
