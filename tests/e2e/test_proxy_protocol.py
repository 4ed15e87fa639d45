"""A proxy in front of us names the client: PROXY protocol, versions 1 and 2, by hand and by HAProxy."""
import shutil
import socket
import struct

import pytest

import mw
import mwhop
from mwhop import A
from mwmail import mail
from mwsmtp import Gone, Smtp

behind = mwhop.behind  # the fixture
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
CLIENT, OTHER = "203.0.113.9", "198.51.100.9"
ANYBODY = ["0/0", "::/0"]


def v1(client=CLIENT, port=4711, family="TCP4", local="192.0.2.25"):
    return f"PROXY {family} {client} {local} {port} 25\r\n".encode()


def v2(client=CLIENT, port=4711, local="192.0.2.25", fields=b"", command=0x21):
    family, af = (0x21, socket.AF_INET6) if ":" in client else (0x11, socket.AF_INET)
    octets = socket.inet_pton(af, client) + socket.inet_pton(af, local) + struct.pack(">HH", port, 25) + fields
    return SIGNATURE + struct.pack(">BBH", command, family, len(octets)) + octets


def proxied(suite, header, **kw):
    """A client that says its header and takes the greeting."""
    c = Smtp(kw.pop("address", None) or suite.smtp_address(), kw.pop("timeout_s", 30))
    c.write(header)
    c.greeting = c.reply()
    return c


def hello_and_send(c, octets=None):
    assert c.greeting.code == 220, c.greeting
    c.hello()
    return c.mail("x@example.com", [A], octets or mail())


@pytest.fixture
def believing(behind):
    """A front that takes PROXY headers from loopback, for clients of anywhere."""
    def start(settings=None, **kw):
        return behind(settings={"haproxy_target_enabled": True, "inet_acl": ANYBODY, **(settings or {})}, **kw)
    return start


@pytest.mark.parametrize("header", [
    v1(), v1("2001:db8::9", family="TCP6", local="2001:db8::25"), v2(), v2("2001:db8::9", local="2001:db8::25"),
    v2(fields=b"\x04\x00\x03xyz"), v2(fields=b"\x04" + struct.pack(">H", 4000) + b"x" * 4000)],
    ids=["v1 4", "v1 6", "v2 4", "v2 6", "v2 field", "v2 4 KiB"])
def test_the_client_is_the_one_that_the_proxy_names(believing, suite, header):
    hop = believing()
    client = "2001:db8::9" if b"2001" in header or b"\x20\x01\x0d\xb8" in header else CLIENT
    with proxied(suite, header) as c:
        assert hello_and_send(c).code == 250
    trace = f"([{'IPv6:' if ':' in client else ''}{client}])".encode()
    assert trace in hop.mails[0].octets, hop.mails[0].octets[:400]


def test_a_header_may_come_one_octet_at_a_time_and_with_commands_behind_it(believing, suite):
    hop = believing()
    for header in (v1(), v2()):
        with Smtp(suite.smtp_address()) as c:
            for octet in header[:-1]:
                c.write(bytes([octet]))
            c.write(header[-1:] + b"EHLO client.example\r\nNOOP\r\n")
            assert c.reply().code == 220
            assert c.reply().code == 250
            assert c.reply().code == 250
            assert c.mail("x@example.com", [A], mail()).code == 250
    assert len(hop.mails) == 2


@pytest.mark.parametrize("header, why", [
    (b"EHLO client.example\r\n", "no PROXY header"),
    (b"\x16\x03\x01\x02\x00", "no PROXY header"),
    (b"PROXY TCP4 203.0.113.9 192.0.2.25 4711 70000\r\n", "port"),
    (b"PROXY TCP4 203.0.113.9 192.0.2.25 4711\r\n", "two ports"),
    (b"PROXY UNKNOWN " + b"x" * 200, "at most 107 octets"),
    (SIGNATURE + b"\x21\x11\xff\xff", "more than 4096"),
    (v2(fields=b"\x03\x00\x04\x00\x00\x00\x00"), "CRC32c"),
    (v2(command=0x31), "version is not 2"),
], ids=["none", "tls", "port", "cut", "long", "huge", "sum", "version"])
def test_a_bad_header_ends_the_session_with_its_reason(believing, suite, header, why):
    hop = believing()
    with proxied(suite, header) as c:
        assert (c.greeting.code, c.greeting.enhanced) == (554, "5.5.0"), c.greeting
        assert why in c.greeting.text
        with pytest.raises((Gone, ConnectionError)):
            c.cmd("NOOP")
    suite.front.wait_log("proxy_refused")
    with proxied(suite, v1()) as c:
        assert hello_and_send(c).code == 250
    assert len(hop.mails) == 1


def test_who_is_no_proxy_is_not_believed(believing, suite):
    believing(settings={"haproxy_trusted_networks": ["192.0.2.1"]})
    with proxied(suite, v1()) as c:
        assert c.greeting.code == 554 and "haproxy_trusted_networks" in c.greeting.text
    with pytest.raises((Gone, ConnectionError)):
        c = Smtp(suite.smtp_address())
        assert c.reply().code == 554
        c.reply()


def test_inet_acl_is_asked_for_the_client_not_for_the_proxy(believing, suite):
    believing(settings={"inet_acl": [CLIENT]})
    with proxied(suite, v1()) as c:
        assert hello_and_send(c).code == 250
    with proxied(suite, v1(OTHER)) as c:
        assert c.greeting.code == 554 and "inet_acl" in c.greeting.text


@pytest.mark.parametrize("header, own", [(b"PROXY UNKNOWN\r\n", False), (SIGNATURE + b"\x20\x00\x00\x00", True),
                                         (SIGNATURE + b"\x21\x00\x00\x00", False)], ids=["unknown", "local", "unspec"])
@pytest.mark.parametrize("acl", [["127.0.0.1"], [CLIENT]], ids=["proxy in acl", "proxy not in acl"])
def test_a_proxy_that_names_nobody_is_the_client(believing, suite, header, own, acl):
    """Its own connections come in; those of whoever it cannot name have to pass inet_acl."""
    hop = believing(settings={"inet_acl": acl})
    with proxied(suite, header) as c:
        if own or acl == ["127.0.0.1"]:
            assert hello_and_send(c).code == 250
            assert b"([127.0.0.1])" in hop.mails[0].octets
        else:
            assert c.greeting.code == 554 and "inet_acl" in c.greeting.text


def test_silence_instead_of_a_header_is_421(believing, suite):
    believing(settings={"haproxy_timeout": 1})
    with Smtp(suite.smtp_address()) as c:
        c.write(b"PROXY TCP4 ")
        assert c.reply().code == 421
        with pytest.raises((Gone, ConnectionError)):
            c.reply()


def test_sessions_are_counted_by_the_client_that_the_proxy_names(believing, suite):
    believing(settings={"smtpd_session_limit_per_client": 2})
    held = [proxied(suite, v1(port=i)) for i in range(2)]
    assert [c.greeting.code for c in held] == [220, 220]
    with proxied(suite, v2(port=3)) as third:
        assert third.greeting.code == 421 and "smtpd_session_limit_per_client" in third.greeting.text
    with proxied(suite, v1(OTHER)) as other:
        assert other.greeting.code == 220
    held.pop().quit()

    def has_room():
        with proxied(suite, v1()) as c:
            return c.greeting.code == 220
    mw.until("a session's end makes room for the next", has_room)
    for c in held:
        c.close()


def test_a_unix_sockets_proxy_is_trusted_by_the_sockets_mode(believing, suite):
    path = str(suite.folder / "p.sock")
    hop = believing(settings={"unix_socketname": [path], "haproxy_trusted_networks": []})
    with proxied(suite, v1(), address=path) as c:
        assert hello_and_send(c).code == 250
    assert f"([{CLIENT}])".encode() in hop.mails[0].octets


def test_the_way_back_goes_to_the_client_that_the_proxy_names(believing, suite):
    """smtp:*:* is the address that the mail came from, and the port it was sent to + 1."""
    hop = believing()
    port = int(hop.method.rsplit(":", 1)[1])
    suite.set(forward_method="smtp:*:*")
    suite.restart(suite.front)
    with proxied(suite, f"PROXY TCP4 127.0.0.1 192.0.2.25 4711 {port - 1}\r\n".encode()) as c:
        assert hello_and_send(c).code == 250
    assert len(hop.mails) == 1


def test_the_header_is_refused_where_am_pdp_is_spoken(suite):
    suite.set(haproxy_target_enabled=True, protocol="AM.PDP")
    p = suite.start("smtp-front", wait=False)
    mw.until("it to give up", lambda: not p.running())
    assert p.popen.returncode != 0 and "haproxy_target_enabled" in p.log(), p.log()


HAPROXY = """
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend smtp
    bind 127.0.0.1:{port}
    default_backend front
backend front
    server front {front} {how} {check}
"""


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed")
@pytest.mark.parametrize("how", ["send-proxy", "send-proxy-v2",
                                 "send-proxy-v2 proxy-v2-options unique-id,crc32c"])
def test_haproxy_itself(believing, suite, how):
    """With its health check, which is a connection of the proxy's own (LOCAL; version 1 has addresses for it)."""
    hop = believing(settings={"inet_acl": ["127.0.0.1", "127.0.0.2"]})
    port = mw.free_port()
    host, front = suite.smtp_address()
    conf = suite.folder / "haproxy.cfg"
    conf.write_text(HAPROXY.format(port=port, front=f"{host}:{front}", how=how, check="check inter 200"))
    suite.peer("haproxy", [shutil.which("haproxy"), "-db", "-f", str(conf)])

    def connected():
        try:
            return socket.create_connection(("127.0.0.1", port), mw.WAIT_S, source_address=("127.0.0.2", 0))
        except OSError:
            return None
    mw.until("haproxy listens", lambda: (s := connected()) is not None and s.close() is None)

    def greeted():
        c = Smtp(connected())
        try:
            c.greeting = c.reply()
        except (Gone, ConnectionError):
            c.close()
            return None
        return c
    c = mw.until("haproxy's way to the front is open", greeted)
    assert hello_and_send(c).code == 250
    c.close()
    assert b"([127.0.0.2])" in hop.mails[0].octets
    with socket.create_connection(("127.0.0.1", port), mw.WAIT_S, source_address=("127.0.0.3", 0)) as s:
        assert s.recv(100).startswith(b"554 5.7.1"), "the client is not in inet_acl, although the proxy is trusted"
