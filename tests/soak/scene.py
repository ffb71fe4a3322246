"""A daemon, its stores, its clients, and what is done to them.

What it is: Scene, all of it in one folder; FAULTS, each by its name: a function of the scene and of a
  random generator, after which everything works again; `pause` passes the time of a fault.
What it does not know: when a fault happens, what is right.
Called by: soak.py. It must be the reaper of its processes (fixtures.process.become_reaper()).
Failure: AssertionError.
"""

import contextlib
import os
import re
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from fixtures.process import send_signal, suspend, wait_until
from fixtures.scratch import free_port
from fixtures.serve import Serve

from . import mail
from .clients import Clients
from .log_tail import LogTail
from .store import SoakStore

TIMEOUT = 1.0  # of the daemon at every stage: a store that stalls is given up in a run's time
SETTINGS = 'dial-backoff = 50ms\ndial-backoff-limit = 200ms\ndrain-timeout = 20s\n' + ''.join(
    f'{stage}-timeout = {TIMEOUT:g}s\n' for stage in (
        'connect', 'lhlo', 'mail', 'rcpt', 'data-init', 'data-xfer', 'data-done', 'rset'))
CHANGES = ('', 'connections = 5\n', 'pipelining = no\n', 'recipient-limit = 1\n',
           'mailbox-limit = 3\n', 'connection-uses = 7\n', 'idle-timeout = 1s\n')
LOG_SIZE = 10 << 20  # a longer one is rotated


class Scene:
  def __init__(self, folder: Path, program: Path, seed: int, messages: int, rate: float):
    self.records = folder / 'records'
    self.records.mkdir()
    self.spool = folder / 'spool'
    self.spool.mkdir()
    self.socket, self.port = folder / 'lmtp', free_port()
    self.stores = [SoakStore(folder / f'store{number}', self.records / f'store{number}', seed)
                   for number in range(mail.STORES)]
    self.routes = folder / 'routes'
    self.routes.write_text(''.join(
        f'@{domain} {", ".join(self.stores[store].address for store in stores)}\n'
        for domain, stores in mail.DOMAINS.items()))
    self.serve = Serve(folder / 'serve', program=program)
    self.serve.write(self.configuration())
    self.clients = Clients([f'unix:{self.socket}', f'inet:127.0.0.1:{self.port}'], self.records,
                           seed, messages, rate)
    self.tail = LogTail(self.serve.log, self.records / 'announced')
    self.kills = (self.records / 'kills').open('w')
    self.pause: Callable[[float], None] = time.sleep

  def configuration(self, change: str = '') -> str:
    return (f'{SETTINGS}{change}destination = {self.stores[0].address}\n'
            f'spool-dir = {self.spool}\nroute-file = {self.routes}\n'
            f'[listener.unix]\naddress = unix:{self.socket}\n'
            f'[listener.tcp]\naddress = inet:127.0.0.1:{self.port}\n')

  def start(self):
    for store in self.stores:
      store.start()
    self.serve.start()
    self.tail.follow()
    self.clients.start()

  def end(self):
    """The records are complete then."""
    self.clients.stop()
    self.clients.finish()
    if self.serve.alive():
      self.serve.terminate()
      self.serve.wait()
    wait_until(self.former_have_ended, 'the former processes have ended')
    self.tail.close()
    self.kills.close()
    for store in self.stores:
      store.stop()

  def former_have_ended(self) -> bool:
    return all(former.child.poll() is not None for former in self.serve.former)

  def look(self):
    """From time to time between two faults: what the log says, in bounded space."""
    self.tail.read()
    if self.former_have_ended():
      self.serve.former.clear()
      self.tail.forget_former()
    if self.tail.size() > LOG_SIZE:
      self.reload()

  def memory(self) -> int:
    """Resident, of the daemon, in kB; 0: it has just died."""
    with contextlib.suppress(OSError, AttributeError):
      status = Path(f'/proc/{self.serve.pid}/status').read_text()
      if found := re.search(r'VmRSS:\s*(\d+)', status):
        return int(found[1])
    return 0

  def reload(self):
    """With a new file for the log, as logrotate does."""
    self.move_log()
    self.serve.log.touch()
    self.reopen_log()

  def move_log(self):
    self.serve.log.rename(self.serve.log.with_suffix('.old'))

  def reopen_log(self, drain=lambda: None):
    """The file that is at its place now. drain(): what the daemon has to write before that. The line
    event=reloaded may be among those that found no room."""
    reloads = self.serve.status()['reloads']
    self.serve.hang_up()

    def reloaded() -> bool:
      drain()
      return self.serve.status()['reloads'] > reloads and self.serve.log.stat().st_size > 0
    wait_until(reloaded, 'it has reloaded')
    drain()
    self.tail.follow()

  def log_elsewhere(self):
    """To what is no file, and at the place of the log."""
    reloads = self.serve.status()['reloads']
    self.serve.hang_up()
    wait_until(lambda: self.serve.status()['reloads'] > reloads, 'it has reloaded')


def kill_daemon(scene: Scene, _: Random):
  begin = time.monotonic()
  scene.serve.kill()
  scene.kills.write(f'{begin:.3f} {time.monotonic():.3f}\n')
  scene.serve.start()


def restart_daemon(scene: Scene, _: Random):
  scene.serve.terminate()
  status = scene.serve.wait()
  assert status == 0, f'the daemon ended with {status}'
  scene.serve.start()


def stop_daemon(scene: Scene, random: Random):
  suspend(scene.serve.pid)
  scene.pause(random.uniform(0.2, 1.5))
  send_signal(scene.serve.pid, signal.SIGCONT)


def reload(scene: Scene, random: Random):
  scene.serve.write(scene.configuration(random.choice(CHANGES)))
  scene.reload()


def upgrade(scene: Scene, _: Random):
  scene.serve.upgrade()


def kill_store(scene: Scene, random: Random):
  store = random.choice(scene.stores)
  store.kill()
  scene.pause(random.uniform(0.05, 1))
  store.start()


def slow_store(scene: Scene, random: Random):
  store = random.choice(scene.stores)
  store.slow(True)
  scene.pause(random.uniform(0.5, 2))
  store.slow(False)


def stall_store(scene: Scene, random: Random):
  store = random.choice(scene.stores)
  store.pause()
  scene.pause(TIMEOUT + random.uniform(0.2, 0.7))
  store.resume()


def fill_disk(scene: Scene, random: Random):
  """A file of the daemon cannot grow: neither its spool nor its log."""
  pid = scene.serve.pid
  before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
  resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
  scene.pause(random.uniform(0.3, 1.5))
  resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def fill_log(scene: Scene, random: Random):
  scene.move_log()
  scene.serve.log.symlink_to('/dev/full')
  scene.log_elsewhere()
  scene.pause(random.uniform(0.3, 1.5))
  scene.serve.log.unlink()
  scene.serve.log.touch()
  scene.reopen_log()


def clog_log(scene: Scene, random: Random):
  """It is a pipe that nobody reads; what is in it in the end is read then."""
  scene.move_log()
  os.mkfifo(scene.serve.log)
  reader = os.open(scene.serve.log, os.O_RDONLY | os.O_NONBLOCK)

  def drain():
    with contextlib.suppress(BlockingIOError):
      while data := os.read(reader, 65536):
        scene.tail.take(data)
  try:
    scene.log_elsewhere()
    scene.pause(random.uniform(0.3, 1.5))
    scene.serve.log.unlink()
    scene.serve.log.touch()
    scene.reopen_log(drain)
  finally:
    os.close(reader)


FAULTS = {'daemon killed': kill_daemon, 'daemon restarted': restart_daemon,
          'daemon stopped': stop_daemon, 'reload': reload, 'upgrade': upgrade,
          'store killed': kill_store, 'slow store': slow_store, 'store stalls': stall_store,
          'disk full': fill_disk, 'log full': fill_log, 'log not read': clog_log}
# Those after which another process serves.
REPLACE = ('daemon killed', 'daemon restarted', 'upgrade')
