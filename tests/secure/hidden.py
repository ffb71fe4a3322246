"""What must not be seen, in all its spellings.

What it is: the words of the test message and of the password, and the search for them.
What it does not know: where it is looked for.
Called by: judging.py.
"""

import base64

from peers.secure.session import PASSWORD, USER


def spellings(secret: bytes) -> set[bytes]:
  """As it is, in hexadecimal digits, and the base64 of any text that contains it."""
  found = {secret, secret.hex().encode(), secret.hex().upper().encode()}
  for before in range(3):
    text = base64.b64encode(b'\0' * before + secret)
    first = (before * 8 + 5) // 6  # the digits that share bits with what stands before it
    whole = (before + len(secret)) * 8 // 6
    found.add(text[first:whole])
  return found


PASSWORDS = spellings(PASSWORD) | spellings(b'\0' + USER + b'\0' + PASSWORD)
# Envelope, header and body: each has a word that is nowhere else.
SENDER, RECIPIENTS = 'heliotrope@sender.test', ['zwieback@store.test', 'marzipan@store.test']
MESSAGE_WORDS = (b'heliotrope', b'zwieback', b'marzipan', b'Pumpernickel', b'Sarsaparilla')
MESSAGE = (b'From: <heliotrope@sender.test>\r\nSubject: Pumpernickel\r\n\r\n' +
           b'Sarsaparilla, line after line.\r\n')
# Far more than all buffers between the two take.
BIG_MESSAGE = MESSAGE + b'Sarsaparilla and nothing but Sarsaparilla, up to the end.\r\n' * 150_000


def password_in(text: bytes) -> bool:
  return any(spelling in text for spelling in PASSWORDS)


def message_in(text: bytes) -> bool:
  return any(word in text for word in MESSAGE_WORDS)
