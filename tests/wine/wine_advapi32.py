"""advapi32.dll in the shapes of hwcng.wincrypt: documented names and order, sizes dropped, out-parameters returned."""

from __future__ import annotations

from collections.abc import Sequence

from wine.peer import Peer, Reply, Wine, Word
from wine.wine_bcrypt import WineHandle

from hwcng import CngError
from hwcng.errors import HRESULT, Win32Error

__all__ = ["WineAdvapi32"]

NO_BUFFER = "?"
LARGEST_BLOCK = 2048
"""Bytes: of an RSA key of 16384 bits."""
DWORD = 4


def status_of(code: int) -> HRESULT | Win32Error:
    for known in (HRESULT, Win32Error):
        if code in known.__members__.values():
            return known(code)
    raise AssertionError(f"advapi32.dll left {code:#010x}, which no table has")


def _index(handle: WineHandle | None) -> Word:
    return None if handle is None else handle.index


class WineAdvapi32:
    """Every key parameter that is a DWORD is an int where it is set, and bytes where it is read."""

    def __init__(self, wine: Wine) -> None:
        self._peer = Peer(wine, "advapi32_peer", "advapi32")
        self.version = wine.version

    def close(self) -> None:
        self._peer.close()

    def _call(self, name: str, *words: Word) -> Reply:
        reply = self._peer.call(name, *words)
        if reply.status:
            raise CngError(status_of(reply.status), f"advapi32.dll: {name}")
        return reply

    def _handle(self, name: str, *words: Word) -> WineHandle:
        return WineHandle(self._call(name, *words)[0])

    def _sized(self, name: str, words: Sequence[Word]) -> bytes:
        return self._call(name, *words, self._call(name, *words, NO_BUFFER).number(0)).octets(1)

    def CryptAcquireContext(
        self, pszContainer: str | None, pszProvider: None, dwProvType: int, dwFlags: int = 0
    ) -> WineHandle | None:
        """None where CRYPT_DELETEKEYSET leaves no context. The type alone selects the provider."""
        handle = self._call("CryptAcquireContext", pszContainer, pszProvider, dwProvType, dwFlags)[0]
        return None if handle == "-" else WineHandle(handle)

    def CryptReleaseContext(self, hProv: WineHandle, dwFlags: int = 0) -> None:
        self._call("CryptReleaseContext", _index(hProv), dwFlags)

    def CryptGenKey(self, hProv: WineHandle, Algid: int, dwFlags: int) -> WineHandle:
        return self._handle("CryptGenKey", _index(hProv), Algid, dwFlags)

    def CryptDeriveKey(self, hProv: WineHandle, Algid: int, hBaseData: WineHandle, dwFlags: int) -> WineHandle:
        return self._handle("CryptDeriveKey", _index(hProv), Algid, _index(hBaseData), dwFlags)

    def CryptImportKey(
        self, hProv: WineHandle, pbData: bytes, hPubKey: WineHandle | None = None, dwFlags: int = 0
    ) -> WineHandle:
        return self._handle("CryptImportKey", _index(hProv), pbData, _index(hPubKey), dwFlags)

    def CryptExportKey(self, hKey: WineHandle, hExpKey: WineHandle | None, dwBlobType: int, dwFlags: int = 0) -> bytes:
        return self._sized("CryptExportKey", (_index(hKey), _index(hExpKey), dwBlobType, dwFlags))

    def CryptDestroyKey(self, hKey: WineHandle) -> None:
        self._call("CryptDestroyKey", _index(hKey))

    def CryptDuplicateKey(self, hKey: WineHandle, dwFlags: int = 0) -> WineHandle:
        return self._handle("CryptDuplicateKey", _index(hKey), dwFlags)

    def CryptGetUserKey(self, hProv: WineHandle, dwKeySpec: int) -> WineHandle:
        return self._handle("CryptGetUserKey", _index(hProv), dwKeySpec)

    def CryptGetKeyParam(self, hKey: WineHandle, dwParam: int, dwFlags: int = 0) -> bytes:
        return self._sized("CryptGetKeyParam", (_index(hKey), dwParam, dwFlags))

    def CryptSetKeyParam(self, hKey: WineHandle, dwParam: int, pbData: bytes | int, dwFlags: int = 0) -> None:
        value = pbData.to_bytes(DWORD, "little") if isinstance(pbData, int) else pbData
        self._call("CryptSetKeyParam", _index(hKey), dwParam, value, dwFlags)

    def CryptEncrypt(
        self, hKey: WineHandle, hHash: WineHandle | None, Final: bool, dwFlags: int, pbData: bytes
    ) -> bytes:
        # No size query: with Final it ends the message (Wine 8), and the next call begins with the IV.
        words = (_index(hKey), _index(hHash), int(Final), dwFlags, pbData)
        return self._call("CryptEncrypt", *words, len(pbData) + LARGEST_BLOCK).octets(1)

    def CryptDecrypt(
        self, hKey: WineHandle, hHash: WineHandle | None, Final: bool, dwFlags: int, pbData: bytes
    ) -> bytes:
        return self._call("CryptDecrypt", _index(hKey), _index(hHash), int(Final), dwFlags, pbData).octets(1)

    def CryptCreateHash(
        self, hProv: WineHandle, Algid: int, hKey: WineHandle | None = None, dwFlags: int = 0
    ) -> WineHandle:
        return self._handle("CryptCreateHash", _index(hProv), Algid, _index(hKey), dwFlags)

    def CryptHashData(self, hHash: WineHandle, pbData: bytes, dwFlags: int = 0) -> None:
        self._call("CryptHashData", _index(hHash), pbData, dwFlags)

    def CryptGetHashParam(self, hHash: WineHandle, dwParam: int, dwFlags: int = 0) -> bytes:
        return self._sized("CryptGetHashParam", (_index(hHash), dwParam, dwFlags))

    def CryptSetHashParam(self, hHash: WineHandle, dwParam: int, pbData: bytes, dwFlags: int = 0) -> None:
        self._call("CryptSetHashParam", _index(hHash), dwParam, pbData, dwFlags)

    def CryptDestroyHash(self, hHash: WineHandle) -> None:
        self._call("CryptDestroyHash", _index(hHash))

    def CryptSignHash(
        self, hHash: WineHandle, dwKeySpec: int, szDescription: str | None = None, dwFlags: int = 0
    ) -> bytes:
        return self._sized("CryptSignHash", (_index(hHash), dwKeySpec, dwFlags))

    def CryptVerifySignature(
        self,
        hHash: WineHandle,
        pbSignature: bytes,
        hPubKey: WineHandle,
        szDescription: str | None = None,
        dwFlags: int = 0,
    ) -> None:
        self._call("CryptVerifySignature", _index(hHash), pbSignature, _index(hPubKey), dwFlags)

    def CryptGenRandom(self, hProv: WineHandle, dwLen: int) -> bytes:
        return self._call("CryptGenRandom", _index(hProv), dwLen).octets(0)
