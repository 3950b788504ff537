/* The requests and replies of a Pacemaker, of ZooKeeper and of redis, as far as
 * heartbeats need them. */
#ifndef WIRE_H
#define WIRE_H

#include <stddef.h>

enum work { FILL, PULSE, READ, LIST, DELETE, WORKS };

extern const char *const WORK_NAMES[WORKS];

enum { MAX_PATH = 256 };

/* The heartbeats: `keys` of them in `topologies` topologies.  Deletes begin with
 * one of these topologies or with another one. */
struct heartbeats {
    long keys;
    int topologies, first_topology, delete_from;
};

/* One request: what is done, and to which heartbeat or topology. */
struct request {
    enum work work;
    long number;                    /* of the key; of the topology for DELETE */
    int value_bytes;
    int is_new;                     /* for FILL: the key was never written */
};

/* The reply that is being read. */
struct reply {
    unsigned char head[32];         /* its first bytes, the length included */
    size_t head_bytes;
    size_t frame_bytes;             /* 0 until it is known */
    size_t seen_bytes;
};

struct wire {
    const char *name;
    /* The bytes that a connection begins with, answered by one reply; or none. */
    size_t (*write_hello)(char *at);
    /* The bytes it ends with. */
    size_t (*write_goodbye)(char *at);
    /* A whole request; `at` has room for `request_room`. */
    size_t (*write_request)(char *at, const struct heartbeats *, const struct request *);
    /* How many replies it gets; 0 if this server cannot do it. */
    int (*replies_to)(const struct heartbeats *, enum work);
    /* Sets the reply's size, if the head is complete enough to contain it. */
    void (*find_size)(struct reply *);
    /* Whether the reply reports success. */
    int (*is_good)(const struct reply *, enum work);
};

const struct wire *find_wire(const char *name);

size_t write_key(char *at, const struct heartbeats *, long number);

/* An upper bound of a request's size. */
size_t request_room(const struct heartbeats *, enum work, int value_bytes);

/* For ZooKeeper: creates the node of a topology, or the one above all (-1). */
size_t write_create_topology(char *at, int topology);

/* Takes bytes of a stream of replies; returns how many belong to this one.
 * The reply is whole once `frame_bytes` is known and seen. */
size_t read_reply(const struct wire *, struct reply *, const unsigned char *, size_t);

#endif
