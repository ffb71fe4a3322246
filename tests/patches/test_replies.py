"""What the server offers and says: capabilities, session ids, parameters before IGNOREQUOTA."""

import re

import pytest

from fixtures.messages import message

from .dialogue import exchanges, transactions
from .patch_mail import log_fields, mailer
from .peer import by_user, in_turn
from .peer_mail import PeerCases

TO_LINE = (r': to=<\w+@store\.test>, delay=[\d:]+, xdelay=[\d:]+, mailer=cyrusv2, pri=\d+, '
           r'relay=[^,]+, dsn=\d\.\d\.\d, '
           r'(sessionid=<[A-Za-z0-9._:@+-]{1,255}>, )?(reply=.*, )?stat=')
LHLO = '250-peer.test\n{}\n250 Ok'


@pytest.mark.weight(2)
class TestOffers(PeerCases):
  def send_one(self, mail, flags: str = 'QT') -> tuple[str, dict[str, str], list]:
    mail.with_flags(flags)
    qid = mail.send(message(), 'alice')
    sessions = mail.run_queue()
    mail.assert_sent(qid, 'alice')
    return qid, mail.fields(qid, 'alice'), sessions

  @pytest.mark.parametrize('lines, quota, trace', [
      ('250-ignorequota\n250-trace', True, True),
      ('250 IGNOREQUOTA\n', True, False),
      ('250-IgnoreQuota x y\n250-Trace x', True, True),
      ('250-IGNOREQUOTAS\n250-TRACED', False, False),
      ('250-XIGNOREQUOTA\n250-X TRACE', False, False),
      ('250-IGNOREQUOTA=1\n250-TRACE=1', None, None),
      ('250-8BITMIME IGNOREQUOTA TRACE', False, False),
  ])
  def test_keywords_are_read_as_words_and_without_regard_to_case(self, mail, lines, quota, trace):
    text = f'250-peer.test\n{lines.strip()}'
    mail.peer.answers['LHLO'] = text if lines.endswith('\n') else f'{text}\n250 Ok'
    _, fields, sessions = self.send_one(mail)
    if quota is not None:
      sent = [one.sent.endswith(b' IGNOREQUOTA\r\n') for one in exchanges(sessions, 'RCPT')]
      assert sent == [quota]
      assert fields['ignorequota'] == ('sent' if quota else 'not-offered')
      assert len(exchanges(sessions, 'TRACE')) == int(trace)

  @pytest.mark.parametrize('name', ['IGNOREQUOTA', 'TRACE'])
  def test_the_first_line_of_lhlo_is_a_name(self, mail, name):
    mail.peer.answers['LHLO'] = f'250-{name}\n250 Ok'
    _, fields, sessions = self.send_one(mail)
    assert fields['ignorequota'] == 'not-offered'
    assert exchanges(sessions, 'TRACE') == []

  @pytest.mark.parametrize('first', [True, False])
  def test_each_connection_goes_by_its_own_lhlo(self, mail, first):
    offers = {True: LHLO.format('250-IGNOREQUOTA\n250-TRACE'), False: LHLO.format('250-SIZE')}
    mail.peer.answers = {'LHLO': in_turn(offers[first], offers[not first]),
                         'RSET': in_turn('500 5.5.2 what')}
    mail.with_flags('QT')
    qids = [mail.send_sized(number, 'alice') for number in range(2)]
    sessions = mail.run_queue()
    assert len(sessions) == 2
    found = transactions(sessions)
    for offered, qid, one in zip((first, not first), qids, found):
      assert one.trace_id == (qid if offered else '')
      assert one.rcpts[0].sent.endswith(b' IGNOREQUOTA\r\n') == offered
      mail.assert_ignorequota(qid, 'alice', 'sent' if offered else 'not-offered')

  @pytest.mark.parametrize('greeting', ['554 5.3.2 no', '421 4.3.2 no'])
  def test_without_lhlo_no_field_is_logged(self, mail, greeting):
    mail.peer.answers = {'GREETING': greeting}
    mail.with_flags('QT')
    qid = mail.send(message(), 'alice')
    mail.run_queue()
    fields = mail.fields(qid, 'alice')
    assert 'ignorequota' not in fields
    assert 'sessionid' not in fields

  def test_a_message_that_never_came_to_rcpt_has_sent_no_ignorequota(self, mail):
    mail.peer.answers['MAIL'] = in_turn(None, '451 4.7.1 not now', None)
    mail.with_flags('QT')
    qids = [mail.send_sized(number, 'alice') for number in range(3)]
    assert len(mail.run_queue()) == 1
    for qid, word in zip(qids, ('sent', None, 'sent')):
      mail.assert_ignorequota(qid, 'alice', word)

  def test_a_refused_connection_leaves_no_field_of_the_one_before(self, mail):
    mail.with_flags('QT', options="define(`confTO_ICONNECT', `5s')")
    qid = mail.send_sized(0, 'alice')
    other = mail.send_sized(1, 'bob')
    mail.peer.answers['DOT'] = lambda *_: mail.peer.path.rename(f'{mail.peer.path}.away') and None
    mail.peer.answers['RSET'] = '500 5.5.2 what'
    try:
      mail.run_queue()
    finally:
      mail.peer.path.with_name('lmtp.away').rename(mail.peer.path)
    assert 'sessionid' in mail.fields(qid, 'alice')
    fields = mail.fields(other, 'bob')
    assert 'ignorequota' not in fields
    assert 'sessionid' not in fields
    mail.assert_end(other, 'bob', 'Deferred', '4.')


@pytest.mark.weight(2)
class TestSessionIds(PeerCases):

  def logged(self, mail, answers: dict, flags: str = 'T') -> str | None:
    """The sessionid= of one message to alice."""
    mail.peer.forget()
    mail.peer.answers = answers
    mail.with_flags(flags)
    qid = mail.send(message(), 'alice')
    mail.run_queue()
    end = mail.sendmail.delivery(qid, 'alice')
    assert re.search(TO_LINE, end.line)
    return log_fields(end).get('sessionid')

  def test_the_newest_one_of_the_attempt_is_logged(self, mail):
    none = {'LHLO': LHLO.format('250-TRACE'), 'TRACE': '250 ok', 'MAIL': '250 ok', 'RCPT': '250 ok',
            'DOT': '250 ok', 'RSET': '250 ok'}
    assert self.logged(mail, none) is None
    lhlo = '250-peer.test\n250-TRACE\n250 Ok SESSIONID=<from-lhlo>'
    assert self.logged(mail, none | {'LHLO': lhlo}) == '<from-lhlo>'
    trace = {'LHLO': lhlo, 'TRACE': '250 ok SESSIONID=<from-trace> TRACEID=<x>'}
    assert self.logged(mail, none | trace) == '<from-trace>'
    rcpt = trace | {'RCPT': '250 2.1.5 SESSIONID=<from-rcpt>'}
    assert self.logged(mail, none | rcpt) == '<from-rcpt>'
    dot = rcpt | {'DOT': '250 2.1.5 Success SESSIONID=<from-dot>'}
    assert self.logged(mail, none | dot) == '<from-dot>'
    refused = rcpt | {'RCPT': '452 4.2.2 Over quota SESSIONID=<from-refusal>'}
    assert self.logged(mail, none | refused) == '<from-refusal>'

  @pytest.mark.parametrize('lines, wanted', [
      ('250-2.1.5 a SESSIONID=<one>\n250 2.1.5 b', '<one>'),
      ('250-2.1.5 a\n250 2.1.5 b SESSIONID=<two>', '<two>'),
      ('250-2.1.5 SESSIONID=<one>\n250 2.1.5 SESSIONID=<two>', '<two>'),
  ])
  def test_of_several_lines_the_last_one_that_has_it_counts(self, mail, lines, wanted):
    assert self.logged(mail, {'DOT': lines}) == wanted

  @pytest.mark.parametrize('verb', ['DOT', 'RCPT'])
  def test_nothing_but_plain_ids_of_bounded_length_gets_into_the_log(self, mail, verb):
    texts = ('<a b>', '<a,stat=Sent>', '<a>, stat=Sent (forged)', '<>', '<', '<abc', '<\x01\x7f>',
             '<\xff\xfe>', '<%s%n>', '<a\tb>', '<"a">', '<' + 'x' * 300 + '>',
             '<' + 'y' * 1900 + '>', '<a<b>>', 'abc', '<a;b>', '<a/../b>')
    mail.peer.answers[verb] = by_user({f'u{number}': f'250 2.1.5 Success SESSIONID={text}'
                                       for number, text in enumerate(texts)})
    mail.with_flags('T')
    qids = [mail.send(message(), f'u{number}') for number in range(len(texts))]
    mail.run_queue()
    for number, qid in enumerate(qids):
      end = mail.sendmail.delivery(qid, f'u{number}')
      assert end.stat.startswith('Sent'), end.line
      assert re.search(TO_LINE, end.line)
      if verb == 'DOT':
        logged = log_fields(end).get('sessionid', '<a>')
        assert re.search(r'^<(a|peer\.test-\d+-7@x\+y:z)>$', logged), texts[number]
    assert mail.sendmail.log_lines('forged)') == []

  def test_a_message_without_one_has_none_of_the_message_before(self, mail):
    bare = '250 2.0.0 ok'
    mail.peer.answers = {'DOT': in_turn(None, bare, bare), 'RSET': bare,
                         'TRACE': in_turn(None, bare)}
    mail.with_flags('T')
    qids = [mail.send_sized(number, 'alice') for number in range(3)]
    mail.run_queue()
    assert mail.fields(qids[0], 'alice').get('sessionid') == '<peer.test-1-7@x+y:z>'
    assert 'sessionid' not in mail.fields(qids[1], 'alice')
    assert mail.fields(qids[2], 'alice')['sessionid'].startswith('<peer.test-')

  def test_a_lhlo_reply_of_one_line_has_one_too(self, mail):
    bare = {verb: '250 2.0.0 ok' for verb in ('MAIL', 'RCPT', 'DOT')}
    assert self.logged(mail, bare | {'LHLO': '250 Ok SESSIONID=<only>'}) == '<only>'

  @pytest.mark.parametrize('text, wanted', [
      ('"SESSIONID=<spoof>"@x ok SESSIONID=<good>', '<good>'),
      ('SESSIONID=<good> SESSIONID=<no good>', None),
  ])
  def test_the_last_one_of_a_line_counts(self, mail, text, wanted):
    assert self.logged(mail, {'DOT': f'250 2.1.5 {text}'}) == wanted

  def test_a_connection_that_closed_leaves_none_to_the_next(self, mail):
    bare = '250 2.0.0 ok'
    answers = {verb: bare for verb in ('TRACE', 'MAIL', 'RCPT', 'DOT')}
    mail.peer.answers = answers | {'LHLO': LHLO.format('250-TRACE'),
                                   'RSET': '421 4.3.2 gone SESSIONID=<of-old>'}
    mail.with_flags('T')
    qids = [mail.send_sized(number, 'alice') for number in range(2)]
    assert len(mail.run_queue()) == 2
    for qid in qids:
      mail.assert_sent(qid, 'alice')
      assert 'sessionid' not in mail.fields(qid, 'alice')

  def test_a_refused_data_is_logged_with_the_one_it_was_refused_under(self, mail):
    answers = {'DATA': '554 5.6.0 no SESSIONID=<of-refusal>',
               'RSET': '250 2.0.0 Ok SESSIONID=<behind-it>'}
    assert self.logged(mail, answers) == '<of-refusal>'

  def test_a_bounce_in_between_has_another_id(self, mail):
    mail.peer.answers['RCPT'] = by_user({'nobody': '550 5.1.1 unknown SESSIONID=<of-refusal>'})
    mail.with_flags('T')
    qid = mail.send_sized(0, 'alice', 'nobody')
    mail.run_queue()
    assert mail.fields(qid, 'alice')['sessionid'] != '<of-refusal>'
    assert mail.fields(qid, 'nobody')['sessionid'] == '<of-refusal>'
    bounces = [one for one in mail.ends() if one.qid != qid]
    assert [one.to for one in bounces] == ['sender@mail.test']
    assert (log_fields(bounces[0])['sessionid']
            not in ('<of-refusal>', mail.fields(qid, 'alice')['sessionid']))


@pytest.mark.weight(2)
class TestParameters(PeerCases):
  """With DSN offered NOTIFY and ORCPT come before IGNOREQUOTA."""

  @pytest.fixture(autouse=True)
  def prepare(self, mail):
    mail.peer.offered = (*mail.peer.offered, 'DSN')

  def with_remote(self, mail, flags: str):
    """A mailer without F=l for quota.test: only such a one is told NOTIFY."""
    mail.with_mailers(mailer(mail.peer.address) +
                      mailer(mail.peer.address, flags, name='remote', base='sDFMnqXzA@/:|m'),
                      quota_mailer='remote')

  def test_ignorequota_follows_notify_and_orcpt(self, mail):
    self.with_remote(mail, 'Q')
    mail.sendmail.submit(message(), 'alice@quota.test', sender='sender@mail.test',
                         options=('RET=HDRS', 'ENVID=abc'),
                         rcpt_options=('NOTIFY=SUCCESS,FAILURE,DELAY', 'ORCPT=rfc822;a@b.test'))
    (rcpt,) = exchanges(mail.run_queue(), 'RCPT')
    assert re.search(r'(?i)^RCPT TO:<alice> NOTIFY=SUCCESS,FAILURE,DELAY '
                     r'ORCPT=rfc822;a@b\.test IGNOREQUOTA\r\n$', rcpt.sent.decode())

  def test_ignorequota_is_the_end_of_the_line_however_long_orcpt_is(self, mail):
    self.with_remote(mail, 'Q')
    mail.sendmail.start()
    qids = {}
    # Sendmail itself takes no longer command than that with the last of these.
    for size in (1, 400, 500, 900, 1000, 1500, 1900, 1940, 1950, 1955, 1960, 1965, 1970, 1975,
                 1980, *range(1983, 1990)):
      user = f'user{size}'
      orcpt = 'rfc822;' + 'o' * size
      try:
        qids[user] = mail.sendmail.submit(message(b'x' * size), f'{user}@quota.test',
                                          rcpt_options=('NOTIFY=FAILURE', f'ORCPT={orcpt}'))
      except AssertionError as refused:  # by Sendmail itself
        assert size > 1900, refused
    sessions = mail.run_queue()
    rcpts = exchanges(sessions, 'RCPT')
    assert len(rcpts) == len(qids)
    for one in rcpts:
      assert re.search(r'(?i)^RCPT TO:<user\d+> NOTIFY=FAILURE( ORCPT=rfc822;o+)? IGNOREQUOTA\r\n$',
                       one.sent.decode()), f'{len(one.sent)} bytes'
    for user, qid in qids.items():
      mail.assert_ignorequota(qid, user, 'sent')

  def test_an_address_that_grows_on_the_way_leaves_a_whole_line(self, mail):
    """With ORCPT it would be longer than Sendmail's own longest command."""
    self.with_remote(mail, 'Q')
    grown = 'g' * 60
    mail.sendmail.edit_cf('$#remote $@ store.test $: $1', f'$#remote $@ store.test $: {grown}$1')
    qid = mail.sendmail.submit(message(), 'alice@quota.test',
                               rcpt_options=('ORCPT=rfc822;' + 'o' * 1960,))
    (rcpt,) = exchanges(mail.run_queue(), 'RCPT')
    assert re.search(r'(?i)^RCPT TO:<[g.]+alice>( ORCPT=rfc822;o+)? IGNOREQUOTA\r\n$',
                     rcpt.sent.decode())
    mail.assert_ignorequota(qid, 'alice', 'sent')

  def test_every_recipient_of_a_pipelined_message_has_it(self, mail):
    mail.peer.offered = (*mail.peer.offered, 'PIPELINING')
    mail.peer.answers['RCPT'] = by_user({f'u{number}': f'550 5.1.1 no u{number}'
                                         for number in range(0, 12, 3)})
    self.with_remote(mail, 'QT')
    qid = mail.send(message(), *(f'u{number}' for number in range(12)),
                    domain='quota.test')
    sessions = mail.run_queue()
    rcpts = transactions(sessions)[0].rcpts
    assert len(rcpts) == 12
    for one in rcpts:
      assert one.sent.endswith(b' IGNOREQUOTA\r\n'), one
    for number in range(12):
      end = mail.sendmail.delivery(qid, f'u{number}')
      assert end.dsn[:1] == ('5' if number % 3 == 0 else '2'), end.line
      if number % 3 == 0:
        assert f'550 5.1.1 no u{number}' in mail.dsn_for(f'u{number}')['Diagnostic-Code']
      else:
        assert len(mail.peer.messages(f'u{number}')) == 1
