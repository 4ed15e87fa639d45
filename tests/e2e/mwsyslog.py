"""A syslogd to look into: a socket as /dev/log is one, and the lines that came."""
import contextlib
import os
import re
import socket
import threading

LINE = re.compile(r"<(?P<pri>\d+)>(?P<date>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) (?P<ident>[^\[]+)\[(?P<pid>\d+)\]: "
    r"(?P<level>[a-z]+) (?P<event>\S+) (?P<text>.*)")
# A mail's own lines, as amavisd writes them.
CLASSIC = re.compile(r"<(?P<pri>\d+)>(?P<date>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) (?P<ident>[^\[]+)\[(?P<pid>\d+)\]: "
    r"\((?P<log_id>[0-9-]+)\) (?P<text>.*)")
SEVERITIES = {"crit": 2, "error": 3, "warn": 4, "info": 5, "detail": 6, "debug": 7}


class Syslogd:
    def __init__(self, path):
        self.path, self.raw = str(path), []
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        os.chmod(self.path, 0o666)  # the services have a user of their own
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while True:
            octets = self.sock.recv(8192)
            if octets == b"end":
                return
            self.raw.append(octets.decode())

    @property
    def lines(self):
        return [LINE.fullmatch(line) for line in list(self.raw) if not CLASSIC.fullmatch(line)]

    @property
    def classic(self):
        return [m for m in map(CLASSIC.fullmatch, list(self.raw)) if m]

    def of(self, event):
        return [m for m in self.lines if m and m["event"] == event]

    @staticmethod
    @contextlib.contextmanager
    def unread(daemon):
        """In the place of daemon, one that reads nothing."""
        os.rename(daemon.path, daemon.path + ".aside")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(daemon.path)
            os.chmod(daemon.path, 0o666)
            yield
        os.rename(daemon.path + ".aside", daemon.path)

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"end", self.path)
        self.thread.join()
        self.sock.close()
        os.unlink(self.path)
