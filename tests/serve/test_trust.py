"""SIGHUP renews what the stores are judged by, and what they see of us: CAs, CRL, certificate,
password. For all stores together, also those that only a route leads to, or for none."""

import ssl
from pathlib import Path

import pytest

from fixtures.authority import Authority, Leaf
from fixtures.process import wait_until

from .daemon import FRONT, Daemon, all_start, message
from .fake_store import OFFERS, FakeStore

TLS_OFFERS = (*OFFERS, 'STARTTLS')


@pytest.fixture(scope='module')
def authority(tmp_path_factory) -> Authority:
  return Authority(tmp_path_factory.mktemp('authority'))


def show(store: FakeStore, leaf: Leaf):
  """The store offers TLS with this certificate, and accepts any of ours."""
  store.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
  store.tls.load_cert_chain(leaf.certificate, leaf.key)
  store.offers = TLS_OFFERS


class World:
  """Mail goes to the store `near`; that for routed@store.test to `far`, by a route. Each has its CA
  and its CRL."""

  def __init__(self, new_daemon, authority: Authority, leaf: str, more: str = ''):
    self.authority = authority
    self.daemon: Daemon = new_daemon(start=False)
    self.near, self.far = self.daemon.store, self.daemon.another_store('far')
    self.folder = self.daemon.folder
    sections = ''
    for name, store in (('near', self.near), ('far', self.far)):
      show(store, authority.leaf(leaf))
      self.write(f'{name}-ca.pem', authority.ca.read_bytes())
      sections += (f'[destination.{name}]\ndestination = {store.address}\ntls = verify\n'
                   f'tls-name = store.test\ntls-ca-file = {{folder}}/{name}-ca.pem\n{more}')
    (self.folder / 'routes').write_text(f'routed@ {self.far.address}\n')
    self.daemon.configure('route-file = {folder}/routes\ndial-backoff = 1ms\n', FRONT + sections)

  def write(self, name: str, text: bytes):
    """In one step."""
    made = self.folder / 'made'
    made.write_bytes(text)
    made.rename(self.folder / name)

  def hang_up(self, word: str = 'event=reloaded'):
    logged = self.daemon.process.count(word)
    self.daemon.process.hang_up()
    wait_until(lambda: self.daemon.process.count(word) > logged, f'{word} in the log')

  def dials(self) -> list[int]:
    return [len(store.connections) for store in (self.near, self.far)]

  def filed(self) -> list[int]:
    return [len(store.filed) for store in (self.near, self.far)]

  def deliver(self) -> list[str]:
    """One message to each store."""
    return [*self.daemon.deliver('alice'), *self.daemon.deliver('routed')]


def crl_without_revocations(authority: Authority, path: Path) -> bytes:
  """Made by the CA before it revokes anything."""
  authority.by_ca('-gencrl', '-out', path)
  return path.read_bytes()


@pytest.fixture
def revoked(new_daemon, tmp_path) -> World:
  """Stores whose certificate is good by the CRL of now, and revoked by that of `later`."""
  authority = Authority(tmp_path)
  before = crl_without_revocations(authority, tmp_path / 'before.pem')
  world = World(new_daemon, authority, 'revoked', 'tls-crl-file = {folder}/crl.pem\n')
  world.write('crl.pem', before)
  world.later = authority.crl().read_bytes()
  world.daemon.process.start()
  all_start(world.deliver(), '250')
  return world


def test_a_store_whose_certificate_is_revoked_gets_nothing_by_whatever_way_it_is_reached(revoked):
  revoked.write('crl.pem', revoked.later)
  revoked.hang_up()
  for _ in range(4):
    all_start(revoked.deliver(), '451')
  assert revoked.filed() == [1, 1], 'nothing after the reload'
  assert 'certificate revoked' in revoked.daemon.process.log_text()


def test_connections_that_are_open_when_the_trust_changes_are_closed(revoked):
  with revoked.daemon.dial() as idle:
    assert [store.open for store in (revoked.near, revoked.far)] == [1, 1], 'they are kept'
    revoked.write('crl.pem', revoked.later)
    revoked.hang_up()
    wait_until(lambda: revoked.near.open + revoked.far.open == 0, 'they are closed')
    all_start(idle.deliver(message('routed')), '451')
  assert revoked.near.connections[0].said('QUIT') and revoked.far.connections[0].said('QUIT')


def test_a_message_under_way_when_the_trust_changes_is_delivered(revoked):
  held = revoked.daemon.held('alice')
  revoked.write('crl.pem', revoked.later)
  revoked.hang_up()
  revoked.near.hold.set()
  all_start(held.end(), '250')
  wait_until(lambda: revoked.near.open == 0, 'its connection is closed after it')
  assert revoked.filed() == [2, 1]


def test_a_reload_that_fails_renews_nothing(new_daemon, authority, tmp_path):
  """The CA of the first store is another, that of the second is no PEM file: with either order of
  reading, none is taken over."""
  other = Authority(tmp_path)
  for good, broken in (('near', 'far'), ('far', 'near')):
    world = World(new_daemon, authority, 'server', 'connection-uses = 1\n')
    world.daemon.process.start()
    all_start(world.deliver(), '250')
    world.write(f'{good}-ca.pem', other.ca.read_bytes())
    world.write(f'{broken}-ca.pem', b'nothing\n')
    world.hang_up('previous configuration kept')
    assert f'{broken}-ca.pem' in world.daemon.process.log_lines('event=reload-failed')[-1]
    all_start(world.deliver(), '250')
    assert world.dials() == [2, 2], 'by new connections'
    world.write(f'{broken}-ca.pem', authority.ca.read_bytes())
    world.hang_up()
    replies = dict(zip(('near', 'far'), world.deliver(), strict=True))
    assert replies[good].startswith('451') and replies[broken].startswith('250'), replies


def test_connections_stay_when_the_files_have_the_same_contents(new_daemon, authority):
  world = World(new_daemon, authority, 'server')
  world.daemon.process.start()
  for _ in range(3):
    all_start(world.deliver(), '250')
    for name in ('near', 'far'):
      world.write(f'{name}-ca.pem', authority.ca.read_bytes())
    world.hang_up()
  all_start(world.deliver(), '250')
  assert world.dials() == [1, 1], 'none was dialled again'


def test_another_certificate_of_ours_is_shown_by_new_connections(new_daemon, authority, tmp_path):
  """The key stays, so that the settings are the same."""
  world = World(new_daemon, authority, 'server',
                'tls-cert = {folder}/client.pem\ntls-key = {folder}/client.key\n')
  for store in (world.near, world.far):
    store.tls.load_verify_locations(authority.ca)
    store.tls.verify_mode = ssl.CERT_REQUIRED
  client = authority.leaf('client')
  world.write('client.key', client.key.read_bytes())
  (world.folder / 'client.key').chmod(0o600)
  world.write('client.pem', client.certificate.read_bytes())
  world.daemon.process.start()
  all_start(world.deliver(), '250')
  authority.by_ca('-batch', '-notext', '-extensions', 'client', '-in', authority.dir / 'client.csr',
                  '-out', tmp_path / 'renewed.pem')
  renewed = (tmp_path / 'renewed.pem').read_bytes()
  world.write('client.pem', renewed)
  world.hang_up()
  all_start(world.deliver(), '250')
  assert world.dials() == [2, 2], 'the first connections are not used any more'
  shown = [[ssl.DER_cert_to_PEM_cert(each.socket.getpeercert(True)).encode()
            for each in store.connections[1:]] for store in (world.near, world.far)]
  assert shown == [[renewed], [renewed]]


@pytest.mark.parametrize('changed', [False, True])
def test_another_password_ends_the_logins_with_the_old_one(new_daemon, changed):
  daemon = new_daemon(start=False)
  far = daemon.another_store('far')
  for store in (daemon.store, far):
    store.offers = (*OFFERS, 'AUTH PLAIN')
    store.at_command = lambda _, line: '235 2.0.0 ok' if line.startswith('AUTH') else ''
  (daemon.folder / 'routes').write_text(f'routed@ {far.address}\n')
  passwords = daemon.folder / 'passwords'
  passwords.touch(mode=0o600)
  lines = ''.join(f'{store.address} lmtpq:%s\n' for store in (daemon.store, far))
  passwords.write_text(lines % ('first', 'first'))
  daemon.configure('route-file = {folder}/routes\nauth-password-file = {folder}/passwords\n')
  daemon.process.start()
  with daemon.dial() as client:
    for user in ('alice', 'routed'):
      all_start(client.deliver(message(user)), '250')
    passwords.write_text(lines % (('second', 'second') if changed else ('first', 'first')))
    daemon.process.hang_up()
    daemon.wait_for_log('event=reloaded')
    if changed:
      wait_until(lambda: daemon.store.open + far.open == 0, 'those of the old password are closed')
    for user in ('alice', 'routed'):
      all_start(client.deliver(message(user)), '250')
  for store in (daemon.store, far):
    logins = [each.said('AUTH')[0] for each in store.connections]
    assert len(set(logins)) == len(logins) == (2 if changed else 1), logins
