/* Templates seen through other settings: the same method as nmfaudio's Dictionary.to_settings.
   The power of each old bin is spread over the new bins near it. */
#include "templates.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 256 };               /* old bins that share one range of new bins, as in the Python code */
static const double MAIN_LOBE = 0.58; /* standard deviation of a Hann window's power, times its length */
static const double LEAST = 1e-3;     /* of a template's power below the new half rate */
static const double ROOT_2_PI = 2.50662827463100050242;

typedef struct {
    double step;    /* Hz between old bins */
    double target;  /* Hz between new bins */
    double width;   /* Hz by which the new window smears more than the old one */
    double reach;
} Spread;

int n_fft_for(double window_seconds, double sample_rate) {
    double samples = window_seconds * sample_rate;
    int power = (int)rint(log2(samples > 64 ? samples : 64));
    return 1 << (power < 16 ? power : 16);
}

static Spread spread_of(const Dictionary *d, double rate, int n_fft) {
    double before = MAIN_LOBE * d->sample_rate / d->win_length, now = MAIN_LOBE * rate / n_fft;
    double extra = now * now - before * before;
    Spread s = {d->sample_rate / d->n_fft, rate / n_fft, extra > 0 ? sqrt(extra) : 0, 0};
    s.reach = fmax(fmax(s.target, s.step), 4 * s.width);
    return s;
}

static double weight(const Spread *s, double distance) {
    double base = fmax(s->target, s->step);
    if (s->width > 0.5 * s->target) {
        double z = distance / s->width;
        return z < 9 ? exp(-0.5 * z * z) * s->target / (ROOT_2_PI * s->width) : 0;
    }
    return distance < base ? (1 - distance / base) * s->target / base : 0;
}

/* Spread one piece of old bins; power and found are [bins][components]. */
static void spread_piece(const Spread *s, int first, int last, int bins, int components, const double *power,
                         double *found) {
    double low = first * s->step - s->reach, high = (last - 1) * s->step + s->reach;
    int from = (int)fmax(0, ceil(low / s->target - 1e-9)), to = (int)fmin(bins - 1, floor(high / s->target + 1e-9));
    for (int new = from; new <= to; new++)
        for (int old = first; old < last; old++) {
            double w = weight(s, fabs(new * s->target - old * s->step));
            if (w == 0) continue;
            for (int k = 0; k < components; k++)
                found[(size_t)new * components + k] += w * power[(size_t)old * components + k];
        }
}

static void spread(const Dictionary *d, const Spread *s, int bins, const double *power, double *found) {
    int old_bins = d->n_fft / 2 + 1, kept = 0;
    while (kept < old_bins && kept * s->step <= (bins - 1) * s->target + s->reach) kept++;
    for (int first = 0; first < kept; first += PIECE)
        spread_piece(s, first, first + PIECE < kept ? first + PIECE : kept, bins, d->components, power, found);
}

/* Write one template of unit sum; 0 where nothing of it is heard at the new rate. */
static int write_template(const Dictionary *d, int k, int bins, const double *power, const double *found,
                          float *values) {
    double before = 0, now = 0, total = 0;
    int old_bins = d->n_fft / 2 + 1;
    for (int b = 0; b < old_bins; b++) before += power[(size_t)b * d->components + k];
    for (int b = 0; b < bins; b++) now += found[(size_t)b * d->components + k];
    if (!(now > LEAST * before)) return 0;
    for (int b = 0; b < bins; b++) total += pow(found[(size_t)b * d->components + k], d->exponent / 2);
    if (!(total > 0)) return 0;
    for (int b = 0; b < bins; b++)
        values[b] = (float)(pow(found[(size_t)b * d->components + k], d->exponent / 2) / total);
    return 1;
}

static void fill_power(const Dictionary *d, double *power) {
    int bins = d->n_fft / 2 + 1;
    for (int k = 0; k < d->components; k++)
        for (int b = 0; b < bins; b++)
            power[(size_t)b * d->components + k] = pow(d->templates[(size_t)k * bins + b], 2 / d->exponent);
}

/* Order the templates by source and leave out those that are not heard. */
static int collect(const Dictionary *d, Templates *t, const double *power, const double *found) {
    t->components = 0;
    for (int source = 0; source < d->sources; source++) {
        t->first[source] = t->components;
        for (int k = 0; k < d->components; k++)
            if (d->source_of[k] == source)
                t->components += write_template(d, k, t->bins, power, found,
                                                t->values + (size_t)t->components * t->bins);
    }
    t->first[d->sources] = t->components;
    return t->components > 0;
}

Templates *templates_for(const Dictionary *d, double sample_rate) {
    Templates *t = calloc(1, sizeof *t);
    if (!t || !(sample_rate >= 1000 && sample_rate <= 1e6)) {
        free(t);
        return NULL;
    }
    t->n_fft = n_fft_for(d->window_seconds, sample_rate);
    t->bins = t->n_fft / 2 + 1;
    t->sources = d->sources;
    t->power = d->exponent;
    t->beta = d->beta;
    size_t old_bins = (size_t)d->n_fft / 2 + 1, count = (size_t)d->components;
    int same = t->n_fft == d->n_fft && d->win_length == d->n_fft && sample_rate == d->sample_rate;
    double *power = malloc(sizeof(double) * old_bins * count);
    double *found = same ? power : calloc((size_t)t->bins * count, sizeof(double));
    t->values = malloc(sizeof(float) * (size_t)t->bins * count);
    int good = power && found && t->values;
    if (good) {
        Spread s = spread_of(d, sample_rate, t->n_fft);
        fill_power(d, power);
        if (!same) spread(d, &s, t->bins, power, found);
        good = collect(d, t, power, found);
    }
    if (!same) free(found);
    free(power);
    if (good) return t;
    templates_free(t);
    return NULL;
}

void templates_free(Templates *templates) {
    if (!templates) return;
    free(templates->values);
    free(templates);
}
