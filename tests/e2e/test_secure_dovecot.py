"""Real Sendmail, lmtpq, and Dovecot's lmtpd over TCP, at every level of TLS."""

import re

from fixtures.authority import Authority, Leaf
from fixtures.dovecot import Dovecot
from fixtures.messages import message
from fixtures.scratch import Scratch
from fixtures.secure_case import SecureCase

# The store's key is not an RSA key.
NO_COMMON_CIPHER = ('tls-protocols = TLSv1.2-TLSv1.2', 'tls-ciphers = ECDHE-RSA-AES256-GCM-SHA384')


class TlsOfDovecot(SecureCase):
  weight = 2

  @classmethod
  def make_store(cls, scratch: Scratch) -> Dovecot:
    cls.make_authority(scratch)
    store = Dovecot(scratch)
    store.use_tls(cls.authority.leaf('server'))
    return store

  def show(self, leaf: Leaf | None):
    """This test's store is another, with this certificate or none. (A Dovecot can take seconds to
    end, and none to start.)"""
    self.store = Dovecot(self.scratch, f'dovecot{self.number}')
    if leaf:
      self.store.use_tls(leaf)
    self.store.start()
    self.addCleanup(self.store.kill)

  def filed(self) -> tuple[str, str]:
    """One message is filed; the protocol that Dovecot wrote into it, and lmtpq's word on TLS."""
    user = self.mailbox('bob')
    qid = self.deliver_one(user)
    raw, = self.store.messages(user)
    version = re.search(rb'using (\S+) with cipher', raw)
    line, = self.recipient_lines(qid)
    return version.group(1).decode() if version else '', line['tls']

  # Levels.

  def test_may_is_the_default_and_takes_what_is_offered(self):
    self.with_conf()
    self.assertEqual(self.filed(), ('TLSv1.3', 'TLSv1.3/unverified'))

  def test_may_takes_a_self_signed_certificate(self):
    self.show(self.authority.self_signed())
    self.with_conf()
    self.assertEqual(self.filed(), ('TLSv1.3', 'TLSv1.3/unverified'))
    self.assertIn('self-signed', self.connection()['verification'])

  def test_may_goes_on_without_where_tls_is_not_offered(self):
    self.show(None)
    self.with_conf()
    self.assertEqual(self.filed(), ('', 'none'))

  def test_may_goes_on_without_when_the_handshake_fails(self):
    self.with_conf(*NO_COMMON_CIPHER)
    self.assertEqual(self.filed(), ('', 'none'))

  def test_none_asks_for_none(self):
    self.with_conf('tls = none')
    self.assertEqual(self.filed(), ('', 'none'))

  def test_encrypt(self):
    self.with_conf('tls = encrypt')
    self.assertEqual(self.filed(), ('TLSv1.3', 'TLSv1.3/unverified'))

  def test_encrypt_takes_any_certificate(self):
    self.show(self.authority.leaf('expired'))
    self.with_conf('tls = encrypt')
    self.assertEqual(self.filed(), ('TLSv1.3', 'TLSv1.3/unverified'))

  def test_encrypt_defers_where_tls_is_not_offered(self):
    self.show(None)
    self.with_conf('tls = encrypt')
    self.assert_waits('STARTTLS is not offered')

  def test_verify(self):
    self.with_conf(*self.tls('verify'))
    self.assertEqual(self.filed(), ('TLSv1.3', 'TLSv1.3/verified'))
    self.assertEqual(self.connection()['verification'], 'ok')

  def test_verify_by_name_and_over_tls_1_2(self):
    self.with_conf(*self.tls('verify', 'tls-protocols = TLSv1.2-TLSv1.2'),
                   address=f'inet:localhost:{self.store.port}')
    self.assertEqual(self.filed(), ('TLSv1.2', 'TLSv1.2/verified'))

  def test_verify_with_a_folder_of_cas(self):
    self.with_conf('tls = verify', f'tls-ca-path = {self.authority.hashed_folder()}')
    self.assertEqual(self.filed(), ('TLSv1.3', 'TLSv1.3/verified'))

  def test_verify_for_another_name_than_that_of_the_host(self):
    self.show(self.authority.leaf('wrong-name'))
    self.with_conf(*self.tls('verify', 'tls-name = elsewhere.test'))
    self.assertEqual(self.filed(), ('TLSv1.3', 'TLSv1.3/verified'))

  def test_verify_with_a_crl_that_does_not_name_it(self):
    self.authority.leaf('revoked')
    self.with_conf(*self.tls('verify', f'tls-crl-file = {self.authority.crl()}'))
    self.assertEqual(self.filed(), ('TLSv1.3', 'TLSv1.3/verified'))

  def test_fingerprint_of_the_certificate(self):
    self.show(self.authority.self_signed())
    self.with_conf('tls = fingerprint',
                   f'tls-fingerprint = {self.authority.self_signed().fingerprint()}')
    self.assertEqual(self.filed(), ('TLSv1.3', 'TLSv1.3/fingerprint'))

  def test_fingerprint_of_the_key_in_capitals_with_colons_and_a_second_one(self):
    mine = self.authority.leaf('server').key_fingerprint().upper()
    colons = ':'.join(mine[i:i + 2] for i in range(0, 64, 2))
    other = self.authority.leaf('renewed').fingerprint()
    self.with_conf('tls = fingerprint', f'tls-fingerprint = {other}, {colons}')
    self.assertEqual(self.filed(), ('TLSv1.3', 'TLSv1.3/fingerprint'))

  # What must not pass, and nothing of the mail is said to it.

  def refused(self, leaf: Leaf, lines: list[str], *words: str):
    self.show(leaf)
    self.with_conf(*lines)
    self.assert_waits(*words)

  def test_verify_defers_a_self_signed_certificate(self):
    self.refused(self.authority.self_signed(), self.tls(), 'self-signed')

  def test_verify_defers_an_expired_certificate(self):
    self.refused(self.authority.leaf('expired'), self.tls(), 'expired')

  def test_verify_defers_a_certificate_that_is_not_valid_yet(self):
    self.refused(self.authority.leaf('early'), self.tls(), 'not yet valid')

  def test_verify_defers_the_wrong_name(self):
    self.refused(self.authority.leaf('wrong-name'), self.tls(), 'mismatch')

  def test_verify_does_not_look_at_the_common_name(self):
    self.show(self.authority.leaf('cn-only'))
    self.with_conf(*self.tls(), address=f'inet:localhost:{self.store.port}')
    self.assert_waits('mismatch')

  def test_verify_defers_a_revoked_certificate_when_there_is_a_crl(self):
    revoked = self.authority.leaf('revoked')
    self.refused(revoked, self.tls('verify', f'tls-crl-file = {self.authority.crl()}'), 'revoked')

  def test_verify_defers_a_certificate_of_an_unknown_ca(self):
    stranger = Authority(self.scratch.folder(f'stranger{self.number}'), 'nobody we know')
    self.refused(stranger.leaf('server'), self.tls(), 'issuer')

  def test_verify_with_the_cas_of_the_system_defers_a_private_one(self):
    self.with_conf('tls = verify')
    self.assert_waits('issuer')

  def test_fingerprint_defers_another_certificate(self):
    other = self.authority.leaf('renewed').fingerprint()
    self.with_conf('tls = fingerprint', f'tls-fingerprint = {other}')
    self.assert_waits('fingerprint')

  def test_encrypt_defers_when_the_handshake_fails(self):
    self.with_conf('tls = encrypt', *NO_COMMON_CIPHER)
    self.assert_waits('handshake')
