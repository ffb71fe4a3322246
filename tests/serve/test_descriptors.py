"""Few descriptors: clients never take those that stores, files and the log need."""

import re
import subprocess

import pytest

from .daemon import FRONT, Daemon, all_start, message

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


@pytest.mark.parametrize('number', [4, 12, 24])
def test_a_start_that_could_serve_nobody_is_refused_with_the_figure(new_daemon, number):
  with pytest.raises(AssertionError, match='ended with status 78'):
    with_descriptors(new_daemon, number)
  daemon = new_daemon.made[-1]
  said = daemon.process.output.read_text()
  found = re.search(r'the process may open (\d+) files, and needs (\d+) at least; raise LimitNOFILE= of '
                    r'the unit \(ulimit -n\)', said)
  assert found and int(found[1]) == number < int(found[2]), said
  assert not [path for path in daemon.folder.iterdir() if path.name.startswith('front')]
  with_descriptors(new_daemon, int(found[2])).deliver()


def test_a_reload_that_lacks_descriptors_says_so_and_leaves_no_file(new_daemon):
  daemon = with_descriptors(new_daemon, 100, 'max-clients = 10\n')
  many = ''.join(f'[listener.n{n}]\naddress = unix:{{folder}}/n{n}\n' for n in range(50))
  daemon.reload('', FRONT + many, 'event=reload-failed')
  line, = daemon.process.log_lines('event=reload-failed')
  assert 'Too many open files; raise LimitNOFILE= of the unit (ulimit -n)' in line, line
  assert not list(daemon.folder.glob('n[0-9]*')), 'as before the reload'
  all_start(daemon.deliver(), '250')


MAIL = b'LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<alice@store.test>\r\nDATA\r\n\r\nhi\r\n.\r\nQUIT\r\n'


def relayed(daemon: Daemon, *before: str) -> subprocess.CompletedProcess:
  words = [daemon.process.program, 'relay', '--config=/dev/null', '--tag-keys=none', '--log=stderr',
           daemon.store.address]
  return subprocess.run(['bash', '-c', *before, 'bash', *words], input=MAIL, capture_output=True, timeout=60)


@pytest.mark.parametrize('number', [4, 5])
def test_a_relay_without_descriptors_ends_with_75_and_a_line(new_daemon, number):
  ran = relayed(new_daemon(start=False), f'ulimit -n {number}; exec "$@"')
  assert (ran.returncode, ran.stdout) == (75, b''), ran
  assert (b'lmtpq: standard input and output: Too many open files; raise LimitNOFILE= of the unit '
          b'(ulimit -n)') in ran.stderr, ran


@pytest.mark.parametrize('output', ['>&-', '>/dev/null'])
def test_a_relay_whose_replies_nobody_reads_delivers_nothing(new_daemon, output):
  daemon = new_daemon(start=False)
  ran = relayed(daemon, f'exec "$@" {output}')
  assert ran.returncode == 75, ran
  assert b'event=relay-failed error="standard output is closed: nobody reads the replies"' in ran.stderr, ran
  assert daemon.store.boxes() == [] and daemon.store.connections == []


@pytest.mark.parametrize('closed', ['>&-', '2>&-', '>&- 2>&-', '<&-'])
def test_what_deliver_says_with_closed_descriptors_is_not_for_the_store(new_daemon, closed):
  daemon = new_daemon(start=False)
  words = [daemon.process.program, 'deliver', '--config=/dev/null', '--tag-keys=none', '--log=stderr', '-d',
           daemon.store.address, '-f', 'a@mail.test', 'bob@store.test']
  ran = subprocess.run(['sh', '-c', f'exec "$@" {closed}', 'sh', *words], input=b'Subject: hi\n\nhi\n', timeout=60)
  unread = closed == '<&-'
  assert ran.returncode == (75 if unread else 0), ran
  assert daemon.store.boxes() == ([] if unread else ['bob'])
  verbs = {line.split(' ')[0] for connection in daemon.store.connections for line in connection.commands}
  assert verbs <= {'LHLO', 'MAIL', 'RCPT', 'DATA', 'QUIT'}, verbs


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

