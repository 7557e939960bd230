"""How many commands an operation costs, and a thousand live keys in three slots."""

from __future__ import annotations

import hmac
import random
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from hwcng.contract.material import EcPrivateKey, EcPublicKey
from hwcng.contract.specs import CipherSpec, EcdsaSpec, HmacSpec, PairSpec, RsaOaepSpec, RsaPssSpec, SecretSpec
from hwcng.contract.usage import CipherMode, SecretFamily, Usage
from hwcng.providers.tpm2.line.transport import open_transport
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.providers.tpm2.wire.constants import CC
from hwcng.providers.tpm2.wire.marshal import command, u32
from hwcng.testing.commands import CommandCounter
from hwcng.testing.swtpm import Swtpm

BOTH = Usage.ENCRYPT | Usage.DECRYPT


def operations(provider: Tpm2Provider) -> dict[str, object]:
    pair = provider.generate_pair(PairSpec("RSA", Usage.SIGN | Usage.DECRYPT, bits=1024))
    signing = provider.generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256"))
    agreeing = provider.generate_pair(PairSpec("EC", Usage.DERIVE, curve="nistP256"))
    aes = provider.generate_secret(SecretSpec(SecretFamily.AES, 256, BOTH))
    mac = provider.import_secret(SecretSpec(SecretFamily.HMAC, 256, Usage.SIGN, hash_name="SHA256"), bytes(32))
    public = pair.public
    encrypted = pow(5, 65537, public.modulus).to_bytes(128, "big")  # type: ignore[union-attr]

    def decrypt() -> None:
        with pytest.raises(Exception, match="decryption error"):
            pair.decrypt(RsaOaepSpec("SHA256", b"label"), encrypted)

    return {
        "sign": lambda: signing.sign_digest(EcdsaSpec(), bytes(32)),
        "sign with RSA": lambda: pair.sign_digest(RsaPssSpec("SHA256", 32), bytes(32)),
        "decrypt": decrypt,
        "agree": lambda: agreeing.agree(agreeing.public),
        "HMAC of 1 KiB": lambda: mac.mac(HmacSpec("SHA256"), bytes(1024)),
        "AES of 1 KiB": lambda: aes.encrypt(CipherSpec(CipherMode.CBC, bytes(16)), bytes(1024)),
    }


def test_warm_operations_cost_one_command_and_cold_ones_three(tpm_provider: Tpm2Provider) -> None:
    for name, operation in operations(tpm_provider).items():
        others = [tpm_provider.generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256")) for _ in range(3)]
        with CommandCounter(tpm_provider) as counter:
            operation()  # type: ignore[operator]
        assert counter.total <= 3, (name, counter.names)
        with CommandCounter(tpm_provider) as counter:
            operation()  # type: ignore[operator]
        assert counter.total == 1, (name, counter.names)
        for _ in range(2):
            for other in others:
                other.sign_digest(EcdsaSpec(), bytes(32))
            with CommandCounter(tpm_provider) as counter:
                operation()  # type: ignore[operator]
            assert counter.total <= 3, (name, counter.names)


def test_making_and_importing_keys_costs_at_most_two_commands(tpm_provider: Tpm2Provider) -> None:
    host = ec.generate_private_key(ec.SECP256R1()).private_numbers()
    public = EcPublicKey("nistP256", host.public_numbers.x, host.public_numbers.y)
    spec = PairSpec("EC", Usage.SIGN, curve="nistP256")
    for make in (
        lambda: tpm_provider.generate_pair(spec),
        lambda: tpm_provider.generate_secret(SecretSpec(SecretFamily.AES, 128, BOTH)),
        lambda: tpm_provider.import_secret(SecretSpec(SecretFamily.AES, 128, BOTH), bytes(16)),
        lambda: tpm_provider.import_pair(spec, EcPrivateKey(public, host.private_value)),
    ):
        for key in [tpm_provider.generate_pair(spec) for _ in range(2)]:
            key.sign_digest(EcdsaSpec(), bytes(32))
        with CommandCounter(tpm_provider) as counter:
            make()
        assert counter.total <= 2, counter.names


def test_a_thousand_live_keys(tpm_provider: Tpm2Provider) -> None:
    spec = SecretSpec(SecretFamily.HMAC, 256, Usage.SIGN, hash_name="SHA256")
    values = [number.to_bytes(32, "big") for number in range(1, 1001)]
    keys = [tpm_provider.import_secret(spec, value) for value in values]
    chosen = random.Random(7)
    with CommandCounter(tpm_provider) as counter:
        for _ in range(2):
            for number in chosen.sample(range(1000), 1000):
                before = counter.total
                assert keys[number].mac(HmacSpec("SHA256"), b"x") == hmac.digest(values[number], b"x", "sha256")
                assert counter.total - before <= 3
    for key in keys:
        key.destroy()


def test_two_keys_stay_resident(tpm_provider: Tpm2Provider) -> None:
    keys = [tpm_provider.generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256")) for _ in range(2)]
    for key in keys:
        key.sign_digest(EcdsaSpec(), bytes(32))
    with CommandCounter(tpm_provider) as counter:
        for _ in range(5):
            for key in keys:
                key.sign_digest(EcdsaSpec(), bytes(32))
    assert counter.names == ["TPM2_Sign"] * 10


def test_long_macs_fit_beside_resident_keys(tpm_provider: Tpm2Provider) -> None:
    other = tpm_provider.generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256"))
    mac = tpm_provider.generate_secret(SecretSpec(SecretFamily.HMAC, 256, Usage.SIGN, hash_name="SHA256"))
    other.sign_digest(EcdsaSpec(), bytes(32))
    mac.mac(HmacSpec("SHA256"), b"")
    with CommandCounter(tpm_provider) as counter:
        mac.mac(HmacSpec("SHA256"), bytes(4096))
        other.sign_digest(EcdsaSpec(), bytes(32))
    assert counter.total == 6


def test_the_counter_counts_only_inside_its_context(tpm_provider: Tpm2Provider) -> None:
    counter = CommandCounter(tpm_provider, record=True)
    with counter:
        tpm_provider.random(1)
        with pytest.raises(RuntimeError):
            counter.__enter__()
    tpm_provider.random(1)
    assert counter.names == ["TPM2_GetRandom"] and len(counter.octets) == 2
    counter.clear()
    assert counter.total == 0


def test_a_context_is_saved_of_the_key_that_goes_next(fresh_tpm: Swtpm, open_tpm: Callable[..., Tpm2Provider]) -> None:
    with open_tpm(fresh_tpm.uri) as provider, CommandCounter(provider) as counter:
        first, second, third = (provider.generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256")) for _ in range(3))
        for key, before in (
            (first, ["TPM2_Load"]),
            (second, ["TPM2_Load", "TPM2_ContextSave"]),
            (third, ["TPM2_FlushContext", "TPM2_Load"]),
            (first, ["TPM2_FlushContext", "TPM2_ContextLoad"]),
        ):
            counter.clear()
            key.sign_digest(EcdsaSpec(), bytes(32))
            assert counter.names == [*before, "TPM2_Sign"]


@pytest.mark.parametrize("taken", [False, True])
def test_a_key_that_somebody_flushed_comes_back(
    fresh_tpm: Swtpm, open_tpm: Callable[..., Tpm2Provider], taken: bool
) -> None:
    import tpm2_pytss as tss

    with open_tpm(fresh_tpm.uri) as provider, tss.ESAPI(fresh_tpm.tcti) as client:
        first, second, third = (provider.generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256")) for _ in range(3))
        first.sign_digest(EcdsaSpec(), bytes(32))
        slot = first.blob()[0].handle
        open_transport(fresh_tpm.tcti).exchange(command(CC.FlushContext, (), b"", u32(slot)))
        others = [client.create_primary(tss.TPM2B_SENSITIVE_CREATE(), "ecc")[0] for _ in range(2 * taken)]
        # Its handle is of something else by now, whose context is none of the key's.
        assert (slot in [client.tr_get_tpm_handle(other) for other in others]) is taken
        for other in others[:1]:
            client.flush_context(other)
        for key in (second, third, first):
            key.sign_digest(EcdsaSpec(), bytes(32))
