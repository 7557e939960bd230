"""Keys that other software makes or uses beside hwcng, in a software TPM of each test's own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from support import missing, needs_module
from tools.conftest import Ran
from tools.hwcng_keys import DATA, evidence
from tools.report import MADE as THEIRS
from tools.report import USED as OURS

import hwcng
from hwcng import NTSTATUS, CngError
from hwcng.bcrypt import BCryptEncrypt
from hwcng.cng.naming import open_named
from hwcng.contract.protection import Protection
from hwcng.contract.specs import PairSpec, SecretFamily, SecretSpec
from hwcng.contract.usage import Usage

if TYPE_CHECKING:
    from hwcng.testing.swtpm import Swtpm

pytestmark = pytest.mark.requires("command:swtpm")

Run = Callable[..., bytes]
RSA = PairSpec("RSA", Usage.SIGN | Usage.DECRYPT, bits=2048)
EC = PairSpec("EC", Usage.SIGN, curve="nistP256")
AES = SecretSpec(SecretFamily.AES, 128, Usage.ENCRYPT | Usage.DECRYPT)


@pytest.fixture
def tpm() -> Iterator[Swtpm]:
    """With its storage root key, and nobody on it: tools need its slots."""
    needs_module("tpm2_pytss")
    from hwcng.testing.swtpm import Swtpm

    with Swtpm() as running:
        hwcng.open_provider(running.uri).close()
        yield running


def run(tpm: Swtpm, folder: Path, *command: str | Path, data: bytes = b"") -> bytes:
    environ = {**os.environ, "TPM2TOOLS_TCTI": tpm.tcti, "TPM2OPENSSL_TCTI": tpm.tcti, "TSS2_LOG": "all+none"}
    words = [str(word) for word in command]
    done = subprocess.run(words, input=data, env=environ, cwd=folder, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture
def tools(tpm: Swtpm, tmp_path: Path) -> Callable[[str], None]:
    """Runs a line of tpm2-tools and leaves no slot taken."""

    def ran(line: str) -> None:
        for words in (line.split(), ("tpm2_flushcontext", "-t")):
            run(tpm, tmp_path, *words)

    return ran


@pytest.fixture
def openssl(tpm: Swtpm, tmp_path: Path) -> Run:
    """Runs openssl with tpm2-openssl."""
    told = subprocess.run(["openssl", "version", "-m"], capture_output=True, check=False, text=True)
    if not Path(told.stdout.partition('"')[2].strip().rstrip('"'), "tpm2.so").is_file():
        missing("tpm2-openssl")

    def ran(command: str, *arguments: str | Path, data: bytes = b"") -> bytes:
        both = ("-provider", "tpm2", "-provider", "default", "-propquery", "?provider=tpm2")
        return run(tpm, tmp_path, "openssl", command, *both, *arguments, data=data)

    return ran


def stored_and_used(provider: Any, files: dict[str, Path]) -> dict[str, Any]:
    """Public halves of keys in TSS2 files, once hwcng has stored, listed, opened and used each."""
    for name, path in files.items():
        # tpm2_encodeobject says of no key that it has no PIN.
        provider.persist_key(provider.reload_opaque(path.read_bytes(), pin=""), name)
    listed = {record.name: record for record in provider.list_keys()}
    assert set(listed) == set(files)
    told = {}
    for name, record in listed.items():
        used = partial(evidence, kind=record.kind, usage=record.usage)
        assert used(open_named(provider, name)) == used(hwcng.open_key(record.uri, pin=""))
        told[name] = serialization.load_der_public_key(bytes.fromhex(used(open_named(provider, name))))
    return told


@pytest.mark.requires("command:tpm2_encodeobject")
def test_tpm2_tools(tpm: Swtpm, tools: Callable[[str], None], tmp_path: Path, ran: Ran) -> None:
    """As files, and at handles."""
    kinds = {"RSA": ("rsa2048", 0x81010001), "EC": ("ecc256", 0x81010002)}
    for kind, (algorithm, handle) in kinds.items():
        tools(f"tpm2_create -C 0x81000001 -G {algorithm} -u {kind}.pub -r {kind}.priv")
        tools(f"tpm2_encodeobject -C 0x81000001 -u {kind}.pub -r {kind}.priv -o {kind}.pem")
        tools(f"tpm2_load -C 0x81000001 -u {kind}.pub -r {kind}.priv -c {kind}.ctx")
        tools(f"tpm2_evictcontrol -C o -c {kind}.ctx {handle:#x}")
        tools(f"tpm2_readpublic -c {handle:#x} -f pem -o {kind}.public")
    with hwcng.open_provider(tpm.uri) as provider:
        used = stored_and_used(provider, {kind: tmp_path / f"{kind}.pem" for kind in kinds})
        for kind, (_, handle) in kinds.items():
            assert used[kind] == serialization.load_pem_public_key((tmp_path / f"{kind}.public").read_bytes())
            key = open_named(provider, f"handle:{handle:#x}")
            assert evidence(key, kind, Usage.SIGN) == evidence(open_named(provider, kind), kind, Usage.SIGN)
    ran("tpm2-tools", THEIRS, *kinds)


@pytest.mark.requires("command:tpm2_sign")
def test_tpm2_tools_use_keys_of_hwcng(tpm: Swtpm, tools: Callable[[str], None], tmp_path: Path, ran: Ran) -> None:
    handles, public = {}, {}
    with hwcng.open_provider(tpm.uri) as provider:
        for kind, spec in (("RSA", RSA), ("EC", EC)):
            provider.named(kind).generate_pair(spec)
            public[kind] = open_named(provider, kind).public_key()
        provider.named("AES").generate_secret(AES)
        encrypted = BCryptEncrypt(open_named(provider, "AES"), DATA, None, bytes(16), 0)
        for kind in ("RSA", "EC", "AES"):
            handles[kind] = f"{provider.make_persistent(kind):#x}"  # type: ignore[attr-defined]
    (tmp_path / "data").write_bytes(DATA)
    for kind, scheme in (("RSA", "rsassa"), ("EC", "ecdsa")):
        tools(f"tpm2_sign -c {handles[kind]} -g sha256 -s {scheme} -f plain -o {kind}.signature data")
        way = (padding.PKCS1v15(), hashes.SHA256()) if kind == "RSA" else (ec.ECDSA(hashes.SHA256()),)
        public[kind].verify((tmp_path / f"{kind}.signature").read_bytes(), DATA, *way)
    (tmp_path / "encrypted").write_bytes(public["RSA"].encrypt(DATA, padding.PKCS1v15()))
    tools(f"tpm2_rsadecrypt -c {handles['RSA']} -s rsaes -o decrypted encrypted")
    assert (tmp_path / "decrypted").read_bytes() == DATA
    (tmp_path / "iv").write_bytes(bytes(16))
    tools(f"tpm2_encryptdecrypt -c {handles['AES']} -G cbc -t iv -o by-tools data")
    assert (tmp_path / "by-tools").read_bytes() == encrypted
    ran("tpm2-tools", OURS, *handles)


@pytest.mark.requires("command:openssl")
def test_openssl(tpm: Swtpm, openssl: Run, tmp_path: Path, ran: Ran) -> None:
    kinds = {"RSA": "bits:2048", "EC": "group:P-256"}
    for kind, option in kinds.items():
        made = ("-algorithm", kind, "-pkeyopt", option, "-pkeyopt", "parent:0x81000001")
        openssl("genpkey", *made, "-out", tmp_path / f"{kind}.pem")
    written = {kind: openssl("pkey", "-in", tmp_path / f"{kind}.pem", "-pubout") for kind in kinds}
    with hwcng.open_provider(tpm.uri) as provider:
        used = stored_and_used(provider, {kind: tmp_path / f"{kind}.pem" for kind in kinds})
    assert used == {kind: serialization.load_pem_public_key(pem) for kind, pem in written.items()}
    ran("openssl, tpm2-openssl", THEIRS, *kinds)


@pytest.mark.parametrize("pin", ["", "a PIN"])
@pytest.mark.requires("command:openssl")
def test_openssl_takes_the_name_of_a_key_at_a_handle(tpm: Swtpm, openssl: Run, tmp_path: Path, pin: str) -> None:
    """Which has no file: the refusal says what OpenSSL takes in its place, and it does."""
    with hwcng.open_provider(tpm.uri) as provider:
        provider.protecting(Protection(pin.encode()), "EC").generate_pair(EC)
        handle = provider.make_persistent("EC")  # type: ignore[attr-defined]
        with hwcng.open_key(f"{tpm.uri}&handle={handle:#x}", pin=pin) as key:
            public = key.public_key()
            with pytest.raises(CngError, match="no file stands for it") as error:
                key.to_provider_pem()
    assert error.value.status is NTSTATUS.STATUS_NOT_SUPPORTED
    name = str(error.value).split('"')[3 if pin else 1]
    (tmp_path / "data").write_bytes(DATA)
    asked = ("-passin", f"pass:{pin}") if pin else ()
    signature = openssl("dgst", "-sha256", "-sign", name, *asked, tmp_path / "data")
    public.verify(signature, DATA, ec.ECDSA(hashes.SHA256()))


@pytest.mark.requires("command:openssl")
def test_openssl_uses_keys_of_hwcng(tpm: Swtpm, openssl: Run, tmp_path: Path, ran: Ran) -> None:
    public = {}
    with hwcng.open_provider(tpm.uri) as provider:
        for kind, spec in (("RSA", RSA), ("EC", EC)):
            provider.named(kind).generate_pair(spec)
            key = open_named(provider, kind)
            public[kind] = key.public_key()
            (tmp_path / f"{kind}.pem").write_text(key.to_provider_pem())
    (tmp_path / "data").write_bytes(DATA)

    def signed(kind: str) -> bytes:
        return openssl("dgst", "-sha256", "-sign", tmp_path / f"{kind}.pem", tmp_path / "data")

    public["RSA"].verify(signed("RSA"), DATA, padding.PKCS1v15(), hashes.SHA256())
    public["EC"].verify(signed("EC"), DATA, ec.ECDSA(hashes.SHA256()))
    (tmp_path / "encrypted").write_bytes(public["RSA"].encrypt(DATA, padding.PKCS1v15()))
    assert openssl("pkeyutl", "-decrypt", "-inkey", tmp_path / "RSA.pem", "-in", tmp_path / "encrypted") == DATA
    ran("openssl, tpm2-openssl", OURS, "RSA", "EC")
