"""F=T: each message goes under its own queue id, over connections that carry many."""

import re

import store_log
from patch_case import PatchCase
from fixtures.lmtp_store import LmtpStore
from fixtures.messages import message, message_id


class TraceCases(PatchCase):
  store: LmtpStore
  weight = 2

  @classmethod
  def prepare_store(cls):
    cls.store.options = ['--log-commands', '--max-message-size=30000']

  def setUp(self):
    super().setUp()
    self.store.restart()
    self.store.log.write_text('')

  def assert_filed_under_own_ids(self, sent: dict[str, str]):
    """sent: Message-ID -> queue id. A DSN carries its queue id in its own Message-ID."""
    delivered = store_log.events(self.store, 'Delivered')
    for one in delivered:
      msgid = one['msgid']
      own = sent.get(f'<{msgid}>') or re.sub(r'^\d{12}\.(\w+)@.*$', r'\1', msgid)
      self.assertEqual(one.get('r.tid'), own, one['line'])
      logged = [line for line in self.sendmail.deliveries(own)
                if line.to.partition('@')[0] == one['userid'] and line.stat.startswith('Sent')]
      self.assertEqual(len(logged), 1, one['line'])
      self.assertIn(f', sessionid=<{one["sessionid"]}>, stat=Sent', logged[0].line)
    self.assertTrue(set(sent) <= {f'<{one["msgid"]}>' for one in delivered})

  def send_to(self, sent: dict[str, str], number: int, *users: str, body: bytes = b'') -> str:
    raw = message(b'y' * 70 * number + b'\r\n' + body)
    qid = self.send(raw, *users)
    sent[message_id(raw)] = qid
    return qid



class TraceInStore(TraceCases):
  def test_twenty_messages_over_one_connection_are_filed_under_their_own_ids(self):
    self.with_flags('T')
    user = self.mailbox('alice')
    sent: dict[str, str] = {}
    for number in range(20):
      self.send_to(sent, number, user)
    self.sendmail.run_queue()
    self.assert_queue_empty()
    self.assert_filed_under_own_ids(sent)
    self.assertEqual(len(sent), 20)
    self.assertEqual(sorted(self.store.message_ids(user)), sorted(sent))
    self.assertEqual(store_log.sessions(self.store), 1)
    self.assertEqual(len(store_log.commands(self.store, 'RSET')), 19)
    self.assertEqual(sorted(store_log.commands(self.store, 'TRACE')),
                     sorted(f'TRACE {qid}' for qid in sent.values()))

  def test_refused_recipients_and_messages_in_between_shift_no_id(self):
    self.with_flags('T')
    users = [self.mailbox(f'u{number}-') for number in range(4)]
    full = self.full_mailbox()
    sent: dict[str, str] = {}
    refused: list[str] = []
    for number in range(16):
      if number % 4 == 0:
        self.send_to(sent, number, users[0], f'nobody{number}', users[1])
      elif number % 4 == 1:
        refused.append(self.send_sized(number, f'nobody{number}'))
      elif number % 4 == 2:
        self.send_to(sent, number, users[2], full, users[3])
      else:
        refused.append(self.send(message(b'z' * 70 * (600 + number) + b'\r\n'), users[0]))
    self.sendmail.run_queue()
    self.assert_filed_under_own_ids(sent)
    dsns = self.store.messages(self.sender.partition('@')[0])
    self.assertEqual(len(dsns), 12, 'of the refused, one each, and of every nobody')
    for qid in refused:
      self.assertEqual([one for one in store_log.events(self.store, 'Delivered')
                        if one.get('r.tid') == qid], [])
    for user in users:
      self.assertEqual(len(self.store.messages(user)), 4)
    self.assertEqual(store_log.sessions(self.store), 1)

  def test_a_message_that_was_deferred_goes_under_the_same_id_again(self):
    self.with_flags('T')
    user = self.full_mailbox()
    sent: dict[str, str] = {}
    qid = self.send_to(sent, 1, user)
    self.sendmail.run_queue()
    self.assert_deferred(qid, user, '4.2.2')
    refusal = store_log.events(self.store, 'RCPT refused')[-1]
    self.assertEqual(self.fields(qid, user)['sessionid'], f'<{refusal["sessionid"]}>')
    self.store.make_room(user)
    self.sendmail.run_queue()
    self.assert_sent(qid, user)
    self.assert_filed_under_own_ids(sent)

  def test_without_t_nothing_is_traced_and_no_session_id_is_logged(self):
    self.with_flags('Q')
    user = self.mailbox('alice')
    qid = self.send(message(), user)
    self.sendmail.run_queue()
    self.assert_sent(qid, user)
    self.assertEqual(store_log.commands(self.store, 'TRACE'), [])
    self.assertNotIn('sessionid', self.fields(qid, user))


class PipeliningInStore(TraceCases):
  """The same dialogue with several recipients in flight: the store offers PIPELINING."""

  def test_replies_are_credited_to_the_right_recipients(self):
    self.with_flags('QT')
    self.assertEqual(store_log.commands(self.store, 'LHLO'), [])
    users = [self.mailbox(f'u{number}-') for number in range(6)]
    for user in users[::2]:
      self.store.fill(user)
    unknown = [f'nobody{number}x{self.number}' for number in range(5)]
    mixed = [name for pair in zip(users, unknown) for name in pair] + users[5:]
    raw = message()
    qid = self.send(raw, *mixed)
    self.sendmail.run_queue()
    for user in users:
      self.assert_sent(qid, user)
      self.assert_ignorequota(qid, user, 'sent')
      self.assertEqual(self.store.message_ids(user), [message_id(raw)])
    for user in unknown:
      end = self.sendmail.delivery(qid, user)
      self.assertTrue(end.dsn.startswith('5.1.1'), end.line)
      self.assert_ignorequota(qid, user, 'sent')
    rcpts = [line for line in store_log.commands(self.store, 'RCPT')
             if self.sender.partition('@')[0] not in line]
    self.assertEqual(len(rcpts), 11)
    self.assertEqual([line for line in rcpts if not line.endswith(' IGNOREQUOTA')], [])
    self.assert_filed_under_own_ids({message_id(raw): qid})


class StoreWithoutPipelining(TraceInStore):
  """A client that was not offered PIPELINING waits for each reply: the store refuses others."""

  @classmethod
  def prepare_store(cls):
    cls.store.options = ['--log-commands', '--max-message-size=30000', '--without=PIPELINING']

  def tearDown(self):
    super().tearDown()
    self.assertNotIn('Pipelined without', self.store.log_text())


class StoreWithoutTrace(PatchCase):
  store: LmtpStore

  @classmethod
  def prepare_store(cls):
    cls.store.options = ['--log-commands', '--without=TRACE']

  def test_trace_is_not_sent_and_the_session_id_is_logged_all_the_same(self):
    self.with_flags('QT')
    user = self.mailbox('alice')
    qid = self.send(message(), user)
    self.sendmail.run_queue()
    self.assert_sent(qid, user)
    self.assertEqual(store_log.commands(self.store, 'TRACE'), [])
    one = store_log.events(self.store, 'Delivered')[-1]
    self.assertEqual(self.fields(qid, user)['sessionid'], f'<{one["sessionid"]}>')
    self.assertEqual(self.sendmail.log_lines('TRACE'), [])
