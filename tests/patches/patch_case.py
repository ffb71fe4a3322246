"""What the test classes share: binaries, mailer lines, and what the patch adds to the log.

What it is: a MailCase whose Sendmail is the binary under test, with the .cf made
  by the m4 files of its own source tree.
Called by: run, which sets PATCHED, STOCK, VERSION and TREE before the classes are loaded.
"""

import itertools
import re
from pathlib import Path

from fixtures.case import MailCase
from fixtures.mailers import arguments_of
from fixtures.messages import message
from fixtures.scratch import Scratch
from fixtures.sendmail import Delivery, Sendmail

CYRUSV2_FLAGS = 'lsDFMnqXzA@/:|m'  # as cf/mailer/cyrusv2.m4 has them


class Tested:
  """Set once, by run."""
  patched: Path
  stock: Path
  version = ''
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


class PatchCase(MailCase):
  @classmethod
  def setUpClass(cls):
    cls.scratch = Scratch(f'p-{cls.__name__}')
    cls.serial = itertools.count(1)
    cls.store = cls.make_store(cls.scratch)
    cls.prepare_store()
    cls.store.start()
    cls.store.add_mailbox('postmaster')

  @classmethod
  def prepare_store(cls):
    """Before it starts for the first time."""

  def with_mailers(self, lines: str, options: str = '', binary: Path | None = None,
                   **more) -> Sendmail:
    """Another one ends the one before; its number keeps their folders apart."""
    if self.sendmail:
      self.sendmail.stop()
    self.instance = getattr(self, 'instance', 0) + 1
    self.sendmail = Sendmail(self.scratch, f'mta{self.number}{self.instance:02}', lines, options,
                             **{'quota_mailer': 'cyrusv2', 'binary': binary or Tested.patched,
                                'cf_folder': f'{Tested.tree}/cf'} | more)
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
    self.assertEqual(log_fields(end).get('ignorequota'), word, end.line)
