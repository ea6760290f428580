#include "together.h"

#include "set_run.h"

enum { MAX_CHAIN = 16 };

struct job {
    struct set_run s;
    struct outcome o;
    ANeuralNetworksEvent* event;
    ANeuralNetworksEvent* imported; /* the same by its fence, where there is one */
    int fence;                      /* -1: none */
    uint8_t* left; /* outputs as they were when the fence had signalled, or the wait had ended */
    ANeuralNetworksBurst* burst;
    pthread_t thread;
    int code;
    bool ready, started;
};

static void* compute_in_thread(void* argument) {
    struct job* job = argument;
    const struct api* api = job->s.run->api;
    job->code = job->burst != NULL
                        ? api->ANeuralNetworksExecution_burstCompute(job->s.execution, job->burst)
                        : api->ANeuralNetworksExecution_compute(job->s.execution);
    return NULL;
}

/* Takes the fence of a job that has just been started, and an event made of it. A driver need not
 * have descriptors: then the event itself serves. Each that it gives is the caller's own. */
static void take_fence(struct run* run, struct job* job) {
    int other = -1;
    if (job->event == NULL || job->code != 0 ||
        !run->api->has[FN_ANeuralNetworksEvent_getSyncFenceFd] ||
        !run->api->has[FN_ANeuralNetworksEvent_createFromSyncFenceFd])
        return;
    if (CALL(run, ANeuralNetworksEvent_getSyncFenceFd, job->event, &job->fence) !=
                ANEURALNETWORKS_NO_ERROR ||
        job->fence < 0) {
        job->fence = -1;
        return;
    }
    job->code = CALL(run, ANeuralNetworksEvent_getSyncFenceFd, job->event, &other);
    if (job->code == 0 && other == job->fence) job->code = ANEURALNETWORKS_BAD_DATA;
    else if (job->code == 0) close(other);
    if (job->code == 0)
        job->code = CALL(run, ANeuralNetworksEvent_createFromSyncFenceFd, job->fence,
                         &job->imported);
}

/* Starts a job that reads what the one before writes. Every second one waits for the fence of that
 * one alone, the others for all before, of which the last is the one that matters. */
static void start_in_chain(struct run* run, struct job* jobs, uint32_t index) {
    struct job* job = &jobs[index];
    const ANeuralNetworksEvent* waits[MAX_CHAIN];
    uint32_t count = 0;
    const struct job* before = index > 0 ? &jobs[index - 1] : NULL;
    job->started = true;
    if (index > 1 && index % 2 == 1 && before->imported != NULL)
        waits[count++] = before->imported;
    else
        for (uint32_t i = 0; i < index; i++)
            if (jobs[i].event != NULL) waits[count++] = jobs[i].event;
    job->code = CALL(run, ANeuralNetworksExecution_startComputeWithDependencies, job->s.execution,
                     count > 0 ? waits : NULL, count, 0, &job->event);
    take_fence(run, job);
}

/* Starts the computation of a job; by a fence each waits for the one before, which has not ended. */
static void start_job(struct run* run, struct job* job, const struct job* before) {
    const ANeuralNetworksEvent* wait = before != NULL ? before->event : NULL;
    job->started = true;
    if (run->c->path == PATH_FENCED) {
        job->code = CALL(run, ANeuralNetworksExecution_startComputeWithDependencies,
                         job->s.execution, &wait, wait != NULL, 0, &job->event);
    } else if (run->c->path == PATH_START_WAIT) {
        job->code = CALL(run, ANeuralNetworksExecution_startCompute, job->s.execution, &job->event);
    } else {
        if (run->c->path == PATH_BURST)
            job->code = CALL(run, ANeuralNetworksBurst_create, run->compilation, &job->burst);
        job->started = job->code == 0 &&
                       pthread_create(&job->thread, NULL, compute_in_thread, job) == 0;
        if (!job->started && job->code == 0) job->code = ANEURALNETWORKS_OUT_OF_MEMORY;
    }
}

/* Copies the outputs of a job as they are now; from there, as they were then. */
static void copy_outputs(struct job* job, bool back) {
    uint8_t* at = job->left;
    for (uint32_t i = 0; at != NULL && i < job->s.set->output_count; i++) {
        struct io* io = &job->s.out[i];
        if (io->offered > 0) memcpy(back ? io->data : at, back ? at : io->data, io->offered);
        at += io->offered;
    }
}

/* What the outputs are when the driver says that they are written. Freeing the event could wait. */
static void keep_outputs(struct run* run, struct job* job) {
    size_t total = 0;
    if (run->c->memory != MEMORY_POINTER && run->c->memory != MEMORY_SHARED) return;
    for (uint32_t i = 0; i < job->s.set->output_count; i++) total += job->s.out[i].offered;
    job->left = arena_alloc(run->arena, total + 1, 1);
    copy_outputs(job, false);
}

static void await_event(struct run* run, struct job* job) {
    if (job->event == NULL || job->code != 0) return;
    if (job->fence >= 0) {
        struct pollfd entry = {.fd = job->fence, .events = POLLIN};
        while (poll(&entry, 1, -1) < 0 && errno == EINTR) {
        }
        keep_outputs(run, job);
    }
    job->code = CALL(run, ANeuralNetworksEvent_wait, job->event);
    if (job->left == NULL) keep_outputs(run, job);
    /* Any number of threads may wait, so one may do so twice. */
    if (job->code == 0 && (run->c->extra.flags & EXTRA_CHAINED))
        job->code = CALL(run, ANeuralNetworksEvent_wait, job->event);
}

static void await_job(struct run* run, struct job* job) {
    if (!job->started) return;
    if (run->c->path == PATH_FENCED || run->c->path == PATH_START_WAIT) {
        await_event(run, job);
        return;
    }
    pthread_join(job->thread, NULL);
}

static const enum function_id job_function[PATHS] = {
        FN_ANeuralNetworksExecution_compute,      FN_ANeuralNetworksExecution_startCompute,
        FN_ANeuralNetworksExecution_burstCompute,
        FN_ANeuralNetworksExecution_startComputeWithDependencies,
        FN_ANeuralNetworksExecution_compute,
};

static bool report_job(struct run* run, struct job* job) {
    uint32_t outputs = job->s.set->output_count;
    bool* same = arena_alloc(run->arena, (size_t)outputs + 1, sizeof *same);
    if (same == NULL) return bad_case(run, "out of memory");
    memset(same, 0, (size_t)outputs + 1);
    bool good = job->ready && job->code == 0;
    if (job->ready && job->code != 0) stop(run, job_function[run->c->path], job->code);
    if (job->ready) good = finish_once(&job->s, 0, &job->o, good) && good;
    if (good) copy_outputs(job, true);
    if (run->ending == ENDING_BAD_CASE || run->ending == ENDING_UNSUPPORTED) return false;
    job->o.code = job->code;
    bool first = good && keep_first(&job->s) && watch_first(&job->s);
    put_execution(&job->s, &job->o, first, same);
    return true;
}

/* Everything before the computation; `before` is whose first output is this one's first input. */
static void prepare_job(struct run* run, struct job* job, const struct input_set* set,
                        const struct set_run* before) {
    job->s = (struct set_run){
            .run = run,
            .set = set,
            .graph = &run->c->graphs[run->c->graph_count - 1],
            .before = before,
    };
    job->ready = (before == NULL || before->memory != NULL) && prepare_memory(&job->s) &&
                 make_memories(&job->s);
    if (job->ready && before != NULL &&
        (set->input_count == 0 || before->set->output_count == 0 ||
         before->out[0].length != job->s.in[0].length))
        job->ready = bad_case(run, "an input of a chain is not like the output before it");
    job->ready = job->ready && begin_once(&job->s, 0, &job->o);
    job->code = job->ready ? 0 : run->last_code;
}

static void free_events(struct run* run, struct job* job) {
    if (job->imported != NULL) CALL(run, ANeuralNetworksEvent_free, job->imported);
    if (job->event != NULL) CALL(run, ANeuralNetworksEvent_free, job->event);
    if (job->burst != NULL) CALL(run, ANeuralNetworksBurst_free, job->burst);
    if (job->fence >= 0) close(job->fence);
}

static bool can_be_chained(const struct run* run) {
    return run->c->path == PATH_FENCED && run->c->memory == MEMORY_SHARED &&
           run->c->set_count <= MAX_CHAIN;
}

static void run_jobs(struct run* run, struct job* jobs, uint32_t count, bool chained) {
    for (uint32_t i = 0; i < count; i++) {
        if (!jobs[i].ready) continue;
        if (chained)
            start_in_chain(run, jobs, i);
        else
            start_job(run, &jobs[i], i > 0 ? &jobs[i - 1] : NULL);
    }
    for (uint32_t i = count; i-- > 0;) await_job(run, &jobs[i]);
    for (uint32_t i = 0; i < count; i++) free_events(run, &jobs[i]);
    /* A failure that what waits for it does not see is none: the case goes on as if it had
     * succeeded, and its outputs tell. */
    for (uint32_t i = 1; i < count && chained; i++)
        if (jobs[i - 1].code != 0 && jobs[i].ready && jobs[i].code == 0) jobs[i - 1].code = 0;
}

bool execute_together(struct run* run) {
    uint32_t count = run->c->set_count;
    struct job* jobs = arena_alloc(run->arena, (size_t)count + 1, sizeof *jobs);
    if (jobs == NULL) return bad_case(run, "out of memory");
    memset(jobs, 0, ((size_t)count + 1) * sizeof *jobs);
    if (!run->api->has[job_function[run->c->path]])
        return missing(run, job_function[run->c->path]);
    bool good = true, chained = (run->c->extra.flags & EXTRA_CHAINED) != 0;
    if (chained && !can_be_chained(run))
        return bad_case(run, "executions are chained by fences and shared memory, at most %d",
                        MAX_CHAIN);
    for (uint32_t i = 0; i < count; i++) jobs[i].fence = -1;
    for (uint32_t i = 0; i < count; i++) {
        prepare_job(run, &jobs[i], &run->c->sets[i], chained && i > 0 ? &jobs[i - 1].s : NULL);
        if (run->ending == ENDING_BAD_CASE) break;
    }
    run_jobs(run, jobs, count, chained);
    for (uint32_t i = 0; i < count && good; i++) good = report_job(run, &jobs[i]);
    for (uint32_t i = 0; i < count; i++) free_set(&jobs[i].s);
    return good;
}
