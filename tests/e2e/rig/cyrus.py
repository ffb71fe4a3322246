"""A private Cyrus IMAP: cyrmaster, lmtpd, and imapd to make and read mailboxes.

What it is: lmtpd on a unix socket, where it trusts whoever can open it, and on TCP, where it wants
  a login: one of add_login(), by one of `mechanisms`, in TLS when it was given a certificate by
  use_tls().
What it does not know: TRACE; Debian's 3.6 does not have it.
Failure: cyrmaster drops root for the user cyrus, which must be able to write into the folder;
  what its services have to say is in cyrus.log.
"""

import imaplib
import shutil
import re
import subprocess
from pathlib import Path

from .authority import Leaf
from .messages import message
from .preload import private_environment
from .process import Server, wait_until
from .scratch import Scratch, free_port, unix_listens
from .store import Store

PROGRAMS = '/usr/lib/cyrus/bin'
LMTPD = 'cmd="@PROGRAMS@/lmtpd -C @DIR@/imapd.conf"'

IMAPD_CONF = """configdirectory: @DIR@/conf
defaultpartition: default
partition-default: @DIR@/spool
sievedir: @DIR@/sieve
servername: @HOST@
admins: cyrus
allowplaintext: yes
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: @DIR@/sasldb
sasl_mech_list: PLAIN
lmtptcp_sasl_mech_list: @MECHANISMS@
lmtptcp_admins: lmtpuser lmtpuser@@HOST@
lmtpsocket: @DIR@/lmtp
unixhierarchysep: no
altnamespace: no
virtdomains: off
munge8bit: no
auditlog: yes
tls_sessions_db_path: @DIR@/conf/tls_sessions.db
lmtp_over_quota_perm_failure: @PERMANENT@
@OPTIONS@
"""

CYRUS_CONF = """START {
  recover cmd="@PROGRAMS@/ctl_cyrusdb -C @DIR@/imapd.conf -r"
}
SERVICES {
  imap cmd="@PROGRAMS@/imapd -C @DIR@/imapd.conf" listen="127.0.0.1:@PORT@" prefork=0
  lmtpunix @LMTPD@ listen="@DIR@/lmtp" prefork=0
  lmtptcp @LMTPD@ listen="127.0.0.1:@LMTP_PORT@" prefork=0 maxchild=@CHILDREN@
@OPEN@
}
EVENTS {
}
"""


OPEN_SERVICE = (f'  lmtpopen cmd="{PROGRAMS}/lmtpd -a -C @DIR@/imapd.conf" '
                'listen="127.0.0.1:@OPEN_PORT@" prefork=0')


class Cyrus(Store):
  name = 'cyrus'
  ignores_quota = True
  unknown_user = 'Mailbox unknown'
  over_quota = 'Over quota'

  def __init__(self, scratch: Scratch, name: str = 'cyrus', host: str = 'store.test'):
    """host: its name, and the realm of its logins."""
    super().__init__(scratch.folder(name))
    self.log = self.dir / 'cyrus.log'
    self.environment = private_environment(scratch.path, self.log)
    self.imap_port = free_port()
    self.lmtp_port = free_port()
    self.by_tcp = False  # which of its two addresses `address` answers
    self.host = host
    # Taken at the next start():
    self.mechanisms = 'PLAIN'  # what lmtpd offers on TCP
    self.lmtp_processes = 100  # how many there may be for TCP
    self.options = ''  # further lines of imapd.conf
    self.tls_lines = ''
    self.open_port = 0  # where lmtpd takes mail by TCP from whoever comes; 0: nowhere
    for part in ('conf/socket', 'conf/db', 'spool', 'sieve'):
      (self.dir / part).mkdir(parents=True)
    self.add_login('cyrus', 'secret')
    for path in [self.dir, *self.dir.rglob('*')]:
      shutil.chown(path, 'cyrus', 'mail')

  @property
  def address(self) -> str:
    return self.tcp_address if self.by_tcp else f'unix:{self.dir}/lmtp'

  @property
  def tcp_address(self) -> str:
    return f'inet:localhost:{self.lmtp_port}'

  def add_login(self, user: str, password: str):
    """Or another password for it. lmtpd takes mail from lmtpuser only."""
    subprocess.run(['saslpasswd2', '-f', self.dir / 'sasldb', '-p', '-c', '-u', self.host, user],
                   input=password.encode(), check=True, timeout=30)
    shutil.chown(self.dir / 'sasldb', 'cyrus', 'mail')

  def use_tls(self, leaf: Leaf, client_ca: Path | None = None):
    """STARTTLS with this certificate, from the next start() on; client_ca: whose clients may show
    one of theirs."""
    mine = leaf.copy_for('cyrus', self.dir)
    self.tls_lines = (f'tls_server_cert: {mine.certificate}\ntls_server_key: {mine.key}\n'
                      'tls_versions: tls1_2 tls1_3\n')
    if client_ca:
      self.tls_lines += f'tls_client_ca_file: {client_ca}\n'

  def start(self):
    for name, text in (('imapd.conf', IMAPD_CONF), ('cyrus.conf', CYRUS_CONF)):
      (self.dir / name).write_text(
          text.replace('@OPTIONS@', self.tls_lines + self.options).replace('@LMTPD@', LMTPD)
          .replace('@DIR@', str(self.dir)).replace('@PROGRAMS@', PROGRAMS)
          .replace('@HOST@', self.host).replace('@MECHANISMS@', self.mechanisms)
          .replace('@CHILDREN@', str(self.lmtp_processes))
          .replace('@OPEN@', OPEN_SERVICE.replace('@DIR@', str(self.dir))
                   .replace('@OPEN_PORT@', str(self.open_port)) if self.open_port else '')
          .replace('@LMTP_PORT@', str(self.lmtp_port)).replace('@PORT@', str(self.imap_port))
          .replace('@PERMANENT@', 'yes' if self.permanent else 'no'))
    (self.dir / 'lmtp').unlink(missing_ok=True)
    self.server = Server(['/usr/sbin/cyrmaster', '-C', self.dir / 'imapd.conf', '-M',
                          self.dir / 'cyrus.conf', '-p', self.dir / 'master.pid'],
                         self.dir / 'cyrus.out', self.environment)
    self.server.wait_ready(lambda: unix_listens(self.dir / 'lmtp'), 'Cyrus lmtpd listens')

  def imap(self, user: str = '') -> imaplib.IMAP4:
    """As the administrator, or as the user on the administrator's word."""
    def connect():
      try:
        return imaplib.IMAP4('127.0.0.1', self.imap_port, timeout=30)
      except (OSError, imaplib.IMAP4.abort):
        return None
    client = wait_until(connect, 'Cyrus imapd answers')
    client.authenticate('PLAIN', lambda _: f'{user}\0cyrus\0secret'.encode())
    return client

  def add_mailbox(self, user: str):
    self.add_mailboxes([user])

  def add_mailboxes(self, users: list[str]):
    with self.imap() as admin:
      for user in users:
        expect(admin.create(f'user.{user}'))

  def set_quota(self, user: str, size: int):
    with self.imap() as admin:
      expect(admin.setquota(f'user.{user}', f'(STORAGE {size // 1024})'))

  def fill(self, user: str):
    # lmtpd refuses only a mailbox that is over its quota already.
    with self.imap(user) as client:
      expect(client.append('INBOX', None, None, message(b'x' * 70 + b'\r\n' * 2000, 'ballast')))
    self.set_quota(user, 1024)

  def make_room(self, user: str):
    self.set_quota(user, 1 << 30)

  def messages(self, user: str) -> list[bytes]:
    with self.imap(user) as client:
      if expect(client.select('INBOX', readonly=True)) == [b'0']:
        return []
      answer = expect(client.fetch('1:*', '(BODY.PEEK[])'))
      found = [item[1] for item in answer if isinstance(item, tuple)]
    return [raw for raw in found if b'\r\nSubject: ballast\r\n' not in raw]

  def log_text(self) -> str:
    return self.log.read_text(errors='replace')

  def handshakes(self) -> list[str]:
    """What lmtpd says of each: protocol, cipher, new or reused."""
    return re.findall(r'lmtp\S*: starttls: (.*)', self.log_text())

  def logins(self) -> list[tuple[str, str]]:
    """(user, mechanism) of each, +TLS where it was in TLS."""
    return re.findall(r'lmtp\S*: login: \S+ \S+ (\S+) (\S+) User logged in', self.log_text())

  def bad_logins(self) -> list[str]:
    return re.findall(r'lmtp\S*: badlogin: (.*)', self.log_text())


def expect(answer):
  status, data = answer
  if status != 'OK':
    raise AssertionError(f'IMAP: {status} {data}')
  return data
