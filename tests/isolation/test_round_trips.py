"""What a token behind a network sees of a warm operation: its own requests and nothing else.

Between p11-kit's client and its server stands a relay that reads the frames of p11-kit's protocol: a byte of version,
then for each call the lengths of options and body, big-endian, and the body, which begins with the call's number.
"""

from __future__ import annotations

import pytest
from conftest import REMOTE_TOKEN
from isolation.child import run

from hwcng.testing.p11kit import P11KitServer

RELAY = """
import socket, struct, tempfile

requests = []

def exactly(stream, count):
    octets = b""
    while len(octets) < count:
        more = stream.recv(count - len(octets))
        if not more:
            raise EOFError
        octets += more
    return octets

def read_requests(client, server):
    server.sendall(exactly(client, 1))
    while True:
        header = exactly(client, 12)
        _, options, body = struct.unpack(">III", header)
        rest = exactly(client, options + body)
        requests.append(struct.unpack(">I", rest[options:options + 4])[0])
        server.sendall(header + rest)

def pass_on(server, client):
    while octets := server.recv(65536):
        client.sendall(octets)

def quietly(work, *sides):
    try:
        work(*sides)
    except (EOFError, OSError):
        pass

def relay(listener, address):
    while True:
        client, _ = listener.accept()
        server = socket.socket(socket.AF_UNIX)
        server.connect(address)
        threading.Thread(target=quietly, args=(read_requests, client, server), daemon=True).start()
        threading.Thread(target=quietly, args=(pass_on, server, client), daemon=True).start()

def requests_of(call):
    call()
    call()
    requests.clear()
    call()
    return list(requests)

path = tempfile.mkdtemp() + "/relay"
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
address = os.environ["P11_KIT_SERVER_ADDRESS"].removeprefix("unix:path=")
os.environ["P11_KIT_SERVER_ADDRESS"] = "unix:path=" + path
threading.Thread(target=relay, args=(listener, address), daemon=True).start()
provider = open_token()

def ecb_key(provider):
    handle = aes(provider)
    BCryptSetProperty(handle, BCRYPT_CHAINING_MODE, BCRYPT_CHAIN_MODE_ECB)
    return handle.generate_key(256)
"""

OPERATIONS = {
    "an ECDSA signature": ("pair = ec_key(provider); call = lambda: BCryptSignHash(pair, None, bytes(32))", 2),
    # Of the modes p11-kit 0.24 passes on ECB alone: it drops mechanisms whose parameters it does not know.
    "an encryption by AES": ("key = ecb_key(provider); call = lambda: BCryptEncrypt(key, bytes(64))", 2),
    "a decryption by AES": ("key = ecb_key(provider); call = lambda: BCryptDecrypt(key, bytes(64))", 2),
    "an HMAC": (
        "hmac = BCryptOpenAlgorithmProvider('SHA256', provider, BCRYPT_ALG_HANDLE_HMAC_FLAG); "
        "key = hmac.generate_key(256); call = lambda: BCryptHash(hmac, key, bytes(64))",
        2,
    ),
    "32 random bytes": (
        "rng = BCryptOpenAlgorithmProvider('RNG', provider); call = lambda: BCryptGenRandom(rng, 32)",
        1,
    ),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_warm_operation_is_its_own_requests(operation: str, p11_kit_server: P11KitServer) -> None:
    steps, round_trips = OPERATIONS[operation]
    script = f"{RELAY}\n{steps}\nprint(*requests_of(call))"
    numbers = run(script, p11_kit_server.uri(REMOTE_TOKEN), env=p11_kit_server.environ()).split()
    assert len(numbers) == len(set(numbers)) == round_trips, f"calls of p11-kit's protocol: {numbers}"
