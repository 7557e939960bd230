"""What we remember about a TPM between runs: the name of its storage root key and our attestation key.

One directory per TPM. The name is pinned at the first meeting (TPM 2.0 Library, Part 1, section 16): salts and imported
keys are encrypted to that key, so nobody may put another one in its place. Files are public or protected by the TPM.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from hwcng.errors import NTSTATUS, CngError
from hwcng.providers.tpm2.line.tcti import canonical

__all__ = ["Store", "default_directory"]

_ROOT_FILE = "storage-root-key.json"
_ATTESTATION_FILE = "attestation-key.pem"


def default_directory(tcti: str | None) -> Path:
    """Where the store of this TPM is when the URI names none: the same for every spelling of its TCTI.

    Stores were named by the spelling once. Such a one stays where it is, because URIs of its keys name it, and becomes
    the one of all spellings that have none.
    """
    home = os.environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")
    base = Path(home) / "hwcng" / "tpm2"
    here, once = base / _name(canonical(tcti)), base / _name(tcti or "")
    if here == once or not once.is_dir():
        return here
    if not here.exists():
        with suppress(OSError):
            here.symlink_to(once.name, target_is_directory=True)
    return once


def _name(tcti: str) -> str:
    return hashlib.sha256(tcti.encode()).hexdigest()[:32]


class Store:
    """directory: made at the first write, for the user alone."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __repr__(self) -> str:
        return f"<Store {self.directory}>"

    def _read(self, name: str) -> bytes | None:
        try:
            return (self.directory / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed("read", name, error) from error

    def _write(self, name: str, content: bytes) -> None:
        """Whole or not at all, and never over what another process wrote meanwhile."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, draft = tempfile.mkstemp(dir=self.directory, prefix=name)
            try:
                with open(descriptor, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                os.link(draft, self.directory / name)
            except FileExistsError:
                pass
            finally:
                os.unlink(draft)
        except OSError as error:
            raise self._failed("write", name, error) from error

    def _failed(self, what: str, name: str, error: OSError) -> CngError:
        status = NTSTATUS.STATUS_ACCESS_DENIED if isinstance(error, PermissionError) else NTSTATUS.STATUS_UNSUCCESSFUL
        path = self.directory / name
        return CngError(status, f"cannot {what} {path}: {error.strerror}; name a directory with ?store=")

    def pinned_name(self) -> bytes | None:
        """The storage root key's name, None before the first meeting. Raises CngError for a damaged file."""
        content = self._read(_ROOT_FILE)
        if content is None:
            return None
        try:
            return bytes.fromhex(json.loads(content)["name"])
        except (ValueError, KeyError, TypeError):
            raise CngError(
                NTSTATUS.STATUS_DATA_ERROR,
                f"{self.directory / _ROOT_FILE} is damaged; remove it to trust this TPM anew",
            ) from None

    def pin(self, handle: int, name: bytes) -> None:
        """Remembers the name, or compares it with the one that is remembered.

        Raises CngError (STATUS_INVALID_DEVICE_STATE) where it is another.
        """
        pinned = self.pinned_name()
        if pinned is None:
            content = {"handle": f"{handle:#x}", "name": name.hex()}
            self._write(_ROOT_FILE, json.dumps(content, indent=2).encode() + b"\n")
            pinned = self.pinned_name()
        if pinned != name:
            raise CngError(
                NTSTATUS.STATUS_INVALID_DEVICE_STATE,
                f"the storage root key at {handle:#x} is not the one that {self.directory / _ROOT_FILE} remembers: "
                "this is another TPM, it was cleared, or somebody stands in between. Keys made before cannot be "
                "loaded. Remove that file to trust this TPM, or give each TPM a store of its own with ?store=",
            )

    @property
    def root_file(self) -> Path:
        """What remembers the storage root key's name."""
        return self.directory / _ROOT_FILE

    @property
    def attestation_file(self) -> Path:
        return self.directory / _ATTESTATION_FILE

    def drop_attestation_key(self, void: bytes) -> None:
        """Removes a file that this TPM does not load, unless another process has put a new one there."""
        aside = self.directory / f"{_ATTESTATION_FILE}.{os.getpid()}"
        try:
            os.replace(self.attestation_file, aside)
            try:
                if aside.read_bytes() != void:
                    os.link(aside, self.attestation_file)
            finally:
                os.unlink(aside)
        except (FileNotFoundError, FileExistsError):
            return
        except OSError as error:
            raise self._failed("remove", _ATTESTATION_FILE, error) from error

    def attestation_key(self) -> bytes | None:
        """A TSS2 PRIVATE KEY file."""
        return self._read(_ATTESTATION_FILE)

    def keep_attestation_key(self, pem: bytes) -> bytes:
        """Returns the file that counts, which is another process' where that one was first."""
        self._write(_ATTESTATION_FILE, pem)
        return self.attestation_key() or pem
