"""Both ends of TLS in this process, by Python's ssl, with keys in a token, while hwcng signs with the server's.

Arguments: a folder with server.pem, server.crt, client.pem, client.crt and ca.crt, the URI of the server's key, whether
the client has a certificate ("mutual"), and how many connections are made. OPENSSL_CONF names the configuration.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
import sys
import threading
from pathlib import Path

import hwcng
from hwcng.bcrypt import BCRYPT_PAD_PKCS1, BCRYPT_PKCS1_PADDING_INFO, BCryptSignHash, BCryptVerifySignature

SECONDS = 30


def context(protocol: int, home: Path, name: str, *, mutual: bool) -> ssl.SSLContext:
    made = ssl.SSLContext(protocol)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_verify_locations(home / "ca.crt")
    if mutual or protocol == ssl.PROTOCOL_TLS_SERVER:
        made.load_cert_chain(home / f"{name}.crt", home / f"{name}.pem")
    if mutual:
        made.verify_mode = ssl.CERT_REQUIRED
    return made


def serve(listening: socket.socket, tls: ssl.SSLContext, count: int) -> None:
    for _ in range(count):
        accepted, _ = listening.accept()
        accepted.settimeout(SECONDS)
        with tls.wrap_socket(accepted, server_side=True) as connection:
            subject = dict(part[0] for part in (connection.getpeercert() or {}).get("subject", ()))
            connection.sendall(b"%s to %s\n" % (connection.version().encode(), subject.get("commonName", "?").encode()))


def main(home: Path, uri: str, mutual: bool, connections: int) -> None:
    server = context(ssl.PROTOCOL_TLS_SERVER, home, "server", mutual=mutual)
    client = context(ssl.PROTOCOL_TLS_CLIENT, home, "client", mutual=mutual)
    with hwcng.open_key(uri) as key, socket.create_server(("127.0.0.1", 0)) as listening:
        is_rsa = key.algorithm.name == "RSA"
        info, flags = (BCRYPT_PKCS1_PADDING_INFO("SHA256"), BCRYPT_PAD_PKCS1) if is_rsa else (None, 0)
        listening.settimeout(SECONDS)
        serving = threading.Thread(target=serve, args=(listening, server, connections))
        serving.start()
        for number in range(connections):
            raw = socket.create_connection(listening.getsockname(), SECONDS)
            with client.wrap_socket(raw, server_hostname="localhost") as connection:
                print(connection.makefile().readline().strip())
            digest = hashlib.sha256(b"%d" % number).digest()
            signature = BCryptSignHash(key, info, digest, flags)
            BCryptVerifySignature(key, info, digest, signature, flags)
        serving.join()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "mutual", int(sys.argv[4]))
