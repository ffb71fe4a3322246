"""What both ends saw of every message, and the rules that hold between them.

What it is: Sent, a message as its client knows it; Filed, a transaction that a store filed;
  Ledger.violations(), every rule that was broken, in words.
What it does not know: sockets, faults, seeds.
Threads: the ends write at the same time; each calls one method, which locks.
"""

import re
import threading
from dataclasses import dataclass, field

from fixtures import tags

LONGEST_LINE = 8000
# Deferrals of all recipients of the connection, which quote the reply that was out of step, or a 421.
CONNECTION_LOST = ('451 4.4.2 Connection to the store lost: ',
                   '451 4.4.2 Connection lost after the end of data, possible duplicate: 421 ')
ADDRESS = re.compile(r'([a-z0-9.]+@store\.test)')
BARE = re.compile(rb'\r(?!\n)|(?<!\r)\n')


@dataclass
class Sent:
  number: str  # in the Message-ID and in the queue id
  recipients: list[str]
  traces: set[str]  # those it may have, and each with `-` and a random part
  ignores_quota: set[str]  # the recipients that a tag or a trusted client lets past the quota
  text: bytes = b''  # what must be filed, byte for byte; empty: not looked at
  replies: dict[str, str] = field(default_factory=dict)  # the final ones, by recipient


@dataclass
class Filed:
  store: str
  number: str
  recipient: str
  raw: bytes  # as it came, without stuffed dots
  trace: str
  ignores_quota: bool


class Ledger:
  def __init__(self):
    self.lock = threading.Lock()
    self.sent: dict[str, Sent] = {}
    self.filed: list[Filed] = []
    self.refused: set[tuple[str, str]] = set()  # number and recipient; number '': by a session
    self.breaches: list[str] = []  # what a store saw that must not be

  def send(self, message: Sent):
    with self.lock:
      self.sent[message.number] = message

  def file(self, filed: Filed):
    with self.lock:
      self.filed.append(filed)

  def refuse(self, number: str, recipient: str):
    """A store said 5xx about it."""
    with self.lock:
      self.refused.add((number, recipient))

  def breach(self, what: str):
    with self.lock:
      self.breaches.append(what)

  def count(self) -> int:
    return sum(len(message.replies) for message in self.sent.values())

  def violations(self) -> list[str]:
    with self.lock:
      found = [*self.breaches, *self._of_replies(), *self._of_filed()]
    return found

  def _of_replies(self):
    times: dict[tuple[str, str], int] = {}
    for one in self.filed:
      times[one.number, one.recipient] = times.get((one.number, one.recipient), 0) + 1
    for (number, recipient), count in times.items():
      if count > 1:
        yield f'{number}: filed {count} times for {recipient}'
    for message in self.sent.values():
      for recipient, reply in message.replies.items():
        where = f'{message.number}: {recipient} was answered {reply!r}'
        if reply.startswith('250') and not times.get((message.number, recipient)):
          yield f'{where}, and no store filed it'
        if reply.startswith('5') and not self._may_refuse(message.number, recipient):
          yield f'{where}, and no store refused it'
        others = set(ADDRESS.findall(reply)) - {recipient}
        if others and not reply.startswith(CONNECTION_LOST):
          yield f'{where}, which is the reply for {others}'

  # A refusal at MAIL or DATA is for all recipients.
  def _may_refuse(self, number: str, recipient: str) -> bool:
    return bool({(number, recipient), (number, '')} & self.refused)

  def _of_filed(self):
    for one in self.filed:
      message = self.sent.get(one.number)
      where = f'{one.store}: {one.number} for {one.recipient}'
      if message is None:
        yield f'{where}: nobody sent this message'
        continue
      if one.recipient not in message.recipients:
        yield f'{where}: it was not for this recipient'
      if one.trace and not any(one.trace == trace or one.trace.startswith(f'{trace}-')
                               for trace in message.traces):
        yield f'{where}: the trace id {one.trace} is not one of {message.traces}'
      if one.ignores_quota and one.recipient not in message.ignores_quota:
        yield f'{where}: IGNOREQUOTA without authority'
      if tags.left_in(one.raw):
        yield f'{where}: a tag was filed'
      if BARE.search(one.raw):
        yield f'{where}: a line end other than CRLF'
      if any(len(line) > LONGEST_LINE for line in one.raw.split(b'\r\n')):
        yield f'{where}: a line over {LONGEST_LINE} bytes'
      if message.text and one.raw != message.text:
        yield f'{where}: it was changed'


def controls_in(log: str) -> list[str]:
  """Lines with a character that a terminal obeys."""
  return [repr(line)[:300] for line in log.split('\n')
          if re.search('[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]', line)]
