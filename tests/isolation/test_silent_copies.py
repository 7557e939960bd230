"""Copying and pickling what a process has open in a token is refused, or works, and writes nothing to stderr."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import copy, gc, pickle, sys
import hwcng
from hwcng import bcrypt, ncrypt, wincrypt
from hwcng.contract import PairSpec, SecretFamily, SecretSpec, Usage
from hwcng.providers.pkcs11.objects import SessionObject

token = hwcng.open_provider(sys.argv[1], pin=sys.argv[2])
hwcng.set_default_provider(token)
aes = bcrypt.BCryptOpenAlgorithmProvider("AES", token)
pair = bcrypt.BCryptGenerateKeyPair(bcrypt.BCryptOpenAlgorithmProvider("ECDH_P256", token), 256)
bcrypt.BCryptFinalizeKeyPair(pair)
context = wincrypt.CryptAcquireContext(None, token, wincrypt.PROV_RSA_AES, wincrypt.CRYPT_VERIFYCONTEXT)
secret_key = token.generate_secret(SecretSpec(SecretFamily.AES, 256, Usage.ENCRYPT))
private_key = token.generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256"))
things = [
    token, secret_key, private_key, token.persist_key(private_key, sys.argv[3]), secret_key.held,
    aes, aes.generate_key(256), pair, bcrypt.BCryptSecretAgreement(pair, pair),
    bcrypt.BCryptSecretAgreement(pair, pair).agreed, bcrypt.BCryptCreateHash(bcrypt.BCRYPT_SHA256_ALG_HANDLE),
    ncrypt.NCryptOpenStorageProvider(token), ncrypt.NCryptOpenKey(ncrypt.NCryptOpenStorageProvider(token), sys.argv[3]),
    context, wincrypt.CryptGenKey(context, wincrypt.CALG_AES_128, 0),
    wincrypt.CryptCreateHash(context, wincrypt.CALG_SHA1),
]
for thing in things:
    for act in (copy.copy, copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))):
        try:
            act(thing)
            print("made")
        except hwcng.CngError as error:
            assert error.status.name in ("STATUS_NOT_SUPPORTED", "NTE_NOT_SUPPORTED"), error
            print("refused")
        gc.collect()
try:
    SessionObject()
except TypeError:
    gc.collect()
SessionObject.__new__(SessionObject)
ncrypt.NCryptDeleteKey(ncrypt.NCryptOpenKey(ncrypt.NCryptOpenStorageProvider(token), sys.argv[3]))
if sys.argv[4] == "closed":
    token.close()
# The interpreter ends with all of them alive.
keep = things
"""


@pytest.mark.parametrize("end", ["open", "closed"])
def test_copies_pickles_and_the_end_of_the_interpreter(token_uri: str, token_pin: str, end: str) -> None:
    program = [sys.executable, "-c", PROGRAM, token_uri, token_pin, f"copied {end}", end]
    ran = subprocess.run(program, capture_output=True, text=True, timeout=120, check=False)
    assert ran.stderr == ""
    assert ran.returncode == 0
    assert set(ran.stdout.split()) == {"made", "refused"}
