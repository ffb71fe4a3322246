"""Sendmail's half of the milter protocol, version 6, as a library and as a load (run).

wire      packets, and a socket that they go through
session   one connection: negotiation, the client, messages, what the milter did to each
tags      X-LMTPQ-Tag read and verified with hmac and hashlib only
model     a configuration of the milter, and the answer that it must give to a message under it
mail      messages of every kind that the model knows
load      many messages over many connections, every answer compared with the model's
"""
