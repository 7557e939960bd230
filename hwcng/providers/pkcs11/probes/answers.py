"""Known answers: what fixed keys make of fixed data, computed independently of any token.

Standards: FIPS 46-3, FIPS 197, RFC 2268, RFC 8439, SP 800-38A to D, IEEE 1619, RFC 3394, RFC 5649.

Keys are the octets 1, 2, 3
..., the data is SAMPLE, IVs and nonces are zeros, additional data is "aad"; XTS-AES has the unit number 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hwcng.contract.usage import CipherMode, SecretFamily

__all__ = ["CIPHERTEXTS", "CMAC", "GMAC", "WRAPPED", "WRAPPED_KEY", "WRAPPED_PADDED", "key_value"]


def key_value(bits: int) -> bytes:
    return bytes(range(1, bits // 8 + 1))


_HEX = {
    (SecretFamily.AES, CipherMode.ECB): "ed6a007c4841f8423969d83d86d62a6d08e0f42a19819e93d8788c5efe8c1b95",
    (SecretFamily.AES, CipherMode.CBC): "ed6a007c4841f8423969d83d86d62a6d65bbd6343e9087ef28066db2eab91401",
    (SecretFamily.AES, CipherMode.CFB8): "a7eea306719c0bd05a0da4c18e9f2f8752ea56e86a41e3c658670152f4cd52f7",
    (SecretFamily.AES, CipherMode.CFB128): "a73d5775627e7d44aa3395d23cb848527e26603e15ffdfc43deeadfea4a90db9",
    (SecretFamily.AES, CipherMode.GCM): (
        "c678d91ab95013e21723ee077b3da4f5db669b152ba19a3475735cae9bdae948f46d3971d89ad61bcbe880ce7d0ca8d2"
    ),
    (SecretFamily.AES, CipherMode.CCM): (
        "0f4b7e93bc0e12dab9d5e51fd79530d76dd3a1633fe7881b0148a5797469f0c43828698a64f71709eba785fb9f06b7a1"
    ),
    (SecretFamily.XTS, CipherMode.XTS): "77df1893b459c5d689d5fdaa56300d434c41c91d9ad9a8adf2dc47a9ca37495d",
    (SecretFamily.DES, CipherMode.ECB): "90152a4c1cf427809f2f3fe41091fec976e690bee82e547b1e2fdd3f6b649ae8",
    (SecretFamily.DES, CipherMode.CBC): "90152a4c1cf4278085eb167add683f9063f2a29a83da40d9b62bf95797e47dca",
    (SecretFamily.DES, CipherMode.CFB8): "b0a81a5ae241d5d5a945b59a7fd5fff1c8bd78d73f1129a6b80d900ac510e092",
    (SecretFamily.DES, CipherMode.CFB64): "b072de3cb60c556ae33fac1408ff3e9e1648c1f48e815065a85ab28d7647d8d2",
    (SecretFamily.DES3, CipherMode.ECB): "1f9d21ae2ec8391e24114f780bafba45bcbdf997a68ca61842da370ab15836ab",
    (SecretFamily.DES3, CipherMode.CBC): "1f9d21ae2ec8391ee81df676e8e3d38d3985cdb419f4e7d6477e29def7f6d8d5",
    (SecretFamily.DES3, CipherMode.CFB8): "c770f7a5d9e8fe73600b356183914b9476a843744e831bdcb78fa7f9ae83065b",
    (SecretFamily.DES3, CipherMode.CFB64): "c7b74ecfc9b5d50382bd5b7a3cb86f1c790e16757d616736d703058a6d919b92",
    (SecretFamily.DES3_112, CipherMode.ECB): "38b35be8ea50594290fe2dd20ee51905c79958b1439c202359a77111082db53f",
    (SecretFamily.DES3_112, CipherMode.CBC): "38b35be8ea505942aae1231e2aa08983137871846a9109e3513bfdb8924ed02b",
    (SecretFamily.DES3_112, CipherMode.CFB8): "ad2b1f1f665b559bddbeb14f4dd8646344243f2958fb35c42dec88eaebfef976",
    (SecretFamily.DES3_112, CipherMode.CFB64): "ad16a5553e0afef4b9382266e995770a8b2873f5529feb3f3603544c694c334e",
    (SecretFamily.RC2, CipherMode.ECB): "e010177bceca738a804b685449396bf3cb3bce80569de92dc775d55e6a23e69a",
    (SecretFamily.RC2, CipherMode.CBC): "e010177bceca738a6dd33b7cac646587309daa8b8af64c4f4f4343a9f1c5c401",
    (SecretFamily.RC2, CipherMode.CFB8): "22bdbaa3e7ddc7447ff13f3ed4bfd8f02b611e52dbc1a69d92618f83b1181433",
    (SecretFamily.RC2, CipherMode.CFB64): "2200388418a978b108cdd99bf45a5626f13f48f6c89c55aa3401e1e320ea20f3",
    (SecretFamily.RC4, CipherMode.STREAM): "9ac6ce99649818f0ba9a2292c1e915984259d6868401047d76939eea01078003",
    (SecretFamily.CHACHA20_POLY1305, CipherMode.POLY1305): (
        "638bd51563c7af3e93423c5b9bd3a337ebcd9dea4dd17a1b31bb9c17dca5adcef41c14484e70daacc222f73796213038"
    ),
}
CIPHERTEXTS: Mapping[tuple[SecretFamily, CipherMode], bytes] = MappingProxyType(
    {key: bytes.fromhex(octets) for key, octets in _HEX.items()}
)
"""Of AES-256, XTS-AES-128, and keys of the first length that is probed of each other cipher; with the tag behind."""

CMAC = bytes.fromhex("67fa4eb4035d2a91fb17946e1bbfc32d")
"""AES-128-CMAC."""
GMAC = bytes.fromhex("384ddb723c0c5ada0e1ffb9dba14fcba")
"""AES-128-GMAC."""
WRAPPED_KEY = bytes(range(33, 65))
WRAPPED = bytes.fromhex("b230efdf39555dcbe80f1c8889119a8817423ef68cf3f230b7a8c4999b7df7d95d439b401733cf18")
"""WRAPPED_KEY under AES-256."""
WRAPPED_PADDED = bytes.fromhex("5850c0082a564f9007955769c0e9398f872f7902c0bf50d38403db1a084815f90ee1c095d09d1fa6")
"""The same by RFC 5649."""
