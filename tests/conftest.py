"""What the Python suites share: the programs under test, scratch folders, time limits, the count.

The programs are those of `--build DIR` (build/), unless LMTPQ, LMTPQ_MILTER, STORE_BIN or
ASK_ROUTES of the environment name others. KEEP=1 keeps the scratch folders; that of a failed test
is always kept.

Every process that a test starts is a descendant of its pytest worker, and is ended at the end, also
when pytest is killed. A skipped test counts as failed unless its mark may_skip lists the reason.
The last line of a run is "N passed, N failed[, N skipped]", which tests/tally reads; a run without
a single test fails.
"""

import contextlib
import fcntl
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite('fixtures', 'peers', 'cf', 'e2e', 'patches', 'milter', 'routes',
                               'secure', 'serve', 'observe', 'keys', 'faults', 'dist', 'wire', 'soak',
                               'packages')

from fixtures.paths import PROGRAMS, ROOT, program  # noqa: E402
from fixtures.process import (become_reaper, descendants, die_with_parent,  # noqa: E402
                              end_all_descendants)
from fixtures.scratch import Scratch  # noqa: E402
from peers.secure.certificates import Authority  # noqa: E402

SECONDS = 100  # for each phase of a test that has no mark `limit`
KEPT = 'kept scratch folder'
SANITIZER = 'a sanitizer reported:'


def pytest_addoption(parser):
  parser.addoption('--build', metavar='DIR', default=str(ROOT / 'build'),
                   help='the folder with the programs under test (build)')


def is_worker(config) -> bool:
  return hasattr(config, 'workerinput')


def interrupt(*_):
  raise KeyboardInterrupt


def take_no_ignored_signals_over():
  """Programs under test would inherit what this process ignores: under nohup, or in the background."""
  for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
    if signal.getsignal(number) == signal.SIG_IGN:
      signal.signal(number, lambda *_: None)


def pytest_configure(config):
  build = Path(config.getoption('build')).resolve()
  for variable, place in PROGRAMS.items():
    os.environ.setdefault(variable, str(build / place))
  become_reaper()
  if is_worker(config):
    die_with_parent()
  else:
    config.pluginmanager.register(Counts(config), 'counts')
  take_no_ignored_signals_over()
  signal.signal(signal.SIGTERM, interrupt)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish():
  """After the fixtures; nothing interrupts this."""
  for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
  end_all_descendants()


def pytest_collection_modifyitems(items):
  def weight(item) -> int:
    mark = item.get_closest_marker('weight')
    return mark.args[0] if mark else 1
  items.sort(key=weight, reverse=True)


@contextlib.contextmanager
def time_limit(item) -> Iterator[None]:
  mark = item.get_closest_marker('limit')
  seconds = mark.args[0] if mark else SECONDS

  def took_too_long(*_):
    pytest.fail(f'the case took more than {seconds} s')
  signal.signal(signal.SIGALRM, took_too_long)
  signal.alarm(seconds)
  try:
    yield
  finally:
    signal.alarm(0)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item):
  with time_limit(item):
    yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
  with time_limit(item):
    yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_teardown(item):
  with time_limit(item):
    yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
  report = (yield).get_result()
  if report.skipped and not hasattr(report, 'wasxfail'):
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    listed = [text for mark in item.iter_markers('may_skip') for text in mark.args]
    if not any(text in reason for text in listed):
      report.outcome = 'failed'
      report.longrepr = f'{reason}\n(no mark may_skip lists this reason)'
  for one in Scratch.open:
    one.keep |= report.failed
    if one.keep:
      report.sections.append((KEPT, str(one.path)))


class Counts:
  """The outcome of every case, in the process that reports; and the closing line."""

  def __init__(self, config):
    self.config = config
    self.outcomes: dict[str, str] = {}
    self.kept: set[str] = set()
    self.finished = False

  def note(self, case: str, outcome: str):
    order = ('passed', 'skipped', 'failed')
    self.outcomes[case] = max(outcome, self.outcomes.get(case, 'passed'), key=order.index)

  def number(self, outcome: str) -> int:
    return list(self.outcomes.values()).count(outcome)

  def pytest_runtest_logreport(self, report):
    if report.when == 'call' or not report.passed:
      self.note(getattr(report, 'case', report.nodeid), report.outcome)
    self.kept.update(text for title, text in report.sections if title == KEPT)

  def pytest_collectreport(self, report):
    if not report.passed:
      self.note(report.nodeid, 'failed')

  @pytest.hookimpl(tryfirst=True)
  def pytest_sessionfinish(self, session, exitstatus):
    self.finished = not self.config.getoption('collectonly')
    if exitstatus == pytest.ExitCode.OK and self.finished:
      if self.number('failed'):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
      elif not self.number('passed'):
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED

  def pytest_terminal_summary(self, terminalreporter):
    for path in sorted(self.kept):
      terminalreporter.write_line(f'kept: {path}')

  @pytest.hookimpl(trylast=True)
  def pytest_unconfigure(self):
    if self.finished:
      skipped = self.number('skipped')
      writer = self.config.get_terminal_writer()
      writer.line(f'{self.number("passed")} passed, {self.number("failed")} failed'
                  + (f', {skipped} skipped' if skipped else ''))
      writer.flush()


# Fixtures.

@pytest.fixture(scope='session')
def build(request) -> Path:
  return Path(request.config.getoption('build')).resolve()


@pytest.fixture(scope='session')
def lmtpq() -> Path:
  return program('LMTPQ')


@pytest.fixture(scope='session')
def lmtpq_milter() -> Path:
  return program('LMTPQ_MILTER')


@pytest.fixture(scope='session')
def store_bin() -> Path:
  return program('STORE_BIN')


@pytest.fixture(scope='session')
def ask_routes() -> Path:
  return program('ASK_ROUTES')


@pytest.fixture(scope='session')
def certificates(tmp_path_factory, worker_id):
  """A certificate authority with leaves of all kinds: the worker that needs it first makes it."""
  folder = tmp_path_factory.getbasetemp()
  folder = (folder if worker_id == 'master' else folder.parent) / 'certificates'
  made = folder.with_name('certificates-made')
  with folder.with_name('certificates-lock').open('w') as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    authority = Authority(folder)
    if not made.exists():
      folder.mkdir()
      authority.make()
      made.touch()
  return authority


@pytest.fixture(scope='class')
def scratch(request) -> Iterator[Scratch]:
  """A folder for this class of tests (or for this test, if it is in no class). Afterwards the
  processes that were started since then are ended; servers of a wider scope must have been started
  before."""
  node = request.node
  made = Scratch(getattr(node, 'name', '') or 'test')
  before = descendants(os.getpid())
  yield made
  end_all_descendants(spared=before)
  report = made.sanitizer_report()
  made.keep |= bool(report)
  made.remove()
  if report:
    pytest.fail(f'{SANITIZER} {report}', pytrace=False)


@pytest.fixture(autouse=True)
def no_sanitizer_report():
  """Outermost, so that it sees what the servers of the test write when they end."""
  yield
  for one in Scratch.open:
    if report := one.sanitizer_report():
      one.keep = True
      pytest.fail(f'{SANITIZER} {report}', pytrace=False)
