/* Loads a server with heartbeats.  It needs so little CPU time itself that the
 * server is the bottleneck.
 *
 *   load [OPTION VALUE]... WORK:CONNECTIONS:IN_FLIGHT:RATE[:LIMIT]...
 *
 * Each argument is a group of connections that do the same:
 *   fill    write every key once, and again until LIMIT requests were sent
 *   pulse   write an existing heartbeat again
 *   read    read a heartbeat
 *   list    list the topologies
 *   delete  delete one topology after the other, LIMIT of them
 * With RATE 0 each connection keeps IN_FLIGHT requests unanswered.  Otherwise all
 * connections of the group together send RATE requests a second, each at its
 * scheduled time, however many are unanswered and whether or not the server
 * accepts them.
 *
 * At a rate, a latency is only the server's: it counts from the moment at which
 * the generator gets to a scheduled request, to the moment at which the reply
 * reaches the kernel.  If the generator itself is stalled, as happens in every
 * virtual machine now and then, that counts as its own lateness instead.
 *
 * Options: --wire pacemaker|zookeeper|redis; --port and --pid of the server; the
 * number of --keys and --topologies; --first-topology; --delete-from, the first
 * topology to delete; --value-bytes; --spread, the share by which sizes vary;
 * --seconds, the longest time; --warm-up, the seconds before it.
 *
 * A reply that does not report success ends the run with status 1.  The output is
 * JSON: the replies and their latencies, and what the server used.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "latency.h"
#include "wire.h"

enum { MAX_GROUPS = 8, MAX_PARTS = 64, BATCH_BYTES = 64 * 1024, HELLO_TIMEOUT_S = 60 };

/* How long after the end to wait for the replies to requests scheduled before. */
static const double DRAIN_US = 5e6;

struct group {
    enum work work;
    int connections, in_flight;
    double rate;
    long limit;                     /* requests to send; 0 for no end */
    long begun, encoded, answered, replies, lost;
    struct connection *all;
    int next;                       /* the connection for the next scheduled request */
    double next_us, gap_us;
    struct latencies latencies;
};

struct connection {
    int fd;
    struct group *group;
    long number, turns;             /* in its group; requests written */
    double *from_us;                /* when each unanswered request began: a ring */
    int head, under_way, room;
    long unwritten;                 /* requests that are begun but not encoded yet */
    char *out;                      /* what is being written */
    size_t out_room, out_bytes, out_at;
    int is_constant;                /* `out` holds the one request it ever sends */
    int parts_left;                 /* copies of a constant request to write */
    int replies_left;               /* to the request that is being answered */
    struct reply reply;
};

static struct group groups[MAX_GROUPS];
static int group_count;
static const struct wire *wire;
static struct heartbeats heartbeats = {.keys = 1, .topologies = 1, .delete_from = -1};
static int port, server_pid, value_bytes = 100;
static double spread, seconds = 1, warm_up = 0.5;
static int *sizes;                  /* of the values that were filled in */
static double measured_us, end_us, late_us;
static double clocks_apart_us;      /* the kernel's time of day, less now_us */

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static double in_us(struct timespec t)
{
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static double clock_us(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return in_us(t);
}

static double now_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

/* Sizes that vary by `spread`, with the same random numbers in each run. */
static int next_size(void)
{
    static uint32_t state = 1;
    state = state * 1664525u + 1013904223u;
    double share = state / 4294967296.0 * 2 - 1;
    return (int)(value_bytes * (1 + spread * share));
}

static size_t encode_next(struct connection *c, char *at)
{
    struct group *g = c->group;
    struct request r = {.work = g->work, .value_bytes = value_bytes};
    if (g->work == FILL) {
        long count = g->encoded;
        r.number = count % heartbeats.keys;
        r.is_new = count < heartbeats.keys;
        r.value_bytes = sizes[r.number] = next_size();
    } else if (g->work == DELETE) {
        r.number = g->encoded;
    } else {
        r.number = (c->number + c->turns * g->connections) % heartbeats.keys;
    }
    c->turns++;
    g->encoded++;
    return wire->write_request(at, &heartbeats, &r);
}

/* Whether a connection always sends the same request: a list, or its only key. */
static int is_always_same(const struct group *g)
{
    return g->work == LIST
        || ((g->work == PULSE || g->work == READ) && g->connections >= heartbeats.keys);
}

static void encode(struct connection *c)
{
    if (c->is_constant) {
        c->parts_left = c->unwritten < MAX_PARTS ? (int)c->unwritten : MAX_PARTS;
        c->unwritten -= c->parts_left;
        return;
    }
    size_t each = request_room(&heartbeats, c->group->work, value_bytes * (1 + spread) + 1);
    if (!c->out) {
        int is_single = each > BATCH_BYTES || is_always_same(c->group);
        c->out_room = is_single ? each : BATCH_BYTES;
        c->out = malloc(c->out_room);
    }
    c->out_at = c->out_bytes = 0;
    while (c->unwritten && c->out_bytes + each <= c->out_room) {
        c->out_bytes += encode_next(c, c->out + c->out_bytes);
        c->unwritten--;
    }
    if (is_always_same(c->group)) {
        /* The first is encoded alone; the rest are copies of it. */
        c->is_constant = 1;
        c->parts_left = 1;
    }
}

static ssize_t write_copies(struct connection *c)
{
    struct iovec parts[MAX_PARTS];
    for (int i = 0; i < c->parts_left; i++)
        parts[i] = (struct iovec){c->out, c->out_bytes};
    parts[0] = (struct iovec){c->out + c->out_at, c->out_bytes - c->out_at};
    return writev(c->fd, parts, c->parts_left);
}

static void count_written(struct connection *c, size_t sent)
{
    c->out_at += sent;
    if (!c->is_constant)
        return;
    while (c->parts_left && c->out_at >= c->out_bytes) {
        c->out_at -= c->out_bytes;
        c->parts_left--;
    }
}

/* Writes as much of the pending requests as the kernel accepts. */
static void write_due(struct connection *c)
{
    for (;;) {
        int is_written = c->is_constant ? !c->parts_left : c->out_at == c->out_bytes;
        if (is_written) {
            if (!c->unwritten)
                return;
            encode(c);
        }
        ssize_t sent = c->is_constant
            ? write_copies(c)
            : write(c->fd, c->out + c->out_at, c->out_bytes - c->out_at);
        if (sent < 0) {
            if (errno == EAGAIN)
                return;
            die("write");
        }
        count_written(c, sent);
    }
}

static int may_send(const struct group *g)
{
    return !g->limit || g->begun < g->limit;
}

static void send_request(struct connection *c, double at_us)
{
    if (c->under_way == c->room) {
        int room = c->room ? 2 * c->room : 1;
        double *ring = malloc(room * sizeof *ring);
        for (int i = 0; i < c->under_way; i++)
            ring[i] = c->from_us[(c->head + i) % c->room];
        free(c->from_us);
        c->from_us = ring;
        c->head = 0;
        c->room = room;
    }
    c->from_us[(c->head + c->under_way++) % c->room] = at_us;
    c->unwritten++;
    c->group->begun++;
}

static void refuse_reply(const struct connection *c)
{
    fprintf(stderr, "a wrong reply to %s, of %zu bytes:", WORK_NAMES[c->group->work],
            c->reply.frame_bytes);
    for (size_t i = 0; i < c->reply.head_bytes; i++)
        fprintf(stderr, " %02x", c->reply.head[i]);
    fprintf(stderr, "\n");
    exit(1);
}

/* The values that are read and the topologies that are listed are in the reply. */
static int is_large_enough(const struct connection *c)
{
    size_t least = 0;
    if (c->group->work == READ && c->replies_left == 1)
        least = value_bytes;
    if (c->group->work == LIST)
        least = 15 * heartbeats.topologies;
    return c->reply.frame_bytes >= least;
}

static void end_request(struct connection *c, double at_us)
{
    struct group *g = c->group;
    double from_us = c->from_us[c->head];
    c->head = (c->head + 1) % c->room;
    c->under_way--;
    g->answered++;
    double counted_us = g->rate > 0 ? from_us : at_us;
    if (counted_us >= measured_us && counted_us < end_us) {
        g->replies++;
        count_latency(&g->latencies, at_us - from_us);
    }
}

/* Walks through the bytes read; returns how many requests they complete. */
static int take_replies(struct connection *c, const unsigned char *data, size_t size,
                        double at_us)
{
    int done = 0;
    while (size) {
        size_t taken = read_reply(wire, &c->reply, data, size);
        data += taken;
        size -= taken;
        if (!c->reply.frame_bytes || c->reply.seen_bytes < c->reply.frame_bytes) {
            if (!taken)
                refuse_reply(c);
            continue;
        }
        if (!wire->is_good(&c->reply, c->group->work) || !is_large_enough(c))
            refuse_reply(c);
        memset(&c->reply, 0, sizeof c->reply);
        if (--c->replies_left == 0) {
            c->replies_left = wire->replies_to(&heartbeats, c->group->work);
            end_request(c, at_us);
            done++;
        }
    }
    return done;
}

/* Connecting. */

static int connect_once(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (fd < 0 || connect(fd, (void *)&address, sizeof address))
        die("connect");
    struct timeval patience = {HELLO_TIMEOUT_S, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    char hello[256];
    size_t size = wire->write_hello(hello);
    if (size && write(fd, hello, size) != (ssize_t)size)
        die("hello");
    return fd;
}

/* Waits for `count` replies.  Reads byte by byte, so that no later byte is consumed. */
static void await_replies(int fd, int count)
{
    while (count--) {
        struct reply reply = {0};
        while (!reply.frame_bytes || reply.seen_bytes < reply.frame_bytes) {
            unsigned char byte;
            if (read(fd, &byte, 1) != 1)
                die("no reply to hello");
            read_reply(wire, &reply, &byte, 1);
        }
    }
}

static int has_hello(void)
{
    char hello[256];
    return wire->write_hello(hello) > 0;
}

/* ZooKeeper has no node without the one above it. */
static void create_topologies(void)
{
    int fd = connect_once();
    await_replies(fd, 1);
    for (int i = -1; i < heartbeats.topologies; i++) {
        char create[512];
        size_t size = write_create_topology(create, i < 0 ? i : i + heartbeats.first_topology);
        if (write(fd, create, size) != (ssize_t)size)
            die("create");
        if (i % 100 == 99)
            await_replies(fd, 100);
    }
    await_replies(fd, heartbeats.topologies % 100 + 1);
    close(fd);
}

static void open_group(struct group *g)
{
    g->all = calloc(g->connections, sizeof *g->all);
    g->gap_us = g->rate > 0 ? 1e6 / g->rate : 0;
    for (int i = 0; i < g->connections; i++) {
        struct connection *c = &g->all[i];
        c->group = g;
        c->number = i;
        c->replies_left = wire->replies_to(&heartbeats, g->work);
        c->fd = connect_once();
    }
}

static void watch_group(const struct group *g, int epoll)
{
    for (int i = 0; i < g->connections; i++) {
        struct connection *c = &g->all[i];
        if (has_hello())
            await_replies(c->fd, 1);
        fcntl(c->fd, F_SETFL, O_NONBLOCK);
        int on = 1;
        if (g->rate > 0)
            setsockopt(c->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
        epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
    }
}

static void close_group(const struct group *g)
{
    for (int i = 0; i < g->connections; i++) {
        char goodbye[64];
        size_t size = wire->write_goodbye(goodbye);
        if (size && write(g->all[i].fd, goodbye, size) < 0 && errno != EAGAIN)
            perror("goodbye");
        close(g->all[i].fd);
    }
}

/* Sending and receiving. */

static void begin_group(struct group *g, double at_us)
{
    g->next_us = at_us + g->gap_us;
    if (g->rate > 0)
        return;
    for (int k = 0; k < g->in_flight; k++)
        for (int i = 0; i < g->connections && may_send(g); i++)
            send_request(&g->all[i], at_us);
    for (int i = 0; i < g->connections; i++)
        write_due(&g->all[i]);
}

/* Sends the requests scheduled up to now; returns when the next one is. */
static double send_due(struct group *g, double at_us)
{
    while (g->rate > 0 && g->next_us <= at_us && g->next_us < end_us
           && may_send(g)) {
        struct connection *c = &g->all[g->next];
        send_request(c, at_us);
        write_due(c);
        if (g->next_us >= measured_us && at_us - g->next_us > late_us)
            late_us = at_us - g->next_us;
        g->next = (g->next + 1) % g->connections;
        g->next_us += g->gap_us;
    }
    return g->rate > 0 && g->next_us < end_us ? g->next_us : 1e300;
}

/* Reads received bytes, with the time at which the kernel got them: on loopback, the
 * time at which they were sent. */
static ssize_t read_at(int fd, void *buffer, size_t room, double *at_us)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct timespec))];
    struct iovec part = {buffer, room};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1,
                             .msg_control = control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(fd, &message, 0);
    *at_us = now_us();
    struct cmsghdr *stamp = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (stamp && stamp->cmsg_level == SOL_SOCKET && stamp->cmsg_type == SCM_TIMESTAMPNS) {
        struct timespec came;
        memcpy(&came, CMSG_DATA(stamp), sizeof came);
        *at_us = in_us(came) - clocks_apart_us;
    }
    return got;
}

static void receive(struct connection *c)
{
    static unsigned char buffer[1 << 18];
    struct group *g = c->group;
    for (;;) {
        double came_us;
        ssize_t got = read_at(c->fd, buffer, sizeof buffer, &came_us);
        if (got < 0 && errno == EAGAIN)
            break;
        if (got <= 0) {
            fprintf(stderr, "the server ended a connection\n");
            exit(1);
        }
        int done = take_replies(c, buffer, got, came_us);
        double at_us = now_us();
        if (g->rate > 0 || at_us >= end_us)
            continue;
        while (done-- && may_send(g))
            send_request(c, at_us);
    }
    write_due(c);
}

static int is_done(const struct group *g)
{
    return g->limit && g->answered >= g->limit;
}

/* Whether nothing is left to wait for. */
static int is_over(double at_us)
{
    int all_done = 1, any_limit = 0, under_way = 0;
    for (struct group *g = groups; g < groups + group_count; g++) {
        any_limit |= g->limit > 0 && g->rate == 0;
        all_done &= is_done(g) || !(g->limit > 0 && g->rate == 0);
        if (at_us >= end_us && g->rate > 0)
            for (int i = 0; i < g->connections; i++)
                under_way += g->all[i].under_way;
    }
    if (any_limit && all_done)
        return 1;
    return at_us >= end_us && (!under_way || at_us >= end_us + DRAIN_US);
}

static void wait_until(int epoll, double until_us)
{
    double left_us = until_us - now_us();
    left_us = left_us > 1e5 ? 1e5 : left_us;
    if (left_us > 0) {
        struct pollfd ready = {.fd = epoll, .events = POLLIN};
        struct timespec wait = {0, (long)(left_us * 1e3)};
        ppoll(&ready, 1, &wait, NULL);
    }
}

/* The resources that a process has used so far. */

struct usage {
    double at_us, own_cpu_s, server_cpu_s;
    long written_bytes;
};

static double timeval_s(struct timeval t)
{
    return t.tv_sec + t.tv_usec / 1e6;
}

static char *read_proc(const char *name, char *text, size_t size)
{
    snprintf(text, size, "/proc/%d/%s", server_pid, name);
    FILE *file = fopen(text, "r");
    size_t got = file ? fread(text, 1, size - 1, file) : 0;
    if (file)
        fclose(file);
    text[got] = 0;
    return text;
}

static struct usage use_now(void)
{
    struct usage now = {.at_us = now_us()};
    struct rusage own;
    getrusage(RUSAGE_SELF, &own);
    now.own_cpu_s = timeval_s(own.ru_utime) + timeval_s(own.ru_stime);
    if (!server_pid)
        return now;
    char text[4096];
    char *name_end = strrchr(read_proc("stat", text, sizeof text), ')');
    unsigned long user = 0, kernel = 0;
    if (name_end)
        sscanf(name_end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
               &kernel);
    now.server_cpu_s = (double)(user + kernel) / sysconf(_SC_CLK_TCK);
    char *written = strstr(read_proc("io", text, sizeof text), "\nwrite_bytes: ");
    now.written_bytes = written ? atol(written + 14) : 0;
    return now;
}

/* The report. */

static const double SHARES[] = {0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995,
                                0.999, 0.9999};

static void print_latencies(const struct latencies *all)
{
    printf("\"max_us\": %.1f, \"percentiles_us\": {", all->max_us);
    for (size_t i = 0; i < sizeof SHARES / sizeof *SHARES; i++)
        printf("%s\"%g\": %.1f", i ? ", " : "", SHARES[i] * 100,
               percentile_us(all, SHARES[i]));
    printf("}");
}

static void print_group(const struct group *g)
{
    printf("{\"work\": \"%s\", \"replies\": %ld, \"lost\": %ld, \"is_done\": %s, ",
           WORK_NAMES[g->work], g->replies, g->lost, is_done(g) ? "true" : "false");
    print_latencies(&g->latencies);
    printf("}");
}

static void print_all(void)
{
    static struct latencies all;
    for (const struct group *g = groups; g < groups + group_count; g++) {
        all.count += g->latencies.count;
        all.max_us = g->latencies.max_us > all.max_us ? g->latencies.max_us : all.max_us;
        for (int i = 0; i < BUCKETS; i++)
            all.buckets[i] += g->latencies.buckets[i];
    }
    print_latencies(&all);
}

static long content_bytes(void)
{
    long total = 0;
    char key[MAX_PATH];
    for (long number = 0; sizes && number < heartbeats.keys; number++)
        total += sizes[number] ? (long)write_key(key, &heartbeats, number) + sizes[number] : 0;
    return total;
}

static void print_results(struct usage before, struct usage after, double ended_us)
{
    printf("{\"seconds\": %.6f, \"server_cpu_s\": %.3f, \"written_bytes\": %ld,"
           " \"generator_cpu_s\": %.3f, \"generator_late_us\": %.1f,"
           " \"content_bytes\": %ld, \"groups\": [",
           (ended_us - before.at_us) / 1e6, after.server_cpu_s - before.server_cpu_s,
           after.written_bytes - before.written_bytes, after.own_cpu_s - before.own_cpu_s,
           late_us, content_bytes());
    for (int i = 0; i < group_count; i++) {
        if (i)
            printf(", ");
        print_group(&groups[i]);
    }
    printf("], ");
    print_all();
    printf("}\n");
}

/* The latency of a request that was never answered counts until the end. */
static void count_lost(struct group *g, double at_us)
{
    if (g->rate <= 0)
        return;
    for (int i = 0; i < g->connections; i++) {
        struct connection *c = &g->all[i];
        for (int k = 0; k < c->under_way; k++) {
            double from_us = c->from_us[(c->head + k) % c->room];
            if (from_us < measured_us)
                continue;
            g->lost++;
            count_latency(&g->latencies, at_us - from_us);
        }
    }
}

static void usage_error(const char *what)
{
    fprintf(stderr, "load: %s\n", what);
    exit(2);
}

static void add_group(const char *text)
{
    if (group_count == MAX_GROUPS)
        usage_error("too many groups");
    struct group *g = &groups[group_count++];
    char name[16];
    if (sscanf(text, "%15[a-z]:%d:%d:%lf:%ld", name, &g->connections, &g->in_flight, &g->rate,
               &g->limit) < 4)
        usage_error("a group is WORK:CONNECTIONS:IN_FLIGHT:RATE[:LIMIT]");
    while (g->work < WORKS && strcmp(name, WORK_NAMES[g->work]))
        g->work++;
    if (g->work == WORKS)
        usage_error("work is fill, pulse, read, list or delete");
    if (!wire->replies_to(&heartbeats, g->work))
        usage_error("this server has no such operation");
}

static void read_options(int argc, char **argv)
{
    static const struct option options[] = {
        {"wire", 1, 0, 'w'},       {"port", 1, 0, 'p'},           {"pid", 1, 0, 'i'},
        {"keys", 1, 0, 'k'},       {"topologies", 1, 0, 't'},     {"first-topology", 1, 0, 'f'},
        {"value-bytes", 1, 0, 'v'}, {"spread", 1, 0, 'd'},        {"seconds", 1, 0, 's'},
        {"warm-up", 1, 0, 'u'},    {"delete-from", 1, 0, 'x'},    {0}};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (option) {
        case 'w': wire = find_wire(optarg); break;
        case 'p': port = atoi(optarg); break;
        case 'i': server_pid = atoi(optarg); break;
        case 'k': heartbeats.keys = atol(optarg); break;
        case 't': heartbeats.topologies = atoi(optarg); break;
        case 'f': heartbeats.first_topology = atoi(optarg); break;
        case 'v': value_bytes = atoi(optarg); break;
        case 'd': spread = atof(optarg); break;
        case 's': seconds = atof(optarg); break;
        case 'x': heartbeats.delete_from = atoi(optarg); break;
        case 'u': warm_up = atof(optarg); break;
        default: usage_error("see the head of load.c for the options");
        }
    if (heartbeats.delete_from < 0)
        heartbeats.delete_from = heartbeats.first_topology;
    if (!wire || !port || optind == argc)
        usage_error("--wire, --port and a group are needed");
    while (optind < argc)
        add_group(argv[optind++]);
}

static void run(int epoll)
{
    struct epoll_event events[256];
    struct usage before = {0};
    double began_us = now_us();
    clocks_apart_us = clock_us(CLOCK_REALTIME) - began_us;
    measured_us = began_us + warm_up * 1e6;
    end_us = measured_us + seconds * 1e6;
    for (int i = 0; i < group_count; i++)
        begin_group(&groups[i], began_us);
    double at_us;
    for (;;) {
        at_us = now_us();
        if (!before.at_us && at_us >= measured_us)
            before = use_now();
        if (is_over(at_us))
            break;
        double next_us = before.at_us ? 1e300 : measured_us;
        for (int i = 0; i < group_count; i++) {
            double due_us = send_due(&groups[i], at_us);
            next_us = due_us < next_us ? due_us : next_us;
        }
        wait_until(epoll, next_us);
        int ready = epoll_wait(epoll, events, 256, 0);
        for (int i = 0; i < ready; i++)
            receive(events[i].data.ptr);
    }
    struct usage after = use_now();
    for (int i = 0; i < group_count; i++)
        count_lost(&groups[i], at_us);
    print_results(before, after, at_us);
}

int main(int argc, char **argv)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    prctl(PR_SET_TIMERSLACK, 1000);
    read_options(argc, argv);
    int epoll = epoll_create1(0);
    int is_fill = 0;
    for (int i = 0; i < group_count; i++)
        is_fill |= groups[i].work == FILL;
    if (is_fill)
        sizes = calloc(heartbeats.keys, sizeof *sizes);
    if (is_fill && !strcmp(wire->name, "zookeeper"))
        create_topologies();
    for (int i = 0; i < group_count; i++)
        open_group(&groups[i]);
    for (int i = 0; i < group_count; i++)
        watch_group(&groups[i], epoll);
    run(epoll);
    for (int i = 0; i < group_count; i++)
        close_group(&groups[i]);
    return 0;
}
