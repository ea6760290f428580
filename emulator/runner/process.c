#include "process.h"

#include "worker.h"

enum {
    FIRST_OWN_FD = 100,
    PIPE_SIZE = 1 << 20,
    READ_SIZE = 1 << 18,
    ORPHAN_ROUNDS = 500, /* against a driver whose children make children faster than they end */
    END_ROUNDS = 2000,   /* ms that a killed worker may take to be gone */
};

static void close_fd(int* fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

/* In the child: standard streams that cannot reach ours, and our pipes out of the driver's way. */
static _Noreturn void become_worker(const struct options* options, const char* device,
                                    struct progress* progress, int cases, int results, int log,
                                    pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(0);
    setpgid(0, 0);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    int own_cases = fcntl(cases, F_DUPFD_CLOEXEC, FIRST_OWN_FD);
    int own_results = fcntl(results, F_DUPFD_CLOEXEC, FIRST_OWN_FD);
    int nothing = open("/dev/null", O_RDONLY);
    if (own_cases < 0 || own_results < 0 || nothing < 0) _exit(72);
    dup2(nothing, 0);
    dup2(log, 1);
    dup2(log, 2);
    for (int fd = 3; fd < FIRST_OWN_FD; fd++) close(fd);
    worker_main(options, device, own_cases, own_results, progress);
}

bool process_start(struct process* p, const struct options* options, const char* device,
                   struct progress* progress) {
    struct buffer kept = p->in;
    memset(p, 0, sizeof *p);
    p->in = kept;
    buffer_clear(&p->in);
    p->cases = p->results = p->log = -1;
    int cases[2], results[2] = {-1, -1}, log[2] = {-1, -1};
    if (pipe2(cases, O_CLOEXEC) != 0) return false;
    if (pipe2(results, O_CLOEXEC) != 0 || pipe2(log, O_CLOEXEC) != 0) goto failed;
    atomic_store(&progress->stage, STAGE_LOAD);
    atomic_store(&progress->function, FN_NONE);
    p->started_ns = now_ns();
    pid_t self = getpid();
    p->pid = fork();
    if (p->pid < 0) {
        p->pid = 0;
        goto failed;
    }
    if (p->pid == 0)
        become_worker(options, device, progress, cases[0], results[1], log[1], self);
    setpgid(p->pid, p->pid);
    close(cases[0]);
    close(results[1]);
    close(log[1]);
    p->cases = cases[1];
    p->results = results[0];
    p->log = log[0];
    /* Large pipes save switches between the processes; small ones work too. */
    fcntl(p->cases, F_SETPIPE_SZ, PIPE_SIZE);
    fcntl(p->results, F_SETPIPE_SZ, PIPE_SIZE);
    fcntl(p->cases, F_SETFL, O_NONBLOCK);
    fcntl(p->results, F_SETFL, O_NONBLOCK);
    fcntl(p->log, F_SETFL, O_NONBLOCK);
    return true;
failed:;
    int reason = errno;
    close(cases[0]);
    close(cases[1]);
    for (int i = 0; i < 2; i++) {
        if (results[i] >= 0) close(results[i]);
        if (log[i] >= 0) close(log[i]);
    }
    errno = reason;
    return false;
}

void process_close_input(struct process* p) {
    if (p->cases < 0) return;
    close_fd(&p->cases);
    p->closed_ns = now_ns();
}

bool process_read_results(struct process* p) {
    /* Bounded: a driver that writes into its pipe without end must not keep us here. */
    for (int i = 0; i < 64; i++) {
        if (!buffer_reserve(&p->in, READ_SIZE)) return false;
        ssize_t n = read(p->results, p->in.data + p->in.end, p->in.capacity - p->in.end);
        if (n > 0) {
            p->in.end += (size_t)n;
            if ((size_t)n < READ_SIZE) return true;
            continue;
        }
        if (n < 0 && errno == EINTR) continue;
        return n < 0 && errno == EAGAIN;
    }
    return true;
}

void process_read_log(struct process* p) {
    char part[4096];
    /* Bounded: a driver that prints without end must not keep us here. */
    for (int i = 0; i < 64 && p->log >= 0; i++) {
        ssize_t n = read(p->log, part, sizeof part);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return;
        if (n == 0) {
            close_fd(&p->log);
            return;
        }
        for (ssize_t k = n > LOG_KEPT ? n - LOG_KEPT : 0; k < n; k++)
            p->text[(p->printed + (uint64_t)k) % LOG_KEPT] = part[k];
        p->printed += (uint64_t)n;
    }
}

size_t process_text(const struct process* p, char* text) {
    size_t count = p->printed < LOG_KEPT ? (size_t)p->printed : LOG_KEPT;
    for (size_t i = 0; i < count; i++)
        text[i] = p->text[(p->printed - count + i) % LOG_KEPT];
    return count;
}

bool process_gone(struct process* p) {
    if (p->exited) return true;
    int status = 0;
    pid_t pid = waitpid(p->pid, &status, WNOHANG);
    /* One that asked to be traced is told of when it stops, and has not left. */
    p->exited = pid == p->pid && (WIFEXITED(status) || WIFSIGNALED(status));
    if (p->exited) p->status = status;
    return p->exited;
}

void process_kill(struct process* p, enum ending as) {
    if (p->exited) return;
    if (p->killed_as == ENDING_COMPLETED) p->killed_as = as;
    /* The group too: a driver may have children. */
    kill(-p->pid, SIGKILL);
    kill(p->pid, SIGKILL);
}

uint32_t process_resident_mb(const struct process* p) {
    char path[64], text[128];
    snprintf(path, sizeof path, "/proc/%d/statm", (int)p->pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) return 0;
    text[n] = 0;
    char* end;
    strtoul(text, &end, 10); /* total size */
    uint64_t pages = strtoul(end, NULL, 10);
    return (uint32_t)(pages * (uint64_t)getpagesize() >> 20);
}

/* The number behind the command of /proc/PID/stat, and the state's letter: who its parent is. */
static pid_t parent_of(const char* pid) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) return 0;
    text[n] = 0;
    const char* end = NULL; /* a command may hold brackets of its own */
    for (const char* at = text; *at != 0; at++)
        if (*at == ')') end = at;
    return end != NULL && strlen(end) > 4 ? (pid_t)strtoul(end + 4, NULL, 10) : 0;
}

static void kill_children(void) {
    struct entry { /* of getdents64 */
        uint64_t inode;
        int64_t offset;
        uint16_t length;
        uint8_t type;
        char name[];
    };
    union {
        struct entry align;
        char bytes[8192];
    } room;
    pid_t self = getpid();
    int fd = open("/proc", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    for (;;) {
        long n = syscall(SYS_getdents64, fd, room.bytes, sizeof room.bytes);
        if (n <= 0) break;
        for (long at = 0; at < n;) {
            const struct entry* e = (const struct entry*)(const void*)(room.bytes + at);
            at += e->length;
            if (e->name[0] < '1' || e->name[0] > '9' || parent_of(e->name) != self) continue;
            kill((pid_t)strtoul(e->name, NULL, 10), SIGKILL);
        }
    }
    close(fd);
}

/* Ends what a worker left behind that is no longer in its group: orphans become our children. */
static void end_orphans(void) {
    for (int round = 0; round < ORPHAN_ROUNDS; round++) {
        int status;
        pid_t gone;
        while ((gone = waitpid(-1, &status, WNOHANG)) > 0) {
        }
        if (gone < 0) return; /* there is none, the usual case */
        kill_children();
        poll(NULL, 0, 1);
    }
}

void process_end(struct process* p) {
    if (p->pid == 0) return;
    process_kill(p, ENDING_EXITED);
    for (int round = 0; round < END_ROUNDS && !process_gone(p); round++) poll(NULL, 0, 1);
    process_finish(p);
}

void process_finish(struct process* p) {
    if (p->results >= 0) process_read_results(p);
    if (p->log >= 0) process_read_log(p);
    /* Whatever it left behind in its group goes with it. */
    kill(-p->pid, SIGKILL);
    end_orphans();
    close_fd(&p->cases);
    close_fd(&p->results);
    close_fd(&p->log);
    p->pid = 0;
}
