"""Who is let in, and who is sent away: always for now, never for good."""

import contextlib
import time

from house import FRONT, House, Watch, all_start, expect, message
from lmtp import Client, Gone
from fixtures.process import wait_until
from fixtures.scratch import free_port

MUCH = 20_000  # kB; a sanitizer has some of its own
SECOND = FRONT.replace('front', 'second')


def _refused(house: House, name: str = 'front', words: str = ''):
  with house.dial(name) as client:
    expect(client.greeting.startswith('421 4.') and words in client.greeting, client.greeting)
    expect(client.at_end(), 'it is closed behind the 421')


def who_is_not_listed_is_told_421():
  port = free_port()
  with House('', f'{FRONT}clients = uid:4242, user:daemon\n{SECOND}clients = all\n'
             f'[listener.tcp]\naddress = inet:127.0.0.1:{port}\nclients = 192.0.2.0/24\n') as house:
    _refused(house, words="is not among this listener's clients")
    all_start(house.bring(name='second'), '250')
    with Client(f'inet:127.0.0.1:{port}') as client:
      expect(client.greeting.startswith('421 4.7.1 127.0.0.1 '), client.greeting)


def who_pipelines_without_reading_costs_little_memory():
  """A line of one byte is answered with 36."""
  with House('max-idle-commands = 0\n', start=False) as house:
    house.serve.environment['ASAN_OPTIONS'] = 'quarantine_size_mb=1'
    house.serve.start()
    before = _resident(house.serve.pid)
    clients = [house.dial() for _ in range(50)]
    for client in clients:
      client.socket.setblocking(False)
    for _ in range(40):
      for client in clients:
        with contextlib.suppress(BlockingIOError):
          client.socket.send(b'\n' * 65536)
      time.sleep(0.01)
    grown = _resident(house.serve.pid) - before
    expect(grown < 6 * MUCH, f'{grown} kB for fifty of them')
    for client in clients:
      client.close()


def too_many_clients_are_told_421_until_one_leaves():
  with House('max-clients = 2\n') as house:
    first, second = house.dial(), house.dial()
    _refused(house, words='Too many connections')
    all_start(second.bring(message()), '250')
    first.close()
    wait_until(lambda: _welcome(house), 'the next one is let in', 5)
    second.close()


def _welcome(house: House) -> bool:
  with house.dial() as client:
    return client.greeting.startswith('220')


def one_user_may_not_take_all_places():
  with House('max-clients-each = 1\n') as house:
    with house.dial() as client:
      _refused(house, words='Too many connections from uid:')
      all_start(client.bring(message()), '250')
    wait_until(lambda: _welcome(house), 'the next one is let in', 5)


def a_client_that_says_nothing_is_sent_away():
  with House('input-timeout = 1s\n') as house, house.dial() as client:
    watch = Watch()
    client.at_end()
    watch.within(0.8, 2.5, 'its end')


def a_message_that_comes_byte_by_byte_is_cut():
  with House('input-timeout = 1s\nmin-data-rate = 500\n') as house, house.dial() as client:
    expect(client.envelope(message())[-1].startswith('354'), 'go ahead')
    watch = Watch()
    _dribble(client, b'x' * 100)
    watch.within(0.8, 2.5, 'its end')
    house.wait_for_log('thrown away')
    expect(not house.store.filed, 'nothing is filed')


def a_command_that_comes_byte_by_byte_is_cut():
  with House('input-timeout = 1s\n') as house, house.dial() as client:
    watch = Watch()
    _dribble(client, b'NOOP ' + b'x' * 100)
    watch.within(0.8, 3, 'its end')


def _dribble(client: Client, data: bytes):
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


for _slow in (a_client_that_says_nothing_is_sent_away, a_message_that_comes_byte_by_byte_is_cut,
              a_command_that_comes_byte_by_byte_is_cut):
  _slow.seconds = 2


def commands_that_bring_no_mail_have_an_end():
  with House('max-idle-commands = 50\n') as house, house.dial() as client:
    for _ in range(3):
      all_start([client.ask('NOOP') for _ in range(40)], '250')
      all_start(client.bring(message()), '250')  # mail makes it good
    said = [client.ask('NOOP') for _ in range(51)]
    all_start(said[:-1], '250')
    expect(said[-1].startswith('421 4.7.0 '), said[-1])
    expect(client.at_end(), 'closed behind the 421')


def half_a_message_is_thrown_away():
  with House() as house:
    with house.dial() as client:
      expect(client.envelope(message())[-1].startswith('354'), 'go ahead')
      client.send(b'Subject: half\r\n\r\nand then\r\n.')
    house.wait_for_log('thrown away; the client still has it')
    time.sleep(0.05)
    expect(not house.store.connections, 'the store never heard of it')


def lines_without_end_cost_no_memory():
  with House() as house, house.dial() as client:
    before = _resident(house.serve.pid)
    for _ in range(100):
      client.send(b'x' * 300_000)
    expect(_resident(house.serve.pid) - before < MUCH, 'kB more')
    client.send(b'\r\n')
    expect(client.reply().startswith('500 5.5.'), 'a mistake of the client')
    all_start(client.bring(message()), '250')


def _resident(pid: int) -> int:
  with open(f'/proc/{pid}/status', encoding='ascii') as status:
    return int(status.read().partition('VmRSS:')[2].split()[0])


def a_client_that_never_reads_costs_no_memory_and_is_cut():
  with House('input-timeout = 1s\nmax-idle-commands = 0\n', start=False) as house:
    house.serve.environment['ASAN_OPTIONS'] = 'quarantine_size_mb=1'  # it keeps what was freed
    house.serve.start()
    _flood(house)


def _flood(house: House):
  with house.dial() as client:
    before = _resident(house.serve.pid)
    client.socket.settimeout(0.3)
    watch, sent, flood = Watch(), 0, b'NOOP\r\n' * 5000
    try:
      while sent < 2000:
        client.send(flood)
        sent += 1
      raise AssertionError(f'{sent * len(flood)} bytes were taken, and no reply was read')
    except Gone:
      pass  # the buffers are full: nothing more is taken
    more = _resident(house.serve.pid) - before
    expect(more < MUCH, f'{more} kB more after {sent * len(flood)} bytes')
    wait_until(lambda: 'does not take our reply' in house.serve.log_text() or _cut(client),
               'it is cut', 4)
    watch.within(0, 5, 'its end')


def _cut(client: Client) -> bool:
  try:
    client.socket.sendall(b'x')
  except TimeoutError:
    return False
  except OSError:
    return True
  return False


def without_a_free_descriptor_clients_wait_and_are_served_later():
  with House(start=False) as house:
    house.serve.before = ['bash', '-c', 'ulimit -n 40; exec "$@"', 'bash']
    house.serve.start()
    first = [house.dial(greet=False) for _ in range(60)]
    house.wait_for_log('raise the limit of open files')
    late = first.pop()
    for client in first:
      client.close()
    expect(late.reply().startswith('220'), 'the last one is served')
    late.ask('LHLO client.test', whole=True)
    all_start(late.bring(message()), '250')
    late.close()
