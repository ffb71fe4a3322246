"""Clients of the MTA at 127.0.0.1, port 25: each submits numbered messages, one after the other,
each until it is accepted. Even ones go to alice; odd ones are notifications for bob, whose mailbox is full.

Run by load.py in the network of a system; ends with the end of its input. Prints `accepted N`, or
`unsure N` when the connection was lost after the whole message was sent, which is then sent again,
or `refused N REPLY` for a 5xx reply.
usage: senders.py CLIENTS PAUSE
"""

import smtplib
import sys
import threading
import time

CLIENTS, PAUSE = int(sys.argv[1]), float(sys.argv[2])
WAYS = [('root@localhost', 'alice@localhost'), ('notice@localhost', 'bob@localhost')]
done = threading.Event()
speaking = threading.Lock()  # else two clients' words share a line


def say(*words):
  with speaking:
    print(*words, flush=True)


class Client(smtplib.SMTP):
  sent = False  # a whole message, to which there is no reply yet

  def getreply(self):
    reply = super().getreply()
    self.sent = False
    return reply

  def send(self, s):
    super().send(s)
    self.sent = s[-5:] == b'\r\n.\r\n'

  def submit(self, number: int):
    sender, recipient = WAYS[number % 2]
    self.sendmail(sender, recipient, f'From: x\nMessage-ID: <{number}@load>\n'
                  f'Subject: load {number}\n\n' + 'text\n' * 200)


def refusal(error) -> bool:
  replies = getattr(error, 'recipients', {}).values() or [(getattr(error, 'smtp_code', 0), '')]
  return any(code // 100 == 5 for code, _ in replies)


def send_all(number: int):
  client = None
  while not done.is_set():
    try:
      client = client or Client('127.0.0.1', 25, timeout=300)
      client.submit(number)
      say('accepted', number)
      number += CLIENTS
    except (OSError, smtplib.SMTPException) as error:
      if refusal(error):
        say('refused', number, error)
      if client:
        if client.sent:
          say('unsure', number)
        client.close()
      client = None
    time.sleep(PAUSE)


threads = [threading.Thread(target=send_all, args=(first,)) for first in range(CLIENTS)]
for thread in threads:
  thread.start()
sys.stdin.read()
done.set()
for thread in threads:
  thread.join()
