/* The floor: the least that a server can do for a pulse.
 *
 *   floor PORT
 *
 * One thread with one epoll loop reads frames, looks only at their lengths,
 * stores nothing, and answers each with the fixed reply to a pulse.  Its cost is
 * that of the kernel; what a Pacemaker costs beyond this is the Pacemaker's own.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REPLY_BYTES = 19, MAX_REPLIES = 4096 };

static const char REPLY[REPLY_BYTES] =
    "\0\0\0\x0f\x08\0\1\0\0\0\5\x08\0\3\0\0\0\5";

struct connection {
    int fd;
    size_t head_bytes;              /* of the length that is being read */
    unsigned char head[4];
    size_t left_bytes;              /* of the frame that is being read */
};

static char replies[REPLY_BYTES * MAX_REPLIES];

static int count_frames(struct connection *c, const unsigned char *data, size_t size)
{
    int count = 0;
    while (size) {
        if (c->left_bytes) {
            size_t part = size < c->left_bytes ? size : c->left_bytes;
            data += part;
            size -= part;
            c->left_bytes -= part;
            count += !c->left_bytes;
            continue;
        }
        c->head[c->head_bytes++] = *data++;
        size--;
        if (c->head_bytes == 4) {
            uint32_t big;
            memcpy(&big, c->head, 4);
            c->left_bytes = ntohl(big);
            c->head_bytes = 0;
        }
    }
    return count;
}

int main(int argc, char **argv)
{
    static unsigned char buffer[65536];
    struct epoll_event events[256];
    signal(SIGPIPE, SIG_IGN);
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(argc > 1 ? atoi(argv[1]) : 6699),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 4096)) {
        perror("listen");
        return 1;
    }
    for (int i = 0; i < MAX_REPLIES; i++)
        memcpy(replies + i * REPLY_BYTES, REPLY, REPLY_BYTES);
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    printf("listening\n");
    fflush(stdout);
    for (;;) {
        int ready = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c) {
                c = calloc(1, sizeof *c);
                c->fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                struct epoll_event added = {.events = EPOLLIN, .data.ptr = c};
                epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &added);
                continue;
            }
            ssize_t got = read(c->fd, buffer, sizeof buffer);
            if (got < 0 && errno == EAGAIN)
                continue;
            if (got <= 0) {
                close(c->fd);
                free(c);
                continue;
            }
            int count = count_frames(c, buffer, got);
            if (count && write(c->fd, replies, count * REPLY_BYTES) < 0 && errno != EPIPE)
                perror("write");
        }
    }
}
