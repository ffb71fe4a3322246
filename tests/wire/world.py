"""One daemon between broken stores and hostile clients.

What it is: World(seed) has four stores (one with a login within TLS, one with a login without TLS, each
  with the mailboxes that the route file says), a listener that anyone may use and one that is trusted;
  play() lets clients run, end() ends it.
What it does not know: what must hold; that is the ledger's.
"""

import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

from fixtures.lmtp_client import Client, Message
from fixtures.process import wait_until
from fixtures.serve import Serve
from peers.secure.session import PASSWORD, USER

from .broken_store import BrokenStore
from .hostile_client import MAILBOXES, HostileClient
from .ledger import Ledger, Sent

CLIENTS_AT_ONCE = 8
# Short ones: a store that is silent must not hold up a run.
TIMEOUTS = ''.join(f'{name}-timeout = 1s\n' for name in
                   ('lhlo', 'starttls', 'auth', 'mail', 'rcpt', 'data-init', 'data-xfer', 'data-done', 'rset', 'quit'))
# Without TLS only those that do not send the password may be used. DIGEST-MD5 has a security layer.
MECHANISMS = {'tls': ('PLAIN LOGIN',), 'clear': ('LOGIN SCRAM-SHA-256 PLAIN', 'PLAIN DIGEST-MD5')}
SETTINGS = """dial-backoff = 10ms
dial-backoff-limit = 50ms
connections = 4
wait-timeout = 5s
drain-timeout = 20s
debug-peer = all
tag-keys = {keys}
route-file = {routes}
destination = {stores}
[destination.tls]
destination = {tls}
tls = verify
tls-ca-file = {ca}
tls-name = store.test
auth-password-file = {passwords}
connection-uses = 3
[destination.clear]
destination = {clear}
auth-password-file = {passwords}
connection-uses = 3
[listener.open]
address = unix:{folder}/open
[listener.trusted]
address = unix:{folder}/trusted
trusted-clients = all
"""


class World:
  def __init__(self, folder: Path, program: Path, authority, key: str, seed: int, faults: float = 0.3):
    self.folder, self.key, self.seed = folder, key, seed
    self.ledger = Ledger()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.folder / 'good.pem', authority.folder / 'leaf.key')
    self.stores = [BrokenStore(folder / name, name, self.ledger, f'{seed}{name}', faults,
                               context if name == 'tls' else None, MECHANISMS.get(name, ()))
                   for name in ('a', 'b', 'tls', 'clear')]
    self.process = Serve(folder / 'serve', program=program)
    self.process.write(self._configuration(authority))
    self.process.start()

  def _configuration(self, authority) -> str:
    addresses = [store.address for store in self.stores]
    routes = self.folder / 'routes'
    routes.write_text(''.join(f'u{number}@store.test {addresses[number % 4]}, {addresses[(number + 1) % 4]}\n'
                              for number in range(MAILBOXES)))
    keys = self.folder / 'keys'
    keys.write_text(f'{self.key}\n')
    keys.chmod(0o600)
    passwords = self.folder / 'passwords'
    passwords.write_bytes(b''.join(b'%s %s:%s\n' % (address.encode(), USER, PASSWORD)
                                   for address in addresses[2:]))
    passwords.chmod(0o600)
    settings = SETTINGS.format(keys=keys, routes=routes, stores=addresses[0], tls=addresses[2],
                               clear=addresses[3], passwords=passwords, ca=authority.folder / 'ca.pem',
                               folder=self.folder)
    return TIMEOUTS + settings

  def play(self, clients: int):
    def one(number: int):
      random = Random(f'{self.seed}/{number}')
      trusted = random.random() < 0.3
      HostileClient(f'unix:{self.folder}/{"trusted" if trusted else "open"}', trusted, self.key, self.ledger,
                    random, f's{self.seed}c{number}').run()
    with ThreadPoolExecutor(CLIENTS_AT_ONCE) as pool:
      list(pool.map(one, range(clients)))

  def heal(self):
    """After it all, with stores that are well: waits until each of them files a plain message."""
    for store in self.stores:
      store.faults = 0
    before = len(self.ledger.filed)
    def delivered() -> bool:
      with Client(f'unix:{self.folder}/open') as client:
        last = Message([f'u{number}@store.test' for number in range(len(self.stores))])
        self.ledger.send(Sent(last.number, last.recipients, {last.queue_id}, set(), last.text()))
        client.deliver(last)
      filed_by = {filed.store for filed in self.ledger.filed[before:]}
      return filed_by == {store.name for store in self.stores}
    wait_until(delivered, 'every store files a message at the end')

  def end(self):
    self.process.kill()
    for store in self.stores:
      store.stop()
