"""Full mailboxes of real stores: what --over-quota makes of them, and --ignore-quota=retry."""

import re
import time

import pytest

from fixtures.cyrus import Cyrus
from fixtures.dovecot import Dovecot
from fixtures.messages import message, message_id


class PolicyCases:
  """For every store, whether it refuses at RCPT or after the dot."""

  def make_older(self, mail, qid: str, seconds: int):
    """As if Sendmail had received the queued message that long ago."""
    queued = mail.sendmail.dir / 'queue' / f'qf{qid}'
    then = time.strftime('%a, %d %b %Y %H:%M:%S +0000', time.gmtime(time.time() - seconds))
    text, count = re.subn(r'(?s)(H\?[^?]*\?Received: .*?;\s+)[^\n]*', rf'\g<1>{then}',
                          queued.read_text('latin-1'), count=1)
    assert count == 1, text
    queued.write_text(text, 'latin-1')

  def test_refuse_bounces_with_552_and_the_text_of_the_store(self, mail):
    mail.with_lmtpq('--over-quota=refuse')
    full, alice = mail.full_mailbox(), mail.mailbox('alice')
    raw = message()
    qid = mail.send(raw, full, alice)
    mail.sendmail.run_queue()
    mail.assert_sent(qid, alice)
    mail.assert_bounced(qid, full, '5.2.2', mail.store.over_quota)
    mail.assert_queue_empty()
    assert mail.store.message_ids(alice) == [message_id(raw)]
    assert mail.store.messages(full) == []
    said = {line['to']: line for line in mail.recipient_lines(qid)}
    line = next(fields for to, fields in said.items() if full in to)
    assert (line['status'], line['dsn'], line['over-quota']) == ('refused', '5.2.2', 'refused')
    assert line['reply'].startswith('452 4.2.2'), 'the log has the reply of the store'
    assert 'over-quota' not in next(fields for to, fields in said.items() if alice in to)

  def test_defer_keeps_mail_that_the_store_refuses_for_good(self, mail):
    mail.store.permanent = True
    mail.store.restart()
    mail.at_end(mail.store.restart)
    mail.at_end(setattr, mail.store, 'permanent', False)
    mail.with_lmtpq('--over-quota=defer')
    full = mail.full_mailbox()
    raw = message()
    qid = mail.send(raw, full)
    mail.sendmail.run_queue()
    mail.assert_deferred(qid, full, '4.2.2', mail.store.over_quota)
    line, = mail.recipient_lines(qid)
    assert (line['status'], line['over-quota']) == ('deferred', 'deferred')
    assert line['reply'].startswith('552 5.2.2')
    mail.store.make_room(full)
    mail.sendmail.run_queue()
    mail.assert_sent(qid, full)
    assert mail.store.message_ids(full) == [message_id(raw)]

  def test_defer_with_an_age_keeps_new_mail_and_bounces_old_mail(self, mail):
    mail.with_lmtpq('--over-quota=defer:3d')
    full = mail.full_mailbox()
    qid = mail.send(message(), full)
    mail.sendmail.run_queue()
    mail.assert_deferred(qid, full, '4.2.2', mail.store.over_quota)
    self.make_older(mail, qid, 2 * 86_400)
    mail.sendmail.run_queue()
    mail.assert_deferred(qid, full, '4.2.2', mail.store.over_quota)
    self.make_older(mail, qid, 3 * 86_400)
    mail.sendmail.run_queue()
    mail.assert_bounced(qid, full, '5.2.2', mail.store.over_quota)
    mail.assert_queue_empty()
    assert [line['over-quota'] for line in mail.recipient_lines(qid)] == [
        'deferred', 'deferred', 'refused']


class RetryCases(PolicyCases):
  """For stores that advertise IGNOREQUOTA."""

  def test_retry_files_into_the_full_mailbox_and_asks_for_nothing_elsewhere(self, mail):
    mail.with_lmtpq('--ignore-quota=retry --over-quota=refuse')
    full, alice = mail.full_mailbox(), mail.mailbox('alice')
    raw = message()
    qid = mail.send(raw, alice, full)
    mail.sendmail.run_queue()
    mail.assert_sent(qid, alice)
    mail.assert_sent(qid, full)
    mail.assert_queue_empty()
    for user in (alice, full):
      assert mail.store.message_ids(user) == [message_id(raw)], user
    lines = {('full' if full in line['to'] else 'alice'): line for line in mail.recipient_lines(qid)}
    assert {name: line['ignorequota'] for name, line in lines.items()} == {
        'alice': 'no', 'full': 'retried'}
    # One connection: its second transaction, directly after the first.
    assert {line['conn-use'] for line in lines.values()} == {'1', '2'}


@pytest.mark.store(kind=Cyrus)
class TestOverQuotaInCyrus(RetryCases):
  pass


class TestOverQuotaInStore(RetryCases):
  pass


@pytest.mark.store(kind=Dovecot)
class TestOverQuotaInDovecot(PolicyCases):

  def test_retry_leaves_the_refusal_to_the_policy_as_dovecot_has_no_ignorequota(self, mail):
    mail.with_lmtpq('--ignore-quota=retry --over-quota=refuse')
    full, alice = mail.full_mailbox(), mail.mailbox('alice')
    qid = mail.send(message(), full, alice)
    mail.sendmail.run_queue()
    mail.assert_bounced(qid, full, '5.2.2', mail.store.over_quota)
    mail.assert_sent(qid, alice)
    uses = {line['ignorequota'] for line in mail.recipient_lines(qid)}
    assert uses == {'not-offered', 'no'}
