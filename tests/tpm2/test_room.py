"""A TPM without a resource manager keeps what a process made: it goes when the process has ended, and not before."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from isolation.child import run
from tpm2.test_foreign_keys import made_below

from hwcng.contract.specs import EcdsaSpec, PairSpec
from hwcng.contract.usage import Usage
from hwcng.errors import CngError
from hwcng.providers.tpm2.line import leftovers
from hwcng.providers.tpm2.line.ledger import OBJECT, SESSION, Entry, Ledger
from hwcng.providers.tpm2.line.presence import meeting_place
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.providers.tpm2.wire import key_file_asn1
from hwcng.testing.swtpm import Swtpm

Open = Callable[..., Tpm2Provider]
SIGNING = PairSpec("EC", Usage.SIGN, curve="nistP256")
DIGEST = bytes(range(32))

KILLED = """
import itertools, signal
from hwcng.providers.tpm2.wire import commands
from hwcng.providers.tpm2.line.ledger import SESSIONS
from hwcng.providers.tpm2.wire.public_area import STORAGE_ROOT_KEY

SIGNING = PairSpec("EC", Usage.SIGN, curve="nistP256")
HMAC_KEY = SecretSpec(SecretFamily.HMAC, 256, Usage.SIGN, hash_name="SHA256")
provider = hwcng.open_provider(URI)
resident = provider.persist_key(provider.generate_pair(SIGNING), "resident")
what, moment, *files = sys.argv[2:]

def fails(call):
    try:
        call()
    except CngError:
        return
    raise AssertionError

def present():
    provider.connection.release_slots()
    return provider.connection.perform(
        "x", lambda line: [handle for first in (0x80000000, SESSIONS) for handle in commands.handles(line, first)]
    )

def work():
    if what == "keys":
        for _ in range(2):
            pair = provider.generate_pair(SIGNING)
            pair.sign_digest(EcdsaSpec(), bytes(32))
            resident.sign_digest(EcdsaSpec(), bytes(32))
    elif what == "mac":
        provider.generate_secret(HMAC_KEY).mac(HmacSpec("SHA256"), bytes(5000))
    elif what == "foreign":
        for path in files:
            key = provider.reload_opaque(open(path, "rb").read())
            key.sign_digest(EcdsaSpec(), bytes(32))
    else:
        # What makes a storage root key, with and without the owner's authorization: it is there already.
        for auth in (b"", b"wrong"):
            fails(lambda: provider.connection.perform(
                "x", lambda line: line.esys(lambda esys: esys.persist_primary(STORAGE_ROOT_KEY, 0x81000001, auth))
            ))

def killed_at(step):
    pid = os.fork()
    if pid == 0:
        steps = itertools.count()
        line = provider.connection
        carried = line._transport.exchange
        def deadly(request):
            dies = next(steps) == step
            if dies and moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            response = carried(request)
            # The TPM has it, and nobody has read the answer.
            if dies:
                os.kill(os.getpid(), signal.SIGKILL)
            return response
        line._transport.exchange = deadly
        line._rebuild_exchange()
        work()
        os.kill(os.getpid(), signal.SIGKILL) if step < 0 else os._exit(0)
    return os.waitpid(pid, 0)[1] != 0

mine = present()
assert len(mine) == 1, mine
for step in itertools.count():
    killed = killed_at(step)
    # The next that needs room takes out what was left, and a fresh process finds room.
    assert fork(lambda: (provider.random(1), 0)[1]) == 0
    from hwcng.providers.tpm2.line import leftovers
    provider.connection.perform("x", lambda line: leftovers.flush_left(line, line._ledger))
    assert present() == mine, (step, list(map(hex, present())))
    resident.sign_digest(EcdsaSpec(), bytes(32))
    if not killed:
        break
assert step > 3
provider.close()
print(step)
"""


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("what", ["keys", "mac", "primary", "foreign"])
def test_killed_at_each_command(fresh_tpm: Swtpm, tmp_path: Path, what: str, moment: str) -> None:
    """Whether the TPM carried the last command out or not, what the dead held is gone, and nothing else is."""
    files = []
    for kind in ("ecc256", "rsa2048") if what == "foreign" else ():
        files.append(tmp_path / kind)
        files[-1].write_bytes(key_file_asn1.build(made_below(fresh_tpm, f"{kind}:null:aes128cfb", 0)))
    assert int(run(KILLED, fresh_tpm.uri, what, moment, *map(str, files))) > 3


HOLDER = """
import os, sys, hwcng
from hwcng.contract import *
key = hwcng.open_provider(sys.argv[1]).generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256"))
key.sign_digest(EcdsaSpec(), bytes(32))
print("ready", flush=True)
for line in sys.stdin:
    key.sign_digest(EcdsaSpec(), bytes(32))
    print("signed", flush=True)
"""


@pytest.fixture
def start() -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Starts a process that holds a key and a session, and signs whenever it gets a line."""
    started: list[subprocess.Popen[str]] = []

    def start(uri: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        process = subprocess.Popen([sys.executable, "-c", HOLDER, uri], stdin=pipe, stdout=pipe, text=True)
        started.append(process)
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def signs(process: subprocess.Popen[str]) -> bool:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline() == "signed\n"


def present(provider: Tpm2Provider) -> list[int]:
    return provider.connection.perform("x", leftovers._present)


def make_room(provider: Tpm2Provider) -> bool:
    connection = provider.connection
    return connection.perform("x", lambda line: leftovers.flush_left(line, connection._ledger))


def test_a_throw_away_tpm_leaves_no_files(start: Callable[[str], subprocess.Popen[str]]) -> None:
    """Neither those of who was killed, nor those of who has objects in it that nobody can flush any more."""
    with Swtpm() as tpm:
        place = meeting_place(tpm.tcti)
        killed, alive = start(tpm.uri), start(tpm.uri)
        killed.kill()
        killed.wait()
        assert len(list(place.parent.glob(f"{place.name}-*.held"))) == 2
    assert list(place.parent.glob(f"{place.name}-*")) == []
    alive.communicate()
    assert list(place.parent.glob(f"{place.name}*")) == []


def test_killed_siblings_shut_nobody_out(
    fresh_tpm: Swtpm, open_tpm: Open, start: Callable[[str], subprocess.Popen[str]]
) -> None:
    with open_tpm(fresh_tpm.uri) as provider:
        key = provider.generate_pair(SIGNING)
        for _ in range(4):
            sibling = start(fresh_tpm.uri)
            sibling.kill()
            sibling.wait()
            key.sign_digest(EcdsaSpec(), DIGEST)
        provider.generate_pair(SIGNING).sign_digest(EcdsaSpec(), DIGEST)


def test_what_the_living_hold_stays(
    fresh_tpm: Swtpm, open_tpm: Open, start: Callable[[str], subprocess.Popen[str]]
) -> None:
    with open_tpm(fresh_tpm.uri) as provider:
        living = start(fresh_tpm.uri)
        before = present(provider)
        dead = start(fresh_tpm.uri)
        held = set(present(provider)) - set(before)
        assert held
        assert not make_room(provider) and held <= set(present(provider))
        dead.kill()
        dead.wait()
        assert make_room(provider)
        assert present(provider) == before
        assert not make_room(provider)
        assert signs(living) and present(provider) == before


def test_what_other_programs_made_stays(
    fresh_tpm: Swtpm, open_tpm: Open, start: Callable[[str], subprocess.Popen[str]]
) -> None:
    import tpm2_pytss as tss

    with open_tpm(fresh_tpm.uri) as provider, tss.ESAPI(fresh_tpm.tcti) as client:
        mine = present(provider)
        client.start_auth_session(
            tss.ESYS_TR.NONE, tss.ESYS_TR.NONE, tss.TPM2_SE.HMAC, tss.TPMT_SYM_DEF(algorithm=0x10), 0xB
        )
        foreign = client.create_primary(None, "ecc", tss.ESYS_TR.NULL)[0]
        theirs = set(present(provider)) - set(mine)
        assert len(theirs) == 2
        for _ in range(2):
            sibling = start(fresh_tpm.uri)
            sibling.kill()
            sibling.wait()
            # No room at all: what the sibling left goes, and ours comes and goes.
            for _ in range(3):
                provider.generate_pair(SIGNING).sign_digest(EcdsaSpec(), DIGEST)
            provider.connection.release_slots()
        with open_tpm(f"tpm2:{fresh_tpm.tcti}?store={fresh_tpm.directory}/other&x-timeout=50") as another:
            another.generate_pair(SIGNING).sign_digest(EcdsaSpec(), DIGEST)
        assert theirs <= set(present(provider))
        client.read_public(foreign)


def test_opening_alone_leaves_other_programs_what_they_have(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    """Only where there is no room to work at all, who is alone takes it."""
    import tpm2_pytss as tss

    open_tpm(fresh_tpm.uri).close()
    with tss.ESAPI(fresh_tpm.tcti) as client:
        foreign = client.create_primary(None, "ecc", tss.ESYS_TR.NULL)[0]
        with open_tpm(fresh_tpm.uri) as provider:
            provider.generate_pair(SIGNING).sign_digest(EcdsaSpec(), DIGEST)
        client.read_public(foreign)


def test_a_record_from_before_a_reset_means_nothing(
    fresh_tpm: Swtpm, open_tpm: Open, start: Callable[[str], subprocess.Popen[str]]
) -> None:
    import tpm2_pytss as tss

    sibling = start(fresh_tpm.uri)
    sibling.kill()
    sibling.wait()
    fresh_tpm.restart()
    with tss.ESAPI(fresh_tpm.tcti) as client:
        client.start_auth_session(
            tss.ESYS_TR.NONE, tss.ESYS_TR.NONE, tss.TPM2_SE.HMAC, tss.TPMT_SYM_DEF(algorithm=0x10), 0xB
        )
        with open_tpm(fresh_tpm.uri) as provider:
            assert 0x02000000 in present(provider)
            assert 0x02000000 not in [entry.handle for entry in provider.connection._ledger.entries.values()]


POOL = """
import concurrent.futures, multiprocessing, signal
from hwcng.providers.tpm2.line import leftovers

provider = hwcng.open_provider(URI)
key = provider.persist_key(provider.generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256")), "worker")

def sign(number):
    signature = key.sign_digest(EcdsaSpec(), bytes(32))
    # What a finaliser does at the end of a worker still finds the TPM.
    return len(signature)

context = multiprocessing.get_context("fork")
with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as workers:
    assert list(workers.map(sign, range(4), timeout=30)) == [64] * 4
with context.Pool(2) as pool:
    assert pool.map(sign, range(4)) == [64] * 4
    pool.close()
    pool.join()
provider.connection.release_slots()
# Nothing had to be taken out: the workers did that themselves.
print([hex(handle) for handle in provider.connection.perform("x", leftovers._present)])
provider.close()
"""


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_workers_take_with_them_what_is_theirs(fresh_tpm: Swtpm) -> None:
    assert run(POOL, fresh_tpm.uri).strip() == "['0x2000000']"


def test_without_a_place_to_write_it_works(
    fresh_tpm: Swtpm, open_tpm: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "missing"))
    with open_tpm(fresh_tpm.uri) as provider:
        provider.generate_pair(SIGNING).sign_digest(EcdsaSpec(), DIGEST)


def test_room_that_is_not_there_is_told(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    import tpm2_pytss as tss

    with open_tpm(fresh_tpm.uri) as provider, tss.ESAPI(fresh_tpm.tcti) as client:
        for _ in range(3):
            client.create_primary(None, "ecc", tss.ESYS_TR.NULL)
        with pytest.raises(CngError) as error:
            provider.generate_pair(SIGNING)
        assert "tpm2_flushcontext" in error.value.message and "tpmrm0" in error.value.message


# The record

DEAD = """
import sys
from pathlib import Path
from hwcng.providers.tpm2.line.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]), b"")
with ledger.dead() as dead:
    print(len(dead), [entry.handle for entry in ledger.living(dead)])
"""


def test_a_closed_provider_leaves_no_file(fresh_tpm: Swtpm, open_tpm: Open) -> None:
    with open_tpm(fresh_tpm.uri) as provider:
        place = provider.connection._ledger._place
        provider.generate_pair(SIGNING).sign_digest(EcdsaSpec(), DIGEST)
        assert len(list(place.parent.glob(f"{place.name}-*"))) == 1
    assert not list(place.parent.glob(f"{place.name}-*"))


def test_lines_are_read_as_they_were_written(tmp_path: Path) -> None:
    entries = [
        Entry(SESSION, 0, b"", 5, (0x02000000, 0x02000001)),
        Entry(OBJECT, 0x80000001, b"\0\x0b" + bytes(64), 1 << 40),
        Entry(SESSION, 0x02000002, b"", 0),
    ]
    code = textwrap.dedent(
        """
        import os, sys
        from pathlib import Path
        from hwcng.providers.tpm2.line.ledger import *
        ledger = Ledger(Path(sys.argv[1]), b"")
        ledger.arrive()
        for number, entry in enumerate(eval(sys.argv[2])):
            ledger.note(number, entry)
        ledger.note(3, Entry(SESSION, 1, b"", 0))
        ledger.note(3, None)
        os._exit(0)
        """
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "tpm"), repr(entries)], check=True)
    ledger = Ledger(tmp_path / "tpm", b"")
    with ledger.dead() as dead:
        assert list(dead.values()) == [entries]
        # What is held in another TPM does not count here.
        Ledger(tmp_path / "other", b"").note(0, Entry(SESSION, 7, b"", 0))
        assert ledger.living(dead) == []
    (path,) = dead
    path.write_bytes(path.read_bytes()[:300] + b"\xff" * 20)
    with ledger.dead() as dead:
        assert list(dead.values()) == [entries[:1]]
    # What is not this user's own file is not believed.
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
    else:
        path.unlink()
    (tmp_path / "tpm-link.held").symlink_to("/etc/passwd")
    with ledger.dead() as dead:
        assert not dead


def test_a_file_is_the_deads_only_when_its_process_has_ended(tmp_path: Path) -> None:
    ledger, other = Ledger(tmp_path / "tpm", b""), Ledger(tmp_path / "tpm", b"")
    ledger.arrive()
    ledger.note(0, Entry(SESSION, 7, b"", 0))
    # A second connection of this process must not drop the lock by looking.
    with other.dead() as dead:
        assert not dead
    assert [entry.handle for entry in other.living({})] == [7]
    command = [sys.executable, "-c", DEAD, str(tmp_path / "tpm")]
    assert subprocess.check_output(command, text=True) == "0 [7]\n"
    pid = os.fork()
    if pid == 0:
        # A child has its parent's file open, and ends.
        os._exit(0)
    os.waitpid(pid, 0)
    assert subprocess.check_output(command, text=True) == "0 [7]\n"
    ledger.leave()
    assert not list(tmp_path.iterdir())


def test_a_file_that_was_closed_by_others_is_not_written_to(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "tpm", b"")
    ledger.arrive()
    number = ledger._descriptor
    os.close(number)
    theirs = os.open(tmp_path / "theirs", os.O_RDWR | os.O_CREAT)
    os.dup2(theirs, number)
    ledger.note(0, Entry(SESSION, 7, b"", 0))
    # Its lock went with the file; the process is known by its id and start.
    command = [sys.executable, "-c", DEAD, str(tmp_path / "tpm")]
    assert subprocess.check_output(command, text=True) == "0 [7]\n"
    ledger.leave()
    assert os.fstat(number).st_size == 0
    os.close(number)
    if theirs != number:
        os.close(theirs)


def test_what_was_made_before_exec_is_taken_out(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from hwcng.providers.tpm2.line.ledger import SESSION, Entry, Ledger
ledger = Ledger(Path(sys.argv[1]), b"")
ledger.arrive()
ledger.note(0, Entry(SESSION, 7, b"", 0))
os.execv(sys.executable, [sys.executable, "-c", sys.argv[2], sys.argv[1]])
"""
    command = [sys.executable, "-c", code, str(tmp_path / "tpm"), DEAD]
    assert subprocess.check_output(command, text=True) == "1 []\n"
