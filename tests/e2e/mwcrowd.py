"""Bad company for a front: clients that sit idle, crawl, or vanish in the middle of their data. Bounded in count and time."""
import signal
import socket
import subprocess
import threading
import time

import mw

PAUSE_S = 0.005  # between two that vanish: 1,000 of them take about ten seconds


class Crowd:
    """
    with Crowd(("127.0.0.1", 10024), idle=10000, crawlers=1, vanishing=1000) as crowd:
        ...                # they are there
    crowd.vanished         # how many hung up in the middle of their data
    """

    def __init__(self, address, idle=0, crawlers=0, vanishing=0):
        self.address, self.idle, self.crawlers, self.vanishing = address, idle, crawlers, vanishing
        self.vanished, self.crawled, self.error = 0, 0, None
        self.over = threading.Event()
        self.threads, self.sitting = [], None

    def __enter__(self):
        if self.idle:
            host, port = self.address
            self.sitting = subprocess.Popen([str(mw.BENCH / "mwload"), "--to", f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
                "--idle", str(self.idle)], stdout=subprocess.PIPE, text=True)
            line = self.sitting.stdout.readline()
            if "ready idle" not in line:
                self.sitting.kill()
                raise mw.Failed(f"{self.idle} idle connections did not come up: {line!r}")
        for target in [self._crawl] * self.crawlers + ([self._vanish] if self.vanishing else []):
            self.threads.append(threading.Thread(target=target, daemon=True))
            self.threads[-1].start()
        return self

    def __exit__(self, *exc):
        self.over.set()
        for t in self.threads:
            t.join()
        if self.sitting:
            self.sitting.send_signal(signal.SIGTERM)
            self.sitting.wait()
        if self.error and exc[0] is None:
            raise mw.Failed(f"the crowd itself failed: {self.error!r}")

    def wait_vanished(self, timeout_s=60):
        mw.until(lambda: f"{self.vanishing} to vanish, {self.vanished} have", lambda: self.error or self.vanished == self.vanishing,
            timeout_s)

    def _crawl(self):
        """One octet a second, from the greeting on."""
        with socket.create_connection(self.address) as s:
            for octet in b"EHLO crawler.example\r\nMAIL FROM:<crawler@example.com>\r\n" * 100:
                s.send(bytes([octet]))
                self.crawled += 1
                if self.over.wait(1):
                    return

    def _vanish(self):
        try:
            for _ in range(self.vanishing):
                self._vanish_once()
                self.vanished += 1
                if self.over.wait(PAUSE_S):
                    return
        except OSError as e:
            self.error = e

    def _vanish_once(self):
        with socket.create_connection(self.address, 30) as s:
            s.sendall(b"EHLO gone.example\r\nMAIL FROM:<gone@example.com>\r\nRCPT TO:<gone@example.org>\r\nDATA\r\n")
            said = b""
            while b"\n354 " not in said:
                got = s.recv(4096)
                if not got:
                    raise ConnectionError(f"closed after {said!r}")
                said += got
            s.sendall(b"Subject: never whole\r\n\r\n" + b"and then\r\n" * 100)
