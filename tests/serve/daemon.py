"""A daemon with its store and its clients, as the tests of this suite use it.

What it is: Daemon, the deliveries to it that run in the background, and assertions on replies.
What it does not know: what a test expects.
Called by: the tests; the fixtures `daemon` and `new_daemon` of conftest.py make and end it.
Failure: AssertionError; Gone when a client's connection ends.
"""

import shutil
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fixtures.lmtp_client import Client, Gone, Message
from fixtures.process import wait_until
from fixtures.serve import Serve

from .fake_store import FakeStore

FRONT = '[listener.front]\naddress = unix:{folder}/front\n'


class Daemon:
  """settings precede the listeners; {folder} and {store} are replaced in all of them."""

  def __init__(self, folder: Path, program: Path, settings: str = '', listeners: str = FRONT,
               start: bool = True):
    self.folder = folder
    self.store = FakeStore(folder / 'store')
    self.stores = [self.store]
    self.process = Serve(folder / 'serve', program=program)
    self.settings, self.listeners = settings, listeners
    self.configure(settings, listeners)
    if start:
      self.process.start()

  def start_with(self, listeners: list[socket.socket], names: str):
    """As systemd does: descriptors from 3 on, and their names. bash: other shells know descriptors
    up to 9."""
    moves = ' '.join(f'{number}<&{listener.fileno()}' for number, listener in enumerate(listeners, 3))
    self.process.before = ['bash', '-c', f'LISTEN_FDS={len(listeners)} LISTEN_FDNAMES={names} '
                           f'LISTEN_PID=$$ exec "$@" {moves}', 'bash']
    self.process.pass_fds = tuple(listener.fileno() for listener in listeners)
    self.process.start()

  def copy_of_program(self) -> Path:
    """A copy of the programs, which the test may replace, in reach of all users."""
    place = self.folder / 'bin'
    place.mkdir(exist_ok=True)
    for path in self.process.program.parent.glob('lmtpq*'):
      if path.is_file():
        shutil.copy(path, place)
    return place / self.process.program.name

  def end(self):
    self.process.kill()
    for store in self.stores:
      store.stop()
    report = self.process.sanitizers()
    assert not report, report

  def another_store(self, name: str) -> FakeStore:
    self.stores.append(FakeStore(self.folder / name))
    return self.stores[-1]

  def filled(self, text: str) -> str:
    return text.replace('{folder}', str(self.folder)).replace('{store}', self.store.address)

  def configure(self, settings: str, listeners: str | None = None):
    """Writes the file; it takes effect at the next start or SIGHUP."""
    listeners = self.listeners if listeners is None else listeners
    self.process.write(self.filled(f'{settings}destination = {{store}}\n{listeners}'))

  def reload(self, settings: str, listeners: str | None = None, word: str = 'event=reloaded'):
    """With another file; returns when the log has the outcome."""
    logged = self.process.count(word)
    self.configure(settings, listeners)
    self.process.hang_up()
    wait_until(lambda: self.process.count(word) > logged, f'{word} in the log')

  def dial(self, name: str = 'front', **more) -> Client:
    return Client(f'unix:{self.folder}/{name}', **more)

  def deliver(self, *users: str, name: str = 'front', **parts) -> list[str]:
    """One message over a new connection."""
    with self.dial(name) as client:
      return client.deliver(message(*users, **parts))

  def deliver_at_once(self, *each: str) -> list[str]:
    """A message for each of these users, side by side; the replies in the same order."""
    with ThreadPoolExecutor(len(each)) as pool:
      return [replies[0] for replies in pool.map(self.deliver, each)]

  def in_background(self, *users: str) -> 'Delivery':
    return Delivery(self, users)

  def held(self, *users: str) -> 'Delivery':
    """A message that the store has completely and does not answer yet."""
    self.store.hold.clear()
    busy = self.store.all_busy()
    delivery = self.in_background(*(users or ('held',)))
    wait_until(lambda: self.store.all_busy() > busy, 'the store has the message')
    return delivery

  def status(self) -> dict:
    return self.process.status()

  def wait_for_waiting(self, for_connections: int = 0, for_mailboxes: int = 0):
    """Until this many deliveries wait."""
    def waiting() -> bool:
      status = self.status()
      return (sum(store['waiting'] for store in status['stores']),
              status['mailbox_waiters']) == (for_connections, for_mailboxes)
    wait_until(waiting, f'{for_connections} wait for a connection, {for_mailboxes} for a mailbox')

  def wait_for_log(self, words: str):
    wait_until(lambda: words in self.process.log_text(), f'{words} in the log')


class Delivery(threading.Thread):
  """One message over a new connection, in the background."""

  def __init__(self, daemon: Daemon, users):
    super().__init__(daemon=True)
    self.client = daemon.dial()
    self.message = message(*users)
    self.replies: list[str] = []
    self.start()

  def run(self):
    try:
      self.replies = self.client.deliver(self.message)
    except Gone as gone:
      self.replies = [str(gone)]

  def end(self) -> list[str]:
    self.join(60)
    self.client.close()
    return self.replies


def message(*users: str, **parts) -> Message:
  return Message([f'{user}@store.test' for user in users or ('alice',)], **parts)


def send(client: Client, *users: str):
  """A message to them, whose final replies the caller reads."""
  one = message(*users)
  replies = client.envelope(one)
  assert replies[-1].startswith('354'), replies
  client.send(one.text() + b'.\r\n')


def all_start(replies: list[str], with_this: str):
  odd = [reply for reply in replies if not reply.startswith(with_this)]
  assert replies and not odd, f'{with_this} expected of {len(replies)} replies: {odd[:3]}'


class Stopwatch:
  """How long something took. There is no upper limit: it would fail on a loaded machine. A test
  that must see that something does not wait makes the wait longer than any test may take."""

  def __init__(self):
    self.began = time.monotonic()

  def at_least(self, seconds: float, what: str):
    took = time.monotonic() - self.began
    assert took >= seconds, f'{what} took {took:.2f} s, less than {seconds}'
