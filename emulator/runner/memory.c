#include "memory.h"

#include "hardware_buffer.h"

/* A file that nobody else can open any more. */
static int unlinked_file(void) {
    const char* folder = getenv("TMPDIR");
    char name[256];
    if (folder == NULL || *folder == 0) folder = NNAPI_RUNNER_ANDROID ? "/data/local/tmp" : "/tmp";
    snprintf(name, sizeof name, "%s/nnapi-runner-%d-%llx", folder, (int)getpid(),
             (unsigned long long)now_ns());
    int file = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file >= 0) unlink(name);
    return file;
}

static int memory_file(void) {
#ifdef SYS_memfd_create
    return (int)syscall(SYS_memfd_create, "nnapi-runner", 1u /* MFD_CLOEXEC */);
#else
    errno = ENOSYS;
    return -1;
#endif
}

/* On a device the driver is often in another process, and Android's policy lets that map files of
 * /data/local/tmp; it says nothing of memfd. Elsewhere memfd comes first. */
static int anonymous_file(void) {
    int fd = NNAPI_RUNNER_ANDROID ? unlinked_file() : memory_file();
    if (fd >= 0) return fd;
    return NNAPI_RUNNER_ANDROID ? memory_file() : unlinked_file();
}

static bool create_hardware(struct region* r, char* error, size_t error_size) {
    r->hardware = hardware_buffer_create(r->size, error, error_size);
    if (r->hardware == NULL) return false;
    /* At a page, as the blob is: offsets then mean the same alignment in both. */
    void* base = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base != MAP_FAILED) {
        r->base = base;
        return true;
    }
    snprintf(error, error_size, "no memory of %zu bytes: %s", r->size, strerror(errno));
    hardware_buffer_free(r->hardware);
    r->hardware = NULL;
    return false;
}

bool region_create(struct region* r, size_t size, bool hardware, char* error, size_t error_size) {
    memset(r, 0, sizeof *r);
    size_t page = (size_t)getpagesize();
    r->size = (size + page - 1) / page * page;
    r->fd = -1;
    if (hardware) return create_hardware(r, error, error_size);
    r->fd = anonymous_file();
    /* Take the pages now: a full file system is an error here and a SIGBUS in the driver later. */
    if (r->fd >= 0 && ftruncate(r->fd, (off_t)r->size) == 0 &&
        (fallocate(r->fd, 0, 0, (off_t)r->size) == 0 || errno == EOPNOTSUPP || errno == ENOSYS)) {
        void* base = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
        if (base != MAP_FAILED) {
            r->base = base;
            return true;
        }
    }
    snprintf(error, error_size, "no shared memory of %zu bytes: %s", size, strerror(errno));
    if (r->fd >= 0) close(r->fd);
    r->fd = -1;
    return false;
}

bool region_publish(struct region* r, char* error, size_t error_size) {
    return r->hardware == NULL ||
           hardware_buffer_write(r->hardware, r->base, r->size, error, error_size);
}

bool region_fetch(struct region* r, char* error, size_t error_size) {
    return r->hardware == NULL ||
           hardware_buffer_read(r->hardware, r->base, r->size, error, error_size);
}

uint8_t* region_take(struct region* r, size_t length, size_t* offset) {
    size_t slot = region_slot(length + r->skew);
    if (r->size - r->used < slot) return NULL;
    *offset = r->used + GUARD + r->skew;
    r->used += slot;
    return r->base + *offset;
}

void region_free(struct region* r) {
    munmap(r->base, r->size);
    if (r->hardware != NULL)
        hardware_buffer_free(r->hardware);
    else
        close(r->fd);
}
