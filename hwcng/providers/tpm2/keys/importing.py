"""Private keys that the caller brings, as a duplicate that only our storage root key can unwrap.

TPM 2.0 Library, Part 1, section 23.3 (outer duplication wrapper); Part 2, section 12.3 (TPMT_SENSITIVE). The wrapper is
made on the host, so that no part of the key is ever on the bus in clear.
"""

from __future__ import annotations

from hwcng.contract.material import EcPrivateKey, RsaPrivateKey
from hwcng.providers.tpm2.wire.constants import ALG
from hwcng.providers.tpm2.wire.hmac_session import Parent, wrapped
from hwcng.providers.tpm2.wire.marshal import sized, u16
from hwcng.standards.curves import CURVES

__all__ = ["duplicate"]


def duplicate(
    parent: Parent, name: bytes, material: RsaPrivateKey | EcPrivateKey, auth: bytes = b""
) -> tuple[bytes, bytes]:
    """TPM2_Import's duplicate and inSymSeed for a private key. name: of its public area; auth: its own value."""
    if isinstance(material, EcPrivateKey):
        width = CURVES[material.public.curve].coordinate_size
        kind, value = ALG.ECC, material.scalar.to_bytes(width, "big")
    else:
        kind, value = ALG.RSA, material.prime1.to_bytes((material.modulus.bit_length() + 15) // 16, "big")
    sensitive = sized(u16(kind) + sized(auth) + sized(b"") + sized(value))
    return wrapped(parent, b"DUPLICATE", name, sensitive)
