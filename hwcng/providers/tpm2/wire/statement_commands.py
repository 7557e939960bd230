"""TPM2_Certify, TPM2_CertifyCreation and TPM2_Quote (TPM 2.0 Library, Part 3, section 18): what a TPM signs of itself.

As `commands`: each runs once, on a `Link` that its caller has locked.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from hwcng.providers.tpm2.keys.handles import KeyHandle
from hwcng.providers.tpm2.wire.commands import Link, run
from hwcng.providers.tpm2.wire.constants import ALG, CC
from hwcng.providers.tpm2.wire.errors import TpmError, TransportError
from hwcng.providers.tpm2.wire.marshal import Reader, sized, u16
from hwcng.providers.tpm2.wire.policies import pcr_selection
from hwcng.providers.tpm2.wire.several_sessions import run_by_each

__all__ = ["certify", "certify_creation", "quote"]


def certify(link: Link, key: KeyHandle, signer: KeyHandle, nonce: bytes) -> tuple[bytes, bytes]:
    """TPMS_ATTEST and TPMT_SIGNATURE by `signer`, whose scheme is fixed."""
    return _stated(link, CC.Certify, signer, sized(nonce) + u16(ALG.NULL), ahead=key)


def certify_creation(
    link: Link, key: KeyHandle, signer: KeyHandle, nonce: bytes, creation_hash: bytes, ticket: bytes
) -> tuple[bytes, bytes]:
    """TPMS_ATTEST and TPMT_SIGNATURE by `signer`: that this TPM made `key` with the creation data of that hash."""
    parameters = sized(nonce) + sized(creation_hash) + u16(ALG.NULL) + ticket
    return _stated(link, CC.CertifyCreation, signer, parameters, beside=key)


def quote(link: Link, signer: KeyHandle, nonce: bytes, bank: str, pcrs: Collection[int]) -> tuple[bytes, bytes]:
    """TPMS_ATTEST and TPMT_SIGNATURE by `signer`, whose scheme is fixed: what the PCRs of a bank are."""
    return _stated(link, CC.Quote, signer, sized(nonce) + u16(ALG.NULL) + pcr_selection(bank, pcrs))


def _stated(
    link: Link,
    code: int,
    signer: KeyHandle,
    parameters: bytes,
    *,
    ahead: KeyHandle | None = None,
    beside: KeyHandle | None = None,
) -> tuple[bytes, bytes]:
    """TPMS_ATTEST and TPMT_SIGNATURE. The authorization values that the keys may have are not on the bus.

    ahead: the key that the statement is about, which is authorized too; beside: one that needs no authorization.
    """
    about_first = ahead is not None and bool(ahead.auth)
    key = ahead if ahead is not None and about_first else signer
    session = link.session if key.auth else None
    after = () if beside is None else ((beside.handle, beside.name),)
    if signer.policy or (session is not None and about_first and signer.auth):
        # Of what the statement is about its authorization value is enough.
        keys = (signer,) if ahead is None else (replace(ahead, policy=()), signer)
        reader = Reader(run_by_each(link, code, keys, parameters, after=after))
        return reader.sized(), reader.rest()
    if session is None:
        keys = (signer,) if ahead is None else (ahead, signer)
        reader = Reader(run(link, code, [handle for handle, _ in after], parameters, keys=keys)[1])
        return reader.sized(), reader.rest()
    try:
        answer = session.run(
            link.exchange,
            code,
            key.handle,
            key.name,
            parameters,
            auth=key.auth,
            hide_request=False,
            hide_response=False,
            beside=((signer.handle, signer.name),) if about_first else after,
            ahead=None if ahead is None or about_first else (ahead.handle, ahead.name),
            behind=about_first,
        )[1]
    except (TpmError, TransportError) as error:
        error.key = key
        raise
    key.authorization.proved = True
    reader = Reader(answer)
    return reader.sized(), reader.rest()
