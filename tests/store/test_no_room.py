"""A token that cannot store a key says so with the documented status, keeps what it has, and leaves nothing behind."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from isolation.child import run
from support import missing, needs_module

from hwcng.contract.provider import Provider
from hwcng.errors import HRESULT, CngError
from hwcng.ncrypt import (
    NCRYPT_OVERWRITE_KEY_FLAG,
    NCryptCreatePersistedKey,
    NCryptDeleteKey,
    NCryptEnumKeys,
    NCryptExportKey,
    NCryptFinalizeKey,
    NCryptOpenKey,
    NCryptOpenStorageProvider,
)
from hwcng.providers.backends import parse_uri
from hwcng.testing.faults import FaultInjector

FULL_DISK = """
import resource
from hwcng.ncrypt import *

token = hwcng.open_provider(sys.argv[1], pin=PIN)
storage = NCryptOpenStorageProvider(token)


def store(algorithm, name, flags=0):
    key = NCryptCreatePersistedKey(storage, algorithm, name, 0, flags)
    NCryptFinalizeKey(key)
    return key


def names():
    return sorted(record.pszName for record in NCryptEnumKeys(storage) if record.pszName.startswith("room "))


old = NCryptExportKey(store("ECDSA_P256", "room old"), None, BCRYPT_ECCPUBLIC_BLOB)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
# What a full disk is to SoftHSM: it creates the object's file and cannot write it.
resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
try:
    for algorithm in ("ECDSA_P256", "RSA", "AES"):
        fails(hwcng.HRESULT.NTE_TOKEN_KEYSET_STORAGE_FULL, lambda: store(algorithm, "room new"), "room")
    fails(
        hwcng.HRESULT.NTE_TOKEN_KEYSET_STORAGE_FULL,
        lambda: store("ECDSA_P256", "room old", NCRYPT_OVERWRITE_KEY_FLAG),
        "room",
    )
finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
assert names() == ["room old"], names()
assert NCryptExportKey(NCryptOpenKey(storage, "room old"), None, BCRYPT_ECCPUBLIC_BLOB) == old
for algorithm in ("ECDSA_P256", "RSA", "AES"):
    NCryptDeleteKey(store(algorithm, "room new"))
NCryptDeleteKey(NCryptOpenKey(storage, "room old"))
assert names() == []
print("done")
"""


def test_a_full_disk_under_softhsm(token_uri: str) -> None:
    assert run(FULL_DISK, token_uri) == "done\n"


@pytest.mark.parametrize(("function", "algorithm"), [("C_GenerateKeyPair", "ECDSA_P256"), ("C_GenerateKey", "AES")])
@pytest.mark.parametrize(("rv", "status"), [(0x05, HRESULT.NTE_PERM), (0x06, HRESULT.NTE_TOKEN_KEYSET_STORAGE_FULL)])
def test_a_store_that_cannot_be_written(
    token_uri: str, token_pin: str, function: str, algorithm: str, rv: int, status: HRESULT
) -> None:
    """SoftHSM without permission to write its folder, or room in it, answers so, and makes keys of the process."""
    from hwcng.providers.registry import open_provider

    with open_provider(token_uri, pin=token_pin) as token:
        storage = NCryptOpenStorageProvider(token)
        key = NCryptCreatePersistedKey(storage, algorithm, f"room {function} {rv}")
        with FaultInjector(token) as faults, pytest.raises(CngError) as error:  # type: ignore[arg-type]
            faults.fail(function, rv, nth=1)
            NCryptFinalizeKey(key)
        assert error.value.status is status
        assert error.value.token_code == rv
        # What is refused in any place is refused for what it is.
        with FaultInjector(token) as faults, pytest.raises(CngError) as error:  # type: ignore[arg-type]
            faults.fail(function, rv)
            NCryptFinalizeKey(key)
        assert error.value.status is HRESULT.NTE_INTERNAL_ERROR
        NCryptFinalizeKey(key)
        NCryptDeleteKey(key)


@contextmanager
def _no_octet_is_written() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def tpm_token() -> Iterator[Provider]:
    if shutil.which("swtpm") is None:
        missing("command:swtpm")
    needs_module("tpm2_pytss")
    from hwcng.providers.registry import open_provider
    from hwcng.testing.swtpm import Swtpm

    with Swtpm() as tpm, open_provider(tpm.uri) as opened:
        yield opened


def test_a_full_disk_under_the_store_of_a_tpm(tpm_token: Provider) -> None:
    folder = Path(parse_uri(tpm_token.uri).store)  # type: ignore[union-attr,arg-type]
    storage = NCryptOpenStorageProvider(tpm_token)
    key = NCryptCreatePersistedKey(storage, "ECDSA_P256", "kept")
    NCryptFinalizeKey(key)
    old, files = NCryptExportKey(key, None, "ECCPUBLICBLOB"), sorted(folder.rglob("*"))
    new = NCryptCreatePersistedKey(storage, "ECDSA_P256", "new")
    again = NCryptCreatePersistedKey(storage, "ECDSA_P256", "kept", 0, NCRYPT_OVERWRITE_KEY_FLAG)
    for unfinished in (new, again):
        with pytest.raises(CngError) as error, _no_octet_is_written():
            NCryptFinalizeKey(unfinished)
        assert error.value.status is HRESULT.NTE_TOKEN_KEYSET_STORAGE_FULL
    assert sorted(folder.rglob("*")) == files
    assert NCryptExportKey(NCryptOpenKey(storage, "kept"), None, "ECCPUBLICBLOB") == old
    NCryptFinalizeKey(new)
    for stored in (new, key):
        NCryptDeleteKey(stored)
    assert not list(NCryptEnumKeys(storage))
