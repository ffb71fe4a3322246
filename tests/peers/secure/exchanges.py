"""The server's side of SASL mechanisms: honest ones, with a few screws for those that are not.

What it is: one function for each mechanism; it asks through `ask` (a challenge out, the answer in)
  and returns the user's name, or '' when the login is refused.
What it does not know: AUTH, base64, TLS.
Called by: Session.
Failure: ValueError for an answer that has not the mechanism's form.
"""

import base64
import hashlib
import hmac
import os
from dataclasses import dataclass
from typing import Callable

Ask = Callable[[bytes], bytes]


def plain(ask: Ask, initial: bytes | None, users: dict[bytes, bytes]) -> bytes:
  _, user, password = (ask(b'') if initial is None else initial).split(b'\0')
  return user if users.get(user) == password else b''


def login(ask: Ask, initial: bytes | None, users: dict[bytes, bytes]) -> bytes:
  user = ask(b'Username:') if initial is None else initial
  return user if users.get(user) == ask(b'Password:') else b''


def cram_md5(ask: Ask, _initial, users: dict[bytes, bytes]) -> bytes:
  challenge = b'<%s@store.test>' % base64.b16encode(os.urandom(8))
  user, _, digest = ask(challenge).rpartition(b' ')
  right = hmac.new(users.get(user, os.urandom(8)), challenge, 'md5').hexdigest().encode()
  return user if hmac.compare_digest(right, digest) else b''


def external(ask: Ask, initial: bytes | None, _users) -> bytes:
  return (ask(b'') if initial is None else initial) or b'by certificate'


def anonymous(ask: Ask, initial: bytes | None, _users) -> bytes:
  return (ask(b'') if initial is None else initial) or b'anonymous'


@dataclass
class Scram:
  """SCRAM (RFC 5802, 7677); `binding` is tls-unique's bytes, for the -PLUS form."""
  digest: str = 'sha256'
  binding: bytes | None = None
  iterations: str = '4096'
  shown_iterations: str = ''  # what is said of them; empty: the truth
  keeps_nonce: bool = True
  signs: str = 'well'  # 'badly': a signature of something else; 'never': none at all

  def __call__(self, ask: Ask, initial: bytes | None, users: dict[bytes, bytes]) -> bytes:
    first = ask(b'') if initial is None else initial
    gs2, bare = first.split(b',,', 1) if b',,' in first else (first, b'')
    fields = dict(part.split(b'=', 1) for part in bare.split(b','))
    user, nonce = fields[b'n'], fields[b'r'] + base64.b16encode(os.urandom(8))
    if not self.keeps_nonce:
      nonce = base64.b16encode(os.urandom(16))
    salt = os.urandom(16)
    shown = self.shown_iterations or self.iterations
    said = b'r=%s,s=%s,i=%s' % (nonce, base64.b64encode(salt), shown.encode())
    final = ask(said)
    unproved, _, proof = final.rpartition(b',p=')
    parts = dict(part.split(b'=', 1) for part in unproved.split(b','))
    salted = hashlib.pbkdf2_hmac(self.digest, users.get(user, os.urandom(8)), salt,
                                 int(self.iterations))
    signed = bare + b',' + said + b',' + unproved
    client_key = self._keyed(salted, b'Client Key')
    signature = self._keyed(hashlib.new(self.digest, client_key).digest(), signed)
    right = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    if parts[b'r'] != nonce or base64.b64decode(proof) != right or not self._bound(gs2, parts):
      return b''
    verifier = self._keyed(self._keyed(salted, b'Server Key'), signed)
    if self.signs == 'badly':
      verifier = self._keyed(salted, b'somebody else')
    if self.signs != 'never':
      ask(b'v=' + base64.b64encode(verifier))
    return user

  def _bound(self, gs2: bytes, parts: dict[bytes, bytes]) -> bool:
    if self.binding is None:
      return not gs2.startswith(b'p=')
    header = b'p=tls-unique,,'
    return gs2 == b'p=tls-unique' and base64.b64decode(parts[b'c']) == header + self.binding

  def _keyed(self, key: bytes, text: bytes) -> bytes:
    return hmac.new(key, text, self.digest).digest()
