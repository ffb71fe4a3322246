"""A daemon that is its own store, directly or through others: mail is deferred, at little cost, and
other mail goes on. Daemons that send to each other for good reason deliver."""

import subprocess
import time

import pytest

from fixtures.lmtp_client import Client
from fixtures.process import wait_until
from fixtures.scratch import free_port

from .daemon import FRONT, Daemon, all_start, message
from .forwarder import Forwarder

OWN = 'event=store-is-own-listener'
GOOD = FRONT.replace('front', 'good')


@pytest.fixture
def forwarder():
  made: list[Forwarder] = []

  def new(*arguments) -> Forwarder:
    made.append(Forwarder(*arguments))
    return made[-1]
  yield new
  for one in made:
    one.stop()


def run(daemon: Daemon, *arguments: str) -> subprocess.CompletedProcess:
  return subprocess.run([daemon.process.program, 'serve', '--config', daemon.process.config,
                         *arguments], capture_output=True, timeout=60, text=True)


def at_port(port: int, host: str = '127.0.0.1', **options: str) -> str:
  lines = ''.join(f'{name} = {value}\n' for name, value in options.items())
  return f'[listener.tcp{port}]\naddress = inet:{host}:{port}\n{lines}'


def own_listeners(daemon: Daemon) -> dict[str, str]:
  """Listeners whose destination can be seen to be one of them."""
  port = free_port()
  (daemon.folder / 'link').symlink_to(daemon.folder)
  (daemon.folder / 'routes').write_text(f'alice@ inet:127.0.0.1:{port}\n')
  return {
    'unix': f'{FRONT}destination = unix:{{folder}}/link/front\n',
    'any address': at_port(port, '0.0.0.0', destination=f'unix:/nowhere, inet:127.0.0.1:{port}'),
    'localhost': at_port(port, destination=f'localhost:{port}'),
    'another listener': f'{FRONT}destination = inet:127.0.0.1:{port}\n{at_port(port)}',
  }


# trap: own-listener
def test_a_destination_that_is_an_own_listener_is_refused_at_start(new_daemon):
  daemon = new_daemon(start=False)
  for name, listeners in own_listeners(daemon).items():
    daemon.configure('', listeners)
    for arguments in ([], ['--check']):
      ran = run(daemon, *arguments)
      assert ran.returncode == 78, (name, ran)
      assert "is this daemon's own listener, [listener." in ran.stderr, (name, ran)
      assert f'{daemon.process.config}:' in ran.stderr, (name, ran)
      said = [line for line in ran.stderr.splitlines() if ': warning: ' not in line]
      assert len(said) == 1 and said[0].endswith('; name the store'), (name, ran)


def test_a_reload_that_would_make_a_loop_changes_nothing(daemon):
  for name, listeners in own_listeners(daemon).items():
    before = len(daemon.process.log_text())
    daemon.reload('', listeners, word='previous configuration kept')
    assert "is this daemon's own listener" in daemon.process.log_text()[before:], name
    all_start(daemon.deliver(), '250')


def test_a_route_to_an_own_listener_is_refused_at_start_and_later(new_daemon):
  daemon = new_daemon(start=False)
  routes = daemon.folder / 'routes'
  routes.write_text('bob@ {store}\n\nalice@ imap1, unix:{folder}/front\n'
                    .replace('{store}', daemon.store.address).replace('{folder}', str(daemon.folder)))
  daemon.configure(f'route-file = {routes}\n')
  ran = run(daemon)
  assert ran.returncode == 78 and f'{routes}:3: ' in ran.stderr, ran
  assert "is this daemon's own listener, [listener.front]" in ran.stderr, ran
  looping = routes.read_text()
  routes.write_text(looping.splitlines()[0])
  daemon.process.start()
  all_start(daemon.deliver('bob'), '250')
  routes.write_text(looping)

  def rejected() -> bool:
    all_start(daemon.deliver('alice', 'bob'), '250')  # alice is at the default store
    return daemon.process.count('event=routes-rejected') == 1
  wait_until(rejected, 'the changed file is rejected')


@pytest.mark.parametrize('kind', ['tcp', 'unix'])
@pytest.mark.parametrize('backoff', ['1s', '0s'])
def test_a_loop_that_no_start_can_see_is_found_at_the_greeting(new_daemon, forwarder, kind, backoff):
  daemon = new_daemon(start=False)
  port = free_port()
  if kind == 'tcp':
    hidden, own = forwarder(f'inet:127.0.0.1:{port}'), at_port(port, '0.0.0.0')
  else:
    path = daemon.folder / 'hidden'
    hidden, own = forwarder(f'unix:{daemon.folder}/front', path), ''
  listeners = f'{FRONT}destination = {hidden.address}\n{GOOD}{own}'
  settings = f'connections = 1\nmailbox-limit = 1\nmax-clients = 20\ndial-backoff = {backoff}\n'
  daemon.configure(settings, listeners)
  daemon.process.start()
  for number in range(10):
    all_start(daemon.deliver('alice', 'bob'), '451 4.4.6 Mail loop: the store is this lmtpq itself')
    all_start(daemon.deliver(f'u{number}', name='good'), '250')
  assert daemon.process.count(OWN) == 1, daemon.process.log_lines(OWN)
  assert daemon.process.count('event=store-failed') == 0, 'not for each message'
  assert daemon.process.count('status=deferred dsn=4.4.6') == 20, 'each recipient has its line'
  assert hidden.dialled >= 1
  wait_until(lambda: hidden.open == 0, 'no connection is held')
  [store] = [one for one in daemon.status()['stores'] if one['destination'] == hidden.address]
  assert (store['leased'], store['idle']) == (0, 0), store
  if backoff != '0s':
    assert not store['up'] and 'this lmtpq itself' in store['failure'], store
    hidden.target = daemon.store.address
    daemon.process.wait_until_stores_are_up()
    all_start(daemon.deliver('carol'), '250')
    assert daemon.process.count(OWN) == 1


CIRCLE = 'connections = 1\nmailbox-limit = 1\nwait-timeout = {wait}\nidle-timeout = 1s\n'


def circle(new_daemon, size: int, wait: str = '5m') -> list[Daemon]:
  """Each delivers to the next, the last one to the first."""
  daemons = [new_daemon(start=False) for _ in range(size)]
  for daemon, following in zip(daemons, [*daemons[1:], daemons[0]]):
    daemon.configure(CIRCLE.replace('{wait}', wait),
                     f'{FRONT}destination = unix:{following.folder}/front\n{GOOD}')
    daemon.process.start()
  return daemons


@pytest.mark.parametrize('size', [2, 3])
def test_a_circle_of_daemons_ends_at_the_first_of_them(new_daemon, size):
  """The one connection of each is in use by the message itself."""
  daemons = circle(new_daemon, size)
  for _ in range(3):
    all_start(daemons[0].deliver('alice', 'bob'), '451 4.4.6 Mail loop: ')
    all_start(daemons[0].deliver(name='good'), '250')
  for daemon in daemons:
    assert daemon.process.count('status=deferred dsn=4.4.6') == 6, 'one line for each recipient'
    wait_until(lambda: all(store['leased'] == 0 for store in daemon.status()['stores']),
               'no connection is in use')


def test_a_circle_that_is_entered_at_both_ends_under_load_ends_too(new_daemon):
  daemons = circle(new_daemon, 2, wait='1s')
  sent = [daemon.in_background('alice') for _ in range(5) for daemon in daemons]
  for delivery in sent:
    # Where both wait for the other's only connection, or for the mailbox, for wait-timeout.
    all_start(delivery.end(), '451 4.')
  for daemon in daemons:
    wait_until(lambda: all(store['leased'] == 0 and store['waiting'] == 0
                           for store in daemon.status()['stores']), 'nothing is left')
    all_start(daemon.deliver(name='good'), '250')


def test_eight_hops_are_a_loop_without_a_known_mark(daemon):
  with daemon.dial() as client:
    assert '250-XLMTPQ' in client.offers, client.offers
    hops = ','.join('abcdefgh')
    assert client.ask(f'MAIL FROM:<> XLMTPQ={hops}').startswith('451 4.4.6 Mail loop: '), 'eight'
    assert client.ask(f'MAIL FROM:<> XLMTPQ={hops[:-2]}').startswith('250 '), 'seven'
  assert not daemon.store.connections, 'no store is asked'


def test_a_circle_through_a_forwarder_ends_too(new_daemon, forwarder):
  """Processes that share an address have different marks."""
  daemons = [new_daemon(start=False) for _ in range(3)]
  shared = forwarder(f'unix:{daemons[0].folder}/front', daemons[0].folder / 'shared')
  for daemon, following in zip(daemons, [*daemons[1:], None]):
    where = f'unix:{following.folder}/front' if following else shared.address
    daemon.configure('connections = 1\n', f'{FRONT}destination = {where}\n')
    daemon.process.start()
  all_start(daemons[1].deliver(), '451 4.4.6 Mail loop: ')


def test_daemons_that_are_stores_for_each_other_deliver(new_daemon):
  one, other = (new_daemon(start=False) for _ in range(2))
  for here, there, users in ((one, other, 'bob'), (other, one, 'alice')):
    (here.folder / 'routes').write_text(f'{users}@ unix:{there.folder}/front\n')
    here.configure(f'route-file = {here.folder}/routes\nconnections = 1\n')
    here.process.start()
  for _ in range(3):
    for daemon in (one, other):
      all_start(daemon.deliver('alice', 'bob', 'carol'), '250')
  assert sorted(one.store.boxes()) == ['alice'] * 6 + ['carol'] * 3, one.store.boxes()
  assert sorted(other.store.boxes()) == ['bob'] * 6 + ['carol'] * 3, other.store.boxes()


def test_mail_may_come_back_to_another_listener(new_daemon):
  """A host that leaves routing to another, and has mailboxes itself."""
  satellite, router = (new_daemon(start=False) for _ in range(2))
  # The message's mailbox is in use, by the message itself.
  satellite.configure('connections = 1\nmailbox-limit = 1\n', f'{FRONT}destination = unix:{router.folder}/front\n{GOOD}')
  router.configure('connections = 1\n', f'{FRONT}destination = unix:{satellite.folder}/good\n')
  for daemon in (satellite, router):
    daemon.process.start()
  with satellite.dial() as client:
    for _ in range(5):
      all_start(client.deliver(message('alice', 'bob')), '250')
  assert satellite.store.boxes().count('alice') == 5, satellite.store.boxes()


def test_a_restarted_daemon_is_found_again(new_daemon):
  """Its mark is another one."""
  daemons = circle(new_daemon, 2)
  all_start(daemons[0].deliver(), '451 4.4.6')
  daemons[1].process.terminate()
  assert daemons[1].process.wait() == 0
  daemons[1].process.start()
  deadline = time.monotonic() + 60
  while not (replies := daemons[0].deliver())[0].startswith('451 4.4.6'):
    all_start(replies, '451 4.4.')  # it was down for a moment
    assert time.monotonic() < deadline, replies
    time.sleep(0.1)


def test_clients_over_tcp_see_the_mark_and_the_keyword(new_daemon):
  port = free_port()
  new_daemon('', at_port(port))
  with Client(f'inet:127.0.0.1:{port}') as client:
    assert ' LMTP lmtpq instance=' in client.greeting, client.greeting
    assert '250-XLMTPQ' in client.offers, client.offers
