"""The milter decides whose mail ignores the quota, and lmtpq obeys, however the mail comes in."""

import re

import pytest

from fixtures import tags
from fixtures.cyrus import Cyrus
from fixtures.messages import body_of, message, message_id
from fixtures.msp import Msp
from fixtures.smtp_sink import SmtpSink
from fixtures.tagged_mail import NOTICES, rule


class QuotaByTag:
  """For every store that advertises IGNOREQUOTA."""

  def test_a_notice_is_filed_into_a_full_mailbox_and_other_mail_is_deferred(self, mail):
    mail.with_milter()
    full = mail.full_mailbox()
    raw = message(sender=mail.notice)
    notice = mail.notify(f'{full}@store.test', raw=raw)
    other = mail.send(message(), full)
    mail.sendmail.run_queue()
    mail.assert_sent(notice, full)
    mail.assert_deferred(other, full, '4.2.2', mail.store.over_quota)
    assert mail.store.message_ids(full) == [message_id(raw)]
    mail.assert_no_tag_filed(full)
    assert [line['ignorequota'] for line in mail.recipient_lines(notice)] == ['sent']
    assert 'sent' not in [line['ignorequota'] for line in mail.recipient_lines(other)]

  def test_only_the_recipient_that_the_rule_names_ignores_the_quota(self, mail):
    full, other = mail.full_mailbox(), mail.full_mailbox('other')
    mail.with_milter(rule('one', rcpt=f'{full}@store.test'))
    qid = mail.notify(f'{full}@store.test', f'{other}@store.test')
    mail.sendmail.run_queue()
    mail.assert_ends(qid, **{full: 'Sent', other: 'Deferred'})
    assert len(mail.store.messages(full)) == 1
    assert mail.store.messages(other) == []

  def test_a_rule_of_the_sender_holds_for_the_members_of_an_alias(self, mail):
    full, alice = mail.full_mailbox(), mail.mailbox('alice')
    mail.with_milter()
    mail.sendmail.add_aliases(f'team: {full}, {alice}')
    qid = mail.notify('team@mail.test')
    assert mail.tag_in_queue(qid)['q'] == '*'
    mail.sendmail.run_queue()
    mail.assert_ends(qid, **{full: 'Sent', alice: 'Sent'})
    mail.assert_queue_empty()

  def test_a_rule_of_the_alias_holds_for_its_members_when_the_mail_is_for_it_alone(self, mail):
    full, alice = mail.full_mailbox(), mail.mailbox('alice')
    mail.with_milter(rule('team', rcpt='team@mail.test'))
    mail.sendmail.add_aliases(f'team: {full}, {alice}')
    qid = mail.notify('team@mail.test')
    mail.sendmail.run_queue()
    mail.assert_ends(qid, **{full: 'Sent', alice: 'Sent'})

  def test_beside_another_recipient_a_rule_of_the_alias_does_not_reach_its_members(self, mail):
    """The tag must then name its recipients, and the milter is never told the members."""
    full, other = mail.full_mailbox(), mail.full_mailbox('other')
    mail.with_milter(rule('team', rcpt='team@mail.test'))
    mail.sendmail.add_aliases(f'team: {full}')
    qid = mail.notify('team@mail.test', f'{other}@store.test')
    _, secret = tags.secret_of(mail.milter.key)
    assert (set(mail.tag_in_queue(qid)['q'].split(','))
            == {tags.recipient(secret, 'team@mail.test'), tags.recipient(secret, 'team')})
    mail.sendmail.run_queue()
    mail.assert_ends(qid, **{full: 'Deferred', other: 'Deferred'})

  def test_the_members_of_a_list_with_an_owner_ignore_the_quota_too(self, mail):
    """Sendmail splits such a message: each part is an envelope with a separate queue id."""
    full, alice = mail.full_mailbox(), mail.mailbox('alice')
    mail.with_milter()
    mail.sendmail.add_aliases(f'team: {full}, {alice}\nowner-team: {mail.sender}')
    raw = message(sender=mail.notice)
    qid = mail.notify('team@mail.test', f'{alice}@store.test', raw=raw)
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    assert mail.store.message_ids(full) == [message_id(raw)]
    assert message_id(raw) in mail.store.message_ids(alice)
    assert mail.rejected(qid) == []
    mail.assert_no_tag_filed(full)

  def test_a_list_in_a_tag_holds_after_a_virtusertable(self, mail):
    full, other = mail.full_mailbox(), mail.full_mailbox('other')
    table = mail.scratch.path / f'virtusers{mail.number}'
    table.write_text(f'info@virtual.test {full}\nother@virtual.test {other}\n')
    mail.with_milter(
        rule('info', rcpt='info@virtual.test'),
        options=f"FEATURE(`virtusertable', `text -o -k0 -v1 {table}')\n"
                "VIRTUSER_DOMAIN(`virtual.test')\nRELAY_DOMAIN(`virtual.test')\n")
    qid = mail.notify('info@virtual.test', 'other@virtual.test')
    mail.sendmail.run_queue()
    assert len(mail.store.messages(full)) == 1, mail.sendmail.log_lines(qid)
    assert mail.store.messages(other) == [], mail.sendmail.log_lines(qid)

  def test_a_rule_may_name_what_the_virtusertable_makes_of_an_address(self, mail):
    full, other = mail.full_mailbox(), mail.full_mailbox('other')
    table = mail.scratch.path / f'virtusers{mail.number}'
    table.write_text(f'info@virtual.test {full}\nother@virtual.test {other}\n')
    mail.with_milter(
        rule('info', rcpt=full),
        options=f"FEATURE(`virtusertable', `text -o -k0 -v1 {table}')\n"
                "VIRTUSER_DOMAIN(`virtual.test')\nRELAY_DOMAIN(`virtual.test')\n")
    mail.notify('info@virtual.test', 'other@virtual.test')
    mail.sendmail.run_queue()
    assert len(mail.store.messages(full)) == 1
    assert mail.store.messages(other) == []

  def test_details_and_capitals_of_an_address_make_no_difference(self, mail):
    users = [mail.full_mailbox(name) for name in ('one', 'two', 'three', 'closed')]
    one, two, three, closed = users
    mail.with_milter(rule('open', rcpt=f'{one}*@store.test {two}@store.test {three}*@store.test'))
    mail.notify(f'{one}+folder@store.test', f'{two.upper()}@STORE.Test',
                f'{three.title()}+Box@Store.TEST', f'{closed}@store.test')
    mail.sendmail.run_queue()
    assert ({user: len(mail.store.messages(user)) for user in users}
            == {one: 1, two: 1, three: 1, closed: 0}), mail.sendmail.mailq()


@pytest.mark.store(kind=Cyrus)
@pytest.mark.weight(2)
class TestTagsInCyrus(QuotaByTag):
  pass


@pytest.mark.weight(2)
class TestTagsInStore(QuotaByTag):

  def test_the_body_and_the_other_fields_are_filed_byte_for_byte(self, mail):
    mail.with_milter()
    alice = mail.mailbox('alice')
    body = b'.\r\n..\r\nX-LMTPQ-Tag: in the body\r\n\xe4\xf6\xfc  \r\n\r\n' + b'9' * 990 + b'\r\n'
    raw = message(body, headers=b'X-Odd:   two  blanks \r\n\tand a fold\r\nX-LMTPQ: not the tag\r\n'
                  b'X-LMTPQ-Tag-2: nor this\r\n')
    mail.send(raw, alice)
    mail.sendmail.run_queue()
    filed, = mail.store.messages(alice)
    assert body_of(filed) == body
    for line in (b'X-LMTPQ: not the tag', b'X-LMTPQ-Tag-2: nor this'):
      assert b'\r\n' + line + b'\r\n' in filed
    assert filed.partition(b'\r\n\r\n')[0].lower().count(b'x-lmtpq-tag:') == 0

  def test_the_tag_is_what_the_document_says(self, mail):
    """Another program makes the same tag from the same facts, to the last byte."""
    mail.with_milter()
    alice = mail.mailbox('alice')
    raw = message(sender=mail.notice)
    qid = mail.notify(f'{alice}@store.test', raw=raw)
    tag, = tags.tags_in_queue(mail.sendmail, qid)
    parts = tags.parts_of(tag)
    assert re.search(rf'^{qid}-[\w-]+$', parts['t'])
    assert (tag
            == tags.signed(mail.milter.key, parts['t'], '*', int(parts['x']), message_id(raw), qid))

  def test_mail_that_no_rule_lets_past_has_a_tag_that_says_so(self, mail):
    mail.with_milter()
    qid = mail.send(message(), mail.mailbox('alice'))
    assert mail.tag_in_queue(qid)['q'] == '-'

  def test_mail_without_a_message_id_is_bound_by_its_queue_id(self, mail):
    mail.with_milter()
    full = mail.full_mailbox()
    raw = message(sender=mail.notice)
    bare = b''.join(line for line in raw.splitlines(True) if not line.startswith(b'Message-ID'))
    qid = mail.notify(f'{full}@store.test', raw=bare)
    mail.sendmail.run_queue()
    mail.assert_sent(qid, full)
    assert mail.rejected(qid) == []

  @pytest.mark.parametrize('size', [998, 2_100, 3_000, 20_000])
  def test_a_long_message_id_which_sendmail_cuts_keeps_the_tag_valid(self, mail, size):
    """trap: message-id-cut"""
    mail.with_milter()
    full = mail.full_mailbox()
    local = 'x' * (size - len('<@mail.test>'))
    raw = re.sub(rb'<[^>]*>\r\n\r\n', f'<{local}@mail.test>\r\n\r\n'.encode(),
                 message(sender=mail.notice), count=1)
    assert len(message_id(raw)) == size
    qid = mail.notify(f'{full}@store.test', raw=raw)
    assert 'm' in mail.tag_in_queue(qid)
    mail.sendmail.run_queue()
    mail.assert_sent(qid, full)
    assert mail.rejected(qid) == []
    filed, = mail.store.messages(full)
    assert b'x' * 970 in filed

  def test_mail_by_the_submission_program_passes_the_milter(self, mail):
    mail.with_milter()
    full = mail.full_mailbox()
    mail.sendmail.start()
    msp = Msp(mail.scratch, f'msp{mail.number}', mail.sendmail)
    raw = message(sender=mail.notice).replace(b'someone@', full.encode() + b'@')
    msp.submit(raw, mail.notice)
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    assert mail.store.message_ids(full) == [message_id(raw)]

  def test_mail_that_a_program_queues_without_smtp_has_no_tag(self, mail):
    """Sendmail asks milters in SMTP only; hence the submission program."""
    mail.with_milter()
    full = mail.full_mailbox()
    qid = mail.sendmail.submit_by_program(message(), f'{full}@store.test', sender=mail.notice)
    assert tags.tags_in_queue(mail.sendmail, qid) == []
    mail.sendmail.run_queue()
    mail.assert_deferred(qid, full, '4.2.2')
    assert [line['trace'] for line in mail.recipient_lines(qid)] == [qid]

  def test_a_program_that_speaks_smtp_to_sendmail_bs_is_local(self, mail):
    full = mail.full_mailbox()
    mail.with_milter(rule('local', client='local', rcpt=f'{full}@store.test'))
    raw = message()
    said = mail.sendmail.converse('HELO me', f'MAIL FROM:<{mail.notice}>',
                                  f'RCPT TO:<{full}@store.test>', 'DATA', f'{raw.decode()}.',
                                  'QUIT')
    assert 'Message accepted' in said
    by_tcp = mail.notify(f'{full}@store.test')
    mail.sendmail.run_queue()
    assert mail.store.message_ids(full) == [message_id(raw)]
    mail.assert_deferred(by_tcp, full, '4.2.2')

  def test_no_tag_leaves_with_mail_for_another_site_alone(self, mail):
    sink = self.with_sink(mail)
    qid = mail.notify('far@remote.test')
    assert tags.tags_in_queue(mail.sendmail, qid) == []
    mail.sendmail.run_queue()
    mail.assert_queue_empty()
    assert len(sink.messages) == 1
    assert b'lmtpq' not in sink.messages[0].lower()

  def test_the_tag_that_leaves_with_a_copy_for_another_site_is_worth_nothing(self, mail):
    sink = self.with_sink(mail)
    full = mail.full_mailbox()
    qid = mail.notify('far@remote.test', f'{full}@store.test')
    assert mail.tag_in_queue(qid)['q'] != '*'
    mail.sendmail.run_queue()
    mail.assert_ends(qid, far='Sent', **{full: 'Sent'})
    copy, = sink.messages
    assert len(tags.left_in(copy)) == 1, 'it travels: only our mailer removes it'

    # It comes back, with the milter in its way and without.
    for reasons in ([], ['wrong message']):
      again = mail.send(copy, full)
      mail.sendmail.run_queue()
      mail.assert_deferred(again, full, '4.2.2')
      assert mail.rejected(again) == reasons
      mail.milter.stop()
    assert len(mail.store.messages(full)) == 1

  def with_sink(self, mail) -> SmtpSink:
    sink = SmtpSink()
    sink.start()
    mail.at_end(sink.stop)
    mail.with_milter(NOTICES, options=sink.mc_lines('remote.test'))
    return sink

  def test_the_tag_in_a_returned_message_is_worth_nothing(self, mail):
    mail.with_milter()
    full = mail.full_mailbox()
    qid = mail.notify('stranger@store.test')
    tag = mail.tag_in_queue(qid)
    mail.sendmail.run_queue()
    user = mail.notice.partition('@')[0]
    dsn, = mail.store.messages(user)
    mail.assert_no_tag_filed(user)
    mail.milter.stop()
    value = ';'.join(f'{name}={part}' for name, part in tag.items())
    assert b'X-LMTPQ-Tag: v=1; k=first;' in body_of(dsn), 'it is among the returned header'
    again = mail.send(message(headers=tags.field(value)), full)
    mail.sendmail.run_queue()
    mail.assert_deferred(again, full, '4.2.2')
    assert mail.rejected(again) == ['wrong message']
