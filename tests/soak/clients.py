"""The clients of a soak, which retry as an MTA does, and keep what became of each message.

What it is: Clients, processes of several threads each; each message is sent until every recipient is
  answered 2xx or 5xx. A quarter of the threads keep their connections. A line of a process's file is
  `S number digest` before a message is sent first, and then for each recipient `A number to`
  (answered 2xx), `P number to` (the reply said that it may be a duplicate) or `R number to reply`
  (5xx), and `L number begin end` of an attempt whose reply did not come, with its time.
What it does not know: what is done to the daemon.
Called by: scene.py.
Threads and lifetimes: start() to the end of finish(); stop() lets the messages in progress end.
"""

import heapq
import multiprocessing
import signal
import threading
import time
from pathlib import Path
from random import Random

from fixtures.lmtp_client import Client, Gone, Message
from fixtures.process import die_with_parent

from . import mail

PROCESSES = 2
THREADS = 12  # of each process
WAITING = 400  # messages that wait for a retry, in each process; more stop those that are new
NOBODY_THERE = 0.05  # seconds, after which a thread connects again
HANGS_UP = 0.001  # share of the attempts after which a client does not wait for the reply
AFTER_HANG_UP = 5  # seconds in which the daemon may still deliver such a message


class Clients:
  def __init__(self, addresses: list[str], folder: Path, seed: int, messages: int, rate: float):
    """rate: new messages a second at most; 0: no limit."""
    self.addresses = addresses
    self.folder = folder
    self.seed, self.messages, self.rate = seed, messages, rate
    context = multiprocessing.get_context('fork')
    self.done = context.RawArray('Q', PROCESSES)
    self.deferrals = context.RawArray('Q', PROCESSES)
    self.losses = context.RawArray('Q', PROCESSES)
    self.over = context.Event()
    self.processes = [context.Process(target=self._run, args=(number,), daemon=True)
                      for number in range(PROCESSES)]

  def start(self):
    for process in self.processes:
      process.start()

  def stop(self):
    self.over.set()

  def running(self) -> bool:
    return any(process.is_alive() for process in self.processes)

  def finish(self):
    for process in self.processes:
      process.join()
      if process.exitcode:
        raise AssertionError(f'a process of clients ended with {process.exitcode}')

  def _run(self, number: int):
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # stop() ends them
    with (self.folder / f'client{number}').open('w') as lines:
      work = Work(self, number, lines)
      threads = [threading.Thread(target=work.run, args=(thread,)) for thread in range(THREADS)]
      for thread in threads:
        thread.start()
      for thread in threads:
        thread.join()
    if work.failure:
      raise work.failure


class Work:
  """What the threads of a process share: messages that are new, and that wait for a retry."""

  def __init__(self, clients: Clients, number: int, lines):
    self.clients, self.number, self.lines = clients, number, lines
    self.new = iter(range(number, clients.messages, PROCESSES))
    self.left = len(range(number, clients.messages, PROCESSES))
    self.later: list[tuple[float, int, int, list[str]]] = []  # due, number, attempts, recipients
    self.lock = threading.Lock()
    self.began = time.monotonic()
    self.failure: BaseException | None = None
    self.started = 0

  def run(self, thread: int):
    random = Random(f'{self.clients.seed} {self.number} {thread}')
    sender = Sender(self, random, self.clients.addresses[thread % 2], stays=thread % 4 < 1)
    try:
      while self.left and not self.failure and not self.clients.over.is_set():
        taken = self._next()
        if taken is None:
          time.sleep(0.01)
          continue
        number, attempts, recipients = taken
        left = sender.send(number, attempts, recipients)
        with self.lock:
          if left:
            due = time.monotonic() + min(0.1 * (attempts + 1), 1) * (0.5 + random.random())
            heapq.heappush(self.later, (due, number, attempts + 1, left))
          else:
            self.left -= 1
            self.clients.done[self.number] += 1
    except BaseException as failure:  # told by the process
      self.failure = failure
    sender.close()

  def _next(self) -> tuple[int, int, list[str]] | None:
    with self.lock:
      now = time.monotonic()
      if self.later and self.later[0][0] <= now:
        return heapq.heappop(self.later)[1:]
      rate = self.clients.rate / PROCESSES
      if len(self.later) >= WAITING or rate and self.started > (now - self.began) * rate:
        return None
      number = next(self.new, None)
      if number is None:
        return None
      self.started += 1
    return number, 0, mail.recipients_of(self.clients.seed, number)

  def note(self, line: str):
    with self.lock:  # a text file is not safe for threads
      self.lines.write(f'{line}\n')

  def count(self, counter):
    with self.lock:
      counter[self.number] += 1


class Sender:
  """A thread's connection, and one attempt after another."""

  def __init__(self, work: Work, random: Random, address: str, stays: bool):
    self.work, self.random, self.address, self.stays = work, random, address, stays
    self.client: Client | None = None

  def close(self):
    if self.client:
      self.client.close()
      self.client = None

  def send(self, number: int, attempts: int, recipients: list[str]) -> list[str]:
    """The recipients that are left."""
    message = mail.message(self.work.clients.seed, number)
    if not attempts:
      self.work.note(f'S {number} {mail.digest(message.text())}')
    message.recipients = recipients
    begin = time.monotonic()
    try:
      if self.random.random() < HANGS_UP:
        self._hang_up(message)
        self.work.note(f'L {number} {begin:.3f} {time.monotonic() + AFTER_HANG_UP:.3f}')
        return recipients
      replies = self._connected().deliver(message)
    except Gone as gone:
      self.close()
      self.work.count(self.work.clients.losses)
      if gone.stage == 'greeting':
        time.sleep(NOBODY_THERE)
      elif gone.stage in ('data', 'replies'):
        self.work.note(f'L {number} {begin:.3f} {time.monotonic():.3f}')
      replies = gone.received
    if not self.stays or any(reply.startswith('421') for reply in replies):
      self.close()
    answered = [to for to, reply in zip(recipients, replies) if self._answered(number, to, reply)]
    return [to for to in recipients if to not in answered]

  def _connected(self) -> Client:
    if self.client is None:
      self.client = Client(self.address)
      if not self.client.greeting.startswith('2'):
        raise Gone('greeting', self.client.greeting)
    return self.client

  def _hang_up(self, message: Message):
    client = self._connected()
    if client.envelope(message)[-1].startswith('354'):
      client.send(message.text().replace(b'\r\n.', b'\r\n..') + b'.\r\n')
    self.close()

  def _answered(self, number: int, to: str, reply: str) -> bool:
    if reply.startswith('2'):
      self.work.note(f'A {number} {to}')
    elif reply.startswith('5'):
      self.work.note(f'R {number} {to} {reply}')
    else:
      self.work.count(self.work.clients.deferrals)
      if 'possible duplicate' in reply:
        self.work.note(f'P {number} {to}')
    return reply[:1] in ('2', '5')
