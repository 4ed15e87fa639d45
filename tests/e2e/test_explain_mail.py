"""`mailweir explain MAIL_ID`: what was decided about a mail that was, from the records that the logger keeps."""
import base64
import contextlib
import hashlib
import json
import os
import re
import sqlite3
import subprocess

import pytest

import mw
from mwlua import D_BOUNCE
from mwmail import mail

A, B = "a@example.org", "b@example.net"


@pytest.fixture
def house(suite):
    suite.sink()
    suite.set(checks__spam=False, checks__reputation=False, bypass_virus_checks_maps=[True], local_domains_maps=[[".example.org"]],
        decisions__recipients=10)
    suite.lines += ['hooks.checks = function(mail) mail:add_score(9, "HOOKED") end',
        'policy_bank.LATE = { spam_kill_level_maps = { { ["a@example.org"] = 8, ["b@example.net"] = 20 } } }',
        'hooks.new = function(mail) mail:load_policy_bank("LATE") end', 'final_spam_destiny = D_REJECT']
    return suite


def kept(suite):
    return [p for p in os.listdir(suite.folder / "state") if p.startswith("decisions-")] if (suite.folder / "state").exists() else []


def explained(suite, id_, count=1):
    """The JSON of that many mails, when they are there."""
    def ask():
        done = suite.tool("explain", id_, "--json", "-c", suite.folder / "mailweir.lua")
        lines = done.stdout.splitlines()
        return [json.loads(x) for x in lines] if len(lines) >= count else None
    return mw.until(f"{count} records of {id_}", ask)


def ids(suite, count):
    """Of mails that came; what was sent about them has records, too."""
    def came():
        return [r["mail_id"] for r in suite.records() if r["mail_from"] == "sender@example.com"]
    mw.until(f"{count} records", lambda: len(came()) >= count)
    return came()


def test_a_mail_is_explained_recipient_by_recipient_with_the_lines_of_the_settings(house):
    s = house.start_all(services=("logger",))
    reply = s.send(mail(subject="why me"), rcpts=(A, B))
    assert reply.code == 250 and "but 1 REJECT" in reply.text
    (id_,) = ids(s, 1)
    (told,) = explained(s, id_)
    assert told["mail_id"] == id_ and told["category"] == "Spam" and told["banks"] == [{"name": "LATE", "loaded_by": "hook"}]
    assert told["found"]["tests"] == {"HOOKED": 9.0} and told["from"] == "sender@example.com"
    a, b = told["recipients"]
    assert a["blocked_as"] == "Spam" and a["destiny"] == "D_REJECT" and not a["delivered"] and "554 5.7.0" in a["reply"]
    assert b["delivered"] and b["destiny"] == "D_PASS" and "Received" in b["edits"] and "Spam" not in b["categories"]
    settings = {x["name"]: x for x in a["settings"]}
    assert settings["spam_kill_level"]["value"] == "8"
    assert re.search(r'mailweir\.lua:\d+: spam_kill_level_maps of bank LATE, table 1 \(hash\), "a@example\.org"',
        settings["spam_kill_level"]["from"])
    assert re.search(r"mailweir\.lua:\d+: final_spam_destiny", settings["spam_destiny"]["from"])
    assert {x["name"]: x["value"] for x in b["settings"]}["spam_kill_level"] == "20"
    checks = {c["kind"]: c for c in told["checks"]}
    assert checks["scan"]["status"] == "not_run" and checks["scan"]["reason"]
    assert checks["hook_checks"]["status"] == "done"
    text = s.tool("explain", id_, "-c", s.folder / "mailweir.lua").stdout
    assert "why me" in text and "Recipient <a@example.org>, local" in text and "spam_kill_level = 8" in text


def test_parts_are_told_with_their_digests(house):
    s = house.set(bypass_virus_checks_maps=[False]).start_all(services=("logger", "scanner"))
    octets = b"PK but no archive\n"
    text = (b"From: sender@example.com\r\nTo: a@example.org\r\nSubject: parts\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\n"
        b"Message-ID: <parts@example.com>\r\nMIME-Version: 1.0\r\nContent-Type: application/x-odd; name=\"a b.bin\"\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(octets) + b"\r\n")
    s.send(text, rcpts=(B,))
    (id_,) = ids(s, 1)
    part = {"place": "1", "type": "application/x-odd", "name": "a b.bin", "size": len(octets),
        "sha256": hashlib.sha256(octets).hexdigest()}
    (told,) = explained(s, id_)
    assert told["found"]["parts"] == [part]
    (record,) = [r for r in s.records() if r["mail_id"] == id_]
    assert record["parts"] == [part]
    text = s.tool("explain", id_, "-c", s.folder / "mailweir.lua").stdout
    assert f"part 1, {len(octets)} octets, application/x-odd, a b.bin, sha256 {part['sha256']}" in text


def test_parts_have_no_digests_where_nobody_wants_them(house):
    s = house.set(bypass_virus_checks_maps=[False], part_digests=False).start_all(services=("logger", "scanner"))
    s.send(mail(subject="none"), rcpts=(B,))
    (id_,) = ids(s, 1)
    (told,) = explained(s, id_)
    assert all("sha256" not in p for p in told["found"].get("parts", []))
    assert {c["kind"]: c["status"] for c in told["checks"]}["scan"] == "done"


def test_what_the_header_section_breaks_and_what_the_sender_was_told_is_there(house):
    s = house.set(final_bad_header_destiny=D_BOUNCE)
    s.lines = [x for x in s.lines if "HOOKED" not in x]
    s.start_all(services=("logger",))
    s.send(mail(subject="one", message_id="<twice@example.com>", headers=["Subject: two"]), rcpts=(B,))
    (told,) = explained(s, "<twice@example.com>")
    assert told["found"]["bad_header"] == ['Duplicate header field: "Subject"']
    (b,) = told["recipients"]
    assert b["blocked_as"].startswith("BadHdr") and b["destiny"] == "D_BOUNCE" and b["notification"] == "sent"
    text = s.tool("explain", told["mail_id"], "-c", s.folder / "mailweir.lua").stdout
    assert "was notified" in text and "Duplicate header field" in text


def test_a_message_id_finds_all_mails_that_had_it(house):
    s = house.start_all(services=("logger",))
    for _ in range(3):
        s.send(mail(message_id="<same@example.com>"), rcpts=(B,))
    assert [m["mail_id"] for m in explained(s, "<same@example.com>", 3)] == list(reversed(ids(s, 3)))


def test_hostile_octets_are_printed_escaped(house):
    s = house.start_all(services=("logger",))
    assert s.send(mail(subject="\x1b[31mred\x07"), rcpts=(B,)).code == 250
    (id_,) = ids(s, 1)
    explained(s, id_)
    done = s.tool("explain", id_, "-c", s.folder / "mailweir.lua")
    assert done.returncode == 0, done.stderr
    assert r"\x1B[31mred\x07" in done.stdout and "\x1b" not in done.stdout


def test_an_unknown_id_and_no_store_are_told(house):
    s = house.start_all(services=("logger",))
    conf = s.folder / "mailweir.lua"
    done = s.tool("explain", "AAAAAAAAAAAA", "-c", conf)
    assert done.returncode == 1 and "no mail of that mail_id" in done.stderr
    s.set(logger__state_dir=str(s.folder / "elsewhere"))
    done = s.tool("explain", "AAAAAAAAAAAA", "-c", s.conf_path("logger", "other", {"pipeline.run_dir": "/tmp"}))
    assert done.returncode == 1 and "decisions.store" in done.stderr


def store_of(suite):
    return next((suite.folder / "state").glob("decisions-*.sqlite"))


def test_a_killed_logger_has_every_record_once(house):
    s = house.start_all(services=("logger",))
    for i in range(3):
        s.send(mail(message_id=f"<{i}@example.com>"), rcpts=(B,))
    explained(s, "<2@example.com>")
    s.service("logger").kill()
    for i in range(3, 6):
        s.send(mail(message_id=f"<{i}@example.com>"), rcpts=(B,))
    s.restart(s.service("logger"))
    explained(s, "<5@example.com>")
    with sqlite3.connect(store_of(s)) as db:
        got = [row[0] for row in db.execute("SELECT message_id FROM decision ORDER BY id")]
    assert got == [f"<{i}@example.com>" for i in range(6)]


def test_a_broken_file_is_put_aside_and_a_new_one_begun(house):
    s = house.start_all(services=("logger",))
    s.send(mail(message_id="<0@example.com>"), rcpts=(B,))
    explained(s, "<0@example.com>")
    path = store_of(s)
    s.service("logger").kill()
    for tail in ("-wal", "-shm"):
        (path.parent / (path.name + tail)).unlink(missing_ok=True)
    path.write_bytes(b"no database at all, but as long as one has to be" * 100)
    s.restart(s.service("logger")).wait_log(" decisions_put_aside ")
    s.send(mail(message_id="<1@example.com>"), rcpts=(B,))
    explained(s, "<1@example.com>")
    assert (path.parent / (path.name + ".bad")).exists()


def test_a_file_that_is_taken_away_is_made_anew_while_the_logger_runs(house):
    s = house.start_all(services=("logger",))
    s.send(mail(message_id="<0@example.com>"), rcpts=(B,))
    explained(s, "<0@example.com>")
    path = store_of(s)
    for tail in ("", "-wal", "-shm"):
        (path.parent / (path.name + tail)).unlink(missing_ok=True)
    s.send(mail(message_id="<1@example.com>"), rcpts=(B,))
    explained(s, "<1@example.com>")


def filled(house, **settings):
    """Settings, and a store with one mail and 3,000 records behind it, written while the logger is away."""
    s = house.set(**settings)
    s.start_all(services=("logger",))
    s.send(mail(message_id="<0@example.com>"), rcpts=(B,))
    explained(s, "<0@example.com>")
    path = store_of(s)
    s.service("logger").kill()
    with sqlite3.connect(path) as db:
        frame = db.execute("SELECT record FROM decision").fetchone()[0]
        db.executemany("INSERT INTO decision (mail_id, message_id, time_ms, incarnation, sequence, record) VALUES (?, '', ?, 1, ?, ?)",
            [("x", 1 << 41, i + 1, frame) for i in range(3000)])
    s.restart(s.service("logger"))

    def left(what="SELECT count(*), min(id), max(id) FROM decision"):
        with contextlib.closing(sqlite3.connect(path)) as db:
            return db.execute(what).fetchone()
    return left


def test_old_records_go_by_number(house):
    left = filled(house, decisions__entries=1000)
    mw.until("a thousand records", lambda: left() == (1000, 2002, 3001))


def test_old_records_go_by_their_octets_and_no_more_than_have_to(house):
    left = filled(house, decisions__octets=1048576)

    def octets():
        return left("SELECT (page_count - freelist_count) * page_size FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()")[0]
    mw.until("the oldest to go", lambda: octets() <= 1048576)
    count, first, last = left()
    assert last >= 3001 and count == last - first + 1
    assert 1048576 // (octets() // count) - 550 < count < 3001  # they go by five hundred


def test_a_full_disk_under_the_store_does_not_end_the_log(house):
    s = house
    disk = s.folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "mailweir-test", str(disk)], capture_output=True, check=False).returncode != 0:
        pytest.skip("cannot mount a tmpfs here")
    try:
        s.set(logger__state_dir=str(disk), logger__queue=65536)
        s.start_all(services=("logger",))
        ballast = disk / "ballast"
        with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as f:
            while True:
                f.write(bytes(4096))
        for i in range(60):
            s.send(mail(message_id=f"<full-{i}@example.com>"), rcpts=(B,))
        mw.until("all records in the log", lambda: len([r for r in s.records() if r.get("message_id", "").startswith("<full-")]) == 60, 30)
        s.service("logger").wait_log(" decisions_not_written ")
        ballast.unlink()
        s.service("logger").wait_log(" decisions_written_again ")
        s.send(mail(message_id="<last@example.com>"), rcpts=(B,))
        explained(s, "<last@example.com>")
        assert s.service("logger").stop() == 0
    finally:
        subprocess.run(["umount", str(disk)], check=False)
