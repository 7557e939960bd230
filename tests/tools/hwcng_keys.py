"""hwcng in a process of its own, which has one SoftHSM configuration and one NSS database: its side of a tool's test.

`use URI PIN` tells of each key in the token a line of JSON, once it was opened by name and by URI and used: a pair's
public half, what an AES key encrypts, an HMAC key's tag. `make URI PIN` makes a key of each kind first.
"""

from __future__ import annotations

import json
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

import hwcng
from hwcng.bcrypt import BCryptDecrypt, BCryptEncrypt
from hwcng.cng.naming import open_named
from hwcng.contract.specs import PairSpec, SecretFamily, SecretSpec
from hwcng.contract.usage import Usage
from hwcng.pyca import HMAC

__all__ = ["DATA", "MADE", "PIN"]

PIN = "1234"
DATA = b"sixteen octets!!"
MADE = {"RSA": "of hwcng RSA", "EC": "of hwcng EC", "AES": "of hwcng AES"}
ENCRYPTS = Usage.ENCRYPT | Usage.DECRYPT


def evidence(key: hwcng.KeyPair | hwcng.SymmetricKey, kind: str, usage: Usage) -> str:
    """What tells the key from others, in hexadecimal: DER of the public half, or what it made of DATA."""
    if isinstance(key, hwcng.SymmetricKey):
        if kind == "HMAC":
            tag = HMAC(key, hashes.SHA256())
            tag.update(DATA)
            return tag.finalize().hex()
        made = BCryptEncrypt(key, DATA, None, bytes(16), 0)
        assert BCryptDecrypt(key, made, None, bytes(16), 0) == DATA
        return made.hex()
    private = key.as_cryptography()
    public = private.public_key()
    if isinstance(private, rsa.RSAPrivateKey):
        public.verify(
            private.sign(DATA, padding.PKCS1v15(), hashes.SHA256()), DATA, padding.PKCS1v15(), hashes.SHA256()
        )
        if Usage.DECRYPT in usage:
            assert private.decrypt(public.encrypt(DATA, padding.PKCS1v15()), padding.PKCS1v15()) == DATA
    else:
        public.verify(private.sign(DATA, ec.ECDSA(hashes.SHA256())), DATA, ec.ECDSA(hashes.SHA256()))
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo).hex()


def use(provider: hwcng.Provider, pin: str | None) -> None:
    for listed in provider.list_keys():
        assert listed.usage is not None
        told = {evidence(open_named(provider, listed.name), listed.kind, listed.usage)}
        told.add(evidence(hwcng.open_key(listed.uri, pin=pin), listed.kind, listed.usage))
        (one,) = told
        print(json.dumps({"name": listed.name, "kind": listed.kind, "certificate": listed.certificate, "told": one}))


def make(provider: hwcng.Provider) -> None:
    provider.named(MADE["RSA"]).generate_pair(PairSpec("RSA", Usage.SIGN | Usage.DECRYPT, bits=2048))
    provider.named(MADE["EC"]).generate_pair(PairSpec("EC", Usage.SIGN, curve="nistP256"))
    provider.named(MADE["AES"]).generate_secret(SecretSpec(SecretFamily.AES, 256, ENCRYPTS))


if __name__ == "__main__":
    task, uri, pin = sys.argv[1:]
    with hwcng.open_provider(uri, pin=pin or None) as opened:
        if task == "make":
            make(opened)
        use(opened, pin or None)
