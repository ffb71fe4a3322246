"""lmtpq deliver and lmtpq probe against a Cyrus that wants TLS and a login, without Sendmail."""

import json
import subprocess

from fixtures.messages import message, message_id
from fixtures.secure_case import USER, Secured, found_in, secret_forms


class CommandsInTls(Secured):
  def lmtpq_run(self, command: str, *words: str, lines: list[str], given: bytes = b''):
    conf = self.scratch.path / f'command{self.number}.conf'
    conf.write_text('\n'.join([*lines, 'tag-keys = none', f'log = {self.log}', '']))
    ran = subprocess.run([self.lmtpq, command, f'--config={conf}', *words], input=given,
                         capture_output=True, timeout=60)
    self.assertEqual(found_in(ran.stdout + ran.stderr, secret_forms()), [])
    return ran.returncode, ran.stdout.decode(), ran.stderr.decode()

  def probe(self, *words: str, lines: list[str]):
    return self.lmtpq_run('probe', *words, self.store.tcp_address, lines=lines)

  def deliver(self, raw: bytes, user: str, lines: list[str]) -> int:
    status, _, _ = self.lmtpq_run('deliver', '-d', self.store.tcp_address, '-f', self.sender, '--',
                                  user, lines=lines, given=raw.replace(b'\r\n', b'\n'))
    return status

  def test_deliver_logs_in_and_exits_0(self):
    user = self.mailbox('alice')
    raw = message()
    self.assertEqual(self.deliver(raw, user, [*self.tls(), *self.login()]), 0)
    self.assertEqual(self.store.message_ids(user), [message_id(raw)])
    self.assertEqual(self.logins(), [(USER, 'SCRAM-SHA-256-PLUS+TLS')])

  def test_deliver_that_is_refused_a_login_exits_75(self):
    user = self.mailbox('alice')
    lines = [*self.tls(), *self.login()]
    self.passwords(f'localhost {USER}:not that one')
    self.assertEqual(self.deliver(message(), user, lines), 75)
    self.assertEqual(self.store.messages(user), [])

  def test_deliver_to_a_store_that_is_not_who_it_should_be_exits_75(self):
    user = self.mailbox('alice')
    lines = [*self.tls('verify', 'tls-name = elsewhere.test'), *self.login()]
    self.assertEqual(self.deliver(message(), user, lines), 75)
    self.assertEqual(self.logins() + self.bad_logins(), [])

  def test_probe_tells_what_is_offered_before_and_after_and_whose_the_certificate_is(self):
    status, said, _ = self.probe('--json', lines=[*self.tls(), *self.login()])
    self.assertEqual(status, 0, said)
    told = json.loads(said)
    clear, in_tls = told['offered_before']
    self.assertIn('STARTTLS', clear)
    self.assertNotIn('SCRAM-SHA-256-PLUS', clear['AUTH'].split())
    self.assertNotIn('STARTTLS', in_tls)
    self.assertIn('SCRAM-SHA-256-PLUS', in_tls['AUTH'].split())
    self.assertNotIn('AUTH', told['offers'])
    self.assertIn('IGNOREQUOTA', told['offers'])
    self.assertEqual((told['tls']['trust'], told['tls']['verification']), ('verified', 'ok'))
    leaf = told['tls']['chain'][0]
    mine = self.authority.leaf('server')
    self.assertEqual((leaf['sha256'], leaf['key_sha256']),
                     (mine.fingerprint(), mine.key_fingerprint()))
    self.assertEqual(leaf['names'], ['DNS:localhost', 'DNS:store.test', 'IP:127.0.0.1'])
    self.assertIn(leaf['days_left'], (29, 30))
    self.assertEqual((told['login']['mechanism'], told['login']['user']),
                     ('SCRAM-SHA-256-PLUS', USER))

  def test_probe_of_a_store_with_another_name_exits_76_and_shows_the_certificate(self):
    status, said, why = self.probe(lines=self.tls('verify', 'tls-name = elsewhere.test'))
    self.assertEqual(status, 76)
    self.assertIn('mismatch', why)
    self.assertIn(self.authority.leaf('server').fingerprint(), said)

  def test_probe_that_is_refused_a_login_exits_76_and_says_by_which_mechanism(self):
    lines = [*self.tls(), *self.login()]
    self.passwords(f'localhost {USER}:not that one')
    status, said, why = self.probe(lines=lines)
    self.assertEqual(status, 76, said)
    self.assertIn('SCRAM-SHA-256-PLUS', why)
