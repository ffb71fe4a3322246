"""Each message has its own trace id, and it is the same in every log."""

import smtplib

from fixtures.messages import message, message_id
from fixtures.tag_case import NOTICES, TagCase

TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
TRUST = 'accept-trace-from = X-Trace-Id traceparent\ntrusted-clients = 127.0.0.1\n'


class Traces(TagCase):
  def test_the_id_that_the_milter_gives_is_in_all_four_logs(self):
    self.with_milter()
    alice = self.mailbox('alice')
    raw = message(sender=self.notice)
    qid = self.notify(f'{alice}@store.test', raw=raw)
    self.sendmail.run_queue()
    trace = self.milter.word_on(qid)['trace']
    self.assertRegex(trace, rf'^{qid}\.[\w-]{{6,}}$')
    self.assertEqual([line['trace'] for line in self.recipient_lines(qid)], [trace])
    self.assertEqual(self.traces_of_store()[message_id(raw)], trace)
    # With the tag that it inserts; to= lines have an id when a delivery is deferred or refused.
    self.assertTrue([line for line in self.sendmail.log_lines(f'{qid}: Milter') if trace in line])
    full = self.full_mailbox()
    refused = self.send(message(), full)
    self.sendmail.run_queue()
    self.assert_deferred(refused, full, '4.2.2',
                         f'TRACEID=<{self.milter.word_on(refused)["trace"]}>')

  def test_mail_with_and_without_tags_through_one_lmtpq_keeps_apart(self):
    self.with_milter(options="define(`confQUEUE_SORT_ORDER', `filename')\n")
    alice, full = self.mailbox('alice'), self.full_mailbox()
    traces, notices, ordinary, kinds = {}, set(), set(), {}
    for number in range(24):
      raw = message(b'number %d\r\n' % number, sender=self.notice)
      to = (f'{alice}@store.test', f'{full}@store.test')
      kind = ('notice', 'untagged', 'other')[number % 3]
      if kind == 'untagged':  # it passes no milter
        qid = self.sendmail.submit_by_program(raw, *to, sender=self.notice)
        traces[message_id(raw)] = qid
      else:
        sender = self.notice if kind == 'notice' else self.sender
        qid = self.sendmail.submit(raw, *to, sender=sender)
        traces[message_id(raw)] = self.milter.word_on(qid)['trace']
      kinds[qid] = kind
      (notices if kind == 'notice' else ordinary).add(message_id(raw))
    self.sendmail.run_queue()
    lines = [line for line in self.lmtpq_lines() if 'to' in line]
    self.assertEqual(len({line['pid'] for line in lines}), 1, 'one lmtpq took them all')
    order = list(dict.fromkeys(line['qid'] for line in lines))
    changes = sum(kinds[a] != kinds[b] for a, b in zip(order, order[1:]))
    self.assertEqual(len(order), 24)
    self.assertGreaterEqual(changes, 12, 'they came in alternation')
    self.assertEqual({identity: self.traces_of_store().get(identity) for identity in traces},
                     traces)
    self.assertEqual(set(self.store.message_ids(alice)), notices | ordinary)
    self.assertEqual(set(self.store.message_ids(full)), notices)

  def test_each_message_of_one_smtp_connection_has_its_own_id(self):
    self.with_milter()
    self.sendmail.start()
    alice = self.mailbox('alice')
    identities = {}
    with smtplib.SMTP('127.0.0.1', self.sendmail.port, 'client.test', timeout=60) as client:
      for sender in (self.notice, self.sender) * 3:
        raw = message()
        client.sendmail(sender, [f'{alice}@store.test'], raw)
        identities[message_id(raw)] = sender
        # A transaction that comes to nothing.
        client.mail(self.notice)
        client.rcpt(f'{alice}@store.test')
        client.rset()
    self.sendmail.run_queue()
    words = {line['trace']: line for line in self.milter.log_lines('tagged')}
    self.assertEqual(len(words), 6)
    traces = self.traces_of_store()
    for identity, sender in identities.items():
      self.assertEqual(words[traces[identity]]['quota'],
                       'ignore' if sender == self.notice else 'honour')

  def test_a_trusted_client_may_bring_its_own_id(self):
    self.with_milter(NOTICES, TRUST)
    self.assert_trace(b'X-Trace-Id: <job-2026.11_21>\r\n', 'job-2026.11_21')
    self.assert_trace(b'traceparent: ' + TRACEPARENT.encode() + b'\r\n',
                      TRACEPARENT.split('-')[1])
    self.assert_trace(b'Traceparent: ' + TRACEPARENT.encode() + b'\r\nx-trace-id: abc\r\n', 'abc')

  def test_an_id_that_trace_would_not_take_is_passed_over(self):
    self.with_milter(NOTICES, TRUST)
    for bad in (b'X-Trace-Id: two words\r\n', b'X-Trace-Id: ' + b'x' * 256 + b'\r\n',
                b'X-Trace-Id: \xc3\xa4\r\n', b'X-Trace-Id:\r\n',
                b'traceparent: 00-' + b'0' * 32 + b'-00f067aa0ba902b7-01\r\n',
                b'traceparent: ' + TRACEPARENT.upper().encode() + b'\r\n'):
      self.assert_trace(bad, '')

  def test_a_stranger_may_not(self):
    self.with_milter(NOTICES, TRUST)
    self.assert_trace(b'X-Trace-Id: stolen\r\n', '', client='127.0.0.2')

  def assert_trace(self, headers: bytes, trace: str, client: str = '127.0.0.1'):
    """trace is what the store must have; empty: one made from the queue id."""
    alice = self.mailbox(f'alice-{len(self.sendmail.qids())}-')
    raw = message(headers=headers)
    qid = self.send(raw, alice, client_address=client)
    self.sendmail.run_queue()
    self.assertEqual(len(self.store.messages(alice)), 1)
    seen = self.traces_of_store()[message_id(raw)]
    self.assertRegex(seen, rf'^{trace}$' if trace else rf'^{qid}\.[\w-]+$')
