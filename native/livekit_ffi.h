/*
 * The C interface of LiveKit's FFI library, as liboffhook_ffi exports it. Requests, responses and events are the protobuf
 * messages FfiRequest, FfiResponse and FfiEvent of livekit/proto/ffi.proto.
 */
#ifndef OFFHOOK_LIVEKIT_FFI_H
#define OFFHOOK_LIVEKIT_FFI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef OFFHOOK_EXPORT
#ifdef _WIN32
#define OFFHOOK_EXPORT __declspec(dllimport)
#else
#define OFFHOOK_EXPORT
#endif
#endif

/** Takes an encoded FfiEvent, on a thread of the library. The bytes are there until it returns. */
typedef void (*livekit_ffi_callback)(const uint8_t *event, size_t length);

/**
 * Starts the engine and returns before it is up. Loading the library starts nothing.
 *
 * @param capture_logs whether the engine's log lines come as events
 * @param sdk the name of the program's SDK, such as "python"
 */
OFFHOOK_EXPORT void livekit_ffi_initialize(livekit_ffi_callback callback, bool capture_logs, const char *sdk,
                                           const char *version);

/**
 * Sends an encoded FfiRequest and waits for its FfiResponse, at most 10 s (60 s while the engine starts). It may be called
 * from any thread, also from within the callback.
 *
 * @param response is there until the handle that is returned is dropped
 * @return the response's handle; 0 when the request failed, for a reason that was written to standard error
 */
OFFHOOK_EXPORT uint64_t livekit_ffi_request(const uint8_t *request, size_t length, const uint8_t **response,
                                            size_t *response_length);

/** Frees what a handle owns. Returns whether the handle was known. */
OFFHOOK_EXPORT bool livekit_ffi_drop_handle(uint64_t handle);

/** Leaves every room, drops every handle and ends the engine. */
OFFHOOK_EXPORT void livekit_ffi_dispose(void);

#ifdef __cplusplus
}
#endif

#endif
