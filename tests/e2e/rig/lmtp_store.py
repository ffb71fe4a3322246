"""Our own small store (tests/peers/store), the only one of the three that has TRACE.

Knobs: `options` are further command line options, taken at the next start().
Failure: it keeps a log of each session; the sanitizers of a sanitizer build write there too.
"""

import os
import re
import shlex
from pathlib import Path

from .mailers import ROOT
from .process import Server
from .scratch import Scratch
from .store import Store, read_maildir

STORE_BIN = Path(os.environ.get('STORE_BIN', ROOT / 'build/tests/store')).resolve()


class LmtpStore(Store):
  name = 'store'
  ignores_quota = True
  has_trace = True
  unknown_user = 'Mailbox unknown'
  over_quota = 'Over quota'

  def __init__(self, scratch: Scratch, name: str = 'store'):
    super().__init__(scratch.folder(name))
    self.log = self.dir / 'store.log'
    self.mail = self.dir / 'mail'
    self.mail.mkdir()
    self.options: list[str] = []
    self.by_tcp = False  # which of its two addresses `address` answers
    self.tcp_address = 'inet:127.0.0.1:0'

  @property
  def address(self) -> str:
    return self.tcp_address if self.by_tcp else f'unix:{self.dir}/lmtp'

  def start(self):
    output = self.dir / 'store.out'
    output.unlink(missing_ok=True)
    (self.dir / 'lmtp').unlink(missing_ok=True)  # what a kill -9 leaves
    over_quota = ['--over-quota=552'] if self.permanent else []
    mask = os.umask(0)  # the mailer that connects is another user
    try:
      self.server = Server([STORE_BIN, '--listen', f'unix:{self.dir}/lmtp', '--listen',
                            self.tcp_address, '--dir', self.mail, '--log', self.log,
                            *over_quota, *self.options], output)
    finally:
      os.umask(mask)
    self.server.wait_ready(lambda: 'ready ' in output.read_text(), 'the store is ready')
    # A restart listens on the port that the first start was given.
    self.tcp_address = re.search(r'inet:\S+', output.read_text()).group()

  def add_mailbox(self, user: str):
    (self.mail / user).mkdir()

  def fill(self, user: str):
    (self.mail / user / 'cur').mkdir(parents=True, exist_ok=True)
    (self.mail / user / 'cur' / '1.ballast').write_bytes(b'x' * 2000)
    (self.mail / user / 'quota').write_text('1000\n')

  def make_room(self, user: str):
    (self.mail / user / 'quota').write_text('1000000000\n')

  def messages(self, user: str) -> list[bytes]:
    return read_maildir(self.mail / user)

  def log_text(self) -> str:
    return self.log.read_text(errors='replace') if self.log.exists() else ''

  def log_lines(self, having: str = '') -> list[dict[str, str]]:
    return [fields_of(line) for line in self.log_text().splitlines() if having in line]


def fields_of(line: str) -> dict[str, str]:
  """The key=value pairs of a logfmt line; also its `pid`, and the whole `line`."""
  pairs = re.findall(r'(\S+?)=("(?:[^"\\]|\\.)*"|\S*)', line)
  pid = re.search(r'\[(\d+)\]: ', line)
  fields = {'line': line, 'pid': pid.group(1) if pid else ''}
  for key, value in pairs:
    fields[key] = shlex.split(value)[0] if value.startswith('"') else value
  return fields
