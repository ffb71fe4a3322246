"""lmtpq deliver and lmtpq probe against the real stores, without Sendmail."""

import json
import subprocess

from fixtures.case import MailCase
from fixtures.cyrus import Cyrus
from fixtures.dovecot import Dovecot
from fixtures.messages import body_of, message, message_id


class CommandCases:
  def lmtpq_run(self, command: str, *words: str, given: bytes = b'') -> tuple[int, str]:
    """Exit status, and what it printed."""
    empty = self.scratch.path / 'empty.conf'
    empty.touch()
    ran = subprocess.run([self.lmtpq, command, f'--config={empty}', f'--log={self.log}', *words],
                         input=given, capture_output=True, timeout=60)
    return ran.returncode, (ran.stdout + ran.stderr).decode()

  def deliver(self, raw: bytes, *users: str, options: tuple[str, ...] = ()) -> tuple[int, str]:
    # As a script would: lines end in LF.
    return self.lmtpq_run('deliver', *options, '-d', self.store.address, '-f', self.sender, '--',
                          *users, given=raw.replace(b'\r\n', b'\n'))

  def test_deliver_files_a_message_and_exits_0(self):
    user = self.mailbox('alice')
    raw = message(b'.\r\n..\r\nQUIT\r\n' + b'\xc3\xa4' * 400 + b'\r\n')
    status, said = self.deliver(raw, user)
    self.assertEqual(status, 0, said)
    self.assertEqual(len(said.splitlines()), 1, said)
    self.assertIn(user, said)
    filed = self.store.messages(user)
    self.assertEqual([message_id(one) for one in filed], [message_id(raw)])
    self.assertEqual(body_of(filed[0]), body_of(raw))

  def test_deliver_to_an_unknown_user_exits_67(self):
    status, said = self.deliver(message(), 'stranger')
    self.assertEqual(status, 67, said)
    self.assertIn(self.store.unknown_user, said)

  def test_deliver_to_a_full_mailbox_exits_75(self):
    user = self.full_mailbox()
    status, said = self.deliver(message(), user)
    self.assertEqual(status, 75, said)
    self.assertIn(self.store.over_quota, said)
    self.assertEqual(self.store.messages(user), [])

  def test_deliver_with_q_files_into_a_full_mailbox_where_the_store_can(self):
    user = self.full_mailbox()
    status, said = self.deliver(message(), user, options=('-Q',))
    self.assertEqual(status, 0 if self.store.ignores_quota else 75, said)
    self.assertEqual(len(self.store.messages(user)), 1 if self.store.ignores_quota else 0)

  def test_deliver_to_three_says_one_line_for_each_and_exits_75_if_one_may_be_tried_again(self):
    alice, full = self.mailbox('alice'), self.full_mailbox()
    status, said = self.deliver(message(), alice, full, 'stranger')
    self.assertEqual(status, 75, said)
    lines = said.splitlines()
    self.assertEqual(len(lines), 3, said)
    for user, line in zip((alice, full, 'stranger'), lines):
      self.assertIn(user, line)
    self.assertEqual(len(self.store.messages(alice)), 1)

  def test_deliver_to_a_store_that_is_down_exits_75(self):
    user = self.mailbox('alice')
    self.store.stop()
    try:
      status, said = self.deliver(message(), user)
    finally:
      self.store.start()
    self.assertEqual(status, 75, said)
    self.assertEqual(self.store.messages(user), [])

  def test_probe_tells_what_the_store_can_do(self):
    status, said = self.lmtpq_run('probe', '--json', self.store.address)
    self.assertEqual(status, 0, said)
    told = json.loads(said)
    self.assertEqual(told['IGNOREQUOTA'], self.store.ignores_quota, said)
    self.assertEqual(told['TRACE'], self.store.has_trace, said)

  def test_probe_of_a_store_that_is_down_exits_69(self):
    self.store.stop()
    try:
      status, said = self.lmtpq_run('probe', self.store.address)
    finally:
      self.store.start()
    self.assertEqual(status, 69, said)


class CommandsWithCyrus(CommandCases, MailCase):
  make_store = Cyrus

  def test_probe_of_a_full_mailbox_says_over_quota(self):
    status, said = self.lmtpq_run('probe', '--rcpt', self.full_mailbox(), self.store.address)
    self.assertEqual(status, 0, said)
    self.assertIn('over quota', said)


class CommandsWithDovecot(CommandCases, MailCase):
  make_store = Dovecot


class CommandsWithStore(CommandCases, MailCase):
  pass
