-- Senders, fields and patterns as strangers write them
--: [rule.null]
--: from = <>
--: client = 192.0.2.1
--: quota = ignore
--: [rule.sender]
--: from = notice@example.org *-alarm@example.org
--: quota = ignore
--: [rule.field]
--: header X-Notice = yes, in?eed*
--: quota = ignore
dofile(PRELUDE)
local conn = dial("192.0.2.1")
local number = 0

local function quota(name, sender, expected, fields)
  number = number + 1
  if fields then fields[#fields + 1] = {"Message-ID", "<1@a>"} end
  local q = quota_of(conn, "s" .. number, sender, fields)
  holds(name .. " gets " .. expected, q == expected, q)
end

quota("the null sender", "<>", "*")
quota("a sender in brackets", "<notice@example.org>", "*")
quota("a sender without brackets", "notice@example.org", "*")
quota("a sender in capitals", "<NOTICE@Example.ORG>", "*")
quota("a glob's sender", "<disk-alarm@example.org>", "*")
quota("a sender with more after it", "<notice@example.org.evil.test>", "-")
quota("a sender with more before it", "<evil.notice@example.org>", "-")
quota("two senders in one", "<notice@example.org>,<a@evil.test>", "-")
quota("a sender that is a pattern", "<*@example.org>", "-")
quota("a bracket alone", "<", "-")
quota("a huge sender", "<" .. string.rep("a", 900) .. "@example.org>", "-")
quota("a sender of bytes", "<\xff\xfe\x80@example.org>", "-")

local stranger = "<a@example.org>"
quota("a field's value", stranger, "*", {{"X-Notice", "yes, indeed"}})
quota("a field's name in capitals", stranger, "*", {{"X-NOTICE", "yes, indeed"}})
quota("a value in capitals", stranger, "*", {{"x-notice", "YES, INDEED"}})
quota("a second field", stranger, "*", {{"X-Notice", "no"}, {"X-Notice", "yes, indeed"}})
quota("another field's value", stranger, "-", {{"Subject", "yes, indeed"}})
quota("a value with more before it", stranger, "-", {{"X-Notice", "oh yes, indeed"}})
quota("an empty value", stranger, "-", {{"X-Notice", ""}})
quota("a colon in a name", stranger, "-", {{"X-Notice: yes, indeed", "x"}})
mt.disconnect(conn)
