"""The tokens of this machine: where each kind could be, and what answers there. Nothing is logged in to or made.

Every place is looked at by a process of its own, because a module that hangs or crashes ends no other's survey.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hwcng.contract.places import Absence, FoundToken, Place
from hwcng.contract.provider import Provider
from hwcng.errors import CngError
from hwcng.providers.backends import backend_for, backend_of, backends
from hwcng.providers.registry import chosen_default, configured_names, uri_of

if TYPE_CHECKING:
    from hwcng.contract.provider import KeyRecord

__all__ = ["absences", "surveyed", "visible_keys"]

_PROGRAM = "hwcng.providers.survey"
_SECONDS = 20.0


def surveyed(named: Sequence[str] = ()) -> list[Place]:
    """Every place, those that do not answer too. named: files of PKCS#11 modules beside those that are known."""
    known = [*configured_names().values()]
    default = chosen_default()
    if default is not None and not isinstance(default, Provider):
        known.append(default)
    candidates = [
        place
        for backend in backends()
        for place in backend.places([uri for uri in known if uri.scheme == backend.scheme], named)
    ]
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as workers:
        return list(workers.map(_asked, candidates))


def absences(places: Sequence[Place]) -> list[Absence]:
    """Of the kinds that none of the places is of."""
    there = {place.scheme for place in places}
    missing = [backend.absence() for backend in backends() if backend.scheme not in there]
    return [absence for absence in missing if absence is not None]


def visible_keys(uri: str) -> list[KeyRecord]:
    """What a token shows of its keys to everybody. uri: of a provider, or a configured name. Raises CngError as
    `hwcng.open_provider` does.
    """
    parsed = uri_of(uri)
    return backend_of(parsed).visible_keys(parsed)


def _asked(place: Place) -> Place:
    command = [sys.executable, "-m", _PROGRAM, place.scheme, place.where]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return replace(place, problem=f"no answer within {_SECONDS:g} seconds")
    if done.returncode < 0:
        return replace(place, problem=f"it crashed: {signal.Signals(-done.returncode).name}")
    if done.returncode:
        return replace(
            place, problem=(done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it failed"])[-1]
        )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    tokens = tuple(FoundToken(**token) for token in found["tokens"])
    return replace(place, description=found["description"], problem=found["problem"], tokens=tokens)


def _look(scheme: str, where: str) -> None:
    """The process of one place: prints what is there, or why nothing is."""
    backend = backend_for(scheme)
    description, problem, tokens = "", "", list[FoundToken]()
    try:
        description, tokens = backend.look(where)
    except CngError as error:
        problem = error.message + (f" ({error.token_code.name})" if error.token_code is not None else "")
    except ModuleNotFoundError as error:
        if (reason := backend.missing(error)) is None:
            raise
        problem = reason
    found = {"description": description, "problem": problem, "tokens": [vars(token) for token in tokens]}
    # A module may have written to standard output too: what is meant is the last line.
    sys.stdout.write("\n" + json.dumps(found) + "\n")


if __name__ == "__main__":
    _look(*sys.argv[1:])
