"""Copies of mail: where they go, what stands on top of them, and what becomes of mail that cannot be kept."""
import gzip
import os
import re
import resource
import sys
from pathlib import Path

import pytest

import mw
import mwhop
from mwhop import A, B
from mwlua import D_DISCARD, D_PASS, D_REJECT
from mwmail import eicar_mail, gtube, mail

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes"))

from next_hop import NextHop  # noqa: E402

behind = mwhop.behind  # the fixture
LARGE = {"enforce_smtpd_message_size_limit_64kb_min": False, "message_size_limit_maps": [100],
         "final_destiny_by_ccat": {"CC_OVERSIZED": D_DISCARD}}
MAIL = mail(message_id="<x@example.com>", body=b".dot\r\n" + b"x" * 200 + b"\r\n")


@pytest.fixture
def mailbox():
    hop = NextHop()
    yield hop
    hop.close()


def large(method, **more):
    return {**LARGE, "quarantine_method_by_ccat": {"CC_OVERSIZED": method}, **more}


def copies(suite):
    """Path below QUARANTINEDIR -> octets."""
    root = suite.folder / "quarantine"
    return {str(p.relative_to(root)): gzip.decompress(p.read_bytes()) if p.suffix == ".gz" else p.read_bytes()
            for p in root.rglob("*") if p.is_file() and not p.name.startswith(("index.", "."))}


def only(suite):
    found = copies(suite)
    assert len(found) == 1, found.keys()
    return found.popitem()


def names_of(octets):
    """Names of the fields on top, as far as our own Received, and their values."""
    fields = []
    for line in octets.split(b"\r\n"):
        if line[:1] in b" \t" and fields:
            fields[-1][1] += line.decode()
        else:
            name, _, value = line.decode().partition(":")
            if fields and fields[-1][0] == "Received":
                break
            fields.append([name, value.strip()])
    return [f[0] for f in fields], dict(fields)


# ------------------------------------------------------------------ files

@pytest.mark.parametrize("method, levels, name", [
    ("local:large-%m.gz", 1, r"(.)/large-\1[\w-]{11}\.gz"),
    ("local:large-%m", 1, r"(.)/large-\1[\w-]{11}"),
    ("local:%P-%n-%m%%", 0, r"7-\d+-\d+-[\w-]{12}%"),
    ("local:%b_%m", 0, r"[0-9a-f]{32}_[\w-]{12}"),
    ("local:%i_%m", 0, r"20\d{6}T\d{6}_[\w-]{12}"),
])
def test_files_are_called_as_their_template_says(behind, suite, method, levels, name):
    hop = behind(large(method, partition_tag=7, quarantine_subdir_levels=levels))
    assert suite.send(MAIL, rcpts=(A, B)).code == 250
    path, octets = only(suite)
    assert re.fullmatch(name, path), path
    names, values = names_of(octets)
    assert names == ["Return-Path", "Delivered-To", "X-Envelope-From", "X-Envelope-To", "X-Envelope-To-Blocked",
                     "X-Quarantine-ID", "Received"]
    assert values["Return-Path"] == values["X-Envelope-From"] == "<sender@example.com>"
    assert values["X-Envelope-To"] == values["X-Envelope-To-Blocked"] == f"<{A}>, <{B}>"
    assert octets.endswith(MAIL), "the original is not as it came"
    assert hop.mails == [] and os.stat(suite.folder / "quarantine" / path).st_mode & 0o777 == 0o640


def test_the_copy_of_spam_tells_the_scores(behind, suite):
    spamd = suite.spamd()
    behind({"scanner.spamd": spamd.address, "final_spam_destiny": D_REJECT, "spam_lovers_maps": [[B]]}, services=("scanner",))
    reply = suite.send(mail(body=gtube().encode() + b"\r\n"), rcpts=(A, B))
    assert reply.code == 250 and reply.text.endswith(", but 1 REJECT"), "one reply for both: B wants spam"
    path, octets = only(suite)
    names, values = names_of(octets)
    assert names[5:] == ["X-Quarantine-ID", "X-Spam-Flag", "X-Spam-Score", "X-Spam-Level", "X-Spam-Status", "Received"]
    assert values["X-Spam-Flag"] == "YES" and values["X-Envelope-To-Blocked"] == f"<{A}>"
    assert re.fullmatch(r"Yes, score=[\d.]+ tag=-?[\d.]+ tag2=[\d.]+ kill=[\d.]+ tests=\[.*GTUBE=.*\] autolearn=\w+",
                        values["X-Spam-Status"]), values


def test_spam_above_the_cutoff_is_not_kept(behind, suite):
    spamd = suite.spamd()
    behind({"scanner.spamd": spamd.address, "final_spam_destiny": D_REJECT,
            "spam_quarantine_cutoff_level_maps": [{A: 20, B: 5000}]}, services=("scanner",))
    assert suite.send(mail(body=gtube().encode() + b"\r\n"), rcpts=(A, B)).code == 554
    _, values = names_of(only(suite)[1])
    assert values["X-Envelope-To-Blocked"] == f"<{B}>"


def test_passed_mail_is_kept_when_its_category_has_a_method(behind, suite):
    hop = behind({"final_virus_destiny": D_PASS, "clean_quarantine_method": "local:clean-%m", "clean_quarantine_to_maps": [{A: "kept"}]},
                 services=("scanner",))
    assert suite.send(MAIL, rcpts=(B,)).code == 250
    assert copies(suite) == {}
    assert suite.send(MAIL, rcpts=(A, B)).code == 250
    assert suite.send(eicar_mail(), rcpts=(A,)).code == 250
    assert len(hop.mails) == 3
    kept = copies(suite)
    assert sorted(re.sub(r"[\w-]{12}(\.gz)?$", "", p.split("/", 1)[-1] if p[1] == "/" else p[:4]) for p in kept) == ["kept", "virus-"]
    for octets in kept.values():
        assert names_of(octets)[1]["X-Envelope-To-Blocked"] == ""


def test_batch_smtp_has_the_envelope(behind, suite):
    behind(large("bsmtp:batch/%s-%m"))
    assert suite.send(MAIL, rcpts=(A, B)).code == 250
    path, octets = only(suite)
    assert re.fullmatch(r"batch/sender_at_example\.com-[\w-]{12}", path), path
    lines = octets.split(b"\r\n")
    assert lines[0].startswith(b"EHLO ") and lines[1].startswith(b"MAIL FROM:<sender@example.com>")
    assert [line.split()[1] for line in lines[2:4]] == [f"TO:<{r}>".encode() for r in (A, B)] and lines[4] == b"DATA"
    assert octets.endswith(MAIL.replace(b"\r\n.dot", b"\r\n..dot") + b".\r\nQUIT\r\n")


# ------------------------------------------------------------------ mailed

@pytest.mark.parametrize("method", ["smtp", "local"])
def test_a_copy_is_mailed_to_the_quarantine_s_address(behind, suite, mailbox, method):
    hop = behind(large(mailbox.method if method == "smtp" else "local:x-%m", notify_method=mailbox.method,
                       quarantine_to_maps_by_ccat={"CC_OVERSIZED": [{A: "q@example.org", B: "%a"}]}))
    assert suite.send(MAIL, rcpts=(A, B)).code == 250
    if method == "smtp":  # one mail for both
        assert [sorted(m.rcpts) for m in mailbox.mails] == [[B, "q@example.org"]] or len(mailbox.mails) == 1
    octets = mailbox.mails[0].octets
    assert b"X-Quarantine-ID: <" in octets and not octets.startswith(b"Return-Path") and hop.mails == [] and copies(suite) == {}


@pytest.mark.parametrize("hop_says", [{"rcpt": b"550 5.1.1 no\r\n"}, {"dot": b"451 4.3.0 later\r\n"}, {"dot": b"552 5.2.2 full\r\n"}])
def test_a_mailbox_that_does_not_take_the_copy_defers_the_mail(behind, suite, hop_says):
    with NextHop(**hop_says) as full:
        behind(large(full.method, quarantine_to_maps_by_ccat={"CC_OVERSIZED": ["q@example.org"]}))
        assert suite.send(MAIL).code == 451
        suite.front.wait_log("quarantine_failed")


# ------------------------------------------------------------------ archive

def test_the_archive_has_every_mail(behind, suite):
    hop = behind({"archive_quarantine_method": "local:all-%m.gz", "archive_quarantine_to_maps": [{A: "archive", B: ""}]},
                 services=("scanner",))
    for octets, code in ((MAIL, 250), (eicar_mail(), 250)):
        assert suite.send(octets, rcpts=(A, B)).code == code
    assert suite.send(MAIL, rcpts=(B,)).code == 250
    assert len(hop.mails) == 2
    folders = [p.split("/")[0] for p in copies(suite)]
    assert folders.count("archive") == 2 and len(folders) == 3, folders


def test_a_mailed_archive_has_the_mail_with_its_envelope(behind, suite, mailbox):
    hop = behind({"archive_quarantine_method": mailbox.method, "archive_quarantine_to_maps": ["%a"]})
    assert suite.send(MAIL, rcpts=(A, B)).code == 250
    assert [m.sender.split()[1] for m in (mailbox.mails[0], hop.mails[0])] == ["FROM:<sender@example.com>"] * 2
    assert mailbox.mails[0].rcpts == hop.mails[0].rcpts
    assert len(mailbox.mails) == 1 and mailbox.mails[0].octets.endswith(MAIL)


def test_the_log_line_of_a_mailed_copy_has_no_words_of_a_recipients_address(behind, suite, mailbox):
    behind({"archive_quarantine_method": mailbox.method, "archive_quarantine_to_maps": ["%a"]})
    assert suite.send(MAIL, rcpts=('"x type=F mail_id=FAKE"@example.org',)).code == 250
    line, = suite.front.log_lines("archived")
    assert r' file="\x22x type=F mail_id=FAKE\x22@example.org" type=M' in line, line


# ------------------------------------------------------------------ what goes wrong

def test_a_full_disk_defers_the_mail_and_leaves_no_half_file(behind, suite):
    hop = behind(large("local:large-%m"))
    suite.front.stop()
    front = suite.start("smtp-front", limit=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000)))
    assert suite.send(MAIL).code == 250
    assert suite.send(mail(body=(b"x" * 70 + b"\r\n") * 400)).code == 451
    front.wait_log("quarantine_failed")
    assert len(copies(suite)) == 1 and not list((suite.folder / "quarantine").rglob(".new-*"))
    assert suite.send(MAIL).code == 250 and hop.mails == []


@pytest.mark.parametrize("folder", ["", "/proc/nowhere"])
def test_a_quarantine_that_cannot_be_written_is_an_error_at_start(suite, folder):
    suite.set(QUARANTINEDIR=folder, forward_method="smtp:[127.0.0.1]:9")
    front = suite.start("smtp-front", wait=False)
    front.popen.wait(60)
    assert front.popen.returncode != 0 and ("QUARANTINEDIR" if not folder else folder) in front.log(), front.log()


NO_FILES = {f"{kind}_quarantine_method": "" for kind in ("virus", "banned_files", "spam", "bad_header", "unchecked")}


def test_batch_smtp_below_no_quarantine_is_an_error_at_start(suite):
    suite.set(**large("bsmtp:out/%m", **NO_FILES), QUARANTINEDIR="", forward_method="smtp:[127.0.0.1]:9")
    front = suite.start("smtp-front", wait=False)
    front.popen.wait(60)
    assert front.popen.returncode != 0 and "QUARANTINEDIR" in front.log(), front.log()


def test_batch_smtp_elsewhere_needs_no_quarantine(behind, suite):
    elsewhere = suite.folder / "elsewhere"
    elsewhere.mkdir()
    behind(large(f"bsmtp:{elsewhere}/out-%m", **NO_FILES, QUARANTINEDIR=""))
    assert suite.send(MAIL, rcpts=(A, B)).code == 250
    octets = next(elsewhere.iterdir()).read_bytes()
    assert octets.startswith(b"EHLO ") and octets.endswith(b"\r\n.\r\nQUIT\r\n")


def test_who_is_taken_off_by_a_hook_is_in_no_copy(behind, suite):
    suite.lines.append(f'hooks.new = function(mail) mail:remove_recipient("{B}") end')
    behind(large("bsmtp:out-%m"))
    assert suite.send(MAIL, rcpts=(A, B)).code == 250
    _, octets = only(suite)
    assert octets.count(b"\r\nRCPT TO:") == 1 and B.encode() not in octets


def test_without_sync_the_copy_is_there_all_the_same(behind, suite):
    behind(large("local:large-%m", **{"quarantine.sync": False}))
    assert suite.send(MAIL).code == 250
    assert only(suite)[1].endswith(MAIL)
