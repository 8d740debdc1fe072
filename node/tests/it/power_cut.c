/* A power cut on demand: every write to a file under $POWER_CUT_DIR is preceded by a note of what
 * stood there, and a sync of the file throws its notes away. After a kill -9 the notes that are
 * left are what a disk without a battery would have lost; the test puts it back.
 * With POWER_CUT_IGNORE_SYNC set, a sync does nothing: the control that must lose something. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int notes_of(int fd, int make) {
    const char *dir = getenv("POWER_CUT_DIR"), *notes = getenv("POWER_CUT_NOTES");
    char link[64], path[4096], name[4096];
    struct stat about;
    ssize_t length;
    if (!dir || !notes) return -1;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return -1;
    path[length] = 0;
    if (strncmp(path, dir, strlen(dir)) != 0) return -1;
    if (length > 4 && strcmp(path + length - 4, "-shm") == 0) return -1;
    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) return -1;
    snprintf(name, sizeof name, "%s/%s", notes, strrchr(path, '/') + 1);
    return open(name, O_RDWR | (make ? O_CREAT : 0) | O_APPEND | O_CLOEXEC, 0600);
}

static ssize_t raw_write(int fd, const void *bytes, size_t count) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "write");
    return real(fd, bytes, count);
}

/* One note: offset, length of the file, number of old bytes, old bytes. In one write. */
static void note(int fd, uint64_t offset, size_t count) {
    struct stat about;
    int notes;
    pthread_mutex_lock(&lock);
    notes = notes_of(fd, 1);
    if (notes >= 0 && fstat(fd, &about) == 0) {
        uint64_t head[3] = {offset, (uint64_t)about.st_size, 0};
        char *record = malloc(sizeof head + count);
        ssize_t old = pread(fd, record + sizeof head, count, (off_t)offset);
        head[2] = old > 0 ? (uint64_t)old : 0;
        memcpy(record, head, sizeof head);
        raw_write(notes, record, sizeof head + head[2]);
        free(record);
    }
    if (notes >= 0) close(notes);
    pthread_mutex_unlock(&lock);
}

static void synced(int fd) {
    int notes;
    pthread_mutex_lock(&lock);
    notes = notes_of(fd, 0);
    if (notes >= 0) {
        if (ftruncate(notes, 0) != 0) abort();
        close(notes);
    }
    pthread_mutex_unlock(&lock);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    if (fd > 2) {
        off_t at = lseek(fd, 0, SEEK_CUR);
        if (at >= 0) note(fd, (uint64_t)at, count);
    }
    return raw_write(fd, bytes, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    if (!real) real = dlsym(RTLD_NEXT, "pwrite64");
    note(fd, (uint64_t)at, count);
    return real(fd, bytes, count, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    return pwrite64(fd, bytes, count, at);
}

static int sync_by(const char *name, int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, name);
    if (getenv("POWER_CUT_IGNORE_SYNC")) return 0;
    int result = real(fd);
    if (result == 0) synced(fd);
    return result;
}

int fsync(int fd) { return sync_by("fsync", fd); }
int fdatasync(int fd) { return sync_by("fdatasync", fd); }
