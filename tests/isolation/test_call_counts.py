"""What an operation costs in C_ calls, counted round the function list and, independently, by OpenSC's pkcs11-spy."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from isolation.child import run
from isolation.operations import Row, kept, operations
from support import missing

from hwcng.contract.provider import Provider
from hwcng.testing.calls import CallCounter
from hwcng.testing.softhsm import SoftHsm, token_uri

SPIES = ("/usr/lib/x86_64-linux-gnu/pkcs11-spy.so", "/usr/lib/x86_64-linux-gnu/pkcs11/pkcs11-spy.so")
NAMES = (
    "sign RSA PKCS1", "sign RSA PSS", "sign ECDSA", "encrypt ECB", "encrypt CBC, running IV", "encrypt CBC, padded",
    "encrypt GCM", "encrypt GCM, 1 MiB", "decrypt ECB", "decrypt CBC, padded", "decrypt GCM", "decrypt RSA PKCS1",
    "decrypt RSA OAEP SHA1", "decrypt RSA OAEP SHA256", "MAC HMAC-SHA256", "MAC HMAC-SHA256, reusable",
    "MAC AES-CMAC, reusable", "random", "random, 64 KiB", "pair RSA", "pair ECDSA", "pair ECDH", "duplicate",
    "verify RSA", "verify ECDSA", "encrypt RSA", "export public RSA", "export public ECDSA",
)  # fmt: skip


@pytest.fixture(scope="module")
def rows(provider: Provider) -> Iterator[dict[str, Row]]:
    yield operations(provider)
    kept.clear()


def test_every_row_is_counted(rows: dict[str, Row]) -> None:
    assert tuple(rows) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_warm_operation(name: str, rows: dict[str, Row], calls: Callable[..., CallCounter]) -> None:
    row = rows[name]
    row.call()
    for _ in range(2):
        with calls() as counter:
            row.call()
        assert tuple(counter.names) in row.allowed


SPIED = """
from isolation.operations import operations

provider = open_token()
for name, row in operations(provider).items():
    row.call()
    # C_GetInfo, which nothing else calls here, divides the log.
    mark = provider.cryptoki.C_GetInfo
    from hwcng.providers.pkcs11.cryptoki.calls import ffi
    info = ffi.new("CK_INFO *")
    assert mark(info) == 0
    row.call()
    assert mark(info) == 0
    print(name)
provider.close()
"""


def test_pkcs11_spy_counts_the_same(softhsm: SoftHsm, tmp_path: Path, rows: dict[str, Row]) -> None:
    spy = next((path for path in SPIES if Path(path).exists()), None) or missing("pkcs11-spy")
    log = tmp_path / "spy.log"
    uri = token_uri("hwcng-test", Path(spy))
    names = run(SPIED, uri, env={"PKCS11SPY": str(softhsm.module), "PKCS11SPY_OUTPUT": str(log)}).splitlines()
    called = re.findall(r"^\d+: (C_\w+)$", log.read_text(errors="replace"), re.MULTILINE)
    marks = [index for index, name in enumerate(called) if name == "C_GetInfo"][-2 * len(names) :]
    counted = {
        name: tuple(called[start + 1 : end]) for name, start, end in zip(names, marks[::2], marks[1::2], strict=True)
    }
    assert tuple(counted) == NAMES
    assert {name: calls for name, calls in counted.items() if calls not in rows[name].allowed} == {}
