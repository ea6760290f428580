/* Results kept in a file until the kit has them, for the case that the line to it breaks.
 *
 * The file begins with a KEPT frame (batch and process), behind it the RESULT frames of that batch
 * as they went out, and END; who takes it over adds a KEPT frame. Whoever writes it holds its lock, so that the next runner can tell whether one
 * is still at work. */
#ifndef NNAPI_RUNNER_JOURNAL_H
#define NNAPI_RUNNER_JOURNAL_H

#include "wire.h"

enum { ORPHAN_MS = 120000 }; /* how long a runner without a reader goes on with its batch */

struct journal {
    int fd; /* -1: none */
};

/* Takes over the file. With `from` first waits for the runner that still writes it, copying what it
 * holds to `out` meanwhile, results from that index on; otherwise ends that runner. False fills
 * `error`. */
bool journal_open(struct journal* j, const char* path, const uint32_t* from, int out,
                  char* error);
/* Forgets what was kept and begins with another batch. */
void journal_begin(struct journal* j, uint32_t batch);
/* Appends whole frames. A journal that cannot be written is closed. */
void journal_add(struct journal* j, const void* bytes, size_t count);

#endif
