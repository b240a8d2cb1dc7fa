/* Faults below a process: slow syncs, a full disk, a wrong clock.
 *
 * Preloaded into a node. What it does stands in a page that the torturer shares with it and changes while the
 * node runs; tests/torture/shim.py has the same layout.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct faults {
    int64_t sync_delay_us;   /* added to every fsync and fdatasync */
    int64_t limited;         /* whether free_bytes counts */
    int64_t free_bytes;      /* what may still be written to files */
    int64_t clock_offset_ms; /* added to the wall clock */
};

static struct faults none;
static struct faults *faults = &none;
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("NOSTRO_TORTURE_FAULTS");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file >= 0) {
        void *page = mmap(NULL, sizeof(struct faults), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (page != MAP_FAILED) faults = page;
        close(file);
    }
}

static void delay(void) {
    int64_t us = __atomic_load_n(&faults->sync_delay_us, __ATOMIC_RELAXED);
    struct timespec left = {us / 1000000, us % 1000000 * 1000};
    while (us > 0 && nanosleep(&left, &left) != 0 && errno == EINTR) continue;
}

int fsync(int file) {
    delay();
    return syscall(SYS_fsync, file);
}

int fdatasync(int file) {
    delay();
    return syscall(SYS_fdatasync, file);
}

/* How many of so many bytes the disk still takes. */
static int64_t take(int64_t wanted) {
    int64_t free_bytes = __atomic_load_n(&faults->free_bytes, __ATOMIC_RELAXED), taken;
    do taken = wanted < free_bytes ? wanted : free_bytes;
    while (!__atomic_compare_exchange_n(&faults->free_bytes, &free_bytes, free_bytes - taken, 0,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return taken;
}

ssize_t write(int file, const void *bytes, size_t count) {
    struct stat about;
    /* The first three are the node's log, which is no part of its store. */
    if (__atomic_load_n(&faults->limited, __ATOMIC_RELAXED) && file > 2 && count > 0 &&
        fstat(file, &about) == 0 && S_ISREG(about.st_mode)) {
        count = take(count);
        if (count == 0) {
            errno = ENOSPC;
            return -1;
        }
    }
    return syscall(SYS_write, file, bytes, count);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    if (!real_clock_gettime) real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real_clock_gettime(clock, time);
    if (result == 0 && clock == CLOCK_REALTIME) {
        int64_t offset_ms = __atomic_load_n(&faults->clock_offset_ms, __ATOMIC_RELAXED);
        int64_t ns = time->tv_nsec + offset_ms % 1000 * 1000000;
        time->tv_sec += offset_ms / 1000 + (ns >= 1000000000) - (ns < 0);
        time->tv_nsec = ns + (ns < 0 ? 1000000000 : ns >= 1000000000 ? -1000000000 : 0);
    }
    return result;
}
