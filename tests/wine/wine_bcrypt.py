"""bcrypt.dll in the shapes of hwcng.bcrypt: the same names, parameters, results and failures."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

from wine.peer import Peer, Reply, Wine, Word

from hwcng import NTSTATUS, CngError, bcrypt
from hwcng.cng.derive.functions import ParameterList
from hwcng.errors import HRESULT

__all__ = ["SizeMismatch", "WineBcrypt", "WineHandle"]

STRUCTURES: dict[str, type] = {
    "KeyLengths": bcrypt.BCRYPT_KEY_LENGTHS_STRUCT,
    "AuthTagLength": bcrypt.BCRYPT_AUTH_TAG_LENGTHS_STRUCT,
}
STRINGS = frozenset({"AlgorithmName", "ChainingMode", "ECCCurveName", "HashAlgorithm"})
OCTETS = frozenset({"DHParameters", "DSAParameters", "ECCParameters"})
NO_BUFFER = "?"
DWORD = 4


class SizeMismatch(Exception):
    """A size query and the call after it disagree."""


class WineHandle:
    """What bcrypt.dll returned."""

    def __init__(self, index: str) -> None:
        self.index = int(index)

    def __repr__(self) -> str:
        return f"<WineHandle {self.index}>"


class OtherStatus(enum.IntEnum):
    """What no documented function returns."""

    STATUS_ACCESS_VIOLATION = 0xC0000005


def status_of(code: int) -> Any:
    for known in (NTSTATUS, HRESULT, OtherStatus):
        if code in known.__members__.values():
            return known(code)
    raise AssertionError(f"bcrypt.dll returned {code:#010x}, which no table has")


def _checked(name: str, reply: Reply) -> Reply:
    if reply.status:
        raise CngError(status_of(reply.status), f"bcrypt.dll: {name}")
    return reply


def utf16(text: str) -> bytes:
    return (text + "\0").encode("utf-16-le")


def property_value(name: str, value: bytes) -> Any:
    """As hwcng returns it."""
    if name in STRINGS:
        return value.decode("utf-16-le").split("\0")[0]
    if name in OCTETS:
        return value
    numbers = [int.from_bytes(value[at : at + DWORD], "little") for at in range(0, len(value), DWORD)]
    if name in STRUCTURES:
        return STRUCTURES[name](*numbers)
    return tuple(numbers) if name == "BlockSizeList" else numbers[0]


def _index(handle: object) -> Word:
    """A foreign object has no address to hand over; None stands for it."""
    return handle.index if isinstance(handle, WineHandle) else None


def _object(buffer: Any) -> Word:
    return NO_BUFFER if buffer is None else len(buffer)


def _padding(info: object) -> Sequence[Word]:
    if isinstance(info, bcrypt.BCRYPT_PKCS1_PADDING_INFO):
        return "pkcs1", info.pszAlgId
    if isinstance(info, bcrypt.BCRYPT_PSS_PADDING_INFO):
        return "pss", info.pszAlgId, info.cbSalt
    if isinstance(info, bcrypt.BCRYPT_OAEP_PADDING_INFO):
        return "oaep", info.pszAlgId, info.pbLabel or None
    assert info is None
    return ("none",)


class WineBcrypt:
    """Parameters and results as documented in hwcng.bcrypt; handles are WineHandle."""

    def __init__(self, wine: Wine) -> None:
        self._peer = Peer(wine, "bcrypt_peer", "bcrypt")
        self.version = wine.version
        self.strict_sizes = False

    def close(self) -> None:
        self._peer.close()

    def _call(self, name: str, *words: Word) -> Reply:
        return _checked(name, self._peer.call(name, *words))

    def _handle(self, name: str, *words: Word) -> WineHandle:
        return WineHandle(self._call(name, *words)[0])

    def _sized(self, name: str, words: Sequence[Word], flags: int, *, upper_bound: bool = False) -> Reply:
        """By a size query and a call with room for as much, or for what it then asks for.

        With `strict_sizes` a query that fails for want of room raises SizeMismatch, and so does one whose answer is not
        the result's size, unless it may be an upper bound.
        """
        query = self._peer.call(name, *words, NO_BUFFER, flags)
        if query.status != NTSTATUS.STATUS_BUFFER_TOO_SMALL:
            _checked(name, query)
        reply = self._peer.call(name, *words, query.number(0), flags)
        agrees = query.status == 0 and (reply.number(0) == query.number(0) or upper_bound)
        if self.strict_sizes and not agrees:
            raise SizeMismatch(f"the size query says {query.status:#x}, {query.number(0)} of {reply.number(0)} bytes")
        if reply.status == NTSTATUS.STATUS_BUFFER_TOO_SMALL:
            reply = self._peer.call(name, *words, reply.number(0), flags)
        return _checked(name, reply)

    def BCryptOpenAlgorithmProvider(
        self, pszAlgId: str | None, pszImplementation: str | None = None, dwFlags: int = 0
    ) -> WineHandle:
        return self._handle("BCryptOpenAlgorithmProvider", pszAlgId, pszImplementation, dwFlags)

    def BCryptCloseAlgorithmProvider(self, hAlgorithm: object, dwFlags: int = 0) -> None:
        self._call("BCryptCloseAlgorithmProvider", _index(hAlgorithm), dwFlags)

    def BCryptGetProperty(self, hObject: object, pszProperty: str | None, dwFlags: int = 0) -> Any:
        value = self._sized("BCryptGetProperty", (_index(hObject), pszProperty), dwFlags).octets(1)
        return property_value(pszProperty or "", value)

    def BCryptSetProperty(self, hObject: object, pszProperty: str | None, pbInput: Any, dwFlags: int = 0) -> None:
        value = utf16(pbInput) if isinstance(pbInput, str) else pbInput
        if isinstance(pbInput, int):
            value = pbInput.to_bytes(DWORD, "little")
        self._call("BCryptSetProperty", _index(hObject), pszProperty, value, dwFlags)

    def BCryptGenerateSymmetricKey(
        self, hAlgorithm: object, pbKeyObject: Any, pbSecret: bytes | None, dwFlags: int = 0
    ) -> WineHandle:
        return self._handle("BCryptGenerateSymmetricKey", _index(hAlgorithm), _object(pbKeyObject), pbSecret, dwFlags)

    def BCryptGenerateKeyPair(self, hAlgorithm: object, dwLength: int, dwFlags: int = 0) -> WineHandle:
        return self._handle("BCryptGenerateKeyPair", _index(hAlgorithm), dwLength, dwFlags)

    def BCryptFinalizeKeyPair(self, hKey: object, dwFlags: int = 0) -> None:
        self._call("BCryptFinalizeKeyPair", _index(hKey), dwFlags)

    def BCryptDuplicateKey(self, hKey: object, pbKeyObject: Any = None, dwFlags: int = 0) -> WineHandle:
        return self._handle("BCryptDuplicateKey", _index(hKey), _object(pbKeyObject), dwFlags)

    def BCryptImportKey(
        self,
        hAlgorithm: object,
        hImportKey: object,
        pszBlobType: str | None,
        pbKeyObject: Any,
        pbInput: bytes | None,
        dwFlags: int = 0,
    ) -> WineHandle:
        words = (_index(hAlgorithm), _index(hImportKey), pszBlobType, _object(pbKeyObject), pbInput)
        return self._handle("BCryptImportKey", *words, dwFlags)

    def BCryptImportKeyPair(
        self, hAlgorithm: object, hImportKey: object, pszBlobType: str | None, pbInput: bytes | None, dwFlags: int = 0
    ) -> WineHandle:
        words = (_index(hAlgorithm), _index(hImportKey), pszBlobType, pbInput)
        return self._handle("BCryptImportKeyPair", *words, dwFlags)

    def BCryptExportKey(self, hKey: object, hExportKey: object, pszBlobType: str | None, dwFlags: int = 0) -> bytes:
        return self._sized("BCryptExportKey", (_index(hKey), _index(hExportKey), pszBlobType), dwFlags).octets(1)

    def BCryptDestroyKey(self, hKey: object) -> None:
        self._call("BCryptDestroyKey", _index(hKey))

    def BCryptEncrypt(
        self, hKey: object, pbInput: bytes | None, pPaddingInfo: object = None, pbIV: Any = None, dwFlags: int = 0
    ) -> bytes:
        return self._crypt("BCryptEncrypt", hKey, pbInput, pPaddingInfo, pbIV, dwFlags)

    def BCryptDecrypt(
        self, hKey: object, pbInput: bytes | None, pPaddingInfo: object = None, pbIV: Any = None, dwFlags: int = 0
    ) -> bytes:
        return self._crypt("BCryptDecrypt", hKey, pbInput, pPaddingInfo, pbIV, dwFlags)

    def _crypt(self, name: str, key: object, data: bytes | None, info: object, iv: Any, flags: int) -> bytes:
        if isinstance(info, bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO):
            return self._authenticated(name, key, data, info, iv, flags)
        words = (_index(key), data, *_padding(info), iv)
        # Before block padding is taken off its size is not known.
        reply = self._sized(name, words, flags, upper_bound=name == "BCryptDecrypt")
        if isinstance(iv, bytearray):
            iv[:] = reply.octets(2)
        return reply.octets(1)

    def _authenticated(
        self,
        name: str,
        key: object,
        data: bytes | None,
        info: bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO,
        iv: Any,
        flags: int,
    ) -> bytes:
        """An output buffer as long as the input: with one that is absent the call would be a size query."""
        encrypting = name == "BCryptEncrypt"
        tag = bytes(info.cbTag) if encrypting else info.pbTag and bytes(info.pbTag)[: info.cbTag]
        record = (info.pbNonce, info.pbAuthData or None, tag, info.pbMacContext, info.cbAAD, info.cbData, info.dwFlags)
        room = len(data or b"") or NO_BUFFER
        reply = self._call(name, _index(key), data or None, "aead", *record, iv, room, flags)
        if encrypting:
            info.store_tag(reply.octets(3))
        return reply.octets(1)

    def BCryptSignHash(self, hKey: object, pPaddingInfo: object, pbInput: bytes, dwFlags: int = 0) -> bytes:
        return self._sized("BCryptSignHash", (_index(hKey), *_padding(pPaddingInfo), pbInput), dwFlags).octets(1)

    def BCryptVerifySignature(
        self, hKey: object, pPaddingInfo: object, pbHash: bytes, pbSignature: bytes, dwFlags: int = 0
    ) -> None:
        self._call("BCryptVerifySignature", _index(hKey), *_padding(pPaddingInfo), pbHash, pbSignature, dwFlags)

    def BCryptSecretAgreement(self, hPrivKey: object, hPubKey: object, dwFlags: int = 0) -> WineHandle:
        return self._handle("BCryptSecretAgreement", _index(hPrivKey), _index(hPubKey), dwFlags)

    def BCryptDeriveKey(
        self,
        hSharedSecret: object,
        pwszKDF: str | None,
        pParameterList: ParameterList | None,
        cbDerivedKey: int | None,
        dwFlags: int = 0,
    ) -> bytes:
        buffers: list[Word] = []
        for kind, value in pParameterList or ():
            if isinstance(value, str):
                value = utf16(value)
            elif isinstance(value, int):
                value = value.to_bytes(DWORD, "little")
            buffers += (int(kind), value)
        count = None if pParameterList is None else len(buffers) // 2
        words = (_index(hSharedSecret), pwszKDF, count, *buffers)
        if cbDerivedKey is None:
            return self._sized("BCryptDeriveKey", words, dwFlags).octets(1)
        return self._call("BCryptDeriveKey", *words, cbDerivedKey, dwFlags).octets(1)

    def BCryptDeriveKeyPBKDF2(
        self,
        hPrf: object,
        pbPassword: bytes | None,
        pbSalt: bytes | None,
        cIterations: int,
        cbDerivedKey: int,
        dwFlags: int = 0,
    ) -> bytes:
        words = (_index(hPrf), pbPassword, pbSalt, cIterations, cbDerivedKey)
        return self._call("BCryptDeriveKeyPBKDF2", *words, dwFlags).octets(0)

    def BCryptDeriveKeyCapi(self, hHash: object, hTargetAlg: object, cbDerivedKey: int, dwFlags: int = 0) -> bytes:
        words = (_index(hHash), _index(hTargetAlg), cbDerivedKey)
        return self._call("BCryptDeriveKeyCapi", *words, dwFlags).octets(0)

    def BCryptDestroySecret(self, hSecret: object) -> None:
        self._call("BCryptDestroySecret", _index(hSecret))

    def BCryptGenRandom(self, hAlgorithm: object, cbBuffer: int, dwFlags: int = 0) -> bytes:
        return self._call("BCryptGenRandom", _index(hAlgorithm), cbBuffer, dwFlags).octets(0)

    def BCryptCreateHash(
        self, hAlgorithm: object, pbHashObject: Any = None, pbSecret: bytes | None = None, dwFlags: int = 0
    ) -> WineHandle:
        return self._handle("BCryptCreateHash", _index(hAlgorithm), _object(pbHashObject), pbSecret, dwFlags)

    def BCryptHashData(self, hHash: object, pbInput: bytes | None, dwFlags: int = 0) -> None:
        self._call("BCryptHashData", _index(hHash), pbInput, dwFlags)

    def BCryptFinishHash(self, hHash: object, dwFlags: int = 0) -> bytes:
        length = self.BCryptGetProperty(hHash, "HashDigestLength")
        return self._call("BCryptFinishHash", _index(hHash), length, dwFlags).octets(0)

    def BCryptDuplicateHash(self, hHash: object, pbHashObject: Any = None, dwFlags: int = 0) -> WineHandle:
        return self._handle("BCryptDuplicateHash", _index(hHash), _object(pbHashObject), dwFlags)

    def BCryptDestroyHash(self, hHash: object) -> None:
        self._call("BCryptDestroyHash", _index(hHash))

    def BCryptHash(self, hAlgorithm: object, pbSecret: bytes | None, pbInput: bytes | None) -> bytes:
        length = self.BCryptGetProperty(hAlgorithm, "HashDigestLength")
        return self._call("BCryptHash", _index(hAlgorithm), pbSecret, pbInput, length).octets(0)
