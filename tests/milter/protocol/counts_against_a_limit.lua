-- What is over a rule's limit is honoured; every sender, and every client without one, has its own
--: [rule.logins]
--: auth = *
--: limit = 2/day
--: quota = ignore
--: [rule.limited]
--: client = 192.0.2.0/24
--: limit = 3/day
--: quota = ignore
dofile(PRELUDE)
local conn = dial("192.0.2.1")

local function quotas(name, expected, sender, ...)
  local seen = ""
  for number = 1, #expected do
    seen = seen .. (quota_of(conn, "n" .. number, sender, nil, ...) or "none")
  end
  holds(name .. ": " .. expected, seen == expected, seen)
end

quotas("a sender is let past three times", "***--", "<a@example.org>")
quotas("however it spells itself", "--", "<A@Example.Org>")
quotas("another has its own three", "***-", "<b@example.org>")
quotas("a login counts by its name", "**--", "<c@example.org>", "{auth_authen}", "alice")
quotas("whatever sender it uses", "-", "<d@example.org>", "{auth_authen}", "alice")
quotas("a sender named like a login is another", "***-", "<alice>")
quotas("the null sender counts by client", "***-", "<>")
mt.disconnect(conn)
conn = dial("192.0.2.2")
quotas("another client's null sender has its own three", "***-", "<>")
quotas("a sender that is over is so everywhere", "-", "<a@example.org>")

-- Mail that ends nowhere, or elsewhere, is not counted.
for number = 1, 5 do
  mail(conn, "gone", "<e@example.org>")
  rcpt(conn, "<bob@store.test>")
  must(mt.abort(conn))
  mail(conn, "else", "<e@example.org>")
  rcpt(conn, "<bob@elsewhere.test>", OTHER)
  finish(conn)
end
quotas("what was given up or went elsewhere is not counted", "***-", "<e@example.org>")

mail(conn, "many", "<f@example.org>")
for number = 1, 20 do rcpt(conn, "<r" .. number .. "@store.test>") end
finish(conn)
holds("a message to many", part(tag(conn), "q") == "*", tag(conn))
quotas("counts once", "**-", "<f@example.org>")
mt.disconnect(conn)
