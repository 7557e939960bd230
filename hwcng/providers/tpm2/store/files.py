"""Named keys of a TPM as files: a record in JSON (RFC 8259), then the key as TSS2 PRIVATE KEY in PEM (RFC 7468).

One file per key, which tools that read PEM take as it is; its name is the SHA-256 of the key's. A file appears whole,
under its final name, or not at all. Who writes holds the folder's lock, so that a draft seen then is a leftover.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import fcntl
import hashlib
import json
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwcng.contract.attestation import Origin
from hwcng.contract.key_names import is_key_name
from hwcng.errors import HRESULT, CngError
from hwcng.providers.tpm2.wire import key_file_asn1
from hwcng.providers.tpm2.wire.key_file_asn1 import TssKey

__all__ = ["KeyFile", "KeyFiles", "Stamp"]

Stamp = tuple[int, int, int]
"""By which a file is known to be the one that was read: inode, modification time in ns, size."""

VERSION = 1
SUFFIX = ".pem"
SUFFIX_BESIDE = ".crt"
"""Of the file of a key's certificates."""
DRAFT = ".draft-"
LARGEST_FILE = 65536
PATIENCE_SECONDS = 10.0
POLL_SECONDS = 0.001
_BEGIN = b"-----BEGIN " + key_file_asn1.PEM_LABEL.encode() + b"-----"
_END = b"\n-----END " + key_file_asn1.PEM_LABEL.encode() + b"-----"
_STATUSES = {
    errno.EACCES: HRESULT.NTE_PERM,
    errno.EPERM: HRESULT.NTE_PERM,
    errno.EROFS: HRESULT.NTE_PERM,
    errno.ENOSPC: HRESULT.NTE_TOKEN_KEYSET_STORAGE_FULL,
    errno.EDQUOT: HRESULT.NTE_TOKEN_KEYSET_STORAGE_FULL,
    errno.EFBIG: HRESULT.NTE_TOKEN_KEYSET_STORAGE_FULL,
    errno.EMFILE: HRESULT.NTE_NO_MEMORY,
    errno.ENFILE: HRESULT.NTE_NO_MEMORY,
    errno.ENOMEM: HRESULT.NTE_NO_MEMORY,
}


@dataclass(frozen=True, slots=True)
class KeyFile:
    """parent_name: of the storage key that the key is under. origin: how the TPM made it, where it did.

    handle: the persistent handle that the key has in the TPM too, 0 for none. left: handles of keys that gave way to
    this one and may still be in the TPM, with the names of those keys.
    """

    name: str
    key: TssKey
    parent_name: bytes
    algorithm: str
    usage: str
    created: int
    exportable: bool = False
    origin: Origin | None = None
    handle: int = 0
    left: tuple[tuple[int, bytes], ...] = ()


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def _octets(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def build(file: KeyFile) -> bytes:
    record: dict[str, Any] = {
        "version": VERSION,
        "name": file.name,
        "algorithm": file.algorithm,
        "usage": file.usage,
        "exportable": file.exportable,
        "policy": None,
        "parent": file.parent_name.hex(),
        "created": file.created,
        "handle": file.handle or None,
        "left": [{"handle": handle, "key": name.hex()} for handle, name in file.left],
        "creation": None
        if file.origin is None
        else {"data": _text(file.origin.data), "hash": _text(file.origin.digest), "ticket": _text(file.origin.ticket)},
    }
    return json.dumps(record, indent=2).encode() + b"\n" + key_file_asn1.build(file.key)


def parse(content: bytes) -> KeyFile:
    """Raises ValueError, KeyError, TypeError or CngError for what is no such file."""
    start = content.find(b"\n" + _BEGIN)
    record = json.loads(content[: max(start, 0)])
    if record["version"] != VERSION or not is_key_name(record["name"]):
        raise ValueError("a record of another version or without a name")
    if len(content) > LARGEST_FILE or not content.rstrip().endswith(_END):
        raise ValueError("more than a record and a key")
    creation = record["creation"]
    return KeyFile(
        name=record["name"],
        key=key_file_asn1.parse(content[start + 1 :]),
        parent_name=bytes.fromhex(record["parent"]),
        algorithm=str(record["algorithm"]),
        usage=str(record["usage"]),
        created=int(record["created"]),
        exportable=bool(record["exportable"]),
        origin=None
        if creation is None
        else Origin(_octets(creation["data"]), _octets(creation["hash"]), _octets(creation["ticket"])),
        handle=int(record["handle"] or 0),
        left=tuple((int(item["handle"]), bytes.fromhex(item["key"])) for item in record["left"]),
    )


class KeyFiles:
    """directory: made at the first write, for the user alone."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __repr__(self) -> str:
        return f"<KeyFiles {self.directory}>"

    def path(self, name: str) -> Path:
        return self.directory / (hashlib.sha256(name.encode()).hexdigest() + SUFFIX)

    def _failed(self, what: str, path: Path, error: OSError) -> CngError:
        status = _STATUSES.get(error.errno or 0, HRESULT.NTE_FAIL)
        return CngError(status, f"cannot {what} {path}: {error.strerror}")

    # Reading.

    def stamp(self, name: str) -> Stamp | None:
        """None where there is no key of that name."""
        path = self.path(name)
        try:
            status = os.stat(path, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed("look at", path, error) from error
        return status.st_ino, status.st_mtime_ns, status.st_size

    def read(self, name: str) -> tuple[KeyFile, Stamp] | None:
        """None where there is no key of that name. Raises NTE_KEYSET_ENTRY_BAD for a file that is damaged or foreign,
        NTE_PERM for one that may not be read.
        """
        path = self.path(name)
        try:
            content, stamp = self._content(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed("read", path, error) from error
        try:
            file = parse(content)
            if file.name != name:
                raise ValueError("a file of another key")
        except (ValueError, KeyError, TypeError, RecursionError, CngError):
            raise CngError(
                HRESULT.NTE_KEYSET_ENTRY_BAD,
                f"the file of the key named {name!r}, {path}, is damaged or was put there by other software; "
                "it was left as it is",
            ) from None
        return file, stamp

    @staticmethod
    def _content(path: Path) -> tuple[bytes, Stamp]:
        # What is no regular file must neither be followed nor waited for.
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):
                return b"", (0, 0, 0)
            raise
        try:
            status = os.fstat(descriptor)
            content = os.read(descriptor, LARGEST_FILE + 1) if stat.S_ISREG(status.st_mode) else b""
        finally:
            os.close(descriptor)
        return content, (status.st_ino, status.st_mtime_ns, status.st_size)

    def read_all(self) -> Iterator[KeyFile]:
        """Every key whose file is sound."""
        try:
            entries = sorted(os.listdir(self.directory))
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._failed("list", self.directory, error) from error
        for entry in entries:
            if entry.startswith(".") or not entry.endswith(SUFFIX):
                continue
            try:
                file = parse(self._content(self.directory / entry)[0])
            except (OSError, ValueError, KeyError, TypeError, RecursionError, CngError):
                continue
            if self.path(file.name).name == entry:
                yield file

    # Writing.

    @contextmanager
    def writing(self) -> Iterator[None]:
        """The folder's lock, against other processes too. One that is stopped meanwhile does not hold others for ever.

        Raises NTE_PERM and the like.
        """
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise self._failed("use", self.directory, error) from error
        try:
            if self._locked(descriptor):
                self._remove_drafts()
            yield
            # A name that was added or removed is kept over a loss of power only with its folder.
            with contextlib.suppress(OSError):
                os.fsync(descriptor)
        finally:
            with contextlib.suppress(OSError):
                # A child that was forked meanwhile has the descriptor too, and would keep the lock.
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    @staticmethod
    def _locked(descriptor: int) -> bool:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EINTR):
                    return False
                time.sleep(POLL_SECONDS)
        return False

    def _remove_drafts(self) -> None:
        with contextlib.suppress(OSError):
            for entry in os.listdir(self.directory):
                if entry.startswith(DRAFT):
                    os.unlink(self.directory / entry)

    def write(self, file: KeyFile, *, replace: bool) -> None:
        """Raises NTE_EXISTS where the name is taken and is not to be replaced. The caller is inside `writing`."""
        try:
            self._put(self.path(file.name), build(file), replace)
        except FileExistsError:
            raise CngError(HRESULT.NTE_EXISTS, f"{self.directory} has a key named {file.name!r} already") from None

    def _put(self, path: Path, content: bytes, replace: bool) -> None:
        """The file whole or not at all. Raises FileExistsError."""
        try:
            descriptor, draft = tempfile.mkstemp(dir=self.directory, prefix=DRAFT)
            try:
                with open(descriptor, "wb") as output:
                    output.write(content)
                    output.flush()
                    os.fsync(output.fileno())
                if replace:
                    os.replace(draft, path)
                else:
                    os.link(draft, path)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(draft)
        except FileExistsError:
            raise
        except OSError as error:
            raise self._failed("write", path, error) from error

    def remove(self, name: str) -> bool:
        """Whether there was a file, sound or not. The caller is inside `writing`."""
        removed = self._remove(self.path(name))
        self.remove_beside(name)
        return removed

    def _remove(self, path: Path) -> bool:
        try:
            os.unlink(path)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._failed("remove", path, error) from error
        return True

    # What lies beside a key.

    def path_beside(self, name: str) -> Path:
        return self.path(name).with_suffix(SUFFIX_BESIDE)

    def read_beside(self, name: str) -> bytes | None:
        """None where there is nothing. Raises NTE_PERM and the like."""
        path = self.path_beside(name)
        try:
            return self._content(path)[0]
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed("read", path, error) from error

    def write_beside(self, name: str, content: bytes) -> None:
        """The caller is inside `writing`."""
        if len(content) > LARGEST_FILE:
            raise CngError(
                HRESULT.NTE_TOKEN_KEYSET_STORAGE_FULL, f"a file beside a key has {LARGEST_FILE} bytes at most"
            )
        self._put(self.path_beside(name), content, replace=True)

    def remove_beside(self, name: str) -> None:
        """The caller is inside `writing`."""
        self._remove(self.path_beside(name))
