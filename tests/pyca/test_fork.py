"""A forked child: a named key goes on by itself, a session's key of the parent says what it is."""

from __future__ import annotations

import pytest
from isolation.child import run

FORKING = """
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hwcng import ncrypt
provider = open_token()
stored = ncrypt.NCryptCreatePersistedKey(
    ncrypt.NCryptOpenStorageProvider(provider), "ECDSA_P256", "forks", 0, ncrypt.NCRYPT_OVERWRITE_KEY_FLAG)
ncrypt.NCryptFinalizeKey(stored)
named, own = stored.as_cryptography(), ec_key(provider).as_cryptography()
algorithm = ec.ECDSA(hashes.SHA256())

def signs():
    return named.sign(b"message", algorithm)

def refused():
    try:
        own.sign(b"message", algorithm)
    except ValueError as error:
        return error.__cause__.status == NTSTATUS.STATUS_INVALID_HANDLE

for warm in (False, True):
    if warm:
        signs(), own.sign(b"message", algorithm)
    signatures = [signs(), fork(signs), fork(signs)]
    for signature in signatures:
        named.public_key().verify(signature, b"message", algorithm)
    assert len({signature[:30] for signature in signatures}) == 3
    assert fork(refused) is True
own.sign(b"message", algorithm)
ncrypt.NCryptDeleteKey(stored)
"""


@pytest.mark.parametrize("forking", ["", "import ctypes; os.fork = ctypes.PyDLL(None).fork\n"], ids=["Python", "C"])
def test_private_keys_in_a_child(forking: str, token_uri: str) -> None:
    run(forking + FORKING, token_uri)
