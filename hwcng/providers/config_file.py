"""The configuration file: $HWCNG_CONFIG, else $XDG_CONFIG_HOME/hwcng/providers.ini (XDG Base Directory Specification),
else /etc/hwcng/providers.ini. INI:

    [providers]             names, each with a URI
    name = pkcs11:...
    [provider other name]   one name, with what does not read well in a URI
    uri = pkcs11:...
    pin-source = file:/run/secrets/pin
    quirks = no-oaep-label
    timeout = 5
    [logging]
    level = INFO            of the loggers below "hwcng"
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from hwcng.contract.provider_uri import ProviderUri
from hwcng.errors import NTSTATUS, CngError, told
from hwcng.providers.backends import backend_of, parse_uri

__all__ = ["Configuration", "config_path", "read_configuration"]

SYSTEM_CONFIG = "/etc/hwcng/providers.ini"

_NAMES, _ONE, _LOGGING = "providers", "provider ", "logging"
_LARGEST = 1 << 20
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_REASONS = {
    "MissingSectionHeaderError": "before the first section; names stand below [providers]",
    "DuplicateOptionError": "the name stands twice",
    "DuplicateSectionError": "the section stands twice",
}


@dataclass(frozen=True)
class Configuration:
    """What a file says. providers: name to URI. log_level: as `logging` names it, "" where the file has none."""

    providers: Mapping[str, ProviderUri] = field(default_factory=dict)
    log_level: str = ""


_NOTHING = Configuration()
_read: tuple[tuple[str, int, int, int], Configuration] | None = None


def config_path() -> str | None:
    """The file that is read, None where there is none. Raises STATUS_NOT_FOUND where HWCNG_CONFIG names none."""
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


def read_configuration() -> Configuration:
    """Read again where the file has changed. Raises STATUS_INVALID_PARAMETER that names the file and the line."""
    global _read
    path = config_path()
    if path is None:
        return _NOTHING
    try:
        status = os.stat(path)
        stamp = (path, status.st_ino, status.st_mtime_ns, status.st_size)
        read = _read
        if read is not None and read[0] == stamp:
            return read[1]
        with open(path, "rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, f"cannot read {path}: {error.strerror}") from error
    if len(content) > _LARGEST:
        raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, f"{path} has more than {_LARGEST} bytes: no configuration")
    configuration = _Reader(path, content).configuration()
    _read = (stamp, configuration)
    return configuration


class _Reader:
    """One file. Its errors quote no value, which may hold a PIN."""

    def __init__(self, path: str, content: bytes) -> None:
        self._path = path
        text = content.decode("utf-8-sig", "replace")
        self._lines = text.split("\n")
        wrong = next((number for number, line in enumerate(self._lines, 1) if "\ufffd" in line), 0)
        if wrong:
            raise self._malformed(wrong, "not UTF-8")
        parser = configparser.RawConfigParser(delimiters=("=",), default_section="", empty_lines_in_values=False)
        # Names keep their case; typeshed declares the documented way to say so as a method.
        parser.optionxform = str  # type: ignore[method-assign,assignment]
        reason = ""
        try:
            parser.read_string(text)
        except configparser.Error as error:
            wrong, reason = (
                _line_of(error),
                _REASONS.get(type(error).__name__, "not a section, a comment or name = value"),
            )
        # Raised outside of the handler: configparser's errors quote the line.
        if wrong:
            raise self._malformed(wrong, reason)
        self._parser = parser

    def configuration(self) -> Configuration:
        providers: dict[str, ProviderUri] = {}
        level = ""
        for section in self._parser.sections():
            if section == _NAMES:
                for name, uri in self._parser.items(section):
                    providers[name] = self._uri(section, name, uri, name)
            elif section.startswith(_ONE) and (name := section.removeprefix(_ONE).strip()):
                if name in providers:
                    raise self._malformed(self._line_with(section), f"the name {name!r} stands twice")
                providers[name] = self._provider(section)
            elif section == _LOGGING:
                level = self._level(section)
            else:
                sections = f"[{_NAMES}], [{_ONE}NAME] and [{_LOGGING}]"
                raise self._malformed(self._line_with(section), f"there is no section [{section}], only {sections}")
        return Configuration(MappingProxyType(providers), level)

    def _uri(self, section: str, key: str, uri: str, name: str) -> ProviderUri:
        try:
            parsed = parse_uri(uri)
            backend_of(parsed).require_sources(parsed)
            return parsed
        except CngError as error:
            raise self._malformed(self._line_with(section, key), f"{name!r}: {error.message}") from None

    def _provider(self, section: str) -> ProviderUri:
        settings = dict(self._parser.items(section))
        if "uri" not in settings:
            raise self._malformed(self._line_with(section), f"[{section}] has no uri = ...")
        uri = self._uri(section, "uri", settings["uri"], section.removeprefix(_ONE).strip())
        backend = backend_of(uri)
        self._require_known(section, settings, ("uri", *backend.settings(uri)))
        for key in settings.keys() - {"uri"}:
            try:
                uri = backend.with_setting(uri, key, settings[key])
                backend.require_sources(uri)
            except CngError as error:
                raise self._malformed(self._line_with(section, key), error.message) from None
        return uri

    def _level(self, section: str) -> str:
        settings = dict(self._parser.items(section))
        self._require_known(section, settings, ("level",))
        level = settings.get("level", "").upper()
        if level not in _LEVELS:
            line = self._line_with(section, *(("level",) if "level" in settings else ()))
            raise self._malformed(line, f"level is one of {', '.join(_LEVELS)}")
        return level

    def _require_known(self, section: str, settings: Mapping[str, str], known: tuple[str, ...]) -> None:
        for key in settings:
            if key not in known:
                reason = f"[{section}] has no {told(key)}, only {', '.join(known)}"
                raise self._malformed(self._line_with(section, key), reason)

    def _line_with(self, section: str, key: str | None = None) -> int:
        """The number of the section's line, or of the line of one of its keys."""
        numbered = list(enumerate(self._lines, 1))
        first = next(number for number, line in numbered if line.strip().startswith(f"[{section}]"))
        if key is None:
            return first
        return next(number for number, line in numbered[first:] if line.split("=")[0].strip() == key)

    def _malformed(self, line: int, reason: str) -> CngError:
        return CngError(NTSTATUS.STATUS_INVALID_PARAMETER, f"{self._path}, line {line}: {reason}")


def _line_of(error: configparser.Error) -> int:
    line = getattr(error, "lineno", None)
    return line if isinstance(line, int) else int(getattr(error, "errors", [(1, "")])[0][0])
