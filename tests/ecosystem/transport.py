"""TLS 1.3 by a stack in Python."""

from __future__ import annotations

import datetime
import time
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from pyca import certificates

if TYPE_CHECKING:
    from ecosystem.keys import HeldKey

__all__ = ["aioquic"]

ADDRESSES = ("127.0.0.1", 4433), ("127.0.0.1", 4434)


def server_certificate(key: Any) -> x509.Certificate:
    """Of localhost, signed by its own key."""
    day = datetime.timedelta(days=1)
    name = certificates.name("localhost")
    return (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(certificates.NOW - day)
        .not_valid_after(certificates.NOW + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, certificates.hash_for(key))
    )


def aioquic(held: HeldKey) -> None:
    """Both ends of a QUIC connection, whose datagrams go from hand to hand; the client checks the certificate."""
    from aioquic.quic.configuration import QuicConfiguration
    from aioquic.quic.connection import QuicConnection
    from aioquic.quic.events import StreamDataReceived

    certificate = server_certificate(held.private)
    at_server = QuicConfiguration(
        is_client=False, alpn_protocols=["test"], certificate=certificate, private_key=held.private
    )
    at_client = QuicConfiguration(alpn_protocols=["test"], server_name="localhost")
    at_client.load_verify_locations(cadata=certificate.public_bytes(serialization.Encoding.PEM))
    client = QuicConnection(configuration=at_client)
    server = QuicConnection(
        configuration=at_server, original_destination_connection_id=client.original_destination_connection_id
    )
    client.connect(ADDRESSES[1], now=time.time())
    for _ in range(4):
        for sender, receiver, address in ((client, server, ADDRESSES[0]), (server, client, ADDRESSES[1])):
            for datagram, _ in sender.datagrams_to_send(now=time.time()):
                receiver.receive_datagram(datagram, address, now=time.time())
    server.send_stream_data(1, b"served", end_stream=True)
    for datagram, _ in server.datagrams_to_send(now=time.time()):
        client.receive_datagram(datagram, ADDRESSES[1], now=time.time())
    events = iter(client.next_event, None)
    assert [event.data for event in events if isinstance(event, StreamDataReceived)] == [b"served"]
