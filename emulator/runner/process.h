/* A worker process as its parent sees it. */
#ifndef NNAPI_RUNNER_PROCESS_H
#define NNAPI_RUNNER_PROCESS_H

#include "driver.h"
#include "options.h"
#include "wire.h"

enum { LOG_KEPT = 2048 };

struct process {
    pid_t pid;    /* 0: none */
    int cases;    /* write end; -1 once closed */
    int results;  /* read end */
    int log;      /* read end of what it prints */
    bool loaded;  /* its LIBRARY frame has come */
    bool exited;  /* reaped; `status` holds waitpid's */
    int status;
    enum ending killed_as; /* ENDING_COMPLETED while nobody killed it */
    uint64_t started_ns;
    uint64_t closed_ns; /* when its input was closed, 0 before */
    struct buffer in;   /* bytes from results */
    char text[LOG_KEPT]; /* the last it printed, a ring */
    uint64_t printed;
};

/* Forks a worker; false leaves errno. */
bool process_start(struct process* p, const struct options* options, const char* device,
                   struct progress* progress);
void process_close_input(struct process* p);
/* Reads what is there; false at the end of the stream. */
bool process_read_results(struct process* p);
void process_read_log(struct process* p);
/* Copies what was printed last into `text` (LOG_KEPT bytes); gives its length. */
size_t process_text(const struct process* p, char* text);
/* Reaps it if it is gone. */
bool process_gone(struct process* p);
void process_kill(struct process* p, enum ending as);
/* Resident memory in MB; 0 when it cannot be told. */
uint32_t process_resident_mb(const struct process* p);
/* Reads what is left in its pipes and closes them; ends what the worker left behind, in its group
 * or out of it. */
void process_finish(struct process* p);
/* Ends a worker, whatever it is doing, and what it would leave behind. */
void process_end(struct process* p);

#endif
