"""A TPM behind tpm2-abrmd, the resource manager in user space, on a D-Bus of this test's own.

The client is a process of its own (this file as a program): GDBus may end a process whose bus goes away.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

KEYS = 40
"""More than the 27 objects that tpm2-abrmd keeps for one connection."""


@contextmanager
def running(*command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_many_keys_behind_tpm2_abrmd() -> None:
    from support import missing

    from hwcng.testing.swtpm import Swtpm

    for name in ("tpm2-abrmd", "dbus-daemon"):
        if shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
            missing(f"command:{name}")
    with ExitStack() as stack:
        tpm = stack.enter_context(Swtpm())
        # A unix socket's path has 107 bytes at most, and pytest's directories are long.
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="tabrmd-"))
        address = f"unix:path={directory}/bus"
        bus = ("--session", "--nofork", "--nopidfile", f"--address={address}", "--print-address=1")
        assert stack.enter_context(running("dbus-daemon", *bus)).stdout.readline()  # type: ignore[union-attr]
        path = f"{os.environ.get('PATH', '')}:/usr/sbin"
        daemon = ("env", f"PATH={path}", "tpm2-abrmd", "--session", "--allow-root", f"--tcti={tpm.tcti}")
        stack.enter_context(running(*daemon, DBUS_SESSION_BUS_ADDRESS=address))
        client = subprocess.run(
            [sys.executable, __file__, f"{directory}/store"],
            env=os.environ | {"DBUS_SESSION_BUS_ADDRESS": address},
            capture_output=True,
            timeout=120,
            check=False,
        )
        said = (client.stdout + client.stderr).decode("utf-8", "replace")
        if "no TCTI for tpm2-abrmd" in said:
            missing("libtss2-tcti-tabrmd")
        assert client.returncode == 0 and "all keys served" in said, said


def _client(store: str) -> None:
    import ctypes.util

    import tpm2_pytss as tss

    import hwcng
    from hwcng import bcrypt
    from hwcng.providers.tpm2.provider import Tpm2Provider
    from hwcng.providers.tpm2.wire import constants
    from hwcng.providers.uri import Tpm2Uri
    from hwcng.testing.commands import CommandCounter

    if ctypes.util.find_library("tss2-tcti-tabrmd") is None:
        sys.exit("no TCTI for tpm2-abrmd")
    uri = Tpm2Uri("tabrmd:bus_type=session", store=store).to_uri()
    end = time.monotonic() + 30
    while True:
        try:
            tcti = tss.TCTILdr("tabrmd", "bus_type=session")
            break
        except tss.TSS2_Exception:
            # It is not on the bus yet.
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
    with tss.ESAPI(tcti) as others:
        attributes = tss.TPMA_OBJECT.parse("userwithauth|sign|fixedtpm|fixedparent|sensitivedataorigin")
        public = tss.TPM2B_PUBLIC(tss.TPMT_PUBLIC.parse("ecc256", objectAttributes=attributes))
        left = others.create_primary(tss.TPM2B_SENSITIVE_CREATE(), public, tss.ESYS_TR.NULL)[0]
        with hwcng.open_provider(uri) as provider:
            assert isinstance(provider, Tpm2Provider)
            signing = []
            for _ in range(KEYS):
                pair = bcrypt.BCryptGenerateKeyPair(bcrypt.BCryptOpenAlgorithmProvider("ECDSA_P256", provider), 256)
                bcrypt.BCryptFinalizeKeyPair(pair)
                signing.append(pair)
            cipher = bcrypt.BCryptGenerateSymmetricKey(
                bcrypt.BCryptOpenAlgorithmProvider("AES", provider), None, bytes(16)
            )
            with CommandCounter(provider) as counter:
                for _ in range(3):
                    for pair in signing:
                        signature = bcrypt.BCryptSignHash(pair, None, bytes(range(32)))
                        bcrypt.BCryptVerifySignature(pair, None, bytes(range(32)), signature)
                    ciphertext = bcrypt.BCryptEncrypt(cipher, bytes(1040), None, bytes(16))
                    assert bcrypt.BCryptDecrypt(cipher, ciphertext, None, bytes(16)) == bytes(1040)
            assert counter.names.count("TPM2_Sign") == 3 * KEYS and "TPM2_FlushContext" in counter.names
            # What others have in the TPM stayed there, while we opened and while we worked.
            _sign(others, left)
            assert len(provider.connection.esys(lambda esys: esys.numbers(constants.CAP.HANDLES, 0x80000000))) <= 2
        _sign(others, left)
    print("all keys served")


def _sign(context: object, key: object) -> None:
    import tpm2_pytss as tss

    scheme = tss.TPMT_SIG_SCHEME(scheme=tss.TPM2_ALG.ECDSA)
    scheme.details.any.hashAlg = tss.TPM2_ALG.SHA256
    ticket = tss.TPMT_TK_HASHCHECK(tag=tss.TPM2_ST.HASHCHECK, hierarchy=tss.TPM2_RH.NULL)
    context.sign(key, tss.TPM2B_DIGEST(bytes(32)), scheme, ticket)  # type: ignore[attr-defined]


if __name__ == "__main__":
    _client(str(Path(sys.argv[1])))
