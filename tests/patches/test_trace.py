"""F=T: each message goes under its own queue id, over connections that carry many."""

import re

import pytest

from fixtures.messages import message, message_id

from . import store_log

OPTIONS = ['--log-commands', '--max-message-size=30000']


@pytest.mark.weight(2)
class TraceCases:
  @pytest.fixture(autouse=True)
  def prepare(self, mail):
    mail.store.restart()
    mail.store.log.write_text('')

  def assert_filed_under_own_ids(self, mail, sent: dict[str, str]):
    """sent: Message-ID -> queue id. A DSN carries its queue id in its own Message-ID."""
    delivered = store_log.events(mail.store, 'Delivered')
    for one in delivered:
      msgid = one['msgid']
      own = sent.get(f'<{msgid}>') or re.sub(r'^\d{12}\.(\w+)@.*$', r'\1', msgid)
      assert one.get('r.tid') == own, one['line']
      logged = [line for line in mail.sendmail.deliveries(own)
                if line.to.partition('@')[0] == one['userid'] and line.stat.startswith('Sent')]
      assert len(logged) == 1, one['line']
      assert f', sessionid=<{one["sessionid"]}>, stat=Sent' in logged[0].line
    assert set(sent) <= {f'<{one["msgid"]}>' for one in delivered}

  def send_to(self, mail, sent: dict[str, str], number: int, *users: str, body: bytes = b'') -> str:
    raw = message(b'y' * 70 * number + b'\r\n' + body)
    qid = mail.send(raw, *users)
    sent[message_id(raw)] = qid
    return qid


class OneByOneCases(TraceCases):
  def test_twenty_messages_over_one_connection_are_filed_under_their_own_ids(self, mail):
    mail.with_flags('T')
    user = mail.mailbox('alice')
    sent: dict[str, str] = {}
    for number in range(20):
      self.send_to(mail, sent, number, user)
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    self.assert_filed_under_own_ids(mail, sent)
    assert len(sent) == 20
    assert sorted(mail.store.message_ids(user)) == sorted(sent)
    assert store_log.sessions(mail.store) == 1
    assert len(store_log.commands(mail.store, 'RSET')) == 19
    assert (sorted(store_log.commands(mail.store, 'TRACE'))
            == sorted(f'TRACE {qid}' for qid in sent.values()))

  def test_refused_recipients_and_messages_in_between_shift_no_id(self, mail):
    mail.with_flags('T')
    users = [mail.mailbox(f'u{number}-') for number in range(4)]
    full = mail.full_mailbox()
    sent: dict[str, str] = {}
    refused: list[str] = []
    for number in range(16):
      if number % 4 == 0:
        self.send_to(mail, sent, number, users[0], f'nobody{number}', users[1])
      elif number % 4 == 1:
        refused.append(mail.send_sized(number, f'nobody{number}'))
      elif number % 4 == 2:
        self.send_to(mail, sent, number, users[2], full, users[3])
      else:
        refused.append(mail.send(message(b'z' * 70 * (600 + number) + b'\r\n'), users[0]))
    mail.sendmail.run_queue()
    self.assert_filed_under_own_ids(mail, sent)
    dsns = mail.store.messages(mail.sender.partition('@')[0])
    assert len(dsns) == 12, 'of the refused, one each, and of every nobody'
    for qid in refused:
      assert ([one for one in store_log.events(mail.store, 'Delivered') if one.get('r.tid') == qid]
              == [])
    for user in users:
      assert len(mail.store.messages(user)) == 4
    assert store_log.sessions(mail.store) == 1

  def test_a_message_that_was_deferred_goes_under_the_same_id_again(self, mail):
    mail.with_flags('T')
    user = mail.full_mailbox()
    sent: dict[str, str] = {}
    qid = self.send_to(mail, sent, 1, user)
    mail.sendmail.run_queue()
    mail.assert_deferred(qid, user, '4.2.2')
    refusal = store_log.events(mail.store, 'RCPT refused')[-1]
    assert mail.fields(qid, user)['sessionid'] == f'<{refusal["sessionid"]}>'
    mail.store.make_room(user)
    mail.sendmail.run_queue()
    mail.assert_sent(qid, user)
    self.assert_filed_under_own_ids(mail, sent)

  def test_without_t_nothing_is_traced_and_no_session_id_is_logged(self, mail):
    mail.with_flags('Q')
    user = mail.mailbox('alice')
    qid = mail.send(message(), user)
    mail.sendmail.run_queue()
    mail.assert_sent(qid, user)
    assert store_log.commands(mail.store, 'TRACE') == []
    assert 'sessionid' not in mail.fields(qid, user)


@pytest.mark.store(options=OPTIONS)
class TestTraceInStore(OneByOneCases):
  pass


@pytest.mark.store(options=OPTIONS)
class TestPipeliningInStore(TraceCases):
  """The same dialogue with several recipients in flight: the store offers PIPELINING."""

  def test_replies_are_credited_to_the_right_recipients(self, mail):
    mail.with_flags('QT')
    assert store_log.commands(mail.store, 'LHLO') == []
    users = [mail.mailbox(f'u{number}-') for number in range(6)]
    for user in users[::2]:
      mail.store.fill(user)
    unknown = [f'nobody{number}x{mail.number}' for number in range(5)]
    mixed = [name for pair in zip(users, unknown) for name in pair] + users[5:]
    raw = message()
    qid = mail.send(raw, *mixed)
    mail.sendmail.run_queue()
    for user in users:
      mail.assert_sent(qid, user)
      mail.assert_ignorequota(qid, user, 'sent')
      assert mail.store.message_ids(user) == [message_id(raw)]
    for user in unknown:
      end = mail.sendmail.delivery(qid, user)
      assert end.dsn.startswith('5.1.1'), end.line
      mail.assert_ignorequota(qid, user, 'sent')
    rcpts = [line for line in store_log.commands(mail.store, 'RCPT')
             if mail.sender.partition('@')[0] not in line]
    assert len(rcpts) == 11
    assert [line for line in rcpts if not line.endswith(' IGNOREQUOTA')] == []
    self.assert_filed_under_own_ids(mail, {message_id(raw): qid})


@pytest.mark.store(options=[*OPTIONS, '--without=PIPELINING'])
class TestStoreWithoutPipelining(OneByOneCases):
  """A client that was not offered PIPELINING waits for each reply: the store refuses others."""

  @pytest.fixture(autouse=True)
  def waits_for_each_reply(self, mail):
    yield
    assert 'Pipelined without' not in mail.store.log_text()


@pytest.mark.store(options=['--log-commands', '--without=TRACE'])
class TestStoreWithoutTrace:
  def test_trace_is_not_sent_and_the_session_id_is_logged_all_the_same(self, mail):
    mail.with_flags('QT')
    user = mail.mailbox('alice')
    qid = mail.send(message(), user)
    mail.sendmail.run_queue()
    mail.assert_sent(qid, user)
    assert store_log.commands(mail.store, 'TRACE') == []
    one = store_log.events(mail.store, 'Delivered')[-1]
    assert mail.fields(qid, user)['sessionid'] == f'<{one["sessionid"]}>'
    assert mail.sendmail.log_lines('TRACE') == []
