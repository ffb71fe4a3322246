"""Odd mail, as stores get it: one shape for each thing that a mailer between could change.

What it is: SHAPES, name -> Shape. A shape is the bytes that are handed to Sendmail: by SMTP, or by
  a local program where SMTP would not let them in (bare CR, NUL, no header, no last line end).
What it does not know: what Sendmail, a mailer or a store makes of it; see test_parity.py.
"""

import base64
from dataclasses import dataclass

from fixtures.messages import message


@dataclass(frozen=True)
class Shape:
  raw: bytes  # CRLF line ends; a local program gives LF in their place
  by_program: bool = False
  options: tuple[str, ...] = ('BODY=8BITMIME',)  # of MAIL


SHAPES: dict[str, Shape] = {}


def add(name: str, raw: bytes, **more):
  assert name not in SHAPES, name
  SHAPES[name] = Shape(raw, **more)


def body(name: str, text: bytes, headers: bytes = b'', **more):
  """An ordinary header and this body."""
  add(name, message(text, name, headers), **more)


def header(name: str, fields: bytes, **more):
  """These fields in an ordinary header, and a body that tells where it begins."""
  body(name, b'first line of the body\r\n', fields, **more)


def typed(name: str, content_type: bytes, text: bytes, encoding: bytes = b'', **more):
  """A MIME message."""
  fields = b'MIME-Version: 1.0\r\nContent-Type: ' + content_type + b'\r\n'
  if encoding:
    fields += b'Content-Transfer-Encoding: ' + encoding + b'\r\n'
  body(name, text, fields, **more)


def lines(*texts: bytes) -> bytes:
  return b''.join(text + b'\r\n' for text in texts)


def words(length: int) -> bytes:
  """A line of this length, of words of ten bytes."""
  return (b'abcdefghi ' * (length // 10 + 1))[:length - 1] + b'.'


# Dots.
body('lone-dot', lines(b'.'))
body('lone-dots', lines(b'.', b'.', b'.'))
body('dots-at-line-starts', lines(b'.x', b'..x', b'...x', b'....', b'. x', b'.\tx'))
body('dots-at-line-ends', lines(b'x.', b'x..', b'x .'))
body('dot-and-blanks', lines(b'. ', b'.\t', b' .'))
body('dot-is-the-last-line', b'x\r\n.', by_program=True)
body('commands-after-a-dot', lines(b'.', b'RSET', b'MAIL FROM:<x@x.test>', b'.', b'QUIT', b'.'))
body('dots-across-buffers', b''.join(b'x' * n + b'\r\n.\r\n' for n in range(480, 530)))
body('many-dots', b'.\r\n' * 20_000)

# Blanks, and controls that are not line ends.
body('blanks-at-line-ends', lines(b'x ', b'x   ', b'x \t', b'x\t'))
body('lines-of-blanks', lines(b' ', b'\t', b'   ', b'x'))
body('blank-lines-at-the-top', b'\r\n\r\n\r\nx\r\n')
body('blank-lines-at-the-end', b'x\r\n' + b'\r\n' * 20)
body('only-blank-lines', b'\r\n' * 5)
body('tabs', lines(b'\tx\ty\t', b'\t\t'))
body('vt-and-ff', lines(b'x\x0by', b'\x0c', b'x\x0c'))
body('controls', lines(bytes(n for n in range(1, 32) if n not in b'\r\n'), b'\x7f'))

# Line ends.
body('empty-body', b'')
body('no-final-line-end', b'last line without an end', by_program=True)
body('no-final-line-end-smtp', b'last line without an end')
body('cr-cr-lf', b'one\r\r\ntwo\r\r\r\nthree\r\n', by_program=True)
body('100-crs-before-lf', b'one' + b'\r' * 100 + b'\n' + b'\r' * 100 + b'\ntwo\r\n',
     by_program=True)
body('bare-cr-in-the-body', b'one\rtwo\r\nthree\r\n', by_program=True)
body('bare-cr-at-a-line-start', b'one\r\n\rtwo\r\n', by_program=True)
body('bare-cr-before-a-dot', b'one\r.\r\ntwo\r.\rthree\r\n', by_program=True)
body('bare-cr-is-the-end', b'one\r\ntwo\r', by_program=True)
body('unicode-line-ends', lines('x\u0085y\u2028z\u2029'.encode()))

# Eight bits.
body('utf-8', lines('Grüße, 你好, \U0001f600'.encode()))
body('utf-8-with-bom', b'\xef\xbb\xbf' + lines('Grüße'.encode()))
body('latin-1', lines(b'Gr\xfc\xdfe'))
body('latin-1-undeclared', lines(b'Gr\xfc\xdfe'), options=())
body('every-byte', lines(bytes(n for n in range(1, 256) if n not in b'\r\n')))
body('broken-utf-8', lines(b'\xc3', b'\xff\xfe', b'\xed\xa0\x80', b'\xf0\x9f\x98', b'\xc0\xae'))
body('nul-in-the-body', b'one\r\nt\0wo\r\nthree\r\n', by_program=True)
body('nul-at-a-line-start', b'one\r\n\0\r\n\0.\r\nthree\r\n', by_program=True)
header('nul-in-the-header', b'X-Nul: one\0two\r\n', by_program=True)
typed('utf-16-body', b'text/plain; charset=utf-16', '\ufeffHello.\r\n'.encode('utf-16-le'),
      by_program=True)
add('utf-16-message', message().decode().encode('utf-16'), by_program=True)

# MIME.
PART = b'--b\r\nContent-Type: text/plain\r\n\r\npart\r\n'
typed('multipart', b'multipart/mixed; boundary=b', PART + PART + b'--b--\r\n')
typed('multipart-preamble-and-epilogue', b'multipart/mixed; boundary="b"',
      b'Preamble.\r\n\r\n' + PART + b'--b--\r\n\r\nEpilogue.\r\n.\r\n')
typed('multipart-without-end', b'multipart/mixed; boundary=b', PART)
typed('multipart-without-boundary', b'multipart/mixed', PART + b'--b--\r\n')
typed('multipart-with-another-boundary', b'multipart/mixed; boundary=c', PART + b'--b--\r\n')
typed('multipart-empty-boundary', b'multipart/mixed; boundary=""', b'--\r\n\r\npart\r\n----\r\n')
typed('multipart-odd-boundary', b"multipart/mixed; boundary=\"b (')+_,-./:=? x\"",
      b"--b (')+_,-./:=? x\r\n\r\npart\r\n--b (')+_,-./:=? x--\r\n")
typed('multipart-blank-after-boundary', b'multipart/mixed; boundary=b',
      b'--b  \r\n\r\npart\r\n--b-- \t\r\n')
typed('multipart-empty', b'multipart/mixed; boundary=b', b'--b\r\n\r\n--b--\r\n')
typed('multipart-nested', b'multipart/mixed; boundary=b0', b''.join(
    b'--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n' % (n, n + 1)
    for n in range(15)) + b'--b15\r\n\r\npart\r\n'
    + b''.join(b'--b%d--\r\n' % n for n in range(15, -1, -1)))
typed('multipart-part-of-8-bit', b'multipart/mixed; boundary=b',
      b'--b\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\xe4\xf6\xfc\r\n--b--\r\n')
typed('message-rfc822', b'message/rfc822', message(b'.\r\ninner\r\n'))
typed('message-rfc822-of-8-bit', b'message/rfc822', message('ä'.encode() + b'\r\n'))
typed('message-digest', b'multipart/digest; boundary=b',
      b'--b\r\n\r\n' + message() + b'--b\r\n\r\n' + message() + b'--b--\r\n')
typed('message-partial', b'message/partial; number=1; total=2; id="x@x.test"', message(b'half'))
typed('type-is-garbage', b';; =garbage "', lines(b'x'))
typed('encoding-is-garbage', b'text/plain', lines(b'x=3D'), b'x-garbage')
typed('encoding-binary', b'application/octet-stream', lines(b'\x80\xff'), b'binary')
typed('base64', b'application/octet-stream',
      base64.encodebytes(bytes(range(256)) * 40).replace(b'\n', b'\r\n'), b'base64')
typed('base64-in-one-line', b'application/octet-stream',
      lines(base64.b64encode(bytes(range(256)) * 5)), b'base64')
typed('base64-broken', b'text/plain', lines(b'SGVsbG8', b'===', b'!!', b'.'), b'base64')
typed('quoted-printable', b'text/plain; charset=utf-8',
      lines(b'Gr=C3=BC=C3=9Fe =', b'=2E', b'.', b'end=20', b'soft='), b'quoted-printable')
typed('format-flowed', b'text/plain; format=flowed; delsp=yes',
      lines(b'flowed ', b'text ', b'-- ', b' stuffed', b'> quoted '))
typed('signed-by-pgp', b'multipart/signed; micalg=pgp-sha256; boundary=b; '
      b'protocol="application/pgp-signature"',
      b'--b\r\n\r\nsigned \t\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\n'
      b'-----BEGIN PGP SIGNATURE-----\r\n\r\niQ==\r\n=abcd\r\n'
      b'-----END PGP SIGNATURE-----\r\n--b--\r\n')
typed('delivery-report', b'multipart/report; report-type=delivery-status; boundary=b',
      b'--b\r\n\r\nIt failed.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n'
      b'Reporting-MTA: dns; x.test\r\n\r\nFinal-Recipient: rfc822; a@x.test\r\nAction: failed\r\n'
      b'Status: 5.1.1\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n' + message()
      + b'--b--\r\n')
typed('calendar', b'text/calendar; method=REQUEST',
      lines(b'BEGIN:VCALENDAR', b'DESCRIPTION:a long', b'  text', b'END:VCALENDAR'))
body('uuencode', lines(b'begin 644 x', b'.2&5L;&\\L(\'=O<FQD(0H', b'`', b'end'))
body('yenc', lines(b'=ybegin line=128 size=3 name=x', b'..\x8b\x8c=M', b'=yend size=3'))

# The header.
add('zero-bytes', b'', by_program=True)
add('no-header', b'\r\nA body without a header.\r\n', by_program=True)
add('no-header-smtp', b'\r\nA body without a header.\r\n')
add('no-header-and-no-blank-line', b'Just a line of text\r\nand another\r\n', by_program=True)
add('header-only', message(b''), by_program=True)
add('header-without-blank-line', message(b'').removesuffix(b'\r\n'))
add('header-without-line-end', message(b'').removesuffix(b'\r\n\r\n'), by_program=True)
add('header-then-text', message(b'').removesuffix(b'\r\n') + b'not a field\r\nX-Late: field\r\n')
add('continuation-first', b' continuation\r\n' + message())
add('no-from-no-date-no-id', b'Subject: bare\r\n\r\nx\r\n')
header('header-of-64-kilobytes', b''.join(b'X-Field-%d: %s\r\n' % (n, b'v' * 1000)
                                          for n in range(64)))
header('header-of-500-fields', b''.join(b'X-Field-%d: %d\r\n' % (n, n) for n in range(500)))
header('folded', b'X-Folded: one\r\n two\r\n\tthree\r\n   four\r\n \t five\r\n')
header('folded-at-once', b'X-Folded:\r\n one\r\n')
header('folded-with-blanks-at-ends', b'X-Folded: one  \r\n two\t\r\n three\r\n')
header('folded-with-a-blank-line', b'X-Folded: one\r\n \r\n two\r\n')
header('folded-with-dots', b'X-Folded: one\r\n .\r\n ..\r\n')
header('field-without-value', b'X-Empty:\r\nX-Blank: \r\nX-Blanks:   \r\n')
header('field-without-blank', b'X-Tight:value\r\nX-Wide:    value\r\n')
header('field-ends-with-blanks', b'X-Field: value  \t\r\n')
header('blank-before-the-colon', b'X-Spaced : value\r\n')
header('odd-field-names', b"X!#$%&'*+-.^_`|~1: x\r\nx-UPPER-lower: x\r\n123: x\r\n")
header('long-field-name', b'X-' + b'n' * 200 + b': x\r\n')
header('utf-8-header', b'X-Greeting: ' + 'Grüße, 你好'.encode() + b'\r\n')
header('utf-8-header-smtputf8-text', b'Comments: ' + 'Ω'.encode() * 300 + b'\r\n')
header('latin-1-header', b'X-Greeting: Gr\xfc\xdfe\r\n')
header('latin-1-header-undeclared', b'X-Greeting: Gr\xfc\xdfe\r\n', options=())
header('encoded-words', b'X-Greeting: =?utf-8?B?w4Q=?=\r\n =?iso-8859-1?Q?=DC_x?=\r\n')
header('controls-in-the-header', b'X-Controls: \x01\x1b\x7f\r\n')
header('bare-cr-in-the-header', b'X-One: one\rX-Two: two\r\n', by_program=True)
header('bare-cr-ends-a-field', b'X-One: one\r \r\nX-Two: two\r\n', by_program=True)
header('bare-crs-like-a-header-end', b'X-One: one\r\rX-Two: two\r\n', by_program=True)
header('cr-cr-lf-in-the-header', b'X-One: one\r\r\nX-Two: two\r\n', by_program=True)
header('100-crs-before-lf-in-the-header', b'X-One: one' + b'\r' * 100 + b'\nX-Two: two\r\n',
       by_program=True)
add('header-ends-with-100-crs', message(b'').removesuffix(b'\r\n') + b'\r' * 100 + b'\nx\r\n',
    by_program=True)
add('empty-message-id', b'From: <a@x.test>\r\nMessage-ID:\r\n\r\nx\r\n')
add('blank-message-id', b'From: <a@x.test>\r\nMessage-ID: <>\r\n\r\nx\r\n')
header('message-id-twice', b'Message-ID: <again@mail.test>\r\n')
header('fields-twice', b'From: <b@x.test>\r\nSubject: again\r\n'
       b'Date: Sat, 21 Nov 2026 13:00:00 +0000\r\n')
header('message-id-of-1900-bytes', b'Resent-Message-ID: <' + b'i' * 1900 + b'@x.test>\r\n')
header('references-of-1200-bytes', b'References: '
       + b' '.join(b'<reference%d.%s@mail.test>' % (n, b'r' * 40) for n in range(18)) + b'\r\n')
header('references-of-10-kilobytes-folded', b'References: '
       + b'\r\n '.join(b'<reference%d.%s@mail.test>' % (n, b'r' * 40) for n in range(150))
       + b'\r\n')
header('references-of-10-kilobytes', b'References: '
       + b' '.join(b'<reference%d.%s@mail.test>' % (n, b'r' * 40) for n in range(150)) + b'\r\n')
header('content-length', b'Content-Length: 3\r\nLines: 1\r\n')
header('mbox-fields', b'Status: RO\r\nX-Status: A\r\nX-UID: 7\r\nX-IMAP: 1 2\r\nX-Keywords: x\r\n')
header('fields-of-stores', b'Return-Path: <x@x.test>\r\nDelivered-To: x@x.test\r\n'
       b'X-Sieve: CMU Sieve 2.2\r\nX-DeliveredInternalDate: Sat, 21 Nov 2026 12:00:00 +0000\r\n')
header('bcc', b'Bcc: <secret@x.test>\r\nApparently-To: <x@x.test>\r\n')
header('resent', b'Resent-From: <x@x.test>\r\nResent-To: <y@x.test>\r\n'
       b'Resent-Date: Sat, 21 Nov 2026 12:00:00 +0000\r\n')
header('received-20-times', b''.join(
    b'Received: from h%d.test by h%d.test id X%d;\r\n\tSat, 21 Nov 2026 12:00:00 +0000\r\n'
    % (n, n + 1, n) for n in range(20)))
header('odd-addresses', b'Cc: "Q, q" <q@x.test>, (comment) r@x.test,\r\n'
       b'\tgroup: a@x.test, b@x.test;, <@route.test:c@x.test>\r\n')
header('list-fields', b'List-Id: <x.x.test>\r\nPrecedence: bulk\r\nErrors-To: <e@x.test>\r\n')
header('date-is-garbage', b'Resent-Date: yesterday\r\nExpires: never\r\n')

# mbox.
add('from-line-at-the-top', b'From x@x.test Sat Nov 21 12:00:00 2026\r\n' + message(),
    by_program=True)
add('quoted-from-line-at-the-top', b'>From x@x.test Sat Nov 21 12:00:00 2026\r\n' + message(),
    by_program=True)
body('from-lines-in-the-body', lines(b'From here', b'>From there', b'', b'From x Sat', b' From'))

# Long lines.
for length in (998, 999, 2000, 2047, 2048, 4095, 4096, 7999, 8000, 8001, 8192, 20_000):
  body(f'line-of-{length}', lines(b'x' * length, b'end'))
  body(f'words-of-{length}', lines(words(length), b'end'))
body('blanks-across-8000', lines(b'x' * 7990 + b' \t' * 10 + b'yz', b'end'))
body('line-of-dots', lines(b'.' * 2000, b'end'))
body('line-of-utf-8', lines('ä'.encode() * 3000, b'end'))
body('line-of-20000-of-utf-8', lines('ä'.encode() * 10_000, b'end'))
body('line-without-end', b'x' * 3000, by_program=True)
typed('line-of-quoted-printable', b'text/plain', lines(b'=3D' * 900, b'end'), b'quoted-printable')
typed('line-of-html', b'text/html', lines(
    b'<p>' + b' '.join(b'<a href="http://x.test/%d">link</a>' % n for n in range(60)) + b'</p>'))
header('header-line-of-998', b'X-Long: ' + b'v' * 990 + b'\r\n')
header('header-line-of-999', b'X-Long: ' + b'v' * 991 + b'\r\n')
header('header-line-of-2000', b'X-Long: ' + words(1992) + b'\r\n')
header('header-line-of-5000', b'X-Long: ' + words(4992) + b'\r\n')
