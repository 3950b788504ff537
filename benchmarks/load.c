/* Loads a Pacemaker with pulses or reads, cheaply enough that the server is
 * what is measured.
 *
 *   load HOST PORT CONNECTIONS IN_FLIGHT VALUE_BYTES SECONDS [RATE] [MODE]
 *
 * Each connection is one worker: it stores its own key.  Without RATE (or 0)
 * each keeps IN_FLIGHT requests under way; with a RATE, requests a second over
 * all connections, they are sent when they are due, and a latency counts from
 * then.  MODE is "pulse" (the default) or "read" (GET_PULSE of its own key).
 *
 * The last line of the output is JSON: replies, seconds, latencies in
 * microseconds, and the generator's own share of a core.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_IN_FLIGHT = 1000, BUCKETS = 4000000 };

struct connection {
    int fd;
    int in_flight;
    int head;                       /* the oldest request's place in sent_us */
    double sent_us[MAX_IN_FLIGHT];
    char *request;                  /* one whole request */
    size_t request_bytes;
    size_t left_bytes;              /* of the request that is being written */
    size_t due;                     /* requests that wait to be written */
    unsigned char reply_head[4];
    size_t reply_head_bytes;
    size_t reply_left_bytes;        /* of the reply that is being read */
};

static unsigned *histogram;         /* replies by latency, in microseconds */
static long replies;
static int is_measuring;

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static char *put_i32(char *at, int32_t value)
{
    uint32_t big = htonl((uint32_t)value);
    memcpy(at, &big, 4);
    return at + 4;
}

static char *put(char *at, const void *bytes, size_t size)
{
    memcpy(at, bytes, size);
    return at + size;
}

/* Writes a SEND_PULSE or a GET_PULSE as Storm's clients do. */
static size_t make_request(char *buffer, int number, int value_bytes, int is_read)
{
    char key[200];
    int key_bytes = snprintf(key, sizeof key,
        "/workerbeats/topology-%d-1700000000/"
        "0f3c1c7e-9e6e-4b6e-8a53-%012d-%d",
        number / 100, number, 6700 + number % 100);
    char *at = buffer + 4;
    at = put(at, "\x08\0\1", 3);
    at = put_i32(at, is_read ? 10 : 4);
    at = put(at, "\x0c\0\2", 3);
    if (!is_read)
        at = put(at, "\x0c\0\2", 3);
    at = put(at, "\x0b\0\1", 3);
    at = put_i32(at, key_bytes);
    at = put(at, key, key_bytes);
    if (!is_read) {
        at = put(at, "\x0b\0\2", 3);
        at = put_i32(at, value_bytes);
        memset(at, 'x', value_bytes);
        at = put(at + value_bytes, "\0", 1);
    }
    at = put(at, "\0\x08\0\3", 4);
    at = put_i32(at, number % 100);
    at = put(at, "\0", 1);
    put_i32(buffer, at - buffer - 4);
    return at - buffer;
}

static int connect_to(const char *host, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        die("host");
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (void *)&address, sizeof address))
        die("connect");
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

/* Writes what is due, as far as the kernel takes it. */
static void write_due(struct connection *c)
{
    while (c->left_bytes || c->due) {
        if (!c->left_bytes) {
            c->left_bytes = c->request_bytes;
            c->due--;
        }
        char *at = c->request + c->request_bytes - c->left_bytes;
        ssize_t sent = write(c->fd, at, c->left_bytes);
        if (sent < 0) {
            if (errno == EAGAIN)
                return;
            die("write");
        }
        c->left_bytes -= sent;
    }
}

static void send_request(struct connection *c, double due_us)
{
    if (c->in_flight == MAX_IN_FLIGHT) {
        fprintf(stderr, "more than %d requests in flight\n", MAX_IN_FLIGHT);
        exit(3);
    }
    c->sent_us[(c->head + c->in_flight++) % MAX_IN_FLIGHT] = due_us;
    c->due++;
}

static void count_reply(struct connection *c, double at_us)
{
    double latency_us = at_us - c->sent_us[c->head];
    c->head = (c->head + 1) % MAX_IN_FLIGHT;
    c->in_flight--;
    if (!is_measuring)
        return;
    replies++;
    histogram[latency_us < BUCKETS ? (int)latency_us : BUCKETS - 1]++;
}

/* Walks through what was read; returns how many replies ended in it. */
static int read_replies(struct connection *c, unsigned char *data, size_t size)
{
    int count = 0;
    double at_us = now_us();
    while (size) {
        if (!c->reply_left_bytes) {
            c->reply_head[c->reply_head_bytes++] = *data++;
            size--;
            if (c->reply_head_bytes == 4) {
                uint32_t big;
                memcpy(&big, c->reply_head, 4);
                c->reply_left_bytes = ntohl(big);
                c->reply_head_bytes = 0;
            }
            continue;
        }
        size_t part = size < c->reply_left_bytes ? size : c->reply_left_bytes;
        data += part;
        size -= part;
        c->reply_left_bytes -= part;
        if (!c->reply_left_bytes) {
            count_reply(c, at_us);
            count++;
        }
    }
    return count;
}

static double percentile_us(double share)
{
    long wanted = replies * share, seen = 0;
    for (int us = 0; us < BUCKETS; us++) {
        seen += histogram[us];
        if (seen > wanted)
            return us;
    }
    return BUCKETS;
}

int main(int argc, char **argv)
{
    if (argc < 7) {
        fprintf(stderr, "usage: %s HOST PORT CONNECTIONS IN_FLIGHT VALUE_BYTES"
                        " SECONDS [RATE] [pulse|read]\n", argv[0]);
        return 2;
    }
    int connections = atoi(argv[3]), in_flight = atoi(argv[4]);
    int value_bytes = atoi(argv[5]);
    double seconds = atof(argv[6]), rate = argc > 7 ? atof(argv[7]) : 0;
    int is_read = argc > 8 && !strcmp(argv[8], "read");
    double warm_up_us = 5e5;
    static unsigned char buffer[1 << 20];
    struct epoll_event events[256];

    histogram = calloc(BUCKETS, sizeof *histogram);
    struct connection *all = calloc(connections, sizeof *all);
    int epoll = epoll_create1(0);
    for (int i = 0; i < connections; i++) {
        struct connection *c = &all[i];
        c->fd = connect_to(argv[1], atoi(argv[2]));
        c->request = malloc(value_bytes + 400);
        c->request_bytes = make_request(c->request, i, value_bytes, is_read);
        struct epoll_event event = {
            .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
        epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
    }

    double began_us = now_us(), measured_us = began_us + warm_up_us;
    double end_us = measured_us + seconds * 1e6;
    double next_us = began_us, gap_us = rate > 0 ? 1e6 / rate : 0;
    int next = 0;
    if (rate <= 0)
        for (int i = 0; i < connections; i++) {
            for (int k = 0; k < in_flight; k++)
                send_request(&all[i], began_us);
            write_due(&all[i]);
        }
    struct rusage before = {0}, after;
    for (;;) {
        double at_us = now_us();
        if (at_us >= end_us)
            break;
        if (!is_measuring && at_us >= measured_us) {
            is_measuring = 1;
            getrusage(RUSAGE_SELF, &before);
        }
        while (rate > 0 && next_us <= at_us) {
            send_request(&all[next], next_us);
            write_due(&all[next]);
            next = (next + 1) % connections;
            next_us += gap_us;
        }
        int wait_ms = rate > 0 ? (int)((next_us - at_us) / 1e3) : 100;
        int ready = epoll_wait(epoll, events, 256, wait_ms);
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            for (;;) {
                ssize_t got = read(c->fd, buffer, sizeof buffer);
                if (got < 0 && errno == EAGAIN)
                    break;
                if (got <= 0) {
                    fprintf(stderr, "the server ended a connection\n");
                    return 1;
                }
                int done = read_replies(c, buffer, got);
                if (rate <= 0) {
                    double sent_us = now_us();
                    while (done--)
                        send_request(c, sent_us);
                }
            }
            write_due(c);
        }
    }
    getrusage(RUSAGE_SELF, &after);
    double own_s = (after.ru_utime.tv_sec - before.ru_utime.tv_sec)
        + (after.ru_stime.tv_sec - before.ru_stime.tv_sec)
        + (after.ru_utime.tv_usec - before.ru_utime.tv_usec) / 1e6
        + (after.ru_stime.tv_usec - before.ru_stime.tv_usec) / 1e6;
    printf("{\"replies\": %ld, \"seconds\": %.3f, \"p50_us\": %.0f,"
           " \"p99_us\": %.0f, \"p999_us\": %.0f, \"max_us\": %.0f,"
           " \"generator_cpu_s\": %.3f}\n",
        replies, seconds, percentile_us(0.5), percentile_us(0.99),
        percentile_us(0.999), replies ? percentile_us(1 - 0.5 / replies) : 0, own_s);
    return 0;
}
