"""SIGTERM and its like, notifications to systemd, and possible duplicates at a client's end."""

import contextlib
import os
import re
import signal
import socket
import time

import pytest

from fixtures.lmtp_client import Client, Gone
from fixtures.process import send_signal, wait_until
from fixtures.scratch import free_port

from .daemon import FRONT, Daemon, Delivery, Stopwatch, all_start, message

PATIENT = 'drain-timeout = 10m\n'  # longer than any test may take


def test_sigterm_disconnects_idle_clients_at_once(new_daemon):
  daemon = new_daemon(PATIENT)
  clients = [daemon.dial() for _ in range(5)]
  all_start(clients[0].deliver(message()), '250')
  daemon.process.terminate()
  for client in clients:
    received = client.socket.recv(500)
    assert received == b'' or received.startswith(b'421 4.3.2 '), received
  assert daemon.process.wait() == 0, 'status'
  wait_until(lambda: daemon.store.connections[0].ended, 'the connection to the store ends')
  assert daemon.store.connections[0].said('QUIT'), 'the store got a QUIT'


def test_sigterm_waits_for_the_reply_to_a_message_in_progress(daemon):
  held = daemon.held('alice', 'bob')
  daemon.process.terminate()
  daemon.wait_for_log('event=draining')
  time.sleep(0.2)
  assert daemon.process.alive(), 'it waits'
  daemon.store.hold.set()
  all_start(held.end(), '250')
  assert daemon.process.wait() == 0, 'status'
  assert sorted(daemon.store.boxes()) == ['alice', 'bob'], 'filed once'
  assert 'possible duplicate' not in daemon.process.log_text(), 'nothing is in doubt'


def test_sigterm_lets_a_client_end_the_message_that_it_is_sending(daemon):
  with daemon.dial() as client:
    one = message()
    replies = client.envelope(one)
    client.send(b'Subject: half\r\n\r\n')
    daemon.process.terminate()
    daemon.wait_for_log('event=draining')
    client.send(b'the rest\r\n.\r\n')
    all_start(client.final_replies(one, replies), '250')
    assert daemon.process.wait() == 0, 'status'
    assert daemon.store.boxes() == ['alice'], 'filed once'


def test_a_client_that_has_begun_its_next_message_may_send_it_to_a_daemon_that_stops(daemon):
  """Sendmail sends MAIL at once after RSET, and defers the mail when MAIL gets 421."""
  with daemon.dial() as client:
    daemon.process.terminate()
    daemon.wait_for_log('event=draining')
    all_start(client.deliver(message()), '250')
    assert client.line().startswith(b'421 4.3.2 ')
  assert daemon.process.wait() == 0, 'status'
  assert daemon.store.boxes() == ['alice'], 'filed once'


def test_commands_without_a_message_do_not_hold_up_the_stop(new_daemon):
  daemon = new_daemon(PATIENT)
  with daemon.dial() as client:
    daemon.process.terminate()
    daemon.wait_for_log('event=draining')
    client.stage = 'NOOP until the daemon ends the session'
    with contextlib.suppress(Gone):
      while True:
        client.send(b'NOOP\r\n')
        if client.line().startswith(b'421 4.3.2 '):
          break
        time.sleep(0.1)
    assert daemon.process.wait() == 0, 'status'


def test_an_idle_client_that_is_cut_is_answered_421(new_daemon):
  daemon = new_daemon('drain-timeout = 0\n')
  with daemon.dial() as client:
    daemon.process.terminate()
    assert client.line().startswith(b'421 4.3.2 ')
    assert daemon.process.wait() == 0, 'status'


def test_while_it_drains_new_clients_are_refused_temporarily(daemon):
  held = daemon.held()
  daemon.process.terminate()
  daemon.wait_for_log('event=draining')
  try:
    with daemon.dial() as client:
      assert client.greeting.startswith('421 4.'), client.greeting
  except Gone as gone:
    assert 'connect' in str(gone), gone
  daemon.store.hold.set()
  all_start(held.end(), '250')


def ends_and_reports(daemon: Daemon, held: Delivery):
  """The daemon ends although the store does not answer, and calls `held` a possible duplicate."""
  status = daemon.process.wait()
  assert status == 0, f'status {status}'
  replies = held.end()
  all_start(replies, '451 4.4.2')
  assert 'possible duplicate' in replies[0], replies
  assert 'event=closing-clients' in daemon.process.log_text(), 'the log has it'
  assert 'possible duplicate' in daemon.process.log_text(), 'the log has it'


def test_a_second_sigterm_cuts_and_reports_a_possible_duplicate(new_daemon):
  daemon = new_daemon(PATIENT)
  held = daemon.held()
  daemon.process.terminate()
  daemon.wait_for_log('event=draining')
  daemon.process.terminate()
  ends_and_reports(daemon, held)


def test_drain_timeout_cuts_and_reports_a_possible_duplicate(new_daemon):
  daemon = new_daemon('drain-timeout = 1s\n')
  held = daemon.held()
  watch = Stopwatch()
  daemon.process.terminate()
  ends_and_reports(daemon, held)
  watch.at_least(0.99, 'the end')


def test_a_client_that_reads_no_reply_is_disconnected_at_last_and_the_status_says_so(new_daemon):
  daemon = new_daemon('drain-timeout = 0\nmax-idle-commands = 0\n')
  with daemon.dial() as client:
    client.socket.settimeout(2)
    with contextlib.suppress(Gone):  # the buffers are full
      while True:
        client.send(b'NOOP\r\n' * 5000)
    watch = Stopwatch()
    daemon.process.terminate()
    assert daemon.process.wait() == 75, 'not every client has its answer'
    watch.at_least(5, 'the end')
  lines = [line.partition(': ')[2] for line in daemon.process.log_lines('clients=')]
  assert lines[-3:] == [
      'event=draining clients=1',
      'level=warning event=closing-clients clients=1 effect="messages in progress are deferred"',
      'event=stopped clients=0'], lines


def submitted(daemon: Daemon, user: str):
  """A client that has sent its message completely and waits for the reply."""
  client, one = daemon.dial(), message(user)
  replies = client.envelope(one)
  client.send(one.text() + b'.\r\n')
  return client, one, replies


def test_deliveries_that_still_wait_when_it_cuts_are_deferred(new_daemon):
  """Sent then, a message would be filed after its client was left without a reply."""
  daemon = new_daemon(f'{PATIENT}connections = 1\nmailbox-limit = 1\n')
  held = daemon.held('first')
  waiting = [submitted(daemon, user) for user in ('first', 'second', 'third')]
  daemon.wait_for_waiting(for_connections=2, for_mailboxes=1)
  daemon.process.terminate()
  daemon.wait_for_log('event=draining')
  daemon.process.terminate()
  ends_and_reports(daemon, held)
  for client, one, replies in waiting:
    all_start(client.final_replies(one, replies),
              '451 4.4.2 Connection to the store lost: lmtpq is')
    client.close()
  daemon.store.hold.set()
  time.sleep(0.1)
  assert daemon.store.boxes() == ['first'], f'nothing more was sent: {daemon.store.boxes()}'


def test_a_look_up_that_waits_for_its_directory_is_deferred_when_it_cuts(new_daemon):
  """The directory accepts connections and sends nothing, for longer than any test may take."""
  with socket.create_server(('127.0.0.1', 0)) as silent:
    silent.settimeout(60)
    daemon = new_daemon('drain-timeout = 500ms\nroute-ldap = ldap://127.0.0.1:'
                        f'{silent.getsockname()[1]}\nroute-ldap-base = o=x\nroute-ldap-timeout = 10m\n')
    client, one, replies = submitted(daemon, 'alice')
    with client, silent.accept()[0] as asked:
      assert asked.recv(100), 'the directory is asked'
      daemon.process.terminate()
      all_start(client.final_replies(one, replies), '451 4.4.3 No route: lmtpq is stopping')
      assert daemon.process.wait() == 0, 'status'
  assert 'possible duplicate' not in daemon.process.log_text(), 'nothing is in doubt'


def test_half_a_message_does_not_delay_the_end(new_daemon):
  daemon = new_daemon('drain-timeout = 500ms\n')
  with daemon.dial() as client:
    client.envelope(message())
    client.send(b'Subject: half\r\n')
    watch = Stopwatch()
    daemon.process.terminate()
    daemon.process.wait()
    watch.at_least(0.49, 'the end')
    assert not daemon.store.filed, 'nothing was filed'


class Notifications:
  """What the daemon sends to NOTIFY_SOCKET, without STATUS and WATCHDOG."""

  def __init__(self, daemon: Daemon):
    self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    self.socket.bind(str(daemon.folder / 'notify'))
    self.socket.settimeout(60)
    daemon.process.environment['NOTIFY_SOCKET'] = str(daemon.folder / 'notify')

  def next(self) -> str:
    while True:
      received = self.socket.recv(4096).decode()
      if not received.startswith('STATUS='):
        return received


def test_systemd_is_notified_of_ready_reloading_and_stopping(new_daemon):
  daemon = new_daemon(start=False)
  notified = Notifications(daemon)
  daemon.process.start()
  assert notified.next().strip() == 'READY=1', 'ready'
  daemon.process.hang_up()
  assert re.fullmatch(r'RELOADING=1\nMONOTONIC_USEC=\d+', notified.next().strip()), 'reloading'
  assert notified.next().strip() == 'READY=1', 'ready again'
  daemon.process.write('invalid\n')
  daemon.process.hang_up()
  assert notified.next().startswith('RELOADING=1'), 'a broken file too'
  assert notified.next().strip() == 'READY=1', 'ready again'
  daemon.process.terminate()
  assert notified.next().strip() == 'STOPPING=1', 'stopping'
  assert daemon.process.wait() == 0, 'status'
  notified.socket.close()


def test_quit_timeout_counts_once_for_all_connections_to_a_store(new_daemon):
  number, timeout = 40, 0.6
  daemon = new_daemon(f'connections = {number}\nquit-timeout = 600ms\n')
  store = daemon.store
  store.hold.clear()
  waiting = [submitted(daemon, f'u{one}') for one in range(number)]
  wait_until(lambda: store.all_busy() == number, 'all are in use')
  store.hold.set()
  for client, one, replies in waiting:
    all_start(client.final_replies(one, replies), '250')
    client.close()
  store.at_command = lambda _, line: '' if line != 'QUIT' else store.over.wait() and ''
  began = time.monotonic()
  daemon.process.terminate()
  assert daemon.process.wait() == 0, 'status'
  took = time.monotonic() - began
  # One after another they would take 24 seconds.
  assert timeout * 0.99 <= took < timeout * number / 2, f'{took} s'
  wait_until(lambda: all(connection.said('QUIT') for connection in store.connections),
             'each got a QUIT')


def test_sigint_ends_it_as_sigterm_does(daemon):
  all_start(daemon.deliver(), '250')
  send_signal(daemon.process.pid, signal.SIGINT)
  assert daemon.process.wait() == 0, 'status'


TCP = FRONT + '[listener.tcp]\naddress = inet:127.0.0.1:{port}\n'


@pytest.fixture(params=['a unix socket', 'TCP'])
def silent_client(request, new_daemon):
  """A daemon, and a client of it that reads no reply to its message. Over TCP a write to a client
  that has gone is taken, too."""
  port = free_port() if request.param == 'TCP' else 0
  daemon = new_daemon(listeners=TCP.replace('{port}', str(port)) if port else FRONT)

  def send() -> tuple[Client, str]:
    client = Client(f'inet:127.0.0.1:{port}') if port else daemon.dial()
    one = message()
    client.envelope(one)
    client.send(one.text() + b'.\r\n')
    place = (f'client=127.0.0.1 listener=inet:127.0.0.1:{port}' if port else
             f'client=uid:{os.geteuid()} listener=unix:{daemon.folder}/front')
    return client, f'event=reply-lost trace={one.queue_id} qid={one.queue_id} {place} error='
  return daemon, send


def test_a_client_gone_before_its_reply_is_a_possible_duplicate(silent_client):
  daemon, send = silent_client
  daemon.store.hold.clear()
  client, line = send()
  wait_until(daemon.store.all_busy, 'the store has it')
  client.close()
  daemon.store.hold.set()
  wait_until(lambda: daemon.store.filed, 'it is filed')
  daemon.wait_for_log('possible duplicate')
  assert line in daemon.process.log_text(), daemon.process.log_text()


def test_a_client_gone_without_reading_its_reply_is_a_possible_duplicate(silent_client):
  daemon, send = silent_client
  client, line = send()
  daemon.wait_for_log('status=sent')
  time.sleep(0.1)
  client.close()
  daemon.wait_for_log('possible duplicate')
  assert line in daemon.process.log_text(), daemon.process.log_text()


def test_a_client_that_leaves_after_its_reply_is_no_possible_duplicate(daemon):
  for last in (b'', b'QUIT\r\n'):
    with daemon.dial() as client:
      all_start(client.deliver(message()), '250')
      client.send(last)
  with daemon.dial() as client:  # all at once, QUIT too, and its side closed
    one = message()
    client.send(f'MAIL FROM:<{one.sender}>\r\nRCPT TO:<alice>\r\nDATA\r\n'.encode()
                + one.text() + b'.\r\nQUIT\r\n')
    client.socket.shutdown(socket.SHUT_WR)
    replies = [client.reply() for _ in range(5)]
    assert replies[3].startswith('250') and replies[4].startswith('221'), replies
  time.sleep(0.1)
  assert not daemon.process.log_lines('possible duplicate')
