"""The password must not be in logs, transcripts, the output of ps, the queue or a core file."""

import base64
import contextlib
import os
import re
import subprocess
from pathlib import Path

import pytest

from fixtures.messages import message
from fixtures.piped import Piped, core_files_of_any_size, dumps_core
from fixtures.process import wait_until
from fixtures.secure_mail import PASSWORD, USER, found_in, secret_forms


@pytest.mark.weight(2)
class TestSecretsOfTheLogin:
  def transcripts(self, mail) -> Path:
    folder = mail.scratch.path / f'transcripts{mail.number}'
    if not folder.exists():
      folder.mkdir()
      folder.chmod(0o777)
    return folder

  def talkative(self, mail, *lines: str, **knobs):
    """All that lmtpq can be told to write down."""
    mail.with_conf(f'transcript-dir = {self.transcripts(mail)}', 'debug-peer = all',
                   'log-level = debug', *lines, **knobs)

  def written(self, mail) -> dict[Path, bytes]:
    """Every file below the scratch folder, but those whose purpose is to hold a secret."""
    found = {}
    for folder, _, names in os.walk(mail.scratch.path):
      for path in (Path(folder, name) for name in names):
        if (path.is_file() and not path.name.startswith(('passwords', 'sasldb'))
            and path.suffix != '.key'):
          with contextlib.suppress(FileNotFoundError):  # removed by Cyrus in the meantime
            found[path] = path.read_bytes()
    return found

  def leaks(self, mail, forms: list[bytes]) -> list[tuple[str, bytes]]:
    return [(str(path), form) for path, text in self.written(mail).items()
            for form in found_in(text, forms)]

  def leaves_no_trace(self, mail, mechanism: str, *lines: str):
    """A message that is delivered, and one that a wrong password keeps in the queue."""
    self.talkative(mail, *mail.tls(), *mail.login(mechanism, *lines))
    mail.deliver_one()
    mail.passwords(f'localhost {USER}:Not "Sesam" at all: 0815')
    mail.assert_waits()
    assert (USER, f'{mechanism}+TLS') in mail.logins()
    dialogues = [path for path in self.transcripts(mail).iterdir()
                 if b'LHLO' in path.read_bytes() and mechanism.encode() in path.read_bytes()]
    assert len(dialogues) == 2, 'both dialogues were written down'
    forms = secret_forms() + secret_forms(password='Not "Sesam" at all: 0815')
    assert self.leaks(mail, forms) == []

  def test_plain_leaves_no_trace(self, mail):
    self.leaves_no_trace(mail, 'PLAIN')

  def test_login_leaves_no_trace(self, mail):
    self.leaves_no_trace(mail, 'LOGIN')

  def test_cram_md5_leaves_no_trace(self, mail):
    self.leaves_no_trace(mail, 'CRAM-MD5')

  def test_scram_leaves_no_trace(self, mail):
    self.leaves_no_trace(mail, 'SCRAM-SHA-256')

  def test_what_is_said_in_a_login_is_not_in_the_transcript(self, mail):
    """Nor in another form: the very lines, as a tap sees them on the wire."""
    tap = mail.tap(mail.store.lmtp_port)
    self.talkative(mail, 'tls = none', *mail.login('CRAM-MD5'), address=tap.address)
    mail.deliver_one()
    words = re.findall(rb'(?m)^(?:334 )?(\S{20,})\r$', tap.captured)
    said = [base64.b64decode(word) for word in words
            if re.fullmatch(rb'[A-Za-z0-9+/]+=*', word)]
    said = [text for text in said if b'<' in text or USER.encode() in text]
    assert len(said) == 2, 'the challenge and the response'
    forms = [form for text in said for form in (text, base64.b64encode(text))]
    ours = {path: text for path, text in self.written(mail).items() if 'cyrus' not in str(path)}
    assert [path for path, text in ours.items() if found_in(text, forms)] == []

  def test_the_search_would_find_it(self, mail):
    """The control: the same search, and the password where it may be."""
    assert found_in(mail.passwords().read_bytes(), secret_forms()) != []
    for before in range(3):
      text = base64.b64encode(b'x' * before + PASSWORD.encode() + b'yz')
      assert found_in(text, secret_forms()) != [], text
    planted = mail.scratch.path / 'planted'
    planted.write_bytes(b'AUTH PLAIN ' + secret_forms()[-1])
    mail.at_end(planted.unlink)
    assert str(planted) in {path for path, _ in self.leaks(mail, secret_forms())}

  def test_ps_does_not_show_it(self, mail):
    self.talkative(mail, *mail.tls(), *mail.login())
    user = mail.mailbox('alice')
    mail.send(message(), user)
    mail.store.pause()
    try:
      run = mail.sendmail.start_queue_run()
      pid = mail.wait_for_lmtpq()
      shown = {name: Path(f'/proc/{pid}/{name}').read_bytes() for name in ('cmdline', 'environ')}
    finally:
      mail.store.resume()
    wait_until(lambda: run.child.poll() is not None, 'the queue run ends')
    assert b'relay' in shown['cmdline']
    assert b'AGENT=sendmail' in shown['environ']
    assert [found_in(text, secret_forms()) for text in shown.values()] == [[], []]
    assert len(mail.store.messages(user)) == 1

  # Cores.

  def relay(self, mail, name: str, *lines: str) -> Piped:
    """It has delivered a message, and waits for the next."""
    folder = mail.scratch.path / f'{name}{mail.number}'
    folder.mkdir()
    folder.chmod(0o777)
    mail.log.touch()
    mail.log.chmod(0o666)
    conf = folder / 'conf'
    conf.write_text('\n'.join([*lines, 'tag-keys = none', '']))
    relay = Piped(mail.scratch, [mail.lmtpq, 'relay', f'--config={conf}', f'--log={mail.log}',
                                 mail.store.tcp_address if lines else mail.store.address], folder)
    user = mail.mailbox(name)
    assert relay.deliver(message(), mail.sender, f'{user}@store.test') == {}
    assert len(mail.store.messages(user)) == 1
    return relay

  def test_there_is_no_core_of_an_lmtpq_that_knows_a_password(self, mail):
    secrets = [*mail.tls(), *mail.login()]
    relays = {'asroot': self.relay(mail, 'asroot', *secrets),
              'ascyrus': self.relay(mail, 'ascyrus', *secrets, 'user = cyrus'),
              'without': self.relay(mail, 'without')}
    dumped = {name: dumps_core(relay.child) for name, relay in relays.items()}
    assert dumped == {'asroot': False, 'ascyrus': False, 'without': True}, (
        'the last is the control: it has no secret')
    assert list(mail.scratch.path.glob(f'as*{mail.number}/core*')) == []

  def test_a_core_of_another_process_is_written(self, mail):
    """Another control: this system does write cores."""
    child = subprocess.Popen(['sleep', '60'], cwd=mail.scratch.path,
                             preexec_fn=core_files_of_any_size)
    assert dumps_core(child)
