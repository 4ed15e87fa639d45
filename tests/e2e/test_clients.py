"""
Clients and next hops of other hands, each with habits of its own: swaks and Python's smtplib before the front, aiosmtpd
behind it. (msmtp, Postfix and amavisd-milter have files of their own.)
"""
import email.message
import email.policy
import shutil
import smtplib
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

import mw
import mwhop
import mwtls
from mwhop import A, B, class_of
from mwmail import field, mail, multipart, part
from mwtls import NAME
from next_hop import OFFERED

try:
    from aiosmtpd.controller import Controller, UnixSocketController
    from aiosmtpd.lmtp import LMTP
    from aiosmtpd.smtp import SMTP
except ImportError:
    SMTP = None

behind = mwhop.behind  # the fixture
C = "c@example.org"
RCPTS = [A, B, C]
SENDER = "sender@example.com"
OCTETS = mail(b"Hello,\r\n.\r\n..dots\r\nend\r\n")
ALL_OFFERED = (*OFFERED, "SMTPUTF8", "DSN", "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE")

needs_swaks = pytest.mark.skipif(shutil.which("swaks") is None, reason="swaks is not installed")
needs_aiosmtpd = pytest.mark.skipif(SMTP is None, reason="aiosmtpd is not installed")


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return mwtls.Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def good(ca):
    return ca.cert("good")


@pytest.fixture
def doors(suite, good):
    """Settings of a front with a port and a Unix socket, STARTTLS at both; the socket's path."""
    path = suite.folder / "run/smtp.sock"
    suite.set(unix_socketname=[str(path)], unix_socket_mode="0666", tls_security_level_in="may", smtpd_tls_cert_file=str(good))
    return path


@pytest.fixture
def front(behind, doors):
    """Start it before a hop that offers all there is: front(rcpt=...) is the hop."""
    def start(**kw):
        return behind(offered=ALL_OFFERED, **kw)
    return start


# ------------------------------------------------------------------ swaks

@pytest.fixture
def swaks(suite, doors):
    """Run it: swaks("--tls", unix=True, rcpts=...); the CompletedProcess."""
    def run(*args, unix=False, rcpts=RCPTS, octets=OCTETS):
        host, port = suite.smtp_address()
        where = ["--socket", doors] if unix else ["--server", host, "--port", port]
        # It ends the last line itself.
        octets = octets.removesuffix(b"\r\n").replace(b"\r\n", b"\n")
        told = ["--from", SENDER, "--to", ",".join(rcpts), "--ehlo", "client.example.com", "--timeout", int(60 * mw.SLOW), "--data", "-"]
        return subprocess.run(["swaks", *map(str, [*where, *told, *args])], input=octets, capture_output=True,
            timeout=90 * mw.SLOW, check=False, env={"PATH": "/usr/bin:/bin", "SWAKS_HOME": str(suite.folder)})
    return run


@needs_swaks
@pytest.mark.parametrize("pipeline", [[], ["--pipeline"]], ids=["one by one", "pipelining"])
@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
@pytest.mark.parametrize("protocol", ["SMTP", "ESMTP", "ESMTPS", "LMTP", "LMTPS"])
def test_swaks_is_served_whatever_it_speaks(front, swaks, ca, protocol, unix, pipeline):
    hop = front()
    tls = ["--tls-verify", "--tls-ca-path", ca.ca] if protocol.endswith("S") else []
    done = swaks("--protocol", protocol, *pipeline, *tls, unix=unix)
    assert done.returncode == 0, done.stdout
    m, = hop.mails
    assert m.rcpts == RCPTS and SENDER in m.sender and m.octets.endswith(OCTETS)
    assert f" with {protocol}" in field(m.octets, "Received") and "client.example.com" in field(m.octets, "Received")
    if protocol.startswith("LMTP"):
        assert done.stdout.count(b"queued as") == 3, "an answer for each recipient"


@needs_swaks
@pytest.mark.parametrize("stage", ["rcpt", "dot"])
def test_swaks_over_lmtp_is_told_of_each_recipient(front, swaks, stage):
    def says(_, line):
        return b"550 5.1.1 nobody of that name\r\n" if B in line else b"250 2.0.0 taken\r\n"
    hop = front(lmtp=True, **{"dot": b"250 2.0.0 taken\r\n", stage: says})
    done = swaks("--protocol", "LMTP", "--pipeline")
    assert done.stdout.count(b": 250 2.0.0 taken") == 2 and done.stdout.count(b"550 5.1.1 nobody of that name") == 1, done.stdout
    assert sorted(r for m in hop.mails for r in m.rcpts) == [A, C]


@needs_swaks
@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
def test_swaks_learns_of_a_refusal_at_the_end_of_the_mail(front, swaks, stage):
    hop = front(**{stage: b"554 5.7.1 the hop will not have it\r\n"})
    done = swaks()
    assert done.returncode == 26 and b"554 5.7.1 from MTA(" in done.stdout and b"the hop will not have it" in done.stdout, done.stdout
    assert hop.mails == []


@needs_swaks
@pytest.mark.parametrize("how", [[], ["--tls"], ["--pipeline"], ["--protocol", "LMTP"]], ids=["plain", "tls", "pipelining", "lmtp"])
def test_swaks_that_goes_in_the_middle_leaves_nothing_behind(front, swaks, suite, how):
    hop = front()
    stops = [["--drop-after", stage] for stage in ("BANNER", "FIRST-HELO", "HELO", "STARTTLS", "MAIL", "RCPT", "DATA")] + \
        [["--drop-after-send", stage] for stage in ("HELO", "MAIL", "RCPT", "DATA")] + [["--quit-after", "RCPT"]]
    with ThreadPoolExecutor(len(stops)) as pool:
        list(pool.map(lambda stop: swaks(*stop, *how), stops))
    assert suite.send(OCTETS, rcpts=[A]).code == 250
    assert [m.rcpts for m in hop.mails] == [[A]], "the next client's alone"


@needs_swaks
@pytest.mark.parametrize("args,code", [(["--auth", "--auth-user", "u", "--auth-password", "p"], 28), (["--prdr"], 30),
    (["--xclient-addr", "192.0.2.1"], 33)], ids=["AUTH", "PRDR", "XCLIENT"])
def test_swaks_does_without_what_is_not_offered(front, swaks, args, code):
    hop = front()
    assert swaks(*args).returncode == code
    assert hop.mails == []


@needs_swaks
@pytest.mark.parametrize("version", ["1", "2"])
def test_a_proxy_header_is_no_mail_from_elsewhere(front, swaks, suite, version):
    """The PROXY protocol is not spoken: its line is an unknown command, or octets that are none."""
    hop = front()
    proxy = ["--proxy-version", version, "--proxy-family", "TCP4" if version == "1" else "AF_INET", "--proxy-source", "192.0.2.1",
        "--proxy-source-port", "4711", "--proxy-dest", "192.0.2.2", "--proxy-dest-port", "25"]
    done = swaks(*proxy, *(["--proxy-protocol", "STREAM", "--proxy-command", "PROXY"] if version == "2" else []))
    assert done.returncode != 0, done.stdout
    assert not any(b"192.0.2.1" in m.octets for m in hop.mails) and hop.mails == []
    assert suite.send(OCTETS, rcpts=[A]).code == 250


@needs_swaks
@pytest.mark.parametrize("how", [["--tls"], ["--pipeline"], ["--protocol", "LMTP"]], ids=" ".join)
def test_swaks_sends_a_large_mail(front, swaks, how):
    hop = front()
    octets = multipart([part("application/octet-stream", bytes(range(256)) * 16384, name="data")])
    done = swaks(*how, octets=octets, rcpts=[A])
    assert done.returncode == 0, done.stdout[-2000:]
    assert hop.mails[0].octets.endswith(octets)


@needs_swaks
def test_tls_from_the_first_octet_is_not_spoken(front, swaks, suite):
    hop = front()
    assert swaks("--tls-on-connect", "--timeout", "5").returncode != 0
    assert hop.mails == [] and suite.send(OCTETS, rcpts=[A]).code == 250


# ------------------------------------------------------------------ smtplib

@pytest.fixture
def smtp(suite):
    def connect(cls=smtplib.SMTP, unix=None):
        host, port = suite.smtp_address()
        return cls(str(unix) if unix else host, 0 if unix else port, local_hostname="py.example", timeout=60 * mw.SLOW)
    return connect


def test_smtplib_sends_to_many(front, smtp):
    hop = front()
    with smtp() as c:
        assert c.sendmail(SENDER, RCPTS, OCTETS) == {}
        assert c.sendmail(SENDER, [A], OCTETS) == {}, "and again over the same connection"
    assert [m.rcpts for m in hop.mails] == [RCPTS, [A]] and all(m.octets.endswith(OCTETS) for m in hop.mails)
    assert len(hop.connections) == 1


def test_smtplib_falls_back_to_helo(front, smtp):
    hop = front()
    with smtp() as c:
        c.helo()
        assert c.sendmail(SENDER, [A], OCTETS) == {}
    assert " with SMTP " in field(hop.mails[0].octets, "Received")


def test_smtplib_says_what_dsn_wants_to_know(front, smtp):
    hop = front()
    with smtp() as c:
        assert c.sendmail(SENDER, [A], OCTETS, ["RET=HDRS", "ENVID=QQ+2B314159"],
            ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;Bob+2B@Example.ORG"]) == {}
    said = {line.split(" ")[0]: line for line in hop.commands}
    assert "RET=HDRS" in said["MAIL"] and "ENVID=QQ+2B314159" in said["MAIL"]
    assert "NOTIFY=SUCCESS,FAILURE" in said["RCPT"] and "ORCPT=rfc822;Bob+2B@Example.ORG" in said["RCPT"]


def test_smtplib_says_8bitmime(front, smtp):
    hop = front()
    octets = mail("Grüße\r\n".encode(), headers=["MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit"])
    with smtp() as c:
        assert c.sendmail(SENDER, [A], octets, ["BODY=8BITMIME"]) == {}
    assert hop.mails[0].octets.endswith(octets)
    assert "BODY=8BITMIME" in hop.mails[0].sender


def message_in_utf8(sender="käthe@example.com", rcpt="jürgen@bücher.example"):
    m = email.message.EmailMessage(policy=email.policy.SMTPUTF8)
    m["From"], m["To"], m["Subject"] = f"Käthe <{sender}>", rcpt, "Grüße"
    m.set_content("Schöne Grüße\n", cte="8bit")
    return m


def test_smtplib_sends_smtputf8(front, smtp):
    hop = front()
    with smtp() as c:
        assert c.send_message(message_in_utf8()) == {}
    m, = hop.mails
    assert "käthe@example.com" in m.sender.encode("latin-1").decode() and "SMTPUTF8" in m.sender and "BODY=8BITMIME" in m.sender
    assert m.rcpts[0].encode("latin-1").decode() == "jürgen@bücher.example"
    assert "Subject: Grüße\r\n".encode() in m.octets and "Schöne Grüße\r\n".encode() in m.octets
    assert " with UTF8SMTP " in field(m.octets, "Received")


def test_smtplib_is_refused_smtputf8_that_the_hop_does_not_take(behind, smtp):
    hop = behind()
    with smtp() as c, pytest.raises(smtplib.SMTPDataError) as e:
        c.send_message(message_in_utf8())
    assert e.value.smtp_code == 550 and b"5.6.7" in e.value.smtp_error
    assert hop.mails == []


def test_smtplib_names_the_original_client(front, smtp):
    hop = front()
    with smtp() as c:
        c.ehlo()
        assert c.has_extn("xforward")
        assert c.docmd("XFORWARD", "NAME=mx.example.net ADDR=192.0.2.7 PORT=4711 HELO=mx.example.net PROTO=ESMTP")[0] == 250
        assert c.sendmail(SENDER, [A], OCTETS) == {}
        assert c.sendmail(SENDER, [A], OCTETS) == {}, "and that was for one mail"
    said = [line for line in hop.commands if line.startswith("XFORWARD")]
    assert len([line for line in said if "ADDR=192.0.2.7" in line]) == 1, said
    assert "192.0.2.7" in "".join(said[:2]) and "mx.example.net" in "".join(said[:2])


@pytest.mark.parametrize("hop_says", [{"rcpt": b"550 5.1.1 nobody\r\n"}, {"rcpt": b"450 4.2.1 later\r\n"},
    {"dot": b"552 5.2.2 full\r\n"}], ids=["550", "450", "552"])
def test_smtplib_learns_of_a_refusal(front, smtp, hop_says):
    hop = front(**hop_says)
    reply, = hop_says.values()
    with smtp() as c:
        with pytest.raises(smtplib.SMTPDataError) as e:
            c.sendmail(SENDER, [A, B], OCTETS)
        assert e.value.smtp_code == int(reply[:3]) and reply[4:].strip() in e.value.smtp_error
        assert c.noop()[0] == 250, "and the session goes on"
    assert hop.mails == []


def test_smtplib_over_tls_and_what_was_said_before_is_forgotten(front, smtp, ca):
    hop = front()
    with smtp() as c:
        c.ehlo()
        assert c.docmd("XFORWARD", "NAME=mx.example.net ADDR=192.0.2.7")[0] == 250
        c._host = NAME  # what it says in SNI and verifies
        c.starttls(context=ca.client())
        assert not c.has_extn("starttls")
        assert c.sendmail(SENDER, RCPTS, OCTETS) == {}
    assert hop.mails[0].rcpts == RCPTS and " with ESMTPS " in field(hop.mails[0].octets, "Received")
    assert "192.0.2.7" not in "".join(hop.commands)


def test_smtplib_asks_this_and_that(front, smtp):
    hop = front()
    with smtp() as c:
        assert c.verify("somebody")[0] == 252 and c.expn("list")[0] == 502 and c.help() and c.rset()[0] == 250
        c.ehlo()
        assert c.mail(SENDER)[0] == 250 and c.rcpt(A)[0] == 250 and c.verify(A)[0] == 252 and c.rset()[0] == 250
        assert c.docmd("DATA")[0] == 503
    assert hop.mails == []


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_smtplib_over_lmtp(front, smtp, doors, unix):
    """It reads one answer to the dot itself; the rest is left to its user."""
    hop = front(lmtp=True, dot=lambda _, rcpt: b"450 4.2.1 later\r\n" if rcpt == B else b"250 2.0.0 taken\r\n")
    with smtp(smtplib.LMTP, doors if unix else None) as c:
        assert c.sendmail(SENDER, [A], OCTETS) == {}
        c.ehlo()
        assert c.mail(SENDER)[0] == 250 and [c.rcpt(r)[0] for r in RCPTS] == [250] * 3
        assert [c.data(OCTETS)[0], c.getreply()[0], c.getreply()[0]] == [250, 450, 250]
    assert [m.rcpts for m in hop.mails] == [[A], [A], [C]]


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_smtplib_over_smtp_and_a_unix_socket(front, smtp, doors, unix):
    """smtplib.LMTP alone knows Unix sockets; it may greet as it likes."""
    class Smtp(smtplib.LMTP):
        ehlo_msg = "ehlo"
    hop = front()
    with smtp(Smtp, doors if unix else None) as c:
        assert c.sendmail(SENDER, RCPTS, OCTETS) == {}
    assert hop.mails[0].rcpts == RCPTS


# ------------------------------------------------------------------ aiosmtpd

class Handler:
    """Keeps what comes; says() may answer for a recipient at RCPT ("rcpt") or behind the dot ("dot")."""

    def __init__(self, lmtp, says):
        self.lmtp, self.says, self.mails, self.tls = lmtp, says or (lambda stage, rcpt: None), [], []

    async def handle_RCPT(self, _server, _session, envelope, address, _options):
        no = self.says("rcpt", address)
        if no is None:
            envelope.rcpt_tos.append(address)
        return no or "250 2.1.5 OK"

    async def handle_DATA(self, _server, session, envelope):
        said = []
        for group in [[r] for r in envelope.rcpt_tos] if self.lmtp else [list(envelope.rcpt_tos)]:
            said.append(self.says("dot", group[0]) or "250 2.0.0 aiosmtpd has it")
            if said[-1].startswith("2"):
                self.mails.append((envelope.mail_from, group, bytes(envelope.content), list(envelope.mail_options)))
                self.tls.append(session.ssl is not None)
        return "\r\n".join(said)


@pytest.fixture
def aio(suite):
    """An aiosmtpd behind a front that is started then: aio(lmtp=..., unix=..., says=..., settings={...}, further arguments of its SMTP)."""
    hops = []

    def start(lmtp=False, unix=False, says=None, settings=None, one_answer=False, **kw):
        handler = Handler(lmtp and not one_answer, says)
        listener = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        listener.bind(str(suite.folder / "hop.sock") if unix else ("127.0.0.1", 0))
        listener.listen(16)

        class Hop(UnixSocketController if unix else Controller):
            def factory(self):
                return (LMTP if lmtp else SMTP)(self.handler, **self.SMTP_kwargs)

            def _create_server(self):
                create = self.loop.create_unix_server if unix else self.loop.create_server
                return create(self._factory_invoker, sock=listener)
        where = {"unix_socket": listener.getsockname()} if unix else dict(zip(("hostname", "port"), listener.getsockname()))
        hops.append(Hop(handler, ready_timeout=20 * mw.SLOW, server_hostname="hop.test", **where, **kw))
        hops[-1].start()
        at = listener.getsockname() if unix else "[%s]:%d" % listener.getsockname()
        suite.set(forward_method=f"{'lmtp' if lmtp else 'smtp'}:{at}", bypass_virus_checks_maps=[True], **(settings or {}))
        suite.start_all(services=())
        return handler
    yield start
    for hop in hops:
        hop.stop()


HOPS = pytest.mark.parametrize("hop", [dict(lmtp=lmtp, unix=unix) for lmtp in (False, True) for unix in (False, True)],
    ids=["smtp tcp", "smtp unix", "lmtp tcp", "lmtp unix"])


def received(handler):
    return sorted(r for m in handler.mails for r in m[1])


@needs_aiosmtpd
@HOPS
def test_aiosmtpd_gets_what_was_sent(aio, suite, hop):
    handler = aio(**hop)
    for _ in range(2):  # the second over the same connection
        assert suite.send(OCTETS, SENDER, RCPTS).code == 250
    assert received(handler) == sorted(RCPTS * 2)
    assert all(m[0] == SENDER and m[2].endswith(OCTETS) for m in handler.mails)


@needs_aiosmtpd
@HOPS
def test_aiosmtpd_takes_8bitmime_and_smtputf8(aio, smtp, hop):
    handler = aio(**hop)
    with smtp() as c:
        assert c.send_message(message_in_utf8()) == {}
    (sender, rcpts, octets, options), = handler.mails
    assert (sender, rcpts) == ("käthe@example.com", ["jürgen@bücher.example"]) and "Grüße\r\n".encode() in octets
    assert {"SMTPUTF8", "BODY=8BITMIME"} <= set(options)


@needs_aiosmtpd
@HOPS
def test_aiosmtpd_without_smtputf8_gets_what_can_be_said_without(aio, suite, smtp, hop):
    handler = aio(enable_SMTPUTF8=False, **hop)
    with smtp() as c, pytest.raises(smtplib.SMTPDataError) as e:
        c.send_message(message_in_utf8())
    assert e.value.smtp_code == 550 and b"5.6.7" in e.value.smtp_error and handler.mails == []
    with suite.smtp() as c:
        c.hello()
        assert c.mail(SENDER, ["b@bücher.example"], OCTETS, " SMTPUTF8").code == 250
    assert received(handler) == ["b@xn--bcher-kva.example"]


@needs_aiosmtpd
@HOPS
@pytest.mark.parametrize("stage", ["rcpt", "dot"])
@pytest.mark.parametrize("code", [450, 550])
def test_aiosmtpd_refuses_one_of_three(aio, smtp, hop, stage, code):
    handler = aio(says=lambda s, rcpt: f"{code} {code // 100}.1.1 not him" if s == stage and rcpt == B else None, **hop)
    with smtp(smtplib.LMTP) as c:
        c.ehlo()
        assert c.mail(SENDER)[0] == 250 and [c.rcpt(r)[0] for r in RCPTS] == [250] * 3
        told = [c.data(OCTETS), c.getreply(), c.getreply()]
    # Over SMTP the dot's one answer is asked of A, who is fine.
    no = stage == "rcpt" or hop["lmtp"]
    assert [t[0] for t in told] == [250, code if no else 250, 250], told
    assert received(handler) == ([A, C] if no else RCPTS)


@needs_aiosmtpd
def test_aiosmtpd_that_answers_once_for_all_has_taken_it_for_the_first_only(aio, smtp):
    """As its LMTP does when nobody told it better; nobody answers for the others."""
    aio(lmtp=True, one_answer=True, settings={"delivery.dot_timeout": 2 * int(mw.SLOW)})
    with smtp(smtplib.LMTP) as c:
        c.ehlo()
        assert c.mail(SENDER)[0] == 250 and [c.rcpt(r)[0] for r in RCPTS] == [250] * 3
        assert [c.data(OCTETS)[0], c.getreply()[0], c.getreply()[0]] == [250, 450, 450]


@needs_aiosmtpd
@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize("kw,octets,words", [
    (dict(data_size_limit=1000), mail(b"x" * 70 + b"\r\n"), None),
    (dict(data_size_limit=1000), mail(b"0123456789\r\n" * 200), "552 5.3.4"),
    (dict(), mail(b"x" * 1100 + b"\r\n"), "500 5.6.0 from MTA("),
    (dict(auth_required=True, auth_require_tls=False), OCTETS, "530 5.7.0 from MTA("),
], ids=["small", "too large", "line too long", "AUTH wanted"])
def test_aiosmtpd_refuses_in_its_own_words(aio, suite, kw, octets, words):
    handler = aio(**kw)
    r = suite.send(octets, SENDER, [A])
    assert r.code == (int(words[:3]) if words else 250), r
    assert words is None or words in f"{r.code} {r.text}", r
    assert len(handler.mails) == (words is None)


@needs_aiosmtpd
def test_aiosmtpd_that_raises_is_believed(aio, suite):
    def says(stage, _rcpt):
        if stage == "dot":
            raise RuntimeError("out of order")
    handler = aio(says=says)
    r = suite.send(OCTETS, SENDER, [A])
    assert class_of(r) == 5 and "out of order" in r.text and handler.mails == [], r


@needs_aiosmtpd
def test_aiosmtpd_that_hangs_up_on_idle_connections_costs_no_mail(aio, suite):
    handler = aio(timeout=0.5)
    for count in (1, 2, 3):
        assert suite.send(OCTETS, SENDER, [A]).code == 250
        assert len(handler.mails) == count
        mw.until("the end of the idle connection", lambda: connections(suite) == 0)


def connections(suite):
    """TCP connections that the front has opened."""
    port = int(suite.settings["forward_method"].rpartition(":")[2])
    done = subprocess.run(["ss", "-Htn", "state", "established", f"( dport = :{port} )"], capture_output=True, text=True, check=True)
    return len(done.stdout.splitlines())


@needs_aiosmtpd
@pytest.mark.parametrize("sender", ["", '"a b"@example.com', "a+b=c@example.com"])
def test_aiosmtpd_understands_our_senders(aio, suite, sender):
    handler = aio()
    assert suite.send(OCTETS, sender, [A]).code == 250
    assert handler.mails[0][0] in (sender, "<>")


@needs_aiosmtpd
@pytest.mark.parametrize("level", ["none", "may", "encrypt", "verify"])
@pytest.mark.parametrize("lmtp", [False, True], ids=["smtp", "lmtp"])
def test_aiosmtpd_over_tls(aio, suite, ca, good, level, lmtp):
    handler = aio(lmtp=lmtp, tls_context=mwtls.server(good), settings=dict(tls_security_level_out=level, smtp_tls_CAfile=str(ca.ca)))
    for _ in range(2):
        assert suite.send(OCTETS, SENDER, RCPTS).code == 250
    assert received(handler) == sorted(RCPTS * 2) and set(handler.tls) == {level != "none"}


@needs_aiosmtpd
@pytest.mark.parametrize("level", ["none", "may"])
def test_aiosmtpd_that_wants_tls(aio, suite, good, level):
    handler = aio(tls_context=mwtls.server(good), require_starttls=True, settings=dict(tls_security_level_out=level))
    r = suite.send(OCTETS, SENDER, [A])
    if level == "may":
        assert r.code == 250 and handler.tls == [True]
    else:
        assert r.code == 530 and "STARTTLS" in r.text and handler.mails == []


@needs_swaks
@needs_aiosmtpd
@pytest.mark.parametrize("lmtp", [False, True], ids=["smtp", "lmtp"])
def test_from_swaks_to_aiosmtpd_all_the_way_in_tls(aio, swaks, ca, good, lmtp):
    handler = aio(lmtp=lmtp, tls_context=mwtls.server(good), settings=dict(tls_security_level_out="verify", smtp_tls_CAfile=str(ca.ca)))
    done = swaks("--tls", "--pipeline", "--protocol", "LMTP" if lmtp else "ESMTP")
    assert done.returncode == 0, done.stdout
    assert received(handler) == RCPTS and all(handler.tls) and all(m[2].endswith(OCTETS) for m in handler.mails)
