/*
 * What the library and the engine say to each other (src/ffi/process/wire.ts is the other end). Numbers are little-endian.
 * A message is a header and a body of `bytes` bytes.
 *
 * There are two channels. Requests and answers take turns on the first: whoever asks waits there for the answer. Events
 * come on the second, which one thread reads.
 */
#ifndef OFFHOOK_WIRE_H
#define OFFHOOK_WIRE_H

#include <stdint.h>

enum { WIRE_VERSION = 3, WIRE_MAGIC = 0x4b48464f /* "OFHK" */ };
/** Larger messages come from nothing that speaks this protocol. */
#define MAX_MESSAGE_BYTES (256u << 20)

struct wire_header {
  /** Of the body. */
  uint32_t bytes;
  uint32_t type;
  /** Counts requests; of an event, the handle that it is for. */
  uint64_t id;
};

/** To an engine that listens, first on each channel; it answers one byte on channel 0. */
struct wire_preface {
  uint32_t magic;
  /** 0: requests, 1: events. */
  uint32_t channel;
  /** The same on both channels of a program. */
  uint64_t program;
};

enum wire_type {
  /* from the library */
  WIRE_HELLO = 1,   /* wire_hello, then the SDK's name and its version */
  WIRE_REQUEST = 2, /* wire_request, then the request, the memory it points to, and NAME=value pairs */
  WIRE_DROP = 3,    /* a handle; answered */
  WIRE_FREE = 4,    /* handles of buffers; not answered */
  WIRE_DISPOSE = 5, /* answered when every room was left */
  WIRE_LEAVE = 6,   /* a WIRE_SESSION of an engine that is lost: its room is to be left; not answered */
  /* from the engine, on the first channel */
  WIRE_ANSWER = 16, /* wire_answer, lent buffers, writes, then the bytes of the response, of the buffers and of the writes */
  /* from the engine, on the second */
  WIRE_EVENT = 17,   /* wire_answer without writes */
  WIRE_DROPPED = 18, /* no event for handle `id` comes after this */
  WIRE_OWED = 19,    /* events that the program gets should the engine be lost: for each, its length and its bytes */
  WIRE_SETTLED = 20, /* what was owed as `id` is no longer */
  WIRE_SESSION = 21, /* what another engine needs to leave room `id`, in place of what came before; empty when it is over */
};

struct wire_hello {
  uint32_t version;
  uint32_t capture_logs;
  uint64_t arena_address;
  uint64_t arena_bytes;
  /** The engine's handles are above this one. */
  uint64_t first_handle;
  uint32_t process_id;
  uint32_t sdk_bytes;
};

struct wire_request {
  uint32_t request_bytes;
  uint32_t memory_bytes;
  uint64_t memory_address;
};

struct wire_answer {
  /** 0, or 1 when the body is the text of an error. */
  uint32_t failed;
  uint32_t response_bytes;
  uint32_t lent_count;
  uint32_t write_count;
};

/** A buffer in the arena. */
struct wire_lent {
  uint64_t address;
  uint64_t handle;
  uint32_t bytes;
  /** 1 when the handle is the buffer's alone: dropping it concerns nobody else. */
  uint32_t own;
};

/** Bytes for the program's own memory. */
struct wire_write {
  uint64_t address;
  uint64_t bytes;
};

#endif
