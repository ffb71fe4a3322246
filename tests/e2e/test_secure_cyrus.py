"""Real Sendmail, lmtpq, and Cyrus over TCP: each mechanism, in TLS and with a layer of its own."""

from fixtures.messages import message, message_id
from fixtures.secure_case import USER, Secured, found_in, secret_forms

VERSIONS = {'TLSv1.2': ['tls-protocols = TLSv1.2-TLSv1.2'], 'TLSv1.3': ['tls-protocols = TLSv1.3']}


class MechanismsOfCyrus(Secured):
  weight = 3

  def logs_in_by(self, mechanism: str, *lines: str, asked: str = ''):
    """Two messages, one to a mailbox over its quota, over one connection; what lmtpd and lmtpq say
    of it must agree."""
    self.with_conf(*self.tls(), *self.login(asked or mechanism, *lines), flags='Q')
    sent = {}
    for user in (self.mailbox('alice'), self.full_mailbox()):
      raw = message()
      sent[user] = (self.send(raw, user), message_id(raw))
    self.sendmail.run_queue()
    self.assert_queue_empty()
    for user, (qid, identity) in sent.items():
      self.assert_sent(qid, user)
      self.assertEqual(self.store.message_ids(user), [identity], 'filed once')
      self.assertEqual([line['ignorequota'] for line in self.recipient_lines(qid)], ['sent'])
    self.assertEqual(self.logins(), [(USER, f'{mechanism}+TLS')])
    self.assertEqual(len(self.handshakes()), 1, self.handshakes())
    said = self.connection()
    self.assertEqual((said['auth'], said['verification'], said['resumed']), (mechanism, 'ok', 'no'))
    version, _, rest = self.handshakes()[0].partition(' with cipher ')
    self.assertEqual((said['tls'], said['cipher']), (f'{version}/verified', rest.split()[0]))
    for qid, _ in sent.values():
      line, = self.recipient_lines(qid)
      self.assertEqual((line['tls'], line['auth']), (said['tls'], mechanism))

  def test_plain(self):
    self.logs_in_by('PLAIN')

  def test_login(self):
    self.logs_in_by('LOGIN')

  def test_cram_md5(self):
    self.logs_in_by('CRAM-MD5')

  def test_digest_md5(self):
    self.logs_in_by('DIGEST-MD5')

  def test_scram_sha_1(self):
    self.logs_in_by('SCRAM-SHA-1')

  def test_scram_sha_256(self):
    self.logs_in_by('SCRAM-SHA-256')

  def test_scram_sha_1_plus(self):
    self.logs_in_by('SCRAM-SHA-1-PLUS')

  def test_scram_sha_256_plus_over_tls_1_2(self):
    self.logs_in_by('SCRAM-SHA-256-PLUS', *VERSIONS['TLSv1.2'])
    self.assertTrue(self.connection()['tls'].startswith('TLSv1.2/'))

  def test_scram_sha_256_plus_over_tls_1_3(self):
    self.logs_in_by('SCRAM-SHA-256-PLUS', *VERSIONS['TLSv1.3'])
    self.assertTrue(self.connection()['tls'].startswith('TLSv1.3/'))

  def with_certificate(self) -> list[str]:
    mine = self.authority.leaf('client')
    return [f'tls-cert = {mine.certificate}', f'tls-key = {mine.key}']

  def test_external_with_a_client_certificate(self):
    self.logs_in_by('EXTERNAL', *self.with_certificate(), *VERSIONS['TLSv1.3'])
    self.assertIn(f'authenticated as {USER}', self.handshakes()[0])

  def test_external_with_a_client_certificate_over_tls_1_2(self):
    self.logs_in_by('EXTERNAL', *self.with_certificate(), *VERSIONS['TLSv1.2'])

  def test_external_needs_no_password_file(self):
    self.with_conf(*self.tls('verify', *self.with_certificate()), 'auth-mechanisms = EXTERNAL')
    self.deliver_one()
    self.assertEqual(self.logins(), [(USER, 'EXTERNAL+TLS')])

  def test_external_without_a_certificate_gives_way_to_the_next(self):
    self.logs_in_by('SCRAM-SHA-256', asked='EXTERNAL, SCRAM-SHA-256')

  def test_the_strongest_of_all_that_is_offered(self):
    self.with_conf(*self.tls(), *self.login())
    self.deliver_one()
    self.assertEqual(self.logins(), [(USER, 'SCRAM-SHA-256-PLUS+TLS')])

  def test_no_mechanism_in_common_defers_the_mail_and_nobody_is_asked(self):
    self.with_conf(*self.tls(), *self.login('NTLM'))
    self.assert_waits()
    self.assertEqual(self.logins() + self.bad_logins(), [])


class LayersOfCyrus(Secured):
  """Without TLS, through a tap: what is on the wire?"""

  WORDS = b'the words that nobody may read'

  def through_a_tap(self, mechanism: str, *lines: str) -> bytes:
    """One message without TLS; all that was on the wire."""
    tap = self.tap(self.store.lmtp_port)
    self.with_conf('tls = none', *self.login(mechanism, *lines), address=tap.address)
    user = self.mailbox('alice')
    raw = message(self.WORDS + b'\r\n')
    qid = self.send(raw, user)
    self.sendmail.run_queue()
    self.assert_sent(qid, user)
    self.assertEqual(self.store.message_ids(user), [message_id(raw)])
    self.assertEqual(self.logins(), [(USER, mechanism)])
    self.assertEqual(self.handshakes(), [])
    self.assertEqual((self.connection()['tls'], self.connection()['auth']), ('none', mechanism))
    return tap.heard

  def test_digest_md5_makes_a_layer_that_hides_the_message(self):
    heard = self.through_a_tap('DIGEST-MD5')
    self.assertIn(b'AUTH DIGEST-MD5', heard, 'the tap hears')
    for words in (self.WORDS, b'Subject:', b'MAIL FROM', b'alice'):
      self.assertNotIn(words, heard)
    self.assertGreater(int(self.connection()['layer']), 1)

  def test_a_store_that_wants_no_layer_gets_none(self):
    self.store.options = 'sasl_maximum_layer: 0\n'
    self.store.restart()
    self.addCleanup(self.store.restart)
    self.addCleanup(setattr, self.store, 'options', '')
    heard = self.through_a_tap('DIGEST-MD5')
    self.assertIn(self.WORDS, heard)
    self.assertEqual(self.connection()['layer'], '0')

  def test_cram_md5_hides_the_password_and_not_the_message(self):
    heard = self.through_a_tap('CRAM-MD5')
    self.assertIn(self.WORDS, heard)
    self.assertEqual(found_in(heard, secret_forms()), [])

  def test_plain_goes_in_clear_only_when_it_is_said_so(self):
    """Also: the forms of the secret are those in which it goes out."""
    heard = self.through_a_tap('PLAIN', 'auth-plaintext = always')
    self.assertNotEqual(found_in(heard, secret_forms()), [])

  def refuses_in_clear(self, mechanism: str, *lines: str):
    tap = self.tap(self.store.lmtp_port)
    self.with_conf('tls = none', *self.login(mechanism, *lines), address=tap.address)
    self.assert_waits()
    self.assertIn(b'LHLO', tap.asked)
    self.assertNotIn(b'AUTH', tap.asked)
    self.assertEqual(found_in(tap.heard, secret_forms()), [])
    self.assertEqual(self.logins() + self.bad_logins(), [])

  def test_plain_is_not_said_in_clear(self):
    self.refuses_in_clear('PLAIN')

  def test_login_is_not_said_in_clear(self):
    self.refuses_in_clear('LOGIN')
