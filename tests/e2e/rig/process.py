"""Processes that are started, waited for and ended by their pid, and every wait has a deadline.

What it is: a server process, the tree of processes below one, and wait_until().
Called by: every server of the rig; `run` and `demo` call become_reaper() first, and
  end_all_descendants() last.
Lifetimes: servers of mail fork twice, and so leave their parent. A reaper (prctl(2),
  PR_SET_CHILD_SUBREAPER) stays the ancestor of all of them: none can be left behind.
Failure: Deadline, with the words of what was waited for.
"""

import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


class Deadline(AssertionError):
  pass


def wait_until(condition, what: str, seconds: float = 15):
  """The first true value of condition()."""
  end = time.monotonic() + seconds
  while True:
    value = condition()
    if value:
      return value
    if time.monotonic() > end:
      raise Deadline(f'{what}: not so after {seconds:g} s')
    time.sleep(0.01)


def become_reaper():
  libc = ctypes.CDLL(None, use_errno=True)
  if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
    raise OSError(ctypes.get_errno(), 'prctl PR_SET_CHILD_SUBREAPER')


def parents() -> dict[int, int]:
  """pid -> parent, of every process that is not a zombie."""
  found = {}
  for stat in Path('/proc').glob('[0-9]*/stat'):
    try:
      # The name of the program stands in parentheses and may hold anything.
      state, parent = stat.read_text().rpartition(')')[2].split()[:2]
    except OSError:
      continue  # it has ended meanwhile
    if state != 'Z':
      found[int(stat.parent.name)] = int(parent)
  return found


def descendants(pid: int) -> list[int]:
  """Every living process below pid, nearest first."""
  table = parents()
  found, level = [], [pid]
  while level:
    level = [child for child, parent in table.items() if parent in level]
    found += level
  return found


def program_of(pid: int) -> str:
  """The path of the file that it runs; empty when it has ended."""
  try:
    return os.readlink(f'/proc/{pid}/exe')
  except OSError:
    return ''


def open_files(pid: int) -> list[str]:
  """What its descriptors are, as /proc tells it: paths, socket:[...], pipe:[...]."""
  found = []
  for link in Path(f'/proc/{pid}/fd').glob('*'):
    try:
      found.append(os.readlink(link))
    except OSError:
      pass  # closed meanwhile
  return found


def send_signal(pid: int, number: int):
  try:
    os.kill(pid, number)
  except ProcessLookupError:
    pass


def end_all_descendants():
  """SIGTERM, two seconds of grace, SIGKILL; reaps what it ended."""
  for number, grace in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 5.0)):
    end = time.monotonic() + grace
    for pid in descendants(os.getpid()):
      send_signal(pid, number)
    while descendants(os.getpid()) and time.monotonic() < end:
      time.sleep(0.01)
  try:
    while os.waitpid(-1, os.WNOHANG)[0]:
      pass
  except ChildProcessError:
    pass


class Server:
  """One long-running process; what it prints goes to a file."""

  def __init__(self, command: list, output: Path, env: dict | None = None,
               pass_fds: tuple[int, ...] = ()):
    self.output = output
    with output.open('ab') as sink:
      self.child = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                    stdout=sink, stderr=sink, env=env, start_new_session=True,
                                    pass_fds=pass_fds)
    self.pid = self.child.pid

  def wait_ready(self, ready, what: str, seconds: float = 15):
    def ready_or_dead():
      if self.child.poll() is not None:
        raise AssertionError(f'{what}: ended with status {self.child.returncode}: '
                             f'{self.output.read_text(errors="replace")[-500:]}')
      return ready()
    wait_until(ready_or_dead, what, seconds)

  def stop(self):
    """Politely, with everything below it."""
    self._end(signal.SIGTERM)

  def kill(self):
    """kill -9 of the server and of every process below it: no time to tidy up."""
    self._end(signal.SIGKILL)

  def _end(self, number: int):
    if self.child.poll() is not None:
      return
    below = descendants(self.pid)
    send_signal(self.pid, number)
    if number == signal.SIGKILL:
      for pid in below:
        send_signal(pid, number)
    try:
      self.child.wait(timeout=5)
    except subprocess.TimeoutExpired:
      self.child.kill()
      self.child.wait(timeout=5)
    # Those that did not follow their parent.
    end = time.monotonic() + 3
    while (left := set(below) & set(parents())) and time.monotonic() < end:
      time.sleep(0.01)
    for pid in left:
      send_signal(pid, signal.SIGKILL)


class HasServer:
  """What stops and kills its `server`, if it runs."""
  server: Server | None = None

  def stop(self):
    if self.server:
      self.server.stop()
      self.server = None

  def kill(self):
    if self.server:
      self.server.kill()
      self.server = None
