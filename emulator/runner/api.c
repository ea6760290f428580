#include "api.h"

const char* const function_names[FN_COUNT + 1] = {
#define X(name, level, result, parameters) #name,
        NNAPI_FUNCTIONS(X)
#undef X
        "",
};

bool api_load(struct api* api, const char* path, char* error, size_t error_size) {
    memset(api, 0, sizeof *api);
    api->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (api->library == NULL) {
        const char* reason = dlerror();
        snprintf(error, error_size, "cannot load %s: %s", path,
                 reason != NULL ? reason : "no reason given");
        return false;
    }
#define X(name, level, result, parameters)                         \
    {                                                              \
        void* symbol = dlsym(api->library, #name);                 \
        memcpy(&api->name, &symbol, sizeof symbol);                \
        api->has[FN_##name] = symbol != NULL;                      \
    }
    NNAPI_FUNCTIONS(X)
#undef X
    /* Level 1 is the least a library must have to run anything. */
#define X(name, level, result, parameters)                                                    \
    if (level == 1 && !api->has[FN_##name]) {                                                 \
        snprintf(error, error_size,                                                           \
                 "%s is not an NNAPI library: it does not export %s", path, #name);           \
        return false;                                                                         \
    }
    NNAPI_FUNCTIONS(X)
#undef X
    api->path = path;
    Dl_info info;
    void* symbol = dlsym(api->library, "ANeuralNetworksModel_create");
    if (symbol != NULL && dladdr(symbol, &info) != 0 && info.dli_fname != NULL)
        api->path = info.dli_fname;
    return true;
}
