"""A TPM behind tpm2-abrmd, the resource manager in user space.

The client is a process of its own (this file as a program): GDBus may end a process whose bus goes away.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

KEYS = 40
"""More than the 27 objects that tpm2-abrmd keeps for one connection."""


def test_many_keys_behind_tpm2_abrmd() -> None:
    from support import missing
    from tpm2.abrmd import resource_manager

    from hwcng.testing.swtpm import Swtpm

    with (
        Swtpm() as tpm,
        resource_manager(tpm) as environment,
        tempfile.TemporaryDirectory(prefix="tabrmd-store-") as store,
    ):
        client = subprocess.run(
            [sys.executable, __file__, store],
            env=os.environ | environment,
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
    from hwcng.providers.tpm2.uri import Tpm2Uri
    from hwcng.providers.tpm2.wire import constants
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
