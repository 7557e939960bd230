"""What URI and NAME mean: a provider, or a key of it; and where its PIN comes from, which is never the command line."""

from __future__ import annotations

import contextlib
import getpass
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from hwcng.cng import naming
from hwcng.cng.key_pair import KeyPair
from hwcng.cng.symmetric_key import SymmetricKey
from hwcng.contract.pins import Pin
from hwcng.contract.provider import KeyRecord, Provider
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.backends import backend_of, parse_uri
from hwcng.providers.locating import provider_of_key
from hwcng.providers.pin_sources import read_pin_file, read_pin_source
from hwcng.providers.registry import is_configured, open_provider, uri_of
from hwcng.providers.survey import visible_keys

__all__ = ["Target", "asked_for", "of_key", "of_provider", "pin_options", "split_operands"]

PIN_VARIABLE = "HWCNG_PIN"

F = TypeVar("F", bound=Callable[..., Any])


def pin_options(command: F) -> F:
    """Where the PIN comes from. The command gets it as its argument `pin`, None where nothing says it."""
    for option in (
        click.option(
            "--pin-file",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            callback=_pin_given,
            expose_value=False,
            help="A file that holds the PIN; a newline at its end is not part of it.",
        ),
        click.option(
            "--ask-pin",
            is_flag=True,
            callback=_pin_given,
            expose_value=False,
            help="Ask for the PIN at the terminal.",
        ),
    ):
        command = option(command)
    return cast(F, _with_pin(command))


def _pin_given(ctx: click.Context, parameter: click.Parameter, value: Path | bool | None) -> None:
    if not value:
        return
    if "pin" in ctx.meta:
        raise click.UsageError("--pin-file and --ask-pin exclude each other")
    ctx.meta["pin"] = value


def _with_pin(command: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(command)
    def called(*args: Any, **values: Any) -> Any:
        return command(*args, pin=_pin_of(click.get_current_context().meta.get("pin")), **values)

    return called


def _pin_of(given: Path | bool | None) -> Pin | None:
    if isinstance(given, Path):
        return read_pin_file(str(given), "--pin-file")
    if given:
        return lambda: asked_for("PIN")
    return read_pin_source(f"env:{PIN_VARIABLE}") if os.environ.get(PIN_VARIABLE) else None


def asked_for(what: str) -> str:
    """What the terminal is asked for, and does not show. Raises click.UsageError where there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(f"{what}: ")
        except getpass.GetPassWarning:
            # Read from standard input it would be shown.
            raise click.UsageError(f"no terminal to ask for the {what} at") from None


@dataclass(frozen=True)
class Target:
    """uri: as it was given. name: of a key, None where the URI names it, or where a provider is meant. pin: of a
    PKCS#11 token's user; of a TPM, the authorization value of the key.
    """

    uri: str
    name: str | None
    pin: Pin | None = field(repr=False)

    def provider(self) -> Provider:
        """Open until the command ends. Raises CngError as `hwcng.open_provider` does."""
        return click.get_current_context().with_resource(open_provider(self.uri, pin=self._tokens_pin))

    def located(self) -> tuple[Provider, str]:
        """Where the key is and its name there; it need not be one that opens."""
        if self.name is not None:
            return self.provider(), self.name
        return provider_of_key(parse_uri(self.uri), pin=self._tokens_pin)

    def records(self) -> tuple[list[KeyRecord], bool]:
        """The token's keys, and whether these are all: without a PIN, those that it shows to everybody."""
        try:
            return list(self.provider().list_keys()), True
        except CngError as error:
            if error.status is not NTSTATUS.STATUS_SMARTCARD_CARD_NOT_AUTHENTICATED:
                raise
            return visible_keys(self.uri), False

    def key(self) -> KeyPair | SymmetricKey:
        """Open until the command ends. Raises CngError as `hwcng.open_key` does."""
        provider, name = self.located()
        key = naming.open_named(provider, name, pin=self.keys_pin())
        click.get_current_context().call_on_close(key.destroy)
        return key

    @property
    def _tokens_pin(self) -> Pin | None:
        return None if self._pin_is_the_keys else self.pin

    @property
    def _pin_is_the_keys(self) -> bool:
        uri = uri_of(self.uri)
        return backend_of(uri).pin_is_the_keys(uri)

    def keys_pin(self) -> str | bytes | None:
        """The PIN where it is a key's: of one that is there, or that a new one will have. Asks for it, if need be."""
        if not self._pin_is_the_keys:
            return None
        return self.pin() if callable(self.pin) else self.pin


def names_a_key(uri: str) -> bool:
    """Whether a URI says which key is meant. A configured name means a provider."""
    if is_configured(uri):
        return False
    with contextlib.suppress(CngError):
        parsed = parse_uri(uri)
        return backend_of(parsed).names_a_key(parsed)
    return False


def of_provider(uri: str, pin: Pin | None) -> Target:
    return Target(uri, None, pin)


def of_key(uri: str, name: str | None, pin: Pin | None) -> Target:
    """Raises click.UsageError where nothing says which key, or both URI and NAME do."""
    if name is None and not names_a_key(uri):
        raise click.UsageError("NAME is missing: the URI names a token and no key")
    if name is not None and names_a_key(uri):
        raise click.UsageError(f"the URI names a key already, and {name!r} is one too many")
    return Target(uri, name, pin)


def split_operands(uri: str, operands: Sequence[str], last: str) -> tuple[str | None, str]:
    """NAME, None where the URI names the key, and the operand after it. last: what that is called."""
    expected = (last,) if names_a_key(uri) else ("NAME", last)
    if len(operands) != len(expected):
        raise click.UsageError(f"after this URI come {' and '.join(expected)}; {len(operands)} given")
    return (operands[0] if len(expected) > 1 else None), operands[-1]
