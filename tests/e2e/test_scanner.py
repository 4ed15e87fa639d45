"""mailweir-scanner with its engine holder and cages: a fake front gives it jobs and reads its verdicts."""
import base64
import hashlib
import io
import itertools
import lzma
import os
import random
import re
import shutil
import signal
import socket
import tarfile
import threading
import time
import zipfile
import zlib
from pathlib import Path

import msgpack
import pytest
import zmq

import mw

STATUS = ["done", "limit", "failed"]
# In pieces, so that this file is not taken for what it tests.
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
HEAD = b"From: Ann <ann@example.org>\r\nTo: bob@example.net\r\nSubject: hello\r\nMIME-Version: 1.0\r\n"
CLEAN = HEAD + b"\r\nHello,\r\n\r\nthis is a mail.\r\n"
PLAIN = HEAD + b"\r\n" + EICAR + b"\r\n"
NAME = "Eicar-Test-Signature.UNOFFICIAL"
# Binaries with the test-only trigger: a mail with this field makes its cage do what the word says.
TRIGGER_BIN = Path(os.environ.get("MW_TRIGGER_BIN", mw.BIN.parent.parent / "build-triggers/bin"))


def zipped(name="eicar.com", octets=EICAR):
    """Deflated even where that is longer, so that the raw octets do not show it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr(name, octets)
    return out.getvalue()


def attached(octets, name="foo.zip", head=HEAD, boundary=b"bb"):
    return (head + b"Content-Type: multipart/mixed; boundary=" + boundary + b"\r\n\r\n--" + boundary +
        b"\r\nContent-Type: text/plain\r\n\r\nsee there\r\n--" + boundary +
        b"\r\nContent-Type: application/octet-stream; name=\"" + name.encode() +
        b"\"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(octets).replace(b"\n", b"\r\n") +
        b"\r\n--" + boundary + b"--\r\n")


def forwarded(mail):
    return (HEAD + b"Content-Type: multipart/mixed; boundary=outer\r\n\r\n--outer\r\n\r\nforwarded\r\n--outer\r\n"
        b"Content-Type: message/rfc822\r\n\r\n" + mail + b"\r\n--outer--\r\n")


def trigger(word):
    return HEAD + b"X-Mailweir-Test-Cage: " + word.encode() + b"\r\n\r\nhello\r\n"


# ------------------------------------------------------------------ a front

class Verdict:
    def __init__(self, fields):
        (_, _, self.job, self.attempt, self.kind, status, self.reason, self.wall_us, self.cpu_us, self.findings) = fields
        self.status = STATUS[status]

    @property
    def viruses(self):
        return [(v["name"], v["part"]) for v in self.findings["viruses"]]

    def __repr__(self):
        return f"Verdict({self.status}, {self.reason!r}, {self.findings})"


class Front:
    def __init__(self, suite):
        self.ctx = zmq.Context()
        self.ids = itertools.count(1)
        self.hello = self.push = None
        self.verdicts, self.alives, self.slots, self.engine, self.phases = {}, 0, {}, "", {}
        self.broken = None  # what no reader of MessagePack takes
        self.held, self.leaving = set(), None  # jobs without a verdict; who has said bye
        self.came = threading.Condition()
        self.closing = False
        router = self.ctx.socket(zmq.ROUTER)
        router.bind(f"ipc://{suite.folder}/run/front-fake.verdicts")
        os.chmod(suite.folder / "run/front-fake.verdicts", 0o777)  # for workers of another user
        self.thread = threading.Thread(target=self._read, args=(router,), daemon=True)
        self.thread.start()

    def _read(self, router):
        while not self.closing:
            if not router.poll(20):
                continue
            identity, octets = router.recv_multipart()
            try:
                f = msgpack.unpackb(octets)  # strict: texts are UTF-8
            except ValueError as e:
                with self.came:
                    self.broken = f"{e!r} in {octets!r}"
                    self.came.notify_all()
                continue
            if f[1] == 1:
                router.send_multipart([identity, msgpack.packb([1, 5, 77, "fake"])])
            elif f[1] == 4:
                self.leaving = identity
            with self.came:
                if f[1] == 1:
                    self.hello = f
                elif f[1] == 2:
                    self.alives += 1
                    self.engine, self.slots = f[5], dict(map(tuple, f[6]))
                    self.phases = {held[0]: held[2] for held in f[7]}
                elif f[1] == 3:
                    self.verdicts[f[2]] = Verdict(f)
                    self.held.discard(f[2])
                self.came.notify_all()
                if self.leaving and not self.held:  # as the front: bye is that no job of ours is with it or on its way
                    router.send_multipart([self.leaving, msgpack.packb([1, 4, ""])])
                    self.leaving = None
        router.close(linger=0)

    def wait(self, what, condition, timeout_s=20):
        with self.came:
            came = self.came.wait_for(lambda: self.broken or condition(), timeout_s * mw.SLOW)
            assert not self.broken, self.broken
            assert came, f"waited for {what}"

    def wait_worker(self):
        self.wait("a worker that has our welcome", lambda: self.hello and self.alives)
        self.push = self.ctx.socket(zmq.PUSH)
        self.push.connect(self.hello[4])
        return self

    def send(self, *parts, kind="scan", orders=None, ms=30000):
        job = 77 << 32 | next(self.ids)
        with self.came:
            self.held.add(job)
        head = [1, 16, job, 1, kind, ms, "task-1", "aaaaaaaaaaaa", sum(map(len, parts)),
            ["a@example.org", ["b@example.net"], "helo", "203.0.113.9", "client.example", 2525, "", "", ""],
            {"virus": True, "decode": True} if orders is None else orders]
        self.push.send_multipart([msgpack.packb(head), *parts])
        return job

    def verdict(self, job, timeout_s=30):
        self.wait(f"a verdict for {job}", lambda: job in self.verdicts, timeout_s)
        return self.verdicts.pop(job)

    def scan(self, *parts, **kw):
        return self.verdict(self.send(*parts, **kw))

    def close(self):
        self.closing = True
        self.thread.join()
        self.ctx.destroy(linger=0)


class Worker:
    def __init__(self, suite, bin_dir=None, **settings):
        self.suite = suite
        suite.set(**{"scanner__clamav_database": str(suite.folder / "no-database"), "scanner__cages": 2, **settings})
        self.front = Front(suite)
        self.process = suite.start("scanner", bin_dir=bin_dir)
        self.front.wait_worker()

    def holder(self):
        """Process id of the engine holder."""
        def found():
            return [p for p in mw.children(self.process.pid) if int((mw.proc_stat(p) or (0, 0))[1]) == self.process.pid]
        return mw.until("one holder", found)[0]

    def cages(self):
        holder = self.holder()
        return [p for p in mw.children(holder)]

    def close(self):
        if self.process.running():
            self.process.stop()
        self.front.close()


@pytest.fixture
def made(suite):
    all_made = []

    def make(**kw):
        all_made.append(Worker(suite, **kw))
        return all_made[-1]
    yield make
    for w in all_made:
        w.close()


@pytest.fixture
def triggered(made):
    def make(**kw):
        if not (TRIGGER_BIN / "mailweir-cage").exists():
            pytest.fail(f"no test binaries in {TRIGGER_BIN}: make triggers")
        return made(bin_dir=TRIGGER_BIN, **kw)
    return make


# ------------------------------------------------------------------ what is found

def test_hello_names_kind_slots_and_engine(made):
    front = made().front
    assert front.hello[2] == "scanner"
    # Two cages, each of which (with two cores and more) takes two mails beside the one that it is at.
    turns = 2 * min(2, len(os.sched_getaffinity(0)))
    assert ["scan", 2 + turns] in front.hello[9]
    assert "ClamAV" in front.hello[7] and "project signatures" in front.hello[7]


def test_without_signatures_log_and_findings_say_so(made):
    w = made()
    v = w.front.scan(CLEAN)
    assert v.findings["project_signatures"] is True and v.findings["signatures"] == 1
    assert "project_signatures=1" in w.process.log_lines("engine_loaded")[0]


def test_clean_mail_is_done_with_nothing_found(made):
    v = made().front.scan(CLEAN)
    assert (v.status, v.reason, v.viruses) == ("done", "", [])
    f = v.findings
    assert f["parts"] == 1 and f["limits"] == [] and f["encrypted"] == [] and f["ambiguous"] is False and f["mime_errors"] == []
    assert f["virus_us"] > 0 and v.cpu_us > 0


@pytest.mark.parametrize("what,mail,part,names", [
    ("plain", PLAIN, "1", []),
    ("attached", attached(EICAR, "eicar.com"), "1/2/eicar.com", ["eicar.com"]),
    ("zip", attached(zipped()), "1/2/foo.zip/eicar.com", ["foo.zip", "eicar.com"]),
    ("zip in zip", attached(zipped("in.zip", zipped())), "1/2/foo.zip/in.zip/eicar.com", ["foo.zip", "in.zip", "eicar.com"]),
    ("zip in message/rfc822", forwarded(attached(zipped())), "1/2/1/2/foo.zip/eicar.com", ["foo.zip", "eicar.com"]),
], ids=lambda x: x if isinstance(x, str) else "")
def test_eicar_is_found_where_it_hides(made, what, mail, part, names):
    v = made().front.scan(mail)
    assert v.status == "done", v
    assert v.viruses == [(NAME, part)]
    assert v.findings["names"] == names


def test_a_message_in_two_frames_and_one_beyond_the_inline_size(made):
    front = made().front
    big = attached(random.Random(1).randbytes(300000) + zipped(), "big.bin")  # always the same: others begin as a file of some type does
    assert front.scan(PLAIN[:50], PLAIN[50:]).viruses == [(NAME, "1")]
    v = front.scan(big)
    assert v.status == "done" and v.findings["decoded_octets"] > 300000
    v = front.scan(attached(b"\0" * 200000 + EICAR, "big.bin"))
    assert [name for name, _ in v.viruses] == [NAME]


def test_orders_can_switch_virus_and_decoding_off(made):
    front = made().front
    v = front.scan(attached(zipped()), orders={"virus": False, "decode": True})
    assert v.status == "done" and v.viruses == [] and v.findings["names"] == ["foo.zip", "eicar.com"]
    v = front.scan(attached(zipped()), orders={"virus": True, "decode": False})
    assert v.viruses == [(NAME, "message")], "libclamav's own mail parser stands in"


def test_an_encrypted_member_is_told(made):
    data = bytearray(zipped("secret.txt", b"x" * 100))
    data[6] |= 1  # local header: encrypted
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    v = made().front.scan(attached(bytes(data)))
    assert v.findings["encrypted"] == ["1/2/foo.zip/secret.txt"]


# eicar.com in a zip, AES-256, the password is geheim123.
SEALED = base64.b64decode(
    b"UEsDBBQAAQBjAAAAYloAAAAAYgAAAEQAAAAJAAsAZWljYXIuY29tAZkHAAIAQUUDCAAHCAkKCwwNDg8QERITFBUWHjqxeiBH3+B0g25MFpGl90"
    b"ru9wwykY55SGz9DvA8NZTJlwdgOkenlMsiBPh6I9/Q+tQt9HUyvj3kEUSGXW0WT78qqC9SoWkLc0IovfrIWLQDZ1BLAQIUABQAAQBjAAAAYloA"
    b"AAAAYgAAAEQAAAAJAAsAAAAAAAAAAAAAAAAAAABlaWNhci5jb20BmQcAAgBBRQMIAFBLBQYAAAAAAQABAEIAAACUAAAAAAA=")


def test_archives_that_hide_what_they_hold(made):
    front = made().front
    mail = attached(SEALED)[:-len(b"--bb--\r\n")] + b"--bb\r\n\r\nThe password is geheim123.\r\n--bb--\r\n"
    v = front.scan(mail)
    assert v.viruses == [(NAME, "1/2/foo.zip/eicar.com")] and v.status == "done", v
    assert v.findings["encrypted"] == [] and v.findings["mime_errors"] == ["archive_password"]
    v = front.scan(attached(SEALED))
    assert v.viruses == [] and v.findings["encrypted"] == ["1/2/foo.zip/eicar.com"], "told, for it cannot be read"
    # Two archives in one: programs open the first, or the last.
    v = front.scan(attached(zipped() + zipped("readme.txt", b"hello")))
    assert [name for name, _ in v.viruses] == [NAME] and v.findings["ambiguous"] is True
    assert v.findings["mime_errors"] == ["archive_ambiguous"]
    assert v.findings["names"] == ["foo.zip", "eicar.com", "readme.txt"]


def test_a_window_beyond_the_cages_memory_is_no_death(made):
    front = made().front
    data = bytearray(lzma.compress(b"hello", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]))
    head = 12, 12 + (data[12] + 1) * 4  # of the first block: its last four octets are its checksum
    data[data.index(b"\x21\x01", *head) + 2] = 40  # a dictionary of 4 GiB
    data[head[1] - 4:head[1]] = zlib.crc32(data[head[0]:head[1] - 4]).to_bytes(4, "little")
    v = front.scan(attached(bytes(data), "foo.xz"))
    assert v.status == "limit" and v.findings["limits"] == ["memory"], v
    assert front.scan(CLEAN).status == "done"


def test_limits_are_told_and_what_was_found_is_true(made):
    w = made(MAXFILES=6)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("eicar.com", EICAR)
        for i in range(10):
            z.writestr(f"{i}.txt", b"hello")
    v = w.front.scan(attached(out.getvalue()))
    assert v.status == "limit" and v.findings["limits"] == ["parts"]
    assert v.findings["names"] == ["foo.zip", "eicar.com", "0.txt", "1.txt"]
    assert [name for name, _ in v.viruses] == [NAME]
    v = w.front.scan(attached(zipped("zeros", b"\0" * 60000000)), ms=60000)
    assert v.status == "limit" and "ratio" in v.findings["limits"], v


# ------------------------------------------------------------------ cages that end

def test_a_cage_that_crashes_fails_its_own_job_only(triggered):
    w = triggered()
    crash, others = w.front.send(trigger("crash")), [w.front.send(PLAIN) for _ in range(10)]
    v = w.front.verdict(crash)
    assert (v.status, v.reason) == ("failed", "cage_died")
    for job in others:
        v = w.front.verdict(job)
        assert v.status == "done" and v.viruses


def test_what_stands_behind_a_slow_mail_is_taken_elsewhere(triggered):
    w = triggered(scanner__cages=3, scanner__scan_timeout=10000)
    slow = [w.front.send(trigger("hang"), ms=60000) for _ in range(2)]
    quick = [w.front.send(PLAIN) for _ in range(12)]
    for job in quick:
        v = w.front.verdict(job)
        assert v.status == "done" and v.viruses
    assert not set(slow) & set(w.front.verdicts)
    assert {w.front.verdict(job).reason for job in slow} == {"cage_died"}


# To the network, to other processes, to the kernel's corners, out of its rights.
FORBIDDEN = ("socket connect bind listen sendto socketpair fork vfork exec execveat execmem memfd_create kill ptrace process_vm_readv pidfd_open "
    "io_uring_setup keyctl bpf userfaultfd perf_event_open unshare mount chroot symlink link mknod setuid prctl shmget mq_open prlimit setown setsig").split()


def test_what_a_cage_must_not_do_ends_it_by_sigsys(triggered):
    w = triggered(scanner__cages=4)
    jobs = {word: w.front.send(trigger(word), ms=120000) for word in FORBIDDEN}
    verdicts = {word: w.front.verdict(job, 120) for word, job in jobs.items()}
    assert {word: (v.status, v.reason) for word, v in verdicts.items()} == {word: ("failed", "cage_died") for word in FORBIDDEN}
    assert sum(" signal=31 " in line for line in w.process.log_lines("cage_died")) == len(FORBIDDEN)
    assert w.front.scan(CLEAN).status == "done"


@pytest.mark.parametrize("how", ["fill", "fill unnamed"])
def test_a_cage_that_outgrows_its_folder_is_ended(triggered, suite, how):
    w = triggered(scanner__temp_quota=1 << 20, scanner__temp_dir=str(suite.folder / "cages"))
    v = w.front.scan(trigger(how))
    assert (v.status, v.reason) == ("failed", "cage_died")
    assert w.process.log_lines("cage_folder_full")
    assert w.front.scan(CLEAN).status == "done"
    assert list((suite.folder / "cages").glob("holder-*/*/*")) == []


def test_a_dead_cage_leaves_nothing_however_deep(triggered, suite):
    w = triggered(scanner__temp_dir=str(suite.folder / "cages"))
    assert w.front.scan(trigger("deep")).reason == "cage_died"
    mw.until("its folder to be removed", lambda: list((suite.folder / "cages").glob("holder-*/*/*")) == [])


def test_a_cage_that_goes_away_and_lives_on_is_replaced(triggered):
    """Each of these mails is tried twice: without others in their places no cage would be left."""
    w = triggered()
    jobs = [w.front.send(trigger("leave"), ms=60000) for _ in range(2)]
    assert [(v.status, v.reason) for v in (w.front.verdict(job, 60) for job in jobs)] == [("failed", "cage_died")] * 2
    assert w.front.scan(CLEAN).status == "done"
    mw.until("as many cages as before", lambda: len(w.cages()) == 2)
    assert w.front.scan(CLEAN).status == "done"


def test_cages_end_of_old_age_without_a_job_lost(made):
    w = made(scanner__cage_mails=4, scanner__cages=3)
    first = set(mw.until("cages", lambda: len(w.cages()) == 3 and w.cages()))
    jobs = [w.front.send(PLAIN if i % 2 else CLEAN) for i in range(100)]
    for i, job in enumerate(jobs):
        v = w.front.verdict(job)
        assert v.status == "done" and bool(v.viruses) == bool(i % 2), v
    assert not w.process.log_lines("cage_died")
    assert not first & set(w.cages())


def test_opening_anything_outside_its_folder_is_refused(triggered):
    w = triggered()
    assert w.front.scan(trigger("open")).status == "done"
    w.process.wait_log(r" test_open_refused ")
    assert w.front.scan(trigger("clone3")).status == "done"
    w.process.wait_log(r" test_clone3_refused ")


def test_a_cage_that_hangs_is_killed_after_its_limit(triggered):
    w = triggered(scanner__scan_timeout=int(1000 * mw.SLOW), scanner__cage_grace=300)  # a clean mail must be done within it
    v = w.front.scan(trigger("hang"))
    assert (v.status, v.reason) == ("failed", "cage_died")
    assert w.process.log_lines("cage_hangs")
    assert w.front.scan(CLEAN).status == "done"


def test_a_job_whose_time_is_up_blames_nobody_and_frees_its_cage(triggered):
    w = triggered(scanner__cages=1)
    v = w.front.scan(trigger("hang"), ms=1000)
    assert (v.status, v.reason) == ("failed", "timeout")
    assert w.front.scan(CLEAN).status == "done", "the cage was killed and replaced"


def test_a_cage_killed_from_outside_costs_nothing_the_first_time(triggered):
    """A stopped cage holds the job; killed, another one does it."""
    w = triggered(scanner__cages=1)
    cage = mw.until("a cage", w.cages)[0]
    os.kill(cage, signal.SIGSTOP)
    job = w.front.send(PLAIN)
    w.front.wait("alive to say that a cage has it", lambda: w.front.phases.get(job) == "scan")
    os.kill(cage, signal.SIGKILL)
    w.process.wait_log(r" cage_died_at_work .* by=others")
    v = w.front.verdict(job)
    assert v.status == "done" and v.viruses, v


def test_a_cage_that_ends_after_its_verdict_is_given_no_other_mail(made):
    """libclamav complains about fragments of messages; a cage in which it complained of anything is replaced."""
    w = made()
    partial = HEAD + b"Content-Type: message/partial; id=x; number=1; total=2\r\n\r\nSubject: inner\r\n\r\nhello\r\n"
    jobs = [w.front.send(partial if i % 2 else CLEAN) for i in range(40)]
    assert [w.front.verdict(job).status for job in jobs] == ["done", "limit"] * 20
    assert w.process.log_lines("cage_died_at_work") == []


def test_a_mail_whose_second_cage_is_killed_too_is_suspected(triggered):
    w = triggered(scanner__cages=1)
    job = w.front.send(trigger("hang"))
    for n in (1, 2):
        cage = mw.until("a cage that sleeps in the trigger", lambda: [p for p in w.cages() if waits_in_nanosleep(p)])[0]
        os.kill(cage, signal.SIGKILL)
        w.process.wait_log(r" cage_died_at_work .* by=others", count=n)
    v = w.front.verdict(job)
    assert (v.status, v.reason) == ("failed", "cage_died")


def waits_in_nanosleep(pid):
    try:
        return Path(f"/proc/{pid}/wchan").read_text().find("nanosleep") >= 0
    except OSError:
        return False


def test_a_holder_killed_under_work_costs_no_job(triggered):
    w = triggered()
    hang = w.front.send(trigger("hang"), ms=int(30000 * mw.SLOW))  # for longer than it takes to have the next holder
    mw.until("a cage that sleeps in the trigger", lambda: [p for p in w.cages() if waits_in_nanosleep(p)])
    old = w.holder()
    waiting = [w.front.send(PLAIN) for _ in range(20)]
    os.kill(old, signal.SIGKILL)
    for job in waiting:
        assert w.front.verdict(job).status == "done"
    mw.until("the next holder", lambda: w.holder() not in (None, old))
    mw.until("the mail to be with a cage of the next holder", lambda: [p for p in w.cages() if waits_in_nanosleep(p)])
    assert hang not in w.front.verdicts
    w.process.kill()  # told to stop, it would wait for the mail that hangs


def test_random_kills_under_load_fail_no_job(made):
    w = made(scanner__cages=4)
    jobs = []
    for i in range(400):
        jobs.append(w.front.send(PLAIN if i % 2 else CLEAN))
        if i % 40 == 20:
            children = mw.children(w.process.pid)
            if children:
                mw.tell(children[i % len(children)], signal.SIGKILL)  # a killed holder takes its cages along
    for i, job in enumerate(jobs):
        v = w.front.verdict(job)
        assert v.status == "done" and bool(v.viruses) == bool(i % 2), v


def test_cages_die_with_a_killed_scanner(made):
    w = made()
    family = mw.until("holder and cages", lambda: len(mw.children(w.process.pid)) == 3 and mw.children(w.process.pid))
    w.process.kill()
    mw.until("all of them to be gone", lambda: not any(mw.alive(p) for p in family), 5)


def stopped_at_birth(w):
    """A cage that was stopped before it could ask to die with its holder: it has not closed what it was forked with."""
    holder = w.holder()
    children = Path(f"/proc/{holder}/task/{holder}/children")

    def attempt():
        before = set(children.read_text().split())
        for cage in before:
            mw.tell(int(cage), signal.SIGKILL)
        new = mw.until("a birth", lambda: set(children.read_text().split()) - before, every_s=0).pop()
        mw.tell(int(new), signal.SIGSTOP)
        mw.until("it to stand still", lambda: mw.proc_stat(new) is None or mw.proc_stat(new)[0] in "TZX")
        if os.path.exists(f"/proc/{new}/fd/3"):
            return int(new)
        mw.tell(int(new), signal.SIGCONT)
        return None
    return mw.until("a cage that is young enough", attempt, 60)


@pytest.mark.parametrize("killed", ["scanner", "holder"])
def test_a_cage_that_is_stopped_at_its_birth_dies_with_its_parents(made, killed):
    w = made(scanner__cages=1)
    cage = stopped_at_birth(w)
    os.kill(w.process.pid if killed == "scanner" else w.holder(), signal.SIGKILL)
    mw.until("the cage to be gone", lambda: not mw.alive(cage), 5)


@pytest.mark.root
def test_as_an_unprivileged_user_cages_are_as_strict(made, suite):
    os.chmod(suite.folder / "run", 0o777)
    w = made(daemon_user="nobody")
    cage = w.cages()[0]  # born a moment ago: it gives up its rights before it takes a job
    sealed = lambda text: text if re.search(r"^Seccomp:\t2$", text, re.M) else None  # noqa: E731
    status = mw.until("the cage to be sealed", lambda: sealed(Path(f"/proc/{cage}/status").read_text()))
    assert re.search(r"^Uid:\t65534\t65534\t65534\t65534$", status, re.M) and re.search(r"^NoNewPrivs:\t1$", status, re.M), status
    assert re.search(r"^CapEff:\t0+$", status, re.M), status
    assert w.front.scan(attached(zipped())).viruses == [(NAME, "1/2/foo.zip/eicar.com")]
    assert w.front.scan(CLEAN).status == "done"


def test_sigterm_to_the_whole_family_still_drains(made):
    """As systemd stops a service: every process gets the signal."""
    w = made()
    jobs = [w.front.send(CLEAN) for _ in range(20)]
    family = mw.children(w.process.pid)
    for pid in [w.process.pid, *family]:
        mw.tell(pid, signal.SIGTERM)
    for job in jobs:
        assert w.front.verdict(job).status == "done"
    mw.until("the scanner to end", lambda: not w.process.running())
    assert w.process.popen.returncode == 0


# ------------------------------------------------------------------ signatures

def signature(name, text):
    return f"{name}:0:*:{text.encode().hex()}\n"


def test_new_signatures_are_loaded_beside_the_old_without_a_pause(made, suite):
    folder = suite.folder / "no-database"
    w = made(scanner__signature_check_interval=100)
    old = w.holder()
    probe = HEAD + b"\r\nthis is wickedness itself\r\n"
    assert w.front.scan(probe).viruses == []
    folder.mkdir()
    (folder / "mine.ndb.new").write_text(signature("Test.Wicked", "wickedness itself") + signature("Test.Eicar", EICAR.decode()))
    os.rename(folder / "mine.ndb.new", folder / "mine.ndb")
    jobs = []
    while True:
        v = w.front.scan(probe)
        assert v.status == "done"
        if v.viruses:
            break
    assert v.viruses == [("Test.Wicked.UNOFFICIAL", "1")] and v.findings["project_signatures"] is False
    mw.until("the old holder to end", lambda: not mw.alive(old))
    w.front.wait("alive with the new engine", lambda: "project" not in w.front.engine)


def test_signatures_that_do_not_load_leave_the_old_ones_at_work(made, suite):
    folder = suite.folder / "no-database"
    w = made(scanner__signature_check_interval=100)
    folder.mkdir()
    (folder / "bad.ndb").write_text("this is no signature\n")
    w.process.wait_log(r" engine_broken ")
    v = w.front.scan(PLAIN)
    assert v.status == "done" and v.viruses == [(NAME, "1")]


def test_signatures_that_do_not_know_the_test_file_call_nothing_clean(made, suite):
    """From the first mail on, whether they are there from the start or come later."""
    folder = suite.folder / "no-database"
    folder.mkdir()
    (folder / "a.ndb").write_text(signature("Test.Wicked", "wickedness itself"))
    w = made(scanner__signature_check_interval=100)
    v = w.front.scan(CLEAN)
    assert v.status == "failed" and "EICAR" in v.reason, v
    (folder / "b.ndb").write_text(signature("Test.Eicar", EICAR.decode()))
    mw.until("the scanner to be up", lambda: w.front.scan(CLEAN).status == "done")
    (folder / "b.ndb").unlink()
    mw.until("these to be told from others", lambda: w.front.scan(CLEAN).status == "failed")
    assert len(w.process.log_lines("av_scanner_down")) == 2


def test_signatures_whose_loading_was_ended_are_loaded_again(made, suite):
    """They are not to blame: memory was short, or the disk slow. A pipe that nobody writes into takes for ever to load."""
    folder = suite.folder / "no-database"
    w = made(scanner__signature_check_interval=500, scanner__engine_timeout=int(1000 * mw.SLOW))
    probe = HEAD + b"\r\nthis is wickedness itself\r\n"
    folder.mkdir()
    os.mkfifo(folder / "z.ndb")
    (folder / "a.ndb").write_text(signature("Test.Wicked", "wickedness itself") + signature("Test.Eicar", EICAR.decode()))
    w.process.wait_log(" engine_timeout ")
    w.process.wait_log(" engine_not_loaded ")
    v = w.front.scan(probe)
    assert v.status == "done" and v.viruses == []
    (folder / "z.ndb").unlink()
    mw.until("the new signatures", lambda: w.front.scan(probe).viruses, 60)


def test_sighup_loads_the_signatures_afresh(made, suite):
    w = made()
    old = w.holder()
    os.kill(w.process.pid, signal.SIGHUP)
    mw.until("another holder", lambda: not mw.alive(old))
    assert w.front.scan(PLAIN).viruses


def test_a_broken_database_at_start_is_an_error_that_names_the_setting(suite):
    folder = suite.folder / "db"
    folder.mkdir()
    (folder / "bad.ndb").write_text("this is no signature\n")
    suite.set(scanner__clamav_database=str(folder))
    p = suite.start("scanner", wait=False)
    mw.until("it to give up", lambda: not p.running())
    assert p.popen.returncode != 0 and "scanner.clamav_database" in p.log()


def test_folders_of_the_dead_are_swept_and_mails_leave_nothing(made, suite):
    w = made()
    root = suite.folder / "run/cages"
    stale = root / "holder-dead"
    stale.mkdir()
    (stale / "x").write_text("left over")
    assert w.front.scan(attached(zipped())).viruses
    os.kill(w.holder(), signal.SIGKILL)
    assert w.front.scan(attached(zipped())).viruses
    mw.until("the sweep", lambda: not stale.exists())
    mw.until("one holder's folder to be left", lambda: len(list(root.iterdir())) == 1)
    mw.until("no file in it", lambda: [p for p in root.rglob("*") if p.is_file()] == [])


# ------------------------------------------------------------------ spam

SPAMD_REPLY = (b"SPAMD/1.1 0 EX_OK\r\nContent-length: %d\r\nSpam: True ; 15.3 / 5.0\r\n\r\n")
REPORT = (b"Spam detection software...\nContent preview:  text ---- ----\n-99 FAKE_RULE  no\n\n"
    b"Content analysis details:   (15.3 points, 5.0 required)\n\n pts rule name              description\n"
    b"---- ---------------------- --------------------------------------------------\n"
    b"  15 GTUBE_LIKE             BODY: a rule\n"
    b" 0.7 SECOND_RULE            a text that goes on\n"
    b"                            1.0 NOT_A_RULE\n"
    b"-0.4 LAST_RULE              end\n\n\n")


class FakeSpamd:
    """A spamd that does to each connection what it is told."""

    def __init__(self, act, path=None):
        self.socket = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.socket.bind(str(path) if path else ("127.0.0.1", 0))
        self.socket.listen(8)
        self.address = str(path) if path else "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.act, self.requests = act, []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                c, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(c,), daemon=True).start()

    def _one(self, c):
        with c:
            request = b""
            while True:
                more = c.recv(65536)
                if not more:
                    break
                request += more
            self.requests.append(request)
            self.act(c)

    def close(self):
        self.socket.close()


@pytest.fixture
def spamd():
    opened = []

    def make(act, path=None):
        opened.append(FakeSpamd(act, path))
        return opened[-1]
    yield make
    for s in opened:
        s.close()


def good(c):
    c.sendall(SPAMD_REPLY % len(REPORT) + REPORT)


def test_without_spamd_the_kind_has_no_slots(made):
    w = made()
    assert w.front.slots["spam"] == 0


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_spamd_gives_score_and_the_score_of_each_rule(made, spamd, suite, unix):
    s = spamd(good, suite.folder / "spamd.sock" if unix else None)
    w = made(scanner__spamd=s.address)
    fields = b"Authentication-Results: mx; dkim=pass\r\n"
    v = w.front.scan(CLEAN, kind="spam", orders={"headers": fields})
    assert v.status == "done", v
    assert (v.findings["score_milli"], v.findings["required_milli"], v.findings["truncated"]) == (15300, 5000, False)
    assert v.findings["tests"] == [["GTUBE_LIKE", 15000], ["SECOND_RULE", 700], ["LAST_RULE", -400]]
    head, _, body = s.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"REPORT SPAMC/1.5\r\n") and b"Content-length: %d" % len(body) in head
    assert body == fields + CLEAN


def test_a_large_body_is_cut_and_the_findings_say_so(made, spamd):
    s = spamd(good)
    w = made(scanner__spamd=s.address, sa_mail_body_size_limit=20000)
    v = w.front.scan(HEAD + b"\r\n", b"x" * 100000, kind="spam", orders={})
    assert v.findings["truncated"] is True
    assert len(s.requests[0].partition(b"\r\n\r\n")[2]) == len(HEAD) + 2 + 20000


@pytest.mark.parametrize("what,act,reason", [
    ("garbage", lambda c: c.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "not a spamd"),
    ("error", lambda c: c.sendall(b"SPAMD/1.0 76 Bad header line\r\n"), "76 Bad header line"),
    ("nothing", lambda c: None, "not a spamd"),
    ("short", lambda c: c.sendall(SPAMD_REPLY % 5000 + REPORT), "cut short"),
    ("no score", lambda c: c.sendall(b"SPAMD/1.1 0 EX_OK\r\nContent-length: 0\r\n\r\n"), "without a score"),
    ("too long", lambda c: c.sendall(b"SPAMD/1.1 0 EX_OK\r\n\r\n" + b"x" * 400000), "too long"),
], ids=lambda x: x if isinstance(x, str) else "")
def test_a_spamd_that_lies_is_a_failed_check_never_score_0(made, spamd, what, act, reason):
    def tolerant(c):
        try:
            act(c)
        except OSError:
            pass
    w = made(scanner__spamd=spamd(tolerant).address)
    v = w.front.scan(CLEAN, kind="spam", orders={})
    assert v.status == "failed" and reason in v.reason and v.findings == {}, v


def test_a_spamd_that_is_not_there_is_tried_twice(made):
    port = mw.free_port()
    w = made(scanner__spamd=f"127.0.0.1:{port}")
    v = w.front.scan(CLEAN, kind="spam", orders={})
    assert v.status == "failed" and "refused" in v.reason
    assert v.wall_us > 150000, "a second try after a moment"


def test_a_slow_spamd_meets_its_limit(made, spamd):
    stop = threading.Event()
    w = made(scanner__spamd=spamd(lambda c: stop.wait(60)).address, scanner__spamd_timeout=300)
    v = w.front.scan(CLEAN, kind="spam", orders={})
    stop.set()
    assert (v.status, v.reason) == ("failed", "spamd: timeout")


@pytest.mark.skipif(shutil.which("spamd") is None, reason="spamd is not installed")
def test_the_real_spamd_knows_gtube(made, suite):
    real = suite.spamd()
    w = made(scanner__spamd=real.address)
    gtube = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
    v = w.front.scan(HEAD + b"\r\n" + gtube + b"\r\n", kind="spam", orders={})
    assert v.status == "done" and v.findings["score_milli"] >= 999000, v
    tests = dict(map(tuple, v.findings["tests"]))
    assert tests["GTUBE"] == 1000000 and len(tests) > 1
    assert abs(sum(tests.values()) - v.findings["score_milli"]) <= 100 * len(tests)


# ------------------------------------------------------------------ the tree of parts

MZ = b"MZ\x90\0" + bytes(56) + b"\x40\0\0\0PE\0\0" + bytes(18) + b"\x02\x01" + bytes(200)
TREE = {"virus": True, "decode": True, "parts": True}


def tree(findings):
    return [(p[0], p[1], p[2], p[3], p[4], p[5]) for p in findings["tree"]]


def test_parts_are_told_only_when_asked_for(made):
    front = made().front
    assert "tree" not in front.scan(CLEAN).findings
    assert "tree" not in front.scan(CLEAN, orders={"virus": True, "decode": True, "parts": False}).findings
    assert tree(front.scan(CLEAN, orders=TREE).findings) == [(0, "1", "text/plain", [], ["asc"], "")]


def test_the_tree_has_names_types_and_places(made):
    front = made().front
    got = tree(front.scan(attached(zipped("dir/b.exe", MZ)), orders=TREE).findings)
    assert got == [(0, "1", "multipart/mixed", [], [], ""),
        (1, "1/1", "text/plain", [], ["asc"], ""),
        (1, "1/2", "application/octet-stream", ["foo.zip"], ["zip"], ""),
        (3, "", "", ["dir/b.exe"], ["exe", "exe-ms"], "")]
    got = tree(front.scan(forwarded(attached(MZ, "=?utf-8?B?cmVjaG51bmcuZXhl?=")), orders=TREE).findings)
    assert got[-1] == (4, "1/2/1/2", "application/octet-stream",
        ["rechnung.exe", "=?utf-8?B?cmVjaG51bmcuZXhl?="], ["exe", "exe-ms"], "")
    assert [p[1] for p in got] == ["1", "1/1", "1/2", "1/2/1", "1/2/1/1", "1/2/1/2"]


def test_digests_of_parts_and_members_are_those_of_their_octets(made):
    front = made().front
    archive = zipped("dir/b.exe", MZ)
    of = lambda findings: [(p[3], p[6], p[7].hex()) for p in findings["tree"]]
    v = front.scan(attached(archive), orders={**TREE, "digests": True})
    assert v.status == "done"
    assert of(v.findings)[2:] == [(["foo.zip"], len(archive), hashlib.sha256(archive).hexdigest()),
        (["dir/b.exe"], len(MZ), hashlib.sha256(MZ).hexdigest())]
    assert {p[2] for p in of(front.scan(attached(archive), orders=TREE).findings)} == {""}
    broken = bytearray(archive)
    broken[broken.index(b"PK\x01\x02") + 16] ^= 1  # the directory's CRC
    got = of(front.scan(attached(bytes(broken)), orders={**TREE, "digests": True}).findings)
    assert got[2][2] == hashlib.sha256(broken).hexdigest() and all(d in ("", hashlib.sha256(MZ).hexdigest()) for *_, d in got[3:])


def test_all_names_of_a_part_are_told(made):
    mail = (HEAD + b"Content-Type: application/x; name=one.txt\r\nContent-Disposition: attachment;\r\n"
        b" filename*0*=UTF-8''t%77o; filename*1=.exe; filename=three.txt\r\n\r\nhello\r\n")
    (part,) = tree(made().front.scan(mail, orders=TREE).findings)
    assert sorted(part[3]) == ["one.txt", "three.txt", "two.exe"]


# RFC 3629 section 4: long forms, surrogates, beyond U+10FFFF, cut, tails alone.
NO_UTF8 = [b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf7\xbf\xbf\xbf",
    b"\xf8\x88\x80\x80\x80", b"\xff", b"\xe2\x82", b"\xf0\x9f\x98", b"\x80\xbf"]


def test_names_that_are_no_utf_8_are_told_as_utf_8(made):
    front = made().front
    for raw in NO_UTF8:
        plain, name = "x" + "@" * len(raw) + "y.exe", b"x" + raw + b"y.exe"
        for mail in (attached(zipped(plain, MZ + EICAR).replace(plain.encode(), name)), attached(MZ + EICAR, plain).replace(plain.encode(), name)):
            v = front.scan(mail, orders=TREE)
            told = [n for part in v.findings["tree"] for n in part[3]]
            assert v.viruses and any(n.startswith("x") and n.endswith("y.exe") for n in told), (raw, v)


def test_what_cannot_be_read_has_its_letters(made):
    front = made().front
    data = bytearray(zipped("secret.txt", b"hello"))
    data[6] |= 1  # local header: encrypted
    data[data.index(b"PK\x01\x02") + 8] |= 1
    assert tree(front.scan(attached(bytes(data)), orders=TREE).findings)[3] == (3, "", "", ["secret.txt"], [], "UC")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        for name, kind in ("d", tarfile.DIRTYPE), ("l", tarfile.SYMTYPE), ("f", tarfile.FIFOTYPE):
            member = tarfile.TarInfo(name)
            member.type = kind
            t.addfile(member)
    got = tree(front.scan(attached(out.getvalue(), "x.tar"), orders=TREE).findings)
    assert [(p[3][0].rstrip("/"), p[5]) for p in got[3:]] == [("d", "D"), ("l", "L"), ("f", "S")]


def test_more_parts_than_are_told_are_a_limit(made):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for i in range(1400):
            z.writestr(f"{i:04}" + "x" * 80, b"a")
    v = made().front.scan(attached(out.getvalue()), orders=TREE)
    assert v.status == "limit" and "parts" in v.findings["limits"] and 600 < len(v.findings["tree"]) < 1400
