"""What happens to tokens and keys, told by the standard library's `logging` below "hwcng", which is silent by default.

Each event has its logger, level and words in one table. A record has its fields as attributes too, hwcng_event and
hwcng_ before each name (`extra` of `logging`). No field is a PIN, an authorization value or an octet of a key. Nothing
is told, and `logging` is not even imported, where the program has not imported it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from hwcng.errors import CngError

__all__ = ["EVENTS", "ROOT", "Event", "note"]

ROOT = "hwcng"
_DEBUG, _INFO, _WARNING = 10, 20, 30


class Event(NamedTuple):
    """logger: below ROOT. level: as `logging` numbers it. words: the message, with the fields by name."""

    logger: str
    level: int
    words: str


EVENTS = {
    "module.loaded": Event("module", _INFO, "module %(path)s is loaded: it speaks PKCS#11 %(version)s"),
    "module.revived": Event("module", _WARNING, "module %(path)s is initialised again: %(reason)s"),
    "quirks.applied": Event("module", _DEBUG, "token %(token)r does differently from the standard: %(quirks)s"),
    "token.opened": Event("token", _INFO, "token %(token)r is open: %(model)s, serial %(serial)s"),
    "token.closed": Event("token", _DEBUG, "token %(token)r is closed"),
    "login.accepted": Event("login", _INFO, "logged in to token %(token)r"),
    "login.refused": Event("login", _WARNING, "no login to token %(token)r: %(reason)s"),
    "connection.lost": Event("connection", _WARNING, "the connection with token %(token)r is lost: %(reason)s"),
    "connection.recovered": Event("connection", _WARNING, "the connection with token %(token)r is there again"),
    "storage_root.made": Event("token", _INFO, "the TPM has a new storage root key at %(handle)s"),
    "key.created": Event("key", _INFO, "key %(key)r is stored in token %(token)r"),
    "key.opened": Event("key", _DEBUG, "key %(key)r of token %(token)r is opened"),
    "key.deleted": Event("key", _INFO, "key %(key)r of token %(token)r is deleted"),
    "object.left": Event("key", _WARNING, "what lay beside key %(key)r stays in token %(token)r: %(reason)s"),
    "certificates.stored": Event("key", _INFO, "certificates of key %(key)r of token %(token)r are stored"),
    "call.slow": Event("trace", _WARNING, "%(call)s took %(milliseconds).1f ms: %(answer)s"),
    "call.done": Event("trace", _DEBUG, "%(call)s took %(milliseconds).3f ms: %(answer)s"),
}
"""By name; docs/monitoring.md has the table."""

_silenced: set[str] = set()


def note(event: str, error: CngError | None = None, **fields: object) -> None:
    """Tells the event where a program listens. error: adds its status, what the token answered, and `reason`."""
    logging: Any = sys.modules.get("logging")
    if logging is None or not hasattr(logging, "getLogger"):
        return
    row = EVENTS[event]
    logger = logging.getLogger(f"{ROOT}.{row.logger}")
    if not _silenced:
        # The documented way of libraries: whoever wants records adds a handler.
        logging.getLogger(ROOT).addHandler(logging.NullHandler())
        _silenced.add(ROOT)
    if not logger.isEnabledFor(row.level):
        return
    if error is not None:
        fields.update(reason=error.message, status=getattr(error.status, "name", str(error.status)))
        if error.token_code is not None:
            fields.update(token_code=error.token_code.name, token_code_number=int(error.token_code))
    extra = {f"hwcng_{name}": value for name, value in fields.items()}
    logger.log(row.level, row.words, fields, extra={"hwcng_event": event, **extra}, stacklevel=2)
