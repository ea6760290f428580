#include "memory.h"

static int anonymous_file(void) {
#ifdef SYS_memfd_create
    int fd = (int)syscall(SYS_memfd_create, "nnapi-runner", 1u /* MFD_CLOEXEC */);
    if (fd >= 0) return fd;
#endif
    /* Kernels before 3.17: a file that nobody else can open any more. */
    const char* folder = getenv("TMPDIR");
    char name[256];
    snprintf(name, sizeof name, "%s/nnapi-runner-%d-%llx", folder != NULL ? folder : "/tmp",
             (int)getpid(), (unsigned long long)now_ns());
    int file = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file >= 0) unlink(name);
    return file;
}

bool region_create(struct region* r, size_t size) {
    memset(r, 0, sizeof *r);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    r->size = (size + page - 1) / page * page;
    r->fd = anonymous_file();
    if (r->fd < 0) return false;
    /* Take the pages now: a full file system is an error here and a SIGBUS in the driver later. */
    if (ftruncate(r->fd, (off_t)r->size) == 0 &&
        (fallocate(r->fd, 0, 0, (off_t)r->size) == 0 || errno == EOPNOTSUPP || errno == ENOSYS)) {
        void* base = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
        if (base != MAP_FAILED) {
            r->base = base;
            return true;
        }
    }
    int reason = errno;
    close(r->fd);
    r->fd = -1;
    errno = reason;
    return false;
}

uint8_t* region_take(struct region* r, size_t length, size_t* offset) {
    if (r->size - r->used < region_slot(length)) return NULL;
    *offset = r->used + GUARD;
    r->used += region_slot(length);
    return r->base + *offset;
}

void region_free(struct region* r) {
    munmap(r->base, r->size);
    close(r->fd);
}
