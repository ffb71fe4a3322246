"""The replies of Cyrus lmtpd, word for word, and what they do to the session."""


import pytest

from .replies import (MAIL, MAIL_OK, NESTED, PARAMETERS, RCPT_OK, RSET_OK, SYNTAX, UNRECOGNIZED,
                      USER_UNKNOWN)


def test_LHLO_lists_the_extensions_in_the_order_of_Cyrus(store):
  for address in (store.unix, store.inet):
    lines = store.client(address).say('LHLO client.test').split('\n')
    assert lines[1:] == ['250-8BITMIME', '250-ENHANCEDSTATUSCODES', '250-PIPELINING', '250-SIZE',
                         '250-IGNOREQUOTA', '250-TRACE', '250 Ok SESSIONID=<*>']


@pytest.mark.store_options('--max-message-size=262144')
def test_LHLO_tells_the_largest_size(store):
  assert '250-SIZE 262144' in store.client().say('LHLO x').split('\n')


def test_LHLO_wants_its_space_and_EHLO_HELO_HELP_are_syntax_errors(store):
  store.client().play('LHLO', SYNTAX, 'EHLO x', SYNTAX, 'HELO x', SYNTAX, 'HELP', SYNTAX,
                      'STARTTLS', SYNTAX, '', SYNTAX, 'FROB', SYNTAX)


def test_NOOP_VRFY_AUTH_and_QUIT_are_answered_as_Cyrus_does(store):
  client = store.client(store.inet)
  assert client.greeting.startswith('220 '), client.greeting
  client.play('NOOP', '250 2.0.0 ok', 'noop', '250 2.0.0 ok', 'NOOP x', SYNTAX,
              'VRFY alice', '252 2.3.3 try RCPT to attempt delivery', 'VRFY', SYNTAX,
              'AUTH PLAIN', '504 Unrecognized authentication type.',
              'QUIT now', SYNTAX, 'quit', '221 2.0.0 bye')
  assert client.at_end()


def test_MAIL_RCPT_and_DATA_keep_their_order(store):
  store.client().play('RCPT TO:<alice>', '503 5.5.1 Need MAIL command',
                      'DATA', '503 5.5.1 No recipients', MAIL, MAIL_OK, MAIL, NESTED,
                      'DATA', '503 5.5.1 No recipients', 'DATA x', SYNTAX)


def test_MAIL_takes_the_null_sender_routes_and_any_case(store):
  client = store.client()
  for path in ('<>', '<s>', '<"a b"@x.test>', '<@a.test,@b.test:s@c.test>', '<s@[127.0.0.1]>'):
    client.play(f'mail From:{path}', MAIL_OK, 'rset', RSET_OK)
  for path in ('s@x.test', '<s@x.test', ' <s@x.test>', '<<>>',
               '<s p@x.test>', '<s>x', '<\xe4@x>', ''):
    client.play(f'MAIL FROM:{path}', PARAMETERS)
  client.play('RCPT TO:<alice>', '503 5.5.1 Need MAIL command')


@pytest.mark.store_options('--max-message-size=1000')
def test_MAIL_takes_BODY_SIZE_and_AUTH_and_no_more(store):
  client = store.client()
  for parameters in ('SIZE=1000', 'BODY=8BITMIME', 'body=7bit', 'BODY=8BITMIME SIZE=5 AUTH=<>',
                     'AUTH=a+2Bb@x.test SIZE=1'):
    client.play(f'{MAIL} {parameters}', MAIL_OK, 'RSET', RSET_OK)
  for parameters, refusal in (
      ('SMTPUTF8', UNRECOGNIZED), ('RET=FULL', UNRECOGNIZED), ('ENVID=x', UNRECOGNIZED),
      ('', UNRECOGNIZED), (' SIZE=1', UNRECOGNIZED), ('SIZE=1 ', UNRECOGNIZED),
      ('BODY=BINARY', '501 5.5.4 Unrecognized BODY type'), ('BODY=7BITS', PARAMETERS),
      ('SIZE=x', '501 5.5.2 SIZE requires a value'), ('SIZE=1x', PARAMETERS),
      ('AUTH=+2g', PARAMETERS)):
    client.play(f'{MAIL} {parameters}', refusal, 'RSET', RSET_OK)


@pytest.mark.store_options('--max-message-size=1000')
def test_a_SIZE_too_large_is_552_and_leaves_MAIL_nested(store):
  refusal = '552 5.2.3 Message SIZE exceeds fixed maximum message size (1000)'
  store.client().play(f'{MAIL} SIZE=1001', refusal, MAIL, NESTED, 'RSET', RSET_OK,
                      f'{MAIL} SIZE=99999999999999999999999', refusal, MAIL, NESTED)


def test_a_refused_MAIL_leaves_the_sender_so_that_a_message_is_filed(store):
  client = store.client()
  client.play(f'{MAIL} SMTPUTF8', UNRECOGNIZED, 'RCPT TO:<alice>', RCPT_OK, 'DATA',
              '354 go ahead')
  assert client.say('.') == '250 2.1.5 Success SESSIONID=<*>'
  assert store.files('alice') == [b'Return-Path: <s@x.test>\r\n']


def test_an_unknown_user_gets_three_lines(store):
  client = store.client()
  client.play(MAIL, MAIL_OK)
  for path in ('<nobody>', '<nobody@alice>', '<>', '<../alice>', '<.spool>', '<"a/b">',
               '<"al\xefce">'):
    client.play(f'RCPT TO:{path}', USER_UNKNOWN)
  client.play('DATA', '503 5.5.1 No recipients')


@pytest.mark.store_options(users=('alice', 'a b'))
def test_RCPT_finds_the_mailbox_by_the_local_part_alone(store):
  client = store.client()
  client.play(MAIL, MAIL_OK)
  for path in ('<alice>', '<alice@any.test>', '<"alice"@any.test>', '<alice+box@x.test>',
               '<ALICE@x.test>', '<"a b"@x.test>', '<"al\\ice">', '<@r.test:alice@x.test>'):
    client.play(f'RCPT TO:{path}', RCPT_OK)
  for path in ('alice', ' <alice>', '<alice', '<a b>', '<"alice>', '<alice>x'):
    client.play(f'RCPT TO:{path}', PARAMETERS)


def test_RCPT_refuses_DSN_and_unknown_parameters(store):
  client = store.client()
  client.play(MAIL, MAIL_OK)
  for parameters in (' NOTIFY=NEVER', ' ORCPT=rfc822;a', ' X', ' ', '  IGNOREQUOTA'):
    client.play(f'RCPT TO:<alice>{parameters}', UNRECOGNIZED)


@pytest.mark.store_options('--quota=alice=0')
def test_IGNOREQUOTA_counts_only_as_the_very_end_of_the_line(store):
  client = store.client()
  client.play(MAIL, MAIL_OK)
  for tail in (' ', '  ', ' X', ' IGNOREQUOTA', 'X', '='):
    client.play(f'RCPT TO:<alice> IGNOREQUOTA{tail}', UNRECOGNIZED)
  client.play('RCPT TO:<alice> X IGNOREQUOTA', UNRECOGNIZED,
              'RCPT TO:<alice>', '452 4.2.2 Over quota SESSIONID=<*>',
              'RCPT TO:<alice> iGNOREquota', RCPT_OK, 'RCPT TO:<alice> IGNOREQUOTA', RCPT_OK)


def test_TRACE_takes_255_of_its_characters_and_tells_them(store):
  client = store.client()
  for good in ('x', 'A.b_c-9', 'a' * 255):
    client.play(f'TRACE {good}', f'250 2.0.0 Ok SESSIONID=<*> TRACEID=<{good}>')
  for bad in ('a' * 256, 'a b', 'a/b', 'a ', ' a', 'a<b>', 'ä'):
    client.play(f'TRACE {bad}', '501 5.5.4 Invalid TRACE id.')
  client.play('TRACE', SYNTAX, 'TRACE ', '250 2.0.0 Ok SESSIONID=<*> TRACEID=<(null)>')


@pytest.mark.store_options('--no-dots-in-trace-ids')
def test_TRACE_refuses_dots_where_the_option_says_so(store):
  store.client().play('TRACE a.b', '501 5.5.4 Invalid TRACE id.',
                      'TRACE a-b_9', '250 2.0.0 Ok SESSIONID=<*> TRACEID=<a-b_9>')


@pytest.mark.store_options('--no-duplicate-suppression')
def test_only_RSET_clears_the_trace_id(store):
  client = store.client()
  end, success = 'Subject: x\r\n\r\n.\r\n', ['250 2.1.5 Success SESSIONID=<*>']
  client.play('TRACE t1', '250 2.0.0 Ok SESSIONID=<*> TRACEID=<t1>')
  assert client.submit(end) == success
  assert client.submit(end) == success
  client.say('LHLO again')
  client.play('TRACE not/good', '501 5.5.4 Invalid TRACE id.')
  client.play(MAIL, MAIL_OK, 'TRACE t2', '250 2.0.0 Ok SESSIONID=<*> TRACEID=<t2>', 'RCPT TO:<bob>',
              RCPT_OK, 'DATA', '354 go ahead')
  client.send(end)
  client.read()
  client.say('RSET')
  assert client.submit(end) == success
  assert [line.split(' r.tid=')[1].split()[0] if 'r.tid' in line else None
          for line in store.log('Delivered:')] == ['<t1>', '<t1>', '<t2>', None]


def test_the_session_id_is_new_at_RSET_and_only_there(store):
  client = store.client()
  first = client.session_id('LHLO x')
  assert client.session_id('LHLO x') == first
  assert client.session_id('TRACE t') == first
  second = client.session_id('RSET')
  assert second != first
  assert client.session_id('LHLO x') == second
  assert store.client().session_id('LHLO x') not in (first, second)


def test_pipelined_commands_are_answered_in_order(store):
  client = store.client(store.inet)
  client.send('RSET\r\nTRACE t\r\nMAIL FROM:<>\r\nRCPT TO:<alice>\r\nRCPT TO:<nobody>\r\nDATA\r\n')
  assert [client.read() for _ in range(6)] == [
      RSET_OK, '250 2.0.0 Ok SESSIONID=<*> TRACEID=<t>', MAIL_OK, RCPT_OK, USER_UNKNOWN,
      '354 go ahead']
  client.send('Subject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n')
  assert client.read() == '250 2.1.5 Success SESSIONID=<*>'
  assert client.read() == '221 2.0.0 bye'
  assert len(store.log('Delivered:')) == 1
