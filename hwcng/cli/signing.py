"""`hwcng sign`, `verify` and `csr`: signatures as files, and certificate requests (PKCS #10, RFC 2986; RFC 4514)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding

from hwcng import pyca
from hwcng.cli.failures import as_cng_raises
from hwcng.cli.outcome import Exit, deliver, json_option, output_option, print_json
from hwcng.cli.targets import of_key, pin_options, split_operands
from hwcng.cng.symmetric_key import SymmetricKey
from hwcng.errors import NTSTATUS, CngError, not_supported, told

if TYPE_CHECKING:
    from hwcng.cng.key_pair import KeyPair
    from hwcng.contract.pins import Pin

__all__ = ["csr", "sign", "verify"]

_HASHES: Mapping[str, hashes.HashAlgorithm] = MappingProxyType(
    {
        "SHA1": hashes.SHA1(),  # noqa: S303 - whoever names it gets it
        "SHA256": hashes.SHA256(),
        "SHA384": hashes.SHA384(),
        "SHA512": hashes.SHA512(),
        "SHA3-256": hashes.SHA3_256(),
        "SHA3-384": hashes.SHA3_384(),
        "SHA3-512": hashes.SHA3_512(),
    }
)
_CHUNK = 1 << 20

_hash = click.option(
    "--hash", "hash_name", type=click.Choice(list(_HASHES), case_sensitive=False), default="SHA256", show_default=True
)
_padding = click.option(
    "--padding", "padding_name", type=click.Choice(["pss", "pkcs1"]), default="pss", show_default=True, help="Of RSA."
)


def _digest(path: str, hash_name: str) -> bytes:
    running = hashlib.new(hash_name.lower().replace("sha3-", "sha3_"))
    with click.open_file(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            running.update(chunk)
    return running.digest()


def _content(path: str) -> bytes:
    with click.open_file(path, "rb") as file:
        content: bytes = file.read()
    return content


def _rsa_padding(name: str, algorithm: hashes.HashAlgorithm) -> Any:
    if name == "pkcs1":
        return padding.PKCS1v15()
    return padding.PSS(padding.MGF1(algorithm), algorithm.digest_size)


def _arguments(public: object, path: str, hash_name: str, padding_name: str) -> tuple[Any, ...]:
    """What `sign` of a private key takes, and `verify` of a public one after the signature: the digest of the file, the
    whole of it for what signs messages alone."""
    algorithm = _HASHES[hash_name]
    if isinstance(public, rsa.RSAPublicKey):
        return _digest(path, hash_name), _rsa_padding(padding_name, algorithm), utils.Prehashed(algorithm)
    if isinstance(public, ec.EllipticCurvePublicKey):
        return _digest(path, hash_name), ec.ECDSA(utils.Prehashed(algorithm))
    if isinstance(public, dsa.DSAPublicKey):
        return _digest(path, hash_name), utils.Prehashed(algorithm)
    if hasattr(public, "verify"):
        return (_content(path),)
    raise not_supported("a key of this kind signs nothing")


def _mac(key: SymmetricKey, path: str, hash_name: str) -> bytes:
    with as_cng_raises(), click.open_file(path, "rb") as file:
        running = pyca.HMAC(key, _HASHES[hash_name])
        while chunk := file.read(_CHUNK):
            running.update(chunk)
        return running.finalize()


def _signature(key: KeyPair | SymmetricKey, path: str, hash_name: str, padding_name: str) -> bytes:
    if isinstance(key, SymmetricKey):
        return _mac(key, path, hash_name)
    with as_cng_raises():
        private: Any = key.as_cryptography()
        given = _arguments(private.public_key(), path, hash_name, padding_name)
        signature: bytes = private.sign(*given)
    return signature


def _require_signature(
    key: KeyPair | SymmetricKey, path: str, signature: bytes, hash_name: str, padding_name: str
) -> None:
    """Raises InvalidSignature."""
    if isinstance(key, SymmetricKey):
        if not hmac.compare_digest(_mac(key, path, hash_name), signature):
            raise InvalidSignature
        return
    public: Any = key.public_key()
    given = _arguments(public, path, hash_name, padding_name)
    public.verify(signature, *given)


@click.command()
@click.argument("uri")
@click.argument("operands", metavar="[NAME] FILE", nargs=-1)
@output_option("The signature; else standard output.")
@_hash
@_padding
@json_option
@pin_options
def sign(
    uri: str,
    operands: tuple[str, ...],
    output: Path | None,
    hash_name: str,
    padding_name: str,
    as_json: bool,
    pin: Pin | None,
) -> None:
    """Sign a file with a key of a token: ECDSA as DER, RSA by PSS with a salt of the hash's length, HMAC as it is."""
    name, path = split_operands(uri, operands, "FILE")
    key = of_key(uri, name, pin).key()
    signature = _signature(key, path, hash_name, padding_name)
    data = {"key": key.name, "hash": hash_name, "signature": base64.b64encode(signature).decode()}
    deliver(signature, output, as_json, data)


@click.command()
@click.argument("uri")
@click.argument("operands", metavar="[NAME] FILE", nargs=-1)
@click.option("--signature", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_hash
@_padding
@json_option
@pin_options
def verify(
    uri: str,
    operands: tuple[str, ...],
    signature: Path,
    hash_name: str,
    padding_name: str,
    as_json: bool,
    pin: Pin | None,
) -> int:
    """Say whether a signature is that of a file and a token's key. Exit status 4: it is not."""
    name, path = split_operands(uri, operands, "FILE")
    key = of_key(uri, name, pin).key()
    try:
        _require_signature(key, path, signature.read_bytes(), hash_name, padding_name)
        valid = True
    except InvalidSignature:
        valid = False
    if as_json:
        print_json({"valid": valid, "key": key.name, "hash": hash_name})
    else:
        click.echo("the signature is valid" if valid else "the signature is NOT valid", err=not valid)
    return Exit.OK if valid else Exit.NOT_VALID


@click.command()
@click.argument("uri")
@click.argument("name", required=False)
@click.option("--subject", required=True, help="RFC 4514: CN=www.example.org,O=Example,C=DE")
@click.option("--dns", "dns_names", multiple=True, help="A DNS name of its. Repeat it for more.")
@output_option()
@_hash
@click.option(
    "--padding", "padding_name", type=click.Choice(["pss", "pkcs1"]), default="pkcs1", show_default=True, help="Of RSA."
)
@json_option
@pin_options
def csr(
    uri: str,
    name: str | None,
    subject: str,
    dns_names: tuple[str, ...],
    output: Path | None,
    hash_name: str,
    padding_name: str,
    as_json: bool,
    pin: Pin | None,
) -> None:
    """A certificate request in PEM, signed by a key of a token."""
    try:
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name.from_rfc4514_string(subject))
        if dns_names:
            if not all(dns_names):
                raise ValueError("a DNS name has one letter at least")
            names = x509.SubjectAlternativeName([x509.DNSName(dns_name) for dns_name in dns_names])
            builder = builder.add_extension(names, critical=False)
    except ValueError as error:
        reason = str(error) or "a name is written as in CN=www.example.org,O=Example,C=DE (RFC 4514)"
        raise click.BadParameter(reason, param_hint="--subject or --dns") from None
    key = of_key(uri, name, pin).key()
    with as_cng_raises():
        private: Any = key.as_cryptography()
        public = private.public_key()
        hashed = isinstance(public, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey, dsa.DSAPublicKey))
        algorithm: Any = _HASHES[hash_name] if hashed else None
        chosen = _rsa_padding(padding_name, _HASHES[hash_name]) if isinstance(public, rsa.RSAPublicKey) else None
        try:
            request = builder.sign(private, algorithm, rsa_padding=chosen)
        except TypeError:
            raise not_supported(f"the key {told(key.name)} signs no requests") from None
    if not request.is_signature_valid:
        raise CngError(NTSTATUS.STATUS_INVALID_SIGNATURE, "the token's signature of the request is not valid")
    pem = request.public_bytes(Encoding.PEM)
    deliver(pem, output, as_json, {"key": key.name, "request": pem.decode()})
