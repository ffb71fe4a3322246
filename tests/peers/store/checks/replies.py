"""The replies of Cyrus lmtpd that the tests share, word for word."""

USER_UNKNOWN = ('550-Mailbox unknown.  Either there is no mailbox associated with this\n'
                '550-name or you do not have authorization to see it.\n'
                '550 5.1.1 User unknown')
SYNTAX = '500 5.5.2 Syntax error'
PARAMETERS = '501 5.5.4 Syntax error in parameters'
UNRECOGNIZED = '501 5.5.4 Unrecognized parameters'
NESTED = '503 5.5.1 Nested MAIL command'
RSET_OK = '250 2.0.0 Ok SESSIONID=<*>'
MAIL = 'MAIL FROM:<s@x.test>'
MAIL_OK = '250 2.1.0 ok'
RCPT_OK = '250 2.1.5 ok'
SUCCESS = '250 2.1.5 Success SESSIONID=<*>'
