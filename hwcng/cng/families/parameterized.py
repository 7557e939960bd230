"""Pairs whose size is a named parameter set, ParameterSetName, and no number of bits: ML-DSA and ML-KEM.

Their blobs (bcrypt.h: BCRYPT_PQDSA_KEY_BLOB, BCRYPT_MLKEM_KEY_BLOB): magic, cbParameterSet and cbKey, 32 bits each,
little-endian; the parameter set's name in UTF-16LE with its NUL; the key as FIPS 204 and FIPS 203 encode it. Nothing
between them, nothing behind. Only public blobs are built.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, TypeVar

from hwcng.cng.algorithm import Algorithm
from hwcng.cng.blobs.blob_type import BlobType
from hwcng.cng.families.base import PairFamily
from hwcng.cng.families.request import PairRequest, Traits
from hwcng.contract.material import MlDsaPublicKey, MlKemPublicKey
from hwcng.contract.specs import PairSpec
from hwcng.contract.usage import Usage
from hwcng.errors import invalid_parameter
from hwcng.headers.bcrypt_h import BCRYPT_PRIVATE_KEY_BLOB, BCRYPT_PUBLIC_KEY_BLOB
from hwcng.headers.records import BCRYPT_PQDSA_KEY_BLOB
from hwcng.standards.curves import Curve
from hwcng.standards.parameter_sets import MlDsaSet, MlKemSet

__all__ = ["PRIVATE", "PUBLIC", "SEED", "Form", "ParameterizedFamily"]

Public = TypeVar("Public", MlDsaPublicKey, MlKemPublicKey)

PUBLIC, PRIVATE, SEED = "public", "private", "seed"
"""Forms of a key: its public half, the expanded private one, and what that is expanded from."""

_HEADER = BCRYPT_PQDSA_KEY_BLOB.layout()
# "1024" with its NUL; a longer name is no set's, and is not decoded.
_LONGEST_NAME = 10


def _encoded(name: str) -> bytes:
    return f"{name}\0".encode("utf-16-le")


def _build(magic: int, _algorithm: Algorithm, public: MlDsaPublicKey | MlKemPublicKey) -> bytes:
    name = _encoded(public.parameter_set)
    return _HEADER.pack(magic, len(name), len(public.value)) + name + public.value


@lru_cache(maxsize=64)
def _spec(kind: str, usage: Usage, parameter_set: str, exportable: bool) -> PairSpec:
    return PairSpec(kind, usage, exportable=exportable, parameter_set=parameter_set)


class Form(NamedTuple):
    """name: PUBLIC, PRIVATE or SEED."""

    name: str
    blob_type: str
    magic: int


class ParameterizedFamily(PairFamily[Public]):
    sets: ClassVar[Mapping[str, MlDsaSet] | Mapping[str, MlKemSet]]
    forms: ClassVar[tuple[Form, ...]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.blob_types = tuple(BlobType(form.blob_type, cls.kind, form.name != PUBLIC) for form in cls.forms)
        cls.magics = MappingProxyType({form.magic: cls.kind for form in cls.forms})
        cls.builders = MappingProxyType(
            {
                blob_type: partial(_build, form.magic)
                for form in cls.forms
                if form.name == PUBLIC
                for blob_type in (form.blob_type, BCRYPT_PUBLIC_KEY_BLOB)
            }
        )

    def check_length(self, algorithm: Algorithm, curve: Curve | None, bits: int) -> None:
        if bits:
            raise invalid_parameter(f"{algorithm.name} takes the length 0: ParameterSetName says how long its keys are")

    def bits(self, public: Public) -> int:
        return 8 * len(public.value)

    def strength(self, public: Public) -> int:
        return self.sets[public.parameter_set].strength

    def planned_bits(self, request: PairRequest) -> int:
        return 8 * self.sets[request.parameter_set].public if request.parameter_set is not None else 0

    def planned_strength(self, request: PairRequest) -> int:
        return self.sets[request.parameter_set].strength if request.parameter_set is not None else 0

    def spec(self, request: PairRequest, public: Public | None = None) -> PairSpec:
        name = request.parameter_set if public is None else public.parameter_set
        if name is None:
            raise invalid_parameter(f"{request.algorithm.name} needs a parameter set: set ParameterSetName")
        return _spec(self.kind, request.usage, name, request.exportable)

    def traits(self, public: Public) -> Traits:
        return Traits(parameter_set=public.parameter_set)

    @abc.abstractmethod
    def public_key(self, parameter_set: str, value: bytes) -> Public:
        """The checked public half. Raises STATUS_INVALID_PARAMETER."""

    @abc.abstractmethod
    def private_key(self, parameter_set: str, value: bytes | None, seed: bytes | None) -> Any:
        """The pair of an expanded private key or of a seed. Raises STATUS_INVALID_PARAMETER for what is none."""

    def parse(self, request: PairRequest, blob_type: str, blob: bytes) -> Any:
        form, parameter_set, key = self._read(blob, blob_type)
        if form == PUBLIC:
            return self.public_key(parameter_set, key)
        return self.private_key(parameter_set, *((None, key) if form == SEED else (key, None)))

    def _form(self, blob_type: str, magic: int) -> str:
        for form in self.forms:
            of_any_kind = BCRYPT_PUBLIC_KEY_BLOB if form.name == PUBLIC else BCRYPT_PRIVATE_KEY_BLOB
            if form.magic == magic and blob_type in (form.blob_type, of_any_kind):
                return form.name
        raise invalid_parameter(f"{blob_type}: wrong magic {magic:#010x}")

    def _read(self, blob: bytes, blob_type: str) -> tuple[str, str, bytes]:
        """The form, the parameter set and the key in a blob."""
        if len(blob) < _HEADER.size:
            raise invalid_parameter(f"{blob_type}: a header of {_HEADER.size} bytes expected, {len(blob)} bytes given")
        magic, name_size, key_size = _HEADER.unpack_from(blob)
        form = self._form(blob_type, magic)
        end = _HEADER.size + name_size
        if name_size > _LONGEST_NAME or len(blob) != end + key_size:
            raise invalid_parameter(
                f"{blob_type}: a name of {name_size} and a key of {key_size} bytes are announced in {len(blob)} bytes"
            )
        name = blob[_HEADER.size : end]
        row = next((row for row in self.sets.values() if _encoded(row.name) == name), None)
        if row is None:
            raise invalid_parameter(f"{blob_type}: its parameter set is none of {', '.join(self.sets)}")
        expected = {PUBLIC: row.public, PRIVATE: row.private, SEED: row.seed}[form]
        if key_size != expected:
            raise invalid_parameter(
                f"{blob_type}: set {row.name} has a {form} key of {expected} bytes, {key_size} given"
            )
        return form, row.name, bytes(blob[end:])
