#!/usr/bin/env bash
# Random call sequences against the driver's C API, under address and undefined-behaviour
# sanitizers: ci/fuzz_api.sh [CALLS [SEED [BUILD FOLDER]]]. Fails on a crash, on a broken promise,
# where a function is never called or never succeeds, and where less than 80 % of the lines of the
# API layer, or of one of its files, were reached.
set -euo pipefail
calls=${1:-5000000} seed=${2:-1} folder=${3:-build/api-fuzz}
root=$(cd "$(dirname "$0")/.." && pwd)
cmake -S "$root/emulator/driver/fuzz" -B "$folder" -DCOVERAGE=ON -DCMAKE_CXX_COMPILER=g++ >/dev/null
cmake --build "$folder" -j2
cd "$folder"
find . -name '*.gcda' -delete
# The driver's log is written as well; its end is kept, where a crash has its report.
NNAPI_TESTKIT_LOG=1 ./api-fuzz "$calls" "$seed" "$root"/emulator/driver/fuzz/corpus/*.bin \
    2> >(tail -c 20000 >log.txt) | tee calls.txt || { sleep 1; cat log.txt >&2; exit 1; }

# There is no AHardwareBuffer here and no extension: these functions always refuse.
refuse="Memory_createFromAHardwareBuffer Model_getExtensionOperandType
    Model_getExtensionOperationType Model_setOperandExtensionData"
sed -n 's/^  "ANeuralNetworks\([A-Za-z_]*\)": {$/\1/p' "$root/nnapi.json" >functions.txt
[ "$(wc -l <functions.txt)" -ge 67 ]
awk -v refuse="$refuse" '
    FNR == NR { calls[$3] = $1; successes[$3] = $2; next }
    !calls[$1] { print $1 " was never called"; bad = 1; next }
    !successes[$1] && index(refuse, $1) == 0 { print $1 " never succeeded"; bad = 1 }
    END { exit bad }' calls.txt functions.txt

find . -path '*api_layer*' -name '*.gcda' -exec gcov -n {} + 2>/dev/null |
    awk -v least=80 '
        /^File / {
            wanted = $0 ~ /emulator\/driver\/[a-z_]*\.cpp/
            file = $2
            gsub(/.*\/|\x27/, "", file)
        }
        /^Lines executed/ && wanted {
            split($2, part, /[:%]/); lines += $4; reached += part[2] * $4 / 100; wanted = 0
            printf "%6.1f %% of %3d lines  %s\n", part[2], $4, file
            if (part[2] < least) low = low " " file
        }
        END {
            if (lines == 0) { print "no line was counted"; exit 1 }
            percent = 100 * reached / lines
            printf "%.1f %% of %d lines of the API layer, at least %d %%\n", percent, lines, least
            if (low != "") print "less of" low
            exit percent < least || low != ""
        }'
