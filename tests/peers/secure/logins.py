"""Sessions that attack the login.

What it is: what evil(Session, name=value) cannot say, as subclasses of Session.
What it does not know: how lmtpq is to answer.
Called by: the tables of tests/secure.
Failure: as Session's.
"""

import base64

from .session import PASSWORD, USER, Finished, Session

PLAIN_RESPONSE = b'\0' + USER + b'\0' + PASSWORD
# Refusals that repeat what they were told.
ECHOES = {
    'the password': b'535 5.7.8 no login with "' + PASSWORD + b'"\r\n',
    'the command': b'535 5.7.8 AUTH PLAIN ' + base64.b64encode(PLAIN_RESPONSE) + b'\r\n',
    'the password on a line of several': b'535-5.7.8 no\r\n535-5.7.8 ' + PASSWORD +
                                         b'\r\n535 5.7.8 no\r\n',
    'the base64 of the password': b'535 5.7.8 ' + base64.b64encode(PASSWORD) + b'?\r\n',
}


class Refuses(Session):
  """Refuses every login; after a 421 it closes the connection, as it must."""

  def on_auth(self, argument):
    name = argument.split(b' ')[0].decode('latin-1')
    if name == 'PLAIN' or name not in ('LOGIN', 'CRAM-MD5'):
      self.reply(self.refusal)
    else:
      self.exchange(name, None)
      self.reply(self.refusal)
    if self.refusal.startswith(b'421'):
      raise Finished


class Challenges(Session):
  """Answers AUTH with literal bytes, and every line after it with the refusal."""
  challenge = b'334 !this is no base64!\r\n'

  def on_auth(self, _argument):
    self.reply(self.challenge)
    self.wire.line()
    self.reply(self.refusal)


class NeverEndsItsLine(Session):
  def on_auth(self, _argument):
    self.reply(b'334 ')
    while self.wire.received.told < 64 << 20:
      self.wire.write(b'QUJD' * 16384)


class NeverEnds(Session):
  """One challenge after the other, whatever the answers are."""

  def on_auth(self, _argument):
    for _ in range(5000):
      self.reply(b'334 VXNlcm5hbWU6\r\n')
      if self.wire.line() == b'*':
        self.reply(self.refusal)
        return


class AsksOnceMore(Session):
  """When the mechanism has nothing left to say."""
  more = b'and then?'

  def exchange(self, name, initial):
    user = super().exchange(name, initial)
    self.ask(self.more)
    return user


class WelcomesAtOnce(Session):
  """235 after the first message of a mechanism that needs more."""

  def on_auth(self, _argument):
    self.user = USER
    self.reply(self.welcome)


class StallsLogin(Session):
  def on_auth(self, _argument):
    self.stall(100)


class DripsLogin(Session):
  """A byte of an answer that has no end, again and again: each is progress."""

  def on_auth(self, _argument):
    self.reply(b'334 ')
    for _ in range(1000):
      self.reply(b'A')
      self.stall(0.1)


class RefusesLhloAfterLogin(Session):
  def on_lhlo(self, argument):
    if self.user:
      self.reply(b'500 5.5.2 Syntax error\r\n')
    else:
      super().on_lhlo(argument)
