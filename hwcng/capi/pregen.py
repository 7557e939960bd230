"""Diffie-Hellman and DSS pairs on parameters of the caller's (CRYPT_PREGEN): KP_P, KP_G, KP_Q, then KP_X."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from hwcng.capi.algids import AlgId
from hwcng.capi.containers import Make, SharedPair
from hwcng.capi.contexts import Context
from hwcng.capi.errors import failing_as, failure
from hwcng.capi.handle_base import bad_state
from hwcng.capi.pairs import PairKey
from hwcng.cng.algorithm_handle import AlgorithmHandle
from hwcng.cng.key_pair import KeyPair
from hwcng.contract.material import DhDomain, DsaDomain
from hwcng.errors import HRESULT, NTSTATUS
from hwcng.headers import wincrypt_h
from hwcng.hostcrypto.domains import check_dh_domain, check_dsa_domain

__all__ = ["PARAMETERS", "PregenKey"]

PARAMETERS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"DH": (wincrypt_h.KP_P, wincrypt_h.KP_G), "DSA": (wincrypt_h.KP_P, wincrypt_h.KP_Q, wincrypt_h.KP_G)}
)
"""What a pair of an algorithm needs; a Diffie-Hellman pair may be given KP_Q too, which it does not use."""


class PregenKey(PairKey):
    """A pair without a value until KP_X is set. bits: the length that its prime must have.

    put: has the pair made where its ALG_ID says.
    """

    def __init__(
        self,
        context: Context,
        row: AlgId,
        bits: int,
        *,
        exportable: bool,
        put: Callable[[Context, AlgId, AlgorithmHandle, Make], SharedPair],
    ) -> None:
        super().__init__(context, row, None, exportable=exportable)
        self.requested_bits = bits
        self._numbers: dict[int, int] = {}
        self._seed: tuple[bytes, int] | None = None
        self._put = put

    @property
    def bits(self) -> int:
        return self.requested_bits if self._shared is None else super().bits

    def set_parameter(self, parameter: int, value: bytes) -> None:
        """KP_P, KP_Q or KP_G, little-endian."""
        self._require_empty()
        number = int.from_bytes(value, "little")
        if number.bit_length() > self.requested_bits or (
            parameter == wincrypt_h.KP_P and number.bit_length() != self.requested_bits
        ):
            raise failure(
                HRESULT.NTE_BAD_DATA,
                f"a parameter of {number.bit_length()} bits does not fit a pair of {self.requested_bits} bits",
            )
        self._numbers[parameter] = number

    def set_domain(self, numbers: Mapping[int, int], seed: tuple[bytes, int] | None) -> None:
        """All of KP_PUB_PARAMS. seed: of the primes, big-endian, and its counter."""
        self._require_empty()
        self._numbers, self._seed = dict(numbers), seed

    def generate(self) -> None:
        """KP_X: the token makes the pair on the parameters."""
        self._require_empty()
        missing = [parameter for parameter in PARAMETERS[self.row.algorithm] if parameter not in self._numbers]
        if missing:
            raise bad_state("the pair's parameters are not all set: KP_P, KP_G, and for DSS KP_Q")
        handle = self.context.algorithm(self.row.algorithm)
        pair = KeyPair(handle, self.requested_bits)
        pair.export_policy = int(bool(self.permissions & wincrypt_h.CRYPT_EXPORT))
        with failing_as({NTSTATUS.STATUS_INVALID_PARAMETER: HRESULT.NTE_BAD_DATA}):
            pair.domain = self._domain()
            self._shared = self._put(self.context, self.row, handle, pair.generate)

    def _domain(self) -> DhDomain | DsaDomain:
        prime, generator = self._numbers[wincrypt_h.KP_P], self._numbers[wincrypt_h.KP_G]
        if self.row.algorithm == "DH":
            group = DhDomain(prime, generator)
            check_dh_domain(group, self.requested_bits)
            return group
        seed, counter = self._seed or (None, None)
        domain = DsaDomain(prime, self._numbers[wincrypt_h.KP_Q], generator, seed, counter, "SHA1")
        check_dsa_domain(domain, self.requested_bits)
        return domain

    def _require_empty(self) -> None:
        if self._shared is not None:
            raise bad_state("the pair has its value already")
