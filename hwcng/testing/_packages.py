"""Which package of each system has the programs that tokens need: known once, for every message."""

from __future__ import annotations

import platform
from typing import NamedTuple

__all__ = ["how_to_install", "install_line"]


class _Packages(NamedTuple):
    debian: str
    fedora: str
    homebrew: str | None


_PACKAGES = {
    "SoftHSM 2 (libsofthsm2.so)": _Packages("softhsm2", "softhsm", "softhsm"),
    "NSS softokn (libsoftokn3.so)": _Packages("libnss3", "nss-softokn", "nss"),
    "swtpm": _Packages("swtpm", "swtpm", "swtpm"),
    "softhsm2-util": _Packages("softhsm2", "softhsm", "softhsm"),
    "pkcs11-tool": _Packages("opensc", "opensc", "opensc"),
    "tpm2-tools": _Packages("tpm2-tools", "tpm2-tools", None),
    # Homebrew's p11-kit is built without its server.
    "p11-kit": _Packages("p11-kit p11-kit-modules", "p11-kit-server", None),
    "p11-kit-client.so": _Packages("p11-kit p11-kit-modules", "p11-kit-server", None),
}


def how_to_install(program: str, elsewhere: str = "") -> str:
    """The message that `program`, a name of the table, is missing, with the line that mends it on each system.

    elsewhere: what helps on other systems, such as "set SOFTHSM2_MODULE to its path".
    """
    packages = _PACKAGES[program]
    lines = [f"Debian, Ubuntu: apt-get install {packages.debian}", f"Fedora: dnf install {packages.fedora}"]
    if packages.homebrew is not None:
        lines.append(f"Homebrew: brew install {packages.homebrew}")
    if elsewhere:
        lines.append(f"elsewhere: {elsewhere}")
    return f"{program} is not installed. {'; '.join(lines)}"


def install_line(program: str) -> str:
    """The command that installs `program`, a name of the table, on this system."""
    packages = _PACKAGES[program]
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    alike = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    if alike & {"debian", "ubuntu"}:
        return f"apt-get install {packages.debian}"
    if alike & {"fedora", "rhel", "centos"}:
        return f"dnf install {packages.fedora}"
    if platform.system() == "Darwin" and packages.homebrew is not None:
        return f"brew install {packages.homebrew}"
    return f"install {packages.debian}, as Debian calls it, or {packages.fedora}, as Fedora does"
