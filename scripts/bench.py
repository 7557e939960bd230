"""hwcng through bcrypt.py against the same C_ calls in C, on one SoftHSM token in one run. Ratios, not promises."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import timeit
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

import hwcng
from hwcng import bcrypt
from hwcng.providers.pkcs11.cryptoki import DECLARATIONS
from hwcng.testing.softhsm import SoftHsm, TokenRequest, provision

LABEL = "hwcng-bench"
REPEATS = 5
IMPORTS = 5


def baseline(folder: Path, softhsm: SoftHsm, pin: str) -> dict[str, float]:
    """Microseconds per operation of bench.c."""
    source, program = folder / "bench.c", folder / "bench"
    source.write_text(DECLARATIONS + Path(__file__).with_name("bench.c").read_text())
    subprocess.run(["gcc", "-O2", "-o", str(program), str(source), "-ldl"], check=True)
    command = [str(program), str(softhsm.module), LABEL]
    done = subprocess.run(command, input=pin, capture_output=True, text=True, check=True)
    return {name: float(value) for name, value in (line.split() for line in done.stdout.splitlines())}


def operations(provider: hwcng.Provider) -> dict[str, tuple[Callable[[], object], int]]:
    """What is measured, by bench.c's names, with how often."""
    signer = bcrypt.BCryptGenerateKeyPair(bcrypt.BCryptOpenAlgorithmProvider("ECDSA_P256", provider), 256)
    bcrypt.BCryptFinalizeKeyPair(signer)
    aes = bcrypt.BCryptOpenAlgorithmProvider("AES", provider)
    cbc = aes.generate_key(256)
    bcrypt.BCryptSetProperty(aes, bcrypt.BCRYPT_CHAINING_MODE, bcrypt.BCRYPT_CHAIN_MODE_GCM)
    gcm = aes.generate_key(256)
    mac = bcrypt.BCryptOpenAlgorithmProvider("SHA256", provider, bcrypt.BCRYPT_ALG_HANDLE_HMAC_FLAG)
    mac_key = mac.generate_key(256)
    random = bcrypt.BCryptOpenAlgorithmProvider("RNG", provider)
    iv, digest, small, page = bytes(16), bytes(32), bytes(64), bytes(4096)

    def seal() -> bytes:
        return bcrypt.BCryptEncrypt(gcm, small, bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(iv[:12]))

    return {
        "ecdsa-p256-sign": (lambda: bcrypt.BCryptSignHash(signer, None, digest), 2000),
        "hmac-sha256-64B": (lambda: bcrypt.BCryptHash(mac, mac_key, small), 10000),
        "aes-cbc-64B": (lambda: bcrypt.BCryptEncrypt(cbc, small, None, iv), 10000),
        "aes-cbc-4KiB": (lambda: bcrypt.BCryptEncrypt(cbc, page, None, iv), 5000),
        "aes-gcm-64B": (seal, 10000),
        "random-32B": (lambda: bcrypt.BCryptGenRandom(random, 32), 20000),
    }


def import_milliseconds(statement: str) -> float:
    """The best of a few interpreters that run `statement` and end."""
    command = [sys.executable, "-c", statement]
    return min(timeit.repeat(lambda: subprocess.run(command, check=True), number=1, repeat=IMPORTS)) * 1e3


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    as_json: bool = parser.parse_args().json
    figures = {}
    with tempfile.TemporaryDirectory(prefix="hwcng-bench-") as name:
        folder, pin = Path(name), secrets.token_hex(8)
        softhsm = provision(folder / "softhsm", [TokenRequest(LABEL, pin)], secrets.token_hex(8))
        os.environ.update(softhsm.environ())
        raw = baseline(folder, softhsm, pin)
        with hwcng.open_provider(softhsm.uri(LABEL), pin=pin) as provider:
            for operation, (call, count) in operations(provider).items():
                ours = min(timeit.repeat(call, number=count, repeat=REPEATS)) / count * 1e6
                figures[operation] = {"c_us": raw[operation], "hwcng_us": ours, "ratio": ours / raw[operation]}
    empty, imported = import_milliseconds("pass"), import_milliseconds("import hwcng")
    if as_json:
        json.dump({"operations": figures, "import_ms": imported - empty}, sys.stdout, indent=2)
        return 0
    table = Table("operation", "C, µs", "hwcng, µs", "ratio", "added, µs", title="SoftHSM 2, best of 5")
    for operation, row in figures.items():
        added = row["hwcng_us"] - row["c_us"]
        table.add_row(operation, *(f"{value:.2f}" for value in (*row.values(), added)))
    console = Console(highlight=False)
    console.print(table)
    console.print(f"import hwcng: {imported - empty:.0f} ms beyond the interpreter")
    return 0


if __name__ == "__main__":
    sys.exit(main())
