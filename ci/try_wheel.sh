#!/usr/bin/env bash
# Build the source distribution and, from it, the wheel; install that into an empty environment
# without torch, and use it in an empty folder. Usage: ci/try_wheel.sh [PYTHON [MORE_PYTHONS...]]
# The first interpreter must have the extra [dev] (it runs `python -m build`).
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
builder=${1:-$root/.venv/bin/python}
shift || true
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

step() { printf '\n-- wheel: %s\n' "$*"; }

step "sdist and wheel"
export PIP_CONSTRAINT="$root/ci/constraints.txt" PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_QUIET=1
"$builder" -m build --outdir "$work/dist" "$root" >"$work/build.log" 2>&1 ||
    { tail -50 "$work/build.log"; exit 1; }
ls -l "$work/dist"

for python in "$builder" "$@"; do
    step "an empty environment: $("$python" --version)"
    rm -rf "$work/venv" "$work/empty"
    "$python" -m venv "$work/venv"
    "$work/venv/bin/python" -m pip install "$work"/dist/*.whl
    mkdir "$work/empty"
    cd "$work/empty"
    bin="$work/venv/bin"

    for extra in torch adbutils docker requests PIL onnx flatbuffers; do
        if "$bin/python" -c "import $extra" 2>/dev/null; then
            echo "$extra came along with the core dependencies" >&2
            exit 1
        fi
    done
    site=$("$bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    # What pip brings into every environment, and the byte code that Python writes, are not ours.
    size=$(du -cb --exclude=__pycache__ --exclude='pip*' --exclude='setuptools*' \
        --exclude='pkg_resources*' --exclude='_distutils_hack*' "$site" | tail -1 | cut -f1)
    echo "a base install: $((size / 1000000)) MB"
    if [ "$size" -ge 100000000 ]; then
        echo "a base install is promised to be under 100 MB" >&2
        exit 1
    fi
    for generic in op_tests golden tests emulator data ci; do
        if [ -e "$site/$generic" ]; then
            echo "the wheel installs a generic top-level name: $generic" >&2
            exit 1
        fi
    done
    "$bin/nnapi-testkit" where
    # The runners for Android came along: nobody has to compile them.
    "$bin/python" -c 'from nnapi_testkit import android, paths
for abi in android.ABIS.values():
    path = paths.android_runner(abi.name)
    wrong = android.complaints(android.read_elf(path), abi, android.read_elf(path).undefined)
    assert "_native" in path.parts and not wrong, (path, wrong)
    print(abi.name, path.stat().st_size, "bytes")'
    "$bin/nnapi-testkit" devices
    "$bin/nnapi-testkit" run --nnapi-oracle golden --report report
    for file in results.jsonl summary.json junit.xml index.html; do
        [ -s "report/$file" ] || { echo "the run left no $file" >&2; exit 1; }
    done
    # The same cases by pytest, still without torch and with nothing of ours in the folder.
    "$bin/python" -m pytest -q --nnapi-suite --nnapi-target host --nnapi-oracle golden -k 'ADD or CONV_2D'
    cd "$root"
done
