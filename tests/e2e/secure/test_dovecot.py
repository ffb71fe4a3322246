"""Real Sendmail, lmtpq, and Dovecot's lmtpd over TCP, at every level of TLS."""

import contextlib
import json
import re
import subprocess

import pytest

from fixtures.authority import Authority, Leaf
from fixtures.dovecot import Dovecot
from fixtures.lmtp_client import Client, Message
from fixtures.mail import running
from fixtures.messages import message
from fixtures.secure_mail import SecureMail
from fixtures.serve import Serve

# The store's key is not an RSA key.
NO_COMMON_CIPHER = ('tls-protocols = TLSv1.2-TLSv1.2', 'tls-ciphers = ECDHE-RSA-AES256-GCM-SHA384')


@pytest.mark.weight(2)
class TestTlsOfDovecot:
  @pytest.fixture(scope='class')
  def store(self, scratch, authority):
    store = Dovecot(scratch)
    store.use_tls(authority.leaf('server'))
    with running(store) as one:
      yield one

  @pytest.fixture
  def mail(self, scratch, store, authority):
    with contextlib.closing(SecureMail(scratch, store, authority)) as one:
      yield one

  def show(self, mail, leaf: Leaf | None):
    """This test has another store, with this certificate or none. (A Dovecot can take seconds to
    end, and none to start.)"""
    mail.store = Dovecot(mail.scratch, f'dovecot{mail.number}')
    if leaf:
      mail.store.use_tls(leaf)
    mail.store.start()
    mail.at_end(mail.store.kill)

  def filed(self, mail) -> tuple[str, str]:
    """One message is filed; the protocol that Dovecot wrote into it, and the one lmtpq logged."""
    user = mail.mailbox('bob')
    qid = mail.deliver_one(user)
    raw, = mail.store.messages(user)
    version = re.search(rb'using (\S+) with cipher', raw)
    line, = mail.recipient_lines(qid)
    return version.group(1).decode() if version else '', line['tls']

  # Levels.

  def test_may_is_the_default_and_takes_what_is_offered(self, mail):
    mail.with_conf()
    assert self.filed(mail) == ('TLSv1.3', 'TLSv1.3/unverified')

  def test_may_takes_a_self_signed_certificate(self, mail):
    self.show(mail, mail.authority.self_signed())
    mail.with_conf()
    assert self.filed(mail) == ('TLSv1.3', 'TLSv1.3/unverified')
    assert 'self-signed' in mail.connection()['verification']

  def test_may_goes_on_without_where_tls_is_not_offered(self, mail):
    self.show(mail, None)
    mail.with_conf()
    assert self.filed(mail) == ('', 'none')

  def test_may_goes_on_without_when_the_handshake_fails(self, mail):
    mail.with_conf(*NO_COMMON_CIPHER)
    assert self.filed(mail) == ('', 'none')

  def test_none_asks_for_none(self, mail):
    mail.with_conf('tls = none')
    assert self.filed(mail) == ('', 'none')

  def test_encrypt(self, mail):
    mail.with_conf('tls = encrypt')
    assert self.filed(mail) == ('TLSv1.3', 'TLSv1.3/unverified')

  def test_encrypt_takes_any_certificate(self, mail):
    self.show(mail, mail.authority.leaf('expired'))
    mail.with_conf('tls = encrypt')
    assert self.filed(mail) == ('TLSv1.3', 'TLSv1.3/unverified')

  def test_encrypt_defers_where_tls_is_not_offered(self, mail):
    self.show(mail, None)
    mail.with_conf('tls = encrypt')
    mail.assert_waits('STARTTLS is not offered')

  def test_verify(self, mail):
    mail.with_conf(*mail.tls('verify'))
    assert self.filed(mail) == ('TLSv1.3', 'TLSv1.3/verified')
    assert mail.connection()['verification'] == 'ok'

  def test_verify_by_name_and_over_tls_1_2(self, mail):
    mail.with_conf(*mail.tls('verify', 'tls-protocols = TLSv1.2-TLSv1.2'),
                   address=f'inet:localhost:{mail.store.port}')
    assert self.filed(mail) == ('TLSv1.2', 'TLSv1.2/verified')

  def test_verify_with_a_folder_of_cas(self, mail):
    mail.with_conf('tls = verify', f'tls-ca-path = {mail.authority.hashed_folder()}')
    assert self.filed(mail) == ('TLSv1.3', 'TLSv1.3/verified')

  def test_verify_for_another_name_than_that_of_the_host(self, mail):
    self.show(mail, mail.authority.leaf('wrong-name'))
    mail.with_conf(*mail.tls('verify', 'tls-name = elsewhere.test'))
    assert self.filed(mail) == ('TLSv1.3', 'TLSv1.3/verified')

  def test_verify_with_a_crl_that_does_not_name_it(self, mail):
    mail.authority.leaf('revoked')
    mail.with_conf(*mail.tls('verify', f'tls-crl-file = {mail.authority.crl()}'))
    assert self.filed(mail) == ('TLSv1.3', 'TLSv1.3/verified')

  def test_fingerprint_of_the_certificate(self, mail):
    self.show(mail, mail.authority.self_signed())
    mail.with_conf('tls = fingerprint',
                   f'tls-fingerprint = {mail.authority.self_signed().fingerprint()}')
    assert self.filed(mail) == ('TLSv1.3', 'TLSv1.3/fingerprint')

  def test_fingerprint_of_the_key_in_capitals_with_colons_and_a_second_one(self, mail):
    mine = mail.authority.leaf('server').key_fingerprint().upper()
    colons = ':'.join(mine[i:i + 2] for i in range(0, 64, 2))
    other = mail.authority.leaf('renewed').fingerprint()
    mail.with_conf('tls = fingerprint', f'tls-fingerprint = {other}, {colons}')
    assert self.filed(mail) == ('TLSv1.3', 'TLSv1.3/fingerprint')

  # What must not pass, and receives nothing of the mail.

  def refused(self, mail, leaf: Leaf, lines: list[str], *words: str):
    self.show(mail, leaf)
    mail.with_conf(*lines)
    mail.assert_waits(*words)

  def test_verify_defers_a_self_signed_certificate(self, mail):
    self.refused(mail, mail.authority.self_signed(), mail.tls(), 'self-signed')

  def test_verify_defers_an_expired_certificate(self, mail):
    self.refused(mail, mail.authority.leaf('expired'), mail.tls(), 'expired')

  def test_verify_defers_a_certificate_that_is_not_valid_yet(self, mail):
    self.refused(mail, mail.authority.leaf('early'), mail.tls(), 'not yet valid')

  def test_verify_defers_the_wrong_name(self, mail):
    self.refused(mail, mail.authority.leaf('wrong-name'), mail.tls(), 'mismatch')

  def test_verify_does_not_look_at_the_common_name(self, mail):
    self.show(mail, mail.authority.leaf('cn-only'))
    mail.with_conf(*mail.tls(), address=f'inet:localhost:{mail.store.port}')
    mail.assert_waits('mismatch')

  def test_verify_defers_a_revoked_certificate_when_there_is_a_crl(self, mail):
    revoked = mail.authority.leaf('revoked')
    lines = mail.tls('verify', f'tls-crl-file = {mail.authority.crl()}')
    self.refused(mail, revoked, lines, 'revoked')

  def test_verify_defers_a_certificate_of_an_unknown_ca(self, mail):
    stranger = Authority(mail.scratch.folder(f'stranger{mail.number}'), 'an unknown authority')
    self.refused(mail, stranger.leaf('server'), mail.tls(), 'issuer')

  def test_verify_with_the_cas_of_the_system_defers_a_private_one(self, mail):
    mail.with_conf('tls = verify')
    mail.assert_waits('issuer')

  def test_fingerprint_defers_another_certificate(self, mail):
    other = mail.authority.leaf('renewed').fingerprint()
    mail.with_conf('tls = fingerprint', f'tls-fingerprint = {other}')
    mail.assert_waits('fingerprint')

  def test_encrypt_defers_when_the_handshake_fails(self, mail):
    mail.with_conf('tls = encrypt', *NO_COMMON_CIPHER)
    mail.assert_waits('handshake')


@pytest.mark.weight(2)
class TestTlsFromTheStart:
  """Dovecot's listener with `ssl = yes`."""

  @pytest.fixture(scope='class')
  def store(self, scratch, authority):
    store = Dovecot(scratch)
    store.use_tls(authority.leaf('server'))
    with running(store) as one:
      yield one

  @pytest.fixture
  def mail(self, scratch, store, authority):
    with contextlib.closing(SecureMail(scratch, store, authority)) as one:
      yield one

  def lines(self, mail, *more: str) -> list[str]:
    return [*mail.tls('verify', 'tls-wrapper = yes', 'lhlo-timeout = 2s', *more)]

  def run(self, mail, command: str, *words: str, lines: list[str], given: bytes = b''):
    conf = mail.scratch.path / f'command{mail.number}.conf'
    conf.write_text('\n'.join([*lines, 'tag-keys = none', f'log = {mail.log}', '']))
    ran = subprocess.run([mail.lmtpq, command, f'--config={conf}', *words], input=given,
                         capture_output=True, timeout=60)
    return ran.returncode, ran.stdout.decode(), ran.stderr.decode()

  def protocol_of(self, raw: bytes) -> str:
    return re.search(rb'with (LMTPS?)', raw).group(1).decode()

  def test_relay(self, mail):
    user = mail.mailbox('bob')
    mail.with_conf(*self.lines(mail), address=mail.store.wrapped_address)
    mail.deliver_one(user)
    raw, = mail.store.messages(user)
    assert self.protocol_of(raw) == 'LMTPS'
    assert mail.connection()['tls'] == 'TLSv1.3/verified'

  def test_deliver(self, mail):
    user = mail.mailbox('bob')
    status, _, _ = self.run(mail, 'deliver', '-d', mail.store.wrapped_address, '-f', mail.sender,
                            '--', user, lines=self.lines(mail), given=message())
    assert status == 0
    raw, = mail.store.messages(user)
    assert self.protocol_of(raw) == 'LMTPS'

  def test_probe(self, mail):
    user = mail.mailbox('bob')
    status, said, error = self.run(mail, 'probe', '--json', '--rcpt', user,
                                   mail.store.wrapped_address, lines=self.lines(mail))
    assert status == 0, error
    told = json.loads(said)
    assert told['tls']['from_start']
    assert told['tls']['trust'] == 'verified'
    assert told['state'] == 'accepted'
    assert 'offered_before' not in told
    assert 'STARTTLS' not in told['offers']

  def test_probe_of_another_name_shows_the_certificate(self, mail):
    status, said, error = self.run(mail, 'probe', mail.store.wrapped_address,
                                   lines=self.lines(mail, 'tls-name = elsewhere.test'))
    assert status == 76
    assert 'hostname mismatch, expected elsewhere.test' in error
    assert 'certificate        CN=store.test' in said
    assert 'greeting' not in said

  def test_probe_without_the_option_names_it(self, mail):
    lines = [*mail.tls(), 'lhlo-timeout = 1s']
    status, _, error = self.run(mail, 'probe', mail.store.wrapped_address, lines=lines)
    assert status == 76
    assert 'it sent nothing: does it wait for TLS (tls-wrapper = yes)' in error

  def test_probe_with_the_option_at_the_other_port_names_it(self, mail):
    status, _, error = self.run(mail, 'probe', mail.store.tcp_address, lines=self.lines(mail))
    assert status == 76
    assert 'does not speak TLS from the start: set tls-wrapper = no; it sent "220 ' in error

  def test_serve(self, mail):
    user = mail.mailbox('bob')
    serve = Serve(mail.scratch.path / f'serve{mail.number}')
    front = f'unix:{serve.folder}/front'
    serve.write('\n'.join([*self.lines(mail), f'destination = {mail.store.wrapped_address}',
                           '[listener.front]', f'address = {front}', '']))
    serve.start()
    mail.at_end(serve.stop)
    with Client(front) as client:
      for _ in range(2):
        assert [reply[:3] for reply in client.deliver(Message([user]))] == ['250']
    assert [self.protocol_of(raw) for raw in mail.store.messages(user)] == ['LMTPS', 'LMTPS']
    assert serve.count('event=connection-secured') == 1
    assert serve.sanitizers() == ''
