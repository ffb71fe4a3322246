"""The clean system of system.py, booted by systemd: Sendmail, Cyrus and lmtpq are its services.

What it is: systemd-nspawn inside the namespaces of a System, in a separate cgroup. Files are
  prepared before the boot; afterwards commands run in the container.
What it does not know: limits of memory and tasks, as its cgroups have no controllers.
Lifetimes: the container ends with the first process of the namespaces, also when the tests are
  killed.
Needs root and systemd-nspawn.
"""

import os
import subprocess
import time
from pathlib import Path

from fixtures.process import descendants

from .system import BOOTS, HOST, LIMIT, Failed, System

# cgroup v2, also where the host has v1 beside it: systemd of Debian 13 asks for it.
NSPAWN = ['env', 'SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1', 'systemd-nspawn', '--quiet', '--register=no',
          '--keep-unit', '--private-network', '--console=pipe', '--resolv-conf=off',
          '--timezone=off', f'--hostname={HOST}', '--boot']
CGROUPS = [Path('/sys/fs/cgroup/systemd'), Path('/sys/fs/cgroup/unified'), Path('/sys/fs/cgroup')]
FILES = {'/etc/hostname': f'{HOST}\n',
         '/etc/systemd/journald.conf.d/tests.conf':
             '[Journal]\nStorage=persistent\nRateLimitIntervalSec=0\nSyncIntervalSec=1s\n'}


class Booted(System):
  def __init__(self, base: Path, name: str):
    super().__init__(base, name)
    self.container: subprocess.Popen | None = None
    self.begin = ''  # a cursor of the journal
    self.cgroups = [folder / f'{self.scratch.path.name}' for folder in CGROUPS
                    if (folder / 'cgroup.procs').exists()]
    self.holder_first = self.first
    try:
      self.run('apt-get', 'install', '-y', '-qq', *BOOTS)
      self.path('/usr/sbin/policy-rc.d').unlink()
      for file, text in FILES.items():
        self.path(file).parent.mkdir(exist_ok=True)
        self.path(file).write_text(text)
      self.run('systemctl', 'mask', '-q', 'console-getty.service')
      self.boot()
    except BaseException:
      self.remove()
      raise

  def boot(self):
    """Returns when no unit is being started any more."""
    for folder in self.cgroups:
      folder.mkdir(exist_ok=True)
    joined = ''.join(f'echo 0 >{folder}/cgroup.procs; ' for folder in self.cgroups)
    root = self.scratch.path / 'root'
    # What nspawn leaves in /run is of these namespaces. It mounts its own proc.
    start = f'{joined} mount -t tmpfs run /run; umount -q {root}/proc || true; exec "$@"'
    with (self.scratch.path / 'console').open('ab') as console:
      self.container = subprocess.Popen(
          ['nsenter', '-t', self.holder_first, '-m', '-p', '-u', '-i', 'sh', '-ec', start, 'sh',
           *NSPAWN, '--machine=lmtpq', '-D', root],
          stdin=subprocess.DEVNULL, stdout=console, stderr=console)
    self.wait_for(self.find_leader)
    self.wait_for(lambda: self.runs() and self.path('/run/systemd/private').exists())
    self.wait_for(lambda: self.runs() and self.state() in ('running', 'degraded'))

  def runs(self) -> bool:
    if self.container.poll() is not None:
      raise Failed(f'systemd-nspawn ended with status {self.container.returncode}\n'
                   + (self.scratch.path / 'console').read_text(errors='replace')[-4000:])
    return True

  def find_leader(self) -> bool:
    self.runs()
    for pid in descendants(self.container.pid):
      try:
        status = Path(f'/proc/{pid}/status').read_text()
      except OSError:
        continue  # it has ended
      inner = next(line for line in status.splitlines() if line.startswith('NSpid:')).split()[1:]
      if len(inner) > 2 and inner[-1] == '1':
        self.first, self.top = str(pid), f'/proc/{pid}/root'
        self.enter = ['nsenter', '-t', self.first, '-a', '--']
        return True
    return False

  def state(self) -> str:
    return self.try_run('systemctl', 'is-system-running').stdout.strip()

  def power_off(self):
    self.try_run('systemctl', 'poweroff')
    self.container.wait(LIMIT)

  def remove(self):
    super().remove()
    if self.container:
      self.container.wait(LIMIT)
    for folder in self.cgroups:
      remove_cgroup(folder)

  # --- The log is the journal.

  def take_log(self):
    pass

  def leave_log(self):
    pass

  @property
  def lines(self) -> list[str]:
    """Of the services, since from_now_on()."""
    since = ['--after-cursor', self.begin] if self.begin else []
    return self.run('journalctl', '-q', '--no-pager', *since).splitlines()

  def from_now_on(self) -> str:
    """The place in the log, for `begin` later."""
    said = self.run('journalctl', '-q', '--no-pager', '-n', '1', '--show-cursor')
    self.begin = said.rpartition('-- cursor: ')[2].strip()
    return self.begin

  # --- Services

  def property(self, unit: str, name: str) -> str:
    return self.run('systemctl', 'show', '-P', name, unit).strip()

  def pid(self, unit: str) -> int:
    """As the services see it; 0 when it does not run."""
    return int(self.property(unit, 'MainPID'))

  def is_active(self, unit: str) -> bool:
    return self.property(unit, 'ActiveState') == 'active'

  def start_sendmail(self):
    self.run('systemctl', 'restart', 'sendmail')  # with the present sendmail.cf

  def stop_sendmail(self):
    self.run('systemctl', 'stop', 'sendmail')

  def start_milter(self):
    self.run('systemctl', 'enable', '-q', '--now', 'lmtpq-milter')

  def start_cyrus(self):
    self.run('systemctl', 'start', 'cyrus-imapd')
    self.wait_for_cyrus()

  def stop_cyrus(self):
    self.run('systemctl', 'stop', 'cyrus-imapd')


def remove_cgroup(folder: Path):
  """It is empty as soon as the kernel has forgotten the last process."""
  end = time.monotonic() + LIMIT
  for inner, _, _ in os.walk(folder, topdown=False):
    while True:
      try:
        os.rmdir(inner)
        break
      except OSError:
        if time.monotonic() > end:
          raise
        time.sleep(0.1)
