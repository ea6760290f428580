#include "execute.h"

#include "set_run.h"
#include "together.h"

/* Whether the next set fits into what the last one used: arguments of the same sizes, and of the
 * same shapes where the execution is told them. */
static bool same_arguments(const struct argument* a, const struct argument* b, uint32_t count,
                           bool told) {
    for (uint32_t i = 0; i < count; i++)
        if (a[i].omitted != b[i].omitted || a[i].length != b[i].length ||
            (told && a[i].rank != b[i].rank) ||
            (told && a[i].rank > 0 && memcmp(a[i].dims, b[i].dims, a[i].rank * sizeof *a[i].dims) != 0))
            return false;
    return true;
}

static bool fits(const struct set_run* s, const struct input_set* set) {
    return s->good && set->input_count == s->set->input_count &&
           set->output_count == s->set->output_count &&
           set->set_output_dims == s->set->set_output_dims &&
           same_arguments(set->inputs, s->set->inputs, set->input_count, true) &&
           same_arguments(set->outputs, s->set->outputs, set->output_count, set->set_output_dims);
}

/* Keeps the outputs of the first good execution, or tells which of a later one's are the same. */
static bool keep_or_compare(struct set_run* s, bool first, bool* same) {
    if (first) return keep_first(s) && watch_first(s);
    for (uint32_t i = 0; i < s->set->output_count; i++)
        same[i] = memcmp(s->out[i].data, s->out[i].first, s->out[i].offered) == 0;
    return true;
}

static bool execute_set(struct set_run* s, const struct input_set* next) {
    struct run* run = s->run;
    uint32_t outputs = s->set->output_count;
    bool* same = arena_alloc(run->arena, (size_t)outputs + 1, sizeof *same);
    struct outcome o = {.hardware_ns = UINT64_MAX, .driver_ns = UINT64_MAX};
    if (same == NULL) return bad_case(run, "out of memory");
    run->last_code = 0;
    bool ready = next != NULL ? next_set(s, next) : prepare_memory(s) && make_memories(s);
    if (ready && (run->c->extra.flags & EXTRA_SHORT)) ready = execute_short(s);
    s->good = false;
    bool have_first = false;
    for (uint32_t r = 0; r < run->c->repetitions; r++) {
        int32_t code = ready ? 0 : run->last_code;
        bool good = s->good = ready && execute_once(s, 0, &o);
        if (ready && !good) code = run->last_code;
        if (run->ending == ENDING_BAD_CASE || run->ending == ENDING_UNSUPPORTED) return false;
        o.code = code;
        memset(same, 0, outputs);
        bool first = good && !have_first;
        if (good && !keep_or_compare(s, first, same)) return false;
        have_first = have_first || good;
        put_execution(s, &o, first, same);
        if (run->c->path != PATH_REUSABLE || !good) drop_execution(s);
    }
    return true;
}

bool execute_sets(struct run* run) {
    enter_stage(run, STAGE_EXECUTION);
    if (run->c->extra.flags & EXTRA_TOGETHER) return execute_together(run);
    struct set_run s;
    for (uint32_t i = 0; i < run->c->set_count; i++) {
        const struct input_set* set = &run->c->sets[i];
        bool again = i > 0 && fits(&s, set);
        if (i > 0 && !again) free_set(&s);
        if (!again)
            s = (struct set_run){
                    .run = run,
                    .set = set,
                    .graph = &run->c->graphs[run->c->graph_count - 1],
            };
        if (!execute_set(&s, again ? set : NULL)) {
            free_set(&s);
            return false;
        }
    }
    if (run->c->set_count > 0) free_set(&s);
    return true;
}
