"""A private lmtpq-milter, and the .mc line by which a private Sendmail asks it.

What it is: the milter's configuration, its keys, its log and its process; `milter_keys` is what it
  signs with and `mailer_keys` what lmtpq verifies with, two files with the same key at first.
What it does not know: Sendmail's mailers (mailers.py), what a rule means.
Lifetimes: start(), stop() and kill() any number of times; reload() comes back when the milter says
  that it has the new configuration.
"""

import base64
import os
import re
import shutil
import signal
from pathlib import Path

from .lmtp_store import fields_of
from .mailers import ROOT
from .process import HasServer, Server, send_signal, wait_until
from .scratch import Scratch, unix_listens

MILTER = Path(os.environ.get('LMTPQ_MILTER', ROOT / 'build' / 'lmtpq-milter')).resolve()
FEATURE = ROOT / 'cf/feature/lmtpq_milter.m4'

CONF = """socket = unix:@DIR@/socket
log = @DIR@/milter.log
tag-keys = @DIR@/milter.keys
@OPTIONS@
@RULES@
"""


def in_reach(scratch: Scratch) -> Path:
  """A copy, so that a build during the run changes nothing."""
  place = scratch.path / 'lmtpq-milter'
  return place if place.exists() else Path(shutil.copy(MILTER, place))


def new_key(name: str) -> str:
  """A line of a key file, as lmtpq keygen prints it."""
  return f'{name} {base64.b64encode(os.urandom(32)).decode()}\n'


def write_keys(path: Path, *lines: str):
  """In place of what is there, in one step."""
  made = path.with_suffix('.new')
  made.touch(mode=0o600)
  made.write_text(''.join(lines))
  made.rename(path)


def filter_lines(socket: str, failure: str = '') -> str:
  """For an .mc file; failure is '' or the letter of F=. FILTER_BY_HAND=1: without our feature."""
  if 'FILTER_BY_HAND' in os.environ:
    flag = f'F={failure}, ' if failure else ''
    return f"INPUT_MAIL_FILTER(`lmtpq', `S={socket}, {flag}T=C:10s;S:10s;R:10s;E:30s')\n"
  # FEATURE looks below Sendmail's own cf/feature only.
  place = '../' * 12 + str(FEATURE.with_suffix('')).lstrip('/')
  return f"FEATURE(`{place}', `{socket}', `{failure}')\n"


class Milter(HasServer):
  def __init__(self, scratch: Scratch, name: str, rules: str = '', options: str = ''):
    self.dir = scratch.folder(name)
    self.program = in_reach(scratch)
    self.conf = self.dir / 'milter.conf'
    self.log = self.dir / 'milter.log'
    self.milter_keys = self.dir / 'milter.keys'
    self.mailer_keys = self.dir / 'mailer.keys'
    self.key = new_key('first')
    self.options = options
    self.rules = rules
    # The reports of a sanitizer build.
    reports = scratch.path / 'sanitizer'
    self.environment = os.environ | {
        name: f'log_path={reports}/report:{os.environ.get(name, "")}'
        for name in ('ASAN_OPTIONS', 'UBSAN_OPTIONS', 'TSAN_OPTIONS')}
    for path in (self.milter_keys, self.mailer_keys):
      write_keys(path, self.key)
    self.write_conf()

  @property
  def socket(self) -> str:
    return f'unix:{self.dir}/socket'

  def write_conf(self):
    text = (CONF.replace('@OPTIONS@', self.options).replace('@RULES@', self.rules)
            .replace('@DIR@', str(self.dir)))
    made = self.conf.with_suffix('.new')
    made.write_text(text)
    made.rename(self.conf)

  def start(self):
    self.server = Server([self.program, '--config', self.conf, '--foreground'],
                         self.dir / 'milter.out', self.environment)
    self.server.wait_ready(lambda: unix_listens(self.dir / 'socket'), 'the milter listens')

  def pause(self):
    send_signal(self.server.pid, signal.SIGSTOP)

  def resume(self):
    send_signal(self.server.pid, signal.SIGCONT)

  def hang_up(self):
    """SIGHUP, without a wait for what comes of it."""
    send_signal(self.server.pid, signal.SIGHUP)

  def reload(self):
    before = len(self.reloads())
    self.write_conf()
    self.hang_up()
    wait_until(lambda: len(self.reloads()) > before, 'the milter has reloaded')

  def reloads(self) -> list[str]:
    return re.findall(r'.*reload.*', self.log_text())

  def log_text(self) -> str:
    return self.log.read_text(errors='replace') if self.log.exists() else ''

  def log_lines(self, having: str = '') -> list[dict[str, str]]:
    return [fields_of(line) for line in self.log_text().splitlines() if having in line]

  def word_on(self, qid: str) -> dict[str, str]:
    """Its line on one message."""
    lines = [line for line in self.log_lines(f'qid={qid} ') if 'tagged' in line]
    if len(lines) != 1:
      raise AssertionError(f'{len(lines)} lines of the milter on {qid}: {self.log_text()}')
    return lines[0]
