-- The tag says whose mail is filed over quota, is on top of the header, and is signed
--: [rule.notices]
--: client = 192.0.2.0/24
--: from = notice@example.org
--: quota = ignore
--: [rule.some]
--: rcpt = vip*@store.test
--: quota = ignore
dofile(PRELUDE)
local conn = dial("192.0.2.7")

mail(conn, "q1", "<notice@example.org>")
rcpt(conn, "<alice@store.test>")
rcpt(conn, "<bob@store.test>", "CyrusV2q")
headers(conn, {{"Subject", "x"}, {"Message-ID", "<1@example.org>"}})
holds("a message is accepted", finish(conn) == CONT, mt.getreply(conn))
holds("all: *", part(tag(conn), "q") == "*", tag(conn))
holds("the version comes first", string.match(tag(conn) or "", "^v=1;k=test%-key;t="), tag(conn))
holds("the trace id begins with the queue id", string.match(tag(conn) or "", ";t=q1%-[%w]+;"),
      tag(conn))
verified("a signed tag for all", conn, "q1", "<1@example.org>")
holds("no field is added below", not mt.eom_check(conn, MT_HDRADD), "a field")
holds("no field is changed", not mt.eom_check(conn, MT_HDRCHANGE), "a change")
holds("the body stays", not mt.eom_check(conn, MT_BODYCHANGE), "a new body")
holds("the message is not held", not mt.eom_check(conn, MT_QUARANTINE), "a quarantine")

mail(conn, "q2", "<alice@example.org>")
rcpt(conn, "<bob@store.test>")
headers(conn, {{"Message-ID", "<2@example.org>"}})
finish(conn)
holds("none: -", part(tag(conn), "q") == "-", tag(conn))
verified("a signed tag for none", conn, "q2", "<2@example.org>")

mail(conn, "q3", "<notice@example.org>")
rcpt(conn, "<bob@elsewhere.test>", OTHER)
holds("mail for another mailer goes on", finish(conn) == CONT, mt.getreply(conn))
holds("mail for another mailer has no tag", tag(conn) == nil, tag(conn))

mail(conn, "q4", "<alice@example.org>")
rcpt(conn, "<VIP+box@store.test>", OURS, "vip")
rcpt(conn, "<bob@store.test>")
rcpt(conn, "<\"vip two\"@store.test>", OURS, "vip two@store.test")
rcpt(conn, "<vip3@store.test>", OTHER)
headers(conn, {{"Message-ID", "<4@example.org>"}})
finish(conn)
verified("a list has the qualifying recipients under both names", conn, "q4", "<4@example.org>",
         {"vip+box@store.test", "vip"})

mail(conn, "q5", "<notice@example.org>")
rcpt(conn, "<alice@store.test>")
rcpt(conn, "<carol@elsewhere.test>", OTHER)
headers(conn, {{"Message-ID", "<5@example.org>"}})
finish(conn)
verified("a recipient elsewhere keeps the tag from being for all", conn, "q5",
         "<5@example.org>",
         {"alice@store.test"})

mail(conn, "q6", "<alice@example.org>")
rcpt(conn, "<team@store.test>", OURS, "vip-team@store.test")
headers(conn, {{"Message-ID", "<6@example.org>"}})
finish(conn)
holds("a rule takes the name that Sendmail resolved", part(tag(conn), "q") == "*", tag(conn))
mt.disconnect(conn)
