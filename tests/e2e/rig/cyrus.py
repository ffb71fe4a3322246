"""A private Cyrus IMAP: cyrmaster, lmtpd on a unix socket, imapd to make and read mailboxes.

What it does not know: TRACE; Debian's 3.6 does not have it.
Failure: cyrmaster drops root for the user cyrus, which must be able to write into the folder;
  what its services have to say is in cyrus.log.
"""

import imaplib
import shutil
import subprocess

from .messages import message
from .preload import private_environment
from .process import Server, wait_until
from .scratch import Scratch, free_port, unix_listens
from .store import Store

PROGRAMS = '/usr/lib/cyrus/bin'

IMAPD_CONF = """configdirectory: @DIR@/conf
defaultpartition: default
partition-default: @DIR@/spool
sievedir: @DIR@/sieve
servername: store.test
admins: cyrus
allowplaintext: yes
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: @DIR@/sasldb
sasl_mech_list: PLAIN
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
  lmtpunix cmd="@PROGRAMS@/lmtpd -C @DIR@/imapd.conf" listen="@DIR@/lmtp" prefork=0
}
EVENTS {
}
"""


class Cyrus(Store):
  name = 'cyrus'
  ignores_quota = True
  unknown_user = 'Mailbox unknown'
  over_quota = 'Over quota'

  def __init__(self, scratch: Scratch, name: str = 'cyrus'):
    super().__init__(scratch.folder(name))
    self.log = self.dir / 'cyrus.log'
    self.environment = private_environment(scratch.path, self.log)
    self.imap_port = free_port()
    self.options = ''  # further lines of imapd.conf, taken at the next start()
    for part in ('conf/socket', 'conf/db', 'spool', 'sieve'):
      (self.dir / part).mkdir(parents=True)
    subprocess.run(['saslpasswd2', '-f', self.dir / 'sasldb', '-p', '-c', '-u', 'store.test',
                    'cyrus'], input=b'secret', check=True, timeout=30)
    for path in [self.dir, *self.dir.rglob('*')]:
      shutil.chown(path, 'cyrus', 'mail')

  @property
  def address(self) -> str:
    return f'unix:{self.dir}/lmtp'

  def start(self):
    for name, text in (('imapd.conf', IMAPD_CONF), ('cyrus.conf', CYRUS_CONF)):
      (self.dir / name).write_text(
          text.replace('@DIR@', str(self.dir)).replace('@PROGRAMS@', PROGRAMS)
          .replace('@PORT@', str(self.imap_port))
          .replace('@OPTIONS@', self.options)
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


def expect(answer):
  status, data = answer
  if status != 'OK':
    raise AssertionError(f'IMAP: {status} {data}')
  return data
