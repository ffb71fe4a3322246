"""F=Q: IGNOREQUOTA goes to a server that offered it, and to no other."""

import subprocess

import store_log
from patch_case import PatchCase, mailer
from fixtures.authority import Authority
from fixtures.cyrus import Cyrus
from fixtures.lmtp_store import LmtpStore
from fixtures.messages import message, message_id
from fixtures.scratch import free_port
from fixtures.sendmail import Sendmail
from fixtures.store import Store


class QuotaWords(PatchCase):
  address = ''

  def place(self) -> str:
    return self.address or self.store.address

  def assert_filed_over_quota(self, flags: str) -> str:
    self.with_flags(flags, address=self.place())
    user = self.full_mailbox()
    raw = message()
    qid = self.send(raw, user)
    self.sendmail.run_queue()
    self.assert_sent(qid, user)
    self.assert_queue_empty()
    self.assertEqual(self.store.message_ids(user), [message_id(raw)])
    self.assert_ignorequota(qid, user, 'sent')
    return qid

  def assert_deferred_over_quota(self, flags: str, word: str | None):
    self.with_flags(flags, address=self.place())
    user = self.full_mailbox()
    qid = self.send(message(), user)
    self.sendmail.run_queue()
    self.assert_deferred(qid, user, '4.2.2', 'over quota')
    self.assertEqual(self.store.messages(user), [])
    self.assert_ignorequota(qid, user, word)


class CyrusOnAUnixSocket(QuotaWords):
  """Debian's Cyrus offers IGNOREQUOTA, and does not know TRACE."""
  make_store: type[Store] = Cyrus

  def test_a_full_mailbox_takes_the_mail_with_q(self):
    self.assert_filed_over_quota('Q')

  def test_a_full_mailbox_defers_the_mail_without_q(self):
    self.assert_deferred_over_quota('', None)

  def test_q_and_t_together_where_trace_is_not_offered(self):
    self.assert_filed_over_quota('QT')
    self.assertEqual(self.sendmail.log_lines('TRACE'), [])

  def test_t_alone_leaves_the_quota_alone(self):
    self.assert_deferred_over_quota('T', None)

  def test_the_session_id_is_the_one_that_cyrus_logged(self):
    self.with_flags('QT', address=self.place())
    user = self.mailbox('alice')
    qids = [self.send(message(), user) for _ in range(3)]
    self.sendmail.run_queue()
    log = self.store.log_text()
    seen = {self.fields(qid, user)['sessionid'] for qid in qids}
    self.assertEqual(len(seen), 3, 'RSET begins a new session')
    for one in seen:
      self.assertIn(f'auditlog: append sessionid={one} mailbox=<user.{user}>', log)


class CyrusOverTcp(CyrusOnAUnixSocket):
  @classmethod
  def prepare_store(cls):
    cls.store.open_port = free_port()
    cls.address = f'inet:localhost:{cls.store.open_port}'


class CyrusWithTlsAndLogin(CyrusOnAUnixSocket):
  """STARTTLS and AUTH come in between, and each time another LHLO."""
  mechanism = 'SCRAM-SHA-256'

  @classmethod
  def prepare_store(cls):
    cls.store.use_tls(Authority(cls.scratch.folder('authority')).leaf('server'))
    cls.store.mechanisms = cls.mechanism
    cls.store.add_login('lmtpuser', 'secret')
    cls.address = cls.store.tcp_address
    folder = cls.scratch.folder('authinfo', 0o700)
    subprocess.run(['makemap', 'hash', folder / 'authinfo'], check=True, timeout=30,
                   capture_output=True,
                   input=f'AuthInfo: "U:lmtpuser" "P:secret" "M:{cls.mechanism}"\n'.encode())
    cls.login = (f"FEATURE(`authinfo', `hash -o {folder}/authinfo')\n"
                 f"define(`confAUTH_MECHANISMS', `{cls.mechanism}')\n")

  def with_flags(self, flags: str, options: str = '', **more) -> Sendmail:
    return super().with_flags(flags, self.login + options, **more)

  def assert_filed_over_quota(self, flags: str) -> str:
    logins, handshakes = len(self.store.logins()), len(self.store.handshakes())
    qid = super().assert_filed_over_quota(flags)
    self.assertEqual(self.store.logins()[logins:], [('lmtpuser', f'{self.mechanism}+TLS')])
    self.assertEqual(len(self.store.handshakes()), handshakes + 1)
    return qid


class StoreWithTrace(QuotaWords):
  """Our store offers both."""
  store: LmtpStore

  @classmethod
  def prepare_store(cls):
    cls.store.options = ['--log-commands']

  def test_a_full_mailbox_takes_the_mail_with_q(self):
    qid = self.assert_filed_over_quota('Q')
    self.assertNotIn(f'TRACE {qid}', store_log.commands(self.store, 'TRACE'))

  def test_a_full_mailbox_takes_the_mail_with_q_and_t(self):
    qid = self.assert_filed_over_quota('QT')
    self.assertIn(f'TRACE {qid}', store_log.commands(self.store, 'TRACE'))

  def test_a_full_mailbox_defers_the_mail_without_q(self):
    self.assert_deferred_over_quota('T', None)

  def test_two_hundred_recipients_in_two_transactions(self):
    self.check_two_hundred(equates='', transactions=2)

  def test_two_hundred_recipients_in_one_transaction(self):
    self.check_two_hundred(equates='r=200, ', transactions=1)

  def check_two_hundred(self, equates: str, transactions: int):
    self.with_mailers(mailer(self.store.address, 'QT', equates=equates))
    users = [self.mailbox(f'u{number}-') for number in range(200)]
    for user in users[::7]:
      self.store.fill(user)
    self.store.restart()
    self.store.log.write_text('')
    raw = message()
    qid = self.send(raw, *users)
    self.sendmail.run_queue()
    self.assert_queue_empty()
    for user in users:
      self.assertEqual(self.store.message_ids(user), [message_id(raw)])
    ends = self.ends(qid)
    self.assertEqual(sorted(one.to for one in ends), sorted(f'{user}@store.test' for user in users))
    for one in ends:
      self.assertTrue(one.stat.startswith('Sent'), one.line)
      self.assertIn(', ignorequota=sent, ', one.line)
    rcpts = store_log.commands(self.store, 'RCPT')
    self.assertEqual(len(rcpts), 200)
    self.assertEqual([line for line in rcpts if not line.endswith(' IGNOREQUOTA')], [])
    self.assertEqual(len(store_log.commands(self.store, 'MAIL')), transactions)
    self.assertEqual(store_log.commands(self.store, 'TRACE'), [f'TRACE {qid}'] * transactions)
    self.assertEqual(store_log.sessions(self.store), 1)
    self.assertEqual({one['r.tid'] for one in store_log.events(self.store, 'Delivered')}, {qid})


class StoreWithoutIgnoreQuota(QuotaWords):
  store: LmtpStore

  @classmethod
  def prepare_store(cls):
    cls.store.options = ['--log-commands', '--without=IGNOREQUOTA']

  def test_q_is_not_sent_and_the_mail_is_deferred_as_usual(self):
    self.assert_deferred_over_quota('Q', 'not-offered')
    self.assertNotIn('IGNOREQUOTA', self.store.log_text().upper())

  def test_mail_with_room_is_sent_and_the_log_says_not_offered(self):
    self.with_flags('QT')
    user = self.mailbox('alice')
    qid = self.send(message(), user)
    self.sendmail.run_queue()
    self.assert_sent(qid, user)
    self.assert_ignorequota(qid, user, 'not-offered')
    self.assertIn(f'TRACE {qid}', store_log.commands(self.store, 'TRACE'))
    self.assertNotIn('IGNOREQUOTA', self.store.log_text().upper())
