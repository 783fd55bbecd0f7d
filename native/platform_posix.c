/* Linux and macOS. */
#ifndef _WIN32
#define _GNU_SOURCE
#include "platform.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __APPLE__
#include <mach/mach.h>
#endif

extern char **environ;

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif
#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif

/* Descriptors that the engine finds its channels at. Ours are above those, and above a standard error that is closed. */
enum { FIRST_ENGINE_FD = 3, ABOVE_ENGINE_FDS = 10 };

void mutex_lock(mutex *m) { pthread_mutex_lock(m); }
bool mutex_try_lock(mutex *m) { return pthread_mutex_trylock(m) == 0; }
void mutex_unlock(mutex *m) { pthread_mutex_unlock(m); }
void mutex_reset(mutex *m) { pthread_mutex_init(m, NULL); }

int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void sleep_ms(int ms) { poll(NULL, 0, ms); }
uint32_t current_process_id(void) { return (uint32_t)getpid(); }

struct thread_start_arguments {
  void (*body)(void *);
  void *argument;
};

static void *thread_main(void *pointer) {
  struct thread_start_arguments start = *(struct thread_start_arguments *)pointer;
  free(pointer);
  start.body(start.argument);
  return NULL;
}

bool thread_start(void (*body)(void *), void *argument) {
  struct thread_start_arguments *start = malloc(sizeof *start);
  if (!start) return false;
  *start = (struct thread_start_arguments){body, argument};
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  bool started = pthread_create(&thread, NULL, thread_main, start) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (started) pthread_detach(thread);
  else free(start);
  return started;
}

void on_fork(void (*in_child)(void)) { pthread_atfork(NULL, NULL, in_child); }

static channel moved_up(int fd) {
  channel moved = fcntl(fd, F_DUPFD_CLOEXEC, ABOVE_ENGINE_FDS);
  close(fd);
  return moved;
}

static void prepare_channel(channel c) {
  fcntl(c, F_SETFL, fcntl(c, F_GETFL) | O_NONBLOCK);
#ifdef SO_NOSIGPIPE
  int on = 1;
  setsockopt(c, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
}

static bool channel_pair(channel *ours, channel *engines) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return false;
  *ours = moved_up(pair[0]);
  *engines = moved_up(pair[1]);
  if (*ours < 0 || *engines < 0) return false;
  prepare_channel(*ours);
  return true;
}

/* Closes what else the program left open for its children, where the C library can. */
static void close_other_descriptors(posix_spawn_file_actions_t *actions) {
  int (*add_close_from)(posix_spawn_file_actions_t *, int) =
      (int (*)(posix_spawn_file_actions_t *, int))dlsym(RTLD_DEFAULT, "posix_spawn_file_actions_addclosefrom_np");
  if (add_close_from) add_close_from(actions, FIRST_ENGINE_FD + 2);
}

static int spawn_engine(const char *node, const char *script, process *engine, const channel engines[2]) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (fcntl(STDERR_FILENO, F_GETFD) < 0) {
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  }
  /* The program's standard output is the program's. */
  posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  for (int i = 0; i < 2; i++) posix_spawn_file_actions_adddup2(&actions, engines[i], FIRST_ENGINE_FD + i);
  close_other_descriptors(&actions);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, defaults;
  sigemptyset(&none);
  sigfillset(&defaults);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  /* A group of its own: Ctrl-C is for the program, which still needs the engine to leave its rooms. */
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  char *arguments[] = {(char *)node, (char *)"--max-semi-space-size=8", (char *)script, NULL};
  int failure = posix_spawn(engine, node, &actions, &attributes, arguments, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return failure;
}

bool engine_start(const char *node, const char *script, process *engine, channel channels[2], char *error,
                  size_t error_bytes) {
  channel engines[2] = {NO_CHANNEL, NO_CHANNEL};
  channels[0] = channels[1] = NO_CHANNEL;
  bool paired = channel_pair(&channels[0], &engines[0]) && channel_pair(&channels[1], &engines[1]);
  int failure = paired ? spawn_engine(node, script, engine, engines) : errno;
  for (int i = 0; i < 2; i++) {
    if (engines[i] != NO_CHANNEL) close(engines[i]);
  }
  if (failure == 0) return true;
  snprintf(error, error_bytes, "%s: %s", node, strerror(failure));
  for (int i = 0; i < 2; i++) {
    if (channels[i] != NO_CHANNEL) channel_close(channels[i]);
  }
  *engine = NO_PROCESS;
  return false;
}

bool engine_connect(const char *address, channel channels[2]) {
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  if (strlen(address) >= sizeof name.sun_path) return false;
  strcpy(name.sun_path, address);
  channels[0] = channels[1] = NO_CHANNEL;
  for (int i = 0; i < 2; i++) {
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&name, sizeof name) != 0) {
      if (fd >= 0) close(fd);
      if (i == 1) channel_close(channels[0]);
      return false;
    }
    channels[i] = moved_up(fd);
    prepare_channel(channels[i]);
  }
  return true;
}

bool engine_wait(process engine, int64_t deadline_ms, char *end, size_t end_bytes) {
  int status;
  pid_t waited;
  while ((waited = waitpid(engine, &status, WNOHANG)) == 0 || (waited < 0 && errno == EINTR)) {
    if (now_ms() >= deadline_ms) return false;
    sleep_ms(2);
  }
  if (waited < 0) snprintf(end, end_bytes, "it ended");
  else if (WIFSIGNALED(status)) snprintf(end, end_bytes, "it was ended by signal %d", WTERMSIG(status));
  else snprintf(end, end_bytes, "it exited with code %d", WEXITSTATUS(status));
  return true;
}

void engine_kill(process engine) { kill(engine, SIGKILL); }

/* Waits until the channel is ready for `events`. */
static bool channel_wait(channel c, short events, int64_t deadline_ms) {
  struct pollfd waiting = {.fd = c, .events = events};
  while (true) {
    int64_t left = deadline_ms == FOREVER ? -1 : deadline_ms - now_ms();
    if (deadline_ms != FOREVER && left <= 0) return false;
    int ready = poll(&waiting, 1, left > INT32_MAX ? INT32_MAX : (int)left);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

bool channel_write(channel c, const void *bytes, size_t length, int64_t deadline_ms) {
  const char *at = bytes;
  while (length > 0) {
    ssize_t written = send(c, at, length, MSG_NOSIGNAL);
    if (written > 0) {
      at += written;
      length -= (size_t)written;
    } else if (written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      if (!channel_wait(c, POLLOUT, deadline_ms)) return false;
    } else if (written < 0 && errno != EINTR) {
      return false;
    }
  }
  return true;
}

long channel_read(channel c, void *bytes, size_t length, int64_t deadline_ms) {
  while (true) {
    if (!channel_wait(c, POLLIN, deadline_ms)) return READ_DEADLINE;
    ssize_t got = recv(c, bytes, length, 0);
    if (got >= 0) return (long)got;
    if (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK) return READ_CLOSED;
  }
}

void channel_close(channel c) { close(c); }
void channel_shut_down(channel c) { shutdown(c, SHUT_RDWR); }

#ifdef __APPLE__
bool memory_read(void *to, uint64_t address, size_t length) {
  vm_size_t got = 0;
  vm_address_t there = (vm_address_t)address, here = (vm_address_t)(uintptr_t)to;
  return vm_read_overwrite(mach_task_self(), there, length, here, &got) == KERN_SUCCESS && got == length;
}

bool memory_write(uint64_t address, const void *from, size_t length) {
  vm_offset_t here = (vm_offset_t)(uintptr_t)from;
  return vm_write(mach_task_self(), (vm_address_t)address, here, (mach_msg_type_number_t)length) == KERN_SUCCESS;
}
#else
/* The kernel copies and says EFAULT; where it is not let do so (seccomp), a plain copy is what is left. */
bool memory_read(void *to, uint64_t address, size_t length) {
  struct iovec local = {to, length}, remote = {(void *)(uintptr_t)address, length};
  ssize_t copied = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
  if (copied < 0 && (errno == ENOSYS || errno == EPERM)) {
    memcpy(to, remote.iov_base, length);
    return true;
  }
  return copied == (ssize_t)length;
}

bool memory_write(uint64_t address, const void *from, size_t length) {
  struct iovec local = {(void *)(uintptr_t)from, length}, remote = {(void *)(uintptr_t)address, length};
  ssize_t copied = process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
  if (copied < 0 && (errno == ENOSYS || errno == EPERM)) {
    memcpy(remote.iov_base, from, length);
    return true;
  }
  return copied == (ssize_t)length;
}
#endif

void *memory_reserve(size_t length) {
  void *start = mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return start == MAP_FAILED ? NULL : start;
}

bool memory_commit(void *start, size_t length) { return mprotect(start, length, PROT_READ | PROT_WRITE) == 0; }

char **environment(void) { return environ; }

bool library_folder(char *folder, size_t bytes) {
  Dl_info info;
  char real[PATH_BYTES];
  if (!dladdr((void *)(uintptr_t)library_folder, &info) || !info.dli_fname || !realpath(info.dli_fname, real)) return false;
  char *slash = strrchr(real, '/');
  if (!slash || (size_t)(slash - real) + 2 > bytes) return false;
  slash[1] = '\0';
  strcpy(folder, real);
  return true;
}

bool file_exists(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

bool find_in_path(const char *command, char *path, size_t bytes) {
  const char *folder = getenv("PATH");
  while (folder && *folder) {
    size_t length = strcspn(folder, ":");
    snprintf(path, bytes, "%.*s/%s", (int)length, folder, command);
    if (length > 0 && file_exists(path) && access(path, X_OK) == 0) return true;
    folder += length + (folder[length] == ':');
  }
  return false;
}
#endif
