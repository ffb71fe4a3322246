"""A full mailbox refuses mail, and takes it when it comes through cyrusv2q or with the Q flag."""

from fixtures import mailers
from fixtures.case import MailCase
from fixtures.cyrus import Cyrus
from fixtures.dovecot import Dovecot
from fixtures.messages import message, message_id


class QuotaCases:
  def test_a_full_mailbox_that_answers_452_defers_the_mail_until_it_has_room(self):
    self.with_lmtpq()
    user = self.full_mailbox()
    raw = message()
    qid = self.send(raw, user)
    self.sendmail.run_queue()
    self.assert_deferred(qid, user, '4.2.2', self.store.over_quota)
    listing = self.sendmail.mailq()
    self.assertIn(f'<{user}@store.test>', listing)
    self.assertIn(self.store.over_quota.lower(), listing.lower())
    self.assertEqual(self.store.messages(user), [])

    self.store.make_room(user)
    self.sendmail.run_queue()
    self.assert_sent(qid, user)
    self.assert_queue_empty()
    self.assertEqual(self.store.message_ids(user), [message_id(raw)])

  def test_a_full_mailbox_that_answers_552_bounces_with_the_status_and_text_of_the_store(self):
    self.store.permanent = True
    self.store.restart()
    self.addCleanup(self.store.restart)
    self.addCleanup(setattr, self.store, 'permanent', False)
    self.with_lmtpq()
    user = self.full_mailbox()
    qid = self.send(message(), user)
    self.sendmail.run_queue()
    self.assert_bounced(qid, user, '5.2.2', self.store.over_quota)
    self.assert_queue_empty()
    self.assertEqual(self.store.messages(user), [])


class IgnoreQuotaCases(QuotaCases):
  """For stores that advertise IGNOREQUOTA."""

  def assert_filed_into_full_mailbox(self, user: str, domain: str):
    raw = message()
    qid = self.send(raw, user, domain=domain)
    self.sendmail.run_queue()
    self.assert_sent(qid, user)
    self.assert_queue_empty()
    self.assertEqual(self.store.message_ids(user), [message_id(raw)])
    self.assertEqual([line['ignorequota'] for line in self.recipient_lines(qid)], ['sent'])

  def test_cyrusv2q_files_into_the_full_mailbox(self):
    self.with_lmtpq()
    self.assert_filed_into_full_mailbox(self.full_mailbox(), 'quota.test')

  def test_the_q_flag_of_cyrusv2_files_into_the_full_mailbox(self):
    self.with_lmtpq(flags='Q')
    self.assert_filed_into_full_mailbox(self.full_mailbox(), 'store.test')

  def test_mail_that_cyrusv2_deferred_is_still_refused_after_cyrusv2q_filed_other_mail(self):
    self.with_lmtpq()
    user = self.full_mailbox()
    ordinary = self.send(message(), user)
    notice = message()
    ignoring = self.send(notice, user, domain='quota.test')
    self.sendmail.run_queue()
    self.assert_deferred(ordinary, user, '4.2.2')
    self.assert_sent(ignoring, user)
    self.assertEqual(self.store.message_ids(user), [message_id(notice)])

  def test_a_message_to_both_mailers_ignores_the_quota_only_through_cyrusv2q(self):
    self.with_lmtpq()
    full, other = self.full_mailbox(), self.full_mailbox('other')
    qid = self.sendmail.submit(message(), f'{full}@store.test', f'{other}@quota.test',
                               sender=self.sender)
    self.sendmail.run_queue()
    ends = {one.to: one.stat.partition(':')[0] for one in self.sendmail.deliveries(qid)}
    self.assertEqual(ends, {f'{full}@store.test': 'Deferred', f'{other}@quota.test': 'Sent'})

  def test_the_stock_mailer_with_the_same_flag_is_refused(self):
    """The control: it is lmtpq that makes the difference."""
    self.with_mailers("MODIFY_MAILER_FLAGS(`CYRUSV2', `+Q')\n" + mailers.stock(self.store.address),
                      quota_mailer='cyrusv2')
    user = self.full_mailbox()
    qid = self.send(message(), user)
    self.sendmail.run_queue()
    self.assert_deferred(qid, user, '4.2.2', self.store.over_quota)


class QuotaInCyrus(IgnoreQuotaCases, MailCase):
  make_store = Cyrus


class QuotaInStore(IgnoreQuotaCases, MailCase):
  pass


class QuotaInDovecot(QuotaCases, MailCase):
  make_store = Dovecot

  def test_cyrusv2q_is_refused_by_a_full_mailbox_and_the_log_says_why(self):
    self.with_lmtpq()
    full, alice = self.full_mailbox(), self.mailbox('alice')
    qid = self.send(message(), full, alice, domain='quota.test')
    self.sendmail.run_queue()
    self.assert_deferred(qid, full, '4.2.2', self.store.over_quota)
    self.assert_sent(qid, alice)
    self.assertEqual({line['ignorequota'] for line in self.recipient_lines(qid)}, {'not-offered'})
