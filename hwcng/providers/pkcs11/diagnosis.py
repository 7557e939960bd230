"""Why a module or a token cannot be opened: what its answer does not say, looked up in files, groups and slots.

Asked after a failure only, by what costs no try of a PIN. What SoftHSM reads is of softhsm2.conf(5), of opencryptoki
pkcsslotd(8).
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import re
import stat
from collections.abc import Callable
from pathlib import Path

from pkcs11.constants import TokenFlag

from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.pkcs11.cryptoki.calls import ffi
from hwcng.providers.pkcs11.cryptoki.return_values import CKR
from hwcng.providers.pkcs11.module import Module

__all__ = ["explained", "explained_token", "remember_environment"]

_SOFTHSM_VARIABLE = "SOFTHSM2_CONF"
_SOFTHSM_SYSTEM = ("/etc/softhsm/softhsm2.conf", "/etc/softhsm2.conf")
_SOFTHSM_TOKENS = re.compile(r"^\s*directories\.tokendir\s*=\s*([^#=]*?)\s*(?:[#=].*)?$", re.MULTILINE)
_OPENCRYPTOKI_PIDS = ("/run/pkcsslotd.pid", "/var/run/pkcsslotd.pid")
_OPENCRYPTOKI_GROUP = "pkcs11"
_SOFTHSM = re.compile("softhsm")
_DESCRIPTORS = "/proc/self/fd"
_FEW = 4
"""As many as a module opens at once when it reads its configuration and a token."""

# What SOFTHSM2_CONF was at the C_Initialize of this process, by the module's file.
_read_by: dict[str, str | None] = {}


def remember_environment(module: Module) -> None:
    """Takes note of what the module has read, at its first use."""
    _read_by.setdefault(module.path, os.environ.get(_SOFTHSM_VARIABLE))


def explained(error: CngError, path: str) -> CngError:
    """The error of a module that could not be loaded or initialised, with what is wrong there. path: its file."""
    if error.token_code is not None and (lack := _lack_of_descriptors()):
        return _with(error, lack, NTSTATUS.STATUS_INSUFFICIENT_RESOURCES)
    fitting = (advice for pattern, advice in _MODULES if pattern.search(os.path.basename(path)))
    advice = next(fitting, None) if error.token_code is not None else None
    # A file that goes while it is looked at takes nothing from the error.
    with contextlib.suppress(OSError):
        return _with(error, advice() if advice is not None else "")
    return error


def explained_token(error: CngError, module: Module) -> CngError:
    """The error of a token that is not found or has no PIN, with what the module's slots and its environment say."""
    if error.status is NTSTATUS.STATUS_NOT_FOUND:
        return _with(error, _other_configuration(module.path) or _uninitialised(module))
    if error.token_code == CKR.USER_PIN_NOT_INITIALIZED:
        return _with(error, f"it has no user PIN yet: {_tool(module)} --login --login-type so --init-pin")
    return error


def _with(error: CngError, advice: str, status: NTSTATUS | None = None) -> CngError:
    if not advice:
        return error
    better = CngError(status or error.status, f"{error.message}: {advice}", error.token_code)
    better.__cause__ = error.__cause__
    return better


# Slots.


def _uninitialised(module: Module) -> str:
    raw, free, named = ffi.new("CK_TOKEN_INFO *"), [], False
    with contextlib.suppress(CngError):
        for slot in module.slots():
            if module.cryptoki.C_GetTokenInfo(slot, raw) == CKR.OK:
                if raw.flags & TokenFlag.TOKEN_INITIALIZED:
                    named = True
                else:
                    free.append(slot)
    # SoftHSM always has a free slot beside its tokens.
    if not free or (named and _SOFTHSM.search(module.path)):
        return ""
    slots = ", ".join(map(str, free))
    return (
        f"the token in slot-id {slots} is not initialised, and has no label yet: "
        f"{_tool(module)} --slot {free[0]} --init-token --label LABEL"
    )


def _tool(module: Module) -> str:
    return f"pkcs11-tool --module {module.path}"


def _other_configuration(path: str) -> str:
    """Where SOFTHSM2_CONF was changed after SoftHSM had read it."""
    now = os.environ.get(_SOFTHSM_VARIABLE)
    if not _SOFTHSM.search(path) or path not in _read_by or _read_by[path] == now:
        return ""
    before = _read_by[path] or "not set"
    return (
        f"{_SOFTHSM_VARIABLE} was {before} when this process first opened SoftHSM, which reads it once, and is "
        f"{now or 'not set'} now: set it before, or start this process anew"
    )


# Files and groups.


def _lack_of_descriptors() -> str:
    """ "" where the process may open a few files more."""
    most = os.sysconf("SC_OPEN_MAX")
    try:
        # One of them is the folder's own.
        used = len(os.listdir(_DESCRIPTORS)) - 1
    except OSError as error:
        used = most if error.errno == errno.EMFILE else 0
    if most < 0 or used + _FEW < most:
        return ""
    return f"{used} of {most} file descriptors of the process are in use: close files, or raise the limit (ulimit -n)"


def _softhsm() -> str:
    named = os.environ.get(_SOFTHSM_VARIABLE)
    own = os.path.expanduser("~/.config/softhsm2/softhsm2.conf")
    candidates = (named,) if named else (own, *_SOFTHSM_SYSTEM)
    for conf in candidates:
        if closed := _closed(conf, os.R_OK):
            return f"SoftHSM's configuration {conf} cannot be read: {closed}"
        if os.path.exists(conf):
            return _token_folder(conf)
    which = (
        f"{_SOFTHSM_VARIABLE} names {named}, which is not there" if named else f"there is no {' or '.join(candidates)}"
    )
    return (
        f"{which}: set {_SOFTHSM_VARIABLE} to the configuration of your tokens, or make a token with one: "
        "python -m hwcng.testing.softhsm DIRECTORY"
    )


def _token_folder(conf: str) -> str:
    found = _SOFTHSM_TOKENS.findall(Path(conf).read_text("utf-8", "replace"))
    if not found:
        return ""
    folder = found[-1]
    if closed := _closed(folder, os.R_OK | os.W_OK | os.X_OK):
        return f"the token folder {folder}, which {conf} names, cannot be used: {closed}"
    if not os.path.isdir(folder):
        return f"the token folder {folder}, which {conf} names, is not there: mkdir -p {folder}"
    return ""


def _closed(path: str, wanted: int) -> str:
    """Who may use the file, or the first folder on the way to it that is closed here; "" where nothing keeps us out.

    wanted: os.R_OK and the like.
    """
    whole = Path(os.path.abspath(path))
    for place in (*reversed(whole.parents), whole):
        try:
            status = os.stat(place)
        except OSError:
            return ""
        if not os.access(place, wanted if place == whole else os.X_OK):
            return _keepers(place, status)
    return ""


def _keepers(place: Path, status: os.stat_result) -> str:
    user, owner, group = _user(os.geteuid()), _user(status.st_uid), _group(status.st_gid)
    told = f"{place} is {owner}'s and group {group}'s, mode {stat.S_IMODE(status.st_mode):04o}, and this is {user}"
    # Whoever is told to join root's group would do better to run as root.
    if status.st_gid and status.st_mode & stat.S_IRGRP:
        return f"{told}: usermod -aG {group} {user}, and log in anew"
    return f"{told}: name one of your own, or run as {owner}"


def _user(number: int) -> str:
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(number).pw_name
    return str(number)


def _group(number: int) -> str:
    with contextlib.suppress(KeyError):
        return grp.getgrgid(number).gr_name
    return str(number)


def _opencryptoki() -> str:
    group = None
    with contextlib.suppress(KeyError):
        group = grp.getgrnam(_OPENCRYPTOKI_GROUP).gr_gid
    # opencryptoki asks the effective groups, and lets root in.
    if os.geteuid() and group is not None and group not in (os.getegid(), *os.getgroups()):
        user = _user(os.geteuid())
        return (
            f"{user} is not in the group {_OPENCRYPTOKI_GROUP}, whose members alone use opencryptoki: "
            f"usermod -aG {_OPENCRYPTOKI_GROUP} {user}, and log in anew"
        )
    if not any(map(_is_running, _OPENCRYPTOKI_PIDS)):
        return "opencryptoki's daemon is not running here: systemctl start pkcsslotd, or pkcsslotd as root"
    return (
        "opencryptoki's daemon runs, and its shared memory or a token's folder is not to be had here: "
        f"{_user(os.geteuid())} needs a home that it may write to, and a container its own daemon"
    )


def _is_running(pid_file: str) -> bool:
    try:
        os.kill(int(Path(pid_file).read_text("ascii")), 0)
    except PermissionError:
        # There, and another user's.
        return True
    except (OSError, ValueError):
        return False
    return True


_MODULES: tuple[tuple[re.Pattern[str], Callable[[], str]], ...] = (
    (_SOFTHSM, _softhsm),
    (re.compile(r"opencryptoki|PKCS11_API"), _opencryptoki),
)
"""By the name of the module's file."""
