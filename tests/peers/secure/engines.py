"""The server's side of TLS on memory buffers, by Python's ssl module or by python3-openssl.

What it is: Engine, and RenegotiatingEngine, which can ask for a renegotiation, as Python's
  own module cannot.
What it does not know: sockets.
Called by: Wire; a Session makes one for each handshake.
Failure: Broken, with OpenSSL's words. sealed() then has what must be sent (an alert).
"""

import ssl
import warnings
from dataclasses import dataclass

warnings.simplefilter('ignore', DeprecationWarning)  # TLS 1.0 is asked for on purpose


class Broken(Exception):
  pass


@dataclass(frozen=True)
class Terms:
  """The settings of a server's TLS."""
  certificate: str
  key: str
  least: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
  most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
  ciphers: str = ''
  client_ca: str = ''  # ask for a certificate of this CA


def make_context(terms: Terms) -> ssl.SSLContext:
  context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
  context.minimum_version, context.maximum_version = terms.least, terms.most
  if terms.ciphers:
    context.set_ciphers(terms.ciphers)
  context.load_cert_chain(terms.certificate, terms.key)
  if terms.client_ca:
    context.load_verify_locations(terms.client_ca)
    context.verify_mode = ssl.CERT_OPTIONAL
  return context


class Engine:
  """With the context of an earlier one, the client can resume its session."""

  def __init__(self, terms: Terms, context: ssl.SSLContext | None = None):
    context = context or make_context(terms)
    self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    self.connection = context.wrap_bio(self.incoming, self.outgoing, server_side=True)

  def feed(self, sealed: bytes):
    self.incoming.write(sealed)

  def sealed(self) -> bytes:
    return self.outgoing.read()

  def shake(self) -> bool:
    try:
      self.connection.do_handshake()
      return True
    except ssl.SSLWantReadError:
      return False
    except ssl.SSLError as error:
      raise Broken(str(error)) from error

  def take(self) -> tuple[bytes, bool]:
    """Plain bytes, and whether the client sent close_notify."""
    try:
      plain = self.connection.read(65536)
      return plain, not plain
    except ssl.SSLWantReadError:
      return b'', False
    except ssl.SSLZeroReturnError:
      return b'', True
    except ssl.SSLError as error:
      raise Broken(str(error)) from error

  def seal(self, plain: bytes):
    try:
      self.connection.write(plain)
    except ssl.SSLError as error:
      raise Broken(str(error)) from error

  def send_close_notify(self):
    try:
      self.connection.unwrap()
    except ssl.SSLWantReadError:
      pass  # the client's close_notify is not waited for

  def provoked_alert(self) -> bytes:
    """A fatal alert, sealed: what OpenSSL says to a record that nobody can have sent."""
    self.incoming.write(b'x' * 20_000)  # the end of a record that has begun, and the next
    try:
      while self.connection.read(65536):
        pass
    except ssl.SSLError:
      pass
    return self.sealed()

  def protocol(self) -> str:
    return self.connection.version() or ''

  def resumed(self) -> bool:
    return bool(self.connection.session_reused)

  def unique(self) -> bytes:
    """tls-unique; over TLS 1.3 the client's Finished, as Cyrus takes it."""
    return self.connection.get_channel_binding('tls-unique') or b''


class RenegotiatingEngine:
  """TLS 1.2 that can ask for a renegotiation; as much of an Engine as a Wire needs."""

  def __init__(self, terms: Terms):
    from OpenSSL import SSL  # python3-openssl; nothing else here needs it
    self.library = SSL
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    context.use_certificate_chain_file(terms.certificate)
    context.use_privatekey_file(terms.key)
    self.connection = SSL.Connection(context, None)
    self.connection.set_accept_state()

  def feed(self, sealed: bytes):
    self.connection.bio_write(sealed)

  def sealed(self) -> bytes:
    parts = []
    try:
      while part := self.connection.bio_read(65536):
        parts.append(part)
    except self.library.Error:
      pass  # nothing is left
    return b''.join(parts)

  def shake(self) -> bool:
    try:
      self.connection.do_handshake()
      return True
    except self.library.WantReadError:
      return False
    except self.library.Error as error:
      raise Broken(str(error)) from error

  def take(self) -> tuple[bytes, bool]:
    try:
      return self.connection.recv(65536), False
    except self.library.WantReadError:
      return b'', False
    except self.library.ZeroReturnError:
      return b'', True
    except self.library.Error as error:
      raise Broken(str(error)) from error

  def seal(self, plain: bytes):
    try:
      self.connection.send(plain)
    except self.library.Error as error:
      raise Broken(str(error)) from error

  def ask_for_renegotiation(self):
    self.connection.renegotiate()
    self.shake()

  def send_close_notify(self):
    try:
      self.connection.shutdown()
    except self.library.Error as error:
      raise Broken(str(error)) from error

  def protocol(self) -> str:
    return self.connection.get_protocol_version_name()

  def resumed(self) -> bool:
    return False
