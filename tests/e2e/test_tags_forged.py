"""What looks like a tag and is none of ours opens no mailbox, and is never filed.

With the milter in the way every such field is removed; where it is down or was passed by, lmtpq
disbelieves and logs why.
"""

import re
import time

from fixtures import tags
from fixtures.messages import body_of, message, message_id
from fixtures.tag_case import NOTICES, TagCase


class Forgeries(TagCase):
  """Each test says what is sent; both roads are taken."""
  weight = 2

  def assert_worthless(self, raw: bytes, reasons: list[str] | None = None, user: str = '') -> str:
    """Past the milter first, then through it: deferred both times, and never filed as it is.

    reasons: what lmtpq logs when nobody stands before it; None: there is no tag to be seen. The
    queue id of the first.
    """
    full = user or self.full_mailbox(f'full-{len(self.sendmail.qids())}-')
    past = self.submit_past_the_milter(raw, full)
    self.sendmail.run_queue()
    self.assert_deferred(past, full, '4.2.2')
    self.assertEqual(self.disbelieved(past), reasons or [])
    self.assertEqual([line['trace'] for line in self.recipient_lines(past)], [past])
    through = self.send(raw, full)
    self.assertEqual(len(tags.tags_in_queue(self.sendmail, through)), 1)
    self.sendmail.run_queue()
    self.assert_deferred(through, full, '4.2.2')
    trace = self.milter.word_on(through)['trace']
    self.assertEqual({line['trace'] for line in self.recipient_lines(through)}, {trace})
    self.assertEqual(self.disbelieved(through), [])
    self.assert_filed_clean(raw, full)
    return past

  def submit_past_the_milter(self, raw: bytes, user: str) -> str:
    """By SMTP while the milter is down."""
    self.milter.stop()
    try:
      return self.send(raw, user)
    finally:
      self.milter.start()

  def assert_filed_clean(self, raw: bytes, user: str):
    """When there is room: without the tag, and the body is as it was sent."""
    self.store.make_room(user)
    self.sendmail.run_queue()
    filed = self.store.messages(user)
    self.assertTrue(filed)
    for one in filed:
      self.assertEqual(tags.left_in(one), [], one[:3000])
      self.assertEqual(body_of(one), body_of(raw))

  def tag_of_a_notice(self, *recipients: str, **more) -> tuple[str, bytes]:
    """A good tag, as one sees it who has a notice, and the message that it was made for."""
    raw = message(sender=self.notice)
    qid = self.notify(*(f'{user}@store.test' for user in recipients), raw=raw, **more)
    tag, = tags.tags_in_queue(self.sendmail, qid)
    return tag, raw

  def test_a_tag_copied_to_another_message(self):
    self.with_milter()
    tag, _ = self.tag_of_a_notice(self.mailbox('alice'))
    self.assert_worthless(message(headers=tags.field(tag)), ['wrong message'])

  def test_a_tag_copied_with_the_message_id_to_another_message(self):
    self.with_milter()
    alice, full = self.mailbox('alice'), self.full_mailbox()
    tag, notice = self.tag_of_a_notice(alice)
    forged = tags.field(tag) + notice.replace(b'Hello', b'Send money')
    qid = self.submit_past_the_milter(forged, full)
    self.sendmail.run_queue()
    self.assert_deferred(qid, full, '4.2.2')
    self.assertEqual(self.disbelieved(qid), ['wrong message'])

  def test_a_tag_with_a_list_copied_to_other_recipients(self):
    """Where the queue id does not bind it, the list still does."""
    self.with_milter(NOTICES.replace('from =', 'rcpt = alice*\nfrom ='), 'bind-queue-id = no\n')
    alice, full = self.mailbox('alice'), self.full_mailbox()
    other = self.mailbox('other')
    tag, notice = self.tag_of_a_notice(alice, other)
    qid = self.submit_past_the_milter(tags.field(tag) + notice, full)
    self.sendmail.run_queue()
    self.assert_deferred(qid, full, '4.2.2')
    self.assertEqual(self.disbelieved(qid), [])

  def test_a_whole_message_with_its_tag_comes_again(self):
    self.with_milter()
    alice, full = self.mailbox('alice'), self.full_mailbox()
    tag, notice = self.tag_of_a_notice(alice)
    qid = self.submit_past_the_milter(tags.field(tag) + notice, full)
    self.sendmail.run_queue()
    self.assert_deferred(qid, full, '4.2.2')
    self.assertEqual(self.disbelieved(qid), ['wrong message'])

  def test_a_forged_received_field_with_the_queue_id_of_the_notice(self):
    """Only the topmost Received field counts, and that is Sendmail's own."""
    self.with_milter()
    alice, full = self.mailbox('alice'), self.full_mailbox()
    raw = message(sender=self.notice)
    notice = self.notify(f'{alice}@store.test', raw=raw)
    tag, = tags.tags_in_queue(self.sendmail, notice)
    received = f'Received: from x by mail.test with ESMTP id {notice}; '.encode() \
        + b'Sat, 21 Nov 2026 12:00:00 +0000\r\n'
    for forged in (tags.field(tag) + received + raw, received + tags.field(tag) + raw):
      qid = self.submit_past_the_milter(forged, full)
      self.sendmail.run_queue()
      self.assert_deferred(qid, full, '4.2.2')
      self.assertEqual(self.disbelieved(qid), ['wrong message'])

  def test_a_tag_that_has_expired_in_the_queue(self):
    self.with_milter(milter_options='tag-lifetime = 1s\n')
    full = self.full_mailbox()
    raw = message(sender=self.notice)
    qid = self.notify(f'{full}@store.test', raw=raw)
    time.sleep(2.1)
    self.sendmail.run_queue()
    self.assert_deferred(qid, full, '4.2.2')
    self.assertEqual(self.disbelieved(qid), ['expired'])
    self.assert_filed_clean(raw, full)

  def test_edited_fields(self):
    self.with_milter(NOTICES.replace('from =', 'rcpt = alice*\nfrom ='))
    alice, other = self.mailbox('alice'), self.mailbox('other')
    tag, _ = self.tag_of_a_notice(alice, other)
    edits = {re.sub(r'q=[^;]*', 'q=*', tag): 'bad mac',
             re.sub(r'x=\d*', 'x=99999999999', tag): 'bad mac',
             re.sub(r't=[^;]*', 't=another', tag): 'bad mac',
             re.sub(r'm=[^;]*;', '', tag): 'bad mac',
             re.sub(r'i=[^;]*;', '', tag): 'bad mac',
             re.sub(r'k=[^;]*', 'k=second', tag): 'unknown key',
             re.sub(r'[mi]=[^;]*;', '', tag): 'malformed',
             re.sub(r'b=.*', 'b=', tag): 'bad mac',
             tag.replace('v=1', 'v=2'): 'malformed',
             tag + ';q=*': 'bad mac',
             '': 'malformed'}
    for value, reason in edits.items():
      with self.subTest(value):
        self.assert_worthless(message(headers=tags.field(value)), [reason])

  def test_a_tag_signed_with_another_secret_under_the_id_of_our_key(self):
    self.with_milter()
    raw = message()
    forged = tags.signed(f'first {"A" * 43}=', message_id=message_id(raw))
    self.assert_worthless(tags.field(forged) + raw, ['bad mac'])

  def test_a_hundred_tags(self):
    self.with_milter()
    tag, _ = self.tag_of_a_notice(self.mailbox('alice'))
    full = self.full_mailbox()
    raw = message(headers=tags.field(tag) * 100)
    past = self.submit_past_the_milter(raw, full)
    self.sendmail.run_queue()
    self.assert_deferred(past, full, '4.2.2')
    self.assertTrue(self.disbelieved(past))
    self.assertLess(len(self.disbelieved(past)), 20, 'a stranger must not fill the log')
    through = self.send(raw, full)
    self.assertEqual(self.milter.word_on(through)['old_tags'], '100')
    self.assertEqual(self.tag_in_queue(through)['q'], '-')
    self.assert_filed_clean(raw, full)

  def test_a_tag_of_sixty_thousand_bytes(self):
    self.with_milter(options="define(`confMAX_HEADERS_LENGTH', `200000')\n")
    tag, _ = self.tag_of_a_notice(self.mailbox('alice'))
    folds = ''.join(f'\r\n\t{"x" * 70}' for _ in range(850))
    self.assert_worthless(message(headers=tags.field(tag + folds)), ['malformed'])

  def test_a_tag_behind_sixty_thousand_bytes_of_header(self):
    self.with_milter(options="define(`confMAX_HEADERS_LENGTH', `200000')\n")
    tag, _ = self.tag_of_a_notice(self.mailbox('alice'))
    ballast = b''.join(b'X-Ballast-%d: %s\r\n' % (i, b'x' * 70) for i in range(900))
    full = self.full_mailbox()
    raw = message(headers=ballast + tags.field(tag))
    past = self.submit_past_the_milter(raw, full)
    self.sendmail.run_queue()
    self.assert_deferred(past, full, '4.2.2')
    self.assert_filed_clean(raw, full)

  def test_a_tag_in_the_body(self):
    self.with_milter()
    tag, _ = self.tag_of_a_notice(self.mailbox('alice'))
    self.assert_worthless(message(tags.field(tag) + b'\r\nHello.\r\n'))

  def test_a_tag_in_a_part_and_in_an_attached_message(self):
    self.with_milter()
    tag, notice = self.tag_of_a_notice(self.mailbox('alice'))
    field = tags.field(tag)
    parts = (b'--b\r\n' + field + b'Content-Type: text/plain\r\n\r\npart\r\n'
             b'--b\r\nContent-Type: message/rfc822\r\n\r\n' + field + notice + b'\r\n--b--\r\n')
    self.assert_worthless(message(
        parts, headers=b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n'))

  def test_a_tag_behind_a_line_that_is_no_header_field(self):
    """Sendmail ends the header there; what follows is text of the body."""
    self.with_milter()
    tag, _ = self.tag_of_a_notice(self.mailbox('alice'))
    for line in (b'this is no field\r\n', b': no name\r\n', b'>From x\r\n'):
      with self.subTest(line):
        full = self.full_mailbox(f'full-{len(self.sendmail.qids())}-')
        raw = message(headers=line + tags.field(tag))
        for qid in (self.submit_past_the_milter(raw, full), self.send(raw, full)):
          self.sendmail.run_queue()
          self.assert_deferred(qid, full, '4.2.2')
        self.store.make_room(full)
        self.sendmail.run_queue()
        for filed in self.store.messages(full):
          self.assertEqual(tags.left_in(filed), [], filed)
          self.assertTrue(body_of(filed).endswith(b'Hello.\r\n'))

  def test_names_that_are_written_oddly(self):
    self.with_milter()
    tag, _ = self.tag_of_a_notice(self.mailbox('alice'))
    value = b' ' + tag.encode() + b'\r\n'
    for name in (b'x-lmtpq-tag:', b'X-LMTPQ-TAG:', b'X-LMTPQ-Tag :', b'X-LMTPQ-Tag \t :',
                 b'X-LMTPQ-Tag:\r\n'):
      with self.subTest(name):
        self.assert_worthless(message(headers=name + value), ['wrong message'])

  def test_names_that_only_look_like_it(self):
    self.with_milter()
    tag, _ = self.tag_of_a_notice(self.mailbox('alice'))
    for name in ('X-LМТРQ-Tag', 'X-LMTPQ-Tаg', 'Х-LMTPQ-Tag', 'X‑LMTPQ‑Tag', 'X-LMTPQ-Tag\u200b'):
      with self.subTest(name):
        full = self.full_mailbox(f'full-{len(self.sendmail.qids())}-')
        raw = message(headers=f'{name}: {tag}\r\n'.encode())
        for qid in (self.submit_past_the_milter(raw, full), self.send(raw, full)):
          self.sendmail.run_queue()
          self.assert_deferred(qid, full, '4.2.2')
          self.assertEqual(self.disbelieved(qid), [])

  def test_a_tag_behind_a_bare_cr_a_bare_lf_or_a_folded_name(self):
    """Sendmail refuses the barest of them in SMTP; a program may still queue them."""
    self.with_milter()
    tag, _ = self.tag_of_a_notice(self.mailbox('alice'))
    field = tags.field(tag)
    for prefix in (b'Subject: x\r', b'Subject: x\n', b'X-Other: x\r\r\n', b'X-Other: x\r\r',
                   b'X-Other: x\v', b'X-Other: x\f', b'X-Other: x\0\r\n',
                   b'X-LMTPQ-\r\n Tag: x\r\n', b'X-Other: x\r\n\r'):
      with self.subTest(prefix):
        full = self.full_mailbox(f'full-{len(self.sendmail.qids())}-')
        raw = message(headers=prefix + field)
        qids = [self.sendmail.submit_by_program(raw, f'{full}@store.test', sender=self.sender)]
        for submit in (self.submit_past_the_milter, self.send):
          try:
            qids.append(submit(raw, full))
          except AssertionError as refused:
            self.assertIn('not allowed', str(refused))
        self.sendmail.run_queue()
        self.assertEqual(self.store.messages(full), [])
        self.store.make_room(full)
        self.sendmail.run_queue()
        for qid in qids:
          self.assertTrue(self.recipient_lines(qid), f'lmtpq saw {qid}')
        for filed in self.store.messages(full):
          self.assertEqual(tags.left_in(filed), [], filed)

  def test_the_log_names_the_message_the_reason_and_the_key(self):
    self.with_milter()
    tag, _ = self.tag_of_a_notice(self.mailbox('alice'))
    forged = re.sub('x=', 'x=9', tag)
    qid = self.assert_worthless(message(headers=tags.field(forged)), ['bad mac'])
    line = [line for line in self.lmtpq_lines('tag=disbelieved') if line['qid'] == qid][0]
    self.assertEqual((line['trace'], line['key']), (qid, 'first'))
    self.assertIn('reason="bad mac"', line['line'])
