/* AHardwareBuffer blobs: memory of the graphics allocator, which a driver may map without a copy.
 * Looked up at run time; where the platform has none, the reason is told. */
#ifndef NNAPI_RUNNER_HARDWARE_BUFFER_H
#define NNAPI_RUNNER_HARDWARE_BUFFER_H

#include "api.h"

/* Whether the platform has such buffers. */
bool hardware_buffers_exist(void);
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
