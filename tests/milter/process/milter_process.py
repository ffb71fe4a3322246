"""The milter as a process: a folder, a configuration, and whatever is started in it.

What it is: Process, the base of the test classes; it ends what a test has started, in the
  background too.
What it does not know: what is tested.
Called by: test_starts.py, test_reloads.py.
"""

import os
import signal
import subprocess
import tempfile

import pytest

from fixtures.milter import in_reach
from fixtures.process import end_all_descendants, log_is_written, wait_until
from fixtures.scratch import Scratch
from peers.mta import tags
from peers.mta.session import Message, Recipient, Session

from ..private_milter import KEYS, write_keys

EX_SOFTWARE, EX_TEMPFAIL, EX_CONFIG = 70, 75, 78
IS_ROOT = os.geteuid() == 0
OTHER_USER = 'nobody'
CLIENT = '192.0.2.7'
IGNORE = '[rule.ours]\nclient = 192.0.2.0/24\nquota = ignore\n'
HONOUR = IGNORE.replace('ignore', 'honour')



def needs_root(test):
  """For a test in which the milter becomes another user, or the files of its process are read."""
  mark = pytest.mark.skipif(not IS_ROOT, reason='only root can do this')
  return pytest.mark.may_skip('only root')(mark(test))


class Process:
  """A folder with a configuration, and whatever was started in it."""

  @pytest.fixture(autouse=True)
  def folder_with_configuration(self):
    scratch = Scratch('milter')
    self.folder = scratch.path
    self.binary = in_reach(scratch)
    self.make_files()
    yield
    end_all_descendants()
    scratch.remove()

  def make_files(self):
    self.run_folder = self.folder / 'run'
    self.run_folder.mkdir()
    self.socket = self.run_folder / 'socket'
    self.pid_file = self.run_folder / 'pid'
    self.log = self.folder / 'log'
    self.keys = write_keys(self.folder / 'keys')
    self.config = self.folder / 'milter.conf'
    self.options = {'socket': f'unix:{self.socket}', 'pid-file': self.pid_file, 'log': self.log,
                    'tag-keys': self.keys}
    self.configure(IGNORE)

  def configure(self, rules: str, **options: str):
    """In place of what is there; an option with the value '' is left out."""
    lines = self.options | {name.replace('_', '-'): text for name, text in options.items()}
    made = self.folder / 'new'
    made.write_text(''.join(f'{name} = {text}\n' for name, text in lines.items() if text) + rules)
    if self.config.is_dir() and not self.config.is_symlink():
      self.config.rmdir()
    made.rename(self.config)

  def run_milter(self, *words: str, config: str = '', **how) -> tuple[int, str]:
    """Status and output of what was started, which has ended or is in the background."""
    # Files: a pipe would stay open as long as the milter serves.
    with tempfile.TemporaryFile() as output:
      how = {'stdin': output, 'stdout': output, 'stderr': output} | how
      ran = subprocess.run([self.binary, f'--config={config or self.config}', *words], timeout=60,
                           **how)
      output.seek(0)
      return ran.returncode, output.read().decode(errors='replace')

  def start(self, *words: str, **how) -> int:
    """In the background; its process id."""
    assert self.run_milter(*words, **how) == (0, '')
    # Without a wait: the parent has ended, so all is there.
    return int(self.pid_file.read_text())

  def refused(self, why: str, *words: str, **how):
    status, output = self.run_milter(*words, **how)
    assert status == EX_CONFIG, output
    assert why in output

  def end(self, pid: int, number: int = signal.SIGTERM) -> int:
    """The exit status; -9 for one that was killed by signal 9."""
    os.kill(pid, number)
    return self.reap(pid)

  def reap(self, pid: int) -> int:
    _, status = wait_until(lambda: ended if (ended := os.waitpid(pid, os.WNOHANG))[0] else None,
                           'the milter ends')
    return os.waitstatus_to_exitcode(status)

  def quota(self) -> str:
    """Of the tag that a message gets now."""
    session = Session(str(self.socket))
    session.client(CLIENT)
    answer = session.ask(Message('q1', 'a@example.org',
                                 [Recipient('bob@store.test', 'bob', 'cyrusv2')]))
    session.close()
    return tags.verify(answer.edits[0].value, KEYS, '', 'q1').quota

  def lines(self, *having: str) -> list[str]:
    if self.pid_file.exists():
      log_is_written(int(self.pid_file.read_text()))
    text = self.log.read_text() if self.log.exists() else ''
    return [line for line in text.splitlines() if all(word in line for word in having)]

  def hang_up(self, pid: int) -> list[str]:
    """The lines that come of a SIGHUP, up to the one on its outcome; those of each rule follow
    later, and are left out."""
    before = len(self.lines())
    reloads = len(self.lines('event=reload'))
    os.kill(pid, signal.SIGHUP)
    wait_until(lambda: len(self.lines('event=reload')) > reloads, 'the outcome is logged')
    return [line for line in self.lines()[before:] if 'event=rule-settings ' not in line]

  def reloads_well(self, pid: int, rules: str = HONOUR):
    self.configure(rules)
    logged = self.hang_up(pid)
    assert 'event=reloaded rules=1 keys=1' in logged[0]
    assert self.quota() == ('-' if rules == HONOUR else '*')
