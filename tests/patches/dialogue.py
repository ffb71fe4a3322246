"""What the recorded bytes of a peer mean: transactions, and the trace id in effect at each MAIL.

What it is: Cyrus's rules as a small model. TRACE that was accepted sets the id; RSET, STARTTLS and
  a new connection clear it; a refused TRACE leaves it as it was; nothing else touches it.
What it does not know: which id is right. A message says that itself, in its first Received line.
"""

import re
from dataclasses import dataclass, field

from .peer import Exchange, Session, local_part


@dataclass
class Transaction:
  sender: str
  trace_id: str  # in effect at MAIL; empty: none
  mail: Exchange
  rcpts: list[Exchange] = field(default_factory=list)
  message: bytes = b''

  @property
  def qid(self) -> str:
    """Of the message; empty when none was sent."""
    found = re.search(rb'^Received:.*?\bid (\w+)', self.message, re.S | re.M)
    return found.group(1).decode() if found else ''


def transactions(sessions: list[Session]) -> list[Transaction]:
  found: list[Transaction] = []
  for session in sessions:
    trace_id = ''
    for one in session.exchanges:
      if one.verb in ('RSET', 'START') and one.accepted:
        trace_id = ''
      elif one.verb == 'TRACE' and one.accepted:
        trace_id = one.argument
      elif one.verb == 'MAIL':
        found.append(Transaction(local_part(one.argument), trace_id, one))
      elif one.verb == 'RCPT':
        found[-1].rcpts.append(one)
      elif one.is_message:
        found[-1].message = one.sent
  return found


def exchanges(sessions: list[Session], verb: str) -> list[Exchange]:
  return [one for session in sessions for one in session.exchanges if one.verb == verb]


def received(sessions: list[Session]) -> bytes:
  return b''.join(bytes(session.received) for session in sessions)


# What differs between two runs of one binary, within a message or a line of the log.
VARYING = (
    (rb'(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), +\d+ \w{3} \d{4} \d\d:\d\d:\d\d '
     rb'(?:[+-]\d{4}|GMT)(?: \(\w+\))?', b'DATE'),
    (rb'(?<=Message-Id: <)\d{12}(?=\.)', b'DATE'),
    (rb'\.\d{10}/(?=mail\.test)', b'.CLOCK/'),
    (rb'(?:mta|peer)\d+', b'FOLDER'),
)


def queue_ids(log: list[str]) -> list[str]:
  """Of all messages of a log, bounces too, in their order."""
  found = re.findall(r'(?<=: )(?=\w*\d)\w{14}(?=: )', '\n'.join(log))
  return list(dict.fromkeys(found))


def without_varying(raw: bytes, qids: list[str]) -> bytes:
  """With the queue ids, in their order, as Q1, Q2 ..."""
  for number, qid in enumerate(qids, 1):
    raw = raw.replace(qid.encode(), b'Q%d' % number)
  for pattern, instead in VARYING:
    raw = re.sub(pattern, instead, raw)
  return raw
