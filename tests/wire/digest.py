"""DIGEST-MD5 (RFC 2831), the server's side, with its security layer for integrity.

What it is: digest_md5(), an exchange as those of peers.secure.exchanges; Layer, a socket and its lines
  within that layer.
What it does not know: AUTH, lmtpq.
Failure: ValueError, KeyError for a response or a record that has not the form; a record with a wrong
  signature is reported to `breach`.
"""

import hmac
import os
import re
from hashlib import md5

CONSTANT = b'Digest session key to %s signing key magic constant'
FAULTS = ('bad signature of a record', 'record too long', 'no layer')


def digest_md5(ask, users: dict[bytes, bytes], proof: str = 'well') -> tuple[bytes, bytes]:
  """The user, b'' if it is refused, and the session's key. proof: as Scram's `signs`."""
  nonce = os.urandom(12).hex().encode()
  said = ask(b'realm="store.test",nonce="%s",qop="auth-int",charset=utf-8,algorithm=md5-sess' % nonce)
  words = {key: quoted or plain for key, quoted, plain in re.findall(rb'([a-z-]+)=(?:"([^"]*)"|([^,]*))', said)}
  user, uri = words[b'username'], words[b'digest-uri']
  secret = md5(b'%s:%s:%s' % (user, words[b'realm'], users.get(user, os.urandom(8)))).digest()
  key = md5(secret + b':%s:%s' % (nonce, words[b'cnonce'])).digest()

  def response(verb: bytes) -> bytes:
    about = md5(b'%s:%s:%s' % (verb, uri, b'0' * 32)).hexdigest().encode()
    text = b':'.join((key.hex().encode(), nonce, words[b'nc'], words[b'cnonce'], words[b'qop'], about))
    return md5(text).hexdigest().encode()

  if words[b'nonce'] != nonce or words[b'qop'] != b'auth-int' or words[b'response'] != response(b'AUTHENTICATE'):
    return b'', key
  if proof != 'never':
    ask(b'rspauth=' + (response(b'') if proof == 'well' else response(b'somebody else')))
  return user, key


class Layer:
  """In place of a socket, and of what reads its lines."""

  def __init__(self, socket, lines, key: bytes, breach):
    self.socket, self.raw, self.breach = socket, lines, breach
    self.ours = md5(key + CONSTANT % b'server-to-client').digest()
    self.theirs = md5(key + CONSTANT % b'client-to-server').digest()
    self.sent = self.received = 0
    self.buffer = b''

  def setsockopt(self, *arguments):
    self.socket.setsockopt(*arguments)

  def sendall(self, data: bytes):
    for at in range(0, len(data), 4096):
      self.socket.sendall(self._record(data[at:at + 4096]))

  def fail(self, fault: str, text: bytes):
    record = self._record(text)
    if fault == 'no layer':
      record = text
    elif fault == 'record too long':
      record = b'\x7f' + record[1:]
    else:
      record = record[:4] + bytes([record[4] ^ 1]) + record[5:]
    self.socket.sendall(record)

  def _record(self, text: bytes) -> bytes:
    number = self.sent.to_bytes(4, 'big')
    self.sent += 1
    signed = text + hmac.new(self.ours, number + text, 'md5').digest()[:10] + b'\0\1' + number
    return len(signed).to_bytes(4, 'big') + signed

  def readline(self) -> bytes:
    while b'\n' not in self.buffer:
      head = self.raw.read(4)
      record = self.raw.read(int.from_bytes(head, 'big')) if len(head) == 4 else b''
      if len(record) < 16:
        return b''
      text, number = record[:-16], self.received.to_bytes(4, 'big')
      self.received += 1
      if record[-16:] != hmac.new(self.theirs, number + text, 'md5').digest()[:10] + b'\0\1' + number:
        self.breach('a record with a wrong signature')
      self.buffer += text
    line, _, self.buffer = self.buffer.partition(b'\n')
    return line + b'\n'

  def __iter__(self):
    return iter(self.readline, b'')
