"""Wycheproof's files: read, run group by group against a token, and counted.

A check is a context manager on a provider and a group of vectors: it opens what the group needs in the token and yields
the function that runs one vector. That function returns where the vector's verdict holds, raises NotRun where CNG or
the token has no place for the vector, and fails with any other exception.

Every group is run once per token and process; asking for it again gives the same outcome.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from support import record_unrun

from hwcng import CngError, bcrypt
from hwcng.cng.keys import KeyPair
from hwcng.contract.provider import Provider
from hwcng.errors import HRESULT, NTSTATUS

DATA = Path(__file__).with_name("data")
SUFFIX = "_test.json.gz"


class NotRun(Exception):
    """The vector has no place in CNG, or the token lacks what it needs. The message names what is missing."""


class Vector:
    """One test of a group: `vector["key"]` is a field's octets."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields
        self.number: int = fields["tcId"]
        self.comment: str = fields.get("comment", "")
        self.valid: bool = fields["result"] == "valid"
        self.invalid: bool = fields["result"] == "invalid"
        """Neither valid nor invalid is "acceptable": a refusal is as good as the right result."""
        self.flags = frozenset(fields["flags"])

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def __getitem__(self, name: str) -> bytes:
        return bytes.fromhex(self._fields[name])

    def count(self, name: str) -> int:
        """A field that is a number."""
        return int(self._fields[name])

    def get(self, name: str) -> bytes:
        """A field that may be absent, and is empty then."""
        return bytes.fromhex(self._fields.get(name, ""))


Group: TypeAlias = dict[str, Any]
Check: TypeAlias = Callable[[Provider, Group], AbstractContextManager[Callable[[Vector], None]]]


@dataclass(frozen=True)
class File:
    """executed: how many of its vectors run on SoftHSM; the rest is recorded as not run."""

    name: str
    check: Check
    executed: int

    def __str__(self) -> str:
        return self.name


@dataclass
class Outcome:
    executed: int = 0
    unrun: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


@dataclass
class Token:
    name: str
    provider: Provider
    outcomes: dict[tuple[str, int], Outcome] = field(default_factory=dict, repr=False)


@functools.cache
def load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(gzip.decompress((DATA / (name + SUFFIX)).read_bytes()))
    return content


def groups(files: Iterable[File]) -> list[Any]:
    """The groups of `files` as parameters of a test: pairs of a file and the group's position in it."""
    return [
        pytest.param((file, position), id=f"{file}-{position}")
        for file in files
        for position in range(len(load(file.name)["testGroups"]))
    ]


def run_group(token: Token, file: File, position: int) -> Outcome:
    key = file.name, position
    if key not in token.outcomes:
        token.outcomes[key] = _run(token.provider, file.check, load(file.name)["testGroups"][position])
    return token.outcomes[key]


def _run(provider: Provider, check: Check, group: Group) -> Outcome:
    outcome = Outcome()
    with check(provider, group) as run:
        for vector in map(Vector, group["tests"]):
            try:
                run(vector)
            except NotRun as reason:
                outcome.unrun[str(reason)] += 1
                continue
            except Exception as error:
                outcome.failures.append(f"tcId {vector.number} ({vector.comment}): {error!r}")
            outcome.executed += 1
    return outcome


def run_file(token: Token, file: File) -> Outcome:
    """All groups of `file` in one outcome."""
    total = Outcome()
    for position in range(len(load(file.name)["testGroups"])):
        outcome = run_group(token, file, position)
        total.executed += outcome.executed
        total.unrun += outcome.unrun
        total.failures += outcome.failures
    return total


def check_group(request: pytest.FixtureRequest, token: Token, group: tuple[File, int]) -> None:
    """Runs a group, records what is not run, and fails with the numbers of the vectors that fail."""
    file, position = group
    outcome = run_group(token, file, position)
    for reason, count in outcome.unrun.items():
        record_unrun(request, f"{file}, {token.name}: {reason}", count)
    assert not outcome.failures, "\n".join([f"{file}, group {position} on {token.name}:", *outcome.failures])


def check_executed(token: Token, file: File) -> None:
    """A run that shrinks fails, even though every vector that is left passes."""
    outcome = run_file(token, file)
    assert outcome.executed + outcome.unrun.total() == load(file.name)["numberOfTests"]
    assert outcome.executed == file.executed, f"not run: {dict(outcome.unrun)}"


def refused(status: NTSTATUS | HRESULT, function: Callable[..., object], *arguments: Any) -> None:
    """Asserts that the call fails with exactly `status`."""
    try:
        result = function(*arguments)
    except CngError as error:
        refusal = error
    else:
        raise AssertionError(f"{function.__name__} must fail with {status.name}, it returned {result!r}")
    assert refusal.status is status, f"{status.name} expected, got {refusal}"


def verifier(public: KeyPair, hash_name: str, size: int) -> Callable[[Vector], None]:
    """What runs a vector of r || s, `size` bytes: a wrong length is told apart from a wrong signature."""

    def run(vector: Vector) -> None:
        digest = hashlib.new(hash_name, vector["msg"]).digest()
        if not vector.invalid:
            bcrypt.BCryptVerifySignature(public, None, digest, vector["sig"])
            return
        whole = len(vector["sig"]) == size
        status = bcrypt.STATUS_INVALID_SIGNATURE if whole else bcrypt.STATUS_INVALID_PARAMETER
        refused(status, bcrypt.BCryptVerifySignature, public, None, digest, vector["sig"])

    return run
