"""What the tests of TLS and AUTH share: an authority, a password file, and what both ends say.

What it is: SecureCase, a MailCase whose lmtpq has a configuration file of its own and logs in as
  lmtpuser; Secured, the same with a Cyrus that offers all that Debian's plugins can, and what
  lmtpd says of it.
What it does not know: what is being tested.
"""

import base64
from pathlib import Path

from .authority import Authority
from .case import MailCase
from .cyrus import Cyrus
from .messages import message, message_id
from .scratch import Scratch
from .sendmail import Sendmail
from .tap import Tap

USER = 'lmtpuser'
PASSWORD = 'Sesam: open "wide" 4711'  # nothing in it is like anything else in a log
MECHANISMS = 'PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256 EXTERNAL'


class SecureCase(MailCase):
  authority: Authority

  @classmethod
  def make_authority(cls, scratch: Scratch):
    cls.authority = Authority(scratch.folder('authority'))

  def passwords(self, *lines: str) -> Path:
    """A password file of this test's own, root's alone; by default with the right password for
    every port of localhost."""
    path = self.scratch.path / f'passwords{self.number}'
    path.touch(mode=0o600)
    path.write_text(''.join(f'{line}\n' for line in lines or [f'localhost {USER}:{PASSWORD}']))
    return path

  def with_conf(self, *lines: str, **knobs) -> Sendmail:
    """lmtpq over TCP, by these lines of its configuration file."""
    knobs = {'address': self.store.tcp_address} | knobs
    return self.with_lmtpq(conf=''.join(f'{line}\n' for line in lines), **knobs)

  def tls(self, level: str = 'verify', *more: str) -> list[str]:
    return [f'tls = {level}', f'tls-ca-file = {self.authority.ca}', *more]

  def login(self, mechanisms: str = '', *more: str) -> list[str]:
    lines = [f'auth-password-file = {self.passwords()}', *more]
    return [*lines, f'auth-mechanisms = {mechanisms}'] if mechanisms else lines

  def tap(self, port: int) -> Tap:
    tap = Tap(port)
    self.addCleanup(tap.close)
    return tap

  # What must hold.

  def connection_lines(self) -> list[dict[str, str]]:
    """lmtpq's word on each connection that was secured."""
    return [line for line in self.lmtpq_lines() if {'relay', 'auth'} <= set(line)
            and 'to' not in line]

  def connection(self) -> dict[str, str]:
    lines = self.connection_lines()
    self.assertEqual(len(lines), 1, self.lmtpq_lines())
    return lines[0]

  def deliver_one(self, user: str = '', **more) -> str:
    """One message through one queue run, filed once; the queue id."""
    user = user or self.mailbox('alice')
    raw = message()
    qid = self.send(raw, user, **more)
    self.sendmail.run_queue()
    self.assert_sent(qid, user)
    self.assert_queue_empty()
    self.assertEqual(self.store.message_ids(user), [message_id(raw)], 'filed once')
    return qid

  def assert_waits(self, *words: str) -> str:
    """One message, which is deferred for the store's or our own sake; lmtpq's log has the words."""
    user = self.mailbox('waiting')
    qid = self.send(message(), user)
    self.sendmail.run_queue()
    self.assert_deferred(qid, user, '4.')
    self.assertEqual(self.store.messages(user), [])
    text = self.log.read_text()
    for word in words:
      self.assertIn(word.lower(), text.lower())
    return qid


class Secured(SecureCase):
  """With a Cyrus that has a certificate and all mechanisms."""

  @classmethod
  def make_store(cls, scratch: Scratch) -> Cyrus:
    cls.make_authority(scratch)
    store = Cyrus(scratch)
    store.mechanisms = MECHANISMS
    store.add_login(USER, PASSWORD)
    store.use_tls(cls.authority.leaf('server'), cls.authority.ca)
    return store

  def setUp(self):
    super().setUp()
    self.seen = (len(self.store.handshakes()), len(self.store.logins()),
                 len(self.store.bad_logins()))

  # What lmtpd says of this test's connections.

  def handshakes(self) -> list[str]:
    return self.store.handshakes()[self.seen[0]:]

  def logins(self) -> list[tuple[str, str]]:
    return self.store.logins()[self.seen[1]:]

  def bad_logins(self) -> list[str]:
    return self.store.bad_logins()[self.seen[2]:]


def secret_forms(user: str = USER, password: str = PASSWORD) -> list[bytes]:
  """What must be found nowhere: the password, its hexadecimal digits, its base64 wherever in a text
  it begins, and PLAIN's initial responses."""
  raw = password.encode()
  forms = [raw, raw.hex().encode()]
  for before in range(3):
    text = base64.b64encode(b'\0' * before + raw)
    # Only the letters that come of the password alone.
    first, last = (8 * before + 5) // 6, (8 * (before + len(raw))) // 6
    forms.append(text[first:last])
  for identity in ('', user):
    forms.append(base64.b64encode(f'{identity}\0{user}\0{password}'.encode()))
  return forms


def found_in(text: bytes, forms: list[bytes]) -> list[bytes]:
  return [form for form in forms if form in text]
