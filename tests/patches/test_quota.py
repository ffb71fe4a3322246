"""F=Q: IGNOREQUOTA goes to a server that offered it, and to no other."""

import subprocess

import pytest

from fixtures.authority import Authority
from fixtures.cyrus import Cyrus
from fixtures.mail import running
from fixtures.messages import message, message_id
from fixtures.scratch import free_port

from . import store_log
from .patch_mail import mailer


class QuotaCases:
  def address(self, store) -> str:
    return store.address

  def with_flags(self, mail, flags: str, options: str = ''):
    mail.with_flags(flags, options, address=self.address(mail.store))

  def assert_filed_over_quota(self, mail, flags: str) -> str:
    self.with_flags(mail, flags)
    user = mail.full_mailbox()
    raw = message()
    qid = mail.send(raw, user)
    mail.sendmail.run_queue()
    mail.assert_sent(qid, user)
    mail.assert_queue_empty()
    assert mail.store.message_ids(user) == [message_id(raw)]
    mail.assert_ignorequota(qid, user, 'sent')
    return qid

  def assert_deferred_over_quota(self, mail, flags: str, word: str | None):
    self.with_flags(mail, flags)
    user = mail.full_mailbox()
    qid = mail.send(message(), user)
    mail.sendmail.run_queue()
    mail.assert_deferred(qid, user, '4.2.2', 'over quota')
    assert mail.store.messages(user) == []
    mail.assert_ignorequota(qid, user, word)


class CyrusCases(QuotaCases):
  """Debian's Cyrus offers IGNOREQUOTA, and does not know TRACE."""

  def test_a_full_mailbox_takes_the_mail_with_q(self, mail):
    self.assert_filed_over_quota(mail, 'Q')

  def test_a_full_mailbox_defers_the_mail_without_q(self, mail):
    self.assert_deferred_over_quota(mail, '', None)

  def test_q_and_t_together_where_trace_is_not_offered(self, mail):
    self.assert_filed_over_quota(mail, 'QT')
    assert mail.sendmail.log_lines('TRACE') == []

  def test_t_alone_leaves_the_quota_alone(self, mail):
    self.assert_deferred_over_quota(mail, 'T', None)

  def test_the_session_id_is_the_one_that_cyrus_logged(self, mail):
    self.with_flags(mail, 'QT')
    user = mail.mailbox('alice')
    qids = [mail.send(message(), user) for _ in range(3)]
    mail.sendmail.run_queue()
    seen = {mail.fields(qid, user)['sessionid'] for qid in qids}
    assert len(seen) == 3, 'RSET begins a new session'
    assert {f'<{session}>' for session in mail.store.appended(user)} == seen


@pytest.mark.store(kind=Cyrus)
class TestCyrusOnAUnixSocket(CyrusCases):
  pass


class TestCyrusOverTcp(CyrusCases):
  @pytest.fixture(scope='class')
  def store(self, scratch):
    store = Cyrus(scratch)
    store.open_port = free_port()
    with running(store) as one:
      yield one

  def address(self, store) -> str:
    return f'inet:localhost:{store.open_port}'


class TestCyrusWithTlsAndLogin(CyrusCases):
  """STARTTLS and AUTH come in between, and each time another LHLO."""
  mechanism = 'SCRAM-SHA-256'

  @pytest.fixture(scope='class')
  def store(self, scratch):
    store = Cyrus(scratch)
    store.use_tls(Authority(scratch.folder('authority')).leaf('server'))
    store.mechanisms = self.mechanism
    store.add_login('lmtpuser', 'secret')
    with running(store) as one:
      yield one

  @pytest.fixture(scope='class')
  def login(self, scratch) -> str:
    """The .mc lines that make Sendmail log in."""
    folder = scratch.folder('authinfo', 0o700)
    subprocess.run(['makemap', 'hash', folder / 'authinfo'], check=True, timeout=30,
                   capture_output=True,
                   input=f'AuthInfo: "U:lmtpuser" "P:secret" "M:{self.mechanism}"\n'.encode())
    return (f"FEATURE(`authinfo', `hash -o {folder}/authinfo')\n"
            f"define(`confAUTH_MECHANISMS', `{self.mechanism}')\n")

  @pytest.fixture(autouse=True)
  def prepare(self, login):
    self.login_lines = login

  def address(self, store) -> str:
    return store.tcp_address

  def with_flags(self, mail, flags: str, options: str = ''):
    super().with_flags(mail, flags, self.login_lines + options)

  def assert_filed_over_quota(self, mail, flags: str) -> str:
    logins, handshakes = len(mail.store.logins()), len(mail.store.handshakes())
    qid = super().assert_filed_over_quota(mail, flags)
    assert mail.store.logins()[logins:] == [('lmtpuser', f'{self.mechanism}+TLS')]
    assert len(mail.store.handshakes()) == handshakes + 1
    return qid


@pytest.mark.store(options=['--log-commands'])
class TestStoreWithTrace(QuotaCases):
  """Our store offers both."""

  def test_a_full_mailbox_takes_the_mail_with_q(self, mail):
    qid = self.assert_filed_over_quota(mail, 'Q')
    assert f'TRACE {qid}' not in store_log.commands(mail.store, 'TRACE')

  def test_a_full_mailbox_takes_the_mail_with_q_and_t(self, mail):
    qid = self.assert_filed_over_quota(mail, 'QT')
    assert f'TRACE {qid}' in store_log.commands(mail.store, 'TRACE')

  def test_a_full_mailbox_defers_the_mail_without_q(self, mail):
    self.assert_deferred_over_quota(mail, 'T', None)

  def test_two_hundred_recipients_in_two_transactions(self, mail):
    self.check_two_hundred(mail, equates='', transactions=2)

  def test_two_hundred_recipients_in_one_transaction(self, mail):
    self.check_two_hundred(mail, equates='r=200, ', transactions=1)

  def check_two_hundred(self, mail, equates: str, transactions: int):
    mail.with_mailers(mailer(mail.store.address, 'QT', equates=equates))
    users = [mail.mailbox(f'u{number}-') for number in range(200)]
    for user in users[::7]:
      mail.store.fill(user)
    mail.store.restart()
    mail.store.log.write_text('')
    raw = message()
    qid = mail.send(raw, *users)
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    for user in users:
      assert mail.store.message_ids(user) == [message_id(raw)]
    ends = mail.ends(qid)
    assert sorted(one.to for one in ends) == sorted(f'{user}@store.test' for user in users)
    for one in ends:
      assert one.stat.startswith('Sent'), one.line
      assert ', ignorequota=sent, ' in one.line
    rcpts = store_log.commands(mail.store, 'RCPT')
    assert len(rcpts) == 200
    assert [line for line in rcpts if not line.endswith(' IGNOREQUOTA')] == []
    assert len(store_log.commands(mail.store, 'MAIL')) == transactions
    assert store_log.commands(mail.store, 'TRACE') == [f'TRACE {qid}'] * transactions
    assert store_log.sessions(mail.store) == 1
    assert {one['r.tid'] for one in store_log.events(mail.store, 'Delivered')} == {qid}


@pytest.mark.store(options=['--log-commands', '--without=IGNOREQUOTA'])
class TestStoreWithoutIgnoreQuota(QuotaCases):
  def test_q_is_not_sent_and_the_mail_is_deferred_as_usual(self, mail):
    self.assert_deferred_over_quota(mail, 'Q', 'not-offered')
    assert 'IGNOREQUOTA' not in mail.store.log_text().upper()

  def test_mail_with_room_is_sent_and_the_log_says_not_offered(self, mail):
    self.with_flags(mail, 'QT')
    user = mail.mailbox('alice')
    qid = mail.send(message(), user)
    mail.sendmail.run_queue()
    mail.assert_sent(qid, user)
    mail.assert_ignorequota(qid, user, 'not-offered')
    assert f'TRACE {qid}' in store_log.commands(mail.store, 'TRACE')
    assert 'IGNOREQUOTA' not in mail.store.log_text().upper()
