"""STARTTLS and the handshake: taken away, refused, answered with lies, never ended."""

import ssl

from peers.secure import handshakes
from peers.secure.session import MAIL_WORDS, Session, evil

from .case import Case, attack, control, each
from .terms import ALL, BOTH, ENCRYPT, FINGERPRINT, LOGIN, SAFE, VERIFY, WEAK

STRIPPED = evil(words_in_clear=(*MAIL_WORDS, 'AUTH PLAIN LOGIN CRAM-MD5'))
SHORT = '--starttls-timeout=1s'
NEW = ssl.TLSVersion.TLSv1_2


def answering(reply: bytes) -> type[Session]:
  return evil(starttls_reply=reply)


def injecting(tail: bytes, apart: bool = False) -> type[Session]:
  return evil(handshakes.InjectsBehind220, tail=tail, apart=apart)


INJECTED = (b'250-store.test\r\n250-IGNOREQUOTA\r\n250-AUTH PLAIN\r\n250 Ok\r\n'
            b'235 2.0.0 in\r\n250 ok\r\n')
ONE = 'ECDHE-ECDSA-AES256-GCM-SHA384'
OTHER = 'ECDHE-ECDSA-CHACHA20-POLY1305'

ROWS: list[Case] = [
    control('STARTTLS', Session, SAFE, fronts=BOTH),
    attack('STARTTLS stripped at encrypt', STRIPPED, [*ENCRYPT, *LOGIN], 'STARTTLS', fronts=ALL),
    attack('STARTTLS stripped at verify', STRIPPED, SAFE, 'STARTTLS'),
    attack('STARTTLS stripped at fingerprint', STRIPPED, [*FINGERPRINT, *LOGIN], 'STARTTLS'),
    attack('STARTTLS stripped, no login', STRIPPED, ENCRYPT, 'STARTTLS'),
    attack('a word that is not quite STARTTLS',
           evil(words_in_clear=(*MAIL_WORDS, 'XSTARTTLS', 'STARTTLSX')), SAFE, 'STARTTLS'),
    control('STARTTLS stripped at the first DEST', [STRIPPED, Session], SAFE, filed_at=1, dials=2),
    *(attack(f'STARTTLS answered {code}', answering(reply), [*ENCRYPT, *LOGIN],
             str(code), fronts=BOTH if code == 454 else ('deliver',))
      for code, reply in ((454, b'454 4.3.3 TLS not available\r\n'), (500, b'500 5.5.1 what?\r\n'),
                          (501, b'501 5.5.4 no\r\n'), (554, b'554 5.7.1 never\r\n'),
                          (421, b'421 4.3.2 too busy\r\n'))),
    attack('STARTTLS answered 250', answering(b'250 2.0.0 yes yes\r\n'), SAFE, 'STARTTLS.*250'),
    attack('STARTTLS answered 354', answering(b'354 go ahead\r\n'), SAFE, 'STARTTLS.*354'),
    attack('STARTTLS answered by garbage', answering(b'\x00\xff\x16\x03\x01 what a life\r\n'),
           SAFE, 'protocol error'),
    attack('STARTTLS answered by half a reply', answering(b'220-and more to come\r\n'),
           [*SAFE, SHORT], 'time.*STARTTLS|STARTTLS.*time', least=0.9),
    attack('STARTTLS answered by an endless line', handshakes.NeverEndsTheReply, [*SAFE, SHORT],
           'reply too long|time'),
    attack('STARTTLS answered by endless lines',
           evil(handshakes.NeverEndsTheReply, piece=b'220-' + b'y' * 500 + b'\r\n'),
           [*SAFE, SHORT],
           'reply too long|time'),

    attack('a reply after the 220', injecting(b'250 2.0.0 injected\r\n'), SAFE,
           'after.*STARTTLS', fronts=BOTH),
    attack('a whole dialogue after the 220', injecting(INJECTED), SAFE,
           'after.*STARTTLS'),
    attack('half a line after the 220', injecting(b'250-IGNO'), SAFE,
           'after.*STARTTLS'),
    attack('one byte after the 220', injecting(b'\r'), SAFE,
           'after.*STARTTLS'),
    attack('a line end after the 220', injecting(b'\r\n'), SAFE,
           'after.*STARTTLS'),
    attack('a reply in the segment after that of the 220', injecting(INJECTED, apart=True), SAFE,
           'version|record'),
    attack('the 220 before STARTTLS is sent', handshakes.Answers220Early, SAFE,
           'reply|early|unexpected|await', fronts=BOTH),
    attack('half a 220 before STARTTLS is sent',
           evil(handshakes.Answers220Early, starttls_reply=b'220-2.0'), SAFE, 'incomplete reply|early'),
    attack('a reply to LHLO before it is sent', handshakes.GreetsTwice, SAFE,
           'reply|early|unexpected|await|STARTTLS'),

    control('words in clear do not outlive the handshake',
            evil(words_in_clear=('IGNOREQUOTA', 'AUTH PLAIN', 'SIZE 1', 'TRACE', 'STARTTLS'),
                 words_in_tls=('8BITMIME',)),
            [*VERIFY, '-Q', '--trace-id=t-1'],
            commands=('!IGNOREQUOTA', '!^AUTH', '!SIZE=', '!^TRACE', '!BODY=8BITMIME x')),
    control('words in TLS count', Session, [*VERIFY, '-Q', '--trace-id=t-1'],
            commands=('RCPT.*IGNOREQUOTA$', '^TRACE t-1', '^MAIL.*SIZE=')),

    attack('hangs up after the 220', handshakes.HangsUpAfter220, SAFE, 'closed.*handshake',
           fronts=BOTH),
    attack('closes during the handshake', handshakes.ClosesAmidHandshake, SAFE,
           'closed.*handshake'),
    attack('the handshake stalls', handshakes.StallsHandshake, [*SAFE, SHORT],
           'time.*handshake', least=0.9, fronts=ALL),
    attack('the handshake stalls halfway', evil(handshakes.StallsHandshake, part=0.5),
           [*SAFE, SHORT], 'time.*handshake', least=0.9),
    attack('the handshake comes byte by byte, too slowly', handshakes.DripsHandshake,
           [*SAFE, SHORT], 'time.*handshake', least=0.9),
    control('the handshake comes byte by byte, fast enough',
            evil(handshakes.DripsHandshake, pause=0), SAFE),
    attack('a handshake message of 16 MB', handshakes.DrownsHandshake, SAFE, 'excessive|length'),

    attack('TLS 1.0 and 1.1 only', evil(tls=WEAK), SAFE, 'protocol|version', fronts=BOTH),
    attack('TLS 1.2 where 1.3 is the least', evil(tls={'most': NEW}),
           [*SAFE, '--tls-protocols=TLSv1.3'], 'protocol|version'),
    control('TLS 1.2', evil(tls={'most': NEW}), SAFE),
    control('TLS 1.1 where it is allowed', evil(tls=WEAK),
            [*SAFE, '--tls-protocols=TLSv1.1', '--tls-ciphers=ALL:@SECLEVEL=0']),
    attack('no cipher in common', evil(tls={'most': NEW, 'ciphers': ONE}),
           [*SAFE, f'--tls-ciphers={OTHER}'], 'handshake|cipher'),
    control('a cipher in common', evil(tls={'most': NEW, 'ciphers': ONE}),
            [*SAFE, f'--tls-ciphers={OTHER}:{ONE}']),
]


@each(ROWS)
def test_starttls(runner, case, front):
  runner.play(case, front)
