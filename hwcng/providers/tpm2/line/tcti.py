"""TCTI strings (TCG TSS 2.0 TCTI; tctildr of tpm2-tss): one TPM has many spellings, and one name."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["canonical", "parts"]

_LIBRARY = re.compile(r"(?:.*/)?libtss2-tcti-([a-z0-9-]+)\.so(?:\.[0-9]+)*")
_DEFAULTS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "swtpm": MappingProxyType({"host": "localhost", "port": "2321"}),
        "mssim": MappingProxyType({"host": "localhost", "port": "2321"}),
        "tabrmd": MappingProxyType({"bus_type": "system", "bus_name": "com.intel.tss2.Tabrmd"}),
    }
)
"""TCTIs whose settings are name=value, with what they mean where they are not given."""
_DEVICE = "/dev/tpmrm0"
_LOOPBACK = "127.0.0.1"
_LOCAL_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})


def parts(tcti: str | None) -> tuple[str, str]:
    """The name of the TCTI and its settings. A library's file name means what its TCTI's name means."""
    name, _, conf = (tcti or "").partition(":")
    found = _LIBRARY.fullmatch(name)
    return found[1] if found else name, conf


def canonical(tcti: str | None) -> str:
    """One spelling for all that name the same TPM: order and defaults of settings, loopback hosts, links of paths.

    What libtss2 takes where no TCTI is named is known to libtss2 alone: that is a name of its own.
    """
    name, conf = parts(tcti)
    if name == "pcap":
        return canonical(conf)
    if name == "device":
        return f"device:{os.path.realpath(conf or _DEVICE)}"
    if name == "libtpms" and conf:
        return f"libtpms:{os.path.realpath(conf)}"
    defaults = _DEFAULTS.get(name)
    if defaults is None:
        return tcti or ""
    settings = dict(item.partition("=")[::2] for item in conf.split(",") if item)
    if "path" in settings:
        return f"{name}:path={os.path.realpath(settings['path'])}"
    settings = {**defaults, **settings}
    if "host" in settings:
        settings["host"] = _host(settings["host"])
    if settings.get("port", "").isascii() and settings.get("port", "").isdigit():
        settings["port"] = str(int(settings["port"]))
    return f"{name}:" + ",".join(f"{key}={settings[key]}" for key in sorted(settings))


def _host(host: str) -> str:
    """Names are not looked up: what one means may change."""
    host = host.lower().strip("[]").rstrip(".")
    if host in _LOCAL_NAMES:
        return _LOOPBACK
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return _LOOPBACK if address.is_loopback else str(address)
