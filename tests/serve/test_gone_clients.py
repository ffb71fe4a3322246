"""A client that has gone before its message reached the store gets nothing delivered."""

import select
import socket
import struct
import threading

import pytest

from fixtures.lmtp_client import Client
from fixtures.process import wait_until
from fixtures.scratch import free_port

from .daemon import FRONT, all_start, message, send
from .fake_store import FakeStore

TCP = FRONT + '[listener.tcp]\naddress = inet:127.0.0.1:{port}\n'


@pytest.fixture(params=['a unix socket', 'TCP'])


def dial(request, new_daemon):
  """A daemon with one connection to its store, and how its clients connect."""
  port = free_port() if request.param == 'TCP' else 0
  daemon = new_daemon('connections = 1\n',
                      TCP.replace('{port}', str(port)) if port else FRONT)
  return daemon, lambda: Client(f'inet:127.0.0.1:{port}') if port else daemon.dial()


def test_nothing_is_delivered_for_clients_that_hang_up_in_the_line(dial):
  daemon, new_client = dial
  held = daemon.held('held')
  leaving = [new_client() for _ in range(5)]
  for number, client in enumerate(leaving, 1):
    send(client, f'leaves{number}')
    daemon.wait_for_waiting(for_connections=number)
  for client in leaving:
    client.close()
  daemon.wait_for_waiting()  # their places are free before the store has answered anyone
  staying = [new_client() for _ in range(5)]
  for number, client in enumerate(staying, 1):
    send(client, f'stays{number}')
    daemon.wait_for_waiting(for_connections=number)
  daemon.store.hold.set()
  all_start(held.end(), '250')
  for client in staying:
    assert client.reply().startswith('250')
    client.close()
  assert daemon.store.boxes() == ['held', *(f'stays{number}' for number in range(1, 6))]
  lines = daemon.process.log_lines('reply="451 4.4.2 Client disconnected: ')
  assert len(lines) == 5, lines
  assert all('status=deferred' in line and 'relay=none' in line for line in lines), lines
  assert not daemon.process.log_lines('event=reply-lost'), 'nothing can be double'


def test_a_client_that_hangs_up_just_before_its_turn_is_noticed_too(dial):
  """It has the connection before anyone looks again at the line."""
  daemon, new_client = dial
  for number in range(1, 6):
    held = daemon.held('held')
    leaving = new_client()
    send(leaving, 'leaves')
    daemon.wait_for_waiting(for_connections=1)
    leaving.close()
    daemon.store.hold.set()
    all_start(held.end(), '250')
    daemon.wait_for_waiting()
    wait_until(lambda: len(daemon.process.log_lines('Client disconnected')) == number, 'deferred')
  assert daemon.store.boxes() == ['held'] * 5


@pytest.mark.parametrize('command, answer', [('QUIT', '221'), ('NOOP', '250')])
def test_a_client_that_sent_a_command_and_ended_its_side_waits_for_its_answer(dial, command, answer):
  daemon, new_client = dial
  held = daemon.held('held')
  with new_client() as client:
    one = message('bob')
    client.envelope(one)
    client.send(one.text() + f'.\r\n{command}\r\n'.encode())
    client.socket.shutdown(socket.SHUT_WR)
    daemon.wait_for_waiting(for_connections=1)
    daemon.store.hold.set()
    replies = [client.reply(), client.reply()]
    assert [reply[:3] for reply in replies] == ['250', answer], replies
    assert client.at_end(), 'the session has ended'
  assert not daemon.process.log_lines('event=reply-lost'), 'it has read both'
  all_start(held.end(), '250')
  assert daemon.store.boxes() == ['held', 'bob']


def test_a_client_that_only_ended_its_side_is_deferred_and_may_read_so(dial):
  daemon, new_client = dial
  held = daemon.held('held')
  with new_client() as client:
    send(client, 'bob')
    daemon.wait_for_waiting(for_connections=1)
    client.socket.shutdown(socket.SHUT_WR)
    assert client.reply().startswith('451 4.4.2 Client disconnected'), 'before its turn came'
  daemon.store.hold.set()
  all_start(held.end(), '250')
  assert daemon.store.boxes() == ['held']


def ends_its_side(client: Client):
  """It acknowledges over TCP what it reads, at once."""
  if client.socket.family == socket.AF_INET:
    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
  client.socket.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize('early', [0, 1], ids=['before the first answer', 'between two answers'])
def test_a_client_that_ended_its_side_while_the_store_files_gets_all_answers(dial, early):
  daemon, new_client = dial
  gate = daemon.store.hold_for('first' if early == 0 else 'second')
  with new_client() as client:
    send(client, 'first', 'second', 'third')
    wait_until(daemon.store.all_busy, 'the store has it')
    replies = [client.reply() for _ in range(early)]
    ends_its_side(client)
    gate.set()
    replies += [client.reply() for _ in range(early, 3)]
    all_start(replies, '250')
    assert client.at_end(), 'the session has ended'
  assert daemon.store.boxes() == ['first', 'second', 'third']
  assert not daemon.process.log_lines('event=reply-lost'), 'it has read all of them'


def test_a_client_that_ended_its_side_and_leaves_later_is_logged_with_what_it_got(dial):
  daemon, new_client = dial
  gate = daemon.store.hold_for('second')
  with new_client() as client:
    first = threading.Event()
    usual = daemon.store.at_final
    daemon.store.at_final = lambda address: first.wait(60) and usual(address)
    send(client, 'first', 'second', 'third')
    wait_until(daemon.store.all_busy, 'the store has it')
    ends_its_side(client)
    first.set()
    assert client.reply().startswith('250')
  gate.set()
  daemon.wait_for_log('event=reply-lost')
  line, = daemon.process.log_lines('event=reply-lost')
  assert 'error="disconnected before the reply was sent; possible duplicate"' in line, line
  named = 'second third' if client.socket.family == socket.AF_UNIX else 'first second third'
  assert f' recipients=3 written=1 {to(named)}' in line, line


def to(users: str) -> str:
  """As reply-lost names them."""
  paths = ' '.join(f'<{user}@store.test>' for user in users.split())
  return f'to="{paths}"' if ' ' in paths else f'to={paths}'


def await_bytes(client: Client):
  wait_until(lambda: select.select([client.socket], [], [], 0)[0], 'the client has a reply to read')


def resets(client: Client):
  if client.socket.family == socket.AF_INET:
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
  client.close()


@pytest.mark.parametrize('leaves', [Client.close, resets])
@pytest.mark.parametrize('late', ['250 2.1.5 filed', '550 5.1.1 no', '450 4.2.0 later', '221 bye'])
def test_a_reply_that_was_written_and_not_read_is_lost_whatever_the_next_one_is(dial, leaves, late):
  daemon, new_client = dial
  gate = threading.Event()
  daemon.store.at_final = lambda address: address.startswith('second') and gate.wait(60) and late or ''
  client = new_client()
  send(client, 'first', 'second')
  await_bytes(client)
  wait_until(lambda: daemon.store.busy.get('second') == 1, 'the store has both')
  leaves(client)
  gate.set()
  daemon.wait_for_log('event=reply-lost')
  line, = daemon.process.log_lines('event=reply-lost')
  assert 'possible duplicate' in line, line
  assert to('first' if late[0] in '45' else 'first second') in line, line


def test_a_reply_that_was_written_and_not_read_is_lost_while_the_next_waits_for_its_mailbox(new_daemon):
  port = free_port()
  daemon = new_daemon('mailbox-limit = 1\nwait-timeout = 30m\n', TCP.replace('{port}', str(port)))
  gate = daemon.store.hold_for('hot')
  held = daemon.in_background('hot')
  wait_until(lambda: daemon.store.busy.get('hot') == 1, 'it stalls')
  for new_client in daemon.dial, lambda: Client(f'inet:127.0.0.1:{port}'):
    for order in ('bob', 'hot'), ('bob', 'erin', 'hot'):
      logged = daemon.process.count('event=reply-lost')
      client = new_client()
      send(client, *order)
      await_bytes(client)
      daemon.wait_for_waiting(for_mailboxes=1)
      client.close()
      wait_until(lambda: daemon.process.count('event=reply-lost') > logged, 'it is announced')
      line = daemon.process.log_lines('event=reply-lost')[-1]
      assert to(' '.join(order[:-1])) in line, line
  gate.set()
  all_start(held.end(), '250')


def test_all_replies_of_which_one_was_not_read_are_lost(dial):
  daemon, new_client = dial
  gate = daemon.store.hold_for('second')
  client = new_client()
  send(client, 'first', 'second')
  assert client.reply().startswith('250')
  gate.set()
  await_bytes(client)
  client.close()
  daemon.wait_for_log('event=reply-lost')
  line, = daemon.process.log_lines('event=reply-lost')
  assert f' recipients=2 written=2 {to("first second")}' in line, line


@pytest.mark.parametrize('more', ['QUIT', 'NOOP\r\nQUIT', 'RSET\r\nMAIL FROM:<a@b>\r\nQUIT', 'RSET'])
def test_a_client_that_sent_more_with_its_message_and_leaves_its_reply_unread(dial, more):
  daemon, new_client = dial
  for _ in range(5):  # a session ends some time after QUIT, which a loaded machine can exceed
    with new_client() as client:
      one = message('bob')
      client.envelope(one)
      client.send(one.text() + f'.\r\n{more}\r\n'.encode())
      await_bytes(client)
    wait_until(lambda: daemon.status()['clients'] == 0, 'the session has ended')
    lines = [line for line in daemon.process.log_lines('event=reply-lost') if one.queue_id in line]
    if lines:
      break
  assert len(lines) == 1 and to('bob') in lines[0] and 'possible duplicate' in lines[0], lines


def test_a_client_that_sent_quit_without_reading_and_leaves(daemon):
  """On a unix socket, where what was not read shows."""
  for _ in range(5):
    with daemon.dial() as client:
      send(client, 'bob')
      await_bytes(client)
      client.send(b'QUIT\r\n')
    wait_until(lambda: daemon.status()['clients'] == 0, 'the session has ended')
    lines = daemon.process.log_lines('event=reply-lost')
    if lines:
      break
  assert lines and to('bob') in lines[0], lines


def test_a_client_that_sent_quit_with_its_message_and_reads_its_reply_only(dial):
  """As Postfix, which does not wait for the reply to QUIT."""
  daemon, new_client = dial
  for _ in range(5):
    with new_client() as client:
      one = message('bob')
      client.envelope(one)
      client.send(one.text() + b'.\r\nQUIT\r\n')
      assert client.reply().startswith('250')
    wait_until(lambda: daemon.status()['clients'] == 0, 'the session has ended')
  assert daemon.process.count('event=reply-lost') < 5, daemon.process.log_text()


def test_a_client_that_hangs_up_while_it_waits_for_a_mailbox(new_daemon):
  daemon = new_daemon('mailbox-limit = 1\n')
  held = daemon.held('bob')
  with daemon.dial() as client:
    send(client, 'bob')
    daemon.wait_for_waiting(for_mailboxes=1)
  daemon.wait_for_waiting()
  daemon.store.hold.set()
  all_start(held.end(), '250')
  daemon.wait_for_log('Client disconnected')
  all_start(daemon.deliver('bob'), '250')
  assert daemon.store.boxes() == ['bob', 'bob']


def slow_to_greet(store: FakeStore) -> threading.Event:
  gate = threading.Event()
  store.at_command = lambda _, line: '' if not line.startswith('LHLO') else gate.wait(60) and ''
  return gate


def test_a_reader_of_relay_that_leaves_while_relay_dials(new_relay):
  relay, store = new_relay()
  gate = slow_to_greet(store)
  send(relay, 'leaves')
  wait_until(lambda: store.connections and store.connections[0].said('LHLO'), 'it is dialled')
  relay.socket.close()
  gate.set()
  relay.child.wait(60)
  assert store.boxes() == []
  assert 'reply="451 4.4.2 Client disconnected' in relay.log_text(), relay.log_text()


def test_the_end_of_relays_input_does_not_mean_that_its_client_has_gone(new_relay):
  relay, store = new_relay()
  gate = slow_to_greet(store)
  send(relay, 'bob')
  relay.socket.input.close()
  wait_until(lambda: store.connections and store.connections[0].said('LHLO'), 'it is dialled')
  gate.set()
  assert relay.reply().startswith('250')
  relay.child.wait(60)
  assert store.boxes() == ['bob']
  assert 'event=reply-lost' not in relay.log_text(), relay.log_text()


def test_a_reader_of_relay_that_leaves_an_answer_unread(new_relay):
  relay, store = new_relay()
  send(relay, 'bob')
  wait_until(lambda: 'status=sent' in relay.log_text(), 'it is filed')
  wait_until(lambda: select.select([relay.child.stdout], [], [], 0)[0], 'it is answered')
  relay.socket.output.close()
  relay.socket.input.close()
  relay.child.wait(60)
  assert store.boxes() == ['bob']
  assert 'error="disconnected after the reply; possible duplicate"' in relay.log_text(), relay.log_text()
