"""Options, listening, the log, and how the store begins and ends."""

import os
import re
import signal
import subprocess
import threading
import time

import pytest

from .replies import MAIL, MAIL_OK, NESTED, RCPT_OK, RSET_OK, SUCCESS, SYNTAX, UNRECOGNIZED
from .running_store import DEADLINE


@pytest.mark.store_options('--without=8BITMIME', '--without=SIZE', '--without=TRACE',
                   '--without=IGNOREQUOTA')
def test_what_is_left_out_is_neither_offered_nor_taken(store):
  client = store.client()
  lines = client.say('LHLO x').split('\n')
  assert lines[1:] == ['250-ENHANCEDSTATUSCODES', '250-PIPELINING', '250 Ok SESSIONID=<*>']
  client.play('TRACE x', SYNTAX)
  for parameter in ('BODY=8BITMIME', 'SIZE=1'):
    client.play(f'{MAIL} {parameter}', UNRECOGNIZED, 'RSET', RSET_OK)
  client.play(MAIL, MAIL_OK, 'RCPT TO:<alice> IGNOREQUOTA', UNRECOGNIZED)


@pytest.mark.store_options('--without=ENHANCEDSTATUSCODES')
def test_replies_have_no_enhanced_code_when_it_is_not_offered(store):
  client = store.client()
  client.play(MAIL, '250 ok', MAIL, '503 Nested MAIL command', 'RCPT TO:<alice>', '250 ok',
              'RCPT TO:<nobody>',
              '550-Mailbox unknown.  Either there is no mailbox associated with this\n'
              '550-name or you do not have authorization to see it.\n550 User unknown',
              'DATA', '354 go ahead', '.', '250 Success SESSIONID=<*>')
  assert '250-ENHANCEDSTATUSCODES' not in client.say('LHLO x')


@pytest.mark.store_options('--without=PIPELINING')
def test_a_client_that_pipelines_unasked_is_disconnected(store):
  client = store.client()
  client.play('NOOP', '250 2.0.0 ok', MAIL, MAIL_OK)
  client.send('RCPT TO:<alice>\r\nDATA\r\n')
  assert client.read() == '554 5.5.0 Pipelining was not offered'
  assert client.at_end()
  assert len(store.log('Pipelined without PIPELINING')) == 1
  assert store.client().submit('A: b\r\n\r\n.\r\n') == [SUCCESS]


@pytest.mark.store_options('--idle-timeout=1')
def test_a_silent_client_is_disconnected_with_421(store):
  client = store.client()
  client.send('NO')  # half a command is no command
  assert client.read() == SYNTAX
  assert client.read() == '421 4.4.1 bye idle for too long'
  assert client.at_end()


@pytest.mark.store_options('--log-commands')
def test_the_log_has_the_events_of_a_connection(store):
  client = store.client(store.inet)
  for command in ('TRACE t', 'TRACE bad/id', 'RSET', MAIL, 'RCPT TO:<no "body">', 'QUIT'):
    client.say(command)
  assert client.at_end()
  store.client().close()
  store.clients.pop()
  deadline = time.monotonic() + DEADLINE
  while not store.log('Lost connection') and time.monotonic() < deadline:
    time.sleep(0.01)
  stamp = r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z store\[\d+\]: '
  lines = store.log()
  assert all(re.match(stamp, line) for line in lines), lines
  texts = [re.sub(r'(sessionid|previous)=<\S+-\d+-\d+-\d+-\d+>', r'\1=<*>', re.sub(stamp, '', line))
           for line in lines if 'Command:' not in line]
  assert re.fullmatch(r'Connected: sessionid=<\*> peer=<inet:127.0.0.1:\d+>', texts[0]), texts[0]
  assert texts[1:6] == ['Trace id set: sessionid=<*> r.tid=<t>',
                        'Trace id refused: sessionid=<*> r.tid=<t> id=<bad/id>',
                        'Reset: sessionid=<*> previous=<*>',
                        'Trace id cleared: sessionid=<*> previous=<t>', 'Quit: sessionid=<*>']
  assert texts[6].startswith('Connected: sessionid=<*> peer=<unix:uid='), texts[6]
  assert texts[7] == ('Lost connection: sessionid=<*> reason=<end\\x20of\\x20file\\x20reached> '
                      'transaction=<none>')
  assert 'line=<RCPT\\x20TO:\\x3cno\\x20\\x22body\\x22\\x3e>' in store.log('Command:')[4]


def test_many_clients_are_served_at_once(store):
  replies = []

  def deliver(number):
    client = store.client(store.inet if number % 2 else store.unix)
    for turn in range(5):
      replies.extend(client.submit(f'Message-ID: <{number}.{turn}>\r\n\r\n.\r\n', 'alice', 'bob'))

  threads = [threading.Thread(target=deliver, args=(number,)) for number in range(12)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert replies == [SUCCESS] * 120
  assert [len(store.files('alice')), len(store.files('bob'))] == [60, 60]


def test_of_the_same_message_sent_at_once_one_is_filed(store):
  clients = [store.client() for _ in range(8)]
  for client in clients:
    client.open_data()
  for client in clients:
    client.send('Message-ID: <same>\r\n\r\n.\r\n')
  assert [client.read() for client in clients] == [SUCCESS] * 8
  assert len(store.files('alice')) == 1


@pytest.mark.store_options('--delay-final=600000')
def test_SIGTERM_ends_it_at_once_and_removes_its_files(store):
  store.options = ('--pid-file', str(store.dir / 'pid'), *store.options)
  assert store.end() == 0
  store.start()
  assert (store.dir / 'pid').read_text() == f'{store.process.pid}\n'
  client = store.client()
  client.open_data()
  client.send('A: b\r\n\r\n.\r\n')
  assert client.silent()
  assert store.end() == 0  # which waits for less long than the delay
  assert client.at_end()
  assert not (store.dir / 'lmtp').exists() and not (store.dir / 'pid').exists()


def test_a_stale_socket_is_replaced_and_a_live_one_is_not(store):
  refused = subprocess.run(store.arguments('--listen', store.unix), capture_output=True, text=True)
  assert refused.stderr == f'store: {store.unix}: Address already in use\n'
  assert refused.returncode == 71
  assert store.end(signal.SIGKILL) == -signal.SIGKILL
  assert (store.dir / 'lmtp').exists()
  store.start()
  store.client().play('NOOP', '250 2.0.0 ok')
  assert os.stat(store.dir / 'lmtp').st_mode & 0o777 == 0o777


def test_a_mistake_on_the_command_line_is_one_line(store):
  listen = ('--listen', 'inet:127.0.0.1:0')
  for options, status, text in (
      ((), 64, 'store: no --listen'),
      ((*listen, '--quota', 'alice'), 64, "store: --quota wants USER=BYTES, not 'alice'"),
      ((*listen, '--quota=a=9x'), 64, "store: not a number: '9x'"),
      ((*listen, '--max-message-size=-1'), 64, "store: not a number: '-1'"),
      ((*listen, '--over-quota=450'), 64, 'store: --over-quota is 452 or 552'),
      ((*listen, '--without=CHUNKING'), 64, "store: --without knows no keyword 'CHUNKING'"),
      ((*listen, 'extra'), 64, "store: what is 'extra'?"),
      (('--listen', 'tcp:x'), 71, 'store: tcp:x: neither unix:PATH nor inet:HOST:PORT'),
      ((*listen, '--dir', '/nowhere'), 71, 'store: /nowhere: not a directory')):
    ended = subprocess.run(store.arguments(*options), capture_output=True, text=True,
                           timeout=DEADLINE)
    assert (ended.returncode, ended.stderr) == (status, text + '\n')
  shown = subprocess.run([store.binary, '--help'], capture_output=True, text=True)
  assert shown.returncode == 0
  for option in ('listen', 'dir', 'quota', 'over-quota', 'max-message-size', 'without', 'log',
                 'pid-file', 'delay-final', 'log-commands', 'help'):
    assert f'--{option}' in shown.stdout, option


def test_a_client_may_send_commands_after_a_message(store):
  client = store.client()
  for number in range(3):
    client.say('RSET')
    assert client.submit(f'Message-ID: <{number}>\r\n\r\n.\r\n') == [SUCCESS]
  client.play(MAIL, MAIL_OK, 'RCPT TO:<bob>', RCPT_OK, MAIL, NESTED, 'QUIT', '221 2.0.0 bye')
  assert len(store.files('alice')) == 3
