"""One fault run: stores, the daemon, a queue of mail, and the count at both ends.

What it is: what every run has, and the verdicts that hold for all of them: what was answered 2xx is
  filed, and what is filed twice was called a possible duplicate in the log.
What it does not know: what goes wrong (runs.py).
Called by: the runs, each with a Scene of its own in a folder of its own.
Failure: the text of a verdict; '' where all is well.
"""

import re
from collections import Counter
from pathlib import Path

from lmtp import Message
from mta import Queue
from fixtures.lmtp_store import LmtpStore
from fixtures.scratch import Scratch
from fixtures.serve import Serve

MAILBOXES = 40
CLIENTS = 20
# Times after which a test need not wait any longer, and pools that a fault is felt in.
SETTINGS = """connections = 10
dial-backoff = 50ms
dial-backoff-limit = 200ms
drain-timeout = 20s
"""


class Scene:
  def __init__(self, name: str, wanted, settings: str = '', stores: int = 1, by_tcp: bool = False):
    self.wanted = wanted  # the program's options
    self.scratch = Scratch(name)
    self.folder = self.scratch.path
    self.stores = [LmtpStore(self.scratch, f'store{number}') for number in range(stores)]
    self.socket = self.folder / 'lmtp'
    self.settings = settings
    self.serve = Serve(self.folder / 'serve', program=Path(wanted.lmtpq))
    for store in self.stores:
      # Slow enough that something is under way whenever something dies.
      store.options = ['--no-duplicate-suppression', '--delay-final', '4']
      store.add_mailboxes([f'u{number}' for number in range(MAILBOXES)])
      store.by_tcp = by_tcp
      store.start()
    self.serve.write(self.configuration())
    self.queue: Queue | None = None
    self.killed = False  # the daemon, at once: what it had in hand it could not log

  def configuration(self, further: str = '') -> str:
    stores = ', '.join(store.address for store in self.stores)
    return (f'{SETTINGS}{self.settings}destination = {stores}\n{further}'
            f'[listener.first]\naddress = unix:{self.socket}\n')

  def messages(self, body=lambda number: b'x' * 700 + b'\r\n') -> list[Message]:
    """Every tenth is for three mailboxes."""
    return [Message([f'u{(number + more) % MAILBOXES}@store.test'
                     for more in ((0, 7, 19) if number % 10 == 0 else (0,))], body(number))
            for number in range(self.wanted.messages)]

  def load(self, messages: list[Message] | None = None) -> Queue:
    """Starts to empty a queue of mail into the daemon."""
    rate = self.wanted.rate
    self.queue = Queue(f'unix:{self.socket}', messages or self.messages(), CLIENTS, rate,
                       self.wanted.seconds)
    self.queue.start()
    return self.queue

  def end(self):
    if self.serve.alive():
      self.serve.terminate()
      self.serve.wait(30)
    for store in self.stores:
      store.resume()
      store.stop()
    self.scratch.remove()

  # The other end.

  def filed(self) -> Counter[tuple[str, str]]:
    """How often each message, by its Message-ID, is in each mailbox, of all stores."""
    found: Counter[tuple[str, str]] = Counter()
    for store in self.stores:
      for path in store.mail.glob('*/new/*'):
        with path.open('rb') as file:
          identity = re.search(rb'^Message-ID: *(\S+)', file.read(4096), re.M | re.I)
        found[identity.group(1).decode(), path.parent.parent.name] += 1
    return found

  def filed_at(self, store: LmtpStore) -> int:
    return sum(1 for _ in store.mail.glob('*/new/*'))

  def owned_up(self) -> set[str]:
    """The queue ids of the messages that lmtpq called possible duplicates."""
    return {match.group(1) for line in self.serve.log_lines('possible duplicate')
            if (match := re.search(r'\btrace=(\S+)', line))}

  def verdicts(self):
    """What holds for every run of the queue; and a line of figures."""
    filed, owned = self.filed(), self.owned_up()
    taken = {(queued.message.identity, to.partition('@')[0]): queued
             for queued in self.queue.messages for to, answer in queued.answers
             if answer.startswith('2')}
    lost = sorted(key for key in taken if not filed[key])
    doubled = {identity for (identity, _), times in filed.items() if times > 1}
    excused = {queued.message.identity for queued in self.queue.messages
               if queued.message.queue_id in owned or (self.killed and queued.unheard)}
    left, refused = self.queue.left(), [q.refused for q in self.queue.messages if q.refused]
    yield 'every message is taken in the end', few('left', [q.answers[-2:] for q in left])
    yield 'none is refused for good', few('refused', refused)
    yield 'none is lost', few('answered 2xx, and not filed', lost)
    yield 'doubles are owned up to', few('filed twice, unlogged', sorted(doubled - excused))
    yield 'no sanitizer has anything to say', self.serve.sanitizers()
    self.figures = self.tell(len(taken), sum(filed.values()), len(doubled), len(owned))

  def tell(self, taken: int, filed: int, doubled: int, owned: int) -> str:
    queue = self.queue
    gone = ', '.join(f'{count} at {stage}' for stage, count in sorted(queue.gone.items()))
    return (f'{len(queue.messages)} messages, {queue.ended - queue.began:.1f} s, '
            f'{taken} recipients answered 2xx, {filed} filed, {doubled} doubled, '
            f'{owned} possible duplicates logged, {queue.told.total()} answers 4xx, '
            f'connections ended: {gone or "none"}')


def few(what: str, found: list) -> str:
  """Of a list of offenders, as a reason."""
  return f'{len(found)} {what}, such as {found[:3]}' if found else ''
