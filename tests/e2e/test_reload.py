"""mailweir reload: the whole set is taken, or each service keeps what it has and says why."""
import signal

import pytest

import mw

SERVICES = ("logger", "status", "dkim")


@pytest.fixture
def running(suite):
    suite.set(log_level=1, dkim__dns_local_only=True)
    for service in SERVICES:
        suite.start(service)
    suite.file = suite.folder / "mailweir.lua"
    suite.good = suite.file.read_text()
    return suite


def reload(suite, *args):
    done = suite.tool("reload", "-c", suite.file, *args, timeout_s=60)
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def reloads(suite, service):
    return len(suite.service(service).log_lines("settings_reloaded"))


def test_good_settings_are_taken_by_all(running):
    s = running
    s.start("dkim", instance="b-2")
    folder = s.folder / "conf.d"
    folder.mkdir()
    (folder / "more.lua").write_text("log_level = 2\n")
    files = f"{s.file}, {folder}/more.lua"
    assert reload(s) == (0, [f"settings ok: {files}", *(f"{name}: took {files}" for name in
                             ("dkim@1", "dkim@b-2", "logger@1", "status@1"))], [])
    assert [reloads(s, service) for service in SERVICES] == [1, 1, 1]


def test_bad_settings_reach_nobody(running):
    s = running
    s.file.write_text(s.good + "log_levl = 3\n")
    line = s.good.count("\n") + 1
    assert reload(s) == (78, [], [f"{s.file}:{line}: log_levl: unknown setting; did you mean log_level?",
                                  "mailweir: no service was told; all keep the settings they have"])
    assert [reloads(s, service) for service in SERVICES] == [0, 0, 0]


def test_one_that_refuses_says_why_and_keeps_what_it_has(running):
    """The tool sees good settings; the service that was started with other files does not."""
    s = running
    own = s.folder / "mailweir-dkim-9.lua"
    s.start("dkim", instance="9", conf={"log_level": 2})
    own.write_text(own.read_text() + "nix = 1\n")
    line = own.read_text().count("\n")
    code, out, _ = reload(s, "dkim")
    assert code == 1
    assert out[1:] == [f"dkim@1: took {s.file}", "dkim@9: keeps the settings it has", f"  {own}:{line}: nix: unknown setting"]
    s.service("dkim", "9").wait_log("settings_kept")
    assert reloads(s, "logger") == 0, "it was not asked for"
    assert reload(s, "dkim@1")[0] == 0


def test_one_that_is_down_is_told(running):
    s = running
    s.service("logger").kill()
    s.service("status").stop()
    code, out, _ = reload(s)
    assert (code, out[1:]) == (1, [f"dkim@1: took {s.file}", "logger@1: not running (Connection refused)"])
    code, out, _ = reload(s, "status", "dkim")
    assert (code, out[1:]) == (1, [f"dkim@1: took {s.file}", "status: not running here"])
    s.service("dkim").stop()
    s.start("logger").stop()
    code, out, _ = reload(s)
    assert (code, out[1:]) == (1, [f"no service runs here: there is no *.control in {s.folder}/run"])


def test_the_signal_does_the_same(running):
    s = running
    p = s.service("dkim")
    p.signal(signal.SIGHUP)
    p.wait_log("settings_reloaded")
    s.file.write_text("nix = 1\n")
    p.signal(signal.SIGHUP)
    p.wait_log(r"reload_refused.*nix: unknown setting")
    p.wait_log("settings_kept")


@pytest.mark.root
def test_settings_that_the_service_could_write_are_refused(suite):
    """A real service as a real other user: at start and at reload."""
    s = suite
    run = s.folder / "run-nobody"
    s.set(daemon_user="nobody", dkim__dns_local_only=True, pipeline__run_dir=str(run))
    p = s.start("dkim")
    file = s.folder / "mailweir.lua"
    assert s.tool("reload", "-c", file).returncode == 0
    file.chmod(0o666)
    done = s.tool("reload", "-c", file)
    said = f"{file} is writable by everybody: it could change its own settings"
    assert done.returncode == 1 and said in done.stdout
    assert done.stderr.startswith(f"warning: {said}")
    assert len(p.log_lines("settings_reloaded")) == 1
    p.stop()
    again = mw.Process(s, "refused", [mw.BIN / "mailweir-dkim", "-c", file])
    assert again.popen.wait(mw.WAIT_S * mw.SLOW) == 78
    assert said in again.log()
