"""From a URI or an implementation name (pszImplementation of BCryptOpenAlgorithmProvider) to an open provider.

Names come from `configure`, then from the file of `hwcng.providers.config_file`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from hwcng.arguments import string
from hwcng.contract.pins import Pin, checked_pin
from hwcng.contract.provider import Provider
from hwcng.contract.provider_uri import ProviderUri
from hwcng.errors import NTSTATUS, CngError, invalid_parameter, not_supported, told
from hwcng.forking import ProcessLock
from hwcng.headers.bcrypt_h import MS_PRIMITIVE_PROVIDER
from hwcng.loading import load
from hwcng.providers.backends import backend_of, names_a_backend, parse_uri, schemes
from hwcng.providers.config_file import read_configuration
from hwcng.providers.events import ROOT
from hwcng.providers.timeouts import seconds_of

__all__ = [
    "chosen_default",
    "configure",
    "configured_names",
    "default_provider",
    "is_configured",
    "open_now",
    "open_provider",
    "open_uri",
    "resolve_implementation",
    "set_default_provider",
    "shared_provider",
    "uri_of",
]


_TRACE_VARIABLE = "HWCNG_TRACE"


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


# A URI's repr has no PIN, so it can be the key; two PINs for one token stay two entries.
_shared: dict[ProviderUri, _Shared] = {}
_names: dict[str, ProviderUri] = {}
_default: Provider | ProviderUri | None = None
_lock = ProcessLock()


def open_provider(
    uri: str, *, pin: Pin | None = None, allow_raw_secret: bool = False, timeout: float | None = None
) -> Provider:
    """A provider of the caller's own, to be closed by the caller: a context manager.

    uri: pkcs11:... (RFC 7512), tpm2:..., that of another backend, or a configured name. pin: str, bytes or a callable
    that returns one when a login needs it; it goes before what the URI says. allow_raw_secret: whether KDF_RAW_SECRET
    may hand out agreed secrets. timeout: seconds that a call to the token may take; what does not come back is given up
    with STATUS_IO_TIMEOUT. It goes before the URI's x-timeout; without either a PKCS#11 token may take any time, a TPM
    120.

    Raises CngError: STATUS_INVALID_PARAMETER for a malformed URI, STATUS_NOT_FOUND where the backend is not installed,
    and what the backend says of the token.
    """
    uri = string(uri, "a provider URI")
    named = None if names_a_backend(uri) else _configured(uri)
    parsed = named or parse_uri(uri)
    if timeout is not None:
        parsed = _with_timeout(parsed, seconds_of(timeout))
    return open_uri(parsed, checked_pin(pin), allow_raw_secret)


def _with_timeout(uri: ProviderUri, seconds: str) -> ProviderUri:
    backend = backend_of(uri)
    if "timeout" not in backend.settings(uri):
        raise not_supported(f"{uri.scheme}: has no timeout: calls to its tokens are not given up")
    timed: ProviderUri = backend.with_setting(uri, "timeout", seconds)
    return timed


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
    return {**_names, **{name: uri for name, uri in read_configuration().providers.items() if name not in _names}}


def set_default_provider(provider_or_uri: Provider | str | None) -> None:
    """Sets what pszImplementation=None and pseudo-handles use; None leaves it to HWCNG_PROVIDER again.

    A URI or a configured name is opened now and shared; when it fails, the default stays what it was.

    Raises CngError as `resolve_implementation` does.
    """
    global _default
    if isinstance(provider_or_uri, str):
        uri = uri_of(provider_or_uri)
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
    return uri_of(named) if named else None


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
    return shared_provider(uri_of(pszImplementation))


def open_uri(uri: ProviderUri, pin: Pin | None = None, allow_raw_secret: bool = False) -> Provider:
    """`open_provider` of a URI that is parsed."""
    if os.environ.get(_TRACE_VARIABLE):
        begin: Callable[[], None] = vars(load("hwcng.tracing"))["from_environment"]
        begin()
    _configure_logging()
    backend = backend_of(uri)
    try:
        for module in backend.modules:
            load(module)
        return backend.open(uri, pin=pin, allow_raw_secret=allow_raw_secret)
    except ModuleNotFoundError as error:
        if (reason := backend.missing(error)) is None:
            raise
        raise CngError(NTSTATUS.STATUS_NOT_FOUND, reason) from error


def _configure_logging() -> None:
    """The level of the configuration file. A program that has set one, or a handler, knows better."""
    try:
        level = read_configuration().log_level
    except CngError:
        # Whoever asks for a name of the file is told; a URI does without it.
        return
    if not level:
        return
    import logging

    logger = logging.getLogger(ROOT)
    if logger.level == logging.NOTSET:
        logger.setLevel(level)
        if not logger.hasHandlers():
            handler = logging.StreamHandler()
            handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
            logger.addHandler(handler)


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
            provider = shared.provider = open_uri(uri, pin)
        return provider


def _shared_of(uri: ProviderUri) -> _Shared:
    with _lock.held():
        return _shared.setdefault(uri, _Shared())


def open_now() -> list[Provider]:
    """The default provider and the shared ones that are open, or open again by themselves; nothing is opened."""
    shared = [entry.provider for entry in list(_shared.values())]
    candidates = [_default, *shared] if isinstance(_default, Provider) else shared
    return [there for there in candidates if isinstance(there, Provider) and _serves(there)]


def uri_of(implementation: str) -> ProviderUri:
    """What a URI or a configured name means.

    Raises STATUS_NOT_FOUND for neither, STATUS_INVALID_PARAMETER for a malformed URI.
    """
    implementation = string(implementation, "an implementation")
    if names_a_backend(implementation):
        return parse_uri(implementation)
    if (configured := _configured(implementation)) is not None:
        return configured
    # What looks like a mistyped URI may hold a PIN.
    secret = "=" in implementation and "pin" in implementation.lower()
    shown = "of that name (not shown, it may hold a PIN)" if secret else told(implementation)
    known = ", ".join(repr(name) for name in sorted({*_names, *read_configuration().providers})) or "none"
    begin = ", ".join(f"{scheme}:" for scheme in schemes())
    raise CngError(
        NTSTATUS.STATUS_NOT_FOUND,
        f"no implementation {shown}: it is neither a URI ({begin}) nor a configured name (configured: {known})",
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
    return _names.get(name) or read_configuration().providers.get(name)
