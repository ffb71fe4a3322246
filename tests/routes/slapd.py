"""A private slapd on loopback: in a separate folder, without root, ended by its pid.

What it is: Slapd; start(), stop(), pause(), resume(), and change() of an entry.
What it does not know: what is asked of it.
Called by: directory.py.
Failure: AssertionError with the end of slapd's log.
"""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

from fixtures.process import suspend
from fixtures.scratch import free_port

BASE = 'dc=example,dc=org'
ADMIN = f'cn=lmtpq,{BASE}'
PASSWORD = 'pass word \\ "1"'

CONFIG = """include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/misc.schema
pidfile {folder}/pid
argsfile {folder}/args
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCACertificateFile {ca}
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
database mdb
suffix "{base}"
directory {folder}/data
maxsize 16777216
rootdn "{admin}"
rootpw "{password}"
access to dn.children="ou=private,{base}" by users read by * none
access to * by * read
"""

TREE = f"""dn: {BASE}
objectClass: dcObject
objectClass: organization
o: example
dc: example

dn: ou=people,{BASE}
objectClass: organizationalUnit
ou: people

dn: ou=private,{BASE}
objectClass: organizationalUnit
ou: private
"""


def person(name: str, addresses: list, host: str | None, unit: str = 'people', **more) -> str:
  """An entry in LDIF; `more` are further attributes."""
  lines = [f'dn: uid={name},ou={unit},{BASE}', 'objectClass: inetOrgPerson',
           'objectClass: inetLocalMailRecipient', f'uid: {name}', f'cn: {name}', f'sn: {name}']
  lines += [f'mailLocalAddress: {address}' for address in addresses]
  lines += [f'mailHost: {host}'] if host else []
  lines += [f'{key}: {value}' for key, values in more.items() for value in values]
  return '\n'.join(lines) + '\n'


class Slapd:
  def __init__(self, folder: Path, authority, certificate: str = 'good'):
    self.folder = folder
    self.port, self.tls_port = free_port(), free_port()
    self.child = None
    (folder / 'data').mkdir(parents=True)
    password = PASSWORD.replace('\\', '\\\\').replace('"', '\\"')
    (folder / 'slapd.conf').write_text(CONFIG.format(
        folder=folder, base=BASE, admin=ADMIN, password=password, ca=authority.path('ca.pem'),
        certificate=authority.path(f'{certificate}.pem'), key=authority.path('leaf.key')))
    (folder / 'slapd.conf').chmod(0o600)

  @property
  def uri(self) -> str:
    return f'ldap://127.0.0.1:{self.port}'

  @property
  def tls_uri(self) -> str:
    return f'ldaps://127.0.0.1:{self.tls_port}'

  @property
  def socket_uri(self) -> str:
    return f'ldapi://{quote(str(self.folder / "socket"), safe="")}'

  def load(self, people: list):
    (self.folder / 'tree.ldif').write_text('\n'.join([TREE, *people]))
    self._tool('slapadd', '-q', '-f', str(self.folder / 'slapd.conf'), '-l',
               str(self.folder / 'tree.ldif'))

  def change(self, name: str, attribute: str, value: str):
    text = f'dn: uid={name},ou=people,{BASE}\nchangetype: modify\nreplace: {attribute}\n' \
           f'{attribute}: {value}\n'
    self._tool('ldapmodify', '-x', '-H', self.uri, '-D', ADMIN, '-w', PASSWORD, text=text)

  def start(self):
    log = (self.folder / 'log').open('ab')
    self.child = subprocess.Popen(
        ['/usr/sbin/slapd', '-d', 'none', '-f', str(self.folder / 'slapd.conf'), '-h',
         f'{self.uri} {self.tls_uri} {self.socket_uri}'],
        stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    end = time.monotonic() + 60
    while not self._accepts():
      if self.child.poll() is not None or time.monotonic() > end:
        raise AssertionError(f'slapd does not start: {self._log()}')
      time.sleep(0.02)

  def stop(self):
    if self.child:
      self.resume()
      self.child.terminate()
      try:
        self.child.wait(60)
      except subprocess.TimeoutExpired:
        self.child.kill()
        self.child.wait()
      self.child = None

  def pause(self):
    suspend(self.child.pid)

  def resume(self):
    if self.child.poll() is None:
      os.kill(self.child.pid, signal.SIGCONT)

  def connections(self) -> int:
    """How many clients have a TCP connection to it."""
    ours = f'0100007F:{self.port:04X}'
    rows = [line.split() for line in Path('/proc/net/tcp').read_text().splitlines()[1:]]
    return sum(row[1] == ours and row[3] == '01' for row in rows)

  def _accepts(self) -> bool:
    with socket.socket() as probe:
      return probe.connect_ex(('127.0.0.1', self.port)) == 0

  def _log(self) -> str:
    return (self.folder / 'log').read_text(errors='replace')[-500:]

  def _tool(self, *command: str, text: str = ''):
    path = os.environ.get('PATH', '') + ':/usr/sbin:/usr/bin'
    done = subprocess.run(command, input=text, text=True, capture_output=True,
                          env={**os.environ, 'PATH': path}, check=False)
    if done.returncode != 0:
      raise AssertionError(f'{command[0]}: {done.stderr[-500:]}')
