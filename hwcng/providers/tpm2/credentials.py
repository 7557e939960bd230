"""Credentials for a TPM that holds two keys: what TPM2_MakeCredential does, on the host (TPM 2.0 Library, Part 1,
section 24; Part 3, section 12.6), and the file in which tpm2-tools keep them.
"""

from __future__ import annotations

from hwcng.arguments import octets
from hwcng.contract.attestation import Credential
from hwcng.contract.material import EcPublicKey, RsaPublicKey
from hwcng.errors import NTSTATUS, CngError, invalid_parameter
from hwcng.providers.tpm2.wire.attest import FIXED, require_attestation_key
from hwcng.providers.tpm2.wire.constants import ALG, HASH_NAMES, Attributes
from hwcng.providers.tpm2.wire.hmac_session import Parent, wrapped
from hwcng.providers.tpm2.wire.marshal import MalformedError, Reader, sized, u32
from hwcng.providers.tpm2.wire.public_area import name_of, parse_public
from hwcng.standards.hashes import HASHES

__all__ = ["attestation_key_name", "checked", "endorsement_key", "from_file", "make_credential", "to_file"]

_NEEDED = Attributes.RESTRICTED | Attributes.DECRYPT | FIXED | Attributes.SENSITIVEDATAORIGIN
_LONGEST = 1024
_FILE_MAGIC, _FILE_VERSION = 0xBADCC0DE, 1


def endorsement_key(public: bytes) -> Parent:
    """What a credential is made for. public: TPMT_PUBLIC.

    Raises STATUS_INVALID_PARAMETER for a key that could show a credential to somebody else than its TPM.
    """
    try:
        key = parse_public(public)
        name = name_of(public)
    except MalformedError as error:
        raise invalid_parameter(f"this is no public area of an endorsement key: {error}") from None
    material, symmetric = key.material, key.symmetric
    if (
        not isinstance(material, (RsaPublicKey, EcPublicKey))
        or key.attributes & _NEEDED != _NEEDED
        or Attributes.SIGN in key.attributes
        or symmetric is None
        or symmetric[::2] != (ALG.AES, ALG.CFB)
    ):
        raise invalid_parameter("this is no endorsement key: fixed to its TPM, made by it, restricted, decrypting")
    return Parent(0, name, material, HASH_NAMES[key.name_hash], bits=symmetric[1])


def attestation_key_name(public: bytes) -> bytes:
    """The name of a key that signs only what its TPM states. public: TPMT_PUBLIC.

    Raises STATUS_INVALID_SIGNATURE for any other key.
    """
    try:
        name = name_of(public)
        require_attestation_key(parse_public(public), name, None)
    except MalformedError as error:
        raise invalid_parameter(f"this is no public area of an attestation key: {error}") from None
    return name


def make_credential(public: bytes, name: bytes, secret: bytes) -> Credential:
    """As `hwcng.attestation.make_credential`, of checked arguments."""
    key = endorsement_key(public)
    hash_name = HASH_NAMES.get(int.from_bytes(name[:2], "big"))
    if hash_name is None or len(name) != 2 + HASHES[hash_name].digest_size:
        raise invalid_parameter("a key's name is its name algorithm and that hash of its public area")
    longest = HASHES[key.hash_name].digest_size
    if not 1 <= len(secret) <= longest:
        raise invalid_parameter(f"a credential of this endorsement key has 1 to {longest} bytes, not {len(secret)}")
    try:
        return Credential(*wrapped(key, b"IDENTITY", name, sized(secret)))
    except ValueError:
        raise CngError(NTSTATUS.STATUS_INVALID_PARAMETER, "the endorsement key's public numbers are none") from None


def checked(credential: object) -> Credential:
    """A credential that a caller gave. Raises STATUS_INVALID_PARAMETER for what none can be."""
    if not isinstance(credential, Credential):
        raise invalid_parameter(f"a Credential is expected, not {type(credential).__name__}")
    given = Credential(
        octets(credential.id_object, "id_object"), octets(credential.encrypted_secret, "encrypted_secret")
    )
    if max(len(given.id_object), len(given.encrypted_secret)) > _LONGEST:
        raise invalid_parameter(f"no part of a credential has over {_LONGEST} bytes")
    return given


def to_file(credential: Credential) -> bytes:
    return b"".join(
        (u32(_FILE_MAGIC), u32(_FILE_VERSION), sized(credential.id_object), sized(credential.encrypted_secret))
    )


def from_file(octets: bytes) -> Credential:
    """Raises STATUS_INVALID_PARAMETER for what is none."""
    try:
        reader = Reader(octets)
        if (reader.u32(), reader.u32()) != (_FILE_MAGIC, _FILE_VERSION):
            raise MalformedError("another beginning")
        credential = Credential(reader.sized(), reader.sized())
        reader.end()
    except MalformedError as error:
        raise invalid_parameter(f"this is no credential of tpm2-tools: {error}") from None
    return credential
