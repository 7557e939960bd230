"""What the ciphers beside AES are compared with: `cryptography`, and RC2 and RC4 written out for every key length.

Nothing here uses hwcng.
"""

from __future__ import annotations

from cryptography.hazmat.decrepit.ciphers import algorithms as decrepit
from cryptography.hazmat.decrepit.ciphers.modes import CFB, CFB8
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

BLOCK = 8

# RFC 2268, section 2.
_PITABLE = bytes.fromhex(
    "d978f9c419ddb5ed28e9fd794aa0d89dc67e37832b76538e624c6488448bfba2"
    "179a59f587b34f1361456d8d09817d32bd8f40eb86b77b0bf09521225c6b4e82"
    "54d66593ce60b21c7356c014a78cf1dc1275ca1f3bbee4d1423dd430a33cb626"
    "6fbf0eda4669075727f21d9bbc944303f811c7f690ef3ee706c3d52fc8661ed7"
    "08e8eade8052eef784aa72ac354d6a2a961ad2715a1549744b9fd05e0418a4ec"
    "c2e0416e0f51cbcc2491af50a1f47039997c3a8523b8b47afc02365b25559731"
    "2d5dfa98e38a92ae05df2910676cbac9d300e6cfe19ea82c6316013f58e289a9"
    "0d38341bab33ffb0bb480c5fb9b1cd2ec5f3db47e5a59c770aa62068fe7fc1ad"
)


def _rc2_key(key: bytes, effective_bits: int) -> list[int]:
    octets = bytearray(key)
    for index in range(len(key), 128):
        octets.append(_PITABLE[(octets[index - 1] + octets[index - len(key)]) & 0xFF])
    size = (effective_bits + 7) // 8
    octets[128 - size] = _PITABLE[octets[128 - size] & (0xFF >> (8 * size - effective_bits))]
    for index in range(127 - size, -1, -1):
        octets[index] = _PITABLE[octets[index + 1] ^ octets[index + size]]
    return [octets[2 * index] | octets[2 * index + 1] << 8 for index in range(64)]


def rc2_block(key: bytes, effective_bits: int, block: bytes) -> bytes:
    """RFC 2268, section 3: sixteen mixing and two mashing rounds."""
    words = _rc2_key(key, effective_bits)
    r = [int.from_bytes(block[2 * index : 2 * index + 2], "little") for index in range(4)]
    position = 0
    for turn in range(16):
        for index, rotation in enumerate((1, 2, 3, 5)):
            before, two, three = r[index - 1], r[index - 2], r[index - 3]
            mixed = (r[index] + words[position] + (before & two) + (~before & three)) & 0xFFFF
            r[index] = (mixed << rotation | mixed >> (16 - rotation)) & 0xFFFF
            position += 1
        if turn in (4, 10):
            for index in range(4):
                r[index] = (r[index] + words[r[index - 1] & 63]) & 0xFFFF
    return b"".join(word.to_bytes(2, "little") for word in r)


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=False))


def rc2(mode: str, key: bytes, iv: bytes, data: bytes, effective_bits: int | None = None) -> bytes:
    """Encryption. mode: ECB, CBC, CFB8 or CFB64."""
    bits = effective_bits or 8 * len(key)
    step = 1 if mode == "CFB8" else BLOCK
    register, out = iv, b""
    for start in range(0, len(data), step):
        piece = data[start : start + step]
        if mode == "ECB":
            piece = rc2_block(key, bits, piece)
        elif mode == "CBC":
            piece = register = rc2_block(key, bits, _xor(piece, register))
        else:
            piece = _xor(piece, rc2_block(key, bits, register))
            register = (register + piece)[-BLOCK:]
        out += piece
    return out


def des(mode: str, key: bytes, iv: bytes, data: bytes) -> bytes:
    """Encryption with single, two-key or three-key DES, by the key's length. mode: ECB, CBC, CFB8 or CFB64."""
    triple = {8: key * 3, 16: key + key[:8], 24: key}[len(key)]
    chained = {"ECB": modes.ECB(), "CBC": modes.CBC(iv), "CFB8": CFB8(iv), "CFB64": CFB(iv)}[mode]  # noqa: S305
    encryptor = Cipher(decrepit.TripleDES(triple), chained).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def rc4(key: bytes, data: bytes) -> bytes:
    state, j = list(range(256)), 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) & 0xFF
        state[i], state[j] = state[j], state[i]
    i = j = 0
    out = bytearray()
    for octet in data:
        i = (i + 1) & 0xFF
        j = (j + state[i]) & 0xFF
        state[i], state[j] = state[j], state[i]
        out.append(octet ^ state[(state[i] + state[j]) & 0xFF])
    return bytes(out)


def xts(key: bytes, number: int, unit: int, data: bytes) -> bytes:
    """Encryption of data units of `unit` bytes; key: the data key, then the tweak key."""
    out = b""
    for index, start in enumerate(range(0, len(data), unit)):
        tweak = (number + index).to_bytes(16, "little")
        encryptor = Cipher(algorithms.AES(key), modes.XTS(tweak)).encryptor()
        out += encryptor.update(data[start : start + unit]) + encryptor.finalize()
    return out


def block_cipher(name: str, mode: str, key: bytes, iv: bytes, data: bytes) -> bytes:
    """name: DES, 3DES, 3DES_112 or RC2."""
    return rc2(mode, key, iv, data) if name == "RC2" else des(mode, key, iv, data)


def poly1305(key: bytes, nonce: bytes, aad: bytes, data: bytes) -> bytes:
    """ChaCha20-Poly1305: ciphertext and tag."""
    return ChaCha20Poly1305(key).encrypt(nonce, data, aad)
