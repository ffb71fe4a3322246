"""The daemon, `lmtpq serve`, with a configuration file and a log of its own.

What it is: one configuration, and any number of processes after one another that run with it.
What it does not know: stores, clients.
Called by: the cases of tests/e2e, and the suites of tests/serve.
Lifetimes: start(), then stop(), kill() or terminate() and wait(); again over the same files.
Failure: AssertionError with what the daemon said.
"""

import os
import signal
from pathlib import Path

from .mailers import LMTPQ, ROOT
from .process import HasServer, Server, send_signal

SANITIZERS = ('ThreadSanitizer', 'AddressSanitizer', 'LeakSanitizer', 'runtime error:')
TSAN = f'exitcode=66:suppressions={ROOT}/tests/serve/tsan.suppressions'


class Serve(HasServer):
  def __init__(self, folder: Path, text: str = '', program: Path = LMTPQ,
               environment: dict[str, str] | None = None):
    folder.mkdir(exist_ok=True)
    self.folder = folder
    self.program = program
    self.environment = os.environ | {'TSAN_OPTIONS': TSAN} | (environment or {})
    self.config = folder / 'lmtpq.conf'
    self.log = folder / 'lmtpq.log'
    self.output = folder / 'output'
    self.before: list[str] = []  # words before the command: what starts it in another world
    self.pass_fds: tuple[int, ...] = ()
    self.write(text)

  def write(self, text: str):
    """The configuration, in place of what is there, in one step."""
    made = self.folder / 'made'
    made.write_text(f'log = {self.log}\ntag-keys = none\ncontrol = {self.folder}/control\n{text}')
    made.rename(self.config)

  def start(self, *arguments: str, seconds: float = 20):
    """Comes back when it can be dialled."""
    said = self.count('event=serving')
    self.server = Server([*self.before, self.program, 'serve', '--config', self.config, *arguments],
                         self.output, self.environment, self.pass_fds)
    self.server.wait_ready(lambda: self.count('event=serving') > said, 'lmtpq serve', seconds)

  @property
  def pid(self) -> int:
    return self.server.pid

  def alive(self) -> bool:
    return self.server is not None and self.server.child.poll() is None

  def hang_up(self):
    send_signal(self.pid, signal.SIGHUP)

  def terminate(self):
    """Told to stop; it may take its time: see wait()."""
    send_signal(self.pid, signal.SIGTERM)

  def wait(self, seconds: float = 20) -> int:
    """Its exit status."""
    status = self.server.child.wait(seconds)
    self.server = None
    return status

  def log_text(self) -> str:
    return self.log.read_text(errors='replace') if self.log.exists() else ''

  def log_lines(self, having: str = '') -> list[str]:
    return [line for line in self.log_text().splitlines() if having in line]

  def count(self, having: str) -> int:
    return self.log_text().count(having)

  def sanitizers(self) -> str:
    """What a sanitizer build's said of it; '' is well."""
    said = self.output.read_text(errors='replace') if self.output.exists() else ''
    return said[:20000] if any(word in said for word in SANITIZERS) else ''
