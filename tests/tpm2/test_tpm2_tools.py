"""Keys of tpm2-tools (Debian's package tpm2-tools), and ours in its hands; files of other software by their names."""

from __future__ import annotations

import base64
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256
from support import MISSING

from hwcng.contract.material import EcPublicKey
from hwcng.contract.specs import EcdsaSpec, PairSpec, RsaPkcs1SignSpec
from hwcng.contract.usage import Usage
from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.providers.tpm2.wire import key_file_asn1
from hwcng.testing.swtpm import Swtpm

Open = Callable[..., Tpm2Provider]
DIGEST = bytes(range(32))
with_tools = pytest.mark.skipif(shutil.which("tpm2_encodeobject") is None, reason=MISSING + "command:tpm2_encodeobject")


@pytest.fixture
def tools(fresh_tpm: Swtpm, open_tpm: Open, tmp_path: Path) -> Callable[..., bytes]:
    """Runs a line of tpm2-tools in tmp_path, and leaves no slot taken."""
    open_tpm(fresh_tpm.uri).close()

    def run(line: str) -> bytes:
        environ = {**os.environ, "TPM2TOOLS_TCTI": fresh_tpm.tcti, "TSS2_LOG": "all+none"}
        output = b""
        for words in (line.split(), ["tpm2_flushcontext", "-t"]):
            done = subprocess.run(words, env=environ, cwd=tmp_path, capture_output=True, check=False, timeout=60)
            assert done.returncode == 0, done.stderr.decode()
            output = output or done.stdout
        return output

    return run


def verified(public: object, signature: bytes) -> bool:
    assert isinstance(public, EcPublicKey)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    host = ec.EllipticCurvePublicNumbers(public.x, public.y, ec.SECP256R1()).public_key()
    host.verify(utils.encode_dss_signature(r, s), DIGEST, ec.ECDSA(utils.Prehashed(SHA256())))
    return True


@with_tools
@pytest.mark.parametrize("password", ["", "1234"])
@pytest.mark.parametrize(
    "primary",
    ["", "-G ecc", "-G rsa3072:null:aes256cfb", "-G ecc384:null:aes256cfb -g sha384"],
    ids=["root", "P-256", "RSA-3072", "P-384"],
)
def test_keys_of_tpm2_create(
    fresh_tpm: Swtpm, open_tpm: Open, tools: Callable[..., bytes], tmp_path: Path, primary: str, password: str
) -> None:
    parent, auth = "0x81000001", f" -p {password}" if password else ""
    if primary:
        parent = "0x81000077"
        tools(f"tpm2_createprimary -C o {primary} -c primary.ctx")
        tools(f"tpm2_evictcontrol -C o -c primary.ctx {parent}")
    tools(f"tpm2_create -C {parent} -G ecc256 -u key.pub -r key.priv{auth}")
    tools(f"tpm2_encodeobject -C {parent} -u key.pub -r key.priv -o key.pem{' -p' if password else ''}")
    tools(f"tpm2_load -C {parent} -u key.pub -r key.priv -c key.ctx")
    tools("tpm2_evictcontrol -C o -c key.ctx 0x81010005")
    with open_tpm(fresh_tpm.uri) as provider:
        read = provider.reload_opaque((tmp_path / "key.pem").read_bytes(), pin=password)
        assert verified(read.public, read.sign_digest(EcdsaSpec(), DIGEST))  # type: ignore[union-attr]
        fixed = provider.open_key("handle:0x81010005", pin=password)
        assert verified(read.public, fixed.sign_digest(EcdsaSpec(), DIGEST))  # type: ignore[union-attr]
        halves = [(tmp_path / name).read_bytes() for name in ("key.pub", "key.priv")]
        for half in halves:
            with pytest.raises(CngError, match="tpm2_encodeobject -C PARENT"):
                provider.reload_opaque(half)
        with pytest.raises(CngError, match="saved context"):
            provider.reload_opaque((tmp_path / "key.ctx").read_bytes())


@with_tools
def test_tpm2_tools_sign_with_our_key_at_a_handle(
    fresh_tpm: Swtpm, open_tpm: Open, tools: Callable[..., bytes], tmp_path: Path
) -> None:
    (tmp_path / "digest").write_bytes(DIGEST)
    with open_tpm(fresh_tpm.uri) as provider:
        pair = provider.generate_pair(PairSpec("RSA", Usage.SIGN, bits=2048))
        named = provider.persist_key(pair, "shared")
        handle = provider.make_persistent("shared")
        ours = named.sign_digest(RsaPkcs1SignSpec("SHA256"), DIGEST)  # type: ignore[union-attr]
    tools(f"tpm2_sign -c {handle:#x} -g sha256 -s rsassa -d -f plain -o signature digest")
    assert (tmp_path / "signature").read_bytes() == ours


def database(folder: Path) -> bytes:
    with sqlite3.connect(folder / "tpm2_pkcs11.sqlite3") as connection:
        connection.execute("CREATE TABLE tokens (id INTEGER PRIMARY KEY)")
    return (folder / "tpm2_pkcs11.sqlite3").read_bytes()


def credential(identity: str) -> bytes:
    return base64.b64encode(bytes.fromhex(identity) + bytes.fromhex("20000000010000000c00000010000000") + bytes(64))


FILES: dict[str, Callable[[Path], bytes]] = {
    "tpm2-pkcs11": database,
    "systemd-creds: ": lambda folder: credential("0c7cc07b11764591 9c4b0bea08bc20fe"),
    "systemd-creds decrypt": lambda folder: b"  " + credential("93a8940948744490 90caf2fc93cab553"),
    "systemd-cryptenroll": lambda folder: json.dumps({"type": "systemd-tpm2", "keyslots": ["1"]}).encode(),
    "FAPI": lambda folder: json.dumps({"objectType": 1, "persistent_handle": 0}, indent=2).encode(),
}


@pytest.mark.parametrize("named", FILES)
def test_files_that_are_no_keys_are_named(tmp_path: Path, named: str) -> None:
    with pytest.raises(CngError) as error:
        key_file_asn1.parse(FILES[named](tmp_path))
    assert error.value.status is NTSTATUS.STATUS_INVALID_PARAMETER
    assert named in error.value.message


def test_nothing_else_is_named() -> None:
    for blob in (b"", b"{}", b"\0", b"\0\2\0\x23x", b"SQLite", bytes(70)):
        with pytest.raises(CngError, match="neither DER nor PEM"):
            key_file_asn1.parse(blob)
