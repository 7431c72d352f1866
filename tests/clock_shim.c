/* LD_PRELOAD: adds the seconds in the file SATDAEMON_TEST_CLOCK to the wall clock of a process. Monotonic clocks stay.
   The file is read at each call: 8 bytes, a double; changed, it is a jump of the clock of all processes that share it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile const double *offset;

__attribute__((constructor)) static void attach(void) {
    const char *path = getenv("SATDAEMON_TEST_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *found = mmap(NULL, sizeof(double), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (found != MAP_FAILED) offset = found;
}

static void add(time_t *seconds, long *part, long parts) {
    if (!offset) return;
    double shift = *offset;
    long whole = (long)shift;
    *seconds += whole;
    *part += (long)((shift - (double)whole) * (double)parts);
    if (*part >= parts) { *part -= parts; *seconds += 1; }
    if (*part < 0) { *part += parts; *seconds -= 1; }
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(clock, now);
    if (code == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) add(&now->tv_sec, &now->tv_nsec, 1000000000L);
    return code;
}

int gettimeofday(struct timeval *now, void *zone) {
    static int (*real)(struct timeval *, void *);
    if (!real) real = dlsym(RTLD_NEXT, "gettimeofday");
    int code = real(now, zone);
    if (code == 0) add(&now->tv_sec, &now->tv_usec, 1000000L);
    return code;
}

time_t time(time_t *where) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (where) *where = now.tv_sec;
    return now.tv_sec;
}
