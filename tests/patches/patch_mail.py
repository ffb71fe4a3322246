"""What the test classes share: binaries, mailer lines, and what the patch adds to the log.

What it is: a Mail whose Sendmail is the binary under test, with the .cf made by the m4 files of its
  source tree.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from fixtures.mail import Mail
from fixtures.mailers import arguments_of
from fixtures.messages import message
from fixtures.scratch import Scratch
from fixtures.sendmail import Delivery, Sendmail
from fixtures.store import Store

CYRUSV2_FLAGS = 'lsDFMnqXzA@/:|m'  # as cf/mailer/cyrusv2.m4 has them


@dataclass
class Tested:
  """The options of the command line: see conftest.py."""
  patched: Path
  stock: Path
  version: str
  tree: Path


def mailer(address: str, flags: str = '', name: str = 'cyrusv2', equates: str = '',
           base: str = CYRUSV2_FLAGS, path: str = '[IPC]', arguments: str = '') -> str:
  """An M line as MAILER(`cyrusv2') makes it. equates: such as 'r=200, '."""
  return ('MAILER_DEFINITIONS\n'
          f'M{name},\tP={path}, F={base}{flags}, S=EnvFromSMTP/HdrFromL, R=EnvToL/HdrToL,\n'
          f'\t\tE=\\r\\n, {equates}T=DNS/RFC822/SMTP, A={arguments or arguments_of(address)}\n')


def log_fields(end: Delivery) -> dict[str, str]:
  """The fields of a to= line in front of stat=."""
  head = end.line.partition(', stat=')[0]
  return dict(re.findall(r'(?:, |: )(\w+)=((?:(?!, \w+=).)*)', head))


class PatchMail(Mail):
  def __init__(self, scratch: Scratch, store: Store, tested: Tested):
    super().__init__(scratch, store)
    self.tested = tested
    self.instances = 0

  def with_mailers(self, lines: str, options: str = '', binary: Path | None = None,
                   **more) -> Sendmail:
    """Another one ends the one before; its number keeps their folders apart."""
    if self.sendmail:
      self.sendmail.stop()
    self.instances += 1
    self.sendmail = Sendmail(self.scratch, f'mta{self.number}{self.instances:02}', lines, options,
                             **{'quota_mailer': 'cyrusv2', 'binary': binary or self.tested.patched,
                                'cf_folder': f'{self.tested.tree}/cf'} | more)
    return self.sendmail

  def with_flags(self, flags: str, options: str = '', binary: Path | None = None, address: str = '',
                 **knobs) -> Sendmail:
    """cyrusv2 with these flags added."""
    return self.with_mailers(mailer(address or self.store.address, flags, **knobs), options, binary)

  def send_sized(self, number: int, *users: str, **more) -> str:
    """The larger the number the later in a queue run, which goes by size."""
    raw = message(b'x' * 60 + b'\r\n' + b'y' * 70 * number + b'\r\n', f'message {number}')
    return self.send(raw, *users, **more)

  def fields(self, qid: str, user: str) -> dict[str, str]:
    return log_fields(self.sendmail.delivery(qid, user))

  def ends(self, qid: str = '') -> list[Delivery]:
    """Of every recipient that was tried."""
    return [one for one in self.sendmail.deliveries(qid) if one.stat != 'queued']

  def assert_ignorequota(self, qid: str, user: str, word: str | None):
    end = self.sendmail.delivery(qid, user)
    assert log_fields(end).get('ignorequota') == word, end.line
