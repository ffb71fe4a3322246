"""An error in the configuration delays mail and never loses it, and the log says what is wrong."""

import grp
import os
import pwd
from pathlib import Path

from fixtures.messages import body_of, message, message_id

LARGE = b'x' * 70 + b'\r\n' * 200_000  # more than is kept in memory


class TestConfigurationErrors:
  def wrong_option(self, mail, option: str, text: str, correct=None, body: bytes = b'Hello.\r\n'):
    """The option among lmtpq's arguments is corrected by correct(), or by taking it out."""
    mail.with_lmtpq(option)
    self.deferred_then_filed(
        mail, text, correct or (lambda: mail.sendmail.edit_cf(option, '')), body)

  def deferred_then_filed(self, mail, text: str, correct, body: bytes = b'Hello.\r\n'):
    """The admin reads `text` in Sendmail's log and corrects the error: the mail is filed, once."""
    users = [mail.mailbox('alice'), mail.mailbox('bob')]
    raw = message(body)
    qid = mail.send(raw, *users)
    mail.sendmail.run_queue()
    for user in users:
      mail.assert_deferred(qid, user, '4.', text)
    assert '(Deferred: 4' in mail.sendmail.mailq()
    assert mail.store.messages(users[0]) == []

    correct()
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    for user in users:
      mail.assert_sent(qid, user)
      filed = mail.store.messages(user)
      assert [message_id(one) for one in filed] == [message_id(raw)]
      same = body_of(filed[0]) == body  # a difference in a large one would say nothing
      assert same, f'{user}: {len(body_of(filed[0]))} bytes differ from {len(body)}'
    bounces = mail.store.messages(mail.sender.partition('@')[0])
    assert bounces == [], 'nothing bounced'

  def test_an_unknown_option_defers(self, mail):
    self.wrong_option(mail, '--no-such-option', 'no-such-option')

  def test_an_invalid_value_defers(self, mail):
    self.wrong_option(mail, '--ignore-quota=perhaps', 'ignore-quota')

  def test_a_timeout_without_a_number_defers(self, mail):
    self.wrong_option(mail, '--connect-timeout=soon', 'connect-timeout')

  def test_a_configuration_that_does_not_exist_defers(self, mail):
    path = mail.scratch.path / 'missing.conf'
    self.wrong_option(mail, f'--config={path}', str(path.name))

  def test_a_configuration_that_cannot_be_read_defers(self, mail):
    path = mail.scratch.path / 'secret.conf'
    path.write_text('log-level = info\n')
    path.chmod(0o600)
    self.wrong_option(mail, f'--config={path}', path.name, lambda: path.chmod(0o644))

  def test_an_unknown_key_in_the_configuration_defers(self, mail):
    path = mail.scratch.path / 'wrong.conf'
    path.write_text('lgo-level = info\n')
    path.chmod(0o644)
    self.wrong_option(mail, f'--config={path}', 'lgo-level',
                         lambda: path.write_text('log-level = info\n'))

  def test_a_spool_folder_that_does_not_exist_defers_a_message_that_needs_it(self, mail):
    path = mail.scratch.path / 'nowhere'
    self.wrong_option(mail, f'--spool-dir={path}', path.name, body=LARGE)

  def test_a_spool_folder_that_cannot_be_written_defers_a_message_that_needs_it(self, mail):
    path = mail.scratch.folder('readonly', 0o555)
    self.wrong_option(mail, f'--spool-dir={path}', path.name, lambda: path.chmod(0o777), LARGE)

  def test_an_unknown_user_to_run_as_defers(self, mail):
    self.wrong_option(mail, '--user=nosuchuser', 'nosuchuser')

  def test_an_invalid_destination_defers(self, mail):
    mail.with_lmtpq(knobs="define(`LMTPQ_MAILER_FALLBACK', `carrier:pigeon:99999')")
    self.deferred_then_filed(mail, 'pigeon',
                             lambda: mail.sendmail.edit_cf(' carrier:pigeon:99999', ''))

  def test_no_destination_at_all_defers(self, mail):
    mail.with_lmtpq()
    mail.sendmail.edit_cf(f' {mail.store.address}', '')
    self.deferred_then_filed(mail, 'destination', lambda: mail.sendmail.edit_cf(
        'A=lmtpq relay', f'A=lmtpq relay {mail.store.address}'))

  def test_a_host_that_does_not_exist_defers(self, mail):
    mail.with_lmtpq(address='inet:no.such.host.invalid:24')
    self.deferred_then_filed(mail, 'no.such.host.invalid', lambda: mail.sendmail.edit_cf(
        'inet:no.such.host.invalid:24', mail.store.address))

  def test_a_socket_that_does_not_exist_defers(self, mail):
    missing = f'{mail.store.address}.missing'
    mail.with_lmtpq(address=missing)
    self.deferred_then_filed(mail, 'No such file', lambda: mail.sendmail.edit_cf(
        missing, mail.store.address))

  def test_a_log_that_cannot_be_written_never_stops_mail(self, mail):
    mail.with_lmtpq(f'--log={mail.scratch.path}/nowhere/lmtpq.log')
    user = mail.mailbox('alice')
    qid = mail.send(message(), user)
    mail.sendmail.run_queue()
    mail.assert_sent(qid, user)

  def test_the_log_on_standard_error_never_mixes_with_the_replies(self, mail):
    mail.with_lmtpq('--log=stderr --log-level=debug')
    alice, full = mail.mailbox('alice'), mail.full_mailbox()
    qids = [mail.send(message(), alice, full, 'stranger') for _ in range(3)]
    mail.sendmail.run_queue()
    for qid in qids:
      mail.assert_sent(qid, alice)
      mail.assert_deferred(qid, full, '4.2.2', mail.store.over_quota)
      mail.assert_bounced(qid, 'stranger', '5.1.1', mail.store.unknown_user)


class TestPrivileges:
  def status_of_the_running_lmtpq(self, mail) -> dict[str, list[str]]:
    user = mail.mailbox('alice')
    qid = mail.send(message(), user)
    # It waits for a store that stands still, and so cannot end while it is looked at.
    mail.store.pause()
    mail.at_end(mail.store.resume)
    run = mail.sendmail.start_queue_run()
    pid = mail.wait_for_dialled_lmtpq()  # it changes its user before it dials
    status = dict(line.split(':', 1) for line in Path(f'/proc/{pid}/status').read_text()
                  .splitlines())
    mail.store.resume()
    run.child.wait(timeout=60)
    mail.assert_sent(qid, user)
    return {key: status[key].split() for key in ('Uid', 'Gid', 'Groups', 'CapEff', 'CapPrm')}

  def assert_runs_as(self, mail, name: str, group: str):
    user = pwd.getpwnam(name)
    gid = grp.getgrnam(group).gr_gid
    status = self.status_of_the_running_lmtpq(mail)
    assert status['Uid'] == [str(user.pw_uid)] * 4, 'real, effective, saved and fs'
    assert status['Gid'] == [str(gid)] * 4
    assert set(map(int, status['Groups'])) == set(os.getgrouplist(name, gid))
    assert int(status['CapEff'][0], 16) == 0
    assert int(status['CapPrm'][0], 16) == 0

  def test_lmtpq_becomes_the_user_of_the_m_line_for_good(self, mail):
    mail.with_lmtpq(user='cyrus:mail')
    self.assert_runs_as(mail, 'cyrus', 'mail')

  def test_the_option_user_wins(self, mail):
    mail.with_lmtpq('--user=nobody', user='cyrus:mail')
    self.assert_runs_as(mail, 'nobody', 'nogroup')
