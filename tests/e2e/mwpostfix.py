"""A private Postfix: own queue, own configuration, ports that were free; needs root, as Postfix does."""
import os
import shutil
from pathlib import Path

import mw

DAEMONS = "/usr/lib/postfix/sbin"

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = {daemons}
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = postfix.test
mydestination =
relay_domains = example.org
mynetworks = 127.0.0.0/8 [::1]/128
inet_interfaces = {interfaces}
inet_protocols = {protocols}
default_transport = smtp:{next_hop}
relay_transport = smtp:{next_hop}
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_authorized_xforward_hosts = 127.0.0.0/8 [::1]/128
smtp_send_xforward_command = no
maillog_file = {folder}/log/mail.log
maillog_file_prefixes = {folder}
smtpd_tls_security_level = none
smtp_tls_security_level = none
smtpd_proxy_timeout = 60s
alias_maps =
alias_database =
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
disable_dns_lookups = yes
smtp_dns_support_level = disabled
"""

MILTER = """
{port_milter} inet n - n - - smtpd -o smtpd_milters={milter} -o milter_default_action=tempfail -o milter_content_timeout=60s
"""

# port in -> content_filter -> Mailweir -> port back -> next hop
# port lmtp -> the same, by LMTP
# port proxy -> Mailweir (before the queue) -> port back -> next hop
MASTER = """
{port_in} inet n - n - - smtpd -o content_filter=filter:{filter}
{port_lmtp} inet n - n - - smtpd -o content_filter=filterlmtp:{filterlmtp}
{port_proxy} inet n - n - - smtpd -o smtpd_proxy_filter={proxy} -o smtpd_client_connection_count_limit=100
{port_back} inet n - n - - smtpd -o content_filter= -o smtpd_proxy_filter= -o receive_override_options=no_address_mappings
filter unix - - n - 10 smtp -o smtp_send_xforward_command=yes -o disable_dns_lookups=yes -o smtp_data_done_timeout=120s
filterlmtp unix - - n - 10 lmtp -o lmtp_send_xforward_command=yes -o disable_dns_lookups=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

# As `postfix check` makes them, which starts fifty programs to do so: (name, mode, group beside the owner postfix).
FOLDERS = [("data", 0o700, None), ("queue", 0o755, None), ("queue/pid", 0o755, None), ("queue/public", 0o2710, "postdrop"),
    ("queue/maildrop", 0o1730, "postdrop"), *((f"queue/{name}", 0o700, None) for name in ("active", "bounce", "corrupt", "defer",
    "deferred", "flush", "hold", "incoming", "private", "saved", "trace"))]


def made_folder(path, mode, group):
    path.mkdir()
    shutil.chown(path, "postfix", group)
    path.chmod(mode)


class Postfix:
    """
    Started before Mailweir (its port back is the next hop); told where the front is by start(). milter: "inet:HOST:PORT",
    asked at .port_milter of what goes straight to the next hop then.
    """

    def __init__(self, suite, next_hop, host="127.0.0.1", milter=None):
        self.suite, self.host = suite, host
        self.folder = suite.folder / "postfix"
        for name in ("etc", "log"):
            (self.folder / name).mkdir(parents=True)
        for name, mode, group in FOLDERS:
            made_folder(self.folder / name, mode, group)
        self.port_in, self.port_proxy, self.port_back, self.port_lmtp = (mw.free_port(host) for _ in range(4))
        self.next_hop, self.milter = next_hop, milter
        self.port_milter = mw.free_port(host) if milter else None

    @property
    def log_path(self):
        return self.folder / "log/mail.log"

    @property
    def method(self):
        """forward_method that leads back into Postfix."""
        return f"smtp:[{self.host}]:{self.port_back}"

    def start(self, front, lmtp=None):
        """front: (host, port) of smtp-front; lmtp: where it takes LMTP, if elsewhere."""
        v6 = ":" in self.host
        at = f"[{self.host}]" if v6 else self.host
        lmtp = lmtp or front
        values = {"folder": self.folder, "daemons": DAEMONS, "interfaces": self.host, "protocols": "ipv6" if v6 else "ipv4",
            "next_hop": self.next_hop, "filter": f"[{front[0]}]:{front[1]}", "filterlmtp": f"[{lmtp[0]}]:{lmtp[1]}",
            "proxy": f"inet:[{front[0]}]:{front[1]}" if v6 else
            f"inet:{front[0]}:{front[1]}", "port_in": f"{at}:{self.port_in}", "port_proxy": f"{at}:{self.port_proxy}",
            "port_back": f"{at}:{self.port_back}", "port_lmtp": f"{at}:{self.port_lmtp}", "milter": self.milter, "port_milter": f"{at}:{self.port_milter}"}
        etc = self.folder / "etc"
        (etc / "main.cf").write_text(MAIN.format(**values))
        os.utime(etc / "main.cf", (0, 0))  # Postfix waits until nobody has written it for 2 s
        (etc / "master.cf").write_text((MASTER + (MILTER if self.milter else "")).format(**values))
        self.process = self.suite.peer("postfix", [f"{DAEMONS}/master", "-c", etc, "-d"], env={"MAIL_CONFIG": str(etc)})
        for port in filter(None, (self.port_in, self.port_lmtp, self.port_proxy, self.port_back, self.port_milter)):
            mw.until(lambda p=port: f"Postfix at port {p}\n{self.log()}", lambda p=port: self.listens(p))
        return self

    def listens(self, port):
        import socket
        try:
            socket.create_connection((self.host, port), 1).close()
            return True
        except OSError:
            return False

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def queue_is_empty(self):
        return not any(p.is_file() for d in ("incoming", "active", "deferred") for p in (Path(self.folder) / "queue" / d).rglob("*"))
