/* Counts fsync and fdatasync of the program that it is preloaded into: the first eight bytes of
 * the file $COUNT_SYNCS hold the number. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static _Atomic uint64_t *count;
static int (*real_fsync)(int), (*real_fdatasync)(int);

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("COUNT_SYNCS");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *map = fd < 0 ? MAP_FAILED : mmap(0, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED) count = map;
    if (fd >= 0) close(fd);
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
}

int fsync(int fd) {
    if (count) atomic_fetch_add(count, 1);
    return real_fsync(fd);
}

int fdatasync(int fd) {
    if (count) atomic_fetch_add(count, 1);
    return real_fdatasync(fd);
}
