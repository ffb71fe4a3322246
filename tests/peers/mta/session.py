"""One connection of an MTA to a milter.

What it is: Session negotiates as Sendmail does, sends what was agreed (no step that the milter does
  not want, only macros that it asked for), and returns an Answer for each message.
What it does not know: what the milter should do.
Called by: load; the tests.
Lifetimes: begin() and finish() come in pairs; several sessions can have a message under way.
Failure: Deviation for a reply that is none, comes where none was promised, or does not come.
"""

import struct
from dataclasses import dataclass, field

from . import wire
from .wire import Deviation, packet, strings

MACRO_STAGES = [wire.CONNECT, wire.HELO, wire.MAIL, wire.RCPT, wire.DATA, wire.EOM, wire.EOH]
# What Sendmail's cf files send to a milter that asks for nothing.
USUAL_MACROS = {wire.CONNECT: {'j', '_', '{daemon_name}', '{if_name}', '{if_addr}'},
                wire.HELO: {'{tls_version}', '{cipher}', '{cipher_bits}', '{cert_subject}',
                            '{cert_issuer}'},
                wire.MAIL: {'i', '{auth_type}', '{auth_authen}', '{auth_ssf}', '{auth_author}',
                            '{mail_mailer}', '{mail_host}', '{mail_addr}'},
                wire.RCPT: {'{rcpt_mailer}', '{rcpt_host}', '{rcpt_addr}'},
                wire.EOM: {'{msg_id}'}}


@dataclass
class Recipient:
  given: str  # without brackets
  resolved: str
  mailer: str


@dataclass
class Message:
  queue_id: str
  sender: str = ''  # without brackets
  recipients: list[Recipient] = field(default_factory=list)
  fields: list[tuple[str, str]] = field(default_factory=list)
  macros: dict[str, str] = field(default_factory=dict)  # of MAIL
  size: int | None = None
  parameters: list[str] = field(default_factory=list)  # of MAIL


@dataclass(frozen=True)
class Edit:
  kind: bytes
  index: int
  name: str
  value: str


@dataclass(frozen=True)
class Answer:
  edits: tuple[Edit, ...]
  verdict: bytes


def edit(kind: bytes, data: bytes) -> Edit:
  if kind not in (wire.INSERT_HEADER, wire.CHANGE_HEADER):
    raise Deviation(f'an edit that was not asked for: {kind!r} {data[:80]!r}')
  name, value, rest = data[4:].split(b'\0', 2)
  if rest:
    raise Deviation(f'bytes after an edit: {rest[:80]!r}')
  return Edit(kind, struct.unpack_from('!I', data)[0], name.decode(), value.decode())


def address_of(client: str) -> bytes:
  """What follows the host's name in a CONNECT packet; '' is a local program."""
  if not client:
    return b'U'
  family = b'L' if client.startswith('/') else b'6' if ':' in client else b'4'
  return family + struct.pack('!H', 0 if family == b'L' else 40000) + strings(client)


class Session:
  def __init__(self, path: str, actions: int = wire.ALL_ACTIONS, steps: int = wire.ALL_STEPS,
               version: int = 6, timeout: float = 60):
    self.wire = wire.Wire(path, timeout)
    self.steps: set[str] = set()
    self.actions: set[str] = set()
    self.macros = USUAL_MACROS
    self.offer(version, actions, steps)

  def offer(self, version: int, actions: int, steps: int):
    self.wire.send(packet(wire.NEGOTIATE, struct.pack('!III', version, actions, steps)))
    reply = self.wire.receive()
    if reply is None or reply[0] != wire.NEGOTIATE or len(reply[1]) < 12:
      raise Deviation(f'no negotiation: {reply}')
    agreed, wanted, changed = struct.unpack_from('!III', reply[1])
    if agreed > version or wanted & ~actions or changed & ~steps:
      raise Deviation(f'wants what was not offered: {agreed} {wanted:#x} {changed:#x}')
    self.actions = wire.names_of(wanted, wire.ACTIONS)
    self.steps = wire.names_of(changed, wire.STEPS)
    self._take_macro_lists(reply[1][12:])

  def _take_macro_lists(self, data: bytes):
    if data and 'setsymlist' not in self.actions:
      raise Deviation('macro lists without SETSYMLIST')
    if data:
      self.macros = dict(USUAL_MACROS)
    while data:
      stage = MACRO_STAGES[struct.unpack_from('!I', data)[0]]
      names, data = data[4:].split(b'\0', 1)
      self.macros[stage] = set(names.decode().replace(',', ' ').split())

  def command(self, command: bytes, data: bytes = b'',
              macros: dict[str, str] | None = None) -> bytes:
    """The packets of one command; none when the milter wants none."""
    if wire.NOT_SENT.get(command) in self.steps:
      return b''
    known = self.macros.get(command, ())
    # As Sendmail does: also when none of them has a value.
    words = [word for name, value in (macros or {}).items() if name in known
             for word in (name, value)]
    before = packet(wire.MACRO, command + strings(*words)) if known else b''
    return before + packet(command, data)

  def replies(self, command: bytes) -> bool:
    return (command in wire.NO_REPLY and wire.NO_REPLY[command] not in self.steps
            and wire.NOT_SENT[command] not in self.steps)

  def commands(self, message: Message):
    """(command, its packets) up to the end of the message."""
    macros = {'i': message.queue_id} if message.queue_id else {}
    sender = [f'<{message.sender}>', *message.parameters]
    yield wire.MAIL, self.command(wire.MAIL, strings(*sender), macros | message.macros)
    for one in message.recipients:
      told = {'{rcpt_mailer}': one.mailer, '{rcpt_host}': 'host', '{rcpt_addr}': one.resolved}
      yield wire.RCPT, self.command(wire.RCPT, strings(f'<{one.given}>'),
                                    {name: value for name, value in told.items() if value})
    yield wire.DATA, self.command(wire.DATA)
    for name, value in message.fields:
      yield wire.HEADER, self.command(wire.HEADER, strings(name, value))
    yield wire.EOH, self.command(wire.EOH)
    yield wire.BODY, self.command(wire.BODY, b'Some text.\r\n')
    if message.size is not None:
      macros = macros | {'{msg_size}': str(message.size)}
    yield wire.EOM, self.command(wire.EOM, b'', macros)

  def expect_continue(self):
    reply = self.wire.receive()
    if reply is None or reply != (wire.CONTINUE, b''):
      raise Deviation(f'expected a CONTINUE, got {reply}')

  def send(self, commands):
    """Several in one piece as long as no reply is due."""
    waiting = bytearray()
    for command, data in commands:
      waiting += data
      if self.replies(command):
        self.wire.send(waiting)
        waiting = bytearray()
        self.expect_continue()
    self.wire.send(waiting)

  def client(self, address: str, host: str = 'client.example.org'):
    macros = {'{client_addr}': address} if address else {}
    self.send([(wire.CONNECT,
                self.command(wire.CONNECT, strings(host) + address_of(address), macros)),
               (wire.HELO, self.command(wire.HELO, strings(host)))])

  def begin(self, message: Message):
    self.send(self.commands(message))

  def finish(self) -> Answer:
    edits = []
    while True:
      reply = self.wire.receive()
      if reply is None:
        raise Deviation('the milter closed the connection instead of an answer')
      if reply[0] in wire.VERDICTS:
        return Answer(tuple(edits), reply[0])
      edits.append(edit(*reply))

  def ask(self, message: Message) -> Answer:
    self.begin(message)
    return self.finish()

  def abort(self):
    self.wire.send(packet(wire.ABORT))

  def next_client(self, address: str):
    """Another SMTP client over the same connection."""
    self.wire.send(packet(wire.QUIT_NEXT))
    self.client(address)

  def close(self, quit_first: bool = True):
    if quit_first:
      try:
        self.wire.send(packet(wire.QUIT))
      except OSError:
        pass  # the milter was quicker
    self.wire.close()
