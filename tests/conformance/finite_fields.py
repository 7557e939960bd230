"""DH and DSA for the conformance tests: throw-away domain parameters, blobs built independently of hwcng, and the
arithmetic of the standards.

The DSA parameters were made once with `hwcng.hostcrypto.domains.dsa_domain`, and hold by FIPS 186-4, A.1.1.3, or its
predecessor in FIPS 186-2, which `from_seed` writes out again; the 512-bit safe prime comes from `openssl dhparam`, the
1024-bit one is RFC 2409's.
"""

from __future__ import annotations

import hashlib
import struct
from typing import NamedTuple

MISSING = b"\xff"


class Domain(NamedTuple):
    """p, q, g; seed and counter as they were made."""

    p: int
    q: int
    g: int
    seed: bytes
    counter: int


def _domain(p: str, q: str, g: str, seed: str, counter: int) -> Domain:
    return Domain(int(p, 16), int(q, 16), int(g, 16), bytes.fromhex(seed), counter)


DSA_DOMAINS = {
    512: _domain(
        "9d672b5832652433a246a7532c3584cdf94420dd729a77c3c8de1de900b675e35d5482c818a43c2549f0eb6e6d7d9b32"
        "417493c4d10b2423265901baca35c597",
        "eafda30c57ba96290143768efde8ab179c01b773",
        "7f1c2a9f522412b9027d2def8654ee2b8df6e65c2e87fafd3c3d376394ed0dc6136926c2ac05dae168dfe370360a942a"
        "21fc1c5decfb4866d7cfd570fc7eae43",
        "e1092248a5aae68143138817fdc4654a7e83ec95",
        11,
    ),
    1024: _domain(
        "9bb43733dcbf3af58990c3691e1f1db4cd83292ca0f9d9da33647a231bf951d81ab2cff2cfd1ec30a83e13506852629d"
        "9c62442edd6175cb1d14fbad08c3d50527df27ffa62d47ff66d90c852eb13f9a2f0f7309fab018f0012508275126424b"
        "927d8f787a01a60266caac08162d68d66a919d86098513f9eb96286ccf112df7",
        "b53d5a088debc506d2910c84753a7e8faf57558b",
        "42ed198661936e7abe682670b82dcec36c0f48b7c7395d0368212414a0242ba8a2cdb5795a5dc1d561633cb1ff7c617a"
        "f07092d7e2b1670e25107a1f3c9ade9c4942b1880092ae7dfde04325441be0d8c8ad7badec345d6e0034d79ebe784c73"
        "88fe58a2f6da66e0a8e5d3c515bc04d46fb6a264b3dfa94368caaaffc78f7e44",
        "c573cd668eb960113bf3f84a234bdd845438f9e3",
        96,
    ),
    1088: _domain(
        "8cbc7aeedf80c393d5902f0d539ab10c12cded9e21978b35296ae7bf99c16d3708fe95f52ed9481cb62ad28a3208e517"
        "7a9d6a0905f4c307edb4a1d5681f288808705d08d7133af4f3a92fb021770855aadcd475c6641d467a95ac41c745e3e3"
        "943921eb6f97aecf72671085d1eb89f467eebefb7f739a773fe89c9d7807bcf34044130eafc6bff9",
        "ab7badd77a3d935fa6a36ed14e698b79c520c3d28c1c89c0e8f1b38d9acfbedd",
        "7f242214e8852d0033cfbd51bb0e8eb4bd3975182b8899f8eb2d243a8acd33eb9a250f9bf1d12ae835746e3901f794b7"
        "fcce08f8ad33a4d30159957e9dad339cea89e2a74c2d9083a67671f54bba666ee0a6aae07424e9aca25f06835688e49f"
        "c6b059a04ac8e77d0df2b4d81cbe567623757831809c99e96fdba4bee15ed5f83b4c15ab2f60ee57",
        "82da00a7de6d0f10428cccb9a46778eda9df949ff6d2f429c955bb0a453cb423",
        104,
    ),
    2048: _domain(
        "df4978d030ea6bfa3de0f8c4589032d4caaa9468a27124cddd8fe450efc29a05be259717468fd495668cd44e9f55576c"
        "99c06922bbdfa5b1b5df2b86a7394672d7998ea73fdf4f752b712a6a0786eb4ed977ab763c28502334e7d01904e8683a"
        "a40ffb4340fbea4c1722a011020531ffad022ab5e7dd3861d0b76faacb6bc25095a0d674b7f0fadc5211a10d67557efe"
        "7ab893e8fb48319d37f842820fc86cc157e44764aec423cea8c5932e3c8a86929b4dfdb3c33dd58f1c2a5073fda71ef8"
        "1cf4c07b3267351e167fb127b39947e8f7694300a80bf785135627bd8f67105508b08ef51bca3fd4a3e2aa32f33d6dc6"
        "fe37ea740390cc29b12bde90a65b93d5",
        "f4fd124b1db8d12edc6fa7b2a9eb29c8e5cf631ff15c1994eacf836116e903f3",
        "a6b8f996adbd513607b77e7bc649ce253e248fff1ed81b81089c628c17030561fa6dc3fcc028379bf5b8eaf5a009bec2"
        "f79ede175d1d9496c82f4700c73cd9891929be2a090d237d39b5521afda5bf8807085c7f47ef8a4de1d916709369e996"
        "489100d070b5fe26ac077394bb56e38aedb21fa9d596bf46a1a33898b3696ad7bc40db2443f0dac9313448cd004d8d4b"
        "72339745b580c97a4e4ed13e938a501a32fb438cfe06b97e3241b7ae0da71e52e9a2f762657e0541d619f81e7c8b975c"
        "9007d53ac7b9b6c28ce414e9907084c2bc482442985442f3ff55df67a0492c5db551e5382dbecdc3bfcceeab9d4b1519"
        "f518929d446d22a45444ff44628c7bf6",
        "e4de9fd74e237079f176664348ccc5d2238e1f259f75f68efe7e5d856393e1fb",
        480,
    ),
    3072: _domain(
        "970e17d55da6f212d4f9db06ed120a4a1b0a3126830dbf62888f7f674164765b7b5cf3483c085cefb6e86e29e26cb4a4"
        "0397ae7f309655b443f13b2f7fdfd9b9cc1a1cd5a93a1df8aa45da7f2f88db5df22d27bae61c0560294e5d140990ac61"
        "a4866bc34fb79781aa3db4c37937d82549be5e3ecd7beb24c62f5d7f0743b6a88c9d05cc143af7212e555eeebd3512b8"
        "5089db2e16e2b625b86f62869a698132302c9cfa49f8128a7615db136cf9e80f5d668bfa726f61695f52d976df7d78a5"
        "b833315013e9a45418ccafd846cf33c0cde2ab915594939eac39fb387649e1e374e40037cec56b157faefa136f15eee3"
        "bf530689a0db255710d6c555dc6180af0780455eee7ceecfd52dbc72211624a2be531852f9100c9f006dab28cb6d7b90"
        "b21ad751a9ebe67f2657890a263b74d58dda583c135b011d849c80f4e7e2981bbd9ab8fc551f6cc8eb64cb89296f7d3d"
        "209afeca9937f4fa929fb758f5321ea085c09b582257a72e793d343d5aa7844fad7bd4bc2ba3091104ce5579cacf827b",
        "bf8d6a3bfbe17f3e2ca1c0891ebed36aa577c93d25803f7f3940cdb4d0829c77",
        "4e7ddac74aa08eea4fc9389a6d01501172334c2db1d3c3221820920ff8e898321658afc57295ed649f5d16f4ddee7d4e"
        "59386b508f1ef7c8228f56bc5995508c8ce88c6e8b4405734d5a337e69b9f1d44066c0d99bb2aacdab600af4f3220e22"
        "dd85a239a5e15ddeae88afec6c6c949411beab52c177463306c28b24f2a578e7e99a716f9bc4095f348795cb98d39c4c"
        "7131fc213c3d7f0b94b0a9c735dce3df73fd07854d92f89d88b45518bb341623928aaf7e4cf4fc8cf3357ae6efcf3397"
        "d960e5718b2c8b7114843bab99c41139b77c547849248426827b710f13ca91f5245f6a895e4e547ba3e694a72b68d0d2"
        "648d1981f7aed70e65fcbbc5c197f7a4349e1c84da9211008f45895a81fdc6bc2645fc88051a7f3bdf1eceead17c2a16"
        "a51f1e83b2fe1c32cfbadbc7ffe5976f547cb96ffb8b75820f71a049f60f20de20e606701c0e3e947c74ff18003d033a"
        "b6f4b7c2d3258aab1fe8c2da06b2620a7edf8b394b878aadd40b4837140d71ca1ee038f7af8340558d42084cb4968e82",
        "a55f9b1b7f59adccbe980d6e6dc73fdcaa6111703e5f798fd32f27cd25ecf17b",
        1050,
    ),
}

DH_PRIMES = {
    512: int(
        "f2309f0d5843729738e1194bf3a23f451707be7be75645485df625f6803bc758d7f4b7ba383325ccd230ebcbd7b9475e"
        "645879b9dc09ab9c2524be7af5d25e5f",
        16,
    ),
    1024: int(
        "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd"
        "ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed"
        "ee386bfb5a899fa5ae9f24117c4b1fe649286651ece65381ffffffffffffffff",
        16,
    ),
}
DH_GENERATOR = 2


def octets(number: int, size: int) -> bytes:
    return number.to_bytes(size, "big")


def size_of(number: int) -> int:
    return (number.bit_length() + 7) // 8


def dh_blob(p: int, g: int, y: int, x: int | None = None, *, magic: bytes | None = None, size: int = 0) -> bytes:
    """DHPUBLICBLOB, or DHPRIVATEBLOB where there is an x."""
    size = size or size_of(p)
    numbers = (p, g, y) if x is None else (p, g, y, x)
    header = (magic or (b"DHPB" if x is None else b"DHPV")) + struct.pack("<I", size)
    return header + b"".join(octets(number, size) for number in numbers)


def dh_parameters(p: int, g: int) -> bytes:
    size = size_of(p)
    return struct.pack("<I4sI", 12 + 2 * size, b"DHPM", size) + octets(p, size) + octets(g, size)


def dsa_body(domain: Domain, *, seeded: bool = True, hash_number: int = 1) -> bytes:
    """What blobs and DSAParameters share, from the count or hashAlgorithm on."""
    p, q, g, seed, counter = domain
    count = struct.pack(">I", counter) if seeded else MISSING * 4
    made = seed if seeded else MISSING * size_of(q)
    version_2 = struct.pack("<4I", hash_number, 1, len(made), size_of(q)) if p.bit_length() > 1024 else b""
    return version_2 + count + made + octets(q, size_of(q)) + octets(p, size_of(p)) + octets(g, size_of(p))


def dsa_parameters(domain: Domain, *, seeded: bool = True, hash_number: int = 1) -> bytes:
    body = dsa_body(domain, seeded=seeded, hash_number=hash_number)
    magic = b"DPM2" if domain.p.bit_length() > 1024 else b"DSPM"
    return struct.pack("<I4sI", 12 + len(body), magic, size_of(domain.p)) + body


def dsa_blob(
    domain: Domain,
    y: int,
    x: int | None = None,
    *,
    seeded: bool = True,
    hash_number: int = 1,
    magic: bytes | None = None,
) -> bytes:
    """DSAPUBLICBLOB, or DSAPRIVATEBLOB where there is an x."""
    size, version_2 = size_of(domain.p), domain.p.bit_length() > 1024
    usual = {(False, False): b"DSPB", (False, True): b"DSPV", (True, False): b"DPB2", (True, True): b"DPV2"}
    header = (magic or usual[version_2, x is not None]) + struct.pack("<I", size)
    tail = b"" if x is None else octets(x, size_of(domain.q))
    return header + dsa_body(domain, seeded=seeded, hash_number=hash_number) + octets(y, size) + tail


def dh_capi_2(x: int, p: int, g: int, *, kind: int = 7) -> bytes:
    """PRIVATEKEYBLOB of version 2: DHPUBKEY, p, g, x."""
    size = size_of(p)
    header = struct.pack("<BBHI", kind, 2, 0, 0xAA02) + b"\0DH2" + struct.pack("<I", 8 * size)
    return header + b"".join(number.to_bytes(size, "little") for number in (p, g, x))


def dh_capi_3(x: int, p: int, g: int) -> bytes:
    """PRIVATEKEYBLOB of version 3: DHPRIVKEY_VER3, p, q, g, j, y, x; of a safe prime q is (p - 1) / 2 and j is 2."""
    size = size_of(p)
    sizes = struct.pack("<4I", 8 * size, 8 * size, 8, 512)
    header = struct.pack("<BBHI", 7, 3, 0, 0xAA02) + b"\0DH4" + sizes + b"\xff" * 24
    fields = ((p, size), (p // 2, size), (g, size), (2, 1), (pow(g, x, p), size), (x, 64))
    return header + b"".join(number.to_bytes(width, "little") for number, width in fields)


def dsa_capi_2(domain: Domain, x: int, *, seeded: bool = True, kind: int = 7) -> bytes:
    """PRIVATEKEYBLOB of version 2: DSSPUBKEY, p, q, g, x, DSSSEED."""
    p, q, g, seed, counter = domain
    size = size_of(p)
    header = struct.pack("<BBHI", kind, 2, 0, 0x2200) + b"DSS2" + struct.pack("<I", 8 * size)
    tail = struct.pack("<I", counter if seeded else 0xFFFFFFFF) + (seed[::-1] if seeded else MISSING * 20)
    fields = ((p, size), (q, 20), (g, size), (x, 20))
    return header + b"".join(number.to_bytes(width, "little") for number, width in fields) + tail


def dsa_capi_3(domain: Domain, x: int) -> bytes:
    """PRIVATEKEYBLOB of version 3: DSSPRIVKEY_VER3, p, q, g, j, y, x."""
    p, q, g = domain[:3]
    size, group = size_of(p), size_of(q)
    header = struct.pack("<BBHI", 7, 3, 0, 0x2200) + b"DSS4"
    sizes = struct.pack("<4I", 8 * size, 8 * group, 0, 8 * group) + MISSING * 24
    fields = ((p, size), (q, group), (g, size), (pow(g, x, p), size), (x, group))
    return header + sizes + b"".join(number.to_bytes(width, "little") for number, width in fields)


def verifies(domain: Domain, y: int, digest: bytes, signature: bytes) -> bool:
    """FIPS 186-4, section 4.7."""
    p, q, g = domain[:3]
    size = size_of(q)
    if len(signature) != 2 * size:
        return False
    r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
    if not (0 < r < q and 0 < s < q):
        return False
    w = pow(s, -1, q)
    z = int.from_bytes(digest[:size], "big")
    return pow(g, z * w % q, p) * pow(y, r * w % q, p) % p % q == r


def from_seed(bits: int, seed: bytes, counter: int, hash_name: str, subprime_bits: int, *, fips_186_2: bool) -> Domain:
    """p and q of a seed and a counter as the two standards say it, and the generator of the smallest h."""
    seed_bits = 8 * len(seed)

    def digest(offset: int) -> int:
        moved = (int.from_bytes(seed, "big") + offset) % 2**seed_bits
        value = hashlib.new(hash_name, moved.to_bytes(len(seed), "big"), usedforsecurity=False).digest()
        return int.from_bytes(value, "big")

    if fips_186_2:
        q = (digest(0) ^ digest(1)) | 2**159 | 1
    else:
        u = digest(0) % 2 ** (subprime_bits - 1)
        q = 2 ** (subprime_bits - 1) + u + 1 - u % 2
    outlen = 8 * hashlib.new(hash_name, usedforsecurity=False).digest_size
    n, b = divmod(bits - 1, outlen)
    offset = (2 if fips_186_2 else 1) + counter * (n + 1)
    w = sum(digest(offset + k) * 2 ** (k * outlen) for k in range(n)) + digest(offset + n) % 2**b * 2 ** (n * outlen)
    x = w + 2 ** (bits - 1)
    p = x - (x % (2 * q) - 1)
    h = 2
    while pow(h, (p - 1) // q, p) == 1:
        h += 1
    return Domain(p, q, pow(h, (p - 1) // q, p), seed, counter)
