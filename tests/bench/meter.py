"""What a program uses: CPU and memory of a process and of everything below it.

What it is: Meter(pid); cpu() grows by what was used since, peak() is the most memory since reset().
Failure: of a process that has ended, what its parent learned from wait(2) counts.
"""

import os
import time
from pathlib import Path

from fixtures.process import descendants

TICK = 1 / os.sysconf('SC_CLK_TCK')
RESET_PEAK = '5'  # proc(5), clear_refs


def process_clock(pid: int) -> int:
  """The clock id of clock_getcpuclockid(3): all threads, those that have ended too, in nanoseconds
  where /proc/PID/stat has ticks of 10 ms."""
  return (~pid << 3) | 2


class Meter:
  def __init__(self, pid: int):
    self.pid = pid

  def pids(self) -> list[int]:
    return [self.pid, *descendants(self.pid)]

  def cpu(self) -> float:
    """Seconds, user and system."""
    used = 0.0
    for pid in self.pids():
      try:
        of_children = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[13:15]
        used += time.clock_gettime(process_clock(pid)) + sum(map(int, of_children)) * TICK
      except OSError:
        pass
    return used

  def reset(self):
    for pid in self.pids():
      try:
        Path(f'/proc/{pid}/clear_refs').write_text(RESET_PEAK)
      except OSError:
        pass

  def peak(self) -> int:
    """Bytes: VmHWM, summed over the processes."""
    return sum(status_bytes(pid, 'VmHWM') for pid in self.pids())


def status_bytes(pid: int, name: str) -> int:
  try:
    status = Path(f'/proc/{pid}/status').read_text()
  except OSError:
    return 0
  return int(status.partition(f'{name}:')[2].split()[0]) * 1024


def connections_to(port: int) -> int:
  """How many of this host's TCP connections to this port are established now."""
  wanted = f':{port:04X}'
  found = 0
  for line in Path('/proc/net/tcp').read_text().splitlines()[1:]:
    words = line.split()
    found += words[2].endswith(wanted) and words[3] == '01'
  return found
