"""What is between the load and the store: nothing, HAProxy, Dovecot's LMTP proxy, lmtpq serve.

What it is: Middle, which listens on `port` from start() to stop(), and hands on to one store by TCP.
What it does not know: the load, what is measured.
Lifetimes: each start is a new process, with the options of the last __init__.
"""

from fixtures.dovecot_language import PROGRAM, language, render
from fixtures.process import HasServer, Server
from fixtures.scratch import Scratch, free_port, tcp_listens

from meter import Meter


class Middle(HasServer):
  name = ''

  def __init__(self, scratch: Scratch, store_port: int):
    self.store_port = store_port
    self.port = free_port()
    self.dir = scratch.folder(f'middle-{self.port}')

  def command(self) -> list:
    raise NotImplementedError

  def start(self):
    self.server = Server(self.command(), self.dir / 'output')
    self.server.wait_ready(lambda: tcp_listens(self.port), f'{self.name} listens')

  def meter(self) -> Meter | None:
    return Meter(self.server.pid) if self.server else None


class Direct(Middle):
  name = 'nothing (direct)'

  def __init__(self, scratch: Scratch, store_port: int):
    super().__init__(scratch, store_port)
    self.port = store_port

  def start(self):
    pass


HAPROXY = """global
{threads}  maxconn 5000
defaults
  mode tcp
  timeout connect 10s
  timeout client 10m
  timeout server 10m
listen lmtp
  bind 127.0.0.1:{port}
  server store 127.0.0.1:{store_port}
"""


class HaProxy(Middle):
  """It passes bytes on, so each client's connection has a separate one to the store."""
  name = 'HAProxy, one thread'
  threads = '  nbthread 1\n'

  def command(self) -> list:
    conf = self.dir / 'haproxy.cfg'
    conf.write_text(HAPROXY.format(threads=self.threads, port=self.port,
                                   store_port=self.store_port))
    return ['haproxy', '-db', '-f', conf]


class HaProxyAsItIs(HaProxy):
  """A thread for each processor."""
  name = 'HAProxy, default threads'
  threads = ''


class DovecotProxy(Middle):
  """Each transaction dials the store. It has no AUTH towards a store, so it cannot serve a store
  that asks for a login; and Debian's Cyrus offers no TLS where it asks for none."""
  name = "Dovecot's LMTP proxy"

  def command(self) -> list:
    conf = self.dir / 'dovecot.conf'
    conf.write_text(render(language().proxy, dir=self.dir, port=self.port,
                           store_port=self.store_port))
    return [PROGRAM, '-F', '-c', conf]


class Serve(Middle):
  name = 'lmtpq serve'

  def __init__(self, scratch: Scratch, lmtpq: str, store: str, *options: str):
    """store: its DEST."""
    super().__init__(scratch, 0)
    self.lmtpq = lmtpq
    self.store = store
    self.options = options
    self.socket = self.dir / 'lmtp'

  def command(self) -> list:
    return [self.lmtpq, 'serve', '--config=/dev/null', f'--log={self.dir}/log', '--tag-keys=none',
            f'--listen=inet:127.0.0.1:{self.port},unix:{self.socket}', f'--spool-dir={self.dir}',
            *self.options, self.store]
