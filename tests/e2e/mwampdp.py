"""A raw client of AM.PDP, and the little of a milter that applies an answer's edits to a mail."""
import os
import re
import socket
import time
import uuid

from mwmail import split
from mwsmtp import Gone

SAFE = set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def coded(text):
    """As amavisd-milter writes names and values."""
    octets = text if isinstance(text, bytes) else str(text).encode()
    return b"".join(bytes([c]) if c in SAFE else b"%%%02x" % c for c in octets)


def decoded(octets):
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda m: bytes([int(m.group(1), 16)]), octets)


class Answer:
    """An answer's lines in order: .lines of (name, value), .fields of (name, [fields])."""

    def __init__(self, raw):
        self.raw = raw
        self.lines, self.fields = [], []
        for line in raw.split(b"\r\n"):
            name, _, value = line.partition(b"=")
            self.lines.append((name.decode(), decoded(value).decode("latin-1")))
            self.fields.append((name.decode(), [decoded(f).decode("latin-1") for f in value.split(b" ")]))

    def __repr__(self):
        return f"<{self.lines}>"

    def all(self, name):
        return [v for n, v in self.lines if n == name]

    def one(self, name):
        values = self.all(name)
        assert len(values) <= 1, f"{name} {len(values)} times in {self}"
        return values[0] if values else None

    @property
    def value(self):
        return self.one("return_value")

    @property
    def code(self):
        """Code of the only setreply."""
        return int(self.one("setreply").split(" ")[0])

    @property
    def text(self):
        return self.one("setreply")

    @property
    def exit_code(self):
        return int(self.one("exit_code"))


class Client:
    """One connection: path of a Unix socket, or (host, port)."""

    def __init__(self, address, timeout_s=60):
        self.timeout_s = timeout_s
        if isinstance(address, tuple):
            self.sock = socket.create_connection(address, timeout_s)
        else:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(timeout_s)
            self.sock.connect(str(address))
        self.rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.sock.close()

    def write(self, octets):
        self.sock.sendall(octets)

    def answer(self, timeout_s=None):
        """The next whole answer."""
        end = time.monotonic() + (timeout_s or self.timeout_s)
        while b"\r\n\r\n" not in self.rest:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no answer; so far {self.rest!r}")
            self.sock.settimeout(left)
            try:
                got = self.sock.recv(65536)
            except ConnectionError as e:
                raise Gone(str(e)) from e
            if not got:
                raise Gone(f"closed; so far {self.rest!r}")
            self.rest += got
        raw, _, self.rest = self.rest.partition(b"\r\n\r\n")
        return Answer(raw)

    def ask(self, *lines, timeout_s=None):
        """(name, value) pairs; None leaves one out."""
        self.write(request(*lines))
        return self.answer(timeout_s)


def request(*lines, end=b"\n"):
    return b"".join(coded(n) + b"=" + coded(v) + end for n, v in lines if v is not None) + end


class MailDir:
    """A milter's working folder."""

    def __init__(self, folder, mode=0o755):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        os.chmod(folder, mode)

    def put(self, octets, name="email.txt", lf=True):
        """A folder of a mail's own with the mail in it, LF line ends as milters write them; returns the folder."""
        at = self.folder / f"af{uuid.uuid4().hex[:10]}"
        at.mkdir(mode=0o755)
        (at / name).write_bytes(octets.replace(b"\r\n", b"\n") if lf else octets)
        os.chmod(at / name, 0o644)
        return at


def check(tempdir, sender="sender@example.com", rcpts=("rcpt@example.org",), **more):
    """Lines of a check as amavisd-milter asks; more: further attributes, None takes one out."""
    lines = {"request": "AM.PDP", "queue_id": "4ABCDEF", "protocol_name": "ESMTP", "sender": f"<{sender}>"}
    rest = {"tempdir": tempdir, "tempdir_removed_by": "client", "mail_file": f"{tempdir}/email.txt", "delivery_care_of": "client",
        "client_address": "203.0.113.9", "client_name": "client.example.com", "helo_name": "helo.example.com"}
    for n, v in more.items():
        (lines if n in lines else rest)[n] = v
    return [*lines.items(), *(("recipient", f"<{r}>") for r in rcpts), *rest.items()]


# ------------------------------------------------------------------ a model of a milter's MTA

def raw_fields(head):
    """Whole fields of a header section with CRLF, folds included."""
    return re.findall(rb"[^\r\n][^\n]*\n(?:[ \t][^\n]*\n)*", head)


def name_of(f):
    return f.split(b":")[0].strip().lower().decode("latin-1")


def applied(answer, octets, rcpts):
    """(mail, recipients) after an answer's edits, one after the other, as an MTA does them."""
    head, body = split(octets)
    fields, left = raw_fields(head + b"\r\n" if not head.endswith(b"\r\n") else head), list(rcpts)
    for name, f in answer.fields:
        if name == "delheader":
            same = [i for i, x in enumerate(fields) if name_of(x) == f[1].lower()]
            assert 1 <= int(f[0]) <= len(same), f"no field {f}"
            del fields[same[int(f[0]) - 1]]
        elif name == "insheader":
            at, value = int(f[0]), f[2]
            assert "\r" not in value and not re.search(r"\n(?![ \t])", value), f
            fields.insert(at, f"{f[1]}: {value}\n".replace("\n", "\r\n").encode("latin-1"))
        elif name == "chgheader":
            same = [i for i, x in enumerate(fields) if name_of(x) == f[1].lower()]
            assert 1 <= int(f[0]) <= len(same), f"no field {f}"
            assert "\r" not in f[2] and not re.search(r"\n(?![ \t])", f[2]), f
            fields[same[int(f[0]) - 1]] = f"{f[1]}: {f[2]}\n".replace("\n", "\r\n").encode("latin-1")
        elif name == "delrcpt":
            left.remove(f[0].strip("<>"))
        elif name == "addrcpt":
            left.append(f[0].strip("<>"))
        else:
            assert name in ("version_server", "log_id", "setreply", "return_value", "exit_code"), name
    return b"".join(fields) + b"\r\n" + body, left
