"""Connections between lmtpq and Cyrus: kept, resumed, refused, and those that need no login."""

import contextlib

import pytest

from fixtures.cyrus import Cyrus
from fixtures.dovecot import Dovecot
from fixtures.mail import running
from fixtures.messages import message, message_id
from fixtures.piped import Piped
from fixtures.secure_mail import PASSWORD, USER, SecureMail, secured_cyrus


@pytest.mark.weight(2)
class TestSessionsWithCyrus:
  def test_20_messages_of_one_queue_run_take_one_handshake_and_one_login(self, mail):
    mail.with_conf(*mail.tls(), *mail.login())
    user = mail.mailbox('alice')
    sent = []
    for _ in range(20):
      raw = message()
      mail.send(raw, user)
      sent.append(message_id(raw))
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    assert sorted(mail.store.message_ids(user)) == sorted(sent)
    assert (len(mail.handshakes()), len(mail.logins())) == (1, 1)
    assert len(mail.connection_lines()) == 1

  # Refused.

  def test_a_wrong_password_keeps_the_mail_until_it_is_corrected(self, mail):
    mail.with_conf(*mail.tls(), *mail.login())
    mail.passwords(f'localhost {USER}:not that one')
    user = mail.mailbox('alice')
    raw = message()
    qid = mail.send(raw, user)
    mail.sendmail.run_queue()
    mail.assert_deferred(qid, user, '4.')
    assert len(mail.bad_logins()) == 1, 'one try a connection: no account is locked'
    failed = ' '.join(line['line'] for line in mail.lmtpq_lines('event=store-failed'))
    assert 'SCRAM-SHA-256-PLUS' in failed
    assert 'not that one' not in mail.log_text()

    mail.passwords(f'localhost {USER}:{PASSWORD}')
    mail.sendmail.run_queue()
    mail.assert_sent(qid, user)
    mail.assert_queue_empty()
    assert mail.store.message_ids(user) == [message_id(raw)], 'filed once'

  def test_a_user_who_is_no_lmtp_admin_defers_the_mail(self, mail):
    mail.store.add_login('stranger', PASSWORD)
    mail.with_conf(*mail.tls(), *mail.login())
    mail.passwords(f'localhost stranger:{PASSWORD}')
    mail.assert_waits()

  def test_a_password_file_that_others_can_read_defers_the_mail(self, mail):
    mail.with_conf(*mail.tls(), *mail.login())
    mail.passwords().chmod(0o644)
    mail.assert_waits(f'passwords{mail.number}')
    assert mail.logins() + mail.bad_logins() == []

  def test_a_store_without_a_line_in_the_password_file_defers_the_mail(self, mail):
    mail.with_conf(*mail.tls(), *mail.login())
    mail.passwords(f'elsewhere.test {USER}:{PASSWORD}')
    mail.assert_waits(f'passwords{mail.number}')
    assert mail.logins() + mail.bad_logins() == []

  def other_store(self, mail) -> Cyrus:
    other = Cyrus(mail.scratch, f'cyrus{mail.number}')
    other.mechanisms = mail.store.mechanisms
    other.add_login(USER, 'of another store')
    other.use_tls(mail.authority.leaf('server'))
    other.start()
    mail.at_end(other.stop)
    return other

  def test_the_store_that_refuses_the_login_is_passed_over_for_the_next(self, mail):
    first = self.other_store(mail)
    mail.with_conf(*mail.tls(), *mail.login(), address=first.tcp_address,
                   knobs=f"define(`LMTPQ_MAILER_FALLBACK', `{mail.store.tcp_address}')")
    mail.deliver_one()
    assert len(first.bad_logins()) == 1
    assert len(mail.logins()) == 1
    failed, = mail.lmtpq_lines('event=store-failed')
    assert failed['destination'] == first.tcp_address

  def test_each_store_has_its_own_section_and_its_own_password(self, mail):
    first = self.other_store(mail)
    first.add_mailbox('elsewhere')
    passwords = mail.passwords(f'{first.tcp_address} {USER}:of another store',
                               f'{mail.store.tcp_address} {USER}:{PASSWORD}')
    mail.with_conf(f'auth-password-file = {passwords}',
                   '[destination.first]', f'destination = {first.tcp_address}',
                   *mail.tls(), 'auth-mechanisms = CRAM-MD5',
                   '[destination.second]', f'destination = {mail.store.tcp_address}',
                   *mail.tls('fingerprint'),
                   f'tls-fingerprint = {mail.authority.leaf("server").fingerprint()}',
                   'auth-mechanisms = PLAIN', address=first.tcp_address,
                   knobs=f"define(`LMTPQ_MAILER_FALLBACK', `{mail.store.tcp_address}')")
    mail.send(message(), 'elsewhere')
    mail.sendmail.run_queue()
    assert len(first.messages('elsewhere')) == 1
    assert first.logins() == [(USER, 'CRAM-MD5+TLS')]
    first.stop()
    mail.deliver_one()
    assert mail.logins() == [(USER, 'PLAIN+TLS')]
    assert ([one['tls'].partition('/')[2] for one in mail.connection_lines()]
            == ['verified', 'fingerprint'])

  # Without a login.

  def test_a_unix_socket_that_trusts_us_needs_no_login_although_one_is_configured(self, mail):
    mail.with_conf(*mail.login(), address=f'unix:{mail.store.dir}/lmtp')
    qid = mail.deliver_one()
    line, = mail.recipient_lines(qid)
    assert (line['tls'], line['auth']) == ('none', 'none')
    assert mail.handshakes() + mail.logins() + mail.bad_logins() == []

  def test_a_unix_socket_needs_neither(self, mail):
    mail.with_conf(address=f'unix:{mail.store.dir}/lmtp')
    mail.deliver_one()
    assert mail.handshakes() + mail.logins() + mail.bad_logins() == []

  def test_a_unix_socket_without_starttls_is_not_enough_where_tls_must_be(self, mail):
    mail.with_conf(*mail.tls('encrypt'), address=f'unix:{mail.store.dir}/lmtp')
    mail.assert_waits('STARTTLS')

  def test_a_store_that_wants_a_login_which_is_not_configured_defers_the_mail(self, mail):
    mail.with_conf(*mail.tls())
    mail.assert_waits('authentication')


class TestResumptionWithCyrus:
  """One lmtpq process, whose connection is cut between two messages."""

  @pytest.fixture(scope='class')
  def store(self, scratch, authority):
    store = secured_cyrus(scratch, authority)
    # A session ticket is sealed by the key of one lmtpd process.
    store.lmtp_processes = 1
    with running(store) as one:
      yield one

  def two_connections(self, mail, *lines: str) -> list[dict[str, str]]:
    """lmtpq's line for each of them."""
    tap = mail.tap(mail.store.lmtp_port)
    conf = mail.scratch.path / f'piped{mail.number}.conf'
    conf.write_text('\n'.join([*lines, 'tag-keys = none', 'user = cyrus', '']))
    mail.log.touch()
    mail.log.chmod(0o666)
    relay = Piped(mail.scratch, [mail.lmtpq, 'relay', f'--config={conf}', f'--log={mail.log}',
                                 tap.address], mail.scratch.path)
    user = mail.mailbox('alice')
    for count in (1, 2):
      assert relay.deliver(message(), mail.sender, f'{user}@store.test') == {}
      assert len(mail.store.messages(user)) == count
      tap.cut()
    relay.end()
    assert (tap.connections, len(mail.handshakes())) == (2, 2)
    return mail.connection_lines()

  def resumes(self, mail, version: str, *lines: str):
    said = self.two_connections(mail, *mail.tls('verify', f'tls-protocols = {version}'), *lines)
    assert [one['resumed'] for one in said] == ['no', 'yes']
    assert {one['tls'] for one in said} == {f'{version.partition("-")[0]}/verified'}
    assert [' reused)' in one for one in mail.handshakes()] == [False, True], mail.handshakes()

  def test_tls_1_2_is_resumed(self, mail):
    self.resumes(mail, 'TLSv1.2-TLSv1.2', *mail.login('SCRAM-SHA-256'))

  def test_tls_1_3_is_resumed(self, mail):
    self.resumes(mail, 'TLSv1.3', *mail.login('SCRAM-SHA-256'))

  def test_a_login_is_bound_to_a_resumed_channel_of_tls_1_2(self, mail):
    self.resumes(mail, 'TLSv1.2-TLSv1.2', *mail.login('SCRAM-SHA-256-PLUS'))
    assert mail.logins() == [(USER, 'SCRAM-SHA-256-PLUS+TLS')] * 2

  def test_a_login_is_bound_to_a_resumed_channel_of_tls_1_3(self, mail):
    self.resumes(mail, 'TLSv1.3', *mail.login('SCRAM-SHA-256-PLUS'))
    assert mail.logins() == [(USER, 'SCRAM-SHA-256-PLUS+TLS')] * 2

  def with_certificate(self, mail) -> list[str]:
    mine = mail.authority.leaf('client')
    return [f'tls-cert = {mine.certificate}', f'tls-key = {mine.key}']

  def test_external_logs_in_over_a_resumed_session_of_tls_1_2(self, mail):
    self.two_connections(mail, *mail.tls('verify', *self.with_certificate(mail)),
                         'tls-protocols = TLSv1.2-TLSv1.2', 'auth-mechanisms = EXTERNAL')
    assert mail.logins() == [(USER, 'EXTERNAL+TLS')] * 2

  def test_external_logs_in_over_a_resumed_session_of_tls_1_3(self, mail):
    self.two_connections(mail, *mail.tls('verify', *self.with_certificate(mail)),
                         'tls-protocols = TLSv1.3', 'auth-mechanisms = EXTERNAL')
    assert mail.logins() == [(USER, 'EXTERNAL+TLS')] * 2


class TestLoginAtDovecot:
  """Its lmtp does not know AUTH."""

  @pytest.fixture(scope='class')
  def store(self, scratch):
    with running(Dovecot(scratch)) as one:
      yield one

  @pytest.fixture
  def mail(self, scratch, store, authority):
    with contextlib.closing(SecureMail(scratch, store, authority)) as one:
      yield one

  def test_a_store_over_tcp_that_offers_no_auth_defers_the_mail(self, mail):
    mail.with_conf(f'auth-password-file = {mail.passwords(f"127.0.0.1 {USER}:{PASSWORD}")}')
    mail.assert_waits('AUTH is not offered')
