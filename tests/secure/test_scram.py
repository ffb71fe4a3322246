"""SCRAM: the server must prove itself, and cannot make the client work forever."""

from peers.secure import breaks, logins
from peers.secure.session import MAIL_WORDS, Session, evil

from .case import Case, attack, control, each
from .terms import BOTH, LOGIN, SAFE, VERSIONS


def scram(name: str = 'SCRAM-SHA-256', base=Session, binding=None, **screws) -> type[Session]:
  return evil(base, words_in_tls=(*MAIL_WORDS, f'AUTH {name}'), scram=screws, binding=binding,
              wants_login=True)


PLUS = 'SCRAM-SHA-256-PLUS'
LIES = ('2147483648', '2147483647', '99999999999999999999', '-1', '0', '1', '4095', 'many')

ROWS: list[Case] = [
    *(control(f'login by {name}', scram(name), SAFE, commands=(f'^AUTH {name}',),
              fronts=BOTH if name == PLUS else ('deliver',))
      for name in ('SCRAM-SHA-1', 'SCRAM-SHA-256', PLUS)),
    control('SCRAM is preferred to what shows the password', scram('PLAIN LOGIN SCRAM-SHA-256'),
            SAFE, commands=('^AUTH SCRAM-SHA-256', '!^AUTH PLAIN')),
    control('SCRAM without a binding', scram(), [*SAFE, '--auth-channel-binding=none']),
    control('SCRAM in clear',
            evil(words_in_clear=(*MAIL_WORDS, 'AUTH PLAIN SCRAM-SHA-256'), wants_login=True),
            ['--tls=none', *LOGIN], in_clear=True),

    *(control(f'PLUS on a resumed connection, TLS {version}',
              evil(breaks.Closes, where='idle', every=False, resumes=True, tls=terms,
                   words_in_tls=(*MAIL_WORDS, f'AUTH {PLUS}'), wants_login=True),
              SAFE, messages=2, dials=2, fronts=('relay',), logged='resumed=yes auth=SCRAM')
      for version, terms in VERSIONS.items()),

    attack('235 before the proof of the server, at once', scram(base=logins.WelcomesAtOnce), SAFE,
           'without proving its identity', fronts=BOTH),
    attack('235 instead of the signature of the server', scram(signs='never'), SAFE,
           'without proving its identity'),
    attack('wrong signature of the server', scram(signs='badly'), SAFE,
           'signature', fronts=BOTH),
    attack('the nonce is not ours', scram(keeps_nonce=False), SAFE, 'nonce'),
    attack('PLUS bound to another connection', scram(PLUS, binding=b'elsewhere'), SAFE, '501'),
    *(attack(f'{count} iterations', scram(shown_iterations=count), SAFE, 'iteration|501')
      for count in LIES),
]


@each(ROWS)
def test_scram(runner, case, front):
  runner.play(case, front)
