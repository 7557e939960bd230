"""What the tests share: skipping for a missing capability, counting vectors that are not run, proving rows."""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import WeakKeyDictionary

import pytest

if TYPE_CHECKING:
    from hwcng.contract.provider import Provider

PLUGIN_NAME = "hwcng-ledger"
MISSING = "capability missing: "
LIBRARIES_THAT_RAN = pytest.StashKey[dict[str, Any]]()
"""What `--write-docs` has seen so far of the libraries of tests/ecosystem."""
TOOLS_THAT_RAN = pytest.StashKey[dict[str, Any]]()
"""The same of the tools of tests/tools."""


def missing(capability: str) -> NoReturn:
    """Skips this test, which needs what the token or the machine does not have."""
    pytest.skip(MISSING + capability)


def programs_of(page: str) -> list[str]:
    """The programs in Python of a page in Markdown, by its path from the project's folder."""
    text = (Path(__file__).parents[1] / page).read_text("utf-8")
    return re.findall(r"^```python(?: [^\n]*)?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def needs_module(name: str) -> None:
    """Skips where a Python package of an extra is not installed."""
    if importlib.util.find_spec(name) is None:
        missing(f"Python's {name}")


_token_names: WeakKeyDictionary[Provider, str] = WeakKeyDictionary()


def name_token(token: Provider, name: str) -> Provider:
    """Says under which name the ledger counts what this token lacks."""
    _token_names[token] = name
    return token


def token_name(token: Provider) -> str:
    """The name under which the ledger counts."""
    return _token_names.get(token, token.token.label)


def missing_on(token: Provider, what: str) -> NoReturn:
    """Skips this test, which needs what this token does not do."""
    missing(f"{token_name(token)}: {what}")


def needs(token: Provider, algorithm: str, operation: str | None = None) -> None:
    """Skips unless the token offers the operation, such as "AES", "CBC" or "ECDSA", "nistP256"."""
    if token.offers(algorithm, operation).name == "REFUSED":
        missing_on(token, f"{algorithm} {operation or ''}".strip())


def has_bits(token: Provider, algorithm: str, bits: int) -> bool:
    """Whether the token has "RSA" or "AES" keys of this length. A TPM has those it lists and none between."""
    listed = token.capabilities().key_bits[algorithm]
    between = token.uri.startswith("pkcs11:") and min(listed, default=bits + 1) <= bits <= max(listed, default=0)
    return bits in listed or between


def needs_bits(token: Provider, algorithm: str, bits: int) -> None:
    """Skips unless the token has keys of this length."""
    if not has_bits(token, algorithm, bits):
        missing_on(token, f"{algorithm} {bits} bits")


def listed_mechanisms(token: Provider) -> frozenset[int]:
    """The mechanism list of the token's slot, past what hwcng makes of it. A TPM has none."""
    from hwcng.providers.pkcs11.cryptoki.calls import ffi
    from hwcng.providers.pkcs11.provider import Pkcs11Provider

    if not isinstance(token, Pkcs11Provider):
        return frozenset()
    ask, slot, count = token.cryptoki.C_GetMechanismList, token._current.slot, ffi.new("CK_ULONG *")
    assert ask(slot, ffi.NULL, count) == 0
    listed = ffi.new("CK_ULONG[]", count[0])
    assert ask(slot, listed, count) == 0
    return frozenset(listed[0 : count[0]])


def record_unrun(request_or_config: pytest.FixtureRequest | pytest.Config, capability: str, count: int = 1) -> None:
    """Notes that `count` vectors were not run for want of `capability`."""
    config = getattr(request_or_config, "config", request_or_config)
    config.pluginmanager.get_plugin(PLUGIN_NAME).unrun[capability] += count


def require(request: pytest.FixtureRequest, capability: str) -> None:
    """Skips unless there is "ALGORITHM [OPERATION]" on the token, or "command:NAME" on PATH."""
    kind, _, name = capability.partition(":")
    if kind == "command":
        if shutil.which(name) is None:
            missing(capability)
        return
    algorithm, _, operation = capability.partition(" ")
    if request.getfixturevalue("provider").offers(algorithm, operation or None).name == "REFUSED":
        missing(capability)


class Ledger:
    """Which rows are proved and which capabilities were missed, told at the end of the run. Knows pytest-xdist."""

    def __init__(self) -> None:
        self.unrun: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.passed_rows: set[str] = set()
        self.failed_rows: set[str] = set()

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        for marker in item.iter_markers("row"):
            item.user_properties.extend(("row", row) for row in marker.args)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        rows = {str(value) for name, value in report.user_properties if name == "row"}
        if report.failed:
            self.failed_rows |= rows
        elif report.passed and report.when == "call" and not hasattr(report, "wasxfail"):
            self.passed_rows |= rows
        elif report.skipped and isinstance(report.longrepr, tuple):
            reason = report.longrepr[2].removeprefix("Skipped: ")
            if reason.startswith(MISSING):
                self.skipped[reason.removeprefix(MISSING)] += 1

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[PLUGIN_NAME] = dict(self.unrun)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self.unrun.update(getattr(node, "workeroutput", {}).get(PLUGIN_NAME, {}))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        write = terminalreporter.write_line
        if rows := self.passed_rows | self.failed_rows:
            terminalreporter.section("rows of the CNG reference")
            write(f"{len(self.passed_rows - self.failed_rows)} distinct rows have passing tests and no failing one")
            if self.failed_rows:
                write(f"{len(self.failed_rows)} of {len(rows)} fail: {' '.join(sorted(self.failed_rows))}")
        if capabilities := sorted(self.skipped | self.unrun):
            terminalreporter.section("capabilities missing")
            write(f"{'tests skipped':>13}  {'vectors not run':>15}  capability")
            for capability in capabilities:
                write(f"{self.skipped[capability]:>13}  {self.unrun[capability]:>15}  {capability}")
