"""A password is looked for wherever it must not be: logs, transcripts, ps, the queue, a core."""

import base64
import re
import subprocess
from pathlib import Path

from fixtures.messages import message
from fixtures.piped import Piped, core_files_of_any_size, dumps_core
from fixtures.process import wait_until
from fixtures.secure_case import PASSWORD, USER, Secured, found_in, secret_forms


class SecretsOfTheLogin(Secured):
  weight = 2

  def transcripts(self) -> Path:
    folder = self.scratch.path / f'transcripts{self.number}'
    if not folder.exists():
      folder.mkdir()
      folder.chmod(0o777)
    return folder

  def talkative(self, *lines: str, **knobs):
    """All that lmtpq can be told to write down."""
    self.with_conf(f'transcript-dir = {self.transcripts()}', 'debug-peer = all',
                   'log-level = debug', *lines, **knobs)

  def written(self) -> dict[Path, bytes]:
    """Every file below the scratch folder, but those whose purpose is to hold a secret."""
    return {path: path.read_bytes() for path in self.scratch.path.rglob('*')
            if path.is_file() and not path.name.startswith(('passwords', 'sasldb'))
            and not path.name.endswith('.key') and path.name != 'client.key'}

  def leaks(self, forms: list[bytes]) -> list[tuple[str, bytes]]:
    return [(str(path), form) for path, text in self.written().items()
            for form in found_in(text, forms)]

  def leaves_no_trace(self, mechanism: str, *lines: str):
    """A message that is delivered, and one that a wrong password keeps in the queue."""
    self.talkative(*self.tls(), *self.login(mechanism, *lines))
    self.deliver_one()
    self.passwords(f'localhost {USER}:Not "Sesam" at all: 0815')
    self.assert_waits()
    self.assertIn((USER, f'{mechanism}+TLS'), self.logins())
    dialogues = [path for path in self.transcripts().iterdir()
                 if b'LHLO' in path.read_bytes() and mechanism.encode() in path.read_bytes()]
    self.assertEqual(len(dialogues), 2, 'both dialogues were written down')
    forms = secret_forms() + secret_forms(password='Not "Sesam" at all: 0815')
    self.assertEqual(self.leaks(forms), [])

  def test_plain_leaves_no_trace(self):
    self.leaves_no_trace('PLAIN')

  def test_login_leaves_no_trace(self):
    self.leaves_no_trace('LOGIN')

  def test_cram_md5_leaves_no_trace(self):
    self.leaves_no_trace('CRAM-MD5')

  def test_scram_leaves_no_trace(self):
    self.leaves_no_trace('SCRAM-SHA-256')

  def test_what_is_said_in_a_login_is_not_in_the_transcript(self):
    """Nor what could be guessed at: the very lines, seen on the wire by a tap."""
    tap = self.tap(self.store.lmtp_port)
    self.talkative('tls = none', *self.login('CRAM-MD5'), address=tap.address)
    self.deliver_one()
    said = [base64.b64decode(word) for word in re.findall(rb'(?m)^(?:334 )?(\S{20,})\r$', tap.heard)
            if re.fullmatch(rb'[A-Za-z0-9+/]+=*', word)]
    said = [text for text in said if b'<' in text or USER.encode() in text]
    self.assertEqual(len(said), 2, 'the challenge and the response')
    forms = [form for text in said for form in (text, base64.b64encode(text))]
    ours = {path: text for path, text in self.written().items() if 'cyrus' not in str(path)}
    self.assertEqual([path for path, text in ours.items() if found_in(text, forms)], [])

  def test_the_search_would_find_it(self):
    """The control: the same search, and the password where it may be."""
    self.assertNotEqual(found_in(self.passwords().read_bytes(), secret_forms()), [])
    for before in range(3):
      text = base64.b64encode(b'x' * before + PASSWORD.encode() + b'yz')
      self.assertNotEqual(found_in(text, secret_forms()), [], text)
    planted = self.scratch.path / 'planted'
    planted.write_bytes(b'AUTH PLAIN ' + secret_forms()[-1])
    self.addCleanup(planted.unlink)
    self.assertIn(str(planted), {path for path, _ in self.leaks(secret_forms())})

  def test_ps_does_not_show_it(self):
    self.talkative(*self.tls(), *self.login())
    user = self.mailbox('alice')
    self.send(message(), user)
    self.store.pause()
    try:
      run = self.sendmail.start_queue_run()
      pid = self.wait_for_lmtpq()
      shown = {name: Path(f'/proc/{pid}/{name}').read_bytes() for name in ('cmdline', 'environ')}
    finally:
      self.store.resume()
    wait_until(lambda: run.child.poll() is not None, 'the queue run ends')
    self.assertIn(b'relay', shown['cmdline'])
    self.assertIn(b'AGENT=sendmail', shown['environ'])
    self.assertEqual([found_in(text, secret_forms()) for text in shown.values()], [[], []])
    self.assertEqual(len(self.store.messages(user)), 1)

  # Cores.

  def relay(self, name: str, *lines: str) -> Piped:
    """It has delivered a message, and waits for the next."""
    folder = self.scratch.path / f'{name}{self.number}'
    folder.mkdir()
    folder.chmod(0o777)
    self.log.touch()
    self.log.chmod(0o666)
    conf = folder / 'conf'
    conf.write_text('\n'.join([*lines, 'tag-keys = none', '']))
    relay = Piped(self.scratch, [self.lmtpq, 'relay', f'--config={conf}', f'--log={self.log}',
                                 self.store.tcp_address if lines else self.store.address], folder)
    user = self.mailbox(name)
    self.assertEqual(relay.deliver(message(), self.sender, f'{user}@store.test'), {})
    self.assertEqual(len(self.store.messages(user)), 1)
    return relay

  def test_there_is_no_core_of_an_lmtpq_that_knows_a_password(self):
    secrets = [*self.tls(), *self.login()]
    relays = {'asroot': self.relay('asroot', *secrets),
              'ascyrus': self.relay('ascyrus', *secrets, 'user = cyrus'),
              'without': self.relay('without')}
    dumped = {name: dumps_core(relay.child) for name, relay in relays.items()}
    self.assertEqual(dumped, {'asroot': False, 'ascyrus': False, 'without': True},
                     'the last is the control: it has no secret')
    self.assertEqual(list(self.scratch.path.glob(f'as*{self.number}/core*')), [])

  def test_a_core_of_another_process_is_written(self):
    """Another control: this system does write cores."""
    child = subprocess.Popen(['sleep', '60'], cwd=self.scratch.path,
                             preexec_fn=core_files_of_any_size)
    self.assertTrue(dumps_core(child))
