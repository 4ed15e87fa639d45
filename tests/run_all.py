#!/usr/bin/python3
"""Run the steps of the test suite one after the other and close with one line: N passed, N failed[, N skipped].

    tests/run_all.py [--limit S] STEP...

A step is KIND[@LABEL]=WHAT:
    unit=DIR[:S]              every program DIR/**/test_* (cmocka), several at once; S: seconds for one program, 120
    pytest=BUILD:S:WHAT[,..]  pytest with MW_BIN=BUILD/bin and MW_BENCH=BUILD/bench; WHAT: a path or an option of pytest,
                              or NAME=VALUE for its environment; S: seconds for all of it
    fuzz=BUILD:HOW[:S]        tests/fuzz/run.sh on all targets in BUILD/fuzz; HOW: replay, N (seconds each), /N (together)
    run=S:COMMAND             a shell command that passes or fails as one test
A label, as in unit@asan=build/asan/unit, names the step in the output and in the table at the end.

Steps go on after a failure. A step that outlives its seconds is ended with all it started in its session and counts as
failed; so does one that ends badly without saying which test failed, and one that ran nothing. Environment:
MW_SLOW=N multiplies every time limit, here and in the end-to-end tests (default 1; for slow machines).
"""

import argparse
import concurrent.futures
import glob
import os
import re
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SLOW = float(os.environ.get("MW_SLOW", "1"))
UNIT_S, FUZZ_S = 120, 600
WHY_HEAD, WHY_TAIL, WHY_COLUMNS = 2, 6, 240  # how much of a failure's reason stands in the list at the end
END_WAIT_S = 10  # between SIGTERM and SIGKILL
UNIT_AT_ONCE = 2 * (os.cpu_count() or 1)  # half of their time they wait
given_up = threading.Event()  # ends what runs beside the main thread


class Count:
    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped
        self.names = []  # of what failed, with what was said of it

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.names += other.names

    def fail(self, name, *why):
        self.failed += 1
        self.names.append("\n".join([name, *(f"    {line[:WHY_COLUMNS]}" for line in why)]))

    def __str__(self):
        text = f"{self.passed} passed, {self.failed} failed"
        return text + (f", {self.skipped} skipped" if self.skipped else "")


def say(text):
    print(text, flush=True)


def end(process):
    """End the process and its session, gently first."""
    for signum, wait in ((signal.SIGTERM, END_WAIT_S), (signal.SIGKILL, END_WAIT_S)):
        try:
            os.killpg(process.pid, signum)
        except ProcessLookupError:
            return
        try:
            process.wait(wait)
        except subprocess.TimeoutExpired:
            continue
        # The leader is gone; what it left behind in its group goes too.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return


def run(argv, seconds, quiet=False, env=None, shell=False):
    """Run argv; its output goes through at once unless quiet. Returns (exit code, None when out of time; output)."""
    process = subprocess.Popen(argv, cwd=ROOT, shell=shell, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True, env={**os.environ, **(env or {})})
    until = time.monotonic() + seconds * SLOW
    output, late = [], False
    try:
        with selectors.DefaultSelector() as waiting:
            waiting.register(process.stdout, selectors.EVENT_READ)
            # A grandchild may hold the pipe open after the end of the process itself: look at both.
            while True:
                left = until - time.monotonic()
                if left <= 0 or given_up.is_set():
                    late = True
                    break
                if waiting.select(min(left, 1.0)):
                    data = os.read(process.stdout.fileno(), 65536)
                    if not data:
                        break
                    output.append(data)
                    if not quiet:
                        sys.stdout.buffer.write(data)
                        sys.stdout.buffer.flush()
                elif process.poll() is not None:
                    break
        if not late:
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                late = True
    finally:
        end(process)
        process.stdout.close()
    return (None if late else process.returncode), b"".join(output).decode("utf-8", "replace")


def ended(code):
    if code is None:
        return "out of time"
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    return f"exit code {code}"


def executables(pattern):
    """Programs by that pattern, not their .d files and the like."""
    return sorted(p for p in glob.glob(pattern, recursive=True) if os.path.isfile(p) and os.access(p, os.X_OK))


def seconds_of(text, default):
    return float(text) if text else default


# ---- unit: cmocka programs

def unit_program(path, label, seconds):
    """(its count, what there is to say about it)"""
    code, output = run([path], seconds, quiet=True, env={"CMOCKA_MESSAGE_OUTPUT": "stdout"})
    count = Count()
    count.passed = sum(map(int, re.findall(r"^\[  PASSED  \] (\d+) test", output, re.M)))
    count.skipped = sum(map(int, re.findall(r"^\[  SKIPPED \] (\d+) test", output, re.M)))
    # cmocka names each failed or broken test twice, once more in the list at the end.
    for name in dict.fromkeys(re.findall(r"^\[  (?:FAILED|ERROR )\s*\] ([A-Za-z_]\w*)", output, re.M)):
        count.fail(f"{label} {os.path.basename(path)}: {name}")
    if code != 0 and not count.failed:
        count.fail(f"{label} {os.path.basename(path)}: {ended(code)}")
    elif code == 0 and not count.passed and not count.skipped:
        count.fail(f"{label} {os.path.basename(path)}: ran no test")
    told = f"{label}: {os.path.basename(path)}: {count}"
    return count, f"{output.rstrip()}\n{told}" if count.failed else told


def step_unit(what, label):
    folder, _, seconds = what.partition(":")
    programs = executables(f"{folder}/**/test_*")
    total = Count()
    with concurrent.futures.ThreadPoolExecutor(UNIT_AT_ONCE) as pool:
        runs = [pool.submit(unit_program, path, label, seconds_of(seconds, UNIT_S)) for path in programs]
        try:
            for done in runs:  # told in the order of their names
                count, told = done.result()
                say(told)
                total.add(count)
        except BaseException:
            given_up.set()
            pool.shutdown(cancel_futures=True)
            raise
    if not programs:
        total.fail(f"{label}: no test programs in {folder}")
    return total


# ---- pytest

def why_it_failed(case):
    """The first and the last lines of each reason: a long log may be cut before its end is seen."""
    why = []
    for reason in (*case.findall("failure"), *case.findall("error")):
        lines = [line.rstrip() for line in reason.get("message", "").splitlines() if line.strip()]
        if len(lines) > WHY_HEAD + WHY_TAIL:
            lines[WHY_HEAD:-WHY_TAIL] = ["[...]"]
        why += lines
    return why


def junit_count(path, label):
    count, failed = Count(), set()
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = f"{label} {case.get('classname', '')}::{case.get('name', '')}"
        why = why_it_failed(case)
        if case.find("failure") is not None or case.find("error") is not None:
            # A test whose teardown fails, too, has two entries.
            if name not in failed:
                failed.add(name)
                count.fail(name, *why)
            else:
                count.names[-1] += "".join(f"\n    {line[:WHY_COLUMNS]}" for line in why)
        elif case.find("skipped") is not None:
            count.skipped += 1
        else:
            count.passed += 1
    return count


def step_pytest(what, label):
    build, seconds, words = what.split(":", 2)
    words = words.split(",")
    settings = [word for word in words if re.match(r"[A-Z_]+=", word)]
    env = {"MW_BIN": os.path.join(ROOT, build, "bin"), "MW_BENCH": os.path.join(ROOT, build, "bench"),
           "PYTHONDONTWRITEBYTECODE": "1", **dict(word.split("=", 1) for word in settings)}
    with tempfile.TemporaryDirectory(prefix="mailweir-tests-") as folder:
        report = os.path.join(folder, "junit.xml")
        code, _ = run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rsfE", "--color=no",
                       f"--junitxml={report}", *(word for word in words if word not in settings)], float(seconds), env=env)
        count = junit_count(report, label) if os.path.exists(report) else Count()
    if code != 0 and not count.failed:
        count.fail(f"{label}: pytest: {ended(code)}")
    elif not (count.passed or count.skipped or count.failed):
        count.fail(f"{label}: ran no test")
    return count


# ---- fuzz

def step_fuzz(what, label):
    build, how, seconds = (what.split(":", 2) + [""])[:3]
    targets = [os.path.basename(path) for path in executables(f"{build}/fuzz/fuzz_*")]
    count = Count()
    if not targets:
        count.fail(f"{label}: no targets in {build}/fuzz")
        return count
    code, output = run(["tests/fuzz/run.sh", build, how, *targets], seconds_of(seconds, FUZZ_S))
    count.passed = len(re.findall(r"^fuzz: \S+: ok\b", output, re.M))
    for name in re.findall(r"^fuzz: (\S+): FAILED\b", output, re.M):
        count.fail(f"{label}: {name}")
    if code != 0 and not count.failed:
        count.fail(f"{label}: {ended(code)}")
    return count


# ---- any command

def step_run(what, label):
    seconds, command = what.split(":", 1)
    code, _ = run(command, float(seconds), shell=True)
    count = Count()
    if code == 0:
        count.passed = 1
    else:
        count.fail(f"{label}: {ended(code)}")
    return count


KINDS = {"unit": step_unit, "pytest": step_pytest, "fuzz": step_fuzz, "run": step_run}


def parse_step(text):
    head, equals, what = text.partition("=")
    kind, _, label = head.partition("@")
    if not equals or kind not in KINDS:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(KINDS)}=...")
    return kind, f"{kind}@{label}" if label else kind, what


def run_step(kind, label, what):
    say(f"==== {label}: {what}")
    try:
        return KINDS[kind](what, label)
    except (OSError, ValueError, ElementTree.ParseError) as error:
        count = Count()
        count.fail(f"{label}: {error}")
        say(f"{label}: {error}")
        return count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="+", type=parse_step, metavar="STEP")
    parser.add_argument("--limit", type=float, default=7200, help="seconds for all steps; the rest then counts as failed")
    arguments = parser.parse_args()
    until = time.monotonic() + arguments.limit * SLOW
    total, table, stopped = Count(), [], None

    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.default_int_handler)
    os.chdir(ROOT)
    for kind, label, what in arguments.steps:
        began = time.monotonic()
        if stopped is None and began > until:
            stopped = "no time left"
        if stopped is None:
            try:
                count = run_step(kind, label, what)
            except KeyboardInterrupt:
                stopped = "interrupted"
        if stopped is not None:
            count = Count()
            count.fail(f"{label}: {stopped}")
        table.append(f"  {label:<20} {time.monotonic() - began:7.1f} s  {count}")
        total.add(count)

    say("==== steps")
    for line in table:
        say(line)
    for name in total.names:
        say(f"FAILED {name}")
    say(str(total))
    return 0 if total.passed and not total.failed else 1


if __name__ == "__main__":
    sys.exit(main())
