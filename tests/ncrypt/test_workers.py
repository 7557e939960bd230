"""One stored key, many processes: multiprocessing, concurrent.futures and Dask send its URI and nothing else."""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import importlib
import importlib.util
import multiprocessing
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import TOKEN_PIN
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from isolation.child import run
from ncrypt import jobs
from support import missing

from hwcng.bcrypt import BCryptExportKey
from hwcng.cng.keys import KeyPair
from hwcng.contract.provider import Provider
from hwcng.errors import HRESULT, NTSTATUS, CngError
from hwcng.ksp.handles import NCryptKey, StorageProvider

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


WRONG_PIN = """
from hwcng.testing.calls import CallCounter
from hwcng.providers import registry
from pathlib import Path
uri, pin_file = sys.argv[2], Path(sys.argv[3])
pin_file.write_text("wrong-pin")
for words in (("PIN",), ("not tried again",), ("not tried again",)):
    fails(NTSTATUS.STATUS_SMARTCARD_WRONG_PIN, lambda: hwcng.open_key(uri), *words)
try:
    hwcng.open_key(uri)
except CngError as error:
    assert "wrong-pin" not in str(error) and error.token_code is None
fails(NTSTATUS.STATUS_SMARTCARD_WRONG_PIN, lambda: hwcng.open_key(uri, pin="wrong too"), "PIN")
pin_file.write_text(PIN)
print(hwcng.open_key(uri).name)
"""


def test_a_wrong_pin_is_tried_once_by_a_process(
    worker_configuration: str, pair: KeyPair, token_uri: str, tmp_path: Path, name: str
) -> None:
    """Workers that retry their tasks would lock the token."""
    del worker_configuration
    pin_file = tmp_path / "pin"
    pin_file.chmod(stat.S_IRUSR | stat.S_IWUSR)
    assert run(WRONG_PIN, token_uri, pair.uri, str(pin_file)) == f"{name}\n"


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


@pytest.fixture
def ray_cluster(worker_configuration: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    try:
        import ray
    except ImportError:
        missing("package ray")
    del worker_configuration
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=80 * 2**20)
    yield ray
    ray.shutdown()


def test_ray_workers_sign_and_tell_a_wrong_pin(
    ray_cluster: Any, pair: KeyPair, good: Callable[[bytes, bytes], bool], tmp_path: Path
) -> None:
    ray = ray_cluster
    sign = ray.remote(max_retries=2, retry_exceptions=True)(jobs.ncrypt_sign)
    assert good(DIGEST, ray.get(sign.remote(NCryptKey.of(pair), DIGEST), timeout=SECONDS))
    pin_file = tmp_path / "pin"
    pin_file.chmod(stat.S_IRUSR | stat.S_IWUSR)
    pin_file.write_text("wrong-pin")
    # A new actor is a new process, which logs in anew.
    signer = ray.remote(jobs.Signer).remote()
    for _ in range(3):
        with pytest.raises(CngError) as error:
            ray.get(signer.sign.remote(pair, DIGEST), timeout=SECONDS)
        assert "STATUS_SMARTCARD_WRONG_PIN" in str(error.value)
    pin_file.write_text(TOKEN_PIN)
    assert good(DIGEST, ray.get(signer.sign.remote(pair, DIGEST), timeout=SECONDS))


@pytest.fixture
def celery_signs(
    worker_configuration: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Callable[[], str]]]:
    """Has a worker of two processes sign with the key of a URI; what that returns waits for the signature. Messages and
    results are files, and JSON.
    """
    if importlib.util.find_spec("celery") is None:
        missing("package celery")
    del worker_configuration
    for folder in ("queue", "results", "control"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("CELERY_FOLDER", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    command = [sys.executable, "-m", "celery", "-A", "ncrypt.celery_jobs", "worker", "-c", "2", "-l", "error"]
    log = tmp_path / "log"
    with log.open("w") as output:
        worker = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    application: Any = importlib.import_module("ncrypt.celery_jobs")

    def sign(uri: str) -> Callable[[], str]:
        task = application.sign.delay(uri, DIGEST.hex())

        def signature() -> str:
            for _ in range(SECONDS):
                with contextlib.suppress(importlib.import_module("celery.exceptions").TimeoutError):
                    return str(task.get(timeout=1))
                assert worker.poll() is None, log.read_text()
            raise TimeoutError(log.read_text())

        return signature

    try:
        yield sign
    finally:
        worker.terminate()
        worker.wait(SECONDS)


def test_celery_workers_sign_and_tell_what_is_wrong(
    celery_signs: Callable[[str], Callable[[], str]], pair: KeyPair, good: Callable[[bytes, bytes], bool]
) -> None:
    signing = [celery_signs(pair.uri) for _ in range(4)]
    assert all(good(DIGEST, bytes.fromhex(signature())) for signature in signing)
    absent = pair.uri.replace("object=", "object=no-")
    with pytest.raises(CngError) as error:
        celery_signs(absent)()
    assert error.value.status is HRESULT.NTE_BAD_KEYSET
    assert "NTE_BAD_KEYSET" in str(error.value)


def test_a_wrong_pin_answers_every_task_of_a_pool(
    worker_configuration: str, pair: KeyPair, good: Callable[[bytes, bytes], bool], tmp_path: Path
) -> None:
    """A key that is opened while it is unpickled would end the workers of a Pool, whose tasks are never answered."""
    del worker_configuration
    pin_file = tmp_path / "pin"
    pin_file.chmod(stat.S_IRUSR | stat.S_IWUSR)
    pin_file.write_text("wrong-pin")
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        workers = {process.pid for process in multiprocessing.active_children()}
        tasks = [pool.apply_async(jobs.who_signs, (pair, DIGEST)) for _ in range(6)]
        for task in tasks:
            with pytest.raises(CngError) as error:
                task.get(SECONDS)
            assert error.value.status is NTSTATUS.STATUS_SMARTCARD_WRONG_PIN
        pin_file.write_text(TOKEN_PIN)
        answers = [pool.apply_async(jobs.who_signs, (pair, DIGEST)).get(SECONDS) for _ in range(6)]
    assert all(good(DIGEST, signature) for _, signature in answers)
    assert {process for process, _ in answers} <= workers
