"""A TRACE that is refused, or never answered: the mail and what is logged of it stay the same."""

import re

import pytest

from fixtures.messages import message

from .dialogue import exchanges, queue_ids, transactions, without_varying
from .patch_mail import log_fields
from .peer import CLOSE, SILENCE, by_user, in_turn
from .peer_mail import PeerCases

TOKEN = b'NO-SUCH-TOKEN'
REFUSALS = ('500 5.5.1 ', '501 5.5.4 ', '550 5.7.1 ', '451 4.3.0 ', '452 ',
            '554-5.0.0 a\n554 5.0.0 ')

# Local part -> what the peer does with it: each could make the text of an old error appear.
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


@pytest.mark.weight(3)
class TestRefusedTrace(PeerCases):
  def meet(self, mail, trace: str, flags: str, offered: tuple[str, ...]) -> tuple[bytes, list[str]]:
    """Each fate by a separate message, in a separate process: what was filed, and the log."""
    mail.peer.forget()
    mail.peer.offered += offered
    mail.with_flags(flags)
    for fate, answers in FATES.items():
      mail.peer.answers = {verb: self.unless_bounce(answer) for verb, answer in answers.items()}
      mail.peer.answers['TRACE'] = trace + TOKEN.decode()
      raw = message(b'Hello.\r\n', fate).replace(b'Message-ID: <', b'Message-ID: <m.')
      mail.sendmail.submit_by_program(self.same(fate, raw), f'{fate}@store.test', delivery_mode='i')
      mail.right(mail.peer.take())
    ids = queue_ids(mail.sendmail.log_lines())
    filed = b''.join(raw for user in sorted(mail.peer.filed) for raw in mail.peer.filed[user])
    log = [line for line in mail.sendmail.log_lines('to=') if 'stat=queued' not in line]
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

  @pytest.fixture(autouse=True)
  def prepare(self):
    self.messages_sent: dict[str, bytes] = {}

  def check_refusal(self, mail, refusal: str, *offered: str):
    """As without F=T, byte for byte: the mail, the DSNs, and the log but for its new fields."""
    expected = self.meet(mail, '500 ', '', offered)
    assert mail.sendmail.log_lines('TRACE') == []
    found = self.meet(mail, refusal, 'T', offered)
    assert found[0] == expected[0]
    assert found[1] == expected[1]
    mail.assert_not_shown(TOKEN)
    assert b'Reporting-MTA' in found[0], 'there were bounces'
    refused = mail.sendmail.log_lines(': TRACE refused: ')
    assert len(refused) >= len(FATES)
    for line in refused:
      assert re.search(r'\b\w{14}: TRACE refused: ', line)

  def test_other_errors_are_reported_as_if_there_were_no_trace(self, mail):
    self.check_refusal(mail, '501 5.5.4 ')

  def test_a_temporary_refusal_is_not_taken_for_the_reason_of_another(self, mail):
    self.check_refusal(mail, '451 4.3.0 ')

  def test_the_same_with_pipelining(self, mail):
    self.check_refusal(mail, '500 5.5.1 ', 'PIPELINING')

  @pytest.mark.parametrize('refusal', REFUSALS)
  def test_any_refusal_leaves_one_line_in_the_log_and_the_mail_is_delivered(self, mail, refusal):
    mail.peer.answers['TRACE'] = refusal + TOKEN.decode()
    mail.with_flags('QT')
    raws = [message(b'x' * 70 * number) for number in range(3)]
    qids = [mail.send(raw, 'alice', 'bob') for raw in raws]
    sessions = mail.run_queue()
    assert [one.qid for one in transactions(sessions)] == qids
    for user in ('alice', 'bob'):
      assert len(mail.peer.messages(user)) == 3
      for qid in qids:
        mail.assert_sent(qid, user)
    mail.assert_queue_empty()
    assert [one.trace_id for one in transactions(sessions)] == [''] * 3
    for qid in qids:
      assert len(mail.sendmail.log_lines(f'{qid}: TRACE refused: ')) == 1
    mail.assert_not_shown(TOKEN)

  @pytest.mark.parametrize('level, count', [(9, 1), (8, 0)])
  def test_the_line_is_logged_at_level_nine_and_not_at_eight(self, mail, level, count):
    mail.peer.answers['TRACE'] = '501 5.5.4 ' + TOKEN.decode()
    mail.with_flags('T', f'define(`confLOG_LEVEL\', `{level}\')')
    mail.sendmail.submit(message(), 'alice@store.test')
    mail.run_queue()
    assert len(mail.peer.messages('alice')) == 1
    assert len(mail.sendmail.log_lines('TRACE refused: ')) == count

  def test_a_later_refusal_in_the_same_run_does_not_mention_it(self, mail):
    mail.peer.answers = {'TRACE': '451 4.7.1 ' + TOKEN.decode(),
                         'RCPT': by_user({'nobody': '550 unknown', 'later': '450 busy'})}
    mail.with_flags('QT')
    qids = [mail.send_sized(number, 'alice', 'nobody', 'later') for number in range(3)]
    mail.run_queue()
    assert len(mail.peer.messages('alice')) == 3
    for qid in qids:
      mail.assert_deferred(qid, 'later', '4.2.0', 'busy')
      assert mail.sendmail.delivery(qid, 'nobody').dsn.startswith('5.1.1')
    assert len(mail.peer.messages('sender')) == 3
    mail.assert_not_shown(TOKEN)


class TestLostAtTrace(PeerCases):
  """No reply that could be waited for: the mail is deferred, as if it had been MAIL."""

  def check_deferred(self, mail, answer, options: str = '') -> str:
    mail.peer.answers['TRACE'] = in_turn(answer)
    mail.with_flags('QT', options)
    raw = message()
    qid = mail.send(raw, 'alice')
    sessions = mail.run_queue()
    mail.assert_end(qid, 'alice', 'Deferred', '4.')
    assert transactions(sessions) == []
    assert mail.peer.messages('alice') == []
    assert mail.sendmail.queued() == {qid}
    assert len(sessions) == 1
    again = mail.run_queue()
    mail.assert_sent(qid, 'alice')
    mail.assert_traced(again)
    assert len(mail.peer.messages('alice')) == 1
    mail.assert_queue_empty()
    return ' '.join(sessions[0].verbs)

  def test_421_closes_the_connection_and_defers_the_mail(self, mail):
    verbs = self.check_deferred(mail, '421 4.3.2 going down')
    assert verbs in ('LHLO TRACE QUIT', 'LHLO TRACE')

  def test_421_is_reported_as_421_to_mail(self, mail):
    ends = []
    for verb, flags in (('TRACE', 'QT'), ('MAIL', '')):
      mail.peer.forget()
      mail.peer.answers[verb] = '421 4.3.2 going down'
      mail.with_flags(flags)
      qid = mail.send(message(), 'alice')
      mail.run_queue()
      end = mail.sendmail.delivery(qid, 'alice')
      fields = log_fields(end)
      ends.append((end.stat, fields['dsn'], fields.get('reply')))
    assert ends[0] == ends[1]
    assert '421' in ends[0][0]

  def test_421_in_a_cached_connection_is_reported_as_421_to_mail(self, mail):
    ends = []
    for verb, flags in (('TRACE', 'QT'), ('MAIL', '')):
      mail.peer.forget()
      mail.peer.answers[verb] = in_turn(None, '421 4.3.2 going down')
      mail.with_flags(flags)
      qids = [mail.send_sized(number, 'alice') for number in range(2)]
      mail.run_queue()
      mail.assert_sent(qids[0], 'alice')
      mail.assert_end(qids[1], 'alice', 'Deferred', '')
      ends.append(mail.sendmail.delivery(qids[1], 'alice'))
      assert mail.sendmail.queued() == {qids[1]}
      mail.run_queue()
      mail.assert_sent(qids[1], 'alice')
      assert len(mail.peer.messages('alice')) == 2
    assert (ends[0].dsn, ends[0].stat) == (ends[1].dsn, ends[1].stat)

  def test_a_closed_connection_defers_the_mail(self, mail):
    self.check_deferred(mail, CLOSE)

  def test_silence_defers_the_mail(self, mail):
    limits = ''.join(f'define(`confTO_{name}\', `1s\')\n' for name in ('MISC', 'MAIL'))
    self.check_deferred(mail, SILENCE, limits)


class TestRefusedReset(PeerCases):
  """RSET is what takes the last message's id away."""

  def check_run(self, mail, count: int = 4) -> list:
    mail.with_flags('QT')
    qids = [mail.send_sized(number, 'alice') for number in range(count)]
    sessions = mail.run_queue()
    assert len(mail.peer.messages('alice')) == count
    for qid in qids:
      mail.assert_sent(qid, 'alice')
    mail.assert_queue_empty()
    return sessions

  @pytest.mark.parametrize('refusal', [
      '500 5.5.2 what', '451 4.3.0 not now', '421 4.3.2 going down', CLOSE],
      ids=['500', '451', '421', 'close'])
  def test_a_refused_rset_leads_to_a_new_connection_with_the_right_ids(self, mail, refusal):
    mail.peer.answers['RSET'] = in_turn(None, refusal)
    sessions = self.check_run(mail)
    mail.assert_traced(sessions)
    assert len(sessions) == 2

  def test_rset_comes_before_trace_and_trace_before_mail(self, mail):
    (session,) = self.check_run(mail, 3)
    one = ['TRACE', 'MAIL', 'RCPT', 'DATA', '.']
    assert session.verbs == ['LHLO', *one, 'RSET', *one, 'RSET', *one, 'QUIT']

  def test_trace_refused_for_some_messages_leaves_them_without_id(self, mail):
    mail.peer.answers['TRACE'] = in_turn(None, '501 5.5.4 no', None, '451 4.3.0 no')
    sessions = self.check_run(mail, 4)
    found = transactions(sessions)
    assert [one.trace_id for one in found] == [found[0].qid, '', found[2].qid, '']

  @pytest.mark.parametrize('trace', ['501 5.5.4 no', '451 4.3.0 no', None])
  def test_a_host_that_kept_its_id_after_it_refused_mail_gets_no_other_message(self, mail, trace):
    """A connection that was left in the middle of a transaction is reset, not probed."""
    answers = {'MAIL': in_turn('451 4.3.0 not now'), 'RSET': lambda *_: '500 5.5.2 what',
               'TRACE': in_turn(None, trace)}
    for verb, answer in answers.items():
      mail.peer.answers[verb] = self.at_first_host(answer)
    mail.with_flags('QT', arguments=f'TCP [127.0.0.1]:[127.0.0.2] {mail.peer.port}')
    owners = {}
    for number in range(3):
      sender = f'sender{number}'
      owners[sender] = mail.send_sized(number, 'alice', sender=f'{sender}@mail.test')
    mail.sendmail.run_queue()
    sessions = mail.right(mail.peer.take(), owners)
    assert len({one.host for one in sessions}) == 2
    assert len(mail.peer.messages('alice')) == 3
    mail.assert_queue_empty()
    assert exchanges(sessions, 'RSET')

  @staticmethod
  def at_first_host(answer):
    return lambda session, argument: (answer(session, argument)
                                      if session.host == '127.0.0.1' else None)
