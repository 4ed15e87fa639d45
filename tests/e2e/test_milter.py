"""Postfix asks Debian's amavisd-milter, and that asks Mailweir over AM.PDP; nothing in between is ours."""
import shutil
import signal

import pytest

import mw
from mwampdp import MailDir
from mwlua import D_DISCARD, D_REJECT, D_TEMPFAIL
from mwmail import eicar_mail, field, fields, mail
from mwpostfix import Postfix

pytestmark = [pytest.mark.root, pytest.mark.skipif(shutil.which("postfix") is None, reason="Postfix is not installed"),
    pytest.mark.skipif(shutil.which("amavisd-milter") is None, reason="amavisd-milter is not installed")]


@pytest.fixture
def behind_milter(suite):
    """behind_milter(settings, services): Postfix at suite.postfix.port_milter, its next hop is the sink."""
    def start(settings=None, services=("scanner",), care="client"):
        files = MailDir(suite.folder / "milter", 0o750)  # it refuses to work where others may look
        socket = suite.folder / "run/ampdp.sock"
        port = mw.free_port()
        sink = suite.sink(forward=care == "server")
        suite.set(ampdp__mail_dirs=[str(files.folder)], unix_socketname=[str(socket)], interface_policy={"SOCK": "AM.PDP"},
            policy_bank={"AM.PDP": {"protocol": "AM.PDP"}}, **{"final_virus_destiny": D_REJECT, **(settings or {})})
        suite.postfix = Postfix(suite, f"[127.0.0.1]:{sink.port}", milter=f"inet:127.0.0.1:{port}")
        suite.start_all(services=services)
        suite.milter = suite.peer("amavisd-milter", ["amavisd-milter", "-f", "-d", "5", "-s", f"inet:{port}@127.0.0.1", "-S", socket,
            "-w", files.folder, "-p", suite.folder / "milter.pid", "-D", care, "-t", "120", "-T", "120"])
        suite.milter.end_signal = signal.SIGKILL  # libmilter looks for SIGTERM every 5 s
        suite.postfix.start(suite.smtp_address())
        # Postfix says 4xx while its milter is not there yet.
        mw.until(lambda: f"the milter\n{suite.milter.tail()}", lambda: suite.postfix.listens(port))
        suite.files = files.folder
        return suite
    return start


def send(suite, octets, rcpts=("rcpt@example.org",)):
    with mw.Smtp(("127.0.0.1", suite.postfix.port_milter), 60 * mw.SLOW) as c:
        c.hello("client.example.com")
        return c.mail("sender@example.com", rcpts, octets)


def arrived(suite, message_id):
    def look():
        for row in suite.sinks[0].index():
            if row["message_id"] == message_id:
                return row
        return None
    return mw.until(lambda: f"{message_id} at the next hop\n{suite.postfix.log()[-3000:]}\n{suite.milter.tail()}", look, 30)


def nothing_is_left(suite):
    mw.until("an empty queue", suite.postfix.queue_is_empty)
    mw.until("an empty folder of the milter", lambda: not list(suite.files.iterdir()))


FORGED = ["X-Spam-Flag: NO", "X-Other: stays", "X-Spam-Status: No,\r\n\tscore=-100", "x-spam-flag: again", "X-Amavis-Alert: none",
    "Authentication-Results: other.example; spf=pass", "Authentication-Results: mw.test; dkim=pass header.d=bank.example",
    "X-Spam-Flag: a third time"]


def test_a_clean_mail_arrives_with_our_fields_and_without_forged_ones(behind_milter):
    s = behind_milter(services=("scanner", "logger"))
    r = send(s, mail(message_id="<clean@example.com>", headers=FORGED))
    assert r.code == 250, r
    row = arrived(s, "<clean@example.com>")
    got = s.sinks[0].mail(row["id"])[1]
    assert "mailweir at mw.test" in field(got, "X-Virus-Scanned")
    names = [n.lower() for n, _ in fields(got)]
    assert not {"x-spam-flag", "x-spam-status", "x-amavis-alert"} & set(names)
    assert [v for n, v in fields(got) if n.lower() == "authentication-results"] == ["other.example; spf=pass"]
    assert field(got, "X-Other") == "stays"
    assert names.count("received") == 1, "Postfix's own"
    record = mw.until("the record", lambda: (x := s.records()) and x[0])
    assert record["client_ip"] == "127.0.0.1" and record["queue_id"]
    nothing_is_left(s)


def test_a_virus_is_rejected_in_our_words(behind_milter):
    s = behind_milter()
    r = send(s, eicar_mail(message_id="<virus@example.com>"))
    assert (r.code, r.enhanced) == (554, "5.7.0") and "INFECTED" in r.text
    nothing_is_left(s)
    assert s.sinks[0].count() == 0
    assert list((s.folder / "quarantine").rglob("virus-*.gz"))


def test_a_discarded_virus_is_answered_250_and_goes_nowhere_but_the_quarantine(behind_milter):
    s = behind_milter({"final_virus_destiny": D_DISCARD})
    assert send(s, eicar_mail()).code == 250
    nothing_is_left(s)
    assert s.sinks[0].count() == 0
    assert list((s.folder / "quarantine").rglob("virus-*.gz"))


def test_destiny_tempfail_is_4xx_and_not_discard(behind_milter):
    s = behind_milter({"final_virus_destiny": D_TEMPFAIL})
    r = send(s, eicar_mail())
    assert (r.code, r.enhanced) == (450, "4.7.0")
    nothing_is_left(s)


def test_without_a_scanner_the_client_keeps_the_mail_and_nothing_is_lost(behind_milter):
    s = behind_milter({"child_timeout": 4}, services=())
    octets = mail(message_id="<later@example.com>")
    r = send(s, octets)
    assert 400 <= r.code < 500, r
    assert s.sinks[0].count() == 0
    s.start("scanner")
    s.front.wait_log("worker_came")
    assert send(s, octets).code == 250
    arrived(s, "<later@example.com>")
    nothing_is_left(s)


def test_without_a_front_the_client_keeps_the_mail(behind_milter):
    s = behind_milter()
    s.front.wait_log("worker_came")
    s.front.kill()
    octets = mail(message_id="<again@example.com>")
    r = send(s, octets)
    assert 400 <= r.code < 500, r
    s.restart(s.front)
    s.front.wait_log("worker_came", count=2)
    assert send(s, octets).code == 250
    arrived(s, "<again@example.com>")
    nothing_is_left(s)


def test_recipients_are_taken_off_one_by_one(behind_milter):
    s = behind_milter({"final_virus_destiny": D_DISCARD, "bypass_virus_checks_maps": ["brave@example.org"]})
    rcpts = ("a@example.org", "brave@example.org", '"odd local"@example.org', "b+ext@example.org")
    assert send(s, eicar_mail(message_id="<some@example.com>"), rcpts).code == 250
    assert arrived(s, "<some@example.com>")["rcpts"] == ["brave@example.org"]
    nothing_is_left(s)


def test_we_deliver_when_the_milter_says_so(behind_milter):
    s = behind_milter(care="server")
    assert send(s, mail(message_id="<server@example.com>")).code == 250
    row = arrived(s, "<server@example.com>")
    got = s.sinks[0].mail(row["id"])[1]
    assert field(got, "X-Virus-Scanned") and "by mw.test" in field(got, "Received")
    nothing_is_left(s)
    assert s.sinks[0].count() == 1


@pytest.mark.deadline(180)
def test_many_mails_at_once_all_arrive_once(behind_milter):
    s = behind_milter()
    import threading
    codes = []

    def some(k):
        for i in range(25):
            codes.append(send(s, mail(message_id=f"<many-{k}-{i}@example.com>")).code)
    threads = [threading.Thread(target=some, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert codes == [250] * 200
    mw.until("200 mails", lambda: s.sinks[0].count() == 200, 60)
    ids = [row["message_id"] for row in s.sinks[0].index()]
    assert len(set(ids)) == 200
    nothing_is_left(s)
