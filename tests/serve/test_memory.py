"""What clients cost, and what becomes of them when there is no room for more: those that are there
go on, new messages are deferred."""

import os
import resource
from pathlib import Path

import pytest

from fixtures.lmtp_client import Client
from fixtures.paths import is_sanitized, program
from fixtures.process import wait_until

from .daemon import Daemon, all_start, message

LINE = b'x' * 70 + b'\r\n'
LARGE = LINE * 3600  # fits 256 KiB, with its header
IDLE = 10  # KiB; docs/DAEMON.md
WITH_A_MESSAGE = 320
SHORT = '452 4.3.1 '
ROUTES = 200_000

sanitizers_need_more = pytest.mark.may_skip('a sanitizer')


@pytest.fixture
def unsanitized():
  if is_sanitized(program('LMTPQ')):
    pytest.skip('a sanitizer takes much memory for each client')


def resident(daemon: Daemon) -> int:
  """KiB."""
  with open(f'/proc/{daemon.process.pid}/status', encoding='ascii') as status:
    return int(status.read().partition('VmRSS:')[2].split()[0])


def peak(daemon: Daemon) -> int:
  """KiB; since forget_peak()."""
  with open(f'/proc/{daemon.process.pid}/status', encoding='ascii') as status:
    return int(status.read().partition('VmHWM:')[2].split()[0])


def forget_peak(daemon: Daemon):
  Path(f'/proc/{daemon.process.pid}/clear_refs').write_text('5', encoding='ascii')


def write_routes(daemon: Daemon, number: int):
  """Another file, which was written long ago."""
  made = daemon.folder / 'made'
  made.write_text(''.join(f'user{i}@{number}.example.org unix:/store{i % 7}\n' for i in range(ROUTES)))
  os.utime(made, (number, number))
  made.rename(daemon.folder / 'routes')


def with_routes(new_daemon) -> Daemon:
  daemon = new_daemon('route-file = {folder}/routes\n', start=False)
  write_routes(daemon, 1)
  daemon.process.start()
  return daemon


def hang_up(daemon: Daemon):
  before = daemon.process.count('event=reloaded')
  daemon.process.hang_up()
  wait_until(lambda: daemon.process.count('event=reloaded') > before, 'it is reloaded')


def begin(client: Client, *users: str, body: bytes = b'Hello.\r\n') -> list[str]:
  """A message after MAIL, whose final replies the caller reads; the replies to RCPT."""
  one = message(*users, body=body)
  replies = [client.ask(f'RCPT TO:<{name}>') for name in one.recipients]
  assert client.ask('DATA').startswith('354')
  client.send(one.text() + b'.\r\n')
  return replies


def mail(client: Client) -> str:
  return client.ask('MAIL FROM:<sender@mail.test>')


def taken(daemon: Daemon, messages: int):
  """All of them were received, and wait."""
  wait_until(lambda: daemon.status()['messages'] >= messages, f'{messages} messages are received')


def cost_of_each(daemon: Daemon, number: int, before: int) -> float:
  return (resident(daemon) - before) / number


@sanitizers_need_more
def test_an_idle_client_costs_what_the_documents_say(new_daemon, unsanitized):
  soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
  resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
  number = min(2000, hard - 300)
  assert number >= 400, 'too few descriptors for this test'
  daemon = new_daemon()
  all_start(daemon.deliver(), '250')
  before = resident(daemon)
  clients = [daemon.dial() for _ in range(number)]
  cost = cost_of_each(daemon, number, before)
  for client in clients:
    client.close()
  resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
  assert cost < IDLE, f'{cost:.1f} KiB each'


def with_mail_begun(new_daemon, number: int):
  """A daemon whose store holds its replies, its memory before the clients, and clients after MAIL."""
  daemon = new_daemon('connections = 1\nmailbox-limit = 0\n')
  all_start(daemon.deliver(), '250')
  before = resident(daemon)
  daemon.store.hold.clear()
  clients = [daemon.dial() for _ in range(number)]
  all_start([mail(client) for client in clients], '250')
  return daemon, before, clients


@sanitizers_need_more
def test_a_client_with_a_message_costs_what_the_documents_say(new_daemon, unsanitized):
  daemon, before, clients = with_mail_begun(new_daemon, 50)
  for client in clients:
    begin(client, body=LARGE)
  taken(daemon, 51)
  cost = cost_of_each(daemon, 50, before)
  daemon.store.hold.set()
  all_start([client.reply() for client in clients], '250')
  after = cost_of_each(daemon, 50, before)
  for client in clients:
    client.close()
  assert daemon.status()['spooled'] == 0
  assert cost < WITH_A_MESSAGE, f'{cost:.1f} KiB each'
  assert after < WITH_A_MESSAGE / 8, f'{after:.1f} KiB each, when the messages were delivered'


@sanitizers_need_more
def test_recipients_cost_less_than_they_count(new_daemon, unsanitized):
  daemon, before, clients = with_mail_begun(new_daemon, 10)
  for number, client in enumerate(clients):
    begin(client, *(f'{"r" * 50}{number}.{other}' for other in range(1000)))
  taken(daemon, 11)
  cost = cost_of_each(daemon, 10, before)
  for client in clients:
    client.close()
  daemon.store.hold.set()
  # 1 KiB, and four times the length of the address.
  assert cost < 1000 * (1 + 4 * 60 / 1024), f'{cost:.1f} KiB each'


def test_near_the_limit_new_messages_are_deferred_and_others_go_on(new_daemon):
  daemon = new_daemon('memory-limit = 4M\nconnections = 1\nmailbox-limit = 0\n'
                      'spool-dir = {folder}\n')
  clients = [daemon.dial() for _ in range(60)]
  early = clients.pop()
  one = message('early', body=LINE * 20_000)
  assert early.envelope(one)[-1].startswith('354')
  daemon.store.hold.clear()
  first = [mail(client) for client in clients]
  admitted = [client for client, reply in zip(clients, first) if reply.startswith('250')]
  refused = [client for client, reply in zip(clients, first) if reply.startswith(SHORT)]
  assert len(admitted) + len(refused) == len(clients), first
  assert len(admitted) >= 10 and len(refused) >= 10, (len(admitted), len(refused))
  # Those that were admitted go on, although their bodies would not fit in memory.
  for client in admitted:
    all_start(begin(client, body=LARGE), '250')
  early.send(one.text() + b'.\r\n')
  taken(daemon, len(admitted) + 1)
  assert daemon.status()['spooled'] == len(admitted) + 1
  all_start([client.ask('NOOP') for client in refused], '250')
  daemon.wait_for_log('event=memory-short')
  all_start([mail(client) for client in refused * 5], SHORT)
  daemon.store.hold.set()
  all_start([client.reply() for client in [early, *admitted]], '250')
  all_start([client.deliver(message())[0] for client in refused], '250')
  assert len(daemon.store.filed) == len(clients) + 1
  # One line a minute.
  lines = daemon.process.log_lines('event=memory-short')
  assert len(lines) < 3, lines
  assert 'limit=4194304 ' in lines[0] and 'effect="new messages are deferred with 452 4.3.1"' in lines[0]


def test_recipients_beyond_the_limit_are_deferred_and_the_others_get_the_message(new_daemon):
  daemon = new_daemon('memory-limit = 1M\n')
  with daemon.dial() as client:
    mail(client)
    replies = begin(client, *(f'{"r" * 500}{number}' for number in range(1000)))
    good = [reply for reply in replies if reply.startswith('250')]
    assert replies == good + replies[len(good):] and 100 < len(good) < 900, len(good)
    all_start(replies[len(good):], SHORT)
    all_start([client.reply() for _ in good], '250')
    all_start(client.deliver(message()), '250')  # it gave back what it had taken
  assert len(daemon.store.filed) == len(good) + 1


def test_at_the_limit_new_clients_get_421(new_daemon):
  daemon = new_daemon('memory-limit = 1M\n')
  clients = [daemon.dial(greet=False) for _ in range(40)]
  greetings = [client.reply() for client in clients]
  served = [greeting for greeting in greetings if greeting.startswith('220')]
  assert len(served) == 32, greetings
  all_start(greetings[32:], '421 4.3.2 No room')
  for client in clients:
    client.close()
  wait_until(lambda: daemon.status()['clients'] == 0, 'they have left')
  all_start(daemon.deliver(), '250')


def test_a_reload_changes_the_limit(new_daemon):
  daemon = new_daemon('memory-limit = 1M\n')
  clients = [daemon.dial() for _ in range(32)]
  assert clients[-1].greeting.startswith('220')
  daemon.reload('memory-limit = 8M\n')
  with daemon.dial() as client:
    all_start(client.deliver(message()), '250')
  for client in clients:
    client.close()


@sanitizers_need_more
def test_idle_clients_keep_no_route_file_that_was_replaced(new_daemon, unsanitized):
  daemon = with_routes(new_daemon)
  before = resident(daemon)
  clients = []
  for number in range(2, 10):
    clients.append(daemon.dial())
    all_start(clients[-1].deliver(message()), '250')
    clients.append(daemon.dial())
    write_routes(daemon, number)
    hang_up(daemon)
  grown = resident(daemon) / before
  assert grown < 3, f'{grown:.1f} times what one file takes'
  for client in clients:
    all_start(client.deliver(message()), '250')
    client.close()


@sanitizers_need_more
def test_a_route_file_that_has_not_changed_is_not_read_again(new_daemon, unsanitized):
  daemon = with_routes(new_daemon)
  before = resident(daemon)
  forget_peak(daemon)
  for _ in range(3):
    hang_up(daemon)
  assert peak(daemon) < 1.4 * before, f'{peak(daemon)} KiB, after {before}'
  write_routes(daemon, 2)
  hang_up(daemon)
  assert peak(daemon) > 1.5 * before, 'a file that has changed is read'
