"""Mailboxes, quotas and duplicates: what is filed, what is not, and what the log has of it."""

import os
import signal
import time

import pytest

from .replies import MAIL, MAIL_OK, RCPT_OK, SUCCESS, USER_UNKNOWN

OVER_QUOTA = '452 4.2.2 Over quota SESSIONID=<*>'


def message(message_id: str, text: str = 'hello') -> str:
  return f'Message-ID: <{message_id}>\r\nDate: today\r\n\r\n{text}\r\n.\r\n'


def test_a_message_is_filed_for_each_recipient_and_logged(store):
  client = store.client()
  client.play('TRACE id-1', '250 2.0.0 Ok SESSIONID=<*> TRACEID=<id-1>')
  session_id = client.session_id('LHLO x')
  assert client.submit(message('m 1@x'), 'alice', 'bob') == [SUCCESS, SUCCESS]
  stored = (b'Return-Path: <s@x.test>\r\nMessage-ID: <m 1@x>\r\nDate: today\r\n\r\nhello\r\n')
  assert [store.files('alice'), store.files('bob')] == [[stored], [stored]]
  assert [store.files('alice', part) for part in ('tmp', 'cur')] == [[], []]
  assert [line.partition(']: ')[2] for line in store.log('Delivered')] == [
      f'Delivered: sessionid=<{session_id}> r.tid=<id-1> action=<store> userid=<{user}> '
      f'size={len(stored)} msgid=<m\\x201@x>' for user in ('alice', 'bob')]


def test_the_return_path_is_the_sender_with_a_domain(store):
  client = store.client()
  for sender, user in (('<>', 'alice'), ('<plain>', 'bob')):
    client.play(f'MAIL FROM:{sender}', MAIL_OK, f'RCPT TO:<{user}>', RCPT_OK, 'DATA',
                '354 go ahead')
    assert client.say('\r\n.') == SUCCESS
  assert store.files('alice') == [b'Return-Path: <>\r\n\r\n']
  assert store.files('bob')[0] == f'Return-Path: <plain@{os.uname().nodename}>\r\n\r\n'.encode()


def test_one_refused_recipient_does_not_touch_another(store):
  client = store.client()
  client.play(MAIL, MAIL_OK, 'RCPT TO:<bob>', RCPT_OK, 'RCPT TO:<nobody>', USER_UNKNOWN,
              'RCPT TO:<alice>', RCPT_OK, 'DATA', '354 go ahead')
  client.send(message('m'))
  assert [client.read(), client.read()] == [SUCCESS, SUCCESS]
  assert [len(store.files(user)) for user in ('alice', 'bob')] == [1, 1]


def test_a_mailbox_removed_after_RCPT_is_unknown_after_the_end_of_data(store):
  client = store.client()
  client.open_data('alice', 'bob')
  (store.mail / 'alice').rmdir()
  client.send(message('m'))
  assert [client.read(), client.read()] == [USER_UNKNOWN, SUCCESS]


@pytest.mark.store_options('--quota=alice=100', '--quota=bob=100')
def test_a_mailbox_takes_mail_until_it_is_full(store):
  client = store.client()
  assert client.submit(message('1', 'x' * 200)) == [SUCCESS]
  client.play(MAIL, MAIL_OK, 'RCPT TO:<alice>', OVER_QUOTA, 'RCPT TO:<bob>', RCPT_OK)
  assert 'reason=<over quota>'.replace(' ', '\\x20') in store.log('RCPT refused')[0]


@pytest.mark.store_options('--quota=alice=0', '--over-quota=552')
def test_over_quota_is_permanent_when_asked(store):
  store.client().play(MAIL, MAIL_OK, 'RCPT TO:<alice>', '552 5.2.2 Over quota SESSIONID=<*>',
                      'RCPT TO:<alice> IGNOREQUOTA', RCPT_OK)


@pytest.mark.store_options('--quota=alice=0')
def test_IGNOREQUOTA_files_into_a_full_mailbox(store):
  client = store.client()
  client.play(MAIL, MAIL_OK, 'RCPT TO:<alice> IGNOREQUOTA', RCPT_OK, 'DATA', '354 go ahead')
  client.send(message('m'))
  assert client.read() == SUCCESS
  assert len(store.files('alice')) == 1


@pytest.mark.store_options('--quota=alice=1000000')
def test_the_quota_file_is_read_again_at_each_RCPT(store):
  client = store.client()
  (store.mail / 'alice' / 'cur').mkdir()
  (store.mail / 'alice' / 'cur' / 'ballast').write_bytes(b'x' * 100)
  client.play(MAIL, MAIL_OK, 'RCPT TO:<alice>', RCPT_OK)
  for limit, reply in (('100\n', OVER_QUOTA), ('101', RCPT_OK), ('0', OVER_QUOTA),
                       ('x', '451 4.3.0 System I/O error')):
    (store.mail / 'alice' / 'quota').write_text(limit)
    client.play('RCPT TO:<alice>', reply)
  (store.mail / 'alice' / 'quota').unlink()
  client.play('RCPT TO:<alice>', RCPT_OK)


@pytest.mark.store_options('--quota=alice=100', '--no-duplicate-suppression')
def test_a_mailbox_that_fills_up_after_RCPT_is_refused_after_the_end_of_data(store):
  client = store.client()
  replies = client.submit(message('m', 'x' * 200), 'alice', 'bob', 'alice')
  assert replies == [SUCCESS, SUCCESS, OVER_QUOTA]


def test_a_duplicate_is_answered_250_and_dropped(store):
  client = store.client()
  for _ in range(2):
    assert client.submit(message('m')) == [SUCCESS]
  assert client.submit(message('m'), 'bob', 'bob') == [SUCCESS, SUCCESS]
  assert client.submit(message('other')) == [SUCCESS]
  assert client.submit(message('m').replace('today', 'tomorrow')) == [SUCCESS]
  assert [len(store.files('alice')), len(store.files('bob'))] == [3, 1]
  assert len(store.log('Duplicate dropped')) == 2


@pytest.mark.store_options('--no-duplicate-suppression')
def test_a_duplicate_is_filed_when_suppression_is_off(store):
  client = store.client()
  for _ in range(2):
    assert client.submit(message('m')) == [SUCCESS]
  assert len(store.files('alice')) == 2


def test_a_large_message_is_filed_whole(store):
  body = b'0123456789abcde\r\n' * 200_000
  assert store.client().submit(b'A: b\r\n\r\n' + body + b'.\r\n') == [SUCCESS]
  assert store.filed() == b'A: b\r\n\r\n' + body


@pytest.mark.store_options('--delay-final=300')
def test_each_final_reply_waits_for_the_delay(store):
  client = store.client()
  client.open_data('alice', 'bob')
  start = time.monotonic()
  client.send(message('m'))
  waits = []
  for _ in range(2):
    assert client.read() == SUCCESS
    waits.append(time.monotonic() - start)
  assert waits[0] > 0.29 and waits[1] > 0.59, waits


@pytest.mark.store_options('--delay-final=600000')
def test_a_killed_store_leaves_nothing_in_new_and_no_other_file(store):
  client = store.client()
  client.open_data('alice', 'bob')
  client.send(message('m'))
  assert client.silent()
  assert store.end(signal.SIGKILL) == -signal.SIGKILL
  assert store.files('alice') + store.files('bob') == []
  assert sorted(path.name for path in store.mail.iterdir()) == ['alice', 'bob']
  store.options = ()
  store.start()
  assert store.client().submit(message('m'), 'alice', 'bob') == [SUCCESS, SUCCESS]
