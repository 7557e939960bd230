"""Keys that the libraries use: of hwcng's making and of the token's own tools, in SoftHSM and in a software TPM."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from hwcng import KeyPair, bcrypt, ncrypt

if TYPE_CHECKING:
    from hwcng.contract.provider import Provider
    from hwcng.testing.softhsm import SoftHsm
    from hwcng.testing.swtpm import Swtpm

__all__ = [
    "KINDS",
    "PLACES",
    "PROGRAMS",
    "HeldKey",
    "Place",
    "made_by_hwcng",
    "made_by_pkcs11_tool",
    "made_by_tpm2_tools",
    "opened",
]

SECONDS = 60
T = TypeVar("T")


@dataclass(frozen=True)
class Kind:
    """A kind of pair, as hwcng, pkcs11-tool and tpm2-tools name it, "" where a TPM has none. handle: where tpm2-tools
    put theirs.
    """

    algorithm: str
    bits: int
    of_pkcs11_tool: str
    of_tpm2_tools: str = ""
    handle: str = ""


KINDS: Mapping[str, Kind] = {
    "RSA": Kind("RSA", 2048, "rsa:2048", "rsa2048", "0x81010101"),
    "P-256": Kind("ECDSA_P256", 256, "EC:prime256v1", "ecc256", "0x81010102"),
    "Ed25519": Kind("ED25519", 255, "EC:edwards25519"),
}

Place: TypeAlias = tuple[str, str, str]
"""A token, a kind of key, and the program that made it."""

PROGRAMS = {"pkcs11-tool": "pkcs11-tool", "tpm2-tools": "tpm2_create"}
MAKERS = {"SoftHSM": ("hwcng", "pkcs11-tool"), "swtpm": ("hwcng", "tpm2-tools")}
PLACES = [
    (token, kind, maker)
    for token, makers in MAKERS.items()
    for kind in KINDS
    for maker in makers
    if token == "SoftHSM" or KINDS[kind].of_tpm2_tools
]
"""Each kind of key in each token, by hwcng and by the token's own tool."""


@dataclass(frozen=True)
class HeldKey:
    """A pair in a token. token: "SoftHSM" or "swtpm"; kind: of KINDS; maker: the program that made it."""

    token: str
    kind: str
    maker: str
    pair: KeyPair

    @property
    def private(self) -> Any:
        """The key of `cryptography`, whose kind a table of libraries does not tell a type checker."""
        return self.pair.as_cryptography()

    @property
    def public(self) -> Any:
        return self.private.public_key()

    @property
    def is_rsa(self) -> bool:
        return self.kind == "RSA"

    def by_kind(self, **values: T) -> T:
        """The value for RSA, for ECDSA, or for Ed25519."""
        return values[{"RSA": "rsa", "Ed25519": "ed25519"}.get(self.kind, "ecdsa")]


def made_by_hwcng(provider: Provider, kind: str) -> KeyPair:
    of = KINDS[kind]
    pair = bcrypt.BCryptGenerateKeyPair(bcrypt.BCryptOpenAlgorithmProvider(of.algorithm, provider), of.bits)
    bcrypt.BCryptFinalizeKeyPair(pair)
    return pair


def _run(environ: Mapping[str, str], *words: str, folder: Path | None = None) -> None:
    done = subprocess.run(
        words, env={**os.environ, **environ}, cwd=folder, capture_output=True, check=False, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr.decode()


@contextmanager
def made_by_pkcs11_tool(softhsm: SoftHsm, label: str, pin: str, kind: str) -> Iterator[str]:
    """The name of the pair, which is removed at the end."""
    name = f"{kind} of pkcs11-tool"
    run = partial(_run, {**softhsm.environ(), "TOOL_PIN": pin}, "pkcs11-tool", "--module", str(softhsm.module))
    said = ("--token-label", label, "--login", "--pin", "env:TOOL_PIN", "--label", name)
    run(*said, "--keypairgen", "--key-type", KINDS[kind].of_pkcs11_tool, "--id", f"ec{list(KINDS).index(kind):02x}")
    yield name
    for kept in ("privkey", "pubkey"):
        run(*said, "--delete-object", "--type", kept)


def made_by_tpm2_tools(tpm: Swtpm, folder: Path, kind: str) -> Path:
    """A pair below the TPM's storage root key, at the persistent handle of its kind. Its file."""
    of = KINDS[kind]
    environ = {"TPM2TOOLS_TCTI": tpm.tcti, "TSS2_LOG": "all+none"}
    for line in (
        f"tpm2_create -C 0x81000001 -G {of.of_tpm2_tools} -u key.pub -r key.priv",
        "tpm2_load -C 0x81000001 -u key.pub -r key.priv -c key.ctx",
        f"tpm2_evictcontrol -C o -c key.ctx {of.handle}",
        "tpm2_encodeobject -C 0x81000001 -u key.pub -r key.priv -o key.pem",
    ):
        for words in (line, "tpm2_flushcontext -t"):
            _run(environ, *words.split(), folder=folder)
    return folder / "key.pem"


def opened(provider: Provider, name: str) -> KeyPair:
    key = ncrypt.NCryptOpenKey(ncrypt.NCryptOpenStorageProvider(provider), name).key
    assert isinstance(key, KeyPair)
    return key
