"""scripts/bench: that it measures what it says, keeps it, judges it and compares it. No time is asserted."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from support import MISSING

from scripts.benchmark import bounds, compare, figures, growth, page, plot, report
from scripts.benchmark.__main__ import main
from scripts.benchmark.contenders.table import CONTENDERS, Known, missing
from scripts.benchmark.figures import Measured, Run, Skipped
from scripts.benchmark.measuring import Apart, Figures, Sample, Undone, in_child, measure, server_seconds
from scripts.benchmark.processes import DeadWorkerError, Process
from scripts.benchmark.rows import FLOORS, HOST, ROWS, TOKENS
from scripts.benchmark.runs import Asked, run

ROOT = Path(__file__).parents[2]
MACHINE = {
    "processor": "a processor",
    "cores": 2,
    "system": "a system",
    "kernel": "6",
    "python": "3",
    "load": 0.1,
    "packages": {"hwcng": "0"},
    "programs": {"swtpm": "swtpm 0"},
}


def measured(contender, microseconds, *, token="softhsm", row="hmac-sha256-64B", threads=1, **more):
    figure = Figures(microseconds, microseconds * 1.1, 0.2)
    return Measured(token, row, threads, contender, 100, figure, figure, figure, **more)


def made_up(*results, **more):
    return Run("abc", "2026-01-01", MACHINE, 3, results, **more)


def the_bound(beginning):
    (found,) = [bound for bound in bounds.BOUNDS if bound.what.startswith(beginning)]
    return found


@pytest.fixture
def console():
    return Console(record=True, width=250, highlight=False)


# Measuring


def test_an_operation_is_done_as_often_as_asked():
    done = []
    sample = measure(lambda: done.append(1), 7)
    assert len(done) == sample.count == 7
    assert sample.wall > 0


def test_every_thread_does_its_share():
    done = []
    assert measure(lambda: done.append(1), 5, threads=4).count == len(done) == 20


def test_what_is_undone_is_not_measured():
    made, undone = iter(range(10)), []
    sample = measure(Undone(lambda: next(made), undone.append), 3)
    assert undone == [0, 1, 2]
    assert sample.count == 3


def test_what_another_process_measured_is_added_up():
    assert measure(Apart(lambda: Sample(1, 2.0, 1.0)), 3) == Sample(3, 6.0, 3.0)


@pytest.mark.parametrize("threads", [1, 3])
def test_an_operation_that_fails_ends_the_measuring(threads):
    with pytest.raises(ZeroDivisionError):
        measure(lambda: 1 / 0, 1, threads)


def test_nothing_cannot_be_measured():
    with pytest.raises(ValueError, match="nothing to measure"):
        measure(lambda: None, 0)


def test_a_child_measures_its_first_call():
    assert measure(in_child(lambda: None), 2).count == 2


def test_a_child_that_dies_is_no_measurement():
    with pytest.raises(RuntimeError, match="the child died"):
        measure(in_child(lambda: 1 / 0), 1)


def test_a_waited_for_child_counts_as_cpu_time():
    loop = "import time\nwhile time.process_time() < 0.1: pass"
    sample = measure(lambda: subprocess.run(["python3", "-c", loop], check=True), 1)
    assert sample.cpu >= 0.1


def test_a_servers_cpu_time_is_seen_from_outside():
    loop = "import time\nwhile time.process_time() < 0.1: pass\nprint(flush=True)\ninput()"
    server = subprocess.Popen(["python3", "-c", loop], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdout.readline()
    assert server_seconds(server.pid) >= 0.1
    server.communicate(b"\n")


def test_figures_of_rounds():
    assert Figures.of([3e-6, 1e-6, 2e-6]) == Figures(1.0, 2.0, 1.0)
    assert Figures.of([5e-6]) == Figures(5.0, 5.0, 0.0)


# Rows and contenders


def test_every_operation_of_a_contender_is_a_row():
    names = {row.name for row in ROWS}
    for known in CONTENDERS:
        assert set(known.tokens) <= set(TOKENS)
        if known.module and not missing(known):
            module = importlib.import_module(f"scripts.benchmark.contenders.{known.module}")
            assert set(module.Contender.OPERATIONS) <= names, known.name


def test_every_row_has_its_floor():
    floor = (ROOT / "scripts" / "benchmark" / "floor.c").read_text()
    for row in ROWS:
        assert f'{{"{row.name}", ' in floor or set(row.tokens) <= set(FLOORS), row.name


# Bounds


@pytest.mark.parametrize(("ours", "met"), [(21.9, True), (22.1, False)])
def test_a_row_within_and_beyond_its_bound(ours, met, console):
    run = made_up(measured("c", 10.0), measured("hwcng", ours))
    assert bounds.Verdict(the_bound("softhsm hmac-sha256-64B, times the floor"), ours / 10).met is met
    assert report.check(run, console) is met
    assert ("beyond the bound: softhsm hmac-sha256-64B, times the floor" in console.export_text()) is not met


def test_the_fastest_other_library_is_the_measure(console):
    run = made_up(
        measured("c", 10.0), measured("hwcng", 20.0), measured("python-pkcs11", 19.0), measured("pykcs11", 50.0)
    )
    assert the_bound("softhsm hmac-sha256-64B, times the fastest").value(run) == pytest.approx(20 / 19)
    assert not report.check(run, console)


def test_neither_the_floor_nor_hwcng_is_another_library():
    run = made_up(measured("c", 10.0), measured("hwcng", 20.0), measured("hwcng-objects", 12.0))
    assert the_bound("softhsm hmac-sha256-64B, times the fastest").value(run) is None


def test_what_was_not_measured_is_neither_met_nor_missed(console):
    assert all(verdict.met is None for verdict in bounds.verdicts(made_up()))
    assert report.check(made_up(), console)
    assert f"{len(bounds.BOUNDS)} were not measured" in console.export_text()


@pytest.mark.parametrize(("two", "met"), [(52.0, True), (70.0, False)])
def test_threads_are_measured_by_what_as_many_of_c_reach(two, met):
    rows = {"row": "rsa-2048-sign"}
    run = made_up(
        measured("c", 100.0, **rows),
        measured("c", 50.0, threads=2, **rows),
        measured("hwcng", 100.0, **rows),
        measured("hwcng", two, threads=2, **rows),
    )
    bound = the_bound("softhsm rsa-2048-sign, two threads")
    assert bounds.Verdict(bound, bound.value(run)).met is met


def test_a_machine_with_one_core_is_no_fault_of_hwcngs():
    rows = {"row": "rsa-2048-sign"}
    run = made_up(*(measured(who, 100.0, threads=n, **rows) for who in ("c", "hwcng") for n in (1, 2)))
    assert the_bound("softhsm rsa-2048-sign, two threads").value(run) == 2


def test_round_trips_are_counted_one_by_one():
    two = measured("hwcng", 1.0, token="p11-kit", row="random-32B", calls=["C_GenerateRandom*2"])
    assert the_bound("p11-kit random-32B, round trips").value(made_up(two)) == 2


def test_the_tokens_own_memory_is_not_hwcngs():
    rows = {"row": "aes-cbc-64MiB"}
    run = made_up(measured("c", 1.0, memory=128 << 20, **rows), measured("hwcng", 1.0, memory=192 << 20, **rows))
    assert the_bound("softhsm aes-cbc-64MiB, memory").value(run) == 2


def test_opening_is_measured_without_the_login():
    run = made_up(measured("hwcng", 25_000.0, row="open-and-sign"), measured("c", 10_000.0, row="login"))
    assert the_bound("open a provider").value(run) == 15


# Keeping, showing, comparing


FULL = made_up(
    measured("c", 10.0),
    measured("hwcng", 25.0, calls=["C_SignInit", "C_Sign"]),
    measured("pykcs11", 40.0),
    measured("c", 9.0, threads=2),
    skipped=(Skipped("swtpm", "", "", "not installed"),),
    growth={"a panel": {"a line": [[1, 2.0], [2, 4.0]]}},
)


def test_a_run_is_kept_whole():
    assert Run.from_json(FULL.to_json()) == FULL
    assert {"format", "commit", "date", "machine", "rounds", "measured", "skipped", "growth"} == set(
        json.loads(FULL.to_json())
    )


@pytest.mark.parametrize("text", ["{}", "[]", '{"format": 0}', "no JSON"])
def test_another_file_is_no_run(text):
    with pytest.raises(ValueError):
        Run.from_json(text)


def test_a_table_and_what_is_missing(console):
    report.show(FULL, console)
    report.details(FULL, console)
    said = console.export_text()
    assert "HMAC-SHA256 64 B, 2 threads" in said
    assert "2.50" in said
    assert "C_SignInit C_Sign" in said
    assert "not measured: swtpm" in said


def test_a_slower_machine_is_told_from_slower_code(console):
    slow = made_up(measured("c", 20.0), measured("hwcng", 50.0, calls=["C_Sign"]))
    (change,) = compare.changes(FULL, slow)
    assert change.factor == 2
    assert change.to_floor == 1
    compare.show(FULL, replace(slow, machine={**MACHINE, "cores": 1}), console)
    said = console.export_text()
    assert "+100%" in said
    assert "only the ratios" in said


def test_plots_are_svg():
    assert plot.ratios(FULL).startswith("<svg ")
    assert plot.ratios(made_up()).startswith("<svg ")
    lines = growth.named(made_up(*(measured("hwcng", 1e3 * keys, row=f"open-among-{keys}") for keys in (10, 1000))))
    assert lines == {"named keys: opening one by name, ms of CPU time": {"hwcng": [(10.0, 10.0), (1000.0, 1000.0)]}}
    assert "<polyline" in plot.growth(lines)


def test_a_page_gets_its_figures_and_keeps_the_rest(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    for _ in range(2):
        page.write(path, FULL, ("a.svg",))
    text = path.read_text()
    assert text.startswith(f"before\n{page.BEGIN}\n") and text.endswith(f"{page.END}\nafter\n")
    assert "old" not in text and text.count("| HMAC-SHA256 64 B |") == 1
    assert "![a](a.svg)" in text and "- softhsm hmac-sha256-64B, times the floor: 2.50, at most 2.2" in text
    path.write_text("a page of something else")
    with pytest.raises(ValueError, match="has no"):
        page.write(path, FULL)


def test_the_performance_page_was_written_by_the_bench():
    text = (ROOT / "docs" / "performance.md").read_text()
    assert text.count(page.BEGIN) == text.count(page.END) == 1


# The command


def test_an_unknown_row_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["--rows", "no-such-row"])
    assert "there is no 'no-such-row'" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("cc") is None, reason=MISSING + "command:cc")
def test_one_row_in_one_round(tmp_path, capsys):
    kept, drawn = tmp_path / "run.json", tmp_path / "run.svg"
    arguments = [
        "--tokens",
        "softhsm",
        "--rows",
        "random-32B",
        "--contenders",
        "c,hwcng,hwcng-objects",
        "--rounds",
        "1",
    ]
    assert main([*arguments, "--seconds", "0", "--details", "--json", str(kept), "--plot", str(drawn)]) == 0
    run = Run.read(kept)
    assert not run.skipped
    assert [(one.token, one.row, one.contender) for one in run.measured] == [
        ("softhsm", "random-32B", name) for name in ("c", "hwcng", "hwcng-objects")
    ]
    assert [one.calls for one in run.measured] == [None, ["C_GenerateRandom"], ["C_GenerateRandom"]]
    assert all(one.total.minimum > 0 and one.count >= 1 for one in run.measured)
    assert run.machine["cores"] >= 1
    assert drawn.read_text().startswith("<svg ")
    assert main(["compare", str(kept), str(kept)]) == 0
    assert "+0%" in capsys.readouterr().out


ABSENT = (
    Known("one", "one", "no_such_module", (HOST,)),
    Known("two", "two", "interpreter", (HOST,), package="no_such_package", pip="pip install no-such-package"),
    Known("three", "three", "hwcng_objects", (HOST,)),
)


def test_who_cannot_take_part_is_named_and_the_others_go_on():
    there = next(known for known in CONTENDERS if known.name == "interpreter")
    rows = tuple(row for row in ROWS if row.name == "import-hwcng")
    done, skipped = figures.split(run(Asked(rows, (HOST,), (*ABSENT, there), rounds=2, seconds=0)))
    assert [one.contender for one in done] == ["interpreter"]
    why = {one.contender: one.why for one in skipped}
    assert why["one"].startswith("ModuleNotFoundError")
    assert why["two"] == "not installed: pip install no-such-package"
    assert why["three"].endswith("has no such operation")


def test_who_ends_between_two_rounds_is_named(monkeypatch):
    taken = []

    def run_once(self, row, count, threads=1):
        taken.append(self)
        if len(taken) == 4:
            raise DeadWorkerError("ended with 1")
        return Sample(count * threads, 1.0, 1.0), 0.0

    monkeypatch.setattr(Process, "run", run_once)
    there = next(known for known in CONTENDERS if known.name == "interpreter")
    rows = tuple(row for row in ROWS if row.name == "import-hwcng")
    done, skipped = figures.split(run(Asked(rows, (HOST,), (there,), rounds=9, seconds=0)))
    assert not done
    assert [one.why for one in skipped] == ["ended with 1"]


@pytest.mark.skipif(shutil.which("cc") is None, reason=MISSING + "command:cc")
def test_the_check_decides_the_exit_status(monkeypatch, capsys):
    never = bounds.Bound("nothing", 0, lambda run: 1.0 if run.measured else None)
    monkeypatch.setattr(report, "verdicts", lambda run: bounds.verdicts(run, (never,)))
    arguments = ["--tokens", "softhsm", "--rows", "random-32B", "--contenders", "c", "--rounds", "1", "--seconds", "0"]
    assert main([*arguments, "--check"]) == 1
    assert "beyond the bound: nothing" in capsys.readouterr().out
    assert main(arguments) == 0


def test_growth_says_what_a_process_holds(tmp_path, capsys):
    drawn = tmp_path / "growth.svg"
    amounts = ["--keys", "20", "--made", "20", "--mebibytes", "1", "--minutes", "0.001"]
    assert main(["growth", *amounts, "--plot", str(drawn)]) == 0
    said = capsys.readouterr().out
    for part in (
        "live session keys: µs",
        "sessions opened and not closed",
        "peak of memory",
        "mixed load, minutes: µs",
        "made and destroyed",
    ):
        assert part in said
    assert "<polyline" in drawn.read_text()


def test_calls_are_counted_though_they_are_shortened():
    assert figures.sent(["C_SignInit", "C_Sign*3"]) == 4
