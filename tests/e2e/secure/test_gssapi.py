"""Real Sendmail, lmtpq, and Cyrus with Kerberos: a private KDC, a ticket for lmtpq's user."""

import pwd
import shutil

import pytest

from fixtures.cyrus import Cyrus
from fixtures.kdc import Kdc
from fixtures.mail import running
from fixtures.messages import message, message_id
from fixtures.secure_mail import PASSWORD, USER


@pytest.mark.weight(2)
class TestGssapiWithCyrus:
  @pytest.fixture(scope='class')
  def kdc(self, scratch):
    one = Kdc(scratch.folder('kdc'))
    one.dir.chmod(0o1777)  # tickets of any user
    one.start()
    yield one
    one.stop()

  @pytest.fixture(scope='class')
  def keytab(self, kdc):
    """The key of lmtpq's user."""
    return kdc.keytab(USER, 'cyrus')

  @pytest.fixture(scope='class')
  def store(self, scratch, authority, kdc):
    keytab = kdc.keytab('lmtp/localhost', 'cyrus')
    store = Cyrus(scratch, host='localhost')
    store.mechanisms = 'GSSAPI SCRAM-SHA-256 PLAIN'
    store.environment |= {'KRB5_CONFIG': kdc.environment['KRB5_CONFIG'],
                          'KRB5_KTNAME': f'FILE:{keytab}'}
    store.add_login(USER, PASSWORD)
    store.use_tls(authority.leaf('server'))
    with running(store) as one:
      yield one

  @pytest.fixture(autouse=True)
  def prepare(self, kdc, keytab):
    self.kdc, self.keytab = kdc, keytab

  def with_kerberos(self, mail, *lines: str, **knobs):
    """lmtpq in a private realm, by E lines of Sendmail's configuration.

    Sendmail starts a mailer with root as the real user and another as the effective one (F=S), and
    in such a process libkrb5 reads nothing from the environment. A shell puts an end to that: it
    becomes its real user, and lmtpq then gives up root's rights by itself.
    """
    program = mail.scratch.path / f'lmtpq-in-realm{mail.number}'
    program.write_text(f'#!/bin/sh\nexec {mail.lmtpq} "$@"\n')
    program.chmod(0o755)
    sendmail = mail.with_conf('user = cyrus', *lines, program=program, **knobs)
    self.cache = self.kdc.dir / f'ccache{mail.number}'
    # Debian's plugin leaks the credentials of a login that makes no layer.
    (self.kdc.dir / 'suppressions').write_text('leak:libgssapi_krb5.so\n')
    for name, value in (('KRB5_CONFIG', self.kdc.environment['KRB5_CONFIG']),
                        ('KRB5CCNAME', f'FILE:{self.cache}'),
                        ('LSAN_OPTIONS', f'suppressions={self.kdc.dir}/suppressions')):
      sendmail.edit_cf('\nEASAN_OPTIONS', f'\nE{name}={value}\nEASAN_OPTIONS')

  def with_ticket(self, mail, *lines: str, **knobs):
    self.with_kerberos(mail, *lines, **knobs)
    self.kdc.ticket(USER, self.keytab, self.cache, 'cyrus')

  def test_in_tls(self, mail):
    self.with_ticket(mail, *mail.tls(), 'auth-mechanisms = GSSAPI')
    mail.deliver_one(mail.full_mailbox(), domain='quota.test')
    assert mail.logins() == [(USER, 'GSSAPI+TLS')]
    assert mail.connection()['auth'] == 'GSSAPI'

  def test_without_tls_makes_a_layer_that_hides_the_message(self, mail):
    tap = mail.tap(mail.store.lmtp_port)
    self.with_ticket(mail, 'tls = none', 'auth-mechanisms = GSSAPI', address=tap.address)
    user = mail.mailbox('alice')
    words = b'the words that must not be readable'
    raw = message(words + b'\r\n')
    mail.send(raw, user)
    mail.sendmail.run_queue()
    assert mail.store.message_ids(user) == [message_id(raw)]
    assert mail.logins() == [(USER, 'GSSAPI')]
    assert b'AUTH GSSAPI' in tap.captured, 'the tap works'
    for hidden in (words, b'Subject:', b'MAIL FROM', user.encode()):
      assert hidden not in tap.captured
    assert int(mail.connection()['layer']) > 1

  def test_without_a_ticket_the_next_mechanism_is_taken(self, mail):
    self.with_kerberos(mail, *mail.tls(), *mail.login('GSSAPI, SCRAM-SHA-256'))
    mail.deliver_one()
    assert mail.logins() == [(USER, 'SCRAM-SHA-256+TLS')]

  def test_without_a_ticket_and_without_a_password_the_mail_waits_for_one(self, mail):
    self.with_kerberos(mail, *mail.tls(), 'auth-mechanisms = GSSAPI')
    qid = mail.assert_waits('GSSAPI')
    self.kdc.ticket(USER, self.keytab, self.cache, 'cyrus')
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    assert 'Sent' in mail.sendmail.deliveries(qid)[-1].stat

  def test_a_client_keytab_needs_no_cron_job(self, mail):
    """default_client_keytab_name of krb5.conf: the library fetches the ticket."""
    self.with_kerberos(mail, *mail.tls(), 'auth-mechanisms = GSSAPI')
    uid = pwd.getpwnam('cyrus').pw_uid
    mine = self.kdc.dir / f'client_{uid}.keytab'
    shutil.copyfile(self.keytab, mine)
    mine.chmod(0o600)
    shutil.chown(mine, 'cyrus')
    mail.at_end(mine.unlink)
    mail.deliver_one()
    assert mail.logins() == [(USER, 'GSSAPI+TLS')]
