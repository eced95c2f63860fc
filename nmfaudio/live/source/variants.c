/* Which of the compiled loops this machine runs. */
#include "loops.h"

#include <string.h>

extern const Loops loops_base;

#if defined(__x86_64__)
#include <cpuid.h>

extern const Loops loops_avx2, loops_avx512;

/* Whether the operating system keeps these parts of the registers when it changes threads. */
static int kept(unsigned mask) {
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & mask) == mask;
}

static int has_avx2(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_FMA) || !kept(0x6)) return 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX2);
}

static int has_avx512(void) {
    unsigned a, b, c, d, wanted = bit_AVX512F | bit_AVX512DQ | bit_AVX512VL | bit_AVX512BW;
    if (!has_avx2() || !kept(0xe6)) return 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & wanted) == wanted;
}

const Loops *loops_for(const char *name) {
    int best = !name || !*name;
    if ((best || !strcmp(name, "avx512")) && has_avx512()) return &loops_avx512;
    if ((best || !strcmp(name, "avx2")) && has_avx2()) return &loops_avx2;
    return best || !strcmp(name, "base") ? &loops_base : NULL;
}
#else
const Loops *loops_for(const char *name) {
    return !name || !*name || !strcmp(name, "base") ? &loops_base : NULL;
}
#endif
