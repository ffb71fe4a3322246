"""What the test classes share: a store, a Sendmail for each test, and the words of assertions.

What it is: a unittest.TestCase with the rig. A class has one store; each test has its own
  mailboxes and its own Sendmail (queue, log, lmtpq's log), so that no test sees another's mail.
Failure: the scratch folder of a class with a failed test is kept, and its path printed.
"""

import itertools
import os
import unittest

from . import mailers
from .lmtp_store import LmtpStore, fields_of
from .messages import delivery_statuses
from .process import descendants, end_all_descendants, program_of, wait_until
from .scratch import Scratch
from .sendmail import Sendmail
from .store import Store

SANITIZER = 'a sanitizer reported:'


class MailCase(unittest.TestCase):
  make_store: type[Store] = LmtpStore
  weight = 1  # heavier classes start first
  scratch: Scratch
  store: Store

  @classmethod
  def setUpClass(cls):
    cls.scratch = Scratch(cls.__name__)
    cls.serial = itertools.count(1)
    cls.lmtpq = mailers.in_reach(cls.scratch)
    cls.store = cls.make_store(cls.scratch)
    cls.store.start()
    cls.store.add_mailbox('postmaster')

  @classmethod
  def tearDownClass(cls):
    try:
      cls.store.stop()
    finally:
      end_all_descendants()
      cls.scratch.remove()

  def setUp(self):
    self.number = next(self.serial)
    self.log = self.scratch.path / f'lmtpq{self.number}.log'
    self.sender = f'{self.mailbox("sender")}@mail.test'
    self.sendmail: Sendmail | None = None

  def tearDown(self):
    if self.sendmail:
      self.sendmail.stop()
    reports = list(self.scratch.path.glob('sanitizer/report*'))
    if reports:
      text = reports[0].read_text(errors='replace')
      for path in reports:
        path.rename(path.with_name(f'seen-{self.number}-{path.name}'))
      self.fail(f'{SANITIZER} {text[:3000]}')

  def mailbox(self, name: str) -> str:
    """A new and empty mailbox, and its name in this test."""
    user = f'{name}{self.number}'
    self.store.add_mailbox(user)
    return user

  def full_mailbox(self, name: str = 'full') -> str:
    user = self.mailbox(name)
    self.store.fill(user)
    return user

  def with_lmtpq(self, arguments: str = '', options: str = '', **knobs) -> Sendmail:
    """This test's Sendmail: see mailers.lmtpq() for the knobs."""
    address = knobs.pop('address', self.store.address)
    program = knobs.pop('program', self.lmtpq)
    return self.with_mailers(
        mailers.lmtpq(address, self.log, arguments, program=program, **knobs), options)

  def with_mailers(self, lines: str, options: str = '', **more) -> Sendmail:
    self.sendmail = Sendmail(self.scratch, f'mta{self.number}', lines, options, **more)
    return self.sendmail

  def send(self, raw: bytes, *users: str, domain: str = 'store.test', **more) -> str:
    """Queued, not delivered; the queue id."""
    return self.sendmail.submit(raw, *(f'{user}@{domain}' for user in users),
                                **{'sender': self.sender} | more)

  # What must hold.

  def assert_sent(self, qid: str, user: str):
    # Not its dsn=: when recipients differ after the dot, Sendmail logs the last reply's status
    # for those that were sent (with its stock mailer too).
    self.assert_end(qid, user, 'Sent', '')

  def assert_deferred(self, qid: str, user: str, status: str, text: str = ''):
    self.assert_end(qid, user, 'Deferred', status, text)
    self.assertIn(qid, self.sendmail.queued(), 'a deferred message is still in the queue')

  def assert_bounced(self, qid: str, user: str, status: str, text: str = ''):
    """The log says so, and the sender has a DSN with the store's own status and text."""
    end = self.sendmail.delivery(qid, user)
    self.assertTrue(end.dsn.startswith(status), f'dsn {end.dsn} is not {status}: {end.line}')
    self.assertNotIn('Deferred', end.stat, end.line)
    self.assertNotIn('Sent', end.stat, end.line)
    block = self.dsn_for(user)
    self.assertEqual(block['Action'], 'failed')
    self.assertTrue(block['Status'].startswith(status), f'Status: {block["Status"]}')
    self.assertIn(text, ' '.join(block['Diagnostic-Code'].split()))

  def dsn_for(self, user: str):
    """The block of the newest DSN in the sender's mailbox that is about this user."""
    seen = []
    for raw in self.store.messages(self.sender.partition('@')[0]):
      seen += delivery_statuses(raw)
    blocks = [block for block in seen if f'{user}@' in block['Final-Recipient']]
    self.assertTrue(blocks, f'no DSN for {user} among {[str(block) for block in seen]}')
    return blocks[-1]

  def assert_end(self, qid: str, user: str, stat: str, status: str, text: str = ''):
    end = self.sendmail.delivery(qid, user)
    self.assertTrue(end.stat.startswith(stat), f'{stat} was expected: {end.line}')
    self.assertTrue(end.dsn.startswith(status), f'dsn={status} was expected: {end.line}')
    self.assertIn(text.lower(), end.line.lower())

  def assert_queue_empty(self):
    self.assertEqual(self.sendmail.queued(), set(), self.sendmail.mailq())

  # What lmtpq says and does.

  def lmtpq_lines(self, having: str = '') -> list[dict[str, str]]:
    text = self.log.read_text(errors='replace') if self.log.exists() else ''
    return [fields_of(line) for line in text.splitlines() if having in line]

  def recipient_lines(self, qid: str) -> list[dict[str, str]]:
    """lmtpq's word on each recipient of one message."""
    return [line for line in self.lmtpq_lines() if line.get('qid') == qid and 'to' in line]

  def lmtpq_pids(self) -> list[int]:
    """Those that run now and have become lmtpq (a fork of Sendmail is not it yet)."""
    return [pid for pid in descendants(os.getpid()) if program_of(pid) == str(self.lmtpq)]

  def wait_for_lmtpq(self) -> int:
    return wait_until(self.lmtpq_pids, 'lmtpq runs')[0]

  def wait_for_log(self, words: str, count: int = 1, seconds: float = 30):
    wait_until(lambda: len(self.sendmail.log_lines(words)) >= count,
               f'{count} lines of Sendmail with "{words}"', seconds)
