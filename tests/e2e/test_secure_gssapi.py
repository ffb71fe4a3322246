"""Real Sendmail, lmtpq, and Cyrus with Kerberos: a private KDC, a ticket for lmtpq's user."""

import pwd
import shutil

from fixtures.cyrus import Cyrus
from fixtures.kdc import Kdc
from fixtures.messages import message, message_id
from fixtures.scratch import Scratch
from fixtures.secure_case import PASSWORD, USER, Secured


class GssapiWithCyrus(Secured):
  weight = 2
  kdc: Kdc

  @classmethod
  def make_store(cls, scratch: Scratch) -> Cyrus:
    cls.make_authority(scratch)
    cls.kdc = Kdc(scratch.folder('kdc'))
    cls.kdc.dir.chmod(0o1777)  # tickets of any user
    cls.kdc.start()
    keytab = cls.kdc.keytab('lmtp/localhost', 'cyrus')
    cls.keytab = cls.kdc.keytab(USER, 'cyrus')
    store = Cyrus(scratch, host='localhost')
    store.mechanisms = 'GSSAPI SCRAM-SHA-256 PLAIN'
    store.environment |= {'KRB5_CONFIG': cls.kdc.environment['KRB5_CONFIG'],
                          'KRB5_KTNAME': f'FILE:{keytab}'}
    store.add_login(USER, PASSWORD)
    store.use_tls(cls.authority.leaf('server'))
    return store

  @classmethod
  def tearDownClass(cls):
    try:
      cls.kdc.stop()
    finally:
      super().tearDownClass()

  def with_kerberos(self, *lines: str, **knobs):
    """lmtpq in a realm of ours, by E lines of Sendmail's configuration.

    Sendmail starts a mailer with root as the real user and another as the effective one (F=S), and
    in such a process libkrb5 reads nothing from the environment. A shell puts an end to that: it
    becomes its real user, and lmtpq then gives up root's rights by itself.
    """
    program = self.scratch.path / f'lmtpq-in-realm{self.number}'
    program.write_text(f'#!/bin/sh\nexec {self.lmtpq} "$@"\n')
    program.chmod(0o755)
    sendmail = self.with_conf('user = cyrus', *lines, program=program, **knobs)
    self.cache = self.kdc.dir / f'ccache{self.number}'
    # Debian's plugin leaks the credentials of a login that makes no layer.
    (self.kdc.dir / 'suppressions').write_text('leak:libgssapi_krb5.so\n')
    for name, value in (('KRB5_CONFIG', self.kdc.environment['KRB5_CONFIG']),
                        ('KRB5CCNAME', f'FILE:{self.cache}'),
                        ('LSAN_OPTIONS', f'suppressions={self.kdc.dir}/suppressions')):
      sendmail.edit_cf('\nEASAN_OPTIONS', f'\nE{name}={value}\nEASAN_OPTIONS')

  def with_ticket(self, *lines: str, **knobs):
    self.with_kerberos(*lines, **knobs)
    self.kdc.ticket(USER, self.keytab, self.cache, 'cyrus')

  def test_in_tls(self):
    self.with_ticket(*self.tls(), 'auth-mechanisms = GSSAPI')
    self.deliver_one(self.full_mailbox(), domain='quota.test')
    self.assertEqual(self.logins(), [(USER, 'GSSAPI+TLS')])
    self.assertEqual(self.connection()['auth'], 'GSSAPI')

  def test_without_tls_makes_a_layer_that_hides_the_message(self):
    tap = self.tap(self.store.lmtp_port)
    self.with_ticket('tls = none', 'auth-mechanisms = GSSAPI', address=tap.address)
    user = self.mailbox('alice')
    words = b'the words that nobody may read'
    raw = message(words + b'\r\n')
    self.send(raw, user)
    self.sendmail.run_queue()
    self.assertEqual(self.store.message_ids(user), [message_id(raw)])
    self.assertEqual(self.logins(), [(USER, 'GSSAPI')])
    self.assertIn(b'AUTH GSSAPI', tap.heard, 'the tap hears')
    for hidden in (words, b'Subject:', b'MAIL FROM', user.encode()):
      self.assertNotIn(hidden, tap.heard)
    self.assertGreater(int(self.connection()['layer']), 1)

  def test_without_a_ticket_the_next_mechanism_is_taken(self):
    self.with_kerberos(*self.tls(), *self.login('GSSAPI, SCRAM-SHA-256'))
    self.deliver_one()
    self.assertEqual(self.logins(), [(USER, 'SCRAM-SHA-256+TLS')])

  def test_without_a_ticket_and_without_a_password_the_mail_waits_for_one(self):
    self.with_kerberos(*self.tls(), 'auth-mechanisms = GSSAPI')
    qid = self.assert_waits('GSSAPI')
    self.kdc.ticket(USER, self.keytab, self.cache, 'cyrus')
    self.sendmail.run_queue()
    self.assert_queue_empty()
    self.assertIn('Sent', self.sendmail.deliveries(qid)[-1].stat)

  def test_a_keytab_of_our_own_needs_no_cron_job(self):
    """default_client_keytab_name of krb5.conf: the library fetches the ticket."""
    self.with_kerberos(*self.tls(), 'auth-mechanisms = GSSAPI')
    uid = pwd.getpwnam('cyrus').pw_uid
    mine = self.kdc.dir / f'client_{uid}.keytab'
    shutil.copyfile(self.keytab, mine)
    mine.chmod(0o600)
    shutil.chown(mine, 'cyrus')
    self.addCleanup(mine.unlink)
    self.deliver_one()
    self.assertEqual(self.logins(), [(USER, 'GSSAPI+TLS')])
