/* What the library needs of an operating system. Every wait has a deadline: a time of `now_ms`, or `FOREVER`. */
#ifndef OFFHOOK_PLATFORM_H
#define OFFHOOK_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef _WIN32
#include <windows.h>
typedef SRWLOCK mutex;
#define MUTEX_INIT SRWLOCK_INIT
typedef HANDLE channel;
#define NO_CHANNEL INVALID_HANDLE_VALUE
typedef HANDLE process;
#define NO_PROCESS NULL
#else
#include <pthread.h>
#include <sys/types.h>
typedef pthread_mutex_t mutex;
#define MUTEX_INIT PTHREAD_MUTEX_INITIALIZER
/** A two-way stream of bytes between the library and the engine. */
typedef int channel;
#define NO_CHANNEL (-1)
typedef pid_t process;
#define NO_PROCESS 0
#endif

#define FOREVER INT64_MAX
#define PATH_BYTES 4096

void mutex_lock(mutex *m);
bool mutex_try_lock(mutex *m);
void mutex_unlock(mutex *m);
/** Makes a mutex usable in a forked child, whatever thread held it in the parent. */
void mutex_reset(mutex *m);

int64_t now_ms(void);
void sleep_ms(int ms);
uint32_t current_process_id(void);

/** Runs `body` on a thread of its own, which takes none of the program's signals. */
bool thread_start(void (*body)(void *), void *argument);
/** Calls `in_child` in every child that is forked from now on. */
void on_fork(void (*in_child)(void));

/** Starts `node script` with two channels of its own. On failure, writes why to `error`. */
bool engine_start(const char *node, const char *script, process *engine, channel channels[2], char *error,
                  size_t error_bytes);
/** Connects both channels to an engine that listens at `address`. */
bool engine_connect(const char *address, channel channels[2]);
/** Waits for the engine's end, at most until the deadline. Writes how it ended to `end`. */
bool engine_wait(process engine, int64_t deadline_ms, char *end, size_t end_bytes);
void engine_kill(process engine);

/** Writes all of `bytes`. False when the other end is gone or the deadline has passed. */
bool channel_write(channel c, const void *bytes, size_t length, int64_t deadline_ms);
enum { READ_CLOSED = 0, READ_DEADLINE = -1 };
/** Waits for bytes. Returns how many, or one of the above. */
long channel_read(channel c, void *bytes, size_t length, int64_t deadline_ms);
void channel_close(channel c);
/** Ends every wait on the channel, which stays open. */
void channel_shut_down(channel c);

/** Copies memory of this process. False, and nothing is harmed, when there is none at `address`. */
bool memory_read(void *to, uint64_t address, size_t length);
bool memory_write(uint64_t address, const void *from, size_t length);
/** Addresses of `length` bytes without memory behind them; NULL when there are none. */
void *memory_reserve(size_t length);
/** Puts memory behind part of a reserved range. */
bool memory_commit(void *start, size_t length);

/** The process's environment: NAME=value pairs, ended by NULL. */
char **environment(void);
/** The folder that this library was loaded from, with a separator at its end. */
bool library_folder(char *folder, size_t bytes);
/** The full path of a command in PATH. */
bool find_in_path(const char *command, char *path, size_t bytes);
bool file_exists(const char *path);

#ifdef _WIN32
#define NODE_COMMAND "node.exe"
#else
#define NODE_COMMAND "node"
#endif

#endif
