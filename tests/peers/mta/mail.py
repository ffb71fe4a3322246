"""Messages of every kind that the model knows, always the same ones for the same number.

What it is: clients, and a message by its number: recipients of our mailers and of others, forged
  tags, ids and marks, in proportions that leave no case out within several hundred messages.
What it does not know: what is to become of them.
Called by: load; the tests that need mixed mail.
"""

import random

from .session import Message, Recipient
from .tags import NAME

CLIENTS = ('192.0.2.7', '198.51.100.9', '2001:db8::5', '', '203.0.113.80')
SENDERS = ('notice@example.org', 'alarm@example.org', 'carol@example.com', '')
NAMES = ('vip-one@store.test', 'star-two@store.test', '"dave.x"@store.test', 'Erin@Store.Test')
MAILERS = ('cyrusv2', 'cyrusv2', 'cyrusv2q', 'cyrusv2', 'esmtp')
TAG_NAMES = (NAME, NAME.lower(), NAME.upper(), 'x-LmtpQ-tAG')
FORGED = ('v=1; k=key-one; t=forged; q=*; x=4102444800;\n\tm=AAAAAAAAAAA; b=' + 'A' * 43, '', ';',
          'v=1;' * 400)
QUEUE_LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'


def recipient(dice: random.Random) -> Recipient:
  given = dice.choice(NAMES)
  local, _, domain = given.rpartition('@')
  resolved = given if dice.random() < 0.5 else f'{local}@alias.{domain}'
  return Recipient(given, resolved, dice.choice(MAILERS))


def fields(number: int, dice: random.Random) -> list[tuple[str, str]]:
  chosen = [('Received', 'from a by b\n\twith ESMTP'), ('From', 'somebody <a@example.org>')]
  if dice.random() < 0.9:
    chosen.append(('Message-ID', f'<{number}.{dice.random()}@example.org>'))
  if dice.random() < 0.05:
    chosen.append(('Message-Id', '<a.second.one@example.org>'))
  if dice.random() < 0.2:
    chosen.append(('X-Notice', dice.choice(('yes', 'Yes,\n\tindeed', 'no'))))
  if dice.random() < 0.1:
    chosen.append(('Precedence', 'bulk'))
  if dice.random() < 0.2:
    chosen.append(('X-Trace-Id', f'trace-{number}'))
  for _ in range(dice.choice((0, 0, 0, 1, 2, 8))):
    chosen.append((dice.choice(TAG_NAMES), dice.choice(FORGED)))
  dice.shuffle(chosen)
  return chosen


def message(number: int) -> Message:
  dice = random.Random(number)
  staff = dice.choice(('', '', 'alice', 'bob'))
  return Message(
      queue_id='2' + ''.join(dice.choices(QUEUE_LETTERS, k=4)) + f'{number:09d}',
      sender=dice.choice(SENDERS),
      recipients=[recipient(dice) for _ in range(dice.choice((1, 1, 1, 2, 5)))],
      fields=fields(number, dice),
      macros={'{auth_authen}': staff} if staff else {},
      size=dice.choice((400, 65536, 65537, None)))
