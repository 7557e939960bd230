"""Where hwcng and Wine's bcrypt.dll differ on the cases, and why.

Measured with Wine 8.0 (Debian 12) and Wine 10.0 (Debian 13), the cases of Triple DES, DSA and DH with 8.0 alone. A
difference lists groups of cases: what hwcng, Wine 8.0 and Wine 10.0 make of them, then their names. docs/wine.md has
the table of `table()`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

__all__ = ["DIFFERENCES", "LACKS", "MEASURED", "OTHER", "SAME", "VALUE", "Answers", "Difference", "by_case", "table"]

MEASURED = ("8.0", "10.0")
SAME = "as hwcng"
VALUE = "a value"
"""Of hwcng's: the conformance tests prove it. Of Wine's: where hwcng has a status."""

OTHER = "another value"


class Answers(NamedTuple):
    """What the implementations make of some cases."""

    ours: str
    wine8: str
    wine10: str
    cases: tuple[str, ...]

    def of_wine(self, version: str) -> tuple[str, ...]:
        """What Wine may answer; of a version that was not measured, what any that was does."""
        measured = dict(zip(MEASURED, (self.wine8, self.wine10), strict=True))
        return (measured[version],) if version in measured else (SAME, *measured.values())


class Difference(NamedTuple):
    """listing: lines "hwcng | Wine 8.0 | Wine 10.0:", each before the names of cases, which semicolons separate."""

    reason: str
    listing: str

    @property
    def answers(self) -> Sequence[Answers]:
        groups: list[tuple[list[str], list[str]]] = []
        for line in filter(None, map(str.strip, self.listing.splitlines())):
            if line.endswith(":"):
                groups.append((line.removesuffix(":").split(" | "), []))
            else:
                groups[-1][1].append(line)
        return [Answers(*answers, tuple(" ".join(lines).split("; "))) for answers, lines in groups]

    def count(self, version: str) -> int:
        return sum(len(answers.cases) for answers in self.answers if answers.of_wine(version) != (SAME,))


LACKS: Mapping[str, tuple[str, ...]] = {
    "verification of MD5": ("8.0",),
    "signatures without DigestInfo": ("8.0",),
    "PSS with SHA1": MEASURED,
    "PSS with a chosen salt": MEASURED,
    "ECDSA with SHA512": MEASURED,
    "OAEP": ("8.0",),
    "OAEP with SHA1": MEASURED,
    "OAEP encryption without a label": MEASURED,
    "BCryptDeriveKey": ("8.0",),
    "SECRET_PREPEND and SECRET_APPEND": MEASURED,
    "the function HMAC": MEASURED,
}
"""What keys cannot be used for when they are exchanged with Wine, and in which versions."""

DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        "Wine has no SHA-3, no CMAC or GMAC, no P-521, no curve by its name, no CCM, no AES-192-GCM, and Wine 8 no DH.",
        """
        a value | STATUS_NOT_IMPLEMENTED | as hwcng:
            open DH
        a value | STATUS_NOT_IMPLEMENTED | STATUS_NOT_IMPLEMENTED:
            open SHA3-256; open SHA3-384; open SHA3-512; open AES-CMAC; open AES-GMAC; open ECDSA_P521;
            open ECDH_P521; open ECDSA; open ECDH; set ChainingModeCCM of AES algorithm;
            set ChainingModeCCM of AES key; CCM encrypts 32 bytes
        STATUS_INVALID_PARAMETER | STATUS_NOT_IMPLEMENTED | STATUS_NOT_IMPLEMENTED:
            CCM without its record
        a value | STATUS_NOT_SUPPORTED | STATUS_NOT_SUPPORTED:
            GCM under 24 bytes
        """,
    ),
    Difference(
        "Wine has not implemented this property.",
        """
        a value | STATUS_NOT_IMPLEMENTED | STATUS_NOT_IMPLEMENTED:
            get BlockSizeList of AES algorithm; get HashBlockLength of SHA256 algorithm;
            get IsKeyedHash of SHA256 algorithm; get HashBlockLength of SHA512 algorithm;
            get PrimitiveType of SHA512 algorithm; get KeyLengths of RSA algorithm;
            get PrimitiveType of RNG algorithm; get KeyLengths of ECDSA_P256 algorithm;
            get PrimitiveType of ECDSA_P256 algorithm; get AlgorithmName of AES key; get KeyLength of AES key;
            get KeyLength of AES-256 key; get MessageBlockLength of AES-256 key; get HashBlockLength of SHA256 hash;
            get AlgorithmName of RSA-1024 key; get KeyLength of RSA-1024 key; get PublicKeyLength of RSA-1024 key;
            get SignatureLength of RSA-1024 key; get BlockLength of RSA-1024 key;
            get KeyLength of RSA-2048 public key; get SignatureLength of RSA-2048 public key;
            get AlgorithmName of ECDSA_P256 key; get KeyLength of ECDSA_P256 key;
            get PublicKeyLength of ECDSA_P256 key; get SignatureLength of ECDSA_P256 key;
            get AlgorithmName of ECDH_P384 key; get KeyLength of ECDH_P384 key;
            set IV of AES key to 101112131415161718191a1b1c1d1e1f; set MessageBlockLength of AES key to 1;
            set MessageBlockLength of AES key to 16; CBC the IV property; CBC the IV property again;
            CFB feedback of 16 bytes; CFB feedback of 16 bytes, a partial block; CFB feedback of 16 bytes, two calls;
            CFB feedback of a duplicate; get property of an AES key; get property of an RSA pair
        STATUS_INVALID_PARAMETER | STATUS_NOT_IMPLEMENTED | STATUS_NOT_IMPLEMENTED:
            set IV of AES key to 101112131415161718191a1b1c1d1e; set IV of AES key to empty;
            set MessageBlockLength of AES key to 8
        a value | STATUS_NOT_IMPLEMENTED | as hwcng:
            get KeyStrength of AES key; get KeyStrength of RSA-1024 key; get KeyStrength of RSA-2048 public key;
            get KeyStrength of ECDSA_P256 key; get KeyStrength of ECDH_P384 key
        """,
    ),
    Difference(
        "Wine has not implemented the export of PUBLICBLOB and the import of PRIVATEBLOB.",
        """
        a value | STATUS_NOT_IMPLEMENTED | STATUS_NOT_IMPLEMENTED:
            export an RSA pair as PUBLICBLOB; export an RSA public key as PUBLICBLOB;
            export an ECDSA pair as PUBLICBLOB; export an ECDH public key as PUBLICBLOB; export an RSA pair
        a value | STATUS_NOT_SUPPORTED | STATUS_NOT_SUPPORTED:
            RSA private key as PRIVATEBLOB
        """,
    ),
    Difference(
        "Wine has no PSS with MD5 and SHA-1, and fails within where a salt does not fit.",
        """
        a value | STATUS_NOT_IMPLEMENTED | STATUS_NOT_IMPLEMENTED:
            RSA PSS MD5 verification; RSA PSS SHA1 verification
        STATUS_INVALID_PARAMETER | STATUS_INTERNAL_ERROR | STATUS_INTERNAL_ERROR:
            RSA PSS signature with a salt that is too long
        a value | STATUS_INTERNAL_ERROR | STATUS_INTERNAL_ERROR:
            RSA PSS MD5 signature's length; RSA PSS SHA1 signature's length
        """,
    ),
    Difference(
        "Wine has no RSA without a padding.",
        """
        a value | STATUS_NOT_IMPLEMENTED | STATUS_NOT_IMPLEMENTED:
            RSA raw encryption of 128 bytes; RSA raw decryption
        STATUS_INVALID_PARAMETER | STATUS_NOT_IMPLEMENTED | STATUS_NOT_IMPLEMENTED:
            RSA raw encryption of 0 bytes; RSA raw encryption of 64 bytes; RSA raw encryption of 127 bytes;
            RSA raw encryption of 129 bytes; RSA raw encryption of more than the modulus
        a value | STATUS_INTERNAL_ERROR | STATUS_INTERNAL_ERROR:
            RSA encryption without flags
        """,
    ),
    Difference(
        "Where a name is unknown Wine says that it is not implemented; STATUS_NOT_FOUND is documented.",
        """
        STATUS_NOT_FOUND | STATUS_NOT_IMPLEMENTED | STATUS_NOT_IMPLEMENTED:
            open 'aes'; open 'AES '; open 'NONE'; open ''; open an unknown implementation
        """,
    ),
    Difference(
        "Wine opens AES with the flag of HMACs.",
        """
        STATUS_NOT_SUPPORTED | a value | a value:
            open AES with flags 0x8
        """,
    ),
    Difference(
        "KeyLengths is a property of algorithms and ChainingMode one of symmetric keys (documented); Wine answers "
        "for others too.",
        """
        STATUS_NOT_SUPPORTED | a value | a value:
            get KeyLengths of AES-256 key; set property of an RSA pair
        """,
    ),
    Difference(
        "In hwcng no key and no private half leaves its token in plaintext. Of a pair Wine also exports what is "
        "no blob of it.",
        """
        STATUS_NOT_SUPPORTED | a value | a value:
            export an AES key as KeyDataBlob; export an RSA pair as ECCPUBLICBLOB; export an RSA pair as KeyDataBlob;
            export an RSA public key as ECCPUBLICBLOB; export an RSA public key as KeyDataBlob;
            export an ECDSA pair as RSAPUBLICBLOB; export an ECDSA pair as KeyDataBlob;
            export an ECDH public key as RSAPUBLICBLOB; export an ECDH public key as KeyDataBlob;
            export an RSA pair as RSAPRIVATEBLOB; export an ECDSA pair as ECCPRIVATEBLOB
        """,
    ),
    Difference(
        "Wine's BCryptGenerateKeyPair checks neither the algorithm nor the length.",
        """
        STATUS_NOT_SUPPORTED | a value | a value:
            pair of AES; pair of SHA256; pair of RNG; generate a pair of an algorithm
        STATUS_INVALID_PARAMETER | a value | a value:
            pair of DSA with 256 bits;
            pair of RSA with 0 bits; pair of RSA with 384 bits; pair of RSA with 511 bits; pair of RSA with 520 bits;
            pair of RSA with 16448 bits; pair of RSA_SIGN with 0 bits; pair of RSA_SIGN with 1025 bits;
            pair of ECDSA_P256 with 0 bits; pair of ECDSA_P256 with 255 bits; pair of ECDSA_P256 with 384 bits;
            pair of ECDSA_P384 with 256 bits; pair of ECDH_P256 with 0 bits; pair of ECDH_P256 with 384 bits;
            pair of ECDH_P384 with 521 bits
        """,
    ),
    Difference(
        "Wine ignores flags that a function does not define, or says that it has not implemented them; hwcng "
        "refuses them (our choice).",
        """
        STATUS_INVALID_PARAMETER | STATUS_NOT_IMPLEMENTED | STATUS_NOT_IMPLEMENTED:
            open AES with flags 0x2; open AES with flags 0x80000000; open SHA256 with flags 0x2;
            open SHA256 with flags 0x80000000;
            CBC with flags 0x2; CBC with flags 0x10; CBC with flags 0x80000000; ECB with flags 0x2;
            ECB with flags 0x10; ECB with flags 0x80000000; CFB with flags 0x2; CFB with flags 0x10;
            CFB with flags 0x80000000; GCM with flags 0x2; a hash with flags 0x1; a hash with flags 0x80000000;
            RSA signature with flags 0x80
        STATUS_INVALID_PARAMETER | STATUS_SUCCESS | STATUS_SUCCESS:
            close with flags; finalize with flags
        STATUS_INVALID_PARAMETER | a value | a value:
            PBKDF2 with flags; CAPI key with flags;
            symmetric key with flags; 16 random bytes of RNG, flags 2; pair with flags 0x1; pair with flags 0x8;
            RSAPUBLICBLOB with flags 0x1; agreement with flags
        STATUS_INVALID_PARAMETER | STATUS_INTERNAL_ERROR | STATUS_INTERNAL_ERROR:
            RSA encryption with flags 0x80
        STATUS_INVALID_PARAMETER | STATUS_INTERNAL_ERROR | a value:
            ECDH_P256 HASH with flags
        """,
    ),
    Difference(
        "Where an object has no such property, blob or hash, Wine mostly says that it is not implemented; "
        "STATUS_NOT_SUPPORTED is documented.",
        """
        STATUS_INVALID_PARAMETER | STATUS_NOT_IMPLEMENTED | STATUS_NOT_IMPLEMENTED:
            set MessageBlockLength of AES algorithm to 16
        STATUS_NOT_SUPPORTED | STATUS_NOT_IMPLEMENTED | STATUS_NOT_IMPLEMENTED:
            get NoSuchProperty of AES algorithm; get NoSuchProperty of SHA256 algorithm;
            get NoSuchProperty of SHA512 algorithm; get NoSuchProperty of RSA algorithm;
            get NoSuchProperty of RNG algorithm; get NoSuchProperty of ECDSA_P256 algorithm;
            get NoSuchProperty of AES key; get NoSuchProperty of AES-256 key; get NoSuchProperty of SHA256 hash;
            get NoSuchProperty of HMAC-SHA256 hash; get NoSuchProperty of RSA-1024 key;
            get NoSuchProperty of RSA-2048 public key; get NoSuchProperty of ECDSA_P256 key;
            get SignatureLength of ECDH_P384 key; get NoSuchProperty of ECDH_P384 key;
            set ChainingModeN/A of AES algorithm; set ChainingModeN/A of AES key;
            set ChainingModeOFB of AES algorithm; set ChainingModeOFB of AES key;
            set KeyLength of AES algorithm to 256; set IV of AES algorithm to 101112131415161718191a1b1c1d1e1f;
            set NoSuchProperty of AES key to 1; set ChainingMode of RSA algorithm to ChainingModeCBC;
            set ChainingMode of SHA256 algorithm to ChainingModeCBC; NoSuchBlob of an AES key;
            RSAPUBLICBLOB of an AES key; export an AES key as NoSuchBlob; a hash on AES; a hash on RSA; a hash on RNG;
            a hash on ECDSA_P256; export an RSA pair as NoSuchBlob; export an RSA public key as NoSuchBlob;
            export an ECDSA pair as NoSuchBlob; export an ECDH public key as NoSuchBlob; export an AES key;
            create a hash of an algorithm
        STATUS_NOT_SUPPORTED | STATUS_INVALID_HANDLE | STATUS_INVALID_HANDLE:
            set HashDigestLength of SHA256 hash to 32; set property of a hash
        STATUS_INVALID_HANDLE | STATUS_NOT_IMPLEMENTED | STATUS_NOT_IMPLEMENTED:
            set IV of ECDSA_P256 key to 101112131415161718191a1b1c1d1e1f
        STATUS_NOT_SUPPORTED | STATUS_NOT_IMPLEMENTED | STATUS_INVALID_HANDLE:
            export an AES key as RSAPUBLICBLOB
        """,
    ),
    Difference(
        "PaddingSchemes has the bits of what each implements.",
        """
        a value | another value | another value:
            get PaddingSchemes of RSA algorithm
        """,
    ),
    Difference(
        "Wine has a running IV per direction, and one of zeros again with block padding, in a duplicate and after "
        "a change of mode. hwcng has one per key that goes on and is copied (our choice).",
        """
        a value | another value | another value:
            CBC both directions; CBC padded calls; CBC a duplicate of a used key; CBC mode set on a used key
        """,
    ),
    Difference(
        "Wine ignores the record of an authenticated mode where the mode is none, and the flags that chain calls "
        "of GCM.",
        """
        a value | another value | another value:
            GCM in two calls; GCM in three calls
        STATUS_INVALID_PARAMETER | a value | a value:
            CBC with a record; ECB with a record; CFB with a record
        """,
    ),
    Difference(
        "The bit length of an RSA blob is not checked (Windows does not either); hwcng exports the modulus's own, "
        "Wine the one that it was given.",
        """
        a value | another value | another value:
            RSAPUBLICBLOB with a wrong bit length
        """,
    ),
    Difference(
        "Wine 8 has no OAEP. Wine 10 has it, but not with SHA-1, encrypts with a label only, and fails within "
        "where a label is wrong.",
        """
        a value | STATUS_NOT_IMPLEMENTED | as hwcng:
            RSA OAEP SHA256 encryption with a label; RSA OAEP SHA256 decryption;
            RSA OAEP SHA256 decryption with a label
        a value | STATUS_NOT_IMPLEMENTED | STATUS_INVALID_PARAMETER:
            RSA OAEP SHA1 encryption of 0 bytes; RSA OAEP SHA1 encryption of 1 bytes;
            RSA OAEP SHA1 encryption of 86 bytes; RSA OAEP SHA256 encryption of 0 bytes;
            RSA OAEP SHA256 encryption of 1 bytes; RSA OAEP SHA256 encryption of 62 bytes
        STATUS_INVALID_PARAMETER | STATUS_NOT_IMPLEMENTED | as hwcng:
            RSA OAEP SHA1 encryption of 87 bytes; RSA OAEP SHA256 encryption of 63 bytes;
            RSA OAEP encryption without a record
        a value | STATUS_NOT_IMPLEMENTED | STATUS_INTERNAL_ERROR:
            RSA OAEP SHA1 encryption with a label; RSA OAEP SHA1 decryption; RSA OAEP SHA1 decryption with a label
        STATUS_INVALID_PARAMETER | STATUS_NOT_IMPLEMENTED | STATUS_INTERNAL_ERROR:
            RSA OAEP SHA1 decryption with a wrong label; RSA OAEP SHA256 decryption with a wrong label
        STATUS_NOT_SUPPORTED | STATUS_NOT_IMPLEMENTED | STATUS_INVALID_PARAMETER:
            RSA OAEP encryption under an unknown hash
        """,
    ),
    Difference(
        "Wine takes the block's bits for the strength of an AES-256 key.",
        """
        a value | STATUS_NOT_IMPLEMENTED | another value:
            get KeyStrength of AES-256 key
        """,
    ),
    Difference(
        "An empty pair is no handle to use: STATUS_INVALID_HANDLE is documented.",
        """
        STATUS_INVALID_HANDLE | STATUS_NOT_IMPLEMENTED | STATUS_NOT_IMPLEMENTED:
            export with an empty pair of ECDSA_P256; export with an empty pair of RSA
        STATUS_INVALID_HANDLE | a value | a value:
            agree with an empty pair of ECDH_P256
        STATUS_INVALID_HANDLE | STATUS_INVALID_PARAMETER | STATUS_INVALID_PARAMETER:
            sign with an empty pair of ECDSA_P256
        STATUS_INVALID_HANDLE | STATUS_INVALID_SIGNATURE | STATUS_INVALID_SIGNATURE:
            verify with an empty pair of ECDSA_P256
        """,
    ),
    Difference(
        "Wine does not check an IV's length and reads past its end or fails within; STATUS_INVALID_PARAMETER is "
        "documented.",
        """
        STATUS_INVALID_PARAMETER | a value | a value:
            CFB with an IV of 0 bytes; CFB with an IV of 8 bytes; CFB with an IV of 15 bytes
        STATUS_INVALID_PARAMETER | STATUS_INTERNAL_ERROR | STATUS_INTERNAL_ERROR:
            CBC with an IV of 0 bytes; CBC with an IV of 8 bytes; CBC with an IV of 15 bytes;
            CBC with an IV of 17 bytes; CBC with an IV of 32 bytes; CFB with an IV of 17 bytes;
            CFB with an IV of 32 bytes
        """,
    ),
    Difference(
        "Wine takes a secret for a plain hash and goes on with a finished one.",
        """
        STATUS_INVALID_PARAMETER | a value | a value:
            MD5 with a secret; SHA1 with a secret; SHA256 with a secret; SHA384 with a secret; SHA512 with a secret
        STATUS_INVALID_HANDLE | a value | a value:
            finish a hash twice; data for a finished hash; duplicate a finished hash
        a value | another value | another value:
            CAPI key twice
        """,
    ),
    Difference(
        "Wine hardly checks RSA blobs. hwcng refuses sizes that do not fit with NTE_BAD_DATA, as Windows does, "
        "and numbers that are no RSA key.",
        """
        STATUS_INVALID_PARAMETER | a value | a value:
            RSAPUBLICBLOB with an exponent of 1; RSAPUBLICBLOB with an even modulus
        STATUS_INVALID_PARAMETER | STATUS_INTERNAL_ERROR | STATUS_INTERNAL_ERROR:
            RSAPUBLICBLOB with an exponent of 0
        NTE_BAD_DATA | STATUS_INVALID_PARAMETER | STATUS_INVALID_PARAMETER:
            RSAPUBLICBLOB of 23 bytes; RSAPUBLICBLOB that is empty
        STATUS_INVALID_PARAMETER | STATUS_NOT_SUPPORTED | STATUS_NOT_SUPPORTED:
            RSAPUBLICBLOB with a wrong magic; RSAPUBLICBLOB with the private magic;
            RSAPRIVATEBLOB with the public magic
        NTE_BAD_DATA | a value | a value:
            RSAPUBLICBLOB with an exponent of 9 bytes; RSAPRIVATEBLOB one byte short; RSAPRIVATEBLOB one byte long
        NTE_BAD_DATA | a value | STATUS_INTERNAL_ERROR:
            RSAPRIVATEBLOB of a header alone
        """,
    ),
    Difference(
        "Wine does not check that a point is on its curve, nor a blob's length.",
        """
        STATUS_INVALID_PARAMETER | a value | a value:
            ECCPUBLICBLOB of ECDSA one byte long; ECCPUBLICBLOB of ECDSA off the curve;
            ECCPUBLICBLOB of ECDSA over the field; ECCPUBLICBLOB of ECDH one byte long;
            ECCPUBLICBLOB of ECDH off the curve; ECCPUBLICBLOB of ECDH over the field
        STATUS_INVALID_PARAMETER | STATUS_INTERNAL_ERROR | STATUS_INTERNAL_ERROR:
            ECCPUBLICBLOB of ECDSA of zeros; ECCPUBLICBLOB of ECDH of zeros
        """,
    ),
    Difference(
        "The digest's length must be that of the named hash; Wine signs anything and says that the signature is "
        "wrong on verification.",
        """
        STATUS_INVALID_PARAMETER | a value | a value:
            RSA PKCS1 MD5 signature of a short digest; RSA PKCS1 SHA1 signature of a short digest;
            RSA PKCS1 SHA256 signature of a short digest; RSA PKCS1 SHA384 signature of a short digest;
            RSA PKCS1 SHA512 signature of a short digest
        STATUS_INVALID_PARAMETER | STATUS_INVALID_SIGNATURE | STATUS_INVALID_SIGNATURE:
            RSA PKCS1 verification of a short digest
        """,
    ),
    Difference(
        "For a signature of a wrong length two statuses are documented; Wine even takes an ECDSA one that is too long.",
        """
        STATUS_INVALID_PARAMETER | a value | a value:
            ECDSA_P256 verification of a long signature; ECDSA_P384 verification of a long signature
        STATUS_INVALID_PARAMETER | STATUS_INVALID_SIGNATURE | STATUS_INVALID_SIGNATURE:
            ECDSA_P256 verification of a short signature; ECDSA_P384 verification of a short signature
        STATUS_INVALID_SIGNATURE | STATUS_INVALID_PARAMETER | STATUS_INVALID_PARAMETER:
            RSA PKCS1 verification of an empty signature
        """,
    ),
    Difference(
        "ECDSA takes neither a record nor flags; Wine does not look.",
        """
        STATUS_INVALID_PARAMETER | a value | a value:
            ECDSA_P256 verification with a record; ECDSA_P256 verification with flags;
            ECDSA_P256 signature with a record; ECDSA_P256 signature with flags;
            ECDSA_P384 verification with a record; ECDSA_P384 verification with flags
        """,
    ),
    Difference(
        "Without a padding an input has the modulus's size; Wine takes any with the flags 0.",
        """
        STATUS_INVALID_PARAMETER | a value | a value:
            encrypt with an RSA pair
        """,
    ),
    Difference(
        "Wine does not look at the size of a key object; STATUS_BUFFER_TOO_SMALL is documented.",
        """
        STATUS_BUFFER_TOO_SMALL | a value | a value:
            key object of 1 bytes; duplicate in a key object of 1 bytes; key object of 653 bytes;
            duplicate in a key object of 653 bytes
        """,
    ),
    Difference(
        "Wine looks at a padding's last byte alone and has another status; STATUS_DATA_ERROR is what Windows is "
        "reported to return.",
        """
        STATUS_DATA_ERROR | STATUS_BUFFER_TOO_SMALL | STATUS_BUFFER_TOO_SMALL:
            CBC decrypts 0 bytes as padded; ECB decrypts 0 bytes as padded; CFB decrypts 0 bytes as padded
        STATUS_DATA_ERROR | a value | a value:
            CBC decrypts a padding of 0; CBC decrypts a padding of 3 with a wrong byte; ECB decrypts a padding of 0;
            ECB decrypts a padding of 3 with a wrong byte; CFB decrypts a padding of 0;
            CFB decrypts a padding of 3 with a wrong byte
        STATUS_DATA_ERROR | STATUS_UNSUCCESSFUL | STATUS_UNSUCCESSFUL:
            CBC decrypts a padding of 17; CBC decrypts a padding of 255; ECB decrypts a padding of 17;
            ECB decrypts a padding of 255; CFB decrypts a padding of 17; CFB decrypts a padding of 255
        """,
    ),
    Difference(
        "Both refuse every nonce but one of 12 bytes, Wine with an error of GnuTLS.",
        """
        STATUS_INVALID_PARAMETER | STATUS_INTERNAL_ERROR | STATUS_INTERNAL_ERROR:
            GCM with a nonce of 0 bytes; GCM with a nonce of 1 bytes; GCM with a nonce of 8 bytes;
            GCM with a nonce of 11 bytes; GCM with a nonce of 13 bytes; GCM with a nonce of 16 bytes;
            GCM with a nonce of 64 bytes
        """,
    ),
    Difference(
        "Both refuse what does not fit the key, Wine with an error of GnuTLS.",
        """
        STATUS_INVALID_PARAMETER | STATUS_INTERNAL_ERROR | STATUS_INTERNAL_ERROR:
            RSA PKCS1 encryption of 118 bytes; RSA PKCS1 encryption of 128 bytes;
            RSA PKCS1 decryption of a short ciphertext; RSA PKCS1 decryption of a long ciphertext;
            RSA PKCS1 decryption of nothing; decrypt with an RSA pair
        """,
    ),
    Difference(
        "With a feedback of one byte any length is fine, but Wine takes whole blocks of CFB.",
        """
        a value | STATUS_INVALID_BUFFER_SIZE | STATUS_INVALID_BUFFER_SIZE:
            CFB encrypts 1 bytes; CFB decrypts 1 bytes; CFB encrypts 15 bytes; CFB decrypts 15 bytes;
            CFB encrypts 17 bytes; CFB decrypts 17 bytes; CFB encrypts 31 bytes; CFB decrypts 31 bytes;
            CFB encrypts 33 bytes; CFB decrypts 33 bytes; CFB two calls; CFB two calls decrypting; CFB short calls
        """,
    ),
    Difference(
        "Wine 8 neither updates the caller's IV nor goes on from it; Wine 10 does both, as documented.",
        """
        a value | another value | as hwcng:
            CBC leaves an IV after 16 bytes; CBC leaves an IV after decrypting 16 bytes;
            CBC leaves an IV after 48 bytes; CBC leaves an IV after decrypting 48 bytes;
            CBC leaves an IV after 17 bytes padded; CFB leaves an IV after 16 bytes;
            CFB leaves an IV after decrypting 16 bytes; CFB leaves an IV after 48 bytes;
            CFB leaves an IV after decrypting 48 bytes; CFB leaves an IV after 17 bytes padded;
            CBC a given IV, then none; CFB a given IV, then none; CBC a given IV, then none, decrypting
        """,
    ),
    Difference(
        "Wine imports no private key of P-384.",
        """
        a value | STATUS_NOT_SUPPORTED | STATUS_NOT_SUPPORTED:
            ECDSA_P384 private key; ECDSA_P384 signature's length of MD5; ECDSA_P384 signature's length of SHA1;
            ECDSA_P384 signature's length of SHA256; ECDSA_P384 signature's length of SHA384;
            ECDSA_P384 signature's length of SHA512
        STATUS_INVALID_PARAMETER | STATUS_NOT_SUPPORTED | STATUS_NOT_SUPPORTED:
            ECDSA_P384 private key, short; ECDSA_P384 signature with a record; ECDSA_P384 signature with flags
        """,
    ),
    Difference(
        "Without data Wine does not look at the tag.",
        """
        STATUS_AUTH_TAG_MISMATCH | a value | a value:
            GCM decrypts nothing with a wrong tag
        """,
    ),
    Difference(
        "BCryptDuplicateKey is for symmetric keys (documented); Wine duplicates pairs too.",
        """
        STATUS_INVALID_HANDLE | a value | a value:
            duplicate an ECDSA pair; duplicate an RSA pair
        """,
    ),
    Difference(
        "A key of the wrong kind is STATUS_INVALID_HANDLE in hwcng; Wine has STATUS_NOT_SUPPORTED, or does not "
        "look (agreement without a private half and of two curves).",
        """
        STATUS_INVALID_HANDLE | a value | a value:
            agreement of two curves; agreement without a private half
        STATUS_INVALID_HANDLE | STATUS_NOT_SUPPORTED | STATUS_NOT_SUPPORTED:
            finalize an AES key; signature with an AES key; agreement with a pair of another family;
            agreement of AES keys; sign with an AES key; verify with an AES key; agree with an AES key;
            agree with an RSA pair; agree towards an AES key; agree towards an RSA pair
        """,
    ),
    Difference(
        "Wine 8 verifies no MD5 and has no PKCS1 without DigestInfo (pszAlgId NULL).",
        """
        a value | STATUS_INVALID_SIGNATURE | as hwcng:
            RSA-1024 PKCS1 MD5 verification; RSA-2048 PKCS1 MD5 verification;
            RSA PKCS1 verification without DigestInfo
        a value | STATUS_INVALID_PARAMETER | as hwcng:
            RSA PKCS1 signature without DigestInfo
        """,
    ),
    Difference(
        "Wine knows ECDSA for digests of 20, 32 and 48 bytes only.",
        """
        a value | STATUS_INVALID_PARAMETER | STATUS_INVALID_PARAMETER:
            ECDSA_P256 signature's length of MD5
        a value | STATUS_INVALID_SIGNATURE | STATUS_INVALID_SIGNATURE:
            ECDSA_P256 verification of MD5; ECDSA_P256 verification of SHA512; ECDSA_P384 verification of MD5;
            ECDSA_P384 verification of SHA512
        """,
    ),
    Difference(
        "Wine runs into an access violation where a public key is to decrypt.",
        """
        STATUS_INVALID_PARAMETER | STATUS_ACCESS_VIOLATION | STATUS_ACCESS_VIOLATION:
            RSA PKCS1 decryption with a public key
        """,
    ),
    Difference(
        "Wine 8 derives nothing from an agreement; Wine 10 has the functions HASH and TRUNCATE, without flags and "
        "without a cut of TRUNCATE.",
        """
        a value | STATUS_INTERNAL_ERROR | as hwcng:
            ECDH_P256 HASH SHA1; ECDH_P256 HASH SHA256; ECDH_P256 HASH SHA384; ECDH_P256 HASH SHA512;
            ECDH_P256 TRUNCATE; ECDH_P384 HASH SHA1; ECDH_P384 HASH SHA256; ECDH_P384 HASH SHA384;
            ECDH_P384 HASH SHA512; ECDH_P384 TRUNCATE; ECDH_P256 HASH without a hash's name;
            ECDH_P256 HASH without parameters; ECDH_P256 HASH cut to 5 bytes; ECDH_P256 HASH with room for 100 bytes;
            a secret outlives its keys; size query of a derived key; size query of a raw secret
        STATUS_NOT_SUPPORTED | STATUS_INTERNAL_ERROR | as hwcng:
            ECDH_P256 HASH under an unknown hash; ECDH_P256 HASH under RNG; ECDH_P256 an unknown function
        a value | STATUS_INTERNAL_ERROR | STATUS_NOT_SUPPORTED:
            ECDH_P256 HMAC; ECDH_P256 HMAC around the secret; ECDH_P256 HMAC under the secret;
            ECDH_P256 TLS_PRF of TLS 1.2; ECDH_P256 SP800_56A_CONCAT
        STATUS_INVALID_PARAMETER | STATUS_INTERNAL_ERROR | STATUS_NOT_SUPPORTED:
            ECDH_P256 HMAC without a key; ECDH_P256 TLS_PRF without a seed;
            ECDH_P256 SP800_56A_CONCAT without parameters
        a value | STATUS_INTERNAL_ERROR | STATUS_BUFFER_TOO_SMALL:
            ECDH_P256 TRUNCATE cut to 5 bytes
        """,
    ),
    Difference(
        "Wine 10 leaves out what is to be prepended and appended; Wine 8 derives nothing.",
        """
        a value | STATUS_INTERNAL_ERROR | another value:
            ECDH_P256 HASH around the secret; ECDH_P256 HASH of one side
        """,
    ),
    Difference(
        "Wine has BCryptDeriveKeyCapi without a target algorithm only, and takes any hash for PBKDF2's PRF.",
        """
        a value | STATUS_NOT_IMPLEMENTED | STATUS_NOT_IMPLEMENTED:
            CAPI key of 16 bytes by SHA1 for AES; CAPI key of 32 bytes by SHA1 for AES;
            CAPI key of 32 bytes by SHA256 for AES; CAPI key for RSA
        STATUS_INVALID_HANDLE | a value | a value:
            PBKDF2 without the flag of HMACs
        STATUS_INVALID_HANDLE | STATUS_INVALID_PARAMETER | STATUS_INVALID_PARAMETER:
            PBKDF2 by AES
        """,
    ),
    Difference(
        "For what is no hash BCryptDeriveKeyCapi has STATUS_INVALID_PARAMETER on Windows since 8.",
        """
        STATUS_INVALID_PARAMETER | STATUS_INVALID_HANDLE | STATUS_INVALID_HANDLE:
            CAPI key of nothing; CAPI key of an algorithm; CAPI key of a key
        """,
    ),
    Difference(
        "Asked for the size of an ECDSA signature, Wine announces that of one half.",
        """
        a value | the size query says 0x0, 32 of 64 bytes | the size query says 0x0, 32 of 64 bytes:
            size query of an ECDSA signature
        """,
    ),
    Difference(
        "Asked for the size of an RSA plaintext, Wine 8 wants room for it.",
        """
        a value | the size query says 0xc0000023, 5 of 5 bytes | as hwcng:
            size query of an RSA plaintext
        """,
    ),
)


def by_case() -> Mapping[str, Answers]:
    return {name: answers for difference in DIFFERENCES for answers in difference.answers for name in answers.cases}


def table() -> str:
    """The differences in words, as a table of Markdown."""
    rows = [("What differs, and why", *(f"cases in {version}" for version in MEASURED)), ("---", "---:", "---:")]
    for difference in DIFFERENCES:
        rows.append((difference.reason, *(str(difference.count(version)) for version in MEASURED)))
    totals = (sum(difference.count(version) for difference in DIFFERENCES) for version in MEASURED)
    rows.append(("**All**", *(f"**{total}**" for total in totals)))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
