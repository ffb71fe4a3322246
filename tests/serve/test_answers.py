"""Each recipient's answer goes out as soon as it and those before it are decided."""

import socket
import threading

import pytest

from fixtures.lmtp_client import Client, Gone
from fixtures.process import wait_until
from fixtures.scratch import free_port

from .daemon import all_start, message, send
from .fake_store import FakeStore


def with_routes(new_daemon, text: str, **more):
  """A daemon with another store, {b} in `text`, the route file."""
  daemon = new_daemon(start=False, **more)
  b = daemon.another_store('b')
  routes = daemon.folder / 'routes'
  routes.write_text(text.format(b=b.address, a=daemon.store.address))
  daemon.configure(f'route-file = {routes}\n')
  daemon.process.start()
  return daemon, b


def nothing_comes(client: Client) -> bool:
  client.socket.settimeout(0.3)
  try:
    client.line()
  except Gone:
    return True
  finally:
    client.socket.settimeout(60)
  return False


def first_comes_first(client: Client, gate: threading.Event):
  send(client, 'first', 'second')
  assert client.reply().startswith('250'), 'while the store holds the second'
  gate.set()
  assert 'second@store.test has it' in client.reply(), 'when it is filed'
  all_start(client.deliver(message('third')), '250')


def test_the_first_answer_waits_for_no_other_in_relay(new_relay):
  relay, store = new_relay()
  first_comes_first(relay, store.hold_for('second'))


def test_the_first_answer_waits_for_no_other_in_serve(daemon):
  with daemon.dial() as client:
    first_comes_first(client, daemon.store.hold_for('second'))


def test_the_first_answer_waits_for_no_other_store(new_daemon):
  daemon, b = with_routes(new_daemon, 'second@store.test {b}\n')
  with daemon.dial() as client:
    first_comes_first(client, b.hold_for('second'))
  assert (daemon.store.boxes(), b.boxes()) == (['first', 'third'], ['second'])


def test_answers_are_in_the_order_of_rcpt_although_the_other_store_is_faster(new_daemon):
  daemon, b = with_routes(new_daemon, 'fast@store.test {b}\nfaster@store.test {b}\n')
  gate = daemon.store.hold_for('slow')
  with daemon.dial() as client:
    send(client, 'slow', 'fast', 'faster')
    wait_until(lambda: b.boxes() == ['fast', 'faster'], 'the other store has both')
    assert nothing_comes(client)
    gate.set()
    replies = [client.reply() for _ in range(3)]
    assert 'slow@store.test has it' in replies[0], replies
    all_start(replies[1:], '250')


def test_a_recipient_that_the_routes_refuse_waits_for_no_store(new_daemon):
  daemon, b = with_routes(new_daemon, 'gone@store.test error:5.1.6 has moved\nb@store.test {b}\n')
  gates = daemon.store.hold_for('a'), b.hold_for('b')
  with daemon.dial() as client:
    send(client, 'gone', 'a', 'b')
    assert client.reply().startswith('550 5.1.6 has moved')
    gates[1].set()
    wait_until(b.boxes, 'b is filed')
    assert nothing_comes(client), 'a is before b'
    gates[0].set()
    all_start([client.reply(), client.reply()], '250')


def test_an_answer_does_not_wait_for_the_reply_to_quit(new_daemon):
  daemon = new_daemon('connection-uses = 1\nquit-timeout = 1h\n')
  gate = threading.Event()
  daemon.store.at_command = lambda _, line: '' if line != 'QUIT' else gate.wait(60) and ''
  with daemon.dial() as client:
    all_start(client.deliver(message()), '250')
    wait_until(lambda: daemon.store.connections[0].said('QUIT'), 'it is closed')
    gate.set()


def test_a_client_that_pipelines_gets_each_once_and_in_order(daemon):
  gate = daemon.store.hold_for('second')
  with daemon.dial() as client:
    one, two = message('first', 'second'), message('third')
    more = f'MAIL FROM:<{two.sender}>\r\nRCPT TO:<third@store.test>\r\nDATA\r\n'.encode()
    client.envelope(one)
    client.send(one.text() + b'.\r\nRSET\r\n' + more + two.text() + b'.\r\nQUIT\r\n')
    assert 'first@store.test has it' in client.reply()
    gate.set()
    codes = [client.reply()[:3] for _ in range(7)]
    assert codes == ['250', '250', '250', '250', '354', '250', '221'], codes
  assert daemon.store.boxes() == ['first', 'second', 'third']


MANY = [f'user{number:04}' for number in range(1000)]


def reads_nothing(daemon, client: Client):
  """A message to MANY, whose replies do not fit into the socket's buffer; all of it is filed."""
  daemon.store.at_final = lambda address: f'250 2.1.5 {address} {"x" * 400}'
  client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
  send(client, *MANY)
  wait_until(lambda: len(daemon.store.filed) == len(MANY), 'all are filed')


def test_a_client_that_reads_nothing_holds_up_no_store(new_daemon):
  """All is filed, and the connection is free for others, before it reads the first reply."""
  daemon = new_daemon('connections = 1\n')
  with daemon.dial() as client:
    reads_nothing(daemon, client)
    all_start(daemon.deliver('bob'), '250')
    replies = [client.reply() for _ in MANY]
  wrong = [pair for pair in zip(MANY, replies) if f'{pair[0]}@store.test' not in pair[1]]
  assert not wrong, wrong[:3]


@pytest.mark.parametrize('end', ['SIGTERM', 'input-timeout'])
def test_a_tcp_client_that_reads_nothing_is_logged_though_the_kernel_has_all_replies(new_daemon, end):
  port = free_port()
  daemon = new_daemon('input-timeout = 1s\n' if end == 'input-timeout' else '',
                      f'[listener.front]\naddress = inet:127.0.0.1:{port}\n')
  with Client(f'inet:127.0.0.1:{port}', greet=False) as client:
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.reply()
    client.ask('LHLO client.test')
    reads_nothing(daemon, client)
    wait_until(lambda: not daemon.store.all_busy() and daemon.process.count('event=delivery') == len(MANY),
               'all are answered')
    if end == 'SIGTERM':
      daemon.process.terminate()
      daemon.process.wait()
    daemon.wait_for_log('event=reply-lost')
  line, = daemon.process.log_lines('event=reply-lost')
  assert 'error="did not read the reply; possible duplicate"' in line, line


def test_a_connection_that_the_daemon_cuts_is_not_blamed_on_the_store(new_daemon):
  daemon = new_daemon('drain-timeout = 500ms\n')
  held = daemon.held('held')
  daemon.process.terminate()
  daemon.process.wait()
  line, = daemon.process.log_lines('event=delivery')
  assert 'possible duplicate' in line and 'lmtpq ended the connection to stop' in line, line
  assert 'the peer closed' not in line, line
  all_start(held.end(), '451 4.4.2')


@pytest.mark.parametrize('limit', ['drain-timeout', 'input-timeout'])
def test_a_client_that_reads_nothing_is_logged_with_what_it_was_sent(new_daemon, limit):
  """One line with the first of the recipients: what was sent need not have been read."""
  daemon = new_daemon(f'{limit} = 1s\n')
  with daemon.dial() as client:
    reads_nothing(daemon, client)
    if limit == 'drain-timeout':
      daemon.process.terminate()
      assert daemon.process.wait() == 75, 'status'
      assert 'event=stopped clients=0' in daemon.process.log_text()
    daemon.wait_for_log('event=reply-lost')
    replies = []
    with pytest.raises(Gone):
      while True:
        replies.append(client.reply())
  line, = daemon.process.log_lines('event=reply-lost')
  assert 'error="did not read the reply; possible duplicate"' in line, line
  assert 0 < len(replies) < len(MANY)
  assert f' recipients={len(MANY)} written={len(replies)} ' in line, line
  assert f' to="<{MANY[0]}@store.test> <' in line, line
  assert len(line) < 2000, line


def killed_after_the_first_answer(client: Client, store: FakeStore, kill):
  store.hold_for('second')
  send(client, 'first', 'second', 'third')
  assert client.reply().startswith('250'), 'the first has its answer'
  kill()
  with pytest.raises(Gone):
    client.reply()
  assert store.boxes() == ['first'], store.boxes()


def test_a_relay_that_is_killed_between_two_answers_has_sent_the_first(new_relay):
  relay, store = new_relay()
  killed_after_the_first_answer(relay, store, relay.kill)


def test_a_daemon_that_is_killed_between_two_answers_has_sent_the_first(daemon):
  with daemon.dial() as client:
    killed_after_the_first_answer(client, daemon.store, daemon.process.kill)


def test_a_daemon_that_is_killed_while_one_of_two_stores_is_slow(new_daemon):
  daemon, b = with_routes(new_daemon, 'second@store.test {b}\n')
  with daemon.dial() as client:
    b.hold_for('second')
    send(client, 'first', 'second')
    assert client.reply().startswith('250'), 'the first has its answer'
    daemon.process.kill()
    with pytest.raises(Gone):
      client.reply()
  assert (daemon.store.boxes(), b.boxes()) == (['first'], [])


def test_a_client_that_leaves_between_two_answers_is_logged_with_what_it_got(daemon):
  gate = daemon.store.hold_for('second')
  with daemon.dial() as client:
    send(client, 'first', 'second', 'third')
    assert client.reply().startswith('250')
  gate.set()
  daemon.wait_for_log('event=reply-lost')
  line = daemon.process.log_lines('event=reply-lost')[0]
  assert 'possible duplicate' in line, line
  assert 'recipients=3 written=1 to="<second@store.test> <third@store.test>"' in line, line
