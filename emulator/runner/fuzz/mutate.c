/* A mutator that needs no particular compiler: runner-fuzz RUNS SEED FILE...
 *
 * Replays every file, then RUNS mutations of them. The input at work lies in crash.bin of the
 * current folder while it runs, so that a crash leaves it behind. */
#include "fuzz_stream.h"

enum { MAX_FILES = 256, MAX_INPUT = 1 << 16 };

struct input {
    uint8_t* data;
    size_t size;
};

static struct input files[MAX_FILES];
static int file_count;
static uint64_t state;
static uint8_t* shown; /* crash.bin: its size, then its bytes */

static uint64_t next(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static size_t below(size_t limit) { return limit == 0 ? 0 : (size_t)(next() % limit); }

static bool load(const char* path, struct input* input) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    input->data = malloc(MAX_INPUT);
    ssize_t n = input->data != NULL ? read(fd, input->data, MAX_INPUT) : -1;
    close(fd);
    if (n < 0) return false;
    input->size = (size_t)n;
    return true;
}

static void put(uint8_t* at, uint64_t value, size_t width) { memcpy(at, &value, width); }

/* One change; gives the new size. */
static size_t change(uint8_t* data, size_t size) {
    static const uint64_t numbers[] = {0, 1, 2, 3, 7, 8, 16, 24, 32, 64, 127, 128, 129, 255, 256,
                                       4095, 4096, 65535, 65536, 0x7fffffff, 0x80000000,
                                       0xffffffff, 0x100000000, 0x7fffffffffffffff, UINT64_MAX};
    static const size_t widths[] = {1, 2, 4, 4, 4, 8};
    const struct input* other;
    size_t at = below(size), count;
    switch (below(8)) {
        case 0: /* a bit */
            if (size > 0) data[at] ^= (uint8_t)(1u << below(8));
            return size;
        case 1: /* a byte */
            if (size > 0) data[at] = (uint8_t)next();
            return size;
        case 2:
        case 3: { /* a number where numbers are */
            size_t width = widths[below(6)];
            if (size < width) return size;
            at = below(size - width + 1);
            if (below(4) != 0) at &= ~(size_t)3;
            put(data + at, numbers[below(sizeof numbers / sizeof *numbers)], width);
            return size;
        }
        case 4: { /* a little more or less */
            if (size < 4) return size;
            at = below(size - 3);
            uint32_t value;
            memcpy(&value, data + at, 4);
            put(data + at, value + (uint32_t)below(9) - 4, 4);
            return size;
        }
        case 5: /* cut bytes out */
            count = below(size - at) % 64;
            memmove(data + at, data + at + count, size - at - count);
            return size - count;
        case 6: /* bytes of another file */
            other = &files[below((size_t)file_count)];
            if (other->size == 0) return size;
            count = below(other->size < 128 ? other->size : 128);
            if (count > MAX_INPUT - size) return size;
            memmove(data + at + count, data + at, size - at);
            memcpy(data + at, other->data + below(other->size - count), count);
            return size + count;
        default: /* overwrite with bytes of this file */
            count = below(size - at) % 64;
            memmove(data + at, data + below(size - count), count);
            return size;
    }
}

/* Sets the length of the last frame right, most of the time: else few inputs get past it. */
static void mend(uint8_t* data, size_t size) {
    size_t at = 0;
    while (size - at >= 16) {
        uint32_t length;
        memcpy(&length, data + at + 8, 4);
        if (length <= size - at - 16 && below(16) != 0) {
            at += 16 + (size_t)length;
            continue;
        }
        if (below(8) != 0) put(data + at + 8, size - at - 16, 4);
        return;
    }
}

static void show(const uint8_t* data, size_t size) {
    if (shown == NULL) return;
    uint64_t count = size;
    memcpy(shown, &count, 8);
    memcpy(shown + 8, data, size);
}

int main(int argc, char** argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: runner-fuzz RUNS SEED FILE...\n");
        return 2;
    }
    unsigned long runs = strtoul(argv[1], NULL, 10);
    state = strtoul(argv[2], NULL, 10) * 0x9e3779b97f4a7c15u + 1;
    int crash = open("crash.bin", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (crash >= 0 && ftruncate(crash, MAX_INPUT + 8) == 0) {
        void* at = mmap(NULL, MAX_INPUT + 8, PROT_READ | PROT_WRITE, MAP_SHARED, crash, 0);
        shown = at != MAP_FAILED ? at : NULL;
    }
    for (int i = 3; i < argc && file_count < MAX_FILES; i++) {
        if (!load(argv[i], &files[file_count])) {
            fprintf(stderr, "runner-fuzz: cannot read %s\n", argv[i]);
            return 2;
        }
        show(files[file_count].data, files[file_count].size);
        fuzz_stream(files[file_count].data, files[file_count].size);
        file_count++;
    }
    static uint8_t data[MAX_INPUT];
    for (unsigned long run = 0; run < runs; run++) {
        const struct input* from = &files[below((size_t)file_count)];
        size_t size = from->size;
        memcpy(data, from->data, size);
        for (size_t k = 1 + below(6); k > 0; k--) size = change(data, size);
        if (below(8) != 0) mend(data, size);
        show(data, size);
        fuzz_stream(data, size);
    }
    for (int i = 0; i < file_count; i++) free(files[i].data);
    unlink("crash.bin");
    printf("%d files and %lu mutations, no fault\n", file_count, runs);
    return 0;
}
