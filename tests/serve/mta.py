"""A queue of mail as an MTA keeps it, and the connections that empty it.

What it is: messages that are each somebody's responsibility until every recipient is answered 2xx
  or 5xx; whatever is answered 4xx, or not at all, is brought again. It remembers every answer.
What it does not know: how the daemon is set, what is done to it and to the stores.
Called by: the runs of faults.
Threads and lifetimes: one thread for each connection, from start() to the last message's end or the
  deadline; the lists may be read meanwhile.
Failure: what a thread ends by is raised by finish().
"""

import threading
import time
from collections import Counter, deque

from lmtp import Client, Gone, Message


class Queued:
  """A message, and what became of it so far."""

  def __init__(self, message: Message):
    self.message = message
    self.left = list(message.recipients)  # nobody has taken the responsibility for these
    self.answers: list[tuple[str, str]] = []  # recipient, answer; in their order
    self.refused: list[tuple[str, str]] = []  # the same, 5xx
    self.unheard = 0  # times that its dot went out and an answer did not come
    self.tries = 0

  def take(self, recipients: list[str], answers: list[str]):
    for recipient, answer in zip(recipients, answers):  # a server that died answered some
      self.answers.append((recipient, answer))
      if answer.startswith('5'):
        self.refused.append((recipient, answer))
      if answer[:1] in ('2', '5'):
        self.left.remove(recipient)


class Queue:
  def __init__(self, address: str, messages: list[Message], connections: int = 20,
               rate: float = 0, seconds: float = 120):
    self.address = address
    self.messages = [Queued(message) for message in messages]
    self.rate = rate  # messages a second at most, the first time; 0: as it goes
    self.seconds = seconds
    self.waiting = deque(self.messages)
    self.later: list[tuple[float, Queued]] = []
    self.lock = threading.Lock()
    self.done = 0
    self.gone: Counter[str] = Counter()  # connections that ended, by stage
    self.told: Counter[str] = Counter()  # 4xx answers, by their words
    self.failures: list[BaseException] = []
    self.began = self.ended = 0.0
    self.threads = [threading.Thread(target=self._work, daemon=True) for _ in range(connections)]

  def start(self):
    self.began = time.monotonic()
    for thread in self.threads:
      thread.start()

  def running(self) -> bool:
    return any(thread.is_alive() for thread in self.threads)

  def share(self) -> float:
    """Of the messages that are done."""
    return self.done / len(self.messages)

  def wait_for(self, share: float):
    """Until so much is done, or no more will be."""
    while self.running() and self.share() < share:
      time.sleep(0.005)

  def finish(self):
    for thread in self.threads:
      thread.join()
    self.ended = time.monotonic()
    if self.failures:
      raise self.failures[0]

  def left(self) -> list[Queued]:
    return [queued for queued in self.messages if queued.left]

  def _over(self) -> bool:
    return self.done == len(self.messages) or time.monotonic() > self.began + self.seconds

  def _next(self) -> Queued | None:
    with self.lock:
      now = time.monotonic()
      if self.later and self.later[0][0] <= now:
        return self.later.pop(0)[1]
      started = len(self.messages) - len(self.waiting)
      if self.waiting and (not self.rate or started < (now - self.began) * self.rate):
        return self.waiting.popleft()
      return None

  def _put_back(self, queued: Queued):
    """Brought again after a while, the longer the oftener it was tried."""
    queued.tries += 1
    due = time.monotonic() + min(0.05 * queued.tries, 0.5)
    with self.lock:
      if queued.left:
        self.later.append((due, queued))
        self.later.sort(key=lambda entry: entry[0])
      else:
        self.done += 1

  def _work(self):
    client = None
    try:
      while not self._over():
        queued = self._next()
        if queued is None:
          time.sleep(0.002)
          continue
        client = self._bring(client, queued)
        self._put_back(queued)
    except BaseException as failure:  # told by finish()
      self.failures.append(failure)
    if client:
      client.close()

  def _bring(self, client: Client | None, queued: Queued) -> Client | None:
    """Over this connection, or a new one; the one that can be used again."""
    message = queued.message
    message.recipients = list(queued.left)
    try:
      if client is None:
        client = Client(self.address)
        if not client.greeting.startswith('2'):
          raise Gone('greeting', client.greeting)
      answers = client.bring(message)
    except Gone as gone:
      queued.unheard += gone.stage == 'answers'
      queued.take(message.recipients, gone.heard)
      with self.lock:
        self.gone[gone.stage] += 1
      if client:
        client.close()
      return None
    queued.take(message.recipients, answers)
    with self.lock:
      self.told.update(answer.partition(' TRACEID=')[0] for answer in answers
                       if answer.startswith('4'))
    if any(answer.startswith('421') for answer in answers):
      client.close()
      return None
    return client
