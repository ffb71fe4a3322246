"""One run under load: stores, the daemon, a queue of mail, and the count at both ends.

What it is: what every run has, and how mail is counted: what was answered 2xx must be filed, and
  what is filed twice must be called a possible duplicate in the log.
What it does not know: what goes wrong.
Called by: the tests; each run has a scene in a separate folder.
"""

import re
from collections import Counter

from fixtures.lmtp_client import Message
from fixtures.lmtp_store import LmtpStore
from fixtures.scratch import Scratch
from fixtures.serve import Serve

from .mail_queue import Queue

FIGURES = 'figures'  # a property of a test: a line for the report
MAILBOXES = 40
CLIENTS = 20
# Timeouts that no run has to wait long for, and a pool so small that a fault has an effect.
SETTINGS = """connections = 10
dial-backoff = 50ms
dial-backoff-limit = 200ms
drain-timeout = 20s
"""


class Scene:
  def __init__(self, scratch: Scratch, wanted, settings: str = '', stores: int = 1,
               by_tcp: bool = False):
    self.wanted = wanted  # the options
    self.scratch = scratch
    self.folder = self.scratch.path
    self.stores = [LmtpStore(self.scratch, f'store{number}') for number in range(stores)]
    self.socket = self.folder / 'lmtp'
    self.settings = settings
    self.serve = Serve(self.folder / 'serve', program=wanted.lmtpq)
    for store in self.stores:
      # Slow enough that a message is in progress whenever a process dies.
      store.options = ['--no-duplicate-suppression', '--delay-final', '4']
      store.add_mailboxes([f'u{number}' for number in range(MAILBOXES)])
      store.by_tcp = by_tcp
      store.start()
    self.serve.write(self.configuration())
    self.queue: Queue | None = None

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
    """Starts to deliver a queue of mail to the daemon."""
    self.queue = Queue(f'unix:{self.socket}', messages or self.messages(), CLIENTS,
                       self.wanted.rate, self.wanted.seconds)
    self.queue.start()
    return self.queue

  def end(self):
    """What was filed and logged stays, until the scratch folder goes."""
    if self.serve.alive():
      self.serve.terminate()
      self.serve.wait()
    for store in self.stores:
      store.resume()
      store.stop()

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

  def possible_duplicates(self) -> set[str]:
    """The queue ids of the messages that lmtpq logged as possible duplicates."""
    return {match.group(1) for line in self.serve.log_lines('possible duplicate')
            if (match := re.search(r'\btrace=(\S+)', line))}

  def count(self):
    """What a run without Sendmail is judged by; and its figures."""
    queue = self.queue
    filed, logged = self.filed(), self.possible_duplicates()
    taken = {(queued.message.identity, to.partition('@')[0])
             for queued in queue.messages for to, reply in queued.replies
             if reply.startswith('2')}
    self.lost = sorted(key for key in taken if not filed[key])
    self.doubled = {identity for (identity, _), times in filed.items() if times > 1}
    self.logged_doubles = {queued.message.identity for queued in queue.messages
                           if queued.message.queue_id in logged}
    self.unanswered = {queued.message.identity for queued in queue.messages if queued.unanswered}
    self.left = [queued.replies[-2:] for queued in queue.left()]
    self.refused = [queued.refused for queued in queue.messages if queued.refused]
    ends = ', '.join(f'{count} at {stage}' for stage, count in sorted(queue.ends.items()))
    self.figures = (
        f'{len(queue.messages)} messages, {queue.ended - queue.began:.1f} s, '
        f'{len(taken)} recipients answered 2xx, {sum(filed.values())} filed, '
        f'{len(self.doubled)} doubled, {len(logged)} possible duplicates logged, '
        f'{queue.deferrals.total()} answers 4xx, connections ended: {ends or "none"}')
