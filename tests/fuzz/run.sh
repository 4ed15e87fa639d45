#!/bin/sh
# Run fuzz targets one after the other: run.sh BUILD HOW TARGET...
# HOW: a number of seconds each, /SECONDS for all together, or replay. Exit code: 0, or 1 when a target ended badly.
set -u

build=$1
how=$2
shift 2
case $how in
/*) seconds=$((${how#/} / ($# > 0 ? $# : 1))); [ "$seconds" -gt 0 ] || seconds=1 ;;
replay) seconds= ;;
*) seconds=$how ;;
esac

# What the runtime of the sanitizers tells goes to the log; halt at the first finding.
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1:allocator_may_return_null=1:abort_on_error=0}"
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
	if "$build/fuzz/fuzz_$name" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
		"-artifact_prefix=$build/fuzz-crash/$name-" "$@" >"$log" 2>&1; then
		echo "fuzz: $name: ok, $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs," \
			"$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1) edges"
	else
		tail -n 60 "$log"
		echo "fuzz: $name: FAILED, see $log"
		return 1
	fi
}

failed=0
for target; do
	run_target "$target" || failed=$((failed + 1))
done
echo "fuzz: $# targets, $failed failed"
[ "$failed" -eq 0 ]
