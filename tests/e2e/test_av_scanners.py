"""Virus scanners beside libclamav: a real clamd, and fakes that stall, lie and die."""
import os
import random
import shutil
import signal
import socket
import struct
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

import mw
from mwlua import D_REJECT
from test_scanner import CLEAN, EICAR, HEAD, NAME, PLAIN, Worker, attached, zipped

DATABASE = Path(__file__).resolve().parents[2] / "services/scanner/data/eicar.ndb"
ONLY_CLAMD = 'X-Only: for clamd '  # a signature that the project's database has not
MARK = b"MAILWEIR-TEST-MARK-" + b"ONLY-CLAMD-KNOWS"


def entry(**fields):
    return fields


class Scanners(Worker):
    """A worker whose scanners were all tried once."""

    def __init__(self, suite, **settings):
        super().__init__(suite, **settings)
        self.front.wait("slots", lambda: self.front.slots.get("scan", 0) > 0)


@pytest.fixture
def made(suite):
    workers = []

    def make(*primary, backup=(), **settings):
        workers.append(Scanners(suite, av_scanners=list(primary), av_scanners_backup=list(backup), **settings))
        return workers[-1]
    yield make
    for w in workers:
        w.close()


def told(v):
    return {s["scanner"]: s["answer"] for s in v.findings["scanners"]}


def found(v):
    return sorted((x["scanner"], x["name"], x["part"]) for x in v.findings["viruses"])


# ------------------------------------------------------------------ a real clamd

@pytest.fixture
def clamd(suite):
    """A clamd with the project's signature and one more, on a socket's path and a port."""
    database = suite.folder / "clamd-db"
    database.mkdir()
    shutil.copy(DATABASE, database)
    (database / "mark.ndb").write_text(f"Only-Clamd:0:*:{MARK.hex()}\n")
    (suite.folder / "clamd-tmp").mkdir()
    path, port = suite.folder / "clamd.sock", mw.free_port()
    conf = suite.folder / "clamd.conf"
    conf.write_text(f"Foreground yes\nLocalSocket {path}\nTCPSocket {port}\nTCPAddr 127.0.0.1\nDatabaseDirectory {database}\n"
        f"TemporaryDirectory {suite.folder}/clamd-tmp\nStreamMaxLength 1M\nMaxThreads 4\nSelfCheck 0\n")
    p = suite.peer("clamd", ["clamd", "--config-file", conf])
    mw.until(lambda: f"clamd's socket\n{p.tail()}", path.exists)
    p.path, p.address = str(path), f"127.0.0.1:{port}"
    return p


def test_a_real_clamd_beside_libclamav(made, clamd):
    w = made("libclamav", entry(name="over unix", type="clamd", socket=clamd.path),
        entry(name="over tcp", type="clamd", socket=clamd.address),
        entry(name="by fd", type="clamd", socket=clamd.path, mode="fildes"))
    v = w.front.scan(CLEAN)
    assert v.status == "done" and found(v) == [], v
    assert told(v) == {"ClamAV": "clean", "over unix": "clean", "over tcp": "clean", "by fd": "clean"}
    v = w.front.scan(attached(zipped()))
    assert v.status == "done" and told(v) == dict.fromkeys(told(v), "infected"), v
    assert {name for _, name, _ in found(v)} == {NAME}
    assert {scanner for scanner, _, _ in found(v)} == set(told(v))
    # What libclamav here does not know, deep in an archive: the leaf is named.
    v = w.front.scan(attached(zipped("deep.bin", MARK)))
    assert told(v)["ClamAV"] == "clean" and told(v)["over tcp"] == told(v)["by fd"] == "infected"
    assert ("over tcp", "Only-Clamd.UNOFFICIAL", "1/2/foo.zip") in found(v) or \
        ("over tcp", "Only-Clamd.UNOFFICIAL", "1/2/foo.zip/deep.bin") in found(v), found(v)
    # Many leaves, more than may be outstanding, one of them beyond the inline size.
    mail = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"".join(
        b"--b\r\n\r\npart %d\r\n" % i for i in range(40)) + b"--b\r\n\r\n" + b"x" * 300000 + MARK + b"\r\n--b--\r\n"
    v = w.front.scan(mail)
    assert told(v) == {"ClamAV": "clean", "over unix": "infected", "over tcp": "infected", "by fd": "infected"}, v
    # Beyond clamd's StreamMaxLength: not looked at, so no verdict of clamd's; by descriptor it is.
    big = HEAD + b"\r\n" + b"y" * 1500000 + b"\r\n"
    v = w.front.scan(big)
    assert v.status == "done" and told(v)["over unix"] == told(v)["over tcp"] in ("refused", "failed"), v
    assert told(v)["ClamAV"] == told(v)["by fd"] == "clean"


def test_clamd_alone_and_dead(made, clamd):
    w = made(entry(name="c", type="clamd", socket=clamd.path), scanner__av_retry_interval=200)
    v = w.front.scan(PLAIN)
    # The leaf and the message are both with clamd: whichever answers first has found it.
    assert v.status == "done" and told(v) == {"c": "infected"}
    assert found(v) in ([("c", NAME, "1")], [("c", NAME, "message")])
    clamd.kill()
    v = w.front.scan(CLEAN)
    assert v.status == "failed" and v.reason.startswith("virus scanners failed: c: "), v
    while not w.process.log_lines("av_scanner_down"):
        w.front.scan(CLEAN)
    w.front.wait("the engine's text", lambda: "c down" in w.front.engine)
    again = w.suite.peer("clamd", ["clamd", "--config-file", w.suite.folder / "clamd.conf"])
    w.process.wait_log("av_scanner_up scanner=.*c", count=2)
    assert w.front.scan(CLEAN).status == "done"
    again.kill()


# ------------------------------------------------------------------ fakes

class Fake:
    """A clamd that finds what the word says, and lies as it is told."""

    def __init__(self, folder, lie=None):
        self.path = str(folder / f"fake-{id(self)}.sock")
        self.lie, self.sessions, self.files = lie, 0, 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o777)
        self.listener.listen(64)
        self.held = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            self.sessions += 1
            threading.Thread(target=self.session, args=(s,), daemon=True).start()

    def close(self):
        self.listener.close()

    def session(self, s):
        f = s.makefile("rb")

        def word():
            octets = b""
            while not octets.endswith(b"\0"):
                one = f.read(1)
                if not one:
                    raise EOFError
                octets += one
            return octets[:-1]
        try:
            assert word() == b"zIDSESSION"
            number = 0
            while word() == b"zINSTREAM":
                number += 1
                octets = b""
                while n := struct.unpack(">I", f.read(4))[0]:
                    octets += f.read(n)
                    if self.lie == "early" and len(octets) == n and octets != EICAR:
                        s.sendall(b"%d: stream: OK\0" % number)
                self.answer(s, number, octets)
        except (EOFError, OSError, struct.error):
            pass
        finally:
            s.close()

    def answer(self, s, number, octets):
        self.files += 1
        honest = b"%d: stream: %s\0" % (number, b"Eicar FOUND" if EICAR in octets else b"OK")
        test = octets == EICAR  # what it is tried with
        if self.lie is None or (test and self.lie != "blind"):
            s.sendall(honest)
        elif self.lie == "early":
            pass
        elif self.lie == "blind":
            s.sendall(b"%d: stream: OK\0" % number)
        elif self.lie == "stall":
            self.held.append(s)
        elif self.lie == "other id":
            s.sendall(b"%d: stream: OK\0" % (number + 7))
        elif self.lie == "twice":
            s.sendall(honest + honest)
        elif self.lie == "long":
            s.sendall(b"1: stream: " + b"x" * 5000)
        elif self.lie == "noise":
            s.sendall(b"hello\0")
        elif self.lie == "error for one":
            s.sendall(honest if number > 1 else b"1: Access denied. ERROR\0")
        elif self.lie == "dies":
            s.shutdown(socket.SHUT_RDWR)
        elif self.lie == "half":
            s.sendall(honest[:-3])
            s.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def fake(suite):
    fakes = []

    def make(lie=None):
        fakes.append(Fake(suite.folder, lie))
        return fakes[-1]
    yield make
    for f in fakes:
        f.close()


def test_liars_are_failures_and_never_clean(made, fake):
    lies = ["other id", "twice", "long", "noise", "error for one", "dies", "half", "stall"]
    w = made(*(entry(name=lie, type="clamd", socket=fake(lie).path, timeout=300 if lie == "stall" else 20000) for lie in lies))
    v = w.front.scan(attached(b"harmless", "x.txt"))
    assert v.status == "failed" and v.reason.startswith("virus scanners failed: other id: "), v
    # Beside one that answers they are told, and its verdict counts.
    honest = fake()
    w.suite.set(av_scanners=[entry(name=lie, type="clamd", socket=fake(lie).path, timeout=300 if lie == "stall" else 20000)
        for lie in lies] + [entry(name="honest", type="clamd", socket=honest.path)])
    w.suite.conf_path("scanner", "1")
    w.process.signal(1)
    w.process.wait_log("av_scanners_changed")
    v = w.front.scan(attached(b"harmless", "x.txt"))
    assert v.status == "done" and found(v) == [], v
    assert told(v) == {**dict.fromkeys(lies, "failed"), "error for one": "refused", "honest": "clean"}
    assert len(w.process.log_lines("av_scanner_failed")) >= 2 * (len(lies) - 1)


def test_who_finds_nothing_before_the_files_end_has_not_looked(made, fake):
    w = made("libclamav", entry(name="early", type="clamd", socket=fake("early").path))
    v = w.front.scan(HEAD + b"\r\n" + b"y" * 8000000 + b"\r\n")  # many times what sockets hold
    assert v.status == "done" and told(v) == {"ClamAV": "clean", "early": "failed"}, v
    assert "before it has the whole file" in str(v.findings["scanners"])


def test_who_does_not_find_eicar_is_not_asked(made, fake):
    blind, backup = fake("blind"), fake()
    w = made(entry(name="blind", type="clamd", socket=blind.path), backup=[entry(name="second", type="clamd", socket=backup.path)])
    assert "did not find the EICAR" in w.process.log_lines("av_scanner_down")[0]
    before = blind.files
    v = w.front.scan(PLAIN)
    assert v.status == "done" and found(v) == [("second", "Eicar", "1")] and told(v) == {"blind": "failed", "second": "infected"}, v
    assert blind.files == before


def test_a_dead_scanner_is_not_waited_for(made, fake):
    stalls = fake("stall")
    w = made("libclamav", entry(name="s", type="clamd", socket=stalls.path, timeout=int(500 * mw.SLOW)), scanner__av_retry_interval=3600000)
    for _ in range(3):
        assert told(w.front.scan(CLEAN)) == {"ClamAV": "clean", "s": "failed"}
    assert w.process.log_lines("av_scanner_down")
    sessions = stalls.sessions
    v = w.front.scan(CLEAN)
    assert v.status == "done" and told(v)["s"] == "failed" and stalls.sessions == sessions


def test_backup_is_libclamav(made, fake):
    w = made(entry(name="d", type="clamd", socket=fake("dies").path), backup=["libclamav"])
    v = w.front.scan(attached(zipped()))
    assert v.status == "done" and found(v) == [("ClamAV", NAME, "1/2/foo.zip/eicar.com")] and told(v) == {"d": "failed", "ClamAV": "infected"}, v
    assert w.front.scan(CLEAN, orders={"virus": False, "decode": True}).findings.get("scanners") is None


def test_all_are_tested_again_and_again(made, fake):
    f = fake()
    w = made("libclamav", entry(name="f", type="clamd", socket=f.path), scanner__self_test_interval=1000, log_level=5)
    for scanner in "ClamAV", "f":
        w.process.wait_log(f'av_scanner_tested scanner="?{scanner}"? found=1', count=2)
    assert not w.process.log_lines("av_scanner_down") and f.files >= 2


def test_a_mail_on_its_whole_way(suite, fake):
    """What only another scanner finds blocks the mail; when nobody answers it comes again."""
    f = fake()
    suite.sink()
    suite.set(av_scanners=[entry(name="other", type="clamd", socket=f.path, retries=0)], checks__spam=False,
        scanner__clamav_database=str(suite.folder / "no-database"), final_virus_destiny=D_REJECT, virus_quarantine_method="")
    front = suite.start("smtp-front")
    suite.start("scanner")
    assert suite.send(CLEAN).code == 250
    assert suite.send(PLAIN).code == 554
    front.wait_log(r"INFECTED \(Eicar\)")
    f.lie = "dies"
    assert suite.send(CLEAN).code == 451


def test_what_goes_down_and_comes_back_is_an_alert(suite, fake):
    f = fake()
    suite.sink()
    suite.set(av_scanners=["libclamav", entry(name="other", type="clamd", socket=f.path, retries=0)], checks__spam=False,
        # It finds the test file all the while: long enough that alive messages tell that it is down before that.
        scanner__av_retry_interval=int(3000 * mw.SLOW), virus_quarantine_method="")
    suite.start("logger")
    front = suite.start("smtp-front")
    suite.start("scanner")
    front.wait_log("worker_came")
    mw.until("slots", lambda: suite.send(CLEAN).code == 250)
    assert suite.alerts() == []
    f.lie = "dies"

    def alerts():
        return [(a["alert"], a["message"].split(": ")[-1]) for a in suite.alerts()]

    def told_down():
        assert suite.send(CLEAN).code == 250  # libclamav answers
        return alerts()
    assert mw.until(lambda: f"an alert {suite.alerts()}", told_down, every_s=0.2) == [("dependency_down", "other")]
    assert suite.alerts()[0]["message"].startswith("scanner-")
    f.lie = None
    mw.until(lambda: f"another {suite.alerts()}", lambda: len(alerts()) == 2)
    assert alerts()[1] == ("dependency_up", "other")


def test_first_infected_stops(made, fake):
    w = made("libclamav", entry(name="s", type="clamd", socket=fake("stall").path), first_infected_stops_scan=True)
    v = w.front.scan(PLAIN)
    assert v.status == "done" and found(v) == [("ClamAV", NAME, "1")] and told(v) == {"ClamAV": "infected"}, v


# ------------------------------------------------------------------ ICAP

C_ICAP = """PidFile {folder}/icap.pid
CommandsSocket {folder}/icap.ctl
Port 127.0.0.1:{port}
StartServers 1
MaxServers 2
MinSpareThreads 2
MaxSpareThreads 8
ThreadsPerChild 8
TmpDir {folder}/tmp
ModulesDir /usr/lib/x86_64-linux-gnu/c_icap
ServicesDir /usr/lib/x86_64-linux-gnu/c_icap
TemplateDir /usr/share/c_icap/templates/
LoadMagicFile /etc/c-icap/c-icap.magic
ServerLog {folder}/icap-server.log
AccessLog {folder}/icap-access.log
Module common clamd_mod.so
clamd_mod.ClamdSocket {clamd}
Service antivirus_module virus_scan.so
ServiceAlias avscan virus_scan?allow204=on&sizelimit=off&mode=simple
virus_scan.ScanFileTypes TEXT DATA EXECUTABLE ARCHIVE GIF JPEG MSOFFICE
virus_scan.DefaultEngine clamd
virus_scan.MaxObjectSize 5M
"""


def test_a_real_icap_server(made, clamd, suite):
    port, conf = mw.free_port(), suite.folder / "c-icap.conf"
    (suite.folder / "tmp").mkdir(exist_ok=True)
    conf.write_text(C_ICAP.format(folder=suite.folder, port=port, clamd=clamd.path))
    suite.peer("c-icap", ["c-icap", "-N", "-f", conf])

    def listens():
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0
    mw.until("c-icap's port", listens)
    w = made(entry(name="resp", type="icap", socket=f"127.0.0.1:{port}", service="avscan"),
        entry(name="req", type="icap", socket=f"127.0.0.1:{port}", service="avscan", mode="reqmod"))
    v = w.front.scan(CLEAN)
    assert v.status == "done" and told(v) == {"resp": "clean", "req": "clean"}, v
    for mail in attached(zipped()), attached(EICAR, "eicar.com"):
        v = w.front.scan(mail)
        assert v.status == "done" and told(v) == {"resp": "infected", "req": "infected"}, v
        assert any("Eicar" in name for _, name, _ in found(v)), found(v)
    noise = random.Random(1).randbytes(400000)  # always the same: others begin as a file of some type does
    assert told(w.front.scan(attached(noise + MARK, "big.bin"))) == {"resp": "infected", "req": "infected"}
    assert told(w.front.scan(attached(noise, "big.bin"))) == {"resp": "clean", "req": "clean"}


class Icap(Fake):
    """An ICAP server with a preview of 8 octets, that lies as it is told."""

    def session(self, s):
        f = s.makefile("rb")
        try:
            while first := f.readline():
                size = 0
                for line in iter(f.readline, b"\r\n"):
                    if line.lower().startswith(b"encapsulated:"):
                        size = int(line.rsplit(b"=", 1)[1])
                if first.startswith(b"OPTIONS"):
                    s.sendall(b"ICAP/1.0 200 OK\r\nMethods: RESPMOD\r\nPreview: 8\r\nAllow: 204\r\nEncapsulated: null-body=0\r\n\r\n")
                    continue
                f.read(size)
                octets, whole = self.chunks(f)
                if not whole and self.lie == "preview" and not EICAR.startswith(octets):
                    s.sendall(b"ICAP/1.0 204 No\r\n\r\n")
                    continue
                if not whole:
                    s.sendall(b"ICAP/1.0 100 Continue\r\n\r\n")
                    octets += self.chunks(f)[0]
                self.files += 1
                self.icap_answer(s, octets)
        except (OSError, ValueError):
            pass
        finally:
            s.close()

    def chunks(self, f):
        octets = b""
        while n := int((line := f.readline()).split(b";")[0], 16):
            octets += f.read(n)
            f.readline()
        f.readline()
        return octets, b"ieof" in line

    def icap_answer(self, s, octets):
        if octets == EICAR:
            s.sendall(b"ICAP/1.0 200 OK\r\nX-Infection-Found: Type=0; Resolution=2; Threat=Eicar;\r\nEncapsulated: res-hdr=0, res-body=26\r\n\r\n"
                b"HTTP/1.1 403 Forbidden\r\n\r\n" + b"5\r\nsorry\r\n0\r\n\r\n")
            return
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(octets), octets)
        inner = b"Encapsulated: res-hdr=0, res-body=19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
        said = {None: b"ICAP/1.0 204 No\r\n\r\n",
            "same": b"ICAP/1.0 200 OK\r\n" + inner + body,
            "changed": b"ICAP/1.0 200 OK\r\n" + inner + body.replace(b"a", b"b"),
            "closes": b"ICAP/1.0 204 No\r\nConnection: close\r\n\r\n",
            "error": b"ICAP/1.0 500 Oops\r\n\r\n",
            "blocks": b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, null-body=26\r\n\r\nHTTP/1.1 403 Forbidden\r\n\r\n",
            "symantec": b"ICAP/1.0 200 OK\r\nX-Violations-Found: 1\r\n\tfile.exe\r\n\tBad.Virus\r\n\t11\r\n\t0\r\nEncapsulated: null-body=0\r\n\r\n",
            "continue": b"ICAP/1.0 100 Continue\r\n\r\n",
            "noise": b"HTTP/1.1 200 OK\r\n\r\n",
            "twice": b"ICAP/1.0 204 No\r\n\r\n" * 2,
            "dies": b"ICAP/1.0 20", "stall": b""}[self.lie]
        s.sendall(said)
        if self.lie in ("dies", "closes"):
            s.shutdown(socket.SHUT_RDWR)


def test_icap_servers_that_lie(made, suite):
    lies = {None: "clean", "same": "clean", "closes": "clean", "changed": "refused", "error": "refused", "blocks": "infected",
        "symantec": "infected", "preview": "refused", "continue": "failed", "noise": "failed", "twice": "failed", "dies": "failed", "stall": "failed"}
    fakes = [Icap(suite.folder, lie) for lie in lies]
    w = made("libclamav", *(entry(name=str(f.lie), type="icap", socket=f.path, service="x", timeout=1000 if f.lie == "stall" else 30000)
        for f in fakes))
    v = w.front.scan(attached(b"a harmless text, longer than the preview", "x.txt"))
    assert told(v) == {"ClamAV": "clean", **{str(lie): answer for lie, answer in lies.items()}}, v
    assert {(s, n) for s, n, _ in found(v)} == {("blocks", "blocked"), ("symantec", "Bad.Virus")}
    v = w.front.scan(CLEAN)
    assert told(v)["None"] == told(v)["same"] == "clean" and fakes[0].sessions == fakes[1].sessions == 1
    for f in fakes:
        f.close()


def test_an_empty_mail_is_nothing_to_look_at(made, fake, suite):
    icap, clamd = Icap(suite.folder), fake()
    w = made(entry(name="icap", type="icap", socket=icap.path, service="x"), entry(name="clamd", type="clamd", socket=clamd.path))
    files = icap.files, clamd.files
    v = w.front.scan(b"")
    assert v.status == "done" and told(v) == {"icap": "clean", "clamd": "clean"}, v
    assert (icap.files, clamd.files) == files
    icap.close()


# ------------------------------------------------------------------ a program

PROGRAM = """#!/bin/sh
# As clamscan: a line for each file, 1 when one is infected. No process a file: there are many.
code=0
for f in "$@"; do
	t=
	while IFS= read -r line || [ -n "$line" ]; do t="$t$line"; done <"$f"
	case $t in
	*EICAR-STANDARD-ANTIVIRUS*) echo "$f: Eicar-Test FOUND"; code=1; continue ;;
	*DO-SLEEP*) sleep 600 & sleep 600 ;;
	*DO-NOISE*) seq 1 40000 ;;
	*DO-ODD*) exit 7 ;;
	*DO-ESCAPE*)
		echo x >%(outside)s/escaped && echo "$f: Escaped FOUND" && code=1
		cat %(outside)s/secret && echo "$f: Read FOUND" && code=1
		/usr/bin/python3 -c 'import socket; socket.socket()' 2>/dev/null && echo "$f: Socket FOUND" && code=1
		kill -0 $PPID 2>/dev/null && echo "$f: Kill FOUND" && code=1 ;;
	esac
	echo "$f: OK"
done
exit $code
"""


@pytest.fixture
def program(suite):
    """A command-line scanner as an entry."""
    folder, outside = suite.folder / "opt", suite.folder / "outside"
    folder.mkdir()
    outside.mkdir(mode=0o777)
    (outside / "secret").write_text("secret")
    path = folder / "scan"
    path.write_text(PROGRAM % {"outside": outside})
    path.chmod(0o755)
    folder.chmod(0o755)

    def make(name="prog", **fields):
        return {"name": name, "type": "program", "program": str(path), "arguments": ["{}/*"], "clean": [0], "infected": [1],
            "names": "^.*: (.*) FOUND$", **fields}
    make.outside = outside
    return make


def test_a_program_in_its_cage(made, program, suite):
    w = made("libclamav", program(), program("no clean", clean=None), program("by output", infected="(?m)FOUND$", clean="(?m)^.*: OK$"))
    v = w.front.scan(attached(EICAR, "eicar.com"))
    assert v.status == "done" and ("by output", "Eicar-Test", "1/2/eicar.com") in found(v), v
    assert told(v) == {"ClamAV": "infected", "prog": "infected", "no clean": "infected", "by output": "infected"}
    v = w.front.scan(CLEAN)
    assert v.status == "done" and told(v) == {"ClamAV": "clean", "prog": "clean", "no clean": "silent", "by output": "clean"}, v
    # Runs that fail are no verdict, the program is alive; with one that hangs what it started goes too.
    v = w.front.scan(HEAD + b"\r\nDO-ODD\r\n")
    assert told(v)["prog"] == "refused" and "exit code 7" in str(v.findings["scanners"]), v
    v = w.front.scan(HEAD + b"\r\nDO-NOISE\r\n")
    assert told(v)["prog"] == "failed"
    v = w.front.scan(HEAD + b"\r\nDO-ESCAPE\r\n")
    assert told(v)["prog"] == "clean", v
    assert not (program.outside / "escaped").exists()
    v = w.front.scan(HEAD + b"\r\nDO-SLEEP\r\n", ms=int(8000 * mw.SLOW))
    assert v.status == "done" and told(v)["prog"] == "failed", v
    mw.until("no process of the program", lambda: not [p for p in mw.children(w.process.pid) if p not in (w.holder(), *w.cages())])
    mw.until("its folders to be gone", lambda: len(list((suite.folder / "run/cages").glob("holder-*"))) == 1)


# Takes the place of mailweir-cage: of a mail that is not the test file it says more than is read at once, and has ended by then (messages: cage/proto.h).
RUNNER = """#!/bin/sh
[ "$1" = program ] || exec %(cage)s
exec %(python)s - <<'END'
import os, signal, socket
import msgpack
s = socket.socket(fileno=3)
_, fds, _, _ = socket.recv_fds(s, 1 << 17, 1)
test = os.fstat(fds[0]).st_size < 100
if not test:
    os.kill(os.getppid(), signal.SIGSTOP)
    while ") T " not in open("/proc/%%d/stat" %% os.getppid()).read():
        pass
for i in range(1 if test else 100):
    s.send(msgpack.packb([1, 12, i, 1, int(test), 0, False, b""]))
if test:
    s.send(msgpack.packb([1, 13, 1]))
END
"""


def test_a_runner_that_ended_before_all_its_words_were_read(made, program, suite):
    path = suite.folder / "opt/cage"
    path.write_text(RUNNER % {"cage": mw.BIN / "mailweir-cage", "python": sys.executable})
    path.chmod(0o755)
    w = made("libclamav", program(), scanner__cage_program=str(path))
    job = w.front.send(CLEAN)
    mw.until("the scanner to be stopped", lambda: mw.proc_stat(w.process.pid)[0] == "T")
    mw.until("the runner's end", lambda: any((s := mw.proc_stat(p)) and s[0] == "Z" and int(s[1]) == w.process.pid for p in mw.all_pids()))
    w.process.signal(signal.SIGCONT)
    v = w.front.verdict(job)
    assert v.status == "done" and told(v) == {"ClamAV": "clean", "prog": "failed"}, v
    assert "the runner died" in str(v.findings["scanners"])
    assert w.front.scan(CLEAN, kind="scan", orders={"virus": False, "decode": True}).status == "done"


def test_a_program_is_given_many_files_in_portions(made, program):
    w = made(program())
    parts = [b"--b\r\n\r\npart %d\r\n" % i for i in range(90)]
    mail = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"".join(parts) + b"--b--\r\n"
    v = w.front.scan(mail)
    assert v.status == "done" and told(v) == {"prog": "clean"}, v
    # A failure in a later portion is a failure.
    parts[80] = b"--b\r\n\r\nDO-ODD\r\n"
    mail = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"".join(parts) + b"--b--\r\n"
    v = w.front.scan(mail)
    assert v.status == "failed" and "exit code 7" in v.reason, v


@pytest.mark.parametrize("kind", ["libclamav", "clamd", "icap", "program"])
def test_names_of_every_kind_of_scanner_are_points_or_load_banks(suite, fake, program, kind):
    """Tables of virus names do not ask who found the virus."""
    icap = Icap(suite.folder, None)
    scanner, name = {"libclamav": lambda: ("libclamav", NAME), "clamd": lambda: (entry(name="c", type="clamd", socket=fake().path), "Eicar"),
        "icap": lambda: (entry(name="i", type="icap", socket=icap.path, service="avscan"), "Eicar"),
        "program": lambda: (program(), "Eicar-Test")}[kind]()
    suite.sink()
    suite.set(av_scanners=[scanner], checks__spam=False, scanner__clamav_database=str(suite.folder / "no-database"),
        final_virus_destiny=D_REJECT, virus_quarantine_method="")
    suite.lines.append("policy_bank.SEEN = { final_virus_destiny = D_PASS }")
    front = suite.start("smtp-front")
    suite.start("scanner")
    assert suite.send(attached(EICAR, "eicar.com")).code == 554
    for count, table in enumerate(({"virus_name_to_spam_score_maps": [{name: 2.5}]},
            {"virus_name_to_spam_score_maps": [], "virus_name_to_policy_bank_maps": [{name: "SEEN"}]}), 1):
        suite.set(**table)
        suite.conf_path("smtp-front", "1")
        front.signal(1)
        front.wait_log("settings_reloaded", count=count)
        assert suite.send(attached(EICAR, "eicar.com")).code == 250
    front.wait_log(r"Passed INFECTED \(.*SEEN")
    icap.close()


@pytest.mark.parametrize("scanners,why", [
    ("{}", "av_scanners and av_scanners_backup are empty"),
    ('{ "clamd" }', "must be a table with the fields of its type"),
    ('{ { type = "clamd" } }', "socket: missing"),
    ('{ { type = "clamd", socket = "localhost:3310" } }', "numeric address"),
    ('{ { type = "clamd", socket = "127.0.0.1:3310", mode = "fildes" } }', "path alone"),
    ('{ { type = "clamd", socket = "/x", mod = "fildes" } }', "mod: there is no such field"),
    ('{ "libclamav", "libclamav" }', "name: is another entry's"),
    ('{ { type = "program", program = "clamscan", arguments = { "{}" }, infected = { 1 } } }', "path of a program"),
    ('{ { type = "program", program = "/bin/x", arguments = { "x" }, infected = { 1 } } }', "one must be"),
    ('{ { type = "program", program = "/bin/x", arguments = { "{}" } } }', "infected: missing"),
    ('{ { type = "icap", socket = "127.0.0.1:1344" } }', "service"),
    ('{ { type = "clamd", socket = "/x", timeout = "10 s" } }', "timeout: must be a whole number, 100 to 3600000"),
    ('{ { type = "clamd", socket = "/x", slots = 257 } }', "slots: must be a whole number, 1 to 256"),
    ('{ { type = "program", program = "/bin/x", arguments = { "{}" }, infected = { 1 }, memory = "1G" } }', "memory: must be a whole number"),
])
def test_what_is_wrong_is_said(suite, scanners, why):
    suite.lines.append(f"av_scanners = {scanners}")
    p = suite.start("scanner", wait=False)
    p.popen.wait(20 * mw.SLOW)
    assert why in p.log() + p.out(), p.tail()
    # The tool says it before anything is started.
    done = suite.tool("check-config", suite.conf_path("scanner", "1"))
    assert done.returncode != 0 and why in done.stderr and "settings ok" not in done.stdout, done


def test_check_config_tells_of_a_program_that_is_not_there(suite):
    suite.lines.append('av_scanners = { "libclamav", { name = "gone", type = "program", program = "/nowhere/av", '
        'arguments = { "{}" }, infected = { 1 } } }')
    done = suite.tool("check-config", suite.conf_path("scanner", "1"))
    assert done.returncode == 0 and "settings ok" in done.stdout, done
    assert 'warning: av_scanners: scanner "gone": /nowhere/av: No such file' in done.stderr, done


def metrics(listen):
    with urllib.request.urlopen(f"http://{listen}/metrics", timeout=10 * mw.SLOW) as r:
        lines = r.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def test_metrics_tell_of_each_scanner_and_of_the_cages(made, fake):
    listen = f"127.0.0.1:{mw.free_port()}"
    good, dead = fake(), fake("stall")
    w = made("libclamav", entry(name='go"od', type="clamd", socket=good.path),
        entry(name="dead", type="clamd", socket=dead.path, timeout=int(500 * mw.SLOW)), scanner__av_retry_interval=3600000, http__listen=listen)
    for _ in range(3):
        w.front.scan(CLEAN)
    w.front.scan(EICAR)
    m = metrics(listen)

    def mails(name, answer):
        return m['mailweir_virus_scanner_mails_total{scanner="%s",answer="%s"}' % (name, answer)]
    assert m['mailweir_virus_scanner_up{scanner="ClamAV"}'] == m['mailweir_virus_scanner_up{scanner="go\\"od"}'] == 1
    assert m['mailweir_virus_scanner_up{scanner="dead"}'] == 0
    assert (mails("ClamAV", "clean"), mails("ClamAV", "infected"), mails("ClamAV", "failed")) == (3, 1, 0)
    assert (mails('go\\"od', "clean"), mails('go\\"od', "infected")) == (3, 1)
    assert mails("dead", "failed") == 3, "then it was asked no more"
    assert m['mailweir_virus_scanner_us_total{scanner="ClamAV"}'] > 0
    assert m["mailweir_cages"] > 0 and m["mailweir_cages_mails_waiting"] == 0 and m["mailweir_cages_engine_loads_total"] == 1
