"""The mail of a soak: a message follows from the seed and its number, at both ends.

What it is: recipients, a text of up to 1800 bytes or, now and then, one that is too large for the
  daemon to keep in memory; and its digest.
Called by: clients.py, which sends it; verdict.py, which asks whose it was.
"""

from hashlib import blake2b

from fixtures.lmtp_client import Message

# Domain -> the numbers of the stores that may file for it: for the last, the second if the first is
# down.
DOMAINS = {'s0.test': (0,), 's1.test': (1,), 's2.test': (2,), 'pair.test': (1, 2)}
STORES = 3
NAMES = list(DOMAINS)
MAILBOXES = 100  # in each domain
LINE = b'A line of a message that is sent, and sent again.\r\n'
LARGE = 200  # one of this many
# More than the 256 KiB that are kept in memory; some lines begin with a dot.
LARGE_PIECE = LINE * 3 + b'..\r\n.\r\n'
LARGE_PIECES = 1900  # at least


def mixed(seed: int, number: int) -> int:
  """64 bits in which each number looks as if drawn."""
  value = (number * 0x9E3779B97F4A7C15 + seed * 0xD1B54A32D192ED03) & 0xFFFFFFFFFFFFFFFF
  value = ((value ^ value >> 30) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
  return value ^ value >> 31


def recipients_of(seed: int, number: int) -> list[str]:
  """Each at another domain; every tenth message has several."""
  drawn = mixed(seed, number)
  return [f'u{(drawn >> 20) % MAILBOXES}@{NAMES[(drawn + more) % len(NAMES)]}'
          for more in range(1 + (drawn >> 8) % 3 if number % 10 == 0 else 1)]


def message(seed: int, number: int) -> Message:
  drawn = mixed(seed, number)
  body = b'%x\r\n.%d\r\n' % (drawn, number) + LINE * ((drawn >> 40) % 30)
  if number % LARGE == LARGE // 2:
    body += LARGE_PIECE * (LARGE_PIECES + (drawn >> 32) % 1000)
  return Message(recipients_of(seed, number), body, number=f'{number:08d}')


def digest(text: bytes) -> str:
  return blake2b(text, digest_size=8).hexdigest()
