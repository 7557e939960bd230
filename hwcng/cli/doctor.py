"""`hwcng doctor`: what is here, what is missing, and the line that mends it."""

from __future__ import annotations

import contextlib
import glob
import grp
import importlib.metadata
import os
import platform
import pwd
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import click

from hwcng import __version__
from hwcng.cli.outcome import Exit, json_option, print_json, readable
from hwcng.contract.places import Place
from hwcng.errors import CngError
from hwcng.providers.config_file import config_path
from hwcng.providers.registry import chosen_default, configured_names
from hwcng.providers.survey import absences, surveyed
from hwcng.testing._packages import install_line

__all__ = ["doctor"]

_PACKAGES = {
    "cryptography": ("hwcng itself", ""),
    "python-pkcs11": ("PKCS#11 tokens", "hwcng[pkcs11]"),
    "cffi": ("PKCS#11 tokens", "hwcng[pkcs11]"),
    "asn1crypto": ("PKCS#11 tokens and TPMs", "hwcng[pkcs11]"),
    "tpm2-pytss": ("TPMs", "hwcng[tpm2]"),
    "click": ("the command", "hwcng[cli]"),
    "rich": ("the command", "hwcng[cli]"),
}
"""Distribution -> what needs it, and the extra that has it."""
_PROGRAMS = {
    "softhsm2-util": ("tests with SoftHSM", "softhsm2-util"),
    "swtpm": ("tests with a TPM", "swtpm"),
    "pkcs11-tool": ("looking into tokens", "pkcs11-tool"),
    "tpm2_getcap": ("looking into TPMs", "tpm2-tools"),
}
_TPM_DEVICES, _MANAGED_DEVICES = "/dev/tpm[0-9]*", "/dev/tpmrm[0-9]*"
_READ_WRITE = os.R_OK | os.W_OK


@dataclass(frozen=True)
class Finding:
    """area: such as "package". what: its name. state: "ok", "missing" or "problem". detail: a version, or what is
    wrong. mend: the line that mends it, "" where nothing needs to be.
    """

    area: str
    what: str
    state: str
    detail: str = ""
    mend: str = ""


def _system() -> Iterator[Finding]:
    release = {}
    if hasattr(platform, "freedesktop_os_release"):
        try:
            release = platform.freedesktop_os_release()
        except OSError:
            release = {}
    yield Finding("system", release.get("PRETTY_NAME", platform.platform()), "ok", platform.machine())
    yield Finding("system", "Python", "ok", f"{platform.python_version()} ({sys.executable})")
    yield Finding("system", "hwcng", "ok", __version__)
    user = pwd.getpwuid(os.geteuid()).pw_name if _known_user() else str(os.geteuid())
    groups = sorted({_group(number) for number in (os.getegid(), *os.getgroups())})
    yield Finding("system", f"user {user}", "ok", f"groups {', '.join(groups)}")


def _known_user() -> bool:
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return True


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _packages() -> Iterator[Finding]:
    for name, (purpose, extra) in _PACKAGES.items():
        try:
            yield Finding("package", name, "ok", importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding("package", name, "missing", f"for {purpose}", f"pip install '{extra or name}'")


def _programs() -> Iterator[Finding]:
    for name, (purpose, project) in _PROGRAMS.items():
        if found := shutil.which(name):
            yield Finding("program", name, "ok", found)
        else:
            yield Finding("program", name, "missing", f"for {purpose}", install_line(project))


def _configuration() -> Iterator[Finding]:
    try:
        path = config_path()
        names = configured_names()
        default = chosen_default()
    except CngError as error:
        yield Finding("configuration", "file", "problem", error.message, "mend the line, then: hwcng config check")
        return
    yield Finding("configuration", "file", "ok", f"{path}" if path else "none, which is all right")
    for name, uri in names.items():
        yield Finding("configuration", f"name {name}", "ok", str(uri))
    yield Finding("configuration", "default provider", "ok", str(default) if default is not None else "none")


def _tokens(places: Sequence[Place]) -> Iterator[Finding]:
    for place in places:
        if place.problem:
            yield Finding(place.kind, place.where, "problem", place.problem, _after_colon(place.problem))
            continue
        yield Finding(place.kind, place.where, "ok", f"{place.description}; known by: {place.told}")
        for token in place.tokens:
            mend = _MENDING.get(token.state, "").format(module=place.where, label=token.label)
            state = "problem" if mend else "ok"
            # SoftHSM always has a free slot beside its tokens.
            if token.state == "not initialised" and len(place.tokens) > 1:
                state, mend = "ok", ""
            yield Finding("token", token.label, state, f"{token.state}; {token.uri or token.model}", mend)


_MENDING = {
    "not initialised": "pkcs11-tool --module {module} --init-token --label LABEL",
    "no user PIN": "pkcs11-tool --module {module} --token-label '{label}' --login --login-type so --init-pin",
    "PIN locked": "pkcs11-tool --module {module} --token-label '{label}' --login --login-type so --init-pin",
    "last try of the PIN": "look the PIN up before the next try: a wrong one locks the token",
}


_COLOURS = {"ok": "green", "missing": "yellow", "problem": "red"}


def _show(finding: Finding) -> None:
    """A line, and below it what mends it: a line to copy is not folded into a column."""
    state = click.style(f"{finding.state:8}", fg=_COLOURS[finding.state])
    detail = f": {readable(finding.detail)}" if finding.detail else ""
    click.echo(f"{state} {finding.area:14} {readable(finding.what)}{detail}")
    if finding.mend:
        click.echo(f"{'':8} {'':14} -> {readable(finding.mend)}")


def _after_colon(problem: str) -> str:
    """The advice that messages have at their end, where there is one."""
    return problem.rpartition(": ")[2] if ": " in problem else ""


def _places(places: Sequence[Place]) -> Iterator[Finding]:
    for absence in absences(places):
        mend = absence.instead if shutil.which(absence.program) else install_line(absence.program)
        yield Finding(absence.kind, "any", "missing", absence.detail, mend)
    managed, bare = glob.glob(_MANAGED_DEVICES), glob.glob(_TPM_DEVICES)
    devices = managed or bare
    for device in devices:
        if not os.access(device, _READ_WRITE):
            group = _group(os.stat(device).st_gid)
            yield Finding(
                "TPM",
                device,
                "problem",
                f"this user may not use it: it is group {group}'s",
                f"usermod -aG {group} $USER",
            )
    if bare and not managed:
        yield Finding("TPM", bare[0], "problem", "no resource manager: one process at a time", "modprobe tpm")


@click.command()
@click.option("--module", "modules", multiple=True, help="Look into this PKCS#11 module too. Repeat it for more.")
@json_option
def doctor(modules: tuple[str, ...], as_json: bool) -> int:
    """Look at this machine: packages, modules, tokens, TPMs, permissions, configuration; and say what mends what.

    Exit status 4: something that is here does not work. What is only missing may not be needed.
    """
    findings = [*_system(), *_packages(), *_programs(), *_configuration()]
    # A configuration that cannot be read is told already.
    with contextlib.suppress(CngError):
        places = surveyed(modules)
        findings += [*_places(places), *_tokens(places)]
    problems = [finding for finding in findings if finding.state == "problem"]
    if as_json:
        print_json({"ok": not problems, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            _show(finding)
    return Exit.NOT_VALID if problems else Exit.OK
