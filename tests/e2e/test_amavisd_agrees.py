"""
amavisd and Mailweir agree: Debian's amavisd-new gets the same mail as a front with the settings that import-amavisd makes
of the same configuration. Compared are the banks that a mail loads, whether it is originating, and for each recipient
the levels, checks left out, lovers and destinies that hold.
"""
import json
import os
import re
import subprocess

import mw
import mwamavisd
import pytest
from mwampdp import Client, MailDir, check
from mwlua import lua
from mwmail import DkimKey, mail
from mwsmtp import Smtp

DATA = mw.ROOT / "tests/data/amavisd"
DEBIAN = [mw.Path("/usr/share/amavis/conf.d"), mw.Path("/etc/amavis/conf.d")]
NAMES = [*sorted(p.stem for p in DATA.glob("*.conf")), "debian"]
WHY_NOT = mwamavisd.why_not()

pytestmark = [pytest.mark.deadline(300), pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))]

# Of each recipient, what explain must tell; whatever else both tell is compared, too.
LEVELS = {"spam_tag_level": -1000, "spam_tag2_level": 1000, "spam_kill_level": 1000}
TOLD = {"local", "bypass_virus_checks", "bypass_spam_checks", "bypass_banned_checks", "virus_lover", "spam_lover",
        "unchecked_lover", "virus_destiny", "spam_destiny", "unchecked_destiny", *LEVELS}
# Both know the name, and it means something else: the limit of all recipients together stands in ours. For mail over
# somebody's limit amavisd's default is D_BOUNCE, ours D_REJECT.
NOT_THE_SAME = {"message_size_limit", "oversized_destiny"}

# Announced differences: of a configuration's setting, what import-amavisd says of it. Each must be said, and be seen.
ANNOUNCED = {
    ("ldap", "local"): r"not carried: local_domains_maps.*a look-up in SQL or LDAP \(q_ldap_b\)",
    ("ldap", "spam_kill_level"): r"not carried: spam_kill_level_maps.*a look-up in SQL or LDAP \(q_ldap_n\)",
    ("layers", "bypass_banned_checks"): r"not carried: policy_bank\{'PARTNER'\}\{bypass_banned_checks_maps\}.*code",
    ("lists", "spam_kill_level"): r"differs: sa_kill_level_deflt.*9999 became 1000",
    ("oldstyle", "spam_quarantine_to"): r"not carried: spam_quarantine_to",
    ("tenants", "spam_tag_level"): r"differs: sa_tag_level_deflt.*-100\.1234 became -100\.123",
}

# Ports in the files that mail comes in by; others are next hops.
PORTS = ("10010", "10024", "10026", "10028", "10030", "10101", "10102", "9998")
OTHER = "127.0.0.9"  # in the place of 192.0.2.9, at which tenants.conf listens

# What amavisd would stumble over here before it comes to policy: a module that is not installed, a function that nobody
# has, a folder that only the tests have, commands whose answer is the host's.
MENDED = {
    "ldap": [(r"(?m)^use Net::LDAP .*$", ""), (r"(?m)^custom_init\(.*$", "")],
    "senders": [(r"\$ENV\{MW_TEST_TABLES\}", "'{folder}/tables'")],
    "tenants": [(r"192\.0\.2\.9", OTHER)],
    "debian": [(r"`head -n 1 /etc/mailname`", "'debian.example'"), (r"`hostname --fqdn`", "'mx.debian.example'")],
}
TABLES = {"local_domains": ".firm.example\nother.example 1\n", "no_spam_check": "a@firm.example\n.quiet.example\n",
          "whitelist": ".good.example 1\n", "blacklist": "bad.example\n"}

CLIENTS = ("", "127.0.0.1", "10.1.2.3", "10.9.1.1", "192.0.2.1", "192.0.2.66", "192.0.2.200", "192.168.7.9", "198.51.100.1",
           "198.51.100.2", "203.0.113.7", "IPv6:fd00::1", "IPv6:2001:db8::1")
FEW = ("", "10.1.2.3", "192.0.2.1", "203.0.113.7")  # at the further sockets
SHOWN_MAX = 60
EXPLAINED_MAX = 20  # recipients that explain takes

# What the front has no neighbours for here; none of it is compared.
OVERLAY = """
for _, settings in pairs(policy_bank) do
  for _, name in ipairs { "forward_method", "forward_method_maps", "local_client_bind_address", "enable_dkim_signing", "enable_dkim_verification" } do
    settings[name] = nil
  end
end
inet_socket_bind, local_client_bind_address, forward_method_maps = { "127.0.0.1" }, {}, {}
tls_security_level_in, tls_security_level_out = "none", "none"
haproxy_target_enabled, enable_dkim_signing, enable_dkim_verification, enable_ldap = false, false, false, false
lookup_sql_dsn, storage_redis_dsn, redis_logging_key = {}, {}, ""
av_scanners, av_scanners_backup = { "libclamav" }, {}
"""


class Configuration:
    """Files fit for this host, their sockets, and addresses that they have something to say about."""

    def __init__(self, name, folder):
        self.name, self.folder = name, folder
        (folder / "tables").mkdir()
        for file, text in TABLES.items():
            (folder / "tables" / file).write_text(text)
        self.key = DkimKey(folder, "any.example").path
        self.key.chmod(0o644)
        sources = [DATA / f"{name}.conf"] if name != "debian" else \
            sorted((f for d in DEBIAN for f in d.iterdir() if re.fullmatch(r"[\w-]+", f.name)), key=lambda f: f.name)
        texts = {f.name: f.read_text() for f in sources}
        self.ports = {p: mw.free_port() for p in PORTS if re.search(rf"\b{p}\b", "".join(texts.values()))}
        (folder / "etc").mkdir()
        self.files = [folder / "etc" / file for file in texts]
        for file in self.files:
            file.write_text(self.mended(texts[file.name]))
        self.text = re.sub(r"(?m)^\s*#.*$", "", "".join(f.read_text() for f in self.files))
        self.domain = re.search(r"\$mydomain = (?:\"|')(.*?)(?:\"|')", self.text).group(1)
        self.sockets = self.find_sockets()

    def mended(self, text):
        for pattern, by in MENDED.get(self.name, []):
            text = re.sub(pattern, by.format(folder=self.folder), text)
        text = re.sub(r"'/[\w./-]+\.pem'(?=\s*[,)])", f"'{self.key}'", text)
        return re.sub(rf"(?<![\w.])(?:{'|'.join(PORTS)})(?!\w)", lambda m: str(self.ports[m.group()]), text)

    def find_sockets(self):
        """(protocol, address, port) of each; the address of a Unix socket is None."""
        hosts = ["127.0.0.1", OTHER] if OTHER in self.text else ["127.0.0.1"]
        found = []
        for port in self.ports.values() or [mw.free_port()]:
            ampdp = re.search(rf"\$interface_policy\{{'{port}'\}} = 'AM\.PDP", self.text)
            found += [("AM.PDP" if ampdp else "SMTP", host, port) for host in hosts]
        return found + ([("AM.PDP", None, None)] if "$interface_policy{'SOCK'}" in self.text else [])

    def banks(self):
        return sorted(set(re.findall(r"\$policy_bank\{'([\w-]+)'\}", self.text)))

    def recipients(self):
        """Each domain and address that is named: itself, in another case, with an extension, a domain below it."""
        domains = set(re.findall(r"(?<![\w@.$-])\.?((?:[\w-]+\.)*[\w-]+\.example)\b", self.text))
        addresses = set(re.findall(r"[\w.+-]+@[\w.-]+\.example\b", self.text))
        found = ["someone@foreign.test", "abuse@foreign.test"]
        for d in sorted(domains):
            found += [f"user@{d}", f"User+Box@{d.upper()}", f"user@sub.{d}"]
        found += [f"{local}@{self.domain}" for local in ("abuse", "postmaster", "test-1")]
        for a in sorted(addresses):
            local, _, domain = a.partition("@")
            found += [a, f"{local.upper()}@{domain.title()}", f"{local}+ext@{domain}", f"{local}@sub.{domain}"]
        return list(dict.fromkeys(found))

    def cases(self):
        known, null = "someone@foreign.test", ""
        local = f"user@{self.domain}"
        rows, sockets = [], self.sockets
        for i, socket in enumerate(sockets):
            rows += [(socket, client, known, "") for client in (CLIENTS if i == 0 else FEW)]
            if socket[0] == "AM.PDP":
                asked = ",".join(["NO-SUCH-BANK", *self.banks()])
                rows += [(socket, client, known, asked) for client in ("10.1.2.3", "203.0.113.7")]
        rows += [(sockets[0], client, sender, "") for client in ("10.1.2.3", "203.0.113.7") for sender in (local, null)]
        rcpts = self.recipients()
        return [Case(i, *row, rcpts) for i, row in enumerate(rows)]


class Case:
    """One mail, as both get it."""

    def __init__(self, number, socket, client, sender, asked, rcpts):
        self.id, self.client, self.sender, self.asked, self.rcpts = f"<case{number}@test.example>", client, sender, asked, rcpts
        self.protocol, self.host, self.port = socket

    def __repr__(self):
        asked = f", asked for {self.asked}" if self.asked else ""
        return f"{self.protocol} at {self.host}:{self.port}, client {self.client or 'unknown'}, sender <{self.sender}>{asked}"

    def send(self, path, files):
        """path: that of the Unix socket; files: where a milter keeps its mails."""
        octets = mail(message_id=self.id)
        if self.protocol == "SMTP":
            with Smtp((self.host, self.port), 60 * mw.SLOW) as c:
                c.hello()
                if self.client:
                    assert c.cmd(f"XFORWARD ADDR={self.client}").code == 250
                r = c.mail(self.sender, self.rcpts, octets)
                assert r.code in (250, 554), f"{self}: {r}"  # CC_CATCHALL of STRICT is clean mail's, too
            return
        tempdir = files.put(octets)
        mwamavisd.give(tempdir)
        with Client((self.host, self.port) if self.host else path, 60 * mw.SLOW) as c:
            a = c.ask(*check(tempdir, self.sender, self.rcpts, client_address=self.client.removeprefix("IPv6:") or None,
                             client_name=None, policy_bank=self.asked or None))
            assert a.code == 250, f"{self}: {a}"

    def explain_args(self, path):
        args = ["--port", self.port, "--address", self.host] if self.host else ["--socket", path]
        args += ["--client", self.client.removeprefix("IPv6:")] if self.client else []
        return [*args, *(["--asked", self.asked] if self.asked else []), "--from", self.sender or "<>"]


def by_amavisd(suite, conf, mails):
    """What amavisd's hook reports of each mail."""
    home = suite.folder / "amavisd"
    path = home / "in.sock"
    listen = [f"{host}:{port}" if host else str(path) for _, host, port in conf.sockets]
    amavisd = mwamavisd.Amavisd(suite, home, conf.files, listen)
    files = MailDir(home / "milter")
    for m in mails:
        m.send(path, files)
    amavisd.stop()
    return amavisd.reports()


def imported(conf):
    """mailweir.lua as import-amavisd makes it, and its report."""
    file = conf.folder / "imported.lua"
    done = subprocess.run([mw.BIN / "mailweir", "import-amavisd", "-o", file, *conf.files], capture_output=True, text=True,
                          timeout=60 * mw.SLOW, check=False)
    assert done.returncode == 0, done.stderr
    return file.read_text(), done.stderr


class Ours:
    """A front with the imported settings, and what it made of each mail."""

    def __init__(self, suite, conf, text, mails):
        self.suite, self.known = suite, {}
        self.path = suite.folder / "run/in.sock"
        own = {k: v for k, v in suite.settings.items() if "." in k or k == "QUARANTINEDIR"}
        own.update({
            "forward_method": suite.sink(forward=False).method, "ampdp.mail_dirs": [str(suite.folder / "amavisd/milter")],
            "inet_socket_port": [f"{host}:{port}" for _, host, port in conf.sockets if host],
            "unix_socketname": [str(self.path)] if ("AM.PDP", None, None) in conf.sockets else []})
        suite.settings = {}
        suite.lines = [text, OVERLAY, *(f"{k} = {lua(v)}" for k, v in own.items())]
        suite.start_all(services=("scanner", "logger"))
        files = MailDir(suite.folder / "amavisd/milter")
        for m in mails:
            m.send(self.path, files)
        mw.until("all records", lambda: len(suite.records()) >= len(mails))
        self.records = {r["message_id"]: r for r in suite.records()}

    def recipients(self, case):
        """Settings of each recipient, in order, by explain: the same for all mails with the same banks."""
        banks = self.records[case.id]["policy_banks"]
        if (key := tuple(banks)) not in self.known:
            self.known[key] = found = []
            for i in range(0, len(case.rcpts), EXPLAINED_MAX):
                some = case.rcpts[i:i + EXPLAINED_MAX]
                done = self.suite.tool("explain", "--json", *case.explain_args(self.path), *(x for r in some for x in ("--to", r)),
                                       self.suite.folder / "mailweir.lua")
                assert done.returncode == 0, done.stderr
                told = json.loads(done.stdout)
                assert [b["name"] for b in told["banks"]] == banks, f"explain, {case}"
                found += [r["settings"] for r in told["recipients"]]
        return self.known[key]


def plain(value, like):
    """A value of amavisd's as ours is written."""
    if isinstance(like, bool):
        return value not in (None, "", "0", 0)
    if isinstance(like, (int, float)) and value is not None:
        return float(value)
    return value


def differing(theirs, ours, rcpts):
    """(setting, amavisd's, ours, an address) of each that is not the same."""
    assert len(theirs) == len(ours) == len(rcpts)
    for a, b, rcpt in zip(theirs, ours, rcpts):
        assert TOLD <= set(b) and TOLD <= set(a["settings"]), (sorted(b), sorted(a["settings"]))
        for name in sorted(set(a["settings"]) & set(b) - NOT_THE_SAME):
            value = plain(a["settings"][name], b[name])
            if name.endswith("_quarantine_to"):  # amavisd's local_delivery_aliases: QUARANTINEDIR itself
                value = "QUARANTINEDIR" if value and re.fullmatch(r"[a-z-]+-quarantine", value) else value or ""
            if value is None and b[name] == "":  # no text at all
                continue
            if value != b[name] and (value is not None or b[name] != LEVELS.get(name)):
                yield name, value, b[name], rcpt


@pytest.mark.parametrize("name", NAMES)
def test_amavisd_agrees(suite, name):
    conf = Configuration(name, suite.folder)
    mails = conf.cases()
    theirs = by_amavisd(suite, conf, mails)
    assert set(theirs) == {m.id for m in mails}
    text, said = imported(conf)
    ours = Ours(suite, conf, text, mails)
    seen, wrong = set(), []
    for m in mails:
        a, b = theirs[m.id], ours.records[m.id]
        if (a["banks"], a["originating"] == 1) != (b["policy_banks"], b["originating"]):
            wrong.append(f"{m}: {a['banks']} {a['originating']}, here {b['policy_banks']} {b['originating']}")
            continue
        for setting, value, here, rcpt in differing(a["recipients"], ours.recipients(m), m.rcpts):
            if (name, setting) in ANNOUNCED:
                seen.add((name, setting))
            else:
                wrong.append(f"{m}, {rcpt}: {setting} is {value!r}, here {here!r}")
    assert not wrong, "\n".join(list(dict.fromkeys(wrong))[:SHOWN_MAX])
    announced = {key: words for key, words in ANNOUNCED.items() if key[0] == name}
    assert seen == set(announced), "what is announced as different is"
    unsaid = [words for words in announced.values() if not re.search(words, said)]
    assert not unsaid, f"{unsaid}\n{said}"
