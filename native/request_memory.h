/*
 * Which requests of the protocol carry an address of the program's memory, and which name no handle: all that the library
 * knows of the protocol.
 */
#ifndef OFFHOOK_REQUEST_MEMORY_H
#define OFFHOOK_REQUEST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request_memory {
  /** Where the memory begins that the request points to. */
  uint64_t address;
  /** 0 for a request without an address. */
  uint64_t length;
  /** The request loads a filter, whose host gets part of the program's environment. */
  bool loads_filter;
  /** The request names nothing of an engine, so that a new one can answer it: to connect, to make a source. */
  bool begins;
};

/** Reads an encoded FfiRequest. False when it is not protobuf. */
bool request_memory_find(const uint8_t *request, size_t length, struct request_memory *found);

#endif
