"""A queue of mail as an MTA keeps it, and the connections that empty it.

What it is: messages that stay in the queue until every recipient is answered 2xx or 5xx; a
  recipient that is answered 4xx, or not at all, is delivered again. It records every reply.
What it does not know: how the daemon is configured, what is done to it and to the stores.
Called by: scene.py.
Threads and lifetimes: one thread for each connection, from start() until the last message is done
  or the time is over; the lists may be read before that.
Failure: an exception in a thread is raised by finish().
"""

import threading
import time
from collections import Counter, deque

from fixtures.lmtp_client import Client, Gone, Message


class Queued:
  """A message, and what became of it so far."""

  def __init__(self, message: Message):
    self.message = message
    self.left = list(message.recipients)  # not yet delivered or refused
    self.replies: list[tuple[str, str]] = []  # recipient, reply; in their order
    self.refused: list[tuple[str, str]] = []  # the same, 5xx
    self.unanswered = 0  # times that it was sent completely and a reply did not come
    self.tries = 0

  def take(self, recipients: list[str], replies: list[str]):
    for recipient, reply in zip(recipients, replies):  # a server that died answered some
      self.replies.append((recipient, reply))
      if reply.startswith('5'):
        self.refused.append((recipient, reply))
      if reply[:1] in ('2', '5'):
        self.left.remove(recipient)


class Queue:
  def __init__(self, address: str, messages: list[Message], connections: int, rate: float,
               seconds: float):
    self.address = address
    self.messages = [Queued(message) for message in messages]
    self.rate = rate  # messages a second at most, the first time; 0: no limit
    self.seconds = seconds
    self.waiting = deque(self.messages)
    self.later: list[tuple[float, Queued]] = []
    self.lock = threading.Lock()
    self.done = 0
    self.ends: Counter[str] = Counter()  # connections that ended, by stage
    self.deferrals: Counter[str] = Counter()  # 4xx replies, by their texts
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
    """Until this share is done, or the queue has ended."""
    self.wait_until(lambda: self.share() >= share, 0.005)

  def wait_until(self, condition, pause: float = 0.05):
    """Until condition(), or the queue has ended."""
    while self.running() and not condition():
      time.sleep(pause)

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
    """Delivered again after a while, which is longer after each attempt."""
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
        client = self._deliver(client, queued)
        self._put_back(queued)
    except BaseException as failure:  # raised by finish()
      self.failures.append(failure)
    if client:
      client.close()

  def _deliver(self, client: Client | None, queued: Queued) -> Client | None:
    """Over this connection, or a new one; returns the one that can be used again."""
    message = queued.message
    message.recipients = list(queued.left)
    try:
      if client is None:
        client = Client(self.address)
        if not client.greeting.startswith('2'):
          raise Gone('greeting', client.greeting)
      replies = client.deliver(message)
    except Gone as gone:
      queued.unanswered += gone.stage == 'replies'
      queued.take(message.recipients, gone.received)
      with self.lock:
        self.ends[gone.stage] += 1
      if client:
        client.close()
      return None
    queued.take(message.recipients, replies)
    with self.lock:
      self.deferrals.update(reply.partition(' TRACEID=')[0] for reply in replies
                            if reply.startswith('4'))
    if any(reply.startswith('421') for reply in replies):
      client.close()
      return None
    return client
