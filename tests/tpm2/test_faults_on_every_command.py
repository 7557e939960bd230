"""Each road that keys of a TPM go, a fault at each of its commands in turn: what is told, and that nothing is lost.

A road begins anew at each command, until it goes through without having met the fault. Whatever happened, what was kept
before is kept and used with its PIN, no PIN was counted as wrong, and no slot and no session of the TPM is left taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tpm2.test_bound_keys import DEBUG_PCR, DIGEST, PIN, made, opened_with, signs
from tpm2.test_deadlines import stopped
from tpm2.test_endorsement import holds
from tpm2.test_foreign_keys import HANDLE, OWNER, at_a_handle, importable, made_below
from tpm2.test_identity_keys import KEY_CLAIM, OF_KEY, OF_PLATFORM, PLATFORM, identity
from tpm2.test_provisioning import lockout_counter

import hwcng
from hwcng import HRESULT, NTSTATUS, CngError, ncrypt
from hwcng.attestation import make_credential
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.providers.tpm2.wire import key_file_asn1
from hwcng.providers.tpm2.wire.constants import CC, RC
from hwcng.providers.tpm2.wire.errors import TransportError
from hwcng.providers.tpm2.wire.marshal import Exchange
from hwcng.testing.swtpm import Swtpm

OTHER = "a second PIN of 2026"
MOST = 60
"""No road has more commands."""
BOUND = {"PCP_PLATFORM_BINDING_PCRMASK": 1 << DEBUG_PCR, "PCP_USAGEAUTH": PIN}


class World:
    """A TPM with keys of every kind, and what is true of them whatever fails."""

    def __init__(self, tpm: Swtpm, provider: Tpm2Provider) -> None:
        self.tpm = tpm
        self.provider = provider
        self.storage = ncrypt.NCryptOpenStorageProvider(provider)
        at_a_handle(tpm, HANDLE)
        self.below_owner = key_file_asn1.build(made_below(tpm, "ecc256:null:aes128cfb", 0))
        from cryptography.hazmat.primitives.asymmetric import ec

        self.importable = key_file_asn1.build(importable(tpm, OWNER, ec.generate_private_key(ec.SECP256R1())))
        self.kept = {}
        for name, properties in (("free", {}), ("pin", {"PCP_USAGEAUTH": PIN}), ("bound", BOUND)):
            self.kept[name] = made(self.storage, name, **properties).key.public  # type: ignore[union-attr]
        self.kept["identity"] = identity(self.storage, "identity", PCP_USAGEAUTH=PIN).key.public  # type: ignore[union-attr]
        endorsement = provider.endorsement("EC")
        name = ncrypt.NCryptGetProperty(ncrypt.NCryptOpenKey(self.storage, "free"), "PCP_TPM2BNAME")
        self.endorsement, self.credential = endorsement, make_credential(endorsement, name, DIGEST)
        name = ncrypt.NCryptGetProperty(self.open("identity"), "PCP_TPM2BNAME")
        self.credential_of_identity = make_credential(endorsement, name, DIGEST)
        self.number = 0

    def open(self, name: str, pin: str = PIN) -> Any:
        """Anew, so that nobody knows yet whether the PIN is right."""
        self.provider._keys.forget(name)
        try:
            return opened_with(self.storage, name, "" if name == "free" else pin)
        finally:
            ncrypt.NCryptSetProperty(self.storage, ncrypt.NCRYPT_PIN_PROPERTY, "")

    def check(self) -> None:
        for name, public in self.kept.items():
            key = self.open(name)
            assert key.key.public == public
            if name == "identity":
                claim = ncrypt.NCryptCreateClaim(self.storage, key, PLATFORM, OF_PLATFORM)
                ncrypt.NCryptVerifyClaim(None, key, PLATFORM, OF_PLATFORM, claim)
            else:
                assert signs(key)
        assert signs(ncrypt.NCryptOpenKey(self.storage, f"handle:{HANDLE:#x}"))
        assert lockout_counter(self.tpm) == 0
        assert holds(self.provider) == (0, 0)

    def fresh(self) -> str:
        self.number += 1
        return f"new {self.number}"


Outcome = CngError | None
Road = Callable[[World], Iterator[None]]
"""Up to the yield: what goes before; then the road, with the fault. world.after: what must be so when it is over."""


def a_file_of_the_owners(world: World) -> Iterator[None]:
    yield
    key = world.provider.reload_opaque(world.below_owner)
    key.sign_digest(hwcng.contract.specs.EcdsaSpec(), DIGEST)  # type: ignore[union-attr]


def an_importable_file(world: World) -> Iterator[None]:
    yield
    world.provider.persist_key(world.provider.reload_opaque(world.importable), world.fresh())


def a_key_at_a_handle(world: World) -> Iterator[None]:
    yield
    signs(ncrypt.NCryptOpenKey(world.storage, f"handle:{HANDLE:#x}"))


def a_listing(world: World) -> Iterator[None]:
    yield
    assert f"handle:{HANDLE:#x}" in {record.name for record in world.provider.list_keys()}


def a_bound_key_is_made(world: World) -> Iterator[None]:
    name = world.fresh()
    yield
    made(world.storage, name, **BOUND)
    assert signs(world.open(name))


def a_bound_key_is_used(world: World) -> Iterator[None]:
    key = world.open("bound")
    world.provider.connection.release_slots()
    yield
    signs(key)


def a_pin_is_used(world: World) -> Iterator[None]:
    key = world.open("pin")
    world.provider.connection.release_slots()
    yield
    signs(key)


def a_pin_is_changed(world: World) -> Iterator[None]:
    """The file has the PIN before, or the one after it, and nothing in between."""
    name = world.fresh()
    made(world.storage, name, PCP_USAGEAUTH=PIN)
    key = world.open(name)
    try:
        yield
        ncrypt.NCryptSetProperty(key, "PCP_CHANGEPASSWORD", OTHER)
    except CngError:
        assert signs(world.open(name, PIN)) and signs(key)
        raise
    assert signs(world.open(name, OTHER))


def a_key_gives_way(world: World) -> Iterator[None]:
    """To a new one, only once that is stored."""
    name = world.fresh()
    before = made(world.storage, name).key.public  # type: ignore[union-attr]
    key = ncrypt.NCryptCreatePersistedKey(world.storage, "ECDSA_P256", name, 0, ncrypt.NCRYPT_OVERWRITE_KEY_FLAG)
    yield
    try:
        ncrypt.NCryptFinalizeKey(key)
    finally:
        # With the line as it was.
        world.after = lambda: _is_sound(world, name, before)  # type: ignore[attr-defined]


def _is_sound(world: World, name: str, before: Any) -> None:
    found = ncrypt.NCryptOpenKey(world.storage, name)
    assert signs(found) and isinstance(found.key.public, type(before))


def an_identity_attests(world: World) -> Iterator[None]:
    key, subject = world.open("identity"), world.open("free")
    world.provider.connection.release_slots()
    yield
    ncrypt.NCryptCreateClaim(subject, key, KEY_CLAIM, OF_KEY)


def an_identity_attests_a_key_with_a_pin(world: World) -> Iterator[None]:
    """A session for each of them."""
    key, subject = world.open("identity"), world.open("pin")
    world.provider.connection.release_slots()
    yield
    ncrypt.NCryptCreateClaim(subject, key, KEY_CLAIM, OF_KEY)


def a_credential_of_a_key_with_a_pin_is_activated(world: World) -> Iterator[None]:
    key: Any = world.open("identity").key.in_token()
    world.provider.connection.release_slots()
    yield
    activated = world.provider.activate_credential(world.credential_of_identity, key=key, endorsement=world.endorsement)
    assert activated == DIGEST


def an_identity_quotes(world: World) -> Iterator[None]:
    key = world.open("identity")
    world.provider.connection.release_slots()
    yield
    ncrypt.NCryptCreateClaim(world.storage, key, PLATFORM, OF_PLATFORM)


def properties_are_read(world: World) -> Iterator[None]:
    yield
    for name in ("PCP_ECC_EKPUB", "PCP_PCRTABLE", "PCP_PCRTABLE_ALGORITHM"):
        ncrypt.NCryptGetProperty(world.storage, name)


def a_credential_is_activated(world: World) -> Iterator[None]:
    key = world.provider.open_key("free")
    world.provider.connection.release_slots()
    yield
    secret = world.provider.activate_credential(world.credential, key=key, endorsement=world.endorsement)
    assert secret == DIGEST


def a_key_becomes_persistent(world: World) -> Iterator[None]:
    """Called again it ends well, and the key's end takes it out of the TPM."""
    name = world.fresh()
    made(world.storage, name)

    def after() -> None:
        handle = world.provider.make_persistent(name)
        assert signs(ncrypt.NCryptOpenKey(world.storage, f"handle:{handle:#x}"))
        world.provider.delete_key(name)
        assert [record.name for record in world.provider.list_keys() if record.name.startswith("handle:")] == [
            f"handle:{HANDLE:#x}"
        ]

    world.after = after  # type: ignore[attr-defined]
    yield
    world.provider.make_persistent(name)


def a_persistent_key_is_deleted(world: World) -> Iterator[None]:
    name = world.fresh()
    made(world.storage, name)
    world.provider.make_persistent(name)

    def after() -> None:
        """The file is what remembers the object: it goes last."""
        if world.provider._keys.has(name):
            world.provider.delete_key(name)
        listed = {record.name for record in world.provider.list_keys()}
        assert {one for one in listed if one.startswith("handle:")} == {f"handle:{HANDLE:#x}"} and name not in listed

    world.after = after  # type: ignore[attr-defined]
    yield
    world.provider.delete_key(name)


ROADS: tuple[Road, ...] = (
    a_file_of_the_owners,
    an_importable_file,
    a_key_at_a_handle,
    a_listing,
    a_bound_key_is_made,
    a_bound_key_is_used,
    a_pin_is_used,
    a_pin_is_changed,
    a_key_gives_way,
    an_identity_attests,
    an_identity_attests_a_key_with_a_pin,
    a_credential_of_a_key_with_a_pin_is_activated,
    an_identity_quotes,
    properties_are_read,
    a_credential_is_activated,
    a_key_becomes_persistent,
    a_persistent_key_is_deleted,
)


OF_PINS = (
    a_pin_is_used,
    a_bound_key_is_used,
    a_pin_is_changed,
    an_identity_attests,
    an_identity_attests_a_key_with_a_pin,
    a_credential_of_a_key_with_a_pin_is_activated,
    an_identity_quotes,
)
"""Roads of keys whose PIN the TPM has not taken yet."""
BY_PIN = frozenset({CC.Sign, CC.ObjectChangeAuth, CC.Certify, CC.Quote, CC.ActivateCredential})


def cut(exchange: Exchange, command: bytes) -> bytes:
    raise TransportError("cut")


def cut_after(exchange: Exchange, command: bytes) -> bytes:
    exchange(command)
    raise TransportError("cut")


def torn(exchange: Exchange, command: bytes) -> bytes:
    return exchange(command)[:12]


def refusing(code: int) -> Callable[[Exchange, bytes], bytes]:
    def refuse(exchange: Exchange, command: bytes) -> bytes:
        return bytes.fromhex("80010000000a") + int(code).to_bytes(4, "big")

    refuse.__name__ = RC(code).name
    return refuse


REFUSALS = (
    RC.RETRY,
    RC.OBJECT_MEMORY,
    RC.SESSION_MEMORY,
    RC.REFERENCE_S0,
    RC.LOCKOUT,
    RC.COMMAND_CODE,
    RC.NV_UNAVAILABLE,
    RC.VALUE,
)
FAULTS = (cut, cut_after, torn, *map(refusing, REFUSALS))
EXPLAINED = frozenset(NTSTATUS) | frozenset(HRESULT)
UNEXPLAINED = {NTSTATUS.STATUS_INTERNAL_ERROR, HRESULT.NTE_INTERNAL_ERROR}


@pytest.fixture
def world(fresh_tpm: Swtpm, open_tpm: Callable[..., Tpm2Provider]) -> Iterator[World]:
    with open_tpm(fresh_tpm.uri) as provider:
        yield World(fresh_tpm, provider)


def met(world: World, road: Road, number: int, fault: Callable[[Exchange, bytes], bytes]) -> tuple[list[int], Outcome]:
    """The commands of the road with a fault at one of them, and what was told of it."""
    sent: list[int] = []

    def around(exchange: Exchange) -> Exchange:
        def carry(command: bytes) -> bytes:
            sent.append(int.from_bytes(command[6:10], "big"))
            return fault(exchange, command) if len(sent) == number else exchange(command)

        return carry

    world.after = lambda: None  # type: ignore[attr-defined]
    going = road(world)
    next(going)
    undo = world.provider.connection.instrument(around)
    failed: Outcome = None
    try:
        next(going, None)
    except CngError as error:
        failed = error
    finally:
        undo()
    world.after()  # type: ignore[attr-defined]
    if len(sent) >= number and sent[number - 1] == CC.FlushContext:
        # What the TPM kept is written down, and is taken out when the line is opened again.
        world.provider.connection._lose()
    return sent, failed


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("road", ROADS, ids=lambda road: road.__name__)
def test_a_fault_at_every_command(world: World, road: Road, fault: Callable[[Exchange, bytes], bytes]) -> None:
    for number in range(1, MOST):
        sent, failed = met(world, road, number, fault)
        if failed is not None:
            assert failed.status in EXPLAINED - UNEXPLAINED, (number, failed)
            assert PIN not in str(failed) and OTHER not in str(failed)
        world.check()
        if len(sent) < number:
            assert failed is None and number > 1
            return
        if fault in (cut, cut_after, torn) and road in OF_PINS and sent[number - 1] in BY_PIN:
            # Whether the value was right, nobody knows.
            assert failed is not None and sent.count(sent[number - 1]) == 1
    raise AssertionError("a road without an end")


STORING = (a_bound_key_is_made, a_pin_is_used, a_pin_is_changed, a_key_gives_way, an_identity_attests)
SECONDS = 2.0


@pytest.fixture
def limited_world(fresh_tpm: Swtpm) -> Iterator[World]:
    """One whose commands are waited for no longer."""
    with hwcng.open_provider(fresh_tpm.uri, timeout=SECONDS) as provider:
        yield World(fresh_tpm, provider)  # type: ignore[arg-type]


@pytest.mark.parametrize("road", STORING, ids=lambda road: road.__name__)
def test_every_command_that_does_not_come_back(limited_world: World, road: Road) -> None:
    """It is given up and done late; nothing is lost, and no PIN is sent again."""
    world = limited_world

    def unanswered(exchange: Exchange, command: bytes) -> bytes:
        with stopped(world.tpm):
            return exchange(command)

    for number in range(1, MOST):
        sent, failed = met(world, road, number, unanswered)
        if len(sent) < number:
            assert failed is None and number > 1
            return
        assert failed is None or failed.status in (NTSTATUS.STATUS_IO_TIMEOUT, HRESULT.NTE_DEVICE_NOT_READY), failed
        if sent[number - 1] in BY_PIN and road in OF_PINS:
            assert failed is not None and sent.count(sent[number - 1]) == 1
        world.check()
    raise AssertionError("the road has no end")
