"""X-LMTPQ-Tag read and verified after its description, without a line of the C++.

What it is: verify() takes a field's value, some keys and the message it is in.
What it does not know: who should be listed in it.
Called by: model; the tests.
Failure: Deviation with what is wrong about the tag.
"""

import base64
import hashlib
import hmac
import re
import time
from dataclasses import dataclass

from .wire import Deviation

NAME = 'X-LMTPQ-Tag'
VALUE = re.compile(r'v=1;k=([A-Za-z0-9._-]{1,64});t=([A-Za-z0-9._-]{1,255});q=([*-]|[\w,-]+);'
                   r'x=(\d+);(?:m=([\w-]{11});)?(?:i=([\w-]{11});)?b=([\w-]{43})')
LONGEST_LINE = 998  # RFC 5322
LONGEST_ID = 998  # of a Message-ID, so much is digested


@dataclass(frozen=True)
class Claims:
  key_id: str
  trace: str
  quota: str | frozenset[str]  # '*', '-' or digests
  expiry: int
  message_id: str | None  # digests
  queue_id: str | None


def base64url(data: bytes) -> str:
  return base64.urlsafe_b64encode(data).rstrip(b'=').decode()


def digest(secret: bytes, kind: str, text: str) -> str:
  data = f'{kind}:{text}'.encode('utf-8', 'surrogateescape')
  return base64url(hmac.digest(secret, data, hashlib.sha256)[:8])


def id_digest(secret: bytes, kind: str, text: str) -> str:
  bare = re.sub('[ \t\r\n]', '', text)
  return digest(secret, kind, bare[:LONGEST_ID] if kind == 'message-id' else bare)


def comparable(address: str) -> str:
  """Small letters, no brackets, no quotes, no backslashes that quote."""
  if address.startswith('<') and address.endswith('>'):
    address = address[1:-1]
  plain = re.sub(r'\\(.)|"', lambda found: found[1] or '', address, flags=re.S)
  return ''.join(c.lower() if 'A' <= c <= 'Z' else c for c in plain)


def recipient_digest(secret: bytes, address: str) -> str:
  return digest(secret, 'rcpt', comparable(address))


def read(value: str, keys: dict[str, bytes]) -> Claims:
  """A tag whose MAC is right."""
  if any(len(line) > LONGEST_LINE for line in f'{NAME}: {value}'.split('\n')):
    raise Deviation('a line of the tag is too long')
  if re.search(r'\r|\n(?![ \t])|\n[ \t]*(\n|$)', value):
    raise Deviation(f'the tag is not folded as a header is: {value!r}')
  text = re.sub('[ \t\r\n]', '', value)
  found = VALUE.fullmatch(text)
  if not found:
    raise Deviation(f'no tag: {text[:200]!r}')
  secret = keys.get(found[1])
  if secret is None:
    raise Deviation(f'unknown key {found[1]}')
  signed = text[:text.rindex(';') + 1]
  if base64url(hmac.digest(secret, signed.encode(), hashlib.sha256)) != found[7]:
    raise Deviation(f'the MAC is wrong: {text[:200]!r}')
  if not found[5] and not found[6]:
    raise Deviation('the tag is bound to nothing')
  quota = found[3] if found[3] in '*-' else frozenset(found[3].split(','))
  if isinstance(quota, frozenset) and any(len(one) != 11 for one in quota):
    raise Deviation(f'no digests: {found[3]}')
  return Claims(found[1], found[2], quota, int(found[4]), found[5], found[6])


def verify(value: str, keys: dict[str, bytes], message_id: str, queue_id: str) -> Claims:
  """A tag that is valid for this message; '' is an id that it does not have."""
  claims = read(value, keys)
  secret = keys[claims.key_id]
  for claim, kind, text in ((claims.message_id, 'message-id', message_id),
                            (claims.queue_id, 'queue-id', queue_id)):
    if claim != (id_digest(secret, kind, text) if text else None):
      raise Deviation(f'the {kind} is not {text!r}')
  if claims.expiry < time.time() - 2:
    raise Deviation('the tag has expired')
  return claims
