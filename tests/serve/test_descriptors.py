"""Few descriptors: clients never take those that stores, files and the log need."""

import re

from .daemon import Daemon, all_start, message

LARGE = (b'x' * 70 + b'\r\n') * 5000  # kept in a file


def with_descriptors(new_daemon, number: int, settings: str = '') -> Daemon:
  daemon = new_daemon('spool-dir = {folder}\n' + settings, start=False)
  daemon.process.before = ['bash', '-c', f'ulimit -n {number}; exec "$@"', 'bash']
  daemon.process.start()
  return daemon


def test_the_figure_that_is_missing_is_in_the_log(new_daemon):
  daemon = with_descriptors(new_daemon, 1000)
  line, = daemon.process.log_lines('event=descriptors-few')
  found = {name: int(value) for name, value in
           re.findall(r'(limit|needed|missing)=(\d+)', line)}
  assert found['limit'] == 1000 and found['missing'] == found['needed'] - 1000, line
  assert found['needed'] > 2 * 5000, 'a socket and a file for each client'
  assert f'set LimitNOFILE= of the unit (ulimit -n) to {found["needed"]}, ' in line
  enough = with_descriptors(new_daemon, 1000, 'max-clients = 100\n')
  assert not enough.process.log_lines('event=descriptors-few')
  enough.reload('spool-dir = {folder}\nmax-clients = 5000\n')
  assert enough.process.log_lines('event=descriptors-few')


def test_the_soft_limit_is_raised(new_daemon):
  daemon = new_daemon(start=False)
  daemon.process.before = ['bash', '-c', 'ulimit -S -n 100; exec "$@"', 'bash']
  daemon.process.start()
  with open(f'/proc/{daemon.process.pid}/limits', encoding='ascii') as limits:
    soft, hard = limits.read().partition('Max open files')[2].split()[:2]
  assert soft == hard != '100'


def test_when_clients_take_all_there_are_stores_and_files_have_theirs(new_daemon):
  daemon = with_descriptors(new_daemon, 200, 'connections = 20\nmailbox-limit = 0\n')
  clients = [daemon.dial(greet=False) for _ in range(120)]
  daemon.wait_for_log('only the reserve of descriptors is free')
  number = daemon.status()['clients']
  served, waiting = clients[:number], clients[number:]
  all_start([client.reply() for client in served], '220')
  assert 10 < len(served) < 100, len(served)
  daemon.store.hold.clear()
  for client in served:
    client.ask('LHLO client.test', whole=True)
    one = message(body=LARGE)
    assert client.envelope(one)[-1].startswith('354')
    client.send(one.text() + b'.\r\n')
  daemon.wait_for_waiting(for_connections=len(served) - 20)
  assert daemon.status()['clients'] == len(served), 'the others wait'
  daemon.store.hold.set()
  all_start([client.reply() for client in served], '250')
  for client in served:
    client.close()
  all_start([client.reply() for client in waiting[:10]], '220')
  for client in clients:
    client.close()

