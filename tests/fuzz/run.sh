#!/bin/sh
# Run fuzz targets, one on each core at a time: run.sh BUILD HOW TARGET...
# HOW: a number of seconds each, /SECONDS for all together, or replay. Exit code: 0, or 1 when a target ended badly.
set -u

build=$1
how=$2
shift 2
cores=$(nproc)
case $how in
/*) seconds=$((${how#/} * cores / ($# > 0 ? $# : 1))); [ "$seconds" -gt 0 ] || seconds=1 ;;
replay) seconds= ;;
*) seconds=$how ;;
esac

# What the runtime of the sanitizers tells goes to the log; halt at the first finding.
# A refusal of memory is what a cage meets at its limit: no finding.
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1:allocator_may_return_null=1:max_allocation_size_mb=1536:abort_on_error=0}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"
mkdir -p "$build/fuzz-crash"

run_target() { # NAME: the target's output goes to NAME.log and, when it ended badly, its end to us
	name=${1#fuzz_}
	seeds=tests/fuzz/corpus/$name
	grown=$build/fuzz-corpus/$name
	log=$build/fuzz-crash/$name.log
	mkdir -p "$grown"
	[ -d "$seeds" ] || { echo "fuzz: $name: no corpus in $seeds" >&2; return 1; }
	if [ -z "$seconds" ]; then
		set -- -runs=0 "$seeds"
	else
		set -- "-max_total_time=$seconds" "$grown" "$seeds"
		[ -f "tests/fuzz/dict/$name.dict" ] && set -- "-dict=tests/fuzz/dict/$name.dict" "$@"
	fi
	if "$build/fuzz/fuzz_$name" -timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=65536 -print_final_stats=1 \
		"-artifact_prefix=$build/fuzz-crash/$name-" "$@" >"$log" 2>&1; then
		echo "fuzz: $name: ok, $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs," \
			"$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1) edges"
	else
		tail -n 60 "$log"
		echo "fuzz: $name: FAILED, see $log"
		return 1
	fi
}

if [ $# -eq 1 ]; then
	run_target "$1"
	exit
fi
# Itself for each. The exit code of xargs: 0, or 123 when one of them was not.
if printf '%s\n' "$@" | xargs -P "$cores" -n 1 "$0" "$build" "${seconds:-replay}"; then
	echo "fuzz: $# targets, none failed"
else
	echo "fuzz: $# targets, some failed"
	exit 1
fi
