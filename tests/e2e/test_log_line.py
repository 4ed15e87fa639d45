"""
The log lines of mails are amavisd's: what reads those of an amavisd reads ours. The patterns are written from what such
programs look for: amavis-logwatch takes the line apart field by field, fail2ban's filters look for a blocked mail's client.
"""
import re

import mw
import pytest
from mwhop import A, B, behind, send  # noqa: F401
from mwlua import D_DISCARD, D_REJECT
from mwmail import eicar_mail, mail
from mwsyslog import Syslogd

LOGWATCH = re.compile(
    r"(?P<way>Passed|Blocked) "
    r"(?P<what>CLEAN|INFECTED|BANNED|SPAMMY|SPAM|UNCHECKED(?:-ENCRYPTED)?|BAD-HEADER(?:-\d)?|MTA-BLOCKED|OVERSIZED|OTHER)"
    r"(?: \((?P<found>.+?)\))? \{(?P<actions>[A-Za-z,]+)\},"
    r"(?P<banks> [A-Z0-9_/-]+?)??(?P<local> LOCAL)?"
    r"(?: \[(?P<client>[0-9a-fA-F.:]+)\](?::(?P<port>\d+))?)?(?: \[(?P<oldest>[0-9a-fA-F.:]+)\])?"
    r" <(?P<sender>.*?)> -> (?P<rcpts><.*?>(?:,<.*?>)*)"
    r"(?:, quarantine: (?P<quarantine>[^,]+))?(?:, Queue-ID: (?P<queue_id>[^,]+))?"
    r"(?:, Message-ID: (?P<message_id><.*?>))?(?:, Resent-Message-ID: <.*?>)?(?:, mail_id: (?P<mail_id>[\w-]+))?"
    r", Hits: (?P<hits>-|-?[\d.]+?(?:\.\.-?[\d.]+)?)(?:, size: (?P<size>\d+))?(?:, queued_as: (?P<queued>[^,]+))?"
    r"(?:, dkim_sd=(?P<sd>[^ ]+))?(?:, dkim_new=(?P<new>[^ ]+))?, (?P<ms>\d+) ms")
FAIL2BAN = re.compile(
    r"amavis\[\d+\]: \([0-9-]+\) Blocked (?:SPAM|INFECTED|BANNED|BAD-HEADER)\b[^,]*(?:,[A-Za-z]+)*\}, .*?\[(?P<host>[0-9a-fA-F.:]+)\]")
CLIENT = "XFORWARD NAME=mail.example.com ADDR=198.51.100.7 PORT=52344 PROTO=ESMTP HELO=mail.example.com IDENT=4QabcdZ"


@pytest.fixture
def syslogd(suite):
    daemon = Syslogd(suite.folder / "log")
    suite.set(do_syslog=True, syslog__socket=daemon.path, syslog_ident="amavis")
    yield daemon
    daemon.close()


def lines(syslogd, log_id=None, count=1):
    """The classic lines that came, of one mail."""
    found = lambda: [m["text"] for m in syslogd.classic if log_id in (None, m["log_id"])]  # noqa: E731
    return mw.until(f"{count} lines", lambda: len(found()) >= count and found())


def sent(suite, octets, rcpts=(A,), sender="sender@example.com"):
    """The mail by a client of which the MTA tells; its record."""
    before = len(suite.records())
    with suite.smtp() as c:
        c.hello()
        assert c.cmd(CLIENT).code == 250
        reply = c.mail(sender, list(rcpts), octets)
    mw.until("the record", lambda: len(suite.records()) > before)
    return reply, suite.records()[-1]


def read(line):
    m = LOGWATCH.fullmatch(line)
    assert m, line
    return m.groupdict()


def test_amavis_logwatch_and_fail2ban_read_the_lines(behind, suite, syslogd):  # noqa: F811
    behind({"final_virus_destiny": D_DISCARD, "log_recip_templ": "log_recip_templ",
            "smtp_reason_by_ccat": {"CC_VIRUS": "%n: no [? %#V |viruses|[%V|%V| and ]] for [%R|%R|, ]"}},
           services=("scanner", "logger"))
    octets = mail(message_id="<clean@example.com>")
    reply, record = sent(suite, octets)
    assert reply.code == 250
    line, by_rcpt = lines(syslogd, record["log_id"], 2)[:2]
    got = read(line)
    assert (got["way"], got["what"], got["actions"]) == ("Passed", "CLEAN", "RelayedInbound" if record["recipients"][0].get(
        "rcpt_is_local") else "RelayedOpenRelay")
    assert (got["client"], got["port"], got["queue_id"]) == ("198.51.100.7", "52344", "4QabcdZ")
    assert (got["sender"], got["rcpts"], got["message_id"]) == ("sender@example.com", f"<{A}>", "<clean@example.com>")
    assert (got["mail_id"], got["hits"], int(got["size"])) == (record["mail_id"], "-", len(octets))
    assert not FAIL2BAN.search(f"amavis[1]: ({record['log_id']}) {line}")
    assert re.fullmatch(rf"Passed CLEAN, <sender@example\.com> -> <{A}>, Hits: -, tag=2, tag2=6\.31, kill=6\.31, "
                        r"(queued_as: [^,]+|fwd: .*), [L0]/0/0/0", by_rcpt), by_rcpt

    reply, record = sent(suite, eicar_mail(message_id="<virus@example.com>"), (A, B))
    assert reply.code == 250 and f"{record['log_id']}: no " in str(reply)
    line = lines(syslogd, record["log_id"], 3)[0]
    got = read(line)
    assert (got["way"], got["what"], got["rcpts"]) == ("Blocked", "INFECTED", f"<{A}>,<{B}>")
    assert "Eicar" in got["found"] and got["actions"].startswith("Discarded") and got["queued"] is None
    whole = next(raw for raw in syslogd.raw if f"({record['log_id']}) Blocked" in raw)
    assert FAIL2BAN.search(whole)["host"] == "198.51.100.7"
    assert int(whole[1:whole.index(">")]) & 7 == 5, "notice: level 0"


def test_what_the_next_hop_refuses_is_blocked(behind, suite, syslogd):  # noqa: F811
    behind({"bypass_virus_checks_maps": [True]}, services=("logger",),
           rcpt=lambda _, line: b"550 5.1.1 no such user\r\n" if B in line else b"250 2.1.5 ok\r\n")
    _, record = sent(suite, mail(), (A, B))
    blocked = mw.until("its line", lambda: [t for t in lines(syslogd, record["log_id"]) if t.startswith("Blocked ")])
    got = read(blocked[0])
    assert got["what"] == "MTA-BLOCKED" and f"<{B}>" in got["rcpts"] and got["queued"] is None


def test_a_long_line_goes_on_in_the_next(behind, suite, syslogd):  # noqa: F811
    behind({"logline_maxlen": 120, "bypass_virus_checks_maps": [True]}, services=("logger",))
    _, record = sent(suite, mail(message_id="<" + 200 * "x" + "@example.com>"))
    pieces = lines(syslogd, record["log_id"], 4)
    assert all(len(f"({record['log_id']}) {p}") <= 120 for p in pieces)
    assert all(p.endswith("...") for p in pieces[:-1]) and all(p.startswith("...") for p in pieces[1:])
    read("".join(p.removeprefix("...").removesuffix("...") for p in pieces))


def test_no_value_begins_a_line_and_a_template_of_one_s_own_is_used(behind, suite, syslogd):  # noqa: F811
    text = "%n [? %#j |none|[:dquote|[:mime2utf8|%j|100]]]#\n# a comment\n [:lc|ABC] %z\nsecond %i"
    behind({"log_templ": text, "bypass_virus_checks_maps": [True]}, services=("logger",))
    octets = mail(subject="=?utf-8?Q?one=0ABlocked_SPAM=1B[2J?=")
    _, record = sent(suite, octets)
    log_id = record["log_id"]
    assert lines(syslogd, log_id, 2) == [rf'{log_id} "one\nBlocked SPAM\e[2J" abc {len(octets)}', f"second {record['mail_id']}"]


def test_a_text_that_is_wrong_is_told_at_load_with_its_place(suite):
    for text, said in (("a\n %n [? %#V |x", "line 2, character 5"), ("[~%n|[\"(\"]|x|y]", "regexp"), ("[\"x]", "quote")):
        suite.set(log_templ=text)
        path = suite.conf_path("smtp-front", "1")
        done = suite.tool("check-config", path)
        assert done.returncode != 0 and "log_templ: " in done.stdout + done.stderr and said in done.stdout + done.stderr, done
