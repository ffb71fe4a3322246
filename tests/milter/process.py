"""The milter as a process of its own: a folder, a configuration, and whatever is started in it.

What it is: Process, the base of the classes that daemon plays; it ends what a case has started.
What it does not know: what is tested.
Called by: starts.py, reloads.py; daemon sets the binary, which every user must reach, and becomes
  the reaper of what goes into the background.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

from mta import tags
from mta.session import Message, Recipient, Session
from fixtures.process import end_all_descendants

from cases import wait_until
from private import KEYS, write_keys

EX_SOFTWARE, EX_CONFIG = 70, 78
IS_ROOT = os.geteuid() == 0
OTHER_USER = 'nobody'
CLIENT = '192.0.2.7'
IGNORE = '[rule.ours]\nclient = 192.0.2.0/24\nquota = ignore\n'
HONOUR = IGNORE.replace('ignore', 'honour')

needs_root = unittest.skipUnless(IS_ROOT, 'only root can become another user')


class Process(unittest.TestCase):
  """A folder with a configuration, and whatever was started in it."""
  binary = ''

  def setUp(self):
    self.folder = Path(tempfile.mkdtemp(prefix='lmtpq-daemon.'))
    self.folder.chmod(0o755)  # also for the user that the milter becomes
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

  def tearDown(self):
    end_all_descendants()
    shutil.rmtree(self.folder)

  def configure(self, rules: str, **options: str):
    """In place of what is there; an option with the value '' is left out."""
    lines = self.options | {name.replace('_', '-'): text for name, text in options.items()}
    made = self.folder / 'new'
    made.write_text(''.join(f'{name} = {text}\n' for name, text in lines.items() if text) + rules)
    if self.config.is_dir() and not self.config.is_symlink():
      self.config.rmdir()
    made.rename(self.config)

  def run_milter(self, *words: str, config: str = '', **how) -> tuple[int, str]:
    """Status and words of what was started, which has ended or is in the background."""
    # Files: a pipe would stay open as long as the milter serves.
    with tempfile.TemporaryFile() as said:
      how = {'stdin': said, 'stdout': said, 'stderr': said} | how
      ran = subprocess.run([self.binary, f'--config={config or self.config}', *words], timeout=10,
                           **how)
      said.seek(0)
      return ran.returncode, said.read().decode(errors='replace')

  def start(self, *words: str, **how) -> int:
    """In the background; its process id."""
    self.assertEqual(self.run_milter(*words, **how), (0, ''))
    # Without a wait: the parent has ended, so all is there.
    return int(self.pid_file.read_text())

  def refused(self, why: str, *words: str, **how):
    status, said = self.run_milter(*words, **how)
    self.assertEqual(status, EX_CONFIG, said)
    self.assertIn(why, said)

  def end(self, pid: int, number: int = signal.SIGTERM) -> int:
    """The exit status; -9 for one that was killed by signal 9."""
    os.kill(pid, number)
    return self.reap(pid)

  def reap(self, pid: int) -> int:
    _, status = wait_until(lambda: ended if (ended := os.waitpid(pid, os.WNOHANG))[0] else None,
                           'the milter ends')
    return os.waitstatus_to_exitcode(status)

  def quota(self) -> str:
    """What the tag of a message says that is asked for now."""
    session = Session(str(self.socket))
    session.client(CLIENT)
    answer = session.ask(Message('q1', 'a@example.org',
                                 [Recipient('bob@store.test', 'bob', 'cyrusv2')]))
    session.close()
    return tags.verify(answer.edits[0].value, KEYS, '', 'q1').quota

  def lines(self, *having: str) -> list[str]:
    text = self.log.read_text() if self.log.exists() else ''
    return [line for line in text.splitlines() if all(word in line for word in having)]

  def hang_up(self, pid: int) -> list[str]:
    """The lines that come of a SIGHUP, up to the one on its outcome."""
    before = len(self.lines())
    told = len(self.lines('event=reload'))
    os.kill(pid, signal.SIGHUP)
    wait_until(lambda: len(self.lines('event=reload')) > told, 'a reload is told')
    return self.lines()[before:]

  def reloads_well(self, pid: int, rules: str = HONOUR):
    self.configure(rules)
    said = self.hang_up(pid)
    self.assertIn('event=reload rules=1 keys=1', said[0])
    self.assertEqual(self.quota(), '-' if rules == HONOUR else '*')
