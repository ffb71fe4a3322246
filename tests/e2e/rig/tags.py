"""Tags, made and read without a line of our C++: after docs/TAG.md.

What it is: tag_of() finds the tag of a queued message, parts_of() takes one apart, signed() makes
  one. A test that forges has the key that it needs, and no more.
"""

import base64
import hashlib
import hmac
import re

NAME = 'X-LMTPQ-Tag'


def base64url(raw: bytes) -> str:
  return base64.urlsafe_b64encode(raw).rstrip(b'=').decode()


def mac(secret: bytes, text: str) -> bytes:
  return hmac.new(secret, text.encode(), hashlib.sha256).digest()


def digest(secret: bytes, kind: str, text: str) -> str:
  return base64url(mac(secret, f'{kind}:{text}')[:8])


def recipient(secret: bytes, address: str) -> str:
  return digest(secret, 'rcpt', address.strip('<>').replace('"', '').replace('\\', '').lower())


def secret_of(key_line: str) -> tuple[str, bytes]:
  """The id and the secret of a line of a key file."""
  name, coded = key_line.split()
  return name, base64.b64decode(coded)


def signed(key_line: str, trace: str = 'forged.1', quota: str = '*', expiry: int = 4102444800,
           message_id: str = '', queue_id: str = '') -> str:
  name, secret = secret_of(key_line)
  text = f'v=1;k={name};t={trace};q={quota};x={expiry};'
  if message_id:
    text += f'm={digest(secret, "message-id", message_id)};'
  if queue_id:
    text += f'i={digest(secret, "queue-id", queue_id)};'
  return f'{text}b={base64url(mac(secret, text))}'


def field(value: str) -> bytes:
  return f'{NAME}: {value}\r\n'.encode()


def tags_in_queue(sendmail, qid: str) -> list[str]:
  """The values of the tags in the header of a queued message, without blanks."""
  text = (sendmail.dir / 'queue' / f'qf{qid}').read_text(errors='replace')
  found = re.findall(rf'^H\?[^?]*\?{NAME}:(.*(?:\n[ \t].*)*)', text, re.I | re.M)
  return [''.join(value.split()) for value in found]


def parts_of(value: str) -> dict[str, str]:
  return dict(part.split('=', 1) for part in ''.join(value.split()).split(';'))


def left_in(raw: bytes) -> list[bytes]:
  """The fields in the header of a filed message that anyone could take for a tag."""
  head = raw.partition(b'\r\n\r\n')[0]
  return [line for line in re.split(rb'[\r\n]+', head)
          if line.lower().replace(b' ', b'').replace(b'\t', b'').startswith(b'x-lmtpq-tag')]
