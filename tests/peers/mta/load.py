"""Many messages over many connections, every answer compared with the model's.

What it is: run() shares connections out to processes; each has a message under way on all of its
  connections at once, and asks for the answers in turn.
What it does not know: who started the milter, and what else is done to it during the load.
Called by: run; tests/milter/test_parallel.py and memory.
Failure: Deviation for the first answer that is right under none of the versions; its text says what
  is wrong under each.
"""

import os
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from . import mail
from .model import Version
from .session import Answer, Message, Session
from .wire import Deviation


@dataclass(frozen=True)
class Load:
  socket: str
  versions: tuple[Version, ...]
  connections: int = 10
  messages: int = 1000  # over all of them
  first: int = 0  # number of the first message
  reconnects: int = 0  # over all of them
  seconds: float = 0  # at least this long, with the same messages again
  timeout: float = 60

  def part(self, index: int, parts: int) -> 'Load':
    """What one process has to do."""
    def share(whole):
      return whole // parts + (index < whole % parts)
    return Load(self.socket, self.versions, share(self.connections), share(self.messages),
                self.first + index * self.messages, share(self.reconnects), self.seconds,
                self.timeout)


def judge(load: Load, client: str, message: Message, answer: Answer) -> str:
  """The name of the version under which the answer is right."""
  reasons = []
  for version in load.versions:
    try:
      version.check(client, message, answer)
      return version.name
    except Deviation as deviation:
      reasons.append(f'{version.name}: {deviation}')
  raise Deviation(f'message {message.queue_id} of {client or "local"}: ' + '; '.join(reasons))


class Line:
  """One connection, and the SMTP client at its other end."""

  def __init__(self, load: Load, number: int):
    self.load, self.number = load, number
    self.session = None
    self.dial()

  def dial(self):
    """The next client: after QUIT_NC on this connection, or on a new one."""
    self.number += 1
    self.address = mail.CLIENTS[self.number % len(mail.CLIENTS)]
    if self.session and self.number % 3 == 0:
      self.session.next_client(self.address)
      return
    if self.session:
      self.session.close(quit_first=self.number % 3 == 1)
    self.session = Session(self.load.socket, timeout=self.load.timeout)
    self.session.client(self.address)

  def begin(self, number: int):
    """Some transactions are given up on the way, as after RSET."""
    self.message = mail.message(number)
    if number % 17 == 0:
      given_up = list(self.session.commands(mail.message(number + 1)))
      self.session.send(given_up[:1 + number % (len(given_up) - 1)])
      self.session.abort()
    self.session.begin(self.message)

  def finish(self) -> str:
    return judge(self.load, self.address, self.message, self.session.finish())


def work(load: Load) -> Counter:
  """One process's part. Counts messages by the version that they were answered under."""
  assert load.reconnects <= load.messages  # QUIT_NC comes after a message only
  seen = Counter()
  lines = [Line(load, number) for number in range(load.connections)]
  end = time.monotonic() + load.seconds
  done = dialled = 0
  while lines and (done < load.messages or time.monotonic() < end):
    round_of = lines if load.seconds else lines[:load.messages - done]
    for number, line in enumerate(round_of):
      line.begin(load.first + done + number)
    for line in round_of:
      seen[line.finish()] += 1
    done += len(round_of)
    while dialled * load.messages < load.reconnects * min(done, load.messages):
      lines[dialled % len(lines)].dial()
      dialled += 1
  for line in lines:
    line.session.close()
  return seen


def run(load: Load) -> Counter:
  parts = max(1, min(os.cpu_count() or 1, load.connections, load.messages))
  seen = Counter()
  with ProcessPoolExecutor(parts) as pool:
    for part in pool.map(work, [load.part(index, parts) for index in range(parts)]):
      seen += part
  return seen
