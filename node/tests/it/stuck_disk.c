/* A disk that hangs or fails on demand: as long as the file $STUCK_DISK exists, a sync waits; when
 * the file begins with an `f`, the sync fails with an I/O error instead. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static int sync_by(const char *name, int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, name);
    const char *path = getenv("STUCK_DISK");
    while (path) {
        char mode = 0;
        int stuck = open(path, O_RDONLY | O_CLOEXEC);
        if (stuck < 0) break;
        if (read(stuck, &mode, 1) < 0) mode = 0;
        close(stuck);
        if (mode == 'f') {
            errno = EIO;
            return -1;
        }
        usleep(1000);
    }
    return real(fd);
}

int fsync(int fd) { return sync_by("fsync", fd); }
int fdatasync(int fd) { return sync_by("fdatasync", fd); }
