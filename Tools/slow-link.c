// Joins two network namespaces by a link that is slow, delays packets and loses some.
//
//   slow-link NAMESPACE DEVICE NAMESPACE DEVICE RATE DELAY LOSS      such as 1gbit 1ms 0.1%
//
// It makes a TUN device in each namespace and carries packets between them until it is killed, in
// either direction at the same rate: a packet leaves once those before it have left, and arrives
// after the delay. At most QUEUE packets wait. Tools/test-hosts uses it where the kernel has no
// netem. Needs Linux and root.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { QUEUE = 1024, LARGEST = 65536 };

// The packets on their way in one direction, the first to arrive at `head`.
typedef struct {
  int from, to;
  double free; // When the last packet has left.
  int head, count;
  double arrival[QUEUE];
  int size[QUEUE];
  unsigned char *bytes[QUEUE];
} Direction;

static void fail(const char *what, const char *name) {
  fprintf(stderr, "error: %s '%s': %s\n", what, name, strerror(errno));
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

// A number from 0 to below 1: xorshift64*, the same at every run.
static double chance(void) {
  static uint64_t state = 88172645463325252u;
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (double)((state * 2685821657736338717u) >> 11) * 0x1p-53;
}

// A number with one of the units, each a factor.
static double number(const char *text, const char *const units[], const double factors[]) {
  char *unit;
  double value = strtod(text, &unit);
  for (int i = 0; units[i]; ++i) {
    if (!strcmp(unit, units[i]) && unit != text) return value * factors[i];
  }
  errno = EINVAL;
  fail("expected a number with a unit, found", text);
  return 0;
}

// A TUN device in a namespace, which this process is then in.
static int device(const char *space, const char *name) {
  char path[256];
  snprintf(path, sizeof path, "/run/netns/%s", space);
  int handle = open(path, O_RDONLY | O_CLOEXEC);
  if (handle < 0 || setns(handle, CLONE_NEWNET)) fail("cannot enter the namespace", space);
  close(handle);
  int result = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
  if (result < 0 || ioctl(result, TUNSETIFF, &request)) fail("cannot make the device", name);
  return result;
}

// Reads the packets that have come.
static void take(Direction *way, double rate, double delay, double loss) {
  static unsigned char packet[LARGEST];
  ssize_t size;
  while ((size = read(way->from, packet, sizeof packet)) > 0) {
    if (way->count == QUEUE || chance() < loss) continue;
    double time = now();
    way->free = (way->free > time ? way->free : time) + 8 * (double)size / rate;
    int place = (way->head + way->count++) % QUEUE;
    way->arrival[place] = way->free + delay;
    way->size[place] = (int)size;
    way->bytes[place] = memcpy(malloc((size_t)size), packet, (size_t)size);
  }
}

// Writes the packets whose time has come; returns the seconds until the next one does.
static double give(Direction *way) {
  while (way->count) {
    double wait = way->arrival[way->head] - now();
    if (wait > 0) return wait;
    // A device that is down takes none: the packet is lost.
    ssize_t written = write(way->to, way->bytes[way->head], (size_t)way->size[way->head]);
    (void)written;
    free(way->bytes[way->head]);
    way->head = (way->head + 1) % QUEUE;
    --way->count;
  }
  return 1;
}

int main(int count, char **words) {
  if (count != 8) {
    fprintf(stderr, "usage: slow-link NAMESPACE DEVICE NAMESPACE DEVICE RATE DELAY LOSS\n");
    return 64;
  }
  double rate = number(words[5], (const char *const[]){"kbit", "mbit", "gbit", NULL},
                       (const double[]){1e3, 1e6, 1e9});
  double delay = number(words[6], (const char *const[]){"us", "ms", "s", NULL},
                        (const double[]){1e-6, 1e-3, 1});
  double loss = number(words[7], (const char *const[]){"%", NULL}, (const double[]){0.01});
  int a = device(words[1], words[2]), b = device(words[3], words[4]);
  static Direction ways[2];
  ways[0].from = ways[1].to = a;
  ways[1].from = ways[0].to = b;
  // Says that the devices are there.
  printf("ready\n");
  fflush(stdout);
  for (;;) {
    double first = give(&ways[0]), second = give(&ways[1]);
    double wait = first < second ? first : second;
    struct timespec time = {(time_t)wait, (long)((wait - (double)(time_t)wait) * 1e9)};
    struct pollfd handles[] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};
    ppoll(handles, 2, &time, NULL);
    for (int i = 0; i < 2; ++i) take(&ways[i], rate, delay, loss);
  }
}
