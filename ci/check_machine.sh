#!/bin/sh
# Before anything is downloaded: is there what a build needs? One line says what is missing.
# Usage: ci/check_machine.sh PYTHON
set -eu

python=${1:-python3}
hint_cc="install one (Debian, Ubuntu: apt-get install gcc g++; Fedora: dnf install gcc gcc-c++)"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "nnapi-testkit: $*" >&2
    exit 1
}

command -v "$python" >/dev/null 2>&1 ||
    fail "no $python: install Python 3.10 or later, or say make PYTHON=/path/to/python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "$python is $("$python" --version 2>&1), 3.10 or later is needed: make PYTHON=python3.11"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "$python cannot make virtual environments: apt-get install python3-venv"

# The compilers that CMake will find: CC and CXX first, then the usual names.
pick() {
    for name in "$@"; do
        # shellcheck disable=SC2086 # CC may hold a launcher and a compiler
        set -- $name
        if [ $# -gt 0 ] && command -v "$1" >/dev/null 2>&1; then
            echo "$name"
            return
        fi
    done
}
if [ -n "${CC:-}" ]; then cc=$(pick "$CC"); else cc=$(pick cc gcc clang); fi
if [ -n "${CXX:-}" ]; then cxx=$(pick "$CXX"); else cxx=$(pick c++ g++ clang++); fi
[ -n "$cc" ] || fail "no C compiler${CC:+ (CC=$CC)}: $hint_cc"
[ -n "$cxx" ] || fail "no C++20 compiler${CXX:+ (CXX=$CXX)}: $hint_cc"

printf 'int main(void) { return 0; }\n' >"$work/c.c"
printf '#include <span>\nint main() { int a[1] = {0}; return std::span<int>(a)[0]; }\n' >"$work/cc.cpp"
$cc "$work/c.c" -o "$work/c" 2>/dev/null ||
    fail "$cc cannot compile and link a C program: $hint_cc"
$cxx -std=c++20 "$work/cc.cpp" -o "$work/cc" 2>/dev/null ||
    fail "$cxx cannot compile and link C++20 (gcc 10, clang 11 or later can): $hint_cc"
