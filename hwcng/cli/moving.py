"""`hwcng move`: a key from one token into another, wrapped on its way by what the other token alone can unwrap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hwcng.cli.outcome import json_option, print_json
from hwcng.cli.targets import of_provider, pin_options
from hwcng.cng import naming
from hwcng.contract.keys import SecretKey
from hwcng.contract.material import RsaPublicKey
from hwcng.contract.specs import PairSpec, RsaAesKeyWrapSpec, RsaOaepSpec, SecretSpec
from hwcng.contract.usage import SecretFamily, Usage
from hwcng.errors import HRESULT, CngError, not_supported, told

if TYPE_CHECKING:
    from hwcng.contract.keys import PrivateKey
    from hwcng.contract.pins import Pin
    from hwcng.contract.provider import Provider

__all__ = ["move"]

_TRANSPORT = PairSpec("RSA", Usage.UNWRAP | Usage.DECRYPT, bits=3072)
_BETWEEN = SecretSpec(SecretFamily.AES, 256, Usage.WRAP | Usage.ENCRYPT, exportable=True)
_OAEP = RsaOaepSpec("SHA1")
"""OAEP's hash secures nothing but its shape, and SHA-1 is the one that every token has."""


@click.command()
@click.argument("uri")
@click.argument("name")
@click.argument("destination")
@click.option("--new-name", help="Another name there.")
@click.option("--delete", is_flag=True, help="Delete it here, once it is there.")
@json_option
@pin_options
def move(
    uri: str, name: str, destination: str, new_name: str | None, delete: bool, as_json: bool, pin: Pin | None
) -> None:
    """Copy a key that may leave its token into another one; with --delete it is moved.

    It travels encrypted to a key of the other token that ends with the command. The PIN options are of the first token;
    the other one's PIN is in its URI or its configured name.
    """
    origin = of_provider(uri, pin)
    source, target = origin.provider(), of_provider(destination, None).provider()
    with naming.open_named(source, name, pin=origin.keys_pin()) as key:
        held = key.in_token()
        if not held.spec.exportable:
            raise not_supported(
                f"the key {told(name)} may not leave its token: it was not made with --exportable, and nothing changes "
                "that later. Make another in the other token, or restore the token's own backup there"
            )
        stored = _carried(held, source, target, new_name or name)
    uri_there = target.key_uri(new_name or name)
    stored.destroy()
    if delete:
        source.delete_key(name)
    if as_json:
        print_json({"uri": uri_there, "deleted": delete})
    else:
        click.echo(uri_there)


def _carried(key: SecretKey | PrivateKey, source: Provider, target: Provider, name: str) -> SecretKey | PrivateKey:
    """The key under its name in the other token. A secret key travels encrypted to an RSA key of that token; a private
    one in PKCS #8 under an AES key that travels so (CKM_RSA_AES_KEY_WRAP's two steps).
    """
    transport = target.generate_pair(_TRANSPORT)
    try:
        public = transport.public
        if not isinstance(public, RsaPublicKey):
            raise CngError(HRESULT.NTE_FAIL, "the other token made no RSA key")
        maker = target.named(name)
        if isinstance(key, SecretKey):
            return maker.unwrap_secret(key.spec, transport, key.wrapped_for(public, _OAEP), _OAEP)
        return maker.unwrap_pair(key.spec, transport, _wrapped_pair(key, source, public), RsaAesKeyWrapSpec(_OAEP))
    finally:
        transport.destroy()


def _wrapped_pair(key: PrivateKey, source: Provider, public: RsaPublicKey) -> bytes:
    between = source.generate_secret(_BETWEEN)
    try:
        return between.wrapped_for(public, _OAEP) + key.wrapped_under(between)
    finally:
        between.destroy()
