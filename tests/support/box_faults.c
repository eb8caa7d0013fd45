// Preloaded into the agent: name resolution that fails and a wall clock that is wrong, switched by files while it
// runs. An unprivileged stand-in for unplugging the resolver and setting the box's clock.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int (*real_connect)(int, const struct sockaddr *, socklen_t);
static int (*real_getaddrinfo)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void find_real_ones(void) {
    real_connect = dlsym(RTLD_NEXT, "connect");
    real_getaddrinfo = dlsym(RTLD_NEXT, "getaddrinfo");
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
}

// EDGE_TEST_ATTEMPTS names a file that grows by a byte per attempt to find or reach the store.
static void count_attempt(void) {
    const char *file = getenv("EDGE_TEST_ATTEMPTS");
    int fd = file == NULL ? -1 : open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return;
    if (write(fd, ".", 1) != 1) abort();
    close(fd);
}

// EDGE_TEST_PORT is the store's.
int connect(int fd, const struct sockaddr *to, socklen_t length) {
    const char *port = getenv("EDGE_TEST_PORT");
    if (port != NULL && to->sa_family == AF_INET && ntohs(((const struct sockaddr_in *)to)->sin_port) == atoi(port))
        count_attempt();
    return real_connect(fd, to, length);
}

static int is_address(const char *name) {
    unsigned char parsed[sizeof(struct in6_addr)];
    return name != NULL && (inet_pton(AF_INET, name, parsed) == 1 || inet_pton(AF_INET6, name, parsed) == 1);
}

// EDGE_TEST_NO_DNS names a file: while it exists, no name is found.
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    const char *file = getenv("EDGE_TEST_NO_DNS");
    if (file != NULL && !is_address(name) && access(file, F_OK) == 0) {
        count_attempt();
        return EAI_AGAIN;
    }
    return real_getaddrinfo(name, service, hints, found);
}

// EDGE_TEST_CLOCK names a file with the seconds that the clock is wrong by.
static long offset_s(void) {
    const char *file = getenv("EDGE_TEST_CLOCK");
    FILE *stream = file == NULL ? NULL : fopen(file, "re");
    long seconds = 0;
    if (stream == NULL) return 0;
    if (fscanf(stream, "%ld", &seconds) != 1) seconds = 0;
    fclose(stream);
    return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (real_clock_gettime == NULL) find_real_ones();
    int result = real_clock_gettime(clock, now);
    if (result == 0 && clock == CLOCK_REALTIME) now->tv_sec += offset_s();
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec precise;
    if (clock_gettime(CLOCK_REALTIME, &precise) != 0) return -1;
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}
