"""
Postfix -> Mailweir -> Postfix: mails of every category to two recipients of opposite policies, after the queue over SMTP and
LMTP, and by Debian's amavisd-milter. Who wants everything gets it, marked; for whom it is blocked it is in the quarantine; the
sender hears of it where a bounce would not hit somebody else. Every notice on the way is read with Python's email package.
"""
import email
import email.policy
import gzip
import re
import shutil
import signal

import mw
import pytest
from mwampdp import MailDir
from mwlua import D_BOUNCE, D_REJECT, Raw
from mwmail import DkimKey, eicar, field, fields, mail, multipart, part
from mwpostfix import Postfix
from mwsmtp import stuffed

dkim = pytest.importorskip("dkim", reason="python3-dkim is not installed")
pytestmark = [pytest.mark.root, pytest.mark.deadline(300), pytest.mark.skipif(shutil.which("postfix") is None, reason="Postfix is not installed"),
    pytest.mark.skipif(shutil.which("amavisd-milter") is None, reason="amavisd-milter is not installed")]

LOOSE, STRICT, ADMIN, SENDER = "loose@example.org", "strict@example.org", "admin@example.org", "sender@example.com"
# Of each kind: the mail, the name of its copies, what the loose one sees, and what the record calls it.
KINDS = {
    "virus": (lambda **kw: multipart([part("text/plain", b"see"), part("application/octet-stream", eicar(), "x.com")], **kw), "virus",
        ("X-Amavis-Alert", "INFECTED, message contains virus: Eicar-Test-Signature"), "Virus"),
    "banned": (lambda **kw: multipart([part("text/plain", b"run"), part("application/octet-stream", b"MZ", "tool.exe")], **kw), "banned",
        ("X-Amavis-Alert", "BANNED, message contains"), "Banned"),
    "spam": (lambda headers=(), **kw: mail(headers=["X-Test-Score: 12", *headers], **kw), "spam", ("X-Spam-Flag", "YES"), "Spam"),
    "badh": (lambda headers=(), **kw: mail(headers=["Subject: twice", *headers], **kw), "badh",
        ("X-Amavis-Alert", 'BAD HEADER SECTION, Duplicate header field: "Subject"'), "BadHdrDupl"),
    "oversized": (lambda **kw: mail(b"0123456789abcdef\r\n" * 5000, **kw), None, ("X-Virus-Scanned", ""), "Oversized"),
}
SAID = {"virus": "INFECTED: ", "banned": "BANNED: ", "spam": "spam", "badh": "BAD HEADER: duplicate header field",
    "oversized": "exceeds recipient"}
WARNED = ("virus", "banned", "badh")
DESTINIES = ("virus", "banned", "spam", "bad_header")
SETTINGS = {
    "local_domains_maps": [[".example.org"]],
    "bad_header_quarantine_method": "local:badh-%m.gz",
    **{f"{k}_lovers_maps": [[LOOSE]] for k in ("virus", "banned_files", "spam", "bad_header")},
    **{f"{k}_admin_maps": [ADMIN] for k in ("virus", "banned", "spam", "bad_header")},
    **{f"warn{k}recip_maps": [{STRICT: True}] for k in ("virus", "banned", "badh")},
    "message_size_limit_maps": [{STRICT: 70000}], "banned_filename_re": Raw('new_RE { "(?i)\\\\.exe$" }'),
    "sa_tag_level_deflt": -999, "sa_tag2_level_deflt": 5, "sa_kill_level_deflt": 8,
    "checks.spam": False, "checks.reputation": False, "enable_dkim_verification": False, "enable_dkim_signing": True,
}
HOOK = "hooks.checks = function(mail) local n = mail:header('X-Test-Score') if n then mail:add_score(tonumber(n), 'TESTED') end end"


def destiny(d):
    return {**{f"final_{k}_destiny": d for k in DESTINIES}, "final_destiny_by_ccat": {"CC_OVERSIZED": d}}


class House:
    """
    One Mailweir and the Postfix around it. Ports of the front: at 0 SMTP and D_BOUNCE, at 1 LMTP and D_REJECT, at 2 LMTP and
    D_BOUNCE; amavisd-milter asks at a Unix socket, D_REJECT.
    """

    def __init__(self, suite):
        self.suite = s = suite
        self.sink = s.sink(forward=False)
        self.files = MailDir(s.folder / "milter", 0o750)
        milter, lmtp, told = (mw.free_port() for _ in range(3))
        self.postfix = Postfix(s, f"[127.0.0.1]:{self.sink.port}", milter=f"inet:127.0.0.1:{milter}")
        self.key = DkimKey(s.folder, "mw.test")
        s.set(**SETTINGS, **destiny(D_BOUNCE), forward_method=self.postfix.method, notify_method=self.postfix.method,
            inet_socket_port=["127.0.0.1:0", f"127.0.0.1:{lmtp}", f"127.0.0.1:{told}"], unix_socketname=[str(s.folder / "run/ampdp.sock")],
            ampdp__mail_dirs=[str(self.files.folder)], interface_policy={"SOCK": "AM.PDP", str(lmtp): "REJECTS"},
            policy_bank={"AM.PDP": {"protocol": "AM.PDP", **destiny(D_REJECT)}, "REJECTS": destiny(D_REJECT)})
        s.lines += [HOOK, f'dkim_key("mw.test", "{self.key.selector}", "{self.key.path}")']
        s.start_all(services=("scanner", "dkim", "logger"))
        amavisd_milter = s.peer("amavisd-milter", ["amavisd-milter", "-f", "-d", "5", "-s", f"inet:{milter}@127.0.0.1", "-S", s.folder / "run/ampdp.sock",
            "-w", self.files.folder, "-p", s.folder / "milter.pid", "-t", "120", "-T", "120"])
        amavisd_milter.end_signal = signal.SIGKILL  # libmilter looks for SIGTERM every 5 s
        self.postfix.start(s.smtp_address(), lmtp=("127.0.0.1", lmtp))
        mw.until("the milter", lambda: self.postfix.listens(milter))
        self.ports = {"smtp": self.postfix.port_in, "lmtp": self.postfix.port_lmtp, "milter": self.postfix.port_milter}

    def send(self, way, octets, rcpts=(LOOSE, STRICT), sender=SENDER, **kw):
        """To Postfix, on one of the ways."""
        with mw.Smtp(("127.0.0.1", self.ports[way]), 60 * mw.SLOW) as c:
            c.hello("client.example.com")
            return c.mail(sender, rcpts, octets, **kw)

    def got(self, wanted):
        """The mails that have come out of Postfix that wanted(octets, row) is true of."""
        return [m for m in ((self.sink.mail(r["id"])[1], r) for r in self.sink.index()) if wanted(*m)]

    def wait(self, what, wanted):
        return mw.until(lambda: f"{what}\n{self.postfix.log()[-4000:]}", lambda: self.got(wanted), 60)

    def empty(self):
        """Nothing is under way any more."""
        mw.until(lambda: f"an empty queue\n{self.postfix.log()[-4000:]}", self.postfix.queue_is_empty)
        mw.until("an empty folder of the milter", lambda: not list(self.files.folder.iterdir()))

    def record(self, message_id):
        return mw.until(f"the record of {message_id}", lambda: [r for r in self.suite.records() if r.get("message_id") == message_id])[0]

    def copy(self, category, message_id):
        """The one copy of a mail."""
        found = [gzip.open(p).read() for p in (self.suite.folder / "quarantine").rglob(f"{category}-*.gz")]
        (one,) = [c for c in found if field(c, "Message-ID") == message_id]
        return one

    def is_signed(self, octets):
        def ask(name, timeout=5):
            return self.key.record.encode() if name.rstrip(b".") == self.key.name.encode() else None
        return field(octets, "DKIM-Signature") and dkim.verify(octets, dnsfunc=ask)


@pytest.fixture(scope="module")
def house(request):
    failed, s = request.session.testsfailed, mw.Suite()
    try:
        yield House(s)
    finally:
        s.close(failed=request.session.testsfailed > failed)


def original(message_id):
    return lambda octets, row: field(octets, "Message-ID") == message_id


def about(message_id, *rcpts):
    """A notice, or a notification, about that mail to one of them."""
    return lambda octets, row: row["sender"] == "" and row["rcpts"][0] in rcpts and message_id.encode() in octets


def readable(text):
    """A text for people: whole sentences, no macro left over, no hole where something was to stand."""
    text = text.replace("\r\n", "\n")
    assert len(text) > 100 and text.count("\n") > 3, text
    assert not re.search(r"%[a-zA-Z#]|\[[?~:]|\|\||\n\n\n|\(\)|^\W$|\x00|\r", text.partition("what it says of itself")[0], re.M), text
    assert all(len(line) <= 990 for line in text.splitlines()), text
    return text


def parsed(octets):
    """Without a defect, in lines that may be sent."""
    m = email.message_from_bytes(octets, policy=email.policy.default)
    assert [d for p in m.walk() for d in p.defects] == [], octets
    assert [(n, v.defects) for p in m.walk() for n, v in p.items() if getattr(v, "defects", ())] == [], octets
    assert all(len(line) <= 998 and not re.search(rb"[\r\n\0]", line) for line in octets.split(b"\r\n"))
    assert m["From"].addresses and m["To"].addresses and m["Date"].datetime and m["Message-ID"] and m["Subject"]
    assert m["MIME-Version"].version == "1.0" and m["Bcc"] is None and m.get_all("Subject") == [m["Subject"]]
    return m


def one_line(text):
    return " ".join(text.split())


def read_notice(house, octets):
    m = parsed(octets)
    assert m["Auto-Submitted"] == "auto-generated" and m.get_content_type() == "text/plain"
    assert m["From"].addresses[0].addr_spec == "postmaster@mw.test" and house.is_signed(octets), octets
    return readable(m.get_content())


def read_dsn(octets, house=None):
    """The text, and the fields of its recipients; house: it is one of ours."""
    m = parsed(octets)
    assert m["Auto-Submitted"].startswith("auto-replied") and m.get_content_type() == "multipart/report"
    assert m.get_param("report-type") == "delivery-status"
    text, status, returned = m.iter_parts()
    assert status.get_content_type() == "message/delivery-status"
    assert returned.get_content_type() in ("text/rfc822-headers", "message/rfc822")
    mail_fields, *rcpts = status.get_payload()
    assert mail_fields["Reporting-MTA"].startswith("dns; ") and mail_fields["Arrival-Date"] and rcpts
    for r in rcpts:
        assert r["Final-Recipient"].startswith("rfc822;") and r["Action"] in ("failed", "relayed", "delayed", "delivered")
        assert re.fullmatch(r"[245](\.\d{1,3}){2}", r["Status"]) and r["Diagnostic-Code"].lower().startswith(("smtp; ", "x-postfix; "))
    if house:
        assert m["From"].addresses[0].addr_spec == "postmaster@mw.test" and house.is_signed(octets), octets
        readable(text.get_content())
    return text.get_content(), rcpts


# ------------------------------------------------------------------ every category, on every way

@pytest.mark.parametrize("way", ["smtp", "lmtp", "milter"])
def test_every_category_to_two_recipients_of_opposite_policies(house, way):
    ids = {kind: f"<{kind}.{way}@example.com>" for kind in KINDS}
    for kind, (make, _, _, _) in KINDS.items():
        reply = house.send(way, make(message_id=ids[kind]))
        assert reply.code == 250, (kind, reply)  # somebody gets it, and the other's refusal is told otherwise
    for kind, (_, category, (name, value), _) in KINDS.items():
        ((octets, row),) = house.wait(f"{kind} at the next hop", original(ids[kind]))
        assert row["rcpts"] == [LOOSE] and row["sender"] == SENDER, kind
        marks = [v for n, v in fields(octets) if n.lower() == name.lower()]
        assert any(value in v for v in marks), (kind, fields(octets))
        if category:
            copy = house.copy(category, ids[kind])
            assert field(copy, "X-Envelope-To-Blocked") == f"<{STRICT}>" and field(copy, "X-Envelope-From") == f"<{SENDER}>"
            assert field(copy, "X-Quarantine-ID") == field(octets, "X-Quarantine-ID"), kind
            read_notice(house, house.wait(f"a notice about {kind}", about(ids[kind], ADMIN))[0][0])
        if kind in WARNED:
            read_notice(house, house.wait(f"a warning of {kind}", about(ids[kind], STRICT))[0][0])
        if kind != "virus" or way == "lmtp":  # Postfix tells of a refusal, whatever it was for
            ((dsn, _),) = house.wait(f"a notification of {kind}", about(ids[kind], SENDER))
            text, (told,) = read_dsn(dsn, house if way != "lmtp" else None)
            if kind == "badh" and way != "lmtp":
                assert '    Duplicate header field: "Subject"' in text
            assert told["Final-Recipient"].split(";")[1].strip() == STRICT and told["Action"] == "failed", kind
            assert told["Status"].startswith("5.") and SAID[kind] in one_line(told["Diagnostic-Code"]), kind
    house.empty()
    check_records(house, way, ids)
    if way != "lmtp":  # whoever a virus names as its sender has not sent it
        assert house.got(about(ids["virus"], SENDER)) == []


def check_records(house, way, ids):
    for kind, (_, category, _, name) in KINDS.items():
        record = house.record(ids[kind])
        if kind == "oversized" and way == "lmtp":  # Postfix has said SIZE, and so the recipient was refused before the data
            assert record["rcpt_to"] == [LOOSE] and record["content_type"] == "CleanTag"  # who was not asked about counts as 0 points
            continue
        loose, strict = record["recipients"]
        assert record["content_type"] == name and record["action"] == ["PASS", "BOUNCE" if way == "smtp" else "REJECT"], kind
        assert loose["rcpt_to"] == LOOSE and strict["rcpt_to"] == STRICT and strict["ccat_blocking"] == name, kind
        assert strict["smtp_code"][0] == "5" and loose["smtp_code"] == "250", kind
        assert record["dsn_sent"] == (way != "lmtp" and kind != "virus"), kind
        assert record.get("quar_type") == ("Z" if category else None), kind
        assert ("queued_as" in loose) == (way != "milter"), kind
        told = [r for r in mw.json_lines(house.suite.folder / "mail.json") if r["event"] == "notification" and r["mail_id_parent"] == record["mail_id"]]
        assert len(told) == bool(category) + (kind in WARNED), kind


def test_who_is_the_only_one_and_refused(house):
    make = KINDS["banned"][0]
    for way in ("smtp", "lmtp"):
        message_id = f"<alone.{way}@example.com>"
        assert house.send(way, make(message_id=message_id), [STRICT]).code == 250
        ((dsn, _),) = house.wait("a notification", about(message_id, SENDER))
        read_dsn(dsn, house if way == "smtp" else None)
    reply = house.send("milter", make(message_id="<alone.milter@example.com>"), [STRICT])
    assert (reply.code, reply.enhanced) == (554, "5.7.0") and "BANNED" in reply.text
    house.empty()
    assert house.got(about("<alone.milter@example.com>", SENDER)) == []  # its client tells
    for way in ("smtp", "lmtp", "milter"):
        message_id = f"<alone.{way}@example.com>"
        assert house.got(original(message_id)) == []
        assert field(house.copy("banned", message_id), "X-Envelope-To-Blocked") == f"<{STRICT}>"


# ------------------------------------------------------------------ one reply for each

def lmtp(house, octets, sender=SENDER, args=""):
    """The replies of the port where D_BOUNCE holds."""
    with house.suite.smtp(at=2) as c:
        c.hello(verb="LHLO")
        assert c.cmd(f"MAIL FROM:<{sender}>").code == 250
        for r in (LOOSE, STRICT):
            assert c.cmd(f"RCPT TO:<{r}>{args}").code == 250
        assert c.cmd("DATA").code == 354
        c.write(stuffed(octets))
        return c.reply(), c.reply()


@pytest.mark.parametrize("kind", KINDS)
def test_lmtp_clients_hear_of_notifications(house, kind):
    message_id = f"<{kind}.told@example.com>"
    loose, strict = lmtp(house, KINDS[kind][0](message_id=message_id))
    assert loose.code == 250 and "queued as" in loose.text
    how = "DSN suppressed" if kind == "virus" else "DSN was sent"
    assert re.match(rf"2\.5\.0 Ok <{STRICT}>, {how} \(55[24] 5\.\d\.\d Bounce, id=", strict.text) and strict.code == 250
    if kind != "virus":
        ((dsn, _),) = house.wait(kind, about(message_id, SENDER))
        text, (told,) = read_dsn(dsn, house)
        assert STRICT in text and told["Final-Recipient"] == f"rfc822; {STRICT}"
        assert one_line(told["Diagnostic-Code"]).removeprefix("smtp; ") in strict.text
    house.empty()
    assert len(house.got(about(message_id, SENDER))) == (kind != "virus")


# ------------------------------------------------------------------ no backscatter

SILENT = {"null sender": ({"sender": ""}, []), "never": ({"args": " NOTIFY=NEVER"}, []), "delay": ({"args": " NOTIFY=SUCCESS,DELAY"}, []),
    "bulk": ({}, ["Precedence: bulk"]), "list": ({}, ["List-Id: <l.example.com>"]), "machine": ({}, ["Auto-Submitted: auto-replied"]),
    "owner": ({"sender": "owner-list@example.com"}, [])}


@pytest.mark.parametrize("how", SILENT)
def test_no_backscatter(house, how):
    """Nobody is told who would not want it, has not asked, or is a machine; of bad header sections they are not even refused."""
    given, headers = SILENT[how]
    sender = given.get("sender", SENDER)
    passes = how in ("null sender", "bulk", "list", "machine", "owner")
    for kind in ("spam", "banned", "badh", "oversized"):
        make, message_id = KINDS[kind][0], f"<{kind}.{how.replace(' ', '-')}.%s@example.com>"
        loose, strict = lmtp(house, make(message_id=message_id % "lmtp", headers=headers), **given)
        assert loose.code == 250 and strict.code == 250, (kind, loose, strict)
        if kind == "badh" and passes:
            assert "queued as" in strict.text
        else:
            assert f"Ok <{STRICT}>, DSN suppressed (55" in strict.text, (kind, strict)
        reply = house.send("smtp", make(message_id=message_id % "smtp", headers=headers), sender=sender, rcpt_args=given.get("args", ""))
        assert reply.code == 250
        for way in ("lmtp", "smtp"):
            house.wait(kind, original(message_id % way))
    house.empty()
    for kind in ("spam", "banned", "badh", "oversized"):
        for way in ("lmtp", "smtp"):
            message_id = f"<{kind}.{how.replace(' ', '-')}.{way}@example.com>"
            told = house.got(about(message_id, sender, SENDER))
            failures = [octets for octets, _ in told if b"Action: failed" in octets]
            assert failures == [], kind
            assert house.record(message_id)["dsn_sent"] is False or how == "delay", kind


# ------------------------------------------------------------------ what comes from outside

LONG = "x" * 900
EVIL = {
    "subject": ["=?utf-8?Q?a=0D=0ABcc:_evil=40example.net=0D=0A=0D=0A--b=0D=0A?=", "\x00\x01\x07\x1b[2J\x7f", "J\xf6rg \xff\xfe", "\u2713 " * 100, LONG,
        "=?utf-8?B?" + "AAAA" * 20 + "?=", "%s %n [?%#X||x] %%", "a\rBcc: evil@example.net\rb", "\u202e gnp.exe", "\ufeff\u2028x\u0085y", ".", ""],
    "sender": ["\"evil <x@example.net>\" <a@example.com>", "J\xf6rg <j@example.com>", "=?utf-8?Q?x=0D=0ABcc:_evil=40example.net?= <a@example.com>",
        LONG + " <a@example.com>", "<>", "a@example.com, b@example.com", "(\x00) <a@example.com>"],
}


def hostile():
    for subject in EVIL["subject"]:
        yield subject, "Sender <sender@example.com>"
    for sender in EVIL["sender"]:
        yield "a mail", sender


def test_nothing_in_a_mail_makes_a_field_or_a_part(house):
    """Hostile subjects, authors, addresses and file names: what tells of them stays well-formed, and goes to nobody else."""
    mails = list(hostile())
    for i, (subject, sender) in enumerate(mails):
        octets = multipart([part("text/plain", b"run"), part("application/octet-stream", b"MZ", "t\u00f6ol.exe")],
            message_id=f"<evil.{i}@example.com>", subject="SUBJECT", sender="AUTHOR")
        octets = octets.replace(b"SUBJECT", subject.encode("latin-1" if "\xf6" in subject else "utf-8"))
        octets = octets.replace(b"AUTHOR", sender.encode("latin-1"))
        with house.suite.smtp() as c:
            c.hello()
            reply = c.mail(f'"ev il\\"<{i}>"@example.com', [LOOSE, STRICT], octets, mail_args=" RET=FULL ENVID=a+20+2Bb")
        assert reply.code == 250 and "1 BOUNCE" in reply.text, (subject, sender, reply)
    for i, _ in enumerate(mails):
        message_id = f"<evil.{i}@example.com>"
        read_notice(house, house.wait(f"a notice of {i}", about(message_id, ADMIN))[0][0])
        read_notice(house, house.wait(f"a warning of {i}", about(message_id, STRICT))[0][0])
        ((dsn, _),) = house.wait(f"a notification of {i}", lambda o, r, m=message_id: r["sender"] == "" and "ev il" in r["rcpts"][0] and m.encode() in o)
        read_dsn(dsn, house)
    house.empty()
    assert not [r for r in house.sink.index() if any("evil@" in to for to in r["rcpts"])]


def test_addresses_beyond_ascii(house):
    """RFC 6533: the report's types are those of SMTPUTF8 then."""
    octets = mail(headers=["X-Test-Score: 12"], message_id="<utf8@example.com>", subject="Gr\u00fc\u00dfe")
    with house.suite.smtp() as c:
        c.hello()
        assert c.mail("j\u00f6rg@example.com", [LOOSE, STRICT], octets, mail_args=" SMTPUTF8").code == 250
    ((dsn, _),) = house.wait("a notification", lambda o, r: r["sender"] == "" and b"<utf8@example.com>" in o and ADMIN not in r["rcpts"])
    house.empty()
    m = email.message_from_bytes(dsn, policy=email.policy.default)
    assert m.get_param("report-type") == "global-delivery-status"
    assert [p.get_content_type() for p in m.iter_parts()][1:] == ["message/global-delivery-status", "message/global-headers"]
    assert field(dsn, "To").encode("latin-1").decode() == "<j\u00f6rg@example.com>" and house.is_signed(dsn)
