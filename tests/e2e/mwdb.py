"""Real databases for the tests of lookups, in private folders, on loopback; and mwdb, which asks them."""
import json
import os
import pwd
import queue
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
from pathlib import Path

import mw
from mwlua import lua_file
from mwtls import Authority

PASSWORD = "pass'word \\ \"1\""  # quotes on their way through DSN, library and server

# amavisd's tables (README.sql), as far as lookups read them.
SCHEMA = """
CREATE TABLE users (id INTEGER PRIMARY KEY, priority INTEGER NOT NULL DEFAULT 7, policy_id INTEGER,
    email {text} NOT NULL UNIQUE, fullname {text} DEFAULT NULL, local CHAR(1));
CREATE TABLE policy (id INTEGER PRIMARY KEY, policy_name {text}, virus_lover CHAR(1) DEFAULT NULL,
    spam_kill_level REAL DEFAULT NULL, spam_subject_tag2 {text} DEFAULT NULL, octets {blob});
CREATE TABLE mailaddr (id INTEGER PRIMARY KEY, priority INTEGER NOT NULL DEFAULT 7, email {key} NOT NULL UNIQUE);
CREATE TABLE wblist (rid INTEGER NOT NULL, sid INTEGER NOT NULL, wb {text} NOT NULL, PRIMARY KEY (rid, sid));
"""


class Server:
    """A process in a folder of its own, as the user whom its program wants when we are root."""
    user = None

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="mwdb-"))
        self.folder.chmod(0o755)
        self.port = mw.free_port()
        self.process = None
        self.run_as = {}
        # For TLS: a certificate that names where it listens.
        self.authority = Authority(self.folder / "ca")
        self.cert = shutil.copy(self.authority.cert("db", san="DNS:localhost,IP:127.0.0.1"), self.folder / "cert.pem")
        os.chmod(self.cert, 0o600)
        if os.geteuid() == 0:
            entry = pwd.getpwnam(self.user)
            for path in (self.folder, self.cert):
                os.chown(path, entry.pw_uid, entry.pw_gid)
            self.run_as = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def run(self, *command, text=None):
        done = subprocess.run([str(word) for word in command], input=text, capture_output=True, text=True, timeout=120 * mw.SLOW,
                              check=False, cwd=self.folder, **self.run_as)
        assert done.returncode == 0, f"{command[0]}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    def start(self):
        if self.process is None:
            with open(self.folder / "log", "ab") as log:
                self.process = subprocess.Popen([str(word) for word in self.command()], stdout=log, stderr=log,
                                                stdin=subprocess.DEVNULL, cwd=self.folder, **self.run_as)
            mw.until(lambda: f"{self.__class__.__name__}: {self.tail()}", self.is_ready, 60)

    def tail(self):
        return (self.folder / "log").read_text(errors="replace")[-2000:]

    def kill(self, signum=signal.SIGKILL):
        """Ends it and waits for that; a second call does nothing."""
        if self.process is not None:
            family = mw.children(self.process.pid)
            self.process.send_signal(signum)
            try:
                self.process.wait(30 * mw.SLOW)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            mw.until("its children to end", lambda: not any(mw.alive(pid) for pid in family))
            self.process = None

    def close(self):
        self.kill(self.stop_signal)
        shutil.rmtree(self.folder, ignore_errors=True)

    stop_signal = signal.SIGTERM


class Postgres(Server):
    user = "postgres"
    stop_signal = signal.SIGQUIT
    types = {"text": "VARCHAR(255)", "blob": "BYTEA DEFAULT NULL", "key": "BYTEA"}

    def __init__(self):
        super().__init__()
        self.bin = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        (self.folder / "password").write_text(PASSWORD + "\n")
        self.run(self.bin / "initdb", "-D", self.folder / "data", "-A", "scram-sha-256", "-U", "mail", "--no-sync", "-E", "UTF8",
                 "--locale=C", f"--pwfile={self.folder}/password")
        self.start()
        self.sql(SCHEMA.format(**self.types))

    def command(self):
        return [self.bin / "postgres", "-D", self.folder / "data", "-F", "-h", "127.0.0.1", "-k", self.folder, "-p", self.port,
                "-c", "ssl=on", "-c", f"ssl_cert_file={self.cert}", "-c", f"ssl_key_file={self.cert}"]

    def client(self):
        return [self.bin / "psql", "-q", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1",
                f"host=127.0.0.1 port={self.port} user=mail dbname=postgres"]

    def sql(self, text):
        os.environ["PGPASSWORD"] = PASSWORD
        return self.run(*self.client(), text=text)

    def is_ready(self):
        os.environ["PGPASSWORD"] = PASSWORD
        return subprocess.run([*self.client(), "-c", "SELECT 1"], capture_output=True, check=False).returncode == 0

    def dsn(self):
        return f"DBI:Pg:database=postgres;host=127.0.0.1;port={self.port}", "mail", PASSWORD

    def socket_dsn(self):
        return f"DBI:Pg:database=postgres;host={self.folder};port={self.port}", "mail", PASSWORD

    def lock(self):
        """Nobody reads users until the returned function is called."""
        holder = subprocess.Popen([str(w) for w in self.client()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                  stderr=subprocess.DEVNULL)
        holder.stdin.write("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE; SELECT 'locked';\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "locked\n"
        return lambda: end_client(holder)

    def tls_dsn(self, ca):
        return f"{self.dsn()[0]};sslmode=verify-full;sslrootcert={ca}", "mail", PASSWORD


class MariaDB(Server):
    user = "mysql"
    stop_signal = signal.SIGKILL  # an orderly end takes seconds, and nothing is kept
    types = {"text": "VARCHAR(255)", "blob": "BLOB DEFAULT NULL", "key": "VARBINARY(255)"}

    def __init__(self):
        super().__init__()
        self.run("mariadb-install-db", "--no-defaults", f"--datadir={self.folder}/data", "--auth-root-authentication-method=normal",
                 "--skip-test-db", "--skip-name-resolve")
        self.start()
        quoted = PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
        self.sql(f"CREATE DATABASE mail CHARACTER SET utf8mb4; CREATE USER mail@'127.0.0.1' IDENTIFIED BY '{quoted}';"
                 f"CREATE USER mail@localhost IDENTIFIED BY '{quoted}';"
                 "GRANT ALL ON mail.* TO mail@'127.0.0.1'; GRANT ALL ON mail.* TO mail@localhost;", database="mysql")
        self.sql(SCHEMA.format(**self.types))

    def command(self):
        return ["mariadbd", "--no-defaults", f"--datadir={self.folder}/data", f"--socket={self.folder}/sock", f"--port={self.port}",
                "--bind-address=127.0.0.1", "--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=32M",
                f"--pid-file={self.folder}/pid", "--skip-name-resolve", f"--ssl-cert={self.cert}", f"--ssl-key={self.cert}"]

    def client(self, database):
        return ["mariadb", "--no-defaults", f"--socket={self.folder}/sock", "-u", "root", "-N", "-B", "--unbuffered",
                "--default-character-set=utf8mb4", database]

    def sql(self, text, database="mail"):
        return self.run(*self.client(database), text=text)

    def is_ready(self):
        return subprocess.run([*self.client("mysql"), "-e", "SELECT 1"], capture_output=True, check=False).returncode == 0

    def dsn(self):
        return f"DBI:mysql:database=mail;host=127.0.0.1;port={self.port}", "mail", PASSWORD

    def asked(self):
        """What its threads work on."""
        return subprocess.run([*self.client("mysql"), "-e", "SHOW FULL PROCESSLIST"], capture_output=True, text=True, check=True).stdout

    def socket_dsn(self):
        return f"DBI:MariaDB:mail;mariadb_socket={self.folder}/sock", "mail", PASSWORD

    def tls_dsn(self, ca):
        return f"{self.dsn()[0]};mysql_ssl=1;mysql_ssl_verify_server_cert=1;mysql_ssl_ca_file={ca}", "mail", PASSWORD

    def lock(self):
        holder = subprocess.Popen(self.client("mail"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                  stderr=subprocess.DEVNULL)
        holder.stdin.write("LOCK TABLES users WRITE; SELECT 'locked';\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "locked\n"
        return lambda: end_client(holder)


class SQLite:
    """A file; what is a server's death for others is its removal."""
    types = {"text": "TEXT", "blob": "BLOB DEFAULT NULL", "key": "TEXT"}

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="mwdb-"))
        self.file = self.folder / "policy.db"
        self.sql(SCHEMA.format(**self.types))

    def sql(self, text):
        connection = sqlite3.connect(self.file, timeout=30)
        connection.executescript(text)
        connection.close()

    def dsn(self):
        return f"DBI:SQLite:dbname={self.file}", "", ""

    socket_dsn = dsn

    def lock(self):
        holder = sqlite3.connect(self.file, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        return holder.close

    def start(self):
        if not self.file.exists():
            self.away().rename(self.file)

    def kill(self):
        self.file.rename(self.away())

    def away(self):
        return self.folder / "away.db"

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def end_client(process):
    process.stdin.close()
    process.stdout.close()
    process.wait(30 * mw.SLOW)


# amavisd's LDAP schema, as far as the tests store it.
LDAP_SCHEMA = """
attributetype ( 1.3.6.1.4.1.15312.2.2.1.1 NAME 'amavisVirusLover' EQUALITY booleanMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.7 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.15312.2.2.1.14 NAME 'amavisSpamKillLevel' EQUALITY caseIgnoreIA5Match
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.26{256} SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.15312.2.2.1.18 NAME 'amavisBlacklistSender' EQUALITY caseIgnoreIA5Match
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.26{256} )
attributetype ( 1.3.6.1.4.1.15312.2.2.1.17 NAME 'amavisWhitelistSender' EQUALITY caseIgnoreIA5Match
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.26{256} )
objectclass ( 1.3.6.1.4.1.15312.2.2.2.1 NAME 'amavisAccount' SUP top AUXILIARY
  MAY ( amavisVirusLover $ amavisSpamKillLevel $ amavisBlacklistSender $ amavisWhitelistSender ) )
"""


class Ldap(Server):
    user = "openldap"
    base = "dc=example,dc=org"

    def __init__(self):
        super().__init__()
        (self.folder / "amavis.schema").write_text(LDAP_SCHEMA)
        (self.folder / "data").mkdir()
        if self.run_as:
            os.chown(self.folder / "data", self.run_as["user"], self.run_as["group"])
        schemas = "".join(f"include /etc/ldap/schema/{name}.schema\n" for name in ("core", "cosine", "inetorgperson"))
        (self.folder / "slapd.conf").write_text(
            f"{schemas}include {self.folder}/amavis.schema\npidfile {self.folder}/pid\n"
            f"TLSCertificateFile {self.cert}\nTLSCertificateKeyFile {self.cert}\nTLSCACertificateFile {self.authority.ca}\n"
            "modulepath /usr/lib/ldap\nmoduleload back_mdb\nallow bind_v2\nsizelimit unlimited\n"
            f"database mdb\nsuffix {self.base}\nrootdn cn=admin,{self.base}\nrootpw \"pass word\"\n"
            f"directory {self.folder}/data\ndbnosync\nindex mail eq\naccess to * by users read by * auth\n")
        self.start()
        self.add(f"dn: {self.base}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: example\n")

    def command(self):
        return ["slapd", "-d", "0", "-f", self.folder / "slapd.conf", "-h", f"ldap://127.0.0.1:{self.port}"]

    def tool(self, name, *words, text=None):
        return self.run(name, "-x", "-H", f"ldap://127.0.0.1:{self.port}", "-D", f"cn=admin,{self.base}", "-w", "pass word", *words,
                        text=text)

    def add(self, ldif):
        self.tool("ldapadd", text=ldif)

    def account(self, name, mails, **attributes):
        lines = [f"dn: cn={name},{self.base}", "objectClass: inetOrgPerson", "objectClass: amavisAccount", f"cn: {name}", f"sn: {name}"]
        lines += [f"mail: {mail}" for mail in mails]
        for key, values in attributes.items():
            lines += [f"{key}: {value}" for value in (values if isinstance(values, list) else [values])]
        self.add("\n".join(lines) + "\n")

    def is_ready(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def settings(self, **more):
        fields = {"hostname": "127.0.0.1", "port": self.port, "base": self.base, "bind_dn": f"cn=admin,{self.base}",
                  "bind_password": "pass word"}
        fields.update(more)
        return {"enable_ldap": True, "default_ldap": fields}


# ------------------------------------------------------------------ the one who asks

class Answer:
    def __init__(self, line):
        self.id, self.how, self.rc, self.error = line["id"], line["how"], line["rc"], line["error"]
        self.seconds = line["us"] / 1e6
        self.addresses = [[Record(r) for r in records] for records in line["answers"]]

    def __repr__(self):
        return f"Answer({self.id}, {self.how}, {self.rc}, {self.error!r}, {self.addresses})"


class Record:
    """Cells by name as octets or None; of several with a name the last, all of them in `cells`."""

    def __init__(self, line):
        self.source = line["source"]
        self.cells = [(name, None if value is None else value.encode("latin-1")) for name, value in line["cells"]]
        self.by_name = dict(self.cells)

    def __getitem__(self, name):
        return self.by_name[name]

    def __repr__(self):
        return repr(self.by_name)


class Lookup:
    """mwdb with these settings: `with Lookup(lookup_sql_dsn=[...], timeout=2) as l: l.get("a@b")`."""
    OWN = ("threads", "queue_limit", "timeout", "connect_timeout", "failback_time", "cache_time", "cache_entries", "cache_octets", "failure")

    def __init__(self, **settings):
        self.folder = Path(tempfile.mkdtemp(prefix="mwdb-"))
        self.counter = 0
        self.answers, self.others = {}, queue.Queue()
        self.came = threading.Condition()
        self.log = open(self.folder / "log", "wb")  # pylint: disable=consider-using-with
        self.process = subprocess.Popen([str(mw.BENCH / "mwdb"), str(self.write(settings))], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.log)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def write(self, settings):
        path = self.folder / f"{self.counter}.lua"
        self.counter += 1
        settings = {"timeout": 20 * int(mw.SLOW), "connect_timeout": 10 * int(mw.SLOW)} | settings
        path.write_text(lua_file({("lookup." if k in self.OWN else "") + k: v for k, v in settings.items()}))
        return path

    def read(self):
        for text in self.process.stdout:
            line = json.loads(text)
            if "id" in line:
                with self.came:
                    self.answers[line["id"]] = Answer(line)
                    self.came.notify_all()
            else:
                self.others.put(line)

    def say(self, *fields):
        octets = b"\t".join(f if isinstance(f, bytes) else str(f).encode() for f in fields)
        self.process.stdin.write(octets + b"\n")
        self.process.stdin.flush()

    def ask(self, *addresses, wait_ms=0, flags="-", clause="policy"):
        """Returns the request's id at once. An address is text, octets, or (address, argument)."""
        self.counter += 1
        queries = []
        for address in addresses:
            parts = address if isinstance(address, tuple) else (address,)
            queries.append(b"|".join([clause.encode(), *(p if isinstance(p, bytes) else str(p).encode() for p in parts)]))
        self.say("ask", self.counter, wait_ms, flags, *queries)
        return str(self.counter)

    def answer(self, request, timeout_s=60):
        with self.came:
            if not self.came.wait_for(lambda: request in self.answers, timeout_s * mw.SLOW):
                raise mw.Failed(f"no answer to {request}: {self.tail()}")
            return self.answers[request]

    def get(self, *addresses, **how):
        return self.answer(self.ask(*addresses, **how))

    def other(self):
        try:
            return self.others.get(timeout=30 * mw.SLOW)
        except queue.Empty:
            raise mw.Failed(f"no answer: {self.tail()}") from None

    def cancel(self, request):
        self.say("cancel", request)
        return self.other()

    def reload(self, **settings):
        self.say("reload", self.write(settings))
        return self.other()

    def stats(self):
        self.say("stats")
        lines = self.other()["stats"].splitlines()
        return {line.split()[0].removeprefix("mailweir_front_lookup_"): int(line.split()[1]) for line in lines}

    def tail(self):
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            code = self.process.wait(60 * mw.SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.thread.join()
        self.process.stdout.close()
        self.log.close()
        text = self.tail()
        shutil.rmtree(self.folder, ignore_errors=True)
        assert code == 0, text
        assert PASSWORD not in text
