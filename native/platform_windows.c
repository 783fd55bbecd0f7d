/* Windows: channels are named pipes, read and written with a deadline. Compiled, and not run by this project's tests. */
#ifdef _WIN32
#include "platform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIPE_BYTES = 65536, CONNECT_MS = 60000 };

void mutex_lock(mutex *m) { AcquireSRWLockExclusive(m); }
bool mutex_try_lock(mutex *m) { return TryAcquireSRWLockExclusive(m); }
void mutex_unlock(mutex *m) { ReleaseSRWLockExclusive(m); }
void mutex_reset(mutex *m) { InitializeSRWLock(m); }

int64_t now_ms(void) { return (int64_t)GetTickCount64(); }
void sleep_ms(int ms) { Sleep((DWORD)ms); }
uint32_t current_process_id(void) { return GetCurrentProcessId(); }

struct thread_start_arguments {
  void (*body)(void *);
  void *argument;
};

static DWORD WINAPI thread_main(void *pointer) {
  struct thread_start_arguments start = *(struct thread_start_arguments *)pointer;
  free(pointer);
  start.body(start.argument);
  return 0;
}

bool thread_start(void (*body)(void *), void *argument) {
  struct thread_start_arguments *start = malloc(sizeof *start);
  if (!start) return false;
  *start = (struct thread_start_arguments){body, argument};
  HANDLE thread = CreateThread(NULL, 0, thread_main, start, 0, NULL);
  if (thread) CloseHandle(thread);
  else free(start);
  return thread != NULL;
}

/* No process is forked here. */
void on_fork(void (*in_child)(void)) { (void)in_child; }

static DWORD milliseconds_until(int64_t deadline_ms) {
  if (deadline_ms == FOREVER) return INFINITE;
  int64_t left = deadline_ms - now_ms();
  return left <= 0 ? 0 : left > INT32_MAX ? INT32_MAX : (DWORD)left;
}

/* Waits for an operation that was begun. Returns its bytes; 0 when the other end is gone, -1 at the deadline. */
static long finish(channel c, OVERLAPPED *operation, BOOL begun, int64_t deadline_ms) {
  DWORD bytes = 0, error = begun ? ERROR_SUCCESS : GetLastError();
  long result = READ_CLOSED;
  if (begun || error == ERROR_IO_PENDING) {
    if (WaitForSingleObject(operation->hEvent, milliseconds_until(deadline_ms)) == WAIT_TIMEOUT) {
      CancelIoEx(c, operation);
      /* It may have ended in the meantime. */
      result = GetOverlappedResult(c, operation, &bytes, TRUE) && bytes > 0 ? (long)bytes : READ_DEADLINE;
    } else if (GetOverlappedResult(c, operation, &bytes, TRUE)) {
      result = (long)bytes;
    }
  }
  CloseHandle(operation->hEvent);
  return result;
}

bool channel_write(channel c, const void *bytes, size_t length, int64_t deadline_ms) {
  const char *at = bytes;
  while (length > 0) {
    OVERLAPPED operation = {.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL)};
    DWORD part = length > PIPE_BYTES ? PIPE_BYTES : (DWORD)length;
    long written = finish(c, &operation, WriteFile(c, at, part, NULL, &operation), deadline_ms);
    if (written <= 0) return false;
    at += written;
    length -= (size_t)written;
  }
  return true;
}

long channel_read(channel c, void *bytes, size_t length, int64_t deadline_ms) {
  OVERLAPPED operation = {.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL)};
  DWORD part = length > PIPE_BYTES ? PIPE_BYTES : (DWORD)length;
  return finish(c, &operation, ReadFile(c, bytes, part, NULL, &operation), deadline_ms);
}

void channel_close(channel c) { CloseHandle(c); }

void channel_shut_down(channel c) {
  CancelIoEx(c, NULL);
  DisconnectNamedPipe(c);
}

static channel pipe_create(const char *name) {
  return CreateNamedPipeA(name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | FILE_FLAG_FIRST_PIPE_INSTANCE,
                          PIPE_TYPE_BYTE | PIPE_REJECT_REMOTE_CLIENTS, 1, PIPE_BYTES, PIPE_BYTES, 0, NULL);
}

static bool pipe_accept(channel c, HANDLE engine) {
  OVERLAPPED operation = {.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL)};
  bool accepted = ConnectNamedPipe(c, &operation) || GetLastError() == ERROR_PIPE_CONNECTED;
  if (!accepted && GetLastError() == ERROR_IO_PENDING) {
    HANDLE either[] = {operation.hEvent, engine};
    DWORD unused;
    accepted = WaitForMultipleObjects(2, either, FALSE, CONNECT_MS) == WAIT_OBJECT_0 &&
               GetOverlappedResult(c, &operation, &unused, FALSE);
    if (!accepted) {
      CancelIoEx(c, &operation);
      GetOverlappedResult(c, &operation, &unused, TRUE);
    }
  }
  CloseHandle(operation.hEvent);
  return accepted;
}

bool engine_start(const char *node, const char *script, process *engine, channel channels[2], char *error,
                  size_t error_bytes) {
  static long count;
  char names[2][128], both[300], command[2 * PATH_BYTES + 64];
  channels[0] = channels[1] = NO_CHANNEL;
  long number = InterlockedIncrement(&count);
  bool good = true;
  for (int i = 0; i < 2 && good; i++) {
    snprintf(names[i], sizeof names[i], "\\\\.\\pipe\\offhook-%lu-%ld-%d-%llu", GetCurrentProcessId(), number, i,
             (unsigned long long)GetTickCount64());
    channels[i] = pipe_create(names[i]);
    good = channels[i] != NO_CHANNEL;
  }
  snprintf(both, sizeof both, "%s,%s", names[0], names[1]);
  snprintf(command, sizeof command, "\"%s\" --max-semi-space-size=8 \"%s\" --pipes %s", node, script, both);
  STARTUPINFOA startup = {.cb = sizeof startup};
  PROCESS_INFORMATION started = {0};
  good = good && CreateProcessA(NULL, command, NULL, NULL, FALSE, CREATE_NO_WINDOW | CREATE_NEW_PROCESS_GROUP, NULL, NULL,
                                &startup, &started);
  if (good) {
    CloseHandle(started.hThread);
    *engine = started.hProcess;
    good = pipe_accept(channels[0], *engine) && pipe_accept(channels[1], *engine);
  }
  if (good) return true;
  snprintf(error, error_bytes, "%s: error %lu", node, GetLastError());
  for (int i = 0; i < 2; i++) {
    if (channels[i] != NO_CHANNEL) channel_close(channels[i]);
  }
  *engine = NO_PROCESS;
  return false;
}

bool engine_connect(const char *address, channel channels[2]) {
  channels[0] = channels[1] = NO_CHANNEL;
  for (int i = 0; i < 2; i++) {
    channels[i] = CreateFileA(address, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
    if (channels[i] != NO_CHANNEL) continue;
    if (i == 1) channel_close(channels[0]);
    return false;
  }
  return true;
}

bool engine_wait(process engine, int64_t deadline_ms, char *end, size_t end_bytes) {
  if (WaitForSingleObject(engine, milliseconds_until(deadline_ms)) != WAIT_OBJECT_0) return false;
  DWORD code = 0;
  GetExitCodeProcess(engine, &code);
  CloseHandle(engine);
  snprintf(end, end_bytes, "it exited with code %lu", code);
  return true;
}

void engine_kill(process engine) { TerminateProcess(engine, 1); }

bool memory_read(void *to, uint64_t address, size_t length) {
  SIZE_T copied = 0;
  return ReadProcessMemory(GetCurrentProcess(), (void *)(uintptr_t)address, to, length, &copied) && copied == length;
}

bool memory_write(uint64_t address, const void *from, size_t length) {
  SIZE_T copied = 0;
  return WriteProcessMemory(GetCurrentProcess(), (void *)(uintptr_t)address, from, length, &copied) && copied == length;
}

void *memory_reserve(size_t length) { return VirtualAlloc(NULL, length, MEM_RESERVE, PAGE_NOACCESS); }
bool memory_commit(void *start, size_t length) { return VirtualAlloc(start, length, MEM_COMMIT, PAGE_READWRITE) != NULL; }

char **environment(void) { return _environ; }

bool library_folder(char *folder, size_t bytes) {
  HMODULE library;
  DWORD flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
  if (!GetModuleHandleExA(flags, (LPCSTR)(uintptr_t)library_folder, &library)) return false;
  DWORD length = GetModuleFileNameA(library, folder, (DWORD)bytes);
  if (length == 0 || length >= bytes) return false;
  char *separator = strrchr(folder, '\\');
  if (!separator) return false;
  separator[1] = '\0';
  return true;
}

bool file_exists(const char *path) {
  DWORD attributes = GetFileAttributesA(path);
  return attributes != INVALID_FILE_ATTRIBUTES && !(attributes & FILE_ATTRIBUTE_DIRECTORY);
}

bool find_in_path(const char *command, char *path, size_t bytes) {
  DWORD length = SearchPathA(NULL, command, NULL, (DWORD)bytes, path, NULL);
  return length > 0 && length < bytes;
}
#endif
