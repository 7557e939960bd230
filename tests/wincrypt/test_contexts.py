"""CryptAcquireContext and CryptReleaseContext, containers in the token, and CryptGetProvParam."""

from __future__ import annotations

import getpass
import itertools
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from store.killing import in_child, killed_at
from wincrypt.helpers import (
    EXPORTABLE,
    FINAL,
    INVALID_HANDLE,
    INVALID_PARAMETER,
    RSA_BITS,
    TEXT,
    enumerated,
    hashed,
    refused,
)

import hwcng
from hwcng import CngError, ncrypt
from hwcng import wincrypt as w
from hwcng.capi.csps import CSPS, DEFAULT_CSPS
from hwcng.errors import HRESULT, Win32Error

if TYPE_CHECKING:
    from hwcng.capi.contexts import Context
    from hwcng.contract.provider import Provider
    from hwcng.providers.pkcs11.provider import Pkcs11Provider

VERIFY, NEW, DELETE = w.CRYPT_VERIFYCONTEXT, w.CRYPT_NEWKEYSET, w.CRYPT_DELETEKEYSET
Container = Callable[..., "Context"]


@pytest.fixture
def default(provider: Provider) -> Iterator[Provider]:
    """SoftHSM as what pszProvider=None means."""
    hwcng.set_default_provider(provider)
    yield provider
    hwcng.set_default_provider(None)


# Which provider, which token.


@pytest.mark.parametrize(("kind", "name"), DEFAULT_CSPS.items())
def test_the_type_alone(default: Provider, kind: int, name: str) -> None:
    with w.CryptAcquireContext(None, None, kind, VERIFY) as context:
        assert context.provider is default
        assert w.CryptGetProvParam(context, w.PP_NAME) == name
        assert w.CryptGetProvParam(context, w.PP_PROVTYPE) == kind


@pytest.mark.parametrize("name", CSPS)
def test_a_name_of_microsofts_is_on_the_default_providers_token(default: Provider, name: str) -> None:
    with w.CryptAcquireContext(None, name, CSPS[name].kind, VERIFY) as context:
        assert context.provider is default and context.csp is CSPS[name]


@pytest.mark.parametrize("name", [None, "", ("", ""), (w.MS_STRONG_PROV, "")])
def test_an_empty_name_is_none(default: Provider, name: Any) -> None:
    with w.CryptAcquireContext(None, name, w.PROV_RSA_FULL, VERIFY) as context:
        assert context.provider is default and context.csp is CSPS[w.MS_STRONG_PROV]


def test_a_configured_name_of_microsofts_has_its_own_token(
    default: Provider, other_token_uri: str, other_token_pin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hwcng.providers import registry

    monkeypatch.setattr(registry, "_names", dict(registry._names))
    registry.configure({w.MS_DEF_PROV: f"{other_token_uri}&pin-value={other_token_pin}"})
    with w.CryptAcquireContext(None, w.MS_DEF_PROV, w.PROV_RSA_FULL, VERIFY) as context:
        assert context.provider is not default and context.csp is CSPS[w.MS_DEF_PROV]
        context.provider.close()
    with w.CryptAcquireContext(None, (w.MS_DEF_PROV, default), w.PROV_RSA_FULL, VERIFY) as context:
        assert context.provider is default


def test_a_token_and_a_name_of_microsofts(token: Provider) -> None:
    with w.CryptAcquireContext(None, token, w.PROV_RSA_FULL, VERIFY) as context:
        assert context.provider is token and context.csp.name == w.MS_STRONG_PROV
    with w.CryptAcquireContext(None, (w.MS_DEF_PROV, token), w.PROV_RSA_FULL, VERIFY) as context:
        assert context.provider is token and context.csp.name == w.MS_DEF_PROV


@pytest.mark.parametrize(
    ("provider_name", "kind", "status"),
    [
        (None, 0, HRESULT.NTE_BAD_PROV_TYPE),
        (None, -1, HRESULT.NTE_BAD_PROV_TYPE),
        (None, 1000, HRESULT.NTE_BAD_PROV_TYPE),
        (None, "24", HRESULT.NTE_BAD_PROV_TYPE),
        (None, 5, HRESULT.NTE_PROV_TYPE_NOT_DEF),
        (None, 999, HRESULT.NTE_PROV_TYPE_NOT_DEF),
        ("", 999, HRESULT.NTE_PROV_TYPE_NOT_DEF),
        (w.MS_DEF_PROV, 999, HRESULT.NTE_PROV_TYPE_NO_MATCH),
        (w.MS_DEF_DSS_PROV, 5, HRESULT.NTE_PROV_TYPE_NO_MATCH),
        ("", 0, HRESULT.NTE_BAD_PROV_TYPE),
        ((w.MS_DEF_PROV, ""), w.PROV_RSA_AES, HRESULT.NTE_PROV_TYPE_NO_MATCH),
        (w.MS_DEF_PROV, w.PROV_RSA_AES, HRESULT.NTE_PROV_TYPE_NO_MATCH),
        (w.MS_ENH_RSA_AES_PROV, w.PROV_RSA_FULL, HRESULT.NTE_PROV_TYPE_NO_MATCH),
        ("no such provider", w.PROV_RSA_FULL, HRESULT.NTE_KEYSET_NOT_DEF),
        ("pkcs11:=", w.PROV_RSA_FULL, HRESULT.NTE_BAD_PROVIDER),
        (7, w.PROV_RSA_FULL, HRESULT.NTE_BAD_PROVIDER),
        (("no such CSP", "x"), w.PROV_RSA_FULL, HRESULT.NTE_KEYSET_NOT_DEF),
        ((w.MS_DEF_PROV,), w.PROV_RSA_FULL, HRESULT.NTE_BAD_PROVIDER),
        ((w.MS_DEF_PROV, "a", "b"), w.PROV_RSA_FULL, HRESULT.NTE_BAD_PROVIDER),
    ],
)
def test_providers_that_are_none(default: Provider, provider_name: Any, kind: Any, status: HRESULT) -> None:
    with refused(status):
        w.CryptAcquireContext(None, provider_name, kind, VERIFY)


def test_no_default_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HWCNG_PROVIDER", raising=False)
    hwcng.set_default_provider(None)
    with refused(HRESULT.NTE_KEYSET_NOT_DEF):
        w.CryptAcquireContext(None, None, w.PROV_RSA_FULL, VERIFY)


# Flags and names.


@pytest.mark.parametrize(
    ("container", "flags"),
    [
        ("named", VERIFY),
        ("named", w.CRYPT_DEFAULT_CONTAINER_OPTIONAL),
        (None, 0x80000000),
        (None, 0x10000000),
        (None, VERIFY | DELETE),
        (None, VERIFY | NEW | DELETE),
        (None, VERIFY | NEW | w.CRYPT_DEFAULT_CONTAINER_OPTIONAL),
        ("named", VERIFY | NEW),
        ("named", NEW | DELETE),
        ("named", NEW | w.CRYPT_DEFAULT_CONTAINER_OPTIONAL),
        ("named", 1),
        ("named", 0x100),
        ("named", 0x1000000),
    ],
)
def test_flags_that_are_none_or_contradict(token: Provider, container: str | None, flags: int) -> None:
    with refused(HRESULT.NTE_BAD_FLAGS):
        w.CryptAcquireContext(container, token, w.PROV_RSA_AES, flags)


@pytest.mark.parametrize("more", [0, w.CRYPT_SILENT, w.CRYPT_MACHINE_KEYSET])
def test_a_context_without_container_makes_no_key_set(token: Provider, more: int) -> None:
    """CRYPT_NEWKEYSET means nothing beside CRYPT_VERIFYCONTEXT."""
    for name in (None, ""):
        with w.CryptAcquireContext(name, token, w.PROV_RSA_AES, VERIFY | NEW | more) as context:
            assert w.CryptGetProvParam(context, w.PP_CONTAINER) == ""


@pytest.mark.parametrize("name", ["x" * 261, "a\0b", "\ud800", 7, b"bytes"])
def test_names_that_are_none(keeper: Provider, name: Any) -> None:
    for flags in (0, NEW, DELETE):
        with refused(HRESULT.NTE_BAD_KEYSET_PARAM):
            w.CryptAcquireContext(name, keeper, w.PROV_RSA_AES, flags)


@pytest.mark.parametrize(
    "name", ["a", "x" * 260, "with/slashes/../and.dots", "r\u00e9sum\u00e9 \U0001f511", "a:b", " "]
)
def test_names_of_any_kind(container: Container, name: str) -> None:
    made = container(name)
    assert w.CryptGetProvParam(made, w.PP_CONTAINER) == w.CryptGetProvParam(made, w.PP_UNIQUE_CONTAINER) == name
    assert name in enumerated(made, w.PP_ENUMCONTAINERS)
    assert w.CryptGetProvParam(container(name, 0), w.PP_CONTAINER) == name


def test_a_container_comes_and_goes(container: Container, keeper: Provider) -> None:
    for flags in (0, DELETE):
        with refused(HRESULT.NTE_BAD_KEYSET):
            w.CryptAcquireContext("comes", keeper, w.PROV_RSA_AES, flags)
    made = container("comes")
    with refused(HRESULT.NTE_EXISTS):
        container("comes")
    for spec in (w.AT_KEYEXCHANGE, w.AT_SIGNATURE):
        with refused(HRESULT.NTE_NO_KEY):
            w.CryptGetUserKey(made, spec)
    pair = w.CryptGenKey(made, w.AT_SIGNATURE, RSA_BITS << 16)
    signature = w.CryptSignHash(hashed(made, w.CALG_SHA1), w.AT_SIGNATURE)
    gone = w.CryptAcquireContext("comes", keeper, w.PROV_RSA_AES, DELETE)
    assert not gone.alive
    with refused(HRESULT.NTE_BAD_KEYSET):
        container("comes", 0)
    assert not [record.name for record in keeper.list_keys() if record.name.endswith(":comes")]
    with refused(HRESULT.NTE_NO_KEY):
        w.CryptGetUserKey(made, w.AT_SIGNATURE)
    w.CryptVerifySignature(hashed(made, w.CALG_SHA1), signature, pair)
    anew = container("comes")
    with refused(HRESULT.NTE_NO_KEY):
        w.CryptGetUserKey(anew, w.AT_SIGNATURE)


def test_the_default_container_is_the_users(container: Container, keeper: Provider) -> None:
    user = getpass.getuser()
    with refused(HRESULT.NTE_BAD_KEYSET):
        w.CryptAcquireContext(None, keeper, w.PROV_RSA_AES)
    without = w.CryptAcquireContext(None, keeper, w.PROV_RSA_AES, w.CRYPT_DEFAULT_CONTAINER_OPTIONAL)
    assert w.CryptGetProvParam(without, w.PP_CONTAINER) == ""
    made = container(user)
    for name in (None, ""):
        assert w.CryptGetProvParam(w.CryptAcquireContext(name, keeper, w.PROV_RSA_AES), w.PP_CONTAINER) == user
    optional = w.CryptAcquireContext(None, keeper, w.PROV_RSA_AES, w.CRYPT_DEFAULT_CONTAINER_OPTIONAL)
    assert w.CryptGetProvParam(optional, w.PP_CONTAINER) == user == w.CryptGetProvParam(made, w.PP_CONTAINER)


def test_users_and_machines_and_families_are_apart(container: Container, keeper: Provider) -> None:
    mine = container("apart")
    machine = container("apart", NEW | w.CRYPT_MACHINE_KEYSET)
    dss = container("apart", NEW, w.MS_ENH_DSS_DH_PROV)
    w.CryptGenKey(mine, w.AT_SIGNATURE, RSA_BITS << 16)
    for other in (machine, dss):
        with refused(HRESULT.NTE_NO_KEY):
            w.CryptGetUserKey(other, w.AT_SIGNATURE)
    assert w.CryptGetProvParam(machine, w.PP_KEYSET_TYPE) == w.CRYPT_MACHINE_KEYSET
    assert w.CryptGetProvParam(mine, w.PP_KEYSET_TYPE) == 0
    # Microsoft's RSA providers share their containers.
    base = w.CryptAcquireContext("apart", (w.MS_DEF_PROV, keeper), w.PROV_RSA_FULL)
    assert w.CryptGetUserKey(base, w.AT_SIGNATURE).alive
    w.CryptAcquireContext("apart", keeper, w.PROV_RSA_AES, DELETE)
    assert container("apart", w.CRYPT_MACHINE_KEYSET).alive


def test_a_container_keeps_its_pairs(container: Container, keeper: Provider) -> None:
    made = container("keeps")
    pair = w.CryptGenKey(made, w.AT_KEYEXCHANGE, RSA_BITS << 16 | EXPORTABLE)
    blob, ciphertext = w.CryptExportKey(pair, None, w.PUBLICKEYBLOB), w.CryptEncrypt(pair, None, FINAL, 0, TEXT)
    w.CryptReleaseContext(made)
    with w.CryptAcquireContext("keeps", keeper, w.PROV_RSA_AES) as again:
        opened = w.CryptGetUserKey(again, w.AT_KEYEXCHANGE)
        assert w.CryptExportKey(opened, None, w.PUBLICKEYBLOB) == blob
        assert w.CryptDecrypt(opened, None, FINAL, 0, ciphertext) == TEXT
        permissions = w.CryptGetKeyParam(opened, w.KP_PERMISSIONS)
        assert isinstance(permissions, int) and (permissions == 0x3F or keeper.uri.startswith("tpm2:"))
        w.CryptDestroyKey(opened)
        assert w.CryptGetUserKey(again, w.AT_KEYEXCHANGE).alive


def test_a_token_that_keeps_nothing(nss_provider: Provider) -> None:
    with refused(HRESULT.NTE_NOT_SUPPORTED):
        w.CryptAcquireContext("kept", nss_provider, w.PROV_RSA_AES, NEW)
    with refused(HRESULT.NTE_BAD_KEYSET):
        w.CryptAcquireContext("kept", nss_provider, w.PROV_RSA_AES)


def test_what_is_left_of_a_container_that_was_deleted_meanwhile_is_cleaned(
    container: Container, keeper: Provider
) -> None:
    """A process with an open context can store a pair after another one deleted the container."""
    late = container("late")
    w.CryptAcquireContext("late", keeper, w.PROV_RSA_AES, DELETE)
    w.CryptGenKey(late, w.AT_SIGNATURE, RSA_BITS << 16)
    with refused(HRESULT.NTE_BAD_KEYSET):
        container("late", 0)
    with refused(HRESULT.NTE_NO_KEY):
        w.CryptGetUserKey(container("late"), w.AT_SIGNATURE)


# Release.


def test_release_with_flags_reports_and_releases(token: Provider) -> None:
    context = w.CryptAcquireContext(None, token, w.PROV_RSA_AES, VERIFY)
    with refused(HRESULT.NTE_BAD_FLAGS):
        w.CryptReleaseContext(context, 1)
    assert not context.alive
    for call in (w.CryptReleaseContext, w.CryptContextAddRef):
        with refused(HRESULT.NTE_BAD_UID):
            call(context)


def test_references(token: Provider) -> None:
    context = w.CryptAcquireContext(None, token, w.PROV_RSA_AES, VERIFY)
    w.CryptContextAddRef(context)
    w.CryptReleaseContext(context)
    key = w.CryptGenKey(context, w.CALG_AES_128, 0)
    w.CryptReleaseContext(context)
    with refused(INVALID_HANDLE):
        w.CryptDestroyKey(key)
    with w.CryptAcquireContext(None, token, w.PROV_RSA_AES, VERIFY) as other:
        with refused(INVALID_PARAMETER):
            w.CryptContextAddRef(other, 1)  # type: ignore[arg-type]
        with refused(HRESULT.NTE_BAD_FLAGS):
            w.CryptContextAddRef(other, None, 1)


def test_the_context_is_a_context_manager_and_tells_no_secret(token: Provider) -> None:
    with w.CryptAcquireContext(None, token, w.PROV_RSA_AES, VERIFY) as context:
        key, digest = w.CryptGenKey(context, w.CALG_AES_128, 0), w.CryptCreateHash(context, w.CALG_SHA1)
        for handle in (context, key, digest):
            assert repr(handle).startswith("<") and "pin" not in repr(handle).lower()
    assert not (context.alive or key.alive or digest.alive)


def test_random_bytes(token: Provider) -> None:
    with w.CryptAcquireContext(None, token, w.PROV_RSA_AES, VERIFY) as context:
        one, other = w.CryptGenRandom(context, 32), w.CryptGenRandom(context, 32, b"a seed")
        assert len(one) == len(other) == 32 and one != other and w.CryptGenRandom(context, 0) == b""
        for length in (-1, "8", 1 << 32):
            with refused(INVALID_PARAMETER):
                w.CryptGenRandom(context, length)  # type: ignore[arg-type]


# Parameters.


@pytest.mark.parametrize("name", CSPS)
def test_parameters_of_contexts(token: Provider, name: str) -> None:
    csp = CSPS[name]
    with w.CryptAcquireContext(None, (name, token), csp.kind, VERIFY) as context:
        assert w.CryptGetProvParam(context, w.PP_VERSION) == 0x200
        built = ncrypt.NCryptGetProperty(ncrypt.NCryptOpenStorageProvider(token), "Impl Type")
        assert w.CryptGetProvParam(context, w.PP_IMPTYPE) == built & ~ncrypt.NCRYPT_IMPL_HARDWARE_RNG_FLAG
        assert w.CryptGetProvParam(context, w.PP_KEYSTORAGE) == w.CRYPT_SEC_DESCR
        for flags in (1, 5):
            with refused(HRESULT.NTE_NOT_SUPPORTED):
                w.CryptGetProvParam(context, w.PP_KEYSET_SEC_DESCR, flags)
        specs = w.CryptGetProvParam(context, w.PP_KEYSPEC)
        assert specs == (w.AT_SIGNATURE | (w.AT_KEYEXCHANGE if csp.exchange else 0))
        step = 8 if csp.family == "rsa" else 64
        assert w.CryptGetProvParam(context, w.PP_SIG_KEYSIZE_INC) == step
        if csp.exchange is not None:
            assert w.CryptGetProvParam(context, w.PP_KEYX_KEYSIZE_INC) == step
        else:
            with refused(HRESULT.NTE_BAD_TYPE):
                w.CryptGetProvParam(context, w.PP_KEYX_KEYSIZE_INC)
        plain = enumerated(context, w.PP_ENUMALGS)
        extended = enumerated(context, w.PP_ENUMALGS_EX)
        assert [(row.aiAlgid, row.dwBitLen, row.szName) for row in plain] == [
            (row.aiAlgid, row.dwDefaultLen, row.szName) for row in extended
        ]


def test_enumerations_go_on_and_begin_again(token: Provider) -> None:
    with w.CryptAcquireContext(None, token, w.PROV_RSA_AES, VERIFY) as context:
        first = w.CryptGetProvParam(context, w.PP_ENUMALGS)
        second = w.CryptGetProvParam(context, w.PP_ENUMALGS, w.CRYPT_NEXT)
        assert w.CryptGetProvParam(context, w.PP_ENUMALGS_EX).aiAlgid == first.aiAlgid != second.aiAlgid
        assert w.CryptGetProvParam(context, w.PP_ENUMALGS, w.CRYPT_FIRST) == first
        enumerated(context, w.PP_ENUMALGS)
        for _ in range(2):
            with refused(Win32Error.ERROR_NO_MORE_ITEMS):
                w.CryptGetProvParam(context, w.PP_ENUMALGS, w.CRYPT_NEXT)
        with refused(HRESULT.NTE_BAD_FLAGS):
            w.CryptGetProvParam(context, w.PP_ENUMALGS, 4)
        with refused(HRESULT.NTE_BAD_FLAGS):
            w.CryptGetProvParam(context, w.PP_NAME, 1)
        for unknown in (0, 99, w.PP_SYM_KEYSIZE, "PP_NAME"):
            with refused(HRESULT.NTE_BAD_TYPE):
                w.CryptGetProvParam(context, unknown)  # type: ignore[arg-type]


def test_containers_are_enumerated_without_one(container: Container, keeper: Provider) -> None:
    names = ["enum b", "enum a", "enum c"]
    for name in names:
        container(name)
    with w.CryptAcquireContext(None, keeper, w.PROV_RSA_AES, VERIFY) as context:
        assert [name for name in enumerated(context, w.PP_ENUMCONTAINERS) if name.startswith("enum")] == sorted(names)


# Other processes.


def test_another_process_signs_with_the_containers_pair(provider: Provider) -> None:
    with w.CryptAcquireContext("shared", provider, w.PROV_RSA_AES, NEW) as context:
        pair = w.CryptGenKey(context, w.AT_SIGNATURE, 512 << 16)
        readable, writable = os.pipe()

        def sign() -> None:
            again = w.CryptAcquireContext("shared", provider, w.PROV_RSA_AES)
            os.write(writable, w.CryptSignHash(hashed(again, w.CALG_SHA1), w.AT_SIGNATURE))

        in_child(sign)
        w.CryptVerifySignature(hashed(context, w.CALG_SHA1), os.read(readable, 64), pair)
        os.close(readable)
        os.close(writable)
    w.CryptAcquireContext("shared", provider, w.PROV_RSA_AES, DELETE)


def test_a_pair_that_another_process_replaces(container: Container, keeper: Provider) -> None:
    """Its handle is the old pair's as long as the token has that, and never the new one's."""
    context = container("replaced")
    old = w.CryptGenKey(context, w.AT_KEYEXCHANGE, RSA_BITS << 16)
    old_public = w.CryptExportKey(old, None, w.PUBLICKEYBLOB)
    ciphertext = w.CryptEncrypt(old, None, FINAL, 0, TEXT[:16])

    def replace() -> None:
        again = w.CryptAcquireContext("replaced", keeper, w.PROV_RSA_AES)
        w.CryptGenKey(again, w.AT_KEYEXCHANGE, RSA_BITS << 16)

    in_child(replace)
    if keeper.uri.startswith("tpm2:"):
        assert w.CryptDecrypt(old, None, FINAL, 0, ciphertext) == TEXT[:16]
    else:
        # The first answer is what the token says of a handle that it has forgotten.
        for status in (Win32Error.ERROR_INVALID_HANDLE, HRESULT.NTE_BAD_KEYSET):
            with refused(status):
                w.CryptDecrypt(old, None, FINAL, 0, ciphertext)
    assert w.CryptExportKey(old, None, w.PUBLICKEYBLOB) == old_public
    with w.CryptAcquireContext("replaced", keeper, w.PROV_RSA_AES) as later:
        new = w.CryptGetUserKey(later, w.AT_KEYEXCHANGE)
        assert w.CryptExportKey(new, None, w.PUBLICKEYBLOB) != old_public
        assert w.CryptDecrypt(new, None, FINAL, 0, w.CryptEncrypt(new, None, FINAL, 0, TEXT[:16])) == TEXT[:16]


def acquired(provider: Provider, flags: int = 0) -> Context:
    return w.CryptAcquireContext("killed", provider, w.PROV_RSA_AES, flags)


def generate(provider: Provider) -> None:
    w.CryptGenKey(acquired(provider), w.AT_SIGNATURE, 512 << 16)


def gone(provider: Provider) -> None:
    try:
        acquired(provider, DELETE)
    except CngError as error:
        if error.status is not HRESULT.NTE_BAD_KEYSET:
            raise


def whole(provider: Provider) -> None:
    gone(provider)
    acquired(provider, NEW)
    generate(provider)


STEPS: dict[str, tuple[Callable[[Provider], object], Callable[[Provider], object]]] = {
    "create": (gone, lambda provider: acquired(provider, NEW)),
    "generate": (whole, generate),
    "delete": (whole, lambda provider: acquired(provider, DELETE)),
}
"""What -> how it is prepared, and what is killed."""


@pytest.mark.parametrize("what", STEPS)
def test_a_process_that_is_killed_leaves_a_whole_container(provider: Pkcs11Provider, what: str) -> None:
    """kill -9 before each C_ call: the container is there or it is not, has a good pair or none, and goes on."""
    prepare, work = STEPS[what]

    def look() -> None:
        try:
            context = acquired(provider)
        except CngError as error:
            if error.status is not HRESULT.NTE_BAD_KEYSET or what == "generate":
                raise
            context = acquired(provider, NEW)
        if what == "generate":
            assert w.CryptSignHash(hashed(context, w.CALG_SHA1), w.AT_SIGNATURE)
        elif what == "create":
            with refused(HRESULT.NTE_NO_KEY):
                w.CryptGetUserKey(context, w.AT_SIGNATURE)
        generate(provider)
        assert w.CryptSignHash(hashed(context, w.CALG_SHA1), w.AT_SIGNATURE)
        acquired(provider, DELETE)
        assert not [record.name for record in provider.list_keys() if record.name.endswith(":killed")]

    for step in itertools.count():
        killed = killed_at(provider, step, lambda: prepare(provider), lambda _: work(provider))
        in_child(look)
        if not killed:
            break
    assert step > 4


def test_a_context_in_a_forked_child(provider: Provider) -> None:
    """The container's pairs come back there by themselves; what was this process' alone does not."""
    with w.CryptAcquireContext("forked", provider, w.PROV_RSA_AES, NEW) as context:
        w.CryptGenKey(context, w.AT_SIGNATURE, 512 << 16)
        session = w.CryptGenKey(context, w.CALG_AES_128, 0)

        def use() -> None:
            assert w.CryptSignHash(hashed(context, w.CALG_SHA1), w.AT_SIGNATURE)
            with refused(INVALID_HANDLE):
                w.CryptEncrypt(session, None, FINAL, 0, TEXT)

        in_child(use)
        assert w.CryptEncrypt(session, None, FINAL, 0, TEXT)
    w.CryptAcquireContext("forked", provider, w.PROV_RSA_AES, DELETE)
