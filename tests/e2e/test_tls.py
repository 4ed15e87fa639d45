"""
STARTTLS, both ways: real certificates, real handshakes, and peers that cheat in them. Whatever they do, no mail is lost or
doubled, none is said to be taken that no next hop has, and nothing that was said in plaintext counts behind the handshake.
"""
import hashlib
import os
import re
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess

import pytest

import mw
import mwhop
import mwtls
from mwhop import A, B, class_of
from mwmail import mail
from mwsmtp import Gone
from mwtls import NAME
from next_hop import DROP, SILENT, NextHop

behind, ca, good = mwhop.behind, mwtls.ca, mwtls.good  # the fixtures


def big_mail(octets):
    """Lines that differ, some with dots in front."""
    line = b"%08d the quick brown fox jumps over the lazy dog and does it again\r\n"
    lines = [b"." + line % i if i % 7 == 0 else line % i for i in range(octets // 68)]
    return mail(b"".join(lines))


def taken(hop):
    """Digests of the mails that it has, without the fields in front that are ours."""
    return [hashlib.sha256(m.octets[m.octets.index(b"From: "):]).hexdigest() for m in hop.mails]


def digest(octets):
    return hashlib.sha256(octets).hexdigest()


# ------------------------------------------------------------------ in: what is offered and answered

@pytest.fixture
def front(behind, suite, good):
    """A front that offers STARTTLS, in front of a plain hop: front(level) is the hop."""
    def start(level="may", **settings):
        return behind(settings=dict(tls_security_level_in=level, smtpd_tls_cert_file=str(good), **settings))
    return start


def test_a_mail_over_tls_arrives_and_its_trace_says_so(front, suite, ca):
    hop = front()
    octets = mail()
    with suite.smtp() as c:
        c.hello()
        assert "STARTTLS" in c.features
        assert c.starttls(ca.client(), NAME).code == 250
        assert "STARTTLS" not in c.features and "PIPELINING" in c.features
        assert c.mail(A, [B], octets).code == 250
        assert c.mail(A, [B], octets).code == 250
        version, cipher = c.sock.version(), c.sock.cipher()[0]
    assert taken(hop) == [digest(octets)] * 2
    received = re.sub(r"\r\n\s+", " ", hop.mails[0].octets.decode())
    assert re.search(rf"^Received: from client\.example\.com \(\[127\.0\.0\.1\]\) \(using {version} with cipher {cipher} "
        r"\(256/256 bits\)\) by mw\.test .* with ESMTPS id ", received), received[:300]


def test_without_tls_the_trace_says_nothing_of_it(front, suite):
    hop = front()
    assert suite.send(mail()).code == 250
    received = re.sub(r"\r\n\s+", " ", hop.mails[0].octets.decode()).split("\r\n")[0]
    assert " with ESMTP id " in received and "using" not in received


def test_it_is_not_offered_when_it_is_not_configured(behind, suite):
    behind()
    with suite.smtp() as c:
        c.hello()
        assert "STARTTLS" not in c.features
        r = c.cmd("STARTTLS")
        assert (r.code, r.enhanced) == (502, "5.5.1")
        assert "tls_security_level_in" in r.text
        assert c.mail(A, [B], mail()).code == 250


def test_starttls_out_of_place(front, suite, ca):
    front()
    with suite.smtp() as c:
        c.greeting = c.reply()
        assert c.cmd("STARTTLS").code == 503  # no EHLO
        c.hello(verb="HELO")
        assert c.cmd("STARTTLS").code == 503  # not an extension of HELO's
        c.hello()
        assert c.cmd("STARTTLS now").code == 501
        assert c.cmd("MAIL FROM:<a@example.com>").code == 250
        r = c.cmd("STARTTLS")
        assert (r.code, r.enhanced) == (503, "5.5.1")
        assert c.cmd("RCPT TO:<b@example.org>").code == 250  # the transaction is still there
        assert c.cmd("RSET").code == 250
        assert c.starttls(ca.client(), NAME).code == 250
        r = c.cmd("STARTTLS")
        assert (r.code, r.enhanced) == (554, "5.5.1")
        assert c.mail(A, [B], mail()).code == 250


def test_after_the_handshake_the_session_begins_anew(front, suite, ca):
    front()
    with suite.smtp() as c:
        c.hello()
        assert c.cmd("XFORWARD NAME=evil.example ADDR=192.0.2.1").code == 250
        assert c.starttls(ca.client(), NAME, hello=False).code == 220
        r = c.cmd("MAIL FROM:<a@example.com>")
        assert r.code == 503, r  # EHLO is due again
        assert c.cmd("XFORWARD NAME=good.example").code == 503
        c.hello()
        assert c.mail(A, [B], mail()).code == 250


def test_encrypt_takes_no_mail_in_plaintext(front, suite, ca):
    hop = front("encrypt")
    with suite.smtp() as c:
        c.hello()
        assert "STARTTLS" in c.features
        for line in ("MAIL FROM:<a@example.com>", "XFORWARD NAME=x", "RCPT TO:<b@example.org>", "DATA", "VRFY x", "RSET", "HELO x"):
            r = c.cmd(line)
            assert (r.code, r.enhanced) == (530, "5.7.0"), (line, r)
            assert "STARTTLS" in r.text
        assert c.cmd("NOOP").code == 250
        c.hello()
        assert c.starttls(ca.client(), NAME).code == 250
        assert c.mail(A, [B], mail()).code == 250
    assert len(hop.mails) == 1


def test_encrypt_in_one_bank_only(behind, suite, ca, good):
    at = "127.0.0.1"
    ports = mw.free_ports(2)
    behind(settings=dict(inet_socket_port=[f"{at}:{p}" for p in range(ports, ports + 2)], smtpd_tls_cert_file=str(good),
        interface_policy={str(ports + 1): "SAFE"}, policy_bank={"SAFE": {"tls_security_level_in": "encrypt"}}))
    with suite.smtp(at=0) as c:
        c.hello()
        assert "STARTTLS" not in c.features
        assert c.cmd("STARTTLS").code == 502
        assert c.mail(A, [B], mail()).code == 250
    with suite.smtp(at=1) as c:
        c.hello()
        assert c.cmd("MAIL FROM:<a@example.com>").code == 530
        assert c.starttls(ca.client(), NAME).code == 250
        assert c.mail(A, [B], mail()).code == 250


def test_key_and_certificate_in_two_files(behind, suite, ca, good):
    behind(settings=dict(tls_security_level_in="may", smtpd_tls_cert_file=str(good.with_suffix(".crt")), smtpd_tls_key_file=str(good)))
    with suite.smtp() as c:
        c.hello()
        assert c.starttls(ca.client(), NAME).code == 250


def test_the_oldest_version_is_a_setting(front, suite, ca):
    front(tls_min_version="TLSv1.3")
    with suite.smtp() as c:
        c.hello()
        with pytest.raises(ssl.SSLError):
            c.starttls(ca.client(maximum_version=ssl.TLSVersion.TLSv1_2), NAME)
    suite.front.wait_log(r"tls_failed .*unsupported protocol")
    with suite.smtp() as c:
        c.hello()
        assert c.starttls(ca.client(), NAME).code == 250


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_are_spoken(front, suite, ca, version):
    hop = front()
    with suite.smtp() as c:
        c.hello()
        assert c.starttls(ca.client(minimum_version=version, maximum_version=version), NAME).code == 250
        assert c.sock.version() == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]
        octets = big_mail(300000)
        assert c.mail(A, [B], octets).code == 250
    assert taken(hop) == [digest(octets)]


def test_smtplib(front, suite, ca):
    hop = front("encrypt")
    with smtplib.SMTP(*suite.smtp_address(), timeout=30 * mw.SLOW) as c:
        c.ehlo()
        c._host = NAME  # what it says in SNI and verifies
        c.starttls(context=ca.client())
        assert c.sendmail(A, [B], mail()) == {}
    assert len(hop.mails) == 1


def test_s_client(front, suite, ca):
    hop = front()
    host, port = suite.smtp_address()
    said = b"EHLO x\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n" + mail() + b".\r\nQUIT\r\n"
    done = subprocess.run(["openssl", "s_client", "-starttls", "smtp", "-connect", f"{host}:{port}", "-CAfile", str(ca.ca),
        "-verify_return_error", "-verify_hostname", NAME, "-ign_eof", "-quiet", "-crlf"], input=said.replace(b"\r\n", b"\n"),
        capture_output=True, timeout=60 * mw.SLOW, check=False)
    assert b"\n250 2.0.0 " in done.stdout and b"\n221 2.0.0" in done.stdout, (done.stdout, done.stderr)
    assert len(hop.mails) == 1


@pytest.mark.skipif(shutil.which("swaks") is None, reason="no swaks")
def test_swaks(front, suite, ca):
    hop = front()
    host, port = suite.smtp_address()
    done = subprocess.run(["swaks", "--server", f"{host}:{port}", "--tls", "--from", A, "--to", B], capture_output=True,
        timeout=60 * mw.SLOW, check=False)
    assert done.returncode == 0, done.stdout
    assert len(hop.mails) == 1


def test_many_connections_at_once(front, suite, ca):
    hop = front()
    clients = [suite.smtp() for _ in range(30)]
    for c in clients:
        c.hello()
        assert c.starttls(ca.client(), NAME).code == 250
    for c in clients:
        assert c.mail(A, [B], mail()).code == 250
    for c in clients:
        assert c.quit().code == 221
    assert len(hop.mails) == 30


# ------------------------------------------------------------------ in: who cheats

def test_what_was_pipelined_behind_starttls_is_never_obeyed(front, suite):
    hop = front()
    with suite.smtp() as c:
        c.hello()
        c.write(b"STARTTLS\r\nMAIL FROM:<evil@example.com>\r\nRCPT TO:<b@example.org>\r\n")
        r = c.reply()
        assert (r.code, r.enhanced) == (554, "5.5.0")
        with pytest.raises(Gone):
            c.reply()
    suite.front.wait_log("starttls_injection peer=127.0.0.1 .*octets=")
    assert suite.send(mail()).code == 250
    assert len(hop.mails) == 1 and "evil" not in hop.mails[0].sender


def test_commands_before_starttls_may_be_pipelined(front, suite, ca):
    front()
    with suite.smtp() as c:
        c.hello()
        c.write(b"NOOP\r\nNOOP\r\nSTARTTLS\r\n")
        assert [c.reply().code for _ in range(3)] == [250, 250, 220]
        c.sock = ca.client().wrap_socket(c.sock, server_hostname=NAME)
        assert c.hello().code == 250
        assert c.mail(A, [B], mail()).code == 250


@pytest.mark.parametrize("octets", [b"EHLO there\r\nMAIL FROM:<evil@example.com>\r\n", b"\x16\x03\x01\xff\xff" + b"\0" * 100,
    b"\x15\x03\x03\x00\x02\x02\x28", b"\0" * 70000], ids=["smtp", "long record", "alert", "zeros"])
def test_garbage_in_the_handshake_ends_the_session(front, suite, octets):
    hop = front()
    with suite.smtp() as c:
        c.hello()
        assert c.cmd("STARTTLS").code == 220
        try:
            c.write(octets)
            while c.sock.recv(65536):  # an alert, then the end
                pass
        except ConnectionError:
            pass
    suite.front.wait_log(r"tls_failed peer=127\.0\.0\.1 ")
    assert suite.send(mail()).code == 250
    assert len(hop.mails) == 1


def half_a_hello():
    """A ClientHello, cut in the middle."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing).do_handshake()
    octets = outgoing.read()
    return octets[:len(octets) // 2]


@pytest.mark.parametrize("octets", [b"", half_a_hello()], ids=["nothing", "half"])
def test_silence_in_the_handshake_ends_with_smtpd_timeout(front, suite, octets):
    front(smtpd_timeout=5)
    with suite.smtp() as c:
        c.hello()
        assert c.cmd("STARTTLS").code == 220
        c.write(octets)
        assert c.sock.recv(100) == b""  # nothing is said in plaintext


def test_leaving_in_the_handshake_and_in_the_data(front, suite, ca):
    hop = front()
    for octets in (b"", half_a_hello()):
        c = suite.smtp()
        c.hello()
        assert c.cmd("STARTTLS").code == 220
        c.write(octets)
        c.close()
    c = suite.smtp()
    c.hello()
    assert c.starttls(ca.client(), NAME).code == 250
    assert c.envelope(A, [B]) is None
    assert c.cmd("DATA").code == 354
    c.write(mail())
    c.close()
    suite.front.wait_log("client_gone ")
    assert suite.send(mail(b"the next\r\n")).code == 250
    assert len(hop.mails) == 1 and b"the next" in hop.mails[0].octets


def test_a_changed_record_ends_the_session(front, suite, ca):
    hop = front()
    with suite.smtp() as c:
        c.hello()
        tls = OneByOne(c.sock, ca.client(), step=65536)
        assert tls.starttls().startswith(b"250")
        assert tls.cmd(b"MAIL FROM:<a@example.com>").startswith(b"250")
        assert tls.cmd(b"RCPT TO:<b@example.org>").startswith(b"250")
        tls.tls.write(b"DATA\r\n")
        cipher = bytearray(tls.outgoing.read())
        cipher[-1] ^= 1
        c.sock.sendall(cipher)
        while c.sock.recv(65536):
            pass
    suite.front.wait_log("client_gone .*bad record mac")
    assert hop.mails == []


class OneByOne:
    """A TLS client that hands its ciphertext over in steps of so many octets."""

    def __init__(self, sock, context, step=1):
        self.sock, self.step = sock, step
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=NAME)

    def starttls(self):
        self.sock.sendall(b"STARTTLS\r\n")
        assert self.sock.recv(1000).startswith(b"220 ")
        self.run(self.tls.do_handshake)
        return self.cmd(b"EHLO there", last=b"250 XFORWARD")

    def flush(self):
        out = self.outgoing.read()
        for at in range(0, len(out), self.step):
            self.sock.sendall(out[at:at + self.step])

    def run(self, call, *args):
        while True:
            try:
                got = call(*args)
                self.flush()
                return got
            except ssl.SSLWantReadError:
                self.flush()
                self.incoming.write(self.sock.recv(self.step))

    def cmd(self, line, last=b""):
        self.run(self.tls.write, line + b"\r\n")
        said = b""
        while not said.endswith(b"\r\n") or last not in said:
            said += self.run(self.tls.read, 65536)
        return said


def test_ciphertext_octet_by_octet(front, suite, ca):
    hop = front()
    octets = mail()
    with suite.smtp() as c:
        c.hello()
        tls = OneByOne(c.sock, ca.client())
        assert tls.starttls().startswith(b"250")
        assert tls.cmd(b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA", last=b"354 ").startswith(b"250")
        assert tls.cmd(octets + b".").startswith(b"250 2.0.0")
        assert tls.cmd(b"QUIT").startswith(b"221")
    assert taken(hop) == [digest(octets)]


def test_replies_that_nobody_reads_hold_up_only_their_reader(front, suite, ca):
    """Pipelined HELPs without a read: the front stops reading, and the rest is answered once they are read."""
    front(smtpd_command_limit=100000000)
    with suite.smtp() as c:
        c.hello()
        assert c.starttls(ca.client(), NAME).code == 250
        c.sock.settimeout(2 * mw.SLOW)
        batch, sent = b"NOOP\r\n" * 1000, 0
        try:
            for _ in range(2000):
                c.sock.sendall(batch)
                sent += 1000
        except TimeoutError:
            pass
        assert suite.send(mail()).code == 250
        c.sock.settimeout(30 * mw.SLOW)
        for _ in range(sent):
            assert c.reply().code == 250
        assert suite.front.rss_kb() < 400000 * mw.SLOW


# ------------------------------------------------------------------ in: settings

def test_a_new_certificate_at_sighup(suite, ca, good):
    pem = suite.folder / "server.pem"
    shutil.copy(good, pem)
    suite.set(bypass_virus_checks_maps=[True], tls_security_level_in="may", smtpd_tls_cert_file=str(pem))
    suite.sink()
    suite.start("smtp-front")

    def serial(c):
        c.hello()
        assert c.starttls(ca.client(), NAME).code == 250
        return c.sock.getpeercert()["serialNumber"]
    with suite.smtp() as c:
        first = serial(c)
        shutil.copy(ca.cert("renewed"), pem)
        suite.front.signal(signal.SIGHUP)
        suite.front.wait_log("settings_reloaded")
        with suite.smtp() as d:
            assert serial(d) != first
        assert c.mail(A, [B], mail()).code == 250  # under the old one
        pem.write_text("nonsense")
        suite.front.signal(signal.SIGHUP)
        suite.front.wait_log("smtpd_tls_cert_file = ")
        with suite.smtp() as d:
            assert serial(d) != first


@pytest.mark.parametrize("settings,words", [
    (dict(tls_security_level_in="may"), "smtpd_tls_cert_file names no certificate"),
    (dict(tls_security_level_in="may", smtpd_tls_cert_file="/nowhere.pem"), 'smtpd_tls_cert_file = "/nowhere.pem": No such file'),
    (dict(tls_security_level_in="may", smtpd_tls_cert_file="{good}", smtpd_tls_key_file="/no.key"), 'smtpd_tls_key_file = "/no.key": No'),
    (dict(tls_security_level_in="may", smtpd_tls_cert_file="{good}", smtpd_tls_key_file="{other}"), "key values mismatch"),
    (dict(tls_security_level_in="verify"), "expected none, may or encrypt"),
    (dict(tls_security_level_out="maybe"), "expected none, may, encrypt or verify"),
    (dict(tls_security_level_out="verify", smtp_tls_CAfile="/nowhere.pem"), 'smtp_tls_CAfile = "/nowhere.pem": No such file'),
    (dict(tls_security_level_out="may", tls_min_version="TLSv1"), "expected TLSv1.2 or TLSv1.3"),
    (dict(tls_security_level_out="verify", forward_method="lmtp:/run/lmtp"), "lmtp:/run/lmtp has no name that a certificate could have"),
    (dict(policy_bank={"SAFE": {"tls_security_level_out": "verify", "release_method": "smtp:/run/smtp"}}), "SAFE: tls_security_level_out"),
])
def test_settings_that_cannot_be_are_named_at_start(suite, ca, good, settings, words):
    other = ca.cert("other")
    settings = {k: v.format(good=good, other=other) if v in ("{good}", "{other}") else v for k, v in settings.items()}
    suite.set(**settings)
    p = suite.start("smtp-front", wait=False)
    assert p.popen.wait(20 * mw.SLOW) != 0
    assert words in p.log().replace("\\x22", '"'), p.tail()


def test_no_authorities_are_needed_but_for_verify(suite):
    suite.set(tls_security_level_out="encrypt", smtp_tls_CAfile="/nowhere.pem")
    suite.start("smtp-front")


# ------------------------------------------------------------------ in: large mails

@pytest.mark.deadline(240)
def test_a_large_mail_in_and_out(behind, suite, ca, good):
    hop = behind(tls=mwtls.server(good), settings=dict(tls_security_level_in="may", smtpd_tls_cert_file=str(good),
        tls_security_level_out="encrypt"))
    octets = big_mail(16 << 20)
    assert suite.send(mail()).code == 250
    before = mw.memory_kb(suite.front.pid)
    with suite.smtp(timeout_s=100) as c:
        c.hello()
        assert c.starttls(ca.client(), NAME).code == 250
        for _ in range(3):
            assert c.mail(A, [B], octets).code == 250
    assert taken(hop)[1:] == [digest(octets)] * 3
    assert len(hop.connections) == 1
    # The mail itself is in a spool file, mapped while it goes out; nothing else may grow with it.
    grown = mw.memory_kb(suite.front.pid, "RssAnon") - before if mw.SLOW == 1 else 0
    assert grown < 4096, grown


# ------------------------------------------------------------------ out: all levels, all hops

LEVELS = ("none", "may", "encrypt", "verify")
PLAIN, TLS, NO_OFFER, BAD = "plain", "tls", "4.7.4", "4.7.5"
GARBAGE = b"HTTP/1.0 400 Bad Request\r\n\r\n"

# What the hop does: (certificate or None, further arguments of NextHop, what becomes of the mail at each level, connections
# at level may).
HOPS = {
    "not offered": (None, {}, (PLAIN, PLAIN, NO_OFFER, NO_OFFER), 1),
    "helo only": (None, dict(ehlo=b"502 5.5.1 What?\r\n"), (PLAIN, PLAIN, NO_OFFER, NO_OFFER), 1),
    "good": ("good", {}, (PLAIN, TLS, TLS, TLS), 1),
    "good, cut": ("good", dict(cut=True), (PLAIN, TLS, TLS, TLS), 1),
    "refused 454": ("good", dict(starttls=b"454 4.7.0 TLS not available\r\n"), (PLAIN, PLAIN, NO_OFFER, NO_OFFER), 1),
    "refused 501": ("good", dict(starttls=b"501 5.5.4 no\r\n"), (PLAIN, PLAIN, NO_OFFER, NO_OFFER), 1),
    "refused 421": ("good", dict(starttls=b"421 4.3.2 bye\r\n"), (PLAIN, PLAIN, NO_OFFER, NO_OFFER), 2),
    "garbage": ("good", dict(shake=GARBAGE), (PLAIN, PLAIN, BAD, BAD), 2),
    "fatal alert": ("good", dict(shake=b"\x15\x03\x03\x00\x02\x02\x28"), (PLAIN, PLAIN, BAD, BAD), 2),
    "dropped after 220": ("good", dict(shake=DROP), (PLAIN, PLAIN, BAD, BAD), 2),
    "dropped for 220": ("good", dict(starttls=DROP), (PLAIN, PLAIN, "4.4.2", "4.4.2"), 2),
    "wrong name": ("wrong", {}, (PLAIN, TLS, TLS, BAD), 1),
    "expired": ("expired", {}, (PLAIN, TLS, TLS, BAD), 1),
    "self-signed": ("self-signed", {}, (PLAIN, TLS, TLS, BAD), 1),
    "injection": ("good", dict(starttls=b"220 go\r\n250 injected\r\n"), (PLAIN, BAD, BAD, BAD), 1),
}
REASONS = {"wrong name": "IP address mismatch", "expired": "certificate has expired", "self-signed": "self-signed certificate",
    "injection": "octets in plaintext", "garbage": "TLS handshake: ", "dropped after 220": "TLS handshake: connection ",
    "refused 454": "it refuses STARTTLS: 454 4.7.0 TLS not available", "not offered": "does not offer STARTTLS"}


@pytest.fixture(scope="module")
def certs(ca, good):
    return {"good": good, "wrong": ca.cert("wrong", san="DNS:elsewhere.example,IP:127.0.0.9"),
        "expired": ca.cert("expired", start="20240101000000Z", end="20240102000000Z"),
        "self-signed": ca.cert("self-signed", self_signed=True)}


@pytest.fixture
def out(behind, ca, certs):
    """A front that sends at a level to a hop with a certificate: out(level, cert, ...) is the hop."""
    def start(level, cert, settings=None, **kw):
        return behind(tls=mwtls.server(certs[cert]) if cert else None, settings=dict(tls_security_level_out=level,
            smtp_tls_CAfile=str(ca.ca), **(settings or {})), **kw)
    return start


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", HOPS)
def test_what_becomes_of_a_mail(out, suite, name, level):
    cert, kw, outcomes, connections = HOPS[name]
    hop = out(level, cert, **kw)
    outcome = outcomes[LEVELS.index(level)]
    octets = mail()
    r = suite.send(octets)
    if outcome in (PLAIN, TLS):
        assert r.code == 250, r
        assert taken(hop) == [digest(octets)]
        assert [bool(c.tls) for c in hop.connections if c.dots] == [outcome == TLS]
        assert len(hop.connections) == (connections if level == "may" else 1)
    else:
        assert class_of(r) == 4 and r.enhanced == outcome, r
        assert hop.mails == [] and hop.dots == 0
        assert not any(c.count("MAIL") for c in hop.connections)
        assert REASONS.get(name, "") in r.text, r
    if outcome == TLS:
        c = hop.connections[0]
        assert [line.split(" ")[0] for line in c.commands[:4]] == ["EHLO", "STARTTLS", f"({c.tls})", "EHLO"]


@pytest.mark.parametrize("first", [dict(starttls=b"220 go\r\n250 injected\r\n"), dict(shake=GARBAGE), dict(shake=DROP), dict(starttls=DROP),
    dict(starttls=b"454 4.7.0 no\r\n")], ids=["injection", "garbage", "dropped", "dropped for 220", "refused"])
@pytest.mark.parametrize("level", ["encrypt", "verify"])
def test_what_one_hop_of_a_list_does_weakens_no_other(suite, ca, certs, level, first):
    with NextHop(tls=mwtls.server(certs["good"]), **first) as bad, NextHop(tls=mwtls.server(certs["good"])) as good_hop, \
            NextHop() as bare:
        suite.set(forward_method=[bad.method, bare.method, good_hop.method], bypass_virus_checks_maps=[True], tls_security_level_out=level,
            smtp_tls_CAfile=str(ca.ca))
        suite.start_all(services=())
        for _ in range(2):
            assert suite.send(mail()).code == 250
        assert bad.mails == bare.mails == [] and len(good_hop.mails) == 2
        assert all(c.tls for c in good_hop.connections)


def test_after_an_injection_may_does_not_go_plain(out, suite):
    hop = out("may", "good", starttls=b"220 go\r\n250 injected\r\n")
    for _ in range(2):
        assert suite.send(mail()).enhanced == BAD
    assert hop.mails == []


@pytest.mark.parametrize("shake", [SILENT, b"\x16\x03\x03\x40\x00half"], ids=["silent", "half a record"])
@pytest.mark.parametrize("level", ["may", "verify"])
def test_a_handshake_that_never_ends_has_its_time(out, suite, level, shake):
    hop = out(level, "good", shake=shake, settings=dict(delivery__greeting_timeout=2 * int(mw.SLOW)))
    r = suite.send(mail())
    if level == "may":
        assert r.code == 250 and [c.dots for c in hop.connections] == [0, 1]
    else:
        assert class_of(r) == 4 and r.enhanced == BAD and "its TLS handshake timed out" in r.text and hop.dots == 0


def test_a_name_is_verified_as_it_is_configured(out, suite):
    """localhost is in no certificate of ours, although its address is."""
    hop = out("verify", "good")
    suite.set(forward_method=f"smtp:localhost:{hop.port}").conf_path("smtp-front", "1")
    suite.front.signal(signal.SIGHUP)
    suite.front.wait_log("settings_reloaded")
    r = suite.send(mail())
    assert r.enhanced == BAD and "hostname mismatch" in r.text, r
    assert hop.mails == []


def test_offers_in_plaintext_are_forgotten(out, suite, certs):
    """PIPELINING, SIZE and 8BITMIME are offered before the handshake only."""
    def ehlo(c, _line):
        return b"250 hop.test\r\n" if c.tls else b"250-hop.test\r\n250-PIPELINING\r\n250-SIZE\r\n250-8BITMIME\r\n250 STARTTLS\r\n"
    hop = out("encrypt", "good", ehlo=ehlo)
    assert suite.send(mail()).code == 250
    assert "SIZE=" not in [line for line in hop.commands if line.startswith("MAIL")][0]
    with suite.smtp() as c:
        c.hello()
        assert c.mail(A, [B], mail(), mail_args=" BODY=8BITMIME").enhanced == "5.6.3"


def test_a_connection_is_used_again(out, suite):
    hop = out("verify", "good")
    for _ in range(5):
        assert suite.send(mail()).code == 250
    assert [(c.dots, c.count("EHLO")) for c in hop.connections] == [(5, 2)]


def test_after_a_failure_may_goes_plain_at_once_for_a_while(out, suite):
    hop = out("may", "good", shake=GARBAGE, settings=dict(delivery__idle_time=0))
    for _ in range(3):
        assert suite.send(mail()).code == 250
    assert [(c.count("STARTTLS"), c.dots) for c in hop.connections] == [(1, 0), (0, 1), (0, 1), (0, 1)]


def test_banks_with_levels_of_their_own_share_no_connection(behind, suite, ca, good):
    ports = mw.free_ports(2)
    hop = behind(tls=mwtls.server(good), settings=dict(inet_socket_port=[f"127.0.0.1:{p}" for p in (ports, ports + 1)],
        tls_security_level_out="none", interface_policy={str(ports + 1): "SAFE"}, smtp_tls_CAfile=str(ca.ca),
        policy_bank={"SAFE": {"tls_security_level_out": "verify"}}, delivery__max_connections=1))
    for at in (0, 1, 1, 0, 1):
        assert suite.send(mail(), at=at).code == 250
    assert [bool(c.tls) for c in hop.connections] == [False, True, False, True]
    assert len(hop.mails) == 5


def test_a_hop_that_goes_away_in_the_middle_of_the_mail(out, suite):
    hop = out("encrypt", "good", drop_after=100000)
    r = suite.send(big_mail(4 << 20))
    assert class_of(r) == 4 and hop.mails == []


def test_a_hop_that_speaks_plaintext_in_the_middle_of_tls(out, suite):
    def mail_reply(c, _line):
        os.write(c.sock.fileno(), b"250 2.1.0 Ok\r\n")
        return SILENT
    hop = out("may", "good", mail=mail_reply)
    r = suite.send(mail())
    assert class_of(r) == 4 and hop.mails == [], r


def test_quit_over_tls_ends_politely(out, suite):
    hop = out("encrypt", "good", settings=dict(delivery__idle_time=0))
    assert suite.send(mail()).code == 250
    assert hop.connections[0].gone.wait(20 * mw.SLOW)
    assert hop.connections[0].commands[-1] == "QUIT"
    assert hop.tls_errors == []


def test_metrics_count_handshakes(out, suite, ca, good):
    port = mw.free_port()
    hop = out("encrypt", "good", settings=dict(http__listen=f"127.0.0.1:{port}", tls_security_level_in="may",
        smtpd_tls_cert_file=str(good)))
    with suite.smtp() as c:
        c.hello()
        c.starttls(ca.client(), NAME)
        assert c.mail(A, [B], mail()).code == 250
    with socket.create_connection(("127.0.0.1", port), 20 * mw.SLOW) as s:
        s.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        text = b""
        while got := s.recv(65536):
            text += got
    assert b"mailweir_front_sessions_tls_total 1\n" in text and b"mailweir_front_delivery_connections_tls_total 1\n" in text
    assert len(hop.mails) == 1


@pytest.mark.parametrize("level", ["none", "encrypt"])
def test_a_hop_that_does_not_read_costs_no_memory(out, suite, level):
    """As much as the kernel takes and a few records: the rest of the mail waits where it is, until its time is up."""
    hop = out(level, "good", deaf=True, settings=dict(delivery__data_timeout=2 * int(mw.SLOW)))
    front = suite.front.pid
    before = mw.memory_kb(front, "RssAnon")
    r = suite.send(big_mail(16 << 20))
    assert class_of(r) == 4 and "sending the mail timed out" in r.text and hop.mails == [], r
    grown = mw.memory_kb(front, "RssAnon") - before
    assert mw.SLOW > 1 or grown < 4096, grown
