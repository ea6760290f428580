#include "buffer.h"

bool buffer_reserve(struct buffer* b, size_t extra) {
    if (b->failed) return false;
    if (b->capacity - b->end >= extra) return true;
    size_t used = b->end - b->begin;
    if (b->begin > 0) {
        if (used > 0) memmove(b->data, b->data + b->begin, used);
        b->begin = 0;
        b->end = used;
        if (b->capacity - used >= extra) return true;
    }
    if (extra > SIZE_MAX / 4 - used) {
        b->failed = true;
        return false;
    }
    size_t wanted = b->capacity < 4096 ? 4096 : b->capacity;
    while (wanted < used + extra) wanted *= 2;
    uint8_t* data = realloc(b->data, wanted);
    if (data == NULL) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->capacity = wanted;
    return true;
}

void buffer_free(struct buffer* b) {
    free(b->data);
    memset(b, 0, sizeof *b);
}

void buffer_clear(struct buffer* b) {
    b->begin = b->end = 0;
    b->failed = false;
}

void buffer_consume(struct buffer* b, size_t count) {
    b->begin += count;
    if (b->begin == b->end) b->begin = b->end = 0;
}

void put_bytes(struct buffer* b, const void* bytes, size_t count) {
    if (count == 0 || !buffer_reserve(b, count)) return;
    memcpy(b->data + b->end, bytes, count);
    b->end += count;
}

void put_u16(struct buffer* b, uint16_t v) { put_bytes(b, &v, sizeof v); }
void put_u32(struct buffer* b, uint32_t v) { put_bytes(b, &v, sizeof v); }
void put_u64(struct buffer* b, uint64_t v) { put_bytes(b, &v, sizeof v); }

const uint8_t* take(struct reader* r, size_t count) {
    if (!r->ok || r->left < count) {
        r->ok = false;
        return NULL;
    }
    const uint8_t* at = r->at;
    r->at += count;
    r->left -= count;
    return at;
}

#define TAKE(type)                                \
    type v = 0;                                   \
    const uint8_t* at = take(r, sizeof v);        \
    if (at != NULL) memcpy(&v, at, sizeof v);     \
    return v

uint8_t take_u8(struct reader* r) { TAKE(uint8_t); }
uint16_t take_u16(struct reader* r) { TAKE(uint16_t); }
uint32_t take_u32(struct reader* r) { TAKE(uint32_t); }
uint64_t take_u64(struct reader* r) { TAKE(uint64_t); }
float take_f32(struct reader* r) { TAKE(float); }

struct arena_block {
    struct arena_block* next;
    max_align_t data[];
};

void* arena_alloc(struct arena* a, size_t count, size_t size) {
    if (size != 0 && count > (SIZE_MAX / 2) / size) return NULL;
    struct arena_block* block = malloc(sizeof *block + count * size);
    if (block == NULL) return NULL;
    block->next = a->first;
    a->first = block;
    return block->data;
}

void arena_free(struct arena* a) {
    while (a->first != NULL) {
        struct arena_block* next = a->first->next;
        free(a->first);
        a->first = next;
    }
}
