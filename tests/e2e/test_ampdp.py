"""
AM.PDP with a raw client: what a milter is told for every decision, its edits beside what SMTP delivers, hostile
requests, clients and fronts that die. test_milter.py has the real milter.
"""
import gzip
import os
import re
import socket
import stat
import urllib.request

import pytest

import mw
from mwampdp import Client, MailDir, applied, check, request
from mwhop import NO_DSN
from mwlua import D_DISCARD, D_PASS, D_REJECT, D_TEMPFAIL
from mwmail import DkimKey, eicar_mail, field, fields, mail
from mwsmtp import Gone

ORDER = ["version_server", "log_id", "setreply", "delrcpt", "delheader", "insheader", "return_value", "exit_code"]


class Asked:
    """A front with one SMTP port, one AM.PDP port and an AM.PDP socket."""

    def __init__(self, suite):
        self.suite = suite
        self.files = MailDir(suite.folder / "milter")
        self.path = suite.folder / "run/ampdp.sock"
        self.port = mw.free_port()
        suite.set(ampdp__mail_dirs=[str(self.files.folder)], unix_socketname=[str(self.path)], unix_socket_mode="0666",
            inet_socket_port=["127.0.0.1:0", f"127.0.0.1:{self.port}"])
        self.bank = {"protocol": "AM.PDP"}
        self.banks = {"AM.PDP": self.bank}

    def start(self, services=("scanner",), settings=None):
        if "scanner" not in services:
            self.suite.set(bypass_virus_checks_maps=[True])
        self.suite.set(policy_bank=self.banks, interface_policy={"SOCK": "AM.PDP", str(self.port): "AM.PDP"}, **(settings or {}))
        self.suite.start_all(services=services)
        return self

    def client(self, tcp=False):
        return Client(("127.0.0.1", self.port) if tcp else self.path, 60 * mw.SLOW)

    def ask(self, octets=None, tcp=False, **more):
        """One mail over a connection of its own."""
        tempdir = self.files.put(octets or mail())
        with self.client(tcp) as c:
            return c.ask(*check(tempdir, **more))


@pytest.fixture
def asked(suite):
    suite.sink()
    return Asked(suite)


def in_order(answer):
    names = [n for n, _ in answer.lines]
    assert names == sorted(names, key=ORDER.index), names
    assert answer.one("version_server") == "2"


# ------------------------------------------------------------------ decisions

@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
def test_a_clean_mail_goes_on_with_our_fields(asked, tcp):
    asked.start()
    octets = mail(headers=["X-Spam-Flag: YES", "Received: from a by b; Mon, 02 Mar 2026 08:15:30 +0000"])
    a = asked.ask(octets, tcp)
    in_order(a)
    assert (a.value, a.exit_code, a.code) == ("continue", 0, 250)
    assert a.text.startswith("250 2.5.0 Ok, id=") and a.one("log_id") in a.text
    got, left = applied(a, octets, ["rcpt@example.org"])
    assert left == ["rcpt@example.org"]
    assert field(got, "X-Virus-Scanned") and field(got, "X-Spam-Flag") is None
    assert sum(n.lower() == "received" for n, _ in fields(got)) == 1, "we are no hop"
    assert asked.suite.sinks[0].count() == 0, "the client delivers"


@pytest.mark.parametrize("destiny,value,code,exit_code", [(D_REJECT, "reject", 554, 69), (D_DISCARD, "discard", 250, 99),
    (D_TEMPFAIL, "tempfail", 450, 75)], ids=str)
def test_a_virus_gets_its_destiny(asked, destiny, value, code, exit_code):
    asked.start(settings={"final_virus_destiny": destiny})
    a = asked.ask(eicar_mail())
    in_order(a)
    assert (a.value, a.code, a.exit_code) == (value, code, exit_code)
    assert not a.all("insheader") and not a.all("delrcpt"), "no edits follow"
    kept = list((asked.suite.folder / "quarantine").rglob("virus-*.gz"))
    assert len(kept) == (destiny is not D_TEMPFAIL), "kept before the answer, but for what comes again"


def test_a_virus_that_passes_is_marked(asked):
    asked.start(settings={"final_virus_destiny": D_PASS})
    octets = eicar_mail()
    a = asked.ask(octets)
    assert a.value == "continue"
    assert "INFECTED" in field(applied(a, octets, ["rcpt@example.org"])[0], "X-Amavis-Alert")


def test_no_scanner_is_tempfail_and_never_discard(asked):
    asked.suite.set(child_timeout=4)
    asked.start(services=(), settings={"bypass_virus_checks_maps": []})
    a = asked.ask()
    in_order(a)
    assert (a.value, a.code, a.exit_code) == ("tempfail", 451, 75)


def test_spam_is_judged_for_each_recipient(asked):
    # Scores come from spamd; here the levels do: everything is spam from -1 on, and one recipient bypasses.
    s = asked.suite
    s.set(scanner__spamd=s.spamd().address, final_spam_destiny=D_DISCARD, sa_tag_level_deflt=-100, sa_tag2_level_deflt=-50,
        sa_kill_level_deflt=-50, bypass_spam_checks_maps=["friend@example.org"])
    asked.start()
    a = asked.ask(rcpts=("a@example.org", "friend@example.org", "b@example.org"))
    in_order(a)
    assert a.value == "continue" and a.exit_code == 0
    assert a.all("delrcpt") == ["<a@example.org>", "<b@example.org>"]
    assert "2 DISCARD" in a.text
    a = asked.ask(rcpts=("a@example.org", "b@example.org"))
    assert (a.value, a.exit_code) == ("discard", 99), "nobody is left"
    assert not a.all("delrcpt")


def virus_for_one(asked, **settings):
    asked.start(settings={"final_virus_destiny": D_REJECT, "bypass_virus_checks_maps": ["brave@example.org"], **settings})
    return asked.ask(eicar_mail(), rcpts=("brave@example.org", "a@example.org"))


def test_a_reject_beside_a_pass_is_told_to_nobody_when_its_notification_is_suppressed(asked):
    a = virus_for_one(asked, virus_quarantine_method="")
    in_order(a)
    assert (a.value, a.code) == ("continue", 250)
    assert a.all("delrcpt") == ["<a@example.org>"] and "1 REJECT" in a.text
    assert asked.suite.sinks[0].count() == 0, "viruses fake senders"


def test_a_reject_beside_a_pass_is_told_to_the_sender(asked):
    a = virus_for_one(asked, virus_quarantine_method="", viruses_that_fake_sender_maps=[False])
    assert (a.value, a.code) == ("continue", 250)
    assert a.all("delrcpt") == ["<a@example.org>"] and "1 REJECT" in a.text
    told = asked.suite.sinks[0].last()[1].lower()
    assert b"final-recipient: rfc822" in told and b"a@example.org" in told


def test_a_reject_beside_a_pass_takes_the_recipient_off_when_a_copy_is_kept(asked):
    a = virus_for_one(asked, **NO_DSN)
    in_order(a)
    assert (a.value, a.code) == ("continue", 250)
    assert a.all("delrcpt") == ["<a@example.org>"] and "1 REJECT" in a.text
    assert list((asked.suite.folder / "quarantine").rglob("virus-*.gz"))


def test_a_reject_beside_a_pass_refuses_all_when_none_is(asked):
    a = virus_for_one(asked, virus_quarantine_method="", **NO_DSN)
    assert (a.value, a.code, a.exit_code) == ("reject", 554, 69)
    assert "1 of 2 recipients" in a.text


def test_unchecked_mail_gets_its_destiny(asked):
    asked.start(services=(), settings={"bypass_virus_checks_maps": [], "virus_scanners_failure_is_fatal": False, "child_timeout": 4,
        "final_unchecked_destiny": D_REJECT})
    a = asked.ask()
    assert (a.value, a.code) == ("reject", 554) and "UNCHECKED" in a.text


def test_a_quarantine_that_fails_is_tempfail(asked):
    asked.start(settings={"final_virus_destiny": D_DISCARD})
    quarantine = asked.suite.folder / "quarantine"
    quarantine.rename(asked.suite.folder / "away")
    a = asked.ask(eicar_mail())
    assert (a.value, a.code, a.exit_code) == ("tempfail", 451, 75)


# ------------------------------------------------------------------ edits

FORGED = ["X-Spam-Flag: NO", "X-Spam-Status: No,\r\n\tscore=-100", "X-Amavis-Alert: none", "X-Spam-Flag: NO again",
    "Authentication-Results: other.example; spf=pass", "Authentication-Results: mw.test; dkim=pass header.d=bank.example",
    "Subject: x", "authentication-results: third.example; spf=pass", "x-spam-flag: NO a third time",
    "AUTHENTICATION-RESULTS: mw.test; dkim=pass", "X-Quarantine-ID: <x>", "X-Other: stays"]


def without_received(octets):
    """The mail's fields, ours about the hop left out, and ids and times that differ."""
    return [(n, "<id>" if n == "X-Quarantine-ID" else v) for n, v in fields(octets) if n.lower() != "received"]


def test_the_edits_make_what_smtp_delivers(asked):
    key = DkimKey(asked.suite.folder, "example.com")
    asked.suite.full().set(dkim__dns_data=[key.dns_line()])
    asked.start(services=("scanner", "dkim", "reputation"))
    for octets in (key.sign(mail(message_id="<signed@example.com>")), mail(headers=FORGED), mail(headers=["X-Spam-Flag: NO"] * 500),
            mail(headers=[f"X-Amavis-{i}: {i}" for i in range(300)])):
        assert asked.suite.send(octets).code == 250
        over_smtp = asked.suite.sinks[0].last()[1]
        a = asked.ask(octets)
        got, _ = applied(a, octets, ["rcpt@example.org"])
        assert without_received(got) == without_received(over_smtp)
        assert got.partition(b"\r\n\r\n")[2] == over_smtp.partition(b"\r\n\r\n")[2]
        indexes = [int(f[0]) for n, f in a.fields if n == "delheader" and f[1].lower() == "x-spam-flag"]
        assert indexes == sorted(indexes, reverse=True), "the last one first"


def test_our_signature_stands_on_top_and_verifies(asked):
    s = asked.suite
    key = DkimKey(s.folder, "example.com")
    s.set(enable_dkim_signing=True, dkim__dns_local_only=True)
    s.lines.append(f"dkim_key('example.com', '{key.selector}', '{key.path}')")
    asked.banks["SMTP_AUTH"] = {"originating": True}
    asked.start(services=("scanner", "dkim"))
    octets = mail(message_id="<out@example.com>")
    a = asked.ask(octets, policy_bank="UNKNOWN,SMTP_AUTH,SMTP_AUTH_PLAIN")
    got, _ = applied(a, octets, ["rcpt@example.org"])
    assert fields(got)[0][0] == "DKIM-Signature"
    import dkim
    assert dkim.verify(got, dnsfunc=lambda name, timeout=5: key.record.encode())
    a = asked.ask(octets)
    assert "DKIM-Signature" not in dict(fields(applied(a, octets, ["rcpt@example.org"])[0])), "not originating"


def test_line_ends_of_a_mail_file_do_not_matter(asked):
    asked.start()
    octets = eicar_mail()
    for lf in (True, False):
        with asked.client() as c:
            a = c.ask(*check(asked.files.put(octets, lf=lf)))
        assert a.value == "discard"


# ------------------------------------------------------------------ delivery_care_of=server

def test_what_we_deliver_is_not_delivered_again(asked):
    asked.start()
    octets = mail(body=b"one\r\n.\r\n..two\r\nno end", message_id="<served@example.com>")
    a = asked.ask(octets, delivery_care_of="server", rcpts=("a@example.org", "b@example.org"))
    in_order(a)
    assert (a.value, a.code, a.exit_code) == ("discard", 250, 99)
    assert "queued as" in a.text
    row, got = asked.suite.sinks[0].index()[-1], asked.suite.sinks[0].last()[1]
    assert row["rcpts"] == ["a@example.org", "b@example.org"] and row["sender"] == "sender@example.com"
    assert got.endswith(octets + b"\r\n")
    assert "helo.example.com" in field(got, "Received") and " with " not in field(got, "Received")


@pytest.mark.parametrize("hidden", [b"one\r.\r\nMAIL FROM:<x@example.com>\r\n", b"one\n\0.\nMAIL FROM:<x@example.com>\n"], ids=["cr", "nul"])
def test_a_dot_that_ends_the_mail_for_others_does_not_leave(asked, hidden):
    """As over SMTP: who splits lines otherwise would see another mail behind it. Whoever delivers by itself has the octets already."""
    asked.start(services=())
    a = asked.ask(mail(body=hidden), delivery_care_of="server")
    assert (a.value, a.code) == ("reject", 550) and "<CR>" in a.text
    assert asked.suite.sinks[0].index() == []
    assert asked.ask(mail(body=hidden)).value == "continue"


def test_a_hidden_dot_may_pass_where_bare_line_ends_may(asked):
    asked.start(services=(), settings={"bare_newline": "pass"})
    assert asked.ask(mail(body=b"one\r.\r\ntwo\r\n"), delivery_care_of="server").value == "discard"


@pytest.mark.parametrize("refusal,value,exit_code", [("450 4.2.0 later", "tempfail", 75), ("554 5.7.1 never", "reject", 69)])
def test_the_next_hops_refusal_is_the_answer(suite, refusal, value, exit_code):
    suite.sink(args=["--reply", f"dot={refusal}"])
    asked = Asked(suite).start()
    a = asked.ask(delivery_care_of="server")
    assert (a.value, a.code, a.exit_code) == (value, int(refusal[:3]), exit_code)


def test_whoever_delivers_by_itself_needs_no_next_hop(asked):
    asked.start(services=(), settings={"forward_method": f"smtp:[127.0.0.1]:{mw.free_port()}"})
    assert asked.ask().value == "continue"
    assert asked.ask(delivery_care_of="server").value == "tempfail", "nobody is there"


# ------------------------------------------------------------------ the original client

def test_the_record_knows_the_original_client(asked):
    asked.start(services=("scanner", "logger"))
    asked.ask(client_address="IPv6:2001:db8::9", client_port="4711", queue_id="QUEUE1", helo_name="odd name\r\nX: y")
    asked.ask(client_address="[UNAVAILABLE]", queue_id=None)
    first, second = mw.until("records", lambda: len(r := asked.suite.records()) == 2 and r)
    assert first["client_ip"] == "2001:db8::9" and first["queue_id"] == "QUEUE1" and first["client_port"] == 4711
    assert not second.get("client_ip")
    assert first["protocol"] == "AM.PDP" if "protocol" in first else True


def test_an_attribute_without_a_value_is_like_none(asked):
    # amavisd-milter writes "client_address" alone for mail that came by no network.
    asked.start(services=())
    tempdir = asked.files.put(mail())
    with asked.client() as c:
        c.write(request(*check(tempdir, client_address=None)).replace(b"helo_name", b"client_address\nhelo_name"))
        assert c.answer().value == "continue"


# ------------------------------------------------------------------ several requests, cuts

def test_several_requests_share_a_connection(asked):
    asked.start()
    mails = [mail(), eicar_mail(), mail()]
    with asked.client() as c:
        for octets in mails:
            assert c.ask(*check(asked.files.put(octets))).value in ("continue", "discard")
        # All at once: the answers come in order.
        c.write(b"".join(request(*check(asked.files.put(octets))) for octets in mails))
        assert [c.answer().value for _ in mails] == ["continue", "discard", "continue"]
        # A refused one does not end it.
        assert c.ask(*check(asked.files.put(mail()), mail_file="/etc/passwd")).value == "tempfail"
        assert c.ask(("request", "nonsense")).value == "tempfail"
        assert c.ask(*check(asked.files.put(mail()))).value == "continue"


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["lf", "crlf"])
def test_a_request_may_come_octet_by_octet(asked, end):
    asked.start(services=())
    octets = request(*check(asked.files.put(mail())), end=end)
    with asked.client(tcp=True) as c:
        c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(octets)):
            c.write(octets[i:i + 1])
        assert c.answer().value == "continue"


# ------------------------------------------------------------------ hostile requests

@pytest.mark.parametrize("octets", [b"request=%zz\n\n", b"request=%00\n\n", b"a=\0\n\n", b"x" * 16385 + b"\n\n", b"x" * 3000000,
    b"a=b\n" * 5000, b"request=AM.PDP\nrequest=AM.PDP\n\n", (b"x" * 16000 + b"\n") * 70], ids=lambda o: f"{o[:16]!r} {len(o)}")
def test_a_request_that_is_none_is_answered_and_the_connection_ends(asked, octets):
    asked.start(services=())
    with asked.client() as c:
        try:
            c.write(octets)
        except OSError:
            pass  # it has hung up on us already
        try:
            a = c.answer()
            assert (a.value, a.exit_code) == ("tempfail", 75) and a.code == 450
            with pytest.raises(Gone):
                c.answer()
        except Gone:
            assert len(octets) > 100000, "a flood may lose its answer"
    assert asked.ask().value == "continue", "and it goes on for others"


def hostile(asked):
    outside = asked.suite.folder / "outside"
    outside.mkdir()
    (outside / "email.txt").write_bytes(mail())
    base = asked.files.folder
    good = asked.files.put(mail())
    os.symlink(outside, base / "link")
    os.symlink(outside / "email.txt", good / "link.txt")
    os.mkfifo(good / "fifo")
    os.link(outside / "email.txt", good / "hard.txt")
    (good / "folder").mkdir()
    return {"outside": outside / "email.txt", "dots": f"{good}/../../outside/email.txt", "dot": f"{good}/./email.txt",
        "link to a folder": base / "link/email.txt", "link to a file": good / "link.txt", "fifo": good / "fifo",
        "several names": good / "hard.txt", "folder": good / "folder", "the base": base, "absent": good / "absent.txt",
        "device": "/dev/zero", "relative": "email.txt", "prefix": f"{base}x/email.txt", "long name": f"{good}/{'x' * 300}",
        "empty": "", "slash": f"{good}/email.txt/", "deep": f"{good}/" + "a/" * 1000 + "b"}


def test_only_regular_files_below_the_folders_are_read(asked):
    asked.start(services=())
    for what, path in hostile(asked).items():
        with asked.client() as c:
            a = c.ask(*check(asked.files.put(mail()), mail_file=path))
            assert (a.value, a.exit_code) == ("tempfail", 75), what
    assert not asked.suite.sinks[0].count()
    with asked.client() as c:
        assert c.ask(*check("/etc")).value == "tempfail"
        assert c.ask(*check(asked.files.folder / "absent", mail_file=None)).value == "tempfail"
        assert c.ask(*check(asked.files.put(mail()), mail_file=None)).value == "continue", "email.txt by itself"


def test_a_mail_over_the_size_limit_is_refused_for_good(asked):
    asked.start(services=(), settings={"smtpd_message_size_limit": 20000,
                                       "enforce_smtpd_message_size_limit_64kb_min": False})
    base = mail(body=b"")
    for n, value in ((20000, "continue"), (20001, "reject")):
        octets = base + b"x" * (n - len(base) - 2) + b"\r\n"
        assert len(octets) == n
        a = asked.ask(octets)
        assert a.value == value, n
    assert a.code == 552 and a.exit_code == 69
    # The limit counts what inflates, too.
    tempdir = asked.files.put(gzip.compress(mail() + b"\0" * 100_000_000), name="email.txt.gz", lf=False)
    with asked.client() as c:
        assert c.ask(*check(tempdir, mail_file=f"{tempdir}/email.txt.gz")).code == 552


def test_a_gzip_file_is_inflated_and_half_of_one_refused(asked):
    asked.start()
    octets = gzip.compress(eicar_mail())
    for n, value in ((len(octets), "discard"), (len(octets) - 1, "tempfail"), (20, "tempfail")):
        tempdir = asked.files.put(octets[:n], name="email.txt.gz", lf=False)
        with asked.client() as c:
            assert c.ask(*check(tempdir, mail_file=f"{tempdir}/email.txt.gz")).value == value, n


@pytest.mark.parametrize("more", [{"sender": "<a b@x>"}, {"sender": None}, {"rcpts": ()}, {"rcpts": ("a@b>x",)}, {"rcpts": ("",)}], ids=str)
def test_a_bad_envelope_is_tempfail(asked, more):
    asked.start(services=())
    a = asked.ask(**more) if "sender" not in more else None
    if a is None:
        tempdir = asked.files.put(mail())
        lines = [(n, more["sender"] if n == "sender" else v) for n, v in check(tempdir)]
        with asked.client() as c:
            a = c.ask(*lines)
    assert (a.value, a.exit_code) == ("tempfail", 75)


def test_recipients_up_to_the_limit(asked):
    asked.start(services=(), settings={"smtpd_recipient_limit": 50})
    assert asked.ask(rcpts=[f"u{i}@example.org" for i in range(50)]).value == "continue"
    a = asked.ask(rcpts=[f"u{i}@example.org" for i in range(51)])
    assert (a.value, a.code) == ("tempfail", 452)


def test_who_may_not_come_in_is_told_tempfail(asked):
    asked.bank["inet_acl"] = ["192.0.2.0/24"]
    asked.start(services=())
    with asked.client(tcp=True) as c:
        a = c.answer()
        assert (a.value, a.exit_code) == ("tempfail", 75) and "inet_acl" in a.text
        with pytest.raises(Gone):
            c.answer()
    assert asked.ask().value == "continue", "a Unix socket's door is its mode"


# ------------------------------------------------------------------ tempdir_removed_by

@pytest.mark.parametrize("by", ["server", None, "client"])
def test_the_folder_is_removed_by_whom_the_client_says(asked, by):
    asked.start(services=())
    tempdir = asked.files.put(mail())
    with asked.client() as c:
        assert c.ask(*check(tempdir, tempdir_removed_by=by)).value == "continue"
    if by == "client":
        assert (tempdir / "email.txt").exists()
    else:
        mw.until("the folder's end", lambda: not tempdir.exists())


def test_what_we_do_not_know_is_not_removed(asked):
    asked.start(services=())
    tempdir = asked.files.put(mail())
    (tempdir / "other").write_text("somebody's")
    with asked.client() as c:
        c.ask(*check(tempdir, tempdir_removed_by="server"))
    asked.suite.front.wait_log("tempdir_not_removed")
    assert (tempdir / "other").exists() and not (tempdir / "email.txt").exists()
    outside = asked.suite.folder / "victim"
    outside.mkdir()
    (outside / "email.txt").write_bytes(mail())
    os.symlink(outside, asked.files.folder / "alias")
    with asked.client() as c:
        c.ask(*check(asked.files.folder / "alias", tempdir_removed_by="server"))
    asked.suite.front.wait_log("tempdir_not_removed", count=2)
    assert (outside / "email.txt").exists()


# ------------------------------------------------------------------ deaths

def test_a_client_that_dies_at_any_octet_harms_nobody(asked):
    asked.start(services=())
    octets = request(*check(asked.files.put(mail())))
    for n in range(0, len(octets), 7):
        with asked.client() as c:
            c.write(octets[:n])
    assert asked.ask().value == "continue"
    assert asked.suite.front.running()


def test_a_client_that_dies_while_its_mail_is_checked_leaves_nothing(asked):
    asked.start(services=(), settings={"bypass_virus_checks_maps": []})  # nobody scans: the mail waits
    tempdir = asked.files.put(mail())
    c = asked.client()
    c.write(request(*check(tempdir, tempdir_removed_by="server")))
    c.sock.close()
    asked.suite.front.wait_log("client_gone")
    mw.until("the folder's end", lambda: not tempdir.exists())


def test_a_client_that_is_gone_when_we_answer_is_noticed(asked):
    asked.start()
    with asked.client() as c:
        c.write(request(*check(asked.files.put(mail()))) * 1)
        c.sock.shutdown(socket.SHUT_RDWR)
    assert asked.ask().value == "continue"


def test_a_front_that_is_killed_says_nothing_and_serves_again(asked):
    asked.start(services=(), settings={"bypass_virus_checks_maps": []})
    with asked.client() as c:
        c.write(request(*check(asked.files.put(mail()))))
        asked.suite.front.kill()
        with pytest.raises(Gone):
            c.answer()
    asked.suite.set(bypass_virus_checks_maps=[True])
    asked.suite.restart(asked.suite.front)
    assert asked.ask().value == "continue"
    mode = stat.S_IMODE(os.stat(asked.path).st_mode)
    assert mode == 0o666


def mails_in_flight(suite):
    page = urllib.request.urlopen(f"http://{suite.settings['http.listen']}/metrics", timeout=10).read().decode()
    return int(re.search(r"^mailweir_front_mails_in_flight (\d+)", page, re.M).group(1))


def test_a_front_that_is_told_to_stop_answers_what_it_has(asked):
    asked.start(services=(), settings={"bypass_virus_checks_maps": [], "child_timeout": 4, "http.listen": f"127.0.0.1:{mw.free_port()}"})
    with asked.client() as idle, asked.client() as c:
        c.write(request(*check(asked.files.put(mail()))))
        mw.until("the mail at work", lambda: mails_in_flight(asked.suite) == 1)
        asked.suite.front.signal(15)
        assert c.answer().value == "tempfail"
        with pytest.raises(Gone):
            idle.answer()
    mw.until("the front's end", lambda: not asked.suite.front.running(), 30)
