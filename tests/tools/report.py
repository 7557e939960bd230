"""The table of docs/tools.md: which tool made keys that hwcng used, and which used hwcng's.

`pytest --write-docs tests/tools` makes it anew from what ran; without it the tests compare.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest
from page_table import PageTable
from support import TOOLS_THAT_RAN

__all__ = ["KINDS", "TOOLS", "Ran", "claimed", "note", "save", "table"]

MADE, USED = "its keys, in hwcng", "hwcng's keys, in it"
HEAD = f"| tool | version | token | {MADE} | {USED} | how it uses them |"
PAGE = PageTable("tools.md", HEAD)
KINDS = ("RSA", "EC", "AES", "HMAC")


@dataclass(frozen=True)
class Tool:
    """token: where the keys are. how: what it does with hwcng's keys. version: the command that tells it."""

    name: str
    token: str
    how: str
    version: tuple[str, ...]

    def installed_version(self) -> str:
        done = subprocess.run(self.version, capture_output=True, text=True, check=False)
        found = re.search(r"\d+(\.\d+)+(p\d+)?", done.stdout + done.stderr)
        assert found is not None, f"{self.version} tells no version"
        return found[0]


OPENSSL = ("openssl", "version")
TOOLS: Mapping[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool("pkcs11-tool", "SoftHSM", "lists, signs, decrypts", ("opensc-tool", "--info")),
        Tool("softhsm2-util", "SoftHSM", "keeps their ids from others", ("softhsm2-util", "--version")),
        Tool("p11tool", "SoftHSM", "lists, signs", ("p11tool", "--version")),
        Tool("keytool", "SoftHSM", "lists, requests a certificate", ("keytool", "-J-version")),
        Tool("openssl, pkcs11-provider", "SoftHSM", "signs, decrypts", OPENSSL),
        Tool("ssh-keygen", "SoftHSM", "lists, certifies", ("ssh", "-V")),
        Tool("ssh-agent", "SoftHSM", "signs", ("ssh", "-V")),
        Tool("certutil, pk12util", "NSS", "lists; cmsutil signs", ("dpkg-query", "--show", "libnss3-tools")),
        Tool("tpm2-tools", "swtpm", "sign, decrypt", ("tpm2_create", "--version")),
        Tool("openssl, tpm2-openssl", "swtpm", "signs, decrypts", OPENSSL),
    )
}


@dataclass
class Ran:
    """What a tool did. kinds: of keys in each of the two columns."""

    version: str
    kinds: dict[str, set[str]] = field(default_factory=dict)

    def cell(self, column: str) -> str:
        kinds = self.kinds.get(column, set())
        return ", ".join(kind for kind in KINDS if kind in kinds) or "-"


def note(config: pytest.Config, tool: str, column: str, kind: str) -> None:
    """A test with such a key has passed: it goes into the table, or the table says so already."""
    assert kind in KINDS
    if config.getoption("--write-docs"):
        ran = config.stash[TOOLS_THAT_RAN].setdefault(tool, Ran(TOOLS[tool].installed_version()))
        ran.kinds.setdefault(column, set()).add(kind)
        return
    said = claimed().get(tool, {}).get(column, "")
    assert kind in said.split(", "), f"docs/tools.md is old: pytest --write-docs tests/tools ({tool})"


def table(results: Mapping[str, Ran]) -> Iterator[str]:
    yield HEAD
    yield "| --- | --- | --- | --- | --- | --- |"
    for tool in TOOLS.values():
        if (ran := results.get(tool.name)) is not None:
            cells = (tool.name, ran.version, tool.token, ran.cell(MADE), ran.cell(USED), tool.how)
            yield f"| {' | '.join(cells)} |"


def claimed() -> dict[str, dict[str, str]]:
    """The table as the page has it: tool -> column -> text."""
    return PAGE.claimed()


def save(results: Mapping[str, Ran]) -> None:
    PAGE.save(table(results))
