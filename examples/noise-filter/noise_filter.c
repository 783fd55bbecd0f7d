/*
 * A noise filter for LiveKit's audio filter interface that misbehaves on demand, as shipped filters have done in the
 * field: NOISE_FILTER_ON_LOAD=block never returns from on_load (a licence check on a network that swallows it),
 * `fail` returns an error, `crash` ends the process, a number of milliseconds takes that long; unset, it is ready at
 * once. A filter that is ready halves the level of what it hears, so that a listener can tell.
 *
 *   cc -shared -fPIC -o noise_filter.so noise_filter.c
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const float gain = 0.5f;

int32_t audio_filter_on_load(const char *json) {
  (void)json;
  const char *behaviour = getenv("NOISE_FILTER_ON_LOAD");
  if (behaviour == NULL || *behaviour == '\0') return 0;
  if (strcmp(behaviour, "fail") == 0) return 1;
  if (strcmp(behaviour, "crash") == 0) abort();
  if (strcmp(behaviour, "block") == 0)
    for (;;) pause();
  usleep((useconds_t)atoi(behaviour) * 1000u);
  return 0;
}

void *audio_filter_create(uint32_t sample_rate, const char *options_json, const char *stream_info_json) {
  (void)sample_rate, (void)options_json, (void)stream_info_json;
  return malloc(1);
}

void audio_filter_destroy(void *filter) { free(filter); }

void audio_filter_process_int16(void *filter, size_t count, const int16_t *in, int16_t *out) {
  (void)filter;
  for (size_t i = 0; i < count; i++) out[i] = (int16_t)(in[i] * gain);
}

void audio_filter_process_float(void *filter, size_t count, const float *in, float *out) {
  (void)filter;
  for (size_t i = 0; i < count; i++) out[i] = in[i] * gain;
}

void audio_filter_update_stream_info(void *filter, const char *json) { (void)filter, (void)json; }
