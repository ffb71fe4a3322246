-- Nothing of a message is kept with the next one on the same connection
--: accept-trace-from = X-Trace-Id
--: trusted-clients = 192.0.2.0/24
--: [rule.sender]
--: from = notice@example.org
--: quota = ignore
--: [rule.login]
--: auth = alice
--: quota = ignore
--: [rule.certificate]
--: tls-subject = */CN=relay
--: quota = ignore
--: [rule.recipient]
--: rcpt = vip@store.test
--: quota = ignore
--: [rule.field]
--: header X-Notice = yes
--: quota = ignore
--: [rule.small]
--: max-size = 10
--: quota = ignore
dofile(PRELUDE)
local conn = dial("192.0.2.7")
local number = 0

local function qid()
  number = number + 1
  return "k" .. number
end

-- Message after message: each with a reason is let past the quota, each plain one after it is not.
local function plain_is_honoured(after)
  local q = quota_of(conn, qid(), "<plain@example.org>")
  holds("the message after " .. after .. " is honoured", q == "-", q)
end

local function ignored(what, q)
  holds(what .. " lets a message past the quota", q == "*", q)
end

plain_is_honoured("nothing")
ignored("a sender", quota_of(conn, qid(), "<notice@example.org>"))
plain_is_honoured("a sender")
ignored("a login", quota_of(conn, qid(), "<plain@example.org>", nil, "{auth_authen}", "alice"))
plain_is_honoured("a login")
ignored("a certificate", quota_of(conn, qid(), "<plain@example.org>", nil, "{verify}", "OK",
                                  "{cert_subject}", "/C=XX/CN=relay"))
plain_is_honoured("a certificate")
ignored("a field", quota_of(conn, qid(), "<plain@example.org>",
                            {{"Message-ID", "<1@a>"}, {"X-Notice", "yes"}}))
plain_is_honoured("a field")

mail(conn, "kr", "<plain@example.org>")
rcpt(conn, "<vip@store.test>")
finish(conn)
ignored("a recipient", part(tag(conn), "q"))
plain_is_honoured("a recipient")

must(mt.macro(conn, SMFIC_MAIL, "i", "ks"))
must(mt.mailfrom(conn, "<plain@example.org>"))
rcpt(conn, "<bob@store.test>")
must(mt.macro(conn, EOM_MACROS, "i", "ks", "{msg_size}", "9"))
finish(conn)
ignored("a size", part(tag(conn), "q"))
plain_is_honoured("a size")

mail(conn, "kt", "<plain@example.org>")
rcpt(conn, "<bob@store.test>")
headers(conn, {{"Message-ID", "<2@a>"}, {"X-Trace-Id", "theirs"}})
finish(conn)
holds("a trace id is taken", part(tag(conn), "t") == "theirs", tag(conn))
mail(conn, "ku", "<plain@example.org>")
rcpt(conn, "<bob@store.test>")
headers(conn, {{"Subject", "x"}})
finish(conn)
holds("a trace id is not taken again", string.match(part(tag(conn), "t") or "", "^ku%-"), tag(conn))
verified("a Message-ID is not used again", conn, "ku", "")

mail(conn, "kf", "<plain@example.org>")
rcpt(conn, "<bob@store.test>")
headers(conn, {{TAG, "old"}, {TAG, "old"}})
finish(conn)
mail(conn, "kg", "<plain@example.org>")
rcpt(conn, "<bob@store.test>")
finish(conn)
holds("old tags are not counted again", not mt.eom_check(conn, MT_HDRDELETE), "a deletion")
mt.disconnect(conn)
