#!/bin/sh
# What metrics cost, in instructions: a replay without them, with them, and with the counters of system calls and rules.
# usage: metrics.sh PEREGRINE CONFIG CAPTURE RULES
# CONFIG needs outputs only. Sums differ by up to half a per cent with the place of tables in memory; callgrind_annotate on the
# files that stay in the working directory shows where they differ.
set -eu
program=$1 config=$2 capture=$3 rules=$4
count() {
    name=$1
    shift
    valgrind --tool=callgrind --callgrind-out-file="callgrind.$name" "$program" -c "$config" -r "$rules" \
        -o engine.kind=replay -o engine.replay.capture_file="$capture" "$@" 2>&1 >/dev/null |
        sed -n "s/.*Collected : /$name /p"
}
on="-o metrics.enabled=true -o metrics.output_file=/dev/null"
count off
# shellcheck disable=SC2086 # these are several words
{
    count on $on -o metrics.interval=1h
    count costs $on -o metrics.interval=1h -o metrics.syscalls_counters_enabled=true
    count snapshots $on -o metrics.interval=100ms
}
