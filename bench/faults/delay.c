// Delays every packet that the system routes into a TUN device, and hands it back to be routed on. In one queue, so that
// nothing overtakes. Use: delay DEVICE DELAY_MS JITTER_MS; prints "ready".
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { slots = 1 << 15, mtu = 2048 };

struct packet {
  int64_t due_us;
  ssize_t bytes;
  char data[mtu];
};

static int64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
  strncpy(request.ifr_name, argv[1], IFNAMSIZ - 1);
  struct packet *queue = malloc(sizeof(struct packet) * slots);
  if (fd < 0 || !queue || ioctl(fd, TUNSETIFF, &request) < 0) {
    perror("delay");
    return 1;
  }
  const int64_t delay_us = atoi(argv[2]) * 1000LL, jitter_us = atoi(argv[3]) * 1000LL;
  uint64_t head = 0, tail = 0;
  int64_t last_due_us = 0;
  puts("ready");
  fflush(stdout);
  for (;;) {
    int64_t wait_us = head == tail ? 60000000 : queue[head % slots].due_us - now_us();
    struct timespec wait = {.tv_sec = 0, .tv_nsec = 0};
    if (wait_us > 0) wait = (struct timespec){.tv_sec = wait_us / 1000000, .tv_nsec = wait_us % 1000000 * 1000};
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    ppoll(&readable, 1, &wait, NULL);
    // A full queue drops, as routers do.
    for (char dropped[mtu];;) {
      struct packet *packet = &queue[tail % slots];
      int full = tail - head == slots;
      ssize_t bytes = read(fd, full ? dropped : packet->data, mtu);
      if (bytes <= 0) break;
      if (full) continue;
      int64_t due_us = now_us() + delay_us + (int64_t)((double)rand() / RAND_MAX * jitter_us);
      last_due_us = packet->due_us = due_us > last_due_us ? due_us : last_due_us;
      packet->bytes = bytes;
      tail++;
    }
    for (; head != tail && queue[head % slots].due_us <= now_us(); head++) {
      struct packet *packet = &queue[head % slots];
      if (write(fd, packet->data, packet->bytes) < 0) continue;
    }
  }
}
