"""The C_ functions of a PKCS#11 module, called directly (OASIS PKCS#11 Base Specification 3.2, sections 3 and 5).

cffi in ABI mode: no compiler, and `compiled` has the declarations without a parser. Structures have the layout of Unix
platforms: natural alignment, 8-byte CK_ULONG.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from hwcng.forking import ProcessLock
from hwcng.providers.events import note
from hwcng.providers.instruments import enrol
from hwcng.providers.pkcs11.cryptoki import compiled
from hwcng.providers.pkcs11.cryptoki.function_lists import ADDED_IN_3_0, ADDED_IN_3_2, LIST_2_40
from hwcng.providers.pkcs11.cryptoki.return_values import CKR
from hwcng.providers.pkcs11.cryptoki.tracing import tracing

__all__ = ["CData", "CFunction", "Cryptoki", "Instrument", "ffi"]

CData = Any
CFunction = Callable[..., int]
Instrument = Callable[[str, CFunction], CFunction]
"""Given a C_ function's name and the function, returns what is called in its place."""

_TYPES = """
typedef unsigned char CK_BYTE;
typedef unsigned long CK_ULONG;
typedef struct { CK_BYTE major; CK_BYTE minor; } CK_VERSION;
typedef struct {
    CK_VERSION cryptokiVersion; CK_BYTE manufacturerID[32]; CK_ULONG flags;
    CK_BYTE libraryDescription[32]; CK_VERSION libraryVersion;
} CK_INFO;
typedef struct {
    CK_BYTE slotDescription[64]; CK_BYTE manufacturerID[32]; CK_ULONG flags;
    CK_VERSION hardwareVersion; CK_VERSION firmwareVersion;
} CK_SLOT_INFO;
typedef struct {
    CK_BYTE label[32]; CK_BYTE manufacturerID[32]; CK_BYTE model[16]; CK_BYTE serialNumber[16]; CK_ULONG flags;
    CK_ULONG ulMaxSessionCount; CK_ULONG ulSessionCount; CK_ULONG ulMaxRwSessionCount; CK_ULONG ulRwSessionCount;
    CK_ULONG ulMaxPinLen; CK_ULONG ulMinPinLen; CK_ULONG ulTotalPublicMemory; CK_ULONG ulFreePublicMemory;
    CK_ULONG ulTotalPrivateMemory; CK_ULONG ulFreePrivateMemory;
    CK_VERSION hardwareVersion; CK_VERSION firmwareVersion; CK_BYTE utcTime[16];
} CK_TOKEN_INFO;
typedef struct { CK_ULONG slotID; CK_ULONG state; CK_ULONG flags; CK_ULONG ulDeviceError; } CK_SESSION_INFO;
typedef struct { CK_ULONG ulMinKeySize; CK_ULONG ulMaxKeySize; CK_ULONG flags; } CK_MECHANISM_INFO;
typedef struct { CK_ULONG type; const void *pValue; CK_ULONG ulValueLen; } CK_ATTRIBUTE;
typedef struct { CK_ULONG mechanism; const void *pParameter; CK_ULONG ulParameterLen; } CK_MECHANISM;
typedef struct {
    void *CreateMutex; void *DestroyMutex; void *LockMutex; void *UnlockMutex; CK_ULONG flags; const void *pReserved;
} CK_C_INITIALIZE_ARGS;
typedef struct { const char *pInterfaceName; const void *pFunctionList; CK_ULONG flags; } CK_INTERFACE;
typedef struct {
    const CK_BYTE *pIv; CK_ULONG ulIvLen; CK_ULONG ulIvBits; const CK_BYTE *pAAD; CK_ULONG ulAADLen; CK_ULONG ulTagBits;
} CK_GCM_PARAMS;
typedef struct {
    const CK_BYTE *pNonce; CK_ULONG ulNonceLen; const CK_BYTE *pAAD; CK_ULONG ulAADLen;
} CK_SALSA20_CHACHA20_POLY1305_PARAMS;
typedef struct { CK_ULONG ulEffectiveBits; CK_BYTE iv[8]; } CK_RC2_CBC_PARAMS;
typedef struct { CK_ULONG hashAlg; CK_ULONG mgf; CK_ULONG sLen; } CK_RSA_PKCS_PSS_PARAMS;
typedef struct {
    CK_ULONG hashAlg; CK_ULONG mgf; CK_ULONG source; const void *pSourceData; CK_ULONG ulSourceDataLen;
} CK_RSA_PKCS_OAEP_PARAMS;
typedef struct { CK_ULONG ulAESKeyBits; CK_RSA_PKCS_OAEP_PARAMS *pOAEPParams; } CK_RSA_AES_KEY_WRAP_PARAMS;
typedef struct {
    CK_ULONG kdf; CK_ULONG ulSharedDataLen; const CK_BYTE *pSharedData;
    CK_ULONG ulPublicDataLen; const CK_BYTE *pPublicData;
} CK_ECDH1_DERIVE_PARAMS;
typedef struct { const CK_BYTE *pData; CK_ULONG ulLen; } CK_KEY_DERIVATION_STRING_DATA;
typedef struct {
    CK_BYTE bExtract; CK_BYTE bExpand; CK_ULONG prfHashMechanism; CK_ULONG ulSaltType; const CK_BYTE *pSalt;
    CK_ULONG ulSaltLen; CK_ULONG hSaltKey; const CK_BYTE *pInfo; CK_ULONG ulInfoLen;
} CK_HKDF_PARAMS;
typedef struct { CK_ULONG type; const void *pValue; CK_ULONG ulValueLen; } CK_PRF_DATA_PARAM;
typedef struct { CK_BYTE bLittleEndian; CK_ULONG ulWidthInBits; } CK_SP800_108_COUNTER_FORMAT;
typedef struct {
    CK_ULONG dkmLengthMethod; CK_BYTE bLittleEndian; CK_ULONG ulWidthInBits;
} CK_SP800_108_DKM_LENGTH_FORMAT;
typedef struct {
    CK_ULONG prfType; CK_ULONG ulNumberOfDataParams; const CK_PRF_DATA_PARAM *pDataParams;
    CK_ULONG ulAdditionalDerivedKeys; void *pAdditionalDerivedKeys;
} CK_SP800_108_KDF_PARAMS;
typedef struct { CK_ULONG hedgeVariant; const CK_BYTE *pContext; CK_ULONG ulContextLen; } CK_SIGN_ADDITIONAL_CONTEXT;
typedef struct {
    CK_ULONG hedgeVariant; const CK_BYTE *pContext; CK_ULONG ulContextLen; CK_ULONG hash;
} CK_HASH_SIGN_ADDITIONAL_CONTEXT;
"""

_IN = "const CK_BYTE *, CK_ULONG"
_OUT = "CK_BYTE *, CK_ULONG *"
_TEMPLATE = "CK_ATTRIBUTE *, CK_ULONG"
_INIT = "CK_ULONG, CK_MECHANISM *, CK_ULONG"

_CALLED = {
    "C_Initialize": "CK_C_INITIALIZE_ARGS *",
    "C_Finalize": "void *",
    "C_GetInfo": "CK_INFO *",
    "C_GetSlotList": "CK_BYTE, CK_ULONG *, CK_ULONG *",
    "C_GetSlotInfo": "CK_ULONG, CK_SLOT_INFO *",
    "C_GetTokenInfo": "CK_ULONG, CK_TOKEN_INFO *",
    "C_GetMechanismList": "CK_ULONG, CK_ULONG *, CK_ULONG *",
    "C_GetMechanismInfo": "CK_ULONG, CK_ULONG, CK_MECHANISM_INFO *",
    "C_OpenSession": "CK_ULONG, CK_ULONG, void *, void *, CK_ULONG *",
    "C_CloseSession": "CK_ULONG",
    "C_GetSessionInfo": "CK_ULONG, CK_SESSION_INFO *",
    "C_Login": f"CK_ULONG, CK_ULONG, {_IN}",
    "C_CreateObject": f"CK_ULONG, {_TEMPLATE}, CK_ULONG *",
    "C_CopyObject": f"CK_ULONG, CK_ULONG, {_TEMPLATE}, CK_ULONG *",
    "C_DestroyObject": "CK_ULONG, CK_ULONG",
    "C_GetAttributeValue": f"CK_ULONG, CK_ULONG, {_TEMPLATE}",
    "C_SetAttributeValue": f"CK_ULONG, CK_ULONG, {_TEMPLATE}",
    "C_FindObjectsInit": f"CK_ULONG, {_TEMPLATE}",
    "C_FindObjects": "CK_ULONG, CK_ULONG *, CK_ULONG, CK_ULONG *",
    "C_FindObjectsFinal": "CK_ULONG",
    "C_EncryptInit": _INIT,
    "C_Encrypt": f"CK_ULONG, {_IN}, {_OUT}",
    "C_EncryptUpdate": f"CK_ULONG, {_IN}, {_OUT}",
    "C_DecryptInit": _INIT,
    "C_Decrypt": f"CK_ULONG, {_IN}, {_OUT}",
    "C_DecryptUpdate": f"CK_ULONG, {_IN}, {_OUT}",
    "C_DigestInit": "CK_ULONG, CK_MECHANISM *",
    "C_DigestUpdate": f"CK_ULONG, {_IN}",
    "C_DigestKey": "CK_ULONG, CK_ULONG",
    "C_DigestFinal": f"CK_ULONG, {_OUT}",
    "C_SignInit": _INIT,
    "C_Sign": f"CK_ULONG, {_IN}, {_OUT}",
    "C_GenerateKey": f"CK_ULONG, CK_MECHANISM *, {_TEMPLATE}, CK_ULONG *",
    "C_GenerateKeyPair": f"CK_ULONG, CK_MECHANISM *, {_TEMPLATE}, {_TEMPLATE}, CK_ULONG *, CK_ULONG *",
    "C_WrapKey": f"CK_ULONG, CK_MECHANISM *, CK_ULONG, CK_ULONG, {_OUT}",
    "C_UnwrapKey": f"CK_ULONG, CK_MECHANISM *, CK_ULONG, {_IN}, {_TEMPLATE}, CK_ULONG *",
    "C_DeriveKey": f"CK_ULONG, CK_MECHANISM *, CK_ULONG, {_TEMPLATE}, CK_ULONG *",
    "C_GenerateRandom": "CK_ULONG, CK_BYTE *, CK_ULONG",
    "C_EncapsulateKey": f"CK_ULONG, CK_MECHANISM *, CK_ULONG, {_TEMPLATE}, {_OUT}, CK_ULONG *",
    "C_DecapsulateKey": f"CK_ULONG, CK_MECHANISM *, CK_ULONG, {_TEMPLATE}, {_IN}, CK_ULONG *",
}

INTERFACE_NAME = b"PKCS 11"
SUPPORTED_VERSIONS = ((3, 2), (3, 0), (2, 40))
"""Newest first. The later lists begin with the 2.40 list; what only the 3.2 list has is not supported elsewhere."""


def _slots(names: tuple[str, ...]) -> str:
    return "\n".join(
        f"    CK_ULONG (*{name})({_CALLED[name]});" if name in _CALLED else f"    void *{name};" for name in names
    )


DECLARATIONS = f"""{_TYPES}
typedef struct {{
    CK_VERSION version;
{_slots(LIST_2_40)}
}} CK_FUNCTION_LIST;
typedef struct {{
    CK_VERSION version;
{_slots(LIST_2_40 + ADDED_IN_3_0 + ADDED_IN_3_2)}
}} CK_FUNCTION_LIST_3_2;
CK_ULONG C_GetFunctionList(CK_FUNCTION_LIST **);
CK_ULONG C_GetInterfaceList(CK_INTERFACE *, CK_ULONG *);
"""
"""The types and functions used here, in C."""

ffi: Any = compiled.ffi
if hashlib.sha256(DECLARATIONS.encode()).hexdigest() != compiled.DIGEST:
    # They were changed since: parsed now, which takes many times as long as all else here.
    import cffi

    ffi = cffi.FFI()
    ffi.cdef(DECLARATIONS)

# Compiled declarations have an error of their own for it.
_NO_SYMBOL = (AttributeError, getattr(ffi, "error", AttributeError))

INTERFACES = 16


def _not_supported(*_arguments: object) -> int:
    return CKR.FUNCTION_NOT_SUPPORTED


class Cryptoki:
    """The function list of one loaded module. Every attribute C_x is that C function and returns its CK_RV.

    version: (major, minor) of the list that is used. instrument: see there.
    """

    C_Initialize: CFunction
    C_Finalize: CFunction
    C_GetInfo: CFunction
    C_GetSlotList: CFunction
    C_GetSlotInfo: CFunction
    C_GetTokenInfo: CFunction
    C_GetMechanismList: CFunction
    C_GetMechanismInfo: CFunction
    C_OpenSession: CFunction
    C_CloseSession: CFunction
    C_GetSessionInfo: CFunction
    C_Login: CFunction
    C_CreateObject: CFunction
    C_CopyObject: CFunction
    C_DestroyObject: CFunction
    C_GetAttributeValue: CFunction
    C_SetAttributeValue: CFunction
    C_FindObjectsInit: CFunction
    C_FindObjects: CFunction
    C_FindObjectsFinal: CFunction
    C_EncryptInit: CFunction
    C_Encrypt: CFunction
    C_DecryptInit: CFunction
    C_Decrypt: CFunction
    C_DigestInit: CFunction
    C_DigestUpdate: CFunction
    C_DigestKey: CFunction
    C_DigestFinal: CFunction
    C_SignInit: CFunction
    C_Sign: CFunction
    C_GenerateKey: CFunction
    C_GenerateKeyPair: CFunction
    C_WrapKey: CFunction
    C_UnwrapKey: CFunction
    C_DeriveKey: CFunction
    C_GenerateRandom: CFunction
    C_EncapsulateKey: CFunction
    C_DecapsulateKey: CFunction

    def __init__(self, path: str) -> None:
        """path: of the shared object. Raises OSError where it cannot be loaded or is no PKCS#11 module."""
        self._library: CData = ffi.dlopen(path, ffi.RTLD_NOW)
        functions = self._newest_interface() or self._function_list(path)
        self.version: tuple[int, int] = (functions.version.major, functions.version.minor)
        if self.version >= (3, 2):
            functions = ffi.cast("CK_FUNCTION_LIST_3_2 *", functions)
        self._functions: dict[str, CFunction] = {}
        for name in _CALLED:
            pointer = getattr(functions, name, ffi.NULL)
            self._functions[name] = pointer if pointer != ffi.NULL else _not_supported
        self._instruments: list[Instrument] = []
        self._rebuilding = ProcessLock()
        self._bind()
        note("module.loaded", path=path, version="{}.{}".format(*self.version))
        enrol(self, tracing)

    def _newest_interface(self) -> CData | None:
        try:
            get_interface_list = self._library.C_GetInterfaceList
        except _NO_SYMBOL:
            return None
        # OpenSC's pkcs11-spy crashes at the size query with a null pointer.
        count = ffi.new("CK_ULONG *", INTERFACES)
        interfaces = ffi.new("CK_INTERFACE[]", INTERFACES)
        rv = get_interface_list(interfaces, count)
        if rv == CKR.BUFFER_TOO_SMALL:
            interfaces = ffi.new("CK_INTERFACE[]", count[0])
            rv = get_interface_list(interfaces, count)
        if rv != CKR.OK:
            return None
        lists = {}
        for interface in interfaces[0 : count[0]]:
            if interface.pFunctionList and ffi.string(interface.pInterfaceName) == INTERFACE_NAME:
                functions = ffi.cast("CK_FUNCTION_LIST *", interface.pFunctionList)
                lists[(functions.version.major, functions.version.minor)] = functions
        return next((lists[version] for version in SUPPORTED_VERSIONS if version in lists), None)

    def _function_list(self, path: str) -> CData:
        try:
            get_function_list = self._library.C_GetFunctionList
        except _NO_SYMBOL:
            raise OSError(f"{path} has no C_GetFunctionList: it is not a PKCS#11 module") from None
        pointer = ffi.new("CK_FUNCTION_LIST **")
        if (rv := get_function_list(pointer)) != CKR.OK or not pointer[0]:
            raise OSError(f"C_GetFunctionList of {path} failed with {rv:#x}")
        return pointer[0]

    def _bind(self) -> None:
        for name, function in self._functions.items():
            for instrument in self._instruments:
                function = instrument(name, function)
            setattr(self, name, function)

    def instrument(self, instrument: Instrument) -> Callable[[], None]:
        """Puts `instrument` around every C_ function; the returned callable takes it away again."""
        with self._rebuilding.held():
            self._instruments.append(instrument)
            self._bind()

        def undo() -> None:
            with self._rebuilding.held():
                if instrument in self._instruments:
                    self._instruments.remove(instrument)
                    self._bind()

        return undo
