"""OpenSSH's sshd lets clients in whose key is in a token, and OpenSSH's ssh knows a host by such a key."""

from __future__ import annotations

import asyncio
import base64
import getpass
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from ecosystem import report
from ecosystem.keys import KINDS, PLACES, HeldKey, Place
from ecosystem.libraries import LIBRARIES, installed_version
from support import missing

SECONDS = 20
SAID = "from the other end"
USER = getpass.getuser()
OPENSSH = (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin"))


def program(name: str) -> str:
    return shutil.which(name, path=PATH) or missing(f"command:{name}")


def software_key(path: Path) -> str:
    """A key's file for OpenSSH; its public half as a line."""
    key = ed25519.Ed25519PrivateKey.generate()
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
    )
    return key.public_key().public_bytes(*OPENSSH).decode()


@contextmanager
def sshd(home: Path, authorized: str, authority: str = "") -> Iterator[tuple[socket.socket, str]]:
    """OpenSSH's server at the other end of a socket, and its host key. authorized: who may log in; authority: whose
    certificates count.
    """
    command = program("sshd")
    if os.geteuid() == 0:
        # Where it locks itself in; its package makes it when the machine starts.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    host = software_key(home / "host")
    (home / "authorized").write_text(authorized + "\n")
    (home / "authority").write_text(authority + "\n")
    (home / "config").write_text(
        f"HostKey {home}/host\nAuthorizedKeysFile {home}/authorized\nStrictModes no\nUsePAM no\n"
        f"TrustedUserCAKeys {home}/authority\n"
        "PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
    )
    ours, its = socket.socketpair()
    with (home / "log").open("wb") as log:
        server = subprocess.Popen([command, "-i", "-e", "-f", home / "config"], stdin=its, stdout=its, stderr=log)  # type: ignore[call-overload]
    its.close()
    try:
        yield ours, host
    finally:
        ours.close()
        server.kill()
        server.wait()


def by_paramiko(held: HeldKey, connection: socket.socket, host: str, certificate: str = "") -> str:
    import paramiko

    from hwcng.interop.paramiko import pkey

    client = paramiko.SSHClient()
    kind, blob = host.split()
    known = paramiko.PKey.from_type_string(kind, base64.b64decode(blob))
    client.get_host_keys().add("host", kind, known)
    key = pkey(held.pair)
    if certificate:
        key.load_certificate(certificate)
    with client:
        client.connect(
            "host",
            username=USER,
            pkey=key,
            sock=connection,  # type: ignore[arg-type]
            allow_agent=False,
            look_for_keys=False,
        )
        _, output, _ = client.exec_command(f"echo {SAID}", timeout=SECONDS)
        return output.read().decode().strip()


def by_asyncssh(held: HeldKey, connection: socket.socket, host: str, certificate: str = "") -> str:
    import asyncssh

    from hwcng.interop.asyncssh import TokenKeyPair

    key = TokenKeyPair(held.pair)
    if certificate:
        key.set_certificate(asyncssh.import_certificate(certificate))

    async def log_in() -> str:
        known = asyncssh.import_known_hosts(f"* {host}\n")
        async with asyncssh.connect(
            "host",
            sock=connection,
            username=USER,
            known_hosts=known,
            client_keys=[key],
            agent_path=None,
            config=None,
        ) as client:
            return str((await client.run(f"echo {SAID}", check=True)).stdout).strip()

    return asyncio.run(asyncio.wait_for(log_in(), SECONDS))


CLIENTS: Mapping[str, Callable[..., str]] = {"paramiko": by_paramiko, "asyncssh": by_asyncssh}


@contextmanager
def paramiko_serves(held: HeldKey) -> Iterator[int]:
    import paramiko

    from hwcng.interop.paramiko import pkey

    class Server(paramiko.ServerInterface):
        asked = threading.Event()

        def check_auth_none(self, username: str) -> int:
            return paramiko.AUTH_SUCCESSFUL

        def check_channel_request(self, kind: str, chanid: int) -> int:
            return paramiko.OPEN_SUCCEEDED

        def check_channel_exec_request(self, channel: Any, command: bytes) -> bool:
            self.asked.set()
            return True

    def serve(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        server = Server()
        with paramiko.Transport(connection) as transport, suppress(paramiko.SSHException, EOFError):
            transport.add_server_key(pkey(held.pair))
            transport.start_server(server=server)
            channel = transport.accept(SECONDS)
            if channel is not None and server.asked.wait(SECONDS):
                channel.sendall(f"{SAID}\n".encode())
                channel.send_exit_status(0)
                channel.close()
                transport.join(SECONDS)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(SECONDS)
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        yield listening.getsockname()[1]
        thread.join(SECONDS)
        assert not thread.is_alive()


@contextmanager
def asyncssh_serves(held: HeldKey) -> Iterator[int]:
    import asyncssh

    from hwcng.interop.asyncssh import TokenKeyPair

    class Server(asyncssh.SSHServer):
        def begin_auth(self, username: str) -> bool:
            return False

    async def answer(process: Any) -> None:
        process.stdout.write(f"{SAID}\n")
        process.exit(0)

    async def listen() -> Any:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=Server,
            server_host_keys=[TokenKeyPair(held.pair)],
            process_factory=answer,
            config=None,
        )

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        server = asyncio.run_coroutine_threadsafe(listen(), loop).result(SECONDS)
        yield server.get_port()
        asyncio.run_coroutine_threadsafe(_closed(server), loop).result(SECONDS)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(SECONDS)
        loop.close()


async def _closed(server: Any) -> None:
    server.close()
    await server.wait_closed()


HOSTS = {"paramiko": paramiko_serves, "asyncssh": asyncssh_serves}
PAIRED = [
    pytest.param(library, place, id=f"{library}-{'-'.join(place)}")
    for library in ("paramiko", "asyncssh")
    for place in PLACES
]


@pytest.mark.parametrize(("library", "held"), PAIRED, indirect=["held"])
def test_sshd_lets_the_key_in(request: pytest.FixtureRequest, library: str, held: HeldKey, tmp_path: Path) -> None:
    installed_version(LIBRARIES[library])
    with sshd(tmp_path, held.public.public_bytes(*OPENSSH).decode()) as (connection, host):
        assert CLIENTS[library](held, connection, host) == SAID
    report.note(request.config, library, held.token, held.kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("library", CLIENTS)
def test_sshd_lets_a_certificate_in(
    library: str, kind: str, held_at: Callable[[Place], HeldKey], tmp_path: Path
) -> None:
    """The authority's key is in a token, and so is the client's."""
    installed_version(LIBRARIES[library])
    authority, held = held_at(("SoftHSM", kind, "hwcng")), held_at(("SoftHSM", kind, "pkcs11-tool"))
    builder = (
        serialization.SSHCertificateBuilder()
        .public_key(held.public)
        .serial(1)
        .type(serialization.SSHCertificateType.USER)
        .key_id(b"me")
        .valid_principals([USER.encode()])
        .valid_after(0)
        .valid_before(2**64 - 1)
        .add_extension(b"permit-pty", b"")
    )
    certificate = builder.sign(authority.private).public_bytes().decode()
    trusted = authority.public.public_bytes(*OPENSSH).decode()
    with sshd(tmp_path, "", authority=trusted) as (connection, host):
        assert CLIENTS[library](held, connection, host, certificate) == SAID
    with sshd(tmp_path, "") as (connection, host), pytest.raises(Exception, match=r"(?i)authentication|denied"):
        CLIENTS[library](held, connection, host, certificate)


def test_a_signature_of_ed25519_that_paramiko_checks(held_at: Callable[[Place], HeldKey]) -> None:
    installed_version(LIBRARIES["paramiko"])
    import paramiko

    from hwcng.interop.paramiko import pkey

    key, other = (pkey(held_at(("SoftHSM", "Ed25519", maker)).pair) for maker in ("hwcng", "pkcs11-tool"))
    signature = key.sign_ssh_data(b"session").asbytes()
    assert key.verify_ssh_sig(b"session", paramiko.Message(signature))
    assert not key.verify_ssh_sig(b"another", paramiko.Message(signature))
    assert key.get_bits() == 256 and key != other


@pytest.mark.parametrize("library", CLIENTS)
def test_sshd_lets_no_other_key_in(library: str, held_at: Callable[[Any], HeldKey], tmp_path: Path) -> None:
    installed_version(LIBRARIES[library])
    place = next(place for place in PLACES if place[0] == "SoftHSM")
    other = software_key(tmp_path / "other")
    with sshd(tmp_path, other) as (connection, host), pytest.raises(Exception, match=r"(?i)authentication|denied"):
        CLIENTS[library](held_at(place), connection, host)


@pytest.mark.parametrize(("library", "held"), PAIRED, indirect=["held"])
def test_ssh_knows_the_host_by_the_key(
    request: pytest.FixtureRequest, library: str, held: HeldKey, tmp_path: Path
) -> None:
    installed_version(LIBRARIES[library])
    called(library, held, tmp_path)
    report.note(request.config, library, held.token, held.kind)


def test_ssh_does_not_know_the_host_by_another_key(held_at: Callable[[Any], HeldKey], tmp_path: Path) -> None:
    installed_version(LIBRARIES["asyncssh"])
    place = next(place for place in PLACES if place[0] == "SoftHSM")
    with pytest.raises(AssertionError, match="Host key verification failed"):
        called("asyncssh", held_at(place), tmp_path, known_by=held_at(("SoftHSM", "Ed25519", "hwcng")))


def called(library: str, held: HeldKey, home: Path, known_by: HeldKey | None = None) -> None:
    """OpenSSH's ssh, which knows the host by its public key, runs a command there."""
    command = program("ssh")
    known = home / "known"
    known.write_text(f"host {(known_by or held).public.public_bytes(*OPENSSH).decode()}\n")
    options = {
        "UserKnownHostsFile": str(known),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "HostKeyAlias": "host",
        "BatchMode": "yes",
    }
    said = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    with HOSTS[library](held) as port:
        done = subprocess.run(
            [command, "-F", "none", "-p", str(port), *said, "user@127.0.0.1", "a command"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    assert (done.returncode, done.stdout.strip()) == (0, SAID), done.stderr
