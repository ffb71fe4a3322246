"""A rule's over-quota policy, by the tag, for each recipient of a real Sendmail and its store."""

from fixtures import tags
from fixtures.messages import message, message_id


class TestMilterOverQuota:

  def test_each_recipient_has_the_policy_of_its_rule_and_the_others_that_of_the_mailer(self, mail):
    names = [mail.full_mailbox(name) for name in ('refused', 'deferred', 'other')]
    refused, deferred, other = names
    mail.with_milter(f'[rule.a]\nrcpt = {refused}\nquota = honour\nover-quota = refuse\n'
                     f'[rule.b]\nrcpt = {deferred}\nquota = honour\nover-quota = defer:3d\n',
                     arguments='--over-quota=refuse')
    qid = mail.notify(*(f'{name}@store.test' for name in (refused, deferred)))
    assert mail.tag_in_queue(qid)['o'].startswith('r:')
    mail.sendmail.run_queue()
    mail.assert_deferred(qid, deferred, '4.2.2', mail.store.over_quota)
    assert mail.sendmail.delivery(qid, refused).dsn.startswith('5.2.2')
    assert {line['over-quota'] for line in mail.recipient_lines(qid)} == {'refused', 'deferred'}
    assert mail.milter.decision_on(qid)['over-quota'] == 'mixed'

    qid = mail.notify(*(f'{name}@store.test' for name in (deferred, other)))
    mail.sendmail.run_queue()
    mail.assert_deferred(qid, deferred, '4.2.2')
    assert mail.sendmail.delivery(qid, other).dsn.startswith('5.2.2')

  def test_the_tag_counts_more_than_the_mailers_option_and_is_not_filed(self, mail):
    full = mail.full_mailbox()
    mail.with_milter('[rule.all]\nfrom = *\nquota = honour\nover-quota = store\n',
                     arguments='--over-quota=refuse')
    raw = message(sender=mail.notice)
    qid = mail.notify(f'{full}@store.test', raw=raw)
    assert mail.tag_in_queue(qid)['o'] == 's'
    mail.sendmail.run_queue()
    mail.assert_deferred(qid, full, '4.2.2', mail.store.over_quota)
    line, = mail.recipient_lines(qid)
    assert 'over-quota' not in line
    mail.store.make_room(full)
    mail.sendmail.run_queue()
    mail.assert_sent(qid, full)
    assert mail.store.message_ids(full) == [message_id(raw)]
    mail.assert_no_tag_filed(full)

  def test_a_forged_policy_decides_nothing(self, mail):
    full = mail.full_mailbox()
    mail.with_milter('[rule.none]\nfrom = nobody\nquota = ignore\n')
    forged = tags.field('v=1; k=x; t=t1; q=-; o=r; x=4102444800; m=AAAAAAAAAAA; b=AAAA')
    qid = mail.notify(f'{full}@store.test', raw=message(headers=forged, sender=mail.notice))
    assert 'o' not in mail.tag_in_queue(qid)
    mail.sendmail.run_queue()
    mail.assert_deferred(qid, full, '4.2.2', mail.store.over_quota)
