"""The logger and its outputs: a file that is moved or full, Redis that comes and goes, fronts that are restarted."""
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

import mw
from mwmail import mail


@pytest.fixture
def house(suite):
    suite.sink()
    suite.redis()
    suite.set(storage_redis_dsn=[{"server": str(suite.folder / "redis.sock")}], redis_logging_key="log",
        redis_logging_queue_size_limit=50, checks__reputation=False, bypass_virus_checks_maps=[True])
    return suite


def send(s, n, tag):
    for i in range(n):
        assert s.send(mail(message_id=f"<{tag}-{i}@example.com>")).code == 250


def ids(lines, tag):
    return [x["message_id"] for x in lines if x.get("message_id", "").startswith(f"<{tag}-")]


def gaps(s):
    """The lines of the file that tell of a gap: no mail records, so records() leaves them out."""
    return [x for x in mw.json_lines(s.folder / "mail.json") if x["event"] == "gap"]


def redis_lines(s):
    return [json.loads(x) for x in s.redis_cli("LRANGE", "log", 0, -1).splitlines()]


def test_redis_gets_what_the_file_gets_and_the_list_is_trimmed(house):
    s = house.start_all(services=("logger",))
    send(s, 60, "a")
    mw.until("60 records", lambda: len(ids(s.records(), "a")) == 60)
    last = s.records()[-1]
    mw.until("the trimmed list, up to the last line", lambda: len(got := redis_lines(s)) == 50 and got[-1] == last)


def test_lines_wait_for_a_redis_that_is_down(house):
    s = house.start_all(services=("logger",))
    send(s, 1, "a")
    mw.until("the first line in Redis", lambda: redis_lines(s))
    s.processes[1].kill()
    send(s, 5, "b")
    mw.until("the records in the file", lambda: len(ids(s.records(), "b")) == 5)
    s.service("logger").wait_log(" redis_down ")
    s.redis()
    mw.until("the lines in the new Redis", lambda: len(ids(redis_lines(s), "b")) == 5, 20)
    assert ids(redis_lines(s), "b") == ids(s.records(), "b")


def test_lines_that_redis_never_acknowledged_come_again_after_a_restart(house):
    s = house.start_all(services=("logger",))
    send(s, 1, "a")
    mw.until("the first line in Redis", lambda: redis_lines(s))
    s.processes[1].kill()
    send(s, 5, "b")
    mw.until("the records in the file", lambda: len(ids(s.records(), "b")) == 5)
    s.service("logger").kill()
    s.redis()
    s.restart(s.service("logger"))
    mw.until("the lines in the new Redis", lambda: len(ids(redis_lines(s), "b")) == 5, 20)


def test_the_file_is_opened_again_at_hup(house):
    s = house.start_all(services=("logger",))
    send(s, 2, "a")
    mw.until("two records", lambda: len(s.records()) == 2)
    os.rename(s.folder / "mail.json", s.folder / "mail.json.1")
    s.service("logger").signal(signal.SIGHUP)
    mw.until("the new file", (s.folder / "mail.json").exists)
    send(s, 3, "b")
    mw.until("three records", lambda: len(ids(s.records(), "b")) == 3)
    assert len(mw.json_lines(s.folder / "mail.json.1")) == 2


@pytest.mark.root
def test_a_full_disk_loses_no_record_and_leaves_no_part_of_a_line(house):
    s = house
    disk = s.folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=192k", "mailweir-test", str(disk)], capture_output=True, check=False).returncode != 0:
        pytest.skip("cannot mount a tmpfs here")
    try:
        s.set(logger__file=str(disk / "mail.json"))
        s.start_all(services=("logger",))
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(188 * 1024))
        send(s, 30, "a")
        logger = s.service("logger")
        logger.wait_log(" log_write_failed ")
        text = (disk / "mail.json").read_text()
        assert text == "" or text.endswith("\n")
        ballast.unlink()
        send(s, 1, "b")
        mw.until("all records", lambda: len(ids(mw.json_lines(disk / "mail.json"), "a")) == 30 and
            ids(mw.json_lines(disk / "mail.json"), "b"), 20)
        assert [json.loads(x)["event"] for x in (disk / "mail.json").read_text().splitlines()] == ["main"] * 31
        assert logger.stop() == 0
    finally:
        subprocess.run(["umount", str(disk)], check=False)


def test_a_full_queue_leaves_the_records_with_the_front(house):
    s = house
    fifo = s.folder / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    s.set(logger__file=str(fifo), logger__queue=65536, redis_logging_queue_size_limit=0)
    s.start_all(services=("logger",))
    load = s.load("--tag", "full", mails=400, connections=4)
    assert load["taken"] == 400
    s.service("logger").wait_log(" queue_full ")
    octets = b""

    def complete():
        nonlocal octets
        while True:
            try:
                more = os.read(reader, 1 << 20)
            except BlockingIOError:
                break
            if not more:
                break
            octets += more
        lines = [json.loads(x) for x in octets.decode().split("\n")[:-1]]
        return len(lines) >= 400 and lines
    lines = mw.until("400 lines through the pipe", complete, 30, every_s=0.02)
    os.close(reader)
    assert [x["publisher_sequence"] for x in lines if x["event"] == "main"] == list(range(1, 401))


def test_a_front_that_is_killed_and_started_again_is_read_on(house):
    s = house.start_all(services=("logger",))
    send(s, 3, "a")
    mw.until("three records", lambda: len(ids(s.records(), "a")) == 3)
    s.front.kill()
    s.restart(s.front)
    send(s, 3, "b")
    mw.until("three more", lambda: len(ids(s.records(), "b")) == 3)
    seen = [(x["publisher_incarnation"], x["publisher_sequence"]) for x in s.records()]
    assert len(set(seen)) == 6 and [n for _, n in seen] == [1, 2, 3, 1, 2, 3]
    assert not gaps(s)


def test_records_that_a_front_has_no_more_are_told_as_a_gap(house):
    s = house.set(events__replay_memory=65536, events__replay_spool=0)
    s.start_all(services=("logger",))
    send(s, 1, "a")
    mw.until("the first record", s.records)
    state = Path(s.folder / "state" / "logger-1.positions")
    mw.until("its position", lambda: state.read_text().endswith(" 1\n"))
    s.service("logger").kill()
    assert s.load("--tag", "gap", mails=300, connections=4)["taken"] == 300
    s.restart(s.service("logger"))
    mw.until("the last record", lambda: s.records()[-1].get("publisher_sequence") == 301, 60)
    told = gaps(s)
    assert len(told) == 1 and told[0]["from"] == 2 and told[0]["missing"] == told[0]["to"] - 1
    assert len(ids(s.records(), "gap")) + told[0]["missing"] == 300


def test_lines_on_stdout_are_the_same(house):
    s = house.set(logger__stdout=True)
    s.start_all(services=("logger",))
    send(s, 3, "a")
    mw.until("three records", lambda: len(s.records()) == 3)
    lines = mw.until("three lines", lambda: len(x := [y for y in s.service("logger").out().splitlines() if y[0] == "{"]) == 3 and x)
    assert [json.loads(x) for x in lines] == s.records()


def test_without_a_state_folder_it_does_not_start(suite):
    suite.set(logger__state_dir="/proc/nowhere")
    p = suite.start("logger", wait=False)
    assert p.wait_end() == 1
    assert "/proc/nowhere" in p.log()


def test_it_ends_at_once_when_nothing_waits(house):
    s = house.start_all(services=("logger",))
    send(s, 1, "a")
    mw.until("the record", s.records)
    took = []
    # Who waits does so for two seconds, and every time. A busy machine holds somebody up now and then.
    for _ in range(3):
        began = time.monotonic()
        assert s.service("logger").stop() == 0
        took.append(time.monotonic() - began)
        if took[-1] < 1.5 * mw.SLOW:
            return
        s.restart(s.service("logger"))
    pytest.fail(f"it took {took} s")
