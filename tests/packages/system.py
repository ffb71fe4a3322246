"""A clean Debian with Sendmail and Cyrus, in which packages are installed and removed.

What it is: a tree that debootstrap made, as the lower half of an overlay; processes in separate
  namespaces for mounts, network (only lo), processes and host name. Nothing of the host is touched,
  and the end of the first process ends all others.
What it does not know: systemd, which does not run here. Scripts of packages find no
  /run/systemd/system; booted.py is a system where they do.
Failure: a command that ends with another status than 0 raises, with its output.
Needs root; debootstrap, and a mirror for the first use of a tree.
"""

import fcntl
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

from fixtures.scratch import Scratch, unix_listens

HOST = 'mx.example.org'
PEERS = ('sendmail-bin', 'sendmail-cf', 'm4', 'make', 'cyrus-imapd', 'sasl2-bin',
         'libsasl2-modules', 'libsasl2-modules-db')
BOOTS = ('systemd-sysv',)  # what a system that boots has besides
CLEAN = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': '/root', 'LC_ALL': 'C.UTF-8',
         'DEBIAN_FRONTEND': 'noninteractive'}
LIMIT = 900  # also for apt-get on a machine that is busy

# The first process of the namespaces: mounts, then waits, and reaps what others leave.
FIRST = """set -e
root=$1
[ -z "$2" ] || mount -t overlay overlay -o "$2" "$root"
mount -t proc proc /proc
mount -t proc proc "$root/proc"
if [ -n "$2" ]; then ip link set lo up; hostname "$3"; fi
echo ready
while :; do sleep 3600; done
"""
IMAPD = f"""
servername: {HOST}
admins: cyrus
unixhierarchysep: no
altnamespace: no
virtdomains: off
allowplaintext: yes
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_mech_list: PLAIN
duplicatesuppression: no
"""


CYRUS_CONF = """START {
  recover cmd="/usr/sbin/cyrus ctl_cyrusdb -r"
}
SERVICES {
  imap cmd="imapd" listen="127.0.0.1:143" prefork=0
  lmtpunix cmd="lmtpd" listen="/run/cyrus/socket/lmtp" prefork=0
}
EVENTS {
}
"""


# Deliver to Cyrus, whatever the load of the machine is.
SENDMAIL_MC = """define(`confLOCAL_MAILER', `cyrusv2')dnl
define(`confQUEUE_LA', `9999')dnl
define(`confREFUSE_LA', `9999')dnl
"""


class Failed(AssertionError):
  pass


class Namespaces:
  """Processes below one root. With an overlay: without the host's network."""

  def __init__(self, root: Path, overlay: str = ''):
    apart = ['--mount', '--pid', '--fork', '--kill-child', '--propagation', 'private']
    self.holder = subprocess.Popen(
        ['setpriv', '--pdeathsig', 'KILL', 'unshare', *apart,
         *(['--net', '--uts', '--ipc'] if overlay else []), 'bash', '-c', FIRST, 'first', root, overlay, HOST],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if self.holder.stdout.readline().strip() != 'ready':
      raise Failed(f'no namespaces for {root}')
    holder = self.holder.pid
    self.first = Path(f'/proc/{holder}/task/{holder}/children').read_text().split()[0]
    self.top = f'/proc/{self.first}/root{root}'
    self.enter = ['nsenter', '-t', self.first, '-m', '-p',
                  *(['-n', '-u', '-i'] if overlay else []), '--', 'chroot', str(root)]

  def try_run(self, *words, env=None, **more) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*self.enter, *(str(word) for word in words)],
        env=CLEAN | (env or {}), text=True, timeout=LIMIT, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        **({'stdin': subprocess.DEVNULL} if 'input' not in more else {}), **more)

  def run(self, *words, **more) -> str:
    done = self.try_run(*words, **more)
    if done.returncode != 0:
      raise Failed(f'{" ".join(map(str, words))}: status {done.returncode}\n{done.stdout[-4000:]}')
    return done.stdout

  def shell(self, text: str, **more) -> str:
    return self.run('sh', '-ec', text, **more)

  def path(self, name: str) -> Path:
    """Of the host, for a file below the root."""
    return Path(f'{self.top}{name}')

  def end(self):
    self.holder.kill()
    self.holder.wait()
    self.holder.stdout.close()


def make_base(base: Path, suite: str, debs: list[Path]):
  """The tree, with Sendmail, Cyrus, and in apt's cache what the packages depend on."""
  base.parent.mkdir(parents=True, exist_ok=True)
  with base.with_name(f'{base.name}.lock').open('w') as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    if not base.exists():
      bootstrap(base, suite)
    namespaces = Namespaces(base)
    try:
      prepare(namespaces, base, debs)
    finally:
      namespaces.end()


def bootstrap(base: Path, suite: str):
  new = base.with_name(f'{base.name}.new')
  shutil.rmtree(new, ignore_errors=True)
  done = subprocess.run(['debootstrap', '--variant=minbase', suite, new], text=True, check=False,
                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=3 * LIMIT)
  if done.returncode != 0:
    raise Failed(f'debootstrap {suite}: {done.stdout[-2000:]}')
  new.rename(base)


def prepare(namespaces: Namespaces, base: Path, debs: list[Path]):
  policy = base / 'usr/sbin/policy-rc.d'  # no service starts
  policy.write_text('#!/bin/sh\nexit 101\n')
  policy.chmod(0o755)
  (base / 'etc/apt/apt.conf.d/90packages').write_text('APT::Install-Recommends "false";\n')
  shutil.copy('/etc/resolv.conf', base / 'etc/resolv.conf')
  found = namespaces.try_run('dpkg-query', '-W', '-f', '${db:Status-Abbrev}', *PEERS)
  if found.returncode != 0 or found.stdout.count('ii') != len(PEERS):
    namespaces.run('apt-get', 'update', '-qq')
    namespaces.run('apt-get', 'install', '-y', '-qq', *PEERS)
  install = ['install', '-y', '-qq', *BOOTS, *copy_debs(debs, base / 'root/debs')]
  missing = namespaces.try_run('apt-get', *install, '--print-uris')
  if missing.returncode != 0 or "'http" in missing.stdout:
    namespaces.run('apt-get', 'update', '-qq')
    namespaces.run('apt-get', *install, '--download-only')
  shutil.rmtree(base / 'root/debs')


def copy_debs(debs: list[Path], to: Path) -> list[str]:
  """Their names below the root of a tree."""
  shutil.rmtree(to, ignore_errors=True)
  to.mkdir(parents=True)
  for deb in debs:
    shutil.copy(deb, to)
  return [f'/root/{to.name}/{deb.name}' for deb in debs]


class System(Namespaces):
  """One clean system. Its Cyrus has the mailbox of alice, and that of bob, which is full."""

  def __init__(self, base: Path, name: str):
    self.scratch = Scratch(name)
    upper, work, root = (self.scratch.folder(part) for part in ('upper', 'work', 'root'))
    super().__init__(root, f'lowerdir={base},upperdir={upper},workdir={work}')
    self.path('/etc/hosts').write_text(f'127.0.0.1 localhost {HOST} mx\n')
    self.take_log()

  def take_log(self):
    self.lines: list[str] = []  # of syslog; Cyrus ends without it
    log = self.path('/dev/log')
    self.syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    self.syslog.bind(str(log))
    log.chmod(0o666)
    threading.Thread(target=self.keep_lines, daemon=True).start()

  def leave_log(self):
    self.syslog.shutdown(socket.SHUT_RDWR)
    self.syslog.close()

  def keep_lines(self):
    while line := self.syslog.recv(65536).decode(errors='replace'):
      self.lines.append(line)

  def log(self, text: str) -> list[str]:
    return [line for line in self.lines if text in line]

  def install(self, debs: list[Path], *options, env=None) -> str:
    names = copy_debs(debs, self.path('/root/debs'))
    return self.run('apt-get', 'install', '-y', '--allow-downgrades', *options, *names, env=env)

  def remove(self):
    """All of it, at the end."""
    self.end()
    self.leave_log()
    self.scratch.remove()

  # --- Sendmail

  def write_mc(self, *, above: str = '', mailer: str):
    """Debian's, with these lines."""
    mc = self.path('/etc/mail/sendmail.mc')
    stock = self.path('/etc/mail/sendmail.mc.stock')
    if not stock.exists():
      shutil.copy(mc, stock)
    text = stock.read_text().replace('MAILER_DEFINITIONS\n',
                                     f'{SENDMAIL_MC}{above}MAILER_DEFINITIONS\n')
    mc.write_text(f'{text}{mailer}\n')

  def configure_sendmail(self, *, above: str = '', mailer: str) -> str:
    """The .mc, and Debian's Makefile. What make wrote."""
    self.write_mc(above=above, mailer=mailer)
    return self.run('make', '-C', '/etc/mail', 'sendmail.cf')

  def start_sendmail(self):
    self.run('/etc/init.d/sendmail', 'start')

  def stop_sendmail(self):
    self.run('/etc/init.d/sendmail', 'stop')

  def start_milter(self):
    self.run('setpriv', '--reuid', 'lmtpq', '--regid', 'lmtpq', '--init-groups', 'lmtpq-milter')

  def submit(self, sender: str, recipient: str, subject: str):
    """By SMTP on this host: through the milter, into the queue or the mailbox."""
    self.python('import smtplib, sys\n'
                's = smtplib.SMTP("127.0.0.1", 25, timeout=60)\n'
                's.sendmail(sys.argv[1], sys.argv[2], '
                '"From: x\\nMessage-ID: <%s@example.org>\\nSubject: %s\\n\\nhi\\n" '
                '% (sys.argv[3], sys.argv[3]))\n', sender, recipient, subject)

  def hand_over(self, recipient: str, subject: str):
    """To the MTA directly, without a daemon; it delivers at once, or keeps the message."""
    self.try_run('sendmail', '-Am', '-odi', '-f', 'root@localhost', recipient,
                 input=f'Subject: {subject}\n\nhi\n')

  def run_queue(self) -> str:
    return self.try_run('sendmail', '-Am', '-q', '-v').stdout

  def queue(self) -> str:
    return self.run('sendmail', '-Am', '-bp')

  def waits(self) -> int:
    return len(list(self.path('/var/spool/mqueue').glob('qf*')))

  def bounced(self) -> list[str]:
    """Sendmail's lines about mail that it gave up."""
    signs = 'dsn=5.', 'unknown mailer', 'return to sender', 'Saved message'
    return [line for line in self.lines if any(sign in line for sign in signs)]

  # --- Cyrus

  def prepare_cyrus(self):
    settings = self.path('/etc/imapd.conf')  # a name that is there twice is a mistake
    ours = {line.split(':')[0] for line in IMAPD.split('\n') if line}
    kept = [line for line in settings.read_text().splitlines() if line.split(':')[0] not in ours]
    settings.write_text('\n'.join(kept) + IMAPD)
    self.path('/etc/cyrus.conf').write_text(CYRUS_CONF)
    self.run('install', '-d', '-o', 'cyrus', '-g', 'mail', '/run/cyrus', '/run/cyrus/socket')
    self.run('saslpasswd2', '-c', '-p', '-u', HOST, 'cyrus', input='secret\n')
    self.shell('chgrp sasl /etc/sasldb2; chmod 640 /etc/sasldb2')
    self.start_cyrus()
    self.imap('for name in "user.alice", "user.bob", "user.root":\n'
              '  box.create(name); box.setacl(name, "cyrus", "lrsi")\n'
              'text = b"From: x\\r\\nSubject: filler\\r\\n\\r\\nhi\\r\\n"\n'
              'box.append("user.bob", None, None, text)\n'
              'box.setquota("user.bob", "(STORAGE 0)")\n')

  def start_cyrus(self):
    self.run('/usr/sbin/cyrmaster', '-d')
    self.wait_for_cyrus()

  def wait_for_cyrus(self):
    self.wait_for(lambda: unix_listens(self.path('/run/cyrus/socket/lmtp')))

  def stop_cyrus(self):
    self.shell('kill $(pidof cyrmaster)')
    self.wait_for(lambda: self.try_run('pidof', 'cyrmaster').returncode != 0)

  def subjects(self, mailbox: str) -> list[str]:
    found = self.imap(f'box.select("user.{mailbox}", True)\n'
                      'for part in box.fetch("1:*", "(BODY[HEADER])")[1]:\n'
                      '  print(part[1].decode() if isinstance(part, tuple) else "")\n')
    self.last_headers = found
    return [line.split(': ', 1)[1] for line in found.splitlines() if line.startswith('Subject: ')]

  def imap(self, text: str) -> str:
    return self.python('import imaplib\nbox = imaplib.IMAP4("127.0.0.1")\n'
                       f'box.login("cyrus", "secret")\n{text}')

  # --- Both

  def python(self, text: str, *words) -> str:
    """The host's Python, in the network of this system."""
    done = subprocess.run(
        ['nsenter', '-t', self.first, '-n', '/usr/bin/python3', '-c', text, *words], text=True,
        timeout=LIMIT, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
      raise Failed(f'{text}\n{done.stdout}')
    return done.stdout

  def wait_for(self, condition):
    end = time.monotonic() + LIMIT
    while not condition():
      if time.monotonic() > end:
        raise Failed('waited without success')
      time.sleep(0.2)

  def facts(self, name: str) -> str:
    """Owner, group and mode."""
    return self.run('stat', '-c', '%U:%G %a', name).strip()
