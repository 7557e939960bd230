"""What the conformance tests compare tokens with: `cryptography`, hashlib, and RFC 8017 written out where it stops.

Nothing here uses hwcng: an error there must not cancel itself out.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from functools import cache

from cryptography.hazmat.decrepit.ciphers.modes import CFB, CFB8
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

HASHLIB = {
    "MD5": "md5",
    "SHA1": "sha1",
    "SHA256": "sha256",
    "SHA384": "sha384",
    "SHA512": "sha512",
    "SHA3-256": "sha3_256",
    "SHA3-384": "sha3_384",
    "SHA3-512": "sha3_512",
}

# RFC 8017, section 9.2, note 1; the SHA-3 identifiers of NIST's registry (2.16.840.1.101.3.4.2.8 to 10).
DIGEST_INFO = {
    "MD5": "3020300c06082a864886f70d020505000410",
    "SHA1": "3021300906052b0e03021a05000414",
    "SHA256": "3031300d060960864801650304020105000420",
    "SHA384": "3041300d060960864801650304020205000430",
    "SHA512": "3051300d060960864801650304020305000440",
    "SHA3-256": "3031300d060960864801650304020805000420",
    "SHA3-384": "3041300d060960864801650304020905000430",
    "SHA3-512": "3051300d060960864801650304020a05000440",
}

CRYPTOGRAPHY: dict[str, hashes.HashAlgorithm] = {
    "MD5": hashes.MD5(),  # noqa: S303
    "SHA1": hashes.SHA1(),  # noqa: S303
    "SHA256": hashes.SHA256(),
    "SHA384": hashes.SHA384(),
    "SHA512": hashes.SHA512(),
    "SHA3-256": hashes.SHA3_256(),
    "SHA3-384": hashes.SHA3_384(),
    "SHA3-512": hashes.SHA3_512(),
}

EC_CURVES: dict[str, ec.EllipticCurve] = {
    "nistP256": ec.SECP256R1(),
    "nistP384": ec.SECP384R1(),
    "nistP521": ec.SECP521R1(),
    "nistP192": ec.SECP192R1(),
    "secP256k1": ec.SECP256K1(),
    "brainpoolP256r1": ec.BrainpoolP256R1(),
}

# bcrypt.h: the magic of a public blob, by family and curve; that of the private one is 0x01000000 more.
_ECC_MAGICS = {
    ("ECDH", "nistP256"): 0x314B4345,
    ("ECDH", "nistP384"): 0x334B4345,
    ("ECDH", "nistP521"): 0x354B4345,
    ("ECDSA", "nistP256"): 0x31534345,
    ("ECDSA", "nistP384"): 0x33534345,
    ("ECDSA", "nistP521"): 0x35534345,
}
_GENERIC_MAGICS = {"ECDH": (0x504B4345, 0x564B4345), "ECDSA": (0x50444345, 0x56444345)}

# Primes of throw-away RSA keys by modulus bits; 1025 is a modulus one bit over whole bytes.
_RSA_PRIMES = {
    bits: (int(p, 16), int(q, 16))
    for bits, (p, q) in {
        512: (
            "c8af71e33909e3c7db877aaf3e0e5022785cb9d07e2bc316729e09f65da53eff",
            "d0969601c10837e30607d310703864206057525ee52bc61aad25a3cff001b847",
        ),
        1024: (
            "ea40806b06dc02335ad3a535b7df9a6d9af0f6339b6e12cd7ea52a72e8ae4a1406e15affe8750b9181a493de81f4e7d7"
            "f072fd210e57315670306ee8add23253",
            "de318d40a77042db5efaad6ef3abc2bd58a4e6199f029f73ab384468c6ed0d7182f0aa2ad555934d3f1d34a6c46bb06b"
            "ec30d97ef5ddf2d733882f45bd9fa739",
        ),
        1025: (
            "1d42bc485266d042ea570caa13a3847c0f9a61b2d334c2491f0bb0aa43b4c2e2dbc4568736b64b1617c68581fb294ddd"
            "ccfe9707c1d27e18fddee56cfa799721b",
            "fbbc89fed8562399726beb84f9729432b71416bce33a44a80869242a55795c9ef4890eb0e26e10a39839cec17e76fb80"
            "74862d100a52a77872c1047e3118dc5f",
        ),
        2048: (
            "dee89df083ca8e9648c4558d43c7f1ddf061806317ac17a3ceb9d36008ecb64b1cec88fd4f95391250cff5e72768006b"
            "659da83617f10bb9504d30e9de759fa9136f66a784e669bd49f383d270479cf69a05ae3fb693a9b7c28bb2c820cfae28"
            "5f9a0435500600989fab121e48b8446cf90a7792142dfe16b01a59fe05d7d8bd",
            "f5877af0d0f31fc4b53deacb5d7fe7f4864c8df3ddd41a28bb97baf8c34558ca305017722a56517424b567f825c13b75"
            "20321005cffa6703f7c83e19476ab7a745bc611fb0a98d7a3308ea80b7191a6c98bc86cd42f0578969dee550e9881a25"
            "f335aa1173cc510be9d478188d32e6b4477bd1c8a5cf96194693637e38a1a1a5",
        ),
        3072: (
            "ec1406a104829da7ce7a499eda64ad5675272a1006a027ece141153c99d69dfbe0da121fca2e0f5edbceb535c1ab417b"
            "52398e00f6b7129c4acc4f5dcf0f36cadc794a2cc0b02e5d5c7a71704509c2ef30c28ec159032e453f4a57a3853ea7de"
            "b88d1436e33ecaa0b31ef00270089990f29177e2947fcab75523b3d7b34b3ab7816da8c460d20d4b3985383bfb212447"
            "c235fcb996c96b45df2da644a9270bf55626d1a02f9c3ef515a75eaa37e6ec6593f801176a3034080a84c569296b1d1b",
            "d845b2932541b0a93dd17973c10ab078d84d71eb60c2d26c1ae10bda73fb9c484a05c33505e8b0cbe240946a68ff0623"
            "28e8306acf4c76151ac25f352afc1289e1ba9b41cb23c59e7a3f0bacf661d12217a8777acd5385989d4c2dbc32dc6c97"
            "e264ddcc3bd68c1a749edc8c0abcda5f4c87e38b0f16253774823dabda23cba8bc0df356b1a90cc4bb76d57abee1c7db"
            "8f77c47414e69eb6c34effabc2342e7fd07130a50d821c2af9e0944812cfe8ed80675ecc06319dec0a1b8292db59ff7b",
        ),
    }.items()
}
RSA_EXPONENT = 65537


def digest(hash_name: str, data: bytes) -> bytes:
    return hashlib.new(HASHLIB[hash_name], data, usedforsecurity=False).digest()


def mac(hash_name: str, key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, HASHLIB[hash_name])


def xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


_CIPHERS = {
    "ECB": lambda _: modes.ECB(),  # noqa: S305
    "CBC": modes.CBC,
    "CFB8": CFB8,
    "CFB128": CFB,
}


def aes(mode: str, key: bytes, iv: bytes, data: bytes, *, encrypting: bool = True) -> bytes:
    cipher = Cipher(algorithms.AES(key), _CIPHERS[mode](iv))
    context: CipherContext = cipher.encryptor() if encrypting else cipher.decryptor()
    return context.update(data) + context.finalize()


def pkcs7(data: bytes) -> bytes:
    count = 16 - len(data) % 16
    return data + bytes([count]) * count


def rsa_numbers(bits: int) -> tuple[int, int, int]:
    """n, p, q."""
    p, q = _RSA_PRIMES[bits]
    return p * q, p, q


@cache
def rsa_private_exponent(bits: int) -> int:
    _, p, q = rsa_numbers(bits)
    return pow(RSA_EXPONENT, -1, (p - 1) * (q - 1))


@cache
def rsa_private_key(bits: int) -> rsa.RSAPrivateKey:
    """1024 bits at least: `cryptography` loads no smaller ones."""
    n, p, q = rsa_numbers(bits)
    d = rsa_private_exponent(bits)
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), rsa.RSAPublicNumbers(RSA_EXPONENT, n)
    )
    return numbers.private_key()


def rsa_public_key(modulus: int) -> rsa.RSAPublicKey:
    return rsa.RSAPublicNumbers(RSA_EXPONENT, modulus).public_key()


def rsa_blob(bits: int) -> bytes:
    """RSAPRIVATEBLOB."""
    n, p, q = rsa_numbers(bits)
    parts = [number.to_bytes((number.bit_length() + 7) // 8, "big") for number in (RSA_EXPONENT, n, p, q)]
    return struct.pack("<6I", 0x32415352, bits, *map(len, parts)) + b"".join(parts)


def rsa_public_blob(modulus: int) -> bytes:
    parts = [number.to_bytes((number.bit_length() + 7) // 8, "big") for number in (RSA_EXPONENT, modulus)]
    return struct.pack("<6I", 0x31415352, modulus.bit_length(), *map(len, parts), 0, 0) + b"".join(parts)


def modulus_of(public_blob: bytes) -> int:
    """n of an RSAPUBLICBLOB with exponent 65537."""
    magic, bits, exponent_size, modulus_size, prime1, prime2 = struct.unpack_from("<6I", public_blob)
    exponent, modulus = public_blob[24 : 24 + exponent_size], public_blob[24 + exponent_size :]
    number = int.from_bytes(modulus, "big")
    assert (magic, prime1, prime2, len(modulus)) == (0x31415352, 0, 0, modulus_size)
    assert (int.from_bytes(exponent, "big"), number.bit_length()) == (RSA_EXPONENT, bits)
    return number


def raw_public(block: bytes, modulus: int) -> bytes:
    """RSAEP and RSAVP1."""
    return pow(int.from_bytes(block, "big"), RSA_EXPONENT, modulus).to_bytes((modulus.bit_length() + 7) // 8, "big")


def raw_private(block: bytes, bits: int) -> bytes:
    """RSADP of one of this module's keys."""
    modulus = rsa_numbers(bits)[0]
    return pow(int.from_bytes(block, "big"), rsa_private_exponent(bits), modulus).to_bytes((bits + 7) // 8, "big")


def pkcs1_signature_block(size: int, hash_name: str | None, digest_value: bytes) -> bytes:
    """EMSA-PKCS1-v1_5 (RFC 8017, section 9.2)."""
    content = (bytes.fromhex(DIGEST_INFO[hash_name]) if hash_name else b"") + digest_value
    return b"\x00\x01" + b"\xff" * (size - 3 - len(content)) + b"\x00" + content


def mgf1(hash_name: str, seed: bytes, length: int) -> bytes:
    output = b""
    while len(output) < length:
        output += digest(hash_name, seed + struct.pack(">I", len(output) // len(digest(hash_name, b""))))
    return output[:length]


def pss_salt(block: bytes, bits: int, hash_name: str, digest_value: bytes) -> bytes | None:
    """The salt of a sound EMSA-PSS block (RFC 8017, section 9.1.2) under a modulus of `bits` bits, else None."""
    size, h = (bits - 1 + 7) // 8, len(digest_value)
    if any(block[: len(block) - size]):
        return None
    encoded = block[len(block) - size :]
    masked, seal, trailer = encoded[: size - h - 1], encoded[size - h - 1 : -1], encoded[-1]
    spare = 8 * size - (bits - 1)
    if trailer != 0xBC or masked[0] >> (8 - spare) != 0:
        return None
    opened = bytearray(xor(masked, mgf1(hash_name, seal, len(masked))))
    opened[0] &= 0xFF >> spare
    rest = bytes(opened).lstrip(b"\0")
    if rest[:1] != b"\x01" or digest(hash_name, bytes(8) + digest_value + rest[1:]) != seal:
        return None
    return rest[1:]


def oaep_block(size: int, hash_name: str, label: bytes, message: bytes) -> bytes:
    """EME-OAEP (RFC 8017, section 7.1.1)."""
    label_hash = digest(hash_name, label)
    h = len(label_hash)
    block = label_hash + bytes(size - len(message) - 2 * h - 2) + b"\x01" + message
    seed = os.urandom(h)
    masked = xor(block, mgf1(hash_name, seed, len(block)))
    return b"\0" + xor(seed, mgf1(hash_name, masked, h)) + masked


def oaep_message(block: bytes, hash_name: str, label: bytes) -> bytes:
    """The message of a sound EME-OAEP block (RFC 8017, section 7.1.2)."""
    label_hash = digest(hash_name, label)
    h = len(label_hash)
    seed = xor(block[1 : h + 1], mgf1(hash_name, block[h + 1 :], h))
    opened = xor(block[h + 1 :], mgf1(hash_name, seed, len(block) - h - 1))
    rest = opened[h:].lstrip(b"\0")
    assert (block[0], opened[:h], rest[:1]) == (0, label_hash, b"\x01")
    return rest[1:]


def pkcs1_encryption_block(size: int, message: bytes) -> bytes:
    filler = bytes(1 + octet % 255 for octet in os.urandom(size - 3 - len(message)))
    return b"\x00\x02" + filler + b"\x00" + message


def ec_width(curve: str) -> int:
    return (EC_CURVES[curve].key_size + 7) // 8


def ec_blob(
    family: str, curve: str, key: ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey, *, generic: bool
) -> bytes:
    """ECCPRIVATEBLOB of a private key, ECCPUBLICBLOB of a public one."""
    width = ec_width(curve)
    private = isinstance(key, ec.EllipticCurvePrivateKey)
    public = key.public_key().public_numbers() if private else key.public_numbers()
    numbers = [public.x, public.y, *([key.private_numbers().private_value] if private else [])]
    magic = _GENERIC_MAGICS[family][private] if generic else _ECC_MAGICS[family, curve] + (private << 24)
    return struct.pack("<2I", magic, width) + b"".join(number.to_bytes(width, "big") for number in numbers)


def ec_public_key(curve: str, public_blob: bytes) -> ec.EllipticCurvePublicKey:
    width = ec_width(curve)
    assert len(public_blob) == 8 + 2 * width and struct.unpack_from("<I", public_blob, 4) == (width,)
    x, y = (int.from_bytes(half, "big") for half in (public_blob[8 : 8 + width], public_blob[8 + width :]))
    return ec.EllipticCurvePublicNumbers(x, y, EC_CURVES[curve]).public_key()


def ecdsa_verify(key: ec.EllipticCurvePublicKey, digest_value: bytes, signature: bytes) -> None:
    """Raises InvalidSignature. Prehashed wants a hash for its length only, and SHAKE256 can have any."""
    half = len(signature) // 2
    r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
    key.verify(encode_dss_signature(r, s), digest_value, ec.ECDSA(Prehashed(hashes.SHAKE256(len(digest_value)))))


def ecdsa_sign(key: ec.EllipticCurvePrivateKey, digest_value: bytes) -> bytes:
    """r || s."""
    r, s = decode_dss_signature(key.sign(digest_value, ec.ECDSA(Prehashed(hashes.SHAKE256(len(digest_value))))))
    width = (key.curve.key_size + 7) // 8
    return r.to_bytes(width, "big") + s.to_bytes(width, "big")


def p_hash(hash_name: str, secret: bytes, seed: bytes, length: int) -> bytes:
    """P_hash of RFC 2246 and RFC 5246, section 5: HMAC(A(1) + seed) + HMAC(A(2) + seed) + ..."""
    output, a = b"", seed
    while len(output) < length:
        a = mac(hash_name, secret, a)
        output += mac(hash_name, secret, a + seed)
    return output[:length]


def tls10_prf(secret: bytes, label: bytes, seed: bytes, length: int) -> bytes:
    """RFC 2246, section 5: P_MD5(S1) XOR P_SHA-1(S2), the halves sharing the middle byte of an odd secret."""
    half = (len(secret) + 1) // 2
    s1, s2 = secret[:half], secret[-half:]
    return xor(p_hash("MD5", s1, label + seed, length), p_hash("SHA1", s2, label + seed, length))
