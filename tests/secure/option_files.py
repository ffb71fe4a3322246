"""The files that the options name: passwords, keys, a configuration; good ones and others.

What it is: make_files(). What it does not know: which case takes which.
Called by: the fixture `runner`, once. Failure: OSError, CalledProcessError.
"""

from pathlib import Path

from peers.secure.certificates import Authority
from peers.secure.session import PASSWORD, USER

LINE = b'inet:127.0.0.1 ' + USER + b':' + PASSWORD + b'\n'
SECTION = """[destination.127.0.0.1]
tls = verify
tls-ca-file = @CA@
tls-name = store.test
auth-password-file = @FILES@/passwords
"""


def make_files(folder: Path, authority: Authority):
  folder.mkdir()
  (folder / 'folder').mkdir()

  def file(name: str, content: bytes, mode: int = 0o600):
    (folder / name).write_bytes(content)
    (folder / name).chmod(mode)

  file('passwords', b'# of the store\n' + LINE + LINE.replace(b'inet:', b'smtp:'))
  file('open.passwords', LINE, 0o644)
  file('bad.passwords', LINE + b'127.0.0.1 ' + USER + b' ' + PASSWORD + b'\n')
  file('other.passwords', LINE.replace(b'127.0.0.1', b'192.0.2.1'))
  key = (authority.folder / 'leaf.key').read_bytes()
  file('open.key', key, 0o644)
  file('empty.key', b'no PEM at all\n')
  authority.openssl('pkey', '-in', 'leaf.key', '-aes256', '-passout', 'pass:x', '-out',
                    str(folder / 'locked.key'))
  (folder / 'locked.key').chmod(0o600)
  file('section.conf', SECTION.replace('@CA@', authority.path('ca.pem'))
       .replace('@FILES@', str(folder)).encode(), 0o644)
