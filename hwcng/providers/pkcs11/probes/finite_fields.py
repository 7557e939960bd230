"""DH and DSA, tried once on groups of RFC 5114: 1024 bits with a subprime of 160, 2048 bits with one of 256."""

from __future__ import annotations

from functools import partial

from pkcs11 import Mechanism

from hwcng.contract.material import DhDomain, DhPublicKey, DsaDomain, DsaPublicKey
from hwcng.contract.specs import DsaSpec, PairSpec
from hwcng.contract.usage import Support, Usage
from hwcng.providers.pkcs11.probes.arithmetic import dh_agreements, dsa_is_good
from hwcng.providers.pkcs11.probes.base import SAMPLE, Probe, agrees

__all__ = ["dh", "dsa"]

DH_SIZES = (512, 768, 1024, 1536, 2048, 3072, 4096)


def _domain(p: str, q: str, g: str) -> DsaDomain:
    return DsaDomain(int(p, 16), int(q, 16), int(g, 16))


_DOMAINS = {
    1024: _domain(
        "b10b8f96a080e01dde92de5eae5d54ec52c99fbcfb06a3c69a6a9dca52d23b616073e28675a23d189838ef1e2ee652c0"
        "13ecb4aea906112324975c3cd49b83bfaccbdd7d90c4bd7098488e9c219a73724effd6fae5644738faa31a4ff55bccc0"
        "a151af5f0dc8b4bd45bf37df365c1a65e68cfda76d4da708df1fb2bc2e4a4371",
        "f518aa8781a8df278aba4e7d64b7cb9d49462353",
        "a4d1cbd5c3fd34126765a442efb99905f8104dd258ac507fd6406cff14266d31266fea1e5c41564b777e690f5504f213"
        "160217b4b01b886a5e91547f9e2749f4d7fbd7d3b9a92ee1909d0d2263f80a76a6a24c087a091f531dbf0a0169b6a28a"
        "d662a4d18e73afa32d779d5918d08bc8858f4dcef97c2a24855e6eeb22b3b2e5",
    ),
    2048: _domain(
        "87a8e61db4b6663cffbbd19c651959998ceef608660dd0f25d2ceed4435e3b00e00df8f1d61957d4faf7df4561b2aa30"
        "16c3d91134096faa3bf4296d830e9a7c209e0c6497517abd5a8a9d306bcf67ed91f9e6725b4758c022e0b1ef4275bf7b"
        "6c5bfc11d45f9088b941f54eb1e59bb8bc39a0bf12307f5c4fdb70c581b23f76b63acae1caa6b7902d52526735488a0e"
        "f13c6d9a51bfa4ab3ad8347796524d8ef6a167b5a41825d967e144e5140564251ccacb83e6b486f6b3ca3f7971506026"
        "c0b857f689962856ded4010abd0be621c3a3960a54e710c375f26375d7014103a4b54330c198af126116d2276e11715f"
        "693877fad7ef09cadb094ae91e1a1597",
        "8cf83642a709a097b447997640129da299b1a47d1eb3750ba308b0fe64f5fbd3",
        "3fb32c9b73134d0b2e77506660edbd484ca7b18f21ef205407f4793a1a0ba12510dbc15077be463fff4fed4aac0bb555"
        "be3a6c1b0c6b47b1bc3773bf7e8c6f62901228f8c28cbb18a55ae31341000a650196f931c77a57f2ddf463e5e9ec144b"
        "777de62aaab8a8628ac376d282d6ed3864e67982428ebc831d14348f6f2f9193b5045af2767164e1dfc967c1fb3f2e55"
        "a4bd1bffe83b9c80d052b985d182ea0adb2a3b7313d3fe14c8484b1e052588b9b7d2bbd2df016199ecd06e1557cd0915"
        "b3353bbb64e0ec377fd028370df92b52c7891428cdc67eb6184b523d1db246c32f63078490f00ef8d647d148d4795451"
        "5e2327cfef98c582664b4c0f6cc41659",
    ),
}


def dh(probe: Probe) -> None:
    sizes = probe.offered.key_range(Mechanism.DH_PKCS_KEY_PAIR_GEN)
    probe.key_bits["DH"] = tuple(bits for bits in DH_SIZES if sizes and sizes[0] <= bits <= sizes[1])
    probe.attempt("DH", "agree", probe.offered.offers("DH"), partial(_agrees, probe))


def dsa(probe: Probe) -> None:
    made = []
    for bits in _DOMAINS:
        probe.attempt("DSA", f"sign {bits}", probe.offered.offers("DSA"), partial(_signs, probe, bits))
        if probe.operations["DSA", f"sign {bits}"] is not Support.REFUSED:
            made.append(bits)
    probe.key_bits["DSA"] = tuple(made)


def _agrees(probe: Probe) -> bool:
    """With a peer of any Z, and with one whose Z begins with a zero octet, which tokens have been measured to drop."""
    group = DhDomain(_DOMAINS[2048].prime, _DOMAINS[2048].generator)
    pair = probe.provider.generate_pair(PairSpec("DH", Usage.DERIVE, bits=2048, domain=group))
    try:
        if not isinstance(pair.public, DhPublicKey):
            return False
        agreements = (
            (DhPublicKey(group, ours), agreed.to_bytes(256, "big"))
            for ours, agreed in dh_agreements(group, pair.public.value)
        )
        tried = next(agreements), next(one for one in agreements if one[1][0] == 0)
        return all(agrees(pair, peer, expected) for peer, expected in tried)
    finally:
        pair.destroy()


def _signs(probe: Probe, bits: int) -> bool:
    domain = _DOMAINS[bits]
    pair = probe.provider.generate_pair(PairSpec("DSA", Usage.SIGN, bits=bits, domain=domain))
    try:
        # DSA signs digests of its subprime's length.
        digest = SAMPLE[: domain.subprime.bit_length() // 8]
        signature = pair.sign_digest(DsaSpec(), digest)
        whole = len(signature) == 2 * len(digest)
        return whole and isinstance(pair.public, DsaPublicKey) and dsa_is_good(pair.public, digest, signature)
    finally:
        pair.destroy()
