"""AUTH in a broken store: honest mechanisms, and what goes wrong in them.

What it is: log_in(), one AUTH of a connection, which fails as the connection's fault says.
What it does not know: sockets, TLS, what lmtpq does then.
"""

import base64
import binascii

from peers.secure import exchanges
from peers.secure.session import PASSWORD, USER

from .digest import Layer, digest_md5

# Beside those of any other reply.
FAULTS = ('not base64', 'challenge after challenge', 'long challenge', 'success at once', 'repeats the login',
          'another nonce', 'bad signature', 'no signature', 'more replies')
SCREWS = {'another nonce': {'keeps_nonce': False}, 'bad signature': {'signs': 'badly'},
          'no signature': {'signs': 'never'}}
MOST = 100  # challenges


class Cancelled(Exception):
  """The client has given up its AUTH."""


def log_in(connection, argument: str) -> bool:
  """Whether the client may send mail now: it was told so, by a store that has proved what it had to."""
  fault = connection.fault if connection.step == 'AUTH' else ''
  if fault in FAULTS:
    connection.step = ''
  name, _, initial = argument.partition(' ')
  proves = name not in ('PLAIN', 'LOGIN')
  if name == 'DIGEST-MD5' and fault == 'another nonce':
    fault = ''  # it has only the store's
  layer: list[bytes] = []  # its key

  def ask(challenge: bytes) -> bytes:
    connection.say('334 ' + base64.b64encode(challenge).decode())
    answer = connection.line()
    if answer == '*':
      raise Cancelled
    return base64.b64decode(answer, validate=True)

  try:
    if fault in ('not base64', 'challenge after challenge', 'long challenge'):
      _challenge(connection, fault)
    elif fault == 'success at once':
      connection.say('235 2.7.0 in')
      return not proves
    elif fault == 'repeats the login':
      connection.say(f'535-5.7.8 AUTH {argument}\r\n535 5.7.8 is no login, nor is {PASSWORD.decode()}')
    elif _exchange(name, initial, ask, fault, layer):
      welcome = _welcome(connection, fault)
      if layer:
        connection.begin_layer(layer[0])
      return welcome and not (proves and fault in SCREWS)
    else:
      connection.say('535 5.7.8 no')
  except Cancelled:
    connection.say('501 5.7.0 cancelled')
  except (ValueError, KeyError, binascii.Error):
    connection.say('535 5.7.8 no such login')
  return False


def _welcome(connection, fault: str) -> bool:
  if fault == 'more replies':
    connection.say('235 2.7.0 in\r\n250-store.test\r\n250 IGNOREQUOTA')
    return True
  return connection.reply('AUTH', '235 2.7.0 in')


def _challenge(connection, fault: str):
  text = {'not base64': '!this is no base64!', 'long challenge': 'A' * 20_000}.get(fault, 'QUJD')
  for _ in range(MOST if fault == 'challenge after challenge' else 1):
    connection.say(f'334 {text}')
    if connection.line() == '*':
      raise Cancelled
  connection.say('535 5.7.8 enough')


def _exchange(name: str, initial: str, ask, fault: str, layer: list[bytes]) -> bytes:
  first = base64.b64decode(initial, validate=True) if initial else None
  users = {USER: PASSWORD}
  if name == 'DIGEST-MD5':
    user, key = digest_md5(ask, users, SCREWS.get(fault, {}).get('signs', 'well'))
    layer.append(key)
    return user
  if name == 'SCRAM-SHA-256':
    return exchanges.Scram('sha256', **SCREWS.get(fault, {}))(ask, first, users)
  return {'PLAIN': exchanges.plain, 'LOGIN': exchanges.login}[name](ask, first, users)
