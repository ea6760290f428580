/* nnapi-runner: reads batches of cases, runs them on an NNAPI driver, writes what happened.
 *
 * Both streams are made of frames (docs/wire-format.md). Messages for people go to stderr. */
#include "supervisor.h"

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

/* An option without a value; false where `name` is none. */
static bool read_switch(struct options* options, const char* name) {
    const struct {
        const char* name;
        bool* set;
    } switches[] = {
            {"--serve", &options->serve},
            {"--isolate", &options->isolate},
            {"--support-library", &options->support_library},
            {"--list-devices", &options->list_devices},
    };
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++)
        if (strcmp(name, switches[i].name) == 0) return *switches[i].set = true;
    return false;
}

/* The text or the number that an option is for; both NULL where `name` is none. */
struct target {
    const char** text;
    uint32_t* value;
};

static struct target find_target(struct options* options, const char* name,
                                 const char** next_library) {
    const struct {
        const char* name;
        struct target target;
    } targets[] = {
            {"--library", {next_library, NULL}},
            {"--device", {&options->device, NULL}},
            {"--cache-dir", {&options->cache_dir, NULL}},
            {"--journal", {&options->journal, NULL}},
            {"--memory-limit", {NULL, &options->memory_limit_mb}},
            {"--load-deadline", {NULL, &options->load_deadline_ms}},
            {"--resume", {NULL, &options->resume_from}},
    };
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
        if (strcmp(name, targets[i].name) == 0) return targets[i].target;
    return (struct target){NULL, NULL};
}

/* STATUS_DONE, or what to exit with after a complaint. */
static int read_options(struct options* options, int argc, char** argv) {
    int libraries = 0;
    for (int i = 1; i < argc; i++) {
        const char* name = argv[i];
        if (read_switch(options, name)) continue;
        if (strcmp(name, "--library") == 0 && libraries == MAX_LIBRARIES)
            return complain("too many libraries: ", argv[i + 1 < argc ? i + 1 : i]);
        struct target target = find_target(options, name, &options->library[libraries]);
        if (target.text == NULL && target.value == NULL) return complain("unknown option ", name);
        if (++i == argc) return complain("no value for option ", name);
        if (target.text != NULL) *target.text = argv[i];
        if (target.value != NULL && !number(argv[i], target.value))
            return complain("not a number: ", argv[i]);
        if (options->library[libraries] != NULL) libraries++;
        if (target.value == &options->resume_from) options->resume = true;
    }
    if (libraries == 0) return complain("--library PATH is missing", "");
    if (strlen(options->device) > 255) return complain("a device name is too long", "");
    return STATUS_DONE;
}

int main(int argc, char** argv) {
    struct options options = {.device = "", .load_deadline_ms = 60000};
    int status = read_options(&options, argc, argv);
    if (status != STATUS_DONE) return status;
    /* Results leave by a descriptor of our own: whoever prints to standard output, a library that
     * is loaded into this process included, prints to standard error. */
    int out = fcntl(1, F_DUPFD_CLOEXEC, 3);
    if (out < 0) return complain("standard output is closed", "");
    dup2(2, 1);
    return supervise(&options, 0, out);
}
