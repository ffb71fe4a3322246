"""TRACE, SIZE, missing capabilities and failover, as our own store logs them."""

from fixtures.messages import body_of, message, message_id

LARGE = b'x' * 70 + b'\r\n' * 200_000


class TestOwnStore:
  def restart_with(self, mail, *options: str):
    mail.store.options = list(options)
    mail.store.restart()
    mail.at_end(mail.store.restart)
    mail.at_end(setattr, mail.store, 'options', [])

  def deliver(self, mail, count: int = 1) -> dict[str, str]:
    """Queue id -> Message-ID of messages that were filed by one queue run."""
    user = mail.mailbox('alice')
    sent = {}
    for _ in range(count):
      raw = message(headers=b'X-Number: %d\r\n' % len(sent))
      sent[mail.send(raw, user)] = message_id(raw)
    self.start = len(mail.store.log_text())
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    assert sorted(mail.store.message_ids(user)) == sorted(sent.values())
    return sent

  def store_lines(self, mail, having: str) -> list[dict[str, str]]:
    """Of the last deliver()."""
    lines = mail.store.log_lines()
    skipped = mail.store.log_text()[:self.start].count('\n')
    return [line for line in lines[skipped:] if having in line['line']]

  def trace_ids(self, mail) -> dict[str, str | None]:
    """Message-ID -> the trace id that the store filed it under."""
    return {line['msgid']: line.get('r.tid', '').strip('<>')
            for line in self.store_lines(mail, 'Delivered:')}

  def test_each_message_of_a_run_has_its_queue_id_as_trace_id_in_the_log_of_the_store(self, mail):
    mail.with_lmtpq()
    sent = self.deliver(mail, 20)
    assert self.trace_ids(mail) == {identity: qid for qid, identity in sent.items()}

  def test_twenty_messages_of_a_run_go_over_one_connection(self, mail):
    mail.with_lmtpq()
    self.deliver(mail, 20)
    assert len({line['pid'] for line in mail.lmtpq_lines('to=')}) == 1
    assert len(self.store_lines(mail, 'Connected:')) == 1

  def test_a_message_without_a_trace_id_inherits_none(self, mail):
    mail.with_lmtpq('--trace=off')
    self.deliver(mail, 3)
    assert set(self.trace_ids(mail).values()) == {''}

  def test_a_trace_id_that_was_given_is_used(self, mail):
    mail.with_lmtpq('--trace-id=audit-2026.11')
    self.deliver(mail, 2)
    assert set(self.trace_ids(mail).values()) == {'audit-2026.11'}

  def test_the_reply_in_the_log_of_sendmail_carries_the_trace_id(self, mail):
    mail.with_lmtpq()
    full = mail.full_mailbox()
    qid = mail.send(message(), full)
    mail.sendmail.run_queue()
    mail.assert_deferred(qid, full, '4.2.2', mail.store.over_quota)
    assert mail.sendmail.delivery(qid, full).line.count(qid) >= 2

  def test_a_store_that_advertises_nothing_receives_one_command_at_a_time(self, mail):
    keywords = ('PIPELINING', '8BITMIME', 'ENHANCEDSTATUSCODES', 'SIZE', 'IGNOREQUOTA', 'TRACE')
    self.restart_with(mail, *(word for keyword in keywords for word in ('--without', keyword)))
    mail.with_lmtpq()
    alice, full = mail.mailbox('alice'), mail.full_mailbox()
    raw = message(b'.\r\nplain\r\n')
    qid = mail.send(raw, alice, full, 'stranger', domain='quota.test')
    mail.sendmail.run_queue()
    mail.assert_sent(qid, alice)
    mail.assert_deferred(qid, full, '4.', mail.store.over_quota)
    mail.assert_bounced(qid, 'stranger', '5.1.1', mail.store.unknown_user)
    assert body_of(mail.store.messages(alice)[0]) == b'.\r\nplain\r\n'

  def test_a_message_over_the_limit_of_the_store_bounces_for_every_recipient(self, mail):
    self.restart_with(mail, '--max-message-size', '100000')
    mail.with_lmtpq()
    users = [mail.mailbox(name) for name in ('alice', 'bob', 'carol')]
    small = message()
    # RET=HDRS: the bounce shall be small enough for this store.
    large_qid = mail.send(message(LARGE), *users, options=('RET=HDRS',))
    small_qid = mail.send(small, *users)
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    for user in users:
      assert mail.sendmail.delivery(large_qid, user).dsn.startswith(('5.3.4', '5.2.3')), (
          mail.sendmail.delivery(large_qid, user))
      mail.assert_sent(small_qid, user)
      assert mail.store.message_ids(user) == [message_id(small)]
      assert mail.dsn_for(user)['Action'] == 'failed'

  def test_one_552_after_the_dot_is_the_reply_for_every_recipient(self, mail):
    """The store reports its limit only when it has read the message, and reports it once."""
    self.restart_with(mail, '--max-message-size', '100000', '--without', 'SIZE')
    mail.with_lmtpq()
    users = [mail.mailbox(name) for name in ('alice', 'bob', 'carol')]
    large_qid = mail.send(message(LARGE), *users)
    small_qid = mail.send(message(), *users)
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    for user in users:
      assert mail.sendmail.delivery(large_qid, user).dsn.startswith('5.'), (
          mail.sendmail.delivery(large_qid, user))
      mail.assert_sent(small_qid, user)
      assert len(mail.store.messages(user)) == 1

  def test_the_next_destination_is_tried_when_the_first_is_down(self, mail):
    mail.with_lmtpq(address=f'{mail.store.address}.missing',
                    knobs=f"define(`LMTPQ_MAILER_FALLBACK', `{mail.store.address}')")
    self.deliver(mail, 3)

  def test_a_store_on_tcp_is_delivered_to(self, mail):
    mail.store.by_tcp = True
    mail.at_end(setattr, mail.store, 'by_tcp', False)
    mail.with_lmtpq()
    sent = self.deliver(mail, 3)
    assert set(self.trace_ids(mail).values()) == set(sent)

  def test_two_recipients_at_a_time_when_the_m_line_says_so(self, mail):
    mail.with_lmtpq(knobs="define(`CYRUSV2_MAILER_MAXRCPTS', `2')")
    users = [mail.mailbox(f'user{index}x') for index in range(5)]
    raw = message()
    qid = mail.send(raw, *users)
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    for user in users:
      mail.assert_sent(qid, user)
      assert mail.store.message_ids(user) == [message_id(raw)]

  def test_a_new_process_for_each_message_when_the_m_line_says_so(self, mail):
    mail.with_lmtpq(knobs="define(`CYRUSV2_MAILER_MAXMSGS', `1')")
    self.deliver(mail, 3)
    assert len({line['pid'] for line in mail.lmtpq_lines('to=')}) == 3

  def test_no_lmtpq_is_left_after_a_queue_run(self, mail):
    mail.with_lmtpq()
    self.deliver(mail, 2)
    assert mail.lmtpq_pids() == []
    assert mail.sendmail.log_lines('mailer died') == []
    assert [line for line in mail.sendmail.log_lines('exited')] == []
