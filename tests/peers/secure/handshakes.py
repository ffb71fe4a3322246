"""Sessions that attack STARTTLS and the handshake.

What it is: what evil(Session, name=value) cannot say, as subclasses of Session.
What it does not know: how lmtpq is to answer.
Called by: the tables of tests/secure.
Failure: as Session's.
"""

import select

from .session import Finished, Session
from .wire import PATIENCE, Gone


class InjectsBehind220(Session):
  tail = b'250 2.0.0 injected\r\n'
  apart = False  # the tail comes when the client has begun the handshake; False: in one segment

  def on_starttls(self, _argument):
    if self.apart:
      self.reply(self.starttls_reply)
      select.select([self.wire.socket], [], [], PATIENCE)
      self.reply(self.tail)
    else:
      self.reply(self.starttls_reply + self.tail)
    self.shake_hands()


class NeverEndsTheReply(Session):
  piece = b'y'

  def on_starttls(self, _argument):
    self.reply(b'220-')
    while self.wire.received.told < 64 << 20:
      self.wire.write(self.piece * (65536 // len(self.piece)))


class Answers220Early(Session):
  """With the reply to LHLO, before STARTTLS was said."""

  def lhlo_reply(self):
    early = b'' if self.wire.tls else self.starttls_reply
    return super().lhlo_reply() + early

  def on_starttls(self, _argument):
    self.shake_hands()


class GreetsTwice(Session):
  """A reply to the LHLO that has not been said: the true one becomes that to STARTTLS."""

  def greet(self):
    super().greet()
    self.reply(self.lhlo_reply())


class HangsUpAfter220(Session):
  def on_starttls(self, _argument):
    self.reply(self.starttls_reply)
    raise Finished


class ClosesAmidHandshake(Session):
  def shake_hands(self):
    def half(data):
      self.wire.write_raw(data[:len(data) // 2])
      raise Gone('closed by the test')
    self.wire.start_tls(self.engine(self.terms()), half)


class StallsHandshake(Session):
  """After `part` of its first flight."""
  part = 0.0

  def shake_hands(self):
    def some(data):
      self.wire.write_raw(data[:int(len(data) * self.part)])
      self.stall(100)
    self.wire.start_tls(self.engine(self.terms()), some)


class DripsHandshake(Session):
  pause = 0.1  # seconds after each byte

  def shake_hands(self):
    def drip(data):
      for byte in data:
        self.wire.write_raw(bytes([byte]))
        if self.pause:
          self.stall(self.pause)
    self.wire.start_tls(self.engine(self.terms()), drip)


class DrownsHandshake(Session):
  """Handshake records that never come to an end: one message of 16 MB, as its length says."""

  def shake_hands(self):
    self.wire.receive_raw()  # the client's first word; before it, this were bytes in clear
    record = b'\x16\x03\x03\x40\x00' + b'\x02\xff\xff\xff' + b'\x03' * (16384 - 4)
    while self.wire.received.told < 32 << 20:
      self.wire.write(record)
      self.wire.receive_raw()  # the client's first word; before it, this were bytes in clear
    record = b'\x16\x03\x03\x40\x00' + b'\x03' * 16384
