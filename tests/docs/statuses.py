"""The tables of docs/errors.md, made from `hwcng.remedies` and from what the backends' own codes stand for.

`python tests/docs/statuses.py` writes them anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from hwcng.capi.errors import win32_code
from hwcng.errors import HRESULT, NTSTATUS, Win32Error
from hwcng.ksp.status import NTSTATUS_TO_HRESULT
from hwcng.providers.pkcs11.cryptoki.return_values import general_statuses
from hwcng.remedies import GROUPS, REMEDIES, Status

DOCUMENT = Path(__file__).parents[2] / "docs" / "errors.md"
BEGIN, END = "<!-- statuses: made by tests/docs/statuses.py -->\n", "<!-- end of statuses -->\n"


def _others(status: Status) -> str:
    """What ncrypt.h and wincrypt.h call it."""
    if not isinstance(status, NTSTATUS):
        return ""
    names = [NTSTATUS_TO_HRESULT.get(status, HRESULT.NTE_INTERNAL_ERROR).name, win32_code(status).name]
    return ", ".join(dict.fromkeys(names))


def _said_by_tokens() -> dict[Status, list[str]]:
    said = defaultdict(list)
    for name, status in general_statuses().items():
        said[status].append(name)
    return said


def translations() -> set[Status]:
    """Codes that only stand for an NTSTATUS, in ncrypt.h or wincrypt.h."""
    return {code for status in NTSTATUS for code in (NTSTATUS_TO_HRESULT.get(status), win32_code(status)) if code}


def unused() -> list[Status]:
    """Names of the headers that no call ends with."""
    everything: list[Status] = [*NTSTATUS, *HRESULT, *Win32Error]
    return [code for code in everything if code not in REMEDIES and code not in translations() and code != 0]


def _section() -> Iterator[str]:
    for title, rows in GROUPS.items():
        yield f"## {title}\n\n"
        translated = any(isinstance(status, NTSTATUS) for status in rows)
        head = ["status", *(["by NCrypt, by CryptoAPI"] if translated else []), "what has happened", "what to do"]
        yield f"| {' | '.join(head)} |\n|{' --- |' * len(head)}\n"
        for status, row in rows.items():
            cells = [f"{status.name}<br>{int(status):#010x}"]
            cells += [_others(status)] if translated else []
            yield f"| {' | '.join([*cells, row.when, row.do])} |\n"
        yield "\n"
    yield "## What a token's answers stand for\n\n"
    yield "Where an operation knows no better; `.token_code` has the answer itself.\n\n"
    yield "| status | the PKCS#11 token answered |\n| --- | --- |\n"
    for status, names in sorted(_said_by_tokens().items()):
        yield f"| {status.name} | {', '.join(names)} |\n"
    yield "\n## Names without a row\n\n"
    yield "Of the headers, importable, and no call of hwcng's ends with them: "
    yield ", ".join(code.name for code in unused()) + ".\n"


def written() -> str:
    """The document as it should be."""
    head, _, rest = DOCUMENT.read_text("utf-8").partition(BEGIN)
    return head + BEGIN + "".join(_section()) + END + rest.partition(END)[2]


if __name__ == "__main__":
    DOCUMENT.write_text(written(), "utf-8")
