"""Primes, domains and groups of finite fields against published values and other implementations."""

from __future__ import annotations

import base64
import math
import random
import subprocess
from collections.abc import Callable
from dataclasses import replace

import pytest
from conformance.finite_fields import DH_PRIMES, DSA_DOMAINS, from_seed

from hwcng import NTSTATUS, CngError
from hwcng.contract.material import DhDomain, DsaDomain
from hwcng.hostcrypto import domains, primes
from hwcng.hostcrypto.domains import FIPS_186_2, FIPS_186_4, check_dh_domain, check_dsa_domain, dsa_domain, dsa_primes
from hwcng.hostcrypto.primes import is_prime
from hwcng.standards import dh_groups

# CAVP, FIPS 186-3 DSA, PQGVer: sets that validate by A.1.1.3. Hash, bits of q and p, seed, counter, q, p.
CAVP = (
    (
        "SHA1",
        160,
        1024,
        "a51d359c76d7e6f55de7d5debe14a510e1639e5a",
        370,
        "9e9d6b2587d39727e87039fcb9b974f5fa424aa9",
        "9dd03ca284e00b4c8253f3fdc5c5c573d1460cb8595e24147ee36de6b1c9b26865c1a79dcc3c682978ea96d86243eb1f"
        "08ffe09aab1d9048c6e466acfb82beeee18cc581400c958a712497b231fa19053918c871f5163c9db6d477b546d85747"
        "7225037c14b825cc274120cf5dbd8a2844991fb75017884b8bad359a097a9ea1",
    ),
    (
        "SHA256",
        256,
        2048,
        "d1d3cb3ee5f1931ab3d7dd33e0bb135ef3e9fa6fdc0a4848701730887f4aae9f",
        516,
        "ca59e38ff48be00a12214360a29f1effbb25aff8c74a17d3e33dbf45bda2949d",
        "ed5abaf0201445c6572aa94f46b85aa0dc736c26fdda8233453d9585d5ad5d35cd2466d41a814957079f739f467f036e"
        "222dab48e0776063fbefd13de847986425bdd3837edc409e63c212d011c4bb4baf1288da7df5d3d43fc4c1310995b02c"
        "a324580bc4b7561e2a1447caa508921cc5e9929081f6c87b43e1497e9588455427d356b2aa4e9306e643541940383cb3"
        "31d52f520abde23f28b2dfdaef4c6c942cb33c8ce0cb0f8e982fcffb6068bdbbfcf140064bbd247aebd7a58d4d562841"
        "bbdaa89d35ce4eb64695a64f825c6d57578a37d5e0b767ea0e51220d04eac4c039f4a392d5b7e0731708a461edaab8f2"
        "24c50d7c6b1d57aeaf1a532aa61a42bf",
    ),
    (
        "SHA512",
        256,
        2048,
        "5eb85dc93b691c3216ee0470bcecb399b9874ac88cffd032b348112ff43d98b3",
        103,
        "bcf6561e883c741d19e0ee484b81bc2aa84cc6f80a044a3b503332e311cbb5ed",
        "c29f9a46f72229804f2dc0919c63c5c9ede2cd61cb368c6e1d843176e77cd9d01e5ed8dd15ac5d68ac24fec4789580e7"
        "26960cb6a21dd69f393a20e02b7ce64def1d893729035c98d637bb2240ee640e7f797c7b717577f8ea2f65a525d6ebb5"
        "c74d392572a04f1a4477a752c845d8ad9e12a48803f71e634a0820e77acdf0f3af538dbbcc45ed4b899617f4ad17cf21"
        "ab68e48e5196f63fa0f54ade83aa27f42bf87bbedb9df2b469799c7cf7634191ae1a0466e8c46b7b480920c1ffb08016"
        "c654d77bb45a876c309807a43b970def810720342a7a767a1890fb2145e6012765fe3ceb74339e473fc2dbadb9ccacf2"
        "eb984146edf901d1dc8210c57ad44e39",
    ),
    (
        "SHA384",
        256,
        3072,
        "1d0ce1c1802ef93e08ae3687261b8ba687e90123c9cab485d78c222f2663b133",
        58,
        "e372fdaad7a54d3e090cf4aea64d72198e9890a35c3313f495b3c1b800f86119",
        "827020dc2f229968c517b96cedb06382d43af01bb63522c15a80f157810bbb6f0b7e835715822a75a0db61a688aafd2e"
        "aa528a4d509a376e67108820974e1c76f0f34b943894136dc543fbbc5400215798bbc3ea0d45df5e83ca2f20c6560f70"
        "ee1ea532a438ff8b8ff940097d9c066c5e4be303b9d2cbcb777578d7beb38af6437235f5c6c81dbcf96bbe02e74ae9d6"
        "ed13a12a8c553ba690ea16f15b353a759e9cb0b1ba0050fb3820975943a8c0ef3581b5d8b3d40a36b4b3e7555bd032e7"
        "fa073ec5197328c5df46a3cd8c98dedde63e68f7e7b2eb975b8d5129906466fbac45079dde7d7f0a569aeeaa8004abee"
        "c41d97e469b817369cf45cf4348cfeb1d766188b420586b5ea9feba58369e47f9012c133063c4293db160387e7167dc1"
        "be10ae74eb1c4a38532505541d5148e66f439c05f8f229e4f51dfde4000ec890df00175c1b95d70d84cd68dde377c29a"
        "ac29911908dcb70b471ab86a1887fb5aed2c4b58e2a9d7cae12073acf682706ee5bce849f200cad5fe3b3df7f7d653e3",
    ),
)

# FIPS 186-2, appendix 5.
APPENDIX_5_SEED = bytes.fromhex("d5014e4b60ef2ba8b6211b4062ba3224e0427dd3")
APPENDIX_5_Q = 1138656671590261728308283492178581223478058193247
APPENDIX_5_P = int(
    "743441077075987486753942167572857717702488969958618900078895093467931516467685204705835475888383329970269542819696"
    "2057871264685291775577130504050839126673"
)
APPENDIX_5_G = int(
    "515497842034875179875239052430490817908078291890328081652853786888721022170581746739950105362784698323588380015794"
    "5206652168013881208773209963452245182466"
)

# RFC 2409, section 6.2.
SECOND_OAKLEY_GROUP = (
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF"
)

# RFC 2409, section 6, and RFC 3526: bits, and the number in the formula.
PUBLISHED = {768: 149686, 1024: 129093, 1536: 741804, 2048: 124476, 3072: 1690314, 4096: 240904}

# Odd composites below 20,000 that pass one Lucas test by method A of C.3.3 (OEIS A217120).
LUCAS_PSEUDOPRIMES = [323, 377, 1159, 1829, 3827, 5459, 5777, 9071, 9179, 10877, 11419, 11663, 13919, 14839, 16109]
LUCAS_PSEUDOPRIMES += [16211, 18407, 18971, 19043]

MERSENNE_EXPONENTS = (61, 89, 107, 127, 521, 607, 1279, 2203, 2281)
# Strong pseudoprimes to the bases of the primes up to 37 (OEIS A014233), and a Carmichael number of three primes.
STRONG_PSEUDOPRIMES = (3825123056546413051, 318665857834031151167461, 3317044064679887385961981)
CARMICHAEL = (6 * 5000000031 + 1) * (12 * 5000000031 + 1) * (18 * 5000000031 + 1)


def is_small_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, math.isqrt(number) + 1))


def refused(check: Callable[..., None], *arguments: object) -> None:
    with pytest.raises(CngError) as error:
        check(*arguments)
    assert error.value.status is NTSTATUS.STATUS_INVALID_PARAMETER


class TestPrimes:
    def test_known_primes(self) -> None:
        for exponent in MERSENNE_EXPONENTS:
            assert is_prime(2**exponent - 1)

    def test_known_composites(self) -> None:
        for number in (2**67 - 1, 2**521 + 1, (2**61 - 1) ** 2, (2**61 - 1) * (2**89 - 1), CARMICHAEL, 2**200):
            assert not is_prime(number)
        for number in STRONG_PSEUDOPRIMES:
            assert not is_prime(number)

    def test_lucas_is_that_of_the_standard(self) -> None:
        passed = [number for number in range(13, 20000, 2) if primes._lucas(number)]
        assert [number for number in passed if not is_small_prime(number)] == LUCAS_PSEUDOPRIMES
        assert [number for number in passed if is_small_prime(number)] == list(filter(is_small_prime, range(13, 20000)))

    def test_miller_rabin_finds_composites_without_the_others(self) -> None:
        for number in (*STRONG_PSEUDOPRIMES, CARMICHAEL, (2**61 - 1) * (2**89 - 1)):
            assert not primes._miller_rabin(number, 27)

    @pytest.mark.requires("command:openssl")
    def test_as_openssl(self) -> None:
        numbers = [random.Random(seed).getrandbits(96) | 1 for seed in range(150)]
        found = subprocess.run(["openssl", "prime", *map(str, numbers)], capture_output=True, text=True, check=True)
        verdicts = ["is prime" in line for line in found.stdout.splitlines()]
        assert list(map(is_prime, numbers)) == verdicts
        assert any(verdicts)

    def test_small_numbers_are_not_for_it(self) -> None:
        with pytest.raises(ValueError, match="32 bits"):
            is_prime(2**31 - 1)


class TestGroups:
    def test_the_published_ones(self) -> None:
        assert {bits: dh_groups._SMALLEST_C[bits] for bits in PUBLISHED} == PUBLISHED
        assert dh_groups.safe_prime(1024) == DH_PRIMES[1024] == int(SECOND_OAKLEY_GROUP, 16)

    @pytest.mark.requires("command:openssl")
    @pytest.mark.parametrize("bits", [1536, 2048, 3072, 4096])
    def test_as_openssl(self, bits: int) -> None:
        command = ["openssl", "genpkey", "-genparam", "-algorithm", "DHX", "-pkeyopt", f"group:modp_{bits}"]
        pem = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        der = base64.b64decode("".join(pem.splitlines()[1:-1]))
        assert dh_groups.safe_prime(bits).to_bytes(bits // 8, "big") in der

    @pytest.mark.parametrize("bits", range(512, 4097, 64))
    def test_every_length_has_a_safe_prime(self, bits: int) -> None:
        p = dh_groups.safe_prime(bits)
        q = p // 2
        assert (p.bit_length(), p % 8, p >> bits - 64, p % 2**64) == (bits, 7, 2**64 - 1, 2**64 - 1)
        assert pow(2, q, p) == 1
        assert pow(2, q - 1, q) == 1
        assert math.gcd(p * q, math.prod(range(3, 2000, 2))) == 1

    def test_the_domain_of_a_length(self) -> None:
        assert domains.dh_domain(1024) == DhDomain(DH_PRIMES[1024], 2)


class TestDsaDomains:
    @pytest.mark.parametrize(("hash_name", "subprime_bits", "bits", "seed", "counter", "q", "p"), CAVP)
    def test_cavp(self, hash_name: str, subprime_bits: int, bits: int, seed: str, counter: int, q: str, p: str) -> None:
        recipe = replace(FIPS_186_4, hash_name=hash_name, subprime_bits=subprime_bits)
        assert dsa_primes(recipe, bits, bytes.fromhex(seed)) == (int(p, 16), int(q, 16), counter)

    @pytest.mark.row("GKP-10")
    def test_the_example_of_fips_186_2(self) -> None:
        assert dsa_primes(FIPS_186_2, 512, APPENDIX_5_SEED) == (APPENDIX_5_P, APPENDIX_5_Q, 105)
        assert domains._generator(APPENDIX_5_P, APPENDIX_5_Q) == APPENDIX_5_G
        example = from_seed(512, APPENDIX_5_SEED, 105, "sha1", 160, fips_186_2=True)
        assert example[:3] == (APPENDIX_5_P, APPENDIX_5_Q, APPENDIX_5_G)

    def test_seeds_that_make_no_primes(self) -> None:
        assert dsa_primes(FIPS_186_2, 512, bytes(20)) is None
        short = replace(FIPS_186_2, counters=lambda _bits: 105)
        assert dsa_primes(short, 512, APPENDIX_5_SEED) is None

    @pytest.mark.row("GKP-10", "GKP-19")
    @pytest.mark.parametrize("bits", [512, 960, 1024, 1088])
    def test_new_ones_follow_from_their_seed(self, bits: int) -> None:
        """FIPS 186-4, A.1.1.3, as the tests' own arithmetic has it; each seed is another."""
        one, other = dsa_domain(bits), dsa_domain(bits)
        assert one.seed != other.seed
        for domain in (one, other):
            assert domain.seed is not None
            assert domain.counter is not None
            hash_name, subprime_bits = ("sha1", 160) if bits <= 1024 else ("sha256", 256)
            made = from_seed(bits, domain.seed, domain.counter, hash_name, subprime_bits, fips_186_2=bits <= 1024)
            assert made == (domain.prime, domain.subprime, domain.generator, domain.seed, domain.counter)
            assert hash_name == (domain.hash_name or "").lower()
            check_dsa_domain(domain, bits)


class TestChecks:
    def test_lengths_that_disagree(self) -> None:
        p, q, g, *_ = DSA_DOMAINS[1024]
        check_dsa_domain(DsaDomain(p, q, g), 1024)
        refused(check_dsa_domain, DsaDomain(p, q, g), 1088)
        long_p, long_q, long_g, *_ = DSA_DOMAINS[2048]
        check_dsa_domain(DsaDomain(long_p, long_q, long_g), 2048)
        refused(check_dsa_domain, DsaDomain(long_p, q, long_g), 2048)
        check_dh_domain(DhDomain(DH_PRIMES[512], 2), 512)
        refused(check_dh_domain, DhDomain(DH_PRIMES[512], 2), 576)

    def test_a_group_of_ours_is_not_tested_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(domains, "_is_prime_once", lambda _number: False)
        check_dh_domain(domains.dh_domain(4096), 4096)
        refused(check_dh_domain, DhDomain(DH_PRIMES[512], 2), 512)
