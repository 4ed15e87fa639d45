"""What each recipient of a mail has of its own, over SMTP and LMTP, from tables and from a database: destinies, lovers,
quarantine, next hops, sizes."""
import gzip
import sqlite3
import sys
from pathlib import Path

import pytest

import mw
import mwhop
from mwhop import A, B
from mwlua import D_DISCARD, D_PASS, D_REJECT, D_TEMPFAIL, Raw
from mwmail import eicar_mail, field, gtube, mail
from mwsmtp import Smtp, stuffed

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes"))

from next_hop import NextHop  # noqa: E402

behind = mwhop.behind  # the fixture
C = "c@example.net"
LOCAL = {"local_domains_maps": [".example.org"], "sa_tag_level_deflt": -1000}
SPAM = mail(body=gtube().encode() + b"\r\n")
COLUMNS = ("virus_lover", "spam_lover", "bypass_virus_checks", "spam_kill_level", "virus_quarantine_to", "spam_quarantine_to",
           "forward_method", "message_size_limit")


@pytest.fixture
def database(suite):
    """Policies by recipient: database({A: {"virus_lover": "Y"}})."""
    path = suite.folder / "mail.sqlite"

    def fill(policies):
        with sqlite3.connect(path) as db:
            db.executescript(f"CREATE TABLE policy (id INTEGER PRIMARY KEY, {', '.join(COLUMNS)});"
                             "CREATE TABLE users (id INTEGER PRIMARY KEY, priority INTEGER, policy_id INTEGER, email BLOB);"
                             "CREATE TABLE wblist (rid INTEGER, sid INTEGER, wb CHAR);"
                             "CREATE TABLE mailaddr (id INTEGER PRIMARY KEY, priority INTEGER, email BLOB);")
            for i, (who, policy) in enumerate(policies.items(), 1):
                db.execute(f"INSERT INTO policy VALUES (?{', ?' * len(COLUMNS)})", (i, *(policy.get(c) for c in COLUMNS)))
                db.execute("INSERT INTO users VALUES (?, 7, ?, ?)", (i, i, who))
        suite.set(lookup_sql_dsn=[[f"DBI:SQLite:dbname={path}", "", ""]])
    return fill


@pytest.fixture
def second_hop():
    hop = NextHop()
    yield hop
    hop.close()


def talk(suite, octets, verb="LHLO", rcpts=(A, B), size=None):
    with suite.smtp() as c:
        c.hello(verb=verb)
        assert c.cmd("MAIL FROM:<x@example.com>" + (f" SIZE={size}" if size else "")).code == 250
        codes = [c.cmd(f"RCPT TO:<{r}>").code for r in rcpts]
        taken = codes.count(250)
        if taken == 0:
            return codes
        assert c.cmd("DATA").code == 354
        c.write(stuffed(octets))
        replies = [c.reply() for _ in range(taken if verb == "LHLO" else 1)]
        return replies if taken == len(rcpts) else (codes, replies)


def codes(replies):
    return [r.code for r in replies]


def got(hop):
    return sorted(r for m in hop.mails for r in m.rcpts)


def copies(suite):
    """Octets of all quarantine copies by their folder below QUARANTINEDIR."""
    root = Path(suite.settings["QUARANTINEDIR"])
    return {str(p.relative_to(root).parent): gzip.decompress(p.read_bytes()) for p in root.rglob("*.gz")}


def fields(octets, name):
    """Values of a field, those of a list one by one."""
    head = octets.split(b"\r\n\r\n")[0].replace(b"\r\n ", b" ")
    return [value.strip().decode() for line in head.split(b"\r\n") if line.lower().startswith(name.lower().encode() + b":")
            for value in line.split(b":", 1)[1].split(b",") if value.strip()]


# ------------------------------------------------------------------ destinies

@pytest.mark.parametrize("verb", ["LHLO", "EHLO"])
def test_destinies_by_recipient(behind, suite, verb):
    hop = behind({**mwhop.NO_DSN, "final_virus_destiny": D_DISCARD,
                  "final_destiny_maps_by_ccat": {"CC_VIRUS": [{A: D_REJECT, B: D_PASS}]}}, services=("scanner",))
    replies = talk(suite, eicar_mail(), verb, (A, B, C))
    assert codes(replies) == ([554, 250, 250] if verb == "LHLO" else [554])
    assert "discarded" in replies[-1].text if verb == "LHLO" else "of 3 recipients" in replies[0].text
    assert got(hop) == [B]
    assert sorted(fields(copies(suite).popitem()[1], "X-Envelope-To-Blocked")) == [f"<{A}>", f"<{C}>"]


def test_destinies_by_category_stand_before_the_plain_ones(behind, suite):
    spamd = suite.spamd()
    hop = behind({**LOCAL, "scanner.spamd": spamd.address,
                  "final_destiny_by_ccat": {"CC_SPAM": D_REJECT, "CC_CLEAN": D_TEMPFAIL}}, services=("scanner",))
    assert codes(talk(suite, SPAM)) == [554, 554]
    assert codes(talk(suite, mail())) == [450, 450]
    assert hop.mails == []


@pytest.mark.parametrize("verb", ["LHLO", "EHLO"])
def test_lovers_by_category(behind, suite, verb):
    hop = behind({**mwhop.NO_DSN, "final_virus_destiny": D_REJECT, "lovers_maps_by_ccat": {"CC_VIRUS": [[B]]},
                  "virus_lovers_maps": [{C: True}]}, services=("scanner",))
    assert codes(talk(suite, eicar_mail(), verb, (A, B, C))) == ([554, 250, 250] if verb == "LHLO" else [554])
    assert got(hop) == [B, C]
    assert b"INFECTED" in hop.mails[0].octets


@pytest.mark.parametrize("destiny, code, says", [
    (D_REJECT, 550, "nobody"), (D_DISCARD, 250, "Discarded id="), (D_TEMPFAIL, 450, "Rejected by next-hop MTA"),
])
def test_what_the_next_hop_refuses_has_a_destiny_too(behind, suite, destiny, code, says):
    hop = behind({"final_destiny_by_ccat": {"CC_MTA,2": destiny}}, rcpt=b"550 5.1.1 nobody\r\n")
    reply, = talk(suite, mail(), "EHLO", (A,))
    assert reply.code == code and says in reply.text and "nobody" in reply.text, reply.text
    assert hop.mails == []


REFUSES_B = {"rcpt": lambda c, line: b"550 5.1.1 nobody\r\n" if B in line else b"250 2.1.5 ok\r\n"}
BCC = "all@example.org"


@pytest.mark.parametrize("settings, code, who", [
    # Thrown away is what the next hop refused, and nobody else's.
    ({**mwhop.NO_DSN, "final_destiny_by_ccat": {"CC_MTA,2": D_DISCARD}}, 250, [A]),
    ({**mwhop.NO_DSN, "final_destiny_maps_by_ccat": {"CC_MTA,2": [{A: D_DISCARD}]}}, 550, []),
    # What comes again shall not come to the others each time.
    ({"soft_bounce": True}, 450, []),
    ({"final_destiny_by_ccat": {"CC_MTA,2": D_TEMPFAIL}}, 450, []),
    # One more recipient of ours makes no refusal of another's everybody's.
    ({"always_bcc": BCC}, 250, [A, BCC]),
    ({**mwhop.NO_DSN, "always_bcc": BCC}, 550, []),
], ids=["discarded", "discarded for the other", "soft_bounce", "tempfail", "always_bcc", "always_bcc, no notification"])
def test_a_refusal_of_one_among_two(behind, suite, settings, code, who):
    hop = behind(settings, **REFUSES_B)
    reply, = talk(suite, mail(), "EHLO", (A, B))
    assert reply.code == code, reply
    assert [r for r in got(hop) if r != "x@example.com"] == who  # the sender has a notification


@pytest.mark.parametrize("verb", ["LHLO", "EHLO"])
def test_soft_bounce_makes_refusals_come_again_and_discards_all_the_same(behind, suite, verb):
    hop = behind({"soft_bounce": True, "final_virus_destiny": D_REJECT,
                  "final_destiny_maps_by_ccat": {"CC_VIRUS": [{B: D_DISCARD}]}}, services=("scanner",))
    replies = talk(suite, eicar_mail(), verb, (A, B))
    assert codes(replies) == ([450, 250] if verb == "LHLO" else [450]) and "(soft_bounce)" in replies[0].text
    assert hop.mails == []


def test_black_and_white_senders_need_no_score(behind, suite):
    hop = behind({"final_spam_destiny": D_REJECT, "blacklist_sender_maps": [[".example.com"]],
                  "per_recip_whitelist_sender_lookup_tables": [{B: [["x@example.com"]]}]})
    replies = talk(suite, mail(), "LHLO", (A, B))
    assert codes(replies) == [554, 250] and "spam" in replies[0].text
    assert got(hop) == [B]


def test_two_layers_that_contradict_each_other_are_refused(suite):
    suite.set(final_spam_destiny=D_PASS, final_destiny_by_ccat={"CC_SPAM": D_REJECT})
    front = suite.start("smtp-front", wait=False)
    front.popen.wait(60)
    assert front.popen.returncode != 0 and "final_spam_destiny is set and never asked" in front.log(), front.log()


@pytest.mark.parametrize("setting, value, says", [
    ("final_destiny_maps_by_ccat", {"CC_BANNED,1": [D_PASS]}, "CC_BANNED"),
    ("final_destiny_by_ccat", {"CC_VIRUSES": D_PASS}, "expected CC_VIRUS"),
    ("virus_quarantine_to_maps", ["an admin@example.org"], "expected a folder's name"),
    ("virus_quarantine_method", "pipe:argv=/bin/cat", "no programs"),
    ("forward_method_maps", [{A: "smtp:nowhere"}], "forward_method_maps"),
])
def test_what_cannot_be_is_refused_at_start(suite, setting, value, says):
    suite.set(**{setting: value})
    front = suite.start("smtp-front", wait=False)
    front.popen.wait(60)
    assert front.popen.returncode != 0 and says in front.log(), front.log()


# ------------------------------------------------------------------ quarantine

def test_each_has_the_copy_where_it_wants_it(behind, suite):
    behind({"final_virus_destiny": D_REJECT, "virus_quarantine_to_maps": [{A: "virus-quarantine", B: "", ".": "tenants"}]},
           services=("scanner",))
    assert codes(talk(suite, eicar_mail(), rcpts=(A, B, C))) == [554, 554, 554]
    kept = {folder.split("/")[0] if "/" in folder else "": octets for folder, octets in copies(suite).items()}
    assert {k: fields(o, "X-Envelope-To-Blocked") for k, o in kept.items()} == {"": [f"<{A}>"], "tenants": [f"<{C}>"]}
    for octets in kept.values():
        assert fields(octets, "X-Envelope-To") == [f"<{A}>", f"<{B}>", f"<{C}>"]


def test_nobody_wants_it_and_nothing_is_kept(behind, suite):
    behind({"final_virus_destiny": D_REJECT, "virus_quarantine_to_maps": [""]}, services=("scanner",))
    assert codes(talk(suite, eicar_mail())) == [554, 554]
    assert copies(suite) == {}


# ------------------------------------------------------------------ next hops

@pytest.mark.parametrize("verb", ["LHLO", "EHLO"])
def test_next_hops_by_recipient(behind, suite, second_hop, verb):
    hop = behind({"forward_method_maps": [{B: f"smtp:[127.0.0.1]:9, {second_hop.method}", C: second_hop.method}]})
    assert set(codes(talk(suite, mail(), verb, (A, B, C)))) == {250}
    assert got(hop) == [A] and got(second_hop) == [B, C]


def test_the_bank_s_source_address_is_that_of_each_next_hop(behind, suite, second_hop):
    hop = behind({"forward_method_maps": [{B: second_hop.method}], "local_client_bind_address": "127.0.0.5"})
    assert codes(talk(suite, mail())) == [250, 250]
    assert [h.connections[0].sock.getpeername()[0] for h in (hop, second_hop)] == ["127.0.0.5"] * 2


@pytest.mark.parametrize("verb, expected", [("LHLO", [250, 451]), ("EHLO", [450])])
def test_a_function_s_wrong_next_hop_defers_that_recipient(behind, suite, verb, expected):
    hop = behind({"forward_method_maps": [Raw(f'function(a) if a == "{B}" then return "smtp:" end end')]})
    assert codes(talk(suite, mail(), verb)) == expected
    assert got(hop) == ([A] if verb == "LHLO" else [])
    suite.front.wait_log("bad_next_hop")


def test_a_hop_that_is_down_is_no_other_s_trouble(behind, suite):
    hop = behind({"forward_method_maps": [{B: "smtp:[127.0.0.1]:9"}]})
    assert [r.code // 100 for r in talk(suite, mail())] == [2, 4]
    assert got(hop) == [A]


@pytest.mark.parametrize("verb, expected", [("LHLO", [250, 451]), ("EHLO", [450])])
def test_a_next_hop_that_nobody_can_know_is_told_before_anybody_gets_it(behind, suite, verb, expected):
    path = suite.folder / "in.sock"  # a client there has no address: "*" stands for nothing
    hop = behind({"forward_method_maps": [{B: "smtp:*:10025"}], "unix_socketname": [str(path)]})
    with Smtp(str(path), 20 * mw.SLOW) as c:
        c.hello(verb=verb)
        assert c.envelope("x@example.com", [A, B]) is None
        assert c.cmd("DATA").code == 354
        c.write(stuffed(mail()))
        assert [c.reply().code for _ in expected] == expected
    assert got(hop) == ([A] if verb == "LHLO" else [])


# ------------------------------------------------------------------ sizes

LARGE = mail(body=b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 1000)  # 72 KB


@pytest.mark.parametrize("verb", ["LHLO", "EHLO"])
def test_sizes_by_recipient(behind, suite, verb):
    hop = behind({**mwhop.NO_DSN, "message_size_limit_maps": [{A: 65536, B: 100}], "enforce_smtpd_message_size_limit_64kb_min": False})
    replies = talk(suite, LARGE, verb, (A, C))
    assert codes(replies) == ([552, 250] if verb == "LHLO" else [552])
    assert "5.3.4" in replies[0].text and "recipient's size limit" in replies[0].text
    assert got(hop) == [C]


def test_a_declared_size_is_refused_at_rcpt(behind, suite):
    hop = behind({"message_size_limit_maps": [{A: 1000}]})
    rcpts, replies = talk(suite, LARGE, "EHLO", (A, C), size=len(LARGE))
    assert rcpts == [552, 250] and codes(replies) == [250]
    assert talk(suite, LARGE, "EHLO", (A,), size=len(LARGE)) == [552]
    assert codes(talk(suite, mail(), "EHLO", (A,), size=2000)) == [250]  # 64 KiB are everybody's
    assert got(hop) == [A, C]


def test_over_the_limit_and_welcome(behind, suite):
    hop = behind({"message_size_limit_maps": [65536], "final_destiny_by_ccat": {"CC_OVERSIZED": D_PASS}})
    assert codes(talk(suite, LARGE, "EHLO", size=len(LARGE))) == [250]
    assert got(hop) == [A, B]


# ------------------------------------------------------------------ from a database

def test_lovers_levels_and_bypasses_from_a_database(behind, suite, database):
    database({A: {"virus_lover": "Y", "spam_kill_level": 5}, B: {"virus_lover": "N", "spam_kill_level": 5000},
              C: {"bypass_virus_checks": "Y"}})
    spamd = suite.spamd()
    hop = behind({**LOCAL, "scanner.spamd": spamd.address, "final_virus_destiny": D_REJECT, "final_spam_destiny": D_REJECT,
                  "virus_lovers_maps": [True], "lovers_maps_by_ccat": {"CC_SPAM": [False]}}, services=("scanner",))
    assert codes(talk(suite, SPAM)) == [554, 250]
    assert "YES" in field(hop.mails[0].octets, "X-Spam-Flag")
    assert codes(talk(suite, eicar_mail(), rcpts=(A, B, C))) == [250, 554, 250]
    assert got(hop) == [A, B, C]


def test_quarantine_from_a_database(behind, suite, database):
    database({A: {"virus_quarantine_to": ""}, B: {"virus_quarantine_to": "no such/folder"}})
    behind({"final_virus_destiny": D_REJECT, "virus_quarantine_to_maps": ["tenants"]}, services=("scanner",))
    assert codes(talk(suite, eicar_mail(), rcpts=(A, B, C))) == [554, 554, 554]
    suite.front.wait_log("quarantine_to_unknown")
    kept = {folder.split("/")[0] if "/" in folder else "": fields(octets, "X-Envelope-To-Blocked")
            for folder, octets in copies(suite).items()}
    assert kept == {"": [f"<{B}>"], "tenants": [f"<{C}>"]}


def test_next_hops_from_a_database(behind, suite, database, second_hop):
    database({A: {"forward_method": second_hop.method}, B: {"forward_method": "sql:"}})
    hop = behind({"forward_method_maps": [{A: "smtp:[127.0.0.1]:9"}]})
    replies = talk(suite, mail(), rcpts=(A, B, C))
    assert codes(replies) == [250, 451, 250]
    assert got(second_hop) == [A] and got(hop) == [C]
    suite.front.wait_log("bad_next_hop")


def test_sizes_from_a_database(behind, suite, database):
    database({A: {"message_size_limit": 65536}, B: {"message_size_limit": 1000000}})
    hop = behind({"message_size_limit_maps": [70000]})
    # At RCPT nobody is refused: the database may allow more than the table.
    assert codes(talk(suite, LARGE, rcpts=(A, B, C), size=len(LARGE))) == [552, 250, 552]
    assert got(hop) == [B]


# ------------------------------------------------------------------ seen from outside

def test_lookup_tells_what_a_category_s_tables_say(suite):
    path = suite.folder / "by_ccat.lua"
    path.write_text('final_destiny_maps_by_ccat = { [CC_SPAM] = { { [".example.org"] = D_REJECT }, D_PASS } }\n'
                    f'forward_method_maps = {{ {{ ["{A}"] = "smtp:[192.0.2.1]:25" }} }}\n')
    tool = suite.tool("lookup", "-c", path, "final_destiny_maps_by_ccat[CC_SPAM]", A)
    assert tool.stdout.endswith("= D_REJECT\n"), tool.stdout
    assert suite.tool("lookup", "-c", path, "forward_method_maps", A).stdout.endswith('= "smtp:[192.0.2.1]:25"\n')
    assert suite.tool("lookup", "-c", path, "final_destiny_maps_by_ccat[CC_VIRUS]", A).returncode != 0
