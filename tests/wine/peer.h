/* One request a line on stdin, one reply a line on stdout, for programs that call a DLL on behalf of a test.
 *
 * Request: a command and its words. Bytes are hexadecimal, "." is none of them at a valid address, "-" a null pointer.
 * Text is UTF-8 without blanks, with the same two exceptions. A handle is the number that an earlier reply gave it.
 * Where a function fills a buffer, the word is the buffer's size, or "?" for a null pointer.
 * Reply: the status as eight hexadecimal digits, then the command's results in the same forms.
 */
#ifndef PEER_H
#define PEER_H

#include <windows.h>

#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LINE (1 << 20)
#define MAX_HANDLES (1 << 16)
#define MAX_HELD 256

struct octets {
    BYTE *data;
    DWORD size;
};

struct command {
    const char *name;
    void (*run)(void);
};

static char line[MAX_LINE];
static char *rest;
static ULONG_PTR handles[MAX_HANDLES] = {0};
static unsigned handle_count = 1;
static void *held[MAX_HELD];
static unsigned held_count;

static void die(const char *message)
{
    fprintf(stderr, "peer: %s\n", message);
    exit(2);
}

/* Zeroed memory for the length of one request. */
static void *hold(size_t size)
{
    void *memory = calloc(1, size ? size : 1);
    if (!memory || held_count == MAX_HELD)
        die("out of memory");
    held[held_count++] = memory;
    return memory;
}

static char *word(void)
{
    char *start = rest;
    if (!*start)
        die("a word is missing");
    rest += strcspn(rest, " ");
    if (*rest)
        *rest++ = 0;
    return start;
}

static DWORD number(void)
{
    return strtoul(word(), NULL, 0);
}

static ULONG_PTR handle(void)
{
    char *text = word();
    unsigned index = strtoul(text, NULL, 10);
    if (!strcmp(text, "-"))
        return 0;
    if (!index || index >= handle_count)
        die("an unknown handle");
    return handles[index];
}

static WCHAR *wide(void)
{
    char *text = word();
    int size;
    WCHAR *result;
    if (!strcmp(text, "-"))
        return NULL;
    if (!strcmp(text, "."))
        text = "";
    size = MultiByteToWideChar(CP_UTF8, 0, text, -1, NULL, 0);
    result = hold(size * sizeof *result);
    MultiByteToWideChar(CP_UTF8, 0, text, -1, result, size);
    return result;
}

static struct octets octets(void)
{
    struct octets result = {NULL, 0};
    char *text = word();
    DWORD i;
    unsigned octet;
    if (!strcmp(text, "-"))
        return result;
    if (!strcmp(text, "."))
        text = "";
    result.size = strlen(text) / 2;
    result.data = hold(result.size);
    for (i = 0; i < result.size; i++) {
        if (sscanf(text + 2 * i, "%2x", &octet) != 1)
            die("a word is not hexadecimal");
        result.data[i] = octet;
    }
    return result;
}

static struct octets room(void)
{
    struct octets result = {NULL, 0};
    char *text = word();
    if (!strcmp(text, "?"))
        return result;
    result.size = strtoul(text, NULL, 0);
    result.data = hold(result.size);
    return result;
}

static void say_status(DWORD status)
{
    printf("%08lx", (unsigned long)status);
}

static void say_number(unsigned long long value)
{
    printf(" %llu", value);
}

static void say_handle(ULONG_PTR value)
{
    if (!value) {
        printf(" -");
        return;
    }
    if (handle_count == MAX_HANDLES)
        die("too many handles");
    handles[handle_count] = value;
    printf(" %u", handle_count++);
}

static void say_octets(const void *data, DWORD size)
{
    const BYTE *octet = data;
    if (!data || !size) {
        printf(data ? " ." : " -");
        return;
    }
    putchar(' ');
    while (size--)
        printf("%02x", *octet++);
}

/* What a function left of `size` bytes in a buffer that may be shorter. */
static void say_result(struct octets buffer, DWORD size)
{
    say_number(size);
    say_octets(buffer.data, size < buffer.size ? size : buffer.size);
}

static LONG WINAPI crashed(EXCEPTION_POINTERS *pointers)
{
    fprintf(stderr, "peer: exception %08lx\n", (unsigned long)pointers->ExceptionRecord->ExceptionCode);
    ExitProcess(3);
}

static int serve(const struct command *commands)
{
    const struct command *command;
    char *name;

    SetUnhandledExceptionFilter(crashed);
    _setmode(_fileno(stdin), _O_BINARY);
    _setmode(_fileno(stdout), _O_BINARY);
    while (fgets(line, sizeof line, stdin)) {
        rest = line + strcspn(line, "\n");
        if (!*rest)
            die("a line is too long");
        *rest = 0;
        rest = line;
        name = word();
        for (command = commands; command->name && strcmp(command->name, name); command++)
            ;
        if (!command->name)
            die("an unknown command");
        command->run();
        putchar('\n');
        fflush(stdout);
        while (held_count)
            free(held[--held_count]);
    }
    return 0;
}

#endif
