/* NNAPI, looked up at run time: a function that is missing is not there at this level. */
#ifndef NNAPI_RUNNER_API_H
#define NNAPI_RUNNER_API_H

#include "platform.h" /* first: it asks for what libc hides by default */

#define NNAPI_NO_PROTOTYPES 1
#include "nnapi.h"

enum function_id {
#define X(name, level, result, parameters) FN_##name,
    NNAPI_FUNCTIONS(X)
#undef X
            FN_COUNT,
    FN_NONE = FN_COUNT
};

struct api {
#define X(name, level, result, parameters) result(*name) parameters;
    NNAPI_FUNCTIONS(X)
#undef X
    void* library;
    const char* path;
    void* path_of; /* an address within the library, to ask for its path */
    bool has[FN_COUNT];
};

extern const char* const function_names[FN_COUNT + 1];

/* Loads the library and looks up its functions, by their names or in the table of a support
 * library driver. Returns 0, or an `error_kind` and fills `error`. */
uint32_t api_load(struct api* api, const char* const* paths, bool support_library, char* error,
                  size_t error_size);

#endif
