/* Loaded into a node's process (LD_PRELOAD): while the file that CHAOS_FSYNC_SWITCH names is there, nothing can be
 * synced, and each attempt adds a byte to it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *switch_file;

__attribute__((constructor)) static void find_switch(void) { switch_file = getenv("CHAOS_FSYNC_SWITCH"); }

static int fails(void) {
  if (switch_file == NULL) return 0;
  int before = errno;
  int hits = open(switch_file, O_WRONLY | O_APPEND | O_CLOEXEC);
  if (hits < 0) {
    errno = before;
    return 0;
  }
  if (write(hits, "x", 1) < 0) { /* The count is for people; the error counts. */
  }
  close(hits);
  errno = EIO;
  return 1;
}

int fsync(int file) { return fails() ? -1 : (int)syscall(SYS_fsync, file); }

int fdatasync(int file) { return fails() ? -1 : (int)syscall(SYS_fdatasync, file); }

int msync(void *start, size_t bytes, int flags) {
  return (flags & MS_SYNC) && fails() ? -1 : (int)syscall(SYS_msync, start, bytes, flags);
}
