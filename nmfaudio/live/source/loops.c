/* The loops that take the time: Fourier transform, update of the activations, masks.
   Compiled several times, with VARIANT set to base, avx2 or avx512 and the compiler's flags for it. */
#include "loops.h"

#include <math.h>
#include <string.h>

#define JOIN2(a, b) a##_##b
#define JOIN(a, b) JOIN2(a, b)
#define TEXT2(a) #a
#define TEXT(a) TEXT2(a)
#define EACH(index, count) for (int index = 0; index < (count); index++)

/* Vectors as wide as the registers: compilers make slow code of wider ones. */
#if defined(__AVX512F__)
enum { WIDE = 16 };
#elif defined(__AVX__)
enum { WIDE = 8 };
#else
enum { WIDE = 4 };
#endif
enum { VECTORS = LANES / WIDE };
typedef float Vector __attribute__((vector_size(4 * WIDE), may_alias));
#define UNROLLED _Pragma("GCC unroll 8")

/* ---- powers: log2 and exp2 as polynomials, so that loops over them use vector instructions ---- */

static inline __attribute__((always_inline)) float log2_of(float x) {
    union { float real; int bits; } value = {x};
    /* Mantissa within sqrt(1/2) and sqrt(2); then atanh's series in (m - 1) / (m + 1). */
    int shift = (value.bits - 0x3f3504f3) >> 23;
    value.bits -= shift * (1 << 23);
    float t = (value.real - 1) / (value.real + 1), s = t * t;
    float series = 1 + s * (0.33333333f + s * (0.2f + s * (0.14285715f + s * 0.11111111f)));
    return (float)shift + 2.88539008f * t * series;
}

static inline __attribute__((always_inline)) float exp2_of(float x) {
    x = x < -126 ? -126 : x > 126 ? 126 : x;
    int whole = (int)(x + 126.5f) - 126;
    float t = (x - (float)whole) * 0.69314718f;
    union { int bits; float real; } scale = {(whole + 127) * (1 << 23)};
    float series = 1 + t * (1 + t * (0.5f + t * (0.16666667f + t * (0.041666668f
                   + t * (0.0083333338f + t * 0.0013888889f)))));
    return series * scale.real;
}

/* x ^ power for x >= 0 and power > 0 */
static inline __attribute__((always_inline)) float power_of(float x, float power) {
    return x > 1e-37f ? exp2_of(power * log2_of(x)) : 0;
}

static void raise(float *restrict values, float scale, float power, int count) {
    if (power == 1) {
        EACH(i, count) values[i] *= scale;
    } else {
        EACH(i, count) values[i] = power_of(scale * values[i], power);
    }
}

/* ---- Fourier transform: Stockham's order, radix 4, real and imaginary parts apart ---- */

typedef struct { float *restrict real, *restrict imag; } Pair;

/* One butterfly: a, b, c, d are the four inputs; the results are turned by the twiddle factors. */
#define BUTTERFLY(from, at, step, to, place, pace, w)                                                 \
    {                                                                                                  \
        float ar = from.real[at], ai = from.imag[at];                                                  \
        float br = from.real[at + (step)], bi = from.imag[at + (step)];                                \
        float cr = from.real[at + 2 * (step)], ci = from.imag[at + 2 * (step)];                        \
        float dr = from.real[at + 3 * (step)], di = from.imag[at + 3 * (step)];                        \
        float sr = ar + cr, si = ai + ci, tr = ar - cr, ti = ai - ci;                                  \
        float ur = br + dr, ui = bi + di, vr = br - dr, vi = bi - di;                                  \
        float er = tr + vi, ei = ti - vr, fr = sr - ur, fi = si - ui, gr = tr - vi, gi = ti + vr;      \
        to.real[place] = sr + ur;                                                                      \
        to.imag[place] = si + ui;                                                                      \
        to.real[place + (pace)] = er * w[0] - ei * w[1];                                               \
        to.imag[place + (pace)] = er * w[1] + ei * w[0];                                               \
        to.real[place + 2 * (pace)] = fr * w[2] - fi * w[3];                                           \
        to.imag[place + 2 * (pace)] = fr * w[3] + fi * w[2];                                           \
        to.real[place + 3 * (pace)] = gr * w[4] - gi * w[5];                                           \
        to.imag[place + 3 * (pace)] = gr * w[5] + gi * w[4];                                           \
    }

/* The first stage: groups lie side by side in the input. */
static void first_stage(Pair from, Pair to, const float *restrict w, int groups) {
    EACH(p, groups) {
        const float turn[6] = {w[p], w[groups + p], w[2 * groups + p], w[3 * groups + p], w[4 * groups + p],
                               w[5 * groups + p]};
        BUTTERFLY(from, p, groups, to, 4 * p, 1, turn)
    }
}

static inline __attribute__((always_inline)) void later_stage(Pair from, Pair to, const float *restrict w,
                                                              int groups, int stride) {
    EACH(p, groups) {
        const float turn[6] = {w[p], w[groups + p], w[2 * groups + p], w[3 * groups + p], w[4 * groups + p],
                               w[5 * groups + p]};
        EACH(q, stride) BUTTERFLY(from, q + stride * p, stride * groups, to, q + stride * 4 * p, stride, turn)
    }
}

static void last_pairs(Pair from, Pair to, int half) {
    EACH(q, half / 2) {
        float ar = from.real[q], ai = from.imag[q], br = from.real[q + half / 2], bi = from.imag[q + half / 2];
        to.real[q] = ar + br;
        to.imag[q] = ai + bi;
        to.real[q + half / 2] = ar - br;
        to.imag[q + half / 2] = ai - bi;
    }
}

/* Transform `from`, of length / 2 complex numbers; the result lies in what is returned. */
static Pair transform(const Fft *fft, Pair from, Pair other) {
    int half = fft->length / 2, stride = 1;
    const float *w = fft->stages;
    for (int size = half; size >= 4; size /= 4, stride *= 4) {
        int groups = size / 4;
        if (stride == 1)
            first_stage(from, other, w, groups);
        else if (stride == 4)
            later_stage(from, other, w, groups, 4);
        else
            later_stage(from, other, w, groups, stride);
        w += 6 * groups;
        Pair swapped = from;
        from = other;
        other = swapped;
    }
    if (stride < half) {
        last_pairs(from, other, half);
        return other;
    }
    return from;
}

static void forward(const Fft *fft, const float *restrict samples, float *restrict real, float *restrict imag) {
    int half = fft->length / 2;
    size_t room = ((size_t)half + 15) & ~(size_t)15;
    Pair a = {fft->work, fft->work + room}, b = {fft->work + 2 * room, fft->work + 3 * room};
    EACH(i, half) {
        a.real[i] = samples[2 * i];
        a.imag[i] = samples[2 * i + 1];
    }
    Pair z = transform(fft, a, b);
    const float *wr = fft->half_real, *wi = fft->half_imag;
    real[0] = z.real[0] + z.imag[0];
    imag[0] = 0;
    real[half] = z.real[0] - z.imag[0];
    imag[half] = 0;
    for (int k = 1; k <= half / 2; k++) {
        float er = 0.5f * (z.real[k] + z.real[half - k]), ei = 0.5f * (z.imag[k] - z.imag[half - k]);
        float dr = 0.5f * (z.imag[k] + z.imag[half - k]), di = 0.5f * (z.real[half - k] - z.real[k]);
        float tr = dr * wr[k] - di * wi[k], ti = dr * wi[k] + di * wr[k];
        real[k] = er + tr;
        imag[k] = ei + ti;
        real[half - k] = er - tr;
        imag[half - k] = ti - ei;
    }
}

static void inverse(const Fft *fft, const float *restrict real, const float *restrict imag,
                    float *restrict samples) {
    int half = fft->length / 2;
    size_t room = ((size_t)half + 15) & ~(size_t)15;
    /* The inverse is the forward transform with real and imaginary parts exchanged on both sides. */
    Pair a = {fft->work + room, fft->work}, b = {fft->work + 3 * room, fft->work + 2 * room};
    const float *wr = fft->half_real, *wi = fft->half_imag;
    float scale = 1.0f / (float)fft->length;
    a.real[0] = scale * (real[0] + real[half]);
    a.imag[0] = scale * (real[0] - real[half]);
    for (int k = 1; k <= half / 2; k++) {
        float er = scale * (real[k] + real[half - k]), ei = scale * (imag[k] - imag[half - k]);
        float tr = scale * (real[k] - real[half - k]), ti = scale * (imag[k] + imag[half - k]);
        float dr = tr * wr[k] + ti * wi[k], di = ti * wr[k] - tr * wi[k];
        a.real[k] = er - di;
        a.imag[k] = ei + dr;
        a.real[half - k] = er + di;
        a.imag[half - k] = dr - ei;
    }
    Pair from = {a.imag, a.real}, other = {b.imag, b.real};
    Pair z = transform(fft, from, other);
    EACH(i, half) {
        samples[2 * i] = z.imag[i];
        samples[2 * i + 1] = z.real[i];
    }
}

/* ---- activations and masks ---- */

static void add_magnitudes(const float *restrict real, const float *restrict imag, float *restrict total,
                           int count) {
    EACH(i, count) total[i] += sqrtf(real[i] * real[i] + imag[i] * imag[i]);
}

static void model(const float *restrict templates, const float *restrict activations, int components,
                  float *restrict result, int width) {
    for (int b = 0; b < width; b += LANES) {
        Vector sums[VECTORS];
        const float *row = templates + b;
        UNROLLED EACH(i, VECTORS) sums[i] = (Vector){0};
        for (int k = 0; k < components; k++, row += width) {
            UNROLLED EACH(i, VECTORS) sums[i] += *(const Vector *)(row + i * WIDE) * activations[k];
        }
        UNROLLED EACH(i, VECTORS) *(Vector *)(result + b + i * WIDE) = sums[i];
    }
}

static inline __attribute__((always_inline)) float total(const Vector *v) {
    float sum = 0;
    EACH(i, WIDE) sum += (*v)[i];
    return sum;
}

/* results[k] = sum over bands of templates[k][b] * data[b], for four components at a time */
static void correlate(const float *restrict templates, const float *restrict data, int components, int width,
                      float *restrict results) {
    for (int k = 0; k < components; k += 4) {
        const float *row = templates + (size_t)k * width;
        Vector a = {0}, b = {0}, c = {0}, d = {0};
        for (int i = 0; i < width; i += WIDE) {
            Vector x = *(const Vector *)(data + i);
            a += *(const Vector *)(row + i) * x;
            b += *(const Vector *)(row + width + i) * x;
            c += *(const Vector *)(row + 2 * width + i) * x;
            d += *(const Vector *)(row + 3 * width + i) * x;
        }
        results[k] = total(&a);
        results[k + 1] = total(&b);
        results[k + 2] = total(&c);
        results[k + 3] = total(&d);
    }
}

/* Kullback-Leibler with templates of unit sum: h <- h * W'(v / Wh) (Lee and Seung 2001). */
static void kullback_leibler(const Update *with, const float *restrict v, float *restrict h) {
    float found[4];
    model(with->templates, h, with->components, with->model, with->bands);
    float *restrict ratio = with->ratio;
    const float *restrict p = with->model;
    EACH(b, with->bands) ratio[b] = v[b] / (p[b] + with->floor);
    for (int k = 0; k < with->components; k += 4) {
        correlate(with->templates + (size_t)k * with->bands, ratio, 4, with->bands, found);
        EACH(i, 4) h[k + i] *= found[i];
    }
}

/* Other beta-divergences: h <- h * (W'(v p^(beta-2)) / W' p^(beta-1)) ^ step (Fevotte and Idier 2011). */
static void general(const Update *with, const float *restrict v, float *restrict h) {
    float above[4], below[4];
    model(with->templates, h, with->components, with->model, with->bands);
    float *restrict ratio = with->ratio, *restrict p = with->model;
    EACH(b, with->bands) {
        float x = p[b] + with->floor, y = exp2_of((with->beta - 2) * log2_of(x));
        ratio[b] = v[b] * y;
        p[b] = x * y;
    }
    for (int k = 0; k < with->components; k += 4) {
        const float *rows = with->templates + (size_t)k * with->bands;
        correlate(rows, ratio, 4, with->bands, above);
        correlate(rows, p, 4, with->bands, below);
        EACH(i, 4) h[k + i] *= below[i] > 0 ? power_of(above[i] / below[i], with->step) : 0;
    }
}

static void update(const Update *with, const float *v, float *activations, int iterations) {
    EACH(i, iterations) {
        if (with->beta == 1)
            kullback_leibler(with, v, activations);
        else
            general(with, v, activations);
    }
}

/* The mask of source j is p_j^e / sum p_i^e; where no source sounds, all have equal parts. */
static void gains(const float *restrict powers, int sources, int width, const float *restrict levels,
                  float exponent, float *restrict gain, float *restrict loudest, float *restrict sum) {
    memset(gain, 0, sizeof(float) * (size_t)width);
    memset(sum, 0, sizeof(float) * (size_t)width);
    EACH(i, width) loudest[i] = powers[i];
    for (int j = 1; j < sources; j++) {
        const float *restrict p = powers + (size_t)j * width;
        EACH(i, width) loudest[i] = p[i] > loudest[i] ? p[i] : loudest[i];
    }
    EACH(i, width) loudest[i] = loudest[i] > 1e-30f ? 1 / loudest[i] : 0;
    EACH(j, sources) {
        const float *restrict p = powers + (size_t)j * width;
        float level = levels[j];
#define SHARE(expression)                                                  \
    EACH(i, width) {                                                       \
        float x = p[i] * loudest[i], share = expression;                   \
        share = loudest[i] > 0 ? share : 1;                                \
        sum[i] += share;                                                   \
        gain[i] += level * share;                                          \
    }
        if (exponent == 1) SHARE(x)
        else if (exponent == 1.5f) SHARE(x * sqrtf(x))
        else if (exponent == 2) SHARE(x * x)
        else SHARE(power_of(x, exponent))
    }
    EACH(i, width) gain[i] /= sum[i];
}

static void scale(float *restrict real, float *restrict imag, const float *restrict gain, int count) {
    EACH(i, count) {
        real[i] *= gain[i];
        imag[i] *= gain[i];
    }
}

static void multiply(const float *restrict a, const float *restrict b, float *restrict product, int count) {
    EACH(i, count) product[i] = a[i] * b[i];
}

const Loops JOIN(loops, VARIANT) = {TEXT(VARIANT), forward, inverse, add_magnitudes, raise,    update,
                                    model,         gains,   scale,   multiply};
