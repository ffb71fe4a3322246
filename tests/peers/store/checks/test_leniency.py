"""What a client must never send, and what becomes of it: the leniencies of Cyrus's spool."""

import pytest

from .replies import MAIL, MAIL_OK, NESTED, RCPT_OK, RSET_OK, SUCCESS, SYNTAX

HEAD = b'Subject: x\r\n\r\n'


def files_as(store, sent: bytes, stored: bytes):
  client = store.client()
  assert client.submit(sent) == [SUCCESS]
  client.play('NOOP', '250 2.0.0 ok')
  assert store.filed() == stored


def test_dots_are_taken_off_and_8_bit_bytes_stay(store):
  files_as(store, HEAD + b'..\r\n...a\r\n\xff\xe4\r\n.x\r\n.\r\n',
           HEAD + b'.\r\n..a\r\n\xff\xe4\r\nx\r\n')


def test_a_bare_LF_is_filed_as_CRLF(store):
  files_as(store, b'Subject: x\nTo: y\n folded\n\na\nb\r\n.\r\n',
           b'Subject: x\r\nTo: y\r\n folded\r\n\r\na\r\nb\r\n')


def test_LF_dot_LF_ends_the_message_and_what_follows_is_commands(store):
  client = store.client()
  assert client.submit(HEAD + b'a\n.\nNOOP\r\nb\r\n') == [SUCCESS]
  assert [client.read(), client.read()] == ['250 2.0.0 ok', SYNTAX]
  assert store.filed() == HEAD + b'a\r\n'


def test_CRLF_dot_LF_and_LF_dot_CRLF_end_the_message(store):
  client = store.client()
  assert client.submit(HEAD + b'a\r\n.\n') == [SUCCESS]
  assert client.submit(HEAD + b'b\n.\r\n', 'bob') == [SUCCESS]
  assert [store.filed(), store.filed('bob')] == [HEAD + b'a\r\n', HEAD + b'b\r\n']


def test_a_lone_CR_is_deleted_before_the_dot_is_looked_for(store):
  client = store.client()
  assert client.submit(HEAD + b'a\rb\r\r\n\r.\r\nNOOP\r\n') == [SUCCESS]
  assert client.read() == '250 2.0.0 ok'
  assert store.filed() == HEAD + b'ab\r\n'


def test_a_CR_in_a_header_begins_a_new_header_line(store):
  files_as(store, b'Subject: x\rX-Injected: y\r\n\r\nb\r\n.\r\n',
           b'Subject: x\r\nX-Injected: y\r\n\r\nb\r\n')


def test_a_piece_of_8189_bytes_is_searched_for_its_dot(store):
  line = b'a' * 8189
  files_as(store, HEAD + line + b'.b\r\n' + line + b'cd\r\n.\r\n',
           HEAD + line + b'b\r\n' + line + b'cd\r\n')


def test_an_end_of_data_at_the_seam_of_two_pieces_counts(store):
  client = store.client()
  assert client.submit(HEAD + b'a' * 8189 + b'.\r\nNOOP\r\n') == [SUCCESS]
  assert client.read() == '250 2.0.0 ok'
  assert store.filed() == HEAD + b'a' * 8189


def test_a_CR_at_the_seam_keeps_its_LF(store):
  files_as(store, HEAD + b'a' * 8188 + b'\r\n' + b'b' * 8188 + b'\rc\r\n.\r\n',
           HEAD + b'a' * 8188 + b'\r\n' + b'b' * 8188 + b'c\r\n')


def test_the_end_of_data_may_come_byte_by_byte(store):
  client = store.client(store.inet)
  client.open_data()
  for byte in b'Subject: x\r\n folded\r\n\r\n..a\r\n\r\n.\r\n':
    client.send(bytes([byte]))
  assert client.read() == SUCCESS
  assert store.filed() == b'Subject: x\r\n folded\r\n\r\n.a\r\n\r\n'


def test_the_dots_of_a_header_line_stay_doubled(store):
  files_as(store, b'..x: y\r\n\r\n..b\r\n.\r\n', b'..x: y\r\n\r\n.b\r\n')


def test_a_header_may_be_all_there_is_or_be_missing(store):
  client = store.client()
  assert client.submit(b'Subject: x\r\n.\r\n') == [SUCCESS]
  assert client.submit(b'\r\nbody\r\n.\r\n', 'bob') == [SUCCESS]
  assert [store.filed(), store.filed('bob')] == [b'Subject: x\r\n', b'\r\nbody\r\n']


def test_a_Return_Path_of_the_message_is_replaced(store):
  client = store.client()
  assert client.submit(b'Return-Path: <old@x.test>\r\n folded\r\nA : b\r\n\r\n.\r\n') == [SUCCESS]
  assert store.files('alice') == [b'Return-Path: <s@x.test>\r\nA : b\r\n\r\n']


def test_a_NUL_is_refused_for_every_recipient(store):
  client = store.client()
  refusal = '554 5.6.0 Message contains NUL characters'
  for data in (HEAD + b'a\0b\r\n.\r\n', HEAD + b'\0\r\n.\r\n', b'Sub\0ject: x\r\n\r\n.\r\n',
               b'Subject: x\0y\r\n\r\n.\r\n', HEAD + b'a\r\0\r\n.\r\n'):
    assert client.submit(data, 'alice', 'bob') == [refusal, refusal]
  assert store.files('alice') == []


def test_a_bad_header_is_refused_for_every_recipient(store):
  client = store.client()
  refusal = '554 5.6.0 Message contains invalid header'
  for data in (b'no colon\r\n\r\n.\r\n', b'Sub\xe4ject: x\r\n\r\n.\r\n', b': x\r\n\r\n.\r\n',
               b'nocolon\r\n.\r\n', b'Message-ID:  \r\n\r\n.\r\n', b' x: y\r\n\r\n.\r\n'):
    assert client.submit(data, 'alice', 'bob') == [refusal, refusal]


@pytest.mark.store_options('--max-message-size=1000', users=('a', 'b', 'c'))
def test_a_message_too_large_gets_one_552_and_leaves_MAIL_nested(store):
  client = store.client()
  client.open_data('a', 'b', 'c')
  client.send(HEAD + b'x' * 1000 + b'\r\n.\r\n')
  size = len(b'Return-Path: <s@x.test>\r\n' + HEAD) + 1002
  assert client.read() == (
      f'552 5.2.3 Message size ({size}) exceeds fixed maximum message size (1000)')
  client.play('NOOP', '250 2.0.0 ok', MAIL, NESTED, 'RCPT TO:<a>', RCPT_OK, 'RSET', RSET_OK,
              MAIL, MAIL_OK)
  assert [store.files(user) for user in 'abc'] == [[], [], []]


def test_a_command_line_over_4095_bytes_is_read_as_several(store):
  client = store.client()
  client.send('x' * 4095 + 'NOOP\r\n')
  assert [client.read(), client.read()] == [SYNTAX, '250 2.0.0 ok']
  client.send('TRACE ' + 'a' * 4089 + 'RSET\r\n')
  assert [client.read(), client.read()] == ['501 5.5.4 Invalid TRACE id.', RSET_OK]


def test_a_command_line_may_end_in_LF_and_ends_at_a_NUL(store):
  client = store.client()
  client.send(b'NOOP\nRSET\0 x\r\n')
  assert [client.read(), client.read()] == ['250 2.0.0 ok', RSET_OK]


def test_a_message_cut_short_is_not_filed(store):
  client = store.client()
  client.open_data('alice', 'bob')
  client.send(HEAD + b'half')
  client.socket.shutdown(1)
  assert [client.read(), client.read()] == ['451 4.3.0 System I/O error'] * 2
  assert client.read() == '421 4.4.1 bye end of file reached'
  assert client.at_end()
  assert store.files('alice') + store.files('alice', 'tmp') == []
