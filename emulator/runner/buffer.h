/* A growable byte buffer and a bounds-checked reader. */
#ifndef NNAPI_RUNNER_BUFFER_H
#define NNAPI_RUNNER_BUFFER_H

#include "platform.h"

/* Bytes [begin, end) of data are valid. A failed allocation sets `failed` and drops what is put
 * from then on; callers look at it once at the end. */
struct buffer {
    uint8_t* data;
    size_t begin;
    size_t end;
    size_t capacity;
    bool failed;
};

bool buffer_reserve(struct buffer* b, size_t extra);
void buffer_free(struct buffer* b);
void buffer_clear(struct buffer* b);
void buffer_consume(struct buffer* b, size_t count);
void put_bytes(struct buffer* b, const void* bytes, size_t count);
void put_u16(struct buffer* b, uint16_t v);
void put_u32(struct buffer* b, uint32_t v);
void put_u64(struct buffer* b, uint64_t v);

static inline size_t buffer_size(const struct buffer* b) { return b->end - b->begin; }
static inline uint8_t* buffer_front(const struct buffer* b) { return b->data + b->begin; }

/* Reads forward through memory it does not own; once a read passes the end, `ok` stays false and
 * every later read gives zero. */
struct reader {
    const uint8_t* at;
    size_t left;
    bool ok;
};

const uint8_t* take(struct reader* r, size_t count);
uint8_t take_u8(struct reader* r);
uint16_t take_u16(struct reader* r);
uint32_t take_u32(struct reader* r);
uint64_t take_u64(struct reader* r);
float take_f32(struct reader* r);

/* Memory that lives as long as one case: blocks of their own, so that a memory checker sees each
 * edge, freed together. */
struct arena {
    struct arena_block* first;
};

void* arena_alloc(struct arena* a, size_t count, size_t size);
void arena_free(struct arena* a);

#endif
