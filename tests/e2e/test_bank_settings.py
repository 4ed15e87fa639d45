"""What banks say about the log, connections to next hops and banners, and what the admin is told of it."""
import signal

import pytest

import mw
import mwhop
from mwmail import mail
from mwsyslog import Syslogd
from next_hop import NextHop
from test_policy_examples import at, by_port

behind = mwhop.behind  # the fixture


@pytest.fixture
def syslogd(suite):
    daemons = [Syslogd(suite.folder / "log")]
    suite.set(do_syslog=True, syslog__socket=str(suite.folder / "log"))
    yield daemons
    daemons[-1].close()


# ------------------------------------------------------------------ syslog

def test_every_service_s_lines_go_to_syslog_and_not_to_stderr(behind, suite, syslogd):
    suite.set(syslog_facility="local3", log_level=3)
    behind(services=("scanner",))
    assert suite.send(mail()).code == 250
    mw.until("the reply's line", lambda: syslogd[0].of("reply_sent"))
    assert all(syslogd[0].lines), f"as RFC 3164 has them: {syslogd[0].raw}"
    assert {m["ident"] for m in syslogd[0].lines} == {"mailweir-smtp-front", "mailweir-scanner"}
    assert {int(m["pri"]) >> 3 for m in syslogd[0].lines} == {19}
    pid = syslogd[0].of("reply_sent")[0]["pid"]
    assert int(pid) == suite.front.pid
    assert "reply_sent" not in suite.front.log()


def test_lines_go_to_stderr_while_no_syslogd_is_there(behind, suite, syslogd):
    behind()
    syslogd[0].close()
    assert suite.send(mail()).code == 250
    suite.front.wait_log(" info reply_sent ")
    syslogd.append(Syslogd(suite.folder / "log"))
    assert suite.send(mail()).code == 250
    mw.until("the reply's line", lambda: syslogd[-1].of("reply_sent"))
    assert len(suite.front.log_lines("reply_sent")) == 1
    syslogd[-1].close()
    suite.front.signal(signal.SIGHUP)
    suite.front.wait_log(" warn syslog_away .*hint=")
    syslogd.append(Syslogd(suite.folder / "log"))


def test_a_syslogd_that_reads_nothing_holds_up_no_mail(behind, suite, syslogd):
    suite.set(log_level=5, http__listen="127.0.0.1:0")
    behind()
    with Syslogd.unread(syslogd[0]):
        for _ in range(30):
            assert suite.send(mail()).code == 250


def test_a_reload_changes_where_the_log_goes_and_a_wrong_one_nothing(behind, suite, syslogd):
    behind()
    suite.set(do_syslog=False)
    suite.conf_path("smtp-front", "1")
    suite.front.signal(signal.SIGHUP)
    suite.front.wait_log(" info settings_reloaded ")
    suite.set(do_syslog=True, syslog_facility="post")
    suite.conf_path("smtp-front", "1")
    suite.front.signal(signal.SIGHUP)
    suite.front.wait_log(" error reload_refused .*syslog_facility")
    assert suite.send(mail()).code == 250
    suite.front.wait_log(" info reply_sent ")


def test_a_wrong_facility_refuses_the_start(suite):
    suite.set(syslog_ident="a b")
    p = suite.start("logger", wait=False)
    assert mw.until("its end", lambda: p.popen.poll() is not None and [p.popen.returncode]) == [78]
    p.wait_log(" crit settings_wrong .*syslog_ident")


# ------------------------------------------------------------------ levels

def test_a_bank_s_level_is_that_of_its_mail(behind, suite):
    quiet = by_port(suite, "QUIET")
    suite.set(policy_bank={"QUIET": {"log_level": -1}})
    behind()
    assert suite.send(mail(), at=at(suite, quiet)).code == 250
    assert suite.send(mail()).code == 250
    suite.front.wait_log(" info reply_sent ")
    assert len(suite.front.log_lines("reply_sent")) == len(suite.front.log_lines("delivery_committing")) == 1
    assert " TIMING " not in suite.front.log()


def test_what_debugging_shows_is_the_bank_s_too(behind, suite):
    loud = by_port(suite, "LOUD")
    suite.set(log_level=-2, policy_bank={"LOUD": {"log_level": 2}})
    behind()
    assert suite.send(mail(), at=at(suite, loud)).code == 250
    suite.front.wait_log(r"\) size: \d+, TIMING \[")
    assert len(suite.front.log_lines("reply_sent")) == 1
    assert suite.front.log_lines("worker_came") == [], "of the front itself, which is at -2"


# ------------------------------------------------------------------ where connections come from

def source_of(hop):
    return [c.sock.getpeername()[0] for c in hop.connections]


def test_connections_from_another_address_are_others(behind, suite):
    port = by_port(suite, "OTHER")
    suite.set(policy_bank={"OTHER": {"local_client_bind_address": "127.0.0.7"}}, local_client_bind_address="127.0.0.5")
    hop = behind()
    for _ in range(2):
        assert suite.send(mail()).code == 250
        assert suite.send(mail(), at=at(suite, port)).code == 250
    assert source_of(hop) == ["127.0.0.5", "127.0.0.7"], "each was kept for the second mail"


def test_an_address_that_is_not_ours_defers_and_is_told_at_start(behind, suite):
    port = by_port(suite, "OTHER")
    suite.set(policy_bank={"OTHER": {"local_client_bind_address": "192.0.2.6"}})
    hop = behind()
    suite.front.wait_log(' warn bind_address_unusable bank="OTHER" local_client_bind_address=192.0.2.6 family=IPv4 ')
    said = suite.send(mail(), at=at(suite, port))
    assert said.code == 451 and "local_client_bind_address" in said.text
    suite.front.wait_log(" warn bind_failed log_id=.*192.0.2.6")
    assert suite.send(mail()).code == 250, "other banks' mail goes its way"
    assert len(hop.connections) == 1


def test_a_hop_of_a_family_without_an_address_is_not_connected_to(behind, suite):
    hop = behind({"local_client_bind_address": ["[::1]"]})
    said = suite.send(mail())
    assert said.code == 451 and "local_client_bind_address" in said.text
    assert hop.connections == []
    suite.set(local_client_bind_address=["[::1]", "127.0.0.4"])
    suite.front.stop()
    suite.restart(suite.front)
    assert suite.send(mail()).code == 250
    assert source_of(hop) == ["127.0.0.4"]


def test_the_next_of_a_list_stands_in_for_one_that_cannot_be_bound(behind, suite):
    path = suite.folder / "hop.sock"
    with NextHop(path=path) as other:
        hop = behind({"local_client_bind_address": "192.0.2.6"})
        suite.set(forward_method=[hop.method, f"smtp:{path}"])
        path.chmod(0o666)
        suite.front.stop()
        suite.restart(suite.front)
        assert suite.send(mail()).code == 250
        assert (len(hop.connections), len(other.mails)) == (0, 1)


def test_connections_are_not_kept_where_they_shall_not_be(behind, suite):
    hop = behind({"smtp_connection_cache_enable": False})
    for _ in range(2):
        assert suite.send(mail()).code == 250
    assert [c.dots for c in hop.connections] == [1, 1]


# ------------------------------------------------------------------ banners

def test_banners_are_the_socket_s_bank_s(behind, suite):
    port = by_port(suite, "L")
    suite.set(smtpd_quit_banner="${product} says bye", policy_bank={"L": {"protocol": "LMTP", "localhost_name": "l.example",
        "smtpd_greeting_banner": "$helo-name $protocol by ${product}", "smtpd_quit_banner": "${helo-name} ${protocol} closes"}})
    behind()
    with suite.smtp() as c:
        c.hello()
        assert c.greeting.text == "mw.test ESMTP Mailweir service ready"
        assert c.cmd("QUIT").text == "2.0.0 Mailweir says bye"
    with suite.smtp(at(suite, port)) as c:
        c.hello(verb="LHLO")
        assert c.greeting.text == "l.example LMTP by Mailweir"
        assert c.cmd("QUIT").text == "2.0.0 l.example LMTP closes"


@pytest.mark.parametrize("text", ["${nobody} x", "${helo-name", "two\r\n250 lines", ""])
def test_a_banner_that_cannot_be_refuses_the_settings(suite, text):
    suite.set(policy_bank={"X": {"smtpd_greeting_banner": text}})
    done = suite.tool("check-config", suite.conf_path("smtp-front", "1"))
    assert done.returncode != 0 and "smtpd_greeting_banner" in done.stderr


# ------------------------------------------------------------------ names that are amavisd's

@pytest.mark.parametrize("line, says", [
    ("max_requests = 20", "max_requests: unknown setting; amavisd's is not needed: the front holds"),
    ("policy_bank.X = { sa_timeout = 30 }", "sa_timeout: unknown setting; amavisd's is not needed: SpamAssassin runs as spamd"),
    ("log_levle = 2", "did you mean log_level?"),
])
def test_what_amavisd_has_and_we_do_without_is_explained(suite, line, says):
    suite.lines.append(line)
    done = suite.tool("check-config", suite.conf_path("smtp-front", "1"))
    assert done.returncode != 0 and says in done.stderr, done.stderr
