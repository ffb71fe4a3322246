"""A milter that asks for no macros, and goes wrong when it is told to.

What it is: the milter protocol (version 6) on a unix socket, one thread for each connection; what
  Sendmail sent is kept.
What it does not know: policy and tags; it changes no message.
Called by: test_milter_failures.py. Its threads are daemons and end with the process.
Failure: what is not understood is answered by continue.
"""

import socket
import struct
import threading
import time
from pathlib import Path

NEGOTIATE, MACROS, END, ABORT, QUIT, QUIT_NC = b'O', b'D', b'E', b'A', b'Q', b'K'
NO_ANSWER = (MACROS, ABORT, QUIT, QUIT_NC)
ADD_AND_CHANGE_HEADERS = 0x01 | 0x10


class FakeMilter:
  """`trouble` is what it does in place of the answer to the command `stage`: hang, hang up, or the
  letter of another answer."""

  def __init__(self, path: Path, stage: bytes = b'', trouble: str = ''):
    self.path, self.stage, self.trouble = path, stage, trouble
    self.commands: list[bytes] = []
    self.macros: dict[bytes, dict[str, str]] = {}  # command -> what was sent with it
    self.listener = socket.socket(socket.AF_UNIX)
    self.listener.bind(str(path))
    self.listener.listen()
    threading.Thread(target=self.serve, daemon=True).start()

  def serve(self):
    while True:
      connection, _ = self.listener.accept()
      threading.Thread(target=self.converse, args=(connection,), daemon=True).start()

  def converse(self, connection: socket.socket):
    with connection, connection.makefile('rwb') as stream:
      while head := stream.read(4):
        packet = stream.read(struct.unpack('!I', head)[0])
        command, data = packet[:1], packet[1:]
        if command == MACROS:
          words = data[1:].decode('latin-1').split('\0')
          self.macros.setdefault(data[:1], {}).update(zip(words[::2], words[1::2]))
        else:
          self.commands.append(command)
        if command in NO_ANSWER:
          continue
        answer = b'c'
        if command == NEGOTIATE:
          answer = b'O' + struct.pack('!III', 6, ADD_AND_CHANGE_HEADERS, 0)
        if command == self.stage:
          if self.trouble == 'hang':
            time.sleep(60)
          if self.trouble in ('hang', 'hang up'):
            return
          answer = self.trouble.encode()
        stream.write(struct.pack('!I', len(answer)) + answer)
        stream.flush()
