"""A token with ML-DSA, ML-KEM and X25519: a current NSS."""

import contextlib

import hwcng
from hwcng import bcrypt
from hwcng.testing import nss

with contextlib.suppress(nss.NssError):
    provider = hwcng.open_provider(
        nss.provision("nss", "1234-nss", label="current", module=nss.current_nss()).uri, pin="1234-nss"
    )
    message = b"a message"
    our_ml_kem_pair = bcrypt.BCryptGenerateKeyPair(bcrypt.BCryptOpenAlgorithmProvider("ML-KEM", provider), 0)
    bcrypt.BCryptSetProperty(our_ml_kem_pair, bcrypt.BCRYPT_PARAMETER_SET_NAME, bcrypt.BCRYPT_MLKEM_PARAMETER_SET_768)
    bcrypt.BCryptFinalizeKeyPair(our_ml_kem_pair)
    their_ml_kem_key = our_ml_kem_pair
    aes = bcrypt.BCryptOpenAlgorithmProvider("AES", provider)
