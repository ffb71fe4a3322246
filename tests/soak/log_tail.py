"""The daemon's log as it is written, also when it is moved away, and what it says of duplicates.

What it is: LogTail.read() takes what was written since; follow() goes on with another file, while a
  process that drains may write to the former ones. A line that says that a message may be a duplicate
  becomes a line `D number to` (a recipient was deferred) or `T number` (a client did not get its
  replies) of the file `announced`.
Called by: scene.py, in one thread.
"""

import os
import re
from pathlib import Path
from typing import BinaryIO

QUEUE_ID = re.compile(rb' qid=q(\d+)')
RECIPIENT = re.compile(rb' to=<?([^ >]+)')


class LogTail:
  def __init__(self, log: Path, announced: Path):
    self.log = log
    self.announced = announced.open('w')
    self.files: list[tuple[BinaryIO, list[bytes]]] = []  # each with a line that has no end yet
    self.part = [b'']  # the same, of what came another way

  def follow(self):
    """The file that is at the place of the log now."""
    self.files.append((self.log.open('rb'), self.part))
    self.part = [b'']

  def take(self, data: bytes):
    """What came another way, before what is read next."""
    self._lines(data, self.part)

  def read(self):
    for file, part in self.files:
      while data := file.read(1 << 20):
        self._lines(data, part)

  def size(self) -> int:
    return os.fstat(self.files[-1][0].fileno()).st_size

  def forget_former(self):
    """No process writes to them any more."""
    self.read()
    for file, _ in self.files[:-1]:
      file.close()
    del self.files[:-1]

  def close(self):
    self.read()
    self.announced.close()

  def _lines(self, data: bytes, part: list[bytes]):
    whole, end, part[0] = (part[0] + data).rpartition(b'\n')
    if b'possible duplicate' not in whole:
      return
    for line in whole.split(b'\n'):
      number = QUEUE_ID.search(line)
      if b'possible duplicate' not in line or not number:
        continue
      if b'event=reply-lost' in line:
        self.announced.write(f'T {int(number[1])}\n')
      elif to := RECIPIENT.search(line):
        self.announced.write(f'D {int(number[1])} {to[1].decode()}\n')
