"""A private milter for one test, class or script.

What it is: a configuration in a folder, the process, its socket, its log, what it said on stderr.
What it does not know: which rules; who asks it.
Called by: the suites of tests/milter, and memory.
Lifetimes: start() once; stop() ends the process.
Failure: Broken with what the milter said.
"""

import base64
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from fixtures.process import log_is_written

SECRET = bytes(range(32))
KEY_ID = 'test-key'
KEYS = {KEY_ID: SECRET}
KEY_LINE = f'{KEY_ID} {base64.b64encode(SECRET).decode()}\n'

CONFIG = """socket = unix:{folder}/socket
log = {folder}/milter.log
log-level = debug
"""


class Broken(AssertionError):
  pass


def write_keys(path: Path, text: str = KEY_LINE) -> Path:
  path.touch(mode=0o600)
  path.write_text(text)
  return path


class Milter:
  def __init__(self, binary: Path | str, folder: Path, config: Path | None = None, lines: str = ''):
    """`lines` are added to a usual configuration; without tag-keys they get some."""
    folder.mkdir(exist_ok=True)
    self.folder = folder
    self.binary = Path(binary).resolve()
    self.socket = folder / 'socket'
    self.config = config or folder / 'milter.conf'
    self.process: subprocess.Popen | None = None
    self.stopped = False  # by stop()
    if config is None:
      keys = '' if 'tag-keys' in lines else f'tag-keys = {write_keys(folder / "keys")}\n'
      self.config.write_text(CONFIG.format(folder=folder) + keys
                             + lines.replace('{folder}', str(folder)))

  def start(self, environment: dict[str, str] | None = None) -> 'Milter':
    with open(self.folder / 'stderr', 'wb') as errors:
      self.process = subprocess.Popen(
          [self.binary, '--config', self.config, '--socket', f'unix:{self.socket}',
           '--foreground'],
          stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
          env=os.environ | (environment or {}))
    end = time.monotonic() + 60
    while not self.listens():
      if self.process.poll() is not None or time.monotonic() > end:
        raise Broken(f'the milter does not start: {self.said()[-600:]}')
      time.sleep(0.005)
    return self

  def listens(self) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
      try:
        probe.connect(str(self.socket))
        return True
      except OSError:
        return False

  def alive(self) -> bool:
    return self.process is not None and self.process.poll() is None

  def hang_up(self):
    self.process.send_signal(signal.SIGHUP)

  def stop(self, seconds: float = 60) -> int:
    """The exit status; of a process that had to be killed, what Popen says."""
    self.stopped = True
    if self.alive():
      self.process.terminate()
    try:
      return self.process.wait(seconds)
    except subprocess.TimeoutExpired:
      self.process.kill()
      return self.process.wait()

  def farewell(self) -> str:
    """Stops it; what was wrong about its life, '' if nothing."""
    status = self.stop()
    errors = (self.folder / 'stderr').read_text(errors='replace')
    if errors:
      return f'it said on stderr: {errors}'
    return f'exit status {status}' if status else ''

  def said(self) -> str:
    """On stderr and in the log."""
    if self.process:
      log_is_written(self.process.pid)
    return ''.join(path.read_text(errors='replace')
                   for path in (self.folder / 'stderr', self.folder / 'milter.log')
                   if path.exists())

  def resident(self) -> int:
    """VmRSS in kB."""
    status = Path(f'/proc/{self.process.pid}/status').read_text()
    return int(status.partition('VmRSS:')[2].split()[0])
