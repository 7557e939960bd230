"""OpenSSL with keys of a token: Python's ssl, the openssl command, and every server that takes a key's file.

A key's file holds where the key is (`key.to_provider_pem()`), and OPENSSL_CONF names a configuration that loads the
provider for its token. OpenSSL reads it when it first starts, so the variable is set before the process begins, or
before it first imports ssl. `cryptography` brings an OpenSSL of its own, which knows none of this: it takes
`hwcng.pyca`'s keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hwcng.contract.provider import Provider
from hwcng.errors import invalid_parameter, told

__all__ = ["configuration", "environment"]

_HEAD = """\
openssl_conf = openssl_init

[openssl_init]
providers = provider_sect
"""
_ALGORITHMS = """\
alg_section = algorithm_sect

[algorithm_sect]
default_properties = {properties}
"""
_PROVIDERS = """
[provider_sect]
default = default_sect
{name} = {name}_sect

[default_sect]
activate = 1

[{name}_sect]
"""


def _value(name: str, text: str) -> str:
    """A value of config(5), which would expand a dollar sign and end at a number sign."""
    if any(character in text for character in '\n\r\0"'):
        raise invalid_parameter(f"{name} {told(text)} cannot be written into a configuration of OpenSSL")
    quoted = text.replace("\\", "\\\\").replace("$", "\\$")
    return quoted if text.replace("/", "").replace(".", "").replace("-", "").isalnum() else f'"{quoted}"'


def configuration(provider: Provider, *, module: str | Path | None = None) -> str:
    """The text of an openssl.cnf that loads OpenSSL's provider for this token beside its default one.

    module: the provider's file (pkcs11.so, tpm2.so), if not in OpenSSL's own folder of modules. A PIN is named by the
    pin-source that the token was opened with; without one OpenSSL asks for it. Raises STATUS_NOT_SUPPORTED for tokens
    for which OpenSSL has no provider.
    """
    described = provider.openssl()
    text = _HEAD
    if described.properties:
        text += _ALGORITHMS.format(properties=described.properties)
    text += _PROVIDERS.format(name=described.name)
    settings = {**({"module": str(module)} if module is not None else {}), **described.settings}
    lines = [f"{name} = {_value(name, value)}" for name, value in settings.items()]
    return text + "\n".join([*lines, "activate = 1", ""])


def environment(provider: Provider, configured: str | Path) -> Mapping[str, str]:
    """The variables that a process of OpenSSL needs for this token. configured: the file of `configuration`."""
    return {"OPENSSL_CONF": str(configured), **provider.openssl().environ}
