/* nnapi-runner: reads batches of cases, runs them on an NNAPI driver, writes what happened.
 *
 * Both streams are made of frames (docs/wire-format.md). Messages for people go to stderr. */
#include "supervisor.h"
#include "wire.h"

static const char usage[] =
        "usage: nnapi-runner --library PATH... [--device NAME] [--serve] [--isolate]\n"
        "                    [--list-devices] [--memory-limit MB] [--load-deadline MS]\n"
        "                    [--cache-dir FOLDER] [--support-library]\n"
        "                    [--journal FILE [--resume INDEX]]\n"
        "Reads a batch of cases (with --serve: batches, until the end) from standard input and\n"
        "writes results to standard output, both in the kit's wire format.\n";

static int complain(const char* what, const char* about) {
    char text[512];
    /* The reason comes last: of a device's words, the last line is what is passed on. */
    int n = snprintf(text, sizeof text, "nnapi-runner: %s%s\n", what, about);
    ssize_t ignored = write(2, usage, sizeof usage - 1);
    if (n > 0) ignored = write(2, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
    (void)ignored;
    return STATUS_USAGE;
}

static bool number(const char* text, uint32_t* out) {
    char* end;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != 0 || value > 0x7fffffff) return false;
    *out = (uint32_t)value;
    return true;
}

int main(int argc, char** argv) {
    struct options options = {.device = "", .load_deadline_ms = 60000};
    int libraries = 0;
    for (int i = 1; i < argc; i++) {
        const char* name = argv[i];
        if (strcmp(name, "--serve") == 0) {
            options.serve = true;
        } else if (strcmp(name, "--isolate") == 0) {
            options.isolate = true;
        } else if (strcmp(name, "--support-library") == 0) {
            options.support_library = true;
        } else if (strcmp(name, "--list-devices") == 0) {
            options.list_devices = true;
        } else if (strcmp(name, "--library") == 0 && libraries == MAX_LIBRARIES) {
            return complain("too many libraries: ", argv[i + 1 < argc ? i + 1 : i]);
        } else {
            const char** text = strcmp(name, "--library") == 0     ? &options.library[libraries]
                                : strcmp(name, "--device") == 0    ? &options.device
                                : strcmp(name, "--cache-dir") == 0 ? &options.cache_dir
                                : strcmp(name, "--journal") == 0   ? &options.journal
                                                                   : NULL;
            uint32_t* value = strcmp(name, "--memory-limit") == 0    ? &options.memory_limit_mb
                              : strcmp(name, "--load-deadline") == 0 ? &options.load_deadline_ms
                              : strcmp(name, "--resume") == 0        ? &options.resume_from
                                                                     : NULL;
            if (text == NULL && value == NULL) return complain("unknown option ", name);
            if (i + 1 == argc) return complain("no value for option ", name);
            i++;
            if (text != NULL) *text = argv[i];
            if (options.library[libraries] != NULL) libraries++;
            options.resume = options.resume || value == &options.resume_from;
            if (value != NULL && !number(argv[i], value))
                return complain("not a number: ", argv[i]);
        }
    }
    if (libraries == 0) return complain("--library PATH is missing", "");
    if (strlen(options.device) > 255) return complain("a device name is too long", "");
    /* Results leave by a descriptor of our own: whoever prints to standard output, a library that
     * is loaded into this process included, prints to standard error. */
    int out = fcntl(1, F_DUPFD_CLOEXEC, 3);
    if (out < 0) return complain("standard output is closed", "");
    dup2(2, 1);
    return supervise(&options, 0, out);
}
