-- Macros that the MTA does not send are unknown: no tag or no quota, never an error
--: [rule.any]
--: client = 203.0.113.80
--: auth = *
--: quota = ignore
--: [rule.certificate]
--: tls-subject = *x
--: quota = ignore
--: [rule.name]
--: tls-subject = */CN=mail.example.net
--: quota = ignore
--: [rule.size]
--: max-size = 1k
--: from = small@example.org
--: quota = ignore
dofile(PRELUDE)
local conn = dial()
local id = {{"Message-ID", "<1@a>"}}

must(mt.mailfrom(conn, "<a@example.org>"))
must(mt.rcptto(conn, "<bob@store.test>"))
headers(conn, id)
holds("no macro at all: accepted", finish(conn) == CONT, mt.getreply(conn))
holds("no {rcpt_mailer}: no tag", tag(conn) == nil, tag(conn))

must(mt.mailfrom(conn, "<a@example.org>"))
rcpt(conn, "<bob@store.test>")
headers(conn, id)
holds("no queue id: accepted", finish(conn) == CONT, mt.getreply(conn))
holds("no queue id: no tag, it would fit another message", tag(conn) == nil, tag(conn))

must(mt.mailfrom(conn, "<a@example.org>"))
rcpt(conn, "<bob@store.test>")
headers(conn, {{"Subject", "x"}, {TAG, "old"}})
holds("neither queue id nor Message-ID: accepted", finish(conn) == CONT, mt.getreply(conn))
holds("neither queue id nor Message-ID: no tag", tag(conn) == nil, tag(conn))
holds("neither queue id nor Message-ID: old tags go", mt.eom_check(conn, MT_HDRDELETE, TAG, 1),
      "no deletion")

local q = quota_of(conn, "m1", "<a@example.org>", id, "{auth_authen}", "alice")
holds("a login matches", q == "*", q)
q = quota_of(conn, "m2", "<a@example.org>", id, "{auth_authen}", "")
holds("an empty login is none", q == "-", q)
for number, verdict in ipairs({"NO", "NONE", "FAIL", "ok", ""}) do
  q = quota_of(conn, "v" .. number, "<a@example.org>", id, "{verify}", verdict, "{cert_subject}",
               "/CN=x")
  holds("a certificate that is not verified (" .. verdict .. ") proves nothing", q == "-", q)
end
q = quota_of(conn, "m3", "<a@example.org>", id, "{cert_subject}", "/CN=x")
holds("a certificate without {verify} proves nothing", q == "-", q)
q = quota_of(conn, "m4", "<a@example.org>", id, "{verify}", "OK", "{cert_subject}", "/CN=x")
holds("a verified certificate matches", q == "*", q)
q = quota_of(conn, "t1", "<a@example.org>", id, "{verify}", "OK", "{cert_subject}",
             "/O=y/CN=mail.example.net")
holds("an attribute of the subject matches", q == "*", q)
q = quota_of(conn, "t2", "<a@example.org>", id, "{verify}", "OK", "{cert_subject}",
             "/CN=evil.example/O=y\\/CN=mail.example.net")
holds("a slash within an attribute begins no other one", q == "-", q)
q = quota_of(conn, "t3", "<a@example.org>", id, "{verify}", "OK", "{cert_subject}",
             "/O=" .. string.rep("y", 230) .. "/CN=mail.example.net")
holds("a subject that may be cut is unknown", q == "-", q)
q = quota_of(conn, "m5", "<a@example.org>", id, "{verify}", "OK")
holds("a verified certificate without a subject matches nothing", q == "-", q)
q = quota_of(conn, "m6", "<small@example.org>", id)
holds("an unknown size is not a small one", q == "-", q)

mail(conn, "m7", "<a@example.org>")
must(mt.macro(conn, SMFIC_RCPT, "{rcpt_mailer}", OURS))
must(mt.rcptto(conn, "<bob@store.test>"))
headers(conn, id)
finish(conn)
holds("no {rcpt_addr}: a tag", part(tag(conn), "q") == "-", tag(conn))
mt.disconnect(conn)
