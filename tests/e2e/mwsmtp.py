"""A raw SMTP client: says exactly the octets it is told to, and reads replies with a time limit."""
import re
import socket
import time


class Reply:
    def __init__(self, code, lines):
        self.code, self.lines = code, lines
        self.text = "\n".join(line[4:] for line in lines)
        m = re.match(r"([245]\.\d{1,3}\.\d{1,3}) ", lines[0][4:] + " ") if lines else None
        self.enhanced = m.group(1) if m else None

    def __repr__(self):
        return f"<{self.code} {self.text}>"

    @property
    def ok(self):
        return 200 <= self.code < 400


class Gone(ConnectionError):
    """The server closed the connection instead of answering."""


def stuffed(octets):
    """A message as DATA wants it: dots doubled, ended by CRLF.CRLF."""
    octets = re.sub(rb"(\A|\r\n)\.", rb"\1..", octets)
    return octets + (b".\r\n" if octets.endswith(b"\r\n") or not octets else b"\r\n.\r\n")


class Smtp:
    """address: (host, port), or the path of a Unix socket, or a socket that is connected already."""
    def __init__(self, address, timeout_s=30):
        self.timeout_s = timeout_s
        if isinstance(address, str):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(timeout_s)
            self.sock.connect(address)
        elif isinstance(address, socket.socket):
            self.sock = address
        else:
            self.sock = socket.create_connection(address, timeout_s)
        if self.sock.family != socket.AF_UNIX:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""
        self.greeting = None
        self.features = {}

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.sock.close()

    def write(self, octets):
        self.sock.sendall(octets)

    def reply(self, timeout_s=None):
        """The next whole reply. TimeoutError when it does not come, Gone when the server hangs up."""
        end = time.monotonic() + (timeout_s or self.timeout_s)
        lines = []
        while True:
            while b"\n" not in self.rest:
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"no reply; so far {lines} {self.rest!r}")
                self.sock.settimeout(left)
                try:
                    got = self.sock.recv(65536)
                except ConnectionError as e:
                    raise Gone(str(e)) from e
                if not got:
                    raise Gone(f"closed; so far {lines} {self.rest!r}")
                self.rest += got
            line, _, self.rest = self.rest.partition(b"\n")
            if not line.endswith(b"\r"):
                raise AssertionError(f"reply line does not end in CRLF: {line!r}")
            lines.append(line[:-1].decode("utf-8", "replace"))
            if not re.match(r"\d{3}(?:[ -]|$)", lines[-1]):
                raise AssertionError(f"no SMTP reply: {line!r}")
            if lines[-1][3:4] != "-":
                return Reply(int(lines[-1][:3]), lines)

    def cmd(self, line, timeout_s=None):
        """Say one line and read its reply."""
        self.write((line if isinstance(line, bytes) else line.encode()) + b"\r\n")
        return self.reply(timeout_s)

    def hello(self, name="client.example.com", verb="EHLO"):
        """Greeting and EHLO; the features offered go to .features."""
        if self.greeting is None:
            self.greeting = self.reply()
            if self.greeting.code != 220:
                return self.greeting
        r = self.cmd(f"{verb} {name}")
        self.features = {line[4:].split(" ")[0].upper(): line[4:].partition(" ")[2] for line in r.lines[1:]}
        return r

    def starttls(self, context, name=None, hello=True):
        """STARTTLS, the handshake, and EHLO; the last reply."""
        r = self.cmd("STARTTLS")
        if r.code != 220:
            return r
        assert self.rest == b"", f"octets behind 220: {self.rest!r}"
        self.sock.settimeout(self.timeout_s)
        self.sock = context.wrap_socket(self.sock, server_hostname=name)
        return self.hello() if hello else r

    def envelope(self, sender, rcpts, mail_args="", rcpt_args=""):
        """MAIL and RCPTs; the first refusal, or None."""
        lines = [f"MAIL FROM:<{sender}>{mail_args}"] + [f"RCPT TO:<{r}>{rcpt_args}" for r in rcpts]
        for line in lines:
            r = self.cmd(line)
            if not r.ok:
                return r
        return None

    def mail(self, sender, rcpts, octets, mail_args="", rcpt_args="", timeout_s=None):
        """One transaction; the final reply, or the first refusal (with the transaction reset)."""
        refused = self.envelope(sender, rcpts, mail_args, rcpt_args)
        if refused is None:
            r = self.cmd("DATA")
            if r.code != 354:
                refused = r
        if refused is not None:
            if refused.code != 421:
                self.cmd("RSET")
            return refused
        self.write(stuffed(octets))
        return self.reply(timeout_s)

    def mail_pipelined(self, sender, rcpts, octets, timeout_s=None):
        """The same with MAIL, RCPT and DATA in one write; a list of all replies."""
        lines = [f"MAIL FROM:<{sender}>"] + [f"RCPT TO:<{r}>" for r in rcpts] + ["DATA"]
        self.write("".join(line + "\r\n" for line in lines).encode())
        replies = [self.reply(timeout_s) for _ in lines]
        if replies[-1].code == 354:
            self.write(stuffed(octets))
            replies.append(self.reply(timeout_s))
        return replies

    def quit(self):
        r = self.cmd("QUIT")
        self.close()
        return r
