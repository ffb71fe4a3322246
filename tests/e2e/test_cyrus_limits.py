"""What only Cyrus has: its limits and refusals reach the right recipients, and our log has the
id of its session.
"""

import pytest

from fixtures.cyrus import Cyrus
from fixtures.messages import message, message_id


def limited(mail) -> list[str]:
  """Mailboxes of a store that takes 100,000 bytes; it has no limit again at the end."""
  mail.store.options = 'maxmessagesize: 100000'
  mail.store.restart()
  mail.at_end(mail.store.restart)
  mail.at_end(setattr, mail.store, 'options', '')
  mail.with_lmtpq()
  return [mail.mailbox(user) for user in ('alice', 'bob', 'carol')]


@pytest.mark.store(kind=Cyrus)
class TestCyrusLimits:
  def test_a_message_with_a_nul_bounces_for_every_recipient_and_the_next_is_filed(self, mail):
    mail.with_lmtpq()
    users = [mail.mailbox('alice'), mail.mailbox('bob')]
    raw = message()
    bad = mail.send(message(b'one\0two\r\n'), *users)
    good = mail.send(raw, *users)
    mail.sendmail.run_queue()
    for user in users:
      # The message comes back without its body: a NUL in the DSN would be refused as well.
      assert mail.sendmail.delivery(bad, user).dsn == '5.6.0'
      mail.assert_sent(good, user)
      assert mail.store.message_ids(user) == [message_id(raw)]

  def test_a_message_over_maxmessagesize_bounces_for_all_and_the_next_is_filed(self, mail):
    users = limited(mail)
    raw = message()
    large = mail.send(message(b'x' * 70 + b'\r\n' * 200_000), *users, options=('RET=HDRS',))
    small = mail.send(raw, *users)
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    for user in users:
      assert mail.sendmail.delivery(large, user).dsn.startswith('5.')
      assert mail.dsn_for(user)['Action'] == 'failed'
      mail.assert_sent(small, user)
      assert mail.store.message_ids(user) == [message_id(raw)]

  def test_a_message_that_is_over_maxmessagesize_with_the_fields_of_cyrus_bounces_for_all(self, mail):
    """Cyrus finds that after end of data, and sends one reply."""
    users = limited(mail)
    mail.send(message(), users[0])
    mail.sendmail.run_queue()
    fields = int(mail.lmtpq_lines('event=delivery')[-1]['size'])
    large = mail.send(message((b'x' * 68 + b'\r\n') * ((99_940 - fields) // 70)), *users, options=('RET=HDRS',))
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    for user in users:
      assert mail.sendmail.delivery(large, user).dsn == '5.2.3'
    lines = mail.lmtpq_lines('taken for all recipients')
    assert len(lines) == 2 and all(int(line['size']) <= 100_000 for line in lines), lines

  def test_senders_that_the_stock_mailer_delivers_are_delivered(self, mail):
    """Windows devices, qmail's double bounces: a bounce to these could not be delivered either."""
    mail.with_lmtpq()
    for name, sender in zip(('alice', 'bob', 'carol'), ('CORP\\jdoe@mail.test', '#@[]', 'a@[]')):
      user = mail.mailbox(name)
      raw = message()
      qid = mail.send(raw, user, sender=sender)
      mail.sendmail.run_queue()
      mail.assert_sent(qid, user)
      assert mail.store.message_ids(user) == [message_id(raw)]

  def test_a_message_that_comes_twice_is_sent_twice_and_filed_once(self, mail):
    """Cyrus drops a second copy by its Message-ID, and answers 250 for it."""
    mail.with_lmtpq()
    user = mail.mailbox('alice')
    raw = message()
    qids = [mail.send(raw, user), mail.send(raw, user)]
    mail.sendmail.run_queue()
    for qid in qids:
      mail.assert_sent(qid, user)
    assert mail.store.message_ids(user) == [message_id(raw)]

  def test_the_session_id_of_our_log_leads_to_the_line_of_its_audit_log(self, mail):
    """What there is without TRACE: docs/man/lmtpq.8, Without TRACE."""
    mail.with_lmtpq()
    user, full = mail.mailbox('alice'), mail.full_mailbox()
    qids = [mail.send(message(), user), mail.send(message(), user), mail.send(message(), full)]
    mail.sendmail.run_queue()
    sessions = [line['sessionid'] for qid in qids for line in mail.recipient_lines(qid)]
    assert len(set(sessions)) == len(qids), 'each message has another, on one connection too'
    assert sorted(mail.store.appended(user)) == sorted(sessions[:2])
