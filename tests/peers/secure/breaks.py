"""Sessions that break the connection once it is in TLS, or begin to lie in it.

What it is: what evil(Session, name=value) cannot say, as subclasses of Session.
What it does not know: how lmtpq is to answer.
Called by: the tables of tests/secure.
Failure: as Session's.
"""

import os

from . import engines
from .session import Session, evil
from .wire import Gone

PLAIN_TEXT_RECORD = b'250 2.1.5 Success\r\n'
FORGED_RECORD = b'\x17\x03\x03\x00\x13' + PLAIN_TEXT_RECORD


class Renegotiates(Session):
  """Asks for another handshake; one that takes part in it gets its mail filed."""
  engine = engines.RenegotiatingEngine
  amid = False  # the message, instead of between commands

  def ask(self):
    self.wire.tls.ask_for_renegotiation()
    self.wire.flush()

  def on_mail(self, argument):
    if not self.amid:
      self.ask()
      # As if MAIL had not been said yet: what the client says to the request comes first.
      self.wire.fill()
    super().on_mail(argument)

  def amid_message(self):
    if self.amid:
      self.wire.fill()
      self.ask()


class BreaksOff(Session):
  """Does something to the connection at one of its places: `rcpt`, amid the `message`, at the
  `dot` before it is answered, or `idle` after the answers."""
  where = 'message'
  transaction = 1  # in which one
  every = True  # connection, or only the first

  def at(self, place: str) -> bool:
    return (place == self.where and self.transactions == self.transaction
            and (self.every or self.number == 1))

  def on_rcpt(self, argument):
    if self.at('rcpt'):
      self.break_off()
    super().on_rcpt(argument)

  def amid_message(self):
    if self.at('message'):
      self.wire.fill()
      self.break_off()

  def after_dot(self, message):
    if self.at('dot'):
      self.break_off()
    super().after_dot(message)
    if self.at('idle'):
      self.break_off()

  def break_off(self):
    raise NotImplementedError

  def gone(self):
    """Nothing that still comes is understood."""
    self.wire.received.trouble = self.wire.received.trouble or 'ended by the test'
    raise Gone('ended by the test')


class Closes(BreaksOff):
  close_notify = True
  last_words = b''  # what is said before: a reply without its end, for one

  def break_off(self):
    if self.last_words:
      self.wire.write(self.last_words)
    self.wire.close(self.close_notify)
    raise Gone('closed by the test')


class SaysMore(BreaksOff):
  """What nobody has asked for, and goes on."""
  more = b''

  def break_off(self):
    self.wire.write(self.more)


class SendsAlert(BreaksOff):
  def break_off(self):
    self.wire.write_raw(self.wire.tls.provoked_alert())
    self.wire.hear_out()
    self.gone()


class SendsRaw(BreaksOff):
  """Bytes that no TLS has sealed."""
  raw = FORGED_RECORD

  def break_off(self):
    self.wire.write_raw(self.raw)
    self.wire.hear_out()
    self.gone()


class TurnsBad(Closes):
  """A valid certificate on the first connection, which it ends when idle, then an invalid one."""
  where = 'idle'
  bad = 'expired'

  def shake_hands(self):
    if self.number > 1:
      self.certificate = self.bad
    super().shake_hands()


GARBAGE = evil(SendsRaw, raw=b'\x17\x03\x03\x01\x00' + os.urandom(256))
PLAIN_TEXT = evil(SendsRaw, raw=PLAIN_TEXT_RECORD)
