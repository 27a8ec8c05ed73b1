/* Preloaded into every process of a system under test: a connection or datagram to anywhere but loopback fails, and is written down. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int goes_outside(const struct sockaddr *to) {
    if (to == NULL) return 0;
    if (to->sa_family == AF_INET) return (ntohl(((const struct sockaddr_in *)to)->sin_addr.s_addr) >> 24) != 127;
    if (to->sa_family == AF_INET6) {
        const struct in6_addr *six = &((const struct sockaddr_in6 *)to)->sin6_addr;
        return !IN6_IS_ADDR_LOOPBACK(six) && !(IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == 127);
    }
    return 0;
}

static int refuse(const char *what, const struct sockaddr *to) {
    char address[INET6_ADDRSTRLEN] = "?", line[160];
    if (to->sa_family == AF_INET) inet_ntop(AF_INET, &((const struct sockaddr_in *)to)->sin_addr, address, sizeof address);
    else inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)to)->sin6_addr, address, sizeof address);
    const char *log = getenv("LOOPBACK_ONLY_LOG");
    int file = log ? open(log, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (file >= 0) {
        int length = snprintf(line, sizeof line, "%s to %s by process %d\n", what, address, (int)getpid());
        if (write(file, line, length) < 0) abort();
        close(file);
    }
    errno = ENETUNREACH;
    return -1;
}

int connect(int socket, const struct sockaddr *to, socklen_t length) {
    static int (*real)(int, const struct sockaddr *, socklen_t);
    if (!real) real = dlsym(RTLD_NEXT, "connect");
    return goes_outside(to) ? refuse("connect", to) : real(socket, to, length);
}

ssize_t sendto(int socket, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t length) {
    static ssize_t (*real)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
    if (!real) real = dlsym(RTLD_NEXT, "sendto");
    return goes_outside(to) ? refuse("sendto", to) : real(socket, data, size, flags, to, length);
}

ssize_t sendmsg(int socket, const struct msghdr *message, int flags) {
    static ssize_t (*real)(int, const struct msghdr *, int);
    if (!real) real = dlsym(RTLD_NEXT, "sendmsg");
    const struct sockaddr *to = message->msg_name;
    return goes_outside(to) ? refuse("sendmsg", to) : real(socket, message, flags);
}
