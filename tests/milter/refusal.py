"""Memory that is refused to a milter when a test wants it: the test's end of no_memory.c.

What it is: NoMemory compiles the library once for a folder, and shares a few numbers with it.
What it does not know: what the milter does about it.
Called by: refused_memory.py; the end-to-end tests of `failure`.
"""

import mmap
import struct
import subprocess
from contextlib import contextmanager
from pathlib import Path

# struct Control
ONE_IN, NEW_ONE_IN, COUNTDOWN, NEW_COUNTDOWN, REFUSED = range(5)
SIZE = 20


class NoMemory:
  def __init__(self, folder: Path):
    self.library = folder / 'no_memory.so'
    if not self.library.exists():
      subprocess.run(['cc', '-shared', '-fPIC', '-O1', '-Wall', '-fno-builtin', '-o', self.library,
                      Path(__file__).with_name('no_memory.c')], check=True, timeout=60)
    self.file = folder / 'no_memory.control'
    self.file.write_bytes(bytes(SIZE))
    self.file.chmod(0o666)
    with self.file.open('r+b') as file:
      self.shared = mmap.mmap(file.fileno(), SIZE)

  @property
  def environment(self) -> dict[str, str]:
    return {'LD_PRELOAD': str(self.library), 'NO_MEMORY': str(self.file)}

  def _set(self, number: int, value: int):
    struct.pack_into('=I', self.shared, 4 * number, value)

  def _get(self, number: int) -> int:
    return struct.unpack_from('=I', self.shared, 4 * number)[0]

  @property
  def refused(self) -> int:
    """How many requests were, so far."""
    return self._get(REFUSED)

  @contextmanager
  def one_in(self, new: int = 0, everybody: int = 0):
    """One request in this many is refused, of C++ or of all; 1: every one."""
    self._set(NEW_ONE_IN, new)
    self._set(ONE_IN, everybody)
    try:
      yield
    finally:
      self._set(NEW_ONE_IN, 0)
      self._set(ONE_IN, 0)

  def refuse(self, number: int, whose: int = NEW_COUNTDOWN):
    """This request from now on, counted from 1, and no other."""
    self._set(whose, number)

  def is_due(self) -> bool:
    """Whether that request has not come yet."""
    return self._get(COUNTDOWN) + self._get(NEW_COUNTDOWN) > 0

  def never_mind(self):
    self._set(COUNTDOWN, 0)
    self._set(NEW_COUNTDOWN, 0)
