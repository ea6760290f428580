#!/bin/sh
# Starts the emulator and forwards its adb port to all of the container's addresses. Ends when the
# emulator ends or on TERM; never starts it again: a container that failed is replaced.
#
# EMULATOR_MEMORY (MB), EMULATOR_CORES, EMULATOR_ARGS: for the emulator.
# Exit status: 64 without KVM, 69 without the forwarder, otherwise the emulator's own.
set -u

say() { echo "entrypoint: $*" >&2; }

if [ "${EMULATOR_ACCEL:-on}" = on ] && ! { [ -r /dev/kvm ] && [ -w /dev/kvm ]; }; then
    say "no access to /dev/kvm: start the container with --device /dev/kvm, on a host with KVM"
    exit 64
fi
command -v socat >/dev/null 2>&1 || { say "socat is missing"; exit 69; }

emulator=
forwarder=
finish() {
    trap '' TERM INT
    [ -n "$emulator" ] && kill -TERM "$emulator" 2>/dev/null
    [ -n "$forwarder" ] && kill -TERM "$forwarder" 2>/dev/null
    # An emulator that does not want to go has a moment, and no more.
    for _ in 1 2 3 4 5; do
        kill -0 "$emulator" 2>/dev/null || break
        sleep 1
    done
    kill -KILL "$emulator" 2>/dev/null
    exit 143
}
trap finish TERM INT

# Ports that no adb server on the host looks at by itself; the guest's adbd answers at 5557.
# shellcheck disable=SC2086
emulator @device -ports 5556,5557 -no-window -no-audio -no-boot-anim -no-snapshot -wipe-data \
    -skip-adb-auth -delay-adb -gpu swiftshader_indirect -accel "${EMULATOR_ACCEL:-on}" \
    -memory "${EMULATOR_MEMORY:-3072}" -cores "${EMULATOR_CORES:-2}" ${EMULATOR_ARGS:-} &
emulator=$!
socat TCP-LISTEN:5555,fork,reuseaddr TCP:127.0.0.1:5557 &
forwarder=$!

wait "$emulator"
status=$?
say "the emulator left with status $status"
kill "$forwarder" 2>/dev/null
exit "$status"
