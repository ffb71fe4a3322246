"""Every recipient has exactly one outcome, and Sendmail's log, queue and DSN say which."""

import re

import pytest

from fixtures.cyrus import Cyrus
from fixtures.dovecot import Dovecot
from fixtures.messages import delivery_statuses, message, message_id
from fixtures.process import wait_until


class OutcomeCases:
  def test_an_unknown_user_bounces_with_the_text_of_the_store(self, mail):
    mail.with_lmtpq()
    qid = mail.send(message(), 'stranger')
    mail.sendmail.run_queue()
    mail.assert_bounced(qid, 'stranger', '5.1.1', mail.store.unknown_user)
    mail.assert_queue_empty()

  def test_an_address_that_needs_smtputf8_is_refused_for_a_store_without_it(self, mail):
    mail.with_lmtpq()
    alice = mail.mailbox('alice')
    qid = mail.sendmail.submit_by_program(message(), f'{alice}@store.test', 'jürgen@store.test',
                                          sender=mail.sender)
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    mail.assert_sent(qid, alice)
    ends = [one.dsn for one in mail.sendmail.deliveries(qid) if 'rgen' in one.to]
    assert ends[-1] == '5.6.7', mail.sendmail.log_lines(qid)

  def test_three_recipients_have_three_different_outcomes(self, mail):
    mail.with_lmtpq()
    alice, full = mail.mailbox('alice'), mail.full_mailbox()
    raw = message()
    qid = mail.send(raw, alice, full, 'stranger')
    mail.sendmail.run_queue()
    mail.assert_sent(qid, alice)
    mail.assert_deferred(qid, full, '4.2.2', mail.store.over_quota)
    mail.assert_bounced(qid, 'stranger', '5.1.1', mail.store.unknown_user)
    listing = mail.sendmail.mailq()
    assert f'<{full}@store.test>' in listing
    assert f'<{alice}@store.test>' not in listing
    ends = {line['to'].strip('<>').partition('@')[0]: line['dsn'][0]
            for line in mail.recipient_lines(qid)}
    assert ends == {alice: '2', full: '4', 'stranger': '5'}

    mail.store.make_room(full)
    mail.sendmail.run_queue()
    mail.assert_sent(qid, full)
    mail.assert_queue_empty()
    for user in (alice, full):
      assert mail.store.message_ids(user) == [message_id(raw)], f'{user} has it once'

  def test_the_bounce_of_a_bounce_goes_to_the_postmaster(self, mail):
    mail.with_lmtpq()
    before = len(mail.store.messages('postmaster'))
    mail.send(message(), 'stranger', sender='missing@mail.test')
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    assert len(mail.store.messages('postmaster')) == before + 1

  def test_mail_from_the_null_sender_is_filed(self, mail):
    mail.with_lmtpq()
    user = mail.mailbox('alice')
    qid = mail.send(message(), user, sender='')
    mail.sendmail.run_queue()
    mail.assert_sent(qid, user)
    assert b'Return-Path: <>' in mail.store.messages(user)[0]

  def test_mail_from_the_null_sender_to_an_unknown_user_goes_to_the_postmaster(self, mail):
    mail.with_lmtpq()
    before = len(mail.store.messages('postmaster'))
    qid = mail.send(message(), 'stranger', sender='')
    mail.sendmail.run_queue()
    assert mail.sendmail.delivery(qid, 'stranger').dsn == '5.1.1'
    mail.assert_queue_empty()
    assert len(mail.store.messages('postmaster')) == before + 1

  def test_a_success_dsn_that_was_asked_for_is_sent(self, mail):
    mail.with_lmtpq()
    user = mail.mailbox('alice')
    qid = mail.send(message(), user, options=('RET=HDRS', 'ENVID=hello'),
                    rcpt_options=('NOTIFY=SUCCESS,FAILURE', f'ORCPT=rfc822;{user}@x.test'))
    mail.sendmail.run_queue()
    mail.assert_sent(qid, user)
    assert len(mail.store.messages(user)) == 1
    blocks = delivery_statuses(mail.store.messages(mail.sender.partition('@')[0])[0])
    assert ([(block['Action'].split()[0], block['Status'][0]) for block in blocks]
            == [('delivered', '2')])

  def test_a_success_dsn_says_success_although_another_recipient_was_deferred(self, mail):
    mail.with_lmtpq()
    alice, full = mail.mailbox('alice'), mail.full_mailbox()
    for users in ((alice, full), (full, alice)):
      qid = mail.send(message(), *users, rcpt_options=('NOTIFY=SUCCESS,FAILURE',))
      mail.sendmail.run_queue()
      mail.assert_sent(qid, alice)
      mail.assert_deferred(qid, full, '4.2.2')
      block = mail.dsn_for(alice)
      assert (block['Action'].split()[0], block['Status'][0]) == ('delivered', '2')

  def test_twenty_messages_of_a_queue_run_go_through_one_process(self, mail):
    mail.with_lmtpq()
    user = mail.mailbox('alice')
    sent = {}
    for _ in range(20):
      raw = message()
      sent[mail.send(raw, user)] = message_id(raw)
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    for qid in sent:
      mail.assert_sent(qid, user)
      assert [line['trace'] for line in mail.recipient_lines(qid)] == [qid]
    assert sorted(mail.store.message_ids(user)) == sorted(sent.values())
    pids = {line['pid'] for line in mail.lmtpq_lines('to=')}
    assert len(pids) == 1, 'one lmtpq'

  def test_background_delivery_files_every_message(self, mail):
    mail.with_lmtpq()
    mail.sendmail.start('background')
    user = mail.mailbox('alice')
    sent = [message() for _ in range(10)]
    for raw in sent:
      mail.send(raw, user)
    mail.wait_for_log('stat=Sent', len(sent))
    wait_until(lambda: not mail.sendmail.queued(), 'the queue is empty')
    assert sorted(mail.store.message_ids(user)) == sorted(map(message_id, sent))

  def test_mail_for_250_recipients_is_filed_once_for_each(self, mail):
    mail.with_lmtpq()
    users = [f'list{mail.number}x{index}' for index in range(250)]
    mail.store.add_mailboxes(users)
    raw = message()
    qid = mail.send(raw, *users)
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    ends = {one.to.partition('@')[0]: one.stat for one in mail.sendmail.deliveries(qid)}
    assert {user for user, stat in ends.items() if stat.startswith('Sent')} == set(users)
    assert len(mail.recipient_lines(qid)) == 250
    for user in users[::25]:
      assert mail.store.message_ids(user) == [message_id(raw)], user


@pytest.mark.store(kind=Cyrus)
class TestOutcomesInCyrus(OutcomeCases):
  pass


@pytest.mark.store(kind=Dovecot)
class TestOutcomesInDovecot(OutcomeCases):

  def test_a_store_on_tcp_is_delivered_to(self, mail):
    mail.store.by_tcp = True
    mail.at_end(setattr, mail.store, 'by_tcp', False)
    mail.with_lmtpq()
    user = mail.mailbox('alice')
    qid = mail.send(message(), user)
    mail.sendmail.run_queue()
    mail.assert_sent(qid, user)
    assert re.search(f'^inet:.*:{mail.store.port}$', mail.recipient_lines(qid)[0]['relay'])


class TestOutcomesInStore(OutcomeCases):
  pass
