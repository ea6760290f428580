#!/usr/bin/env bash
# alone.sh PYTHON: what failed in `make test` is run once more, one test after the other and nothing
# beside it. Many of these tests play devices that hang or vanish, on two processors that other work
# may hold up for seconds. What fails here too is a failure. What passes is named, so that its race or
# its limit of time gets mended; more than five are no accident and are not tried.
set -euo pipefail
failed=build/tests-cache/v/cache/lastfailed
if [ ! -s "$failed" ]; then
    echo "alone: not the tests failed, but the suite or pytest itself; see above"
    exit 1
fi
names=$("$1" -c 'import json, sys; print("\n".join(json.load(open(sys.argv[1]))))' "$failed")
count=$(printf '%s\n' "$names" | wc -l)
if [ "$count" -gt 5 ]; then
    echo "alone: $count tests failed; that is no accident"
    exit 1
fi
printf '\n== once more, alone: %d tests that failed beside others\n' "$count"
"$1" -m pytest --last-failed --last-failed-no-failures none -o cache_dir=build/tests-cache -v tests
printf 'passed alone only (a race, or a limit of time that is too short: mend it):\n%s\n' "$names"
