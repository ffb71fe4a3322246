"""Messages through the daemon: each recipient has its own answer."""

import pytest

from .daemon import message


@pytest.mark.parametrize('stage', ['at_rcpt', 'at_final'])
def test_one_refused_recipient_does_not_touch_the_others(daemon, stage):
  replies = {'unknown@store.test': '550 5.1.1 User unknown', 'full@store.test': '452 4.2.2 full'}
  setattr(daemon.store, stage, lambda address: replies.get(address, ''))
  answers = daemon.deliver('alice', 'unknown', 'full', 'bob')
  assert [answer[:3] for answer in answers] == ['250', '550', '452', '250'], answers
  assert daemon.store.boxes() == ['alice', 'bob'], daemon.store.boxes()


def test_a_message_for_a_thousand_has_a_thousand_answers_in_order(daemon):
  users = [f'u{number:04}' for number in range(1000)]
  daemon.store.at_rcpt = lambda address: '550 5.1.1 none' if address[4] == '7' else ''
  daemon.store.at_final = lambda address: f'250 2.1.5 {address} has it'
  answers = daemon.deliver(*users)
  assert len(answers) == 1000, len(answers)
  wrong = [(user, answer) for user, answer in zip(users, answers) if not (
      answer.startswith('550') if user[4] == '7' else f'{user}@store.test has it' in answer)]
  assert not wrong, wrong[:3]
  assert len(daemon.store.filed) == 900, len(daemon.store.filed)
  with daemon.dial() as client:
    last, more = client.envelope(message(*users, 'one.more'))[1000:1002]
    assert last.startswith('250') and more.startswith('452 4.5.3'), (last, more)


def test_many_clients_at_once_mix_nothing_up(new_daemon):
  daemon = new_daemon('connections = 5\n')
  daemon.store.at_final = lambda address: f'250 2.1.5 {address} has it'
  users = [f'user{number}' for number in range(60)]
  answers = daemon.deliver_at_once(*users)
  wrong = [pair for pair in zip(users, answers) if f'{pair[0]}@store.test has it' not in pair[1]]
  assert not wrong, wrong[:3]
  assert sorted(daemon.store.boxes()) == sorted(users), 'each once'


def test_each_listener_has_its_policy_for_nul(new_daemon):
  policies = ('pass', 'strip', 'refuse')
  daemon = new_daemon(listeners=''.join(
      f'[listener.{nul}]\naddress = unix:{{folder}}/{nul}\nnul = {nul}\n' for nul in policies))
  store = daemon.store
  store.at_final = lambda address: '' if address.startswith('strip') else '554 5.6.0 no NUL here'
  body = b'a\0b\0\r\n\0.\r\n'
  answers = daemon.deliver('pass1', 'pass2', name='pass', body=body)
  assert [answer[:21] for answer in answers] == ['554 5.6.0 no NUL here'] * 2, answers
  commands = len(store.connections[0].commands)
  answers = daemon.deliver('refuse1', 'refuse2', name='refuse', body=body)
  assert [answer[:39] for answer in answers] == ['554 5.6.0 Message contains NUL bytes: 3'] * 2, answers
  assert [len(made.commands) for made in store.connections] == [commands], 'no store is asked'
  assert daemon.deliver('strip', name='strip', body=body)[0].startswith('250')
  (_, filed), = store.filed
  assert filed.partition(b'\r\n\r\n')[2] == b'ab\r\n..\r\n'
  daemon.wait_for_log('nul-stripped=3')
  assert daemon.process.count(' nul=3') == 4


def test_long_lines_are_broken_where_the_listener_says(new_daemon):
  daemon = new_daemon(listeners=''.join(
      f'[listener.l{limit}]\naddress = unix:{{folder}}/l{limit}\nline-limit = {limit}\n'
      for limit in (998, 8000)))
  field = b'References: ' + b' '.join(b'<%05d@mail.example>' % number for number in range(100))
  for name in ('l998', 'l8000'):
    assert daemon.deliver(name, name=name, header=field + b'\r\n')[0].startswith('250')
  filed = dict(daemon.store.filed)
  assert field in filed['l8000']
  assert field not in filed['l998'] and field in filed['l998'].replace(b'\r\n <', b' <')
  assert max(map(len, filed['l998'].split(b'\r\n'))) <= 998
  daemon.wait_for_log('folded-lines=1')
  assert daemon.process.count('folded-lines=') == 1
