/*
 * A participant in C on LiveKit's C interface: joins a room, publishes a tone and prints how loud the others are.
 *
 *   cc -I native examples/c/client.c -o client native/build/liboffhook_ffi.so -Wl,-rpath,$PWD/native/build -lm -lpthread
 *   ./client URL TOKEN SECONDS
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "livekit_ffi.h"

enum { RATE = 48000, LENGTH = RATE / 100 };
static volatile uint64_t room, local_participant;
static volatile int failed;

/* ---- as much of protobuf as this takes: a program of any size uses a library ---- */

typedef struct { uint8_t bytes[4096]; size_t length; } message;

static void put_varint(message *m, uint64_t value) {
  for (; value >= 128; value >>= 7) m->bytes[m->length++] = (uint8_t)(value | 128);
  m->bytes[m->length++] = (uint8_t)value;
}
static void number(message *m, int field, uint64_t value) {
  put_varint(m, (uint64_t)field << 3);
  put_varint(m, value);
}
static void bytes(message *m, int field, const void *data, size_t length) {
  put_varint(m, (uint64_t)field << 3 | 2);
  put_varint(m, length);
  memcpy(m->bytes + m->length, data, length);
  m->length += length;
}

/* What the path of field numbers (ended by 0) leads to: a number, or the bytes of a message or text. */
typedef struct { const uint8_t *data; size_t length; uint64_t number; } field;
static field find(field in, ...) {
  va_list path;
  va_start(path, in);
  for (int wanted; (wanted = va_arg(path, int)) != 0;) {
    field found = {NULL, 0, 0};
    for (const uint8_t *at = in.data, *end = at + in.length; at < end;) {
      uint64_t parts[2] = {0, 0};
      for (int i = 0; i < 2; i++) {
        int shift = 0;
        do parts[i] |= (uint64_t)(*at & 127) << shift; while (shift += 7, *at++ & 128);
        if (i == 0 && (parts[0] & 7) != 0 && (parts[0] & 7) != 2) { at += (parts[0] & 7) == 1 ? 8 : 4; break; }
      }
      bool nested = (parts[0] & 7) == 2;
      if ((int)(parts[0] >> 3) == wanted) found = (field){nested ? at : NULL, nested ? parts[1] : 0, parts[1]};
      if (nested) at += parts[1];
    }
    in = found;
  }
  va_end(path);
  return in;
}

/* ---- requests ---- */

/* Sends `body` as request number `kind`; the number that the path within the response leads to. */
static uint64_t ask(int kind, const message *body, int a, int b, int c) {
  message request = {.length = 0};
  bytes(&request, kind, body->bytes, body->length);
  field response = {NULL, 0, 0};
  uint64_t handle = livekit_ffi_request(request.bytes, request.length, &response.data, &response.length);
  if (handle == 0) { failed = 1; return 0; }
  uint64_t found = find(response, kind, a, b, c, 0).number;
  livekit_ffi_drop_handle(handle);
  return found;
}

static void on_event(const uint8_t *data, size_t length) {
  field event = {data, length, 0}, joined = find(event, 5, 3, 0), track = find(event, 1, 9, 2, 1, 1, 0), frame;
  if (find(event, 5, 2, 0).data) { printf("%.*s\n", (int)find(event, 5, 2, 0).length, find(event, 5, 2, 0).data); failed = 1; }
  if (joined.data) {
    local_participant = find(joined, 2, 1, 1, 0).number;
    room = find(joined, 1, 1, 1, 0).number;
  }
  if (track.number) {
    message stream = {.length = 0};
    number(&stream, 1, track.number), number(&stream, 2, 0), number(&stream, 3, RATE), number(&stream, 4, 1);
    ask(25, &stream, 0, 0, 0);
  }
  if ((frame = find(event, 4, 2, 1, 0)).data) {
    static double power;
    static int count;
    const int16_t *samples = (const int16_t *)(uintptr_t)find(frame, 2, 1, 0).number;
    for (uint64_t i = 0; i < find(frame, 2, 4, 0).number; i++, count++) power += samples[i] * (double)samples[i];
    livekit_ffi_drop_handle(find(frame, 1, 1, 0).number);
    if (count < RATE) return;
    printf("heard %.1f dBFS\n", 10 * log10(power / count / 1073741824 + 1e-10));
    fflush(stdout);
    power = count = 0;
  }
}

int main(int argc, char **argv) {
  if (argc < 4) return fprintf(stderr, "usage: client URL TOKEN SECONDS\n"), 2;
  livekit_ffi_initialize(on_event, false, "c", "1");
  message connect = {.length = 0}, options = {.length = 0}, source = {.length = 0}, track = {.length = 0}, publish = {.length = 0};
  number(&options, 1, 1);
  bytes(&connect, 1, argv[1], strlen(argv[1])), bytes(&connect, 2, argv[2], strlen(argv[2]));
  bytes(&connect, 3, options.bytes, options.length);
  ask(3, &connect, 1, 0, 0);
  while (!room && !failed) usleep(10000);
  if (failed) return livekit_ffi_dispose(), 1;
  printf("joined\n"), fflush(stdout);
  message ready = {.length = 0};
  number(&ready, 1, room);
  ask(83, &ready, 0, 0, 0);
  number(&source, 1, 0), number(&source, 3, RATE), number(&source, 4, 1), number(&source, 5, 100);
  uint64_t source_handle = ask(26, &source, 1, 1, 1);
  bytes(&track, 1, "tone", 4), number(&track, 2, source_handle);
  number(&publish, 1, local_participant), number(&publish, 2, ask(16, &track, 1, 1, 1)), bytes(&publish, 3, NULL, 0);
  ask(5, &publish, 1, 0, 0);
  for (int at = 0; at < atoi(argv[3]) * RATE && !failed; at += LENGTH, usleep(10000)) {
    static int16_t samples[LENGTH];
    for (int i = 0; i < LENGTH; i++) samples[i] = (int16_t)(4600 * sin(2 * M_PI * 660 * (at + i) / RATE));
    message capture = {.length = 0}, buffer = {.length = 0};
    number(&buffer, 1, (uintptr_t)samples), number(&buffer, 2, 1), number(&buffer, 3, RATE), number(&buffer, 4, LENGTH);
    number(&capture, 1, source_handle), bytes(&capture, 2, buffer.bytes, buffer.length);
    ask(27, &capture, 1, 0, 0);
  }
  livekit_ffi_dispose();
  return failed;
}
