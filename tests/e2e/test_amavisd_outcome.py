"""
amavisd and Mailweir come to the same outcome: Debian's amavisd-new and a front with the same settings get the same mails, of
every category and destiny, with two recipients of different policies, over SMTP and LMTP on either side. Compared are the
replies, who gets the mail, the header fields that each copy has more or less than the original, and the log line. What
differs on purpose stands in ANNOUNCED.
"""
import re
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import mw
import mwamavisd
import pytest
from mwhop import NextHop
from mwlua import D_BOUNCE, D_DISCARD, D_PASS, D_REJECT, D_TEMPFAIL
from mwmail import eicar, mail, multipart, part, zipped
from mwsmtp import Smtp, stuffed
from mwsyslog import Syslogd

WHY_NOT = mwamavisd.why_not()
pytestmark = [pytest.mark.deadline(300), pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))]

A, B, FAR = "a@local.example", "b@local.example", "far@foreign.example"
LOVER = "lover@local.example"
DESTINIES = {"PASS": D_PASS, "DISCARD": D_DISCARD, "REJECT": D_REJECT, "TEMPFAIL": D_TEMPFAIL, "BOUNCE": D_BOUNCE}

# A scanner within amavisd: a program would cost each mail two processes.
CONF = """
use strict;
sub find_eicar {{
	my ($names, undef, $tempdir) = @_;
	for my $name (@$names) {{
		open(my $in, '<:raw', "$tempdir/parts/$name") or die "$name: $!";
		local $/;
		return (1, 'found', ['Eicar-Test-Signature']) if index(<$in>, 'EICAR-STANDARD') >= 0;
	}}
	return (0, 'clean', []);
}}
$mydomain = 'test.example'; $myhostname = 'mx.test.example'; $localhost_name = 'mx.test.example';
@local_domains_maps = (['.local.example']);
@mynetworks = ();
$forward_method = $notify_method = '{hop}';
$sa_tag_level_deflt = -999; $sa_tag2_level_deflt = 5; $sa_kill_level_deflt = 8;
$sa_spam_subject_tag = '***SPAM*** ';
@spam_lovers_maps = @virus_lovers_maps = @banned_files_lovers_maps = @bad_header_lovers_maps = @unchecked_lovers_maps = (['{lover}']);
@message_size_limit_maps = ({{'{small}' => {limit}}}, 10_000_000);
$banned_filename_re = new_RE(qr'\\.exe$'i);
$virus_admin = $spam_admin = $banned_admin = $bad_header_admin = undef;
$virus_quarantine_method = $spam_quarantine_method = $banned_files_quarantine_method = $bad_header_quarantine_method = undef;
$warnbannedsender = $warnbadhsender = $warnvirusrecip = $warnbannedrecip = undef;
$defang_virus = $defang_banned = undef;
@av_scanners = (['Test', \\&find_eicar]);
@av_scanners_backup = ();
$allowed_added_header_fields{{lc('X-Amavis-Category')}} = 1;
$inet_socket_port = [{ports}];
$inet_socket_bind = '127.0.0.1';
{banks}
1;
"""
BANK = """
$interface_policy{{'{port}'}} = '{name}';
$policy_bank{{'{name}'}} = {{ final_destiny_maps_by_ccat => {{ CC_VIRUS, D_{name}, CC_BANNED, D_{name}, CC_SPAM, D_{name}, CC_BADH, D_{name},
	CC_UNCHECKED, D_{name}, CC_OVERSIZED, D_{name}, CC_CATCHALL, D_PASS }} }};
"""

# A port whose next hop speaks LMTP; what is blocked there is thrown away.
LMTP_BANK = """
$interface_policy{{'{port}'}} = 'LMTP';
$policy_bank{{'LMTP'}} = {{ forward_method => '{hop}', final_destiny_maps_by_ccat => {{ CC_VIRUS, D_DISCARD, CC_BANNED, D_DISCARD,
	CC_SPAM, D_DISCARD, CC_CATCHALL, D_PASS }} }};
"""

SCORED = ["X-Test-Score: 1.5"]
SIZE_LIMIT = 70_000  # amavisd takes none below 64 KiB


def encrypted_zip():
    """What is in it nobody needs to know: members say that they are encrypted."""
    octets = bytearray(zipped("secret.txt", b"x" * 100))
    octets[6] |= 1
    octets[octets.index(b"PK\1\2") + 8] |= 1
    return bytes(octets)


KINDS = {
    "clean": mail(subject="hello", headers=SCORED),
    "no-score": mail(subject="hello"),
    "spammy": mail(subject="cheap", headers=["X-Test-Score: 6"]),
    "spam": mail(subject="cheap", headers=["X-Test-Score: 12.5"]),
    "virus": multipart([part("text/plain", b"see this"), part("application/octet-stream", eicar(), "x.com")], subject="a virus", headers=SCORED),
    "banned": multipart([part("text/plain", b"run this"), part("application/octet-stream", b"MZ", "tool.exe")], subject="a tool", headers=SCORED),
    "8bit": mail(subject="caf\u00e9", headers=SCORED),
    "duplicate": mail(subject="one", headers=["Subject: two", *SCORED]),
    "foreign-marks": mail(subject="***SPAM*** again", headers=["X-Spam-Status: No, score=-100", "X-Spam-Flag: NO", "X-Spam-Level:", "x-spam-score: 0",
        "Authentication-Results: mx.test.example; dkim=pass", "Authentication-Results: other.example; dkim=pass", "X-Test-Score: 7",
        "X-Amavis-Alert: nothing", "X-Amavis-Hold: nothing", "X-Virus-Scanned: by somebody"]),
}
KINDS["mime-error"] = mail(b"no parts\r\n", headers=["MIME-Version: 1.0", "Content-Type: multipart/mixed", *SCORED])
KINDS["oversized"] = mail(b"0123456789" * 7 + b"\r\n" + b"9876543210 9876543210\r\n" * (SIZE_LIMIT // 22), subject="long", headers=SCORED)
KINDS["encrypted"] = multipart([part("text/plain", b"a secret"), part("application/zip", encrypted_zip(), "secret.zip")], subject="secret", headers=SCORED)
KINDS["ambiguous"] = mail(b"--one\r\n\r\nfirst\r\n--one--\r\n--two\r\n\r\nsecond\r\n--two--\r\n",
    headers=["MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary="one"; boundary="two"', *SCORED])
RCPTS = {"one": [A], "two": [A, B], "lover": [A, LOVER], "far": [FAR], "local-and-far": [A, FAR]}


class House:
    """amavisd and a front, each in front of a hop of its own, a port for each destiny."""

    def __init__(self, suite):
        self.suite = suite
        self.hops = {"amavisd": NextHop(), "mailweir": NextHop()}
        self.lmtp = {who: NextHop(lmtp=True) for who in self.hops}
        self.ports = {who: {name: mw.free_port() for name in (*DESTINIES, "LMTP")} for who in self.hops}
        self.amavisd = self.start_amavisd()
        self.start_front()

    def start_amavisd(self):
        folder = self.suite.folder
        ports = self.ports["amavisd"]
        conf = folder / "amavisd.conf"
        conf.write_text(CONF.format(hop=self.hops["amavisd"].method, lover=LOVER, small=A, limit=SIZE_LIMIT,
            ports=", ".join(map(str, ports.values())), banks="".join(BANK.format(port=ports[name], name=name) for name in DESTINIES)
            + LMTP_BANK.format(port=ports["LMTP"], hop=self.lmtp["amavisd"].method)))
        return mwamavisd.Amavisd(self.suite, folder / "home", [conf], [f"127.0.0.1:{p}" for p in ports.values()], last=mwamavisd.SCORE)

    def start_front(self):
        s, ports = self.suite, self.ports["mailweir"]
        self.syslogd = Syslogd(s.folder / "log")
        s.set(do_syslog=True, syslog__socket=self.syslogd.path, syslog_ident="amavis")
        s.set(myhostname="mx.test.example", localhost_name="mx.test.example", inet_socket_bind=["127.0.0.1"],
            local_domains_maps=[[".local.example"]], mynetworks=[], forward_method=self.hops["mailweir"].method, checks__spam=False,
            checks__reputation=False, enable_dkim_verification=False, enable_dkim_signing=False, sa_tag_level_deflt=-999,
            sa_tag2_level_deflt=5, sa_kill_level_deflt=8, sa_spam_subject_tag="***SPAM*** ", virus_quarantine_method="",
            spam_quarantine_method="", unchecked_quarantine_method="", banned_files_quarantine_method="", bad_header_quarantine_method="",
            **{f"{k}_lovers_maps": [[LOVER]] for k in ("spam", "virus", "banned_files", "bad_header", "unchecked")},
            message_size_limit_maps=[{A: SIZE_LIMIT}, 10_000_000])
        s.lines += [f"inet_socket_port = {{ {', '.join(map(str, ports.values()))} }}",
            "hooks.checks = function(mail) local n = mail:header('X-Test-Score') if n then mail:add_score(tonumber(n), 'TESTED') end end",
            "banned_filename_re = new_RE { [[(?i)\\.exe$]] }",
            "allowed_added_header_fields = { ['x-amavis-category'] = true }"]
        s.lines += [f"interface_policy['{ports['LMTP']}'] = 'LMTP'", f"policy_bank.LMTP = {{ forward_method = '{self.lmtp['mailweir'].method}', "
            "final_destiny_by_ccat = { [CC_VIRUS] = D_DISCARD, [CC_BANNED] = D_DISCARD, [CC_SPAM] = D_DISCARD } }"]
        for name in DESTINIES:
            port, d = ports[name], f"D_{name}"
            s.lines += [f"interface_policy['{port}'] = '{name}'",
                f"policy_bank.{name} = {{ final_destiny_by_ccat = {{ [CC_VIRUS] = {d}, [CC_BANNED] = {d}, [CC_SPAM] = {d}, [CC_BADH] = {d}, "
                f"[CC_UNCHECKED] = {d}, [CC_OVERSIZED] = {d} }} }}"]
        s.start_all(services=("scanner",))

    def close(self):
        self.syslogd.close()
        for hop in (*self.hops.values(), *self.lmtp.values()):
            hop.close()

    def send(self, who, case, octets):
        """(replies, the mails that hops got): each case has a sender of its own, by whom its mails are told apart."""
        sender = f"case-{case.number}@example.com"
        with Smtp(("127.0.0.1", self.ports[who][case.destiny]), timeout_s=60 * mw.SLOW) as c:
            c.hello(verb="LHLO" if case.lmtp else "EHLO")
            assert c.envelope(sender, RCPTS[case.rcpts]) is None
            assert c.cmd("DATA").code == 354
            c.write(stuffed(octets))
            replies = [c.reply() for _ in (RCPTS[case.rcpts] if case.lmtp else [1])]
        mails = [*self.hops[who].mails, *self.lmtp[who].mails]
        return replies, [m for m in mails if f"<{sender}>" in m.sender or sender in m.rcpts]

    def lines(self, who, case):
        """The log lines of a case, from their results to their recipients: one for those who got it, one for the others."""
        log = self.amavisd.process.log if who == "amavisd" else lambda: "\n".join(m["text"] for m in self.syslogd.classic)
        at = re.compile(rf"((?:Passed|Blocked) [^\n]*?)[^\n,]*<case-{case.number}@example.com> -> ([^\n]*?), (?:quarantine|mail_id)")
        wanted = {f"<{r}>" for r in RCPTS[case.rcpts]}

        def all_of_them():
            found = at.findall(log())
            return wanted <= {r for _, rcpts in found for r in rcpts.split(",")} and found
        return sorted(plain(result + rcpts) for result, rcpts in mw.until(f"{who}'s lines of {case}", all_of_them))


# ------------------------------------------------------------------ what is compared

def header_of(octets):
    """The fields of a header section, folding and all."""
    head = octets.partition(b"\r\n\r\n")[0].decode("utf-8", "surrogateescape")
    return re.findall(r"(?ms)^([^\s:][^:\r\n]*:.*?)(?=\r?\n[^ \t]|\Z)", head)


# amavisd blocks by the major category alone, so its minor is 0 and the reason a general one: announced.
MINORS = ((r"BAD-HEADER-\d", "BAD-HEADER-N"), (r"UNCHECKED-ENCRYPTED", "UNCHECKED"), (r"UNCHECKED: [a-z ]+", "UNCHECKED"),
    (r"BAD HEADER: [\w -]+", "BAD HEADER"))


def plain(text):
    """Without what differs from mail to mail, and from program to program."""
    for pattern, by in (*MINORS, (r"\b\d{5,}-\d+(-\d+)?\b", "LOGID"), (r"127\.0\.0\.1\]?:\d+", "HOP"), (r"id [\w-]{12}\b", "id MAILID"),
            (r"\w{3}, +\d+ \w{3} \d{4} [\d:]{8} [+-]\d{4} \(\w+\)", "DATE"), (r"port \d+", "port N"), (r"queued as [\w-]+", "queued as ID"), (r"case-\d+@", "case@"), (r"\s+", " "), (r"\.UNOFFICIAL\b", ""), (r"mailweir", "amavis")):
        text = re.sub(pattern, by, text)
    return text.strip()


def edits(original, got):
    """(fields that came, fields that went): what was done to a header section."""
    before, after = [plain(f) for f in header_of(original)], [plain(f) for f in header_of(got)]
    came = [f for f in after if f not in before]
    return came, [f for f in before if f not in after]


def outcome(house, who, case):
    original = KINDS[case.kind]
    replies, mails = house.send(who, case, original)
    copies = sorted((sorted(m.rcpts), *edits(original, m.octets)) for m in mails if "<>" not in m.sender)
    notices = [m for m in mails if "<>" in m.sender]
    return {"reply": [plain(str(r)) for r in replies], "copies": copies, "notices": len(notices), "lines": house.lines(who, case)}


class Case(NamedTuple):
    number: int
    kind: str
    destiny: str
    rcpts: str
    lmtp: bool = False

    def __str__(self):
        return f"{self.kind}/{self.destiny}/{self.rcpts}" + ("/LMTP" if self.lmtp else "")


BLOCKED = ("spam", "virus", "banned", "duplicate", "mime-error", "oversized", "encrypted", "ambiguous")
CASES = [Case(i, *c) for i, c in enumerate([
    *((k, "PASS", "lover") for k in KINDS),
    *((k, "PASS", "local-and-far") for k in ("clean", "spam", "virus", "foreign-marks", "encrypted")),
    *((k, d, "lover") for k in BLOCKED for d in DESTINIES if d != "PASS"),
    # Too large for all of them amavisd refuses at DATA, whatever the destiny, and logs no outcome.
    *((k, "REJECT", "one") for k in BLOCKED if k != "oversized"),
    *(("virus", d, "one") for d in DESTINIES if d not in ("PASS", "REJECT")),
    *(("spam", d, "lover", True) for d in DESTINIES),
    *((k, "REJECT", "lover", True) for k in ("virus", "oversized", "encrypted")),
    *((k, "LMTP", "lover", lmtp) for k in ("clean", "spam", "virus") for lmtp in (False, True)),
    *(("spam", d, "local-and-far") for d in DESTINIES if d != "PASS"), ("spammy", "REJECT", "two"), ("clean", "REJECT", "one")])]


# (what of which case, why): each stands in docs/migrating-from-amavisd.md, and must be seen.
ANNOUNCED = [
    (r".* copies X-Virus-Scanned", "names the host, for there is no mydomain"),
    (r"mime-error/.* copies X-Amavis-Alert", "a MIME error has a name of ours"),
    (r"(encrypted|ambiguous)/.* copies X-Amavis-Alert", "what could not be checked is told, and a parameter that is there twice is a MIME error"),
    (r"ambiguous/.* copies MIME-Ambiguity-Results", "why a mail is ambiguous is told"),
    (r"foreign-marks/.* copies (X-Amavis-Alert|Authentication-Results)", "forged marks go whatever is checked"),
]


def different(case, theirs, ours):
    """{"case what": (amavisd's, ours)}; of copies each recipient's fields by name."""
    found = {}
    for what in theirs:
        if what != "copies":
            found[f"{case} {what}"] = theirs[what], ours[what]
            continue
        a, m = by_recipient(theirs[what]), by_recipient(ours[what])
        for key in sorted({*a, *m}):
            name = f"{case} copies {key[1]}"
            pair = found.setdefault(name, ([], []))
            pair[0].append((key, a.get(key)))
            pair[1].append((key, m.get(key)))
    return {name: pair for name, pair in found.items() if pair[0] != pair[1]}


def by_recipient(copies):
    """{(recipient, field's name): [(came or went, field)]}, and the envelope's recipients."""
    fields = {}
    for rcpts, came, went in copies:
        for r in rcpts:
            fields[r, "envelope"] = True
            for way, some in (("+", came), ("-", went)):
                for f in some:
                    fields.setdefault((r, f.partition(":")[0]), []).append(way + re.sub(r" for <[^>]*>", "", f))
    return fields


@pytest.fixture
def house(suite):
    it = House(suite)
    yield it
    it.close()


def test_same_outcome(house):
    """Two at a time to amavisd, which has two servers; Mailweir beside."""
    with ThreadPoolExecutor(2) as slow, ThreadPoolExecutor(1) as quick:
        theirs = [slow.submit(outcome, house, "amavisd", c) for c in CASES]
        ours = [quick.submit(outcome, house, "mailweir", c) for c in CASES]
    differences, seen = [], set()
    for case, a, m in zip(CASES, theirs, ours):
        for name, (amavisd, mailweir) in different(case, a.result(), m.result()).items():
            row = next((r for r, _ in ANNOUNCED if re.fullmatch(r, name, re.I)), None)
            seen.add(row)
            if row is None:
                differences.append(f"{name}\n  amavisd:  {amavisd}\n  mailweir: {mailweir}")
    assert not differences, "\n".join(differences)
    assert seen >= {r for r, _ in ANNOUNCED}, "announced, and the same now"
