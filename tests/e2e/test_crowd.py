"""The front in bad company, and with a mail as large as they come. Loads that a sanitised build would only be slow at."""
import resource
import socket
import threading
import urllib.request

import pytest

import mw
from mwcrowd import Crowd

BYPASS = {f"bypass_{what}_checks_maps": [True] for what in ("virus", "spam", "banned", "header")}
IDLE = 10000
KIB_A_CONNECTION = 12
GIB = 1 << 30
HEAP_GROWTH_KB = 4096


def front_address(suite):
    return mw.split_address(suite.front.ready_field("smtp").split(",")[0])


def needs_descriptors(count):
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most != resource.RLIM_INFINITY and most < count:
        pytest.skip(f"needs {count} descriptors a process, ulimit -Hn is {most}")


@pytest.mark.load
@pytest.mark.deadline(180)
def test_ten_honest_clients_get_their_mail_through_in_bad_company(suite):
    """10,000 idle ones, one at an octet a second, 1,000 that vanish in the middle of their data."""
    needs_descriptors(IDLE + 1000)
    suite.set(**BYPASS, http__listen=f"127.0.0.1:{mw.free_port()}")
    sink = suite.sink(store=False)
    suite.start("smtp-front")
    address = front_address(suite)
    alone = suite.load("--rate", "400", mails=4000, connections=10)
    before = suite.front.rss_kb()
    with Crowd(address, idle=IDLE) as sitting:
        each = (suite.front.rss_kb() - before) / IDLE
        assert sitting.sitting.poll() is None
        with Crowd(address, crawlers=1, vanishing=1000) as crowd:
            company = suite.load("--rate", "400", mails=4000, connections=10)
            crowd.wait_vanished()
    print(f"{each:.1f} KiB of the front's memory an idle connection; {company['rate']:.0f} mails/s in company, {alone['rate']:.0f} alone; "
        f"p99 {company['p99_us']} us and {alone['p99_us']} us; {crowd.crawled} octets crawled")
    assert alone["replies"] == company["replies"] == {"250": 4000}
    assert each < KIB_A_CONNECTION
    mw.until("the front to have forgotten all of them", lambda: metric(suite, "mailweir_front_sessions") == 0)
    assert sink.count() == 8000, "nothing of those that vanished was delivered"


def metric(suite, name):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{suite.settings['http.listen']}/metrics", timeout=10 * mw.SLOW) as r:
        for line in r.read().decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
    raise mw.Failed(f"no {name}")


@pytest.mark.load
@pytest.mark.deadline(300)
def test_a_mail_of_a_gibibyte_passes_and_the_front_does_not_grow(suite):
    suite.set(**BYPASS, smtpd_message_size_limit=GIB + (1 << 20), front__spool_dir=str(suite.folder))
    sink = suite.sink(store=False)
    suite.start("smtp-front")
    line = b"x" * 1022 + b"\r\n"
    block = b"." + line[1:] + line * 63 + b".." + line[2:]
    with suite.smtp(timeout_s=200) as c:
        c.hello()
        small = suite.send(b"Subject: first\r\n\r\nsmall\r\n")
        assert small.code == 250
        assert c.envelope("a@example.com", ["b@example.org"], f" SIZE={GIB}") is None
        assert c.cmd("DATA").code == 354
        before = peak = mw.memory_kb(suite.front.pid, "RssAnon")
        c.write(b"Subject: large\r\n\r\n")
        sent, over = 0, threading.Event()

        def watch():
            nonlocal peak
            while not over.wait(0.02):
                peak = max(peak, mw.memory_kb(suite.front.pid, "RssAnon"))
        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        while sent + len(block) <= GIB:
            c.write(block)
            sent += len(block)
        c.write(b".\r\n")
        r = c.reply(200)
        over.set()
        watcher.join()
    print(f"{sent} octets; heap of the front {before} KiB before, {peak} KiB at most")
    assert r.code == 250, r
    assert peak - before < HEAP_GROWTH_KB
    assert sink.count() == 2


def test_a_client_that_sends_an_octet_at_a_time_is_understood(suite):
    sink = suite.sink()
    suite.set(**BYPASS)
    suite.start("smtp-front")
    dialogue = (b"EHLO slow.example\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n", b"Subject: x\r\n\r\n..\r\n.\r\n",
        b"QUIT\r\n")
    with suite.smtp() as c:
        c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        assert c.reply().code == 220
        for part, codes in zip(dialogue, ([250, 250, 250, 354], [250], [221])):
            for octet in part:
                c.write(bytes([octet]))
            assert [c.reply().code for _ in codes] == codes
    assert sink.last()[1].endswith(b"\r\n\r\n.\r\n")
