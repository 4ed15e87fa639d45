"""Fixtures of the end-to-end tests. `make e2e` runs them with MW_BIN and MW_BENCH set to the build's folders."""
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import mw  # noqa: E402

DEADLINE_S = 120
# Files that take longest are begun first, so that none of them is left over when all others are done.
LONG = ("test_amavisd_agrees", "test_dispatch", "test_next_hop_table", "test_reputation", "test_tls", "test_pipeline", "test_db_lookups",
    "test_import_amavisd", "test_smtp", "test_snmp", "test_chaos")


def pytest_configure(config):
    config.addinivalue_line("markers", f"deadline(seconds): the test is ended after that long ({DEADLINE_S})")
    config.addinivalue_line("markers", "load: thousands of mails; left out of the sanitised run")
    config.addinivalue_line("markers", "compose: needs a Docker engine")
    config.addinivalue_line("markers", "bench: measures")
    config.addinivalue_line("markers", "root: needs root; skipped with a line otherwise")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.stem not in LONG)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "report_" + call.when, outcome.get_result())


@pytest.fixture(autouse=True)
def deadline(request):
    """No test hangs for ever: after its time it fails where it stands."""
    mark = request.node.get_closest_marker("deadline")
    seconds = (mark.args[0] if mark else DEADLINE_S) * mw.SLOW

    def late(signum, frame):
        raise mw.Failed(f"the test took more than {seconds:.0f} s")
    old = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, old)


@pytest.fixture(autouse=True)
def needs_root(request):
    if request.node.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture
def suite(request):
    """A Suite of the test's own; its logs are printed when the test fails."""
    s = mw.Suite()
    yield s
    report = getattr(request.node, "report_call", None)
    s.close(failed=report is None or report.failed)


@pytest.fixture(scope="session")
def corpus():
    """Folder of real mails, or skip with the reason."""
    script = mw.ROOT / "tests/data/fetch_corpus.sh"
    done = subprocess.run([str(script), str(mw.ROOT / "build")], capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        pytest.skip(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no corpus")
    return Path(done.stdout.strip())
