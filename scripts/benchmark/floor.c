/* The least that an operation can cost: its C_ calls, made from C. PKCS#11 3.2; compiled by floor.py when the bench runs.
   Arguments: module; token label, or "slot:N"; pReserved, if any. The PIN, or nothing, is the first line of the standard input; then
   worker.py's lines: "run ROW COUNT THREADS", and "fill COUNT", which gives the token named keys. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef unsigned char BYTE;
typedef unsigned long ULONG;
typedef ULONG (*FUNCTION)();
typedef struct { BYTE major, minor; FUNCTION call[128]; } FUNCTION_LIST;
typedef struct { ULONG type; const void *value; ULONG length; } ATTRIBUTE;
typedef struct { ULONG mechanism; const void *parameter; ULONG length; } MECHANISM;
typedef struct { const char *name; FUNCTION_LIST *list; ULONG flags; } INTERFACE;
typedef struct { void *create, *destroy, *lock, *unlock; ULONG flags; const void *reserved; } INITIALIZE_ARGS;

/* Places in the function list. */
enum {
    Initialize = 0, Finalize = 1, GetSlotList = 4, GetTokenInfo = 6, OpenSession = 12, CloseSession = 13, Login = 18,
    CreateObject = 20, CopyObject = 21, DestroyObject = 22, GetAttributeValue = 24, FindObjectsInit = 26, FindObjects = 27,
    FindObjectsFinal = 28, EncryptInit = 29, Encrypt = 30, DecryptInit = 33, Decrypt = 34, DigestInit = 37, DigestKey = 40,
    DigestFinal = 41, SignInit = 42, Sign = 43, GenerateKey = 58, GenerateKeyPair = 59, WrapKey = 60, UnwrapKey = 61,
    DeriveKey = 62, GenerateRandom = 64, EncapsulateKey = 92, DecapsulateKey = 93
};
enum {
    CLASS = 0, TOKEN = 1, LABEL = 3, VALUE = 0x11, KEY_TYPE = 0x100, ID = 0x102, SENSITIVE = 0x103, ENCRYPT = 0x104,
    DECRYPT = 0x105, WRAP = 0x106, UNWRAP = 0x107, SIGN = 0x108, DERIVE = 0x10c, MODULUS_BITS = 0x121, PUBLIC_EXPONENT = 0x122,
    VALUE_LEN = 0x161, EXTRACTABLE = 0x162, EC_PARAMS = 0x180, EC_POINT = 0x181, PARAMETER_SET = 0x61d, ENCAPSULATE = 0x633,
    DECAPSULATE = 0x634
};
#define LENGTH(array) (sizeof(array) / sizeof *(array))
#define CHECK(function, ...) do { ULONG rv = list->call[function](__VA_ARGS__); if (rv) fail(#function, rv); } while (0)

static FUNCTION_LIST *list;
static const char *wanted, *reserved;
static char pin[300], reason[100];
static jmp_buf answer;
static pthread_t main_thread;
static ULONG main_session, key, peer, exportable;
static size_t length;
static BYTE *message, sealed[4096];
static ULONG sealed_length;
static __thread BYTE *out;
static __thread size_t room;
static const BYTE yes = 1, no = 0, iv[16], p256[] = {6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7};
static const BYTE digest_info[51] = {0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20};

static void fail(const char *function, ULONG rv) {
    snprintf(reason, sizeof reason, "C_%s: %#lx", function, rv);
    if (!pthread_equal(pthread_self(), main_thread)) { fprintf(stderr, "%s\n", reason); _exit(1); }
    longjmp(answer, 1);
}

/* The token */

static ULONG initialize(void) {
    INITIALIZE_ARGS arguments = {.flags = 2, .reserved = reserved};
    return list->call[Initialize](&arguments);
}

static ULONG slot_of_token(void) {
    ULONG slots[64], count = 64;
    struct { BYTE label[32], rest[512]; } info;
    if (!strncmp(wanted, "slot:", 5)) return strtoul(wanted + 5, NULL, 10);
    CHECK(GetSlotList, yes, slots, &count);
    for (ULONG i = 0; i < count; i++)
        if (!list->call[GetTokenInfo](slots[i], &info) && !memcmp(info.label, wanted, strlen(wanted))) return slots[i];
    fail("GetSlotList", 0xe0);
    return 0;
}

static ULONG new_session(void) {
    ULONG session;
    CHECK(OpenSession, slot_of_token(), 6UL, NULL, NULL, &session);
    return session;
}

static void login(ULONG session) { if (*pin) CHECK(Login, session, 1UL, pin, strlen(pin)); }

static void connect_token(void) {
    if (main_session) return;
    ULONG rv = initialize();
    if (rv) fail("Initialize", rv);
    main_session = new_session();
    login(main_session);
}

static int load(const char *path) {
    static BYTE version[2] = {3, 2};
    INTERFACE *interface;
    void *module = dlopen(path, RTLD_NOW);
    if (!module) return 0;
    FUNCTION get = (FUNCTION)dlsym(module, "C_GetInterface"), old = (FUNCTION)dlsym(module, "C_GetFunctionList");
    if (get && !get("PKCS 11", version, &interface, 0UL)) list = interface->list;
    return list || (old && !old(&list));
}

/* Keys */

static void make_pair(ULONG generation, ATTRIBUTE *public, ULONG publics, ATTRIBUTE *private, ULONG privates, ULONG *of_public) {
    MECHANISM m = {generation, NULL, 0};
    CHECK(GenerateKeyPair, main_session, &m, public, publics, private, privates, of_public, &key);
}

static ULONG ec_pair(ULONG session, ULONG usage, ULONG *public) {
    MECHANISM m = {0x1040, NULL, 0};
    ULONG private;
    ATTRIBUTE of_public[] = {{EC_PARAMS, p256, sizeof p256}, {TOKEN, &no, 1}};
    ATTRIBUTE of_private[] = {{TOKEN, &no, 1}, {SENSITIVE, &yes, 1}, {EXTRACTABLE, &no, 1}, {usage, &yes, 1}};
    CHECK(GenerateKeyPair, session, &m, of_public, 2UL, of_private, 4UL, public, &private);
    return private;
}

static ULONG aes_key(ULONG session, const BYTE *extractable, ULONG usage, ULONG other_usage) {
    MECHANISM m = {0x1080, NULL, 0};
    ULONG made, bytes = 32;
    ATTRIBUTE t[] = {{VALUE_LEN, &bytes, sizeof bytes}, {TOKEN, &no, 1}, {SENSITIVE, &yes, 1}, {EXTRACTABLE, extractable, 1},
                     {usage, &yes, 1}, {other_usage, &yes, 1}};
    CHECK(GenerateKey, session, &m, t, LENGTH(t), &made);
    return made;
}

static void take_message(size_t bytes) {
    free(message);
    length = bytes;
    message = malloc(bytes);
    memset(message, 0, bytes);
}

/* Their making, and the operations: each is handed the thread's session. */

static void sign(ULONG session, ULONG mechanism, const BYTE *data, ULONG bytes) {
    MECHANISM m = {mechanism, NULL, 0};
    ULONG written = room;
    CHECK(SignInit, session, &m, key);
    CHECK(Sign, session, data, bytes, out, &written);
}
static void make_ecdsa(void) { ULONG public; key = ec_pair(main_session, SIGN, &public); }
static void ecdsa(ULONG session) { sign(session, 0x1041, digest_info, 32); }

static void make_rsa(ULONG bits, ULONG usage, ULONG public_usage) {
    ULONG public;
    const BYTE exponent[] = {1, 0, 1};
    ATTRIBUTE of_public[] = {{MODULUS_BITS, &bits, sizeof bits}, {PUBLIC_EXPONENT, exponent, 3}, {TOKEN, &no, 1}, {public_usage, &yes, 1}};
    ATTRIBUTE of_private[] = {{TOKEN, &no, 1}, {SENSITIVE, &yes, 1}, {EXTRACTABLE, &no, 1}, {usage, &yes, 1}};
    make_pair(0, of_public, 4, of_private, 4, &public);
    peer = public;
}
static void make_rsa_2048(void) { make_rsa(2048, SIGN, 0x10a); }
static void make_rsa_3072(void) { make_rsa(3072, SIGN, 0x10a); }
static void rsa_sign(ULONG session) { sign(session, 1, digest_info, sizeof digest_info); }

static const struct { ULONG hash, mgf, source; const void *data; ULONG bytes; } oaep = {0x220, 1, 1, NULL, 0};
static const MECHANISM with_oaep = {9, &oaep, sizeof oaep};
static void make_rsa_decrypt(void) {
    make_rsa(3072, DECRYPT, ENCRYPT);
    sealed_length = sizeof sealed;
    CHECK(EncryptInit, main_session, &with_oaep, peer);
    CHECK(Encrypt, main_session, digest_info, 32UL, sealed, &sealed_length);
}
static void rsa_decrypt(ULONG session) {
    ULONG written = room;
    CHECK(DecryptInit, session, &with_oaep, key);
    CHECK(Decrypt, session, sealed, sealed_length, out, &written);
}

static void make_hmac(void) {
    MECHANISM m = {0x350, NULL, 0};
    ULONG bytes = 32, secret = 4, generic = 0x10;
    ATTRIBUTE t[] = {{CLASS, &secret, sizeof secret}, {KEY_TYPE, &generic, sizeof generic}, {VALUE_LEN, &bytes, sizeof bytes},
                     {TOKEN, &no, 1}, {SENSITIVE, &yes, 1}, {EXTRACTABLE, &no, 1}, {SIGN, &yes, 1}};
    CHECK(GenerateKey, main_session, &m, t, LENGTH(t), &key);
    take_message(64);
}
static void hmac(ULONG session) { sign(session, 0x251, message, length); }

static void make_aes(size_t bytes) { key = aes_key(main_session, &no, ENCRYPT, DECRYPT); take_message(bytes); }
static void make_aes_64(void) { make_aes(64); }
static void make_aes_4096(void) { make_aes(4096); }
static void make_aes_1m(void) { make_aes(1 << 20); }
static void make_aes_64m(void) { make_aes(64 << 20); }
static void encrypt(ULONG session, const MECHANISM *m) {
    ULONG written = room;
    CHECK(EncryptInit, session, m, key);
    CHECK(Encrypt, session, message, length, out, &written);
}
static void cbc(ULONG session) { MECHANISM m = {0x1082, iv, 16}; encrypt(session, &m); }
static void gcm(ULONG session) {
    struct { const BYTE *iv; ULONG length, bits; const BYTE *aad; ULONG aad_length, tag_bits; } p = {iv, 12, 96, NULL, 0, 128};
    MECHANISM m = {0x1087, &p, sizeof p};
    encrypt(session, &m);
}

static void nothing(void) {}
static void random_32(ULONG session) { CHECK(GenerateRandom, session, out, 32UL); }
static void aes_generate(ULONG session) { CHECK(DestroyObject, session, aes_key(session, &no, ENCRYPT, DECRYPT)); }

static ULONG point(ULONG session, ULONG public, BYTE *octets, ULONG bytes) {
    ATTRIBUTE t = {EC_POINT, octets, bytes};
    CHECK(GetAttributeValue, session, public, &t, 1UL);
    return t.length;
}
static void ec_generate(ULONG session) {
    BYTE octets[256];
    ULONG public, private = ec_pair(session, SIGN, &public);
    point(session, public, octets, sizeof octets);
    CHECK(DestroyObject, session, private);
    CHECK(DestroyObject, session, public);
}

static BYTE peer_point[256];
static ULONG peer_length;
static void make_ecdh(void) {
    ULONG public;
    ec_pair(main_session, DERIVE, &public);
    peer_length = point(main_session, public, peer_point, sizeof peer_point);
    key = ec_pair(main_session, DERIVE, &public);
}
static void ecdh(ULONG session) {
    /* The point without the DER around it, which every token takes. */
    struct { ULONG kdf, shared; const BYTE *data; ULONG bytes; const BYTE *point; } p = {1, 0, NULL, peer_length - 2, peer_point + 2};
    MECHANISM m = {0x1050, &p, sizeof p}, sha256 = {0x250, NULL, 0};
    ULONG secret = 4, generic = 0x10, bytes = 32, z, written = room;
    ATTRIBUTE t[] = {{CLASS, &secret, sizeof secret}, {KEY_TYPE, &generic, sizeof generic}, {VALUE_LEN, &bytes, sizeof bytes},
                     {TOKEN, &no, 1}, {SENSITIVE, &yes, 1}, {EXTRACTABLE, &no, 1}, {DERIVE, &yes, 1}};
    CHECK(DeriveKey, session, &m, key, t, LENGTH(t), &z);
    CHECK(DigestInit, session, &sha256);
    CHECK(DigestKey, session, z);
    CHECK(DigestFinal, session, out, &written);
    CHECK(DestroyObject, session, z);
}

static void make_lattice(ULONG generation, ULONG set, ULONG usage, ULONG public_usage) {
    ATTRIBUTE of_public[] = {{PARAMETER_SET, &set, sizeof set}, {TOKEN, &no, 1}, {public_usage, &yes, 1}};
    ATTRIBUTE of_private[] = {{TOKEN, &no, 1}, {SENSITIVE, &yes, 1}, {EXTRACTABLE, &no, 1}, {usage, &yes, 1}};
    make_pair(generation, of_public, 3, of_private, 4, &peer);
}
static void make_ml_dsa(void) { make_lattice(0x1c, 2, SIGN, 0x10a); }
static void ml_dsa(ULONG session) { sign(session, 0x1d, digest_info, 32); }

static const MECHANISM ml_kem = {0x17, NULL, 0};
#define SHARED_KEY ULONG secret = 4, generic = 0x10, bytes = 32, made; \
    ATTRIBUTE t[] = {{CLASS, &secret, sizeof secret}, {KEY_TYPE, &generic, sizeof generic}, {VALUE_LEN, &bytes, sizeof bytes}, \
                     {TOKEN, &no, 1}, {SENSITIVE, &no, 1}, {EXTRACTABLE, &yes, 1}}
static void make_ml_kem(void) {
    SHARED_KEY;
    if (list->major != 3 || list->minor < 2) fail("DecapsulateKey", 0x54);
    make_lattice(0xf, 2, DECAPSULATE, ENCAPSULATE);
    sealed_length = sizeof sealed;
    CHECK(EncapsulateKey, main_session, &ml_kem, peer, t, LENGTH(t), sealed, &sealed_length, &made);
}
static void decapsulate(ULONG session) {
    SHARED_KEY;
    CHECK(DecapsulateKey, session, &ml_kem, key, t, LENGTH(t), sealed, sealed_length, &made);
    ATTRIBUTE value = {VALUE, out, room};
    CHECK(GetAttributeValue, session, made, &value, 1UL);
    CHECK(DestroyObject, session, made);
}

static const MECHANISM key_wrap = {0x2109, NULL, 0};
static void make_wrapped(void) {
    key = aes_key(main_session, &no, WRAP, UNWRAP);
    exportable = aes_key(main_session, &yes, ENCRYPT, DECRYPT);
    sealed_length = sizeof sealed;
    CHECK(WrapKey, main_session, &key_wrap, key, exportable, sealed, &sealed_length);
}
static void unwrap(ULONG session) {
    ULONG secret = 4, aes = 0x1f, bytes, made;
    ATTRIBUTE t[] = {{CLASS, &secret, sizeof secret}, {KEY_TYPE, &aes, sizeof aes}, {TOKEN, &no, 1}, {SENSITIVE, &yes, 1},
                     {EXTRACTABLE, &no, 1}, {ENCRYPT, &yes, 1}, {DECRYPT, &yes, 1}};
    ATTRIBUTE read = {VALUE_LEN, &bytes, sizeof bytes};
    CHECK(UnwrapKey, session, &key_wrap, key, sealed, sealed_length, t, LENGTH(t), &made);
    CHECK(GetAttributeValue, session, made, &read, 1UL);
    CHECK(DestroyObject, session, made);
}
static void import_32(ULONG session) {
    ULONG secret = 4, aes = 0x1f, made;
    ATTRIBUTE t[] = {{CLASS, &secret, sizeof secret}, {KEY_TYPE, &aes, sizeof aes}, {TOKEN, &no, 1}, {SENSITIVE, &yes, 1},
                     {EXTRACTABLE, &no, 1}, {ENCRYPT, &yes, 1}, {DECRYPT, &yes, 1}, {VALUE, digest_info, 32}};
    CHECK(CreateObject, session, t, LENGTH(t), &made);
    CHECK(DestroyObject, session, made);
}
static void duplicate(ULONG session) {
    ULONG made;
    ATTRIBUTE t = {TOKEN, &no, 1};
    CHECK(CopyObject, session, key, &t, 1UL, &made);
    CHECK(DestroyObject, session, made);
}

/* Named keys */

static ULONG find(ULONG session, const char *name, ULONG class, ULONG *found, ULONG most) {
    ULONG count;
    ATTRIBUTE t[] = {{LABEL, name, strlen(name)}, {CLASS, &class, sizeof class}};
    CHECK(FindObjectsInit, session, t, class ? 2UL : 1UL);
    CHECK(FindObjects, session, found, most, &count);
    CHECK(FindObjectsFinal, session);
    return count;
}
static void look_at(ULONG session, ULONG object) {
    ULONG class, type, bytes;
    BYTE label[100], identifier[100], may[4];
    ATTRIBUTE t[] = {{CLASS, &class, sizeof class}, {KEY_TYPE, &type, sizeof type}, {LABEL, label, sizeof label},
                     {ID, identifier, sizeof identifier}, {VALUE_LEN, &bytes, sizeof bytes}, {ENCRYPT, may, 1}, {DECRYPT, may + 1, 1},
                     {SIGN, may + 2, 1}, {EXTRACTABLE, may + 3, 1}};
    ULONG rv = list->call[GetAttributeValue](session, object, t, LENGTH(t));
    if (rv && rv != 0x12) fail("GetAttributeValue", rv);
}
static void named(ULONG number) {
    MECHANISM m = {0x1080, NULL, 0};
    char name[30];
    ULONG made, bytes = 32;
    int characters = snprintf(name, sizeof name, "key-%lu", number);
    ATTRIBUTE t[] = {{VALUE_LEN, &bytes, sizeof bytes}, {TOKEN, &yes, 1}, {SENSITIVE, &yes, 1}, {EXTRACTABLE, &no, 1},
                     {ENCRYPT, &yes, 1}, {DECRYPT, &yes, 1}, {LABEL, name, characters}, {ID, &number, sizeof number}};
    CHECK(GenerateKey, main_session, &m, t, LENGTH(t), &made);
}
static void fill(ULONG count) {
    ULONG public, private;
    MECHANISM m = {0x1040, NULL, 0};
    ATTRIBUTE of_public[] = {{EC_PARAMS, p256, sizeof p256}, {TOKEN, &yes, 1}, {LABEL, "signer", 6}, {ID, "signer", 6}};
    ATTRIBUTE of_private[] = {{TOKEN, &yes, 1}, {SENSITIVE, &yes, 1}, {EXTRACTABLE, &no, 1}, {SIGN, &yes, 1}, {LABEL, "signer", 6},
                              {ID, "signer", 6}};
    connect_token();
    CHECK(GenerateKeyPair, main_session, &m, of_public, 4UL, of_private, 6UL, &public, &private);
    for (ULONG number = 0; number < count; number++) named(number);
}
static void open_named(ULONG session, const char *name) {
    ULONG found[16], count = find(session, name, 0, found, 16);
    if (!count) fail("FindObjects", 0x82);
    for (ULONG i = 0; i < count; i++) look_at(session, found[i]);
}
static void open_5(ULONG session) { open_named(session, "key-5"); }
static void open_500(ULONG session) { open_named(session, "key-500"); }
static void open_5000(ULONG session) { open_named(session, "key-5000"); }

static ULONG stored;
static void store(ULONG session) {
    MECHANISM m = {0x1080, NULL, 0};
    ULONG bytes = 32, found[16];
    const char *name = "stored-c";
    if (find(session, name, 0, found, 16)) fail("FindObjects", 0);
    ATTRIBUTE t[] = {{VALUE_LEN, &bytes, sizeof bytes}, {TOKEN, &yes, 1}, {SENSITIVE, &yes, 1}, {EXTRACTABLE, &no, 1},
                     {ENCRYPT, &yes, 1}, {DECRYPT, &yes, 1}, {LABEL, name, strlen(name)}, {ID, name, strlen(name)}};
    CHECK(GenerateKey, session, &m, t, LENGTH(t), &stored);
}
static void unstore(ULONG session) { CHECK(DestroyObject, session, stored); }

static void list_all(ULONG session) {
    static ULONG found[20000];
    ULONG count;
    CHECK(FindObjectsInit, session, NULL, 0UL);
    CHECK(FindObjects, session, found, LENGTH(found), &count);
    CHECK(FindObjectsFinal, session);
    for (ULONG i = 0; i < count; i++) look_at(session, found[i]);
}

static void sign_by_name(ULONG session) {
    if (!find(session, "signer", 3, &key, 1)) fail("FindObjects", 0x82);
    sign(session, 0x1041, digest_info, 32);
}
static void in_child(ULONG session) {
    (void)session;
    ULONG rv = initialize();
    if (rv == 0x191) { CHECK(Finalize, NULL); rv = initialize(); }
    if (rv) fail("Initialize", rv);
    session = new_session();
    login(session);
    sign_by_name(session);
}
static void open_again(ULONG session) {
    session = new_session();
    ULONG rv = list->call[Login](session, 1UL, pin, strlen(pin));
    if (rv && rv != 0x100) fail("Login", rv);
    CHECK(CloseSession, session);
}
static void make_logged_out(void) {
    ULONG rv = initialize();
    if (rv) fail("Initialize", rv);
    main_session = new_session();
}
static void open_and_sign(ULONG session) {
    (void)session;
    connect_token();
    sign_by_name(main_session);
}

/* forked: done once in a child for each count. cold: what connects is a part of it. */
typedef struct { const char *name; void (*make)(void); void (*operation)(ULONG); void (*undo)(ULONG); int forked, cold; } ROW;
static const ROW rows[] = {
    {"ecdsa-p256-sign", make_ecdsa, ecdsa, NULL, 0, 0}, {"rsa-2048-sign", make_rsa_2048, rsa_sign, NULL, 0, 0},
    {"rsa-3072-sign", make_rsa_3072, rsa_sign, NULL, 0, 0}, {"rsa-3072-decrypt", make_rsa_decrypt, rsa_decrypt, NULL, 0, 0},
    {"hmac-sha256-64B", make_hmac, hmac, NULL, 0, 0}, {"aes-cbc-64B", make_aes_64, cbc, NULL, 0, 0},
    {"aes-cbc-4KiB", make_aes_4096, cbc, NULL, 0, 0}, {"aes-cbc-1MiB", make_aes_1m, cbc, NULL, 0, 0},
    {"aes-cbc-64MiB", make_aes_64m, cbc, NULL, 0, 0}, {"aes-gcm-64B", make_aes_64, gcm, NULL, 0, 0},
    {"aes-gcm-4KiB", make_aes_4096, gcm, NULL, 0, 0}, {"aes-gcm-1MiB", make_aes_1m, gcm, NULL, 0, 0},
    {"random-32B", nothing, random_32, NULL, 0, 0}, {"aes-generate", nothing, aes_generate, NULL, 0, 0},
    {"ec-generate", nothing, ec_generate, NULL, 0, 0}, {"ecdh-hash", make_ecdh, ecdh, NULL, 0, 0},
    {"ml-dsa-65-sign", make_ml_dsa, ml_dsa, NULL, 0, 0}, {"ml-kem-768-decapsulate", make_ml_kem, decapsulate, NULL, 0, 0},
    {"aes-wrap-import", make_wrapped, unwrap, NULL, 0, 0}, {"import-32B", nothing, import_32, NULL, 0, 0},
    {"duplicate", make_aes_64, duplicate, NULL, 0, 0}, {"open-among-10", nothing, open_5, NULL, 0, 0},
    {"open-among-1000", nothing, open_500, NULL, 0, 0}, {"open-among-10000", nothing, open_5000, NULL, 0, 0},
    {"store-among-10", nothing, store, unstore, 0, 0}, {"store-among-1000", nothing, store, unstore, 0, 0},
    {"list-2000", nothing, list_all, NULL, 0, 0}, {"first-after-fork", nothing, in_child, NULL, 1, 0},
    {"open-again", nothing, open_again, NULL, 0, 0}, {"login", make_logged_out, login, NULL, 0, 1}, {"open-and-sign", nothing, open_and_sign, NULL, 0, 1},
};

/* Measuring, as measuring.py does it */

typedef struct { double wall, cpu; } SAMPLE;

static double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void need_room(void) {
    if (room >= length + 8192) return;
    free(out);
    room = length + 8192;
    out = malloc(room);
}

static SAMPLE timed(const ROW *row, ULONG session, long count) {
    SAMPLE sample = {seconds(CLOCK_MONOTONIC), seconds(CLOCK_PROCESS_CPUTIME_ID)};
    for (long i = 0; i < count; i++) row->operation(session);
    sample.wall = seconds(CLOCK_MONOTONIC) - sample.wall;
    sample.cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - sample.cpu;
    return sample;
}

static void add(SAMPLE *total, SAMPLE one) { total->wall += one.wall; total->cpu += one.cpu; }

static SAMPLE one_by_one(const ROW *row, long count) {
    SAMPLE total = {0, 0};
    for (long i = 0; i < count; i++) {
        add(&total, timed(row, main_session, 1));
        row->undo(main_session);
    }
    return total;
}

static SAMPLE in_children(const ROW *row, long count) {
    SAMPLE total = {0, 0}, one;
    for (long i = 0; i < count; i++) {
        int ends[2];
        if (pipe(ends)) fail("pipe", 0);
        pid_t child = fork();
        if (!child) {
            if (setjmp(answer)) _exit(1);
            one = timed(row, 0, 1);
            _exit(write(ends[1], &one, sizeof one) != sizeof one);
        }
        close(ends[1]);
        ssize_t got = read(ends[0], &one, sizeof one);
        close(ends[0]);
        waitpid(child, NULL, 0);
        if (got != sizeof one) fail("fork", 0);
        add(&total, one);
    }
    return total;
}

typedef struct { const ROW *row; long count; pthread_barrier_t *ready, *gate; } TASK;

static void *thread_body(void *given) {
    TASK *task = given;
    ULONG session = new_session();
    need_room();
    pthread_barrier_wait(task->ready);
    pthread_barrier_wait(task->gate);
    for (long i = 0; i < task->count; i++) task->row->operation(session);
    pthread_barrier_wait(task->ready);
    CHECK(CloseSession, session);
    free(out);
    return NULL;
}

static SAMPLE in_threads(const ROW *row, long count, int threads) {
    pthread_barrier_t ready, gate;
    pthread_t team[threads];
    TASK task = {row, count, &ready, &gate};
    pthread_barrier_init(&ready, NULL, threads + 1);
    pthread_barrier_init(&gate, NULL, threads + 1);
    for (int i = 0; i < threads; i++) if (pthread_create(team + i, NULL, thread_body, &task)) fail("pthread_create", 0);
    pthread_barrier_wait(&ready);
    SAMPLE sample = {seconds(CLOCK_MONOTONIC), seconds(CLOCK_PROCESS_CPUTIME_ID)};
    pthread_barrier_wait(&gate);
    pthread_barrier_wait(&ready);
    sample.wall = seconds(CLOCK_MONOTONIC) - sample.wall;
    sample.cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - sample.cpu;
    for (int i = 0; i < threads; i++) pthread_join(team[i], NULL);
    return sample;
}

static SAMPLE measure(const ROW *row, long count, int threads) {
    if (row->forked) return in_children(row, count);
    if (row->undo) return one_by_one(row, count);
    if (threads > 1) return in_threads(row, count, threads);
    return timed(row, main_session, count);
}

static void run(const char *name, long count, int threads) {
    static BYTE made[LENGTH(rows)];
    static const ROW *current;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        if (strcmp(rows[i].name, name)) continue;
        if (!rows[i].cold) connect_token();
        /* The key, the message and the like are those of the row that was made last. */
        if (!made[i] || current != rows + i) rows[i].make();
        made[i] = 1;
        current = rows + i;
        need_room();
        SAMPLE sample = measure(rows + i, count, threads);
        printf("ok %.9f %.9f\n", sample.wall, sample.cpu);
        return;
    }
    printf("no has no such operation\n");
}

int main(int argc, char **argv) {
    char line[200], name[100];
    long count;
    int threads;
    if (argc < 3 || argc > 4 || !fgets(pin, sizeof pin, stdin)) return 2;
    pin[strcspn(pin, "\n")] = 0;
    main_thread = pthread_self();
    wanted = argv[2];
    reserved = argc > 3 ? argv[3] : NULL;
    if (!load(argv[1])) { printf("no the module cannot be loaded\n"); return 2; }
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("ok\n");
    while (fgets(line, sizeof line, stdin)) {
        if (setjmp(answer)) printf("no %s\n", reason);
        else if (sscanf(line, "fill %ld", &count) == 1) { fill(count); printf("ok\n"); }
        else if (sscanf(line, "run %99s %ld %d", name, &count, &threads) == 3) run(name, count, threads);
        else printf("no has no such operation\n");
    }
    return 0;
}
