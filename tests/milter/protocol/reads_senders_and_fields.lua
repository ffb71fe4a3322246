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

local function told(name, sender, expected, fields)
  number = number + 1
  if fields then fields[#fields + 1] = {"Message-ID", "<1@a>"} end
  local q = quota_of(conn, "s" .. number, sender, fields)
  holds(name .. " is told " .. expected, q == expected, q)
end

told("the null sender", "<>", "*")
told("a sender in brackets", "<notice@example.org>", "*")
told("a sender without brackets", "notice@example.org", "*")
told("a sender in capitals", "<NOTICE@Example.ORG>", "*")
told("a glob's sender", "<disk-alarm@example.org>", "*")
told("a sender with more behind it", "<notice@example.org.evil.test>", "-")
told("a sender with more in front of it", "<evil.notice@example.org>", "-")
told("two senders in one", "<notice@example.org>,<a@evil.test>", "-")
told("a sender that is a pattern", "<*@example.org>", "-")
told("a bracket alone", "<", "-")
told("a huge sender", "<" .. string.rep("a", 900) .. "@example.org>", "-")
told("a sender of bytes", "<\xff\xfe\x80@example.org>", "-")

local stranger = "<a@example.org>"
told("a field's value", stranger, "*", {{"X-Notice", "yes, indeed"}})
told("a field's name in capitals", stranger, "*", {{"X-NOTICE", "yes, indeed"}})
told("a value in capitals", stranger, "*", {{"x-notice", "YES, INDEED"}})
told("a second field", stranger, "*", {{"X-Notice", "no"}, {"X-Notice", "yes, indeed"}})
told("another field's value", stranger, "-", {{"Subject", "yes, indeed"}})
told("a value with more in front of it", stranger, "-", {{"X-Notice", "oh yes, indeed"}})
told("an empty value", stranger, "-", {{"X-Notice", ""}})
told("a colon in a name", stranger, "-", {{"X-Notice: yes, indeed", "x"}})
mt.disconnect(conn)
