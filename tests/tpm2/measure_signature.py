"""Prints the ratios of a warm ECDSA P-256 signature through hwcng.bcrypt to plain tpm2-pytss ESAPI, as JSON.

A program of its own, because coverage slows hwcng's lines and not libtss2's. Arguments: "unix" or "tcp", and the bar at
which it stops measuring.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import tpm2_pytss as tss

import hwcng
from hwcng import bcrypt
from hwcng.providers.tpm2.wire import key_file_asn1
from hwcng.testing.swtpm import Swtpm

ROUNDS, SIGNATURES = 60, 8
ATTEMPTS = 8


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    for _ in range(SIGNATURES):
        work()
    return time.perf_counter() - started


def ratio_of_best(ours: Callable[[], object], theirs: Callable[[], object]) -> float:
    """Of the fastest rounds: noise of the machine only ever adds time. The rounds alternate, and so does who begins."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(ROUNDS):
        for which in ((0, 1), (1, 0))[number % 2]:
            times[which].append(seconds((ours, theirs)[which]))
    return min(times[0]) / min(times[1])


def main(transport: str, bar: float) -> None:
    digest = bytes(range(32))
    with Swtpm(tcp=transport == "tcp") as tpm, hwcng.open_provider(tpm.uri) as provider:
        key = bcrypt.BCryptGenerateKeyPair(bcrypt.BCryptOpenAlgorithmProvider("ECDSA_P256", provider), 256)
        bcrypt.BCryptFinalizeKeyPair(key)
        file = key_file_asn1.parse(bcrypt.BCryptExportKey(key, None, "OpaqueKeyBlob"))
        hash_scheme = tss.TPMU_SIG_SCHEME(any=tss.TPMS_SCHEME_HASH(hashAlg=tss.TPM2_ALG.SHA256))
        scheme = tss.TPMT_SIG_SCHEME(scheme=tss.TPM2_ALG.ECDSA, details=hash_scheme)
        ticket = tss.TPMT_TK_HASHCHECK(tag=tss.TPM2_ST.HASHCHECK, hierarchy=tss.TPM2_RH.NULL)
        with tss.ESAPI(tpm.tcti) as context:
            public = tss.TPM2B_PUBLIC(tss.TPMT_PUBLIC.unmarshal(file.public)[0])
            loaded = context.load(context.tr_from_tpmpublic(0x81000001), tss.TPM2B_PRIVATE(file.private), public)
            argument = tss.TPM2B_DIGEST(digest)

            def ours() -> object:
                return bcrypt.BCryptSignHash(key, None, digest)

            def theirs() -> object:
                return context.sign(loaded, argument, scheme, ticket)

            ours(), theirs()
            # A busy machine may blur an attempt, in either direction: the best of them is what the code costs.
            ratios: list[float] = []
            while (not ratios or min(ratios) > bar) and len(ratios) < ATTEMPTS:
                ratios.append(ratio_of_best(ours, theirs))
            context.flush_context(loaded)
    json.dump(ratios, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
