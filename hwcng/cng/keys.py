"""The objects behind the handles, as ordinary Python: context managers with properties and methods."""

from __future__ import annotations

from hwcng.cng.agreement import Secret
from hwcng.cng.algorithm_handle import AlgorithmHandle
from hwcng.cng.hashing import HashObject
from hwcng.cng.key_pair import KeyPair
from hwcng.cng.symmetric_key import SymmetricKey

__all__ = ["AlgorithmHandle", "HashObject", "KeyPair", "Secret", "SymmetricKey"]
