"""A client that has gone before its message reached the store gets nothing delivered."""

import socket
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


def test_a_client_that_sent_quit_and_ended_its_side_waits_for_its_answer(dial):
  daemon, new_client = dial
  held = daemon.held('held')
  with new_client() as client:
    one = message('bob')
    client.envelope(one)
    client.send(one.text() + b'.\r\nQUIT\r\n')
    client.socket.shutdown(socket.SHUT_WR)
    daemon.wait_for_waiting(for_connections=1)
    daemon.store.hold.set()
    replies = [client.reply(), client.reply()]
    assert [reply[:3] for reply in replies] == ['250', '221'], replies
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
  assert store.boxes() == ['bob']
