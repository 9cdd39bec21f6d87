/* A wire with a delay: takes frames from one interface and gives them to another one later, in their order; the way
 * back is not delayed. Usage: relay NODE_INTERFACE BRIDGE_INTERFACE DELAY_US JITTER_US SEED
 *
 * Frames come with what the kernel has left undone (checksums, segments), and go on with it: PACKET_VNET_HDR. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
  FRAME_BYTES_MAX = 128 * 1024,
  SOCKET_BYTES = 16 << 20,
  /* What comes when so much is under way is lost, as on any wire. */
  UNDER_WAY_BYTES_MAX = 64 << 20,
  READS_IN_A_ROW = 64,
};

struct frame {
  struct frame *next;
  uint64_t due_ns;
  size_t bytes;
  unsigned char content[];
};

static struct frame *first, *last;
static size_t under_way_bytes;
static uint64_t seed;

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t drawn(void) {
  uint64_t mixed = seed += 0x9e3779b97f4a7c15u;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
  return mixed ^ (mixed >> 31);
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int open_interface(const char *name) {
  int on = 1, size = SOCKET_BYTES;
  /* Nothing is received before it is bound. */
  int handle = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (handle < 0) fail("socket");
  if (setsockopt(handle, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on)) fail("PACKET_VNET_HDR");
  setsockopt(handle, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  setsockopt(handle, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
  address.sll_ifindex = (int)if_nametoindex(name);
  if (address.sll_ifindex == 0) fail(name);
  if (bind(handle, (struct sockaddr *)&address, sizeof address)) fail("bind");
  return handle;
}

/* The next frame that came in over an interface; 0 if there is none. */
static size_t receive(int handle, unsigned char *frame) {
  for (;;) {
    struct sockaddr_ll from;
    socklen_t size = sizeof from;
    ssize_t bytes = recvfrom(handle, frame, FRAME_BYTES_MAX, 0, (struct sockaddr *)&from, &size);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes <= 0) return 0;
    /* What goes out is shown too, among it what was just sent. */
    if (from.sll_pkttype != PACKET_OUTGOING) return (size_t)bytes;
  }
}

/* What the interface does not take is lost. */
static void give(int handle, const unsigned char *frame, size_t bytes) {
  ssize_t sent = send(handle, frame, bytes, 0);
  (void)sent;
}

static void keep(const unsigned char *content, size_t bytes, uint64_t due_ns) {
  if (under_way_bytes + bytes > UNDER_WAY_BYTES_MAX) return;
  struct frame *frame = malloc(sizeof *frame + bytes);
  if (frame == NULL) return;
  /* Nobody overtakes. */
  frame->due_ns = last != NULL && last->due_ns > due_ns ? last->due_ns : due_ns;
  frame->bytes = bytes;
  frame->next = NULL;
  memcpy(frame->content, content, bytes);
  if (last != NULL) last->next = frame;
  else first = frame;
  last = frame;
  under_way_bytes += bytes;
}

static void deliver(int handle, uint64_t now) {
  while (first != NULL && first->due_ns <= now) {
    struct frame *frame = first;
    give(handle, frame->content, frame->bytes);
    first = frame->next;
    if (first == NULL) last = NULL;
    under_way_bytes -= frame->bytes;
    free(frame);
  }
}

int main(int count, char **arguments) {
  if (count != 6) {
    fprintf(stderr, "usage: relay NODE_INTERFACE BRIDGE_INTERFACE DELAY_US JITTER_US SEED\n");
    return 2;
  }
  int node = open_interface(arguments[1]), bridge = open_interface(arguments[2]);
  uint64_t delay_ns = strtoull(arguments[3], NULL, 10) * 1000, jitter_ns = strtoull(arguments[4], NULL, 10) * 1000;
  if (jitter_ns > delay_ns) jitter_ns = delay_ns;
  seed = strtoull(arguments[5], NULL, 10);
  static unsigned char frame[FRAME_BYTES_MAX];
  printf("ready\n");
  fflush(stdout);
  for (;;) {
    uint64_t now = now_ns();
    deliver(bridge, now);
    struct timespec wait, *until = NULL;
    if (first != NULL) {
      uint64_t left_ns = first->due_ns > now ? first->due_ns - now : 0;
      wait = (struct timespec){.tv_sec = (time_t)(left_ns / 1000000000u), .tv_nsec = (long)(left_ns % 1000000000u)};
      until = &wait;
    }
    struct pollfd ready[2] = {{.fd = node, .events = POLLIN}, {.fd = bridge, .events = POLLIN}};
    if (ppoll(ready, 2, until, NULL) < 0 && errno != EINTR) fail("ppoll");
    size_t bytes;
    now = now_ns();
    for (int reads = 0; reads < READS_IN_A_ROW && (bytes = receive(node, frame)) > 0; reads++) {
      uint64_t more_or_less = jitter_ns == 0 ? 0 : drawn() % (2 * jitter_ns + 1);
      keep(frame, bytes, now + delay_ns - jitter_ns + more_or_less);
    }
    for (int reads = 0; reads < READS_IN_A_ROW && (bytes = receive(bridge, frame)) > 0; reads++) {
      give(node, frame, bytes);
    }
  }
}
