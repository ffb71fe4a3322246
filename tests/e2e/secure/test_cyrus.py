"""Real Sendmail, lmtpq, and Cyrus over TCP: each mechanism, in TLS and with its security layer."""

import pytest

from fixtures.messages import message, message_id
from fixtures.secure_mail import USER, found_in, secret_forms

VERSIONS = {'TLSv1.2': ['tls-protocols = TLSv1.2-TLSv1.2'], 'TLSv1.3': ['tls-protocols = TLSv1.3']}


@pytest.mark.weight(3)
class TestMechanismsOfCyrus:

  def logs_in_by(self, mail, mechanism: str, *lines: str, asked: str = ''):
    """Two messages, one to a mailbox over its quota, over one connection; what lmtpd and lmtpq say
    of it must agree."""
    mail.with_conf(*mail.tls(), *mail.login(asked or mechanism, *lines), flags='Q')
    sent = {}
    for user in (mail.mailbox('alice'), mail.full_mailbox()):
      raw = message()
      sent[user] = (mail.send(raw, user), message_id(raw))
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    for user, (qid, identity) in sent.items():
      mail.assert_sent(qid, user)
      assert mail.store.message_ids(user) == [identity], 'filed once'
      assert [line['ignorequota'] for line in mail.recipient_lines(qid)] == ['sent']
    assert mail.logins() == [(USER, f'{mechanism}+TLS')]
    assert len(mail.handshakes()) == 1, mail.handshakes()
    said = mail.connection()
    assert (said['auth'], said['verification'], said['resumed']) == (mechanism, 'ok', 'no')
    version, _, rest = mail.handshakes()[0].partition(' with cipher ')
    assert (said['tls'], said['cipher']) == (f'{version}/verified', rest.split()[0])
    for qid, _ in sent.values():
      line, = mail.recipient_lines(qid)
      assert (line['tls'], line['auth']) == (said['tls'], mechanism)

  def test_plain(self, mail):
    self.logs_in_by(mail, 'PLAIN')

  def test_login(self, mail):
    self.logs_in_by(mail, 'LOGIN')

  def test_cram_md5(self, mail):
    self.logs_in_by(mail, 'CRAM-MD5')

  def test_digest_md5(self, mail):
    self.logs_in_by(mail, 'DIGEST-MD5')

  def test_scram_sha_1(self, mail):
    self.logs_in_by(mail, 'SCRAM-SHA-1')

  def test_scram_sha_256(self, mail):
    self.logs_in_by(mail, 'SCRAM-SHA-256')

  def test_scram_sha_1_plus(self, mail):
    self.logs_in_by(mail, 'SCRAM-SHA-1-PLUS')

  def test_scram_sha_256_plus_over_tls_1_2(self, mail):
    self.logs_in_by(mail, 'SCRAM-SHA-256-PLUS', *VERSIONS['TLSv1.2'])
    assert mail.connection()['tls'].startswith('TLSv1.2/')

  def test_scram_sha_256_plus_over_tls_1_3(self, mail):
    self.logs_in_by(mail, 'SCRAM-SHA-256-PLUS', *VERSIONS['TLSv1.3'])
    assert mail.connection()['tls'].startswith('TLSv1.3/')

  def with_certificate(self, mail) -> list[str]:
    mine = mail.authority.leaf('client')
    return [f'tls-cert = {mine.certificate}', f'tls-key = {mine.key}']

  def test_external_with_a_client_certificate(self, mail):
    self.logs_in_by(mail, 'EXTERNAL', *self.with_certificate(mail), *VERSIONS['TLSv1.3'])
    assert f'authenticated as {USER}' in mail.handshakes()[0]

  def test_external_with_a_client_certificate_over_tls_1_2(self, mail):
    self.logs_in_by(mail, 'EXTERNAL', *self.with_certificate(mail), *VERSIONS['TLSv1.2'])

  def test_external_needs_no_password_file(self, mail):
    mail.with_conf(*mail.tls('verify', *self.with_certificate(mail)), 'auth-mechanisms = EXTERNAL')
    mail.deliver_one()
    assert mail.logins() == [(USER, 'EXTERNAL+TLS')]

  def test_external_without_a_certificate_gives_way_to_the_next(self, mail):
    self.logs_in_by(mail, 'SCRAM-SHA-256', asked='EXTERNAL, SCRAM-SHA-256')

  def test_the_strongest_of_all_that_is_offered(self, mail):
    mail.with_conf(*mail.tls(), *mail.login())
    mail.deliver_one()
    assert mail.logins() == [(USER, 'SCRAM-SHA-256-PLUS+TLS')]

  def test_no_mechanism_in_common_defers_the_mail_and_nobody_is_asked(self, mail):
    mail.with_conf(*mail.tls(), *mail.login('NTLM'))
    mail.assert_waits()
    assert mail.logins() + mail.bad_logins() == []


class TestLayersOfCyrus:
  """Without TLS, through a tap: what is on the wire?"""

  WORDS = b'the words that must not be readable'

  def through_a_tap(self, mail, mechanism: str, *lines: str) -> bytes:
    """One message without TLS; all that was on the wire."""
    tap = mail.tap(mail.store.lmtp_port)
    mail.with_conf('tls = none', *mail.login(mechanism, *lines), address=tap.address)
    user = mail.mailbox('alice')
    raw = message(self.WORDS + b'\r\n')
    qid = mail.send(raw, user)
    mail.sendmail.run_queue()
    mail.assert_sent(qid, user)
    assert mail.store.message_ids(user) == [message_id(raw)]
    assert mail.logins() == [(USER, mechanism)]
    assert mail.handshakes() == []
    assert (mail.connection()['tls'], mail.connection()['auth']) == ('none', mechanism)
    return tap.captured

  def test_digest_md5_makes_a_layer_that_hides_the_message(self, mail):
    captured = self.through_a_tap(mail, 'DIGEST-MD5')
    assert b'AUTH DIGEST-MD5' in captured, 'the tap works'
    for words in (self.WORDS, b'Subject:', b'MAIL FROM', b'alice'):
      assert words not in captured
    assert int(mail.connection()['layer']) > 1

  def test_a_store_that_wants_no_layer_gets_none(self, mail):
    mail.store.options = 'sasl_maximum_layer: 0\n'
    mail.store.restart()
    mail.at_end(mail.store.restart)
    mail.at_end(setattr, mail.store, 'options', '')
    captured = self.through_a_tap(mail, 'DIGEST-MD5')
    assert self.WORDS in captured
    assert mail.connection()['layer'] == '0'

  def test_cram_md5_hides_the_password_and_not_the_message(self, mail):
    captured = self.through_a_tap(mail, 'CRAM-MD5')
    assert self.WORDS in captured
    assert found_in(captured, secret_forms()) == []

  def test_plain_goes_in_clear_only_when_it_is_said_so(self, mail):
    """Also: the forms of the secret are those in which it goes out."""
    captured = self.through_a_tap(mail, 'PLAIN', 'auth-plaintext = always')
    assert found_in(captured, secret_forms()) != []

  def refuses_in_clear(self, mail, mechanism: str, *lines: str):
    tap = mail.tap(mail.store.lmtp_port)
    mail.with_conf('tls = none', *mail.login(mechanism, *lines), address=tap.address)
    mail.assert_waits()
    assert b'LHLO' in tap.asked
    assert b'AUTH' not in tap.asked
    assert found_in(tap.captured, secret_forms()) == []
    assert mail.logins() + mail.bad_logins() == []

  def test_plain_is_not_said_in_clear(self, mail):
    self.refuses_in_clear(mail, 'PLAIN')

  def test_login_is_not_said_in_clear(self, mail):
    self.refuses_in_clear(mail, 'LOGIN')
