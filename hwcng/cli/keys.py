"""`hwcng keys`: what a token keeps under names."""

from __future__ import annotations

import base64
import contextlib
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from hwcng import ncrypt, pyca
from hwcng.cli.failures import as_cng_raises
from hwcng.cli.outcome import deliver, json_option, output_option, print_json, print_table, readable
from hwcng.cli.targets import asked_for, of_key, of_provider, pin_options
from hwcng.cng import naming
from hwcng.cng.key_pair import KeyPair
from hwcng.cng.stored_algorithm import algorithm_name
from hwcng.contract.specs import PairSpec, SecretSpec
from hwcng.contract.usage import SecretFamily, Usage
from hwcng.errors import HRESULT, CngError, told
from hwcng.standards.hashes import HASHES

if TYPE_CHECKING:
    from hwcng.cng.symmetric_key import SymmetricKey
    from hwcng.contract.pins import Pin
    from hwcng.contract.provider import KeyRecord

__all__ = ["keys", "record_data", "usages_of"]

_USUAL_BITS: Mapping[str, int] = MappingProxyType({"RSA": 3072, "DH": 3072, "DSA": 2048})
"""Length in bits where the command line has none and CNG's documented default is for old data only."""

_HMAC_KEYS: Mapping[str, str] = MappingProxyType(
    {"HMAC": "SHA256", **{f"HMAC-{name}": name for name in HASHES if not name.startswith("MD")}}
)
"""Algorithm -> hash: keys that ncrypt.h has no name for."""

_USES: Mapping[str, tuple[str, int]] = MappingProxyType(
    {
        "decrypt": (ncrypt.NCRYPT_KEY_USAGE_PROPERTY, ncrypt.NCRYPT_ALLOW_DECRYPT_FLAG),
        "sign": (ncrypt.NCRYPT_KEY_USAGE_PROPERTY, ncrypt.NCRYPT_ALLOW_SIGNING_FLAG),
        "agree": (ncrypt.NCRYPT_KEY_USAGE_PROPERTY, ncrypt.NCRYPT_ALLOW_KEY_AGREEMENT_FLAG),
        "import": (ncrypt.NCRYPT_KEY_USAGE_PROPERTY, ncrypt.NCRYPT_ALLOW_KEY_IMPORT_FLAG),
        "attest": (ncrypt.NCRYPT_PCP_KEY_USAGE_POLICY_PROPERTY, ncrypt.NCRYPT_PCP_IDENTITY_KEY),
    }
)
"""Use -> the property that allows it, and its flag there."""

_certificates = click.Path(exists=True, dir_okay=False, path_type=Path)


def usages_of(usage: Usage) -> list[str]:
    return [use.name.lower() for use in Usage if use in usage and use is not Usage.NONE and use.name]


def _created(seconds: int | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc).isoformat()


def record_data(record: KeyRecord) -> dict[str, Any]:
    """A key of a listing as JSON has it. algorithm: CNG's name, None for what CNG has no name for."""
    spec = record.spec
    algorithm = None
    with contextlib.suppress(CngError):
        algorithm = algorithm_name(spec)
    return {
        "name": record.name,
        "algorithm": algorithm,
        "kind": record.kind,
        "bits": spec.bits or None,
        "curve": (spec.curve or None) if isinstance(spec, PairSpec) else None,
        "parameter_set": (spec.parameter_set or None) if isinstance(spec, PairSpec) else None,
        "usage": usages_of(record.usage),
        "exportable": spec.exportable,
        "certificate": record.certificate,
        "created": _created(record.created),
        "id": record.id.hex(),
        "address": record.address,
        "uri": record.uri,
    }


@click.group()
def keys() -> None:
    """The keys that a token keeps under names."""


@keys.command("list")
@click.argument("uri")
@json_option
@pin_options
def list_keys(uri: str, as_json: bool, pin: Pin | None) -> None:
    """List a token's keys. Without a PIN a PKCS#11 token shows what it shows to everybody."""
    records, whole = of_provider(uri, pin).records()
    found = [record_data(record) for record in records]
    if as_json:
        print_json({"complete": whole, "keys": found})
        return
    rows = [
        (
            key["address"] or key["name"],
            key["algorithm"] or key["kind"],
            _size(key),
            ", ".join(key["usage"]),
            "yes" if key["certificate"] else "",
        )
        for key in found
    ]
    print_table(("name", "algorithm", "size", "usage", "certificate"), rows)
    if not whole:
        click.echo("without a PIN these are the pairs with a public half that everybody sees", err=True)


def _size(key: Mapping[str, Any]) -> str:
    return str(key["curve"] or key["parameter_set"] or (f"{key['bits']} bits" if key["bits"] else ""))


def _shown(key: KeyPair | SymmetricKey, name: str) -> dict[str, Any]:
    """One key, from what is open: no search through the token's other keys."""
    certificates = []
    if isinstance(key, KeyPair):
        with contextlib.suppress(CngError):
            certificates = [certificate.subject.rfc4514_string() for certificate in key.certificates]
    spec = key.in_token().spec
    pair = spec if isinstance(spec, PairSpec) else None
    return {
        "name": name,
        "algorithm": key.algorithm_handle.name,
        "bits": key.bits,
        "curve": (pair.curve or None) if pair else None,
        "parameter_set": (pair.parameter_set or None) if pair else None,
        "usage": usages_of(spec.usage),
        "exportable": spec.exportable,
        "certificates": certificates,
        "public_key": _public_pem(key).decode() if pair else None,
        "uri": key.uri,
    }


def _public_pem(key: KeyPair | SymmetricKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@keys.command()
@click.argument("uri")
@click.argument("name", required=False)
@json_option
@pin_options
def show(uri: str, name: str | None, as_json: bool, pin: Pin | None) -> None:
    """What a key is, its URI, and of a pair the public half."""
    key = of_key(uri, name, pin).key()
    _tell(_shown(key, key.name or ""), as_json)


def _tell(shown: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(shown)
        return
    for what, value in shown.items():
        if value in (None, [], ""):
            continue
        text = ", ".join(value) if isinstance(value, list) else str(value)
        label = what.replace("_", " ")
        click.echo(text, nl=False) if what == "public_key" else click.echo(f"{label}: {readable(text)}")


@keys.command()
@click.argument("uri")
@click.option("--name", required=True, help="The name that the token keeps it under.")
@click.option(
    "--algorithm", required=True, help="CNG's name: ECDSA_P256, RSA, AES, ML-DSA ...; HMAC-SHA256 and its like."
)
@click.option("--bits", type=click.IntRange(1), help="Its length in bits. RSA and DH: 3072 where it is not given.")
@click.option("--parameter-set", help="Of ML-DSA and ML-KEM: 44, 65, 87; 512, 768, 1024.")
@click.option("--use", "uses", type=click.Choice(list(_USES)), multiple=True, help="Only this use. Repeat it for more.")
@click.option("--exportable", is_flag=True, help="Other keys of the token may wrap it: it can be moved.")
@click.option("--replace", is_flag=True, help="A key of that name gives way, once the new one is there.")
@json_option
@pin_options
def generate(
    uri: str,
    name: str,
    algorithm: str,
    bits: int | None,
    parameter_set: str | None,
    uses: tuple[str, ...],
    exportable: bool,
    replace: bool,
    as_json: bool,
    pin: Pin | None,
) -> None:
    """Have the token make a key and keep it."""
    target = of_provider(uri, pin)
    provider, keys_pin = target.provider(), target.keys_pin()
    if hash_name := _HMAC_KEYS.get(algorithm):
        if parameter_set or uses:
            raise click.UsageError("an HMAC key has neither a parameter set nor another use")
        spec = SecretSpec(SecretFamily.HMAC, bits or 256, Usage.SIGN, exportable, hash_name)
        stored = naming.maker_of(provider, name, pin=keys_pin, replace=replace).generate_secret(spec)
        _made(naming.handle_of(provider, stored, name), name, as_json)
        return
    storage = ncrypt.NCryptOpenStorageProvider(provider)
    flags = ncrypt.NCRYPT_OVERWRITE_KEY_FLAG if replace else 0
    key = ncrypt.NCryptCreatePersistedKey(storage, algorithm, name, 0, flags)
    if bits is None:
        bits = _USUAL_BITS.get(algorithm)
    allowed: dict[str, int] = {}
    for property_name, flag in map(_USES.__getitem__, uses):
        allowed[property_name] = allowed.get(property_name, 0) | flag
    if len(allowed) > 1:
        raise click.UsageError("an identity key has no other use than attest")
    properties: dict[str, Any] = {
        ncrypt.NCRYPT_LENGTH_PROPERTY: bits,
        ncrypt.NCRYPT_PARAMETER_SET_NAME_PROPERTY: parameter_set,
        **allowed,
        ncrypt.NCRYPT_EXPORT_POLICY_PROPERTY: ncrypt.NCRYPT_ALLOW_EXPORT_FLAG if exportable else None,
    }
    for property_name, value in properties.items():
        if value is not None:
            ncrypt.NCryptSetProperty(key, property_name, value)
    if keys_pin:
        key.authorize(keys_pin)
    ncrypt.NCryptFinalizeKey(key)
    _made(key.key, name, as_json)


def _made(key: KeyPair | SymmetricKey, name: str, as_json: bool) -> None:
    """Only the key's URI where no JSON is asked for: what a script needs next."""
    shown = _shown(key, name)
    if as_json:
        print_json(shown)
    else:
        click.echo(shown["uri"])


@keys.command("import")
@click.argument("uri")
@click.argument("file", type=click.File("rb"))
@click.option("--name", required=True, help="The name that the token keeps it under.")
@click.option("--ask-password", is_flag=True, help="Ask for the password of an encrypted PEM at the terminal.")
@json_option
@pin_options
def import_(uri: str, file: Any, name: str, ask_password: bool, as_json: bool, pin: Pin | None) -> None:
    """Put a private key of a PEM file (PKCS#8, or of its kind) into a token. The file stays as it is."""
    password = asked_for("password of the PEM").encode() if ask_password else None
    target = of_provider(uri, pin)
    provider = target.provider()
    try:
        private = load_pem_private_key(file.read(), password)
    except (ValueError, TypeError) as error:
        raise CngError(
            HRESULT.NTE_BAD_DATA, f"{file.name}: no private key in PEM, or its password is missing or wrong: {error}"
        ) from None
    with as_cng_raises():
        key = pyca.import_private_key(provider, private, name, pin=target.keys_pin())
    _made(key, name, as_json)


@keys.command("export-public")
@click.argument("uri")
@click.argument("name", required=False)
@output_option()
@click.option("--format", "form", type=click.Choice(["pem", "der", "openssh"]), default="pem", show_default=True)
@json_option
@pin_options
def export_public(uri: str, name: str | None, output: Path | None, form: str, as_json: bool, pin: Pin | None) -> None:
    """Write the public half of a pair."""
    key = of_key(uri, name, pin).key()
    encoding, layout = {
        "pem": (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "der": (Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "openssh": (Encoding.OpenSSH, PublicFormat.OpenSSH),
    }[form]
    octets = key.public_key().public_bytes(encoding, layout)
    text = base64.b64encode(octets).decode() if form == "der" else octets.decode()
    data = {"key": key.name, "format": form, "public_key": text}
    deliver(octets + (b"\n" if form == "openssh" else b""), output, as_json, data)


@keys.command()
@click.argument("uri")
@click.argument("name")
@click.argument("new_name")
@json_option
@pin_options
def rename(uri: str, name: str, new_name: str, as_json: bool, pin: Pin | None) -> None:
    """Give a key another name. It is stored under the new one before the old one goes."""
    target = of_provider(uri, pin)
    provider = target.provider()
    naming.rename(provider, name, new_name, pin=target.keys_pin())
    if as_json:
        print_json({"name": new_name, "uri": provider.key_uri(new_name)})


@keys.command()
@click.argument("uri")
@click.argument("name", required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@pin_options
def delete(uri: str, name: str | None, yes: bool, as_json: bool, pin: Pin | None) -> None:
    """Delete a key for ever, and its certificates with it."""
    target = of_key(uri, name, pin)
    if not yes and sys.stdin.isatty():
        click.confirm(f"Delete the key {told(name or uri)} for ever?", abort=True, err=True)
    # Not opened: whoever has lost a key's own PIN wants it gone.
    provider, found = target.located()
    provider.delete_key(found)
    if as_json:
        print_json({"deleted": found})


@keys.command()
@click.argument("uri")
@click.argument("name", required=False)
@click.option("--store", type=_certificates, help="A PEM file: the key's own certificate, then its issuers'.")
@output_option()
@json_option
@pin_options
def certificate(
    uri: str, name: str | None, store: Path | None, output: Path | None, as_json: bool, pin: Pin | None
) -> None:
    """Write the certificates that are kept beside a key as PEM, or with --store keep others there."""
    key = of_key(uri, name, pin).key()
    if not isinstance(key, KeyPair):
        raise CngError(HRESULT.NTE_NOT_SUPPORTED, "a secret key has no certificate")
    if store is not None:
        try:
            given = x509.load_pem_x509_certificates(store.read_bytes())
        except ValueError as error:
            raise CngError(HRESULT.NTE_BAD_DATA, f"{store}: no certificates in PEM: {error}") from None
        key.store_certificates(given)
        if as_json:
            print_json({"key": key.name, "certificates": _pems(given)})
        return
    pems = _pems(key.certificates)
    if not pems:
        raise CngError(HRESULT.NTE_NOT_FOUND, f"no certificate is kept beside the key {told(key.name)}")
    deliver("".join(pems).encode(), output, as_json, {"key": key.name, "certificates": pems})


def _pems(certificates: Sequence[x509.Certificate]) -> list[str]:
    return [certificate.public_bytes(Encoding.PEM).decode() for certificate in certificates]
