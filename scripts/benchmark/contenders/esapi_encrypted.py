"""tpm2-pytss's ESAPI in a salted HMAC session that hides the parameters both ways, as hwcng's does."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import tpm2_pytss as tss
from tpm2_pytss import ESYS_TR

from . import esapi, tpm_keys

__all__ = ["Contender"]


class Contender(esapi.Contender):
    OPERATIONS = esapi.operations()

    @cached_property
    def session(self) -> Any:
        salting = self.esapi.create_primary(tss.TPM2B_SENSITIVE_CREATE(), tpm_keys.salting(), ESYS_TR.OWNER)[0]
        session = self.esapi.start_auth_session(
            salting,
            ESYS_TR.NONE,
            tss.TPM2_SE.HMAC,
            tss.TPMT_SYM_DEF(
                algorithm=tss.TPM2_ALG.AES,
                keyBits=tss.TPMU_SYM_KEY_BITS(sym=128),
                mode=tss.TPMU_SYM_MODE(sym=tss.TPM2_ALG.CFB),
            ),
            tss.TPM2_ALG.SHA256,
        )
        attributes = tss.TPMA_SESSION.ENCRYPT | tss.TPMA_SESSION.DECRYPT | tss.TPMA_SESSION.CONTINUESESSION
        self.esapi.trsess_set_attributes(session, attributes)
        self.esapi.flush_context(salting)
        return session

    @cached_property
    def hiding(self) -> Any:
        session = self.session
        # A command without a hidden parameter of its own may ask for a hidden answer only.
        self.esapi.trsess_set_attributes(session, tss.TPMA_SESSION.ENCRYPT | tss.TPMA_SESSION.CONTINUESESSION, 0xFF)
        return session
