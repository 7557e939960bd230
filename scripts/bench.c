/* The raw baseline: the C_ calls of one operation, in a loop. Prints a name and microseconds per operation a line.
   Compiled by bench.py after the declarations of hwcng's own cryptoki.py. Arguments: module, token label; PIN on stdin. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHECK(call) do { CK_ULONG rv = (call); if (rv) { fprintf(stderr, #call ": %#lx\n", rv); exit(1); } } while (0)
#define REPEATS 5

static CK_FUNCTION_LIST *c;
static CK_ULONG session, ec_key, aes_key, mac_key;
static CK_BYTE data[4096], out[8192], iv[16];

static void ecdsa(void) {
    CK_MECHANISM m = {0x1041, NULL, 0}; CK_ULONG n = sizeof out;
    CHECK(c->C_SignInit(session, &m, ec_key)); CHECK(c->C_Sign(session, data, 32, out, &n));
}
static void hmac_64(void) {
    CK_MECHANISM m = {0x251, NULL, 0}; CK_ULONG n = sizeof out;
    CHECK(c->C_SignInit(session, &m, mac_key)); CHECK(c->C_Sign(session, data, 64, out, &n));
}
static void cbc(CK_ULONG length) {
    CK_MECHANISM m = {0x1082, iv, 16}; CK_ULONG n = sizeof out;
    CHECK(c->C_EncryptInit(session, &m, aes_key)); CHECK(c->C_Encrypt(session, data, length, out, &n));
}
static void cbc_64(void) { cbc(64); }
static void cbc_4096(void) { cbc(4096); }
static void gcm_64(void) {
    CK_GCM_PARAMS p = {iv, 12, 96, NULL, 0, 128};
    CK_MECHANISM m = {0x1087, &p, sizeof p}; CK_ULONG n = sizeof out;
    CHECK(c->C_EncryptInit(session, &m, aes_key)); CHECK(c->C_Encrypt(session, data, 64, out, &n));
}
static void random_32(void) { CHECK(c->C_GenerateRandom(session, out, 32)); }

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1e6 + t.tv_nsec / 1e3; }

static void measure(const char *name, void (*operation)(void), int count) {
    double best = 1e18;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        double start = now();
        for (int i = 0; i < count; i++) operation();
        double each = (now() - start) / count;
        if (each < best) best = each;
    }
    printf("%s %.3f\n", name, best);
}

int main(int argc, char **argv) {
    char pin[64];
    if (argc != 3 || !fgets(pin, sizeof pin, stdin)) return 2;
    pin[strcspn(pin, "\n")] = 0;
    void *module = dlopen(argv[1], RTLD_NOW);
    CK_ULONG (*get)(CK_FUNCTION_LIST **) = module ? (CK_ULONG (*)(CK_FUNCTION_LIST **))dlsym(module, "C_GetFunctionList") : NULL;
    if (!get) return 2;
    CHECK(get(&c));
    CK_C_INITIALIZE_ARGS arguments = {.flags = 2};
    CHECK(c->C_Initialize(&arguments));
    CK_ULONG slots[64], count = 64, slot = 0;
    CHECK(c->C_GetSlotList(1, slots, &count));
    for (CK_ULONG i = 0; i < count; i++) {
        CK_TOKEN_INFO info;
        CHECK(c->C_GetTokenInfo(slots[i], &info));
        if (!memcmp(info.label, argv[2], strlen(argv[2]))) slot = slots[i];
    }
    CHECK(c->C_OpenSession(slot, 6, NULL, NULL, &session));
    CHECK(c->C_Login(session, 1, (CK_BYTE *)pin, strlen(pin)));
    CK_BYTE yes = 1, no = 0, p256[] = {6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7};
    CK_ULONG length = 32, generic = 0x10, secret = 4, public_key;
    CK_ATTRIBUTE public[] = {{0x180, p256, sizeof p256}, {1, &no, 1}};
    CK_ATTRIBUTE private[] = {{1, &no, 1}, {0x108, &yes, 1}};
    CK_ATTRIBUTE aes[] = {{0x161, &length, sizeof length}, {1, &no, 1}, {0x104, &yes, 1}};
    CK_ATTRIBUTE mac[] = {{0, &secret, sizeof secret}, {0x100, &generic, sizeof generic}, {1, &no, 1},
                          {0x108, &yes, 1}, {0x11, data, 32}};
    CK_MECHANISM ec_generation = {0x1040, NULL, 0}, aes_generation = {0x1080, NULL, 0};
    CHECK(c->C_GenerateKeyPair(session, &ec_generation, public, 2, private, 2, &public_key, &ec_key));
    CHECK(c->C_GenerateKey(session, &aes_generation, aes, 3, &aes_key));
    CHECK(c->C_CreateObject(session, mac, 5, &mac_key));
    measure("ecdsa-p256-sign", ecdsa, 2000);
    measure("hmac-sha256-64B", hmac_64, 10000);
    measure("aes-cbc-64B", cbc_64, 10000);
    measure("aes-cbc-4KiB", cbc_4096, 5000);
    measure("aes-gcm-64B", gcm_64, 10000);
    measure("random-32B", random_32, 20000);
    return 0;
}
