"""One stored key, many processes: multiprocessing, concurrent.futures and Dask send its URI and nothing else."""

from __future__ import annotations

import concurrent.futures
import hashlib
import multiprocessing
import os
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from isolation.child import run
from ncrypt import jobs
from support import missing

from hwcng.bcrypt import BCryptExportKey
from hwcng.cng.keys import KeyPair
from hwcng.cng.ncrypt_keys import NCryptKey, StorageProvider
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.base import Provider

Make = Callable[..., NCryptKey]
PROVIDER_NAME = "the workers' hsm"
SECONDS = 60
DIGEST = hashlib.sha256(b"one").digest()


@pytest.fixture
def worker_configuration(token_uri: str, token_pin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What each worker has of its own: a configuration file that names the token, and a file with the PIN."""
    pin, configuration = tmp_path / "pin", tmp_path / "providers.ini"
    pin.write_text(token_pin)
    pin.chmod(stat.S_IRUSR)
    configuration.write_text(f"[providers]\n{PROVIDER_NAME} = {token_uri}&pin-source=file:{pin}\n")
    monkeypatch.setenv("HWCNG_CONFIG", str(configuration))
    return str(configuration)


@pytest.fixture
def pair(soft_storage: StorageProvider, made: Make, name: str) -> KeyPair:
    key = made(soft_storage, "ECDSA_P256", name).key
    assert isinstance(key, KeyPair)
    return key


@pytest.fixture
def good(pair: KeyPair) -> Callable[[bytes, bytes], bool]:
    """good(digest, signature): what the host, which has the public half alone, says."""
    blob = BCryptExportKey(pair, None, "ECCPUBLICBLOB")
    x, y = int.from_bytes(blob[8:40], "big"), int.from_bytes(blob[40:72], "big")
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    algorithm = ec.ECDSA(utils.Prehashed(hashes.SHA256()))

    def verify(digest: bytes, signature: bytes) -> bool:
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        public.verify(utils.encode_dss_signature(r, s), digest, algorithm)
        return True

    return verify


@pytest.mark.usefixtures("worker_configuration")
@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_multiprocessing(pair: KeyPair, good: Callable[[bytes, bytes], bool], method: str) -> None:
    digests = [hashlib.sha256(bytes([number])).digest() for number in range(40)]
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        answers = pool.map_async(partial(jobs.who_signs, pair), digests, 5).get(SECONDS)
    for digest, (process, signature) in zip(digests, answers, strict=True):
        assert process != os.getpid()
        assert good(digest, signature)


@pytest.mark.usefixtures("worker_configuration")
@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_concurrent_futures(
    pair: KeyPair,
    soft_storage: StorageProvider,
    made: Make,
    new_name: Callable[[], str],
    good: Callable[[bytes, bytes], bool],
    method: str,
) -> None:
    aes = made(soft_storage, "AES", new_name()).key
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        through_ncrypt = pool.submit(jobs.ncrypt_sign, NCryptKey.of(pair), DIGEST)
        block = pool.submit(jobs.encrypt, aes, bytes(16))
        found = pool.submit(jobs.names, PROVIDER_NAME)
        assert good(DIGEST, through_ncrypt.result(SECONDS))
        assert block.result(SECONDS) == jobs.encrypt(aes, bytes(16))
        assert {pair.name, aes.name} <= found.result(SECONDS)


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_a_session_key_does_not_get_to_a_worker(soft_storage: StorageProvider, made: Make, method: str) -> None:
    session_key = made(soft_storage, "ECDSA_P256").key
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        failure = pool.submit(jobs.who_signs, session_key, DIGEST).exception(SECONDS)  # type: ignore[arg-type]
    assert isinstance(failure, CngError)
    assert failure.status is NTSTATUS.STATUS_NOT_SUPPORTED
    assert "NCryptCreatePersistedKey" in failure.message


def test_a_forked_child_has_the_key_already(pair: KeyPair, good: Callable[[bytes, bytes], bool]) -> None:
    """Without any configuration: what is inherited is not pickled, and finds its token again."""
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=lambda: queue.put(jobs.who_signs(pair, DIGEST)))
    child.start()
    process, signature = queue.get()
    child.join(SECONDS)
    assert process == child.pid != os.getpid()
    assert child.exitcode == 0
    assert good(DIGEST, signature)


MAKES = """
from hwcng.ncrypt import *
storage = NCryptOpenStorageProvider("the workers' hsm")
key = NCryptCreatePersistedKey(storage, "ECDSA_P256", sys.argv[2])
NCryptFinalizeKey(key)
print(key.uri)
"""

USES = """
from hwcng.ncrypt import *
key = hwcng.open_key(sys.argv[2])
signature = NCryptSignHash(key, None, bytes(32))
NCryptVerifySignature(key, None, bytes(32), signature)
print(key.name, len(signature))
"""

ENUMERATES = """
from hwcng.ncrypt import *
storage = NCryptOpenStorageProvider("the workers' hsm")
print([record.pszAlgid for record in NCryptEnumKeys(storage) if record.pszName == sys.argv[2]])
"""

DELETES = """
from hwcng.ncrypt import *
NCryptDeleteKey(NCryptOpenKey(NCryptOpenStorageProvider("the workers' hsm"), sys.argv[2]))
fails(hwcng.HRESULT.NTE_BAD_KEYSET, lambda: hwcng.open_key(sys.argv[3]))
"""


@pytest.mark.usefixtures("worker_configuration")
def test_one_process_makes_a_key_another_uses_it_a_third_enumerates(token_uri: str, token_pin: str, name: str) -> None:
    uri = run(MAKES, token_uri, name).strip()
    assert token_pin not in uri
    assert run(USES, token_uri, uri) == f"{name} 64\n"
    assert run(ENUMERATES, token_uri, name) == "['ECDSA_P256']\n"
    run(DELETES, token_uri, name, uri)
    assert run(ENUMERATES, token_uri, name) == "[]\n"


def test_a_worker_without_configuration_says_what_is_missing(
    pair: KeyPair, token_uri: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.ini"
    empty.write_text("")
    monkeypatch.setenv("HWCNG_CONFIG", str(empty))
    script = "from ncrypt.jobs import fails_with\nprint(fails_with(lambda: hwcng.open_key(sys.argv[2])))"
    told = run(script, token_uri, pair.uri)
    assert "pin" in told.lower(), told


@pytest.fixture
def dask_client(worker_configuration: str) -> Iterator[Any]:
    try:
        import distributed
    except ImportError:
        missing("package distributed")
    del worker_configuration
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=2, processes=True, dashboard_address=None, silence_logs=40
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_a_dask_cluster_signs_ten_thousand_digests(
    dask_client: Any, pair: KeyPair, good: Callable[[bytes, bytes], bool]
) -> None:
    digests = [hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(10_000)]
    chunks = [digests[start : start + 250] for start in range(0, len(digests), 250)]
    futures = dask_client.map(partial(jobs.sign_all, pair), chunks, pure=False)
    workers = set(dask_client.run(os.getpid).values())
    signatures = [signature for chunk in dask_client.gather(futures) for signature in chunk]
    assert len(workers) == 2
    assert os.getpid() not in workers
    assert len(set(signatures)) == len(digests)
    assert all(good(digest, signature) for digest, signature in zip(digests, signatures, strict=True))


def test_a_dask_cluster_refuses_a_session_key(dask_client: Any, provider: Provider) -> None:
    from hwcng.bcrypt import BCryptOpenAlgorithmProvider

    session_key = BCryptOpenAlgorithmProvider("AES", provider).generate_key(256)
    with pytest.raises(Exception) as error:
        dask_client.submit(jobs.encrypt, session_key, bytes(16)).result(SECONDS)
    causes: list[str] = []
    cause: BaseException | None = error.value
    while cause is not None:
        causes.append(str(cause))
        cause = cause.__cause__ or cause.__context__
    assert any("NCryptCreatePersistedKey" in said for said in causes), causes
