"""One LMTP dialogue of the store, as Cyrus's lmtpd has it: the good one.

What it is: commands and replies, STARTTLS, AUTH, the message. What may be done badly is a separate
  method or attribute: an attack is a subclass (see README.md), or evil(Session, name=value).
What it does not know: sockets; what a test expects.
Called by: Store, in a thread of each connection.
Failure: the client's is Received's; a mistake of ours goes to Store.errors.
"""

import base64
import binascii
import traceback

from . import engines, exchanges
from .wire import Gone, Wire

USER, PASSWORD = b'lmtpuser', b'Quagga trombone-7719'
MAIL_WORDS = ('8BITMIME', 'ENHANCEDSTATUSCODES', 'PIPELINING', 'SIZE 10000000', 'IGNOREQUOTA',
              'TRACE')
MECHANISMS = {
    'PLAIN': exchanges.plain,
    'LOGIN': exchanges.login,
    'CRAM-MD5': exchanges.cram_md5,
    'EXTERNAL': exchanges.external,
    'ANONYMOUS': exchanges.anonymous,
    'SCRAM-SHA-1': exchanges.Scram('sha1'),
    'SCRAM-SHA-256': exchanges.Scram('sha256'),
}


class Finished(Exception):
  """The dialogue is over by our own will."""


class Cancelled(Exception):
  """The client has given up its AUTH."""


class Session:
  certificate = 'good'
  tls: dict = {}  # further Terms
  resumes = False  # does the store know TLS sessions of earlier connections?
  client_ca = ''  # ask for a certificate of this CA
  engine = engines.Engine
  words_in_clear: tuple[str, ...] = (*MAIL_WORDS, 'STARTTLS')
  words_in_tls: tuple[str, ...] = (*MAIL_WORDS, 'AUTH PLAIN LOGIN')
  words_logged_in: tuple[str, ...] = MAIL_WORDS
  wants_login = False
  greeting = b'220 store.test LMTP Cyrus 3.13 server ready\r\n'
  starttls_reply = b'220 2.0.0 Begin TLS negotiation now\r\n'
  password = PASSWORD  # what the store accepts
  refusal = b'501 5.5.4 authentication failure\r\n'
  welcome = b'235 2.0.0 Authenticated\r\n'
  scram: dict = {}  # further words to Scram
  binding: bytes | None = None  # what -PLUS is bound to instead of this connection
  final_reply = b'250 2.1.5 Success\r\n'

  def __init__(self, store, wire: Wire, number: int):
    self.store = store
    self.wire = wire
    self.number = number  # of this connection, from 1
    self.user = b''
    self.recipients: list[bytes] = []
    self.transactions = 0

  def run(self):
    try:
      self.greet()
      while True:
        self.obey(self.wire.line())
    except (Finished, Gone):
      self.wire.close()
    except Exception:
      self.store.errors.append(traceback.format_exc())
      self.wire.close(close_notify=False)
    finally:
      self.wire.hear_out()
      self.wire.socket.close()

  def reply(self, data: bytes):
    self.wire.write(data)

  def obey(self, line: bytes):
    with self.store.lock:
      self.store.commands.append(line)
    verb, _, argument = line.partition(b' ')
    getattr(self, f'on_{verb.decode("latin-1").lower()}', self.on_anything)(argument)

  def stall(self, seconds: float):
    if self.store.over.wait(seconds):
      raise Finished

  # The dialogue, in its order.

  def greet(self):
    self.reply(self.greeting)

  def words(self) -> tuple[str, ...]:
    return (self.words_logged_in if self.user
            else self.words_in_tls if self.wire.tls else self.words_in_clear)

  def lhlo_reply(self) -> bytes:
    lines = ['store.test', *self.words()]
    return ''.join(f'250-{line}\r\n' for line in lines).encode() + b'250 Ok SESSIONID=<s-1>\r\n'

  def on_lhlo(self, _argument: bytes):
    self.reply(self.lhlo_reply())

  def on_starttls(self, _argument: bytes):
    self.reply(self.starttls_reply)
    if not self.starttls_reply.startswith(b'220'):
      return
    self.shake_hands()
    self.user = b''

  def terms(self) -> engines.Terms:
    authority = self.store.authority
    return engines.Terms(authority.path(f'{self.certificate}.pem'),
                         authority.key_of(self.certificate),
                         client_ca=self.client_ca and authority.path(f'{self.client_ca}.pem'),
                         **self.tls)

  def shake_hands(self):
    terms = self.terms()
    if self.resumes:
      with self.store.lock:
        self.store.context = self.store.context or engines.make_context(terms)
      self.wire.start_tls(engines.Engine(terms, self.store.context))
    else:
      self.wire.start_tls(self.engine(terms))

  def ask(self, challenge: bytes) -> bytes:
    self.reply(b'334 ' + base64.b64encode(challenge) + b'\r\n')
    return self.answer()

  def answer(self) -> bytes:
    line = self.wire.line()
    if line == b'*':
      raise Cancelled
    return base64.b64decode(line, validate=True)

  def on_auth(self, argument: bytes):
    name, _, initial = argument.partition(b' ')
    try:
      first = (None if not initial else b'' if initial == b'='
               else base64.b64decode(initial, validate=True))
      self.user = self.exchange(name.decode('latin-1').upper(), first)
    except Cancelled:
      self.reply(b'501 5.7.0 cancelled\r\n')
      return
    except (ValueError, KeyError, binascii.Error):
      self.user = b''
    self.reply(self.welcome if self.user else self.refusal)

  def exchange(self, name: str, initial: bytes | None) -> bytes:
    if name == 'SCRAM-SHA-256-PLUS':
      binding = self.wire.tls.unique() if self.binding is None else self.binding
      mechanism = exchanges.Scram('sha256', binding=binding, **self.scram)
    elif name.startswith('SCRAM-') and self.scram:
      mechanism = exchanges.Scram('sha1' if name.endswith('-1') else 'sha256', **self.scram)
    else:
      mechanism = MECHANISMS[name]
    return mechanism(self.ask, initial, {USER: self.password})

  def on_mail(self, _argument: bytes):
    if self.wants_login and not self.user:
      self.reply(b'430 4.3.0 Authentication required\r\n')
      return
    self.recipients = []
    self.transactions += 1
    self.reply(b'250 2.1.0 ok\r\n')

  def on_rcpt(self, argument: bytes):
    self.recipients.append(argument)
    self.reply(b'250 2.1.5 ok\r\n')

  def on_data(self, _argument: bytes):
    if not self.recipients:
      self.reply(b'503 5.5.1 No recipients\r\n')
      return
    self.reply(b'354 go ahead\r\n')
    self.amid_message()
    message = self.wire.until(b'\r\n.\r\n')
    with self.store.lock:
      self.store.seen.append(message)
    self.after_dot(message)

  def amid_message(self):
    """When the message begins to come."""

  def after_dot(self, message: bytes):
    for recipient in self.recipients:
      with self.store.lock:
        self.store.filed.append((recipient, message))
      self.reply(self.final_reply)

  def on_rset(self, _argument: bytes):
    self.recipients = []
    self.reply(b'250 2.0.0 ok\r\n')

  def on_trace(self, argument: bytes):
    self.reply(b'250 2.0.0 Ok TRACEID=<' + argument + b'>\r\n')

  def on_quit(self, _argument: bytes):
    self.reply(b'221 2.0.0 bye\r\n')
    raise Finished

  def on_anything(self, _argument: bytes):
    self.reply(b'500 5.5.2 Syntax error\r\n')


def evil(base: type[Session] = Session, **attributes) -> type[Session]:
  """A session of which some attributes are others."""
  return type('Evil', (base,), attributes)
