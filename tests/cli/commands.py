"""Every command in one table: right arguments, its JSON, where it writes. What holds for all is tried by it."""

from __future__ import annotations

import base64
import datetime
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from hwcng import pyca
from hwcng.cli.application import application
from hwcng.contract.provider import Provider
from hwcng.contract.specs import SecretSpec
from hwcng.contract.usage import SecretFamily, Usage

TEXT_OR_NONE, BITS_OR_NONE = (str, type(None)), (int, type(None))
LISTED = {
    "name": str,
    "algorithm": TEXT_OR_NONE,
    "kind": str,
    "bits": BITS_OR_NONE,
    "curve": TEXT_OR_NONE,
    "parameter_set": TEXT_OR_NONE,
    "usage": [str],
    "exportable": bool,
    "certificate": bool,
    "created": TEXT_OR_NONE,
    "id": str,
    "address": TEXT_OR_NONE,
    "uri": str,
}
SHOWN = {
    "name": str,
    "algorithm": str,
    "bits": int,
    "curve": TEXT_OR_NONE,
    "parameter_set": TEXT_OR_NONE,
    "usage": [str],
    "exportable": bool,
    "certificates": list,
    "public_key": TEXT_OR_NONE,
    "uri": str,
}
TOKEN = {"label": str, "manufacturer": str, "model": str, "serial": str, "firmware": str, "state": str, "uri": str}
PLACE = {"scheme": str, "kind": str, "where": str, "told": str, "description": str, "problem": str, "tokens": int}
FINDING = {"area": str, "what": str, "state": str, "detail": str, "mend": str}
OPERATION = {"algorithm": str, "operation": TEXT_OR_NONE, "support": str, "reason": str}
CHECK = {"what": str, "outcome": "ok", "seconds": float, "reason": str}
STATEMENT = ("key_public", "signer_public", "statement", "signature")
CREATION = ("creation_data", "creation_statement", "creation_signature")


def differs(data: Any, shape: Any, at: str = "") -> str:
    """Where data has not the shape, "" where it has. shape: a type, several, a list of one, members in their order, or
    the value itself."""
    if isinstance(shape, dict):
        if not isinstance(data, dict) or list(data) != list(shape):
            return f"{at}: {data!r}"
        return next(filter(None, (differs(data[name], shape[name], f"{at}.{name}") for name in shape)), "")
    if isinstance(shape, list):
        if not isinstance(data, list) or not data:
            return f"{at}: {data!r}"
        return next(filter(None, (differs(item, shape[0], f"{at}[]") for item in data)), "")
    kinds = shape if isinstance(shape, tuple) else (shape,)
    right = type(data) in kinds if all(isinstance(kind, type) for kind in kinds) else data == shape
    return "" if right else f"{at}: {data!r}"


@dataclass(frozen=True)
class Row:
    """arguments: `{what}` is made for the test, see `World`. json: with --json. stores: whether it writes to the token.
    statuses: how it may end. beside: what must be there without being named.
    """

    arguments: tuple[str, ...]
    json: Any
    stores: bool = False
    statuses: tuple[int, ...] = (0,)
    beside: tuple[str, ...] = ()

    @property
    def token(self) -> bool:
        """Whether it asks a token."""
        return any(argument in ("{uri}", "{tpm}") for argument in self.arguments)


ROWS: Mapping[tuple[str, ...], Row] = {
    ("attest",): Row(
        ("{tpm}", "{tpm_name}", "--nonce", "00ff"), {"nonce": "00ff", **dict.fromkeys((*STATEMENT, *CREATION), str)}
    ),
    ("capabilities",): Row(
        ("{uri}",),
        {
            "token": {
                **dict.fromkeys(("label", "manufacturer", "model", "serial", "firmware", "library"), str),
                **dict.fromkeys(("hardware", "removable"), bool),
            },
            "key_bits": dict,
            "weak": list,
            "operations": [OPERATION],
        },
    ),
    ("completion",): Row(("bash",), {"shell": "bash", "script": str}),
    ("config", "check"): Row(
        (), {"file": TEXT_OR_NONE, "providers": dict, "default": TEXT_OR_NONE, "log_level": TEXT_OR_NONE}
    ),
    ("csr",): Row(("{uri}", "{name}", "--subject", "CN=a"), {"key": "{name}", "request": str}),
    ("decrypt",): Row(("{uri}", "{rsa}", "{sealed}", "--output", "{out}"), {"key": "{rsa}", "output": "{out}"}),
    ("doctor",): Row((), {"ok": bool, "findings": [FINDING]}, statuses=(0, 4)),
    ("encrypt",): Row(("{uri}", "{rsa}", "{file}", "--output", "{out}"), {"key": "{rsa}", "output": "{out}"}),
    ("keys", "certificate"): Row(
        ("{uri}", "{name}", "--store", "{certificate}"), {"key": "{name}", "certificates": [str]}, stores=True
    ),
    ("keys", "delete"): Row(("{uri}", "{name}", "--yes"), {"deleted": "{name}"}),
    ("keys", "export-public"): Row(("{uri}", "{name}"), {"key": "{name}", "format": "pem", "public_key": str}),
    ("keys", "generate"): Row(("{uri}", "--name", "{new}", "--algorithm", "ECDSA_P256"), SHOWN, stores=True),
    ("keys", "import"): Row(("{uri}", "{pem}", "--name", "{new}"), SHOWN, stores=True),
    ("keys", "list"): Row(("{uri}",), {"complete": True, "keys": [LISTED]}, beside=("{name}",)),
    ("keys", "rename"): Row(("{uri}", "{name}", "{new}"), {"name": "{new}", "uri": str}, stores=True),
    ("keys", "show"): Row(("{uri}", "{name}"), SHOWN),
    ("move",): Row(
        ("{uri}", "{exportable}", "{other_uri}", "--new-name", "{new}"), {"uri": str, "deleted": False}, stores=True
    ),
    ("openssl-conf",): Row(("{uri}",), {"configuration": str, "environment": dict}),
    ("random",): Row(("{uri}", "16"), {"count": 16, "random": str}),
    ("sign",): Row(("{uri}", "{name}", "{file}"), {"key": "{name}", "hash": "SHA256", "signature": str}),
    ("test",): Row(("{uri}", "{name}"), {"token": str, "ok": True, "checks": [CHECK]}),
    ("token", "init"): Row(
        ("{directory}", "--label", "in a folder"),
        {"uri": str, "label": "in a folder", "serial": str, "created": True, "environment": {"SOFTHSM2_CONF": str}},
        stores=True,
    ),
    ("tokens",): Row((), {"tokens": [TOKEN], "places": [PLACE], "configured": dict}),
    ("verify",): Row(
        ("{uri}", "{name}", "{file}", "--signature", "{signature}"), {"valid": True, "key": "{name}", "hash": "SHA256"}
    ),
}


def commands(group: click.Group = application, *path: str) -> dict[tuple[str, ...], click.Command]:
    """What the command line itself has."""
    context = click.Context(group)
    found: dict[tuple[str, ...], click.Command] = {}
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found |= commands(command, *path, name) if isinstance(command, click.Group) else {(*path, name): command}
    return found


COMMANDS = commands()


class World(dict[str, str]):
    """What rows name, made when it is asked for: `{name}` is a key on P-256, `{rsa}` and `{exportable}` are others, all
    of known bytes; `{new}` is a name that is free; files; tokens' URIs."""

    def __init__(self, folder: Path, token: Provider, others: Mapping[str, Callable[[], str]], run: Any) -> None:
        super().__init__()
        self.folder, self._token, self._others, self._run = folder, token, others, run
        self.names: list[str] = []
        self.key_bytes: list[bytes] = []

    def __missing__(self, what: str) -> str:
        make = self._others.get(what) or getattr(self, f"make_{what}")
        self[what] = str(make())
        return self[what]

    def of(self, value: Any) -> Any:
        """With every `{what}` in it filled in."""
        if isinstance(value, dict):
            return {name: self.of(member) for name, member in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self.of(item) for item in value)
        filled = isinstance(value, str) and value.startswith("{")
        return self[value[1:-1]] if filled else value

    def arguments(self, command: tuple[str, ...]) -> list[str]:
        row = ROWS[command]
        self.of(row.beside)
        return list(self.of(row.arguments))

    def make_new(self) -> str:
        self.names.append(f"command {uuid.uuid4().hex[:12]}")
        return self.names[-1]

    def make_name(self) -> str:
        self.pair = ec.generate_private_key(ec.SECP256R1())
        return self._imported(self.pair, self.pair.private_numbers().private_value)

    def make_rsa(self) -> str:
        pair = rsa.generate_private_key(65537, 2048)
        return self._imported(pair, pair.private_numbers().d, pair.private_numbers().p)

    def _imported(self, pair: Any, *numbers: int) -> str:
        self.key_bytes += [number.to_bytes((number.bit_length() + 7) // 8, "big") for number in numbers]
        name = self.make_new()
        pyca.import_private_key(self._token, pair, name).destroy()
        return name

    def make_exportable(self) -> str:
        self.key_bytes.append(octets := uuid.uuid4().bytes + uuid.uuid4().bytes)
        spec = SecretSpec(SecretFamily.AES, 256, Usage.ENCRYPT | Usage.DECRYPT, exportable=True)
        made, name = self._token.import_secret(spec, octets), self.make_new()
        self._token.persist_key(made, name).destroy()
        made.destroy()
        return name

    def _written(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    def make_file(self) -> Path:
        return self._written("file", b"content\xff" * 10000)

    def make_pem(self) -> Path:
        pair = ec.generate_private_key(ec.SECP256R1())
        self.key_bytes.append(pair.private_numbers().private_value.to_bytes(32, "big"))
        form = serialization.PrivateFormat.PKCS8
        pem = pair.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        return self._written("key.pem", pem)

    def make_certificate(self) -> Path:
        assert self["name"]
        name, now = x509.Name.from_rfc4514_string("CN=command"), datetime.datetime.now(datetime.timezone.utc)
        builder = x509.CertificateBuilder(name, name, self.pair.public_key(), 1, now, now + datetime.timedelta(days=1))
        made = builder.sign(self.pair, hashes.SHA256())
        return self._written("certificate.pem", made.public_bytes(serialization.Encoding.PEM))

    def make_signature(self) -> Path:
        assert self["name"]
        signature = self.pair.sign(Path(self["file"]).read_bytes(), ec.ECDSA(hashes.SHA256()))
        return self._written("signature", signature)

    def make_sealed(self) -> Path:
        path = self.folder / "sealed"
        assert self._run("encrypt", self["uri"], self["rsa"], self["file"], "--output", path).status == 0
        return path

    def make_out(self) -> Path:
        return self.folder / "out"

    def make_directory(self) -> Path:
        return self.folder / "directory"


def said_by(secret: bytes) -> set[str]:
    """How a text could say octets."""
    number = str(int.from_bytes(secret, "big"))
    return {secret.hex(), secret.hex().upper(), base64.b64encode(secret).decode(), repr(secret)[2:-1], number}
