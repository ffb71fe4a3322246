"""A TRACE that is refused, or never answered: the mail and what is said of it stay the same."""

import re

from dialogue import exchanges, queue_ids, transactions, without_varying
from patch_case import log_fields
from peer import CLOSE, SILENCE, by_user, in_turn
from peer_case import PeerCase
from fixtures.messages import message

TOKEN = b'NO-SUCH-TOKEN'
REFUSALS = ('500 5.5.1 ', '501 5.5.4 ', '550 5.7.1 ', '451 4.3.0 ', '452 ',
            '554-5.0.0 a\n554 5.0.0 ')

# Local part -> what the peer does with it, each a way in which old errors might come to light.
FATES = {
    'taken': {},
    'rcpt550': {'RCPT': '550 5.1.1 no such user'},
    'rcpt550bare': {'RCPT': '550 no such user'},
    'rcpt451': {'RCPT': '451 4.2.1 mailbox locked'},
    'rcpt451bare': {'RCPT': '451 mailbox locked'},
    'rcptclose': {'RCPT': CLOSE},
    'rcpt421': {'RCPT': '421 4.3.2 going down'},
    'mail550': {'MAIL': '550 5.7.1 not you'},
    'mail552': {'MAIL': '552 5.3.4 too large'},
    'mail451bare': {'MAIL': '451 not now'},
    'mailclose': {'MAIL': CLOSE},
    'data451': {'DATA': '451 4.3.0 not now'},
    'data554': {'DATA': '554 no valid recipients'},
    'dataclose': {'DATA': CLOSE},
    'dot550': {'DOT': '550 5.7.1 not this'},
    'dot554bare': {'DOT': '554 not this'},
    'dot452bare': {'DOT': '452 full'},
    'dotclose': {'DOT': CLOSE},
    'plain': {'DOT': '250 taken'},
}


class RefusedTrace(PeerCase):
  weight = 3

  def meet(self, trace: str, flags: str, offered: tuple[str, ...]) -> tuple[bytes, list[str]]:
    """Each fate by a message of its own, in a process of its own: what was filed, and the log."""
    self.peer.forget()
    self.peer.offered += offered
    self.with_flags(flags)
    for fate, answers in FATES.items():
      self.peer.answers = {verb: self.unless_bounce(answer) for verb, answer in answers.items()}
      self.peer.answers['TRACE'] = trace + TOKEN.decode()
      raw = message(b'Hello.\r\n', fate).replace(b'Message-ID: <', b'Message-ID: <m.')
      self.sendmail.submit_by_program(self.same(fate, raw), f'{fate}@store.test', delivery_mode='i')
      self.right(self.peer.take())
    ids = queue_ids(self.sendmail.log_lines())
    filed = b''.join(raw for user in sorted(self.peer.filed) for raw in self.peer.filed[user])
    log = [line for line in self.sendmail.log_lines('to=') if 'stat=queued' not in line]
    return without_varying(filed, ids), [self.plain(line, ids) for line in log]

  def same(self, fate: str, raw: bytes) -> bytes:
    """The same message for the same fate, each time."""
    return self.messages_sent.setdefault(fate, raw)

  @staticmethod
  def unless_bounce(answer):
    """The answer, but for what comes from <> (which follows in the same process)."""
    def answer_mail(session, argument):
      bounce = session.exchanges and any(b'<>' in one.sent for one in session.exchanges
                                         if one.verb == 'MAIL')
      return None if bounce else answer
    return answer_mail

  @staticmethod
  def plain(line: str, ids: list[str]) -> str:
    text = without_varying(line.partition(']: ')[2].encode(), ids).decode()
    text = re.sub(r', (sessionid|ignorequota)=[^,]*', '', text)
    return re.sub(r'\b(x?delay|pri)=[^,]*', r'\1', text)

  def setUp(self):
    super().setUp()
    self.messages_sent: dict[str, bytes] = {}

  def check_refusal(self, refusal: str, *offered: str):
    """As without F=T, byte for byte: the mail, the DSNs, and the log but for its new fields."""
    expected = self.meet('500 ', '', offered)
    self.assertEqual(self.sendmail.log_lines('TRACE'), [])
    found = self.meet(refusal, 'T', offered)
    self.assertEqual(found[0], expected[0])
    self.assertEqual(found[1], expected[1])
    self.assert_never_heard(TOKEN)
    self.assertIn(b'Reporting-MTA', found[0], 'there were bounces')
    refused = self.sendmail.log_lines(': TRACE refused: ')
    self.assertGreaterEqual(len(refused), len(FATES))
    for line in refused:
      self.assertRegex(line, r'\b\w{14}: TRACE refused: ')

  def test_whatever_else_befalls_the_mail_is_told_as_if_there_were_no_trace(self):
    self.check_refusal('501 5.5.4 ')

  def test_a_temporary_refusal_is_not_taken_for_the_reason_of_another(self):
    self.check_refusal('451 4.3.0 ')

  def test_the_same_with_pipelining(self):
    self.check_refusal('500 5.5.1 ', 'PIPELINING')

  def test_any_refusal_leaves_one_line_in_the_log_and_the_mail_is_delivered(self):
    for refusal in REFUSALS:
      with self.subTest(refusal=refusal):
        self.peer.forget()
        self.peer.answers['TRACE'] = refusal + TOKEN.decode()
        self.with_flags('QT')
        raws = [message(b'x' * 70 * number) for number in range(3)]
        qids = [self.send(raw, 'alice', 'bob') for raw in raws]
        sessions = self.run_queue()
        self.assertEqual([one.qid for one in transactions(sessions)], qids)
        for user in ('alice', 'bob'):
          self.assertEqual(len(self.peer.messages(user)), 3)
          for qid in qids:
            self.assert_sent(qid, user)
        self.assert_queue_empty()
        self.assertEqual([one.trace_id for one in transactions(sessions)], [''] * 3)
        for qid in qids:
          self.assertEqual(len(self.sendmail.log_lines(f'{qid}: TRACE refused: ')), 1)
        self.assert_never_heard(TOKEN)

  def test_the_line_stands_at_log_level_nine_and_not_at_eight(self):
    for level, count in ((9, 1), (8, 0)):
      with self.subTest(level=level):
        self.peer.forget()
        self.peer.answers['TRACE'] = '501 5.5.4 ' + TOKEN.decode()
        self.with_flags('T', f'define(`confLOG_LEVEL\', `{level}\')')
        self.sendmail.submit(message(), 'alice@store.test')
        self.run_queue()
        self.assertEqual(len(self.peer.messages('alice')), 1)
        self.assertEqual(len(self.sendmail.log_lines('TRACE refused: ')), count)

  def test_a_later_refusal_in_the_same_run_does_not_mention_it(self):
    self.peer.answers = {'TRACE': '451 4.7.1 ' + TOKEN.decode(),
                         'RCPT': by_user({'nobody': '550 unknown', 'later': '450 busy'})}
    self.with_flags('QT')
    qids = [self.send_sized(number, 'alice', 'nobody', 'later') for number in range(3)]
    self.run_queue()
    self.assertEqual(len(self.peer.messages('alice')), 3)
    for qid in qids:
      self.assert_deferred(qid, 'later', '4.2.0', 'busy')
      self.assertTrue(self.sendmail.delivery(qid, 'nobody').dsn.startswith('5.1.1'))
    self.assertEqual(len(self.peer.messages('sender')), 3)
    self.assert_never_heard(TOKEN)


class LostAtTrace(PeerCase):
  """No reply that could be waited for: the mail is deferred, as if it had been MAIL."""

  def check_deferred(self, answer, options: str = '') -> str:
    self.peer.answers['TRACE'] = in_turn(answer)
    self.with_flags('QT', options)
    raw = message()
    qid = self.send(raw, 'alice')
    sessions = self.run_queue()
    self.assert_end(qid, 'alice', 'Deferred', '4.')
    self.assertEqual(transactions(sessions), [])
    self.assertEqual(self.peer.messages('alice'), [])
    self.assertEqual(self.sendmail.queued(), {qid})
    self.assertEqual(len(sessions), 1)
    again = self.run_queue()
    self.assert_sent(qid, 'alice')
    self.assert_traced(again)
    self.assertEqual(len(self.peer.messages('alice')), 1)
    self.assert_queue_empty()
    return ' '.join(sessions[0].verbs)

  def test_421_closes_the_connection_and_defers_the_mail(self):
    verbs = self.check_deferred('421 4.3.2 going down')
    self.assertIn(verbs, ('LHLO TRACE QUIT', 'LHLO TRACE'))

  def test_421_is_told_as_421_to_mail(self):
    ends = []
    for verb, flags in (('TRACE', 'QT'), ('MAIL', '')):
      self.peer.forget()
      self.peer.answers[verb] = '421 4.3.2 going down'
      self.with_flags(flags)
      qid = self.send(message(), 'alice')
      self.run_queue()
      end = self.sendmail.delivery(qid, 'alice')
      fields = log_fields(end)
      ends.append((end.stat, fields['dsn'], fields.get('reply')))
    self.assertEqual(ends[0], ends[1])
    self.assertIn('421', ends[0][0])

  def test_421_in_a_cached_connection_is_told_as_421_to_mail(self):
    ends = []
    for verb, flags in (('TRACE', 'QT'), ('MAIL', '')):
      self.peer.forget()
      self.peer.answers[verb] = in_turn(None, '421 4.3.2 going down')
      self.with_flags(flags)
      qids = [self.send_sized(number, 'alice') for number in range(2)]
      self.run_queue()
      self.assert_sent(qids[0], 'alice')
      self.assert_end(qids[1], 'alice', 'Deferred', '')
      ends.append(self.sendmail.delivery(qids[1], 'alice'))
      self.assertEqual(self.sendmail.queued(), {qids[1]})
      self.run_queue()
      self.assert_sent(qids[1], 'alice')
      self.assertEqual(len(self.peer.messages('alice')), 2)
    self.assertEqual((ends[0].dsn, ends[0].stat), (ends[1].dsn, ends[1].stat))

  def test_a_closed_connection_defers_the_mail(self):
    self.check_deferred(CLOSE)

  def test_silence_defers_the_mail(self):
    limits = ''.join(f'define(`confTO_{name}\', `1s\')\n' for name in ('MISC', 'MAIL'))
    self.check_deferred(SILENCE, limits)


class RefusedReset(PeerCase):
  """RSET is what takes the last message's id away."""

  def check_run(self, count: int = 4) -> list:
    self.with_flags('QT')
    qids = [self.send_sized(number, 'alice') for number in range(count)]
    sessions = self.run_queue()
    self.assertEqual(len(self.peer.messages('alice')), count)
    for qid in qids:
      self.assert_sent(qid, 'alice')
    self.assert_queue_empty()
    return sessions

  def test_a_refused_rset_leads_to_a_new_connection_with_the_right_ids(self):
    for refusal in ('500 5.5.2 what', '451 4.3.0 not now', '421 4.3.2 going down', CLOSE):
      with self.subTest(refusal=refusal):
        self.peer.forget()
        self.peer.answers['RSET'] = in_turn(None, refusal)
        sessions = self.check_run()
        self.assert_traced(sessions)
        self.assertEqual(len(sessions), 2)

  def test_rset_comes_before_trace_and_trace_before_mail(self):
    (session,) = self.check_run(3)
    one = ['TRACE', 'MAIL', 'RCPT', 'DATA', '.']
    self.assertEqual(session.verbs, ['LHLO', *one, 'RSET', *one, 'RSET', *one, 'QUIT'])

  def test_trace_refused_for_some_messages_leaves_them_without_id(self):
    self.peer.answers['TRACE'] = in_turn(None, '501 5.5.4 no', None, '451 4.3.0 no')
    sessions = self.check_run(4)
    found = transactions(sessions)
    self.assertEqual([one.trace_id for one in found], [found[0].qid, '', found[2].qid, ''])

  def test_a_host_that_kept_its_id_after_it_refused_mail_gets_no_other_message(self):
    """A connection that was left in the middle of a transaction is reset, not probed."""
    for trace in ('501 5.5.4 no', '451 4.3.0 no', None):
      with self.subTest(trace=trace):
        self.peer.forget()
        answers = {'MAIL': in_turn('451 4.3.0 not now'), 'RSET': lambda *_: '500 5.5.2 what',
                   'TRACE': in_turn(None, trace)}
        for verb, answer in answers.items():
          self.peer.answers[verb] = self.at_first_host(answer)
        self.with_flags('QT', arguments=f'TCP [127.0.0.1]:[127.0.0.2] {self.peer.port}')
        owners = {}
        for number in range(3):
          sender = f'sender{number}'
          owners[sender] = self.send_sized(number, 'alice', sender=f'{sender}@mail.test')
        self.sendmail.run_queue()
        sessions = self.right(self.peer.take(), owners)
        self.assertEqual(len({one.host for one in sessions}), 2)
        self.assertEqual(len(self.peer.messages('alice')), 3)
        self.assert_queue_empty()
        self.assertTrue(exchanges(sessions, 'RSET'))

  @staticmethod
  def at_first_host(answer):
    return lambda session, argument: (answer(session, argument)
                                      if session.host == '127.0.0.1' else None)
