#!/usr/bin/env bash
# Driver and runner under sanitizers: the stress program, planted defects, the whole suite, and
# (address) the driver's tests.
#
#   ci/sanitize.sh [thread] [address]     default: both; PYTHON and BUILD choose others
#
# gcc: its runtimes are shared libraries, which Python can load before the driver.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
python=${PYTHON:-.venv/bin/python}
build=${BUILD:-build}
[ $# -gt 0 ] || set -- thread address

compile() { # FOLDER SANITIZERS
    cmake -S emulator -B "$1" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_C_COMPILER=gcc \
        -DCMAKE_CXX_COMPILER=g++ -DNNAPI_TESTKIT_SANITIZE="$2" >/dev/null
    cmake --build "$1" --parallel 2 --target neuralnetworks nnapi-stress nnapi-runner
}

planted() { # FOLDER DEFECT WORDS: the sanitizer reports the defect
    local said
    if said=$("$1/driver/stress/nnapi-stress" --plant "$2" 2>&1); then
        echo "the planted $2 went unnoticed" >&2
        return 1
    fi
    grep -q "$3" <<<"$said" || { echo "$said" >&2; return 1; }
    echo "the planted $2 is reported"
}

suite() { # FOLDER LOG: every case passes, and nothing is reported
    NNAPI_TESTKIT_RUNNER=$1/runner/nnapi-runner \
        TSAN_OPTIONS=log_path=$2 ASAN_OPTIONS=detect_leaks=1:log_path=$2 \
        UBSAN_OPTIONS=print_stacktrace=1:log_path=$2 \
        "$python" -c 'import sys; from nnapi_testkit.cli import main; sys.exit(main())' \
        run --target "lib:$1/libneuralnetworks.so" --oracle golden --profile strict --jobs 2
    if ls "$2".* >/dev/null 2>&1; then
        cat "$2".* >&2
        return 1
    fi
}

for sanitizer in "$@"; do
    folder=$build/sanitize-$sanitizer
    cache=$(mktemp -d)
    trap 'rm -rf "$cache"' EXIT
    case $sanitizer in
    thread)
        compile "$folder" thread
        "$folder/driver/stress/nnapi-stress" --threads 6 --rounds 400 --cache "$cache"
        planted "$folder" race "ThreadSanitizer: data race"
        suite "$folder" "$cache/suite"
        ;;
    address)
        compile "$folder" address,undefined
        export ASAN_OPTIONS=detect_leaks=1
        "$folder/driver/stress/nnapi-stress" --threads 6 --rounds 400 --cache "$cache"
        planted "$folder" leak "LeakSanitizer: detected memory leaks"
        suite "$folder" "$cache/suite"
        # Python itself keeps memory until it ends: reports count if they name the driver. The
        # process must not end with the leak checker's code, which would hide that of pytest.
        log=$cache/log
        ASAN_OPTIONS=detect_leaks=1:exitcode=0:log_path=$log:allocator_may_return_null=1 \
            UBSAN_OPTIONS=log_path=$log:print_stacktrace=1 PYTHONMALLOC=malloc \
            LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" \
            NNAPI_TESTKIT_DRIVER=$folder/libneuralnetworks.so \
            "$python" -m pytest tests/driver tests/api/test_lifecycle.py -q -p no:cacheprovider |
            tee "$cache/pytest"
        grep -q "^[0-9]* passed" "$cache/pytest"
        if grep -lE "emulator/driver|runtime error|ERROR: AddressSanitizer" "$log".*; then
            cat "$log".* >&2
            exit 1
        fi
        echo "no report names the driver"
        ;;
    *)
        echo "unknown sanitizer $sanitizer: write thread or address" >&2
        exit 2
        ;;
    esac
done
