"""TRACE, SIZE, missing capabilities and failover, by what our own store wrote into its log."""

from fixtures.case import MailCase
from fixtures.messages import body_of, message, message_id

LARGE = b'x' * 70 + b'\r\n' * 200_000


class StoreWords(MailCase):
  def restart_with(self, *options: str):
    self.store.options = list(options)
    self.store.restart()
    self.addCleanup(self.store.restart)
    self.addCleanup(setattr, self.store, 'options', [])

  def deliver(self, count: int = 1) -> dict[str, str]:
    """Queue id -> Message-ID of messages that were filed by one queue run."""
    user = self.mailbox('alice')
    sent = {}
    for _ in range(count):
      raw = message(headers=b'X-Number: %d\r\n' % len(sent))
      sent[self.send(raw, user)] = message_id(raw)
    self.start = len(self.store.log_text())
    self.sendmail.run_queue()
    self.assert_queue_empty()
    self.assertEqual(sorted(self.store.message_ids(user)), sorted(sent.values()))
    return sent

  def store_lines(self, having: str) -> list[dict[str, str]]:
    """Of the last deliver()."""
    lines = self.store.log_lines()
    skipped = self.store.log_text()[:self.start].count('\n')
    return [line for line in lines[skipped:] if having in line['line']]

  def trace_ids(self) -> dict[str, str | None]:
    """Message-ID -> the trace id that the store filed it under."""
    return {line['msgid']: line.get('r.tid', '').strip('<>')
            for line in self.store_lines('Delivered:')}

  def test_each_message_of_a_run_has_its_queue_id_as_trace_id_in_the_log_of_the_store(self):
    self.with_lmtpq()
    sent = self.deliver(20)
    self.assertEqual(self.trace_ids(), {identity: qid for qid, identity in sent.items()})

  def test_twenty_messages_of_a_run_go_over_one_connection(self):
    self.with_lmtpq()
    self.deliver(20)
    self.assertEqual(len({line['pid'] for line in self.lmtpq_lines('to=')}), 1)
    self.assertEqual(len(self.store_lines('Connected:')), 1)

  def test_a_message_without_a_trace_id_inherits_none(self):
    self.with_lmtpq('--trace=off')
    self.deliver(3)
    self.assertEqual(set(self.trace_ids().values()), {''})

  def test_a_trace_id_that_was_given_is_used(self):
    self.with_lmtpq('--trace-id=audit-2026.11')
    self.deliver(2)
    self.assertEqual(set(self.trace_ids().values()), {'audit-2026.11'})

  def test_the_reply_in_the_log_of_sendmail_carries_the_trace_id(self):
    self.with_lmtpq()
    full = self.full_mailbox()
    qid = self.send(message(), full)
    self.sendmail.run_queue()
    self.assert_deferred(qid, full, '4.2.2', self.store.over_quota)
    self.assertGreaterEqual(self.sendmail.delivery(qid, full).line.count(qid), 2)

  def test_a_store_that_advertises_nothing_is_spoken_to_one_command_at_a_time(self):
    keywords = ('PIPELINING', '8BITMIME', 'ENHANCEDSTATUSCODES', 'SIZE', 'IGNOREQUOTA', 'TRACE')
    self.restart_with(*(word for keyword in keywords for word in ('--without', keyword)))
    self.with_lmtpq()
    alice, full = self.mailbox('alice'), self.full_mailbox()
    raw = message(b'.\r\nplain\r\n')
    qid = self.send(raw, alice, full, 'stranger', domain='quota.test')
    self.sendmail.run_queue()
    self.assert_sent(qid, alice)
    self.assert_deferred(qid, full, '4.', self.store.over_quota)
    self.assert_bounced(qid, 'stranger', '5.1.1', self.store.unknown_user)
    self.assertEqual(body_of(self.store.messages(alice)[0]), b'.\r\nplain\r\n')

  def test_a_message_over_the_limit_of_the_store_bounces_for_every_recipient(self):
    self.restart_with('--max-message-size', '100000')
    self.with_lmtpq()
    users = [self.mailbox(name) for name in ('alice', 'bob', 'carol')]
    small = message()
    # RET=HDRS: the bounce shall be small enough for this store.
    large_qid = self.send(message(LARGE), *users, options=('RET=HDRS',))
    small_qid = self.send(small, *users)
    self.sendmail.run_queue()
    self.assert_queue_empty()
    for user in users:
      self.assertTrue(self.sendmail.delivery(large_qid, user).dsn.startswith(('5.3.4', '5.2.3')),
                      self.sendmail.delivery(large_qid, user))
      self.assert_sent(small_qid, user)
      self.assertEqual(self.store.message_ids(user), [message_id(small)])
      self.assertEqual(self.dsn_for(user)['Action'], 'failed')

  def test_one_552_after_the_dot_is_the_answer_for_every_recipient(self):
    """The store says its limit only when it has read the message, and says it once."""
    self.restart_with('--max-message-size', '100000', '--without', 'SIZE')
    self.with_lmtpq()
    users = [self.mailbox(name) for name in ('alice', 'bob', 'carol')]
    large_qid = self.send(message(LARGE), *users)
    small_qid = self.send(message(), *users)
    self.sendmail.run_queue()
    self.assert_queue_empty()
    for user in users:
      self.assertTrue(self.sendmail.delivery(large_qid, user).dsn.startswith('5.'),
                      self.sendmail.delivery(large_qid, user))
      self.assert_sent(small_qid, user)
      self.assertEqual(len(self.store.messages(user)), 1)

  def test_the_next_destination_is_tried_when_the_first_is_down(self):
    self.with_lmtpq(address=f'{self.store.address}.missing',
                    knobs=f"define(`LMTPQ_MAILER_FALLBACK', `{self.store.address}')")
    self.deliver(3)

  def test_a_store_on_tcp_is_delivered_to(self):
    self.store.by_tcp = True
    self.addCleanup(setattr, self.store, 'by_tcp', False)
    self.with_lmtpq()
    sent = self.deliver(3)
    self.assertEqual(set(self.trace_ids().values()), set(sent))

  def test_two_recipients_at_a_time_when_the_m_line_says_so(self):
    self.with_lmtpq(knobs="define(`CYRUSV2_MAILER_MAXRCPTS', `2')")
    users = [self.mailbox(f'user{index}x') for index in range(5)]
    raw = message()
    qid = self.send(raw, *users)
    self.sendmail.run_queue()
    self.assert_queue_empty()
    for user in users:
      self.assert_sent(qid, user)
      self.assertEqual(self.store.message_ids(user), [message_id(raw)])

  def test_a_new_process_for_each_message_when_the_m_line_says_so(self):
    self.with_lmtpq(knobs="define(`CYRUSV2_MAILER_MAXMSGS', `1')")
    self.deliver(3)
    self.assertEqual(len({line['pid'] for line in self.lmtpq_lines('to=')}), 3)

  def test_lmtpq_keeps_no_process_behind_a_queue_run(self):
    self.with_lmtpq()
    self.deliver(2)
    self.assertEqual(self.lmtpq_pids(), [])
    self.assertEqual(self.sendmail.log_lines('mailer died'), [])
    self.assertEqual([line for line in self.sendmail.log_lines('exited')], [])
