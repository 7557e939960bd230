"""Eight threads on one provider and on one key object of each kind."""

from __future__ import annotations

from isolation.child import run

SCRIPT = """
import hashlib, hmac, random
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from isolation.ledger import OpenSessions, pool, session_objects

THREADS, OPERATIONS, SIGNATURES_VERIFIED = 8, 2000, 25

# The first provider lends its function list to the counting, and keeps the token logged in.
witness = open_token()
sessions = OpenSessions(witness)
objects_before = session_objects(witness)
provider = open_token()
secret = bytes(range(32))
cbc_alg, gcm_alg = aes(provider), aes(provider)
BCryptSetProperty(gcm_alg, BCRYPT_CHAINING_MODE, BCRYPT_CHAIN_MODE_GCM)
cbc = BCryptGenerateSymmetricKey(cbc_alg, None, secret)
gcm = BCryptGenerateSymmetricKey(gcm_alg, None, secret)
hmac_alg = BCryptOpenAlgorithmProvider("SHA256", provider, BCRYPT_ALG_HANDLE_HMAC_FLAG)
rng = BCryptOpenAlgorithmProvider("RNG", provider)
ecdsa = ec_key(provider)
ecdh_alg = BCryptOpenAlgorithmProvider("ECDH_P256", provider)
ours, theirs = (BCryptGenerateKeyPair(ecdh_alg, 256) for _ in range(2))
BCryptFinalizeKeyPair(ours)
BCryptFinalizeKeyPair(theirs)
derived = BCryptDeriveKey(BCryptSecretAgreement(theirs, ours), BCRYPT_KDF_HASH, [(KDF_HASH_ALGORITHM, "SHA256")], None)
hmac_key = hmac_alg.generate_key(256)
mac_of_zero = BCryptHash(hmac_alg, hmac_key, bytes(100))
randoms = [set() for _ in range(THREADS)]
signatures = [[] for _ in range(THREADS)]

def do_cbc(rng_, thread):
    iv, data = rng_.randbytes(16), rng_.randbytes(16 * rng_.randrange(1, 40))
    encryptor = Cipher(algorithms.AES(secret), modes.CBC(iv)).encryptor()
    assert BCryptEncrypt(cbc, data, None, iv) == encryptor.update(data)

def do_cbc_back(rng_, thread):
    iv, data = rng_.randbytes(16), rng_.randbytes(rng_.randrange(1, 9000))
    sealed = BCryptEncrypt(cbc, data, None, iv, BCRYPT_BLOCK_PADDING)
    assert BCryptDecrypt(cbc, sealed, None, iv, BCRYPT_BLOCK_PADDING) == data

def do_gcm(rng_, thread):
    nonce, aad, data = rng_.randbytes(12), rng_.randbytes(20), rng_.randbytes(rng_.randrange(1, 200))
    info = BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(nonce, aad)
    sealed = BCryptEncrypt(gcm, data, info)
    assert sealed + bytes(info.pbTag) == AESGCM(secret).encrypt(nonce, data, aad)
    if rng_.random() < 0.2:
        bad = bytes(16)
        info = BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO(nonce, aad, pbTag=bad)
        fails(NTSTATUS.STATUS_AUTH_TAG_MISMATCH, lambda: BCryptDecrypt(gcm, sealed, info))

def do_hmac(rng_, thread):
    assert BCryptHash(hmac_alg, hmac_key, bytes(100)) == mac_of_zero

def do_hmac_import(rng_, thread):
    key, data = rng_.randbytes(40), rng_.randbytes(50)
    assert BCryptHash(hmac_alg, key, data) == hmac.digest(key, data, "sha256")

def do_ecdsa(rng_, thread):
    digest = rng_.randbytes(32)
    signature = BCryptSignHash(ecdsa, None, digest)
    assert len(signature) == 64
    signatures[thread].append((digest, signature))

def do_random(rng_, thread):
    octets = BCryptGenRandom(rng, 16)
    assert octets not in randoms[thread]
    randoms[thread].add(octets)

def do_generate(rng_, thread):
    key = cbc_alg.generate_key(256)
    other = BCryptDuplicateKey(key)
    one = block(key)
    BCryptDestroyKey(key)
    assert block(other) == one
    if rng_.random() < 0.5:
        BCryptDestroyKey(other)     # else: by the garbage collector

def do_duplicate(rng_, thread):
    copy = BCryptDuplicateKey(cbc)
    assert block(copy) == first_block
    BCryptDestroyKey(copy)

def do_agree(rng_, thread):
    agreed = BCryptSecretAgreement(ours, theirs)
    assert BCryptDeriveKey(agreed, BCRYPT_KDF_HASH, [(KDF_HASH_ALGORITHM, "SHA256")], None) == derived
    BCryptDestroySecret(agreed)

first_block = block(cbc)
WORK = (do_cbc, do_cbc_back, do_gcm, do_hmac, do_hmac_import, do_ecdsa, do_random, do_generate, do_duplicate, do_agree)
errors = []

def body(thread):
    rng_ = random.Random(thread)
    try:
        for number in range(OPERATIONS):
            rng_.choice(WORK)(rng_, thread)
    except BaseException as error:
        import traceback
        errors.append(traceback.format_exc())

threads = [threading.Thread(target=body, args=(number,)) for number in range(THREADS)]
began = time.monotonic()
[thread.start() for thread in threads]
[thread.join() for thread in threads]
seconds = time.monotonic() - began
assert not errors, errors[0]
assert len(set().union(*randoms)) == sum(map(len, randoms))
for digest, signature in [pair for made in signatures for pair in made[:SIGNATURES_VERIFIED]]:
    BCryptVerifySignature(ecdsa, None, digest, signature)

# Nothing in flight: what is open stands in the pools.
pooled = pool(provider)
assert sessions.handles == pooled | pool(witness), (sessions.handles, pooled)
assert len(pooled) <= 2 * THREADS + 2, len(pooled)
assert sessions.closed_twice == 0
import gc
gc.collect()
provider.random(1); cbc_alg.generate_key(128).destroy()
alive = session_objects(witness) - objects_before
# cbc, gcm, hmac_key, three pairs of two objects each.
assert alive == 9, alive
provider.close()
assert session_objects(witness) == objects_before
assert not (sessions.handles & pooled)
witness.close()
assert not sessions.handles, sessions.handles
print(f"{THREADS * OPERATIONS / seconds:.0f} operations/s, {len(pooled)} sessions, {sessions.opened} opened")
"""


def test_mixed_operations_of_eight_threads(token_uri: str) -> None:
    print(run(SCRIPT, token_uri))


CLOSING = """
from isolation.ledger import OpenSessions, pool

witness = open_token()
sessions = OpenSessions(witness)
for turn in range(20):
    provider = open_token()
    key = aes(provider).generate_key(256)
    seen = []
    def body():
        try:
            while True:
                block(key)
                aes(provider).generate_key(128).destroy()
        except CngError as error:
            seen.append(error)
    threads = [threading.Thread(target=body) for _ in range(4)]
    [thread.start() for thread in threads]
    time.sleep(0.01)
    provider.close()
    [thread.join() for thread in threads]
    assert {error.status for error in seen} == {NTSTATUS.STATUS_INVALID_HANDLE}, seen
    assert all("closed" in str(error) for error in seen), seen
assert sessions.handles == pool(witness)
assert sessions.closed_twice == 0
"""


def test_close_while_threads_work(token_uri: str) -> None:
    run(CLOSING, token_uri)
