"""Each message has its own trace id, and it is the same in every log."""

import json
import re
import smtplib
import subprocess

from fixtures.messages import message, message_id
from fixtures.tagged_mail import NOTICES

TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
TRUST = 'accept-trace-from = X-Trace-Id traceparent\ntrusted-clients = 127.0.0.1\n'


class TestTraces:
  def test_the_id_that_the_milter_gives_is_in_all_four_logs(self, mail):
    mail.with_milter()
    alice = mail.mailbox('alice')
    raw = message(sender=mail.notice)
    qid = mail.notify(f'{alice}@store.test', raw=raw)
    mail.sendmail.run_queue()
    trace = mail.milter.decision_on(qid)['trace']
    assert re.search(rf'^{qid}-[\w-]{{6,}}$', trace)
    assert [line['trace'] for line in mail.recipient_lines(qid)] == [trace]
    assert mail.traces_of_store()[message_id(raw)] == trace
    # With the tag that it inserts; to= lines have an id when a delivery is deferred or refused.
    assert [line for line in mail.sendmail.log_lines(f'{qid}: Milter') if trace in line]
    full = mail.full_mailbox()
    refused = mail.send(message(), full)
    mail.sendmail.run_queue()
    mail.assert_deferred(refused, full, '4.2.2',
                         f'TRACEID=<{mail.milter.decision_on(refused)["trace"]}>')

  def test_mail_with_and_without_tags_through_one_lmtpq_keeps_apart(self, mail):
    mail.with_milter(options="define(`confQUEUE_SORT_ORDER', `filename')\n")
    alice, full = mail.mailbox('alice'), mail.full_mailbox()
    traces, notices, ordinary, kinds = {}, set(), set(), {}
    for number in range(24):
      raw = message(b'number %d\r\n' % number, sender=mail.notice)
      to = (f'{alice}@store.test', f'{full}@store.test')
      kind = ('notice', 'untagged', 'other')[number % 3]
      if kind == 'untagged':  # it passes no milter
        qid = mail.sendmail.submit_by_program(raw, *to, sender=mail.notice)
        traces[message_id(raw)] = qid
      else:
        sender = mail.notice if kind == 'notice' else mail.sender
        qid = mail.sendmail.submit(raw, *to, sender=sender)
        traces[message_id(raw)] = mail.milter.decision_on(qid)['trace']
      kinds[qid] = kind
      (notices if kind == 'notice' else ordinary).add(message_id(raw))
    mail.sendmail.run_queue()
    lines = [line for line in mail.lmtpq_lines() if 'to' in line]
    assert len({line['pid'] for line in lines}) == 1, 'one lmtpq took them all'
    order = list(dict.fromkeys(line['qid'] for line in lines))
    changes = sum(kinds[a] != kinds[b] for a, b in zip(order, order[1:]))
    assert len(order) == 24
    assert changes >= 12, 'they came in alternation'
    assert {identity: mail.traces_of_store().get(identity) for identity in traces} == traces
    assert set(mail.store.message_ids(alice)) == notices | ordinary
    assert set(mail.store.message_ids(full)) == notices

  def test_each_message_of_one_smtp_connection_has_its_own_id(self, mail):
    mail.with_milter()
    mail.sendmail.start()
    alice = mail.mailbox('alice')
    identities = {}
    with smtplib.SMTP('127.0.0.1', mail.sendmail.port, 'client.test', timeout=60) as client:
      for sender in (mail.notice, mail.sender) * 3:
        raw = message()
        client.sendmail(sender, [f'{alice}@store.test'], raw)
        identities[message_id(raw)] = sender
        # A transaction that comes to nothing.
        client.mail(mail.notice)
        client.rcpt(f'{alice}@store.test')
        client.rset()
    mail.sendmail.run_queue()
    words = {line['trace']: line for line in mail.milter.log_lines('tagged')}
    assert len(words) == 6
    traces = mail.traces_of_store()
    for identity, sender in identities.items():
      assert words[traces[identity]]['quota'] == ('ignore' if sender == mail.notice else 'honour')

  def test_a_trusted_client_may_bring_its_own_id(self, mail):
    mail.with_milter(NOTICES, TRUST)
    self.assert_trace(mail, b'X-Trace-Id: <job-2026.11_21>\r\n', 'job-2026.11_21')
    self.assert_trace(mail, b'traceparent: ' + TRACEPARENT.encode() + b'\r\n',
                      TRACEPARENT.split('-')[1])
    self.assert_trace(
        mail, b'Traceparent: ' + TRACEPARENT.encode() + b'\r\nx-trace-id: abc\r\n', 'abc')

  def test_an_id_that_trace_would_not_take_is_ignored(self, mail):
    mail.with_milter(NOTICES, TRUST)
    for bad in (b'X-Trace-Id: two words\r\n', b'X-Trace-Id: ' + b'x' * 256 + b'\r\n',
                b'X-Trace-Id: \xc3\xa4\r\n', b'X-Trace-Id:\r\n',
                b'traceparent: 00-' + b'0' * 32 + b'-00f067aa0ba902b7-01\r\n',
                b'traceparent: ' + TRACEPARENT.upper().encode() + b'\r\n'):
      self.assert_trace(mail, bad, '')

  def test_a_stranger_may_not(self, mail):
    mail.with_milter(NOTICES, TRUST)
    self.assert_trace(mail, b'X-Trace-Id: stolen\r\n', '', client='127.0.0.2')

  def test_a_store_that_refuses_dots_takes_the_ids_of_the_milter(self, mail):
    """Cyrus 3.13.1 to 3.13.4 (trap: dot-in-trace-id). Another's id with a dot costs nothing else."""
    self.store_without_dots(mail)
    mail.with_milter(NOTICES, TRUST)
    self.assert_trace(mail, b'', '')
    self.assert_trace(mail, b'X-Trace-Id: job-1\r\n', 'job-1')
    assert mail.lmtpq_lines('event=trace-refused') == []
    alice = mail.mailbox('alice')
    raw = message(headers=b'X-Trace-Id: job.1\r\n')
    qid = mail.send(raw, alice)
    mail.sendmail.run_queue()
    mail.assert_sent(qid, alice)
    assert mail.traces_of_store()[message_id(raw)] == ''
    refused, = mail.lmtpq_lines('event=trace-refused')
    assert refused['trace'] == 'job.1'

  def test_probe_says_whether_the_store_takes_our_ids(self, mail):
    self.store_without_dots(mail)
    for given, reply in (((), '250 2.0.0 Ok'), (('--trace-id=a.b',), '501 5.5.4 Invalid TRACE id.')):
      said = subprocess.run([mail.lmtpq, 'probe', '--config', '/dev/null', '--json', *given,
                             mail.store.address], capture_output=True, text=True, check=True)
      told = json.loads(said.stdout)
      assert told['trace_reply'].startswith(reply), said
      assert told['trace_id'] == 'a.b' or re.fullmatch(r'probe-\w{8}', told['trace_id']), said
    # The session is left without an id.
    lines = mail.store.log_text().splitlines()
    assert [line for line in lines if 'Trace id cleared' in line and 'previous=<probe-' in line]

  def store_without_dots(self, mail):
    mail.store.options = ['--no-dots-in-trace-ids']
    mail.store.restart()
    mail.at_end(mail.store.restart)
    mail.at_end(setattr, mail.store, 'options', [])

  def assert_trace(self, mail, headers: bytes, trace: str, client: str = '127.0.0.1'):
    """trace is what the store must have; empty: one made from the queue id."""
    alice = mail.mailbox(f'alice-{len(mail.sendmail.qids())}-')
    raw = message(headers=headers)
    qid = mail.send(raw, alice, client_address=client)
    mail.sendmail.run_queue()
    assert len(mail.store.messages(alice)) == 1
    seen = mail.traces_of_store()[message_id(raw)]
    assert re.search(rf'^{trace}$' if trace else rf'^{qid}-[\w-]+$', seen)
