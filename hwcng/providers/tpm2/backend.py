"""TPMs as they are found before one is open: by tpm2: URIs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hwcng.contract.backend import Backend
from hwcng.contract.pins import Pin
from hwcng.contract.places import Absence, FoundToken, Place
from hwcng.contract.provider import Provider
from hwcng.contract.verifying import Verifier
from hwcng.errors import invalid_parameter
from hwcng.loading import load
from hwcng.providers.pin_sources import pin_file
from hwcng.providers.timeouts import with_timeout
from hwcng.providers.tpm2.uri import Tpm2Uri, parse

__all__ = ["BACKEND"]


class _Tpm2(Backend[Tpm2Uri]):
    scheme = Tpm2Uri.scheme
    description = "a TPM 2.0"
    modules = ("hwcng.providers.tpm2.provider",)
    packages = ("asn1crypto", "tpm2_pytss")
    requirement = "hwcng[tpm2]"

    def parse(self, rest: str) -> Tpm2Uri:
        return parse(rest)

    def open(self, uri: Tpm2Uri, *, pin: Pin | None, allow_raw_secret: bool) -> Provider:
        from hwcng.providers.tpm2.provider import open_uri

        return open_uri(uri, pin=pin, allow_raw_secret=allow_raw_secret)

    def split(self, uri: Tpm2Uri) -> tuple[Tpm2Uri, str]:
        if not (name := uri.key_name):
            raise invalid_parameter("the URI names no key: it has no attribute object")
        return replace(uri, object=None, handle=None), name

    def pin_is_the_keys(self, uri: Tpm2Uri) -> bool:
        return True

    def settings(self, uri: Tpm2Uri) -> Sequence[str]:
        return ("timeout",)

    def with_setting(self, uri: Tpm2Uri, name: str, value: str) -> Tpm2Uri:
        return with_timeout(uri, value)

    def require_sources(self, uri: Tpm2Uri) -> None:
        for source in (uri.owner_auth_source, uri.root_auth_source, uri.endorsement_auth_source):
            if source is not None:
                pin_file(source)

    def places(self, known: Sequence[Tpm2Uri], named: Sequence[str]) -> Sequence[Place]:
        load("hwcng.providers.tpm2.survey")
        from hwcng.providers.tpm2.survey import candidates

        return candidates(known)

    def absence(self) -> Absence:
        load("hwcng.providers.tpm2.survey")
        from hwcng.providers.tpm2.survey import ABSENCE

        return ABSENCE

    def look(self, where: str) -> tuple[str, list[FoundToken]]:
        load("hwcng.providers.tpm2.survey")
        from hwcng.providers.tpm2.survey import look

        return look(where)

    def verifier(self, record: object) -> Verifier:
        load("hwcng.providers.tpm2.verifier")
        from hwcng.providers.tpm2.verifier import Tpm2Verifier

        return Tpm2Verifier()


BACKEND = _Tpm2()
