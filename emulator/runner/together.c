#include "together.h"

#include "set_run.h"

struct job {
    struct set_run s;
    struct outcome o;
    ANeuralNetworksEvent* event;
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

static void await_job(struct run* run, struct job* job) {
    if (!job->started) return;
    if (run->c->path == PATH_FENCED || run->c->path == PATH_START_WAIT) {
        if (job->event != NULL && job->code == 0)
            job->code = CALL(run, ANeuralNetworksEvent_wait, job->event);
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
    if (run->ending == ENDING_BAD_CASE || run->ending == ENDING_UNSUPPORTED) return false;
    job->o.code = job->code;
    bool first = good && keep_first(&job->s) && watch_first(&job->s);
    put_execution(&job->s, &job->o, first, same);
    return true;
}

bool execute_together(struct run* run) {
    uint32_t count = run->c->set_count;
    struct job* jobs = arena_alloc(run->arena, (size_t)count + 1, sizeof *jobs);
    if (jobs == NULL) return bad_case(run, "out of memory");
    memset(jobs, 0, ((size_t)count + 1) * sizeof *jobs);
    if (!run->api->has[job_function[run->c->path]])
        return missing(run, job_function[run->c->path]);
    bool good = true;
    for (uint32_t i = 0; i < count; i++) {
        struct job* job = &jobs[i];
        job->s = (struct set_run){
                .run = run,
                .set = &run->c->sets[i],
                .graph = &run->c->graphs[run->c->graph_count - 1],
        };
        job->ready = prepare_memory(&job->s) && make_memories(&job->s) &&
                     begin_once(&job->s, 0, &job->o);
        job->code = job->ready ? 0 : run->last_code;
    }
    for (uint32_t i = 0; i < count; i++)
        if (jobs[i].ready) start_job(run, &jobs[i], i > 0 ? &jobs[i - 1] : NULL);
    for (uint32_t i = count; i-- > 0;) await_job(run, &jobs[i]);
    for (uint32_t i = 0; i < count; i++) {
        if (jobs[i].event != NULL) CALL(run, ANeuralNetworksEvent_free, jobs[i].event);
        if (jobs[i].burst != NULL) CALL(run, ANeuralNetworksBurst_free, jobs[i].burst);
    }
    for (uint32_t i = 0; i < count && good; i++) good = report_job(run, &jobs[i]);
    for (uint32_t i = 0; i < count; i++) free_set(&jobs[i].s);
    return good;
}
