"""The seam to tpm2-pytss: TCG TSS 2.0 Enhanced System API (ESAPI) and TCTI. Nothing untyped leaves this module.

ESAPI provisions and probes. Operations on keys go through `commands`: libtss2 spends 1.5 to 2.7 ms of CPU on every
command in a session, `sessions` less than 0.1, and an ESAPI context is unusable after one input/output error.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# libtss2 reads it at its first message and writes to stderr otherwise.
os.environ.setdefault("TSS2_LOG", "all+none")

import tpm2_pytss as tss
from tpm2_pytss import TSS2_Exception

from hwcng.errors import NTSTATUS, CngError, TokenCode
from hwcng.providers.tpm2.keys.handles import KeyHandle, owner_authorization
from hwcng.providers.tpm2.wire.constants import ALG, CAP, CC, RC, RH
from hwcng.providers.tpm2.wire.errors import TpmError, TransportError, base_code
from hwcng.providers.tpm2.wire.marshal import Exchange

__all__ = ["Esys", "LIBRARY", "load_tcti"]

_LAYER_MASK = 0xFF0000
# The TPM itself, a resource manager, and a resource manager that speaks for the TPM (TSS 2.0 Overview, section 3).
_TPM_LAYERS = frozenset({0, 0xB0000, 0xC0000})
_MAX_PROPERTIES = 256
_VENDOR_COMMAND = 0x20000000

LIBRARY = f"tpm2-pytss {getattr(tss, '__version__', '')}".strip()


def load_tcti(tcti: str | None) -> tuple[Exchange, Callable[[], None]]:
    """Loads a TCTI by its string: how to exchange, and how to close it.

    Raises CngError (STATUS_NOT_FOUND) for a TCTI that does not exist or does not connect.
    """
    name, _, conf = (tcti or "").partition(":")
    try:
        loaded: Any = tss.TCTILdr(name or None, conf or None)
    except TSS2_Exception as error:
        shown = repr(tcti) if tcti else "of the system's default"
        raise CngError(
            NTSTATUS.STATUS_NOT_FOUND,
            f"cannot open the TCTI {shown}: it is not installed, its settings are wrong or nothing answers there",
            TokenCode(int(error.rc), "TSS2_RC"),
        ) from None

    def exchange(command: bytes) -> bytes:
        try:
            loaded.transmit(command)
            return bytes(loaded.receive())
        except TSS2_Exception as error:
            raise TransportError(f"TCTI {tcti or 'default'} failed with {int(error.rc):#x}") from None

    return exchange, loaded.close


class _Tcti(tss.PyTCTI):  # type: ignore[misc]
    """ESAPI's way to our transport, so that there is one place where octets leave."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self._exchange = exchange
        self._command = b""
        # libtss2 would make a number of it.
        self.error: Exception | None = None

    def do_transmit(self, command: bytes) -> None:
        self._command = command

    def do_receive(self, timeout: int) -> bytes:
        command, self._command = self._command, b""
        try:
            return self._exchange(command)
        except Exception as error:
            self.error = error
            raise


class Esys:
    """An ESAPI context over our transport, to be closed soon."""

    def __init__(self, exchange: Exchange) -> None:
        self._tcti = _Tcti(exchange)
        self._context: Any = tss.ESAPI(self._tcti)

    def close(self) -> None:
        self._context.close()

    @contextmanager
    def _calling(self, command: int) -> Iterator[Any]:
        try:
            yield self._context
        except TSS2_Exception as error:
            if self._tcti.error is not None:
                raise self._tcti.error from None
            rc = int(error.rc)
            if rc & _LAYER_MASK not in _TPM_LAYERS:
                raise TransportError(f"libtss2 could not make sense of the TPM's answer ({rc:#x})") from None
            raise TpmError(rc, command) from None

    def numbers(self, capability: CAP, first: int = 0) -> list[int]:
        """A list capability: algorithms, commands or curves, as numbers."""
        found: list[int] = []
        more = True
        with self._calling(CC.GetCapability) as context:
            while more:
                # The parts of the answer live no longer than the answer: it stays named while they are read.
                answer = context.get_capability(int(capability), found[-1] + 1 if found else first, _MAX_PROPERTIES)
                data = answer[1].data
                if capability is CAP.ALGS:
                    page = [int(item.alg) for item in data.algorithms]
                elif capability is CAP.COMMANDS:
                    # A vendor's own commands have numbers that mean nothing here.
                    page = [int(item) & 0xFFFF for item in data.command if not int(item) & _VENDOR_COMMAND]
                elif capability is CAP.ECC_CURVES:
                    page = [int(item) for item in data.eccCurves]
                else:
                    page = [int(item) for item in data.handles]
                found += page
                more = bool(answer[0]) and bool(page)
        return found

    def properties(self, first: int) -> dict[int, int]:
        """TPM_PT from `first` on."""
        with self._calling(CC.GetCapability) as context:
            answer = context.get_capability(int(CAP.TPM_PROPERTIES), first, _MAX_PROPERTIES)
            return {int(item.property): int(item.value) for item in answer[1].data.tpmProperties}

    def takes(self, parameters: bytes) -> bool:
        """TPM2_TestParms. parameters: TPMT_PUBLIC_PARMS."""
        with self._calling(CC.TestParms) as context:
            structure = tss.TPMT_PUBLIC_PARMS.unmarshal(parameters)[0]
            try:
                context.test_parms(structure)
            except TSS2_Exception as error:
                # All else is a refusal: the TPM's, or libtss2's, which knows fewer algorithms.
                if self._tcti.error is not None or base_code(int(error.rc)) == RC.INITIALIZE:
                    raise
                return False
        return True

    def persist_primary(self, template: bytes, handle: int, owner_auth: bytes, name: bytes | None = None) -> None:
        """TPM2_CreatePrimary in the owner hierarchy, then TPM2_EvictControl to `handle`. template: TPMT_PUBLIC. name:
        the only one that may become persistent, None for any.

        The owner's authorization value never travels: it goes through an HMAC session salted to a throw-away key of the
        null hierarchy, which needs no authorization.
        """
        public = tss.TPM2B_PUBLIC(tss.TPMT_PUBLIC.unmarshal(template)[0])
        with self._authorization(public, owner_auth) as session:
            with self._calling(CC.CreatePrimary) as context:
                made = context.create_primary(
                    tss.TPM2B_SENSITIVE_CREATE(), public, tss.ESYS_TR.OWNER, session1=session
                )[0]
            try:
                with self._calling(CC.EvictControl) as context:
                    if name is None or bytes(context.tr_get_name(made)) == name:
                        context.evict_control(tss.ESYS_TR.OWNER, made, handle, session1=session)
            finally:
                with self._calling(CC.FlushContext) as context:
                    context.flush_context(made)

    def evict(self, handle: int, persistent: int, owner_auth: bytes, template: bytes) -> None:
        """TPM2_EvictControl: makes the object at `handle` persistent, or removes it where both handles are one.

        template: TPMT_PUBLIC of a throw-away key that hides the owner's authorization value.
        """
        with self._calling(CC.EvictControl) as context:
            shown = context.tr_from_tpmpublic(handle)
        public = tss.TPM2B_PUBLIC(tss.TPMT_PUBLIC.unmarshal(template)[0])
        with self._authorization(public, owner_auth) as session, self._calling(CC.EvictControl) as context:
            context.evict_control(tss.ESYS_TR.OWNER, shown, persistent, session1=session)

    @contextmanager
    def _authorization(self, public: Any, owner_auth: bytes) -> Iterator[Any]:
        """The session of commands that the owner authorizes."""
        with self._session(public, owner_auth) as session:
            try:
                yield session
            except TpmError as error:
                error.key = KeyHandle(RH.OWNER, b"", authorization=owner_authorization(bool(owner_auth)))
                raise

    @contextmanager
    def _session(self, public: Any, owner_auth: bytes) -> Iterator[Any]:
        if not owner_auth:
            yield tss.ESYS_TR.PASSWORD
            return
        with self._calling(CC.CreatePrimary) as context:
            salting = context.create_primary(tss.TPM2B_SENSITIVE_CREATE(), public, tss.ESYS_TR.NULL)[0]
        try:
            with self._calling(CC.StartAuthSession) as context:
                session = context.start_auth_session(
                    salting,
                    tss.ESYS_TR.NONE,
                    tss.TPM2_SE.HMAC,
                    tss.TPMT_SYM_DEF(
                        algorithm=int(ALG.AES),
                        keyBits=tss.TPMU_SYM_KEY_BITS(aes=128),
                        mode=tss.TPMU_SYM_MODE(aes=int(ALG.CFB)),
                    ),
                    int(ALG.SHA256),
                )
        finally:
            with self._calling(CC.FlushContext) as context:
                context.flush_context(salting)
        try:
            with self._calling(CC.HierarchyChangeAuth) as context:
                context.tr_set_auth(tss.ESYS_TR.OWNER, owner_auth)
            yield session
        finally:
            with self._calling(CC.FlushContext) as context:
                context.tr_set_auth(tss.ESYS_TR.OWNER, None)
                context.flush_context(session)
