/* Shared memory that NNAPI maps by file descriptor, or as an AHardwareBuffer. */
#ifndef NNAPI_RUNNER_MEMORY_H
#define NNAPI_RUNNER_MEMORY_H

#include "api.h"

/* What lies before and after each buffer, to notice a driver that writes past its ends. */
enum { GUARD = 64, REGION_ALIGN = 64 };

struct region {
    int fd;                    /* -1 when `hardware` */
    AHardwareBuffer* hardware; /* then `base` is a copy, exchanged by the two functions below */
    size_t size;
    size_t used;
    size_t skew; /* of each slot */
    uint8_t* base;
};

/* What a buffer of `length` bytes takes in a region, guards and alignment included. */
static inline size_t region_slot(size_t length) {
    return (length + GUARD + GUARD + REGION_ALIGN - 1) & ~(size_t)(REGION_ALIGN - 1);
}

/* Each returns false and fills `error`. */
bool region_create(struct region* r, size_t size, bool hardware, char* error, size_t error_size);
/* Hands what was written at `base` to the driver, and back; nothing to do where it is shared. */
bool region_publish(struct region* r, char* error, size_t error_size);
bool region_fetch(struct region* r, char* error, size_t error_size);
/* The next slot, after its leading guard; NULL when the region is full. */
uint8_t* region_take(struct region* r, size_t length, size_t* offset);
void region_free(struct region* r);

#endif
