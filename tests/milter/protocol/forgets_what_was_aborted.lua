-- An abort at any stage, twice or not at all, leaves no trace and ends nothing
--: [rule.sender]
--: from = notice@example.org
--: quota = ignore
--: [rule.field]
--: header X-Notice = yes
--: quota = ignore
--: [rule.recipient]
--: rcpt = vip@store.test
--: quota = ignore
dofile(PRELUDE)
local conn = dial()
local notice = "<notice@example.org>"

local function up_to(stage)
  if stage >= 1 then mail(conn, "gone", stage == 1 and notice or "<plain@example.org>") end
  if stage >= 2 then rcpt(conn, "<vip@store.test>") end
  if stage >= 3 then headers(conn, {{"X-Notice", "yes"}, {"Message-ID", "<gone@a>"},
                                    {TAG, "old"}}) end
end

local function next_is_clean(name)
  mail(conn, "next", "<plain@example.org>")
  rcpt(conn, "<bob@store.test>")
  headers(conn, {{"Message-ID", "<next@a>"}})
  holds(name .. ": the next message is accepted", finish(conn) == CONT, mt.getreply(conn))
  holds(name .. ": and honoured", part(tag(conn), "q") == "-", tag(conn))
  holds(name .. ": nothing is deleted in it", not mt.eom_check(conn, MT_HDRDELETE), "a deletion")
  verified(name .. ": its tag is its own", conn, "next", "<next@a>")
end

for stage, name in ipairs({"after MAIL", "after RCPT", "within the header"}) do
  up_to(stage)
  must(mt.abort(conn))
  next_is_clean("abort " .. name)
  up_to(stage)
  must(mt.abort(conn))
  must(mt.abort(conn))
  next_is_clean("abort twice " .. name)
  up_to(stage)
  next_is_clean("MAIL again " .. name .. " without abort")
end
must(mt.abort(conn))
next_is_clean("abort without MAIL")

-- The sender of a message that was given up does not come back with the next one.
mail(conn, "gone", notice)
must(mt.abort(conn))
must(mt.macro(conn, SMFIC_MAIL, "i", "next"))
must(mt.mailfrom(conn, "<>"))
rcpt(conn, "<bob@store.test>")
finish(conn)
holds("a sender that was given up is forgotten", part(tag(conn), "q") == "-", tag(conn))

mail(conn, "gone", notice)
mt.disconnect(conn, false)
conn = dial()
next_is_clean("a connection lost within a message")
mail(conn, "gone", notice)
mt.disconnect(conn)
conn = dial()
next_is_clean("QUIT within a message")
mt.disconnect(conn)
