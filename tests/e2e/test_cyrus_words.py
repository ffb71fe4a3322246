"""What Cyrus alone does: its own limits and refusals reach the right recipients."""

from fixtures.case import MailCase
from fixtures.cyrus import Cyrus
from fixtures.messages import message, message_id


class CyrusWords(MailCase):
  make_store = Cyrus

  def test_a_message_with_a_nul_bounces_for_every_recipient_and_the_next_is_filed(self):
    self.with_lmtpq()
    users = [self.mailbox('alice'), self.mailbox('bob')]
    raw = message()
    bad = self.send(message(b'one\0two\r\n'), *users)
    good = self.send(raw, *users)
    self.sendmail.run_queue()
    for user in users:
      # The message comes back without its body: a NUL in the DSN would be refused as well.
      self.assertEqual(self.sendmail.delivery(bad, user).dsn, '5.6.0')
      self.assert_sent(good, user)
      self.assertEqual(self.store.message_ids(user), [message_id(raw)])

  def test_a_message_over_maxmessagesize_bounces_for_every_recipient_and_the_next_is_filed(self):
    self.store.options = 'maxmessagesize: 100000'
    self.store.restart()
    self.addCleanup(self.store.restart)
    self.addCleanup(setattr, self.store, 'options', '')
    self.with_lmtpq()
    users = [self.mailbox('alice'), self.mailbox('bob'), self.mailbox('carol')]
    raw = message()
    large = self.send(message(b'x' * 70 + b'\r\n' * 200_000), *users, options=('RET=HDRS',))
    small = self.send(raw, *users)
    self.sendmail.run_queue()
    self.assert_queue_empty()
    for user in users:
      self.assertTrue(self.sendmail.delivery(large, user).dsn.startswith('5.'))
      self.assertEqual(self.dsn_for(user)['Action'], 'failed')
      self.assert_sent(small, user)
      self.assertEqual(self.store.message_ids(user), [message_id(raw)])

  def test_senders_that_the_stock_mailer_delivers_are_delivered(self):
    """Windows devices, qmail's double bounces: a bounce to these could not be delivered either."""
    self.with_lmtpq()
    for name, sender in zip(('alice', 'bob', 'carol'), ('CORP\\jdoe@mail.test', '#@[]', 'a@[]')):
      user = self.mailbox(name)
      raw = message()
      qid = self.send(raw, user, sender=sender)
      self.sendmail.run_queue()
      self.assert_sent(qid, user)
      self.assertEqual(self.store.message_ids(user), [message_id(raw)])

  def test_a_message_that_comes_twice_is_sent_twice_and_filed_once(self):
    """Cyrus drops a second copy by its Message-ID, and answers 250 for it."""
    self.with_lmtpq()
    user = self.mailbox('alice')
    raw = message()
    qids = [self.send(raw, user), self.send(raw, user)]
    self.sendmail.run_queue()
    for qid in qids:
      self.assert_sent(qid, user)
    self.assertEqual(self.store.message_ids(user), [message_id(raw)])
