"""mailweir explain says what a mail gets: compared with what a mail then got. And the warnings about settings."""
import json
import sqlite3

import pytest

import mw
import mwhop
from mwhop import A, B
from mwlua import D_REJECT
from mwmail import gtube, mail
from mwsmtp import stuffed
from test_tools import mailweir

behind = mwhop.behind  # the fixture
ELSEWHERE = "far@example.com"
LEVELS = ("spam_tag_level", "spam_tag2_level", "spam_kill_level")


def explain(path, *args, to=(A,), sender="u@example.org", code=0):
    rcpts = [x for r in to for x in ("--to", r)]
    done = mailweir("explain", "-c", path, "--json", "--from", sender, *rcpts, *args)
    assert done.returncode == code, done.stderr + done.stdout
    return json.loads(done.stdout) if code == 0 else done.stderr


def written(folder, text):
    path = folder / "mailweir.lua"
    path.write_text(text)
    return path


def names(answer):
    return [b["name"] for b in answer["banks"]]


def fields(answer, address=A, score=None):
    """Names of the fields that the recipient gets, at a score where that counts."""
    def counts(f):
        return {"always": True, "never": False, "from": f["score"] is not None and score >= f["score"],
                "below": f["score"] is not None and score < f["score"]}[f["when"]]
    return [f["field"] for f in answer["fields"] if f["address"] == address and counts(f)]


def send(suite, at, rcpts, octets, sender="u@example.org", client=None):
    """Over LMTP: each recipient has a reply."""
    with suite.smtp(at) as c:
        c.hello(verb="LHLO")
        if client:
            assert c.cmd(f"XFORWARD ADDR={client}").code == 250
        assert c.envelope(sender, list(rcpts)) is None
        assert c.cmd("DATA").code == 354
        c.write(stuffed(octets))
        return [c.reply().code for _ in rcpts]


def added(octets):
    """Names of the fields on top of ours, down to the mail's own first one."""
    section = octets.split(b"\r\n\r\n")[0].decode()
    return [line.split(":")[0] for line in section.split("\r\n") if line[0] not in " \t"]


def compare(suite, hop, answer, at, octets, client):
    """Send that mail and see whether it got what explain said."""
    rcpts = [r["address"] for r in answer["recipients"]]
    mails, records = len(hop.mails), len(suite.records())
    codes = send(suite, at, rcpts, octets, client=client)
    mw.until("the record", lambda: len(suite.records()) > records)
    record = suite.records()[-1]
    assert record["policy_banks"] == names(answer)
    assert record["originating"] == answer["originating"]
    skipped = {c["kind"]: c["reason"] for c in record["checks"] if c["attempts"] == 0}
    assert skipped == {c["kind"]: c["why"] for c in answer["checks"] if not c["runs"]}
    score = record["spam_score"]
    for r, code in zip(answer["recipients"], codes):
        blocked = r["blocked"]
        assert (code == 554) == (blocked["when"] == "from" and score >= blocked["score"]), (r, code, score)
        got = [m.octets for m in hop.mails[mails:] if r["address"] in m.rcpts]
        assert len(got) == (code == 250)
        for of_rcpt in got:
            ours, want = added(of_rcpt), fields(answer, r["address"], score)
            assert ours[:len(want)] == want and ours[len(want)] == added(octets)[0], (ours, want)


def test_explain_says_what_a_mail_gets(behind, suite):
    port, spamd = mw.free_port(), suite.spamd()
    hop = behind({
        "inet_socket_port": [0, port], "interface_policy": {str(port): "ORIGINATING"}, "local_domains_maps": [[".example.org"]],
        "policy_bank": {"ORIGINATING": {"originating": True, "final_spam_destiny": D_REJECT},
                        "MYNETS": {"sa_tag_level_deflt": -999}, "MYUSERS": {"spam_kill_level_maps": [{B: 2000}, 900]}},
        "scanner.spamd": spamd.address, "spam_quarantine_method": "", "bypass_virus_checks_maps": [[ELSEWHERE]],
    }, services=("scanner", "logger"))
    at = [f.rsplit(":", 1)[1] for f in suite.front.ready_field("smtp").split(",")].index(str(port))
    for client in ("10.1.2.3", "192.0.2.1", None):
        ask = ["--port", port, *(["--client", client] if client else [])]
        answer = explain(suite.folder / "mailweir.lua", *ask, to=[A, B, ELSEWHERE])
        assert names(answer) == ["ORIGINATING", *(["MYNETS"] if client == "10.1.2.3" else []), "MYUSERS"]
        for octets in (mail(), mail(body=gtube().encode() + b"\r\n")):
            compare(suite, hop, answer, at, octets, client)


def test_levels_and_destinies_by_recipient_have_their_lines(tmp_path):
    path = written(tmp_path, """local_domains_maps = { ".example.org" }
sa_tag_level_deflt = 1.5
spam_kill_level_maps = {
  { ["a@example.org"] = 12 }, 8 }
final_spam_destiny = D_DISCARD
policy_bank.MYNETS = {
  sa_tag2_level_deflt = 4 }
""")
    answer = explain(path, "--client", "10.0.0.1", to=(A, B, ELSEWHERE))
    assert [tuple(r["settings"][x] for x in LEVELS) for r in answer["recipients"]] == \
        [(1.5, 4, 12), (1.5, 4, 8), (1.5, 4, 8)]
    assert [r["settings"]["local"] for r in answer["recipients"]] == [True, True, False]
    first = answer["recipients"][0]
    assert first["from"]["spam_kill_level"] == f"{path}:4: spam_kill_level_maps, table 1 (hash), \"a@example.org\""
    assert first["from"]["spam_tag_level"] == f"{path}:2: sa_tag_level_deflt"
    assert first["from"]["spam_tag2_level"] == f"{path}:7: sa_tag2_level_deflt of bank MYNETS"
    assert first["settings"]["spam_destiny"] == "D_DISCARD"
    assert first["settings"]["virus_destiny"] == "D_DISCARD" and first["from"]["virus_destiny"].startswith("default")
    assert first["settings"]["forward_method"] == "smtp:[127.0.0.1]:10025"
    assert first["next_hop"] == ["smtp:[127.0.0.1]:10025"]
    assert answer["banks"] == [{"name": "MYNETS", "origin": "default",
                                "why": "mynetworks: client 10.0.0.1, table 1 (networks), \"10.0.0.0/8\""}]
    said = {s["name"]: (s["value"], s["origin"], s["bank"]) for s in answer["settings"]}
    assert said == {
        "local_domains_maps": ("{ \".example.org\" }", f"{path}:1", None),
        "sa_tag_level_deflt": ("1.5", f"{path}:2", None),
        "spam_kill_level_maps": ("{ { [\"a@example.org\"] = 12 }, 8 }", f"{path}:3", None),
        "final_spam_destiny": ("D_DISCARD", f"{path}:5", None),
        "originating": ("true", f"{path}:6", "MYNETS"),
        "sa_tag2_level_deflt": ("4", f"{path}:7", "MYNETS"),
    }


def test_the_shape_of_the_json(tmp_path):
    answer = explain(written(tmp_path, ""), "--header", "X-Spam-Status")
    assert {k: type(v) for k, v in answer.items()} == {
        "banks": list, "originating": bool, "refused": type(None), "settings": list, "recipients": list, "checks": list,
        "fields": list, "brought": str, "warnings": list}
    r, = answer["recipients"]
    assert set(r) == {"address", "settings", "from", "next_hop", "blocked"}
    assert set(r["settings"]) == set(r["from"]) >= {
        "local", "bypass_virus_checks", "bypass_spam_checks", "bypass_banned_checks", "virus_lover", "spam_lover",
        "unchecked_lover", *LEVELS, "virus_destiny", "spam_destiny", "unchecked_destiny", "message_size_limit",
        "forward_method"}
    assert set(r["blocked"]) == {"when", "score", "reply"}
    assert all(set(c) == {"kind", "runs", "why"} for c in answer["checks"])
    assert {c["kind"] for c in answer["checks"]} == {"auth", "scan", "reputation", "spam", "sign"}
    assert all(set(f) == {"field", "address", "when", "score", "why"} for f in answer["fields"])
    assert all(set(w) == {"name", "origin", "text", "hint"} for w in answer["warnings"])


def test_octets_that_are_no_text_do_not_spoil_the_json(tmp_path):
    path = written(tmp_path, r"""X_HEADER_LINE = "\xff\xc3\xa9 \"a\\ \xed\xa0\x80\xe2\x82"
policy_bank.MYNETS = {}
""")
    said = {s["name"]: s["value"] for s in explain(path)["settings"]}
    assert said["X_HEADER_LINE"] == '"\ufffd\u00e9 \\"a\\\\ \ufffd\ufffd\ufffd\ufffd\ufffd"'
    answer = explain(path, to=("<j\u00f6rg@example.org>",))
    assert answer["recipients"][0]["address"] == "j\u00f6rg@example.org"


def test_why_a_field_is_added_or_not(tmp_path):
    path = written(tmp_path, "local_domains_maps = { \".example.org\" }\nchecks = { spam = true }\n"
                   "dkim_key(\"example.org\", \"s1\", \"/key\")\nenable_dkim_signing = true\n"
                   "spam_lovers_maps = { \"nobody@example.org\" }\n")

    def field_of(name, *args, **kw):
        answer = explain(path, "--header", name, *args, **kw)
        return [(f["when"], f["score"], f["why"]) for f in answer["fields"]], answer["brought"]
    assert field_of("X-Spam-Status") == (
        [("from", 2, "the score reaches spam_tag_level")], "taken away from the mail that brings it")
    assert field_of("x-spam-status", "--score", "1.999")[0] == [("never", None, "the score is below spam_tag_level")]
    assert field_of("X-Spam-Status", "--score", "2")[0] == [("always", None, "the score reaches spam_tag_level")]
    assert field_of("X-Spam-Status", to=(ELSEWHERE,))[0] == \
        [("never", None, "the recipient is not local (local_domains_maps)")]
    assert field_of("X-Virus-Scanned") == ([("always", None, "the mail was scanned")], "left as the mail brings it")
    assert field_of("Received")[0][0][0] == "always"
    assert field_of("Authentication-Results") == (
        [("never", None, "enable_dkim_verification is off")], "taken away from the mail that brings it")
    assert field_of("DKIM-Signature")[0] == [("never", None, "not originating")]
    assert field_of("Subject") == ([("never", None, "no category of the mail has a tag")], "left as the mail brings it")
    path.write_text(path.read_text() + "policy_bank.MYNETS = {}\n")
    assert field_of("DKIM-Signature", "--client", "10.0.0.1")[0] == [("below", 6.31, "d=example.org, s=s1 (dkim_key)")]
    assert field_of("DKIM-Signature", "--client", "10.0.0.1", sender="u@example.net")[0] == \
        [("never", None, "no key for the author's domain")]


def test_banks_by_signatures(tmp_path):
    path = written(tmp_path, """enable_dkim_verification = true
local_domains_maps = { ".example.org" }
author_to_policy_bank_maps = { { ["uni.example"] = "WHITELIST",
  ["daily@stars.example"] = "MILD" } }
virus_name_to_policy_bank_maps = { { ["Eicar"] = "BAD" } }
policy_bank.WHITELIST = { bypass_spam_checks_maps = { true } }
policy_bank.MILD = { sa_kill_level_deflt = 20 }
policy_bank.BAD = {}
policy_bank.LOST = {}
""")
    answer = explain(path, "--dkim", "uni.example", sender="u@uni.example")
    assert [(b["name"], b["why"], b["origin"]) for b in answer["banks"]] == [
        ("WHITELIST", "author_to_policy_bank_maps: u@uni.example, signed by uni.example: table 1 (hash), \"uni.example\"",
         f"{path}:3")]
    assert answer["recipients"][0]["settings"]["bypass_spam_checks"] is True
    assert "Authentication-Results" in fields(answer) and answer["checks"][0]["runs"]
    assert names(explain(path, sender="u@uni.example")) == []
    assert names(explain(path, "--dkim", "other.example", sender="u@uni.example")) == []
    assert names(explain(path, "--dkim", "stars.example", "--author", "daily@stars.example", sender="bounce@x.example")) == ["MILD"]
    assert [w["text"] for w in answer["warnings"] if w["name"] == "bank_unused"] == ["policy_bank.LOST: nothing loads it"]
    path.write_text(path.read_text().replace("enable_dkim_verification = true", ""))
    answer = explain(path, "--dkim", "uni.example", sender="u@uni.example")
    assert names(answer) == []
    assert [w["origin"] for w in answer["warnings"] if w["name"] == "author_banks_unused"] == [f"{path}:3"]


def test_the_examples_of_the_guide(tmp_path):
    path = written(tmp_path, """
inet_socket_port = { 10024, 10026, 10010 }
inet_socket_bind = { "127.0.0.1", "[::1]" }
unix_socketname = { "/run/mailweir/release.sock" }
local_domains_maps = { ".example.org" }
policy_bank.NOVIRUSCHECK = { bypass_decode_parts = true, bypass_virus_checks_maps = { true } }
interface_policy["10026"] = "ALT"
policy_bank.ALT = { originating = true, forward_method = "smtp:*:*", localhost_name = "extra.example.com" }
interface_policy["10010"] = "PROXY-MX"
policy_bank["PROXY-MX"] = { forward_method = "smtp:[::1]:10011" }
policy_bank["AM.PDP-SOCK"] = { protocol = "AM.PDP", auth_required_release = false }
interface_policy.SOCK = "AM.PDP-SOCK"
client_ipaddr_policy = { { { "!192.0.2.66", "192.0.2.0/24" }, "MYNETS" }, { { "198.51.100.0/24" }, "NOVIRUSCHECK, LARGE" } }
policy_bank.MYNETS = {}
policy_bank.LARGE = { smtpd_message_size_limit = 2 * 2^20 }
""")
    answer = explain(path, "--port", 10026, "--client", "192.0.2.1")
    assert names(answer) == ["ALT", "MYNETS"] and answer["recipients"][0]["next_hop"] == ["smtp:[127.0.0.1]:10027"]
    assert answer["banks"][0]["why"] == "interface_policy[\"10026\"]" and answer["banks"][0]["origin"] == f"{path}:7"
    assert answer["banks"][1]["origin"] == f"{path}:13"
    assert names(explain(path, "--port", 10026, "--client", "192.0.2.66")) == ["ALT"]
    answer = explain(path, "--port", 10010, "--address", "::1", "--peer", "::1")
    assert names(answer) == ["PROXY-MX"] and answer["recipients"][0]["next_hop"] == ["smtp:[::1]:10011"]
    answer = explain(path, "--client", "198.51.100.9", "--size", 3 * 2**20)
    assert names(answer) == ["NOVIRUSCHECK", "LARGE"] and answer["refused"].startswith("552 5.3.4")
    answer = explain(path, "--client", "IPv6:2001:db8::1")
    assert names(answer) == [] and answer["checks"][1] == {"kind": "scan", "runs": True, "why": None}
    answer = explain(path, "--socket", "/run/mailweir/release.sock", "--asked", "LARGE, NONE")
    assert names(answer) == ["AM.PDP-SOCK", "LARGE"] and answer["recipients"][0]["next_hop"] == []
    assert answer["banks"][1]["why"] == "the client asks for it"
    assert "Received" not in fields(answer)
    answer = explain(path, "--client", "198.51.100.9")
    assert answer["checks"][1]["why"] == "all recipients bypass virus checks"
    assert "X-Virus-Scanned" not in fields(answer)


def test_what_a_database_says(tmp_path):
    base = tmp_path / "mail.sqlite"
    with sqlite3.connect(base) as db:
        db.executescript("""CREATE TABLE policy (id INTEGER PRIMARY KEY, spam_kill_level REAL, bypass_virus_checks CHAR);
            CREATE TABLE users (id INTEGER PRIMARY KEY, priority INTEGER, policy_id INTEGER, email BLOB, local CHAR);
            INSERT INTO policy VALUES (1, 12.5, 'Y'); INSERT INTO users VALUES (1, 5, 1, '@example.org', 'Y')""")
    path = written(tmp_path, f"""spam_kill_level_maps = {{ 9 }}
lookup_sql_dsn = {{ {{ "DBI:SQLite:dbname={base}", "user", "s3cret" }} }}
""")
    answer = explain(path, to=(A, ELSEWHERE))
    first, second = answer["recipients"]
    assert (first["settings"]["spam_kill_level"], second["settings"]["spam_kill_level"]) == (12.5, 9)
    assert first["from"]["spam_kill_level"] == "SQL, spam_kill_level of the record of \"@example.org\""
    assert second["from"]["spam_kill_level"] == f"{path}:1: spam_kill_level_maps, a constant"
    assert (first["settings"]["local"], first["settings"]["bypass_virus_checks"]) == (True, True)
    assert (second["settings"]["local"], second["settings"]["bypass_virus_checks"]) == (False, False)
    assert "s3cret" not in json.dumps(answer)
    assert not any(w["name"] == "local_domains_missing" for w in answer["warnings"])
    base.unlink()
    assert explain(path)["refused"] == "451 4.5.0 lookup in the database FAILED"


@pytest.mark.parametrize("args, told", [
    (["--port", "99"], "nobody listens there"), (["--port", "0"], "a whole number from 1 to 65535"),
    (["--socket", "/nix"], "nobody listens there"), (["--port", "10024", "--socket", "/nix"], "either --port or --socket"),
    (["--client", "nonsense"], "nonsense"), (["--to", "no one@"], "no one@"), (["--score", "x"], "--score"),
    (["--size", "-1"], "--size"), (["--dkim", "a b"], "--dkim"), (["--author", "x y"], "x y"), (["--header", "a b"], "--header"), (["--nix"], "usage"),
    ([x for i in range(20) for x in ("--to", f"r{i}@example.org")], "more than 20 recipients"),
])
def test_a_wrong_question_is_told(tmp_path, args, told):
    done = mailweir("explain", "-c", written(tmp_path, ""), "--from", "u@example.org", "--to", A, *args)
    assert done.returncode in (1, 64) and told in done.stderr, done.stderr
    assert done.stdout == ""


def test_what_is_needed_is_said():
    assert mailweir("explain").returncode == 64
    assert mailweir("explain", "--from", "<>").returncode == 64
    assert "--client IP" in mailweir("explain", "--help").stdout


def test_wrong_settings_are_told_as_by_the_front(tmp_path):
    path = written(tmp_path, "policy_bank.A = { forward_method = 'pipe:x' }\n")
    for command in (["explain", "--from", "<>", "--to", A], ["check-config"]):
        done = mailweir(*command, path)
        assert done.returncode == 78 and "forward_method" in done.stderr, done.stderr
    path.write_text("log_levl = 3\n")
    assert "did you mean log_level" in explain(path, code=78)


def test_a_person_reads_the_same(tmp_path):
    path = written(tmp_path, "local_domains_maps = { \".example.org\" }\npolicy_bank.MYNETS = { sa_tag2_level_deflt = 5 }\n")
    done = mailweir("explain", "-c", path, "--from", "<>", "--to", A, "--client", "10.0.0.1")
    assert done.returncode == 0
    for part in ("Mail from <>, client 10.0.0.1, by [127.0.0.1]:10024, originating", "MYNETS", f"Recipient <{A}>",
                 "spam_tag2_level", f"{path}:2: sa_tag2_level_deflt of bank MYNETS", "Header fields that it gets", "Checks",
                 "enable_dkim_verification is off", "  next hop                 smtp:[127.0.0.1]:10025"):
        assert part in done.stdout, done.stdout


MISTAKE = """local_domains_maps = { ".example.org" }
sa_kill_level_deflt = 5
"""


def test_check_config_tells_classic_mistakes_and_takes_the_settings(tmp_path):
    path = written(tmp_path, MISTAKE)
    done = mailweir("check-config", path)
    assert done.returncode == 0 and done.stdout == f"settings ok: {path}\n"
    assert f"warning: {path}:2: sa_kill_level_deflt is 5, below sa_tag2_level_deflt 6.31" in done.stderr
    answer = explain(path)
    assert any(w["name"] == "kill_below_tag2" and w["origin"] == f"{path}:2" for w in answer["warnings"])


def test_the_front_tells_them_at_start_and_at_reload(behind, suite):
    behind({"sa_kill_level_deflt": 5, "local_domains_maps": [".example.org"]})
    line, = suite.front.log_lines("kill_below_tag2")
    assert "mailweir.lua:" in line and "below sa_tag2_level_deflt" in line
    assert not suite.front.log_lines("local_domains_missing")
    suite.set(local_domains_maps=None, sa_kill_level_deflt=None)
    suite.conf_path("smtp-front", "1")
    assert suite.tool("reload", "-c", suite.folder / "mailweir.lua").returncode == 0
    suite.front.wait_log("local_domains_missing")
    assert len(suite.front.log_lines("kill_below_tag2")) == 1
