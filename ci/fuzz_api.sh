#!/usr/bin/env bash
# Random call sequences against the driver's C API, under address and undefined-behaviour
# sanitizers: ci/fuzz_api.sh [CALLS [SEED [BUILD FOLDER]]]. Fails on a crash, on a broken promise,
# and where less than 80 % of the API layer's lines were reached.
set -euo pipefail
calls=${1:-5000000} seed=${2:-1} folder=${3:-build/api-fuzz}
root=$(cd "$(dirname "$0")/.." && pwd)
cmake -S "$root/emulator/driver/fuzz" -B "$folder" -DCOVERAGE=ON -DCMAKE_CXX_COMPILER=g++ >/dev/null
cmake --build "$folder" -j2
cd "$folder"
find . -name '*.gcda' -delete
./api-fuzz "$calls" "$seed" "$root"/emulator/driver/fuzz/corpus/*.bin
find . -path '*api_layer*' -name '*.gcda' -exec gcov -n {} + 2>/dev/null |
    awk -v least=80 '
        /^File / { wanted = $0 ~ /emulator\/driver\/[a-z_]*\.cpp/ }
        /^Lines executed/ && wanted {
            split($2, part, /[:%]/); lines += $4; reached += part[2] * $4 / 100; wanted = 0
        }
        END {
            if (lines == 0) { print "no line was counted"; exit 1 }
            percent = 100 * reached / lines
            printf "%.1f %% of %d lines of the API layer, at least %d %%\n", percent, lines, least
            exit percent < least
        }'
