"""Many connections at once while the milter reads its configuration again and again.

Two valid configurations that differ in everything take turns, and at times one that is broken,
which must be rejected as a whole. Every answer must be right under one of the valid ones. With a
binary that was built with -fsanitize=thread each report is a failure: make tsan-milter builds it,
and LMTPQ_MILTER names it.
"""

import shutil
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fixtures.process import wait_until
from peers.mta import load, mail, model, wire
from peers.mta.session import Session

from .private_milter import Milter

CONNECTIONS = 50
MESSAGES = 2000  # at least, over all connections
SECONDS = 3  # at least
PERIOD = 0.05  # seconds from one SIGHUP to the next
SUPPRESSIONS = Path(__file__).with_name('tsan.suppressions')
ENVIRONMENT = {'TSAN_OPTIONS': f'exitcode=66 halt_on_error=0 suppressions={SUPPRESSIONS}'}
# Each is a valid file with one thing broken; nothing of it may be applied.
BROKEN = ('[rule.broken]\nclient = 192.0.2.1/24\nquota = ignore\n', 'no-such-key = 1\n',
          '[rule.partners]\nquota = ignore\n', '[rule.broken\n', '[rule.broken]\nquota = perhaps\n')


class Reloads:
  """Replaces the file and sends SIGHUP until told to stop."""

  def __init__(self, milter: Milter, folder: Path):
    self.milter, self.folder = milter, folder
    self.texts = {version.name: version.write(folder).read_text() for version in model.VERSIONS}
    self.done = threading.Event()
    self.sent = Counter()

  def put(self, text: str):
    """In place of what is there, in one step; then SIGHUP."""
    made = self.folder / 'made'
    made.write_text(text)
    made.rename(self.milter.config)
    self.milter.hang_up()

  def valid(self, name: str):
    self.put(self.texts[name])
    self.sent[name] += 1

  def broken(self, number: int):
    self.put(self.texts[model.VERSIONS[number % 2].name] + BROKEN[number % len(BROKEN)])
    self.sent['broken'] += 1

  def until_done(self):
    number = 0
    while not self.done.wait(PERIOD):
      number += 1
      if number % 5 == 0:
        self.broken(number // 5)
      else:
        self.valid(model.VERSIONS[number % 2].name)


class Run:
  """The milter, the load on it, and what came of it."""

  def __init__(self, binary: Path, folder: Path):
    config = folder / 'milter.conf'
    for version in model.VERSIONS:
      shutil.copy(version.write(folder), config)
    self.milter = Milter(binary, folder, config)
    self.reloads = Reloads(self.milter, folder)
    self.seen: Counter[str] = Counter()  # answers by the configuration they are right under
    self.why = ''  # the first answer that is right under none

  def play(self):
    asked = load.Load(str(self.milter.socket), model.VERSIONS, CONNECTIONS, MESSAGES,
                      reconnects=MESSAGES // 10, seconds=SECONDS)
    with ThreadPoolExecutor(1) as thread:
      swapping = thread.submit(self.reloads.until_done)
      try:
        self.seen = load.run(asked)
      except (wire.Deviation, OSError) as error:
        self.why = f'{type(error).__name__}: {error}'
      finally:
        self.reloads.done.set()
      swapping.result()

  def version_in_force(self) -> str:
    """Under which the next message is answered."""
    session = Session(str(self.milter.socket))
    try:
      session.client(mail.CLIENTS[0])
      one = mail.message(1)
      one.recipients[0].mailer = 'cyrusv2'
      asked = load.Load(str(self.milter.socket), model.VERSIONS)
      return load.judge(asked, mail.CLIENTS[0], one, session.ask(one))
    finally:
      session.close()

  def comes_into_force(self, name: str):
    wait_until(lambda: self.version_in_force() == name, f'{name} is in force')


class TestParallel:
  """The tests look at one run, in this order; the last of them end the milter."""

  @pytest.fixture(scope='class')
  def run(self, scratch, lmtpq_milter):
    made = Run(lmtpq_milter, scratch.path)
    made.milter.start(ENVIRONMENT)
    made.play()
    yield made
    made.milter.stop()

  def test_every_answer_is_right_under_one_of_the_configurations(self, run):
    assert not run.why

  def test_both_configurations_are_seen_at_work(self, run):
    assert all(run.seen[version.name] for version in model.VERSIONS), (run.seen, run.reloads.sent)

  def test_each_sighup_counts_also_the_last_one(self, run):
    for number in range(8):
      name = model.VERSIONS[number % 2].name
      run.reloads.valid(name)
      run.comes_into_force(name)

  @pytest.mark.parametrize('name', [version.name for version in model.VERSIONS])
  def test_nothing_of_a_broken_file_is_applied(self, run, name):
    """Each of them has the other configuration in it, which must not come into force."""
    run.reloads.valid(name)
    run.comes_into_force(name)
    for number in range(2 * len(BROKEN)):
      if model.VERSIONS[number % 2].name == name:
        continue
      reloads = run.milter.said().count('reload')
      run.reloads.broken(number)
      wait_until(lambda reloads=reloads: run.milter.said().count('reload') > reloads, 'a reload')
      assert run.version_in_force() == name, BROKEN[number % len(BROKEN)]

  def test_sigterm_ends_it_with_status_0(self, run):
    assert run.milter.stop() == 0

  def test_the_socket_is_removed(self, run):
    assert not run.milter.socket.exists()

  def test_no_sanitizer_reports(self, run):
    errors = (run.milter.folder / 'stderr').read_text(errors='replace')
    assert 'WARNING: ' not in errors and 'ERROR: ' not in errors, errors[:4000]
