"""The milter decides whose mail ignores the quota, and lmtpq does so on whatever road it comes."""

from fixtures import tags
from fixtures.cyrus import Cyrus
from fixtures.messages import body_of, message, message_id
from fixtures.msp import Msp
from fixtures.smtp_sink import SmtpSink
from fixtures.tag_case import NOTICES, TagCase, rule


class QuotaByTag:
  """For every store that advertises IGNOREQUOTA."""

  def test_a_notice_is_filed_into_a_full_mailbox_and_other_mail_is_deferred(self):
    self.with_milter()
    full = self.full_mailbox()
    raw = message(sender=self.notice)
    notice = self.notify(f'{full}@store.test', raw=raw)
    other = self.send(message(), full)
    self.sendmail.run_queue()
    self.assert_sent(notice, full)
    self.assert_deferred(other, full, '4.2.2', self.store.over_quota)
    self.assertEqual(self.store.message_ids(full), [message_id(raw)])
    self.assert_no_tag_filed(full)
    self.assertEqual([line['ignorequota'] for line in self.recipient_lines(notice)], ['sent'])
    self.assertNotIn('sent', [line['ignorequota'] for line in self.recipient_lines(other)])

  def test_only_the_recipient_that_the_rule_names_ignores_the_quota(self):
    full, other = self.full_mailbox(), self.full_mailbox('other')
    self.with_milter(rule('one', rcpt=f'{full}@store.test'))
    qid = self.notify(f'{full}@store.test', f'{other}@store.test')
    self.sendmail.run_queue()
    self.assert_ends(qid, **{full: 'Sent', other: 'Deferred'})
    self.assertEqual(len(self.store.messages(full)), 1)
    self.assertEqual(self.store.messages(other), [])

  def test_a_rule_of_the_sender_holds_for_the_members_of_an_alias(self):
    full, alice = self.full_mailbox(), self.mailbox('alice')
    self.with_milter()
    self.sendmail.add_aliases(f'team: {full}, {alice}')
    qid = self.notify('team@mail.test')
    self.assertEqual(self.tag_in_queue(qid)['q'], '*')
    self.sendmail.run_queue()
    self.assert_ends(qid, **{full: 'Sent', alice: 'Sent'})
    self.assert_queue_empty()

  def test_a_rule_of_the_alias_holds_for_its_members_when_the_mail_is_for_it_alone(self):
    full, alice = self.full_mailbox(), self.mailbox('alice')
    self.with_milter(rule('team', rcpt='team@mail.test'))
    self.sendmail.add_aliases(f'team: {full}, {alice}')
    qid = self.notify('team@mail.test')
    self.sendmail.run_queue()
    self.assert_ends(qid, **{full: 'Sent', alice: 'Sent'})

  def test_beside_another_recipient_a_rule_of_the_alias_does_not_reach_its_members(self):
    """The tag must then name its recipients, and the milter never hears of the members."""
    full, other = self.full_mailbox(), self.full_mailbox('other')
    self.with_milter(rule('team', rcpt='team@mail.test'))
    self.sendmail.add_aliases(f'team: {full}')
    qid = self.notify('team@mail.test', f'{other}@store.test')
    _, secret = tags.secret_of(self.milter.key)
    self.assertEqual(set(self.tag_in_queue(qid)['q'].split(',')),
                     {tags.recipient(secret, 'team@mail.test'), tags.recipient(secret, 'team')})
    self.sendmail.run_queue()
    self.assert_ends(qid, **{full: 'Deferred', other: 'Deferred'})

  def test_the_members_of_a_list_with_an_owner_ignore_the_quota_too(self):
    """Sendmail splits such a message: each part is an envelope with a queue id of its own."""
    full, alice = self.full_mailbox(), self.mailbox('alice')
    self.with_milter()
    self.sendmail.add_aliases(f'team: {full}, {alice}\nowner-team: {self.sender}')
    raw = message(sender=self.notice)
    qid = self.notify('team@mail.test', f'{alice}@store.test', raw=raw)
    self.sendmail.run_queue()
    self.assert_queue_empty()
    self.assertEqual(self.store.message_ids(full), [message_id(raw)])
    self.assertIn(message_id(raw), self.store.message_ids(alice))
    self.assertEqual(self.disbelieved(qid), [])
    self.assert_no_tag_filed(full)

  def test_a_list_in_a_tag_holds_behind_a_virtusertable(self):
    full, other = self.full_mailbox(), self.full_mailbox('other')
    table = self.scratch.path / f'virtusers{self.number}'
    table.write_text(f'info@virtual.test {full}\nother@virtual.test {other}\n')
    self.with_milter(
        rule('info', rcpt='info@virtual.test'),
        options=f"FEATURE(`virtusertable', `text -o -k0 -v1 {table}')\n"
                "VIRTUSER_DOMAIN(`virtual.test')\nRELAY_DOMAIN(`virtual.test')\n")
    qid = self.notify('info@virtual.test', 'other@virtual.test')
    self.sendmail.run_queue()
    self.assertEqual(len(self.store.messages(full)), 1, self.sendmail.log_lines(qid))
    self.assertEqual(self.store.messages(other), [], self.sendmail.log_lines(qid))

  def test_a_rule_may_name_what_the_virtusertable_makes_of_an_address(self):
    full, other = self.full_mailbox(), self.full_mailbox('other')
    table = self.scratch.path / f'virtusers{self.number}'
    table.write_text(f'info@virtual.test {full}\nother@virtual.test {other}\n')
    self.with_milter(
        rule('info', rcpt=full),
        options=f"FEATURE(`virtusertable', `text -o -k0 -v1 {table}')\n"
                "VIRTUSER_DOMAIN(`virtual.test')\nRELAY_DOMAIN(`virtual.test')\n")
    self.notify('info@virtual.test', 'other@virtual.test')
    self.sendmail.run_queue()
    self.assertEqual(len(self.store.messages(full)), 1)
    self.assertEqual(self.store.messages(other), [])

  def test_details_and_capitals_of_an_address_make_no_difference(self):
    users = [self.full_mailbox(name) for name in ('one', 'two', 'three', 'closed')]
    one, two, three, closed = users
    self.with_milter(rule('open', rcpt=f'{one}*@store.test {two}@store.test {three}*@store.test'))
    self.notify(f'{one}+folder@store.test', f'{two.upper()}@STORE.Test',
                f'{three.title()}+Box@Store.TEST', f'{closed}@store.test')
    self.sendmail.run_queue()
    self.assertEqual({user: len(self.store.messages(user)) for user in users},
                     {one: 1, two: 1, three: 1, closed: 0}, self.sendmail.mailq())


class TagsInCyrus(QuotaByTag, TagCase):
  make_store = Cyrus
  weight = 2


class TagsInStore(QuotaByTag, TagCase):
  weight = 2

  def test_the_body_and_the_other_fields_are_filed_byte_for_byte(self):
    self.with_milter()
    alice = self.mailbox('alice')
    body = b'.\r\n..\r\nX-LMTPQ-Tag: in the body\r\n\xe4\xf6\xfc  \r\n\r\n' + b'9' * 990 + b'\r\n'
    raw = message(body, headers=b'X-Odd:   two  blanks \r\n\tand a fold\r\nX-LMTPQ: not the tag\r\n'
                  b'X-LMTPQ-Tag-2: nor this\r\n')
    self.send(raw, alice)
    self.sendmail.run_queue()
    filed, = self.store.messages(alice)
    self.assertEqual(body_of(filed), body)
    for line in (b'X-LMTPQ: not the tag', b'X-LMTPQ-Tag-2: nor this'):
      self.assertIn(b'\r\n' + line + b'\r\n', filed)
    self.assertEqual(filed.partition(b'\r\n\r\n')[0].lower().count(b'x-lmtpq-tag:'), 0)

  def test_the_tag_is_what_the_document_says(self):
    """Made anew from the same facts by another program, it is the same to the last byte."""
    self.with_milter()
    alice = self.mailbox('alice')
    raw = message(sender=self.notice)
    qid = self.notify(f'{alice}@store.test', raw=raw)
    tag, = tags.tags_in_queue(self.sendmail, qid)
    parts = tags.parts_of(tag)
    self.assertRegex(parts['t'], rf'^{qid}\.[\w-]+$')
    self.assertEqual(tag, tags.signed(self.milter.key, parts['t'], '*', int(parts['x']),
                                      message_id(raw), qid))

  def test_mail_that_no_rule_lets_past_has_a_tag_that_says_so(self):
    self.with_milter()
    qid = self.send(message(), self.mailbox('alice'))
    self.assertEqual(self.tag_in_queue(qid)['q'], '-')

  def test_mail_without_a_message_id_is_bound_by_its_queue_id(self):
    self.with_milter()
    full = self.full_mailbox()
    raw = message(sender=self.notice)
    bare = b''.join(line for line in raw.splitlines(True) if not line.startswith(b'Message-ID'))
    qid = self.notify(f'{full}@store.test', raw=bare)
    self.sendmail.run_queue()
    self.assert_sent(qid, full)
    self.assertEqual(self.disbelieved(qid), [])

  def test_mail_by_the_submission_program_passes_the_milter(self):
    self.with_milter()
    full = self.full_mailbox()
    self.sendmail.start()
    msp = Msp(self.scratch, f'msp{self.number}', self.sendmail)
    raw = message(sender=self.notice).replace(b'someone@', full.encode() + b'@')
    msp.submit(raw, self.notice)
    self.sendmail.run_queue()
    self.assert_queue_empty()
    self.assertEqual(self.store.message_ids(full), [message_id(raw)])

  def test_mail_that_a_program_queues_past_smtp_has_no_tag(self):
    """Sendmail asks milters in SMTP only; hence the submission program."""
    self.with_milter()
    full = self.full_mailbox()
    qid = self.sendmail.submit_by_program(message(), f'{full}@store.test', sender=self.notice)
    self.assertEqual(tags.tags_in_queue(self.sendmail, qid), [])
    self.sendmail.run_queue()
    self.assert_deferred(qid, full, '4.2.2')
    self.assertEqual([line['trace'] for line in self.recipient_lines(qid)], [qid])

  def test_a_program_that_speaks_smtp_to_sendmail_bs_is_local(self):
    full, other = self.full_mailbox(), self.full_mailbox('other')
    self.with_milter(rule('local', client='local', rcpt=f'{full}@store.test'))
    raw = message()
    said = self.sendmail.converse('HELO me', f'MAIL FROM:<{self.notice}>',
                                  f'RCPT TO:<{full}@store.test>', 'DATA', f'{raw.decode()}.',
                                  'QUIT')
    self.assertIn('Message accepted', said)
    by_tcp = self.notify(f'{full}@store.test')
    self.sendmail.run_queue()
    self.assertEqual(self.store.message_ids(full), [message_id(raw)])
    self.assert_deferred(by_tcp, full, '4.2.2')

  def test_no_tag_leaves_with_mail_for_another_site_alone(self):
    sink = self.with_sink()
    qid = self.notify('far@remote.test')
    self.assertEqual(tags.tags_in_queue(self.sendmail, qid), [])
    self.sendmail.run_queue()
    self.assert_queue_empty()
    self.assertEqual(len(sink.messages), 1)
    self.assertNotIn(b'lmtpq', sink.messages[0].lower())

  def test_the_tag_that_leaves_with_a_copy_for_another_site_is_worth_nothing(self):
    sink = self.with_sink()
    full = self.full_mailbox()
    qid = self.notify('far@remote.test', f'{full}@store.test')
    self.assertNotEqual(self.tag_in_queue(qid)['q'], '*')
    self.sendmail.run_queue()
    self.assert_ends(qid, far='Sent', **{full: 'Sent'})
    copy, = sink.messages
    self.assertEqual(len(tags.left_in(copy)), 1, 'it travels: only our mailer removes it')

    # It comes back, with the milter in its way and without.
    for reasons in ([], ['wrong message']):
      again = self.send(copy, full)
      self.sendmail.run_queue()
      self.assert_deferred(again, full, '4.2.2')
      self.assertEqual(self.disbelieved(again), reasons)
      self.milter.stop()
    self.assertEqual(len(self.store.messages(full)), 1)

  def with_sink(self) -> SmtpSink:
    sink = SmtpSink()
    sink.start()
    self.addCleanup(sink.stop)
    self.with_milter(NOTICES, options=sink.mc_lines('remote.test'))
    return sink

  def test_the_tag_in_a_returned_message_is_worth_nothing(self):
    self.with_milter()
    full = self.full_mailbox()
    qid = self.notify('stranger@store.test')
    tag = self.tag_in_queue(qid)
    self.sendmail.run_queue()
    user = self.notice.partition('@')[0]
    dsn, = self.store.messages(user)
    self.assert_no_tag_filed(user)
    self.milter.stop()
    value = ';'.join(f'{name}={part}' for name, part in tag.items())
    self.assertIn(b'X-LMTPQ-Tag: v=1; k=first;', body_of(dsn), 'it is among the returned header')
    again = self.send(message(headers=tags.field(value)), full)
    self.sendmail.run_queue()
    self.assert_deferred(again, full, '4.2.2')
    self.assertEqual(self.disbelieved(again), ['wrong message'])
