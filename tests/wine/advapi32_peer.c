/* The functions of advapi32.dll, one command each; peer.h has the protocol. The status is GetLastError's, or 0. */
#include "peer.h"

#include <wincrypt.h>

static void say_success(BOOL success)
{
    DWORD error = success ? ERROR_SUCCESS : GetLastError();
    say_status(!success && !error ? ERROR_INVALID_FUNCTION : error);
}

static void acquire_context(void)
{
    HCRYPTPROV result = 0;
    WCHAR *container = wide(), *provider = wide();
    DWORD type = number();
    say_success(CryptAcquireContextW(&result, container, provider, type, number()));
    say_handle(result);
}

static void release_context(void)
{
    HCRYPTPROV provider = handle();
    say_success(CryptReleaseContext(provider, number()));
}

static void generate_key(void)
{
    HCRYPTPROV provider = handle();
    HCRYPTKEY result = 0;
    ALG_ID algorithm = number();
    say_success(CryptGenKey(provider, algorithm, number(), &result));
    say_handle(result);
}

static void derive_key(void)
{
    HCRYPTPROV provider = handle();
    HCRYPTKEY result = 0;
    ALG_ID algorithm = number();
    HCRYPTHASH hash = handle();
    say_success(CryptDeriveKey(provider, algorithm, hash, number(), &result));
    say_handle(result);
}

static void import_key(void)
{
    HCRYPTPROV provider = handle();
    struct octets blob = octets();
    HCRYPTKEY importing = handle(), result = 0;
    say_success(CryptImportKey(provider, blob.data, blob.size, importing, number(), &result));
    say_handle(result);
}

static void export_key(void)
{
    HCRYPTKEY key = handle(), exporting = handle();
    DWORD type = number(), flags = number();
    struct octets out = room();
    DWORD size = out.size;
    say_success(CryptExportKey(key, exporting, type, flags, out.data, &size));
    say_result(out, size);
}

static void destroy_key(void)
{
    say_success(CryptDestroyKey(handle()));
}

static void duplicate_key(void)
{
    HCRYPTKEY key = handle(), result = 0;
    say_success(CryptDuplicateKey(key, NULL, number(), &result));
    say_handle(result);
}

static void get_user_key(void)
{
    HCRYPTPROV provider = handle();
    HCRYPTKEY result = 0;
    say_success(CryptGetUserKey(provider, number(), &result));
    say_handle(result);
}

static void get_key_param(void)
{
    HCRYPTKEY key = handle();
    DWORD parameter = number(), flags = number();
    struct octets out = room();
    DWORD size = out.size;
    say_success(CryptGetKeyParam(key, parameter, out.data, &size, flags));
    say_result(out, size);
}

static void set_key_param(void)
{
    HCRYPTKEY key = handle();
    DWORD parameter = number();
    struct octets value = octets();
    say_success(CryptSetKeyParam(key, parameter, value.data, number()));
}

/* Both work in place; the last word is the buffer's size. */
static void encrypt(void)
{
    HCRYPTKEY key = handle();
    HCRYPTHASH hash = handle();
    BOOL final = number();
    DWORD flags = number();
    struct octets data = octets(), out = room();
    DWORD size = data.size;
    if (out.data)
        memcpy(out.data, data.data, data.size < out.size ? data.size : out.size);
    say_success(CryptEncrypt(key, hash, final, flags, out.data, &size, out.size));
    say_result(out, size);
}

static void decrypt(void)
{
    HCRYPTKEY key = handle();
    HCRYPTHASH hash = handle();
    BOOL final = number();
    DWORD flags = number();
    struct octets data = octets();
    DWORD size = data.size;
    say_success(CryptDecrypt(key, hash, final, flags, data.data, &size));
    say_result(data, size);
}

static void create_hash(void)
{
    HCRYPTPROV provider = handle();
    ALG_ID algorithm = number();
    HCRYPTKEY key = handle();
    HCRYPTHASH result = 0;
    say_success(CryptCreateHash(provider, algorithm, key, number(), &result));
    say_handle(result);
}

static void hash_data(void)
{
    HCRYPTHASH hash = handle();
    struct octets data = octets();
    say_success(CryptHashData(hash, data.data, data.size, number()));
}

static void get_hash_param(void)
{
    HCRYPTHASH hash = handle();
    DWORD parameter = number(), flags = number();
    struct octets out = room();
    DWORD size = out.size;
    say_success(CryptGetHashParam(hash, parameter, out.data, &size, flags));
    say_result(out, size);
}

static void set_hash_param(void)
{
    HCRYPTHASH hash = handle();
    DWORD parameter = number();
    struct octets value = octets();
    say_success(CryptSetHashParam(hash, parameter, value.data, number()));
}

static void destroy_hash(void)
{
    say_success(CryptDestroyHash(handle()));
}

static void sign_hash(void)
{
    HCRYPTHASH hash = handle();
    DWORD spec = number(), flags = number();
    struct octets out = room();
    DWORD size = out.size;
    say_success(CryptSignHashW(hash, spec, NULL, flags, out.data, &size));
    say_result(out, size);
}

static void verify_signature(void)
{
    HCRYPTHASH hash = handle();
    struct octets signature = octets();
    HCRYPTKEY key = handle();
    say_success(CryptVerifySignatureW(hash, signature.data, signature.size, key, NULL, number()));
}

static void gen_random(void)
{
    HCRYPTPROV provider = handle();
    struct octets out = room();
    say_success(CryptGenRandom(provider, out.size, out.data));
    say_octets(out.data, out.size);
}

int main(void)
{
    static const struct command commands[] = {
        {"CryptAcquireContext", acquire_context},
        {"CryptReleaseContext", release_context},
        {"CryptGenKey", generate_key},
        {"CryptDeriveKey", derive_key},
        {"CryptImportKey", import_key},
        {"CryptExportKey", export_key},
        {"CryptDestroyKey", destroy_key},
        {"CryptDuplicateKey", duplicate_key},
        {"CryptGetUserKey", get_user_key},
        {"CryptGetKeyParam", get_key_param},
        {"CryptSetKeyParam", set_key_param},
        {"CryptEncrypt", encrypt},
        {"CryptDecrypt", decrypt},
        {"CryptCreateHash", create_hash},
        {"CryptHashData", hash_data},
        {"CryptGetHashParam", get_hash_param},
        {"CryptSetHashParam", set_hash_param},
        {"CryptDestroyHash", destroy_hash},
        {"CryptSignHash", sign_hash},
        {"CryptVerifySignature", verify_signature},
        {"CryptGenRandom", gen_random},
        {NULL, NULL},
    };
    return serve(commands);
}
