"""
A next hop that does what it is told: lies, falls silent, hangs up, speaks octet by octet. Threads, loopback only, standard
library only.

    with NextHop(rcpt=b"550 5.1.1 nobody\r\n") as hop:
        ...                     # forward_method = hop.method
        assert hop.mails == []

With tls, an ssl.SSLContext, it offers STARTTLS until that is done; starttls is the stage of its reply, and shake says what
comes in the place of a handshake (octets, SILENT, DROP, or a function of (connection, "") that says something).

What it says at a stage (banner, ehlo, helo, starttls, xforward, mail, rcpt, data, dot, rset, noop, quit, other) is octets, SILENT, DROP, or a
function of (connection, line) that returns one of these. It takes octets of a mail only after it has said 354 to DATA.
"""
import socket
import ssl
import threading

SILENT = object()  # says nothing more, and waits until the other side has gone
DROP = object()	   # closes the connection

OFFERED = ("PIPELINING", "SIZE 104857600", "8BITMIME", "ENHANCEDSTATUSCODES")


class Mail:
    def __init__(self, sender, rcpts, octets):
        self.sender, self.rcpts, self.octets = sender, rcpts, octets


def octet_by_octet(sock):
    """A socket whose octets go out over sock one at a time, so that TLS's records are cut, too."""
    ours, inner = socket.socketpair()

    def copy(source, sink, step):
        try:
            while octets := source.recv(65536):
                for i in range(0, len(octets), step):
                    sink.sendall(octets[i:i + step])
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # one of them has gone: so will the other
        if sink is sock:
            sock.close()
            inner.close()
    for args in ((inner, sock, 1), (sock, inner, 65536)):
        threading.Thread(target=copy, args=args, daemon=True).start()
    return ours


class Connection:
    """One client of the hop and what it said."""

    def __init__(self, hop, sock, index):
        self.hop, self.sock, self.index = hop, sock, index
        self.commands = []  # lines, in order
        self.dots = 0  # mails that were ended by a dot
        self.data_octets = b""  # of the mail that is coming in
        self.gone = threading.Event()
        self.rest = b""
        self.sender, self.rcpts, self.refused = None, [], set()
        self.tls = None  # what is spoken, after the handshake

    def count(self, verb):
        return sum(line.upper().startswith(verb) for line in self.commands)

    def say(self, octets):
        step = 1 if self.hop.cut else len(octets)
        for i in range(0, len(octets), step or 1):
            self.sock.sendall(octets[i:i + step])

    def line(self):
        """The next line without its end, or None."""
        while b"\n" not in self.rest:
            got = self.sock.recv(65536)
            if not got:
                return None
            self.rest += got
        line, _, self.rest = self.rest.partition(b"\n")
        return line.rstrip(b"\r").decode("latin-1")

    def wait_gone(self):
        while self.sock.recv(65536):
            pass

    def answer(self, stage, line="", taken=None):
        """Say what belongs to the stage; the octets said, or None when this is the end. taken: a mail, if this is a yes."""
        what = self.hop.replies[stage]
        if callable(what):
            what = what(self, line)
        if taken is not None and what not in (SILENT, DROP) and what.startswith(b"2"):
            self.hop.mails.append(taken)  # before anybody can have heard of it
        if what is SILENT:
            if self.hop.deaf:
                self.hop.closing.wait()
            else:
                self.wait_gone()
            return None
        if what is DROP:
            return None
        self.say(what)
        return what

    def take_mail(self):
        """Octets up to the dot: True, or False when they ended before."""
        if self.hop.drop_after is not None:
            self.sock.recv(self.hop.drop_after)
            return False
        if self.hop.deaf:
            self.hop.closing.wait()
            return False
        while not (b"\r\n" + self.rest).endswith(b"\r\n.\r\n") and b"\r\n.\r\n" not in b"\r\n" + self.rest:
            got = self.sock.recv(1 << 20)
            if not got:
                self.data_octets = self.rest
                return False
            self.rest += got
        taken, _, self.rest = (b"\r\n" + self.rest).partition(b"\r\n.\r\n")
        self.data_octets = (taken + b"\r\n")[2:].replace(b"\r\n.", b"\r\n")
        if self.data_octets.startswith(b"."):
            self.data_octets = self.data_octets[1:]
        self.dots += 1
        return True

    def handshake(self):
        """False: there is nothing more to be said."""
        self.rest = b""
        if (shake := self.hop.shake) is not None:
            if shake is not DROP and self.sock.recv(65536):  # an answer to its hello, not to STARTTLS
                if callable(shake):
                    shake(self, "")
                elif shake is not SILENT:
                    self.say(shake)
                self.wait_gone()
            return False
        if self.hop.cut:
            self.sock = octet_by_octet(self.sock)
        try:
            self.sock = self.hop.tls.wrap_socket(self.sock, server_side=True, suppress_ragged_eofs=True)
        except OSError as e:  # ssl.SSLError is one
            self.hop.tls_errors.append(str(e))
            return False
        self.tls = self.sock.version()
        self.commands.append("(" + self.tls + ")")
        return True

    def command(self, line):
        """False: this was the last."""
        self.commands.append(line)
        verb = line.split(" ")[0].upper()
        stage = verb.lower() if verb.lower() in self.hop.replies and verb not in ("BANNER", "DOT", "OTHER") else "other"
        if verb in ("LHLO", "EHLO", "HELO"):
            stage = "other" if (verb == "LHLO") != self.hop.lmtp else "ehlo" if self.hop.lmtp else stage
        said = self.answer(stage, line)
        if said is None:
            return False
        if stage == "mail":
            self.sender, self.rcpts = line, []
        elif stage == "rcpt" and said.startswith(b"2"):
            self.rcpts.append(line[len("RCPT TO:<"):].split(">")[0])
        elif stage == "starttls" and said.startswith(b"220"):
            return self.handshake()
        elif stage == "data" and said.startswith(b"354"):
            if not self.take_mail():
                return False
            return self.answer_dot(line)
        return stage != "quit"

    def answer_dot(self, line):
        """LMTP answers for each recipient: what it says may be a function of (connection, recipient)."""
        if not self.hop.lmtp:
            return self.answer("dot", line, Mail(self.sender, self.rcpts, self.data_octets)) is not None
        return all(self.answer("dot", rcpt, Mail(self.sender, [rcpt], self.data_octets)) is not None for rcpt in self.rcpts)

    def run(self):
        try:
            if self.answer("banner") is None:
                return
            while (line := self.line()) is not None:
                if not self.command(line):
                    return
        except OSError:
            pass  # the other side has gone
        finally:
            self.sock.close()
            self.gone.set()


class NextHop:
    def __init__(self, offered=OFFERED, tls=None, shake=None, cut=False, deaf=False, drop_after=None, host="127.0.0.1", port=0, lmtp=False,
            path=None, **replies):
        """
        offered: keywords of EHLO; cut: replies octet by octet; deaf: a hop that is silent does not read either, and reads
        no octets of a mail; drop_after: hangs up when it has read so many octets of a mail. path: a Unix socket.
        """
        def ehlo(connection, _line):
            lines = ["hop.test", *offered] + (["STARTTLS"] if tls and not connection.tls else [])
            return b"".join(b"250-" + line.encode() + b"\r\n" for line in lines[:-1]) + b"250 " + lines[-1].encode() + b"\r\n"
        self.replies = dict(banner=b"220 hop.test ESMTP\r\n", ehlo=ehlo, helo=b"250 hop.test\r\n",
            starttls=b"220 2.0.0 Ready\r\n" if tls else b"500 5.5.2 What?\r\n", xforward=b"250 2.0.0 Ok\r\n",
            mail=b"250 2.1.0 Ok\r\n", rcpt=b"250 2.1.5 Ok\r\n", data=b"354 go ahead\r\n", dot=self.queued, rset=b"250 2.0.0 Ok\r\n",
            noop=b"250 2.0.0 Ok\r\n", quit=b"221 2.0.0 Bye\r\n", other=b"500 5.5.2 What?\r\n")
        assert not set(replies) - set(self.replies), replies
        self.replies.update(replies)
        self.cut, self.deaf, self.drop_after = cut, deaf, drop_after
        self.tls, self.shake, self.tls_errors = tls, shake, []
        self.connections, self.mails = [], []
        self.closing = threading.Event()
        self.lmtp = lmtp
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
            self.listener.listen(128)
        else:
            self.listener = socket.create_server((host, port), backlog=128)
        if deaf:  # what it does not read must not fit into the kernel
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.port = None if path else self.listener.getsockname()[1]
        self.method = ("lmtp" if lmtp else "smtp") + (f":{path}" if path else f":[{host}]:{self.port}")
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def queued(self, connection, _line):
        return b"250 2.0.0 Ok: queued as %d-%d\r\n" % (connection.index, connection.dots)

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            if self.port:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            c = Connection(self, sock, len(self.connections))
            self.connections.append(c)
            t = threading.Thread(target=c.run, daemon=True)
            self.threads.append(t)
            t.start()

    @property
    def commands(self):
        """Of all connections, in the order of the connections."""
        return [line for c in self.connections for line in c.commands]

    @property
    def dots(self):
        return sum(c.dots for c in self.connections)

    def close(self):
        if self.closing.is_set():
            return
        self.closing.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for c in self.connections:
            try:
                c.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for t in self.threads:
            t.join(5)
