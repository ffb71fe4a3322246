"""Packets of the milter protocol (libmilter/mfdef.h) and a socket that they go through.

What it is: letters and bits of the protocol, packet() and Wire.
What it does not know: which packet may follow which.
Called by: session; tests that send what no MTA would.
Lifetimes: a Wire owns its socket until close().
Failure: Deviation when the milter sends no packet or none in time; OSError from the socket.
"""

import socket
import struct

ABORT, BODY, CONNECT, MACRO, EOM, HELO = b'A', b'B', b'C', b'D', b'E', b'H'
QUIT_NEXT, HEADER, MAIL, EOH, NEGOTIATE = b'K', b'L', b'M', b'N', b'O'
QUIT, RCPT, DATA, UNKNOWN = b'Q', b'R', b'T', b'U'

ADD_HEADER, INSERT_HEADER, CHANGE_HEADER = b'h', b'i', b'm'
ACCEPT, CONTINUE, DISCARD, REJECT, TEMPFAIL, REPLY_CODE = b'a', b'c', b'd', b'r', b't', b'y'
VERDICTS = ACCEPT + CONTINUE + DISCARD + REJECT + TEMPFAIL + REPLY_CODE

ACTIONS = {'addhdrs': 0x1, 'chgbody': 0x2, 'addrcpt': 0x4, 'delrcpt': 0x8, 'chghdrs': 0x10,
           'quarantine': 0x20, 'chgfrom': 0x40, 'addrcpt_par': 0x80, 'setsymlist': 0x100}
STEPS = {'noconnect': 0x1, 'nohelo': 0x2, 'nomail': 0x4, 'norcpt': 0x8, 'nobody': 0x10,
         'nohdrs': 0x20, 'noeoh': 0x40, 'nr_hdr': 0x80, 'nounknown': 0x100, 'nodata': 0x200,
         'skip': 0x400, 'rcpt_rej': 0x800, 'nr_conn': 0x1000, 'nr_helo': 0x2000,
         'nr_mail': 0x4000, 'nr_rcpt': 0x8000, 'nr_data': 0x10000, 'nr_unkn': 0x20000,
         'nr_eoh': 0x40000, 'nr_body': 0x80000, 'hdr_leadspc': 0x100000}
ALL_ACTIONS = sum(ACTIONS.values())
ALL_STEPS = sum(STEPS.values())

# Of each command: the bit by which the milter wants none, and the one by which it does not reply.
NOT_SENT = {CONNECT: 'noconnect', HELO: 'nohelo', MAIL: 'nomail', RCPT: 'norcpt',
            DATA: 'nodata', HEADER: 'nohdrs', EOH: 'noeoh', BODY: 'nobody', UNKNOWN: 'nounknown'}
NO_REPLY = {CONNECT: 'nr_conn', HELO: 'nr_helo', MAIL: 'nr_mail', RCPT: 'nr_rcpt',
            DATA: 'nr_data', HEADER: 'nr_hdr', EOH: 'nr_eoh', BODY: 'nr_body',
            UNKNOWN: 'nr_unkn'}
MAX_PACKET = 65535  # bytes of data that libmilter takes


class Deviation(AssertionError):
  """The milter did something else than it must."""


def names_of(bits: int, table: dict[str, int]) -> set[str]:
  return {name for name, bit in table.items() if bits & bit}


def bits_of(names, table: dict[str, int]) -> int:
  return sum(table[name] for name in names)


def packet(command: bytes, data: bytes = b'') -> bytes:
  return struct.pack('!I', len(data) + 1) + command + data


def strings(*texts: str) -> bytes:
  return b''.join(text.encode('utf-8', 'surrogateescape') + b'\0' for text in texts)


class Wire:
  def __init__(self, path: str, timeout: float = 60):
    self.socket = socket.socket(socket.AF_UNIX)
    self.socket.settimeout(timeout)
    self.socket.connect(path)
    self.taken = bytearray()

  def send(self, data: bytes):
    self.socket.sendall(data)

  def _have(self, count: int) -> bool:
    """False: the milter has closed the connection."""
    while len(self.taken) < count:
      try:
        more = self.socket.recv(65536)
      except TimeoutError as error:
        raise Deviation('no answer in time') from error
      except ConnectionResetError:
        return False
      if not more:
        return False
      self.taken += more
    return True

  def receive(self) -> tuple[bytes, bytes] | None:
    """The next packet; None: the milter has closed the connection."""
    if not self._have(5):
      return None
    length = struct.unpack_from('!I', self.taken)[0]
    if not 1 <= length <= 1 << 20:
      raise Deviation(f'a packet of {length} bytes')
    if not self._have(4 + length):
      return None
    command, data = bytes(self.taken[4:5]), bytes(self.taken[5:4 + length])
    del self.taken[:4 + length]
    return command, data

  def silent(self, seconds: float) -> bool:
    """Whether nothing comes during this time."""
    if self.taken:
      return False
    self.socket.settimeout(seconds)
    try:
      self.taken += self.socket.recv(65536)
      return False
    except TimeoutError:
      return True

  def close(self):
    self.socket.close()
