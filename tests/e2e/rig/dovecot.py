"""A private Dovecot: lmtp on a unix socket and on TCP, Maildir, a passwd-file for each user.

What it is: its lmtp knows no AUTH; on TCP it offers STARTTLS when it was given a certificate by
  use_tls().
What it does not know: IGNOREQUOTA and TRACE. It looks at the quota after the dot, so its refusal
  of a full mailbox is a reply to DATA, where Cyrus refuses RCPT.
"""

import os
from pathlib import Path

from .authority import Leaf
from .process import Server
from .scratch import Scratch, free_port, unix_listens
from .store import Store, read_maildir

CONF = """base_dir = @DIR@/run
state_dir = @DIR@/state
log_path = @DIR@/dovecot.log
protocols = lmtp
@TLS@
listen = 127.0.0.1
auth_username_format = %Ln
mail_location = maildir:@DIR@/mail/%n
first_valid_uid = 1
mail_plugins = quota
quota_full_tempfail = @TEMPORARY@
submission_host =
service lmtp {
  unix_listener @DIR@/lmtp {
    mode = 0666
  }
  inet_listener lmtp {
    port = @PORT@
  }
}
passdb {
  driver = passwd-file
  args = @DIR@/users/%n
}
userdb {
  driver = passwd-file
  args = @DIR@/users/%n
}
plugin {
  quota = maildir:User quota
  quota_rule = *:bytes=1000000000
}
"""


class Dovecot(Store):
  name = 'dovecot'
  unknown_user = "User doesn't exist"
  over_quota = 'Quota exceeded'

  def __init__(self, scratch: Scratch, name: str = 'dovecot'):
    super().__init__(scratch.folder(name))
    self.port = free_port()
    self.by_tcp = False  # which of its two addresses `address` answers
    self.tls_lines = 'ssl = no'  # taken at the next start()
    (self.dir / 'users').mkdir()
    (self.dir / 'mail').mkdir()
    (self.dir / 'mail').chmod(0o777)

  @property
  def address(self) -> str:
    return self.tcp_address if self.by_tcp else f'unix:{self.dir}/lmtp'

  @property
  def tcp_address(self) -> str:
    return f'inet:127.0.0.1:{self.port}'

  def use_tls(self, leaf: Leaf):
    """From the next start() on. lmtp would take mail without TLS too, whatever `ssl` says; the
    Received line of what it files tells (LMTPS)."""
    self.tls_lines = (f'ssl = yes\nssl_cert = <{leaf.certificate}\nssl_key = <{leaf.key}\n'
                      'ssl_min_protocol = TLSv1.2')

  def start(self):
    conf = self.dir / 'dovecot.conf'
    conf.write_text(CONF.replace('@TLS@', self.tls_lines)
                    .replace('@DIR@', str(self.dir)).replace('@PORT@', str(self.port))
                    .replace('@TEMPORARY@', 'no' if self.permanent else 'yes'))
    self.server = Server(['/usr/sbin/dovecot', '-F', '-c', conf], self.dir / 'dovecot.out')
    self.server.wait_ready(lambda: unix_listens(self.dir / 'lmtp'), 'Dovecot lmtp listens')

  def add_mailbox(self, user: str):
    # One file a user: Dovecot notices a changed file only in the next second, a new one at once.
    (self.dir / 'users' / user).write_text(
        f'{user}:{{PLAIN}}secret:65534:65534::{self.dir}/home/{user}::\n')

  def fill(self, user: str):
    # In Maildir++ the name of a file tells its size; maildirsize is a cache of the sum.
    self.ballast(user).parent.mkdir(parents=True, exist_ok=True)
    self.ballast(user).touch()
    self.give_to_nobody(user)

  def make_room(self, user: str):
    self.ballast(user).unlink()
    self.give_to_nobody(user)

  def ballast(self, user: str) -> Path:
    return self.dir / 'mail' / user / 'cur' / '1000000000.ballast,S=1000000001:2,S'

  def give_to_nobody(self, user: str):
    maildir = self.dir / 'mail' / user
    (maildir / 'maildirsize').unlink(missing_ok=True)
    for path in (maildir, maildir / 'cur', self.ballast(user)):
      if path.exists():
        os.chown(path, 65534, 65534)

  def messages(self, user: str) -> list[bytes]:
    return read_maildir(Path(self.dir) / 'mail' / user)

  def log_text(self) -> str:
    return (self.dir / 'dovecot.log').read_text(errors='replace')
