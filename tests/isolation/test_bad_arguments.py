"""Whatever an argument is, a function ends in CngError of its own kind of status, if it does not serve it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from isolation.wrong_values import BEHIND_A_TYPE, PARAMETER_LISTS, WRONG

import hwcng
from hwcng import bcrypt, ncrypt, wincrypt
from hwcng.cng.handles import Handle
from hwcng.contract.provider import Provider
from hwcng.errors import HRESULT, NTSTATUS, CngError, Win32Error
from hwcng.providers.registry import configure

FUNCTIONS = [
    function
    for module, prefix in ((bcrypt, "BCrypt"), (ncrypt, "NCrypt"), (wincrypt, "Crypt"))
    for name, function in sorted(vars(module).items())
    if name.startswith(prefix) and inspect.isfunction(function)
]
STATUSES = {
    "hwcng.bcrypt": (NTSTATUS, HRESULT),
    "hwcng.ncrypt": (HRESULT,),
    "hwcng.wincrypt": (HRESULT, Win32Error),
}
LONGEST_MESSAGE = 1000


class Handles:
    """Fresh handles of a token, and the arguments with which a function works."""

    def __init__(self, token: Provider) -> None:
        self.token = token
        self._made: list[Handle] = []

    def keep(self, handle: Any) -> Any:
        self._made.append(handle)
        return handle

    def close(self) -> None:
        for handle in self._made:
            if handle.alive:
                handle.destroy()
        self._made = []

    def algorithm(self, name: str, flags: int = 0) -> Any:
        return self.keep(bcrypt.BCryptOpenAlgorithmProvider(name, self.token, flags))

    def key(self, name: str = "AES") -> Any:
        return self.keep(bcrypt.BCryptGenerateSymmetricKey(self.algorithm(name), None, bytes(range(16))))

    def hkdf_key(self) -> Any:
        key = self.key("HKDF")
        bcrypt.BCryptSetProperty(key, "HkdfHashAlgorithm", "SHA256")
        bcrypt.BCryptSetProperty(key, "HkdfSaltAndFinalize", b"salt")
        return key

    def pair(self, name: str = "ECDSA_P256", bits: int = 256) -> Any:
        pair = self.keep(bcrypt.BCryptGenerateKeyPair(self.algorithm(name), bits))
        bcrypt.BCryptFinalizeKeyPair(pair)
        return pair

    def empty_pair(self) -> Any:
        return self.keep(bcrypt.BCryptGenerateKeyPair(self.algorithm("ECDSA_P256"), 256))

    def hash(self, name: str = "SHA256") -> Any:
        return self.keep(bcrypt.BCryptCreateHash(self.algorithm(name)))

    def secret(self) -> Any:
        pair = self.pair("ECDH_P256")
        return self.keep(bcrypt.BCryptSecretAgreement(pair, pair))

    def storage(self) -> Any:
        return self.keep(ncrypt.NCryptOpenStorageProvider(self.token))

    def context(self) -> Any:
        return self.keep(
            wincrypt.CryptAcquireContext(None, self.token, wincrypt.PROV_RSA_AES, wincrypt.CRYPT_VERIFYCONTEXT)
        )

    def capi_key(self) -> Any:
        return self.keep(wincrypt.CryptGenKey(self.context(), wincrypt.CALG_AES_128, 0))

    def capi_hash(self) -> Any:
        return self.keep(wincrypt.CryptCreateHash(self.context(), wincrypt.CALG_SHA_256))

    def draft(self) -> Any:
        return self.keep(ncrypt.NCryptCreatePersistedKey(self.storage(), "ECDSA_P256", None))


@pytest.fixture
def handles(provider: Provider) -> Iterator[Handles]:
    made = Handles(provider)
    hwcng.set_default_provider(provider)
    yield made
    made.close()
    hwcng.set_default_provider(None)


Make = Callable[[Handles], object]
DATA: Mapping[str, Make] = dict.fromkeys(
    ("pbInput", "pbData", "pbSecret", "pbHashValue", "pbHash", "pbSignature", "pbPassword", "pbSalt", "pbCipherText"),
    lambda _: bytes(32),
)
GOOD: Mapping[str, Mapping[str, Make]] = {
    "hwcng.bcrypt": {
        **DATA,
        "pszAlgId": lambda _: "AES",
        "pszImplementation": lambda handles: handles.token,
        "hAlgorithm": lambda handles: handles.algorithm("AES"),
        "hKey": lambda handles: handles.key(),
        "hObject": lambda handles: handles.key(),
        "hHash": lambda handles: handles.hash(),
        "hSecret": lambda handles: handles.secret(),
        "hSharedSecret": lambda handles: handles.secret(),
        "hPrivKey": lambda handles: handles.pair("ECDH_P256"),
        "hPubKey": lambda handles: handles.pair("ECDH_P256"),
        "pszProperty": lambda _: "ChainingMode",
        "pszBlobType": lambda _: "OpaqueKeyBlob",
        "pwszKDF": lambda _: "HASH",
        "hPrf": lambda handles: handles.algorithm("SHA256", bcrypt.BCRYPT_ALG_HANDLE_HMAC_FLAG),
        "cIterations": lambda _: 1,
        "cbDerivedKey": lambda _: 16,
        "cbBuffer": lambda _: 16,
        "dwLength": lambda _: 256,
    },
    "hwcng.ncrypt": {
        **DATA,
        "hProvider": lambda handles: handles.storage(),
        "pszAlgId": lambda _: "ECDSA_P256",
        "pszKeyName": lambda _: "no key of this name",
        "hKey": lambda handles: handles.pair(),
        "hObject": lambda handles: handles.pair(),
        "hPrivKey": lambda handles: handles.pair("ECDH_P256"),
        "hPubKey": lambda handles: handles.pair("ECDH_P256"),
        "hSharedSecret": lambda handles: handles.secret(),
        "hSubjectKey": lambda handles: handles.pair(),
        "pszProperty": lambda _: "Length",
        "pszBlobType": lambda _: "ECCPUBLICBLOB",
        "pwszKDF": lambda _: "HASH",
        "dwClaimType": lambda _: 3,
    },
    "hwcng.wincrypt": {
        **DATA,
        "pszProvider": lambda handles: handles.token,
        "dwProvType": lambda _: wincrypt.PROV_RSA_AES,
        "hProv": lambda handles: handles.context(),
        "hKey": lambda handles: handles.capi_key(),
        "hHash": lambda handles: handles.capi_hash(),
        "hBaseData": lambda handles: handles.capi_hash(),
        "Algid": lambda _: wincrypt.CALG_AES_128,
        "dwParam": lambda _: wincrypt.KP_KEYLEN,
        "dwFlags": lambda _: 0,
        "Final": lambda _: True,
        "dwLen": lambda _: 16,
        "dwKeySpec": lambda _: wincrypt.AT_SIGNATURE,
        "dwBlobType": lambda _: wincrypt.OPAQUEKEYBLOB,
    },
}
OF_A_FUNCTION: Mapping[str, Mapping[str, Make]] = {
    "BCryptGenerateKeyPair": {"hAlgorithm": lambda handles: handles.algorithm("ECDSA_P256")},
    "BCryptFinalizeKeyPair": {"hKey": lambda handles: handles.empty_pair()},
    "BCryptSetProperty": {"pbInput": lambda _: "ChainingModeECB"},
    "BCryptSignHash": {"hKey": lambda handles: handles.pair()},
    "BCryptVerifySignature": {"hKey": lambda handles: handles.pair()},
    "BCryptKeyDerivation": {"hKey": lambda handles: handles.hkdf_key()},
    "BCryptCreateHash": {"hAlgorithm": lambda handles: handles.algorithm("SHA256"), "pbSecret": lambda _: None},
    "BCryptHash": {"hAlgorithm": lambda handles: handles.algorithm("SHA256"), "pbSecret": lambda _: None},
    "BCryptGenRandom": {"hAlgorithm": lambda handles: handles.algorithm("RNG")},
    "BCryptImportKeyPair": {
        "hAlgorithm": lambda handles: handles.algorithm("ECDSA_P256"),
        "pszBlobType": lambda _: "ECCPUBLICBLOB",
    },
    "BCryptImportKey": {
        "pszBlobType": lambda _: "KeyDataBlob",
        "pbInput": lambda _: b"KDBM\x01\0\0\0\x10\0\0\0" + bytes(16),
    },
    "BCryptDeriveKeyCapi": {"hTargetAlg": lambda _: None},
    "NCryptSetProperty": {
        "hObject": lambda handles: handles.draft(),
        "pszProperty": lambda _: "Export Policy",
        "pbInput": lambda _: 0,
    },
    "NCryptFinalizeKey": {"hKey": lambda handles: handles.draft()},
    "NCryptDeleteKey": {"hKey": lambda handles: handles.draft()},
    "NCryptFreeObject": {"hObject": lambda handles: handles.storage()},
    "NCryptEncrypt": {"hKey": lambda handles: handles.key(), "pbInput": lambda _: bytes(16)},
    "NCryptDecrypt": {"hKey": lambda handles: handles.key(), "pbInput": lambda _: bytes(16)},
    "NCryptOpenStorageProvider": {"pszProviderName": lambda handles: handles.token},
    "CryptAcquireContext": {"dwFlags": lambda _: wincrypt.CRYPT_VERIFYCONTEXT},
    "CryptCreateHash": {"Algid": lambda _: wincrypt.CALG_SHA_256},
    "CryptGetProvParam": {"dwParam": lambda _: wincrypt.PP_NAME},
    "CryptGetHashParam": {"dwParam": lambda _: wincrypt.HP_HASHSIZE},
    "CryptSetHashParam": {"dwParam": lambda _: wincrypt.HP_HASHVAL},
    "CryptSetKeyParam": {"dwParam": lambda _: wincrypt.KP_IV, "pbData": lambda _: bytes(16)},
    "CryptSignHash": {"dwKeySpec": lambda _: wincrypt.AT_SIGNATURE},
}


def arguments_of(function: Any, handles: Handles, but: str) -> dict[str, object]:
    """Arguments with which the function works, without the one of the name `but`."""
    good = {**GOOD[function.__module__], **OF_A_FUNCTION.get(function.__name__, {})}
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name != but and (name in good or parameter.default is inspect.Parameter.empty):
            found[name] = good[name](handles) if name in good else None
    return found


def foreign_handles(handles: Handles) -> dict[str, Callable[[], object]]:
    """Handles of every kind: most are of the wrong one for a parameter."""
    destroyed = handles.key()
    destroyed.destroy()
    return {
        "an algorithm": lambda: handles.algorithm("AES"),
        "a key": handles.key,
        "a pair": handles.pair,
        "an empty pair": handles.empty_pair,
        "a hash": handles.hash,
        "a secret": handles.secret,
        "a store": handles.storage,
        "a draft": handles.draft,
        "a context": handles.context,
        "a session key": handles.capi_key,
        "a hash of CryptoAPI": handles.capi_hash,
        "a destroyed key": lambda: destroyed,
        "a provider": lambda: handles.token,
        "a pseudo-handle": lambda: bcrypt.BCRYPT_RSA_ALG_HANDLE,
    }


def refusal(call: Callable[[], object], statuses: tuple[type, ...] = (NTSTATUS, HRESULT, Win32Error)) -> str:
    """What is wrong with how a call ends; nothing where it serves the arguments or says what is wrong with them."""
    try:
        made = call()
        if isinstance(made, Iterator):
            list(made)
        if isinstance(made, Handle):
            made.destroy()
    except CngError as error:
        if not isinstance(error.status, statuses):
            return f"{error.status!r}"
        if len(str(error)) > LONGEST_MESSAGE:
            return f"a message of {len(str(error))} characters"
        str(error).encode()
        return "STATUS_INTERNAL_ERROR" if error.status is NTSTATUS.STATUS_INTERNAL_ERROR else ""
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:200]
    return ""


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_every_parameter_of_every_function(function: Any, handles: Handles) -> None:
    values = {**WRONG, **PARAMETER_LISTS, **foreign_handles(handles)}
    found = {}
    for name in inspect.signature(function).parameters:
        for what, make in values.items():
            arguments = arguments_of(function, handles, name)
            told = refusal(
                lambda arguments=arguments, name=name, make=make: function(**arguments, **{name: make()}),  # type: ignore[misc]
                STATUSES[function.__module__],
            )
            if told:
                found[name, what] = told
        handles.close()
    assert not found


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_a_surplus_argument_is_a_type_error(function: Any) -> None:
    surplus = [None] * (len(inspect.signature(function).parameters) + 1)
    with pytest.raises(TypeError):
        function(*surplus)


PROPERTIES = sorted(
    {value for name, value in vars(bcrypt).items() if name.isupper() and isinstance(value, str)}
    | {value for name, value in vars(ncrypt).items() if name.endswith("_PROPERTY") and isinstance(value, str)}
)


@pytest.mark.parametrize(
    "make",
    [
        lambda handles: handles.algorithm("AES"),
        lambda handles: handles.algorithm("ECDSA"),
        lambda handles: handles.key(),
        lambda handles: handles.key("HKDF"),
        lambda handles: handles.empty_pair(),
        lambda handles: handles.keep(bcrypt.BCryptGenerateKeyPair(handles.algorithm("DH"), 2048)),
        lambda handles: handles.hash(),
        lambda handles: handles.secret(),
    ],
    ids=["AES", "ECDSA", "AES key", "HKDF key", "empty pair", "DH pair", "hash", "secret"],
)
def test_every_value_of_every_property(make: Make, handles: Handles) -> None:
    found = {}
    handle: Any = make(handles)
    for name in PROPERTIES:
        for what, value in BEHIND_A_TYPE.items():
            told = refusal(lambda name=name, value=value: bcrypt.BCryptSetProperty(handle, name, value()))  # type: ignore[misc]
            if told:
                found[name, what] = told
    assert not found


@pytest.mark.parametrize("algorithm", ["ECDSA_P256", "RSA", "AES"])
def test_every_value_of_every_property_of_a_stored_key(algorithm: str, handles: Handles) -> None:
    found = {}
    key = handles.keep(ncrypt.NCryptCreatePersistedKey(handles.storage(), algorithm, None))
    for name in PROPERTIES:
        for what, value in BEHIND_A_TYPE.items():
            told = refusal(
                lambda name=name, value=value: ncrypt.NCryptSetProperty(key, name, value()),  # type: ignore[misc]
                STATUSES["hwcng.ncrypt"],
            )
            if told:
                found[name, what] = told
    for what, value in BEHIND_A_TYPE.items():
        policy = ncrypt.NCRYPT_UI_POLICY(dwFlags=value())  # type: ignore[arg-type]
        if told := refusal(lambda policy=policy: ncrypt.NCryptSetProperty(key, "UI Policy", policy)):  # type: ignore[misc]
            found["UI Policy", what] = told
    assert not found


def _records(value: object) -> Iterator[tuple[str, Callable[[Handles], object]]]:
    """Calls with a record of which one field is `value`."""

    def signing(record: Callable[[], object], flags: int) -> Callable[[Handles], object]:
        return lambda handles: bcrypt.BCryptSignHash(handles.rsa, record(), bytes(32), flags)  # type: ignore[attr-defined]

    def sealing(**fields: Any) -> Callable[[Handles], object]:
        def call(handles: Handles) -> object:
            record = bcrypt.BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(**{"pbNonce": bytes(12), **fields})
            key = handles.key()
            bcrypt.BCryptSetProperty(key, "ChainingMode", "ChainingModeGCM")
            return bcrypt.BCryptEncrypt(key, bytes(16), record), bcrypt.BCryptDecrypt(key, bytes(16), record)

        return call

    def ncrypt_sealing(**fields: Any) -> Callable[[Handles], object]:
        def call(handles: Handles) -> object:
            record = ncrypt.NCRYPT_CIPHER_PADDING_INFO(**fields)
            return ncrypt.NCryptEncrypt(handles.key(), bytes(16), record, ncrypt.NCRYPT_PAD_CIPHER_FLAG)

        return call

    any_value: Any = value
    yield "PKCS1.pszAlgId", signing(lambda: bcrypt.BCRYPT_PKCS1_PADDING_INFO(any_value), bcrypt.BCRYPT_PAD_PKCS1)
    yield "PSS.pszAlgId", signing(lambda: bcrypt.BCRYPT_PSS_PADDING_INFO(any_value, 20), bcrypt.BCRYPT_PAD_PSS)
    yield "PSS.cbSalt", signing(lambda: bcrypt.BCRYPT_PSS_PADDING_INFO("SHA256", any_value), bcrypt.BCRYPT_PAD_PSS)
    for name, record in (
        ("OAEP.pszAlgId", lambda: bcrypt.BCRYPT_OAEP_PADDING_INFO(any_value)),
        ("OAEP.pbLabel", lambda: bcrypt.BCRYPT_OAEP_PADDING_INFO("SHA256", any_value)),
    ):
        yield (
            name,
            lambda handles, record=record: bcrypt.BCryptEncrypt(  # type: ignore[misc]
                handles.rsa,
                b"x",
                record(),
                None,
                bcrypt.BCRYPT_PAD_OAEP,
            ),
        )
    for field in ("pbNonce", "pbAuthData", "pbTag", "cbTag", "pbMacContext", "dwFlags"):
        yield f"GCM.{field}", sealing(**{field: value})
    yield "chained GCM.pbMacContext", sealing(pbMacContext=value, dwFlags=bcrypt.BCRYPT_AUTH_MODE_CHAIN_CALLS_FLAG)
    for field in ("dwFlags", "pbIV", "pbOtherInfo"):
        yield f"CIPHER.{field}", ncrypt_sealing(**{field: value})
    yield (
        "HMAC_INFO.HashAlgid",
        lambda handles: wincrypt.CryptSetHashParam(
            handles.hmac,  # type: ignore[attr-defined]
            wincrypt.HP_HMAC_INFO,
            wincrypt.HMAC_INFO(any_value),
        ),
    )
    yield (
        "HMAC_INFO.pbInnerString",
        lambda handles: wincrypt.CryptSetHashParam(
            handles.hmac,  # type: ignore[attr-defined]
            wincrypt.HP_HMAC_INFO,
            wincrypt.HMAC_INFO(wincrypt.CALG_SHA1, any_value),
        ),
    )
    yield "pbIV", lambda handles: bcrypt.BCryptEncrypt(handles.key(), bytes(16), None, any_value)


def test_every_field_of_every_record(handles: Handles) -> None:
    handles.rsa = handles.pair("RSA", 1024)  # type: ignore[attr-defined]
    context = handles.context()
    key = wincrypt.CryptGenKey(context, wincrypt.CALG_HMAC, 0)
    handles.hmac = wincrypt.CryptCreateHash(context, wincrypt.CALG_HMAC, key)  # type: ignore[attr-defined]
    found = {}
    for what, make in WRONG.items():
        for field, call in _records(make()):
            if told := refusal(lambda call=call: call(handles)):  # type: ignore[misc]
                found[field, what] = told
    assert not found


def _derivations(handles: Handles) -> Iterator[tuple[str, tuple[int, ...], Callable[[Any], object]]]:
    """Name, buffer types and call of every derivation function."""
    secret = handles.secret()
    for function in ("HASH", "HMAC", "TLS_PRF", "SP800_56A_CONCAT", "HKDF", "TRUNCATE"):
        yield (
            function,
            (*range(0x15),),
            lambda pairs, function=function: bcrypt.BCryptDeriveKey(secret, function, pairs, 16),  # type: ignore[misc]
        )
    for algorithm in ("PBKDF2", "SP800_108_CTR_HMAC", "SP800_56A_CONCAT", "CAPI_KDF", "TLS1_2_KDF"):
        key = handles.key(algorithm)
        yield algorithm, (*range(0x15),), lambda pairs, key=key: bcrypt.BCryptKeyDerivation(key, pairs, 16)  # type: ignore[misc]


BUFFERS: Mapping[int, object] = {
    bcrypt.KDF_HASH_ALGORITHM: "SHA256",
    bcrypt.KDF_TLS_PRF_LABEL: b"label",
    bcrypt.KDF_TLS_PRF_SEED: bytes(64),
    bcrypt.KDF_ALGORITHMID: b"a",
    bcrypt.KDF_PARTYUINFO: b"u",
    bcrypt.KDF_PARTYVINFO: b"v",
    bcrypt.KDF_LABEL: b"l",
    bcrypt.KDF_CONTEXT: b"c",
    bcrypt.KDF_HMAC_KEY: b"k",
    bcrypt.KDF_ITERATION_COUNT: 1,
}


def test_every_buffer_of_every_derivation(handles: Handles) -> None:
    found = {}
    for function, kinds, call in _derivations(handles):
        for kind in kinds:
            for what, make in WRONG.items():
                pairs = [*{**BUFFERS, kind: make()}.items()]
                if told := refusal(lambda call=call, pairs=pairs: call(pairs)):  # type: ignore[misc]
                    found[function, kind, what] = told
    assert not found


def test_what_is_beyond_cng(handles: Handles, token_uri: str) -> None:
    """The methods that CNG lacks, and the functions of the package."""
    aes, hkdf = handles.algorithm("AES"), handles.hkdf_key()
    key, secret, pair = handles.key(), handles.secret(), handles.pair()
    calls: Mapping[str, Callable[[Any], object]] = {
        "generate_key(bits)": lambda value: aes.generate_key(value),
        "generate_key(usage)": lambda value: aes.generate_key(128, usage=value),
        "generate_key(key_object)": lambda value: aes.generate_key(128, key_object=value),
        "derive_to_key(bits)": lambda value: hkdf.derive_to_key(aes, None, value),
        "derive_to_key(handle)": lambda value: hkdf.derive_to_key(value, None, 128),
        "derive_to_key(parameters)": lambda value: hkdf.derive_to_key(aes, value, 128),
        "Secret.derive_to_key(function)": lambda value: secret.derive_to_key(aes, value, None, 128),
        "Secret.derive_to_key(parameters)": lambda value: secret.derive_to_key(aes, "HASH", value, 128),
        "persist(name)": lambda value: ncrypt.NCryptDeleteKey(key.persist(value)),
        "attest(nonce)": pair.attest,
        "open_provider(uri)": hwcng.open_provider,
        "open_provider(pin)": lambda value: hwcng.open_provider(token_uri + "-no-such-token", pin=value),
        "open_key(uri)": hwcng.open_key,
        "open_key(pin)": lambda value: hwcng.open_key(f"{token_uri}-no-such-token", pin=value),
        "configure(names)": configure,
        "configure(name)": lambda value: configure({value: "pkcs11:"}) if type(value) in (int, float) else None,
        "configure(uri)": lambda value: configure({"name": value}),
        "set_default_provider": lambda value: hwcng.set_default_provider(value) if value is not None else None,
    }
    found = {}
    for what, make in BEHIND_A_TYPE.items():
        for name, call in calls.items():
            if told := refusal(lambda call=call, make=make: call(make())):  # type: ignore[misc]
                found[name, what] = told
    assert not found
