"""What is filed is what was sent, byte for byte."""

import base64
import os

from fixtures.case import MailCase
from fixtures.cyrus import Cyrus
from fixtures.dovecot import Dovecot
from fixtures.messages import body_of, message, message_id

TELLING_BODY = (
    b'.\r\n..\r\n...\r\n.leading\r\n a . within\r\nFrom here\r\n>From there\r\n'
    b'\xc3\xa4\xc3\xb6\xc3\xbc UTF-8, \xe4\xf6\xfc Latin-1, \x80\xff\x07\x1b\x7f controls\r\n'
    b'\ttab, and spaces at the end   \r\n\r\n\r\n' + b'9' * 997 + b'\r\n' + b'.' * 998 + b'\r\n'
    b'QUIT\r\nRSET\r\n.\r\n')


class ContentCases:
  def deliver(self, raw: bytes) -> bytes:
    """Through the queue into a new mailbox; what was filed there."""
    self.with_lmtpq()
    user = self.mailbox('alice')
    qid = self.send(raw, user)
    self.sendmail.run_queue()
    self.assert_sent(qid, user)
    self.assert_queue_empty()
    filed = self.store.messages(user)
    self.assertEqual(len(filed), 1)
    self.assertEqual(message_id(filed[0]), message_id(raw))
    return filed[0]

  def test_mail_to_a_mailbox_with_room_is_filed_unchanged(self):
    filed = self.deliver(message(TELLING_BODY))
    self.assertEqual(body_of(filed), TELLING_BODY)

  def test_lmtpq_logs_one_line_for_the_recipient(self):
    self.with_lmtpq()
    user = self.mailbox('alice')
    qid = self.send(message(), user)
    self.sendmail.run_queue()
    lines = self.recipient_lines(qid)
    self.assertEqual(len(lines), 1, self.lmtpq_lines())
    line = lines[0]
    self.assertIn(user, line['to'])
    self.assertTrue(line['dsn'].startswith('2.'), line['line'])
    self.assertTrue(line['reply'].startswith('250'), line['line'])
    self.assertRegex(line['delays'], r'^[\d.]+/[\d.]+/[\d.]+/[\d.]+$')
    self.assertEqual(line['trace'], qid, 'the trace id is the queue id')
    self.assertIn(self.store.address.partition(':')[2], line['relay'])

  def test_odd_bodies_are_filed_unchanged(self):
    bodies = [b'', b'.', b'.\r\n', b'..', b'.\r\n.\r\n.\r\n', b'\r\n', b'\r\n.\r\n\r\n.\r\n',
              b'no line end', b' \r\n', b'x\r\n..x\r\n.', b'.\r\nMAIL FROM:<x>\r\n.\r\n']
    bodies += [b'x' * length + b'\r\n.\r\n' for length in range(996, 999)]
    self.with_lmtpq()
    user = self.mailbox('alice')
    sent = {}
    for body in bodies:
      raw = message(body)
      self.send(raw, user)
      # SMTP itself ends the last line.
      sent[message_id(raw)] = body if not body or body.endswith(b'\r\n') else body + b'\r\n'
    self.sendmail.run_queue()
    self.assert_queue_empty()
    self.assertEqual({message_id(raw): body_of(raw) for raw in self.store.messages(user)}, sent)

  def test_a_message_of_headers_alone_is_filed(self):
    raw = message(b'')
    filed = self.deliver(raw.removesuffix(b'\r\n'))
    self.assertEqual(body_of(filed), b'')

  def test_a_line_over_998_bytes_is_broken_and_loses_nothing(self):
    body = b'first\r\n' + b'0123456789' * 1500 + b'.\r\nlast\r\n'
    filed = self.deliver(message(body))
    lines = body_of(filed).split(b'\r\n')
    self.assertLessEqual(max(len(line) for line in lines), 998)
    self.assertEqual(body_of(filed).replace(b'\r\n ', b''), body)

  def test_a_bare_cr_before_a_dot_never_ends_the_message(self):
    self.with_lmtpq()
    user = self.mailbox('alice')
    raw = message(b'one\r.\ntwo\n\r.\r.\nthree\n')
    qid = self.sendmail.submit_by_program(raw, f'{user}@store.test', sender=self.sender)
    self.sendmail.run_queue()
    self.assert_sent(qid, user)
    filed = self.store.messages(user)
    self.assertEqual(len(filed), 1)
    body = body_of(filed[0])
    self.assertNotIn(b'\r', body.replace(b'\r\n', b''), 'a bare CR never reaches the store')
    self.assertEqual([line for line in body.split(b'\r\n') if line],
                     [b'one', b'.', b'two', b'.', b'.', b'three'])

  def test_a_header_in_utf8_is_filed_unchanged(self):
    subject = 'Grüße aus Köln, 你好'.encode()
    filed = self.deliver(message(headers=b'X-Greeting: ' + subject + b'\r\n'))
    self.assertIn(b'\r\nX-Greeting: ' + subject + b'\r\n', filed)

  def test_8_bit_mail_that_was_not_declared_is_filed_unchanged(self):
    self.with_lmtpq()
    user = self.mailbox('alice')
    body = 'Grüße\r\n'.encode() + b'\xe4\xf6\xfc\r\n'
    qid = self.send(message(body), user, options=())
    self.sendmail.run_queue()
    self.assert_sent(qid, user)
    self.assertEqual(body_of(self.store.messages(user)[0]), body)

  def test_thirty_megabytes_arrive_unchanged(self):
    body = base64.encodebytes(os.urandom(23_000_000)).replace(b'\n', b'\r\n')
    self.assertGreater(len(body), 30_000_000)
    filed = self.deliver(message(body))
    # No assertEqual: a difference of 30 MB says nothing to anyone.
    self.assertTrue(body_of(filed) == body, f'{len(body_of(filed))} bytes differ from {len(body)}')


class ContentInCyrus(ContentCases, MailCase):
  make_store = Cyrus


class ContentInDovecot(ContentCases, MailCase):
  make_store = Dovecot


class ContentInStore(ContentCases, MailCase):
  pass
