"""What is filed is what was sent, byte for byte."""

import base64
import os
import re

import pytest

from fixtures.cyrus import Cyrus
from fixtures.dovecot import Dovecot
from fixtures.messages import body_of, message, message_id

TELLING_BODY = (
    b'.\r\n..\r\n...\r\n.leading\r\n a . within\r\nFrom here\r\n>From there\r\n'
    b'\xc3\xa4\xc3\xb6\xc3\xbc UTF-8, \xe4\xf6\xfc Latin-1, \x80\xff\x07\x1b\x7f controls\r\n'
    b'\ttab, and spaces at the end   \r\n\r\n\r\n' + b'9' * 997 + b'\r\n' + b'.' * 998 + b'\r\n'
    b'QUIT\r\nRSET\r\n.\r\n')


class ContentCases:
  def deliver(self, mail, raw: bytes) -> bytes:
    """Through the queue into a new mailbox; what was filed there."""
    mail.with_lmtpq()
    user = mail.mailbox('alice')
    qid = mail.send(raw, user)
    mail.sendmail.run_queue()
    mail.assert_sent(qid, user)
    mail.assert_queue_empty()
    filed = mail.store.messages(user)
    assert len(filed) == 1
    assert message_id(filed[0]) == message_id(raw)
    return filed[0]

  def test_mail_to_a_mailbox_with_room_is_filed_unchanged(self, mail):
    filed = self.deliver(mail, message(TELLING_BODY))
    assert body_of(filed) == TELLING_BODY

  def test_lmtpq_logs_one_line_for_the_recipient(self, mail):
    mail.with_lmtpq()
    user = mail.mailbox('alice')
    qid = mail.send(message(), user)
    mail.sendmail.run_queue()
    lines = mail.recipient_lines(qid)
    assert len(lines) == 1, mail.lmtpq_lines()
    line = lines[0]
    assert user in line['to']
    assert line['dsn'].startswith('2.'), line['line']
    assert line['reply'].startswith('250'), line['line']
    assert re.search(r'^\d+\.\d{3}(/\d+\.\d{3}){8}$', line['delays'])
    assert line['trace'] == qid, 'the trace id is the queue id'
    assert mail.store.address.partition(':')[2] in line['relay']

  def test_odd_bodies_are_filed_unchanged(self, mail):
    bodies = [b'', b'.', b'.\r\n', b'..', b'.\r\n.\r\n.\r\n', b'\r\n', b'\r\n.\r\n\r\n.\r\n',
              b'no line end', b' \r\n', b'x\r\n..x\r\n.', b'.\r\nMAIL FROM:<x>\r\n.\r\n']
    bodies += [b'x' * length + b'\r\n.\r\n' for length in range(996, 999)]
    mail.with_lmtpq()
    user = mail.mailbox('alice')
    sent = {}
    for body in bodies:
      raw = message(body)
      mail.send(raw, user)
      # SMTP itself ends the last line.
      sent[message_id(raw)] = body if not body or body.endswith(b'\r\n') else body + b'\r\n'
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    assert {message_id(raw): body_of(raw) for raw in mail.store.messages(user)} == sent

  def test_a_message_of_headers_alone_is_filed(self, mail):
    raw = message(b'')
    filed = self.deliver(mail, raw.removesuffix(b'\r\n'))
    assert body_of(filed) == b''

  def test_lines_up_to_8000_bytes_are_filed_unchanged(self, mail):
    body = b''.join(b'.' + b'0123456789' * (length // 10) + b'.' * (length % 10 - 1) + b'\r\n'
                    for length in (999, 2047, 4096, 7999)) + b'.' * 8000 + b'\r\nlast\r\n'
    assert max(len(line) for line in body.split(b'\r\n')) == 8000
    assert body_of(self.deliver(mail, message(body))) == body

  def test_a_longer_line_is_broken_and_loses_nothing(self, mail):
    words = b' '.join(b'<https://www.example.test/%04d?token=3D>' % n for n in range(300))
    body = b'first\r\n' + b'0123456789' * 1500 + b'.\r\n' + words + b'\r\nlast\r\n'
    filed = self.deliver(mail, message(body))
    lines = body_of(filed).split(b'\r\n')
    assert max(len(line) for line in lines) <= 8000
    assert body_of(filed).replace(b'\r\n <', b' <').replace(b'\r\n ', b'') == body
    assert [line['folded-lines'] for line in mail.lmtpq_lines() if 'folded-lines' in line] == ['2']

  def test_a_long_field_is_filed_unchanged(self, mail):
    # Sendmail itself cuts a field off after some 2 kB.
    field = b'References: ' + b' '.join(b'<%06d@mail.example>' % n for n in range(85))
    assert len(field) > 1700
    filed = self.deliver(mail, message(headers=field + b'\r\n'))
    assert b'\r\n' + field + b'\r\n' in filed

  def test_a_bare_cr_before_a_dot_never_ends_the_message(self, mail):
    mail.with_lmtpq()
    user = mail.mailbox('alice')
    raw = message(b'one\r.\ntwo\n\r.\r.\nthree\n')
    qid = mail.sendmail.submit_by_program(raw, f'{user}@store.test', sender=mail.sender)
    mail.sendmail.run_queue()
    mail.assert_sent(qid, user)
    filed = mail.store.messages(user)
    assert len(filed) == 1
    body = body_of(filed[0])
    assert b'\r' not in body.replace(b'\r\n', b''), 'a bare CR never reaches the store'
    assert ([line for line in body.split(b'\r\n') if line]
            == [b'one', b'.', b'two', b'.', b'.', b'three'])

  def test_a_header_in_utf8_is_filed_unchanged(self, mail):
    subject = 'Grüße aus Köln, 你好'.encode()
    filed = self.deliver(mail, message(headers=b'X-Greeting: ' + subject + b'\r\n'))
    assert b'\r\nX-Greeting: ' + subject + b'\r\n' in filed

  def test_8_bit_mail_that_was_not_declared_is_filed_unchanged(self, mail):
    mail.with_lmtpq()
    user = mail.mailbox('alice')
    body = 'Grüße\r\n'.encode() + b'\xe4\xf6\xfc\r\n'
    qid = mail.send(message(body), user, options=())
    mail.sendmail.run_queue()
    mail.assert_sent(qid, user)
    assert body_of(mail.store.messages(user)[0]) == body

  def test_thirty_megabytes_arrive_unchanged(self, mail):
    body = base64.encodebytes(os.urandom(23_000_000)).replace(b'\n', b'\r\n')
    assert len(body) > 30_000_000
    filed = self.deliver(mail, message(body))
    same = body_of(filed) == body  # pytest must not compare 30 MB byte by byte
    assert same, f'{len(body_of(filed))} bytes differ from {len(body)}'


@pytest.mark.store(kind=Cyrus)
class TestContentInCyrus(ContentCases):
  pass


@pytest.mark.store(kind=Dovecot)
class TestContentInDovecot(ContentCases):
  pass


class TestContentInStore(ContentCases):
  pass
