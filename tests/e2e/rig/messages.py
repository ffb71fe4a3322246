"""Messages to send, and how to look at those that were stored.

A message here is bytes with CRLF line ends, as RFC 5322 has it. Each has its own Message-ID:
Cyrus drops a second message with the same one without a word.
"""

import itertools
import os
from email import message_from_bytes
from email.message import Message

serial = itertools.count(1)


def message(body: bytes = b'Hello.\r\n', subject: str = 'test', headers: bytes = b'',
            sender: str = 'sender@mail.test') -> bytes:
  """headers: further header lines, each ended by CRLF."""
  number = f'{os.getpid()}.{next(serial)}'
  head = (f'From: <{sender}>\r\nTo: <someone@store.test>\r\nSubject: {subject}\r\n'
          f'Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{number}@mail.test>\r\n')
  return head.encode() + headers + b'\r\n' + body


def message_id(raw: bytes) -> str:
  return str(message_from_bytes(raw)['Message-ID']).strip()


def body_of(raw: bytes) -> bytes:
  return raw.partition(b'\r\n\r\n')[2]


def delivery_statuses(raw: bytes) -> list[Message]:
  """The per-recipient blocks of a DSN (RFC 3464)."""
  for part in message_from_bytes(raw).walk():
    if part.get_content_type() == 'message/delivery-status':
      return [block for block in part.get_payload() if block['Final-Recipient']]
  return []
