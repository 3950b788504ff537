#include "wire.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const WORK_NAMES[WORKS] = {"fill", "pulse", "read", "list", "delete"};

static char *put(char *at, const void *bytes, size_t size)
{
    memcpy(at, bytes, size);
    return at + size;
}

static char *put_i32(char *at, int32_t value)
{
    uint32_t big = htonl((uint32_t)value);
    return put(at, &big, 4);
}

static int32_t take_i32(const unsigned char *at)
{
    uint32_t big;
    memcpy(&big, at, 4);
    return (int32_t)ntohl(big);
}

static char *put_value(char *at, int size)
{
    memset(at, 'x', size);
    return at + size;
}

static size_t write_topology(char *at, int number)
{
    return snprintf(at, MAX_PATH, "/workerbeats/topology-%d-%d-1700000000",
                    number, number + 1);
}

size_t write_key(char *at, const struct heartbeats *all, long number)
{
    size_t size = write_topology(at, all->first_topology + number % all->topologies);
    long worker = number / all->topologies;
    return size + snprintf(at + size, MAX_PATH - size,
                           "/%08lx-9e6e-4b6e-8a53-1a2b3c4d5e6f-%ld",
                           worker / 10, 6700 + worker % 10);
}

static size_t write_path(char *at, const struct heartbeats *all, const struct request *r)
{
    if (r->work == LIST)
        return snprintf(at, MAX_PATH, "/workerbeats");
    if (r->work == DELETE)
        return write_topology(at, all->delete_from + (int)r->number);
    return write_key(at, all, r->number);
}

static long workers_each(const struct heartbeats *all)
{
    return all->keys / all->topologies;
}

static size_t nothing(char *at)
{
    (void)at;
    return 0;
}

/* A frame is a big-endian i32 and that many bytes. */
static void find_frame_size(struct reply *reply)
{
    if (reply->head_bytes >= 4)
        reply->frame_bytes = 4 + (size_t)(uint32_t)take_i32(reply->head);
}

/* Pacemaker: HBMessage in Thrift's binary protocol. */

static const struct { int request, reply; } PACEMAKER[WORKS] = {
    [FILL] = {4, 5}, [PULSE] = {4, 5}, [READ] = {10, 11}, [LIST] = {8, 9}, [DELETE] = {12, 13}};

static size_t write_pacemaker(char *buffer, const struct heartbeats *all,
                              const struct request *r)
{
    char path[MAX_PATH];
    size_t path_bytes = write_path(path, all, r);
    int has_value = r->work == PULSE || r->work == FILL;
    char *at = buffer + 4;
    at = put(at, "\x08\0\1", 3);
    at = put_i32(at, PACEMAKER[r->work].request);
    at = put(at, "\x0c\0\2", 3);
    if (has_value)
        at = put(at, "\x0c\0\2", 3);
    at = put(at, "\x0b\0\1", 3);
    at = put_i32(at, (int32_t)path_bytes);
    at = put(at, path, path_bytes);
    if (has_value) {
        at = put(at, "\x0b\0\2", 3);
        at = put_i32(at, r->value_bytes);
        at = put(put_value(at, r->value_bytes), "\0", 1);
    }
    at = put(at, "\0\x08\0\3", 4);
    at = put_i32(at, (int32_t)(r->number % 100));
    at = put(at, "\0", 1);
    put_i32(buffer, (int32_t)(at - buffer - 4));
    return at - buffer;
}

static int one_reply(const struct heartbeats *all, enum work work)
{
    (void)all;
    (void)work;
    return 1;
}

static int is_good_pacemaker(const struct reply *reply, enum work work)
{
    return reply->head_bytes >= 11 && !memcmp(reply->head + 4, "\x08\0\1", 3)
        && take_i32(reply->head + 7) == PACEMAKER[work].reply;
}

/* ZooKeeper: jute.  Storm asks whether a node exists before each write, read and
 * delete.  A real client waits between the parts of such an operation; here they
 * are sent together, which is easier for the server. */

enum { CREATE_OP = 1, DELETE_OP = 2, EXISTS_OP = 3, GET_OP = 4, SET_OP = 5,
       CHILDREN_OP = 8, CLOSE_OP = -11 };

static char *begin_op(char *buffer, int op)
{
    return put_i32(put_i32(buffer + 4, 1), op);
}

static size_t end_op(char *buffer, char *at)
{
    put_i32(buffer, (int32_t)(at - buffer - 4));
    return at - buffer;
}

static char *put_string(char *at, const char *bytes, size_t size)
{
    return put(put_i32(at, (int32_t)size), bytes, size);
}

/* An operation on a path, followed by the watch or the version. */
static size_t write_op(char *buffer, int op, const char *path, size_t path_bytes)
{
    char *at = put_string(begin_op(buffer, op), path, path_bytes);
    return end_op(buffer, op == DELETE_OP ? put_i32(at, -1) : put(at, "\0", 1));
}

static size_t write_create(char *buffer, const char *path, size_t path_bytes, int value_bytes)
{
    char *at = put_string(begin_op(buffer, CREATE_OP), path, path_bytes);
    at = put_value(put_i32(at, value_bytes), value_bytes);
    at = put_i32(put_i32(at, 1), 31);
    at = put_string(put_string(at, "world", 5), "anyone", 6);
    return end_op(buffer, put_i32(at, 0));
}

static size_t write_set(char *buffer, const char *path, size_t path_bytes, int value_bytes)
{
    char *at = put_string(begin_op(buffer, SET_OP), path, path_bytes);
    at = put_value(put_i32(at, value_bytes), value_bytes);
    return end_op(buffer, put_i32(at, -1));
}

size_t write_create_topology(char *at, int topology)
{
    char path[MAX_PATH];
    size_t size = topology < 0 ? (size_t)snprintf(path, sizeof path, "/workerbeats")
                               : write_topology(path, topology);
    return write_create(at, path, size, 1);
}

static size_t write_deletes(char *buffer, const struct heartbeats *all, const struct request *r)
{
    char path[MAX_PATH];
    char *at = buffer;
    long workers = workers_each(all);
    size_t size = write_path(path, all, r);
    at += write_op(at, EXISTS_OP, path, size);
    for (long worker = 0; worker < workers; worker++) {
        char key[MAX_PATH];
        size_t key_bytes = write_key(key, all, r->number + worker * all->topologies);
        at += write_op(at, DELETE_OP, key, key_bytes);
    }
    return at + write_op(at, DELETE_OP, path, size) - buffer;
}

static size_t write_zookeeper(char *buffer, const struct heartbeats *all,
                              const struct request *r)
{
    if (r->work == DELETE)
        return write_deletes(buffer, all, r);
    char path[MAX_PATH];
    size_t size = write_path(path, all, r), exists_bytes;
    switch (r->work) {
    case LIST:
        return write_op(buffer, CHILDREN_OP, path, size);
    case FILL:
        return r->is_new ? write_create(buffer, path, size, r->value_bytes)
                         : write_set(buffer, path, size, r->value_bytes);
    default:
        exists_bytes = write_op(buffer, EXISTS_OP, path, size);
        buffer += exists_bytes;
        return exists_bytes
            + (r->work == READ ? write_op(buffer, GET_OP, path, size)
                               : write_set(buffer, path, size, r->value_bytes));
    }
}

static int zookeeper_replies(const struct heartbeats *all, enum work work)
{
    switch (work) {
    case FILL:
    case LIST:
        return 1;
    case DELETE:
        return (int)workers_each(all) + 2;
    default:
        return 2;
    }
}

/* The head of a reply: xid, zxid, err. */
static int is_good_zookeeper(const struct reply *reply, enum work work)
{
    (void)work;
    return reply->head_bytes >= 20 && take_i32(reply->head + 16) == 0;
}

static size_t write_session(char *buffer)
{
    char *at = put(buffer + 4, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
    at = put_i32(at, 30000);
    at = put(at, "\0\0\0\0\0\0\0\0", 8);
    at = put_i32(at, 16);
    at = put(at, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 17);
    return end_op(buffer, at);
}

static size_t write_close(char *buffer)
{
    return end_op(buffer, begin_op(buffer, CLOSE_OP));
}

/* redis: RESP. */

static char *put_bulk(char *at, const char *bytes, size_t size)
{
    at += sprintf(at, "$%zu\r\n", size);
    return put(put(at, bytes, size), "\r\n", 2);
}

static size_t write_redis(char *buffer, const struct heartbeats *all, const struct request *r)
{
    char path[MAX_PATH];
    size_t size = write_path(path, all, r);
    char *at = buffer;
    if (r->work == READ) {
        at = put_bulk(put(at, "*2\r\n", 4), "GET", 3);
        return put_bulk(at, path, size) - buffer;
    }
    at = put_bulk(put(at, "*3\r\n", 4), "SET", 3);
    at = put_bulk(at, path, size);
    at += sprintf(at, "$%d\r\n", r->value_bytes);
    return put(put_value(at, r->value_bytes), "\r\n", 2) - buffer;
}

static int redis_replies(const struct heartbeats *all, enum work work)
{
    (void)all;
    return work == LIST || work == DELETE ? 0 : 1;
}

static void find_redis_size(struct reply *reply)
{
    unsigned char *end = memchr(reply->head, '\n', reply->head_bytes);
    if (!end)
        return;
    reply->frame_bytes = end + 1 - reply->head;
    int bulk_bytes = reply->head[0] == '$' ? atoi((char *)reply->head + 1) : -1;
    if (bulk_bytes >= 0)
        reply->frame_bytes += bulk_bytes + 2;
}

static int is_good_redis(const struct reply *reply, enum work work)
{
    return work == READ ? reply->head[0] == '$' && reply->head[1] != '-'
                        : !memcmp(reply->head, "+OK", 3);
}

static const struct wire WIRES[] = {
    {"pacemaker", nothing, nothing, write_pacemaker, one_reply, find_frame_size,
     is_good_pacemaker},
    {"zookeeper", write_session, write_close, write_zookeeper, zookeeper_replies,
     find_frame_size, is_good_zookeeper},
    {"redis", nothing, nothing, write_redis, redis_replies, find_redis_size, is_good_redis},
};

const struct wire *find_wire(const char *name)
{
    for (size_t i = 0; i < sizeof WIRES / sizeof *WIRES; i++)
        if (!strcmp(WIRES[i].name, name))
            return &WIRES[i];
    return NULL;
}

size_t request_room(const struct heartbeats *all, enum work work, int value_bytes)
{
    size_t paths = work == DELETE ? workers_each(all) + 2 : 2;
    return paths * (MAX_PATH + 64) + value_bytes;
}

size_t read_reply(const struct wire *wire, struct reply *reply,
                  const unsigned char *data, size_t size)
{
    size_t taken = 0;
    while (!reply->frame_bytes && taken < size && reply->head_bytes < sizeof reply->head) {
        reply->head[reply->head_bytes++] = data[taken++];
        wire->find_size(reply);
    }
    reply->seen_bytes += taken;
    if (reply->frame_bytes) {
        size_t part = reply->frame_bytes - reply->seen_bytes;
        part = part < size - taken ? part : size - taken;
        size_t room = sizeof reply->head - reply->head_bytes;
        size_t kept = part < room ? part : room;
        memcpy(reply->head + reply->head_bytes, data + taken, kept);
        reply->head_bytes += kept;
        reply->seen_bytes += part;
        taken += part;
    }
    return taken;
}
