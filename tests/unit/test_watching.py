"""Provider.health and Provider.statistics: what they say of real tokens that serve, go away, hang and come back."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest
from isolation.child import run
from support import needs_module, programs_of
from tpm2.helpers import key_with_pin

import hwcng
from hwcng import NTSTATUS, CngError
from hwcng.contract.provider import Provider
from hwcng.contract.specs import EcdsaSpec
from hwcng.contract.watching import Latencies
from hwcng.providers.tallies import BUCKETS, latencies
from hwcng.testing.faults import FaultInjector
from hwcng.testing.swtpm import Swtpm
from hwcng.testing.tokens import ThrowAwayToken

Page: TypeAlias = Callable[..., dict[str, object]]

DEVICE_ERROR, DEVICE_REMOVED, USER_PIN_COUNT_LOW = 0x30, 0x32, 0x10000
TIMEOUT = 60.0


@pytest.fixture
def tpm() -> Iterator[Swtpm]:
    needs_module("tpm2_pytss")
    with Swtpm() as running:
        yield running


@pytest.fixture
def tpm_provider(tpm: Swtpm) -> Iterator[Provider]:
    with hwcng.open_provider(tpm.uri) as provider:
        yield provider


def test_a_token_that_serves_is_healthy(fresh_provider: Provider) -> None:
    health = fresh_provider.health()
    assert health and health.healthy
    assert (health.reason, health.status, health.token_code, health.warnings) == ("", "", None, ())
    assert health.token == fresh_provider.token.label and health.seconds >= 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        health.healthy = False  # type: ignore[misc]


def test_what_the_token_answers_is_the_reason(fresh_provider: Provider) -> None:
    with FaultInjector(fresh_provider) as faults:
        faults.fail("C_GenerateRandom", DEVICE_ERROR)
        health = fresh_provider.health(TIMEOUT)
    assert not health
    assert health.status == "STATUS_IO_DEVICE_ERROR" and health.token_code == DEVICE_ERROR
    assert "C_GenerateRandom failed" in health.reason
    assert fresh_provider.health(TIMEOUT)


def test_a_loss_is_mended_as_an_operation_would(fresh_provider: Provider) -> None:
    with FaultInjector(fresh_provider) as faults:
        faults.fail("C_GetSessionInfo", DEVICE_REMOVED, nth=1)
        assert fresh_provider.health(TIMEOUT)
        assert faults.injected == 1
    assert fresh_provider.statistics().reconnections == 1


def test_a_closed_provider_is_not_healthy_and_does_not_raise(fresh_provider: Provider) -> None:
    fresh_provider.close()
    health = fresh_provider.health(TIMEOUT)
    assert not health and health.status == "STATUS_INVALID_HANDLE"


def test_wrong_pins_that_the_token_counts_are_a_warning(fresh_provider: Provider) -> None:
    """The flag of CK_TOKEN_INFO is put there: the login that opens a SoftHSM token clears it."""

    def counting(name, function):
        def called(slot, info):
            rv = function(slot, info)
            info.flags |= USER_PIN_COUNT_LOW
            return rv

        return called if name == "C_GetTokenInfo" else function

    assert fresh_provider.health(TIMEOUT).warnings == ()
    undo = fresh_provider.cryptoki.instrument(counting)
    health = fresh_provider.health(TIMEOUT)
    undo()
    assert health and "a wrong PIN was given before" in health.warnings[0]


def test_a_token_that_hangs_costs_one_thread(fresh_provider: Provider) -> None:
    waiting, go_on = threading.Event(), threading.Event()

    def hanging(name, function):
        def called(*arguments):
            if name == "C_GenerateRandom":
                waiting.set()
                go_on.wait(TIMEOUT)
            return function(*arguments)

        return called

    undo = fresh_provider.cryptoki.instrument(hanging)
    try:
        first = fresh_provider.health(0.05)
        assert waiting.wait(TIMEOUT)
        assert [fresh_provider.health(0.01).status for _ in range(3)] == ["STATUS_IO_TIMEOUT"] * 3
        assert (first.status, bool(first)) == ("STATUS_IO_TIMEOUT", False)
        assert first.reason.startswith("no answer within ")
        assert [thread.name for thread in threading.enumerate()].count("hwcng-health") == 1
    finally:
        go_on.set()
        undo()
    assert fresh_provider.health(TIMEOUT)


@pytest.mark.requires("command:swtpm")
def test_a_tpm_that_hangs_and_one_that_went(tpm: Swtpm, tpm_provider: Provider) -> None:
    assert tpm_provider.health(TIMEOUT)
    tpm.pause()
    assert tpm_provider.health(0.05).status == "STATUS_IO_TIMEOUT"
    tpm.resume()
    assert tpm_provider.health(TIMEOUT)
    tpm.kill()
    gone = tpm_provider.health(TIMEOUT)
    assert not gone and gone.status == "STATUS_DEVICE_NOT_CONNECTED" and "is it running?" in gone.reason
    tpm.start()
    assert tpm_provider.health(TIMEOUT)
    assert tpm_provider.statistics().reconnections == 1


@pytest.mark.requires("command:swtpm")
def test_wrong_values_that_a_tpm_counts_are_a_warning(tpm: Swtpm, tpm_provider: Provider) -> None:
    file = key_with_pin(tpm, b"the-pin")
    assert tpm_provider.health(TIMEOUT).warnings == ()
    with pytest.raises(CngError):
        tpm_provider.reload_opaque(file, pin="another").sign_digest(EcdsaSpec(), bytes(32))
    health = tpm_provider.health(TIMEOUT)
    assert health and "1 of the 3 failures that lock the TPM" in health.warnings[0]


def test_calls_errors_and_sessions_are_counted(fresh_provider: Provider) -> None:
    before = fresh_provider.statistics()
    assert (before.calls, before.errors, before.reconnections) == (0, 0, 0)
    for _ in range(130):
        fresh_provider.random(8)
    after = fresh_provider.statistics()
    assert after.calls == 130
    assert after.pool.open == after.pool.idle == 2 and after.pool.busy == 0
    # The first, the 65th and the 129th.
    assert after.latencies.count == 3 and after.latencies.seconds > 0
    with FaultInjector(fresh_provider) as faults, pytest.raises(CngError):
        faults.fail("C_GenerateRandom", DEVICE_ERROR)
        fresh_provider.random(8)
    failed = fresh_provider.statistics()
    assert (failed.calls, failed.errors) == (131, 1)
    # The session of what failed is thrown away, and what it did is not forgotten.
    assert failed.latencies.count == 3


def test_threads_lose_no_count(fresh_provider: Provider) -> None:
    def work() -> None:
        for _ in range(500):
            fresh_provider.random(8)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fresh_provider.statistics().calls == 4000


def test_a_session_at_work_is_busy(fresh_provider: Provider) -> None:
    seen = []

    def looking(name, function):
        def called(*arguments):
            if name == "C_GenerateRandom":
                seen.append(fresh_provider.statistics().pool)
            return function(*arguments)

        return called

    undo = fresh_provider.cryptoki.instrument(looking)
    fresh_provider.random(8)
    undo()
    assert [(pool.open, pool.idle, pool.busy) for pool in seen] == [(2, 1, 1)]


@pytest.mark.requires("command:swtpm")
def test_a_tpm_s_work_is_counted(tpm_provider: Provider) -> None:
    before = tpm_provider.statistics()
    for _ in range(5):
        tpm_provider.random(8)
    after = tpm_provider.statistics()
    assert (after.calls - before.calls, after.errors) == (5, 0)
    assert after.latencies.count == after.calls and after.latencies.mean > 0
    with pytest.raises(CngError):
        tpm_provider.connection.perform("failing", _fails)
    assert tpm_provider.statistics().errors == 1


def _fails(connection) -> None:
    raise CngError(NTSTATUS.STATUS_NOT_SUPPORTED, "no")


def test_statistics_cost_no_call(fresh_provider: Provider, calls) -> None:
    with calls(fresh_provider) as counter:
        fresh_provider.statistics()
    assert counter.total == 0


def test_a_health_costs_few_calls(fresh_provider: Provider, calls) -> None:
    fresh_provider.random(1)
    with calls(fresh_provider) as counter:
        assert fresh_provider.health(TIMEOUT)
    assert counter.names == ["C_GetSessionInfo", "C_GetTokenInfo", "C_GenerateRandom", "C_GetTokenInfo"]


def test_latencies_are_a_histogram() -> None:
    buckets = [0] * BUCKETS
    buckets[3], buckets[12], buckets[BUCKETS - 1] = 2, 5, 1
    told = latencies(buckets, 8_000)
    assert told.count == 8 and told.seconds == 8e-6 and told.mean == 1e-6
    assert told.buckets[0] == (1.024e-6, 2) and told.buckets[2] == (4.096e-6, 7)
    assert told.buckets[-1][1] == 8
    assert told.quantile(0.5) == 4.096e-6 and told.quantile(0.25) == 1.024e-6
    assert [bound for bound, _ in told.buckets] == sorted(bound for bound, _ in told.buckets)
    nothing = Latencies((), 0, 0.0)
    assert (nothing.mean, nothing.quantile(0.99)) == (0.0, 0.0)


def test_a_forked_child_counts_from_nothing_and_looks_for_itself(token_uri: str) -> None:
    run(
        "import os\n"
        "provider = open_token()\n"
        "[provider.random(8) for _ in range(70)]\n"
        "assert provider.health()\n"
        "def child():\n"
        "    assert provider.statistics().calls == 0\n"
        "    assert provider.statistics().pool.idle == 0\n"
        "    assert provider.health(60), provider.health(60)\n"
        "    provider.random(8)\n"
        "    told = provider.statistics()\n"
        "    assert told.calls >= 1 and told.latencies.count <= 2, told\n"
        "pid = os.fork()\n"
        "if not pid:\n"
        "    try:\n"
        "        child()\n"
        "        os._exit(0)\n"
        "    finally:\n"
        "        os._exit(1)\n"
        "assert os.waitpid(pid, 0)[1] == 0\n"
        "assert provider.statistics().calls == 71\n",
        token_uri,
    )


@pytest.fixture
def page(softhsm_token: ThrowAwayToken) -> Page:
    """Runs the program of docs/monitoring.md that has a line, on a token of its own; gives its names."""

    def run_with(line: str) -> dict[str, object]:
        names: dict[str, object] = {}
        (program,) = [program for program in programs_of("docs/monitoring.md") if line in program]
        exec(program.replace('"softhsm"', repr(softhsm_token.uri)), names)
        return names

    return run_with


def test_the_page_s_health_runs(page: Page) -> None:
    assert page("provider.health(timeout=2.0)")["health"]


def test_the_page_s_traces_run(page: Page) -> None:
    page("tracing.trace()")


def test_prometheus_reads_a_provider(page: Page, fresh_provider: Provider) -> None:
    needs_module("prometheus_client")
    from prometheus_client import CollectorRegistry, generate_latest

    for _ in range(3):
        fresh_provider.random(8)
    registry = CollectorRegistry()
    registry.register(page("class TokenCollector")["TokenCollector"](fresh_provider))  # type: ignore[operator]
    told = generate_latest(registry).decode()
    label = fresh_provider.token.label
    assert f'hwcng_calls_total{{token="{label}"}}' in told and f'hwcng_healthy{{token="{label}"}} 1.0' in told
    assert f'hwcng_latency_seconds_bucket{{le="+Inf",token="{label}"}} 1.0' in told


def test_opentelemetry_observes_a_provider(page: Page, fresh_provider: Provider) -> None:
    needs_module("opentelemetry")
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    for _ in range(3):
        fresh_provider.random(8)
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader])
    page("def observe")["observe"](meters.get_meter("test"), fresh_provider)  # type: ignore[operator]
    (scope,) = reader.get_metrics_data().resource_metrics[0].scope_metrics
    told = {metric.name: metric.data.data_points[0] for metric in scope.metrics}
    meters.shutdown()
    assert told["hwcng.calls"].value >= 3 and told["hwcng.healthy"].value == 1
    assert told["hwcng.calls"].attributes == {"hwcng.token": fresh_provider.token.label}
