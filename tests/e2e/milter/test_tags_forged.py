"""A field that looks like a tag and is not from our milter opens no mailbox, and is never filed.

The milter removes every such field; where it is down or was bypassed, lmtpq rejects the field and
logs why.
"""

import functools
import re
import time

import pytest

from fixtures import tags
from fixtures.messages import body_of, message, message_id
from fixtures.tagged_mail import NOTICES


@pytest.mark.weight(2)
class TestForgeries:
  """Each test says what is sent; it is sent through the milter and without it."""

  def assert_worthless(self, mail, raw: bytes, reasons: list[str] | None = None,
                       user: str = '') -> str:
    """Past the milter first, then through it: deferred both times, and never filed with the tag.

    reasons: what lmtpq logs without the milter; None: it finds no tag. Returns the queue id of the
    first.
    """
    full = user or mail.full_mailbox(f'full-{len(mail.sendmail.qids())}-')
    past = self.submit_past_the_milter(mail, raw, full)
    mail.sendmail.run_queue()
    mail.assert_deferred(past, full, '4.2.2')
    assert mail.rejected(past) == (reasons or [])
    assert [line['trace'] for line in mail.recipient_lines(past)] == [past]
    through = mail.send(raw, full)
    assert len(tags.tags_in_queue(mail.sendmail, through)) == 1
    mail.sendmail.run_queue()
    mail.assert_deferred(through, full, '4.2.2')
    trace = mail.milter.decision_on(through)['trace']
    assert {line['trace'] for line in mail.recipient_lines(through)} == {trace}
    assert mail.rejected(through) == []
    self.assert_filed_clean(mail, raw, full)
    return past

  def submit_past_the_milter(self, mail, raw: bytes, user: str) -> str:
    """By SMTP while the milter is down."""
    mail.milter.stop()
    try:
      return mail.send(raw, user)
    finally:
      mail.milter.start()

  def assert_filed_clean(self, mail, raw: bytes, user: str):
    """When there is room: without the tag, and the body is as it was sent."""
    mail.store.make_room(user)
    mail.sendmail.run_queue()
    filed = mail.store.messages(user)
    assert filed
    for one in filed:
      assert tags.left_in(one) == [], one[:3000]
      assert body_of(one) == body_of(raw)

  def tag_of_a_notice(self, mail, *recipients: str, **more) -> tuple[str, bytes]:
    """A good tag, as the recipient of a notice sees it, and the message that it was made for."""
    raw = message(sender=mail.notice)
    qid = mail.notify(*(f'{user}@store.test' for user in recipients), raw=raw, **more)
    tag, = tags.tags_in_queue(mail.sendmail, qid)
    return tag, raw

  def test_a_tag_copied_to_another_message(self, mail):
    mail.with_milter()
    tag, _ = self.tag_of_a_notice(mail, mail.mailbox('alice'))
    self.assert_worthless(mail, message(headers=tags.field(tag)), ['wrong message'])

  def test_a_tag_copied_with_the_message_id_to_another_message(self, mail):
    mail.with_milter()
    alice, full = mail.mailbox('alice'), mail.full_mailbox()
    tag, notice = self.tag_of_a_notice(mail, alice)
    forged = tags.field(tag) + notice.replace(b'Hello', b'Send money')
    qid = self.submit_past_the_milter(mail, forged, full)
    mail.sendmail.run_queue()
    mail.assert_deferred(qid, full, '4.2.2')
    assert mail.rejected(qid) == ['wrong message']

  def test_a_tag_with_a_list_copied_to_other_recipients(self, mail):
    """Where the queue id does not bind it, the list still does."""
    mail.with_milter(NOTICES.replace('from =', 'rcpt = alice*\nfrom ='), 'bind-queue-id = no\n')
    alice, full = mail.mailbox('alice'), mail.full_mailbox()
    other = mail.mailbox('other')
    tag, notice = self.tag_of_a_notice(mail, alice, other)
    qid = self.submit_past_the_milter(mail, tags.field(tag) + notice, full)
    mail.sendmail.run_queue()
    mail.assert_deferred(qid, full, '4.2.2')
    assert mail.rejected(qid) == []

  def test_a_whole_message_with_its_tag_comes_again(self, mail):
    mail.with_milter()
    alice, full = mail.mailbox('alice'), mail.full_mailbox()
    tag, notice = self.tag_of_a_notice(mail, alice)
    qid = self.submit_past_the_milter(mail, tags.field(tag) + notice, full)
    mail.sendmail.run_queue()
    mail.assert_deferred(qid, full, '4.2.2')
    assert mail.rejected(qid) == ['wrong message']

  def test_a_forged_received_field_with_the_queue_id_of_the_notice(self, mail):
    """Only the topmost Received field counts, and that is Sendmail's own."""
    mail.with_milter()
    alice, full = mail.mailbox('alice'), mail.full_mailbox()
    raw = message(sender=mail.notice)
    notice = mail.notify(f'{alice}@store.test', raw=raw)
    tag, = tags.tags_in_queue(mail.sendmail, notice)
    received = f'Received: from x by mail.test with ESMTP id {notice}; '.encode() \
        + b'Sat, 21 Nov 2026 12:00:00 +0000\r\n'
    for forged in (tags.field(tag) + received + raw, received + tags.field(tag) + raw):
      qid = self.submit_past_the_milter(mail, forged, full)
      mail.sendmail.run_queue()
      mail.assert_deferred(qid, full, '4.2.2')
      assert mail.rejected(qid) == ['wrong message']

  def test_the_queue_id_of_the_notice_in_what_sendmail_is_told_of_the_client(self, mail):
    """root sets host and protocol of the Received field: before Sendmail's own queue id, as the
    beginning of a comment, a string or an escape that hides it, and long enough that it is cut off
    (trap: two-ids-in-received)."""
    mail.with_milter()
    alice = mail.mailbox('alice')
    raw = message(sender=mail.notice)
    notice = mail.notify(f'{alice}@store.test', raw=raw)
    tag, = tags.tags_in_queue(mail.sendmail, notice)
    forged = tags.field(tag) + raw
    old = f'x by mail.test with ESMTP id {notice}'
    for number, (host, protocol) in enumerate([
        (old, 'SMTP'), (f'{old} (', 'SMTP'), (f'{old} for "', 'SMTP'), (f'{old} ;', 'SMTP'),
        (f'{old} (', ')'), (f'{old} (', ') for "'), (f'{old} \\', 'SMTP'),
        ('x', f'SMTP id {notice}'), ('x', f'SMTP id {notice} ('), ('x', f'SMTP id {notice} for'),
        ('x', f'SMTP id {notice} for "'), ('x', f'SMTP id {notice} \\'),
        ('x', f'SMTP id {notice} for <{"z" * 900}>'), ('x', f'SMTP id {notice} for <{"z" * 3000}>'),
        ('x', f'SMTP id {notice} ' + 'z ' * 1500)]):
      full = mail.full_mailbox(f'full{number}-')
      qid = mail.sendmail.submit_by_program(
          forged, f'{full}@store.test', sender=mail.notice,
          options=(f'-oMs{host}', f'-oMr{protocol}'))
      mail.sendmail.run_queue()
      mail.assert_deferred(qid, full, '4.2.2')
      lines = [line for line in mail.lmtpq_lines() if full in line.get('to', '')]
      assert lines and notice not in {line['qid'] for line in lines}, (host, protocol)
    assert [line for line in mail.lmtpq_lines('event=tag-rejected')
            if line['reason'] == 'wrong message']

  def test_a_tag_that_has_expired_in_the_queue(self, mail):
    mail.with_milter(milter_options='tag-lifetime = 1s\n')
    full = mail.full_mailbox()
    raw = message(sender=mail.notice)
    qid = mail.notify(f'{full}@store.test', raw=raw)
    time.sleep(2.1)
    mail.sendmail.run_queue()
    mail.assert_deferred(qid, full, '4.2.2')
    assert mail.rejected(qid) == ['expired']
    self.assert_filed_clean(mail, raw, full)

  def test_edited_fields(self, mail):
    mail.with_milter(NOTICES.replace('from =', 'rcpt = alice*\nfrom ='))
    alice, other = mail.mailbox('alice'), mail.mailbox('other')
    tag, _ = self.tag_of_a_notice(mail, alice, other)
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
      self.assert_worthless(mail, message(headers=tags.field(value)), [reason])

  def test_a_tag_signed_with_another_secret_under_the_id_of_our_key(self, mail):
    mail.with_milter()
    raw = message()
    forged = tags.signed(f'first {"A" * 43}=', message_id=message_id(raw))
    self.assert_worthless(mail, tags.field(forged) + raw, ['bad mac'])

  def test_a_hundred_tags(self, mail):
    mail.with_milter()
    tag, _ = self.tag_of_a_notice(mail, mail.mailbox('alice'))
    full = mail.full_mailbox()
    raw = message(headers=tags.field(tag) * 100)
    past = self.submit_past_the_milter(mail, raw, full)
    mail.sendmail.run_queue()
    mail.assert_deferred(past, full, '4.2.2')
    assert mail.rejected(past)
    assert len(mail.rejected(past)) < 20, 'a stranger must not fill the log'
    through = mail.send(raw, full)
    assert mail.milter.decision_on(through)['old-tags'] == '100'
    assert mail.tag_in_queue(through)['q'] == '-'
    self.assert_filed_clean(mail, raw, full)

  def test_a_tag_of_sixty_thousand_bytes(self, mail):
    mail.with_milter(options="define(`confMAX_HEADERS_LENGTH', `200000')\n")
    tag, _ = self.tag_of_a_notice(mail, mail.mailbox('alice'))
    folds = ''.join(f'\r\n\t{"x" * 70}' for _ in range(850))
    self.assert_worthless(mail, message(headers=tags.field(tag + folds)), ['malformed'])

  def test_a_tag_after_sixty_thousand_bytes_of_header(self, mail):
    mail.with_milter(options="define(`confMAX_HEADERS_LENGTH', `200000')\n")
    tag, _ = self.tag_of_a_notice(mail, mail.mailbox('alice'))
    ballast = b''.join(b'X-Ballast-%d: %s\r\n' % (i, b'x' * 70) for i in range(900))
    full = mail.full_mailbox()
    raw = message(headers=ballast + tags.field(tag))
    past = self.submit_past_the_milter(mail, raw, full)
    mail.sendmail.run_queue()
    mail.assert_deferred(past, full, '4.2.2')
    self.assert_filed_clean(mail, raw, full)

  def test_a_tag_in_the_body(self, mail):
    mail.with_milter()
    tag, _ = self.tag_of_a_notice(mail, mail.mailbox('alice'))
    self.assert_worthless(mail, message(tags.field(tag) + b'\r\nHello.\r\n'))

  def test_a_tag_in_a_part_and_in_an_attached_message(self, mail):
    mail.with_milter()
    tag, notice = self.tag_of_a_notice(mail, mail.mailbox('alice'))
    field = tags.field(tag)
    parts = (b'--b\r\n' + field + b'Content-Type: text/plain\r\n\r\npart\r\n'
             b'--b\r\nContent-Type: message/rfc822\r\n\r\n' + field + notice + b'\r\n--b--\r\n')
    self.assert_worthless(mail, message(
        parts, headers=b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n'))

  def test_a_tag_after_a_line_that_is_no_header_field(self, mail):
    """Sendmail ends the header there; what follows is text of the body."""
    mail.with_milter()
    tag, _ = self.tag_of_a_notice(mail, mail.mailbox('alice'))
    for line in (b'this is no field\r\n', b': no name\r\n', b'>From x\r\n'):
      full = mail.full_mailbox(f'full-{len(mail.sendmail.qids())}-')
      raw = message(headers=line + tags.field(tag))
      for qid in (self.submit_past_the_milter(mail, raw, full), mail.send(raw, full)):
        mail.sendmail.run_queue()
        mail.assert_deferred(qid, full, '4.2.2')
      mail.store.make_room(full)
      mail.sendmail.run_queue()
      for filed in mail.store.messages(full):
        assert tags.left_in(filed) == [], filed
        assert body_of(filed).endswith(b'Hello.\r\n')

  def test_names_that_are_written_oddly(self, mail):
    mail.with_milter()
    tag, _ = self.tag_of_a_notice(mail, mail.mailbox('alice'))
    value = b' ' + tag.encode() + b'\r\n'
    for name in (b'x-lmtpq-tag:', b'X-LMTPQ-TAG:', b'X-LMTPQ-Tag :', b'X-LMTPQ-Tag \t :',
                 b'X-LMTPQ-Tag:\r\n'):
      self.assert_worthless(mail, message(headers=name + value), ['wrong message'])

  def test_names_that_only_look_like_it(self, mail):
    mail.with_milter()
    tag, _ = self.tag_of_a_notice(mail, mail.mailbox('alice'))
    for name in ('X-LМТРQ-Tag', 'X-LMTPQ-Tаg', 'Х-LMTPQ-Tag', 'X‑LMTPQ‑Tag', 'X-LMTPQ-Tag\u200b'):
      full = mail.full_mailbox(f'full-{len(mail.sendmail.qids())}-')
      raw = message(headers=f'{name}: {tag}\r\n'.encode())
      for qid in (self.submit_past_the_milter(mail, raw, full), mail.send(raw, full)):
        mail.sendmail.run_queue()
        mail.assert_deferred(qid, full, '4.2.2')
        assert mail.rejected(qid) == []

  def test_a_tag_after_a_bare_cr_a_bare_lf_or_a_folded_name(self, mail):
    """Sendmail refuses some of them in SMTP; a program may still queue them."""
    mail.with_milter()
    tag, _ = self.tag_of_a_notice(mail, mail.mailbox('alice'))
    field = tags.field(tag)
    for prefix in (b'Subject: x\r', b'Subject: x\n', b'X-Other: x\r\r\n', b'X-Other: x\r\r',
                   b'X-Other: x\v', b'X-Other: x\f', b'X-Other: x\0\r\n',
                   b'X-LMTPQ-\r\n Tag: x\r\n', b'X-Other: x\r\n\r'):
      full = mail.full_mailbox(f'full-{len(mail.sendmail.qids())}-')
      raw = message(headers=prefix + field)
      qids = [mail.sendmail.submit_by_program(raw, f'{full}@store.test', sender=mail.sender)]
      for submit in (functools.partial(self.submit_past_the_milter, mail), mail.send):
        try:
          qids.append(submit(raw, full))
        except AssertionError as refused:
          assert 'not allowed' in str(refused)
      mail.sendmail.run_queue()
      assert mail.store.messages(full) == []
      mail.store.make_room(full)
      mail.sendmail.run_queue()
      for qid in qids:
        assert mail.recipient_lines(qid), f'lmtpq saw {qid}'
      for filed in mail.store.messages(full):
        assert tags.left_in(filed) == [], filed

  def test_the_log_names_the_message_the_reason_and_the_key(self, mail):
    mail.with_milter()
    tag, _ = self.tag_of_a_notice(mail, mail.mailbox('alice'))
    forged = re.sub('x=', 'x=9', tag)
    qid = self.assert_worthless(mail, message(headers=tags.field(forged)), ['bad mac'])
    line = [line for line in mail.lmtpq_lines('event=tag-rejected') if line['qid'] == qid][0]
    assert (line['trace'], line['tag-key']) == (qid, 'first')
    assert 'reason="bad mac"' in line['line']
