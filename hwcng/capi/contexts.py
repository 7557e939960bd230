"""What CryptAcquireContext opens: one of Microsoft's providers over a token, and a container of its pairs."""

from __future__ import annotations

import getpass
from typing import NamedTuple, TypeAlias
from weakref import WeakSet

from hwcng.arguments import number, string
from hwcng.capi.algids import AlgId, Kind
from hwcng.capi.containers import Container, MemoryContainer, TokenContainer
from hwcng.capi.csps import CSPS, DEFAULT_CSPS, Csp
from hwcng.capi.errors import failing_as, failure
from hwcng.capi.provider_defaults import default_csp
from hwcng.cng.algorithm_handle import AlgorithmHandle
from hwcng.cng.algorithm_table import ALGORITHMS
from hwcng.cng.handles import Handle
from hwcng.cng.stored_algorithm import handle_of_spec
from hwcng.contract.implementations import Implementations
from hwcng.contract.provider import Provider
from hwcng.contract.specs import PairSpec, SecretSpec
from hwcng.contract.usage import SecretFamily, Support
from hwcng.errors import HRESULT, NTSTATUS, CngError, told
from hwcng.headers import wincrypt_h

__all__ = ["Asked", "Context", "ProviderName", "acquire"]

Implementation: TypeAlias = str | Provider
ProviderName: TypeAlias = Implementation | tuple[str, Implementation] | None
"""pszProvider: see `hwcng.wincrypt.CryptAcquireContext`."""

_KNOWN_FLAGS = (
    wincrypt_h.CRYPT_VERIFYCONTEXT
    | wincrypt_h.CRYPT_NEWKEYSET
    | wincrypt_h.CRYPT_DELETEKEYSET
    | wincrypt_h.CRYPT_MACHINE_KEYSET
    | wincrypt_h.CRYPT_SILENT
    | wincrypt_h.CRYPT_DEFAULT_CONTAINER_OPTIONAL
)
_LONGEST_TYPE = 999
_BAD_PROVIDER = HRESULT.NTE_BAD_PROVIDER
ANY_HMAC = "HMAC-SHA1"


class Asked(NamedTuple):
    """What an ALG_ID and dwFlags of CryptGenKey were found to ask for. bits: with their parity. handle: CNG's algorithm
    of the row. spec: what the token is asked for, None for a pair of which that is told later.
    """

    row: AlgId
    bits: int
    handle: AlgorithmHandle
    spec: SecretSpec | PairSpec | None


class Context(Handle):
    """A context. Its keys and hashes end with it.

    provider: the token's. kind: PROV_. verifying, silent: whether CRYPT_VERIFYCONTEXT, CRYPT_SILENT was given.
    asked: by ALG_ID and dwFlags. position: what PP_ENUMALGS, PP_ENUMALGS_EX and PP_ENUMCONTAINERS have left to tell.
    """

    called = "a CryptoAPI context"

    def __init__(
        self, provider: Provider, csp: Csp, container: Container, *, silent: bool = False, machine: bool = False
    ) -> None:
        super().__init__()
        self.provider = provider
        self.csp = csp
        self.container = container
        self.silent = silent
        self.machine = machine
        self.verifying = isinstance(container, MemoryContainer)
        self.members: WeakSet[Handle] = WeakSet()
        self.position: dict[int, list[object]] = {}
        self.asked: dict[tuple[int, int], Asked] = {}
        self._references = 1
        self._algorithms: dict[str, AlgorithmHandle] = {}

    def __repr__(self) -> str:
        container = f" {self.container.name!r}" if self.container.name else ""
        return f"<Context {self.csp.name!r}{container}{'' if self.alive else ' released'}>"

    def algorithm(self, name: str) -> AlgorithmHandle:
        """CNG's algorithm on this context's token."""
        handle = self._algorithms.get(name)
        if handle is None:
            handle = self._algorithms[name] = AlgorithmHandle(ALGORITHMS[name], self.provider)
        return handle

    def algorithm_of(self, spec: SecretSpec) -> AlgorithmHandle:
        """CNG's algorithm of a secret key on this context's token."""
        if spec.family is SecretFamily.HMAC:
            return handle_of_spec(self.provider, spec)
        return self.algorithm(spec.family.value)

    def offers(self, row: AlgId) -> bool:
        """Whether the token has what an ALG_ID of this provider needs. Hashes are the host's."""
        if row.kind is Kind.HASH or row.algorithm == "MAC":
            return row.hash_function is None or row.hash_function.available
        name = ALGORITHMS[row.algorithm].offered_as if row.algorithm in ALGORITHMS else ANY_HMAC
        return self.provider.offers(name) is not Support.REFUSED

    def require_offered(self, row: AlgId) -> AlgId:
        """Raises NTE_BAD_ALGID for an algorithm that the token lacks."""
        if not self.offers(row):
            raise failure(HRESULT.NTE_BAD_ALGID, f"token {self.provider.token.label!r} has no {row.name}")
        return row

    def add_reference(self) -> None:
        self._references += 1

    def release(self) -> None:
        """Ends the context with the last reference to it."""
        self._references -= 1
        if not self._references:
            self.destroy()

    def destroy(self) -> None:
        if self.alive:
            super().destroy()
            for member in list(self.members):
                member.destroy()
            self.container.close()


def _type_of(kind: object) -> int:
    plain = number(kind, "dwProvType", largest=_LONGEST_TYPE, refused=HRESULT.NTE_BAD_PROV_TYPE)
    if not plain:
        raise failure(HRESULT.NTE_BAD_PROV_TYPE, "dwProvType is 0")
    return plain


def _implementation(value: Implementation, known: Implementations) -> Provider:
    with failing_as(
        {
            NTSTATUS.STATUS_NOT_FOUND: HRESULT.NTE_KEYSET_NOT_DEF,
            NTSTATUS.STATUS_INVALID_PARAMETER: HRESULT.NTE_BAD_PROVIDER,
        }
    ):
        return known.resolve_implementation(value)


def _provider_and_csp(name: ProviderName, kind: int, known: Implementations) -> tuple[Provider, Csp]:
    csp_name, implementation = name if isinstance(name, tuple) and len(name) == 2 else (None, name)
    if isinstance(implementation, str):
        implementation = string(implementation, "pszProvider", refused=_BAD_PROVIDER)
    if isinstance(implementation, tuple):
        raise failure(
            HRESULT.NTE_BAD_PROVIDER, "pszProvider is a name, a URI, a Provider, or a CSP's name and one of these"
        )
    if not csp_name and isinstance(implementation, str) and implementation in CSPS:
        csp_name, implementation = implementation, implementation if known.is_configured(implementation) else None
    if csp_name is not None:
        csp_name = string(csp_name, "pszProvider", refused=_BAD_PROVIDER)
    csp = _csp(csp_name, kind)
    if implementation is not None and not (isinstance(implementation, str) and not implementation):
        return _implementation(implementation, known), csp
    with failing_as({NTSTATUS.STATUS_NOT_FOUND: HRESULT.NTE_KEYSET_NOT_DEF}):
        return known.default_provider(), csp


def _csp(name: str | None, kind: int) -> Csp:
    """The provider of a name, and of a type where it has none: a name's own type must be the one that is given."""
    if not name and kind not in DEFAULT_CSPS:
        raise failure(HRESULT.NTE_PROV_TYPE_NOT_DEF, f"there is no provider of type {kind}")
    csp = CSPS.get(name or default_csp(kind))
    if csp is None:
        raise failure(HRESULT.NTE_KEYSET_NOT_DEF, f"there is no provider {told(name)}")
    if csp.kind != kind:
        raise failure(HRESULT.NTE_PROV_TYPE_NO_MATCH, f"{csp.name} is of type {csp.kind}, not {kind}")
    return csp


def _check_flags(container: str | None, flags: int) -> None:
    keysets = [bool(flags & flag) for flag in (wincrypt_h.CRYPT_NEWKEYSET, wincrypt_h.CRYPT_DELETEKEYSET)]
    if (
        flags & ~_KNOWN_FLAGS
        or flags & wincrypt_h.CRYPT_VERIFYCONTEXT not in (0, wincrypt_h.CRYPT_VERIFYCONTEXT)
        or all(keysets)
        or (flags & wincrypt_h.CRYPT_VERIFYCONTEXT and flags & wincrypt_h.CRYPT_DELETEKEYSET)
        or (flags & wincrypt_h.CRYPT_DEFAULT_CONTAINER_OPTIONAL and any(keysets))
    ):
        raise failure(HRESULT.NTE_BAD_FLAGS, f"dwFlags {flags:#x} are undefined or contradict each other")
    if container and flags & (wincrypt_h.CRYPT_VERIFYCONTEXT | wincrypt_h.CRYPT_DEFAULT_CONTAINER_OPTIONAL):
        raise failure(HRESULT.NTE_BAD_FLAGS, "a context without a container of its own takes no pszContainer")


def acquire(
    container: str | None, provider_name: ProviderName, kind: object, flags: int, implementations: Implementations
) -> Context:
    """CryptAcquireContext. implementations: what a name of a provider means.

    With CRYPT_DELETEKEYSET the context that is returned is released already.
    """
    known = _type_of(kind)
    if container is not None:
        container = string(container, "pszContainer", refused=HRESULT.NTE_BAD_KEYSET_PARAM)
    _check_flags(container, flags)
    provider, csp = _provider_and_csp(provider_name, known, implementations)
    silent, machine = bool(flags & wincrypt_h.CRYPT_SILENT), bool(flags & wincrypt_h.CRYPT_MACHINE_KEYSET)
    if flags & wincrypt_h.CRYPT_VERIFYCONTEXT:
        return Context(provider, csp, MemoryContainer(), silent=silent, machine=machine)
    with failing_as({HRESULT.NTE_INVALID_PARAMETER: HRESULT.NTE_BAD_KEYSET_PARAM}):
        named = TokenContainer(provider, container or getpass.getuser(), csp.family, machine=machine)
        context = Context(provider, csp, named, silent=silent, machine=machine)
        if flags & wincrypt_h.CRYPT_NEWKEYSET:
            named.create()
        elif flags & wincrypt_h.CRYPT_DELETEKEYSET:
            named.delete()
            context.destroy()
        elif not flags & wincrypt_h.CRYPT_DEFAULT_CONTAINER_OPTIONAL:
            named.require()
        else:
            context = _optional(context, named)
    return context


def _optional(context: Context, named: TokenContainer) -> Context:
    """The default container where it exists, else none."""
    try:
        named.require()
    except CngError as error:
        if error.status is not HRESULT.NTE_BAD_KEYSET:
            raise
        return Context(context.provider, context.csp, MemoryContainer(), silent=context.silent, machine=context.machine)
    return context
