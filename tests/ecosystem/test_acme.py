"""A certificate by ACME: the account's key and the certificate's are in the token, and it keeps the certificate."""

from __future__ import annotations

import datetime
import ipaddress
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from ecosystem import report
from ecosystem.keys import HeldKey, made_by_hwcng
from ecosystem.libraries import LIBRARIES, installed_version
from ecosystem.pebble import ADDRESS, SECONDS, answering, pebble

if TYPE_CHECKING:
    from hwcng.contract.provider import Provider

ACCOUNTS = [("SoftHSM", "RSA", "pkcs11-tool"), ("SoftHSM", "P-256", "hwcng"), ("swtpm", "P-256", "tpm2-tools")]


@pytest.mark.parametrize("held", ACCOUNTS, ids="-".join, indirect=True)
def test_pebble_issues_a_certificate(
    request: pytest.FixtureRequest, held: HeldKey, provider: Provider, tmp_path: Path
) -> None:
    installed_version(LIBRARIES["acme"])
    token = provider if held.token == "SoftHSM" else request.getfixturevalue("tpm_provider")
    with made_by_hwcng(token, "P-256") as fresh:
        pair = fresh.persist("acme", replace=True)
    said: dict[str, str] = {}
    try:
        with answering(said) as port, pebble(tmp_path, port) as (directory, authority):
            chain = issued(held, pair.as_cryptography(), directory, authority, said)
        pair.store_certificates(x509.load_pem_x509_certificates(chain.encode()))
        own, issuer = pair.certificates
        own.verify_directly_issued_by(issuer)
        assert own.public_key() == pair.public_key()
    finally:
        token.delete_key("acme")
    report.note(request.config, "acme", held.token, held.kind)


def issued(held: HeldKey, key: Any, directory: str, authority: Path, said: dict[str, str]) -> str:
    """The chain in PEM that the server issues for a request by `key`."""
    import josepy
    from acme import challenges, client, messages

    from hwcng.interop.acme import account_key

    account = account_key(held.pair)
    algorithm = josepy.RS256 if held.is_rsa else josepy.ES256
    net = client.ClientNetwork(account, alg=algorithm, verify_ssl=str(authority))  # type: ignore[arg-type]
    acme = client.ClientV2(client.ClientV2.get_directory(directory, net), net)
    acme.new_account(messages.NewRegistration.from_data(email="me@example.org", terms_of_service_agreed=True))
    order = acme.new_order(_request(key))
    (authorization,) = order.authorizations
    challenge = next(one for one in authorization.body.challenges if isinstance(one.chall, challenges.HTTP01))
    response, validation = challenge.response_and_validation(account)
    said[challenge.chall.path] = validation
    acme.answer_challenge(challenge, response)
    end = time.monotonic() + SECONDS
    # Its own waiting is by whole seconds.
    while acme.poll(authorization)[0].body.status == messages.STATUS_PENDING and time.monotonic() < end:
        time.sleep(0.02)
    done = acme.poll_and_finalize(order, datetime.datetime.now() + datetime.timedelta(seconds=SECONDS))
    chain: str = done.fullchain_pem
    return chain


def _request(key: Any) -> bytes:
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(ADDRESS))])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
