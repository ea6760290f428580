/* Drivers that do what no driver should, by name; tests/runner/test_hostile_drivers.py says what the
 * kit must make of each. Everything is done to this process, its own descriptors and the runner
 * that started it: nothing else on the machine is touched. */
#define _GNU_SOURCE 1
#include "hostile.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

enum { MOST_FDS = 256, FIRST_OWN_FD = 3 };

static void for_ever(void) {
    for (;;) pause();
}

static void die_of(int number) {
    signal(number, SIG_DFL);
    raise(number);
}

static int deep(volatile char* before) {
    volatile char room[4096];
    room[0] = before != NULL ? before[0] : 1;
    return deep(room) + room[0];
}

/* The page in which the worker tells where it is: the only one that is shared and of no file. */
static uint8_t* shared_page(size_t* size) {
    FILE* maps = fopen("/proc/self/maps", "r");
    char line[512];
    uint8_t* found = NULL;
    while (maps != NULL && found == NULL && fgets(line, sizeof line, maps) != NULL) {
        unsigned long begin, end;
        if (strstr(line, "rw-s") == NULL || strstr(line, "/dev/zero") == NULL) continue;
        if (sscanf(line, "%lx-%lx", &begin, &end) != 2) continue;
        found = (uint8_t*)begin;
        *size = end - begin;
    }
    if (maps != NULL) fclose(maps);
    if (found == NULL) _exit(98);
    return found;
}

static void fill_page(int byte) {
    size_t size;
    uint8_t* page = shared_page(&size);
    memset(page, byte, size);
}

static void* keep_filling(void* nothing) {
    size_t size;
    uint8_t* page = shared_page(&size);
    (void)nothing;
    for (unsigned i = 0;; i++) {
        memset(page, (int)(i % 256), size);
        usleep(200);
    }
    return NULL;
}

static void start(void* (*what)(void*)) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, what, NULL) != 0) _exit(97);
    pthread_detach(thread);
}

static void write_everywhere(const void* bytes, size_t count) {
    for (int fd = FIRST_OWN_FD; fd < MOST_FDS; fd++)
        if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY && write(fd, bytes, count) < 0) continue;
}

static uint32_t crc(uint32_t sum, const uint8_t* at, size_t count) {
    sum = ~sum;
    for (; count > 0; count--) {
        sum ^= *at++;
        for (int bit = 0; bit < 8; bit++) sum = sum >> 1 ^ (sum & 1 ? 0xedb88320u : 0);
    }
    return ~sum;
}

/* A frame with a right checksum. */
static void write_frame(uint16_t kind, const void* payload, uint32_t length) {
    uint8_t frame[256] = "NNTK\1";
    memcpy(frame + 6, &kind, 2);
    memcpy(frame + 8, &length, 4);
    memcpy(frame + 16, payload, length);
    uint32_t sum = crc(crc(0, frame + 4, 8), frame + 16, length);
    memcpy(frame + 12, &sum, 4);
    write_everywhere(frame, 16 + length);
}

static void write_library(void) {
    uint8_t field[16] = {50, 0, 0, 0, 8}; /* LIBRARY's head: a level */
    write_frame(17, field, sizeof field);
}

/* A RESULT of another case than the one at work: completed, without outputs. */
static void write_result(uint32_t index) {
    uint8_t field[32] = {30, 0, 0, 0, 24};
    memcpy(field + 8, &index, 4);
    write_frame(18, field, sizeof field);
}

static void write_error(void) {
    uint8_t fields[] = {80, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 34, 0, 0, 0, 2, 0, 0, 0, 'n', 'o'};
    write_frame(21, fields, sizeof fields);
}

static void child(int out_of_session, int twice) {
    const char* name = getenv("HOSTILE_CHILD");
    if (fork() != 0) return;
    if (out_of_session) setsid();
    if (twice && fork() != 0) _exit(0);
    int file = name != NULL ? open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
    if (file >= 0) dprintf(file, "%d", (int)getpid());
    for (int i = 0; i < 60; i++) sleep(1);
    _exit(0);
}

static void* crash_soon(void* nothing) {
    usleep(100000);
    abort();
    return nothing;
}
static void rest_at_exit(void) { sleep(5); }
static void abort_at_exit(void) { abort(); }
static void segv_at_exit(void) { die_of(SIGSEGV); }
static void leave_at_exit(void) { _exit(7); }
static void kill_at_exit(void) { raise(SIGKILL); }

static void limit(int which, rlim_t value) {
    struct rlimit both = {value, value};
    setrlimit(which, &both);
}

/* Each of these does what one of its kinds says; with any other it does nothing and returns 0. */
#define KIND(name) if (strcmp(kind, name) == 0)

static int dies(const char* kind) {
    KIND("null pointer") *(volatile int*)(uintptr_t)8 = 1;
    KIND("abort") abort();
    KIND("division by zero") die_of(SIGFPE);
    KIND("illegal instruction") die_of(SIGILL);
    KIND("bus error") die_of(SIGBUS);
    KIND("trap") die_of(SIGTRAP);
    KIND("endless recursion") return deep(NULL);
    KIND("exit 0") exit(0);
    KIND("exit 1") exit(1);
    KIND("exit 2") exit(2);
    KIND("_exit 0") _exit(0);
    KIND("SIGTERM to itself") raise(SIGTERM);
    KIND("SIGKILL to itself") raise(SIGKILL);
    KIND("SIGPIPE to itself") die_of(SIGPIPE);
    KIND("kills its group") kill(0, SIGKILL);
    KIND("main thread ends") pthread_exit(NULL);
    KIND("alarm") {
        struct itimerval soon = {{0, 0}, {0, 1000}};
        setitimer(ITIMER_REAL, &soon, NULL);
        for_ever();
    }
    KIND("forged words") {
        fprintf(stderr, "\x1b[2J\x1b[32m\nPASS: 6 PASS in 0.1 s\r\n\x9b" "31m");
        abort();
    }
    return 0;
}

static int does_not_come_back(const char* kind) {
    KIND("hang") for_ever();
    KIND("busy loop") for (volatile int i = 0;; i++) continue;
    KIND("stops itself") raise(SIGSTOP);
    KIND("traced") {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        for_ever();
    }
    KIND("deaf hang") {
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, NULL);
        for_ever();
    }
    KIND("endless printing") for (;;) if (write(1, "x\n", 2) < 0) continue;
    KIND("memory without end") for (;;) {
        char* more = malloc(1 << 20);
        if (more != NULL) memset(more, 1, 1 << 20);
    }
    return 0;
}

static int ends_the_runner(const char* kind) {
    KIND("kills its parent") kill(getppid(), SIGKILL), for_ever();
    KIND("SIGTERM to its parent") kill(getppid(), SIGTERM), for_ever();
    KIND("SIGHUP to its parent") kill(getppid(), SIGHUP), for_ever();
    KIND("SIGINT to its parent") kill(getppid(), SIGINT), for_ever();
    KIND("SIGSEGV to its parent") kill(getppid(), SIGSEGV), for_ever();
    KIND("stops its parent") kill(getppid(), SIGSTOP), for_ever();
    KIND("kills its session") kill(getsid(0), SIGKILL), for_ever();
    return 0;
}

static int writes_into_the_page(const char* kind) {  /* where the worker tells how far it is */
    KIND("zeroes the page") fill_page(0);
    KIND("fills the page") fill_page(255);
    KIND("keeps filling the page") start(keep_filling);
    KIND("zeroes the page and dies") fill_page(0), abort();
    KIND("fills the page and hangs") fill_page(255), for_ever();
    KIND("keeps filling and hangs") start(keep_filling), for_ever();
    KIND("unmaps the page") {
        size_t size;
        uint8_t* page = shared_page(&size);
        munmap(page, size);
    }
    return 0;
}

static int meddles_with_pipes(const char* kind) {
    KIND("closes all descriptors") for (int fd = 0; fd < MOST_FDS; fd++) close(fd);
    KIND("closes standard streams") for (int fd = 0; fd < 3; fd++) close(fd);
    KIND("garbage in the pipes") write_everywhere("garbage from a driver", 21);
    KIND("half a frame in the pipes") write_everywhere("NNTK\1\0\22\0\0\0\0\20\0\0\0\0", 16);
    KIND("LIBRARY in the pipes") write_library();
    KIND("ERROR in the pipes") write_error();
    KIND("another's RESULT in the pipes") write_result(5);
    KIND("own RESULT in the pipes, twice") write_result(2), write_result(2);
    KIND("pipes that do not wait")
        for (int fd = 0; fd < MOST_FDS; fd++) fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    KIND("prints much") {
        static char text[1 << 16];
        memset(text, 'x', sizeof text);
        for (int i = 0; i < 100; i++) if (write(1, text, sizeof text) < 0) break;
    }
    return 0;
}

static int has_children(const char* kind) {
    KIND("comes back twice") if (fork() < 0) _exit(96);
    KIND("a child") child(0, 0);
    KIND("a child out of its session") child(1, 0);
    KIND("a daemon") child(1, 1);
    KIND("a daemon, and hangs") child(1, 1), for_ever();
    KIND("a daemon, and dies") child(1, 1), usleep(50000), abort();
    return 0;
}

static int changes_the_process(const char* kind) {
    KIND("no more files") limit(RLIMIT_NOFILE, 0);
    KIND("files of no size") limit(RLIMIT_FSIZE, 0);
    KIND("another folder") if (chdir("/") != 0) return 4;
    KIND("mask and environment") umask(0777), clearenv();
    KIND("not dumpable") prctl(PR_SET_DUMPABLE, 0);
    KIND("outlives its parent") prctl(PR_SET_PDEATHSIG, 0);
    KIND("ignores all signals")
        for (int number = 1; number < 32; number++) signal(number, SIG_IGN);
    KIND("own group") setpgid(0, getpgid(getppid()));
    return 0;
}

static int answers_nonsense(const char* kind) {
    KIND("code 12345") return 12345;
    KIND("code -1") return -1;
    KIND("dead object") return 14;
    return 0;
}

static int dies_at_exit(const char* kind) {  /* when nobody asks it for anything */
    KIND("aborts at exit") atexit(abort_at_exit);
    KIND("segfault at exit") atexit(segv_at_exit);
    KIND("other status at exit") atexit(leave_at_exit);
    KIND("SIGKILL at exit") atexit(kill_at_exit);
    KIND("thread dies after the last case") atexit(rest_at_exit), start(crash_soon);
    return 0;
}
#undef KIND

int hostile(const char* kind) {
    static int (*const groups[])(const char*) = {
        dies, does_not_come_back, ends_the_runner, writes_into_the_page, meddles_with_pipes,
        has_children, changes_the_process, answers_nonsense, dies_at_exit,
    };
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        int code = groups[i](kind);
        if (code != 0) return code;
    }
    return 0;  /* also of `honest` */
}
