/* A PKCS#11 module that is SoftHSM, of which single calls hang until they are let go: before SoftHSM is called, or after.

   MODULE: the path of SoftHSM. cc -shared -fPIC -DMODULE='"/usr/lib/..."' -o hanging.so hanging_module.c -lpthread */

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>

#define FUNCTIONS 68

typedef unsigned long word;
typedef word (*function)(word, word, word, word, word, word, word, word);
typedef struct { unsigned char version[8]; function functions[FUNCTIONS]; } function_list;

static function_list *real, ours;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int due[FUNCTIONS], after, hanging;

/* The next `calls` calls of the function with this place in CK_FUNCTION_LIST hang. */
void hang(int place, int calls, int afterwards)
{
    pthread_mutex_lock(&lock);
    due[place] = calls;
    after = afterwards;
    pthread_mutex_unlock(&lock);
}

/* All that hang go on. */
void let_go(void)
{
    pthread_mutex_lock(&lock);
    for (int place = 0; place < FUNCTIONS; place++)
        due[place] = 0;
    hanging = 0;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

int how_many_hang(void)
{
    return hanging;
}

static int is_due(int place)
{
    pthread_mutex_lock(&lock);
    int found = due[place] > 0;
    due[place] -= found;
    pthread_mutex_unlock(&lock);
    return found;
}

static void wait_until_let_go(void)
{
    pthread_mutex_lock(&lock);
    hanging++;
    while (hanging)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static word called(int place, word a, word b, word c, word d, word e, word f, word g, word h)
{
    int hangs = is_due(place);
    if (hangs && !after)
        wait_until_let_go();
    word rv = real->functions[place](a, b, c, d, e, f, g, h);
    if (hangs && after)
        wait_until_let_go();
    return rv;
}

#define ONE(n) \
    static word f##n(word a, word b, word c, word d, word e, word f, word g, word h) \
    { return called(n, a, b, c, d, e, f, g, h); }
#define TEN(n) ONE(n##0) ONE(n##1) ONE(n##2) ONE(n##3) ONE(n##4) ONE(n##5) ONE(n##6) ONE(n##7) ONE(n##8) ONE(n##9)
ONE(0) ONE(1) ONE(2) ONE(3) ONE(4) ONE(5) ONE(6) ONE(7) ONE(8) ONE(9)
TEN(1) TEN(2) TEN(3) TEN(4) TEN(5)
ONE(60) ONE(61) ONE(62) ONE(63) ONE(64) ONE(65) ONE(66) ONE(67)
#define TEN_NAMES(n) f##n##0, f##n##1, f##n##2, f##n##3, f##n##4, f##n##5, f##n##6, f##n##7, f##n##8, f##n##9
static const function wrapped[FUNCTIONS] = {
    f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, TEN_NAMES(1), TEN_NAMES(2), TEN_NAMES(3), TEN_NAMES(4), TEN_NAMES(5),
    f60, f61, f62, f63, f64, f65, f66, f67,
};

word C_GetFunctionList(function_list **list)
{
    if (real == NULL) {
        void *library = dlopen(MODULE, RTLD_NOW | RTLD_LOCAL);
        word (*get)(function_list **) = library ? (word (*)(function_list **))dlsym(library, "C_GetFunctionList") : NULL;
        if (get == NULL || get(&real) != 0)
            return 5;
        ours = *real;
        for (int place = 0; place < FUNCTIONS; place++)
            ours.functions[place] = wrapped[place];
    }
    *list = &ours;
    return 0;
}
