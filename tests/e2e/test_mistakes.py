"""A mistake in the configuration costs time, never mail, and tells the admin what is wrong."""

import grp
import os
import pwd
from pathlib import Path

from fixtures.case import MailCase
from fixtures.messages import body_of, message, message_id
from fixtures.process import wait_until

LARGE = b'x' * 70 + b'\r\n' * 200_000  # more than is kept in memory


class Mistakes(MailCase):
  def mistaken_option(self, option: str, text: str, mend=None, body: bytes = b'Hello.\r\n'):
    """The option among lmtpq's arguments is mended by mend(), or by taking it out."""
    self.with_lmtpq(option)
    self.deferred_then_filed(text, mend or (lambda: self.sendmail.edit_cf(option, '')), body)

  def deferred_then_filed(self, text: str, mend, body: bytes = b'Hello.\r\n'):
    """The admin reads `text` in Sendmail's log, and mends it: then the mail is filed, once."""
    users = [self.mailbox('alice'), self.mailbox('bob')]
    raw = message(body)
    qid = self.send(raw, *users)
    self.sendmail.run_queue()
    for user in users:
      self.assert_deferred(qid, user, '4.', text)
    self.assertIn('(Deferred: 4', self.sendmail.mailq())
    self.assertEqual(self.store.messages(users[0]), [])

    mend()
    self.sendmail.run_queue()
    self.assert_queue_empty()
    for user in users:
      self.assert_sent(qid, user)
      filed = self.store.messages(user)
      self.assertEqual([message_id(one) for one in filed], [message_id(raw)])
      self.assertTrue(body_of(filed[0]) == body)
    bounces = self.store.messages(self.sender.partition('@')[0])
    self.assertEqual(bounces, [], 'nothing bounced')

  def test_an_unknown_option_defers(self):
    self.mistaken_option('--no-such-option', 'no-such-option')

  def test_a_value_that_makes_no_sense_defers(self):
    self.mistaken_option('--ignore-quota=perhaps', 'ignore-quota')

  def test_a_timeout_without_a_number_defers(self):
    self.mistaken_option('--connect-timeout=soon', 'connect-timeout')

  def test_a_configuration_that_does_not_exist_defers(self):
    path = self.scratch.path / 'missing.conf'
    self.mistaken_option(f'--config={path}', str(path.name))

  def test_a_configuration_that_cannot_be_read_defers(self):
    path = self.scratch.path / 'secret.conf'
    path.write_text('log-level = info\n')
    path.chmod(0o600)
    self.mistaken_option(f'--config={path}', path.name, lambda: path.chmod(0o644))

  def test_an_unknown_key_in_the_configuration_defers(self):
    path = self.scratch.path / 'wrong.conf'
    path.write_text('lgo-level = info\n')
    path.chmod(0o644)
    self.mistaken_option(f'--config={path}', 'lgo-level',
                         lambda: path.write_text('log-level = info\n'))

  def test_a_spool_folder_that_does_not_exist_defers_a_message_that_needs_it(self):
    path = self.scratch.path / 'nowhere'
    self.mistaken_option(f'--spool-dir={path}', path.name, body=LARGE)

  def test_a_spool_folder_that_cannot_be_written_defers_a_message_that_needs_it(self):
    path = self.scratch.folder('readonly', 0o555)
    self.mistaken_option(f'--spool-dir={path}', path.name, lambda: path.chmod(0o777), LARGE)

  def test_an_unknown_user_to_run_as_defers(self):
    self.mistaken_option('--user=nosuchuser', 'nosuchuser')

  def test_a_destination_that_is_none_defers(self):
    self.with_lmtpq(knobs="define(`LMTPQ_MAILER_FALLBACK', `carrier:pigeon:99999')")
    self.deferred_then_filed('pigeon',
                             lambda: self.sendmail.edit_cf(' carrier:pigeon:99999', ''))

  def test_no_destination_at_all_defers(self):
    self.with_lmtpq()
    self.sendmail.edit_cf(f' {self.store.address}', '')
    self.deferred_then_filed('destination', lambda: self.sendmail.edit_cf(
        'A=lmtpq relay', f'A=lmtpq relay {self.store.address}'))

  def test_a_host_that_does_not_exist_defers(self):
    self.with_lmtpq(address='inet:no.such.host.invalid:24')
    self.deferred_then_filed('no.such.host.invalid', lambda: self.sendmail.edit_cf(
        'inet:no.such.host.invalid:24', self.store.address))

  def test_a_socket_that_does_not_exist_defers(self):
    missing = f'{self.store.address}.missing'
    self.with_lmtpq(address=missing)
    self.deferred_then_filed('No such file', lambda: self.sendmail.edit_cf(
        missing, self.store.address))

  def test_a_log_that_cannot_be_written_never_stops_mail(self):
    self.with_lmtpq(f'--log={self.scratch.path}/nowhere/lmtpq.log')
    user = self.mailbox('alice')
    qid = self.send(message(), user)
    self.sendmail.run_queue()
    self.assert_sent(qid, user)

  def test_the_log_on_standard_error_never_mixes_with_the_replies(self):
    self.with_lmtpq('--log=stderr --log-level=debug')
    alice, full = self.mailbox('alice'), self.full_mailbox()
    qids = [self.send(message(), alice, full, 'stranger') for _ in range(3)]
    self.sendmail.run_queue()
    for qid in qids:
      self.assert_sent(qid, alice)
      self.assert_deferred(qid, full, '4.2.2', self.store.over_quota)
      self.assert_bounced(qid, 'stranger', '5.1.1', self.store.unknown_user)


class Privileges(MailCase):
  def setUp(self):
    super().setUp()
    self.store.options = ['--delay-final', '1500']
    self.store.restart()

  def status_of_the_running_lmtpq(self) -> dict[str, list[str]]:
    user = self.mailbox('alice')
    qid = self.send(message(), user)
    run = self.sendmail.start_queue_run()
    pid = self.wait_for_lmtpq()
    # Connected to the store it is who it is going to be.
    wait_until(lambda: f'pid={pid}>' in self.store.log_text(), 'lmtpq is connected')
    status = dict(line.split(':', 1) for line in Path(f'/proc/{pid}/status').read_text()
                  .splitlines())
    run.child.wait(timeout=30)
    self.assert_sent(qid, user)
    return {key: status[key].split() for key in ('Uid', 'Gid', 'Groups', 'CapEff', 'CapPrm')}

  def assert_runs_as(self, name: str, group: str):
    user = pwd.getpwnam(name)
    gid = grp.getgrnam(group).gr_gid
    status = self.status_of_the_running_lmtpq()
    self.assertEqual(status['Uid'], [str(user.pw_uid)] * 4, 'real, effective, saved and fs')
    self.assertEqual(status['Gid'], [str(gid)] * 4)
    self.assertEqual(set(map(int, status['Groups'])), set(os.getgrouplist(name, gid)))
    self.assertEqual(int(status['CapEff'][0], 16), 0)
    self.assertEqual(int(status['CapPrm'][0], 16), 0)

  def test_lmtpq_becomes_the_user_of_the_m_line_for_good(self):
    self.with_lmtpq(user='cyrus:mail')
    self.assert_runs_as('cyrus', 'mail')

  def test_the_option_user_wins(self):
    self.with_lmtpq('--user=nobody', user='cyrus:mail')
    self.assert_runs_as('nobody', 'nogroup')
