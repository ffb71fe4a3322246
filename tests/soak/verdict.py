"""What a soak is judged by: the records of the clients, the stores, the log and the kills.

What it is: Verdict(folder, seed, messages), the counts; report(), for people; good.
What it does not know: processes. It reads files only: client*, store*, announced, kills.
Called by: run, the tests.

A recipient is doubled as often as it is filed more than once. Each attempt of a client can cause one
double, so each needs a reason: a reply or a log line that announced it, or an attempt without a reply
while the daemon was killed.
"""

from array import array
from collections import Counter, defaultdict
from pathlib import Path

from . import mail


class Verdict:
  def __init__(self, folder: Path, seed: int, messages: int):
    self.seed, self.messages = seed, messages
    self.digests = array('Q', [0]) * messages
    # By message and domain: a message has one recipient at a domain.
    self.filings = bytearray(messages * len(mail.NAMES))
    self.answered = bytearray(messages * len(mail.NAMES))
    self.replies: Counter[int] = Counter()  # 4xx that announced, by message and domain
    self.log_lines: Counter[int] = Counter()  # the same, in the log
    self.replies_lost: Counter[int] = Counter()  # lines of the log, by message
    self.attempts: dict[int, list[tuple[float, float]]] = defaultdict(list)  # without a reply
    self.sent = self.filed = self.changed = self.foreign = self.refused = 0
    self.examples: dict[str, list[str]] = defaultdict(list)
    self.kills = [tuple(map(float, line.split())) for line in lines_of(folder / 'kills')]
    for path in sorted(folder.glob('client*')):
      self._read_client(path)
    self._read_announced(folder / 'announced')
    for path in sorted(folder.glob('store*')):
      self._read_store(path, int(path.name.removeprefix('store')))
    self._count()

  @property
  def good(self) -> bool:
    return not (self.lost or self.changed or self.foreign or self.refused or self.unexplained)

  def report(self) -> str:
    rows = (('sent', self.sent), ('recipients answered 2xx', sum(self.answered)),
            ('filed', self.filed), ('lost', self.lost), ('changed', self.changed),
            ('wrong recipients', self.foreign), ('refused for good', self.refused),
            ('doubled', self.announced + self.by_kill + self.unexplained),
            ('doubled, announced', self.announced),
            ('doubled, in flight when the daemon was killed', self.by_kill),
            ('doubled, neither', self.unexplained))
    shown = [f'{name:46}{number:>12,}' for name, number in rows]
    return '\n'.join([*shown, *(f'{what}: {"; ".join(texts)}'
                                for what, texts in self.examples.items())])

  def _slot(self, number: int, to: str) -> int:
    return number * len(mail.NAMES) + mail.NAMES.index(to.partition('@')[2])

  def _example(self, what: str, text: str):
    if len(self.examples[what]) < 10:
      self.examples[what].append(text)

  def _read_client(self, path: Path):
    for line in lines_of(path):
      kind, text, rest = line.split(' ', 2)
      number = int(text)
      if kind == 'S':
        self.digests[number] = int(rest, 16)
        self.sent += 1
      elif kind == 'A':
        self.answered[self._slot(number, rest)] = 1
      elif kind == 'P':
        self.replies[self._slot(number, rest)] += 1
      elif kind == 'L':
        begin, end = map(float, rest.split())
        self.attempts[number].append((begin, end))
      elif kind == 'R':
        self.refused += 1
        self._example('refused for good', f'{number} {rest}')

  def _read_announced(self, path: Path):
    for line in lines_of(path):
      kind, number, *to = line.split()
      if kind == 'T':
        self.replies_lost[int(number)] += 1
      else:
        self.log_lines[self._slot(int(number), to[0])] += 1

  def _read_store(self, path: Path, store: int):
    for line in lines_of(path):
      text, to, digest = line.split()
      self.filed += 1
      number = int(text) if text.isdigit() else self.messages
      if number >= self.messages or not self.digests[number] or (
          to not in mail.recipients_of(self.seed, number)) or (
          store not in mail.DOMAINS[to.partition('@')[2]]):
        self.foreign += 1
        self._example('wrong recipients', f'{path.name}: {line}')
        continue
      if int(digest, 16) != self.digests[number]:
        self.changed += 1
        self._example('changed', f'{path.name}: {line}')
      slot = self._slot(number, to)
      self.filings[slot] = min(self.filings[slot] + 1, 255)

  def _count(self):
    self.lost = self.announced = self.by_kill = self.unexplained = 0
    for slot, times in enumerate(self.filings):
      number = slot // len(mail.NAMES)
      if self.answered[slot] and not times:
        self.lost += 1
        self._example('lost', str(number))
      if times > 1:
        self._explain(slot, number, times - 1)

  def _explain(self, slot: int, number: int, more: int):
    # A deferral is in the log and in a reply, if its client was there to read it.
    announced = min(more, max(self.replies[slot], self.log_lines[slot]) + self.replies_lost[number])
    killed = sum(any(begin <= after and before <= end for before, after in self.kills)
                 for begin, end in self.attempts[number])
    by_kill = min(more - announced, killed)
    self.announced += announced
    self.by_kill += by_kill
    if left := more - announced - by_kill:
      self.unexplained += left
      self._example('doubled, neither', f'{number}: filed {more + 1} times, {announced} announced, '
                                        f'attempts without a reply: {self.attempts[number]}')


def lines_of(path: Path):
  with path.open(encoding='latin-1') as file:
    for line in file:
      yield line.rstrip('\n')
