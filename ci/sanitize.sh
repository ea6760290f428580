#!/usr/bin/env bash
# Driver and runner under the thread sanitizer, and under those for addresses, leaks and undefined
# behaviour: threads at work, the suite, random calls, the driver's tests; and planted defects,
# without whose report nothing here would mean anything. There is no suppression file.
#
#   ci/sanitize.sh [--short] [thread] [address]     default: both
#
# --short takes one case of each operation and kind, and the life-cycle tests alone. PYTHON and
# BUILD choose another interpreter and another folder. The last line says "clean", and what was
# caught. gcc: its runtimes are shared libraries, which Python can load before the driver.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
python=${PYTHON:-.venv/bin/python}
build=$(realpath -m "${BUILD:-build}")
rounds=400 flags='-O1 -g1' short='' caught=() clean=()
if [ "${1:-}" = --short ]; then
    short=yes rounds=50 flags='-O0 -g1' # compiling is most of the time then
    shift
fi
[ $# -gt 0 ] || set -- thread address
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
step() { printf '%4d s  %s\n' "$SECONDS" "$*"; }

PATH=$(dirname "$(command -v "$python")"):$PATH # cmake and ninja of the environment
generator=()
! command -v ninja >/dev/null || generator=(-G Ninja)

compile() { # FOLDER SANITIZERS
    cmake -S emulator -B "$1" ${generator[@]+"${generator[@]}"} -DCMAKE_C_COMPILER=gcc \
        -DCMAKE_CXX_COMPILER=g++ -DCMAKE_C_FLAGS="$flags" -DCMAKE_CXX_FLAGS="$flags" \
        -DCMAKE_BUILD_TYPE=None -DNNAPI_TESTKIT_SANITIZE="$2" >/dev/null
    cmake --build "$1" --parallel 2 \
        --target neuralnetworks nnapi-stress nnapi-planted nnapi-runner >"$1.log" ||
        { tail -50 "$1.log" >&2; return 1; }
    step "$2: built"
}

run() { # FOLDER LIBRARY LOG ARGUMENTS: the suite, reports into LOG.*
    NNAPI_TESTKIT_RUNNER=$1/runner/nnapi-runner TSAN_OPTIONS=log_path=$3 \
        ASAN_OPTIONS=detect_leaks=1:log_path=$3 UBSAN_OPTIONS=print_stacktrace=1:log_path=$3 \
        "$python" -c 'import sys; from nnapi_testkit.cli import main; sys.exit(main())' \
        run --target "lib:$2" --oracle golden --profile strict --jobs 2 "${@:4}"
}

planted() { # FOLDER DEFECT WORDS: reported from a program, and from the suite on a bad driver
    local said
    if said=$("$1/driver/stress/nnapi-stress" --plant "$2" 2>&1) || ! grep -q "$3" <<<"$said"; then
        echo "the planted $2 went unnoticed" >&2
        return 1
    fi
    run "$1" "$1/driver/stress/libnnapi-planted.so" "$scratch/planted-$2" FLOOR >/dev/null || true
    if ! grep -qs "$3" "$scratch/planted-$2".*; then
        echo "the suite did not notice the planted $2" >&2
        return 1
    fi
    caught+=("planted $2 caught")
    step "the planted $2 is reported, alone and by the suite"
}

suite() { # FOLDER LOG: every case passes, and nothing is reported
    local cases=()
    if [ -n "$short" ]; then
        mapfile -t cases < <("$python" - <<'EOF'
from nnapi_testkit.cases.index import case_index

first = {(ref.operation, ref.kind): ref.id for ref in reversed(case_index())}
print(*first.values(), sep="\n")
EOF
        )
        [ ${#cases[@]} -gt 300 ] || { # operations times kinds
            echo "${#cases[@]} cases are no selection of the whole suite" >&2
            return 1
        }
    fi
    run "$1" "$1/libneuralnetworks.so" "$2" ${cases[@]+"${cases[@]}"}
    if ls "$2".* >/dev/null 2>&1; then
        cat "$2".* >&2
        return 1
    fi
    step "the suite: no report"
}

stress() { # FOLDER
    local said
    if ! said=$("$1/driver/stress/nnapi-stress" --threads 1 --rounds 1 2>&1); then
        echo "$said" >&2
        ! grep -q "unexpected memory mapping" <<<"$said" ||
            echo "gcc's runtime cannot start: sysctl vm.mmap_rnd_bits=28, or setarch -R" >&2
        return 1
    fi
    "$1/driver/stress/nnapi-stress" --threads 6 --rounds "${rounds}" --cache "$scratch"
}

sequences() { # FOLDER: the kept corpus and some more, on this very driver and for the runner
    local fuzz=$1/fuzz
    mkdir -p "$fuzz"
    { cmake -S emulator/driver/fuzz -B "$fuzz/api" ${generator[@]+"${generator[@]}"} \
        -DCMAKE_CXX_COMPILER=g++ -DDRIVER="$1/libneuralnetworks.so" &&
        cmake --build "$fuzz/api" --parallel 2 &&
        cmake -S emulator/runner/fuzz -B "$fuzz/runner" ${generator[@]+"${generator[@]}"} \
            -DCMAKE_C_COMPILER=gcc && cmake --build "$fuzz/runner" --parallel 2; } >"$fuzz.log" ||
        { tail -50 "$fuzz.log" >&2; return 1; }
    (
        cd "$fuzz"
        api/api-fuzz 150000 3 "$root"/emulator/driver/fuzz/corpus/*.bin | tail -1
        runner/runner-fuzz 100000 3 "$root"/emulator/runner/fuzz/corpus/*.bin | tail -1
    )
    step "random calls and streams: no report"
}

tests() { # FOLDER: the driver's tests, Python loading the sanitizers first
    # Python itself keeps memory until it ends: reports count if they name the driver. The
    # process must not end with the leak checker's code, which would hide that of pytest.
    local log=$scratch/tests which=(tests/driver tests/api/test_lifecycle.py)
    [ -z "$short" ] || which=(tests/api/test_lifecycle.py)
    ASAN_OPTIONS=detect_leaks=1:exitcode=0:log_path=$log:allocator_may_return_null=1 \
        UBSAN_OPTIONS=log_path=$log:print_stacktrace=1 PYTHONMALLOC=malloc \
        LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" \
        NNAPI_TESTKIT_DRIVER=$1/libneuralnetworks.so \
        "$python" -m pytest "${which[@]}" -q -p no:cacheprovider >"$scratch/pytest" ||
        { tail -50 "$scratch/pytest" >&2; return 1; }
    grep "^[0-9]* passed" "$scratch/pytest"
    if grep -lE "emulator/driver|runtime error|ERROR: AddressSanitizer" "$log".*; then
        cat "$log".* >&2
        return 1
    fi
    step "the driver's tests: no report names the driver"
}

for sanitizer in "$@"; do
    folder=$build/sanitize-$sanitizer${short:+-short}
    case $sanitizer in
    thread)
        compile "$folder" thread
        stress "$folder"
        planted "$folder" race "ThreadSanitizer: data race"
        suite "$folder" "$scratch/thread"
        ;;
    address)
        compile "$folder" address,undefined
        export ASAN_OPTIONS=detect_leaks=1
        stress "$folder"
        planted "$folder" leak "LeakSanitizer: detected memory leaks"
        suite "$folder" "$scratch/address"
        sequences "$folder"
        tests "$folder"
        ;;
    *)
        echo "unknown sanitizer $sanitizer: write thread or address" >&2
        exit 2
        ;;
    esac
    clean+=("$sanitizer")
done
printf -v caught_list '%s, ' "${caught[@]}"
echo "clean in $SECONDS s: ${clean[*]}; ${caught_list%, }"
