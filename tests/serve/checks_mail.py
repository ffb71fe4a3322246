"""Messages through the daemon: each recipient has its own answer."""

from house import House, all_start, expect, message


def one_refused_recipient_does_not_touch_the_others():
  replies = {'unknown@store.test': '550 5.1.1 User unknown', 'full@store.test': '452 4.2.2 full'}
  for late in (False, True):
    with House() as house:
      at = lambda address: replies.get(address, '')
      house.store.at_final, house.store.at_rcpt = (at, house.store.at_rcpt) if late else (
          house.store.at_final, at)
      answers = house.bring('alice', 'unknown', 'full', 'bob')
      expect([answer[:3] for answer in answers] == ['250', '550', '452', '250'], answers)
      expect(house.store.boxes() == ['alice', 'bob'], house.store.boxes())


def a_message_for_a_thousand_has_a_thousand_answers_in_order():
  users = [f'u{number:04}' for number in range(1000)]
  with House() as house:
    house.store.at_rcpt = lambda address: '550 5.1.1 none' if address[4] == '7' else ''
    house.store.at_final = lambda address: f'250 2.1.5 {address} has it'
    answers = house.bring(*users)
    expect(len(answers) == 1000, len(answers))
    wrong = [(user, answer) for user, answer in zip(users, answers) if not (
        answer.startswith('550') if user[4] == '7' else f'{user}@store.test has it' in answer)]
    expect(not wrong, wrong[:3])
    expect(len(house.store.filed) == 900, len(house.store.filed))
    with house.dial() as client:
      last, more = client.envelope(message(*users, 'one.more'))[1000:1002]
      expect(last.startswith('250') and more.startswith('452 4.5.3'), (last, more))


def many_clients_at_once_mix_nothing_up():
  with House('connections = 5\n') as house:
    house.store.at_final = lambda address: f'250 2.1.5 {address} has it'
    users = [f'user{number}' for number in range(60)]
    answers = house.bring_at_once(*users)
    wrong = [pair for pair in zip(users, answers) if f'{pair[0]}@store.test has it' not in pair[1]]
    expect(not wrong, wrong[:3])
    expect(sorted(house.store.boxes()) == sorted(users), 'each once')
