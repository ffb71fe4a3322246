"""Connections that are kept, resumed, refused and done without, between lmtpq and Cyrus."""

from fixtures.cyrus import Cyrus
from fixtures.dovecot import Dovecot
from fixtures.messages import message, message_id
from fixtures.piped import Piped
from fixtures.scratch import Scratch
from fixtures.secure_case import PASSWORD, USER, SecureCase, Secured


class SessionsWithCyrus(Secured):
  weight = 2

  def test_20_messages_of_one_queue_run_take_one_handshake_and_one_login(self):
    self.with_conf(*self.tls(), *self.login())
    user = self.mailbox('alice')
    sent = []
    for _ in range(20):
      raw = message()
      self.send(raw, user)
      sent.append(message_id(raw))
    self.sendmail.run_queue()
    self.assert_queue_empty()
    self.assertEqual(sorted(self.store.message_ids(user)), sorted(sent))
    self.assertEqual((len(self.handshakes()), len(self.logins())), (1, 1))
    self.assertEqual(len(self.connection_lines()), 1)

  # Refused.

  def test_a_wrong_password_keeps_the_mail_until_it_is_mended(self):
    self.with_conf(*self.tls(), *self.login())
    self.passwords(f'localhost {USER}:not that one')
    user = self.mailbox('alice')
    raw = message()
    qid = self.send(raw, user)
    self.sendmail.run_queue()
    self.assert_deferred(qid, user, '4.')
    self.assertEqual(len(self.bad_logins()), 1, 'one try a connection: no account is locked')
    failed = ' '.join(line['line'] for line in self.lmtpq_lines('failed='))
    self.assertIn('SCRAM-SHA-256-PLUS', failed)
    self.assertNotIn('not that one', self.log.read_text())

    self.passwords(f'localhost {USER}:{PASSWORD}')
    self.sendmail.run_queue()
    self.assert_sent(qid, user)
    self.assert_queue_empty()
    self.assertEqual(self.store.message_ids(user), [message_id(raw)], 'filed once')

  def test_a_user_who_is_no_lmtp_admin_defers_the_mail(self):
    self.store.add_login('stranger', PASSWORD)
    self.with_conf(*self.tls(), *self.login())
    self.passwords(f'localhost stranger:{PASSWORD}')
    self.assert_waits()

  def test_a_password_file_that_others_can_read_defers_the_mail(self):
    self.with_conf(*self.tls(), *self.login())
    self.passwords().chmod(0o644)
    self.assert_waits(f'passwords{self.number}')
    self.assertEqual(self.logins() + self.bad_logins(), [])

  def test_a_store_without_a_line_in_the_password_file_defers_the_mail(self):
    self.with_conf(*self.tls(), *self.login())
    self.passwords(f'elsewhere.test {USER}:{PASSWORD}')
    self.assert_waits(f'passwords{self.number}')
    self.assertEqual(self.logins() + self.bad_logins(), [])

  def other_store(self) -> Cyrus:
    other = Cyrus(self.scratch, f'cyrus{self.number}')
    other.mechanisms = self.store.mechanisms
    other.add_login(USER, 'of another house')
    other.use_tls(self.authority.leaf('server'))
    other.start()
    self.addCleanup(other.stop)
    return other

  def test_the_store_that_refuses_the_login_is_passed_over_for_the_next(self):
    first = self.other_store()
    self.with_conf(*self.tls(), *self.login(), address=first.tcp_address,
                   knobs=f"define(`LMTPQ_MAILER_FALLBACK', `{self.store.tcp_address}')")
    self.deliver_one()
    self.assertEqual(len(first.bad_logins()), 1)
    self.assertEqual(len(self.logins()), 1)
    self.assertEqual(len(self.lmtpq_lines(f'destination={first.tcp_address}')), 1)

  def test_each_store_has_its_own_section_and_its_own_password(self):
    first = self.other_store()
    first.add_mailbox('elsewhere')
    passwords = self.passwords(f'{first.tcp_address} {USER}:of another house',
                               f'{self.store.tcp_address} {USER}:{PASSWORD}')
    self.with_conf(f'auth-password-file = {passwords}',
                   '[destination.first]', f'destination = {first.tcp_address}',
                   *self.tls(), 'auth-mechanisms = CRAM-MD5',
                   '[destination.second]', f'destination = {self.store.tcp_address}',
                   *self.tls('fingerprint'),
                   f'tls-fingerprint = {self.authority.leaf("server").fingerprint()}',
                   'auth-mechanisms = PLAIN', address=first.tcp_address,
                   knobs=f"define(`LMTPQ_MAILER_FALLBACK', `{self.store.tcp_address}')")
    self.send(message(), 'elsewhere')
    self.sendmail.run_queue()
    self.assertEqual(len(first.messages('elsewhere')), 1)
    self.assertEqual(first.logins(), [(USER, 'CRAM-MD5+TLS')])
    first.stop()
    self.deliver_one()
    self.assertEqual(self.logins(), [(USER, 'PLAIN+TLS')])
    self.assertEqual([one['tls'].partition('/')[2] for one in self.connection_lines()],
                     ['verified', 'fingerprint'])

  # Done without.

  def test_a_unix_socket_that_trusts_us_needs_no_login_although_one_is_configured(self):
    self.with_conf(*self.login(), address=f'unix:{self.store.dir}/lmtp')
    qid = self.deliver_one()
    line, = self.recipient_lines(qid)
    self.assertEqual((line['tls'], line['auth']), ('none', 'none'))
    self.assertEqual(self.handshakes() + self.logins() + self.bad_logins(), [])

  def test_a_unix_socket_needs_neither(self):
    self.with_conf(address=f'unix:{self.store.dir}/lmtp')
    self.deliver_one()
    self.assertEqual(self.handshakes() + self.logins() + self.bad_logins(), [])

  def test_a_unix_socket_without_starttls_is_not_enough_where_tls_must_be(self):
    self.with_conf(*self.tls('encrypt'), address=f'unix:{self.store.dir}/lmtp')
    self.assert_waits('STARTTLS')

  def test_a_store_that_wants_a_login_which_is_not_configured_defers_the_mail(self):
    self.with_conf(*self.tls())
    self.assert_waits('authentication')


class ResumptionWithCyrus(Secured):
  """One lmtpq process, whose connection is cut between two messages."""

  @classmethod
  def make_store(cls, scratch: Scratch) -> Cyrus:
    store = super().make_store(scratch)
    # What resumes a session is sealed by the key of one lmtpd process.
    store.lmtp_processes = 1
    return store

  def two_connections(self, *lines: str) -> list[dict[str, str]]:
    """lmtpq's word on each of them."""
    tap = self.tap(self.store.lmtp_port)
    conf = self.scratch.path / f'piped{self.number}.conf'
    conf.write_text('\n'.join([*lines, 'tag-keys = none', 'user = cyrus', '']))
    self.log.touch()
    self.log.chmod(0o666)
    relay = Piped(self.scratch, [self.lmtpq, 'relay', f'--config={conf}', f'--log={self.log}',
                                 tap.address], self.scratch.path)
    user = self.mailbox('alice')
    for count in (1, 2):
      self.assertEqual(relay.deliver(message(), self.sender, f'{user}@store.test'), {})
      self.assertEqual(len(self.store.messages(user)), count)
      tap.cut()
    relay.end()
    self.assertEqual((tap.connections, len(self.handshakes())), (2, 2))
    return self.connection_lines()

  def resumes(self, version: str, *lines: str):
    said = self.two_connections(*self.tls('verify', f'tls-protocols = {version}'), *lines)
    self.assertEqual([one['resumed'] for one in said], ['no', 'yes'])
    self.assertEqual({one['tls'] for one in said}, {f'{version.partition("-")[0]}/verified'})
    self.assertEqual([' reused)' in one for one in self.handshakes()], [False, True],
                     self.handshakes())

  def test_tls_1_2_is_resumed(self):
    self.resumes('TLSv1.2-TLSv1.2', *self.login('SCRAM-SHA-256'))

  def test_tls_1_3_is_resumed(self):
    self.resumes('TLSv1.3', *self.login('SCRAM-SHA-256'))

  def test_a_login_is_bound_to_a_resumed_channel_of_tls_1_2(self):
    self.resumes('TLSv1.2-TLSv1.2', *self.login('SCRAM-SHA-256-PLUS'))
    self.assertEqual(self.logins(), [(USER, 'SCRAM-SHA-256-PLUS+TLS')] * 2)

  def test_a_login_is_bound_to_a_resumed_channel_of_tls_1_3(self):
    self.resumes('TLSv1.3', *self.login('SCRAM-SHA-256-PLUS'))
    self.assertEqual(self.logins(), [(USER, 'SCRAM-SHA-256-PLUS+TLS')] * 2)

  def with_certificate(self) -> list[str]:
    mine = self.authority.leaf('client')
    return [f'tls-cert = {mine.certificate}', f'tls-key = {mine.key}']

  def test_external_logs_in_over_a_resumed_session_of_tls_1_2(self):
    self.two_connections(*self.tls('verify', *self.with_certificate()),
                         'tls-protocols = TLSv1.2-TLSv1.2', 'auth-mechanisms = EXTERNAL')
    self.assertEqual(self.logins(), [(USER, 'EXTERNAL+TLS')] * 2)

  def test_external_logs_in_over_a_resumed_session_of_tls_1_3(self):
    self.two_connections(*self.tls('verify', *self.with_certificate()),
                         'tls-protocols = TLSv1.3', 'auth-mechanisms = EXTERNAL')
    self.assertEqual(self.logins(), [(USER, 'EXTERNAL+TLS')] * 2)


class LoginAtDovecot(SecureCase):
  """Its lmtp knows no AUTH."""
  make_store = Dovecot

  def test_a_store_over_tcp_that_offers_no_auth_defers_the_mail(self):
    self.with_conf(f'auth-password-file = {self.passwords(f"127.0.0.1 {USER}:{PASSWORD}")}')
    self.assert_waits('AUTH is not offered')
