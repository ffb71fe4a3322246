"""What every part is given: the programs, how often, and where to put things.

Called by: `run`, which reads the command line; each module of parts/ has run(setting), which answers
  the rows and grids that it measured.
Lifetimes: the scratch folder is removed by `run`; each part stops its own servers.
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from fixtures.authority import Authority
from fixtures.cyrus import Cyrus
from fixtures.cyrus_version import program
from fixtures.scratch import Scratch, free_port

from middle import Serve
from postfix import NotToBeHad, Postfix

USER, PASSWORD = 'lmtpuser', 'bench secret'


@dataclass
class Setting:
  lmtpq: str
  milter: str
  store: str
  scratch: Scratch
  pairs: int
  messages: int

  def fetch_postfix(self):
    """Called once, while there is a network; without the package only what needs it is not
    measured."""
    try:
      self.fetched: Postfix | NotToBeHad = Postfix(Path(self.lmtpq).resolve().parent / 'postfix')
    except NotToBeHad as failure:
      self.fetched = failure

  @property
  def postfix(self) -> Postfix:
    if isinstance(self.fetched, NotToBeHad):
      raise self.fetched
    return self.fetched

  def serve(self, store: str, *options: str) -> Serve:
    return Serve(self.scratch, self.lmtpq, store, *options)

  def secure_cyrus(self, name: str, mechanisms: str) -> 'SecureCyrus':
    return SecureCyrus(self.scratch, name, mechanisms)


class SecureCyrus(Cyrus):
  """With TLS and a login on `lmtp_port`, and `open_port` for all clients, with TLS on request."""

  def __init__(self, scratch: Scratch, name: str, mechanisms: str):
    super().__init__(scratch, name)
    self.authority = Authority(scratch.folder(f'{name}-authority'))
    self.use_tls(self.authority.leaf('server'))
    self.mechanisms = mechanisms
    self.open_port = free_port()
    self.add_login(USER, PASSWORD)
    self.folders: dict[str, str] = {}
    self.passwords = scratch.path / f'{name}-passwords'
    self.passwords.touch(mode=0o600)
    self.passwords.write_text(f'localhost {USER}:{PASSWORD}\n')

  @property
  def open_address(self) -> str:
    return f'inet:localhost:{self.open_port}'

  def secure_options(self) -> list[str]:
    """Of lmtpq: TLS, verified, and the login."""
    return ['--tls=verify', f'--tls-ca-file={self.authority.ca}',
            f'--auth-password-file={self.passwords}']

  def filed(self, user: str) -> int:
    """How many messages lie in the mailbox; without a session, which would cost the store."""
    if user not in self.folders:
      said = subprocess.run([program('mbpath'), '-C', self.dir / 'imapd.conf', f'user.{user}'],
                            capture_output=True, check=True, timeout=30, env=self.environment)
      self.folders[user] = said.stdout.decode().strip()
    return sum(name.endswith('.') and name[:-1].isdigit()
               for name in os.listdir(self.folders[user]))

  def connections(self) -> int:
    """To its lmtpd by TCP, so far."""
    return self.log_text().count('accepted connection')
