"""A full mailbox refuses mail, and takes it when it comes through cyrusv2q or with the Q flag."""

import pytest

from fixtures import mailers
from fixtures.cyrus import Cyrus
from fixtures.dovecot import Dovecot
from fixtures.messages import message, message_id


class QuotaCases:
  def test_a_full_mailbox_that_answers_452_defers_the_mail_until_it_has_room(self, mail):
    mail.with_lmtpq()
    user = mail.full_mailbox()
    raw = message()
    qid = mail.send(raw, user)
    mail.sendmail.run_queue()
    mail.assert_deferred(qid, user, '4.2.2', mail.store.over_quota)
    listing = mail.sendmail.mailq()
    assert f'<{user}@store.test>' in listing
    assert mail.store.over_quota.lower() in listing.lower()
    assert mail.store.messages(user) == []

    mail.store.make_room(user)
    mail.sendmail.run_queue()
    mail.assert_sent(qid, user)
    mail.assert_queue_empty()
    assert mail.store.message_ids(user) == [message_id(raw)]

  def test_a_full_mailbox_that_answers_552_bounces_with_status_and_text_of_the_store(self, mail):
    mail.store.permanent = True
    mail.store.restart()
    mail.at_end(mail.store.restart)
    mail.at_end(setattr, mail.store, 'permanent', False)
    mail.with_lmtpq()
    user = mail.full_mailbox()
    qid = mail.send(message(), user)
    mail.sendmail.run_queue()
    mail.assert_bounced(qid, user, '5.2.2', mail.store.over_quota)
    mail.assert_queue_empty()
    assert mail.store.messages(user) == []


class IgnoreQuotaCases(QuotaCases):
  """For stores that advertise IGNOREQUOTA."""

  def assert_filed_into_full_mailbox(self, mail, user: str, domain: str):
    raw = message()
    qid = mail.send(raw, user, domain=domain)
    mail.sendmail.run_queue()
    mail.assert_sent(qid, user)
    mail.assert_queue_empty()
    assert mail.store.message_ids(user) == [message_id(raw)]
    assert [line['ignorequota'] for line in mail.recipient_lines(qid)] == ['sent']

  def test_cyrusv2q_files_into_the_full_mailbox(self, mail):
    mail.with_lmtpq()
    self.assert_filed_into_full_mailbox(mail, mail.full_mailbox(), 'quota.test')

  def test_the_q_flag_of_cyrusv2_files_into_the_full_mailbox(self, mail):
    mail.with_lmtpq(flags='Q')
    self.assert_filed_into_full_mailbox(mail, mail.full_mailbox(), 'store.test')

  def test_mail_that_cyrusv2_deferred_is_still_refused_after_cyrusv2q_filed_other_mail(self, mail):
    mail.with_lmtpq()
    user = mail.full_mailbox()
    ordinary = mail.send(message(), user)
    notice = message()
    ignoring = mail.send(notice, user, domain='quota.test')
    mail.sendmail.run_queue()
    mail.assert_deferred(ordinary, user, '4.2.2')
    mail.assert_sent(ignoring, user)
    assert mail.store.message_ids(user) == [message_id(notice)]

  def test_a_message_to_both_mailers_ignores_the_quota_only_through_cyrusv2q(self, mail):
    mail.with_lmtpq()
    full, other = mail.full_mailbox(), mail.full_mailbox('other')
    qid = mail.sendmail.submit(message(), f'{full}@store.test', f'{other}@quota.test',
                               sender=mail.sender)
    mail.sendmail.run_queue()
    ends = {one.to: one.stat.partition(':')[0] for one in mail.sendmail.deliveries(qid)}
    assert ends == {f'{full}@store.test': 'Deferred', f'{other}@quota.test': 'Sent'}

  def test_the_stock_mailer_with_the_same_flag_is_refused(self, mail):
    """The control: it is lmtpq that makes the difference."""
    mail.with_mailers("MODIFY_MAILER_FLAGS(`CYRUSV2', `+Q')\n" + mailers.stock(mail.store.address),
                      quota_mailer='cyrusv2')
    user = mail.full_mailbox()
    qid = mail.send(message(), user)
    mail.sendmail.run_queue()
    mail.assert_deferred(qid, user, '4.2.2', mail.store.over_quota)


@pytest.mark.store(kind=Cyrus)
class TestQuotaInCyrus(IgnoreQuotaCases):
  pass


class TestQuotaInStore(IgnoreQuotaCases):
  pass


@pytest.mark.store(kind=Dovecot)
class TestQuotaInDovecot(QuotaCases):

  def test_cyrusv2q_is_refused_by_a_full_mailbox_and_the_log_says_why(self, mail):
    mail.with_lmtpq()
    full, alice = mail.full_mailbox(), mail.mailbox('alice')
    qid = mail.send(message(), full, alice, domain='quota.test')
    mail.sendmail.run_queue()
    mail.assert_deferred(qid, full, '4.2.2', mail.store.over_quota)
    mail.assert_sent(qid, alice)
    assert {line['ignorequota'] for line in mail.recipient_lines(qid)} == {'not-offered'}
