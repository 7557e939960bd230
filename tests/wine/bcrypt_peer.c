/* The functions of bcrypt.dll, one command each; peer.h has the protocol. */
#include "peer.h"

#include <bcrypt.h>

#define MAX_BUFFERS 16

static BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO *authenticated;

static void open_algorithm(void)
{
    BCRYPT_ALG_HANDLE result = NULL;
    WCHAR *name = wide(), *implementation = wide();
    say_status(BCryptOpenAlgorithmProvider(&result, name, implementation, number()));
    say_handle((ULONG_PTR)result);
}

static void close_algorithm(void)
{
    BCRYPT_ALG_HANDLE algorithm = (BCRYPT_ALG_HANDLE)handle();
    say_status(BCryptCloseAlgorithmProvider(algorithm, number()));
}

static void get_property(void)
{
    BCRYPT_HANDLE object = (BCRYPT_HANDLE)handle();
    WCHAR *name = wide();
    struct octets out = room();
    ULONG size = 0;
    say_status(BCryptGetProperty(object, name, out.data, out.size, &size, number()));
    say_result(out, size);
}

static void set_property(void)
{
    BCRYPT_HANDLE object = (BCRYPT_HANDLE)handle();
    WCHAR *name = wide();
    struct octets value = octets();
    say_status(BCryptSetProperty(object, name, value.data, value.size, number()));
}

/* The key or hash object outlives the request, so it is never freed. */
static struct octets lasting_room(void)
{
    struct octets result = {NULL, 0};
    char *text = word();
    if (!strcmp(text, "?"))
        return result;
    result.size = strtoul(text, NULL, 0);
    result.data = calloc(1, result.size ? result.size : 1);
    return result;
}

static void generate_symmetric_key(void)
{
    BCRYPT_ALG_HANDLE algorithm = (BCRYPT_ALG_HANDLE)handle();
    BCRYPT_KEY_HANDLE result = NULL;
    struct octets object = lasting_room(), secret = octets();
    say_status(BCryptGenerateSymmetricKey(algorithm, &result, object.data, object.size, secret.data, secret.size, number()));
    say_handle((ULONG_PTR)result);
}

static void generate_key_pair(void)
{
    BCRYPT_ALG_HANDLE algorithm = (BCRYPT_ALG_HANDLE)handle();
    BCRYPT_KEY_HANDLE result = NULL;
    ULONG bits = number();
    say_status(BCryptGenerateKeyPair(algorithm, &result, bits, number()));
    say_handle((ULONG_PTR)result);
}

static void finalize_key_pair(void)
{
    BCRYPT_KEY_HANDLE key = (BCRYPT_KEY_HANDLE)handle();
    say_status(BCryptFinalizeKeyPair(key, number()));
}

static void duplicate_key(void)
{
    BCRYPT_KEY_HANDLE key = (BCRYPT_KEY_HANDLE)handle(), result = NULL;
    struct octets object = lasting_room();
    say_status(BCryptDuplicateKey(key, &result, object.data, object.size, number()));
    say_handle((ULONG_PTR)result);
}

static void import_key(void)
{
    BCRYPT_ALG_HANDLE algorithm = (BCRYPT_ALG_HANDLE)handle();
    BCRYPT_KEY_HANDLE importing = (BCRYPT_KEY_HANDLE)handle(), result = NULL;
    WCHAR *type = wide();
    struct octets object = lasting_room(), blob = octets();
    say_status(BCryptImportKey(
        algorithm, importing, type, &result, object.data, object.size, blob.data, blob.size, number()));
    say_handle((ULONG_PTR)result);
}

static void import_key_pair(void)
{
    BCRYPT_ALG_HANDLE algorithm = (BCRYPT_ALG_HANDLE)handle();
    BCRYPT_KEY_HANDLE importing = (BCRYPT_KEY_HANDLE)handle(), result = NULL;
    WCHAR *type = wide();
    struct octets blob = octets();
    say_status(BCryptImportKeyPair(algorithm, importing, type, &result, blob.data, blob.size, number()));
    say_handle((ULONG_PTR)result);
}

static void export_key(void)
{
    BCRYPT_KEY_HANDLE key = (BCRYPT_KEY_HANDLE)handle(), exporting = (BCRYPT_KEY_HANDLE)handle();
    WCHAR *type = wide();
    struct octets out = room();
    ULONG size = 0;
    say_status(BCryptExportKey(key, exporting, type, out.data, out.size, &size, number()));
    say_result(out, size);
}

static void destroy_key(void)
{
    say_status(BCryptDestroyKey((BCRYPT_KEY_HANDLE)handle()));
}

/* "none"; "pkcs1 NAME"; "pss NAME SALT"; "oaep NAME LABEL"; "aead NONCE AAD TAG CONTEXT CBAAD CBDATA FLAGS". */
static void *padding(void)
{
    char *kind = word();
    authenticated = NULL;
    if (!strcmp(kind, "pkcs1")) {
        BCRYPT_PKCS1_PADDING_INFO *info = hold(sizeof *info);
        info->pszAlgId = wide();
        return info;
    }
    if (!strcmp(kind, "pss")) {
        BCRYPT_PSS_PADDING_INFO *info = hold(sizeof *info);
        info->pszAlgId = wide();
        info->cbSalt = number();
        return info;
    }
    if (!strcmp(kind, "oaep")) {
        BCRYPT_OAEP_PADDING_INFO *info = hold(sizeof *info);
        struct octets label;
        info->pszAlgId = wide();
        label = octets();
        info->pbLabel = label.data;
        info->cbLabel = label.size;
        return info;
    }
    if (!strcmp(kind, "aead")) {
        BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO *info = hold(sizeof *info);
        struct octets nonce = octets(), aad = octets(), tag = octets(), context = octets();
        BCRYPT_INIT_AUTH_MODE_INFO(*info);
        info->pbNonce = nonce.data;
        info->cbNonce = nonce.size;
        info->pbAuthData = aad.data;
        info->cbAuthData = aad.size;
        info->pbTag = tag.data;
        info->cbTag = tag.size;
        info->pbMacContext = context.data;
        info->cbMacContext = context.size;
        info->cbAAD = number();
        info->cbData = number();
        info->dwFlags = number();
        authenticated = info;
        return info;
    }
    if (strcmp(kind, "none"))
        die("an unknown padding");
    return NULL;
}

/* Results: bytes, the IV, and of an authenticated mode its tag, context, cbAAD, cbData and flags. */
static void crypt(NTSTATUS (WINAPI *function)(
    BCRYPT_KEY_HANDLE, PUCHAR, ULONG, void *, PUCHAR, ULONG, PUCHAR, ULONG, ULONG *, ULONG))
{
    BCRYPT_KEY_HANDLE key = (BCRYPT_KEY_HANDLE)handle();
    struct octets input = octets();
    void *info = padding();
    struct octets iv = octets(), out = room();
    ULONG size = 0;
    say_status(function(
        key, input.data, input.size, info, iv.data, iv.size, out.data, out.size, &size, number()));
    say_result(out, size);
    say_octets(iv.data, iv.size);
    if (authenticated) {
        say_octets(authenticated->pbTag, authenticated->cbTag);
        say_octets(authenticated->pbMacContext, authenticated->cbMacContext);
        say_number(authenticated->cbAAD);
        say_number(authenticated->cbData);
        say_number(authenticated->dwFlags);
    }
}

static void encrypt(void)
{
    crypt(BCryptEncrypt);
}

static void decrypt(void)
{
    crypt(BCryptDecrypt);
}

static void sign_hash(void)
{
    BCRYPT_KEY_HANDLE key = (BCRYPT_KEY_HANDLE)handle();
    void *info = padding();
    struct octets digest = octets(), out = room();
    ULONG size = 0;
    say_status(BCryptSignHash(key, info, digest.data, digest.size, out.data, out.size, &size, number()));
    say_result(out, size);
}

static void verify_signature(void)
{
    BCRYPT_KEY_HANDLE key = (BCRYPT_KEY_HANDLE)handle();
    void *info = padding();
    struct octets digest = octets(), signature = octets();
    say_status(BCryptVerifySignature(
        key, info, digest.data, digest.size, signature.data, signature.size, number()));
}

static void secret_agreement(void)
{
    BCRYPT_KEY_HANDLE private = (BCRYPT_KEY_HANDLE)handle(), public = (BCRYPT_KEY_HANDLE)handle();
    BCRYPT_SECRET_HANDLE result = NULL;
    say_status(BCryptSecretAgreement(private, public, &result, number()));
    say_handle((ULONG_PTR)result);
}

/* The parameter list is its length, then a type and a value each; "-" is a null pointer. */
static void derive_key(void)
{
    BCRYPT_SECRET_HANDLE secret = (BCRYPT_SECRET_HANDLE)handle();
    WCHAR *function = wide();
    BCryptBuffer buffers[MAX_BUFFERS];
    BCryptBufferDesc list = {BCRYPTBUFFER_VERSION, 0, buffers};
    char *count = word();
    struct octets out, value;
    ULONG size = 0, i;
    if (strcmp(count, "-"))
        list.cBuffers = strtoul(count, NULL, 10);
    if (list.cBuffers > MAX_BUFFERS)
        die("too many buffers");
    for (i = 0; i < list.cBuffers; i++) {
        buffers[i].BufferType = number();
        value = octets();
        buffers[i].pvBuffer = value.data;
        buffers[i].cbBuffer = value.size;
    }
    out = room();
    say_status(BCryptDeriveKey(
        secret, function, strcmp(count, "-") ? &list : NULL, out.data, out.size, &size, number()));
    say_result(out, size);
}

static void derive_key_pbkdf2(void)
{
    BCRYPT_ALG_HANDLE algorithm = (BCRYPT_ALG_HANDLE)handle();
    struct octets password = octets(), salt = octets(), out;
    ULONGLONG iterations = number();
    out = room();
    say_status(BCryptDeriveKeyPBKDF2(
        algorithm, password.data, password.size, salt.data, salt.size, iterations, out.data, out.size, number()));
    say_octets(out.data, out.size);
}

static void derive_key_capi(void)
{
    BCRYPT_HASH_HANDLE hash = (BCRYPT_HASH_HANDLE)handle();
    BCRYPT_ALG_HANDLE target = (BCRYPT_ALG_HANDLE)handle();
    struct octets out = room();
    say_status(BCryptDeriveKeyCapi(hash, target, out.data, out.size, number()));
    say_octets(out.data, out.size);
}

static void destroy_secret(void)
{
    say_status(BCryptDestroySecret((BCRYPT_SECRET_HANDLE)handle()));
}

static void gen_random(void)
{
    BCRYPT_ALG_HANDLE algorithm = (BCRYPT_ALG_HANDLE)handle();
    struct octets out = room();
    say_status(BCryptGenRandom(algorithm, out.data, out.size, number()));
    say_octets(out.data, out.size);
}

static void create_hash(void)
{
    BCRYPT_ALG_HANDLE algorithm = (BCRYPT_ALG_HANDLE)handle();
    BCRYPT_HASH_HANDLE result = NULL;
    struct octets object = lasting_room(), secret = octets();
    say_status(BCryptCreateHash(
        algorithm, &result, object.data, object.size, secret.data, secret.size, number()));
    say_handle((ULONG_PTR)result);
}

static void hash_data(void)
{
    BCRYPT_HASH_HANDLE hash = (BCRYPT_HASH_HANDLE)handle();
    struct octets data = octets();
    say_status(BCryptHashData(hash, data.data, data.size, number()));
}

static void finish_hash(void)
{
    BCRYPT_HASH_HANDLE hash = (BCRYPT_HASH_HANDLE)handle();
    struct octets out = room();
    say_status(BCryptFinishHash(hash, out.data, out.size, number()));
    say_octets(out.data, out.size);
}

static void duplicate_hash(void)
{
    BCRYPT_HASH_HANDLE hash = (BCRYPT_HASH_HANDLE)handle(), result = NULL;
    struct octets object = lasting_room();
    say_status(BCryptDuplicateHash(hash, &result, object.data, object.size, number()));
    say_handle((ULONG_PTR)result);
}

static void destroy_hash(void)
{
    say_status(BCryptDestroyHash((BCRYPT_HASH_HANDLE)handle()));
}

static void hash_at_once(void)
{
    BCRYPT_ALG_HANDLE algorithm = (BCRYPT_ALG_HANDLE)handle();
    struct octets secret = octets(), data = octets(), out = room();
    say_status(BCryptHash(
        algorithm, secret.data, secret.size, data.data, data.size, out.data, out.size));
    say_octets(out.data, out.size);
}

int main(void)
{
    static const struct command commands[] = {
        {"BCryptOpenAlgorithmProvider", open_algorithm},
        {"BCryptCloseAlgorithmProvider", close_algorithm},
        {"BCryptGetProperty", get_property},
        {"BCryptSetProperty", set_property},
        {"BCryptGenerateSymmetricKey", generate_symmetric_key},
        {"BCryptGenerateKeyPair", generate_key_pair},
        {"BCryptFinalizeKeyPair", finalize_key_pair},
        {"BCryptDuplicateKey", duplicate_key},
        {"BCryptImportKey", import_key},
        {"BCryptImportKeyPair", import_key_pair},
        {"BCryptExportKey", export_key},
        {"BCryptDestroyKey", destroy_key},
        {"BCryptEncrypt", encrypt},
        {"BCryptDecrypt", decrypt},
        {"BCryptSignHash", sign_hash},
        {"BCryptVerifySignature", verify_signature},
        {"BCryptSecretAgreement", secret_agreement},
        {"BCryptDeriveKey", derive_key},
        {"BCryptDeriveKeyPBKDF2", derive_key_pbkdf2},
        {"BCryptDeriveKeyCapi", derive_key_capi},
        {"BCryptDestroySecret", destroy_secret},
        {"BCryptGenRandom", gen_random},
        {"BCryptCreateHash", create_hash},
        {"BCryptHashData", hash_data},
        {"BCryptFinishHash", finish_hash},
        {"BCryptDuplicateHash", duplicate_hash},
        {"BCryptDestroyHash", destroy_hash},
        {"BCryptHash", hash_at_once},
        {NULL, NULL},
    };
    return serve(commands);
}
