"""mailweir-status and `mailweir status`: what they show, to browsers, scrapers and terminals."""
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
import urllib.error
import urllib.request
from html.parser import HTMLParser

import pytest

from mw import BIN, SLOW, free_port, until


def get(suite, path, method="GET"):
    """(status, headers, text) of a request to mailweir-status."""
    request = urllib.request.Request(f"http://{suite.settings['status.listen']}{path}", method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10 * SLOW) as r:
            return r.status, r.headers, r.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.headers, e.read().decode()


def state(suite):
    return json.loads(get(suite, "/api/state")[2])


def metric(suite, line_start):
    """Value of the metric's line that begins so, or None."""
    for line in get(suite, "/metrics")[2].splitlines():
        if line.startswith(line_start):
            return float(line.rsplit(" ", 1)[1])
    return None


class Terminal:
    """`mailweir ARGS` on a pseudo-terminal."""

    def __init__(self, suite, *args, columns=80, rows=24, term="xterm"):
        self.fd, tty = pty.openpty()
        fcntl.ioctl(tty, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        env = dict(os.environ, **suite.env, TERM=term)
        env.pop("COLUMNS", None)
        self.p = subprocess.Popen([str(BIN / "mailweir"), *args], stdin=tty, stdout=tty, stderr=tty, env=env, start_new_session=True)
        os.close(tty)
        self.seen = b""

    def wait(self, text):
        end = time.monotonic() + 15 * SLOW
        while text not in self.seen:
            left = end - time.monotonic()
            assert left > 0, f"{text!r} did not come: {self.seen[-2000:]!r}"
            if select.select([self.fd], [], [], left)[0]:
                self.read()

    def read(self):
        try:
            self.seen += os.read(self.fd, 65536)
        except OSError:  # the other end is closed
            pass

    def close(self):
        self.p.kill() if self.p.poll() is None else None
        self.p.wait()
        os.close(self.fd)


@pytest.fixture
def terminal(suite):
    opened = []

    def make(*args, **kw):
        opened.append(Terminal(suite, *args, **kw))
        return opened[-1]
    yield make
    for t in opened:
        t.close()


def config(suite):
    return str(suite.folder / "mailweir.lua")


def test_without_a_front_it_is_well_and_says_so(suite):
    suite.start("status")
    assert get(suite, "/health")[0] == 200
    assert "fronts_up=0" in get(suite, "/health")[2]
    s = state(suite)
    assert s["fronts"] == [] and s["workers"] == [] and s["totals"]["mails"] == 0
    assert metric(suite, "mailweir_mail_seconds_count") == 0


def test_the_page_needs_nothing_from_elsewhere(suite):
    suite.start("status")
    links = []

    class Links(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found = dict(attrs)
            links.extend(found[k] for k in ("src", "href") if k in found)
            assert not any(k.startswith("on") or k == "style" for k in found)
    status, headers, page = get(suite, "/")
    assert status == 200 and headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in page
    Links().feed(page)
    assert "page.js" in links
    for link in links:
        if link.startswith("data:"):
            continue
        assert "//" not in link
        assert get(suite, "/" + link.lstrip("/"))[0] == 200
    for part in ("/page.js", "/page.css"):
        text = get(suite, part)[2].replace("http://www.w3.org/2000/svg", "")
        assert "innerHTML" not in text and "//" not in text


def test_other_methods_and_paths_are_refused(suite):
    suite.start("status")
    assert get(suite, "/nothing")[0] == 404
    assert get(suite, "/api/state", method="POST")[0] == 405
    assert get(suite, "/api/state", method="DELETE")[0] == 405


def test_an_address_in_use_is_named(suite):
    suite.start("status")
    p = suite.start("status", "2", wait=False)
    assert p.popen.wait(20 * SLOW) != 0
    assert suite.settings["status.listen"] in p.log()


def test_the_command_finds_it_by_the_settings_and_prints_once_without_a_terminal(suite):
    suite.start("status")
    r = suite.tool("status", "--config", config(suite))
    assert r.returncode == 0 and "fronts 0/0 up" in r.stdout and "no worker" in r.stdout
    r = suite.tool("status", "--json", "--url", f"http://{suite.settings['status.listen']}/")
    assert r.returncode == 0 and json.loads(r.stdout)["totals"]["mails"] == 0


def test_the_command_says_what_is_wrong(suite):
    r = suite.tool("status", "--url", f"http://127.0.0.1:{free_port()}")
    assert r.returncode == 1 and "does mailweir-status run there?" in r.stderr
    assert suite.tool("status", "--interval", "0").returncode != 0
    assert suite.tool("status", "--wrong").returncode != 0


@pytest.mark.parametrize("end", ["key", "signal"])
def test_on_a_terminal_it_draws_again_and_leaves_it_tidy(suite, terminal, end):
    suite.start("status")
    t = terminal("status", "--config", config(suite), "--interval", "0.1")
    t.wait(b"no worker")
    fcntl.ioctl(t.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 130, 0, 0))
    os.kill(t.p.pid, signal.SIGWINCH)
    if end == "key":
        os.write(t.fd, b"q")
    else:
        os.kill(t.p.pid, signal.SIGINT)
    t.wait(b"\x1b[?1049l")  # back on the main screen
    assert t.p.wait(10 * SLOW) == 0


def test_a_terminal_that_stays_shows_when_nothing_answers_and_when_it_does_again(suite, terminal):
    p = suite.start("status")
    t = terminal("status", "--config", config(suite), "--interval", "0.1")
    t.wait(b"fronts 0/0 up")
    p.stop()
    t.wait(b"no answer from")
    suite.restart(p)

    def good():
        t.seen = b""
        os.write(t.fd, b"\x0c")  # control-L: the whole screen again
        t.wait(b"no worker")
        return b"no answer" not in t.seen
    until("the tool to draw again", good)
    os.write(t.fd, b"q")
    assert t.p.wait(10 * SLOW) == 0


def test_a_terminal_unknown_to_curses_gets_it_once(suite, terminal):
    suite.start("status")
    t = terminal("status", "--config", config(suite), term="no-such-terminal")
    t.wait(b"no worker")
    assert t.p.wait(10 * SLOW) == 0


def mail(n):
    return f"From: a@example.com\r\nTo: b@example.org\r\nDate: Mon, 02 Mar 2026 08:15:30 +0000\r\nSubject: {n}\r\n\r\nbody\r\n".encode()


def test_mails_workers_and_a_mail_in_flight_are_shown(suite):
    suite.sink()
    suite.full()
    suite.start_all()
    until("the front and its workers", lambda: len(state(suite)["workers"]) >= 3)
    for n in range(5):
        assert suite.send(mail(n)).code == 250
    until("five mails", lambda: state(suite)["totals"]["mails"] == 5)
    s = state(suite)
    assert s["mails"]["Clean"]["PASS"] == 5
    assert s["rates"]["hour"]["mails"] == 5 and s["rates"]["hour"]["latency_ms"]["count"] == 5
    assert sum(s["history"]) == 5
    assert metric(suite, 'mailweir_mails_total{content="Clean",action="PASS"}') == 5
    kinds = {k["kind"] for w in s["workers"] for k in w["kinds"]}
    assert {"scan", "auth", "sign", "reputation", "learn"} <= kinds
    with suite.smtp() as c:
        c.hello()
        c.envelope("a@example.com", ["b@example.org"])
        assert c.cmd("DATA").code == 354

        def in_data():
            """The mail, in a snapshot that is younger than its DATA and has none of the five in it."""
            s = state(suite)
            return s["fronts"][0].get("mails_done") == 5 and next((t for t in s["tasks"] if t["state"] == "d"), None)
        task = until("the mail in flight", in_data)
        assert "m" in task["states"]
        assert task["client"] == "127.0.0.1"
        r = suite.tool("status", "--once", "--config", config(suite))
        assert task["task"] in r.stdout and "scanner" in r.stdout


def test_a_front_that_dies_is_shown_as_down_and_comes_back(suite):
    suite.sink()
    suite.start("smtp-front")
    suite.start("status")
    until("the front", lambda: state(suite)["fronts_up"] == 1)
    suite.front.kill()
    until("the front to be down", lambda: state(suite)["fronts_up"] == 0)
    assert state(suite)["tasks"] == []
    r = suite.tool("status", "--once", "--config", config(suite))
    assert "fronts 0/1 up" in r.stdout and "is down for" in r.stdout
    suite.restart(suite.front)
    until("the front to be back", lambda: state(suite)["fronts_up"] == 1)
