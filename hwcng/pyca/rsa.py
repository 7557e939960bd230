"""Private keys of RSA (RFC 8017)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding as paddings
from cryptography.hazmat.primitives.asymmetric import rsa, utils

from hwcng.contract.specs import DecryptSpec, RsaOaepSpec, RsaPkcs1DecryptSpec, RsaPkcs1SignSpec, RsaPssSpec, SignSpec
from hwcng.errors import CngError
from hwcng.pyca.base import TokenPrivateKey
from hwcng.pyca.digests import bytes_of, cng_name, digest_of, hash_of, octets_of
from hwcng.pyca.failures import as_cryptography_raises, refusal, translated

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo, Prehashed
    from cryptography.hazmat.primitives.hashes import HashAlgorithm
    from cryptography.utils import Buffer

__all__ = ["RsaTokenKey"]

# One object for the same parameters: the key has ready what the last one needed.
_pkcs1 = lru_cache(RsaPkcs1SignSpec)
_pss = lru_cache(RsaPssSpec)
# By their classes, as `cryptography` tells them: a padding that was copied has a copy of its own.
_AUTO, _DIGEST_LENGTH, _MAX_LENGTH = map(type, (paddings.PSS.AUTO, paddings.PSS.DIGEST_LENGTH, paddings.PSS.MAX_LENGTH))


class RsaTokenKey(TokenPrivateKey, rsa.RSAPrivateKey, of="rsa"):
    @property
    def key_size(self) -> int:
        size: int = self._public.key_size
        return size

    def sign(
        self, data: Buffer, padding: paddings.AsymmetricPadding, algorithm: Prehashed | HashAlgorithm | NoDigestInfo
    ) -> bytes:
        if isinstance(algorithm, utils.NoDigestInfo):
            signed = octets_of(data)
            spec: SignSpec = _undigested_spec(padding)
        else:
            signed = digest_of(data, algorithm)
            spec = self._sign_spec(padding, hash_of(algorithm))
        try:
            return self.cng_key.sign_as(spec, signed)
        except CngError as error:
            raise translated(error) from error

    def _sign_spec(self, padding: paddings.AsymmetricPadding, algorithm: HashAlgorithm) -> SignSpec:
        if isinstance(padding, paddings.PKCS1v15):
            return _pkcs1(cng_name(algorithm))
        pss = _required_pss(padding)
        _require_mgf1(pss.mgf, algorithm)
        return _pss(cng_name(algorithm), self._salt_length(pss, algorithm))

    def _salt_length(self, padding: paddings.PSS, algorithm: HashAlgorithm) -> int:
        length = padding._salt_length
        if isinstance(length, _AUTO):
            raise refusal(ValueError, "PSS salt length can only be set to Auto when verifying")
        if isinstance(length, _DIGEST_LENGTH):
            return algorithm.digest_size
        if isinstance(length, _MAX_LENGTH):
            return paddings.calculate_max_pss_salt_length(self._public, algorithm)
        assert isinstance(length, int)  # noqa: S101 - PSS takes nothing else
        return length

    def decrypt(self, ciphertext: bytes, padding: paddings.AsymmetricPadding) -> bytes:
        octets, size = bytes_of(ciphertext, "ciphertext"), (self.key_size + 7) // 8
        if len(octets) != size:
            raise refusal(ValueError, f"Ciphertext length must be equal to key size ({size} bytes).")
        spec = _decrypt_spec(padding)
        with as_cryptography_raises():
            return self.cng_key.decrypt_as(spec, octets)


def _named(padding: object) -> str:
    if not isinstance(padding, paddings.AsymmetricPadding):
        raise refusal(TypeError, "Padding must be an instance of AsymmetricPadding.")
    return padding.name


def _required_pss(padding: object) -> paddings.PSS:
    if not isinstance(padding, paddings.PSS):
        raise refusal(UnsupportedAlgorithm, f"{_named(padding)} is no padding of RSA signatures: use PSS or PKCS1v15")
    return padding


def _undigested_spec(padding: object) -> SignSpec:
    if isinstance(padding, paddings.PKCS1v15):
        return _pkcs1(None)
    _required_pss(padding)
    raise refusal(TypeError, "NoDigestInfo goes with PKCS1v15")


def _require_mgf1(mgf: Any, algorithm: HashAlgorithm) -> None:
    if not isinstance(mgf, paddings.MGF1):
        raise refusal(UnsupportedAlgorithm, "Only MGF1 is supported.")
    if mgf._algorithm.name != algorithm.name:
        raise refusal(
            UnsupportedAlgorithm,
            f"a token uses one hash in all of a padding: MGF1 with {algorithm.name}, not {mgf._algorithm.name}",
        )


def _decrypt_spec(padding: paddings.AsymmetricPadding) -> DecryptSpec:
    if isinstance(padding, paddings.PKCS1v15):
        return RsaPkcs1DecryptSpec()
    if not isinstance(padding, paddings.OAEP):
        raise refusal(UnsupportedAlgorithm, f"{_named(padding)} is no padding of RSA decryption: use OAEP or PKCS1v15")
    algorithm = padding.algorithm
    _require_mgf1(padding.mgf, algorithm)
    return RsaOaepSpec(cng_name(algorithm), padding._label or b"")
