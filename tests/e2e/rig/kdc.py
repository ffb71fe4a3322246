"""A private Kerberos realm: Debian's KDC on a loopback port, its database in the scratch folder.

What it is: the realm's files, krb5kdc, and keytabs and tickets for who is to have them. The
  machine's own krb5.conf is neither read nor written: `environment` names ours.
What it does not know: SASL, Cyrus, lmtpq.
Lifetimes: start() once, stop(); a keytab is made once for each principal.
"""

import shutil
import subprocess
from pathlib import Path

from .process import Server
from .scratch import free_port

REALM = 'STORE.TEST'

# The names of hosts are taken as they are given: no look-up can lead out of this machine.
KRB5_CONF = """[libdefaults]
default_realm = @REALM@
dns_lookup_kdc = false
dns_lookup_realm = false
dns_canonicalize_hostname = false
rdns = false
qualify_shortname = ""
default_ccache_name = FILE:@DIR@/ccache_%{euid}
default_client_keytab_name = FILE:@DIR@/client_%{euid}.keytab
udp_preference_limit = 1
[realms]
@REALM@ = {
  kdc = 127.0.0.1:@PORT@
}
[domain_realm]
localhost = @REALM@
[logging]
kdc = FILE:@DIR@/kdc.log
"""

KDC_CONF = """[kdcdefaults]
kdc_listen = 127.0.0.1:@PORT@
kdc_tcp_listen = 127.0.0.1:@PORT@
[realms]
@REALM@ = {
  database_name = @DIR@/principal
  key_stash_file = @DIR@/stash
  acl_file = @DIR@/acl
  max_life = 1h
}
"""


class Kdc:
  def __init__(self, folder: Path):
    self.dir = folder
    self.port = free_port()
    self.log = folder / 'kdc.log'
    for name, text in (('krb5.conf', KRB5_CONF), ('kdc.conf', KDC_CONF)):
      (folder / name).write_text(text.replace('@DIR@', str(folder)).replace('@REALM@', REALM)
                                 .replace('@PORT@', str(self.port)))
    self.environment = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'TZ': 'UTC',
                        'KRB5_CONFIG': str(folder / 'krb5.conf'),
                        'KRB5_KDC_PROFILE': str(folder / 'kdc.conf')}
    self.run('kdb5_util', 'create', '-r', REALM, '-s', '-P', 'nobody needs to know')
    self.server: Server | None = None

  def start(self):
    self.server = Server(['krb5kdc', '-n', '-r', REALM], self.dir / 'kdc.out', self.environment)
    self.server.wait_ready(
        lambda: self.log.exists() and 'commencing operation' in self.log.read_text(),
        'the KDC listens')

  def stop(self):
    if self.server:
      self.server.stop()
      self.server = None

  def keytab(self, principal: str, user: str, path: Path | None = None) -> Path:
    """The principal's random key, in a file that only this user of the machine can read."""
    path = path or self.dir / f'{principal.replace("/", "-")}.keytab'
    self.run('kadmin.local', '-r', REALM, '-q', f'addprinc -randkey {principal}')
    self.run('kadmin.local', '-r', REALM, '-q', f'ktadd -k {path} {principal}')
    shutil.chown(path, user)
    path.chmod(0o600)
    return path

  def ticket(self, principal: str, keytab: Path, cache: Path, user: str):
    """As a cron job for that user would fetch it."""
    self.run('kinit', '-k', '-t', str(keytab), '-c', f'FILE:{cache}', principal)
    shutil.chown(cache, user)
    cache.chmod(0o600)

  def run(self, *words: str) -> str:
    ran = subprocess.run(words, env=self.environment, stdin=subprocess.DEVNULL, timeout=30,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if ran.returncode != 0:
      raise AssertionError(f'{words[0]}: {ran.stdout}')
    return ran.stdout
