/* What the runner uses of Android's C library, declared by hand for builds without an NDK.
 *
 * Every function here is exported by bionic since API 27 or earlier and stands in symbols.txt,
 * from which the stub libraries are made that such a build links against. Numbers are those of the
 * kernel's and bionic's own interface, which differ between ABIs where it says so. Headers of the
 * compiler itself (stdint.h, stddef.h, ...) are used as they are.
 */
#ifndef NNAPI_RUNNER_ANDROID_BIONIC_H
#define NNAPI_RUNNER_ANDROID_BIONIC_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __LP64__
typedef long ssize_t;
typedef uint32_t mode_t;
#else
typedef int ssize_t;
typedef uint16_t mode_t;
#endif
typedef int pid_t;
typedef long off_t; /* 32 bits on 32-bit Android: the functions without 64 in their name take it */
typedef long time_t;
typedef unsigned int nfds_t;

struct timespec {
    time_t tv_sec;
    long tv_nsec;
};

struct pollfd {
    int fd;
    short events;
    short revents;
};

/* Only st_mode is read; the rest is room for the largest layout. */
struct stat {
#if defined(__x86_64__)
    uint8_t before_mode[24]; /* st_dev, st_ino, st_nlink */
#else
    uint8_t before_mode[16]; /* st_dev, st_ino (or padding and the short st_ino) */
#endif
    uint32_t st_mode;
    uint8_t after_mode[236];
};

typedef struct {
    const char* dli_fname;
    void* dli_fbase;
    const char* dli_sname;
    void* dli_saddr;
} Dl_info;

/* dlfcn.h */
#ifdef __LP64__
enum { RTLD_LOCAL = 0, RTLD_NOW = 2 };
#else
enum { RTLD_LOCAL = 0, RTLD_NOW = 0 };
#endif
void* dlopen(const char* path, int flags);
void* dlsym(void* handle, const char* name);
char* dlerror(void);
int dladdr(const void* address, Dl_info* info);

/* errno.h */
enum { EINTR = 4, EAGAIN = 11, ENOSYS = 38, EOPNOTSUPP = 95 };
int* __errno(void) __attribute__((const));
#define errno (*__errno())

/* fcntl.h */
enum {
    O_RDONLY = 0,
    O_RDWR = 2,
    O_CREAT = 0100,
    O_EXCL = 0200,
    O_APPEND = 02000,
    O_NONBLOCK = 04000,
    O_CLOEXEC = 02000000,
    F_GETFL = 3,
    F_SETFL = 4,
    F_DUPFD_CLOEXEC = 1030,
    F_SETPIPE_SZ = 1031,
};
int open(const char* path, int flags, ...);

/* pthread.h */
typedef long pthread_t;
typedef struct pthread_attr_t pthread_attr_t; /* only NULL is passed */
int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                   void* argument);
int pthread_join(pthread_t thread, void** result);
int fcntl(int fd, int command, ...);
int fallocate(int fd, int mode, off_t offset, off_t length);

/* sys/file.h */
enum { LOCK_EX = 2, LOCK_NB = 4 };
int flock(int fd, int operation);

/* poll.h */
enum { POLLIN = 1, POLLOUT = 4 };
int poll(struct pollfd* fds, nfds_t count, int timeout_ms);

/* signal.h */
enum { SIGHUP = 1, SIGINT = 2, SIGKILL = 9, SIGPIPE = 13, SIGTERM = 15 };
typedef int sig_atomic_t;
typedef void (*sighandler_t)(int);
#define SIG_DFL ((sighandler_t)0)
#define SIG_IGN ((sighandler_t)1)
int kill(pid_t pid, int signal);
sighandler_t signal(int number, sighandler_t handler);

/* stdio.h */
int snprintf(char* text, size_t size, const char* format, ...)
        __attribute__((format(printf, 3, 4)));
int vsnprintf(char* text, size_t size, const char* format, va_list list)
        __attribute__((format(printf, 3, 0)));

/* stdlib.h */
void* malloc(size_t size);
void* realloc(void* memory, size_t size);
void free(void* memory);
_Noreturn void exit(int status);
char* getenv(const char* name);
unsigned long strtoul(const char* text, char** end, int base);

/* string.h */
void* memcpy(void* restrict to, const void* restrict from, size_t count);
void* memmove(void* to, const void* from, size_t count);
void* memset(void* at, int byte, size_t count);
void* memchr(const void* at, int byte, size_t count);
int memcmp(const void* a, const void* b, size_t count);
size_t strlen(const char* text);
size_t strnlen(const char* text, size_t most);
int strcmp(const char* a, const char* b);
int strncmp(const char* a, const char* b, size_t most);
char* strerror(int code);

/* sys/mman.h */
enum { PROT_READ = 1, PROT_WRITE = 2, MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_ANONYMOUS = 0x20 };
#define MAP_FAILED ((void*)-1)
void* mmap(void* at, size_t size, int protection, int flags, int fd, off_t offset);
int munmap(void* at, size_t size);

/* sys/prctl.h */
enum { PR_SET_PDEATHSIG = 1, PR_SET_CHILD_SUBREAPER = 36 };
int prctl(int option, ...);

/* sys/stat.h */
#define S_ISFIFO(mode) (((mode) & 0170000u) == 0010000u)
#define S_ISSOCK(mode) (((mode) & 0170000u) == 0140000u)
int mkdir(const char* path, mode_t mode);
int fstat(int fd, struct stat* info);

/* sys/syscall.h */
#if defined(__x86_64__)
#define SYS_memfd_create 319
#define SYS_getdents64 217
#elif defined(__i386__)
#define SYS_memfd_create 356
#define SYS_getdents64 220
#elif defined(__aarch64__)
#define SYS_memfd_create 279
#define SYS_getdents64 61
#elif defined(__arm__)
#define SYS_memfd_create 385
#define SYS_getdents64 217
#else
#error "no Android ABI"
#endif
long syscall(long number, ...);

/* sys/wait.h */
enum { WNOHANG = 1 };
#define WEXITSTATUS(status) (((status) & 0xff00) >> 8)
#define WTERMSIG(status) ((status) & 0x7f)
#define WIFEXITED(status) (WTERMSIG(status) == 0)
#define WIFSIGNALED(status) (WTERMSIG(status) != 0 && WTERMSIG(status) != 0x7f)
pid_t waitpid(pid_t pid, int* status, int options);

/* time.h */
enum { CLOCK_MONOTONIC = 1 };
int clock_gettime(int clock, struct timespec* out);

/* unistd.h */
ssize_t read(int fd, void* to, size_t count);
ssize_t write(int fd, const void* from, size_t count);
int close(int fd);
int pipe2(int fds[2], int flags);
pid_t fork(void);
int dup2(int from, int to);
int ftruncate(int fd, off_t size);
int unlink(const char* path);
pid_t getpid(void);
pid_t getppid(void);
int setpgid(pid_t pid, pid_t group);
int getpagesize(void);
_Noreturn void _exit(int status);

#endif
