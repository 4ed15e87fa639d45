"""Name servers for the tests: a real nsd with zones of a test's own, and one that answers as it is told, or not at all."""
import ipaddress
import os
import signal
import socket
import struct
import threading

import mw

NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3


def asks_soa(host, port, zone):
    """One raw question; True when somebody answers."""
    name = b"".join(bytes([len(label)]) + label.encode() for label in zone.split(".")) + b"\0"
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.2)
        try:
            s.connect((host, port))
            s.send(struct.pack(">6H", 7, 0, 1, 0, 0, 0) + name + struct.pack(">2H", 6, 1))
            return len(s.recv(512)) > 12
        except OSError:
            return False


def listed_name(address):
    """The name of an address below its list's zone (RFC 5782)."""
    ip = ipaddress.ip_address(address)
    digits = str(ip).split(".") if ip.version == 4 else list(ip.exploded.replace(":", ""))
    return ".".join(reversed(digits))


class Nsd:
    """zones: { "list.example": { "192.0.2.1": "127.0.0.2" or several } }; .address is as libunbound takes it."""

    def __init__(self, suite, zones, ttl=60, host="127.0.0.1"):
        self.folder, self.port = suite.folder / "nsd", mw.free_port(host)
        self.folder.mkdir()
        self.address = f"{host}@{self.port}"
        for zone, entries in zones.items():
            self.write(zone, entries, ttl)
        (self.folder / "nsd.conf").write_text(f"""server:
    ip-address: {host}@{self.port}
    username: ""
    chroot: ""
    zonesdir: "{self.folder}"
    database: ""
    pidfile: "{self.folder}/pid"
    xfrdfile: "{self.folder}/xfrd"
    zonelistfile: "{self.folder}/zones"
    xfrdir: "{self.folder}"
    server-count: 1
remote-control:
    control-enable: no
""" + "".join(f'zone:\n    name: "{zone}"\n    zonefile: "{zone}"\n' for zone in zones))
        self.process = suite.peer("nsd", ["nsd", "-d", "-c", self.folder / "nsd.conf"])
        mw.until("nsd", lambda: asks_soa(host, self.port, next(iter(zones))))

    def write(self, zone, entries, ttl):
        lines = [f"$ORIGIN {zone}.", f"$TTL {ttl}", f"@ IN SOA ns root 1 3600 600 86400 {ttl}", "@ IN NS ns", "ns IN A 127.0.0.1"]
        for address, answers in entries.items():
            for answer in [answers] if isinstance(answers, str) else answers:
                lines.append(f"{listed_name(address)} IN A {answer}")
        (self.folder / zone).write_text("\n".join(lines) + "\n")

    def all_processes(self):
        return [self.process.pid] + mw.children(self.process.pid)

    def freeze(self):
        for pid in self.all_processes():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in self.all_processes():
            os.kill(pid, signal.SIGCONT)


class FakeDns:
    """
    Answers each question by answer(name): a list of IPv4 addresses ([]: there is no such name), SERVFAIL, or None: not
    at all. hold(): questions wait for release(). asked: the names, in order.
    """

    def __init__(self, answer=lambda name: [], ttl=60):
        self.answer, self.ttl = answer, ttl
        self.asked, self.gate, self.lock = [], threading.Event(), threading.Lock()
        self.gate.set()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.sock.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1@{self.sock.getsockname()[1]}"
        self.held = []
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.gate.set()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"end", self.sock.getsockname())
        self.thread.join()
        self.sock.close()

    def names(self):
        """Each name once: a resolver asks again when it waits for long."""
        return list(dict.fromkeys(self.asked))

    def hold(self):
        self.gate.clear()

    def release(self):
        with self.lock:
            self.gate.set()
            for question, peer in self.held:
                self.reply(question, peer)
            self.held = []

    def serve(self):
        while True:
            question, peer = self.sock.recvfrom(4096)
            if question == b"end":
                return
            self.asked.append(self.name_of(question)[0])
            with self.lock:
                if self.gate.is_set():
                    self.reply(question, peer)
                else:
                    self.held.append((question, peer))

    @staticmethod
    def name_of(question):
        """The name, and where the question ends."""
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode().lower())
            at += 1 + question[at]
        return ".".join(labels), at + 5

    def reply(self, question, peer):
        name, end = self.name_of(question)
        answer = self.answer(name)
        if answer is None:
            return
        addresses = answer if isinstance(answer, list) else []
        code = answer if isinstance(answer, int) else NOERROR if addresses else NXDOMAIN
        zone = name.split(".", 4)[-1].encode()
        records = b"".join(b"\xc0\x0c" + struct.pack(">2HIH", 1, 1, self.ttl, 4) + socket.inet_aton(a) for a in addresses)
        authority = b""
        if code == NXDOMAIN:  # RFC 2308: how long that may be believed
            soa = b"\0" * 2 + struct.pack(">5I", 1, 3600, 600, 86400, self.ttl)
            owner = b"".join(bytes([len(p)]) + p for p in zone.split(b".")) + b"\0"
            authority = owner + struct.pack(">2HIH", 6, 1, self.ttl, len(soa)) + soa
        head = question[:2] + struct.pack(">5H", 0x8580 | code, 1, len(addresses), 1 if authority else 0, 0)
        self.sock.sendto(head + question[12:end] + records + authority, peer)
