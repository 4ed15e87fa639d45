"""Banks that depend on the message: by valid DKIM signatures of the author, and by names of viruses."""
import signal
import socket
import sqlite3
import time
import urllib.request

import pytest

import mw
import mwhop
from mwhop import A, B
from mwlua import D_DISCARD, D_PASS, D_REJECT, Raw
from mwmail import DkimKey, eicar_mail, field, gtube, mail
from mwsmtp import stuffed
from next_hop import NextHop

behind = mwhop.behind  # the fixture

# docs/policy.md has the same.
EXAMPLE = [{
    "uni.example": "WHITELIST", ".shop.example": "WHITELIST", "lab.example": "SPECIAL",
    ".network.example": "MILD_WHITELIST", "daily@stars.example": "MILD_WHITELIST",
}]
NAMES = ("WHITELIST", "SPECIAL", "MILD_WHITELIST", "AUTHOR_APPROVED", "VIRUS", "LIST", "A", "B")
BANKS = {name: {} for name in NAMES}
KEYED = ("uni.example", "news.shop.example", "shop.example", "lab.example", "deep.network.example", "stars.example",
         "lists.example", "evil.example")


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    made = {domain: DkimKey(folder, domain) for domain in KEYED}
    made["weak"] = DkimKey(folder, "uni.example", selector="weak", bits=1024)
    made["testing"] = DkimKey(folder, "uni.example", selector="testing")
    made["testing"].record = made["testing"].record.replace("k=rsa;", "k=rsa; t=y;")
    made["unknown"] = DkimKey(folder, "uni.example", selector="unknown")  # in no zone
    return made


def settings_of(keys, **more):
    return {"enable_dkim_verification": True, "http.listen": "127.0.0.1:0", "dkim.dns_local_only": True, "policy_bank": BANKS,
            "dkim.dns_data": [k.dns_line() for name, k in keys.items() if name != "unknown"],
            "author_to_policy_bank_maps": EXAMPLE, **more}


def from_(author, **kw):
    return mail(sender=author, **kw)


def send(suite, octets, rcpts=(A,)):
    return suite.send(octets, rcpts=list(rcpts))


def begin(c, octets, rcpts=(A,), verb="EHLO"):
    """All of a mail but its reply."""
    c.hello(verb=verb)
    assert c.envelope("x@example.com", list(rcpts)) is None
    assert c.cmd("DATA").code == 354
    c.write(stuffed(octets))


def jobs(suite, kind):
    """Jobs of that kind that a worker was given."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{suite.front.ready_field('http')}/metrics", timeout=10 * mw.SLOW) as r:
        lines = dict(line.rsplit(" ", 1) for line in r.read().decode().splitlines() if line[:1] != "#")
    return (int(lines[f'mailweir_front_jobs_total{{kind="{kind}"}}'])
            - int(lines[f'mailweir_front_jobs_waiting{{kind="{kind}"}}']))


def record_of(suite, count):
    mw.until(f"{count} records", lambda: len(suite.records()) >= count)
    return suite.records()[count - 1]


@pytest.fixture
def signed(behind, suite, keys):
    """Start with the example's tables; banks_of(octets) sends one mail and says which banks it had."""
    count = 0

    def start(services=("dkim", "logger"), **more):
        start.hop = behind(settings_of(keys, **more), services=services)
        workers = {"dkim", "scanner"} & set(services)
        if workers:
            suite.front.wait_log(" worker_came ", count=len(workers))

        def banks_of(octets, code=250):
            nonlocal count
            assert send(suite, octets).code == code
            count += 1
            return record_of(suite, count)["policy_banks"]
        return banks_of
    return start


# ------------------------------------------------------------------ signatures

def test_example_6_banks_by_a_valid_signature_of_the_author_s_domain(signed, keys):
    banks_of = signed()
    for author, signer, expected in (
            ("a@uni.example", "uni.example", ["WHITELIST"]),
            ("Ann <a@UNI.example>", "uni.example", ["WHITELIST"]),
            ("a@news.shop.example", "news.shop.example", ["WHITELIST"]),
            ("a@shop.example", "shop.example", ["WHITELIST"]),
            ("a@lab.example", "lab.example", ["SPECIAL"]),
            ("a@deep.network.example", "deep.network.example", ["MILD_WHITELIST"]),
            ("daily@stars.example", "stars.example", ["MILD_WHITELIST"]),
            ("other@stars.example", "stars.example", []),
            ("a@news.shop.example", "shop.example", []),
            ("a@uni.example", "evil.example", []),
            ("a@evil.example", "uni.example", [])):
        assert banks_of(keys[signer].sign(from_(author))) == expected, (author, signer)
    assert banks_of(from_("a@uni.example")) == [], "without a signature anybody can say so"


def test_what_is_no_valid_signature_brings_no_bank(signed, keys):
    banks_of = signed(dkim_minimum_key_bits=2048)
    m, key = from_("a@uni.example"), keys["uni.example"]
    now = int(time.time())
    assert banks_of(key.sign(m).replace(b"Hello.", b"Hullo.")) == []
    assert banks_of(key.sign(m).replace(b"Subject: a", b"Subject: b")) == []
    assert banks_of(key.sign(m, tags=f"t={now - 200}; x={now - 100}; ")) == [], "it has expired"
    assert banks_of(key.sign(m, tags=f"t={now - 200}; x={now + 10000}; ")) == ["WHITELIST"]
    assert banks_of(keys["weak"].sign(m)) == [], "its key is too short"
    assert banks_of(keys["testing"].sign(m)) == [], "its domain is testing"
    assert banks_of(keys["unknown"].sign(m)) == [], "it has no key"
    assert banks_of(b"DKIM-Signature: d=uni.example\r\n" + m) == [], "it is none"
    assert banks_of(b"From: b@evil.example\r\n" + key.sign(m)) == [], "two From, and the upper is shown"
    assert banks_of(keys["weak"].sign(key.sign(m))) == ["WHITELIST"], "one of several is enough"


def test_a_key_is_long_enough_by_the_bank_s_own_setting(signed, keys):
    assert signed()(keys["weak"].sign(from_("a@uni.example"))) == ["WHITELIST"], "1024 by default"


def test_a_list_s_signature_and_several_authors_and_signers(signed, keys):
    banks_of = signed(author_to_policy_bank_maps=[
        {".uni.example/@lists.example": "LIST", "uni.example": "A", "lab.example": "B, A", "./@evil.example": False},
        ["stars.example"]])
    lists, uni, lab = keys["lists.example"], keys["uni.example"], keys["lab.example"]
    assert banks_of(lists.sign(from_("a@sub.uni.example"))) == ["LIST"]
    assert banks_of(lists.sign(from_("a@lab.example"))) == []
    both = from_("a@uni.example, b@lab.example")
    assert banks_of(uni.sign(both)) == ["A"]
    assert banks_of(lab.sign(both)) == ["B", "A"]
    assert banks_of(lab.sign(uni.sign(both))) == ["B", "A"], "the upper signature first, each bank once"
    assert banks_of(uni.sign(lab.sign(both))) == ["A", "B"]
    assert banks_of(uni.sign(lists.sign(from_("a@uni.example")))) == ["A", "LIST"]
    assert banks_of(keys["stars.example"].sign(from_("a@stars.example"))) == ["AUTHOR_APPROVED"]
    assert banks_of(keys["evil.example"].sign(from_("a@evil.example"))) == []


def test_banks_whose_names_only_mail_knows(signed, suite, keys):
    banks_of = signed(author_to_policy_bank_maps=[Raw("new_RE { { '@(.*)[.]example$', '$1' } }")],
                      policy_bank={"uni": {}})
    assert banks_of(keys["uni.example"].sign(from_("a@uni.example"))) == ["uni"]
    assert banks_of(keys["lab.example"].sign(from_("a@lab.example"))) == []
    suite.front.wait_log('unknown_bank .* map=author_to_policy_bank_maps bank="?lab')


def test_the_bank_changes_levels_marks_and_the_next_hop(signed, suite, keys):
    """All that is decided behind it: by the same mail from somebody else it is refused."""
    spamd, other = suite.spamd(), NextHop()
    try:
        banks_of = signed(services=("dkim", "scanner", "logger"), final_spam_destiny=D_REJECT, spam_quarantine_method="",
                          **{"scanner.spamd": spamd.address, "policy_bank": {
                              "WHITELIST": {"bypass_spam_checks_maps": [True], "X_HEADER_TAG": "X-Known"},
                              "SPECIAL": {"forward_method": other.method, "final_spam_destiny": D_PASS},
                              "MILD_WHITELIST": {"spam_kill_level_maps": [{A: 5000}]}}})
        spam = {"body": gtube().encode() + b"\r\n"}
        assert banks_of(from_("a@uni.example", **spam), code=554) == []
        assert banks_of(keys["uni.example"].sign(from_("a@uni.example", **spam))) == ["WHITELIST"]
        first = signed.hop.mails[0].octets
        assert field(first, "X-Spam-Status") is None and field(first, "X-Known") is not None
        assert banks_of(keys["lab.example"].sign(from_("a@lab.example", **spam))) == ["SPECIAL"]
        assert (len(signed.hop.mails), len(other.mails)) == (1, 1)
        assert banks_of(keys["deep.network.example"].sign(from_("a@deep.network.example", **spam))) == ["MILD_WHITELIST"]
        assert banks_of(keys["evil.example"].sign(from_("a@evil.example", **spam)), code=554) == []
        auth = [c["status"] for c in record_of(suite, 2)["checks"] if c["kind"] == "auth"]
        assert auth == ["done"], "once, although it came first"
    finally:
        other.close()


def test_a_whitelisted_virus_is_a_virus(signed, suite, keys):
    banks_of = signed(services=("dkim", "scanner", "logger"), final_virus_destiny=D_REJECT, virus_quarantine_method="",
                      policy_bank={**BANKS, "WHITELIST": {"bypass_spam_checks_maps": [True]}})
    assert banks_of(keys["uni.example"].sign(eicar_mail(sender="a@uni.example")), code=554) == ["WHITELIST"]


def test_each_mail_of_a_session_begins_without(signed, suite, keys):
    signed()
    m = keys["uni.example"].sign(from_("a@uni.example"))
    with suite.smtp() as c:
        c.hello()
        for octets in (m, from_("a@uni.example"), m):
            assert c.mail("x@example.com", [A], octets).code == 250
    assert record_of(suite, 3) and [r["policy_banks"] for r in suite.records()] == [["WHITELIST"], [], ["WHITELIST"]]


def test_only_mail_that_a_signature_could_change_waits_for_it(signed, suite, keys):
    signed(services=("dkim", "scanner", "logger"))
    dkim = suite.service("dkim")
    for author, scans in (("a@uni.example", 0), ("a@evil.example", 2)):
        before = jobs(suite, "auth")
        dkim.signal(signal.SIGSTOP)
        with suite.smtp() as c:
            begin(c, keys[author[2:]].sign(from_(author)))
            mw.until("the signature to be at its worker", lambda: jobs(suite, "auth") == before + 1)
            mw.until(f"{scans} scans", lambda: jobs(suite, "scan") == scans)
            dkim.signal(signal.SIGCONT)
            assert c.reply().code == 250
    assert record_of(suite, 2) and [r["policy_banks"] for r in suite.records()] == [["WHITELIST"], []]


# ------------------------------------------------------------------ when nobody can tell

def auth_of(record):
    return next(c for c in record["checks"] if c["kind"] == "auth")


def test_without_a_worker_nobody_is_approved_and_nothing_is_lost(signed, suite, keys):
    banks_of = signed(services=("logger",), **{"checks.auth_timeout": 1})
    assert banks_of(keys["uni.example"].sign(from_("a@uni.example"))) == []
    assert auth_of(record_of(suite, 1))["status"] == "failed"
    assert len(signed.hop.mails) == 1


def test_a_worker_that_dies_meanwhile_leaves_its_job_to_another(signed, suite, keys):
    banks_of = signed()
    mail = keys["uni.example"].sign(from_("a@uni.example"))
    assert banks_of(mail) == ["WHITELIST"]  # the front's connection for jobs is made, too
    dead = suite.service("dkim")
    dead.signal(signal.SIGSTOP)
    with suite.smtp() as c:
        begin(c, mail)
        mw.until("the job to be at the worker", lambda: jobs(suite, "auth") == 2)
        suite.start("dkim", "2")
        dead.kill()
        assert c.reply().code == 250
    assert record_of(suite, 2)["policy_banks"] == ["WHITELIST"]


def test_a_worker_that_dies_and_has_no_successor(signed, suite, keys):
    banks_of = signed(**{"checks.auth_timeout": 2})
    mail = keys["uni.example"].sign(from_("a@uni.example"))
    assert banks_of(mail) == ["WHITELIST"]
    suite.service("dkim").signal(signal.SIGSTOP)
    with suite.smtp() as c:
        begin(c, mail)
        mw.until("the job to be at the worker", lambda: jobs(suite, "auth") == 2)
        suite.service("dkim").kill()
        assert c.reply().code == 250
    record = record_of(suite, 2)
    assert record["policy_banks"] == [] and auth_of(record)["status"] == "failed"


@pytest.mark.parametrize("slow", ["worker", "nameserver"])
def test_slow_verification_has_a_limit_of_its_own(signed, suite, keys, slow):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silence:
        silence.bind(("127.0.0.1", 0))
        more = {"checks.auth_timeout": 1}
        if slow == "nameserver":
            more.update({"dkim.dns_data": [], "dkim.dns_local_only": False, "dkim.dns_timeout_ms": 60000,
                         "dkim.nameservers": [f"127.0.0.1@{silence.getsockname()[1]}"]})
        banks_of = signed(**more)
        if slow == "worker":
            suite.service("dkim").signal(signal.SIGSTOP)
        assert banks_of(keys["uni.example"].sign(from_("a@uni.example"))) == []
        if slow == "worker":
            suite.service("dkim").signal(signal.SIGCONT)
        record = record_of(suite, 1)
        assert auth_of(record)["status"] in ("failed", "done")
        assert len(signed.hop.mails) == 1


def test_a_client_that_leaves_meanwhile_costs_nothing(signed, suite, keys):
    banks_of = signed(**{"checks.auth_timeout": 60})
    suite.service("dkim").signal(signal.SIGSTOP)
    with suite.smtp() as c:
        begin(c, keys["uni.example"].sign(from_("a@uni.example")))
    suite.service("dkim").signal(signal.SIGCONT)
    mw.until("its record", lambda: suite.records())
    assert signed.hop.mails == []
    assert banks_of


def test_a_bank_that_cannot_be_loaded_defers_the_mail(signed, suite, keys):
    """More banks than may lie on one another: never treated by fewer."""
    names = [f"b{i}" for i in range(13)]
    banks_of = signed(author_to_policy_bank_maps=[Raw(f"function(key) return '{','.join(names)}' end")],
                      policy_bank={n: {} for n in names})
    banks_of(keys["uni.example"].sign(from_("a@uni.example")), code=451)
    assert suite.front.log_lines("policy_bank_failed")
    assert signed.hop.mails == []


def test_tables_that_never_say_anything_are_told_at_start(behind, suite, keys):
    behind(settings_of(keys, enable_dkim_verification=False))
    assert suite.front.log_lines("author_banks_unused")


def test_a_bank_that_is_not_there_is_an_error_at_start(suite):
    suite.set(author_to_policy_bank_maps=[{"a.example": "NONE"}])
    p = suite.start("smtp-front", wait=False)
    mw.until("it to give up", lambda: not p.running())
    assert p.popen.returncode != 0 and "there is no policy bank" in p.log() and "NONE" in p.log(), p.log()
    checked = suite.tool("check-config", suite.conf_path("x", "1"))
    assert checked.returncode != 0 and 'no policy bank "NONE"' in checked.stdout + checked.stderr


def test_the_command_says_what_a_signature_brings(suite):
    suite.set(policy_bank=BANKS, author_to_policy_bank_maps=[{".example.com/@signer.example": "LIST"}, EXAMPLE[0]])
    path = suite.conf_path("x", "1")
    for key, value in (("user@example.com/@signer.example", '"LIST"'), ("user@example.com", "undef"),
                       ("user@uni.example", '"WHITELIST"'), ("user@uni.example/@uni.example", "undef")):
        said = suite.tool("lookup", "-c", path, "author_to_policy_bank_maps", key)
        assert said.returncode == 0 and said.stdout.endswith(f"= {value}\n"), said


# ------------------------------------------------------------------ viruses

def virus_name(suite, behind, **more):
    """The engine's name of the test virus."""
    behind({"final_virus_destiny": D_REJECT, "virus_quarantine_method": "", **more}, services=("scanner", "logger"))
    assert send(suite, eicar_mail()).code == 554
    return record_of(suite, 1)["virusnames"][0]


def test_banks_by_the_name_of_a_virus(behind, suite):
    name = virus_name(suite, behind)
    other = NextHop()
    try:
        suite.set(virus_name_to_policy_bank_maps=[{name: "LET"}], policy_bank={
            "LET": {"final_virus_destiny": D_PASS, "forward_method": other.method, "X_HEADER_TAG": "X-Infected"}})
        suite.restart(stopped(suite.front))
        assert send(suite, eicar_mail()).code == 250
        assert len(other.mails) == 1 and field(other.mails[0].octets, "X-Infected") is not None
        assert record_of(suite, 2)["policy_banks"] == ["LET"]
        assert send(suite, mail()).code == 250 and record_of(suite, 3)["policy_banks"] == []
    finally:
        other.close()


def stopped(p):
    p.stop()
    return p


def test_a_virus_bank_is_called_virus_and_asks_again_about_recipients(behind, suite):
    hop = behind({"final_virus_destiny": D_REJECT, "virus_quarantine_method": "",
                  "virus_name_to_policy_bank_maps": [Raw("new_RE { '(?i)eicar' }")],
                  "policy_bank": {"VIRUS": {"virus_lovers_maps": [{B: True}]}}}, services=("scanner", "logger"))
    with suite.smtp() as c:
        begin(c, eicar_mail(), [A, B], verb="LHLO")
        assert [c.reply().code for _ in (A, B)] == [554, 250]
    assert [m.rcpts for m in hop.mails] == [[B]]
    assert record_of(suite, 1)["policy_banks"] == ["VIRUS"]


def test_the_spam_check_goes_by_the_virus_s_bank(behind, suite):
    """A virus that is passed on is scored; one that is not is not."""
    spamd = suite.spamd()
    behind({"final_virus_destiny": D_DISCARD, "virus_quarantine_method": "", "scanner.spamd": spamd.address,
            "virus_name_to_policy_bank_maps": [True], "policy_bank": {"VIRUS": {"final_virus_destiny": D_PASS}}},
           services=("scanner", "logger"))
    assert send(suite, eicar_mail()).code == 250
    status = {c["kind"]: c["status"] for c in record_of(suite, 1)["checks"]}
    assert status["spam"] == "done", status


def test_what_a_database_said_holds_under_the_virus_s_bank(behind, suite):
    """It is gone when recipients are asked about again, and nothing was kept for other mails."""
    path = suite.folder / "mail.sqlite"
    with sqlite3.connect(path) as db:
        db.executescript("CREATE TABLE policy (id INTEGER PRIMARY KEY, virus_lover CHAR);"
                         "CREATE TABLE users (id INTEGER PRIMARY KEY, priority INTEGER, policy_id INTEGER, email BLOB);"
                         f"INSERT INTO policy VALUES (1, 'Y'); INSERT INTO users VALUES (1, 9, 1, '{A}');")
    hop = behind({"final_virus_destiny": D_REJECT, "virus_quarantine_method": "",
                  "http.listen": "127.0.0.1:0", "lookup.cache_time": 0,
                  "lookup_sql_dsn": [[f"DBI:SQLite:dbname={path}", "", ""]], "sql_clause": {"sel_wblist": ""},
                  "virus_name_to_policy_bank_maps": [True], "policy_bank": {"VIRUS": {"X_HEADER_TAG": "X-Infected"}}},
                 services=("scanner", "logger"))
    cages = mw.children(suite.service("scanner").pid)
    for pid in cages:
        mw.tell(pid, signal.SIGSTOP)
    with suite.smtp() as c:
        begin(c, eicar_mail())
        mw.until("the job to be at the worker", lambda: jobs(suite, "scan") == 1)
        path.unlink()
        for pid in cages:
            mw.tell(pid, signal.SIGCONT)
        assert c.reply().code == 250
    assert field(hop.mails[0].octets, "X-Infected") is not None
    assert record_of(suite, 1)["policy_banks"] == ["VIRUS"]
