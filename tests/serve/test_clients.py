"""Which clients are accepted and which are refused: always temporarily, never for good."""

import contextlib
import os
import socket
import time

import pytest

from fixtures.lmtp_client import Client, Gone
from fixtures.process import wait_until
from fixtures.scratch import free_port

from .daemon import FRONT, Daemon, Stopwatch, all_start, message

MUCH = 20_000  # kB; a sanitizer needs some itself
SECOND = FRONT.replace('front', 'second')


def refused(daemon: Daemon, name: str = 'front', words: str = ''):
  with daemon.dial(name) as client:
    assert client.greeting.startswith('421 4.') and words in client.greeting, client.greeting
    assert client.at_end(), 'it is closed after the 421'


def test_a_client_that_is_not_listed_gets_421(new_daemon):
  port = free_port()
  daemon = new_daemon('', f'{FRONT}clients = uid:4242, user:daemon\n{SECOND}clients = all\n'
                      f'[listener.tcp]\naddress = inet:127.0.0.1:{port}\nclients = 192.0.2.0/24\n')
  refused(daemon, words="is not among this listener's clients")
  all_start(daemon.deliver(name='second'), '250')
  with Client(f'inet:127.0.0.1:{port}') as client:
    assert client.greeting.startswith('421 4.7.1 127.0.0.1 '), client.greeting


@pytest.mark.may_skip('no IPv6')
def test_ipv6_addresses_are_in_brackets(new_daemon):
  port = free_port()
  with socket.socket(socket.AF_INET6) as probe:
    try:
      probe.bind(('::1', 0))
    except OSError:
      pytest.skip('no IPv6 on this host')
  daemon = new_daemon('', f'[listener.six]\naddress = inet:[0::1]:{port}\nclients = all\n')
  with Client(f'inet:::1:{port}') as client:
    assert client.greeting.startswith('220')
    client.ask('MAIL FROM:<s@x>')
  wait_until(lambda: daemon.process.count('event=client-lost'), 'its loss is logged')
  place = f'client=[::1] listener=inet:[::1]:{port} '
  line, = daemon.process.log_lines('event=client-lost')
  assert place in line, line
  line, = daemon.process.log_lines('event=listener-settings')
  assert f'listener=inet:[::1]:{port} ' in line, line
  listener, = daemon.process.status()['listeners']
  assert listener['address'] == f'inet:[::1]:{port}'


def test_a_client_that_pipelines_without_reading_costs_little_memory(new_daemon):
  """A line of one byte is answered with 36."""
  daemon = new_daemon('max-idle-commands = 0\n', start=False)
  daemon.process.environment['ASAN_OPTIONS'] = 'quarantine_size_mb=1'
  daemon.process.start()
  before = resident(daemon.process.pid)
  clients = [daemon.dial() for _ in range(50)]
  for client in clients:
    client.socket.setblocking(False)
  for _ in range(40):
    for client in clients:
      with contextlib.suppress(BlockingIOError):
        client.socket.send(b'\n' * 65536)
    time.sleep(0.01)
  grown = resident(daemon.process.pid) - before
  assert grown < 6 * MUCH, f'{grown} kB for fifty of them'
  for client in clients:
    client.close()


def test_too_many_clients_get_421_until_one_leaves(new_daemon):
  daemon = new_daemon('max-clients = 2\n')
  first, second = daemon.dial(), daemon.dial()
  refused(daemon, words='Too many connections')
  all_start(second.deliver(message()), '250')
  first.close()
  wait_until(lambda: accepted(daemon), 'the next one is accepted')
  second.close()


def accepted(daemon: Daemon) -> bool:
  with daemon.dial() as client:
    return client.greeting.startswith('220')


def test_one_user_may_not_take_all_places(new_daemon):
  daemon = new_daemon('max-clients-each = 1\n')
  with daemon.dial() as client:
    refused(daemon, words='Too many connections from uid:')
    all_start(client.deliver(message()), '250')
  wait_until(lambda: accepted(daemon), 'the next one is accepted')


def test_a_client_that_sends_nothing_is_disconnected(new_daemon):
  daemon = new_daemon('input-timeout = 1s\n')
  watch = Stopwatch()
  with daemon.dial() as client:
    while client.socket.recv(1000):
      pass  # a reply may precede the end
    watch.at_least(0.99, 'until it was disconnected')


def test_a_message_that_comes_byte_by_byte_is_cut(new_daemon):
  daemon = new_daemon('input-timeout = 1s\nmin-data-rate = 500\n')
  watch = Stopwatch()
  with daemon.dial() as client:
    assert client.envelope(message())[-1].startswith('354'), 'go ahead'
    dribble(client, b'x' * 300)
    watch.at_least(0.99, 'until it was cut')
    daemon.wait_for_log('discarded')
    assert not daemon.store.filed, 'nothing is filed'


def test_a_command_that_comes_byte_by_byte_is_cut(new_daemon):
  daemon = new_daemon('input-timeout = 1s\n')
  watch = Stopwatch()
  with daemon.dial() as client:
    dribble(client, b'NOOP ' + b'x' * 300)
    watch.at_least(0.99, 'until it was cut')


def dribble(client: Client, data: bytes):
  """Until it is cut."""
  client.socket.settimeout(0.2)
  for byte in data:
    try:
      client.send(bytes([byte]))
      if client.socket.recv(1) == b'':
        return
    except TimeoutError:
      pass
    except (Gone, OSError):
      return
  raise AssertionError(f'{len(data)} bytes, 5 a second, were taken')


def test_commands_without_mail_are_limited(new_daemon):
  daemon = new_daemon('max-idle-commands = 50\n')
  with daemon.dial() as client:
    for _ in range(3):
      all_start([client.ask('NOOP') for _ in range(40)], '250')
      all_start(client.deliver(message()), '250')  # a message starts a new count
    replies = [client.ask('NOOP') for _ in range(51)]
    all_start(replies[:-1], '250')
    assert replies[-1].startswith('421 4.7.0 '), replies[-1]
    assert client.at_end(), 'closed after the 421'


def test_half_a_message_is_thrown_away(daemon):
  with daemon.dial() as client:
    assert client.envelope(message())[-1].startswith('354'), 'go ahead'
    client.send(b'Subject: half\r\n\r\nand then\r\n.')
  daemon.wait_for_log('discarded; the client still has it')
  names = f'client=uid:{os.geteuid()} listener=unix:{daemon.folder}/front '
  assert f'event=client-lost {names}error=' in daemon.process.log_text(), daemon.process.log_text()
  time.sleep(0.05)
  assert not daemon.store.connections, 'nothing was sent to the store'


def test_an_endless_line_costs_no_memory(daemon):
  with daemon.dial() as client:
    before = resident(daemon.process.pid)
    for _ in range(100):
      client.send(b'x' * 300_000)
    assert resident(daemon.process.pid) - before < MUCH, 'kB more'
    client.send(b'\r\n')
    assert client.reply().startswith('500 5.5.'), 'a mistake of the client'
    all_start(client.deliver(message()), '250')


def resident(pid: int) -> int:
  with open(f'/proc/{pid}/status', encoding='ascii') as status:
    return int(status.read().partition('VmRSS:')[2].split()[0])


def test_a_client_that_never_reads_costs_no_memory_and_is_cut(new_daemon):
  daemon = new_daemon('input-timeout = 1s\nmax-idle-commands = 0\n', start=False)
  # It keeps what was freed.
  daemon.process.environment['ASAN_OPTIONS'] = 'quarantine_size_mb=1'
  daemon.process.start()
  with daemon.dial() as client:
    before = resident(daemon.process.pid)
    client.socket.settimeout(0.3)
    sent, flood = 0, b'NOOP\r\n' * 5000
    try:
      while sent < 2000:
        client.send(flood)
        sent += 1
      raise AssertionError(f'{sent * len(flood)} bytes were taken, and no reply was read')
    except Gone:
      pass  # the buffers are full: nothing more is taken
    more = resident(daemon.process.pid) - before
    assert more < MUCH, f'{more} kB more after {sent * len(flood)} bytes'
    wait_until(lambda: 'does not read our reply' in daemon.process.log_text()
               or is_cut(client, flood), 'it is cut')


def is_cut(client: Client, flood: bytes) -> bool:
  """Whether the daemon has closed the connection; until then its buffers are kept full."""
  try:
    client.socket.sendall(flood)
  except TimeoutError:
    return False
  except OSError:
    return True
  return False


def test_without_a_free_descriptor_clients_wait_and_are_served_later(new_daemon):
  daemon = new_daemon(start=False)
  daemon.process.before = ['bash', '-c', 'ulimit -n 40; exec "$@"', 'bash']
  daemon.process.start()
  first = [daemon.dial(greet=False) for _ in range(60)]
  daemon.wait_for_log('raise the limit of open files')
  late = first.pop()
  for client in first:
    client.close()
  assert late.reply().startswith('220'), 'the last one is served'
  late.ask('LHLO client.test', whole=True)
  all_start(late.deliver(message()), '250')
  late.close()
