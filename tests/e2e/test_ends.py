"""Every recipient has exactly one end, and Sendmail's log, queue and DSN say which."""

from fixtures.case import MailCase
from fixtures.cyrus import Cyrus
from fixtures.dovecot import Dovecot
from fixtures.messages import delivery_statuses, message, message_id
from fixtures.process import wait_until


class EndsCases:
  def test_an_unknown_user_bounces_with_the_text_of_the_store(self):
    self.with_lmtpq()
    qid = self.send(message(), 'stranger')
    self.sendmail.run_queue()
    self.assert_bounced(qid, 'stranger', '5.1.1', self.store.unknown_user)
    self.assert_queue_empty()

  def test_an_address_that_needs_smtputf8_is_refused_for_a_store_without_it(self):
    self.with_lmtpq()
    alice = self.mailbox('alice')
    qid = self.sendmail.submit_by_program(message(), f'{alice}@store.test', 'jürgen@store.test',
                                          sender=self.sender)
    self.sendmail.run_queue()
    self.assert_queue_empty()
    self.assert_sent(qid, alice)
    ends = [one.dsn for one in self.sendmail.deliveries(qid) if 'rgen' in one.to]
    self.assertEqual(ends[-1], '5.6.7', self.sendmail.log_lines(qid))

  def test_three_recipients_have_three_different_ends(self):
    self.with_lmtpq()
    alice, full = self.mailbox('alice'), self.full_mailbox()
    raw = message()
    qid = self.send(raw, alice, full, 'stranger')
    self.sendmail.run_queue()
    self.assert_sent(qid, alice)
    self.assert_deferred(qid, full, '4.2.2', self.store.over_quota)
    self.assert_bounced(qid, 'stranger', '5.1.1', self.store.unknown_user)
    listing = self.sendmail.mailq()
    self.assertIn(f'<{full}@store.test>', listing)
    self.assertNotIn(f'<{alice}@store.test>', listing)
    ends = {line['to'].strip('<>').partition('@')[0]: line['dsn'][0]
            for line in self.recipient_lines(qid)}
    self.assertEqual(ends, {alice: '2', full: '4', 'stranger': '5'})

    self.store.make_room(full)
    self.sendmail.run_queue()
    self.assert_sent(qid, full)
    self.assert_queue_empty()
    for user in (alice, full):
      self.assertEqual(self.store.message_ids(user), [message_id(raw)], f'{user} has it once')

  def test_the_bounce_of_a_bounce_goes_to_the_postmaster(self):
    self.with_lmtpq()
    before = len(self.store.messages('postmaster'))
    self.send(message(), 'stranger', sender='missing@mail.test')
    self.sendmail.run_queue()
    self.assert_queue_empty()
    self.assertEqual(len(self.store.messages('postmaster')), before + 1)

  def test_mail_from_the_null_sender_is_filed(self):
    self.with_lmtpq()
    user = self.mailbox('alice')
    qid = self.send(message(), user, sender='')
    self.sendmail.run_queue()
    self.assert_sent(qid, user)
    self.assertIn(b'Return-Path: <>', self.store.messages(user)[0])

  def test_mail_from_the_null_sender_to_an_unknown_user_goes_to_the_postmaster(self):
    self.with_lmtpq()
    before = len(self.store.messages('postmaster'))
    qid = self.send(message(), 'stranger', sender='')
    self.sendmail.run_queue()
    self.assertEqual(self.sendmail.delivery(qid, 'stranger').dsn, '5.1.1')
    self.assert_queue_empty()
    self.assertEqual(len(self.store.messages('postmaster')), before + 1)

  def test_a_success_dsn_that_was_asked_for_is_sent(self):
    self.with_lmtpq()
    user = self.mailbox('alice')
    qid = self.send(message(), user, options=('RET=HDRS', 'ENVID=hello'),
                    rcpt_options=('NOTIFY=SUCCESS,FAILURE', f'ORCPT=rfc822;{user}@x.test'))
    self.sendmail.run_queue()
    self.assert_sent(qid, user)
    self.assertEqual(len(self.store.messages(user)), 1)
    blocks = delivery_statuses(self.store.messages(self.sender.partition('@')[0])[0])
    self.assertEqual([(block['Action'].split()[0], block['Status'][0]) for block in blocks],
                     [('delivered', '2')])

  def test_a_success_dsn_says_success_although_another_recipient_was_deferred(self):
    self.with_lmtpq()
    alice, full = self.mailbox('alice'), self.full_mailbox()
    for users in ((alice, full), (full, alice)):
      qid = self.send(message(), *users, rcpt_options=('NOTIFY=SUCCESS,FAILURE',))
      self.sendmail.run_queue()
      self.assert_sent(qid, alice)
      self.assert_deferred(qid, full, '4.2.2')
      block = self.dsn_for(alice)
      self.assertEqual((block['Action'].split()[0], block['Status'][0]), ('delivered', '2'))

  def test_twenty_messages_of_a_queue_run_go_through_one_process(self):
    self.with_lmtpq()
    user = self.mailbox('alice')
    sent = {}
    for _ in range(20):
      raw = message()
      sent[self.send(raw, user)] = message_id(raw)
    self.sendmail.run_queue()
    self.assert_queue_empty()
    for qid in sent:
      self.assert_sent(qid, user)
      self.assertEqual([line['trace'] for line in self.recipient_lines(qid)], [qid])
    self.assertEqual(sorted(self.store.message_ids(user)), sorted(sent.values()))
    pids = {line['pid'] for line in self.lmtpq_lines('to=')}
    self.assertEqual(len(pids), 1, 'one lmtpq')

  def test_background_delivery_files_every_message(self):
    self.with_lmtpq()
    self.sendmail.start('background')
    user = self.mailbox('alice')
    sent = [message() for _ in range(10)]
    for raw in sent:
      self.send(raw, user)
    self.wait_for_log('stat=Sent', len(sent))
    wait_until(lambda: not self.sendmail.queued(), 'the queue is empty')
    self.assertEqual(sorted(self.store.message_ids(user)), sorted(map(message_id, sent)))

  def test_mail_for_250_recipients_is_filed_once_for_each(self):
    self.with_lmtpq()
    users = [f'list{self.number}x{index}' for index in range(250)]
    self.store.add_mailboxes(users)
    raw = message()
    qid = self.send(raw, *users)
    self.sendmail.run_queue()
    self.assert_queue_empty()
    ends = {one.to.partition('@')[0]: one.stat for one in self.sendmail.deliveries(qid)}
    self.assertEqual({user for user, stat in ends.items() if stat.startswith('Sent')}, set(users))
    self.assertEqual(len(self.recipient_lines(qid)), 250)
    for user in users[::25]:
      self.assertEqual(self.store.message_ids(user), [message_id(raw)], user)


class EndsInCyrus(EndsCases, MailCase):
  make_store = Cyrus


class EndsInDovecot(EndsCases, MailCase):
  make_store = Dovecot

  def test_a_store_on_tcp_is_delivered_to(self):
    self.store.by_tcp = True
    self.addCleanup(setattr, self.store, 'by_tcp', False)
    self.with_lmtpq()
    user = self.mailbox('alice')
    qid = self.send(message(), user)
    self.sendmail.run_queue()
    self.assert_sent(qid, user)
    self.assertRegex(self.recipient_lines(qid)[0]['relay'], f'^inet:.*:{self.store.port}$')


class EndsInStore(EndsCases, MailCase):
  pass
