"""lmtpq deliver and lmtpq probe against a Cyrus that wants TLS and a login, without Sendmail."""

import json
import re
import subprocess

from fixtures.messages import message, message_id
from fixtures.secure_mail import USER, found_in, secret_forms


class TestCommandsInTls:
  def lmtpq_run(self, mail, command: str, *words: str, lines: list[str], given: bytes = b''):
    conf = mail.scratch.path / f'command{mail.number}.conf'
    conf.write_text('\n'.join([*lines, 'tag-keys = none', f'log = {mail.log}', '']))
    ran = subprocess.run([mail.lmtpq, command, f'--config={conf}', *words], input=given,
                         capture_output=True, timeout=60)
    assert found_in(ran.stdout + ran.stderr, secret_forms()) == []
    return ran.returncode, ran.stdout.decode(), ran.stderr.decode()

  def probe(self, mail, *words: str, lines: list[str]):
    return self.lmtpq_run(mail, 'probe', '--timeout=50s', *words, mail.store.tcp_address,
                          lines=lines)

  def deliver(self, mail, raw: bytes, user: str, lines: list[str]) -> int:
    status, _, _ = self.lmtpq_run(mail, 'deliver', '-d', mail.store.tcp_address, '-f', mail.sender,
                                  '--', user, lines=lines, given=raw.replace(b'\r\n', b'\n'))
    return status

  def test_deliver_logs_in_and_exits_0(self, mail):
    user = mail.mailbox('alice')
    raw = message()
    assert self.deliver(mail, raw, user, [*mail.tls(), *mail.login()]) == 0
    assert mail.store.message_ids(user) == [message_id(raw)]
    assert mail.logins() == [(USER, 'SCRAM-SHA-256-PLUS+TLS')]

  def test_deliver_that_is_refused_a_login_exits_75(self, mail):
    user = mail.mailbox('alice')
    lines = [*mail.tls(), *mail.login()]
    mail.passwords(f'localhost {USER}:not that one')
    assert self.deliver(mail, message(), user, lines) == 75
    assert mail.store.messages(user) == []

  def test_deliver_to_a_store_with_another_name_exits_75(self, mail):
    user = mail.mailbox('alice')
    lines = [*mail.tls('verify', 'tls-name = elsewhere.test'), *mail.login()]
    assert self.deliver(mail, message(), user, lines) == 75
    assert mail.logins() + mail.bad_logins() == []

  def test_probe_tells_what_is_offered_before_and_after_and_whose_the_certificate_is(self, mail):
    status, said, _ = self.probe(mail, '--json', lines=[*mail.tls(), *mail.login()])
    assert status == 0, said
    told = json.loads(said)
    clear, in_tls = told['offered_before']
    assert 'STARTTLS' in clear
    assert 'SCRAM-SHA-256-PLUS' not in clear['AUTH'].split()
    assert 'STARTTLS' not in in_tls
    assert 'SCRAM-SHA-256-PLUS' in in_tls['AUTH'].split()
    assert 'AUTH' not in told['offers']
    assert 'IGNOREQUOTA' in told['offers']
    assert (told['tls']['trust'], told['tls']['verification']) == ('verified', 'ok')
    leaf = told['tls']['chain'][0]
    mine = mail.authority.leaf('server')
    assert (leaf['sha256'], leaf['key_sha256']) == (mine.fingerprint(), mine.key_fingerprint())
    assert leaf['names'] == ['DNS:localhost', 'DNS:store.test', 'IP:127.0.0.1']
    assert leaf['days_left'] in (29, 30)
    assert (told['login']['mechanism'], told['login']['user']) == ('SCRAM-SHA-256-PLUS', USER)

  def test_probe_of_a_store_with_another_name_exits_76_and_shows_the_certificate(self, mail):
    status, said, why = self.probe(mail, lines=mail.tls('verify', 'tls-name = elsewhere.test'))
    assert status == 76
    assert 'mismatch' in why
    assert mail.authority.leaf('server').fingerprint() in said

  def test_monitor_counts_the_days_of_the_certificate(self, mail):
    lines = [*mail.tls(), *mail.login()]
    for options, status, name in (((), 0, 'OK'), (('--warn-days=60',), 1, 'WARNING'),
                                  (('--critical-days=60',), 2, 'CRITICAL')):
      ended, said, _ = self.probe(mail, '--monitor', *options, lines=lines)
      assert (ended, said.count('\n')) == (status, 1), said
      assert said.startswith(f'LMTPQ {name} - '), said
      assert re.search(r'TLS TLSv1\.[23] verified.* \| time=[\d.]+s;;;0 days=(29|30);', said), said
      assert re.search(r'certificate expires in (29|30) days', said), said

  def test_monitor_of_a_store_with_another_name_is_critical(self, mail):
    status, said, _ = self.probe(mail, '--monitor',
                                 lines=mail.tls('verify', 'tls-name = elsewhere.test'))
    assert status == 2 and 'mismatch' in said and ' | days=' in said, said

  def test_probe_that_is_refused_a_login_exits_76_and_says_by_which_mechanism(self, mail):
    lines = [*mail.tls(), *mail.login()]
    mail.passwords(f'localhost {USER}:not that one')
    status, said, why = self.probe(mail, lines=lines)
    assert status == 76, said
    assert 'SCRAM-SHA-256-PLUS' in why
