"""Sessions of stores that speak TLS from the start, or only pretend to; and one that speaks ESMTP.

What it is: subclasses of Session, for --tls-wrapper and for destinations smtp:HOST.
What it does not know: how lmtpq is to answer.
Called by: the tables of tests/secure.
Failure: as Session's.
"""

import socket

from . import breaks
from .session import Finished, Session

ALERT = b'\x15\x03\x03\x00\x02\x02\x28'  # fatal, handshake_failure
HELLO = b'\x16\x03\x03\x00\x02\x00\x00'  # a handshake record


class FromStart(Session):
  """As Dovecot's inet_listener with `ssl = yes`."""
  words_in_tls = (*Session.words_in_clear[:-1], 'AUTH PLAIN LOGIN')
  header = 0  # bytes of a PROXY header in front of everything

  def greet(self):
    if self.header:
      self.wire.socket.recv(self.header, socket.MSG_WAITALL)
    self.shake_hands()
    super().greet()


class FromStartIdle(breaks.Closes, FromStart):
  """Closes between two messages."""
  where, every, resumes = 'idle', False, True


class GreetsByBytes(Session):
  bytes = ALERT

  def greet(self):
    self.reply(self.bytes)
    self.stall(60)
    raise Finished


class SaysNothing(Session):
  """As a server that waits for the client's TLS."""

  def greet(self):
    self.stall(60)
    raise Finished


class HangsUp(Session):
  def greet(self):
    raise Finished


class Smtp(Session):
  """An ESMTP server: one reply for all recipients, and no LHLO."""
  words_in_clear = ('8BITMIME', 'PIPELINING', 'SIZE 10000000', 'STARTTLS')
  words_in_tls = ('8BITMIME', 'PIPELINING', 'SIZE 10000000', 'IGNOREQUOTA', 'TRACE', 'AUTH PLAIN')
  words_logged_in = ('8BITMIME', 'PIPELINING', 'SIZE 10000000', 'IGNOREQUOTA', 'TRACE')
  wants_login = True

  def greet(self):
    self.reply(b'220 mx.test ESMTP\r\n')

  def on_lhlo(self, _argument: bytes):
    self.reply(b'500 5.5.1 Command unrecognized\r\n')

  def on_ehlo(self, _argument: bytes):
    self.reply(''.join(f'250-{line}\r\n' for line in ('mx.test', *self.words())).encode()
               + b'250 HELP\r\n')

  def after_dot(self, message: bytes):
    with self.store.lock:
      self.store.filed += [(recipient, message) for recipient in self.recipients]
    self.reply(self.final_reply)


class SmtpFromStart(Smtp):
  """Port 465."""

  def greet(self):
    self.shake_hands()
    super().greet()


class SmtpRefusesMessage(Smtp):
  def after_dot(self, _message: bytes):
    self.reply(b'451 4.3.0 not now\r\n')


class SmtpDiesAfterDot(Smtp):
  def after_dot(self, _message: bytes):
    raise Finished
