"""From a URI or an implementation name (pszImplementation of BCryptOpenAlgorithmProvider) to an open provider.

Names come from `configure`, then from one INI file with lines `name = uri` below [providers]: $HWCNG_CONFIG, else
$XDG_CONFIG_HOME/hwcng/providers.ini (XDG Base Directory Specification), else /etc/hwcng/providers.ini.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping, Sequence
from typing import Protocol

from hwcng.arguments import string
from hwcng.contract.provider import Provider
from hwcng.errors import NTSTATUS, CngError, invalid_parameter, told
from hwcng.forking import ProcessLock
from hwcng.loading import load, load_the_rest
from hwcng.providers.uri import Pin, ProviderUri, checked_pin, parse_uri, scheme_of

__all__ = [
    "BACKENDS",
    "MS_PRIMITIVE_PROVIDER",
    "OpenUri",
    "chosen_default",
    "configure",
    "configured_names",
    "default_provider",
    "is_configured",
    "open_now",
    "open_provider",
    "resolve_implementation",
    "set_default_provider",
    "shared_provider",
]

MS_PRIMITIVE_PROVIDER = "Microsoft Primitive Provider"

BACKENDS = {
    "pkcs11": "hwcng.providers.pkcs11.provider:open_uri",
    "tpm2": "hwcng.providers.tpm2.provider:open_uri",
}
"""URI scheme -> "module:function" of an `OpenUri`. A scheme's optional packages are the extra of the same name."""

OPTIONAL_PACKAGES = frozenset(("asn1crypto", "cffi", "pkcs11", "tpm2_pytss"))

_SECTION = "providers"
SYSTEM_CONFIG = "/etc/hwcng/providers.ini"


class OpenUri(Protocol):
    """How a backend opens a provider. What it puts into `Provider.uri` is str(uri), which has no PIN."""

    def __call__(self, uri: ProviderUri, /, *, pin: Pin | None, allow_raw_secret: bool) -> Provider: ...


class _Shared:
    """The one provider of a URI, and the lock that makes racing threads open it once."""

    def __init__(self) -> None:
        self.lock = ProcessLock()
        self.provider: Provider | None = None

    @property
    def open_provider(self) -> Provider | None:
        return self.provider if self.provider is not None and _serves(self.provider) else None


def _serves(provider: Provider) -> bool:
    return not provider.closed and provider.can_connect


# Pkcs11Uri leaves the PIN out of its repr, so it can be the key; two PINs for one token stay two entries.
_shared: dict[ProviderUri, _Shared] = {}
_names: dict[str, ProviderUri] = {}
_file_names: tuple[tuple[str, int, int, int], dict[str, ProviderUri]] | None = None
_default: Provider | ProviderUri | None = None
_lock = ProcessLock()


def open_provider(uri: str, *, pin: Pin | None = None, allow_raw_secret: bool = False) -> Provider:
    """A provider of the caller's own, to be closed by the caller: a context manager.

    uri: pkcs11:... (RFC 7512) or tpm2:... pin: str, bytes or a callable that returns one when a login needs it; it goes
    before what the URI says. allow_raw_secret: whether KDF_RAW_SECRET may hand out agreed secrets.

    Raises CngError: STATUS_INVALID_PARAMETER for a malformed URI, STATUS_NOT_FOUND where the backend is not installed,
    and what the backend says of the token.
    """
    return _open(parse_uri(uri), checked_pin(pin), allow_raw_secret)


def configure(names: Mapping[str, str]) -> None:
    """Adds implementation names for this process, which go before the configuration file's.

    names: such as "Microsoft Platform Crypto Provider" to its URI. A name that is there already is replaced.

    Raises CngError (STATUS_INVALID_PARAMETER) that names the entry with a malformed URI; then nothing is added.
    """
    global _names
    if not isinstance(names, Mapping):
        raise invalid_parameter(f"names are a mapping of names to URIs, not a {type(names).__name__}")
    parsed: dict[str, ProviderUri] = {}
    for given, uri in names.items():
        name = string(given, "an implementation name")
        try:
            parsed[name] = parse_uri(uri)
        except CngError as error:
            raise CngError(error.status, f"implementation name {told(name)}: {error.message}") from None
    with _lock.held():
        _names = {**_names, **parsed}


def configured_names() -> dict[str, ProviderUri]:
    """Every implementation name with its URI: those of `configure` first, then the configuration file's."""
    return {**_names, **{name: uri for name, uri in _names_of_file().items() if name not in _names}}


def set_default_provider(provider_or_uri: Provider | str | None) -> None:
    """Sets what pszImplementation=None and pseudo-handles use; None leaves it to HWCNG_PROVIDER again.

    A URI or a configured name is opened now and shared; when it fails, the default stays what it was.

    Raises CngError as `resolve_implementation` does.
    """
    global _default
    if isinstance(provider_or_uri, str):
        uri = _uri_of(provider_or_uri)
        shared_provider(uri)
        new: Provider | ProviderUri | None = uri
    elif provider_or_uri is None or isinstance(provider_or_uri, Provider):
        new = provider_or_uri
    else:
        raise _not_an_implementation(provider_or_uri)
    with _lock.held():
        _default = new


def default_provider() -> Provider:
    """What pszImplementation=None and pseudo-handles use: the provider that was set, else that of HWCNG_PROVIDER.

    Raises CngError: STATUS_NOT_FOUND where there is neither, else as `resolve_implementation` does.
    """
    chosen = chosen_default()
    if isinstance(chosen, Provider):
        return chosen
    if chosen is not None:
        return shared_provider(chosen)
    raise CngError(
        NTSTATUS.STATUS_NOT_FOUND,
        "no default provider: call hwcng.set_default_provider(uri), set HWCNG_PROVIDER to a URI or a configured "
        "name, or give pszImplementation",
    )


def chosen_default() -> Provider | ProviderUri | None:
    """The default provider, or its URI, or None where there is none; nothing is opened."""
    if _default is not None:
        return _default
    named = os.environ.get("HWCNG_PROVIDER")
    return _uri_of(named) if named else None


def resolve_implementation(pszImplementation: Provider | str | None) -> Provider:  # noqa: N803
    """The provider that pszImplementation means (BCryptOpenAlgorithmProvider).

    None: the default provider. A Provider: itself. A str: a URI, or a configured name; "Microsoft Primitive Provider"
    is the default provider where it is not configured. A URI or name is opened once per process, again after a close.

    Raises CngError: STATUS_NOT_FOUND for a name that is not configured and for a backend that is not installed,
    STATUS_INVALID_PARAMETER for a malformed URI or configuration file, and what the backend says of the token.
    """
    if pszImplementation is None:
        return default_provider()
    if isinstance(pszImplementation, Provider):
        return pszImplementation
    if not isinstance(pszImplementation, str):
        raise _not_an_implementation(pszImplementation)
    pszImplementation = string(pszImplementation, "pszImplementation")  # noqa: N806
    if pszImplementation == MS_PRIMITIVE_PROVIDER and _configured(MS_PRIMITIVE_PROVIDER) is None:
        return default_provider()
    return shared_provider(_uri_of(pszImplementation))


def _open(uri: ProviderUri, pin: Pin | None, allow_raw_secret: bool) -> Provider:
    scheme = scheme_of(str(uri)) or ""
    module_name, _, function = BACKENDS[scheme].partition(":")
    try:
        backend: OpenUri = getattr(load(module_name), function)
        load_the_rest()
        return backend(uri, pin=pin, allow_raw_secret=allow_raw_secret)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing.partition(".")[0] in OPTIONAL_PACKAGES:
            reason = f"{scheme}: needs the package {missing}, which is not installed: pip install 'hwcng[{scheme}]'"
        elif module_name == missing or module_name.startswith(f"{missing}."):
            reason = f"this release of hwcng has no backend for {scheme}:"
        else:
            raise
        raise CngError(NTSTATUS.STATUS_NOT_FOUND, reason) from error


def shared_provider(uri: ProviderUri, pin: Pin | None = None) -> Provider:
    """The one provider of this process for a URI, opened where it is not open.

    pin: before the URI's, where it has to be opened. Raises CngError as `open_provider` does.
    """
    shared = _shared.get(uri) or _shared_of(uri)
    if (provider := shared.open_provider) is not None:
        return provider
    with shared.lock.held():
        provider = shared.open_provider
        if provider is None:
            provider = shared.provider = _open(uri, pin, False)
        return provider


def _shared_of(uri: ProviderUri) -> _Shared:
    with _lock.held():
        return _shared.setdefault(uri, _Shared())


def open_now() -> list[Provider]:
    """The default provider and the shared ones that are open, or open again by themselves; nothing is opened."""
    shared = [entry.provider for entry in list(_shared.values())]
    candidates = [_default, *shared] if isinstance(_default, Provider) else shared
    return [there for there in candidates if isinstance(there, Provider) and _serves(there)]


def _uri_of(implementation: str) -> ProviderUri:
    implementation = string(implementation, "an implementation")
    if scheme_of(implementation) in BACKENDS:
        return parse_uri(implementation)
    if (configured := _configured(implementation)) is not None:
        return configured
    # What looks like a mistyped URI may hold a PIN.
    secret = "=" in implementation and "pin" in implementation.lower()
    shown = "of that name (not shown, it may hold a PIN)" if secret else told(implementation)
    known = ", ".join(repr(name) for name in sorted({*_names, *_names_of_file()})) or "none"
    schemes = ", ".join(f"{scheme}:" for scheme in BACKENDS)
    raise CngError(
        NTSTATUS.STATUS_NOT_FOUND,
        f"no implementation {shown}: it is neither a URI ({schemes}) nor a configured name (configured: {known})",
    )


def _not_an_implementation(value: object) -> CngError:
    return CngError(
        NTSTATUS.STATUS_INVALID_PARAMETER,
        f"an implementation is a URI, a configured name or a Provider, not {type(value).__name__}",
    )


def is_configured(name: str) -> bool:
    """Whether an implementation name stands for a URI, by `configure` or by the configuration file."""
    return _configured(name) is not None


def _configured(name: str) -> ProviderUri | None:
    return _names.get(name) or _names_of_file().get(name)


def _config_path() -> str | None:
    if named := os.environ.get("HWCNG_CONFIG"):
        if not os.path.exists(named):
            raise CngError(NTSTATUS.STATUS_NOT_FOUND, f"HWCNG_CONFIG: there is no file {named}")
        return named
    home = os.environ.get("XDG_CONFIG_HOME", "")
    # The XDG specification has relative paths ignored.
    if not os.path.isabs(home):
        home = os.path.expanduser("~/.config")
    candidates = (os.path.join(home, "hwcng", "providers.ini"), SYSTEM_CONFIG)
    return next((path for path in candidates if os.path.exists(path)), None)


def _names_of_file() -> dict[str, ProviderUri]:
    global _file_names
    path = _config_path()
    if path is None:
        return {}
    try:
        status = os.stat(path)
        stamp = (path, status.st_ino, status.st_mtime_ns, status.st_size)
        read = _file_names
        if read is not None and read[0] == stamp:
            return read[1]
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, f"cannot read {path}: {error.strerror}") from error
    names = _parse_config(path, content)
    _file_names = (stamp, names)
    return names


def _parse_config(path: str, content: bytes) -> dict[str, ProviderUri]:
    text = content.decode("utf-8-sig", "replace")
    lines = text.split("\n")
    wrong = next((number for number, line in enumerate(lines, 1) if "\ufffd" in line), 0)
    if wrong:
        raise _malformed(path, wrong, "not UTF-8")
    parser = configparser.RawConfigParser(delimiters=("=",), default_section="", empty_lines_in_values=False)
    # Names keep their case; typeshed declares the documented way to say so as a method.
    parser.optionxform = str  # type: ignore[method-assign,assignment]
    reason = ""
    try:
        parser.read_string(text)
    except configparser.Error as error:
        wrong, reason = _line_of(error), _REASONS.get(type(error).__name__, "not a section, a comment or name = uri")
    # Raised outside of the handler: configparser's errors quote the line, which may hold a PIN.
    if wrong:
        raise _malformed(path, wrong, reason)
    names: dict[str, ProviderUri] = {}
    for name, uri in parser.items(_SECTION) if parser.has_section(_SECTION) else ():
        try:
            names[name] = parse_uri(uri)
        except CngError as error:
            raise _malformed(path, _line_with(name, lines), f"{name!r}: {error.message}") from None
    return names


def _line_with(name: str, lines: Sequence[str]) -> int:
    section = next(number for number, line in enumerate(lines) if line.strip().startswith(f"[{_SECTION}]"))
    return next(
        number for number, line in enumerate(lines, 1) if number > section and line.split("=")[0].strip() == name
    )


_REASONS = {
    "MissingSectionHeaderError": "before the first section; names stand below [providers]",
    "DuplicateOptionError": "the name stands twice",
    "DuplicateSectionError": "the section stands twice",
}


def _line_of(error: configparser.Error) -> int:
    line = getattr(error, "lineno", None)
    return line if isinstance(line, int) else int(getattr(error, "errors", [(1, "")])[0][0])


def _malformed(path: str, line: int, reason: str) -> CngError:
    return CngError(NTSTATUS.STATUS_INVALID_PARAMETER, f"{path}, line {line}: {reason}")
