"""A run of the command in this process: what it wrote and how it ended, and two tokens to run it on."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from support import missing, needs_module

from hwcng.contract.provider import Provider

if TYPE_CHECKING:
    from cli.commands import World

    from hwcng.testing.swtpm import Swtpm

needs_module("click")
needs_module("rich")


@dataclass
class Ran:
    status: int
    output: str
    errors: str

    @property
    def data(self) -> Any:
        return json.loads(self.output)


@dataclass
class CommandToken:
    """uri: with its pin-source. bare: without. secrets: what no output may hold."""

    uri: str
    bare: str
    provider: Provider
    secrets: tuple[str, ...] = field(default=(), repr=False)
    rsa: bool = True


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], command_secrets: tuple[str, ...]) -> Callable[..., Ran]:
    """Runs the command, and holds that it says no secret."""
    from hwcng.cli import main

    def ran(*arguments: object) -> Ran:
        capfd.readouterr()
        status = main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        for secret in command_secrets:
            assert secret not in captured.out + captured.err
        return Ran(status, captured.out, captured.err)

    return ran


@pytest.fixture(scope="session")
def command_softhsm(token_uri: str, token_pin: str, provider: Provider, tmp_path_factory) -> CommandToken:
    pin = tmp_path_factory.mktemp("pin") / "pin"
    pin.write_text(token_pin + "\n")
    pin.chmod(0o600)
    return CommandToken(f"{token_uri}&pin-source=file:{pin}", token_uri, provider, (token_pin,))


def needs_swtpm() -> None:
    if shutil.which("swtpm") is None:
        missing("command:swtpm")
    needs_module("tpm2_pytss")


@pytest.fixture(scope="session")
def command_swtpm() -> Iterator[CommandToken]:
    needs_swtpm()
    import hwcng
    from hwcng.testing.swtpm import Swtpm

    with Swtpm() as tpm, hwcng.open_provider(tpm.uri) as provider:
        yield CommandToken(tpm.uri, tpm.uri, provider)


@pytest.fixture(params=["softhsm", "swtpm"])
def token(request: pytest.FixtureRequest) -> CommandToken:
    there: CommandToken = request.getfixturevalue(f"command_{request.param}")
    return there


@pytest.fixture
def idle_swtpm() -> Iterator[Swtpm]:
    """One that no provider of this process has taken slots of."""
    needs_swtpm()
    from hwcng.testing.swtpm import Swtpm

    with Swtpm() as tpm:
        yield tpm


@pytest.fixture
def world(run, command_softhsm, other_token_uri, other_token_pin, new_name, tmp_path, request) -> Iterator[World]:
    """What the rows of the table of commands name."""
    from cli.commands import World

    def pin_source() -> str:
        pin = tmp_path / "other-pin"
        pin.write_text(other_token_pin)
        return f"{other_token_uri}&pin-source=file:{pin}"

    def tpm_name() -> str:
        made = run("keys", "generate", there["tpm"], "--name", new_name, "--algorithm", "ECDSA_P256")
        assert made.status == 0
        return new_name

    others = {
        "uri": lambda: command_softhsm.uri,
        "other_uri": pin_source,
        "tpm": lambda: request.getfixturevalue("idle_swtpm").uri,
        "tpm_name": tpm_name,
    }
    there = World(tmp_path, command_softhsm.provider, others, run)
    yield there
    for uri in {"uri", "other_uri"} & set(there):
        for name in {*there.names, new_name}:
            run("keys", "delete", there[uri], name)


@pytest.fixture
def command_secrets(token_pin: str) -> tuple[str, ...]:
    return (token_pin,)


@pytest.fixture
def new_name() -> str:
    return f"command {uuid.uuid4().hex[:12]}"
