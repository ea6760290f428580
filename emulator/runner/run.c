#include "run.h"

void enter_stage(struct run* run, enum stage stage) {
    run->stage = stage;
    atomic_store_explicit(&run->driver->progress->stage, stage, memory_order_relaxed);
}

static bool end_as(struct run* run, enum ending ending, enum function_id function, int code) {
    run->last_code = code;
    if (run->ending != ENDING_COMPLETED) return false;
    run->ending = ending;
    run->function = function;
    run->code = code;
    return false;
}

bool stop(struct run* run, enum function_id function, int code) {
    return end_as(run, ENDING_STOPPED, function, code);
}

bool missing(struct run* run, enum function_id function) {
    return end_as(run, ENDING_UNSUPPORTED, function, 0);
}

bool not_offered(struct run* run, enum function_id function, int code) {
    return end_as(run, ENDING_UNSUPPORTED, function, code);
}

bool bad_case(struct run* run, const char* format, ...) {
    if (run->ending == ENDING_COMPLETED) {
        va_list list;
        va_start(list, format);
        vsnprintf(run->text, sizeof run->text, format, list);
        va_end(list);
    }
    return end_as(run, ENDING_BAD_CASE, FN_NONE, 0);
}
