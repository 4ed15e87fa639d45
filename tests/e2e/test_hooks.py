"""Hooks in Lua: five points of a mail's path, over SMTP, LMTP and AM.PDP (docs/hooks.md)."""
import re
import signal
import urllib.request

import pytest

import mw
import mwhop
from mwampdp import Client, MailDir, applied, check
from mwhop import A, B
from mwlua import D_REJECT
from mwmail import DkimKey, eicar_mail, field, fields, mail
from mwsmtp import stuffed

behind = mwhop.behind  # the fixture
POINTS = ("new", "checks", "before_send", "after_send", "mail_done")
C = "c@example.net"


def hook(suite, **functions):
    """hook(suite, new="mail:log('x')"): the body of a function, or a whole value of hooks.POINT."""
    for point, body in functions.items():
        whole = body.startswith("{")
        suite.lines.append(f"hooks.{point} = {body}" if whole else f"hooks.{point} = function(mail) {body} end")


def over(suite, verb, rcpts=(A, B), octets=None):
    """The replies to one mail: one over SMTP, one for each recipient over LMTP."""
    with suite.smtp() as c:
        c.hello(verb=verb)
        assert c.envelope("x@example.com", list(rcpts)) is None
        assert c.cmd("DATA").code == 354
        c.write(stuffed(octets or mail()))
        return [c.reply() for _ in (rcpts if verb == "LHLO" else (A,))]


def rcpts_of(hop):
    return sorted(r for m in hop.mails for r in m.rcpts)


def records(suite, count=1):
    mw.until(f"{count} records", lambda: len(suite.records()) >= count)
    return suite.records()


def refusing(code, *addrs):
    """RCPT's reply of a next hop that does not want these."""
    def reply(_, line):
        return code if any(f"<{a}>" in line for a in addrs) else b"250 2.1.5 ok\r\n"
    return reply


VERBS = pytest.mark.parametrize("verb", ["EHLO", "LHLO"])


# ------------------------------------------------------------------ banks and findings

def test_a_bank_chosen_by_code(behind, suite):
    hook(suite, new='{ run = function(mail) if mail.sender == "big@example.com" then '
                    'mail:load_policy_bank("NOVIRUSCHECK") end end }')
    hop = behind({"final_virus_destiny": D_REJECT, "virus_quarantine_method": "", "policy_bank":
                  {"NOVIRUSCHECK": {"bypass_decode_parts": True, "bypass_virus_checks_maps": [1], "virus_lovers_maps": [1]}}},
                 services=("scanner", "logger"))
    assert suite.send(eicar_mail(), rcpts=(A,)).code == 554
    assert suite.send(eicar_mail(), rcpts=(A,), sender="big@example.com").code == 250
    assert b"X-Virus-Scanned" not in hop.mails[0].octets
    assert [r["policy_banks"] for r in records(suite, 2)] == [[], ["NOVIRUSCHECK"]]


def test_the_example_of_the_documentation(suite):
    suite.lines = ['hooks.new = function(mail) if mail.size > 50 * 2^20 then mail:load_policy_bank("NOVIRUSCHECK") end end']
    suite.set(policy_bank={"NOVIRUSCHECK": {"bypass_decode_parts": True, "bypass_virus_checks_maps": [1], "virus_lovers_maps": [1]}})
    suite.sink(store=False)
    suite.start_all(services=("scanner", "logger"))
    assert suite.send(mail(), rcpts=(A,)).code == 250
    assert suite.send(mail(body=(b"x" * 998 + b"\r\n") * 53000), rcpts=(A,)).code == 250
    assert [r["policy_banks"] for r in records(suite, 2)] == [[], ["NOVIRUSCHECK"]]


def test_a_score_of_ones_own_is_a_test_among_the_others(behind, suite):
    hook(suite, checks='mail:add_score(1.5, "LOCAL_RULE") mail:add_score(20, "FOR_B", "b@example.org")')
    hop = behind({"local_domains_maps": [".example.org"], "sa_tag_level_deflt": 1, "final_spam_destiny": D_REJECT,
                  "spam_quarantine_method": ""}, services=("logger",))
    assert [r.code for r in over(suite, "LHLO")] == [250, 554]
    assert "score=1.5 " in field(hop.mails[0].octets, "X-Spam-Status")
    assert "LOCAL_RULE=1.5" in field(hop.mails[0].octets, "X-Spam-Status")
    assert "LOCAL_RULE" in str(records(suite)[0])


@pytest.mark.parametrize("point", ["new", "checks"])
def test_a_hook_makes_mail_infected(behind, suite, point):
    hook(suite, **{point: 'if mail:match(mail.subject or "", "(?i)badword") then mail:add_virus("Local.Rule") end'})
    hop = behind({"final_virus_destiny": D_REJECT, "virus_quarantine_method": ""}, services=("scanner", "logger"))
    reply = suite.send(mail(subject="=?UTF-8?Q?BAD=77ord?="), rcpts=(A,))
    assert reply.code == 554 and "INFECTED: Local.Rule" in reply.text
    assert suite.send(mail(subject="good"), rcpts=(A,)).code == 250
    assert len(hop.mails) == 1
    assert "Local.Rule" in str(records(suite, 2)[0]["av_scan"])


def test_a_hook_cannot_make_a_failed_check_clean(behind, suite):
    hook(suite, new='mail:add_score(-1000, "NICE")', checks="error('never called for a mail that is deferred')")
    hop = behind({"bypass_virus_checks_maps": [], "child_timeout": 2})
    assert suite.send(mail(), rcpts=(A,)).code == 451
    assert not hop.mails
    assert not suite.front.log_lines("hook_failed")


def test_unchecked_is_a_finding(behind, suite):
    hook(suite, checks='if #mail.viruses == 0 then mail:add_unchecked("odd archive") end')
    hop = behind({"final_unchecked_destiny": D_REJECT, "unchecked_quarantine_method": "", "unchecked_lovers_maps": [B]},
                 services=("scanner",))
    one, two = over(suite, "LHLO")
    assert (one.code, two.code) == (554, 250) and "UNCHECKED: odd archive" in one.text
    assert b"X-Amavis-Alert: UNCHECKED: odd archive" in hop.mails[0].octets


# ------------------------------------------------------------------ header edits

def test_edits_are_in_what_is_delivered_and_signed(behind, suite):
    key = DkimKey(suite.folder, "example.com")
    suite.lines.append(f"dkim_key('example.com', '{key.selector}', '{key.path}')")
    hook(suite, before_send='mail:add_field("X-Ours", "yes") mail:remove_field("X-Theirs") mail:prefix_subject("[EXT] ")')
    hop = behind({"enable_dkim_signing": True, "dkim.dns_local_only": True, "originating": True}, services=("dkim",))
    octets = mail(headers=["X-Theirs: 1", "x-theirs: 2", "X-Other: 3"], message_id="<out@example.com>")
    assert suite.send(octets, rcpts=(A,), sender="sender@example.com").code == 250
    got = hop.mails[0].octets
    assert field(got, "X-Ours") == "yes" and field(got, "Subject") == "[EXT] a mail" and field(got, "X-Other") == "3"
    assert sum(n.lower() == "x-theirs" for n, _ in fields(got)) == 0
    assert sum(n.lower() == "subject" for n, _ in fields(got)) == 1
    import dkim
    assert dkim.verify(got, dnsfunc=lambda name, timeout=5: key.record.encode())


# ------------------------------------------------------------------ recipients

@VERBS
def test_a_recipient_that_is_removed_is_accepted_and_dropped(behind, suite, verb):
    hook(suite, new='mail:remove_recipient("B@example.org")')
    hop = behind(services=("logger",))
    replies = over(suite, verb)
    assert [r.code for r in replies] == [250] * len(replies)
    if verb == "LHLO":
        assert "discarded by policy" in replies[1].text and "queued" in replies[0].text
    assert rcpts_of(hop) == [A]
    record = records(suite)[0]
    assert "discarded by policy" in str(record["recipients"])
    assert "remove_recipient b@example.org" in str(record["checks"])


@VERBS
def test_when_all_are_removed_the_mail_is_discarded(behind, suite, verb):
    hook(suite, new="for _, r in ipairs(mail.recipients) do mail:remove_recipient(r) end")
    hop = behind({"bypass_virus_checks_maps": []}, services=("logger",))  # and no scanner: nobody looks into it
    assert all(r.code == 250 and "discarded by policy" in r.text for r in over(suite, verb))
    assert not hop.mails and records(suite)[0]["action"] == ["DISCARD"]


@VERBS
def test_a_recipient_is_rewritten_and_one_is_added(behind, suite, verb):
    hook(suite, new=f'mail:rewrite_recipient("{B}", "b2@example.org") mail:add_recipient("{C}")')
    hop = behind()
    replies = over(suite, verb)
    assert [r.code for r in replies] == [250] * len(replies)
    assert rcpts_of(hop) == [A, "b2@example.org", C]


@VERBS
@pytest.mark.parametrize("code", [b"450 4.2.0 later\r\n", b"550 5.1.1 nobody\r\n"], ids=["4xx", "5xx"])
def test_a_2xx_means_that_the_added_one_has_it_too(behind, suite, verb, code):
    hook(suite, new=f'mail:add_recipient("{C}")')
    hop = behind(rcpt=refusing(code, C))
    replies = over(suite, verb)
    assert [r.code // 100 for r in replies] == [4] * len(replies)
    assert not hop.mails, "else those of the client would get it again"


@VERBS
def test_with_other_edits_the_added_one_goes_first(behind, suite, verb):
    """Its edits differ, so it has a transaction of its own: the client's must not have it before."""
    hook(suite, new=f'mail:add_recipient("{C}") mail:add_score(3, "X")')
    hop = behind({"local_domains_maps": [".example.org"]}, rcpt=refusing(b"550 5.1.1 nobody\r\n", C))
    replies = over(suite, verb)
    assert [r.code // 100 for r in replies] == [4] * len(replies)
    assert not hop.mails


@pytest.mark.parametrize("code", [b"450 4.2.0 later\r\n", b"550 5.1.1 nobody\r\n"], ids=["4xx", "5xx"])
def test_a_redirected_mail_that_is_refused_comes_again(behind, suite, code):
    """The only recipient of the client's is taken off, and the one in its place has no reply of its own."""
    hook(suite, new=f'mail:remove_recipient("{A}") mail:remove_recipient("{B}") mail:add_recipient("{C}")')
    hop = behind(rcpt=refusing(code, C))
    assert [r.code // 100 for r in over(suite, "LHLO")] == [4, 4]
    assert not hop.mails


def test_an_added_one_s_delivery_makes_no_refusal_everybody_s(behind, suite):
    hook(suite, new=f'mail:add_recipient("{C}") mail:add_score(3, "X")')
    hop = behind({"local_domains_maps": [".example.org"]}, rcpt=refusing(b"550 5.1.1 nobody\r\n", B))
    assert [r.code for r in over(suite, "LHLO")] == [250, 550]
    assert rcpts_of(hop) == [A, C]


def test_an_added_one_that_policy_blocks_is_nobody_s_refusal(behind, suite):
    hook(suite, new=f'mail:add_recipient("{C}") mail:add_virus("X")')
    hop = behind({"final_virus_destiny": D_REJECT, "virus_quarantine_method": "", "virus_lovers_maps": [A, B]},
                 services=("scanner",))
    assert [r.code for r in over(suite, "LHLO")] == [250, 250]
    assert rcpts_of(hop) == [A, B]


def test_tables_are_asked_about_the_recipients_that_the_hook_leaves(behind, suite):
    hook(suite, new=f'mail:rewrite_recipient("{A}", "vip@example.org")',
         checks='for _, r in ipairs(mail.recipients) do mail:log(r.address .. " " .. tostring(r.is_local) .. " " .. r.given) end')
    behind({"local_domains_maps": ["vip@example.org"]})
    over(suite, "EHLO")
    suite.front.wait_log(r' hook .*text="vip@example.org true a@example.org"')
    suite.front.wait_log(r' hook .*text="b@example.org false b@example.org"')


# ------------------------------------------------------------------ AM.PDP

def test_a_milter_is_told_of_edits_and_recipients(suite):
    suite.sink()
    hook(suite, new=f'mail:remove_recipient("{B}") mail:rewrite_recipient("{A}", "a2@example.org") mail:add_recipient("{C}")',
         before_send='mail:add_field("X-Ours", "yes") mail:prefix_subject("[EXT] ") mail:remove_field("X-Theirs")')
    files = MailDir(suite.folder / "milter")
    path = suite.folder / "run/ampdp.sock"
    suite.set(ampdp__mail_dirs=[str(files.folder)], unix_socketname=[str(path)], unix_socket_mode="0666",
              bypass_virus_checks_maps=[True], interface_policy={"SOCK": "AM.PDP"}, policy_bank={"AM.PDP": {"protocol": "AM.PDP"}})
    suite.start_all(services=())
    octets = mail(headers=["X-Theirs: 1", "X-Theirs: 2"])
    with Client(path, 60 * mw.SLOW) as c:
        a = c.ask(*check(files.put(octets), rcpts=(A, B)))
    assert (a.value, a.code) == ("continue", 250)
    assert a.all("delrcpt") == [f"<{A}>", f"<{B}>"]
    assert a.all("addrcpt") == ["<a2@example.org>", f"<{C}>"]
    got, left = applied(a, octets, [A, B])
    assert left == ["a2@example.org", C]
    assert field(got, "X-Ours") == "yes" and field(got, "Subject") == "[EXT] a mail" and field(got, "X-Theirs") is None


# ------------------------------------------------------------------ points and failures

def test_the_points_come_in_their_order(behind, suite):
    for point in POINTS:
        hook(suite, **{point: f'assert(mail.point == "{point}") mail:log(tostring(mail.reply) .. " " .. '
                              'tostring(mail.recipients[1].code) .. " " .. tostring(mail.checks.scan))'})
    behind(services=("scanner",))
    assert suite.send(mail(), rcpts=(A,)).code == 250
    suite.front.wait_log(" hook .*point=mail_done")
    lines = suite.front.log_lines("hook")
    assert [line.split("point=")[1].split(" ")[0] for line in lines] == list(POINTS)
    assert 'text="nil nil nil"' in lines[0] and 'text="nil nil done"' in lines[1]
    assert "250 2.0.0 from MTA" in lines[3] and lines[3].endswith(' 250 done"')
    log = suite.front.log()
    assert log.index("point=after_send") < log.index(" reply_sent ") < log.index("point=mail_done")


def test_a_refused_mail_has_its_points_too(behind, suite):
    hook(suite, after_send='mail:log(mail.reply)', mail_done='mail:log(mail.reply)')
    behind(rcpt=b"550 5.1.1 nobody\r\n")
    assert suite.send(mail(), rcpts=(A,)).code == 550
    assert "nobody" in suite.front.wait_log(" hook .*point=after_send")
    assert "nobody" in suite.front.wait_log(" hook .*point=mail_done")


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("body", ["error('no')", "while true do end", "local s = 'x' while true do s = s .. s end"],
                         ids=["error", "loop", "memory"])
def test_a_failed_hook_has_its_declared_consequence(behind, suite, point, body):
    hook(suite, **{point: body})
    hop = behind(services=("logger",))
    suite.service("logger").wait_log(" front_met ")  # else the mail's event may come before it hears
    late = point in ("after_send", "mail_done")
    reply = suite.send(mail(), rcpts=(A,))
    assert reply.code == (250 if late else 451) and len(hop.mails) == late
    line = suite.front.wait_log(f" hook_failed .*point={point} on_failure={'pass' if late else 'defer'}")
    assert "log_id=" in line
    record = records(suite)[0]
    if point != "mail_done":  # the record is out by then
        assert f"hook_{point}" in str(record["checks"])
    suite.lines = []
    if late:
        return
    hook(suite, **{point: f'{{ on_failure = "pass", run = function(mail) {body} end }}'})
    suite.front.stop()
    suite.restart(suite.front)
    assert suite.send(mail(), rcpts=(A,)).code == 250
    suite.front.wait_log(f" hook_failed .*point={point} on_failure=pass")


def test_failures_are_counted(behind, suite):
    hook(suite, new='{ on_failure = "pass", run = function(mail) if mail.sender ~= "" then error("no") end end }')
    behind({"http.listen": f"127.0.0.1:{mw.free_port()}"})
    for sender in ("x@example.com", "y@example.com", ""):
        assert suite.send(mail(), rcpts=(A,), sender=sender).code == 250
    with urllib.request.urlopen(f"http://{suite.settings['http.listen']}/metrics", timeout=10 * mw.SLOW) as r:
        page = r.read().decode()
    assert 'mailweir_front_hook_calls_total{point="new"} 3\n' in page
    assert 'mailweir_front_hook_failures_total{point="new"} 2\n' in page


def test_a_reload_takes_new_hooks_and_forgets_what_the_old_ones_kept(behind, suite):
    counting = "do local n = 0 hooks.new = function(mail) n = n + 1 mail:log(\"{} \" .. n) end end"
    suite.lines = [counting.format("old")]
    behind()
    for n in (1, 2):
        assert suite.send(mail(), rcpts=(A,)).code == 250
        suite.front.wait_log(f'text="old {n}"')
    suite.lines = [counting.format("new")]
    suite.conf_path("smtp-front", "1")
    suite.front.signal(signal.SIGHUP)
    suite.front.wait_log(" settings_reloaded")
    assert suite.send(mail(), rcpts=(A,)).code == 250
    suite.front.wait_log('text="new 1"')


@pytest.mark.parametrize("line,error", [
    ('hooks.mail_done = { run = function(mail) end, on_failure = "defer" }', "on_failure = \"pass\" }"),
    ("hooks.before_sent = function(mail) end", "did you mean hooks.before_send?"),
    ("hooks.new = true", "expected a function"),
    ("policy_bank.X = { ACTION = function() end }", "ACTION"),
])
def test_what_is_no_hook_is_refused_at_load(suite, line, error):
    suite.lines = [line]
    path = suite.conf_path("smtp-front", "1")
    run = suite.tool("check-config", path)
    assert run.returncode != 0 and error in run.stdout + run.stderr


def examples():
    text = (mw.ROOT / "docs/hooks.md").read_text()
    return re.findall(r"^```lua\n(.*?)^```$", text, re.M | re.S)


@pytest.mark.parametrize("example", range(len(examples())))
def test_the_examples_of_the_documentation_run(suite, behind, example):
    """Loaded, and no hook fails, for our own mail and others'."""
    suite.lines = [examples()[example]]
    hop = behind({"policy_bank": {"NOVIRUSCHECK": {}, "MYNETS": {}}}, services=("scanner",))
    for ip in ("10.0.0.1", "192.0.2.1"):
        with suite.smtp() as c:
            c.hello()
            c.cmd(f"XFORWARD ADDR={ip}")
            assert c.mail("x@example.org", ["jo@example.org"], eicar_mail(sender="Me <me@example.org>", subject="Invoice")).code == 250
            assert c.mail("x@example.org", ["jo@example.org"], mail(sender="Me <me@example.org>", subject="Invoice")).code == 250
    assert hop.mails and not suite.front.log_lines("hook_failed")
