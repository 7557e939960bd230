"""JSON Web Signatures and Tokens (RFC 7515, RFC 7519), and what services build on them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import serialization

if TYPE_CHECKING:
    from ecosystem.keys import HeldKey

__all__ = ["acme", "google_auth", "joserfc", "josepy", "msal", "pyjwt", "python_jose", "scitokens"]

CLAIMS = {"sub": "hwcng", "aud": "https://example.org"}
PROTECTED = frozenset({"alg", "jwk"})
ALGORITHMS = {"RSA": ("RS256", "PS256"), "P-256": ("ES256",), "Ed25519": ("EdDSA",)}


def pem(held: HeldKey) -> bytes:
    """Of the public half."""
    octets: bytes = held.public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return octets


def pyjwt(held: HeldKey) -> None:
    import jwt

    for algorithm in ALGORITHMS[held.kind]:
        token = jwt.encode(CLAIMS, held.private, algorithm, headers={"kid": "hardware"})
        assert jwt.decode(token, held.public, [algorithm], audience=CLAIMS["aud"]) == CLAIMS


def python_jose(held: HeldKey) -> None:
    from jose import jws

    algorithm = ALGORITHMS[held.kind][0]
    token = jws.sign(CLAIMS, held.private, algorithm=algorithm)
    assert json.loads(jws.verify(token, pem(held).decode(), algorithm)) == CLAIMS


def josepy(held: HeldKey) -> None:
    import josepy

    key = josepy.JWKRSA(key=held.private) if held.is_rsa else josepy.JWKEC(key=held.private)
    for name in ALGORITHMS[held.kind]:
        signed = josepy.JWS.sign(payload=b"payload", key=key, alg=getattr(josepy, name), protect=PROTECTED)
        again = josepy.JWS.from_compact(signed.to_compact())
        assert again.verify(key.public_key()) and again.payload == b"payload"


def google_auth(held: HeldKey) -> None:
    """The assertion by which a service account asks for its access token."""
    from google.auth import crypt, jwt
    from google.oauth2 import service_account

    signer = crypt.RSASigner(held.private, "id") if held.is_rsa else crypt.EsSigner(held.private, "id")
    account = "hwcng@example.iam.gserviceaccount.com"
    credentials = service_account.Credentials(signer, account, "https://oauth2.example.org/token")
    assertion = credentials._make_authorization_grant_assertion()
    assert jwt.decode(assertion, pem(held))["iss"] == account


def msal(held: HeldKey) -> None:
    """The assertion by which a confidential client proves itself to Microsoft Entra."""
    import jwt
    from msal.oauth2cli import JwtAssertionCreator

    for algorithm in ALGORITHMS[held.kind]:
        creator = JwtAssertionCreator(held.private, algorithm, sha256_thumbprint="00" * 32)
        assertion = creator.create_normal_assertion(CLAIMS["aud"], "client")
        assert jwt.decode(assertion, held.public, [algorithm], audience=CLAIMS["aud"])["iss"] == "client"


def scitokens(held: HeldKey) -> None:
    from scitokens import SciToken

    issued = SciToken(key=held.private, key_id="hardware", algorithm=ALGORITHMS[held.kind][0])
    issued["sub"] = "hwcng"
    written = issued.serialize(issuer="https://example.org", lifetime=60)
    read = SciToken.deserialize(written, public_key=pem(held), insecure=True)
    assert read["sub"] == "hwcng" and read["exp"] > time.time()


def joserfc(held: HeldKey) -> None:
    from joserfc import jwe, jwt
    from joserfc.jwk import ECKey, OKPKey, RSAKey

    from hwcng.interop.joserfc import jwk

    key = jwk(held.pair, {"kid": "hardware"})
    public: Any = held.by_kind(rsa=RSAKey, ecdsa=ECKey, ed25519=OKPKey).import_key(held.public)
    assert "d" not in key.as_dict(private=True) and key.thumbprint() == public.thumbprint()
    # It has EdDSA by the name that RFC 9864 gives it.
    for algorithm in held.by_kind(rsa=ALGORITHMS["RSA"], ecdsa=("ES256",), ed25519=("Ed25519",)):
        token = jwt.encode({"alg": algorithm}, CLAIMS, key, algorithms=[algorithm])
        assert jwt.decode(token, public, algorithms=[algorithm]).claims == CLAIMS
    if held.is_rsa:
        secret = jwe.encrypt_compact({"alg": "RSA-OAEP", "enc": "A256GCM"}, b"secret", public)
        assert jwe.decrypt_compact(secret, key).plaintext == b"secret"


def acme(held: HeldKey) -> None:
    """What an account says to its server: a request, and the answer to a challenge."""
    import josepy
    from acme import challenges, jws

    from hwcng.interop.acme import account_key

    key = account_key(held.private)
    for name in ALGORITHMS[held.kind]:
        request = jws.JWS.sign(b"{}", key=key, alg=getattr(josepy, name), nonce=b"nonce", url="https://ca.example")
        received = jws.JWS.from_json(request.to_json())
        assert received.verify() and received.signature.combined.jwk == key.public_key()
    challenge = challenges.HTTP01(token=b"t" * 16)
    answer, validation = challenge.response_and_validation(key)
    assert answer.verify(challenge, key.public_key())
    assert validation == challenge.validation(key.public_key()) and '"d"' not in key.json_dumps()
