"""Keys made on the host, and what an administrator does to a TPM by other software than ours."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from hwcng.contract.material import EcPrivateKey, EcPublicKey, RsaPrivateKey
from hwcng.providers.tpm2.wire import key_file_asn1
from hwcng.standards.curves import CURVES
from hwcng.testing.swtpm import Swtpm


def rsa_material(bits: int, exponent: int = 65537) -> tuple[rsa.RSAPrivateKey, RsaPrivateKey]:
    key = rsa.generate_private_key(exponent, bits)
    n = key.private_numbers()
    return key, RsaPrivateKey(n.public_numbers.n, n.public_numbers.e, n.d, n.p, n.q, n.dmp1, n.dmq1, n.iqmp)


def ec_material(curve: str) -> tuple[ec.EllipticCurvePrivateKey, EcPrivateKey]:
    key = ec.generate_private_key(CURVES[curve].host())
    numbers = key.private_numbers()
    public = EcPublicKey(curve, numbers.public_numbers.x, numbers.public_numbers.y)
    return key, EcPrivateKey(public, numbers.private_value)


def set_owner_auth(tpm: Swtpm, value: str) -> None:
    """By tpm2-pytss, so that the TPM is as an administrator left it."""
    import tpm2_pytss

    with tpm2_pytss.ESAPI(tpm.tcti) as context:
        context.hierarchy_change_auth(tpm2_pytss.ESYS_TR.OWNER, value)


def below_root(tpm: Swtpm, template: str, attributes: str, auth: bytes = b"") -> tuple[bytes, bytes]:
    """What another program makes below the storage root key: TPMT_PUBLIC and TPM2B_PRIVATE's content."""
    import tpm2_pytss
    from tpm2_pytss.types import TPM2B_PUBLIC, TPM2B_SENSITIVE_CREATE, TPMS_SENSITIVE_CREATE, TPMT_PUBLIC

    attributes += "|userwithauth|fixedtpm|fixedparent|sensitivedataorigin"
    with tpm2_pytss.ESAPI(tpm.tcti) as context:
        parent = context.tr_from_tpmpublic(0x81000001)
        public = TPM2B_PUBLIC(TPMT_PUBLIC.parse(template, objectAttributes=tpm2_pytss.TPMA_OBJECT.parse(attributes)))
        made = context.create(parent, TPM2B_SENSITIVE_CREATE(TPMS_SENSITIVE_CREATE(userAuth=auth)), public)
        return bytes(made[1].publicArea.marshal()), bytes(made[0])


def key_with_pin(tpm: Swtpm, pin: bytes, *, no_da: bool = False) -> bytes:
    """A TSS2 PRIVATE KEY file with an authorization value, made by tpm2-pytss under the storage root key."""
    public, private = below_root(tpm, "ecc256", "sign|noda" if no_da else "sign", pin)
    return key_file_asn1.build(key_file_asn1.TssKey(0x81000001, public, private, False))


def in_four_threads(operations: Sequence[Callable[[bytes], None]]) -> list[BaseException]:
    """What failed of 4 x 500 operations, chosen and fed at random."""
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        chosen = random.Random(seed)
        for _ in range(500):
            try:
                chosen.choice(operations)(chosen.randbytes(32))
            except BaseException as error:
                failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures
