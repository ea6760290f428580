#include "api.h"

#include "support_library.h"
#include "wire_codes.h"

const char* const function_names[FN_COUNT + 1] = {
#define X(name, level, result, parameters) #name,
        NNAPI_FUNCTIONS(X)
#undef X
        "",
};

/* A support library driver offers its functions in a table. */
struct support_library {
    int64_t feature_level;
    void (*functions[])(void);
};

static bool load_table(struct api* api, char* error, size_t error_size) {
    const struct support_library* (*get)(void);
    void* symbol = dlsym(api->library, SUPPORT_LIBRARY_ENTRY);
    if (symbol == NULL) {
        snprintf(error, error_size, "%s is not a support library driver: it does not export %s",
                 api->path, SUPPORT_LIBRARY_ENTRY);
        return false;
    }
    memcpy(&get, &symbol, sizeof get);
    const struct support_library* table = get();
    if (table == NULL || table->feature_level < ANEURALNETWORKS_FEATURE_LEVEL_5) {
        snprintf(error, error_size, "%s: " SUPPORT_LIBRARY_ENTRY " gives %s", api->path,
                 table == NULL ? "no table" : "a table of no known feature level");
        return false;
    }
    size_t position = 0;
#define X(name)                                                                   \
    memcpy(&api->name, &table->functions[position], sizeof api->name);            \
    api->has[FN_##name] = table->functions[position++] != NULL;
    SUPPORT_LIBRARY_FUNCTIONS(X)
#undef X
    api->path_of = symbol;
    return true;
}

static void load_symbols(struct api* api) {
#define X(name, level, result, parameters)                         \
    {                                                              \
        void* symbol = dlsym(api->library, #name);                 \
        memcpy(&api->name, &symbol, sizeof symbol);                \
        api->has[FN_##name] = symbol != NULL;                      \
    }
    NNAPI_FUNCTIONS(X)
#undef X
    api->path_of = dlsym(api->library, "ANeuralNetworksModel_create");
}

/* Level 1 is the least a library must have to run anything; a support library compiles for a
 * chosen device and waits for an event only after dependencies. */
static bool complete(const struct api* api, bool support_library, char* error, size_t error_size) {
#define X(name, level, result, parameters)                                                    \
    if (level == 1 && !api->has[FN_##name] &&                                                 \
        !(support_library && (FN_##name == FN_ANeuralNetworksCompilation_create ||            \
                              FN_##name == FN_ANeuralNetworksExecution_startCompute))) {      \
        snprintf(error, error_size, "%s is not an NNAPI library: it %s %s", api->path,        \
                 support_library ? "leaves out" : "does not export", #name);                  \
        return false;                                                                         \
    }
    NNAPI_FUNCTIONS(X)
#undef X
    return true;
}

/* Takes the first that loads; otherwise tells why each of them does not. */
static bool load_one_of(struct api* api, const char* const* paths, char* error,
                        size_t error_size) {
    size_t used = 0;
    for (; *paths != NULL; paths++) {
        api->path = *paths;
        api->library = dlopen(*paths, RTLD_NOW | RTLD_LOCAL);
        if (api->library != NULL) return true;
        const char* reason = dlerror();
        int n = snprintf(error + used, error_size - used, "%s %s: %s",
                         used == 0 ? "cannot load" : "; nor", *paths,
                         reason != NULL ? reason : "no reason given");
        used += n > 0 ? (size_t)n : 0;
        if (used >= error_size) used = error_size - 1;
    }
    return false;
}

uint32_t api_load(struct api* api, const char* const* paths, bool support_library, char* error,
                  size_t error_size) {
    memset(api, 0, sizeof *api);
    if (!load_one_of(api, paths, error, error_size)) return ERROR_UNLOADABLE;
    if (support_library) {
        if (!load_table(api, error, error_size)) return ERROR_LIBRARY;
    } else {
        load_symbols(api);
    }
    if (!complete(api, support_library, error, error_size)) return ERROR_FOREIGN;
    Dl_info info;
    if (api->path_of != NULL && dladdr(api->path_of, &info) != 0 && info.dli_fname != NULL)
        api->path = info.dli_fname;
    return 0;
}
