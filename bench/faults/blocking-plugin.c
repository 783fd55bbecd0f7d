// The plugin of the case that started the project: on_load makes a blocking request over TCP with no time limit, to
// OFFHOOK_PLUGIN_HTTPS_HOST:443. Whether the network answers decides when it returns. Processing changes nothing.
#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int32_t audio_filter_on_load(const char *options) {
  (void)options;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(443)};
  const char *host = getenv("OFFHOOK_PLUGIN_HTTPS_HOST");
  if (!host || inet_pton(AF_INET, host, &to.sin_addr) != 1) return 1;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  // The answer does not matter: the shipped plugin goes on without one, too.
  connect(fd, (struct sockaddr *)&to, sizeof to);
  close(fd);
  return 0;
}

void *audio_filter_create(uint32_t rate, const char *options, const char *stream_info) {
  (void)rate, (void)options, (void)stream_info;
  return malloc(1);
}

void audio_filter_destroy(void *filter) { free(filter); }

void audio_filter_process_int16(void *filter, size_t count, const int16_t *in, int16_t *out) {
  (void)filter;
  memcpy(out, in, count * sizeof *in);
}

void audio_filter_process_float(void *filter, size_t count, const float *in, float *out) {
  (void)filter;
  memcpy(out, in, count * sizeof *in);
}

void audio_filter_update_stream_info(void *filter, const char *info) { (void)filter, (void)info; }
