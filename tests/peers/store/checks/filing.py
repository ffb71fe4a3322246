"""Mailboxes, quotas and duplicates: what is filed, what is not, and what the log says of it."""

import os
import signal
import time

from .dialogue import MAIL, MAIL_OK, RCPT_OK, USER_UNKNOWN
from .harness import case, equal
from .leniency import SUCCESS

OVER_QUOTA = '452 4.2.2 Over quota SESSIONID=<*>'


def message(message_id: str, text: str = 'hello') -> str:
  return f'Message-ID: <{message_id}>\r\nDate: today\r\n\r\n{text}\r\n.\r\n'


@case()
def a_message_is_filed_for_each_recipient_and_logged(store):
  client = store.client()
  client.play('TRACE id-1', '250 2.0.0 Ok SESSIONID=<*> TRACEID=<id-1>')
  session_id = client.session_id('LHLO x')
  equal(client.submit(message('m 1@x'), 'alice', 'bob'), [SUCCESS, SUCCESS])
  stored = (b'Return-Path: <s@x.test>\r\nMessage-ID: <m 1@x>\r\nDate: today\r\n\r\nhello\r\n')
  equal([store.files('alice'), store.files('bob')], [[stored], [stored]])
  equal([store.files('alice', part) for part in ('tmp', 'cur')], [[], []])
  equal([line.partition(']: ')[2] for line in store.log('Delivered')],
        [f'Delivered: sessionid=<{session_id}> r.tid=<id-1> action=<store> userid=<{user}> '
         f'size={len(stored)} msgid=<m\\x201@x>' for user in ('alice', 'bob')])


@case()
def the_return_path_is_the_sender_with_a_domain(store):
  client = store.client()
  for sender, user in (('<>', 'alice'), ('<plain>', 'bob')):
    client.play(f'MAIL FROM:{sender}', MAIL_OK, f'RCPT TO:<{user}>', RCPT_OK, 'DATA',
                '354 go ahead')
    equal(client.say('\r\n.'), SUCCESS)
  equal(store.files('alice'), [b'Return-Path: <>\r\n\r\n'])
  equal(store.files('bob')[0], f'Return-Path: <plain@{os.uname().nodename}>\r\n\r\n'.encode())


@case()
def one_refused_recipient_does_not_touch_another(store):
  client = store.client()
  client.play(MAIL, MAIL_OK, 'RCPT TO:<bob>', RCPT_OK, 'RCPT TO:<nobody>', USER_UNKNOWN,
              'RCPT TO:<alice>', RCPT_OK, 'DATA', '354 go ahead')
  client.send(message('m'))
  equal([client.read(), client.read()], [SUCCESS, SUCCESS])
  equal([len(store.files(user)) for user in ('alice', 'bob')], [1, 1])


@case()
def a_mailbox_removed_after_RCPT_is_unknown_after_the_dot(store):
  client = store.client()
  client.open_data('alice', 'bob')
  (store.mail / 'alice').rmdir()
  client.send(message('m'))
  equal([client.read(), client.read()], [USER_UNKNOWN, SUCCESS])


@case('--quota=alice=100', '--quota=bob=100')
def a_mailbox_takes_mail_until_it_is_full(store):
  client = store.client()
  equal(client.submit(message('1', 'x' * 200)), [SUCCESS])
  client.play(MAIL, MAIL_OK, 'RCPT TO:<alice>', OVER_QUOTA, 'RCPT TO:<bob>', RCPT_OK)
  assert 'reason=<over quota>'.replace(' ', '\\x20') in store.log('RCPT refused')[0]


@case('--quota=alice=0', '--over-quota=552')
def over_quota_is_permanent_when_asked(store):
  store.client().play(MAIL, MAIL_OK, 'RCPT TO:<alice>', '552 5.2.2 Over quota SESSIONID=<*>',
                      'RCPT TO:<alice> IGNOREQUOTA', RCPT_OK)


@case('--quota=alice=0')
def IGNOREQUOTA_files_into_a_full_mailbox(store):
  client = store.client()
  client.play(MAIL, MAIL_OK, 'RCPT TO:<alice> IGNOREQUOTA', RCPT_OK, 'DATA', '354 go ahead')
  client.send(message('m'))
  equal(client.read(), SUCCESS)
  equal(len(store.files('alice')), 1)


@case('--quota=alice=1000000')
def the_quota_file_is_read_anew_at_each_RCPT(store):
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


@case('--quota=alice=100', '--no-duplicate-suppression')
def a_mailbox_that_fills_up_after_RCPT_is_refused_after_the_dot(store):
  client = store.client()
  equal(client.submit(message('m', 'x' * 200), 'alice', 'bob', 'alice'),
        [SUCCESS, SUCCESS, OVER_QUOTA])


@case()
def a_duplicate_is_answered_250_and_dropped(store):
  client = store.client()
  for _ in range(2):
    equal(client.submit(message('m')), [SUCCESS])
  equal(client.submit(message('m'), 'bob', 'bob'), [SUCCESS, SUCCESS])
  equal(client.submit(message('other')), [SUCCESS])
  equal(client.submit(message('m').replace('today', 'tomorrow')), [SUCCESS])
  equal([len(store.files('alice')), len(store.files('bob'))], [3, 1])
  equal(len(store.log('Duplicate dropped')), 2)


@case('--no-duplicate-suppression')
def a_duplicate_is_filed_when_suppression_is_off(store):
  client = store.client()
  for _ in range(2):
    equal(client.submit(message('m')), [SUCCESS])
  equal(len(store.files('alice')), 2)


@case()
def a_large_message_is_filed_whole(store):
  body = b'0123456789abcde\r\n' * 200_000
  equal(store.client().submit(b'A: b\r\n\r\n' + body + b'.\r\n'), [SUCCESS])
  equal(store.filed(), b'A: b\r\n\r\n' + body)


@case('--delay-final=300')
def each_final_reply_waits_for_the_delay(store):
  client = store.client()
  client.open_data('alice', 'bob')
  start = time.monotonic()
  client.send(message('m'))
  waits = []
  for _ in range(2):
    equal(client.read(), SUCCESS)
    waits.append(time.monotonic() - start)
  assert 0.29 < waits[0] < 0.55 and 0.59 < waits[1] < 0.95, waits


@case('--delay-final=60000')
def a_killed_store_leaves_nothing_in_new_and_no_file_of_its_own(store):
  client = store.client()
  client.open_data('alice', 'bob')
  client.send(message('m'))
  assert client.silent()
  equal(store.end(signal.SIGKILL), -signal.SIGKILL)
  equal(store.files('alice') + store.files('bob'), [])
  equal(sorted(path.name for path in store.mail.iterdir()), ['alice', 'bob'])
  store.options = ()
  store.start()
  equal(store.client().submit(message('m'), 'alice', 'bob'), [SUCCESS, SUCCESS])
