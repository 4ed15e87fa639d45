"""Acceptance 4: who gets which job, and what becomes of it when a worker dies, hangs, leaves or is not there."""
import os
import signal
import subprocess
import threading
import time

import pytest

import mw
from mwmail import mail


def send_many(suite, count, timeout_s=30, prefix="many"):
    """count mails at once, each over its own connection: [(reply, when it came)], filled in as they come."""
    results = [None] * count

    def one(i):
        try:
            r = suite.send(mail(message_id=f"<{prefix}-{i}@example.com>"), timeout_s=timeout_s)
        except Exception as e:  # pylint: disable=broad-except
            r = e
        results[i] = (r, time.monotonic())
    threads = [threading.Thread(target=one, args=(i,)) for i in range(count)]
    for t in threads:
        t.start()
    return results, threads


def join(threads):
    for t in threads:
        t.join()


def two_scanners(suite):
    suite.sink(store=False)
    suite.start_all(workers=2, services=("scanner",))
    suite.front.wait_log(r" worker_came ", count=2)
    return suite.service("scanner", "1"), suite.service("scanner", "2")


def stop_cages(scanner):
    for pid in mw.children(scanner.pid):
        mw.tell(pid, signal.SIGSTOP)


def test_a_killed_workers_jobs_are_with_another_at_once(suite):
    first, _ = two_scanners(suite)
    stop_cages(first)  # jobs stay with it
    results, threads = send_many(suite, 8)
    # The second answers its share at once; what is left is held by the first.
    mw.until("the second scanner's share", lambda: sum(r is not None for r in results) >= 3, 10)
    mw.until("the rest to be with the first", lambda: sum(r is not None for r in results) < 8, 1)
    first.kill()
    killed = time.monotonic()
    join(threads)
    assert all(r.code == 250 for r, _ in results), results
    moved = max(at for _, at in results) - killed
    print(f"all jobs of the killed worker answered after {moved:.3f} s")
    assert moved < 10 * mw.SLOW
    # Its end was seen; its silence was not waited for.
    left, = suite.front.log_lines("worker_left")
    assert "why=disconnected" in left and "jobs=0" not in left, left


def test_a_stopped_workers_jobs_are_with_another_when_it_has_been_silent(suite):
    first, _ = two_scanners(suite)
    assert [suite.send(mail()).code for _ in range(4)] == [250] * 4  # both connections for jobs are up
    first.signal(signal.SIGSTOP)
    stopped = time.monotonic()
    results, threads = send_many(suite, 8)
    join(threads)
    first.signal(signal.SIGCONT)
    assert all(r.code == 250 for r, _ in results), results
    moved = max(at for _, at in results) - stopped
    print(f"all jobs of the stopped worker answered after {moved:.3f} s")
    assert moved < 10 * mw.SLOW
    suite.front.wait_log(r" worker_left .* why=silent")
    # It comes back and works again.
    suite.front.wait_log(r" worker_came ", count=3)


def test_a_front_that_was_stopped_for_5_s_keeps_its_workers(suite):
    two_scanners(suite)
    assert [suite.send(mail()).code for _ in range(4)] == [250] * 4  # both connections for jobs are up
    suite.front.signal(signal.SIGSTOP)
    time.sleep(5)  # the stall itself
    suite.front.signal(signal.SIGCONT)
    suite.front.wait_log(r" stalled ")
    assert suite.send(mail()).code == 250
    assert suite.front.log_lines("worker_left") == []


def test_nobody_s_end_waits_for_a_front_that_is_gone(suite):
    services = ("status", "logger", "reputation", "dkim")
    suite.full().sink(store=False)
    suite.start_all(services=services[::-1])

    def ends(n):
        """How long each takes when the n-th front was killed under it."""
        front, took = suite.start("smtp-front", f"gone{n}"), {}
        front.wait_log(r" worker_came ", count=2)
        suite.service("logger").wait_log(r" front_met ", count=2 * n)
        suite.service("status").wait_log(r" front_met ", count=2 * n)
        front.kill()
        for service in services:
            begun = time.monotonic()
            assert suite.service(service).stop() == 0
            took[service] = time.monotonic() - begun
        return took
    # Who waits does so for two seconds, and every time. A busy machine holds somebody up now and then.
    for n in (1, 2, 3):
        took = ends(n)
        if max(took.values()) < 1 * mw.SLOW:
            break
        for service in services:
            suite.restart(suite.service(service))
    else:
        pytest.fail(f"who waited for the front that was killed: {took}")


@pytest.mark.deadline(120)
def test_sigterm_to_each_worker_in_turn_fails_no_check(suite):
    suite.full().sink(store=False)
    suite.start_all(workers=2, services=("scanner", "dkim", "reputation", "logger"))
    suite.front.wait_log(r" worker_came ", count=6)
    mails = int(1500 * mw.SLOW)  # a slow machine takes longer for the round
    load = suite.load("--tag", "term", "--rate", "100", "--pipeline", mails=mails, connections=10, wait=False)
    for service in mw.WORKERS:
        for instance in ("1", "2"):
            p = suite.service(service, instance)
            assert p.stop() == 0, p.tail()
            suite.restart(p)
    assert load.running(), "the load outlasts the round"
    result = mw.load_result(load)
    assert result["replies"] == {"250": mails}, result
    records = mw.until("all records", lambda: (r := suite.records()) and len(r) >= mails and r, 20)
    assert suite.front.log_lines("check_failed") == []
    assert len(records) == mails


@pytest.mark.deadline(120)
def test_without_a_scanner_mail_waits_and_is_deferred_until_it_returns(suite):
    suite.set(child_timeout=5)
    suite.sink(store=False)
    suite.start_all(services=())
    begun = time.monotonic()
    r = suite.send(mail(), timeout_s=20)
    waited = time.monotonic() - begun
    assert r.code == 451, r
    assert 3 < waited < 5 + 10 * mw.SLOW
    before = suite.front.rss_kb()
    load = suite.load("--tag", "none", "--retry-for", "90", "--pipeline", "--size", "20000", mails=1000, connections=100, wait=False)
    mw.until("replies of the load's first round", lambda: len(suite.front.log_lines("mail_done")) > 100 or not load.running()
        or time.monotonic() - begun > 20, 30)
    assert suite.sinks[0].count() == 0, "no mail passed unscanned"
    grown = suite.front.rss_kb() - before
    print(f"front grew by {grown} KiB while 100 connections waited")
    assert grown < 30 * 1024 * mw.SLOW  # a sanitised build keeps freed memory for a while
    suite.start("scanner")
    result = mw.load_result(load)
    assert result["taken"] == 1000 and result["refused"] == 0, result
    assert set(result["replies"]) <= {"250", "451", "421"}, result
    assert suite.sinks[0].count() == 1000


def test_a_restarted_front_has_its_workers_back_soon(suite):
    suite.full()
    suite.set(inet_socket_port=[f"127.0.0.1:{mw.free_port()}"])
    suite.sink(store=False)
    suite.start_all(services=("scanner", "dkim", "reputation"))
    assert suite.send(mail()).code == 250
    for how in ("kill", "stop"):
        before = len(suite.front.log_lines("worker_came"))
        getattr(suite.front, how)()
        front = suite.restart(suite.front)
        ready = time.monotonic()
        front.wait_log(r" worker_came ", count=before + 3)
        back = time.monotonic() - ready
        print(f"after {how}: workers back {back:.2f} s after the front was ready")
        assert back < 10 * mw.SLOW
        assert suite.send(mail()).code == 250


def test_new_mail_is_refused_early_when_the_queue_is_full(suite):
    suite.set(checks__queue_limit=5, child_timeout=20)
    suite.sink(store=False)
    suite.start_all(services=())
    results, threads = send_many(suite, 6)
    mw.until("early refusals", lambda: probe(suite) in (421, 451), 10)
    suite.start("scanner")
    join(threads)
    codes = sorted(r.code for r, _ in results)
    assert codes.count(250) >= 5 and set(codes) <= {250, 421, 451}, codes
    mw.until("new mail to be taken again", lambda: suite.send(mail()).code == 250, 10)


def probe(suite):
    """Code that a client meets at MAIL."""
    with suite.smtp() as c:
        r = c.hello()
        return c.cmd("MAIL FROM:<a@example.com>").code if r.code == 250 else r.code


# ------------------------------------------------------------------ a slow link, in a network namespace

class SlowLink:
    """A namespace `name` joined to ours by a pair of interfaces that carry 1 MB/s each way."""

    def __init__(self, name):
        self.name = name
        here, there = f"{name}a", f"{name}b"
        commands = [f"ip netns add {name}", f"ip link add {here} type veth peer name {there} netns {name}",
            f"ip addr add 10.99.7.1/30 dev {here}", f"ip link set {here} up",
            f"ip -n {name} addr add 10.99.7.2/30 dev {there}", f"ip -n {name} link set {there} up", f"ip -n {name} link set lo up",
            f"tc qdisc add dev {here} root tbf rate 8mbit burst 64kb latency 500ms",
            f"tc -n {name} qdisc add dev {there} root tbf rate 8mbit burst 64kb latency 500ms"]
        try:
            for command in commands:
                subprocess.run(command.split(), check=True, capture_output=True, text=True)
        except (subprocess.CalledProcessError, FileNotFoundError) as e:
            self.remove()
            pytest.skip(f"no slow link can be made here: {getattr(e, 'stderr', e)}")

    def remove(self):
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", f"{self.name}a"], check=False, capture_output=True)


@pytest.mark.root
@pytest.mark.deadline(180)
def test_16_mib_arrive_over_a_link_of_1_mb_a_second(suite):
    link = SlowLink(f"mw{os.getpid() % 100000}")
    try:
        port = mw.free_ports(3)
        keys = suite.folder / "keys"
        done = suite.tool("keys", keys)
        assert done.returncode == 0, done.stderr
        suite.set(pipeline__keys=str(keys))
        suite.sink()
        suite.start("smtp-front", conf={"pipeline.listen": f"tcp://10.99.7.1:{port}"})
        suite.start("scanner", conf={"pipeline.front": f"tcp://10.99.7.1:{port}"}, prefix=["nsenter", f"--net=/run/netns/{link.name}"])
        suite.front.wait_log(r" worker_came ")
        octets = mail(b"0123456789abcdef" * 4 + b"\r\n") + b"fedcba9876543210fedcba9876543210fedcba9876543210fedcba98765432\r\n" * (16 * 1024 * 1024 // 64)
        begun = time.monotonic()
        r = suite.send(octets, timeout_s=150)
        print(f"16 MiB took {time.monotonic() - begun:.1f} s")
        assert r.code == 250, r
        assert suite.sinks[0].last()[1].endswith(octets[-100000:])
        assert suite.front.log_lines("worker_left") == [], "a slow link is no dead worker"
    finally:
        link.remove()
