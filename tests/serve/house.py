"""What each check of run has to itself: a folder, a daemon, the stores and clients that it wants.

What it is: the making of them, and their end.
What it does not know: what is right.
Called by: the checks, as `with House(...) as house`.
Failure: AssertionError from expect().
"""

import shutil
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lmtp import Client, Gone, Message
from peer import Peer
from fixtures.process import wait_until
from fixtures.serve import Serve

LMTPQ = Path()  # set by run
FRONT = '[listener.front]\naddress = unix:{folder}/front\n'


def expect(truth, what):
  if not truth:
    raise AssertionError(what)


class House:
  """settings go above the listeners; {folder} and {store} are replaced in all of them."""

  def __init__(self, settings: str = '', listeners: str = FRONT, start: bool = True):
    self.folder = Path(tempfile.mkdtemp(prefix='lmtpq-serve.'))
    self.store = Peer(self.folder / 'store')
    self.peers = [self.store]
    self.serve = Serve(self.folder / 'serve', program=LMTPQ)
    self.settings, self.listeners = settings, listeners
    self.configure(settings, listeners)
    if start:
      self.serve.start()

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self.serve.kill()
    for peer in self.peers:
      peer.stop()
    report = self.serve.sanitizers()
    shutil.rmtree(self.folder, ignore_errors=True)
    expect(not report, report)

  def peer(self, name: str) -> Peer:
    self.peers.append(Peer(self.folder / name))
    return self.peers[-1]

  def filled(self, text: str) -> str:
    return text.replace('{folder}', str(self.folder)).replace('{store}', self.store.address)

  def configure(self, settings: str, listeners: str | None = None):
    """The file; it counts at the next start or SIGHUP."""
    listeners = self.listeners if listeners is None else listeners
    self.serve.write(self.filled(f'{settings}destination = {{store}}\n{listeners}'))

  def reload(self, settings: str, listeners: str | None = None, word: str = 'event=reloaded'):
    """With another file; comes back when the log says so."""
    said = self.serve.count(word)
    self.configure(settings, listeners)
    self.serve.hang_up()
    wait_until(lambda: self.serve.count(word) > said, f'{word} in the log', 5)

  def dial(self, name: str = 'front', **more) -> Client:
    return Client(f'unix:{self.folder}/{name}', **more)

  def bring(self, *users: str, name: str = 'front', **parts) -> list[str]:
    """One message over a connection of its own."""
    with self.dial(name) as client:
      return client.bring(message(*users, **parts))

  def bring_at_once(self, *each: str) -> list[str]:
    """A message for each of these users, side by side; the answers in the same order."""
    with ThreadPoolExecutor(len(each)) as pool:
      return [answers[0] for answers in pool.map(self.bring, each)]

  def wait_for_log(self, words: str, seconds: float = 5):
    wait_until(lambda: words in self.serve.log_text(), f'{words} in the log', seconds)

  def held(self, *users: str) -> 'Held':
    """A message that the store has, dot and all, and does not answer yet."""
    self.store.hold.clear()
    waiting = sum(self.store.busy.values())
    held = Held(self, users or ('held',))
    wait_until(lambda: sum(self.store.busy.values()) > waiting, 'the store has the message', 5)
    return held


class Held(threading.Thread):
  def __init__(self, house: House, users):
    super().__init__(daemon=True)
    self.client = house.dial()
    self.message = message(*users)
    self.answers: list[str] = []
    self.start()

  def run(self):
    try:
      self.answers = self.client.bring(self.message)
    except Gone as gone:
      self.answers = [str(gone)]

  def end(self) -> list[str]:
    self.join(10)
    self.client.close()
    return self.answers


def message(*users: str, **parts) -> Message:
  return Message([f'{user}@store.test' for user in users or ('alice',)], **parts)


def all_start(answers: list[str], with_this: str):
  odd = [answer for answer in answers if not answer.startswith(with_this)]
  expect(answers and not odd, f'{with_this} expected of {len(answers)} answers: {odd[:3]}')


class Watch:
  """How long something took."""

  def __init__(self):
    self.began = time.monotonic()

  def within(self, least: float, most: float, what: str):
    took = time.monotonic() - self.began
    expect(least <= took <= most, f'{what} took {took:.2f} s, not {least} to {most}')
