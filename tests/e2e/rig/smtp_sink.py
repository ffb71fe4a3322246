"""A remote SMTP server that takes every message and keeps it: where mail leaves the site.

Lifetimes: listens from start() to stop(), in a thread of the test.
"""

import socketserver
import threading

from .scratch import free_port


class Client(socketserver.StreamRequestHandler):
  timeout = 60

  def handle(self):
    self.say('220 sink.test ESMTP')
    while line := self.rfile.readline(4096):
      verb = line[:4].upper()
      if verb == b'DATA':
        self.say('354 go on')
        self.server.messages.append(self.read_message())
        self.say('250 2.0.0 taken')
      elif verb == b'QUIT':
        self.say('221 2.0.0 bye')
        return
      else:
        self.say('250 2.0.0 ok')

  def say(self, text: str):
    self.wfile.write(f'{text}\r\n'.encode())

  def read_message(self) -> bytes:
    lines = []
    while (line := self.rfile.readline(65536)) not in (b'.\r\n', b''):
      lines.append(line[1:] if line.startswith(b'.') else line)
    return b''.join(lines)


class SmtpSink(socketserver.ThreadingTCPServer):
  allow_reuse_address = True
  daemon_threads = True

  def __init__(self):
    self.messages: list[bytes] = []
    self.port = free_port()
    super().__init__(('127.0.0.1', self.port), Client)

  def start(self):
    self.thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
    self.thread.start()

  def stop(self):
    self.shutdown()
    self.server_close()
    self.thread.join(timeout=5)

  def mc_lines(self, domain: str) -> str:
    """Mail to this domain goes to the sink."""
    return (f"define(`ESMTP_MAILER_ARGS', `TCP $h {self.port}')\n"
            f"LOCAL_RULE_0\nR$+ < @ {domain} $* >\t$#esmtp $@ [127.0.0.1] $: $1 < @ {domain} . >\n"
            f"divert(0)dnl\n")
