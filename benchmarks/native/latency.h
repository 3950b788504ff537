/* Latencies, counted so that their percentiles are known to 0.8 %. */
#ifndef LATENCY_H
#define LATENCY_H

#include <stdint.h>

enum { SUB_BUCKETS = 128, SUB_BITS = 7, BUCKETS = (64 - SUB_BITS) * SUB_BUCKETS };

struct latencies {
    long count;
    double max_us;
    long buckets[BUCKETS];          /* of nanoseconds: a power of two, cut in 128 */
};

static inline void count_latency(struct latencies *all, double us)
{
    uint64_t ns = us > 0 ? (uint64_t)(us * 1e3) : 0;
    int shift = ns < SUB_BUCKETS ? 0 : 64 - SUB_BITS - 1 - __builtin_clzll(ns);
    int place = shift * SUB_BUCKETS + (int)(ns >> shift);
    all->buckets[place < BUCKETS ? place : BUCKETS - 1]++;
    all->count++;
    if (us > all->max_us)
        all->max_us = us;
}

/* The latency below which a share of all requests (less than 1) stayed. */
static inline double percentile_us(const struct latencies *all, double share)
{
    long wanted = (long)(all->count * share), seen = 0;
    for (int place = 0; place < BUCKETS; place++) {
        seen += all->buckets[place];
        if (seen > wanted) {
            int shift = place < 2 * SUB_BUCKETS ? 0 : place / SUB_BUCKETS - 1;
            double low = (double)((uint64_t)(place - shift * SUB_BUCKETS) << shift);
            double us = (low + (double)(1ull << shift) / 2) / 1e3;
            return us < all->max_us ? us : all->max_us;
        }
    }
    return all->max_us;
}

#endif
