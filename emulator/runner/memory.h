/* Shared memory that NNAPI maps by file descriptor. */
#ifndef NNAPI_RUNNER_MEMORY_H
#define NNAPI_RUNNER_MEMORY_H

#include "platform.h"

/* What lies before and after each buffer, to notice a driver that writes past its ends. */
enum { GUARD = 64, REGION_ALIGN = 64 };

struct region {
    int fd;
    size_t size;
    size_t used;
    uint8_t* base;
};

/* What a buffer of `length` bytes takes in a region, guards and alignment included. */
static inline size_t region_slot(size_t length) {
    return (length + GUARD + GUARD + REGION_ALIGN - 1) & ~(size_t)(REGION_ALIGN - 1);
}

/* False leaves errno. */
bool region_create(struct region* r, size_t size);
/* The next slot, after its leading guard; NULL when the region is full. */
uint8_t* region_take(struct region* r, size_t length, size_t* offset);
void region_free(struct region* r);

#endif
