/* AHardwareBuffer blobs: memory of the graphics allocator, which a driver may map without a copy.
 * Looked up at run time; where the platform has none, the reason is told. */
#ifndef NNAPI_RUNNER_HARDWARE_BUFFER_H
#define NNAPI_RUNNER_HARDWARE_BUFFER_H

#include "api.h"

/* Tries one buffer in a process of its own: there are platforms that have the functions, and an
 * allocator that refuses, hangs or ends who asks it. To be called before workers are forked. */
void hardware_buffers_try(void);
/* Why there are none by that trial; empty if they work. */
const char* hardware_buffers_lack(void);
/* Allocates a blob of `size` bytes that the CPU may read and write; NULL fills `error`. */
AHardwareBuffer* hardware_buffer_create(size_t size, char* error, size_t error_size);
/* Copies all of a blob from or to `bytes`; false fills `error`. The CPU only has the blob while a
 * copy lasts: its address may be another each time, and the driver has it in between. */
bool hardware_buffer_write(AHardwareBuffer* buffer, const void* bytes, size_t size, char* error,
                           size_t error_size);
bool hardware_buffer_read(AHardwareBuffer* buffer, void* bytes, size_t size, char* error,
                          size_t error_size);
void hardware_buffer_free(AHardwareBuffer* buffer);

#endif
