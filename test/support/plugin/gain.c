/*
 * An audio filter plugin whose behaviour is set from outside, for tests and for the demo. It turns audio down by an
 * audible factor and misbehaves as it is told, by environment variables (and, for a stream, by its options):
 *
 *   OFFHOOK_PLUGIN_ON_LOAD   ok (default) | block | sleep:SECONDS | spin | fail:CODE | crash | exit:CODE | garbage
 *   OFFHOOK_PLUGIN_CREATE    ok | null | garbage | sleep:SECONDS
 *   OFFHOOK_PLUGIN_PROCESS   gain:FACTOR (default gain:0.25) | sleep:MILLISECONDS | nan | overrun:SAMPLES | crash:FRAME |
 *                            block:FRAME | wild
 *   OFFHOOK_PLUGIN_LOG       a file to which every call is appended, one a line
 *
 * Stream options (JSON) may hold "gain": FACTOR and "process": "…" which go before the environment.
 */
#include <fcntl.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifndef LACK_CREATE
#define WITH_CREATE
#endif

struct filter {
    double gain;
    char process[64];
    unsigned frame;
    uint32_t in_rate, out_rate;
};

static void say(const char *call, const char *a, const char *b) {
    const char *path = getenv("OFFHOOK_PLUGIN_LOG");
    if (!path) return;
    char line[4096];
    int length = snprintf(line, sizeof line, "%s %s %s\n", call, a ? a : "", b ? b : "");
    if (length > (int)sizeof line - 1) length = sizeof line - 1;
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (fd < 0) return;
    if (write(fd, line, (size_t)length) < 0) { /* the log is a convenience */ }
    close(fd);
}

static void wait_seconds(double seconds) {
    struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&t, NULL);
}

static const char *behaviour(const char *name, const char *otherwise) {
    const char *value = getenv(name);
    return value && *value ? value : otherwise;
}

/* The number behind "word:", or `otherwise` without one. */
static double argument(const char *text, double otherwise) {
    const char *colon = strchr(text, ':');
    return colon ? atof(colon + 1) : otherwise;
}

static int is(const char *text, const char *word) { return strncmp(text, word, strlen(word)) == 0; }

/* The text behind "key": in flat JSON, without quotes. */
static int option(const char *json, const char *key, char *out, size_t size) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = json ? strstr(json, quoted) : NULL;
    if (!at) return 0;
    at += strlen(quoted);
    while (*at == ' ' || *at == '"') at++;
    size_t n = strcspn(at, "\",}");
    if (n >= size) n = size - 1;
    memcpy(out, at, n);
    out[n] = 0;
    return 1;
}

static void crash(void) { *(volatile int *)8 = 1; }

int32_t audio_filter_on_load(const char *options) {
    say("on_load", options, NULL);
    const char *how = behaviour("OFFHOOK_PLUGIN_ON_LOAD", "ok");
    if (is(how, "block")) for (;;) pause();
    if (is(how, "spin")) for (;;) __asm__ volatile("");
    if (is(how, "sleep")) wait_seconds(argument(how, 1));
    if (is(how, "fail")) return (int32_t)argument(how, 1);
    if (is(how, "crash")) crash();
    if (is(how, "exit")) exit((int)argument(how, 3));
    if (is(how, "garbage")) return (int32_t)0xdeadbeef;
    return 0;
}

static void *make(uint32_t in_rate, uint32_t out_rate, const char *options, const char *info) {
    say("create", options, info);
    const char *how = behaviour("OFFHOOK_PLUGIN_CREATE", "ok");
    if (is(how, "null")) return NULL;
    if (is(how, "garbage")) return (void *)(uintptr_t)0x5eed5eed5eedULL;
    if (is(how, "sleep")) wait_seconds(argument(how, 1));
    struct filter *f = calloc(1, sizeof *f);
    char text[64];
    snprintf(f->process, sizeof f->process, "%s", behaviour("OFFHOOK_PLUGIN_PROCESS", "gain:0.25"));
    if (option(options, "process", text, sizeof text)) memcpy(f->process, text, sizeof text);
    f->gain = is(f->process, "gain") ? argument(f->process, 0.25) : 0.25;
    if (option(options, "gain", text, sizeof text)) f->gain = atof(text);
    f->in_rate = in_rate;
    f->out_rate = out_rate;
    return f;
}

#ifdef WITH_CREATE
void *audio_filter_create(uint32_t rate, const char *options, const char *info) {
    return make(rate, rate, options, info);
}
#endif

void audio_filter_destroy(void *p) {
    say("destroy", NULL, NULL);
    free(p);
}

/* What a misbehaving filter does before it answers. Returns how many samples it writes too many. */
static size_t misbehave(struct filter *f) {
    unsigned frame = f->frame++;
    const char *how = f->process;
    if (is(how, "sleep")) wait_seconds(argument(how, 1) / 1000);
    if (is(how, "crash") && frame == (unsigned)argument(how, 0)) crash();
    if (is(how, "block") && frame == (unsigned)argument(how, 0)) for (;;) pause();
    if (is(how, "wild")) wait_seconds((rand() % 30) / 1000.0);
    return is(how, "overrun") ? (size_t)argument(how, 1) : 0;
}

#define PROCESS(NAME, TYPE, LIMIT)                                                                       \
    static void NAME(struct filter *f, size_t in_n, const TYPE *in, size_t out_n, TYPE *out) {           \
        size_t extra = misbehave(f);                                                                     \
        for (size_t i = 0; i < out_n + extra; i++) {                                                     \
            size_t from = out_n ? i * in_n / out_n : 0;                                                  \
            double sample = from < in_n ? in[from] * f->gain : 0;                                        \
            out[i] = (TYPE)(sample > LIMIT ? LIMIT : sample < -LIMIT ? -LIMIT : sample);                 \
        }                                                                                                \
    }

PROCESS(process_int16, int16_t, 32767)
PROCESS(process_float, float, 1)

void audio_filter_process_int16(void *p, size_t n, const int16_t *in, int16_t *out) {
    process_int16(p, n, in, n, out);
}

void audio_filter_process_float(void *p, size_t n, const float *in, float *out) {
    struct filter *f = p;
    process_float(f, n, in, n, out);
    if (is(f->process, "nan")) out[n / 2] = NAN;
}

#ifdef WITH_V2
void *audio_filter_create_v2(uint32_t in_rate, uint32_t out_rate, const char *options, const char *info) {
    char rates[32];
    snprintf(rates, sizeof rates, "%u>%u", in_rate, out_rate);
    say("v2", rates, NULL);
    return make(in_rate, out_rate, options, info);
}

void audio_filter_process_int16_v2(void *p, size_t in_n, const int16_t *in, size_t out_n, int16_t *out) {
    process_int16(p, in_n, in, out_n, out);
}

void audio_filter_process_float_v2(void *p, size_t in_n, const float *in, size_t out_n, float *out) {
    process_float(p, in_n, in, out_n, out);
}
#endif

#ifndef LACK_UPDATE_STREAM_INFO
void audio_filter_update_stream_info(void *p, const char *info) {
    (void)p;
    say("update_stream_info", info, NULL);
}
#endif

void audio_filter_update_token(const char *url, const char *token) { say("update_token", url, token); }
