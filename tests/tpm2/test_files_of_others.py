"""Key files as ssh-tpm-agent (go-tpm-keyfiles) and tpm2-tss-engine write them: below a primary key of the owner's that
is made for each call, with their own templates, attributes and spelling of DER. Neither program is needed.

How they write: github.com/Foxboron/go-tpm-keyfiles, tpm.go and der.go; github.com/tpm2-software/tpm2-tss-engine,
src/tpm2-tss-engine-common.c, -ecc.c and -rsa.c.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import tpm2_pytss as tss
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from cryptography.hazmat.primitives.hashes import SHA256
from tpm2.test_foreign_keys import DIGEST, OWNER, STORAGE, primary_of, transient
from tpm2.test_key_files import BER_TRUE, FALSE, TRUE, der_of, empty_auth, pem_of, tlv

from hwcng import NTSTATUS, CngError, Usage
from hwcng.contract.specs import EcdsaSpec, RsaOaepSpec, RsaPkcs1SignSpec
from hwcng.hostcrypto.host_keys import host_key
from hwcng.providers.tpm2.provider import Tpm2Provider
from hwcng.providers.tpm2.wire.key_file_asn1 import TssKey
from hwcng.testing.swtpm import Swtpm

FIXED = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth"
ANY = Usage.SIGN | Usage.DERIVE
ANY_RSA = Usage.SIGN | Usage.DECRYPT


class Written(NamedTuple):
    """attributes: of the key. free, guarded: the field emptyAuth without and with a PIN. more: other optional fields.
    parent: what the file says; exponent: what the template says of an RSA key's.
    """

    attributes: str
    free: bytes
    guarded: bytes
    more: bytes = b""
    parent: int = OWNER
    exponent: int = 0


SSH_TPM_AGENT = Written(f"{FIXED}|sign|decrypt", empty_auth(TRUE), b"", tlv(0xA4, tlv(0x0C, b"me@laptop")))
ENGINE_EC = Written(f"{FIXED}|sign|noda", empty_auth(BER_TRUE), empty_auth(FALSE))
ENGINE_RSA = Written(f"{FIXED}|sign|decrypt|noda", empty_auth(BER_TRUE), empty_auth(FALSE), exponent=65537)
OLDEST = ENGINE_EC._replace(parent=0)


def written(tpm: Swtpm, template: str, by: Written, pin: bytes = b"") -> bytes:
    with tss.ESAPI(tpm.tcti) as context:
        primary = primary_of(context, "ecc256:null:aes128cfb", f"{STORAGE}|noda", 0)
        area = tss.TPMT_PUBLIC.parse(template, objectAttributes=tss.TPMA_OBJECT.parse(by.attributes), nameAlg="sha256")
        if by.exponent:
            area.parameters.rsaDetail.exponent = by.exponent
        sensitive = tss.TPM2B_SENSITIVE_CREATE(tss.TPMS_SENSITIVE_CREATE(userAuth=pin))
        private, public, *_ = context.create(primary, sensitive, tss.TPM2B_PUBLIC(area))
        context.flush_context(primary)
    key = TssKey(by.parent, bytes(public.publicArea.marshal()), bytes(private))
    parent = tlv(2, by.parent.to_bytes(by.parent.bit_length() // 8 + 1, "big"))
    return pem_of(der_of(key, (by.guarded if pin else by.free) + by.more, parent=parent))


def serves(key: Any) -> None:
    """Whatever it is for."""
    public: Any = host_key(key.public)
    if isinstance(public, ec.EllipticCurvePublicKey):
        raw = key.sign_digest(EcdsaSpec(), DIGEST)
        r, s = (int.from_bytes(half, "big") for half in (raw[: len(raw) // 2], raw[len(raw) // 2 :]))
        public.verify(utils.encode_dss_signature(r, s), DIGEST, ec.ECDSA(utils.Prehashed(SHA256())))
        if key.spec.usage & Usage.DERIVE:
            assert key.agree(key.public)
        return
    signature = key.sign_digest(RsaPkcs1SignSpec("SHA256"), DIGEST)
    public.verify(signature, DIGEST, padding.PKCS1v15(), utils.Prehashed(SHA256()))
    oaep = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)
    assert key.decrypt(RsaOaepSpec("SHA256"), public.encrypt(b"secret", oaep)) == b"secret"


@pytest.mark.parametrize("pin", [b"", b"a PIN"])
@pytest.mark.parametrize(
    ("template", "by", "usage"),
    [
        ("ecc256", SSH_TPM_AGENT, ANY),
        ("ecc384", SSH_TPM_AGENT, ANY),
        ("ecc521", SSH_TPM_AGENT, ANY),
        ("rsa2048", SSH_TPM_AGENT, ANY_RSA),
        ("ecc256", ENGINE_EC, Usage.SIGN),
        ("ecc384", ENGINE_EC, Usage.SIGN),
        ("rsa2048", ENGINE_RSA, ANY_RSA),
        ("ecc256", OLDEST, Usage.SIGN),
    ],
)
def test_their_files_load_and_serve(
    fresh_tpm: Swtpm, open_tpm: Callable[..., Tpm2Provider], template: str, by: Written, usage: Usage, pin: bytes
) -> None:
    blob = written(fresh_tpm, template, by, pin)
    with open_tpm(fresh_tpm.uri) as provider:
        if pin:
            with pytest.raises(CngError, match="needs a PIN") as caught:
                provider.reload_opaque(blob)
            assert caught.value.status is NTSTATUS.STATUS_WRONG_PASSWORD
        key = provider.reload_opaque(blob, pin=pin or None)
        assert key.spec.usage == usage
        serves(key)
        serves(provider.persist_key(key, "theirs"))
        provider.connection.release_slots()
        assert transient(fresh_tpm) == 0
    with open_tpm(fresh_tpm.uri) as again:
        serves(again.open_key("theirs", pin=pin or None))
