"""Packets that no MTA sends: the connection may end, the milter and all others stay.

libmilter reads the bytes; what it lets through must not hurt our callbacks.
"""

import random
import struct

import pytest

from peers.mta import wire
from peers.mta.session import Message
from peers.mta.wire import Deviation, packet, strings

from .asking import Asking, to_us


class TestBytes(Asking):
  def raw(self, *pieces: bytes) -> bytes:
    """Sends the pieces on a negotiated connection; returns all that comes until the milter closes
    it, or sends nothing more."""
    session = self.connect()
    try:
      for piece in pieces:
        session.wire.send(piece)
    except OSError:
      return b''  # closed already
    session.wire.socket.settimeout(0.02)
    got = b''
    try:
      while more := session.wire.socket.recv(65536):
        got += more
    except (TimeoutError, ConnectionResetError):
      pass
    return got

  def assert_no_edit(self, got: bytes):
    assert b'X-LMTPQ-Tag' not in got

  @pytest.mark.parametrize('length', [0, 1, 2, 65535, 65536, 65537, 0x7fffffff, 0x80000000,
                                      0xffffffff])
  def test_lengths_that_lie(self, length):
    self.assert_no_edit(self.raw(struct.pack('!I', length) + b'M', b'<a@b>\0'))

  @pytest.mark.parametrize('cut', range(1, 12))
  def test_a_packet_that_does_not_end(self, cut):
    self.assert_no_edit(self.raw(packet(wire.MAIL, strings('<a@b>'))[:cut]))

  def test_unknown_commands(self):
    known = {ord(letter) for letter in 'ABCDEHKLMNOQRTU'}
    for code in [0, 1, 31, *range(32, 127), 128, 255]:
      if code not in known:
        self.assert_no_edit(self.raw(packet(bytes([code]), b'x\0')))

  @pytest.mark.parametrize('command', [wire.CONNECT, wire.MAIL, wire.RCPT, wire.HEADER,
                                       wire.MACRO, wire.HELO, wire.NEGOTIATE, wire.UNKNOWN,
                                       wire.BODY])
  def test_commands_without_data(self, command):
    self.assert_no_edit(self.raw(packet(command)))

  @pytest.mark.parametrize('data', [b'x', b'x\0y', b'\0', b'\0\0', b'\0' * 64])
  @pytest.mark.parametrize('command', [wire.CONNECT, wire.MAIL, wire.RCPT, wire.HEADER, wire.MACRO,
                                       wire.UNKNOWN])
  def test_strings_without_an_end(self, command, data):
    if command == wire.MACRO and data.count(b'\0') % 2:
      data += b'\0'  # see test_odd_macros
    self.assert_no_edit(self.raw(packet(wire.MAIL, strings('<a@b>')), packet(command, data)))

  @pytest.mark.parametrize('data', [
      b'host\0', b'host\x004', b'host\0004\0\0', b'host\x004\0\0192.0.2.1',
      b'host\x004\0\0not-an-address\0', b'host\x006\0\x00192.0.2.1\0', b'host\0X\0\0y\0',
      b'host\0L\0\0' + b'p' * 300 + b'\0', b'host\0L\0\0/run/x\0', b'host\0U', b'\0U',
      b'host\x006\0\0IPv6:2001:db8::1\0', b'host\x006\0\0::\0', b'host\x004\0\0\0'])
  def test_odd_clients(self, data):
    self.assert_no_edit(self.raw(packet(wire.CONNECT, data)))

  @pytest.mark.parametrize('data', [
      b'M', b'Mi', b'Mi\0\0', b'M\0\0', b'Mi\0q\0j', b'Zi\0q\0', b'M' + b'\0' * 1000,
      b'M' + b'{a}\0b\0' * 5000])
  def test_odd_macros(self, data):
    """An odd number of strings is left out: smfi_getsymval() itself reads beyond its array then
    (libmilter 8.17.1), and no callback can help that."""
    session = self.connect()
    try:
      session.wire.send(packet(wire.MACRO, data) + packet(wire.MAIL, strings('<a@b>'))
                        + packet(wire.ABORT))
      self.assert_tagged(session.ask(Message('odd', 'a@b', to_us('c@store.test'))), 'odd')
    except (Deviation, OSError) as error:
      assert not session.wire.taken, error

  def test_nul_within_texts(self):
    session = self.connect()
    session.send([(wire.MAIL, session.command(wire.MAIL, b'<a\0@b>\0SIZE=1\0\0\0', {'i': 'n1'})),
                  (wire.RCPT, session.command(wire.RCPT, b'<c\0@store.test>\0',
                                              {'{rcpt_mailer}': 'cyrusv2', '{rcpt_addr}': 'c'})),
                  (wire.HEADER, session.command(wire.HEADER, b'X-LMTPQ-Tag\0old\0more\0')),
                  (wire.HEADER, session.command(wire.HEADER, b'Message-ID\0<1\0@a>\0')),
                  (wire.EOM, session.command(wire.EOM, b'', {'i': 'n1'}))])
    self.assert_tagged(session.finish(), 'n1', '<1', deleted=1)

  @pytest.mark.parametrize('data', [b'\0\0', b'\0value\0', b'name\0'])
  def test_a_field_without_a_name_or_value(self, data):
    self.assert_no_edit(self.raw(packet(wire.MAIL, strings('<a@b>')),
                                 packet(wire.RCPT, strings('<c@d>')),
                                 packet(wire.HEADER, data)))

  def test_one_byte_at_a_time(self):
    session = self.connect()
    message = Message('slow', 'a@example.org', to_us('c@store.test'), [('Message-ID', '<1@a>')])
    for byte in b''.join(data for _, data in session.commands(message)):
      session.wire.send(bytes([byte]))
    self.assert_tagged(session.finish(), 'slow', '<1@a>')

  def test_a_body_that_was_not_asked_for(self):
    session = self.connect()
    session.begin(Message('body', 'a@example.org', to_us('c@store.test')))
    self.assert_tagged(session.finish(), 'body')
    for data in (b'', b'x' * wire.MAX_PACKET):
      session.send([(wire.MAIL, session.command(wire.MAIL, strings('<a@b>'), {'i': 'body'})),
                    (wire.RCPT, session.command(wire.RCPT, strings('<c@d>'),
                                                {'{rcpt_mailer}': 'cyrusv2'})),
                    (wire.EOM, packet(wire.EOM, data))])
      self.assert_tagged(session.finish(), 'body')

  def test_the_largest_packet_and_one_more(self):
    session = self.connect()
    fields = [('X-Long', 'x' * (wire.MAX_PACKET - len('X-Long') - 2))]
    self.assert_tagged(session.ask(Message('big', 'a@b', to_us('c@store.test'), fields)), 'big')
    fields = [('X-Long', 'x' * (wire.MAX_PACKET - len('X-Long') - 1))]
    with pytest.raises((Deviation, OSError)):
      session.ask(Message('bigger', 'a@b', to_us('c@store.test'), fields))

  def test_noise(self):
    dice = random.Random(87)
    letters = b'ABCEHKLMNOQRTU'  # macros: see test_odd_macros
    for number in range(150):
      pieces = []
      for _ in range(dice.randrange(1, 12)):
        data = dice.randbytes(dice.randrange(40))
        if dice.random() < 0.7:
          data += b'\0'
        pieces.append(packet(bytes([dice.choice(letters)]), data))
      session = self.connect()
      try:
        session.wire.send(b''.join(pieces))
      except OSError:
        pass
      session.close(quit_first=False)

  def test_its_milter_stops_cleanly(self):
    self.stops_cleanly()
