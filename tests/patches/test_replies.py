"""What the server offers and says: capabilities, session ids, parameters before IGNOREQUOTA."""

from dialogue import exchanges, transactions
from patch_case import log_fields, mailer
from peer import by_user, in_turn
from peer_case import PeerCase
from fixtures.messages import message

TO_LINE = (r': to=<\w+@store\.test>, delay=[\d:]+, xdelay=[\d:]+, mailer=cyrusv2, pri=\d+, '
           r'relay=[^,]+, dsn=\d\.\d\.\d, '
           r'(sessionid=<[A-Za-z0-9._:@+-]{1,255}>, )?(reply=.*, )?stat=')
LHLO = '250-peer.test\n{}\n250 Ok'


class Offers(PeerCase):
  weight = 2

  def send_one(self, flags: str = 'QT') -> tuple[str, dict[str, str], list]:
    self.with_flags(flags)
    qid = self.send(message(), 'alice')
    sessions = self.run_queue()
    self.assert_sent(qid, 'alice')
    return qid, self.fields(qid, 'alice'), sessions

  def test_keywords_are_read_as_words_and_without_regard_to_case(self):
    cases = (
        ('250-ignorequota\n250-trace', True, True),
        ('250 IGNOREQUOTA\n', True, False),
        ('250-IgnoreQuota x y\n250-Trace x', True, True),
        ('250-IGNOREQUOTAS\n250-TRACED', False, False),
        ('250-XIGNOREQUOTA\n250-X TRACE', False, False),
        ('250-IGNOREQUOTA=1\n250-TRACE=1', None, None),
        ('250-8BITMIME IGNOREQUOTA TRACE', False, False),
    )
    for lines, quota, trace in cases:
      with self.subTest(lines=lines):
        self.peer.forget()
        text = f'250-peer.test\n{lines.strip()}'
        self.peer.answers['LHLO'] = text if lines.endswith('\n') else f'{text}\n250 Ok'
        qid, fields, sessions = self.send_one()
        if quota is not None:
          sent = [one.sent.endswith(b' IGNOREQUOTA\r\n') for one in exchanges(sessions, 'RCPT')]
          self.assertEqual(sent, [quota])
          self.assertEqual(fields['ignorequota'], 'sent' if quota else 'not-offered')
          self.assertEqual(len(exchanges(sessions, 'TRACE')), int(trace))

  def test_the_first_line_of_lhlo_is_a_name(self):
    for name in ('IGNOREQUOTA', 'TRACE'):
      with self.subTest(name=name):
        self.peer.forget()
        self.peer.answers['LHLO'] = f'250-{name}\n250 Ok'
        _, fields, sessions = self.send_one()
        self.assertEqual(fields['ignorequota'], 'not-offered')
        self.assertEqual(exchanges(sessions, 'TRACE'), [])

  def test_each_connection_goes_by_its_own_lhlo(self):
    offers = {True: LHLO.format('250-IGNOREQUOTA\n250-TRACE'), False: LHLO.format('250-SIZE')}
    for first in (True, False):
      with self.subTest(first=first):
        self.peer.forget()
        self.peer.answers = {'LHLO': in_turn(offers[first], offers[not first]),
                             'RSET': in_turn('500 5.5.2 what')}
        self.with_flags('QT')
        qids = [self.send_sized(number, 'alice') for number in range(2)]
        sessions = self.run_queue()
        self.assertEqual(len(sessions), 2)
        found = transactions(sessions)
        for offered, qid, one in zip((first, not first), qids, found):
          self.assertEqual(one.trace_id, qid if offered else '')
          self.assertEqual(one.rcpts[0].sent.endswith(b' IGNOREQUOTA\r\n'), offered)
          self.assert_ignorequota(qid, 'alice', 'sent' if offered else 'not-offered')

  def test_without_lhlo_no_field_is_logged(self):
    for number, answers in enumerate(({'GREETING': '554 5.3.2 no'}, {'GREETING': '421 4.3.2 no'})):
      with self.subTest(answers=answers):
        self.peer.forget()
        self.peer.answers = answers
        self.with_flags('QT')
        qid = self.send(message(), f'user{number}')
        self.run_queue()
        fields = self.fields(qid, f'user{number}')
        self.assertNotIn('ignorequota', fields)
        self.assertNotIn('sessionid', fields)

  def test_a_message_that_never_came_to_rcpt_has_sent_no_ignorequota(self):
    self.peer.answers['MAIL'] = in_turn(None, '451 4.7.1 not now', None)
    self.with_flags('QT')
    qids = [self.send_sized(number, 'alice') for number in range(3)]
    self.assertEqual(len(self.run_queue()), 1)
    for qid, word in zip(qids, ('sent', None, 'sent')):
      self.assert_ignorequota(qid, 'alice', word)

  def test_a_refused_connection_leaves_no_field_of_the_one_before(self):
    self.with_flags('QT', options="define(`confTO_ICONNECT', `5s')")
    qid = self.send_sized(0, 'alice')
    other = self.send_sized(1, 'bob')
    self.peer.answers['DOT'] = lambda *_: self.peer.path.rename(f'{self.peer.path}.away') and None
    self.peer.answers['RSET'] = '500 5.5.2 what'
    try:
      self.run_queue()
    finally:
      self.peer.path.with_name('lmtp.away').rename(self.peer.path)
    self.assertIn('sessionid', self.fields(qid, 'alice'))
    fields = self.fields(other, 'bob')
    self.assertNotIn('ignorequota', fields)
    self.assertNotIn('sessionid', fields)
    self.assert_end(other, 'bob', 'Deferred', '4.')


class SessionIds(PeerCase):
  weight = 2

  def logged(self, answers: dict, flags: str = 'T') -> str | None:
    """The sessionid= of one message to alice."""
    self.peer.forget()
    self.peer.answers = answers
    self.with_flags(flags)
    qid = self.send(message(), 'alice')
    self.run_queue()
    end = self.sendmail.delivery(qid, 'alice')
    self.assertRegex(end.line, TO_LINE)
    return log_fields(end).get('sessionid')

  def test_the_newest_one_of_the_attempt_is_logged(self):
    none = {'LHLO': LHLO.format('250-TRACE'), 'TRACE': '250 ok', 'MAIL': '250 ok', 'RCPT': '250 ok',
            'DOT': '250 ok', 'RSET': '250 ok'}
    self.assertIsNone(self.logged(none))
    lhlo = '250-peer.test\n250-TRACE\n250 Ok SESSIONID=<from-lhlo>'
    self.assertEqual(self.logged(none | {'LHLO': lhlo}), '<from-lhlo>')
    trace = {'LHLO': lhlo, 'TRACE': '250 ok SESSIONID=<from-trace> TRACEID=<x>'}
    self.assertEqual(self.logged(none | trace), '<from-trace>')
    rcpt = trace | {'RCPT': '250 2.1.5 SESSIONID=<from-rcpt>'}
    self.assertEqual(self.logged(none | rcpt), '<from-rcpt>')
    dot = rcpt | {'DOT': '250 2.1.5 Success SESSIONID=<from-dot>'}
    self.assertEqual(self.logged(none | dot), '<from-dot>')
    refused = rcpt | {'RCPT': '452 4.2.2 Over quota SESSIONID=<from-refusal>'}
    self.assertEqual(self.logged(none | refused), '<from-refusal>')

  def test_of_several_lines_the_last_one_that_has_it_counts(self):
    for lines, wanted in (('250-2.1.5 a SESSIONID=<one>\n250 2.1.5 b', '<one>'),
                          ('250-2.1.5 a\n250 2.1.5 b SESSIONID=<two>', '<two>'),
                          ('250-2.1.5 SESSIONID=<one>\n250 2.1.5 SESSIONID=<two>', '<two>')):
      with self.subTest(lines=lines):
        self.assertEqual(self.logged({'DOT': lines}), wanted)

  def test_nothing_but_plain_ids_of_bounded_length_gets_into_the_log(self):
    texts = ('<a b>', '<a,stat=Sent>', '<a>, stat=Sent (forged)', '<>', '<', '<abc', '<\x01\x7f>',
             '<\xff\xfe>', '<%s%n>', '<a\tb>', '<"a">', '<' + 'x' * 300 + '>',
             '<' + 'y' * 1900 + '>', '<a<b>>', 'abc', '<a;b>', '<a/../b>')
    for verb in ('DOT', 'RCPT'):
      with self.subTest(verb=verb):
        self.peer.forget()
        self.peer.answers[verb] = by_user({f'u{number}': f'250 2.1.5 Success SESSIONID={text}'
                                           for number, text in enumerate(texts)})
        self.with_flags('T')
        qids = [self.send(message(), f'u{number}') for number in range(len(texts))]
        self.run_queue()
        for number, qid in enumerate(qids):
          end = self.sendmail.delivery(qid, f'u{number}')
          self.assertTrue(end.stat.startswith('Sent'), end.line)
          self.assertRegex(end.line, TO_LINE)
          if verb == 'DOT':
            self.assertRegex(log_fields(end).get('sessionid', '<a>'),
                             r'^<(a|peer\.test-\d+-7@x\+y:z)>$', texts[number])
      self.assertEqual(self.sendmail.log_lines('forged)'), [])

  def test_a_message_without_one_has_none_of_the_message_before(self):
    bare = '250 2.0.0 ok'
    self.peer.answers = {'DOT': in_turn(None, bare, bare), 'RSET': bare,
                         'TRACE': in_turn(None, bare)}
    self.with_flags('T')
    qids = [self.send_sized(number, 'alice') for number in range(3)]
    self.run_queue()
    self.assertEqual(self.fields(qids[0], 'alice').get('sessionid'), '<peer.test-1-7@x+y:z>')
    self.assertNotIn('sessionid', self.fields(qids[1], 'alice'))
    self.assertTrue(self.fields(qids[2], 'alice')['sessionid'].startswith('<peer.test-'))

  def test_a_lhlo_reply_of_one_line_has_one_too(self):
    bare = {verb: '250 2.0.0 ok' for verb in ('MAIL', 'RCPT', 'DOT')}
    self.assertEqual(self.logged(bare | {'LHLO': '250 Ok SESSIONID=<only>'}), '<only>')

  def test_the_last_one_of_a_line_counts(self):
    for text, wanted in (('"SESSIONID=<spoof>"@x ok SESSIONID=<good>', '<good>'),
                         ('SESSIONID=<good> SESSIONID=<no good>', None)):
      with self.subTest(text=text):
        self.assertEqual(self.logged({'DOT': f'250 2.1.5 {text}'}), wanted)

  def test_a_connection_that_closed_leaves_none_to_the_next(self):
    bare = '250 2.0.0 ok'
    answers = {verb: bare for verb in ('TRACE', 'MAIL', 'RCPT', 'DOT')}
    self.peer.answers = answers | {'LHLO': LHLO.format('250-TRACE'),
                                   'RSET': '421 4.3.2 gone SESSIONID=<of-old>'}
    self.with_flags('T')
    qids = [self.send_sized(number, 'alice') for number in range(2)]
    self.assertEqual(len(self.run_queue()), 2)
    for qid in qids:
      self.assert_sent(qid, 'alice')
      self.assertNotIn('sessionid', self.fields(qid, 'alice'))

  def test_a_refused_data_is_logged_with_the_one_it_was_refused_under(self):
    answers = {'DATA': '554 5.6.0 no SESSIONID=<of-refusal>',
               'RSET': '250 2.0.0 Ok SESSIONID=<behind-it>'}
    self.assertEqual(self.logged(answers), '<of-refusal>')

  def test_a_bounce_in_between_has_an_id_of_its_own(self):
    self.peer.answers['RCPT'] = by_user({'nobody': '550 5.1.1 unknown SESSIONID=<of-refusal>'})
    self.with_flags('T')
    qid = self.send_sized(0, 'alice', 'nobody')
    self.run_queue()
    self.assertNotEqual(self.fields(qid, 'alice')['sessionid'], '<of-refusal>')
    self.assertEqual(self.fields(qid, 'nobody')['sessionid'], '<of-refusal>')
    bounces = [one for one in self.ends() if one.qid != qid]
    self.assertEqual([one.to for one in bounces], ['sender@mail.test'])
    self.assertNotIn(log_fields(bounces[0])['sessionid'],
                     ('<of-refusal>', self.fields(qid, 'alice')['sessionid']))


class Parameters(PeerCase):
  """With DSN offered NOTIFY and ORCPT come before IGNOREQUOTA."""
  weight = 2

  def setUp(self):
    super().setUp()
    self.peer.offered = (*self.peer.offered, 'DSN')

  def with_remote(self, flags: str):
    """A mailer without F=l for quota.test: only such a one is told NOTIFY."""
    self.with_mailers(mailer(self.peer.address) +
                      mailer(self.peer.address, flags, name='remote', base='sDFMnqXzA@/:|m'),
                      quota_mailer='remote')

  def test_ignorequota_follows_notify_and_orcpt(self):
    self.with_remote('Q')
    self.sendmail.submit(message(), 'alice@quota.test', sender='sender@mail.test',
                         options=('RET=HDRS', 'ENVID=abc'),
                         rcpt_options=('NOTIFY=SUCCESS,FAILURE,DELAY', 'ORCPT=rfc822;a@b.test'))
    (rcpt,) = exchanges(self.run_queue(), 'RCPT')
    self.assertRegex(rcpt.sent.decode(), r'(?i)^RCPT TO:<alice> NOTIFY=SUCCESS,FAILURE,DELAY '
                     r'ORCPT=rfc822;a@b\.test IGNOREQUOTA\r\n$')

  def test_ignorequota_is_the_end_of_the_line_however_long_orcpt_is(self):
    self.with_remote('Q')
    self.sendmail.start()
    qids = {}
    # Sendmail itself takes no longer command than that with the last of these.
    for size in (1, 400, 500, 900, 1000, 1500, 1900, 1940, 1950, 1955, 1960, 1965, 1970, 1975,
                 1980, *range(1983, 1990)):
      user = f'user{size}'
      orcpt = 'rfc822;' + 'o' * size
      try:
        qids[user] = self.sendmail.submit(message(b'x' * size), f'{user}@quota.test',
                                          rcpt_options=('NOTIFY=FAILURE', f'ORCPT={orcpt}'))
      except AssertionError as refused:  # by Sendmail itself
        self.assertGreater(size, 1900, refused)
    sessions = self.run_queue()
    rcpts = exchanges(sessions, 'RCPT')
    self.assertEqual(len(rcpts), len(qids))
    for one in rcpts:
      self.assertRegex(one.sent.decode(), r'(?i)^RCPT TO:<user\d+> NOTIFY=FAILURE'
                       r'( ORCPT=rfc822;o+)? IGNOREQUOTA\r\n$', f'{len(one.sent)} bytes')
    for user, qid in qids.items():
      self.assert_ignorequota(qid, user, 'sent')

  def test_an_address_that_grows_on_the_way_leaves_a_whole_line(self):
    """With ORCPT it would be longer than Sendmail's own longest command."""
    self.with_remote('Q')
    grown = 'g' * 60
    self.sendmail.edit_cf('$#remote $@ store.test $: $1', f'$#remote $@ store.test $: {grown}$1')
    qid = self.sendmail.submit(message(), 'alice@quota.test',
                               rcpt_options=('ORCPT=rfc822;' + 'o' * 1960,))
    (rcpt,) = exchanges(self.run_queue(), 'RCPT')
    self.assertRegex(rcpt.sent.decode(),
                     r'(?i)^RCPT TO:<[g.]+alice>( ORCPT=rfc822;o+)? IGNOREQUOTA\r\n$')
    self.assert_ignorequota(qid, 'alice', 'sent')

  def test_every_recipient_of_a_pipelined_message_has_it(self):
    self.peer.offered = (*self.peer.offered, 'PIPELINING')
    self.peer.answers['RCPT'] = by_user({f'u{number}': f'550 5.1.1 no u{number}'
                                         for number in range(0, 12, 3)})
    self.with_remote('QT')
    qid = self.send(message(), *(f'u{number}' for number in range(12)),
                    domain='quota.test')
    sessions = self.run_queue()
    rcpts = transactions(sessions)[0].rcpts
    self.assertEqual(len(rcpts), 12)
    for one in rcpts:
      self.assertTrue(one.sent.endswith(b' IGNOREQUOTA\r\n'), one)
    for number in range(12):
      end = self.sendmail.delivery(qid, f'u{number}')
      self.assertEqual(end.dsn[:1], '5' if number % 3 == 0 else '2', end.line)
      if number % 3 == 0:
        self.assertIn(f'550 5.1.1 no u{number}', self.dsn_for(f'u{number}')['Diagnostic-Code'])
      else:
        self.assertEqual(len(self.peer.messages(f'u{number}')), 1)
